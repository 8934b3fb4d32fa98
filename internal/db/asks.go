package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"
)

// Ask is one question to a vendor, asked at most once.
type Ask struct {
	ID         AskID
	Org        OrgID
	Connection ConnectionID
	Kind       string // what is asked, such as "session"
	Subject    string // about what, in one canonical spelling
	Background bool   // asked by Sightline itself, not for a person who waits
	Spare      bool   // a person's, but it spends only what the reserve leaves
	// Run, if not 0 on adding it, is the open run whose next session it is about.
	Run        DetailRunID
	Actor      UserID
	Customer   CustomerID // 0 if about nobody in particular
	State      string     // queued, sending, done, failed, interrupted
	Message    string     // a sentence for a person once it ended
	ErrorKind  string     // empty unless failed
	Result     json.RawMessage
	CreatedAt  time.Time
	StartedAt  time.Time
	FinishedAt time.Time
}

// AskOutcome is how an ask ended.
type AskOutcome struct {
	State     string
	Message   string
	ErrorKind string
	Result    json.RawMessage // nil means {}
	At        time.Time
}

const askColumns = `id, org_id, connection_id, kind, subject, purpose, coalesce(actor_id, 0), coalesce(customer_id, 0),
	state, message, error_kind, result, created_at, started_at, finished_at, spare`

func scanAsk(s scanner) (Ask, error) {
	var a Ask
	var purpose, result string
	var created, started, finished sql.NullInt64
	err := s.Scan(&a.ID, &a.Org, &a.Connection, &a.Kind, &a.Subject, &purpose, &a.Actor, &a.Customer,
		&a.State, &a.Message, &a.ErrorKind, &result, &created, &started, &finished, &a.Spare)
	a.Background = purpose == "background"
	a.Result = json.RawMessage(result)
	a.CreatedAt, a.StartedAt, a.FinishedAt = timeOf(created), timeOf(started), timeOf(finished)
	return a, err
}

// AddAsk stores a queued ask and runs after in the same transaction. If the
// same is being asked on the connection already, that ask is returned and
// after is not run. A connection of another organization, or a removed one, is
// ErrNotFound, and so is a run that is not open.
func (o Org) AddAsk(ctx context.Context, a Ask, after TxFunc) (Ask, error) {
	purpose := "person"
	if a.Background {
		purpose = "background"
	}
	var out Ask
	err := o.write(ctx, func(tx *sql.Tx) error {
		_, err := one(ctx, tx, "connection", scanInt, `
			SELECT id FROM connections WHERE id = ? AND org_id = ? AND removed_at IS NULL`, a.Connection, o.id)
		if err != nil {
			return err
		}
		if a.Customer != 0 {
			if _, err := one(ctx, tx, "customer", scanInt, `
				SELECT id FROM customers WHERE id = ? AND org_id = ?`, a.Customer, o.id); err != nil {
				return err
			}
		}
		out, err = one(ctx, tx, "ask", scanAsk, `
			INSERT INTO asks (org_id, connection_id, kind, subject, purpose, actor_id, customer_id, state, created_at, spare)
			VALUES (?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?)
			ON CONFLICT (connection_id, kind, subject) WHERE state IN ('queued', 'sending') DO NOTHING
			RETURNING `+askColumns,
			o.id, a.Connection, a.Kind, a.Subject, purpose, nullID(a.Actor), nullID(a.Customer), ms(a.CreatedAt), a.Spare)
		if errors.Is(err, ErrNotFound) {
			out, err = one(ctx, tx, "open ask", scanAsk, `
				SELECT `+askColumns+` FROM asks
				WHERE connection_id = ? AND org_id = ? AND kind = ? AND subject = ? AND state IN ('queued', 'sending')`,
				a.Connection, o.id, a.Kind, a.Subject)
			after = nil
		}
		if err == nil && a.Run != 0 {
			err = must(exec(ctx, tx, "run", `
				UPDATE detail_runs SET ask_id = ? WHERE id = ? AND org_id = ? AND connection_id = ? AND state = 'open'`, out.ID, a.Run, o.id, a.Connection))
		}
		if err != nil || after == nil {
			return err
		}
		return after(ctx, tx, int64(out.ID))
	})
	return out, err
}

// Ask finds an ask.
func (o Org) Ask(ctx context.Context, id AskID) (Ask, error) {
	return one(ctx, o.db.r, "ask", scanAsk, `
		SELECT `+askColumns+` FROM asks WHERE id = ? AND org_id = ?`, id, o.id)
}

// LatestAsk finds the newest ask of a kind about a subject.
func (o Org) LatestAsk(ctx context.Context, connection ConnectionID, kind, subject string) (Ask, error) {
	return one(ctx, o.db.r, "ask", scanAsk, `
		SELECT `+askColumns+` FROM asks
		WHERE connection_id = ? AND kind = ? AND subject = ? AND org_id = ?
		ORDER BY id DESC LIMIT 1`, connection, kind, subject, o.id)
}

// OpenAsks lists what is being asked now, newest first, at most limit.
func (o Org) OpenAsks(ctx context.Context, limit int) ([]Ask, error) {
	return list(ctx, o.db.r, "open asks", scanAsk, `
		SELECT `+askColumns+` FROM asks
		WHERE org_id = ? AND state IN ('queued', 'sending')
		ORDER BY id DESC LIMIT ?`, o.id, limit)
}

// StartAsk moves a queued ask to sending, which must be stored before the call
// leaves. An ask that is not queued any more is ErrNotFound: someone else has
// it, or had it.
func (o Org) StartAsk(ctx context.Context, id AskID, now time.Time) (Ask, error) {
	return one(ctx, o.db.w, "ask", scanAsk, `
		UPDATE asks SET state = 'sending', started_at = ?
		WHERE id = ? AND org_id = ? AND state = 'queued'
		RETURNING `+askColumns, ms(now), id, o.id)
}

// EndAsk stores how a sending ask ended; one that has ended already is
// ErrNotFound.
func (o Org) EndAsk(ctx context.Context, id AskID, end AskOutcome) error {
	if end.Result == nil {
		end.Result = json.RawMessage("{}")
	}
	return must(exec(ctx, o.db.w, "ask", `
		UPDATE asks SET state = ?, message = ?, error_kind = ?, result = ?, finished_at = ?
		WHERE id = ? AND org_id = ? AND state = 'sending'`,
		end.State, end.Message, end.ErrorKind, string(end.Result), ms(end.At), id, o.id))
}

// InterruptAsksUnscoped ends every ask that a crash left in sending. Call it
// only while nothing sends.
func (d *DB) InterruptAsksUnscoped(ctx context.Context, message string, now time.Time) (int64, error) {
	return exec(ctx, d.w, "asks", `
		UPDATE asks SET state = 'interrupted', message = ?, finished_at = ?
		WHERE state IN ('queued', 'sending') AND state = 'sending'`, message, ms(now)) // the first condition names the index
}

// QueuedAsksUnscoped lists every ask that waits for a job, oldest first, at
// most limit, after the given id.
func (d *DB) QueuedAsksUnscoped(ctx context.Context, after AskID, limit int) ([]Ask, error) {
	return list(ctx, d.r, "queued asks", scanAsk, `
		SELECT `+askColumns+` FROM asks
		WHERE state IN ('queued', 'sending') AND state = 'queued' AND id > ?
		ORDER BY id LIMIT ?`, after, limit)
}
