package services

import (
	"context"
	"errors"
	"time"

	"sightline/internal/db"
)

const (
	// keepingRest is how long what is kept is left alone between two looks at
	// what is too old by now.
	keepingRest = 30 * time.Minute
	// keepingBatch is how much is read at a time of what is to go.
	keepingBatch = 100
)

// keepDays lets go of what is kept for so many days only, whether its exports
// are followed at the moment or not, until ctx ends.
func (s *Services) keepDays(ctx context.Context) {
	for wait := time.Minute; sleep(ctx, wait); wait = keepingRest {
		if err := s.retire(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "what is too old was not let go of; it is tried again", "err", err)
		}
	}
}

// retire is one look at every connection. What fails at one does not keep it
// from the others.
func (s *Services) retire(ctx context.Context) error {
	var failed error
	for after := ConnectionID(0); ctx.Err() == nil; {
		rows, err := s.db.KeepingsUnscoped(ctx, after, keepingBatch)
		if err != nil || len(rows) == 0 {
			return errors.Join(failed, err)
		}
		for _, k := range rows {
			failed = errors.Join(failed, s.Exports.retire(ctx, k), s.Recordings.retire(ctx, k))
			after = k.Connection
		}
	}
	return ctx.Err()
}

// retire lets go of files that were read longer ago than they are kept. What
// was read out of them stays.
func (e *Exports) retire(ctx context.Context, k db.Keeping) error {
	if k.KeepDays == 0 {
		return nil
	}
	before := e.now().AddDate(0, 0, -k.KeepDays)
	for ctx.Err() == nil {
		files, err := e.db.Org(k.Org).ReadExportFiles(ctx, k.Connection, before, keepingBatch)
		if err != nil || len(files) == 0 {
			return err
		}
		for _, f := range files {
			if err := e.drop(ctx, f); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// drop lets go of a file that was read. The row is changed first: a file without
// a row that wants it is swept away by the next start.
func (e *Exports) drop(ctx context.Context, f ExportFile) error {
	_, err := e.db.Org(f.Org).ChangeExportFile(ctx, f.ID, []string{db.ExportRead, db.ExportFailed}, func(f *db.ExportFile) { f.Stored, f.DroppedAt = 0, e.now() }, nil)
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	return errors.Join(err, e.files.remove(f))
}

// retire removes the recordings that began longer ago than they are kept.
func (r *Recordings) retire(ctx context.Context, k db.Keeping) error {
	if k.KeepRecordings == 0 {
		return nil
	}
	o, before := r.db.Org(k.Org), r.now().AddDate(0, 0, -k.KeepRecordings)
	for ctx.Err() == nil {
		ids, err := o.RecordingsBefore(ctx, k.Connection, before, keepingBatch)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			err := o.HideRecording(ctx, id, r.queue.put(jobRecordings, k.Org, 0), nil)
			if err != nil && !errors.Is(err, db.ErrNotFound) { // a member was quicker
				return err
			}
		}
	}
	return ctx.Err()
}
