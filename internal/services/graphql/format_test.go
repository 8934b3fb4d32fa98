package graphql_test

import (
	"strings"
	"testing"

	"sightline/internal/services/graphql"
)

func TestADocumentIsLaidOutWithItsComments(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"one line", `{a}`, "{\n  a\n}\n"},
		{"everything", `# top
query A ( $n:Int!=3 , $f: Filter = {kind: OLD tags: ["a","b"] in:[[1 2],[]]} $s:[String!]! @d(x:1) ) @live { # why
  a : users(first:$n, search: """block
   two""") @include(if: true) { id ...F ... on User { # name only
 name } ... @skip(if:false) { x } ...{y} }


 # before y
 y(s:"é\u00e9\n" e:RED b:[$n,$s])
 z # last
 # end
}
# of F
fragment F on User { a }
# the end`, `# top
query A(
  $n: Int! = 3
  $f: Filter = {kind: OLD, tags: ["a", "b"], in: [[1, 2], []]}
  $s: [String!]! @d(x: 1)
) @live { # why
  a: users(first: $n, search: """block
   two""") @include(if: true) {
    id
    ...F
    ... on User { # name only
      name
    }
    ... @skip(if: false) {
      x
    }
    ... {
      y
    }
  }

  # before y
  y(s: "é\u00e9\n", e: RED, b: [$n, $s])
  z # last
  # end
}

# of F
fragment F on User {
  a
}

# the end
`},
		{"comments among arguments", "{ a(x: 1 # one\n y: [2 # two\n]) }", "{\n  a(\n    x: 1\n    # one\n    # two\n    y: [2]\n  )\n}\n"},
		{"several operations", "query A{a}query B{b(x:{y:{}})}\n\n\n\nsubscription on{on:on on}", "query A {\n  a\n}\n\nquery B {\n  b(x: {y: {}})\n}\n\nsubscription on {\n  on: on\n  on\n}\n"},
		{"a field and a fragment named on", "{ on ...on2 fragment: query }fragment on2 on on {on}", "{\n  on\n  ...on2\n  fragment: query\n}\n\nfragment on2 on on {\n  on\n}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, problems := graphql.Format(tt.text)
			if len(problems) > 0 || got != tt.want {
				t.Fatalf("%v\n%s\nwant\n%s", problems, got, tt.want)
			}
			if again, _ := graphql.Format(got); again != got {
				t.Errorf("laid out twice:\n%s", again)
			}
		})
	}
	if text, problems := graphql.Format("{ a"); text != "{ a" || len(problems) == 0 {
		t.Errorf("what cannot be read became %q (%v)", text, problems)
	}
}

func FuzzALayoutChangesNothing(f *testing.F) {
	for _, a := range attempts {
		f.Add(a.text)
	}
	f.Add("query A($x:[Int!]!=[1,2]@d,$y:I={a:[{b:\"\"\"c\n d\"\"\"}]}){a:b(x:{y:\"\\u00e9\",z:-1.5e3})#c\n@include(if:true){...F...on T{c}...@d{e}}}#e\nfragment F on T{d}")
	f.Fuzz(func(t *testing.T, text string) {
		d, _ := graphql.Parse(text)
		if d == nil {
			return
		}
		out, problems := graphql.Format(text)
		if len(problems) > 0 {
			t.Fatalf("%q: %v", text, problems)
		}
		again, problems := graphql.Parse(out)
		if again == nil {
			if strings.Contains(problems[0].Text, "too long") {
				return // spaces made it longer
			}
			t.Fatalf("%q becomes %q: %v", text, out, problems)
		}
		was, is := d.Operations(), again.Operations()
		if len(was) != len(is) || strings.Count(text, "#") > 0 && !strings.Contains(text, `"`) && strings.Count(out, "#") < 1 {
			t.Fatalf("%q becomes %q", text, out)
		}
		for i := range was {
			if a, b := strings.Fields(d.Wire(was[i])), strings.Fields(again.Wire(is[i])); strings.Join(a, "") != strings.Join(b, "") {
				t.Errorf("%q becomes %q", a, b)
			}
		}
		if third, _ := graphql.Format(out); third != out {
			t.Errorf("%q becomes %q and then %q", text, out, third)
		}
	})
}
