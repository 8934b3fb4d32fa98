package services

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
)

// insightSite is a mirror of two Raygun connections and a LogRocket one.
func insightSite(t *testing.T) (*Insight, db.Org) {
	t.Helper()
	store := dbtest.New(t)
	if _, err := store.Queue().Exec(`
		INSERT INTO organizations (id, slug, name, created_at) VALUES (1, 'a', 'A', 1);
		INSERT INTO connections (id, org_id, vendor, name, created_at, removed_at) VALUES
			(1, 1, 'raygun', 'Web', 1, NULL), (2, 1, 'raygun', 'Old', 1, 2), (3, 1, 'logrocket', 'Rocket', 1, NULL)`); err != nil {
		t.Fatal(err)
	}
	return newInsight(store, NewConnections(store, nil, Vendors{}, nil, time.Now)), store.Org(1)
}

// visit is a session of a day with one page view; a load below 0 is unknown.
func visit(id int, day Day, country, rating string, load int64, errs ...string) db.FullSession {
	s := db.FullSession{Session: db.Session{
		VendorID: fmt.Sprint("v", id), StartedAt: day.Time().Add(time.Duration(id%1000) * time.Minute), Country: country, Browser: "Chrome", OS: "iOS", Rating: rating,
	}}
	v := db.PageView{URL: fmt.Sprintf("https://x.example/cart?n=%d", id)}
	if load >= 0 {
		v.LoadMS = &load
	}
	s.Views = []db.PageView{v}
	for _, e := range errs {
		s.Errors = append(s.Errors, db.SessionError{Title: e})
	}
	return s
}

func TestInsightComparesWithAsManyDaysBefore(t *testing.T) {
	t.Parallel()
	s, org := insightSite(t)
	const today = Day(20_000)
	var now, before []db.FullSession
	for i := range 100 {
		now = append(now, visit(i, today-Day(i%7), "NZ", "Good", int64(10*(i+1)), "Order 1 gone"))
	}
	now = append(now, visit(900, today, "", "", -1), visit(901, today-6, "US", "Poor", -1))
	for i := range 40 {
		before = append(before, visit(1000+i, today-7-Day(i%7), "US", "Average", 200))
	}
	before = append(before, visit(2000, today-14, "DE", "Good", 1)) // too long ago
	for conn, rows := range map[ConnectionID][]db.FullSession{1: now, 2: before} {
		if _, err := org.PutFullSessions(t.Context(), conn, rows, today.Time()); err != nil {
			t.Fatal(err)
		}
	}
	// Sessions without a detail count, but tell of no pages.
	if _, err := org.PutSessions(t.Context(), 1, []db.Session{{VendorID: "bare", StartedAt: today.Time(), Country: "US"}}, today.Time(), nil); err != nil {
		t.Fatal(err)
	}
	q, problems := InsightQuery{From: today - 6, To: today}.Check()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	q.Rows = 10
	r, err := s.Report(t.Context(), 1, q, TablePages, TableErrors, TableCountries)
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Series.Now; n.Sessions != 103 || n.Detailed != 102 || n.WithErrors != 100 || n.Good != 100 || n.Poor != 1 || n.Rated() != 101 {
		t.Errorf("now = %+v", n)
	}
	if n := r.Series.Before; n.Sessions != 40 || n.Average != 40 {
		t.Errorf("before = %+v", n)
	}
	if len(r.Series.Days) != 7 || r.Series.Days[0].Day != today-6 || r.Series.Days[0].Before != 5 || r.Series.Days[6].Sessions != 17 {
		t.Errorf("days = %+v", r.Series.Days)
	}
	// The other connection's page is the same, and was viewed before these days.
	if len(r.Pages.Rows) != 1 || r.Views != 102 || r.Timed != 100 || r.Pages.All != 1 {
		t.Fatalf("pages = %+v, %d views", r.Pages, r.Views)
	}
	p := r.Pages.Rows[0]
	near := func(got, want int64) bool { return got > want*9/10 && got < want*11/10 }
	if p.Page.Path != "https://x.example/cart" || p.Views != 102 || p.Timed != 100 || !near(p.P50, 500) || !near(p.P75, 750) || !near(p.P95, 950) || p.ViewsBefore != 40 {
		t.Errorf("page = %+v", p)
	}
	want := []ValueRow{{"NZ", 100, 0}, {"US", 2, 40}, {"", 1, 0}}
	if fmt.Sprint(r.Countries.Rows) != fmt.Sprint(want) {
		t.Errorf("countries = %v, want %v", r.Countries, want)
	}
	if len(r.Errors.Rows) != 1 || r.Errors.Rows[0].Sessions != 100 || r.Errors.Rows[0].Group.Name != "Order 1 gone" {
		t.Errorf("errors = %+v", r.Errors)
	}
	// One connection alone, also a removed one.
	q.Connection = 2
	r, err = s.Report(t.Context(), 1, q)
	if err != nil || r.Series.Now.Sessions != 0 || r.Series.Before.Sessions != 40 {
		t.Errorf("the removed connection: %+v, %v", r.Series, err)
	}
	// One value of a facet, as a filter's chart wants it.
	q.Connection = 0
	series, err := s.SessionsByDay(t.Context(), 1, q, FacetCountry, "US")
	if err != nil || series.Now.Sessions != 2 || series.Before.Sessions != 40 {
		t.Errorf("US = %+v, %v", series, err)
	}
}

