package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// insightInput is what the address says about which figures to show.
type insightInput struct {
	query                services.InsightQuery
	problems             services.Problems
	from, to, conn, span string
	// all says that figures of every connection are also of removed ones.
	all bool
}

// insightSpan is a range that one click chooses.
type insightSpan struct {
	key, label string
	days       services.Day
}

func insightSpans() []insightSpan {
	return []insightSpan{{"7d", "7 days", 7}, {"30d", "30 days", 30}, {"90d", "90 days", 90}, {"365d", "365 days", 365}}
}

// readInsight reads the filter. Without dates it is the last 30 days, today
// included.
func readInsight(v url.Values, conns []services.Connection, now time.Time) insightInput {
	in := insightInput{from: strings.TrimSpace(v.Get("from")), to: strings.TrimSpace(v.Get("to")), conn: v.Get("conn"), span: v.Get("span")}
	in.query.Sort, in.query.More = services.PageSort(v.Get("sort")), v.Get("top") != ""
	if in.from == "" && in.to == "" {
		spans := insightSpans()
		i := slices.IndexFunc(spans, func(s insightSpan) bool { return s.key == in.span })
		if i < 0 {
			i = 1
		}
		in.span = spans[i].key
		in.query.To = services.DayOf(now)
		in.query.From = in.query.To - spans[i].days + 1
		in.from, in.to = dayText(in.query.From), dayText(in.query.To)
	} else {
		in.span = ""
		in.query.From, in.query.To = readDay(in.from), readDay(in.to)
	}
	in.query, in.problems = in.query.Check()
	for _, c := range conns {
		in.all = in.all || c.Removed()
		if fmt.Sprint(c.ID) == in.conn {
			in.query.Connection = c.ID
		}
	}
	if in.conn != "" && in.query.Connection == 0 {
		in.problems["conn"] = "There is no such Raygun connection."
	}
	return in
}

// readDay reads a day such as 2026-11-21; what is none is 0.
func readDay(s string) services.Day {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1970 || t.Year() > 2999 {
		return 0
	}
	return services.DayOf(t)
}

// address is the page with the filter, otherwise sorted or of another span.
func (in insightInput) address(r *http.Request, span, sort string) string {
	v := url.Values{}
	if span != "" {
		v.Set("span", span)
	} else {
		v.Set("from", in.from)
		v.Set("to", in.to)
	}
	if in.query.Connection != 0 {
		v.Set("conn", in.conn)
	}
	if sort != "" && sort != string(services.SortViews) {
		v.Set("sort", sort)
	}
	if in.query.More {
		v.Set("top", fmt.Sprint(services.MoreInsightRows))
	}
	return orgPath(r, "insight?%s", v.Encode())
}

// insight handles GET /insight: figures from the mirror's rollups.
func (a *app) insight(w http.ResponseWriter, r *http.Request) error {
	all, err := a.Connections.All(r.Context(), orgOf(r))
	if err != nil {
		return err
	}
	if err := a.ourConnection(r, services.ConnectionID(idOf(r.URL.Query().Get("conn"))), all); err != nil {
		return err
	}
	conns := ofRaygun(all)
	in := readInsight(r.URL.Query(), conns, a.now())
	v := templates.InsightView{
		Now: a.now(), Action: orgPath(r, "insight"), SettingsHref: orgPath(r, "settings/connections"),
		CanAdmin: may(r, services.Admin), NoConnection: len(conns) == 0, Wrong: len(in.problems) > 0,
		AllHref: orgPath(r, "sessions"),
	}
	in.fields(r, conns, &v)
	if v.NoConnection {
		return a.page(w, r, http.StatusOK, "Insight", "insight", templates.Insight(v))
	}
	if v.Wrong {
		return a.page(w, r, http.StatusUnprocessableEntity, "Insight", "insight", templates.Insight(v))
	}
	report, err := a.Insight.Report(r.Context(), orgOf(r), in.query)
	if err != nil {
		return err
	}
	if err := a.fillVitals(r, in, &v); err != nil {
		return err
	}
	if report.Series.Now.Sessions == 0 {
		v.Nothing = true
		return a.page(w, r, http.StatusOK, "Insight", "insight", templates.Insight(v))
	}
	fillInsight(r, in, report, &v)
	if err := a.insightCoverage(r, in.query, report.Series.Before, &v); err != nil {
		return err
	}
	return a.page(w, r, http.StatusOK, "Insight", "insight", templates.Insight(v))
}

