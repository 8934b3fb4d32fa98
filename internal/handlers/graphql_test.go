package handlers_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/services"
)

// workbench is a LogRocket that answers GraphQL as a test says.
type workbench struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string
	answer func(query string, variables map[string]any) (int, string)
}

func (v *workbench) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Query     string
		Variables map[string]any
	}
	body, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(body, &in)
	v.mu.Lock()
	v.asked = append(v.asked, in.Query)
	status, text := v.answer(in.Query, in.Variables)
	v.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if strings.HasPrefix(text, "<") {
		w.Header().Set("Content-Type", "text/html")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func (v *workbench) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.asked)
}

const smallSchema = `{"data":{"__schema":{"queryType":{"name":"Query"},"mutationType":{"name":"Mutation"},"types":[
	{"kind":"OBJECT","name":"Query","fields":[{"name":"people","description":"All <b>people</b>.","args":[{"name":"first","type":{"kind":"SCALAR","name":"Int"},"defaultValue":"10"}],"type":{"kind":"LIST","ofType":{"kind":"OBJECT","name":"Person"}}}]},
	{"kind":"OBJECT","name":"Mutation","fields":[{"name":"drop","args":[],"type":{"kind":"SCALAR","name":"String"}}]},
	{"kind":"OBJECT","name":"Person","fields":[{"name":"email","type":{"kind":"SCALAR","name":"String"}},{"name":"visits","isDeprecated":true,"deprecationReason":"Use stays.","type":{"kind":"SCALAR","name":"Int"}},
		{"name":"tags","type":{"kind":"LIST","ofType":{"kind":"OBJECT","name":"Tag"}}}]},
	{"kind":"OBJECT","name":"Tag","fields":[{"name":"word","type":{"kind":"SCALAR","name":"String"}}]}]}}}`

const peopleAnswered = `{"data":{"people":[{"email":"ada@example.com","visits":3,"tags":[{"word":"vip"},{"word":"<script>"}]},{"email":"=1+1","visits":null,"tags":[]}]},
	"errors":[{"message":"visits of <i>2</i> unknown","path":["people",1,"visits"],"locations":[{"line":2,"column":9}],"extensions":{"code":"GONE"}}]}`

func newWorkbench(t *testing.T) (*workbench, *site) {
	t.Helper()
	t.Parallel()
	v := &workbench{answer: func(query string, _ map[string]any) (int, string) {
		if strings.Contains(query, "__schema") {
			return 200, smallSchema
		}
		return 200, peopleAnswered
	}}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	s := newSiteWith(t, siteOptions{vendors: services.Vendors{LogRocketURL: v.URL, LogRocketAppURL: v.URL, Timeout: time.Minute}, now: time.Now})
	if _, problems, err := s.services.Connections.Add(t.Context(), services.CommandLine(s.org.ID), services.ConnectionForm{
		Vendor: services.LogRocket, Name: "Web app", Key: services.NewSecret("acme:web:key"),
	}); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	return v, s
}

const graphQLAt = "/o/acme/graphql"

// runs sends the form and follows it to the ended run.
func (b *browser) runs(query string, pairs ...string) (path string, a answer) {
	b.t.Helper()
	form := b.get(graphQLAt).fields(b.t, graphQLAt)
	form.Set("query", query)
	form.Set("do", "run")
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	a = b.send(graphQLAt, form)
	if a.status != http.StatusSeeOther {
		b.t.Fatalf("%q was not run: %d\n%s", query, a.status, a.body)
	}
	return a.location, b.until(a.location, "About this run", "Server")
}

