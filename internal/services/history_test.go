package services

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/sandbox"
)

// historySite holds entries and calls of the same few milliseconds.
func newHistorySite(t *testing.T) (v *vendorSite, base time.Time) {
	t.Helper()
	v = newVendorSite(t, sandbox.Options{})
	c := v.add(v.raygunForm("Web"))
	base = time.UnixMilli(1_700_000_000_000)
	o := v.store.Org(1)
	for i := range 12 {
		at := base.Add(time.Duration(i/4) * time.Millisecond)
		if i%2 == 0 {
			err := o.AddHistory(t.Context(), db.HistoryEntry{
				At: at, Actor: v.actor.User, ActorName: "Ada", Action: "trait.edit", Subject: "=cmd|x", Summary: fmt.Sprintf("n%02d", i),
				Before: `{"plan":"free","seats":3}`, After: `{"plan":"pro","email":"-a@example.com"}`, Reason: "says \"why\",\nin two lines",
			})
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		if _, err := o.BeginCall(t.Context(), db.Call{Connection: c.ID, Vendor: "raygun", Operation: fmt.Sprintf("n%02d", i), Attempt: 1, StartedAt: at}, false); err != nil {
			t.Fatal(err)
		}
	}
	return v, base
}

func TestHistoryPagesMissAndDoubleNothing(t *testing.T) {
	t.Parallel()
	v, base := newHistorySite(t)
	whole, err := v.s.History.Page(t.Context(), 1, HistoryQuery{})
	if err != nil || len(whole.Events) != 13 || whole.Next != "" {
		t.Fatalf("%d events, next %q, %v; want 13 on one page", len(whole.Events), whole.Next, err)
	}
	for i, e := range whole.Events[1:] {
		if i > 0 && e.At.After(whole.Events[i].At) {
			t.Errorf("event %d is newer than the one above it", i)
		}
	}
	for limit := 1; limit <= 7; limit++ {
		var got []HistoryEvent
		q := HistoryQuery{Limit: limit}
		for {
			page, err := v.s.History.Page(t.Context(), 1, q)
			if err != nil || len(page.Events) > limit {
				t.Fatalf("%d events, %v", len(page.Events), err)
			}
			got = append(got, page.Events...)
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		if len(got) != len(whole.Events) {
			t.Fatalf("pages of %d hold %d events, want %d", limit, len(got), len(whole.Events))
		}
		for i := range got {
			if got[i].Summary != whole.Events[i].Summary {
				t.Fatalf("pages of %d: event %d is %q, want %q", limit, i, got[i].Summary, whole.Events[i].Summary)
			}
		}
	}
	for name, want := range map[string]struct {
		q HistoryQuery
		n int
	}{
		"edits":       {HistoryQuery{Kind: HistoryTraits}, 6},
		"calls":       {HistoryQuery{Kind: HistoryCalls}, 6},
		"connections": {HistoryQuery{Kind: HistoryConnections}, 1},
		"person":      {HistoryQuery{Person: v.actor.User}, 7},
		"customer":    {HistoryQuery{Customer: 99}, 0},
		"dates":       {HistoryQuery{From: base.Add(time.Millisecond), Until: base.Add(2 * time.Millisecond)}, 4},
	} {
		page, err := v.s.History.Page(t.Context(), 1, want.q)
		if err != nil || len(page.Events) != want.n {
			t.Errorf("%s: %d events, %v; want %d", name, len(page.Events), err, want.n)
		}
	}
	for _, bad := range []string{"x", "aC4xLng", "Yy4xLjIuMw"} {
		if _, err := v.s.History.Page(t.Context(), 1, HistoryQuery{Cursor: bad}); err == nil {
			t.Errorf("cursor %q was taken", bad)
		}
	}
	if page, err := v.s.History.Page(t.Context(), 2, HistoryQuery{}); err != nil || len(page.Events) != 0 {
		t.Errorf("a stranger sees %d events, %v", len(page.Events), err)
	}
}

func TestHistoryCSVIsSafeAndReadable(t *testing.T) {
	t.Parallel()
	v, _ := newHistorySite(t)
	var b strings.Builder
	if err := v.s.History.CSV(t.Context(), 1, HistoryQuery{Kind: HistoryTraits}, &b); err != nil {
		t.Fatal(err)
	}
	// Without the mark a spreadsheet takes UTF-8 for something else.
	text, marked := strings.CutPrefix(b.String(), "\ufeff")
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 7 || !marked {
		t.Fatalf("%d rows, %v; want the headings and 6", len(rows), err)
	}
	got := map[string]string{}
	for i, heading := range rows[0] {
		got[heading] = rows[1][i]
	}
	for heading, want := range map[string]string{
		"time (UTC)": "2023-11-14 22:13:20.002", "kind": "trait", "person": "Ada", "subject": "'=cmd|x",
		"before": "plan: free; seats: 3", "after": "email: -a@example.com; plan: pro", "reason": "says \"why\",\nin two lines",
	} {
		if got[heading] != want {
			t.Errorf("%s = %q, want %q", heading, got[heading], want)
		}
	}
	for cell, want := range map[string]string{"-1": "'-1", "+1": "'+1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "a=b": "a=b", "": ""} {
		if got := EscapeCell(cell); got != want {
			t.Errorf("EscapeCell(%q) = %q, want %q", cell, got, want)
		}
	}
}

func TestSignInIsInTheHistory(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	if err := v.s.History.SignedIn(t.Context(), User{ID: v.actor.User, Email: "ada@example.com", Name: "Ada"}); err != nil {
		t.Fatal(err)
	}
	page, err := v.s.History.Page(t.Context(), 1, HistoryQuery{Kind: HistorySignIns})
	if err != nil || len(page.Events) != 1 || page.Events[0].Actor != "Ada" {
		t.Errorf("history = %+v, %v", page, err)
	}
}
