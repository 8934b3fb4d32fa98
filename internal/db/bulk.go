package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The states of a bulk edit.
const (
	BulkUploading = "uploading" // its file is coming in
	BulkUploaded  = "uploaded"  // its columns wait to be named
	BulkPlanning  = "planning"  // the dry run goes through its lines
	BulkPlanned   = "planned"   // the dry run can be read
	BulkRunning   = "running"   // its lines are sent, one after the other
	BulkPaused    = "paused"    // goes on only when a member says so
	BulkDone      = "done"
	BulkCancelled = "cancelled"
)

// Bulk is a change to the traits of many LogRocket users.
type Bulk struct {
	ID         BulkID
	Org        OrgID
	Connection ConnectionID
	Author     UserID
	AuthorName string // as it is now; empty if unknown
	// UndoOf is the bulk edit that this one takes back, or 0.
	UndoOf   BulkID
	FileName string
	Bytes    int64
	// Format and Mapping are JSON: how the file is written, what its columns mean.
	Format, Mapping string
	Reason          string
	Rate            int // lines a second at most
	State, Message  string
	// Line is how far the dry run has read.
	Line int
	// Lines by state. Those being sent count as ready.
	Ready, Same, Faults, Sent, Failed, Unknown int
	Streak                                     int // of failures in a row
	// StretchAt is when it last began to send, StretchDone how many were by then.
	StretchAt                                   time.Time
	StretchDone                                 int
	CreatedAt, UpdatedAt, StartedAt, FinishedAt time.Time
}

const bulkColumns = `b.id, b.org_id, b.connection_id, coalesce(b.author_id, 0),
	coalesce((SELECT coalesce(nullif(p.name, ''), p.email) FROM users p WHERE p.id = b.author_id), ''),
	coalesce(b.undo_of, 0), b.file_name, b.bytes, b.format, b.mapping, b.reason, b.rate, b.state, b.message, b.line,
	b.ready, b.same, b.faults, b.sent, b.failed, b.unknown, b.streak, b.stretch_at, b.stretch_done,
	b.created_at, b.updated_at, b.started_at, b.finished_at`

func scanBulk(s scanner) (Bulk, error) {
	var b Bulk
	var stretch, created, updated, started, finished sql.NullInt64
	err := s.Scan(&b.ID, &b.Org, &b.Connection, &b.Author, &b.AuthorName, &b.UndoOf, &b.FileName, &b.Bytes, &b.Format, &b.Mapping,
		&b.Reason, &b.Rate, &b.State, &b.Message, &b.Line, &b.Ready, &b.Same, &b.Faults, &b.Sent, &b.Failed, &b.Unknown,
		&b.Streak, &stretch, &b.StretchDone, &created, &updated, &started, &finished)
	b.StretchAt, b.CreatedAt, b.UpdatedAt = timeOf(stretch), timeOf(created), timeOf(updated)
	b.StartedAt, b.FinishedAt = timeOf(started), timeOf(finished)
	return b, err
}

// NewBulk is a bulk edit to be stored. Its state is uploading, or planning if
// it takes back UndoOf.
type NewBulk struct {
	Connection ConnectionID
	Author     UserID
	UndoOf     BulkID
	FileName   string
	FormToken  string
	At         time.Time
}

