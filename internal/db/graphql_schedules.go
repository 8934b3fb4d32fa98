package db

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// QuerySchedule is a saved query that is asked again and again.
type QuerySchedule struct {
	ID        ScheduleID
	Saved     SavedQueryID
	SavedName string // what the query is called today, filled on reading
	// Member is for whom it is asked; MemberName is what they are called today,
	// filled on reading.
	Member     UserID
	MemberName string
	// Every is hour, day or week, Minute how many minutes after its beginning in
	// UTC; a week begins on Monday.
	Every  string
	Minute int
	// Variables is a JSON object, or empty.
	Variables string
	// Keep is how many of its newest runs keep their answers; Trend names the
	// number that is watched, empty for the first.
	Keep  int
	Trend string
	// State is active or paused, and Message says why it is paused.
	State, Message string
	// Failures counts the runs in a row that failed.
	Failures int
	// NextAt is for when it is asked next.
	NextAt    time.Time
	CreatedAt time.Time
}

const scheduleColumns = `s.id, s.saved_id, coalesce((SELECT q.name FROM saved_queries q WHERE q.id = s.saved_id), ''), s.member_id,
	coalesce((SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = s.member_id), ''),
	s.every, s.minute, s.variables, s.keep, s.trend, s.state, s.message, s.failures, s.next_at, s.created_at`

func scanSchedule(s scanner) (QuerySchedule, error) {
	var q QuerySchedule
	var next, created sql.NullInt64
	err := s.Scan(&q.ID, &q.Saved, &q.SavedName, &q.Member, &q.MemberName, &q.Every, &q.Minute, &q.Variables, &q.Keep, &q.Trend,
		&q.State, &q.Message, &q.Failures, &next, &created)
	q.NextAt, q.CreatedAt = timeOf(next), timeOf(created)
	return q, err
}

// QuerySchedules lists the organization's schedules, newest first, at most 500.
func (o Org) QuerySchedules(ctx context.Context) ([]QuerySchedule, error) {
	return list(ctx, o.db.r, "schedules", scanSchedule, `
		SELECT `+scheduleColumns+` FROM query_schedules s WHERE s.org_id = ? ORDER BY s.id DESC LIMIT 500`, o.id)
}

// QuerySchedule finds a schedule.
func (o Org) QuerySchedule(ctx context.Context, id ScheduleID) (QuerySchedule, error) {
	return one(ctx, o.db.r, "schedule", scanSchedule, `
		SELECT `+scheduleColumns+` FROM query_schedules s WHERE s.id = ? AND s.org_id = ?`, id, o.id)
}

// PutQuerySchedule stores a schedule of a saved query, a new one if its id is 0.
// If there are most already it is ErrFull. Of one that is there its query, its
// member and its state stay.
func (o Org) PutQuerySchedule(ctx context.Context, s QuerySchedule, most int, e HistoryEntry) (ScheduleID, error) {
	id := int64(s.ID)
	err := o.write(ctx, func(tx *sql.Tx) error {
		if s.ID != 0 {
			err := must(exec(ctx, tx, "schedule", `
				UPDATE query_schedules SET every = ?, minute = ?, variables = ?, keep = ?, trend = ?, next_at = ? WHERE id = ? AND org_id = ?`,
				s.Every, s.Minute, s.Variables, s.Keep, s.Trend, ms(s.NextAt), s.ID, o.id))
			if err != nil {
				return err
			}
			return addHistory(ctx, tx, o.id, e)
		}
		n, err := one(ctx, tx, "schedules", scanInt, `SELECT count(*) FROM query_schedules WHERE org_id = ?`, o.id)
		switch {
		case err != nil:
			return err
		case n >= int64(most):
			return ErrFull
		}
		id, err = one(ctx, tx, "schedule", scanInt, `
			INSERT INTO query_schedules (org_id, saved_id, member_id, every, minute, variables, keep, trend, state, message, failures, next_at, created_at)
			SELECT q.org_id, q.id, ?, ?, ?, ?, ?, ?, 'active', '', 0, ?, ? FROM saved_queries q WHERE q.id = ? AND q.org_id = ? RETURNING id`,
			s.Member, s.Every, s.Minute, s.Variables, s.Keep, s.Trend, ms(s.NextAt), ms(s.CreatedAt), s.Saved, o.id)
		if err != nil {
			return err
		}
		return addHistory(ctx, tx, o.id, e)
	})
	if err != nil {
		return 0, err
	}
	return ScheduleID(id), nil
}

