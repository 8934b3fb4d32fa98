package services

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sightline/internal/db"
	"sightline/internal/services/logrocket"
)

// MaxTraitText is the most characters of a name, email, key or value that
// LogRocket takes.
const MaxTraitText = logrocket.MaxText

// TraitInput is the edit form as a member left it.
type TraitInput struct {
	Customer   CustomerID
	Connection ConnectionID
	UserID     string
	// Seen is the user's LastEdit when the form was opened: a newer one means
	// that somebody else was first.
	Seen TraitEditID
	// Undoes is the edit that this one takes back, 0 for none.
	Undoes      TraitEditID
	Name, Email FieldInput
	// Known are the traits that the form showed, New those that were added.
	Known []TraitField
	New   []TraitField
}

// FieldInput is a text field: what it held when the form was opened, and what
// it holds now.
type FieldInput struct{ Was, Value string }

// touched reports whether the member changed the field.
func (f FieldInput) touched() bool { return f.Was != f.Value }

// TraitField is a trait in the form. A new one has no Was.
type TraitField struct {
	Key string
	FieldInput
}

// TraitEffect says what an edit does to a field.
type TraitEffect string

// The effects. Of a field that is added, changed or removed where LogRocket
// never answered, the value before is not known.
const (
	TraitAdded     TraitEffect = "added"
	TraitChanged   TraitEffect = "changed"
	TraitRemoved   TraitEffect = "removed"
	TraitUnchanged TraitEffect = "unchanged"
)

// TraitPlan is the real effect of an edit.
type TraitPlan struct {
	User LogRocketUser // as known now
	Rows []PlanRow     // name, email, then traits by key
	// Request is what is sent: only what changes.
	Request TraitRequest
	// Newest is the user's newest edit, whatever became of it; its id is 0 if
	// there is none.
	Newest TraitEdit
	// Stale says that Newest came after the form was opened, InFlight that it
	// has not ended: what it will change is not in Rows yet.
	Stale, InFlight bool
}

// PlanRow is what happens to one field.
type PlanRow struct {
	Field  string // name, email, trait
	Key    string // of a trait
	Before *string
	After  string
	Effect TraitEffect
	// Moved says that the value before is another one than the form showed.
	Moved bool
}

// Changes counts the rows that are sent.
func (p TraitPlan) Changes() int {
	n := 0
	for _, r := range p.Rows {
		if r.Effect != TraitUnchanged {
			n++
		}
	}
	return n
}

// changes are the rows that are sent, as they are stored.
func (p TraitPlan) changes() []db.TraitChange {
	var out []db.TraitChange
	for _, r := range p.Rows {
		if r.Effect == TraitUnchanged {
			continue
		}
		c := db.TraitChange{Field: r.Field, Key: r.Key, Before: r.Before}
		if r.After != "" {
			c.After = &r.After
		}
		out = append(out, c)
	}
	return out
}

// Problem fields of the traits in a form: known-0, new-key-0, new-value-0, ….
func knownField(i int) string    { return "known-" + strconv.Itoa(i) }
func newKeyField(i int) string   { return "new-key-" + strconv.Itoa(i) }
func newValueField(i int) string { return "new-value-" + strconv.Itoa(i) }

// Plan works out the real effect of a form, without sending anything. Faults
// that the person can correct come back as problems by field: user, name,
// email, known-N, new-key-N, new-value-N; and "form" if nothing would change.
// The plan is there in any case.
func (t *Traits) Plan(ctx context.Context, org OrgID, in TraitInput) (TraitPlan, Problems, error) {
	conn, err := t.conns.Get(ctx, org, in.Connection)
	if err != nil {
		return TraitPlan{}, nil, err
	}
	if conn.Vendor != LogRocket || conn.Removed() {
		return TraitPlan{}, nil, &Error{Kind: Conflict, Msg: fmt.Sprintf("Traits cannot be edited through “%s”: it is not a LogRocket connection in use.", conn.Name)}
	}
	if _, err := t.db.Org(org).Customer(ctx, in.Customer); err != nil {
		return TraitPlan{}, nil, notFound(err, "There is no such customer in this organization.")
	}
	problems := in.check()
	u, err := t.User(ctx, org, in.Customer, in.Connection, in.UserID)
	if err != nil {
		return TraitPlan{}, nil, err
	}
	if u.Customer != in.Customer {
		problems["user"] = t.takenSentence(ctx, org, in)
		// Another customer's traits are not this form's business.
		u = LogRocketUser{Connection: in.Connection, Customer: in.Customer, UserID: in.UserID}
	}
	p := TraitPlan{User: u, Stale: u.LastEdit != in.Seen}
	if u.LastEdit != 0 {
		if p.Newest, err = t.Get(ctx, org, u.LastEdit); err != nil {
			return TraitPlan{}, nil, err
		}
		p.InFlight = p.Newest.State.Open()
	}
	p.fill(in)
	if len(problems) == 0 && p.Changes() == 0 {
		problems["form"] = nothingToSend
	}
	return p, problems, nil
}

