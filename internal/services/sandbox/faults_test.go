package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

// everyOperation sends one good request for each operation there is.
func everyOperation(t *testing.T, s *sandbox.Sandbox) map[string]func() (answer, error) {
	t.Helper()
	key := sessionKey(t, s)
	var page exportPage
	contract(t, s, "GET", app(s, "data-export/"), nil).json(t, &page)
	ada, _ := s.Company().Customer("ada.lovelace@example.com")
	id, _ := json.Marshal(s.Company().SessionsOf(ada)[0].ID)
	var made envelope
	contract(t, s, "POST", app(s, "highlights/"), `{"userID":"usr_ada"}`).json(t, &made)
	req := func(method, addr string, header map[string]string, body any) func() (answer, error) {
		return func() (answer, error) { return send(t, method, addr, header, body) }
	}
	out := map[string]func() (answer, error){
		sandbox.OpAuthenticate:        req("POST", s.RaygunURL()+"/api/v1/pulse/authenticate", raygunLogin(s), nil),
		sandbox.OpSessions:            req("GET", sessionsURL(s), key, nil),
		sandbox.OpSession:             req("GET", s.RaygunURL()+"/api/v1/pulse/session?id="+string(id), key, nil),
		sandbox.OpUpdateUser:          req("PUT", app(s, "users/usr_ada"), token(s), `{"traits":{"a":"1"}}`),
		sandbox.OpListDataExports:     req("GET", app(s, "data-export/"), token(s), nil),
		sandbox.OpExportFile:          req("GET", page.Sessions[0].URL, nil, nil),
		sandbox.OpCreateHighlights:    req("POST", app(s, "highlights/"), token(s), `{"userID":"usr_ada"}`),
		sandbox.OpGetHighlights:       req("GET", app(s, "highlights/?id="+made.RequestID), token(s), nil),
		sandbox.OpListAuditLogs:       req("GET", app(s, "audit/logs/?limit=5"), token(s), nil),
		sandbox.OpExecuteGraphQLQuery: req("POST", s.LogRocketURL()+"/graphql", token(s), `{"query":"{ users(first: 1) { email } }"}`),
	}
	for operation, q := range v3Requests(t, s) {
		out[operation] = req(q.method, s.RaygunURL()+q.path, bearer(s), q.body)
	}
	if len(out) != len(sandbox.Operations()) {
		t.Fatalf("%d of %d operations are tried", len(out), len(sandbox.Operations()))
	}
	return out
}

func TestEveryFaultStrikesEveryOperation(t *testing.T) {
	s, _ := start(t, sandbox.Options{RaygunDailyLimit: -1})
	for operation, do := range everyOperation(t, s) {
		good, err := do()
		if err != nil || good.code/100 != 2 {
			t.Fatalf("%s without a fault: %d %v", operation, good.code, err)
		}
		for _, kind := range sandbox.FaultKinds() {
			f := sandbox.Fault{Operation: operation, Kind: kind}
			if kind == sandbox.FaultLatency {
				f.Latency = 60 * time.Millisecond
			}
			if kind == sandbox.FaultRateLimited {
				f.RetryAfter = 1500 * time.Millisecond
			}
			remove := s.Fault(f)
			began, before := time.Now(), s.CountCalls(operation)
			a, err := do()
			remove()
			if s.CountCalls(operation) != before+1 {
				t.Errorf("%s, %s: not counted", operation, kind)
			}
			if !struck(kind, good, a, err, time.Since(began)) {
				t.Errorf("%s, %s: %d %q %v %.80q", operation, kind, a.code, a.header.Get("Content-Type"), err, a.body)
			}
		}
		if a, err := do(); err != nil || a.code != good.code {
			t.Errorf("%s after all faults: %d %v", operation, a.code, err)
		}
	}
}

// struck says whether an answer shows the fault.
func struck(kind sandbox.FaultKind, good, a answer, err error, took time.Duration) bool {
	switch kind {
	case sandbox.FaultLatency:
		return err == nil && a.code == good.code && took >= 60*time.Millisecond
	case sandbox.FaultCut:
		return err != nil && a.code == good.code && len(a.body) > 0 && len(a.body) < len(good.body)
	case sandbox.FaultDrop, sandbox.FaultLost:
		return err != nil && a.code == 0
	case sandbox.FaultGarbage:
		return err == nil && a.code == 200 && a.header.Get("Content-Type") == "application/json" && !json.Valid(a.body)
	case sandbox.FaultEmpty:
		return err == nil && a.code == 200 && len(a.body) == 0
	case sandbox.FaultWrongType:
		return err == nil && a.code == 200 && strings.HasPrefix(a.header.Get("Content-Type"), "text/html")
	case sandbox.FaultRateLimited:
		return err == nil && a.code == 429 && a.header.Get("Retry-After") == "2"
	}
	var code int
	_ = json.Unmarshal([]byte(kind), &code)
	return err == nil && a.code == code && a.header.Get("Retry-After") == ""
}

