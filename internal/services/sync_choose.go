package services

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/raygun"
)

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
	bare    []db.BareDay // days of sessions without details, newest first; empty unless sync fetches them
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
		v.sync, err = db.Sync{Connection: id, SyncSettings: db.SyncSettings{RetentionDays: DefaultRetentionDays, Details: true, DetailCalls: DefaultDetailCalls(v.conn.Vendor)}}, nil
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
	v.batches = v.batchesOf(v.olderGaps())
	if v.sync.Enabled && v.sync.Details {
		v.bare, err = s.bareDays(ctx, v, v.oldest, today)
	}
	return v, err
}

// batchesOf puts gaps together into walks, with their price. Where sync is off,
// v3's is with calls for who the people are.
func (v syncView) batchesOf(gaps []gap) []batch {
	out := batches(gaps, v.perDay, v.byTime, v.read(), v.now)
	for i := range out {
		if v.conn.Vendor == RaygunV3 && !v.sync.Enabled {
			out[i].calls += userPages
		}
	}
	return out
}

// read is how many rows of a list without a filter by time the walk through
// older days has behind it.
func (v syncView) read() int {
	n := 0
	for _, w := range v.walks {
		if w.Purpose != db.WalkFollow {
			n = max(n, w.Skip)
		}
	}
	return n
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
	pause := followPause(v.budget, v.now, v.perDay, len(v.batches) > 0, v.detailsLeft())
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
	var known []time.Time
	if v.byTime { // else a page is as long as it is
		var err error
		if known, err = s.known(ctx, v); err != nil {
			return nil, err
		}
	}
	r := followRange(v.sync, v.now, v.perDay, known)
	return s.begin(ctx, v, db.SyncWalk{Purpose: db.WalkFollow, SyncRange: r, Todo: []db.SyncRange{r}})
}

// known is when the last sessions began that the mirror has of the connection's
// application, newest first.
func (s *Syncs) known(ctx context.Context, v syncView) ([]time.Time, error) {
	conns, err := s.connections.application(ctx, v.org, v.conn.ID)
	if err != nil {
		return nil, err
	}
	f := db.SessionFilter{From: v.now.Add(-knownBack), To: v.now, Connections: conns}
	page, err := s.db.Org(v.org).Sessions(ctx, f, Moment{}, followRows)
	out := make([]time.Time, len(page.Sessions))
	for i, one := range page.Sessions {
		out[i] = one.StartedAt
	}
	return out, err
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
