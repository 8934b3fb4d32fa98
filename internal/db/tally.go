package db

import (
	"context"
	"errors"
	"strings"
)

// Facet is what sessions are counted by.
type Facet string

// The facets of the rollups.
const (
	FacetAll     Facet = "all" // its only value is ""
	FacetCountry Facet = "country"
	FacetBrowser Facet = "browser"
	FacetOS      Facet = "os"
	// Known and anonymous people, and sessions with and without errors: what
	// filters choose by, with the ratings of what they choose.
	FacetPeople Facet = "people" // PeopleKnown or PeopleAnonymous
	FacetErrors Facet = "errors" // ErrorsWith or, of sessions with their detail, ErrorsWithout
)

// facts are what a session's own row adds to the rollups.
type facts struct {
	id                             SessionID
	startedAt                      int64
	country, browser, os           string
	rating                         string
	anonymous, detailed, hasErrors bool
}

const factColumns = `id, ` + factValues

const factValues = `started_at, country, browser, os, rating, user_anonymous, detailed_at IS NOT NULL, coalesce(error_count, 0) > 0`

func scanFacts(s scanner) (facts, error) {
	var f facts
	err := s.Scan(&f.id, &f.startedAt, &f.country, &f.browser, &f.os, &f.rating, &f.anonymous, &f.detailed, &f.hasErrors)
	return f, err
}

// dayKey is a row of session_days on the tally's connection.
type dayKey struct {
	facet Facet
	day   Day
	value string
}

// Counts are numbers of sessions: all of them, and of these, how many have a
// detail, errors, no name, and each rating. What Raygun did not rate, or rated
// with another word, is in none of the four.
type Counts struct {
	Sessions, Detailed, WithErrors, Anonymous int64
	Excellent, Good, Average, Poor            int64
}

func (c *Counts) all() []*int64 {
	return []*int64{&c.Sessions, &c.Detailed, &c.WithErrors, &c.Anonymous, &c.Excellent, &c.Good, &c.Average, &c.Poor}
}

// Add adds other counts.
func (c *Counts) Add(other Counts) {
	from := other.all()
	for i, n := range c.all() {
		*n += *from[i]
	}
}

// Rated is how many sessions have one of the four ratings.
func (c Counts) Rated() int64 { return c.Excellent + c.Good + c.Average + c.Poor }

// pageDay is a row of page_days on the tally's connection.
type pageDay struct {
	day  Day
	page PageID
}

type pageDelta struct {
	sessions, views, timed int64
	loads                  map[int]int64
}

// errorDay is a row of error_days on the tally's connection.
type errorDay struct {
	day   Day
	group ErrorGroupID
}

type errorDelta struct{ sessions, occurrences int64 }

// detail is what a session's page views and errors add to the rollups.
type detail struct {
	pages   map[PageID]*pageShare
	errs    map[ErrorGroupID]int64
	slowest *int64
}

// pageShare is one page's part in one session.
type pageShare struct {
	views, timed int64
	slowest      *int64
	loads        map[int]int64 // by bucket
}

// tally gathers what a transaction changes in the rollups of one connection,
// so that flush writes each row once.
type tally struct {
	org    OrgID
	conn   ConnectionID
	days   map[dayKey]*Counts
	pages  map[pageDay]*pageDelta
	errs   map[errorDay]*errorDelta
	known  map[string]PageID
	groups map[string]ErrorGroup
	bounds *loadBounds
}

func newTally(org OrgID, conn ConnectionID) *tally {
	return &tally{
		org: org, conn: conn, days: map[dayKey]*Counts{}, pages: map[pageDay]*pageDelta{}, errs: map[errorDay]*errorDelta{},
		known: map[string]PageID{}, groups: map[string]ErrorGroup{}, bounds: newLoadBounds(),
	}
}

