package handlers_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

// newSandboxSite is a site whose organization is connected to the stand-ins.
func newSandboxSite(t *testing.T, o sandbox.Options) (*site, *sandbox.Sandbox) {
	t.Helper()
	if o.Customers == 0 {
		o.Customers, o.Sessions = 60, 1800
	}
	sb, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sb.Close(); err != nil {
			t.Errorf("close the stand-ins: %v", err)
		}
	})
	if o.Now == nil {
		o.Now = time.Now
	}
	s := newSiteAt(t, services.Vendors{RaygunURL: sb.RaygunURL(), LogRocketURL: sb.LogRocketURL(), LogRocketAppURL: sb.LogRocketAppURL()}, o.Now)
	k := sb.Credentials()
	actor := services.Actor{Org: s.org.ID, User: 1, Name: "owner", Role: services.Owner}
	for _, f := range []services.ConnectionForm{
		{Vendor: services.Raygun, Name: "Shop", APIKey: services.NewSecret(k.RaygunAPIKey), ClientID: services.NewSecret(k.RaygunClientID), ClientSecret: services.NewSecret(k.RaygunClientSecret)},
		{Vendor: services.LogRocket, Name: "Shop app", Key: services.NewSecret(k.LogRocketKey)},
	} {
		if _, problems, err := s.services.Connections.Add(t.Context(), actor, f); err != nil || len(problems) > 0 {
			t.Fatalf("add a connection: %v, %v", problems, err)
		}
	}
	return s, sb
}

func TestUnknownEmailLeadsOverRaygunToTheCustomer(t *testing.T) {
	t.Parallel()
	s, sb := newSandboxSite(t, sandbox.Options{})
	b := s.as(t, "support@example.com")
	demo := sb.Company().Demo()[0]
	q := url.Values{"q": {demo.Identifier}}.Encode()

	b.get("/o/acme/").wants(t, 200, "Nobody yet", "Shop", "50 of 50", `name="q"`)
	b.get("/o/acme/lookup?"+q).wants(t, 200, "Nobody here is known by that", "1 call, 50 left today", "Request highlights for this email")
	if sb.CountCalls(sandbox.OpSessions) != 0 {
		t.Fatal("looking spent a call")
	}
	a := b.post("/o/acme/lookup/ask", "q", demo.Identifier, "connection", "1")
	a.wants(t, 303)
	for range 40 { // the answer may need longer than the request waited
		if a = b.get(a.location); a.status == 303 {
			break
		}
	}
	if a.status != 303 || !strings.HasPrefix(a.location, "/o/acme/customers/") {
		t.Fatalf("led to %d %s", a.status, a.location)
	}
	page := b.get(a.location)
	page.wants(t, 200, demo.Email, "What happened", "Raygun identifier", "Refresh from Raygun", "49 left today",
		"Raygun: Shop", "LogRocket: Shop app", "Sessions in the mirror", "Known as", "Copy for ticket")

	// A viewer reads the same and cannot spend.
	viewer := s.as(t, "viewer@example.com")
	seen := viewer.get(a.location)
	seen.wants(t, 200, "This takes the support role. An admin can give it to you.")
	for _, not := range []string{"Request highlights", "Edit traits"} { // whose own pages say why
		if strings.Contains(seen.body, not) {
			t.Errorf("a viewer is offered %q", not)
		}
	}
	viewer.post("/o/acme/lookup/ask", "q", "x", "connection", "1").wants(t, 403)
	viewer.post(a.location+"/refresh", "as", "1:"+demo.Identifier).wants(t, 403)

	// Pinned and recently seen, on the home page of who did it.
	b.post(a.location+"/pin", "pinned", "1").wants(t, 303)
	b.get("/o/acme/").wants(t, 200, html.EscapeString(demo.FullName), "Pinned customers", "Recently looked at")
	if home := viewer.get("/o/acme/"); home.status != 200 || strings.Contains(home.body, "Pinned customers") {
		t.Errorf("what one member pinned is on another's home page: %d", home.status)
	}

	// One session, its detail for one call, and nothing for the second look.
	session := sessionOf(page.body)
	b.get(session).wants(t, 200, "were not fetched yet", "Fetch details")
	b.get(session+"/answer").wants(t, 404, "Fetch its details")
	b.get(session, "HX-Request", "true", "HX-Request-Type", "partial").wants(t, 200, "Fetch details")
	b.post(session+"/detail").wants(t, 303)
	b.until(session, "Page views with load time", "as Raygun rates it", "Refresh", "48 left today", "Raw JSON")
	b.get(session+"/answer").wants(t, 200, "What Raygun sent", "Download JSON", html.EscapeString(`"identifier": "`+demo.Identifier))
	file := b.get(session + "/answer.json")
	file.wants(t, 200, demo.Identifier)
	if !json.Valid([]byte(file.body)) || file.header.Get("Content-Type") != "application/json" || !strings.HasPrefix(file.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("what Raygun sent is not a file of JSON: %s", file.body)
	}
	calls := sb.CountCalls(sandbox.OpSession)
	d := b.get(session, "HX-Request", "true", "HX-Request-Type", "partial")
	d.wants(t, 200, "Page views with load time")
	if strings.Contains(d.body, "<html") || sb.CountCalls(sandbox.OpSession) != calls {
		t.Error("the part of a timeline is a whole page, or looking spent a call")
	}
	b.post(a.location+"/refresh", "as", "1:"+demo.Identifier).wants(t, 303)
	b.post(a.location+"/refresh", "as", "1:somebody else").wants(t, 422, "never seen as")
	b.get("/o/acme/lookup?"+q).wants(t, 303)
}

