package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"sightline/internal/services/sandbox"
)

// screen is one page that is looked at in every way. A new screen is a line in
// screens.
type screen struct {
	name string
	// path is where it is; find, if not nil, finds it by using the site instead.
	path string
	find func(t *testing.T, v *visitor) string
	// twice says that it is looked at on a light desk and a dark phone only: it
	// is made of parts that other screens show in every look.
	twice bool
}

// in says whether the screen is looked at in a look.
func (s screen) in(l look) bool { return !s.twice || l.dark == (l.width == 390) }

// publicScreens are seen without signing in.
func publicScreens() []screen {
	return []screen{
		{name: "login", path: "/login"},
		{name: "setup-used-up", path: "/setup?token=none"},
		{name: "not-found", path: "/nowhere"},
		{name: "invited", find: invited("grace@example.com")},
		{name: "invited-used-up", path: "/invite?token=none"},
	}
}

// screens are seen by a member.
func screens() []screen {
	twice := slices.Concat(oddRocketScreens(), batchScreens(), graphQLScreens(), formScreens(), keptRocketScreens(), settingsScreens())
	for i := range twice {
		twice[i].twice = true
	}
	return slices.Concat(customerScreens(), explorerScreens(), logrocketScreens(), recordingScreens(), twice)
}

// customerScreens are those about customers and their sessions.
func customerScreens() []screen {
	const ada, mallory, mel = "ada.lovelace@example.com", "mallory@example.com", "mel.many@example.com"
	return []screen{
		{name: "no-such-page", path: "/o/acme/nowhere"},
		{name: "lookup-nothing-typed", path: "/o/acme/lookup"},
		{name: "lookup-unknown", path: "/o/acme/lookup?q=nobody-knows%40example.com"},
		{name: "customer", find: func(t *testing.T, v *visitor) string { return lookUp(v, ada) }},
		{name: "customer-hostile", find: func(t *testing.T, v *visitor) string { return lookUp(v, mallory) }},
		{name: "customer-many", find: func(t *testing.T, v *visitor) string { return lookUp(v, mel) }},
		{name: "session", find: func(t *testing.T, v *visitor) string { return fetchSession(v, lookUp(v, ada)) }},
		{name: "session-hostile", find: func(t *testing.T, v *visitor) string { return fetchSession(v, lookUp(v, mallory)) }},
		{name: "session-answer", find: func(t *testing.T, v *visitor) string { return fetchSession(v, lookUp(v, mallory)) + "/answer" }},
		{name: "session-not-fetched", find: func(t *testing.T, v *visitor) string { return v.open(lookUp(v, mel)).follow("/sessions/").url.Path }},
		{name: "lookup-hits", path: "/o/acme/lookup?q=example"},
		{name: "customers", path: "/o/acme/customers"},
		{name: "sessions", path: "/o/acme/sessions"},
		{name: "insight", find: func(t *testing.T, v *visitor) string { return manySessions(v) }},
		{name: "insight-days", path: "/o/acme/insight/days?span=90d"},
		{name: "insight-pages", find: func(t *testing.T, v *visitor) string {
			fetchSession(v, lookUp(v, ada))
			return "/o/acme/insight/pages?span=90d&sort=p75"
		}},
		{name: "insight-vitals", path: "/o/acme/insight/vitals?span=90d", twice: true},
		{name: "insight-errors", path: "/o/acme/insight/errors?span=90d", twice: true},
		{name: "insight-countries", path: "/o/acme/insight/countries?span=90d"},
		{name: "insight-browsers", path: "/o/acme/insight/browsers?span=90d", twice: true},
		{name: "insight-systems", path: "/o/acme/insight/systems?span=90d", twice: true},
		{name: "insight-nothing", path: "/o/acme/insight?from=2020-01-01&to=2020-01-02"},
		{name: "insight-wrong", path: "/o/acme/insight?from=2026-01-02&to=2026-01-01"},
		{name: "home", path: "/o/acme/"},
	}
}

