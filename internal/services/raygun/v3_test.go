package raygun_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"sightline/internal/services/raygun"
	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
	"sightline/internal/services/upstream/upstreamtest"
)

const plantedToken = "planted-access-token"

func serve(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL
}

// clientV3 is a client of application abc1 that does not pace itself.
func clientV3(t *testing.T, base string, change ...func(*raygun.OptionsV3)) (*raygun.V3, *upstreamtest.Ledger) {
	t.Helper()
	ledger := &upstreamtest.Ledger{}
	o := raygun.OptionsV3{BaseURL: base, Token: secrets.New(plantedToken), Application: "abc1", Ledger: ledger, Pace: rate.NewLimiter(rate.Inf, 1)}
	for _, f := range change {
		f(&o)
	}
	v, err := raygun.NewV3(o)
	if err != nil {
		t.Fatal(err)
	}
	return v, ledger
}

// answerWith answers everything with body.
func answerWith(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func TestV3RequestsAreWrittenAsTheDocumentHasThem(t *testing.T) {
	var seen []string
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = append(seen, strings.TrimSpace(r.Method+" "+r.URL.EscapedPath()+" "+r.URL.Query().Encode()+" "+string(body)))
		if got := r.Header.Get("Authorization"); got != "Bearer "+plantedToken {
			t.Errorf("authorization %q", got)
		}
		_, _ = io.WriteString(w, v3Answers[operationOf(r)])
	})
	for _, base := range []string{base, base + "/", base + "/v3", base + "/v3/", base + "/api/v1/pulse"} {
		seen = nil
		v, ledger := clientV3(t, base)
		for operation, err := range useV3(t.Context(), v, day) {
			if err != nil {
				t.Errorf("%s: %v", operation, err)
			}
		}
		const app = "/v3/applications/abc1"
		want := []string{
			"GET /v3/applications count=500&offset=0&orderby=apikey",
			"GET " + app,
			"GET " + app + "/sessions count=500&offset=0&orderby=startedAt+desc",
			"GET " + app + "/sessions/s1 include=pageViews%2Cerrors",
			"GET " + app + "/customers count=3&offset=4&orderby=firstSeenAt",
			"GET " + app + "/customers/c1",
			"GET " + app + "/pages count=500&offset=0&orderby=lastSeenAt+desc",
			"GET " + app + "/pages/p1",
			"GET " + app + "/error-groups count=500&offset=0&orderby=createdAt",
			"GET " + app + "/error-groups/e1",
			`POST /v3/metrics/abc1/pages/time-series  {"aggregation":"p95","end":"2026-03-02T00:00:00Z","filter":"pageIdentifier IN (p1, p2)","granularity":"90m","metrics":["loadTime","cumulativeLayoutShift"],"start":"2026-03-01T00:00:00Z"}`,
			`POST /v3/metrics/abc1/pages/histogram  {"end":"2026-03-02T00:00:00Z","filter":"pageIdentifier = p1","metrics":["loadTime","cumulativeLayoutShift"],"start":"2026-03-01T00:00:00Z"}`,
		}
		if got := strings.Join(seen, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", base, got, strings.Join(want, "\n"))
		}
		for _, row := range ledger.Rows() {
			if !row.Counts || row.Ends != 1 || row.Vendor != "raygun" {
				t.Errorf("ledger row %+v", row)
			}
		}
	}
}

