package services

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"

	"sightline/internal/db"
)

// exportStore keeps export files on disk, one directory for each organization,
// by their ids: "7.part" while it comes, "7.gz" once it is whole. Both are
// readable by the owner alone.
type exportStore struct{ dir string }

func (s exportStore) path(f db.ExportFile, suffix string) string {
	return filepath.Join(s.dir, strconv.FormatInt(int64(f.Org), 10), strconv.FormatInt(int64(f.ID), 10)+suffix)
}

// part is a file on its way. What was written is on disk after Close.
type part struct {
	*os.File
	// at is how many bytes of the file are here.
	at int64
}

// openPart opens what is here of a file, to write on; anew drops it first.
func (s exportStore) openPart(f db.ExportFile, anew bool) (*part, error) {
	path := s.path(f, ".part")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of export files: %w", err)
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if anew {
		flags |= os.O_TRUNC
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the export file's part: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &part{File: file, at: info.Size()}, nil
}

// Write appends.
func (p *part) Write(b []byte) (int, error) {
	n, err := p.File.Write(b)
	p.at += int64(n)
	return n, err
}

// Close makes what was written last, and closes.
func (p *part) Close() error { return errors.Join(p.Sync(), p.File.Close()) }

// finish turns a part that is whole into the file that is kept, compressed if
// it did not come so, and returns its size on disk. A second call after a crash
// finds what the first left.
func (s exportStore) finish(ctx context.Context, f db.ExportFile) (int64, error) {
	from, to := s.path(f, ".part"), s.path(f, ".gz")
	packed, err := startsAsGzip(from)
	if errors.Is(err, fs.ErrNotExist) {
		return s.size(f) // it was turned, and the row was not told
	}
	if err == nil && !packed {
		if err = compress(ctx, from, to+".new"); err == nil {
			err = errors.Join(os.Rename(to+".new", to), os.Remove(from))
		}
	} else if err == nil {
		err = os.Rename(from, to)
	}
	if err == nil {
		err = syncDir(filepath.Dir(to))
	}
	if err != nil {
		return 0, fmt.Errorf("keep the export file: %w", err)
	}
	return s.size(f)
}

func (s exportStore) size(f db.ExportFile) (int64, error) {
	info, err := os.Stat(s.path(f, ".gz"))
	if err != nil {
		return 0, fmt.Errorf("look at the export file: %w", err)
	}
	return info.Size(), nil
}

// open opens a file that is kept, as it lies on disk: gzip.
func (s exportStore) open(f db.ExportFile) (*os.File, error) { return os.Open(s.path(f, ".gz")) }

// remove lets go of a file and its part; none is no error.
func (s exportStore) remove(f db.ExportFile) error {
	var all error
	for _, suffix := range []string{".part", ".gz", ".gz.new"} {
		if err := os.Remove(s.path(f, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			all = errors.Join(all, err)
		}
	}
	return all
}

// sweep removes what no row knows of: keep is asked for each file.
func (s exportStore) sweep(ctx context.Context, keep func(org OrgID, id ExportFileID) (bool, error)) error {
	return filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		org, oerr := strconv.ParseInt(filepath.Base(filepath.Dir(path)), 10, 64)
		name, _, _ := strings.Cut(d.Name(), ".")
		id, nerr := strconv.ParseInt(name, 10, 64)
		if oerr != nil || nerr != nil {
			return nil // not ours
		}
		wanted, err := keep(OrgID(org), ExportFileID(id))
		if err != nil || wanted {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// sweepUploads removes uploads that were cut off.
func (s exportStore) sweepUploads() error {
	left, err := filepath.Glob(filepath.Join(s.dir, "*", "upload-*"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

func startsAsGzip(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var head [2]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		}
		return false, err
	}
	return head == [2]byte{0x1f, 0x8b}, nil
}

func compress(ctx context.Context, from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	buffered := bufio.NewWriterSize(out, 256<<10)
	z, err := gzip.NewWriterLevel(buffered, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, readerUntil{ctx, in}); err != nil {
		return err
	}
	if err := errors.Join(z.Close(), buffered.Flush()); err != nil {
		return err
	}
	return out.Sync()
}

// readerUntil stops reading when its context ends.
type readerUntil struct {
	ctx context.Context
	r   io.Reader
}

func (r readerUntil) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// syncDir makes the names in a directory last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
