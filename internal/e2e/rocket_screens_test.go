package e2e_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"sightline/internal/services/sandbox"
)

// oddRocketScreens are those of traits and highlights that went wrong, or hold
// what nobody should have to read.
func oddRocketScreens() []screen {
	const ada, mallory = "ada.lovelace@example.com", "mallory@example.com"
	asked := func(who, question, until string) func(t *testing.T, v *visitor) string {
		return func(t *testing.T, v *visitor) string {
			p := v.open("/o/acme/highlights/new?email="+url.QueryEscape(who)).submit("/highlights", url.Values{"question": {question}})
			eventually(t, question+" is answered", func() bool { return v.open(p.url.Path).shows(until) })
			return p.url.Path
		}
	}
	hostile := `"><script>alert(1)</script>`
	return []screen{
		{name: "highlights-none", path: "/o/acme/highlights?state=cancelled"},
		{name: "highlight-failed", find: asked(ada, "Please fail.", "Ask again")},
		{name: "highlight-empty", find: asked("nobody@nowhere.example", "Anything?", "What happened")},
		{name: "trait-edit-hostile", find: func(t *testing.T, v *visitor) string { return editTraitsOf(t, v, lookUp(v, mallory), hostile) }},
		{name: "traits-hostile", find: func(t *testing.T, v *visitor) string { return lookUp(v, mallory) + "/traits" }},
		{name: "traits-form-hostile", find: func(t *testing.T, v *visitor) string {
			return lookUp(v, mallory) + "/traits/edit?connection=2&user=" + url.QueryEscape(hostile)
		}},
	}
}

// batchScreens are those of one question about many customers.
func batchScreens() []screen {
	const at = "/o/acme/highlights/batches"
	long := strings.Repeat("a_long_word_", 20)
	draft := func(v *visitor, question string) page {
		return v.post(at, url.Values{"connection": {"2"}, "question": {question}, "token": {question},
			"text": {"mallory@example.com, mallory@example.com\n<b>" + long + "</b>\n" + long[:60] + "@example.com"}})
	}
	return []screen{
		{name: "batch-draft", find: func(t *testing.T, v *visitor) string { return draft(v, "Draft <b>"+long).url.Path }},
		{name: "batch-digest", find: func(t *testing.T, v *visitor) string {
			p := draft(v, "What <b>broke</b>?").submit("/start", url.Values{"pace": {"2/10"}})
			eventually(t, "the batch is done", func() bool { return v.open(p.url.Path).shows("Done") })
			return p.url.Path + "/digest"
		}},
	}
}

// editTraitsOf sends an edit and returns its page.
func editTraitsOf(t *testing.T, v *visitor, customer, userID string) (path string) {
	t.Helper()
	p := v.post(customer+"/traits", url.Values{
		"connection": {"2"}, "user": {userID}, "name": {"Ada"}, "new-key": {"plan", "<b>vip</b>", strings.Repeat("a_long_name_", 30)},
		"new-value": {"pro", "<img src=x onerror=alert(1)>", "https://example.com/a/very/long/address/without/blanks?and=more&and=more&and=more"},
		"reason":    {"ticket 4711"}, "token": {userID}, "step": {"send"},
	})
	eventually(t, "the edit is sent", func() bool { return v.open(p.url.Path).shows("LogRocket has accepted the edit") })
	return p.url.Path
}

// TestTraitFormsAreSoundWhereOnlyAPostLeads looks at what no address leads to:
// a form with mistakes, a preview, and a page that waits.
func TestTraitFormsAreSoundWhereOnlyAPostLeads(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	s := newSite(t, sandbox.Options{})
	v := s.visitor(t, "owner")
	customer := lookUp(v, "ada.lovelace@example.com")
	editTraitsOf(t, v, customer, "ada-1")
	axe := axeSource(t)
	for _, l := range looks() {
		t.Run(l.String(), func(t *testing.T) {
			t.Parallel()
			b := newTab(t, browser, s.address, l)
			b.signIn("owner@example.com", sitePassword)
			b.open(customer + "/traits/edit?connection=2&user=ada-1")
			press := func(button string) {
				b.do("press "+button, chromedp.Click(`main button[value="`+button+`"]`))
			}
			fill := func(id, text string) {
				value(b, "fill in "+id, chromedp.Evaluate[string](fmt.Sprintf(`document.getElementById(%q).value = %q`, id, text)))
			}
			fill("email", "no email")
			fill("new-value-0", "without a name")
			press("preview")
			b.waitText("2 fields need your attention")
			b.checkPage("trait form with mistakes", axe)
			b.screenshot("traits-form-wrong-" + l.String())
			fill("email", "")
			fill("new-key-0", "seats")
			fill("known-0", "")
			press("preview")
			b.waitText("Nothing has been sent yet")
			b.checkPage("trait preview", axe)
			b.screenshot("traits-preview-" + l.String())
		})
	}
}

// TestWaitingPagesShowTheResultByThemselves looks on while highlights are made
// and does not touch the page.
func TestWaitingPagesShowTheResultByThemselves(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	s := newSite(t, sandbox.Options{HighlightDelay: 6 * time.Second})
	axe := axeSource(t)
	b := newTab(t, browser, s.address, look{width: 1280})
	b.signIn("owner@example.com", sitePassword)
	b.open("/o/acme/highlights/new?email=ada.lovelace%40example.com")
	b.do("ask", chromedp.Click(`main .form-actions button`))
	b.waitText("LogRocket is working on it")
	b.checkPage("highlights that are waited for", axe)
	b.screenshot("highlight-waiting")
	b.waitText("Recording session 1 of")
	b.checkPage("highlights that came", axe)
	if n := s.box.HighlightJobs(); n != 1 {
		t.Errorf("%d jobs were started", n)
	}
}
