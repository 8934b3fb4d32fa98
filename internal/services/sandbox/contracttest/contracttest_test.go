package contracttest_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sightline/internal/services/sandbox/contracttest"
)

func TestRaygunModelsAreThoseOfThePage(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(contracttest.SpecDir(t), "raygun-rum-api.md"))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(raw), "Response model\n")[1:]
	for i, operation := range []string{"authenticate", "sessions", "session"} {
		example, _, _ := strings.Cut(parts[i], "HTTP Status Codes")
		want, err := contracttest.ReadModel(example)
		if err != nil {
			t.Fatalf("%s: %v", operation, err)
		}
		got := contracttest.RaygunModel(operation)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n ours %s\npage's %s", operation, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
		}
	}
}

func TestCheckRaygunRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"a missing field": `{}`, "another type": `{"sessionKey":1}`, "a further field": `{"sessionKey":"x","more":1}`, "no JSON": `<html>`, "a list": `[]`,
	} {
		if contracttest.CheckRaygun("authenticate", []byte(body)) == nil {
			t.Errorf("let %s pass", name)
		}
	}
	if err := contracttest.CheckRaygun("authenticate", []byte(`{"sessionKey":"x"}`)); err != nil {
		t.Error(err)
	}
}

func TestValidatorTellsDialectsApart(t *testing.T) {
	v := contracttest.Load(t)
	const users, lights = "https://x.example/v1/orgs/o/apps/a/users/a%2Fb", "https://x.example/v1/orgs/o/apps/a/highlights/"
	requests := []struct {
		name, method, path, auth, body string
		ok                             bool
	}{
		{"user", "PUT", users, "token k", `{"traits":{"n":1,"b":true,"s":"x"}}`, true},
		{"user, fraction", "PUT", users, "token k", `{"traits":{"n":1.5}}`, false},
		{"user, object", "PUT", users, "token k", `{"traits":{"n":{}}}`, false},
		{"user, slash", "PUT", users + "/", "token k", `{}`, false},
		{"user, Bearer", "PUT", users, "Bearer k", `{}`, false},
		{"user, no body", "PUT", users, "token k", ``, false},
		{"exports", "GET", "https://x.example/v1/orgs/o/apps/a/data-export/?limit=100&cursor=17", "token k", "", true},
		{"exports, limit", "GET", "https://x.example/v1/orgs/o/apps/a/data-export/?limit=101", "token k", "", false},
		{"exports, no slash", "GET", "https://x.example/v1/orgs/o/apps/a/data-export", "token k", "", false},
		{"highlights", "POST", lights, "token k", `{"userID":"a","timeRange":{"startMs":1,"endMs":2}}`, true},
		{"highlights, times as text", "POST", lights, "token k", `{"userID":"a","timeRange":{"startMs":"1"}}`, false},
		{"highlights, no id", "GET", lights, "token k", "", false},
		{"graphql, no query", "POST", "https://x.example/graphql", "token k", `{}`, false},
		{"graphql", "POST", "https://x.example/graphql", "token k", `{"query":"{a}","variables":{"x":[1]}}`, true},
	}
	for _, q := range requests {
		r := httptest.NewRequest(q.method, q.path, nil)
		r.Header.Set("Authorization", q.auth)
		r.Header.Set("Content-Type", "application/json")
		if err := v.CheckRequest(r, []byte(q.body)); (err == nil) != q.ok {
			t.Errorf("%s: %v", q.name, err)
		}
	}
	answers := []struct {
		name, method, path string
		status             int
		body               string
		ok                 bool
	}{
		{"user", "PUT", users, 200, `{"userId":"1","name":"n","email":"a@example.com","traits":{"a":"1"}}`, true},
		{"user, live", "PUT", users, 200, `{"userID":"1","traits":{}}`, false},
		{"user, number", "PUT", users, 200, `{"userId":"1","traits":{"a":1}}`, false},
		{"user, other status", "PUT", users, 202, `{}`, false},
		{"pending", "GET", lights + "?id=1", 200, `{"requestID":"1","appID":"o/a","status":"PENDING","result":null}`, true},
		{"complete", "GET", lights + "?id=1", 200, `{"status":"COMPLETE","result":{"highlights":"x","sessions":[{"sessionId":"a","highlights":"y"}]}}`, true},
		{"ready", "GET", lights + "?id=1", 200, `{"status":"READY","result":null}`, false},
		{"session number", "GET", lights + "?id=1", 200, `{"status":"COMPLETE","result":{"highlights":"x","sessions":[{"sessionID":1}]}}`, false},
		{"cursor number", "GET", "https://x.example/v1/orgs/o/apps/a/data-export/", 200, `{"cursor":17,"sessions":[]}`, false},
		{"graphql path number", "POST", "https://x.example/graphql", 200, `{"errors":[{"message":"x","path":["a",0]}]}`, false},
		{"graphql null data", "POST", "https://x.example/graphql", 200, `{"data":null,"errors":[]}`, false},
	}
	for _, a := range answers {
		r := httptest.NewRequest(a.method, a.path, nil)
		if err := v.CheckResponse(r, a.status, http.Header{"Content-Type": {"application/json"}}, []byte(a.body)); (err == nil) != a.ok {
			t.Errorf("%s: %v", a.name, err)
		}
	}
}
