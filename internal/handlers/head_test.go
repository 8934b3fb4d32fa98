package handlers_test

import (
	"net/http"
	"testing"

	"sightline/internal/services"
)

// TestHeadIsAnsweredLikeGet asks as monitors and link checkers do.
func TestHeadIsAnsweredLikeGet(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	b := s.as(t, "viewer@example.com")
	for _, path := range []string{"/healthz", "/readyz", "/", "/login", "/o/acme/", "/o/acme/customers/77", "/nope", "/static/nope.css"} {
		get, head := b.get(path), b.do(http.MethodHead, path, "")
		if head.status != get.status || head.location != get.location || head.body != "" {
			t.Errorf("HEAD %s: %d %q with %d bytes, GET %d %q", path, head.status, head.location, len(head.body), get.status, get.location)
		}
		if head.header.Get("X-Content-Type-Options") != "nosniff" || get.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", path)
		}
	}
	if a := b.do(http.MethodHead, "/logout", ""); a.status != http.StatusMethodNotAllowed {
		t.Errorf("HEAD of what only takes POST: %d", a.status)
	}
}
