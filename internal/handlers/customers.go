package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"sightline/internal/services"
	"sightline/web/templates"
)

// customers handles GET /customers: everybody, the last seen first.
func (a *app) customers(w http.ResponseWriter, r *http.Request) error {
	after := cursorOf(r.URL.Query().Get("before"))
	list, err := a.Customers.List(r.Context(), orgOf(r), after)
	if err != nil {
		return err
	}
	v := templates.CustomersView{
		Now: a.now(), LookupAction: orgPath(r, "lookup"), BulkURL: orgPath(r, "traits/bulk"), People: a.personViews(r, list.Customers),
		Pager: pager(orgPath(r, "customers"), url.Values{}, after != services.Moment{}, list.More, list.Next, len(list.Customers), "customer", "customers"),
	}
	return a.page(w, r, http.StatusOK, "Customers", "customers", templates.Customers(v))
}

// customer handles GET /customers/{id}: one person, on one page.
func (a *app) customer(w http.ResponseWriter, r *http.Request) error {
	id := services.CustomerID(idParam(r, "id"))
	p, err := a.Customers.View(r.Context(), actorOf(r), id)
	if err != nil {
		return err
	}
	before := timelineCursorOf(r.URL.Query().Get("before"))
	kind := r.URL.Query().Get("kind")
	if !slices.ContainsFunc(timelineKinds(), func(k timelineKind) bool { return k.key == kind }) {
		kind = ""
	}
	tl, err := a.Customers.Timeline(r.Context(), orgOf(r), p, kind, before)
	if err != nil {
		return err
	}
	v := templates.CustomerView{
		Now: a.now(), Href: orgPath(r, "customers/%d", id), Title: titleOf(p), Email: p.Customer.Email, Pinned: p.Pinned,
		PinAction: orgPath(r, "customers/%d/pin", id), MirroredAt: p.MirroredAt, Chips: a.customerChips(p),
		Refresh: a.refreshView(r, p), Days: a.timelineDays(r, tl.Items),
		TimelineEmpty: "No sessions, recordings, highlights or trait edits of this customer are in Sightline, or none of the kind chosen above.",
	}
	if v.Pager = (templates.PagerView{Shown: templates.Plural(len(tl.Items), "entry", "entries")}); tl.More {
		v.Pager.Shown = fmt.Sprintf("%d+ entries", len(tl.Items))
		v.Pager.Older = kindHref(v.Href, kind, timelineCursorText(tl.Next))
	}
	if !before.At.IsZero() {
		v.Pager.Newer = kindHref(v.Href, kind, "")
		v.TimelineEmpty = "Nothing is older than this."
	}
	for _, k := range timelineKinds() {
		v.Kinds = append(v.Kinds, templates.TabView{Label: k.label, Href: kindHref(v.Href, k.key, ""), Active: k.key == kind, Count: -1})
	}
	for _, l := range p.Links {
		v.Links = append(v.Links, templates.VendorLinkView{Label: l.Vendor.String() + ": " + l.Connection, Href: l.URL, Vendor: string(l.Vendor)})
	}
	for _, s := range p.Shares {
		v.Shares = append(v.Shares, templates.SharedView{
			Name: customerName(s.Customer), Href: orgPath(r, "customers/%d", s.Customer.ID), Kind: services.IdentityLabel(s.Kind), Value: s.Value,
		})
	}
	v.Copy = a.customerTicket(r, p)
	if v.Identities, err = a.identityViews(r, p); err != nil {
		return err
	}
	conns, err := a.raygunConnections(r)
	if err != nil {
		return err
	}
	shown := make([]*services.Session, 0, len(tl.Items))
	for _, item := range tl.Items {
		if item.Session != nil {
			shown = append(shown, item.Session)
		}
	}
	if v.Details, err = a.detailParts(r, conns, shown, shownBare(), r.URL.RequestURI()); err != nil {
		return err
	}
	if v.Traits, err = a.traitsCard(r, p); err != nil {
		return err
	}
	if v.Highlights, err = a.highlightsCard(r, p); err != nil {
		return err
	}
	if v.Watched, err = a.watchedCard(r, p.Customer); err != nil {
		return err
	}
	if v.History, err = a.customerHistory(r, p); err != nil {
		return err
	}
	return a.page(w, r, http.StatusOK, v.Title, "customers", templates.Customer(v))
}

