package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

// Limits of a page of the schema.
const (
	schemaHits  = 60
	schemaUses  = 80
	schemaTypes = 300
)

// graphQLSchema handles GET /graphql/schema: ?connection=, ?q= searches, ?type=
// shows a type.
func (a *app) graphQLSchema(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	conn := services.ConnectionID(idOf(q.Get("connection")))
	if err := a.ourConnection(r, conn, nil); err != nil {
		return err
	}
	conns, err := a.rocketConnections(r)
	if err != nil {
		return err
	}
	if conn == 0 {
		if len(conns) == 0 {
			http.Redirect(w, r, orgPath(r, "graphql"), http.StatusSeeOther)
			return nil
		}
		conn = conns[0].ID
	}
	here := orgPath(r, "graphql/schema")
	edit, from := queryPath(r, conn)
	v := templates.SchemaView{
		Now: a.now(), URL: here, BackURL: edit, FetchURL: here, FetchDisabled: whyNotSupport(r), LockURL: orgPath(r, "graphql/mutations"),
		Filter: templates.FilterView{Action: here, Submit: "Search"},
		Search: templates.FieldView{ID: "q", Name: "q", Label: "Search", Type: "search", Value: q.Get("q"), Hint: "A type, a field, a value, or Type.field"},
		Hidden: append(from, templates.HiddenView{Name: "connection", Value: fmt.Sprint(conn)}),
	}
	if len(conns) > 1 {
		v.Connection, v.Connections = connectionChoice(conns, int64(conn))
	}
	s, err := a.GraphQL.Schema(r.Context(), orgOf(r), conn)
	if err != nil {
		return err
	}
	v.Known, v.FetchedAt, v.Problem, v.ChangeCount, v.ChangedAt = s.Known, s.FetchedAt, s.Problem, s.ChangeCount, s.ChangedAt
	for _, c := range s.Changes {
		v.Changes = append(v.Changes, templates.SchemaChangeView{Kind: c.Kind, Where: c.Where, What: c.What, Breaks: c.Breaks})
	}
	if s.Asking != 0 {
		v.Asking = orgPath(r, "asks/%d", s.Asking)
	}
	if may(r, services.Admin) {
		if err := a.lockField(r, conn, &v); err != nil {
			return err
		}
	}
	docs, err := a.GraphQL.Docs(r.Context(), orgOf(r), conn)
	if err != nil {
		return err
	}
	if docs != nil {
		at := url.Values{"connection": {fmt.Sprint(conn)}}
		for _, h := range from {
			at.Set(h.Name, h.Value)
		}
		b := schemaBook{docs: docs, here: here + "?" + at.Encode()}
		if may(r, services.Support) {
			b.edit = edit
		}
		if err := b.fill(&v, q.Get("q"), q.Get("type")); err != nil {
			return err
		}
		v.Facts = append(v.Facts, templates.DefView{Term: "Fetched", Content: templates.Time(s.FetchedAt)}, templates.DefView{Term: "Last asked for", Content: templates.Time(s.AskedAt)}, templates.DefView{Term: "Types", Text: fmt.Sprint(s.Types)})
	}
	return a.page(w, r, http.StatusOK, "Schema", "graphql", templates.GraphQLSchema(v))
}

// lockField is the switch for mutations.
func (a *app) lockField(r *http.Request, conn services.ConnectionID, v *templates.SchemaView) error {
	from, err := a.GraphQL.Lock(r.Context(), orgOf(r), conn)
	v.Lock = &templates.FieldView{ID: "role", Name: "role", Label: "Who may run mutations", Value: from.String(), Hint: "A mutation changes data at LogRocket, and Sightline cannot take it back. Each is in the history with its text. Forms and schedules never run one."}
	v.Locks = []templates.OptionView{{Label: "Nobody: mutations are locked"}, {Value: "support", Label: "Support and above"}, {Value: "admin", Label: "Admins and owners"}, {Value: "owner", Label: "Owners"}}
	return err
}

// schemaBook reads in a schema and knows the addresses of its pages.
type schemaBook struct {
	docs *services.GraphQLDocs
	here string
	edit string // where fields are added to a query; empty for nowhere
}

func (b schemaBook) link(name string) templates.LinkView {
	return templates.LinkView{Label: name, Href: b.href(name)}
}

func (b schemaBook) href(name string) string { return b.here + "&type=" + url.QueryEscape(name) }

func (b schemaBook) fill(v *templates.SchemaView, search, name string) error {
	query, mutation, subscription := b.docs.Roots()
	for _, root := range []struct{ term, name string }{{"Queries begin at", query}, {"Mutations begin at", mutation}, {"Subscriptions begin at", subscription}} {
		if root.name != "" {
			v.Facts = append(v.Facts, templates.DefView{Term: root.term, Text: root.name, Mono: true})
		}
	}
	if search != "" {
		v.Searched, v.Hits = true, b.hits(search, schemaHits)
		return nil
	}
	if name != "" {
		doc, ok := b.docs.Type(name)
		if !ok {
			return &services.Error{Kind: services.NotFound, Msg: "The schema has no such type any more."}
		}
		v.Type = b.typeView(doc)
		if n := len(v.Type.Fields) - schemaTypes; n > 0 {
			v.Type.Fields, v.Type.MoreFields = v.Type.Fields[:schemaTypes], n
		}
		return nil
	}
	names := b.docs.TypeNames()
	v.Types = append(v.Types, b.link(query))
	for _, n := range names[:min(len(names), schemaTypes)] {
		if n != query {
			v.Types = append(v.Types, b.link(n))
		}
	}
	v.MoreTypes = max(0, len(names)-schemaTypes)
	return nil
}

