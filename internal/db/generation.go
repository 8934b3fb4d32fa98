package db

import (
	"context"
	"database/sql/driver"
	"strings"
)

// Generation numbers what pages show: while it stays the same, so does the
// answer to every query, but for the queue's own tables and for when browsers
// were last seen and whom members looked at last. It counts anew from each
// start. A page reads it before it reads anything else.
//
// Another process that writes, such as a command of the command line, is
// noticed with the next write or look of the queue, within a second.
func (d *DB) Generation() uint64 { return d.generation.Load() }

// changesPages says whether a statement may change what pages show.
func changesPages(query string) bool {
	switch verbOf(query) {
	case "SELECT", "PRAGMA", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "EXPLAIN":
		return false
	}
	for _, quiet := range []string{"river_", "recent_customers", touchWebSession, "VALUES ('merge'"} {
		if strings.Contains(query, quiet) {
			return false
		}
	}
	return true
}

// wrote notes the end of a statement. Outside of a transaction it is committed.
func (c *keepingConn) wrote(data bool) {
	if !c.inTx {
		c.of.tell()
	}
	if !data || c.of.writes == nil {
		return
	}
	if c.inTx {
		c.dirty = true
		return
	}
	c.of.writes.Add(1)
}

// BeginTx begins a transaction.
func (c *keepingConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.driverConn.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	c.inTx, c.dirty = true, false
	c.noticeOthers(ctx)
	return &countedTx{Tx: tx, c: c}, nil
}

const dataVersion = "SELECT data_version FROM pragma_data_version"

// noticeOthers counts what another connection has written: SQLite's data
// version of a connection changes by others' commits alone. A failure counts
// as a change.
func (c *keepingConn) noticeOthers(ctx context.Context) {
	if c.of.writes == nil {
		return
	}
	now := int64(-1)
	if rows, err := c.QueryContext(ctx, dataVersion, nil); err == nil {
		dest := make([]driver.Value, 1)
		if rows.Next(dest) == nil {
			now, _ = dest[0].(int64)
		}
		if rows.Close() != nil {
			now = -1
		}
	}
	if now < 0 || now != c.foreign {
		c.of.writes.Add(1)
	}
	c.foreign = now
}

// countedTx is a transaction whose commit is counted.
type countedTx struct {
	driver.Tx
	c *keepingConn
}

// Commit commits, and counts it before its caller knows: whoever reads the
// generation after a change was confirmed reads a new one.
func (t *countedTx) Commit() error {
	err := t.Tx.Commit()
	if t.c.dirty {
		t.c.of.writes.Add(1)
	}
	t.c.inTx, t.c.dirty = false, false
	t.c.of.tell()
	return err
}

// tell says that something was committed, or may have been.
func (c connector) tell() {
	select {
	case c.committed <- struct{}{}:
	default: // nobody listens, or was told already
	}
}

// Rollback takes everything back.
func (t *countedTx) Rollback() error {
	t.c.inTx, t.c.dirty = false, false
	return t.Tx.Rollback()
}