// AddBulk stores a bulk edit and runs after, if it is not nil, in the same
// transaction. A form token that was used already returns the edit that it made
// instead: added says so. A connection that is not a LogRocket one in use here,
// or an UndoOf of another organization, is ErrNotFound.
func (o Org) AddBulk(ctx context.Context, n NewBulk, after TxFunc) (b Bulk, added bool, err error) {
	err = o.write(ctx, func(tx *sql.Tx) error {
		var err error
		b, err = one(ctx, tx, "bulk edit", scanBulk, `
			SELECT `+bulkColumns+` FROM bulk_edits b WHERE b.org_id = ? AND b.form_token = ?`, o.id, n.FormToken)
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		if _, err := one(ctx, tx, "connection", scanInt, `
			SELECT id FROM connections WHERE id = ? AND org_id = ? AND vendor = 'logrocket' AND removed_at IS NULL`, n.Connection, o.id); err != nil {
			return err
		}
		state := BulkUploading
		if n.UndoOf != 0 {
			state = BulkPlanning
			if _, err := one(ctx, tx, "bulk edit", scanInt, `SELECT id FROM bulk_edits WHERE id = ? AND org_id = ?`, n.UndoOf, o.id); err != nil {
				return err
			}
		}
		id, err := insert(ctx, tx, "bulk edit", `
			INSERT INTO bulk_edits (org_id, connection_id, author_id, undo_of, form_token, file_name, state, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			o.id, n.Connection, nullID(n.Author), nullID(n.UndoOf), n.FormToken, n.FileName, state, ms(n.At), ms(n.At))
		if err != nil {
			return err
		}
		added = true
		if after != nil {
			if err := after(ctx, tx, id); err != nil {
				return err
			}
		}
		b, err = one(ctx, tx, "bulk edit", scanBulk, `SELECT `+bulkColumns+` FROM bulk_edits b WHERE b.id = ? AND b.org_id = ?`, id, o.id)
		return err
	})
	return b, added, err
}

// Bulk reads a bulk edit.
func (o Org) Bulk(ctx context.Context, id BulkID) (Bulk, error) {
	return one(ctx, o.db.r, "bulk edit", scanBulk, `SELECT `+bulkColumns+` FROM bulk_edits b WHERE b.id = ? AND b.org_id = ?`, id, o.id)
}

// Bulks lists bulk edits older than before (0 for all), newest first, at most
// limit.
func (o Org) Bulks(ctx context.Context, before BulkID, limit int) ([]Bulk, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	return list(ctx, o.db.r, "bulk edits", scanBulk, `
		SELECT `+bulkColumns+` FROM bulk_edits b
		WHERE b.org_id = ? AND b.id < ? ORDER BY b.id DESC LIMIT ?`, o.id, before, min(max(limit, 1), 500))
}

// AddBulkPart stores the next part of a file that is coming in.
func (o Org) AddBulkPart(ctx context.Context, id BulkID, part int, data []byte) error {
	return must(exec(ctx, o.db.w, "part of a file", `
		INSERT INTO bulk_parts (bulk_id, part, org_id, data)
		SELECT id, ?, org_id, ? FROM bulk_edits WHERE id = ? AND org_id = ? AND state = 'uploading'`, part, data, id, o.id))
}

// BulkPart reads a part of a file, from 0 on; behind the last it is ErrNotFound.
func (o Org) BulkPart(ctx context.Context, id BulkID, part int) ([]byte, error) {
	return one(ctx, o.db.r, "part of a file", func(s scanner) (data []byte, err error) { return data, s.Scan(&data) }, `
		SELECT data FROM bulk_parts WHERE bulk_id = ? AND part = ? AND org_id = ?`, id, part, o.id)
}

// EndBulkUpload says that a file is here whole.
func (o Org) EndBulkUpload(ctx context.Context, id BulkID, bytes int64, format string, at time.Time) error {
	return must(exec(ctx, o.db.w, "bulk edit", `
		UPDATE bulk_edits SET state = 'uploaded', bytes = ?, format = ?, updated_at = ?
		WHERE id = ? AND org_id = ? AND state = 'uploading'`, bytes, format, ms(at), id, o.id))
}

// SetBulkFormat says anew how a file is written, as long as nothing of it was
// sent.
func (o Org) SetBulkFormat(ctx context.Context, id BulkID, format string, at time.Time) error {
	return must(exec(ctx, o.db.w, "bulk edit", `
		UPDATE bulk_edits SET state = 'uploaded', format = ?, updated_at = ?
		WHERE id = ? AND org_id = ? AND undo_of IS NULL AND state IN ('uploaded', 'planned')`, format, ms(at), id, o.id))
}

// PlanBulk has the dry run go through a file, from its first line, and runs
// after in the same transaction.
func (o Org) PlanBulk(ctx context.Context, id BulkID, mapping string, at time.Time, after TxFunc) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "bulk edit", `
			UPDATE bulk_edits SET state = 'planning', mapping = ?, message = '', line = 0, ready = 0, same = 0, faults = 0, updated_at = ?
			WHERE id = ? AND org_id = ? AND state IN ('uploaded', 'planned')`, mapping, ms(at), id, o.id)); err != nil {
			return err
		}
		return after(ctx, tx, int64(id))
	})
}

// DropBulkLines takes at most limit lines off a bulk edit that waits for its
// dry run or is cancelled without having sent any, and says how many.
func (o Org) DropBulkLines(ctx context.Context, id BulkID, limit int) (int64, error) {
	return exec(ctx, o.db.w, "bulk lines", `
		DELETE FROM bulk_lines WHERE bulk_id = ?1 AND org_id = ?2 AND line IN (
			SELECT l.line FROM bulk_lines l JOIN bulk_edits b ON b.id = l.bulk_id
			WHERE l.bulk_id = ?1 AND (b.state = 'planning' AND b.line = 0 OR b.state = 'cancelled' AND b.started_at IS NULL)
			ORDER BY l.line LIMIT ?3)`, id, o.id, limit)
}

// BulkLine is what a line of a file does to one user.
type BulkLine struct {
	Line   int // as counted in the file
	UserID string
	// State is fault, same, ready, sending, sent, failed or unknown.
	State   string
	Message string // what is wrong with it, or what was answered
	Changes []TraitChange
	Seen    TraitEditID // the user's newest edit by the dry run
	Undoes  TraitEditID // what it takes back, or 0
	Edit    TraitEditID // what was made of it, or 0
	// Customer is whom Edit is about.
	Customer CustomerID
}

const bulkLineColumns = `line, user_id, state, message, changes, seen, coalesce(undoes_id, 0), coalesce(edit_id, 0),
	coalesce((SELECT e.customer_id FROM trait_edits e WHERE e.id = edit_id), 0)`

func scanBulkLine(s scanner) (BulkLine, error) {
	var l BulkLine
	var changes string
	err := s.Scan(&l.Line, &l.UserID, &l.State, &l.Message, &changes, &l.Seen, &l.Undoes, &l.Edit, &l.Customer)
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal([]byte(changes), &l.Changes); err != nil {
		return l, fmt.Errorf("read what line %d changes: %w", l.Line, err)
	}
	return l, nil
}

// AddBulkLines stores what the dry run found in the lines behind from, up to
// upTo. ErrNotFound if it is not there any more: another took over.
func (o Org) AddBulkLines(ctx context.Context, id BulkID, from, upTo int, lines []BulkLine, at time.Time) error {
	count := map[string]int{}
	for _, l := range lines {
		count[l.State]++
	}
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "bulk edit", `
			UPDATE bulk_edits SET line = ?, ready = ready + ?, same = same + ?, faults = faults + ?, updated_at = ?
			WHERE id = ? AND org_id = ? AND state = 'planning' AND line = ?`,
			upTo, count["ready"], count["same"], count["fault"], ms(at), id, o.id, from)); err != nil {
			return err
		}
		for _, l := range lines {
			changes, err := json.Marshal(l.Changes)
			if err != nil {
				return fmt.Errorf("write what line %d changes: %w", l.Line, err)
			}
			if l.Changes == nil {
				changes = []byte("[]")
			}
			if _, err := exec(ctx, tx, "bulk line", `
				INSERT INTO bulk_lines (bulk_id, line, org_id, user_id, state, message, changes, seen, undoes_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				id, l.Line, o.id, l.UserID, l.State, l.Message, string(changes), l.Seen, nullID(l.Undoes)); err != nil {
				return err
			}
		}
		return nil
	})
}

