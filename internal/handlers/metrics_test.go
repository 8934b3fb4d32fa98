package handlers_test

import (
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sightline/internal/handlers"
	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

// figure is the value of a line of /metrics, 0 if there is none.
func figure(t *testing.T, page, line string) float64 {
	t.Helper()
	for l := range strings.Lines(page) {
		if value, ok := strings.CutPrefix(l, line+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// untilFigure waits until a line of /metrics has at least a value: a request is counted
// once it was answered.
func (b *browser) untilFigure(line string, want float64) string {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		page := b.get("/metrics").body
		if got := figure(b.t, page, line); got >= want {
			return page
		} else if time.Now().After(end) {
			b.t.Fatalf("%s is %v and never %v\n%s", line, got, want, page)
		}
	}
}

func TestMetricsMoveWithWhatIsDoneAndNameNobody(t *testing.T) {
	t.Parallel()
	s, sb := newSandboxSite(t, sandbox.Options{Customers: 60, Sessions: 600, RaygunDailyLimit: 50})
	b, monitor := s.as(t, "support@example.com"), s.browser(t)

	b.get("/o/acme/customers").wants(t, 200)
	b.get("/o/acme/customers").wants(t, 200)
	b.get("/o/acme/customers/999999").wants(t, 404)
	b.get("/no/such/page").wants(t, 404)
	b.get("/o/acme/lookup?q=grace.hopper%40example.com")
	monitor.untilFigure(`sightline_http_requests_total{method="GET",route="/o/{org}/customers",status="2xx"}`, 2)
	monitor.untilFigure(`sightline_http_request_duration_seconds_count{method="GET",route="/o/{org}/customers"}`, 2)
	monitor.untilFigure(`sightline_http_requests_total{method="GET",route="/o/{org}/customers/{id}",status="4xx"}`, 1)
	monitor.untilFigure(`sightline_http_requests_total{method="POST",route="/login",status="3xx"}`, 1)

	// A call that is answered, and one that is not.
	ada := sb.Company().Demo()[0]
	before := monitor.get("/metrics").body
	b.until(b.post("/o/acme/sessions/ask", "span", "60d", "connection", "1").location, "500 are here.")
	const calls = `sightline_vendor_calls_total{vendor="raygun",operation="sessions",outcome=`
	page := monitor.get("/metrics").body
	if got := figure(t, page, calls+`"ok"}`) - figure(t, before, calls+`"ok"}`); got < 1 {
		t.Errorf("%v calls went well\n%s", got, page)
	}
	left := figure(t, page, `sightline_budget_calls_left{connection="1",vendor="raygun"}`)
	if allowed := figure(t, page, `sightline_budget_calls_allowed{connection="1",vendor="raygun"}`); allowed != 50 || left <= 0 || left >= allowed {
		t.Errorf("%v of %v calls are left", left, allowed)
	}
	sb.Fault(sandbox.Fault{Vendor: sandbox.Raygun, Operation: "sessions", Kind: sandbox.FaultForbidden})
	b.until(b.post("/o/acme/lookup/ask", "q", "nobody.known@example.com", "connection", "1").location, "Raygun")
	monitor.untilFigure(calls+`"forbidden"}`, 1)
	page = monitor.get("/metrics").body
	if figure(t, page, `sightline_jobs_total{kind="ask",outcome="done"}`) < 2 {
		t.Errorf("the jobs were not counted\n%s", page)
	}
	for _, line := range []string{"sightline_database_bytes", "sightline_data_changes_total", "process_start_time_seconds", "go_goroutines", `sightline_build_info{version="test",goversion=`} {
		if !strings.Contains(page, "\n"+line) {
			t.Errorf("%s is missing\n%s", line, page)
		}
	}
	for _, name := range []string{ada.Email, "example.com", "hopper", "Acme", "acme", "Shop", "/no/such"} {
		if strings.Contains(page, name) {
			t.Errorf("the page names %q\n%s", name, page)
		}
	}
	wellFormed(t, page)
}

// wellFormed fails the test if a line is not as Prometheus reads it, a name has
// no type, or a series stands there twice.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	line := regexp.MustCompile(`^([a-z][a-z0-9_]*?)(_bucket|_sum|_count)?(\{[a-z]+="[^"\\\n]*"(?:,[a-z]+="[^"\\\n]*")*\})? [0-9.e+-]+$`)
	types, seen := map[string]string{}, map[string]bool{}
	for l := range strings.Lines(page) {
		l = strings.TrimSuffix(l, "\n")
		if f := strings.Fields(l); f[0] == "#" {
			if f[1] == "TYPE" {
				types[f[2]] = f[3]
			}
			continue
		}
		m := line.FindStringSubmatch(l)
		if m == nil {
			t.Errorf("%q cannot be read", l)
			continue
		}
		if types[m[1]] != "histogram" {
			m[1] += m[2]
		}
		if types[m[1]] == "" {
			t.Errorf("%q has no type", l)
		}
		series := l[:strings.LastIndexByte(l, ' ')]
		if seen[series] {
			t.Errorf("%s stands there twice", series)
		}
		seen[series] = true
	}
}

func TestMetricsAreForWhoeverHasTheTokenOrForThisMachine(t *testing.T) {
	t.Parallel()
	const token = "a token of some length"
	s := newSite(t, services.Vendors{})
	for _, tt := range []struct {
		name       string
		opt        handlers.Options
		from, host string // this machine, unless they are given
		header     []string
		want       int
	}{
		{name: "this machine", want: 200},
		{name: "this machine, IPv6", from: "[::1]:5", host: "[::1]:8420", want: 200},
		{name: "another machine", from: "192.0.2.7:5", want: 404},
		{name: "through a proxy", header: []string{"X-Forwarded-For", "192.0.2.7"}, want: 404},
		{name: "through a proxy that says it otherwise", header: []string{"Forwarded", "for=192.0.2.7"}, want: 404},
		{name: "another name that leads here", host: "evil.example:8420", want: 404},
		{name: "behind a proxy that is known of", opt: handlers.Options{TrustProxy: true}, want: 404},
		{name: "with a public address", opt: handlers.Options{BaseURL: mustURL(t, "https://sightline.example.com")}, want: 404},
		{name: "a token that nobody asked for", from: "192.0.2.7:5", header: []string{"Authorization", "Bearer "}, want: 404},

		{name: "the token", opt: handlers.Options{MetricsKey: sha256.Sum256([]byte(token)), TrustProxy: true, BaseURL: mustURL(t, "https://sightline.example.com")},
			from: "192.0.2.7:5", host: "sightline.example.com", header: []string{"Authorization", "Bearer " + token}, want: 200},
		{name: "a wrong token", opt: handlers.Options{MetricsKey: sha256.Sum256([]byte(token))}, header: []string{"Authorization", "Bearer " + token + "x"}, want: 401},
		{name: "the token in another manner", opt: handlers.Options{MetricsKey: sha256.Sum256([]byte(token))}, header: []string{"Authorization", token}, want: 401},
		{name: "no token, from this machine", opt: handlers.Options{MetricsKey: sha256.Sum256([]byte(token))}, want: 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.opt.Services, tt.opt.Log, tt.opt.Now, tt.opt.Version = s.services, slog.New(slog.DiscardHandler), time.Now, "test"
			h, err := handlers.New(tt.opt)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
			r.RemoteAddr, r.Host = "127.0.0.1:5", "localhost:8420"
			if tt.from != "" {
				r.RemoteAddr = tt.from
			}
			if tt.host != "" {
				r.Host = tt.host
			}
			for i := 0; i+1 < len(tt.header); i += 2 {
				r.Header.Set(tt.header[i], tt.header[i+1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Fatalf("status %d, want %d\n%s", w.Code, tt.want, w.Body)
			}
			if got := strings.Contains(w.Body.String(), "sightline_build_info"); got != (tt.want == 200) {
				t.Errorf("figures: %v\n%s", got, w.Body)
			}
			if (w.Header().Get("WWW-Authenticate") != "") != (tt.want == 401) {
				t.Errorf("WWW-Authenticate: %q", w.Header().Get("WWW-Authenticate"))
			}
		})
	}
}
