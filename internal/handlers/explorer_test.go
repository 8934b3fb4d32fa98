package handlers_test

import (
	"encoding/csv"
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

// explorerSite has 500 sessions in the mirror, some with their detail.
func explorerSite(t *testing.T) (*site, *browser) {
	t.Helper()
	s, _ := newSandboxSite(t, sandbox.Options{Customers: 60, Sessions: 1800, RaygunDailyLimit: 50})
	b := s.as(t, "support@example.com")
	a := b.post("/o/acme/sessions/ask", "span", "60d", "connection", "1")
	page := b.until(a.location, "500 are here.")
	for _, path := range listed(page.body, 6) {
		b.post(path+"/detail").wants(t, http.StatusSeeOther)
		b.until(path, "Page views with load time")
	}
	return s, b
}

// listed are the pages of the first n sessions of a list, of all if n is negative.
func listed(body string, n int) []string {
	var out []string
	for _, m := range regexp.MustCompile(`<tr><td><a href="?(sessions/\d+)`).FindAllStringSubmatch(body, n) {
		out = append(out, "/o/acme/"+m[1])
	}
	return out
}

// sessionOf is the page of the newest session on a customer's page, empty without
// any.
func sessionOf(body string) string {
	m := regexp.MustCompile(`href="?\.\.(/sessions/\d+)`).FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return "/o/acme" + m[1]
}

// titleOf is the heading of the list: how many there are.
func titleOf(t *testing.T, body string) string {
	t.Helper()
	m := regexp.MustCompile(`<h2>([^<]* sessions?)<`).FindStringSubmatch(body)
	if m == nil {
		t.Fatal("the list says nowhere how many there are")
	}
	return m[1]
}

func TestFiltersCombineAndStandInTheAddress(t *testing.T) {
	t.Parallel()
	_, b := explorerSite(t)
	all := b.get("/o/acme/sessions?span=60d&show=figures")
	all.wants(t, 200, "500 sessions", "Sessions a week by rating", "Numbers: Sessions a week by rating", "the mirror holds", "Save view")
	if strings.Contains(all.body, "Clear all") || strings.Contains(all.body, `class="filter-more" open`) {
		t.Error("without a filter there is something to clear, or the rest is open")
	}
	two := b.get("/o/acme/sessions?span=60d&countries=NZ&countries=us&browsers=Chrome&state=ended")
	two.wants(t, 200, "Remove Country New Zealand", "Remove Country United States", "Remove Browser Chrome", "Remove State ended", "Clear all",
		"Raygun cannot be asked for browser or state", `name="countries" value="NZ"`, `name="countries" value="US"`, `name="browsers" value="Chrome"`, `value="ended" selected`)
	b.get("/o/acme/sessions?span=60d&browsers=Chrome&show=figures").wants(t, 200, `class="filter-more" open`, `value="Chrome" checked`)
	if strings.Contains(two.body, "Ask Raygun") || strings.Contains(two.body, "Ask again") {
		t.Error("Raygun is offered a question that it cannot be asked")
	}
	// The cross takes one value away and leaves the others.
	m := regexp.MustCompile(`chip-x icon-x" href="([^"]*)"><span class="sr-only">Remove Country New Zealand`).FindStringSubmatch(two.body)
	if m == nil {
		t.Fatal("no cross for New Zealand")
	}
	left, err := url.Parse(html.UnescapeString(m[1]))
	if err != nil || left.Query().Get("countries") != "US" || left.Query().Get("browsers") != "Chrome" || left.Query().Get("span") != "60d" {
		t.Errorf("the cross leads to %v %v", left, err)
	}
	// A form sends its empty fields too: the address is cleaned, and the range
	// that was chosen by name keeps its name.
	day := func(name string) string {
		return regexp.MustCompile(`type="date" value="([^"]*)" id="` + name + `"`).FindStringSubmatch(all.body)[1]
	}
	sent := b.get("/o/acme/sessions?" + url.Values{"span": {"60d"}, "from": {day("from")}, "to": {day("to")}, "email": {""}, "countries": {"NZ", ""}, "slow_ms": {""}, "people": {""}}.Encode())
	if want := "/o/acme/sessions?countries=NZ&span=60d"; sent.status != http.StatusSeeOther || sent.location != want {
		t.Errorf("%d to %q, want %q", sent.status, sent.location, want)
	}
	b.get("/o/acme/sessions?span=60d&ratings=poor&errors=with").wants(t, 200, "come with a session&#39;s detail", "have none here and may match too")
	b.get("/o/acme/sessions?span=60d&email=nobody%40nowhere.example").wants(t, 200, "No sessions here", "Take a filter away")
	b.get("/o/acme/sessions?from=2020-01-01&to=2020-01-02&state=active").wants(t, 200, "No sessions here")
	b.post("/o/acme/sessions/ask", "span", "60d", "connection", "1", "state", "ended").wants(t, 422, "Raygun cannot be asked for state")
}

func TestWrongFiltersComeBackAsTypedWithASentence(t *testing.T) {
	t.Parallel()
	_, b := explorerSite(t)
	for _, c := range []struct{ query, sentence, typed string }{
		{"slow_ms=fast", "Give the load time in milliseconds", `value="fast"`},
		{"slow_ms=-1", "Give the load time in milliseconds", `value="-1"`},
		{"people=robots", "is not a choice here", ""},
		{"state=gone", "is not a choice here", ""},
		{"ratings=superb", "is not a choice here", ""},
		{"countries=NZL", "not a country code", `value="NZL"`},
		{"errors=without&error_text=TypeError", "A session without errors has none", `value="TypeError"`},
		{"email=" + strings.Repeat("x", 2000), "an email has at most", ""},
		{"page=" + url.QueryEscape("<script>") + "&from=soon", "Write the day like", `value="&lt;script&gt;"`},
	} {
		a := b.get("/o/acme/sessions?" + c.query)
		a.wants(t, 422, c.sentence, "your attention", c.typed)
		for _, file := range []string{"csv", "json"} {
			if f := b.get("/o/acme/sessions." + file + "?" + c.query); f.status != 422 || f.header.Get("Content-Disposition") != "" {
				t.Errorf("%s?%.40s: %d", file, c.query, f.status)
			}
		}
	}
}

func TestFilesHoldWhatThePageShows(t *testing.T) {
	t.Parallel()
	s, b := explorerSite(t)
	for _, query := range []string{"span=60d", "span=60d&countries=US,NZ", "span=60d&ratings=poor&ratings=good&ratings=average&ratings=excellent", "span=60d&state=ended&columns=person,email,length,errors", "from=2020-01-01&to=2020-01-02"} {
		title := "0 sessions"
		if page := b.get("/o/acme/sessions?show=figures&" + query); !strings.Contains(page.body, "No sessions here") {
			title = titleOf(t, page.body)
		}
		file := b.get("/o/acme/sessions.csv?" + query)
		file.wants(t, 200)
		if !strings.HasPrefix(file.body, "\ufeffid,started (UTC),person") || !strings.Contains(file.body, "\r\n") {
			t.Errorf("%s begins with %.60q", query, file.body)
		}
		if name := file.header.Get("Content-Disposition"); !regexp.MustCompile(`^attachment; filename="sessions-acme-\d{4}-\d\d-\d\d-\d{4}-\d\d-\d\d.csv"$`).MatchString(name) {
			t.Errorf("the file is called %q", name)
		}
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(file.body, "\ufeff"))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var objects []map[string]any
		if err := json.Unmarshal([]byte(b.get("/o/acme/sessions.json?"+query).body), &objects); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if got := strings.ReplaceAll(title, ",", ""); fmt.Sprintf("%d sessions", len(rows)-1) != got && fmt.Sprintf("%d session", len(rows)-1) != got || len(objects) != len(rows)-1 {
			t.Errorf("%s: the page says %s, the CSV has %d, the JSON %d", query, title, len(rows)-1, len(objects))
		}
		for i, o := range objects {
			for j, heading := range rows[0] {
				key, moment := strings.CutSuffix(heading, " (UTC)")
				want := ""
				if o[key] != nil {
					want = services.EscapeCell(fmt.Sprint(o[key]))
				}
				if n, ok := o[key].(float64); ok {
					want = fmt.Sprintf("%.0f", n)
				}
				if moment { // a spreadsheet takes RFC 3339 for text
					at, err := time.Parse(time.RFC3339, want)
					if err != nil {
						t.Fatal(err)
					}
					want = at.Format(time.DateTime)
				}
				if rows[i+1][j] != want {
					t.Fatalf("%s: row %d has %s %q in the CSV and %v in the JSON", query, i, key, rows[i+1][j], o[key])
				}
			}
		}
	}
	if page := b.get("/o/acme/sessions?span=60d&columns=length,nonsense,person"); strings.Contains(page.body, "<th>Browser") || !strings.Contains(page.body, "<th>Length") {
		t.Error("the columns are not those that were chosen")
	}
	s.as(t, "viewer@example.com").get("/o/acme/sessions.csv?span=60d").wants(t, 200)
	other, err := s.services.People.AddOrganization(t.Context(), "other", "Other")
	if err != nil {
		t.Fatal(err)
	}
	s.member(t, other, "eve@example.com", services.Owner)
	eve := s.as(t, "eve@example.com")
	eve.get("/o/acme/sessions.csv").wants(t, 404)
	if a := eve.get("/o/other/sessions.json?span=60d"); a.body != "[]\n" {
		t.Errorf("a stranger's file is %.80q", a.body)
	}
}

