package db

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// BatchTurn is what a member has a batch do, with what history tells of it.
type BatchTurn struct {
	Author      UserID
	Pace, Reuse time.Duration
	InFlight    int
	At          time.Time
	History     HistoryEntry
}

// StartBatch has the customers of a draft asked about, drops its file and runs
// after in the same transaction. A range of a length ends now, to the minute.
// One that is no draft, or whose connection was removed, is ErrNotFound;
// ErrExists if another one is being asked through the connection.
func (o Org) StartBatch(ctx context.Context, id BatchID, t BatchTurn, after TxFunc) error {
	end := t.At.Truncate(time.Minute)
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "batch", `
			UPDATE batches AS b SET state = 'running', author_id = ?1, pace_ms = ?2, in_flight = ?3, reuse_ms = ?4, message = '', streak = 0,
				range_end = CASE WHEN range_ms > 0 THEN ?5 ELSE range_end END, range_start = CASE WHEN range_ms > 0 THEN ?5 - range_ms ELSE range_start END,
				started_at = ?6, updated_at = ?6
			WHERE id = ?7 AND org_id = ?8 AND state = 'draft'
				AND EXISTS (SELECT 1 FROM connections c WHERE c.id = b.connection_id AND c.removed_at IS NULL)`,
			nullID(t.Author), t.Pace.Milliseconds(), t.InFlight, t.Reuse.Milliseconds(), ms(end), ms(t.At), id, o.id)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, "file", `DELETE FROM batch_files WHERE batch_id = ? AND org_id = ?`, id, o.id); err != nil {
			return err
		}
		return o.turned(ctx, tx, int64(id), t.History, after)
	})
}

// turned writes the history of a turn, if there is any, and runs after, if
// there is any.
func (o Org) turned(ctx context.Context, tx *sql.Tx, id int64, h HistoryEntry, after TxFunc) error {
	if h.Action != "" {
		if err := addHistory(ctx, tx, o.id, h); err != nil {
			return err
		}
	}
	if after == nil {
		return nil
	}
	return after(ctx, tx, id)
}

// ResumeBatch has a paused batch go on at the turn's pace and runs after in the
// same transaction. One that is not paused, or whose connection was removed, is
// ErrNotFound; ErrExists if another one is being asked through the connection.
func (o Org) ResumeBatch(ctx context.Context, id BatchID, t BatchTurn, after TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "batch", `
			UPDATE batches AS b SET state = 'running', message = '', streak = 0, pace_ms = ?1, in_flight = ?2, updated_at = ?3
			WHERE id = ?4 AND org_id = ?5 AND state = 'paused'
				AND EXISTS (SELECT 1 FROM connections c WHERE c.id = b.connection_id AND c.removed_at IS NULL)`,
			t.Pace.Milliseconds(), t.InFlight, ms(t.At), id, o.id)); err != nil {
			return err
		}
		return o.turned(ctx, tx, int64(id), t.History, after)
	})
}

// AgainBatch has those asked about again that ended without a result, because
// a member says so, and runs after in the same transaction. One that the vendor
// is being asked about again already is only waited for. A draft, one that is
// running, or one whose connection was removed, is ErrNotFound; ErrExists if
// another one is being asked through the connection.
func (o Org) AgainBatch(ctx context.Context, id BatchID, t BatchTurn, after TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "batch", `
			UPDATE batches AS b SET state = 'running', message = '', streak = 0, finished_at = NULL, updated_at = ?
			WHERE id = ? AND org_id = ? AND state IN ('paused', 'done', 'cancelled')
				AND EXISTS (SELECT 1 FROM connections c WHERE c.id = b.connection_id AND c.removed_at IS NULL)`, ms(t.At), id, o.id)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, "batch items", `
			UPDATE batch_items AS i SET state = 'asked' WHERE batch_id = ? AND org_id = ? AND state = 'ended'
				AND (SELECT h.state FROM highlights h WHERE h.id = i.highlight_id) IN `+openHighlights, id, o.id); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, "batch items", `
			UPDATE batch_items AS i SET state = 'waiting', message = '', highlight_id = NULL, reused = 0 WHERE batch_id = ? AND org_id = ? AND state IN ('asked', 'ended')
				AND (SELECT h.state FROM highlights h WHERE h.id = i.highlight_id) IN ('failed', 'unknown', 'expired', 'cancelled')`, id, o.id); err != nil {
			return err
		}
		return o.turned(ctx, tx, int64(id), t.History, after)
	})
}

// PauseBatch leaves a batch that is running until a member has it go on.
func (o Org) PauseBatch(ctx context.Context, id BatchID, message string, at time.Time, h HistoryEntry) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "batch", `
			UPDATE batches SET state = 'paused', message = ?, updated_at = ? WHERE id = ? AND org_id = ? AND state = 'running'`,
			message, ms(at), id, o.id)); err != nil {
			return err
		}
		return o.turned(ctx, tx, int64(id), h, nil)
	})
}

// NoteBatch says why a batch that is running waits; empty that it does not.
func (o Org) NoteBatch(ctx context.Context, id BatchID, message string, at time.Time) error {
	_, err := exec(ctx, o.db.w, "batch", `
		UPDATE batches SET message = ?1, updated_at = ?2 WHERE id = ?3 AND org_id = ?4 AND state = 'running' AND message <> ?1`,
		message, ms(at), id, o.id)
	return err
}

