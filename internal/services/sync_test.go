package services

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/db"
)

func TestMirrorHoldsEverySessionHoweverTheVendorListsThem(t *testing.T) {
	tests := []struct {
		name   string
		perDay int
		change func(u *untidyRaygun)
		calls  int // at most, for four days and half of today
	}{
		{"newest first", 900, func(u *untidyRaygun) {}, 9},
		{"oldest first", 900, func(u *untidyRaygun) { u.oldestFirst = true }, 9},
		{"bounds left out", 900, func(u *untidyRaygun) { u.exclusive = true }, 9},
		{"in no order", 900, func(u *untidyRaygun) { u.shuffle = true }, 24},
		{"rows change pages", 900, func(u *untidyRaygun) { u.move = true }, 24},
		{"rows come again", 900, func(u *untidyRaygun) { u.repeat = true }, 24},
		{"rows arrive late", 900, func(u *untidyRaygun) {
			u.withheld = map[int]bool{}
			for i, s := range u.sessions {
				if i%7 == 0 && s.start.After(testDay.Add(8*time.Hour)) && s.start.Before(testDay.Add(12*time.Hour)) {
					u.withheld[s.id] = true
				}
			}
		}, 24},
		{"pages shorter than asked for", 900, func(u *untidyRaygun) { u.atMost = 60 }, 56},
		{"shorter pages without a count", 900, func(u *untidyRaygun) { u.atMost, u.noTotal = 60, true }, 56},
		{"nothing behind the last page", 499, func(u *untidyRaygun) { u.noTotal, u.refusesBehind = true, true }, 12},
		{"no count", 900, func(u *untidyRaygun) { u.noTotal = true }, 9},
		{"all of it, and busy", 1700, func(u *untidyRaygun) { u.move, u.repeat, u.shuffle = true, true, true }, 160},
		{"quiet", 20, func(u *untidyRaygun) { u.shuffle, u.repeat = true, true }, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := &untidyRaygun{}
			u.fill(testDay.AddDate(0, 0, -6), testDay.AddDate(0, 0, 3), tt.perDay)
			tt.change(u)
			m := newSyncSite(t, u, 4, ConnectionForm{})
			if _, err := m.Connections.SetSpending(t.Context(), m.actor, m.conn, SpendingForm{Allowance: 0, Reserve: 0, Sync: true, RetentionDays: 4}); err != nil {
				t.Fatal(err)
			}
			m.work(t, m.now().Add(time.Second))
			if n := u.called(); n > tt.calls {
				t.Errorf("%d calls, want at most %d", n, tt.calls)
			}
			if tt.name == "rows arrive late" { // the next look finds them
				m.work(t, m.now().Add(2*time.Hour))
			}
			m.holdsAll(t, testDay.AddDate(0, 0, -3), m.now().Add(-30*time.Minute))
			c := m.coverage(t, testDay.AddDate(0, 0, -3), testDay.AddDate(0, 0, 1))
			if c.Held != 4 || c.Calls != 0 || c.Sentence() != "The mirror holds 17–20 Nov" {
				t.Errorf("coverage = %q, %d held, %d calls", c.Sentence(), c.Held, c.Calls)
			}
			m.ledgerIsHonest(t)
		})
	}
}

