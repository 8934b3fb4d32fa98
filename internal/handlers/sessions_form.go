package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// sessionForm is the filter of the session explorer as it was typed, with the
// columns and the saved view that go with it.
type sessionForm struct {
	// typed is what stood in the fields, one value each but for those with many.
	typed    url.Values
	span     string
	query    services.SessionQuery
	problems services.Problems
	// columns are the keys of the columns that were chosen, none for the default.
	columns []string
	view    services.ViewID
	// many says that the list can hold sessions of several applications, so that
	// it matters which connection told of each.
	many bool
}

// sessionParams are the filter's parameters in the order of the form, those of
// one value and those of many; the dates are apart.
func sessionParams() []string {
	return []string{"email", "identifier", "user_type", "people", "page", "errors", "error_text", "slow_ms", "state", "connection"}
}

func sessionManyParams() []string { return []string{"countries", "browsers", "systems", "ratings"} }

// sessionSpan is a range that one click chooses.
type sessionSpan struct {
	key, label string
	days       int
}

func sessionSpans() []sessionSpan {
	return []sessionSpan{{"24h", "Last 24 hours", 1}, {"7d", "7 days", 7}, {"30d", "30 days", 30}, {"60d", "60 days", 60}}
}

// readSessionForm reads the filter and says what is wrong with it by field.
// Without dates it is the last 7 days. Without a choice of connection it is the
// only one there is.
func readSessionForm(v url.Values, conns []services.Connection, now time.Time) sessionForm {
	f := sessionForm{typed: url.Values{}, span: v.Get("span"), view: services.ViewID(idOf(v.Get("view")))}
	for _, key := range sessionParams() {
		f.typed.Set(key, v.Get(key))
	}
	for _, key := range sessionManyParams() {
		f.typed[key] = slices.DeleteFunc(slices.Clone(v[key]), func(s string) bool { return strings.TrimSpace(s) == "" })
	}
	for _, list := range v["columns"] {
		f.columns = append(f.columns, strings.Split(list, ",")...)
	}
	unknown := f.readConnection(conns)
	bad := f.readDates(strings.TrimSpace(v.Get("from")), strings.TrimSpace(v.Get("to")), now)
	q := &f.query
	q.Identifier, q.UserType, q.Email = f.typed.Get("identifier"), f.typed.Get("user_type"), f.typed.Get("email")
	q.Countries = strings.FieldsFunc(strings.Join(f.typed["countries"], ","), func(r rune) bool { return r == ',' || r == ';' || r == ' ' })
	q.Browsers, q.Systems, q.Ratings = f.typed["browsers"], f.typed["systems"], f.typed["ratings"]
	q.People, q.Page, q.Errors, q.ErrorText, q.State = f.typed.Get("people"), f.typed.Get("page"), f.typed.Get("errors"), f.typed.Get("error_text"), f.typed.Get("state")
	if slow := strings.TrimSpace(f.typed.Get("slow_ms")); slow != "" {
		n, err := strconv.ParseInt(slow, 10, 64)
		if err != nil {
			bad["slow_ms"] = "Give the load time in milliseconds, such as 3000."
		}
		q.SlowMS = n
	}
	f.query, f.problems = f.query.Check()
	for field, problem := range bad {
		f.problems[field] = problem
		if field == "from" && f.problems["to"] != "" && bad["to"] == "" {
			delete(f.problems, "to") // it only complains about the other
		}
	}
	switch {
	case unknown != "":
		f.problems["connection"] = unknown
	case f.query.UserType != "" && f.query.Connection == 0:
		f.problems["connection"] = "Choose a connection: only its own answers tell who is of that type."
	}
	return f
}

// allConnections as the connection of a filter means every one there ever was,
// where leaving it open means the only one in use.
const allConnections = "all"

// sessionForm reads the filter with the connections that it may name: those in
// use, and a removed one if it is named, as what it brought stays. One of
// another organization is not found.
func (a *app) sessionForm(r *http.Request, v url.Values) (sessionForm, []services.Connection, error) {
	conns, err := a.raygunConnections(r)
	if err != nil {
		return sessionForm{}, nil, err
	}
	named := v.Get("connection")
	id := services.ConnectionID(idOf(named))
	switch {
	case named == allConnections:
		all, err := a.Connections.All(r.Context(), orgOf(r))
		if err != nil {
			return sessionForm{}, nil, err
		}
		conns = ofRaygun(all)
	case id != 0 && !slices.ContainsFunc(conns, func(c services.Connection) bool { return c.ID == id }):
		c, err := a.Connections.Get(r.Context(), orgOf(r), id)
		if err != nil {
			return sessionForm{}, nil, err
		}
		if c.Vendor.IsRaygun() {
			conns = append(conns, c)
		}
	}
	f := readSessionForm(v, conns, a.now())
	if f.query.Connection == 0 {
		one, err := a.Connections.OneApplication(r.Context(), orgOf(r), conns)
		if err != nil {
			return sessionForm{}, nil, err
		}
		f.many = !one
	}
	return f, conns, nil
}