// takenSentence says whose the user id is.
func (t *Traits) takenSentence(ctx context.Context, org OrgID, in TraitInput) string {
	who := "another customer"
	if row, err := t.db.Org(org).LogRocketUser(ctx, in.Connection, in.UserID); err == nil {
		if c, err := t.db.Org(org).Customer(ctx, row.Customer); err == nil && c.Name+c.Email != "" {
			who = strings.TrimSpace(c.Name + " " + c.Email)
		}
	}
	return fmt.Sprintf("This user id belongs to %s here. Edit the traits on their page, or give this customer's own id.", who)
}

// fill works out the rows and the request.
func (p *TraitPlan) fill(in TraitInput) {
	known := p.User.Known()
	name, sent := planRow("name", "", in.Name, p.User.Name, known)
	if sent {
		p.Request.Name = &name.After
	}
	email, sent := planRow("email", "", in.Email, p.User.Email, known)
	if sent {
		p.Request.Email = &email.After
	}
	p.Rows = append(p.Rows, name, email)
	now := map[string]string{}
	for _, tr := range p.User.Traits {
		now[tr.Key] = tr.Value
	}
	fields := slices.Clone(in.Known)
	for _, f := range in.New {
		if f.Key == "" {
			continue
		}
		fields = append(fields, f)
	}
	inForm := map[string]bool{}
	var rows []PlanRow
	for i, f := range fields {
		if inForm[f.Key] {
			continue // a problem already
		}
		inForm[f.Key] = true
		value, there := now[f.Key]
		r, sent := planRow("trait", f.Key, f.FieldInput, value, there)
		if i >= len(in.Known) && !there {
			// A new trait is meant even where it is blank: that removes one of
			// which we only do not know.
			r.After, sent = f.Value, true
			r.Effect = TraitAdded
			if f.Value == "" {
				r.Effect = TraitRemoved
			}
		}
		if known && !there {
			// LogRocket's answer is the whole user, so it has no such trait.
			r.Before = new(string)
		}
		if sent {
			if p.Request.Traits == nil {
				p.Request.Traits = map[string]string{}
			}
			p.Request.Traits[f.Key] = r.After
		}
		rows = append(rows, r)
	}
	for _, tr := range p.User.Traits {
		if !inForm[tr.Key] { // came after the form was opened
			rows = append(rows, PlanRow{Field: "trait", Key: tr.Key, Before: &tr.Value, After: tr.Value, Effect: TraitUnchanged, Moved: true})
		}
	}
	sortBy(rows, func(a, b PlanRow) int { return strings.Compare(a.Key, b.Key) })
	p.Rows = append(p.Rows, rows...)
}

// planRow works out one field. What the member did not touch stays as it is
// now, whatever the form showed.
func planRow(field, key string, f FieldInput, now string, known bool) (r PlanRow, sent bool) {
	r = PlanRow{Field: field, Key: key, After: now, Effect: TraitUnchanged, Moved: f.Was != now}
	if known {
		r.Before = &now
	}
	if !f.touched() || known && f.Value == now || !known && f.Value == "" {
		return r, false
	}
	r.After = f.Value
	switch {
	case f.Value == "":
		r.Effect = TraitRemoved
	case !known || now == "":
		r.Effect = TraitAdded
	default:
		r.Effect = TraitChanged
	}
	return r, true
}

