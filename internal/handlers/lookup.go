package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"unicode/utf8"

	"sightline/internal/services"
	"sightline/web/templates"
)

// lookup handles GET /lookup: an exact email or id leads straight to the
// customer, all else is a page of hits. It asks no vendor.
func (a *app) lookup(w http.ResponseWriter, r *http.Request) error {
	most := services.MaxHits
	if r.URL.Query().Has("more") {
		most = services.MoreHits
	}
	f, err := a.Customers.LookupUpTo(r.Context(), orgOf(r), r.URL.Query().Get("q"), most)
	if err != nil {
		return err
	}
	if f.Only != 0 {
		http.Redirect(w, r, orgPath(r, "customers/%d", f.Only), http.StatusSeeOther)
		return nil
	}
	v := templates.LookupView{
		Now: a.now(), Query: f.Query, Problem: f.Problem, More: f.More, Recording: f.Recording,
		Short: utf8.RuneCountInString(f.Query) < 3, AskAction: orgPath(r, "lookup/ask"),
		SettingsHref: orgPath(r, "settings/connections"), CustomersHref: orgPath(r, "customers"),
		CanAdmin: may(r, services.Admin),
	}
	if f.More && most < services.MoreHits {
		v.MoreHref = orgPath(r, "lookup?%s", url.Values{"q": {f.Query}, "more": {""}}.Encode())
	}
	for _, h := range f.Hits {
		v.Hits = append(v.Hits, templates.HitView{
			Name: customerName(h.Customer), Email: h.Customer.Email, Reason: h.Reason,
			Href: orgPath(r, "customers/%d", h.Customer.ID), LastSeen: h.Customer.LastSeen,
		})
	}
	v.SessionColumns = columnViews(services.ChooseColumns(nil, true))
	if v.Sessions, err = a.sessionRows(r, f.Sessions); err != nil {
		return err
	}
	if f.Email && may(r, services.Support) {
		v.HighlightsHref = orgPath(r, "highlights/new?%s", url.Values{"email": {f.Query}}.Encode())
	}
	back := orgPath(r, "lookup?%s", url.Values{"q": {f.Query}}.Encode())
	for _, o := range f.Ask {
		v.Ask = append(v.Ask, a.askOption(r, o, f.Query, back))
	}
	return a.page(w, r, http.StatusOK, "Lookup", "lookup", templates.Lookup(v))
}

func (a *app) askOption(r *http.Request, o services.AskOption, identifier, back string) templates.AskOptionView {
	v := templates.AskOptionView{
		ID: fmt.Sprint(o.Connection.ID), Connection: o.Connection.Name, Asked: o.State.Asked, AskedAt: o.State.AskedAt,
		Spend: a.spendView(r, "Ask Raygun", o.Budget),
		Ask:   a.askPart(r, o.State.Ask, "Asking Raygun (“"+o.Connection.Name+"”) for this person", back),
	}
	v.Spend.Icon = "search"
	if o.State.Asked {
		v.Answer = "nobody with this identifier in the last 60 days."
		if o.State.Found > 0 {
			v.Answer = fmt.Sprintf("%s with this identifier in the last 60 days.", templates.Plural(o.State.Found, "session", "sessions"))
			v.SessionsHref = orgPath(r, "sessions?%s", url.Values{"span": {"60d"}, "identifier": {identifier}, "connection": {v.ID}}.Encode())
		}
		v.Spend.Label = "Ask again"
		v.Spend.Kind = templates.Secondary
	}
	return v
}

// askUnknown handles POST /lookup/ask: it asks one Raygun connection for
// somebody and leads to the lookup, which leads on to the customer once they
// are known.
func (a *app) askUnknown(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	q := r.PostForm.Get("q")
	ask, err := a.Customers.AskUnknown(r.Context(), actorOf(r), services.ConnectionID(idOf(r.PostForm.Get("connection"))), q)
	if err != nil {
		return err
	}
	if _, err := a.Asks.Wait(r.Context(), orgOf(r), ask.ID, waitForVendor); err != nil {
		return err
	}
	return a.redirect(w, r, orgPath(r, "lookup?%s", url.Values{"q": {q}}.Encode()), "", "")
}
