package services

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/sandbox"
)

// withDetails has sync fetch details on so many calls a day.
func (m *syncSite) withDetails(t *testing.T, calls int) {
	t.Helper()
	p, err := m.Connections.SetSpending(t.Context(), m.actor, m.conn, SpendingForm{Allowance: 50, Reserve: 10, Sync: true, RetentionDays: 10, Details: true, DetailCalls: calls})
	if err != nil || len(p) > 0 {
		t.Fatal(p, err)
	}
}

// detailed are the sessions that were asked for in full so far.
func (u *untidyRaygun) askedInFull() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.detailed)
}

func TestDetailsTakeWhatFollowingAndFillingLeave(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{limit: 50}
	u.fill(testDay.AddDate(0, 0, -12), testDay.AddDate(0, 0, 5), 400)
	m := newSyncSite(t, u, 10, ConnectionForm{})
	m.withDetails(t, 10)
	u.set(func(u *untidyRaygun) {
		u.before = func() {
			if st := m.status(t); len(u.askedInFull()) > 0 && st.Plan.Days > 0 {
				t.Errorf("details were fetched with %d days still to be filled", st.Plan.Days)
			}
		}
	})
	var looked string
	for day := range 4 {
		if day == 2 { // somebody looks at a customer
			f := db.SessionFilter{To: testDay.AddDate(0, 0, -3), From: testDay.AddDate(0, 0, -4)}
			page, err := m.db().Sessions(t.Context(), f, Moment{}, 1)
			if err != nil || len(page.Sessions) == 0 {
				t.Fatal(page, err)
			}
			looked = page.Sessions[0].UserEmail
			if _, err := m.Customers.View(t.Context(), m.actor, page.Sessions[0].Customer); err != nil {
				t.Fatal(err)
			}
		}
		before := len(u.askedInFull())
		m.work(t, testDay.AddDate(0, 0, day+1).Add(-time.Second))
		got := u.askedInFull()[before:]
		b, err := m.Connections.Budget(t.Context(), 1, m.conn)
		if err != nil || b.Left < b.Reserve || len(got) != 10 {
			t.Errorf("day %d: %d details, %+v, %v", day, len(got), b, err)
		}
		if age := m.now().Sub(m.status(t).Newest); age > 2*time.Hour {
			t.Errorf("day %d ends with news %s old", day, age)
		}
		for i, id := range got {
			n, _ := strconv.Atoi(id)
			of := u.json(u.sessions[n-1 : n])[0]["user"].(map[string]any)["emailAddress"]
			if day == 2 && of != looked {
				t.Errorf("detail %d is of %v, and %s was looked at", i, of, looked)
			}
			if started := u.sessions[n-1].start; day != 2 && started.Before(testDay.AddDate(0, 0, day-1)) {
				t.Errorf("day %d: detail %d is of %s", day, i, started)
			}
		}
		m.at(testDay.AddDate(0, 0, day+1))
	}
	all := u.askedInFull()
	slices.Sort(all)
	if n := len(slices.Compact(slices.Clone(all))); n != len(all) {
		t.Errorf("%d questions for %d sessions", len(all), n)
	}
	plan := m.status(t).Plan
	if plan.Details.Sessions < 3500 || plan.Details.Calls != plan.Details.Sessions || plan.Details.Daily != 10 || !plan.Details.Done.IsZero() ||
		!strings.HasSuffix(plan.Sentence(m.now()), "calls, at most 10 a day, the newest first.") {
		t.Errorf("plan = %q %+v", plan.Sentence(m.now()), plan.Details)
	}
	m.ledgerIsHonest(t)
}

