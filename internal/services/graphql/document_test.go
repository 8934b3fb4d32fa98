package graphql_test

import (
	"fmt"
	"strings"
	"testing"

	"sightline/internal/services/graphql"
)

func mustParse(t *testing.T, text string) *graphql.Document {
	t.Helper()
	d, problems := graphql.Parse(text)
	if d == nil {
		t.Fatalf("%q cannot be read: %v", text, problems)
	}
	return d
}

func TestWhatCannotBeReadSaysWhatAndWhere(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		at         graphql.Place
		want       string
	}{
		{"empty", " \n", graphql.Place{}, "no query yet"},
		{"a comment alone", "# nothing", graphql.Place{}, "no operation to run"},
		{"not closed", "{ a { b }", graphql.Place{Line: 1, Column: 10}, "Expected"},
		{"closed twice", "{ a }\n  }", graphql.Place{Line: 2, Column: 3}, "Unexpected"},
		{"a word that begins nothing", "query A { a }\nquerry B { b }", graphql.Place{Line: 2, Column: 1}, "querry"},
		{"a string without an end", "{ a(x: \"y) }", graphql.Place{Line: 1, Column: 13}, "Unterminated"},
		{"empty selection", "{ a { } }", graphql.Place{Line: 1, Column: 7}, "at least one"},
		{"no such fragment", "{ a\n ...F }", graphql.Place{Line: 2, Column: 5}, "no fragment “F”"},
		{"a fragment in itself", "{ ...F } fragment F on T { a { ...G } } fragment G on T { ...F }", graphql.Place{}, "never ends"},
		{"the same name twice", "query A { a } query A { b }", graphql.Place{Line: 1, Column: 15}, "two operations"},
		{"two without a name", "{ a } { b }", graphql.Place{Line: 1, Column: 1}, "Give every operation a name"},
		{"two fragments of a name", "{ ...F } fragment F on T { a } fragment F on T { b }", graphql.Place{Line: 1, Column: 32}, "two fragments"},
		{"fragments alone", "fragment F on T { a }", graphql.Place{}, "no operation"},
		{"too long", "{ a(x: \"" + strings.Repeat("x", graphql.MaxDocument) + "\") }", graphql.Place{}, "too long"},
		{"too many words", "{" + strings.Repeat(" a", graphql.MaxTokens) + "}", graphql.Place{}, "words and signs"},
		{"too deep", strings.Repeat("{a", graphql.MaxDepth+1) + strings.Repeat("}", graphql.MaxDepth+1), graphql.Place{Line: 1, Column: 1}, "deep"},
		{"far too deep", strings.Repeat("{a", 1200) + strings.Repeat("}", 1200), graphql.Place{}, "nesting depth"},
		{"not UTF-8", "{ a\xff }", graphql.Place{}, "UTF-8"},
		{"a zero byte", "{ a\x00 }", graphql.Place{Line: 1, Column: 4}, "Cannot"},
		{"a schema", "type Query { a: Int }", graphql.Place{Line: 1, Column: 1}, "type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, problems := graphql.Parse(tt.text)
			if d != nil || len(problems) == 0 {
				t.Fatal("it could be read")
			}
			if !strings.Contains(problems[0].Text, tt.want) {
				t.Errorf("says %q", problems[0].Text)
			}
			if tt.at != (graphql.Place{}) && problems[0].Place != tt.at {
				t.Errorf("at %v, want %v", problems[0].Place, tt.at)
			}
		})
	}
}

func TestALittleTextThatStandsForBillionsOfFieldsIsRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString("{ ...F0 }\n")
	for i := range 20 {
		fmt.Fprintf(&b, "fragment F%d on T { a { ...F%d } b { ...F%d } }\n", i, i+1, i+1)
	}
	b.WriteString("fragment F20 on T { x }")
	_, problems := graphql.Parse(b.String())
	if len(problems) != 1 || !strings.Contains(problems[0].Text, fmt.Sprintf("more than %d fields", graphql.MaxFields)) {
		t.Errorf("got %v", problems)
	}
}

