package services

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/db"
)

// jobContext is a job's context whose time is over when the test says so.
type jobContext struct {
	context.Context
	over chan struct{}
}

func newJobContext(t *testing.T) jobContext { return jobContext{t.Context(), make(chan struct{})} }

func (c jobContext) Done() <-chan struct{} { return c.over }

func (c jobContext) Err() error {
	select {
	case <-c.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Many files wait for the one that is read. A job whose time is over while it
// waits comes again: nothing else would have its file read before the next start.
func TestAFileThatWaitsLongIsReadAfterAll(t *testing.T) {
	r := newExportSite(t, &exportVendor{})
	e := r.s.Exports
	e.reading <- struct{}{} // a large file is being read
	f, _, err := e.Upload(t.Context(), r.actor, r.conn, "mine", bytes.NewReader(lineOf(0)))
	if err != nil {
		t.Fatal(err)
	}
	job := newJobContext(t)
	close(job.over)
	if again, err := e.readFile(job, 1, f.ID); again <= 0 || err != nil {
		t.Errorf("it comes again after %v, %v", again, err)
	}
	<-e.reading
	r.settled()
	r.has(1)
}

// A file that takes longer to read than a job may take says so, instead of
// waiting for ever.
func TestAFileThatTakesTooLongToReadSaysSo(t *testing.T) {
	r := newExportSite(t, &exportVendor{})
	f, _, err := r.s.Exports.Upload(t.Context(), r.actor, r.conn, "mine", bytes.NewReader(lineOf(0)))
	if err != nil {
		t.Fatal(err)
	}
	r.settled()
	r.has(1)
	job := newJobContext(t)
	r.mu.Lock()
	r.reader = func(ctx context.Context, _ ExportFile, _ func() (io.ReadCloser, error)) (IngestReport, error) {
		close(job.over)
		<-ctx.Done()
		return IngestReport{}, ctx.Err()
	}
	r.mu.Unlock()
	r.force(`UPDATE export_files SET state = 'fetched'`) // as if it had just come, without a job
	r.force(`UPDATE export_totals SET done = 0, unread = 1`)
	if again, err := r.s.Exports.readFile(job, 1, f.ID); again != 0 || err != nil {
		t.Errorf("again after %v, %v", again, err)
	}
	if f, err = r.s.Exports.File(t.Context(), 1, f.ID); err != nil || f.State != db.ExportFailed || !strings.Contains(f.Message, "longer than") || f.Stored == 0 {
		t.Errorf("%+v, %v", f, err)
	}
	r.mu.Lock()
	r.reader = nil
	r.read = map[ExportFileID]string{}
	r.mu.Unlock()
	if err := r.s.Exports.Again(t.Context(), r.actor, f.ID); err != nil {
		t.Fatal(err)
	}
	r.until("read", func(st ExportStatus) bool { return st.Totals.Done == 1 })
	r.has(1)
}

// A turn that its job's limit ends, while the vendor says nothing, is no end of
// following.
func TestATurnThatTakesTooLongIsFollowedByAnother(t *testing.T) {
	silent, job := make(chan struct{}), newJobContext(t)
	var once sync.Once
	v := &exportVendor{files: 1, bend: func(string, map[string]any) {
		once.Do(func() { close(job.over) })
		<-silent
	}}
	r := newExportSite(t, v)
	r.force(`INSERT INTO export_follows (connection_id, org_id, enabled, from_at, max_file, quota, keep_days, rate) VALUES (1, 1, 1, 1, 1000000, 100000000, 0, 0)`)
	again, err := r.s.Exports.run(job, 1, r.conn)
	close(silent)
	if again <= 0 || err != nil {
		t.Errorf("the next turn is after %v, %v", again, err)
	}
}

// What the pace makes wait beyond the job's end is cut off by that end: it is no
// fault of the file's.
func TestASlowPaceEndsWithItsJob(t *testing.T) {
	p := &pace{limiter: (&Exports{paces: map[ConnectionID]*pace{}}).paceOf(1, MinExportRate).limiter}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := p.add(ctx, 3*MinExportRate, time.Now())
	if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() == nil {
		t.Errorf("%v, and the context says %v", err, ctx.Err())
	}
}