// EndBulkPlan says that the dry run is through, or that it broke: then it has
// to be made again, and an undo is cancelled.
func (o Org) EndBulkPlan(ctx context.Context, id BulkID, whole bool, message string, at time.Time) error {
	return must(exec(ctx, o.db.w, "bulk edit", `
		UPDATE bulk_edits SET state = CASE WHEN ? THEN 'planned' WHEN undo_of IS NULL THEN 'uploaded' ELSE 'cancelled' END, message = ?, updated_at = ?
		WHERE id = ? AND org_id = ? AND state = 'planning'`,
		whole, message, ms(at), id, o.id))
}

// BulkUserState is what is known of a LogRocket user whom a line names.
type BulkUserState struct {
	UserID, Name, Email string
	Known               bool
	Seen                TraitEditID
	Open                bool // an edit of theirs has not ended
	Traits              map[string]string
}

const bulkUsersQuery = `
	SELECT u.user_id, u.name, u.email, u.answered_at IS NOT NULL,
		coalesce((SELECT max(e.id) FROM trait_edits e WHERE e.logrocket_user_id = u.id), 0),
		EXISTS (SELECT 1 FROM trait_edits e WHERE e.logrocket_user_id = u.id AND e.state IN ('queued', 'sending')),
		coalesce((SELECT json_group_object(t.key, t.value) FROM traits t WHERE t.logrocket_user_id = u.id), '{}')
	FROM json_each(?) j CROSS JOIN logrocket_users u ON u.connection_id = ? AND u.user_id = j.value
	WHERE u.org_id = ? LIMIT 5000`