func TestAQueryIsRunAndItsAnswerShownInEachWay(t *testing.T) {
	v, s := newWorkbench(t)
	b := s.as(t, "support@example.com")
	b.get(graphQLAt).wants(t, 200, "no schema of this connection here yet", "__typename", "Nothing yet")
	const query = "query P {\n people { email visits tags { word } }\n}"
	path, a := b.runs(query)
	a.wants(t, 200, "with data and 1 error", "visits of &lt;i&gt;2&lt;/i&gt; unknown", "GONE", "line 2, column 9", "people › 1 › visits",
		"ada@example.com", "2 entries", `href="#error-1"`, "people (2 rows)", "people › tags (2 rows)")
	b.get(path+"?list=people/tags").wants(t, 200, "people.email", "&lt;script&gt;", "vip")
	b.get(path+"?show=json").wants(t, 200, "<details open", "&#34;ada@example.com&#34;", "[2 entries]")
	if found := b.get(path + "?show=json&find=VIP"); found.status != 200 || !strings.Contains(found.body, "1 place has it") || !strings.Contains(found.body, "<mark>&#34;vip&#34;</mark>") || strings.Contains(found.body, `<b>errors<`) {
		t.Errorf("search: %d %s", found.status, found.body)
	}
	b.get(path+"?show=json&at=data/people/1").wants(t, 200, "&#34;=1+1&#34;", "The whole answer")
	b.get(path+"?show=json&at=data/people/9").wants(t, 404)
	b.get(path+"?show=raw").wants(t, 200, "&#34;path&#34;:[&#34;people&#34;,1,&#34;visits&#34;]")
	if file := b.get(path + "/table.csv?list=people"); file.status != 200 || !strings.Contains(file.body, "email,visits,tags\r\n") || !strings.Contains(file.body, "'=1+1,,") {
		t.Errorf("file: %d %q", file.status, file.body)
	}
	if file := b.get(path + "/table.json?list=people"); file.status != 200 || !strings.HasPrefix(file.body, "[\n{\"email\":\"ada@example.com\",\"visits\":3,\"tags\":") || !strings.Contains(file.body, `"visits":null`) || !json.Valid([]byte(file.body)) {
		t.Errorf("file: %d %q", file.status, file.body)
	}
	if file := b.get(path + "/answer.json"); file.status != 200 || file.body != peopleAnswered {
		t.Errorf("file: %d %q", file.status, file.body)
	}
	b.get(graphQLAt).wants(t, 200, ">P</a>", "answered")
	b.get(graphQLAt+"?run="+path[strings.LastIndex(path, "/")+1:]).wants(t, 200, "people { email visits")
	b.get("/o/acme/history").wants(t, 200, "Ran the GraphQL query P")
	s.as(t, "viewer@example.com").get(path).wants(t, 200, "ada@example.com") // a link can be passed on

	// The same form a second time is the same run.
	before := v.count()
	form := b.get(graphQLAt).fields(t, graphQLAt)
	form.Set("query", query)
	form.Set("do", "run")
	first, second := b.send(graphQLAt, form), b.send(graphQLAt, form)
	if first.location != second.location {
		t.Errorf("two presses made %s and %s", first.location, second.location)
	}
	b.until(second.location, "ada@example.com")
	if n := v.count() - before; n != 1 {
		t.Errorf("%d were sent", n)
	}
}

func TestWhatIsWrongComesBackWithItsPlace(t *testing.T) {
	v, s := newWorkbench(t)
	b := s.as(t, "support@example.com")
	b.send(graphQLAt+"/schema", b.get(graphQLAt+"/schema").fields(t, graphQLAt+"/schema"))
	b.until(graphQLAt+"/schema", "About this schema")
	before := v.count()
	post := func(query string, pairs ...string) answer {
		return b.post(graphQLAt, append([]string{"connection", "1", "query", query, "token", "t", "do", "run"}, pairs...)...)
	}
	post("{ people {").wants(t, 422, "Line 1, column 1", "{ people {")
	post("{ persons { email } }").wants(t, 422, "Line 1, column 3", "Cannot query field", "Run anyway")
	post("query A { people { email } } query B { people { visits } }").wants(t, 422, "several operations", `<option value="B">B (query)</option>`)
	post("query A($n: Int!) { people(first: $n) { email } }", "variables", `{"n": "x"}`).wants(t, 422, "$n must be a whole number")
	post("{ people { email } }", "variables", "{").wants(t, 422, "The variables are not JSON")
	post("query R { people { email } } mutation M { drop }", "operation", "M").wants(t, 422, "This may not run", "it changes data")
	post("subscription { people { email } }").wants(t, 422, "does not run subscriptions")
	b.post(graphQLAt, "connection", "1", "query", "{ people { email } }", "do", "check").wants(t, 200, "Nothing is wrong with it")
	if n := v.count() - before; n != 0 {
		t.Errorf("%d were sent", n)
	}
	a := b.post(graphQLAt, "connection", "1", "query", "{ persons { email } }", "do", "anyway", "token", "u")
	b.until(a.location, "About this run", "Server")
	if n := v.count() - before; n != 1 {
		t.Errorf("%d were sent", n)
	}
}

func TestAnAdminTurnsTheLockOnMutations(t *testing.T) {
	v, s := newWorkbench(t)
	b, admin := s.as(t, "support@example.com"), s.as(t, "admin@example.com")
	mutation := []string{"connection", "1", "query", "mutation M { drop }", "do", "run", "token", "t"}
	if strings.Contains(b.get(graphQLAt+"/schema").body, "Who may run mutations") {
		t.Error("who may not turn the lock is shown it")
	}
	b.post(graphQLAt, mutation...).wants(t, 422, "locked for this connection")
	admin.send(graphQLAt+"/mutations", func() map[string][]string {
		f := admin.get(graphQLAt+"/schema").fields(t, graphQLAt+"/mutations")
		f.Set("role", "support")
		return f
	}()).wants(t, 303)
	admin.get("/o/acme/history").wants(t, 200, "Allowed GraphQL mutations through “Web app” from the role support on")
	a := b.post(graphQLAt, mutation...)
	b.until(a.location, "About this run", "Server")
	if n := v.count(); n != 1 {
		t.Errorf("%d were sent, want the mutation that was allowed", n)
	}
	admin.post(graphQLAt+"/mutations", "connection", "1", "role", "").wants(t, 303)
	b.post(graphQLAt, append(mutation, "token", "u")...).wants(t, 422, "locked for this connection")
	b.get("/o/acme/history?kind=graphql").wants(t, 200, "Ran the GraphQL mutation M")
}