func TestFaultsKeepToTheirPlaceAndTimes(t *testing.T) {
	s, _ := start(t, sandbox.Options{RaygunDailyLimit: -1})
	ops := everyOperation(t, s)
	code := func(op string) int {
		a, err := ops[op]()
		if err != nil {
			t.Fatal(err)
		}
		return a.code
	}
	s.Fault(sandbox.Fault{Operation: sandbox.OpSessions, Kind: sandbox.FaultUnavailable, Times: 2})
	got := []int{code(sandbox.OpSession), code(sandbox.OpSessions), code(sandbox.OpSessions), code(sandbox.OpSessions)}
	if got[0] != 200 || got[1] != 503 || got[2] != 503 || got[3] != 200 {
		t.Errorf("twice 503 for sessions alone: %v", got)
	}
	remove := s.Fault(sandbox.Fault{Vendor: sandbox.LogRocket, Kind: "bogus"})
	if a, b := code(sandbox.OpUpdateUser), code(sandbox.OpSession); a != 500 || b != 200 {
		t.Errorf("LogRocket %d, Raygun %d", a, b)
	}
	remove()
	remove()
	s.Fault(sandbox.Fault{Kind: sandbox.FaultForbidden})
	s.ClearFaults()
	if a := code(sandbox.OpUpdateUser); a != 200 {
		t.Errorf("after removal %d", a)
	}
}

func TestLostAnswersAreDoneAndDroppedOnesAreNot(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	post := func() { _, _ = send(t, "POST", app(s, "highlights/"), token(s), `{"userID":"usr_ada"}`) }
	for kind, want := range map[sandbox.FaultKind]int{sandbox.FaultDrop: 0, sandbox.FaultUnavailable: 0, sandbox.FaultLost: 1} {
		before := s.HighlightJobs()
		remove := s.Fault(sandbox.Fault{Kind: kind})
		post()
		remove()
		if n := s.HighlightJobs() - before; n != want {
			t.Errorf("%s started %d jobs", kind, n)
		}
	}
}

func TestCallsAreNotedWithoutKeys(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	for _, do := range everyOperation(t, s) {
		_, _ = do()
	}
	mustSend(t, "GET", s.RaygunURL()+"/nowhere", nil, nil)
	seen, c := map[string]bool{}, s.Credentials()
	for _, call := range s.Calls() {
		seen[call.Operation] = true
		raw, err := json.Marshal(call)
		if err != nil {
			t.Fatal(err)
		}
		if call.Status == 0 || call.Path == "" || call.Method == "" || call.Vendor == "" || !call.Time.Equal(noon()) {
			t.Errorf("noted %s", raw)
		}
		for _, secret := range []string{c.LogRocketKey, c.RaygunToken, c.RaygunClientSecret, "sig="} {
			if strings.Contains(string(raw), secret) {
				t.Errorf("a secret in %s", raw)
			}
		}
	}
	if len(seen) != len(sandbox.Operations())+1 { // and the wrong path
		t.Errorf("noted %v", seen)
	}
}

