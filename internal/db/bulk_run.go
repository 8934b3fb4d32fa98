package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// BulkTurn is what a member has a bulk edit do, with what history tells of it.
type BulkTurn struct {
	Author  UserID
	Reason  string
	Rate    int
	At      time.Time
	History HistoryEntry
}

// StartBulk has the lines of a dry run sent, drops the file and runs after in
// the same transaction. One that is not planned is ErrNotFound; ErrExists if
// another one is being sent through the connection.
func (o Org) StartBulk(ctx context.Context, id BulkID, t BulkTurn, after TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "bulk edit", `
			UPDATE bulk_edits SET state = 'running', author_id = ?, reason = ?, rate = ?, message = '', streak = 0,
				started_at = ?4, stretch_at = ?4, stretch_done = 0, updated_at = ?4
			WHERE id = ?5 AND org_id = ?6 AND state = 'planned'`, nullID(t.Author), t.Reason, t.Rate, ms(t.At), id, o.id)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, "file", `DELETE FROM bulk_parts WHERE bulk_id = ? AND org_id = ?`, id, o.id); err != nil {
			return err
		}
		if err := addHistory(ctx, tx, o.id, t.History); err != nil {
			return err
		}
		return after(ctx, tx, int64(id))
	})
}

// ResumeBulk has a paused bulk edit go on and runs after in the same
// transaction. One that is not paused, or whose connection was removed, is
// ErrNotFound; ErrExists if another one is being sent through the connection.
func (o Org) ResumeBulk(ctx context.Context, id BulkID, t BulkTurn, after TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "bulk edit", `
			UPDATE bulk_edits AS b SET state = 'running', message = '', streak = 0, stretch_at = ?1, stretch_done = sent + failed + unknown, updated_at = ?1
			WHERE id = ?2 AND org_id = ?3 AND state = 'paused'
				AND EXISTS (SELECT 1 FROM connections c WHERE c.id = b.connection_id AND c.removed_at IS NULL)`, ms(t.At), id, o.id)); err != nil {
			return err
		}
		return after(ctx, tx, int64(id))
	})
}

// AgainBulk has the lines sent again that failed or of which nobody knows
// whether they arrived, because a member says so, and runs after in the same
// transaction. Lines that were not sent because of somebody else's edit stay.
func (o Org) AgainBulk(ctx context.Context, id BulkID, t BulkTurn, after TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if _, err := one(ctx, tx, "bulk edit", scanInt, `
			SELECT id FROM bulk_edits WHERE id = ? AND org_id = ? AND state IN ('paused', 'done', 'cancelled') AND started_at IS NOT NULL`, id, o.id); err != nil {
			return err
		}
		var n [2]int64
		for i, state := range []string{"failed", "unknown"} {
			var err error
			if n[i], err = exec(ctx, tx, "bulk lines", `
				UPDATE bulk_lines SET state = 'ready', message = '', seen = edit_id
				WHERE bulk_id = ? AND org_id = ? AND state = ? AND edit_id IS NOT NULL`, id, o.id, state); err != nil {
				return err
			}
		}
		if _, err := exec(ctx, tx, "bulk edit", `
			UPDATE bulk_edits SET state = 'running', message = '', streak = 0, ready = ready + ?1 + ?2, failed = failed - ?1, unknown = unknown - ?2,
				stretch_at = ?3, stretch_done = sent + failed - ?1 + unknown - ?2, updated_at = ?3, finished_at = NULL
			WHERE id = ?4 AND org_id = ?5`, n[0], n[1], ms(t.At), id, o.id); err != nil {
			return err
		}
		if err := addHistory(ctx, tx, o.id, t.History); err != nil {
			return err
		}
		return after(ctx, tx, int64(id))
	})
}

// PauseBulk leaves a bulk edit that is being sent until a member has it go on.
func (o Org) PauseBulk(ctx context.Context, id BulkID, message string, at time.Time) error {
	return must(exec(ctx, o.db.w, "bulk edit", `
		UPDATE bulk_edits SET state = 'paused', message = ?, updated_at = ? WHERE id = ? AND org_id = ? AND state = 'running'`,
		message, ms(at), id, o.id))
}

// NoteBulk says why a bulk edit that is being sent waits; empty that it does
// not.
func (o Org) NoteBulk(ctx context.Context, id BulkID, message string, at time.Time) error {
	_, err := exec(ctx, o.db.w, "bulk edit", `
		UPDATE bulk_edits SET message = ?1, updated_at = ?2 WHERE id = ?3 AND org_id = ?4 AND state = 'running' AND message <> ?1`,
		message, ms(at), id, o.id)
	return err
}

// EndBulk ends a bulk edit as done or cancelled, drops its file and writes the
// history, if there is an action in it. One that has ended, or whose file is
// coming in, is ErrNotFound.
func (o Org) EndBulk(ctx context.Context, id BulkID, state string, at time.Time, h HistoryEntry) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "bulk edit", `
			UPDATE bulk_edits SET state = ?1, message = '', finished_at = ?2, updated_at = ?2
			WHERE id = ?3 AND org_id = ?4 AND (state = 'running' OR ?1 = 'cancelled' AND state IN ('uploaded', 'planning', 'planned', 'paused'))`,
			state, ms(at), id, o.id)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, "file", `DELETE FROM bulk_parts WHERE bulk_id = ? AND org_id = ?`, id, o.id); err != nil {
			return err
		}
		if h.Action == "" {
			return nil
		}
		return addHistory(ctx, tx, o.id, h)
	})
}

