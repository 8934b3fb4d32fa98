package services

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
)

// v3 answers as Raygun's API v3 does: the sessions of all time, without a count.
func (u *untidyRaygun) v3(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	skip, _ := strconv.Atoi(q.Get("offset"))
	count, _ := strconv.Atoi(q.Get("count"))
	w.Header().Set("Content-Type", "application/json")
	out := []map[string]any{}
	switch {
	case strings.HasSuffix(r.URL.Path, "/customers"):
		for id := skip; id < min(skip+count, u.users()); id++ { // the last is who was seen last
			if n := u.users() - 1 - id; !u.strangers[n] {
				out = append(out, u.v3User(n))
			}
		}
	case strings.Contains(r.URL.Path, "/customers/"):
		id, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:], "c"))
		if u.strangers[id] {
			http.Error(w, `{"title":"Not Found"}`, http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(u.v3User(id))
		return
	case strings.HasSuffix(r.URL.Path, "/sessions"):
		rows := slices.Clone(u.sessions)
		rows = slices.DeleteFunc(rows, func(s untidySession) bool { return s.start.After(u.now()) || u.withheld[s.id] })
		slices.Reverse(rows)
		u.disturb(&rows)
		for _, s := range rows[min(skip, len(rows)):min(skip+count, len(rows))] {
			out = append(out, map[string]any{
				"identifier": strconv.Itoa(s.id), "startedAt": s.start, "updatedAt": s.start.Add(time.Minute), "endedAt": s.start.Add(time.Minute),
				"isActive": false, "customerIdentifier": fmt.Sprintf("c%d", u.userOf(s)),
			})
		}
	}
	_ = json.NewEncoder(w).Encode(out)
}

// users is how many there are, each of as many sessions in a row; by default 40
// who take turns.
func (u *untidyRaygun) users() int {
	if u.each == 0 {
		return 40
	}
	return len(u.sessions)/u.each + 1
}

func (u *untidyRaygun) userOf(s untidySession) int {
	if u.each == 0 {
		return s.id % 40
	}
	return s.id / u.each
}

func (u *untidyRaygun) v3User(id int) map[string]any {
	who := fmt.Sprintf("u%d@example.com", id)
	return map[string]any{"identifier": fmt.Sprintf("c%d", id), "externalIdentifier": who, "emailAddress": who, "isAnonymous": false}
}

// disturb brings a list, which comes newest first, out of order.
func (u *untidyRaygun) disturb(rows *[]untidySession) {
	if len(*rows) == 0 {
		return
	}
	if u.oldestFirst {
		slices.Reverse(*rows)
	}
	if u.move {
		for range len(*rows)/25 + 1 {
			i, j := u.rand.IntN(len(*rows)), u.rand.IntN(len(*rows))
			(*rows)[i], (*rows)[j] = (*rows)[j], (*rows)[i]
		}
	}
	if u.shuffle {
		u.rand.Shuffle(len(*rows), func(i, j int) { (*rows)[i], (*rows)[j] = (*rows)[j], (*rows)[i] })
	}
}

func newV3Site(t *testing.T, u *untidyRaygun, days int) *syncSite {
	t.Helper()
	return newSyncSite(t, u, days, ConnectionForm{Vendor: RaygunV3})
}

// pages counts the pages of sessions that were asked for.
func (u *untidyRaygun) pages() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for _, c := range u.calls {
		if strings.Contains(c, "startedAt") {
			n++
		}
	}
	return n
}

func TestMirrorHoldsEverySessionHoweverV3ListsThem(t *testing.T) {
	tests := []struct {
		name   string
		change func(u *untidyRaygun)
		pages  int // at most; the whole list is 5, the last three days are 3 of them
	}{
		{"newest first", func(u *untidyRaygun) {}, 5},
		{"oldest first", func(u *untidyRaygun) { u.oldestFirst = true }, 12},
		{"in no order", func(u *untidyRaygun) { u.shuffle = true }, 120},
		{"rows change pages", func(u *untidyRaygun) { u.move = true }, 80},
		{"rows go away meanwhile", func(u *untidyRaygun) {
			u.withheld = map[int]bool{}
			u.before = func() {
				u.mu.Lock()
				defer u.mu.Unlock()
				for _, s := range u.sessions { // forty of the newest that are left
					if len(u.withheld)%40 == 39 && !u.withheld[s.id] {
						u.withheld[s.id] = true
						break
					}
					if s.start.After(testDay) {
						u.withheld[s.id] = true
					}
				}
			}
		}, 10},
		{"others begin meanwhile", func(u *untidyRaygun) {
			u.before = func() {
				u.mu.Lock()
				defer u.mu.Unlock()
				for range 60 {
					u.sessions = append(u.sessions, untidySession{id: len(u.sessions) + 1, start: u.now()})
				}
			}
		}, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := &untidyRaygun{}
			u.fill(testDay.AddDate(0, 0, -3), testDay.AddDate(0, 0, 1), 600)
			tt.change(u)
			m := newV3Site(t, u, 3)
			m.work(t, m.now().Add(time.Second))
			if n := u.pages(); n > tt.pages {
				t.Errorf("%d pages, want at most %d", n, tt.pages)
			}
			u.set(func(u *untidyRaygun) { u.before = nil })
			m.holdsAll(t, testDay.AddDate(0, 0, -2), testDay)
			c := m.coverage(t, testDay.AddDate(0, 0, -2), testDay.AddDate(0, 0, 1))
			if c.Held != 3 || c.Calls != 0 {
				t.Errorf("coverage = %q, %d held, %d calls", c.Sentence(), c.Held, c.Calls)
			}
			if walks, err := m.db().SyncWalks(t.Context(), m.conn); err != nil || len(walks) != 0 {
				t.Errorf("walks = %+v, %v", walks, err)
			}
			m.ledgerIsHonest(t)
		})
	}
}

