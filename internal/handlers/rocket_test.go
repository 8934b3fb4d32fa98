package handlers_test

import (
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

// rocket is a site with a LogRocket connection to a stand-in.
type rocket struct {
	*site
	box *sandbox.Sandbox
}

func newRocket(t *testing.T, o sandbox.Options) *rocket {
	t.Helper()
	t.Parallel()
	o.Customers, o.Sessions, o.Days = 30, 600, 10
	box, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Close(); err != nil {
			t.Errorf("close the stand-in: %v", err)
		}
	})
	r := &rocket{box: box, site: newSite(t, services.Vendors{RaygunURL: box.RaygunURL(), LogRocketURL: box.LogRocketURL(), LogRocketAppURL: box.LogRocketAppURL(), Timeout: 5 * time.Second})}
	r.connect(t, "Web app")
	return r
}

func (r *rocket) connect(t *testing.T, name string) {
	t.Helper()
	actor := services.CommandLine(r.org.ID)
	if _, problems, err := r.services.Connections.Add(t.Context(), actor, services.ConnectionForm{
		Vendor: services.LogRocket, Name: name, Key: services.NewSecret(r.box.Credentials().LogRocketKey),
	}); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
}

// customer makes a customer of the made-up company known, the way a member
// does, and returns the path of their page.
func (r *rocket) customer(t *testing.T, b *browser) string {
	t.Helper()
	a := b.post("/o/acme/highlights", "connection", "1", "by", "email", "subject", r.box.Company().Demo()[0].Email, "token", "first")
	if a.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", a.status, a.body)
	}
	page := b.until(a.location, "What happened", "/o/acme/customers/")
	path := regexp.MustCompile(`/o/acme/customers/[0-9]+`).FindString(page.body)
	return path
}

// patience is how long tests wait for what must come. It only ends those that
// have failed, on the slowest machine.
const patience = 3 * time.Minute

// until loads a page until it holds the texts.
func (b *browser) until(path string, texts ...string) answer {
	b.t.Helper()
	var a answer
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		a = b.get(path)
		ok := a.status == http.StatusOK
		for _, s := range texts {
			ok = ok && strings.Contains(a.body, s)
		}
		if ok {
			return a
		}
	}
	b.t.Fatalf("%s never held %q\n%d %s", path, texts, a.status, a.body)
	return a
}

// fields reads the values of a page's form that posts to path, as a browser
// would send them.
func (a answer) fields(t *testing.T, path string) url.Values {
	t.Helper()
	_, form, ok := strings.Cut(a.body, `<form method="post" action="`+html.EscapeString(path)+`"`)
	form, _, _ = strings.Cut(form, "</form>")
	if !ok {
		t.Fatalf("no form posts to %s\n%s", path, a.body)
	}
	v := url.Values{}
	attr := func(tag, name string) string {
		m := regexp.MustCompile(` ` + name + `="([^"]*)"`).FindStringSubmatch(tag)
		if m == nil {
			return ""
		}
		return html.UnescapeString(m[1])
	}
	for _, tag := range regexp.MustCompile(`(?s)<(?:input|textarea)[^>]*>[^<]*`).FindAllString(form, -1) {
		open, text, _ := strings.Cut(tag, ">")
		switch kind := attr(open, "type"); {
		case attr(open, "name") == "" || (kind == "radio" || kind == "checkbox") && !strings.Contains(open, " checked"):
		case strings.HasPrefix(open, "<textarea"):
			v.Add(attr(open, "name"), html.UnescapeString(text))
		default:
			v.Add(attr(open, "name"), attr(open, "value"))
		}
	}
	for _, tag := range regexp.MustCompile(`(?s)<select[^>]*>.*?</select>`).FindAllString(form, -1) {
		open, options, _ := strings.Cut(tag, ">")
		for i, o := range regexp.MustCompile(`<option[^>]*>`).FindAllString(options, -1) {
			if i == 0 || strings.Contains(o, " selected") {
				v.Set(attr(open, "name"), attr(o, "value"))
			}
		}
	}
	return v
}

