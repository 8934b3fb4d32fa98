package services

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
)

// explorerSite holds random sessions of 20 days in two connections of one
// organization.
func explorerSite(t *testing.T, r *rand.Rand, n int) (*Sessions, time.Time) {
	t.Helper()
	store := dbtest.New(t)
	if _, err := store.Queue().Exec(`
		INSERT INTO organizations (id, slug, name, created_at) VALUES (1, 'a', 'A', 1);
		INSERT INTO connections (id, org_id, vendor, name, created_at) VALUES (1, 1, 'raygun', 'Web', 1), (2, 1, 'raygun', 'App', 1)`); err != nil {
		t.Fatal(err)
	}
	first := time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC)
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	for conn := ConnectionID(1); conn <= 2; conn++ {
		var full []db.FullSession
		var rows []Session
		for i := range n {
			s := Session{
				VendorID: fmt.Sprint(i), StartedAt: first.Add(time.Duration(r.IntN(20*24*3600)) * time.Second),
				Country: pick("NZ", "US", ""), Browser: pick("Chrome", "Safari"), OS: pick("iOS", "Windows"), UserAnonymous: r.IntN(3) == 0,
			}
			if r.IntN(3) == 0 {
				rows = append(rows, s)
				continue
			}
			s.Rating = pick("Excellent", "Good", "Average", "Poor", "")
			f := db.FullSession{Session: s, Views: []PageView{{URL: "https://x.example/" + pick("a", "b", "c")}}}
			if r.IntN(3) == 0 {
				f.Errors = []SessionError{{Title: pick("Boom", "Bang")}}
			}
			full = append(full, f)
		}
		if _, err := store.Org(1).PutFullSessions(t.Context(), conn, full, first.AddDate(0, 0, 30)); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Org(1).PutSessions(t.Context(), conn, rows, first.AddDate(0, 0, 30), nil); err != nil {
			t.Fatal(err)
		}
	}
	c := NewConnections(store, nil, Vendors{}, nil, time.Now)
	return &Sessions{db: store, connections: c, now: time.Now, chartBudget: chartBudget}, first
}

func randomQuery(r *rand.Rand, first time.Time) SessionQuery {
	q := SessionQuery{From: first.Add(time.Duration(r.IntN(15*24*60)) * time.Minute)}
	q.To = q.From.Add(time.Duration(1+r.IntN(9*24*60)) * time.Minute)
	if r.IntN(2) == 0 {
		q.From, q.To = q.From.Truncate(24*time.Hour), q.To.Truncate(24*time.Hour).AddDate(0, 0, 1)
	}
	for _, part := range []func(){
		func() { q.Connection = 1 }, func() { q.Countries = []string{"nz", "us"} }, func() { q.Browsers = []string{"Safari"} },
		func() { q.Systems = []string{"iOS", "Linux"} }, func() { q.Ratings = []string{"Poor", "good"} }, func() { q.People = "known" },
		func() { q.Errors = "without" }, func() { q.Errors = "with" }, func() { q.Page = "https://x.example/a" }, func() { q.ErrorText = "B" },
	} {
		if r.IntN(5) == 0 {
			part()
		}
	}
	return q
}

// What is counted, charted and exported is what is listed, on the days of the
// range and on those before it, whole days or not.
func TestCountAndChartSayWhatIsListed(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	s, first := explorerSite(t, r, 600)
	ctx := t.Context()
	listed := func(q SessionQuery) (out []Session) {
		for after, more := (Moment{}), true; more; {
			l, err := s.List(ctx, 1, q, after)
			if err != nil {
				t.Fatal(err)
			}
			out, after, more = append(out, l.Sessions...), l.Next, l.More
		}
		return out
	}
	some := 0
	for range 200 {
		q, problems := randomQuery(r, first).Check()
		if len(problems) > 0 {
			if q.Errors == WithoutErrors && q.ErrorText != "" {
				continue
			}
			t.Fatalf("%+v: %v", q, problems)
		}
		want := listed(q)
		some += len(want)
		var each []Session
		if err := s.Each(ctx, 1, q, func(row Session) error { each = append(each, row); return nil }); err != nil {
			t.Fatal(err)
		}
		same := func(a, b Session) bool { return a.ID == b.ID }
		if !slices.EqualFunc(each, want, same) {
			t.Fatalf("%+v exports %d sessions, and lists %d", q, len(each), len(want))
		}
		n, err := s.Count(ctx, 1, q)
		if err != nil || n.Sessions != int64(len(want)) || n.More || n.Unknown > 0 != q.NeedsDetail() {
			t.Fatalf("%+v counts %+v (%v), want %d", q, n, err, len(want))
		}
		c, err := s.Chart(ctx, 1, q)
		if err != nil || !c.Compared || c.Since != DayOf(q.From) || c.Now.Sessions != int64(len(want)) {
			t.Fatalf("%+v charts %+v (%v), want %d", q, c.Now, err, len(want))
		}
		if both, again, err := s.Figures(ctx, 1, q); err != nil || both != n || again.Now != c.Now {
			t.Fatalf("%+v: %+v and %+v together (%v), %+v and %+v apart", q, both, again.Now, err, n, c.Now)
		}
		back := q
		back.From, back.To = q.From.AddDate(0, 0, -len(c.Days)), q.To.AddDate(0, 0, -len(c.Days))
		before := listed(back)
		for _, d := range c.Days {
			var day, was, poor int64
			for _, row := range want {
				if DayOf(row.StartedAt) == d.Day {
					day++
					if row.Rating == "Poor" {
						poor++
					}
				}
			}
			for _, row := range before {
				if DayOf(row.StartedAt) == d.Day-Day(len(c.Days)) {
					was++
				}
			}
			if d.Sessions != day || d.Before != was || c.Rated && d.Poor != poor {
				t.Fatalf("%+v: day %d has %+v, want %d, %d poor, %d before", q, d.Day, d, day, poor, was)
			}
		}
	}
	if some < 5000 {
		t.Errorf("only %d sessions were found", some)
	}
}

