package services

import (
	"context"
	"errors"
	"strings"
	"time"

	"sightline/internal/db"
)

// turns are how a job reads on in a vendor's list: whoever claims the row works
// a turn, and the row says when the next one is due.
type turns[R any] struct {
	// claim takes the turn; db.ErrNotFound says that none is due or that somebody
	// has it. row reads the same without taking it.
	claim func(context.Context, time.Time) (R, error)
	row   func(context.Context) (R, error)
	// next is when a row's next turn is due; zero if it is switched off.
	next func(R) time.Time
	// work is the turn. stop says that there will be nothing to do until somebody
	// wakes it.
	work func(context.Context, R) (end db.SyncOutcome, stop bool)
	// end gives the turn back and stores how it went.
	end func(context.Context, R, db.SyncOutcome) (R, error)
}

// run is one job: a turn, if it is due and nobody else has it. again is after
// how long the next job is wanted; 0 is not before somebody asks for one.
func (t turns[R]) run(ctx context.Context, clock func() time.Time) (again time.Duration, err error) {
	now := clock()
	claimed, err := t.claim(ctx, now)
	if errors.Is(err, db.ErrNotFound) {
		row, err := t.row(ctx)
		if err != nil {
			return 0, err
		}
		if early := t.next(row).Sub(now); early > 0 && early <= syncEarly {
			return early, nil
		}
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	end, stop := t.work(ctx, claimed)
	var after R
	err = persist(ctx, func(ctx context.Context) (err error) {
		after, err = t.end(ctx, claimed, end)
		return err
	})
	if err != nil {
		return 0, err
	}
	next := t.next(after)
	// What is stored has milliseconds, the clock has more.
	if next.IsZero() || stop && next.UnixMilli() == end.NextAt.UnixMilli() {
		return 0, nil
	}
	return max(next.Sub(clock()), time.Millisecond), nil
}

// cutShort is the end of a turn that no answer of the vendor's ended: Sightline
// stops, the job's time is over, the budget refuses a call, or the connection is
// gone. before is how the row stood. ok is false where err is something else.
func cutShort(ctx context.Context, conn Connection, before db.SyncOutcome, err error, now time.Time) (end db.SyncOutcome, stop, ok bool) {
	if ctx.Err() != nil { // the next start goes on, or where it was the job's own limit the next job
		return db.SyncOutcome{NextAt: now, Failures: before.Failures, Waiting: before.Waiting, Message: before.Message}, stopped(ctx), true
	}
	if r, ok := db.IsRefused(err); ok {
		if r.Why == db.RefusedRemoved {
			return db.SyncOutcome{NextAt: now}, true, true
		}
		return db.SyncOutcome{NextAt: later(r.Until, now.Add(time.Minute)), Failures: before.Failures, Waiting: waitBlocked, Message: strings.TrimSuffix(refusedSentence(conn, r), fromMirror)}, false, true
	}
	var own *Error
	if errors.As(err, &own) && own.Kind == Conflict { // removed meanwhile
		return db.SyncOutcome{NextAt: now}, true, true
	}
	return db.SyncOutcome{}, false, false
}

// pauseAfter is how long a turn waits after so many failures in a row, before
// the part that is left to chance: 1, 2, 4 … minutes, at most maxSyncPause.
func pauseAfter(failures int) time.Duration {
	return min(maxSyncPause, time.Minute<<min(failures, 10))
}
