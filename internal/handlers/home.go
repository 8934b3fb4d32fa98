package handlers

import (
	"net/http"
	"net/url"

	"sightline/internal/services"
	"sightline/web/templates"
)

// home handles GET /: the search box and what the member had in hand.
func (a *app) home(w http.ResponseWriter, r *http.Request) error {
	actor := actorOf(r)
	v := templates.HomeView{
		Now: a.now(), LookupAction: orgPath(r, "lookup"), CanAdmin: may(r, services.Admin),
		SettingsHref: orgPath(r, "settings/connections"), CustomersHref: orgPath(r, "customers"),
	}
	pinned, err := a.Customers.Pinned(r.Context(), actor)
	if err != nil {
		return err
	}
	recent, err := a.Customers.Recent(r.Context(), actor)
	if err != nil {
		return err
	}
	v.Pinned, v.Recent = a.personViews(r, pinned), a.personViews(r, recent)
	if a.opt.Demo != nil {
		for _, p := range a.opt.Demo.People {
			v.Try = append(v.Try, templates.TryView{Query: p.Query, Story: p.Story, Href: orgPath(r, "lookup?%s", url.Values{"q": {p.Query}}.Encode())})
		}
	}
	if v.Budgets, err = a.budgetViews(r); err != nil {
		return err
	}
	conns, err := a.Connections.List(r.Context(), actor.Org)
	if err != nil {
		return err
	}
	v.Connected = len(conns) > 0
	names := namesOf(conns)
	if v.Syncs, err = a.syncViews(r); err != nil {
		return err
	}
	asks, err := a.Asks.Open(r.Context(), actor.Org)
	if err != nil {
		return err
	}
	for _, ask := range asks {
		part := a.askPart(r, &ask, "Asking “"+names[ask.Connection]+"”", orgPath(r, ""))
		v.Asks = append(v.Asks, *part)
	}
	if v.Highlights, err = a.latestHighlights(r); err != nil {
		return err
	}
	return a.page(w, r, http.StatusOK, "Home", "home", templates.Home(v))
}
