package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/upstream"
)

const (
	// bulkTurn is how long a bulk edit sends before others have the worker, and
	// before it notices that Sightline stops.
	bulkTurn = 5 * time.Second
	// bulkStreak is after how many failures in a row it pauses, and bulkRefused
	// after how many lines in a row that LogRocket does not accept.
	bulkStreak  = 3
	bulkRefused = 20
	// bulkLook is how soon one that waits for LogRocket looks again at the latest.
	bulkLook = 30 * time.Second
)

// settle gives every bulk edit that a crash cut off a fresh job, and drops
// files that did not come in whole.
func (s *Bulks) settle(ctx context.Context) error {
	rows, err := s.db.OpenBulksUnscoped(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.State == db.BulkUploading {
			if err := s.db.Org(r.Org).DropUpload(ctx, BulkID(r.ID)); err != nil {
				return err
			}
			continue
		}
		// A second job for the same one waits for the first.
		if err := s.queue.again(ctx, jobBulk, r.Org, r.ID, 0); err != nil {
			return err
		}
	}
	return nil
}

// run is one job: it goes on with a bulk edit for a while.
func (s *Bulks) run(ctx context.Context, org OrgID, id BulkID) (time.Duration, error) {
	if !s.busy.enter(int64(id)) {
		// Not 0: the job that has it may have seen it paused, just before a member had
		// it go on with this one.
		return time.Second, nil
	}
	defer s.busy.leave(int64(id))
	row, err := s.db.Org(org).Bulk(ctx, id)
	if err != nil {
		return 0, err
	}
	b, err := s.bulkOf(row)
	if err != nil {
		return 0, err
	}
	var again time.Duration
	if b.State == BulkPlanning {
		again, err = s.plan(ctx, b, s.db.Org(org))
	} else {
		again, err = s.send(ctx, org, id)
	}
	if err == nil {
		return again, nil
	}
	if ctx.Err() != nil {
		return goOn(ctx), nil
	}
	if errors.Is(err, db.ErrNotFound) {
		return time.Second, nil // it moved on without this job: see where to
	}
	const failed = "Something in Sightline itself failed; the log has the cause."
	keep := context.WithoutCancel(ctx)
	if b.State == BulkPlanning {
		err = errors.Join(err, s.db.Org(org).EndBulkPlan(keep, id, false, failed+" The dry run is not whole: make it again.", s.now()))
	} else {
		err = errors.Join(err, s.pause(keep, org, id, failed))
	}
	return 0, fmt.Errorf("bulk edit %d: %v", id, err) // not wrapped: no row is missing
}

func (s *Bulks) pause(ctx context.Context, org OrgID, id BulkID, message string) error {
	err := s.db.Org(org).PauseBulk(ctx, id, message, s.now())
	if errors.Is(err, db.ErrNotFound) { // paused or cancelled meanwhile
		return nil
	}
	return err
}

// send is one turn of sending lines.
func (s *Bulks) send(ctx context.Context, org OrgID, id BulkID) (time.Duration, error) {
	for began := time.Now(); time.Since(began) < bulkTurn; {
		b, err := s.Get(ctx, org, id)
		if err != nil {
			return 0, err
		}
		line, err := s.db.Org(org).NextBulkLine(ctx, id)
		if errors.Is(err, db.ErrNotFound) {
			return 0, s.finish(ctx, org, b)
		}
		if err != nil {
			return 0, err
		}
		// A line on its way is ended whatever was decided meanwhile.
		if b.State != BulkRunning && line.State != "sending" {
			return 0, nil
		}
		if wait, err := s.blocked(ctx, org, b); err != nil || wait > 0 && line.State != "sending" {
			return wait, err
		}
		next := time.Now().Add(s.between(b))
		if err := s.step(ctx, org, b, line); err != nil {
			return 0, err
		}
		if !sleep(ctx, time.Until(next)) {
			return 0, nil
		}
	}
	return time.Millisecond, nil
}

func (s *Bulks) between(b Bulk) time.Duration {
	if s.opt.Pause > 0 {
		return s.opt.Pause
	}
	return time.Second / time.Duration(max(b.Rate, 1))
}

// blocked is how long LogRocket wants no calls, at most until the next look.
func (s *Bulks) blocked(ctx context.Context, org OrgID, b Bulk) (time.Duration, error) {
	budget, err := s.conns.Budget(ctx, org, b.Connection)
	if err != nil || budget.BlockedUntil.IsZero() {
		return 0, err
	}
	wait := budget.BlockedUntil.Sub(s.now())
	if wait <= 0 {
		return 0, nil
	}
	msg := fmt.Sprintf("LogRocket has said that it is called too often, so nothing is sent until %s.", budget.BlockedUntil.UTC().Format("15:04:05 UTC"))
	return min(max(wait, 50*time.Millisecond), bulkLook), s.db.Org(org).NoteBulk(ctx, b.ID, msg, s.now())
}

// finish ends a bulk edit of which no line is left.
func (s *Bulks) finish(ctx context.Context, org OrgID, b Bulk) error {
	if b.State != BulkRunning {
		return nil
	}
	t := s.turn(ctx, Actor{Org: org, User: b.Author, Name: orElse(b.AuthorName, "Sightline")}, b, "trait.bulk_done",
		fmt.Sprintf("Ended: %s sent, %s failed, %s perhaps sent; the end", thousands(b.Sent), thousands(b.Failed), thousands(b.Unknown)))
	return s.db.Org(org).EndBulk(ctx, b.ID, db.BulkDone, s.now(), t.History)
}

