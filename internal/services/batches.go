package services

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"sightline/internal/db"
)

// jobBatch is the queue's kind for batches of highlights.
const jobBatch = "batch"

// BatchState is how far a batch is.
type BatchState string

// The states of a batch. A paused one goes on only when a member says so.
const (
	BatchDraft     BatchState = db.BatchDraft
	BatchRunning   BatchState = db.BatchRunning
	BatchPaused    BatchState = db.BatchPaused
	BatchDone      BatchState = db.BatchDone
	BatchCancelled BatchState = db.BatchCancelled
)

// Limits of a batch.
const (
	// MaxBatch is the most customers of one batch.
	MaxBatch = 1000
	// MaxBatchText and MaxBatchFile are the most bytes of a pasted list and of a
	// file.
	MaxBatchText, MaxBatchFile = 256 << 10, 2 << 20
	// MaxBatchLeftOut is how many entries of a list are kept that nobody is asked
	// about.
	MaxBatchLeftOut = 2000
)

// BatchCounts are the customers of a batch by how they stand.
type BatchCounts = db.BatchCounts

// BatchItem is a customer of a batch.
type BatchItem = db.BatchItem

// Batch is one question to LogRocket about many customers.
type Batch struct {
	ID         BatchID
	Connection ConnectionID
	Author     UserID
	AuthorName string // empty if they are gone
	Source     string // where its customers come from, in words
	Question   string
	// Start and End bound what is looked at, both zero for LogRocket's own choice.
	// Last, if not 0, is the length of a range that ends when asking begins.
	Start, End time.Time
	Last       time.Duration
	Pace       BatchPace
	Reuse      time.Duration
	// Format says how the file is written that its customers come from; nil if
	// they come from elsewhere.
	Format                           *BatchFormat
	State                            BatchState
	Message                          string // a sentence for a person; may quote the vendor
	Counts                           BatchCounts
	CreatedAt, StartedAt, FinishedAt time.Time

	streak  int
	askedAt time.Time
}

// Total is how many customers are, or were to be, asked about.
func (b Batch) Total() int { return b.Counts.Waiting + b.Counts.Dropped + b.Counts.Open + b.Done() }

// Done is how many requests have ended, whatever came of them.
func (b Batch) Done() int { return b.Counts.Ready + b.WithoutResult() }

// WithoutResult is how many requests have ended without one.
func (b Batch) WithoutResult() int {
	return b.Counts.Failed + b.Counts.Unknown + b.Counts.Expired + b.Counts.Cancelled
}

// Lined reports whether its customers stand on lines of a list.
func (b Batch) Lined() bool { return b.Counts.Lined > 0 }

// Pasted reports whether its list was pasted.
func (b Batch) Pasted() bool { return b.Lined() && b.Format == nil }

// Moving reports whether the batch will still change by itself.
func (b Batch) Moving() bool { return b.State == BatchRunning || b.Counts.Open > 0 }

// BatchPace is how fast a batch asks.
type BatchPace struct {
	// Every is the least time between two requests, InFlight how many LogRocket
	// works on at once.
	Every    time.Duration
	InFlight int
}

// BatchPaces are those that may be chosen, gentlest first. LogRocket publishes
// no limit.
func BatchPaces() []BatchPace {
	return []BatchPace{{30 * time.Second, 1}, {5 * time.Second, 3}, {3 * time.Second, 6}, {2 * time.Second, 10}}
}

// NormalPace is the one that is chosen unless somebody says otherwise.
func NormalPace() BatchPace { return BatchPaces()[1] }

// BatchReuses are how old an answer to the same may be that is taken instead of
// asking again; 0 asks always.
func BatchReuses() []time.Duration {
	return []time.Duration{0, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}
}

// BatchReuse is the one that is chosen unless somebody says otherwise.
const BatchReuse = time.Hour

// For is how long so many requests take, if LogRocket takes took for each.
func (p BatchPace) For(requests int, took time.Duration) time.Duration {
	rounds := (requests + p.InFlight - 1) / max(p.InFlight, 1)
	return max(time.Duration(requests)*p.Every, time.Duration(rounds)*took)
}

