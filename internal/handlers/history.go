package handlers

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// historyInput is what the address says about which history to show.
type historyInput struct {
	query    services.HistoryQuery
	problems services.Problems
	// From, until and who are as typed.
	from, until, who string
}

// readHistory reads the filters. The days are UTC, both included.
func readHistory(r *http.Request) historyInput {
	q := r.URL.Query()
	in := historyInput{
		problems: services.Problems{}, from: q.Get("from"), until: q.Get("until"), who: strings.TrimSpace(q.Get("who")),
		query: services.HistoryQuery{
			Kind: services.HistoryKind(q.Get("kind")), Person: services.UserID(idOf(q.Get("person"))),
			Customer: services.CustomerID(idOf(q.Get("customer"))), Connection: services.ConnectionID(idOf(q.Get("connection"))),
			Cursor: q.Get("cursor"),
		},
	}
	in.query.From, in.query.Until = readDays(in.problems, in.from, in.until)
	return in
}

// readDays reads a range of days in UTC, both included, either of which may be
// empty: the beginning of the first and the end of the last, zero where there is
// none. What is wrong with them it adds to problems, as from and until.
func readDays(problems services.Problems, from, until string) (first, end time.Time) {
	day := func(field, text string) time.Time {
		if text == "" {
			return time.Time{}
		}
		t, err := time.Parse(time.DateOnly, text)
		if err != nil {
			problems[field] = "Give a day such as 2026-03-31."
		}
		return t
	}
	first = day("from", from)
	if last := day("until", until); !last.IsZero() {
		end = last.AddDate(0, 0, 1)
		if !first.IsZero() && last.Before(first) {
			problems["until"] = "The last day is before the first."
		}
	}
	return first, end
}

// values are the filters as an address holds them, without the page.
func (in historyInput) values() url.Values {
	v := url.Values{}
	set := func(key, value string) {
		if value != "" && value != "0" {
			v.Set(key, value)
		}
	}
	set("kind", string(in.query.Kind))
	set("person", strconv.FormatInt(int64(in.query.Person), 10))
	set("customer", strconv.FormatInt(int64(in.query.Customer), 10))
	set("connection", strconv.FormatInt(int64(in.query.Connection), 10))
	set("from", in.from)
	set("until", in.until)
	return v
}

// history handles GET /history.
func (a *app) history(w http.ResponseWriter, r *http.Request) error {
	in := readHistory(r)
	if in.who != "" {
		found, err := a.Customers.Lookup(r.Context(), orgOf(r), in.who)
		if err != nil {
			return err
		}
		if found.Only != 0 {
			in.query.Customer = found.Only
			http.Redirect(w, r, orgPath(r, "history")+"?"+in.values().Encode(), http.StatusSeeOther)
			return nil
		}
		in.problems["who"] = "Nobody, or more than one person, has exactly this email or id. Open the customer and follow their history from there."
	}
	in.query.Limit = services.ShortPage
	v, err := a.historyView(r, in)
	if err != nil {
		return err
	}
	if len(in.problems) > 0 {
		return a.page(w, r, http.StatusUnprocessableEntity, "History", "history", templates.HistoryPage(v))
	}
	page, err := a.History.Page(r.Context(), orgOf(r), in.query)
	if err != nil {
		return err
	}
	for _, e := range page.Events {
		v.Rows = append(v.Rows, historyRow(r, e))
	}
	v.Pager = historyPager(v.Action, in, in.values(), page.Next)
	v.Pager.Shown = templates.Plural(len(v.Rows), "entry", "entries")
	return a.page(w, r, http.StatusOK, "History", "history", templates.HistoryPage(v))
}

// historyPager leads to the first page of what values select and to the next.
func historyPager(path string, in historyInput, values url.Values, next string) (p templates.PagerView) {
	if in.query.Cursor != "" {
		p.Newer = path + query(values)
	}
	if next != "" {
		values.Set("cursor", next)
		p.Older = path + query(values)
	}
	return p
}

