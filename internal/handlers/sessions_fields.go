package handlers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

// maxOffered is how many values of one field are offered to tick.
const maxOffered = 10

// fields fills the view's form with what was typed, what is wrong with it and
// what there is to choose.
func (f sessionForm) fields(v *templates.SessionsView, choices services.Choices) {
	field := func(name, label string) templates.FieldView {
		return templates.FieldView{ID: name, Name: name, Label: label, Value: f.typed.Get(name), Error: f.problems[name]}
	}
	date := func(name, label string) templates.FieldView {
		d := field(name, label)
		d.Type, d.Required = "date", true
		return d
	}
	v.From, v.To = date("from", "From (UTC)"), date("to", "To (UTC), included")
	v.Email = field("email", "Email")
	v.Email.InputMode = "email"
	v.Countries = f.countriesPick(choices.Countries)
	v.Ratings = templates.PickView{None: "Any", Field: templates.FieldView{ID: "ratings", Name: "ratings", Label: "Rating", Error: f.problems["ratings"]}}
	for _, r := range services.Ratings() {
		v.Ratings.Add(r, strings.ToUpper(r[:1])+r[1:], slices.Contains(f.query.Ratings, r))
	}
	v.Browsers = f.valuesPick("browsers", "Browser", choices.Browsers, f.query.Browsers)
	v.Systems = f.valuesPick("systems", "System", choices.Systems, f.query.Systems)
	v.Identifier = field("identifier", "User identifier")
	v.UserType = field("user_type", "User type")
	v.UserType.Hint = "Raygun's own: only what it answered is shown."
	v.People, v.PeopleOptions = field("people", "People"), []templates.OptionView{
		{Label: "Everybody"}, {Value: services.KnownPeople, Label: "Known"}, {Value: services.AnonymousPeople, Label: "Anonymous"},
	}
	v.Page = field("page", "Page visited")
	v.Page.Placeholder = "/checkout"
	v.Errors, v.ErrorsOptions = field("errors", "Errors"), []templates.OptionView{
		{Label: "With or without"}, {Value: services.WithErrors, Label: "With errors"}, {Value: services.WithoutErrors, Label: "Without errors"},
	}
	v.ErrorText = field("error_text", "Error says")
	v.ErrorText.Placeholder = "TypeError"
	v.Slow = field("slow_ms", "A page took at least, in ms")
	v.Slow.InputMode, v.Slow.Placeholder = "numeric", "3000"
	v.State, v.StateOptions = field("state", "State"), []templates.OptionView{
		{Label: "Active or ended"}, {Value: services.ActiveSessions, Label: "Active"}, {Value: services.EndedSessions, Label: "Ended"},
	}
	v.Connection = field("connection", "Connection")
	for _, fields := range v.MoreFields() {
		v.MoreOpen = v.MoreOpen || fields.Error != "" || fields.Value != ""
	}
	v.MoreOpen = v.MoreOpen || len(f.query.Browsers)+len(f.query.Systems) > 0 || v.Show == templates.ShowFilters
	for _, p := range []*templates.PickView{&v.Countries, &v.Ratings, &v.Browsers, &v.Systems} {
		p.Open = p.Field.Name == v.Show
		v.MoreOpen = v.MoreOpen || p.Open && (p == &v.Browsers || p == &v.Systems)
	}
}

// chosen are the values that are chosen already, as all there is to choose: the
// others come when somebody looks for them.
func (f sessionForm) chosen() services.Choices {
	rows := func(values []string) (out []services.ValueRow) {
		for _, v := range values {
			out = append(out, services.ValueRow{Value: v})
		}
		return out
	}
	return services.Choices{Countries: rows(f.query.Countries), Browsers: rows(f.query.Browsers), Systems: rows(f.query.Systems)}
}

