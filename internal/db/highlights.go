package db

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
)

// Highlight is one request for highlights and what became of it.
type Highlight struct {
	ID          HighlightID
	Connection  ConnectionID
	Customer    CustomerID // 0 while nothing else names the person
	Author      UserID
	AuthorName  string // as it is now; empty if unknown
	SubjectKind string // email, user_id
	Subject     string
	Question    string
	// Start and End bound what is looked at, or are both zero.
	Start, End time.Time
	// State is queued, sending, pending, ready, failed, unknown, expired or cancelled.
	State        string
	VendorStatus string // the vendor's own word
	RequestID    string // the vendor's, once the request is known to have arrived
	Message      string // a sentence for a person
	ErrorKind    string
	Markdown     string // over all sessions, once ready
	Polls        int    // questions that were answered
	Misses       int    // how often in a row the vendor did not know the request
	CreatedAt    time.Time
	SentAt       time.Time
	PolledAt     time.Time
	NextPollAt   time.Time
	DeadlineAt   time.Time
	FinishedAt   time.Time
	// HookedAt is when the vendor first reported that it has a result, zero if
	// it has not, and HookRequestID the request id that it named then.
	HookedAt      time.Time
	HookRequestID string
}

// HighlightSession is the part of a result about one recording session.
type HighlightSession struct {
	RecordingID, SessionID string // either may be empty
	Markdown               string
}

const (
	highlightColumns = highlightHead + `h.result_markdown` + highlightTail
	// Lists do without the results.
	highlightListColumns = highlightHead + `''` + highlightTail

	highlightHead = `h.id, h.connection_id, coalesce(h.customer_id, 0), coalesce(h.author_id, 0),
	coalesce((SELECT coalesce(nullif(p.name, ''), p.email) FROM users p WHERE p.id = h.author_id), ''),
	h.subject_kind, h.subject, h.question, h.range_start, h.range_end, h.state, h.vendor_status, h.request_id,
	h.message, h.error_kind, `
	highlightTail = `, h.polls, h.misses,
	h.created_at, h.sent_at, h.polled_at, h.next_poll_at, h.deadline_at, h.finished_at, h.hooked_at, h.hook_request_id`
)

func scanHighlight(s scanner) (Highlight, error) {
	var h Highlight
	var start, end, created, sent, polled, next, deadline, finished, hooked sql.NullInt64
	err := s.Scan(&h.ID, &h.Connection, &h.Customer, &h.Author, &h.AuthorName,
		&h.SubjectKind, &h.Subject, &h.Question, &start, &end, &h.State, &h.VendorStatus, &h.RequestID,
		&h.Message, &h.ErrorKind, &h.Markdown, &h.Polls, &h.Misses,
		&created, &sent, &polled, &next, &deadline, &finished, &hooked, &h.HookRequestID)
	h.Start, h.End = timeOf(start), timeOf(end)
	h.CreatedAt, h.SentAt, h.PolledAt = timeOf(created), timeOf(sent), timeOf(polled)
	h.NextPollAt, h.DeadlineAt, h.FinishedAt, h.HookedAt = timeOf(next), timeOf(deadline), timeOf(finished), timeOf(hooked)
	return h, err
}

func highlight(ctx context.Context, q querier, org OrgID, where string, args ...any) (Highlight, error) {
	return one(ctx, q, "highlight", scanHighlight,
		`SELECT `+highlightColumns+` FROM highlights h WHERE h.org_id = ? AND `+where, append([]any{org}, args...)...)
}

// Highlight reads one highlight.
func (o Org) Highlight(ctx context.Context, id HighlightID) (Highlight, error) {
	return highlight(ctx, o.db.r, o.id, "h.id = ?", id)
}

