package sandbox_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

type exportPage struct {
	Cursor   json.RawMessage
	Sessions []struct{ URL string }
}

func TestExportsAreWalkedByCursor(t *testing.T) {
	for _, d := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		t.Run(string(d), func(t *testing.T) {
			s, _ := start(t, sandbox.Options{Dialect: d})
			cursor, seen := "", map[string]bool{}
			for {
				var got exportPage
				addr := app(s, "data-export/?limit=100&cursor="+cursor)
				a := mustSend(t, "GET", addr, token(s), nil)
				if d == sandbox.DialectContract {
					a = contract(t, s, "GET", addr, nil)
				}
				a.json(t, &got)
				if quoted := got.Cursor[0] == '"'; quoted != (d == sandbox.DialectContract) {
					t.Fatalf("the cursor is %s", got.Cursor)
				}
				next := strings.Trim(string(got.Cursor), `"`)
				if len(got.Sessions) == 0 {
					if next != cursor {
						t.Errorf("an empty page turned the cursor %q into %q", cursor, next)
					}
					break
				}
				if next <= cursor {
					t.Fatalf("cursor %q after %q", next, cursor)
				}
				for _, e := range got.Sessions {
					name, _, _ := strings.Cut(e.URL, "?")
					if seen[name] {
						t.Fatalf("%s came twice", name)
					}
					seen[name] = true
				}
				cursor = next
			}
			if len(seen) != s.Company().Recorded() || len(seen) < 1000 {
				t.Errorf("saw %d recordings of %d", len(seen), s.Company().Recorded())
			}
		})
	}
}

func TestExportsParameters(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	count := func(query string) int {
		var got exportPage
		a := contract(t, s, "GET", app(s, "data-export/?"+query), nil)
		a.json(t, &got)
		return len(got.Sessions)
	}
	if n := count(""); n != 10 {
		t.Errorf("by default %d", n)
	}
	day := fmt.Sprint(noon().Add(-24 * time.Hour).UnixMilli())
	if n := count("limit=100&date=" + day); n == 0 || n == 100 {
		t.Errorf("%d in the last day", n)
	}
	if n := count("limit=100&date=" + fmt.Sprint(noon().UnixMilli()+1)); n != 0 {
		t.Errorf("%d from now on", n)
	}
	before := s.Company().Recorded()
	c.add(3 * time.Hour)
	if n := count("limit=100&date=" + fmt.Sprint(noon().UnixMilli()+1)); n == 0 || s.Company().Recorded() != before+n {
		t.Errorf("%d more three hours later", n)
	}
	for _, q := range []string{"limit=101", "limit=0", "limit=x", "date=monday", "cursor=x"} {
		if a := mustSend(t, "GET", app(s, "data-export/?"+q), token(s), nil); a.code != 400 {
			t.Errorf("%s: %d", q, a.code)
		}
	}
}