// DropUpload takes away a bulk edit whose file did not come in whole.
func (o Org) DropUpload(ctx context.Context, id BulkID) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if _, err := exec(ctx, tx, "file", `
			DELETE FROM bulk_parts WHERE bulk_id = ? AND org_id = ?
				AND EXISTS (SELECT 1 FROM bulk_edits b WHERE b.id = bulk_id AND b.state = 'uploading')`, id, o.id); err != nil {
			return err
		}
		return must(exec(ctx, tx, "bulk edit", `DELETE FROM bulk_edits WHERE id = ? AND org_id = ? AND state = 'uploading'`, id, o.id))
	})
}

// NextBulkLine is the line that is being sent, or else the next to be sent;
// ErrNotFound if none is left.
func (o Org) NextBulkLine(ctx context.Context, id BulkID) (BulkLine, error) {
	for _, state := range []string{"sending", "ready"} {
		l, err := one(ctx, o.db.w, "bulk line", scanBulkLine, `
			SELECT `+bulkLineColumns+` FROM bulk_lines WHERE bulk_id = ? AND org_id = ? AND state = ? ORDER BY line LIMIT 1`, id, o.id, state)
		if !errors.Is(err, ErrNotFound) {
			return l, err
		}
	}
	return BulkLine{}, fmt.Errorf("line of bulk edit %d: %w", id, ErrNotFound)
}

// AddBulkEdit makes the trait edit of a line that is ready, of a bulk edit that
// is being sent. The edit is queued, but no job is: the bulk edit's own sends
// it. A user whom no customer is known to be becomes one, by who. The edit's
// Customer is found here. ErrStale as with AddTraitEdit.
func (o Org) AddBulkEdit(ctx context.Context, id BulkID, line int, e NewTraitEdit, who Sighting) (TraitEditID, error) {
	var edit int64
	err := o.write(ctx, func(tx *sql.Tx) error {
		var err error
		if _, err = one(ctx, tx, "bulk edit", scanInt, `
			SELECT id FROM bulk_edits WHERE id = ? AND org_id = ? AND connection_id = ? AND state = 'running'`, id, o.id, e.Connection); err != nil {
			return err
		}
		if e.Customer, err = o.bulkCustomer(ctx, tx, e, who); err != nil {
			return err
		}
		if edit, err = o.insertTraitEdit(ctx, tx, e); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, "trait edit", `UPDATE trait_edits SET bulk_id = ? WHERE id = ? AND org_id = ?`, id, edit, o.id); err != nil {
			return err
		}
		return must(exec(ctx, tx, "bulk line", `
			UPDATE bulk_lines SET state = 'sending', edit_id = ? WHERE bulk_id = ? AND line = ? AND org_id = ? AND state = 'ready'`,
			edit, id, line, o.id))
	})
	return TraitEditID(edit), err
}

// bulkCustomer is whom a user id belongs to.
func (o Org) bulkCustomer(ctx context.Context, tx *sql.Tx, e NewTraitEdit, who Sighting) (CustomerID, error) {
	known, err := foundCustomer(ctx, tx, `
		SELECT customer_id FROM logrocket_users WHERE connection_id = ? AND user_id = ? AND org_id = ?`, e.Connection, e.UserID, o.id)
	if known != 0 || err != nil {
		return known, err
	}
	return resolveCustomer(ctx, tx, o.id, who)
}

// EndBulkLine stores how a line ended: sent, failed or unknown. One that has
// ended already is ErrNotFound.
func (o Org) EndBulkLine(ctx context.Context, id BulkID, line int, state, message string, at time.Time) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "bulk line", `
			UPDATE bulk_lines SET state = ?, message = ? WHERE bulk_id = ? AND line = ? AND org_id = ? AND state IN ('ready', 'sending')`,
			state, message, id, line, o.id)); err != nil {
			return err
		}
		_, err := exec(ctx, tx, "bulk edit", `
			UPDATE bulk_edits SET ready = ready - 1, sent = sent + (?1 = 'sent'), failed = failed + (?1 = 'failed'), unknown = unknown + (?1 = 'unknown'),
				streak = CASE WHEN ?1 = 'sent' THEN 0 ELSE streak + 1 END, message = CASE WHEN state = 'running' THEN '' ELSE message END,
				updated_at = ?2
			WHERE id = ?3 AND org_id = ?4`, state, ms(at), id, o.id)
		return err
	})
}

const openBulksQuery = `
	SELECT org_id, id, state FROM bulk_edits WHERE state IN ('uploading', 'planning', 'running') ORDER BY state, id LIMIT 10000`

const sendingLinesQuery = `
	SELECT org_id, bulk_id, state FROM bulk_lines WHERE state = 'sending' ORDER BY bulk_id, line LIMIT 10000`

// OpenBulksUnscoped lists the bulk edits that a crash left in the middle of
// something: those that have not ended, and, as "sending", those of which a
// line has not.
func (d *DB) OpenBulksUnscoped(ctx context.Context) ([]OpenRow, error) {
	open, err := list(ctx, d.r, "open bulk edits", scanOpenRow, openBulksQuery)
	if err != nil {
		return nil, err
	}
	lines, err := list(ctx, d.r, "open bulk lines", scanOpenRow, sendingLinesQuery)
	return append(open, lines...), err
}