// TestASiteOfTwoConnectionsHasEachPageAndErrorOnce: v1 and v3 side by side keep
// pages and errors apart, but their figures lead to the sessions of both.
func TestASiteOfTwoConnectionsHasEachPageAndErrorOnce(t *testing.T) {
	t.Parallel()
	s, org := insightSite(t)
	const today = Day(20_000)
	put := func(conn ConnectionID, rows ...db.FullSession) {
		t.Helper()
		if _, err := org.PutFullSessions(t.Context(), conn, rows, today.Time()); err != nil {
			t.Fatal(err)
		}
	}
	put(1, visit(1, today, "NZ", "Good", 100, "Boom"), visit(2, today, "NZ", "", 100, "Boom", "Rare"), visit(3, today-1, "NZ", "", 400))
	put(2, visit(4, today, "NZ", "", -1, "Boom"), visit(5, today, "NZ", "", 900), visit(6, today-1, "NZ", "", -1, "Boom", "Rare", "Gone"))
	r, err := s.Report(t.Context(), 1, InsightQuery{From: today, To: today, Sort: SortViews, Rows: 10}, TablePages, TableErrors)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Pages.Rows) != 1 || r.Pages.All != 1 || r.Pages.Rows[0].Views != 4 || r.Pages.Rows[0].Timed != 3 || r.Pages.Rows[0].ViewsBefore != 2 || r.Pages.Rows[0].Page.Path == "" {
		t.Errorf("pages = %+v", r.Pages)
	}
	if p95 := r.Pages.Rows[0].P95; p95 < 800 {
		t.Errorf("the slow load of the second connection is not in the p95 %d", p95)
	}
	if len(r.Errors.Rows) != 2 || r.Errors.Rows[0].Group.Name != "Boom" || r.Errors.Rows[0].Sessions != 3 || r.Errors.Rows[0].Occurrences != 3 || r.Errors.Rows[0].Before != 1 || r.Errors.Rows[1].Before != 1 {
		t.Errorf("errors = %+v", r.Errors)
	}
}

// TestPagesAreRankedInParts: the parts of a ranking make the whole, whichever
// figure it is by, and each page's load times are its own in every part.
func TestPagesAreRankedInParts(t *testing.T) {
	s, org := insightSite(t)
	const today = Day(20_000)
	var rows []db.FullSession
	for n := range 7 {
		for i := range 7 - n {
			v := visit(100*n+i, today, "NZ", "", int64(100*(n+1)))
			v.Views[0].URL = fmt.Sprintf("https://x.example/p%c", 'a'+n)
			rows = append(rows, v)
		}
	}
	if _, err := org.PutFullSessions(t.Context(), 1, rows, today.Time()); err != nil {
		t.Fatal(err)
	}
	for sort, want := range map[PageSort]string{SortViews: "abcdefg", SortP75: "gfedcba"} {
		got := ""
		for skip := 0; skip < 9; skip += 3 {
			r, err := s.Report(t.Context(), 1, InsightQuery{From: today, To: today, Sort: sort, Rows: 3, Skip: skip}, TablePages)
			if err != nil || r.Pages.All != 7 || r.Views != 28 || r.Countries.All != 0 {
				t.Fatalf("by %s from %d: %+v, %v", sort, skip, r, err)
			}
			for _, p := range r.Pages.Rows {
				letter := p.Page.Path[len(p.Page.Path)-1]
				got += string(letter)
				if load := 100 * int64(letter-'a'+1); p.P75 < load*9/10 || p.P75 > load*11/10 {
					t.Errorf("by %s: %s has a p75 of %d ms, not %d", sort, p.Page.Path, p.P75, load)
				}
			}
		}
		if got != want {
			t.Errorf("by %s: %s, want %s", sort, got, want)
		}
		r, err := s.Report(t.Context(), 1, InsightQuery{From: today, To: today, Sort: sort, Rows: 3, Skip: 300}, TablePages)
		if err != nil || r.Pages.First != 6 || len(r.Pages.Rows) != 1 {
			t.Errorf("by %s past the last: %+v, %v", sort, r.Pages, err)
		}
	}
}

