package e2e_test

import (
	"encoding/csv"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"sightline/internal/services/sandbox"
)

// explorerScreens are the states of the session explorer.
func explorerScreens() []screen {
	return []screen{
		{name: "sessions-filtered", path: "/o/acme/sessions?span=60d&countries=NZ,US&browsers=Chrome&ratings=good&ratings=poor&state=ended&people=known&page=%2F&slow_ms=100"},
		{name: "sessions-empty", path: "/o/acme/sessions?span=7d&email=nobody%40example.com"},
		{name: "sessions-wrong", path: "/o/acme/sessions?from=soon&countries=NZL&slow_ms=fast&ratings=superb"},
		{name: "sessions-columns", path: "/o/acme/sessions?span=60d&columns=started,person,email,identifier,country,city,browser,os,platform,pages,length,rating,errors,state,ended,connection"},
		{name: "sessions-view", find: func(t *testing.T, v *visitor) string {
			return saveView(v, "A view with a name that is rather long, and <b>hostile</b>", "countries=US&span=60d") + "&browsers=Chrome"
		}},
		{name: "sessions-figures", path: "/o/acme/sessions?span=60d&show=figures"},
		{name: "sessions-all-filters", path: "/o/acme/sessions?span=60d&errors=with&show=filters"},
		{name: "sessions-countries", path: "/o/acme/sessions?span=60d&countries=NZ&show=countries"},
		{name: "sessions-choose-columns", path: "/o/acme/sessions?span=60d&show=columns"},
		{name: "sessions-choose-view", path: "/o/acme/sessions?span=60d&show=views"},
		{name: "sessions-save-view", path: "/o/acme/sessions?span=60d&show=save"},
		{name: "sessions-views", path: "/o/acme/sessions/views"},
	}
}

// saveView saves a filter under a name and leads to it.
func saveView(v *visitor, name, query string) (path string) {
	v.t.Helper()
	p := v.open("/o/acme/sessions?"+query+"&show=save").submit("/sessions/views", url.Values{"name": {name}})
	p.has("is saved")
	return p.url.RequestURI()
}

// A product manager narrows the sessions, keeps that under a name as what
// Sessions opens with, and takes the rows away as a file, in a browser.
func TestAViewIsSavedAndItsSessionsAreDownloaded(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{})
	v := s.visitor(t, "support")
	manySessions(v)
	folder := t.TempDir()
	b := newTab(t, newBrowser(t), s.address, look{width: 1280})
	b.do("let files come", command(browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: browserContext(b), DownloadPath: folder,
	}))
	b.signIn("support@example.com", sitePassword)

	// Open the countries, tick one and ask for the list.
	b.open("/o/acme/sessions?span=60d")
	b.do("choose the United States",
		chromedp.Click(chromedp.CSS(`[name=show][value=countries]`)),
		chromedp.Click(chromedp.CSS(`input[name=countries][value=US]`)),
		chromedp.Click(chromedp.CSS(`.filter-actions button`)),
	)
	b.waitPath(`/sessions\?countries=US&span=60d$`)
	b.waitText("Remove Country United States")

	// Save that as the view to begin with.
	b.do("save the view",
		chromedp.Click(chromedp.CSS(`a[href*="show=save"]`)),
		chromedp.SendKeys(chromedp.CSS(`#view-name`), "Americans"),
		chromedp.Click(chromedp.CSS(`#view-default`)),
		chromedp.Click(chromedp.CSS(`#save-view .btn-primary`)),
	)
	b.waitText("“Americans” is saved, and Sessions opens with it")
	b.open("/o/acme/")
	b.do("open Sessions", chromedp.Click(chromedp.CSS(`.mainnav a[href="/o/acme/sessions"]`)))
	b.waitPath(`/sessions\?.*view=1$`)
	b.waitText("Americans")

	// The file has as many rows as the page says, and the first page's rows
	// come first in it.
	m := regexp.MustCompile(`(?m)^([\d,]+) sessions$`).FindStringSubmatch(b.text("main"))
	if m == nil {
		t.Fatalf("the page does not say how many sessions there are:\n%s", b.text("main"))
	}
	b.do("take the file", chromedp.Click(chromedp.CSS(`a[href*="sessions.csv"]`)))
	var file string
	eventually(t, "the file is there", func() bool {
		found, err := filepath.Glob(filepath.Join(folder, "sessions-acme-*.csv"))
		if err != nil || len(found) != 1 {
			return false
		}
		file = found[0]
		return true
	})
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(text), "\ufeff"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(len(rows) - 1); got != strings.ReplaceAll(m[1], ",", "") {
		t.Errorf("the file has %s sessions, the page says %s", got, m[1])
	}
	shown := value(b, "read the list", chromedp.Evaluate[[]string](`[...document.querySelectorAll(".sessions tbody td:first-child > a")].map(a => a.getAttribute("href").split("/").pop())`))
	if len(shown) < 50 {
		t.Errorf("the page shows %d sessions", len(shown))
	}
	country := -1
	for i, name := range rows[0] {
		if name == "country" {
			country = i
		}
	}
	for i, row := range rows[1:] {
		if i < len(shown) && row[0] != shown[i] {
			t.Fatalf("row %d of the file is session %s, on the page it is %s", i, row[0], shown[i])
		}
		if row[country] != "US" {
			t.Fatalf("row %d of the file is from %q", i, row[country])
		}
	}
	for _, c := range b.complaints() {
		t.Error(c)
	}
}

