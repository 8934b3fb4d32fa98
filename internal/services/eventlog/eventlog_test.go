package eventlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"sightline/internal/services/eventlog"
)

// noon is the moment of the events below.
var noon = time.UnixMilli(1763812800123).UTC()

func TestEverySpellingIsRead(t *testing.T) {
	at := func(e eventlog.Event) eventlog.Event {
		e.At = noon
		if e.Part == eventlog.NoCall && e.Took == 0 {
			e.Took, e.Size = -1, -1
		}
		return e
	}
	plain := at(eventlog.Event{Type: "x"})
	tests := []struct {
		name, line string
		want       eventlog.Event
	}{
		{"type and time", `{"type":"x","time":1763812800123}`, plain},
		{"eventType and timestamp", `{"eventType":"x","timestamp":1763812800123}`, plain},
		{"event_type and session_time", `{"event_type":"x","session_time":1763812800123}`, plain},
		{"time as text", `{"type":"x","time":"1763812800123"}`, plain},
		{"time as RFC 3339", `{"type":"x","time":"2025-11-22T12:00:00.123Z"}`, plain},
		{"time with a zone", `{"type":"x","time":"2025-11-22T14:00:00.123+02:00"}`, plain},
		{"time with a space", `{"type":"x","time":"2025-11-22 12:00:00.123"}`, plain},
		{"time as a broken number", `{"type":"x","time":1763812800123.75}`, plain},
		{"time in seconds", `{"type":"x","time":1763812800.123}`, plain},
		{"time in microseconds", `{"type":"x","time":1763812800123456}`, plain},
		{"time in nanoseconds", `{"type":"x","time":"1763812800123456789"}`, plain},
		{"time since the beginning", `{"type":"x","session_time":4500}`, eventlog.Event{Type: "x", Offset: 4500 * time.Millisecond, Took: -1, Size: -1}},
		{"a real time beside one since the beginning", `{"type":"x","session_time":4500,"timestamp":1763812800123}`, plain},
		{"no time", `{"type":"x"}`, eventlog.Event{Type: "x", Took: -1, Size: -1}},
		{"a time that is none", `{"type":"x","time":{"a":1}}`, eventlog.Event{Type: "x", Took: -1, Size: -1}},
		{"a time of long ago", `{"type":"x","time":"0001-01-01T00:00:00Z"}`, eventlog.Event{Type: "x", Took: -1, Size: -1}},
		{"the last of two counts", `{"type":"y","type":"x","time":1,"time":1763812800123}`, plain},
		{"an object of its own", `{"type":"click","time":1763812800123,"data":{"text":"Pay","time":5}}`, at(eventlog.Event{Type: "click", Lane: eventlog.Input, Text: "Pay"})},
		{"everything inside", `{"payload":{"type":"x","time":1763812800123}}`, plain},

		{"identify", `{"type":"lr.Identify","time":1763812800123,"userID":"u/1","userTraits":{"name":"Ada","email":"ada@example.com","plan":"pro"}}`,
			at(eventlog.Event{Type: "lr.Identify", Who: &eventlog.Who{UserID: "u/1", Name: "Ada", Email: "ada@example.com"}})},
		{"user", `{"eventType":"user","time":1763812800123,"id":17,"email":"ada@example.com"}`,
			at(eventlog.Event{Type: "user", Who: &eventlog.Who{UserID: "17", Email: "ada@example.com"}})},
		{"metadata", `{"type":"lr.Metadata","time":1763812800123,"recordingID":"6-x","sessionID":2,"browser":"Chrome","browserVersion":"131.0","os":"macOS","osVersion":15,"device":"Desktop","country":"New Zealand","city":"Wellington","release":"4.1"}`,
			at(eventlog.Event{Type: "lr.Metadata", Who: &eventlog.Who{RecordingID: "6-x", SessionID: "2", Browser: "Chrome 131.0", OS: "macOS 15", Device: "Desktop", Country: "New Zealand", City: "Wellington", Release: "4.1"}})},
		{"the recording in any event", `{"type":"x","time":1763812800123,"recording_id":"6-x","session_id":"2","email":"not@read.here"}`,
			at(eventlog.Event{Type: "x", Who: &eventlog.Who{RecordingID: "6-x", SessionID: "2"}})},

		{"custom", `{"type":"lr.CustomEvent","time":1763812800123,"name":"bought","properties":{"n":1}}`, at(eventlog.Event{Type: "lr.CustomEvent", Lane: eventlog.Custom, Text: "bought"})},
		{"streamed custom", `{"event_type":"customEvent","time":1763812800123,"eventName":"bought"}`, at(eventlog.Event{Type: "customEvent", Lane: eventlog.Custom, Text: "bought"})},
		{"log", `{"type":"lr.core.LogEvent","time":1763812800123,"logLevel":"WARNING","args":["took",12,{"a":[1]},null,"\u00fcber"]}`,
			at(eventlog.Event{Type: "lr.core.LogEvent", Lane: eventlog.Console, Level: "warn", Text: `took 12 {"a":[1]}  über`})},
		{"exception", `{"type":"lr.core.Exception","time":1763812800123,"exceptionType":"UNHANDLED_EXCEPTION","errorType":"TypeError","message":"x is null","stack":"at f (a.js:1:2)"}`,
			at(eventlog.Event{Type: "lr.core.Exception", Lane: eventlog.Error, ErrorType: "TypeError", Message: "x is null", Text: "TypeError: x is null", Stack: "at f (a.js:1:2)"})},
		{"streamed exception", `{"type":"exception","time":1763812800123,"exceptionType":"MESSAGE","message":"sad","stackTrace":[{"functionName":"f","fileName":"a.js","lineNumber":1},{}]}`,
			at(eventlog.Event{Type: "exception", Lane: eventlog.Error, ErrorType: "MESSAGE", Message: "sad", Text: "MESSAGE: sad", Stack: "at f (a.js:1)\nat (anonymous)"})},
		{"request", `{"type":"lr.network.RequestEvent","time":1763812800123,"reqId":"0-1","url":"https://api.example.com/a?b=c","method":"post","headers":{},"body":"x"}`,
			at(eventlog.Event{Type: "lr.network.RequestEvent", Lane: eventlog.Network, Part: eventlog.Request, ReqID: "0-1", Method: "POST", URL: "https://api.example.com/a?b=c", Took: -1, Size: -1})},
		{"response", `{"type":"lr.network.ResponseEvent","time":1763812800123,"reqId":7,"status":"502"}`,
			at(eventlog.Event{Type: "lr.network.ResponseEvent", Lane: eventlog.Network, Part: eventlog.Response, ReqID: "7", Status: 502, Took: -1, Size: -1})},
		{"a length in the headers", `{"type":"lr.network.ResponseEvent","time":1763812800123,"reqId":7,"status":200,"headers":{"Content-Length":"1234","x":{"y":1}}}`,
			at(eventlog.Event{Type: "lr.network.ResponseEvent", Lane: eventlog.Network, Part: eventlog.Response, ReqID: "7", Status: 200, Took: -1, Size: 1234})},
		{"streamed response", `{"type":"networkResponse","time":1763812800123,"url":"/a","method":"GET","statusCode":200,"duration":81.5,"responseSize":9}`,
			at(eventlog.Event{Type: "networkResponse", Lane: eventlog.Network, Part: eventlog.Whole, Method: "GET", URL: "/a", Status: 200, Took: 81500 * time.Microsecond, Size: 9})},
		{"network status", `{"type":"lr.network.NetworkStatusEvent","time":1763812800123,"online":false}`, at(eventlog.Event{Type: "lr.network.NetworkStatusEvent", Lane: eventlog.Network, Text: "false"})},
		{"redux", `{"type":"lr.redux.ReduxAction","time":1763812800123,"action":{"type":"cart/add"}}`, at(eventlog.Event{Type: "lr.redux.ReduxAction", Text: "cart/add"})},
		{"click", `{"type":"click","time":1763812800123,"text":"Pay","selector":"button.pay"}`, at(eventlog.Event{Type: "click", Lane: eventlog.Input, Text: "Pay", Selector: "button.pay"})},
		{"dead click", `{"type":"deadClick","time":1763812800123,"selector":"b"}`, at(eventlog.Event{Type: "deadClick", Lane: eventlog.Input, Text: "b", Selector: "b"})},
		{"masked input", `{"type":"inputChange","time":1763812800123,"text":"*****","selector":"input"}`, at(eventlog.Event{Type: "inputChange", Lane: eventlog.Input, Text: "input", Selector: "input"})},
		{"navigation", `{"type":"navigation","time":1763812800123,"url":"https://x.y/z","title":"Cart"}`, at(eventlog.Event{Type: "navigation", Lane: eventlog.Navigation, Text: "Cart", URL: "https://x.y/z"})},
		{"streamed session", `{"type":"session","time":1763812800123,"recordingID":"5-y"}`, at(eventlog.Event{Type: "session", Who: &eventlog.Who{RecordingID: "5-y"}})},
		{"an unknown click", `{"type":"lr.browser.MiddleClick","time":1763812800123}`, at(eventlog.Event{Type: "lr.browser.MiddleClick", Lane: eventlog.Input})},
		{"unknown", `{"type":"acme.New","time":1763812800123,"note":"n","nested":{"deep":[1]}}`, at(eventlog.Event{Type: "acme.New"})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, bad := eventlog.Parse([]byte(tt.line))
			if bad != "" {
				t.Fatalf("bad: %s", bad)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("read otherwise (-want +got):\n%s", d)
			}
		})
	}
}