// send posts a form as it was read and changed.
func (b *browser) send(path string, v url.Values) answer {
	b.t.Helper()
	return b.do(http.MethodPost, path, v.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func TestHighlightsFromFormToResult(t *testing.T) {
	r := newRocket(t, sandbox.Options{Dialect: sandbox.DialectLive, HighlightDelay: 500 * time.Millisecond})
	b := r.as(t, "support@example.com")
	who := r.box.Company().Demo()[0]

	b.get("/o/acme/highlights").wants(t, http.StatusOK, "No highlights yet", "/o/acme/highlights/new")
	form := b.get("/o/acme/highlights/new?email=" + url.QueryEscape(who.Email))
	form.wants(t, http.StatusOK, who.Email, "paid job at LogRocket", "10 most recent sessions")
	v := form.fields(t, "/o/acme/highlights")
	v.Set("question", "Why <b>failed</b> the payment?")
	v.Set("range", "30d")
	a := b.send("/o/acme/highlights", v)
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.location, "/o/acme/highlights/") {
		t.Fatalf("%d %s\n%s", a.status, a.location, a.body)
	}
	// The button was pressed twice.
	if again := b.send("/o/acme/highlights", v); again.location != a.location {
		t.Errorf("the second press led to %s", again.location)
	}
	page := b.get(a.location)
	page.wants(t, http.StatusOK, "LogRocket is working on it", "Stop waiting", `hx-trigger="every 2s, `, "Why &lt;b&gt;failed&lt;/b&gt; the payment?")
	part := b.get(a.location, "HX-Request", "true")
	part.wants(t, http.StatusOK, `hx-trigger="every 2s, `)
	if strings.Contains(part.body, "<html") {
		t.Error("htmx got a whole page")
	}
	page = b.until(a.location, "What happened", "Recording session 1 of", "Watch the recording")
	page.wants(t, http.StatusOK, `<a class="link" href="`+r.box.LogRocketAppURL(), "/o/acme/customers/", "Copy for a ticket", "Beside Raygun")
	if strings.Contains(page.body, "every 2s") {
		t.Error("the page still asks after the result is there")
	}
	if part := b.get(a.location, "HX-Request", "true"); part.header.Get("HX-Refresh") != "true" {
		t.Error("the waiting page is not told to load the result")
	}
	if n := r.box.HighlightJobs(); n != 1 {
		t.Errorf("%d jobs were started", n)
	}
	b.get("/o/acme/highlights?state=ready").wants(t, http.StatusOK, who.Email, a.location)
	b.get("/o/acme/highlights?state=failed").wants(t, http.StatusOK, "Nothing matches these filters")
	// Asking again opens the same request.
	again := b.get("/o/acme/highlights/new?again=1").fields(t, "/o/acme/highlights")
	if again.Get("subject") != who.Email || again.Get("question") != v.Get("question") || again.Get("range") != "custom" || again.Get("from") == "" || again.Get("token") == v.Get("token") {
		t.Errorf("ask again: %v", again)
	}
}

func TestHighlightFormSaysWhatIsWrong(t *testing.T) {
	r := newRocket(t, sandbox.Options{})
	b := r.as(t, "support@example.com")
	tests := []struct {
		name, field, value, says string
	}{
		{"no subject", "subject", " ", "Say whose sessions"},
		{"no email", "subject", "ada<script>", "That is no email address"},
		{"long question", "question", strings.Repeat("ü", 1001), "has 1001 characters"},
		{"from alone", "from", "2026-11-01T10:00", "Give an end as well"},
		{"no date", "from", "yesterday", "is no date and time"},
		{"no dates", "range", "custom", "Give the start and the end"},
		{"dates beside a span", "range", "7d", "Choose “From and to, below”, or empty the dates."},
	}
	for _, tt := range tests {
		v := b.get("/o/acme/highlights/new?email=ada@example.com").fields(t, "/o/acme/highlights")
		v.Set("question", "kept?")
		v.Set(tt.field, tt.value)
		if tt.value == "7d" {
			v.Set("from", "2026-11-01T10:00")
			v.Set("to", "2026-11-02T10:00")
		}
		a := b.send("/o/acme/highlights", v)
		a.wants(t, http.StatusUnprocessableEntity, tt.says)
		// What was typed is still there.
		got := a.fields(t, "/o/acme/highlights")
		for _, field := range []string{"subject", "question", "from", "to", "range"} {
			if got.Get(field) != v.Get(field) {
				t.Errorf("%s: %s is %q, was %q", tt.name, field, got.Get(field), v.Get(field))
			}
		}
	}
	if n := r.box.HighlightJobs(); n != 0 {
		t.Errorf("%d jobs were started", n)
	}
}

func TestHighlightsThatFailCanBeAskedAgain(t *testing.T) {
	r := newRocket(t, sandbox.Options{HighlightDelay: -1})
	b := r.as(t, "support@example.com")
	ask := func(question string) string {
		v := b.get("/o/acme/highlights/new?user=u1").fields(t, "/o/acme/highlights")
		v.Set("question", question)
		return b.send("/o/acme/highlights", v).location
	}
	b.until(ask("please fail"), "No highlights", "“FAILED”", "Ask again · a new paid job", "again=")
	b.until(ask("what?"), "LogRocket", "Highlights of u1")

	r.box.Fault(sandbox.Fault{Operation: sandbox.OpCreateHighlights, Kind: sandbox.FaultLost, Times: 1})
	b.until(ask("lost"), "We do not know whether LogRocket got this", "a new paid job")

	viewer := r.as(t, "viewer@example.com")
	viewer.get("/o/acme/highlights").wants(t, http.StatusOK, "This takes the support role")
	viewer.get("/o/acme/highlights/1").wants(t, http.StatusOK, "This takes the support role")
	viewer.get("/o/acme/highlights/new").wants(t, http.StatusForbidden, "needs support")
	viewer.post("/o/acme/highlights", "subject", "u1").wants(t, http.StatusForbidden)
	viewer.post("/o/acme/highlights/1/recheck").wants(t, http.StatusForbidden)
}

func TestHighlightsCanBeStoppedAndLookedAtAgain(t *testing.T) {
	r := newRocket(t, sandbox.Options{HighlightDelay: 3 * time.Second})
	b := r.as(t, "support@example.com")
	v := b.get("/o/acme/highlights/new?email="+url.QueryEscape(r.box.Company().Demo()[0].Email)).fields(t, "/o/acme/highlights")
	path := b.send("/o/acme/highlights", v).location
	b.get(path).wants(t, http.StatusOK, path+"/cancel")
	if a := b.post(path + "/cancel"); a.status != http.StatusSeeOther || a.location != path {
		t.Fatalf("%d %s", a.status, a.body)
	}
	b.get(path).wants(t, http.StatusOK, "Nobody waits for it", "Look again · no new job", path+"/recheck")
	b.post(path+"/cancel").wants(t, http.StatusConflict, "moved on meanwhile")
	if a := b.post(path + "/recheck"); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	b.until(path, "Recording session 1 of")
	if n := r.box.HighlightJobs(); n != 1 {
		t.Errorf("%d jobs were started", n)
	}
}

func TestTraitsFromFormToHistory(t *testing.T) {
	r := newRocket(t, sandbox.Options{HighlightDelay: -1})
	b := r.as(t, "support@example.com")
	who := r.box.Company().Demo()[0]
	base := r.customer(t, b) + "/traits"

	b.get(base).wants(t, http.StatusOK, "Nothing is known yet", "No edits yet", base+"/edit")
	b.get(base+"/edit").wants(t, http.StatusOK, "User id at LogRocket", who.Email)
	form := b.get(base + "/edit?connection=1&user=" + url.QueryEscape(who.UserID))
	form.wants(t, http.StatusOK, "LogRocket has not answered about this user yet", "Values are sent as text")
	v := form.fields(t, base)
	v["new-key"], v["new-value"] = []string{"vip", `<b>"seats"`}, []string{"true", "<script>12</script>"}

	v.Set("step", "more")
	more := b.send(base, v)
	more.wants(t, http.StatusOK, "Trait 5", "&lt;script&gt;12")
	v.Set("step", "preview")
	preview := b.send(base, v)
	preview.wants(t, http.StatusOK, "Nothing has been sent yet", "Added", "unknown at LogRocket", "Unchanged, not sent", "&lt;script&gt;12", "Send to LogRocket")
	if n := r.box.CountCalls(sandbox.OpUpdateUser); n != 0 {
		t.Fatalf("the preview put %d times", n)
	}
	v = preview.fields(t, base)
	v.Set("step", "edit")
	if back := b.send(base, v).fields(t, base); back["new-value"][1] != "<script>12</script>" {
		t.Errorf("back in the form: %v", back)
	}
	v.Set("step", "send")
	v.Set("reason", strings.Repeat("x", 501))
	b.send(base, v).wants(t, http.StatusUnprocessableEntity, "at most 500 are kept", strings.Repeat("x", 501))
	v.Set("reason", "ticket 7")
	sent := b.send(base, v)
	if again := b.send(base, v); sent.status != http.StatusSeeOther || again.location != sent.location {
		t.Fatalf("%d %s, then %s\n%s", sent.status, sent.location, again.location, sent.body)
	}
	b.until(sent.location, "LogRocket has accepted the edit", "ticket 7", "Before and after")
	if n := r.box.CountCalls(sandbox.OpUpdateUser); n != 1 {
		t.Errorf("put %d times", n)
	}
	if _, _, traits, _ := r.box.LogRocketUser(who.UserID); traits["vip"] != "true" || traits[`<b>"seats"`] != "<script>12</script>" {
		t.Errorf("LogRocket has %v", traits)
	}
	b.get(base).wants(t, http.StatusOK, "vip", "as of", "ticket 7", sent.location)

	// The known values are there now; one is removed, one is changed.
	v = b.get(base+"/edit?connection=1&user="+url.QueryEscape(who.UserID)).fields(t, base)
	for i, key := range v["known-key"] {
		switch key {
		case "vip":
			v["known-value"][i] = ""
		case `<b>"seats"`:
			v["known-value"][i] = "13"
		}
	}
	other := url.Values{}
	for k, list := range v {
		other[k] = append([]string(nil), list...)
	}
	preview = b.send(base, v)
	preview.wants(t, http.StatusOK, "Removed", "Changed")
	v = preview.fields(t, base)
	v.Set("step", "send")
	b.until(b.send(base, v).location, "LogRocket has accepted the edit")

	// Another tab from before: it is told, and nothing of it is sent unseen.
	other.Set("name", "Somebody Else")
	tab := b.send(base, other)
	tab.wants(t, http.StatusOK, "Somebody else was first", "changed since you opened the form")
	puts := r.box.CountCalls(sandbox.OpUpdateUser)
	other.Set("step", "send")
	b.send(base, other).wants(t, http.StatusConflict, "Somebody else was first")
	if n := r.box.CountCalls(sandbox.OpUpdateUser); n != puts {
		t.Errorf("a stale form was sent")
	}
	v = tab.fields(t, base)
	v.Set("step", "send")
	b.until(b.send(base, v).location, "LogRocket has accepted the edit")
	if name, _, traits, _ := r.box.LogRocketUser(who.UserID); name != "Somebody Else" || traits[`<b>"seats"`] != "13" {
		t.Errorf("LogRocket has %s %v", name, traits)
	}
}

func TestTraitFormSaysWhatIsWrong(t *testing.T) {
	r := newRocket(t, sandbox.Options{HighlightDelay: -1})
	b := r.as(t, "support@example.com")
	base := r.customer(t, b) + "/traits"
	b.get(base+"/edit?connection=1&user=").wants(t, http.StatusUnprocessableEntity, "Give the id under which")
	long := strings.Repeat("ü", 1025)
	tests := []struct{ field, value, says string }{
		{"name", long, "has 1025 characters"},
		{"email", "no email", "That is no email address"},
		{"new-value", long, "has 1025 characters"},
	}
	for _, tt := range tests {
		v := b.get(base+"/edit?connection=1&user=a%2Fb%7C%C3%BC").fields(t, base)
		v["new-key"], v["new-value"] = []string{"plan", "x"}, []string{"kept", ""}
		v[tt.field][0] = tt.value
		v.Set("step", "preview")
		a := b.send(base, v)
		a.wants(t, http.StatusUnprocessableEntity, tt.says)
		if got := a.fields(t, base); got[tt.field][0] != tt.value || got["new-key"][0] != "plan" || got["user"][0] != "a/b|ü" {
			t.Errorf("%s: typed values are gone: %v", tt.field, got)
		}
		v.Set("step", "send")
		b.send(base, v).wants(t, http.StatusUnprocessableEntity, tt.says)
	}
	if n := r.box.CountCalls(sandbox.OpUpdateUser); n != 0 {
		t.Errorf("put %d times", n)
	}
}

func TestTraitEditThatFailsCanBeSentAgain(t *testing.T) {
	r := newRocket(t, sandbox.Options{HighlightDelay: -1})
	b := r.as(t, "support@example.com")
	base := r.customer(t, b) + "/traits"
	r.box.Fault(sandbox.Fault{Operation: sandbox.OpUpdateUser, Kind: sandbox.FaultLost, Times: 1})
	a := b.post(base, "connection", "1", "user", "u9", "new-key", "plan", "new-value", "pro", "step", "send", "token", "t", "reason", "why")
	page := b.until(a.location, "We do not know whether LogRocket got this. Send it again?")
	link := regexp.MustCompile(regexp.QuoteMeta(base) + `/edit\?again=[0-9]+`).FindString(page.body)
	v := b.get(link).fields(t, base)
	if v["new-key"][0] != "plan" || v["new-value"][0] != "pro" {
		t.Fatalf("%s: %v", link, v)
	}
	v.Set("step", "preview")
	v = b.send(base, v).fields(t, base)
	v.Set("step", "send")
	b.until(b.send(base, v).location, "LogRocket has accepted the edit")

	viewer := r.as(t, "viewer@example.com")
	viewer.get(base).wants(t, http.StatusOK, "This takes the support role", "plan")
	viewer.get(base+"/edit").wants(t, http.StatusForbidden)
	viewer.post(base, "step", "send").wants(t, http.StatusForbidden)
}

func TestRocketPagesKeepOrganizationsApart(t *testing.T) {
	r := newRocket(t, sandbox.Options{HighlightDelay: -1})
	b := r.as(t, "support@example.com")
	customer := r.customer(t, b)
	a := b.post(customer+"/traits", "connection", "1", "user", "u9", "new-key", "plan", "new-value", "pro", "step", "send", "token", "t")
	other, err := r.services.People.AddOrganization(t.Context(), "", "Other")
	if err != nil {
		t.Fatal(err)
	}
	r.member(t, other, "stranger@example.com", services.Owner)
	s := r.as(t, "stranger@example.com")
	there := func(path string) string { return strings.Replace(path, "/o/acme/", "/o/other/", 1) }
	for _, path := range []string{a.location, customer + "/traits", customer + "/traits/edit", "/o/acme/highlights/1", "/o/acme/highlights/new?again=1", "/o/acme/highlights/new?customer=1"} {
		s.get(there(path)).wants(t, http.StatusNotFound)
	}
	s.post("/o/other/highlights/1/cancel").wants(t, http.StatusNotFound)
	s.post("/o/other/highlights/1/recheck").wants(t, http.StatusNotFound)
	s.post("/o/other/highlights", "connection", "1", "by", "email", "subject", "a@example.com").wants(t, http.StatusNotFound)
	s.post(there(customer)+"/traits", "connection", "1", "user", "u9", "step", "send").wants(t, http.StatusNotFound)
	s.get("/o/other/highlights").wants(t, http.StatusOK, "No highlights yet")
	if n := r.box.HighlightJobs(); n != 1 {
		t.Errorf("%d jobs were started", n)
	}
	b.get(customer+"/traits/99").wants(t, http.StatusNotFound)
}

func TestHighlightArchiveIsPaged(t *testing.T) {
	r := newRocket(t, sandbox.Options{HighlightDelay: time.Hour})
	b := r.as(t, "support@example.com")
	for i := range 52 {
		_, _, problems, err := r.services.Highlights.Request(t.Context(), services.CommandLine(r.org.ID), services.HighlightRequest{
			Connection: 1, UserID: fmt.Sprintf("user-%03d", i), FormToken: services.NewFormToken(),
		})
		if err != nil || len(problems) > 0 {
			t.Fatal(problems, err)
		}
	}
	first := b.get("/o/acme/highlights")
	first.wants(t, http.StatusOK, "user-051", "user-002", "50+ requests")
	link := regexp.MustCompile(`/o/acme/highlights\?before=[0-9.]+`).FindString(first.body)
	second := b.get(link)
	second.wants(t, http.StatusOK, "user-001", "user-000", "2 requests")
	if strings.Contains(second.body, "user-002") {
		t.Error("pages overlap")
	}
}