// logrocketScreens are those of traits and highlights.
func logrocketScreens() []screen {
	const ada, mallory = "ada.lovelace@example.com", "mallory@example.com"
	edited := func(t *testing.T, v *visitor) string {
		return openTraitForm(v, lookUp(v, ada), "usr_ada").submit("/traits", url.Values{"new-key": {"plan"}, "new-value": {strings.Repeat("gold ", 60)}}).
			submit("/traits", url.Values{"reason": {"for the look of it"}}).url.Path
	}
	return []screen{
		{name: "traits-unknown", find: func(t *testing.T, v *visitor) string { return lookUp(v, mallory) + "/traits" }},
		{name: "traits-choose", find: func(t *testing.T, v *visitor) string { return lookUp(v, mallory) + "/traits/edit" }},
		{name: "trait-edit", find: edited},
		{name: "traits", find: func(t *testing.T, v *visitor) string { return lookUp(v, ada) + "/traits" }},
		{name: "traits-form", find: func(t *testing.T, v *visitor) string {
			return openTraitForm(v, lookUp(v, ada), "usr_ada").url.RequestURI()
		}},
		{name: "highlights-form", path: "/o/acme/highlights/new"},
		{name: "highlight", find: func(t *testing.T, v *visitor) string { return highlight(v, ada, "What went wrong <b>today</b>?") }},
		{name: "highlight-hostile", find: func(t *testing.T, v *visitor) string { return highlight(v, mallory, "") }},
		{name: "highlights", path: "/o/acme/highlights"},
		{name: "customer-with-all", find: func(t *testing.T, v *visitor) string { return lookUp(v, ada) }},
	}
}

// highlight asks for highlights and waits until they are there.
func highlight(v *visitor, who, question string) (path string) {
	v.t.Helper()
	path = v.open("/o/acme/highlights/new?email="+url.QueryEscape(who)).submit("/highlights", url.Values{"question": {question}}).url.Path
	eventually(v.t, "the highlights are there", func() bool { return v.open(path).shows("Ready") })
	return path
}

// settingsScreens are those of the settings and the history.
func settingsScreens() []screen {
	return []screen{
		{name: "connections", path: "/o/acme/settings/connections"},
		{name: "connection-choice", path: "/o/acme/settings/connections/new"},
		{name: "connection-new-raygun", path: "/o/acme/settings/connections/new?vendor=raygun"},
		{name: "connection-new-logrocket", path: "/o/acme/settings/connections/new?vendor=logrocket"},
		{name: "connection-raygun", find: tested("/o/acme/settings/connections/1")},
		{name: "connection-logrocket", find: tested("/o/acme/settings/connections/2")},
		{name: "connection-remove", path: "/o/acme/settings/connections/1/remove"},
		{name: "audit-log", twice: true, find: func(t *testing.T, v *visitor) string {
			v.post("/o/acme/settings/connections/2/audit", url.Values{"do": {"on"}})
			return "/o/acme/settings/audit"
		}},
		{name: "who-watched", twice: true, find: func(t *testing.T, v *visitor) string { return lookUp(v, "ada.lovelace@example.com") + "/watched" }},
		{name: "members", path: "/o/acme/settings/members"},
		{name: "invite", path: "/o/acme/settings/members/invite"},
		{name: "member", path: "/o/acme/settings/members/1"},
		{name: "member-you", path: "/o/acme/settings/members/4"},
		{name: "member-remove", path: "/o/acme/settings/members/1/remove"},
		{name: "account", path: "/o/acme/account"},
		{name: "invited-somebody-else", find: invited("linus@example.com")},
		{name: "history-members", path: "/o/acme/history?kind=member"},
		{name: "history", path: "/o/acme/history"},
		{name: "calls", path: "/o/acme/calls"},
		{name: "calls-of-one", path: "/o/acme/calls?connection=1&person=1&from=2020-01-01"},
		{name: "calls-days", path: "/o/acme/calls/days?connection=1"},
		{name: "calls-wrong", path: "/o/acme/calls?from=yesterday"},
		{name: "sessions-sixty-days", path: "/o/acme/sessions?span=60d"},
		{name: "history-nothing", path: "/o/acme/history?kind=trait&until=2020-01-01"},
		{name: "history-wrong", path: "/o/acme/history?from=yesterday"},
	}
}

// tested finds a connection's page and presses its button first, so that there
// is an answer to show and a call in the history.
func tested(path string) func(t *testing.T, v *visitor) string {
	return func(t *testing.T, v *visitor) string {
		if p := v.post(path+"/test", nil); p.status != http.StatusOK {
			t.Fatalf("testing %s: %d", path, p.status)
		}
		return path
	}
}

