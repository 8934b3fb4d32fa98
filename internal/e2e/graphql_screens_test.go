package e2e_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"sightline/internal/services/sandbox"
)

const graphQLAt = "/o/acme/graphql"

// graphQLScreens are those of the workbench.
func graphQLScreens() []screen {
	const query = "query Latest($n: Int!) {\n  # the newest\n  sessions(first: $n) { userEmail country startedAt durationMs }\n}"
	run := func(t *testing.T, v *visitor) string {
		p := v.post(graphQLAt, url.Values{"connection": {"2"}, "query": {query}, "variables": {`{"n": 3}`}, "do": {"run"}, "token": {"look"}})
		eventually(t, "the query is answered", func() bool { return v.open(p.url.Path).shows("About this run") })
		return p.url.Path
	}
	return []screen{
		{name: "graphql-schema", find: func(t *testing.T, v *visitor) string {
			fetchSchema(t, v)
			return graphQLAt + "/schema?connection=2&type=Query"
		}},
		{name: "graphql-run", find: run},
		{name: "graphql", find: func(t *testing.T, v *visitor) string {
			_, id, _ := strings.Cut(run(t, v), "/runs/")
			return graphQLAt + "?run=" + id + "&insert=Session.browser"
		}},
		{name: "graphql-problem", path: graphQLAt + "?connection=2&insert=Session.gone"},
	}
}

// fetchSchema fetches the schema of the site's LogRocket.
func fetchSchema(t *testing.T, v *visitor) {
	t.Helper()
	v.post(graphQLAt+"/schema", url.Values{"connection": {"2"}})
	eventually(t, "the schema is there", func() bool { return v.open(graphQLAt + "/schema?connection=2").shows("About this schema") })
}

// A query is written with what the editor offers, tidied up and run, without a
// mouse.
func TestAQueryIsWrittenInTheEditorByKeyboard(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{Customers: 20, Sessions: 100, Days: 5})
	fetchSchema(t, s.visitor(t, "support"))
	b := newTab(t, newBrowser(t), s.address, look{width: 1280})
	axe := axeSource(t)
	b.signIn("support@example.com", sitePassword)
	b.open(graphQLAt)
	inEditor := func(label string) string {
		return `e.closest(".cm-editor") && e.getAttribute("aria-label") === "` + label + `"`
	}
	b.reach("the editor of the query", inEditor("Query"))
	b.do("take all", chromedp.KeyEvent("a", chromedp.KeyModifiers(2)))
	b.keys("query A($n: Int!) { use")
	offered := func(text string) {
		b.t.Helper()
		eventually(t, "the editor offers "+text, func() bool {
			return value(b, "look at what is offered", chromedp.Evaluate[bool](`[...document.querySelectorAll(".cm-tooltip-autocomplete li")].some(li => li.textContent.startsWith(`+strconv.Quote(text)+`))`))
		})
	}
	offered("users")
	b.checkPage("the editor with what it offers", axe)
	b.keys(kb.ArrowDown + kb.Enter)
	b.keys("emai")
	offered("email")
	b.keys(kb.Tab + " nope")
	eventually(t, "the editor marks what the schema lacks", func() bool {
		return value(b, "look at the marks", chromedp.Evaluate[bool](`[...document.querySelectorAll(".cm-lintRange-error")].some(e => e.textContent === "nope")`))
	})
	b.keys(strings.Repeat(kb.Backspace, 5))

	b.keys(kb.Tab)
	b.focused(inEditor("Variables"))
	b.keys("{")
	b.do("ask what fits", chromedp.KeyEvent(" ", chromedp.KeyModifiers(2)))
	offered(`"n"`)
	b.keys(kb.Enter + "2")
	b.press("the button that tidies up", `e.value === "format"`)
	const want = "query A($n: Int!) {\n  users {\n    email\n  }\n}\n"
	eventually(t, "the query is laid out", func() bool {
		return value(b, "read the query", chromedp.Evaluate[string](`document.querySelector("textarea[name=query]").value`)) == want
	})
	if got := value(b, "read the variables", chromedp.Evaluate[string](`document.querySelector("textarea[name=variables]").value`)); got != "{\n  \"n\": 2\n}" {
		t.Errorf("the variables are %q", got)
	}
	b.checkPage("the editor", axe)

	// The variable is not used, which the server here says before anything leaves.
	b.do("run it", chromedp.Focus(chromedp.CSS(`.cm-content`)), chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(2)))
	b.waitText("The schema does not allow this")
	b.loaded()
	b.reach("the editor of the query", inEditor("Query"))
	b.do("take all", chromedp.KeyEvent("a", chromedp.KeyModifiers(2)))
	b.keys("query A($n: Int!) { users(first: $n) { email } }")
	b.do("run it", chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(2)))
	b.waitPath(`/graphql/runs/\d+$`)
	b.waitText("The server answered")
	for _, c := range b.complaints() {
		t.Error(c)
	}
}
