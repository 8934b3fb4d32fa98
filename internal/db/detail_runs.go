package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The states of a run. A paused one goes on only when a member says so.
const (
	RunOpen    = "open"
	RunPaused  = "paused"
	RunDone    = "done"
	RunStopped = "stopped"
)

// DetailRun fetches the details of sessions that a member chose.
type DetailRun struct {
	ID         DetailRunID
	Org        OrgID
	Connection ConnectionID
	Actor      UserID
	State      string
	// Todo are the sessions that are left, the next one first. Of Total, Done are
	// here, and of Failed no detail came; Streak of these in a row.
	Todo                        []SessionID
	Total, Done, Failed, Streak int
	// Ask is the question about the next one once it was put, else 0.
	Ask AskID
	// Message is a sentence for a person: why it paused, or what went wrong last.
	Message string
	// UpdatedAt is when it last came further, or ended.
	CreatedAt, UpdatedAt time.Time
}

const runColumns = `id, org_id, connection_id, coalesce(actor_id, 0), state, todo, total, done, failed, streak,
	coalesce(ask_id, 0), message, created_at, updated_at`

func scanRun(s scanner) (DetailRun, error) {
	var r DetailRun
	var todo string
	var created, updated sql.NullInt64
	err := s.Scan(&r.ID, &r.Org, &r.Connection, &r.Actor, &r.State, &todo, &r.Total, &r.Done, &r.Failed, &r.Streak,
		&r.Ask, &r.Message, &created, &updated)
	if err != nil {
		return r, err
	}
	r.CreatedAt, r.UpdatedAt = timeOf(created), timeOf(updated)
	if err := json.Unmarshal([]byte(todo), &r.Todo); err != nil {
		return r, fmt.Errorf("read what is left of run %d: %w", r.ID, err)
	}
	return r, nil
}

// AddDetailRun stores an open run over sessions and runs after in the same
// transaction. If the connection has an open one, that is returned, and neither
// is done. A paused one is stopped: the new one takes its place. A connection
// of another organization, or a removed one, is ErrNotFound.
func (o Org) AddDetailRun(ctx context.Context, conn ConnectionID, actor UserID, todo []SessionID, e HistoryEntry, after TxFunc) (run DetailRun, added bool, err error) {
	text, err := json.Marshal(todo)
	if err != nil {
		return run, false, err
	}
	err = o.write(ctx, func(tx *sql.Tx) error {
		if _, err := one(ctx, tx, "connection", scanInt, `
			SELECT id FROM connections WHERE id = ? AND org_id = ? AND removed_at IS NULL`, conn, o.id); err != nil {
			return err
		}
		run, err = one(ctx, tx, "run", scanRun, `
			INSERT INTO detail_runs (org_id, connection_id, actor_id, state, todo, total, created_at, updated_at)
			VALUES (?, ?, ?, 'open', ?, ?, ?, ?)
			ON CONFLICT (connection_id) WHERE state = 'open' DO NOTHING
			RETURNING `+runColumns, o.id, conn, nullID(actor), string(text), len(todo), ms(e.At), ms(e.At))
		if errors.Is(err, ErrNotFound) {
			run, err = one(ctx, tx, "open run", scanRun, `
				SELECT `+runColumns+` FROM detail_runs WHERE connection_id = ? AND org_id = ? AND state = 'open'`, conn, o.id)
			return err
		}
		if err != nil {
			return err
		}
		added = true
		if _, err := exec(ctx, tx, "run", `
			UPDATE detail_runs SET state = 'stopped' WHERE connection_id = ? AND org_id = ? AND state = 'paused'`, conn, o.id); err != nil {
			return err
		}
		e.Connection = conn
		if err := addHistory(ctx, tx, o.id, e); err != nil {
			return err
		}
		return after(ctx, tx, int64(run.ID))
	})
	return run, added, err
}

