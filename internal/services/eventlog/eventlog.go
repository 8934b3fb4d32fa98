// Package eventlog reads the files that LogRocket's data export hands over:
// JSON Lines, plain or gzipped, one recorded event a line. LogRocket documents
// no format of the lines, so the reader knows the spellings that were seen and
// the type names of LogRocket's SDKs and of its streaming export, and keeps
// whatever else there is as it stands. Nothing in a file makes it fail: what
// cannot be read is told line by line, and memory stays the same for a file of
// any size.
package eventlog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// MaxLine is the most bytes of a line that are read by default, without its end:
// LogRocket's lines can reach 4 MB.
const MaxLine = 4 << 20

// Options bound what is read.
type Options struct {
	// MaxLine is the most bytes of a line, by default [MaxLine].
	MaxLine int
	// MaxBytes is the most bytes that are read, after unpacking; 0 means no limit.
	MaxBytes int64
}

// Fault is why a file was not read to its end, in a word; empty if it was.
type Fault string

// The faults of a file. What was read before stays good.
const (
	FaultTruncated Fault = "truncated" // the gzip stream ends before its end
	FaultCorrupt   Fault = "corrupt"   // the gzip stream is damaged
	FaultTooLarge  Fault = "too large" // more than MaxBytes
)

// Stats are what was read so far.
type Stats struct {
	// Lines counts all lines but blank ones, Bad those that hold no event, Repaired
	// those whose invalid UTF-8 was replaced.
	Lines, Bad, Repaired int64
	// Bytes is how many were read, after unpacking.
	Bytes int64
	Gzip  bool
	Fault Fault
}

// Line is a line of a file.
type Line struct {
	// Number is its place in the file; the first one is 1, blank ones count.
	Number int64
	// Raw is the line without its end, as valid UTF-8. It is good until the next
	// line is read. Of a line that is too long it is the beginning.
	Raw []byte
	// Bad says in some words why there is no event in it; empty if there is.
	Bad string
	// Event is what the line says, if it is not bad.
	Event Event
}

// Reader reads the lines of one file. It is used by one goroutine.
type Reader struct {
	in      *bufio.Reader
	limit   *limited
	maxLine int
	buf     []byte // a line that did not fit into in's own buffer
	number  int64
	stats   Stats
	ended   error
}

// beginning is how much of a bad line is kept.
const beginning = 1 << 10

// maxPacked is how often a file may be packed: once as it is stored, and once more
// by what carried it here.
const maxPacked = 2

// NewReader begins to read a file. It looks at the first two bytes to find out
// whether it is gzipped: what a server says about it is not to be trusted.
func NewReader(r io.Reader, o Options) (*Reader, error) {
	if o.MaxLine <= 0 {
		o.MaxLine = MaxLine
	}
	rd := &Reader{maxLine: o.MaxLine}
	rd.limit = &limited{left: o.MaxBytes, bounded: o.MaxBytes > 0}
	for range maxPacked + 1 {
		content := bufio.NewReaderSize(r, 64<<10)
		head, err := content.Peek(2)
		if faultOf(err) != "" {
			rd.ended, rd.stats.Fault = io.EOF, faultOf(err)
		} else if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the file: %w", err)
		}
		r, rd.limit.r = content, content
		if !bytes.Equal(head, []byte{0x1f, 0x8b}) {
			break
		}
		rd.stats.Gzip = true
		z, err := gzip.NewReader(content)
		if faultOf(err) != "" {
			rd.ended, rd.stats.Fault = io.EOF, faultOf(err)
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the file: %w", err)
		}
		r = z
	}
	rd.in = bufio.NewReaderSize(rd.limit, 256<<10)
	return rd, nil
}

// Stats says what was read so far.
func (r *Reader) Stats() Stats { return r.stats }

// Next reads the next line that is not blank. At the end, or where the file
// cannot be read further ([Stats.Fault]), it returns [io.EOF]; any other error is
// the underlying reader's.
func (r *Reader) Next() (Line, error) {
	line, err := r.NextRaw()
	if err == nil && line.Bad == "" {
		line.Event, line.Bad = Parse(line.Raw)
		if line.Bad != "" {
			r.stats.Bad++
		}
	}
	return line, err
}

// NextRaw is Next without looking into the line: Event is empty, and the caller
// counts what [Parse] does not take.
func (r *Reader) NextRaw() (Line, error) {
	for {
		if r.ended != nil {
			return Line{}, r.ended
		}
		raw, whole, err := r.line()
		if err != nil {
			r.end(err)
			if len(raw) == 0 {
				continue
			}
		}
		r.number++
		if r.number == 1 {
			raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
		}
		if raw = bytes.TrimSpace(raw); len(raw) == 0 {
			continue
		}
		r.stats.Lines++
		line := Line{Number: r.number, Raw: raw}
		switch {
		case !whole:
			line.Bad = fmt.Sprintf("it is longer than %d MB", r.maxLine>>20)
		case r.stats.Fault != "":
			line.Bad = "the file breaks off in it"
		}
		if line.Bad != "" {
			r.stats.Bad++
			line.Raw = line.Raw[:min(len(line.Raw), beginning)]
		}
		if !utf8.Valid(line.Raw) {
			line.Raw = bytes.ToValidUTF8(line.Raw, []byte("\uFFFD"))
			r.stats.Repaired++
		}
		return line, nil
	}
}

// end notes why there is nothing more.
func (r *Reader) end(err error) {
	r.stats.Bytes = r.limit.read
	if f := faultOf(err); f != "" {
		r.stats.Fault = f
		err = io.EOF
	}
	if !errors.Is(err, io.EOF) {
		err = fmt.Errorf("read the file: %w", err)
	}
	r.ended = err
}

// line reads to the end of a line. whole is false for one that is too long: its
// beginning is returned, the rest read and dropped.
func (r *Reader) line() (raw []byte, whole bool, err error) {
	defer func() { r.stats.Bytes = r.limit.read - int64(r.in.Buffered()) }()
	raw, err = r.in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return raw, len(raw) <= r.maxLine+1, err
	}
	r.buf = r.buf[:0]
	for errors.Is(err, bufio.ErrBufferFull) {
		if room := r.maxLine + 1 - len(r.buf); room > 0 {
			r.buf = append(r.buf, raw[:min(room, len(raw))]...)
		}
		raw, err = r.in.ReadSlice('\n')
	}
	if len(bytes.TrimRight(raw, "\r\n"))+len(r.buf) > r.maxLine {
		return r.buf[:min(len(r.buf), beginning)], false, err
	}
	r.buf = append(r.buf, raw...)
	return r.buf, true, err
}

// limited counts what is read and ends at a limit.
type limited struct {
	r       io.Reader
	read    int64
	left    int64
	bounded bool
}

var errTooLarge = errors.New("the file is too large")

// Read reads up to the limit.
func (l *limited) Read(p []byte) (int, error) {
	if l.bounded {
		if l.left <= 0 {
			// Exactly at the limit the file may be over.
			var one [1]byte
			if n, err := l.r.Read(one[:]); n == 0 && err != nil {
				return 0, err
			}
			return 0, errTooLarge
		}
		p = p[:min(int64(len(p)), l.left)]
	}
	n, err := l.r.Read(p)
	l.read += int64(n)
	l.left -= int64(n)
	return n, err
}

// faultOf tells what is wrong with the file from what is wrong with reading it.
func faultOf(err error) Fault {
	var corrupt flate.CorruptInputError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errTooLarge):
		return FaultTooLarge
	case errors.Is(err, io.ErrUnexpectedEOF):
		return FaultTruncated
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		return FaultCorrupt
	}
	return ""
}
