package handlers_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/services"
)

// auditor is a LogRocket with an audit log and one made-up result of
// highlights, written by hand from its documentation.
type auditor struct {
	*httptest.Server
	mu      sync.Mutex
	entries []map[string]any // oldest first, a minute apart
	refuse  int
	calls   int
}

func auditRecording(n int) string { return fmt.Sprintf("6-019d1baa-df86-7ab5-bacd-%012x", n) }

// auditAt is when the n-th entry happened: all of them on one day.
func auditAt(n int) time.Time { return time.Date(2026, 2, 3, 10, n, 0, 0, time.UTC) }

// add adds an entry; the description is a recording's unless given.
func (v *auditor) add(who, action, description string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := len(v.entries)
	if description == "" {
		description = auditRecording(n) + "/0"
	}
	v.entries = append(v.entries, map[string]any{"created_date": auditAt(n).Format(time.RFC3339), "user": who, "action": action, "description": description})
}

func (v *auditor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/highlights/"):
		_ = json.NewEncoder(w).Encode(map[string]any{"requestID": "1", "status": "COMPLETE", "result": map[string]any{
			"highlights": "She left.", "sessions": []any{map[string]any{"recordingID": auditRecording(1), "sessionID": 0, "highlights": "Here."}},
		}})
	case strings.HasSuffix(r.URL.Path, "/audit/logs/") && v.refuse != 0:
		v.calls++
		w.WriteHeader(v.refuse)
		fmt.Fprint(w, `{"message":"not in your plan"}`)
	case strings.HasSuffix(r.URL.Path, "/audit/logs/"):
		v.calls++
		from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		to := min(from+100, len(v.entries))
		_ = json.NewEncoder(w).Encode(map[string]any{"has_next": to < len(v.entries), "cursor": to, "logs": v.entries[from:to]})
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{"sessions": []any{}})
	}
}

func (v *auditor) asked() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls
}

const auditPath = "/o/acme/settings/connections/1/audit"

// newAuditor starts a site with one connection to an auditor.
func newAuditor(t *testing.T, v *auditor, follow string) (*site, *browser) {
	t.Helper()
	t.Parallel()
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	s := newSite(t, services.Vendors{LogRocketURL: v.URL, LogRocketAppURL: v.URL, Timeout: 10 * time.Second})
	b := s.as(t, "admin@example.com")
	a := b.post("/o/acme/settings/connections", "vendor", "logrocket", "name", "Web", "key", "acme:web:secret", "audit", follow)
	b.until(a.location, "accepted the key")
	return s, b
}

// rows are the cells of a page's table, without markup.
func rows(body string) []string {
	var out []string
	_, table, _ := strings.Cut(body, "<tbody>")
	table, _, _ = strings.Cut(table, "</tbody>")
	tags := regexp.MustCompile(`<[^>]*>`)
	for _, row := range strings.Split(table, "</tr>") {
		if text := strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(row, " "))), " "); text != "" {
			out = append(out, text)
		}
	}
	return out
}

