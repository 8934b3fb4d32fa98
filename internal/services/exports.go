package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"sightline/internal/db"
)

// The queue's kinds: following a connection's exports (its rows are
// connections) and reading a file (its rows are files).
const (
	jobExports    = "exports"
	jobExportRead = "export_read"
)

const (
	// exportsEvery is how often the list is asked for what is new. A session
	// appears on it an hour after its last data.
	exportsEvery = 15 * time.Minute
	// exportsTurn is how long a turn begins new files, and exportsLimit how long it
	// may take in all. What it leaves, the next goes on with.
	exportsTurn, exportsLimit = 20 * time.Minute, 50 * time.Minute
	// exportsAtOnce is how many files of a connection come at the same time.
	exportsAtOnce = 2
	// exportsAhead is how many files may wait before more are listed.
	exportsAhead = 300
	// exportTries is how often a file is asked for in vain before that is the end
	// of it; progress does not count.
	exportTries = 6
	// readingAtOnce is how many files are read at the same time, of all
	// connections: reading fills a processor and the writer.
	readingAtOnce = 1
)

// Limits of following, as they are until a member sets others.
const (
	defaultMaxFile     = 1 << 30
	defaultExportQuota = 10 << 30
	defaultKeepDays    = 30
)

// The bounds of what members may set.
const (
	// MinExportFile and MaxExportFile bound the limit for one file, in bytes.
	MinExportFile, MaxExportFile = 1 << 20, 16 << 30
	// MinExportQuota and MaxExportQuota bound the limit for all files kept.
	MinExportQuota, MaxExportQuota = 10 << 20, 1 << 40
	// MaxExportDays bounds for how long files and recordings are kept.
	MaxExportDays = 3650
	// MinExportRate bounds the pace, in bytes a second.
	MinExportRate = 10 << 10
	// MaxExportAge is how old the oldest wanted export may be, in days.
	MaxExportAge = 3650
)

// Why exports are not followed until their time, beside those of a sync.
const (
	waitQuota = "quota" // the files that are kept fill what they may
	waitDisk  = "disk"  // the disk is full
)

// ExportLimits bound what following a connection's exports takes.
type ExportLimits = db.ExportLimits

// The states and origins of a file: see [db.ExportFile].
const (
	ExportFileListed   = db.ExportListed
	ExportFileFetching = db.ExportFetching
	ExportFileFetched  = db.ExportFetched
	ExportFileReading  = db.ExportReading
	ExportFileRead     = db.ExportRead
	ExportFileFailed   = db.ExportFailed
	ExportFileSkipped  = db.ExportSkipped
	ExportFileCanceled = db.ExportCanceled
	ExportOfUpload     = db.ExportUploaded
)

// ExportFile is one file of events: see [db.ExportFile].
type ExportFile = db.ExportFile

// ExportTotals is what there is of a connection's files.
type ExportTotals = db.ExportTotals

// ExportFilter selects files, newest first.
type ExportFilter = db.ExportFilter

// DefaultExportLimits are those of a connection for which nobody has set others.
func DefaultExportLimits() ExportLimits {
	return ExportLimits{MaxFile: defaultMaxFile, Quota: defaultExportQuota, KeepDays: defaultKeepDays}
}

// readExport reads a file that lies on disk into the database. It may be called
// again for a file that it has read, or has begun to read, and then leaves the
// same rows.
type readExport func(ctx context.Context, f ExportFile, open func() (io.ReadCloser, error)) (IngestReport, error)

// Exports follows LogRocket's session exports: it lists them, gets the files,
// keeps them, and has them read. A connection has one job, which works its way
// through the list, and sleeps.
type Exports struct {
	db          *db.DB
	queue       *Queue
	connections *Connections
	files       exportStore
	read        readExport
	log         *slog.Logger
	now         func() time.Time
	reading     chan struct{}
	// every is as the constant, but in tests.
	every  time.Duration
	jitter func(d time.Duration) time.Duration

	mu sync.Mutex
	// stops end what is under way: of a connection's turn, and of a file.
	stops     map[ConnectionID]context.CancelFunc
	fileStops map[ExportFileID]context.CancelFunc
	// addresses are those of files that were listed not long ago, by connection and
	// key. They are as good as passwords, and kept in memory alone.
	addresses map[ConnectionID]map[string]exportAddress
	paces     map[ConnectionID]*pace
}

type exportAddress struct {
	url string
	at  time.Time
}

func newExports(d *db.DB, q *Queue, c *Connections, dir string, read readExport, log *slog.Logger, now func() time.Time) *Exports {
	e := &Exports{
		db: d, queue: q, connections: c, files: exportStore{dir}, read: read, log: log, now: now, every: exportsEvery, reading: make(chan struct{}, readingAtOnce),
		jitter: func(d time.Duration) time.Duration { return rand.N(max(d, 1)) },
		stops:  map[ConnectionID]context.CancelFunc{}, fileStops: map[ExportFileID]context.CancelFunc{},
		addresses: map[ConnectionID]map[string]exportAddress{}, paces: map[ConnectionID]*pace{},
	}
	q.handleLong(jobExports, exportsLimit, func(ctx context.Context, org OrgID, id int64) (time.Duration, error) {
		return e.run(ctx, org, ConnectionID(id))
	})
	q.handleLong(jobExportRead, exportsLimit, func(ctx context.Context, org OrgID, id int64) (time.Duration, error) {
		return e.readFile(ctx, org, ExportFileID(id))
	})
	q.onStart(e.settle)
	c.wakeExports = e.wake
	return e
}

