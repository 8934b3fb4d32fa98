package handlers_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sightline/internal/handlers"
	"sightline/internal/services"
)

// TestEveryRouteAsksForItsRole tries each line of the route table as everybody
// who may not use it.
func TestEveryRouteAsksForItsRole(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	other, err := s.services.People.AddOrganization(t.Context(), "other", "Other")
	if err != nil {
		t.Fatal(err)
	}
	s.member(t, other, "stranger@example.com", services.Owner)
	nobody, stranger := s.browser(t), s.as(t, "stranger@example.com")
	members := map[services.Role]*browser{}
	for _, role := range []services.Role{services.Viewer, services.Support, services.Admin} {
		members[role] = s.as(t, role.String()+"@example.com")
	}
	// What a viewer may change is their own; whose a view is the service knows, and
	// who may ask through a form and stop that.
	own := []string{"/graphql/forms/{id}", "/graphql/runs/{id}/stop",
		"/customers/{id}/pin", "/settings/members/{id}/remove", "/account/name", "/account/password", "/account/sign-out-elsewhere",
	}
	param := regexp.MustCompile(`\{[a-z]+\}`)
	for _, r := range handlers.Routes() {
		path := "/o/acme" + param.ReplaceAllString(r.Path, "1")
		if r.Method != http.MethodGet && r.Role < services.Support && !slices.Contains(own, r.Path) && !strings.HasPrefix(r.Path, "/sessions/views") {
			t.Errorf("%s %s changes something and takes no role above viewer", r.Method, r.Path)
		}
		if a := nobody.do(r.Method, path, ""); a.status != http.StatusSeeOther || !strings.HasPrefix(a.location, "/login") {
			t.Errorf("%s %s without a sign-in: %d %s", r.Method, path, a.status, a.location)
		}
		if a := stranger.do(r.Method, path, ""); a.status != http.StatusNotFound || strings.Contains(a.body, "Acme") {
			t.Errorf("%s %s as a stranger: %d", r.Method, path, a.status)
		}
		for role, b := range members {
			if role >= r.Role {
				continue
			}
			if a := b.do(r.Method, path, ""); a.status != http.StatusForbidden {
				t.Errorf("%s %s as %s: %d, want 403", r.Method, path, role, a.status)
			}
		}
	}
}
