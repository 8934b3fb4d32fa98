package db

import (
	"context"
	"database/sql"
	"time"
)

// ExportLimits bound what following a connection's exports takes.
type ExportLimits struct {
	// MaxFile and Quota are bytes: of one file, and of all that are kept.
	MaxFile, Quota int64
	// KeepDays is how long a file is kept after it was read; 0 is for ever.
	KeepDays int
	// KeepRecordings is for how many days after they began recordings are kept; 0
	// is for ever.
	KeepRecordings int
	// Rate is bytes a second; 0 is as they come.
	Rate int64
}

// ExportFollow is how a connection's exports are followed, and how that goes.
type ExportFollow struct {
	Connection ConnectionID
	Enabled    bool
	// From is from when on exports are wanted.
	From time.Time
	// Cursor asks for what is new in the list of App ("organization/app"); both
	// are empty before the first page. Pages is how many were stored with it.
	App, Cursor string
	Pages       int64
	// NextAt is when it is worked on next; Working says that a turn is under way.
	NextAt  time.Time
	Working bool
	// Failures counts those in a row; Waiting says in a word why nothing is asked
	// until NextAt, Message the same to a person (it may quote the vendor).
	Failures         int
	Waiting, Message string
	// Since is when following was first switched on, ListedAt when the last page
	// came, EndedAt when the end of the list was last reached, FailedAt when
	// something last failed.
	Since, ListedAt, EndedAt, FailedAt time.Time
	ExportLimits
}

const exportFollowColumns = `connection_id, enabled, from_at, app, cursor, pages, next_at, claimed_until IS NOT NULL, failures, waiting, message,
	since, listed_at, ended_at, failed_at, max_file, quota, keep_days, keep_recordings, rate`

func scanExportFollow(s scanner) (ExportFollow, error) {
	var f ExportFollow
	var from, next, since, listed, ended, failed sql.NullInt64
	err := s.Scan(&f.Connection, &f.Enabled, &from, &f.App, &f.Cursor, &f.Pages, &next, &f.Working, &f.Failures, &f.Waiting, &f.Message,
		&since, &listed, &ended, &failed, &f.MaxFile, &f.Quota, &f.KeepDays, &f.KeepRecordings, &f.Rate)
	f.From, f.NextAt, f.Since, f.ListedAt, f.EndedAt, f.FailedAt = timeOf(from), timeOf(next), timeOf(since), timeOf(listed), timeOf(ended), timeOf(failed)
	return f, err
}

// ExportFollow returns how a connection's exports are followed; ErrNotFound if
// nobody has ever decided about it.
func (o Org) ExportFollow(ctx context.Context, conn ConnectionID) (ExportFollow, error) {
	return one(ctx, o.db.r, "exports", scanExportFollow, `
		SELECT `+exportFollowColumns+` FROM export_follows WHERE connection_id = ? AND org_id = ?`, conn, o.id)
}

// ExportFollows lists the connections about whose exports somebody has decided,
// at most 1000.
func (o Org) ExportFollows(ctx context.Context) ([]ExportFollow, error) {
	return list(ctx, o.db.r, "exports", scanExportFollow, `
		SELECT `+exportFollowColumns+` FROM export_follows WHERE org_id = ? ORDER BY connection_id LIMIT 1000`, o.id)
}