func TestControl(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	base := s.LogRocketURL() + "/_sandbox/"
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
	code := func() int { return mustSend(t, "PUT", app(s, "users/u"), token(s), `{}`).code }

	a := mustSend(t, "POST", base+"faults", nil, `{"vendor":"logrocket","operation":"updateUser","kind":"503","retryAfterSeconds":3,"times":2}`)
	var made struct{ ID int }
	a.json(t, &made)
	if a.code != 201 || made.ID == 0 || code() != 503 {
		t.Errorf("JSON: %d %s", a.code, a.body)
	}
	if a := mustSend(t, "DELETE", base+"faults/1", nil, nil); a.code != 204 || code() != 200 {
		t.Errorf("removing one: %d", a.code)
	}
	if a := mustSend(t, "DELETE", base+"faults/1", nil, nil); a.code != 404 {
		t.Errorf("removing it again: %d", a.code)
	}
	// curl -d calls JSON a form.
	if a := mustSend(t, "POST", base+"faults", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, `{"kind":"401"}`); a.code != 201 || code() != 401 {
		t.Errorf("curl: %d", a.code)
	}
	if a := mustSend(t, "POST", base+"faults/clear", form, ""); a.code != 303 || code() != 200 {
		t.Errorf("clearing by form: %d", a.code)
	}
	if a := mustSend(t, "POST", base+"faults", form, "vendor=logrocket&operation=&kind=403&latencyMs=0&retryAfterSeconds=0&times=0"); a.code != 303 || code() != 403 {
		t.Errorf("by form: %d %s", a.code, a.body)
	}
	page := mustSend(t, "GET", base, nil, nil)
	if page.code != 200 || !strings.Contains(string(page.body), "<td>403</td>") || !strings.Contains(string(page.body), "ada.lovelace@example.com") || strings.Contains(string(page.body), "<script") {
		t.Errorf("page %d %s", page.code, page.body)
	}
	state := mustSend(t, "GET", base, map[string]string{"Accept": "application/json"}, nil)
	if !strings.Contains(string(state.body), `"kind":"403"`) {
		t.Errorf("state %s", state.body)
	}
	mustSend(t, "DELETE", base+"faults", nil, nil)
	if code() != 200 {
		t.Error("faults are still on")
	}
	for path, body := range map[string]string{"faults": `{"kind":"none"}`, "dialect": `{"dialect":"latin"}`, "limit": `{"limit":"many"}`, "faults?": `nonsense`} {
		if a := mustSend(t, "POST", base+path, nil, body); a.code != 400 {
			t.Errorf("%s %s: %d %s", path, body, a.code, a.body)
		}
	}
	for _, body := range []string{`{"kind":"401","vendor":"x"}`, `{"kind":"401","times":-1}`, `{"kind":"401","latencyMs":"x"}`, `{`} {
		if a := mustSend(t, "POST", base+"faults", nil, body); a.code != 400 {
			t.Errorf("%s: %d", body, a.code)
		}
	}
	if a := mustSend(t, "POST", base+"dialect", form, "dialect=live"); a.code != 303 || s.Dialect() != sandbox.DialectLive {
		t.Errorf("dialect: %d", a.code)
	}
	if a := mustSend(t, "POST", base+"limit", nil, `{"limit":0}`); a.code != 200 {
		t.Errorf("limit: %d", a.code)
	}
	if a := mustSend(t, "GET", sessionsURL(s), sessionKey(t, s), nil); a.code != 429 {
		t.Errorf("with a limit of 0: %d", a.code)
	}
	for path, body := range map[string]string{"scopes": `{"scopes":"everything"}`, "disorder": `{"disorder":"much"}`, "v3limits": `{"perDay":"x"}`} {
		if a := mustSend(t, "POST", base+path, nil, body); a.code != 400 {
			t.Errorf("%s %s: %d", path, body, a.code)
		}
	}
	mustSend(t, "POST", base+"scopes", nil, `{"scopes":["customers:read","rum.pages:read"]}`)
	mustSend(t, "POST", base+"v3limits", nil, `{"perDay":20}`)
	if a := mustSend(t, "POST", base+"disorder", form, "disorder=move&disorder=shuffle"); a.code != 303 {
		t.Errorf("disorder by form: %d", a.code)
	}
	if got := fmt.Sprint(s.RaygunGrantedScopes(), s.RaygunV3Limits(), s.Disorder()); got != "[customers:read rum.pages:read] {-1 -1 20} [shuffle move]" {
		t.Errorf("set %s", got)
	}
	page = mustSend(t, "GET", base, nil, nil)
	if strings.Count(string(page.body), " checked") != 4 || !strings.Contains(string(page.body), "list-sessions") {
		t.Errorf("page %s", page.body)
	}
	mustSend(t, "POST", base+"disorder", form, "")
	if len(s.Disorder()) != 0 {
		t.Errorf("disorder is still on: %v", s.Disorder())
	}
	if a := mustSend(t, "GET", base+"nothing", nil, nil); a.code != 404 {
		t.Errorf("nothing: %d", a.code)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	if a := mustSend(t, "POST", s.RaygunURL()+"/_sandbox/faults", map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, `{"kind":"401"}`); a.code != 403 {
		t.Errorf("from another site's page: %d", a.code)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.RaygunURL()+"/_sandbox/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("under another name: %d", resp.StatusCode)
	}
}

func TestManyAtOnce(t *testing.T) {
	s, c := start(t, sandbox.Options{RaygunDailyLimit: -1})
	ops := everyOperation(t, s)
	var wg sync.WaitGroup
	for range 4 {
		for _, do := range ops {
			wg.Go(func() {
				if _, err := do(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			s.SetDialect(sandbox.DialectLive)
			s.Fault(sandbox.Fault{Kind: sandbox.FaultServerError, Times: 1})
			c.add(time.Second)
			s.SetRaygunDailyLimit(-1)
			s.SetDisorder(sandbox.Disorders()...)
			s.SetRaygunScopes(sandbox.RaygunScopes()...)
			s.SetRaygunV3Limits(s.RaygunV3Limits())
			_, _, _ = s.Disorder(), s.RaygunGrantedScopes(), s.RaygunV3CallsToday()
			s.SetDialect(sandbox.DialectContract)
			_, _, _, _ = s.LogRocketUser("usr_ada")
			_, _, _ = s.Calls(), s.RaygunCallsToday(), s.HighlightJobs()
		})
	}
	wg.Wait()
	var total int
	for op := range ops {
		total += s.CountCalls(op)
	}
	if total != len(s.Calls()) {
		t.Errorf("%d counted, %d noted", total, len(s.Calls()))
	}
}