// fields fills the filter form.
func (in insightInput) fields(r *http.Request, conns []services.Connection, v *templates.InsightView) {
	v.From = templates.FieldView{ID: "from", Name: "from", Label: "From (UTC)", Type: "date", Value: in.from, Error: in.problems["from"], Required: true}
	v.To = templates.FieldView{ID: "to", Name: "to", Label: "To (UTC), included", Type: "date", Value: in.to, Error: in.problems["to"], Required: true}
	v.Connection = templates.FieldView{ID: "conn", Name: "conn", Label: "Connection", Value: in.conn, Error: in.problems["conn"]}
	v.Connections = []templates.OptionView{{Label: "All Raygun connections"}}
	for _, c := range conns {
		v.Connections = append(v.Connections, templates.OptionView{Value: fmt.Sprint(c.ID), Label: connectionLabel(c)})
	}
	if len(conns) == 1 {
		v.Connections = v.Connections[1:]
	}
	for _, s := range insightSpans() {
		v.Presets = append(v.Presets, templates.TabView{Label: s.label, Href: in.address(r, s.key, string(in.query.Sort)), Active: in.span == s.key, Count: -1})
	}
	if in.query.Sort != services.SortViews {
		v.Kept = append(v.Kept, templates.HiddenView{Name: "sort", Value: string(in.query.Sort)})
	}
	if in.query.More {
		v.Kept = append(v.Kept, templates.HiddenView{Name: "top", Value: fmt.Sprint(services.MoreInsightRows)})
	}
}

// connectionLabel is a connection's name where it is chosen.
func connectionLabel(c services.Connection) string {
	if c.Removed() {
		return c.Name + " (removed)"
	}
	return c.Name
}

// trendFunc writes how a number changed.
type trendFunc func(now, before int64) string

// fillInsight shows a report that has sessions.
func fillInsight(r *http.Request, in insightInput, rep services.InsightReport, v *templates.InsightView) {
	to := behind{path: orgPath(r, "sessions"), q: in.query, all: in.all}
	now, before := rep.Series.Now, rep.Series.Before
	days := int(in.query.To - in.query.From + 1)
	v.AllHref = to.sessions()
	v.Sample = fmt.Sprintf("Computed from the %s in the mirror that began from %s to %s (UTC). Page views and errors of %s of them are here (%s).",
		templates.Plural(now.Sessions, "session", "sessions"), templates.FormatDate(in.query.From.Time()), templates.FormatDate(in.query.To.Time()),
		templates.FormatCount(now.Detailed), templates.FormatPercent(shareOf(now.Detailed, now.Sessions)))
	v.Notes = insightNotes(in.query, rep, templates.Plural(days, "day", "days"))
	trend := trendFunc(templates.FormatTrend)
	if before.Sessions == 0 { // all would be new
		trend = func(int64, int64) string { return "" }
	}
	v.Stats = []templates.StatView{
		{Label: "Sessions", Href: v.AllHref, Value: templates.FormatCount(now.Sessions), Hint: compared(now.Sessions, before.Sessions, days)},
		{Label: "With errors", Href: to.sessions("errors", services.WithErrors), Value: ofDetailed(now.WithErrors, now), Hint: templates.Plural(now.WithErrors, "session", "sessions") + " of those whose errors are here"},
		{Label: "Anonymous", Href: to.sessions("people", services.AnonymousPeople), Value: templates.FormatPercent(shareOf(now.Anonymous, now.Sessions)), Hint: templates.Plural(now.Anonymous, "session", "sessions")},
		{Label: "Rated Excellent or Good", Href: to.sessions("ratings", "excellent", "ratings", "good"), Value: ofRated(now.Excellent+now.Good, now), Hint: templates.FormatCount(now.Excellent+now.Good) + " of " + templates.Plural(now.Rated(), "rated session", "rated sessions")},
	}
	if rep.Cut && !in.query.More {
		in.query.More = true
		v.MoreHref = in.address(r, in.span, string(in.query.Sort))
		in.query.More = false
	}
	v.Chart = ratingChart(rep.Series, maxBars, func(a, b services.Day) string { return to.between(a, b) })
	v.Ratings = ratingRows(now, before, to, trend)
	v.Unrated = "Raygun rated none of these sessions. A rating comes with a session's detail."
	if rep.V3 > 0 && rep.V3 == rep.Connections {
		v.Unrated = "Raygun's API v3 gives no ratings."
	}
	v.Pages = pageLoadRows(rep, to, trend)
	v.PageCols = pageColumns(r, in)
	v.PageNote = fmt.Sprintf("%s of %s. %s of these sessions are here, %s of them with a load time. Percentiles are at most 10 %% off, mostly much less.",
		templates.FormatCount(len(rep.Pages)), templates.Plural(rep.AllPages, "page", "pages"), templates.Plural(rep.Views, "page view", "page views"), templates.FormatCount(rep.Timed))
	v.Countries = valueRows(rep.Countries, now.Sessions, "countries", to, trend, templates.CountryName)
	v.Browsers = valueRows(rep.Browsers, now.Sessions, "browsers", to, trend, nil)
	v.Systems = valueRows(rep.Systems, now.Sessions, "systems", to, trend, nil)
	for _, e := range rep.Errors {
		v.Errors = append(v.Errors, templates.ShareRow{
			Label: orText(e.Group.Name, "An error without a title"), Href: errorHref(to, e.Group.Name), Count: e.Sessions, Whole: now.Detailed,
			Trend: trend(e.Sessions, e.Before), Note: templates.Plural(e.Occurrences, "occurrence", "occurrences"),
		})
	}
}

