package services

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/upstream"
)

// jobSync is the queue's kind for keeping a connection's mirror fresh; its rows
// are connections.
const jobSync = "sync"

const (
	// syncTurn is how long a job goes on before it lets others have the worker.
	syncTurn = 45 * time.Second
	// syncLease is how long a turn is taken: longer than a job may run.
	syncLease = jobTimeout + 30*time.Second
	// syncEarly is by how much the queue may wake a job too early.
	syncEarly = 10 * time.Second
	// maxSyncPause is the longest pause after failures of the vendor.
	maxSyncPause = time.Hour
)

// Why a sync waits, as stored.
const (
	waitBlocked     = "blocked"     // the vendor said to wait
	waitBudget      = "budget"      // what background work may spend today is spent
	waitDown        = "down"        // the vendor does not answer
	waitCredentials = "credentials" // the vendor does not accept the credentials
	waitInternal    = "internal"    // something of ours failed
)

// DefaultRetentionDays is how far back a mirror is filled: Raygun keeps 60 days
// by default.
const DefaultRetentionDays = 60

// Syncs keeps the mirrors of Raygun connections fresh within their budgets. A
// connection has one job, which takes turns: it reads what a member asked to
// have filled, then new sessions, then older days, one page after the other,
// and sleeps when there is nothing to do or nothing left to spend.
type Syncs struct {
	db          *db.DB
	queue       *Queue
	connections *Connections
	asks        *Asks
	log         *slog.Logger
	now         func() time.Time
	// jitter spreads what would happen at the same moment: a time up to d.
	jitter func(d time.Duration) time.Duration

	mu sync.Mutex
	// pausedUntil is until when what is asked for beside sessions is left alone
	// after a failure.
	pausedUntil map[beside]time.Time
	// peopleAt is how far the list of users was read for those who are waited for.
	peopleAt map[ConnectionID]int
}

func newSyncs(d *db.DB, q *Queue, c *Connections, log *slog.Logger, now func() time.Time) *Syncs {
	s := &Syncs{db: d, queue: q, connections: c, log: log, now: now, pausedUntil: map[beside]time.Time{}, peopleAt: map[ConnectionID]int{}, jitter: func(d time.Duration) time.Duration { return rand.N(max(d, 1)) }}
	q.handle(jobSync, func(ctx context.Context, org OrgID, id int64) (time.Duration, error) {
		return s.run(ctx, org, ConnectionID(id))
	})
	q.onStart(s.settle)
	c.wakeSync = s.wake
	return s
}

// settle takes back the turns that a crash left taken and queues every sync
// again. A walk goes on with the page after the last one that was stored; the
// one that was under way is asked again, and costs a call again if it had left.
func (s *Syncs) settle(ctx context.Context) error {
	return s.requeue(ctx, s.db.SettleSyncsUnscoped)
}

const (
	// syncWatch is how often syncs without a job are looked for, syncOverdue how
	// long a turn must have been due: workers may all be busy meanwhile.
	syncWatch   = 5 * time.Minute
	syncOverdue = 10 * time.Minute
)

// watch gives a job to every sync that lost its own, until ctx ends. A job that
// meets a full disk or a fault of ours is gone, and must not take the mirror
// with it until the next start.
func (s *Syncs) watch(ctx context.Context) {
	for sleep(ctx, syncWatch) {
		if err := s.rouse(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "syncs without a job were not looked for; it is tried again", "err", err)
		}
	}
}

// rouse is one look.
func (s *Syncs) rouse(ctx context.Context) error {
	before := s.now().Add(-syncOverdue)
	return s.requeue(ctx, func(ctx context.Context, after ConnectionID, limit int) ([]db.SyncTurn, error) {
		return s.db.OverdueSyncsUnscoped(ctx, before, after, limit)
	})
}

// requeue queues the turns that list returns, page by page.
func (s *Syncs) requeue(ctx context.Context, list func(ctx context.Context, after ConnectionID, limit int) ([]db.SyncTurn, error)) error {
	const batch = 500
	var after ConnectionID
	for {
		turns, err := list(ctx, after, batch)
		if err != nil {
			return err
		}
		for _, t := range turns {
			// The job that it had may have survived: of two, the second finds that it
			// is not its turn, and ends.
			if err := s.queue.again(ctx, jobSync, t.Org, int64(t.Connection), max(0, t.NextAt.Sub(s.now()))); err != nil {
				return err
			}
			after = t.Connection
		}
		if len(turns) < batch {
			return nil
		}
	}
}

// wake makes a connection's sync look at once whether it can work now. It does
// nothing for a connection that has none.
func (s *Syncs) wake(ctx context.Context, org OrgID, conn ConnectionID) error {
	err := s.db.Org(org).WakeSync(ctx, conn, s.queue.put(jobSync, org, 0))
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	return err
}

