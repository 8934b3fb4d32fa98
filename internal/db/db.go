// Package db is Sightline's store: one SQLite file, every query that reads or
// writes it, and the wall between organizations.
//
// A tenant's rows are reached only through [DB.Org]; what crosses tenants says
// so in its name (…Unscoped). Another organization's row is [ErrNotFound], the
// same as one that never was. Times are unix milliseconds UTC in the file and
// [time.Time] in Go; the zero time is NULL.
package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Errors that callers tell apart with [errors.Is].
var (
	// ErrNotFound means that there is no such row in this organization.
	ErrNotFound = errors.New("not found")
	// ErrExists means that a unique value is taken.
	ErrExists = errors.New("already exists")
)

// DB is the open store. Its methods are safe for concurrent use.
type DB struct {
	path string // of the file, see FileSizes

	w *writer  // one connection: SQLite has one writer, and the queue shares it
	r *readers // read-only, as many as cores
	f *folder  // nil before Open has prepared the file

	generation *atomic.Uint64
	turns      turns       // of what is done in the background
	answers    keptAnswers // see keptReads
}

// pools opens the writer, which tells committed of what it wrote, and the readers
// of a file. It touches no file yet.
func pools(path string, committed chan<- struct{}) (*DB, error) {
	d := &DB{path: path, generation: &atomic.Uint64{}, turns: turns{asked: &atomic.Uint64{}, aloneAfter: 2 * time.Second}}
	w, err := newConnector(dsn(path, false), d.generation)
	if err != nil {
		return nil, fmt.Errorf("open the writer: %w", err)
	}
	w.committed = committed
	r, err := newConnector(dsn(path, true), nil)
	if err != nil {
		return nil, fmt.Errorf("open the readers: %w", err)
	}
	d.w, d.r = &writer{sql.OpenDB(w), &d.turns.people}, &readers{sql.OpenDB(r), d.turns.asked}
	d.w.SetMaxOpenConns(1)
	d.w.SetMaxIdleConns(1)
	d.r.SetMaxOpenConns(max(2, runtime.NumCPU()))
	d.r.SetMaxIdleConns(max(2, runtime.NumCPU()))
	return d, nil
}

// Org is one organization's part of the store.
type Org struct {
	db *DB
	id OrgID
}

// Org returns the handle to one organization's rows. It does not check that
// the organization exists; an unknown one simply has no rows.
func (d *DB) Org(id OrgID) Org { return Org{db: d, id: id} }

// ID is the organization that the handle belongs to.
func (o Org) ID() OrgID { return o.id }

// NewerError is a database that a newer Sightline has written. It is left as it
// was.
type NewerError struct{ Schema, Known int64 }

func (e *NewerError) Error() string {
	return fmt.Sprintf("the database was written by a newer Sightline (schema %d, this one knows %d); start that one, or restore a backup of before", e.Schema, e.Known)
}

// Open opens the database file at path, makes it and its directory if need be,
// and brings its schema up to date. The file is readable by its owner alone.
// One that a newer Sightline has written is a *NewerError.
func Open(ctx context.Context, path string) (*DB, error) {
	return OpenTelling(ctx, path, func(from, to int64) {})
}

// OpenTelling is Open, which calls upgrading before it brings a database that
// is in use from one schema to another: that may take minutes.
func OpenTelling(ctx context.Context, path string, upgrading func(from, to int64)) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	// Made by hand, because SQLite would make it as wide as the umask allows.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the database file: %w", err)
	}
	inUse := logsAhead(f)
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("close the database file: %w", err)
	}
	committed := make(chan struct{}, 1)
	d, err := pools(path, committed)
	if err != nil {
		return nil, err
	}
	// A connection reads the whole schema first: a reader does beside the writer.
	var reader sync.WaitGroup
	if inUse {
		reader.Go(func() { _, _ = d.MetaUnscoped(Background(ctx), "") })
	}
	err = prepare(ctx, d.w.DB, upgrading)
	reader.Wait()
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if d.f, err = newFolder(path, committed); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// logsAhead says whether a file is a database whose write-ahead log is on already,
// by the version that its header names: nobody may read while it is switched on.
func logsAhead(f *os.File) bool {
	header := make([]byte, 20)
	_, err := f.ReadAt(header, 0)
	return err == nil && header[18] == 2 && header[19] == 2
}

// dsn carries the pragmas, because a pragma sent with Exec reaches only one
// pooled connection. WAL is a property of the file and set once in prepare.
func dsn(path string, readOnly bool) string {
	v := url.Values{}
	v.Add("_pragma", "busy_timeout(5000)")
	v.Add("_pragma", "foreign_keys(1)")
	v.Add("_pragma", "synchronous(NORMAL)")
	v.Add("_pragma", "temp_store(MEMORY)")
	if readOnly {
		v.Add("_pragma", "query_only(1)")
		v.Add("_pragma", "cache_size(-16000)")
	} else {
		v.Add("_txlock", "immediate")
		v.Add("_pragma", "journal_size_limit(67108864)")
		v.Add("_pragma", "cache_size(-65536)")
		v.Add("_pragma", fmt.Sprintf("wal_autocheckpoint(%d)", foldAtLatest))
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: v.Encode()}).String()
}