// HighlightSessions lists the parts of a result in the vendor's order, at most 200.
func (o Org) HighlightSessions(ctx context.Context, id HighlightID) ([]HighlightSession, error) {
	return list(ctx, o.db.r, "highlight sessions", func(s scanner) (HighlightSession, error) {
		var p HighlightSession
		return p, s.Scan(&p.RecordingID, &p.SessionID, &p.Markdown)
	}, `
		SELECT recording_id, session_id, markdown FROM highlight_sessions
		WHERE highlight_id = ? AND org_id = ? ORDER BY position LIMIT 200`, id, o.id)
}

// HighlightFilter selects highlights, newest first. Zero fields select
// everything.
type HighlightFilter struct {
	Customer   CustomerID
	Author     UserID
	Connection ConnectionID
	State      string
	After      Moment    // where the page before ended
	Since      time.Time // the oldest included
	Limit      int       // at most 500
}

// conditions are those of the filter that a row is looked at for, each
// beginning with AND.
func (f HighlightFilter) conditions(b *strings.Builder, args []any) []any {
	if !f.Since.IsZero() {
		b.WriteString(` AND h.created_at >= ?`)
		args = append(args, ms(f.Since))
	}
	if f.Customer != 0 {
		b.WriteString(` AND h.customer_id = ?`)
		args = append(args, f.Customer)
	}
	if f.Author != 0 {
		b.WriteString(` AND h.author_id = ?`)
		args = append(args, f.Author)
	}
	if f.Connection != 0 {
		b.WriteString(` AND h.connection_id = ?`)
		args = append(args, f.Connection)
	}
	switch {
	case f.State == "":
		return args
	case f.Customer != 0: // who has few highlights, while a state has many: the plus bars its index
		b.WriteString(` AND +h.state = ?`)
	default:
		b.WriteString(` AND h.state = ?`)
	}
	return append(args, f.State)
}

func highlightsQuery(org OrgID, f HighlightFilter) (string, []any) {
	var b strings.Builder
	args := []any{org}
	b.WriteString(`SELECT ` + highlightListColumns + ` FROM highlights h WHERE h.org_id = ?`)
	if !f.After.At.IsZero() {
		at, id := f.After.args()
		b.WriteString(` AND (h.created_at, h.id) < (?, ?)`)
		args = append(args, at, id)
	}
	args = f.conditions(&b, args)
	b.WriteString(` ORDER BY h.created_at DESC, h.id DESC LIMIT ?`)
	return b.String(), append(args, highlightLimit(f))
}

// Highlights lists highlights, newest first, without their results.
func (o Org) Highlights(ctx context.Context, f HighlightFilter) ([]Highlight, error) {
	q, args := highlightsQuery(o.id, f)
	return list(ctx, o.db.r, "highlights", scanHighlight, q, args...)
}

// openHighlights are the states in which a job is still at work.
const openHighlights = `('queued', 'sending', 'pending')`

// AddHighlight stores a queued highlight with its history entry and runs after
// in the same transaction. A form token that was used already returns what it
// made; an open one that asks the same is joined; after is run for neither, and
// joined says so. A connection or customer that is not here is ErrNotFound.
// Without a customer, the one whom the subject names is taken, if there is one.
func (o Org) AddHighlight(ctx context.Context, h Highlight, formToken string, e HistoryEntry, after TxFunc) (out Highlight, joined bool, err error) {
	err = o.write(ctx, func(tx *sql.Tx) error {
		out, joined, err = o.addHighlight(ctx, tx, h, formToken, e, after)
		return err
	})
	return out, joined, err
}