func TestTheAuditLogTellsWhoWatchedWhom(t *testing.T) {
	v := &auditor{}
	v.add("noor@acme.example", "Logged in", "from the office")
	v.add("noor@acme.example", "Viewed session", "")
	v.add("Tomás@acme.example", "Viewed session", "")
	v.add("=cmd()", "<script>alert(1)</script>", "javascript:alert(1)")
	s, b := newAuditor(t, v, "1")
	b.until("/o/acme/settings/audit", "Read to its end", "4 entries")
	page := b.get("/o/acme/settings/audit")
	if got := rows(page.body); len(got) != 4 || !strings.Contains(got[0], "=cmd() <script>alert(1)</script> javascript:alert(1)") || !strings.Contains(got[1], "Tomás@acme.example Viewed session Recording") ||
		!strings.Contains(got[2], "not known") || !strings.Contains(got[3], "from the office –") {
		t.Errorf("rows %q", got)
	}
	if strings.Contains(page.body, "<script>alert") || strings.Contains(page.body, `href="javascript`) {
		t.Error("the vendor's text is markup on the page")
	}
	page.wants(t, http.StatusOK, `href="`+v.URL+"/acme/web/s/"+auditRecording(1)+`/0"`, `<option value="Logged in"`)

	// Highlights tell of the recording later: then the same entry tells whose it is.
	customer, err := s.store(t).Org(1).Resolve(t.Context(), db.Sighting{Connection: 1, Email: "ada@example.com", Name: "Ada", SeenAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	about := fmt.Sprintf("/o/acme/customers/%d", customer)
	b.get(about).wants(t, http.StatusOK, "Who watched", "tells of nobody who watched")
	b.get(about+"/watched").wants(t, http.StatusOK, "Nobody that is known of")
	a := b.post("/o/acme/highlights", "connection", "1", "by", "email", "subject", "ada@example.com", "range", "7d", "token", "t")
	b.until(a.location, "She left", "Watched by", "noor@acme.example")
	for _, path := range []string{about, about + "/watched"} {
		page := s.as(t, "viewer@example.com").get(path)
		page.wants(t, http.StatusOK, "noor@acme.example", "Viewed session", auditRecording(1)+"/0")
		if strings.Contains(page.body, "Tomás") {
			t.Errorf("%s names who watched somebody else", path)
		}
	}
	if got := rows(b.get("/o/acme/settings/audit").body); !strings.HasSuffix(got[2], "Ada") {
		t.Errorf("rows %q", got)
	}
	s.as(t, "support@example.com").get("/o/acme/settings/audit").wants(t, http.StatusForbidden)
	if page := s.as(t, "viewer@example.com").get("/o/acme/settings/connections/1"); strings.Contains(page.body, "settings/audit") || strings.Contains(page.body, "Fetch now") {
		t.Error("a viewer is offered what they may not")
	}
}

// store opens the site's database beside it.
func (s *site) store(t *testing.T) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), s.dir+"/sightline.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// allRows are the rows of a list, of all its pages.
func (b *browser) allRows(path string) (all []string) {
	for path != "" {
		page := b.get(path).body
		all = append(all, rows(page)...)
		path = ""
		if next := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(page); next != nil {
			path = html.UnescapeString(next[1])
		}
	}
	return all
}

func TestTheAuditLogIsFilteredPagedAndExported(t *testing.T) {
	v := &auditor{}
	for i := range 55 {
		v.add([]string{"a@acme.example", "b@acme.example"}[i%2], []string{"Viewed session", "Viewed session", "Logged in"}[i%3], "")
	}
	v.add("=2+2", "Viewed session", "")
	_, b := newAuditor(t, v, "1")
	b.until("/o/acme/settings/audit", "56 entries")
	const path = "/o/acme/settings/audit"
	for filter, want := range map[string]int{
		"?who=A%40ACME.example": 28, "?action=Logged+in": 18, "?who=b%40acme.example&action=Logged+in": 9, "?recording=" + auditRecording(7): 1,
		"?recording=" + auditRecording(7) + "/0": 1, "?recording=" + auditRecording(7) + "/1": 0, "?from=2026-02-03&until=2026-02-03&who=%3D2%2B2": 1,
		"?from=2026-02-04": 0, "?until=2026-02-02": 0, "?action=never+was": 0, "?connection=1&who=%3D2%2B2": 1,
	} {
		if got := b.allRows(path + filter); len(got) != want {
			t.Errorf("%s shows %d entries, want %d", filter, len(got), want)
		}
	}
	// What is typed for a customer or recording becomes a filter of its own.
	address := v.URL + "/acme/web/s/" + auditRecording(9) + "/0?t=1"
	if a := b.get(path + "?who=b%40acme.example&about=" + url.QueryEscape(address)); a.status != http.StatusSeeOther || a.location != path+"?recording="+auditRecording(9)+"%2F0&who=b%40acme.example" {
		t.Errorf("%d to %s", a.status, a.location)
	}
	b.get(path+"?about=nobody%40example.com").wants(t, http.StatusUnprocessableEntity, "no recording of LogRocket", `value="nobody@example.com"`)
	b.get(path+"?from=soon&until=2026-01-01").wants(t, http.StatusUnprocessableEntity, "Give a day such as", `value="2026-01-01"`)
	b.get(path+"?customer=99").wants(t, http.StatusNotFound)
	b.get(path+"?connection=99").wants(t, http.StatusNotFound)
	for _, file := range []string{".csv?customer=99", ".json?connection=99", ".csv?connection=99", ".json?customer=99"} {
		b.get(path+file).wants(t, http.StatusNotFound)
	}

	all := b.allRows(path)
	seen := map[string]bool{}
	for _, row := range all {
		seen[regexp.MustCompile(`…\S+`).FindString(row)] = true
	}
	if len(all) != 56 || len(seen) != 56 {
		t.Errorf("all pages hold %d entries, %d different ones", len(all), len(seen))
	}

	file := b.get(path + ".csv?action=Viewed+session")
	lines, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(file.body, "\ufeff"))).ReadAll()
	if err != nil || len(lines) != 1+38 || lines[0][2] != "who" || lines[1][2] != "'=2+2" || lines[0][0] != "time (UTC)" || lines[1][0] != "2026-02-03 10:55:00" || lines[1][5] != auditRecording(55) || lines[1][10] != "Web" {
		t.Errorf("CSV %v %d lines\n%.400s", err, len(lines), file.body)
	}
	if !strings.Contains(file.header.Get("Content-Disposition"), `audit-log-acme-`) {
		t.Error(file.header)
	}
	var objects []map[string]any
	if err := json.Unmarshal([]byte(b.get(path+".json?who=a%40acme.example").body), &objects); err != nil || len(objects) != 28 || objects[0]["who"] != "a@acme.example" || objects[0]["customers"] != nil || objects[0]["time"] != "2026-02-03T10:54:00Z" {
		t.Errorf("JSON %v %v", err, objects)
	}
	if body := b.get(path + ".json?who=nobody").body; strings.TrimSpace(body) != "[]" {
		t.Errorf("an empty file is %q", body)
	}
}

