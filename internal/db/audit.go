package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"
)

// AuditEntry is one thing that somebody did in LogRocket, as its audit log says
// it.
type AuditEntry struct {
	ID         AuditEntryID
	Connection ConnectionID
	// At is when it came here unless Timed.
	At    time.Time
	Timed bool
	// Who is an email or an id of LogRocket's.
	Who, Action, Description string
	// RecordingID and SessionID are empty if it names no recording session;
	// SessionID alone is if it names the recording only.
	RecordingID, SessionID string
}

// AuditFilter selects entries. Zero fields select everything.
type AuditFilter struct {
	// Who is normalised, Action to the letter.
	Who, Action string
	Connection  ConnectionID
	// Recording is a recording, of which Session is one session; empty means any.
	Recording, Session string
	// Customer selects what is about recordings that are known to be theirs, from
	// their newest 200 highlights.
	Customer CustomerID
	From     time.Time // included
	Until    time.Time // not included
	After    Moment
	Limit    int // at most 1000
}

const auditColumns = `e.id, e.connection_id, e.at, e.timed, e.who, e.action, e.description, e.recording_id, e.session_id`

func scanAuditEntry(s scanner) (AuditEntry, error) {
	var e AuditEntry
	var at sql.NullInt64
	err := s.Scan(&e.ID, &e.Connection, &at, &e.Timed, &e.Who, &e.Action, &e.Description, &e.RecordingID, &e.SessionID)
	e.At = timeOf(at)
	return e, err
}

// where makes the WHERE clause over the entries e, and names the index that has
// them in their order.
func (f AuditFilter) where(org OrgID) (cond, index string, args []any) {
	var b strings.Builder
	b.WriteString("e.org_id = ?")
	args = append(args, org)
	index = "org"
	add := func(part, by string, v ...any) {
		b.WriteString(" AND " + part)
		args = append(args, v...)
		if by != "" {
			index = by
		}
	}
	if f.Connection != 0 {
		add("e.connection_id = ?", "connection", f.Connection)
	}
	if f.Action != "" {
		add("e.action = ?", "action", f.Action)
	}
	if f.Who != "" {
		by := "who"
		if f.Action != "" {
			by = "deeds"
		}
		add("e.who_norm = ?", by, f.Who)
	}
	if f.Recording != "" {
		add("e.recording_id = ?", "recording", f.Recording)
	}
	if f.Session != "" {
		add("(e.session_id = '' OR e.session_id = ?)", "", f.Session)
	}
	if !f.From.IsZero() {
		add("e.at >= ?", "", ms(f.From))
	}
	if !f.Until.IsZero() {
		add("e.at < ?", "", ms(f.Until))
	}
	if !f.After.At.IsZero() {
		at, id := f.After.args()
		add("(e.at, e.id) < (?, ?)", "", at, id)
	}
	return b.String(), index, args
}

// customerRecordings are the recording sessions that are known to be a
// customer's: those that their highlights tell of. Whatever else comes to know
// that is added here, and in recordingCustomersQuery.
const customerRecordings = `SELECT DISTINCT r.recording_id, r.session_id
	FROM (SELECT id FROM highlights WHERE customer_id = ? AND org_id = ? ORDER BY created_at DESC, id DESC LIMIT 200) h
	CROSS JOIN highlight_sessions r ON r.highlight_id = h.id WHERE r.recording_id <> ''`

func auditQuery(org OrgID, f AuditFilter) (string, []any) {
	limit := min(max(f.Limit, 1), 1000)
	cond, index, args := f.where(org)
	if f.Customer == 0 {
		return `SELECT ` + auditColumns + ` FROM audit_entries e INDEXED BY audit_entries_` + index + `
			WHERE ` + cond + ` ORDER BY e.at DESC, e.id DESC LIMIT ?`, append(args, limit)
	}
	// Which entries it will be the index tells alone; a page of them is read.
	all := append([]any{f.Customer, org}, args...)
	return `SELECT ` + auditColumns + ` FROM (
			SELECT DISTINCT e.at, e.id FROM (` + customerRecordings + `) own
			CROSS JOIN audit_entries e INDEXED BY audit_entries_recording
				ON e.recording_id = own.recording_id AND (e.session_id = own.session_id OR e.session_id = '' OR own.session_id = '')
			WHERE ` + cond + ` ORDER BY e.at DESC, e.id DESC LIMIT ?) page
		CROSS JOIN audit_entries e ON e.id = page.id ORDER BY e.at DESC, e.id DESC LIMIT ?`, append(all, limit, limit)
}

// AuditEntries lists entries, newest first.
func (o Org) AuditEntries(ctx context.Context, f AuditFilter) ([]AuditEntry, error) {
	q, args := auditQuery(o.id, f)
	return list(ctx, o.db.r, "audit entries", scanAuditEntry, q, args...)
}

// AuditOldest is the time of a connection's oldest entry, zero if it has none.
func (o Org) AuditOldest(ctx context.Context, conn ConnectionID) (time.Time, error) {
	at, err := one(ctx, o.db.r, "oldest audit entry", func(s scanner) (n sql.NullInt64, err error) {
		return n, s.Scan(&n)
	}, auditOldestQuery, conn, o.id)
	return timeOf(at), err
}

