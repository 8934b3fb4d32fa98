package services

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/eventlog"
)

// jobRecordings counts or removes what is left of recordings; its rows are
// recordings.
const jobRecordings = "recordings"

// recordingTurn is how long one job counts or removes.
const recordingTurn = 20 * time.Second

// Recordings are what happened inside sessions of LogRocket, as its data export
// tells it.
type Recordings struct {
	db          *db.DB
	queue       *Queue
	connections *Connections
	log         *slog.Logger
	now         func() time.Time
	unpackers   sync.Pool // of *eventlog.Unpacker

	mu      sync.Mutex
	reading map[ExportFileID]*readingFile
}

func newRecordings(d *db.DB, q *Queue, c *Connections, log *slog.Logger, now func() time.Time) *Recordings {
	r := &Recordings{db: d, queue: q, connections: c, log: log, now: now, reading: map[ExportFileID]*readingFile{}}
	q.handle(jobRecordings, func(ctx context.Context, org OrgID, id int64) (time.Duration, error) {
		return r.run(ctx, org, RecordingID(id))
	})
	q.onStart(r.settle)
	return r
}

// settle has what a stop cut off go, and gives it and what is not counted yet a
// job. The files themselves are read again by whoever had them read.
func (r *Recordings) settle(ctx context.Context) error {
	const batch = 500
	var after RecordingID
	for {
		rows, err := r.db.SettleRecordingsUnscoped(ctx, after, batch)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := r.queue.again(ctx, jobRecordings, row.Org, int64(row.ID), 0); err != nil {
				return err
			}
			after = row.ID
		}
		if len(rows) < batch {
			return nil
		}
	}
}

// run is one job: it goes on with counting or removing a recording for a while.
func (r *Recordings) run(ctx context.Context, org OrgID, id RecordingID) (time.Duration, error) {
	for began := time.Now(); !r.queue.stopping() && time.Since(began) < recordingTurn; {
		done, err := r.db.Org(org).SettleRecording(ctx, id)
		if err != nil && ctx.Err() != nil {
			return goOn(ctx), nil
		}
		if done || err != nil {
			return 0, err
		}
	}
	return time.Millisecond, nil
}

// Remove takes a recording off the pages, and everything that was stored of it
// out of the database. Its file stays, and can be read again. It takes the role
// admin.
func (r *Recordings) Remove(ctx context.Context, actor Actor, id RecordingID) error {
	if actor.Role < Admin {
		return &Error{Kind: Denied, Msg: "Recordings are removed by members with the role admin or owner. Ask one of them."}
	}
	rec, err := r.Get(ctx, actor.Org, id)
	if err != nil {
		return err
	}
	entry := r.connections.entry(actor, "export.remove", rec.VendorRecording+"/"+rec.VendorSession, "Removed a recording of "+rec.StartedAt.UTC().Format("2 Jan 2006, 15:04 UTC"))
	entry.Customer, entry.Connection = rec.Customer, rec.Connection
	return notFound(r.db.Org(actor.Org).HideRecording(ctx, id, r.queue.put(jobRecordings, actor.Org, 0), &entry), noRecording)
}

const noRecording = "There is no such recording here. It may have been removed, or read anew from its file."

// Recorded is a recording as it is stored: see [db.Recording].
type Recorded = db.Recording

// Recording is a recording for people.
type Recording struct {
	db.Recording
	// URL leads to it in LogRocket's app, empty if that is not known.
	URL string
	// CustomerName and CustomerEmail are the customer's, as the page of the
	// customer shows them.
	CustomerName, CustomerEmail string
}

// Length is how long it lasted.
func (r Recording) Length() time.Duration { return r.EndedAt.Sub(r.StartedAt) }

// URLAt leads to a moment of the recording in LogRocket's app; empty if no
// address is known. The moment is an absolute time in the address.
func (r *Recordings) URLAt(ctx context.Context, org OrgID, rec db.Recording, at time.Time) string {
	client, _, err := r.connections.logrocket(ctx, org, rec.Connection)
	if err != nil { // removed, or not to be opened: a link is all that is lost
		return ""
	}
	return client.SessionURL(rec.VendorRecording, rec.VendorSession, at)
}

