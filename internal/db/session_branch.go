package db

import (
	"context"
	"math"
	"slices"
	"strings"
)

// branch is a walk along one index in the order (time, id), newest first.
//
// INDEXED BY, which SQLite alone has, keeps the planner from an index that is
// as good by its rules and far longer: given dates it prefers the one over
// dates alone. It also fails if the index is gone, instead of scanning.
type branch struct {
	from, where string
	args        []any
	at, id      string // the columns of its order
	// part says that not all that it sees fulfils the condition it is made for.
	part bool
	// rest are the conditions that the walk does not answer by itself.
	rest []condition
	// days, if not nil, are the only days on which something may match, newest
	// first.
	days []Day
}

// maxBranches is how many indexes are walked side by side.
const maxBranches = 250

// route is a set of walks that together see every session that matches.
type route struct {
	of       string // the condition that it answers
	branches []branch
}

// branches chooses the walks along which the filter's sessions before a place
// and not before the floor are found: those that have the fewest others.
func (x exploration) branches(ctx context.Context, q querier, at, id, floor int64) ([]branch, error) {
	if x.none {
		return nil, nil
	}
	routes := slices.DeleteFunc(x.routes(), func(d route) bool { return len(d.branches) > maxBranches })
	best := route{}
	switch len(routes) {
	case 0:
		best = x.newest()
		if err := x.skipDays(ctx, q, &best, at, floor); err != nil {
			return nil, err
		}
	case 1:
		best = routes[0]
	default:
		least := math.Inf(1)
		for _, d := range routes {
			rate := 0.0
			for _, b := range d.branches {
				r, err := b.rate(ctx, q, at, id, floor)
				if err != nil {
					return nil, err
				}
				if rate += r; rate >= least {
					break
				}
			}
			if rate < least {
				best, least = d, rate
			}
		}
	}
	return x.along(best), nil
}

// along are the walks of a route with the conditions that they do not answer by
// themselves.
func (x exploration) along(r route) []branch {
	conditions := x.conditions()
	for i := range r.branches {
		b := &r.branches[i]
		for _, c := range conditions {
			if c.of != r.of || b.part {
				b.rest = append(b.rest, c)
			}
		}
		// A customer may have sessions of other connections.
		if (r.of == "customer" || r.of == "search") && len(x.Connections) > 0 {
			b.rest = append(b.rest, condition{sql: "s.connection_id IN (" + marks(len(x.conns)) + ")", args: anys(x.conns)})
		}
	}
	return r.branches
}

// newest walks all sessions of the connections.
func (x exploration) newest() route { return x.ofSessions("", "sessions_started", "") }

// ofSessions walks an index of sessions, once for each connection and value of
// a column; without values once for each connection.
func (x exploration) ofSessions(of, index, where string, values ...string) route {
	d := route{of: of}
	for _, conn := range x.conns {
		b := branch{from: "sessions s INDEXED BY " + index, where: "s.connection_id = ?" + where, args: []any{conn}, at: "s.started_at", id: "s.id"}
		if !strings.Contains(where, "?") {
			d.branches = append(d.branches, b)
			continue
		}
		for _, v := range values {
			b.args = []any{conn, v}
			d.branches = append(d.branches, b)
		}
	}
	return d
}

