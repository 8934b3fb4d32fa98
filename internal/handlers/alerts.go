package handlers

import (
	"net/http"
	"net/url"
	"strconv"

	"sightline/internal/services"
	"sightline/web/templates"
)

// alerts handles GET /alerts: what LogRocket sent, newest first.
func (a *app) alerts(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	conn, before := services.ConnectionID(idOf(q.Get("connection"))), cursorOf(q.Get("before"))
	v := templates.AlertsView{Now: a.now(), Filter: templates.FilterView{Action: orgPath(r, "alerts")}, SettingsURL: orgPath(r, "settings/connections")}
	values := url.Values{}
	if conn != 0 {
		values.Set("connection", strconv.FormatInt(int64(conn), 10))
		v.Filter.ResetHref = v.Filter.Action
	}
	if err := a.chooseRocket(r, conn, &v.Connection, &v.Connections); err != nil {
		return err
	}
	rows, err := a.Alerts.List(r.Context(), orgOf(r), conn, before, pageRows+1)
	if err != nil {
		return err
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	shown, next := rows[:min(len(rows), pageRows)], services.Moment{}
	if n := len(shown); n > 0 {
		next = services.Moment{At: shown[n-1].ReceivedAt, ID: int64(shown[n-1].ID)}
	}
	for _, row := range shown {
		v.Rows = append(v.Rows, templates.AlertRow{
			ReceivedAt: row.ReceivedAt, FirstSeen: row.FirstSeen, Title: row.Title, Kind: row.IssueType, Label: row.Label, Description: row.Description,
			Sessions: row.Sessions, Rate: row.Rate, Address: row.URL, IssueURL: row.IssueURL, Screenshot: row.Screenshot, ScreenshotURL: row.ScreenshotURL,
			Connection: names[row.Connection], Deliveries: row.Deliveries, Body: row.Body,
		})
	}
	v.Pager = pager(v.Filter.Action, values, before != services.Moment{}, len(rows) > pageRows, next, len(shown), "alert", "alerts")
	return a.page(w, r, http.StatusOK, "Issue alerts", "highlights", templates.Alerts(v))
}

// chooseRocket offers the LogRocket connections to choose one from, and the
// chosen one where it is in use no more; nothing where there is no choice. A
// chosen one that is not the organization's is NotFound.
func (a *app) chooseRocket(r *http.Request, chosen services.ConnectionID, f **templates.FieldView, options *[]templates.OptionView) error {
	conns, err := a.rocketConnections(r)
	if err != nil {
		return err
	}
	if chosen != 0 {
		c, err := a.Connections.Get(r.Context(), orgOf(r), chosen)
		if err != nil {
			return err
		}
		if c.Removed() || c.Vendor != services.LogRocket {
			conns = append(conns, c)
		}
	}
	if chosen == 0 && len(conns) < 2 {
		return nil
	}
	field, list := connectionChoice(conns, int64(chosen))
	if chosen == 0 {
		field.Value = ""
	}
	*f, *options = field, append([]templates.OptionView{{Label: "All connections"}}, list...)
	return nil
}

// toConnection handles GET on the address of what was shown once.
func (a *app) toConnection(w http.ResponseWriter, r *http.Request) error {
	c, err := a.Connections.Get(r.Context(), orgOf(r), services.ConnectionID(idParam(r, "id")))
	if err != nil {
		return err
	}
	http.Redirect(w, r, connectionPath(r, c.ID), http.StatusSeeOther)
	return nil
}

// setAlertAddress handles POST /settings/connections/{id}/alerts: it makes a
// new address for alerts, shown in the answer alone, or closes the one there is.
func (a *app) setAlertAddress(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	id := services.ConnectionID(idParam(r, "id"))
	if r.PostForm.Get("do") == "close" {
		if err := a.Alerts.CloseAddress(r.Context(), actorOf(r), id); err != nil {
			return err
		}
		return a.redirect(w, r, connectionPath(r, id), "success", "The address is closed; what is sent there is not taken any more.")
	}
	token, err := a.Alerts.SetAddress(r.Context(), actorOf(r), id)
	if err != nil {
		return err
	}
	c, err := a.Connections.Get(r.Context(), orgOf(r), id)
	if err != nil {
		return err
	}
	return a.page(w, r, http.StatusOK, "The address is ready", "settings", templates.AlertAddressPage(templates.AlertAddressView{
		Name: c.Name, Address: a.absolute(r, services.WebhookPath+token), BackURL: connectionPath(r, id), Reachable: a.Highlights.HasReports(),
	}))
}

// connectionAlerts fills in whether LogRocket can send a connection's alerts.
func (a *app) connectionAlerts(r *http.Request, c services.Connection, v *templates.ConnectionView) error {
	if c.Vendor != services.LogRocket {
		return nil
	}
	since, ok, err := a.Alerts.Address(r.Context(), orgOf(r), c.ID)
	if err != nil {
		return err
	}
	v.Alerts = &templates.ConnectionAlertsView{
		Open: ok, Since: since, Action: connectionPath(r, c.ID) + "/alerts", ListURL: orgPath(r, "alerts?connection=%d", c.ID),
	}
	return nil
}
