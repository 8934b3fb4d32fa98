package handlers

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

const (
	// trendPoints is how many results a trend goes back.
	trendPoints = 400
	// shownResults is how many results stand on a page.
	shownResults = 50
)

// schedules handles GET /graphql/schedules.
func (a *app) schedules(w http.ResponseWriter, r *http.Request) error {
	rows, err := a.GraphQL.Schedules(r.Context(), orgOf(r))
	if err != nil {
		return err
	}
	v := templates.SchedulesView{Now: a.now(), BackURL: orgPath(r, "graphql"), SavedURL: orgPath(r, "graphql/saved"), Rows: scheduleItems(r, rows)}
	return a.page(w, r, http.StatusOK, "Schedules", "graphql", templates.Schedules(v))
}

func scheduleItems(r *http.Request, rows []services.QuerySchedule) []templates.ScheduleItem {
	var out []templates.ScheduleItem
	for _, s := range rows {
		out = append(out, templates.ScheduleItem{Href: schedulePath(r, s.ID), Name: s.Name, When: s.When(), Member: s.MemberName, Paused: s.Paused, Message: s.Message, NextAt: s.NextAt})
	}
	return out
}

func schedulePath(r *http.Request, id services.ScheduleID) string {
	return orgPath(r, "graphql/schedules/%d", id)
}

// newSchedule handles GET /graphql/saved/{id}/schedule.
func (a *app) newSchedule(w http.ResponseWriter, r *http.Request) error {
	q, err := a.GraphQL.SavedQuery(r.Context(), orgOf(r), services.SavedQueryID(idParam(r, "id")))
	if err != nil {
		return err
	}
	return a.schedulePage(w, r, http.StatusOK, services.QuerySchedule{Saved: q.ID, Name: q.Name, Every: services.EveryDay, Minute: 6 * 60, Variables: q.Variables, Keep: 100}, nil)
}

// addSchedule handles POST /graphql/saved/{id}/schedule.
func (a *app) addSchedule(w http.ResponseWriter, r *http.Request) error {
	q, err := a.GraphQL.SavedQuery(r.Context(), orgOf(r), services.SavedQueryID(idParam(r, "id")))
	if err != nil {
		return err
	}
	return a.putSchedule(w, r, services.QuerySchedule{Saved: q.ID, Name: q.Name})
}

// editSchedule handles GET /graphql/schedules/{id}/edit.
func (a *app) editSchedule(w http.ResponseWriter, r *http.Request) error {
	s, err := a.GraphQL.Schedule(r.Context(), orgOf(r), services.ScheduleID(idParam(r, "id")))
	if err != nil {
		return err
	}
	return a.schedulePage(w, r, http.StatusOK, s, nil)
}

// changeSchedule handles POST /graphql/schedules/{id}/edit.
func (a *app) changeSchedule(w http.ResponseWriter, r *http.Request) error {
	s, err := a.GraphQL.Schedule(r.Context(), orgOf(r), services.ScheduleID(idParam(r, "id")))
	if err != nil {
		return err
	}
	return a.putSchedule(w, r, s)
}

func (a *app) putSchedule(w http.ResponseWriter, r *http.Request, s services.QuerySchedule) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	p := r.PostForm
	s.Every, s.Variables, s.Minute = services.Every(p.Get("every")), newlines(p.Get("variables")), -1
	s.Keep, _ = strconv.Atoi(p.Get("keep"))
	if at, err := time.Parse("15:04", p.Get("at")); err == nil {
		s.Minute = minuteOf(s.Every, p.Get("weekday"), at)
	}
	saved, problems, err := a.GraphQL.PutSchedule(r.Context(), actorOf(r), s)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.schedulePage(w, r, http.StatusUnprocessableEntity, s, problems)
	}
	return a.redirect(w, r, schedulePath(r, saved.ID), "success", fmt.Sprintf("It is asked %s. The first time is %s.", saved.When(), saved.NextAt.UTC().Format("2 January, 15:04 UTC")))
}

// minuteOf is how many minutes after its hour, day or week a schedule asks: of
// the time of day the minutes count, the hours, and the day, as far as it has
// them.
func minuteOf(every services.Every, weekday string, at time.Time) int {
	day, err := strconv.Atoi(weekday)
	switch {
	case every == services.EveryHour:
		return at.Minute()
	case every == services.EveryDay:
		return at.Hour()*60 + at.Minute()
	case err != nil || day < 0 || day > 6:
		return -1
	}
	return day*24*60 + at.Hour()*60 + at.Minute()
}

