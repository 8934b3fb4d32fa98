package db_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
)

// budgetSite is an organization with one Raygun connection.
type budgetSite struct {
	d    *db.DB
	org  db.Org
	conn db.ConnectionID
}

func newBudgetSite(t *testing.T, allowance, reserve int) budgetSite {
	t.Helper()
	d := dbtest.New(t)
	o, err := d.AddOrgUnscoped(t.Context(), "acme", "Acme", noon())
	if err != nil {
		t.Fatal(err)
	}
	org := d.Org(o.ID)
	c, err := org.AddConnection(t.Context(), db.Connection{Vendor: "raygun", Name: "Web", Allowance: allowance, Reserve: reserve, CreatedAt: noon()},
		func(db.ConnectionID) (map[string][]byte, error) { return nil, nil }, db.HistoryEntry{At: noon(), Action: "connection.add", Summary: "x"})
	if err != nil {
		t.Fatal(err)
	}
	return budgetSite{d, org, c.ID}
}

func noon() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }

func (s budgetSite) begin(ctx context.Context, at time.Time, background bool) (db.CallID, error) {
	return s.org.BeginCall(ctx, db.Call{
		Connection: s.conn, Vendor: "raygun", Operation: "sessions", Attempt: 1, Counts: true, Background: background, StartedAt: at,
	}, false)
}

func (s budgetSite) spent(t *testing.T, at time.Time) int {
	t.Helper()
	b, err := s.org.Budget(t.Context(), s.conn, at)
	if err != nil {
		t.Fatal(err)
	}
	return b.Spent
}

func (s budgetSite) wantRefused(t *testing.T, why string, at time.Time, background bool) *db.CallRefused {
	t.Helper()
	_, err := s.begin(t.Context(), at, background)
	r, ok := db.IsRefused(err)
	if !ok || r.Why != why {
		t.Fatalf("call = %v, want refused: %s", err, why)
	}
	return r
}

func TestNobodyOverspendsTogether(t *testing.T) {
	s := newBudgetSite(t, 50, 10)
	var people, background, refused atomic.Int32
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			_, err := s.begin(t.Context(), noon(), i%2 == 0)
			switch _, no := db.IsRefused(err); {
			case no:
				refused.Add(1)
			case err != nil:
				t.Error(err)
			case i%2 == 0:
				background.Add(1)
			default:
				people.Add(1)
			}
		})
	}
	all.Wait()
	if people.Load()+background.Load() != 50 || refused.Load() != 150 || background.Load() > 40 {
		t.Errorf("%d people's and %d background calls left, %d were refused; want 50 in all, 40 of them background at most",
			people.Load(), background.Load(), refused.Load())
	}
	if n := s.spent(t, noon()); n != 50 {
		t.Errorf("%d spent, want 50", n)
	}
	calls, err := s.org.Calls(t.Context(), db.HistoryFilter{Limit: 1000})
	if err != nil || len(calls) != 50 {
		t.Errorf("%d ledger rows (%v), want 50", len(calls), err)
	}
}

func TestRefusalSaysWhyAndUntilWhen(t *testing.T) {
	s := newBudgetSite(t, 3, 2)
	midnight := noon().Add(12 * time.Hour)
	if _, err := s.begin(t.Context(), noon(), true); err != nil {
		t.Fatal(err)
	}
	if r := s.wantRefused(t, db.RefusedReserve, noon(), true); !r.Until.Equal(midnight) || r.Budget.Spent != 1 {
		t.Errorf("refusal = %+v", r)
	}
	for range 2 {
		if _, err := s.begin(t.Context(), noon(), false); err != nil {
			t.Fatal(err)
		}
	}
	if r := s.wantRefused(t, db.RefusedSpent, noon(), false); !r.Until.Equal(midnight) || r.Budget.Spent != 3 {
		t.Errorf("refusal = %+v", r)
	}
	s.wantRefused(t, db.RefusedSpent, midnight.Add(-time.Millisecond), false)
	if _, err := s.begin(t.Context(), midnight, false); err != nil {
		t.Errorf("the next day's first call: %v", err)
	}

	if err := s.org.RemoveConnection(t.Context(), s.conn, db.HistoryEntry{At: noon(), Action: "connection.remove", Summary: "x"}); err != nil {
		t.Fatal(err)
	}
	s.wantRefused(t, db.RefusedRemoved, midnight, false)
}