func TestSyncSpreadsItsCallsAndLeavesPeopleTheirs(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay.AddDate(0, 0, -31), testDay.AddDate(0, 0, 6), 520)
	m := newSyncSite(t, u, 30, ConnectionForm{})
	// The rest of the first day, then four whole ones.
	var promised time.Time
	for day := range 5 {
		m.work(t, testDay.AddDate(0, 0, day+1).Add(-time.Second))
		b, err := m.Connections.Budget(t.Context(), 1, m.conn)
		if err != nil || b.Left < b.Reserve || b.Spent > 40 {
			t.Fatalf("day %d: %+v, %v", day, b, err)
		}
		st := m.status(t)
		if age := m.now().Sub(st.Newest); age > 2*time.Hour {
			t.Errorf("day %d ends with news %s old: %s", day, age, st.Sentence)
		}
		if day == 0 && (st.Plan.Days == 0 || !st.Plan.Known || st.Plan.Done.IsZero()) {
			t.Errorf("plan = %+v", st.Plan)
		}
		if day == 0 {
			promised = st.Plan.Done
		}
		if st.Plan.Days == 0 && !promised.IsZero() {
			if off := m.now().Sub(promised); off < -24*time.Hour || off > 48*time.Hour {
				t.Errorf("done at %s, promised for %s", m.now(), promised)
			}
			promised = time.Time{}
		}
		m.at(testDay.AddDate(0, 0, day+1))
	}
	// A day's 520 sessions are two pages; 29 older days are 58 calls, half of
	// the 40 a day and what the first day had left.
	c := m.coverage(t, testDay.AddDate(0, 0, -24), testDay.AddDate(0, 0, 5))
	if c.Missing+c.Partial > 0 {
		t.Errorf("after five days: %s, %d missing, %d in part; %+v", c.Sentence(), c.Missing, c.Partial, m.status(t))
	}
	m.holdsAll(t, testDay.AddDate(0, 0, -23), m.now().Add(-2*time.Hour))
	m.ledgerIsHonest(t)
}

func TestWalkGoesOnAfterAKillWhereItWas(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay, testDay.AddDate(0, 0, 1), 5000)
	m := newSyncSite(t, u, 1, ConnectionForm{})
	// The third page is on its way when Sightline is killed.
	ctx, kill := context.WithCancel(t.Context())
	u.set(func(u *untidyRaygun) {
		u.before = func() {
			if u.called() == 3 {
				kill()
				panic(http.ErrAbortHandler) // nothing came back
			}
		}
	})
	if _, err := m.Syncs.run(ctx, 1, m.conn); err != nil {
		t.Fatal(err)
	}
	u.set(func(u *untidyRaygun) { u.before = nil })
	if n := len(m.mirrored(t)); n != 1000 {
		t.Fatalf("%d sessions are here after two pages", n)
	}
	// As a crash would: nobody gave the turn back.
	if _, err := m.store.Queue().Exec(`UPDATE syncs SET claimed_until = ?`, m.now().Add(time.Hour).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	m.Services = m.openIn(t, 10*time.Second)
	if again, err := m.Syncs.run(t.Context(), 1, m.conn); err != nil || again != 0 {
		t.Fatalf("a taken turn was taken again: %v, %v", again, err)
	}
	if err := m.Syncs.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.work(t, m.now().Add(time.Second))
	m.holdsAll(t, testDay, m.now())
	// 2501 sessions are six pages, and the page that was cut off costs twice.
	if n := u.called(); n != 7 {
		t.Errorf("%d calls:\n%s", n, strings.Join(u.calls, "\n"))
	}
	m.ledgerIsHonest(t)
	for i, want := range []string{"skip=0", "skip=500", "skip=1000", "skip=1000", "skip=1500", "skip=2000", "skip=2500"} {
		if !strings.HasSuffix(u.calls[i], want) {
			t.Errorf("call %d is %s, want %s", i, u.calls[i], want)
		}
	}
}

