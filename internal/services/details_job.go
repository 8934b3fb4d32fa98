package services

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/upstream"
)

// settle queues again the runs that a crash left open.
func (d *Details) settle(ctx context.Context) error {
	const batch = 500
	var after ConnectionID
	for {
		rows, err := d.db.OpenDetailRunsUnscoped(ctx, after, batch)
		if err != nil {
			return err
		}
		for _, r := range rows {
			// The job that it had may have survived: two take turns.
			if err := d.queue.again(ctx, jobDetails, r.Org, int64(r.ID), 0); err != nil {
				return err
			}
			after = r.Connection
		}
		if len(rows) < batch {
			return nil
		}
	}
}

// run is one job: it goes on with a run for a while.
func (d *Details) run(ctx context.Context, org OrgID, id DetailRunID) (time.Duration, error) {
	if !d.busy.enter(int64(id)) {
		// Not 0: the job that has it may have seen it paused, just before a member had
		// it go on with this one.
		return time.Second, nil
	}
	defer d.busy.leave(int64(id))
	for began := time.Now(); !d.queue.stopping() && time.Since(began) < detailTurn; {
		row, err := d.db.Org(org).DetailRun(ctx, id)
		if err != nil || row.State != db.RunOpen {
			return 0, err
		}
		if err := d.step(ctx, row); err != nil {
			if ctx.Err() != nil { // Sightline stops, or slow answers took all of the job's time
				return goOn(ctx), nil
			}
			if perr := d.pause(ctx, row, "Something in Sightline itself failed; the log has the cause."); perr != nil {
				err = errors.Join(err, perr)
			}
			return 0, fmt.Errorf("run %d of connection %d: %w", row.ID, row.Connection, err)
		}
	}
	return time.Millisecond, nil
}

// pause leaves a run until a member has it go on. One that was stopped
// meanwhile stays so.
func (d *Details) pause(ctx context.Context, run db.DetailRun, message string) error {
	err := d.db.Org(run.Org).PauseDetailRun(context.WithoutCancel(ctx), run.ID, message, d.now())
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	return err
}

// step fetches the next session of a run. Before the call leaves, the run holds
// the ask that it is: whoever goes on with it after a crash finds there how it
// ended, and does not ask again.
func (d *Details) step(ctx context.Context, run db.DetailRun) error {
	if len(run.Todo) == 0 {
		return d.db.Org(run.Org).StopDetailRun(ctx, run.ID, d.now()) // cannot be: done comes with the last
	}
	id := run.Ask
	if id == 0 {
		s, err := d.db.Org(run.Org).Session(ctx, run.Todo[0])
		if err != nil {
			return err
		}
		c, err := d.connections.Get(ctx, run.Org, run.Connection)
		if err != nil {
			return err
		}
		if detailHere(c, s) { // it came another way meanwhile, and no call is spent
			return d.took(ctx, run, db.DetailStep{Came: true})
		}
		ask, err := d.asks.add(ctx, Actor{Org: run.Org, User: run.Actor}, AskSpec{
			Connection: run.Connection, Kind: askSession, Subject: s.VendorID, Customer: s.Customer, Spare: true, Run: run.ID,
		}, nil)
		if errors.Is(err, db.ErrNotFound) { // stopped, or the connection was removed
			return d.pause(ctx, run, "The connection was removed, so nothing more can be asked through it.")
		}
		if err != nil {
			return err
		}
		id = ask.ID
	}
	ask, err := d.asks.finish(ctx, run.Org, id)
	if err != nil {
		return err
	}
	switch {
	case ask.State == AskDone:
		return d.took(ctx, run, db.DetailStep{Came: true})
	case ask.State.Open(): // somebody else's, and it takes long: look again
		return nil
	}
	if kind := upstream.Kind(ask.ErrorKind); kind.EndsAll() || kind == upstream.Forbidden {
		return d.pause(ctx, run, ask.Message)
	}
	if err := d.took(ctx, run, db.DetailStep{Message: ask.Message}); err != nil {
		return err
	}
	if len(run.Todo) > 1 && run.Streak+1 >= detailStreak {
		return d.pause(ctx, run, fmt.Sprintf("%d sessions in a row failed. The last answer: %s", run.Streak+1, ask.Message))
	}
	return nil
}

// took takes the next session off a run.
func (d *Details) took(ctx context.Context, run db.DetailRun, s db.DetailStep) error {
	s.At = d.now()
	return persist(ctx, func(ctx context.Context) error { return d.db.Org(run.Org).EndDetailStep(ctx, run, s) })
}
