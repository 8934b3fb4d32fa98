package raygun_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/services/raygun"
	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
	"sightline/internal/services/upstream/upstreamtest"
)

const (
	plantedAPIKey = "planted-api-key"
	plantedID     = "planted-client"
	plantedSecret = "planted-client-secret"
	plantedKey    = "planted-session-key"
)

// fake answers authenticate properly and the rest with answer.
func fake(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/authenticate") {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprintf(w, `{"sessionKey":%q}`, plantedKey)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T, base string, change ...func(*raygun.Options)) (*raygun.V1, *upstreamtest.Ledger) {
	t.Helper()
	ledger := &upstreamtest.Ledger{}
	o := raygun.Options{BaseURL: base, Ledger: ledger, Credentials: raygun.Credentials{
		APIKey: secrets.New(plantedAPIKey), ClientID: secrets.New(plantedID), ClientSecret: secrets.New(plantedSecret),
	}}
	for _, f := range change {
		f(&o)
	}
	v, err := raygun.NewV1(o)
	if err != nil {
		t.Fatal(err)
	}
	return v, ledger
}

var day = raygun.SessionQuery{From: time.Date(2026, 3, 1, 1, 0, 0, 0, time.FixedZone("", 3600)), To: time.Date(2026, 3, 2, 0, 0, 0, 5e6, time.UTC)}

func TestRequestsAreWrittenAsTheContractHasThem(t *testing.T) {
	var seen []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.URL.Path+" "+r.URL.Query().Encode())
		id, secret, _ := r.BasicAuth()
		switch {
		case strings.HasSuffix(r.URL.Path, "/authenticate"):
			if r.Header.Get("X-ApiKey") != plantedAPIKey || id != plantedID || secret != plantedSecret || r.ContentLength > 0 {
				t.Errorf("authenticate: %v", r.Header)
			}
			io.WriteString(w, `{"sessionKey":"k1234"}`)
		case r.Header.Get("X-SessionKey") != "k1234" || r.Header.Get("Authorization") != "" || r.Header.Get("X-ApiKey") != "":
			t.Errorf("%s: %v", r.URL.Path, r.Header)
		case strings.HasSuffix(r.URL.Path, "/session"):
			io.WriteString(w, `{"session":{"id":7}}`)
		default:
			io.WriteString(w, `{"totalSessions":0,"sessions":[]}`)
		}
	}))
	defer s.Close()
	for _, base := range []string{s.URL, s.URL + "/", s.URL + "/proxy/raygun/", s.URL + "/api/v1/pulse/"} {
		seen = nil
		v, _ := client(t, base)
		q := day
		q.UserIdentifier, q.Countries, q.UserType, q.Skip, q.Limit = "a+b@example.com", []string{"us", " nz "}, "known", 20, 10
		if _, err := v.Sessions(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Session(t.Context(), " 7 "); err != nil {
			t.Fatal(err)
		}
		prefix := ""
		if strings.Contains(base, "proxy") {
			prefix = "/proxy/raygun"
		}
		want := []string{
			"POST " + prefix + "/api/v1/pulse/authenticate ",
			"GET " + prefix + "/api/v1/pulse/sessions country=US%2CNZ&dateFrom=2026-03-01T00%3A00%3A00.000Z&dateTo=2026-03-02T00%3A00%3A00.005Z&limit=10&skip=20&userIdentifier=a%2Bb%40example.com&userType=known",
			"GET " + prefix + "/api/v1/pulse/session id=7",
		}
		if got := strings.Join(seen, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", base, got, strings.Join(want, "\n"))
		}
	}
}