func TestViewsAreSavedOpenedSharedAndDeleted(t *testing.T) {
	t.Parallel()
	s, b := explorerSite(t)
	viewer := s.as(t, "viewer@example.com")
	query := "countries=US&span=60d"
	a := b.post("/o/acme/sessions/views", "name", "  From the <US>  ", "query", query, "columns", "started,person,length", "default", "1")
	if want := "/o/acme/sessions?columns=started%2Cperson%2Clength&countries=US&span=60d&view=1"; a.status != http.StatusSeeOther || a.location != want {
		t.Fatalf("%d to %q, want %q", a.status, a.location, want)
	}
	page := b.get(a.location)
	page.wants(t, 200, `data-focus>From the &lt;US&gt;</h1>`, "is saved, and Sessions opens with it.", "<th>Length", "Remove Country United States")
	b.get(a.location+"&show=views").wants(t, 200, "<details class=\"pop to-end\" open>", "Mine", "From the &lt;US&gt;")
	if strings.Contains(page.body, "Changed since it was saved") {
		t.Error("the view differs from itself")
	}
	// Without a parameter the default opens; "all sessions" gets out of it.
	if got := b.get("/o/acme/sessions"); got.status != http.StatusSeeOther || got.location != a.location {
		t.Errorf("%d to %q, want the default view", got.status, got.location)
	}
	b.get("/o/acme/sessions?span=7d&show=views").wants(t, 200, "All sessions")
	viewer.get("/o/acme/sessions").wants(t, 200)

	// Another filter on top of it can be kept in it, or undone.
	b.get(a.location+"&browsers=Chrome").wants(t, 200, "Changed since it was saved.", "Save changes", "Undo them")
	b.post("/o/acme/sessions/views/1", "query", query+"&browsers=Chrome", "columns", "").wants(t, http.StatusSeeOther)
	if got := b.get("/o/acme/sessions").location; !strings.Contains(got, "browsers=Chrome") || strings.Contains(got, "columns=") {
		t.Errorf("the view is %q", got)
	}

	// Names are checked, and what was typed stays.
	b.post("/o/acme/sessions/views", "name", " ", "query", query).wants(t, 422, "Give the view a name.", `name="query"`)
	b.post("/o/acme/sessions/views", "name", "From the <US>", "query", query).wants(t, 422, "a view of this name already", `value="From the &lt;US&gt;"`)
	b.post("/o/acme/sessions/views", "name", "x", "query", "from=soon").wants(t, 422, "Write the day like")
	b.post("/o/acme/sessions/views/1/name", "name", strings.Repeat("x", 200)).wants(t, 422, "That is too long")
	b.post("/o/acme/sessions/views/1/name", "name", "Americans").wants(t, http.StatusSeeOther)

	// One's own is nobody else's; the organization's is changed from support up.
	viewer.get("/o/acme/sessions/views").wants(t, 200, "No saved views yet")
	viewer.post("/o/acme/sessions/views/1/delete").wants(t, 404)
	viewer.post("/o/acme/sessions/views", "name", "All", "query", query, "shared", "1").wants(t, 403)
	b.post("/o/acme/sessions/views", "name", "All of ours", "query", "span=30d", "shared", "1").wants(t, http.StatusSeeOther)
	viewer.get("/o/acme/sessions/views").wants(t, 200, "All of ours", "Make default", "The role support and above change it")
	viewer.post("/o/acme/sessions/views/2/name", "name", "Mine").wants(t, 403)
	viewer.post("/o/acme/sessions/views/2/default").wants(t, http.StatusSeeOther)
	if got := viewer.get("/o/acme/sessions").location; !strings.Contains(got, "view=2") {
		t.Errorf("the viewer begins with %q", got)
	}
	viewer.post("/o/acme/sessions/views/0/default").wants(t, http.StatusSeeOther)
	viewer.get("/o/acme/sessions").wants(t, 200)
	b.post("/o/acme/sessions/views/1/delete").wants(t, http.StatusSeeOther)
	b.get("/o/acme/sessions").wants(t, 200)
	b.post("/o/acme/sessions/views/1/default").wants(t, 404)
}

