package sandbox

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// listExports gives addresses of recordings, oldest first. The cursor is the
// time (ms) at which the last recording on the page was complete; a page without
// recordings repeats the cursor it was asked with.
func (k *rocket) listExports(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, after := 10, int64(0)
	var err error
	if v := q.Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > 100 {
			badRequest(w, "limit must be an integer between 1 and 100")
			return
		}
	}
	if v := q.Get("date"); v != "" {
		if after, err = strconv.ParseInt(v, 10, 64); err != nil {
			badRequest(w, "date must be a unix timestamp in milliseconds")
			return
		}
		after-- // a date lets its own millisecond in, a cursor does not
	}
	if v := q.Get("cursor"); v != "" {
		if after, err = strconv.ParseInt(v, 10, 64); err != nil {
			badRequest(w, "Invalid cursor")
			return
		}
	}
	page := k.s.company.exportsAfter(after, limit)
	sessions := make([]map[string]string, 0, len(page))
	for _, e := range page {
		after = e.done
		sessions = append(sessions, map[string]string{"url": k.exportURL(e)})
	}
	if k.s.live() {
		writeJSON(w, http.StatusOK, map[string]any{"cursor": after, "sessions": sessions})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"cursor": strconv.FormatInt(after, 10), "sessions": sessions})
}

func (k *rocket) exportURL(e export) string {
	name := k.s.company.recording(int(e.row)).String() + ".jsonl"
	expires := strconv.FormatInt(k.s.opts.Now().Add(k.s.opts.ExportURLLifetime).Unix(), 10)
	return k.s.logrocketURL + "/_export/" + name + "?" + url.Values{"expires": {expires}, "sig": {k.sign(name, expires)}}.Encode()
}

func (k *rocket) sign(name, expires string) string {
	m := hmac.New(sha256.New, k.s.signKey)
	m.Write([]byte(name + "\n" + expires))
	return hex.EncodeToString(m.Sum(nil))
}

// exportFile serves one recording to whoever holds its address, as a storage
// bucket does: our key is not wanted there, and errors are XML.
func (k *rocket) exportFile(w http.ResponseWriter, r *http.Request) {
	refuse := func(code int, what, msg string) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>", what, msg)
	}
	name, q := strings.TrimPrefix(r.URL.Path, "/_export/"), r.URL.Query()
	expires, _ := strconv.ParseInt(q.Get("expires"), 10, 64)
	if r.Header.Get("Authorization") != "" {
		refuse(http.StatusBadRequest, "InvalidArgument", "Only one auth mechanism allowed")
		return
	}
	if !same(q.Get("sig"), k.sign(name, q.Get("expires"))) {
		refuse(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
		return
	}
	if k.s.opts.Now().Unix() > expires {
		refuse(http.StatusForbidden, "AccessDenied", "Request has expired")
		return
	}
	rec, number, _ := strings.Cut(strings.TrimSuffix(name, ".jsonl"), "/")
	n, _ := strconv.Atoi(number)
	row, ok := k.s.company.rowByRecording(Recording{rec, n})
	if !ok {
		refuse(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
		return
	}
	k.writeExport(w, row)
}

// writeExport serves one file in three plain, one gzipped without saying so,
// one gzipped and saying so.
func (k *rocket) writeExport(w http.ResponseWriter, row int) {
	lines := k.s.company.exportLines(row)
	w.Header().Set("Content-Type", "application/octet-stream")
	if row%3 != 0 {
		var buf bytes.Buffer
		z := gzip.NewWriter(&buf)
		_, _ = z.Write(lines) // to memory
		_ = z.Close()
		lines = buf.Bytes()
		if row%3 == 2 {
			w.Header().Set("Content-Encoding", "gzip")
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(lines)))
	_, _ = io.Copy(w, bytes.NewReader(lines))
}

// exportLines is a recording's file: JSON Lines. LogRocket documents no format,
// so each file uses one of the spellings that have been seen for an event's type
// and time, and one file in twenty has lines that are rotten.
func (c *Company) exportLines(row int) []byte {
	s := c.detail(row)
	typeKey := []string{"type", "eventType", "event_type"}[row%3]
	timeKey := []string{"time", "timestamp", "session_time"}[row/3%3]
	form := row / 9 % 3
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	events := c.events(&s)
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
		add(at.Add(took), "lr.network.ResponseEvent", map[string]any{"reqId": id, "status": status, "method": method, "headers": map[string]string{"content-type": "application/json"}})
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
	}
	for _, e := range s.Errors {
		if e.View == n {
			g := c.cat.errors[e.group]
			add(e.At, "lr.core.Exception", map[string]any{"exceptionType": "UNHANDLED_EXCEPTION", "errorType": g.kind, "message": g.message, "url": v.URL})
			add(e.At.Add(3*time.Millisecond), "lr.core.LogEvent", map[string]any{"logLevel": "error", "args": []any{g.title}})
		}
	}
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