func (a *app) schedulePage(w http.ResponseWriter, r *http.Request, status int, s services.QuerySchedule, problems services.Problems) error {
	v := templates.ScheduleFormView{
		Title: "Schedule a query", Name: s.Name, BackURL: orgPath(r, "graphql/saved/%d", s.Saved), Submit: "Schedule", Problem: problems["query"],
		Every:     templates.FieldView{ID: "every", Name: "every", Label: "How often", Value: string(s.Every), Required: true, Error: problems["every"]},
		Everys:    []templates.OptionView{{Value: "hour", Label: "Every hour"}, {Value: "day", Label: "Every day"}, {Value: "week", Label: "Every week"}},
		Weekday:   templates.FieldView{ID: "weekday", Name: "weekday", Label: "Day", Value: fmt.Sprint(max(0, s.Minute) / (24 * 60)), Required: true, Hint: "Counts for every week."},
		At:        templates.FieldView{ID: "at", Name: "at", Label: "Time (UTC)", Type: "time", Value: fmt.Sprintf("%02d:%02d", max(0, s.Minute)/60%24, max(0, s.Minute)%60), Required: true, Hint: "Of every hour the minutes count."},
		Variables: templates.FieldView{ID: "variables", Name: "variables", Label: "Variables", Value: s.Variables, Mono: true, Error: problems["variables"], Hint: `JSON. A text {{now}} stands for the time at which it is asked, {{now-7d}} for a week before; h are hours, d days, w weeks. {{date}} is the day alone, {{ms}} milliseconds.`},
		Keep:      templates.FieldView{ID: "keep", Name: "keep", Label: "Keep", Value: fmt.Sprint(s.Keep), Required: true, Error: problems["keep"], Hint: "Of 1,000 results the numbers are kept."},
		Price:     fmt.Sprintf("Each time costs one call, from what the reserve for people leaves: %d a month when hourly, %d daily, %d weekly.", services.EveryHour.PerMonth(), services.EveryDay.PerMonth(), services.EveryWeek.PerMonth()),
	}
	for i := range 7 {
		v.Weekdays = append(v.Weekdays, templates.OptionView{Value: fmt.Sprint(i), Label: time.Weekday((i + 1) % 7).String()})
	}
	for _, n := range services.KeptResults() {
		v.Keeps = append(v.Keeps, templates.OptionView{Value: fmt.Sprint(n), Label: fmt.Sprintf("The last %d answers", n)})
	}
	v.Action = v.BackURL + "/schedule"
	if s.ID != 0 {
		v.Title, v.BackURL, v.Submit = "Change a schedule", schedulePath(r, s.ID), "Save"
		v.Action = v.BackURL + "/edit"
	}
	return a.page(w, r, status, v.Title, "graphql", templates.ScheduleForm(v))
}