func TestOddRowsAreReadAndHopelessOnesCounted(t *testing.T) {
	const body = `{"sessions":[
		{"id":9223372036854775807,"sessionStart":"2017-01-25T01:18:25.854","sessionEnd":null,"user":null,"browser":"Safari","location":[],"sessionLength":"12.7","pageViewCount":"3","extra":{"a":[1]}},
		{"id":"42","sessionStart":"2017-01-25T01:18:25.8541234Z","sessionUpdated":"0001-01-01T00:00:00","sessionEnd":"","user":{"id":17,"isAnonymous":"true","identifier":null,"firstSeen":1485307105854},"sessionLength":null,"links":{"web":"javascript:alert(1)"}},
		{"ID":1.5e3,"SessionStart":"2017-01-25 01:18:25","links":{"web":"https://app.raygun.com/s/1"}},
		{"sessionStart":"2017-01-25T01:18:25Z"},
		{"id":null}, {"id":{}}, null, 7, "x", []
	],"links":{"next":"https://evil.example/steal?skip=1"}}`
	s := fake(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
	v, _ := client(t, s.URL)
	page, err := v.Sessions(t.Context(), day)
	if err != nil {
		t.Fatal(err)
	}
	if page.Total != -1 || page.Unreadable != 7 || !page.More || page.NextSkip != 10 || len(page.Sessions) != 3 || page.ReceivedAt.IsZero() {
		t.Fatalf("page: total %d, unreadable %d, more %v, next %d, %d sessions", page.Total, page.Unreadable, page.More, page.NextSkip, len(page.Sessions))
	}
	start := time.Date(2017, 1, 25, 1, 18, 25, 0, time.UTC)
	a, b, c := page.Sessions[0], page.Sessions[1], page.Sessions[2]
	if a.ID != "9223372036854775807" || !a.Start.Equal(start.Add(854*time.Millisecond)) || !a.End.IsZero() || a.Browser.Name != "Safari" || *a.LengthMS != 12 || a.PageViewCount != 3 {
		t.Errorf("first: %+v", a)
	}
	if !json.Valid(a.Raw) || !strings.Contains(string(a.Raw), `"extra":{"a":[1]}`) {
		t.Errorf("raw: %s", a.Raw)
	}
	if b.ID != "42" || b.Start.Nanosecond() != 854123400 || !b.Updated.IsZero() || b.User.ID != "17" || !b.User.Anonymous || !b.User.FirstSeen.Equal(start.Add(854*time.Millisecond)) || b.LengthMS != nil || b.PageViewCount != -1 || b.WebLink != "" {
		t.Errorf("second: %+v", b)
	}
	if c.ID != "1500" || !c.Start.Equal(start) || c.WebLink != "https://app.raygun.com/s/1" {
		t.Errorf("third: %+v", c)
	}
}

func TestPagingKnowsTheEnd(t *testing.T) {
	row := `{"id":1}`
	tests := []struct {
		name, body string
		skip       int
		more       bool
		next       int
	}{
		{"total says more", `{"totalSessions":3,"sessions":[` + row + `],"links":{"next":null}}`, 0, true, 1},
		{"total reached", `{"totalSessions":3,"sessions":[` + row + `]}`, 2, false, 3},
		{"relative link", `{"sessions":[` + row + `],"links":{"next":"/api/v1/pulse/sessions?skip=1"}}`, 0, true, 1},
		{"nothing said, not full", `{"sessions":[` + row + `]}`, 0, false, 1},
		{"nothing said, full", `{"sessions":[` + row + `,` + row + `]}`, 4, true, 6},
		{"empty page with a link", `{"totalSessions":9,"sessions":[],"links":{"next":"/x"}}`, 9, false, 9},
		{"null list", `{"totalSessions":0,"sessions":null}`, 0, false, 0},
		{"bare list", `[` + row + `]`, 0, false, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fake(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, tt.body) })
			v, _ := client(t, s.URL)
			q := day
			q.Skip, q.Limit = tt.skip, 2
			page, err := v.Sessions(t.Context(), q)
			if err != nil || page.More != tt.more || page.NextSkip != tt.next {
				t.Errorf("more %v, next %d, error %v", page.More, page.NextSkip, err)
			}
		})
	}
}

