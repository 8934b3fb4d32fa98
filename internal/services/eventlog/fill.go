package eventlog

import (
	"strings"
	"time"
)

// kindOf is what a type's name means. The names with dots are those of
// LogRocket's SDKs, the others those of its streaming export.
func kindOf(name string) (kind string, lane Lane) {
	switch name {
	case "lr.Metadata", "session":
		return "session", Other
	case "lr.Identify", "user", "identify":
		return "user", Other
	case "lr.CustomEvent", "customEvent":
		return "custom", Custom
	case "lr.core.LogEvent", "log", "console":
		return "log", Console
	case "lr.core.Exception", "exception", "error":
		return "exception", Error
	case "lr.network.RequestEvent", "networkRequest":
		return "request", Network
	case "lr.network.ResponseEvent":
		return "response", Network
	case "networkResponse", "network":
		return "response", Network
	case "lr.network.NetworkStatusEvent":
		return "online", Network
	case "lr.redux.ReduxAction":
		return "redux", Other
	case "navigation", "pageview", "pageView":
		return "navigation", Navigation
	case "click", "deadClick", "rageClick", "errorClick", "inputChange", "touch", "keypress", "focus", "blur", "submit":
		return "input", Input
	}
	// Names that only look like these, as in "lr.browser.NavigationEvent".
	last := strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
	switch {
	case strings.HasPrefix(last, "navigation"), strings.HasPrefix(last, "locationchange"):
		return "navigation", Navigation
	case strings.HasSuffix(last, "click"), strings.HasPrefix(last, "click"), strings.HasPrefix(last, "input"), strings.HasPrefix(last, "mouse"):
		return "input", Input
	}
	return "", Other
}

// fill puts what belongs to the event's type into it.
func (f *fields) fill(e *Event) {
	kind, lane := kindOf(e.Type)
	e.Lane = lane
	if len(f.URL)+len(f.Href) > 0 {
		e.URL = validCut(first(f.URL, f.Href), maxURL)
	}
	if len(f.Selector) > 0 {
		e.Selector = validCut(text(f.Selector), maxText)
	}
	switch kind {
	case "session", "user":
		e.Text = validCut(first(f.Title, f.Text, f.Message), maxText)
	case "navigation":
		e.Text = validCut(first(f.Title, f.Name, f.Text), maxText)
	case "input":
		if e.Text = validCut(first(f.Text, f.Title, f.Name), maxText); strings.Trim(e.Text, "*•") == "" {
			e.Text = e.Selector // what was typed is masked
		}
	case "custom":
		e.Text = validCut(first(f.Name, f.EventName, f.Title), maxText)
	case "log":
		e.Level = level(first(f.LogLevel, f.Level))
		if e.Text = arguments(f.Args); e.Text == "" {
			e.Text = validCut(first(f.Message, f.Text), maxText)
		}
	case "exception":
		f.exception(e)
	case "request", "response":
		f.call(e, kind)
	case "online":
		e.Text = validCut(first(f.Status, f.Online, f.Message), maxText)
	case "redux":
		if strings.HasPrefix(f.Action, "{") {
			var action fields
			action.read(f.Action)
			e.Text = validCut(text(action.Type), maxText)
		} else {
			e.Text = validCut(first(f.Action, f.Name), maxText)
		}
	default:
		e.Text = validCut(first(f.Title, f.Name, f.Message, f.Text), maxText)
	}
	f.who(e, kind)
}

// level is a console's level, as it is known.
func level(s string) string {
	s = strings.ToLower(s)
	switch s {
	case "warning":
		return "warn"
	case "severe", "fatal", "critical":
		return "error"
	case "verbose", "trace":
		return "debug"
	}
	return validCut(s, 20)
}

// arguments are the words that were written to a console.
func arguments(v string) string {
	if len(v) == 0 {
		return ""
	}
	if v[0] != '[' {
		return validCut(text(v), maxText)
	}
	var b strings.Builder
	elements(v, func(a string) bool {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(cut(text(a), 2*maxText))
		return b.Len() <= 4*maxText
	})
	return validCut(b.String(), maxText)
}

func (f *fields) exception(e *Event) {
	e.ErrorType, e.Message = validCut(text(f.ErrorType), 200), validCut(first(f.Message, f.Text), maxText)
	if e.ErrorType == "" {
		e.ErrorType = validCut(first(f.ExceptionType, f.Name), 200)
	}
	switch {
	case e.Message == "":
		e.Text = e.ErrorType
	case e.ErrorType == "" || strings.HasPrefix(e.Message, e.ErrorType):
		e.Text = e.Message
	default:
		e.Text = validCut(e.ErrorType+": "+e.Message, maxText)
	}
	e.Stack = stack(first3(f.Stack, f.StackTrace, f.StackTrace2))
}

