package services

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"sightline/internal/db"
)

// SessionList is one page of sessions, newest first.
type SessionList = db.SessionPage

// Count is how many sessions a query selects.
type Count struct {
	Sessions int64
	// More says that there are or may be more: counting stopped there.
	More bool
	// Unknown is how many sessions of the days of the range are in the mirror
	// without the detail that the query needs: they may match or not. 0 for a
	// query that needs none.
	Unknown int64
}

// SessionChart is the sessions a day of a query, by rating, and as many days
// before.
type SessionChart struct {
	DaySeries
	// Since is the first day that is counted in full: later than the first of
	// Days only where counting all would take too long. The days before it have
	// no figures, which does not mean that they had no sessions.
	Since Day
	// Compared says that the days before the range were all counted; without it
	// the Before figures are not known.
	Compared bool
	// Rated says that Counts has ratings. Without it only Sessions is known.
	Rated bool
	// Examined is how many sessions were looked at; 0 if the rollups told all.
	Examined int
}

// Choices are the values of the sessions of a query's days and connection,
// most frequent first. Other parts of the query do not matter.
type Choices struct {
	Countries, Browsers, Systems []ValueRow
}

// chartBudget is how many sessions a chart looks at where the rollups do not
// tell.
const chartBudget = 50_000

// maxCount is where counting stops.
const maxCount = 10_000

// filter is the query as the store has it. ok is false if it asks for a type
// of user that Raygun was never asked for: then nothing is known.
func (s *Sessions) filter(ctx context.Context, org OrgID, q SessionQuery) (f db.SessionFilter, ok bool, err error) {
	f = db.SessionFilter{
		From: q.From, To: q.To, Identifier: q.Identifier, Email: q.Email, People: q.People,
		Countries: q.Countries, Browsers: q.Browsers, Systems: q.Systems, State: q.State,
		Page: q.Page, ErrorText: q.ErrorText, Ratings: q.Ratings, Errors: q.Errors, SlowMS: q.SlowMS,
	}
	if q.Connection != 0 {
		if f.Connections, err = s.connections.application(ctx, org, q.Connection); err != nil {
			return f, false, err
		}
	}
	if q.UserType == "" {
		return f, true, nil
	}
	search, err := s.db.Org(org).Search(ctx, q.Connection, q.params().String())
	if errors.Is(err, db.ErrNotFound) {
		return f, false, nil
	}
	// What Raygun was asked for it has answered.
	f.Search, f.Identifier, f.Countries = search.ID, "", nil
	return f, err == nil, err
}

// List returns the mirror's sessions that a checked query selects, newest first.
func (s *Sessions) List(ctx context.Context, org OrgID, q SessionQuery, after Moment) (SessionList, error) {
	f, ok, err := s.filter(ctx, org, q)
	if err != nil || !ok {
		return SessionList{}, err
	}
	return s.db.Org(org).Sessions(ctx, f, after, PageSize)
}

// Bare returns the sessions that a checked query may select once their details
// are here: the newest that lack them, at most [MaxDetails].
func (s *Sessions) Bare(ctx context.Context, org OrgID, q SessionQuery) ([]Session, error) {
	untold, err := s.Untold(ctx, org, q)
	if err != nil || untold.All {
		return nil, err // no detail would tell
	}
	q.Page, q.ErrorText, q.Ratings, q.Errors, q.SlowMS = "", "", nil, "", 0
	f, ok, err := s.filter(ctx, org, q)
	if err != nil || !ok {
		return nil, err
	}
	f.Bare = true
	if len(untold.By) > 0 {
		f.Connections = untold.telling
	}
	page, err := s.db.Org(org).Sessions(ctx, f, Moment{}, MaxDetails)
	return page.Sessions, err
}

