package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Call is one attempt to reach a vendor, a row of the ledger.
type Call struct {
	ID         CallID
	Connection ConnectionID
	Vendor     string
	Operation  string // the contract's name of what was asked
	Attempt    int    // from 1
	Counts     bool   // it took one of the day's allowance
	Background bool   // nobody waited for it
	Spare      bool   // on beginning it: a person's, but it leaves the reserve alone
	Actor      UserID
	Customer   CustomerID
	// With, on beginning it, are the connections whose calls the vendor counts
	// together with this one's.
	With      []ConnectionID
	State     CallState
	Status    int    // HTTP status, 0 without an answer
	ErrorKind string // empty unless State is CallFailed
	Says      string // the vendor's own words; hostile text
	StartedAt time.Time
	Duration  time.Duration // 0 until it has ended
	Bytes     int64
	// ActorName and ActorEmail are filled on reading, like Named.
	ActorName, ActorEmail string
	Named
}

// CallState is how far a call is.
type CallState string

// The states of a call.
const (
	CallSending CallState = "sending" // written before it left
	CallOK      CallState = "ok"
	CallFailed  CallState = "failed"
	CallUnknown CallState = "unknown" // Sightline ended before it knew
)

// Why a call was refused.
const (
	RefusedSpent   = "spent"   // the day's allowance is used up
	RefusedReserve = "reserve" // the rest is kept for people
	RefusedSpare   = "spare"   // the rest is kept for questions that people ask one by one
	RefusedShare   = "share"   // background work has had its share of the day
	RefusedBlocked = "blocked" // the vendor said to wait
	RefusedRemoved = "removed" // the connection was removed
)

// CallRefused is the error of a call that our own ledger did not let out.
// Nothing was sent and nothing was written.
type CallRefused struct {
	Why    string
	Budget Budget // as it was at At
	At     time.Time
	// Until is when calls are let out again; zero for a removed connection.
	Until time.Time
}

// Error says why, for the log.
func (e *CallRefused) Error() string {
	return fmt.Sprintf("call refused by the ledger of connection %d: %s (%d of %d spent, reserve %d)",
		e.Budget.Connection, e.Why, e.Budget.Spent+e.Budget.Others, e.Budget.Allowance, e.Budget.Reserve)
}

// BeginCall writes a call into the ledger before it is sent. A call that
// counts takes one of the day's allowance in the same transaction; if there is
// none left for its purpose, or the connection is blocked or removed, the error
// is a *CallRefused. blockable says that a call that does not count is held
// back by a block too.
func (o Org) BeginCall(ctx context.Context, c Call, blockable bool) (CallID, error) {
	var id CallID
	err := o.write(ctx, func(tx *sql.Tx) error {
		ok, err := o.admit(ctx, tx, c, blockable)
		if err != nil {
			return err
		}
		if !ok {
			return o.refusal(ctx, tx, c)
		}
		purpose := "person"
		if c.Background {
			purpose = "background"
		}
		n, err := one(ctx, tx, "call", scanInt, `
			INSERT INTO calls (org_id, connection_id, vendor, operation, attempt, counts, purpose, actor_id, customer_id, state, started_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'sending', ?) RETURNING id`,
			o.id, c.Connection, c.Vendor, c.Operation, c.Attempt, c.Counts, purpose, nullID(c.Actor), nullID(c.Customer), ms(c.StartedAt))
		id = CallID(n)
		if err != nil {
			return err
		}
		return o.countCall(ctx, tx, c, 1)
	})
	return id, err
}

// countCall keeps the ledger's counters by hour; n is 1, or -1 for a call that
// is given back.
func (o Org) countCall(ctx context.Context, tx *sql.Tx, c Call, n int) error {
	people, background, uncounted := 0, 0, 0
	switch {
	case !c.Counts:
		uncounted = n
	case c.Background:
		background = n
	default:
		people = n
	}
	_, err := exec(ctx, tx, "call hour", `
		INSERT INTO call_hours AS h (connection_id, hour, org_id, people, background, uncounted) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (connection_id, hour) DO UPDATE SET people = h.people + excluded.people,
			background = h.background + excluded.background, uncounted = h.uncounted + excluded.uncounted`,
		c.Connection, hourOf(c.StartedAt), o.id, people, background, uncounted)
	return err
}

