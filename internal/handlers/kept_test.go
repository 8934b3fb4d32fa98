package handlers_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/handlers"
	"sightline/internal/services"
)

// TestUnchangedPagesAreNotSentAgain asks for pages with the tag of the page
// before, and changes in between what must make another page.
func TestUnchangedPagesAreNotSentAgain(t *testing.T) {
	t.Parallel()
	var minutes atomic.Int64
	start := time.Now()
	s := newSiteAt(t, services.Vendors{}, func() time.Time { return start.Add(time.Duration(minutes.Load()) * time.Minute) })
	b := s.as(t, "admin@example.com")
	for _, path := range []string{"/o/acme/customers", "/o/acme/sessions", "/o/acme/insight", "/o/acme/history", "/o/acme/calls", "/o/acme/lookup?q=ada"} {
		first := b.get(path)
		first.wants(t, http.StatusOK)
		tag := first.header.Get("ETag")
		if tag == "" || first.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: tag %q, %v", path, tag, first.header)
		}
		if back := b.get(path); back.status != http.StatusOK || back.body != first.body || back.header.Get("Content-Security-Policy") != first.header.Get("Content-Security-Policy") {
			t.Errorf("%s, a step back: %d, and not the same page under the same policy", path, back.status)
		}
		s.sent.Take()
		plain := b.get(path, "Accept-Encoding", "identity")
		if sizes := s.sent.Take(); len(sizes) != 1 || sizes[0] < len(plain.body) {
			t.Errorf("%s of %d bytes was sent in pieces of %v", path, len(plain.body), sizes)
		}
		if plain.status != http.StatusOK || plain.header.Get("Content-Encoding") != "" || !strings.HasPrefix(plain.body, "<!doctype html>") {
			t.Errorf("%s, not compressed: %d %v", path, plain.status, plain.header)
		}
		again := b.get(path, "If-None-Match", tag)
		// The policy that the browser has names the nonce in the page that it has.
		if again.status != http.StatusNotModified || again.body != "" || again.header.Get("ETag") != tag || again.header.Get("Content-Security-Policy") != "" {
			t.Errorf("%s, unchanged: %d %v", path, again.status, again.header)
		}
		for name, other := range map[string]answer{
			"another member":  s.as(t, "viewer@example.com").get(path, "If-None-Match", tag),
			"another address": b.get(path+map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")]+"x=1", "If-None-Match", tag),
			"a part of it":    b.get(path, "If-None-Match", tag, "HX-Request", "true"),
		} {
			if other.status != http.StatusOK || other.header.Get("ETag") == tag {
				t.Errorf("%s, %s: %d with the tag %q", path, name, other.status, other.header.Get("ETag"))
			}
		}
	}
	tag := b.get("/o/acme/customers").header.Get("ETag")
	if a := s.browser(t).get("/o/acme/customers", "If-None-Match", tag); a.status != http.StatusSeeOther {
		t.Errorf("nobody signed in: %d", a.status)
	}
	for _, change := range []struct {
		name string
		do   func()
	}{
		{"some time", func() { minutes.Add(1) }},
		{"a change of anything shown", func() { s.rename(t, "admin@example.com", "Grace") }},
		{"another role", func() { s.member(t, s.org, "admin@example.com", services.Viewer) }},
	} {
		tag := b.get("/o/acme/customers").header.Get("ETag")
		change.do()
		if a := b.get("/o/acme/customers", "If-None-Match", tag); a.status != http.StatusOK {
			t.Errorf("after %s: %d", change.name, a.status)
		}
	}
}

