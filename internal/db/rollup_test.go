package db

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"database/sql"
)

// rollups are all rows that are kept in step with sessions, written down.
func rollups(t *testing.T, d *DB) []string {
	t.Helper()
	var out []string
	for _, query := range []string{
		`SELECT 'sessions a day', org_id, connection_id, facet, day, value, sessions, detailed, with_errors, anonymous, excellent, good, average, poor FROM session_days`,
		`SELECT 'page', d.org_id, d.connection_id, p.path, d.day, d.sessions, d.views, d.timed, hex(d.loads) FROM page_days d JOIN pages p ON p.id = d.page_id`,
		`SELECT 'error', d.org_id, d.connection_id, g.key, d.day, d.sessions, d.occurrences FROM error_days d JOIN error_groups g ON g.id = d.group_id`,
		`SELECT 'page''s session', s.org_id, p.path, s.started_at, s.session_id, s.views, s.slowest_ms FROM session_pages s JOIN pages p ON p.id = s.page_id`,
		`SELECT 'error''s session', s.org_id, g.key, s.started_at, s.session_id, s.occurrences FROM session_error_groups s JOIN error_groups g ON g.id = s.group_id`,
		`SELECT 'session', org_id, id, slowest_ms, slow_class, counted FROM sessions`,
	} {
		out = append(out, texts(t, d.w, query)...)
	}
	type block struct {
		org, number int64
		conn        ConnectionID
		days        string
	}
	blocks, err := list(t.Context(), d.w, "blocks", func(s scanner) (b block, err error) {
		return b, s.Scan(&b.org, &b.conn, &b.number, &b.days)
	}, `SELECT org_id, connection_id, block, days FROM session_day_blocks`)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		days, err := readDays(b.conn, b.days, math.MinInt64, math.MaxInt64)
		if err != nil || len(days) == 0 {
			t.Fatalf("block %+v: %v", b, err)
		}
		for _, c := range days {
			out = append(out, fmt.Sprint("block", b.org, b.number, b.conn, int64(c.Day), c.Sessions, c.Detailed, c.WithErrors, c.Anonymous, c.Excellent, c.Good, c.Average, c.Poor))
		}
	}
	slices.Sort(out)
	return out
}

// anyPool is the writer, the readers or a pool of a test's own.
type anyPool interface {
	Exec(query string, args ...any) (sql.Result, error)
	Query(query string, args ...any) (*sql.Rows, error)
}

