package db

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Sync is how a connection keeps its mirror fresh, and how that goes.
type Sync struct {
	Connection ConnectionID
	SyncSettings
	// FollowedTo is up to when new sessions were read without a gap; zero if
	// they never were.
	FollowedTo time.Time
	// NextAt is when something is asked next.
	NextAt time.Time
	// Failures counts those in a row; Waiting says in a word why nothing is asked
	// until NextAt, Message the same to a person (it may quote the vendor).
	Failures         int
	Waiting, Message string
	// WorkedAt and FailedAt are when the last page came and when one last did not.
	WorkedAt, FailedAt time.Time
	// DetailSpent is how many calls were made for details on DetailDay.
	DetailDay   Day
	DetailSpent int
}

// SyncSettings is what a member decides about a mirror.
type SyncSettings struct {
	Enabled bool
	// RetentionDays is how many days back the mirror is filled.
	RetentionDays int
	// Details fetches the details of sessions that lack them with what following
	// and filling leave, on at most DetailCalls calls a day.
	Details     bool
	DetailCalls int
}

// SyncOutcome is how a turn of a sync ended.
type SyncOutcome struct {
	NextAt           time.Time
	Failures         int
	Waiting, Message string
	FailedAt         time.Time // zero keeps the one before
}

const syncColumns = `connection_id, enabled, retention_days, followed_to, next_at, failures, waiting, message, worked_at, failed_at,
	details, detail_calls, detail_day, detail_spent`

func scanSync(s scanner) (Sync, error) {
	var v Sync
	var followed, next, worked, failed sql.NullInt64
	err := s.Scan(&v.Connection, &v.Enabled, &v.RetentionDays, &followed, &next, &v.Failures, &v.Waiting, &v.Message, &worked, &failed,
		&v.Details, &v.DetailCalls, &v.DetailDay, &v.DetailSpent)
	v.FollowedTo, v.NextAt, v.WorkedAt, v.FailedAt = timeOf(followed), timeOf(next), timeOf(worked), timeOf(failed)
	return v, err
}

// Sync returns how a connection's mirror is kept; ErrNotFound if nobody has
// ever decided about it.
func (o Org) Sync(ctx context.Context, conn ConnectionID) (Sync, error) {
	return one(ctx, o.kept(), "sync", scanSync, `
		SELECT `+syncColumns+` FROM syncs WHERE connection_id = ? AND org_id = ?`, conn, o.id)
}

// SetSync stores how the mirror of a connection in use is kept and makes it
// due at once. then runs in the same transaction with the connection's id.
func (o Org) SetSync(ctx context.Context, conn ConnectionID, s SyncSettings, then TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if _, err := one(ctx, tx, "connection", scanInt, `
			SELECT id FROM connections WHERE id = ? AND org_id = ? AND removed_at IS NULL`, conn, o.id); err != nil {
			return err
		}
		return o.putSync(ctx, tx, conn, s, then)
	})
}

func (o Org) putSync(ctx context.Context, tx *sql.Tx, conn ConnectionID, s SyncSettings, then TxFunc) error {
	_, err := exec(ctx, tx, "sync", `
		INSERT INTO syncs AS s (connection_id, org_id, enabled, retention_days, details, detail_calls) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (connection_id) DO UPDATE SET enabled = excluded.enabled, retention_days = excluded.retention_days,
			details = excluded.details, detail_calls = excluded.detail_calls,
			next_at = 0, failures = 0, waiting = '', message = ''
		WHERE s.org_id = excluded.org_id`, conn, o.id, s.Enabled, s.RetentionDays, s.Details, s.DetailCalls)
	if err != nil || then == nil {
		return err
	}
	return then(ctx, tx, int64(conn))
}

// WakeSync makes a connection's sync due at once and forgets its failures,
// because what made them has changed. Without a row it is ErrNotFound.
func (o Org) WakeSync(ctx context.Context, conn ConnectionID, then TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, "sync", `
			UPDATE syncs SET next_at = 0, failures = 0, waiting = '', message = '' WHERE connection_id = ? AND org_id = ?`, conn, o.id)
		if err := must(n, err); err != nil || then == nil {
			return err
		}
		return then(ctx, tx, int64(conn))
	})
}

// ClaimSync takes a turn of a sync that is due, until the given time unless it
// is given back before. ErrNotFound: it is not due, or someone has the turn.
// next_at is not 0 during a turn, unless somebody wakes the sync.
func (o Org) ClaimSync(ctx context.Context, conn ConnectionID, now, until time.Time) (Sync, error) {
	return one(ctx, o.db.w, "sync", scanSync, `
		UPDATE syncs SET claimed_until = ?, next_at = max(next_at, 1)
		WHERE connection_id = ? AND org_id = ? AND next_at <= ? AND (claimed_until IS NULL OR claimed_until <= ?)
		RETURNING `+syncColumns, ms(until), conn, o.id, ms(now), ms(now))
}