func TestTheDetailIsReadWrappedAndBare(t *testing.T) {
	const inner = `{"id":5,"satisfactionRating":"Poor","location":{"country":"NZ","ipAddress":"192.0.2.1","ipLookup":{"country":"New Zealand","state":"WGN","city":"Wellington"}},
		"errors":[{"groupId":9007199254740993,"instanceId":"i","title":"<b>x</b>","links":{"web":"https://app.raygun.com/e"}},null],
		"pageViews":[{"page":"/a","loadingTime":12.9,"viewingTime":-3,"viewedOn":"2017-01-25T01:18:25Z"},{"page":null}]}`
	for name, body := range map[string]string{"wrapped": `{"session":` + inner + `}`, "bare": inner} {
		t.Run(name, func(t *testing.T) {
			s := fake(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
			v, _ := client(t, s.URL)
			got, err := v.Session(t.Context(), "5")
			if err != nil {
				t.Fatal(err)
			}
			if !got.Detailed || got.Rating != "Poor" || got.CountryName != "New Zealand" || got.State != "WGN" || got.City != "Wellington" || got.Country != "NZ" ||
				len(got.Errors) != 1 || got.Errors[0].GroupID != "9007199254740993" || got.Errors[0].Title != "<b>x</b>" || got.Errors[0].WebLink == "" ||
				len(got.PageViews) != 2 || *got.PageViews[0].LoadingMS != 12 || *got.PageViews[0].ViewingMS != -3 || got.PageViews[1].LoadingMS != nil {
				t.Errorf("got %+v", got)
			}
		})
	}
	for name, tt := range map[string]struct {
		body string
		kind upstream.Kind
	}{
		"null":        {`{"session":null}`, upstream.NotFound},
		"another one": {`{"session":{"id":6}}`, upstream.Unexpected},
		"a message":   {`{"message":"hello"}`, upstream.Unexpected},
		"a web page":  {`<html>`, upstream.Unexpected},
	} {
		t.Run(name, func(t *testing.T) {
			s := fake(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, tt.body) })
			v, _ := client(t, s.URL)
			_, err := v.Session(t.Context(), "5")
			wantKind(t, err, tt.kind)
		})
	}
}

func TestWrongQuestionsCostNothing(t *testing.T) {
	v, ledger := client(t, "https://raygun.invalid")
	for _, q := range []raygun.SessionQuery{{}, {From: day.To, To: day.From}, {From: day.From, To: day.To, Skip: -1}} {
		_, err := v.Sessions(t.Context(), q)
		if e := wantKind(t, err, upstream.Invalid); e.Sent {
			t.Error("counts as sent")
		}
	}
	for _, id := range []string{"", "abc", "1;2", "99999999999999999999"} {
		_, err := v.Session(t.Context(), id)
		wantKind(t, err, upstream.Invalid)
	}
	if n := len(ledger.Rows()); n != 0 {
		t.Errorf("%d ledger rows", n)
	}
}

func TestManyCallersShareOneSessionKeyUntilItIsOld(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/authenticate") {
			fmt.Fprintf(w, `{"sessionKey":"key-%d"}`, asked.Add(1))
			return
		}
		io.WriteString(w, `{"sessions":[]}`)
	}))
	defer s.Close()
	var clock atomic.Int64
	v, _ := client(t, s.URL, func(o *raygun.Options) { o.Now = func() time.Time { return day.From.Add(time.Duration(clock.Load())) } })
	together := func() {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := v.Sessions(t.Context(), day); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	together()
	clock.Store(int64(14*time.Minute - time.Second))
	together()
	if asked.Load() != 1 {
		t.Errorf("asked %d times within 14 minutes", asked.Load())
	}
	clock.Store(int64(14 * time.Minute))
	together()
	if asked.Load() != 2 {
		t.Errorf("asked %d times after 14 minutes", asked.Load())
	}
}

