package services

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

// people are emails of the made-up company, a line each.
func (r *rocketSite) people(n int) string {
	var b strings.Builder
	for _, c := range r.box.Company().Customers()[:n] {
		fmt.Fprintln(&b, c.Email)
	}
	return b.String()
}

// draft makes a batch of a form and fails the test on any problem.
func (r *rocketSite) draft(f BatchForm) Batch {
	r.t.Helper()
	if f.Connection == 0 {
		f.Connection = r.conn
	}
	f.FormToken = NewFormToken()
	b, p, err := r.s.Batches.Draft(r.t.Context(), r.actor, f)
	if err != nil || len(p) > 0 {
		r.t.Fatal(p, err)
	}
	return b
}

func (r *rocketSite) begin(b Batch) {
	r.t.Helper()
	if _, p, err := r.s.Batches.Start(r.t.Context(), r.actor, b.ID, NormalPace(), BatchReuse, b.Counts.Waiting); err != nil || len(p) > 0 {
		r.t.Fatal(p, err)
	}
}

// batchIs waits until a batch is in a state with nothing on its way.
func (r *rocketSite) batchIs(id BatchID, state BatchState) Batch {
	r.t.Helper()
	b, err := waitFor(r.t.Context(), patience, func() (Batch, bool, error) {
		b, err := r.s.Batches.Get(r.t.Context(), 1, id)
		return b, b.State == state && b.Counts.Open == 0, err
	})
	if err != nil || b.State != state || b.Counts.Open > 0 {
		r.t.Fatalf("%+v, %v", b, err)
	}
	return b
}

func (r *rocketSite) posts() int { return r.box.CountCalls(sandbox.OpCreateHighlights) }

func TestBatchesAskAboutEverybody(t *testing.T) {
	eachDialect(t, func(t *testing.T, d sandbox.Dialect) {
		r := newRocketSite(t, d)
		r.start()
		id := r.customer(r.box.Company().Customers()[0])
		b := r.draft(BatchForm{Text: r.people(5) + "nobody here\n" + r.box.Company().Customers()[1].Email, Question: "What broke?", Last: 7 * 24 * time.Hour})
		if b.Counts.Waiting != 5 || b.Counts.Strangers != 4 || b.Counts.Faults != 1 || b.Counts.Doubles != 1 || r.posts() != 0 {
			t.Fatalf("%+v after %d posts", b.Counts, r.posts())
		}
		r.begin(b)
		r.begin(b) // a double click
		b = r.batchIs(b.ID, BatchDone)
		if b.Counts.Ready != 5 || r.posts() != 5 || b.End.Sub(b.Start) != 7*24*time.Hour {
			t.Errorf("%+v after %d posts", b, r.posts())
		}
		if list, err := r.s.Highlights.ForCustomer(t.Context(), 1, id, 5); err != nil || len(list) != 1 || list[0].Question != "What broke?" {
			t.Errorf("of the customer: %+v, %v", list, err)
		}
		link := func(id HighlightID) string { return fmt.Sprintf("https://here/%d", id) }
		var table, doc, text bytes.Buffer
		if err := errors.Join(r.s.Batches.DigestCSV(t.Context(), 1, b, &table, link), r.s.Batches.DigestJSON(t.Context(), 1, b, &doc, link),
			r.s.Batches.DigestMarkdown(t.Context(), 1, b, &text, link)); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(table.String(), "\ufeff"))).ReadAll()
		var at time.Time
		if err == nil && len(rows) > 1 {
			at, err = time.Parse(time.DateTime, rows[1][7])
		}
		if err != nil || len(rows) != 8 || rows[0][7] != "answered_at (UTC)" || rows[6][7] != "" || rows[1][4] != "answered" || rows[1][6] == "" || rows[6][4] != "not asked: fault in the list" || rows[7][4] != "not asked: in the list already" {
			t.Errorf("%v\n%s", err, table.String())
		}
		var back struct{ Items []map[string]any }
		if err := json.Unmarshal(doc.Bytes(), &back); err != nil || len(back.Items) != 7 || back.Items[0]["state"] != "ready" || back.Items[0]["answer_markdown"] == "" || back.Items[0]["answered_at"] != at.Format(time.RFC3339) {
			t.Errorf("%v\n%s", err, doc.String())
		}
		if n := strings.Count(text.String(), "\n## "); n != 6 || !strings.Contains(text.String(), "<https://here/1>") {
			t.Errorf("%d parts in\n%s", n, text.String())
		}
		// The same again takes the answers that are there.
		again := r.draft(BatchForm{Text: r.people(5), Question: "What broke?", Last: 7 * 24 * time.Hour})
		r.begin(again)
		if again = r.batchIs(again.ID, BatchDone); again.Counts.Ready != 5 || again.Counts.Reused != 5 || r.posts() != 5 {
			t.Errorf("%+v after %d posts", again.Counts, r.posts())
		}
	})
}

