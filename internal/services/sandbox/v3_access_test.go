package sandbox_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

func TestV3TokenAndScopes(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	v := newV3(t, s)
	requests := v3Requests(t, s)
	for _, header := range []map[string]string{nil, {"Authorization": "Bearer no"}, {"Authorization": "token " + s.Credentials().RaygunToken}, {"Authorization": s.Credentials().RaygunToken}} {
		a := mustSend(t, "GET", s.RaygunURL()+"/v3/applications", header, nil)
		if a.code != 401 || a.header.Get("X-Raygun-RequestId") == "" || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%v answered %d %v", header, a.code, a.header)
		}
	}
	if a := mustSend(t, "GET", s.RaygunURL()+"/v3/applications", map[string]string{"Authorization": "bearer " + s.Credentials().RaygunToken}, nil); a.code != 200 {
		t.Errorf("a scheme in small letters answered %d", a.code)
	}
	for _, one := range sandbox.RaygunScopes() {
		s.SetRaygunScopes(slices.DeleteFunc(sandbox.RaygunScopes(), func(x string) bool { return x == one })...)
		refused := 0
		for operation, q := range requests {
			switch a := v.ask(q.method, q.path, q.body); {
			case a.code == 403 && strings.Contains(string(a.body), one):
				refused++
			case a.code != 200:
				t.Errorf("%s without %s answered %d %s", operation, one, a.code, a.body)
			}
		}
		if refused == 0 || slices.Contains(s.RaygunGrantedScopes(), one) {
			t.Errorf("nothing takes %s", one)
		}
	}
	s.SetRaygunScopes()
	s.SetDialect(sandbox.DialectLive)
	a := v.ask("GET", "/v3/applications", nil)
	if a.code != 403 || a.header.Get("Content-Type") != "application/problem+json" || strings.Contains(string(a.body), "applications:read") {
		t.Errorf("live: %d %v %s", a.code, a.header, a.body)
	}
}

func TestV3Limits(t *testing.T) {
	s, c := start(t, sandbox.Options{RaygunV3Limits: sandbox.RaygunLimits{PerSecond: 3, PerMinute: 5, PerDay: 7}})
	v := newV3(t, s)
	ask := func() (int, string) {
		t.Helper()
		a := v.ask("GET", v.app, nil)
		if a.code == 429 && (a.header.Get("Content-Type") != "text/plain" || a.header.Get("X-Rate-Limit-Remaining") != "") {
			t.Errorf("429 with %v %s", a.header, a.body)
		}
		return a.code, a.header.Get("Retry-After") + a.header.Get("X-Rate-Limit-Limit") + a.header.Get("X-Rate-Limit-Remaining")
	}
	expect := func(wantCode int, want string) {
		t.Helper()
		if code, got := ask(); code != wantCode || got != want {
			t.Errorf("answered %d %q, want %d %q", code, got, wantCode, want)
		}
	}
	c.add(10 * time.Second)
	expect(200, "1d6")
	if a := mustSend(t, "GET", s.RaygunURL()+v.app, nil, nil); a.code != 401 { // takes nothing
		t.Errorf("without token: %d", a.code)
	}
	s.SetDialect(sandbox.DialectLive)
	expect(200, "1m3")
	s.SetDialect(sandbox.DialectContract)
	expect(200, "1d4")
	expect(429, "1")
	c.add(time.Second)
	expect(200, "1d3")
	expect(200, "1d2")
	expect(429, "49") // of the minute that began at noon
	c.add(49 * time.Second)
	expect(200, "1d1")
	expect(200, "1d0")
	expect(429, strconv.Itoa(12*3600-60))
	if got := s.RaygunV3CallsToday(); got != 7 || s.RaygunCallsToday() != 0 {
		t.Errorf("%d calls counted, %d of v1", got, s.RaygunCallsToday())
	}
	s.SetRaygunV3Limits(sandbox.RaygunLimits{PerSecond: -1, PerMinute: -1, PerDay: -1})
	expect(200, "")
	s.SetRaygunV3Limits(sandbox.RaygunLimits{PerSecond: -1, PerMinute: -1, PerDay: 1})
	c.add(12 * time.Hour)
	expect(200, "1d0")
}
