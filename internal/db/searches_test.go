package db_test

import (
	"context"
	"database/sql"
	"testing"

	"sightline/internal/db"
)

// A question counts as put from its first ask on, answered or not, and for
// nobody else.
func TestSearchedFromTheFirstAskOn(t *testing.T) {
	s := newBudgetSite(t, 50, 0)
	is := func(o db.Org, params string, want bool) {
		t.Helper()
		if got, err := o.Searched(t.Context(), s.conn, "sessions", params); err != nil || got != want {
			t.Errorf("%s was asked: %t (%v), want %t", params, got, err, want)
		}
	}
	is(s.org, "asked", false)
	if _, err := s.org.AddAsk(t.Context(), db.Ask{Connection: s.conn, Kind: "sessions", Subject: "asked", CreatedAt: noon()},
		func(context.Context, *sql.Tx, int64) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.org.PutSessions(t.Context(), s.conn, nil, noon(), &db.SearchPage{Params: "answered", Last: true}); err != nil {
		t.Fatal(err)
	}
	is(s.org, "asked", true)
	is(s.org, "answered", true)
	is(s.org, "another", false)
	stranger := s.d.Org(s.org.ID() + 1)
	is(stranger, "asked", false)
	is(stranger, "answered", false)
}
