package handlers_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sightline/internal/services"
)

// TestForeignIdsBesideThePathAreNotFound names another organization's rows
// where a path cannot tell: behind the question mark and in forms. An id that
// never was gives the same answer.
func TestForeignIdsBesideThePathAreNotFound(t *testing.T) {
	t.Parallel()
	v := newStrictVendor(t, vendorForm{signIn: "POST", signedIn: 202, created: 200, kind: "application/json", moments: iso(time.RFC3339)})
	s := newSite(t, services.Vendors{RaygunURL: v.base(), LogRocketURL: v.base(), Timeout: 10 * time.Second})
	b := s.as(t, "owner@example.com")
	const connections = "/settings/connections"
	a := b.post("/o/acme"+connections, "vendor", "raygun", "name", "Shop", "api_key", strictKey, "client_id", strictClient, "client_secret", strictSecret)
	b.until(a.location, "gave out a session key")
	a = b.post("/o/acme"+connections, "vendor", "logrocket", "name", "Web", "key", strictRocket)
	b.until(a.location, "accepted the key")
	b.post("/o/acme/lookup/ask", "q", strictEmail, "connection", "1")
	b.led("/o/acme/lookup?q="+strictEmail, "/customers/")
	form := b.get("/o/acme/customers/1/traits/edit?connection=2&user=u").fields(t, "/o/acme/customers/1/traits")
	form.Set("step", "send")
	form.Set("new-key", "plan")
	form.Set("new-value", "gold")
	b.until(b.send("/o/acme/customers/1/traits", form).location, "has accepted the edit")
	a = b.post("/o/acme/highlights", "connection", "2", "by", "email", "subject", strictEmail, "range", "7d", "token", "t")
	b.until(a.location, "Strictly spoken")

	saved := b.saves("2", "Shop", "{ a }")
	b.publishes(saved)
	b.post(saved+"/schedule", "every", "week", "weekday", "1", "at", "05:00", "keep", "30")
	b.post("/o/acme/sessions/details", "connection", "1", "sessions", "1", "count", "1")
	b.until("/o/acme/details/1", "1 of 1 session")

	other, err := s.services.People.AddOrganization(t.Context(), "other", "Other")
	if err != nil {
		t.Fatal(err)
	}
	s.member(t, other, "stranger@example.com", services.Owner)
	x := s.as(t, "stranger@example.com")
	a = x.post("/o/other"+connections, "vendor", "logrocket", "name", "Theirs", "key", strictRocket)
	x.until(a.location, "accepted the key")
	a = x.post("/o/other/highlights", "connection", "3", "by", "user_id", "subject", "theirs", "range", "7d", "token", "t")
	x.until(a.location, "Strictly spoken")
	// A customer of their own, to hang foreign ids on.
	a = x.post("/o/other"+connections, "vendor", "raygun", "name", "Their shop", "api_key", strictKey, "client_id", strictClient, "client_secret", strictSecret)
	x.until(a.location, "gave out a session key")
	x.post("/o/other/lookup/ask", "q", strictEmail, "connection", "4")
	own := x.led("/o/other/lookup?q="+strictEmail, "/customers/")
	before := v.count("sessions") + v.count("session") + v.count("create") + v.count("users")

	same := func(method, format string, pairs ...string) {
		t.Helper()
		ask := func(id string) answer {
			path := strings.ReplaceAll(format, "ID", id)
			if method == http.MethodGet {
				return x.get(path)
			}
			with := make([]string, len(pairs))
			for i, p := range pairs {
				with[i] = strings.ReplaceAll(p, "ID", id)
			}
			return x.post(path, with...)
		}
		// 1 is a row of the first organization in every table.
		foreign, none := ask("1"), ask("987654")
		if foreign.status != http.StatusNotFound || none.status != http.StatusNotFound {
			t.Errorf("%s %s %v: %d with a foreign id, %d with none", method, format, pairs, foreign.status, none.status)
		}
		if strings.Contains(foreign.body, "Shop") || strings.Contains(foreign.body, "gold") {
			t.Errorf("%s %s %v shows what is not theirs", method, format, pairs)
		}
	}
	for _, path := range []string{
		"/history?customer=ID", "/history?connection=ID", "/history.csv?customer=ID", "/history.csv?connection=ID", "/calls?connection=ID",
		"/highlights?customer=ID", "/highlights?connection=ID", "/highlights/new?customer=ID", "/highlights/new?connection=ID", "/highlights/new?again=ID",
		"/insight?conn=ID", "/details/ID", "/customers/ID/watched", "/settings/connections/ID/audit",
		"/settings/audit?customer=ID", "/settings/audit?connection=ID", "/settings/audit.csv?customer=ID", "/settings/audit.json?connection=ID",
		"/graphql?connection=ID", "/graphql/schema?connection=ID", "/graphql/saved/ID", "/graphql/saved/ID/form", "/graphql/forms/ID", "/graphql/schema.json?connection=ID", "/graphql/docs?connection=ID",
		"/graphql/saved/ID/schedule", "/graphql/schedules/ID", "/graphql/schedules/ID/edit", "/graphql/schedules/ID/trend.csv", "/graphql/schedules/ID/trend.json",
		"/sessions?connection=ID", "/sessions.csv?connection=ID", "/sessions.json?connection=ID",
	} {
		same(http.MethodGet, "/o/other"+path)
	}
	for _, path := range []string{"/traits/edit?connection=ID&user=u", "/traits/edit?connection=ID", "/traits/edit?again=ID"} {
		same(http.MethodGet, own+path)
	}
	same(http.MethodPost, "/o/other/lookup/ask", "q", "grace@strict.example", "connection", "ID")
	same(http.MethodPost, "/o/other/sessions/ask", "connection", "ID", "from", "2026-01-01", "to", "2026-01-02")
	same(http.MethodPost, "/o/other/sessions/views", "name", "x", "query", "connection=ID")
	same(http.MethodPost, "/o/other/sessions/fill", "connection", "ID", "from", "1767225600", "to", "1767312000", "calls", "5")
	same(http.MethodPost, "/o/other/sessions/details", "connection", "ID", "sessions", "ID", "count", "5")
	same(http.MethodPost, "/o/other/settings/connections/ID/audit", "do", "on")
	same(http.MethodPost, "/o/other/details/ID/stop")
	same(http.MethodPost, "/o/other/details/ID/resume")
	if a := x.post("/o/other/sessions/details", "connection", "4", "sessions", "1", "count", "5"); a.status != http.StatusSeeOther {
		t.Errorf("foreign sessions through an own connection: %d", a.status)
	}
	same(http.MethodPost, "/o/other/graphql", "connection", "ID", "query", "{ a }", "do", "run", "token", "x")
	same(http.MethodPost, "/o/other/graphql", "connection", "ID", "query", "{ a }", "do", "save", "name", "x")
	same(http.MethodPost, "/o/other/graphql", "connection", "3", "query", "{ a }", "do", "run", "saved", "ID", "token", "x")
	same(http.MethodPost, "/o/other/graphql/schema", "connection", "ID")
	same(http.MethodPost, "/o/other/graphql/saved/ID/form", "title", "x", "role", "owner")
	same(http.MethodPost, "/o/other/graphql/saved/ID/form/withdraw")
	same(http.MethodPost, "/o/other/graphql/forms/ID", "token", "x")
	for _, what := range []string{"edit", "run", "watch", "pause", "resume", "delete"} {
		same(http.MethodPost, "/o/other/graphql/schedules/ID/"+what, "every", "day", "at", "05:00", "keep", "30", "token", "x")
	}
	same(http.MethodPost, "/o/other/graphql/saved/ID/schedule", "every", "day", "at", "05:00", "keep", "30")
	same(http.MethodPost, "/o/other/graphql/mutations", "connection", "ID", "role", "owner")
	same(http.MethodPost, own+"/refresh", "as", "ID:"+strictEmail)
	same(http.MethodPost, own+"/traits", "connection", "ID", "user", "u", "new-key", "a", "new-value", "b", "step", "send", "token", "x")
	same(http.MethodPost, "/o/other/highlights", "connection", "ID", "by", "email", "subject", strictEmail, "range", "7d", "token", "y")
	same(http.MethodPost, "/o/other/highlights", "connection", "3", "customer", "ID", "by", "email", "subject", strictEmail, "range", "7d", "token", "z")
	if n := v.count("sessions") + v.count("session") + v.count("create") + v.count("users"); n != before {
		t.Errorf("foreign ids made %d calls", n-before)
	}
}
