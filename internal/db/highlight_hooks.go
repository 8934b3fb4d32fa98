package db

import (
	"context"
	"database/sql"
	"time"
)

// HookedHighlightUnscoped finds the highlight whose vendor was given the address
// with this hash. There the organization is not known yet: the address alone
// says whose it is. None is ErrNotFound.
func (d *DB) HookedHighlightUnscoped(ctx context.Context, hash []byte) (OpenRow, error) {
	return one(ctx, d.r, "highlight", scanOpenRow, hookedHighlightQuery, hash)
}

const hookedHighlightQuery = `SELECT org_id, id, state FROM highlights WHERE hook_hash = ?`

// HookReport is what the vendor's report on a highlight brought.
type HookReport struct {
	At time.Time
	// RequestID is the one that it named, empty if it named none that can be used.
	RequestID string
	// PollAt is when to fetch the result, and Deadline how long a highlight is
	// waited for that this report brings back.
	PollAt, Deadline time.Time
	// Revived is the history entry for one that was given up.
	Revived HistoryEntry
}

// ReportHighlight stores that the vendor reported on a highlight and makes it
// due: one that is waited for, one that was given up as too late, and one of
// which nobody knew whether the vendor had it, if the report names its request.
// after runs in the same transaction for those. All others stay as they are.
func (o Org) ReportHighlight(ctx context.Context, id HighlightID, r HookReport, after TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "highlight", `
			UPDATE highlights SET hooked_at = coalesce(hooked_at, ?1),
				hook_request_id = CASE WHEN hook_request_id = '' THEN ?2 ELSE hook_request_id END
			WHERE id = ?3 AND org_id = ?4`, ms(r.At), r.RequestID, id, o.id)); err != nil {
			return err
		}
		n, err := exec(ctx, tx, "highlight", `
			UPDATE highlights SET next_poll_at = min(next_poll_at, ?) WHERE id = ? AND org_id = ? AND state = 'pending'`, ms(r.PollAt), id, o.id)
		if err != nil {
			return err
		}
		if n == 0 {
			if n, err = exec(ctx, tx, "highlight", `
				UPDATE highlights SET state = 'pending', request_id = coalesce(nullif(request_id, ''), hook_request_id),
					message = '', error_kind = '', misses = 0, polls = 0, next_poll_at = ?, deadline_at = ?, finished_at = NULL
				WHERE id = ? AND org_id = ? AND state IN ('expired', 'unknown') AND (request_id <> '' OR hook_request_id <> '')`,
				ms(r.At), ms(r.Deadline), id, o.id); err != nil || n == 0 {
				return err
			}
			h, err := highlight(ctx, tx, o.id, "h.id = ?", id)
			if err != nil {
				return err
			}
			r.Revived.Customer = h.Customer
			if err := addHistory(ctx, tx, o.id, r.Revived); err != nil {
				return err
			}
		}
		if after == nil {
			return nil
		}
		return after(ctx, tx, int64(id))
	})
}
