package e2e_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

// TestKilledWhileHighlightsAreMadeNothingIsSentTwice ends the program without
// warning, once while LogRocket works on highlights and once while the request
// for them is on its way.
func TestKilledWhileHighlightsAreMadeNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{HighlightDelay: 3 * time.Second})
	v := s.visitor(t, "support")
	ask := func(question string) (path string) {
		t.Helper()
		p := v.open("/o/acme/highlights/new?email=ada.lovelace%40example.com").submit("/highlights", url.Values{"question": {question}})
		p.wantStatus(200)
		return p.url.Path
	}
	made := func() int { return s.box.CountCalls(sandbox.OpCreateHighlights) }

	path := ask("killed while it is made")
	eventually(t, "the request is sent", func() bool { return made() == 1 })
	s.restart(t, v)
	eventually(t, "the highlights arrive after all", func() bool { return len(links(v.open(path), s.box.LogRocketAppURL())) > 0 })
	if n := made(); n != 1 {
		t.Errorf("highlights were asked for %d times, want 1", n)
	}

	remove := s.box.Fault(sandbox.Fault{Vendor: sandbox.LogRocket, Operation: sandbox.OpCreateHighlights, Kind: sandbox.FaultLatency, Latency: time.Minute})
	path = ask("killed while it is sent")
	eventually(t, "the request is on its way", func() bool { return made() == 2 })
	remove()
	s.restart(t, v)
	eventually(t, "the page says that nobody knows", func() bool { return strings.Contains(strings.ToLower(v.open(path).text()), "unknown") })
	if n := made(); n != 2 {
		t.Errorf("highlights were asked for %d times, want 2", n)
	}
}

// TestKilledWhileTraitsAreSentTheyAreNotSentAgain does the same to an edit and
// to a session search.
func TestKilledWhileTraitsAreSentTheyAreNotSentAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{})
	v := s.visitor(t, "support")
	customer := lookUp(v, "ada.lovelace@example.com")
	remove := s.box.Fault(sandbox.Fault{Kind: sandbox.FaultLatency, Latency: time.Minute})
	preview := openTraitForm(v, customer, "usr_ada").submit("/traits", url.Values{"new-key": {"plan"}, "new-value": {"gold"}})
	path := preview.submit("/traits", nil).url.Path
	v.open("/o/acme/lookup?q=grace.hopper%40example.com").submit("/lookup/ask", nil)
	edits, searches := s.box.CountCalls(sandbox.OpUpdateUser), s.box.CountCalls(sandbox.OpSessions)
	eventually(t, "both are on their way", func() bool {
		edits, searches = s.box.CountCalls(sandbox.OpUpdateUser), s.box.CountCalls(sandbox.OpSessions)
		return edits == 1 && searches == 2
	})
	remove()
	s.restart(t, v)
	eventually(t, "the edit's fate is said to be unknown", func() bool { return strings.Contains(strings.ToLower(v.open(path).text()), "unknown") })
	v.open("/o/acme/lookup?q=grace.hopper%40example.com")
	if e, q := s.box.CountCalls(sandbox.OpUpdateUser), s.box.CountCalls(sandbox.OpSessions); e != edits || q != searches {
		t.Errorf("after the restart %d edits and %d searches were sent, want %d and %d", e, q, edits, searches)
	}
}

// restart kills the program and starts it again on the same data. Who was
// signed in still is.
func (s *site) restart(t *testing.T, v *visitor) {
	t.Helper()
	s.kill()
	s.server = serve(t, s.settings...)
	old, err := url.Parse(v.base)
	if err != nil {
		t.Fatal(err)
	}
	now, err := url.Parse(s.address)
	if err != nil {
		t.Fatal(err)
	}
	// Another port is another site to a browser in nothing but its address.
	v.client.Jar.SetCookies(now, v.client.Jar.Cookies(old))
	v.base = s.address
}

// TestKilledWhileDetailsAreFetchedTheyGoOnAndNoneIsAskedForTwice ends the
// program while the detail of the fourth of ten sessions is on its way.
func TestKilledWhileDetailsAreFetchedTheyGoOnAndNoneIsAskedForTwice(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{})
	v := s.visitor(t, "support")
	v.open("/o/acme/lookup?q=ada.lovelace%40example.com").submit("/lookup/ask", nil)
	var customer string
	eventually(t, "her sessions are here", func() bool {
		customer = v.open("/o/acme/lookup?q=ada.lovelace%40example.com").url.Path
		return strings.Contains(customer, "/customers/")
	})
	asked := func() int { return s.box.CountCalls(sandbox.OpSession) }
	// Three at their usual speed, then one that hangs.
	slow := s.box.Fault(sandbox.Fault{Operation: sandbox.OpSession, Kind: sandbox.FaultLatency, Latency: 10 * time.Millisecond, Times: 3})
	hang := s.box.Fault(sandbox.Fault{Operation: sandbox.OpSession, Kind: sandbox.FaultLatency, Latency: time.Minute})
	v.open(customer).submit("/sessions/details", url.Values{"count": {"10"}})
	eventually(t, "the fourth is on its way", func() bool { return asked() == 4 })
	slow()
	hang()
	s.restart(t, v)
	eventually(t, "the others come after all", func() bool {
		return strings.Contains(v.open(customer).text(), "9 of 10 sessions fetched in full")
	})
	page := v.open(customer).text()
	if !strings.Contains(page, "1 failed") || !strings.Contains(page, "The call may have counted") {
		t.Errorf("the page does not say what became of the fourth:\n%s", page)
	}
	if n := asked(); n != 10 {
		t.Errorf("%d calls for 10 sessions", n)
	}
}
