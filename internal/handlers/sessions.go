package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

// raygunConnections are the Raygun connections in use.
func (a *app) raygunConnections(r *http.Request) ([]services.Connection, error) {
	conns, err := a.Connections.List(r.Context(), orgOf(r))
	return slices.DeleteFunc(conns, func(c services.Connection) bool { return c.Vendor != services.Raygun }), err
}

// sessions handles GET /sessions: the mirror's sessions by the filter in the
// address, and what Raygun was asked about it.
func (a *app) sessions(w http.ResponseWriter, r *http.Request) error {
	conns, err := a.raygunConnections(r)
	if err != nil {
		return err
	}
	f := readSessionForm(r.URL.Query(), conns, a.now())
	v := templates.SessionsView{
		Now: a.now(), Action: orgPath(r, "sessions"), AskAction: orgPath(r, "sessions/ask"), SettingsHref: orgPath(r, "settings/connections"),
		CanAdmin: memberOf(r).at.Role >= services.Admin, Wrong: len(f.problems) > 0, Title: "Sessions in the mirror, newest first",
	}
	v.Presets = sessionPresets(r, f)
	if len(conns) > 1 {
		v.Connections = append(v.Connections, templates.OptionView{Label: "All (mirror only)"})
	}
	for _, c := range conns {
		v.Connections = append(v.Connections, templates.OptionView{Value: fmt.Sprint(c.ID), Label: c.Name})
	}
	if v.Wrong {
		f.fields(&v, nil)
		return a.page(w, r, http.StatusUnprocessableEntity, "Sessions", "sessions", templates.Sessions(v))
	}
	before := cursorOf(r.URL.Query().Get("before"))
	list, err := a.Sessions.List(r.Context(), orgOf(r), f.query, before)
	if err != nil {
		return err
	}
	if v.Rows, err = a.sessionRows(r, list.Sessions); err != nil {
		return err
	}
	f.fields(&v, countriesOf(list.Sessions))
	v.ManyConnections = len(conns) != 1 && f.query.Connection == 0
	v.Pager = pager(orgPath(r, "sessions"), f.values(), before != services.Moment{}, list.More, list.Next, len(v.Rows), "session", "sessions")
	if v.Coverage, err = a.sessionCoverage(r, conns, f); err != nil {
		return err
	}
	v.EmptyWhy = "The mirror holds none for this filter. Ask Raygun, or widen the dates."
	switch {
	case f.query.Connection != 0:
		if err := a.searchAsk(r, f, &v); err != nil {
			return err
		}
	case len(conns) > 1:
		v.AskNote = "This is what the mirror holds of all connections. Choose one to ask Raygun."
	}
	return a.page(w, r, http.StatusOK, "Sessions", "sessions", templates.Sessions(v))
}

// countriesOf are the countries of a list's sessions, for suggestions.
func countriesOf(list []services.Session) []string {
	var out []string
	for _, s := range list {
		if s.Country != "" && !slices.Contains(out, s.Country) {
			out = append(out, s.Country)
		}
	}
	slices.Sort(out)
	return out
}

func sessionPresets(r *http.Request, f sessionForm) []templates.TabView {
	var out []templates.TabView
	for _, s := range sessionSpans() {
		v := f.values()
		v.Del("from")
		v.Del("to")
		v.Set("span", s.key)
		out = append(out, templates.TabView{Label: s.label, Href: orgPath(r, "sessions?%s", v.Encode()), Active: f.span == s.key, Count: -1})
	}
	return out
}

// pager links the first page of a list and the next one.
func pager(path string, v url.Values, later, more bool, next services.Moment, shown int, one, many string) templates.PagerView {
	p := templates.PagerView{Shown: templates.Plural(shown, one, many)}
	if more {
		p.Shown = fmt.Sprintf("%d+ %s", shown, many)
		v.Set("before", cursorText(next))
		p.Older = path + "?" + v.Encode()
	}
	if later {
		v.Del("before")
		p.Newer = path
		if len(v) > 0 {
			p.Newer += "?" + v.Encode()
		}
	}
	return p
}

