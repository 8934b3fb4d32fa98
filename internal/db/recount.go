package db

import (
	"context"
	"database/sql"
)

// countBatch is how many sessions one transaction counts: what a crash during
// the first start with rollups costs is at most one of them.
const countBatch = 2000

// countSessions brings the sessions that were stored before there were rollups
// into them. It takes up where it was interrupted, and does nothing once all
// are counted.
func countSessions(ctx context.Context, w *sql.DB) error {
	d := &DB{w: &writer{DB: w}}
	for {
		left := false
		err := d.write(ctx, func(tx *sql.Tx) error {
			n, err := countSome(ctx, tx, countBatch)
			left = n == countBatch
			return err
		})
		if err != nil || !left {
			return err
		}
	}
}

// uncounted is a session that is not in the rollups.
type uncounted struct {
	facts
	org  OrgID
	conn ConnectionID
}

func countSome(ctx context.Context, q querier, limit int) (int, error) {
	rows, err := list(ctx, q, "sessions to count", func(s scanner) (uncounted, error) {
		var u uncounted
		err := s.Scan(&u.org, &u.conn, &u.id, &u.startedAt, &u.country, &u.browser, &u.os, &u.rating, &u.anonymous, &u.detailed, &u.hasErrors)
		return u, err
	}, `SELECT org_id, connection_id, `+factColumns+` FROM sessions INDEXED BY sessions_uncounted WHERE counted = 0 ORDER BY id LIMIT ?`, limit)
	if err != nil {
		return 0, err
	}
	tallies := map[ConnectionID]*tally{}
	for _, u := range rows {
		t := tallies[u.conn]
		if t == nil {
			t = newTally(u.org, u.conn)
			tallies[u.conn] = t
		}
		t.session(u.facts, 1)
		d := newDetail()
		if u.detailed {
			if err := t.nameDetail(ctx, q, u.id); err != nil {
				return 0, err
			}
			if d, err = t.readDetail(ctx, q, u.id); err != nil {
				return 0, err
			}
			t.detail(u.startedAt, d, 1)
			if err := t.putIndex(ctx, q, u.id, u.startedAt, d); err != nil {
				return 0, err
			}
		}
		_, err := exec(ctx, q, "session", `
			UPDATE sessions SET counted = 1, slowest_ms = ?, slow_class = ? WHERE id = ? AND org_id = ?`, d.slowest, slowClass(d.slowest), u.id, u.org)
		if err != nil {
			return 0, err
		}
	}
	for _, t := range tallies {
		if err := t.flush(ctx, q); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// nameDetail gives stored page views their pages and errors their groups.
func (t *tally) nameDetail(ctx context.Context, q querier, id SessionID) error {
	type row struct {
		position int64
		PageView
		SessionError
	}
	views, err := list(ctx, q, "page views", func(s scanner) (r row, err error) { return r, s.Scan(&r.position, &r.URL) },
		`SELECT position, url FROM page_views WHERE session_id = ? AND org_id = ?`, id, t.org)
	if err != nil {
		return err
	}
	for _, v := range views {
		page, err := t.page(ctx, q, v.URL)
		if err != nil {
			return err
		}
		if _, err := exec(ctx, q, "page view", `UPDATE page_views SET page_id = ? WHERE session_id = ? AND position = ? AND org_id = ?`,
			nullID(page), id, v.position, t.org); err != nil {
			return err
		}
	}
	errs, err := list(ctx, q, "session errors", func(s scanner) (r row, err error) { return r, s.Scan(&r.position, &r.GroupID, &r.Title) },
		`SELECT position, group_id, title FROM session_errors WHERE session_id = ? AND org_id = ?`, id, t.org)
	if err != nil {
		return err
	}
	for _, e := range errs {
		group, err := t.group(ctx, q, e.SessionError)
		if err != nil {
			return err
		}
		if _, err := exec(ctx, q, "session error", `UPDATE session_errors SET error_group_id = ? WHERE session_id = ? AND position = ? AND org_id = ?`,
			group, id, e.position, t.org); err != nil {
			return err
		}
	}
	return nil
}
