package services

import (
	"context"
	"fmt"
	"time"

	"sightline/internal/db"
)

// Offer is what a member can have filled now, with its price.
type Offer struct {
	// Days is how many of the missing days, the newest first, Calls what they
	// cost at most. Both are 0 if nothing is missing or nothing can be spent.
	Days, Calls int
	// All says that these are all that can be filled.
	All bool
}

// Offer is what of the missing days the calls left today pay for.
func (c Coverage) Offer() Offer {
	list, all := c.affordable(c.Budget.Left)
	o := Offer{All: all}
	for _, b := range list {
		o.Days += len(b.gaps)
		o.Calls += b.calls
	}
	return o
}

// affordable are the newest batches that a number of calls pays for.
func (c Coverage) affordable(calls int) (list []batch, all bool) {
	unlimited := c.Budget.Allowance == 0
	if !c.Budget.BlockedUntil.IsZero() {
		return nil, len(c.batches) == 0
	}
	for i, b := range c.batches {
		if !unlimited && b.calls > calls {
			return c.batches[:i], false
		}
		calls -= b.calls
	}
	return c.batches, true
}

// Fill has missing days of a range read now, as the member's own spending of
// at most the calls that were named to them. It returns how many days that is
// about, which are read behind the request. Days that are being read already
// are not asked for twice. If it takes more than was named, the rest is left to
// background work.
func (s *Syncs) Fill(ctx context.Context, actor Actor, conn ConnectionID, from, until time.Time, calls int) (days int, err error) {
	if err := mayAsk(actor); err != nil {
		return 0, err
	}
	c, err := s.Coverage(ctx, actor.Org, conn, from, until)
	if err != nil {
		return 0, err
	}
	if c.Connection.Removed() || !c.Connection.Vendor.IsRaygun() {
		return 0, &Error{Kind: Conflict, Msg: fmt.Sprintf("Nothing can be asked through “%s” any more.", c.Connection.Name)}
	}
	if !c.Budget.BlockedUntil.IsZero() || c.Budget.Allowance > 0 && c.Budget.Left == 0 {
		return 0, &Error{Kind: Limited, Msg: "No calls are left today, so nothing was asked."}
	}
	if c.Budget.Allowance > 0 {
		calls = min(calls, c.Budget.Left)
	}
	list, _ := c.affordable(max(0, calls))
	if c.Budget.Allowance == 0 { // affordable looks at the budget alone
		list = c.within(calls)
	}
	if len(list) == 0 {
		return 0, nil
	}
	named := 0
	for _, b := range list {
		days += len(b.gaps)
		named += b.calls
	}
	// Where nobody knows what a day costs, what was named beyond one call each is
	// theirs too.
	if more := calls - named; !c.Known && more > 0 {
		for i := range list {
			n := more / (len(list) - i)
			list[i].calls += n
			more -= n
		}
		named = calls
	}
	span := DaySpan(list[len(list)-1].span().From, list[0].span().To.Add(-time.Millisecond))
	e := s.connections.entry(actor, "connection.fill", c.Connection.Name,
		fmt.Sprintf("Asked to have %s filled from “%s”, for up to %s", span, c.Connection.Name, plural(named, "call")))
	err = s.db.Org(actor.Org).PlanWalks(ctx, conn, func(open []db.SyncWalk) []db.SyncWalk { return fillWalks(open, list, actor) },
		s.now(), s.queue.put(jobSync, actor.Org, 0), &e)
	return days, notFound(err, noConnection)
}

// within are the newest batches that together cost no more than calls.
func (c Coverage) within(calls int) []batch {
	for i, b := range c.batches {
		if calls -= b.calls; calls < 0 {
			return c.batches[:i]
		}
	}
	return c.batches
}

// fillWalks makes walks of batches. One that background work has begun becomes
// the person's, and goes on where it is.
func fillWalks(open []db.SyncWalk, list []batch, actor Actor) []db.SyncWalk {
	var out []db.SyncWalk
	taken := map[db.SyncWalkID]bool{}
	for _, b := range list {
		calls := int64(b.calls)
		begun := false
		for _, w := range open {
			if w.Purpose == db.WalkFollow || !w.From.Before(b.span().To) || !w.To.After(b.span().From) {
				continue
			}
			begun = true
			if w.Purpose == db.WalkBackfill && !taken[w.ID] {
				taken[w.ID] = true
				w.Purpose, w.Actor, w.CallsLeft = db.WalkPerson, actor.User, &calls
				out = append(out, w)
			}
		}
		if !begun {
			r := b.span()
			out = append(out, db.SyncWalk{Purpose: db.WalkPerson, Day: b.day(), Actor: actor.User, CallsLeft: &calls, SyncRange: r, Todo: []db.SyncRange{r}})
		}
	}
	return out
}
