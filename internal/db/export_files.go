package db

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"
)

// The states of an export file.
const (
	ExportListed   = "listed"   // known, not here yet
	ExportFetching = "fetching" // coming
	ExportFetched  = "fetched"  // here, to be read
	ExportReading  = "reading"
	ExportRead     = "read"
	ExportFailed   = "failed"
	ExportSkipped  = "skipped" // for its size, say
	ExportCanceled = "canceled"
)

// The origins of an export file.
const (
	ExportFollowed = "followed"
	ExportUploaded = "uploaded"
)

// ExportFile is one file of events.
type ExportFile struct {
	ID         ExportFileID
	Org        OrgID
	Connection ConnectionID
	Origin     string
	// Key tells it from the others of its connection, Name is for people.
	Key, Name string
	// PageCursor, or PageDate if it is empty, asks for the page of the export list
	// that names it.
	PageCursor string
	PageDate   time.Time
	Author     UserID // who uploaded it, 0 for nobody
	AuthorName string
	State      string
	// Message says to a person why it is in its state.
	Message, ErrorKind string
	// Attempts counts those to get it that failed; NextAt is when to try again.
	Attempts int
	NextAt   time.Time
	// Size is of the whole file on the wire, -1 if that is not known; Received is
	// how much of it came, by the last look; Validator belongs to the version of
	// which that is.
	Size, Received int64
	Validator      string
	// Stored is how many bytes lie on disk, 0 for none.
	Stored                  int64
	Lines, BadLines, Events int64
	// Dropped is when the file itself was let go of, by a rule or a member.
	CreatedAt, FetchedAt, ReadAt, DroppedAt time.Time
}

const exportFileColumns = `f.id, f.org_id, f.connection_id, f.origin, f.key, f.name, f.page_cursor, f.page_date, coalesce(f.author_id, 0),
	coalesce((SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = f.author_id), ''), f.state, f.message, f.error_kind, f.attempts, f.next_at,
	f.size, f.received, f.validator, f.stored, f.lines, f.bad_lines, f.events, f.created_at, f.fetched_at, f.read_at, f.dropped_at`

func scanExportFile(s scanner) (ExportFile, error) {
	var f ExportFile
	var page, next, created, fetched, read, dropped sql.NullInt64
	err := s.Scan(&f.ID, &f.Org, &f.Connection, &f.Origin, &f.Key, &f.Name, &f.PageCursor, &page, &f.Author, &f.AuthorName, &f.State, &f.Message, &f.ErrorKind, &f.Attempts, &next,
		&f.Size, &f.Received, &f.Validator, &f.Stored, &f.Lines, &f.BadLines, &f.Events, &created, &fetched, &read, &dropped)
	f.PageDate = timeOf(page)
	f.NextAt, f.CreatedAt, f.FetchedAt, f.ReadAt, f.DroppedAt = timeOf(next), timeOf(created), timeOf(fetched), timeOf(read), timeOf(dropped)
	return f, err
}

// ExportTotals is what there is of a connection's files.
type ExportTotals struct {
	Connection ConnectionID
	// Files are all; each is Waiting (listed or on its way), Unread (here, not read
	// or being read), Done or Failed (skipped and canceled ones, too).
	Files, Waiting, Unread, Done, Failed int64
	// Received is bytes that came over the wire, Stored bytes on disk.
	Received, Stored        int64
	Lines, BadLines, Events int64
}

// totals is what a file adds to its connection's.
func (f ExportFile) totals() ExportTotals {
	t := ExportTotals{Files: 1, Received: f.Received, Stored: f.Stored, Lines: f.Lines, BadLines: f.BadLines, Events: f.Events}
	switch f.State {
	case ExportListed, ExportFetching:
		t.Waiting = 1
	case ExportFetched, ExportReading:
		t.Unread = 1
	case ExportRead:
		t.Done = 1
	default:
		t.Failed = 1
	}
	return t
}

func (t ExportTotals) minus(u ExportTotals) ExportTotals {
	return ExportTotals{
		Files: t.Files - u.Files, Waiting: t.Waiting - u.Waiting, Unread: t.Unread - u.Unread, Done: t.Done - u.Done, Failed: t.Failed - u.Failed,
		Received: t.Received - u.Received, Stored: t.Stored - u.Stored, Lines: t.Lines - u.Lines, BadLines: t.BadLines - u.BadLines, Events: t.Events - u.Events,
	}
}

const exportTotalsColumns = `connection_id, files, waiting, unread, done, failed, received, stored, lines, bad_lines, events`

func scanExportTotals(s scanner) (t ExportTotals, err error) {
	err = s.Scan(&t.Connection, &t.Files, &t.Waiting, &t.Unread, &t.Done, &t.Failed, &t.Received, &t.Stored, &t.Lines, &t.BadLines, &t.Events)
	return t, err
}

