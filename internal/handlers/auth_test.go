package handlers_test

import (
	"net/http"
	"strings"
	"testing"

	"sightline/internal/services"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	b := s.browser(t)
	if a := b.get("/o/acme/asks/1"); a.status != http.StatusSeeOther || a.location != "/login?next=%2Fo%2Facme%2Fasks%2F1" {
		t.Fatalf("a page without sign-in: %d %q", a.status, a.location)
	}
	b.get("/login").wants(t, http.StatusOK, `name="email"`, `name="password"`)
	a := b.post("/login", "email", "viewer@example.com", "password", "wrong", "next", "/o/acme/asks/1")
	a.wants(t, http.StatusUnprocessableEntity, `value="viewer@example.com"`, "do not belong together", `value="/o/acme/asks/1"`)
	if strings.Contains(a.body, `value="wrong"`) {
		t.Error("the password came back in the page")
	}
	if a := b.post("/login", "email", "viewer@example.com", "password", password, "next", "//evil.example/"); a.status != http.StatusSeeOther || a.location != "/o/acme/" {
		t.Errorf("sign in with a next elsewhere: %d %q", a.status, a.location)
	}
	c := b.c.Jar.Cookies(mustURL(t, s.URL))
	if len(c) != 1 {
		t.Fatalf("cookies = %v", c)
	}
	b.get("/o/acme/asks/1").wants(t, http.StatusNotFound, "no such request")
	b.get("/o/nobody/asks/1").wants(t, http.StatusNotFound, "do not belong to it")
	b.post("/logout")
	// The cookie that the browser had is worth nothing now, even if kept.
	old := s.browser(t)
	old.c.Jar.SetCookies(mustURL(t, s.URL), c)
	if a := old.get("/o/acme/asks/1"); a.status != http.StatusSeeOther {
		t.Errorf("an old cookie after sign-out: %d", a.status)
	}
}

func TestSignInIsLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	b := s.browser(t)
	var last answer
	for range 12 {
		last = b.post("/login", "email", "owner@example.com", "password", "wrong horse")
	}
	last.wants(t, http.StatusTooManyRequests, "Too many tries")
	if a := b.post("/login", "email", "viewer@example.com", "password", password); a.status != http.StatusSeeOther {
		t.Errorf("another account from the same address: %d", a.status)
	}
}

func TestOrganizationsDoNotMeet(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	other, err := s.services.People.AddOrganization(t.Context(), "", "Other")
	if err != nil {
		t.Fatal(err)
	}
	s.member(t, other, "stranger@example.com", services.Owner)
	b := s.as(t, "stranger@example.com")
	b.get("/o/acme/asks/1").wants(t, http.StatusNotFound)
	b.get("/o/other/asks/1").wants(t, http.StatusNotFound)
}

func TestFormsFromOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	b := s.browser(t)
	for _, h := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
		a := b.do("POST", "/login", "email=owner%40example.com&password=correct+horse", append(h, "Content-Type", "application/x-www-form-urlencoded")...)
		a.wants(t, http.StatusForbidden, "came from another site")
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	b := s.browser(t)
	for _, path := range []string{"/login", "/nowhere", "/setup?token=x", "/o/acme/"} {
		h := b.get(path).header
		if !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", path, h)
		}
	}
	b.get("/healthz").wants(t, http.StatusOK, "ok test")
	b.get("/readyz").wants(t, http.StatusOK, "ready")
	if a := b.post("/login", "email", strings.Repeat("x", 2<<20)); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a 2 MB form: %d", a.status)
	}
}
