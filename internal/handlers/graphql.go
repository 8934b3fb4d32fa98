package handlers

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// graphQLForm is the workbench's form as it was filled in.
type graphQLForm struct {
	services.GraphQLForm
	name, description string
	saved             services.SavedQuery // ID 0 for none
	check             services.GraphQLCheck
	problems          services.Problems
	checked           bool
	saveOpen          bool
	// docs is the type that is shown beside the editor, search what is looked for
	// there.
	docs, search string
}

// graphQL handles GET /graphql: empty, or with a saved query by ?saved=, or with
// an older run by ?run=. ?insert= adds a field to it.
func (a *app) graphQL(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f := graphQLForm{GraphQLForm: services.GraphQLForm{Connection: services.ConnectionID(idOf(q.Get("connection")))}}
	if err := a.ourConnection(r, f.Connection, nil); err != nil {
		return err
	}
	if id := idOf(q.Get("run")); id != 0 {
		run, err := a.GraphQL.Get(r.Context(), orgOf(r), services.GraphQLRunID(id))
		if err != nil {
			return err
		}
		f.Connection, f.Query, f.Operation, f.Variables, f.Saved = run.Connection, run.Query, run.Operation, emptyObject(run.Variables), run.Saved
	}
	if id := services.SavedQueryID(idOf(q.Get("saved"))); id != 0 {
		saved, err := a.GraphQL.SavedQuery(r.Context(), orgOf(r), id)
		if err != nil {
			return err
		}
		f.Connection, f.Query, f.Operation, f.Variables, f.Saved = saved.Connection, saved.Query, saved.Operation, saved.Variables, saved.ID
	}
	if insert := q.Get("insert"); insert != "" {
		edited, err := a.insertField(r, f, insert)
		if err != nil {
			return err
		}
		f.docs, _, _ = strings.Cut(insert, ".")
		if f.Query = edited.Query; edited.Problem != "" {
			f.problems = services.Problems{"query": edited.Problem}
		}
	}
	if strings.TrimSpace(f.Query) != "" { // to offer its operations; what is wrong is said when it is sent
		check, err := a.GraphQL.Check(r.Context(), actorOf(r), f.GraphQLForm)
		if err != nil {
			return err
		}
		f.check = services.GraphQLCheck{Operations: check.Operations, Locked: check.Locked}
	}
	return a.graphQLPage(w, r, http.StatusOK, f)
}

// emptyObject is variables as a form shows them: none is an empty field.
func emptyObject(variables string) string {
	if variables == "{}" {
		return ""
	}
	return variables
}

// postGraphQL handles POST /graphql: run, anyway, check, save or save-new, and
// what sends nothing and keeps the text: format, insert:Type.field, docs:Type
// and find. enter is the Enter key in a field.
func (a *app) postGraphQL(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	p := r.PostForm
	f := graphQLForm{
		GraphQLForm: services.GraphQLForm{
			Connection: services.ConnectionID(idOf(p.Get("connection"))), Query: newlines(p.Get("query")), Operation: p.Get("operation"), Variables: newlines(p.Get("variables")),
			Saved: services.SavedQueryID(idOf(p.Get("saved"))), Anyway: p.Get("do") == "anyway", FormToken: p.Get("token"),
		},
		name: p.Get("name"), description: p.Get("description"), docs: p.Get("docs"), search: p.Get("docs-q"),
	}
	do, what, _ := strings.Cut(p.Get("do"), ":")
	if do == "enter" {
		if do = "check"; p.Get("docs-q") != p.Get("docs-was") {
			do = "find"
		}
	}
	switch do {
	case "docs":
		f.docs, f.search = what, ""
		return a.graphQLPage(w, r, http.StatusOK, f)
	case "find":
		return a.graphQLPage(w, r, http.StatusOK, f)
	case "format", "insert":
		return a.editGraphQL(w, r, f, what)
	case "check":
		var err error
		if f.check, err = a.GraphQL.Check(r.Context(), actorOf(r), f.GraphQLForm); err != nil {
			return err
		}
		f.checked = f.check.OK(false)
		status := http.StatusOK
		if !f.checked {
			status = http.StatusUnprocessableEntity
		}
		return a.graphQLPage(w, r, status, f)
	case "save", "save-new":
		return a.saveGraphQL(w, r, f, do == "save-new")
	}
	run, check, err := a.GraphQL.Run(r.Context(), actorOf(r), f.GraphQLForm)
	if err != nil {
		return err
	}
	if !check.OK(f.Anyway) {
		f.check = check
		return a.graphQLPage(w, r, http.StatusUnprocessableEntity, f)
	}
	if run, err = a.GraphQL.Wait(r.Context(), orgOf(r), run.ID, waitForVendor); err != nil {
		return err
	}
	return a.redirect(w, r, runPath(r, run.ID), "", "")
}

// newlines are those of a form, which sends two characters for each.
func newlines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

