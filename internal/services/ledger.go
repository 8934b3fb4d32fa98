package services

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/metrics"
	"sightline/internal/services/upstream"
)

// maxBlock bounds how long one answer of a vendor may hold back a connection:
// a Retry-After of a year is more likely a fault than a wish, and asking once a
// day does no harm.
const maxBlock = 24 * time.Hour

// v3Pause is how long Raygun v3 is left alone after a 429 that names no time.
const v3Pause = time.Minute

// spender is who a vendor call is for. It travels in the context, because the
// vendor clients know nothing of members.
type spender struct {
	Org        OrgID
	Connection ConnectionID
	Actor      UserID     // who asked for it, 0 for a job of ours and the command line
	Customer   CustomerID // whom it is about, 0 for nobody in particular
	// Background says that nobody waits for it: it leaves the reserve alone.
	Background bool
	// Spare says the same of one of many questions that somebody put at once.
	Spare bool
}

type spenderKey struct{}

// withSpender says whom the vendor calls made with the context are for. Calls
// without a spender are written down as background work of nobody.
func withSpender(ctx context.Context, s spender) context.Context {
	return context.WithValue(ctx, spenderKey{}, s)
}

func spenderOf(ctx context.Context) spender {
	if s, ok := ctx.Value(spenderKey{}).(spender); ok {
		return s
	}
	return spender{Background: true}
}

// ledger is the call ledger of one connection, as the vendor clients see it.
type ledger struct {
	db         db.Org
	connection ConnectionID
	vendor     Vendor
	now        func() time.Time
	metrics    *metrics.Metrics
	running    *sync.Map // from the number of a call to its operation
	// sharing are the connections whose calls are counted together with these.
	sharing func(ctx context.Context) ([]ConnectionID, error)
}

// Begin writes the call down and takes it from the day's allowance, or refuses
// it with a *db.CallRefused.
func (l ledger) Begin(ctx context.Context, call upstream.Call) (int64, error) {
	s := spenderOf(ctx)
	if s.Connection != 0 && (s.Connection != l.connection || s.Org != l.db.ID()) {
		return 0, fmt.Errorf("a call of connection %d of organization %d was put to connection %d", s.Connection, s.Org, l.connection)
	}
	with, err := l.sharing(ctx)
	if err != nil {
		return 0, err
	}
	id, err := l.db.BeginCall(ctx, db.Call{
		Connection: l.connection, Vendor: call.Vendor, Operation: call.Operation, Attempt: call.Attempt, Counts: call.Counts,
		Background: s.Background, Spare: s.Spare, Actor: s.Actor, Customer: s.Customer, StartedAt: l.now(), With: with,
		// Raygun's block is about its counted calls: authenticate may go on, so
		// that a member can still test the connection.
	}, l.vendor == LogRocket)
	if err != nil {
		l.metrics.Call(string(l.vendor), call.Operation, string(upstream.Refused), 0, false)
	} else {
		l.running.Store(int64(id), call.Operation)
	}
	return int64(id), err
}

// End writes how the call ended. A 429 holds the connection back: until the
// vendor's own time, which with Raygun v3 may be seconds; else, where calls are
// counted by the day, until the next UTC midnight.
func (l ledger) End(ctx context.Context, id int64, out upstream.Outcome) error {
	o := db.CallOutcome{
		State: db.CallOK, Status: out.Status, ErrorKind: string(out.Kind), Says: out.Says,
		Duration: out.Duration, Bytes: out.Bytes, Sent: out.Sent,
	}
	if out.Kind != "" {
		o.State = db.CallFailed
	}
	if operation, ok := l.running.LoadAndDelete(id); ok {
		l.metrics.Call(string(l.vendor), operation.(string), cmp.Or(string(out.Kind), "ok"), out.Duration, out.Sent)
	}
	if out.Kind == upstream.RateLimited {
		o.BlockUntil = out.Until
		if latest := l.now().Add(maxBlock); o.BlockUntil.After(latest) {
			o.BlockUntil = latest
		}
		// Without a time of the vendor's, EndCall knows whether the call counted.
		o.BlockCounted = nextDay(l.now())
		if l.vendor == RaygunV3 {
			// It has limits a second, a minute and a day, and did not say which was
			// met: most likely the shortest. Should it be the day's, each minute asks
			// one call in vain at most.
			o.BlockCounted = l.now().Add(v3Pause)
		}
	}
	return l.db.EndCall(ctx, db.CallID(id), o)
}

// nextDay is the next 00:00 UTC after t.
func nextDay(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
}

// settleCalls marks what a crash left in the ledger as being sent. The queue
// runs it before it works.
func (c *Connections) settleCalls(ctx context.Context) error {
	n, err := c.db.SettleCallsUnscoped(ctx)
	if n > 0 {
		c.log.Warn("calls were being sent when Sightline last ended; whether they arrived is unknown", "calls", n)
	}
	return err
}