// addExportTotals changes a connection's totals inside the write that makes the
// difference.
func (o Org) addExportTotals(ctx context.Context, tx querier, conn ConnectionID, d ExportTotals) error {
	_, err := exec(ctx, tx, "export totals", `
		INSERT INTO export_totals AS t (connection_id, org_id, files, waiting, unread, done, failed, received, stored, lines, bad_lines, events)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (connection_id) DO UPDATE SET files = t.files + excluded.files, waiting = t.waiting + excluded.waiting,
			unread = t.unread + excluded.unread, done = t.done + excluded.done, failed = t.failed + excluded.failed,
			received = t.received + excluded.received, stored = t.stored + excluded.stored,
			lines = t.lines + excluded.lines, bad_lines = t.bad_lines + excluded.bad_lines, events = t.events + excluded.events`,
		conn, o.id, d.Files, d.Waiting, d.Unread, d.Done, d.Failed, d.Received, d.Stored, d.Lines, d.BadLines, d.Events)
	return err
}

// ExportTotals returns what there is of a connection's files; zeros, without
// the connection, if it has none.
func (o Org) ExportTotals(ctx context.Context, conn ConnectionID) (ExportTotals, error) {
	t, err := one(ctx, o.db.r, "export totals", scanExportTotals, `
		SELECT `+exportTotalsColumns+` FROM export_totals WHERE connection_id = ? AND org_id = ?`, conn, o.id)
	if errors.Is(err, ErrNotFound) {
		return ExportTotals{}, nil
	}
	return t, err
}

// ExportFile finds a file.
func (o Org) ExportFile(ctx context.Context, id ExportFileID) (ExportFile, error) {
	return one(ctx, o.db.r, "export file", scanExportFile, `
		SELECT `+exportFileColumns+` FROM export_files f WHERE f.id = ? AND f.org_id = ?`, id, o.id)
}

// ExportFilter selects files, newest first.
type ExportFilter struct {
	Connection ConnectionID // 0 for all
	// Trouble selects those that failed or were skipped.
	Trouble bool
	// Before, if not 0, is the last file of the page before.
	Before ExportFileID
	Limit  int // at most 1000
}

// ExportFiles lists files.
func (o Org) ExportFiles(ctx context.Context, q ExportFilter) ([]ExportFile, error) {
	query, args := exportFilesQuery(o.id, q)
	return list(ctx, o.db.r, "export files", scanExportFile, query, args...)
}

func exportFilesQuery(org OrgID, q ExportFilter) (string, []any) {
	where, args := "f.org_id = ?", []any{org}
	if q.Trouble {
		where += " AND f.state IN ('failed', 'skipped')"
	}
	if q.Connection != 0 { // its own index is the better one, and the only one that a plus leaves
		where, args = "+"+where+" AND f.connection_id = ?", append(args, q.Connection)
	}
	if q.Before != 0 {
		where, args = where+" AND f.id < ?", append(args, q.Before)
	}
	return `SELECT ` + exportFileColumns + ` FROM export_files f WHERE ` + where + ` ORDER BY f.id DESC LIMIT ?`, append(args, min(max(q.Limit, 0), 1000))
}

// DueExportFiles lists the files of a connection to be fetched by now: those that
// were not tried yet first, in the order in which they were listed.
func (o Org) DueExportFiles(ctx context.Context, conn ConnectionID, now time.Time, limit int) ([]ExportFile, error) {
	return list(ctx, o.db.r, "export files", scanExportFile, `
		SELECT `+exportFileColumns+` FROM export_files f INDEXED BY export_files_due
		WHERE f.connection_id = ? AND f.org_id = ? AND f.state = 'listed' AND f.next_at <= ? ORDER BY f.next_at, f.id LIMIT ?`, conn, o.id, ms(now), limit)
}

// WaitingExportFiles lists the files of a connection that are not here yet, at
// most limit.
func (o Org) WaitingExportFiles(ctx context.Context, conn ConnectionID, limit int) ([]ExportFile, error) {
	return list(ctx, o.db.r, "export files", scanExportFile, `
		SELECT `+exportFileColumns+` FROM export_files f INDEXED BY export_files_due
		WHERE f.connection_id = ? AND f.org_id = ? AND f.state = 'listed' ORDER BY f.next_at, f.id LIMIT ?`, conn, o.id, limit)
}

// NextExportFileAt is when the next file of a connection is to be fetched; zero
// if there is none.
func (o Org) NextExportFileAt(ctx context.Context, conn ConnectionID) (time.Time, error) {
	at, err := one(ctx, o.db.r, "export files", func(s scanner) (at sql.NullInt64, err error) { return at, s.Scan(&at) }, `
		SELECT min(f.next_at) FROM export_files f INDEXED BY export_files_due WHERE f.connection_id = ? AND f.org_id = ? AND f.state = 'listed'`, conn, o.id)
	return timeOf(at), err
}

