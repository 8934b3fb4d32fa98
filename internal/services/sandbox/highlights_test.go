package sandbox_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

type envelope struct {
	ID        string
	RequestID string
	AppID     string
	Status    string
	Result    *struct {
		Highlights string
		Sessions   []struct {
			SessionID   any
			RecordingID string
			Highlights  string
		}
	}
}

// lights asks for highlights and, when they are ready, fetches them.
func lights(t *testing.T, s *sandbox.Sandbox, c *clock, body any) envelope {
	t.Helper()
	var out envelope
	a := contract(t, s, "POST", app(s, "highlights/"), body)
	if a.code != 200 {
		t.Fatalf("%v: %d %s", body, a.code, a.body)
	}
	a.json(t, &out)
	c.add(8 * time.Second)
	a = contract(t, s, "GET", app(s, "highlights/?id="+out.RequestID), nil)
	a.json(t, &out)
	return out
}

func TestHighlightsInTheContract(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	var got envelope
	contract(t, s, "POST", app(s, "highlights/"), `{"userEmail":"Ada.Lovelace@example.com"}`).json(t, &got)
	if got.Status != "PENDING" || got.Result != nil || got.AppID != "acme/web" || got.RequestID == "" {
		t.Fatalf("at first %+v", got)
	}
	c.add(8*time.Second - 1)
	contract(t, s, "GET", app(s, "highlights/?id="+got.RequestID), nil).json(t, &got)
	if got.Status != "PENDING" {
		t.Fatalf("after nearly 8 seconds %+v", got)
	}
	c.add(1)
	contract(t, s, "GET", app(s, "highlights/?id="+got.RequestID), nil).json(t, &got)
	if got.Status != "COMPLETE" || got.Result == nil || len(got.Result.Sessions) != 10 {
		t.Fatalf("at last %+v", got)
	}
	if a := mustSend(t, "GET", app(s, "highlights?id="+got.RequestID), token(s), nil); a.code != 404 {
		t.Errorf("without the slash: %d", a.code)
	}
	if a := contract(t, s, "GET", app(s, "highlights/?id=nothing"), nil); a.code != 404 {
		t.Errorf("unknown id: %d", a.code)
	}
}

