package db

import (
	"context"
	"database/sql"
	"time"
)

// AuditFollow is how a connection's audit log is followed, and how that goes.
type AuditFollow struct {
	Connection ConnectionID
	Enabled    bool
	// Cursor asks for what is new in the log of App ("organization/app"); both
	// are empty before the first page. Pages is how many were stored with it.
	App, Cursor string
	Pages       int64
	// Entries is how many different ones came.
	Entries int64
	// NextAt is when it is asked next; Working says that a turn is under way.
	NextAt  time.Time
	Working bool
	// Failures counts those in a row; Waiting says in a word why nothing is asked
	// until NextAt, Message the same to a person (it may quote the vendor).
	Failures         int
	Waiting, Message string
	// Since is when following was first switched on, ReadAt when the last page
	// came, EndedAt when the end of the log was last reached, FailedAt when a page
	// last did not come.
	Since, ReadAt, EndedAt, FailedAt time.Time
}

const auditFollowColumns = `connection_id, enabled, app, cursor, pages, entries, next_at, claimed_until IS NOT NULL,
	failures, waiting, message, since, read_at, ended_at, failed_at`

func scanAuditFollow(s scanner) (AuditFollow, error) {
	var f AuditFollow
	var next, since, read, ended, failed sql.NullInt64
	err := s.Scan(&f.Connection, &f.Enabled, &f.App, &f.Cursor, &f.Pages, &f.Entries, &next, &f.Working,
		&f.Failures, &f.Waiting, &f.Message, &since, &read, &ended, &failed)
	f.NextAt, f.Since, f.ReadAt, f.EndedAt, f.FailedAt = timeOf(next), timeOf(since), timeOf(read), timeOf(ended), timeOf(failed)
	return f, err
}

// AuditFollow returns how a connection's audit log is followed; ErrNotFound if
// nobody has ever decided about it.
func (o Org) AuditFollow(ctx context.Context, conn ConnectionID) (AuditFollow, error) {
	return one(ctx, o.kept(), "audit log", scanAuditFollow, `
		SELECT `+auditFollowColumns+` FROM audit_follows WHERE connection_id = ? AND org_id = ?`, conn, o.id)
}

// AuditFollows lists the audit logs about which somebody has decided, at most
// 1000.
func (o Org) AuditFollows(ctx context.Context) ([]AuditFollow, error) {
	return list(ctx, o.kept(), "audit logs", scanAuditFollow, `
		SELECT `+auditFollowColumns+` FROM audit_follows WHERE org_id = ? ORDER BY connection_id LIMIT 1000`, o.id)
}

// SetAuditFollow switches the following of the audit log of a LogRocket
// connection in use on or off; on makes it due at once. then runs in the same
// transaction with the connection's id.
func (o Org) SetAuditFollow(ctx context.Context, conn ConnectionID, on bool, then TxFunc, e HistoryEntry) error {
	return o.changeConnection(ctx, e, conn, func(tx *sql.Tx) (int64, error) {
		n, err := exec(ctx, tx, "audit log", `
			INSERT INTO audit_follows AS f (connection_id, org_id, enabled, since)
			SELECT id, org_id, ?1, CASE WHEN ?1 THEN ?2 END FROM connections WHERE id = ?3 AND org_id = ?4 AND vendor = 'logrocket' AND removed_at IS NULL
			ON CONFLICT (connection_id) DO UPDATE SET enabled = excluded.enabled, since = coalesce(f.since, excluded.since),
				next_at = 0, failures = 0, waiting = '', message = ''`, on, ms(e.At), conn, o.id)
		if err != nil || n == 0 || then == nil {
			return n, err
		}
		return n, then(ctx, tx, int64(conn))
	})
}

// WakeAudit makes an audit log that is followed due at once and forgets its
// failures, because what made them may have changed; one that was refused is
// followed again. ErrNotFound: it is not followed.
func (o Org) WakeAudit(ctx context.Context, conn ConnectionID, then TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, "audit log", `
			UPDATE audit_follows SET enabled = 1, next_at = 0, failures = 0, waiting = '', message = ''
			WHERE connection_id = ? AND org_id = ? AND (enabled = 1 OR waiting = '`+AuditRefused+`')`, conn, o.id)
		if err := must(n, err); err != nil || then == nil {
			return err
		}
		return then(ctx, tx, int64(conn))
	})
}

// AuditRefused is the word for an audit log that is not followed any more,
// because the vendor does not let us.
const AuditRefused = "refused"

// ClaimAudit takes a turn of reading an audit log that is due, until the given
// time unless it is given back before. ErrNotFound: it is not due, not followed
// any more, or someone has the turn. NextAt is not 0 during a turn, unless
// somebody wakes it.
func (o Org) ClaimAudit(ctx context.Context, conn ConnectionID, now, until time.Time) (AuditFollow, error) {
	return one(ctx, o.db.w, "audit log", scanAuditFollow, `
		UPDATE audit_follows SET claimed_until = ?, next_at = max(next_at, 1)
		WHERE connection_id = ? AND org_id = ? AND enabled = 1 AND next_at <= ? AND (claimed_until IS NULL OR claimed_until <= ?)
			AND EXISTS (SELECT 1 FROM connections c WHERE c.id = audit_follows.connection_id AND c.removed_at IS NULL)
		RETURNING `+auditFollowColumns, ms(until), conn, o.id, ms(now), ms(now))
}

