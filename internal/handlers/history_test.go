package handlers_test

import (
	"encoding/csv"
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

func TestHistoryIsFilteredPagedAndTakenHome(t *testing.T) {
	t.Parallel()
	box, v := vendors(t, sandbox.Options{})
	s := newSite(t, v)
	b := s.as(t, "admin@example.com")
	added := b.post(connectionsPath, "vendor", "logrocket", "name", "=Recordings<b>", "key", box.Credentials().LogRocketKey)
	if added.status != 303 {
		t.Fatal(added.status)
	}
	var me services.UserID
	members, err := s.services.People.Members(t.Context(), s.org.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if m.User.Email == "admin@example.com" {
			me = m.User.ID
		}
	}
	page := b.get("/o/acme/history")
	page.wants(t, 200, "Signed in", "Added the LogRocket connection “=Recordings&lt;b&gt;”", "Asked LogRocket for its exports", "Answered", "Before and after", "API key", "HTTP 200")
	if strings.Contains(page.body, "Recordings<b>") {
		t.Error("a name came through as markup")
	}
	b.get("/o/acme/history?kind=connection").wants(t, 200, "Added the LogRocket", "Reset")
	b.get("/o/acme/history?kind=deed").wants(t, 200, "Added the LogRocket", "Signed in")
	for path, not := range map[string]string{
		"?kind=deed":       "Asked LogRocket",
		"?kind=connection": "Signed in", "?kind=call": "Signed in", "?kind=sign_in": "Added the LogRocket",
		"?person=1": "Added the LogRocket",
		fmt.Sprintf("?person=%d&kind=sign_in", me):       "Asked LogRocket",
		"?until=2020-01-01":                              "Signed in",
		"?from=" + time.Now().UTC().Format("2006-01-02"): "Nothing matches",
	} {
		a := b.get("/o/acme/history" + path)
		a.wants(t, 200)
		if strings.Contains(a.body, not) {
			t.Errorf("%s shows %q", path, not)
		}
	}
	b.get("/o/acme/history?kind=trait").wants(t, 200, "Nothing matches these filters")
	b.get("/o/acme/history?from=yesterday").wants(t, 422, "Give a day such as", `value="yesterday"`)
	b.get("/o/acme/history?from=2026-02-02&until=2026-01-01").wants(t, 422, "before the first")
	b.get("/o/acme/history?who=nobody@example.com").wants(t, 422, "exactly this email or id")
	b.get("/o/acme/history?cursor=x").wants(t, 422, "Start again from the newest")
	b.get("/o/acme/history?customer=99").wants(t, 404)
	id := added.location[strings.LastIndex(added.location, "/")+1:]
	b.get("/o/acme/history?connection="+id).wants(t, 200, "=Recordings&lt;b&gt;", `name="connection" value="`+id+`"`)

	file := b.get("/o/acme/history.csv?kind=connection")
	file.wants(t, 200)
	if got := file.header.Get("Content-Disposition"); !strings.HasPrefix(got, `attachment; filename="history-acme-`) {
		t.Errorf("disposition %q", got)
	}
	rows, err := csv.NewReader(strings.NewReader(file.body)).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][5] != "'=Recordings<b>" || rows[1][2] != "admin@example.com" {
		t.Errorf("rows = %q, %v", rows, err)
	}
	b.get("/o/acme/history.csv?from=x").wants(t, 422)
}

func TestHistoryGoesBackPageByPage(t *testing.T) {
	t.Parallel()
	_, v := vendors(t, sandbox.Options{})
	s := newSite(t, v)
	b := s.as(t, "viewer@example.com")
	for range 120 {
		if err := s.services.History.SignedIn(t.Context(), services.User{ID: 1, Email: "owner@example.com"}); err != nil {
			t.Fatal(err)
		}
	}
	older := regexp.MustCompile(`href="([^"]*cursor=[^"]*)" rel="next"`)
	n, path := 0, "/o/acme/history?kind=sign_in"
	for range 10 {
		a := b.get(path)
		a.wants(t, 200)
		n += strings.Count(a.body, "Signed in")
		m := older.FindStringSubmatch(a.body)
		if m == nil {
			break
		}
		path = html.UnescapeString(m[1])
		if !strings.Contains(path, "kind=sign_in") {
			t.Fatalf("the next page forgets the filter: %s", path)
		}
	}
	if n != 121 {
		t.Errorf("%d entries on all pages, want 121", n)
	}
}
