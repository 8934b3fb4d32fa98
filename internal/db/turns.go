package db

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
	"time"
)

// mostAhead is how many writes of people go before a part that is next, so that
// people who never pause do not end it.
const mostAhead = 100

// turns has what is done in the background and takes long done one piece at a
// time: a part of a list, an answer that is read. People wait for one piece at
// the most, and one processor is left to them.
type turns struct {
	one    sync.Mutex
	people crowd
	asked  *atomic.Uint64 // counts what was read for people; nil does not
	// unasked is asked at the end of the last piece, and busy when it was seen to
	// have changed; both under one.
	unasked uint64
	busy    time.Time
	// aloneAfter is how long nobody must have read until the writer is taken for
	// longer than one part: whoever has read may save something next.
	aloneAfter time.Duration
}

type backgroundKey struct{}

// Background marks what is done for nobody who waits, such as a job: neither its
// reading nor its writing makes the parts of a list give way.
func Background(ctx context.Context) context.Context {
	return context.WithValue(ctx, backgroundKey{}, true)
}

func inBackground(ctx context.Context) bool { return ctx.Value(backgroundKey{}) != nil }

// unread says that nobody has read since the last piece.
func (t *turns) unread() bool { return t.asked == nil || t.asked.Load() == t.unasked }

// see notes whether somebody has read since the last piece.
func (t *turns) see() (read bool) {
	if t.unread() {
		return false
	}
	t.unasked, t.busy = t.asked.Load(), time.Now()
	return true
}

// InTurn runs what keeps a processor busy for some milliseconds, such as reading
// a vendor's long answer, when no other such thing and no part of a list is under
// way. fn must not write to the store.
func (d *DB) InTurn(fn func()) {
	d.turns.one.Lock()
	defer d.turns.one.Unlock()
	fn()
}

// inTurn is putPart for what is no session: fn writes one part in a transaction.
// Whoever else waits to write goes first. alone says that nobody has read for a
// while and nobody waits to write: whoever does has begun to wait since, or before
// and then this part had to wait as well.
func (d *DB) inTurn(more bool, fn func(alone func() bool) error) error {
	t := &d.turns
	t.one.Lock()
	defer t.one.Unlock()
	t.people.goFirst(mostAhead)
	began, waits, read := time.Now(), d.w.Stats().WaitCount, t.see()
	alone := func() bool {
		return d.w.Stats().WaitCount == waits && t.unread() && time.Since(t.busy) > t.aloneAfter
	}
	if err := fn(alone); err != nil {
		return err
	}
	if (t.see() || read) && more {
		time.Sleep(time.Since(began))
	}
	return nil
}

// writer is the pool of the one connection that writes. It knows of the people
// who wait for it, of the queue's own statements it does not.
type writer struct {
	*sql.DB
	people *crowd
}

// ExecContext runs a statement outside of a transaction.
func (w *writer) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	defer w.people.wait(ctx)()
	return w.DB.ExecContext(ctx, query, args...)
}

// QueryContext runs a statement that returns rows.
func (w *writer) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	defer w.people.wait(ctx)()
	return w.DB.QueryContext(ctx, query, args...)
}

// QueryRowContext runs a statement that returns a row.
func (w *writer) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	defer w.people.wait(ctx)()
	return w.DB.QueryRowContext(ctx, query, args...)
}

// BeginTx begins a transaction.
func (w *writer) BeginTx(ctx context.Context, o *sql.TxOptions) (*sql.Tx, error) {
	defer w.people.wait(ctx)()
	return w.DB.BeginTx(ctx, o)
}

// crowd are the people who wait to write.
type crowd struct {
	mu    sync.Mutex
	gone  sync.Cond // L is nil before somebody waits for them
	here  int
	ahead int // how many had their turn, ever
}

// wait counts somebody in, and out with what it returns.
func (c *crowd) wait(ctx context.Context) (done func()) {
	if c == nil || inBackground(ctx) {
		return func() {}
	}
	c.mu.Lock()
	c.here++
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		c.here--
		c.ahead++
		c.mu.Unlock()
		c.gone.Broadcast()
	}
}

// goFirst waits until nobody waits, or so many had their turn.
func (c *crowd) goFirst(most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone.L == nil {
		c.gone.L = &c.mu
	}
	for until := c.ahead + most; c.here > 0 && c.ahead < until; {
		c.gone.Wait()
	}
}