// attempts are documents that look like reads to a person, to a search for a
// word or to another reader. Each is judged by what would be sent for it.
var attempts = []struct {
	name, text, operation string
	want                  graphql.Kind // empty: nothing may be sent at all
}{
	{"plain", "mutation { evil }", "", graphql.Mutation},
	{"named query", "mutation query { evil }", "", graphql.Mutation},
	{"behind a comment", "# query { a }\nmutation { evil }", "", graphql.Mutation},
	{"behind a comment that ends with CR", "# query { a }\rmutation { evil }", "", graphql.Mutation},
	{"within a comment", "query { a } # mutation { evil }", "", graphql.Query},
	{"within a comment, CR line ends", "query { a } # x\r# mutation { evil }\r", "", graphql.Query},
	{"behind commas and a byte order mark", "\ufeff,,,mutation,,{,evil,}", "", graphql.Mutation},
	{"a byte order mark within", "query A { a }\ufeff mutation B { evil }", "B", graphql.Mutation},
	{"the second of two", "query A { a } mutation B { evil }", "B", graphql.Mutation},
	{"the first of two", "query A { a } mutation B { evil }", "A", graphql.Query},
	{"of two none chosen", "query A { a } mutation B { evil }", "", ""},
	{"two without names", "{ a } mutation { evil }", "", ""},
	{"two of a name", "query A { a } mutation A { evil }", "A", ""},
	{"an unknown name", "query A { a } mutation B { evil }", "C", ""},
	{"aliases", "mutation A { query: evil query2: evil }", "A", graphql.Mutation},
	{"an alias called mutation", "query A { mutation: a { evil: b } }", "", graphql.Query},
	{"a fragment on Mutation from a query", "query A { ...F } fragment F on Mutation { evil }", "A", graphql.Query},
	{"a fragment named query", "mutation { ...query } fragment query on Mutation { evil }", "", graphql.Mutation},
	{"an operation named fragment", "mutation fragment { evil }", "", graphql.Mutation},
	{"directives first", "mutation @skip(if: false) { evil }", "", graphql.Mutation},
	{"within a string", `query { a(x: "} mutation { evil }") }`, "", graphql.Query},
	{"within a block string", `query { a(x: """} mutation { evil }""") }`, "", graphql.Query},
	{"a block string for those who know none", `query A { a(x: [""" "]) } mutation A { evil } #"""]) }`, "A", graphql.Query},
	{"four quotes", `query A { a(x: ["""x"""" ]) } mutation B { evil(y: [""" """]) }`, "A", graphql.Query},
	{"an escaped end of a block string", `query A { a(x: """ \""" } mutation B { evil } """) }`, "A", graphql.Query},
	{"a unicode escape of a quote", `query A { a(x: "\u0022) } mutation B { evil } #") }`, "A", graphql.Query},
	{"a unicode escape in braces", `query A { a(x: "\u{22}) } mutation B { evil } #") }`, "A", graphql.Query},
	{"an escape outside of strings", `m\u0075tation { evil }`, "", ""},
	{"a letter that looks like one", "mutаtion { evil }", "", ""},
	{"capitals", "MUTATION { evil }", "", ""},
	{"a line separator in a comment", "query A { a } #\u2028 mutation A { evil }", "A", graphql.Query},
	{"a next-line sign in a comment", "query A { a } #\u0085 mutation A { evil }", "A", graphql.Query},
	{"a vertical tab", "query A { a } #\x0b mutation A { evil }", "A", ""},
	{"a zero byte", "query A { a }\x00mutation A { evil }", "A", ""},
	{"subscription", "subscription { s }", "", graphql.Subscription},
	{"subscription behind a query", "query A { a } subscription B { s }", "B", graphql.Subscription},
	{"a description", `"""query { a }""" mutation A { evil }`, "A", graphql.Mutation},
	{"a default that opens braces", `query A($x: I = {b: "} mutation B { evil }"}) { a(x: $x) }`, "A", graphql.Query},
	{"a form feed", "query A { a } #\x0c mutation A { evil }", "A", ""},
	{"a no-break space", "query\u00a0A { a }", "", ""},
	{"a space of no width", "mut\u200bation { evil }", "", ""},
	{"full-width letters", "ｍｕｔａｔｉｏｎ { evil }", "", ""},
	{"far behind", "query A { a }" + strings.Repeat(" ", 60_000) + "mutation B { evil }", "A", graphql.Query},
	{"far behind, and chosen", "query A { a }" + strings.Repeat("\n", 60_000) + "mutation B { evil }", "B", graphql.Mutation},
	{"a variable, a type and a directive of that name", "query A($mutation: mutation = mutation) @mutation { a(mutation: $mutation) @mutation }", "", graphql.Query},
	{"an inline fragment on Mutation", "query A { ... on Mutation { evil: id } }", "", graphql.Query},
	{"a query named mutation", "query mutation { a } mutation query { evil }", "mutation", graphql.Query},
	{"a mutation named query", "query mutation { a } mutation query { evil }", "query", graphql.Mutation},
	{"a name with a blank", "query A { a } mutation B { evil }", "A ", ""},
	{"a name in other letters", "query A { a } mutation a { evil }", "a", graphql.Mutation},
	{"a name that goes on", "query A { a } mutation B { evil }", "A\nmutation B { evil }", ""},
	{"directives that put off", "mutation @defer { ... @stream { evil } }", "", graphql.Mutation},
	{"a list of questions in JSON", `[{"query":"mutation { evil }"}]`, "", ""},
	{"a question in JSON", `{"query":"mutation { evil }"}`, "", ""},
	{"closed too early", "query A { a } } mutation B { evil }", "A", ""},
	{"a string across lines", "query A { a(x: \"\nmutation B { evil }\n\") }", "A", ""},
	{"half an escape", `query A { a(x: "\ud83d } mutation B { evil }") }`, "A", graphql.Query},
	{"a quote behind a backslash", `query A { a(x: "\\") } mutation B { evil(y: "\\") }`, "A", graphql.Query},
	{"a comment in a block string", "query A { a(x: \"\"\"#\"\"\") } mutation B { evil }", "A", graphql.Query},
	{"a comment sign in a string", `query A { a(x: "# } mutation B { evil }") }`, "A", graphql.Query},
	{"shorthand and a fragment", "{ ...F } fragment F on Query { mutation: a }", "", graphql.Query},
	{"a type definition", "query A { a } type Mutation { evil: Int }", "A", ""},
	{"a schema extension", "query A { a } extend schema { mutation: Query }", "A", ""},
}