func TestFollowingIsSwitchedAndARefusalIsASentence(t *testing.T) {
	v := &auditor{refuse: http.StatusForbidden}
	v.add("noor@acme.example", "Logged in", "")
	_, b := newAuditor(t, v, "")
	connection := "/o/acme/settings/connections/1"
	b.get(connection).wants(t, http.StatusOK, "Follow LogRocket&#39;s audit log", "Not followed")
	b.get("/o/acme/settings/audit").wants(t, http.StatusOK, "No audit log is followed")
	if v.asked() != 0 {
		t.Errorf("asked %d times though it is off", v.asked())
	}
	b.post(auditPath, "do", "nothing").wants(t, http.StatusUnprocessableEntity)
	b.post(auditPath, "do", "now").wants(t, http.StatusUnprocessableEntity)

	a := b.post(auditPath, "do", "on", "back", "/o/acme/settings/audit")
	if a.status != http.StatusSeeOther || a.location != "/o/acme/settings/audit" {
		t.Fatalf("%d to %s", a.status, a.location)
	}
	b.until(a.location, "Refused", "not in your plan", "following is switched off", "Try again")
	b.get(connection).wants(t, http.StatusOK, "Refused")
	asked := v.asked()
	v.mu.Lock()
	v.refuse = 0
	v.mu.Unlock()
	if a = b.post(auditPath, "do", "now", "back", "https://elsewhere.example.com/"); a.location != connection {
		t.Errorf("led to %s", a.location)
	}
	b.until(connection, "Following", "1 entry")
	if n := v.asked() - asked; n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
	for range 2 {
		b.post(auditPath, "do", "off")
	}
	b.get(connection).wants(t, http.StatusOK, "Not followed any more", "1 entry")
	b.get("/o/acme/settings/audit").wants(t, http.StatusOK, "noor@acme.example")
	if n := strings.Count(b.get("/o/acme/history?kind=connection").body, "Switched following"); n != 2 {
		t.Errorf("%d switches in the history, want 2", n)
	}
	// The part that a waiting page asks for.
	part := b.get(auditPath, "HX-Request", "true")
	part.wants(t, http.StatusOK, `id="audit-1"`)
	if part.header.Get("HX-Refresh") != "true" || strings.Contains(part.body, "<html") {
		t.Error("the part is a whole page, or the page would wait for ever")
	}
	if a := b.get(auditPath); a.location != connection {
		t.Errorf("without htmx: %d to %s", a.status, a.location)
	}
}
