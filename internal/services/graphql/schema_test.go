package graphql_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sightline/internal/services/graphql"
)

// j is a piece of an introspection.
type j = map[string]any

func named(kind, name string) j { return j{"kind": kind, "name": name} }
func some(of any) j             { return j{"kind": "LIST", "ofType": of} }
func must(of any) j             { return j{"kind": "NON_NULL", "ofType": of} }

var (
	text  = named("SCALAR", "String")
	whole = named("SCALAR", "Int")
)

func fieldOf(name string, typ any, args ...j) j {
	return j{"name": name, "type": typ, "args": args, "description": "About " + name + "."}
}

// everything is a schema with one of each thing that the specification knows.
func everything() j {
	node := named("INTERFACE", "Node")
	return j{"data": j{"__schema": j{
		"description": "A shop.",
		"queryType":   j{"name": "Root"}, "mutationType": j{"name": "Changes"}, "subscriptionType": j{"name": "News"},
		"types": []j{
			{"kind": "OBJECT", "name": "Root", "fields": []j{
				fieldOf("node", node, j{"name": "id", "type": must(named("SCALAR", "ID"))}),
				fieldOf("things", must(some(must(named("UNION", "Thing")))), j{"name": "filter", "type": named("INPUT_OBJECT", "Filter"), "defaultValue": `{kind: OLD, tags: ["a", "b"], min: -1}`}),
				fieldOf("grid", some(some(must(whole)))),
				fieldOf("deep", some(some(some(some(some(text)))))),
				fieldOf("since", named("SCALAR", "DateTime"), j{"name": "from", "type": must(named("SCALAR", "DateTime")), "defaultValue": "now() this is no GraphQL {"}),
				{"name": "old", "type": text, "args": []j{}, "isDeprecated": true, "deprecationReason": "Use things."},
				fieldOf("one", text, j{"name": "by", "type": must(named("INPUT_OBJECT", "OneBy"))}),
			}},
			{"kind": "OBJECT", "name": "Changes", "fields": []j{fieldOf("remove", text, j{"name": "id", "type": must(named("SCALAR", "ID"))})}},
			{"kind": "OBJECT", "name": "News", "fields": []j{fieldOf("ticks", whole)}},
			{"kind": "INTERFACE", "name": "Node", "fields": []j{fieldOf("id", must(named("SCALAR", "ID")))}, "possibleTypes": []j{named("OBJECT", "User"), named("OBJECT", "Order")}},
			{"kind": "OBJECT", "name": "User", "interfaces": []j{node}, "fields": []j{fieldOf("id", must(named("SCALAR", "ID"))), fieldOf("email", text), fieldOf("orders", some(named("OBJECT", "Order")), j{"name": "first", "type": whole})}},
			{"kind": "OBJECT", "name": "Order", "interfaces": []j{node}, "fields": []j{fieldOf("id", must(named("SCALAR", "ID"))), fieldOf("total", named("SCALAR", "Money")), fieldOf("state", named("ENUM", "State"))}},
			{"kind": "UNION", "name": "Thing", "possibleTypes": []j{named("OBJECT", "User"), named("OBJECT", "Order")}},
			{"kind": "ENUM", "name": "State", "enumValues": []j{{"name": "OLD", "isDeprecated": true, "deprecationReason": "gone"}, {"name": "NEW"}}},
			{"kind": "INPUT_OBJECT", "name": "Filter", "inputFields": []j{{"name": "kind", "type": must(named("ENUM", "State"))}, {"name": "tags", "type": some(must(text))}, {"name": "min", "type": whole}, {"name": "and", "type": some(must(named("INPUT_OBJECT", "Filter")))}}},
			{"kind": "INPUT_OBJECT", "name": "OneBy", "isOneOf": true, "inputFields": []j{{"name": "id", "type": named("SCALAR", "ID")}, {"name": "email", "type": text}}},
			{"kind": "SCALAR", "name": "Money", "specifiedByURL": "https://example.com/money"},
			named("SCALAR", "DateTime"), text, named("SCALAR", "ID"),
		},
		"directives": []j{
			{"name": "cached", "locations": []string{"FIELD", "QUERY"}, "args": []j{{"name": "for", "type": must(whole), "defaultValue": "60"}}, "isRepeatable": false},
			{"name": "include", "locations": []string{"FIELD"}, "args": []j{{"name": "if", "type": must(named("SCALAR", "Boolean"))}}},
		},
	}}}
}

