package services

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

// plannedBulk uploads a file of users with a plan, and makes its dry run.
func (r *rocketSite) plannedBulk(lines int) Bulk {
	r.t.Helper()
	var file strings.Builder
	file.WriteString("id,plan\n")
	for i := range lines {
		fmt.Fprintf(&file, "user-%d,gold\n", i)
	}
	b, err := r.s.Bulks.Upload(r.t.Context(), r.actor, r.conn, NewFormToken(), "x.csv", strings.NewReader(file.String()))
	if err != nil {
		r.t.Fatal(err)
	}
	if _, p, err := r.s.Bulks.Plan(r.t.Context(), r.actor, b.ID, b.Guess(nil)); err != nil || len(p) > 0 {
		r.t.Fatal(p, err)
	}
	return r.bulkIs(b.ID, BulkPlanned)
}

// bulkIs waits until a bulk edit is in a state.
func (r *rocketSite) bulkIs(id BulkID, want BulkState) Bulk {
	r.t.Helper()
	b, err := waitFor(r.t.Context(), patience, func() (Bulk, bool, error) {
		b, err := r.s.Bulks.Get(r.t.Context(), 1, id)
		return b, b.State == want, err
	})
	if err != nil || b.State != want {
		r.t.Fatalf("%+v, %v", b, err)
	}
	return b
}

// halt ends the process and opens the store again, with no job running.
func (r *rocketSite) halt() {
	r.t.Helper()
	r.kill()
	r.open()
}

func (r *rocketSite) sendBulk(b Bulk) {
	r.t.Helper()
	if _, p, err := r.s.Bulks.Send(r.t.Context(), r.actor, b.ID, 20, "ticket 9"); err != nil || len(p) > 0 {
		r.t.Fatal(p, err)
	}
}

func TestBulkEditsSurviveAKill(t *testing.T) {
	begin := func(t *testing.T) (*rocketSite, Bulk) {
		r := newRocketSite(t, sandbox.DialectContract)
		r.start()
		return r, r.plannedBulk(4)
	}
	puts := func(r *rocketSite) int { return r.box.CountCalls(sandbox.OpUpdateUser) }
	// stopped is a bulk edit that was begun, with the process gone before a line
	// was sent.
	stopped := func(t *testing.T) (*rocketSite, Bulk) {
		r, b := begin(t)
		r.halt()
		r.sendBulk(b)
		r.force(`DELETE FROM river_job`)
		return r, b
	}
	t.Run("while the file comes in", func(t *testing.T) {
		r, b := begin(t)
		r.force(`UPDATE bulk_edits SET state = 'uploading' WHERE id = ?`, b.ID)
		r.force(`DELETE FROM bulk_lines`)
		r.restart()
		if _, err := r.s.Bulks.Get(t.Context(), 1, b.ID); err == nil {
			t.Error("half a file is kept")
		}
	})
	t.Run("in the middle of the dry run", func(t *testing.T) {
		r, b := begin(t)
		r.halt()
		r.force(`DELETE FROM bulk_lines WHERE line > 3`)
		r.force(`UPDATE bulk_edits SET state = 'planning', line = 3, ready = 2 WHERE id = ?`, b.ID)
		r.restart()
		if b = r.bulkIs(b.ID, BulkPlanned); b.Ready != 4 {
			t.Errorf("%+v", b)
		}
	})
	t.Run("before the first line", func(t *testing.T) {
		r, b := stopped(t)
		r.restart()
		if b = r.bulkIs(b.ID, BulkDone); b.Sent != 4 || puts(r) != 4 {
			t.Errorf("%+v after %d puts", b, puts(r))
		}
	})
	t.Run("with an edit that is stored and not begun", func(t *testing.T) {
		r, b := stopped(t)
		line, err := r.store.Org(1).NextBulkLine(t.Context(), b.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.s.Bulks.editOf(t.Context(), 1, r.bulkIs(b.ID, BulkRunning), line); err != nil {
			t.Fatal(err)
		}
		r.restart()
		if b = r.bulkIs(b.ID, BulkDone); b.Sent != 4 || puts(r) != 4 {
			t.Errorf("%+v after %d puts", b, puts(r))
		}
	})
	t.Run("while LogRocket answers", func(t *testing.T) {
		r, b := begin(t)
		r.box.Fault(sandbox.Fault{Operation: sandbox.OpUpdateUser, Kind: sandbox.FaultLatency, Latency: time.Minute, Times: 1})
		r.sendBulk(b)
		if _, err := waitFor(t.Context(), patience, func() (int, bool, error) { n := puts(r); return n, n > 0, nil }); err != nil {
			t.Fatal(err)
		}
		r.restart()
		if b = r.bulkIs(b.ID, BulkDone); b.Sent != 3 || b.Unknown != 1 || puts(r) != 4 {
			t.Errorf("%+v after %d puts", b, puts(r))
		}
		lines, err := r.s.Bulks.Lines(t.Context(), 1, b.ID, "unknown", 0, 10)
		if err != nil || len(lines) != 1 || !strings.Contains(lines[0].Message, "We do not know") {
			t.Errorf("%+v, %v", lines, err)
		}
	})
	t.Run("with the answer stored and the line not", func(t *testing.T) {
		r, b := begin(t)
		r.sendBulk(b)
		b = r.bulkIs(b.ID, BulkDone)
		r.halt()
		r.force(`UPDATE bulk_lines SET state = 'sending', message = '' WHERE line = 3`)
		r.force(`UPDATE bulk_edits SET state = 'cancelled', ready = 1, sent = 3`)
		r.restart()
		got, err := waitFor(t.Context(), patience, func() (Bulk, bool, error) {
			b, err := r.s.Bulks.Get(t.Context(), 1, b.ID)
			return b, b.Sent == 4, err
		})
		if err != nil || got.Sent != 4 || got.State != BulkCancelled || puts(r) != 4 {
			t.Errorf("%+v, %v after %d puts", got, err, puts(r))
		}
	})
}

func TestBulkDryRunOfManyLines(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.start()
	began := time.Now()
	b := r.plannedBulk(5_000)
	t.Logf("upload and dry run of %d lines, %d bytes: %v", b.Lines(), b.Bytes, time.Since(began))
	if b.Ready != b.Lines() || b.Faults != 0 {
		t.Errorf("%+v", b)
	}
	if last, err := r.s.Bulks.Lines(t.Context(), 1, b.ID, "ready", b.Lines(), 10); err != nil || len(last) != 1 {
		t.Errorf("the last page: %+v, %v", last, err)
	}
}
