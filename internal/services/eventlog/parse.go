package eventlog

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	gojson "github.com/goccy/go-json"
)

// Bounds of what is taken out of a line, in characters.
const (
	maxText  = 1000
	maxStack = 20_000
	maxURL   = 4096
)

// fields are what is looked for in a line. Names are matched without regard to
// case, and the last of a name that comes twice counts.
type fields struct {
	Type, EventType, Time, Timestamp gojson.RawMessage
	EventType2                       gojson.RawMessage `json:"event_type"`
	SessionTime                      gojson.RawMessage `json:"session_time"`

	RecordingID, SessionID gojson.RawMessage
	RecordingID2           gojson.RawMessage `json:"recording_id"`
	SessionID2             gojson.RawMessage `json:"session_id"`
	ID, UserID             gojson.RawMessage
	UserID2                gojson.RawMessage `json:"user_id"`
	Email, Name            gojson.RawMessage
	UserTraits, Traits     gojson.RawMessage
	Browser, OS, Device    gojson.RawMessage
	BrowserVersion         gojson.RawMessage
	OSVersion              gojson.RawMessage
	Release, Country, City gojson.RawMessage

	URL, Href, Title, Text, Selector gojson.RawMessage
	Method, ReqID, RequestID         gojson.RawMessage
	RequestID2                       gojson.RawMessage `json:"request_id"`
	Status, StatusCode               gojson.RawMessage
	StatusCode2                      gojson.RawMessage `json:"status_code"`
	Duration, Size, ResponseSize     gojson.RawMessage
	Headers                          gojson.RawMessage

	LogLevel, Level, Args, Message  gojson.RawMessage
	ErrorType, ExceptionType, Stack gojson.RawMessage
	StackTrace                      gojson.RawMessage
	StackTrace2                     gojson.RawMessage `json:"stack_trace"`
	EventName, Action, Online       gojson.RawMessage
	Data, Payload                   gojson.RawMessage
}

// Parse reads one line. bad says in some words why there is no event in it.
func Parse(raw []byte) (e Event, bad string) {
	// The library is not ours, and the lines are anybody's.
	defer func() {
		if recover() != nil {
			e, bad = Event{}, "it cannot be read"
		}
	}()
	if len(raw) == 0 || raw[0] != '{' {
		return Event{}, "it is no JSON object"
	}
	var f fields
	if bad := decode(raw, &f); bad != "" {
		return Event{}, bad
	}
	e.Type = cut(first(f.Type, f.EventType, f.EventType2), 200)
	if inner := first2(f.Data, f.Payload); len(inner) > 0 && inner[0] == '{' {
		// Some exports put what belongs to the type into an object of its own. What
		// stands outside counts first.
		outer := f
		f = fields{}
		if decode(inner, &f) == "" {
			f = outer.over(f)
		} else {
			f = outer
		}
		if e.Type == "" {
			e.Type = cut(first(f.Type, f.EventType, f.EventType2), 200)
		}
	}
	if e.Type == "" {
		return Event{}, "it names no type of event"
	}
	e.At, e.Offset = f.when()
	e.Took, e.Size = -1, -1
	f.fill(&e)
	return e, ""
}

// decode reads a JSON object.
func decode(raw []byte, f *fields) (bad string) {
	if err := gojson.Unmarshal(raw, f); err != nil {
		return "it is no whole JSON object"
	}
	return ""
}

// first is the first of some values that is not empty.
func first(values ...gojson.RawMessage) string {
	for _, v := range values {
		if s := text(v); s != "" {
			return s
		}
	}
	return ""
}

func first2(a, b gojson.RawMessage) gojson.RawMessage {
	if len(a) > 0 {
		return a
	}
	return b
}

