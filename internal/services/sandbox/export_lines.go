package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// exportLines is a recording's file: JSON Lines. LogRocket documents no format,
// so each file uses one of the spellings that have been seen for an event's type
// and time, one in four the names of the streaming product, and one in twenty
// has lines that are rotten.
func (c *Company) exportLines(row int) []byte {
	s := c.detail(row)
	typeKey := []string{"type", "eventType", "event_type"}[row%3]
	timeKey := []string{"time", "timestamp", "session_time"}[row/3%3]
	form := row / 9 % 3
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	events := c.events(&s)
	if row%4 == 1 {
		events = streamed(events)
	}
	for n, e := range events {
		e.fields[typeKey] = e.kind
		switch form {
		case 0:
			e.fields[timeKey] = e.at.UnixMilli()
		case 1:
			e.fields[timeKey] = strconv.FormatInt(e.at.UnixMilli(), 10)
		default:
			e.fields[timeKey] = e.at.Format("2006-01-02T15:04:05.000Z07:00")
		}
		_ = enc.Encode(e.fields) // strings and numbers only
		if row%20 == 3 && n == len(events)/2 {
			out.WriteString("{\"type\":\"lr.core.LogEvent\",\"time\":17\n\n[1,2,3]\n\"only a string\"\n\x00\xff\xfe\n{\"noType\":true}\n")
		}
	}
	if row%20 == 13 { // as if writing had been broken off
		out.Truncate(out.Len() - 9)
	}
	return out.Bytes()
}

// streamedNames are what the streaming product calls what the SDK records.
var streamedNames = map[string]string{
	"lr.Metadata": "session", "lr.Identify": "user", "lr.CustomEvent": "customEvent",
	"lr.core.Exception": "exception", "lr.network.ResponseEvent": "networkResponse",
}

// streamed tells events as the streaming product does: under its own names, and
// a request only once it was answered, with how long that took.
func streamed(events []event) []event {
	out, asked := events[:0], map[any]event{}
	for _, e := range events {
		if e.kind == "lr.network.RequestEvent" {
			asked[e.fields["reqId"]] = e
			continue
		}
		if q, ok := asked[e.fields["reqId"]]; ok && e.kind == "lr.network.ResponseEvent" {
			e.fields["url"], e.fields["duration"] = q.fields["url"], e.at.Sub(q.at).Milliseconds()
			delete(e.fields, "reqId")
		}
		if name, ok := streamedNames[e.kind]; ok {
			e.kind = name
		}
		out = append(out, e)
	}
	return out
}

// event is one thing that LogRocket recorded.
type event struct {
	at     time.Time
	kind   string
	fields map[string]any
}