// WatchNumber says which number of a schedule's results is watched.
func (o Org) WatchNumber(ctx context.Context, id ScheduleID, name string) error {
	return must(exec(ctx, o.db.w, "schedule", `UPDATE query_schedules SET trend = ? WHERE id = ? AND org_id = ?`, name, id, o.id))
}

// PauseQuerySchedule pauses a schedule that is active, for a reason that people
// read; it may be empty.
func (o Org) PauseQuerySchedule(ctx context.Context, id ScheduleID, message string, e HistoryEntry) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		err := must(exec(ctx, tx, "schedule", `UPDATE query_schedules SET state = 'paused', message = ? WHERE id = ? AND org_id = ? AND state = 'active'`, message, id, o.id))
		if err != nil {
			return err
		}
		return addHistory(ctx, tx, o.id, e)
	})
}

// ResumeQuerySchedule lets a schedule that is paused go on at next, for a
// member.
func (o Org) ResumeQuerySchedule(ctx context.Context, id ScheduleID, member UserID, next time.Time, e HistoryEntry) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		err := must(exec(ctx, tx, "schedule", `
			UPDATE query_schedules SET state = 'active', message = '', failures = 0, member_id = ?, next_at = ? WHERE id = ? AND org_id = ? AND state = 'paused'`,
			member, ms(next), id, o.id))
		if err != nil {
			return err
		}
		return addHistory(ctx, tx, o.id, e)
	})
}

// DeleteQuerySchedule deletes a schedule with its runs.
func (o Org) DeleteQuerySchedule(ctx context.Context, id ScheduleID, e HistoryEntry) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "schedule", `DELETE FROM query_schedules WHERE id = ? AND org_id = ?`, id, o.id)); err != nil {
			return err
		}
		return addHistory(ctx, tx, o.id, e)
	})
}

// StartScheduled stores a queued run of a schedule, moves the schedule's next
// time from the one that s has to next, and runs after, all or nothing. If the
// run's form was stored before, that run is returned and none is stored.
// ErrNotFound: somebody else has moved it on, or its connection is not in use.
// ErrExists: its last run is still open.
func (o Org) StartScheduled(ctx context.Context, s QuerySchedule, next time.Time, r GraphQLRun, after TxFunc) (GraphQLRun, error) {
	var out GraphQLRun
	err := o.write(ctx, func(tx *sql.Tx) error {
		var err error
		if out, err = graphQLRun(ctx, tx, o.id, "r.form_token = ?", r.FormToken); !errors.Is(err, ErrNotFound) {
			if err == nil {
				_, err = exec(ctx, tx, "schedule", `UPDATE query_schedules SET next_at = max(next_at, ?) WHERE id = ? AND org_id = ?`, ms(next), s.ID, o.id)
			}
			return err
		}
		open, err := one(ctx, tx, "open runs", scanInt, `
			SELECT count(*) FROM graphql_runs WHERE state IN ('queued', 'sending') AND schedule_id = ? AND org_id = ?`, s.ID, o.id)
		switch {
		case err != nil:
			return err
		case open > 0:
			return ErrExists
		}
		err = must(exec(ctx, tx, "schedule", `UPDATE query_schedules SET next_at = ? WHERE id = ? AND org_id = ? AND next_at = ?`, ms(next), s.ID, o.id, ms(s.NextAt)))
		if err != nil {
			return err
		}
		id, err := one(ctx, tx, "connection", scanInt, `
			INSERT INTO graphql_runs (org_id, connection_id, author_id, saved_id, schedule_id, slot_at, form_token, query, operation, kind, variables, state, created_at)
			SELECT q.org_id, c.id, s.member_id, q.id, s.id, ?, ?, ?, ?, ?, ?, 'queued', ?
			FROM query_schedules s JOIN saved_queries q ON q.id = s.saved_id JOIN connections c ON c.id = q.connection_id
			WHERE s.id = ? AND s.org_id = ? AND c.vendor = 'logrocket' AND c.removed_at IS NULL
			RETURNING id`,
			ms(r.Slot), r.FormToken, r.Query, r.Operation, r.Kind, r.Variables, ms(r.CreatedAt), s.ID, o.id)
		if err != nil {
			return err
		}
		if out, err = graphQLRun(ctx, tx, o.id, "r.id = ?", id); err != nil {
			return err
		}
		return after(ctx, tx, id)
	})
	return out, err
}