// timelineKind is one way to narrow a timeline.
type timelineKind struct{ key, label string }

func timelineKinds() []timelineKind {
	return []timelineKind{
		{"", "Everything"}, {services.TimelineSession, "Sessions"},
		{services.TimelineOfRecording, "Recordings"}, {services.TimelineOfHighlight, "Highlights"}, {services.TimelineOfEdit, "Traits"},
	}
}

// kindHref is a customer's page with the timeline narrowed to a kind, from a
// place on.
func kindHref(page, kind, before string) string {
	return page + query(valuesOf("kind", kind, "before", before))
}

// titleOf is what a customer's page is called: a name, an email or an id.
func titleOf(p services.CustomerPage) string {
	if p.Customer.Name != "" || p.Customer.Email != "" || len(p.Identities) == 0 {
		return customerName(p.Customer)
	}
	return p.Identities[0].Value
}

func (a *app) customerChips(p services.CustomerPage) []templates.ChipView {
	seen := "never"
	if !p.Customer.LastSeen.IsZero() {
		seen = templates.FormatAge(p.Customer.LastSeen, a.now()) + ", " + templates.FormatTime(p.Customer.LastSeen)
	}
	count := strconv.Itoa(min(len(p.Newest), services.PageSize))
	if len(p.Newest) > services.PageSize {
		count += "+"
	}
	chips := []templates.ChipView{
		{Icon: "eye", Label: "Last seen", Value: seen},
		{Icon: "activity", Label: "Sessions in the mirror", Value: count},
	}
	if len(p.Countries) > 0 {
		names := make([]string, len(p.Countries))
		for i, c := range p.Countries {
			names[i] = templates.CountryName(c)
		}
		chips = append(chips, templates.ChipView{Icon: "map-pin", Label: "From", Value: strings.Join(names, ", ")})
	}
	if len(p.Connections) > 0 {
		chips = append(chips, templates.ChipView{Icon: "plug", Label: "On", Value: strings.Join(p.Connections, ", ")})
	}
	return chips
}

// refreshView offers to ask Raygun for the customer's sessions; nil where
// there is no one to ask.
func (a *app) refreshView(r *http.Request, p services.CustomerPage) *templates.RefreshView {
	if len(p.Refresh) == 0 {
		return nil
	}
	first := p.Refresh[0]
	v := &templates.RefreshView{
		Action: orgPath(r, "customers/%d/refresh", p.Customer.ID), Spend: a.spendView(r, "Refresh from Raygun", first.Budget),
		Ask: a.askPart(r, first.State.Ask, "Asking Raygun (“"+first.Name+"”) for “"+first.Identifier+"”", orgPath(r, "customers/%d", p.Customer.ID)),
	}
	anyLeft := ""
	for i, o := range p.Refresh {
		spend := a.spendView(r, "", o.Budget)
		if spend.Disabled == "" {
			anyLeft = "yes"
		}
		label := o.Name + ": " + o.Identifier
		if spend.Left >= 0 {
			label += fmt.Sprintf(" (%d calls left)", spend.Left)
		}
		v.Choices = append(v.Choices, templates.OptionView{Value: fmt.Sprintf("%d:%s", o.Connection, o.Identifier), Label: label})
		if i > 0 && o.Connection != first.Connection {
			v.Spend.Left = -1 // each choice names its own
		}
	}
	if anyLeft != "" {
		v.Spend.Disabled = ""
	}
	if v.Ask != nil && v.Ask.Open {
		v.Spend.Disabled = "It is being asked right now."
	}
	if first.State.Asked {
		v.AskedAt = first.State.AskedAt
		v.Note = fmt.Sprintf("Raygun knew %s of “%s” in the last 60 days", templates.Plural(first.State.Found, "session", "sessions"), first.Identifier)
	}
	return v
}

