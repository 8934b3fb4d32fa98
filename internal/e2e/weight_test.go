package e2e_test

import (
	"strings"
	"testing"

	"sightline/internal/services/sandbox"
)

// A page is small before compression: the style sheet draws the icons, and a
// row of a list says each thing once. Lists of 50 rows, timelines, waterfalls,
// tables of many days and a filter of 16 fields are above the 15 KB of other
// pages, so they have limits of their own, a little above what was measured.
func TestPagesAreLight(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	v := s.visitor(t, "owner")
	insight := manySessions(v)
	customer := lookUp(v, "ada.lovelace@example.com")
	pages := []struct {
		name, path string
		rows, most int // most is in KB of 1,024 bytes
	}{
		{name: "home", path: "/o/acme/", most: 9},
		{name: "lookup", path: "/o/acme/lookup?q=ada", most: 10},
		{name: "lookup of many", path: "/o/acme/lookup?q=example", rows: 25, most: 15},
		{name: "customer", path: customer, most: 19},
		{name: "customers", path: "/o/acme/customers", rows: 50, most: 20},
		{name: "sessions", path: "/o/acme/sessions?span=60d", rows: 50, most: 44},
		{name: "session", path: fetchSession(v, customer), most: 18},
		{name: "highlights", path: "/o/acme/highlights", most: 9},
		{name: "history", path: "/o/acme/history", most: 16},
		{name: "settings", path: "/o/acme/settings/connections", most: 9},
		{name: "a connection's settings", path: "/o/acme/settings/connections/1", most: 16},
		{name: "members", path: "/o/acme/settings/members", most: 9},
		{name: "insight", path: insight, most: 34},
	}
	for _, p := range pages {
		t.Run(p.name, func(t *testing.T) {
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