func TestV3AnswersAreReadInFull(t *testing.T) {
	v, _ := clientV3(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Rate-Limit-Limit", "1d")
		w.Header().Set("X-Rate-Limit-Remaining", "9876")
		w.Header().Set("X-Rate-Limit-Reset", "2026-03-02T00:00:00.0000000Z")
		_, _ = io.WriteString(w, v3Answers[operationOf(r)])
	}))
	ctx := t.Context()
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

	page, err := v.Sessions(ctx, day)
	if err != nil || len(page.Sessions) != 1 {
		t.Fatalf("%+v, %v", page, err)
	}
	s := page.Sessions[0]
	if s.ID != "s1" || !s.Start.Equal(start) || s.Status != "ended" || *s.LengthMS != 360_500 || s.User.ID != "c1" || !s.User.Partial || s.Browser.Version != "140.0" ||
		s.OS.Name != "Windows" || s.Platform.Name != "Desktop" || s.Country != "NZ" || s.IP != "192.0.2.1" || s.Viewport != (raygun.Viewport{Width: 1280, Height: 720}) ||
		s.Deployment != "1.2.3" || s.WebLink != "https://app.raygun.com/s" || s.Detailed || s.PageViewCount != -1 || s.Rating != "" || !json.Valid(s.Raw) {
		t.Errorf("session %+v", s)
	}
	if want := (raygun.RateLimit{Said: true, Period: 24 * time.Hour, Remaining: 9876, ResetsAt: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}); page.Rate != want {
		t.Errorf("rate %+v", page.Rate)
	}
	detail, err := v.Session(ctx, "S1")
	if err != nil || !detail.Detailed || detail.Truncated || detail.PageViewCount != 1 || len(detail.PageViews) != 1 || len(detail.Errors) != 1 {
		t.Fatalf("%+v, %v", detail, err)
	}
	if p := detail.PageViews[0]; p.PageID != "p1" || p.Page != "" || p.LoadingMS != nil || p.ViewingMS != nil || !p.ViewedOn.Equal(start.Add(time.Second)) {
		t.Errorf("page view %+v", p)
	}
	if e := detail.Errors[0]; e.GroupID != "e1" || e.Title != "" || !e.At.Equal(start.Add(2500*time.Millisecond)) || e.WebLink == "" {
		t.Errorf("error %+v", e)
	}
	if u, err := v.Customer(ctx, "c1"); err != nil || u.ID != "c1" || u.Identifier != "u-1" || u.Email != "ann@example.com" || u.FullName != "Ann Example" || u.FirstName != "Ann" || u.Anonymous || u.Partial || u.FirstSeen.IsZero() || u.LastSeen.IsZero() {
		t.Errorf("customer %+v, %v", u, err)
	}
	if p, err := v.Pages(ctx, raygun.ListQuery{}); err != nil || len(p.Items) != 2 || p.Items[0].Label() != "https://shop.example/a" || p.Items[1].Label() != "MainActivity" || p.More || p.Listed != -1 || !p.Rate.Said {
		t.Errorf("pages %+v, %v", p, err)
	}
	if g, err := v.ErrorGroup(ctx, "e1"); err != nil || g.Message != "<b>boom</b>" || g.Status != "active" || g.ResolvedIn != "1.2" || g.WebLink == "" || g.Created.IsZero() || g.LastOccurred.IsZero() {
		t.Errorf("error group %+v, %v", g, err)
	}
	if a, err := v.Application(ctx); err != nil || a.ID != "abc1" || a.Name != "Shop" || !a.HasRUM || a.APIKey.Reveal() != "planted-app-key" {
		t.Errorf("application %+v, %v", a, err)
	}
	m := raygun.MetricsQuery{From: day.From, To: day.To, Granularity: time.Hour, Aggregation: raygun.AggregateP95, Metrics: []raygun.Metric{raygun.MetricLoadTime}}
	series, err := v.PageMetrics(ctx, m)
	if err != nil || len(series) != 1 || series[0].Metric != raygun.MetricLoadTime || series[0].Aggregation != raygun.AggregateP95 || len(series[0].Points) != 2 ||
		*series[0].Points[0].Value != 1234.5 || *series[0].Points[1].Value != 0 || series[0].Points[1].At.Hour() != 1 {
		t.Errorf("series %+v, %v", series, err)
	}
	bars, err := v.PageHistogram(ctx, m)
	if err != nil || len(bars) != 1 || len(bars[0].Buckets) != 1 || bars[0].Buckets[0].From != 80.5 || *bars[0].Buckets[0].To != 120.5 || bars[0].Buckets[0].Count != 300 {
		t.Errorf("histogram %+v, %v", bars, err)
	}
}

func TestV3OddRowsAreReadAndHopelessOnesCounted(t *testing.T) {
	v, _ := clientV3(t, serve(t, answerWith(`{"sessions":[
		{"Identifier":"9e5","startedAt":"2026-03-01T10:00:00.1234567","endedAt":null,"isActive":"true","customerIdentifier":12345678901234567890,"countryCode":null,"viewportWidth":-1,"viewportHeight":"600"},
		{"identifier":42,"startedAt":null,"applicationUrl":"javascript:alert(1)","customerIdentifier":null},
		{"identifier":"x","startedAt":"2026-03-01T09:00:00Z","endedAt":"2026-03-01T08:00:00Z"},
		{"identifier":""},{"identifier":{}},null,7,[]]}`)))
	page, err := v.Sessions(t.Context(), day)
	if err != nil || page.Received != 8 || page.Unreadable != 5 || len(page.Sessions) != 3 || !page.NewestFirst || page.Undecided != 1 || page.Total != -1 {
		t.Fatalf("%+v, %v", page, err)
	}
	a, b, c := page.Sessions[0], page.Sessions[1], page.Sessions[2]
	if a.ID != "9e5" || a.Start.Nanosecond() != 123456700 || a.Status != "active" || a.LengthMS != nil || a.User.ID != "12345678901234567890" || a.Viewport != (raygun.Viewport{Height: 600}) {
		t.Errorf("first %+v", a)
	}
	if b.ID != "42" || b.Status != "" || b.WebLink != "" || b.User.ID != "" || c.LengthMS != nil {
		t.Errorf("second %+v, third %+v", b, c)
	}
}

