package db

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
)

// Connection is one set of vendor credentials of an organization, without the
// credentials: those are sealed in a table of their own.
type Connection struct {
	ID     ConnectionID
	Vendor string // "raygun", "raygun_v3" or "logrocket"
	Name   string // unique among the organization's connections that are not removed
	// OrgSlug and AppSlug are LogRocket's name for the app. With "raygun_v3" they
	// are the application's name and identifier, with "raygun" empty.
	OrgSlug, AppSlug string
	// Dialect is what the client found out about the server, JSON.
	Dialect string
	// Allowance is how many counted calls a UTC day has; 0 is no limit. Reserve
	// is how many of them background work leaves to people.
	Allowance, Reserve int
	// Share is how many of them background work may make at most, 0 for all
	// that the reserve leaves.
	Share int
	// BlockedUntil is when the vendor takes calls again; zero if it takes them.
	BlockedUntil time.Time
	// CheckedAt is when the connection was last tested; zero for never.
	CheckedAt    time.Time
	CheckOK      bool
	CheckMessage string
	CreatedBy    UserID
	CreatedAt    time.Time
	RotatedAt    time.Time // zero if the credentials are the first ones
	RemovedAt    time.Time // zero while it is in use
}

// SealFunc seals a connection's secrets, by field, once its id is known: the id
// is part of the place that a secret is bound to.
type SealFunc func(ConnectionID) (map[string][]byte, error)

const connectionColumns = `id, vendor, name, org_slug, app_slug, dialect, allowance, reserve, share,
	blocked_until, checked_at, check_ok, check_message, created_by, created_at, rotated_at, removed_at`

func scanConnection(s scanner) (Connection, error) {
	var c Connection
	var blocked, checked, by, created, rotated, removed sql.NullInt64
	err := s.Scan(&c.ID, &c.Vendor, &c.Name, &c.OrgSlug, &c.AppSlug, &c.Dialect, &c.Allowance, &c.Reserve, &c.Share,
		&blocked, &checked, &c.CheckOK, &c.CheckMessage, &by, &created, &rotated, &removed)
	c.BlockedUntil, c.CheckedAt, c.CreatedBy = timeOf(blocked), timeOf(checked), UserID(by.Int64)
	c.CreatedAt, c.RotatedAt, c.RemovedAt = timeOf(created), timeOf(rotated), timeOf(removed)
	return c, err
}

const allConnectionsQuery = `SELECT ` + connectionColumns + ` FROM connections
	WHERE org_id = ? ORDER BY id LIMIT 1000`

// Connections lists the connections in use by name, at most 200 of those of
// [Org.AllConnections]: pages need both, and one question is quicker than two.
func (o Org) Connections(ctx context.Context) ([]Connection, error) {
	all, err := o.AllConnections(ctx)
	if err != nil {
		return nil, err
	}
	used := slices.DeleteFunc(all, func(c Connection) bool { return !c.RemovedAt.IsZero() })
	sortBy(used, func(a, b Connection) int { return strings.Compare(a.Name, b.Name) })
	return used[:min(len(used), 200)], nil
}

// AllConnections lists every connection there ever was, by id, at most 1000:
// the mirror and the history name removed ones too.
func (o Org) AllConnections(ctx context.Context) ([]Connection, error) {
	return list(ctx, o.kept(), "connections", scanConnection, allConnectionsQuery, o.id)
}

// Connection finds a connection, removed ones included.
func (o Org) Connection(ctx context.Context, id ConnectionID) (Connection, error) {
	all, err := o.AllConnections(ctx)
	if err != nil {
		return Connection{}, err
	}
	if i := slices.IndexFunc(all, func(c Connection) bool { return c.ID == id }); i >= 0 {
		return all[i], nil
	}
	return o.connection(ctx, o.kept(), id)
}

func (o Org) connection(ctx context.Context, q querier, id ConnectionID) (Connection, error) {
	return one(ctx, q, "connection", scanConnection, `
		SELECT `+connectionColumns+` FROM connections WHERE id = ? AND org_id = ?`, id, o.id)
}