// Each gives fn every session that List shows for a checked query, newest
// first, until fn fails or ctx ends. It reads some at a time, so that it holds
// up nobody however many there are.
func (s *Sessions) Each(ctx context.Context, org OrgID, q SessionQuery, fn func(Session) error) error {
	f, ok, err := s.filter(ctx, org, q)
	if err != nil || !ok {
		return err
	}
	return s.db.Org(org).EachSession(ctx, f, fn)
}

// Count counts the sessions that a checked query selects: exactly where the
// rollups tell or there are no more than 10,000 that are soon found, otherwise
// up to a bound.
func (s *Sessions) Count(ctx context.Context, org OrgID, q SessionQuery) (Count, error) {
	var c Count
	f, ok, err := s.filter(ctx, org, q)
	if err != nil || !ok {
		return c, err
	}
	o := s.db.Org(org)
	told, edges, ok, err := s.told(ctx, o, f)
	if err != nil {
		return c, err
	}
	if !ok {
		edges = []db.SessionFilter{f}
	}
	for _, d := range told.Days {
		c.Sessions += d.Sessions
	}
	for _, e := range edges {
		n, more, err := o.CountSessions(ctx, e, maxCount)
		if err != nil {
			return c, err
		}
		c.Sessions, c.More = c.Sessions+n, c.More || more
	}
	c.Unknown, err = s.unknown(ctx, org, q, f)
	return c, err
}

// Told counts the sessions that a checked query selects where the rollups know it
// without a look at a session; ok is false where they do not. What lacks detail is
// counted either way.
func (s *Sessions) Told(ctx context.Context, org OrgID, q SessionQuery) (c Count, ok bool, err error) {
	f, ok, err := s.filter(ctx, org, q)
	if err != nil || !ok {
		return c, ok, err
	}
	days, edges, ok, err := s.told(ctx, s.db.Org(org), f)
	if err != nil {
		return c, false, err
	}
	for _, d := range days.Days {
		c.Sessions += d.Sessions
	}
	c.Unknown, err = s.unknown(ctx, org, q, f)
	return c, ok && len(edges) == 0, err
}

// unknown counts the sessions that lack the detail which a query needs.
func (s *Sessions) unknown(ctx context.Context, org OrgID, q SessionQuery, f db.SessionFilter) (int64, error) {
	if !q.NeedsDetail() || f.Search != 0 { // how many of a search lack it nobody counts
		return 0, nil
	}
	untold, err := s.Untold(ctx, org, q)
	if err != nil || untold.All {
		return 0, err
	}
	if len(untold.By) > 0 {
		f.Connections = untold.telling
	}
	return s.db.Org(org).UnknownSessions(ctx, f, DayOf(f.From), DayOf(f.To.Add(-1)))
}

// Untold is what a query asks of sessions that some of its connections never
// tell, because v3 has no ratings and no load times.
type Untold struct {
	// Field is what it asks for, By are the names of the connections that do not
	// tell it; empty if all do.
	Field string
	By    []string
	// All says that none of the connections tells it: nothing can be found.
	All     bool
	telling []ConnectionID
}

// Untold says what the connections of a checked query cannot tell.
func (s *Sessions) Untold(ctx context.Context, org OrgID, q SessionQuery) (Untold, error) {
	var u Untold
	var asked []Field
	var words []string
	if len(q.Ratings) > 0 {
		asked, words = append(asked, FieldRating), append(words, "ratings")
	}
	if q.SlowMS > 0 {
		asked, words = append(asked, FieldLoadTime), append(words, "load times")
	}
	if len(asked) == 0 {
		return u, nil
	}
	of, err := s.connections.application(ctx, org, q.Connection)
	if err != nil {
		return u, err
	}
	all, err := s.connections.All(ctx, org)
	if err != nil {
		return u, err
	}
	for _, c := range all {
		switch {
		case !c.Vendor.IsRaygun() || q.Connection != 0 && !slices.Contains(of, c.ID):
		case slices.ContainsFunc(asked, func(f Field) bool { return !c.Tells(f) }):
			u.By = append(u.By, c.Name)
		default:
			u.telling = append(u.telling, c.ID)
		}
	}
	u.Field, u.All = strings.Join(words, " and "), len(u.By) > 0 && len(u.telling) == 0
	return u, nil
}

