package db

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
)

// AlertHook is where LogRocket sends a connection's issue alerts to.
type AlertHook struct {
	Org        OrgID
	Connection ConnectionID
	CreatedAt  time.Time
}

// Alert is an issue alert that LogRocket sent. Its texts are as they came.
type Alert struct {
	ID         AlertID
	Connection ConnectionID
	ReceivedAt time.Time
	// Body is the beginning of what was sent, as text.
	Body string
	// Deliveries is how often the very same was sent.
	Deliveries int
	// What was read out of it; empty where there was nothing.
	Title, IssueType, Label, Description, URL, Screenshot, Sessions, Rate string
	FirstSeen                                                             time.Time
}

// AlertHookUnscoped finds the connection in use whose address has this hash.
// There the organization is not known yet: the address alone says whose it is.
// None is ErrNotFound.
func (d *DB) AlertHookUnscoped(ctx context.Context, hash []byte) (AlertHook, error) {
	return one(ctx, d.r, "alert address", scanAlertHook, alertHookQuery, hash)
}

const alertHookQuery = `SELECT a.org_id, a.connection_id, a.created_at FROM alert_hooks a JOIN connections c ON c.id = a.connection_id
	WHERE a.token_hash = ? AND c.removed_at IS NULL`

func scanAlertHook(s scanner) (AlertHook, error) {
	var h AlertHook
	var at sql.NullInt64
	err := s.Scan(&h.Org, &h.Connection, &at)
	h.CreatedAt = timeOf(at)
	return h, err
}

// AlertHook reads whether a connection has an address for alerts; none is
// ErrNotFound.
func (o Org) AlertHook(ctx context.Context, id ConnectionID) (AlertHook, error) {
	return one(ctx, o.kept(), "alert address", scanAlertHook, `
		SELECT org_id, connection_id, created_at FROM alert_hooks WHERE connection_id = ? AND org_id = ?`, id, o.id)
}

// SetAlertHook gives a LogRocket connection in use an address with this hash in
// place of the one it had; nil takes that away.
func (o Org) SetAlertHook(ctx context.Context, id ConnectionID, hash []byte, e HistoryEntry) error {
	return o.changeConnection(ctx, e, id, func(tx *sql.Tx) (int64, error) {
		if hash == nil {
			return exec(ctx, tx, "alert address", `DELETE FROM alert_hooks WHERE connection_id = ? AND org_id = ?`, id, o.id)
		}
		return exec(ctx, tx, "alert address", `
			INSERT INTO alert_hooks (connection_id, org_id, token_hash, created_at)
			SELECT id, org_id, ?1, ?2 FROM connections WHERE id = ?3 AND org_id = ?4 AND vendor = 'logrocket' AND removed_at IS NULL
			ON CONFLICT (connection_id) DO UPDATE SET token_hash = excluded.token_hash, created_at = excluded.created_at`,
			hash, ms(e.At), id, o.id)
	})
}

// PutAlert stores an alert of a connection, or counts the delivery of one that
// is here already: hash is of all that was sent. Of those of the connection the
// newest keep stay.
func (o Org) PutAlert(ctx context.Context, a Alert, hash []byte, keep int) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, "alert", `
			UPDATE alerts SET deliveries = deliveries + 1 WHERE connection_id = ? AND body_hash = ? AND org_id = ?`, a.Connection, hash, o.id)
		if err != nil || n > 0 {
			return err
		}
		if err := must(exec(ctx, tx, "alert", `
			INSERT INTO alerts (org_id, connection_id, received_at, body_hash, body, title, issue_type, label, description, url, screenshot,
				sessions, rate, first_seen_at)
			SELECT org_id, id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM connections WHERE id = ? AND org_id = ?`,
			ms(a.ReceivedAt), hash, a.Body, a.Title, a.IssueType, a.Label, a.Description, a.URL, a.Screenshot,
			a.Sessions, a.Rate, ms(a.FirstSeen), a.Connection, o.id)); err != nil {
			return err
		}
		last, err := one(ctx, tx, "oldest alert", scanInt, oldestAlertQuery, a.Connection, o.id, keep)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err == nil {
			_, err = exec(ctx, tx, "oldest alert", `DELETE FROM alerts WHERE id = ? AND org_id = ?`, last, o.id)
		}
		return err
	})
}

const oldestAlertQuery = `SELECT id FROM alerts WHERE connection_id = ? AND org_id = ? ORDER BY received_at DESC, id DESC LIMIT 1 OFFSET ?`

func scanAlert(s scanner) (Alert, error) {
	var a Alert
	var received, first sql.NullInt64
	err := s.Scan(&a.ID, &a.Connection, &received, &a.Body, &a.Deliveries, &a.Title, &a.IssueType, &a.Label, &a.Description,
		&a.URL, &a.Screenshot, &a.Sessions, &a.Rate, &first)
	a.ReceivedAt, a.FirstSeen = timeOf(received), timeOf(first)
	return a, err
}

func alertsQuery(org OrgID, conn ConnectionID, after Moment, limit int) (string, []any) {
	var b strings.Builder
	b.WriteString(`SELECT id, connection_id, received_at, body, deliveries, title, issue_type, label, description, url, screenshot,
		sessions, rate, first_seen_at FROM alerts WHERE org_id = ?`)
	args := []any{org}
	if conn != 0 {
		b.WriteString(` AND connection_id = ?`)
		args = append(args, conn)
	}
	if !after.At.IsZero() {
		at, id := after.args()
		b.WriteString(` AND (received_at, id) < (?, ?)`)
		args = append(args, at, id)
	}
	b.WriteString(` ORDER BY received_at DESC, id DESC LIMIT ?`)
	return b.String(), append(args, min(max(limit, 1), 500))
}

// Alerts lists alerts newest first, of one connection unless that is 0, from
// after a place on.
func (o Org) Alerts(ctx context.Context, conn ConnectionID, after Moment, limit int) ([]Alert, error) {
	q, args := alertsQuery(o.id, conn, after, limit)
	return list(ctx, o.db.r, "alerts", scanAlert, q, args...)
}
