package services

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"sightline/internal/db"
	"sightline/internal/services/metrics"
)

// jobTimeout bounds one run of a job. It is above the time limit of any vendor
// call with a renewed session key, so that a job ends by the call's own limit.
const jobTimeout = 2 * time.Minute

// workersPerKind is how many jobs of one kind run at once. Each kind has a
// queue of its own, so that a dead LogRocket cannot hold up Raygun's.
const workersPerKind = 8

// Queue moves rows with a state on, behind the requests. A job names a row and
// holds nothing else: the row says what is left to do, so a job that runs
// twice, or late, finds nothing to do.
type Queue struct {
	db       *db.DB
	log      *slog.Logger
	client   *river.Client[*sql.Tx]
	handlers map[string]jobFunc
	// limits are the kinds whose jobs may take another time than jobTimeout.
	limits map[string]time.Duration
	settle []func(ctx context.Context) error
	// metrics counts the runs of jobs; nil does not.
	metrics *metrics.Metrics
	// ending is set once stop was called.
	ending atomic.Bool
}

// jobFunc works on one row. again > 0 asks to be run again after that long.
type jobFunc func(ctx context.Context, org OrgID, id int64) (again time.Duration, err error)

// rowJob is the one job that River knows.
type rowJob struct {
	Row string `json:"row"`
	Org OrgID  `json:"org"`
	ID  int64  `json:"id"`
}

// Kind names the job for River.
func (rowJob) Kind() string { return "row" }

func newQueue(d *db.DB, log *slog.Logger) *Queue {
	return &Queue{db: d, log: log, handlers: map[string]jobFunc{}, limits: map[string]time.Duration{}}
}

// handle says who works on rows of a kind. Every kind is declared before open.
func (q *Queue) handle(kind string, fn jobFunc) { q.handlers[kind] = fn }

// handleLong is handle for jobs that may take long, which is said by limit: less
// than an hour, after which River takes a job for lost.
func (q *Queue) handleLong(kind string, limit time.Duration, fn jobFunc) {
	q.limits[kind] = limit
	q.handle(kind, fn)
}

// onStart adds what is to be done before the queue works: settling the rows
// that a crash left behind.
func (q *Queue) onStart(fn func(ctx context.Context) error) { q.settle = append(q.settle, fn) }

// put returns the half of a transaction that queues a job for the row which
// the other half has stored.
func (q *Queue) put(kind string, org OrgID, after time.Duration) db.TxFunc {
	return func(ctx context.Context, tx *sql.Tx, id int64) error {
		_, err := q.client.InsertTx(ctx, tx, rowJob{Row: kind, Org: org, ID: id}, putOptions(kind, after))
		if err != nil {
			return fmt.Errorf("queue %s %d: %w", kind, id, err)
		}
		return nil
	}
}

// again queues a job for a row that stands already.
func (q *Queue) again(ctx context.Context, kind string, org OrgID, id int64, after time.Duration) error {
	if _, err := q.client.Insert(ctx, rowJob{Row: kind, Org: org, ID: id}, putOptions(kind, after)); err != nil {
		return fmt.Errorf("queue %s %d again: %w", kind, id, err)
	}
	return nil
}

func putOptions(kind string, after time.Duration) *river.InsertOpts {
	// One attempt: what may be repeated, and when, the row knows and not River.
	o := &river.InsertOpts{Queue: kind, MaxAttempts: 1}
	if after > 0 {
		o.ScheduledAt = time.Now().Add(after)
	}
	return o
}

// open makes the client once every kind is declared. Without start it only
// takes jobs in.
func (q *Queue) open() error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &rowWorker{q: q})
	queues := map[string]river.QueueConfig{}
	for kind := range q.handlers {
		queues[kind] = river.QueueConfig{MaxWorkers: workersPerKind}
	}
	c, err := river.NewClient(riversqlite.New(q.db.Queue()), &river.Config{
		Queues:  queues,
		Workers: workers,
		Logger:  q.log,
		// River wakes its workers only for jobs put outside of a transaction, and
		// ours are put inside one: the poll is what a person waits for.
		FetchCooldown:     5 * time.Millisecond,
		FetchPollInterval: 250 * time.Millisecond,
		JobTimeout:        jobTimeout,
		ErrorHandler:      jobErrors{log: q.log},
	})
	if err != nil {
		return fmt.Errorf("open the queue: %w", err)
	}
	q.client = c
	return nil
}

