package services

import (
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/sandbox"
)

// nameless counts the sessions that nobody knows the person of.
func (m *syncSite) nameless(t *testing.T) int {
	t.Helper()
	n := 0
	for _, s := range m.sessions(t) {
		if s.UserPartial {
			n++
		}
	}
	return n
}

func (m *syncSite) sessions(t *testing.T) []Session {
	t.Helper()
	var out []Session
	q := SessionQuery{From: testDay.AddDate(-1, 0, 0), To: testDay.AddDate(1, 0, 0)}
	if err := m.Sessions.Each(t.Context(), 1, q, func(s Session) error { out = append(out, s); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func (u *untidyRaygun) asked(path string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for _, p := range u.paths {
		if strings.Contains(p, path) {
			n++
		}
	}
	return n
}

// turn takes the turns that are due now.
func (m *syncSite) turn(t *testing.T) { t.Helper(); m.work(t, m.now().Add(time.Second)) }

func TestPeopleOfDaysThatAMemberFilledAreLearned(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		u := &untidyRaygun{each: 2}
		u.fill(testDay.AddDate(0, 0, -3), testDay.AddDate(0, 0, 1), 500)
		m := newV3Site(t, u, 4)
		off := SpendingForm{Allowance: 10_000, Reserve: 10, Sync: on, RetentionDays: 4, Share: 1}
		if p, err := m.Connections.SetSpending(t.Context(), m.actor, m.conn, off); err != nil || len(p) > 0 {
			t.Fatal(p, err)
		}
		if _, err := m.Syncs.Fill(t.Context(), m.actor, m.conn, testDay.AddDate(0, 0, -2), testDay, 20); err != nil {
			t.Fatal(err)
		}
		m.turn(t)
		if c := m.coverage(t, testDay.AddDate(0, 0, -2), testDay); c.Held != 2 {
			t.Fatalf("sync %t: %q", on, c.Sentence())
		}
		if on { // background work may do its share now
			off.Share = 0
			if _, err := m.Connections.SetSpending(t.Context(), m.actor, m.conn, off); err != nil {
				t.Fatal(err)
			}
			for range 4 {
				m.work(t, m.now().Add(10*time.Minute))
			}
		}
		if n := m.nameless(t); n > 0 {
			t.Errorf("sync %t: nobody knows whose %d sessions are", on, n)
		}
		b, err := m.Connections.Budget(t.Context(), 1, m.conn)
		if err != nil || b.Spent-b.ByBackground > 20 || !on && b.ByBackground > 0 {
			t.Errorf("sync %t: budget = %+v, %v", on, b, err)
		}
		m.ledgerIsHonest(t)
	}
}

func TestPersonWhomTheVendorDoesNotKnowIsNotAskedForAgainAtOnce(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{each: 100}
	u.fill(testDay, testDay.AddDate(0, 0, 1), 400)
	u.strangers = map[int]bool{1: true}
	m := newV3Site(t, u, 1)
	for range 6 {
		m.work(t, m.now().Add(10*time.Minute))
	}
	if n := u.asked("/customers/c1"); n != 1 {
		t.Errorf("asked for %d times within the hour", n)
	}
	if n := m.nameless(t); n == 0 || n > 100 {
		t.Errorf("%d sessions are of somebody whom nobody knows", n)
	}
}

func TestPersonLearnedWhileTheirSessionWasOnItsWayIsGivenIt(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{each: 100_000} // one person
	u.fill(testDay, testDay.AddDate(0, 0, 1), 400)
	m := newV3Site(t, u, 1)
	u.set(func(u *untidyRaygun) {
		u.before = func() {
			if u.called() > 1 {
				return
			}
			// As a detail that somebody asked for would.
			if _, err := m.db().PutRaygunUsers(t.Context(), m.conn, []db.RaygunUser{{ID: "c0", Email: "u0@example.com"}}, m.now()); err != nil {
				t.Error(err)
			}
		}
		u.fault = nil
	})
	m.turn(t)
	if n := m.nameless(t); n > 0 {
		t.Errorf("%d sessions wait for somebody who is known", n)
	}
	if n := u.asked("/customers"); n > 1 {
		t.Errorf("%d calls for somebody who is known", n)
	}
}

func TestPageNamedAfterTheDetailHadComeIsShown(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{Customers: 20, Sessions: 60, Days: 5})
	s := v.detailless()
	v.box.SetRaygunScopes("rum.sessions:read")
	ask, _, err := v.s.Sessions.AskDetail(t.Context(), v.actor, s.ID, 0, false)
	v.asked(ask, err)
	d, err := v.s.Sessions.Get(t.Context(), 1, s.ID)
	if err != nil || len(d.PageViews) == 0 || d.PageViews[0].URL != "" {
		t.Fatalf("%+v, %v", d, err)
	}
	names := map[string]string{d.PageViews[0].PageID: "https://shop.example.com/cart"}
	if err := v.store.Org(1).PutRaygunNames(t.Context(), s.Connection, db.NamePage, names, time.Now()); err != nil {
		t.Fatal(err)
	}
	if d, err = v.s.Sessions.Get(t.Context(), 1, s.ID); err != nil || d.PageViews[0].URL != "https://shop.example.com/cart" {
		t.Errorf("%+v, %v", d.PageViews, err)
	}
}