// text is a value as people read it: a text without its quotes, nothing for
// null, anything else as it is written.
func text(v gojson.RawMessage) string {
	v = bytes.TrimSpace(v)
	if len(v) == 0 || string(v) == "null" {
		return ""
	}
	if v[0] != '"' {
		return string(v)
	}
	if len(v) < 2 || v[len(v)-1] != '"' {
		return ""
	}
	if inner := v[1 : len(v)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	return unquote(v)
}

func unquote(v []byte) (s string) {
	if gojson.Unmarshal(v, &s) != nil {
		return strings.Trim(string(v), `"`)
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// cut bounds a text in characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	n := 0
	for i := range s {
		if n == most {
			return strings.Clone(s[:i]) + "…"
		}
		n++
	}
	return s
}

// number reads a number that may be written as a text; ok is false for what is
// none.
func number(v gojson.RawMessage) (n float64, ok bool) {
	s := text(v)
	if s == "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// when is the time of an event, in any of the spellings.
func (f *fields) when() (at time.Time, offset time.Duration) {
	for _, v := range []gojson.RawMessage{f.Time, f.Timestamp, f.SessionTime} {
		if len(v) == 0 {
			continue
		}
		at, since, ok := moment(text(v))
		if !ok {
			continue
		}
		if !at.IsZero() {
			return at, 0
		}
		if offset == 0 {
			offset = since
		}
	}
	return time.Time{}, offset
}

// moment reads a time: RFC 3339, or a number that by its size is seconds,
// milliseconds, microseconds or nanoseconds since 1970, or, below 10^9, the
// milliseconds since the session began.
func moment(s string) (at time.Time, since time.Duration, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return at, 0, false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return momentOf(float64(n), n)
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		if math.IsNaN(n) || math.IsInf(n, 0) || n > math.MaxInt64 {
			return at, 0, false
		}
		return momentOf(n, int64(n))
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil && plausible(t) {
			return t.UTC().Truncate(time.Millisecond), 0, true
		}
	}
	return at, 0, false
}

func momentOf(n float64, whole int64) (at time.Time, since time.Duration, ok bool) {
	switch {
	case n < 0:
		return at, 0, false
	case n < 1e9:
		return at, time.Duration(n * float64(time.Millisecond)), true
	case n < 1e11:
		at = time.UnixMilli(int64(n * 1000))
	case n < 1e14:
		at = time.UnixMilli(whole)
	case n < 1e17:
		at = time.UnixMilli(whole / 1e3)
	default:
		at = time.UnixMilli(whole / 1e6)
	}
	return at.UTC(), 0, plausible(at)
}

// plausible says whether a time can be one of a recording: browsers' clocks may
// be wrong, but not by decades.
func plausible(t time.Time) bool { return t.Year() >= 2000 && t.Year() < 2200 }

// over is what f tells, and where it is silent, what inner does.
func (f fields) over(inner fields) fields {
	have, want := f.all(), inner.all()
	for i, v := range have {
		if len(*v) > 0 {
			*want[i] = *v
		}
	}
	return inner
}

func (f *fields) all() []*gojson.RawMessage {
	return []*gojson.RawMessage{
		&f.Type, &f.EventType, &f.EventType2, &f.Time, &f.Timestamp, &f.SessionTime,
		&f.RecordingID, &f.RecordingID2, &f.SessionID, &f.SessionID2, &f.ID, &f.UserID, &f.UserID2, &f.Email, &f.Name, &f.UserTraits, &f.Traits,
		&f.Browser, &f.OS, &f.Device, &f.BrowserVersion, &f.OSVersion, &f.Release, &f.Country, &f.City,
		&f.URL, &f.Href, &f.Title, &f.Text, &f.Selector, &f.Method, &f.ReqID, &f.RequestID, &f.RequestID2, &f.Status, &f.StatusCode, &f.StatusCode2,
		&f.Duration, &f.Size, &f.ResponseSize, &f.Headers, &f.LogLevel, &f.Level, &f.Args, &f.Message,
		&f.ErrorType, &f.ExceptionType, &f.Stack, &f.StackTrace, &f.StackTrace2, &f.EventName, &f.Action, &f.Online,
	}
}

// validCut cleans a text that may hold halves of characters.
func validCut(s string, most int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return cut(s, most)
}