// EndSync gives a turn back. A member who woke the sync meanwhile (next_at 0)
// is not kept waiting, and how the turn ended says nothing any more.
func (o Org) EndSync(ctx context.Context, conn ConnectionID, claimed Sync, end SyncOutcome) (Sync, error) {
	return one(ctx, o.db.w, "sync", scanSync, `
		UPDATE syncs SET claimed_until = NULL, next_at = CASE WHEN next_at = ?1 THEN ?2 ELSE next_at END,
			failures = CASE WHEN next_at = ?1 THEN ?3 ELSE failures END, waiting = CASE WHEN next_at = ?1 THEN ?4 ELSE waiting END,
			message = CASE WHEN next_at = ?1 THEN ?5 ELSE message END, failed_at = coalesce(?6, failed_at)
		WHERE connection_id = ?7 AND org_id = ?8
		RETURNING `+syncColumns,
		claimed.NextAt.UnixMilli(), ms(end.NextAt), end.Failures, end.Waiting, end.Message, ms(end.FailedAt), conn, o.id)
}

// SyncTurn names a connection whose sync has something to do, and when.
type SyncTurn struct {
	Org        OrgID
	Connection ConnectionID
	NextAt     time.Time
}

// SettleSyncsUnscoped takes back every turn that a crash left taken, and
// returns those that have work, by connection, at most limit, after the given
// one. Call it only while nothing works.
func (d *DB) SettleSyncsUnscoped(ctx context.Context, after ConnectionID, limit int) ([]SyncTurn, error) {
	if _, err := exec(ctx, d.w, "syncs", `UPDATE syncs SET claimed_until = NULL WHERE claimed_until IS NOT NULL`); err != nil {
		return nil, err
	}
	return d.syncTurns(ctx, "", after, limit)
}

// OverdueSyncsUnscoped returns the turns that nobody has and that were due
// before a time, as SettleSyncsUnscoped does.
func (d *DB) OverdueSyncsUnscoped(ctx context.Context, before time.Time, after ConnectionID, limit int) ([]SyncTurn, error) {
	return d.syncTurns(ctx, ` AND s.next_at < ? AND coalesce(s.claimed_until, 0) < ?`, after, limit, ms(before), ms(before))
}

func (d *DB) syncTurns(ctx context.Context, and string, after ConnectionID, limit int, args ...any) ([]SyncTurn, error) {
	return list(ctx, d.r, "syncs", func(s scanner) (t SyncTurn, err error) {
		var next sql.NullInt64
		err = s.Scan(&t.Org, &t.Connection, &next)
		t.NextAt = timeOf(next)
		return t, err
	}, `
		SELECT s.org_id, s.connection_id, s.next_at FROM syncs s JOIN connections c ON c.id = s.connection_id
		WHERE s.connection_id > ? AND c.removed_at IS NULL
			AND (s.enabled OR EXISTS (SELECT 1 FROM sync_walks w WHERE w.connection_id = s.connection_id AND w.purpose = 'person'))`+and+`
		ORDER BY s.connection_id LIMIT ?`, append(append([]any{after}, args...), limit)...)
}

// SyncRange is a stretch of time, From ≤ start < To.
type SyncRange struct{ From, To time.Time }

// Purposes of a walk.
const (
	WalkFollow   = "follow"   // the newest sessions
	WalkBackfill = "backfill" // older days, in the background
	WalkPerson   = "person"   // days that a member asked to have filled
)

// SyncWalk is a stretch of time that is being read page by page.
type SyncWalk struct {
	ID         SyncWalkID
	Connection ConnectionID
	Purpose    string
	// Day is the newest UTC day of a walk that does not follow.
	Day   Day
	Actor UserID
	// CallsLeft is what a person agreed to spend on it; nil in the background.
	CallsLeft *int64
	SyncRange
	// Todo are the ranges still to be read. The first is under way, and the
	// fields from Skip to Seen tell of it.
	Todo                  []SyncRange
	Skip, Pass, PassPages int
	// Reached is from when on every session of the range under way has come, in a
	// list that has come newest first since the pass began; zero if it did not.
	Reached                            time.Time
	PassFresh, PassRepeats, Unreadable int64
	Total                              *int64 // the largest that this pass was told, nil if none
	Seen                               int64  // different sessions in the range
	// Found counts the sessions of the ranges that are done, Lacking how many the
	// vendor counted beyond them.
	Found, Lacking       int64
	Pages                int
	CreatedAt, UpdatedAt time.Time
}