func TestV3FiltersHereWhatTheVendorCannot(t *testing.T) {
	row := func(id, start, country, customer string) string {
		return fmt.Sprintf(`{"identifier":%q,"startedAt":%q,"countryCode":%q,"customerIdentifier":%q}`, id, start, country, customer)
	}
	const at = "2026-03-01T10:00:00Z"
	body := "[" + strings.Join([]string{
		row("late", "2026-03-02T00:00:00.006Z", "NZ", "ann"), row("atTo", "2026-03-02T00:00:00.005Z", "NZ", "ann"), row("bob", at, "NZ", "bob"),
		row("new", at, "NZ", "stranger"), row("us", at, "US", "ann"), row("atFrom", "2026-03-01T00:00:00Z", "nz", "ann"), row("early", "2026-02-28T23:59:59Z", "NZ", "ann"),
	}, ",") + "]"
	var asked [][]string
	v, _ := clientV3(t, serve(t, answerWith(body)), func(o *raygun.OptionsV3) {
		o.Known.Users = func(_ context.Context, ids []string) map[string]raygun.User {
			asked = append(asked, ids)
			return map[string]raygun.User{"ann": {Identifier: "Ann@Example.com"}, "bob": {Identifier: "bob"}}
		}
	})
	q := day
	q.UserIdentifier, q.Countries, q.UserType, q.Limit = "ann@example.com", []string{" nz", "AU"}, "known", 7
	page, err := v.Sessions(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	ids := func(list []raygun.Session) (out []string) {
		for _, s := range list {
			out = append(out, s.ID)
		}
		return out
	}
	if got := ids(page.Sessions); !slices.Equal(got, []string{"atTo", "new", "atFrom"}) {
		t.Errorf("matching %v", got)
	}
	if got := ids(page.Others); !slices.Equal(got, []string{"late", "bob", "us", "early"}) {
		t.Errorf("others %v", got)
	}
	if page.Received != 7 || page.Undecided != 1 || page.More || !page.NewestFirst || page.NextSkip != 7 || page.Oldest.Format("0102") != "0228" || page.Newest.Nanosecond() != 6e6 ||
		!slices.Equal(page.FilteredHere, []raygun.Filter{raygun.FilterTime, raygun.FilterUserIdentifier, raygun.FilterCountry}) ||
		!slices.Equal(page.NotFiltered, []raygun.Filter{raygun.FilterUserType}) {
		t.Errorf("page %+v", page)
	}
	if u := page.Sessions[0].User; u.ID != "ann" || u.Partial || u.Identifier != "Ann@Example.com" {
		t.Errorf("user %+v", u)
	}
	if len(asked) != 1 || !slices.Equal(asked[0], []string{"ann", "bob", "stranger"}) {
		t.Errorf("asked for %v", asked)
	}
}

func TestV3NamesWhatTheCallerKnows(t *testing.T) {
	v, _ := clientV3(t, serve(t, answerWith(v3Answers["get-session-by-identifier"])), func(o *raygun.OptionsV3) {
		o.Known.Pages = func(context.Context, []string) map[string]string { return map[string]string{"p1": "/a"} }
		o.Known.ErrorGroups = func(context.Context, []string) map[string]string { return map[string]string{"e1": "boom"} }
	})
	s, err := v.Session(t.Context(), "s1")
	if err != nil || s.PageViews[0].Page != "/a" || s.Errors[0].Title != "boom" || !s.User.Partial {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestV3PagingKnowsTheEnd(t *testing.T) {
	rows := func(starts ...string) string {
		var out []string
		for i, start := range starts {
			out = append(out, fmt.Sprintf(`{"identifier":"s%d","startedAt":%q}`, i, start))
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	const new1, new2, old = "2026-03-01T12:00:00Z", "2026-03-01T11:00:00Z", "2026-02-01T00:00:00Z"
	tests := []struct {
		name, body, total string
		skip              int
		uri               string
		more              bool
		next              int
	}{
		{"full page", rows(new1, new2), "", 4, "", true, 6},
		{"short page", rows(new1), "", 4, "", false, 5},
		{"full page that is the total", rows(new1, new2), "6", 4, "", true, 6},
		{"short page within the total", rows(new1), "9", 4, "", true, 5},
		{"a total that is none", rows(new1), "many", 4, "", false, 5},
		{"past the range", rows(new1, old), "900", 0, "", false, 2},
		{"past the range but in disorder", rows(old, new1), "900", 0, "", true, 2},
		{"filtered by request, in no order", rows(new1, old), "", 0, "https://x.example/api", true, 2},
		{"empty", "[]", "9", 4, "", false, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, _ := clientV3(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.URL.Query(); tt.uri != "" && (got.Get("filter") != "xhr.uri eq "+tt.uri || got.Has("orderby")) {
					t.Errorf("query %v", got)
				}
				if tt.total != "" {
					w.Header().Set("X-Raygun-Total-Count", tt.total)
				}
				_, _ = io.WriteString(w, tt.body)
			}))
			q := day
			q.Skip, q.Limit, q.RequestURI = tt.skip, 2, tt.uri
			page, err := v.Sessions(t.Context(), q)
			if err != nil || page.More != tt.more || page.NextSkip != tt.next {
				t.Errorf("more %v, next %d, error %v", page.More, page.NextSkip, err)
			}
		})
	}
}

// TestV3WalkMissesNothingWhileSessionsBegin lets sessions begin between the
// pages: they push the others along, so some come twice and none is missed.
func TestV3WalkMissesNothingWhileSessionsBegin(t *testing.T) {
	begun := 95
	v, _ := clientV3(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		var offset, count int
		_, _ = fmt.Sscan(r.URL.Query().Get("offset"), &offset)
		_, _ = fmt.Sscan(r.URL.Query().Get("count"), &count)
		rows := []string{}
		for i := begun - offset; i > max(begun-offset-count, 0); i-- {
			rows = append(rows, fmt.Sprintf(`{"identifier":"s%d","startedAt":%q}`, i, day.From.Add(time.Duration(i)*time.Minute).UTC().Format(time.RFC3339)))
		}
		begun += 3
		_, _ = io.WriteString(w, "["+strings.Join(rows, ",")+"]")
	}))
	q := day
	q.Limit = 10
	seen, doubles := map[string]bool{}, 0
	for {
		page, err := v.Sessions(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Sessions {
			if seen[s.ID] {
				doubles++
			}
			seen[s.ID] = true
		}
		if !page.More {
			break
		}
		q.Skip = page.NextSkip
	}
	if len(seen) != 95 || doubles == 0 {
		t.Errorf("saw %d of 95, %d twice", len(seen), doubles)
	}
}

func TestV3AllApplicationsAreRead(t *testing.T) {
	for _, deaf := range []bool{false, true} { // to the offset
		calls := 0
		v, _ := clientV3(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			calls++
			var offset int
			_, _ = fmt.Sscan(r.URL.Query().Get("offset"), &offset)
			if deaf {
				offset = 0
			}
			var rows []string
			for i := offset; i < min(offset+500, 1234); i++ {
				rows = append(rows, fmt.Sprintf(`{"identifier":"a%d","name":"n","apiKey":"k%d"}`, i, i))
			}
			_, _ = io.WriteString(w, "["+strings.Join(rows, ",")+"]")
		}), func(o *raygun.OptionsV3) { o.Application = "" })
		apps, err := v.Applications(t.Context())
		want, wantCalls := 1234, 3
		if deaf {
			want, wantCalls = 500, 2
		}
		if err != nil || len(apps) != want || calls != wantCalls {
			t.Errorf("%d applications in %d calls, %v", len(apps), calls, err)
		}
	}
}

