package services

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"sightline/internal/db"
)

// ExportFileID is an export file's.
type ExportFileID = db.ExportFileID

// readFile is one job: reading a file that lies on disk.
func (e *Exports) readFile(ctx context.Context, org OrgID, id ExportFileID) (time.Duration, error) {
	began := time.Now()
	select { // for the one that is being read
	case e.reading <- struct{}{}:
		defer func() { <-e.reading }()
	case <-ctx.Done():
	}
	if e.queue.stopping() || stopped(ctx) { // the next start goes on
		return 0, nil
	}
	if ctx.Err() != nil || time.Since(began) > exportsLimit/2 {
		return time.Second, nil // its time went by with waiting: it begins anew, with all of it
	}
	o := e.db.Org(org)
	f, err := o.ChangeExportFile(ctx, id, []string{db.ExportFetched}, func(f *db.ExportFile) { f.State, f.Message, f.ErrorKind = db.ExportReading, "", "" }, nil)
	if err != nil {
		return 0, err
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	e.mu.Lock()
	e.fileStops[id] = stop
	e.mu.Unlock()
	report, err := e.read(reading, f, func() (io.ReadCloser, error) { return e.files.open(f) })
	e.mu.Lock()
	delete(e.fileStops, id)
	e.mu.Unlock()
	var own *Error
	late := errors.Is(ctx.Err(), context.DeadlineExceeded) && !e.queue.stopping()
	err = persist(ctx, func(ctx context.Context) error {
		_, serr := o.ChangeExportFile(ctx, id, []string{db.ExportReading}, func(row *db.ExportFile) {
			switch {
			case err == nil:
				row.State, row.ReadAt, row.Message = db.ExportRead, e.now(), report.Message
				row.Lines, row.BadLines, row.Events = report.Lines, report.BadLines, report.Events
			case late:
				row.State, row.ErrorKind, row.Message = db.ExportFailed, "too_slow", fmt.Sprintf("Reading the file took longer than %d minutes, so it was given up.", int(exportsLimit.Minutes())/2)
			case reading.Err() != nil: // Sightline stops: the next start reads it
				row.State = db.ExportFetched
			case errors.Is(err, os.ErrNotExist): // a database that was put back without its files
				row.State, row.ErrorKind, row.Message, row.Stored = db.ExportFailed, "missing", missingExport, 0
				if row.Origin == db.ExportFollowed {
					row.State, row.Validator, row.Received = db.ExportListed, "", 0
				}
			case errors.As(err, &own):
				row.State, row.ErrorKind, row.Message = db.ExportFailed, "unreadable", own.Msg
			default:
				e.log.ErrorContext(ctx, "an export file could not be read", "org", int64(org), "file", int64(id), "err", err)
				row.State, row.ErrorKind, row.Message = db.ExportFailed, "internal", "Something in Sightline itself failed while it read the file; the log has the cause."
			}
		}, nil)
		return serr
	})
	if errors.Is(err, db.ErrNotFound) { // canceled meanwhile
		return 0, e.files.remove(f)
	}
	return 0, err
}

const missingExport = "The file is not where it was put. It may have been removed from the disk, or the database was restored without its files."

const noExportFile = "There is no such file in this organization."

// File finds a file.
func (e *Exports) File(ctx context.Context, org OrgID, id ExportFileID) (ExportFile, error) {
	f, err := e.db.Org(org).ExportFile(ctx, id)
	return f, notFound(err, noExportFile)
}

// Files lists files.
func (e *Exports) Files(ctx context.Context, org OrgID, q ExportFilter) ([]ExportFile, error) {
	return e.db.Org(org).ExportFiles(ctx, q)
}

// Open opens a file as it is kept: gzip of JSON Lines. Close it.
func (e *Exports) Open(ctx context.Context, org OrgID, id ExportFileID) (*os.File, ExportFile, error) {
	f, err := e.File(ctx, org, id)
	if err != nil {
		return nil, f, err
	}
	if f.Stored == 0 {
		return nil, f, &Error{Kind: NotFound, Msg: "The file itself is not kept any more. What was read out of it is."}
	}
	file, err := e.files.open(f)
	if errors.Is(err, os.ErrNotExist) {
		err = &Error{Kind: NotFound, Msg: missingExport, Err: err}
	}
	return file, f, err
}

func mayExport(a Actor) error {
	if a.Role < Support {
		return &Error{Kind: Denied, Msg: "Changing export files takes the support role. An admin can give it to you."}
	}
	return nil
}

// Cancel ends a file that is not read yet, and lets go of what is here of it.
func (e *Exports) Cancel(ctx context.Context, actor Actor, id ExportFileID) error {
	if err := mayExport(actor); err != nil {
		return err
	}
	f, err := e.db.Org(actor.Org).ChangeExportFile(ctx, id, []string{db.ExportListed, db.ExportFetching, db.ExportFetched, db.ExportReading}, func(f *db.ExportFile) {
		f.State, f.Stored, f.ErrorKind, f.Message = db.ExportCanceled, 0, "", fmt.Sprintf("Canceled by %s.", orElse(actor.Name, "a member"))
	}, nil)
	if errors.Is(err, db.ErrNotFound) {
		if _, err := e.File(ctx, actor.Org, id); err != nil {
			return err
		}
		return nil // it has ended already
	}
	if err != nil {
		return err
	}
	e.mu.Lock()
	stop := e.fileStops[id]
	e.mu.Unlock()
	if stop != nil {
		stop() // who works on it removes what is here of it
		return nil
	}
	return e.files.remove(f)
}

// CancelWaiting ends all files of a connection that are listed and have not come
// yet, and says how many.
func (e *Exports) CancelWaiting(ctx context.Context, actor Actor, conn ConnectionID) (n int, err error) {
	if err := mayExport(actor); err != nil {
		return 0, err
	}
	const batch = 200
	for {
		files, err := e.db.Org(actor.Org).WaitingExportFiles(ctx, conn, batch)
		if err != nil || len(files) == 0 {
			return n, err
		}
		for _, f := range files {
			if err := e.Cancel(ctx, actor, f.ID); err != nil {
				return n, err
			}
			n++
		}
	}
}

// Again has a file that failed, was skipped or canceled fetched and read again,
// and one that was read and is here read again.
func (e *Exports) Again(ctx context.Context, actor Actor, id ExportFileID) error {
	if err := mayExport(actor); err != nil {
		return err
	}
	f, err := e.File(ctx, actor.Org, id)
	if err != nil {
		return err
	}
	ends := []string{db.ExportFailed, db.ExportSkipped, db.ExportCanceled}
	o := e.db.Org(actor.Org)
	switch {
	case f.Stored > 0:
		_, err = o.ChangeExportFile(ctx, id, append(ends, db.ExportRead), func(f *db.ExportFile) {
			f.State, f.Message, f.ErrorKind, f.ReadAt = db.ExportFetched, "", "", time.Time{}
		}, e.queue.put(jobExportRead, actor.Org, 0))
	case f.Origin == db.ExportUploaded:
		return &Error{Kind: Conflict, Msg: "The file was uploaded and is not here any more. Upload it again."}
	default:
		if _, err = o.ChangeExportFile(ctx, id, ends, func(f *db.ExportFile) {
			f.State, f.Message, f.ErrorKind, f.Attempts, f.NextAt, f.DroppedAt = db.ExportListed, "", "", 0, time.Time{}, time.Time{}
		}, nil); err == nil {
			err = o.WakeExports(ctx, f.Connection, e.queue.put(jobExports, actor.Org, 0))
			if errors.Is(err, db.ErrNotFound) {
				return &Error{Kind: Conflict, Msg: "The file waits now, but the exports of its connection are not followed. Switch that on to get it."}
			}
		}
	}
	if errors.Is(err, db.ErrNotFound) {
		return nil // somebody else was quicker
	}
	return err
}

// Upload takes in a file that a member has, and has it read. A file that is
// here already is returned as it stands, and fresh is false.
func (e *Exports) Upload(ctx context.Context, actor Actor, conn ConnectionID, name string, content io.Reader) (f ExportFile, fresh bool, err error) {
	if err := mayExport(actor); err != nil {
		return f, false, err
	}
	c, err := e.connections.Get(ctx, actor.Org, conn)
	if err != nil {
		return f, false, err
	}
	if c.Vendor != LogRocket || c.Removed() {
		return f, false, &Error{Kind: Conflict, Msg: fmt.Sprintf("Files cannot be uploaded for “%s”: it is not a LogRocket connection in use.", c.Name)}
	}
	came, err := e.takeIn(ctx, actor.Org, conn, content)
	if err != nil {
		return f, false, err
	}
	defer os.Remove(came.path) // where it was not moved
	if came.size == 0 {
		return f, false, invalid("The file is empty.")
	}
	o := e.db.Org(actor.Org)
	f, fresh, err = o.AddExportFile(ctx, db.ExportFile{
		Connection: conn, Key: "sha256:" + came.hash, Name: shortTo(db.CleanText(filepath.Base(name)), 200), Author: actor.User, Size: came.size, CreatedAt: e.now(),
	})
	if err != nil {
		return f, false, notFound(err, noConnection)
	}
	if !fresh {
		gone := []string{db.ExportFailed, db.ExportCanceled}
		if f.Stored == 0 { // let go of
			gone = append(gone, db.ExportRead)
		}
		if f, err = o.ChangeExportFile(ctx, f.ID, gone, func(f *db.ExportFile) {
			f.State, f.Message, f.ErrorKind, f.Stored, f.ReadAt, f.DroppedAt = db.ExportFetching, "", "", 0, time.Time{}, time.Time{}
		}, nil); errors.Is(err, db.ErrNotFound) {
			return f, false, nil
		}
		if err != nil {
			return f, false, err
		}
	}
	if err := os.Rename(came.path, e.files.path(f, ".part")); err != nil {
		return f, false, fmt.Errorf("keep the upload: %w", err)
	}
	stored, err := e.files.finish(ctx, f)
	if err != nil {
		return f, false, err
	}
	f, err = o.ChangeExportFile(ctx, f.ID, []string{db.ExportFetching}, func(row *db.ExportFile) {
		row.State, row.FetchedAt, row.Stored, row.Received = db.ExportFetched, e.now(), stored, came.size
	}, e.queue.put(jobExportRead, actor.Org, 0))
	if err != nil {
		return f, false, err
	}
	return f, true, o.AddHistory(ctx, db.HistoryEntry{
		At: e.now(), Actor: actor.User, ActorName: actor.Name, Action: "export.upload", Subject: f.Name, Connection: conn,
		Summary: fmt.Sprintf("Uploaded the export file %s (%s)", f.Name, byteSize(came.size)),
	})
}

// upload is a file that came in, outside of what is kept.
type upload struct {
	path, hash string
	size       int64
}

// takeIn writes an upload to disk, within the limits, and hashes it.
func (e *Exports) takeIn(ctx context.Context, org OrgID, conn ConnectionID, content io.Reader) (u upload, err error) {
	follow, err := e.db.Org(org).ExportFollow(ctx, conn)
	if errors.Is(err, db.ErrNotFound) {
		follow.ExportLimits, err = DefaultExportLimits(), nil
	}
	if err != nil {
		return u, err
	}
	totals, err := e.db.Org(org).ExportTotals(ctx, conn)
	if err != nil {
		return u, err
	}
	dir := filepath.Dir(e.files.path(ExportFile{Org: org}, ""))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return u, fmt.Errorf("make the directory of export files: %w", err)
	}
	file, err := os.CreateTemp(dir, "upload-*")
	if err != nil {
		return u, fmt.Errorf("take in the upload: %w", err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			_ = os.Remove(file.Name()) // what is left is swept away by the next start
		}
	}()
	hash := sha256.New()
	room := min(follow.MaxFile, follow.Quota-totals.Stored)
	n, err := io.Copy(io.MultiWriter(file, hash), io.LimitReader(readerUntil{ctx, content}, max(room, 0)+1))
	switch {
	case err != nil:
		return u, err
	case n > follow.MaxFile:
		return u, invalid("The file is larger than %s, which is the limit for one. An admin can raise it.", byteSize(follow.MaxFile))
	case n > room:
		return u, invalid("The file does not fit: files fill %s of the quota of %s. An admin can raise it, or let older files go.", byteSize(totals.Stored), byteSize(follow.Quota))
	}
	return upload{path: file.Name(), hash: hex.EncodeToString(hash.Sum(nil)), size: n}, file.Sync()
}
