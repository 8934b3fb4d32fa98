package handlers_test

import (
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// anAlert is LogRocket's example with the addresses given.
func anAlert(label, issue, screenshot string) string {
	return fmt.Sprintf(`{"type":"IssuesAlert","appID":"foo/bar","title":"New Severe Issues","issue":{"issueType":"EXCEPTION","url":%q,`+
		`"firstSeen":1746809383,"sessionCount":10,"sessionRate":"1.2","label":%q,"issueDescription":"Users get an error and are logged out","screenshotUrl":%q}}`,
		issue, label, screenshot)
}

// alertAddress makes an address for the alerts of connection 1.
func alertAddress(t *testing.T, s *site, b *browser) string {
	t.Helper()
	a := b.post("/o/acme/settings/connections/1/alerts", "do", "new")
	found := regexp.MustCompile(`value="(` + regexp.QuoteMeta(s.URL) + `/webhooks/logrocket/[A-Za-z0-9_-]{43})"`).FindStringSubmatch(a.body)
	if a.status != http.StatusOK || found == nil {
		t.Fatalf("no address: %d\n%s", a.status, a.body)
	}
	return found[1]
}

func TestIssueAlertsAreKeptAndListed(t *testing.T) {
	v := &reporter{}
	s := newReporter(t, v)
	b := s.as(t, "owner@example.com")
	address := alertAddress(t, s, b)
	secret := address[strings.LastIndex(address, "/")+1:]
	for _, page := range []string{"/o/acme/settings/connections/1", "/o/acme/alerts", "/o/acme/history"} {
		if strings.Contains(b.get(page).body, secret) {
			t.Errorf("%s shows the address again", page)
		}
	}

	first := anAlert("TypeError: title", v.URL+"/acme/web/issues/1", v.URL+"/shot.png")
	for range 3 {
		if status := report(t, address, first); status != http.StatusNoContent {
			t.Fatalf("an alert was answered with %d", status)
		}
	}
	second := anAlert(`<script>alert(1)</script>`, "javascript:alert(1)", "https://elsewhere.example.com/shot.png")
	if status := report(t, address, second); status != http.StatusNoContent {
		t.Fatalf("an alert was answered with %d", status)
	}
	report(t, address, "not an alert \x00\xff")
	report(t, address, strings.Repeat("[", 200_000))

	body := b.get("/o/acme/alerts").body
	order := []string{"Not an alert as LogRocket writes them", html.EscapeString(`<script>alert(1)</script>`), "TypeError: title"}
	at := 0
	for _, text := range order {
		i := strings.Index(body[at:], text)
		if i < 0 {
			t.Fatalf("%q is not on the page, or not in its place:\n%s", text, body)
		}
		at += i
	}
	for _, want := range []string{`href="` + v.URL + `/acme/web/issues/1"`, `href="` + v.URL + `/shot.png"`, "sent 3 times", "Users get an error", "rate 1.2", "2025-05-09"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{"<script>alert", `href="javascript`, `href="https://elsewhere`} {
		if strings.Contains(body, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
	if n := strings.Count(b.get("/o/acme/alerts?connection=1").body, "As sent"); n != 4 {
		t.Errorf("%d alerts of the connection, want 4", n)
	}
	if a := b.get("/o/acme/alerts?connection=99"); a.status != http.StatusNotFound {
		t.Errorf("alerts of a connection that is not here: %d", a.status)
	}
	if strings.Contains(s.log.String(), secret) {
		t.Error("the log has the address's secret")
	}
}

func TestManyIssueAlertsArePaged(t *testing.T) {
	v := &reporter{}
	s := newReporter(t, v)
	b := s.as(t, "owner@example.com")
	address := alertAddress(t, s, b)
	for i := range 53 {
		report(t, address, anAlert(fmt.Sprintf("issue %03d.", i), "", ""))
	}
	first := b.get("/o/acme/alerts").body
	older := regexp.MustCompile(`href="(/o/acme/alerts\?before=[^"]+)"`).FindStringSubmatch(first)
	if older == nil {
		t.Fatal("no way to older alerts")
	}
	second := b.get(html.UnescapeString(older[1])).body
	for i := range 53 {
		label := fmt.Sprintf("issue %03d.", i)
		if strings.Contains(first, label) == strings.Contains(second, label) {
			t.Errorf("%q is on both pages or none", label)
		}
	}
}

func TestAddressForAlertsIsTheOnlyKey(t *testing.T) {
	v := &reporter{}
	s := newReporter(t, v)
	b := s.as(t, "owner@example.com")
	old := alertAddress(t, s, b)
	files, err := filepath.Glob(filepath.Join(s.dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if data, err := os.ReadFile(f); err == nil && strings.Contains(string(data), old[strings.LastIndex(old, "/")+1:]) {
			t.Errorf("%s has the address's secret", f)
		}
	}
	if status := report(t, old, strings.Repeat("x", 10<<20)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("10 MB were answered with %d", status)
	}
	if body := b.get("/o/acme/alerts").body; !strings.Contains(body, "No alerts here") {
		t.Error("what was too long was kept")
	}

	address := alertAddress(t, s, b)
	if status := report(t, old, anAlert("late", "", "")); status != http.StatusNotFound {
		t.Errorf("the old address answers with %d", status)
	}
	if status := report(t, address, anAlert("in time", "", "")); status != http.StatusNoContent {
		t.Errorf("the new address answers with %d", status)
	}
	b.post("/o/acme/settings/connections/1/alerts", "do", "close")
	if status := report(t, address, anAlert("later", "", "")); status != http.StatusNotFound {
		t.Errorf("a closed address answers with %d", status)
	}
	address = alertAddress(t, s, b)
	b.post("/o/acme/settings/connections/1/remove")
	if status := report(t, address, anAlert("latest", "", "")); status != http.StatusNotFound {
		t.Errorf("a removed connection's address answers with %d", status)
	}
	if a := b.post("/o/acme/settings/connections/1/alerts", "do", "new"); a.status != http.StatusConflict {
		t.Errorf("a new address for a removed connection: %d", a.status)
	}
	if body := b.get("/o/acme/alerts").body; strings.Count(body, "As sent") != 1 || !strings.Contains(body, "in time") {
		t.Error("not only what came in time was kept")
	}
	if body := b.get("/o/acme/history").body; strings.Count(body, "new address for issue alerts") < 3 || !strings.Contains(body, "Closed the address") {
		t.Error("the history does not tell of the addresses")
	}
}

func TestAlertThatNeverEndsIsNotKept(t *testing.T) {
	v := &reporter{}
	s := newReporter(t, v)
	b := s.as(t, "owner@example.com")
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{", strings.TrimPrefix(alertAddress(t, s, b), s.URL))
	answer, err := io.ReadAll(c) // the server hangs up
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
		t.Errorf("an alert that never ends: %q, %v", answer, err)
	}
	if !strings.Contains(b.get("/o/acme/alerts").body, "No alerts here") {
		t.Error("it was kept")
	}
}