const walkColumns = `id, connection_id, purpose, coalesce(day, 0), coalesce(actor_id, 0), calls_left, from_at, to_at, todo, skip, reached_at, pass,
	pass_pages, pass_fresh, pass_repeats, unreadable, total, seen, found, lacking, pages, created_at, updated_at`

func scanWalk(s scanner) (SyncWalk, error) {
	var w SyncWalk
	var from, to, reached, created, updated sql.NullInt64
	var todo string
	err := s.Scan(&w.ID, &w.Connection, &w.Purpose, &w.Day, &w.Actor, &w.CallsLeft, &from, &to, &todo, &w.Skip, &reached, &w.Pass,
		&w.PassPages, &w.PassFresh, &w.PassRepeats, &w.Unreadable, &w.Total, &w.Seen, &w.Found, &w.Lacking, &w.Pages, &created, &updated)
	if err != nil {
		return w, err
	}
	w.From, w.To, w.Reached, w.CreatedAt, w.UpdatedAt = timeOf(from), timeOf(to), timeOf(reached), timeOf(created), timeOf(updated)
	w.Todo, err = readTodo(todo)
	return w, err
}

// todoText writes ranges as pairs of milliseconds.
func todoText(ranges []SyncRange) string {
	pairs := make([][2]int64, len(ranges))
	for i, r := range ranges {
		pairs[i] = [2]int64{r.From.UnixMilli(), r.To.UnixMilli()}
	}
	b, err := json.Marshal(pairs)
	if err != nil { // numbers always marshal
		panic(err)
	}
	return string(b)
}

func readTodo(text string) ([]SyncRange, error) {
	var pairs [][2]int64
	if err := json.Unmarshal([]byte(text), &pairs); err != nil {
		return nil, fmt.Errorf("read a walk's ranges: %w", err)
	}
	out := make([]SyncRange, len(pairs))
	for i, p := range pairs {
		out[i] = SyncRange{From: time.UnixMilli(p[0]).UTC(), To: time.UnixMilli(p[1]).UTC()}
	}
	return out, nil
}

// SyncWalks returns a connection's open walks: a person's first, then the
// newest sessions, then days, newest first; at most 200.
func (o Org) SyncWalks(ctx context.Context, conn ConnectionID) ([]SyncWalk, error) {
	return o.syncWalks(ctx, o.kept(), conn)
}

func (o Org) syncWalks(ctx context.Context, q querier, conn ConnectionID) ([]SyncWalk, error) {
	walks, err := list(ctx, q, "sync walks", scanWalk, `
		SELECT `+walkColumns+` FROM sync_walks
		WHERE connection_id = ? AND org_id = ?
		ORDER BY day DESC LIMIT 200`, conn, o.id)
	first := []string{WalkPerson, WalkFollow, WalkBackfill}
	sortBy(walks, func(a, b SyncWalk) int {
		return cmp.Compare(slices.Index(first, a.Purpose), slices.Index(first, b.Purpose))
	})
	return walks, err
}

// PlanWalks changes a connection's open walks: choose is given them and returns
// those to be written, new ones with the id 0. The connection must be in use
// and have a sync row or get one. then runs with the connection's id.
func (o Org) PlanWalks(ctx context.Context, conn ConnectionID, choose func(open []SyncWalk) []SyncWalk, now time.Time, then TxFunc, e *HistoryEntry) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if _, err := one(ctx, tx, "connection", scanInt, `
			SELECT id FROM connections WHERE id = ? AND org_id = ? AND removed_at IS NULL`, conn, o.id); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, "sync", `
			INSERT INTO syncs (connection_id, org_id) VALUES (?, ?) ON CONFLICT (connection_id) DO NOTHING`, conn, o.id); err != nil {
			return err
		}
		open, err := o.syncWalks(ctx, tx, conn)
		if err != nil {
			return err
		}
		for _, w := range choose(open) {
			w.Connection, w.UpdatedAt = conn, now
			if err := o.putWalk(ctx, tx, w); err != nil {
				return err
			}
		}
		if e != nil {
			e.Connection = conn
			if err := addHistory(ctx, tx, o.id, *e); err != nil {
				return err
			}
		}
		if then == nil {
			return nil
		}
		// Due at once, but not where a person's walk waits for the vendor anyway.
		if _, err := exec(ctx, tx, "sync", `UPDATE syncs SET next_at = 0 WHERE connection_id = ? AND org_id = ?`, conn, o.id); err != nil {
			return err
		}
		return then(ctx, tx, int64(conn))
	})
}

