package db

import (
	"context"
	"math"
	"slices"
)

// SessionDays are sessions a day.
type SessionDays struct {
	// Days has the days with sessions, from the rollups in any order and a day
	// several times: once for each connection and value. Only the ratings, the
	// sessions, those with a detail, with errors and the anonymous are counted.
	Days []DayCounts
	// Since is the first day that was counted to its end; math.MinInt64 if all
	// were.
	Since Day
	// Rated says that there is more than the number of sessions.
	Rated bool
	// Examined is how many sessions were looked at.
	Examined int
}

// SessionDays counts the sessions that a filter selects day by day, newest
// first, looking at hardly more than budget sessions.
func (o Org) SessionDays(ctx context.Context, f SessionFilter, budget int) (SessionDays, error) {
	w, err := explore(ctx, o, f, Moment{}, ", s.rating, s.detailed_at IS NOT NULL, s.user_anonymous, coalesce(s.error_count, 0) > 0", func(s scanner) (facts, error) {
		var f facts
		err := s.Scan(&f.rating, &f.detailed, &f.anonymous, &f.hasErrors)
		return f, err
	})
	if err != nil {
		return SessionDays{}, err
	}
	out := SessionDays{Since: math.MinInt64, Rated: true}
	r, err := w.next(ctx, budget, budget, func(e entry[facts]) {
		day := dayOfMS(e.at)
		if n := len(out.Days); n == 0 || out.Days[n-1].Day != day {
			out.Days = append(out.Days, DayCounts{Day: day})
		}
		out.Days[len(out.Days)-1].Add(e.row.counts())
	})
	if r.more {
		out.Since = dayOfMS(r.at) + 1
	}
	out.Examined = w.examined
	return out, err
}

// ToldDays counts the sessions that a filter selects from the rollups, on the
// days from the first to the last; the filter's own times do not matter. ok is
// false if they cannot tell: they know one facet at a time, people and errors
// among them, with one more part of ratings, errors or people, and a single page
// or error by itself.
func (o Org) ToldDays(ctx context.Context, f SessionFilter, first, last Day) (days SessionDays, ok bool, err error) {
	if last < first || last-first > maxToldDays || f.Search != 0 || f.Identifier != "" || f.Email != "" || f.SlowMS > 0 || f.State != "" {
		return days, false, nil
	}
	facet, values := FacetAll, []string{""}
	facets, parts := 0, 0
	for name, list := range map[Facet][]string{FacetCountry: f.Countries, FacetBrowser: f.Browsers, FacetOS: f.Systems} {
		if len(list) > 0 {
			facet, values = name, list
			facets++
		}
	}
	if facets == 0 && f.Errors != "" {
		facet, values, facets, f.Errors = FacetErrors, []string{f.Errors}, 1, ""
	}
	if facets == 0 && f.People != "" {
		facet, values, facets, f.People = FacetPeople, []string{f.People}, 1, ""
	}
	for _, given := range []bool{len(f.Ratings) > 0, f.Errors != "", f.People != ""} {
		if given {
			parts++
		}
	}
	names := 0
	for _, given := range []bool{f.Page != "", f.ErrorText != ""} {
		if given {
			names++
		}
	}
	if facets > 1 || parts > 1 || names > 1 || names > 0 && facets+parts > 0 {
		return days, false, nil
	}
	x, err := o.explore(ctx, f)
	if err != nil || x.none {
		return SessionDays{Since: math.MinInt64, Rated: true}, true, err
	}
	days.Since = math.MinInt64
	switch n := append(slices.Clone(x.pages.ids), x.groups.ids...); {
	case names == 0:
		days.Rated = f.Errors == "" && f.People == ""
		days.Days, err = o.facetDays(ctx, x.conns, facet, values, first, last)
		for i := range days.Days {
			days.Days[i].Counts = f.among(days.Days[i].Counts)
		}
	case x.pages.many || x.groups.many || len(n) != 1:
		return days, false, nil
	default:
		days.Days, err = o.namedDays(ctx, x, n[0], first, last)
	}
	return days, true, err
}

// maxToldDays is how many days are read from the rollups at once: eleven years.
const maxToldDays = 4000

