package handlers

import (
	"fmt"
	"net/http"
	"strconv"

	"sightline/internal/services"
	"sightline/web/templates"
)

// calls handles GET /calls: the ledger, and what was spent by day and hour.
func (a *app) calls(w http.ResponseWriter, r *http.Request) error {
	in := readHistory(r)
	in.query.Kind = services.HistoryCalls
	h, err := a.historyView(r, in)
	if err != nil {
		return err
	}
	here := orgPath(r, "calls")
	v := templates.CallsView{
		Now: a.now(), Action: here, CSVURL: h.CSVURL, Person: h.Person, People: h.People, From: h.From, Until: h.Until,
		Connection:  templates.FieldView{ID: "connection", Name: "connection", Label: "Connection", Value: strconv.FormatInt(int64(in.query.Connection), 10)},
		Connections: []templates.OptionView{{Value: "0", Label: "All"}},
	}
	values := in.values()
	values.Del("kind")
	if len(values) > 0 || len(in.problems) > 0 {
		v.ResetURL = here
	}
	conns, err := a.Connections.All(r.Context(), orgOf(r))
	if err != nil {
		return err
	}
	for _, c := range conns {
		v.Connections = append(v.Connections, templates.OptionView{Value: fmt.Sprint(c.ID), Label: c.Name})
	}
	if err := a.spendCharts(r, in.query.Connection, &v); err != nil {
		return err
	}
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
	v.Pager = historyPager(here, in, values, page.Next)
	v.Pager.Shown = templates.Plural(len(v.Rows), "call", "calls")
	return a.page(w, r, http.StatusOK, "Calls", "history", templates.CallsPage(v))
}

// spendCharts fills in the calls of 30 days and of today.
func (a *app) spendCharts(r *http.Request, conn services.ConnectionID, v *templates.CallsView) error {
	s, err := a.Connections.Spending(r.Context(), orgOf(r), conn)
	if err != nil {
		return err
	}
	slots := func(in []services.SpendingSlot, layout string) []templates.SpendSlotView {
		out := make([]templates.SpendSlotView, len(in))
		for i, x := range in {
			out[i] = templates.SpendSlotView{Label: x.At.Format(layout), People: x.People, Background: x.Background, Uncounted: x.Uncounted}
		}
		return out
	}
	v.Days = templates.SpendChartView{ID: "days", Title: "Counted calls a day, last 30 days", Unit: "Day (UTC)", Slots: slots(s.Days, "2 Jan"), Limit: s.Allowance}
	v.Today = templates.SpendChartView{ID: "today", Title: "Today by hour", Unit: "Hour (UTC)", Slots: slots(s.Today, "15:04")}
	return nil
}
