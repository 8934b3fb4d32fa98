package services

import (
	"time"

	"sightline/internal/db"
	"sightline/internal/services/raygun"
)

const (
	// rangeOverlap is by how much a range is asked for wider than it is: whether
	// the bounds belong to it is not documented, and a session that comes twice
	// is one.
	rangeOverlap = time.Second
	// splitTo is how many sessions a range should have once a walk is split: so
	// few that they come on one page, with room for those that arrive meanwhile.
	splitTo = raygun.MaxLimit * 3 / 4
	// shortestSplit is the shortest range that is still split.
	shortestSplit = time.Minute
	// maxRanges bounds how many ranges one walk may be split into.
	maxRanges = 2000
	// maxPasses is how often a list that has neither an order nor a count is read
	// at most, while each time brings something new.
	maxPasses = 20
	// reachedMargin is by how much what a sorted list has reached is behind its
	// last row: others of the same second may follow.
	reachedMargin = rangeOverlap + time.Millisecond
)

// pageTaken is what one page told a walk.
type pageTaken struct {
	got        int   // rows of the range on the page, those that could not be read too
	listed     int   // rows on the page in all; 0 means got
	fresh      int64 // of them, sessions that the range had not met before
	unreadable int64
	total      *int64 // nil if the vendor did not say
	nextSkip   int
	more       bool
	// byTime says that the list was of the range alone, newestFirst that the page
	// came in that order, from newest to oldest.
	byTime, newestFirst bool
	newest, oldest      time.Time
}

// takenFrom is what a page says, got rows having come by it in all.
func takenFrom(page raygun.SessionPage, got int, byTime bool) pageTaken {
	p := pageTaken{
		got: got - len(page.Others), listed: got, unreadable: int64(page.Unreadable), nextSkip: page.NextSkip, more: page.More,
		byTime: byTime, newestFirst: page.NewestFirst, newest: page.Newest, oldest: page.Oldest,
	}
	if page.Total >= 0 {
		n := int64(page.Total)
		p.total = &n
	}
	return p
}

// advance says how a walk goes on after a page. A list that is seen to come
// newest first, from its first page on, has told all of a range once it is past
// it or at its end. Of any other, neither order nor bounds are relied on: a
// range is done when as many different sessions came as the vendor counts, or
// when it came on one page, which no order can break. One that does not settle,
// because rows move between pages or the count changes on the way, is split into
// ranges of one page. Every range ends after a bounded number of pages; what the
// vendor counts but never sends is noted as lacking.
func advance(w db.SyncWalk, p pageTaken) db.SyncWalk {
	if len(w.Todo) == 0 {
		return w
	}
	begins := w.PassPages == 0
	w.Pages++
	w.PassPages++
	w.Seen += p.fresh
	w.PassFresh += p.fresh
	w.PassRepeats += max(0, int64(p.got)-p.unreadable-p.fresh)
	w.Unreadable += p.unreadable
	if p.total != nil && (w.Total == nil || *p.total > *w.Total) {
		n := *p.total
		w.Total = &n
	}
	p.listed = max(p.listed, p.got)
	atMost := pagesAtMost(w, w.Skip+p.listed)
	if !begins && skippedRows(w, p) && w.PassPages <= atMost {
		w.Skip = max(0, w.Skip-raygun.MaxLimit/2)
		return w
	}
	w.Reached = reached(w, p, begins)
	if !w.Reached.IsZero() && !w.Reached.After(w.Todo[0].From) {
		return nextRange(w, 0)
	}
	all := w.Total != nil && w.Seen+w.Unreadable >= *w.Total
	// A page that is not full and names no next one is the end, an empty one is
	// whatever it names. Repeats may push rows behind the end that the count
	// suggests, so a full page is followed until the count is met.
	end := p.listed == 0 || !p.more && (all || p.listed < raygun.MaxLimit) || w.PassPages > atMost
	if !end {
		w.Skip = max(p.nextSkip, w.Skip+p.listed)
		if !w.Reached.IsZero() && p.listed > 1 {
			w.Skip-- // the last row comes again, which shows that none was skipped
		}
		return w
	}
	return endPass(w, all, p.byTime)
}

