package handlers_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func TestTheEditorIsToldTheSchemaOnce(t *testing.T) {
	_, s := newWorkbench(t)
	b := s.as(t, "support@example.com")
	const file, page = graphQLAt + "/schema.json?connection=1", graphQLAt + "/schema"
	if a := b.get(file); a.status != 204 || a.body != "" {
		t.Errorf("without a schema: %d %q", a.status, a.body)
	}
	b.send(page, b.get(page).fields(t, page))
	b.until(page, "About this schema", "Person")
	a := b.get(file)
	if a.status != 200 || !strings.HasPrefix(a.body, `{"__schema":{"queryType":{"name":"Query"}`) || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %q %.200s", a.status, a.header.Get("Content-Type"), a.body)
	}
	tag := a.header.Get("ETag")
	if again := b.get(file, "If-None-Match", tag); again.status != 304 || again.body != "" {
		t.Errorf("the same again: %d %q", again.status, again.body)
	}
	s.as(t, "viewer@example.com").get(file).wants(t, 200, "Person")
}

// The editor brings its styles with the page's nonce; no other page takes any.
func TestOnlyTheEditorsPageTakesItsStyles(t *testing.T) {
	_, s := newWorkbench(t)
	b := s.as(t, "support@example.com")
	policy := regexp.MustCompile(`style-src 'self' 'nonce-([\w-]+)';`)
	a := b.get(graphQLAt)
	m := policy.FindStringSubmatch(a.header.Get("Content-Security-Policy"))
	if m == nil || !regexp.MustCompile(`<script src="/static/graphql\.\w+\.js" defer nonce="`+m[1]+`"`).MatchString(a.body) {
		t.Errorf("the editor is not allowed its styles: %q", a.header.Get("Content-Security-Policy"))
	}
	if other := b.get(graphQLAt + "/saved"); policy.MatchString(other.header.Get("Content-Security-Policy")) || strings.Contains(other.body, "/static/graphql.") {
		t.Error("a page without the editor takes its styles or its script")
	}
}

// withSchema fetches the schema first.
func withSchema(t *testing.T) (*workbench, *site, *browser) {
	t.Helper()
	v, s := newWorkbench(t)
	b := s.as(t, "support@example.com")
	const page = graphQLAt + "/schema"
	b.send(page, b.get(page).fields(t, page))
	b.until(page, "About this schema", "Person")
	return v, s, b
}

func TestTheSchemaIsReadBesideTheEditorAndNothingTypedIsLost(t *testing.T) {
	v, s, b := withSchema(t)
	b.get(graphQLAt).wants(t, 200, `id="docs"`, "All &lt;b&gt;people&lt;/b&gt;.", `value="insert:Query.people"`, `value="docs:Person"`)
	before := v.count()
	press := func(do, query string, pairs ...string) answer {
		return b.post(graphQLAt, append([]string{"connection", "1", "query", query, "variables", `{"a":1}`, "do", do, "token", "t"}, pairs...)...)
	}
	const odd = "{ people { <half"
	press("docs:Person", odd).wants(t, 200, "{ people { &lt;half", "{&#34;a&#34;:1}", "Use stays.", `value="insert:Person.tags"`, `name="docs" value="Person"`)
	press("docs:Gone", odd).wants(t, 200, "{ people { &lt;half", `name="docs" value="Query"`)
	press("find", odd, "docs-q", "visi").wants(t, 200, "{ people { &lt;half", "Person.visits", "deprecated", `value="insert:Person.visits"`)
	press("enter", odd, "docs-q", "nothing such", "docs-was", "").wants(t, 200, "{ people { &lt;half", "Nothing of that name")
	press("enter", odd, "docs-q", "x", "docs-was", "x").wants(t, 422, "{ people { &lt;half", "Nothing was sent")
	press("insert:Person.tags", "{ people { email } }").wants(t, 200, "{\n  people {\n    email\n    tags {\n      word\n    }\n  }\n}\n")
	press("insert:Person.tags", odd).wants(t, 422, "{ people { &lt;half", "Nothing can be added while the query cannot be read")
	press("insert:Person.gone", "{ people { email } }").wants(t, 422, "{ people { email } }", "no field Person.gone")
	press("format", "{people{email}}#all").wants(t, 200, "{\n  people {\n    email\n  }\n} #all\n", "{\n  &#34;a&#34;: 1\n}")
	press("format", odd).wants(t, 422, "{ people { &lt;half", "Line 1, column 12")
	if n := v.count() - before; n != 0 {
		t.Errorf("%d were sent", n)
	}

	part := func(b *browser, path string) answer {
		return b.get(path, "HX-Request", "true", "HX-Request-Type", "partial")
	}
	a := part(b, graphQLAt+"/docs?connection=1&type=Person")
	a.wants(t, 200, "Use stays.", `value="insert:Person.email"`)
	if strings.Contains(a.body, "<html") {
		t.Error("a whole page came as a part of one")
	}
	part(b, graphQLAt+"/docs?connection=1&q=word").wants(t, 200, "Tag.word")
	if a := b.get(graphQLAt + "/docs?connection=1&type=Tag"); a.status != 303 || a.location != graphQLAt+"/schema?connection=1&type=Tag" {
		t.Errorf("a copied address: %d %s", a.status, a.location)
	}
	if body := s.as(t, "viewer@example.com").get(graphQLAt).body; strings.Contains(body, `id="docs"`) || strings.Contains(body, "Prettify") {
		t.Error("who may not send the form is shown its buttons")
	}
}

