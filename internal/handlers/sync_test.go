package handlers_test

import (
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

// hidden are the hidden fields of the form that fills days.
func hidden(t *testing.T, body string) []string {
	t.Helper()
	form := regexp.MustCompile(`(?s)action="/o/acme/sessions/fill".*?</form>`).FindString(body)
	var out []string
	for _, m := range regexp.MustCompile(`type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(form, -1) {
		out = append(out, m[1], html.UnescapeString(m[2]))
	}
	if len(out) == 0 {
		t.Fatal("the page has no form to fill days")
	}
	return out
}

func TestMissingDaysAreFilledForTheNamedPrice(t *testing.T) {
	t.Parallel()
	s, sb := newSandboxSite(t, sandbox.Options{Customers: 60, Sessions: 1800, RaygunDailyLimit: 50})
	viewer, b := s.as(t, "viewer@example.com"), s.as(t, "support@example.com")
	page := b.get("/o/acme/sessions")
	page.wants(t, 200, "the mirror holds none of these days yet", "filling costs at least 7 calls", "Fill now", "7 calls, 50 left today")
	viewer.get("/o/acme/sessions").wants(t, 200, "This takes the support role.")
	fields := hidden(t, page.body)
	viewer.post("/o/acme/sessions/fill", fields...).wants(t, 403)
	before := sb.CountCalls(sandbox.OpSessions)
	a := b.post("/o/acme/sessions/fill", fields...)
	if a.status != 303 || !strings.HasPrefix(a.location, "/o/acme/sessions") {
		t.Fatalf("%d to %q", a.status, a.location)
	}
	deadline := time.Now().Add(patience)
	for {
		page = b.get(a.location + "&show=figures")
		if !strings.Contains(page.body, "Fill now") && !strings.Contains(page.body, "being filled now") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the days are never filled")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if n := sb.CountCalls(sandbox.OpSessions) - before; n > 7 || n == 0 {
		t.Errorf("%d calls, and 7 were named", n)
	}
	page.wants(t, 200, "the mirror holds", "The mirror holds all of these days of Raygun (“")
	// What is compared with days that are not here says so; Insight says what is.
	first, err := time.Parse(time.DateOnly, regexp.MustCompile(`type="date" value="([^"]*)" id="from"`).FindStringSubmatch(page.body)[1])
	if err != nil {
		t.Fatal(err)
	}
	day := func(n int) string { return first.AddDate(0, 0, n).Format(time.DateOnly) }
	held, half := "from="+day(4)+"&to="+day(6), "from="+day(3)+"&to="+day(6)
	b.get("/o/acme/sessions?show=figures&"+held).wants(t, 200, "in the 3 days before.")
	b.get("/o/acme/sessions?show=figures&"+half).wants(t, 200, "in the 4 days before, of which the mirror lacks 1 day.")
	b.get("/o/acme/insight?"+held).wants(t, 200, "Shop: the mirror holds "+services.DaySpan(first.AddDate(0, 0, 4), first.AddDate(0, 0, 6))+".", "Trends compare with the 3 days before. Page views and errors of 0 of those ", " sessions are here (0 %).")
	b.get("/o/acme/insight?"+half).wants(t, 200, "Trends compare with the 4 days before, of which the mirror lacks 1 day.")
	b.get("/o/acme/insight?from="+day(-2)+"&to="+day(6)).wants(t, 200, ", 2 days missing.")
	b.get("/o/acme/calls").wants(t, 200, "support", "sessions", "Calls a day", " by people, ", `href="/o/acme/calls/days"`)
	b.get("/o/acme/calls/days").wants(t, 200, "Numbers: Calls a day", "Numbers: Today by hour")
	b.get("/o/acme/calls?connection=1").wants(t, 200, "Line: 50 calls a day", `href="/o/acme/calls/days?connection=1"`)
	b.get("/o/acme/calls?from=tomorrow").wants(t, 422, "Give a day such as")
	b.post("/o/acme/sessions/fill", "connection", "99", "from", "0", "to", "9", "calls", "5").wants(t, 404)
	a = b.post("/o/acme/sessions/fill", append(fields[:len(fields)-2:len(fields)-2], "back", "https://elsewhere.example/o/acme/")...)
	if a.location != "/o/acme/sessions" {
		t.Errorf("leads to %q", a.location)
	}
}

func TestSyncIsSwitchedOnAndItsBudgetChecked(t *testing.T) {
	t.Parallel()
	s, _ := newSandboxSite(t, sandbox.Options{Customers: 60, Sessions: 1800, RaygunDailyLimit: 50})
	b := s.as(t, "admin@example.com")
	const here = "/o/acme/settings/connections/1"
	b.get(here).wants(t, 200, "Sync is off", "Keep the mirror fresh", "Days to hold")
	b.post(here+"/budget", "allowance", "50", "reserve", "10", "share", "many", "retention", "0").wants(t, 422, "Give a whole number from 0 (all that is not kept", "of days from 1 to 365", `value="many"`)
	if a := b.post(here+"/budget", "allowance", "50", "reserve", "10", "share", "6", "sync", "1", "retention", "30"); a.status != 303 {
		t.Fatalf("status %d", a.status)
	}
	st, err := s.services.Syncs.Status(t.Context(), s.org.ID, 1)
	for deadline := time.Now().Add(patience); err == nil && st.Newest.IsZero() && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
		st, err = s.services.Syncs.Status(t.Context(), s.org.ID, 1)
	}
	if err != nil || st.Newest.IsZero() || st.State == services.SyncOff || st.RetentionDays != 30 {
		t.Fatalf("status = %+v, %v", st, err)
	}
	b.get(here).wants(t, 200, "Newest data", "Background work at most", `value="6"`)
	b.get("/o/acme/").wants(t, 200, "Mirror", "Newest data")
	b.get("/o/acme/history").wants(t, 200, "Changed the budget")
	b.get(here).wants(t, 200, "Fetch details in the background", `name="detail_calls"`, `value="10"`)
	b.post(here+"/budget", "allowance", "50", "reserve", "10", "share", "6", "sync", "1", "retention", "30", "details", "1", "detail_calls", "few").wants(t, 422, "Give a whole number of calls from 1", `value="few"`)
	if a := b.post(here+"/budget", "allowance", "50", "reserve", "10", "share", "6", "sync", "1", "retention", "30", "details", "1", "detail_calls", "7"); a.status != 303 {
		t.Fatalf("status %d", a.status)
	}
	if st, err = s.services.Syncs.Status(t.Context(), s.org.ID, 1); err != nil || !st.Details || st.DetailCalls != 7 {
		t.Errorf("status = %+v, %v", st, err)
	}
	b.get("/o/acme/history").wants(t, 200, "7 calls a day")
	if a := b.post(here+"/budget", "allowance", "50", "reserve", "10", "share", "6", "retention", "30"); a.status != 303 {
		t.Fatalf("status %d", a.status)
	}
	b.get(here).wants(t, 200, "Sync is off")
	b.get("/o/acme/settings/connections/new?vendor=raygun").wants(t, 200, "Keep the mirror fresh", "leaves 10 to people", "checked")
}