func TestExportFilesAgreeWithRaygun(t *testing.T) {
	s, _ := start(t, sandbox.Options{RaygunDailyLimit: -1})
	var got exportPage
	contract(t, s, "GET", app(s, "data-export/?limit=100&date="+fmt.Sprint(noon().Add(-10*24*time.Hour).UnixMilli())), nil).json(t, &got)
	gzipped, types, times, rotten, kinds, checked := 0, map[string]int{}, map[string]int{}, 0, map[string]int{}, 0
	starts := map[string]sandbox.Session{}
	for _, p := range s.Company().Customers() {
		for _, v := range s.Company().SessionsOf(p) {
			starts[v.Recording.String()] = v
		}
	}
	for _, e := range got.Sessions {
		a := mustSend(t, "GET", e.URL, nil, nil)
		if a.code != 200 {
			t.Fatalf("%s: %d", e.URL, a.code)
		}
		raw := a.body
		if bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
			gzipped++
			z, err := gzip.NewReader(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			if raw, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		pages := 0
		for sc := bufio.NewScanner(bytes.NewReader(raw)); sc.Scan(); {
			var line map[string]any
			if json.Unmarshal(sc.Bytes(), &line) != nil {
				rotten++
				continue
			}
			for _, k := range []string{"type", "eventType", "event_type"} {
				if v, ok := line[k].(string); ok {
					types[k]++
					kinds[v]++
					if v == "navigation" {
						pages++
					}
				}
			}
			for _, k := range []string{"time", "timestamp", "session_time"} {
				if v, ok := line[k]; ok {
					times[fmt.Sprintf("%s %T", k, v)]++
				}
			}
		}
		name := e.URL[strings.Index(e.URL, "/_export/")+9 : strings.Index(e.URL, ".jsonl")]
		if v, ok := starts[name]; ok {
			checked++
			if pages < len(v.PageViews)-1 || pages > len(v.PageViews) { // rotten files lose a line
				t.Errorf("%s has %d pages, Raygun's session %d", name, pages, len(v.PageViews))
			}
		}
	}
	if gzipped < 30 || gzipped > 90 || len(types) != 3 || len(times) < 6 || rotten == 0 || checked < 50 {
		t.Errorf("%d gzipped, %v, %v, %d rotten lines, %d compared", gzipped, types, times, rotten, checked)
	}
	for _, k := range []string{"lr.Metadata", "lr.Identify", "lr.core.Exception", "lr.network.RequestEvent", "lr.network.ResponseEvent", "lr.redux.ReduxAction", "lr.CustomEvent", "click", "deadClick", "inputChange", "acme.SomethingNew",
		"lr.network.NetworkStatusEvent", "session", "user", "customEvent", "exception", "networkResponse"} {
		if kinds[k] == 0 {
			t.Errorf("no event of type %s", k)
		}
	}
}

func TestExportURLs(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	var got exportPage
	contract(t, s, "GET", app(s, "data-export/"), nil).json(t, &got)
	addr := got.Sessions[0].URL
	if a := mustSend(t, "GET", addr, token(s), nil); a.code != 400 {
		t.Errorf("with our key: %d", a.code)
	}
	if a := mustSend(t, "GET", strings.Replace(addr, "sig=", "sig=0", 1), nil, nil); a.code != 403 {
		t.Errorf("with another signature: %d", a.code)
	}
	if a := mustSend(t, "GET", strings.Replace(addr, "/0.jsonl", "/1.jsonl", 1), nil, nil); a.code != 403 {
		t.Errorf("another file under the same signature: %d", a.code)
	}
	c.add(15 * time.Minute)
	if a := mustSend(t, "GET", addr, nil, nil); a.code != 200 {
		t.Errorf("after 15 minutes: %d", a.code)
	}
	c.add(2 * time.Second)
	if a := mustSend(t, "GET", addr, nil, nil); a.code != 403 || !strings.Contains(string(a.body), "expired") {
		t.Errorf("later: %d %s", a.code, a.body)
	}
}

// TestAnExportFileGoesOnWhereItStopped asks for the rest of files of all three
// packings, after their addresses have expired and been listed again.
func TestAnExportFileGoesOnWhereItStopped(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	var before, after exportPage
	contract(t, s, "GET", app(s, "data-export/"), nil).json(t, &before)
	files := make([]answer, len(before.Sessions))
	for i, e := range before.Sessions {
		files[i] = mustSend(t, "GET", e.URL, nil, nil)
	}
	c.add(16 * time.Minute)
	contract(t, s, "GET", app(s, "data-export/"), nil).json(t, &after)
	for i, e := range after.Sessions {
		whole := files[i]
		half := len(whole.body) / 2
		rest := mustSend(t, "GET", e.URL, map[string]string{"Range": fmt.Sprintf("bytes=%d-", half), "If-Range": whole.header.Get("ETag")}, nil)
		if rest.code != 206 || !bytes.Equal(rest.body, whole.body[half:]) {
			t.Errorf("file %d: %d with %d bytes of %d", i, rest.code, len(rest.body), len(whole.body)-half)
		}
		other := mustSend(t, "GET", e.URL, map[string]string{"Range": fmt.Sprintf("bytes=%d-", half), "If-Range": `"other"`}, nil)
		if other.code != 200 || !bytes.Equal(other.body, whole.body) {
			t.Errorf("file %d, of another version: %d with %d bytes", i, other.code, len(other.body))
		}
	}
}
