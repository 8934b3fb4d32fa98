package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/eventlog"
)

// MaxExportBytes is how much of one export file is read, unpacked: a small gzip
// can hold terabytes.
const MaxExportBytes = 16 << 30

const (
	// keptBadLines is how many bad lines of a file are kept with their beginning.
	keptBadLines = 100
	// chunkBytes is how much of a file is handed on at a time from the goroutine
	// that unpacks to the one that reads the lines, and chunksAhead how many of
	// them wait.
	chunkBytes, chunksAhead = 256 << 10, 4
	// chunksHeld is for how many further chunks one is held by lines that are not
	// stored yet.
	chunksHeld = 8
)

// IngestReport is what reading a file brought.
type IngestReport struct {
	Lines, BadLines, Events int64
	// RawBytes is what the file unpacked to.
	RawBytes int64
	// Recordings is how many of its recordings are shown, Older how many are not,
	// because more of them had come before.
	Recordings, Older int
	// Message says what was odd about the file, empty if nothing was.
	Message string
}

// readingFile is how far the reading of a file is.
type readingFile struct {
	began                time.Time
	bytes, lines, events atomic.Int64
}

// ReadProgress is how far the reading of a file is.
type ReadProgress struct {
	Since time.Time
	// Bytes is how much of the file as it lies on disk was read.
	Bytes, Lines, Events int64
}

// Progress tells of a file that is being read now; ok is false for others.
func (r *Recordings) Progress(file ExportFileID) (p ReadProgress, ok bool) {
	r.mu.Lock()
	f, ok := r.reading[file]
	r.mu.Unlock()
	if ok {
		p = ReadProgress{Since: f.began, Bytes: f.bytes.Load(), Lines: f.lines.Load(), Events: f.events.Load()}
	}
	return p, ok
}

