package handlers_test

import (
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

// TestChartsOfCallsObeyTheFilters: of the chosen days and connection, with a way
// from a day to its calls; of a member they say that they are everybody's.
func TestChartsOfCallsObeyTheFilters(t *testing.T) {
	s, _ := newSandboxSite(t, sandbox.Options{Customers: 20, Sessions: 60})
	b := s.as(t, "support@example.com")
	b.until(b.post("/o/acme/sessions/ask", "span", "60d", "connection", "1").location, " are here.")
	today := time.Now().UTC().Format(time.DateOnly)
	all := b.get("/o/acme/calls/days")
	rows := regexp.MustCompile(`<td> ?<a href="(/o/acme/calls\?[^"]*)">[^<]*</a> ?</td> ?<td>([\d,]+)`).FindAllStringSubmatch(all.body, -1)
	if len(rows) != 30 || rows[0][2] == "0" || rows[1][2] != "0" {
		t.Fatalf("the days are %v", rows)
	}
	of := html.UnescapeString(rows[0][1])
	if ledger := b.get(of); !strings.Contains(of, "from="+today) || !strings.Contains(ledger.body, "support@example.com") {
		t.Errorf("%s has not the day's calls", of)
	}
	for query, wants := range map[string][]string{
		"until=2020-01-31":                 {"0 calls by people", "31 Jan 2020 by hour"},
		"from=2020-01-01&until=2020-01-31": {"Calls a day", "Wed 1 Jan 2020"},
		"from=2020-01-01&until=2020-03-31": {"Calls a week"},
		"from=2020-01-01":                  {"Calls a week", "Only the last 92 days are shown."},
		"connection=2":                     {"0 calls by people"}, // LogRocket's
		"connection=1":                     {"Line: 50 calls a day"},
	} {
		b.get("/o/acme/calls/days?"+query).wants(t, 200, wants...)
	}
	b.get("/o/acme/calls?person=2").wants(t, 200, "These are everybody&#39;s")
	b.get("/o/acme/calls/days?person=2&customer=3").wants(t, 200, "These are everybody&#39;s", `href="/o/acme/calls?customer=3&amp;person=2"`, `name="person" value="2"`)
	for _, path := range []string{"/o/acme/calls", "/o/acme/calls/days"} {
		future := b.get(path + "?from=2999-01-01")
		if future.wants(t, 200, "0 calls by people"); strings.Contains(future.body, "by hour</h2>") || strings.Contains(future.body, "chart-bars") {
			t.Errorf("%s draws calls of days that have not come", path)
		}
	}
	b.get("/o/acme/calls/days?from=soon").wants(t, 422, "Give a day such as", `value="soon"`)
}