// TestViewsIncludeConnectionsToCome saves a view while there is one connection
// and looks at it when there are two.
func TestViewsIncludeConnectionsToCome(t *testing.T) {
	t.Parallel()
	s, sb := newSandboxSite(t, sandbox.Options{})
	b := s.as(t, "support@example.com")
	asked := b.post("/o/acme/sessions/ask", "span", "60d", "connection", "1")
	b.until(asked.location, "500 are here.").wants(t, 200, `name="connection" value="1"`)
	b.get(asked.location+"&show=save").wants(t, 200, `name="query" value="span=60d"`)
	saved := b.post("/o/acme/sessions/views", "name", "All", "query", "connection=1&span=60d")
	if strings.Contains(asked.location+saved.location, "connection") {
		t.Errorf("a connection that nobody chose stands in %s or %s", asked.location, saved.location)
	}
	b.get(saved.location).wants(t, 200, "“All” is saved")
	k := sb.Credentials()
	s.as(t, "owner@example.com").post("/o/acme/settings/connections", "vendor", "raygun", "name", "Second",
		"api_key", k.RaygunAPIKey, "client_id", k.RaygunClientID, "client_secret", k.RaygunClientSecret).wants(t, http.StatusSeeOther)
	both := b.get(saved.location)
	both.wants(t, 200, "This is what the mirror holds of all connections.")
	if strings.Contains(both.body, "Remove Connection Shop") || strings.Contains(both.body, "Changed since it was saved") {
		t.Error("the view leaves the second connection out, or differs from itself")
	}
	// One that was chosen stays chosen.
	b.get("/o/acme/sessions?span=60d&connection=1").wants(t, 200, "Remove Connection Shop")
	b.get("/o/acme/sessions?span=60d&connection=1&show=save").wants(t, 200, `name="query" value="connection=1&amp;span=60d"`)
}