// addHighlight is AddHighlight inside of a transaction.
func (o Org) addHighlight(ctx context.Context, tx *sql.Tx, h Highlight, formToken string, e HistoryEntry, after TxFunc) (out Highlight, joined bool, err error) {
	if out, err = highlight(ctx, tx, o.id, "h.form_token = ?", formToken); !errors.Is(err, ErrNotFound) {
		return out, err == nil, err
	}
	out, err = highlight(ctx, tx, o.id, `h.state IN `+openHighlights+` AND h.connection_id = ?
		AND h.subject_kind = ? AND h.subject = ? AND h.question = ? AND h.range_start IS ? AND h.range_end IS ?`,
		h.Connection, h.SubjectKind, h.Subject, h.Question, ms(h.Start), ms(h.End))
	if !errors.Is(err, ErrNotFound) {
		return out, err == nil, err
	}
	if h.Customer, err = o.highlightCustomer(ctx, tx, h); err != nil {
		return out, false, err
	}
	id, err := one(ctx, tx, "highlight", scanInt, `
		INSERT INTO highlights (org_id, connection_id, customer_id, author_id, subject_kind, subject, subject_norm, question,
			range_start, range_end, form_token, state, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?)
		RETURNING id`,
		o.id, h.Connection, nullID(h.Customer), nullID(h.Author), h.SubjectKind, h.Subject, Normalize(h.Subject), h.Question,
		ms(h.Start), ms(h.End), formToken, ms(h.CreatedAt))
	if err != nil {
		return out, false, err
	}
	if out, err = highlight(ctx, tx, o.id, "h.id = ?", id); err != nil {
		return out, false, err
	}
	e.Customer = h.Customer
	if err := addHistory(ctx, tx, o.id, e); err != nil || after == nil {
		return out, false, err
	}
	return out, false, after(ctx, tx, id)
}

// highlightCustomer checks where a new highlight belongs and finds whom it is
// about, 0 if nothing names them yet.
func (o Org) highlightCustomer(ctx context.Context, q querier, h Highlight) (CustomerID, error) {
	if _, err := one(ctx, q, "connection", scanInt, `
		SELECT id FROM connections WHERE id = ? AND org_id = ? AND vendor = 'logrocket' AND removed_at IS NULL`, h.Connection, o.id); err != nil {
		return 0, err
	}
	if h.Customer != 0 {
		_, err := one(ctx, q, "customer", scanInt, `SELECT id FROM customers WHERE id = ? AND org_id = ?`, h.Customer, o.id)
		return h.Customer, err
	}
	s, ids := highlightSighting(h).clean()
	return findCustomer(ctx, q, o.id, s, ids)
}

// highlightSighting is what a request says about a person.
func highlightSighting(h Highlight) Sighting {
	if h.SubjectKind == "email" {
		return Sighting{Connection: h.Connection, Email: h.Subject}
	}
	return Sighting{Connection: h.Connection, LogRocketUser: h.Subject}
}

// linkHighlights gives a customer the highlights that were asked for under an
// identity before anything named them. A new identity calls it.
func linkHighlights(ctx context.Context, q querier, org OrgID, customer CustomerID, connection ConnectionID, v vendorID) error {
	kind := "email"
	switch v.kind {
	case IdentityEmail:
	case IdentityLogRocketUser:
		kind = "user_id"
	default:
		return nil
	}
	_, err := exec(ctx, q, "unlinked highlights", linkHighlightsQuery, customer, org, Normalize(v.value), kind, connection, v.value)
	return err
}

const linkHighlightsQuery = `
	UPDATE highlights SET customer_id = ?1
	WHERE org_id = ?2 AND subject_norm = ?3 AND customer_id IS NULL AND subject_kind = ?4
		AND (?4 = 'email' OR (connection_id = ?5 AND subject = ?6))`

// StartHighlight moves a queued highlight to sending, which is stored before
// the paid request leaves, with the hash of the secret part of the address that
// the vendor may report to, nil for none. One that is not queued any more is
// ErrNotFound.
func (o Org) StartHighlight(ctx context.Context, id HighlightID, now time.Time, hook []byte) (Highlight, error) {
	err := must(exec(ctx, o.db.w, "highlight", `
		UPDATE highlights SET state = 'sending', sent_at = ?, hook_hash = ? WHERE id = ? AND org_id = ? AND state = 'queued'`, ms(now), hook, id, o.id))
	if err != nil {
		return Highlight{}, err
	}
	return highlight(ctx, o.db.w, o.id, "h.id = ?", id)
}