func texts(t *testing.T, q anyPool, query string) []string {
	t.Helper()
	rows, err := q.Query(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	var out []string
	for rows.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(values...))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// truth is what rollups should say, from the sessions alone: each is looked at
// by itself and by other code.
func truth(t *testing.T, d *DB) []string {
	t.Helper()
	type key = string
	counts := map[key][]int64{}
	loads := map[key]*Loads{}
	var out []string
	add := func(k key, n ...int64) {
		if counts[k] == nil {
			counts[k] = make([]int64, len(n))
		}
		for i := range n {
			counts[k][i] += n[i]
		}
	}
	is := func(b bool) int64 {
		if b {
			return 1
		}
		return 0
	}
	bounds := newLoadBounds()
	sessions, err := list(t.Context(), d.w, "sessions", scanSession, `SELECT `+sessionColumns+` FROM sessions s`)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sessions {
		org, err := one(t.Context(), d.w, "org", scanInt, `SELECT org_id FROM sessions WHERE id = ?`, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		day := s.StartedAt.Unix() / 86400
		facets := []struct{ name, value string }{{"all", ""}, {"country", s.Country}, {"browser", s.Browser}, {"os", s.OS}, {"people", "known"}}
		if s.UserAnonymous {
			facets[4].value = "anonymous"
		}
		if s.ErrorCount != nil && *s.ErrorCount > 0 {
			facets = append(facets, struct{ name, value string }{"errors", "with"})
		} else if !s.DetailedAt.IsZero() {
			facets = append(facets, struct{ name, value string }{"errors", "without"})
		}
		n := []int64{
			1, is(!s.DetailedAt.IsZero()), is(s.ErrorCount != nil && *s.ErrorCount > 0), is(s.UserAnonymous),
			is(s.Rating == "Excellent"), is(s.Rating == "Good"), is(s.Rating == "Average"), is(s.Rating == "Poor"),
		}
		for _, f := range facets {
			add(fmt.Sprint("sessions a day", org, s.Connection, f.name, day, f.value), n...)
		}
		add(fmt.Sprint("block", org, day/32, s.Connection, day), n...)
		views, err := d.Org(OrgID(org)).PageViews(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		mine := map[string][]int64{} // views, timed, slowest
		slowest := int64(-1)
		for _, v := range views {
			path := NormalizePage(v.URL)
			if mine[path] == nil {
				mine[path] = []int64{0, 0, -1}
			}
			mine[path][0]++
			if v.LoadMS != nil {
				mine[path][1]++
				mine[path][2] = max(mine[path][2], *v.LoadMS)
				slowest = max(slowest, *v.LoadMS)
				k := fmt.Sprint("page", org, s.Connection, path, day)
				if loads[k] == nil {
					loads[k] = &Loads{}
				}
				loads[k].add(bounds.bucket(*v.LoadMS), 1)
			}
		}
		null := func(n int64) any {
			if n < 0 {
				return nil
			}
			return n
		}
		for path, n := range mine {
			add(fmt.Sprint("page", org, s.Connection, path, day), 1, n[0], n[1])
			out = append(out, fmt.Sprint("page's session", org, path, s.StartedAt.UnixMilli(), int64(s.ID), n[0], null(n[2])))
		}
		errs, err := d.Org(OrgID(org)).SessionErrors(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		of := map[string]int64{}
		for _, e := range errs {
			of[errorKey(e)]++
		}
		for k, n := range of {
			add(fmt.Sprint("error", org, s.Connection, k, day), 1, n)
			out = append(out, fmt.Sprint("error's session", org, k, s.StartedAt.UnixMilli(), int64(s.ID), n))
		}
		class := any(nil)
		if slowest >= 0 {
			class = int64(SlowClass(slowest))
		}
		out = append(out, fmt.Sprint("session", org, int64(s.ID), null(slowest), class, int64(1)))
	}
	for k, n := range counts {
		args := []any{k}
		for _, v := range n {
			args = append(args, v)
		}
		line := fmt.Sprint(args...)
		if strings.HasPrefix(k, "page") {
			packed := ""
			if loads[k] != nil {
				packed = fmt.Sprintf("%X", loads[k].pack())
			}
			line = fmt.Sprint(append(args, packed)...)
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

// sameLines compares two sorted lists without the spaces that Sprint puts
// between numbers.
func sameLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	count := map[string]int{}
	plain := func(s string) string { return strings.ReplaceAll(s, " ", "") }
	for _, l := range want {
		count[plain(l)]++
	}
	for _, l := range got {
		count[plain(l)]--
	}
	for _, l := range slices.Sorted(maps.Keys(count)) {
		if n := count[l]; n != 0 {
			t.Errorf("%s: %+d × %s", what, -n, l)
		}
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// randomSession is one of 40 sessions in one of its states.
func randomSession(r *rand.Rand) FullSession {
	base := time.UnixMilli(1_700_000_000_000)
	id := r.IntN(40)
	var s FullSession
	s.VendorID = fmt.Sprint("s", id)
	s.StartedAt = base.Add(time.Duration(id)*7*time.Hour - time.Duration(r.IntN(3))*13*time.Hour)
	s.UpdatedAt = base.Add(time.Duration(r.IntN(5)) * time.Hour * 100)
	s.Country, s.Browser, s.OS = pick(r, "NZ", "US", ""), pick(r, "Chrome", "Firefox", ""), pick(r, "iOS", "Windows")
	s.Rating = pick(r, "", "", "Excellent", "Good", "Average", "Poor", "Splendid")
	s.UserAnonymous = r.IntN(3) == 0
	s.UserIdentifier = fmt.Sprint("u", id%7)
	for range r.IntN(6) {
		v := PageView{URL: pick(r, "https://x.example/a?q=1", "https://x.example/a", "https://x.example/o/17", "https://x.example/o/18", "/b", "")}
		if r.IntN(4) > 0 {
			ms := r.Int64N(1 << uint(1+r.IntN(22)))
			v.LoadMS = &ms
		}
		if NormalizePage(v.URL) != "" || v.LoadMS == nil {
			s.Views = append(s.Views, v)
		}
	}
	s.Views = slices.DeleteFunc(s.Views, func(v PageView) bool { return v.URL == "" })
	for range r.IntN(4) {
		s.Errors = append(s.Errors, SessionError{GroupID: pick(r, "", "7"), Title: pick(r, "Order 1 gone", "Order 2 gone", "Boom")})
	}
	return s
}

// Whatever comes, in whatever order, how often ever: the rollups say what the
// sessions say.
func TestRollupsSayWhatTheSessionsSay(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 9))
		d := twoOrgs(t)
		now := time.UnixMilli(1_800_000_000_000)
		for step := range 60 {
			org, conn := OrgID(1), pick(r, ConnectionID(1), 1, 2)
			if r.IntN(6) == 0 {
				org, conn = 2, 3
			}
			o := d.Org(org)
			var full []FullSession
			var rows []Session
			for range 1 + r.IntN(12) {
				s := randomSession(r)
				full, rows = append(full, s), append(rows, s.Session)
			}
			var err error
			switch r.IntN(3) {
			case 0:
				_, err = o.PutFullSessions(t.Context(), conn, full[:1], now)
			case 1:
				_, err = o.PutFullSessions(t.Context(), conn, full, now)
			default:
				_, err = o.PutSessions(t.Context(), conn, rows, now, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			if step%10 == 9 {
				sameLines(t, fmt.Sprintf("seed %d, step %d", seed, step), rollups(t, d), truth(t, d))
			}
			if t.Failed() {
				return
			}
		}
	}
}

// What failed half-way leaves no trace in the rollups.
func TestAFailedBatchCountsNothing(t *testing.T) {
	d := twoOrgs(t)
	r := rand.New(rand.NewPCG(1, 1))
	now := time.UnixMilli(1_800_000_000_000)
	if _, err := d.Org(1).PutFullSessions(t.Context(), 1, []FullSession{randomSession(r)}, now); err != nil {
		t.Fatal(err)
	}
	before := rollups(t, d)
	bad := randomSession(r)
	bad.VendorID = ""
	if _, err := d.Org(1).PutFullSessions(t.Context(), 1, []FullSession{randomSession(r), bad}, now); err == nil {
		t.Fatal("a session without an id was kept")
	}
	sameLines(t, "after a failure", rollups(t, d), before)
}

// twoOrgs is a database with connections 1 and 2 of one organization and 3 of
// another.
func twoOrgs(t *testing.T) *DB {
	t.Helper()
	d, err := Open(t.Context(), filepath.Join(t.TempDir(), "sightline.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	addTwoOrgs(t, d.w)
	return d
}

func addTwoOrgs(t *testing.T, w anyPool) {
	t.Helper()
	if _, err := w.Exec(`
		INSERT INTO organizations (id, slug, name, created_at) VALUES (1, 'a', 'A', 1), (2, 'b', 'B', 1);
		INSERT INTO connections (id, org_id, vendor, name, created_at) VALUES (1, 1, 'raygun', 'Web', 1), (2, 1, 'raygun', 'App', 1), (3, 2, 'raygun', 'Web', 1)`); err != nil {
		t.Fatal(err)
	}
}

// A database from before there were rollups has them after it is opened, and
// nothing that was in it is lost or changed.
func TestAFilledDatabaseIsMigrated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sightline.db")
	w := schemaOf(t, path, 1)
	addTwoOrgs(t, w)
	r := rand.New(rand.NewPCG(3, 3))
	const many = countBatch + 5
	mustExec(t, w, `BEGIN`)
	for id := 1; id <= many; id++ {
		s := randomSession(r)
		detailed := any(nil)
		if id%2 == 0 {
			detailed = 1_800_000_000_000
		}
		owner := pick(r, [2]int{1, 1}, [2]int{1, 2}, [2]int{2, 3})
		mustExec(t, w, `INSERT INTO sessions (id, org_id, connection_id, vendor_id, started_at, country, browser, os, rating, user_anonymous, error_count, detailed_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, id, owner[0], owner[1], fmt.Sprint(id), s.StartedAt.UnixMilli(), s.Country, s.Browser, s.OS, s.Rating, s.UserAnonymous, len(s.Errors), detailed)
		if detailed == nil {
			continue
		}
		for i, v := range s.Views {
			mustExec(t, w, `INSERT INTO page_views (session_id, position, org_id, url, load_ms) VALUES (?, ?, ?, ?, ?)`, id, i, owner[0], v.URL, v.LoadMS)
		}
		for i, e := range s.Errors {
			mustExec(t, w, `INSERT INTO session_errors (session_id, position, org_id, group_id, title) VALUES (?, ?, ?, ?, ?)`, id, i, owner[0], e.GroupID, e.Title)
		}
	}
	for org := 1; org <= 2; org++ {
		mustExec(t, w, `INSERT INTO customers (id, org_id, name, email, created_at) VALUES (?, ?, 'Ada', 'ada@example.com', 1)`, org, org)
		mustExec(t, w, `INSERT INTO identities (id, org_id, customer_id, kind, connection_id, value, value_norm) VALUES (?, ?, ?, 'email', 0, 'ada@example.com', 'ada@example.com')`, org, org, org)
	}
	mustExec(t, w, `COMMIT`)
	old := func(q anyPool) []string {
		return slices.Concat(texts(t, q, `SELECT id, org_id, connection_id, vendor_id, started_at, country, rating, error_count, detailed_at FROM sessions ORDER BY id`),
			texts(t, q, `SELECT session_id, position, org_id, url, load_ms FROM page_views ORDER BY 1, 2`), texts(t, q, `SELECT session_id, position, group_id, title FROM session_errors ORDER BY 1, 2`))
	}
	before := old(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if !slices.Equal(before, old(d.w)) {
		t.Error("what was in the database has changed")
	}
	sameLines(t, "after the migration", rollups(t, d), truth(t, d))
	found := func(org OrgID, text string) int {
		matches, err := d.Org(org).MatchText(t.Context(), text, 200)
		if err != nil || len(matches) > 1 || len(matches) == 1 && matches[0].Customer.ID != CustomerID(org) {
			t.Errorf("organization %d finds %+v, %v", org, matches, err)
		}
		return len(matches)
	}
	if found(1, "a@exam") != 1 || found(2, "a@exam") != 1 {
		t.Error("what was to be found before is not found")
	}
	mustExec(t, d.w, `UPDATE identities SET value_norm = 'grace@example.com' WHERE id = 1`)
	mustExec(t, d.w, `DELETE FROM identities WHERE id = 2`)
	if found(1, "a@exam") != 0 || found(1, "grace") != 1 || found(2, "a@exam") != 0 {
		t.Error("the search does not follow what changes")
	}

	// A crash in the middle: what is counted is not counted again.
	mustExec(t, d.w, `DELETE FROM session_days`)
	mustExec(t, d.w, `DELETE FROM session_day_blocks`)
	mustExec(t, d.w, `DELETE FROM page_days`)
	mustExec(t, d.w, `DELETE FROM error_days`)
	mustExec(t, d.w, `DELETE FROM session_pages`)
	mustExec(t, d.w, `DELETE FROM session_error_groups`)
	mustExec(t, d.w, `UPDATE sessions SET counted = 0, slowest_ms = NULL, slow_class = NULL`)
	if err := d.write(t.Context(), func(tx *sql.Tx) error {
		_, err := countSome(t.Context(), tx, 100)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := countSessions(t.Context(), d.w.DB); err != nil {
		t.Fatal(err)
	}
	sameLines(t, "after a crash", rollups(t, d), truth(t, d))
	// And sessions that were there before change like any others.
	for range 10 {
		if _, err := d.Org(1).PutFullSessions(t.Context(), 1, []FullSession{randomSession(r), randomSession(r)}, time.UnixMilli(1_800_000_000_000)); err != nil {
			t.Fatal(err)
		}
	}
	sameLines(t, "with new sessions", rollups(t, d), truth(t, d))
}

func mustExec(t *testing.T, w anyPool, query string, args ...any) {
	t.Helper()
	if _, err := w.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}
