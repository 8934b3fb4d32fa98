package handlers

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

// blankRows is how many rows for new traits the form begins with.
const blankRows = 2

// maxRows bounds how many traits a form is read for.
const maxRows = 2000

// traitForm is the edit form as it was filled in.
type traitForm struct {
	in       services.TraitInput
	user     services.LogRocketUser // as known now
	reason   string
	token    string
	more     int // blank rows to add
	problems services.Problems
	notice   string
	warnings []string // before an edit is taken back
}

// readTraitForm reads what was typed, with what the fields held before.
func readTraitForm(r *http.Request, c services.Customer) traitForm {
	p := r.PostForm
	f := traitForm{reason: strings.TrimSpace(p.Get("reason")), token: p.Get("token")}
	f.in = services.TraitInput{
		Customer: c.ID, Connection: services.ConnectionID(idOf(p.Get("connection"))), UserID: p.Get("user"),
		Seen: services.TraitEditID(idOf(p.Get("seen"))), Undoes: services.TraitEditID(idOf(p.Get("undoes"))),
		Name:  services.FieldInput{Was: p.Get("name-was"), Value: p.Get("name")},
		Email: services.FieldInput{Was: p.Get("email-was"), Value: p.Get("email")},
	}
	keys, was, values := p["known-key"], p["known-was"], p["known-value"]
	for i := range min(len(keys), len(was), len(values), maxRows) {
		f.in.Known = append(f.in.Known, services.TraitField{Key: keys[i], FieldInput: services.FieldInput{Was: was[i], Value: values[i]}})
	}
	keys, values = p["new-key"], p["new-value"]
	for i := range min(len(keys), len(values), maxRows) {
		f.in.New = append(f.in.New, services.TraitField{Key: keys[i], FieldInput: services.FieldInput{Value: values[i]}})
	}
	f.in = f.in.Clean()
	return f
}

// hidden is what the form keeps out of sight: who is edited and what the
// fields held when it was opened.
func (f traitForm) hidden() []templates.HiddenView {
	return []templates.HiddenView{
		{Name: "connection", Value: fmt.Sprint(f.in.Connection)}, {Name: "user", Value: f.in.UserID}, {Name: "seen", Value: fmt.Sprint(f.in.Seen)},
		{Name: "undoes", Value: fmt.Sprint(f.in.Undoes)},
		{Name: "name-was", Value: f.in.Name.Was}, {Name: "email-was", Value: f.in.Email.Was},
	}
}

// allHidden is the whole form out of sight, for the preview.
func (f traitForm) allHidden() []templates.HiddenView {
	out := append(f.hidden(), templates.HiddenView{Name: "name", Value: f.in.Name.Value}, templates.HiddenView{Name: "email", Value: f.in.Email.Value})
	for _, k := range f.in.Known {
		out = append(out, templates.HiddenView{Name: "known-key", Value: k.Key}, templates.HiddenView{Name: "known-was", Value: k.Was},
			templates.HiddenView{Name: "known-value", Value: k.Value})
	}
	for _, n := range f.in.New {
		if n.Key+n.Value != "" {
			out = append(out, templates.HiddenView{Name: "new-key", Value: n.Key}, templates.HiddenView{Name: "new-value", Value: n.Value})
		}
	}
	return append(out, templates.HiddenView{Name: "token", Value: f.token})
}

