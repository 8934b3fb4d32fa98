package handlers_test

import (
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

// TestPagesWorkFromTheMirrorThroughThreeDaysOfTrouble keeps Raygun away in
// every manner, a manner for three days: all that was known is there, says how
// old it is, and what was asked for in vain says why.
func TestPagesWorkFromTheMirrorThroughThreeDaysOfTrouble(t *testing.T) {
	for name, tt := range map[string]struct {
		fault sandbox.Fault
		says  string
	}{
		"dead":        {sandbox.Fault{Kind: sandbox.FaultDrop}, "did not work"},
		"down":        {sandbox.Fault{Kind: sandbox.FaultUnavailable}, "did not work"},
		"garbage":     {sandbox.Fault{Kind: sandbox.FaultGarbage}, "something else than expected"},
		"a web page":  {sandbox.Fault{Kind: sandbox.FaultWrongType}, "something else than expected"},
		"at a limit":  {sandbox.Fault{Kind: sandbox.FaultRateLimited}, "did not work"},
		"key refused": {sandbox.Fault{Kind: sandbox.FaultUnauthorized}, "did not work"},
		"slow":        {sandbox.Fault{Kind: sandbox.FaultLatency, Latency: 20 * time.Second}, "Asking Raygun"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64
			now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			s, sb := newSandboxSite(t, sandbox.Options{Customers: 60, Sessions: 1800, RaygunDailyLimit: 50, Now: now})
			b := s.as(t, "support@example.com")
			ada := sb.Company().Demo()[0]

			// What is known before.
			b.until(b.post("/o/acme/sessions/ask", "span", "60d", "connection", "1").location, "500 are here.")
			b.post("/o/acme/lookup/ask", "q", ada.Identifier, "connection", "1").wants(t, 303)
			lookup := "/o/acme/lookup?" + url.Values{"q": {ada.Identifier}}.Encode()
			for end := time.Now().Add(patience); b.get(lookup).status != 303; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the customer is never there")
				}
			}
			customer := b.get(lookup).location
			page := b.until(customer, "Sessions in the mirror", "Refresh from Raygun")
			session := sessionOf(page.body)
			b.post(session+"/detail").wants(t, 303)
			b.until(session, "Page views with load time")

			tt.fault.Vendor = sandbox.Raygun
			sb.Fault(tt.fault)
			ahead.Add(int64(72 * time.Hour))
			b = s.as(t, "support@example.com")
			b.post(customer+"/refresh", "as", "1:"+ada.Identifier).wants(t, 303)
			b.until(customer, tt.says, "Shop", ada.Email, "Sessions in the mirror", "3 days ago")
			b.get(session).wants(t, 200, "Page views with load time", "3 days ago")
			b.get("/o/acme/sessions?span=60d&connection=1").wants(t, 200, "50+ sessions")
			b.get("/o/acme/insight?span=90d").wants(t, 200, "Sessions")
			b.get(lookup).wants(t, 303)
			for _, path := range []string{"/o/acme/", "/o/acme/customers", "/o/acme/calls", "/o/acme/history", "/o/acme/settings/connections/1"} {
				b.get(path).wants(t, 200, "Shop")
			}
			if name == "slow" {
				return // nobody waits for it here
			}

			// It returns on another day, and everything is there that was.
			sb.ClearFaults()
			ahead.Add(int64(24 * time.Hour))
			b = s.as(t, "support@example.com")
			b.post(customer+"/refresh", "as", "1:"+ada.Identifier).wants(t, 303)
			b.until(customer, "Sessions in the mirror", "as of ", "seconds ago")
			b.get(session).wants(t, 200, "Page views with load time")
		})
	}
}
