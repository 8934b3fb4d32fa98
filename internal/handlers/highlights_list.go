package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

// highlightsInput is what the address says about which highlights to list.
type highlightsInput struct {
	filter services.HighlightFilter
	before services.Moment
}

func readHighlights(r *http.Request) highlightsInput {
	q := r.URL.Query()
	words := []rune(strings.Join(strings.Fields(q.Get("q")), " "))
	in := highlightsInput{before: cursorOf(q.Get("before")), filter: services.HighlightFilter{
		State: services.HighlightState(q.Get("state")), Customer: services.CustomerID(idOf(q.Get("customer"))),
		Author: services.UserID(idOf(q.Get("author"))), Connection: services.ConnectionID(idOf(q.Get("connection"))),
		Words: string(words[:min(len(words), services.MaxHighlightWords)]), Limit: pageRows + 1,
	}}
	in.filter.Before, in.filter.BeforeID = in.before.At, services.HighlightID(in.before.ID)
	return in
}

// values are the filters as an address holds them, without the page.
func (in highlightsInput) values() url.Values {
	f := in.filter
	return valuesOf("q", f.Words, "state", string(f.State), "author", idText(int64(f.Author)), "connection", idText(int64(f.Connection)), "customer", idText(int64(f.Customer)))
}

// highlights handles GET /highlights: the archive.
func (a *app) highlights(w http.ResponseWriter, r *http.Request) error {
	in := readHighlights(r)
	v, err := a.highlightsView(r, in)
	if err != nil {
		return err
	}
	rows, further, err := a.Highlights.Search(r.Context(), orgOf(r), in.filter)
	if err != nil {
		return err
	}
	shown := rows[:min(len(rows), pageRows)]
	here := v.Filter.Action
	v.Pager = pager(here, in.values(), in.before != services.Moment{}, len(rows) > pageRows, highlightMoment(shown), len(shown), "request", "requests")
	if further != 0 {
		// Where to go on is known by the id; any time will do.
		rest := in.values()
		rest.Set("before", cursorText(services.Moment{At: a.now(), ID: int64(further)}))
		v.FurtherURL, v.Pager.Older = here+query(rest), ""
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	v.Items = highlightItems(r, shown, names)
	return a.page(w, r, http.StatusOK, "Highlights", "highlights", templates.Highlights(v))
}

// highlightsView is the page without its rows.
func (a *app) highlightsView(r *http.Request, in highlightsInput) (templates.HighlightsView, error) {
	here := orgPath(r, "highlights")
	values := in.values()
	v := templates.HighlightsView{
		Now: a.now(), NewURL: here + "/new", AlertsURL: orgPath(r, "alerts"), BatchesURL: here + "/batches", Disabled: whyNotSupport(r), Filtered: len(values) > 0,
		Filter: templates.FilterView{Action: here},
		Words: templates.FieldView{ID: "q", Name: "q", Label: "Words", Value: in.filter.Words, MaxLength: services.MaxHighlightWords,
			Placeholder: "in subject, question or result", Autocomplete: "off", Type: "search"},
		State:  templates.FieldView{ID: "state", Name: "state", Label: "State", Value: string(in.filter.State), Required: true},
		Author: templates.FieldView{ID: "author", Name: "author", Label: "Asked by", Value: values.Get("author"), Required: true},
		States: []templates.OptionView{{Label: "All states"}}, Authors: []templates.OptionView{{Label: "Everybody"}},
	}
	if v.Filtered {
		v.Filter.ResetHref = here
	}
	for _, s := range services.HighlightStates() {
		v.States = append(v.States, templates.OptionView{Value: string(s), Label: stateLabel(s)})
	}
	members, err := a.People.Members(r.Context(), orgOf(r))
	if err != nil {
		return v, err
	}
	for _, m := range members {
		v.Authors = append(v.Authors, templates.OptionView{Value: fmt.Sprint(m.User.ID), Label: nameOf(m.User)})
	}
	conns, err := a.rocketConnections(r)
	if err != nil {
		return v, err
	}
	if err := a.highlightsConnection(r, in, conns, &v); err != nil {
		return v, err
	}
	if id := in.filter.Customer; id != 0 {
		c, err := a.Customers.Get(r.Context(), orgOf(r), id)
		if err != nil {
			return v, err
		}
		rest := in.values()
		rest.Del("customer")
		v.Hidden = []templates.HiddenView{{Name: "customer", Value: fmt.Sprint(id)}}
		v.Chips = []templates.ChipView{{Label: "Customer", Value: customerName(c), RemoveHref: here + query(rest)}}
	}
	return v, nil
}

// highlightsConnection offers the connections in use to choose from where there
// are several, and the chosen one where it is in use no more.
func (a *app) highlightsConnection(r *http.Request, in highlightsInput, conns []services.Connection, v *templates.HighlightsView) error {
	if in.filter.Connection != 0 {
		c, err := a.Connections.Get(r.Context(), orgOf(r), in.filter.Connection)
		if err != nil {
			return err
		}
		if c.Removed() || c.Vendor != services.LogRocket {
			conns = append(conns, c)
		}
	} else if len(conns) < 2 {
		return nil
	}
	f, options := connectionChoice(conns, int64(in.filter.Connection))
	f.Value = in.values().Get("connection")
	v.Connection, v.Connections = f, append([]templates.OptionView{{Label: "All connections"}}, options...)
	return nil
}
