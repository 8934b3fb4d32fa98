package services

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// A vendor may answer so slowly that a job's time is over in the middle of its
// work. The job comes again, because nothing else would go on with the sync
// before the next start.
func TestSyncGoesOnAfterAJobWhoseTimeWasOver(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay, testDay.AddDate(0, 0, 1), 2400)
	m := newSyncSite(t, u, 1, ConnectionForm{})
	job := newJobContext(t)
	over := sync.OnceFunc(func() { close(job.over) })
	u.set(func(u *untidyRaygun) {
		u.before = func() {
			if u.called() == 2 {
				over()
				panic(http.ErrAbortHandler)
			}
		}
	})
	again, err := m.Syncs.run(job, 1, m.conn)
	if err != nil || again <= 0 || again > time.Minute {
		t.Fatalf("the job comes again after %v, %v", again, err)
	}
	u.set(func(u *untidyRaygun) { u.before = nil })
	m.work(t, m.now().Add(time.Minute))
	m.holdsAll(t, testDay, m.now().Add(-2*time.Minute))
	m.ledgerIsHonest(t)
}

func TestDetailsGoOnAfterAJobWhoseTimeWasOver(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay, testDay.AddDate(0, 0, 1), 24)
	m := newSyncSite(t, u, 1, ConnectionForm{})
	m.work(t, m.now().Add(time.Second))
	var ids []SessionID
	for _, s := range m.sessions(t)[:3] {
		ids = append(ids, s.ID)
	}
	run, _, err := m.Details.Start(t.Context(), m.actor, m.conn, ids, 3)
	if err != nil || run.Total != 3 {
		t.Fatal(run, err)
	}
	job := newJobContext(t)
	over := sync.OnceFunc(func() { close(job.over) })
	u.set(func(u *untidyRaygun) { u.before = over })
	again, err := m.Details.run(job, 1, run.ID)
	if err != nil || again <= 0 {
		t.Fatalf("the job comes again after %v, %v", again, err)
	}
	if run, err = m.Details.Get(t.Context(), 1, run.ID); err != nil || run.State != RunOpen {
		t.Fatal(run, err)
	}
	for range 3 {
		if again, err = m.Details.run(t.Context(), 1, run.ID); again == 0 || err != nil {
			break
		}
	}
	if run, err = m.Details.Get(t.Context(), 1, run.ID); err != nil || run.State != RunDone || run.Done+run.Failed != 3 || len(u.askedInFull()) > 3 {
		t.Errorf("run = %+v, %v; %d calls", run, err, len(u.askedInFull()))
	}
	m.ledgerIsHonest(t)
}

// A job that cannot write, because the disk is full or something of ours fails,
// ends and does not come again by itself. Its sync finds another one.
func TestSyncThatLostItsJobFindsAnother(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay, testDay.AddDate(0, 0, 1), 24)
	m := newSyncSite(t, u, 1, ConnectionForm{})
	exec := func(query string) {
		t.Helper()
		if _, err := m.store.Queue().Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	jobs := func() (n int) {
		t.Helper()
		if err := m.Syncs.rouse(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := m.store.Queue().QueryRow(`SELECT count(*) FROM river_job WHERE queue = 'sync'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	exec(`CREATE TRIGGER full BEFORE UPDATE ON syncs BEGIN SELECT RAISE(ABORT, 'disk is full'); END`)
	if _, err := m.Syncs.run(t.Context(), 1, m.conn); err == nil {
		t.Fatal("the job could write")
	}
	exec(`DROP TRIGGER full`)
	exec(`DELETE FROM river_job`) // it is gone
	if n := jobs(); n != 1 {
		t.Errorf("%d jobs for a sync that is due since 1970", n)
	}
	m.work(t, m.now().Add(time.Minute))
	m.holdsAll(t, testDay, m.now().Add(-2*time.Minute))
	exec(`DELETE FROM river_job`)
	if n := jobs(); n != 0 {
		t.Errorf("%d jobs for a sync that waits", n)
	}
	next := m.status(t).NextAt
	m.at(next.Add(syncOverdue + time.Minute))
	if _, err := m.db().ClaimSync(t.Context(), m.conn, m.now(), m.now().Add(syncLease)); err != nil {
		t.Fatal(err)
	}
	if n := jobs(); n != 0 {
		t.Errorf("%d jobs for a sync that somebody works on", n)
	}
	m.at(m.now().Add(syncLease + syncOverdue + time.Minute)) // and who was killed
	if n := jobs(); n != 1 {
		t.Errorf("%d jobs for a sync that nobody works on any more", n)
	}
}

// A vendor that is down for two hours and says so is not asked in between.
func TestSyncWaitsAsLongAsAVendorThatIsDownSays(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay, testDay.AddDate(0, 0, 1), 24)
	m := newSyncSite(t, u, 1, ConnectionForm{})
	u.set(func(u *untidyRaygun) {
		u.fault = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7200")
			http.Error(w, "maintenance", http.StatusServiceUnavailable)
		}
	})
	back := m.now().Add(2 * time.Hour)
	m.work(t, back.Add(-time.Minute))
	if st := m.status(t); u.called() != 1 || st.State != SyncFailing || !st.NextAt.Equal(back) {
		t.Errorf("%d calls, %s until %s: %q", u.called(), st.State, st.NextAt, st.Sentence)
	}
	u.set(func(u *untidyRaygun) { u.fault = nil })
	m.work(t, back.Add(time.Minute))
	m.holdsAll(t, testDay, back)
	m.ledgerIsHonest(t)
}