// historyView is the page without its rows.
func (a *app) historyView(r *http.Request, in historyInput) (templates.HistoryView, error) {
	here := orgPath(r, "history")
	v := templates.HistoryView{
		Action: here, CSVURL: orgPath(r, "history.csv") + query(in.values()), Now: a.now(),
		Kind:   templates.FieldView{ID: "kind", Name: "kind", Label: "Kind", Value: string(in.query.Kind)},
		Person: templates.FieldView{ID: "person", Name: "person", Label: "Member", Value: strconv.FormatInt(int64(in.query.Person), 10)},
		Who: templates.FieldView{ID: "who", Name: "who", Label: "Customer", Value: in.who, Placeholder: "email or id", MaxLength: 1024,
			Autocomplete: "off", Error: in.problems["who"]},
		From:  templates.FieldView{ID: "from", Name: "from", Label: "From (UTC)", Value: in.from, Error: in.problems["from"]},
		Until: templates.FieldView{ID: "until", Name: "until", Label: "To (UTC), included", Value: in.until, Error: in.problems["until"]},
		Kinds: []templates.OptionView{{Label: "All kinds"}}, People: []templates.OptionView{{Value: "0", Label: "Everybody"}},
	}
	if len(in.values()) > 0 || len(in.problems) > 0 {
		v.ResetURL = here
	}
	for _, k := range services.HistoryKinds() {
		v.Kinds = append(v.Kinds, templates.OptionView{Value: string(k.Kind), Label: k.Name})
	}
	members, err := a.People.Members(r.Context(), orgOf(r))
	if err != nil {
		return v, err
	}
	for _, m := range members {
		v.People = append(v.People, templates.OptionView{Value: strconv.FormatInt(int64(m.User.ID), 10), Label: nameOf(m.User)})
	}
	if id := in.query.Customer; id != 0 {
		c, err := a.Customers.Get(r.Context(), orgOf(r), id)
		if err != nil {
			return v, err
		}
		addChip(&v, r, in, "customer", "Customer", customerName(c))
	}
	if id := in.query.Connection; id != 0 {
		c, err := a.Connections.Get(r.Context(), orgOf(r), id)
		if err != nil {
			return v, err
		}
		addChip(&v, r, in, "connection", "Connection", c.Name)
	}
	return v, nil
}

// addChip shows a filter that has no field, with a way to take it away, and
// keeps it when the form is sent.
func addChip(v *templates.HistoryView, r *http.Request, in historyInput, key, label, name string) {
	rest := in.values()
	v.Hidden = append(v.Hidden, templates.HiddenView{Name: key, Value: rest.Get(key)})
	rest.Del(key)
	v.Chips = append(v.Chips, templates.ChipView{Label: label, Value: name, RemoveHref: orgPath(r, "history") + query(rest)})
}

// historyRow is one event as the page shows it.
func historyRow(r *http.Request, e services.HistoryEvent) templates.HistoryRow {
	row := templates.HistoryRow{
		At: e.At, Actor: e.Actor, Summary: e.Summary, Subject: e.Subject, Reason: e.Reason, Connection: e.ConnectionName,
		ConnectionURL: connectionPath(r, e.Connection),
	}
	row.Icon, row.KindLabel = historyIcon(e.Kind)
	if e.Customer != 0 {
		row.Customer = templates.LinkView{Label: orText(e.CustomerName, fmt.Sprintf("Customer %d", e.Customer)), Href: orgPath(r, "customers/%d", e.Customer)}
	}
	for _, c := range e.Changes {
		row.Changes = append(row.Changes, templates.HistoryChangeView(c))
	}
	if c := e.Call; c != nil {
		row.Call = &templates.CallView{
			Vendor: string(c.Vendor), Operation: c.Operation, State: c.State, Status: c.Status, ErrorKind: c.ErrorKind, Says: c.Says,
			Counts: c.Counts, Background: c.Background, ForMember: e.Person != 0, Attempt: c.Attempt, Duration: c.Duration, Bytes: c.Bytes,
		}
	}
	return row
}

func historyIcon(k services.HistoryKind) (icon, label string) {
	switch k {
	case services.HistoryTraits:
		return "tag", "Trait edit"
	case services.HistoryHighlights:
		return "sparkles", "Highlights"
	case services.HistoryConnections:
		return "plug", "Connection"
	case services.HistoryCalls:
		return "activity", "Vendor call"
	case services.HistorySignIns:
		return "log-in", "Sign-in"
	case services.HistoryMembers:
		return "users", "Members"
	case services.HistoryViews:
		return "list-filter", "Saved view"
	case services.HistoryGraphQL:
		return "table", "GraphQL"
	case services.HistoryExports:
		return "film", "Exports"
	}
	return "history", "Other"
}

// historyCSV handles GET /history.csv: what the page's filters select, all of
// it, as a file.
func (a *app) historyCSV(w http.ResponseWriter, r *http.Request) error {
	in := readHistory(r)
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
	name := fmt.Sprintf("history-%s-%s.csv", slugOf(r), a.now().UTC().Format(time.DateOnly))
	a.sendFile(w, r, name, csvType, func(w io.Writer) error { return a.History.CSV(r.Context(), orgOf(r), in.query, w) })
	return nil
}