// Get returns one recording.
func (r *Recordings) Get(ctx context.Context, org OrgID, id RecordingID) (Recording, error) {
	row, err := r.db.Org(org).Recording(ctx, id)
	if err != nil {
		return Recording{}, notFound(err, noRecording)
	}
	list, err := r.dress(ctx, org, []db.Recording{row})
	if err != nil {
		return Recording{}, err
	}
	list[0].URL = r.URLAt(ctx, org, row, time.Time{})
	return list[0], nil
}

// dress adds who the customers are.
func (r *Recordings) dress(ctx context.Context, org OrgID, rows []db.Recording) ([]Recording, error) {
	out := make([]Recording, len(rows))
	known := map[CustomerID]db.Customer{}
	for i, row := range rows {
		out[i] = Recording{Recording: row}
		if row.Customer == 0 {
			continue
		}
		c, ok := known[row.Customer]
		if !ok {
			var err error
			if c, err = r.db.Org(org).Customer(ctx, row.Customer); err != nil && !errors.Is(err, db.ErrNotFound) {
				return nil, err
			}
			known[row.Customer] = c
		}
		out[i].CustomerName, out[i].CustomerEmail = c.Name, c.Email
	}
	return out, nil
}

// List returns the recordings that began in [from, to), newest first, after a
// place, at most ShortPage, and whether there are more; a zero bound is open.
func (r *Recordings) List(ctx context.Context, org OrgID, from, to time.Time, after Moment) ([]Recording, bool, error) {
	rows, err := r.db.Org(org).Recordings(ctx, from, to, after, ShortPage+1)
	return r.paged(ctx, org, rows, err)
}

// OfCustomer returns a customer's recordings as List does.
func (r *Recordings) OfCustomer(ctx context.Context, org OrgID, customer CustomerID, from, to time.Time, after Moment) ([]Recording, bool, error) {
	rows, err := r.db.Org(org).CustomerRecordings(ctx, customer, from, to, after, ShortPage+1)
	return r.paged(ctx, org, rows, err)
}

// OfFile returns the recordings that a file brought and that are shown, at most
// 1000.
func (r *Recordings) OfFile(ctx context.Context, org OrgID, file ExportFileID) ([]Recording, error) {
	rows, err := r.db.Org(org).FileRecordings(ctx, file)
	if err != nil {
		return nil, err
	}
	return r.dress(ctx, org, rows)
}

// ByVendor finds recordings by LogRocket's pair; with an empty session all
// sessions of the recording. Several connections may have the same one.
func (r *Recordings) ByVendor(ctx context.Context, org OrgID, recording, session string) ([]Recording, error) {
	rows, err := r.db.Org(org).RecordingsByVendor(ctx, recording, session)
	if err != nil {
		return nil, err
	}
	return r.dress(ctx, org, rows)
}

func (r *Recordings) paged(ctx context.Context, org OrgID, rows []db.Recording, err error) ([]Recording, bool, error) {
	if err != nil {
		return nil, false, err
	}
	more := len(rows) > ShortPage
	out, err := r.dress(ctx, org, rows[:min(len(rows), ShortPage)])
	return out, more, err
}

// BadLine is a line of a file that holds no event.
type BadLine = db.BadLine

// BadLines lists the first bad lines of a file, at most a hundred.
func (r *Recordings) BadLines(ctx context.Context, org OrgID, file ExportFileID) ([]BadLine, error) {
	return r.db.Org(org).BadLines(ctx, file)
}

// unpack reads a packed block of lines.
func (r *Recordings) unpack(block []byte) ([]eventlog.Entry, error) {
	u, ok := r.unpackers.Get().(*eventlog.Unpacker)
	if !ok {
		var err error
		if u, err = eventlog.NewUnpacker(); err != nil {
			return nil, err
		}
	}
	defer r.unpackers.Put(u)
	return u.Unpack(block)
}