// BulkUsers reads what is known of the users of a connection that lines name;
// of more than 2000 ids the first are looked at.
func (o Org) BulkUsers(ctx context.Context, conn ConnectionID, userIDs []string) ([]BulkUserState, error) {
	return list(ctx, o.db.r, "LogRocket users", func(s scanner) (BulkUserState, error) {
		var u BulkUserState
		var traits string
		if err := s.Scan(&u.UserID, &u.Name, &u.Email, &u.Known, &u.Seen, &u.Open, &traits); err != nil {
			return u, err
		}
		return u, json.Unmarshal([]byte(traits), &u.Traits)
	}, bulkUsersQuery, jsonList(userIDs), conn, o.id)
}

const bulkDoublesQuery = `
	SELECT l.user_id, l.line FROM json_each(?) j CROSS JOIN bulk_lines l INDEXED BY bulk_lines_user ON l.bulk_id = ? AND l.user_id = j.value AND l.state <> 'fault'
	WHERE l.org_id = ? LIMIT 5000`

// BulkNamed is a user whom a line names.
type BulkNamed struct {
	UserID string
	Line   int
}

// BulkDoubles finds the lines that name one of the users already; of more than
// 2000 ids the first are looked at.
func (o Org) BulkDoubles(ctx context.Context, id BulkID, userIDs []string) ([]BulkNamed, error) {
	return list(ctx, o.db.r, "bulk lines", func(s scanner) (n BulkNamed, err error) {
		return n, s.Scan(&n.UserID, &n.Line)
	}, bulkDoublesQuery, jsonList(userIDs), id, o.id)
}

// BulkEmail is a user of LogRocket whom an email leads to.
type BulkEmail struct{ Email, UserID string }

const bulkEmailsQuery = `
	SELECT e.value_norm, r.value
	FROM json_each(?1) j
	CROSS JOIN identities e ON e.org_id = ?2 AND e.value_norm = j.value AND e.kind = 'email'
	CROSS JOIN identities r ON r.customer_id = e.customer_id AND r.kind = 'logrocket_user' AND r.connection_id = ?3
	WHERE +r.org_id = ?2
	LIMIT 5000`

// BulkEmails finds the users of a connection whom emails, as Normalize makes
// them, lead to. One email may lead to several, and to one more than once; of more than
// 2000 the first are looked at.
func (o Org) BulkEmails(ctx context.Context, conn ConnectionID, emails []string) ([]BulkEmail, error) {
	return list(ctx, o.db.r, "emails", func(s scanner) (e BulkEmail, err error) {
		return e, s.Scan(&e.Email, &e.UserID)
	}, bulkEmailsQuery, jsonList(emails), o.id, conn)
}

// BulkLines lists the lines behind after, in order, at most limit: all, or
// those of one state.
func (o Org) BulkLines(ctx context.Context, id BulkID, state string, after, limit int) ([]BulkLine, error) {
	if state == "" {
		return list(ctx, o.db.r, "bulk lines", scanBulkLine, `
			SELECT `+bulkLineColumns+` FROM bulk_lines WHERE bulk_id = ? AND org_id = ? AND line > ? ORDER BY line LIMIT ?`,
			id, o.id, after, min(max(limit, 1), 1000))
	}
	return list(ctx, o.db.r, "bulk lines", scanBulkLine, `
		SELECT `+bulkLineColumns+` FROM bulk_lines WHERE bulk_id = ? AND org_id = ? AND state = ? AND line > ? ORDER BY line LIMIT ?`,
		id, o.id, state, after, min(max(limit, 1), 1000))
}
