package db

import (
	"context"
	"time"
)

// bareSession is the condition that a session s lacks its detail, that it has
// ended or had its last event before a time, and that the vendor was not asked
// for it in vain by the name that the table has for it: what it refuses about
// one session it refuses again. Other failures say nothing of the session.
func bareSession(table string) string {
	return `s.detailed_at IS NULL AND (lower(s.status) <> 'active' OR coalesce(s.updated_at, s.started_at) < ?) AND NOT EXISTS (
		SELECT 1 FROM asks a
		WHERE a.connection_id = ` + table + `.connection_id AND a.kind = 'session' AND a.subject = ` + table + `.vendor_id
			AND a.state = 'failed' AND a.error_kind IN ('not_found', 'invalid', 'unexpected', 'internal'))`
}

// BareSessions are the newest sessions of a connection that lack their detail
// and began in a time, From ≤ start < To, at most limit. Those are left out of
// which the vendor told nothing when it was asked, and those that are called
// active and had an event since the time active.
func (o Org) BareSessions(ctx context.Context, conn ConnectionID, r SyncRange, active time.Time, limit int) ([]Session, error) {
	return list(ctx, o.db.r, "sessions without detail", scanSession, `
		SELECT `+sessionColumns+` FROM sessions s INDEXED BY sessions_started
		WHERE s.connection_id = ? AND s.org_id = ? AND s.started_at >= ? AND s.started_at < ? AND `+bareSession("s")+`
		ORDER BY s.started_at DESC, s.id DESC LIMIT ?`, conn, o.id, ms(r.From), ms(r.To), ms(active), limit)
}

// BareSessionsOfViewed are the same of the 50 customers whom members looked at
// last, since a time.
func (o Org) BareSessionsOfViewed(ctx context.Context, conn ConnectionID, r SyncRange, active, since time.Time, limit int) ([]Session, error) {
	return list(ctx, o.db.r, "sessions without detail", scanSession, `
		SELECT `+sessionColumns+` FROM (
			SELECT customer_id, max(viewed_at) AS at FROM recent_customers
			WHERE org_id = ? AND viewed_at >= ? GROUP BY customer_id ORDER BY at DESC LIMIT 50) AS h
		CROSS JOIN sessions s INDEXED BY sessions_customer
		WHERE s.customer_id = h.customer_id AND s.customer_id IS NOT NULL AND s.connection_id = ? AND s.org_id = ?
			AND s.started_at >= ? AND s.started_at < ? AND `+bareSession("s")+`
		ORDER BY s.started_at DESC, s.id DESC LIMIT ?`, o.id, ms(since), conn, o.id, ms(r.From), ms(r.To), ms(active), limit)
}

// BareSighted are the same among the sessions that the connection told of too,
// but that are another one's: with the id by which it knows them.
func (o Org) BareSighted(ctx context.Context, conn ConnectionID, r SyncRange, active time.Time, limit int) ([]Session, error) {
	return list(ctx, o.db.r, "sessions without detail", func(r scanner) (Session, error) {
		var id string
		s, err := scanSession(led{r, []any{&id}})
		s.Connection, s.VendorID = conn, id
		return s, err
	}, `
		SELECT g.vendor_id, `+sessionColumns+` FROM session_sightings g INDEXED BY session_sightings_started
		CROSS JOIN sessions s ON s.id = g.session_id
		WHERE g.connection_id = ? AND g.org_id = ? AND g.started_at >= ? AND g.started_at < ? AND `+bareSession("g")+`
		ORDER BY g.started_at DESC, g.vendor_id DESC LIMIT ?`, conn, o.id, ms(r.From), ms(r.To), ms(active), limit)
}

// BareDay is how many sessions of a day lack their detail.
type BareDay struct {
	Day      Day
	Sessions int64
}

// BareDays are the days from the first to the last on which sessions of a
// connection lack their detail, newest first, at most 400.
func (o Org) BareDays(ctx context.Context, conn ConnectionID, first, last Day) ([]BareDay, error) {
	return list(ctx, o.db.r, "days of sessions without detail", func(s scanner) (d BareDay, err error) {
		return d, s.Scan(&d.Day, &d.Sessions)
	}, `
		SELECT day, sessions - detailed FROM session_days
		WHERE connection_id = ? AND facet = 'all' AND day BETWEEN ? AND ? AND value = '' AND org_id = ? AND sessions > detailed
		ORDER BY day DESC LIMIT 400`, conn, first, last, o.id)
}

// LackingDetail are those of some sessions that are a connection's own and lack
// the detail that it tells, newest first; of more than 2000 ids the first are
// looked at.
func (o Org) LackingDetail(ctx context.Context, conn ConnectionID, ids []SessionID) ([]Session, error) {
	return list(ctx, o.db.r, "sessions without detail", scanSession, `
		SELECT `+sessionColumns+` FROM json_each(?) j CROSS JOIN sessions s ON s.id = j.value
		WHERE s.connection_id = ? AND s.org_id = ? AND (s.detailed_at IS NULL OR s.detail_from IS NOT NULL)
		ORDER BY s.started_at DESC, s.id DESC`, jsonList(ids), conn, o.id)
}

// SpendDetails notes n more calls that sync makes for details on a day, or
// fewer if n is negative.
func (o Org) SpendDetails(ctx context.Context, conn ConnectionID, day Day, n int) error {
	return must(exec(ctx, o.db.w, "sync", `
		UPDATE syncs SET detail_spent = max(0, CASE WHEN detail_day = ? THEN detail_spent ELSE 0 END + ?), detail_day = ?
		WHERE connection_id = ? AND org_id = ?`, day, n, day, conn, o.id))
}
