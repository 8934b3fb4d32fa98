package services

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/sandbox"
)

// ask requests highlights and fails the test on any problem.
func (r *rocketSite) ask(q HighlightRequest) Highlight {
	r.t.Helper()
	if q.Connection == 0 {
		q.Connection = r.conn
	}
	if q.FormToken == "" {
		q.FormToken = NewFormToken()
	}
	h, _, problems, err := r.s.Highlights.Request(r.t.Context(), r.actor, q)
	if err != nil || len(problems) > 0 {
		r.t.Fatal(problems, err)
	}
	return h
}

// settled waits until a highlight has ended.
func (r *rocketSite) settled(id HighlightID) Highlight {
	r.t.Helper()
	return r.until(id, func(h Highlight) bool { return !h.State.Open() })
}

func (r *rocketSite) until(id HighlightID, ok func(Highlight) bool) Highlight {
	r.t.Helper()
	h, err := waitFor(r.t.Context(), patience, func() (Highlight, bool, error) {
		h, err := r.s.Highlights.Get(r.t.Context(), 1, id)
		return h, ok(h), err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if !ok(h) {
		r.t.Fatalf("still %+v", h)
	}
	return h
}

func TestHighlightsAreAskedForAndKept(t *testing.T) {
	eachDialect(t, func(t *testing.T, d sandbox.Dialect) {
		r := newRocketSite(t, d)
		r.start()
		who := r.box.Company().Demo()[0]
		id := r.customer(who)
		h := r.ask(HighlightRequest{Email: who.Email, Question: "What broke?", Customer: id})
		if h.State != HighlightQueued || h.Customer != id || h.AuthorName != "Ada" {
			t.Errorf("queued: %+v", h)
		}
		h = r.settled(h.ID)
		if h.State != HighlightReady || h.Markdown == "" || h.RequestID == "" {
			t.Fatalf("ended as %+v", h)
		}
		parts, err := r.s.Highlights.Sessions(t.Context(), 1, h)
		if err != nil || len(parts) == 0 {
			t.Fatalf("%d sessions, %v", len(parts), err)
		}
		for _, p := range parts {
			if p.RecordingID == "" || p.SessionID == "" || p.Markdown == "" || !strings.HasPrefix(p.URL, r.box.LogRocketAppURL()) {
				t.Errorf("part %+v", p)
			}
		}
		if out := r.s.Markdown.HTML(h.Markdown); !strings.Contains(out, `<a class="link" href="`+r.box.LogRocketAppURL()) {
			t.Errorf("no link into the app in %s", out)
		}
		if n := r.box.HighlightJobs(); n != 1 {
			t.Errorf("%d jobs were started", n)
		}
		if e := r.history("highlight.request"); len(e) != 1 || e[0].Actor != 1 || e[0].Customer != id || !strings.Contains(e[0].After, "What broke?") {
			t.Errorf("history of the request: %+v", e)
		}
		if e := r.history("highlight.ready"); len(e) != 1 || e[0].Customer != id {
			t.Errorf("history of the result: %+v", e)
		}
		calls, err := r.store.Org(1).Calls(t.Context(), db.HistoryFilter{Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		polls := 0
		for _, c := range calls {
			// The request is the member's; the questions after it nobody waits for.
			if poll := c.Operation == "getHighlights"; c.Actor != 1 || c.Customer != id || c.Background != poll {
				t.Errorf("the ledger says %s by %d about %d, background %v", c.Operation, c.Actor, c.Customer, c.Background)
			} else if poll {
				polls++
			}
		}
		if polls == 0 {
			t.Error("no question about the result is in the ledger")
		}
		list, err := r.s.Highlights.ForCustomer(t.Context(), 1, id, 10)
		if err != nil || len(list) != 1 {
			t.Errorf("of the customer: %v, %v", list, err)
		}
	})
}

func TestHighlightsByUserIDWithRange(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectLive)
	r.start()
	who := r.box.Company().Demo()[0]
	h := r.settled(r.ask(HighlightRequest{UserID: who.UserID, Start: time.Now().Add(-240 * time.Hour), End: time.Now()}).ID)
	if h.State != HighlightReady || h.UserID != who.UserID || h.Email != "" {
		t.Fatalf("ended as %+v", h)
	}
	// The result names sessions, so there is such a person now.
	if h.Customer == 0 {
		t.Error("no customer")
	}
}

func TestHighlightsOfSomebodyUnknownAreLinkedLater(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.start()
	h := r.settled(r.ask(HighlightRequest{Email: "Nobody@Nowhere.example"}).ID)
	if h.State != HighlightReady || h.Markdown == "" && h.Customer != 0 {
		t.Fatalf("ended as %+v", h)
	}
	if h.Customer != 0 {
		t.Fatal("an answer without sessions made a customer")
	}
	id := r.customer(sandbox.Customer{Email: "nobody@nowhere.example"})
	if h = r.until(h.ID, func(h Highlight) bool { return h.Customer == id }); h.Customer != id {
		t.Errorf("customer %d, want %d", h.Customer, id)
	}
}

// A form counts once, and of two tabs that ask the same the second joins.
func TestHighlightsAreSentOnce(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectLive)
	r.start()
	who := r.box.Company().Demo()[0]
	q := HighlightRequest{Email: who.Email, FormToken: NewFormToken()}
	first := r.ask(q)
	if again := r.ask(q); again.ID != first.ID {
		t.Errorf("a double click made %d beside %d", again.ID, first.ID)
	}
	q.FormToken = ""
	if tab := r.ask(q); tab.ID != first.ID {
		t.Errorf("another tab made %d beside %d", tab.ID, first.ID)
	}
	r.settled(first.ID)
	if n := r.box.CountCalls(sandbox.OpCreateHighlights); n != 1 {
		t.Errorf("posted %d times", n)
	}
	q.Question = "Another?"
	second := r.settled(r.ask(q).ID)
	if second.ID == first.ID || r.box.HighlightJobs() != 2 {
		t.Errorf("another question: %d, %d jobs", second.ID, r.box.HighlightJobs())
	}
}

// Killed between any two steps and started again, the request is posted once at
// most.
func TestHighlightsSurviveAKill(t *testing.T) {
	who := func(r *rocketSite) HighlightRequest { return HighlightRequest{Email: r.box.Company().Demo()[0].Email} }
	t.Run("before the job ran", func(t *testing.T) {
		r := newRocketSite(t, sandbox.DialectLive)
		h := r.ask(who(r)) // no job runs yet
		r.restart()
		if h = r.settled(h.ID); h.State != HighlightReady || r.box.HighlightJobs() != 1 {
			t.Errorf("%s, %d jobs", h.State, r.box.HighlightJobs())
		}
	})
	t.Run("after the job was lost", func(t *testing.T) {
		r := newRocketSite(t, sandbox.DialectLive)
		h := r.ask(who(r))
		r.force(`DELETE FROM river_job`)
		r.restart()
		if h = r.settled(h.ID); h.State != HighlightReady || r.box.HighlightJobs() != 1 {
			t.Errorf("%s, %d jobs", h.State, r.box.HighlightJobs())
		}
	})
	t.Run("between committing and sending", func(t *testing.T) {
		r := newRocketSite(t, sandbox.DialectLive)
		h := r.ask(who(r))
		r.force(`UPDATE highlights SET state = 'sending', sent_at = created_at WHERE id = ?`, h.ID)
		r.restart()
		h = r.settled(h.ID)
		if h.State != HighlightUnknown || r.box.CountCalls(sandbox.OpCreateHighlights) != 0 || !strings.Contains(h.Message, "do not know whether LogRocket got it") {
			t.Errorf("%+v after %d posts", h, r.box.CountCalls(sandbox.OpCreateHighlights))
		}
		if e := r.history("highlight.unknown"); len(e) != 1 {
			t.Errorf("history %+v", e)
		}
	})
	t.Run("while LogRocket answers", func(t *testing.T) {
		r := newRocketSite(t, sandbox.DialectLive)
		r.box.Fault(sandbox.Fault{Operation: sandbox.OpCreateHighlights, Kind: sandbox.FaultLatency, Latency: time.Minute, Times: 1})
		r.start()
		h := r.ask(who(r))
		r.until(h.ID, func(Highlight) bool { return r.box.CountCalls(sandbox.OpCreateHighlights) == 1 })
		r.restart()
		if h = r.settled(h.ID); h.State != HighlightUnknown {
			t.Errorf("%+v", h)
		}
		if n := r.box.CountCalls(sandbox.OpCreateHighlights); n != 1 {
			t.Errorf("posted %d times", n)
		}
	})
	t.Run("while waiting", func(t *testing.T) {
		r := newRocketSite(t, sandbox.DialectLive)
		r.pace.FirstPoll, r.pace.MaxPoll = time.Hour, time.Hour
		r.restart()
		h := r.until(r.ask(who(r)).ID, func(h Highlight) bool { return h.State == HighlightPending })
		r.pace.FirstPoll, r.pace.MaxPoll = 20*time.Millisecond, 50*time.Millisecond
		r.restart() // nobody has the turn any more, so it is asked for at once
		if h = r.settled(h.ID); h.State != HighlightReady || r.box.HighlightJobs() != 1 {
			t.Errorf("%s, %d jobs", h.State, r.box.HighlightJobs())
		}
	})
	t.Run("while asking for the result", func(t *testing.T) {
		r := newRocketSite(t, sandbox.DialectLive)
		r.start()
		r.box.Fault(sandbox.Fault{Operation: sandbox.OpGetHighlights, Kind: sandbox.FaultLatency, Latency: time.Minute, Times: 1})
		h := r.ask(who(r))
		r.until(h.ID, func(Highlight) bool { return r.box.CountCalls(sandbox.OpGetHighlights) >= 1 })
		for range 3 {
			r.restart()
		}
		if h = r.settled(h.ID); h.State != HighlightReady || r.box.CountCalls(sandbox.OpCreateHighlights) != 1 {
			t.Errorf("%s, %d posts", h.State, r.box.CountCalls(sandbox.OpCreateHighlights))
		}
	})
}

// What LogRocket's answer to the POST says decides whether it may be asked again.
func TestHighlightsThatCannotBeSent(t *testing.T) {
	tests := []struct {
		fault sandbox.FaultKind
		state HighlightState
		says  string
	}{
		{sandbox.FaultUnauthorized, HighlightFailed, "does not accept the credentials"},
		{sandbox.FaultForbidden, HighlightFailed, "may not do this"},
		{sandbox.FaultRateLimited, HighlightFailed, "called too often"},
		{sandbox.FaultServerError, HighlightUnknown, "do not know whether"},
		{sandbox.FaultUnavailable, HighlightUnknown, "do not know whether"},
		{sandbox.FaultGarbage, HighlightUnknown, "do not know whether"},
		{sandbox.FaultEmpty, HighlightUnknown, "do not know whether"},
		{sandbox.FaultWrongType, HighlightUnknown, "do not know whether"},
		{sandbox.FaultDrop, HighlightUnknown, "do not know whether"},
		{sandbox.FaultLost, HighlightUnknown, "do not know whether"},
	}
	r := newRocketSite(t, sandbox.DialectContract)
	r.start()
	for _, tt := range tests {
		t.Run(string(tt.fault), func(t *testing.T) {
			before := r.box.CountCalls(sandbox.OpCreateHighlights)
			remove := r.box.Fault(sandbox.Fault{Operation: sandbox.OpCreateHighlights, Kind: tt.fault})
			h := r.settled(r.ask(HighlightRequest{Email: "x@example.com", Question: string(tt.fault)}).ID)
			remove()
			r.force(`UPDATE connections SET blocked_until = NULL`)
			if h.State != tt.state || !strings.Contains(h.Message, tt.says) || strings.Contains(h.Message, "mirror") {
				t.Errorf("%s: %s", h.State, h.Message)
			}
			if n := r.box.CountCalls(sandbox.OpCreateHighlights) - before; n != 1 {
				t.Errorf("posted %d times", n)
			}
		})
	}
}

// Trouble while asking for the result does not end the wait.
func TestHighlightsWaitThroughTrouble(t *testing.T) {
	for _, fault := range []sandbox.FaultKind{sandbox.FaultServerError, sandbox.FaultGarbage, sandbox.FaultUnauthorized, sandbox.FaultDrop, sandbox.FaultNotFound} {
		t.Run(string(fault), func(t *testing.T) {
			r := newRocketSite(t, sandbox.DialectContract)
			r.pace.MaxMisses = 100
			r.restart()
			remove := r.box.Fault(sandbox.Fault{Operation: sandbox.OpGetHighlights, Kind: fault})
			h := r.until(r.ask(HighlightRequest{Email: r.box.Company().Demo()[0].Email}).ID, func(h Highlight) bool { return h.Polls >= 2 })
			if h.State != HighlightPending || h.Message == "" {
				t.Errorf("meanwhile %+v", h)
			}
			remove()
			if h = r.settled(h.ID); h.State != HighlightReady || h.Message != "" {
				t.Errorf("ended as %+v", h)
			}
		})
	}
	t.Run("rate limit", func(t *testing.T) {
		r := newRocketSite(t, sandbox.DialectContract)
		r.start()
		r.box.Fault(sandbox.Fault{Operation: sandbox.OpGetHighlights, Kind: sandbox.FaultRateLimited, RetryAfter: time.Second, Times: 1})
		h := r.settled(r.ask(HighlightRequest{Email: r.box.Company().Demo()[0].Email}).ID)
		if h.State != HighlightReady || h.FinishedAt.Sub(h.SentAt) < time.Second {
			t.Errorf("%s after %s", h.State, h.FinishedAt.Sub(h.SentAt))
		}
		if n := r.box.CountCalls(sandbox.OpGetHighlights); n > 3 {
			t.Errorf("asked %d times against Retry-After", n)
		}
	})
}

func TestHighlightsEndWithoutAResult(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.pace.Deadline, r.pace.MaxMisses = 3*time.Second, 2
	r.restart()
	who := r.box.Company().Demo()[0].Email

	h := r.settled(r.ask(HighlightRequest{Email: who, Question: "Please fail."}).ID)
	if h.State != HighlightFailed || h.VendorStatus != "FAILED" || !strings.Contains(h.Message, "“FAILED”") {
		t.Errorf("failed: %+v", h)
	}

	remove := r.box.Fault(sandbox.Fault{Operation: sandbox.OpGetHighlights, Kind: sandbox.FaultNotFound})
	h = r.settled(r.ask(HighlightRequest{Email: who, Question: "gone"}).ID)
	if h.State != HighlightFailed || !strings.Contains(h.Message, "does not know this request") {
		t.Errorf("not found: %+v", h)
	}
	remove()

	remove = r.box.Fault(sandbox.Fault{Operation: sandbox.OpGetHighlights, Kind: sandbox.FaultServerError})
	h = r.settled(r.ask(HighlightRequest{Email: who, Question: "late"}).ID)
	remove()
	if h.State != HighlightExpired || !strings.Contains(h.Message, "status 500") {
		t.Fatalf("late: %+v", h)
	}
	// It was given up here, not there.
	jobs := r.box.HighlightJobs()
	if err := r.s.Highlights.Recheck(t.Context(), r.actor, h.ID); err != nil {
		t.Fatal(err)
	}
	if h = r.settled(h.ID); h.State != HighlightReady || r.box.HighlightJobs() != jobs {
		t.Errorf("looked again: %+v, %d new jobs", h, r.box.HighlightJobs()-jobs)
	}
	var e *Error
	if err := r.s.Highlights.Recheck(t.Context(), r.actor, h.ID); !errors.As(err, &e) || e.Kind != Conflict {
		t.Errorf("looking again for what is there: %v", err)
	}
}

func TestHighlightsCanBeCancelled(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	h := r.ask(HighlightRequest{Email: "x@example.com"}) // nothing runs yet
	if err := r.s.Highlights.Cancel(t.Context(), r.actor, h.ID); err != nil {
		t.Fatal(err)
	}
	r.start()
	h2 := r.ask(HighlightRequest{Email: r.box.Company().Demo()[0].Email})
	r.box.Fault(sandbox.Fault{Operation: sandbox.OpGetHighlights, Kind: sandbox.FaultServerError})
	r.until(h2.ID, func(h Highlight) bool { return h.State == HighlightPending })
	if err := r.s.Highlights.Cancel(t.Context(), r.actor, h2.ID); err != nil {
		t.Fatal(err)
	}
	for _, id := range []HighlightID{h.ID, h2.ID} {
		if got := r.settled(id); got.State != HighlightCancelled || !strings.Contains(got.Message, "Ada stopped") {
			t.Errorf("%+v", got)
		}
		var e *Error
		if err := r.s.Highlights.Cancel(t.Context(), r.actor, id); !errors.As(err, &e) || e.Kind != Conflict {
			t.Errorf("twice: %v", err)
		}
	}
	if n := r.box.CountCalls(sandbox.OpCreateHighlights); n != 1 {
		t.Errorf("posted %d times", n)
	}
}

// A word that nobody has heard of is shown and waited through.
func TestHighlightsWaitOnAnUnknownStatus(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	var polls atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body := `{"requestID":"r1","appID":"a/b","status":"PENDING","result":null}`
		if q.Method == http.MethodGet {
			body = `{"requestID":"r1","appID":"a/b","status":"RUMINATING","result":null}`
			if polls.Add(1) > 3 {
				body = `{"requestID":"r1","appID":"a/b","status":"READY","result":{"highlights":"","sessions":[]}}`
			}
		}
		_, _ = w.Write([]byte(body))
	}))
	defer srv.Close()
	r.s.Connections.vendors.LogRocketURL = srv.URL
	r.start()
	h := r.until(r.ask(HighlightRequest{Email: "x@example.com"}).ID, func(h Highlight) bool { return h.VendorStatus == "RUMINATING" })
	if h.State != HighlightPending {
		t.Errorf("meanwhile %+v", h)
	}
	if h = r.settled(h.ID); h.State != HighlightReady || h.Markdown != "" || h.VendorStatus != "READY" {
		t.Errorf("ended as %+v", h)
	}
}