// AddConnection stores a connection with its secrets and the history entry
// that tells of it, all or nothing. ErrExists if the name is taken.
func (o Org) AddConnection(ctx context.Context, c Connection, seal SealFunc, e HistoryEntry) (Connection, error) {
	var out Connection
	err := o.write(ctx, func(tx *sql.Tx) error {
		var err error
		out, err = one(ctx, tx, "connection", scanConnection, `
			INSERT INTO connections (org_id, vendor, name, org_slug, app_slug, allowance, reserve, share, created_by, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			RETURNING `+connectionColumns,
			o.id, c.Vendor, c.Name, c.OrgSlug, c.AppSlug, c.Allowance, c.Reserve, c.Share, nullID(c.CreatedBy), ms(c.CreatedAt))
		if err != nil {
			return err
		}
		if err := o.putSecrets(ctx, tx, out.ID, seal, c.CreatedAt); err != nil {
			return err
		}
		e.Connection = out.ID
		return addHistory(ctx, tx, o.id, e)
	})
	return out, err
}

// putSecrets stores what seal returns; fields that it does not return stay.
func (o Org) putSecrets(ctx context.Context, tx *sql.Tx, id ConnectionID, seal SealFunc, now time.Time) error {
	sealed, err := seal(id)
	if err != nil {
		return err
	}
	for field, text := range sealed {
		if _, err := exec(ctx, tx, "connection secret", `
			INSERT INTO connection_secrets (connection_id, field, org_id, sealed, updated_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (connection_id, field) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at`,
			id, field, o.id, text, ms(now)); err != nil {
			return err
		}
	}
	return nil
}

// ConnectionSecrets returns the sealed secrets of a connection by field. A
// connection that was removed has none and is ErrNotFound.
func (o Org) ConnectionSecrets(ctx context.Context, id ConnectionID) (map[string][]byte, error) {
	type secret struct {
		field  string
		sealed []byte
	}
	rows, err := list(ctx, o.db.r, "connection secrets", func(s scanner) (x secret, err error) {
		return x, s.Scan(&x.field, &x.sealed)
	}, `
		SELECT field, sealed FROM connection_secrets
		WHERE connection_id = ? AND org_id = ?
		ORDER BY field LIMIT 20`, id, o.id)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, wrap("connection secrets", sql.ErrNoRows)
	}
	out := make(map[string][]byte, len(rows))
	for _, r := range rows {
		out[r.field] = r.sealed
	}
	return out, nil
}

// RenameConnection gives a connection in use another name. ErrExists if that
// is taken.
func (o Org) RenameConnection(ctx context.Context, id ConnectionID, name string, e HistoryEntry) error {
	return o.changeConnection(ctx, e, id, func(tx *sql.Tx) (int64, error) {
		return exec(ctx, tx, "connection", `
			UPDATE connections SET name = ? WHERE id = ? AND org_id = ? AND removed_at IS NULL`, name, id, o.id)
	})
}

// Spending is what a connection may spend a day, and on what by itself.
type Spending struct {
	// Allowance, Reserve and Share are as in Connection.
	Allowance, Reserve, Share int
	// Sync is nil to leave the mirror's keeping as it is.
	Sync *SyncSettings
}

// SetSpending changes what a connection in use may spend, and lifts a block
// that an earlier refusal of the vendor left. With Sync, then runs in the same
// transaction with the connection's id.
func (o Org) SetSpending(ctx context.Context, id ConnectionID, b Spending, then TxFunc, e HistoryEntry) error {
	return o.changeConnection(ctx, e, id, func(tx *sql.Tx) (int64, error) {
		n, err := exec(ctx, tx, "connection", `
			UPDATE connections SET allowance = ?, reserve = ?, share = ?, blocked_until = NULL
			WHERE id = ? AND org_id = ? AND removed_at IS NULL`, b.Allowance, b.Reserve, b.Share, id, o.id)
		if err != nil || n == 0 || b.Sync == nil {
			return n, err
		}
		return n, o.putSync(ctx, tx, id, *b.Sync, then)
	})
}

// newSecrets is what new secrets change of a connection's row: the slugs and
// when that was are its arguments.
const newSecrets = `
	org_slug = CASE vendor WHEN 'raygun_v3' THEN org_slug ELSE ? END,
	app_slug = CASE vendor WHEN 'raygun_v3' THEN app_slug ELSE ? END,
	rotated_at = ?, dialect = '{}', blocked_until = NULL, checked_at = NULL, check_ok = 0, check_message = ''`