func TestSessionSearchThroughTheBrowser(t *testing.T) {
	t.Parallel()
	s, sb := newSandboxSite(t, sandbox.Options{Customers: 60, Sessions: 1800, RaygunDailyLimit: 50})
	b := s.as(t, "support@example.com")
	b.get("/o/acme/sessions").wants(t, 200, "Raygun was never asked for this", "No sessions here", "1 call, 50 left today")
	b.get("/o/acme/sessions?span=60d").wants(t, 200, `aria-current="page"`)
	a := b.post("/o/acme/sessions/ask", "span", "60d", "connection", "1")
	a.wants(t, 303)
	page := b.until(a.location, "match, 500 are here.", "Fetch the next 500", "49 left today", "50+ sessions")
	if n := len(page.body); n > 60_000 {
		t.Errorf("the page has %d bytes", n)
	}
	older := html.UnescapeString(regexp.MustCompile(`href="([^"]*before=[^"]*)"`).FindStringSubmatch(page.body)[1])
	next := b.get("/o/acme/sessions" + older)
	next.wants(t, 200, "50+ sessions", "Newer")
	seen := map[string]bool{}
	for _, p := range []string{page.body, next.body} {
		for _, href := range listed(p, -1) {
			if seen[href] {
				t.Errorf("%s twice", href)
			}
			seen[href] = true
		}
	}
	b.post("/o/acme/sessions/ask", "span", "60d", "connection", "1", "next", "1").wants(t, 303)
	b.until(a.location, "match, 1,000 are here.")

	// Wrong input comes back as it was typed, with a sentence at the field.
	b.get("/o/acme/sessions?from=2026-13-40&to=soon&countries=NZL,"+url.QueryEscape("<b>")).wants(t, 422,
		"Write the day like 2026-11-21.", "not a country code", `value="NZL,&lt;b&gt;"`, `value="soon"`, "need your attention")
	b.get("/o/acme/sessions?from=2026-11-21&to=2026-11-20").wants(t, 422, "ends before it begins")
	b.get("/o/acme/sessions?connection=99").wants(t, 404, "no such connection")
	b.get("/o/acme/sessions?before=x.y").wants(t, 200)

	// A failing vendor: what, where, and what is shown instead.
	sb.Fault(sandbox.Fault{Vendor: sandbox.Raygun, Operation: sandbox.OpSessions, Kind: sandbox.FaultWrongType})
	b.post("/o/acme/sessions/ask", "span", "60d", "connection", "1", "next", "0").wants(t, 303)
	b.until(a.location, "did not work", "Raygun (connection “Shop”) answered with something else than expected", "50+ sessions")
}

