package sandbox_test

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"sightline/internal/services/sandbox"
)

func TestLogRocketRefusesKeys(t *testing.T) {
	for _, d := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		s, _ := start(t, sandbox.Options{Dialect: d})
		shapes := map[string]bool{}
		for _, op := range []struct{ method, addr string }{
			{"PUT", app(s, "users/u")}, {"GET", app(s, "data-export/")}, {"POST", app(s, "highlights/")}, {"GET", app(s, "highlights/?id=1")}, {"POST", s.LogRocketURL() + "/graphql"},
		} {
			if d == sandbox.DialectLive && strings.Contains(op.addr, "?id=") {
				op.addr = app(s, "highlights?id=1")
			}
			for _, header := range []map[string]string{nil, {"Authorization": "token wrong"}, {"Authorization": s.Credentials().LogRocketKey}} {
				a := mustSend(t, op.method, op.addr, header, map[string]string{"query": "{__typename}"})
				if a.code != 401 {
					t.Errorf("%s %s with %v: %d", op.method, op.addr, header, a.code)
				}
				shape, _, json := strings.Cut(string(a.body), ":")
				if !json {
					shape = "text"
				}
				shapes[shape] = true
			}
		}
		if len(shapes) != 5 {
			t.Errorf("refusals come in the shapes %v", shapes)
		}
		a := mustSend(t, "GET", app(s, "data-export/"), map[string]string{"Authorization": "Bearer " + s.Credentials().LogRocketKey}, nil)
		if want := map[sandbox.Dialect]int{sandbox.DialectContract: 401, sandbox.DialectLive: 403}[d]; a.code != want {
			t.Errorf("%s: Bearer gets %d %s", d, a.code, a.body)
		}
	}
}

func TestUnknownAppAndPaths(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	base := s.LogRocketURL()
	for _, q := range []struct {
		method, path string
		want         int
	}{
		{"PUT", "/v1/orgs/other/apps/web/users/u", 404},
		{"GET", "/v1/orgs/acme/apps/other/data-export/", 404},
		{"GET", "/v1/orgs/acme/apps/web/data-export", 404},
		{"PUT", "/v1/orgs/acme/apps/web/users/u/", 404},
		{"PUT", "/v1/orgs/acme/apps/web/users/a/b", 404},
		{"PUT", "/v1/orgs/acme/apps/web/users/", 404},
		{"POST", "/v1/orgs/acme/apps/web/highlights", 404},
		{"GET", "/v1/orgs/acme/apps/web/users/u", 405},
		{"GET", "/graphql", 405},
		{"GET", "/v1/nothing", 404},
	} {
		if a := mustSend(t, q.method, base+q.path, token(s), map[string]any{"name": "x"}); a.code != q.want {
			t.Errorf("%s %s: %d %s, want %d", q.method, q.path, a.code, a.body, q.want)
		}
	}
}

func TestUpdateUserMerges(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	var got struct {
		UserID      string `json:"userId"`
		LiveID      string `json:"userID"`
		Name, Email string
		Traits      map[string]string
	}
	put := func(body string) {
		t.Helper()
		a := contract(t, s, "PUT", app(s, "users/new%20user"), body)
		if a.code != 200 {
			t.Fatalf("%s answered %d %s", body, a.code, a.body)
		}
		got.Traits = nil
		a.json(t, &got)
	}
	put(`{"name":"N","email":"n@example.com","timestamp":1715567430000,"traits":{"age":43,"big":12345678901234567890,"half":1.50,"on":true,"plan":"free"}}`)
	if want := map[string]string{"age": "43", "big": "12345678901234567890", "half": "1.50", "on": "true", "plan": "free"}; !maps.Equal(got.Traits, want) || got.UserID != "new user" {
		t.Errorf("first: %+v", got)
	}
	put(`{"traits":{"plan":"paid","age":""}}`)
	if want := map[string]string{"big": "12345678901234567890", "half": "1.50", "on": "true", "plan": "paid"}; !maps.Equal(got.Traits, want) || got.Name != "N" || got.Email != "n@example.com" {
		t.Errorf("second: %+v", got)
	}
	put(`{"email":"","traits":{"on":null}}`)
	if got.Traits["on"] != "" || got.Traits["plan"] != "paid" {
		t.Errorf("third: %+v", got)
	}
	if _, email, _, ok := s.LogRocketUser("new user"); email != "" || !ok {
		t.Errorf("the blank email is %q", email)
	}
	s.SetDialect(sandbox.DialectLive)
	a := mustSend(t, "PUT", app(s, "users/u2"), token(s), `{"name":"x"}`)
	a.json(t, &got)
	if got.LiveID != "u2" || strings.Contains(string(a.body), "userId") {
		t.Errorf("live answer %s", a.body)
	}
}

