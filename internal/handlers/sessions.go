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

// sessions handles GET /sessions: the mirror's sessions by the filter in the
// address, and what Raygun was asked about it. Without any parameter it is the
// view that the member begins with. To be there at once it leaves out what few
// look at and what takes long; show in the address names what is to be on it, and
// then all is, or alone if a part of the page is asked for.
func (a *app) sessions(w http.ResponseWriter, r *http.Request) error {
	views, err := a.Views.List(r.Context(), actorOf(r))
	if err != nil {
		return err
	}
	in := r.URL.Query()
	if len(in) == 0 {
		for _, view := range views {
			if view.Default {
				http.Redirect(w, r, viewHref(r, view), http.StatusSeeOther)
				return nil
			}
		}
	}
	f, conns, err := a.sessionForm(r, in)
	if err != nil {
		return err
	}
	if len(f.problems) == 0 && submitted(in) {
		// The address is to say what is on, and no more.
		to := f.page()
		if show := templates.Showable(in.Get("show")); show != "" {
			to.Set("show", show)
		}
		http.Redirect(w, r, orgPath(r, "sessions?%s", to.Encode()), http.StatusSeeOther)
		return nil
	}
	part := wantsPart(r)
	if part && templates.IsFilter(in.Get("show")) {
		f.problems = services.Problems{} // nobody has sent it yet
	}
	v := a.sessionsView(r, f, conns, views)
	switch {
	case part && v.Show == templates.ShowViews:
		return a.render(w, r, http.StatusOK, templates.ViewsMenu(v))
	case v.Wrong:
		f.fields(&v, services.Choices{})
		return a.page(w, r, http.StatusUnprocessableEntity, "Sessions", "sessions", templates.Sessions(v))
	case part && v.Show == templates.ShowSave:
		return a.render(w, r, http.StatusOK, templates.SaveViewDialog(v.Save))
	case v.Show == templates.ShowSave:
		return a.page(w, r, http.StatusOK, "Save this view", "sessions", templates.SaveView(v.Save))
	case part && v.Show == templates.ShowColumns:
		return a.render(w, r, http.StatusOK, templates.ColumnsMenu(v))
	}
	choices := f.chosen()
	if v.Show != "" {
		if choices, err = a.Sessions.Choices(r.Context(), orgOf(r), f.query); err != nil {
			return err
		}
	}
	f.fields(&v, choices)
	if part && templates.IsFilter(v.Show) {
		return a.render(w, r, http.StatusOK, templates.SessionFilter(v))
	}
	var asked services.SearchState
	removed := slices.ContainsFunc(conns, func(c services.Connection) bool { return c.ID == f.query.Connection && c.Removed() })
	asks := f.query.Connection != 0 && !removed && !f.query.Local()
	if asks { // before the list, so that what it says is here is in it
		if asked, err = a.Sessions.State(r.Context(), orgOf(r), f.query); err != nil {
			return err
		}
	}
	if err := a.sessionPage(r, f, conns, &v); err != nil {
		return err
	}
	if err := a.sessionFigures(r, f, conns, &v); err != nil {
		return err
	}
	switch {
	case removed:
		v.AskNote = "This connection was removed. The mirror answers, with what it brought."
	case asks:
		a.searchAsk(r, f, asked, &v)
	case f.query.Connection != 0:
		v.AskNote = f.localOnly() + ": the mirror answers, with what it holds of these days."
	case len(conns) > 1:
		v.AskNote = "This is what the mirror holds of all connections. Choose one to ask Raygun."
	}
	if part && v.Show == templates.ShowFigures {
		return a.render(w, r, http.StatusOK, templates.SessionFigures(v))
	}
	return a.page(w, r, http.StatusOK, "Sessions", "sessions", templates.Sessions(v))
}

// submitted says that the parameters came from a form: it sends its empty fields
// too, and a range with the days that it is now.
func submitted(v url.Values) bool {
	if v.Has("span") && (v.Has("from") || v.Has("to")) {
		return true
	}
	for _, values := range v {
		if slices.Contains(values, "") {
			return true
		}
	}
	return false
}

