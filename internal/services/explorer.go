package services

import (
	"context"
	"errors"

	"sightline/internal/db"
)

// SessionList is one page of sessions, newest first.
type SessionList struct {
	Sessions []Session
	// Next is where the next page begins; More says whether there may be one.
	Next Moment
	More bool
	// Cut says that the page ends early: the filter matches so few sessions that
	// more were looked at than one request may. The list goes on from Next, which
	// is as far back as was looked.
	Cut bool
	// Examined is how many sessions were looked at.
	Examined int
}

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

func sessionList(rows []Session, limit int) SessionList {
	l := SessionList{Sessions: rows}
	if len(rows) > limit {
		l.Sessions, l.More = rows[:limit], true
		last := l.Sessions[limit-1]
		l.Next = Moment{At: last.StartedAt, ID: int64(last.ID)}
	}
	return l
}

// List returns the mirror's sessions that a checked query selects, newest first.
func (s *Sessions) List(ctx context.Context, org OrgID, q SessionQuery, after Moment) (SessionList, error) {
	return s.list(ctx, org, q, after, PageSize)
}

func (s *Sessions) list(ctx context.Context, org OrgID, q SessionQuery, after Moment, limit int) (SessionList, error) {
	o := s.db.Org(org)
	if q.UserType != "" {
		search, err := o.Search(ctx, q.Connection, q.params().String())
		if errors.Is(err, db.ErrNotFound) {
			return SessionList{}, nil
		}
		if err != nil {
			return SessionList{}, err
		}
		rows, err := o.SearchResults(ctx, search.ID, after, limit+1)
		return sessionList(rows, limit), err
	}
	f := db.SessionFilter{From: q.From, To: q.To, Identifier: q.Identifier, Countries: q.Countries}
	if q.Connection != 0 {
		f.Connections = []ConnectionID{q.Connection}
	}
	rows, err := o.Sessions(ctx, f, after, limit+1)
	return sessionList(rows, limit), err
}

// Count counts the sessions that a checked query selects: exactly where the
// rollups tell or there are few, otherwise up to a bound.
func (s *Sessions) Count(ctx context.Context, org OrgID, q SessionQuery) (Count, error) {
	l, err := s.list(ctx, org, q, Moment{}, maxCount)
	return Count{Sessions: int64(len(l.Sessions)), More: l.More}, err
}

// maxCount is where counting stops.
const maxCount = 10_000

// Chart counts the sessions a day that a checked query selects, by rating, on
// the newest 400 days of the range and on as many days before it.
func (s *Sessions) Chart(ctx context.Context, org OrgID, q SessionQuery) (SessionChart, error) {
	iq := InsightQuery{Connection: q.Connection, From: DayOf(q.From), To: DayOf(q.To.Add(-1))}
	iq.From = max(iq.From, iq.To-MaxInsightDays+1)
	series, err := newInsight(s.db, s.connections).SessionsByDay(ctx, org, iq, FacetAll, "")
	return SessionChart{DaySeries: series, Since: iq.From, Compared: true, Rated: true}, err
}

// Each gives fn every session that List shows for a checked query, newest
// first, until fn fails or ctx ends. It reads some at a time, so that it holds
// up nobody however many there are.
func (s *Sessions) Each(ctx context.Context, org OrgID, q SessionQuery, fn func(Session) error) error {
	after := Moment{}
	for {
		l, err := s.list(ctx, org, q, after, 1000)
		if err != nil {
			return err
		}
		for _, row := range l.Sessions {
			if err := fn(row); err != nil {
				return err
			}
		}
		if !l.More {
			return nil
		}
		after = l.Next
	}
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
		if !syncs(c.Vendor) || q.Connection != 0 && c.ID != q.Connection {
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