// putWalk inserts a walk or writes one back.
func (o Org) putWalk(ctx context.Context, q querier, w SyncWalk) error {
	if w.ID == 0 {
		var day any = w.Day
		if w.Purpose == WalkFollow {
			day = nil
		}
		_, err := exec(ctx, q, "sync walk", `
			INSERT INTO sync_walks (org_id, connection_id, purpose, day, actor_id, calls_left, from_at, to_at, todo, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			o.id, w.Connection, w.Purpose, day, nullID(w.Actor), w.CallsLeft, ms(w.From), ms(w.To), todoText(w.Todo), ms(w.UpdatedAt), ms(w.UpdatedAt))
		return err
	}
	_, err := exec(ctx, q, "sync walk", `
		UPDATE sync_walks SET purpose = ?, actor_id = ?, calls_left = ?, todo = ?, skip = ?, reached_at = ?, pass = ?, pass_pages = ?, pass_fresh = ?,
			pass_repeats = ?, unreadable = ?, total = ?, seen = ?, found = ?, lacking = ?, pages = ?, updated_at = ?
		WHERE id = ? AND org_id = ?`,
		w.Purpose, nullID(w.Actor), w.CallsLeft, todoText(w.Todo), w.Skip, ms(w.Reached), w.Pass, w.PassPages, w.PassFresh,
		w.PassRepeats, w.Unreadable, w.Total, w.Seen, w.Found, w.Lacking, w.Pages, ms(w.UpdatedAt), w.ID, o.id)
	return err
}

// DropSyncWalk forgets a walk; what it read stays.
func (o Org) DropSyncWalk(ctx context.Context, id SyncWalkID) error {
	return o.write(ctx, func(tx *sql.Tx) error { return o.dropWalk(ctx, tx, id) })
}

func (o Org) dropWalk(ctx context.Context, q querier, id SyncWalkID) error {
	if err := o.forgetSeen(ctx, q, id); err != nil {
		return err
	}
	return must(exec(ctx, q, "sync walk", `DELETE FROM sync_walks WHERE id = ? AND org_id = ?`, id, o.id))
}

func (o Org) forgetSeen(ctx context.Context, q querier, id SyncWalkID) error {
	_, err := exec(ctx, q, "sync seen", `DELETE FROM sync_seen WHERE walk_id = ? AND org_id = ?`, id, o.id)
	return err
}

// WalkStep says how a walk goes on after a page of which fresh sessions were
// new to the range under way.
type WalkStep func(w SyncWalk, fresh int64) SyncWalk

// PutSyncPage stores a page of a walk's sessions, part by part as PutSessions
// does, and with the last part how far the walk is then. A walk without anything
// left to do is done: the days that it covers are written and its row goes. Of a
// walk through older days that comes newest first, the days are written as it
// gets behind them. If another page of the walk was stored
// since it was read, the sessions are kept and the walk stays as it is. others
// came with the page and are kept, but are not of the walk's range.
func (o Org) PutSyncPage(ctx context.Context, walk SyncWalk, rows, others []Session, receivedAt time.Time, step WalkStep) (SyncWalk, error) {
	var out SyncWalk
	_, err := o.putSessions(ctx, walk.Connection, slices.Concat(rows, others), receivedAt, func(q querier, ids []SessionID) error {
		w, err := one(ctx, q, "sync walk", scanWalk, `SELECT `+walkColumns+` FROM sync_walks WHERE id = ? AND org_id = ?`, walk.ID, o.id)
		if err != nil {
			return err
		}
		if _, err := exec(ctx, q, "sync", `UPDATE syncs SET worked_at = ?, failures = 0 WHERE connection_id = ? AND org_id = ?`,
			ms(receivedAt), walk.Connection, o.id); err != nil {
			return err
		}
		if w.Pages != walk.Pages {
			out = w
			return nil
		}
		var fresh int64
		for some := range slices.Chunk(ids[:len(rows)], maxLearned) {
			n, err := exec(ctx, q, "sync seen", `
				INSERT INTO sync_seen (walk_id, session_id, org_id)
				SELECT ?, j.value, ? FROM json_each(?) j WHERE true
				ON CONFLICT (walk_id, session_id) DO NOTHING`, w.ID, o.id, jsonList(some))
			if err != nil {
				return err
			}
			fresh += n
		}
		before := len(w.Todo)
		out = step(w, fresh)
		out.ID, out.Connection, out.Purpose, out.SyncRange, out.UpdatedAt = w.ID, w.Connection, w.Purpose, w.SyncRange, receivedAt
		if len(out.Todo) == 0 {
			return o.endWalk(ctx, q, out)
		}
		if len(out.Todo) != before {
			if err := o.forgetSeen(ctx, q, w.ID); err != nil {
				return err
			}
		} else if err := o.holdDaysBehind(ctx, q, w, out); err != nil {
			return err
		}
		return o.putWalk(ctx, q, out)
	})
	return out, err
}