func (a *app) saveGraphQL(w http.ResponseWriter, r *http.Request, f graphQLForm, anew bool) error {
	q := services.SavedQuery{ID: f.Saved, Connection: f.Connection, Name: f.name, Description: f.description, Query: f.Query, Operation: f.Operation, Variables: f.Variables}
	if anew {
		q.ID = 0
	}
	q, problems, err := a.GraphQL.Save(r.Context(), actorOf(r), q)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		f.problems, f.saveOpen = problems, true
		return a.graphQLPage(w, r, http.StatusUnprocessableEntity, f)
	}
	return a.redirect(w, r, orgPath(r, "graphql?saved=%d", q.ID), "success", fmt.Sprintf("“%s” is saved for the organization.", q.Name))
}

func (a *app) graphQLPage(w http.ResponseWriter, r *http.Request, status int, f graphQLForm) error {
	v := templates.GraphQLView{Now: a.now(), Action: orgPath(r, "graphql"), SavedURL: orgPath(r, "graphql/saved"), FormsURL: orgPath(r, "graphql/forms"), SchedulesURL: orgPath(r, "graphql/schedules"), Disabled: whyNotSupport(r)}
	conns, err := a.rocketConnections(r)
	if err != nil {
		return err
	}
	if len(conns) == 0 {
		v.NoneURL = orgPath(r, "settings/connections")
		return a.page(w, r, status, "GraphQL", "graphql", templates.GraphQL(v))
	}
	if f.Connection == 0 {
		f.Connection = conns[0].ID
	}
	if len(conns) > 1 {
		v.Connection, v.Connections = connectionChoice(conns, int64(f.Connection))
	} else {
		v.Hidden = append(v.Hidden, templates.HiddenView{Name: "connection", Value: fmt.Sprint(f.Connection)})
	}
	v.Hidden = append(v.Hidden, templates.HiddenView{Name: "token", Value: services.NewFormToken()})
	v.SchemaURL, v.SchemaFile = orgPath(r, "graphql/schema?connection=%d", f.Connection), orgPath(r, "graphql/schema.json")
	allowStyles(w, r)
	if v.Disabled == "" {
		if v.Docs, err = a.schemaPanel(r, f.Connection, f.docs, f.search); err != nil {
			return err
		}
	}
	if f.Saved != 0 {
		v.SchemaURL += fmt.Sprintf("&saved=%d", f.Saved)
	} else if id := idOf(r.URL.Query().Get("run")); id != 0 {
		v.SchemaURL += fmt.Sprintf("&run=%d", id)
	}
	if err := a.describeSchema(r, &v, &f); err != nil {
		return err
	}
	if f.Saved != 0 {
		if f.saved, err = a.GraphQL.SavedQuery(r.Context(), orgOf(r), f.Saved); err != nil {
			return err
		}
		v.Saved = &templates.SavedQueryItem{Name: f.saved.Name, Href: orgPath(r, "graphql/saved/%d", f.Saved)}
		v.Hidden = append(v.Hidden, templates.HiddenView{Name: "saved", Value: fmt.Sprint(f.Saved)})
		if f.problems == nil && f.name == "" {
			f.name, f.description = f.saved.Name, f.saved.Description
		}
	}
	f.fields(&v)
	if err := a.addRuns(r, &v); err != nil {
		return err
	}
	return a.page(w, r, status, "GraphQL", "graphql", templates.GraphQL(v))
}

// describeSchema says how old the schema is, and begins an empty form with a
// query that it allows.
func (a *app) describeSchema(r *http.Request, v *templates.GraphQLView, f *graphQLForm) error {
	s, err := a.GraphQL.Schema(r.Context(), orgOf(r), f.Connection)
	if err != nil {
		return err
	}
	v.SchemaNote = "There is no schema of this connection here yet, so only the server can say whether a query fits. Fetch it under Schema."
	if s.Known {
		v.SchemaNote = fmt.Sprintf("Checked against the schema of %s UTC: %s.", s.FetchedAt.UTC().Format("2 January 2006, 15:04"), templates.Plural(s.Types, "type", "types"))
	}
	if f.Query != "" {
		return nil
	}
	f.Query = "{\n  __typename\n}\n"
	docs, err := a.GraphQL.Docs(r.Context(), orgOf(r), f.Connection)
	if err == nil && docs != nil {
		f.Query = docs.Starter()
	}
	return err
}