// TestWhatARemovedConnectionBroughtIsStillFound: its sessions stay in the
// mirror and in Insight's figures, so these and views of it lead to them.
func TestWhatARemovedConnectionBroughtIsStillFound(t *testing.T) {
	t.Parallel()
	s, sb := newSandboxSite(t, sandbox.Options{Customers: 20, Sessions: 60})
	owner, k := s.as(t, "owner@example.com"), sb.Credentials()
	found := owner.until(owner.post("/o/acme/sessions/ask", "span", "60d", "connection", "1").location, " are here.")
	brought := titleOf(t, found.body)
	owner.post("/o/acme/settings/connections", "vendor", "raygun", "name", "Second",
		"api_key", k.RaygunAPIKey, "client_id", k.RaygunClientID, "client_secret", k.RaygunClientSecret).wants(t, http.StatusSeeOther)
	view := owner.post("/o/acme/sessions/views", "name", "Old", "query", "connection=1&span=60d").location
	owner.post("/o/acme/settings/connections/1/remove").wants(t, http.StatusSeeOther)
	b := s.as(t, "viewer@example.com")
	for _, path := range []string{view, "/o/acme/sessions?span=60d&connection=1", "/o/acme/sessions?span=60d&connection=all"} {
		page := owner.get(path)
		page.wants(t, 200, "Shop (removed)")
		if got := titleOf(t, page.body); got != brought {
			t.Errorf("%s has %s, not the %s that the removed connection brought", path, got, brought)
		}
		if path != view {
			b.get(path).wants(t, 200)
		}
	}
	owner.get(view).wants(t, 200, "This connection was removed.")
	for _, conn := range []string{"", "&conn=1"} {
		figures := owner.get("/o/acme/insight/countries?span=90d" + conn)
		m := regexp.MustCompile(`href="([^"]*/sessions\?[^"]*countries=[^"]*)">([^<]*)</a><td>([\d,]+)<td>`).FindStringSubmatch(figures.body)
		if m == nil {
			t.Fatal("no country leads to its sessions")
		}
		if got := strings.Fields(titleOf(t, owner.get(html.UnescapeString(m[1])).body))[0]; got != m[3] {
			t.Errorf("%s%s is %s on the page of figures and %s behind it", m[2], conn, m[3], got)
		}
	}
	owner.post("/o/acme/sessions/ask", "span", "60d", "connection", "1").wants(t, http.StatusNotFound)
	owner.get("/o/acme/sessions?connection=2").wants(t, 422, "no such Raygun connection") // LogRocket's
}