// Figures is Chart and Count together, with nothing counted twice: a chart that
// counted every day knows how many there are.
func (s *Sessions) Figures(ctx context.Context, org OrgID, q SessionQuery) (Count, SessionChart, error) {
	chart, err := s.Chart(ctx, org, q)
	if err != nil {
		return Count{}, chart, err
	}
	if chart.Since > DayOf(q.From) {
		n, err := s.Count(ctx, org, q)
		return n, chart, err
	}
	n := Count{Sessions: chart.Now.Sessions}
	f, ok, err := s.filter(ctx, org, q)
	if err != nil || !ok {
		return n, chart, err
	}
	n.Unknown, err = s.unknown(ctx, org, q, f)
	return n, chart, err
}

// told counts a filter's sessions of whole days from the rollups, if they can
// tell, and returns the filter for what is left before and after these.
func (s *Sessions) told(ctx context.Context, o db.Org, f db.SessionFilter) (days db.SessionDays, edges []db.SessionFilter, ok bool, err error) {
	first, last := DayOf(f.From.Add(24*time.Hour-1)), DayOf(f.To)-1
	if first > last {
		return days, nil, false, nil
	}
	days, ok, err = o.ToldDays(ctx, f, first, last)
	if err != nil || !ok {
		return days, nil, false, err
	}
	for _, e := range [][2]time.Time{{f.From, first.Time()}, {(last + 1).Time(), f.To}} {
		if e[0].Before(e[1]) {
			edge := f
			edge.From, edge.To = e[0], e[1]
			edges = append(edges, edge)
		}
	}
	return days, edges, true, nil
}

// Chart counts the sessions a day that a checked query selects, by rating, on
// the newest 400 days of the range and on as many days before it. What the
// rollups do not tell is counted in the sessions, the newest first, up to a
// bound.
func (s *Sessions) Chart(ctx context.Context, org OrgID, q SessionQuery) (SessionChart, error) {
	first, last := DayOf(q.From), DayOf(q.To.Add(-1))
	first = max(first, last-MaxInsightDays+1)
	n := last - first + 1
	c := SessionChart{Since: first, Compared: true, Rated: true}
	c.Days = make([]DayTotal, n)
	for i := range c.Days {
		c.Days[i].Day = first + Day(i)
	}
	f, ok, err := s.filter(ctx, org, q)
	if err != nil || !ok {
		return c, err
	}
	if f.From.Before(first.Time()) {
		f.From = first.Time()
	}
	o := s.db.Org(org)
	now, err := s.days(ctx, o, f, s.chartBudget)
	if err != nil {
		return c, err
	}
	c.Since, c.Rated, c.Examined = max(first, now.Since), now.Rated, now.Examined
	for _, d := range now.Days {
		if d.Day >= c.Since && d.Day <= last {
			c.Days[d.Day-first].Add(d.Counts)
			c.Now.Add(d.Counts)
		}
	}
	// The days before will hardly take less.
	c.Compared = c.Since == first && f.Search == 0 && now.Examined <= s.chartBudget*6/10
	if !c.Compared {
		return c, nil
	}
	f.From, f.To = f.From.AddDate(0, 0, -int(n)), f.To.AddDate(0, 0, -int(n))
	before, err := s.days(ctx, o, f, max(1, s.chartBudget-now.Examined))
	c.Examined += before.Examined
	if c.Compared = before.Since <= first-n; !c.Compared || err != nil {
		return c, err
	}
	for _, d := range before.Days {
		if day := d.Day + n; day >= first && day <= last {
			c.Days[day-first].Before += d.Sessions
			c.Before.Add(d.Counts)
		}
	}
	return c, nil
}

