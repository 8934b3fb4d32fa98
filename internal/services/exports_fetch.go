package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/upstream"
)

// exportNote is how often a file on its way says how far it is.
const exportNote = 2 * time.Second

// fetch gets one file, or the rest of it, and has it read. alone says of an
// error that it is about this file.
func (e *Exports) fetch(ctx context.Context, w *exportWalk, f ExportFile) (err error, alone bool) {
	o := e.db.Org(f.Org)
	f, err = o.ChangeExportFile(ctx, f.ID, []string{db.ExportListed}, func(f *db.ExportFile) { f.State, f.Message, f.ErrorKind = db.ExportFetching, "", "" }, nil)
	if errors.Is(err, db.ErrNotFound) { // canceled meanwhile
		return nil, true
	}
	if err != nil {
		return err, false
	}
	coming, stop := context.WithCancel(ctx)
	defer stop()
	e.mu.Lock()
	e.fileStops[f.ID] = stop
	e.mu.Unlock()
	before, stored := f.Received, int64(0)
	defer func() { w.came(f.ID, stored) }()
	f, err = e.download(coming, w, f)
	e.mu.Lock()
	delete(e.fileStops, f.ID)
	e.mu.Unlock()
	if err != nil {
		return e.notFetched(ctx, w, f, before, err)
	}
	if stored, err = e.files.finish(ctx, f); err != nil {
		return e.notFetched(ctx, w, f, before, err)
	}
	err = persist(ctx, func(ctx context.Context) error {
		_, err := o.ChangeExportFile(ctx, f.ID, []string{db.ExportFetching}, func(row *db.ExportFile) {
			row.State, row.FetchedAt, row.Stored, row.Received, row.Size = db.ExportFetched, e.now(), stored, f.Received, f.Received
		}, e.queue.put(jobExportRead, f.Org, 0))
		return err
	})
	if errors.Is(err, db.ErrNotFound) { // canceled at the last moment
		return e.files.remove(f), false
	}
	return err, false
}

// download brings a file's bytes to disk, and returns the row as far as it got.
func (e *Exports) download(ctx context.Context, w *exportWalk, f ExportFile) (ExportFile, error) {
	got, p, err := e.open(ctx, w, &f)
	if err != nil {
		return f, err
	}
	if got == nil {
		return f, p.Close()
	}
	err = e.copy(ctx, w, &f, p, got)
	return f, errors.Join(err, p.Close(), got.Close())
}

// open asks for a file, once more with a new address if the one at hand has
// expired, and opens its part at the same place. Nothing is asked for if all of it
// is here.
func (e *Exports) open(ctx context.Context, w *exportWalk, f *ExportFile) (*upstream.Download, *part, error) {
	p, err := e.files.openPart(*f, f.Validator == "")
	if err != nil {
		return nil, nil, err
	}
	if f.Validator != "" && p.at == f.Size { // whole, but for the word of it
		f.Received = p.at
		return nil, p, nil
	}
	var got *upstream.Download
	for again := false; ; again = true {
		address, err := e.address(ctx, w, *f)
		if err == nil {
			got, err = w.client.FetchExport(ctx, address, upstream.Resume{Offset: p.at, Validator: f.Validator})
		}
		if err == nil {
			break
		}
		e.forget(f.Connection, f.Key)
		kind := upstream.KindOf(err)
		if again || kind != upstream.Forbidden && kind != upstream.NotFound {
			return nil, nil, errors.Join(err, p.File.Close())
		}
	}
	if got.Offset != p.at {
		p.File.Close()
		// Empty first, then named: a crash in between leaves nothing of another version.
		if p, err = e.files.openPart(*f, true); err != nil {
			return nil, nil, errors.Join(err, got.Close())
		}
	}
	f.Size, f.Validator, f.Received = got.Size, got.Validator, p.at
	if err := e.tell(ctx, *f); err != nil {
		return nil, nil, errors.Join(err, p.File.Close(), got.Close())
	}
	return got, p, nil
}

// tell stores how far a file on its way is.
func (e *Exports) tell(ctx context.Context, f ExportFile) error {
	_, err := e.db.Org(f.Org).ChangeExportFile(ctx, f.ID, []string{db.ExportFetching}, func(row *db.ExportFile) {
		row.Size, row.Validator, row.Received = f.Size, f.Validator, f.Received
	}, nil)
	return err
}