// countriesPick offers the mirror's own countries and a field for the others.
func (f sessionForm) countriesPick(seen []services.ValueRow) templates.PickView {
	p := templates.PickView{None: "Any", OtherLabel: "Others, by code", Field: templates.FieldView{
		ID: "countries", Name: "countries", Label: "Countries", Error: f.problems["countries"], Placeholder: "NZ, US",
	}}
	if f.problems["countries"] != "" {
		p.Field.Value = strings.Join(f.typed["countries"], ",")
		return p
	}
	rest := slices.Clone(f.query.Countries)
	for _, c := range seen {
		on := slices.Contains(f.query.Countries, c.Value)
		if len(c.Value) != 2 || !on && len(p.Options) >= maxOffered {
			continue
		}
		p.Add(c.Value, templates.CountryName(c.Value), on)
		rest = slices.DeleteFunc(rest, func(s string) bool { return s == c.Value })
	}
	p.Field.Value = strings.Join(rest, ", ")
	return p
}

// valuesPick offers the most frequent values and those that are chosen.
func (f sessionForm) valuesPick(name, label string, seen []services.ValueRow, chosen []string) templates.PickView {
	p := templates.PickView{None: "Any", Field: templates.FieldView{ID: name, Name: name, Label: label, Error: f.problems[name]}}
	offered := slices.Clone(chosen)
	for _, s := range seen {
		if s.Value != "" && !slices.Contains(offered, s.Value) && len(offered) < maxOffered {
			offered = append(offered, s.Value)
		}
	}
	slices.Sort(offered)
	for _, value := range offered {
		p.Add(value, value, slices.Contains(chosen, value))
	}
	return p
}

// chips are the filters that are on, each with the address without it. The
// dates are always on and have none.
func (f sessionForm) chips(r *http.Request, conns []services.Connection) []templates.ChipView {
	var out []templates.ChipView
	add := func(key, label, value, shown string) {
		rest := f.page()
		if list := rest[key]; len(list) > 1 {
			rest[key] = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == value })
		} else if key == "countries" && len(f.query.Countries) > 1 {
			rest.Set(key, strings.Join(slices.DeleteFunc(slices.Clone(f.query.Countries), func(s string) bool { return s == value }), ","))
		} else {
			rest.Del(key)
		}
		out = append(out, templates.ChipView{Label: label, Value: shown, RemoveHref: orgPath(r, "sessions?%s", rest.Encode())})
	}
	one := func(key, label, value, shown string) {
		if value != "" {
			add(key, label, value, shown)
		}
	}
	q := f.query
	one("email", "Email", q.Email, q.Email)
	for _, c := range q.Countries {
		add("countries", "Country", c, templates.CountryName(c))
	}
	for _, s := range q.Ratings {
		add("ratings", "Rating", s, strings.ToUpper(s[:1])+s[1:])
	}
	one("page", "Page", q.Page, q.Page)
	one("errors", "Errors", q.Errors, q.Errors)
	one("error_text", "Error says", q.ErrorText, q.ErrorText)
	if q.SlowMS > 0 {
		add("slow_ms", "A page took at least", "", templates.FormatMillis(q.SlowMS))
	}
	for _, s := range q.Browsers {
		add("browsers", "Browser", s, s)
	}
	for _, s := range q.Systems {
		add("systems", "System", s, s)
	}
	one("people", "People", q.People, q.People)
	one("state", "State", q.State, q.State)
	one("identifier", "Identifier", q.Identifier, q.Identifier)
	one("user_type", "User type", q.UserType, q.UserType)
	if len(conns) > 1 {
		for _, c := range conns {
			if c.ID == q.Connection {
				add("connection", "Connection", fmt.Sprint(c.ID), c.Name)
			}
		}
	}
	return out
}

// localOnly says which of the filters Raygun cannot be asked for.
func (f sessionForm) localOnly() string {
	q := f.query
	var out []string
	for _, p := range []struct {
		on   bool
		name string
	}{
		{q.Email != "", "email"}, {len(q.Ratings) > 0, "rating"}, {q.Page != "", "page"}, {q.Errors != "" || q.ErrorText != "", "errors"},
		{q.SlowMS > 0, "load time"}, {len(q.Browsers) > 0, "browser"}, {len(q.Systems) > 0, "system"}, {q.People != "", "people"}, {q.State != "", "state"},
	} {
		if p.on {
			out = append(out, p.name)
		}
	}
	names := strings.Join(out, ", ")
	if n := len(out); n > 1 {
		names = strings.Join(out[:n-1], ", ") + " or " + out[n-1]
	}
	return "Raygun cannot be asked for " + names
}
