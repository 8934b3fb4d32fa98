package services

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/upstream"
)

const (
	// batchTurn is how long a batch goes on before others have the worker.
	batchTurn = 5 * time.Second
	// batchStreak is after how many failures in a row it pauses, and batchRefused
	// after how many requests in a row for which LogRocket has no answer.
	batchStreak  = 3
	batchRefused = 20
	// batchTries is how often a customer has their turn whose request our own
	// ledger holds back.
	batchTries = 5
	// batchLook is how soon one that LogRocket holds up looks again at the latest.
	batchLook = 30 * time.Second
)

// settle gives every batch that a crash cut off a fresh job.
func (s *Batches) settle(ctx context.Context) error {
	rows, err := s.db.OpenBatchesUnscoped(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		// A second job for the same one waits for the first.
		if err := s.queue.again(ctx, jobBatch, r.Org, r.ID, 0); err != nil {
			return err
		}
	}
	return nil
}

// run is one job: it goes on with a batch for a while.
func (s *Batches) run(ctx context.Context, org OrgID, id BatchID) (time.Duration, error) {
	if !s.busy.enter(int64(id)) {
		// Not 0: the job that has it may have seen it paused, just before a member had
		// it go on with this one.
		return time.Second, nil
	}
	defer s.busy.leave(int64(id))
	again, err := s.ask(ctx, org, id)
	if err == nil {
		return again, nil
	}
	if ctx.Err() != nil {
		return goOn(ctx), nil
	}
	if errors.Is(err, db.ErrNotFound) {
		return s.opt.Look, nil // it moved on without this job: see where to
	}
	b, gerr := s.Get(context.WithoutCancel(ctx), org, id)
	err = errors.Join(err, gerr, s.pause(ctx, org, b, "Something in Sightline itself failed; the log has the cause."))
	return 0, fmt.Errorf("batch %d: %v", id, err) // not wrapped: no row is missing
}

// ask is one turn of handing out requests.
func (s *Batches) ask(ctx context.Context, org OrgID, id BatchID) (time.Duration, error) {
	for began := time.Now(); time.Since(began) < batchTurn && !s.queue.stopping(); {
		b, err := s.Get(ctx, org, id)
		if err != nil || b.State != BatchRunning { // what is on its way comes in by itself
			return 0, err
		}
		open, paused, err := s.ends(ctx, org, b)
		if err != nil || paused {
			return 0, err
		}
		next, err := s.db.Org(org).NextBatchItem(ctx, id)
		switch {
		case errors.Is(err, db.ErrNotFound) && open == 0:
			return 0, s.finish(ctx, org, b)
		case errors.Is(err, db.ErrNotFound):
			return s.opt.Look, nil
		case err != nil:
			return 0, err
		case open >= b.Pace.InFlight:
			return s.opt.Look, nil
		}
		if wait := b.askedAt.Add(s.between(b)).Sub(s.now()); !b.askedAt.IsZero() && wait > 0 {
			if wait < s.opt.Look { // not worth another job
				sleep(ctx, wait)
				continue
			}
			return s.opt.Look, nil
		}
		if wait, err := s.blocked(ctx, org, b); err != nil || wait > 0 {
			return wait, err
		}
		err = s.askOne(ctx, org, b, next)
		if errors.Is(err, db.ErrNotFound) {
			if c, cerr := s.conns.Get(ctx, org, b.Connection); cerr != nil || c.Removed() {
				return 0, errors.Join(cerr, s.pause(ctx, org, b, "The connection was removed, so nobody else can be asked about through it."))
			}
			return s.opt.Look, nil // paused or cancelled just now
		}
		if err != nil {
			return 0, err
		}
	}
	return time.Millisecond, nil
}

func (s *Batches) between(b Batch) time.Duration {
	if s.opt.Pause > 0 {
		return s.opt.Pause
	}
	return b.Pace.Every
}

// askOne makes the request for one customer. It and the item's state are stored
// together, so that whoever goes on after a crash finds either both or neither.
func (s *Batches) askOne(ctx context.Context, org OrgID, b Batch, it db.BatchItem) error {
	now := s.now()
	h := db.Highlight{
		Connection: b.Connection, Customer: it.Customer, Author: b.Author, SubjectKind: it.SubjectKind, Subject: it.Subject,
		Question: b.Question, Start: b.Start, End: b.End, CreatedAt: now,
	}
	ask := db.BatchAsk{
		Batch: b.ID, Position: it.Position, Highlight: h, FormToken: fmt.Sprintf("batch %d item %d try %d", b.ID, it.Position, it.Tries), Last: b.Last, At: now,
		History: db.HistoryEntry{
			At: now, Actor: b.Author, ActorName: orElse(b.AuthorName, "Sightline"), Action: "highlight.request", Subject: it.Subject, Connection: b.Connection,
			Summary: fmt.Sprintf("Asked LogRocket for highlights of %s, in batch %d.", it.Subject, b.ID), After: askedFor(h),
		},
	}
	if b.Reuse > 0 && it.Tries == 0 {
		ask.Since = now.Add(-b.Reuse)
	}
	return s.db.Org(org).AskBatchItem(ctx, ask, s.queue.put(jobHighlight, org, 0))
}