// days counts a filter's sessions day by day: from the rollups if they tell
// ratings too, else from the sessions, and if these are too many, from rollups
// that tell no ratings.
func (s *Sessions) days(ctx context.Context, o db.Org, f db.SessionFilter, budget int) (db.SessionDays, error) {
	told, edges, ok, err := s.told(ctx, o, f)
	if err != nil {
		return told, err
	}
	var total int64
	for _, d := range told.Days {
		total += d.Sessions
	}
	// What the rollups count beyond the budget would be walked in vain.
	if !ok || !told.Rated && total <= int64(budget) {
		counted, err := o.SessionDays(ctx, f, budget)
		if err != nil || !ok || counted.Since <= DayOf(f.From) {
			return counted, err
		}
		told.Examined = counted.Examined
	}
	for _, e := range edges {
		part, err := o.SessionDays(ctx, e, budget)
		if err != nil {
			return told, err
		}
		told.Days = append(told.Days, part.Days...)
		told.Since, told.Examined = max(told.Since, part.Since), told.Examined+part.Examined
	}
	return told, nil
}

// maxChoices is how many values of one field are offered.
const maxChoices = 200

// Choices returns the values to choose from for a checked query.
func (s *Sessions) Choices(ctx context.Context, org OrgID, q SessionQuery) (Choices, error) {
	var c Choices
	insight := newInsight(s.db, s.connections)
	ids, _, err := insight.sources(ctx, org, q.Connection)
	if err != nil {
		return c, err
	}
	last := DayOf(q.To.Add(-1))
	p := db.Period{From: max(DayOf(q.From), last-MaxInsightDays+1), To: last}
	p.Before = p.From
	for facet, into := range map[Facet]*[]ValueRow{FacetCountry: &c.Countries, FacetBrowser: &c.Browsers, FacetOS: &c.Systems} {
		counts, err := s.db.Org(org).FacetCounts(ctx, ids, facet, p, maxChoices)
		if err != nil {
			return c, err
		}
		*into = valueRows(counts)
	}
	return c, nil
}

// Coverage says, for each Raygun connection of a checked query, which days of
// its range the mirror holds, and what filling the others costs.
func (s *Sessions) Coverage(ctx context.Context, org OrgID, q SessionQuery) ([]Coverage, error) {
	conns, err := s.connections.List(ctx, org)
	if err != nil {
		return nil, err
	}
	var out []Coverage
	for _, c := range conns {
		if !c.Vendor.IsRaygun() || q.Connection != 0 && c.ID != q.Connection {
			continue
		}
		cover, err := s.syncs.Coverage(ctx, org, c.ID, q.From, q.To)
		if err != nil {
			return nil, err
		}
		out = append(out, cover)
	}
	return out, nil
}

// Lacked counts the days of a checked query's range that the mirror does not
// hold in full: some application of it has no connection that has read them.
func (s *Sessions) Lacked(ctx context.Context, org OrgID, q SessionQuery) (int, error) {
	of, err := s.connections.application(ctx, org, q.Connection)
	if err != nil {
		return 0, err
	}
	q.Connection = 0
	all, err := s.Coverage(ctx, org, q)
	if err != nil {
		return 0, err
	}
	held := map[ConnectionID][]bool{} // by day, the newest first, the same for all
	for _, c := range all {
		for _, d := range c.Days {
			held[c.Connection.ID] = append(held[c.Connection.ID], d.State == DayHeld)
		}
	}
	lacked := map[int]bool{}
	for _, c := range all {
		if of != nil && !slices.Contains(of, c.Connection.ID) {
			continue
		}
		same, err := s.connections.application(ctx, org, c.Connection.ID)
		if err != nil {
			return 0, err
		}
		for day := range c.Days {
			if !slices.ContainsFunc(same, func(id ConnectionID) bool { return len(held[id]) > day && held[id][day] }) {
				lacked[day] = true
			}
		}
	}
	return len(lacked), nil
}