func (a *app) identityViews(r *http.Request, p services.CustomerPage) ([]templates.IdentityView, error) {
	names, err := a.connectionNames(r)
	if err != nil {
		return nil, err
	}
	out := make([]templates.IdentityView, len(p.Identities))
	for i, v := range p.Identities {
		out[i] = templates.IdentityView{
			Kind: services.IdentityLabel(v.Kind), Value: v.Value, Connection: names[v.Connection], FirstSeen: v.FirstSeen, LastSeen: v.LastSeen,
		}
	}
	return out, nil
}

// customerHistory is the last of what members did about a customer.
func (a *app) customerHistory(r *http.Request, p services.CustomerPage) (templ.Component, error) {
	id := p.Customer.ID
	v := templates.CustomerHistoryView{Now: a.now(), Href: orgPath(r, "history?customer=%d", id)}
	if !p.History {
		return templates.CustomerHistory(v), nil
	}
	page, err := a.History.Page(r.Context(), orgOf(r), services.HistoryQuery{Customer: id, Kind: services.HistoryDeeds, Limit: 5})
	if err != nil {
		return nil, err
	}
	for _, e := range page.Events {
		v.Entries = append(v.Entries, templates.CustomerHistoryEntry{At: e.At, Actor: e.Actor, Summary: e.Summary})
	}
	return templates.CustomerHistory(v), nil
}

// customerTicket is the customer in a few lines for a support ticket.
func (a *app) customerTicket(r *http.Request, p services.CustomerPage) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Customer: %s", titleOf(p))
	if p.Customer.Email != "" && p.Customer.Email != titleOf(p) {
		fmt.Fprintf(&b, " <%s>", p.Customer.Email)
	}
	if !p.Customer.LastSeen.IsZero() {
		fmt.Fprintf(&b, "\nLast seen: %s", templates.FormatTime(p.Customer.LastSeen))
	}
	if s, ok := p.Last(); ok {
		fmt.Fprintf(&b, "\nLast session: %s, %s", templates.FormatTime(s.StartedAt), orText(deviceOf(s), "unknown device"))
		if s.WebURL != "" {
			fmt.Fprintf(&b, "\nRaygun session: %s", s.WebURL)
		}
	}
	for _, l := range p.Links {
		fmt.Fprintf(&b, "\n%s: %s", l.Vendor, l.URL)
	}
	fmt.Fprintf(&b, "\nSightline: %s", a.absolute(r, orgPath(r, "customers/%d", p.Customer.ID)))
	return b.String()
}

// pinCustomer handles POST /customers/{id}/pin.
func (a *app) pinCustomer(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	id := services.CustomerID(idParam(r, "id"))
	if _, err := a.Customers.Get(r.Context(), orgOf(r), id); err != nil {
		return err
	}
	if err := a.Customers.SetPin(r.Context(), actorOf(r), id, r.PostForm.Get("pinned") == "1"); err != nil {
		return err
	}
	return a.redirect(w, r, orgPath(r, "customers/%d", id), "", "")
}

// refreshCustomer handles POST /customers/{id}/refresh: it asks Raygun for the
// customer's sessions of the last 60 days.
func (a *app) refreshCustomer(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	id := services.CustomerID(idParam(r, "id"))
	conn, identifier, _ := strings.Cut(r.PostForm.Get("as"), ":")
	n := idOf(conn)
	if n == 0 {
		// A customer who is not here comes before what is wrong with the form.
		if _, err := a.Customers.Get(r.Context(), orgOf(r), id); err != nil {
			return err
		}
		return &services.Error{Kind: services.Invalid, Msg: "Choose whom to ask Raygun for."}
	}
	ask, err := a.Customers.Refresh(r.Context(), actorOf(r), id, services.ConnectionID(n), identifier)
	if err != nil {
		return err
	}
	return a.waitAndLead(w, r, ask, orgPath(r, "customers/%d", id))
}