// EndAudit gives a turn back. With Waiting AuditRefused following is switched
// off. Of a log that a member woke or switched meanwhile (next_at 0), how the
// turn ended says nothing any more.
func (o Org) EndAudit(ctx context.Context, conn ConnectionID, claimed AuditFollow, end SyncOutcome) (AuditFollow, error) {
	return one(ctx, o.db.w, "audit log", scanAuditFollow, `
		UPDATE audit_follows SET claimed_until = NULL, next_at = CASE WHEN next_at = ?1 THEN ?2 ELSE next_at END,
			failures = CASE WHEN next_at = ?1 THEN ?3 ELSE failures END, waiting = CASE WHEN next_at = ?1 THEN ?4 ELSE waiting END,
			message = CASE WHEN next_at = ?1 THEN ?5 ELSE message END, failed_at = coalesce(?6, failed_at),
			enabled = CASE WHEN next_at = ?1 AND ?4 = '`+AuditRefused+`' THEN 0 ELSE enabled END
		WHERE connection_id = ?7 AND org_id = ?8
		RETURNING `+auditFollowColumns,
		claimed.NextAt.UnixMilli(), ms(end.NextAt), end.Failures, end.Waiting, end.Message, ms(end.FailedAt), conn, o.id)
}

// SettleAuditsUnscoped takes back every turn that a crash left taken, and
// returns the audit logs that are followed, by connection, at most limit, after
// the given one. Call it only while nothing works.
func (d *DB) SettleAuditsUnscoped(ctx context.Context, after ConnectionID, limit int) ([]SyncTurn, error) {
	if _, err := exec(ctx, d.w, "audit logs", `UPDATE audit_follows SET claimed_until = NULL WHERE connection_id > ? AND claimed_until IS NOT NULL`, after); err != nil {
		return nil, err
	}
	return list(ctx, d.r, "audit logs", func(s scanner) (t SyncTurn, err error) {
		var next sql.NullInt64
		err = s.Scan(&t.Org, &t.Connection, &next)
		t.NextAt = timeOf(next)
		return t, err
	}, `
		SELECT f.org_id, f.connection_id, f.next_at FROM audit_follows f JOIN connections c ON c.id = f.connection_id
		WHERE f.connection_id > ? AND c.removed_at IS NULL AND f.enabled = 1
		ORDER BY f.connection_id LIMIT ?`, after, limit)
}

// AuditPlace is how an audit log goes on behind a page: App and Cursor as in
// AuditFollow. Ended says that it was the last page.
type AuditPlace struct {
	App, Cursor string
	Ended       bool
}

// NewAuditEntry is an entry with what tells it from others of its connection.
type NewAuditEntry struct {
	AuditEntry
	WhoNorm string
	Hash    []byte
}

// PutAuditPage stores a page's entries, each once, and with them where the log
// goes on, all or nothing: next is given how many of the entries were new. It
// returns how the log stands then. If another page was stored since follow was
// read, the entries are kept and the cursor stays.
func (o Org) PutAuditPage(ctx context.Context, follow AuditFollow, entries []NewAuditEntry, at time.Time, next func(fresh int64) AuditPlace) (AuditFollow, error) {
	var out AuditFollow
	err := o.write(ctx, func(tx *sql.Tx) error {
		now, err := one(ctx, tx, "audit log", scanAuditFollow, `
			SELECT `+auditFollowColumns+` FROM audit_follows WHERE connection_id = ? AND org_id = ?`, follow.Connection, o.id)
		if err != nil {
			return err
		}
		var fresh int64
		for _, e := range entries {
			n, err := exec(ctx, tx, "audit entry", `
				INSERT INTO audit_entries (org_id, connection_id, hash, at, timed, who, who_norm, action, description, recording_id, session_id)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (connection_id, hash) DO NOTHING`,
				o.id, follow.Connection, e.Hash, ms(e.At), e.Timed, e.Who, e.WhoNorm, e.Action, e.Description, e.RecordingID, e.SessionID)
			if err != nil {
				return err
			}
			fresh += n
		}
		p := next(fresh)
		if now.Pages == follow.Pages {
			now.App, now.Cursor, now.Pages = p.App, p.Cursor, now.Pages+1
		}
		if p.Ended {
			now.EndedAt = at
		}
		out, err = one(ctx, tx, "audit log", scanAuditFollow, `
			UPDATE audit_follows SET app = ?, cursor = ?, pages = ?, entries = entries + ?, read_at = ?, ended_at = ?,
				failures = 0, waiting = '', message = ''
			WHERE connection_id = ? AND org_id = ?
			RETURNING `+auditFollowColumns, now.App, now.Cursor, now.Pages, fresh, ms(at), ms(now.EndedAt), follow.Connection, o.id)
		return err
	})
	return out, err
}