// tooLarge is the cause of a file above the limit.
type tooLarge struct{ limit int64 }

func (t *tooLarge) Error() string { return fmt.Sprintf("the file has more than %d bytes", t.limit) }

// copy writes what comes behind what is here, within the limits.
func (e *Exports) copy(ctx context.Context, w *exportWalk, f *ExportFile, p *part, from io.Reader) error {
	buf, told := make([]byte, 128<<10), time.Now()
	for {
		if f.Size > w.follow.MaxFile || p.at > w.follow.MaxFile {
			return &tooLarge{w.follow.MaxFile}
		}
		if err := w.room(f.ID, max(f.Size, p.at)); err != nil {
			return err
		}
		n, err := from.Read(buf)
		if n > 0 {
			if _, werr := p.Write(buf[:n]); werr != nil {
				return werr
			}
			f.Received = p.at
			if perr := w.pace.add(ctx, n, e.now()); perr != nil {
				return perr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if time.Since(told) > exportNote {
			if err := e.tell(ctx, *f); err != nil {
				return err
			}
			told = time.Now()
		}
	}
}

// notFetched stores why a file did not come, and when it is tried again. The
// part of it that came stays until it is given up.
func (e *Exports) notFetched(ctx context.Context, w *exportWalk, f ExportFile, before int64, cause error) (err error, alone bool) {
	state, msg, kind, attempts, next := db.ExportListed, "", "", f.Attempts, time.Time{}
	var big *tooLarge
	var over *full
	now := e.now()
	switch {
	case ctx.Err() != nil: // paused, or Sightline stops
		cause = nil
	case errors.As(cause, &big):
		state, kind = db.ExportSkipped, "too_large"
		msg = fmt.Sprintf("The file is larger than %s, which is the limit for one. Raise the limit and try again.", byteSize(big.limit))
		cause, alone = nil, true
	case errors.As(cause, &over):
		// The connection waits, not the file.
	case errors.Is(cause, errLater): // the next step, when what was on its way is here
		cause, alone = nil, true
	default:
		alone = aboutOneFile(cause)
		if msg, kind = said(w.conn, cause, now); errors.Is(cause, errUnlisted) {
			msg, kind = fmt.Sprintf("LogRocket (connection “%s”) does not list the file any more.", w.conn.Name), "not_found"
		}
		if f.Received > before {
			attempts = 0 // it gets on
		}
		attempts++
		next = now.Add(min(time.Hour, time.Minute<<min(attempts-1, 10)))
		if attempts >= exportTries || alone && attempts >= 2 && gone(cause) {
			state = db.ExportFailed
		}
		e.log.WarnContext(ctx, "an export file was not fetched", "org", int64(f.Org), "file", int64(f.ID), "attempts", attempts, "err", cause)
	}
	if state != db.ExportListed { // what is here of it is let go of
		f.Validator, f.Received = "", 0
	}
	stored := persist(ctx, func(ctx context.Context) error {
		_, err := e.db.Org(f.Org).ChangeExportFile(ctx, f.ID, []string{db.ExportFetching}, func(row *db.ExportFile) {
			row.State, row.Message, row.ErrorKind, row.Attempts, row.NextAt, row.Received, row.Validator = state, msg, kind, attempts, next, f.Received, f.Validator
		}, nil)
		return err
	})
	if errors.Is(stored, db.ErrNotFound) { // canceled meanwhile
		return e.files.remove(f), false
	}
	if stored == nil && state != db.ExportListed {
		stored = e.files.remove(f)
	}
	if stored != nil {
		return stored, false
	}
	return cause, alone
}

// aboutOneFile says that an error is about a file, and not about all there is.
func aboutOneFile(err error) bool {
	if errors.Is(err, errUnlisted) {
		return true
	}
	var sys *os.PathError
	switch upstream.KindOf(err) {
	case upstream.WrongKey, upstream.RateLimited, "":
		return false
	}
	return !errors.As(err, &sys)
}

// gone says that asking again will not help.
func gone(err error) bool {
	kind := upstream.KindOf(err)
	return errors.Is(err, errUnlisted) || kind == upstream.NotFound || kind == upstream.Forbidden
}