// A result under a word that nobody has heard of is paid for all the same.
func TestHighlightsKeepAResultUnderAnUnknownStatus(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body := `{"requestID":"r1","status":"PENDING","result":null}`
		if q.Method == http.MethodGet {
			body = `{"requestID":"r1","status":"SERVED","result":{"highlights":"Here it is.","sessions":[]}}`
		}
		_, _ = w.Write([]byte(body))
	}))
	defer srv.Close()
	r.pace.Deadline = 2 * time.Second
	r.kill()
	r.open()
	r.s.Connections.vendors.LogRocketURL = srv.URL
	r.start()
	h := r.settled(r.ask(HighlightRequest{Email: "x@example.com"}).ID)
	if h.State != HighlightReady || h.Markdown != "Here it is." || h.VendorStatus != "SERVED" || h.FinishedAt.Before(h.DeadlineAt) {
		t.Errorf("ended as %+v", h)
	}
}

func TestHighlightProblemsAreNamed(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	now := time.Now()
	tests := []struct {
		name  string
		q     HighlightRequest
		field string
		says  string
	}{
		{"nobody", HighlightRequest{}, "subject", "Say whose"},
		{"no email", HighlightRequest{Email: "ada"}, "subject", "no email address"},
		{"long id", HighlightRequest{UserID: strings.Repeat("ü", 1025)}, "subject", "1025 characters"},
		{"long question", HighlightRequest{UserID: "1", Question: strings.Repeat("ü", 1001)}, "question", "1001 characters"},
		{"no end", HighlightRequest{UserID: "1", Start: now}, "to", "end as well"},
		{"no start", HighlightRequest{UserID: "1", End: now}, "from", "start as well"},
		{"backwards", HighlightRequest{UserID: "1", Start: now, End: now.Add(-1)}, "to", "after the start"},
	}
	for _, tt := range tests {
		tt.q.Connection = r.conn
		_, _, problems, err := r.s.Highlights.Request(t.Context(), r.actor, tt.q)
		if err != nil || len(problems) != 1 || !strings.Contains(problems[tt.field], tt.says) {
			t.Errorf("%s: %v, %v", tt.name, problems, err)
		}
	}
	r.ask(HighlightRequest{UserID: strings.Repeat("ü", 1024), Question: strings.Repeat("ü", 1000)})
	viewer := r.actor
	viewer.Role = Viewer
	var e *Error
	if _, _, _, err := r.s.Highlights.Request(t.Context(), viewer, HighlightRequest{UserID: "1", Connection: r.conn}); !errors.As(err, &e) || e.Kind != Denied {
		t.Errorf("a viewer: %v", err)
	}
	stranger := r.actor
	stranger.Org = 2
	if _, _, _, err := r.s.Highlights.Request(t.Context(), stranger, HighlightRequest{UserID: "1", Connection: r.conn}); !errors.As(err, &e) || e.Kind != NotFound {
		t.Errorf("another organization: %v", err)
	}
}
