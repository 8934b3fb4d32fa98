package services

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"sightline/internal/db"
)

// What the mirror's rollups count, as the store has it.
type (
	// Day is a day in UTC.
	Day = db.Day
	// Counts are numbers of sessions.
	Counts = db.Counts
	// Facet is what sessions are counted by.
	Facet = db.Facet
	// Page is a page of a site.
	Page = db.Page
	// ErrorGroup is an error that occurs again and again.
	ErrorGroup = db.ErrorGroup
)

// The facets.
const (
	FacetAll     = db.FacetAll
	FacetCountry = db.FacetCountry
	FacetBrowser = db.FacetBrowser
	FacetOS      = db.FacetOS
)

// DayOf is the day of a moment.
func DayOf(t time.Time) Day { return db.DayOf(t) }

// MaxInsightDays is the longest range that insight is computed for.
const MaxInsightDays = 400

// maxRanked is how many values or errors of each connection are ranked.
const maxRanked = 2000

// InsightTable is a table of insight.
type InsightTable string

// The tables.
const (
	TablePages     InsightTable = "pages"
	TableErrors    InsightTable = "errors"
	TableCountries InsightTable = "countries"
	TableBrowsers  InsightTable = "browsers"
	TableSystems   InsightTable = "systems"
)

// PageSort is what pages are ranked by.
type PageSort string

// The orders of pages; each has the largest first, and pages without the
// figure last.
const (
	SortViews PageSort = "views"
	SortP50   PageSort = "p50"
	SortP75   PageSort = "p75"
	SortP95   PageSort = "p95"
	SortTrend PageSort = "trend" // what has become slowest against before
)

// InsightQuery says what insight is wanted of.
type InsightQuery struct {
	// Connection is a Raygun connection, 0 all of the organization, also those
	// that are no longer in use.
	Connection ConnectionID
	// From and To are the first and the last day.
	From, To Day
	Sort     PageSort
	// Rows is how many rows a table has at most, Skip how many it leaves out
	// before them.
	Rows, Skip int
}

// Ranking is a part of a list that is ranked.
type Ranking[T any] struct {
	Rows []T
	// First is how many rows of the list stand before these, All how many it has.
	First, All int
}

// ranked is the part of a list that a query wants, its last one if the query
// leaves all rows out.
func ranked[T any](q InsightQuery, rows []T) Ranking[T] {
	first := max(q.Skip, 0)
	if first >= len(rows) {
		first = max(len(rows)-1, 0) / max(q.Rows, 1) * q.Rows
	}
	return Ranking[T]{Rows: rows[first:min(first+q.Rows, len(rows))], First: first, All: len(rows)}
}

// days is how many days the query is about.
func (q InsightQuery) days() Day { return q.To - q.From + 1 }

func (q InsightQuery) period() db.Period {
	return db.Period{Before: q.From - q.days(), From: q.From, To: q.To}
}

// Check brings a query into order and says what is wrong with it, by field:
// "from", "to". Days that are not given are 0 and wrong.
func (q InsightQuery) Check() (InsightQuery, Problems) {
	problems := Problems{}
	switch {
	case q.From <= 0:
		problems["from"] = "Give the day to begin with, such as 2026-11-01."
	case q.To <= 0:
		problems["to"] = "Give the day to end with, such as 2026-11-21."
	case q.To < q.From:
		problems["to"] = "The range ends before it begins."
	case q.days() > MaxInsightDays:
		problems["from"] = "That is too long: at most 400 days at once."
	}
	switch q.Sort {
	case SortP50, SortP75, SortP95, SortTrend:
	default:
		q.Sort = SortViews
	}
	return q, problems
}

// DaySeries is sessions a day.
type DaySeries struct {
	// Days has every day of the range, also those without a session.
	Days []DayTotal
	// Now and Before add up the days of the range and as many before it.
	Now, Before Counts
}

// DayTotal is one day of a series.
type DayTotal struct {
	Day Day
	Counts
	// Before is how many sessions there were as many days earlier as the range
	// is long.
	Before int64
}

// Insight computes figures from the rollups of the mirror. It asks no vendor.
type Insight struct {
	db          *db.DB
	connections *Connections
}