func TestV3SessionsThatAreNotTheOneAskedForAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		id, body string
		ok       bool
	}{
		"the same":            {"1z", `{"identifier":"1z","errors":[]}`, true},
		"in capitals":         {"1z", `{"identifier":"1Z","errors":[]}`, true},
		"as a number":         {"1z", `{"identifier":71,"errors":[]}`, true},
		"asked as a number":   {"71", `{"identifier":"1z","errors":[]}`, true},
		"without identifier":  {"1z", `{"startedAt":"2026-03-01T00:00:00Z","errors":[]}`, true},
		"wrapped":             {"1z", `{"session":{"identifier":"1z","errors":[]}}`, true},
		"another one":         {"1z", `{"identifier":"1y"}`, false},
		"something else":      {"1z", `{"message":"hello"}`, false},
		"a list":              {"1z", `[{"identifier":"1z"}]`, false},
		"null in the wrapper": {"1z", `{"session":null}`, false},
	} {
		v, _ := clientV3(t, serve(t, answerWith(tt.body)))
		s, err := v.Session(t.Context(), tt.id)
		if tt.ok && (err != nil || !s.Detailed || s.ID == "" || s.PageViewCount != -1) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		if !tt.ok {
			wantKind(t, err, upstream.Unexpected)
		}
	}
	v, _ := clientV3(t, serve(t, answerWith(`{"identifier":"1z"}`)))
	if s, err := v.Session(t.Context(), "1z"); err != nil || s.Detailed {
		t.Errorf("a session without its parts counts as detailed: %+v, %v", s, err)
	}
	full := strings.Repeat(`{"pageIdentifier":"p","viewedAt":"2026-03-01T00:00:00Z"},`, 499) + `{"pageIdentifier":"p"}`
	v, _ = clientV3(t, serve(t, answerWith(`{"identifier":"1z","pageViews":[`+full+`]}`)))
	if s, err := v.Session(t.Context(), "1z"); err != nil || !s.Truncated || s.PageViewCount != -1 || len(s.PageViews) != 500 {
		t.Errorf("500 page views: %+v, %v", s.Truncated, err)
	}
}

