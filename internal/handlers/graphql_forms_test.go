package handlers_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"sightline/internal/services"
)

const formsAt = graphQLAt + "/forms"

// saves saves a query of a connection for the organization and returns its page.
func (b *browser) saves(connection, name, query string, pairs ...string) string {
	b.t.Helper()
	a := b.post(graphQLAt, append([]string{"connection", connection, "query", query, "do", "save", "name", name}, pairs...)...)
	_, id, ok := strings.Cut(a.location, "saved=")
	if a.status != http.StatusSeeOther || !ok {
		b.t.Fatalf("%q was not saved: %d %s", name, a.status, a.body)
	}
	return graphQLAt + "/saved/" + id
}

// publishes publishes a saved query and returns the form's page.
func (b *browser) publishes(saved string, pairs ...string) string {
	b.t.Helper()
	form := b.get(saved+"/form").fields(b.t, saved+"/form")
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	a := b.send(saved+"/form", form)
	if a.status != http.StatusSeeOther {
		b.t.Fatalf("not published: %d %s", a.status, a.body)
	}
	return a.location
}

func TestAQueryIsAskedThroughAForm(t *testing.T) {
	v, s := newWorkbench(t)
	asked := make(chan map[string]any, 9)
	v.answer = func(_ string, variables map[string]any) (int, string) {
		asked <- variables
		return 200, peopleAnswered
	}
	admin, support, viewer := s.as(t, "admin@example.com"), s.as(t, "support@example.com"), s.as(t, "viewer@example.com")
	saved := support.saves("1", "people.v2", "query P($first: Int! $words: [String!] $site: String = \"web\") { people(first: $first) { email visits tags { word } } }", "variables", `{"first": 5, "site": "shop"}`)
	support.get(saved).wants(t, 200, "people.v2", "Not published", "Publish as a form", "$first: Int!")
	viewer.get(saved).wants(t, 200, "Not published")

	// Whether viewers may spend is for an admin to say.
	form := support.get(saved+"/form").fields(t, saved+"/form")
	form.Set("role", "viewer")
	form.Set("label-first", "How many")
	form.Set("value-words", "[1")
	support.send(saved+"/form", form).wants(t, 422, "for an admin to say", "not a JSON list", "How many")
	path := support.publishes(saved, "title", "Who was here", "label-first", "How many", "note-first", "At most <b>100</b>.", "fixed-site", "1")
	viewer.get(formsAt).wants(t, 200, "No forms yet")
	viewer.get(path).wants(t, 200, "takes the role support")
	if a := viewer.post(path, "v-first", "2", "token", "t"); a.status != http.StatusForbidden {
		t.Errorf("a viewer asked: %d", a.status)
	}
	if again := admin.publishes(saved, "role", "viewer"); again != path {
		t.Errorf("published anew as %s, was %s", again, path)
	}

	viewer.get(formsAt).wants(t, 200, "Who was here", "every member")
	page := viewer.get(path)
	page.wants(t, 200, "How many", "At most &lt;b&gt;100&lt;/b&gt;.", `value="5"`, "One on each line.")
	if strings.Contains(page.body, "people(first") || strings.Contains(page.body, "v-site") {
		t.Error("the form shows the query, or a value that is not asked for")
	}
	viewer.get(path+"?v-first=77").wants(t, 200, `value="77"`)
	viewer.post(path, "v-first", "x", "v-words", "a", "token", "t").wants(t, 422, "is not a number", `value="x"`)
	viewer.post(path, "v-first", "", "token", "t").wants(t, 422, "needs a value")
	if len(asked) != 0 {
		t.Fatal("something was asked")
	}
	typed := page.fields(t, path)
	typed.Set("v-first", "7")
	typed.Set("v-words", "a\r\n b ")
	typed.Set("v-site", "another")
	a := viewer.send(path, typed)
	if again := viewer.send(path, typed); a.status != http.StatusSeeOther || again.location != a.location {
		t.Errorf("sent to %s and %s: %d", a.location, again.location, a.status)
	}
	viewer.until(a.location, "ada@example.com", "table.csv", "How many: 7, Words: a b", `value="7"`, "v-first=7")
	if got := <-asked; len(got) != 3 || got["first"] != 7.0 || got["site"] != "shop" || len(asked) != 0 {
		t.Errorf("asked with %v, and %d more", got, len(asked))
	}
	viewer.get(a.location+"&show=table&list=people/tags").wants(t, 200, "vip", "How many")
	support.get(a.location).wants(t, 200, "ada@example.com") // a link to it can be passed on
	admin.get("/o/acme/history").wants(t, 200, "Ran the GraphQL query P", "viewer@example.com", "as the form “Who was here”, from the role viewer on")

	// A run of something else is not shown as one of the form.
	other, _ := support.runs("{ people { email } }")
	viewer.get(path+"?run="+other[strings.LastIndex(other, "/")+1:]).wants(t, 404)

	support.post(saved+"/form/withdraw").wants(t, 303)
	viewer.get(path).wants(t, 404)
	viewer.post(path, "v-first", "1").wants(t, 404)
	support.post(saved+"/delete").wants(t, 303)
	support.get(saved).wants(t, 404)
}

