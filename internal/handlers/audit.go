package handlers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/a-h/templ"

	"sightline/internal/services"
	"sightline/web/templates"
)

// auditInput is what the address says about which entries of the audit log to
// show.
type auditInput struct {
	query    services.AuditQuery
	problems services.Problems
	// From, until and about are as typed.
	from, until, about string
}

// readAudit reads the filters. The days are UTC, both included.
func readAudit(r *http.Request) auditInput {
	q := r.URL.Query()
	in := auditInput{
		problems: services.Problems{}, from: q.Get("from"), until: q.Get("until"), about: strings.TrimSpace(q.Get("about")),
		query: services.AuditQuery{
			Who: strings.TrimSpace(q.Get("who")), Action: q.Get("action"), Customer: services.CustomerID(idOf(q.Get("customer"))),
			Connection: services.ConnectionID(idOf(q.Get("connection"))), After: cursorOf(q.Get("before")),
		},
	}
	in.query.Recording, in.query.Session, _ = services.ReadRecording(q.Get("recording"))
	in.query.From, in.query.Until = readDays(in.problems, in.from, in.until)
	return in
}

// recording is the recording filter as an address holds it.
func (in auditInput) recording() string {
	return in.query.Recording + tail("/", in.query.Session)
}

// values are the filters as an address holds them, without the page.
func (in auditInput) values() url.Values {
	q := in.query
	return valuesOf("who", q.Who, "action", q.Action, "customer", idText(int64(q.Customer)), "connection", idText(int64(q.Connection)),
		"recording", in.recording(), "from", in.from, "until", in.until)
}

// findAbout turns what was typed for a customer or a recording into a filter.
func (a *app) findAbout(r *http.Request, in *auditInput) error {
	if recording, session, ok := services.ReadRecording(in.about); ok {
		in.query.Recording, in.query.Session = recording, session
		return nil
	}
	found, err := a.Customers.Lookup(r.Context(), orgOf(r), in.about)
	if err != nil {
		return err
	}
	if in.query.Customer = found.Only; found.Only == 0 {
		in.problems["about"] = "This is no recording of LogRocket's, and nobody, or more than one person, has exactly this email or id."
	}
	return nil
}

