package services

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sightline/internal/db"
)

// moved says that a batch is not where somebody thought.
func (s *Batches) moved(ctx context.Context, org OrgID, id BatchID, err error) error {
	switch {
	case errors.Is(err, db.ErrExists):
		return &Error{Kind: Conflict, Msg: "Another batch is being asked through this connection. Wait until it has ended, or pause it, then begin this one.", Err: err}
	case !errors.Is(err, db.ErrNotFound):
		return err
	}
	if _, gerr := s.Get(ctx, org, id); gerr != nil {
		return gerr
	}
	return &Error{Kind: Conflict, Msg: "This batch has moved on meanwhile, or its connection was removed. Look at its page to see how it stands.", Err: err}
}

// turn is what somebody has a batch do, with its history.
func (s *Batches) turn(ctx context.Context, actor Actor, b Batch, action, summary string) db.BatchTurn {
	conn, err := s.conns.Get(ctx, actor.Org, b.Connection)
	if err != nil {
		conn = Connection{Name: "a removed connection"}
	}
	now := s.now()
	after := ""
	if action == "highlight.batch" {
		after = askedFor(db.Highlight{Question: b.Question, Start: b.Start, End: b.End})
	}
	return db.BatchTurn{Author: actor.User, Pace: b.Pace.Every, InFlight: b.Pace.InFlight, Reuse: b.Reuse, At: now, History: db.HistoryEntry{
		At: now, Actor: actor.User, ActorName: actor.Name, Action: action, Subject: fmt.Sprintf("batch %d", b.ID), Connection: b.Connection,
		Summary: fmt.Sprintf("%s in batch %d (%s) through “%s”.", summary, b.ID, b.Source, conn.Name), After: after,
	}}
}

// Start has the customers of a draft asked about. asked is how many the person
// was shown: with another number nothing begins. A second press of the button
// finds it begun, which is no problem. Problems are by field: pace, reuse, form.
func (s *Batches) Start(ctx context.Context, actor Actor, id BatchID, pace BatchPace, reuse time.Duration, asked int) (Batch, Problems, error) {
	if err := mayBatch(actor); err != nil {
		return Batch{}, nil, err
	}
	b, err := s.Get(ctx, actor.Org, id)
	if err != nil || b.State != BatchDraft {
		return b, nil, err
	}
	p := Problems{}
	if !slices.Contains(BatchPaces(), pace) {
		p["pace"] = "Choose how fast it asks."
	}
	if !slices.Contains(BatchReuses(), reuse) {
		p["reuse"] = "Choose how old an answer may be."
	}
	switch {
	case b.Counts.Waiting == 0:
		p["form"] = "Nobody is left in the list, so there is nothing to ask."
	case b.Counts.Waiting != asked:
		p["form"] = "The list has changed meanwhile. Look at it again, then begin."
	}
	if len(p) > 0 {
		return b, p, nil
	}
	b.Pace, b.Reuse = pace, reuse
	t := s.turn(ctx, actor, b, "highlight.batch", fmt.Sprintf("Began to ask LogRocket about %s", plural(b.Counts.Waiting, "customer")))
	if err := s.db.Org(actor.Org).StartBatch(ctx, id, t, s.queue.put(jobBatch, actor.Org, 0)); err != nil {
		return b, nil, s.moved(ctx, actor.Org, id, err)
	}
	b, err = s.Get(ctx, actor.Org, id)
	return b, nil, err
}

// Drop takes a draft away.
func (s *Batches) Drop(ctx context.Context, actor Actor, id BatchID) error {
	if err := mayBatch(actor); err != nil {
		return err
	}
	if err := s.db.Org(actor.Org).DropBatch(ctx, id); err != nil {
		return s.moved(ctx, actor.Org, id, err)
	}
	return nil
}

// Pause leaves a batch until somebody has it go on. What LogRocket works on
// comes in all the same. One that is not running stays as it is.
func (s *Batches) Pause(ctx context.Context, actor Actor, id BatchID) (Batch, error) {
	return s.turnTo(ctx, actor, id, func(b Batch) error {
		if b.State != BatchRunning {
			return nil
		}
		t := s.turn(ctx, actor, b, "highlight.batch_pause", "Paused")
		return s.db.Org(actor.Org).PauseBatch(ctx, id, fmt.Sprintf("Paused by %s.", actor.Name), t.At, t.History)
	})
}

// Resume has a paused batch go on, at a pace. One that is not paused stays as
// it is.
func (s *Batches) Resume(ctx context.Context, actor Actor, id BatchID, pace BatchPace) (Batch, error) {
	return s.turnTo(ctx, actor, id, func(b Batch) error {
		if b.State != BatchPaused {
			return nil
		}
		if slices.Contains(BatchPaces(), pace) {
			b.Pace = pace
		}
		if err := s.settleEnds(ctx, actor.Org, b); err != nil {
			return err
		}
		t := s.turn(ctx, actor, b, "highlight.batch_resume", fmt.Sprintf("Went on with %s", plural(b.Counts.Waiting, "customer")))
		return s.db.Org(actor.Org).ResumeBatch(ctx, id, t, s.queue.put(jobBatch, actor.Org, 0))
	})
}

// Cancel ends a batch: nobody else is asked about. What LogRocket works on
// comes in all the same.
func (s *Batches) Cancel(ctx context.Context, actor Actor, id BatchID) (Batch, error) {
	return s.turnTo(ctx, actor, id, func(b Batch) error {
		if b.State != BatchRunning && b.State != BatchPaused {
			return nil
		}
		t := s.turn(ctx, actor, b, "highlight.batch_cancel", fmt.Sprintf("Cancelled the rest, %s,", plural(b.Counts.Waiting, "customer")))
		return s.db.Org(actor.Org).EndBatch(ctx, id, db.BatchCancelled, t.At, t.History)
	})
}

// Again asks anew about those whose requests ended without a result: only a
// member says so. What LogRocket may have finished meanwhile is only looked at
// again, which starts no new job there.
func (s *Batches) Again(ctx context.Context, actor Actor, id BatchID) (Batch, error) {
	return s.turnTo(ctx, actor, id, func(b Batch) error {
		if b.State == BatchDraft || b.State == BatchRunning || b.WithoutResult() == 0 {
			return nil
		}
		org := s.db.Org(actor.Org)
		late, err := org.BatchItems(ctx, id, []string{string(HighlightCancelled), string(HighlightExpired)}, 0, MaxBatch)
		if err != nil {
			return err
		}
		for _, it := range late {
			if it.RequestID == "" {
				continue
			}
			var own *Error
			if err := s.highlights.Recheck(ctx, actor, it.Highlight); err != nil && !(errors.As(err, &own) && own.Kind == Conflict) {
				return err
			}
		}
		t := s.turn(ctx, actor, b, "highlight.batch", fmt.Sprintf("Asked again about %s without a result", plural(b.WithoutResult(), "customer")))
		return org.AgainBatch(ctx, id, t, s.queue.put(jobBatch, actor.Org, 0))
	})
}

func (s *Batches) turnTo(ctx context.Context, actor Actor, id BatchID, do func(Batch) error) (Batch, error) {
	if err := mayBatch(actor); err != nil {
		return Batch{}, err
	}
	b, err := s.Get(ctx, actor.Org, id)
	if err != nil {
		return b, err
	}
	err = do(b)
	now, gerr := s.Get(ctx, actor.Org, id)
	// One that has moved on meanwhile shows by itself where it is.
	if err == nil || gerr != nil || errors.Is(err, db.ErrNotFound) && now.State != b.State {
		return now, gerr
	}
	return b, s.moved(ctx, actor.Org, id, err)
}