// A form is of the query as it is now: what becomes of that must not let whoever
// fills it in do more than ask.
func TestAFormOfAChangedQueryStillOnlyReads(t *testing.T) {
	v, s := newWorkbench(t)
	admin := s.as(t, "admin@example.com")
	saved := admin.saves("1", "P", "query P($first: Int) { people(first: $first) { email } }")
	path := admin.publishes(saved, "role", "viewer")
	id := saved[strings.LastIndex(saved, "/")+1:]
	admin.post(graphQLAt+"/mutations", "connection", "1", "role", "support").wants(t, 303)
	change := func(query string) {
		t.Helper()
		admin.post(graphQLAt, "connection", "1", "query", query, "do", "save", "saved", id, "name", "P").wants(t, 303)
	}
	change("mutation M { drop }")
	viewer := s.as(t, "viewer@example.com")
	for _, b := range []*browser{viewer, admin} {
		b.get(path).wants(t, 200, "cannot be used now", "Only what reads")
		b.post(path, "token", "t").wants(t, 409, "Only what reads")
	}
	admin.get(saved+"/form").wants(t, 200, "This query cannot be a form")
	admin.post(saved+"/form", "title", "x", "role", "viewer").wants(t, 422, "Only what reads")
	change("query A { people { email } } query B { people { visits } }")
	viewer.post(path, "token", "t").wants(t, 409, "Choose the one to run")
	change("query P($since: String!) { people { email } }")
	viewer.get(path).wants(t, 200, "since")
	viewer.post(path, "v-first", "1", "token", "t").wants(t, 422, "needs a value")
	if n := v.count(); n != 0 {
		t.Errorf("%d were asked", n)
	}
	admin.post("/o/acme/settings/connections/1/remove", "confirm", "1").wants(t, 303)
	viewer.get(path).wants(t, 200, "was removed")
}

// Whoever may ask through a form may stop what they asked, and nothing else; the
// form is where they wait and come back to.
func TestWhatIsAskedThroughAFormIsStoppedByWhoeverAsked(t *testing.T) {
	v, s := newWorkbench(t)
	let := make(chan struct{})
	answer := sync.OnceFunc(func() { close(let) })
	t.Cleanup(answer)
	v.answer = func(string, map[string]any) (int, string) { <-let; return 200, peopleAnswered }
	s.member(t, s.org, "another@example.com", services.Viewer)
	admin, viewer, another := s.as(t, "admin@example.com"), s.as(t, "viewer@example.com"), s.as(t, "another@example.com")
	path := admin.publishes(admin.saves("1", "P", "{ people { email } }"), "role", "viewer")
	at := viewer.send(path, viewer.get(path).fields(t, path)).location
	run := graphQLAt + "/runs/" + at[strings.LastIndex(at, "=")+1:]

	page := viewer.get(at)
	page.wants(t, 200, "Waiting for the server", `hx-get="`+at+`"`, `href="`+at+`"`)
	viewer.get(at, "HX-Request", "true", "HX-Request-Type", "partial").wants(t, 200, "Waiting for the server", run+"/stop")
	if a := another.get(at); a.status != 200 || strings.Contains(a.body, run+"/stop") {
		t.Errorf("another viewer is offered to stop it: %d", a.status)
	}
	if a := another.post(run + "/stop"); a.status != http.StatusForbidden || !strings.Contains(a.body, "somebody else asked") {
		t.Errorf("another viewer stopped it: %d %s", a.status, a.body)
	}
	if a := viewer.send(run+"/stop", page.fields(t, run+"/stop")); a.status != http.StatusSeeOther || a.location != at {
		t.Errorf("stopped: %d, then %s", a.status, a.location)
	}
	answer()
	viewer.get(at).wants(t, 200, "Stopped while the server was answering")
	if a := viewer.get(at, "HX-Request", "true", "HX-Request-Type", "partial"); a.header.Get("HX-Refresh") != "true" {
		t.Error("whoever waits is not shown the end")
	}
	viewer.post(run+"/stop").wants(t, 303) // it has ended, so there is nothing to stop
}