// TestAPageIsOfTheDataBeforeIt changes something while a page is made: once who
// asks is known, and once the page's own data was read. What was made of the
// old data is not kept for the new.
func TestAPageIsOfTheDataBeforeIt(t *testing.T) {
	t.Parallel()
	var meanwhile atomic.Pointer[func()]
	start := time.Now()
	now := func() time.Time {
		if do := meanwhile.Swap(nil); do != nil {
			(*do)()
		}
		return start
	}
	s := newSiteAt(t, services.Vendors{}, now)
	members, err := s.services.People.Members(t.Context(), s.org.ID)
	if err != nil {
		t.Fatal(err)
	}
	o := handlers.Options{Services: s.services, Log: slog.New(slog.DiscardHandler), Now: now}
	page := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/o/acme/customers", nil)
	for change, do := range map[string]func(){"nothing": func() {}, "their name": func() { s.rename(t, members[0].User.Email, "Grace") }} {
		before, after, err := handlers.TagsAround(o, page, members[0].User.ID, "acme", do)
		if err != nil || (before == after) != (change == "nothing") {
			t.Errorf("%s changed once it was read: tags %s and %s, %v", change, before, after, err)
		}
	}

	// A view is saved at each moment of a page's making at which the time is asked
	// for: the page after it has the view.
	b := s.as(t, "admin@example.com")
	actor := services.Actor{Org: s.org.ID, User: s.user(t, "admin@example.com"), Role: services.Admin}
	for moment := 1; ; moment++ {
		name := fmt.Sprintf("View %d", moment)
		var wait func(n int) func()
		wait = func(n int) func() {
			return func() {
				if n > 1 {
					next := wait(n - 1)
					meanwhile.Store(&next)
				} else if _, problems, err := s.services.Views.Save(t.Context(), actor, services.ViewForm{Name: name, Query: "span=7d"}); err != nil || len(problems) > 0 {
					t.Error(problems, err)
				}
			}
		}
		first, path := wait(moment), fmt.Sprintf("/o/acme/sessions?span=7d&show=views&x=%d", moment)
		meanwhile.Store(&first)
		b.get(path).wants(t, http.StatusOK)
		if meanwhile.Swap(nil) != nil {
			if moment < 3 {
				t.Errorf("the time is asked for %d times, not while the page is made", moment-1)
			}
			break
		}
		b.get(path).wants(t, http.StatusOK, name)
	}
}

// user is the id of a member.
func (s *site) user(t *testing.T, email string) services.UserID {
	t.Helper()
	members, err := s.services.People.Members(t.Context(), s.org.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if m.User.Email == email {
			return m.User.ID
		}
	}
	t.Fatalf("nobody has the email %s", email)
	return 0
}

// rename changes somebody's name without a message for their next page, which
// would not be kept for that alone.
func (s *site) rename(t *testing.T, email, name string) {
	t.Helper()
	members, err := s.services.People.Members(t.Context(), s.org.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if m.User.Email == email {
			if problems, err := s.services.People.Rename(t.Context(), m.User, name); err != nil || len(problems) > 0 {
				t.Fatalf("rename %s: %v %v", email, problems, err)
			}
			return
		}
	}
	t.Fatalf("nobody has the email %s", email)
}

// TestMessagesAreShownOnceAndNotKept follows a form to the page with its
// message.
func TestMessagesAreShownOnceAndNotKept(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	b := s.as(t, "admin@example.com")
	tag := b.get("/o/acme/customers").header.Get("ETag")
	b.post("/o/acme/account/name", "name", "Grace Hopper")
	with := b.get("/o/acme/customers", "If-None-Match", tag)
	with.wants(t, http.StatusOK, "Your name was changed.")
	if with.header.Get("ETag") != "" {
		t.Errorf("the page with the message is kept: %v", with.header)
	}
	without := b.get("/o/acme/customers")
	if without.wants(t, http.StatusOK); without.header.Get("ETag") == "" || strings.Contains(without.body, "Your name was changed.") {
		t.Errorf("the page after it shows the message again, or is not kept")
	}
}

// TestFormsAndErrorsAreNotKept looks at pages whose second showing must be
// another one, or that say what was wrong.
func TestFormsAndErrorsAreNotKept(t *testing.T) {
	t.Parallel()
	b := newSite(t, services.Vendors{}).as(t, "owner@example.com")
	for _, path := range []string{"/o/acme/", "/o/acme/settings/members/invite", "/o/acme/settings/connections/new", "/o/acme/account", "/o/acme/customers/99", "/o/acme/sessions?from=nonsense&to=nonsense", "/o/acme/highlights/new"} {
		if a := b.get(path); a.header.Get("ETag") != "" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s (%d) is kept: %v", path, a.status, a.header)
		}
	}
}
