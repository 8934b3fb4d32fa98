package handlers_test

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"

	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

// TestInsightSaysWhatItIsComputedFrom asks for sessions and a detail, and looks
// at the figures: they say how much they know, cost no call, and lead to the
// sessions behind them.
func TestInsightSaysWhatItIsComputedFrom(t *testing.T) {
	t.Parallel()
	s, sb := newSandboxSite(t, sandbox.Options{})
	b := s.as(t, "support@example.com")
	b.get("/o/acme/insight").wants(t, 200, "No sessions of these days in the mirror", `aria-current="page"`)

	a := b.post("/o/acme/sessions/ask", "span", "60d", "connection", "1")
	a.wants(t, 303)
	b.until("/o/acme/insight?span=90d", "Computed from the 500 sessions")
	sessions := b.get(a.location)
	b.get("/o/acme/insight?span=90d").wants(t, 200, "Computed from the 500 sessions in the mirror", "Page views and errors of 0 of them are here (0 %)",
		"No page views of these sessions here", "Sessions a week", `href="/o/acme/insight/countries?span=90d"`)
	b.get("/o/acme/insight/days?span=90d").wants(t, 200, "Raygun rated none of these sessions", "Numbers: Sessions a week",
		">Sessions by week</h1>", "Every week leads to its sessions")
	b.get("/o/acme/insight?span=90d").wants(t, 200, "Every week, in numbers")
	b.get("/o/acme/insight/days?from=2026-09-01&to=2026-10-01").wants(t, 200, ">Sessions by day</h1>")
	b.get("/o/acme/insight/days?from=2026-09-01&to=2026-10-02").wants(t, 200, ">Sessions by week</h1>")
	b.get("/o/acme/insight/vitals?span=90d").wants(t, 200, "week by week")
	b.get("/o/acme/insight/vitals?span=30d").wants(t, 200, "day by day")
	b.get("/o/acme/insight/countries?span=90d").wants(t, 200, "United States", "Computed from the 500 sessions")

	// Which sessions met an error depends on the hour.
	errors := false
	for i, path := range listed(sessions.body, 30) {
		b.post(path+"/detail").wants(t, 303)
		b.until("/o/acme/insight?span=90d", fmt.Sprintf("Page views and errors of %d of them", i+1))
		if errors = strings.Contains(b.get("/o/acme/insight/errors?span=90d").body, "<tbody>"); errors && i >= 2 {
			break
		}
	}
	if !errors {
		t.Fatal("none of the stand-in's newest 30 sessions met an error")
	}
	calls := sb.CountCalls(sandbox.OpSession) + sb.CountCalls(sandbox.OpSessions)
	page := b.get("/o/acme/insight?span=30d")
	page.wants(t, 200, "Page views and errors of ", "Pages by load time", "p75 trend", "Rated Excellent or Good",
		"The mirror holds no session of the 30 days before", "Sessions a day by rating")
	topics := map[string]answer{}
	for topic, title := range map[string]string{
		"days": "Sessions by day", "pages": "Pages by load time", "vitals": "Core Web Vitals", "errors": "Errors by sessions touched",
		"countries": "Countries", "browsers": "Browsers", "systems": "Operating systems",
	} {
		topics[topic] = b.get("/o/acme/insight/" + topic + "?span=30d")
		if told := strings.Contains(topics[topic].body, "Page views and errors of "); told != (topic != "vitals") {
			t.Errorf("%s says that it is computed from the mirror: %v", topic, told)
		}
		topics[topic].wants(t, 200, ">"+title+"</h1>", `href="/o/acme/insight?span=30d"`, `aria-current="page">30 days`)
		page.wants(t, 200, `href="/o/acme/insight/`+topic+`?span=30d"`)
	}
	if n := sb.CountCalls(sandbox.OpSession) + sb.CountCalls(sandbox.OpSessions); n != calls {
		t.Errorf("looking spent %d calls", n-calls)
	}
	// What the overview fetches when it comes into view: a part, with its own links.
	part := b.get("/o/acme/insight?span=30d", "HX-Request", "true", "HX-Request-Type", "partial")
	part.wants(t, 200, "Countries", "Browsers", "Operating systems", ">United States</a>", `href="/o/acme/insight/browsers?span=30d"`)
	if strings.Contains(part.body, "<html") || strings.Contains(page.body, "United States") {
		t.Error("the overview's tables below came with the page, or the page with them")
	}
	text := html.UnescapeString(page.body + part.body)
	for _, filter := range []string{"countries=", "from=", "to="} {
		link := regexp.MustCompile(`href="(/o/acme/sessions\?[^"]*` + filter + `[^"]*)"`).FindStringSubmatch(text)
		if link == nil || !strings.Contains(link[1], "from=") || !strings.Contains(link[1], "to=") {
			t.Errorf("no link to the sessions with %s: %v", filter, link)
		}
	}
	if strings.Contains(page.body, "<script>") || strings.Contains(page.body, "style=") {
		t.Error("the page has an inline script or style, which its policy forbids")
	}
	for _, sort := range []string{"p50", "p75", "p95", "trend", "views", "nonsense"} {
		b.get("/o/acme/insight/pages?span=30d&sort="+sort).wants(t, 200, `aria-sort="descending"`)
	}

	b.get("/o/acme/insight/nothing").wants(t, 404)
	for topic, none := range map[string]string{"pages": "No page views of these sessions here", "errors": "No error is known", "countries": `<p class="muted">`} {
		past, last := b.get("/o/acme/insight/"+topic+"?page=99999999999"), b.get("/o/acme/insight/"+topic)
		if past.wants(t, 200, "<tbody>"); strings.Contains(past.body, none) || !strings.Contains(last.body, "<tbody>") {
			t.Errorf("past the last page of %s are no rows", topic)
		}
	}
	b.get("/o/acme/insight/errors?from=2026-11-21&to=2026-11-20").wants(t, 422, "ends before it begins", `action="/o/acme/insight/errors"`)
	b.get("/o/acme/insight?from=2026-11-21&to=2026-11-20").wants(t, 422, "ends before it begins", `value="2026-11-21"`)
	b.get("/o/acme/insight?from=soon").wants(t, 422, "Give the day to begin with", `value="soon"`)
	b.get("/o/acme/insight?from=2020-01-01&to=2026-11-20").wants(t, 422, "at most 400 days")
	b.get("/o/acme/insight?conn=2").wants(t, 422, "no such Raygun connection") // LogRocket's
	b.get("/o/acme/insight?conn=x").wants(t, 422, "no such Raygun connection")

	other, err := s.services.People.AddOrganization(t.Context(), "other", "Other")
	if err != nil {
		t.Fatal(err)
	}
	s.member(t, other, "eve@example.com", services.Owner)
	eve := s.as(t, "eve@example.com")
	eve.get("/o/acme/insight").wants(t, 404)
	eve.get("/o/other/insight").wants(t, 200, "No Raygun connection yet")
	eve.get("/o/other/insight?conn=1").wants(t, 404)
}
