package db

import (
	"context"
	"database/sql"
	"time"
)

// TimelineHighlight is a highlight as a customer's timeline shows it.
type TimelineHighlight struct {
	ID         HighlightID
	State      string
	Question   string
	Author     string // empty if the author is gone or was no person
	CreatedAt  time.Time
	FinishedAt time.Time
	Sessions   int // how many recording sessions the result tells of
}

// TimelineHighlights lists a customer's highlights, newest first.
func (o Org) TimelineHighlights(ctx context.Context, customer CustomerID, after Moment, limit int) ([]TimelineHighlight, error) {
	at, id := after.args()
	return list(ctx, o.db.r, "customer's highlights", func(s scanner) (TimelineHighlight, error) {
		var h TimelineHighlight
		var created, finished sql.NullInt64
		err := s.Scan(&h.ID, &h.State, &h.Question, &h.Author, &created, &finished, &h.Sessions)
		h.CreatedAt, h.FinishedAt = timeOf(created), timeOf(finished)
		return h, err
	}, `
		SELECT h.id, h.state, h.question, coalesce(nullif(u.name, ''), u.email, ''), h.created_at, h.finished_at,
			(SELECT count(*) FROM highlight_sessions s WHERE s.highlight_id = h.id)
		FROM highlights h LEFT JOIN users u ON u.id = h.author_id
		WHERE h.customer_id = ? AND h.org_id = ? AND (h.created_at, h.id) < (?, ?)
		ORDER BY h.created_at DESC, h.id DESC LIMIT ?`, customer, o.id, at, id, limit)
}

// TimelineEdit is a trait edit as a customer's timeline shows it.
type TimelineEdit struct {
	ID        TraitEditID
	State     string
	Reason    string
	Author    string // empty if the author is gone or was no person
	Keys      string // the changed fields and traits, joined by ", "
	CreatedAt time.Time
}

// TimelineEdits lists a customer's trait edits, newest first.
func (o Org) TimelineEdits(ctx context.Context, customer CustomerID, after Moment, limit int) ([]TimelineEdit, error) {
	at, id := after.args()
	return list(ctx, o.db.r, "customer's trait edits", func(s scanner) (TimelineEdit, error) {
		var e TimelineEdit
		var created sql.NullInt64
		err := s.Scan(&e.ID, &e.State, &e.Reason, &e.Author, &e.Keys, &created)
		e.CreatedAt = timeOf(created)
		return e, err
	}, `
		SELECT e.id, e.state, e.reason, coalesce(nullif(u.name, ''), u.email, ''), coalesce((
				SELECT group_concat(k, ', ') FROM (
					SELECT CASE WHEN c.field = 'trait' THEN c.key ELSE c.field END AS k
					FROM trait_changes c WHERE c.edit_id = e.id ORDER BY c.field, c.key LIMIT 10)), ''), e.created_at
		FROM trait_edits e LEFT JOIN users u ON u.id = e.author_id
		WHERE e.customer_id = ? AND e.org_id = ? AND (e.created_at, e.id) < (?, ?)
		ORDER BY e.created_at DESC, e.id DESC LIMIT ?`, customer, o.id, at, id, limit)
}
