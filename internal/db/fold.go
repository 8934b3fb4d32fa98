package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Pages of the write-ahead log: from foldPages on it is folded into the file
// beside the writer, from foldAtLatest on by the writer itself.
const (
	foldPages    = 1000
	foldAtLatest = 8000
	// foldFirst is when it is looked for the first time: opening one more
	// connection reads the schema, for which a start would wait.
	foldFirst = 500 * time.Millisecond
	// foldPause is how long nothing is folded after it was looked whether to.
	foldPause = 20 * time.Millisecond
)

// folder moves what was committed from the write-ahead log into the file. SQLite
// would do it in the commit that fills the log: every few parts of a list, one
// would write a thousand pages and wait for the disk twice, and whoever else
// writes with it. From another connection that holds up neither writers nor
// readers. While writers leave no gap the log is not begun anew, so at
// foldAtLatest the writer folds what little is left then.
type folder struct {
	db     *sql.DB
	wrote  chan struct{} // full if something was committed since it was looked
	ended  chan struct{}
	cancel context.CancelFunc
}

// newFolder folds until it is closed.
func newFolder(path string, wrote chan struct{}) (*folder, error) {
	c, err := newConnector(dsn(path, true), nil)
	if err != nil {
		return nil, fmt.Errorf("open the folder of the log: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &folder{db: sql.OpenDB(c), wrote: wrote, ended: make(chan struct{}), cancel: cancel}
	f.db.SetMaxOpenConns(1)
	go f.run(ctx)
	return f, nil
}

func (f *folder) run(ctx context.Context) {
	defer close(f.ended)
	select {
	case <-ctx.Done():
		return
	case <-time.After(foldFirst):
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wrote:
		}
		// What fails now is tried again after the next commit, and by the writer.
		_ = f.fold(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(foldPause):
		}
	}
}

// fold folds the log if it is worth it.
func (f *folder) fold(ctx context.Context) error {
	var busy, pages, folded int64
	if err := f.db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(NOOP)`).Scan(&busy, &pages, &folded); err != nil || pages-folded < foldPages {
		return err
	}
	return f.db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &pages, &folded)
}

// close ends the folding and waits for it.
func (f *folder) close() error {
	if f == nil {
		return nil
	}
	f.cancel()
	<-f.ended
	return f.db.Close()
}
