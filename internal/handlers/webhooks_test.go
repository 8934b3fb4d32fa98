package handlers_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

// reporter is a LogRocket that makes highlights and reports on them as a test
// says. It is asked for a result once an hour at most, so what comes sooner
// came by a report.
type reporter struct {
	*httptest.Server
	mu      sync.Mutex
	hook    string // where the last request wants the report
	posts   int
	gets    int
	id      string // of the request, if not reporterID
	text    string // the result; still pending while empty
	onPost  func(hook string)
	silence bool   // the POST is never answered
	parts   []any  // of the result
	status  string // LogRocket's word with the result, if not COMPLETE
	// pace is how it is asked; zero is once an hour.
	pace services.HighlightOptions
}

const reporterID = "5f1e"

func (v *reporter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	answer := map[string]any{"requestID": reporterID, "status": "PENDING"}
	if r.Method == http.MethodPost {
		var body struct{ WebhookURL string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		v.posts, v.hook = v.posts+1, body.WebhookURL
		on, silent, hook := v.onPost, v.silence, v.hook
		v.mu.Unlock()
		if on != nil {
			on(hook)
		}
		if silent {
			panic(http.ErrAbortHandler)
		}
	} else {
		v.gets++
		if v.id != "" {
			answer["requestID"] = v.id
		}
		if v.status != "" {
			answer["status"] = v.status
		}
		if v.text != "" || v.parts != nil {
			answer["result"] = map[string]any{"highlights": v.text, "sessions": append([]any{}, v.parts...)}
			if v.status == "" {
				answer["status"] = "COMPLETE"
			}
		}
		v.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (v *reporter) finish(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.text = text
}

func (v *reporter) address(t *testing.T) string {
	t.Helper()
	for range 200 {
		v.mu.Lock()
		hook := v.hook
		v.mu.Unlock()
		if hook != "" {
			return hook
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("no request with an address to report to")
	return ""
}

func (v *reporter) counts() (posts, gets int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.posts, v.gets
}

func newReporter(t *testing.T, v *reporter) *site {
	t.Helper()
	t.Parallel()
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	if v.pace.FirstPoll == 0 {
		v.pace = services.HighlightOptions{FirstPoll: time.Hour, MaxPoll: time.Hour, Deadline: 2 * time.Hour}
	}
	s := newSiteWith(t, siteOptions{
		vendors: services.Vendors{LogRocketURL: v.URL, LogRocketAppURL: v.URL, Timeout: 5 * time.Second}, now: time.Now, webhooks: true,
		pace: v.pace,
	})
	if _, problems, err := s.services.Connections.Add(t.Context(), services.CommandLine(s.org.ID), services.ConnectionForm{
		Vendor: services.LogRocket, Name: "Web app", Key: services.NewSecret("acme:web:key"),
	}); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	return s
}

// askAbout requests highlights and returns their page.
func askAbout(t *testing.T, b *browser, email string) string {
	t.Helper()
	a := b.post("/o/acme/highlights", "connection", "1", "by", "email", "subject", email, "token", email)
	if a.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", a.status, a.body)
	}
	return a.location
}

// report posts to an address as LogRocket would, without cookies.
func report(t *testing.T, address, body string) int {
	t.Helper()
	res, err := http.Post(address, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

const reported = `{"requestID":"` + reporterID + `","status":"COMPLETE","result":{"highlights":"a lie","sessions":[]}}`

func TestReportedHighlightsAreFetchedAtOnce(t *testing.T) {
	v := &reporter{}
	s := newReporter(t, v)
	b := s.as(t, "support@example.com")
	page := askAbout(t, b, "ada@example.com")
	hook := v.address(t)
	b.until(page, "LogRocket is working on it")
	if !strings.HasPrefix(hook, s.URL+"/webhooks/logrocket/") || len(hook) < len(s.URL)+50 {
		t.Fatalf("LogRocket was told to report to %q", hook)
	}
	v.finish("Ada paid *twice*.")
	// What was reported is a hint: the result is what LogRocket answers.
	for range 3 {
		if status := report(t, hook, reported); status != http.StatusNoContent {
			t.Fatalf("the report was answered with %d", status)
		}
	}
	a := b.until(page, "Ada paid <em>twice</em>.")
	if strings.Contains(a.body, "a lie") {
		t.Error("the page shows what was reported, not what was fetched")
	}
	if posts, gets := v.counts(); posts != 1 || gets < 1 || gets > 3 {
		t.Errorf("%d requests and %d questions", posts, gets)
	}
	// Late and repeated reports change nothing.
	v.finish("Something else.")
	if status := report(t, hook, reported); status != http.StatusNoContent {
		t.Errorf("a late report was answered with %d", status)
	}
	b.until(page, "Ada paid <em>twice</em>.")
	if logs := s.log.String(); strings.Contains(logs, hook[strings.LastIndex(hook, "/")+1:]) {
		t.Errorf("the log has the address's secret:\n%s", logs)
	}
}

func TestReportedBeforeTheRequestIsAnswered(t *testing.T) {
	v := &reporter{text: "Early."}
	v.onPost = func(hook string) { report(t, hook, reported) }
	s := newReporter(t, v)
	b := s.as(t, "support@example.com")
	b.until(askAbout(t, b, "ada@example.com"), "Early.")
	if posts, _ := v.counts(); posts != 1 {
		t.Errorf("%d requests", posts)
	}
}

func TestReportBringsBackARequestThatWasThoughtLost(t *testing.T) {
	for name, early := range map[string]bool{"before": true, "after": false} {
		t.Run(name, func(t *testing.T) {
			v := &reporter{text: "Found again.", silence: true}
			if early {
				v.onPost = func(hook string) { report(t, hook, reported) }
			}
			s := newReporter(t, v)
			b := s.as(t, "support@example.com")
			page := askAbout(t, b, "ada@example.com")
			if !early {
				b.until(page, "We do not know whether LogRocket got this")
				// Without a request id there is nothing to ask for.
				report(t, v.address(t), "{}")
				b.until(page, "We do not know whether LogRocket got this")
				report(t, v.address(t), reported)
			}
			b.until(page, "Found again.")
			if posts, _ := v.counts(); posts != 1 {
				t.Errorf("%d requests", posts)
			}
			if !early {
				b.until("/o/acme/history", "Reported on the highlights of ada@example.com after all")
			}
		})
	}
}

func TestReportsThatAreWrong(t *testing.T) {
	v := &reporter{text: "There."}
	s := newReporter(t, v)
	b := s.as(t, "support@example.com")

	for _, token := range []string{"x", strings.Repeat("A", 43), "..%2f..%2flogin", strings.Repeat("A", 5000)} {
		if status := report(t, s.URL+"/webhooks/logrocket/"+token, reported); status != http.StatusNotFound {
			t.Errorf("a wrong address was answered with %d", status)
		}
	}
	// An unknown address costs no more than its head: nothing of the body is read.
	if status := report(t, s.URL+"/webhooks/logrocket/x", strings.Repeat("x", 10<<20)); status != http.StatusNotFound {
		t.Errorf("10 MB to a wrong address were answered with %d", status)
	}
	if res, err := http.Get(s.URL + "/webhooks/logrocket/x"); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET was answered with %v, %v", res.StatusCode, err)
	}

	for i, body := range []string{"", "not JSON", `{"requestID":"../../x"}`, `[1]`, strings.Repeat("[", 200_000), strings.Repeat("x", 10<<20)} {
		page := askAbout(t, b, fmt.Sprintf("ada%d@example.com", i))
		b.until(page, "LogRocket is working on it")
		want := http.StatusNoContent
		if len(body) > 1<<20 {
			want = http.StatusRequestEntityTooLarge
		}
		if status := report(t, v.address(t), body); status != want {
			t.Errorf("report %d was answered with %d", i, status)
		}
		// It came to the right address, so there is something to fetch.
		b.until(page, "There.")
	}
}

func TestReportThatNeverEnds(t *testing.T) {
	v := &reporter{text: "There."}
	s := newReporter(t, v)
	b := s.as(t, "support@example.com")
	page := askAbout(t, b, "ada@example.com")
	b.until(page, "LogRocket is working on it")
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{", strings.TrimPrefix(v.address(t), s.URL))
	answer, err := io.ReadAll(c) // the server hangs up
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
		t.Errorf("a report that never ends: %q, %v", answer, err)
	}
	b.until(page, "There.")
}

func TestAnswerAboutAnotherRequestIsNotTaken(t *testing.T) {
	v := &reporter{}
	s := newReporter(t, v)
	b := s.as(t, "support@example.com")
	page := askAbout(t, b, "ada@example.com")
	b.until(page, "LogRocket is working on it")
	v.mu.Lock()
	v.id = "0ther"
	v.mu.Unlock()
	v.finish("Somebody else's.")
	report(t, v.address(t), reported)
	if a := b.until(page, "Sightline keeps asking"); strings.Contains(a.body, "Somebody else") {
		t.Errorf("the page shows another request%ss result\n%s", "'", a.body)
	}
}

// TestBothDialectsReport has the stand-in deliver what the vendor would, while
// Sightline would ask by itself only in an hour.
func TestBothDialectsReport(t *testing.T) {
	for _, dialect := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			box, err := sandbox.Start(t.Context(), sandbox.Options{Customers: 30, Sessions: 600, Days: 10, Dialect: dialect, HighlightDelay: 300 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := box.Close(); err != nil {
					t.Errorf("close the stand-in: %v", err)
				}
			})
			s := newSiteWith(t, siteOptions{
				vendors: services.Vendors{LogRocketURL: box.LogRocketURL(), LogRocketAppURL: box.LogRocketAppURL(), Timeout: 5 * time.Second}, now: time.Now, webhooks: true,
				pace: services.HighlightOptions{FirstPoll: time.Hour, MaxPoll: time.Hour, Deadline: 2 * time.Hour},
			})
			(&rocket{site: s, box: box}).connect(t, "Web app")
			b := s.as(t, "support@example.com")
			b.until(askAbout(t, b, box.Company().Demo()[0].Email), "What happened", "Recording session 1 of")
			if n := box.HighlightJobs(); n != 1 {
				t.Errorf("%d jobs were started", n)
			}
		})
	}
}