// among are the counts of those sessions that the filter's ratings, errors or
// people select.
func (f SessionFilter) among(c Counts) Counts {
	switch {
	case len(f.Ratings) > 0:
		out := Counts{}
		for _, r := range f.Ratings {
			switch r {
			case "excellent":
				out.Excellent = c.Excellent
			case "good":
				out.Good = c.Good
			case "average":
				out.Average = c.Average
			case "poor":
				out.Poor = c.Poor
			}
		}
		out.Sessions = out.Rated()
		return out
	case f.Errors == ErrorsWith:
		return Counts{Sessions: c.WithErrors, WithErrors: c.WithErrors, Detailed: c.WithErrors}
	case f.Errors == ErrorsWithout:
		return Counts{Sessions: c.Detailed - c.WithErrors, Detailed: c.Detailed - c.WithErrors}
	case f.People == PeopleAnonymous:
		return Counts{Sessions: c.Anonymous, Anonymous: c.Anonymous}
	case f.People == PeopleKnown:
		return Counts{Sessions: c.Sessions - c.Anonymous}
	}
	return c
}

// everyDay names the days from the first to the last, so that each is one look
// into a rollup whose key begins with the day.
const everyDay = `WITH RECURSIVE days (day) AS (SELECT ? UNION ALL SELECT day + 1 FROM days WHERE day < ?) `

func (o Org) facetDays(ctx context.Context, conns []ConnectionID, facet Facet, values []string, first, last Day) ([]DayCounts, error) {
	if facet == FacetAll {
		return o.allDays(ctx, o.kept(), conns, first, last)
	}
	var out []DayCounts
	for _, conn := range conns {
		packed, err := one(ctx, o.kept(), "sessions a day", scanText, everyDay+`
			SELECT `+packedDays+`
			FROM days CROSS JOIN session_days d ON d.connection_id = ? AND d.facet = ? AND d.day = days.day AND d.value IN (`+marks(len(values))+`)
			WHERE d.org_id = ?`, append(append([]any{first, last, conn, facet}, anys(values)...), o.id)...)
		if err != nil {
			return nil, err
		}
		rows, err := readDays(conn, packed, first, last)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

// allDays counts all sessions of some connections from the first to the last
// day, connection by connection, the oldest day first.
func (o Org) allDays(ctx context.Context, q querier, conns []ConnectionID, first, last Day) ([]DayCounts, error) {
	var out []DayCounts
	for _, conn := range conns {
		packed, err := one(ctx, q, "sessions a day", scanText, `
			SELECT coalesce(group_concat(days), '') FROM session_day_blocks
			WHERE connection_id = ? AND block BETWEEN ? AND ? AND org_id = ?`, conn, blockOf(first), blockOf(last), o.id)
		if err != nil {
			return nil, err
		}
		rows, err := readDays(conn, packed, first, last)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

// namedDays counts the sessions of one page or error.
func (o Org) namedDays(ctx context.Context, x exploration, id int64, first, last Day) ([]DayCounts, error) {
	table, key := "page_days", "page_id"
	if x.groups.given {
		table, key = "error_days", "group_id"
	}
	var out []DayCounts
	for _, conn := range x.conns {
		rows, err := list(ctx, o.kept(), "sessions a day", func(s scanner) (DayCounts, error) {
			d := DayCounts{Connection: conn}
			err := s.Scan(&d.Day, &d.Sessions)
			return d, err
		}, everyDay+`
			SELECT d.day, d.sessions FROM days CROSS JOIN `+table+` d ON d.connection_id = ? AND d.day = days.day AND d.`+key+` = ?
			WHERE d.org_id = ?`, first, last, conn, id, o.id)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

// UnknownSessions is how many sessions of the days from the first to the last
// are here without their detail, so that a filter that needs it can say nothing
// of them. One facet of the filter counts, other parts do not.
func (o Org) UnknownSessions(ctx context.Context, f SessionFilter, first, last Day) (int64, error) {
	g := SessionFilter{Connections: f.Connections, Countries: f.Countries}
	switch {
	case len(f.Countries) > 0:
	case len(f.Browsers) > 0:
		g.Browsers = f.Browsers
	default:
		g.Systems = f.Systems
	}
	days, _, err := o.ToldDays(ctx, g, max(first, last-maxToldDays), last)
	var n int64
	for _, d := range days.Days {
		n += d.Sessions - d.Detailed
	}
	return n, err
}