func TestBatchesSurviveAKill(t *testing.T) {
	begin := func(t *testing.T) (*rocketSite, Batch) {
		r := newRocketSite(t, sandbox.DialectContract)
		r.start()
		return r, r.draft(BatchForm{Text: r.people(4)})
	}
	// begun is a batch that was begun, with the process gone before a request
	// was made.
	begun := func(t *testing.T) (*rocketSite, Batch) {
		r, b := begin(t)
		r.kill()
		r.open()
		r.begin(b)
		r.force(`DELETE FROM river_job`)
		b, err := r.s.Batches.Get(t.Context(), 1, b.ID)
		if err != nil {
			t.Fatal(err)
		}
		return r, b
	}
	ends := func(t *testing.T, r *rocketSite, b Batch, ready int) Batch {
		t.Helper()
		if b = r.batchIs(b.ID, BatchDone); b.Counts.Ready != ready || r.posts() != 4 {
			t.Errorf("%+v after %d posts", b.Counts, r.posts())
		}
		return b
	}
	t.Run("before the first request", func(t *testing.T) {
		r, b := begun(t)
		r.restart()
		ends(t, r, b, 4)
	})
	t.Run("with a request that is stored and not sent", func(t *testing.T) {
		r, b := begun(t)
		for range 2 {
			next, err := r.store.Org(1).NextBatchItem(t.Context(), b.ID)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.s.Batches.askOne(t.Context(), 1, b, next); err != nil {
				t.Fatal(err)
			}
		}
		r.force(`DELETE FROM river_job`)
		r.restart()
		ends(t, r, b, 4)
	})
	t.Run("while LogRocket answers", func(t *testing.T) {
		r, b := begin(t)
		// As many as are asked about at once: what was cut off together is no row of
		// failures of LogRocket's.
		r.box.Fault(sandbox.Fault{Operation: sandbox.OpCreateHighlights, Kind: sandbox.FaultLatency, Latency: time.Minute, Times: 3})
		r.begin(b)
		if _, err := waitFor(t.Context(), patience, func() (int, bool, error) { return 0, r.posts() == 3, nil }); err != nil {
			t.Fatal(err)
		}
		r.restart()
		b = ends(t, r, b, 1)
		if b.Counts.Unknown != 3 {
			t.Errorf("%+v", b.Counts)
		}
		// Only a person asks again.
		if _, err := r.s.Batches.Again(t.Context(), r.actor, b.ID); err != nil {
			t.Fatal(err)
		}
		if b = r.batchIs(b.ID, BatchDone); b.Counts.Ready != 4 || r.posts() != 7 {
			t.Errorf("%+v after %d posts", b.Counts, r.posts())
		}
	})
	t.Run("again and again on the way", func(t *testing.T) {
		r, b := begin(t)
		r.begin(b)
		for n := 1; n <= 4; n++ {
			if _, err := waitFor(t.Context(), patience, func() (int, bool, error) { return 0, r.posts() >= n, nil }); err != nil {
				t.Fatal(err)
			}
			r.restart()
		}
		b = r.batchIs(b.ID, BatchDone)
		if b.Counts.Ready+b.Counts.Unknown != 4 || r.posts() > 4 {
			t.Errorf("%+v after %d posts; failed: %+v", b.Counts, r.posts(), r.history("highlight.failed"))
		}
	})
	t.Run("with the answers stored and their ends not seen", func(t *testing.T) {
		r, b := begin(t)
		r.begin(b)
		r.batchIs(b.ID, BatchDone)
		r.kill()
		r.open()
		r.force(`UPDATE batch_items SET state = 'asked'`)
		r.force(`UPDATE batches SET state = 'running', finished_at = NULL`)
		r.restart()
		ends(t, r, b, 4)
	})
}