func TestWhatFailedIsTold(t *testing.T) {
	for line, want := range map[string]bool{
		`{"type":"exception"}`:                          true,
		`{"type":"log","level":"error"}`:                true,
		`{"type":"log","level":"warn"}`:                 false,
		`{"type":"networkResponse","status":404}`:       true,
		`{"type":"networkResponse","status":304}`:       false,
		`{"type":"lr.network.RequestEvent","status":1}`: false,
	} {
		if e, bad := eventlog.Parse([]byte(line)); bad != "" || e.Failed() != want {
			t.Errorf("%s failed: %t (%s)", line, e.Failed(), bad)
		}
	}
}

// read reads a file to its end: the types of its events, and what is bad by
// number.
func read(t *testing.T, r io.Reader, o eventlog.Options) (types []string, bad map[int64]string, stats eventlog.Stats) {
	t.Helper()
	rd, err := eventlog.NewReader(r, o)
	if err != nil {
		t.Fatal(err)
	}
	bad = map[int64]string{}
	for {
		line, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return types, bad, rd.Stats()
		}
		if err != nil {
			t.Fatal(err)
		}
		if line.Bad != "" {
			bad[line.Number] = line.Bad
			continue
		}
		types = append(types, line.Event.Type)
	}
}

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBadLinesAreToldAndTheRestIsRead(t *testing.T) {
	long := `{"type":"long","x":"` + strings.Repeat("x", 300<<10) + `"}`
	file := "\xef\xbb\xbf" + `{"type":"first"}` + "\r\n\n" + `[1,2,3]` + "\n" + `"text"` + "\n" + `{"type":` + "\n" + "\x00\xff\xfe\n" +
		`{"noType":true}` + "\n" + long + "\n" + `{"type":"b` + "\xff" + `d"}` + "\n" + `{"type":"deep","x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}\n" + `{"type":"last"}`
	want := map[int64]string{
		3: "it is no JSON object", 4: "it is no JSON object", 5: "it is no whole JSON object", 6: "it is no JSON object",
		7: "it names no type of event", 10: "it is no whole JSON object",
	}
	for name, data := range map[string][]byte{"plain": []byte(file), "gzip": zipped(t, file)} {
		for _, in := range []io.Reader{bytes.NewReader(data), iotest.OneByteReader(bytes.NewReader(data))} {
			types, bad, stats := read(t, in, eventlog.Options{})
			if d := cmp.Diff([]string{"first", "long", "b\uFFFDd", "last"}, types); d != "" {
				t.Errorf("%s: %s", name, d)
			}
			if d := cmp.Diff(want, bad); d != "" {
				t.Errorf("%s: %s", name, d)
			}
			if d := cmp.Diff(eventlog.Stats{Lines: 10, Bad: 6, Repaired: 2, Bytes: int64(len(file)), Gzip: name == "gzip"}, stats); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
	}
}

func TestALongLineIsSkippedToItsEnd(t *testing.T) {
	for _, size := range []int{64<<10 - 1, 64 << 10, 64<<10 + 1, 600 << 10} {
		frame := `{"type":"x","a":""}`
		line := `{"type":"x","a":"` + strings.Repeat("a", size-len(frame)) + `"}`
		types, bad, _ := read(t, strings.NewReader(line+"\n"+`{"type":"next"}`), eventlog.Options{MaxLine: 64 << 10})
		want := []string{"x", "next"}
		if size > 64<<10 {
			want = want[1:]
		}
		if d := cmp.Diff(want, types); d != "" || len(bad) != 2-len(want) {
			t.Errorf("%d bytes: bad %v\n%s", size, bad, d)
		}
	}
}

func TestBrokenFilesEndInAFault(t *testing.T) {
	whole := zipped(t, strings.Repeat(`{"type":"x","time":1763812800123}`+"\n", 20_000))
	damaged := bytes.Clone(whole)
	for i := len(damaged) / 2; i < len(damaged)/2+40; i++ {
		damaged[i] ^= 0x5a
	}
	bomb := zipped(t, strings.Repeat(`{"type":"x","n":"`+strings.Repeat(" ", 4000)+"\"}\n", 4000))
	tests := []struct {
		name  string
		file  []byte
		limit int64
		fault eventlog.Fault
		some  bool // some events were read
	}{
		{"truncated", whole[:len(whole)/2], 0, eventlog.FaultTruncated, true},
		{"cut in the header", whole[:5], 0, eventlog.FaultTruncated, false},
		{"damaged", damaged, 0, eventlog.FaultCorrupt, true},
		{"more after it", append(bytes.Clone(whole), "garbage after the end"...), 0, eventlog.FaultCorrupt, true},
		{"bomb", bomb, 1 << 20, eventlog.FaultTooLarge, true},
		{"exactly at the limit", zipped(t, `{"type":"x"}`), 12, "", true},
		{"two in one", append(bytes.Clone(whole), whole...), 0, "", true},
		{"empty", nil, 0, "", false},
		{"packed twice", zipped(t, string(whole)), 0, "", true},
		{"packed twice and cut", zipped(t, string(whole[:len(whole)/2])), 0, eventlog.FaultTruncated, true},
		{"packed twice, the inner one cut in its header", zipped(t, string(whole[:5])), 0, eventlog.FaultTruncated, false},
		{"a bomb in a file", zipped(t, string(bomb)), 1 << 20, eventlog.FaultTooLarge, true},
		{"packed three times", zipped(t, string(zipped(t, string(whole)))), 0, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			types, bad, stats := read(t, bytes.NewReader(tt.file), eventlog.Options{MaxBytes: tt.limit})
			if stats.Fault != tt.fault || (len(types) > 0) != tt.some || len(bad) > 20 {
				t.Errorf("fault %q after %d events, bad %v", stats.Fault, len(types), bad)
			}
			if tt.limit > 0 && stats.Bytes > tt.limit {
				t.Errorf("%d bytes were read, of at most %d", stats.Bytes, tt.limit)
			}
		})
	}
}

