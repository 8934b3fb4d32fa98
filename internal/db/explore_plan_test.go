package db

import (
	"context"
	"database/sql"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"modernc.org/sqlite"
)

// filterParts are the parts of a filter, each by itself.
func filterParts() []func(*SessionFilter) {
	return []func(*SessionFilter){
		func(f *SessionFilter) { f.Connections = []ConnectionID{1} },
		func(f *SessionFilter) { f.From, f.To = time.UnixMilli(1), time.UnixMilli(1<<45) },
		func(f *SessionFilter) { f.Identifier = "u1" },
		func(f *SessionFilter) { f.Email = "p1@example.com" },
		func(f *SessionFilter) { f.People = PeopleKnown },
		func(f *SessionFilter) { f.Countries = []string{"NZ", "US"} },
		func(f *SessionFilter) { f.Browsers = []string{"Chrome"} },
		func(f *SessionFilter) { f.Systems = []string{"iOS"} },
		func(f *SessionFilter) { f.State = StateActive },
		func(f *SessionFilter) { f.Ratings = []string{"poor"} },
		func(f *SessionFilter) { f.Errors = ErrorsWith },
		func(f *SessionFilter) { f.SlowMS = 50 },
		func(f *SessionFilter) { f.Page = "x.example" },
		func(f *SessionFilter) { f.ErrorText = "o" },
	}
}

// No question of the explorer walks a table that grows, or sorts one, whatever
// parts are combined and whichever of them is looked up by its index.
func TestTheExplorerNeverScans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sightline.db")
	d, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	addTwoOrgs(t, d.w)
	fillExplorer(t, d, newRand(7))
	rec := &recorder{inner: &sqlite.Driver{}, statements: map[string][]any{}}
	watched := &DB{r: &readers{DB: sql.OpenDB(testConnector{dsn(path, true), rec})}, w: d.w}
	defer watched.r.Close()
	o := watched.Org(1)
	ctx := t.Context()
	if _, err := d.Org(1).PutSessions(ctx, 1, []Session{{VendorID: "s", StartedAt: time.UnixMilli(5)}}, time.UnixMilli(5), &SearchPage{Params: "{}"}); err != nil {
		t.Fatal(err)
	}
	parts := filterParts()
	for set := range 1 << len(parts) {
		// All sets of up to two parts, and all parts but one.
		if n := ones(set); n > 2 && n < len(parts)-1 {
			continue
		}
		var f SessionFilter
		for i, part := range parts {
			if set>>i&1 == 1 {
				part(&f)
			}
		}
		askExplorer(t, ctx, o, f)
		f.Search = 1
		askExplorer(t, ctx, o, f)
	}
	checked := 0
	for query, args := range rec.statements {
		if !strings.HasPrefix(strings.TrimSpace(query), "SELECT") && !strings.HasPrefix(strings.TrimSpace(query), "WITH") {
			continue
		}
		checked++
		plan := planOf(t, d, query, args...)
		walks := strings.Contains(query, "(?, ?) AND ") // before a place and not before a time
		for i, step := range strings.Split(plan, "\n") {
			scan := strings.HasPrefix(step, "SCAN ") && step != "SCAN h" && step != "SCAN days" && step != "SCAN CONSTANT ROW" && !strings.HasPrefix(step, "SCAN (subquery")
			sort := strings.Contains(step, "TEMP B-TREE")
			// The first step of a walk begins at its place and ends at its time.
			loose := walks && i == 0 && strings.HasPrefix(step, "SEARCH") && (!strings.Contains(step, "started_at>?") || !strings.Contains(step, "<(?,?)") && !strings.Contains(step, "started_at<?"))
			if scan || sort || loose {
				t.Errorf("%s\n%s\nin %s", step, plan, query)
			}
		}
		if t.Failed() {
			return
		}
	}
	if checked < 500 {
		t.Errorf("only %d questions were looked at", checked)
	}
}

func ones(n int) (c int) {
	for ; n > 0; n &= n - 1 {
		c++
	}
	return c
}

// askExplorer asks all that can be asked about a filter, along every route.
func askExplorer(t *testing.T, ctx context.Context, o Org, f SessionFilter) {
	t.Helper()
	x, err := o.explore(ctx, f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Sessions(ctx, f, Moment{}, 3); err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.CountSessions(ctx, f, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := o.SessionDays(ctx, f, 3); err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.ToldDays(ctx, f, 1, 9); err != nil {
		t.Fatal(err)
	}
	if _, err := o.UnknownSessions(ctx, f, 1, 9); err != nil {
		t.Fatal(err)
	}
	for _, many := range []bool{false, true} {
		x.pages.many, x.groups.many = many && x.pages.given, many && x.groups.given
		for _, r := range append(x.routes(), x.newest()) {
			if _, err := r.branches[0].rate(ctx, o.db.r, 1<<50, 1, 0); err != nil {
				t.Fatal(err)
			}
			branches := x.along(r)[:1]
			for _, chunk := range []int64{1, 1000} {
				w := newWalk(o.db.r, branches, 1<<50, 1, math.MinInt64, ", s.rating", func(s scanner) (string, error) { var v string; return v, s.Scan(&v) })
				w.firstChunk = chunk
				if _, err := w.next(ctx, 2, 10, func(entry[string]) {}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
