package db

import (
	lru "container/list"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"modernc.org/sqlite"
)

// keptStatements is how many prepared statements a connection keeps: more than
// the package has, so that only lists of many lengths push each other out.
const keptStatements = 400

// connector opens connections of modernc's driver that prepare each statement
// once and keep it: parsing and planning cost more than most of our queries
// themselves. Prepared statements notice a changed schema by themselves.
type connector struct {
	driver.Connector
	// writes counts what was written through it, see [DB.Generation]; nil for
	// reads.
	writes *atomic.Uint64
	// committed is told after each commit, see [folder]; nil for reads.
	committed chan<- struct{}
}

func newConnector(dsn string, writes *atomic.Uint64) (connector, error) {
	c, err := sqlite.NewConnector(dsn)
	return connector{Connector: c, writes: writes}, err
}

// readers is the pool of connections that read. What is asked of it is answered
// to its end, though whoever asked may be gone by then: each question is
// bounded, and to watch its context takes a goroutine in database/sql, another
// in the driver and a lock, which cost more than a small question itself.
type readers struct {
	*sql.DB
	asked *atomic.Uint64 // counts what was read for people, see [Background]
}

// QueryContext asks, unless ctx has ended.
func (r *readers) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.count(ctx)
	return r.DB.QueryContext(context.WithoutCancel(ctx), query, args...)
}

// QueryRowContext is QueryContext for a single row.
func (r *readers) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if ctx.Err() == nil {
		r.count(ctx)
		ctx = context.WithoutCancel(ctx)
	}
	return r.DB.QueryRowContext(ctx, query, args...)
}

func (r *readers) count(ctx context.Context) {
	if r.asked != nil && !inBackground(ctx) {
		r.asked.Add(1)
	}
}

// driverConn is what modernc's connections can do.
type driverConn interface {
	driver.Conn
	driver.Pinger
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.SessionResetter
	driver.Validator
}

// Connect opens a connection.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := inner.(driverConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the SQLite driver's connection is a %T, which lacks what is needed", inner), inner.Close())
	}
	return &keepingConn{driverConn: conn, of: c, kept: map[string]*lru.Element{}, order: lru.New()}, nil
}

// keepingConn is a connection that keeps its prepared statements. Like every
// driver.Conn it is used by one goroutine at a time.
type keepingConn struct {
	driverConn
	of    connector
	kept  map[string]*lru.Element // of *keptStmt
	order *lru.List               // the last used first
	// dirty says that the open transaction has changed what pages show.
	dirty, inTx bool
	// foreign is the data version that other connections' writes change.
	foreign int64
}

// keptStmt is a statement that outlives its use.
type keptStmt struct {
	stmt  driver.Stmt
	query string
	busy  bool // rows of it are being read
	// data says that running it changes what pages show.
	data bool
}

// Close closes the statements and the connection.
func (c *keepingConn) Close() error {
	var errs []error
	for e := c.order.Front(); e != nil; e = e.Next() {
		errs = append(errs, e.Value.(*keptStmt).stmt.Close())
	}
	c.kept, c.order = map[string]*lru.Element{}, lru.New()
	return errors.Join(append(errs, c.driverConn.Close())...)
}

// take returns the prepared statement of a query. keep is false for one that is
// used once: while its rows are being read, or for what is no plain statement.
func (c *keepingConn) take(ctx context.Context, query string) (s *keptStmt, keep bool, err error) {
	if e, ok := c.kept[query]; ok {
		if s := e.Value.(*keptStmt); !s.busy {
			c.order.MoveToFront(e)
			return s, true, nil
		}
	}
	stmt, err := c.driverConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, false, err
	}
	s = &keptStmt{stmt: stmt, query: query, data: changesPages(query)}
	if _, ok := c.kept[query]; ok || !plainStatement(query) {
		return s, false, nil
	}
	c.kept[query] = c.order.PushFront(s)
	if c.order.Len() > keptStatements {
		for e := c.order.Back(); e != nil; e = e.Prev() {
			if old := e.Value.(*keptStmt); !old.busy {
				c.order.Remove(e)
				delete(c.kept, old.query)
				if err := old.stmt.Close(); err != nil {
					return nil, false, err
				}
				break
			}
		}
	}
	return s, true, nil
}

// plainStatement says whether a query may be prepared once for all.
func plainStatement(query string) bool {
	switch verbOf(query) {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH":
		return true
	}
	return false
}

// verbOf is the first word of a statement, in capitals; the queue's begin with
// a line of comment.
func verbOf(query string) string {
	for {
		query = strings.TrimLeft(query, " \t\n")
		if !strings.HasPrefix(query, "--") {
			break
		}
		_, query, _ = strings.Cut(query, "\n")
	}
	if i := strings.IndexAny(query, " \t\n"); i >= 0 {
		query = query[:i]
	}
	return strings.ToUpper(query)
}

// QueryContext runs a query.
func (c *keepingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if !c.inTx && query != dataVersion {
		c.noticeOthers(ctx)
	}
	s, keep, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		if !keep {
			err = errors.Join(err, s.stmt.Close())
		}
		return nil, err
	}
	s.busy = true
	return &keptRows{Rows: rows, c: c, s: s, keep: keep}, nil
}

// ExecContext runs a statement.
func (c *keepingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if !c.inTx && query != dataVersion {
		c.noticeOthers(ctx)
	}
	s, keep, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	res, err := s.stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	c.wrote(s.data)
	if !keep {
		err = errors.Join(err, s.stmt.Close())
	}
	return res, err
}

// PrepareContext refuses: the connection keeps statements itself, and what a
// caller's own wrote would not be counted in [DB.Generation].
func (c *keepingConn) PrepareContext(context.Context, string) (driver.Stmt, error) {
	return nil, errors.New("statements are not prepared by hand here: run the query, the connection keeps it")
}

// keptRows are the rows of a kept statement.
type keptRows struct {
	driver.Rows
	c    *keepingConn
	s    *keptStmt
	keep bool
}

// Close ends the reading and makes the statement free again.
func (r *keptRows) Close() error {
	err := r.Rows.Close()
	r.c.wrote(r.s.data)
	r.s.busy = false
	if !r.keep {
		err = errors.Join(err, r.s.stmt.Close())
	}
	return err
}