// events are the recording of a session, in order: the same pages, times and
// errors that Raygun has, with what people pressed and what the pages asked for.
func (c *Company) events(s *Session) []event {
	r := rand.New(rand.NewPCG(s.seed, 2))
	var out []event
	add := func(at time.Time, kind string, f map[string]any) {
		out = append(out, event{at.Truncate(time.Millisecond), kind, f})
	}
	add(s.Start, "lr.Metadata", map[string]any{"recordingID": s.Recording.RecordingID, "sessionID": s.Recording.SessionID, "browser": s.Browser, "browserVersion": s.BrowserVersion, "os": s.OS, "osVersion": s.OSVersion, "device": s.Platform, "country": s.CountryName, "city": s.City, "release": c.release(s.Start)})
	if p := s.Customer; p != nil {
		add(s.Start.Add(120*time.Millisecond), "lr.Identify", map[string]any{"userID": p.UserID, "userTraits": map[string]any{"name": p.FullName, "email": p.Email, "plan": c.traits(*p)["plan"]}})
	}
	for v := range s.PageViews {
		c.viewEvents(s, v, r, add)
	}
	for i := 1; i < len(out); i++ { // nearly sorted already
		for j := i; j > 0 && out[j].at.Before(out[j-1].at); j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

func (c *Company) viewEvents(s *Session, n int, r *rand.Rand, add func(time.Time, string, map[string]any)) {
	v := s.PageViews[n]
	p := &c.cat.pages[v.page]
	stay := s.Start.Add(s.Length).Sub(v.At)
	if n+1 < len(s.PageViews) {
		stay = s.PageViews[n+1].At.Sub(v.At)
	}
	in := func(share float64) time.Time { return v.At.Add(time.Duration(share * float64(stay))) }
	add(v.At, "navigation", map[string]any{"url": v.URL, "title": v.Name, "loadTime": v.Loading.Milliseconds()})
	for i, call := range p.calls {
		method, path, _ := strings.Cut(call, " ")
		if strings.Contains(path, "%d") {
			path = strings.ReplaceAll(path, "%d", strconv.Itoa(1000+r.IntN(9000)))
		}
		failed := strings.HasPrefix(method, "POST") && c.hasError(s, n)
		status, took := 200, time.Duration(40+r.ExpFloat64()*220)*time.Millisecond
		if failed {
			status, took = []int{500, 502, 504}[r.IntN(3)], took*6
		}
		id, at := fmt.Sprintf("%d-%d", n, i), in(0.02+0.1*r.Float64())
		add(at, "lr.network.RequestEvent", map[string]any{"reqId": id, "url": "https://api.example.com" + path, "method": method, "headers": map[string]string{"accept": "application/json"}})
		add(at.Add(took), "lr.network.ResponseEvent", map[string]any{"reqId": id, "status": status, "method": method, "headers": map[string]string{"content-type": "application/json", "content-length": strconv.Itoa(120 + int(took.Milliseconds())*7)}})
	}
	pressed := r.IntN(len(p.actions) + 1)
	if c.hasError(s, n) { // people try everything, and the last thing in vain
		pressed = len(p.actions)
	}
	for i, a := range p.actions[:pressed] {
		kind := "click"
		if c.hasError(s, n) && i == len(p.actions)-1 {
			kind = "deadClick"
		}
		add(in(0.15+0.7*float64(i+1)/float64(len(p.actions)+1)), kind, map[string]any{"text": a, "selector": fmt.Sprintf("main button:nth-of-type(%d)", i+1), "x": r.IntN(1200), "y": r.IntN(900)})
	}
	switch r.IntN(6) {
	case 0:
		add(in(0.3), "lr.core.LogEvent", map[string]any{"logLevel": []string{"log", "info", "warn", "debug"}[r.IntN(4)], "args": []any{"render", v.Name, r.IntN(400)}})
	case 1:
		add(in(0.4), "inputChange", map[string]any{"selector": "input[name=q]", "text": "*****"})
	case 2:
		add(in(0.5), "lr.redux.ReduxAction", map[string]any{"action": map[string]any{"type": "view/loaded", "payload": r.IntN(90)}, "duration": r.IntN(12)})
	case 3:
		add(in(0.2), "lr.CustomEvent", map[string]any{"name": "viewed " + v.Name, "properties": map[string]any{"position": n}})
	case 4:
		add(in(0.6), "acme.SomethingNew", map[string]any{"note": "a type that no reader knows", "nested": map[string]any{"deep": []int{1, 2, 3}}})
	case 5:
		if n%2 == 1 {
			add(in(0.6), "lr.network.NetworkStatusEvent", map[string]any{"online": false})
			add(in(0.65), "lr.network.NetworkStatusEvent", map[string]any{"online": true})
		}
	}
	for _, e := range s.Errors {
		if e.View == n {
			g := c.cat.errors[e.group]
			add(e.At, "lr.core.Exception", map[string]any{"exceptionType": "UNHANDLED_EXCEPTION", "errorType": g.kind, "message": g.message, "url": v.URL, "stackTrace": frames(v.URL, g.id)})
			add(e.At.Add(3*time.Millisecond), "lr.core.LogEvent", map[string]any{"logLevel": "error", "args": []any{g.title}})
		}
	}
}

// frames are a made-up stack of the same error, the same each time.
func frames(page string, group int64) []map[string]any {
	site := page
	if at := strings.Index(page, "://"); at >= 0 {
		if end := strings.IndexByte(page[at+3:], '/'); end >= 0 {
			site = page[:at+3+end]
		}
	}
	var out []map[string]any
	for i, name := range []string{"submit", "dispatch", "HTMLButtonElement.onclick"} {
		out = append(out, map[string]any{"functionName": name, "url": site + "/assets/app.js", "lineNumber": 1 + group%7, "columnNumber": 1000*(int64(i)+1) + group%1000})
	}
	return out
}

func (c *Company) hasError(s *Session, view int) bool {
	for _, e := range s.Errors {
		if e.View == view {
			return true
		}
	}
	return false
}

// release is the version the sites ran at a time: one a week.
func (c *Company) release(at time.Time) string {
	return fmt.Sprintf("4.%d.%d", 18-min(18, max(0, (c.today-at.UnixMilli())/dayMS/7)), int64(at.Weekday())/3)
}
