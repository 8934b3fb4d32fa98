package handlers_test

import (
	"fmt"
	"strings"
	"testing"
)

// answers makes the workbench answer queries so, with its schema as before.
func (v *workbench) answers(status int, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = func(string, map[string]any) (int, string) { return status, text }
}

// Whatever a server answers, the run ends with a sentence that says what came,
// and nothing of the answer is lost or breaks the page.
func TestAnyAnswerIsShownForWhatItIs(t *testing.T) {
	v, s := newWorkbench(t)
	b := s.as(t, "support@example.com")
	deep := strings.Repeat(`{"a":`, 150) + "1" + strings.Repeat("}", 150)
	for i, tt := range []struct {
		name, query string
		status      int
		body        string
		want        []string
	}{
		{"errors and no data", "", 200, `{"errors":[{"message":"Not you.","locations":[{"line":1,"column":3}],"path":["a"],"extensions":{"code":"DENIED","more":{"x":[1]}}}]}`, []string{"1 error and no data", "Not you.", "DENIED", "line 1, column 3"}},
		{"400 with errors", "", 400, `{"errors":[{"message":"Cannot query field <b>x</b>."}]}`, []string{"1 error and no data", "Cannot query field &lt;b&gt;x&lt;/b&gt;."}},
		{"422 with errors", "", 422, `{"errors":[{"message":"Unprocessable."}],"data":null}`, []string{"1 error and no data", "Unprocessable."}},
		{"500 with errors", "", 500, `{"errors":[{"message":"Resolver broke."}]}`, []string{"cannot be reached or fails", "Resolver broke."}},
		{"null", "", 200, `{"data":null}`, []string{"The server answered.", "About this run"}},
		{"an empty object", "", 200, `{"data":{}}`, []string{"The server answered."}},
		{"an empty list of errors", "", 200, `{"data":{"a":"both"},"errors":[]}`, []string{"The server answered.", "both"}},
		{"no errors in words", "", 200, `{"data":{"a":1},"errors":null}`, []string{"The server answered."}},
		{"errors that are no list", "", 200, `{"data":{"a":1},"errors":"boom"}`, []string{"data and 1 error", "boom"}},
		{"one error alone", "", 200, `{"errors":{"message":"Only one."}}`, []string{"1 error and no data", "Only one."}},
		{"errors that are no objects", "", 200, `{"errors":["boom",null,5,{"message":7},{"message":"ok","path":"a","locations":{}}]}`, []string{"5 errors and no data", "boom", "ok", "null"}},
		{"a path into a list and a name with dots", "{ a { b } }", 200, `{"data":{"a":[{"b":1},{"b":null}]},"errors":[{"message":"m","path":["a",1,"b"]}]}`, []string{"a › 1 › b", `href="#error-1"`}},
		{"extensions beside", "", 200, `{"data":{"a":1},"extensions":{"cost":5},"hasNext":false}`, []string{"The server answered."}},
		{"lists of lists", "{ g }", 200, `{"data":{"g":[[1,2],[],[[3]],null]}}`, []string{"The server answered.", "4 rows"}},
		{"a union", "{ t { __typename ... on A { x } ... on B { y { z } } } }", 200, `{"data":{"t":[{"__typename":"A","x":1},{"__typename":"B","y":{"z":"<i>"}},null]}}`, []string{"y.z", "&lt;i&gt;", "t (3 rows)"}},
		{"large numbers", "{ a b c }", 200, `{"data":{"a":9007199254740993,"b":1e400,"c":-0.10}}`, []string{"9007199254740993", "1e400", "-0.10"}},
		{"odd letters", "", 200, `{"data":{"a":"\u0000\u202e\ud800 <script>alert(1)</script>"}}`, []string{"&lt;script&gt;"}},
		{"very deep", "", 200, `{"data":{"a":` + deep + `}}`, []string{"The server answered."}},
		{"a key twice", "", 200, `{"data":{"a":1,"a":2}}`, []string{"The server answered."}},
		{"a byte order mark", "", 200, "\ufeff" + `{"data":{"a":4141}}`, []string{"The server answered.", "4141"}},
		{"spaces around", "", 200, "\r\n " + `{"data":{"a":4242}}` + " \n", []string{"The server answered.", "4242"}},
		{"a list of answers", "", 200, `[{"data":{"a":1}}]`, []string{"answered with something else than expected"}},
		{"half a JSON", "", 200, `{"data":{"a":[1,2`, []string{"answered with something else than expected"}},
		{"another JSON", "", 200, `{"message":"Hello"}`, []string{"answered with something else than expected"}},
		{"nothing", "", 200, ``, []string{"answered with something else than expected"}},
		{"plain text", "", 200, `Must provide query string.`, []string{"answered with something else than expected", "Must provide query string."}},
		{"a page", "", 200, `<!doctype html><title>Sign in</title><script>alert(1)</script>`, []string{"answered with something else than expected", "&lt;title&gt;"}},
		{"an error page", "", 502, `<html><h1>Bad gateway</h1></html>`, []string{"cannot be reached or fails", "502"}},
		{"no such address", "", 404, `<html>nothing here</html>`, []string{"no GraphQL at", "404"}},
		{"no such address in JSON", "", 404, `{"error":"no route"}`, []string{"no GraphQL at", "no route"}},
		{"GET alone", "", 405, `Method Not Allowed`, []string{"405"}},
		{"a key that is not taken", "", 401, `{"errors":[{"message":"Who are you?"}]}`, []string{"does not accept the credentials", "Who are you?"}},
		{"a key that may not", "", 403, `{"message":"Upgrade"}`, []string{"may not do this", "Upgrade"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v.answers(tt.status, tt.body)
			query := tt.query
			if query == "" {
				query = "{ a }"
			}
			a := b.post(graphQLAt, "connection", "1", "query", query, "do", "run", "token", fmt.Sprint("odd", i))
			if a.status != 303 {
				t.Fatalf("it was not run: %d", a.status)
			}
			page := b.until(a.location, "About this run")
			for _, want := range tt.want {
				if !strings.Contains(page.body, want) {
					t.Errorf("%q is not on the page: %s", want, between(page.body, "<main", "</main>"))
				}
			}
			if strings.Contains(page.body, "<script>alert") {
				t.Error("the answer is part of the page")
			}
			for _, show := range []string{"?show=json", "?show=raw", "?list=nope&x=nope&y=nope"} {
				if strings.Contains(page.body, "No answer to show") {
					break
				}
				if a := b.get(a.location + show); a.status != 200 {
					t.Errorf("%s: %d", show, a.status)
				}
			}
		})
	}
}