// insightCoverage says which of the days the mirror holds, and of those before if
// figures are compared with them.
func (a *app) insightCoverage(r *http.Request, q services.InsightQuery, before services.Counts, v *templates.InsightView) error {
	ctx, org := r.Context(), orgOf(r)
	days := services.SessionQuery{Connection: q.Connection, From: q.From.Time(), To: (q.To + 1).Time()}
	cover, err := a.Sessions.Coverage(ctx, org, days)
	if err != nil {
		return err
	}
	var notes []string
	for _, c := range cover[:min(len(cover), maxCovered)] {
		notes = append(notes, c.Connection.Name+": "+lowerFirst(c.Sentence())+".")
	}
	if n := int(q.To - q.From + 1); before.Sessions > 0 {
		days.From, days.To = days.From.AddDate(0, 0, -n), days.From
		lacked, err := a.Sessions.Lacked(ctx, org, days)
		if err != nil {
			return err
		}
		notes = append(notes, fmt.Sprintf("Trends compare with the %s before%s. Page views and errors of %s of those %s are here (%s).", templates.Plural(n, "day", "days"), lackedNote(lacked),
			templates.FormatCount(before.Detailed), templates.Plural(before.Sessions, "session", "sessions"), templates.FormatPercent(shareOf(before.Detailed, before.Sessions))))
	}
	v.Notes = append(notes, v.Notes...)
	return nil
}

func insightNotes(q services.InsightQuery, rep services.InsightReport, days string) []string {
	var notes []string
	if rep.Series.Before.Sessions == 0 {
		notes = append(notes, "The mirror holds no session of the "+days+" before, so there are no trends.")
	}
	if rep.PagesFrom > q.From {
		notes = append(notes, "There are so many pages that their figures begin on "+templates.FormatDate(rep.PagesFrom.Time())+". Choose fewer days to see all.")
	}
	if rep.V3 > 0 && rep.V3 < rep.Connections {
		notes = append(notes, "Raygun's API v3 gives no ratings and no load times: these come from the other connections.")
	}
	return notes
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

func pageLoadRows(rep services.InsightReport, to behind, trend trendFunc) []templates.PageLoadRow {
	var out []templates.PageLoadRow
	for _, p := range rep.Pages {
		row := templates.PageLoadRow{
			Path: p.Page.Path, Href: to.sessions("page", p.Page.Path), P50: p.P50, P75: p.P75, P95: p.P95, Views: p.Views,
			ViewTrend: trend(p.Views, p.ViewsBefore),
		}
		if p.Timed > 0 && p.TimedBefore > 0 {
			row.LoadTrend = templates.FormatTrend(p.P75, p.P75Before)
		}
		out = append(out, row)
	}
	return out
}

func pageColumns(r *http.Request, in insightInput) []templates.ColumnView {
	out := []templates.ColumnView{{Label: "Page"}}
	for _, c := range []struct {
		label string
		sort  services.PageSort
	}{{"p50", services.SortP50}, {"p75", services.SortP75}, {"p95", services.SortP95}, {"p75 trend", services.SortTrend}, {"Views", services.SortViews}, {"Views trend", ""}} {
		col := templates.ColumnView{Label: c.label, Num: true}
		if c.sort != "" {
			col.Href = in.address(r, in.span, string(c.sort))
		}
		if c.sort == in.query.Sort {
			col.Sorted = "descending"
		}
		out = append(out, col)
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