func TestVersionsSayWhatTheyTell(t *testing.T) {
	v1, _ := client(t, "https://raygun.invalid")
	v3, _ := clientV3(t, "https://raygun.invalid")
	for _, tt := range []struct {
		field  raygun.Field
		v1, v3 bool
	}{{raygun.FieldRating, true, false}, {raygun.FieldLoadTime, true, false}, {raygun.FieldViewport, false, true}, {raygun.FieldPageMetrics, false, true}} {
		if v1.Capabilities().Tells(tt.field) != tt.v1 || v3.Capabilities().Tells(tt.field) != tt.v3 {
			t.Errorf("%s", tt.field)
		}
	}
	if c := v3.Capabilities(); c.Version != "v3" || c.DailyCalls != 10_000 || c.CanFilter(raygun.FilterTime) || !v1.Capabilities().CanFilter(raygun.FilterTime) {
		t.Errorf("%+v", c)
	}
	q := day
	q.RequestURI = "https://x.example"
	_, err := v1.Sessions(t.Context(), q)
	wantKind(t, err, upstream.Invalid)
	for id, want := range map[string]string{"1z": "71", "1Z": "71", "0": "0", "1y2p0ij32e8e7": "9223372036854775807", "1y2p0ij32e8e8": "", "": "", "-1": "", "+1": "", "a b": ""} {
		if got, ok := raygun.BaseTen(id); got != want || ok != (want != "") {
			t.Errorf("%q in base ten is %q, %v", id, got, ok)
		}
	}
}

func FuzzV3(f *testing.F) {
	for _, seed := range v3Answers {
		f.Add([]byte(seed))
	}
	f.Add([]byte(`[{"metric":"x","series":[{"time":1,"value":"NaN"}],"buckets":[{"key":1e999,"range":" - "}]}]`))
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	f.Cleanup(s.Close)
	v, err := raygun.NewV3(raygun.OptionsV3{BaseURL: s.URL, Token: secrets.New("tttt"), Application: "a", Ledger: &upstreamtest.Ledger{}, Pace: rate.NewLimiter(rate.Inf, 1)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, fuzzed []byte) {
		body = fuzzed
		page, err := v.Sessions(t.Context(), day)
		for _, one := range append(page.Sessions, page.Others...) {
			if one.ID == "" || !json.Valid(one.Raw) {
				t.Errorf("unusable session %+v", one)
			}
		}
		if err == nil && (page.More && page.NextSkip == 0 || page.Received != len(page.Sessions)+len(page.Others)+page.Unreadable) {
			t.Errorf("page does not add up: %+v", page)
		}
		if one, err := v.Session(t.Context(), "1"); err == nil && (one.ID == "" || !json.Valid(one.Raw)) {
			t.Errorf("unusable session %+v", one)
		}
		useV3(t.Context(), v, day)
	})
}