// between is what stands on a page between two texts, short enough to read.
func between(page, from, to string) string {
	_, page, _ = strings.Cut(page, from)
	page, _, _ = strings.Cut(page, to)
	return page[:min(len(page), 1500)]
}

// Whatever a server says when it is asked for its schema, the page says which it
// was, and queries run all the same.
func TestAServerWithoutASchemaIsStillAsked(t *testing.T) {
	for _, tt := range []struct {
		name    string
		schema  func(query string) (int, string)
		want    string
		brought bool
	}{
		{"switched off", func(string) (int, string) {
			return 400, `{"errors":[{"message":"GraphQL introspection is not allowed by Apollo Server, but the query contained __schema","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`
		}, "introspection is switched off", false},
		{"a page", func(string) (int, string) { return 200, "<html>Sign in</html>" }, "web page", false},
		{"nothing there", func(string) (int, string) { return 404, "404 page not found" }, "There is no GraphQL at this address", false},
		{"no JSON", func(string) (int, string) { return 200, "Bad request: no query" }, "not JSON", false},
		{"no schema in it", func(string) (int, string) { return 200, `{"data":{"__schema":null}}` }, "not with a schema", false},
		{"a server of 2018", func(q string) (int, string) {
			for _, word := range []string{"isOneOf", "specifiedByURL", "isRepeatable"} {
				if strings.Contains(q, word) {
					return 400, `{"errors":[{"message":"Cannot query field \"` + word + `\" on type \"__Type\"."}]}`
				}
			}
			return 200, smallSchema
		}, "About this schema", true},
		{"a server of 2015", func(q string) (int, string) {
			if strings.Contains(q, "subscriptionType") || strings.Contains(q, "locations") {
				return 200, `{"errors":[{"message":"Cannot query field 'subscriptionType' on type '__Schema'."}]}`
			}
			return 200, smallSchema
		}, "About this schema", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, s := newWorkbench(t)
			v.answer = func(query string, _ map[string]any) (int, string) {
				if strings.Contains(query, "__schema") {
					return tt.schema(query)
				}
				return 200, `{"data":{"people":[{"email":"ada@example.com"}]}}`
			}
			b := s.as(t, "support@example.com")
			const page = graphQLAt + "/schema"
			b.send(page, b.get(page).fields(t, page))
			b.until(page, tt.want)
			if a := b.get(graphQLAt + "/schema.json?connection=1"); a.status != map[bool]int{true: 200, false: 204}[tt.brought] {
				t.Errorf("the editor is told: %d", a.status)
			}
			_, a := b.runs("{ people { email } }")
			a.wants(t, 200, "ada@example.com")
		})
	}
}

