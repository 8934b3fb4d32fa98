package db

import (
	"context"
	"slices"
	"strings"
	"time"
)

// The words of a [SessionFilter].
const (
	PeopleKnown     = "known"
	PeopleAnonymous = "anonymous"
	ErrorsWith      = "with"
	ErrorsWithout   = "without"
	StateActive     = "active"
	StateEnded      = "ended"
)

// SessionFilter selects sessions of the mirror. All that is given must hold;
// of several values of one field, one. Zero fields select all.
type SessionFilter struct {
	Connections []ConnectionID // empty means every one of the organization, also removed ones
	From, To    time.Time      // From ≤ start < To
	Identifier  string         // exactly
	Email       string         // of the customers who bear it
	People      string         // PeopleKnown or PeopleAnonymous, as the vendor says
	// Countries, Browsers and Systems are exactly as the vendor writes them.
	Countries, Browsers, Systems []string
	State                        string // StateActive or StateEnded
	// Search selects what Raygun answered to a search, whatever the time.
	Search SearchID

	// Bare selects sessions that lack their detail.
	Bare bool

	// What follows is known only of sessions whose detail is here, and selects
	// no other.

	// Page is the whole path of a page, which selects it alone, or else a part
	// of paths. ErrorText is the same of the names of error groups. ASCII
	// letters match large or small.
	Page, ErrorText string
	Ratings         []string // in small letters
	Errors          string   // ErrorsWith or ErrorsWithout
	SlowMS          int64    // the slowest page took at least so long to load
}

const (
	// maxNames is how many pages or error groups of a connection are looked
	// through for a part of a name.
	maxNames = 20_000
	// maxMatches is how many of them are walked one by one. Of more, or where
	// there are more than maxNames, each session is asked for its own.
	maxMatches = 60
	// maxBearers is how many customers one email leads to; identities join those
	// who share one, so there is hardly ever more than one.
	maxBearers = 50
)

// named are the pages or error groups that a text names.
type named struct {
	given bool
	// ids are all of them, unless many says that there are too many to tell.
	ids  []int64
	many bool
	// whole says that the text is a whole name.
	whole bool
}

// exploration is a filter with everything looked up that it names.
type exploration struct {
	SessionFilter
	org           OrgID
	conns         []ConnectionID
	customers     []CustomerID
	pages, groups named
	// none says that nothing can match: it names what is not there.
	none bool
	// slowest is the highest class of slow loads of each connection, for SlowMS.
	slowest map[ConnectionID]int64
}

// explore looks up what a filter names.
func (o Org) explore(ctx context.Context, f SessionFilter) (exploration, error) {
	x := exploration{SessionFilter: f, org: o.id}
	all, err := list(ctx, o.kept(), "connections", func(s scanner) (id ConnectionID, err error) { return id, s.Scan(&id) }, `
		SELECT id FROM connections WHERE org_id = ? AND vendor IN ('raygun', 'raygun_v3') ORDER BY id LIMIT 1000`, o.id)
	if err != nil {
		return x, err
	}
	for _, c := range all {
		if len(f.Connections) == 0 || slices.Contains(f.Connections, c) {
			x.conns = append(x.conns, c)
		}
	}
	if f.Email != "" {
		x.customers, err = list(ctx, o.db.r, "customers", func(s scanner) (id CustomerID, err error) { return id, s.Scan(&id) }, `
			SELECT DISTINCT customer_id FROM identities
			WHERE org_id = ? AND value_norm = ? AND kind = 'email' AND connection_id = 0
			ORDER BY customer_id LIMIT ?`, o.id, CutIdentity(Normalize(f.Email)), maxBearers)
		if err != nil {
			return x, err
		}
		x.none = len(x.customers) == 0
	}
	if f.Page != "" {
		if x.pages, err = x.named(ctx, o.db.r, "pages", "path", f.Page, NormalizePage(f.Page)); err != nil {
			return x, err
		}
	}
	if f.ErrorText != "" {
		if x.groups, err = x.named(ctx, o.db.r, "error_groups", "name", f.ErrorText, f.ErrorText); err != nil {
			return x, err
		}
	}
	if f.SlowMS > 0 {
		if err := x.slowClasses(ctx, o.db.r); err != nil {
			return x, err
		}
	}
	x.none = x.none || len(x.conns) == 0 || x.pages.nothing() || x.groups.nothing()
	return x, nil
}

func (n named) nothing() bool { return n.given && !n.many && len(n.ids) == 0 }