// invited invites somebody and finds the link.
func invited(email string) func(t *testing.T, v *visitor) string {
	return func(t *testing.T, v *visitor) string {
		p := v.open("/o/acme/settings/members/invite").submit("/members/invite", url.Values{"email": {email}, "role": {"viewer"}})
		p.has("shown only now")
		for _, in := range all(p.doc, "input") {
			if attr(in, "id") == "link" {
				u, err := url.Parse(attr(in, "value"))
				if err != nil {
					t.Fatal(err)
				}
				return u.RequestURI()
			}
		}
		t.Fatalf("no link for %s", email)
		return ""
	}
}

// lookUp finds a customer, asking Raygun if nobody here knows them.
func lookUp(v *visitor, who string) (path string) {
	v.t.Helper()
	address := "/o/acme/lookup?q=" + url.QueryEscape(who)
	p := v.open(address)
	if _, err := p.form("/lookup/ask"); err == nil {
		p = p.submit("/lookup/ask", nil)
	}
	eventually(v.t, who+" is found", func() bool {
		if !strings.Contains(p.url.Path, "/customers/") {
			p = v.open(address)
		}
		return strings.Contains(p.url.Path, "/customers/")
	})
	return p.url.Path
}

// manySessions asks Raygun for what it can send in one answer and leads to the
// figures about it.
func manySessions(v *visitor) (path string) {
	v.t.Helper()
	v.post("/o/acme/sessions/ask", url.Values{"span": {"60d"}, "connection": {"1"}})
	eventually(v.t, "many sessions are there", func() bool { return v.open("/o/acme/sessions?span=60d&connection=1").shows("50+ sessions") })
	return "/o/acme/insight?span=90d"
}

// fetchSession fetches the page views of a customer's newest session.
func fetchSession(v *visitor, customer string) (path string) {
	v.t.Helper()
	p := v.open(customer).follow("/sessions/")
	path = p.url.Path
	p.submit("/detail", nil)
	eventually(v.t, "the session is fetched", func() bool { return !v.open(path).shows("Asking Raygun") })
	return path
}

// looks are the ways in which every page is looked at.
func looks() []look {
	return []look{{width: 1280}, {width: 1280, dark: true}, {width: 390}, {width: 390, dark: true}}
}

func TestEveryPageIsSoundInBothThemesOnDeskAndPhone(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	s := newSite(t, sandbox.Options{})
	v := s.visitor(t, "owner")
	axe := axeSource(t)
	public, member := publicScreens(), screens()
	for _, list := range [][]screen{public, member} {
		for i, sc := range list {
			if sc.find != nil {
				list[i].path = sc.find(t, v)
			}
		}
	}
	for _, l := range looks() {
		t.Run(l.String(), func(t *testing.T) {
			t.Parallel()
			b := newTab(t, browser, s.address, l)
			visit := func(sc screen) {
				b.open(sc.path)
				b.loaded()
				b.checkPage(sc.name, axe)
				b.screenshot(sc.name + "-" + l.String())
				if l.width == 390 {
					narrow := l
					narrow.width = 360
					b.look(narrow)
					// Some systems' fonts are wide.
					b.do("take a wide font", chromedp.Evaluate[chromedp.Void](`document.documentElement.style.setProperty("--font-sans", "monospace")`))
					if wide := b.overflow(); wide != "" {
						t.Errorf("%s at 360 px %s", sc.name, wide)
					}
					b.look(l)
				}
			}
			for _, sc := range public {
				visit(sc)
			}
			b.signIn("owner@example.com", sitePassword)
			for _, sc := range member {
				if sc.in(l) {
					visit(sc)
				}
			}
		})
	}
}

// What the checks cannot see they cannot guard, so they are shown a bad page.
func TestTheChecksSeeABadPage(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<html><body><input><script>var inline</script><div style="width:3000px">wide</div></body></html>`))
	}))
	defer srv.Close()
	b := newTab(t, newBrowser(t), srv.URL, look{width: 390})
	b.open("/")
	b.do("make it wide", chromedp.Evaluate[chromedp.Void](`document.querySelector("div").style.width = "3000px"`))
	got := strings.Join(b.faults(axeSource(t)), "\n")
	for _, want := range []string{"axe: html-has-lang", "axe: label", "scrolls sideways", "Content Security Policy"} {
		if !strings.Contains(got, want) {
			t.Errorf("nobody noticed %q:\n%s", want, got)
		}
	}
}