// Read stores what is in an export file, plain or gzipped, in many small
// transactions. What a bad line or a broken end costs is told in the report and
// is no error. It may be called again for a file that was read, or begun to be
// read, and then leaves the same rows: a recording that is shown is replaced in
// one step, and only by one with as many events. When it fails or its context
// ends, nothing of the file's new recordings is shown but those that were whole.
// One file is read once at a time: the second call is an Error of kind Conflict.
func (r *Recordings) Read(ctx context.Context, f db.ExportFile, open func() (io.ReadCloser, error)) (_ IngestReport, err error) {
	mine := &readingFile{began: r.now()}
	r.mu.Lock()
	_, busy := r.reading[f.ID]
	if !busy {
		r.reading[f.ID] = mine
	}
	r.mu.Unlock()
	if busy {
		return IngestReport{}, &Error{Kind: Conflict, Msg: "The file is being read already."}
	}
	defer func() {
		r.mu.Lock()
		delete(r.reading, f.ID)
		r.mu.Unlock()
	}()
	o := r.db.Org(f.Org)
	if err := o.BeginReading(ctx, f.ID); err != nil {
		return IngestReport{}, err
	}
	if err := r.settleFile(ctx, o, f.ID); err != nil {
		return IngestReport{}, err
	}
	in, err := open()
	if err != nil {
		return IngestReport{}, fmt.Errorf("open export file %d: %w", f.ID, err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	report, err := r.ingest(ctx, o, f, countedReader{in, &mine.bytes}, mine)
	if err != nil {
		return report, errors.Join(fmt.Errorf("read export file %d: %w", f.ID, err), r.letGo(context.WithoutCancel(ctx), f))
	}
	return report, r.settleFile(ctx, o, f.ID)
}

// letGo has what a reading brought go that came to nothing: nobody may ever read
// the file again. When Sightline stops, the next start does that.
func (r *Recordings) letGo(ctx context.Context, f db.ExportFile) error {
	if r.queue.stopping() {
		return nil
	}
	o := r.db.Org(f.Org)
	if err := o.BeginReading(ctx, f.ID); err != nil {
		return err
	}
	ids, err := o.UnsettledRecordings(ctx, f.ID)
	for _, id := range ids {
		err = errors.Join(err, r.queue.again(ctx, jobRecordings, f.Org, int64(id), 0))
	}
	return err
}

// settleFile counts and removes what is left of a file's recordings.
func (r *Recordings) settleFile(ctx context.Context, o db.Org, file ExportFileID) error {
	for {
		ids, err := o.UnsettledRecordings(ctx, file)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := settleRecording(ctx, o, id); err != nil {
				return err
			}
		}
	}
}

func settleRecording(ctx context.Context, o db.Org, id RecordingID) error {
	for {
		done, err := o.SettleRecording(ctx, id)
		if done || err != nil {
			return err
		}
	}
}

// countedReader counts what is read.
type countedReader struct {
	io.Reader
	n *atomic.Int64
}

// Read reads and counts.
func (c countedReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// rawLine is a line of a chunk.
type rawLine struct {
	number int64
	raw    []byte
	bad    string
}

// ingest reads a file on three goroutines: one unpacks it, this one reads the
// lines, one packs blocks and writes them.
func (r *Recordings) ingest(ctx context.Context, o db.Org, f db.ExportFile, in io.Reader, progress *readingFile) (IngestReport, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lines, err := eventlog.NewReader(in, eventlog.Options{MaxBytes: MaxExportBytes})
	if err != nil {
		return IngestReport{}, err
	}
	chunks := make(chan []rawLine, chunksAhead)
	go func() {
		defer close(chunks)
		if err := readChunks(ctx, lines, chunks); err != nil {
			cancel(err)
		}
	}()
	w, err := newBlockWriter(ctx, cancel, o, f.ID)
	if err != nil {
		return IngestReport{}, err
	}
	i := newIngest(o, f, w, r.now())
	for chunk := range chunks {
		for _, l := range chunk {
			i.line(l)
		}
		i.took()
		progress.lines.Store(i.report.Lines)
		progress.events.Store(i.report.Events)
	}
	if ctx.Err() == nil {
		i.end()
	}
	w.close()
	if ctx.Err() != nil {
		return i.report, context.Cause(ctx)
	}
	stats := lines.Stats() // the goroutine that read has ended
	i.report.RawBytes = stats.Bytes
	i.report.Message = ingestMessage(i.report, stats)
	if err := o.AddBadLines(ctx, f.ID, i.bad); err != nil {
		return i.report, err
	}
	return i.report, i.show(ctx)
}

// ingestMessage says what was odd about a file.
func ingestMessage(r IngestReport, s eventlog.Stats) string {
	var say []string
	switch s.Fault {
	case eventlog.FaultTruncated:
		say = append(say, "The file breaks off: its gzip stream has no end. What came before that was read.")
	case eventlog.FaultCorrupt:
		say = append(say, "The file is damaged: its gzip stream cannot be unpacked to the end. What came before that was read.")
	case eventlog.FaultTooLarge:
		say = append(say, fmt.Sprintf("The file unpacks to more than %d GB. Only that much of it was read.", MaxExportBytes>>30))
	}
	if r.Lines > 0 && r.Events == 0 {
		say = append(say, "No line of it is an event: it may not be an export file.")
	}
	if r.Lines == 0 && s.Fault == "" {
		say = append(say, "The file is empty.")
	}
	if r.Older > 0 {
		say = append(say, "Of what it holds, more had come before: that stays.")
	}
	return strings.Join(say, " ")
}

// readChunks hands the lines of a file on, until ctx ends.
func readChunks(ctx context.Context, lines *eventlog.Reader, out chan<- []rawLine) error {
	for ended := false; !ended; {
		buf, chunk := make([]byte, 0, chunkBytes), make([]rawLine, 0, 512)
		for len(buf) < chunkBytes/2 {
			l, err := lines.NextRaw()
			if errors.Is(err, io.EOF) {
				ended = true
				break
			}
			if err != nil {
				return err
			}
			at := len(buf)
			buf = append(buf, l.Raw...) // a longer line moves it, and those before keep the old one
			chunk = append(chunk, rawLine{number: l.Number, raw: buf[at:len(buf):len(buf)], bad: l.Bad})
		}
		select {
		case out <- chunk:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}
