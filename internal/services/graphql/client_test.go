package graphql_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"sightline/internal/services/graphql"
)

// An editor's library is given a schema that says the same as the server's.
func TestAnEditorIsToldTheSameSchema(t *testing.T) {
	for name, answer := range map[string][]byte{"one of everything": body(t, everything()), "a large one": body(t, large(40))} {
		t.Run(name, func(t *testing.T) {
			s := schema(t, json.RawMessage(answer))
			told, err := s.Introspection()
			if err != nil {
				t.Fatal(err)
			}
			again := schema(t, json.RawMessage(told))
			if list, n := graphql.Changes(s, again, 10); n > 0 {
				t.Errorf("%d differences: %v", n, list)
			}
			twice, err := again.Introspection()
			if err != nil || !bytes.Equal(told, twice) {
				t.Errorf("it is told differently the second time (%v):\n%s\n%s", err, told, twice)
			}
		})
	}
}

// One thing that is out of place makes an editor's library refuse all of a
// schema, so what is told has none.
func TestWhatAnEditorWouldStumbleOverIsNotTold(t *testing.T) {
	s := schema(t, json.RawMessage(`{"data":{"__schema":{"queryType":{"name":"Query"},"mutationType":{"name":"No-Name"},"types":[
		{"kind":"OBJECT","name":"No-Name","fields":[{"name":"x","type":{"kind":"SCALAR","name":"Int"}}]},
		{"kind":"OBJECT","name":"Query","interfaces":[{"kind":"INTERFACE","name":"Also Not"}],"fields":[
			{"name":"2nd","type":{"kind":"SCALAR","name":"Int"}},
			{"name":"takes","args":[{"name":"o","type":{"kind":"OBJECT","name":"Query"}},{"name":"a b","type":{"kind":"SCALAR","name":"Int"}},
				{"name":"s","type":{"kind":"SCALAR","name":"String"},"defaultValue":"\"\\u0007\\u001B ü 😀\""}],"type":{"kind":"INPUT_OBJECT","name":"In"}},
			{"name":"lost","type":{"kind":"NON_NULL","ofType":{"kind":"LIST","ofType":null}}},
			{"name":"generic","type":{"kind":"OBJECT","name":"Page<T>"}}]},
		{"kind":"INPUT_OBJECT","name":"In","inputFields":[{"name":"q","type":{"kind":"OBJECT","name":"Query"}}]},
		{"kind":"ENUM","name":"E","enumValues":[{"name":"null"},{"name":"a-b"},{"name":"OK"}]},
		{"kind":"UNION","name":"U","possibleTypes":[{"kind":"SCALAR","name":"Int"},{"kind":"OBJECT","name":"No-Name"}]}],
		"directives":[{"name":"not one","locations":["FIELD"]},{"name":"cached"}]}}}`))
	told, err := s.Introspection()
	if err != nil {
		t.Fatal(err)
	}
	var any map[string]any
	if err := json.Unmarshal(told, &any); err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"name":"([^"]*)"`).FindAllStringSubmatch(string(told), -1) {
		if !regexp.MustCompile(`^[_A-Za-z]\w*$`).MatchString(m[1]) {
			t.Errorf("the name %q is told", m[1])
		}
	}
	for _, want := range []string{
		`{"name":"takes","args":[{"name":"o","type":{"kind":"SCALAR","name":"_Unknown"}},{"name":"s","type":{"kind":"SCALAR","name":"String"},"defaultValue":"\"\\u0007\\u001B ü 😀\""}],"type":{"kind":"SCALAR","name":"_Unknown"}}`,
		`"possibleTypes":[]`, `"enumValues":[{"name":"OK"}]`, `"inputFields":[{"name":"q","type":{"kind":"SCALAR","name":"_Unknown"}}]`, `{"name":"cached","locations":[],"args":[]}`,
	} {
		if !strings.Contains(string(told), want) {
			t.Errorf("%s is not in %s", want, told)
		}
	}
	if strings.Contains(string(told), "mutationType") {
		t.Error("mutations begin at a type that is not told")
	}
}