// admit decides in one transaction whether a call may leave, and takes it from
// the day's allowance if it counts.
func (o Org) admit(ctx context.Context, tx *sql.Tx, c Call, blockable bool) (bool, error) {
	if !c.Counts {
		n, err := one(ctx, tx, "connection", scanInt, `
			SELECT EXISTS (SELECT 1 FROM connections
				WHERE id = ? AND org_id = ? AND removed_at IS NULL
					AND (? = 0 OR blocked_until IS NULL OR blocked_until <= ?))`,
			c.Connection, o.id, blockable, ms(c.StartedAt))
		return n == 1, err
	}
	others, err := o.spentBy(ctx, tx, c.With, c.StartedAt)
	if err != nil {
		return false, err
	}
	n, err := exec(ctx, tx, "budget", `
		INSERT INTO budget_days AS b (connection_id, day, org_id, spent, background)
		SELECT c.id, ?1, c.org_id, 1, ?5 FROM connections c
		WHERE c.id = ?2 AND c.org_id = ?3 AND c.removed_at IS NULL
			AND (c.blocked_until IS NULL OR c.blocked_until <= ?4)
			AND (c.allowance = 0 OR c.allowance - ?6 * c.reserve > ?7)
		ON CONFLICT (connection_id, day) DO UPDATE SET spent = b.spent + 1, background = b.background + ?5
		WHERE EXISTS (SELECT 1 FROM connections c WHERE c.id = b.connection_id
			AND (c.allowance = 0 OR b.spent + ?7 < c.allowance - ?6 * c.reserve)
			AND (?5 = 0 OR c.share = 0 OR b.background < c.share))`,
		dayOf(c.StartedAt), c.Connection, o.id, ms(c.StartedAt), c.Background, c.Background || c.Spare, others)
	return n == 1, err
}

// refusal finds out why admit said no; it reads in the same transaction, so
// that nothing can have changed in between.
func (o Org) refusal(ctx context.Context, tx *sql.Tx, c Call) error {
	conn, err := o.connection(ctx, tx, c.Connection)
	if err != nil {
		return err
	}
	b, err := one(ctx, tx, "budget", scanBudget, budgetSelect+` AND c.id = ?`, dayOf(c.StartedAt), o.id, c.Connection)
	if err != nil {
		return err
	}
	if b.Others, err = o.spentBy(ctx, tx, c.With, c.StartedAt); err != nil {
		return err
	}
	spent := b.Spent + b.Others
	r := &CallRefused{Budget: b, At: c.StartedAt, Until: time.Unix((dayOf(c.StartedAt)+1)*24*60*60, 0).UTC()}
	switch {
	case !conn.RemovedAt.IsZero():
		r.Why, r.Until = RefusedRemoved, time.Time{}
	case conn.BlockedUntil.After(c.StartedAt):
		r.Why, r.Until = RefusedBlocked, conn.BlockedUntil
	case c.Background && b.Share > 0 && b.Background >= b.Share && (b.Allowance == 0 || spent < b.Allowance):
		r.Why = RefusedShare
	case spent < b.Allowance && !c.Background:
		r.Why = RefusedSpare
	case spent < b.Allowance:
		r.Why = RefusedReserve
	default:
		r.Why = RefusedSpent
	}
	return r
}

// CallOutcome is how a call ended.
type CallOutcome struct {
	State     CallState // CallOK or CallFailed
	Status    int
	ErrorKind string
	Says      string
	Duration  time.Duration
	Bytes     int64
	// Sent is false only if nothing left this machine: then a counted call is
	// given back.
	Sent bool
	// BlockUntil, if not zero, holds back the connection's calls until then.
	BlockUntil time.Time
	// BlockCounted does the same if BlockUntil is zero and the call counts.
	BlockCounted time.Time
}

