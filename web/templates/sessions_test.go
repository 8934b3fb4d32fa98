package templates

import (
	"strings"
	"testing"
	"time"
)

// A list for which not everything was looked at says so and leads on, with
// sessions on it and without.
func TestAListThatEndsEarlySaysHowFarItLooked(t *testing.T) {
	for _, rows := range [][]SessionRowView{nil, {{Href: "/o/acme/sessions/1", At: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}}} {
		var b strings.Builder
		v := SessionsView{
			Title: "At least 1 session", Rows: rows, Columns: []SessionColumnView{{Key: "started", Label: "Started"}}, EmptyWhy: "None of them matches.",
			Cut: "Looked at 20,000 sessions back to 20 Nov 2026, 10:00:00 UTC.", Pager: PagerView{Older: "/o/acme/sessions?before=1.2"},
		}
		if err := sessionList(v).Render(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Looked at 20,000 sessions back to", "Look further back", `href="/o/acme/sessions?before=1.2"`} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("with %d rows the list does not show %q:\n%s", len(rows), want, b.String())
			}
		}
		if got := strings.Contains(b.String(), "No sessions here"); got {
			t.Errorf("with %d rows the list says that there are none, and not all was looked at", len(rows))
		}
		if len(rows) == 0 && !strings.Contains(b.String(), "None so far") {
			t.Error("an empty list does not say that there are none so far")
		}
	}
}