// routes are the sets of walks that the filter's parts offer. A search has
// but one: nothing else knows what it found.
func (x exploration) routes() []route {
	joined := func(of, table, key string, args ...any) route {
		d := route{of: of}
		for _, a := range args {
			d.branches = append(d.branches, branch{
				from: table + " x CROSS JOIN sessions s ON s.id = x.session_id", where: "x." + key + " = ? AND x.org_id = ?",
				args: []any{a, x.org}, at: "x.started_at", id: "x.session_id",
			})
		}
		return d
	}
	if x.Search != 0 {
		return []route{joined("search", "session_search_results", "search_id", x.Search)}
	}
	var out []route
	if x.Email != "" {
		d := route{of: "customer"}
		for _, c := range x.customers {
			d.branches = append(d.branches, branch{from: "sessions s INDEXED BY sessions_customer", where: "s.customer_id = ?", args: []any{c}, at: "s.started_at", id: "s.id"})
		}
		out = append(out, d)
	}
	if x.pages.given && !x.pages.many {
		out = append(out, joined("page", "session_pages", "page_id", anys(x.pages.ids)...))
	}
	if x.groups.given && !x.groups.many {
		out = append(out, joined("error", "session_error_groups", "group_id", anys(x.groups.ids)...))
	}
	if x.Identifier != "" {
		out = append(out, x.ofSessions("identifier", "sessions_identifier", " AND s.user_identifier = ?", x.Identifier))
	}
	for _, c := range []struct {
		of, index, where string
		values           []string
	}{
		{"country", "sessions_country", " AND s.country = ?", x.Countries},
		{"browser", "sessions_browser", " AND s.browser = ?", x.Browsers},
		{"os", "sessions_os", " AND s.os = ?", x.Systems},
		{"rating", "sessions_rating", " AND s.rating = ? AND s.rating <> ''", x.ratings()},
	} {
		if len(c.values) > 0 {
			out = append(out, x.ofSessions(c.of, c.index, c.where, c.values...))
		}
	}
	if x.SlowMS > 0 {
		d := route{of: "slow"}
		for _, conn := range x.conns {
			least := int64(SlowClass(x.SlowMS))
			for class := least; class <= x.slowest[conn]; class++ {
				d.branches = append(d.branches, branch{
					part: class == least, // only some of a class are as slow as asked
					from: "sessions s INDEXED BY sessions_slow", where: "s.connection_id = ? AND s.slow_class = ? AND s.slow_class IS NOT NULL",
					args: []any{conn, class}, at: "s.started_at", id: "s.id",
				})
			}
		}
		out = append(out, d)
	}
	if x.Errors == ErrorsWith {
		out = append(out, x.ofSessions("errors", "sessions_errors", " AND s.error_count > 0"))
	} else if x.groups.many { // what has one of them has errors
		out = append(out, x.ofSessions("", "sessions_errors", " AND s.error_count > 0"))
	}
	if x.State == StateActive {
		out = append(out, x.ofSessions("state:"+StateActive, "sessions_active", " AND lower(s.status) = 'active'"))
	}
	return out
}

// probe is how many entries of an index are looked at to tell how dense it is.
const probe = 400

// rate is how many entries a second the walk has near its beginning.
func (b branch) rate(ctx context.Context, q querier, at, id, floor int64) (float64, error) {
	type reach struct{ n, oldest int64 }
	r, err := one(ctx, q, "sessions", func(s scanner) (r reach, err error) { return r, s.Scan(&r.n, &r.oldest) }, `
		SELECT count(*), coalesce(min(at), 0) FROM (SELECT `+b.at+` AS at FROM `+b.index()+` WHERE `+b.where+b.span()+b.order()+` LIMIT ?) AS h`,
		append(slices.Clone(b.args), at, id, floor, probe)...)
	if err != nil {
		return 0, err
	}
	oldest := max(floor, -1<<50)
	if r.n == probe {
		oldest = r.oldest
	}
	return float64(r.n) / float64(max(1, min(at, 1<<50)-oldest)), nil
}

// index is the walk's own table, without what is joined to it.
func (b branch) index() string {
	table, _, _ := strings.Cut(b.from, " CROSS JOIN ")
	return table
}

// span bounds the walk: before a place, which is (time, id), and not before a
// time.
func (b branch) span() string {
	return " AND (" + b.at + ", " + b.id + ") < (?, ?) AND " + b.at + " >= ?"
}

func (b branch) order() string { return " ORDER BY " + b.at + " DESC, " + b.id + " DESC" }

// skipDays tells the walks over all sessions on which days something may match,
// where the rollups know.
func (x exploration) skipDays(ctx context.Context, q querier, d *route, at, floor int64) error {
	column := ""
	switch {
	case x.Bare:
		column = "sessions - detailed"
	case x.Errors == ErrorsWithout:
		column = "detailed - with_errors"
	case x.People == PeopleAnonymous:
		column = "anonymous"
	case x.People == PeopleKnown:
		column = "sessions - anonymous"
	case x.NeedsDetail():
		column = "detailed"
	default:
		return nil
	}
	for i, conn := range x.conns {
		days, err := list(ctx, q, "days with sessions", func(s scanner) (day Day, err error) { return day, s.Scan(&day) }, `
			SELECT day FROM session_days
			WHERE connection_id = ? AND facet = 'all' AND day BETWEEN ? AND ? AND value = '' AND org_id = ? AND `+column+` > 0
			ORDER BY day DESC LIMIT ?`, conn, dayOfMS(max(floor, -1<<50)), dayOfMS(min(at, 1<<50)), x.org, maxSkipDays)
		if err != nil {
			return err
		}
		if len(days) < maxSkipDays {
			d.branches[i].days = append([]Day{}, days...)
		}
	}
	return nil
}

// maxSkipDays is how many days skipping looks at: eleven years.
const maxSkipDays = 4000

// NeedsDetail says that the filter has a part that is known only of sessions
// whose detail is here.
func (f SessionFilter) NeedsDetail() bool {
	return f.Page != "" || f.ErrorText != "" || len(f.Ratings) > 0 || f.Errors != "" || f.SlowMS > 0
}