// DetailRun reads a run.
func (o Org) DetailRun(ctx context.Context, id DetailRunID) (DetailRun, error) {
	return one(ctx, o.db.r, "run", scanRun, `SELECT `+runColumns+` FROM detail_runs WHERE id = ? AND org_id = ?`, id, o.id)
}

// LatestDetailRun finds the newest run of a connection.
func (o Org) LatestDetailRun(ctx context.Context, conn ConnectionID) (DetailRun, error) {
	return one(ctx, o.kept(), "run", scanRun, `
		SELECT `+runColumns+` FROM detail_runs WHERE connection_id = ? AND org_id = ? ORDER BY id DESC LIMIT 1`, conn, o.id)
}

// DetailStep is how the next session of a run ended.
type DetailStep struct {
	// Came says that its detail is here. Otherwise Message says why not.
	Came    bool
	Message string
	At      time.Time
}

// EndDetailStep takes the next session off a run, which is done after the last.
// A run whose next session is another one by now is ErrNotFound.
func (o Org) EndDetailStep(ctx context.Context, run DetailRun, s DetailStep) error {
	rest, err := json.Marshal(run.Todo[min(1, len(run.Todo)):])
	if err != nil {
		return err
	}
	return must(exec(ctx, o.db.w, "run", `
		UPDATE detail_runs SET todo = ?1, ask_id = NULL, done = done + ?2, failed = failed + 1 - ?2,
			streak = CASE WHEN ?2 THEN 0 ELSE streak + 1 END, message = CASE WHEN ?2 THEN message ELSE ?3 END,
			state = CASE WHEN ?1 = '[]' AND state = 'open' THEN 'done' ELSE state END, updated_at = ?4
		WHERE id = ?5 AND org_id = ?6 AND done + failed = ?7`,
		string(rest), s.Came, s.Message, ms(s.At), run.ID, o.id, run.Done+run.Failed))
}

// PauseDetailRun leaves an open run until a member has it go on.
func (o Org) PauseDetailRun(ctx context.Context, id DetailRunID, message string, at time.Time) error {
	return must(exec(ctx, o.db.w, "run", `
		UPDATE detail_runs SET state = 'paused', ask_id = NULL, message = ?, updated_at = ?
		WHERE id = ? AND org_id = ? AND state = 'open'`, message, ms(at), id, o.id))
}

// StopDetailRun ends a run that is open or paused.
func (o Org) StopDetailRun(ctx context.Context, id DetailRunID, at time.Time) error {
	return must(exec(ctx, o.db.w, "run", `
		UPDATE detail_runs SET state = 'stopped', updated_at = ?
		WHERE id = ? AND org_id = ? AND state IN ('open', 'paused')`, ms(at), id, o.id))
}

// ResumeDetailRun has a paused run go on as a member's, and runs after in the
// same transaction. A run that is not paused, or whose connection was removed
// or has another run open, is ErrNotFound.
func (o Org) ResumeDetailRun(ctx context.Context, id DetailRunID, actor UserID, at time.Time, after TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "run", `
			UPDATE detail_runs AS r SET state = 'open', streak = 0, message = '', actor_id = ?, updated_at = ?
			WHERE id = ? AND org_id = ? AND state = 'paused'
				AND EXISTS (SELECT 1 FROM connections c WHERE c.id = r.connection_id AND c.removed_at IS NULL)
				AND NOT EXISTS (SELECT 1 FROM detail_runs x WHERE x.connection_id = r.connection_id AND x.state = 'open')`,
			nullID(actor), ms(at), id, o.id)); err != nil {
			return err
		}
		return after(ctx, tx, int64(id))
	})
}

// OpenDetailRunsUnscoped lists every run that a crash left open, by connection,
// at most limit, after the given one.
func (d *DB) OpenDetailRunsUnscoped(ctx context.Context, after ConnectionID, limit int) ([]DetailRun, error) {
	return list(ctx, d.r, "open runs", scanRun, `
		SELECT `+runColumns+` FROM detail_runs WHERE state = 'open' AND connection_id > ?
		ORDER BY connection_id LIMIT ?`, after, limit)
}