func TestBackgroundNeedsMoreThanTheReserve(t *testing.T) {
	s := newBudgetSite(t, 10, 10)
	s.wantRefused(t, db.RefusedReserve, noon(), true)
	if _, err := s.begin(t.Context(), noon(), false); err != nil {
		t.Error(err)
	}
}

func TestNoAllowanceIsNoLimit(t *testing.T) {
	s := newBudgetSite(t, 0, 0)
	for range 60 {
		if _, err := s.begin(t.Context(), noon(), true); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCallIsGivenBackOnceIfItNeverLeft(t *testing.T) {
	s := newBudgetSite(t, 5, 0)
	id, err := s.begin(t.Context(), noon(), false)
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.begin(t.Context(), noon(), false)
	if err != nil {
		t.Fatal(err)
	}
	out := db.CallOutcome{State: db.CallFailed, ErrorKind: "down"}
	if err := s.org.EndCall(t.Context(), id, out); err != nil {
		t.Fatal(err)
	}
	if err := s.org.EndCall(t.Context(), id, out); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("ended twice: %v, want not found", err)
	}
	if n := s.spent(t, noon()); n != 1 {
		t.Errorf("%d spent after one of two calls never left, want 1", n)
	}
	out.Sent = true
	if err := s.org.EndCall(t.Context(), other, out); err != nil {
		t.Fatal(err)
	}
	if n := s.spent(t, noon()); n != 1 {
		t.Errorf("%d spent after the other failed on its way, want 1", n)
	}
}

func TestTooManyCallsBlockTheConnection(t *testing.T) {
	s := newBudgetSite(t, 5, 0)
	midnight := noon().Add(12 * time.Hour)
	id, err := s.begin(t.Context(), noon(), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.org.EndCall(t.Context(), id, db.CallOutcome{State: db.CallFailed, Status: 429, Sent: true, BlockCounted: midnight}); err != nil {
		t.Fatal(err)
	}
	if r := s.wantRefused(t, db.RefusedBlocked, noon(), false); !r.Until.Equal(midnight) {
		t.Errorf("blocked until %v, want %v", r.Until, midnight)
	}
	free := db.Call{Connection: s.conn, Vendor: "raygun", Operation: "authenticate", Attempt: 1, StartedAt: noon()}
	if id, err = s.org.BeginCall(t.Context(), free, false); err != nil {
		t.Errorf("a call that does not count: %v", err)
	}
	if _, no := db.IsRefused(func() error { _, err := s.org.BeginCall(t.Context(), free, true); return err }()); !no {
		t.Error("a call that the block holds back left")
	}
	// A free call's 429 without a time blocks nothing, and does not shorten a block.
	if err := s.org.EndCall(t.Context(), id, db.CallOutcome{State: db.CallFailed, Status: 429, Sent: true, BlockUntil: noon().Add(time.Minute), BlockCounted: midnight}); err != nil {
		t.Fatal(err)
	}
	s.wantRefused(t, db.RefusedBlocked, midnight.Add(-time.Millisecond), false)
	if _, err := s.begin(t.Context(), midnight, false); err != nil {
		t.Errorf("after the block: %v", err)
	}
}

func TestCrashLeavesCallsUnknownAndSpent(t *testing.T) {
	s := newBudgetSite(t, 5, 0)
	if _, err := s.begin(t.Context(), noon(), false); err != nil {
		t.Fatal(err)
	}
	if n, err := s.d.SettleCallsUnscoped(t.Context()); err != nil || n != 1 {
		t.Fatalf("settled %d, %v; want 1", n, err)
	}
	calls, err := s.org.Calls(t.Context(), db.HistoryFilter{Limit: 10})
	if err != nil || len(calls) != 1 || calls[0].State != db.CallUnknown || s.spent(t, noon()) != 1 {
		t.Errorf("calls = %+v, %v; want one unknown and spent", calls, err)
	}
}

// What others have spent counts only where they are of the same organization.
func TestSpentByCountsOnlyTheOrganizationsOwn(t *testing.T) {
	s := newBudgetSite(t, 2, 0)
	if _, err := s.begin(t.Context(), noon(), false); err != nil {
		t.Fatal(err)
	}
	o, err := s.d.AddOrgUnscoped(t.Context(), "other", "Other", noon())
	if err != nil {
		t.Fatal(err)
	}
	for org, want := range map[db.OrgID]int{s.org.ID(): 1, o.ID: 0} {
		if n, err := s.d.Org(org).SpentBy(t.Context(), []db.ConnectionID{s.conn}, noon()); n != want || err != nil {
			t.Errorf("organization %d is told of %d calls, want %d (%v)", org, n, want, err)
		}
	}
}
