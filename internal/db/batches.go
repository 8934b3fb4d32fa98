package db

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// The states of a batch.
const (
	BatchDraft     = "draft"   // can be looked at
	BatchRunning   = "running" // its customers are asked about, some at a time
	BatchPaused    = "paused"  // goes on only when a member says so
	BatchDone      = "done"
	BatchCancelled = "cancelled"
)

// Batch is one question to LogRocket about many customers.
type Batch struct {
	ID         BatchID
	Org        OrgID
	Connection ConnectionID
	Author     UserID
	AuthorName string // as it is now; empty if unknown
	// Source is where its customers come from, in words.
	Source   string
	Question string
	// Start and End bound what is looked at, or are both zero. Last, if not 0, is
	// the length of a range that ends when asking begins.
	Start, End time.Time
	Last       time.Duration
	// Pace is the least time between two requests, InFlight how many are open at
	// most. An answer to the same that is younger than Reuse is taken instead.
	Pace, Reuse time.Duration
	InFlight    int
	// Format is JSON: how the file of a draft is written.
	Format         string
	State, Message string
	Streak         int // of failures in a row
	// AskedAt is when the last request was handed out, zero if none was.
	AskedAt, CreatedAt, UpdatedAt, StartedAt, FinishedAt time.Time
}

const batchColumns = `b.id, b.org_id, b.connection_id, coalesce(b.author_id, 0),
	coalesce((SELECT coalesce(nullif(p.name, ''), p.email) FROM users p WHERE p.id = b.author_id), ''),
	b.source, b.question, b.range_start, b.range_end, b.range_ms, b.pace_ms, b.in_flight, b.reuse_ms, b.format, b.state, b.message, b.streak,
	b.asked_at, b.created_at, b.updated_at, b.started_at, b.finished_at`

func scanBatch(s scanner) (Batch, error) {
	var b Batch
	var start, end, asked, created, updated, started, finished sql.NullInt64
	var last, pace, reuse int64
	err := s.Scan(&b.ID, &b.Org, &b.Connection, &b.Author, &b.AuthorName, &b.Source, &b.Question, &start, &end, &last, &pace, &b.InFlight, &reuse,
		&b.Format, &b.State, &b.Message, &b.Streak, &asked, &created, &updated, &started, &finished)
	b.Start, b.End = timeOf(start), timeOf(end)
	b.Last, b.Pace, b.Reuse = time.Duration(last)*time.Millisecond, time.Duration(pace)*time.Millisecond, time.Duration(reuse)*time.Millisecond
	b.AskedAt, b.CreatedAt, b.UpdatedAt = timeOf(asked), timeOf(created), timeOf(updated)
	b.StartedAt, b.FinishedAt = timeOf(started), timeOf(finished)
	return b, err
}

// Batch reads a batch.
func (o Org) Batch(ctx context.Context, id BatchID) (Batch, error) {
	return one(ctx, o.db.r, "batch", scanBatch, `SELECT `+batchColumns+` FROM batches b WHERE b.id = ? AND b.org_id = ?`, id, o.id)
}

// Batches lists batches older than before (0 for all), newest first, at most
// limit.
func (o Org) Batches(ctx context.Context, before BatchID, limit int) ([]Batch, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	return list(ctx, o.db.r, "batches", scanBatch, `
		SELECT `+batchColumns+` FROM batches b
		WHERE b.org_id = ? AND b.id < ? ORDER BY b.id DESC LIMIT ?`, o.id, before, min(max(limit, 1), 500))
}

// NewBatch is a draft to be stored.
type NewBatch struct {
	Connection       ConnectionID
	Author           UserID
	Source, Question string
	Start, End       time.Time
	Last             time.Duration
	// File is what the customers were read from, as Format says; nil if they come
	// from elsewhere.
	File      []byte
	Format    string
	FormToken string
	// Replaces is a draft that goes, 0 for none; one that is no draft stays.
	Replaces BatchID
	At       time.Time
}

// NewBatchItem is a customer of a draft. State is waiting, fault or double.
type NewBatchItem struct {
	Line                        int
	Typed, SubjectKind, Subject string
	Customer                    CustomerID
	State, Message              string
}