func TestASchemaIsReadIn(t *testing.T) {
	v, s := newWorkbench(t)
	b := s.as(t, "support@example.com")
	page := graphQLAt + "/schema"
	b.get(page).wants(t, 200, "No schema here yet")
	b.send(page, b.get(page).fields(t, page))
	b.until(page, "About this schema", "Person")
	b.get(graphQLAt).wants(t, 200, "Checked against the schema of", "people {")
	b.get(page+"?type=Person").wants(t, 200, "email", "deprecated", "Use stays.", "Query.people", "[Tag]")
	b.get(page+"?type=Query").wants(t, 200, "All &lt;b&gt;people&lt;/b&gt;.", "first: Int", "10")
	b.get(page+"?q=visi").wants(t, 200, "Person.visits")
	b.get(page+"?q=nothing+such").wants(t, 200, "Nothing of that name")
	b.get(page+"?type=Nope").wants(t, 404)
	v.mu.Lock()
	v.answer = func(string, map[string]any) (int, string) {
		return 200, strings.Replace(smallSchema, `"email"`, `"mail"`, 1)
	}
	v.mu.Unlock()
	b.send(page, b.get(page).fields(t, page))
	b.until(page, "2 differences", "Person.email", "may break queries")
	v.mu.Lock()
	v.answer = func(string, map[string]any) (int, string) {
		return 400, `{"errors":[{"message":"introspection disabled"}]}`
	}
	v.mu.Unlock()
	b.send(page, b.get(page).fields(t, page))
	b.until(page, "introspection is switched off", "Person.email", "About this schema")
}

func TestSavedQueriesAreSharedAndRunAgain(t *testing.T) {
	_, s := newWorkbench(t)
	b, other := s.as(t, "support@example.com"), s.as(t, "admin@example.com")
	save := func(pairs ...string) answer {
		return b.post(graphQLAt, append([]string{"connection", "1", "query", "{ people { email } }", "do", "save"}, pairs...)...)
	}
	save("name", " ").wants(t, 422, "Give the query a name.")
	a := save("name", "Everybody", "description", "For <tickets>")
	if a.status != 303 || !strings.Contains(a.location, "saved=1") {
		t.Fatalf("%d %s", a.status, a.location)
	}
	save("name", "everybody").wants(t, 422, "There is a query of that name already")
	other.get(graphQLAt+"/saved").wants(t, 200, "Everybody", "For &lt;tickets&gt;")
	form := other.get(a.location).fields(t, graphQLAt)
	if form.Get("query") != "{ people { email } }" || form.Get("name") != "Everybody" || form.Get("saved") != "1" {
		t.Errorf("the form is filled with %v", form)
	}
	form.Set("do", "run")
	run := other.send(graphQLAt, form)
	other.until(run.location, "About this run", "<h1")
	if !regexp.MustCompile(`(?s)<h1[^>]*>\s*Everybody`).MatchString(other.get(run.location).body) {
		t.Error("the run does not name its saved query")
	}
	other.post(graphQLAt+"/saved/1/delete").wants(t, 303)
	other.get(run.location).wants(t, 200, "About this run") // its runs stay
	b.get(a.location).wants(t, 404)
}

func TestARunThatTakesLongIsShownWaitingAndCanBeStopped(t *testing.T) {
	v, s := newWorkbench(t)
	let := make(chan struct{})
	v.answer = func(string, map[string]any) (int, string) { <-let; return 200, peopleAnswered }
	b := s.as(t, "support@example.com")
	a := b.post(graphQLAt, "connection", "1", "query", "{ people { email } }", "do", "run", "token", "t")
	b.get(a.location).wants(t, 200, "Waiting for the server", `hx-trigger="every 1s`, "/stop")
	b.post(a.location+"/stop").wants(t, 303)
	close(let)
	b.get(a.location).wants(t, 200, "Stopped", "No answer to show")
}

func TestOnlyTheChosenOperationLeaves(t *testing.T) {
	v, s := newWorkbench(t)
	b := s.as(t, "support@example.com")
	b.runs("query R { people { ...F } } # not this\nmutation M { drop }\nfragment F on Person { email }\nfragment G on Mutation { drop }", "operation", "R")
	v.mu.Lock()
	defer v.mu.Unlock()
	const want = "query R { people { ...F } }\n\nfragment F on Person { email }"
	if len(v.asked) != 1 || v.asked[0] != want {
		t.Errorf("%q was sent, want %q", v.asked, want)
	}
}