func newInsight(d *db.DB, c *Connections) *Insight { return &Insight{db: d, connections: c} }

// sources are the connections of a query, and how many of them are v3, which
// gives neither ratings nor load times.
func (s *Insight) sources(ctx context.Context, org OrgID, id ConnectionID) (ids []ConnectionID, v3 int, err error) {
	all, err := s.connections.All(ctx, org)
	if err != nil {
		return nil, 0, err
	}
	of, err := s.connections.application(ctx, org, id)
	for _, c := range all {
		if c.Vendor.IsRaygun() && (id == 0 || slices.Contains(of, c.ID)) {
			ids = append(ids, c.ID)
			if c.Vendor != Raygun {
				v3++
			}
		}
	}
	return ids, v3, err
}

// SessionsByDay counts the sessions a day of a checked query's range, all of
// them or those with one value of a facet.
func (s *Insight) SessionsByDay(ctx context.Context, org OrgID, q InsightQuery, facet Facet, value string) (DaySeries, error) {
	ids, _, err := s.sources(ctx, org, q.Connection)
	if err != nil {
		return DaySeries{}, err
	}
	return s.series(ctx, org, ids, q, facet, value)
}

func (s *Insight) series(ctx context.Context, org OrgID, ids []ConnectionID, q InsightQuery, facet Facet, value string) (DaySeries, error) {
	rows, err := s.db.Org(org).DayCounts(ctx, ids, facet, value, q.period())
	if err != nil {
		return DaySeries{}, err
	}
	out := DaySeries{Days: make([]DayTotal, q.days())}
	for i := range out.Days {
		out.Days[i].Day = q.From + Day(i)
	}
	for _, r := range rows {
		if r.Day < q.From {
			out.Days[r.Day-q.From+q.days()].Before += r.Sessions
			out.Before.Add(r.Counts)
			continue
		}
		out.Days[r.Day-q.From].Add(r.Counts)
		out.Now.Add(r.Counts)
	}
	return out, nil
}

// PageRow is one page's figures.
type PageRow struct {
	Page Page
	// Views are how often it was viewed; Timed of them say how long it loaded.
	Views, Timed int64
	// P50, P75 and P95 are load times in milliseconds, at most 10 % off; -1 if
	// no view is timed.
	P50, P75, P95 int64
	// The same of the days before.
	ViewsBefore, TimedBefore, P75Before int64
}

// trend is how much slower the page has become: 1 is as it was, 0 not known.
func (p PageRow) trend() float64 {
	if p.P75 <= 0 || p.P75Before <= 0 {
		return 0
	}
	return float64(p.P75) / float64(p.P75Before)
}

// ValueRow is how many sessions have a country, a browser or an operating
// system. An empty value is one that Raygun did not tell.
type ValueRow struct {
	Value            string
	Sessions, Before int64
}

// ErrorRow is how many sessions an error touched.
type ErrorRow struct {
	Group                         ErrorGroup
	Sessions, Occurrences, Before int64
}

// InsightReport is what the mirror says about some days.
type InsightReport struct {
	Series DaySeries
	Pages  Ranking[PageRow]
	// PagesFrom is the first day whose load times are all counted: later than
	// the query's only where there are very many pages on very many days.
	PagesFrom Day
	// Views and Timed are the page views of all pages, and those of them whose
	// load time is known.
	Views, Timed                 int64
	Countries, Browsers, Systems Ranking[ValueRow]
	Errors                       Ranking[ErrorRow]
	// Connections is how many connections are in it, V3 how many of these speak
	// Raygun's API v3, which gives no ratings and no load times.
	Connections, V3 int
}

