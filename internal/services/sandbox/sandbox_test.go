package sandbox_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
	"sightline/internal/services/sandbox/contracttest"
)

// noon is when the tests take place unless they move their clock.
func noon() time.Time { return time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC) }

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestStartRefusesBadOptions(t *testing.T) {
	for _, o := range []sandbox.Options{{Customers: -1}, {Sessions: 1_600_000}, {Sessions: 500_000, Days: 1}, {Days: -3}, {Dialect: "latin"}, {RaygunAuthMethod: "PUT"}} {
		if s, err := sandbox.Start(t.Context(), o); err == nil {
			_ = s.Close()
			t.Errorf("started with %+v", o)
		}
	}
}

// start runs a small sandbox at noon.
func start(t *testing.T, o sandbox.Options) (*sandbox.Sandbox, *clock) {
	t.Helper()
	c := &clock{now: noon()}
	o.Now = c.Now
	if o.RaygunV3Limits == (sandbox.RaygunLimits{}) { // in one second that never ends
		o.RaygunV3Limits = sandbox.RaygunLimits{PerSecond: -1, PerMinute: -1, PerDay: -1}
	}
	if o.Sessions == 0 {
		o.Customers, o.Sessions = 150, 3000
	}
	s, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, c
}

type answer struct {
	code   int
	header http.Header
	body   []byte
}

func (a answer) json(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("answer %d %q is not JSON: %v", a.code, a.body, err)
	}
}

// send sends a request without following redirects. body is a string, nil, or
// anything else to be sent as JSON.
func send(t *testing.T, method, addr string, header map[string]string, body any) (answer, error) {
	t.Helper()
	var rd io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		rd = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		rd = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, addr, rd)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	c := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, raw}, err
}

func mustSend(t *testing.T, method, addr string, header map[string]string, body any) answer {
	t.Helper()
	a, err := send(t, method, addr, header, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, addr, err)
	}
	return a
}

// sessionKey signs in to Raygun.
func sessionKey(t *testing.T, s *sandbox.Sandbox) map[string]string {
	t.Helper()
	a := mustSend(t, "POST", s.RaygunURL()+"/api/v1/pulse/authenticate", raygunLogin(s), nil)
	var out struct{ SessionKey string }
	a.json(t, &out)
	if a.code != 202 || out.SessionKey == "" {
		t.Fatalf("authenticate answered %d %s", a.code, a.body)
	}
	return map[string]string{"X-SessionKey": out.SessionKey}
}

func raygunLogin(s *sandbox.Sandbox) map[string]string {
	c := s.Credentials()
	r, _ := http.NewRequest("GET", "http://x", nil)
	r.SetBasicAuth(c.RaygunClientID, c.RaygunClientSecret)
	return map[string]string{"X-ApiKey": c.RaygunAPIKey, "Authorization": r.Header.Get("Authorization")}
}

// sessionsURL is a sessions request over all days, with more parameters in pairs.
func sessionsURL(s *sandbox.Sandbox, more ...string) string {
	q := url.Values{"dateFrom": {"2026-09-01"}, "dateTo": {"2026-12-01T00:00:00Z"}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return s.RaygunURL() + "/api/v1/pulse/sessions?" + q.Encode()
}

func token(s *sandbox.Sandbox) map[string]string {
	return map[string]string{"Authorization": "token " + s.Credentials().LogRocketKey}
}

// contract sends a request to LogRocket with its key and checks the answer
// against the contract.
func contract(t *testing.T, s *sandbox.Sandbox, method, addr string, body any) answer {
	t.Helper()
	return contractAs(t, token(s), method, addr, body)
}

func contractAs(t *testing.T, header map[string]string, method, addr string, body any) answer {
	t.Helper()
	a := mustSend(t, method, addr, header, body)
	r := httptest.NewRequest(method, addr, nil)
	if err := contracttest.Optional(t).CheckResponse(r, a.code, a.header, a.body); err != nil {
		t.Errorf("%s %s answered %d %s: %v", method, addr, a.code, a.body, err)
	}
	return a
}

// app is the address of a path inside the LogRocket app.
func app(s *sandbox.Sandbox, path string) string {
	return s.LogRocketURL() + "/v1/orgs/acme/apps/web/" + path
}