// endPass says how a walk goes on at the end of a range's list, of which all
// sessions that the vendor counts may be here.
func endPass(w db.SyncWalk, all, byTime bool) db.SyncWalk {
	onePage, sorted := w.Skip == 0, !w.Reached.IsZero()
	if w.Total == nil {
		if onePage || sorted || w.PassRepeats == 0 || w.Pass > 0 && w.PassFresh == 0 || w.Pass >= maxPasses {
			return nextRange(w, 0)
		}
		if n := w.Seen; byTime && n > raygun.MaxLimit && canSplit(w) {
			w.Total = &n // at least
			return split(w)
		}
		return again(w)
	}
	switch {
	case all:
		return nextRange(w, 0)
	case *w.Total > raygun.MaxLimit && canSplit(w):
		return split(w)
	case w.Pass < 1:
		return again(w)
	}
	return nextRange(w, max(0, *w.Total-w.Seen-w.Unreadable))
}

// reached is from when on a range's sessions are all here after a page. Sorted
// newest first, a list only ever pushes rows along: what is behind a row in time
// is behind it in the list.
func reached(w db.SyncWalk, p pageTaken, begins bool) time.Time {
	switch {
	case p.listed == 0:
		return w.Reached
	case !p.newestFirst || !begins && w.Reached.IsZero():
		return time.Time{}
	case begins:
		return p.oldest.Add(reachedMargin)
	}
	return earlier(w.Reached, p.oldest.Add(reachedMargin))
}

// skippedRows says that a sorted list goes on behind the row that the page
// before ended with: rows before it were taken out of the list, and as many may
// have been skipped.
func skippedRows(w db.SyncWalk, p pageTaken) bool {
	return p.newestFirst && !w.Reached.IsZero() && w.Skip > 0 && p.newest.Before(w.Reached.Add(-reachedMargin))
}

// pagesAtMost bounds a pass that has listed so many rows: the pages that the
// count needs, of the size that they come in, as many again for repeats, and a
// few.
func pagesAtMost(w db.SyncWalk, listed int) int {
	if w.Total == nil {
		return 40_000
	}
	size := max(1, min(raygun.MaxLimit, listed/w.PassPages))
	return int(*w.Total)/size*2 + 4
}

// again reads the range under way once more from its beginning. What was met
// stays met: rows that moved out of sight in one pass come in another.
func again(w db.SyncWalk) db.SyncWalk {
	w.Pass++
	w.Skip, w.Reached, w.PassPages, w.PassFresh, w.PassRepeats, w.Unreadable, w.Total = 0, time.Time{}, 0, 0, 0, 0, nil
	return w
}

// nextRange ends the range under way.
func nextRange(w db.SyncWalk, lacking int64) db.SyncWalk {
	w.Found += w.Seen
	w.Lacking += lacking
	w = again(w)
	w.Todo, w.Seen, w.Pass = w.Todo[1:], 0, 0
	return w
}

func canSplit(w db.SyncWalk) bool {
	r := w.Todo[0]
	return len(w.Todo) < maxRanges && r.To.Sub(r.From) >= 2*shortestSplit
}

// split cuts the range under way into ranges that fit on a page each, if its
// sessions are spread evenly; those that do not are split again.
func split(w db.SyncWalk) db.SyncWalk {
	r := w.Todo[0]
	n := max(2, (int(*w.Total)+splitTo-1)/splitTo)
	n = min(n, int(r.To.Sub(r.From)/shortestSplit), maxRanges)
	width := r.To.Sub(r.From) / time.Duration(n)
	todo := make([]db.SyncRange, 0, n+len(w.Todo)-1)
	for i := range n {
		part := db.SyncRange{From: r.From.Add(time.Duration(i) * width), To: r.From.Add(time.Duration(i+1) * width)}
		if i == n-1 {
			part.To = r.To
		}
		todo = append(todo, part)
	}
	w = again(w)
	w.Todo, w.Seen, w.Pass = append(todo, w.Todo[1:]...), 0, 0
	return w
}