// A batch does not go on against a wall, and says what the wall is.
func TestBatchesPauseWhenLogRocketRefuses(t *testing.T) {
	tests := []struct {
		fault sandbox.FaultKind
		most  int // posts before it pauses
		says  string
	}{
		{sandbox.FaultUnauthorized, 3, "does not accept the credentials"},
		{sandbox.FaultForbidden, 3, "may not do this"},
		{sandbox.FaultServerError, 6, "3 requests in a row have failed"},
	}
	for _, tt := range tests {
		t.Run(string(tt.fault), func(t *testing.T) {
			r := newRocketSite(t, sandbox.DialectLive)
			r.start()
			remove := r.box.Fault(sandbox.Fault{Operation: sandbox.OpCreateHighlights, Kind: tt.fault})
			b := r.draft(BatchForm{Text: r.people(7)})
			r.begin(b)
			b = r.batchIs(b.ID, BatchPaused)
			refused := r.posts()
			if refused > tt.most || !strings.Contains(b.Message, tt.says) {
				t.Errorf("after %d posts: %s", refused, b.Message)
			}
			if e := r.history("highlight.batch_pause"); len(e) != 1 || e[0].ActorName != "Sightline" {
				t.Errorf("history: %+v", e)
			}
			remove()
			if tt.fault != sandbox.FaultUnauthorized {
				return
			}
			// Those that were refused while it was being paused are over, too.
			r.force(`UPDATE batch_items SET state = 'asked' WHERE state = 'ended'`)
			if _, err := r.s.Batches.Resume(t.Context(), r.actor, b.ID, BatchPace{}); err != nil {
				t.Fatal(err)
			}
			// What failed is left to a person.
			b = r.batchIs(b.ID, BatchDone)
			if b.Counts.Ready != 7-refused || b.WithoutResult() != refused || r.posts() != 7 {
				t.Errorf("%+v after %d posts", b.Counts, r.posts())
			}
			if _, err := r.s.Batches.Again(t.Context(), r.actor, b.ID); err != nil {
				t.Fatal(err)
			}
			if b = r.batchIs(b.ID, BatchDone); b.Counts.Ready != 7 || r.posts() != 7+refused {
				t.Errorf("%+v after %d posts", b.Counts, r.posts())
			}
		})
	}
	t.Run("called too often", func(t *testing.T) {
		r := newRocketSite(t, sandbox.DialectContract)
		r.start()
		r.box.Fault(sandbox.Fault{Operation: sandbox.OpCreateHighlights, Kind: sandbox.FaultRateLimited, RetryAfter: 2 * time.Second, Times: 1})
		b := r.draft(BatchForm{Text: r.people(5)})
		r.begin(b)
		waits, err := waitFor(t.Context(), patience, func() (Batch, bool, error) {
			b, err := r.s.Batches.Get(t.Context(), 1, b.ID)
			return b, b.Message != "", err
		})
		if err != nil || waits.State != BatchRunning || !strings.Contains(waits.Message, "is called too often, so nobody else is asked about until") {
			t.Errorf("%+v, %v", waits, err)
		}
		b = r.batchIs(b.ID, BatchDone)
		// What our own ledger held back meanwhile has its turn later.
		if b.Counts.Failed != 1 || b.Counts.Ready != 4 || r.posts() != 5 {
			t.Errorf("%+v after %d posts", b.Counts, r.posts())
		}
	})
}

