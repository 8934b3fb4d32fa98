package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/raygun"
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
	log         *slog.Logger
	now         func() time.Time
	// jitter spreads what would happen at the same moment: a time up to d.
	jitter func(d time.Duration) time.Duration

	mu sync.Mutex
	// pausedUntil is until when what is asked for beside sessions is left alone
	// after a failure.
	pausedUntil map[beside]time.Time
}

func newSyncs(d *db.DB, q *Queue, c *Connections, log *slog.Logger, now func() time.Time) *Syncs {
	s := &Syncs{db: d, queue: q, connections: c, log: log, now: now, pausedUntil: map[beside]time.Time{}, jitter: func(d time.Duration) time.Duration { return rand.N(max(d, 1)) }}
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
	const batch = 500
	var after ConnectionID
	for {
		turns, err := s.db.SettleSyncsUnscoped(ctx, after, batch)
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

// run is one job: a turn, if it is due and nobody else has it.
func (s *Syncs) run(ctx context.Context, org OrgID, conn ConnectionID) (time.Duration, error) {
	o := s.db.Org(org)
	now := s.now()
	claimed, err := o.ClaimSync(ctx, conn, now, now.Add(syncLease))
	if errors.Is(err, db.ErrNotFound) {
		row, err := o.Sync(ctx, conn)
		if err != nil {
			return 0, err
		}
		if early := row.NextAt.Sub(now); early > 0 && early <= syncEarly {
			return early, nil
		}
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	end, stop := s.turn(ctx, org, claimed)
	after, err := o.EndSync(context.WithoutCancel(ctx), conn, claimed, end)
	// What is stored has milliseconds, the clock has more.
	if err != nil || stop && after.NextAt.UnixMilli() == end.NextAt.UnixMilli() {
		return 0, err
	}
	return max(after.NextAt.Sub(s.now()), time.Millisecond), nil
}

// turn works until there is nothing to do now. stop says that there will be
// nothing until somebody wakes the sync.
func (s *Syncs) turn(ctx context.Context, org OrgID, claimed db.Sync) (end db.SyncOutcome, stop bool) {
	began := time.Now()
	for ctx.Err() == nil && time.Since(began) < syncTurn {
		v, err := s.look(ctx, org, claimed.Connection)
		if err != nil {
			return s.afterError(ctx, v, err)
		}
		walk, rest, stop, err := s.choose(ctx, v)
		if err != nil {
			return s.afterError(ctx, v, err)
		}
		if walk == nil {
			if v.sync.Enabled && !stop {
				s.vitals(ctx, v)
			}
			return rest, stop
		}
		if err := s.page(ctx, v, *walk); err != nil {
			return s.afterPage(ctx, v, *walk, err)
		}
	}
	return db.SyncOutcome{NextAt: s.now()}, false
}

// syncView is all that decides what a sync does next.
type syncView struct {
	org     OrgID
	now     time.Time
	sync    db.Sync
	conn    Connection
	budget  Budget
	walks   []db.SyncWalk
	days    []db.SyncDay // within the retention, newest first
	perDay  float64      // sessions a day, negative if unknown
	byTime  bool         // the API has a filter by time
	oldest  db.Day       // the first day within the retention
	batches []batch      // older days to be filled, newest first
}

// look reads it. A connection that nobody decided about has its sync off.
func (s *Syncs) look(ctx context.Context, org OrgID, id ConnectionID) (syncView, error) {
	o := s.db.Org(org)
	v := syncView{org: org, now: s.now()}
	var err error
	if v.conn, err = s.connections.Get(ctx, org, id); err != nil {
		return v, err
	}
	v.byTime = v.conn.capabilities().CanFilter(raygun.FilterTime)
	v.sync, err = o.Sync(ctx, id)
	if errors.Is(err, db.ErrNotFound) {
		v.sync, err = db.Sync{Connection: id, SyncSettings: db.SyncSettings{RetentionDays: DefaultRetentionDays}}, nil
	}
	if err != nil {
		return v, err
	}
	if v.budget, err = s.connections.Budget(ctx, org, id); err != nil {
		return v, err
	}
	if v.walks, err = o.SyncWalks(ctx, id); err != nil {
		return v, err
	}
	today := db.DayOf(v.now)
	v.oldest = today - db.Day(v.sync.RetentionDays) + 1
	if v.days, err = o.SyncDays(ctx, id, v.oldest, today); err != nil {
		return v, err
	}
	v.perDay = perDay(v.days)
	v.batches = batches(v.olderGaps(), v.perDay, v.byTime, v.now)
	return v, nil
}

// olderGaps are the gaps of the days before today that following will not
// close by itself.
func (v syncView) olderGaps() []gap {
	all := gaps(v.days, v.oldest, db.DayOf(v.now)-1, v.now)
	if len(all) == 0 {
		return nil
	}
	// Just after midnight the end of yesterday is among what is followed next.
	if v.followed(all[0], followGap) {
		return all[1:]
	}
	return all
}

// followed says that following closes a gap by itself, if its news are not
// older than that.
func (v syncView) followed(g gap, old time.Duration) bool {
	return v.sync.Enabled && !v.sync.FollowedTo.IsZero() && v.now.Sub(v.sync.FollowedTo) <= old && !g.From.Before(v.sync.FollowedTo.Add(-followOverlap))
}

// choose finds the walk to go on with. Without one it says until when to rest.
func (s *Syncs) choose(ctx context.Context, v syncView) (walk *db.SyncWalk, rest db.SyncOutcome, stop bool, err error) {
	if v.conn.Removed() || !v.conn.ready() {
		return nil, db.SyncOutcome{NextAt: v.now}, true, nil
	}
	for _, w := range v.walks {
		if w.Purpose != db.WalkPerson {
			break
		}
		if err := s.borrow(ctx, v, &w); err != nil {
			return nil, rest, false, err
		}
		if v.budget.BlockedUntil.IsZero() && w.CallsLeft != nil && *w.CallsLeft > 0 && (v.budget.Allowance == 0 || v.budget.Left > 0) {
			return &w, rest, false, nil
		}
		if err := s.handOver(ctx, v.org, w); err != nil {
			return nil, rest, false, err
		}
	}
	if !v.sync.Enabled {
		return nil, db.SyncOutcome{NextAt: v.now}, true, nil
	}
	left := v.budget.Background()
	if left == 0 {
		return nil, s.spent(v), false, nil
	}
	pause := followPause(v.budget, v.now, v.perDay, len(v.batches) > 0)
	for _, w := range v.walks {
		if w.Purpose != db.WalkFollow {
			continue
		}
		if v.now.Sub(w.To) <= followGap {
			return &w, rest, false, nil
		}
		// What it read stays; going on with today is worth more than its end.
		if err := s.db.Org(v.org).DropSyncWalk(ctx, w.ID); err != nil {
			return nil, rest, false, err
		}
	}
	if v.sync.FollowedTo.IsZero() || !v.now.Before(v.sync.FollowedTo.Add(pause)) {
		walk, err := s.follow(ctx, v)
		return walk, rest, false, err
	}
	if older := forOlderDays(v.budget, v.now); older != 0 && len(v.batches) > 0 {
		walk, err := s.backfill(ctx, v)
		return walk, rest, false, err
	}
	return nil, db.SyncOutcome{NextAt: v.sync.FollowedTo.Add(pause)}, false, nil
}

// spent is the rest until there is something to spend again.
func (s *Syncs) spent(v syncView) db.SyncOutcome {
	out := db.SyncOutcome{Failures: v.sync.Failures, Waiting: waitBudget, NextAt: v.budget.ResetsAt.Add(s.jitter(3 * time.Minute))}
	switch b := v.budget; {
	case !b.BlockedUntil.IsZero():
		out.Waiting, out.NextAt = waitBlocked, b.BlockedUntil.Add(s.jitter(30*time.Second))
		out.Message = fmt.Sprintf("%s said that it was called too often. Nothing is asked until %s.", v.conn.Vendor, utc(b.BlockedUntil, v.now))
	case b.Share > 0 && b.ByBackground >= b.Share:
		out.Message = fmt.Sprintf("Background work has made its %s of today. It goes on at 00:00 UTC.", plural(b.Share, "call"))
	case b.Left > 0:
		out.Message = fmt.Sprintf("The %s left today %s kept for people. Background work goes on at 00:00 UTC.", plural(b.Left, "call"), isAre(b.Left))
	default:
		out.Message = "Today's calls are used up. The next are free at 00:00 UTC."
	}
	return out
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// follow begins a walk for new sessions.
func (s *Syncs) follow(ctx context.Context, v syncView) (*db.SyncWalk, error) {
	r := followRange(v.sync, v.now, v.perDay)
	return s.begin(ctx, v, db.SyncWalk{Purpose: db.WalkFollow, SyncRange: r, Todo: []db.SyncRange{r}})
}

// backfill goes on with the walk through older days that is open, or begins
// one through the newest that are not whole.
func (s *Syncs) backfill(ctx context.Context, v syncView) (*db.SyncWalk, error) {
	for _, w := range v.walks {
		if w.Purpose != db.WalkBackfill {
			continue
		}
		if w.Day >= v.oldest {
			return &w, nil
		}
		if err := s.db.Org(v.org).DropSyncWalk(ctx, w.ID); err != nil {
			return nil, err
		}
	}
	b := v.batches[0]
	r := b.span()
	return s.begin(ctx, v, db.SyncWalk{Purpose: db.WalkBackfill, Day: b.day(), SyncRange: r, Todo: []db.SyncRange{r}})
}

// begin stores a new walk.
func (s *Syncs) begin(ctx context.Context, v syncView, w db.SyncWalk) (*db.SyncWalk, error) {
	o := s.db.Org(v.org)
	same := func(got db.SyncWalk) bool {
		if w.Purpose == db.WalkFollow || got.Purpose == db.WalkFollow {
			return w.Purpose == got.Purpose
		}
		return got.Day == w.Day
	}
	choose := func(open []db.SyncWalk) []db.SyncWalk {
		if slices.ContainsFunc(open, same) { // a member has just asked for the same days
			return nil
		}
		return []db.SyncWalk{w}
	}
	if err := o.PlanWalks(ctx, v.conn.ID, choose, v.now, nil, nil); err != nil {
		return nil, fmt.Errorf("begin a walk (%s): %w", w.Purpose, err)
	}
	open, err := o.SyncWalks(ctx, v.conn.ID)
	if err != nil {
		return nil, err
	}
	for _, got := range open {
		if same(got) {
			return &got, nil
		}
	}
	return nil, fmt.Errorf("begin a walk (%s): %w", w.Purpose, db.ErrNotFound)
}

// borrow lets a person's walk that has spent what was meant for it finish with
// a call of the last of their others: in all no more is spent than was named.
func (s *Syncs) borrow(ctx context.Context, v syncView, w *db.SyncWalk) error {
	if w.CallsLeft == nil || *w.CallsLeft > 0 {
		return nil
	}
	for _, other := range slices.Backward(v.walks) {
		if other.Purpose != db.WalkPerson || other.Actor != w.Actor || other.ID == w.ID || other.CallsLeft == nil || *other.CallsLeft <= 0 {
			continue
		}
		rest, one := *other.CallsLeft-1, int64(1)
		other.CallsLeft, w.CallsLeft = &rest, &one
		return s.db.Org(v.org).PlanWalks(ctx, v.conn.ID, func([]db.SyncWalk) []db.SyncWalk { return []db.SyncWalk{other, *w} }, v.now, nil, nil)
	}
	return nil
}

// handOver leaves the rest of a person's walk to background work.
func (s *Syncs) handOver(ctx context.Context, org OrgID, w db.SyncWalk) error {
	return s.db.Org(org).PlanWalks(ctx, w.Connection, func(open []db.SyncWalk) []db.SyncWalk {
		for _, now := range open {
			if now.ID == w.ID && now.Purpose == db.WalkPerson {
				now.Purpose, now.Actor, now.CallsLeft = db.WalkBackfill, 0, nil
				return []db.SyncWalk{now}
			}
		}
		return nil
	}, s.now(), nil, nil)
}

// page asks for a walk's next page and stores it with how far the walk is then.
func (s *Syncs) page(ctx context.Context, v syncView, w db.SyncWalk) error {
	org := v.org
	api, _, err := s.connections.raygun(ctx, org, w.Connection)
	if err != nil {
		return err
	}
	r := w.Todo[0]
	spending := withSpender(ctx, spender{Org: org, Connection: w.Connection, Actor: w.Actor, Background: w.Purpose != db.WalkPerson})
	page, err := api.Sessions(spending, raygun.SessionQuery{From: r.From.Add(-rangeOverlap), To: r.To.Add(rangeOverlap), Skip: w.Skip})
	if err != nil {
		return err
	}
	got := max(page.Received, len(page.Sessions)+page.Unreadable, page.NextSkip-w.Skip)
	if err := s.believe(ctx, v, w, got); err != nil {
		return err
	}
	rows := sessionRows(page, v.conn.Vendor)
	taken := takenFrom(page, r, got, v.byTime)
	received := page.ReceivedAt
	if received.IsZero() {
		received = s.now()
	}
	// What was paid for is kept even while Sightline is being stopped.
	_, err = s.db.Org(org).PutSyncPage(context.WithoutCancel(ctx), w, rows[:len(page.Sessions)], rows[len(page.Sessions):], received, func(now db.SyncWalk, fresh int64) db.SyncWalk {
		taken.fresh = fresh
		if now.CallsLeft != nil {
			left := *now.CallsLeft - 1
			now.CallsLeft = &left
		}
		return advance(now, taken)
	})
	if err == nil {
		s.learnUsers(ctx, v, w, api, page)
	}
	return err
}

// manySessions is of how many a day's usual number must be for a time, so that
// none at all is not believed.
const manySessions = 20

// believe refuses an empty answer about a time of which the vendor has told
// sessions before, or in which there are many on other days: taken for true, it
// would make a gap look filled.
func (s *Syncs) believe(ctx context.Context, v syncView, w db.SyncWalk, got int) error {
	if got > 0 || w.Purpose != db.WalkFollow || w.Seen > 0 || w.Found > 0 {
		return nil
	}
	expected := v.perDay * w.To.Sub(w.From).Hours() / 24
	if v.sync.Failures > 0 { // just now it did not answer well: a short time is no excuse
		expected = v.perDay
	}
	if expected < manySessions {
		f := db.SessionFilter{From: w.From.Add(time.Minute), To: w.To.Add(-time.Minute), Connections: []ConnectionID{v.conn.ID}}
		known, err := s.db.Org(v.org).Sessions(ctx, f, Moment{}, 1)
		if err != nil || len(known.Sessions) == 0 {
			return err
		}
	}
	return &upstream.Error{Kind: upstream.Unexpected, Vendor: string(v.conn.Vendor), Operation: "sessions", Status: 200, Sent: true,
		Err: errors.New("the list is empty, but there must be sessions of that time")}
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
	if ctx.Err() != nil { // Sightline stops: the next start goes on
		return db.SyncOutcome{NextAt: now, Failures: v.sync.Failures, Waiting: v.sync.Waiting, Message: v.sync.Message}, true
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
	// 1, 2, 4 … minutes, at most an hour, and up to a fifth more or less.
	pause := min(maxSyncPause, time.Minute<<min(v.sync.Failures, 10))
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
	return end, false
}
