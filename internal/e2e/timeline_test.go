package e2e_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"sightline/internal/services/sandbox"
)

// TestTimelineOpensASessionWhereItStands opens an entry of a customer's
// timeline, fetches its page views from within it, and finds them there
// without another call on the second look.
func TestTimelineOpensASessionWhereItStands(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	s := newSite(t, sandbox.Options{Customers: 60, Sessions: 1500})
	customer := lookUp(s.visitor(t, "support"), "ada.lovelace@example.com")
	b := newTab(t, browser, s.address, look{width: 1280})
	b.signIn("support@example.com", sitePassword)

	b.open(customer)
	b.do("open the newest session", chromedp.Click(chromedp.CSS(".tl li > a")))
	b.waitText("were not fetched yet")
	b.do("fetch its page views", chromedp.Click(chromedp.CSS(".tl .session-detail button")))
	b.waitText("On the page")
	if b.path() != customer {
		t.Errorf("fetching led away to %s", b.path())
	}

	calls := s.box.CountCalls(sandbox.OpSession)
	b.open(customer)
	b.do("open it again", chromedp.Click(chromedp.CSS(".tl li > a")))
	b.waitText("On the page")
	if n := s.box.CountCalls(sandbox.OpSession); calls != 1 || n != 1 {
		t.Errorf("%d calls, then %d: want one and no other", calls, n)
	}
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %v", c)
	}
}
