package db

import (
	"cmp"
	"context"
	"fmt"
	"sort"
	"strings"
)

// Period is some days and the days before them that they are compared with:
// Before ≤ day < From, and From ≤ day ≤ To.
type Period struct{ Before, From, To Day }

// DayCounts are the sessions of one connection on one day.
type DayCounts struct {
	Connection ConnectionID
	Day        Day
	Counts
}

func (c *Counts) dest() []any { return anys(c.all()) }

// maxDays bounds the days of one question: 400 and as many before them.
const maxDays = 801

// packedDays is all rows of session_days as one text, and readDays reads it: a
// chart of 90 days is then one row for the driver, which costs it a quarter.
const packedDays = `coalesce(group_concat(concat_ws(' ', d.day, d.sessions, d.detailed, d.with_errors, d.anonymous,
	d.excellent, d.good, d.average, d.poor)), '')`

// readDays reads packed days of a connection from the first to the last, the
// oldest first.
func readDays(conn ConnectionID, packed string, first, last Day) ([]DayCounts, error) {
	if packed == "" {
		return nil, nil
	}
	out := make([]DayCounts, 0, 1+strings.Count(packed, ","))
	sorted := true
	for rest := packed; rest != ""; {
		var n [9]int64
		for i := range n {
			var end byte
			var ok bool
			if n[i], end, rest, ok = leadingInt(rest); !ok || (i == len(n)-1) != (end == ',') {
				return nil, fmt.Errorf("read the days' counts %q: not a day and eight numbers each", packed)
			}
		}
		day := Day(n[0])
		if day < first || day > last {
			continue
		}
		sorted = sorted && (len(out) == 0 || out[len(out)-1].Day <= day)
		out = append(out, DayCounts{Connection: conn, Day: day, Counts: Counts{
			Sessions: n[1], Detailed: n[2], WithErrors: n[3], Anonymous: n[4], Excellent: n[5], Good: n[6], Average: n[7], Poor: n[8],
		}})
	}
	if !sorted {
		sortBy(out, func(a, b DayCounts) int { return cmp.Compare(a.Day, b.Day) })
	}
	return out, nil
}

// leadingInt reads the number that a text begins with, the space or comma after
// it, and the rest. The end of the text counts as a comma.
func leadingInt(s string) (n int64, end byte, rest string, ok bool) {
	i, sign := 0, int64(1)
	if strings.HasPrefix(s, "-") {
		i, sign = 1, -1
	}
	from := i
	for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		n = 10*n + int64(s[i]-'0')
	}
	switch ok = i > from && i-from < 19; {
	case i == len(s):
		return sign * n, ',', "", ok
	case s[i] == ' ' || s[i] == ',':
		return sign * n, s[i], s[i+1:], ok
	}
	return 0, 0, "", false
}

