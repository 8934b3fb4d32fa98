package e2e_test

import (
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"sightline/internal/services/sandbox"
)

// askedQuery is a saved query whose variables are of the kinds that people fill
// in; its answer has errors beside its data.
const askedQuery = "query Recent($first: Int!, $email: String, $errors: Boolean) {\n  sessions(first: $first, userEmail: $email, hasErrors: $errors) { userEmail country startedAt durationMs rageClicks }\n}"

// formScreens are those of what a saved query becomes: a form, a schedule.
func formScreens() []screen {
	var saved, form, asked string
	return []screen{
		{name: "graphql-saved-query", find: func(t *testing.T, v *visitor) string {
			saved = saveQuery(v)
			form = publish(v, saved)
			return saved
		}},
		{name: "graphql-publish", find: func(*testing.T, *visitor) string { return saved + "/form" }},
		{name: "graphql-forms", path: graphQLAt + "/forms"},
		{name: "graphql-form-answer", find: func(t *testing.T, v *visitor) string {
			u := v.open(form).submit(form, url.Values{"v-first": {"12"}, "v-errors": {"true"}}).url
			asked = u.RequestURI()
			eventually(t, "the form is answered", func() bool { return v.open(asked).shows("Errors in the answer") })
			return asked
		}},
		{name: "graphql-tree", find: func(*testing.T, *visitor) string { return asked + "&show=json" }},
		{name: "graphql-schedule-form", find: func(*testing.T, *visitor) string { return saved + "/schedule" }},
		{name: "graphql-schedule", find: func(t *testing.T, v *visitor) string {
			at := v.open(saved+"/schedule").submit("/schedule", url.Values{"variables": {`{"first": 12}`}}).url.Path
			for _, want := range []string{"Two results make a trend", "±0"} {
				v.open(at).submit("/run", nil)
				eventually(t, "the schedule shows "+want, func() bool { return v.open(at).shows(want) })
			}
			return at
		}},
		{name: "graphql-schedules", path: graphQLAt + "/schedules"},
	}
}

// saveQuery saves a query of the site's LogRocket and returns its page.
func saveQuery(v *visitor) string {
	v.t.Helper()
	p := v.post(graphQLAt, url.Values{"connection": {"2"}, "query": {askedQuery}, "variables": {`{"first": 12}`}, "do": {"save"}, "name": {"Recent sessions"}, "description": {"The newest recordings, of everybody or of one customer."}})
	id := p.url.Query().Get("saved")
	if id == "" {
		v.t.Fatalf("the query was not saved: %s\n%s", p.url, tail(p.text(), 2000))
	}
	return graphQLAt + "/saved/" + id
}

// publish publishes a saved query for every member and returns the form's page.
func publish(v *visitor, saved string) string {
	v.t.Helper()
	return v.open(saved+"/form").submit("/form", url.Values{
		"role": {"viewer"}, "title": {"Who was here lately"}, "label-first": {"How many"}, "note-first": {"At most 100"}, "label-email": {"Whose"}, "label-errors": {"Only with errors"},
	}).url.Path
}

// Who never saw the query fills in its form, mends what is wrong and reads the
// answer, with the keyboard alone and the least of roles.
func TestAViewerAsksThroughAFormByKeyboard(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{Customers: 20, Sessions: 200, Days: 5})
	form := publish(s.visitor(t, "admin"), saveQuery(s.visitor(t, "admin")))
	b := newTab(t, newBrowser(t), s.address, look{width: 390})
	axe := axeSource(t)
	b.signIn("viewer@example.com", sitePassword)
	b.open(graphQLAt)
	b.press("the link to the forms", `e.closest("main") && /\/graphql\/forms$/.test(e.getAttribute("href") ?? "")`)
	b.waitPath(`/graphql/forms$`)
	b.loaded()
	b.press("the form", `e.getAttribute("href") === "`+form+`"`)
	b.waitPath(form + "$")
	b.loaded()
	b.reach("how many", `e.name == "v-first"`)
	b.do("take all", chromedp.KeyEvent("a", chromedp.KeyModifiers(2)))
	b.keys("a few" + kb.Enter)
	b.waitText("is not a number")
	b.loaded()
	b.checkPage("the form with what is wrong", axe)
	b.screenshot("graphql-form-wrong")
	b.reach("how many", `e.name == "v-first"`)
	b.do("take all", chromedp.KeyEvent("a", chromedp.KeyModifiers(2)))
	b.keys("3")
	b.reach("whether only those with errors", `e.name == "v-errors"`)
	b.keys("Yes")
	b.press("the button that asks", `e.tagName == "BUTTON" && e.form?.getAttribute("action") === "`+form+`"`)
	b.waitPath(`\?run=\d+`)
	b.waitText(`(?s)answered.*Errors in the answer`)
	b.waitText("How many: 3, Only with errors: true")
	for _, c := range b.complaints() {
		t.Error(c)
	}
}
