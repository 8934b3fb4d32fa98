package e2e_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"sightline/internal/services/sandbox"
)

// What is below on Insight's first page comes when it is looked at, as sound as
// the rest, and leads to the sessions behind it. Who got there by keyboard stays
// there. Without JavaScript it is a click away.
func TestInsightFetchesWhatIsBelowWhenItIsLookedAt(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	v := s.visitor(t, "support")
	overview := manySessions(v)
	v.open(overview).follow("/insight/countries").has("United States")
	browser, axe := newBrowser(t), axeSource(t)
	for _, l := range []look{{width: 1280}, {width: 390, dark: true}} {
		t.Run(l.String(), func(t *testing.T) {
			b := newTab(t, browser, s.address, l)
			b.signIn("support@example.com", sitePassword)
			b.open(overview)
			b.do("look at what is below", chromedp.Evaluate[chromedp.Void](`document.querySelector("#where a").focus()`))
			b.waitText("United States")
			b.focused(`e.closest("#where")`)
			b.checkPage("insight-where", axe)
			b.screenshot("insight-where-" + l.String())
			b.do("open a country", chromedp.Click(chromedp.CSS(`a[href*="countries=US"]`)))
			b.waitPath(`^/o/acme/sessions\?.*countries=US`)
		})
	}
}