func first3(a, b, c string) string { return first2(first2(a, b), c) }

// stack is a stack as browsers write it, also where it comes as a list of
// frames.
func stack(v string) string {
	if len(v) == 0 || v[0] != '[' {
		return validCut(text(v), maxStack)
	}
	var b strings.Builder
	frames := true
	elements(v, func(frame string) bool {
		if frames = frame[0] == '{' || frame == "null"; !frames {
			return false
		}
		writeFrame(&b, frame)
		return b.Len() <= 4*maxStack
	})
	if !frames {
		return validCut(v, maxStack)
	}
	return validCut(strings.TrimSuffix(b.String(), "\n"), maxStack)
}

// writeFrame writes a frame of a stack as browsers do.
func writeFrame(b *strings.Builder, frame string) {
	var functionName, function, fileName, file, url, lineNumber, line, columnNumber, column string
	members(frame, func(name []byte, value string) {
		switch string(name) {
		case "functionname":
			functionName = value
		case "function":
			function = value
		case "filename":
			fileName = value
		case "file":
			file = value
		case "url":
			url = value
		case "linenumber":
			lineNumber = value
		case "line":
			line = value
		case "columnnumber":
			columnNumber = value
		case "column":
			column = value
		}
	})
	called := first(functionName, function)
	if called == "" {
		called = "(anonymous)"
	}
	b.WriteString("at " + called)
	if from := first(fileName, file, url); from != "" {
		b.WriteString(" (" + strings.TrimRight(from+":"+first(lineNumber, line)+":"+first(columnNumber, column), ":") + ")")
	}
	b.WriteByte('\n')
}

// contentLength is the size that the headers of an answer tell, -1 if none.
func contentLength(headers string) int64 {
	size := int64(-1)
	if !strings.Contains(headers, "ontent-") { // most lines, without taking them apart
		return size
	}
	members(headers, func(name []byte, value string) {
		if string(name) != "content-length" {
			return
		}
		if n, ok := number(value); ok && n >= 0 && n < 1<<53 {
			size = int64(n)
		}
	})
	return size
}

// call reads a network call. One that was answered and has no id, or tells how
// long it took and its address, is whole by itself.
func (f *fields) call(e *Event, kind string) {
	e.Method = strings.ToUpper(validCut(text(f.Method), 20))
	e.ReqID = validCut(first(f.ReqID, f.RequestID, f.RequestID2), 200)
	if n, ok := number(first3(f.Status, f.StatusCode, f.StatusCode2)); ok && n > 0 && n < 1000 {
		e.Status = int(n)
	}
	if n, ok := number(f.Duration); ok && n >= 0 && n < 1e9 {
		e.Took = time.Duration(n * float64(time.Millisecond))
	}
	if n, ok := number(first2(f.Size, f.ResponseSize)); ok && n >= 0 && n < 1<<53 {
		e.Size = int64(n)
	} else if kind == "response" {
		e.Size = contentLength(f.Headers)
	}
	e.Part = Request
	if kind == "response" {
		if e.Part = Response; e.ReqID == "" || e.URL != "" && e.Took >= 0 {
			e.Part = Whole
		}
	}
}

// who reads what is told of the session. An id of a recording may stand in any
// event; who it is, and with what, only where the type says so.
func (f *fields) who(e *Event, kind string) {
	if len(f.RecordingID)+len(f.RecordingID2)+len(f.SessionID)+len(f.SessionID2) == 0 && kind != "session" && kind != "user" {
		return
	}
	w := &Who{RecordingID: validCut(first(f.RecordingID, f.RecordingID2), 200), SessionID: validCut(first(f.SessionID, f.SessionID2), 200)}
	e.Who = w
	if kind != "session" && kind != "user" {
		return
	}
	const most = 2000 // more than is kept: two long ids may differ in their ends
	w.UserID, w.Email, w.Name = validCut(first(f.UserID, f.UserID2), most), validCut(text(f.Email), most), validCut(text(f.Name), most)
	if w.UserID == "" && kind == "user" {
		w.UserID = validCut(text(f.ID), most)
	}
	var traits fields
	traits.read(first2(f.UserTraits, f.Traits))
	if w.Email == "" {
		w.Email = validCut(text(traits.Email), most)
	}
	if w.Name == "" {
		w.Name = validCut(text(traits.Name), most)
	}
	w.Browser, w.OS = joined(f.Browser, f.BrowserVersion), joined(f.OS, f.OSVersion)
	w.Device, w.Release = validCut(text(f.Device), 200), validCut(text(f.Release), 200)
	w.Country, w.City = validCut(text(f.Country), 200), validCut(text(f.City), 200)
}

// joined is a name with its version. Either may be an object or stand alone.
func joined(name, version string) string {
	return validCut(strings.TrimSpace(text(name)+" "+text(version)), 200)
}
