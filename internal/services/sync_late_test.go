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