// Whoever asks Raygun comes back to the columns and the view that were open.
func TestAskingComesBackToColumnsAndView(t *testing.T) {
	t.Parallel()
	s, _ := newSandboxSite(t, sandbox.Options{Customers: 5, Sessions: 20, RaygunDailyLimit: 50})
	b := s.as(t, "support@example.com")
	view := b.post("/o/acme/sessions/views", "name", "Mine", "query", "span=30d", "columns", "started,country")
	id := regexp.MustCompile(`view=(\d+)`).FindStringSubmatch(view.location)
	if id == nil {
		t.Fatalf("a saved view leads to %q", view.location)
	}
	page := b.get("/o/acme/sessions?span=30d&connection=1&columns=started,country&show=figures&view=" + id[1])
	form := page.fields(t, "/o/acme/sessions/ask")
	if form.Get("columns") != "started,country" || form.Get("view") != id[1] {
		t.Errorf("the form asks with %v", form)
	}
	asked := b.post("/o/acme/sessions/ask", "span", "30d", "connection", "1", "columns", "started,country", "view", id[1])
	for _, kept := range []string{"columns=started%2Ccountry", "view=" + id[1], "span=30d"} {
		if !strings.Contains(asked.location, kept) {
			t.Errorf("asking leads to %q, without %s", asked.location, kept)
		}
	}
	b.until(asked.location, " are here.")
}

