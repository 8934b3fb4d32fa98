package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"sightline/internal/services"
	"sightline/web/templates"
)

// readCalls reads the filters of the ledger.
func readCalls(r *http.Request) historyInput {
	in := readHistory(r)
	in.query.Kind, in.query.Limit = services.HistoryCalls, services.ShortPage
	return in
}

// callValues are the ledger's filters for an address: it lists calls alone.
func callValues(in historyInput) url.Values {
	v := in.values()
	v.Del("kind")
	return v
}

// calls handles GET /calls: the ledger, and what was spent day by day.
func (a *app) calls(w http.ResponseWriter, r *http.Request) error {
	in := readCalls(r)
	h, err := a.historyView(r, in)
	if err != nil {
		return err
	}
	here := orgPath(r, "calls")
	v := templates.CallsView{Now: a.now(), CSVURL: h.CSVURL, DaysHref: orgPath(r, "calls/days") + query(callValues(in))}
	if v.Filter, err = a.callsFilter(r, here, in, h); err != nil {
		return err
	}
	v.Filter.People = h.People
	charts, err := a.callCharts(r, in)
	if err != nil {
		return err
	}
	v.Days = charts[0]
	if len(in.problems) > 0 {
		return a.page(w, r, http.StatusUnprocessableEntity, "Calls", "history", templates.CallsPage(v))
	}
	page, err := a.History.Page(r.Context(), orgOf(r), in.query)
	if err != nil {
		return err
	}
	for _, e := range page.Events {
		row := historyRow(r, e)
		if row.Call == nil {
			continue
		}
		v.Rows = append(v.Rows, templates.CallRow{
			At: row.At, Actor: row.Actor, Customer: row.Customer, Words: row.Summary, Call: *row.Call,
			Connection: templates.LinkView{Label: row.Connection, Href: row.ConnectionURL},
		})
	}
	v.Pager = historyPager(here, in, callValues(in), page.Next)
	v.Pager.Shown = templates.Plural(len(v.Rows), "call", "calls")
	return a.page(w, r, http.StatusOK, "Calls", "history", templates.CallsPage(v))
}

// callDays handles GET /calls/days: the calls by day and by hour, with their
// numbers.
func (a *app) callDays(w http.ResponseWriter, r *http.Request) error {
	in := readCalls(r)
	h, err := a.historyView(r, in)
	if err != nil {
		return err
	}
	filter, err := a.callsFilter(r, orgPath(r, "calls/days"), in, h)
	if err != nil {
		return err
	}
	charts, err := a.callCharts(r, in)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if len(in.problems) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return a.page(w, r, status, "Calls by day and hour", "history", templates.CallDays(filter, orgPath(r, "calls")+query(callValues(in)), charts))
}

// callsFilter is the form of the pages of calls.
func (a *app) callsFilter(r *http.Request, here string, in historyInput, h templates.HistoryView) (templates.CallsFilterView, error) {
	v := templates.CallsFilterView{
		Action: here, Person: h.Person, From: h.From, Until: h.Until,
		Connection:  templates.FieldView{ID: "connection", Name: "connection", Label: "Connection", Value: strconv.FormatInt(int64(in.query.Connection), 10)},
		Connections: []templates.OptionView{{Value: "0", Label: "All"}},
	}
	if len(callValues(in)) > 0 || len(in.problems) > 0 {
		v.ResetURL = here
	}
	conns, err := a.Connections.All(r.Context(), orgOf(r))
	for _, c := range conns {
		v.Connections = append(v.Connections, templates.OptionView{Value: fmt.Sprint(c.ID), Label: c.Name})
	}
	return v, err
}

// callCharts are the calls of the chosen connection and days: by day, and the
// last day's by hour. The counters do not tell who asked.
func (a *app) callCharts(r *http.Request, in historyInput) ([]templates.CallsChartView, error) {
	q := in.query
	if len(in.problems) > 0 {
		q = services.HistoryQuery{Connection: q.Connection}
	}
	s, err := a.Connections.Spending(r.Context(), orgOf(r), q.Connection, q.From, q.Until)
	if err != nil {
		return nil, err
	}
	days := callChart("Calls a day", "Day (UTC)", "Mon 2 Jan 2006", "2 Jan", s.Days)
	if s.Weeks {
		days.Caption, days.Step = "Calls a week", "Week from (UTC)"
	}
	if s.Allowance > 0 && !s.Weeks {
		days.Compare = fmt.Sprintf("Line: %d calls a day", s.Allowance)
		for i := range days.Bars {
			days.Bars[i].Before = int64(s.Allowance)
		}
	}
	if !s.Weeks {
		for i, d := range s.Days {
			v := callValues(in)
			v.Set("from", dayText(services.DayOf(d.At)))
			v.Set("until", v.Get("from"))
			days.Bars[i].Href = orgPath(r, "calls") + query(v)
		}
	}
	if s.Cut {
		days.Note = fmt.Sprintf("Only the last %d days are shown.", services.MaxSpendingDays)
	}
	charts := []templates.CallsChartView{days}
	if len(s.Hours) > 0 {
		charts = append(charts, a.callHours(s.Hours))
	}
	if q.Person != 0 || q.Customer != 0 {
		for i := range charts {
			charts[i].Note += " These are everybody's: the counters do not tell who asked, or about whom."
		}
	}
	return charts, nil
}

// callHours draws the calls of one day by hour.
func (a *app) callHours(slots []services.SpendingSlot) templates.CallsChartView {
	last := slots[0].At
	hours := callChart(templates.FormatDate(last)+" by hour", "Hour (UTC)", "15:04", "15:04", slots)
	if services.DayOf(last) == services.DayOf(a.now()) {
		hours.Caption = "Today by hour"
	}
	return hours
}

// callChart draws calls. Those that take none of the day's allowance stand on top
// of those that do.
func callChart(caption, step, label, short string, slots []services.SpendingSlot) templates.CallsChartView {
	v := templates.CallsChartView{ChartView: templates.ChartView{
		Caption: caption, Unit: "calls", Step: step,
		Parts: []templates.ChartPart{{Label: "People", Tone: "good"}, {Label: "Background", Tone: "accent"}, {Label: "Not counted", Tone: "neutral"}},
	}}
	var people, background, uncounted int64
	for _, s := range slots {
		v.Bars = append(v.Bars, templates.ChartBar{Label: s.At.Format(label), Short: s.At.Format(short), Values: []int64{s.People, s.Background, s.Uncounted}})
		people, background, uncounted = people+s.People, background+s.Background, uncounted+s.Uncounted
	}
	v.Sum = fmt.Sprintf("%s by people, %s in the background; %s took none of a day's allowance.",
		templates.Plural(people, "call", "calls"), templates.FormatCount(background), templates.FormatCount(uncounted))
	return v
}