// sessionsView is the page without its sessions.
func (a *app) sessionsView(r *http.Request, f sessionForm, conns []services.Connection, views []services.View) templates.SessionsView {
	here := f.page()
	if before := r.URL.Query().Get("before"); before != "" {
		here.Set("before", before)
	}
	v := templates.SessionsView{
		Here: "?" + here.Encode(), Show: templates.Showable(r.URL.Query().Get("show")),
		Now: a.now(), Action: orgPath(r, "sessions"), AskAction: orgPath(r, "sessions/ask"), SettingsHref: orgPath(r, "settings/connections"),
		AllHref: orgPath(r, "sessions?span=7d"), CanAdmin: may(r, services.Admin), Wrong: len(f.problems) > 0,
		NoConnection: len(conns) == 0, Presets: sessionPresets(f), Chips: f.chips(r, conns),
	}
	if len(conns) > 1 {
		every := templates.OptionView{Label: "All (mirror only)"}
		if f.typed.Get("connection") == allConnections {
			every.Value = allConnections
		}
		v.Connections = append(v.Connections, every)
	}
	for _, c := range conns {
		v.Connections = append(v.Connections, templates.OptionView{Value: fmt.Sprint(c.ID), Label: connectionLabel(c)})
	}
	kept := f.page()
	for key := range f.values() {
		if key != "span" {
			kept.Del(key)
		}
	}
	v.Kept = hiddenOf(kept)
	dates := f.page()
	for key := range dates {
		if !slices.Contains([]string{"span", "from", "to", "columns"}, key) {
			dates.Del(key)
		}
	}
	v.ClearHref = orgPath(r, "sessions?%s", dates.Encode())
	a.fillViews(r, f, views, &v)
	chosen := services.ChooseColumns(f.columns, f.many)
	for _, c := range services.SessionColumns() {
		on := slices.ContainsFunc(chosen, func(o services.SessionColumn) bool { return o.Key == c.Key })
		v.ColumnChoices.Add(c.Key, c.Label, on)
	}
	v.Columns = columnViews(chosen)
	rest := f.page()
	rest.Del("columns")
	v.ColumnsKept = hiddenOf(rest)
	file := f.page()
	file.Del("view")
	v.CSVHref, v.JSONHref = "sessions.csv?"+file.Encode(), "sessions.json?"+file.Encode()
	return v
}

// sessionFigures adds what stands around the list: how many, the chart, and which
// days the mirror holds. Where the chart comes later and the rollups do not know
// how many there are, it brings that too.
func (a *app) sessionFigures(r *http.Request, f sessionForm, conns []services.Connection, v *templates.SessionsView) error {
	ctx, org := r.Context(), orgOf(r)
	n, told, err := a.Sessions.Told(ctx, org, f.query)
	if err != nil {
		return err
	}
	var chart services.SessionChart
	whole := v.Pager.Newer == "" && v.Pager.Older == ""
	v.Later = v.Show == "" && len(v.Rows) > 0
	if whole { // the list is all there is
		n.Sessions, told = int64(len(v.Rows)), true
	}
	if !v.Later && !(whole && len(v.Rows) == 0) {
		if n, chart, err = a.Sessions.Figures(ctx, org, f.query); err != nil {
			return err
		}
		told = true
	}
	v.Title = "Sessions"
	if told {
		v.Title = templates.Plural(n.Sessions, "session", "sessions")
	}
	if n.More {
		v.Title = "At least " + v.Title
	}
	if n.Unknown > 0 {
		v.Notes = append(v.Notes, fmt.Sprintf("Page views, errors and ratings come with a session's detail. %s of these days %s none here and may match too.",
			templates.Plural(n.Unknown, "session", "sessions"), map[bool]string{true: "has", false: "have"}[n.Unknown == 1]))
	}
	untold, err := a.Sessions.Untold(ctx, org, f.query)
	if err != nil {
		return err
	}
	switch {
	case untold.All:
		notInV3(v, "Raygun's API v3 gives no "+untold.Field+", so that no session can be found by them. Take that filter away.")
	case len(untold.By) > 0:
		v.Notes = append(v.Notes, fmt.Sprintf("Raygun's API v3 gives no %s: what came through “%s” alone is not found by them.", untold.Field, strings.Join(untold.By, "”, “")))
	}
	v.Charted = f.query.To.Sub(f.query.From) > 24*time.Hour
	if len(chart.Days) > 1 && n.Sessions > 0 {
		if err := a.sessionChart(r, f, chart, conns, v); err != nil {
			return err
		}
	}
	v.Coverage, err = a.sessionCoverage(r, conns, f)
	return err
}

// notInV3 says that nothing can be found because of what v3 does not tell, which
// is not the same as that there is nothing.
func notInV3(v *templates.SessionsView, why string) {
	v.Title, v.EmptyTitle, v.EmptyWhy = "Not in v3", "Not in v3", why
}