// AddBatch stores a draft with its items. A form token that was used already
// returns the batch that it made instead: added says so. A connection that is
// not a LogRocket one in use here, or a customer who is not here, is
// ErrNotFound.
func (o Org) AddBatch(ctx context.Context, n NewBatch, items []NewBatchItem) (b Batch, added bool, err error) {
	err = o.write(ctx, func(tx *sql.Tx) error {
		var err error
		b, err = one(ctx, tx, "batch", scanBatch, `
			SELECT `+batchColumns+` FROM batches b WHERE b.org_id = ? AND b.form_token = ?`, o.id, n.FormToken)
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		if _, err := one(ctx, tx, "connection", scanInt, `
			SELECT id FROM connections WHERE id = ? AND org_id = ? AND vendor = 'logrocket' AND removed_at IS NULL`, n.Connection, o.id); err != nil {
			return err
		}
		id, err := insert(ctx, tx, "batch", `
			INSERT INTO batches (org_id, connection_id, author_id, form_token, source, question, range_start, range_end, range_ms, format, state, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'draft', ?, ?)`,
			o.id, n.Connection, nullID(n.Author), n.FormToken, n.Source, n.Question, ms(n.Start), ms(n.End), n.Last.Milliseconds(), n.Format, ms(n.At), ms(n.At))
		if err != nil {
			return err
		}
		added = true
		if n.File != nil {
			if _, err := exec(ctx, tx, "file", `INSERT INTO batch_files (batch_id, org_id, data) VALUES (?, ?, ?)`, id, o.id, n.File); err != nil {
				return err
			}
		}
		if err := o.addBatchItems(ctx, tx, BatchID(id), items); err != nil {
			return err
		}
		if n.Replaces != 0 {
			if err := o.dropDraft(ctx, tx, n.Replaces); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		b, err = one(ctx, tx, "batch", scanBatch, `SELECT `+batchColumns+` FROM batches b WHERE b.id = ? AND b.org_id = ?`, id, o.id)
		return err
	})
	return b, added, err
}

func (o Org) addBatchItems(ctx context.Context, tx *sql.Tx, id BatchID, items []NewBatchItem) error {
	for i, it := range items {
		if it.Customer != 0 {
			if _, err := one(ctx, tx, "customer", scanInt, `SELECT id FROM customers WHERE id = ? AND org_id = ?`, it.Customer, o.id); err != nil {
				return err
			}
		}
		if _, err := exec(ctx, tx, "batch item", `
			INSERT INTO batch_items (batch_id, position, org_id, line, typed, subject_kind, subject, customer_id, state, message)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			id, i+1, o.id, it.Line, it.Typed, it.SubjectKind, it.Subject, nullID(it.Customer), it.State, it.Message); err != nil {
			return err
		}
	}
	return nil
}

// BatchFile reads the file of a draft; ErrNotFound if it has none.
func (o Org) BatchFile(ctx context.Context, id BatchID) ([]byte, error) {
	return one(ctx, o.db.r, "file", func(s scanner) (data []byte, err error) { return data, s.Scan(&data) }, `
		SELECT data FROM batch_files WHERE batch_id = ? AND org_id = ?`, id, o.id)
}

// RereadBatch replaces the items of a draft, because its file is written in
// another way than was thought. One that is no draft is ErrNotFound.
func (o Org) RereadBatch(ctx context.Context, id BatchID, format string, items []NewBatchItem, at time.Time) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "batch", `
			UPDATE batches SET format = ?, updated_at = ? WHERE id = ? AND org_id = ? AND state = 'draft'`, format, ms(at), id, o.id)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, "batch items", `DELETE FROM batch_items WHERE batch_id = ? AND org_id = ?`, id, o.id); err != nil {
			return err
		}
		return o.addBatchItems(ctx, tx, id, items)
	})
}

// DropBatch takes a draft away; any other is ErrNotFound.
func (o Org) DropBatch(ctx context.Context, id BatchID) error {
	return o.write(ctx, func(tx *sql.Tx) error { return o.dropDraft(ctx, tx, id) })
}

// StaleDrafts lists the drafts that nobody has changed since, oldest first, at
// most 50.
func (o Org) StaleDrafts(ctx context.Context, since time.Time) ([]BatchID, error) {
	return list(ctx, o.db.r, "drafts", func(s scanner) (id BatchID, err error) { return id, s.Scan(&id) }, `
		SELECT id FROM batches WHERE org_id = ? AND state = 'draft' AND updated_at < ? ORDER BY id LIMIT 50`, o.id, ms(since))
}

func (o Org) dropDraft(ctx context.Context, tx *sql.Tx, id BatchID) error {
	if _, err := one(ctx, tx, "batch", scanInt, `SELECT id FROM batches WHERE id = ? AND org_id = ? AND state = 'draft'`, id, o.id); err != nil {
		return err
	}
	for _, query := range []string{
		`DELETE FROM batch_files WHERE batch_id = ? AND org_id = ?`,
		`DELETE FROM batch_items WHERE batch_id = ? AND org_id = ?`,
		`DELETE FROM batches WHERE id = ? AND org_id = ?`,
	} {
		if _, err := exec(ctx, tx, "draft", query, id, o.id); err != nil {
			return err
		}
	}
	return nil
}

// BatchEmail is a customer whom an email, as Normalize makes it, belongs to.
type BatchEmail struct {
	Email    string
	Customer CustomerID
}

const batchEmailsQuery = `
	SELECT i.value_norm, i.customer_id FROM json_each(?) j
	CROSS JOIN identities i ON i.org_id = ? AND i.value_norm = j.value AND i.kind = 'email'
	LIMIT 5000`

// BatchEmails finds the customers whom emails, as Normalize makes them, belong
// to; at most 5000.
func (o Org) BatchEmails(ctx context.Context, emails []string) ([]BatchEmail, error) {
	return list(ctx, o.db.r, "emails", func(s scanner) (e BatchEmail, err error) {
		return e, s.Scan(&e.Email, &e.Customer)
	}, batchEmailsQuery, jsonList(emails), o.id)
}

// BatchPerson is how LogRocket may know a customer: by email, else by the user
// id that was last seen; both may be empty.
type BatchPerson struct {
	Customer            CustomerID
	Name, Email, UserID string
}

const batchPeopleQuery = `
	SELECT c.id, c.name, c.email, coalesce((
		SELECT i.value FROM identities i WHERE i.customer_id = c.id AND i.kind = 'logrocket_user' AND i.connection_id = ? ORDER BY i.id DESC LIMIT 1), '')
	FROM json_each(?) j CROSS JOIN customers c ON c.id = j.value
	WHERE c.org_id = ? LIMIT 5000`

// BatchPeople reads how LogRocket may know customers through a connection, in
// any order.
func (o Org) BatchPeople(ctx context.Context, conn ConnectionID, ids []CustomerID) ([]BatchPerson, error) {
	return list(ctx, o.db.r, "customers", func(s scanner) (p BatchPerson, err error) {
		return p, s.Scan(&p.Customer, &p.Name, &p.Email, &p.UserID)
	}, batchPeopleQuery, conn, jsonList(ids), o.id)
}
