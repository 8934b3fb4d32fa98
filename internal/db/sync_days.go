package db

import (
	"context"
	"database/sql"
	"time"
)

// SyncDay says which part of a UTC day the mirror holds.
type SyncDay struct {
	Day Day // days since 1970-01-01
	// From and To bound the part that was read to its end.
	From, To time.Time
	// Sessions is how many sessions of the day were in the mirror then.
	Sessions int64
	// Lacking is how many more the vendor counted than it sent, in Walks walks.
	Lacking  int64
	Walks    int64
	WalkedAt time.Time
}

func scanSyncDay(s scanner) (SyncDay, error) {
	var d SyncDay
	var from, to, walked sql.NullInt64
	err := s.Scan(&d.Day, &from, &to, &d.Sessions, &d.Lacking, &d.Walks, &walked)
	d.From, d.To, d.WalkedAt = timeOf(from), timeOf(to), timeOf(walked)
	return d, err
}

// SyncDays returns what the mirror holds of the days from the first to the
// last, newest first; a day that it holds nothing of is left out. At most 4000.
func (o Org) SyncDays(ctx context.Context, conn ConnectionID, first, last Day) ([]SyncDay, error) {
	return list(ctx, o.kept(), "sync days", scanSyncDay, `
		SELECT day, from_at, to_at, sessions, lacking, walks, walked_at FROM sync_days
		WHERE connection_id = ? AND org_id = ? AND day >= ? AND day <= ?
		ORDER BY day DESC LIMIT 4000`, conn, o.id, first, last)
}

// holdDay writes what a walk covers of a day.
func (o Org) holdDay(ctx context.Context, q querier, w SyncWalk, day Day) error {
	begin, end := day.Time().UnixMilli(), (day + 1).Time().UnixMilli()
	from, to := max(begin, w.From.UnixMilli()), min(end, w.To.UnixMilli())
	// How many sessions the day has is counted once for each walk, over the day
	// alone: pages read it from here.
	_, err := exec(ctx, q, "sync day", `
		INSERT INTO sync_days AS d (connection_id, day, org_id, from_at, to_at, sessions, lacking, walks, walked_at)
		SELECT ?1, ?2, ?3, ?4, ?5, (SELECT count(*) FROM sessions WHERE connection_id = ?1 AND started_at >= ?6 AND started_at < ?7)
			+ (SELECT count(*) FROM session_sightings WHERE connection_id = ?1 AND started_at >= ?6 AND started_at < ?7), ?8, 1, ?9
		WHERE true
		ON CONFLICT (connection_id, day) DO UPDATE SET
			from_at = CASE WHEN `+touches+` THEN min(d.from_at, excluded.from_at) WHEN `+longer+` THEN excluded.from_at ELSE d.from_at END,
			to_at = CASE WHEN `+touches+` THEN max(d.to_at, excluded.to_at) WHEN `+longer+` THEN excluded.to_at ELSE d.to_at END,
			lacking = CASE WHEN excluded.from_at <= d.from_at AND excluded.to_at >= d.to_at THEN excluded.lacking ELSE max(d.lacking, excluded.lacking) END,
			walks = d.walks + (excluded.lacking > 0), sessions = excluded.sessions, walked_at = excluded.walked_at
		WHERE d.org_id = excluded.org_id`,
		w.Connection, day, o.id, from, to, begin, end, w.Lacking, ms(w.UpdatedAt))
	return err
}

// holdDaysBehind writes the days of a walk that comes newest first which a page
// brought it behind: the walk after the page is is, was the one before. What
// ends the walk early, a kill or a member, takes them from nobody.
func (o Org) holdDaysBehind(ctx context.Context, q querier, was, is SyncWalk) error {
	if is.Purpose == WalkFollow || is.Reached.IsZero() || len(is.Todo) != 1 || is.Lacking > 0 {
		return nil
	}
	for day := DayOf(is.To.Add(-time.Millisecond)); !day.Time().Before(is.Reached) && (day + 1).Time().After(is.From); day-- {
		if !was.Reached.IsZero() && !day.Time().Before(was.Reached) {
			continue // written with an earlier page
		}
		if err := o.holdDay(ctx, q, is, day); err != nil {
			return err
		}
	}
	return nil
}

// endWalk writes what a finished walk covers and forgets the walk.
func (o Org) endWalk(ctx context.Context, q querier, w SyncWalk) error {
	for day := DayOf(w.From); day.Time().Before(w.To); day++ {
		if err := o.holdDay(ctx, q, w, day); err != nil {
			return err
		}
	}
	if w.Purpose == WalkFollow {
		if _, err := exec(ctx, q, "sync", `
			UPDATE syncs SET followed_to = max(coalesce(followed_to, 0), ?) WHERE connection_id = ? AND org_id = ?`,
			ms(w.To), w.Connection, o.id); err != nil {
			return err
		}
	}
	if err := o.dropWalk(ctx, q, w.ID); err != nil || w.CallsLeft == nil || *w.CallsLeft <= 0 {
		return err
	}
	// What a person's walk did not need is for the next of theirs.
	_, err := exec(ctx, q, "sync walk", `
		UPDATE sync_walks SET calls_left = calls_left + ?
		WHERE id = (SELECT id FROM sync_walks WHERE connection_id = ? AND org_id = ? AND purpose = 'person' AND actor_id IS ? ORDER BY day DESC LIMIT 1)`,
		*w.CallsLeft, w.Connection, o.id, nullID(w.Actor))
	return err
}

// Two parts of a day are one where they touch; of two that do not, the longer
// one is kept.
const (
	touches = `(excluded.from_at <= d.to_at AND excluded.to_at >= d.from_at)`
	longer  = `(excluded.to_at - excluded.from_at > d.to_at - d.from_at)`
)