// With a schema of 2,000 types every page of the workbench stays small.
func TestPagesOfALargeSchemaStaySmall(t *testing.T) {
	v, s := newWorkbench(t)
	var types, roots strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&roots, `{"name":"t%d","description":"One of many.","args":[{"name":"first","type":{"kind":"SCALAR","name":"Int"}}],"type":{"kind":"OBJECT","name":"T%d"}},`, i, i)
		fmt.Fprintf(&types, `{"kind":"OBJECT","name":"T%d","fields":[{"name":"name","type":{"kind":"SCALAR","name":"String"}},{"name":"all","type":{"kind":"LIST","ofType":{"kind":"OBJECT","name":"T0"}}}]},`, i)
	}
	v.answers(200, `{"data":{"__schema":{"queryType":{"name":"Query"},"types":[`+types.String()+`{"kind":"OBJECT","name":"Query","fields":[`+strings.TrimSuffix(roots.String(), ",")+`]}]}}}`)
	b := s.as(t, "support@example.com")
	const page = graphQLAt + "/schema"
	b.send(page, b.get(page).fields(t, page))
	b.until(page, "About this schema")
	for path, most := range map[string]int{
		graphQLAt: 80, page: 80, page + "?type=T0": 60, page + "?type=Query": 200, page + "?q=t1": 60,
		graphQLAt + "?insert=T1999.all": 80,
	} {
		a := b.get(path)
		t.Logf("%s: %d KB", path, len(a.body)>>10)
		if a.status != 200 || len(a.body) > most<<10 {
			t.Errorf("%s: %d, %d KB, want at most %d", path, a.status, len(a.body)>>10, most)
		}
	}
	b.get(graphQLAt+"?connection=1&insert=T1999.all").wants(t, 200, "query T1999 {\n  t1999 {\n    all {\n      name\n    }\n  }\n}\n")
	if a := b.get(graphQLAt + "/schema.json?connection=1"); strings.Count(a.body, `"kind":"OBJECT","name":"T`) < 2000 {
		t.Errorf("the editor is told %d bytes", len(a.body))
	}
}