// readConnection finds the connection that was chosen, and says so if there is
// none such. The only one there is holds without standing in addresses and
// saved views: nobody chose it, and they are to include those to come.
func (f *sessionForm) readConnection(conns []services.Connection) (problem string) {
	typed := f.typed.Get("connection")
	only := len(conns) == 1 && !conns[0].Removed()
	for _, c := range conns {
		if fmt.Sprint(c.ID) == typed || only && (typed == "" || typed == allConnections) {
			f.query.Connection = c.ID
		}
	}
	if only && f.query.Connection != 0 {
		f.typed.Del("connection")
	}
	if typed != "" && typed != allConnections && f.query.Connection == 0 {
		return "There is no such Raygun connection any more."
	}
	return ""
}

// readDates reads typed days, both included, and says which are none. A span
// holds as long as its own days stand in the fields, so that "the last 7 days"
// stays that when a filter is added.
func (f *sessionForm) readDates(from, to string, now time.Time) (bad services.Problems) {
	bad = services.Problems{}
	spanFrom, spanTo := f.spanDates(now)
	firstDay, lastDay := spanFrom.Format(time.DateOnly), spanTo.Add(-time.Second).Format(time.DateOnly)
	if from == "" && to == "" || f.span != "" && from == firstDay && to == lastDay {
		f.query.From, f.query.To = spanFrom, spanTo
		f.typed.Set("from", firstDay)
		f.typed.Set("to", lastDay)
		return bad
	}
	f.span = ""
	f.typed.Set("from", from)
	f.typed.Set("to", to)
	read := func(field, text string, add int) time.Time {
		if text == "" {
			return time.Time{}
		}
		t, err := time.Parse(time.DateOnly, text)
		if err != nil || t.Year() < 1970 || t.Year() > 2999 {
			bad[field] = "Write the day like 2026-11-21."
			return time.Time{}
		}
		return t.AddDate(0, 0, add)
	}
	f.query.From, f.query.To = read("from", from, 0), read("to", to, 1)
	return bad
}

// spanDates are the dates of the span, which is 7 days if it is none of ours.
// They stay the same for an hour or a day, so that what was asked is found
// again.
func (f *sessionForm) spanDates(now time.Time) (from, to time.Time) {
	now = now.UTC()
	spans := sessionSpans()
	i := slices.IndexFunc(spans, func(s sessionSpan) bool { return s.key == f.span })
	if i < 0 {
		i = 1
	}
	if f.span = spans[i].key; f.span == "24h" {
		to = now.Truncate(time.Hour).Add(time.Hour)
		return to.Add(-25 * time.Hour), to
	}
	to = now.Truncate(24*time.Hour).AddDate(0, 0, 1)
	return to.AddDate(0, 0, -spans[i].days), to
}

// values are the filter as an address has it, without columns and view.
func (f sessionForm) values() url.Values {
	v := url.Values{}
	add := func(key, value string) {
		if value != "" {
			v.Set(key, value)
		}
	}
	if f.span != "" {
		add("span", f.span)
	} else {
		add("from", f.typed.Get("from"))
		add("to", f.typed.Get("to"))
	}
	for _, key := range sessionParams() {
		add(key, f.typed.Get(key))
	}
	for _, key := range sessionManyParams() {
		if key == "countries" {
			add(key, strings.Join(f.countries(), ","))
		} else if len(f.typed[key]) > 0 {
			v[key] = f.typed[key]
		}
	}
	return v
}

// asked are the values of the page with the connection that is asked, which may
// be only implied.
func (f sessionForm) asked() url.Values {
	v := f.page()
	v.Set("connection", fmt.Sprint(f.query.Connection))
	return v
}

// countries are the codes in the spelling that was understood, and as they were
// typed if they were not.
func (f sessionForm) countries() []string {
	if f.problems["countries"] != "" {
		return f.typed["countries"]
	}
	return f.query.Countries
}

// columnText is the choice of columns as an address has it, empty for the
// default.
func (f sessionForm) columnText() string {
	keys := func(list []services.SessionColumn) string {
		var out []string
		for _, c := range list {
			out = append(out, c.Key)
		}
		return strings.Join(out, ",")
	}
	chosen := keys(services.ChooseColumns(f.columns, f.many))
	if chosen == keys(services.ChooseColumns(nil, f.many)) {
		return ""
	}
	return chosen
}

// page are the values of the page's own address: the filter, the columns and
// the view.
func (f sessionForm) page() url.Values {
	v := f.values()
	if c := f.columnText(); c != "" {
		v.Set("columns", c)
	}
	if f.view != 0 {
		v.Set("view", fmt.Sprint(f.view))
	}
	return v
}

// hiddenOf are values as hidden fields, in a steady order.
func hiddenOf(v url.Values) []templates.HiddenView {
	var out []templates.HiddenView
	keys := make([]string, 0, len(v))
	for key := range v {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		for _, value := range v[key] {
			out = append(out, templates.HiddenView{Name: key, Value: value})
		}
	}
	return out
}
