package eventlog

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// standard is [fields] as the standard library reads it.
type standard struct {
	Type, EventType json.RawMessage
	EventType2      json.RawMessage `json:"event_type"`
	Time, Timestamp json.RawMessage
	SessionTime     json.RawMessage `json:"session_time"`

	RecordingID                                    json.RawMessage
	RecordingID2                                   json.RawMessage `json:"recording_id"`
	SessionID                                      json.RawMessage
	SessionID2                                     json.RawMessage `json:"session_id"`
	ID, UserID                                     json.RawMessage
	UserID2                                        json.RawMessage `json:"user_id"`
	Email, Name, UserTraits, Traits                json.RawMessage
	Browser, OS, Device, BrowserVersion, OSVersion json.RawMessage
	Release, Country, City                         json.RawMessage
	URL, Href, Title, Text, Selector               json.RawMessage
	Method, ReqID, RequestID                       json.RawMessage
	RequestID2                                     json.RawMessage `json:"request_id"`
	Status, StatusCode                             json.RawMessage
	StatusCode2                                    json.RawMessage `json:"status_code"`
	Duration, Size, ResponseSize, Headers          json.RawMessage
	LogLevel, Level, Args, Message                 json.RawMessage
	ErrorType, ExceptionType, Stack, StackTrace    json.RawMessage
	StackTrace2                                    json.RawMessage `json:"stack_trace"`
	EventName, Action, Online, Data, Payload       json.RawMessage
}

// FuzzParse compares what is taken out of a line with what the standard library
// reads in it, and what is refused with what that refuses.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		`{"type":"lr.network.RequestEvent","time":1763812800123,"reqId":"1","url":"https://a.b/c","method":"GET","headers":{"a":["b"]}}`,
		`{"event_type":"x","session_time":"17","TYPE":"y","type":null,"typE":[1,{"a":"\ud83d\ude00\u0000\/"}]}`,
		`{"eventType":"log","args":["a",1.5e3,null,true,{"b":[]}],"level":"WARN"}`,
		`{"type":"a","type":"b","data":{"type":"c","time":"2025-11-22T12:00:00Z"}}`,
		`{"type":"exception","message":"\"quoted\" \\ \n","stack":[{"functionName":"f"}]}`,
		` {"type" : "x" , "time" : -0.0e-1 } `, `{}`, `[]`, `{"type":"x"}x`, `{"type":"\ud800"}`, "{\"type\":\"\xff\"}", `{"type":"x",}`, `{"a":01,"type":"x"}`,
		`{"type":"x","\u0074ype":"y","ſtatus":1,"Kind":2,"time":NaN}`, `{"type":"x","ſtatus":200,"BROW\u017fER":"b"}`, "{\"type\":\"a\tb\"}",
		`{"type":"lr.Identify","userID":"u","userTraits":{"email":"a@b.c","name":{"x":1}}}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !utf8.Valid(raw) || bytes.ContainsAny(raw, "\r\n") {
			return // the reader mends one and cuts at the other
		}
		raw = bytes.TrimSpace(raw)
		e, bad := Parse(raw)
		if (bad == "") != (e.Type != "") {
			t.Errorf("bad %q, type %q", bad, e.Type)
		}
		for _, s := range []string{e.Type, e.Text, e.URL, e.Stack, e.Message} {
			if !utf8.ValidString(s) {
				t.Errorf("%q is no valid text", s)
			}
		}
		if len(raw) == 0 || raw[0] != '{' {
			return
		}
		if valid(string(raw)) != json.Valid(raw) {
			t.Fatalf("%q is valid: %v, and not: %v", raw, json.Valid(raw), valid(string(raw)))
		}
		var want standard
		if json.Unmarshal(raw, &want) != nil {
			return
		}
		var got fields
		got.read(string(raw))
		w, g := reflect.ValueOf(want), reflect.ValueOf(got)
		if w.NumField() != g.NumField() {
			t.Fatal("the two sets of fields are not the same")
		}
		for i := range w.NumField() {
			name := w.Type().Field(i).Name
			a, b := bytes.TrimSpace(w.Field(i).Bytes()), g.FieldByName(name).String()
			if string(a) != b {
				t.Errorf("field %s of %q is %q and not %q", name, raw, b, a)
			}
			var s string
			if b != "" && b[0] == '"' && json.Unmarshal([]byte(b), &s) == nil && text(b) != s {
				t.Errorf("text %q is read as %q", b, text(b))
			}
		}
	})
}
