package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"sightline/internal/db"
)

// jobAudit is the queue's kind for following a connection's audit log; its rows
// are connections.
const jobAudit = "audit"

const (
	// auditEvery is how often a log is asked for what is new.
	auditEvery = 15 * time.Minute
	// auditSoon is the rest between two turns through a log that has much.
	auditSoon = 20 * time.Second
	// auditPages is how many pages a turn asks for at most, auditEmpty how many in
	// a row without any entry.
	auditPages, auditEmpty = 50, 3
	// auditFew is what a page is asked to hold where the vendor refuses more: the
	// number that LogRocket's own example asks for.
	auditFew = 10
)

// Why an audit log is not read until its time, as stored, beside those of a
// sync.
const (
	waitDoubt = "doubt" // refused once, after it had worked
	waitStuck = "stuck" // the vendor says there is more and leads nowhere
)

// Audits follows LogRocket's audit logs and tells what they say. A connection
// has one job, which reads what is new, page by page, and sleeps.
type Audits struct {
	db          *db.DB
	queue       *Queue
	connections *Connections
	log         *slog.Logger
	now         func() time.Time
	// every, soon and pages are as the constants, but in tests.
	every, soon time.Duration
	pages       int
	// jitter spreads what would happen at the same moment: a time up to d.
	jitter func(d time.Duration) time.Duration
}

func newAudits(d *db.DB, q *Queue, c *Connections, log *slog.Logger, now func() time.Time) *Audits {
	a := &Audits{db: d, queue: q, connections: c, log: log, now: now, every: auditEvery, soon: auditSoon, pages: auditPages,
		jitter: func(d time.Duration) time.Duration { return rand.N(max(d, 1)) }}
	q.handle(jobAudit, func(ctx context.Context, org OrgID, id int64) (time.Duration, error) {
		return a.run(ctx, org, ConnectionID(id))
	})
	q.onStart(a.settle)
	c.wakeAudit = a.wake
	return a
}

// settle takes back the turns that a crash left taken and queues every log that
// is followed again. The page that was under way is asked for again: the cursor
// moves only with what it brought.
func (a *Audits) settle(ctx context.Context) error {
	const batch = 500
	var after ConnectionID
	for {
		turns, err := a.db.SettleAuditsUnscoped(ctx, after, batch)
		if err != nil {
			return err
		}
		for _, t := range turns {
			// The job that it had may have survived: of two, the second finds that it
			// is not its turn, and ends.
			if err := a.queue.again(ctx, jobAudit, t.Org, int64(t.Connection), max(0, t.NextAt.Sub(a.now()))); err != nil {
				return err
			}
			after = t.Connection
		}
		if len(turns) < batch {
			return nil
		}
	}
}

// wake has a log read at once; it does nothing for one that is not followed.
func (a *Audits) wake(ctx context.Context, org OrgID, conn ConnectionID) error {
	err := a.db.Org(org).WakeAudit(ctx, conn, a.queue.put(jobAudit, org, 0))
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	return err
}

// Follow switches the following of a LogRocket connection's audit log on or
// off; what was read stays. On reads at once.
func (a *Audits) Follow(ctx context.Context, actor Actor, id ConnectionID, on bool) error {
	conn, err := a.rocket(ctx, actor, id)
	if err != nil {
		return err
	}
	row, err := a.db.Org(actor.Org).AuditFollow(ctx, id)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	if row.Enabled == on && (on || row.Waiting != db.AuditRefused) {
		return nil // a second press of the button
	}
	var then db.TxFunc
	if on {
		then = a.queue.put(jobAudit, actor.Org, 0)
	}
	err = a.db.Org(actor.Org).SetAuditFollow(ctx, id, on, then, a.connections.auditEntry(actor, conn.Name, on))
	return notFound(err, noConnection)
}

// FetchNow has a log that is followed, or was refused, read at once.
func (a *Audits) FetchNow(ctx context.Context, actor Actor, id ConnectionID) error {
	conn, err := a.rocket(ctx, actor, id)
	if err != nil {
		return err
	}
	err = a.db.Org(actor.Org).WakeAudit(ctx, id, a.queue.put(jobAudit, actor.Org, 0))
	if errors.Is(err, db.ErrNotFound) {
		return invalid("The audit log of “%s” is not followed. Switch that on first.", conn.Name)
	}
	return err
}

// rocket finds a LogRocket connection in use that the actor may change.
func (a *Audits) rocket(ctx context.Context, actor Actor, id ConnectionID) (Connection, error) {
	conn, err := a.connections.inUse(ctx, actor, id)
	if err == nil && conn.Vendor != LogRocket {
		err = invalid("“%s” is a connection to %s. Only LogRocket has an audit log.", conn.Name, conn.Vendor)
	}
	return conn, err
}

// auditEntry tells that following was switched.
func (c *Connections) auditEntry(actor Actor, name string, on bool) db.HistoryEntry {
	words := map[bool]string{false: "off", true: "on"}
	e := c.entry(actor, "connection.audit", name, fmt.Sprintf("Switched following LogRocket's audit log of “%s” %s", name, words[on]))
	e.After = historyFields(map[string]string{"Follow the audit log": words[on]})
	return e
}

