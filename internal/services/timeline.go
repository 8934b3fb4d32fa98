package services

import (
	"cmp"
	"context"
	"slices"
	"time"

	"sightline/internal/db"
)

// The kinds of things on a timeline.
const (
	TimelineSession     = "session"
	TimelineOfHighlight = "highlight"
	TimelineOfEdit      = "edit"
	TimelineOfRecording = "recording"
)

// TimelineItem is one thing that happened to a customer. The field that Kind
// names is set.
type TimelineItem struct {
	At        time.Time
	Kind      string
	ID        int64
	Session   *Session
	Highlight *TimelineHighlight
	Edit      *TimelineEdit
	Recording *db.Recording
}

// SameVisit says whether a recording and a Raygun session of one customer are of
// one visit: their times overlap.
func SameVisit(rec db.Recording, s Session) bool {
	return !s.StartedAt.After(rec.EndedAt.Add(visitSlack)) && !lastSign(s).Before(rec.StartedAt.Add(-visitSlack))
}

// Cursor is the item's place.
func (i TimelineItem) Cursor() TimelineCursor {
	return TimelineCursor{At: i.At, Kind: i.Kind, ID: i.ID}
}

// TimelineCursor is a place in a timeline; the zero value is the newest.
type TimelineCursor struct {
	At   time.Time
	Kind string
	ID   int64
}

// Timeline is one page of what happened to a customer, newest first.
type Timeline struct {
	Items []TimelineItem
	Next  TimelineCursor // where the next page begins
	More  bool
}

// timelineKind is a source of timeline items, newest first after a moment. At
// the same moment the kinds follow each other in the order they are declared.
type timelineKind struct {
	kind string
	has  func(p CustomerPage) bool // whether there are any
	list func(ctx context.Context, org OrgID, id CustomerID, after Moment, limit int) ([]TimelineItem, error)
}

func (c *Customers) timelineKinds() []timelineKind {
	return []timelineKind{
		{TimelineOfEdit, func(p CustomerPage) bool { return p.Edits }, func(ctx context.Context, org OrgID, id CustomerID, after Moment, limit int) ([]TimelineItem, error) {
			rows, err := c.db.Org(org).TimelineEdits(ctx, id, after, limit)
			return timelineItems(rows, func(e *TimelineEdit) TimelineItem {
				return TimelineItem{At: e.CreatedAt, Kind: TimelineOfEdit, ID: int64(e.ID), Edit: e}
			}), err
		}},
		{TimelineOfHighlight, func(p CustomerPage) bool { return p.Highlights }, func(ctx context.Context, org OrgID, id CustomerID, after Moment, limit int) ([]TimelineItem, error) {
			rows, err := c.db.Org(org).TimelineHighlights(ctx, id, after, limit)
			return timelineItems(rows, func(h *TimelineHighlight) TimelineItem {
				return TimelineItem{At: h.CreatedAt, Kind: TimelineOfHighlight, ID: int64(h.ID), Highlight: h}
			}), err
		}},
		{TimelineOfRecording, func(p CustomerPage) bool { return p.Recordings }, func(ctx context.Context, org OrgID, id CustomerID, after Moment, limit int) ([]TimelineItem, error) {
			rows, err := c.db.Org(org).CustomerRecordings(ctx, id, time.Time{}, time.Time{}, after, limit)
			return timelineItems(rows, func(r *db.Recording) TimelineItem {
				return TimelineItem{At: r.StartedAt, Kind: TimelineOfRecording, ID: int64(r.ID), Recording: r}
			}), err
		}},
		{TimelineSession, func(p CustomerPage) bool { return len(p.Newest) > 0 }, func(ctx context.Context, org OrgID, id CustomerID, after Moment, limit int) ([]TimelineItem, error) {
			rows, err := c.db.Org(org).CustomerSessions(ctx, id, after, limit)
			return sessionItems(rows), err
		}},
	}
}

func sessionItems(rows []Session) []TimelineItem {
	return timelineItems(rows, func(s *Session) TimelineItem {
		return TimelineItem{At: s.StartedAt, Kind: TimelineSession, ID: int64(s.ID), Session: s}
	})
}

func timelineItems[T any](rows []T, item func(*T) TimelineItem) []TimelineItem {
	out := make([]TimelineItem, len(rows))
	for i := range rows {
		out[i] = item(&rows[i])
	}
	return out
}

// Timeline returns what happened after a place to the customer whom View
// returned, newest first, at most PageSize items: of one kind, or with an empty
// one all of them.
func (c *Customers) Timeline(ctx context.Context, org OrgID, p CustomerPage, kind string, after TimelineCursor) (Timeline, error) {
	const last = 1<<63 - 1
	rank := func(kind string) int {
		return slices.IndexFunc(c.timeline, func(k timelineKind) bool { return k.kind == kind })
	}
	var all []TimelineItem
	for i, k := range c.timeline {
		if kind != "" && k.kind != kind || !k.has(p) {
			continue
		}
		m := Moment{At: after.At, ID: after.ID}
		if r := rank(after.Kind); !after.At.IsZero() && i != r {
			// Of the same moment, the kinds before the cursor's are over and
			// those after it have not begun.
			m.ID = 0
			if i > r {
				m.ID = last
			}
		}
		if k.kind == TimelineSession && after.At.IsZero() {
			all = append(sessionItems(p.Newest), all...) // which View has read already
			continue
		}
		items, err := k.list(ctx, org, p.Customer.ID, m, PageSize+1)
		if err != nil {
			return Timeline{}, err
		}
		all = append(all, items...)
	}
	sortBy(all, func(a, b TimelineItem) int {
		if later := b.At.Compare(a.At); later != 0 {
			return later
		}
		return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), cmp.Compare(b.ID, a.ID))
	})
	t := Timeline{Items: all}
	if len(all) > PageSize {
		t.Items, t.More = all[:PageSize], true
		t.Next = t.Items[PageSize-1].Cursor()
	}
	return t, nil
}