// browserContext is the tab's own context, in which its cookies are.
func browserContext(b *tab) cdp.BrowserContextID {
	return chromedp.FromContext(b.ctx).BrowserContextID
}

// The bars of a chart tell their numbers where the pointer is and lead to what
// they count. Both are made of the chart's table when the pointer comes.
func TestABarTellsItsNumbersAndLeadsToItsSessions(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	manySessions(s.visitor(t, "support"))
	b := newTab(t, newBrowser(t), s.address, look{width: 1280})
	b.signIn("support@example.com", sitePassword)
	b.open("/o/acme/sessions?span=7d")
	b.waitText("Numbers: Sessions a day")
	row := value(b, "read the newest day", chromedp.Evaluate[[]string](`[...document.querySelector(".chart-table tbody tr").cells].map(c => c.textContent.trim())`))
	at := value(b, "find its bar", chromedp.Evaluate[[]float64](`(() => { const bars = document.querySelector(".chart-bars"); bars.scrollIntoView({block: "center"}); const r = bars.getBoundingClientRect(); return [r.right - r.width / 14, r.bottom - 5] })()`))
	b.do("point at its bar", chromedp.MouseEvent("mouseMoved", at[0], at[1]))
	eventually(t, "the bar tells the day's numbers", func() bool {
		told, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.querySelector(".chart-bars rect:hover title")?.textContent ?? ""`))
		return err == nil && strings.HasPrefix(told, row[0]+"\nAll: "+row[1])
	})
	day := value(b, "read where the day leads", chromedp.Evaluate[string](`document.querySelector(".chart-table tbody a").href`))
	b.do("click the bar", chromedp.MouseClickXY(at[0], at[1]))
	b.waitPath("^" + regexp.QuoteMeta(strings.TrimPrefix(day, b.base)) + "$")
	b.waitText(`(?m)^` + row[1] + ` sessions?$`)
	for _, c := range b.complaints() {
		t.Error(c)
	}
}

// What the explorer leaves out at first is there when somebody turns to it, by
// keyboard alone, with script and without.
func TestWhatTheExplorerLeavesOutComesWhenItIsOpened(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	manySessions(s.visitor(t, "support"))
	browser := newBrowser(t)
	for _, l := range []look{{width: 1280}, {width: 390}, {width: 1280, noScript: true}} {
		t.Run(fmt.Sprintf("%s, script %t", l, !l.noScript), func(t *testing.T) {
			b := newTab(t, browser, s.address, l)
			b.signIn("support@example.com", sitePassword)
			b.open("/o/acme/sessions?span=60d")
			b.loaded()
			b.reach("the email", `e.name == "email"`)
			b.keys("ada")
			b.press("the countries", `e.value == "countries"`)
			b.waitText("Others, by code")
			if l.noScript {
				b.waitPath(`/sessions\?.*email=ada&show=countries`)
			} else {
				b.focused(`e.matches("#countries-sum") && e.parentElement.open`)
			}
			if typed := value(b, "read the email", chromedp.Evaluate[string](`document.getElementById("email").value`)); typed != "ada" {
				t.Errorf("the email that was typed is %q now", typed)
			}
			b.open("/o/acme/sessions?span=60d&state=ended")
			b.loaded()
			b.press("the other filters", `e.value == "filters"`)
			b.waitText("A page took at least")
			b.open("/o/acme/sessions?span=60d")
			b.loaded()
			if l.noScript {
				b.press("the chart", `/show=figures/.test(e.getAttribute("href") ?? "")`)
			}
			b.waitText("Numbers: Sessions a week")
			b.press("the columns", `/show=columns/.test(e.getAttribute("href") ?? "") || e.tagName == "SUMMARY" && /Columns/.test(e.innerText)`)
			b.waitText("Show these")
			b.open("/o/acme/sessions?span=60d")
			b.loaded()
			b.press("the views", `/show=views/.test(e.getAttribute("href") ?? "")`)
			b.waitText("Manage views")
			if !l.noScript {
				b.focused(`e.tagName == "SUMMARY"`)
				b.keys(kb.Escape)
				eventually(t, "the menu is closed", func() bool { return !b.has(".page-actions details[open]") })
			}
			b.press("the form that saves", `/show=save/.test(e.getAttribute("href") ?? "")`)
			b.waitText("Open Sessions with it")
			if !l.noScript {
				b.keys(kb.Escape)
				b.focused(`e.matches("[popovertarget=save-view]")`)
				// The form is on the page now, and what is opened next is that all the same.
				b.press("the countries", `e.value == "countries"`)
				b.focused(`e.matches("#countries-sum") && e.parentElement.open`)
				b.open("/o/acme/sessions?span=60d&browsers=Chrome")
				b.loaded()
				b.press("the browsers", `e.value == "browsers"`)
				b.focused(`e.matches("#browsers") && e.parentElement.open`)
			}
			for _, c := range b.complaints() {
				t.Error(c)
			}
		})
	}
}

// Where the chart does not come the page says so, and asks for it again; its room
// was there from the start, so that nothing moves when it comes.
func TestTheChartIsAskedForAgain(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	manySessions(s.visitor(t, "support"))
	b := newTab(t, newBrowser(t), s.address, look{width: 1280})
	b.signIn("support@example.com", sitePassword)
	block := func(yes bool) {
		b.do("block the figures", command(network.Enable, network.EnableParams{}), command(network.SetBlockedURLs, network.SetBlockedURLsParams{
			URLPatterns: []*network.BlockPattern{{URLPattern: "*://*:*/*\\?*show=figures*", Block: yes}},
		}))
	}
	block(true)
	b.open("/o/acme/sessions?span=60d")
	b.waitText("It did not come. Try again")
	top := func() float64 {
		return value(b, "measure", chromedp.Evaluate[float64](`document.querySelector(".sessions").getBoundingClientRect().top + scrollY`))
	}
	before := top()
	block(false)
	b.do("try again", chromedp.Click(chromedp.CSS(`[data-later=now]`)))
	b.waitText("Numbers: Sessions a week")
	if after := top(); after != before {
		t.Errorf("the list moved from %v to %v when the chart came", before, after)
	}
}