// named finds the rows of a table of names that bear a name, or the same in
// other words, and if none does, those whose name has it as a part.
func (x exploration) named(ctx context.Context, q querier, table, column, text, other string) (named, error) {
	// The connections are ours; without org_id the index alone tells all.
	n := named{given: true, whole: true}
	texts := []string{text}
	if other != text {
		texts = append(texts, other)
	}
	for _, conn := range x.conns {
		for _, t := range texts {
			ids, err := list(ctx, q, table, scanInt, `
				SELECT id FROM `+table+` WHERE connection_id = ? AND `+column+` = ? ORDER BY id LIMIT ?`, conn, t, maxMatches+1)
			if err != nil {
				return n, err
			}
			n.add(ids)
		}
	}
	if n.many || len(n.ids) > 0 {
		return n, nil
	}
	n.whole = false
	for _, conn := range x.conns {
		ids, err := list(ctx, q, table, scanInt, `
			SELECT id FROM (SELECT id, `+column+` AS name FROM `+table+` WHERE connection_id = ? ORDER BY `+column+` LIMIT ?) AS h
			WHERE instr(lower(name), ?) > 0 LIMIT ?`, conn, maxNames, lowerASCII(text), maxMatches+1)
		if err != nil {
			return n, err
		}
		more, err := list(ctx, q, table, scanInt, `
			SELECT 1 FROM `+table+` WHERE connection_id = ? ORDER BY `+column+` LIMIT 1 OFFSET ?`, conn, maxNames)
		if err != nil {
			return n, err
		}
		n.add(ids)
		n.many = n.many || len(more) > 0
	}
	return n, nil
}

// add adds rows that are named.
func (n *named) add(ids []int64) {
	n.ids = append(n.ids, ids...)
	n.many = n.many || len(n.ids) > maxMatches
}

// lowerASCII is what SQLite's lower does.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// slowClasses reads up to which class there are slow loads.
func (x *exploration) slowClasses(ctx context.Context, q querier) error {
	x.slowest = map[ConnectionID]int64{}
	for _, conn := range x.conns {
		class, err := one(ctx, q, "slow loads", scanInt, `
			SELECT coalesce(max(slow_class), -1) FROM sessions INDEXED BY sessions_slow WHERE connection_id = ? AND slow_class IS NOT NULL`, conn)
		if err != nil {
			return err
		}
		x.slowest[conn] = class
	}
	return nil
}

// ratings are the spellings of the filter's ratings that Raygun may use.
func (x exploration) ratings() []string {
	var out []string
	for _, r := range x.Ratings {
		if r != "" {
			out = append(out, r, strings.ToUpper(r[:1])+r[1:], strings.ToUpper(r))
		}
	}
	return out
}

// condition is a part of a filter as it is asked of a session's row.
type condition struct {
	of   string // what an index may answer in its stead
	sql  string
	args []any
}

// conditions are all parts of the filter but the time.
func (x exploration) conditions() []condition {
	var out []condition
	add := func(of, sql string, args ...any) { out = append(out, condition{of, sql, args}) }
	in := func(of, column string, values []string) {
		if len(values) > 0 {
			add(of, column+" IN ("+marks(len(values))+")", anys(values)...)
		}
	}
	if x.Identifier != "" {
		add("identifier", "s.user_identifier = ?", x.Identifier)
	}
	in("country", "s.country", x.Countries)
	in("browser", "s.browser", x.Browsers)
	in("os", "s.os", x.Systems)
	in("rating", "s.rating", x.ratings())
	if x.Email != "" {
		add("customer", "s.customer_id IN ("+marks(len(x.customers))+")", anys(x.customers)...)
	}
	switch x.People {
	case PeopleAnonymous:
		add("people", "s.user_anonymous = 1")
	case PeopleKnown:
		add("people", "s.user_anonymous = 0")
	}
	if x.Bare {
		add("bare", "s.detailed_at IS NULL")
	}
	if x.State != "" {
		add("state:"+x.State, "lower(s.status) = ?", x.State)
	}
	switch x.Errors {
	case ErrorsWith:
		add("errors", "s.error_count > 0")
	case ErrorsWithout:
		add("no errors", "s.error_count = 0 AND s.detailed_at IS NOT NULL")
	}
	if x.SlowMS > 0 {
		add("slow", "s.slowest_ms >= ?", x.SlowMS)
	}
	if x.pages.given {
		add("page", `EXISTS (SELECT 1 FROM page_views v`+x.pages.among("v.page_id", "pages", "path"), x.pages.args(x.Page, NormalizePage(x.Page))...)
	}
	if x.groups.given {
		add("error", `EXISTS (SELECT 1 FROM session_errors v`+x.groups.among("v.error_group_id", "error_groups", "name"), x.groups.args(x.ErrorText, x.ErrorText)...)
	}
	return out
}

// among ends a subquery for a session's page views or errors v: those that are
// named.
func (n named) among(id, table, column string) string {
	const of = " WHERE v.session_id = s.id AND "
	switch join := " CROSS JOIN " + table + " n ON n.id = " + id; {
	case !n.many:
		return of + id + " IN (" + marks(len(n.ids)) + "))"
	case n.whole:
		return join + of + "n." + column + " IN (?, ?))"
	default:
		return join + of + "instr(lower(n." + column + "), ?) > 0)"
	}
}

// args are the arguments of among.
func (n named) args(text, other string) []any {
	switch {
	case !n.many:
		return anys(n.ids)
	case n.whole:
		return []any{text, other}
	default:
		return []any{lowerASCII(text)}
	}
}