// SetExportFollow stores what f says of Enabled, From and the limits for a
// LogRocket connection in use. Enabled makes it due at once. An earlier From has
// the list walked from there again. then runs in the same transaction with the
// connection's id.
func (o Org) SetExportFollow(ctx context.Context, f ExportFollow, then TxFunc, e HistoryEntry) error {
	return o.changeConnection(ctx, e, f.Connection, func(tx *sql.Tx) (int64, error) {
		n, err := exec(ctx, tx, "exports", `
			INSERT INTO export_follows AS f (connection_id, org_id, enabled, from_at, since, max_file, quota, keep_days, keep_recordings, rate)
			SELECT id, org_id, ?1, ?2, CASE WHEN ?1 THEN ?3 END, ?4, ?5, ?6, ?7, ?8 FROM connections
			WHERE id = ?9 AND org_id = ?10 AND vendor = 'logrocket' AND removed_at IS NULL
			ON CONFLICT (connection_id) DO UPDATE SET enabled = excluded.enabled, since = coalesce(f.since, excluded.since),
				cursor = CASE WHEN excluded.from_at < f.from_at THEN '' ELSE f.cursor END,
				ended_at = CASE WHEN excluded.from_at < f.from_at THEN NULL ELSE f.ended_at END,
				pages = f.pages + 1, from_at = excluded.from_at, max_file = excluded.max_file, quota = excluded.quota,
				keep_days = excluded.keep_days, keep_recordings = excluded.keep_recordings, rate = excluded.rate, next_at = 0, failures = 0, waiting = '', message = ''`,
			f.Enabled, ms(f.From), ms(e.At), f.MaxFile, f.Quota, f.KeepDays, f.KeepRecordings, f.Rate, f.Connection, o.id)
		if err != nil || n == 0 || then == nil {
			return n, err
		}
		return n, then(ctx, tx, int64(f.Connection))
	})
}

// WakeExports makes exports that are followed due at once and forgets their
// failures, because what made them may have changed. ErrNotFound: they are not
// followed.
func (o Org) WakeExports(ctx context.Context, conn ConnectionID, then TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, "exports", `
			UPDATE export_follows SET next_at = 0, failures = 0, waiting = '', message = ''
			WHERE connection_id = ? AND org_id = ? AND enabled = 1`, conn, o.id)
		if err := must(n, err); err != nil || then == nil {
			return err
		}
		return then(ctx, tx, int64(conn))
	})
}

// ClaimExports takes a turn of following exports that are due, until the given
// time unless it is given back before. ErrNotFound: they are not due, not
// followed any more, or someone has the turn. NextAt is not 0 during a turn,
// unless somebody wakes it.
func (o Org) ClaimExports(ctx context.Context, conn ConnectionID, now, until time.Time) (ExportFollow, error) {
	return one(ctx, o.db.w, "exports", scanExportFollow, `
		UPDATE export_follows SET claimed_until = ?, next_at = max(next_at, 1)
		WHERE connection_id = ? AND org_id = ? AND enabled = 1 AND next_at <= ? AND (claimed_until IS NULL OR claimed_until <= ?)
			AND EXISTS (SELECT 1 FROM connections c WHERE c.id = export_follows.connection_id AND c.removed_at IS NULL)
		RETURNING `+exportFollowColumns, ms(until), conn, o.id, ms(now), ms(now))
}

// EndExports gives a turn back. Of exports that a member woke or switched
// meanwhile (next_at 0), how the turn ended says nothing any more.
func (o Org) EndExports(ctx context.Context, conn ConnectionID, claimed ExportFollow, end SyncOutcome) (ExportFollow, error) {
	return one(ctx, o.db.w, "exports", scanExportFollow, `
		UPDATE export_follows SET claimed_until = NULL, next_at = CASE WHEN next_at = ?1 THEN ?2 ELSE next_at END,
			failures = CASE WHEN next_at = ?1 THEN ?3 ELSE failures END, waiting = CASE WHEN next_at = ?1 THEN ?4 ELSE waiting END,
			message = CASE WHEN next_at = ?1 THEN ?5 ELSE message END, failed_at = coalesce(?6, failed_at)
		WHERE connection_id = ?7 AND org_id = ?8
		RETURNING `+exportFollowColumns,
		claimed.NextAt.UnixMilli(), ms(end.NextAt), end.Failures, end.Waiting, end.Message, ms(end.FailedAt), conn, o.id)
}

// SettleExportsUnscoped takes back every turn that a crash left taken, and
// returns the connections whose exports are followed, by id, at most limit,
// after the given one. Call it only while nothing works.
func (d *DB) SettleExportsUnscoped(ctx context.Context, after ConnectionID, limit int) ([]SyncTurn, error) {
	if _, err := exec(ctx, d.w, "exports", `UPDATE export_follows SET claimed_until = NULL WHERE connection_id > ? AND claimed_until IS NOT NULL`, after); err != nil {
		return nil, err
	}
	return list(ctx, d.r, "exports", func(s scanner) (t SyncTurn, err error) {
		var next sql.NullInt64
		err = s.Scan(&t.Org, &t.Connection, &next)
		t.NextAt = timeOf(next)
		return t, err
	}, `
		SELECT f.org_id, f.connection_id, f.next_at FROM export_follows f JOIN connections c ON c.id = f.connection_id
		WHERE f.connection_id > ? AND c.removed_at IS NULL AND f.enabled = 1
		ORDER BY f.connection_id LIMIT ?`, after, limit)
}