// RotateConnection replaces secrets of a connection in use, those that seal
// returns, and LogRocket's slugs; a "raygun_v3" connection keeps its
// application. What was found out with the old ones, the last test and a block
// among it, is forgotten.
func (o Org) RotateConnection(ctx context.Context, id ConnectionID, orgSlug, appSlug string, seal SealFunc, e HistoryEntry) error {
	return o.changeConnection(ctx, e, id, func(tx *sql.Tx) (int64, error) {
		n, err := exec(ctx, tx, "connection", `
			UPDATE connections SET`+newSecrets+`
			WHERE id = ? AND org_id = ? AND removed_at IS NULL`, orgSlug, appSlug, ms(e.At), id, o.id)
		if err != nil || n == 0 {
			return n, err
		}
		return n, o.putSecrets(ctx, tx, id, seal, e.At)
	})
}

// ReconnectConnection puts a connection that was removed to use again, with
// name, LogRocket's slugs and the secrets that seal returns; like
// RotateConnection otherwise. ErrExists if the name is taken, ErrNotFound for
// one that is in use.
func (o Org) ReconnectConnection(ctx context.Context, id ConnectionID, name, orgSlug, appSlug string, seal SealFunc, e HistoryEntry) error {
	return o.changeConnection(ctx, e, id, func(tx *sql.Tx) (int64, error) {
		n, err := exec(ctx, tx, "connection", `UPDATE connections SET removed_at = NULL, name = ?,`+newSecrets+`
			WHERE id = ? AND org_id = ? AND removed_at IS NOT NULL`, name, orgSlug, appSlug, ms(e.At), id, o.id)
		if err != nil || n == 0 {
			return n, err
		}
		return n, o.putSecrets(ctx, tx, id, seal, e.At)
	})
}

// SetApplication says which application a "raygun_v3" connection in use is for,
// and forgets its last test. One that has an application already is ErrNotFound:
// its mirror is of that one.
func (o Org) SetApplication(ctx context.Context, id ConnectionID, name, application string, e HistoryEntry) error {
	return o.changeConnection(ctx, e, id, func(tx *sql.Tx) (int64, error) {
		return exec(ctx, tx, "connection", `
			UPDATE connections SET org_slug = ?, app_slug = ?, checked_at = NULL, check_ok = 0, check_message = ''
			WHERE id = ? AND org_id = ? AND vendor = 'raygun_v3' AND app_slug = '' AND removed_at IS NULL`, name, application, id, o.id)
	})
}

// RemoveConnection takes a connection out of use and erases its secrets. What
// was mirrored, the ledger and the history stay.
func (o Org) RemoveConnection(ctx context.Context, id ConnectionID, e HistoryEntry) error {
	return o.changeConnection(ctx, e, id, func(tx *sql.Tx) (int64, error) {
		n, err := exec(ctx, tx, "connection", `
			UPDATE connections SET removed_at = ?, blocked_until = NULL
			WHERE id = ? AND org_id = ? AND removed_at IS NULL`, ms(e.At), id, o.id)
		if err != nil || n == 0 {
			return n, err
		}
		if _, err := exec(ctx, tx, "connection secrets", `
			DELETE FROM connection_secrets WHERE connection_id = ? AND org_id = ?`, id, o.id); err != nil {
			return 0, err
		}
		_, err = exec(ctx, tx, "alert address", `DELETE FROM alert_hooks WHERE connection_id = ? AND org_id = ?`, id, o.id)
		return n, err
	})
}

// changeConnection runs a change together with its history entry. A change
// that touches no row is ErrNotFound.
func (o Org) changeConnection(ctx context.Context, e HistoryEntry, id ConnectionID, change func(*sql.Tx) (int64, error)) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(change(tx)); err != nil {
			return wrap("connection", err)
		}
		e.Connection = id
		return addHistory(ctx, tx, o.id, e)
	})
}

// SetConnectionDialect stores what the client found out about the server.
func (o Org) SetConnectionDialect(ctx context.Context, id ConnectionID, dialect string) error {
	return must(exec(ctx, o.db.w, "connection", `
		UPDATE connections SET dialect = ? WHERE id = ? AND org_id = ?`, dialect, id, o.id))
}

// SetConnectionCheck stores how a test of the connection went.
func (o Org) SetConnectionCheck(ctx context.Context, id ConnectionID, at time.Time, ok bool, message string) error {
	return must(exec(ctx, o.db.w, "connection", `
		UPDATE connections SET checked_at = ?, check_ok = ?, check_message = ?
		WHERE id = ? AND org_id = ? AND removed_at IS NULL`, ms(at), ok, message, id, o.id))
}
