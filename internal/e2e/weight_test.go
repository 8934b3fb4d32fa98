package e2e_test

import (
	"strings"
	"testing"

	"sightline/internal/services/sandbox"
)

// A page is small before compression: the style sheet draws the icons, and a
// row of a list says each thing once. Lists of 50 rows, timelines, waterfalls and
// tables of many days cannot be under 15 KB, so they have limits of their own,
// a little above what was measured.
func TestPagesAreLight(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	v := s.visitor(t, "owner")
	insight := manySessions(v)
	customer := lookUp(v, "ada.lovelace@example.com")
	pages := []struct {
		name, path string
		rows, most int // most is in KB of 1,024 bytes
	}{
		{name: "home", path: "/o/acme/", most: 11},
		{name: "lookup", path: "/o/acme/lookup?q=ada", most: 11},
		{name: "lookup of many", path: "/o/acme/lookup?q=example", rows: 40, most: 26},
		{name: "customer", path: customer, most: 20},
		{name: "customers", path: "/o/acme/customers", rows: 50, most: 22},
		{name: "sessions", path: "/o/acme/sessions?span=60d", rows: 50, most: 50},
		{name: "session", path: fetchSession(v, customer), most: 20},
		{name: "highlights", path: "/o/acme/highlights", most: 10},
		{name: "history", path: "/o/acme/history", most: 17},
		{name: "settings", path: "/o/acme/settings/connections", most: 10},
		{name: "a connection's settings", path: "/o/acme/settings/connections/1", most: 18},
		{name: "members", path: "/o/acme/settings/members", most: 11},
		{name: "insight", path: insight, most: 40},
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