// searchAsk says how far Raygun was asked about the filter, and offers to ask.
func (a *app) searchAsk(r *http.Request, f sessionForm, v *templates.SessionsView) error {
	st, err := a.Sessions.State(r.Context(), orgOf(r), f.query)
	if err != nil {
		return err
	}
	s := templates.SearchAskView{
		Connection: "Raygun (“" + st.Connection.Name + "”)", Asked: st.Asked, AskedAt: st.AskedAt, Hidden: f.hidden(),
		Ask: a.askPart(r, st.Ask, "Asking Raygun (“"+st.Connection.Name+"”) for these sessions", orgPath(r, "sessions?%s", f.values().Encode())),
	}
	s.Again = a.spendView(r, "Ask Raygun", st.Budget)
	if st.Asked {
		s.Again.Label, s.Again.Kind = "Ask again", templates.Secondary
		s.Again.Name, s.Again.Value = "next", "0"
		s.Summary = searchSummary(st)
		if !st.Complete {
			next := a.spendView(r, fmt.Sprintf("Fetch the next %d", services.SessionsPerCall), st.Budget)
			next.Name, next.Value, next.Icon = "next", "1", "download"
			s.Next = &next
		}
	}
	if s.Ask != nil && s.Ask.Open {
		s.Again.Disabled = "It is being asked right now."
		if s.Next != nil {
			s.Next.Disabled = s.Again.Disabled
		}
	}
	v.Asking = &s
	return nil
}

func searchSummary(st services.SearchState) string {
	switch {
	case st.Total == nil && st.Complete:
		return templates.Plural(st.Found, "session matches, and it is here.", "sessions match, and all are here.")
	case st.Total == nil:
		return fmt.Sprintf("it did not say how many match; %s here.", templates.FormatCount(st.Found))
	case st.Complete && st.Found >= *st.Total:
		return fmt.Sprintf("%s match, all are here.", templates.FormatCount(*st.Total))
	case st.Complete:
		return fmt.Sprintf("%s match, but it sent only %s of them.", templates.FormatCount(*st.Total), templates.FormatCount(st.Found))
	}
	return fmt.Sprintf("%s match, %s are here.", templates.FormatCount(*st.Total), templates.FormatCount(st.Found))
}

// askSessions handles POST /sessions/ask: it puts the filter to Raygun and
// leads back to the list.
func (a *app) askSessions(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	conns, err := a.raygunConnections(r)
	if err != nil {
		return err
	}
	f := readSessionForm(r.PostForm, conns, a.now())
	to := orgPath(r, "sessions?%s", f.values().Encode())
	if len(f.problems) > 0 || f.query.Connection == 0 {
		return a.redirect(w, r, to, "", "") // the page says what is wrong
	}
	ask, err := a.Sessions.Ask(r.Context(), actorOf(r), f.query, 0, r.PostForm.Get("next") == "1")
	if err != nil {
		return err
	}
	ask, err = a.Asks.Wait(r.Context(), orgOf(r), ask.ID, waitForVendor)
	if err != nil {
		return err
	}
	said := ""
	if ask.State == services.AskDone {
		said = ask.Message
	}
	return a.redirect(w, r, to, "success", said)
}

// sessionRows are sessions as lists show them.
func (a *app) sessionRows(r *http.Request, list []services.Session) ([]templates.SessionRowView, error) {
	if len(list) == 0 {
		return nil, nil
	}
	conns, err := a.Connections.All(r.Context(), orgOf(r))
	if err != nil {
		return nil, err
	}
	names := map[services.ConnectionID]string{}
	for _, c := range conns {
		names[c.ID] = c.Name
	}
	out := make([]templates.SessionRowView, len(list))
	for i, s := range list {
		out[i] = templates.SessionRowView{
			Href: orgPath(r, "sessions/%d", s.ID), At: s.StartedAt, Person: sessionPerson(s), Country: s.Country, Device: deviceOf(s),
			Pages: orUnknown(s.PageViewCount), LengthMS: orUnknown(s.LengthMS), Errors: orUnknown(s.ErrorCount),
			Rating: s.Rating, Active: strings.EqualFold(s.Status, "active"), Ended: strings.EqualFold(s.Status, "ended"), Connection: names[s.Connection],
		}
		if s.Customer != 0 {
			out[i].PersonHref = orgPath(r, "customers/%d", s.Customer)
		}
	}
	return out, nil
}

// sessionPerson is what a session's person is called, empty if nothing names them.
func sessionPerson(s services.Session) string {
	switch {
	case s.UserName != "":
		return s.UserName
	case s.UserEmail != "":
		return s.UserEmail
	case s.Customer != 0 && s.UserIdentifier != "":
		return s.UserIdentifier
	case s.Customer != 0:
		return fmt.Sprintf("Customer %d", s.Customer)
	}
	return ""
}

func deviceOf(s services.Session) string {
	switch {
	case s.Browser != "" && s.OS != "":
		return s.Browser + " on " + s.OS
	case s.Browser != "":
		return s.Browser
	case s.OS != "":
		return s.OS
	}
	return s.Platform
}

// orUnknown is a number as the views have it: negative if unknown.
func orUnknown(n *int64) int64 {
	if n == nil || *n < 0 {
		return -1
	}
	return *n
}
