package handlers_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sightline/internal/services"
)

// TestARequestUnderWayDoesNotBringASessionBack resets a password while a page
// of that account waits for a vendor and then keeps a message for the next one.
func TestARequestUnderWayDoesNotBringASessionBack(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}), make(chan struct{})
	vendor := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-answer
	}))
	t.Cleanup(vendor.Close)
	s := newSite(t, services.Vendors{LogRocketURL: vendor.URL})
	if _, problems, err := s.services.Connections.Add(t.Context(), services.CommandLine(s.org.ID), services.ConnectionForm{
		Vendor: services.LogRocket, Name: "Web", Key: services.NewSecret("a:b:planted"),
	}); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	b := s.as(t, "admin@example.com")
	reset := make(chan error, 1)
	go func() {
		<-asked
		reset <- s.services.People.ResetPassword(t.Context(), "admin@example.com", "another horse")
		close(answer)
	}()
	b.post("/o/acme/settings/connections/1/test")
	if err := <-reset; err != nil {
		t.Fatal(err)
	}
	if a := b.get("/o/acme/"); a.status != http.StatusSeeOther || !strings.HasPrefix(a.location, "/login") {
		t.Errorf("after the reset the browser is answered %d %s", a.status, a.location)
	}
}