// EndCall writes how a call ended. A call that has ended already is
// ErrNotFound, and nothing is given back twice.
func (o Org) EndCall(ctx context.Context, id CallID, out CallOutcome) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		c, err := one(ctx, tx, "call", func(s scanner) (c Call, err error) {
			var started sql.NullInt64
			err = s.Scan(&c.Connection, &c.Counts, &c.Background, &started)
			c.StartedAt = timeOf(started)
			return c, err
		}, `
			UPDATE calls SET state = ?, status = ?, error_kind = ?, says = ?, duration_ms = ?, bytes = ?
			WHERE id = ? AND org_id = ? AND state = 'sending'
			RETURNING connection_id, counts, purpose = 'background', started_at`,
			out.State, out.Status, out.ErrorKind, out.Says, out.Duration.Milliseconds(), out.Bytes, id, o.id)
		if err != nil {
			return err
		}
		if c.Counts && !out.Sent {
			if _, err := exec(ctx, tx, "budget", `
				UPDATE budget_days SET spent = spent - 1, background = background - ?
				WHERE connection_id = ? AND day = ? AND org_id = ? AND spent > 0`,
				c.Background, c.Connection, dayOf(c.StartedAt), o.id); err != nil {
				return err
			}
			if err := o.countCall(ctx, tx, c, -1); err != nil {
				return err
			}
		}
		until := out.BlockUntil
		if until.IsZero() && c.Counts {
			until = out.BlockCounted
		}
		if until.IsZero() {
			return nil
		}
		// A later block is not shortened by an answer that was on its way before,
		// and what was said to credentials that are gone holds nothing back.
		_, err = exec(ctx, tx, "connection", `
			UPDATE connections SET blocked_until = ?
			WHERE id = ? AND org_id = ? AND removed_at IS NULL AND (blocked_until IS NULL OR blocked_until < ?)
				AND (rotated_at IS NULL OR rotated_at <= ?)`,
			ms(until), c.Connection, o.id, ms(until), ms(c.StartedAt))
		return err
	})
}

// SettleCallsUnscoped marks the calls that were being sent when Sightline last
// ended as unknown: they may have reached the vendor, so they stay spent. Run
// it before anything can send.
func (d *DB) SettleCallsUnscoped(ctx context.Context) (int64, error) {
	return exec(ctx, d.w, "calls", `UPDATE calls SET state = 'unknown' WHERE state = 'sending'`)
}

func scanCall(s scanner) (Call, error) {
	var c Call
	var purpose string
	var actor, customer, started, took, bytes sql.NullInt64
	err := s.Scan(&c.ID, &c.Connection, &c.Vendor, &c.Operation, &c.Attempt, &c.Counts, &purpose, &actor, &customer,
		&c.State, &c.Status, &c.ErrorKind, &c.Says, &started, &took, &bytes, &c.ActorName, &c.ActorEmail,
		&c.CustomerName, &c.CustomerEmail, &c.ConnectionName)
	c.Background, c.Actor, c.Customer = purpose == "background", UserID(actor.Int64), CustomerID(customer.Int64)
	c.StartedAt, c.Duration, c.Bytes = timeOf(started), time.Duration(took.Int64)*time.Millisecond, bytes.Int64
	return c, err
}

func callsQuery(org OrgID, f HistoryFilter) (string, []any) {
	where, args := f.where(org, "started_at")
	// The page is cut before names are joined, so that only its rows are.
	return `
		SELECT h.id, h.connection_id, h.vendor, h.operation, h.attempt, h.counts, h.purpose, h.actor_id, h.customer_id,
			h.state, h.status, h.error_kind, h.says, h.started_at, h.duration_ms, h.bytes,
			coalesce(u.name, ''), coalesce(u.email, ''), ` + namedColumns + `
		FROM (SELECT id, org_id, connection_id, vendor, operation, attempt, counts, purpose, actor_id, customer_id,
				state, status, error_kind, says, started_at, duration_ms, bytes
			FROM calls WHERE ` + where + ` ORDER BY started_at DESC, id DESC LIMIT ?) h
		LEFT JOIN users u ON u.id = h.actor_id` + namedJoins + `
		ORDER BY h.started_at DESC, h.id DESC`, append(args, f.limit())
}

// Calls returns ledger rows newest first; the filter's Kind plays no part.
func (o Org) Calls(ctx context.Context, f HistoryFilter) ([]Call, error) {
	q, args := callsQuery(o.id, f)
	return list(ctx, o.db.r, "calls", scanCall, q, args...)
}

// IsRefused returns the refusal in err, if our own ledger said no.
func IsRefused(err error) (*CallRefused, bool) {
	var r *CallRefused
	ok := errors.As(err, &r)
	return r, ok
}
