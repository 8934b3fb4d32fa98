package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"

	"sightline/internal/services"
	"sightline/web/templates"
)

// insightTopic is one page of Insight.
type insightTopic struct {
	// path is under /insight, empty for the overview. The title and what stands
	// under it have {step} where they name what a bar is of: a day or a week.
	path, tab, title, sub string
	// one and many are what its table lists, so many rows at once.
	one, many string
	rows      int
	body      func(*insightPage) (templ.Component, error)
}

// tables are what a page shows rows of: a topic's is named by its path.
func (t insightTopic) tables(part bool) []services.InsightTable {
	switch {
	case part:
		return whereTables()
	case t.path == "":
		return []services.InsightTable{services.TablePages, services.TableErrors}
	}
	return []services.InsightTable{services.InsightTable(t.path)}
}

// whereTables are those that the overview fetches when they come into view.
func whereTables() []services.InsightTable {
	return []services.InsightTable{services.TableCountries, services.TableBrowsers, services.TableSystems}
}

// insightTopics are the pages in the order of their tabs. Each shows so many rows
// that it stays small.
func insightTopics() []insightTopic {
	const each = "Each row leads to the sessions behind it."
	return []insightTopic{
		{tab: "Overview", title: "Insight", sub: "Figures from the mirror: looking costs no call. Most lead to the sessions behind them.", rows: 5, body: (*insightPage).overview},
		{path: "days", tab: "Days", title: "Sessions by {step}", sub: "Every {step} leads to its sessions, and so does every rating.", body: (*insightPage).days},
		{path: "pages", tab: "Pages", title: "Pages by load time", sub: each, one: "page", many: "pages", rows: 25, body: (*insightPage).pages},
		{path: "vitals", tab: "Web Vitals", title: "Core Web Vitals", sub: "Raygun v3's own figures, {step} by {step}. Only a button that names a price asks for more.", body: (*insightPage).vitals},
		{path: "errors", tab: "Errors", title: "Errors by sessions touched", sub: each, one: "error", many: "errors", rows: 25, body: (*insightPage).table},
		{path: "countries", tab: "Countries", title: "Countries", sub: each, one: "country", many: "countries", rows: 40, body: (*insightPage).table},
		{path: "browsers", tab: "Browsers", title: "Browsers", sub: each, one: "browser", many: "browsers", rows: 40, body: (*insightPage).table},
		{path: "systems", tab: "Systems", title: "Operating systems", sub: each, one: "system", many: "systems", rows: 40, body: (*insightPage).table},
	}
}

// topicOf finds a topic by its path; one that is not has no title.
func topicOf(path string) (t insightTopic) {
	for _, t = range insightTopics() {
		if t.path == path {
			return t
		}
	}
	return insightTopic{}
}

