package graphql_test

import (
	"strings"
	"testing"

	"sightline/internal/services/graphql"
)

func insertable(t testing.TB) *graphql.Schema {
	t.Helper()
	object := func(name string, fields ...j) j { return j{"kind": "OBJECT", "name": name, "fields": fields} }
	person := named("OBJECT", "Person")
	return schema(t, j{"data": j{"__schema": j{"queryType": j{"name": "Query"}, "mutationType": j{"name": "Mutation"}, "types": []j{
		object("Query", fieldOf("people", some(person)), fieldOf("one", person, j{"name": "id", "type": must(named("SCALAR", "ID"))}), fieldOf("any", named("UNION", "Any")),
			fieldOf("way", named("OBJECT", "Way"), j{"name": "in", "type": must(named("INPUT_OBJECT", "In"))})),
		object("Mutation", fieldOf("drop", text)),
		object("Person", fieldOf("email", text), fieldOf("tags", some(named("OBJECT", "Tag"))), fieldOf("best", person)),
		object("Tag", fieldOf("word", text), fieldOf("owner", person)),
		object("Way", fieldOf("end", named("OBJECT", "End"))), object("End", fieldOf("x", whole)), object("Lost", fieldOf("x", whole)),
		{"kind": "UNION", "name": "Any", "possibleTypes": []j{named("OBJECT", "Tag"), named("OBJECT", "Only")}}, object("Only", fieldOf("here", text)),
		{"kind": "INPUT_OBJECT", "name": "In", "inputFields": []j{{"name": "e", "type": must(named("ENUM", "E"))}, {"name": "l", "type": must(some(whole))}, {"name": "n", "type": whole}}},
		{"kind": "ENUM", "name": "E", "enumValues": []j{{"name": "RED"}}}, text, whole,
	}}}})
}

func TestAFieldIsAddedWhereItBelongs(t *testing.T) {
	s := insertable(t)
	for _, tt := range []struct{ name, text, operation, field, want string }{
		{"to nothing", " ", "", "Query.people", "query People {\n  people {\n    email\n  }\n}\n"},
		{"far from the beginning", "", "", "Tag.word", "query People {\n  people {\n    tags {\n      word\n    }\n  }\n}\n"},
		{"to a selection of its type", "{ people { email } }", "", "Person.tags", "{\n  people {\n    email\n    tags {\n      word\n    }\n  }\n}\n"},
		{"behind a comment, and before others", "{ people { email # the address\n } other: people { best { email } } }", "", "Person.tags",
			"{\n  people {\n    email # the address\n    tags {\n      word\n    }\n  }\n  other: people {\n    best {\n      email\n    }\n  }\n}\n"},
		{"along what is there", "{ people { email } }", "", "Tag.word", "{\n  people {\n    email\n    tags {\n      word\n    }\n  }\n}\n"},
		{"behind a selection with arguments", "{ people { email } a: one(id: \"}\") { email } }", "", "Query.any", "{\n  people {\n    email\n  }\n  a: one(id: \"}\") {\n    email\n  }\n  any {\n    __typename\n  }\n}\n"},
		{"within a fragment", "{ people { ...F } } fragment F on Person { best { ... { email } } }", "", "Tag.owner",
			"{\n  people {\n    ...F\n    tags {\n      owner {\n        email\n      }\n    }\n  }\n}\n\nfragment F on Person {\n  best {\n    ... {\n      email\n    }\n  }\n}\n"},
		{"in one of a union", "{ any { __typename } }", "", "Only.here", "{\n  any {\n    __typename\n    ... on Only {\n      here\n    }\n  }\n}\n"},
		{"in one of a union that is not asked for", "{ people { email } }", "", "Only.here", "{\n  people {\n    email\n  }\n  any {\n    ... on Only {\n      here\n    }\n  }\n}\n"},
		{"with what must be given", "", "", "End.x", "query Way {\n  way(in: {e: RED, l: []}) {\n    end {\n      x\n    }\n  }\n}\n"},
		{"to the chosen operation", "query A { people { email } } query B { people { email } }", "B", "Query.any",
			"query A {\n  people {\n    email\n  }\n}\n\nquery B {\n  people {\n    email\n  }\n  any {\n    __typename\n  }\n}\n"},
		{"a mutation to nothing", "", "", "Mutation.drop", "mutation Drop {\n  drop\n}\n"},
		{"a mutation to a mutation", "query A { people { email } } mutation B { a: drop }", "A", "Mutation.drop", "query A {\n  people {\n    email\n  }\n}\n\nmutation B {\n  a: drop\n}\n"},
		{"a mutation to a query", "{ people { email } }", "", "Mutation.drop", "!belongs to a mutation"},
		{"what is not there", "{ people { email } }", "", "Person.gone", "!no field Person.gone"},
		{"what nothing leads to", "", "", "Lost.x", "!Nothing leads from Query to Lost"},
		{"to what cannot be read", "{ people {", "", "Person.email", "!cannot be read"},
		{"an input's field", "", "", "In.e", "!no field"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			of, field, _ := strings.Cut(tt.field, ".")
			got, at, problem := s.Insert(tt.text, tt.operation, of, field)
			if want, bad := strings.CutPrefix(tt.want, "!"); bad {
				if got != tt.text || !strings.Contains(problem, want) {
					t.Fatalf("%q: %q, want %q", got, problem, want)
				}
				return
			}
			if tt.name == "a mutation to a mutation" { // it is there under another name, so it is asked for along with it
				tt.want = strings.Replace(tt.want, "a: drop\n", "a: drop\n  drop\n", 1)
			}
			if got != tt.want || problem != "" {
				t.Fatalf("%s\n%s\nwant\n%s", problem, got, tt.want)
			}
			if !strings.HasPrefix(got[at:], field) {
				t.Errorf("the new field is said to stand at %q", got[at:])
			}
			d := mustParse(t, got)
			if problems := d.Validate(s, mustChoose(t, d, tt.operation)); len(problems) > 0 {
				t.Errorf("it is not what the schema allows: %v", problems)
			}
		})
	}
}