// endScheduled notes on a run's schedule how the run ended, and lets go of what
// the schedule does not keep.
func (o Org) endScheduled(ctx context.Context, tx *sql.Tx, schedule ScheduleID, out GraphQLOutcome) error {
	const keptNumbers = 1000
	keep, err := one(ctx, tx, "schedule", scanInt, `
		UPDATE query_schedules SET failures = CASE ?1 WHEN 'bad' THEN failures + 1 WHEN 'good' THEN 0 ELSE failures END,
			message = CASE WHEN ?1 = 'bad' AND failures + 1 >= ?2 AND state = 'active' THEN ?3 ELSE message END,
			state = CASE WHEN ?1 = 'bad' AND failures + 1 >= ?2 THEN 'paused' ELSE state END
		WHERE id = ?4 AND org_id = ?5 RETURNING keep`, out.Verdict, out.PauseAfter, out.PauseMessage, schedule, o.id)
	if err != nil {
		return err
	}
	const nth = `SELECT slot_at FROM graphql_runs WHERE schedule_id = ? AND org_id = ? ORDER BY slot_at DESC LIMIT 1 OFFSET ?`
	for _, t := range []struct {
		offset int64
		query  string
	}{
		{keptNumbers, `DELETE FROM graphql_runs WHERE schedule_id = ? AND org_id = ? AND slot_at <= ?`},
		{keep, `UPDATE graphql_runs SET body = NULL WHERE schedule_id = ? AND org_id = ? AND slot_at <= ? AND body IS NOT NULL`},
	} {
		last, err := one(ctx, tx, "oldest run", scanInt, nth, schedule, o.id, t.offset)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err == nil {
			_, err = exec(ctx, tx, "oldest run", t.query, schedule, o.id, last)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ScheduledRuns lists a schedule's runs for moments before before (zero for
// all), newest first, at most limit.
func (o Org) ScheduledRuns(ctx context.Context, schedule ScheduleID, before time.Time, limit int) ([]GraphQLRun, error) {
	last := int64(1)<<62 - 1
	if !before.IsZero() {
		last = before.UnixMilli()
	}
	return list(ctx, o.db.r, "scheduled runs", scanGraphQLRun, `
		SELECT `+graphQLRunColumns+` FROM graphql_runs r
		WHERE r.schedule_id = ? AND r.org_id = ? AND r.slot_at < ? ORDER BY r.slot_at DESC LIMIT ?`, schedule, o.id, last, min(max(limit, 1), 1000))
}

// DueSchedule names a schedule that is due.
type DueSchedule struct {
	Org OrgID
	ID  ScheduleID
}

func scanDueSchedule(s scanner) (DueSchedule, error) {
	var d DueSchedule
	return d, s.Scan(&d.Org, &d.ID)
}

// DueSchedulesUnscoped lists the schedules that are due, those that have waited
// longest first, at most limit.
func (d *DB) DueSchedulesUnscoped(ctx context.Context, now time.Time, limit int) ([]DueSchedule, error) {
	return list(ctx, d.r, "schedules that are due", scanDueSchedule, `
		SELECT org_id, id FROM query_schedules WHERE state = 'active' AND next_at <= ? ORDER BY next_at, id LIMIT ?`, ms(now), limit)
}