func TestHighlightsLive(t *testing.T) {
	s, c := start(t, sandbox.Options{Dialect: sandbox.DialectLive})
	a := mustSend(t, "POST", app(s, "highlights/"), token(s), `{"userID":"usr_ada"}`)
	if !regexp.MustCompile(`^\{"id":"[0-9a-f]{64}"\}\n$`).Match(a.body) {
		t.Fatalf("POST answered %s", a.body)
	}
	var got envelope
	a.json(t, &got)
	if a := mustSend(t, "GET", app(s, "highlights/?id="+got.ID), token(s), nil); a.code != 404 {
		t.Errorf("with the slash: %d", a.code)
	}
	c.add(time.Minute)
	mustSend(t, "GET", app(s, "highlights?id="+got.ID), token(s), nil).json(t, &got)
	if got.Status != "READY" || len(got.Result.Sessions) == 0 {
		t.Fatalf("got %+v", got)
	}
	for _, v := range got.Result.Sessions {
		if _, number := v.SessionID.(float64); !number || !regexp.MustCompile(`^6-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(v.RecordingID) {
			t.Errorf("session %v of recording %q", v.SessionID, v.RecordingID)
		}
	}
}

func TestHighlightsRequests(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	for _, body := range []any{nil, "{", `{}`, `{"userEmail":""}`, `{"userID":"u","timeRange":{}}`, `{"userID":"u","timeRange":{"startMs":1}}`, `{"userID":"u","timeRange":{"startMs":2,"endMs":2}}`, `{"userID":"u","webhookURL":"ftp://x/"}`, `{"userID":"u","webhookURL":"nonsense"}`} {
		if a := contract(t, s, "POST", app(s, "highlights/"), body); a.code != 400 {
			t.Errorf("%v: %d %s", body, a.code, a.body)
		}
	}
	if n := s.HighlightJobs(); n != 0 {
		t.Errorf("refused requests started %d jobs", n)
	}
	ids := map[string]bool{}
	for range 3 {
		var got envelope
		contract(t, s, "POST", app(s, "highlights/"), `{"userID":"usr_ada"}`).json(t, &got)
		ids[got.RequestID] = true
	}
	if n := s.HighlightJobs(); n != 3 || len(ids) != 3 || s.CountCalls(sandbox.OpCreateHighlights) != 12 {
		t.Errorf("the same request thrice: %d jobs, %d ids, %d calls", n, len(ids), s.CountCalls(sandbox.OpCreateHighlights))
	}
}

func TestHighlightsOfNobodyAndFailures(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	if got := lights(t, s, c, `{"userEmail":"nobody@example.com"}`); got.Status != "COMPLETE" || got.Result == nil || got.Result.Sessions == nil || len(got.Result.Sessions) != 0 {
		t.Errorf("of nobody: %+v", got)
	}
	if got := lights(t, s, c, `{"userID":"usr_ada","question":"Why did the payment fail?"}`); got.Status != "COMPLETE" {
		t.Errorf("a question about a failure: %+v", got)
	}
	if got := lights(t, s, c, `{"userID":"usr_ada","question":"Now PLEASE fail."}`); got.Status != "FAILED" || got.Result != nil {
		t.Errorf("that fail: %+v", got)
	}
}

func TestHighlightsKeepToTheTimeRange(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	from, to := noon().Add(-72*time.Hour), noon().Add(-24*time.Hour)
	got := lights(t, s, c, map[string]any{"userID": "usr_ada", "timeRange": map[string]int64{"startMs": from.UnixMilli(), "endMs": to.UnixMilli()}})
	if len(got.Result.Sessions) == 0 {
		t.Fatal("no sessions")
	}
	for _, v := range got.Result.Sessions {
		for _, at := range moments(t, v.Highlights) {
			if at.Before(from.Add(-time.Hour)) || at.After(to.Add(3*time.Hour)) {
				t.Errorf("a moment at %v", at)
			}
		}
	}
	old := lights(t, s, c, map[string]any{"userID": "usr_mel", "timeRange": map[string]int64{"startMs": noon().AddDate(0, 0, -60).UnixMilli(), "endMs": noon().AddDate(0, 0, -40).UnixMilli()}})
	if len(old.Result.Sessions) == 0 {
		t.Error("a time range before the last 30 days finds nothing")
	}
}

var link = regexp.MustCompile(`\]\((http://127[^)\s]+)\)`)

func moments(t *testing.T, markdown string) []time.Time {
	t.Helper()
	var out []time.Time
	for _, m := range link.FindAllStringSubmatch(markdown, -1) {
		u, err := url.Parse(m[1])
		if err != nil {
			t.Fatal(err)
		}
		var v int64
		for _, r := range u.Query().Get("t") {
			v = v*10 + int64(r-'0')
		}
		out = append(out, time.UnixMilli(v))
	}
	return out
}

func TestHighlightLinksOpenTheirMoment(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	got := lights(t, s, c, `{"userEmail":"ada.lovelace@example.com","question":"What broke?"}`)
	if !strings.Contains(got.Result.Highlights, "What broke?") || !strings.Contains(got.Result.Highlights, "reading 'total'") {
		t.Errorf("the summary says %s", got.Result.Highlights)
	}
	t.Log(got.Result.Highlights, "\n", got.Result.Sessions[0].Highlights)
	all := got.Result.Highlights
	for _, v := range got.Result.Sessions {
		all += v.Highlights
	}
	links := link.FindAllStringSubmatch(all, -1)
	if len(links) < 10 {
		t.Errorf("%d links", len(links))
	}
	for _, m := range links[:10] {
		if !strings.HasPrefix(m[1], s.LogRocketAppURL()+"/acme/web/s/6-") {
			t.Errorf("link %s", m[1])
		}
		a := mustSend(t, "GET", m[1], nil, nil)
		if a.code != 200 || !strings.Contains(string(a.body), "<mark>") || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s leads to %d %.200s", m[1], a.code, a.body)
		}
	}
	for path, want := range map[string]int{"/acme/web/sessions?e=ada.lovelace%40example.com": 200, "/acme/web/sessions?u=a/b": 200, "/acme/web/s/6-0/0": 404, "/acme/web/s/x/y": 404, "/other/web/s/1/2": 404, "/": 404} {
		if a := mustSend(t, "GET", s.LogRocketAppURL()+path, nil, nil); a.code != want {
			t.Errorf("%s: %d", path, a.code)
		}
	}
}

func TestHostilePagesShowAsText(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	got := lights(t, s, c, `{"userEmail":"mallory@example.com"}`)
	if !strings.Contains(got.Result.Highlights, "<script>") || !strings.Contains(got.Result.Highlights, "javascript:alert") {
		t.Errorf("a tame summary: %s", got.Result.Highlights)
	}
	for _, m := range link.FindAllStringSubmatch(got.Result.Highlights, -1) {
		if a := mustSend(t, "GET", m[1], nil, nil); strings.Contains(string(a.body), "<script>") || strings.Contains(string(a.body), "<img") {
			t.Errorf("markup on the page: %s", a.body)
		}
	}
}

func TestHighlightsWebhook(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	bodies := make(chan []byte, 4)
	var tries atomic.Int32
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		if tries.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		bodies <- raw
	}))
	defer hook.Close()
	a := contract(t, s, "POST", app(s, "highlights/"), map[string]string{"userID": "usr_ada", "webhookURL": hook.URL + "/x"})
	var asked, told envelope
	a.json(t, &asked)
	time.Sleep(120 * time.Millisecond) // nothing may come before its time
	if len(bodies) > 0 || tries.Load() > 0 {
		t.Error("the webhook came too early")
	}
	c.add(8 * time.Second)
	select {
	case raw := <-bodies:
		answer{body: raw}.json(t, &told)
	case <-time.After(10 * time.Second):
		t.Fatal("no webhook came")
	}
	if told.RequestID != asked.RequestID || told.Status != "COMPLETE" || told.Result == nil {
		t.Errorf("the webhook says %+v", told)
	}
}

func TestCloseDoesNotWaitForWebhooks(t *testing.T) {
	s, _ := start(t, sandbox.Options{HighlightDelay: time.Hour})
	contract(t, s, "POST", app(s, "highlights/"), map[string]string{"userID": "usr_ada", "webhookURL": "http://127.0.0.1:1/"})
	defer s.Fault(sandbox.Fault{Kind: sandbox.FaultLatency, Latency: time.Hour})()
	done := make(chan error, 1)
	go func() {
		_, err := send(t, "GET", sessionsURL(s), nil, nil)
		done <- err
	}()
	for s.CountCalls(sandbox.OpSessions) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if <-done == nil {
		t.Error("a waiting request was answered")
	}
}