// fields shows the form as it was filled in, with what is wrong.
func (f graphQLForm) fields(v *templates.GraphQLView) {
	v.Query = templates.FieldView{ID: "query", Name: "query", Label: "Query", Value: f.Query, Mono: true, Required: true, Hint: "GraphQL: a query, its fragments and operations."}
	v.Variables = templates.FieldView{ID: "variables", Name: "variables", Label: "Variables", Value: f.Variables, Mono: true, Hint: `A JSON object such as {"first": 10}, or nothing.`, Error: f.problems["variables"]}
	v.Name = templates.FieldView{ID: "name", Name: "name", Label: "Name", Value: f.name, MaxLength: services.MaxQueryName, Error: f.problems["name"]}
	v.Description = templates.FieldView{ID: "description", Name: "description", Label: "What it is for", Value: f.description, MaxLength: services.MaxQueryDescription, Error: f.problems["description"]}
	v.SaveOpen, v.Checked, v.Locked = f.saveOpen, f.checked, f.check.Locked
	v.Problems, v.Schema = problemViews(f.check.Query), problemViews(f.check.Schema)
	if len(f.check.Query) > 0 {
		v.Query.Error = v.Problems[0].Place + " " + v.Problems[0].Text
	}
	if text := f.problems["query"]; text != "" {
		v.Query.Error = text
	}
	if list := problemViews(f.check.Variables); len(list) > 0 {
		v.Variables.Error = strings.TrimSpace(list[0].Place + " " + list[0].Text)
		v.Problems = append(v.Problems, list...)
	}
	v.Operation = templates.FieldView{ID: "operation", Name: "operation", Label: "Operation", Value: f.Operation, Required: true, Hint: "Only this one is sent."}
	v.Operations = []templates.OptionView{{Label: "Choose one"}}
	if len(f.check.Operations) > 1 {
		v.Operation.Error = f.check.Operation
		for _, o := range f.check.Operations {
			v.Operations = append(v.Operations, templates.OptionView{Value: o.Name, Label: o.Name + " (" + string(o.Kind) + ")"})
		}
	}
	if f.check.Operation != "" {
		v.Problems = append(v.Problems, templates.ProblemView{Text: f.check.Operation})
	}
}

func problemViews(list []services.GraphQLProblem) []templates.ProblemView {
	var out []templates.ProblemView
	for _, p := range list {
		v := templates.ProblemView{Text: p.Text}
		if p.Line > 0 {
			v.Place = fmt.Sprintf("Line %d, column %d", p.Line, p.Column)
		}
		out = append(out, v)
	}
	return out
}

// addRuns adds the member's own runs.
func (a *app) addRuns(r *http.Request, v *templates.GraphQLView) error {
	const most = 20
	before := services.GraphQLRunID(idOf(r.URL.Query().Get("before")))
	rows, err := a.GraphQL.Mine(r.Context(), actorOf(r), before, most+1)
	if err != nil {
		return err
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	if len(rows) > most {
		rows = rows[:most]
		v.Older = orgPath(r, "graphql?before=%d#runs", rows[most-1].ID)
	}
	for _, run := range rows {
		v.Runs = append(v.Runs, runItem(r, run, names))
	}
	return nil
}

// runItem is a run in a list.
func runItem(r *http.Request, run services.GraphQLRun, names map[services.ConnectionID]string) templates.GraphQLRunItem {
	return templates.GraphQLRunItem{
		Href: runPath(r, run.ID), Name: runName(run), Kind: string(run.Kind), State: string(run.State), Connection: names[run.Connection],
		Author: run.AuthorName, Errors: run.Errors, At: run.CreatedAt, Took: runTook(run),
	}
}

func runPath(r *http.Request, id services.GraphQLRunID) string {
	return orgPath(r, "graphql/runs/%d", id)
}

// runName is what a run is called: its saved query, its operation or its
// beginning.
func runName(run services.GraphQLRun) string {
	if name := orText(run.SavedName, run.Operation); name != "" {
		return name
	}
	text := []rune(strings.Join(strings.Fields(run.Query), " "))
	if len(text) > 60 {
		return string(text[:60]) + "…"
	}
	return string(text)
}

// runTook is how long the server took, negative if that is not known.
func runTook(run services.GraphQLRun) time.Duration {
	if run.StartedAt.IsZero() || run.FinishedAt.IsZero() {
		return -1
	}
	return run.FinishedAt.Sub(run.StartedAt)
}

// savedQueries handles GET /graphql/saved.
func (a *app) savedQueries(w http.ResponseWriter, r *http.Request) error {
	rows, err := a.GraphQL.Saved(r.Context(), orgOf(r))
	if err != nil {
		return err
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	v := templates.SavedQueriesView{Now: a.now(), NewURL: orgPath(r, "graphql")}
	for _, q := range rows {
		item := templates.SavedQueryItem{
			Href: orgPath(r, "graphql/saved/%d", q.ID), Name: q.Name, Description: q.Description, Owner: q.OwnerName, Connection: names[q.Connection], UpdatedAt: q.UpdatedAt,
		}
		if mayDeleteQuery(r, q) {
			item.DeleteURL = orgPath(r, "graphql/saved/%d/delete", q.ID)
		}
		v.Rows = append(v.Rows, item)
	}
	return a.page(w, r, http.StatusOK, "Saved queries", "graphql", templates.SavedQueries(v))
}

// deleteSavedQuery handles POST /graphql/saved/{id}/delete.
func (a *app) deleteSavedQuery(w http.ResponseWriter, r *http.Request) error {
	if err := a.GraphQL.Delete(r.Context(), actorOf(r), services.SavedQueryID(idParam(r, "id"))); err != nil {
		return err
	}
	return a.redirect(w, r, orgPath(r, "graphql/saved"), "success", "The query is deleted. The history keeps its text.")
}
