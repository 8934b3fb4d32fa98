package db

import (
	"context"
	"math"
	"slices"
	"strings"
)

// entry is a row that matches, with its place in the order (at, id).
type entry[T any] struct {
	at, id int64
	row    T
}

// stream is a branch that is being walked.
type stream[T any] struct {
	branch
	buf    []entry[T] // found and not yet taken
	at, id int64      // all that comes before this place was looked at
	done   bool
	chunk  int64 // how many entries were looked at last
}

// walk merges branches newest first. Entries are looked at in chunks, each one
// short query; how many in all is bounded by the caller.
type walk[T any] struct {
	q       querier
	streams []*stream[T]
	floor   int64
	columns string
	scan    func(scanner) (T, error) // of the columns
	// A query looks at firstChunk entries and later, as long as little matches,
	// at up to lastChunk, and gives maxRows rows.
	firstChunk, lastChunk int64
	maxRows               int
	// examined counts the entries that were looked at.
	examined int
	// The last entry that was taken: the same session may come along several
	// branches.
	last struct{ at, id int64 }
}

// newWalk begins at a place, which is not included.
func newWalk[T any](q querier, branches []branch, at, id, floor int64, columns string, scan func(scanner) (T, error)) *walk[T] {
	w := &walk[T]{q: q, floor: floor, columns: columns, scan: scan, firstChunk: 250, lastChunk: 8_000, maxRows: 1_000}
	w.last.at, w.last.id = math.MaxInt64, math.MaxInt64
	for _, b := range branches {
		w.streams = append(w.streams, &stream[T]{branch: b, at: at, id: id})
	}
	return w
}

// reach is how far a walk has come.
type reach struct {
	// at and id are where what was not looked at begins, if more says that there
	// is or may be something.
	at, id int64
	more   bool
	// cut says that the walk ended for want of budget, not because it had all
	// that was wanted.
	cut bool
}

// next gives take up to want matching rows, newest first, looking at hardly
// more than budget entries.
func (w *walk[T]) next(ctx context.Context, want, budget int, take func(entry[T])) (reach, error) {
	begin := w.newest()
	if begin == nil {
		return reach{}, nil
	}
	beginAt, beginID := begin.place()
	limit := w.examined + budget
	for {
		s := w.newest()
		switch {
		case s == nil:
			return reach{}, nil
		case len(s.buf) > 0 && s.buf[0].at == w.last.at && s.buf[0].id == w.last.id:
			s.buf = s.buf[1:]
		case len(s.buf) > 0 && want == 0:
			return reach{at: w.last.at, id: w.last.id, more: true}, nil
		case len(s.buf) > 0:
			e := s.buf[0]
			s.buf = s.buf[1:]
			w.last.at, w.last.id = e.at, e.id
			take(e)
			want--
		case w.examined >= limit && (s.at < beginAt || s.at == beginAt && s.id < beginID):
			// Some progress there is, however many branches there are.
			return reach{at: s.at, id: s.id, more: true, cut: want > 0}, nil
		default:
			if err := w.read(ctx, s, want); err != nil {
				return reach{}, err
			}
		}
	}
}

// place is where the stream's next entry is or may be.
func (s *stream[T]) place() (at, id int64) {
	if len(s.buf) > 0 {
		return s.buf[0].at, s.buf[0].id
	}
	return s.at, s.id
}

// newest is the stream whose next entry comes first or may come first, nil if
// all are at their end.
func (w *walk[T]) newest() *stream[T] {
	var best *stream[T]
	var at, id int64
	for _, s := range w.streams {
		if s.done && len(s.buf) == 0 {
			continue
		}
		// A row stands before what another stream may still find: that comes after
		// the stream's place.
		if a, i := s.place(); best == nil || a > at || a == at && (i > id || i == id && len(s.buf) > 0) {
			best, at, id = s, a, i
		}
	}
	return best
}

// read looks at the next chunk of a stream.
func (w *walk[T]) read(ctx context.Context, s *stream[T], want int) error {
	if !s.skip() {
		return nil
	}
	s.chunk = min(w.lastChunk, max(w.firstChunk, 4*s.chunk))
	lowAt, lowID, last := w.floor, int64(math.MinInt64), true
	if len(s.rest) > 0 {
		type place struct{ at, id int64 }
		found, err := list(ctx, w.q, "sessions", func(r scanner) (p place, err error) { return p, r.Scan(&p.at, &p.id) }, `
			SELECT `+s.branch.at+`, `+s.branch.id+` FROM `+s.index()+` WHERE `+s.where+s.span()+s.order()+` LIMIT 1 OFFSET ?`,
			append(slices.Clone(s.args), s.at, s.id, w.floor, s.chunk-1)...)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			lowAt, lowID, last = found[0].at, found[0].id, false
		}
	}
	// Of many branches each gives only a part of what is wanted.
	rows := min(w.maxRows, want+1)
	if n := len(w.streams); n > 1 {
		rows = min(rows, max(10, 2*want/n))
	}
	var where strings.Builder
	where.WriteString(s.where + s.span())
	args := append(slices.Clone(s.args), s.at, s.id, lowAt)
	if !last {
		where.WriteString(" AND (" + s.branch.at + " > ? OR " + s.branch.id + " >= ?)")
		args = append(args, lowAt, lowID)
	}
	for _, c := range s.rest {
		where.WriteString(" AND " + c.sql)
		args = append(args, c.args...)
	}
	from := s.index()
	if len(s.rest) > 0 || strings.Contains(w.columns, "s.") {
		from = s.from
	}
	var err error
	s.buf, err = list(ctx, w.q, "sessions", func(r scanner) (entry[T], error) {
		var e entry[T]
		var err error
		e.row, err = w.scan(led{r, []any{&e.at, &e.id}})
		return e, err
	}, `SELECT `+s.branch.at+`, `+s.branch.id+w.columns+` FROM `+from+` WHERE `+where.String()+s.order()+` LIMIT ?`, append(args, rows)...)
	if err != nil {
		return err
	}
	switch {
	case len(s.buf) == rows: // there was much among few
		s.chunk = 0
		s.at, s.id = s.buf[rows-1].at, s.buf[rows-1].id
		w.examined += rows
	case last:
		s.done = true
		w.examined += len(s.buf)
	default:
		s.at, s.id = lowAt, lowID
		w.examined += int(s.chunk)
	}
	return nil
}

// skip goes on to the next day on which something may match, and says whether
// there is one.
func (s *stream[T]) skip() bool {
	if s.days == nil {
		return true
	}
	const day = 24 * 60 * 60 * 1000
	for len(s.days) > 0 && (int64(s.days[0])*day > s.at || int64(s.days[0])*day == s.at && s.id <= 0) {
		s.days = s.days[1:]
	}
	if len(s.days) == 0 {
		s.done = true
		return false
	}
	if end := (int64(s.days[0]) + 1) * day; end < s.at {
		s.at, s.id = end, 0 // no row has the id
	}
	return true
}
