// Package upstreamtest helps to test what is built on upstream.
package upstreamtest

import (
	"context"
	"sync"

	"sightline/internal/services/upstream"
)

// Row is one row of a Ledger.
type Row struct {
	upstream.Call
	upstream.Outcome
	// Open says that End was not called; Ends counts how often it was.
	Open bool
	Ends int
}

// Ledger keeps its rows in memory. The zero value is ready, and safe for
// concurrent use.
type Ledger struct {
	// Refuse, if set, is asked before each row; its error is Begin's.
	Refuse func(rows int) error

	mu   sync.Mutex
	rows []Row
}

// Begin adds a row.
func (l *Ledger) Begin(_ context.Context, call upstream.Call) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Refuse != nil {
		if err := l.Refuse(len(l.rows)); err != nil {
			return 0, err
		}
	}
	l.rows = append(l.rows, Row{Call: call, Open: true})
	return int64(len(l.rows)), nil
}

// End closes a row. It fails if ctx is done, as a database would.
func (l *Ledger) End(ctx context.Context, id int64, outcome upstream.Outcome) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	row := &l.rows[id-1]
	row.Outcome, row.Open = outcome, false
	row.Ends++
	return nil
}

// Rows returns a copy of the rows.
func (l *Ledger) Rows() []Row {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Row(nil), l.rows...)
}