// sessionChart draws the sessions a day, each day a link to its sessions. A day
// that the range begins in the middle of has none: dates cannot name a part of a
// day. Nor has one of a type of user, which Raygun was asked for in this range.
func (a *app) sessionChart(r *http.Request, f sessionForm, c services.SessionChart, conns []services.Connection, v *templates.SessionsView) error {
	rest := f.page()
	rest.Del("span")
	chart := ratingChart(c.DaySeries, func(from, to services.Day) string {
		if from.Time().Before(f.query.From) || f.query.UserType != "" {
			return ""
		}
		rest.Set("from", dayText(from))
		rest.Set("to", dayText(to))
		return "?" + rest.Encode()
	})
	if !c.Rated {
		chart.Parts[0].Label = "Sessions of any rating or none"
	}
	days := templates.Plural(len(c.Days), "day", "days")
	when := "in the " + days + " before"
	if first := &chart.Bars[0]; c.Days[0].Day.Time().Before(f.query.From) && c.Days[0].Day == services.DayOf(f.query.From) {
		first.Label += f.query.From.Format(" from 15:04")
		when = "at the same hours " + days + " earlier"
		chart.Compare = days + " earlier"
	}
	switch {
	case !c.Compared:
		chart.Compare = ""
		v.ChartNote = "There are too many sessions to compare with the " + days + " before."
	case c.Before.Sessions == 0:
		chart.Compare = ""
		v.ChartNote = "The mirror holds no such sessions " + when + "."
	default:
		before := f.query
		before.From, before.To = before.From.AddDate(0, 0, -len(c.Days)), before.To.AddDate(0, 0, -len(c.Days))
		lacked, err := a.Sessions.Lacked(r.Context(), orgOf(r), before)
		if err != nil {
			return err
		}
		v.ChartNote = fmt.Sprintf("%s against %s %s%s.", templates.FormatTrend(c.Now.Sessions, c.Before.Sessions), templates.FormatCount(c.Before.Sessions), when, lackedNote(lacked))
		if f.query.NeedsDetail() {
			v.ChartNote += " Both are of sessions whose details are here."
		}
	}
	if len(c.Days) > 0 && c.Since > c.Days[0].Day {
		v.ChartNote += " Counted from " + templates.FormatDate(c.Since.Time()) + " on: of the days before there are no figures, as there are so many sessions."
	}
	v.Chart = &chart
	return nil
}

// lackedNote follows what is said of some days.
func lackedNote(days int) string {
	if days == 0 {
		return ""
	}
	return ", of which the mirror lacks " + templates.Plural(days, "day", "days")
}

// sessionPage adds one page of the list.
func (a *app) sessionPage(r *http.Request, f sessionForm, conns []services.Connection, v *templates.SessionsView) error {
	before := cursorOf(r.URL.Query().Get("before"))
	list, err := a.Sessions.List(r.Context(), orgOf(r), f.query, before)
	if err != nil {
		return err
	}
	if v.Rows, err = a.sessionRows(r, list.Sessions); err != nil {
		return err
	}
	lacking, how := list.Sessions, shownBare()
	if f.query.NeedsDetail() {
		how = mayMatch()
		if lacking, err = a.Sessions.Bare(r.Context(), orgOf(r), f.query); err != nil {
			return err
		}
	}
	if v.Details, err = a.detailParts(r, conns, pointersTo(lacking), how, v.Action+v.Here); err != nil {
		return err
	}
	v.Pager = pager("", f.page(), before != services.Moment{}, list.More, list.Next, len(v.Rows), "session", "sessions")
	switch {
	case v.EmptyWhy != "":
	case !f.query.Local():
		v.EmptyWhy = "The mirror holds none for this filter. Ask Raygun, or widen the dates."
	default:
		v.EmptyWhy = "The mirror holds none for this filter. Take a filter away, widen the dates, or fill the days that are missing."
	}
	if list.Cut {
		v.Cut = fmt.Sprintf("Looked at %s back to %s.", templates.Plural(list.Examined, "session", "sessions"), templates.FormatTime(list.Next.At))
		v.EmptyWhy = "None of them matches. Look further back, or narrow the dates."
	}
	return nil
}

func sessionPresets(f sessionForm) []templates.TabView {
	var out []templates.TabView
	for _, s := range sessionSpans() {
		v := f.page()
		v.Del("from")
		v.Del("to")
		v.Set("span", s.key)
		out = append(out, templates.TabView{Label: s.label, Href: "?" + v.Encode(), Active: f.span == s.key, Count: -1})
	}
	return out
}

// pager links the first page of a list and the next one.
func pager(path string, v url.Values, later, more bool, next services.Moment, shown int, one, many string) templates.PagerView {
	p := templates.PagerView{Shown: templates.Plural(shown, one, many)}
	if more {
		p.Shown = fmt.Sprintf("%d+ %s", shown, many)
		v.Set("before", cursorText(next))
		p.Older = path + query(v)
	}
	if later {
		v.Del("before")
		p.Newer = path + query(v)
	}
	return p
}