func TestTheEditorIsAnsweredWithTheTextAlone(t *testing.T) {
	_, _, b := withSchema(t)
	ask := func(do, query string) answer {
		form := url.Values{"connection": {"1"}, "query": {query}, "variables": {`{"b": 1, "a": [1.50]}`}, "do": {do}}
		return b.do("POST", graphQLAt, form.Encode(), "Accept", "application/json", "Content-Type", "application/x-www-form-urlencoded")
	}
	for _, tt := range []struct{ do, query, want string }{
		{"insert:Person.tags", "# ü😀\n{ people { email } }", `{"query":"# ü😀\n{\n  people {\n    email\n    tags {\n      word\n    }\n  }\n}\n","variables":"{\"b\": 1, \"a\": [1.50]}","at":33,"problem":""}`},
		{"insert:Person.tags", "{", `{"query":"{","variables":"{\"b\": 1, \"a\": [1.50]}","at":-1,"problem":"Nothing can be added while the query cannot be read: `},
		{"format", "{people{email}}", `{"query":"{\n  people {\n    email\n  }\n}\n","variables":"{\n  \"b\": 1,\n  \"a\": [\n    1.50\n  ]\n}","at":-1,"problem":""}`},
	} {
		if a := ask(tt.do, tt.query); a.status != 200 || a.header.Get("Content-Type") != "application/json" || !strings.HasPrefix(a.body, tt.want) {
			t.Errorf("%s: %d %.400s\nwant %s", tt.do, a.status, a.body, tt.want)
		}
	}
}

// From the schema's pages a link leads to the query that was come from, with the
// field in it.
func TestAFieldIsAddedFromTheSchemasPages(t *testing.T) {
	_, s, b := withSchema(t)
	path, _ := b.runs("{ people { email } }")
	id := path[strings.LastIndex(path, "/")+1:]
	edit := graphQLAt + "?run=" + id
	b.get(edit).wants(t, 200, "schema?connection=1&amp;run="+id)
	b.get(graphQLAt+"/schema?connection=1&type=Person&run="+id).wants(t, 200, `href="/o/acme/graphql?connection=1&amp;run=`+id+`&amp;insert=Person.tags"`, `schema?connection=1&amp;run=`+id+`&amp;type=Tag`)
	b.get(graphQLAt+"/schema?connection=1&q=tags").wants(t, 200, `href="/o/acme/graphql?connection=1&amp;insert=Person.tags"`)
	b.get(edit+"&insert=Person.tags").wants(t, 200, "{\n  people {\n    email\n    tags {\n      word\n    }\n  }\n}\n", `name="docs" value="Person"`)
	b.get(graphQLAt+"?connection=1&insert=Tag.word").wants(t, 200, "query People {\n  people {\n    tags {\n      word\n    }\n  }\n}\n")
	b.get(edit+"&insert=Person.nope").wants(t, 200, "{ people { email } }", "no field Person.nope")
	if body := s.as(t, "viewer@example.com").get(graphQLAt + "/schema?connection=1&type=Person").body; strings.Contains(body, "insert=") {
		t.Error("who may not run a query is led to one")
	}
}
