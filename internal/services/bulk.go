package services

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"sightline/internal/db"
)

// jobBulk is the queue's kind for bulk edits.
const jobBulk = "bulk"

// BulkState is how far a bulk edit is.
type BulkState string

// The states of a bulk edit. Between planned and running somebody has read the
// dry run; a paused one goes on only when a member says so.
const (
	BulkUploading BulkState = db.BulkUploading
	BulkUploaded  BulkState = db.BulkUploaded
	BulkPlanning  BulkState = db.BulkPlanning
	BulkPlanned   BulkState = db.BulkPlanned
	BulkRunning   BulkState = db.BulkRunning
	BulkPaused    BulkState = db.BulkPaused
	BulkDone      BulkState = db.BulkDone
	BulkCancelled BulkState = db.BulkCancelled
)

// Moving reports whether the edit will still change by itself.
func (s BulkState) Moving() bool { return s == BulkPlanning || s == BulkRunning }

// Bulk is a change to the traits of many LogRocket users.
type Bulk struct {
	ID         BulkID
	Connection ConnectionID
	Author     UserID
	AuthorName string // empty if they are gone
	UndoOf     BulkID // the one that it takes back, or 0
	FileName   string
	Bytes      int64
	Format     BulkFormat
	Mapping    BulkMapping
	Reason     string
	Rate       int
	State      BulkState
	Message    string // a sentence for a person; may quote the vendor
	// Lines by state; Ready are still to be sent.
	Ready, Same, Faults, Sent, Failed, Unknown int
	// PerSecond is how fast it goes, 0 if that is not known; Left how long it
	// takes yet.
	PerSecond                        float64
	Left                             time.Duration
	CreatedAt, StartedAt, FinishedAt time.Time

	streak int
	line   int
}

// Lines is how many lines the dry run has read.
func (b Bulk) Lines() int { return b.ToSend() + b.Same + b.Faults }

// ToSend is how many lines change something.
func (b Bulk) ToSend() int { return b.Ready + b.Done() }

// Done is how many lines were sent, whatever came of it.
func (b Bulk) Done() int { return b.Sent + b.Failed + b.Unknown }

// BulkLine is a line of a bulk edit.
type BulkLine = db.BulkLine

// BulkOptions set the pace of bulk edits; zero means the defaults.
type BulkOptions struct {
	// Pause is the least time between two lines, instead of what the member's
	// rate says: for tests.
	Pause time.Duration
}

// BulkRates are the rates that may be chosen, in lines a second. LogRocket
// publishes no limit.
func BulkRates() []int { return []int{1, 2, 5, 10, 20} }

// BulkRate is the rate that is chosen unless somebody says otherwise.
const BulkRate = 5

// Bulks edits the traits of many users at once, from a CSV file. Each line
// becomes a trait edit that is sent as any other, one at a time.
type Bulks struct {
	db     *db.DB
	queue  *Queue
	traits *Traits
	conns  *Connections
	opt    BulkOptions
	log    *slog.Logger
	now    func() time.Time
	busy   busyRows
}

func newBulks(d *db.DB, q *Queue, t *Traits, c *Connections, opt BulkOptions, log *slog.Logger, now func() time.Time) *Bulks {
	b := &Bulks{db: d, queue: q, traits: t, conns: c, opt: opt, log: log, now: now}
	q.handle(jobBulk, func(ctx context.Context, org OrgID, id int64) (time.Duration, error) {
		return b.run(ctx, org, BulkID(id))
	})
	q.onStart(b.settle)
	return b
}

func (s *Bulks) bulkOf(r db.Bulk) (Bulk, error) {
	b := Bulk{
		ID: r.ID, Connection: r.Connection, Author: r.Author, AuthorName: r.AuthorName, UndoOf: r.UndoOf, FileName: r.FileName, Bytes: r.Bytes,
		Reason: r.Reason, Rate: r.Rate, State: BulkState(r.State), Message: r.Message,
		Ready: r.Ready, Same: r.Same, Faults: r.Faults, Sent: r.Sent, Failed: r.Failed, Unknown: r.Unknown,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt, streak: r.Streak, line: r.Line,
	}
	if err := json.Unmarshal([]byte(r.Format), &b.Format); err != nil {
		return b, fmt.Errorf("read the format of bulk edit %d: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(r.Mapping), &b.Mapping); err != nil {
		return b, fmt.Errorf("read the columns of bulk edit %d: %w", r.ID, err)
	}
	if n, d := b.Done()-r.StretchDone, s.now().Sub(r.StretchAt); b.State == BulkRunning && n > 0 && d > time.Second {
		b.PerSecond = float64(n) / d.Seconds()
		b.Left = time.Duration(float64(b.Ready) / b.PerSecond * float64(time.Second))
	}
	return b, nil
}

const noBulk = "There is no such bulk edit in this organization."

func mayBulk(a Actor) error {
	if a.Role < Support {
		return &Error{Kind: Denied, Msg: "Editing traits changes what LogRocket shows to everybody, so it takes the support role."}
	}
	return nil
}

// Get finds a bulk edit.
func (s *Bulks) Get(ctx context.Context, org OrgID, id BulkID) (Bulk, error) {
	row, err := s.db.Org(org).Bulk(ctx, id)
	if err != nil {
		return Bulk{}, notFound(err, noBulk)
	}
	return s.bulkOf(row)
}

// List returns bulk edits older than before (0 for all), newest first.
func (s *Bulks) List(ctx context.Context, org OrgID, before BulkID, limit int) ([]Bulk, error) {
	rows, err := s.db.Org(org).Bulks(ctx, before, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Bulk, len(rows))
	for i, r := range rows {
		if out[i], err = s.bulkOf(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Lines lists the lines of a bulk edit behind after, at most limit: all, or
// those of one state.
func (s *Bulks) Lines(ctx context.Context, org OrgID, id BulkID, state string, after, limit int) ([]BulkLine, error) {
	return s.db.Org(org).BulkLines(ctx, id, state, after, limit)
}

// Wait returns the bulk edit once it does not move, or as it stands after upTo.
func (s *Bulks) Wait(ctx context.Context, org OrgID, id BulkID, upTo time.Duration) (Bulk, error) {
	return waitFor(ctx, upTo, func() (Bulk, bool, error) {
		b, err := s.Get(ctx, org, id)
		return b, !b.State.Moving(), err
	})
}
