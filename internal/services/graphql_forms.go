package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sightline/internal/db"
	"sightline/internal/services/graphql"
)

// Limits of a form.
const (
	MaxFormTitle = 80   // characters
	MaxFormHelp  = 1000 // characters
	MaxFormLabel = 80   // characters, of a field
	MaxFieldHelp = 300  // characters, of a field
	// MaxFormFields is how many variables a query with a form may have.
	MaxFormFields = 40
)

// QueryForm is a saved query that members ask through a form, without reading
// the query.
type QueryForm struct {
	ID    QueryFormID // 0 if it is not published
	Saved SavedQuery
	// Role is the least that may ask.
	Role        Role
	Title, Help string
	Fields      []FormField
	// Publisher is what the member who last published it is called; empty if they
	// are gone.
	Publisher string
	UpdatedAt time.Time
	// Broken says why nothing can be asked through it now; empty if it can.
	Broken string

	schema *graphql.Schema
}

// FormField is a variable of the query as the form asks for it.
type FormField struct {
	graphql.Field
	Label, Note string
	// Value is what the field begins with, as it is typed.
	Value string
	// Fixed says that the value is not asked for.
	Fixed bool
}

// storedField is a field as it is stored.
type storedField struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Help  string `json:"help"`
	Value string `json:"value"`
	Fixed bool   `json:"fixed,omitempty"`
}

const noQueryForm = "There is no such form any more. Somebody took it back, or deleted its query."

// Forms lists the forms that the actor may use, by title, without their fields.
func (g *GraphQL) Forms(ctx context.Context, actor Actor) ([]QueryForm, error) {
	rows, err := g.db.Org(actor.Org).QueryForms(ctx)
	if err != nil {
		return nil, err
	}
	saved, err := g.Saved(ctx, actor.Org)
	if err != nil {
		return nil, err
	}
	var out []QueryForm
	for _, r := range rows {
		f := queryFormOf(r)
		i := slices.IndexFunc(saved, func(q SavedQuery) bool { return q.ID == r.Saved })
		if i < 0 || actor.Role < f.Role {
			continue
		}
		f.Saved = saved[i]
		out = append(out, f)
	}
	return out, nil
}

func queryFormOf(r db.QueryForm) QueryForm {
	return QueryForm{ID: r.ID, Role: ParseRole(r.Role), Title: r.Title, Help: r.Help, Publisher: r.PublisherName, UpdatedAt: r.UpdatedAt}
}

// Form finds a form with its fields. Whoever may not ask through it may see that
// it is there.
func (g *GraphQL) Form(ctx context.Context, org OrgID, id QueryFormID) (QueryForm, error) {
	row, err := g.db.Org(org).QueryForm(ctx, id)
	if err != nil {
		return QueryForm{}, notFound(err, noQueryForm)
	}
	return g.whole(ctx, org, row)
}

// FormOf is the form of a saved query: as it is published, or as it could be,
// with ID 0.
func (g *GraphQL) FormOf(ctx context.Context, org OrgID, saved SavedQueryID) (QueryForm, error) {
	row, err := g.db.Org(org).QueryFormOf(ctx, saved)
	if errors.Is(err, db.ErrNotFound) {
		row, err = db.QueryForm{Saved: saved, Role: Support.String()}, nil
	}
	if err != nil {
		return QueryForm{}, err
	}
	return g.whole(ctx, org, row)
}

// whole reads the query of a form and puts its fields together: the variables
// are those of the query as it is now, their words those that were published.
func (g *GraphQL) whole(ctx context.Context, org OrgID, row db.QueryForm) (QueryForm, error) {
	f := queryFormOf(row)
	var err error
	if f.Saved, err = g.SavedQuery(ctx, org, row.Saved); err != nil {
		return f, err
	}
	var stored []storedField
	if row.ID == 0 {
		f.Title, f.Help = f.Saved.Name, f.Saved.Description
	} else if err := json.Unmarshal([]byte(row.Fields), &stored); err != nil {
		return f, fmt.Errorf("read the fields of form %d: %w", row.ID, err)
	}
	if f.schema, err = g.Docs(ctx, org, f.Saved.Connection); err != nil {
		return f, err
	}
	doc, problems := graphql.Parse(f.Saved.Query)
	var op graphql.Operation
	if doc != nil {
		op, problems = doc.Choose(f.Saved.Operation)
	}
	if len(problems) > 0 {
		f.Broken = "Its query cannot be run: " + problems[0].Text
		return f, nil
	}
	values, _ := graphql.ReadVariables(f.Saved.Variables) // one that cannot be read begins with empty fields
	for _, v := range op.Fields(f.schema) {
		field := FormField{Field: v, Label: spoken(v.Name), Value: v.Typed(values[v.Name])}
		if i := slices.IndexFunc(stored, func(s storedField) bool { return s.Name == v.Name }); i >= 0 {
			s := stored[i]
			field.Label, field.Note, field.Value, field.Fixed = s.Label, s.Help, s.Value, s.Fixed
		}
		f.Fields = append(f.Fields, field)
	}
	f.Broken, err = g.broken(ctx, org, f, op)
	return f, err
}

