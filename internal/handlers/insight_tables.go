package handlers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"sightline/internal/services"
	"sightline/web/templates"
)

// overview is the first page: headline figures and the first rows of the tables.
func (p *insightPage) overview() (templ.Component, error) {
	now, before, to := p.report.Series.Now, p.report.Series.Before, p.to
	v := templates.InsightOverview{
		Stats: []templates.StatView{
			{Label: "Sessions", Href: to.sessions(), Value: templates.FormatCount(now.Sessions), Hint: compared(now.Sessions, before.Sessions, len(p.report.Series.Days))},
			{Label: "With errors", Href: to.sessions("errors", services.WithErrors), Value: ofDetailed(now.WithErrors, now), Hint: templates.Plural(now.WithErrors, "session", "sessions") + " of those whose errors are here"},
			{Label: "Anonymous", Href: to.sessions("people", services.AnonymousPeople), Value: templates.FormatPercent(shareOf(now.Anonymous, now.Sessions)), Hint: templates.Plural(now.Anonymous, "session", "sessions")},
			{Label: "Rated Excellent or Good", Href: to.sessions("ratings", "excellent", "ratings", "good"), Value: ofRated(now.Excellent+now.Good, now), Hint: templates.FormatCount(now.Excellent+now.Good) + " of " + templates.Plural(now.Rated(), "rated session", "rated sessions")},
		},
		Chart: ratingChart(p.report.Series, nil), Step: p.in.step(), DaysHref: p.in.address(p.r, "days"),
		Pages: p.pageLoads(), Errors: p.errors(), WhereHref: p.in.address(p.r, ""), Where: p.where(),
	}
	v.Pages.All = p.all(topicOf("pages"), p.report.Pages.All)
	v.Errors.All = p.all(topicOf("errors"), p.report.Errors.All)
	list, err := p.a.Insight.Vitals(p.r.Context(), orgOf(p.r), p.in.query)
	for _, one := range list {
		v.Vitals = append(v.Vitals, vitalsGlance(one, len(list) > 1, p.in.address(p.r, "vitals")))
	}
	return templates.InsightFigures(v), err
}

// all leads to a topic's whole table, which has so many rows.
func (p *insightPage) all(topic insightTopic, n int) *templates.LinkView {
	if n == 0 {
		return nil
	}
	return &templates.LinkView{Label: "All " + templates.Plural(n, topic.one, topic.many), Href: p.in.address(p.r, topic.path)}
}

// where are the tables that the overview fetches when they come into view, before
// that without rows.
func (p *insightPage) where() (out []templates.SharesView) {
	for _, t := range insightTopics() {
		if slices.Contains(whereTables(), services.InsightTable(t.path)) {
			v, _, n := p.shares(t)
			if v.All = p.all(t, n); n == 0 {
				v.All = &templates.LinkView{Label: "Show", Href: p.in.address(p.r, t.path)}
			}
			out = append(out, v)
		}
	}
	return out
}

// days is the page of sessions day by day.
func (p *insightPage) days() (templ.Component, error) {
	now, before := p.report.Series.Now, p.report.Series.Before
	ratings := templates.SharesView{Title: "Ratings", What: "Rating", Rows: ratingRows(now, before, p.to, p.trend),
		None: "Raygun rated none of these sessions. A rating comes with a session's detail."}
	if p.report.V3 > 0 && p.report.V3 == p.report.Connections {
		ratings.None = "Raygun's API v3 gives no ratings."
	}
	chart := ratingChart(p.report.Series, func(a, b services.Day) string { return p.to.between(a, b) })
	return templates.InsightDays(chart, p.to.sessions(), ratings), nil
}

// pages is the page of all pages.
func (p *insightPage) pages() (templ.Component, error) {
	v := p.pageLoads()
	v.Pager = p.pager(p.report.Pages.First, len(v.Rows), p.report.Pages.All)
	for i, sort := range []services.PageSort{"", services.SortP50, services.SortP75, services.SortP95, services.SortTrend, services.SortViews} {
		if sort == "" {
			continue
		}
		v.Columns[i].Href = p.in.address(p.r, "pages", "sort", string(sort))
		if sort == p.in.query.Sort {
			v.Columns[i].Sorted = "descending"
		}
	}
	return templates.PageLoads(v), nil
}

// pageLoads is the table of pages as it stands on the overview.
func (p *insightPage) pageLoads() templates.PageLoadsView {
	var v templates.PageLoadsView
	for _, label := range []string{"Page", "p50", "p75", "p95", "p75 trend", "Views", "Views trend"} {
		v.Columns = append(v.Columns, templates.ColumnView{Label: label})
	}
	for _, page := range p.report.Pages.Rows {
		row := templates.PageLoadRow{
			Path: page.Page.Path, Href: p.to.sessions("page", page.Page.Path), P50: page.P50, P75: page.P75, P95: page.P95, Views: page.Views,
			ViewTrend: p.trend(page.Views, page.ViewsBefore),
		}
		if page.Timed > 0 && page.TimedBefore > 0 {
			row.LoadTrend = templates.FormatTrend(page.P75, page.P75Before)
		}
		v.Rows = append(v.Rows, row)
	}
	v.Note = fmt.Sprintf("%s of these sessions are here, %s of them with a load time. Percentiles are at most 10 %% off, mostly much less.",
		templates.Plural(p.report.Views, "page view", "page views"), templates.FormatCount(p.report.Timed))
	return v
}