// counts are the counts of this one session.
func (f facts) counts() Counts {
	one := Counts{Sessions: 1}
	if f.detailed {
		one.Detailed = 1
	}
	if f.hasErrors {
		one.WithErrors = 1
	}
	if f.anonymous {
		one.Anonymous = 1
	}
	switch {
	case strings.EqualFold(f.rating, "excellent"):
		one.Excellent = 1
	case strings.EqualFold(f.rating, "good"):
		one.Good = 1
	case strings.EqualFold(f.rating, "average"):
		one.Average = 1
	case strings.EqualFold(f.rating, "poor"):
		one.Poor = 1
	}
	return one
}

// session adds a session's row once (sign 1) or takes it away (sign -1).
func (t *tally) session(f facts, sign int64) {
	one := f.counts()
	for _, n := range one.all() {
		*n *= sign
	}
	day, people := dayOfMS(f.startedAt), PeopleKnown
	if f.anonymous {
		people = PeopleAnonymous
	}
	keys := [...]dayKey{
		{FacetAll, day, ""}, {FacetCountry, day, f.country}, {FacetBrowser, day, f.browser}, {FacetOS, day, f.os}, {FacetPeople, day, people},
		{FacetErrors, day, ErrorsWithout},
	}
	told := keys[:]
	switch last := len(keys) - 1; {
	case f.hasErrors:
		keys[last].value = ErrorsWith
	case !f.detailed: // of whose errors nothing is known
		told = keys[:last]
	}
	for _, key := range told {
		row := t.days[key]
		if row == nil {
			row = &Counts{}
			t.days[key] = row
		}
		row.Add(one)
	}
}

// detail adds a session's page views and errors once or takes them away.
func (t *tally) detail(startedAt int64, d detail, sign int64) {
	day := dayOfMS(startedAt)
	for page, share := range d.pages {
		key := pageDay{day, page}
		row := t.pages[key]
		if row == nil {
			row = &pageDelta{loads: map[int]int64{}}
			t.pages[key] = row
		}
		row.sessions += sign
		row.views += sign * share.views
		row.timed += sign * share.timed
		for bucket, n := range share.loads {
			row.loads[bucket] += sign * n
		}
	}
	for group, n := range d.errs {
		key := errorDay{day, group}
		row := t.errs[key]
		if row == nil {
			row = &errorDelta{}
			t.errs[key] = row
		}
		row.sessions += sign
		row.occurrences += sign * n
	}
}

func newDetail() detail {
	return detail{pages: map[PageID]*pageShare{}, errs: map[ErrorGroupID]int64{}}
}

// view adds one page view to a detail. Page 0 is no page, but its load counts
// for the session's slowest.
func (t *tally) view(d *detail, page PageID, load *int64) {
	if load != nil && *load < 0 {
		load = nil // a clock that ran backwards
	}
	d.slowest = slower(d.slowest, load)
	if page == 0 {
		return
	}
	share := d.pages[page]
	if share == nil {
		share = &pageShare{loads: map[int]int64{}}
		d.pages[page] = share
	}
	share.views++
	share.slowest = slower(share.slowest, load)
	if load != nil {
		share.timed++
		share.loads[t.bounds.bucket(*load)]++
	}
}

func slower(a, b *int64) *int64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// slowClass is what sessions.slow_class holds for a slowest load.
func slowClass(slowest *int64) any {
	if slowest == nil {
		return nil
	}
	return SlowClass(*slowest)
}

// page finds or makes the page of an address; 0 if it names none.
func (t *tally) page(ctx context.Context, q querier, address string) (PageID, error) {
	path := NormalizePage(address)
	if path == "" {
		return 0, nil
	}
	if id, ok := t.known[path]; ok {
		return id, nil
	}
	n, err := one(ctx, q, "page", scanInt, `SELECT id FROM pages WHERE connection_id = ? AND path = ?`, t.conn, path)
	if errors.Is(err, ErrNotFound) {
		n, err = one(ctx, q, "page", scanInt, `INSERT INTO pages (org_id, connection_id, path) VALUES (?, ?, ?) RETURNING id`, t.org, t.conn, path)
	}
	if err != nil {
		return 0, err
	}
	t.known[path] = PageID(n)
	return PageID(n), nil
}

