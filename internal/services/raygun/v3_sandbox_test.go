package raygun_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"sightline/internal/services/raygun"
	"sightline/internal/services/sandbox"
	"sightline/internal/services/sandbox/contracttest"
	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
	"sightline/internal/services/upstream/upstreamtest"
)

// noLimits lets tests ask as fast as they can.
func noLimits() sandbox.RaygunLimits {
	return sandbox.RaygunLimits{PerSecond: -1, PerMinute: -1, PerDay: -1}
}

func sandboxV3(t *testing.T, s *sandbox.Sandbox, change ...func(*raygun.OptionsV3)) (*raygun.V3, *upstreamtest.Ledger) {
	t.Helper()
	creds := s.Credentials()
	return clientV3(t, s.RaygunURL(), append([]func(*raygun.OptionsV3){func(o *raygun.OptionsV3) {
		o.Token, o.Application = secrets.New(creds.RaygunToken), creds.RaygunApplication
	}}, change...)...)
}

// useSandboxV3 asks everything there is about things that exist.
func useSandboxV3(t *testing.T, s *sandbox.Sandbox, v *raygun.V3) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	apps, err := v.Applications(ctx)
	must(err)
	own, err := v.Application(ctx)
	must(err)
	if len(apps) < 2 || own.ID != s.Credentials().RaygunApplication || own.APIKey.Reveal() != s.Credentials().RaygunAPIKey || own.Name == "" || !own.HasRUM {
		t.Errorf("%d applications, %+v", len(apps), own)
	}
	page, err := v.Sessions(ctx, lately())
	must(err)
	if len(page.Sessions) != raygun.MaxLimit || !page.More || !page.NewestFirst || page.Unreadable != 0 {
		t.Fatalf("%d sessions, more %v, newest first %v, %d unreadable", len(page.Sessions), page.More, page.NewestFirst, page.Unreadable)
	}
	views, failures := "", ""
	for _, one := range page.Sessions[:40] {
		detail, err := v.Session(ctx, one.ID)
		must(err)
		if !detail.Detailed || detail.ID != one.ID || detail.PageViewCount != len(detail.PageViews) || !detail.Start.Equal(one.Start) || detail.WebLink == "" {
			t.Fatalf("detail %+v", detail)
		}
		if len(detail.PageViews) > 0 {
			views = detail.PageViews[0].PageID
		}
		if len(detail.Errors) > 0 {
			failures = detail.Errors[0].GroupID
		}
	}
	user, err := v.Customer(ctx, page.Sessions[0].User.ID)
	must(err)
	users, err := v.Customers(ctx, raygun.ListQuery{Recent: true})
	must(err)
	where, err := v.Page(ctx, views)
	must(err)
	pages, err := v.Pages(ctx, raygun.ListQuery{})
	must(err)
	group, err := v.ErrorGroup(ctx, failures)
	must(err)
	groups, err := v.ErrorGroups(ctx, raygun.ListQuery{})
	must(err)
	if user.ID == "" || user.Partial || len(users.Items) == 0 || where.Label() == "" || len(pages.Items) == 0 || group.Message == "" || len(groups.Items) == 0 ||
		users.Unreadable+pages.Unreadable+groups.Unreadable > 0 {
		t.Errorf("%+v, %d users, %+v, %d pages, %+v, %d groups", user, len(users.Items), where, len(pages.Items), group, len(groups.Items))
	}
	now := testNow
	m := raygun.MetricsQuery{
		From: now.AddDate(0, 0, -7), To: now, Granularity: 24 * time.Hour, Aggregation: raygun.AggregateP95,
		Metrics: []raygun.Metric{raygun.MetricLoadTime, raygun.MetricLargestContentfulPaint}, Pages: []string{where.ID, pages.Items[0].ID},
	}
	series, err := v.PageMetrics(ctx, m)
	must(err)
	m.Pages = nil
	bars, err := v.PageHistogram(ctx, m)
	must(err)
	if len(series) != 2 || len(series[0].Points) < 7 || len(bars) != 2 || len(bars[0].Buckets) == 0 || bars[0].Buckets[0].To == nil {
		t.Errorf("series %+v\nhistograms %+v", series, bars)
	}
}