// table is the page of a topic that is one table of shares.
func (p *insightPage) table() (templ.Component, error) {
	v, first, all := p.shares(p.in.topic)
	v.Pager = p.pager(first, len(v.Rows), all)
	return templates.Shares(v), nil
}

// shares are the rows of a topic's table that the report has, how many stand
// before them, and how many the table has in all.
func (p *insightPage) shares(t insightTopic) (v templates.SharesView, first, all int) {
	var rows services.Ranking[services.ValueRow]
	var name func(string) string
	switch services.InsightTable(t.path) {
	case services.TableErrors:
		return p.errors(), p.report.Errors.First, p.report.Errors.All
	case services.TableCountries:
		rows, name = p.report.Countries, templates.CountryName
	case services.TableBrowsers:
		rows = p.report.Browsers
	case services.TableSystems:
		rows = p.report.Systems
	}
	return templates.SharesView{
		Title: t.title, What: upperFirst(t.one), Rows: valueRows(rows.Rows, p.report.Series.Now.Sessions, t.path, p.to, p.trend, name),
	}, rows.First, rows.All
}

func (p *insightPage) errors() templates.SharesView {
	v := templates.SharesView{Title: topicOf("errors").title, What: "Error", None: "No error is known of these sessions. Errors come with a session's detail."}
	for _, e := range p.report.Errors.Rows {
		v.Rows = append(v.Rows, templates.ShareRow{
			Label: orText(e.Group.Name, "An error without a title"), Href: errorHref(p.to, e.Group.Name), Count: e.Sessions, Whole: p.report.Series.Now.Detailed,
			Trend: p.trend(e.Sessions, e.Before), Note: templates.Plural(e.Occurrences, "occurrence", "occurrences"),
		})
	}
	return v
}

// pager leads to the parts of a table before and after the rows that are here.
func (p *insightPage) pager(first, here, all int) (v templates.RankPagerView) {
	topic := p.in.topic
	if here == all {
		return v
	}
	v.Shown = fmt.Sprintf("%s to %s of %s", templates.FormatCount(first+1), templates.FormatCount(first+here), templates.Plural(all, topic.one, topic.many))
	page := first/topic.rows + 1
	if page > 1 {
		v.Previous = p.in.address(p.r, topic.path, "page", fmt.Sprint(page-1))
	}
	if first+here < all {
		v.Next = p.in.address(p.r, topic.path, "page", fmt.Sprint(page+1))
	}
	return v
}

func shareOf(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// ofDetailed and ofRated are shares of what is known, "–" if nothing is.
func ofDetailed(n int64, c services.Counts) string {
	if c.Detailed == 0 {
		return "–"
	}
	return templates.FormatPercent(shareOf(n, c.Detailed))
}

func ofRated(n int64, c services.Counts) string {
	if c.Rated() == 0 {
		return "–"
	}
	return templates.FormatPercent(shareOf(n, c.Rated()))
}

func compared(now, before int64, days int) string {
	if before == 0 {
		return "none in the " + templates.Plural(days, "day", "days") + " before"
	}
	return fmt.Sprintf("%s against %s in the %s before", templates.FormatTrend(now, before), templates.FormatCount(before), templates.Plural(days, "day", "days"))
}

func ratingRows(now, before services.Counts, to behind, trend trendFunc) []templates.ShareRow {
	if now.Rated() == 0 {
		return nil
	}
	var out []templates.ShareRow
	for _, r := range []struct {
		name        string
		now, before int64
	}{
		{"Excellent", now.Excellent, before.Excellent}, {"Good", now.Good, before.Good},
		{"Average", now.Average, before.Average}, {"Poor", now.Poor, before.Poor},
	} {
		out = append(out, templates.ShareRow{Label: r.name, Href: to.sessions("ratings", strings.ToLower(r.name)), Count: r.now, Whole: now.Rated(), Trend: trend(r.now, r.before)})
	}
	return out
}

func valueRows(rows []services.ValueRow, whole int64, filter string, to behind, trend trendFunc, name func(string) string) []templates.ShareRow {
	var out []templates.ShareRow
	for _, v := range rows {
		row := templates.ShareRow{Label: v.Value, Count: v.Sessions, Whole: whole, Trend: trend(v.Sessions, v.Before)}
		switch {
		case v.Value == "":
			row.Label = "Not told"
		case name != nil:
			row.Label, row.Href = name(v.Value), to.sessions(filter, v.Value)
		default:
			row.Href = to.sessions(filter, v.Value)
		}
		out = append(out, row)
	}
	return out
}

// errorHref leads to the sessions with an error; one without a name cannot be
// searched for.
func errorHref(to behind, name string) string {
	if name == "" {
		return ""
	}
	return to.sessions("error_text", name)
}