// DayCounts counts sessions a day, connection by connection, the oldest day
// first, of the whole period with what is before. Days without a session are
// left out, and so is what is more than 800 days before the last. A facet other
// than FacetAll counts only sessions with the value.
func (o Org) DayCounts(ctx context.Context, conns []ConnectionID, facet Facet, value string, p Period) ([]DayCounts, error) {
	first := max(p.Before, p.To-maxDays+1)
	if facet == FacetAll {
		return o.allDays(ctx, o.db.r, conns, first, p.To)
	}
	var out []DayCounts
	for _, conn := range conns {
		packed, err := one(ctx, o.db.r, "sessions a day", scanText, `
			SELECT `+packedDays+` FROM session_days d
			WHERE d.connection_id = ? AND d.facet = ? AND d.day BETWEEN ? AND ? AND d.value = ? AND d.org_id = ?`,
			conn, facet, first, p.To, value, o.id)
		if err != nil {
			return nil, err
		}
		rows, err := readDays(conn, packed, first, p.To)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

// FacetCount is how many sessions have one value of a facet.
type FacetCount struct {
	Connection ConnectionID
	Value      string // empty where it is not known
	Counts            // from From to To
	Before     int64  // sessions of the days before
}

// FacetCounts counts sessions by the values of a facet, of each connection the
// limit most frequent ones, most first.
func (o Org) FacetCounts(ctx context.Context, conns []ConnectionID, facet Facet, p Period, limit int) ([]FacetCount, error) {
	var out []FacetCount
	for _, conn := range conns {
		rows, err := list(ctx, o.kept(), "sessions by "+string(facet), func(s scanner) (FacetCount, error) {
			f := FacetCount{Connection: conn}
			err := s.Scan(append([]any{&f.Value, &f.Before}, f.dest()...)...)
			return f, err
		}, `
			SELECT value, before, sessions, detailed, with_errors, anonymous, excellent, good, average, poor FROM (
				SELECT value, sum(iif(day < ?4, sessions, 0)) AS before,
					sum(iif(day < ?4, 0, sessions)) AS sessions, sum(iif(day < ?4, 0, detailed)) AS detailed,
					sum(iif(day < ?4, 0, with_errors)) AS with_errors, sum(iif(day < ?4, 0, anonymous)) AS anonymous,
					sum(iif(day < ?4, 0, excellent)) AS excellent, sum(iif(day < ?4, 0, good)) AS good,
					sum(iif(day < ?4, 0, average)) AS average, sum(iif(day < ?4, 0, poor)) AS poor
				FROM session_days
				WHERE connection_id = ?1 AND facet = ?2 AND day BETWEEN ?3 AND ?5 AND org_id = ?6
				GROUP BY value) AS h
			ORDER BY sessions DESC, value LIMIT ?7`, conn, facet, p.Before, p.From, p.To, o.id, limit)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	sortBy(out, func(a, b FacetCount) int { return cmp.Compare(b.Sessions, a.Sessions) })
	return out, nil
}

// PageCount is how often a page was viewed.
type PageCount struct {
	Page       PageID
	Connection ConnectionID
	// Views from From to To, of which Timed say how long they loaded, and of the
	// days before.
	Views, Timed, ViewsBefore, TimedBefore int64
}

// PageCounts adds up the views of every page of some connections, without their
// load times, the most viewed page first; those of the days before alone last.
func (o Org) PageCounts(ctx context.Context, conns []ConnectionID, p Period) ([]PageCount, error) {
	var out []PageCount
	for _, conn := range conns {
		rows, err := list(ctx, o.kept(), "views by page", func(s scanner) (PageCount, error) {
			c := PageCount{Connection: conn}
			err := s.Scan(&c.Page, &c.Views, &c.Timed, &c.ViewsBefore, &c.TimedBefore)
			return c, err
		}, `
			SELECT page_id, sum(iif(day < ?2, 0, views)) AS views, sum(iif(day < ?2, 0, timed)) AS timed,
				sum(iif(day < ?2, views, 0)) AS views_before, sum(iif(day < ?2, timed, 0)) AS timed_before
			FROM page_days
			WHERE connection_id = ?1 AND day BETWEEN ?3 AND ?4 AND org_id = ?5
			GROUP BY page_id`, conn, p.From, p.Before, p.To, o.id)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	sortBy(out, func(a, b PageCount) int {
		return cmp.Or(cmp.Compare(b.Views, a.Views), cmp.Compare(a.Page, b.Page))
	})
	return out, nil
}

// PageLoads are the load times of a page: Now from From to To, and those of the
// days before.
type PageLoads struct{ Now, Before Loads }

// maxPageDays bounds how many rows of page_days one question reads: 400 days
// of 250 pages, and as many before.
const maxPageDays = 200_000

// PageLoads adds up the load times of pages of some connections: of all pages
// if none is named. Of very many pages on very many days only the newest days
// are read: from is the first day of which all is in the answer, p.Before if
// nothing is missing.
func (o Org) PageLoads(ctx context.Context, conns []ConnectionID, p Period, pages []PageID) (loads map[PageID]*PageLoads, from Day, err error) {
	from, loads = p.Before, map[PageID]*PageLoads{}
	var named any
	if len(pages) > 0 {
		named = jsonList(pages)
	}
	for _, conn := range conns {
		oldest := p.To
		rows, err := list(ctx, o.db.r, "load times a day", func(s scanner) (struct{}, error) {
			var page PageID
			var packed []byte
			if err := s.Scan(&oldest, &page, &packed); err != nil {
				return struct{}{}, err
			}
			l := loads[page]
			if l == nil {
				l = &PageLoads{}
				loads[page] = l
			}
			if oldest < p.From {
				l.Before.addPacked(packed)
			} else {
				l.Now.addPacked(packed)
			}
			return struct{}{}, nil
		}, `
			SELECT day, page_id, loads FROM page_days
			WHERE connection_id = ?1 AND day BETWEEN ?2 AND ?3 AND org_id = ?4 AND timed > 0
				AND (?5 IS NULL OR page_id IN (SELECT value FROM json_each(?5)))
			ORDER BY day DESC, page_id DESC LIMIT ?6`, conn, p.Before, p.To, o.id, named, maxPageDays)
		if err != nil {
			return nil, 0, err
		}
		if len(rows) == maxPageDays {
			from = max(from, oldest+1) // the oldest day was cut somewhere
		}
	}
	return loads, from, nil
}

// ErrorCount is how many sessions an error touched, and how often it occurred.
type ErrorCount struct {
	Group                 ErrorGroup
	Sessions, Occurrences int64 // from From to To
	Before                int64 // sessions of the days before
}

// ErrorCounts counts the sessions that errors touched, of each connection the
// limit most frequent errors, most first; those of the days before alone last.
func (o Org) ErrorCounts(ctx context.Context, conns []ConnectionID, p Period, limit int) ([]ErrorCount, error) {
	var out []ErrorCount
	for _, conn := range conns {
		rows, err := list(ctx, o.kept(), "errors by sessions", func(s scanner) (ErrorCount, error) {
			var c ErrorCount
			err := s.Scan(&c.Group.ID, &c.Group.Connection, &c.Group.VendorID, &c.Group.Name, &c.Sessions, &c.Occurrences, &c.Before)
			return c, err
		}, `
			SELECT g.id, g.connection_id, g.vendor_id, g.name, h.sessions, h.occurrences, h.before FROM (
				SELECT group_id, sum(iif(day < ?3, 0, sessions)) AS sessions, sum(iif(day < ?3, 0, occurrences)) AS occurrences,
					sum(iif(day < ?3, sessions, 0)) AS before
				FROM error_days
				WHERE connection_id = ?1 AND day BETWEEN ?2 AND ?4 AND org_id = ?5
				GROUP BY group_id) AS h
			CROSS JOIN error_groups g ON g.id = h.group_id
			WHERE g.org_id = ?5
			ORDER BY h.sessions DESC, g.id LIMIT ?6`, conn, p.Before, p.From, p.To, o.id, limit)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	sortBy(out, func(a, b ErrorCount) int { return cmp.Compare(b.Sessions, a.Sessions) })
	return out, nil
}

// sortBy sorts rows and keeps the order of those that compare as equal. The code
// of slices.SortStableFunc is made anew for every type, 13 KB each; this sorts
// all of them with one.
func sortBy[T any](rows []T, compare func(a, b T) int) {
	sort.SliceStable(rows, func(i, j int) bool { return compare(rows[i], rows[j]) < 0 })
}