// A page is stored in parts. What was stored of the second one when it was cut
// off stays, the walk does not move, and the page comes again.
func TestWalkGoesOnAfterAPageWasCutOff(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay, testDay.AddDate(0, 0, 1), 5000)
	m := newSyncSite(t, u, 1, ConnectionForm{})
	exec := func(query string) {
		t.Helper()
		if _, err := m.store.Queue().Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TRIGGER cut_off BEFORE INSERT ON sessions WHEN (SELECT count(*) FROM sessions) = 777 BEGIN SELECT RAISE(ABORT, 'cut off'); END`)
	_, err := m.Syncs.run(t.Context(), 1, m.conn)
	if n := len(m.mirrored(t)); n <= 500 || n >= 777 {
		t.Fatalf("%d sessions are here after the second page was cut off (%v)", n, err)
	}
	exec(`DROP TRIGGER cut_off`)
	m.Services = m.openIn(t, 10*time.Second)
	if err := m.Syncs.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.work(t, m.now().Add(time.Hour))
	m.holdsAll(t, testDay, m.now().Add(-time.Hour))
	for i, want := range []string{"skip=0", "skip=500", "skip=500", "skip=1000", "skip=1500", "skip=2000", "skip=2500"} {
		if i >= len(u.calls) || !strings.HasSuffix(u.calls[i], want) {
			t.Fatalf("call %d is not %s:\n%s", i, want, strings.Join(u.calls, "\n"))
		}
	}
	m.ledgerIsHonest(t)
}

func TestKillAtEveryPointLosesAndDoublesNothing(t *testing.T) {
	for killed := range 14 {
		t.Run(fmt.Sprint(killed), func(t *testing.T) {
			t.Parallel()
			u := &untidyRaygun{}
			u.fill(testDay.AddDate(0, 0, -3), testDay.AddDate(0, 0, 1), 520) // two pages a day
			m := newSyncSite(t, u, 3, ConnectionForm{})
			// The context ends while the n-th page is asked, or just after.
			ctx, kill := context.WithCancel(t.Context())
			u.set(func(u *untidyRaygun) {
				u.before = func() {
					if u.called() == killed/2+1 && killed%2 == 0 {
						kill()
					} else if u.called() == killed/2+2 {
						kill()
					}
				}
			})
			if _, err := m.Syncs.run(ctx, 1, m.conn); err != nil {
				t.Fatal(err)
			}
			kill()
			u.set(func(u *untidyRaygun) { u.before = nil })
			m.Services = m.openIn(t, 10*time.Second)
			if err := m.Connections.settleCalls(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := m.Syncs.settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			m.work(t, m.now().Add(time.Minute))
			m.holdsAll(t, testDay.AddDate(0, 0, -2), m.now().Add(-2*time.Minute))
			if c := m.coverage(t, testDay.AddDate(0, 0, -2), testDay.AddDate(0, 0, 1)); c.Held != 3 {
				t.Errorf("coverage = %+v", c)
			}
			if n := u.called(); n > 7 {
				t.Errorf("%d calls", n)
			}
			m.ledgerIsHonest(t)
		})
	}
}

func TestThreeDaysOfTroubleCostNoSession(t *testing.T) {
	tests := []struct {
		name  string
		fault func(w http.ResponseWriter, r *http.Request)
		state SyncState
		says  string
	}{
		{"dead", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "down", http.StatusBadGateway) }, SyncFailing, "cannot be reached or fails (status 502"},
		{"slow", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, SyncFailing, "did not answer in time"},
		{"html", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>maintenance</html>") }, SyncFailing, "something else than expected"},
		{"garbage", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"sessions": 7`) }, SyncFailing, "something else than expected"},
		{"empty", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"totalSessions":0,"sessions":[]}`) }, SyncFailing, "something else than expected"},
		{"limit", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "limit", http.StatusTooManyRequests) }, SyncWaiting, "called too often"},
		{"limit with a time", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7200")
			http.Error(w, "limit", http.StatusTooManyRequests)
		}, SyncWaiting, "called too often"},
		{"credentials", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusUnauthorized) }, SyncCredentials, "Stopped."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := &untidyRaygun{}
			u.fill(testDay.AddDate(0, 0, -8), testDay.AddDate(0, 0, 7), 60)
			m := newSyncSite(t, u, 7, ConnectionForm{})
			m.work(t, m.now().Add(3*time.Hour))
			before := m.status(t)
			if before.State != SyncFollowing {
				t.Fatalf("before: %+v", before)
			}
			u.set(func(u *untidyRaygun) { u.fault = tt.fault })
			m.Services = m.open(t)
			for day := 1; day <= 3; day++ {
				m.work(t, testDay.AddDate(0, 0, day).Add(15*time.Hour))
				st := m.status(t)
				if st.State != tt.state || !strings.Contains(st.Sentence, tt.says) && !strings.Contains(st.Sentence, "Background work") {
					t.Errorf("day %d: %s, %q", day, st.State, st.Sentence)
				}
				if st.Newest != before.Newest || st.Budget.Spent > 40 {
					t.Errorf("day %d: newest %s, was %s; %d spent", day, st.Newest, before.Newest, st.Budget.Spent)
				}
			}
			c := m.coverage(t, testDay.AddDate(0, 0, -1), m.now())
			if c.Missing != 3 || c.Partial != 1 {
				t.Errorf("while it lasts: %s", c.Sentence())
			}
			// It comes back.
			u.set(func(u *untidyRaygun) { u.fault = nil })
			m.work(t, m.now().Add(34*time.Hour))
			m.holdsAll(t, testDay.AddDate(0, 0, -2), m.now().Add(-3*time.Hour))
			c = m.coverage(t, testDay.AddDate(0, 0, -1), m.now())
			if c.Missing+c.Partial > 0 {
				t.Errorf("after it: %s, %+v", c.Sentence(), m.status(t))
			}
			if st := m.status(t); st.State != SyncFollowing {
				t.Errorf("after it: %s, %q", st.State, st.Sentence)
			}
			// A call that is given up on a busy machine counts though it may not have
			// arrived.
			if counted, asked := m.counted(t), u.called(); counted < asked {
				t.Errorf("the ledger counted %d calls, the vendor was asked %d times", counted, asked)
			}
		})
	}
}

func TestPeopleAndSyncTogetherCannotOverspend(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay.AddDate(0, 0, -61), testDay.AddDate(0, 0, 1), 3000)
	m := newSyncSite(t, u, 60, ConnectionForm{})
	m.at(testDay.Add(23*time.Hour + 50*time.Minute))
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for n := range 5 {
				q := dayQuery(m.conn)
				q.Identifier = fmt.Sprintf("p%d.%d", i, n)
				ask, err := m.Sessions.Ask(t.Context(), m.actor, q, 0, false)
				if err == nil {
					err = m.Asks.run(t.Context(), 1, ask.ID)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		wg.Go(func() {
			for range 20 {
				if _, err := m.Syncs.run(t.Context(), 1, m.conn); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b, err := m.Connections.Budget(t.Context(), 1, m.conn)
	if err != nil || b.Spent > 50 || b.Spent != u.called() {
		t.Errorf("budget = %+v, %v; the vendor was asked %d times", b, err, u.called())
	}
	if b.Spent-b.ByBackground != 30 {
		t.Errorf("people made %d of their 30 calls", b.Spent-b.ByBackground)
	}
	if b.ByBackground == 0 || b.ByBackground > 40 {
		t.Errorf("background made %d", b.ByBackground)
	}
}

func TestTwoProcessesReadEachPageOnce(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay.AddDate(0, 0, -2), testDay.AddDate(0, 0, 1), 3000)
	m := newSyncSite(t, u, 3, ConnectionForm{})
	m.at(testDay.Add(23*time.Hour + 50*time.Minute))
	other := m.openIn(t, 10*time.Second)
	var wg sync.WaitGroup
	for _, s := range []*Syncs{m.Syncs, other.Syncs, m.Syncs, other.Syncs} {
		wg.Go(func() {
			if _, err := s.run(t.Context(), 1, m.conn); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	asked := map[string]bool{}
	for _, c := range u.calls {
		if asked[c] {
			t.Errorf("asked twice: %s", c)
		}
		asked[c] = true
	}
	m.holdsAll(t, testDay, m.now())
}

func TestShareIsWhatBackgroundWorkMaySpend(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay.AddDate(0, 0, -61), testDay.AddDate(0, 0, 1), 900)
	m := newSyncSite(t, u, 60, ConnectionForm{Share: 7})
	m.work(t, testDay.AddDate(0, 0, 1).Add(-time.Minute))
	b, err := m.Connections.Budget(t.Context(), 1, m.conn)
	if err != nil || b.ByBackground != 7 || b.Left != 43 || b.Share != 7 {
		t.Errorf("budget = %+v, %v", b, err)
	}
	if st := m.status(t); st.State != SyncWaiting || st.Sentence != "Background work has made its 7 calls of today. It goes on at 00:00 UTC." {
		t.Errorf("%s, %q", st.State, st.Sentence)
	}
	// The ledger itself refuses, whoever asks.
	ask, err := m.Asks.Put(t.Context(), m.actor, AskSpec{Connection: m.conn, Kind: askSessions, Subject: dayQuery(m.conn).params().String(), Background: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Asks.run(t.Context(), 1, ask.ID); err != nil {
		t.Fatal(err)
	}
	if ask, err = m.Asks.Get(t.Context(), 1, ask.ID); err != nil || ask.State != AskFailed || !strings.Contains(ask.Message, "Background work has made its 7 Raygun calls") {
		t.Errorf("ask = %+v, %v", ask, err)
	}
}

func TestFillSpendsWhatWasNamedAndNoMore(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay.AddDate(0, 0, -61), testDay.AddDate(0, 0, 1), 900)
	m := newSyncSite(t, u, 60, ConnectionForm{Share: 2})
	m.work(t, m.now().Add(time.Hour)) // its two calls: today
	from, until := testDay.AddDate(0, 0, -3), testDay
	c := m.coverage(t, from, until)
	o := c.Offer()
	if c.Missing != 3 || !c.Known || o != (Offer{Days: 3, Calls: 6, All: true}) {
		t.Fatalf("coverage = %+v, offer %+v", c, o)
	}
	before := u.called()
	for range 2 { // pressed twice
		if days, err := m.Syncs.Fill(t.Context(), m.actor, m.conn, from, until, o.Calls); err != nil || days != 3 {
			t.Fatalf("%d days, %v", days, err)
		}
	}
	if c = m.coverage(t, from, until); c.Filling == 0 {
		t.Errorf("nothing is said to be under way: %+v", c)
	}
	m.work(t, m.now().Add(time.Second))
	c = m.coverage(t, from, until)
	if spent := u.called() - before; spent != 6 || c.Held != 3 {
		t.Errorf("%d calls, %d days held", spent, c.Held)
	}
	b, err := m.Connections.Budget(t.Context(), 1, m.conn)
	if err != nil || b.Spent-b.ByBackground != 6 {
		t.Errorf("people have spent %d, %v", b.Spent-b.ByBackground, err)
	}
	calls, err := m.db().Calls(t.Context(), db.HistoryFilter{Actor: 1, Limit: 100})
	if err != nil || len(calls) < 6 {
		t.Errorf("%d calls in the ledger are the member's, %v", len(calls), err)
	}
	m.holdsAll(t, from, until)
}

func TestFillThatTakesMoreIsLeftToBackgroundWork(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay.AddDate(0, 0, -10), testDay.AddDate(0, 0, 1), 900)
	u.fill(testDay.AddDate(0, 0, -2), testDay.AddDate(0, 0, -1), 2500) // a day unlike the others
	m := newSyncSite(t, u, 9, ConnectionForm{Share: 2})
	m.work(t, m.now().Add(time.Hour))
	before := u.called()
	if _, err := m.Syncs.Fill(t.Context(), m.actor, m.conn, testDay.AddDate(0, 0, -2), testDay.AddDate(0, 0, -1), 2); err != nil {
		t.Fatal(err)
	}
	m.work(t, m.now().Add(time.Second))
	if spent := u.called() - before; spent != 2 {
		t.Errorf("%d calls, and 2 were named", spent)
	}
	walks, err := m.db().SyncWalks(t.Context(), m.conn)
	if err != nil || len(walks) != 1 || walks[0].Purpose != db.WalkBackfill || walks[0].Skip != 1000 {
		t.Errorf("walks = %+v, %v", walks, err)
	}
	// Fresh calls tomorrow go on where it was.
	if _, err := m.Connections.SetSpending(t.Context(), m.actor, m.conn, SpendingForm{Allowance: 50, Reserve: 0, Sync: true, RetentionDays: 9}); err != nil {
		t.Fatal(err)
	}
	m.work(t, m.now().Add(time.Second))
	m.holdsAll(t, testDay.AddDate(0, 0, -2), testDay.AddDate(0, 0, -1))
}

func TestViewerCannotFill(t *testing.T) {
	t.Parallel()
	m := newSyncSite(t, &untidyRaygun{}, 3, ConnectionForm{})
	viewer := m.actor
	viewer.Role = Viewer
	if _, err := m.Syncs.Fill(t.Context(), viewer, m.conn, testDay.AddDate(0, 0, -1), testDay, 5); err == nil {
		t.Error("a viewer spent calls")
	}
}