// Report computes the figures of a checked query: the sessions a day and the
// tables that are wanted.
func (s *Insight) Report(ctx context.Context, org OrgID, q InsightQuery, tables ...InsightTable) (InsightReport, error) {
	var r InsightReport
	ids, v3, err := s.sources(ctx, org, q.Connection)
	if err != nil {
		return r, err
	}
	r.Connections, r.V3, r.PagesFrom = len(ids), v3, q.From
	if r.Series, err = s.series(ctx, org, ids, q, FacetAll, ""); err != nil {
		return r, err
	}
	for _, t := range tables {
		switch t {
		case TablePages:
			err = s.pages(ctx, org, ids, q, &r)
		case TableErrors:
			var counts []db.ErrorCount
			counts, err = s.db.Org(org).ErrorCounts(ctx, ids, q.period(), maxRanked)
			r.Errors = ranked(q, errorRows(counts))
		case TableCountries:
			r.Countries, err = s.values(ctx, org, ids, q, FacetCountry)
		case TableBrowsers:
			r.Browsers, err = s.values(ctx, org, ids, q, FacetBrowser)
		case TableSystems:
			r.Systems, err = s.values(ctx, org, ids, q, FacetOS)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// errorRows adds up the counts of errors of one name, the most frequent first:
// a site that several connections tell of has its errors once for each, and a
// name is what leads to the sessions.
func errorRows(counts []db.ErrorCount) []ErrorRow {
	at := map[string]int{}
	var rows []ErrorRow
	for _, c := range counts {
		i, ok := at[c.Group.Name]
		if !ok {
			at[c.Group.Name], rows = len(rows), append(rows, ErrorRow(c))
			continue
		}
		rows[i].Sessions += c.Sessions
		rows[i].Occurrences += c.Occurrences
		rows[i].Before += c.Before
	}
	rows = slices.DeleteFunc(rows, func(r ErrorRow) bool { return r.Sessions == 0 })
	sortBy(rows, func(a, b ErrorRow) int {
		return cmp.Or(cmp.Compare(b.Sessions, a.Sessions), strings.Compare(a.Group.Name, b.Group.Name))
	})
	return rows
}

func (s *Insight) values(ctx context.Context, org OrgID, ids []ConnectionID, q InsightQuery, facet Facet) (Ranking[ValueRow], error) {
	// Connections are counted apart, so more than are shown are read of each:
	// what is rare in one may be frequent in all.
	counts, err := s.db.Org(org).FacetCounts(ctx, ids, facet, q.period(), maxRanked)
	rows := slices.DeleteFunc(valueRows(counts), func(r ValueRow) bool { return r.Sessions == 0 })
	return ranked(q, rows), err
}

// valueRows adds up the counts of several connections, the most frequent value
// first.
func valueRows(counts []db.FacetCount) []ValueRow {
	at := map[string]int{}
	var rows []ValueRow
	for _, c := range counts {
		i, ok := at[c.Value]
		if !ok {
			i = len(rows)
			at[c.Value], rows = i, append(rows, ValueRow{Value: c.Value})
		}
		rows[i].Sessions += c.Sessions
		rows[i].Before += c.Before
	}
	sortBy(rows, func(a, b ValueRow) int {
		return cmp.Or(cmp.Compare(b.Sessions, a.Sessions), strings.Compare(a.Value, b.Value))
	})
	return rows
}

// pages ranks the pages. By their views they are ranked before their load times
// are read, which are then those of the rows that are wanted alone.
func (s *Insight) pages(ctx context.Context, org OrgID, ids []ConnectionID, q InsightQuery, r *InsightReport) error {
	o := s.db.Org(org)
	counts, err := o.PageCounts(ctx, ids, q.period())
	if err != nil {
		return err
	}
	pages, err := s.byPath(ctx, org, counts)
	if err != nil {
		return err
	}
	pages = slices.DeleteFunc(pages, func(p *sitePage) bool { return p.Views == 0 })
	for _, p := range pages {
		r.Views += p.Views
		r.Timed += p.Timed
	}
	if q.Sort == SortViews {
		sortBy(pages, func(a, b *sitePage) int { return cmp.Compare(b.Views, a.Views) })
		part := ranked(q, pages)
		if err := s.loads(ctx, org, ids, q, part.Rows, true, r); err != nil {
			return err
		}
		r.Pages = Ranking[PageRow]{Rows: pageRows(part.Rows), First: part.First, All: part.All}
	} else {
		if err := s.loads(ctx, org, ids, q, pages, false, r); err != nil {
			return err
		}
		rows := pageRows(pages)
		sortBy(rows, func(a, b PageRow) int { return q.Sort.compare(b, a) })
		r.Pages = ranked(q, rows)
	}
	wanted := make([]PageID, len(r.Pages.Rows))
	for i, p := range r.Pages.Rows {
		wanted[i] = p.Page.ID
	}
	named, err := o.Pages(ctx, wanted)
	if err != nil {
		return err
	}
	for _, p := range named {
		r.Pages.Rows[slices.Index(wanted, p.ID)].Page = p
	}
	return nil
}

// sitePage is what is counted of one path: a site that several connections tell
// of has its pages once for each, and a path is what leads to the sessions.
type sitePage struct {
	db.PageCount
	ids         []PageID
	now, before db.Loads
}

// loads reads the load times of pages: of these alone, or of all at once.
func (s *Insight) loads(ctx context.Context, org OrgID, conns []ConnectionID, q InsightQuery, pages []*sitePage, alone bool, r *InsightReport) error {
	if len(pages) == 0 {
		return nil
	}
	var ids []PageID
	for _, p := range pages {
		if alone {
			ids = append(ids, p.ids...)
		}
	}
	loads, from, err := s.db.Org(org).PageLoads(ctx, conns, q.period(), ids)
	if err != nil {
		return err
	}
	r.PagesFrom = max(from, q.From)
	for _, p := range pages {
		for _, id := range p.ids {
			if l := loads[id]; l != nil {
				p.now.Add(l.Now)
				p.before.Add(l.Before)
			}
		}
	}
	return nil
}

func pageRows(pages []*sitePage) []PageRow {
	rows := make([]PageRow, len(pages))
	for i, p := range pages {
		rows[i] = PageRow{
			Page: Page{ID: p.Page, Connection: p.Connection}, Views: p.Views, Timed: p.Timed,
			P50: p.now.Quantile(0.5), P75: p.now.Quantile(0.75), P95: p.now.Quantile(0.95),
			ViewsBefore: p.ViewsBefore, TimedBefore: p.TimedBefore, P75Before: p.before.Quantile(0.75),
		}
	}
	return rows
}

// byPath adds up the counts of pages of one path.
func (s *Insight) byPath(ctx context.Context, org OrgID, counts []db.PageCount) ([]*sitePage, error) {
	paths := make(map[PageID]string, len(counts))
	if slices.ContainsFunc(counts, func(c db.PageCount) bool { return c.Connection != counts[0].Connection }) {
		for part := range slices.Chunk(counts, db.MaxPages) {
			ids := make([]PageID, len(part))
			for i, c := range part {
				ids[i] = c.Page
			}
			named, err := s.db.Org(org).Pages(ctx, ids)
			if err != nil {
				return nil, err
			}
			for _, p := range named {
				paths[p.ID] = p.Path
			}
		}
	}
	at := make(map[string]*sitePage, len(paths))
	out := make([]*sitePage, 0, len(counts))
	for _, c := range counts {
		path, named := paths[c.Page]
		p := at[path]
		if !named || p == nil {
			p = &sitePage{PageCount: db.PageCount{Page: c.Page, Connection: c.Connection}}
			at[path], out = p, append(out, p)
		}
		p.ids = append(p.ids, c.Page)
		p.Views += c.Views
		p.Timed += c.Timed
		p.ViewsBefore += c.ViewsBefore
		p.TimedBefore += c.TimedBefore
	}
	return out, nil
}

func (s PageSort) compare(a, b PageRow) int {
	switch s {
	case SortP50:
		return cmp.Compare(a.P50, b.P50)
	case SortP75:
		return cmp.Compare(a.P75, b.P75)
	case SortP95:
		return cmp.Compare(a.P95, b.P95)
	case SortTrend:
		return cmp.Compare(a.trend(), b.trend())
	}
	return cmp.Compare(a.Views, b.Views)
}

// PageOf reads one page, for the words of a filter.
func (s *Insight) PageOf(ctx context.Context, org OrgID, id PageID) (Page, error) {
	p, err := s.db.Org(org).Page(ctx, id)
	return p, notFound(err, "There is no such page in the mirror.")
}

// ErrorGroupOf reads one group of errors, for the words of a filter.
func (s *Insight) ErrorGroupOf(ctx context.Context, org OrgID, id ErrorGroupID) (ErrorGroup, error) {
	g, err := s.db.Org(org).ErrorGroup(ctx, id)
	return g, notFound(err, "There is no such error in the mirror.")
}