// settle puts back what a crash left half done, and queues it again: a file on
// its way goes on where it stopped, one that was being read is read again.
func (e *Exports) settle(ctx context.Context) error {
	const batch = 500
	for after := ExportFileID(0); ; {
		rows, err := e.db.OpenExportFilesUnscoped(ctx, after, batch)
		if err != nil {
			return err
		}
		for _, f := range rows {
			if err := e.settleFile(ctx, f); err != nil {
				return fmt.Errorf("settle export file %d: %w", f.ID, err)
			}
			after = f.ID
		}
		if len(rows) < batch {
			break
		}
	}
	for after := ConnectionID(0); ; {
		turns, err := e.db.SettleExportsUnscoped(ctx, after, batch)
		if err != nil {
			return err
		}
		for _, t := range turns {
			if err := e.queue.again(ctx, jobExports, t.Org, int64(t.Connection), max(0, t.NextAt.Sub(e.now()))); err != nil {
				return err
			}
			after = t.Connection
		}
		if len(turns) < batch {
			break
		}
	}
	if err := e.files.sweepUploads(); err != nil {
		return err
	}
	return e.files.sweep(ctx, func(org OrgID, id ExportFileID) (bool, error) {
		f, err := e.db.Org(org).ExportFile(ctx, id)
		if errors.Is(err, db.ErrNotFound) {
			return false, nil
		}
		return f.DroppedAt.IsZero() && f.State != db.ExportCanceled && f.State != db.ExportSkipped, err
	})
}

func (e *Exports) settleFile(ctx context.Context, f ExportFile) error {
	o := e.db.Org(f.Org)
	var err error
	switch {
	case f.State != db.ExportFetching: // of two jobs, the second finds the file read
		_, err = o.ChangeExportFile(ctx, f.ID, []string{db.ExportFetched, db.ExportReading}, func(f *db.ExportFile) { f.State = db.ExportFetched },
			e.queue.put(jobExportRead, f.Org, 0))
	case f.Origin == db.ExportUploaded:
		_, err = o.ChangeExportFile(ctx, f.ID, []string{db.ExportFetching}, func(f *db.ExportFile) {
			f.State, f.ErrorKind, f.Message = db.ExportFailed, "interrupted", "Sightline was stopped while the file came in. Upload it again."
		}, nil)
	default:
		_, err = o.ChangeExportFile(ctx, f.ID, []string{db.ExportFetching}, func(f *db.ExportFile) { f.State = db.ExportListed }, nil)
	}
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	return err
}

// pace is how quickly files of a connection come: bytes of the last seconds.
type pace struct {
	mu      sync.Mutex
	limiter *rate.Limiter // nil for as they come
	at      time.Time     // the second that is counted
	bytes   int64
	speed   float64 // bytes a second, of late
}

// add counts bytes, and waits as the limit wants it.
func (p *pace) add(ctx context.Context, n int, now time.Time) error {
	p.mu.Lock()
	if p.at.IsZero() || now.Sub(p.at) > 10*time.Second {
		p.at, p.bytes, p.speed = now, 0, 0
	}
	p.bytes += int64(n)
	if gone := now.Sub(p.at); gone >= time.Second {
		latest := float64(p.bytes) / gone.Seconds()
		if p.speed == 0 {
			p.speed = latest
		}
		p.speed = 0.7*p.speed + 0.3*latest
		p.at, p.bytes = now, 0
	}
	limiter := p.limiter
	p.mu.Unlock()
	for limiter != nil && n > 0 {
		part := min(n, limiter.Burst())
		if err := limiter.WaitN(ctx, part); err != nil {
			<-ctx.Done() // it would end before: the limiter says so ahead of time
			return ctx.Err()
		}
		n -= part
	}
	return nil
}

// now is the speed, 0 if nothing has come for a while.
func (p *pace) of(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.at) > 10*time.Second {
		return 0
	}
	return p.speed
}

// paceOf returns a connection's pace, with a limit in bytes a second (0: none).
func (e *Exports) paceOf(id ConnectionID, limit int64) *pace {
	e.mu.Lock()
	p := e.paces[id]
	if p == nil {
		p = &pace{}
		e.paces[id] = p
	}
	e.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case limit <= 0:
		p.limiter = nil
	case p.limiter == nil || p.limiter.Limit() != rate.Limit(limit):
		p.limiter = rate.NewLimiter(rate.Limit(limit), int(min(limit, 1<<20)))
	}
	return p
}
