package handlers

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// sessionForm is the filter of the session search as it was typed.
type sessionForm struct {
	connection, from, to, identifier, countries, userType, span string
	query                                                       services.SessionQuery
	problems                                                    services.Problems
}

// sessionSpans are the ranges that one click chooses.
func sessionSpans() []struct{ key, label string } {
	return []struct{ key, label string }{{"24h", "Last 24 hours"}, {"7d", "7 days"}, {"30d", "30 days"}, {"60d", "60 days"}}
}

// readSessionForm reads the filter and says what is wrong with it by field.
// Without dates it is the last 7 days. Without a choice of connection it is the
// only one there is.
func readSessionForm(v url.Values, conns []services.Connection, now time.Time) sessionForm {
	f := sessionForm{
		connection: v.Get("connection"), from: strings.TrimSpace(v.Get("from")), to: strings.TrimSpace(v.Get("to")),
		identifier: v.Get("identifier"), countries: v.Get("countries"), userType: v.Get("user_type"), span: v.Get("span"),
	}
	unknown := ""
	for _, c := range conns {
		if id := fmt.Sprint(c.ID); id == f.connection || (f.connection == "" && len(conns) == 1) {
			f.connection, f.query.Connection = id, c.ID
		}
	}
	if f.connection != "" && f.query.Connection == 0 {
		unknown = "There is no such Raygun connection any more."
	}
	if f.from == "" && f.to == "" {
		f.spanDates(now)
	} else {
		f.span = ""
	}
	bad := f.readDates()
	f.query.Identifier, f.query.UserType = f.identifier, f.userType
	f.query.Countries = strings.FieldsFunc(f.countries, func(r rune) bool { return r == ',' || r == ';' || r == ' ' })
	f.query, f.problems = f.query.Check()
	for field, problem := range bad {
		f.problems[field] = problem
		if field == "from" && f.problems["to"] != "" && bad["to"] == "" {
			delete(f.problems, "to") // it only complains about the other
		}
	}
	if unknown != "" {
		f.problems["connection"] = unknown
	}
	if f.query.UserType != "" && f.query.Connection == 0 && unknown == "" {
		f.problems["connection"] = "Choose a connection: only its own answers tell who is of that type."
	}
	return f
}

// spanDates sets the dates from the span. They stay the same for an hour or a
// day, so that what was asked is found again.
func (f *sessionForm) spanDates(now time.Time) {
	now = now.UTC()
	midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	days := map[string]int{"7d": 7, "30d": 30, "60d": 60}[f.span]
	if f.span == "24h" {
		f.query.To = now.Truncate(time.Hour).Add(time.Hour)
		f.query.From = f.query.To.Add(-25 * time.Hour)
	} else {
		if days == 0 {
			f.span, days = "7d", 7
		}
		f.query.To = midnight
		f.query.From = midnight.AddDate(0, 0, -days)
	}
	f.from = f.query.From.Format(time.DateOnly)
	f.to = f.query.To.Add(-time.Second).Format(time.DateOnly)
}

// readDates reads typed days, both included, and says which are none.
func (f *sessionForm) readDates() map[string]string {
	bad := map[string]string{}
	if f.span != "" {
		return bad
	}
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
	f.query.From, f.query.To = read("from", f.from, 0), read("to", f.to, 1)
	return bad
}

// values are the filter as an address has it.
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
		add("from", f.from)
		add("to", f.to)
	}
	add("identifier", f.identifier)
	add("countries", f.countries)
	add("user_type", f.userType)
	add("connection", f.connection)
	return v
}

func (f sessionForm) hidden() []templates.HiddenView {
	var out []templates.HiddenView
	v := f.values()
	for _, key := range []string{"span", "from", "to", "identifier", "countries", "user_type", "connection"} {
		if v.Has(key) {
			out = append(out, templates.HiddenView{Name: key, Value: v.Get(key)})
		}
	}
	return out
}

// fields fills the view's fields with what was typed and what is wrong with it.
func (f sessionForm) fields(v *templates.SessionsView, seen []string) {
	v.From = templates.FieldView{ID: "from", Name: "from", Label: "From (UTC)", Type: "date", Value: f.from, Error: f.problems["from"], Required: true}
	v.To = templates.FieldView{ID: "to", Name: "to", Label: "To (UTC), included", Type: "date", Value: f.to, Error: f.problems["to"], Required: true}
	v.Identifier = templates.FieldView{ID: "identifier", Name: "identifier", Label: "User identifier", Value: f.identifier, Error: f.problems["identifier"], Autocomplete: "off"}
	v.Countries = templates.FieldView{ID: "countries", Name: "countries", Label: "Countries", Value: f.countries, Error: f.problems["countries"], Placeholder: "NZ, US", Autocomplete: "off", Suggest: seen}
	v.UserType = templates.FieldView{ID: "user_type", Name: "user_type", Label: "User type", Value: f.userType, Error: f.problems["user_type"], Autocomplete: "off"}
	v.Connection = templates.FieldView{ID: "connection", Name: "connection", Label: "Connection", Value: f.connection, Error: f.problems["connection"]}
}
