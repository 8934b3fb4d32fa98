package handlers_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

// settle reads a page until nothing on it is being asked any more, as a person
// without JavaScript would, with its Refresh link.
func settle(t *testing.T, b *browser, path string) answer {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		a := b.get(path)
		if !strings.Contains(a.body, `hx-trigger="every`) || time.Now().After(deadline) {
			return a
		}
	}
}

func TestRaygunV3FromTheTokenToTheFigures(t *testing.T) {
	t.Parallel()
	for _, dialect := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			box, err := sandbox.Start(t.Context(), sandbox.Options{Dialect: dialect, Customers: 40, Sessions: 200, Days: 5})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { box.Close() })
			s := newSite(t, services.Vendors{RaygunURL: box.RaygunURL(), LogRocketURL: box.LogRocketURL()})
			cr, b := box.Credentials(), s.as(t, "owner@example.com")
			connect := func(pairs ...string) string {
				t.Helper()
				a := b.post("/o/acme/settings/connections", pairs...)
				a.wants(t, http.StatusSeeOther)
				return a.location
			}
			b.get("/o/acme/settings/connections/new").wants(t, 200, "Connect Raygun v3")
			b.get("/o/acme/settings/connections/new?vendor=raygun_v3").wants(t, 200, "Personal access token", "Check the token", "· 1 call<")
			b.post("/o/acme/settings/connections", "vendor", "raygun_v3", "name", "Three").wants(t, 422, "Paste the personal access token here.")

			at := connect("vendor", "raygun_v3", "name", "Three", "token", cr.RaygunToken)
			if !strings.HasSuffix(at, "/application") {
				t.Fatalf("after the token: %s", at)
			}
			page := settle(t, b, at)
			page.wants(t, 200, "Acme web", cr.RaygunApplication, "has sent no sessions yet", `type="radio"`, "· 6 calls, 9999 left today", "· 1 call, 9999 left today")
			for _, secret := range []string{cr.RaygunToken, cr.RaygunAPIKey} {
				if strings.Contains(page.body, secret) {
					t.Error("a secret came back to the browser")
				}
			}
			conn := strings.TrimSuffix(at, "/application")
			b.get(conn).wants(t, 200, "No application is chosen yet", "Choose the application")
			b.post(at).wants(t, 422, "Choose one of the applications.")
			b.post(at, "application", "../../x").wants(t, 422, "The token does not see this application.")
			s.as(t, "viewer@example.com").post(at, "application", cr.RaygunApplication).wants(t, http.StatusForbidden)
			b.post(at, "application", cr.RaygunApplication).wants(t, http.StatusSeeOther)
			settle(t, b, conn).wants(t, 200, "It has every permission that Sightline can use.", "Acme web ("+cr.RaygunApplication+")", "of 10,000", "by default 10,000", "· 6 calls, 9993 left today")
			if a := b.get(at); a.status != http.StatusSeeOther {
				t.Errorf("an application can be chosen twice: %d", a.status)
			}
			connect("vendor", "raygun", "name", "One", "api_key", cr.RaygunAPIKey, "client_id", cr.RaygunClientID, "client_secret", cr.RaygunClientSecret)

			// Both tell of the same days: each session stands in the list once.
			const heading = "<th>Connection<"
			for i, id := range []string{"1", "2"} {
				b.post("/o/acme/sessions/ask", "connection", id, "span", "7d").wants(t, http.StatusSeeOther)
				settle(t, b, "/o/acme/sessions?span=7d&connection="+id)
				// Whose a session is stands there until both are known to be one application.
				if named := strings.Contains(b.get("/o/acme/sessions?span=7d").body, heading); named != (i == 0) {
					t.Errorf("with %d of 2 asked, sessions name their connection: %t", i+1, named)
				}
			}
			list := b.get("/o/acme/sessions?span=7d&columns=person,connection")
			list.wants(t, 200)
			hrefs, seen := listed(list.body, -1), map[string]bool{}
			for _, h := range hrefs {
				seen[h] = true
			}
			if len(seen) < 40 {
				t.Fatalf("%d sessions in the list\n%s", len(seen), list.body)
			}
			file := b.get("/o/acme/sessions.csv?span=7d&columns=connection").body
			if in, shown := strings.Count(file, "\"Three, One\"\r\n"), strings.Count(list.body, ">Three, One<"); in < shown || shown == 0 {
				t.Errorf("%d sessions on the page are of both connections, %d in the file", shown, in)
			}
			b.get(hrefs[0]).wants(t, 200, "Open in Raygun (Three)", "Open in Raygun (One)", "Three and One", "Fetch through “One”", "up to 6 calls")
			b.post(hrefs[0]+"/detail", "through", "1").wants(t, http.StatusSeeOther)
			settle(t, b, hrefs[0]).wants(t, 200, "Load time and time on the page are not in v3.", `<circle class="wf-load" cx="0.00%"`, "Page view, how long is not known")
			b.post(hrefs[0]+"/detail", "through", "99").wants(t, http.StatusUnprocessableEntity)

			b.get("/o/acme/insight?span=7d").wants(t, 200, "Cumulative Layout Shift", "nothing measured", `href="/o/acme/insight/vitals?span=7d"`)
			b.get("/o/acme/insight/vitals?span=7d").wants(t, 200, "Core Web Vitals over time", "Fetch 7 days", "Good up to 2.5 s, poor above 4 s.")
			asked := b.post("/o/acme/insight/vitals", "through", "1", "span", "7d")
			asked.wants(t, http.StatusSeeOther)
			if _, card, _ := strings.Cut(asked.location, "#"); card != "vitals-1" || !strings.Contains(b.get(asked.location).body, `id="vitals-1"`) {
				t.Errorf("the answer is at %s", asked.location)
			}
			vitals := settle(t, b, "/o/acme/insight/vitals?span=7d")
			vitals.wants(t, 200, "7 days are here", "Numbers: LCP a day, 75th percentile", "Numbers: CLS a day, 75th percentile", " ms</span>", " score</span>")
			if strings.Contains(vitals.body, "<table") {
				t.Error("all charts have their numbers on one page")
			}
			numbers := html.UnescapeString(regexp.MustCompile(`href="([^"]*)">Numbers: CLS`).FindStringSubmatch(vitals.body)[1])
			if one := b.get(numbers); strings.Count(one.body, "<table") != 1 || !strings.Contains(one.body, `<caption class="sr-only">CLS a day, 75th percentile`) {
				t.Errorf("%s has not the numbers of CLS", numbers)
			}
			b.get("/o/acme/insight/vitals?span=90d").wants(t, 200, "Numbers: LCP a week, 75th percentile")
			b.get("/o/acme/insight?span=7d").wants(t, 200, "p75 of ", "Cumulative Layout Shift")
			b.get("/o/acme/insight/vitals?span=7d&conn=2").wants(t, 200, "Core Web Vitals over time") // the same application
			b.post("/o/acme/insight/vitals", "through", "2", "span", "7d").wants(t, http.StatusUnprocessableEntity, "not in v1")
			s.as(t, "viewer@example.com").post("/o/acme/insight/vitals", "through", "1", "span", "7d").wants(t, http.StatusForbidden)

			b.get("/o/acme/calls").wants(t, 200, "Asked Raygun v3 for a day&#39;s Core Web Vitals")
			b.get("/o/acme/history.csv?kind=call").wants(t, 200, "Asked Raygun v3 which applications the token sees")
			b.get("/o/acme/history?kind=deed").wants(t, 200, "Chose the application “Acme web” for the Raygun v3 connection “Three”")

			b.post(conn+"/name", "name", "Drei").wants(t, http.StatusSeeOther)
			b.post(conn+"/credentials", "token", "wrong").wants(t, http.StatusSeeOther)
			settle(t, b, conn).wants(t, 200, "Drei", "does not accept the credentials", cr.RaygunApplication)
			b.post(conn+"/remove").wants(t, http.StatusSeeOther)
			b.get(hrefs[0]).wants(t, 200, "Drei and One") // what it brought stays
			if strings.Contains(s.log.String(), cr.RaygunToken) {
				t.Error("the token is in the log")
			}
		})
	}
}

