package graphql

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a form begins with is typed so that it comes back as the same value.
func TestAValueTypedIsReadAsTheSame(t *testing.T) {
	doc, problems := Parse("query($s: String, $id: ID, $n: Int, $f: Float, $b: Boolean, $l: [String!], $ns: [Int], $d: DateTime, $x: Filter, $m: [[Int]], $e: Kind) { a(s: $s) }")
	if doc == nil {
		t.Fatal(problems)
	}
	fields := map[string]Field{}
	for _, f := range doc.Operations()[0].Fields(nil) {
		fields[f.Name] = f
	}
	for name, values := range map[string][]string{
		"s": {`"plain"`, `"12"`, `"two\nlines"`, `"\"quoted\""`}, "id": {`"12"`, `"a b"`}, "n": {`12`, `-3`}, "f": {`1.50`}, "b": {`true`, `false`},
		"l": {`["a","b"]`, `["a\nb"]`, `["[x"]`, `[" a"]`, `[""]`, `["12"]`}, "ns": {`[1,2]`, `[]`}, "d": {`"2026-11-22"`, `"12"`, `12`, `"true"`, `{"a":1}`},
		"x": {`{"a":[1,"b"]}`}, "m": {`[[1],[2]]`}, "e": {`"OPEN"`},
	} {
		f := fields[name]
		for _, text := range values {
			want, err := readJSON([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			var none *Schema
			got, given, problem := none.Coerce(f.Variable, f.Typed(want))
			if a, _ := json.Marshal(got); !given || problem != "" || !cmp.Equal(string(a), text) {
				t.Errorf("$%s: %s is typed as %q, which is read as %s (%s)", name, text, f.Typed(want), a, problem)
			}
		}
		if f.Typed(nil) != "" {
			t.Errorf("$%s: nothing is typed as %q", name, f.Typed(nil))
		}
	}
}