// BatchOptions set the pace of batches; zero means the defaults.
type BatchOptions struct {
	// Pause is the least time between two requests, instead of what the member
	// chose: for tests.
	Pause time.Duration
	// Look is how soon a batch looks again whether LogRocket is done, 1 s.
	Look time.Duration
}

// Batches asks LogRocket the same about many customers, one after another. Each
// becomes a request for highlights like any other, which is sent once at most.
type Batches struct {
	db         *db.DB
	queue      *Queue
	highlights *Highlights
	sessions   *Sessions
	conns      *Connections
	markdown   *Markdown
	opt        BatchOptions
	log        *slog.Logger
	now        func() time.Time
	busy       busyRows
}

func newBatches(d *db.DB, q *Queue, h *Highlights, sessions *Sessions, c *Connections, m *Markdown, opt BatchOptions, log *slog.Logger, now func() time.Time) *Batches {
	if opt.Look <= 0 {
		opt.Look = time.Second
	}
	b := &Batches{db: d, queue: q, highlights: h, sessions: sessions, conns: c, markdown: m, opt: opt, log: log, now: now}
	q.handle(jobBatch, func(ctx context.Context, org OrgID, id int64) (time.Duration, error) {
		return b.run(ctx, org, BatchID(id))
	})
	q.onStart(b.settle)
	return b
}

func batchOf(r db.Batch, n db.BatchCounts) (Batch, error) {
	b := Batch{
		ID: r.ID, Connection: r.Connection, Author: r.Author, AuthorName: r.AuthorName, Source: r.Source, Question: r.Question,
		Start: r.Start, End: r.End, Last: r.Last, Pace: BatchPace{r.Pace, r.InFlight}, Reuse: r.Reuse, State: BatchState(r.State), Message: r.Message, Counts: n,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt, streak: r.Streak, askedAt: r.AskedAt,
	}
	var f BatchFormat
	if err := json.Unmarshal([]byte(r.Format), &f); err != nil {
		return b, fmt.Errorf("read the format of batch %d: %w", r.ID, err)
	}
	if f.FileName != "" {
		b.Format = &f
	}
	return b, nil
}

const noBatch = "There is no such batch in this organization."

func mayBatch(a Actor) error {
	if a.Role < Support {
		return &Error{Kind: Denied, Msg: "Requesting highlights costs at LogRocket, so it takes the support role."}
	}
	return nil
}

// Get finds a batch.
func (s *Batches) Get(ctx context.Context, org OrgID, id BatchID) (Batch, error) {
	row, err := s.db.Org(org).Batch(ctx, id)
	if err != nil {
		return Batch{}, notFound(err, noBatch)
	}
	return s.counted(ctx, org, row)
}

func (s *Batches) counted(ctx context.Context, org OrgID, row db.Batch) (Batch, error) {
	n, err := s.db.Org(org).CountBatch(ctx, row.ID)
	if err != nil {
		return Batch{}, err
	}
	return batchOf(row, n)
}

// List returns batches older than before (0 for all), newest first.
func (s *Batches) List(ctx context.Context, org OrgID, before BatchID, limit int) ([]Batch, error) {
	rows, err := s.db.Org(org).Batches(ctx, before, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Batch, len(rows))
	for i, r := range rows {
		if out[i], err = s.counted(ctx, org, r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Items lists the customers of a batch behind after, at most limit: all, or
// those in some states.
func (s *Batches) Items(ctx context.Context, org OrgID, id BatchID, states []string, after, limit int) ([]BatchItem, error) {
	return s.db.Org(org).BatchItems(ctx, id, states, after, limit)
}

// Took is how long LogRocket takes for a request: the mean of the newest ones
// through the connection, or of what it says itself, 2 minutes, if there are
// none.
func (s *Batches) Took(ctx context.Context, org OrgID, conn ConnectionID) (took time.Duration, measured bool, err error) {
	rows, err := s.highlights.List(ctx, org, HighlightFilter{Connection: conn, State: HighlightReady, Limit: 20})
	if err != nil {
		return 0, false, err
	}
	rows = slices.DeleteFunc(rows, func(h Highlight) bool { return h.SentAt.IsZero() })
	if len(rows) == 0 {
		return 2 * time.Minute, false, nil
	}
	for _, h := range rows {
		took += h.FinishedAt.Sub(h.SentAt)
	}
	return took / time.Duration(len(rows)), true, nil
}
