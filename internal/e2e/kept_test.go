package e2e_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"sightline/internal/services/sandbox"
)

// TestNobodyStepsBackIntoAPageAfterSigningOut looks at a customer, signs out
// and goes back: the browser keeps nothing for the next person.
func TestNobodyStepsBackIntoAPageAfterSigningOut(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	s := newSite(t, sandbox.Options{Customers: 60, Sessions: 1500})
	customer := lookUp(s.visitor(t, "support"), "ada.lovelace@example.com")
	b := newTab(t, browser, s.address, look{width: 1280})
	b.signIn("support@example.com", sitePassword)
	b.open(customer)
	b.waitText("Lovelace")
	value(b, "sign out", chromedp.Evaluate[bool](`(document.querySelector('form[action="/logout"]').requestSubmit(), true)`))
	b.waitPath("^/login")
	value(b, "go back", chromedp.Evaluate[bool](`(history.back(), true)`))
	b.waitPath("^/login.+customers")
	if text := b.text("body"); strings.Contains(text, "Lovelace") {
		t.Errorf("going back shows\n%s", text)
	}
}