// hits are what a search finds.
func (b schemaBook) hits(search string, most int) (out []templates.SchemaHitView) {
	for _, h := range b.docs.Search(search, most) {
		hit := templates.SchemaHitView{Href: b.href(h.Type), Name: h.Type, Type: h.Type, Shape: h.Shape, Description: h.Description, Deprecated: h.Deprecated}
		if h.Field != "" {
			hit.Name += "." + h.Field
			if doc, _ := b.docs.Type(h.Type); doc.Kind == "OBJECT" || doc.Kind == "INTERFACE" {
				hit.Field, hit.InsertHref = h.Field, b.insertHref(h.Type, h.Field)
			}
		}
		out = append(out, hit)
	}
	return out
}

// typeView is all that the schema says of a type.
func (b schemaBook) typeView(doc services.GraphQLType) *templates.SchemaTypeView {
	t := &templates.SchemaTypeView{Name: doc.Name, Kind: kindText(doc.Kind), Description: doc.Description, SpecURL: doc.URL}
	for _, f := range doc.Fields {
		field := templates.SchemaFieldView{Name: f.Name, Type: f.Type, TypeName: f.TypeName, TypeHref: b.href(f.TypeName), Description: f.Description, Default: f.Default, Deprecated: f.Deprecated, Reason: f.Reason}
		if doc.Kind != "INPUT_OBJECT" {
			field.InsertHref = b.insertHref(doc.Name, f.Name)
		}
		for _, arg := range f.Args {
			field.Args = append(field.Args, templates.SchemaFieldView{Name: arg.Name, Type: arg.Type, TypeName: arg.TypeName, Description: arg.Description, Default: arg.Default, Deprecated: arg.Deprecated, Reason: arg.Reason})
		}
		t.Fields = append(t.Fields, field)
	}
	for _, e := range doc.Values {
		t.Values = append(t.Values, templates.SchemaFieldView{Name: e.Name, Type: doc.Name, Description: e.Description, Deprecated: e.Deprecated, Reason: e.Reason})
	}
	for _, n := range doc.Interfaces {
		t.Interfaces = append(t.Interfaces, b.link(n))
	}
	for _, n := range doc.Possible {
		t.Possible = append(t.Possible, b.link(n))
	}
	b.addUses(t)
	return t
}

func (b schemaBook) addUses(t *templates.SchemaTypeView) {
	uses, more := b.docs.Uses(t.Name, schemaUses)
	t.MoreUses = more
	for _, u := range uses {
		l := b.link(u.Type)
		if u.Field != "" {
			l.Label += "." + u.Field
		}
		if u.Arg != "" {
			l.Label += "(" + u.Arg + ")"
		}
		t.Uses = append(t.Uses, l)
	}
}

func kindText(kind string) string {
	switch kind {
	case "INPUT_OBJECT":
		return "input"
	case "OBJECT":
		return "object"
	case "INTERFACE":
		return "interface"
	case "UNION":
		return "union"
	case "ENUM":
		return "enum"
	}
	return "scalar"
}

// fetchSchema handles POST /graphql/schema.
func (a *app) fetchSchema(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	conn := services.ConnectionID(idOf(r.PostForm.Get("connection")))
	ask, err := a.GraphQL.AskSchema(r.Context(), actorOf(r), conn)
	if err != nil {
		return err
	}
	if ask, err = a.Asks.Wait(r.Context(), orgOf(r), ask.ID, waitForVendor); err != nil {
		return err
	}
	kind, text := "info", "The schema is being fetched."
	switch ask.State {
	case services.AskDone:
		kind, text = "success", ask.Message
	case services.AskFailed, services.AskInterrupted:
		kind, text = "error", ask.Message
	}
	return a.redirect(w, r, orgPath(r, "graphql/schema?connection=%d", conn), kind, text)
}

// schemaFile handles GET /graphql/schema.json: the schema of ?connection= as the
// answer to an introspection, for the editor. Nothing (204) if there is none.
func (a *app) schemaFile(w http.ResponseWriter, r *http.Request) error {
	conn := services.ConnectionID(idOf(r.URL.Query().Get("connection")))
	if err := a.ourConnection(r, conn, nil); err != nil {
		return err
	}
	tag, err := a.GraphQL.SchemaTag(r.Context(), orgOf(r), conn)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", "private, no-cache")
	if tag == "" {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	h.Set("ETag", `"`+tag+`"`)
	if strings.Contains(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	docs, err := a.GraphQL.Docs(r.Context(), orgOf(r), conn)
	if err != nil || docs == nil {
		return err
	}
	body, err := docs.Introspection()
	if err != nil {
		return err
	}
	h.Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the reader may be gone
	return nil
}

// lockGraphQL handles POST /graphql/mutations: who may run mutations through a
// connection.
func (a *app) lockGraphQL(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	conn := services.ConnectionID(idOf(r.PostForm.Get("connection")))
	from := services.ParseRole(r.PostForm.Get("role"))
	if err := a.GraphQL.SetLock(r.Context(), actorOf(r), conn, from); err != nil {
		return err
	}
	text := "Mutations are locked for this connection."
	if from != services.NoRole {
		text = fmt.Sprintf("Mutations run through this connection from the role %s on.", from)
	}
	return a.redirect(w, r, orgPath(r, "graphql/schema?connection=%d", conn), "success", text)
}