// PutBackHighlight moves a highlight that certainly was not sent from sending
// back to queued. One that is not being sent is ErrNotFound.
func (o Org) PutBackHighlight(ctx context.Context, id HighlightID) error {
	return must(exec(ctx, o.db.w, "highlight", `
		UPDATE highlights SET state = 'queued', sent_at = NULL, hook_hash = NULL WHERE id = ? AND org_id = ? AND state = 'sending'`, id, o.id))
}

// AwaitHighlight moves a highlight that was sent to pending: the vendor has it
// under a request id. One that the vendor has reported on meanwhile is due at
// once.
func (o Org) AwaitHighlight(ctx context.Context, id HighlightID, requestID, vendorStatus string, nextPoll, deadline time.Time) (Highlight, error) {
	err := must(exec(ctx, o.db.w, "highlight", `
		UPDATE highlights SET state = 'pending', request_id = ?1, vendor_status = ?2, deadline_at = ?4,
			next_poll_at = min(?3, coalesce(hooked_at, ?3))
		WHERE id = ?5 AND org_id = ?6 AND state = 'sending'`, requestID, vendorStatus, ms(nextPoll), ms(deadline), id, o.id))
	if err != nil {
		return Highlight{}, err
	}
	return highlight(ctx, o.db.w, o.id, "h.id = ?", id)
}

// ClaimPoll takes the turn to ask the vendor about a pending highlight and
// keeps it until lease. If it is not due, or not pending, it is ErrNotFound:
// of two jobs only one asks.
func (o Org) ClaimPoll(ctx context.Context, id HighlightID, now, lease time.Time) (Highlight, error) {
	err := must(exec(ctx, o.db.w, "highlight", `
		UPDATE highlights SET next_poll_at = ? WHERE id = ? AND org_id = ? AND state = 'pending' AND next_poll_at <= ?`,
		ms(lease), id, o.id, ms(now)))
	if err != nil {
		return Highlight{}, err
	}
	return highlight(ctx, o.db.w, o.id, "h.id = ?", id)
}