// audit handles GET /settings/audit: what LogRocket's audit log says.
func (a *app) audit(w http.ResponseWriter, r *http.Request) error {
	in := readAudit(r)
	if in.about != "" {
		if err := a.findAbout(r, &in); err != nil {
			return err
		}
		if len(in.problems) == 0 {
			http.Redirect(w, r, orgPath(r, "settings/audit")+query(in.values()), http.StatusSeeOther)
			return nil
		}
	}
	v, err := a.auditView(r, in)
	if err != nil {
		return err
	}
	if len(in.problems) > 0 {
		return a.page(w, r, http.StatusUnprocessableEntity, "Audit log", "settings", templates.AuditPage(v))
	}
	page, err := a.Audits.List(r.Context(), orgOf(r), in.query)
	if err != nil {
		return err
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	v.Rows = auditRows(r, page.Entries, names)
	v.Pager = pager(v.Filter.Action, in.values(), in.query.After != services.Moment{}, page.More, page.Next, len(v.Rows), "entry", "entries")
	return a.page(w, r, http.StatusOK, "Audit log", "settings", templates.AuditPage(v))
}

func auditRows(r *http.Request, entries []services.AuditEntry, names map[services.ConnectionID]string) []templates.AuditRow {
	rows := make([]templates.AuditRow, len(entries))
	for i, e := range entries {
		rows[i] = templates.AuditRow{
			At: e.At, Timed: e.Timed, Who: e.Who, Action: e.Action, Description: e.Description, URL: e.URL, Connection: names[e.Connection],
		}
		if e.RecordingID != "" {
			rows[i].Recording = e.RecordingID + tail("/", e.SessionID)
		}
		for _, c := range e.Customers {
			rows[i].Customers = append(rows[i].Customers, templates.LinkView{Label: c.Name, Href: orgPath(r, "customers/%d", c.ID)})
		}
	}
	return rows
}

// auditView is the page without its rows.
func (a *app) auditView(r *http.Request, in auditInput) (templates.AuditView, error) {
	here, values := orgPath(r, "settings/audit"), in.values()
	v := templates.AuditView{
		Tabs: settingsTabs(r, "audit"), Now: a.now(), Filter: templates.FilterView{Action: here},
		CSVURL: orgPath(r, "settings/audit.csv") + query(values), JSONURL: orgPath(r, "settings/audit.json") + query(values),
		NewURL: orgPath(r, "settings/connections/new?vendor=logrocket"),
		Who: templates.FieldView{ID: "who", Name: "who", Label: "Who", Value: in.query.Who, Placeholder: "email in LogRocket", MaxLength: 1024,
			Autocomplete: "off"},
		Action: templates.FieldView{ID: "action", Name: "action", Label: "Action", Value: in.query.Action, Required: true},
		About: templates.FieldView{ID: "about", Name: "about", Label: "Customer or recording", Value: in.about, Placeholder: "email, id or address", MaxLength: 2048,
			Autocomplete: "off", Error: in.problems["about"]},
		From:    templates.FieldView{ID: "from", Name: "from", Label: "From (UTC)", Value: in.from, Error: in.problems["from"]},
		Until:   templates.FieldView{ID: "until", Name: "until", Label: "To (UTC), included", Value: in.until, Error: in.problems["until"]},
		Actions: []templates.OptionView{{Label: "All actions"}},
	}
	if len(values) > 0 || len(in.problems) > 0 {
		v.Filter.ResetHref = here
	}
	var err error
	if v.Who.Suggest, err = a.Audits.Who(r.Context(), orgOf(r)); err != nil {
		return v, err
	}
	actions, err := a.Audits.Actions(r.Context(), orgOf(r))
	if err != nil {
		return v, err
	}
	known := in.query.Action == ""
	for _, name := range actions {
		v.Actions = append(v.Actions, templates.OptionView{Value: name, Label: name})
		known = known || name == in.query.Action
	}
	if !known { // of a link from another day
		v.Actions = append(v.Actions, templates.OptionView{Value: in.query.Action, Label: in.query.Action})
	}
	if err := a.chooseRocket(r, in.query.Connection, &v.Connection, &v.Connections); err != nil {
		return v, err
	}
	if err := a.auditChips(r, in, &v); err != nil {
		return v, err
	}
	list, err := a.Audits.Statuses(r.Context(), orgOf(r))
	if err != nil {
		return v, err
	}
	for _, st := range list {
		v.Follows = append(v.Follows, a.auditFollow(r, st, here))
		v.Followed = v.Followed || st.On() || st.Entries > 0
	}
	return v, nil
}

// auditChips shows the filters that have no field, and keeps them when the form
// is sent.
func (a *app) auditChips(r *http.Request, in auditInput, v *templates.AuditView) error {
	add := func(key, label, name string) {
		rest := in.values()
		v.Hidden = append(v.Hidden, templates.HiddenView{Name: key, Value: rest.Get(key)})
		rest.Del(key)
		v.Chips = append(v.Chips, templates.ChipView{Label: label, Value: name, RemoveHref: v.Filter.Action + query(rest)})
	}
	if id := in.query.Customer; id != 0 {
		c, err := a.Customers.Get(r.Context(), orgOf(r), id)
		if err != nil {
			return err
		}
		add("customer", "Customer", customerName(c))
	}
	if in.query.Recording != "" {
		add("recording", "Recording", in.recording())
	}
	return nil
}

// auditFollow shows how a log is followed; back is the page that it stands on.
func (a *app) auditFollow(r *http.Request, st services.AuditStatus, back string) templates.AuditFollowView {
	v := templates.AuditFollowView{
		ID: fmt.Sprintf("audit-%d", st.Connection.ID), Name: st.Connection.Name, Href: connectionPath(r, st.Connection.ID), Now: a.now(),
		Sentence: st.Sentence, Entries: st.Entries, Oldest: st.Oldest, Since: st.Since, ReadAt: st.ReadAt,
		Reading: st.State == services.AuditReading, On: st.On(), Refused: st.State == services.AuditRefused, Back: back,
	}
	v.Label, v.Tone, v.Icon = followBadge(string(st.State))
	v.PartURL = connectionPath(r, st.Connection.ID) + "/audit" + query(valuesOf("back", back))
	if may(r, services.Admin) && !st.Connection.Removed() {
		v.Action = connectionPath(r, st.Connection.ID) + "/audit"
	}
	return v
}

// connectionAudit fills in how a connection's audit log is followed.
func (a *app) connectionAudit(r *http.Request, c services.Connection, v *templates.ConnectionView) error {
	if c.Vendor != services.LogRocket {
		return nil
	}
	st, err := a.Audits.Status(r.Context(), orgOf(r), c.ID)
	if err != nil {
		return err
	}
	v.Audit = &templates.ConnectionAuditView{Follow: a.auditFollow(r, st, connectionPath(r, c.ID))}
	if may(r, services.Admin) {
		v.Audit.ListURL = orgPath(r, "settings/audit?connection=%d", c.ID)
	}
	return nil
}

// showAuditFollow handles GET /settings/connections/{id}/audit: how far a log is
// read, for the page that waits; when that is over the page loads itself anew.
func (a *app) showAuditFollow(w http.ResponseWriter, r *http.Request) error {
	id := services.ConnectionID(idParam(r, "id"))
	st, err := a.Audits.Status(r.Context(), orgOf(r), id)
	if err != nil {
		return err
	}
	if !wantsPart(r) {
		http.Redirect(w, r, connectionPath(r, id), http.StatusSeeOther)
		return nil
	}
	if st.State != services.AuditReading {
		w.Header().Set("HX-Refresh", "true")
	}
	back := backTo(r, r.URL.Query().Get("back"), connectionPath(r, id))
	return a.render(w, r, http.StatusOK, templates.AuditFollow(a.auditFollow(r, st, back)))
}

// setAudit handles POST /settings/connections/{id}/audit: it switches the
// following of the connection's audit log on or off, or has it read now.
func (a *app) setAudit(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	id := services.ConnectionID(idParam(r, "id"))
	// A connection that is not here comes before what is wrong with the form.
	_, err := a.Connections.Get(r.Context(), orgOf(r), id)
	if err != nil {
		return err
	}
	switch do := r.PostForm.Get("do"); do {
	case "now":
		err = a.Audits.FetchNow(r.Context(), actorOf(r), id)
	case "on", "off":
		err = a.Audits.Follow(r.Context(), actorOf(r), id, do == "on")
	default:
		err = &services.Error{Kind: services.Invalid, Msg: "Say whether to follow the audit log, to stop that or to fetch it now."}
	}
	if err != nil {
		return err
	}
	if err := a.Audits.Wait(r.Context(), orgOf(r), id, waitForVendor); err != nil {
		return err
	}
	st, err := a.Audits.Status(r.Context(), orgOf(r), id)
	if err != nil {
		return err
	}
	kind, text := "success", "The audit log was read."
	switch {
	case st.State == services.AuditReading:
		kind, text = "info", "The audit log is being read."
	case st.State == services.AuditOff:
		text = "The audit log is not followed any more. What was read stays."
	case st.State != services.AuditFollowing:
		kind, text = "warning", "The audit log could not be read. What LogRocket answered is below."
	}
	return a.redirect(w, r, backTo(r, r.PostForm.Get("back"), connectionPath(r, id)), kind, text)
}

// auditCSV handles GET /settings/audit.csv.
func (a *app) auditCSV(w http.ResponseWriter, r *http.Request) error {
	return a.auditFile(w, r, "csv", csvType, a.Audits.CSV)
}

// auditJSON handles GET /settings/audit.json.
func (a *app) auditJSON(w http.ResponseWriter, r *http.Request) error {
	return a.auditFile(w, r, "json", jsonType, a.Audits.JSON)
}

// auditWriter writes all that a query selects.
type auditWriter = func(ctx context.Context, org services.OrgID, q services.AuditQuery, w io.Writer) error

// auditFile answers with what the page's filters select, all of it.
func (a *app) auditFile(w http.ResponseWriter, r *http.Request, ending, contentType string, write auditWriter) error {
	in := readAudit(r)
	if msg := in.problems.First(); msg != "" {
		return &services.Error{Kind: services.Invalid, Msg: msg}
	}
	// Before the first byte: afterwards there is no way to say it.
	if err := a.ourCustomer(r, in.query.Customer); err != nil {
		return err
	}
	if err := a.ourConnection(r, in.query.Connection, nil); err != nil {
		return err
	}
	name := fmt.Sprintf("audit-log-%s-%s.%s", slugOf(r), a.now().UTC().Format(time.DateOnly), ending)
	a.sendFile(w, r, name, contentType, func(w io.Writer) error { return write(r.Context(), orgOf(r), in.query, w) })
	return nil
}

// watchedCard says on a customer's page who watched their recordings; nil where
// no audit log was ever followed.
func (a *app) watchedCard(r *http.Request, c services.Customer) (templ.Component, error) {
	followed, err := a.Audits.Followed(r.Context(), orgOf(r))
	if err != nil || !followed {
		return nil, err
	}
	page, err := a.Audits.List(r.Context(), orgOf(r), services.AuditQuery{Customer: c.ID, Limit: 5})
	if err != nil {
		return nil, err
	}
	v := templates.WatchedCardView{Now: a.now(), Rows: auditRows(r, page.Entries, nil)}
	if len(v.Rows) > 0 {
		v.AllURL = orgPath(r, "customers/%d/watched", c.ID)
	}
	return templates.WatchedCard(v), nil
}

// watched handles GET /customers/{id}/watched: who did what with a customer's
// recordings.
func (a *app) watched(w http.ResponseWriter, r *http.Request) error {
	c, err := a.Customers.Get(r.Context(), orgOf(r), services.CustomerID(idParam(r, "id")))
	if err != nil {
		return err
	}
	before := cursorOf(r.URL.Query().Get("before"))
	page, err := a.Audits.List(r.Context(), orgOf(r), services.AuditQuery{Customer: c.ID, After: before})
	if err != nil {
		return err
	}
	conns, err := a.Connections.All(r.Context(), orgOf(r))
	if err != nil {
		return err
	}
	names := map[services.ConnectionID]string{}
	for _, c := range conns {
		if c.Vendor == services.LogRocket {
			names[c.ID] = c.Name
		}
	}
	customer := orgPath(r, "customers/%d", c.ID)
	v := templates.WatchedView{Now: a.now(), Name: customerName(c), BackURL: customer, Rows: auditRows(r, page.Entries, names), Connections: len(names) > 1}
	v.Pager = pager(customer+"/watched", url.Values{}, before != services.Moment{}, page.More, page.Next, len(v.Rows), "entry", "entries")
	return a.page(w, r, http.StatusOK, "Who watched "+v.Name, "customers", templates.WatchedPage(v))
}