// check says what is wrong with the form itself.
func (in TraitInput) check() Problems {
	p := Problems{}
	switch {
	case in.UserID == "":
		p["user"] = "Give the id under which LogRocket knows this customer."
	case in.UserID == "." || in.UserID == "..":
		p["user"] = "LogRocket cannot be asked for a user id of dots only."
	default:
		checkText(p, "user", "user id", in.UserID)
	}
	checkText(p, "name", "name", in.Name.Value)
	checkText(p, "email", "email", in.Email.Value)
	if _, wrong := p["email"]; !wrong && in.Email.touched() && in.Email.Value != "" && !checkEmail(in.Email.Value) {
		p["email"] = "That is no email address such as ada@example.com. Leave it blank to remove the email."
	}
	seen := map[string]bool{}
	for i, f := range in.Known {
		if f.touched() {
			checkValue(p, knownField(i), f.Key, f.Value)
		}
		seen[f.Key] = true
	}
	for i, f := range in.New {
		switch {
		case f.Key == "" && f.Value == "":
			continue
		case f.Key == "":
			p[newKeyField(i)] = "Give the trait a name."
		case seen[f.Key]:
			p[newKeyField(i)] = fmt.Sprintf("The trait “%s” is in this form already. Change it there.", short(f.Key))
		default:
			checkText(p, newKeyField(i), "name of the trait", f.Key)
		}
		seen[f.Key] = true
		checkValue(p, newValueField(i), f.Key, f.Value)
	}
	return p
}

// checkText checks LogRocket's limit, in characters, and that the text is one.
func checkText(p Problems, field, what, text string) {
	switch {
	case utf8.RuneCountInString(text) > logrocket.MaxText:
		p[field] = tooLong(what, text)
	case !plainText(text):
		p[field] = fmt.Sprintf("The %s holds characters that cannot be sent, such as line breaks. Type it anew.", what)
	}
}

// checkValue is checkText for a trait's value, which may hold line breaks.
func checkValue(p Problems, field, key, value string) {
	checkText(p, field, "value of “"+short(key)+"”", value)
	if utf8.RuneCountInString(value) <= logrocket.MaxText && plainText(strings.NewReplacer("\n", "", "\t", "").Replace(value)) {
		delete(p, field)
	}
}

// short is a text fit for a sentence.
func short(s string) string {
	if utf8.RuneCountInString(s) <= 40 {
		return s
	}
	return string([]rune(s)[:39]) + "…"
}

// Clean trims what was typed: names, emails and keys at both ends, and values
// of nothing but blanks, which remove.
func (in TraitInput) Clean() TraitInput {
	trim := strings.TrimSpace
	in.UserID, in.Name.Value, in.Email.Value = trim(in.UserID), trim(in.Name.Value), trim(in.Email.Value)
	in.Known, in.New = slices.Clone(in.Known), slices.Clone(in.New)
	// A form sends every line break as two characters.
	lines := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	blank := func(f *TraitField) {
		f.Was, f.Value = lines.Replace(f.Was), lines.Replace(f.Value)
		if trim(f.Value) == "" {
			f.Value = ""
		}
	}
	for i := range in.Known {
		blank(&in.Known[i])
	}
	for i := range in.New {
		in.New[i].Key = trim(in.New[i].Key)
		blank(&in.New[i])
	}
	return in
}

// set gives a field of the form a value, whether the form shows it or not.
func (in *TraitInput) set(field, key, value string) {
	switch field {
	case "name":
		in.Name.Value = value
	case "email":
		in.Email.Value = value
	default:
		if i := slices.IndexFunc(in.Known, func(f TraitField) bool { return f.Key == key }); i >= 0 {
			in.Known[i].Value = value
		} else {
			in.New = append(in.New, TraitField{key, FieldInput{"", value}})
		}
	}
}

// InputFor is the form as it opens for a user: nothing touched. With an edit
// it holds what that edit asked for, so that it can be sent again.
func (t *Traits) InputFor(u LogRocketUser, again *TraitEdit) TraitInput {
	in := TraitInput{
		Customer: u.Customer, Connection: u.Connection, UserID: u.UserID, Seen: u.LastEdit,
		Name: FieldInput{u.Name, u.Name}, Email: FieldInput{u.Email, u.Email},
	}
	for _, tr := range u.Traits {
		in.Known = append(in.Known, TraitField{tr.Key, FieldInput{tr.Value, tr.Value}})
	}
	if again == nil {
		return in
	}
	if again.Request.Name != nil {
		in.Name.Value = *again.Request.Name
	}
	if again.Request.Email != nil {
		in.Email.Value = *again.Request.Email
	}
	for key, value := range again.Request.Traits {
		in.set("trait", key, value)
	}
	sortBy(in.New, func(a, b TraitField) int { return strings.Compare(a.Key, b.Key) })
	return in
}