func TestUsedUpAllowanceDisablesTheButtonAndSaysWhy(t *testing.T) {
	t.Parallel()
	s, sb := newSandboxSite(t, sandbox.Options{})
	actor := services.Actor{Org: s.org.ID, User: 1, Name: "owner", Role: services.Owner}
	if problems, err := s.services.Connections.SetBudget(t.Context(), actor, 1, 1, 0); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	b := s.as(t, "support@example.com")
	b.post("/o/acme/sessions/ask", "connection", "1").wants(t, 303)
	// The call is spent before it is answered, and asking again meanwhile is
	// the same question.
	b.until("/o/acme/sessions", "are here.")
	b.until("/o/acme/sessions", "calls are used up. The next are free at 00:00 UTC.", "disabled")
	b.post("/o/acme/sessions/ask", "connection", "1", "next", "0").wants(t, 303)
	b.until("/o/acme/sessions", "did not work", "are used up")
	if n := sb.CountCalls(sandbox.OpSessions); n != 1 {
		t.Errorf("%d calls were sent with an allowance of one", n)
	}
}

func TestHostileLookupsAreAnsweredSanely(t *testing.T) {
	t.Parallel()
	s, _ := newSandboxSite(t, sandbox.Options{})
	b := s.as(t, "support@example.com")
	for _, q := range []string{"", " ", "%", "_", "\x00", `"`, `" OR 1=1 --`, "<script>alert(1)</script>", "\u202eevil", "日本語", "\xff\xfe", "NEAR(a b)", strings.Repeat("a", 10_000), strings.Repeat("ü", 1024)} {
		a := b.get("/o/acme/lookup?" + url.Values{"q": {q}}.Encode())
		if a.status != http.StatusOK || strings.Contains(a.body, "<script>alert") || len(a.body) > 60_000 {
			t.Errorf("%.30q: status %d, %d bytes", q, a.status, len(a.body))
		}
	}
	for _, path := range []string{"/o/acme/customers/999", "/o/acme/customers/x", "/o/acme/customers/-1", "/o/acme/sessions/999", "/o/acme/sessions/99999999999999999999"} {
		b.get(path).wants(t, 404)
	}
	b.post("/o/acme/customers/999/pin", "pinned", "1").wants(t, 404)
	b.post("/o/acme/sessions/999/detail").wants(t, 404)
}

func TestWithoutConnectionsPagesSayWhatToDo(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	b := s.as(t, "admin@example.com")
	for path, text := range map[string]string{
		"/o/acme/": "Nothing is connected yet", "/o/acme/sessions": "No Raygun connection yet", "/o/acme/customers": "No customers yet",
		"/o/acme/lookup": "Type an email, an id or a name", "/o/acme/lookup?q=ada": "Connect Raygun",
	} {
		b.get(path).wants(t, 200, text)
	}
	s.as(t, "viewer@example.com").get("/o/acme/sessions").wants(t, 200, "Somebody with the admin role")
}

func TestStrangersDoNotSeePeopleAndSessions(t *testing.T) {
	t.Parallel()
	s, _ := newSandboxSite(t, sandbox.Options{})
	b := s.as(t, "support@example.com")
	b.post("/o/acme/sessions/ask", "span", "60d", "connection", "1").wants(t, 303)
	other, err := s.services.People.AddOrganization(t.Context(), "other", "Other")
	if err != nil {
		t.Fatal(err)
	}
	s.member(t, other, "eve@example.com", services.Owner)
	eve := s.as(t, "eve@example.com")
	base := "/o/" + other.Slug
	for i := range 3 {
		eve.get(fmt.Sprintf("%s/customers/%d", base, i+1)).wants(t, 404)
		eve.get(fmt.Sprintf("%s/sessions/%d", base, i+1)).wants(t, 404)
		eve.post(fmt.Sprintf("%s/sessions/%d/detail", base, i+1)).wants(t, 404)
		eve.post(fmt.Sprintf("%s/customers/%d/refresh", base, i+1), "as", "1:x").wants(t, 404)
	}
	eve.get(base+"/sessions?connection=1").wants(t, 404)
	eve.post(base+"/lookup/ask", "q", "x", "connection", "1").wants(t, 404)
	eve.get("/o/acme/customers/1").wants(t, 404)
}