// ReadExportFiles lists the files of a connection that lie on disk and were
// read before a time and are not to be read again, the longest read first.
func (o Org) ReadExportFiles(ctx context.Context, conn ConnectionID, before time.Time, limit int) ([]ExportFile, error) {
	return list(ctx, o.db.r, "export files", scanExportFile, `
		SELECT `+exportFileColumns+` FROM export_files f INDEXED BY export_files_stored
		WHERE f.connection_id = ? AND f.org_id = ? AND f.stored > 0 AND f.read_at < ? AND f.state IN ('read', 'failed') ORDER BY f.read_at, f.id LIMIT ?`, conn, o.id, ms(before), limit)
}

// OpenExportFilesUnscoped lists the files of all organizations that are on their
// way, by id, after the given one.
func (d *DB) OpenExportFilesUnscoped(ctx context.Context, after ExportFileID, limit int) ([]ExportFile, error) {
	return list(ctx, d.r, "export files", scanExportFile, `
		SELECT `+exportFileColumns+` FROM export_files f
		WHERE f.id > ? AND f.state IN ('fetching', 'fetched', 'reading') ORDER BY f.id LIMIT ?`, after, limit)
}

// AddExportFile stores a file that a member uploads, in the state fetching, for
// a LogRocket connection in use. If one with the key is there it returns that,
// and added is false.
func (o Org) AddExportFile(ctx context.Context, f ExportFile) (out ExportFile, added bool, err error) {
	err = o.write(ctx, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, "export file", `
			INSERT INTO export_files (org_id, connection_id, origin, key, name, author_id, state, size, created_at)
			SELECT org_id, id, 'uploaded', ?, ?, ?, 'fetching', ?, ? FROM connections
			WHERE id = ? AND org_id = ? AND vendor = 'logrocket' AND removed_at IS NULL
			ON CONFLICT (connection_id, key) DO NOTHING`, f.Key, f.Name, nullID(f.Author), f.Size, ms(f.CreatedAt), f.Connection, o.id)
		if err != nil {
			return err
		}
		if added = n > 0; added {
			if err := o.addExportTotals(ctx, tx, f.Connection, ExportTotals{Files: 1, Waiting: 1}); err != nil {
				return err
			}
		}
		out, err = one(ctx, tx, "export file", scanExportFile, `
			SELECT `+exportFileColumns+` FROM export_files f WHERE f.connection_id = ? AND f.key = ? AND f.org_id = ?`, f.Connection, f.Key, o.id)
		return err
	})
	return out, added, err
}

// ChangeExportFile changes a file that is in one of the states, and its
// connection's totals with it. ErrNotFound: it is not, any more. change may not
// touch what a file is known by. then, if not nil, runs in the same transaction
// with the file's id.
func (o Org) ChangeExportFile(ctx context.Context, id ExportFileID, states []string, change func(f *ExportFile), then TxFunc) (ExportFile, error) {
	var out ExportFile
	err := o.write(ctx, func(tx *sql.Tx) error {
		var err error
		out, err = o.changeExportFile(ctx, tx, id, states, change)
		if err != nil || then == nil {
			return err
		}
		return then(ctx, tx, int64(id))
	})
	return out, err
}

// changeExportFile is ChangeExportFile inside another write.
func (o Org) changeExportFile(ctx context.Context, tx *sql.Tx, id ExportFileID, states []string, change func(f *ExportFile)) (ExportFile, error) {
	f, err := one(ctx, tx, "export file", scanExportFile, `SELECT `+exportFileColumns+` FROM export_files f WHERE f.id = ? AND f.org_id = ?`, id, o.id)
	if err != nil {
		return f, err
	}
	if !slices.Contains(states, f.State) {
		return f, wrap("export file", sql.ErrNoRows)
	}
	before := f.totals()
	change(&f)
	err = must(exec(ctx, tx, "export file", `
		UPDATE export_files SET state = ?, message = ?, error_kind = ?, attempts = ?, next_at = coalesce(?, 0), size = ?, received = ?, validator = ?, stored = ?,
			lines = ?, bad_lines = ?, events = ?, fetched_at = ?, read_at = ?, dropped_at = ?
		WHERE id = ? AND org_id = ?`, f.State, f.Message, f.ErrorKind, f.Attempts, ms(f.NextAt), f.Size, f.Received, f.Validator, f.Stored,
		f.Lines, f.BadLines, f.Events, ms(f.FetchedAt), ms(f.ReadAt), ms(f.DroppedAt), id, o.id))
	if err != nil {
		return f, err
	}
	if d := f.totals().minus(before); d != (ExportTotals{}) {
		err = o.addExportTotals(ctx, tx, f.Connection, d)
	}
	return f, err
}