// blocked is how long LogRocket wants no calls, or none are left, at most until
// the next look.
func (s *Batches) blocked(ctx context.Context, org OrgID, b Batch) (time.Duration, error) {
	budget, err := s.conns.Budget(ctx, org, b.Connection)
	if err != nil {
		return 0, err
	}
	now := s.now()
	until, why := budget.BlockedUntil, "LogRocket has said that it is called too often"
	if until.IsZero() && budget.Allowance > 0 && budget.Left <= 0 {
		until, why = budget.ResetsAt, "The connection has no calls left today"
	}
	wait := until.Sub(now)
	if until.IsZero() || wait <= 0 {
		return 0, nil
	}
	msg := fmt.Sprintf("%s, so nobody else is asked about until %s. Then it goes on by itself.", why, utc(until, now))
	return min(max(wait, 50*time.Millisecond), batchLook), s.db.Org(org).NoteBatch(ctx, b.ID, msg, now)
}

// ends looks which requests have ended since the last look, says how many are
// still open, and pauses when going on makes no sense.
func (s *Batches) ends(ctx context.Context, org OrgID, b Batch) (open int, paused bool, err error) {
	items, err := s.db.Org(org).AskedBatchItems(ctx, b.ID)
	if err != nil {
		return 0, false, err
	}
	sortBy(items, func(x, y db.BatchItem) int { return x.FinishedAt.Compare(y.FinishedAt) })
	streak, why := b.streak, ""
	for _, it := range items {
		state := HighlightState(it.State)
		if state.Open() {
			open++
			continue
		}
		kind := upstream.Kind(it.ErrorKind)
		if heldBack(it) {
			if err := s.db.Org(org).PutBackBatchItem(ctx, b.ID, it.Position); err != nil {
				return open, false, err
			}
			continue
		}
		ours := state == HighlightCancelled || cutOff(it) // tells nothing of LogRocket
		switch {
		case state == HighlightReady:
			streak = 0
		case !ours:
			streak++
		}
		if err := s.db.Org(org).EndBatchItem(ctx, b.ID, it.Position, streak, s.now()); err != nil {
			return open, false, err
		}
		answered := state == HighlightFailed && (kind == "" || kind == upstream.Invalid || kind == upstream.NotFound)
		switch {
		case state == HighlightReady || ours || why != "":
		case kind == upstream.WrongKey || kind == upstream.Forbidden:
			why = it.Message
		case !answered && streak >= batchStreak, streak >= batchRefused:
			why = fmt.Sprintf("%d requests in a row have failed. The last one: %s", streak, it.Message)
		}
	}
	if why == "" {
		return open, false, nil
	}
	return open, true, s.pause(ctx, org, b, why)
}

// heldBack says that our own ledger held a request back, so LogRocket knows
// nothing of it, and it may have its turn again.
func heldBack(it db.BatchItem) bool {
	return HighlightState(it.State) == HighlightFailed && upstream.Kind(it.ErrorKind) == upstream.Refused && it.Tries < batchTries
}

// cutOff says that Sightline stopped while it sent a request, however many went
// out at once.
func cutOff(it db.BatchItem) bool {
	kind := upstream.Kind(it.ErrorKind)
	return HighlightState(it.State) == HighlightUnknown && (kind == "" || kind == upstream.Canceled)
}

// settleEnds has seen what ended while a batch was being paused, so that it does
// not pause the batch once more when a member has it go on.
func (s *Batches) settleEnds(ctx context.Context, org OrgID, b Batch) error {
	items, err := s.db.Org(org).AskedBatchItems(ctx, b.ID)
	if err != nil {
		return err
	}
	for _, it := range items {
		if HighlightState(it.State).Open() || heldBack(it) {
			continue
		}
		// One that another member's press has settled just now is settled.
		if err := s.db.Org(org).EndBatchItem(ctx, b.ID, it.Position, 0, s.now()); err != nil && !errors.Is(err, db.ErrNotFound) {
			return err
		}
	}
	return nil
}

// pause leaves a batch because going on makes no sense.
func (s *Batches) pause(ctx context.Context, org OrgID, b Batch, message string) error {
	ctx = context.WithoutCancel(ctx)
	t := s.turn(ctx, System(org), b, "highlight.batch_pause", "Paused by itself,")
	t.History.Summary += " " + message
	err := s.db.Org(org).PauseBatch(ctx, b.ID, message, t.At, t.History)
	if errors.Is(err, db.ErrNotFound) { // paused or cancelled meanwhile
		return nil
	}
	return err
}

// finish ends a batch of which everything has ended.
func (s *Batches) finish(ctx context.Context, org OrgID, b Batch) error {
	t := s.turn(ctx, Actor{Org: org, User: b.Author, Name: orElse(b.AuthorName, "Sightline")}, b, "highlight.batch_done",
		fmt.Sprintf("Ended with %s, %s without one,", plural(b.Counts.Ready, "result"), thousands(b.WithoutResult())))
	return s.db.Org(org).EndBatch(ctx, b.ID, db.BatchDone, t.At, t.History)
}