func body(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func schema(t testing.TB, v any) *graphql.Schema {
	t.Helper()
	s, err := graphql.ReadIntrospection(200, body(t, v))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestQueriesAreCheckedAgainstAnySchema(t *testing.T) {
	s := schema(t, everything())
	for _, tt := range []struct{ text, want string }{
		{"{ __typename __schema { types { fields { type { fields { name } } } } } __type(name: \"User\") { name } }", ""},
		{"{ node(id: 1) { id ... on User { email } ...O } } fragment O on Order { total state }", ""},
		{"{ things { __typename ... on User { email orders(first: 2) { id } } ... on Node { id } } }", ""},
		{"query($f: Filter = {kind: NEW, and: [{kind: OLD}]}, $i: Boolean!) { things(filter: $f) @include(if: $i) { __typename } }", ""},
		{"{ since grid deep old @cached one(by: {id: 1}) }", ""},
		{"{ a: old @skip(if: true) b: old }", ""},
		{"mutation { remove(id: \"x\") }", ""},
		{"subscription { ticks }", ""},
		{"{ nod(id: 1) { id } }", `Cannot query field "nod"`},
		{"{ node { id } }", `argument "id"`},
		{"{ node(id: 1) }", "subfields"},
		{"{ old { x } }", `field "x"`},
		{"{ things(filter: {kind: LATER}) { __typename } }", "LATER"},
		{"{ things(filter: {kin: OLD}) { __typename } }", "kin"},
		{"query($f: Nope) { things(filter: $f) { __typename } }", "Nope"},
		{"query($f: Int) { things(filter: $f) { __typename } }", `"$f"`},
		{"query($f: Filter) { things { __typename } }", "never used"},
		{"{ things(filter: $g) { __typename } }", `"$g"`},
		{"{ old @nope }", "nope"},
		{"{ node(id: 1) { ... on Thing { __typename } email } }", `"email"`},
		{"{ a: old a: since }", "conflict"},
		{"{ one(by: {id: 1, email: \"x\"}) }", "one"},
	} {
		d := mustParse(t, tt.text)
		problems := d.Validate(s, mustChoose(t, d, ""))
		switch {
		case tt.want == "" && len(problems) > 0:
			t.Errorf("%s: %v", tt.text, problems)
		case tt.want != "" && (len(problems) == 0 || !strings.Contains(problems[0].Text, tt.want) || problems[0].Line != 1 || problems[0].Column == 0):
			t.Errorf("%s: %v, want %q", tt.text, problems, tt.want)
		}
	}
	d := mustParse(t, "query A { old }\nquery B {\n  nope\n}")
	if p := d.Validate(s, mustChoose(t, d, "B")); len(p) != 1 || p[0].Place != (graphql.Place{Line: 3, Column: 3}) {
		t.Errorf("the place of a problem in the second operation: %v", p)
	}
	if p := d.Validate(s, mustChoose(t, d, "A")); len(p) != 0 {
		t.Errorf("what is not sent is judged: %v", p)
	}
	if p := d.Validate(nil, mustChoose(t, d, "B")); len(p) != 0 {
		t.Errorf("without a schema there is %v", p)
	}
}

func TestWhyThereIsNoSchema(t *testing.T) {
	says := func(msg string) string { return string(body(t, j{"errors": []j{{"message": msg}}})) }
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   graphql.Why
	}{
		{"not there", 404, "<html>not found", graphql.NoEndpoint},
		{"not there, in JSON", 404, `{"message":"not found"}`, graphql.NoEndpoint},
		{"no POST", 405, "", graphql.NoEndpoint},
		{"there, with 404 for an error", 404, says("GraphQL introspection is not allowed by Apollo Server"), graphql.Off},
		{"a page", 200, "<!doctype html><title>Sign in</title>", graphql.NotJSON},
		{"words", 502, "Bad gateway", graphql.NotJSON},
		{"nothing", 200, "", graphql.NotJSON},
		{"cut off", 200, `{"data":{"__schema":{"types":[`, graphql.NotJSON},
		{"Apollo", 400, says("GraphQL introspection is not allowed by Apollo Server, but the query contained __schema or __type. To enable introspection, pass introspection: true"), graphql.Off},
		{"gqlgen", 200, says("introspection disabled"), graphql.Off},
		{"Hasura", 200, says(`field "__schema" not found in type: 'query_root'`), graphql.Off},
		{"graphql-js without it", 400, says(`Cannot query field "__schema" on type "Query".`), graphql.Off},
		{"by its code", 200, `{"data":null,"errors":[{"message":"Forbidden","extensions":{"code":"INTROSPECTION_DISABLED"}}]}`, graphql.Off},
		{"old: argument", 400, says(`Unknown argument "includeDeprecated" on field "args" of type "__Field".`), graphql.TooOld},
		{"old: field", 400, says(`Cannot query field "specifiedByURL" on type "__Type".`), graphql.TooOld},
		{"old: directive", 200, says(`Field 'isRepeatable' doesn't exist on type '__Directive'`), graphql.TooOld},
		{"broken", 500, says("boom"), graphql.Broken},
		{"empty data", 200, `{"data":{}}`, graphql.Broken},
		{"no types", 200, `{"data":{"__schema":{"types":[]}}}`, graphql.Broken},
		{"no query", 200, `{"data":{"__schema":{"types":[{"kind":"SCALAR","name":"Int"}]}}}`, graphql.Broken},
		{"a list", 200, `[]`, graphql.Broken},
		{"a text", 200, `"hello"`, graphql.Broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := graphql.ReadIntrospection(tt.status, []byte(tt.body))
			var no *graphql.SchemaError
			if !errors.As(err, &no) || no.Why != tt.want || no.Msg == "" {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestTheQuestionsForASchemaAreGraphQLAndAskLessAndLess(t *testing.T) {
	before := 1 << 30
	for i, q := range graphql.Introspections() {
		d := mustParse(t, q)
		if o := mustChoose(t, d, ""); o.Kind != graphql.Query || o.Name != "IntrospectionQuery" {
			t.Errorf("question %d: %+v", i, o)
		}
		if len(q) >= before {
			t.Errorf("question %d asks for more than the one before", i)
		}
		before = len(q)
	}
	oldest := graphql.Introspections()[len(graphql.Introspections())-1]
	for _, word := range []string{"locations", "isRepeatable", "specifiedByURL", "subscriptionType", "isOneOf"} {
		if strings.Contains(oldest, word) {
			t.Errorf("the oldest asks for %s", word)
		}
	}
}

func TestASchemaWithFaultsIsReadAsFarAsItGoes(t *testing.T) {
	s := schema(t, j{"__schema": j{
		"queryType": j{"name": "Q"},
		"types": []any{
			j{"kind": "OBJECT", "name": "Q", "interfaces": nil, "fields": []any{
				j{"name": "missing", "type": named("OBJECT", "Nowhere"), "args": nil},
				j{"name": "cut", "type": j{"kind": "NON_NULL", "ofType": j{"kind": "LIST", "ofType": nil}}},
				j{"name": "untyped"}, j{"name": "u", "type": named("UNION", "U")},
				j{"name": "odd", "type": text, "args": []any{j{"name": "x", "type": must(whole), "defaultValue": 7}}},
			}},
			j{"kind": "UNION", "name": "U", "possibleTypes": []any{named("OBJECT", "Nobody"), named("OBJECT", "Q")}},
			j{"kind": "INTERFACE", "name": "I", "possibleTypes": []any{named("OBJECT", "Q")}},
			j{"kind": "OBJECT", "name": "Q", "fields": []any{}},
			j{"kind": "SURPRISE", "name": "S"}, j{"kind": "OBJECT"}, nil,
		},
	}})
	for _, text := range []string{"{ missing cut untyped odd }", "{ u { __typename ... on Q { missing } ... on I { __typename } } }"} {
		d := mustParse(t, text)
		if p := d.Validate(s, mustChoose(t, d, "")); len(p) > 0 && !strings.Contains(p[0].Text, `"x"`) {
			t.Errorf("%s: %v", text, p)
		}
	}
	for _, name := range s.TypeNames() {
		s.Type(name)
		s.Uses(name, 10)
	}
	if doc, ok := s.Type("Q"); !ok || doc.Fields[1].Type != "[?]!" {
		t.Errorf("got %+v", doc)
	}
}

func TestTwoThousandTypesAreReadCheckedAndSearched(t *testing.T) {
	s := schema(t, large(2000))
	d := mustParse(t, "{ t0 { "+strings.Repeat("next { ", 20)+"name"+strings.Repeat(" }", 20)+" } }")
	if p := d.Validate(s, mustChoose(t, d, "")); len(p) != 0 {
		t.Error(p)
	}
	if hits := s.Search("t1999", 10); len(hits) == 0 || hits[0].Type != "T1999" {
		t.Errorf("found %v", hits)
	}
	if uses, _ := s.Uses("T7", 10); len(uses) != 2 {
		t.Errorf("used by %v", uses)
	}
}

func large(n int) j {
	types := []j{text, whole}
	var roots []j
	for i := range n {
		next := named("OBJECT", fmt.Sprintf("T%d", (i+1)%n))
		fields := []j{fieldOf("name", text), fieldOf("next", next)}
		for k := range 10 {
			fields = append(fields, fieldOf(fmt.Sprintf("f%d", k), must(some(must(whole)))))
		}
		types = append(types, j{"kind": "OBJECT", "name": fmt.Sprintf("T%d", i), "fields": fields, "description": "A thing of many."})
		roots = append(roots, fieldOf(fmt.Sprintf("t%d", i), named("OBJECT", fmt.Sprintf("T%d", i))))
	}
	types = append(types, j{"kind": "OBJECT", "name": "Query", "fields": roots})
	return j{"data": j{"__schema": j{"queryType": j{"name": "Query"}, "types": types, "directives": []j{}}}}
}

func TestDocsSayWhatTheSchemaSays(t *testing.T) {
	s := schema(t, everything())
	if q, m, sub := s.Roots(); q != "Root" || m != "Changes" || sub != "News" {
		t.Errorf("roots %s %s %s", q, m, sub)
	}
	root, _ := s.Type("Root")
	if len(root.Fields) != 7 || root.Fields[1].Args[0].Default != `{kind:OLD,tags:["a","b"],min:-1}` || root.Fields[3].Type != "[[[[[String]]]]]" {
		t.Errorf("got %+v", root)
	}
	if f := root.Fields[5]; !f.Deprecated || f.Reason != "Use things." {
		t.Errorf("got %+v", f)
	}
	if thing, _ := s.Type("Thing"); strings.Join(thing.Possible, " ") != "Order User" {
		t.Errorf("got %+v", thing)
	}
	if money, _ := s.Type("Money"); money.URL != "https://example.com/money" {
		t.Errorf("got %+v", money)
	}
	if uses, more := s.Uses("Order", 10); more || len(uses) != 2 || uses[1] != (graphql.Use{Type: "User", Field: "orders"}) {
		t.Errorf("used by %v", uses)
	}
	if hits := s.Search("user.em", 5); len(hits) != 1 || hits[0].Field != "email" {
		t.Errorf("found %v", hits)
	}
	if _, ok := s.Type("__Nope"); ok {
		t.Error("there is a type that is not")
	}
	d := mustParse(t, s.Starter())
	if p := d.Validate(s, mustChoose(t, d, "")); len(p) != 0 {
		t.Errorf("what to begin with is wrong: %s %v", s.Starter(), p)
	}
}

func TestChangesNameWhatIsDifferent(t *testing.T) {
	before := schema(t, everything())
	now := everything()
	types := now["data"].(j)["__schema"].(j)["types"].([]j)
	types[4]["fields"] = []j{fieldOf("id", text), fieldOf("phone", text), fieldOf("orders", some(named("OBJECT", "Order")), j{"name": "first", "type": must(whole)}, j{"name": "after", "type": text})}
	types[7]["enumValues"] = []j{{"name": "NEW", "isDeprecated": true}, {"name": "NEWER"}}
	types[10]["name"] = "Cash"
	got, total := graphql.Changes(before, schema(t, now), 100)
	var lines []string
	for _, c := range got {
		lines = append(lines, fmt.Sprintf("%s %s %s %v", c.Kind, c.Where, c.What, c.Breaks))
	}
	want := []string{
		"added Cash New type (scalar). false",
		"removed State.OLD The value is gone. true",
		"changed State.NEW Deprecated now. false",
		"added State.NEWER New value. false",
		"removed User.email The field is gone. true",
		"changed User.id Its type was ID!, is String. true",
		"added User.phone New field of the type String. false",
		"changed User.orders The argument first was of the type Int, is Int!. true",
		"added User.orders New argument after of the type String. false",
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(lines, "\n"), w) {
			t.Errorf("missing %q in\n%s", w, strings.Join(lines, "\n"))
		}
	}
	if _, none := graphql.Changes(before, before, 100); none != 0 || total < len(want) {
		t.Errorf("%d changes of nothing, %d in all", none, total)
	}
}

func TestVariablesAreCheckedByType(t *testing.T) {
	s := schema(t, everything())
	d := mustParse(t, `query($n: Int!, $l: [Int!], $f: Filter, $s: State = NEW, $id: ID, $m: Money, $b: Boolean, $o: OneBy, $x: Float) { __typename }`)
	o := mustChoose(t, d, "")
	for _, tt := range []struct{ values, wrong, want string }{
		{`{"n": 1, "l": [1,2], "f": {"kind":"OLD","and":[{"kind":"NEW"}]}, "id": 7, "m": {"any":"thing"}, "x": 1}`, "", ""},
		{`{"n": 1, "l": 3, "s": null}`, "", ""},
		{`{}`, "n", "needs a value"},
		{`{"n": null}`, "n", "may not be null"},
		{`{"n": 1.5}`, "n", "whole number"},
		{`{"n": 1e3}`, "", ""},
		{`{"n": 3000000000}`, "n", "2147483647"},
		{`{"n": 9e999999999}`, "n", "whole number"},
		{`{"n": 1, "l": [1,null]}`, "l", "$l[1] may not be null"},
		{`{"n": 1, "f": {}}`, "f", "$f.kind is missing"},
		{`{"n": 1, "f": {"kind":"OLD","and":[{"kind":"X"}]}}`, "f", "$f.and[0].kind must be one of OLD, NEW"},
		{`{"n": 1, "f": {"kind":"OLD","nope":1}}`, "f", "nope"},
		{`{"n": 1, "o": {"id":"1","email":"x"}}`, "o", "one field"},
		{`{"n": 1, "b": "true"}`, "b", "true or false"},
		{`{"n": 1, "nope": 2}`, "nope", "no variable $nope"},
	} {
		values, problem := graphql.ReadVariables(tt.values)
		if problem != nil {
			t.Fatal(problem)
		}
		wrong := o.CheckVariables(s, values)
		if tt.wrong == "" && len(wrong) > 0 || tt.wrong != "" && (len(wrong) != 1 || !strings.Contains(wrong[tt.wrong], tt.want)) {
			t.Errorf("%s: %v", tt.values, wrong)
		}
	}
	if wrong := o.CheckVariables(nil, map[string]any{"n": json.Number("1"), "f": "anything"}); len(wrong) != 0 {
		t.Errorf("without a schema: %v", wrong)
	}
	for text, at := range map[string]graphql.Place{`{"a": 1,}`: {Line: 1, Column: 9}, "{\n  a: 1}": {Line: 2, Column: 3}, `[1]`: {Line: 1, Column: 1}, `{"a"`: {Line: 1, Column: 4}, `{} {}`: {}} {
		if _, problem := graphql.ReadVariables(text); problem == nil || problem.Place != at {
			t.Errorf("%q: %+v", text, problem)
		}
	}
}

func TestWhatIsTypedIntoAFormBecomesJSONByType(t *testing.T) {
	s := schema(t, everything())
	d := mustParse(t, `query($n: Int!, $l: [Int!], $ls: [String!], $f: Filter, $s: State = NEW, $id: ID, $m: Money, $b: Boolean, $t: String, $d: DateTime, $g: [[Int]]) { __typename }`)
	vars := map[string]graphql.Field{}
	for _, f := range mustChoose(t, d, "").Fields(s) {
		vars[f.Name] = f
	}
	for _, tt := range []struct{ name, typed, want string }{
		{"n", " 12 ", "12"}, {"n", "", "!needs a value"}, {"n", "12.5", "!whole number"}, {"n", "twelve", "!not a number"},
		{"l", "1\n2\n\n3", "[1,2,3]"}, {"l", "[4, 5]", "[4,5]"}, {"l", "1\nx", "!not a number"}, {"l", "[4,", "!JSON list"},
		{"ls", "a b\n\"c\"", `["a b","\"c\""]`},
		{"f", `{"kind":"OLD"}`, `{"kind":"OLD"}`}, {"f", "kind", "!JSON"}, {"f", "{", "!JSON"},
		{"s", "OLD", `"OLD"`}, {"s", "old", "!one of OLD, NEW"}, {"s", "", ""},
		{"id", "7", `"7"`}, {"m", "7.50", "7.50"}, {"m", "EUR 7", `"EUR 7"`}, {"m", `{"a":1}`, `{"a":1}`},
		{"b", "yes", "true"}, {"b", "off", "false"}, {"b", "maybe", "!true or false"},
		{"t", " keep spaces ", `" keep spaces "`}, {"t", "null", `"null"`},
		{"d", "2026-11-01", `"2026-11-01"`}, {"g", "[[1],[2,3]]", "[[1],[2,3]]"},
	} {
		v, given, problem := s.Coerce(vars[tt.name].Variable, tt.typed)
		if want, bad := strings.CutPrefix(tt.want, "!"); bad {
			if !strings.Contains(problem, want) || given {
				t.Errorf("%s %q: %q, want %q", tt.name, tt.typed, problem, want)
			}
			continue
		}
		if problem != "" || given != (tt.want != "") || given && string(body(t, v)) != tt.want {
			t.Errorf("%s %q: %v %q", tt.name, tt.typed, v, problem)
		}
	}
	for name, want := range map[string]graphql.FieldInput{"n": graphql.InputNumber, "l": graphql.InputLines, "f": graphql.InputJSON, "s": graphql.InputChoice, "b": graphql.InputSwitch, "t": graphql.InputText, "g": graphql.InputJSON} {
		if vars[name].Input != want {
			t.Errorf("%s is asked for as %q", name, vars[name].Input)
		}
	}
	if f := vars["s"]; f.Default != "NEW" || f.Required || strings.Join(f.Choices, " ") != "OLD NEW" {
		t.Errorf("got %+v", f)
	}
}

func FuzzNoSchemaBreaksAnything(f *testing.F) {
	f.Add(body(f, everything()))
	f.Add(body(f, large(3)))
	f.Fuzz(func(t *testing.T, answer []byte) {
		s, err := graphql.ReadIntrospection(200, answer)
		if err != nil {
			return
		}
		for _, name := range s.TypeNames() {
			s.Type(name)
		}
		d, _ := graphql.Parse(s.Starter())
		if d != nil {
			o, _ := d.Choose("")
			d.Validate(s, o)
		}
		graphql.Changes(s, s, 10)
		told, err := s.Introspection()
		if err != nil {
			return // queries begin at a type without a name
		}
		if again, err := graphql.ReadIntrospection(200, told); err != nil {
			t.Errorf("what is told cannot be read: %v", err)
		} else if twice, err := again.Introspection(); err != nil || string(twice) != string(told) {
			t.Errorf("what is told is told differently again (%v):\n%s\n%s", err, told, twice)
		}
	})
}