// TestV3TrafficFollowsTheDocument holds each request, and each recorded and each
// made-up answer, against the document that Raygun publishes.
func TestV3TrafficFollowsTheDocument(t *testing.T) {
	document := contracttest.LoadV3(t)
	s := startSandbox(t, sandbox.DialectContract)
	s.SetRaygunV3Limits(noLimits())
	target, err := url.Parse(s.RaygunURL())
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: document.Transport(t, http.DefaultTransport)}
	recorded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, v3Answers[operationOf(r)]) })
	seen := map[string]bool{}
	gate := func(next http.Handler) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			if err := document.CheckRequest(r, body); err != nil {
				t.Errorf("%s %s: %v", r.Method, r.URL, err)
			}
			seen[document.Operation(r)] = true
			r.Body = io.NopCloser(bytes.NewReader(body))
			answer := httptest.NewRecorder()
			next.ServeHTTP(answer, r)
			if header := (http.Header{"Content-Type": {"application/json"}}); answer.Code == http.StatusOK {
				if err := document.CheckResponse(r, answer.Code, header, answer.Body.Bytes()); err != nil {
					t.Errorf("answer of %s: %v", document.Operation(r), err)
				}
			}
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
		})
	}
	v, ledger := sandboxV3(t, s, func(o *raygun.OptionsV3) { o.BaseURL = gate(pass) })
	useSandboxV3(t, s, v)
	if _, err := v.Check(t.Context()); err != nil {
		t.Error(err)
	}
	q := lately()
	q.RequestURI = "https://api.example.com/x?a=b c"
	if _, err := v.Sessions(t.Context(), q); err != nil {
		t.Error(err)
	}
	v, _ = clientV3(t, gate(recorded))
	for operation, err := range useV3(t.Context(), v, day) {
		if err != nil || !seen[operation] {
			t.Errorf("%s: %v", operation, err)
		}
	}
	for _, row := range ledger.Rows() {
		if !seen[row.Operation] {
			t.Errorf("the ledger has %s, which is no operation of the document", row.Operation)
		}
	}
}

func TestV3WorksInBothDialectsAndFindsTheSessionsOfV1(t *testing.T) {
	for _, dialect := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		t.Run(string(dialect), func(t *testing.T) {
			s := startSandbox(t, dialect)
			s.SetRaygunV3Limits(noLimits())
			v, ledger := sandboxV3(t, s)
			useSandboxV3(t, s, v)
			wantRowPerCallV3(t, s, ledger)
			for _, ways := range [][]sandbox.Disorder{nil, {sandbox.DisorderRepeat}, {sandbox.DisorderShuffle}} {
				s.SetDisorder(ways...)
				inV3, inV1 := map[string]time.Time{}, map[string]time.Time{}
				walkAll(t, v, func(one raygun.Session) {
					number, ok := raygun.BaseTen(one.ID)
					if !ok {
						t.Errorf("identifier %q", one.ID)
					}
					inV3[number] = one.Start
				})
				s.SetDisorder()
				v1, _ := sandboxClient(t, s)
				walkAll(t, v1, func(one raygun.Session) { inV1[one.ID] = one.Start })
				if len(inV1) < 900 || len(inV3) != len(inV1) {
					t.Errorf("%v: v3 finds %d sessions, v1 %d", ways, len(inV3), len(inV1))
				}
				for id, start := range inV1 {
					if !inV3[id].Equal(start) {
						t.Fatalf("%v: session %s is not the same in v3", ways, id)
					}
				}
			}
		})
	}
}