// WakeHighlights makes a connection's pending highlights due now that would be
// asked about after the given time only. then runs for each in the same
// transaction with its id.
func (o Org) WakeHighlights(ctx context.Context, conn ConnectionID, now, after time.Time, then TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		ids, err := list(ctx, tx, "highlights", scanInt, `
			UPDATE highlights SET next_poll_at = ? WHERE connection_id = ? AND org_id = ? AND state = 'pending' AND next_poll_at > ?
			RETURNING id`, ms(now), conn, o.id, ms(after))
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := then(ctx, tx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Poll is what asking about a pending highlight brought.
type Poll struct {
	VendorStatus string // empty leaves it
	Message      string
	ErrorKind    string
	Answered     bool // counts as a poll
	Misses       int
	At, Next     time.Time
}

// PolledHighlight stores what a question about a pending highlight brought. One
// that is not pending any more is ErrNotFound.
func (o Org) PolledHighlight(ctx context.Context, id HighlightID, p Poll) error {
	return must(exec(ctx, o.db.w, "highlight", `
		UPDATE highlights SET vendor_status = CASE WHEN ?1 = '' THEN vendor_status ELSE ?1 END, message = ?2, error_kind = ?3,
			polls = polls + ?4, misses = ?5, polled_at = ?6, next_poll_at = ?7
		WHERE id = ?8 AND org_id = ?9 AND state = 'pending'`,
		p.VendorStatus, p.Message, p.ErrorKind, p.Answered, p.Misses, ms(p.At), ms(p.Next), id, o.id))
}

// HighlightOutcome is how a highlight ended.
type HighlightOutcome struct {
	State        string
	RequestID    string // empty leaves it
	VendorStatus string // empty leaves it
	Message      string
	ErrorKind    string
	Markdown     string
	Sessions     []HighlightSession
	// SeenAt is when the newest recording began, zero if not known.
	SeenAt  time.Time
	At      time.Time
	History HistoryEntry // its customer is filled in
}

// EndHighlight stores how a highlight ended, its result and the history entry
// in one transaction. It must stand in one of the states from; else it is
// ErrNotFound. A result with sessions proves that the person exists, so one
// whom nothing named before becomes a customer.
func (o Org) EndHighlight(ctx context.Context, id HighlightID, from []string, out HighlightOutcome) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		h, err := highlight(ctx, tx, o.id, `h.id = ? AND h.state IN (`+marks(len(from))+`)`, append([]any{id}, anys(from)...)...)
		if err != nil {
			return err
		}
		if h.Customer == 0 && len(out.Sessions) > 0 {
			s := highlightSighting(h)
			s.SeenAt = out.SeenAt
			if h.Customer, err = resolveCustomer(ctx, tx, o.id, s); err != nil {
				return err
			}
			if err := markAnswered(ctx, tx, o.id, h.Customer, s, out.At); err != nil {
				return err
			}
		}
		// The parts come first: with the result their words are made searchable.
		for i, s := range out.Sessions {
			if _, err := exec(ctx, tx, "highlight session", `
				INSERT INTO highlight_sessions (highlight_id, position, org_id, recording_id, session_id, markdown) VALUES (?, ?, ?, ?, ?, ?)`,
				id, i, o.id, s.RecordingID, s.SessionID, s.Markdown); err != nil {
				return err
			}
		}
		if _, err := exec(ctx, tx, "highlight", `
			UPDATE highlights SET state = ?1, message = ?2, error_kind = ?3, result_markdown = ?4, finished_at = ?5, next_poll_at = NULL,
				request_id = CASE WHEN ?6 = '' THEN request_id ELSE ?6 END,
				vendor_status = CASE WHEN ?7 = '' THEN vendor_status ELSE ?7 END, customer_id = ?8
			WHERE id = ?9 AND org_id = ?10`,
			out.State, out.Message, out.ErrorKind, out.Markdown, ms(out.At), out.RequestID, out.VendorStatus,
			nullID(h.Customer), id, o.id); err != nil {
			return err
		}
		out.History.Customer = h.Customer
		return addHistory(ctx, tx, o.id, out.History)
	})
}

// marks are n placeholders for an IN list.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// anys are values as arguments of a query.
func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// ReopenHighlight waits again for a highlight that was given up after the
// vendor had it, and runs after in the same transaction. Any other is
// ErrNotFound.
func (o Org) ReopenHighlight(ctx context.Context, id HighlightID, now, deadline time.Time, e HistoryEntry, after TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		err := must(exec(ctx, tx, "highlight", `
			UPDATE highlights SET state = 'pending', message = '', error_kind = '', misses = 0, polls = 0,
				next_poll_at = ?, deadline_at = ?, finished_at = NULL
			WHERE id = ? AND org_id = ? AND state IN ('expired', 'cancelled') AND request_id <> ''`, ms(now), ms(deadline), id, o.id))
		if err != nil {
			return err
		}
		if err := addHistory(ctx, tx, o.id, e); err != nil || after == nil {
			return err
		}
		return after(ctx, tx, int64(id))
	})
}

const openHighlightsQuery = `
	SELECT org_id, id, state FROM highlights WHERE state IN ` + openHighlights + ` ORDER BY id LIMIT 10000`

// OpenHighlightsUnscoped lists the highlights that have not ended, oldest first.
func (d *DB) OpenHighlightsUnscoped(ctx context.Context) ([]OpenRow, error) {
	return list(ctx, d.r, "open highlights", scanOpenRow, openHighlightsQuery)
}

// DuePollsUnscoped makes every pending highlight due at once, as when nobody
// is left who had its turn.
func (d *DB) DuePollsUnscoped(ctx context.Context, now time.Time) error {
	_, err := exec(ctx, d.w, "pending highlights", `
		UPDATE highlights SET next_poll_at = min(next_poll_at, ?) WHERE state = 'pending'`, ms(now))
	return err
}
