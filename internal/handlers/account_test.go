package handlers_test

import (
	"net/http"
	"strings"
	"testing"

	"sightline/internal/services"
)

const accountPath = "/o/acme/account"

func TestAccountName(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	b := s.as(t, "viewer@example.com")
	b.get("/o/acme/").wants(t, 200, `href="`+accountPath+`"`)
	b.get(accountPath).wants(t, 200, "viewer@example.com", "Only in this browser.", "Leave…")
	b.post(accountPath+"/name", "name", strings.Repeat("é", 81)).wants(t, 422, "at most 80 characters", "éé")
	for range 2 { // the button pressed twice
		b.post(accountPath+"/name", "name", " Vera <i> ").wants(t, 303)
	}
	b.get(accountPath).wants(t, 200, `value="Vera &lt;i&gt;"`, "Your name was changed.")
	if n := b.history("Changed their own name"); n != 1 {
		t.Errorf("the history tells %d times of it", n)
	}
	b.post(accountPath+"/name", "name", "").wants(t, 303)
	b.get(membersPath).wants(t, 200, "viewer@example.com")
}

func TestPasswordIsChangedAndOtherBrowsersAreSignedOut(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	b, elsewhere := s.as(t, "viewer@example.com"), s.as(t, "viewer@example.com")
	b.get(accountPath).wants(t, 200, "In 2 browsers, this one included.")
	a := b.post(accountPath+"/password", "current", "wrong horse", "password", "short")
	a.wants(t, 422, "That is not your password.", "at least 10 characters", "2 fields need")
	if strings.Contains(a.body, "wrong horse") || strings.Contains(a.body, `"short"`) {
		t.Error("a password came back in the page")
	}
	b.post(accountPath+"/password", "current", password, "password", password).wants(t, 422, "That is the password you have.")
	elsewhere.get("/o/acme/").wants(t, 200)

	before := b.c.Jar.Cookies(mustURL(t, s.URL))
	b.post(accountPath+"/password", "current", password, "password", "battery staple").wants(t, 303)
	b.get(accountPath).wants(t, 200, "Your password was changed.", "Only in this browser.")
	if a := elsewhere.get("/o/acme/"); a.status != http.StatusSeeOther {
		t.Errorf("the other browser: %d, want to be signed out", a.status)
	}
	// This browser's own old cookie is worth nothing either.
	old := s.browser(t)
	old.c.Jar.SetCookies(mustURL(t, s.URL), before)
	if a := old.get("/o/acme/"); a.status != http.StatusSeeOther {
		t.Errorf("the cookie from before: %d, want to be signed out", a.status)
	}
	b.post(accountPath+"/password", "current", password, "password", "battery staple").wants(t, 422, "That is not your password.")
	s.browser(t).post("/login", "email", "viewer@example.com", "password", password).wants(t, 422)
	s.browser(t).post("/login", "email", "viewer@example.com", "password", "battery staple").wants(t, 303)
	if n := b.history("Changed their own password"); n != 1 {
		t.Errorf("the history tells %d times of it", n)
	}
}

func TestPresentPasswordCannotBeGuessed(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	b := s.as(t, "viewer@example.com")
	var last answer
	for range 12 {
		last = b.post(accountPath+"/password", "current", "a guess", "password", "battery staple")
	}
	last.wants(t, http.StatusTooManyRequests, "Too many tries")
}

func TestSignOutEverywhereElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	b, phone, laptop, somebody := s.as(t, "viewer@example.com"), s.as(t, "viewer@example.com"), s.as(t, "viewer@example.com"), s.as(t, "admin@example.com")
	b.get(accountPath).wants(t, 200, "In 3 browsers, this one included.")
	b.post(accountPath+"/sign-out-elsewhere").wants(t, 303)
	b.get(accountPath).wants(t, 200, "Signed out of 2 other browsers.", "Only in this browser.")
	for _, other := range []*browser{phone, laptop} {
		if a := other.get("/o/acme/"); a.status != http.StatusSeeOther {
			t.Errorf("another browser: %d, want to be signed out", a.status)
		}
	}
	somebody.get("/o/acme/").wants(t, 200)
	b.post(accountPath+"/sign-out-elsewhere").wants(t, 303)
	b.get(accountPath).wants(t, 200, "You were signed in nowhere else.")
	if n := b.history("Signed out of their other browsers"); n != 1 {
		t.Errorf("the history tells %d times of it", n)
	}
}