// insightInput is what the address says about which figures to show.
type insightInput struct {
	topic                insightTopic
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

// maxInsightPage bounds how far one can go in a table.
const maxInsightPage = 1000

// readInsight reads the filter. Without dates it is the last 30 days, today
// included.
func readInsight(topic insightTopic, v url.Values, conns []services.Connection, now time.Time) insightInput {
	in := insightInput{topic: topic, from: strings.TrimSpace(v.Get("from")), to: strings.TrimSpace(v.Get("to")), conn: v.Get("conn"), span: v.Get("span")}
	page := int(min(max(idOf(v.Get("page")), 1), maxInsightPage))
	in.query.Sort, in.query.Rows, in.query.Skip = services.PageSort(v.Get("sort")), topic.rows, (page-1)*topic.rows
	if topic.path != "pages" {
		in.query.Sort = services.SortViews
	}
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

// address is a page of Insight with the same filter, but for pairs of names and
// values that differ. Without dates it is a span.
func (in *insightInput) address(r *http.Request, topic string, pairs ...string) string {
	v := url.Values{}
	if in.span != "" {
		v.Set("span", in.span)
	} else {
		v.Set("from", in.from)
		v.Set("to", in.to)
	}
	if in.query.Connection != 0 {
		v.Set("conn", in.conn)
	}
	if topic == in.topic.path && in.query.Sort != services.SortViews {
		v.Set("sort", string(in.query.Sort))
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return insightPath(r, topic) + query(v)
}

func insightPath(r *http.Request, topic string) string {
	if topic == "" {
		return orgPath(r, "insight")
	}
	return orgPath(r, "insight/%s", topic)
}

// insightPage is a page of Insight as it is made.
type insightPage struct {
	a      *app
	r      *http.Request
	in     insightInput
	report services.InsightReport
	to     behind
	trend  trendFunc
}

// insight handles GET /insight and GET /insight/{topic}: figures from the
// mirror's rollups.
func (a *app) insight(w http.ResponseWriter, r *http.Request) error {
	topic := topicOf(chi.URLParam(r, "topic"))
	if topic.title == "" {
		return a.noSuchPage(w, r)
	}
	part := topic.path == "" && wantsPart(r)
	all, err := a.Connections.All(r.Context(), orgOf(r))
	if err != nil {
		return err
	}
	if err := a.ourConnection(r, services.ConnectionID(idOf(r.URL.Query().Get("conn"))), all); err != nil {
		return err
	}
	conns := ofRaygun(all)
	in := readInsight(topic, r.URL.Query(), conns, a.now())
	v := in.view(r, conns)
	v.Now, v.CanAdmin = a.now(), may(r, services.Admin)
	status := http.StatusOK
	switch {
	case v.NoConnection:
	case v.Wrong:
		status = http.StatusUnprocessableEntity
	default:
		p := &insightPage{a: a, r: r, in: in, to: behind{path: orgPath(r, "sessions"), q: in.query, all: in.all}}
		if topic.path == "vitals" { // Raygun's own counts, of which the mirror knows nothing
			v.Body, err = topic.body(p)
		} else if err = p.count(part); err == nil && !part {
			err = p.fill(&v)
		}
		if err != nil {
			return err
		}
		if part {
			return a.render(w, r, http.StatusOK, templates.InsightWhere(p.where()))
		}
	}
	title := "Insight"
	if topic.path != "" {
		title = topic.tab + " · " + title
	}
	return a.page(w, r, status, title, "insight", templates.Insight(v))
}

// step names what a bar of the page's charts is of.
func (in *insightInput) step() string {
	weeks := chartStep(int(in.query.To-in.query.From)+1) > 1
	if in.topic.path == "vitals" {
		weeks = in.query.VitalsStep() > 1
	}
	if weeks {
		return "week"
	}
	return "day"
}

// view is the page without its figures.
func (in *insightInput) view(r *http.Request, conns []services.Connection) templates.InsightView {
	words := strings.NewReplacer("{step}", in.step())
	v := templates.InsightView{
		Title: words.Replace(in.topic.title), Sub: words.Replace(in.topic.sub), Action: insightPath(r, in.topic.path), SettingsHref: orgPath(r, "settings/connections"),
		NoConnection: len(conns) == 0, Wrong: len(in.problems) > 0, AllHref: orgPath(r, "sessions"),
		From:        templates.FieldView{ID: "from", Name: "from", Label: "From (UTC)", Type: "date", Value: in.from, Error: in.problems["from"], Required: true},
		To:          templates.FieldView{ID: "to", Name: "to", Label: "To (UTC), included", Type: "date", Value: in.to, Error: in.problems["to"], Required: true},
		Connection:  templates.FieldView{ID: "conn", Name: "conn", Label: "Connection", Value: in.conn, Error: in.problems["conn"]},
		Connections: []templates.OptionView{{Label: "All connections"}},
	}
	for _, c := range conns {
		v.Connections = append(v.Connections, templates.OptionView{Value: fmt.Sprint(c.ID), Label: connectionLabel(c)})
	}
	if len(conns) == 1 {
		v.Connections = v.Connections[1:]
	}
	for _, t := range insightTopics() {
		v.Topics = append(v.Topics, templates.TabView{Label: t.tab, Href: in.address(r, t.path), Active: t.path == in.topic.path, Count: -1})
	}
	for _, s := range insightSpans() {
		other := *in
		other.span = s.key
		v.Presets = append(v.Presets, templates.TabView{Label: s.label, Href: other.address(r, in.topic.path), Active: in.span == s.key, Count: -1})
	}
	if in.query.Sort != services.SortViews {
		v.Kept = append(v.Kept, templates.HiddenView{Name: "sort", Value: string(in.query.Sort)})
	}
	return v
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

func trendOf(before services.Counts) trendFunc {
	if before.Sessions == 0 { // all would be new
		return func(int64, int64) string { return "" }
	}
	return templates.FormatTrend
}

// count reads the figures that the page or its part shows from the mirror.
func (p *insightPage) count(part bool) (err error) {
	p.report, err = p.a.Insight.Report(p.r.Context(), orgOf(p.r), p.in.query, p.in.topic.tables(part)...)
	p.trend = trendOf(p.report.Series.Before)
	return err
}

// fill shows the page's figures and what they are computed from.
func (p *insightPage) fill(v *templates.InsightView) error {
	now, q := p.report.Series.Now, p.in.query
	if v.Nothing = now.Sessions == 0; v.Nothing {
		return nil
	}
	v.Sample = fmt.Sprintf("Computed from the %s in the mirror that began from %s to %s (UTC). Page views and errors of %s of them are here (%s).",
		templates.Plural(now.Sessions, "session", "sessions"), templates.FormatDate(q.From.Time()), templates.FormatDate(q.To.Time()),
		templates.FormatCount(now.Detailed), templates.FormatPercent(shareOf(now.Detailed, now.Sessions)))
	notes, err := p.coverage()
	if err != nil {
		return err
	}
	v.Notes = append(notes, insightNotes(q, p.report, templates.Plural(int(q.To-q.From+1), "day", "days"))...)
	v.Body, err = p.in.topic.body(p)
	return err
}

// coverage says which of the days the mirror holds, and of those before if
// figures are compared with them.
func (p *insightPage) coverage() ([]string, error) {
	ctx, org, q, before := p.r.Context(), orgOf(p.r), p.in.query, p.report.Series.Before
	days := services.SessionQuery{Connection: q.Connection, From: q.From.Time(), To: (q.To + 1).Time()}
	cover, err := p.a.Sessions.Coverage(ctx, org, days)
	if err != nil {
		return nil, err
	}
	var notes []string
	for _, c := range cover[:min(len(cover), maxCovered)] {
		notes = append(notes, c.Connection.Name+": "+lowerFirst(c.Sentence())+".")
	}
	if n := int(q.To - q.From + 1); before.Sessions > 0 {
		days.From, days.To = days.From.AddDate(0, 0, -n), days.From
		lacked, err := p.a.Sessions.Lacked(ctx, org, days)
		if err != nil {
			return nil, err
		}
		notes = append(notes, fmt.Sprintf("Trends compare with the %s before%s. Page views and errors of %s of those %s are here (%s).", templates.Plural(n, "day", "days"), lackedNote(lacked),
			templates.FormatCount(before.Detailed), templates.Plural(before.Sessions, "session", "sessions"), templates.FormatPercent(shareOf(before.Detailed, before.Sessions))))
	}
	return notes, nil
}

func insightNotes(q services.InsightQuery, rep services.InsightReport, days string) []string {
	var notes []string
	if rep.Series.Before.Sessions == 0 {
		notes = append(notes, "The mirror holds no session of the "+days+" before, so there are no trends.")
	}
	if rep.PagesFrom > q.From {
		notes = append(notes, "There are so many pages that their load times begin on "+templates.FormatDate(rep.PagesFrom.Time())+". Choose fewer days to see all.")
	}
	if rep.V3 > 0 && rep.V3 < rep.Connections {
		notes = append(notes, "Raygun's API v3 gives no ratings and no load times: these come from the other connections.")
	}
	return notes
}