func TestWhatTheReaderBelowFailsWithIsReturned(t *testing.T) {
	boom := errors.New("boom")
	for _, file := range [][]byte{[]byte(`{"type":"x"}` + "\n"), zipped(t, `{"type":"x"}`)} {
		rd, err := eventlog.NewReader(io.MultiReader(bytes.NewReader(file[:len(file)-1]), iotest.ErrReader(boom)), eventlog.Options{})
		for err == nil {
			_, err = rd.Next()
		}
		if !errors.Is(err, boom) {
			t.Errorf("failed with %v", err)
		}
	}
}

// endless makes a file of some size while it is read.
type endless struct {
	left  int64
	lines []byte
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p, e.lines[e.at:])
	e.at = (e.at + n) % len(e.lines)
	e.left -= int64(n)
	return n, nil
}

func TestMemoryStaysTheSame(t *testing.T) {
	var many bytes.Buffer
	for i := range 500 {
		fmt.Fprintf(&many, `{"type":"lr.core.LogEvent","time":%d,"args":["%s"]}`+"\n", 1763812800123+i, strings.Repeat("w", 500))
	}
	for name, lines := range map[string][]byte{"lines": many.Bytes(), "one endless line": []byte(`{"type":"x","a":"aaaaaaaaaaaaaaaaaaaaaaaaaaaa`), "deep": []byte(strings.Repeat(`{"a":[`, 100))} {
		t.Run(name, func(t *testing.T) {
			rd, err := eventlog.NewReader(&endless{left: 100 << 20, lines: lines}, eventlog.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var most uint64
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			before := m.HeapInuse
			for n := 0; err == nil; n++ {
				if _, err = rd.Next(); n%20_000 == 0 {
					runtime.ReadMemStats(&m)
					most = max(most, m.HeapInuse-min(before, m.HeapInuse))
				}
			}
			if !errors.Is(err, io.EOF) || rd.Stats().Bytes < 100<<20 {
				t.Fatalf("%v after %d bytes", err, rd.Stats().Bytes)
			}
			if most > 40<<20 {
				t.Errorf("%d MB of memory", most>>20)
			}
		})
	}
}

func TestALineOfManyLevelsIsReadOrRefusedButNeverHarms(t *testing.T) {
	nested := func(levels int) []byte {
		return []byte(`{"type":"click","text":"x","deep":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + "}")
	}
	if e, bad := eventlog.Parse(nested(9_000)); bad != "" || e.Text != "x" {
		t.Errorf("9,000 levels: %q, %+v", bad, e)
	}
	if _, bad := eventlog.Parse(nested(2_000_000)); bad != "it is no whole JSON object" {
		t.Errorf("2,000,000 levels: %q", bad)
	}
}