const auditOldestQuery = `SELECT (SELECT e.at FROM audit_entries e INDEXED BY audit_entries_connection
	WHERE e.connection_id = ? AND e.org_id = ? ORDER BY e.at, e.id LIMIT 1)`

// Each of the two steps from one name to the next in the index, however many
// entries have it.
const (
	auditWhoQuery = `WITH RECURSIVE names (v) AS (
			SELECT min(who_norm) FROM audit_entries WHERE org_id = ?1
			UNION ALL
			SELECT (SELECT min(e.who_norm) FROM audit_entries e WHERE e.org_id = ?1 AND e.who_norm > n.v) FROM names n WHERE n.v IS NOT NULL LIMIT ?2)
		SELECT v FROM names WHERE v <> ''`
	auditActionsQuery = `WITH RECURSIVE names (v) AS (
			SELECT min(action) FROM audit_entries WHERE org_id = ?1
			UNION ALL
			SELECT (SELECT min(e.action) FROM audit_entries e WHERE e.org_id = ?1 AND e.action > n.v) FROM names n WHERE n.v IS NOT NULL LIMIT ?2)
		SELECT v FROM names WHERE v <> ''`
)

// AuditWho lists who has entries, normalised and in order, at most limit.
func (o Org) AuditWho(ctx context.Context, limit int) ([]string, error) {
	return list(ctx, o.db.r, "people of the audit log", scanText, auditWhoQuery, o.id, limit+1)
}

// AuditActions lists the actions that entries have, in order, at most limit.
func (o Org) AuditActions(ctx context.Context, limit int) ([]string, error) {
	return list(ctx, o.db.r, "actions of the audit log", scanText, auditActionsQuery, o.id, limit+1)
}

// RecordingSession names one session of a recording; SessionID is empty for
// all of them.
type RecordingSession struct{ RecordingID, SessionID string }

func pairList(pairs []RecordingSession) string {
	out := make([][2]string, len(pairs))
	for i, p := range pairs {
		out[i] = [2]string{p.RecordingID, p.SessionID}
	}
	b, err := json.Marshal(out)
	if err != nil { // texts always marshal
		panic(err)
	}
	return string(b)
}

// RecordingCustomer is a customer whom a recording is known to be of. Of is the
// place in the list that was asked about.
type RecordingCustomer struct {
	Of          int
	Customer    CustomerID
	Name, Email string
}

const recordingCustomersQuery = `SELECT DISTINCT j.key, c.id, c.name, c.email FROM json_each(?) j
	CROSS JOIN highlight_sessions r ON r.org_id = ? AND r.recording_id = json_extract(j.value, '$[0]')
		AND (r.session_id = json_extract(j.value, '$[1]') OR r.session_id = '' OR json_extract(j.value, '$[1]') = '')
	CROSS JOIN highlights h ON h.id = r.highlight_id
	CROSS JOIN customers c ON c.id = h.customer_id AND c.org_id = r.org_id
	ORDER BY j.key, c.id LIMIT 1000`

// CustomersOfRecordings finds the customers of recordings, by their place in
// the list, at most 1000.
func (o Org) CustomersOfRecordings(ctx context.Context, pairs []RecordingSession) ([]RecordingCustomer, error) {
	return list(ctx, o.db.r, "customers of recordings", func(s scanner) (c RecordingCustomer, err error) {
		return c, s.Scan(&c.Of, &c.Customer, &c.Name, &c.Email)
	}, recordingCustomersQuery, pairList(pairs), o.id)
}

// Watcher is what somebody did about a recording. Of is the place in the list
// that was asked about, Times how often they did it, LastAt when last.
type Watcher struct {
	Of          int
	Who, Action string
	LastAt      time.Time
	Times       int64
}

const watchersQuery = `SELECT j.key, min(e.who), e.action, max(e.at), count(*) FROM json_each(?) j
	CROSS JOIN audit_entries e ON e.id IN (
		SELECT w.id FROM audit_entries w INDEXED BY audit_entries_recording
		WHERE w.org_id = ? AND w.recording_id = json_extract(j.value, '$[0]')
			AND (w.session_id = json_extract(j.value, '$[1]') OR w.session_id = '' OR json_extract(j.value, '$[1]') = '')
		ORDER BY w.at DESC, w.id DESC LIMIT 200)
	GROUP BY j.key, e.who_norm, e.action ORDER BY j.key, max(e.at) DESC, e.who_norm, e.action LIMIT 1000`

// Watchers sums up who did what about recordings, from the newest 200 entries
// about each, the last first.
func (o Org) Watchers(ctx context.Context, pairs []RecordingSession) ([]Watcher, error) {
	return list(ctx, o.db.r, "watchers", func(s scanner) (w Watcher, err error) {
		var at sql.NullInt64
		err = s.Scan(&w.Of, &w.Who, &w.Action, &at, &w.Times)
		w.LastAt = timeOf(at)
		return w, err
	}, watchersQuery, pairList(pairs), o.id)
}