func walkAll(t *testing.T, api raygun.API, found func(raygun.Session)) {
	t.Helper()
	q := lately()
	for range 20 {
		page, err := api.Sessions(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page.Sessions {
			found(one)
		}
		if !page.More {
			return
		}
		q.Skip = page.NextSkip
	}
	t.Error("the walk has no end")
}

func wantRowPerCallV3(t *testing.T, s *sandbox.Sandbox, ledger *upstreamtest.Ledger) {
	t.Helper()
	rows, calls := ledger.Rows(), s.Calls()
	if len(rows) != len(calls) {
		t.Fatalf("%d ledger rows, the server saw %d requests", len(rows), len(calls))
	}
	for i, row := range rows {
		if row.Ends != 1 || !row.Counts || row.Method != calls[i].Method || row.Operation != calls[i].Operation || row.Outcome.Status != calls[i].Status {
			t.Errorf("row %d: %+v, the server saw %+v", i, row, calls[i])
		}
	}
}

func TestV3FindsOnlySessionsThatMadeARequest(t *testing.T) {
	s := startSandbox(t, sandbox.DialectLive)
	s.SetRaygunV3Limits(noLimits())
	v, _ := sandboxV3(t, s)
	q := lately()
	for uri, some := range map[string]bool{"https://api.example.com/api/basket": true, "https://api.example.com/nothing/like/it": false} {
		q.RequestURI = uri
		page, err := v.Sessions(t.Context(), q)
		if err != nil || page.NewestFirst || (len(page.Sessions) > 0) != some || page.Listed > 800 || !some && page.More {
			t.Errorf("%s: %d of %d sessions, more %v, %v", uri, len(page.Sessions), page.Listed, page.More, err)
		}
	}
}

func TestV3WalkOfADayEndsWithTheDay(t *testing.T) {
	s := startSandbox(t, sandbox.DialectLive)
	s.SetRaygunV3Limits(noLimits())
	v, _ := sandboxV3(t, s)
	want := map[string]bool{}
	yesterday := testNow.Truncate(24 * time.Hour)
	q := raygun.SessionQuery{From: yesterday.AddDate(0, 0, -1), To: yesterday.Add(-time.Millisecond), Limit: 50}
	walkAll(t, v, func(one raygun.Session) {
		if !one.Start.Before(q.From) && !one.Start.After(q.To) {
			want[one.ID] = true
		}
	})
	before, got := s.CountCalls(sandbox.OpV3ListSessions), 0
	for {
		page, err := v.Sessions(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page.Sessions {
			if !want[one.ID] {
				t.Errorf("session of %s in the day from %s", one.Start, q.From)
			}
			got++
		}
		if !page.More {
			break
		}
		q.Skip = page.NextSkip
	}
	if calls := s.CountCalls(sandbox.OpV3ListSessions) - before; got != len(want) || got == 0 || calls > 10 {
		t.Errorf("%d of %d sessions of the day, in %d calls", got, len(want), calls)
	}
}

func TestV3CheckNamesTheScopesThatTheSandboxWithholds(t *testing.T) {
	for _, dialect := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		s := startSandbox(t, dialect)
		s.SetRaygunV3Limits(noLimits())
		s.SetRaygunScopes("rum.sessions:read", "customers:read")
		v, _ := sandboxV3(t, s)
		result, err := v.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, scope := range result.Scopes {
			want := scope.Scope == "rum.sessions:read" || scope.Scope == "customers:read"
			if !scope.Tried || scope.Works != want || strings.Contains(result.Sentence, scope.Scope) == want {
				t.Errorf("%s: %+v in %q", dialect, scope, result.Sentence)
			}
		}
		s.SetRaygunScopes()
		_, err = v.Check(t.Context())
		if e := wantKind(t, err, upstream.Forbidden); e.Scope != "rum.sessions:read" {
			t.Errorf("%s: names %q", dialect, e.Scope)
		}
	}
}

func TestV3FaultsHaveTheirKind(t *testing.T) {
	s := startSandbox(t, sandbox.DialectContract)
	s.SetRaygunV3Limits(noLimits())
	for _, tt := range []struct {
		fault sandbox.FaultKind
		kind  upstream.Kind
		calls int
	}{
		{sandbox.FaultUnauthorized, upstream.WrongKey, 1},
		{sandbox.FaultForbidden, upstream.Forbidden, 1},
		{sandbox.FaultNotFound, upstream.NotFound, 1},
		{sandbox.FaultServerError, upstream.Down, 1},
		{sandbox.FaultBadGateway, upstream.Down, 3},
		{sandbox.FaultUnavailable, upstream.Down, 3},
		{sandbox.FaultGarbage, upstream.Unexpected, 1},
		{sandbox.FaultEmpty, upstream.Unexpected, 1},
		{sandbox.FaultWrongType, upstream.Unexpected, 1},
		{sandbox.FaultCut, upstream.Down, 3},
		{sandbox.FaultDrop, upstream.Down, 3},
	} {
		t.Run(fmt.Sprint(tt.fault), func(t *testing.T) {
			v, ledger := sandboxV3(t, s)
			defer s.Fault(sandbox.Fault{Operation: sandbox.OpV3ListSessions, Kind: tt.fault, RetryAfter: time.Second})()
			_, err := v.Sessions(t.Context(), lately())
			wantKind(t, err, tt.kind)
			if n := len(ledger.Rows()); n != tt.calls {
				t.Errorf("%d calls, want %d", n, tt.calls)
			}
		})
	}
}

func TestV3StaysWithinTheSandboxesLimits(t *testing.T) {
	s := startSandbox(t, sandbox.DialectLive)
	v, ledger := sandboxV3(t, s, func(o *raygun.OptionsV3) { o.Pace = raygun.NewPace() })
	for range 25 {
		if _, err := v.Pages(t.Context(), raygun.ListQuery{Limit: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range ledger.Rows() {
		if row.Outcome.Status != http.StatusOK {
			t.Errorf("a call was refused: %+v", row)
		}
	}
	s.SetRaygunV3Limits(sandbox.RaygunLimits{PerSecond: -1, PerMinute: -1, PerDay: 1})
	fast, _ := sandboxV3(t, s, func(o *raygun.OptionsV3) { o.Pace = rate.NewLimiter(rate.Inf, 1) })
	_, err := fast.Pages(t.Context(), raygun.ListQuery{Limit: 1})
	if e := wantKind(t, err, upstream.RateLimited); e.Until.IsZero() || !strings.Contains(e.Says, "1d") {
		t.Errorf("until %s, says %q", e.Until, e.Says)
	}
}