// group finds or makes the group of an error and gives it the newest title.
func (t *tally) group(ctx context.Context, q querier, e SessionError) (ErrorGroupID, error) {
	key, name := errorKey(e), clip(e.Title)
	g, ok := t.groups[key]
	if !ok {
		var err error
		g, err = one(ctx, q, "error group", scanErrorGroup, `
			SELECT id, connection_id, vendor_id, name FROM error_groups WHERE connection_id = ? AND key = ?`, t.conn, key)
		if errors.Is(err, ErrNotFound) {
			g, err = one(ctx, q, "error group", scanErrorGroup, `
				INSERT INTO error_groups (org_id, connection_id, key, vendor_id, name) VALUES (?, ?, ?, ?, ?)
				RETURNING id, connection_id, vendor_id, name`, t.org, t.conn, key, clip(e.GroupID), name)
		}
		if err != nil {
			return 0, err
		}
	}
	if name != "" && name != g.Name {
		if _, err := exec(ctx, q, "error group", `UPDATE error_groups SET name = ? WHERE id = ? AND org_id = ?`, name, g.ID, t.org); err != nil {
			return 0, err
		}
		g.Name = name
	}
	t.groups[key] = g
	return g.ID, nil
}

// readDetail is what a session's stored page views and errors add to the
// rollups.
func (t *tally) readDetail(ctx context.Context, q querier, id SessionID) (detail, error) {
	d := newDetail()
	_, err := list(ctx, q, "page views", func(s scanner) (struct{}, error) {
		var page PageID
		var load *int64
		err := s.Scan(&page, &load)
		t.view(&d, page, load)
		return struct{}{}, err
	}, `SELECT coalesce(page_id, 0), load_ms FROM page_views WHERE session_id = ? AND org_id = ?`, id, t.org)
	if err != nil {
		return d, err
	}
	_, err = list(ctx, q, "session errors", func(s scanner) (struct{}, error) {
		var group ErrorGroupID
		err := s.Scan(&group)
		if group != 0 {
			d.errs[group]++
		}
		return struct{}{}, err
	}, `SELECT coalesce(error_group_id, 0) FROM session_errors WHERE session_id = ? AND org_id = ?`, id, t.org)
	return d, err
}

// putIndex lists a session under its pages and errors.
func (t *tally) putIndex(ctx context.Context, q querier, id SessionID, startedAt int64, d detail) error {
	for page, share := range d.pages {
		_, err := exec(ctx, q, "page's session", `
			INSERT INTO session_pages (page_id, started_at, session_id, org_id, views, slowest_ms) VALUES (?, ?, ?, ?, ?, ?)`,
			page, startedAt, id, t.org, share.views, share.slowest)
		if err != nil {
			return err
		}
	}
	for group, n := range d.errs {
		_, err := exec(ctx, q, "error's session", `
			INSERT INTO session_error_groups (group_id, started_at, session_id, org_id, occurrences) VALUES (?, ?, ?, ?, ?)`,
			group, startedAt, id, t.org, n)
		if err != nil {
			return err
		}
	}
	return nil
}

// dropIndex takes a session away from under its pages and errors.
func (t *tally) dropIndex(ctx context.Context, q querier, id SessionID, startedAt int64, d detail) error {
	for page := range d.pages {
		_, err := exec(ctx, q, "page's session", `
			DELETE FROM session_pages WHERE page_id = ? AND started_at = ? AND session_id = ? AND org_id = ?`, page, startedAt, id, t.org)
		if err != nil {
			return err
		}
	}
	for group := range d.errs {
		_, err := exec(ctx, q, "error's session", `
			DELETE FROM session_error_groups WHERE group_id = ? AND started_at = ? AND session_id = ? AND org_id = ?`, group, startedAt, id, t.org)
		if err != nil {
			return err
		}
	}
	return nil
}
