package e2e_test

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"sightline/internal/services/sandbox"
)

// TestMainJobInTheBrowserByKeyboard does the main job without a mouse, once as
// browsers are and once with JavaScript off.
func TestMainJobInTheBrowserByKeyboard(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	for name, l := range map[string]look{"with JavaScript": {width: 1280}, "without JavaScript": {width: 1280, noScript: true}, "on a phone": {width: 390}} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, sandbox.Options{Customers: 60, Sessions: 1500, Days: 30})
			b := newTab(t, browser, s.address, l)
			b.keyboardJob(l)
			for _, c := range b.complaints() {
				t.Error(c)
			}
			for op, want := range map[string]int{sandbox.OpSessions: 1, sandbox.OpSession: 1, sandbox.OpUpdateUser: 1, sandbox.OpCreateHighlights: 1} {
				if n := s.box.CountCalls(op); n != want {
					t.Errorf("%s was called %d times, want %d", op, n, want)
				}
			}
		})
	}
}

func (b *tab) keyboardJob(l look) {
	b.t.Helper()
	// Sign in: the email has the focus already.
	b.open("/login")
	b.focused(`e.name == "email"`)
	b.keys("support@example.com" + kb.Tab + sitePassword + kb.Enter)
	b.waitPath("^/o/acme/$")

	// Look somebody up. The box has the focus on the first page.
	b.focused(`e.name == "q"`)
	b.keys("ada.lovelace@example.com" + kb.Enter)
	b.waitPath(`/lookup\?q=ada`)
	b.press("the button that asks Raygun", `e.form?.getAttribute("action").endsWith("/lookup/ask")`)
	b.waitPath(`/customers/\d+$`)

	// Open a session on the timeline, then its page, and fetch its page views.
	b.loaded()
	b.press("a session on the timeline", `e.matches(".tl a") && /Session/.test(e.innerText)`)
	if !l.noScript { // without scripts it leads to the session's page itself
		eventually(b.t, "the session is open", func() bool { return b.has(`.tl-detail a[href*="/sessions/"]`) })
		b.press("the link to the session", `e.closest(".tl-detail") && /\/sessions\/\d+$/.test(e.getAttribute("href") ?? "")`)
	}
	b.waitPath(`/sessions/\d+$`)
	b.loaded()
	if value(b, "look for the button", chromedp.Evaluate[bool](`!!document.querySelector('form[action$="/detail"]') && !/On page/.test(document.body.innerText)`)) {
		b.press("the button that fetches page views", `e.form?.getAttribute("action").endsWith("/detail")`)
	}
	b.waitText(`On page`)

	// Edit a trait.
	b.press("the link to the customer", `e.closest("main") && /\/customers\/\d+$/.test(e.getAttribute("href") ?? "")`)
	b.waitPath(`/customers/\d+$`)
	b.loaded()
	b.press("the link to the traits' form", `/\/traits\/edit/.test(e.getAttribute("href") ?? "")`)
	b.waitPath(`/traits/edit`)
	b.loaded()
	if value(b, "look for the field", chromedp.Evaluate[bool](`!!document.querySelector("form [name=user]:not([type=hidden])")`)) {
		b.reach("the user id", `e.name == "user"`)
		b.keys("usr_ada" + kb.Enter)
		b.waitText("Add traits")
	}
	b.reach("the new trait", `e.name == "new-key"`)
	b.keys("plan" + kb.Tab + "gold & glitter")
	b.press("the preview", `e.value == "preview"`)
	b.waitText("Nothing has been sent yet")
	b.press("the button that sends", `e.value == "send"`)
	b.waitPath(`/traits/\d+$`)
	b.waitText("gold & glitter")

	// Ask for highlights and read them.
	b.press("the highlights in the navigation", `/\/highlights$/.test(e.getAttribute("href") ?? "")`)
	b.waitPath(`/highlights$`)
	b.loaded()
	b.press("the link to the request", `/\/highlights\/new/.test(e.getAttribute("href") ?? "")`)
	b.waitPath(`/highlights/new`)
	b.loaded()
	b.reach("whose", `e.name == "subject"`)
	b.keys("ada.lovelace@example.com")
	b.press("the button that requests", `e.tagName == "BUTTON" && e.form?.getAttribute("action").endsWith("/highlights")`)
	b.waitPath(`/highlights/\d+$`)
	if l.noScript {
		eventually(b.t, "the highlights are there", func() bool {
			b.open(b.path())
			return b.has(`main a[target], main a[rel~=noopener]`)
		})
	}
	b.waitText("Ready")

	// All of it is in the history.
	if l.width < 640 { // where the bar has room for four
		b.press("the rest of the navigation", `e.matches(".mainnav > button")`)
	}
	b.press("the history in the navigation", `/\/history$/.test(e.getAttribute("href") ?? "")`)
	b.waitPath(`/history$`)
	b.waitText(`(?s)highlights.*plan`)
}

// focused waits until the focus is on an element that fits, as it should be
// when the page has come.
func (b *tab) focused(fits string) {
	b.t.Helper()
	eventually(b.t, "the focus is where "+fits, func() bool {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`(() => { const e = document.activeElement; return !!(e && `+fits+`) })()`))
		return err == nil && ok
	})
}

// keys types on the keyboard, wherever the focus is.
func (b *tab) keys(text string) {
	b.t.Helper()
	b.do("type", chromedp.KeyEvent(text))
}

// reach presses Tab until the focus is on an element that fits.
func (b *tab) reach(what, fits string) {
	b.t.Helper()
	const most = 300
	script := `(() => { const e = document.activeElement; return !!(e && e != document.body && (` + fits + `)) })()`
	for range most {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](script))
		if err != nil {
			b.t.Fatalf("look at the focus for %s: %v", what, err)
		}
		if ok {
			return
		}
		b.keys(kb.Tab)
	}
	b.screenshot("out-of-reach")
	b.t.Fatalf("%s cannot be reached with the Tab key at %s\n%s", what, b.path(), tail(b.text("body"), 3000))
}

// press reaches an element and presses Enter on it.
func (b *tab) press(what, fits string) {
	b.t.Helper()
	b.reach(what, fits)
	b.keys(kb.Enter)
}

// has reports whether an element is on the page.
func (b *tab) has(selector string) bool {
	ok, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (bool, error) {
		return chromedp.Evaluate[bool]("!!document.querySelector(`"+selector+"`)")(ctx, t)
	})
	return err == nil && ok
}

// loaded waits until the page that the tab is at has arrived, its scripts have
// started and what they fetch by themselves is there. Without scripts it is a link.
func (b *tab) loaded() {
	b.t.Helper()
	eventually(b.t, "the page is loaded", func() bool {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`document.readyState == "complete" && !document.querySelector("#figures [aria-busy], #figures[aria-busy]")`))
		return err == nil && ok
	})
}