// EndBatch ends a batch as done or cancelled. What a cancelled one has not asked
// is dropped. One that is a draft or has ended is ErrNotFound.
func (o Org) EndBatch(ctx context.Context, id BatchID, state string, at time.Time, h HistoryEntry) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "batch", `
			UPDATE batches SET state = ?1, message = '', finished_at = ?2, updated_at = ?2
			WHERE id = ?3 AND org_id = ?4 AND (state = 'running' OR ?1 = 'cancelled' AND state = 'paused')`, state, ms(at), id, o.id)); err != nil {
			return err
		}
		if state == BatchCancelled {
			if _, err := exec(ctx, tx, "batch items", `
				UPDATE batch_items SET state = 'dropped' WHERE batch_id = ? AND org_id = ? AND state = 'waiting'`, id, o.id); err != nil {
				return err
			}
		}
		return o.turned(ctx, tx, int64(id), h, nil)
	})
}

// BatchAsk is a request that a batch hands out for one of its items. The
// highlight is of the item's subject.
type BatchAsk struct {
	Batch     BatchID
	Position  int
	Highlight Highlight
	FormToken string
	// Since is how old an answer to the same may be that is taken instead, zero
	// for none; Last is the length of the range, 0 if it has none.
	Since   time.Time
	Last    time.Duration
	At      time.Time
	History HistoryEntry
}

const reusableQuery = `
	SELECT h.id FROM highlights h
	WHERE h.org_id = ?1 AND h.subject_norm = ?2 AND h.state = 'ready' AND h.subject_kind = ?3 AND (?3 = 'email' OR h.subject = ?4)
		AND h.connection_id = ?5 AND h.question = ?6 AND h.finished_at >= ?7
		AND (h.range_start IS ?8 AND h.range_end IS ?9 OR ?10 > 0 AND h.range_end - h.range_start = ?10)
	ORDER BY h.created_at DESC, h.id DESC LIMIT 1`

// AskBatchItem makes the highlight of an item that waits, of a batch that is
// running, and runs after, all in one transaction: an item that waits was never
// asked about. A young answer to the same is taken instead, if there is one, and
// an open request for the same is joined. Any other
// item or batch is ErrNotFound, and so is a connection that was removed.
func (o Org) AskBatchItem(ctx context.Context, a BatchAsk, after TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if _, err := one(ctx, tx, "batch", scanInt, `
			SELECT id FROM batches WHERE id = ? AND org_id = ? AND connection_id = ? AND state = 'running'`, a.Batch, o.id, a.Highlight.Connection); err != nil {
			return err
		}
		h := a.Highlight
		if !a.Since.IsZero() {
			old, err := one(ctx, tx, "highlight", scanInt, reusableQuery, o.id, Normalize(h.Subject), h.SubjectKind, h.Subject, h.Connection, h.Question,
				ms(a.Since), ms(h.Start), ms(h.End), a.Last.Milliseconds())
			if err == nil {
				return must(exec(ctx, tx, "batch item", `
					UPDATE batch_items SET state = 'ended', reused = 1, highlight_id = ? WHERE batch_id = ? AND position = ? AND org_id = ? AND state = 'waiting'`,
					old, a.Batch, a.Position, o.id))
			}
			if !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		out, _, err := o.addHighlight(ctx, tx, h, a.FormToken, a.History, after)
		if err != nil {
			return err
		}
		if err := must(exec(ctx, tx, "batch item", `
			UPDATE batch_items SET state = 'asked', tries = tries + 1, highlight_id = ? WHERE batch_id = ? AND position = ? AND org_id = ? AND state = 'waiting'`,
			out.ID, a.Batch, a.Position, o.id)); err != nil {
			return err
		}
		_, err = exec(ctx, tx, "batch", `UPDATE batches SET asked_at = ?1, message = '', updated_at = ?1 WHERE id = ?2 AND org_id = ?3`, ms(a.At), a.Batch, o.id)
		return err
	})
}

// EndBatchItem stores that the batch has seen the end of an item, and how many
// failures in a row there are now. One whose end was seen is ErrNotFound.
func (o Org) EndBatchItem(ctx context.Context, id BatchID, position, streak int, at time.Time) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "batch item", `
			UPDATE batch_items SET state = 'ended' WHERE batch_id = ? AND position = ? AND org_id = ? AND state = 'asked'`, id, position, o.id)); err != nil {
			return err
		}
		_, err := exec(ctx, tx, "batch", `UPDATE batches SET streak = ?, updated_at = ? WHERE id = ? AND org_id = ?`, streak, ms(at), id, o.id)
		return err
	})
}

// PutBackBatchItem has an item wait again of which nothing was sent. One whose
// end was seen is ErrNotFound.
func (o Org) PutBackBatchItem(ctx context.Context, id BatchID, position int) error {
	return must(exec(ctx, o.db.w, "batch item", `
		UPDATE batch_items SET state = 'waiting', highlight_id = NULL WHERE batch_id = ? AND position = ? AND org_id = ? AND state = 'asked'`, id, position, o.id))
}

const openBatchesQuery = `SELECT org_id, id, state FROM batches WHERE state = 'running' ORDER BY id LIMIT 10000`

// OpenBatchesUnscoped lists the batches that are running.
func (d *DB) OpenBatchesUnscoped(ctx context.Context) ([]OpenRow, error) {
	return list(ctx, d.r, "open batches", scanOpenRow, openBatchesQuery)
}