// However a mutation is dressed up, and whatever else is in the form, nothing but
// a query reaches a server whose mutations are locked.
func TestNoMutationGetsPastTheLock(t *testing.T) {
	v, s := newWorkbench(t)
	support, owner := s.as(t, "support@example.com"), s.as(t, "owner@example.com")
	v.answers(200, `{"data":{"a":1}}`)
	saved := owner.post(graphQLAt, "connection", "1", "query", "mutation M { drop }", "do", "save", "name", "Drop it").location
	for i, tt := range []struct{ query, operation, do string }{
		{"mutation { drop }", "", "run"},
		{"mutation { drop }", "", "anyway"},
		{"mutation { drop }", "", ""},
		{"mutation { drop }", "", "enter"},
		{"mutation { drop }", "", "nothing-such"},
		{"# query\nmutation { drop }", "", "run"},
		{"query A { a } mutation B { drop }", "B", "anyway"},
		{"query A { a } mutation B { drop }", "", "anyway"},
		{"query A { a } mutation A { drop }", "A", "anyway"},
		{"query A { a }\rmutation B { drop }", "A\nB", "run"},
		{`query A { a(x: """ """) } mutation B { drop }`, "B", "run"},
		{"\ufeffmutation A { query: drop }", "A", "run"},
		{"subscription { drop }", "", "anyway"},
		{"mutation{drop}query A{a}", "A", "run"}, // one has no name
		{"mutation M{drop}query A{a}", "A", "run"},
		{"query A{a(x:\"mutation{drop}\")}mutation M{drop}", "A", "anyway"},
	} {
		for _, b := range []*browser{support, owner} {
			a := b.post(graphQLAt, "connection", "1", "query", tt.query, "operation", tt.operation, "do", tt.do, "token", fmt.Sprint("lock", i))
			if a.status == 303 {
				b.until(a.location, "About this run", "The server answered.")
			}
		}
	}
	form := support.get(saved).fields(t, graphQLAt)
	form.Set("do", "run")
	if a := support.send(graphQLAt, form); a.status != 422 {
		t.Errorf("a saved mutation: %d", a.status)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.asked) == 0 {
		t.Error("not even a query was sent")
	}
	for _, q := range v.asked {
		if bare := strings.ReplaceAll(q, `"mutation{drop}"`, ""); strings.Contains(bare, "mutation") || strings.Contains(bare, "drop") || !strings.Contains(q, "query A") {
			t.Errorf("this was sent: %q", q)
		}
	}
}

// Of several operations each takes its own variables: those of another one stay
// in the form and are not sent.
func TestVariablesOfAnotherOperationStay(t *testing.T) {
	v, s := newWorkbench(t)
	var got []map[string]any
	v.answer = func(_ string, variables map[string]any) (int, string) {
		got = append(got, variables)
		return 200, `{"data":{"a":1}}`
	}
	b := s.as(t, "support@example.com")
	const query, values = "query A($n: Int!) { a(n: $n) } query B($m: Int) { a(m: $m) }", `{"n": 7, "m": 2}`
	for i, operation := range []string{"A", "B"} {
		a := b.post(graphQLAt, "connection", "1", "query", query, "operation", operation, "variables", values, "do", "run", "token", fmt.Sprint("own", i))
		if a.status != 303 {
			t.Fatalf("%s was not run: %d %s", operation, a.status, between(a.body, `<div class="note`, "</ul>"))
		}
		b.until(a.location, "The server answered.", "&#34;m&#34;", "&#34;n&#34;")
	}
	b.post(graphQLAt, "connection", "1", "query", query, "operation", "B", "variables", `{"m": 2, "typo": 1}`, "do", "run", "token", "typo").wants(t, 422, "no variable $typo")
	b.post(graphQLAt, "connection", "1", "query", query, "operation", "A", "variables", `{"m": 2}`, "do", "run", "token", "missing").wants(t, 422, "$n needs a value")
	v.mu.Lock()
	defer v.mu.Unlock()
	if fmt.Sprint(got) != "[map[n:7] map[m:2]]" {
		t.Errorf("%v was sent", got)
	}
}