// TestWhatV3DoesNotTellIsNeverNoneAndNeverSold: v3 has no ratings and no load
// times. A filter by them says so, and offers no calls for details that would
// not tell them either.
func TestWhatV3DoesNotTellIsNeverNoneAndNeverSold(t *testing.T) {
	t.Parallel()
	box, err := sandbox.Start(t.Context(), sandbox.Options{Customers: 20, Sessions: 60, Days: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	s := newSite(t, services.Vendors{RaygunURL: box.RaygunURL()})
	cr, b := box.Credentials(), s.as(t, "owner@example.com")
	at := b.post("/o/acme/settings/connections", "vendor", "raygun_v3", "name", "Three", "token", cr.RaygunToken).location
	settle(t, b, at)
	b.post(at, "application", cr.RaygunApplication).wants(t, http.StatusSeeOther)
	settle(t, b, strings.TrimSuffix(at, "/application"))
	settle(t, b, b.post("/o/acme/sessions/ask", "connection", "1", "span", "30d").location)
	b.get("/o/acme/sessions?span=30d&page=/checkout&show=figures").wants(t, 200, "may match too", "Fetch ") // details tell pages
	for _, filter := range []string{"ratings=good", "slow_ms=2000", "ratings=poor&slow_ms=2000&page=/", "user_type=paid&connection=1"} {
		page := b.get("/o/acme/sessions?span=30d&" + filter)
		page.wants(t, 200, `>Not in v3</h2>`, "Take that filter away")
		for _, wrong := range []string{">0 sessions<", "No sessions here", "may match too", "sessions/details"} {
			if strings.Contains(page.body, wrong) {
				t.Errorf("%s: the page has %q", filter, wrong)
			}
		}
	}
	// Beside v1, which tells them, only what is v3's alone is left out.
	b.post("/o/acme/settings/connections", "vendor", "raygun", "name", "One", "api_key", cr.RaygunAPIKey, "client_id", cr.RaygunClientID, "client_secret", cr.RaygunClientSecret).wants(t, http.StatusSeeOther)
	page := b.get("/o/acme/sessions?span=30d&ratings=good")
	page.wants(t, 200, "0 sessions", "gives no ratings: what came through “Three” alone is not found by them.")
	if strings.Contains(page.body, "sessions/details") {
		t.Error("details of v3 are offered for a rating")
	}
}

func TestHostileRaygunV3BreaksNoPage(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"applications": `[{"identifier":"<script>","name":"<img src=x>","apiKey":"k"},{"identifier":"a1","name":"` + strings.Repeat("x", 9000) + `"},{"name":null}]`,
		"garbage":      `{{{`,
		"no list":      `"none"`,
		"empty":        `[]`,
	}
	for name, body := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(body))
			}))
			t.Cleanup(srv.Close)
			s := newSite(t, services.Vendors{RaygunURL: srv.URL})
			b := s.as(t, "owner@example.com")
			at := b.post("/o/acme/settings/connections", "vendor", "raygun_v3", "name", "Three", "token", "t-secret", "sync", "1").location
			page := settle(t, b, at)
			page.wants(t, 200, "Ask Raygun again")
			if strings.Contains(page.body, "<img src=x>") || strings.Contains(page.body, "t-secret") {
				t.Error("hostile text or the token is on the page")
			}
			b.post(at, "application", "<script>").wants(t, 422)
			conn := strings.TrimSuffix(at, "/application")
			b.get(conn).wants(t, 200, "Waits until its application is chosen.")
			b.get("/o/acme/sessions").wants(t, 200)
			b.get("/o/acme/insight").wants(t, 200)
			b.get("/o/acme/").wants(t, 200)
			if name == "applications" {
				b.post(at, "application", "a1").wants(t, http.StatusSeeOther)
				settle(t, b, conn).wants(t, 200, "Three")
			}
		})
	}
}
