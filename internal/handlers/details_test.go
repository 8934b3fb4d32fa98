package handlers_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

// detailForm are the hidden fields of the form that fetches details.
func detailForm(t *testing.T, body string) []string {
	t.Helper()
	form := regexp.MustCompile(`(?s)action="/o/acme/sessions/details".*?</form>`).FindString(body)
	var out []string
	for _, m := range regexp.MustCompile(`type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(form, -1) {
		out = append(out, m[1], html.UnescapeString(m[2]))
	}
	if len(out) == 0 {
		t.Fatalf("the page has no form to fetch details\n%s", body)
	}
	return out
}

// countingProxy stands before a stand-in and counts how often each session is
// asked for.
type countingProxy struct {
	mu    sync.Mutex
	asked map[string]int
	total int
	// at is the question that waits for gate.
	at   int
	gate chan struct{}
}

// hold has the n-th question from now on wait for release.
func (p *countingProxy) hold(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.gate = p.total+n, make(chan struct{})
}

func (p *countingProxy) release() { close(p.gate) }

// count notes a question and waits if it is to be held.
func (p *countingProxy) count(id string) {
	p.mu.Lock()
	p.asked[id]++
	p.total++
	held, gate := p.total == p.at, p.gate
	p.mu.Unlock()
	if held {
		<-gate
	}
}

// most is how often the one was asked for that was asked for most.
func (p *countingProxy) most() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, times := range p.asked {
		n = max(n, times)
	}
	return n
}

// calls is how many questions for a session there were.
func (p *countingProxy) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// detailSite has 500 sessions of v1 in the mirror, none with its detail, and 49
// calls left of 50, 10 of them kept for people.
func detailSite(t *testing.T) (*site, *sandbox.Sandbox, *browser, *countingProxy) {
	t.Helper()
	sb, err := sandbox.Start(t.Context(), sandbox.Options{Customers: 60, Sessions: 1800, RaygunDailyLimit: 50})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sb.Close() })
	to, err := url.Parse(sb.RaygunURL())
	if err != nil {
		t.Fatal(err)
	}
	seen := &countingProxy{asked: map[string]int{}}
	pass := httputil.NewSingleHostReverseProxy(to)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/session") {
			seen.count(r.URL.Query().Get("id"))
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	s := newSite(t, services.Vendors{RaygunURL: front.URL})
	k := sb.Credentials()
	_, problems, err := s.services.Connections.Add(t.Context(), services.Actor{Org: s.org.ID, User: 1, Role: services.Owner}, services.ConnectionForm{
		Vendor: services.Raygun, Name: "Shop", APIKey: services.NewSecret(k.RaygunAPIKey), ClientID: services.NewSecret(k.RaygunClientID), ClientSecret: services.NewSecret(k.RaygunClientSecret),
	})
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	b := s.as(t, "support@example.com")
	a := b.post("/o/acme/sessions/ask", "span", "60d", "connection", "1")
	b.until(a.location, "500 are here.")
	return s, sb, b, seen
}

const detailPage = "/o/acme/sessions?span=60d&show=figures"

// ended waits until a run is not open any more.
func (s *site) ended(t *testing.T, id int) services.DetailRun {
	t.Helper()
	run, err := s.services.Details.Wait(t.Context(), s.org.ID, services.DetailRunID(id), patience)
	if err != nil || run.State == services.RunOpen {
		t.Fatalf("run %d: %+v, %v", id, run, err)
	}
	return run
}

func TestDetailsOfTheSessionsShownCostOneCallEachOnce(t *testing.T) {
	t.Parallel()
	s, _, b, seen := detailSite(t)
	viewer := s.as(t, "viewer@example.com")
	page := b.get(detailPage)
	page.wants(t, 200, "sessions shown lack details", "cost 1 call", "Fetch newest 39", "39 calls, 49 left today", "Newest 5", "Newest 20")
	viewer.get(detailPage).wants(t, 200, "This takes the support role.")
	fields := detailForm(t, page.body)
	viewer.post("/o/acme/sessions/details", append(fields, "count", "5")...).wants(t, 403)
	if n := seen.calls(); n != 0 {
		t.Fatalf("%d calls for looking", n)
	}
	a := b.post("/o/acme/sessions/details", append(fields, "count", "5")...)
	if a.status != 303 || a.location != "/o/acme/sessions?span=60d" {
		t.Fatalf("%d to %q", a.status, a.location)
	}
	if run := s.ended(t, 1); run.State != services.RunDone || run.Done != 5 || run.Failed+run.Left != 0 {
		t.Fatalf("%+v", run)
	}
	// The same form once more, as by stepping back: what is here is not asked for
	// again, and the next ones are.
	b.post("/o/acme/sessions/details", append(fields, "count", "20")...).wants(t, 303)
	if run := s.ended(t, 2); run.State != services.RunDone || run.Done != 20 {
		t.Fatalf("%+v", run)
	}
	if seen.calls() != 25 || seen.most() != 1 {
		t.Errorf("%d questions, one of them %d times", seen.calls(), seen.most())
	}
	b.get(detailPage).wants(t, 200, "20 of 20 sessions fetched in full", "24 left today")
	b.get("/o/acme/calls").wants(t, 200, "support")
	b.get("/o/acme/history?kind=deed").wants(t, 200, "Asked for the details of 5 sessions through “Shop”, for up to 5 calls")
	b.get("/o/acme/insight?span=60d").wants(t, 200, "p75")
	first := strings.Split(fields[3], ",")[0]
	b.post("/o/acme/sessions/details", "connection", "1", "sessions", first, "count", "5", "back", "https://elsewhere.example/").wants(t, 303)
	b.get("/o/acme/sessions").wants(t, 200, "No call was spent")
	b.get("/o/acme/details/2?back=https://elsewhere.example/").wants(t, 200, "20 of 20 sessions", `href="/o/acme/sessions"`)
	// A customer's page offers the same of theirs.
	customer := regexp.MustCompile(`customers/\d+`).FindAllString(page.body, -1)
	theirs := b.get("/o/acme/" + customer[len(customer)-1])
	theirs.wants(t, 200, "shown lack")
	b.post("/o/acme/sessions/details", append(detailForm(t, theirs.body), "count", "1")...).wants(t, 303)
	if run := s.ended(t, 3); run.Done != 1 {
		t.Errorf("%+v", run)
	}
	// A filter that needs details names those that it knows nothing of.
	b.get(detailPage+"&ratings=poor").wants(t, 200, "sessions without details, the newest, may match too", "Fetch newest 13")
}

func TestDetailsLeaveTheReserveAloneAndGoOnWhenSomebodySaysSo(t *testing.T) {
	t.Parallel()
	s, sb, b, seen := detailSite(t)
	fields := detailForm(t, b.get(detailPage).body)
	// Somebody else spends while the run is at its sixth: the ledger stops it in
	// time.
	seen.hold(6)
	b.post("/o/acme/sessions/details", append(fields, "count", "39")...).wants(t, 303)
	for i := range 6 {
		day := time.Now().UTC().AddDate(0, 0, -i-2).Format(time.DateOnly)
		b.post("/o/acme/sessions/ask", "from", day, "to", day, "connection", "1").wants(t, 303)
	}
	seen.release()
	run := s.ended(t, 1)
	budget, err := s.services.Connections.Budget(t.Context(), s.org.ID, 1)
	if err != nil || run.State != services.RunPaused || budget.Left > budget.Reserve || run.Done+run.Left != 39 {
		t.Fatalf("%+v, %+v, %v", run, budget, err)
	}
	if seen.calls() != run.Done || run.Done != 33 {
		t.Errorf("%d calls for %d details", seen.calls(), run.Done)
	}
	page := b.get(detailPage)
	page.wants(t, 200, "Fetching details has paused", fmt.Sprintf("%d left", run.Left), "kept for questions that people ask one by one", "00:00 UTC", "Go on", "Leave it at that")
	b.post("/o/acme/details/1/resume").wants(t, 429, "kept for questions")
	b.post("/o/acme/sessions/details", append(fields, "count", "5")...).wants(t, 429)
	// A larger budget lets it go on where it is.
	if _, err := s.services.Connections.SetBudget(t.Context(), services.Actor{Org: s.org.ID, User: 1, Role: services.Owner}, 1, 200, 10); err != nil {
		t.Fatal(err)
	}
	sb.SetRaygunDailyLimit(-1)
	s.as(t, "viewer@example.com").post("/o/acme/details/1/resume").wants(t, 403)
	b.post("/o/acme/details/1/resume", "back", detailPage).wants(t, 303)
	if run = s.ended(t, 1); run.State != services.RunDone || run.Done != 39 || seen.most() != 1 {
		t.Errorf("%+v, one was asked for %d times", run, seen.most())
	}
}

func TestDetailsPauseWhereTheVendorDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault sandbox.Fault
		says  string
		calls int // on the sessions that it paused at
	}{
		{"at its limit", sandbox.Fault{Kind: sandbox.FaultRateLimited, RetryAfter: time.Hour}, "called too often", 1},
		{"dead", sandbox.Fault{Kind: sandbox.FaultServerError}, "cannot be reached or fails", 1},
		{"knows none of them", sandbox.Fault{Kind: sandbox.FaultNotFound}, "3 sessions in a row failed", 3},
		{"lies", sandbox.Fault{Kind: sandbox.FaultGarbage}, "3 sessions in a row failed", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, sb, b, seen := detailSite(t)
			fields := detailForm(t, b.get(detailPage).body)
			b.post("/o/acme/sessions/details", append(fields, "count", "5")...).wants(t, 303)
			s.ended(t, 1)
			c.fault.Vendor, c.fault.Operation = sandbox.Raygun, sandbox.OpSession
			remove := sb.Fault(c.fault)
			b.post("/o/acme/sessions/details", append(fields, "count", "20")...).wants(t, 303)
			run := s.ended(t, 2)
			if run.State != services.RunPaused || run.Done != 0 || seen.calls() > 5+c.calls {
				t.Errorf("%+v after %d calls", run, seen.calls()-5)
			}
			b.get(detailPage).wants(t, 200, "Fetching details has paused", c.says, "0 of 20 sessions")
			b.get("/o/acme/insight?span=60d").wants(t, 200)
			remove()
			b.post("/o/acme/details/2/stop", "back", detailPage).wants(t, 303)
			b.get(detailPage).wants(t, 200, "0 of 20 sessions fetched in full")
		})
	}
}

func TestOneRunAtATimeAndItCanBeStopped(t *testing.T) {
	t.Parallel()
	s, _, b, seen := detailSite(t)
	fields := detailForm(t, b.get(detailPage).body)
	seen.hold(3)
	b.post("/o/acme/sessions/details", append(fields, "count", "39")...).wants(t, 303)
	page := b.until(detailPage, "2 of 39 sessions")
	page.wants(t, 200, "Fetching details through Shop", "37 left", "Stop", `hx-trigger="every 1s, `)
	if strings.Contains(page.body, `action="/o/acme/sessions/details"`) {
		t.Error("another run is offered while one is open")
	}
	b.get("/o/acme/details/1", "HX-Request", "true", "HX-Request-Type", "partial").wants(t, 200, "of 39 sessions")
	b.post("/o/acme/sessions/details", append(fields, "count", "20")...).wants(t, 303) // from another tab
	b.get(detailPage).wants(t, 200, "being fetched through this connection already")
	s.as(t, "viewer@example.com").post("/o/acme/details/1/stop").wants(t, 403)
	b.post("/o/acme/details/1/stop", "back", detailPage).wants(t, 303)
	if _, err := s.services.Details.Get(t.Context(), s.org.ID, 2); err == nil {
		t.Error("the other tab began a run of its own")
	}
	// The session that was under way comes, and nothing after it.
	seen.release()
	b.until(detailPage, "Stopped.", "3 of 39 sessions fetched in full")
	b.post("/o/acme/sessions/details", append(fields, "count", "20")...).wants(t, 303)
	if next := s.ended(t, 2); next.Done != 20 || seen.most() != 1 || seen.calls() != 23 {
		t.Errorf("%+v, %d calls, one of them %d times", next, seen.calls(), seen.most())
	}
}
