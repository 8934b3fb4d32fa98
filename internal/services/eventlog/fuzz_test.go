package eventlog

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	gojson "github.com/goccy/go-json"
)

// FuzzParse compares what is taken out of a line with what the standard library
// reads in it. The library that reads the lines looks into what it skips less
// closely, so only lines that are JSON are compared; the others must do no harm.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		`{"type":"lr.network.RequestEvent","time":1763812800123,"reqId":"1","url":"https://a.b/c","method":"GET","headers":{"a":["b"]}}`,
		`{"event_type":"x","session_time":"17","TYPE":"y","type":null,"typE":[1,{"a":"\ud83d\ude00\u0000\/"}]}`,
		`{"eventType":"log","args":["a",1.5e3,null,true,{"b":[]}],"level":"WARN"}`,
		`{"type":"a","type":"b","data":{"type":"c","time":"2025-11-22T12:00:00Z"}}`,
		`{"type":"exception","message":"\"quoted\" \\ \n","stack":[{"functionName":"f"}]}`,
		` {"type" : "x" , "time" : -0.0e-1 } `, `{}`, `[]`, `{"type":"x"}x`, `{"type":"\ud800"}`, "{\"type\":\"\xff\"}", `{"type":"x",}`, `{"a":01,"type":"x"}`,
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
		if !json.Valid(raw) || len(raw) == 0 || raw[0] != '{' {
			return
		}
		var want, got fields
		if err := json.Unmarshal(raw, &want); err != nil {
			return
		}
		if err := gojson.Unmarshal(raw, &got); err != nil {
			t.Fatalf("refused %q: %v", raw, err)
		}
		w, g := want.all(), got.all()
		for i := range w {
			if a, b := bytes.TrimSpace(*w[i]), bytes.TrimSpace(*g[i]); !bytes.Equal(a, b) {
				t.Errorf("field %s of %q is %q and not %q", reflect.TypeFor[fields]().Field(i).Name, raw, b, a)
			}
			var s string
			if v := *g[i]; len(v) > 0 && v[0] == '"' && json.Unmarshal(v, &s) == nil && text(gojson.RawMessage(v)) != s {
				t.Errorf("text %q is read as %q", v, text(gojson.RawMessage(v)))
			}
		}
	})
}
