package handlers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf16"

	"sightline/internal/services"
	"sightline/web/templates"
)

// panelFields is how many fields of a type the panel beside the editor shows.
const panelFields = 60

// graphQLDocs handles GET /graphql/docs, a part of the editor's page: ?type= of
// ?connection=, or what ?q= finds.
func (a *app) graphQLDocs(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	conn := services.ConnectionID(idOf(q.Get("connection")))
	if err := a.ourConnection(r, conn, nil); err != nil {
		return err
	}
	if !wantsPart(r) { // a copied address
		http.Redirect(w, r, orgPath(r, "graphql/schema?")+q.Encode(), http.StatusSeeOther)
		return nil
	}
	v, err := a.schemaPanel(r, conn, q.Get("type"), q.Get("q"))
	if err != nil {
		return err
	}
	if v == nil {
		return &services.Error{Kind: services.NotFound, Msg: "There is no schema of this connection here."}
	}
	return a.render(w, r, http.StatusOK, templates.SchemaPart(v.Part))
}

// schemaPanel is the schema beside the editor; nil if none is known. A type that
// is not there shows where queries begin.
func (a *app) schemaPanel(r *http.Request, conn services.ConnectionID, name, search string) (*templates.SchemaPanelView, error) {
	docs, err := a.GraphQL.Docs(r.Context(), orgOf(r), conn)
	if err != nil || docs == nil {
		return nil, err
	}
	here := orgPath(r, "graphql/docs?connection=%d", conn)
	v := &templates.SchemaPanelView{URL: here, Query: search, Part: templates.SchemaPartView{URL: here, Insert: true}}
	b := schemaBook{docs: docs, here: here}
	query, mutation, subscription := docs.Roots()
	for _, root := range []string{query, mutation, subscription} {
		if root != "" {
			v.Part.Roots = append(v.Part.Roots, root)
		}
	}
	if search = strings.TrimSpace(search); search != "" {
		v.Part.Searched, v.Part.Hits = true, b.hits(search, schemaHits/2)
		return v, nil
	}
	doc, ok := docs.Type(name)
	if !ok {
		doc, _ = docs.Type(query)
	}
	t := b.typeView(doc)
	if n := len(t.Fields) - panelFields; n > 0 {
		t.Fields, t.MoreFields = t.Fields[:panelFields], n
	}
	t.Uses = t.Uses[:min(len(t.Uses), 12)]
	v.Part.Type = t
	return v, nil
}

// edited is what the editor is sent for a press of Prettify or of a field to
// add. At is where the cursor goes, in UTF-16 units, negative for nowhere.
type edited struct {
	Query     string `json:"query"`
	Variables string `json:"variables"`
	At        int    `json:"at"`
	Problem   string `json:"problem"`
}

// editGraphQL answers what changes the text and sends nothing: the editor with
// JSON, a form with the page.
func (a *app) editGraphQL(w http.ResponseWriter, r *http.Request, f graphQLForm, insert string) error {
	out := edited{Query: f.Query, Variables: f.Variables, At: -1}
	if insert == "" {
		var problems []services.GraphQLProblem
		out.Query, out.Variables, problems = services.FormatGraphQL(f.Query, f.Variables)
		if len(problems) > 0 {
			p := problemViews(problems)[0]
			out.Problem = strings.TrimSpace(p.Place + " " + p.Text)
		}
	} else {
		var err error
		if out, err = a.insertField(r, f, insert); err != nil {
			return err
		}
	}
	if strings.HasPrefix(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(out)
	}
	f.Query, f.Variables = out.Query, out.Variables
	status := http.StatusOK
	if out.Problem != "" {
		status, f.problems = http.StatusUnprocessableEntity, services.Problems{"query": out.Problem}
	}
	return a.graphQLPage(w, r, status, f)
}

// insertField adds a field such as "Person.email" to the form's query.
func (a *app) insertField(r *http.Request, f graphQLForm, insert string) (edited, error) {
	out := edited{Query: f.Query, Variables: f.Variables, At: -1}
	docs, err := a.GraphQL.Docs(r.Context(), orgOf(r), f.Connection)
	if err != nil {
		return out, err
	}
	if docs == nil {
		out.Problem = "There is no schema of this connection here, so nothing can be added."
		return out, nil
	}
	of, field, _ := strings.Cut(insert, ".")
	text, at, problem := docs.Insert(f.Query, f.Operation, of, field)
	if out.Problem = problem; problem == "" {
		out.Query, out.At = text, len(utf16.Encode([]rune(text[:at])))
	}
	return out, nil
}

// insertHref leads from the schema's pages to a query with a field in it.
func (b schemaBook) insertHref(of, field string) string {
	if b.edit == "" {
		return ""
	}
	return b.edit + "&insert=" + url.QueryEscape(of+"."+field)
}

// queryPath is where a query of the schema's page is written: the one it was
// come from by ?run= or ?saved=, or a new one.
func queryPath(r *http.Request, conn services.ConnectionID) (path string, from []templates.HiddenView) {
	path = orgPath(r, "graphql?connection=%d", conn)
	for _, name := range []string{"run", "saved"} {
		if id := idOf(r.URL.Query().Get(name)); id != 0 {
			path += fmt.Sprintf("&%s=%d", name, id)
			from = append(from, templates.HiddenView{Name: name, Value: fmt.Sprint(id)})
		}
	}
	return path, from
}
