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

func TestV3ValidatorRefuses(t *testing.T) {
	v := contracttest.LoadV3(t)
	const app, metrics = "https://x.example/v3/applications/a", "https://x.example/v3/metrics/a/pages/time-series"
	series := `{"start":"2026-11-01T00:00:00Z","end":"2026-11-02T00:00:00Z","granularity":"1h","aggregation":"p95","metrics":["loadTime"]}`
	for _, q := range []struct {
		name, method, path, auth, body string
		ok                             bool
	}{
		{"sessions", "GET", app + "/sessions?count=500&offset=0&orderby=startedAt+desc", "Bearer k", "", true},
		{"sessions, two orders", "GET", app + "/sessions?orderby=startedAt+desc&orderby=updatedAt", "Bearer k", "", true},
		{"sessions, joined orders", "GET", app + "/sessions?orderby=startedAt+desc,updatedAt", "Bearer k", "", false},
		{"sessions, order by what they have not", "GET", app + "/sessions?orderby=rating", "Bearer k", "", false},
		{"sessions, count", "GET", app + "/sessions?count=501", "Bearer k", "", false},
		{"sessions, filter", "GET", app + "/sessions?filter=xhr.uri+eq+https://x.example", "Bearer k", "", true},
		{"sessions, other filter", "GET", app + "/sessions?filter=country+eq+NZ", "Bearer k", "", false},
		{"sessions, another scheme", "GET", app + "/sessions", "token k", "", false},
		{"session", "GET", app + "/sessions/b?include=pageViews,errors", "Bearer k", "", true},
		{"session, include", "GET", app + "/sessions/b?include=user", "Bearer k", "", false},
		{"pages, joined orders", "GET", app + "/pages?orderby=uri,name", "Bearer k", "", true},
		{"series", "POST", metrics, "Bearer k", series, true},
		{"series, aggregation", "POST", metrics, "Bearer k", strings.Replace(series, "p95", "p75", 1), false},
		{"series, granularity", "POST", metrics, "Bearer k", strings.Replace(series, "1h", "1w", 1), false},
	} {
		r := httptest.NewRequest(q.method, q.path, nil)
		r.Header.Set("Authorization", q.auth)
		r.Header.Set("Content-Type", "application/json")
		if err := v.CheckRequest(r, []byte(q.body)); (err == nil) != q.ok {
			t.Errorf("%s: %v", q.name, err)
		}
	}
	page := `{"identifier":"p","applicationIdentifier":"a","uri":"https://x.example/","type":"web","lastSeenAt":"2026-11-01T00:00:00Z"}`
	for _, a := range []struct {
		name, path string
		status     int
		body       string
		ok         bool
	}{
		{"page", "/pages/p", 200, page, true},
		{"pages", "/pages", 200, "[" + page + "]", true},
		{"page, further field", "/pages/p", 200, strings.Replace(page, "type", "kind", 1), false},
		{"pages in an object", "/pages", 200, `{"pages":[]}`, false},
		{"session, nothing in it", "/sessions/s", 200, `{}`, false},
		{"problem", "/sessions/s", 404, `{"type":"t","title":"Not Found","status":404,"traceId":"1"}`, true},
		{"problem, no trace", "/sessions/s", 404, `{"type":"t","title":"Not Found","status":404}`, false},
		{"status without an answer", "/sessions", 400, `{"type":"t","title":"Bad Request","status":400,"traceId":"1"}`, false},
		{"customer", "/customers/c", 200, `{"identifier":"c","isAnonymous":true}`, true},
		{"customer, rating", "/customers/c", 200, `{"identifier":"c","rating":"Good"}`, false},
	} {
		r := httptest.NewRequest("GET", app+a.path, nil)
		if err := v.CheckResponse(r, a.status, http.Header{"Content-Type": {"application/json"}}, []byte(a.body)); (err == nil) != a.ok {
			t.Errorf("%s: %v", a.name, err)
		}
	}
}
