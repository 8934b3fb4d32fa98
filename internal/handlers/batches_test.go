package handlers_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

// galileo is a LogRocket that counts the requests for each email, answers each
// with text, and fails as a test says.
type galileo struct {
	*httptest.Server
	mu    sync.Mutex
	posts map[string]int
	asked []string // emails by request id
	text  func(email string) string
	fail  func(email string) (status int, retryAfter string)
	hold  bool // nothing is ready
}

func (v *galileo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPost {
		var body struct{ UserEmail, Question string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		v.posts[body.UserEmail]++
		if v.fail != nil {
			if status, after := v.fail(body.UserEmail); status != 0 {
				if after != "" {
					w.Header().Set("Retry-After", after)
				}
				w.WriteHeader(status)
				_, _ = w.Write([]byte(`{"error":"as the test says"}`))
				return
			}
		}
		v.asked = append(v.asked, body.UserEmail)
		_ = json.NewEncoder(w).Encode(map[string]any{"requestID": fmt.Sprint(len(v.asked)), "status": "PENDING"})
		return
	}
	id := r.URL.Query().Get("id")
	answer := map[string]any{"requestID": id, "status": "PENDING"}
	if n, err := strconv.Atoi(id); err == nil && n <= len(v.asked) && !v.hold {
		answer["status"] = "COMPLETE"
		answer["result"] = map[string]any{"highlights": v.text(v.asked[n-1]), "sessions": []any{
			map[string]any{"recordingID": fmt.Sprintf("5-0000000%d-0000-4000-8000-000000000000", n), "sessionID": 0, "highlights": "There."}}}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// sum is how often anybody was asked about; more than once about one fails the
// test.
func (v *galileo) sum(t *testing.T) int {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for email, posts := range v.posts {
		if n += posts; posts > 1 {
			t.Errorf("%s was asked about %d times", email, posts)
		}
	}
	return n
}

func newGalileo(t *testing.T) (*galileo, *site) {
	t.Helper()
	t.Parallel()
	v := &galileo{posts: map[string]int{}, text: func(email string) string { return "All is well with " + email + "." }}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	s := newSiteWith(t, siteOptions{
		vendors: services.Vendors{LogRocketURL: v.URL, LogRocketAppURL: v.URL, Timeout: 5 * time.Second}, now: time.Now,
		pace:  services.HighlightOptions{FirstPoll: time.Millisecond, MaxPoll: 20 * time.Millisecond},
		batch: services.BatchOptions{Pause: time.Millisecond, Look: 20 * time.Millisecond},
	})
	if _, problems, err := s.services.Connections.Add(t.Context(), services.CommandLine(s.org.ID), services.ConnectionForm{
		Vendor: services.LogRocket, Name: "Web app", Key: services.NewSecret("acme:web:key"),
	}); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	return v, s
}

const batchesAt = "/o/acme/highlights/batches"

// draft sends the form of a new batch as a browser does, with a file if it is
// not nil.
func (b *browser) draft(org string, file []byte, pairs ...string) answer {
	b.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	fields := url.Values{"connection": {"1"}, "token": {services.NewFormToken()}, "range": {""}}
	for i := 0; i+1 < len(pairs); i += 2 {
		fields.Set(pairs[i], pairs[i+1])
	}
	name := ""
	if file != nil {
		name = "list.csv"
	}
	part, err := w.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write(file)
	}
	for field, values := range fields {
		if err == nil {
			err = w.WriteField(field, values[0])
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(http.MethodPost, "/o/"+org+"/highlights/batches", body.String(), "Content-Type", w.FormDataContentType())
}

// drafted makes a draft and returns its page.
func (b *browser) drafted(file []byte, pairs ...string) string {
	b.t.Helper()
	a := b.draft("acme", file, pairs...)
	a.wants(b.t, http.StatusSeeOther)
	return a.location
}

// started sends the form of a draft as it stands.
func (b *browser) started(page string) {
	b.t.Helper()
	b.send(page+"/start", b.get(page).fields(b.t, page+"/start")).wants(b.t, http.StatusSeeOther)
}

func TestBatchFromListToDigest(t *testing.T) {
	v, s := newGalileo(t)
	v.text = func(email string) string {
		if email == "grace@example.com" {
			return "=cmd()|<script>alert(1)</script> [x](javascript:alert(2)) " + strings.Repeat("A long story. ", 400)
		}
		return "**Fine**: " + email
	}
	b := s.as(t, "support@example.com")
	b.get("/o/acme/highlights").wants(t, http.StatusOK, batchesAt, "Ask about many")
	b.get(batchesAt).wants(t, http.StatusOK, "No batches yet", batchesAt+"/new")
	b.get(batchesAt+"/new").wants(t, http.StatusOK, "1,000 customers", "Nothing is sent before you say so")
	list := "\"Lovelace, Ada\" <ada@example.com>; grace@example.com\nADA@example.com\nhello <b>there</b>\n=x@y.test\nx@@y"
	token := services.NewFormToken()
	page := b.drafted(nil, "text", list, "question", "Who <i>paid</i>?", "range", "7d", "token", token)
	if again := b.drafted(nil, "text", list, "question", "Who <i>paid</i>?", "range", "7d", "token", token); again != page {
		t.Errorf("the form sent twice made %s and %s", page, again)
	}
	b.get(page).wants(t, http.StatusOK, "Who &lt;i&gt;paid&lt;/i&gt;?", "Ask about 3 customers", "Line 1 names it already.", "“x@@y” is no email address.",
		"There is no email address in this.", "Not known here", "the last 7 d when asking begins", "about 2 m")
	b.get(page+"?entries=out").wants(t, http.StatusOK, "hello &lt;b&gt;there", "2 entries")
	b.get(page+"/digest").wants(t, http.StatusConflict, "Nobody has been asked about yet")
	if v.sum(t) != 0 {
		t.Fatal("the draft asked")
	}
	s.as(t, "viewer@example.com").get(page).wants(t, http.StatusOK, "To be asked about")

	form := b.get(page).fields(t, page+"/start")
	stale := url.Values{}
	for key := range form {
		stale.Set(key, form.Get(key))
	}
	stale.Set("count", "9")
	b.send(page+"/start", stale).wants(t, http.StatusUnprocessableEntity, "The list has changed meanwhile")
	stale = url.Values{"count": form["count"], "pace": {"0/9999"}, "reuse": {"-7"}}
	b.send(page+"/start", stale).wants(t, http.StatusUnprocessableEntity, "Choose how fast it asks.", "Choose how old an answer may be.")
	for range 2 { // a double click
		b.send(page+"/start", form).wants(t, http.StatusSeeOther)
	}
	b.until(page, "Done", "With a result").wants(t, http.StatusOK, "/o/acme/customers/", "6 entries", page+"/digest")
	if n := v.sum(t); n != 3 {
		t.Errorf("asked %d times", n)
	}
	digest := s.as(t, "viewer@example.com").get(page + "/digest")
	digest.wants(t, http.StatusOK, "<strong>Fine</strong>: ada@example.com", "The rest of it", "Whole highlights of", "Without a result", "There is no email address in this.", "data-print")
	if strings.Contains(digest.body, "<script>alert") || strings.Contains(digest.body, `href="javascript:`) || strings.Count(digest.body, "A long story.") > 200 {
		t.Error("the digest shows what it should not")
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(b.get(page+"/digest.csv").body, "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 7 {
		t.Fatalf("%v, %q", err, rows)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Errorf("a spreadsheet would compute %q", cell)
			}
		}
	}
	var doc struct {
		Batch struct{ Question string }
		Items []struct{ Email, Result, Highlights string }
	}
	if err := json.Unmarshal([]byte(b.get(page+"/digest.json").body), &doc); err != nil || doc.Batch.Question != "Who <i>paid</i>?" || len(doc.Items) != 6 || !strings.HasPrefix(doc.Items[0].Highlights, s.URL+"/o/acme/highlights/") {
		t.Errorf("%v: %+v", err, doc)
	}
	b.get(page+"/digest.md").wants(t, http.StatusOK, "# Highlights of 3 customers", "**Fine**: ada@example.com", "## Without a result")
	b.get("/o/acme/history?kind=highlight").wants(t, http.StatusOK, "Began to ask LogRocket about 3 customers in batch 1", "in batch 1.", "Ended with 3 results, 0 without one, in batch 1 (a pasted list)")
	customer := regexp.MustCompile(`/o/acme/customers/\d+`).FindString(b.get(page).body)
	b.get(customer).wants(t, http.StatusOK, "Who &lt;i&gt;paid&lt;/i&gt;?")
	b.get(batchesAt).wants(t, http.StatusOK, "3 of 3", "A pasted list")
	// A poller is told to load the page anew once all is over.
	if part := b.get(page, "HX-Request", "true"); part.header.Get("HX-Refresh") != "true" || strings.Contains(part.body, "<html") {
		t.Errorf("a part: %v", part.header)
	}
	// The form again has the list of what was pasted.
	b.get(batchesAt+"/new?again=1").wants(t, http.StatusOK, "ada@example.com\ngrace@example.com\nADA@example.com\n", "Who &lt;i&gt;paid")
}

func TestBatchFilesOfEveryKind(t *testing.T) {
	v, s := newGalileo(t)
	b := s.as(t, "support@example.com")
	utf16 := []byte{0xff, 0xfe}
	for _, r := range "name\temail\r\nKöln\tu1@example.com\r\n" {
		utf16 = append(utf16, byte(r), byte(r>>8))
	}
	tests := []struct {
		name string
		file []byte
		says []string
	}{
		{"utf-16", utf16, []string{"UTF-16, little endian", "tab between cells", "Ask about 1 customer"}},
		{"windows-1252", []byte("E-Mail;Ort\nu1@example.com;K\xf6ln\n\n;x\n"), []string{"Windows-1252", "A guess", "Ask about 1 customer", "The cell is empty."}},
		{"marked", []byte("\ufeffid,Email Address\r\n1,\"Ada, L. <u1@example.com>\"\r\n2,\"u2@example.com; u3@example.com\"\r\n"), []string{"byte order mark", "Email Address, such as", "Ask about 3 customers"}},
		{"no header", []byte("1,u1@example.com\n2,u2@example.com\n2,U2@example.com\n"), []string{"Column 2, such as", "Ask about 2 customers", "Line 2 names it already."}},
		{"no emails", []byte("id,city\n1,Bern\n2,Rome\n"), []string{"No column looks like one of emails", "Nobody is left in the list."}},
		{"bare quote", []byte("email\nu1@example.com\na\"b@x\nu2@example.com\n"), []string{"A quote stands inside", "Ask about 2 customers"}},
		{"open quote", []byte("email\nu1@example.com\n\"u2@example.com\n"), []string{"A quote", "Ask about 1 customer"}},
		{"ragged", []byte("id,email\n1,u1@example.com\n2\n"), []string{"The line has 1 cell, so none is number 2", "Ask about 1 customer"}},
	}
	for _, tt := range tests {
		page := b.drafted(tt.file)
		b.get(page).wants(t, http.StatusOK, tt.says...)
		b.post(page+"/drop").wants(t, http.StatusSeeOther)
		b.get(page).wants(t, http.StatusNotFound)
	}
	// Another column, another separator; the guess comes back where none fits.
	page := b.drafted([]byte("a;b,c\nx@y.test;1,z@y.test\n"))
	form := b.get(page).fields(t, page+"/file")
	form.Set("separator", ";")
	form.Set("column", "77")
	b.send(page+"/file", form).wants(t, http.StatusSeeOther)
	b.get(page).wants(t, http.StatusOK, "semicolon between cells", "x@y.test", "Ask about 1 customer")
	form.Set("encoding", "utf-7")
	b.send(page+"/file", form).wants(t, http.StatusUnprocessableEntity, "no encoding or separator")

	for name, tt := range map[string]struct {
		file []byte
		says string
	}{
		"a workbook": {[]byte("PK\x03\x04rest"), "workbook"}, "no text": {[]byte("id,a\x00b\n"), "zero bytes"}, "empty": {[]byte{}, "The file is empty."},
		"too large": {bytes.Repeat([]byte("x@y.test\n"), services.MaxBatchFile/8), "more than 2 MB"},
	} {
		if a := b.draft("acme", tt.file, "question", "kept?"); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, tt.says) || !strings.Contains(a.body, "kept?") {
			t.Errorf("%s: %d\n%s", name, a.status, a.body)
		}
	}
	b.draft("acme", []byte("email\nu1@example.com\n"), "text", "x@y.test").wants(t, http.StatusUnprocessableEntity, "one list alone", "Choose the file again.")
	b.draft("acme", nil).wants(t, http.StatusUnprocessableEntity, "Say who")
	b.draft("acme", nil, "text", strings.Repeat("x@y.test\n", 40_000)).wants(t, http.StatusUnprocessableEntity, "256 KB")
	b.draft("acme", nil, "text", "x@y.test", "range", "custom").wants(t, http.StatusUnprocessableEntity, "Give the start and the end")
	b.draft("acme", nil, "text", strings.Repeat("x", 4<<20)).wants(t, http.StatusRequestEntityTooLarge)
	b.do(http.MethodPost, batchesAt, "no form", "Content-Type", "multipart/form-data; boundary=x").wants(t, http.StatusUnprocessableEntity)
	b.do(http.MethodPost, batchesAt, strings.Repeat("x", 4<<20), "Content-Type", "multipart/form-data; boundary=x").wants(t, http.StatusUnprocessableEntity, "not a form")
	if n := v.sum(t); n != 0 {
		t.Errorf("drafts asked %d times", n)
	}
}

func TestBatchIsPausedResumedAndCancelled(t *testing.T) {
	v, s := newGalileo(t)
	b := s.as(t, "support@example.com")
	v.hold = true
	page := b.drafted(nil, "text", "u1@x.test u2@x.test u3@x.test u4@x.test u5@x.test")
	b.started(page)
	b.until(page, "On their way", `hx-sse:connect="`+page+`/events"`).wants(t, http.StatusOK, "Refresh", "Pause")
	for v.sum(t) < 3 { // as many as may be open
		time.Sleep(5 * time.Millisecond)
	}
	b.post(page+"/pause").wants(t, http.StatusSeeOther)
	b.get(page).wants(t, http.StatusOK, "Paused by support@example.com.", "LogRocket still works on what it was asked", "Go on")
	v.mu.Lock()
	v.hold = false
	v.mu.Unlock()
	for { // what is on its way comes in, and nobody else is asked about
		if a := b.get(page); !strings.Contains(a.body, "On their way") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := v.sum(t); n != 3 {
		t.Errorf("%d requests after the pause", n)
	}
	v.mu.Lock()
	v.fail = func(string) (int, string) { return http.StatusUnauthorized, "" }
	v.mu.Unlock()
	b.post(page+"/resume", "pace", "30/1").wants(t, http.StatusSeeOther)
	b.until(page, "does not accept the credentials", "Paused", "Ask again about 1 customer without a result")
	if n := v.sum(t); n != 4 {
		t.Errorf("%d requests against a wrong key", n)
	}
	b.post(page+"/cancel").wants(t, http.StatusSeeOther)
	b.get(page).wants(t, http.StatusOK, "Cancelled", "Not asked: cancelled before")
	b.get(page+"/digest").wants(t, http.StatusOK, "Without a result", "Not asked", "u5@x.test")
	b.post(page+"/resume").wants(t, http.StatusSeeOther)
	b.get(page).wants(t, http.StatusOK, "Cancelled")
	// Only what failed is asked again, and only because somebody says so.
	v.mu.Lock()
	v.fail, v.posts = nil, map[string]int{}
	v.mu.Unlock()
	b.post(page+"/again").wants(t, http.StatusSeeOther)
	b.until(page, "Done")
	if n := v.sum(t); n != 1 || v.posts["u4@x.test"] != 1 {
		t.Errorf("asked again: %v", v.posts)
	}
}

func TestBatchOfASavedView(t *testing.T) {
	t.Parallel()
	s, sb := newSandboxSite(t, sandbox.Options{Customers: 60, Sessions: 1800, RaygunDailyLimit: 50})
	b := s.as(t, "support@example.com")
	b.until(b.post("/o/acme/sessions/ask", "span", "60d", "connection", "1").location, "500 are here.")
	b.post("/o/acme/sessions/views", "name", "Germans", "query", "span=60d&countries=DE").wants(t, http.StatusSeeOther)
	b.get("/o/acme/sessions/views").wants(t, http.StatusOK, batchesAt+"/new?view=1")
	b.get("/o/acme/sessions?span=60d&countries=DE&view=1&show=views").wants(t, http.StatusOK, batchesAt+"/new?view=1")
	b.get(batchesAt+"/new?view=1").wants(t, http.StatusOK, `<option value="1" selected>Germans</option>`)
	page := b.drafted(nil, "view", "1", "connection", "2")
	a := b.get(page)
	a.wants(t, http.StatusOK, "the saved view “Germans”", "/o/acme/customers/")
	people := map[string]bool{}
	for _, href := range regexp.MustCompile(`/o/acme/customers/\d+`).FindAllString(a.body, -1) {
		people[href] = true
	}
	if !strings.Contains(a.body, fmt.Sprintf("Ask about %d customer", len(people))) || len(people) == 0 {
		t.Errorf("%d people in\n%s", len(people), a.body)
	}
	// Nobody else sees a member's own view, and a view of nobody is said to be.
	x := s.as(t, "admin@example.com")
	x.get(batchesAt+"/new?view=1").wants(t, http.StatusNotFound)
	x.draft("acme", nil, "view", "1", "connection", "2").wants(t, http.StatusNotFound)
	b.post("/o/acme/sessions/views", "name", "Nobody", "query", "from=2020-01-01&to=2020-01-02").wants(t, http.StatusSeeOther)
	b.draft("acme", nil, "view", "2", "connection", "2").wants(t, http.StatusUnprocessableEntity, "nobody to ask about")
	// Raygun's connection is none to ask through.
	b.draft("acme", nil, "view", "1", "connection", "1").wants(t, http.StatusConflict, "not a LogRocket connection")
	if n := sb.CountCalls(sandbox.OpCreateHighlights); n != 0 {
		t.Errorf("drafts asked %d times", n)
	}
}

func TestForeignBatchesAreNotFound(t *testing.T) {
	v, s := newGalileo(t)
	b := s.as(t, "support@example.com")
	page := b.drafted([]byte("email\nu1@example.com\n"))
	other, err := s.services.People.AddOrganization(t.Context(), "other", "Other")
	if err != nil {
		t.Fatal(err)
	}
	s.member(t, other, "stranger@example.com", services.Owner)
	x := s.as(t, "stranger@example.com")
	if _, _, err := s.services.Connections.Add(t.Context(), services.CommandLine(other.ID), services.ConnectionForm{Vendor: services.LogRocket, Name: "Theirs", Key: services.NewSecret("o:w:key")}); err != nil {
		t.Fatal(err)
	}
	theirs := strings.Replace(page, "/o/acme/", "/o/other/", 1)
	for _, path := range []string{theirs, theirs + "/events", theirs + "/digest", theirs + "/digest.md", theirs + "/digest.csv", theirs + "/digest.json",
		"/o/other/highlights/batches/new?again=1", "/o/other/highlights/batches/new?view=1", "/o/other/highlights/batches/new?connection=1"} {
		x.get(path).wants(t, http.StatusNotFound)
	}
	for _, path := range []string{"/file", "/start", "/drop", "/pause", "/resume", "/cancel", "/again"} {
		x.post(theirs+path, "count", "1", "pace", "5/3", "reuse", "0", "encoding", "utf-8", "separator", ",").wants(t, http.StatusNotFound)
	}
	x.draft("other", nil, "text", "u1@example.com", "connection", "1").wants(t, http.StatusNotFound)
	// A draft does not go because a stranger replaces it.
	x.draft("other", nil, "text", "u1@example.com", "connection", "2", "replaces", "1").wants(t, http.StatusSeeOther)
	b.get(page).wants(t, http.StatusOK, "Ask about 1 customer")
	if n := v.sum(t); n != 0 {
		t.Errorf("foreign ids asked %d times", n)
	}
}
