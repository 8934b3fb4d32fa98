package sandbox_test

import (
	"strings"
	"testing"

	"sightline/internal/services/sandbox"
)

type gqlAnswer struct {
	Data   map[string]any
	Errors []struct {
		Message   string
		Path      []any
		Locations []struct{ Line, Column int }
	}
}

func ask(t *testing.T, s *sandbox.Sandbox, query string, variables map[string]any, want int) gqlAnswer {
	t.Helper()
	a := contract(t, s, "POST", s.LogRocketURL()+"/graphql", map[string]any{"query": query, "variables": variables})
	if a.code != want {
		t.Fatalf("%s answered %d %s", query, a.code, a.body)
	}
	var out gqlAnswer
	a.json(t, &out)
	return out
}

func TestGraphQLTellsItsSchema(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	got := ask(t, s, `query Q { __schema { queryType { name fields { name args { name type { kind name } } } } mutationType { name } types { kind name description fields(includeDeprecated: true) { name } } directives { name } } }`, nil, 200)
	names := []string{}
	for _, f := range got.Data["__schema"].(map[string]any)["queryType"].(map[string]any)["fields"].([]any) {
		names = append(names, f.(map[string]any)["name"].(string))
	}
	for _, want := range []string{"sessions", "session", "users", "user", "errors", "pages"} {
		if !strings.Contains(strings.Join(names, " "), want) {
			t.Errorf("no %s among %v", want, names)
		}
	}
}

// The library's own types are shared by every schema and filled when first used.
func TestGraphQLOfSeveralSandboxesAtOnce(t *testing.T) {
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			s, _ := start(t, sandbox.Options{})
			got := ask(t, s, `{ __schema { types { kind } directives { locations } } __type(name: "Query") { kind } }`, nil, 200)
			if len(got.Data["__schema"].(map[string]any)["types"].([]any)) < 8 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestGraphQLQueries(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	got := ask(t, s, `query A($e: String!, $n: Int) { sessions(userEmail: $e, first: $n) { recordingID sessionID startedAt durationMs userEmail url pageViews { url loadTimeMs time } errors { message } } user(email: $e) { userID traits { name value } sessions(hasErrors: true) { userID } } }`,
		map[string]any{"e": "ada.lovelace@example.com", "n": 3}, 200)
	list := got.Data["sessions"].([]any)
	if len(list) != 3 || len(got.Errors) != 0 {
		t.Fatalf("got %+v", got)
	}
	one := list[0].(map[string]any)
	if one["userEmail"] != "ada.lovelace@example.com" || len(one["pageViews"].([]any)) == 0 {
		t.Errorf("a session %+v", one)
	}
	again := ask(t, s, `query($r: String!, $s: Int) { session(recordingID: $r, sessionID: $s) { startedAt } }`, map[string]any{"r": one["recordingID"], "s": one["sessionID"]}, 200)
	if again.Data["session"].(map[string]any)["startedAt"] != one["startedAt"] {
		t.Errorf("found %+v again as %+v", one, again.Data)
	}
	sums := ask(t, s, `{ errors { message count sessions lastSeen } pages { title views averageLoadMs } users(search: "turing") { email } }`, nil, 200)
	if len(sums.Data["errors"].([]any)) == 0 || len(sums.Data["pages"].([]any)) < 5 || len(sums.Data["users"].([]any)) != 1 {
		t.Errorf("sums %+v", sums.Data)
	}
}

func TestGraphQLErrors(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	// One field fails and says where; the rest is there.
	got := ask(t, s, `{ ok: users(first: 1) { email } user(userID: "nobody") { email } sessions(first: 500) { userID } }`, nil, 200)
	if got.Data["ok"] == nil || got.Data["user"] != nil || len(got.Errors) != 2 || len(got.Errors[0].Path) == 0 || len(got.Errors[0].Locations) == 0 {
		t.Errorf("partial: %+v", got)
	}
	got = ask(t, s, `{ sessions(userEmail: "ada.lovelace@example.com", hasErrors: true) { rageClicks } }`, nil, 200)
	if len(got.Errors) == 0 || len(got.Errors[0].Path) != 3 || got.Errors[0].Path[1] != "0" {
		t.Errorf("deep: %+v", got.Errors)
	}
	for _, q := range []string{`{ nothing }`, `{ users(`, `query($x: Int!) { users(first: $x) { email } }`} {
		if got := ask(t, s, q, nil, 400); len(got.Errors) == 0 || got.Data != nil {
			t.Errorf("%s: %+v", q, got)
		}
	}
	if a := contract(t, s, "POST", s.LogRocketURL()+"/graphql", `{"query":"{ nothing }"}`); strings.Contains(string(a.body), `"data"`) {
		t.Errorf("a query that never ran has data: %s", a.body)
	}
	for _, body := range []any{"", "{", `{"query":" "}`, `{"query":3}`, `{}`} {
		if a := contract(t, s, "POST", s.LogRocketURL()+"/graphql", body); a.code != 400 {
			t.Errorf("%v: %d", body, a.code)
		}
	}
	s.SetDialect(sandbox.DialectLive)
	a := mustSend(t, "POST", s.LogRocketURL()+"/graphql", token(s), map[string]string{"query": `{ nothing }`})
	if a.code != 200 || !strings.Contains(string(a.body), "Cannot query field") {
		t.Errorf("live: %d %s", a.code, a.body)
	}
	a = mustSend(t, "POST", s.LogRocketURL()+"/graphql", token(s), map[string]string{"query": `{ sessions(userEmail: "ada.lovelace@example.com", hasErrors: true) { rageClicks } }`})
	if !strings.Contains(string(a.body), `"path":["sessions",0,"rageClicks"]`) {
		t.Errorf("live path: %.300s", a.body)
	}
}

func TestGraphQLMutation(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	one := ask(t, s, `{ sessions(first: 1) { recordingID sessionID note } }`, nil, 200).Data["sessions"].([]any)[0].(map[string]any)
	vars := map[string]any{"r": one["recordingID"], "s": one["sessionID"]}
	got := ask(t, s, `mutation($r: String!, $s: Int) { setSessionNote(recordingID: $r, sessionID: $s, note: "<b>seen</b>") { note } }`, vars, 200)
	after := ask(t, s, `query($r: String!, $s: Int) { session(recordingID: $r, sessionID: $s) { note } }`, vars, 200)
	if one["note"] != nil || len(got.Errors) != 0 || after.Data["session"].(map[string]any)["note"] != "<b>seen</b>" {
		t.Errorf("before %v, answer %+v, after %+v", one, got, after)
	}
}