func TestUpdateUserKnowsTheCompany(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	for path, id := range map[string]string{"usr_ada": "usr_ada", "a%2Fb": "a/b", "%C3%BC%40x": "ü@x", "ü@x": "ü@x", "google-oauth2%7Ckatherine": "google-oauth2|katherine"} {
		var got struct {
			UserID string
			Email  string
			Traits map[string]string
		}
		contract(t, s, "PUT", app(s, "users/"+path), `{"traits":{"new":"1"}}`).json(t, &got)
		if got.UserID != id || got.Email == "" || len(got.Traits) < 5 || got.Traits["new"] != "1" {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

func TestUpdateUserLimits(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	long, fits := strings.Repeat("ü", 1025), strings.Repeat("ü", 1024)
	for _, c := range []struct {
		name, id string
		body     any
		want     string
	}{
		{"empty", "u", nil, "Missing request body"},
		{"blank", "u", "  ", "Missing request body"},
		{"not JSON", "u", "{", "Malformed request"},
		{"a list", "u", "[]", "Malformed request"},
		{"null", "u", "null", "Malformed request"},
		{"name a number", "u", `{"name":3}`, "Malformed request"},
		{"trait an object", "u", `{"traits":{"a":{}}}`, "Malformed request"},
		{"long id", strings.Repeat("x", 1025), `{}`, "userID too large (max 1024 characters)"},
		{"long name", "u", map[string]string{"name": long}, "name too large (max 1024 characters)"},
		{"long email", "u", map[string]string{"email": long}, "email too large (max 1024 characters)"},
		{"long key", "u", map[string]any{"traits": map[string]string{long: "v"}}, "trait key too large (max 1024 characters)"},
		{"long value", "u", map[string]any{"traits": map[string]string{"k": long}}, "trait value too large (max 1024 characters)"},
	} {
		a := contract(t, s, "PUT", app(s, "users/"+c.id), c.body)
		if a.code != 400 || !strings.Contains(string(a.body), c.want) {
			t.Errorf("%s: %d %s, want %s", c.name, a.code, a.body, c.want)
		}
	}
	if a := contract(t, s, "PUT", app(s, "users/u"), map[string]any{"name": fits, "traits": map[string]string{fits: fits}}); a.code != 200 {
		t.Errorf("1024 characters: %d %.100s", a.code, a.body)
	}
	if a := mustSend(t, "PUT", app(s, "users/u"), token(s), strings.Repeat(" ", 5<<20)); a.code != 413 {
		t.Errorf("5 MB: %d", a.code)
	}
}

func TestUpdateUserManyAtOnce(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 20 {
				if a, err := send(t, "PUT", app(s, "users/usr_ada"), token(s), fmt.Sprintf(`{"traits":{"t%d-%d":"1"}}`, i, n)); err != nil || a.code != 200 {
					t.Errorf("%d %v", a.code, err)
				}
			}
		})
	}
	wg.Wait()
	_, _, traits, _ := s.LogRocketUser("usr_ada")
	if len(traits) < 165 {
		t.Errorf("%d traits: some were lost", len(traits))
	}
}
