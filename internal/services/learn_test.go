package services

import (
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

// turns takes the turns of a connection's sync that are due now.
func (v *vendorSite) turns(conn ConnectionID) {
	v.t.Helper()
	for range 50 {
		again, err := v.s.Syncs.run(v.t.Context(), 1, conn)
		if err != nil {
			v.t.Fatal(err)
		}
		if again == 0 || again > time.Second {
			return
		}
	}
	v.t.Fatal("the sync never rests")
}

func (v *vendorSite) spending(conn ConnectionID, sync bool) {
	v.t.Helper()
	p, err := v.s.Connections.SetSpending(v.t.Context(), v.actor, conn, SpendingForm{Allowance: 10_000, Reserve: 100, Sync: sync, RetentionDays: 9})
	if err != nil || len(p) > 0 {
		v.t.Fatal(p, err)
	}
}

func TestSyncThatIsOffRestsUntilItIsWoken(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	c := v.add(v.v3Form("Three", v.box.Credentials().RaygunApplication))
	v.spending(c.ID, false)
	for range 20 { // by the machine's clock, which is finer than what is stored
		if again, err := v.s.Syncs.run(t.Context(), 1, c.ID); again != 0 || err != nil {
			t.Fatalf("a sync that is off takes its next turn in %s, %v", again, err)
		}
	}
}

func TestPermissionThatTheTokenLacksCostsSyncOneCall(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{Customers: 60, Sessions: 2500, Days: 9})
	c := v.add(v.v3Form("Three", v.box.Credentials().RaygunApplication))
	v.box.SetRaygunScopes("rum.sessions:read")
	v.spending(c.ID, true)
	v.turns(c.ID)
	if n := v.box.CountCalls(sandbox.OpV3ListSessions); n < 4 {
		t.Fatalf("%d pages of sessions: too few to tell", n)
	}
	if n := v.box.CountCalls(sandbox.OpV3ListCustomers); n != 1 {
		t.Errorf("%d calls for users that the token may not see, want 1", n)
	}
	if n := strings.Count(v.log.String(), "leaves something alone"); n != 2 { // users and web vitals
		t.Errorf("it is logged %d times:\n%s", n, v.log.String())
	}
}

func TestFillThroughV3CostsNoMoreThanWasNamed(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{Customers: 60, Sessions: 2500, Days: 9})
	c := v.add(v.v3Form("Three", v.box.Credentials().RaygunApplication))
	v.spending(c.ID, false)
	to := nextDay(time.Now())
	if days, err := v.s.Syncs.Fill(t.Context(), v.actor, c.ID, to.AddDate(0, 0, -5), to, 8); err != nil || days == 0 {
		t.Fatalf("%d days, %v", days, err)
	}
	v.turns(c.ID)
	b, err := v.s.Connections.Budget(t.Context(), 1, c.ID)
	if err != nil || b.Spent == 0 || b.Spent > 8 || b.ByBackground != 0 || b.Spent != v.box.RaygunV3CallsToday() {
		t.Errorf("%d calls of 8 that were named, %d of them by background work with sync off (%v)", b.Spent, b.ByBackground, err)
	}
}

// detailless is a session of a v3 connection of which neither the person nor
// the pages are known.
func (v *vendorSite) detailless() Session {
	v.t.Helper()
	start(v.t, v.s)
	c := v.add(v.v3Form("Three", v.box.Credentials().RaygunApplication))
	for _, s := range v.list(v.week(c.ID)) {
		if s.UserPartial {
			return s
		}
	}
	v.t.Fatal("every session's person is known")
	return Session{}
}

func TestDetailAsksNoMoreOfAVendorThatIsNotThere(t *testing.T) {
	t.Parallel()
	for _, kind := range []sandbox.FaultKind{sandbox.FaultServerError, sandbox.FaultRateLimited, sandbox.FaultUnauthorized} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			v := newVendorSite(t, sandbox.Options{})
			s := v.detailless()
			for _, op := range []string{sandbox.OpV3Customer, sandbox.OpV3Page, sandbox.OpV3ListPages, sandbox.OpV3ErrorGroup, sandbox.OpV3ListErrorGroups} {
				v.box.Fault(sandbox.Fault{Vendor: sandbox.Raygun, Operation: op, Kind: kind})
			}
			before := v.box.RaygunV3CallsToday()
			calls := len(v.box.Calls())
			ask, _, err := v.s.Sessions.AskDetail(t.Context(), v.actor, s.ID, 0, false)
			if ask = v.asked(ask, err); ask.State != AskDone || !strings.Contains(ask.Message, "Raygun v3 (connection “Three”)") {
				t.Errorf("ask = %+v", ask)
			}
			if n := len(v.box.Calls()) - calls; n != 2 {
				t.Errorf("%d calls, want the session's and one for its person (%d counted)", n, v.box.RaygunV3CallsToday()-before)
			}
			if d, err := v.s.Sessions.Get(t.Context(), 1, s.ID); err != nil || !d.Detailed || len(d.PageViews) == 0 {
				t.Errorf("detail = %+v, %v", d, err)
			}
		})
	}
}

func TestDetailIsKeptBeforeItsNamesAreAsked(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	s := v.detailless()
	remove := v.box.Fault(sandbox.Fault{Vendor: sandbox.Raygun, Operation: sandbox.OpV3Customer, Kind: sandbox.FaultLatency, Latency: time.Minute})
	defer remove()
	ask, _, err := v.s.Sessions.AskDetail(t.Context(), v.actor, s.ID, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	d, err := waitFor(t.Context(), patience, func() (SessionDetail, bool, error) {
		d, err := v.s.Sessions.Get(t.Context(), 1, s.ID)
		return d, d.Detailed, err
	})
	if err != nil || !d.Detailed || len(d.PageViews) == 0 || d.Ask == nil || d.Ask.ID != ask.ID || !d.Ask.State.Open() {
		t.Errorf("while the person is asked for: %+v, %v", d, err)
	}
}