func TestAnotherOrganizationsFiguresAreNothing(t *testing.T) {
	t.Parallel()
	s, org := insightSite(t)
	const today = Day(20_000)
	ids, err := org.PutFullSessions(t.Context(), 1, []db.FullSession{visit(1, today, "NZ", "Good", 100, "Boom")}, today.Time())
	if err != nil || len(ids) != 1 {
		t.Fatal(err)
	}
	r, err := s.Report(t.Context(), 2, InsightQuery{Connection: 1, From: today, To: today, Rows: 10}, TablePages, TableErrors, TableCountries)
	if err != nil || r.Series.Now.Sessions != 0 || r.Pages.All+r.Countries.All+r.Errors.All > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	for name, read := range map[string]func(OrgID) error{
		"page":  func(o OrgID) error { _, err := s.PageOf(t.Context(), o, 1); return err },
		"error": func(o OrgID) error { _, err := s.ErrorGroupOf(t.Context(), o, 1); return err },
	} {
		if err := read(1); err != nil {
			t.Errorf("our own %s: %v", name, err)
		}
		if err := read(2); err == nil {
			t.Errorf("a stranger read our %s", name)
		}
	}
}

func TestInsightQueryIsCheckedByField(t *testing.T) {
	for name, tt := range map[string]struct {
		q     InsightQuery
		field string
	}{
		"fine":           {InsightQuery{From: 100, To: 100}, ""},
		"400 days":       {InsightQuery{From: 100, To: 499}, ""},
		"401 days":       {InsightQuery{From: 100, To: 500}, "from"},
		"no beginning":   {InsightQuery{To: 100}, "from"},
		"no end":         {InsightQuery{From: 100}, "to"},
		"ends too early": {InsightQuery{From: 100, To: 99}, "to"},
	} {
		q, problems := tt.q.Check()
		if (tt.field == "") != (len(problems) == 0) || tt.field != "" && problems[tt.field] == "" {
			t.Errorf("%s: %v", name, problems)
		}
		if q.Sort != SortViews {
			t.Errorf("%s: sorted by %q", name, q.Sort)
		}
	}
}

// TestEveryErrorLeadsToItsSessions: the vendor's titles have line breaks and are
// of any length; the name that Insight shows finds them again.
func TestEveryErrorLeadsToItsSessions(t *testing.T) {
	t.Parallel()
	s, org := insightSite(t)
	const today = Day(20_000)
	titles := []string{
		"Boom", "Error: first line\n    at second line", "tab\there", "  blanks  around ", "nul\x00inside", "bad \xff byte",
		strings.Repeat("long ", 1000), strings.Repeat("長い", 2000), "e\u0301tat", "100 % 'sure' \"_\"",
	}
	var rows []db.FullSession
	for i, title := range titles {
		rows = append(rows, visit(i, today, "NZ", "", -1, title))
	}
	if _, err := org.PutFullSessions(t.Context(), 1, rows, today.Time()); err != nil {
		t.Fatal(err)
	}
	r, err := s.Report(t.Context(), 1, InsightQuery{From: today, To: today, Sort: SortViews, Rows: 10}, TablePages, TableErrors)
	if err != nil || len(r.Errors.Rows) != len(titles) {
		t.Fatalf("%d errors, %v", len(r.Errors.Rows), err)
	}
	sessions := &Sessions{chartBudget: chartBudget, db: s.db, connections: s.connections, now: time.Now}
	for _, e := range r.Errors.Rows {
		q, problems := SessionQuery{From: today.Time(), To: (today + 1).Time(), ErrorText: e.Group.Name}.Check()
		n, err := sessions.Count(t.Context(), 1, q)
		if len(problems) > 0 || err != nil || n.Sessions != e.Sessions {
			t.Errorf("%.40q: %d sessions, not %d (%v, %v)", e.Group.Name, n.Sessions, e.Sessions, problems, err)
		}
	}
}