// schedule handles GET /graphql/schedules/{id}: ?number= chooses what is
// watched, ?before= pages.
func (a *app) schedule(w http.ResponseWriter, r *http.Request) error {
	s, err := a.GraphQL.Schedule(r.Context(), orgOf(r), services.ScheduleID(idParam(r, "id")))
	if err != nil {
		return err
	}
	q, err := a.GraphQL.SavedQuery(r.Context(), orgOf(r), s.Saved)
	if err != nil {
		return err
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	here := schedulePath(r, s.ID)
	v := templates.ScheduleView{
		Now: a.now(), Name: s.Name, When: s.When(), Paused: s.Paused, Message: s.Message, SavedURL: orgPath(r, "graphql/saved/%d", s.Saved), ListURL: orgPath(r, "graphql/schedules"),
		Filter: templates.FilterView{Action: here, Submit: "Show"},
		Facts: []templates.DefView{
			{Term: "Asked for", Text: orText(s.MemberName, "somebody who left")}, {Term: "Connection", Text: names[q.Connection]},
			{Term: "Keeps", Text: fmt.Sprintf("the last %d answers, and the numbers of 1,000", s.Keep)}, {Term: "Variables", Text: orText(s.Variables, "none"), Mono: true},
			{Term: "Made", Content: templates.Time(s.CreatedAt)},
		},
	}
	if !s.Paused {
		v.Facts = append(v.Facts, templates.DefView{Term: "Next", Content: templates.Time(s.NextAt)})
	}
	if may(r, services.Support) {
		if err := a.scheduleButtons(r, &v, s, q.Connection); err != nil {
			return err
		}
	}
	if err := a.addResults(r, &v, s); err != nil {
		return err
	}
	return a.page(w, r, http.StatusOK, s.Name, "graphql", templates.Schedule(v))
}

func (a *app) scheduleButtons(r *http.Request, v *templates.ScheduleView, s services.QuerySchedule, conn services.ConnectionID) error {
	here := schedulePath(r, s.ID)
	budget, err := a.Connections.Budget(r.Context(), orgOf(r), conn)
	if err != nil {
		return err
	}
	v.Run = a.spendView(r, "Run now", budget)
	v.Run.Icon, v.Run.Kind = "play", templates.Secondary
	v.Hidden = []templates.HiddenView{{Name: "token", Value: services.NewFormToken()}}
	v.RunURL, v.EditURL = here+"/run", here+"/edit"
	if s.Paused {
		v.ResumeURL = here + "/resume"
	} else {
		v.PauseURL = here + "/pause"
	}
	if s.Member == actorOf(r).User || may(r, services.Admin) {
		v.DeleteURL = here + "/delete"
	}
	return nil
}

// addResults adds the trend, and a page of results with the number of each.
func (a *app) addResults(r *http.Request, v *templates.ScheduleView, s services.QuerySchedule) error {
	q := r.URL.Query()
	trend, err := a.GraphQL.Results(r.Context(), orgOf(r), s.ID, time.Time{}, trendPoints)
	if err != nil {
		return err
	}
	names := services.NumberNames(trend)
	watched := s.WatchedNumber(names, q.Get("number"))
	here := schedulePath(r, s.ID)
	if watched != "" {
		v.Number = &templates.FieldView{ID: "number", Name: "number", Label: "Number", Value: watched}
		for _, n := range names {
			v.Numbers = append(v.Numbers, templates.OptionView{Value: n, Label: n})
		}
		if watched != s.WatchedNumber(names, "") && may(r, services.Support) {
			v.WatchURL = here + "/watch"
		}
		of := "?number=" + url.QueryEscape(watched)
		v.CSVURL, v.JSONURL = here+"/trend.csv"+of, here+"/trend.json"+of
		v.Chart, v.NoChart = trendChart(trend, watched)
	}
	before := services.Moment{}
	if text := q.Get("before"); text != "" {
		before = cursorOf(text)
	}
	page := trend
	if !before.At.IsZero() {
		if page, err = a.GraphQL.Results(r.Context(), orgOf(r), s.ID, before.At, shownResults+1); err != nil {
			return err
		}
	}
	for i, result := range page[:min(len(page), shownResults)] {
		item := templates.ResultItem{Href: runPath(r, result.ID), State: string(result.State), Slot: result.Slot, Kept: result.Kept}
		if result.State != services.GraphQLDone || result.Errors > 0 {
			item.Message = result.Message
		}
		if n, ok := result.Number(watched); ok {
			item.Number = services.NumberText(n)
			item.Change = changeText(page[i+1:], watched, n)
		}
		v.Rows = append(v.Rows, item)
	}
	if len(page) > shownResults {
		last := page[shownResults-1]
		v.Older = here + "?" + url.Values{"before": {cursorText(services.Moment{At: last.Slot, ID: int64(last.ID)})}, "number": {watched}}.Encode() + "#results"
	}
	return nil
}

// changeText is how a number differs from the one before it, "" if there is
// none.
func changeText(older []services.ScheduledResult, name string, now float64) string {
	for _, r := range older {
		if was, ok := r.Number(name); ok {
			switch d := now - was; {
			case d > 0:
				return "+" + services.NumberText(d)
			case d < 0:
				return "−" + services.NumberText(-d)
			}
			return "±0"
		}
	}
	return ""
}

// trendChart draws a number over time; why says why it is not drawn.
func trendChart(results []services.ScheduledResult, name string) (chart *templates.ChartView, why string) {
	c := services.GraphQLChart{X: "Asked for (UTC)", Y: name}
	for _, r := range slices.Backward(results) {
		if n, ok := r.Number(name); ok {
			c.Times, c.Values = append(c.Times, r.Slot.UTC()), append(c.Values, n)
		}
	}
	if len(c.Values) < 2 {
		return nil, "Two results make a trend. There is one so far."
	}
	if slices.Min(c.Values) < 0 || slices.Max(c.Values) > maxCharted {
		return nil, "There are numbers below zero, or too large to draw. The list below has them."
	}
	chart = graphQLChart(c)
	chart.Caption = name
	return chart, ""
}

// trendNumber reads a schedule's results and which number is asked for.
func (a *app) trendNumber(r *http.Request) (services.QuerySchedule, []services.ScheduledResult, string, error) {
	s, err := a.GraphQL.Schedule(r.Context(), orgOf(r), services.ScheduleID(idParam(r, "id")))
	if err != nil {
		return s, nil, "", err
	}
	rows, err := a.GraphQL.Results(r.Context(), orgOf(r), s.ID, time.Time{}, 1000)
	return s, rows, s.WatchedNumber(services.NumberNames(rows), r.URL.Query().Get("number")), err
}

// trendCSV handles GET /graphql/schedules/{id}/trend.csv.
func (a *app) trendCSV(w http.ResponseWriter, r *http.Request) error {
	s, rows, name, err := a.trendNumber(r)
	if err != nil {
		return err
	}
	a.sendFile(w, r, fmt.Sprintf("trend-%d.csv", s.ID), csvType, func(to io.Writer) error { return services.WriteTrendCSV(to, rows, name) })
	return nil
}

// trendJSON handles GET /graphql/schedules/{id}/trend.json.
func (a *app) trendJSON(w http.ResponseWriter, r *http.Request) error {
	s, rows, name, err := a.trendNumber(r)
	if err != nil {
		return err
	}
	a.sendFile(w, r, fmt.Sprintf("trend-%d.json", s.ID), jsonType, func(to io.Writer) error { return services.WriteTrendJSON(to, rows, name) })
	return nil
}

// runSchedule handles POST /graphql/schedules/{id}/run.
func (a *app) runSchedule(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	run, err := a.GraphQL.RunSchedule(r.Context(), actorOf(r), services.ScheduleID(idParam(r, "id")), r.PostForm.Get("token"))
	if err != nil {
		return err
	}
	if run, err = a.GraphQL.Wait(r.Context(), orgOf(r), run.ID, waitForVendor); err != nil {
		return err
	}
	if run.State.Open() {
		return a.redirect(w, r, runPath(r, run.ID), "", "")
	}
	return a.redirect(w, r, schedulePath(r, run.Schedule), "info", run.Message)
}

// watchNumber handles POST /graphql/schedules/{id}/watch.
func (a *app) watchNumber(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	id, name := services.ScheduleID(idParam(r, "id")), r.PostForm.Get("number")
	if err := a.GraphQL.WatchNumber(r.Context(), actorOf(r), id, name); err != nil {
		return err
	}
	return a.redirect(w, r, schedulePath(r, id), "success", "This number is shown first from now on.")
}

// turnSchedule handles POST /graphql/schedules/{id}/pause, resume.
func (a *app) turnSchedule(turn func(*services.GraphQL, *http.Request, services.ScheduleID) error, text string) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		id := services.ScheduleID(idParam(r, "id"))
		if err := turn(a.GraphQL, r, id); err != nil {
			return err
		}
		return a.redirect(w, r, schedulePath(r, id), "success", text)
	}
}

func pauseSchedule(g *services.GraphQL, r *http.Request, id services.ScheduleID) error {
	return g.PauseSchedule(r.Context(), actorOf(r), id)
}

func resumeSchedule(g *services.GraphQL, r *http.Request, id services.ScheduleID) error {
	return g.ResumeSchedule(r.Context(), actorOf(r), id)
}

// deleteSchedule handles POST /graphql/schedules/{id}/delete.
func (a *app) deleteSchedule(w http.ResponseWriter, r *http.Request) error {
	if err := a.GraphQL.DeleteSchedule(r.Context(), actorOf(r), services.ScheduleID(idParam(r, "id"))); err != nil {
		return err
	}
	return a.redirect(w, r, orgPath(r, "graphql/schedules"), "success", "The schedule is deleted with its results.")
}