// Wait waits until a log is not being read, but not longer than upTo.
func (a *Audits) Wait(ctx context.Context, org OrgID, id ConnectionID, upTo time.Duration) error {
	for end := time.Now().Add(upTo); time.Now().Before(end); {
		st, err := a.Status(ctx, org, id)
		if err != nil || st.State != AuditReading || !sleep(ctx, 50*time.Millisecond) {
			return err
		}
	}
	return nil
}

// AuditState is how a log is followed, in a word.
type AuditState string

// The states of an audit log.
const (
	AuditOff       AuditState = "off"
	AuditReading   AuditState = "reading"
	AuditFollowing AuditState = "following" // nothing to do until the next look
	AuditWaiting   AuditState = "waiting"   // for the vendor's own time
	AuditFailing   AuditState = "failing"   // tried again and again
	AuditRefused   AuditState = "refused"   // off, because the vendor does not allow it
)

// AuditStatus is how a connection's audit log is followed, for people.
type AuditStatus struct {
	Connection Connection
	State      AuditState
	// Sentence says what it does, and why it waits. It may quote the vendor.
	Sentence string
	// Entries is how many were read; Oldest is the time of the oldest.
	Entries int64
	Oldest  time.Time
	// Since is when following was first switched on, ReadAt when a page last came.
	// Zero is never.
	Since, ReadAt time.Time
}

// On says whether it is followed.
func (s AuditStatus) On() bool { return s.State != AuditOff && s.State != AuditRefused }

// Status says how a LogRocket connection's audit log is followed.
func (a *Audits) Status(ctx context.Context, org OrgID, id ConnectionID) (AuditStatus, error) {
	conn, err := a.connections.Get(ctx, org, id)
	if err != nil {
		return AuditStatus{}, err
	}
	row, err := a.db.Org(org).AuditFollow(ctx, id)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return AuditStatus{}, err
	}
	return a.status(ctx, conn, row)
}

// Statuses says the same of every LogRocket connection in use, by age, and of
// those out of use whose log was read.
func (a *Audits) Statuses(ctx context.Context, org OrgID) ([]AuditStatus, error) {
	conns, err := a.connections.All(ctx, org)
	if err != nil {
		return nil, err
	}
	rows, err := a.db.Org(org).AuditFollows(ctx)
	if err != nil {
		return nil, err
	}
	of := map[ConnectionID]db.AuditFollow{}
	for _, r := range rows {
		of[r.Connection] = r
	}
	var out []AuditStatus
	for _, c := range conns {
		if c.Vendor != LogRocket || c.Removed() && of[c.ID].Entries == 0 {
			continue
		}
		st, err := a.status(ctx, c, of[c.ID])
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}

// Followed says whether an audit log of the organization was ever followed.
func (a *Audits) Followed(ctx context.Context, org OrgID) (bool, error) {
	rows, err := a.db.Org(org).AuditFollows(ctx)
	for _, r := range rows {
		if !r.Since.IsZero() {
			return true, err
		}
	}
	return false, err
}

func (a *Audits) status(ctx context.Context, conn Connection, row db.AuditFollow) (AuditStatus, error) {
	st := AuditStatus{Connection: conn, Entries: row.Entries, Since: row.Since, ReadAt: row.ReadAt}
	if row.Entries > 0 {
		var err error
		if st.Oldest, err = a.db.Org(conn.Org).AuditOldest(ctx, conn.ID); err != nil {
			return st, err
		}
	}
	now := a.now()
	next := utc(later(row.NextAt, now), now)
	switch {
	case conn.Removed():
		st.State, st.Sentence = AuditOff, "The connection was removed. What was read stays here."
	case row.Waiting == db.AuditRefused:
		st.State, st.Sentence = AuditRefused, row.Message+" So following is switched off. It is tried again when the credentials are rotated or somebody asks for it."
	case !row.Enabled && row.Since.IsZero():
		st.State, st.Sentence = AuditOff, "Not followed: Sightline does not know who watched whose recordings."
	case !row.Enabled:
		st.State, st.Sentence = AuditOff, "Not followed any more. What was read stays here."
	case row.Working || !row.NextAt.After(now):
		st.State, st.Sentence = AuditReading, "Is being read."
	case row.Waiting == waitBlocked || row.Waiting == waitBudget:
		st.State, st.Sentence = AuditWaiting, row.Message
	case row.Waiting == waitDoubt:
		st.State, st.Sentence = AuditFailing, fmt.Sprintf("%s It worked before, so it is asked once more at %s.", row.Message, next)
	case row.Waiting == waitStuck:
		st.State, st.Sentence = AuditFailing, fmt.Sprintf("%s It is asked again at %s.", row.Message, next)
	case row.Waiting != "":
		st.State, st.Sentence = AuditFailing, fmt.Sprintf("%s Tried %s without success; the next try is at %s.", row.Message, times(row.Failures), next)
	case row.EndedAt.IsZero() || row.EndedAt.Before(row.ReadAt):
		st.State, st.Sentence = AuditFollowing, fmt.Sprintf("There is more to read. It goes on at %s.", next)
	default:
		st.State, st.Sentence = AuditFollowing, fmt.Sprintf("Read to its end. It is asked for what is new at %s.", next)
	}
	return st, nil
}