func (a *app) traitsForm(w http.ResponseWriter, r *http.Request, status int, c services.Customer, f traitForm) error {
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	keys, err := a.Traits.Keys(r.Context(), orgOf(r), f.in.Connection)
	if err != nil {
		return err
	}
	v := templates.TraitsFormView{
		Now: a.now(), Title: customerName(c), BackURL: traitsPath(r, c.ID), Action: traitsPath(r, c.ID), UserID: f.in.UserID,
		Connection: names[f.in.Connection], AnsweredAt: f.user.AnsweredAt, Hidden: f.hidden(), Notice: f.notice, Problem: f.problems["user"],
		Name:  templates.FieldView{ID: "name", Name: "name", Label: "Name", Value: f.in.Name.Value, Error: f.problems["name"], Autocomplete: "off", Hint: fieldHint(f.user), Limit: services.MaxTraitText},
		Email: templates.FieldView{ID: "email", Name: "email", Label: "Email", Value: f.in.Email.Value, Error: f.problems["email"], Autocomplete: "off", InputMode: "email", Hint: fieldHint(f.user), Limit: services.MaxTraitText},
	}
	for i, k := range f.in.Known {
		id := "known-" + strconv.Itoa(i)
		v.Known = append(v.Known, templates.KnownTraitView{Key: k.Key, Was: k.Was, Field: templates.FieldView{
			ID: id, Name: "known-value", Label: k.Key, Value: k.Value, Error: f.problems[id], Autocomplete: "off", Limit: services.MaxTraitText,
		}})
	}
	rows := f.in.New
	for range max(f.more, blankRows-len(rows)) {
		rows = append(rows, services.TraitField{})
	}
	for i, n := range rows {
		key, value := "new-key-"+strconv.Itoa(i), "new-value-"+strconv.Itoa(i)
		v.New = append(v.New, templates.NewTraitView{
			Key:   templates.FieldView{ID: key, Name: "new-key", Label: fmt.Sprintf("Trait %d", i+1), Value: n.Key, Error: f.problems[key], Autocomplete: "off", Limit: services.MaxTraitText, Suggest: keys, SuggestID: "known-keys"},
			Value: templates.FieldView{ID: value, Name: "new-value", Label: fmt.Sprintf("Value %d", i+1), Value: n.Value, Error: f.problems[value], Autocomplete: "off", Limit: services.MaxTraitText},
		})
	}
	return a.page(w, r, status, "Edit traits", "customers", templates.TraitsForm(v))
}

// fieldHint says what a blank name or email means.
func fieldHint(u services.LogRocketUser) string {
	if u.Known() {
		return "Blank removes it at LogRocket."
	}
	return "Not known here. Blank leaves it as it is."
}

// traitsPreview shows what the edit will do. The form goes on from what is
// there now, with a token of its own: what is sent from here counts once.
func (a *app) traitsPreview(w http.ResponseWriter, r *http.Request, status int, c services.Customer, f traitForm, plan services.TraitPlan, problem string) error {
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	if !plan.InFlight { // else what it changes was not seen yet
		f.in.Seen = plan.User.LastEdit
	}
	if f.token == "" || plan.Stale {
		f.token = services.NewFormToken()
	}
	v := templates.TraitsPreviewView{
		Now: a.now(), Title: customerName(c), BackURL: traitsPath(r, c.ID), Action: traitsPath(r, c.ID), UserID: f.in.UserID,
		Connection: names[f.in.Connection], AnsweredAt: plan.User.AnsweredAt, Hidden: f.allHidden(), Problem: problem, Warnings: f.warnings,
		Reason: templates.FieldView{
			ID: "reason", Name: "reason", Label: "Reason", Value: f.reason, Error: f.problems["reason"], Autocomplete: "off",
			Hint: fmt.Sprintf("Why, for whoever reads the history: a ticket number, a sentence. At most %d characters.", services.MaxReason),
		},
	}
	for _, row := range plan.Rows {
		v.Rows = append(v.Rows, templates.TraitChangeView{
			Field: fieldLabel(row.Field, row.Key), Before: row.Before, After: row.After, Effect: string(row.Effect), Moved: plan.Stale && row.Moved,
		})
	}
	who := orText(plan.Newest.AuthorName, "somebody")
	switch {
	case plan.InFlight:
		v.Notice = fmt.Sprintf("An edit of this user by %s is being sent right now. Wait a moment, then preview again: what it changes is not shown here yet.", who)
	case plan.Stale:
		v.Notice = fmt.Sprintf("%s sent another edit of this user after you opened the form. “Before” below is what is there now; nothing of yours was sent.", who)
		if plan.Changes() == 0 {
			v.Problem = "Nothing is left to send: everything you typed is there already."
		}
	}
	return a.page(w, r, status, "Preview traits", "customers", templates.TraitsPreview(v))
}