// A search for more than is looked at in one go says so and goes on.
func TestARareCombinationGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(6, 6))
	s, first := explorerSite(t, r, 11_500)
	q, _ := SessionQuery{From: first, To: first.AddDate(0, 0, 21), Browsers: []string{"Safari", "Chrome"}, State: EndedSessions}.Check()
	l, err := s.List(t.Context(), 1, q, Moment{})
	if err != nil || len(l.Sessions) != 0 || !l.Cut || !l.More || l.Examined < 20_000 {
		t.Fatalf("%d sessions, cut %t, more %t after %d looked at (%v): there are 23,000, none of them ended", len(l.Sessions), l.Cut, l.More, l.Examined, err)
	}
	l, err = s.List(t.Context(), 1, q, l.Next)
	if err != nil || len(l.Sessions) != 0 || l.Cut || l.More || l.Examined > 8000 {
		t.Errorf("then %d sessions, cut %t, more %t after %d looked at (%v)", len(l.Sessions), l.Cut, l.More, l.Examined, err)
	}
	q.State = ""
	if n, err := s.Count(t.Context(), 1, q); err != nil || n.Sessions != 23_000 || n.More {
		t.Errorf("rollups count %+v (%v)", n, err)
	}
	q.Identifier, q.People, q.Browsers = "", KnownPeople, []string{"Safari"}
	q.Countries = []string{"NZ", "US"}
	n, err := s.Count(t.Context(), 1, q)
	if err != nil || n.More || n.Sessions < 4000 {
		t.Errorf("counts %+v (%v)", n, err)
	}
	q.Countries, q.Browsers, q.Systems = nil, []string{"Safari", "Chrome"}, []string{"iOS", "Windows"}
	if n, err = s.Count(t.Context(), 1, q); err != nil || !n.More || n.Sessions != maxCount {
		t.Errorf("counts %+v (%v), want 10,000 and more", n, err)
	}
}

// A chart of more sessions than it may look at says from which day on it is
// counted, or does without ratings.
func TestAChartOfTooManySaysWhatItLacks(t *testing.T) {
	t.Parallel()
	s, first := explorerSite(t, rand.New(rand.NewPCG(8, 8)), 1000)
	s.chartBudget = 500
	ctx := t.Context()
	q, _ := SessionQuery{From: first, To: first.AddDate(0, 0, 20), Browsers: []string{"Safari"}, Systems: []string{"iOS", "Windows"}}.Check()
	c, err := s.Chart(ctx, 1, q)
	if err != nil || c.Compared || !c.Rated || c.Since <= c.Days[0].Day || c.Since > c.Days[19].Day {
		t.Fatalf("charts %+v (%v)", c, err)
	}
	var days, in int64
	for _, d := range c.Days {
		days += d.Sessions
		if d.Sessions > 0 && d.Day < c.Since {
			t.Errorf("day %d has figures, and only from %d on they are whole", d.Day, c.Since)
		}
	}
	q.From = c.Since.Time()
	if n, err := s.Count(ctx, 1, q); err != nil || n.Sessions != days || c.Now.Sessions != days {
		t.Errorf("from there on %d on the days, %d in all and %+v counted (%v)", days, c.Now.Sessions, n, err)
	}
	// Rollups tell how many have no errors and how these are rated, but of a
	// browser's not how they are rated.
	q, _ = SessionQuery{From: first, To: first.AddDate(0, 0, 20), Errors: WithoutErrors}.Check()
	all, err := s.Chart(ctx, 1, q)
	if err != nil || !all.Rated || all.Now.Rated() < 400 || all.Examined > 0 {
		t.Fatalf("charts %+v (%v)", all, err)
	}
	q, _ = SessionQuery{From: first, To: first.AddDate(0, 0, 20), Errors: WithoutErrors, Browsers: []string{"Safari", "Chrome"}}.Check()
	if c, err = s.Chart(ctx, 1, q); err != nil || c.Rated || c.Since != c.Days[0].Day || c.Now.Rated() != 0 {
		t.Fatalf("charts %+v (%v)", c, err)
	}
	if n, err := s.Count(ctx, 1, q); err != nil || n.Sessions != c.Now.Sessions || n.Sessions != all.Now.Sessions || n.Sessions < 700 {
		t.Errorf("%d on the chart, %d with ratings, %+v counted (%v)", c.Now.Sessions, all.Now.Sessions, n, err)
	}
	for _, d := range c.Days {
		in += d.Sessions
	}
	if in != c.Now.Sessions {
		t.Errorf("%d on the days, %d in all", in, c.Now.Sessions)
	}
}