// Keeping is for how many days what came by a connection's exports is kept:
// files after they were read, recordings after they began. 0 is for ever.
type Keeping struct {
	Org                      OrgID
	Connection               ConnectionID
	KeepDays, KeepRecordings int
}

// KeepingsUnscoped lists what is not kept for ever, of every organization, by
// connection, at most limit, after the given one. Paused and removed
// connections are among them.
func (d *DB) KeepingsUnscoped(ctx context.Context, after ConnectionID, limit int) ([]Keeping, error) {
	return list(ctx, d.r, "exports", func(s scanner) (k Keeping, err error) {
		err = s.Scan(&k.Org, &k.Connection, &k.KeepDays, &k.KeepRecordings)
		return k, err
	}, `
		SELECT org_id, connection_id, keep_days, keep_recordings FROM export_follows
		WHERE connection_id > ? AND (keep_days > 0 OR keep_recordings > 0)
		ORDER BY connection_id LIMIT ?`, after, limit)
}

// ExportPlace is how an export list goes on behind a page: App and Cursor as in
// ExportFollow. Ended says that it was the last page.
type ExportPlace struct {
	App, Cursor string
	Ended       bool
}

// NewExportFile is a file that an export list names.
type NewExportFile struct{ Key, Name string }

// PutExportPage stores the files of a page, each once, and with them where the
// list goes on, all or nothing. It returns how the exports stand then, and how
// many files were new. If the list was turned to another place since follow was
// read, the files are kept and the cursor stays.
func (o Org) PutExportPage(ctx context.Context, follow ExportFollow, files []NewExportFile, at time.Time, place ExportPlace) (out ExportFollow, fresh int, err error) {
	err = o.write(ctx, func(tx *sql.Tx) error {
		now, err := one(ctx, tx, "exports", scanExportFollow, `
			SELECT `+exportFollowColumns+` FROM export_follows WHERE connection_id = ? AND org_id = ?`, follow.Connection, o.id)
		if err != nil {
			return err
		}
		for _, f := range files {
			n, err := exec(ctx, tx, "export file", `
				INSERT INTO export_files (org_id, connection_id, origin, key, name, page_cursor, page_date, state, created_at)
				VALUES (?, ?, 'followed', ?, ?, ?, ?, 'listed', ?) ON CONFLICT (connection_id, key) DO NOTHING`,
				o.id, follow.Connection, f.Key, f.Name, follow.Cursor, ms(follow.From), ms(at))
			if err == nil && n == 0 { // it may stand on another page now
				_, err = exec(ctx, tx, "export file", `
					UPDATE export_files SET page_cursor = ?, page_date = ? WHERE connection_id = ? AND key = ? AND org_id = ?`,
					follow.Cursor, ms(follow.From), follow.Connection, f.Key, o.id)
			}
			if err != nil {
				return err
			}
			fresh += int(n)
		}
		if fresh > 0 {
			if err := o.addExportTotals(ctx, tx, follow.Connection, ExportTotals{Files: int64(fresh), Waiting: int64(fresh)}); err != nil {
				return err
			}
		}
		if now.Pages == follow.Pages {
			now.App, now.Cursor, now.Pages = place.App, place.Cursor, now.Pages+1
			if place.Ended {
				now.EndedAt = at
			}
		}
		out, err = one(ctx, tx, "exports", scanExportFollow, `
			UPDATE export_follows SET app = ?, cursor = ?, pages = ?, listed_at = ?, ended_at = ?
			WHERE connection_id = ? AND org_id = ?
			RETURNING `+exportFollowColumns, now.App, now.Cursor, now.Pages, ms(at), ms(now.EndedAt), follow.Connection, o.id)
		return err
	})
	return out, fresh, err
}
