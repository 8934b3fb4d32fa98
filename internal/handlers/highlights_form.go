package handlers

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// highlightForm is the request form as it was filled in.
type highlightForm struct {
	connection, customer          int64
	by, subject, question, within string
	from, to                      string
	token                         string
	problems                      services.Problems
}

// The choices of whose sessions, and of the range.
const (
	byEmail, byUserID = "email", "user_id"
	rangeCustom       = "custom"
)

// presets are the ranges that need no dates.
func presets() map[string]time.Duration {
	return map[string]time.Duration{"1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour}
}

// newHighlight handles GET /highlights/new: empty, prefilled for a customer by
// ?email=, ?user= and ?customer=, or with an older request by ?again=.
func (a *app) newHighlight(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f := highlightForm{by: byEmail, subject: q.Get("email"), customer: idOf(q.Get("customer")), connection: idOf(q.Get("connection")), token: services.NewFormToken()}
	if err := a.ourConnection(r, services.ConnectionID(f.connection), nil); err != nil {
		return err
	}
	if f.subject == "" && q.Get("user") != "" {
		f.by, f.subject = byUserID, q.Get("user")
	}
	if id := idOf(q.Get("again")); id != 0 {
		h, err := a.Highlights.Get(r.Context(), orgOf(r), services.HighlightID(id))
		if err != nil {
			return err
		}
		f.by, f.subject, f.question, f.connection, f.customer = byEmail, h.Subject(), h.Question, int64(h.Connection), int64(h.Customer)
		if h.Email == "" {
			f.by = byUserID
		}
		if !h.Start.IsZero() {
			f.within, f.from, f.to = rangeCustom, h.Start.UTC().Format(dateTimeField), h.End.UTC().Format(dateTimeField)
		}
	}
	if f.customer != 0 {
		c, err := a.Customers.Get(r.Context(), orgOf(r), services.CustomerID(f.customer))
		if err != nil {
			return err
		}
		if f.subject == "" {
			f.subject = c.Email
		}
		if f.subject == "" {
			if err := a.prefillUserID(r, &f, c); err != nil {
				return err
			}
		}
	}
	return a.highlightForm(w, r, http.StatusOK, f)
}

// prefillUserID takes the likeliest id of a customer without an email.
func (a *app) prefillUserID(r *http.Request, f *highlightForm, c services.Customer) error {
	conns, err := a.rocketConnections(r)
	if err != nil || len(conns) == 0 {
		return err
	}
	ids, err := a.Traits.UserIDs(r.Context(), orgOf(r), c.ID, conns[0].ID)
	if err == nil && len(ids) > 0 {
		f.by, f.subject = byUserID, ids[0]
	}
	return err
}

// dateTimeField is how a datetime-local field writes a moment.
const dateTimeField = "2006-01-02T15:04"

// requestHighlights handles POST /highlights.
func (a *app) requestHighlights(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	p := r.PostForm
	f := highlightForm{
		connection: idOf(p.Get("connection")), customer: idOf(p.Get("customer")), by: p.Get("by"), subject: p.Get("subject"), question: p.Get("question"),
		within: p.Get("range"), from: strings.TrimSpace(p.Get("from")), to: strings.TrimSpace(p.Get("to")), token: p.Get("token"), problems: services.Problems{},
	}
	req, ok := f.request()
	if !ok {
		return a.highlightForm(w, r, http.StatusUnprocessableEntity, f)
	}
	h, joined, problems, err := a.Highlights.Request(r.Context(), actorOf(r), req)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		f.problems = problems
		return a.highlightForm(w, r, http.StatusUnprocessableEntity, f)
	}
	if h, err = a.Highlights.Wait(r.Context(), orgOf(r), h.ID, waitForVendor); err != nil {
		return err
	}
	kind, text := "", ""
	if joined {
		kind, text = "info", "The same was asked already; this is that request. Nothing was sent twice."
	}
	return a.redirect(w, r, highlightPath(r, h.ID), kind, text)
}

