package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

// A page is small before compression: the style sheet draws the icons, and a
// row of a list says each thing once. Waterfalls, charts with their numbers and
// tables of many columns are above the 15 KB of other pages, so they have limits of
// their own, a little above what was measured.
func TestPagesAreLight(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{})
	v := s.visitor(t, "owner")
	insight := manySessions(v)
	customer := lookUp(v, "ada.lovelace@example.com")
	weigh(v, []weight{
		{name: "home", path: "/o/acme/", most: 7},
		{name: "lookup", path: "/o/acme/lookup?q=ada", most: 7},
		{name: "lookup of many", path: "/o/acme/lookup?q=example", rows: 25, most: 13},
		{name: "customer", path: customer, most: 12},
		{name: "customers", path: "/o/acme/customers", rows: 50, most: 15},
		{name: "sessions", path: "/o/acme/sessions?span=60d", rows: 50, most: 15},
		{name: "sessions of 90 days", path: "/o/acme/sessions?from=" + time.Now().UTC().AddDate(0, 0, -89).Format(time.DateOnly) + "&to=" + time.Now().UTC().Format(time.DateOnly), rows: 50, most: 15},
		{name: "sessions with all", path: "/o/acme/sessions?span=60d&show=figures", rows: 50, most: 30},
		{name: "session", path: fetchSession(v, customer), most: 12},
		{name: "highlights", path: "/o/acme/highlights", most: 6},
		{name: "history", path: "/o/acme/history", rows: 9, most: 10},
		{name: "calls", path: "/o/acme/calls", most: 9},
		{name: "calls by day", path: "/o/acme/calls/days", rows: 54, most: 15},
		{name: "settings", path: "/o/acme/settings/connections", most: 6},
		{name: "a connection's settings", path: "/o/acme/settings/connections/1", most: 13},
		{name: "members", path: "/o/acme/settings/members", most: 6},
		{name: "insight", path: insight, most: 12},
		{name: "insight by day", path: "/o/acme/insight/days?span=90d", rows: 14, most: 12},
		{name: "insight by week of a year", path: "/o/acme/insight/days?span=365d", rows: 53, most: 15},
		{name: "insight into pages", path: "/o/acme/insight/pages?span=90d", most: 15},
		{name: "insight into countries", path: "/o/acme/insight/countries?span=90d", rows: 10, most: 10},
		{name: "GraphQL", path: graphQLAt, most: 8},
	})
	followExports(v)
	recording := recordingIn(v, uploadExport(v, "long.jsonl", longExport()))
	weigh(v, []weight{
		{name: "recordings", path: recordingsAt, rows: 20, most: 15},
		{name: "moments found", path: recordingsAt + "?q=api&what=request", rows: 20, most: 15},
		{name: "patterns", path: recordingsAt + "/patterns", rows: 20, most: 20},
		{name: "export files", path: filesAt, rows: 20, most: 15},
		{name: "recording", path: recording, rows: 150, most: 55},
		{name: "requests of a recording", path: recording + "?view=requests", rows: 150, most: 63},
	})
}

// weight is how large a page may be.
type weight struct {
	name, path string
	rows, most int // most is in KB of 1,024 bytes
}

func weigh(v *visitor, pages []weight) {
	for _, p := range pages {
		v.t.Run(p.name, func(t *testing.T) {
			body := v.open(p.path).body
			if got := strings.Count(body, "<tr"); got < p.rows {
				t.Errorf("%s has %d rows, want at least %d to measure", p.path, got, p.rows)
			}
			t.Logf("%d bytes, %d rows", len(body), strings.Count(body, "<tr"))
			if len(body) > p.most<<10 {
				t.Errorf("%s is %d bytes, want at most %d KB", p.path, len(body), p.most)
			}
		})
	}
}

// longExport is a recording of 400 events: pages, requests and what they
// answered, and words on the console.
func longExport() []byte {
	began := time.Now().Add(-20 * time.Minute).UnixMilli()
	var b bytes.Buffer
	for n := range 100 {
		for k, line := range []string{
			`"type":"lr.browser.NavigationEvent","url":"https://shop.example.com/product/%d"`,
			`"type":"lr.network.RequestEvent","reqId":"%[1]d","method":"GET","url":"https://api.example.com/api/products/%[1]d/reviews"`,
			`"type":"lr.network.ResponseEvent","reqId":"%d","status":200`,
			`"type":"lr.core.LogEvent","level":"WARN","args":["stock is low","%d left"]`,
		} {
			fmt.Fprintf(&b, `{"time":%d,`+line+"}\n", began+int64(n)*8000+int64(k)*150, n)
		}
	}
	return b.Bytes()
}

// What a page needs of style and scripts is small too, as it goes over the wire:
// 60 KB, and 280 KB where there is an editor.
func TestStyleAndScriptsOfPagesAreLight(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{Customers: 20, Sessions: 100, Days: 5})
	v := s.visitor(t, "owner")
	followExports(v)
	for _, p := range []struct {
		name, path string
		files      int // at least so many are needed
		most       int // in KB of 1,024 bytes
	}{
		{name: "home", path: "/o/acme/", files: 2, most: 60},
		{name: "recordings", path: recordingsAt, files: 2, most: 60},
		{name: "recording", path: recordingOf(v, alwaysRecorded), files: 2, most: 60},
		{name: "GraphQL", path: graphQLAt, files: 3, most: 280},
	} {
		t.Run(p.name, func(t *testing.T) {
			files, total := neededBy(v.open(p.path)), 0
			for _, f := range files {
				total += compressedSize(t, s.address+f)
			}
			t.Logf("%d bytes: %s", total, strings.Join(files, " "))
			if len(files) < p.files {
				t.Errorf("%s needs %q, want at least %d files", p.path, files, p.files)
			}
			if total > p.most<<10 {
				t.Errorf("%s needs %d bytes of style and scripts, want at most %d KB", p.path, total, p.most)
			}
		})
	}
}

// neededBy lists the style sheets and scripts that a page names.
func neededBy(p page) []string {
	var out []string
	for _, l := range all(p.doc, "link") {
		if attr(l, "rel") == "stylesheet" {
			out = append(out, attr(l, "href"))
		}
	}
	for _, s := range all(p.doc, "script") {
		if src := attr(s, "src"); src != "" {
			out = append(out, src)
		}
	}
	return out
}

// compressedSize is how many bytes of a file come over the wire with gzip.
func compressedSize(t *testing.T, address string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body := readAll(t, res.Body)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%s came as %d, %q", address, res.StatusCode, res.Header.Get("Content-Encoding"))
	}
	return len(body)
}
