package raygun_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"sightline/internal/services/raygun"
	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
)

func TestV3MissingScopesAreNamed(t *testing.T) {
	scopes := map[string]string{
		"list-applications": "applications:read", "get-application-by-identifier": "applications:read",
		"list-sessions": "rum.sessions:read", "get-session-by-identifier": "rum.sessions:read",
		"list-customers": "customers:read", "get-customer-by-identifier": "customers:read", "list-pages": "rum.pages:read", "get-page": "rum.pages:read",
		"list-error-groups": "cr.errors:read", "get-error-group": "cr.errors:read",
		"metrics-pages-time-series": "metrics:pages", "metrics-pages-histogram": "metrics:pages",
	}
	for name, body := range map[string]string{
		"nothing said":              "",
		"words that sound of a key": `{"type":"x","title":"Forbidden","status":403,"traceId":"t","detail":"Invalid scope of the token"}`,
	} {
		v, ledger := clientV3(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, body)
		}))
		errs := useV3(t.Context(), v, day)
		for operation, scope := range scopes {
			if e := wantKind(t, errs[operation], upstream.Forbidden); e.Scope != scope || e.Operation != operation {
				t.Errorf("%s: %s names %q of %s, want %q", name, operation, e.Scope, e.Operation, scope)
			}
		}
		if len(ledger.Rows()) != len(scopes) {
			t.Errorf("%d calls for %d refusals", len(ledger.Rows()), len(scopes))
		}
	}
	v, _ := clientV3(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"detail":"needs rum.sessions:write"}`)
	}))
	_, err := v.Sessions(t.Context(), day)
	if e := wantKind(t, err, upstream.Forbidden); e.Scope != "rum.sessions:write" {
		t.Errorf("the vendor's own word is lost: %q", e.Scope)
	}
}

func TestV3FailuresHaveTheirKind(t *testing.T) {
	const problem = `{"type":"https://x","title":"Bad things","status":%d,"detail":"So it is.","traceId":"t"}`
	tests := []struct {
		status   int
		typ      string
		body     string
		kind     upstream.Kind
		says     string
		attempts int
	}{
		{401, "application/problem+json", "", upstream.WrongKey, "Bad things. So it is.", 1},
		{401, "application/json", "", upstream.WrongKey, "Bad things. So it is.", 1},
		{404, "application/problem+json", "", upstream.NotFound, "Bad things. So it is.", 1},
		{400, "application/json", "", upstream.Invalid, "Bad things. So it is.", 1},
		{422, "application/problem+json", `{"title":"Invalid","status":422,"errors":{"start":["too long ago"]}}`, upstream.Invalid, "Invalid. start: too long ago", 1},
		{429, "text/plain", "API calls quota exceeded! maximum admitted 10 per 1s.", upstream.RateLimited, "API calls quota exceeded! maximum admitted 10 per 1s.", 1},
		{500, "text/html", "<h1>Oops</h1>", upstream.Down, "Oops", 1},
		{503, "text/html", "<h1>Oops</h1>", upstream.Down, "Oops", 3},
		{200, "text/html", "<h1>Log in</h1>", upstream.Unexpected, "", 1},
		{200, "application/json", `null`, upstream.Unexpected, "", 1},
		{204, "application/json", ``, upstream.Unexpected, "", 1},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status, tt.typ), func(t *testing.T) {
			v, ledger := clientV3(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				body := tt.body
				if body == "" && tt.status >= 400 {
					body = fmt.Sprintf(problem, tt.status)
				}
				w.Header().Set("Content-Type", tt.typ)
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, body)
			}))
			_, err := v.Sessions(t.Context(), day)
			if e := wantKind(t, err, tt.kind); e.Says != tt.says || !e.Sent {
				t.Errorf("says %q, want %q", e.Says, tt.says)
			}
			if n := len(ledger.Rows()); n != tt.attempts {
				t.Errorf("%d attempts, want %d", n, tt.attempts)
			}
		})
	}
}

func TestV3WaitsAShortRetryAfterAndReportsALongOne(t *testing.T) {
	for after, want := range map[string]int{"1": 2, "3600": 1} {
		var calls atomic.Int32
		v, ledger := clientV3(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if calls.Add(1) == 1 {
				w.Header().Set("Retry-After", after)
				w.Header().Set("Content-Type", "text/plain")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			_, _ = io.WriteString(w, "[]")
		}))
		started := time.Now()
		_, err := v.Sessions(t.Context(), day)
		if want == 2 && (err != nil || time.Since(started) < time.Second) {
			t.Errorf("after %s s: %v, in %s", after, err, time.Since(started))
		}
		if want == 1 {
			if e := wantKind(t, err, upstream.RateLimited); time.Until(e.Until) < 59*time.Minute {
				t.Errorf("until %s", e.Until)
			}
		}
		if len(ledger.Rows()) != want {
			t.Errorf("after %s s: %d calls", after, len(ledger.Rows()))
		}
	}
}

func TestV3KeepsWithinTenCallsASecond(t *testing.T) {
	var mu sync.Mutex
	var at []time.Time
	fail := true
	pace := raygun.NewPace()
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		at = append(at, time.Now())
		failing := fail
		fail = !fail
		mu.Unlock()
		if failing { // repeats are paced too
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "[]")
	})
	// Two clients of one token share its limits.
	one, _ := clientV3(t, base, func(o *raygun.OptionsV3) { o.Pace = pace })
	two, _ := clientV3(t, base, func(o *raygun.OptionsV3) { o.Pace = pace })
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() { _, _ = []*raygun.V3{one, two}[i%2].Sessions(t.Context(), day) })
	}
	wg.Wait()
	slices.SortFunc(at, time.Time.Compare)
	if len(at) < 15 {
		t.Fatalf("only %d calls", len(at))
	}
	for i := 10; i < len(at); i++ {
		if gap := at[i].Sub(at[i-10]); gap < time.Second {
			t.Errorf("11 calls within %s", gap)
		}
	}
}

func TestV3CallersThatGiveUpWhileWaitingSendNothing(t *testing.T) {
	v, ledger := clientV3(t, "https://raygun.invalid", func(o *raygun.OptionsV3) { o.Pace = rate.NewLimiter(rate.Every(time.Hour), 1); o.Pace.Allow() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := v.Sessions(ctx, day)
	wantKind(t, err, upstream.Canceled)
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = v.Sessions(ctx, day)
	if e := wantKind(t, err, upstream.TimedOut); e.Sent || len(ledger.Rows()) != 0 {
		t.Errorf("sent %v, %d ledger rows", e.Sent, len(ledger.Rows()))
	}
}

func TestV3CheckSaysWhatTheTokenMayDo(t *testing.T) {
	lacking := map[string]int{}
	rum := true
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		operation := operationOf(r)
		if status := lacking[operation]; status != 0 {
			w.WriteHeader(status)
			return
		}
		answer := v3Answers[operation]
		if !rum {
			answer = strings.ReplaceAll(answer, `"hasSentRumData":true`, `"hasSentRumData":false`)
		}
		_, _ = io.WriteString(w, answer)
	})
	tests := []struct {
		name    string
		lacking map[string]int
		noRUM   bool
		noApp   bool
		says    []string
		kind    upstream.Kind
		calls   int
	}{
		{name: "everything", says: []string{"“Shop”", "every permission"}, calls: 6},
		{name: "no names", lacking: map[string]int{"list-error-groups": 403, "metrics-pages-time-series": 403}, says: []string{"lacks cr.errors:read (for what an error says), metrics:pages (for page metrics)."}, calls: 6},
		{name: "not the application", lacking: map[string]int{"get-application-by-identifier": 403}, says: []string{"accepted the token, and sessions", "lacks applications:read"}, calls: 6},
		{name: "no data", noRUM: true, says: []string{"not sent any Real User Monitoring data"}, calls: 6},
		{name: "too many calls on the way", lacking: map[string]int{"list-customers": 429}, says: []string{"customers:read", "metrics:pages", "could not be found out"}, calls: 3},
		{name: "no sessions", lacking: map[string]int{"list-sessions": 403}, kind: upstream.Forbidden, calls: 2},
		{name: "unknown application", lacking: map[string]int{"get-application-by-identifier": 404}, kind: upstream.NotFound, calls: 1},
		{name: "bad token", lacking: map[string]int{"get-application-by-identifier": 401}, kind: upstream.WrongKey, calls: 1},
		{name: "none chosen", noApp: true, says: []string{"has to be chosen"}, calls: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lacking, rum = tt.lacking, !tt.noRUM
			v, ledger := clientV3(t, base, func(o *raygun.OptionsV3) {
				if tt.noApp {
					o.Application = ""
				}
			})
			result, err := v.Check(t.Context())
			if tt.kind != "" {
				if e := wantKind(t, err, tt.kind); tt.kind == upstream.Forbidden && e.Scope != "rum.sessions:read" {
					t.Errorf("names %q", e.Scope)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			for _, words := range tt.says {
				if !strings.Contains(result.Sentence, words) {
					t.Errorf("%q does not say %q", result.Sentence, words)
				}
			}
			if n := len(ledger.Rows()); n != tt.calls {
				t.Errorf("%d calls, want %d", n, tt.calls)
			}
		})
	}
}

func TestV3WrongQuestionsCostNothing(t *testing.T) {
	v, ledger := clientV3(t, "https://raygun.invalid")
	ctx := t.Context()
	check := func(what string, err error) {
		t.Helper()
		if e := wantKind(t, err, upstream.Invalid); e.Sent {
			t.Errorf("%s counts as sent", what)
		}
	}
	for _, q := range []raygun.SessionQuery{{}, {From: day.To, To: day.From}, {From: day.From, To: day.To, Skip: -1}, {From: day.From, To: day.To, Skip: 1 << 40}, {From: day.From, To: day.To, RequestURI: "a\nb"}} {
		_, err := v.Sessions(ctx, q)
		check("sessions", err)
	}
	for _, id := range []string{"", " ", "..", "a/b", "a?b", "ü", strings.Repeat("a", 65)} {
		_, err := v.Session(ctx, id)
		check("session "+id, err)
		_, err = v.ErrorGroup(ctx, id)
		check("error group "+id, err)
	}
	good := raygun.MetricsQuery{From: day.From, To: day.To, Metrics: []raygun.Metric{raygun.MetricLoadTime}, Granularity: time.Hour, Aggregation: raygun.AggregateMax}
	for what, spoil := range map[string]func(*raygun.MetricsQuery){
		"no range": func(q *raygun.MetricsQuery) { q.To = q.From }, "no metric": func(q *raygun.MetricsQuery) { q.Metrics = nil },
		"an unknown metric": func(q *raygun.MetricsQuery) { q.Metrics = []raygun.Metric{"x"} }, "seconds": func(q *raygun.MetricsQuery) { q.Granularity = 90 * time.Second },
		"an unknown aggregation": func(q *raygun.MetricsQuery) { q.Aggregation = "x" }, "a filter in an id": func(q *raygun.MetricsQuery) { q.Pages = []string{"a) OR (b"} },
	} {
		q := good
		spoil(&q)
		_, err := v.PageMetrics(ctx, q)
		check(what, err)
	}
	q := good
	q.Metrics = []raygun.Metric{raygun.MetricPageViews}
	_, err := v.PageHistogram(ctx, q)
	check("a histogram of page views", err)

	none, _ := clientV3(t, "https://raygun.invalid", func(o *raygun.OptionsV3) { o.Application = "" })
	for operation, err := range useV3(ctx, none, day) {
		if operation != "list-applications" {
			check(operation+" without an application", err)
		}
	}
	if n := len(ledger.Rows()); n != 0 {
		t.Errorf("%d ledger rows", n)
	}
	for name, o := range map[string]raygun.OptionsV3{
		"no token": {Token: secrets.New(" "), Ledger: ledger}, "no ledger": {Token: secrets.New("t")},
		"no identifier": {Token: secrets.New("t"), Ledger: ledger, Application: "a/b"}, "no address": {Token: secrets.New("t"), Ledger: ledger, BaseURL: "raygun"},
	} {
		if _, err := raygun.NewV3(o); err == nil {
			t.Errorf("%s: made a client", name)
		}
	}
}

func TestV3ShowsNoSecret(t *testing.T) {
	body, status := "", 0
	v, ledger := clientV3(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, body, r.Header.Get("Authorization"), r.URL.Path)
	}))
	var shown strings.Builder
	show := func(err error) {
		e := wantKind(t, err, upstream.KindOf(err))
		fmt.Fprintf(&shown, "%v %+v %#v %s %s\n", err, *e, *e, e.Says, e.First)
	}
	body, status = `{"title":"no such thing for %s at %s"}`, 404
	_, err := v.Application(t.Context())
	show(err)
	body, status = `{"applications":{"apiKey":"planted-app-key","a":%q,"b":%q}}`, 200
	_, err = v.Applications(t.Context())
	show(err)
	apps, _ := json.Marshal(raygun.Application{APIKey: secrets.New("planted-app-key")})
	fmt.Fprintf(&shown, "%v %+v %#v %+v %s", v, v, v, ledger.Rows(), apps)
	for _, secret := range []string{plantedToken, "planted-app-key"} {
		if strings.Contains(shown.String(), secret) {
			t.Errorf("shows %s in %s", secret, shown.String())
		}
	}
}