// TestABarLeadsToExactlyTheSessionsThatItCounts: a day that the range begins in
// the middle of cannot be named by dates, and who is of a type was asked for
// this range alone; neither pretends to lead anywhere.
func TestABarLeadsToExactlyTheSessionsThatItCounts(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(24 * time.Hour).Add(39*time.Hour + 30*time.Minute)
	s, _ := newSandboxSite(t, sandbox.Options{Customers: 60, Sessions: 3000, Days: 4, RaygunDailyLimit: 50, Now: func() time.Time { return now }})
	b := s.as(t, "support@example.com")
	b.until(b.post("/o/acme/sessions/ask", "span", "7d", "connection", "1").location, " are here.")
	b.until(b.post("/o/acme/sessions/ask", "span", "7d", "connection", "1", "next", "1").location, " are here.")
	b.until(b.post("/o/acme/sessions/ask", "span", "7d", "connection", "1", "user_type", "registered").location, " are here.")
	row := regexp.MustCompile(`<td> ?(?:<a href="(\?[^"]*)">)?([A-Z][a-z]{2} \d[^<]*)(?:</a>)? ?</td> ?<td[^>]*>([\d,]+)`)
	for _, query := range []string{"span=24h", "span=7d", "span=24h&people=known", "span=7d&state=ended"} {
		page := b.get("/o/acme/sessions?show=figures&" + query)
		page.wants(t, 200, "Numbers: Sessions a day")
		rows := row.FindAllStringSubmatch(page.body, -1)
		if len(rows) < 2 {
			t.Fatalf("%s: the chart has the days %v", query, rows)
		}
		for i, m := range rows { // the newest first
			if i == len(rows)-1 && strings.HasPrefix(query, "span=24h") {
				if m[1] != "" || !strings.HasSuffix(m[2], " from 15:00") {
					t.Errorf("%s: %q leads to %q", query, m[2], m[1])
				}
				continue
			}
			if behind := b.get("/o/acme/sessions" + html.UnescapeString(m[1]) + "&show=figures"); m[3] != "0" && strings.Fields(titleOf(t, behind.body))[0] != m[3] {
				t.Errorf("%s: %s has %s and %s behind it", query, m[2], m[3], titleOf(t, behind.body))
			}
		}
	}
	typed := b.get("/o/acme/sessions?span=7d&connection=1&user_type=registered&show=figures")
	if rows := row.FindAllStringSubmatch(typed.body, -1); len(rows) < 2 || rows[0][1] != "" {
		t.Errorf("days of a type of user: %v", rows)
	}
}