// settleOnce settles what the last run left behind, unless that is done.
func (q *Queue) settleOnce(ctx context.Context) error {
	for ; len(q.settle) > 0; q.settle = q.settle[1:] {
		if err := q.settle[0](ctx); err != nil {
			return fmt.Errorf("settle what the last run left: %w", err)
		}
	}
	return nil
}

// start settles what a crash left behind, then works. The jobs get a context
// that stop ends, not the caller's.
func (q *Queue) start(ctx context.Context) error {
	if err := q.settleOnce(ctx); err != nil {
		return err
	}
	if err := q.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start the queue: %w", err)
	}
	return nil
}

// stopping says that no more work is to be begun: running jobs are waited for,
// and one that would go on with its row leaves that to the next start.
func (q *Queue) stopping() bool { return q.ending.Load() }

// stopped says that a job is cut off because Sightline stops. What has not left
// by then is no failure of anybody's: the next start sends it.
func stopped(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// goOn is when a job whose context has ended goes on with its row: soon, where
// the job's own time was over, and else not before the next start.
func goOn(ctx context.Context) time.Duration {
	if stopped(ctx) {
		return 0
	}
	return time.Second
}

// putBack has the next start send what was about to be sent: back moves its row,
// and db.ErrNotFound from it says that the row had not moved.
func putBack(ctx context.Context, back func(context.Context) error) error {
	if err := persist(ctx, back); err != nil && !errors.Is(err, db.ErrNotFound) {
		return fmt.Errorf("put back what was not sent: %w", err)
	}
	return nil
}

// stop lets running jobs finish until ctx ends, then cancels them and waits
// for them to notice.
func (q *Queue) stop(ctx context.Context) error {
	q.ending.Store(true)
	err := q.client.Stop(ctx)
	if err == nil || ctx.Err() == nil {
		return err
	}
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return q.client.StopAndCancel(hard)
}

// rowWorker hands a job to the capability that declared its kind of row.
type rowWorker struct {
	river.WorkerDefaults[rowJob]
	q *Queue
}

// Work runs one job.
func (w *rowWorker) Work(ctx context.Context, job *river.Job[rowJob]) error {
	kind, outcome, began := job.Args.Row, "failed", time.Now() // a panic is a failure, too
	defer func() { w.q.metrics.Job(kind, outcome, time.Since(began)) }()
	fn, ok := w.q.handlers[job.Args.Row]
	if !ok {
		kind = "unknown"
		return river.JobCancel(fmt.Errorf("no such kind of row: %q", job.Args.Row))
	}
	again, err := fn(db.Background(ctx), job.Args.Org, job.Args.ID)
	if errors.Is(err, db.ErrNotFound) {
		outcome = "gone"
		return nil // the row has moved on without this job
	}
	if err != nil {
		return fmt.Errorf("%s %d: %w", job.Args.Row, job.Args.ID, err)
	}
	if again > 0 {
		outcome = "again"
		return river.JobSnooze(again)
	}
	outcome = "done"
	return nil
}

// Timeout is the kind's own limit, or 0 for jobTimeout.
func (w *rowWorker) Timeout(job *river.Job[rowJob]) time.Duration { return w.q.limits[job.Args.Row] }

// jobErrors logs what a job could not do; the row already says it to people.
type jobErrors struct{ log *slog.Logger }

// HandleError logs a failed job.
func (h jobErrors) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	h.log.ErrorContext(ctx, "job failed", "job", job.ID, "queue", job.Queue, "err", err)
	return nil
}

// HandlePanic logs a job that panicked, with its place.
func (h jobErrors) HandlePanic(ctx context.Context, job *rivertype.JobRow, panicVal any, trace string) *river.ErrorHandlerResult {
	h.log.ErrorContext(ctx, "job panicked", "job", job.ID, "queue", job.Queue, "panic", fmt.Sprint(panicVal), "trace", trace)
	return nil
}