func TestNoMutationLooksLikeARead(t *testing.T) {
	for _, tt := range attempts {
		t.Run(tt.name, func(t *testing.T) {
			d, problems := graphql.Parse(tt.text)
			if d == nil {
				if tt.want != "" {
					t.Fatalf("cannot be read: %v", problems)
				}
				return
			}
			o, problems := d.Choose(tt.operation)
			if len(problems) > 0 {
				if tt.want != "" {
					t.Fatalf("nothing was chosen: %v", problems)
				}
				return
			}
			if o.Kind != tt.want {
				t.Fatalf("is a %q, want %q", o.Kind, tt.want)
			}
			sent := d.Wire(o)
			if strings.ContainsAny(sent, "\r\ufeff\u2028\u0085") || strings.Contains(outsideStrings(sent), "#") || strings.Contains(sent, `"""`) {
				t.Errorf("what is sent can be read in two ways: %q", sent)
			}
			again := mustParse(t, sent)
			if ops := again.Operations(); len(ops) != 1 || ops[0].Kind != tt.want || ops[0].Name != o.Name {
				t.Errorf("%q is sent, in which are %v", sent, ops)
			}
			// To whoever cannot read strings at all, the words must not be there as an
			// operation of their own: only within the quotes of one line.
			if tt.want == graphql.Query && strings.Contains(outsideStrings(sent), "evil }") && !strings.Contains(tt.text, "fragment") {
				t.Errorf("the mutation leaves with the query: %q", sent)
			}
		})
	}
}

// outsideStrings is a text without its strings, read in the simplest way.
func outsideStrings(s string) string {
	var b strings.Builder
	in := false
	for i := 0; i < len(s); i++ {
		switch {
		case in && s[i] == '\\':
			i++
		case s[i] == '"':
			in = !in
		case !in:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func TestWhatIsSentHasThePlacesOfWhatWasWritten(t *testing.T) {
	text := "# all of them\nquery A {\n\tusers(first: 3, search: \"é\") { # people\n    name\n  }\n}\n\nquery B { b }\n\nfragment X on T { x }\n"
	d := mustParse(t, text)
	o, _ := d.Choose("A")
	want := "\nquery A {\n users(first: 3  search: \"é\") {\n    name\n  }\n}"
	if got := d.Wire(o); got != want {
		t.Errorf("sent\n%q, want\n%q", got, want)
	}
	o, _ = d.Choose("B")
	if got := d.Wire(o); strings.Count(got, "\n") != 7 || strings.TrimSpace(got) != "query B { b }" {
		t.Errorf("sent %q", got)
	}
	if at, ok := d.PlaceOf(mustChoose(t, d, "A"), []string{"users", "3", "name"}); !ok || at != (graphql.Place{Line: 4, Column: 5}) {
		t.Errorf("the name stands at %v", at)
	}
}

func mustChoose(t *testing.T, d *graphql.Document, name string) graphql.Operation {
	t.Helper()
	o, problems := d.Choose(name)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return o
}

func FuzzWhatIsSentIsWhatWasJudged(f *testing.F) {
	for _, a := range attempts {
		f.Add(a.text, a.operation)
	}
	f.Add("query A($x:[Int!]!=[1,2]@d){a:b(x:{y:\"\\u00e9\\ud83d\\ude00\",z:-1.5e3})@include(if:true){...F...on T{c}}}fragment F on T{d}", "A")
	f.Fuzz(func(t *testing.T, text, name string) {
		d, problems := graphql.Parse(text)
		if d == nil {
			if len(problems) == 0 {
				t.Error("neither a document nor a problem")
			}
			return
		}
		o, problems := d.Choose(name)
		if len(problems) > 0 {
			return
		}
		sent := d.Wire(o)
		again, problems := graphql.Parse(sent)
		if again == nil {
			if strings.Contains(problems[0].Text, "too long") {
				return // quotes and padding made it longer
			}
			t.Fatalf("%q is sent as %q, which cannot be read: %v", text, sent, problems)
		}
		ops := again.Operations()
		if len(ops) != 1 || ops[0].Kind != o.Kind || ops[0].Name != o.Name || len(ops[0].Variables) != len(o.Variables) {
			t.Fatalf("%q is sent as %q", text, sent)
		}
		if twice := again.Wire(ops[0]); strings.Join(strings.Fields(twice), " ") != strings.Join(strings.Fields(sent), " ") {
			t.Fatalf("%q becomes %q and then %q", text, sent, twice)
		}
	})
}