// spoken is a variable's name as a label: "createdAfter" is "Created after".
func spoken(name string) string {
	in := []rune(name)
	var out []rune
	for i, c := range in {
		first := i > 0 && unicode.IsUpper(c) && !unicode.IsUpper(in[i-1])
		if c == '_' || first {
			out = append(out, ' ')
		}
		if first && (i+1 == len(in) || !unicode.IsUpper(in[i+1])) { // else it is one as ID is
			c = unicode.ToLower(c)
		}
		if c != '_' {
			out = append(out, c)
		}
	}
	text := strings.Join(strings.Fields(string(out)), " ")
	if text == "" {
		return name
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// broken says why a query cannot be asked through a form, "" if it can.
func (g *GraphQL) broken(ctx context.Context, org OrgID, f QueryForm, op graphql.Operation) (string, error) {
	if op.Kind != graphql.Query {
		return fmt.Sprintf("Its query is a %s. Only what reads is asked through a form, because whoever fills it in does not see the query.", op.Kind), nil
	}
	if n := len(f.Fields); n > MaxFormFields {
		return fmt.Sprintf("Its query has %d variables, and %d are the most for a form.", n, MaxFormFields), nil
	}
	_, err := g.rocket(ctx, org, f.Saved.Connection)
	var e *Error
	if errors.As(err, &e) {
		return e.Msg, nil
	}
	return "", err
}

// Publish publishes a form, or what is changed in it: its Saved.ID, Role, Title,
// Help and of each field Name, Label, Note, Value and Fixed count. It takes the
// role support, and admin to let members ask who otherwise only read. Problems
// are by field: title, help, role, query, and label-, note- and value- with a
// variable's name.
func (g *GraphQL) Publish(ctx context.Context, actor Actor, f QueryForm) (QueryForm, Problems, error) {
	if err := mayGraphQL(actor); err != nil {
		return f, nil, err
	}
	now, err := g.FormOf(ctx, actor.Org, f.Saved.ID)
	if err != nil {
		return f, nil, err
	}
	p := Problems{}
	f.Title, f.Help = strings.Join(strings.Fields(f.Title), " "), strings.TrimSpace(f.Help)
	limited(p, "title", f.Title, MaxFormTitle)
	limited(p, "help", f.Help, MaxFormHelp)
	switch {
	case f.Title == "":
		p["title"] = "Give the form a title."
	case f.Role < Viewer || f.Role > Owner:
		p["role"] = "Choose who may ask."
	case f.Role == Viewer && now.Role != Viewer && actor.Role < Admin:
		p["role"] = "Viewers only read. That they may ask LogRocket through this form is for an admin to say."
	}
	if now.Broken != "" {
		p["query"] = now.Broken
	}
	stored := []storedField{}
	for _, v := range now.Fields {
		i := slices.IndexFunc(f.Fields, func(given FormField) bool { return given.Name == v.Name })
		if i < 0 {
			continue // it came into the query meanwhile
		}
		stored = append(stored, checkField(p, now.schema, v, f.Fields[i]))
	}
	if len(p) > 0 {
		return f, p, nil
	}
	text, err := json.Marshal(stored)
	if err != nil {
		return f, nil, err
	}
	e := g.conns.entry(actor, "graphql.publish", f.Title, fmt.Sprintf("Published the GraphQL query “%s” as the form “%s”, from the role %s on", now.Saved.Name, f.Title, f.Role))
	e.Connection = now.Saved.Connection
	row := db.QueryForm{Saved: now.Saved.ID, Publisher: actor.User, Role: f.Role.String(), Title: f.Title, Help: f.Help, Fields: string(text), UpdatedAt: g.now()}
	id, err := g.db.Org(actor.Org).PutQueryForm(ctx, row, e)
	if err != nil {
		return f, nil, notFound(err, noSavedQuery)
	}
	f, err = g.Form(ctx, actor.Org, id)
	return f, nil, err
}

// limited finds a text that is too long or no text.
func limited(p Problems, field, text string, most int) {
	if !utf8.ValidString(text) {
		p[field] = "This is not text in UTF-8."
	} else if utf8.RuneCountInString(text) > most {
		p[field] = fmt.Sprintf("This is too long: %d characters at most.", most)
	}
}

// checkField looks at what was said of a variable.
func checkField(p Problems, schema *graphql.Schema, v, given FormField) storedField {
	s := storedField{Name: v.Name, Label: strings.Join(strings.Fields(given.Label), " "), Help: strings.TrimSpace(given.Note), Value: given.Value, Fixed: given.Fixed}
	s.Label = orElse(s.Label, spoken(v.Name))
	limited(p, "label-"+v.Name, s.Label, MaxFormLabel)
	limited(p, "note-"+v.Name, s.Help, MaxFieldHelp)
	limited(p, "value-"+v.Name, s.Value, graphql.MaxVariables)
	_, _, problem := schema.Coerce(v.Variable, s.Value)
	if problem != "" && (s.Fixed || strings.TrimSpace(s.Value) != "") {
		p["value-"+v.Name] = problem
	}
	return s
}

// Withdraw takes the form of a saved query back. It takes the role support.
func (g *GraphQL) Withdraw(ctx context.Context, actor Actor, saved SavedQueryID) error {
	if err := mayGraphQL(actor); err != nil {
		return err
	}
	f, err := g.FormOf(ctx, actor.Org, saved)
	if err != nil || f.ID == 0 {
		return err
	}
	e := g.conns.entry(actor, "graphql.withdraw", f.Title, fmt.Sprintf("Took the form “%s” back", f.Title))
	e.Connection = f.Saved.Connection
	return notFound(g.db.Org(actor.Org).DeleteQueryForm(ctx, saved, e), noQueryForm)
}

// AskForm asks a form's query with what was typed, by the variable's name; once
// however often the form is sent. It takes the role that the form says. Problems
// are by variable, and nothing is asked then.
func (g *GraphQL) AskForm(ctx context.Context, actor Actor, id QueryFormID, typed map[string]string, token string) (GraphQLRun, Problems, error) {
	f, err := g.Form(ctx, actor.Org, id)
	switch {
	case err != nil:
		return GraphQLRun{}, nil, err
	case actor.Role < f.Role || actor.Role < Viewer:
		return GraphQLRun{}, nil, &Error{Kind: Denied, Msg: f.WhyNot(actor.Role)}
	case f.Broken != "":
		return GraphQLRun{}, nil, &Error{Kind: Conflict, Msg: f.Broken}
	}
	p, values := Problems{}, map[string]any{}
	for _, v := range f.Fields {
		text := typed[v.Name]
		if v.Fixed {
			text = v.Value
		}
		value, given, problem := f.schema.Coerce(v.Variable, text)
		switch {
		case problem != "" && v.Fixed:
			return GraphQLRun{}, nil, &Error{Kind: Conflict, Msg: fmt.Sprintf("The value that this form has for “%s” does not fit any more: %s Whoever published it can change that.", v.Label, problem)}
		case problem != "":
			p[v.Name] = problem
		case given:
			values[v.Name] = value
		}
	}
	if len(p) > 0 {
		return GraphQLRun{}, p, nil
	}
	text, err := json.Marshal(values)
	if err != nil {
		return GraphQLRun{}, nil, err
	}
	// Whoever fills in a form cannot mend its query: what the schema has against
	// it, the server decides.
	run, check, err := g.ask(ctx, actor, GraphQLForm{
		Connection: f.Saved.Connection, Query: f.Saved.Query, Operation: f.Saved.Operation, Variables: string(text), Saved: f.Saved.ID, Anyway: true, FormToken: token,
	})
	if err == nil && !check.OK(true) {
		err = &Error{Kind: Conflict, Msg: "This form's query cannot be run as it is now. Whoever published it can mend it."}
	}
	return run, nil, err
}

// WhyNot says why a role may not ask through the form, "" if it may.
func (f QueryForm) WhyNot(role Role) string {
	if role >= f.Role && role >= Viewer {
		return ""
	}
	return fmt.Sprintf("Asking through this form takes the role %s. An admin can give it to you.", f.Role)
}

// Asked are the actor's last runs through a form, newest first. Runs of its
// query from the workbench are among them.
func (g *GraphQL) Asked(ctx context.Context, actor Actor, f QueryForm, limit int) ([]GraphQLRun, error) {
	rows, err := g.db.Org(actor.Org).RunsOfSaved(ctx, f.Saved.ID, actor.User, limit)
	out := make([]GraphQLRun, len(rows))
	for i, r := range rows {
		out[i] = graphQLRunOf(r)
	}
	return out, err
}

// Typed is what the form's fields held for a run of its query.
func (f QueryForm) Typed(run GraphQLRun) map[string]string {
	values, _ := graphql.ReadVariables(run.Variables)
	out := map[string]string{}
	for _, v := range f.Fields {
		out[v.Name] = v.Typed(values[v.Name])
	}
	return out
}