func prepare(ctx context.Context, w *sql.DB, upgrading func(from, to int64)) error {
	if _, err := w.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return fmt.Errorf("switch to write-ahead logging: %w", err)
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, w, dir, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	switch from, to, err := p.GetVersions(ctx); {
	case err != nil:
		return fmt.Errorf("read the database's schema: %w", err)
	case from > to:
		return &NewerError{from, to}
	case from > 0 && from < to:
		upgrading(from, to)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	if err := countSessions(ctx, w); err != nil {
		return fmt.Errorf("count the sessions of before: %w", err)
	}
	return prepareQueue(ctx, w)
}

// queueSchema is the newest version of the queue's tables that its library knows.
const queueSchema = 6

// prepareQueue brings the queue's tables up to date. Its library takes as long to
// find out that there is nothing to do as the store takes to open.
func prepareQueue(ctx context.Context, w *sql.DB) error {
	has, err := one(ctx, w, "queue's version", scanInt, `SELECT coalesce(max(version), 0) FROM river_migration WHERE line = 'main'`)
	if err == nil && has == queueSchema { // at the first start there is no such table
		return nil
	}
	m, err := rivermigrate.New(riversqlite.New(w), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("read the queue's migrations: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate the queue: %w", err)
	}
	return nil
}

// Close closes the store; the queue must have stopped before.
func (d *DB) Close() error {
	// The readers first: the last connection to close folds the log into the
	// file, and only the writer may write.
	return errors.Join(d.f.close(), d.r.Close(), d.w.Close())
}

// Ping reports whether the store answers, for readiness checks.
func (d *DB) Ping(ctx context.Context) error {
	var one int
	return d.r.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

// Queue is the writer's pool, which the job queue shares: a second pool of
// writers on one file would starve the pages.
func (d *DB) Queue() *sql.DB { return d.w.DB }

// TxFunc does more work in the transaction that a method has open, such as
// putting a job into the queue. Its error undoes the whole transaction.
type TxFunc func(ctx context.Context, tx *sql.Tx, id int64) error

// write runs fn in one immediate transaction. No network call belongs in fn:
// nobody else can write meanwhile.
func (d *DB) write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := d.w.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (o Org) write(ctx context.Context, fn func(tx *sql.Tx) error) error { return o.db.write(ctx, fn) }

// ignoreDone drops the error of rolling back a transaction that a cancelled
// context has rolled back already.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// scanner is one row to be read.
type scanner interface{ Scan(dest ...any) error }

// led is a row whose first columns are for somebody else than who scans it.
type led struct {
	scanner
	first []any
}

// Scan reads the first columns and what is asked for.
func (l led) Scan(dest ...any) error { return l.scanner.Scan(append(l.first, dest...)...) }

// list reads every row of a query that bounds itself. Like one it is made anew
// for every type, so what needs no type is elsewhere.
func list[T any](ctx context.Context, q querier, what string, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	if k, ok := q.(keptReads); ok {
		v, err := k.answer(query, args, false, func() (any, int, error) {
			rows, err := list(ctx, k.readers, what, scan, query, args...)
			return rows, len(rows), err
		})
		if err != nil {
			return nil, err
		}
		return slices.Clone(v.([]T)), nil
	}
	var out []T
	err := eachRow(ctx, q, what, query, args, func(s scanner) error {
		v, err := scan(s)
		if err != nil {
			return err
		}
		if len(out) == 2 && cap(out) < 64 {
			out = append(make([]T, 0, 64), out...) // most lists are a page of 50, their rows large
		}
		out = append(out, v)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// eachRow gives scan every row of a query. It is the only place that loops over
// rows.
func eachRow(ctx context.Context, q querier, what, query string, args []any, scan func(scanner) error) (err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return wrap(what, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return wrap(what, err)
		}
	}
	if err := rows.Err(); err != nil {
		return wrap(what, err)
	}
	return nil
}

// one reads a single row, ErrNotFound if there is none.
func one[T any](ctx context.Context, q querier, what string, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	var zero T
	if k, ok := q.(keptReads); ok {
		v, err := k.answer(query, args, true, func() (any, int, error) {
			row, err := one(ctx, k.readers, what, scan, query, args...)
			return row, rowsOf(row), err
		})
		if err != nil {
			return zero, err
		}
		return v.(T), nil
	}
	v, err := scan(q.QueryRowContext(ctx, query, args...))
	if err != nil {
		return zero, wrap(what, err)
	}
	return v, nil
}

// exec runs a statement and says how many rows it touched.
func exec(ctx context.Context, q querier, what, query string, args ...any) (int64, error) {
	res, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, wrap(what, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, wrap(what, err)
	}
	return n, nil
}

// insert adds a row and returns its id.
func insert(ctx context.Context, q querier, what, query string, args ...any) (int64, error) {
	res, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, wrap(what, err)
	}
	id, err := res.LastInsertId()
	if err != nil {
		return 0, wrap(what, err)
	}
	return id, nil
}

// must turns "no row touched" into ErrNotFound.
func must(n int64, err error) error {
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// scanInt reads a single integer column.
func scanInt(s scanner) (int64, error) {
	var n int64
	err := s.Scan(&n)
	return n, err
}

// wrap maps driver errors by code, never by text.
func wrap(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	var se *sqlite.Error
	if errors.As(err, &se) {
		switch se.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return fmt.Errorf("%s: %w (%w)", what, ErrExists, err)
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// ms is a time as it is stored; the zero time is NULL.
func ms(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// timeOf is the reverse of ms.
func timeOf(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMilli(n.Int64).UTC()
}

// nullID stores the id 0 as NULL.
func nullID[T ~int64](id T) any {
	if id == 0 {
		return nil
	}
	return int64(id)
}

// stamp is a time to scan a column into; NULL is the zero time.
type stamp time.Time

// Scan reads unix milliseconds.
func (t *stamp) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*t = stamp{}
	case int64:
		*t = stamp(time.UnixMilli(v).UTC())
	default:
		return fmt.Errorf("a %T is no time", src)
	}
	return nil
}