func TestBatchesArePausedCancelledAndOneAtATime(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	first, second := r.draft(BatchForm{Text: r.people(3)}), r.draft(BatchForm{Text: r.people(4), Question: "And?"})
	r.begin(first) // no job runs yet
	var e *Error
	if _, _, err := r.s.Batches.Start(t.Context(), r.actor, second.ID, NormalPace(), 0, 4); !errors.As(err, &e) || e.Kind != Conflict {
		t.Errorf("two at a time: %v", err)
	}
	b, err := r.s.Batches.Pause(t.Context(), r.actor, first.ID)
	if err != nil || b.State != BatchPaused || b.Message != "Paused by Ada." {
		t.Errorf("%+v, %v", b, err)
	}
	r.start()
	r.begin(second)
	if _, err := r.s.Batches.Resume(t.Context(), r.actor, first.ID, NormalPace()); !errors.As(err, &e) || e.Kind != Conflict {
		t.Errorf("resumed beside another: %v", err)
	}
	r.batchIs(second.ID, BatchDone)
	if b, err = r.s.Batches.Cancel(t.Context(), r.actor, first.ID); err != nil || b.State != BatchCancelled || b.Counts.Dropped != 3 || b.Counts.Waiting != 0 {
		t.Errorf("%+v, %v", b, err)
	}
	if b, err = r.s.Batches.Again(t.Context(), r.actor, first.ID); err != nil || b.State != BatchCancelled || r.posts() != 4 {
		t.Errorf("nothing to ask again: %+v, %v, %d posts", b, err, r.posts())
	}
	if err := r.s.Batches.Drop(t.Context(), r.actor, first.ID); !errors.As(err, &e) || e.Kind != Conflict {
		t.Errorf("dropped one that was begun: %v", err)
	}
	viewer := r.actor
	viewer.Role = Viewer
	for name, err := range map[string]error{
		"pause": second1(r.s.Batches.Pause(t.Context(), viewer, second.ID)), "again": second1(r.s.Batches.Again(t.Context(), viewer, second.ID)),
		"drop": r.s.Batches.Drop(t.Context(), viewer, second.ID),
	} {
		if !errors.As(err, &e) || e.Kind != Denied {
			t.Errorf("%s as a viewer: %v", name, err)
		}
	}
	for _, action := range []string{"highlight.batch", "highlight.batch_pause", "highlight.batch_cancel", "highlight.batch_done"} {
		if len(r.history(action)) == 0 {
			t.Errorf("history knows nothing of %s", action)
		}
	}
}

func second1(_ Batch, err error) error { return err }

func TestBatchesOfARemovedConnection(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	b, draft := r.draft(BatchForm{Text: r.people(3)}), r.draft(BatchForm{Text: r.people(2)})
	r.begin(b)
	owner := r.actor
	owner.Role = Owner
	if err := r.s.Connections.Remove(t.Context(), owner, r.conn); err != nil {
		t.Fatal(err)
	}
	r.start()
	if b = r.batchIs(b.ID, BatchPaused); !strings.Contains(b.Message, "The connection was removed") || b.Counts.Waiting != 3 {
		t.Errorf("%+v", b)
	}
	var e *Error
	if _, err := r.s.Batches.Resume(t.Context(), r.actor, b.ID, NormalPace()); !errors.As(err, &e) || e.Kind != Conflict || !strings.Contains(e.Msg, "connection was removed") {
		t.Errorf("resumed: %v", err)
	}
	if _, p, err := r.s.Batches.Start(t.Context(), r.actor, draft.ID, NormalPace(), 0, 2); err == nil && len(p) == 0 {
		t.Error("begun through a removed connection")
	}
	if r.posts() != 0 {
		t.Errorf("%d posts", r.posts())
	}
}

// A request that took too long is looked at again, which costs nothing.
func TestBatchesLookAgainForWhatTookTooLong(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.pace.Deadline = time.Second
	r.restart()
	remove := r.box.Fault(sandbox.Fault{Operation: sandbox.OpGetHighlights, Kind: sandbox.FaultServerError})
	b := r.draft(BatchForm{Text: r.people(2)})
	r.begin(b)
	if b = r.batchIs(b.ID, BatchDone); b.Counts.Expired != 2 {
		t.Fatalf("%+v", b)
	}
	remove()
	if _, err := r.s.Batches.Again(t.Context(), r.actor, b.ID); err != nil {
		t.Fatal(err)
	}
	if b = r.batchIs(b.ID, BatchDone); b.Counts.Ready != 2 || r.posts() != 2 {
		t.Errorf("%+v after %d posts", b.Counts, r.posts())
	}
}