func TestFiguresLeadToTheSessionsBehindThem(t *testing.T) {
	t.Parallel()
	_, b := explorerSite(t)
	const figures, days = "/o/acme/insight", "?span=60d&from=&to="
	// Errors come with details: fetch more, until one has an error.
	for _, path := range listed(b.get("/o/acme/sessions?span=60d").body, 40)[6:] {
		if strings.Contains(b.get(figures+days).body, "error_text=") {
			break
		}
		b.post(path+"/detail").wants(t, http.StatusSeeOther)
		b.until(path, "Page views with load time")
	}
	page := html.UnescapeString(b.get(figures + days).body)
	tables := page
	for _, topic := range []string{"days", "errors", "countries", "browsers", "systems"} {
		tables += html.UnescapeString(b.get(figures + "/" + topic + days).body)
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`<td><a href="?([^">]*)"?>([^<]*)</a>(?:<small>[^<]*</small>)?<td>([\d,]+)<td><svg`).FindAllStringSubmatch(tables, -1) {
		u, err := url.Parse(m[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"countries", "browsers", "systems", "ratings", "error_text"} {
			if !u.Query().Has(key) || seen[key] {
				continue
			}
			seen[key] = true
			list := b.get(m[1] + "&show=figures")
			if got := strings.Fields(titleOf(t, list.body))[0]; got != m[3] {
				t.Errorf("%s is %s on the page of figures and %s behind it (%s)", m[2], m[3], got, m[1])
			}
		}
	}
	for _, key := range []string{"countries", "browsers", "systems", "ratings", "error_text"} {
		if !seen[key] {
			t.Errorf("no figure leads to sessions by %s", key)
		}
	}
	for _, label := range []string{"Sessions", "With errors", "Anonymous", "Rated Excellent or Good"} {
		m := regexp.MustCompile(`<a class="link" href="([^"]*)">` + label + `</a> ?</dt>(.{0,200}?)</dd> ?<dd class="figure-hint">([\d,]+ )?`).FindStringSubmatch(page)
		if m == nil {
			t.Errorf("%s leads nowhere", label)
			continue
		}
		if label == "Sessions" {
			m[3] = regexp.MustCompile(`[\d,]+`).FindString(m[2])
		}
		if list := b.get(m[1] + "&show=figures"); strings.Fields(titleOf(t, list.body))[0] != strings.TrimSpace(m[3]) {
			t.Errorf("%s is %s on the page of figures and %s behind it (%s)", label, m[3], titleOf(t, list.body), m[1])
		}
	}
	if m := regexp.MustCompile(`<td><a href="([^"]*page=[^"]*)">`).FindStringSubmatch(page); m == nil {
		t.Error("no page leads to its sessions")
	} else if list := b.get(m[1]); strings.Contains(list.body, "No sessions here") {
		t.Errorf("no session behind %s", m[1])
	}
}

// TestWhatComesLaterIsAPartOrAPage asks for what the explorer leaves out at first:
// as a part alone, where the script puts it, and as the page with it.
func TestWhatComesLaterIsAPartOrAPage(t *testing.T) {
	_, b := explorerSite(t)
	const path = "/o/acme/sessions?span=60d&state=ended"
	first := b.get(path)
	first.wants(t, 200, `data-later="now"`, "the mirror holds", `value="ended" selected`)
	for show, want := range map[string][]string{
		"figures":   {"Numbers: Sessions", `data-title="`, "Fetch newest", "Fill 43 days"},
		"views":     {"Manage views", "All sessions"},
		"save":      {`name="query" value="span=60d&amp;state=ended"`, "Open Sessions with it"},
		"columns":   {"Show these", `value="city"`},
		"filters":   {`value="Chrome"`, `name="user_type"`, `class="filter-more" open`, `value="ended" selected`},
		"countries": {`value="NZ"`, "Others, by code", `class="pop pick" open`},
		"browsers":  {`value="Chrome"`, `class="filter-more" open`, `class="pop pick" open`},
	} {
		for _, text := range want {
			if strings.Contains(first.body, text) && show != "filters" {
				t.Errorf("the first answer holds %s already", text)
			}
		}
		part := b.get(path+"&show="+show, "HX-Request", "true", "HX-Request-Type", "partial")
		part.wants(t, 200, want...)
		if strings.Contains(part.body, "<main") || len(part.body) > 9000 {
			t.Errorf("%s comes with more than itself, %d bytes", show, len(part.body))
		}
		b.get(path+"&show="+show).wants(t, 200, append(want[1:], "<main")...)
	}
	b.get(path+"&show=nonsense").wants(t, 200, `data-later="now"`)
	// What was typed comes along, wrong or not, and is complained of when it is sent.
	typed := b.get("/o/acme/sessions?span=60d&from=&to=&email=x%22y&slow_ms=fast&show=filters", "HX-Request", "true", "HX-Request-Type", "partial")
	if typed.status == http.StatusSeeOther {
		typed = b.get(typed.location, "HX-Request", "true", "HX-Request-Type", "partial")
	}
	typed.wants(t, 200, `value="x&#34;y"`, `value="fast"`)
	if strings.Contains(typed.body, "Give the load time") {
		t.Error("what nobody has sent is complained of")
	}
	// Without script the buttons send the form, of which the empty fields go.
	sent := b.get("/o/acme/sessions?span=60d&from=&to=&email=&state=ended&show=countries")
	if want := "/o/acme/sessions?show=countries&span=60d&state=ended"; sent.status != http.StatusSeeOther || sent.location != want {
		t.Errorf("%d to %q", sent.status, sent.location)
	}
}

// What the explorer's addresses say stays what was chosen, however odd what else
// stands in them.
func TestTheExplorersAddressesSayWhatWasChosen(t *testing.T) {
	t.Parallel()
	_, b := explorerSite(t)
	today := time.Now().UTC()
	day := func(ago int) string { return today.AddDate(0, 0, -ago).Format(time.DateOnly) }
	for _, tt := range []struct{ query, to string }{
		// The days of a range are in the form's fields beside it.
		{"span=7d&from=" + day(6) + "&to=" + day(0) + "&email=ada", "email=ada&span=7d"},
		{"span=7d&from=" + day(5) + "&to=" + day(0), "from=" + day(5) + "&to=" + day(0)},
		{"span=7d&show=", "span=7d"},
		{"span=7d&show=nothing&email=", "span=7d"},
	} {
		if a := b.get("/o/acme/sessions?" + tt.query); a.status != http.StatusSeeOther || a.location != "/o/acme/sessions?"+tt.to {
			t.Errorf("%s: %d to %q, want %s", tt.query, a.status, a.location, tt.to)
		}
	}
	// With a filter that is wrong the saved views are the way out.
	b.get("/o/acme/sessions?from="+day(0)+"&to="+day(3)[:8]+"x&show=views", "HX-Request", "true", "HX-Request-Type", "partial").
		wants(t, http.StatusOK, `<details class="pop to-end" open>`)
}
