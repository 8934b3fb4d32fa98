package services

import (
	"testing"

	"sightline/internal/services/sandbox"
)

func (v *vendorSite) spending(conn ConnectionID, sync bool) {
	v.t.Helper()
	p, err := v.s.Connections.SetSpending(v.t.Context(), v.actor, conn, SpendingForm{Allowance: 10_000, Reserve: 100, Sync: sync, RetentionDays: 9})
	if err != nil || len(p) > 0 {
		v.t.Fatal(p, err)
	}
}

func TestSyncThatIsOffRestsUntilItIsWoken(t *testing.T) {
	v := newVendorSite(t, sandbox.Options{})
	c := v.add(v.v3Form("Three", v.box.Credentials().RaygunApplication))
	v.spending(c.ID, false)
	for range 20 { // by the machine's clock, which is finer than what is stored
		if again, err := v.s.Syncs.run(t.Context(), 1, c.ID); again != 0 || err != nil {
			t.Fatalf("a sync that is off takes its next turn in %s, %v", again, err)
		}
	}
}
