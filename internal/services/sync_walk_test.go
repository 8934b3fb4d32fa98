package services

import (
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/raygun"
)

func TestWalkThroughAListWithoutAFilterEndsWhereTheRangeDoes(t *testing.T) {
	r := db.SyncRange{From: testDay, To: testDay.AddDate(0, 0, 1)}
	before := r.To.Add(-time.Hour) // the page before ended there
	rows := func(n int) []raygun.Session { return make([]raygun.Session, n) }
	full := func(oldest time.Time, in int) raygun.SessionPage {
		return raygun.SessionPage{Total: -1, Received: raygun.MaxLimit, NextSkip: 1000, More: true, NewestFirst: true, Newest: before, Oldest: oldest,
			Sessions: rows(in), Others: rows(raygun.MaxLimit - in)}
	}
	tests := []struct {
		name   string
		page   raygun.SessionPage
		byTime bool
		fresh  int64
		ends   bool // the range is done; otherwise it goes on or begins again
		skip   int  // of what goes on
	}{
		{"within the range", full(r.From.Add(time.Hour), 500), false, 480, false, 999},
		{"within what is asked wider", full(r.From.Add(-time.Second), 499), false, 480, false, 999},
		{"past the range", full(r.From.Add(-time.Minute), 300), false, 290, true, 0},
		{"past the range, out of order", func() raygun.SessionPage {
			p := full(r.From.Add(-time.Minute), 300)
			p.NewestFirst = false
			return p
		}(), false, 290, false, 1000},
		{"behind rows that were skipped", func() raygun.SessionPage {
			p := full(r.From.Add(time.Hour), 500)
			p.Newest = before.Add(-time.Minute)
			return p
		}(), false, 480, false, 250},
		{"after the last row, with repeats before", raygun.SessionPage{Total: -1, NextSkip: 500}, false, 0, true, 0},
		{"the same of a list by time", raygun.SessionPage{Total: -1, NextSkip: 500}, true, 0, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := db.SyncWalk{SyncRange: r, Todo: []db.SyncRange{r}, Skip: 500, Reached: before.Add(reachedMargin), PassPages: 1, PassFresh: 480, PassRepeats: 20, Seen: 480}
			if tt.byTime {
				w.Reached = time.Time{} // no such list is known to have an order
			}
			p := takenFrom(tt.page, tt.page.Received, tt.byTime)
			p.fresh = tt.fresh
			got := advance(w, p)
			if ends := len(got.Todo) == 0; ends != tt.ends || got.Skip != tt.skip {
				t.Errorf("ends: %t, goes on at %d (pass %d); want %t, %d", ends, got.Skip, got.Pass, tt.ends, tt.skip)
			}
			if tt.ends && (got.Found != 480+tt.fresh || got.Lacking != 0) {
				t.Errorf("%d found, %d lacking", got.Found, got.Lacking)
			}
		})
	}
}