func TestAnExportEndsWhenNobodyWants(t *testing.T) {
	t.Parallel()
	s, first := explorerSite(t, rand.New(rand.NewPCG(7, 7)), 1200)
	q, _ := SessionQuery{From: first, To: first.AddDate(0, 0, 21)}.Check()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	err := s.Each(ctx, 1, q, func(Session) error {
		if n++; n == 5 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || n >= 2400 {
		t.Errorf("%d rows of 2400 after the request had ended (%v)", n, err)
	}
	enough := errors.New("enough")
	if err := s.Each(t.Context(), 1, q, func(Session) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("a failed writer: %v", err)
	}
}

func TestWhatIsWrongWithASessionQuery(t *testing.T) {
	day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	ok := SessionQuery{From: day, To: day.AddDate(0, 0, 1)}
	for _, c := range []struct {
		fields string
		change func(*SessionQuery)
	}{
		{"", func(q *SessionQuery) {
			q.Ratings, q.People, q.Errors, q.State = []string{" POOR", ""}, "Known", "With", "ACTIVE"
		}},
		{"from to", func(q *SessionQuery) { q.From, q.To = time.Time{}, time.Time{} }},
		{"to", func(q *SessionQuery) { q.To = q.From }},
		{"ratings", func(q *SessionQuery) { q.Ratings = []string{"splendid"} }},
		{"people", func(q *SessionQuery) { q.People = "robots" }},
		{"errors", func(q *SessionQuery) { q.Errors = "yes" }},
		{"state", func(q *SessionQuery) { q.State = "open" }},
		{"slow_ms", func(q *SessionQuery) { q.SlowMS = -1 }},
		{"slow_ms", func(q *SessionQuery) { q.SlowMS = MaxSlowMS + 1 }},
		{"email", func(q *SessionQuery) { q.Email = strings.Repeat("a", 1025) }},
		{"page", func(q *SessionQuery) { q.Page = strings.Repeat("a", 1025) }},
		{"error_text", func(q *SessionQuery) { q.ErrorText = strings.Repeat("a", 4097) }},
		{"error_text", func(q *SessionQuery) { q.ErrorText, q.Errors = "Boom", WithoutErrors }},
		{"browsers", func(q *SessionQuery) { q.Browsers = []string{strings.Repeat("a", 201)} }},
		{"systems", func(q *SessionQuery) {
			for i := range MaxValues + 1 {
				q.Systems = append(q.Systems, fmt.Sprint(i))
			}
		}},
	} {
		q := ok
		c.change(&q)
		got, problems := q.Check()
		var fields []string
		for f := range problems {
			fields = append(fields, f)
		}
		slices.Sort(fields)
		if strings.Join(fields, " ") != c.fields {
			t.Errorf("%+v: problems %v, want of %q", got, problems, c.fields)
		}
		again, _ := got.Check()
		if fmt.Sprint(again) != fmt.Sprint(got) {
			t.Errorf("checked twice, %+v becomes %+v", got, again)
		}
	}
}

// What is offered to choose from is what there is, with how many sessions each
// choice finds on whole days.
func TestChoicesAreWhatCountsFind(t *testing.T) {
	t.Parallel()
	s, first := explorerSite(t, rand.New(rand.NewPCG(9, 9)), 300)
	for _, conn := range []ConnectionID{0, 2} {
		q, _ := SessionQuery{Connection: conn, From: first.AddDate(0, 0, 3), To: first.AddDate(0, 0, 9), Ratings: []string{"poor"}}.Check()
		c, err := s.Choices(t.Context(), 1, q)
		if err != nil || len(c.Countries) != 3 || len(c.Browsers) != 2 || len(c.Systems) != 2 {
			t.Fatalf("choices %+v (%v)", c, err)
		}
		q.Ratings = nil
		for field, rows := range map[*[]string][]ValueRow{&q.Countries: c.Countries, &q.Browsers: c.Browsers, &q.Systems: c.Systems} {
			for _, row := range rows {
				if row.Value == "" {
					continue // not known, which no filter asks for
				}
				*field = []string{row.Value}
				n, err := s.Count(t.Context(), 1, q)
				if err != nil || n.Sessions != row.Sessions || n.Sessions == 0 {
					t.Errorf("%q is offered with %d sessions and finds %+v (%v)", row.Value, row.Sessions, n, err)
				}
			}
			*field = nil
		}
	}
}