func TestDaysBehindAWalkThroughV3AreHeldThoughItNeverEnds(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay.AddDate(0, 0, -9), testDay.AddDate(0, 0, 1), 1000)
	m := newV3Site(t, u, 8)
	ctx, kill := context.WithCancel(t.Context())
	u.set(func(u *untidyRaygun) {
		u.before = func() { // noon of the fourth day before today
			if u.pages() == 11 {
				kill()
				<-ctx.Done()
			}
		}
	})
	if _, err := m.Syncs.run(ctx, 1, m.conn); err != nil {
		t.Fatal(err)
	}
	u.set(func(u *untidyRaygun) { u.before = nil })
	from := testDay.AddDate(0, 0, -7)
	c := m.coverage(t, from, testDay.AddDate(0, 0, 1))
	if c.Sentence() != "The mirror holds 17–20 Nov, 4 days missing" || c.Held != 4 {
		t.Errorf("%q, %d held", c.Sentence(), c.Held)
	}
	m.holdsAll(t, testDay.AddDate(0, 0, -3), m.now().Add(-time.Second))
	if days, err := m.db().SyncDays(t.Context(), m.conn, db.DayOf(from), db.DayOf(testDay)); err != nil || len(days) != 4 || days[1].Sessions != 1000 {
		t.Errorf("days = %+v, %v", days, err)
	}
	// What is left costs less than all, and the walk goes on where it was.
	if c.Calls < 6 || c.Calls > 9 {
		t.Errorf("the other days are said to cost %d calls", c.Calls)
	}
	m.Services = m.openIn(t, 10*time.Second)
	if err := m.Syncs.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.work(t, m.now().Add(time.Second))
	if n := u.pages(); n > 11+9 {
		t.Errorf("%d pages", n)
	}
	m.holdsAll(t, from, m.now().Add(-time.Second))
	if c := m.coverage(t, from, testDay.AddDate(0, 0, 1)); c.Held != 8 {
		t.Errorf("%q, %d held", c.Sentence(), c.Held)
	}
	m.ledgerIsHonest(t)
}

// killAt runs a sync through v3 that is killed when its n-th call is with the
// vendor, or just after it, and starts again; n 0 kills nothing. It returns how
// many calls there were.
func killAt(t *testing.T, n int, answered bool) int {
	t.Helper()
	u := &untidyRaygun{each: 20}
	u.fill(testDay.AddDate(0, 0, -3), testDay.AddDate(0, 0, 1), 400)
	m := newV3Site(t, u, 3)
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	u.set(func(u *untidyRaygun) {
		u.before = func() {
			switch {
			case u.called() == n && !answered, u.called() == n+1 && answered && n > 0:
				kill()
				<-ctx.Done()
			}
		}
	})
	if _, err := m.Syncs.run(ctx, 1, m.conn); err != nil {
		t.Fatal(err)
	}
	u.set(func(u *untidyRaygun) { u.before = nil })
	// As a crash leaves it: nobody gave the turn back, and nothing in memory stays.
	if _, err := m.store.Queue().Exec(`UPDATE syncs SET claimed_until = ?`, m.now().Add(time.Hour).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	m.Services = m.openIn(t, 10*time.Second)
	if err := m.Connections.settleCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Syncs.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.work(t, m.now().Add(time.Second))
	m.holdsAll(t, testDay.AddDate(0, 0, -2), m.now())
	if c := m.coverage(t, testDay.AddDate(0, 0, -2), testDay.AddDate(0, 0, 1)); c.Held != 3 {
		t.Errorf("coverage = %+v", c)
	}
	if n := m.nameless(t); n > 0 {
		t.Errorf("nobody knows whose %d sessions are", n)
	}
	today := db.DayOf(m.now())
	rows, err := m.db().Vitals(t.Context(), m.conn, today-2, today)
	if days := len(lacking(rows, today-2, today, m.now(), vitalsStale)); err != nil || days > 0 {
		t.Errorf("web vitals of %d days are missing, %v", days, err)
	}
	days, err := m.Insight.SessionsByDay(t.Context(), 1, InsightQuery{From: today - 20, To: today}, FacetAll, "")
	if all := len(m.sessions(t)); err != nil || days.Now.Sessions != int64(all) {
		t.Errorf("the rollups count %d of %d sessions, %v", days.Now.Sessions, all, err)
	}
	m.ledgerIsHonest(t)
	return u.called()
}

func TestKillAtEveryPointOfASyncThroughV3LosesAndDoublesNothing(t *testing.T) {
	whole := killAt(t, 0, false) // sessions, users and web vitals
	for n := 1; n <= whole; n++ {
		for _, answered := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d answered %t", n, answered), func(t *testing.T) {
				t.Parallel()
				if calls := killAt(t, n, answered); calls > whole+1 {
					t.Errorf("%d calls, %d without a kill", calls, whole)
				}
			})
		}
	}
}
