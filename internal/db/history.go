package db

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// HistoryEntry is one thing that a member, or Sightline by itself, did.
type HistoryEntry struct {
	ID HistoryID
	At time.Time
	// Actor is 0 for a job and the command line; ActorName says which, and keeps
	// a member's name as it was.
	Actor     UserID
	ActorName string
	// Action is "kind.verb", such as "connection.add" or "trait.edit"; what
	// stands before the dot is what people filter by.
	Action string
	// Subject names what was acted on, such as a user id or a connection's name.
	Subject    string
	Customer   CustomerID
	Connection ConnectionID
	// Summary is one sentence for a person.
	Summary string
	// Before and After are JSON objects of texts by field, or plain text, or empty.
	Before, After string
	Reason        string
	// Named is filled on reading and not written.
	Named
}

// Named is what the customer and the connection of a row are called today.
type Named struct {
	CustomerName, CustomerEmail, ConnectionName string
}

// addHistory writes an entry inside the write that it tells of.
func addHistory(ctx context.Context, q querier, org OrgID, e HistoryEntry) error {
	kind, _, _ := strings.Cut(e.Action, ".")
	_, err := exec(ctx, q, "history", `
		INSERT INTO history (org_id, at, actor_id, actor, kind, action, subject, customer_id, connection_id, summary, before, after, reason)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		org, ms(e.At), nullID(e.Actor), e.ActorName, kind, e.Action, e.Subject, nullID(e.Customer), nullID(e.Connection),
		e.Summary, e.Before, e.After, e.Reason)
	return err
}

// AddHistory writes an entry by itself, for what has no write of its own to
// stand in, such as signing in.
func (o Org) AddHistory(ctx context.Context, e HistoryEntry) error {
	return addHistory(ctx, o.db.w, o.id, e)
}

// HistoryFilter selects history entries or calls, newest first. Zero fields
// select everything.
type HistoryFilter struct {
	Kind       string // of history entries only
	Actor      UserID
	Customer   CustomerID
	Connection ConnectionID
	// From is included, Until is not.
	From, Until time.Time
	// Before, if not zero, is where the page before ended: rows older than it,
	// and at the same millisecond those with a smaller id than BeforeID.
	Before   time.Time
	BeforeID int64
	Limit    int // at most 1000
}

// where makes the WHERE clause that both tables share; at is the name of the
// time column.
func (f HistoryFilter) where(org OrgID, at string) (string, []any) {
	var b strings.Builder
	b.WriteString("org_id = ?")
	args := []any{org}
	add := func(cond string, v ...any) {
		b.WriteString(" AND " + cond)
		args = append(args, v...)
	}
	if f.Actor != 0 {
		add("actor_id = ?", f.Actor)
	}
	if f.Customer != 0 {
		add("customer_id = ?", f.Customer)
	}
	if f.Connection != 0 {
		add("connection_id = ?", f.Connection)
	}
	if !f.From.IsZero() {
		add(at+" >= ?", ms(f.From))
	}
	if !f.Until.IsZero() {
		add(at+" < ?", ms(f.Until))
	}
	if !f.Before.IsZero() {
		add("("+at+", id) < (?, ?)", ms(f.Before), f.BeforeID)
	}
	return b.String(), args
}

func (f HistoryFilter) limit() int { return min(max(f.Limit, 1), 1000) }

// named joins what Named holds to a page of rows h.
const (
	namedColumns = `coalesce(cu.name, ''), coalesce(cu.email, ''), coalesce(co.name, '')`
	namedJoins   = `
		LEFT JOIN customers cu ON cu.id = h.customer_id AND cu.org_id = h.org_id
		LEFT JOIN connections co ON co.id = h.connection_id AND co.org_id = h.org_id`
)

func scanHistory(s scanner) (HistoryEntry, error) {
	var e HistoryEntry
	var at, actor, customer, connection sql.NullInt64
	err := s.Scan(&e.ID, &at, &actor, &e.ActorName, &e.Action, &e.Subject, &customer, &connection,
		&e.Summary, &e.Before, &e.After, &e.Reason, &e.CustomerName, &e.CustomerEmail, &e.ConnectionName)
	e.At, e.Actor, e.Customer, e.Connection = timeOf(at), UserID(actor.Int64), CustomerID(customer.Int64), ConnectionID(connection.Int64)
	return e, err
}

func historyQuery(org OrgID, f HistoryFilter) (string, []any) {
	where, args := f.where(org, "at")
	if f.Kind != "" {
		where += " AND kind = ?"
		args = append(args, f.Kind)
	}
	// The page is cut before names are joined, so that only its rows are.
	return `
		SELECT h.id, h.at, h.actor_id, h.actor, h.action, h.subject, h.customer_id, h.connection_id,
			h.summary, h.before, h.after, h.reason, ` + namedColumns + `
		FROM (SELECT id, org_id, at, actor_id, actor, action, subject, customer_id, connection_id, summary, before, after, reason
			FROM history WHERE ` + where + ` ORDER BY at DESC, id DESC LIMIT ?) h` + namedJoins + `
		ORDER BY h.at DESC, h.id DESC`, append(args, f.limit())
}

// History returns entries newest first.
func (o Org) History(ctx context.Context, f HistoryFilter) ([]HistoryEntry, error) {
	q, args := historyQuery(o.id, f)
	return list(ctx, o.db.r, "history", scanHistory, q, args...)
}