func TestWaitingForTheKeyEndsWithTheCallersContext(t *testing.T) {
	release := make(chan struct{})
	asked := make(chan struct{}, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	defer s.Close()
	defer close(release)
	v, _ := client(t, s.URL)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { _, err := v.Sessions(ctx, day); done <- err }()
	<-asked
	go func() { _, err := v.Sessions(ctx, day); done <- err }()
	cancel()
	for range 2 {
		wantKind(t, <-done, upstream.Canceled)
	}
}

func TestAWrongKeyIsSaidWithoutShowingAnySecret(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"message":"refused %s, %s, %s"}`, r.Header.Get("X-ApiKey"), r.Header.Get("Authorization"), plantedSecret)
	}))
	defer s.Close()
	v, ledger := client(t, s.URL)
	_, err := v.Check(t.Context())
	e := wantKind(t, err, upstream.WrongKey)
	shown := fmt.Sprintf("%v %+v %#v %s %+v %#v %+v", err, *e, *e, e.Says, v, v, ledger.Rows())
	const basic = "cGxhbnRlZC1jbGllbnQ6cGxhbnRlZC1jbGllbnQtc2VjcmV0"
	for _, secret := range []string{plantedAPIKey, plantedID, plantedSecret, basic} {
		if strings.Contains(shown, secret) {
			t.Errorf("shows %s in %s", secret, shown)
		}
	}
	if len(ledger.Rows()) != 1 {
		t.Errorf("%d authenticate calls with a wrong key", len(ledger.Rows()))
	}
}

func TestASessionKeyTheVendorEchoesIsNotShown(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		io.WriteString(w, "broken with "+r.Header.Get("X-SessionKey"))
	})
	v, _ := client(t, s.URL)
	_, err := v.Sessions(t.Context(), day)
	if e := wantKind(t, err, upstream.Down); e.Says != "broken with [redacted]" {
		t.Errorf("says %q", e.Says)
	}
}

func TestOnlySafeLinksAreKept(t *testing.T) {
	tests := []struct{ base, link, want string }{
		{"https://api.raygun.com", "https://app.raygun.com/x?a=1#b", "https://app.raygun.com/x?a=1#b"},
		{"https://api.raygun.com", "https://raygun.com/x", "https://raygun.com/x"},
		{"https://api.raygun.com", "http://app.raygun.com/x", ""},
		{"https://api.raygun.com", "https://app.raygun.com.evil.example/", ""},
		{"https://api.raygun.com", "https://evilraygun.com/", ""},
		{"https://api.raygun.com", "https://user@app.raygun.com/", ""},
		{"https://api.raygun.com", "https://app.raygun.com:8443/", ""},
		{"https://api.raygun.com", "//app.raygun.com/x", ""},
		{"https://api.raygun.com", "/x", ""},
		{"https://api.raygun.com", "javascript:alert(1)//app.raygun.com", ""},
		{"https://api.raygun.com", "http://127.0.0.1/x", ""},
		{"http://127.0.0.1:9000", "http://localhost:1/x", "http://localhost:1/x"},
		{"http://127.0.0.1:9000", "http://10.0.0.1/x", ""},
		{"http://127.0.0.1:9000", "https://app.raygun.com/x", "https://app.raygun.com/x"},
		{"http://10.1.2.3:9000", "http://10.1.2.3/x", "http://10.1.2.3/x"},
		{"https://raygun.corp.example/rg", "https://raygun.corp.example/x", "https://raygun.corp.example/x"},
		{"https://raygun.corp.example/rg", "http://raygun.corp.example/x", ""},
	}
	for _, tt := range tests {
		if got := raygun.AppLink(tt.base, tt.link); got != tt.want {
			t.Errorf("AppLink(%q, %q) = %q, want %q", tt.base, tt.link, got, tt.want)
		}
	}
}

func FuzzSessions(f *testing.F) {
	f.Add([]byte(`{"totalSessions":1,"sessions":[{"id":1,"user":{},"pageViews":[{}],"errors":[{}]}],"links":{"next":"x"}}`))
	f.Add([]byte(`[{"id":1e999999999}]`))
	f.Add([]byte(`{"session":{"id":"1","sessionStart":-1}}`))
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/authenticate") {
			io.WriteString(w, `{"sessionKey":"kkkk"}`)
			return
		}
		w.Write(body)
	}))
	f.Cleanup(s.Close)
	v, err := raygun.NewV1(raygun.Options{BaseURL: s.URL, Ledger: &upstreamtest.Ledger{}, Credentials: raygun.Credentials{
		APIKey: secrets.New("aaaa"), ClientID: secrets.New("bbbb"), ClientSecret: secrets.New("cccc"),
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, fuzzed []byte) {
		body = fuzzed
		page, err := v.Sessions(t.Context(), day)
		for _, one := range page.Sessions {
			if one.ID == "" || !json.Valid(one.Raw) {
				t.Errorf("unusable session %+v", one)
			}
		}
		if err == nil && page.More && page.NextSkip == 0 {
			t.Error("paging would not end")
		}
		if one, err := v.Session(t.Context(), "1"); err == nil && one.ID != "1" {
			t.Errorf("got session %q", one.ID)
		}
	})
}