// run is one job. A sync that is switched off still has what people asked for.
func (s *Syncs) run(ctx context.Context, org OrgID, conn ConnectionID) (time.Duration, error) {
	o := s.db.Org(org)
	return turns[db.Sync]{
		claim: func(ctx context.Context, now time.Time) (db.Sync, error) {
			return o.ClaimSync(ctx, conn, now, now.Add(syncLease))
		},
		row:  func(ctx context.Context) (db.Sync, error) { return o.Sync(ctx, conn) },
		next: func(f db.Sync) time.Time { return f.NextAt },
		work: func(ctx context.Context, f db.Sync) (db.SyncOutcome, bool) { return s.turn(ctx, org, f) },
		end: func(ctx context.Context, f db.Sync, end db.SyncOutcome) (db.Sync, error) {
			return o.EndSync(ctx, conn, f, end)
		},
	}.run(ctx, s.now)
}

// turn works until there is nothing to do now. stop says that there will be
// nothing until somebody wakes the sync.
func (s *Syncs) turn(ctx context.Context, org OrgID, claimed db.Sync) (end db.SyncOutcome, stop bool) {
	began, measured := time.Now(), false
	for ctx.Err() == nil && !s.queue.stopping() && time.Since(began) < syncTurn {
		v, err := s.look(ctx, org, claimed.Connection)
		if err != nil {
			return s.afterError(ctx, v, err)
		}
		walk, rest, stop, err := s.choose(ctx, v)
		if err != nil {
			return s.afterError(ctx, v, err)
		}
		if walk == nil {
			if !v.sync.Enabled || stop {
				return rest, stop
			}
			if !measured { // once a turn: these do not change that fast
				measured = true
				s.people(ctx, v)
				s.vitals(ctx, v)
				if err := ctx.Err(); err != nil { // what was cut off is due at the next start
					return s.afterError(ctx, v, err)
				}
				continue
			}
			asked, err := s.details(ctx, v)
			if err != nil {
				return s.afterError(ctx, v, err)
			}
			if asked {
				continue
			}
			return rest, stop
		}
		if err := s.page(ctx, v, *walk); err != nil {
			return s.afterPage(ctx, v, *walk, err)
		}
	}
	return db.SyncOutcome{NextAt: s.now()}, false
}

// afterPage says how a turn ends when a page did not come. What a person asked
// for goes on in the background.
func (s *Syncs) afterPage(ctx context.Context, v syncView, w db.SyncWalk, err error) (db.SyncOutcome, bool) {
	if w.Purpose == db.WalkPerson && ctx.Err() == nil {
		if herr := s.handOver(context.WithoutCancel(ctx), v.org, w); herr != nil {
			err = errors.Join(err, herr)
		}
	}
	return s.afterError(ctx, v, err)
}

// afterError says when to try again. Nothing is lost meanwhile: the walk stands
// where its last page was stored.
func (s *Syncs) afterError(ctx context.Context, v syncView, err error) (end db.SyncOutcome, stop bool) {
	now := s.now()
	if ctx.Err() != nil { // Sightline stops, and the next start goes on; where it was the job's time that is over, the next job
		return db.SyncOutcome{NextAt: now, Failures: v.sync.Failures, Waiting: v.sync.Waiting, Message: v.sync.Message}, stopped(ctx)
	}
	if refused, ok := db.IsRefused(err); ok {
		if refused.Why == db.RefusedRemoved {
			return db.SyncOutcome{NextAt: now}, true
		}
		v.budget = budgetOf(refused.Budget, now)
		return s.spent(v), false
	}
	var own *Error
	if errors.As(err, &own) && own.Kind == Conflict { // removed meanwhile
		return db.SyncOutcome{NextAt: now}, true
	}
	s.log.WarnContext(ctx, "sync failed", "org", int64(v.org), "connection", int64(v.conn.ID), "failures", v.sync.Failures+1, "err", err)
	end = db.SyncOutcome{Failures: v.sync.Failures + 1, Waiting: waitInternal, FailedAt: now, Message: "Something in Sightline itself failed; the log has the cause."}
	pause := pauseAfter(v.sync.Failures)
	switch kind := upstream.KindOf(err); kind {
	case "":
	case upstream.RateLimited:
		if b, berr := s.connections.Budget(ctx, v.org, v.conn.ID); berr == nil && !b.BlockedUntil.IsZero() {
			v.budget = b
			out := s.spent(v)
			out.Failures, out.FailedAt = end.Failures, now
			return out, false
		}
		end.Waiting, end.Message = waitBlocked, vendorError(v.conn, err, now).Msg
	case upstream.WrongKey, upstream.Forbidden:
		pause, end.Waiting, end.Message = maxSyncPause, waitCredentials, vendorError(v.conn, err, now).Msg
	default:
		end.Waiting, end.Message = waitDown, vendorError(v.conn, err, now).Msg
	}
	end.NextAt = now.Add(pause - pause/5 + s.jitter(pause/5))
	// Who is down for a while and says how long is not asked before: each try counts.
	var failed *upstream.Error
	if errors.As(err, &failed) && failed.Kind == upstream.Down {
		end.NextAt = later(end.NextAt, earlier(failed.Until, now.Add(maxBlock)))
	}
	return end, false
}