// Whatever a query is, adding a field leaves all of it there in its order.
func FuzzAddingAFieldKeepsTheRest(f *testing.F) {
	for _, a := range attempts {
		f.Add(a.text, a.operation, "Person.email")
	}
	f.Add("{ people { ...F ... on Person { best { ...F } } } any { ... on Tag { word } } } fragment F on Person { tags { owner { ...G } } } fragment G on Person { email }", "", "Tag.owner")
	f.Add("query A($i: In! = {e: RED, l: [1]}) { way(in: $i) { end { x } } } # no more", "A", "Only.here")
	s := insertable(f)
	f.Fuzz(func(t *testing.T, text, operation, field string) {
		of, name, _ := strings.Cut(field, ".")
		out, at, problem := s.Insert(text, operation, of, name)
		if problem != "" {
			if out != text {
				t.Errorf("%q became %q although %s", text, out, problem)
			}
			return
		}
		if strings.TrimSpace(text) == "" || strings.Contains(text, `"""`) {
			return // block strings may be written otherwise
		}
		if at < 0 || at > len(out) {
			t.Fatalf("%d is not in %q", at, out)
		}
		d, problems := graphql.Parse(out)
		if d == nil {
			if strings.Contains(problems[0].Text, "the most") || strings.Contains(problems[0].Text, "more than") {
				return // what was added made it too large
			}
			t.Fatalf("%q becomes %q: %v", text, out, problems)
		}
		rest := letters(out)
		for _, r := range letters(text) {
			i := strings.IndexRune(rest, r)
			if i < 0 {
				t.Fatalf("%q becomes %q, and something is gone", text, out)
			}
			rest = rest[i+len(string(r)):]
		}
	})
}

// letters is a text without what a layout may change.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n,\ufeff\"\\", r) {
			return -1
		}
		return r
	}, s)
}