// request reads what was typed; false if the range cannot be told.
func (f *highlightForm) request() (services.HighlightRequest, bool) {
	req := services.HighlightRequest{
		Connection: services.ConnectionID(f.connection), Customer: services.CustomerID(f.customer), Email: f.subject, Question: f.question, FormToken: f.token,
	}
	if f.by == byUserID {
		req.Email, req.UserID = "", f.subject
	}
	if d, ok := presets()[f.within]; ok {
		if f.from != "" || f.to != "" { // a paid job over the wrong days is worse than a question
			f.problems["range"] = "Dates are given besides. Choose “From and to, below”, or empty the dates."
		}
		req.Last = d
		return req, len(f.problems) == 0
	}
	// Dates that were typed count, whether or not "custom" was chosen too.
	req.Start = f.moment("from", f.from)
	req.End = f.moment("to", f.to)
	if f.within == rangeCustom && f.from == "" && f.to == "" {
		f.problems["from"] = "Give the start and the end of the range, or choose another one."
	}
	return req, len(f.problems) == 0
}

// moment reads a field that means UTC.
func (f *highlightForm) moment(field, text string) time.Time {
	if text == "" {
		return time.Time{}
	}
	for _, layout := range []string{dateTimeField, "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			if y := t.Year(); y < 2000 || y > 9999 {
				break
			}
			return t
		}
	}
	f.problems[field] = fmt.Sprintf("“%s” is no date and time such as 2026-11-21T14:30.", text)
	return time.Time{}
}

func (a *app) highlightForm(w http.ResponseWriter, r *http.Request, status int, f highlightForm) error {
	conns, err := a.rocketConnections(r)
	if err != nil {
		return err
	}
	v := templates.HighlightFormView{
		Action: orgPath(r, "highlights"), BackURL: orgPath(r, "highlights"), BackLabel: "Highlights",
		NoConnection: len(conns) == 0, SettingsURL: orgPath(r, "settings/connections"),
		Hidden: []templates.HiddenView{{Name: "token", Value: f.token}, {Name: "customer", Value: fmt.Sprint(f.customer)}},
		By:     templates.FieldView{ID: "by", Name: "by", Label: "Whose sessions", Value: orText(f.by, byEmail), Required: true},
		Bys:    []templates.OptionView{{Value: byEmail, Label: "Email"}, {Value: byUserID, Label: "User id at LogRocket"}},
		Subject: templates.FieldView{
			ID: "subject", Name: "subject", Label: "Email or user id", Value: f.subject, Required: true, Autocomplete: "off", Autofocus: f.subject == "",
			Error: f.problems["subject"],
		},
		Question: questionField(f.question, f.problems),
		Range:    templates.FieldView{ID: "range", Name: "range", Label: "Range", Value: f.within, Required: true, Error: f.problems["range"]},
		Ranges:   rangeOptions(),
		From:     rangeField("from", "From", f.from, f.problems), To: rangeField("to", "To", f.to, f.problems),
	}
	if f.customer != 0 {
		v.BackURL, v.BackLabel = orgPath(r, "customers/%d", f.customer), "Customer"
	}
	switch {
	case len(conns) == 1:
		v.Hidden = append(v.Hidden, templates.HiddenView{Name: "connection", Value: fmt.Sprint(conns[0].ID)})
	case len(conns) > 1:
		v.Connection, v.Connections = connectionChoice(conns, f.connection)
	}
	return a.page(w, r, status, "Request highlights", "highlights", templates.HighlightForm(v))
}

// connectionChoice offers several connections to choose from.
func connectionChoice(conns []services.Connection, chosen int64) (*templates.FieldView, []templates.OptionView) {
	f := &templates.FieldView{ID: "connection", Name: "connection", Label: "Connection", Value: fmt.Sprint(chosen), Required: true}
	options := make([]templates.OptionView, len(conns))
	for i, c := range conns {
		options[i] = templates.OptionView{Value: fmt.Sprint(c.ID), Label: c.Name}
	}
	return f, options
}

func rangeField(name, label, value string, problems services.Problems) templates.FieldView {
	return templates.FieldView{ID: name, Name: name, Label: label + " (UTC)", Type: "datetime-local", Value: value, Error: problems[name], Hint: "In UTC; both or neither."}
}

func questionField(value string, problems services.Problems) templates.FieldView {
	return templates.FieldView{
		ID: "question", Name: "question", Label: "Question", Value: value, Error: problems["question"],
		Hint: fmt.Sprintf("What do you want to know? At most %d characters. Without one, Galileo writes what happened in general.", services.MaxQuestion),
	}
}

func rangeOptions() []templates.OptionView {
	return []templates.OptionView{
		{Label: "LogRocket's own: the last 30 days"}, {Value: "1d", Label: "Last 24 hours"}, {Value: "7d", Label: "Last 7 days"},
		{Value: "30d", Label: "Last 30 days until now"}, {Value: rangeCustom, Label: "From and to, below"},
	}
}