func TestDetailsThatCannotBeHadAreNotAskedForAgain(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{gone: map[string]bool{}}
	u.fill(testDay.AddDate(0, 0, -2), testDay.AddDate(0, 0, 2), 20)
	for i := range u.sessions {
		if i%2 == 0 {
			u.gone[strconv.Itoa(u.sessions[i].id)] = true
		}
	}
	m := newSyncSite(t, u, 3, ConnectionForm{})
	if p, err := m.Connections.SetSpending(t.Context(), m.actor, m.conn, SpendingForm{Sync: true, RetentionDays: 3, Details: true, DetailCalls: 1000}); err != nil || len(p) > 0 {
		t.Fatal(p, err)
	}
	down := func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/session") {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		u.list(w, r)
	}
	u.set(func(u *untidyRaygun) { u.fault = down })
	m.work(t, m.now().Add(30*time.Minute))
	st := m.status(t)
	questions := u.called()
	if st.State != SyncFollowing || len(u.askedInFull()) > 0 {
		t.Errorf("with details failing: %+v", st)
	}
	u.set(func(u *untidyRaygun) { u.fault = nil })
	m.work(t, m.now().Add(20*time.Minute))
	if len(u.askedInFull()) > 0 {
		t.Errorf("after a failure details were asked for again at once, with %d questions before", questions)
	}
	m.work(t, testDay.AddDate(0, 0, 1).Add(-time.Second))
	all := u.askedInFull()
	slices.Sort(all)
	if len(all) < 58 || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("%d questions for %d sessions", len(all), len(slices.Compact(slices.Clone(all))))
	}
	if left := m.status(t).Plan.Details.Sessions; left < 28 || left > 32 {
		t.Errorf("%d sessions lack details, and the vendor does not know 30", left)
	}
	m.ledgerIsHonest(t)
}

func TestDetailPlanSentence(t *testing.T) {
	now := testDay.Add(12 * time.Hour)
	for _, c := range []struct {
		plan DetailPlan
		want string
	}{
		{DetailPlan{}, ""},
		{DetailPlan{Sessions: 412, Calls: 412, Exactly: true, Daily: 10, Done: testDay.AddDate(0, 0, 42)}, "Details of 412 sessions = 412 calls, at most 10 a day, done Friday 1 Jan."},
		{DetailPlan{Sessions: 1, Calls: 6, Daily: 2000, Done: testDay}, "Details of 1 session ≤ 6 calls, at most 2,000 a day, done today."},
		{DetailPlan{Sessions: 5000, Calls: 5000, Exactly: true, Daily: 10}, "Details of 5,000 sessions = 5,000 calls, at most 10 a day, the newest first."},
	} {
		if got := c.plan.Sentence(now); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestV3FetchesWhatV1ToldOfFirstAndV1StillHasMoreToTell(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{Customers: 20, Sessions: 30, Days: 4})
	start(t, v.s)
	v1, v3 := v.add(v.raygunForm("One")), v.add(v.v3Form("Three", v.box.Credentials().RaygunApplication))
	q := v.week(v1.ID)
	v.week(v3.ID)
	p, err := v.s.Connections.SetSpending(t.Context(), v.actor, v3.ID, SpendingForm{Allowance: 10_000, Reserve: 100, Sync: true, RetentionDays: 4, Details: true, DetailCalls: 2000})
	if err != nil || len(p) > 0 {
		t.Fatal(p, err)
	}
	lacking := func() (bare, more []SessionID) {
		for _, s := range v.list(q) {
			if s.DetailedAt.IsZero() && LacksDetail(v1, s, time.Now()) {
				bare = append(bare, s.ID)
			}
			if s.DetailFrom == v3.ID && LacksDetail(v1, s, time.Now()) {
				more = append(more, s.ID)
			}
		}
		return bare, more
	}
	bare, more := lacking()
	for deadline := time.Now().Add(patience); len(bare) > 0 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		bare, more = lacking()
	}
	if len(bare) > 0 || len(more) < 15 {
		t.Fatalf("%d sessions lack details, v3 told of %d of v1's", len(bare), len(more))
	}
	if !v.offeredToCustomer(v1, more[0]) {
		t.Error("the customer's page does not offer what v1 has more to tell of")
	}
	run, _, err := v.s.Details.Start(t.Context(), v.actor, v1.ID, more, 3)
	if err == nil {
		run, err = v.s.Details.Wait(t.Context(), 1, run.ID, patience)
	}
	if err != nil || run.Done != 3 || v.box.CountCalls(sandbox.OpSession) != 3 {
		t.Errorf("run = %+v, %v after %d calls", run, err, v.box.CountCalls(sandbox.OpSession))
	}
}

// offeredToCustomer says whether the page of a session's customer offers to
// fetch its details through a connection.
func (v *vendorSite) offeredToCustomer(c Connection, id SessionID) bool {
	v.t.Helper()
	row, err := v.store.Org(1).Session(v.t.Context(), id)
	if err != nil {
		v.t.Fatal(err)
	}
	tl, err := timelineOf(v.t, v.s.Customers, row.Customer, "", TimelineCursor{})
	if err != nil {
		v.t.Fatal(err)
	}
	for _, e := range tl.Items {
		if e.Session != nil && e.Session.ID == id {
			return LacksDetail(c, *e.Session, time.Now())
		}
	}
	return false
}