// step sends one line. The trait edit that it is stands in the line before
// anything leaves, so that whoever goes on after a crash finds there how it
// ended, and sends nothing twice.
func (s *Bulks) step(ctx context.Context, org OrgID, b Bulk, line db.BulkLine) error {
	if line.State == "ready" {
		edit, err := s.editOf(ctx, org, b, line)
		switch {
		case errors.Is(err, db.ErrStale):
			return s.endLine(ctx, org, b, line, TraitsFailed, "", "Not sent: the user was edited after the dry run. Make a new one for this line.")
		case errors.Is(err, db.ErrExists):
			return s.endLine(ctx, org, b, line, TraitsFailed, "", "Not sent: the user id belongs to another customer by now.")
		case errors.Is(err, db.ErrNotFound):
			// Paused or cancelled just now, or the connection was removed.
			if c, cerr := s.conns.Get(ctx, org, b.Connection); cerr != nil || c.Removed() {
				return errors.Join(cerr, s.pause(ctx, org, b.ID, "The connection was removed, so nothing more can be sent through it."))
			}
			return nil
		case err != nil:
			return err
		}
		line.Edit = edit
	}
	// Not found: another job has it, and what it does is seen below.
	if _, err := s.traits.run(ctx, org, int64(line.Edit)); err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	e, err := s.db.Org(org).TraitEdit(context.WithoutCancel(ctx), line.Edit)
	if err != nil {
		return err
	}
	state := TraitEditState(e.State)
	if state.Open() { // another job is at it
		sleep(ctx, 100*time.Millisecond)
		return nil
	}
	return s.endLine(ctx, org, b, line, state, upstream.Kind(e.ErrorKind), e.Message)
}

func (s *Bulks) editOf(ctx context.Context, org OrgID, b Bulk, line db.BulkLine) (TraitEditID, error) {
	r := requestOf(line.Changes)
	who := db.Sighting{Connection: b.Connection, LogRocketUser: line.UserID}
	if r.Email != nil {
		who.Email = *r.Email
	}
	if r.Name != nil {
		who.Name = *r.Name
	}
	return s.db.Org(org).AddBulkEdit(ctx, b.ID, line.Line, db.NewTraitEdit{
		Connection: b.Connection, UserID: line.UserID, Author: b.Author, Reason: b.Reason,
		FormToken: fmt.Sprintf("bulk %d line %d after %d", b.ID, line.Line, line.Edit),
		Seen:      line.Seen, Undoes: line.Undoes, Request: r, Changes: line.Changes, At: s.now(),
	}, who)
}

// endLine stores how a line ended, and pauses when going on makes no sense.
func (s *Bulks) endLine(ctx context.Context, org OrgID, b Bulk, line db.BulkLine, state TraitEditState, kind upstream.Kind, message string) error {
	if err := persist(ctx, func(ctx context.Context) error {
		return s.db.Org(org).EndBulkLine(ctx, b.ID, line.Line, string(state), message, s.now())
	}); err != nil {
		return err
	}
	if state == TraitsSent || kind == "" {
		return nil
	}
	streak := b.streak + 1
	if kind == upstream.WrongKey || kind == upstream.Forbidden {
		return s.pause(context.WithoutCancel(ctx), org, b.ID, message)
	}
	if kind != upstream.Invalid && streak >= bulkStreak || streak >= bulkRefused {
		return s.pause(context.WithoutCancel(ctx), org, b.ID, fmt.Sprintf("%d lines in a row failed. The last answer: %s", streak, message))
	}
	return nil
}

// FaultsCSV writes the lines that are not sent and why.
func (s *Bulks) FaultsCSV(ctx context.Context, org OrgID, id BulkID, w io.Writer) error {
	return s.csv(ctx, org, id, "fault", []string{"line", "user_id", "fault"}, w, func(l db.BulkLine) []string {
		return []string{strconv.Itoa(l.Line), l.UserID, l.Message}
	})
}

// ResultCSV writes what came of each line. Cells that a spreadsheet would take
// for a formula begin with an apostrophe, as in every file of ours.
func (s *Bulks) ResultCSV(ctx context.Context, org OrgID, id BulkID, w io.Writer) error {
	return s.csv(ctx, org, id, "", []string{"line", "user_id", "result", "answer"}, w, func(l db.BulkLine) []string {
		return []string{strconv.Itoa(l.Line), l.UserID, bulkResult(l.State), l.Message}
	})
}

// bulkResult is a line's state in a word.
func bulkResult(state string) string {
	switch state {
	case "fault":
		return "not sent: fault"
	case "same":
		return "not sent: unchanged"
	case "ready":
		return "not sent yet"
	}
	return state
}

func (s *Bulks) csv(ctx context.Context, org OrgID, id BulkID, state string, head []string, w io.Writer, row func(db.BulkLine) []string) error {
	out, err := newCSVFile(w, head)
	if err != nil {
		return err
	}
	for after := 0; ; {
		lines, err := s.Lines(ctx, org, id, state, after, csvPage)
		if err != nil {
			return err
		}
		for _, l := range lines {
			cells := row(l)
			for i, c := range cells {
				cells[i] = EscapeCell(c)
			}
			if err := out.row(cells); err != nil {
				return err
			}
			after = l.Line
		}
		if err := out.flush(); err != nil {
			return err
		}
		if len(lines) < csvPage {
			return nil
		}
	}
}
