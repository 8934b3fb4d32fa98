package services

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// Raygun v3 counts by the person whose token it is. However many applications
// are connected with one token, they spend one allowance together.
func TestConnectionsWithOneTokenSpendOneAllowance(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay, testDay.AddDate(0, 0, 1), 24)
	m := newSyncSite(t, u, 1, ConnectionForm{Vendor: RaygunV3})
	add := func(name, token string) ConnectionID {
		t.Helper()
		c, p, err := m.Connections.Add(t.Context(), m.actor, ConnectionForm{Vendor: RaygunV3, Name: name, Token: NewSecret(token), Application: "a2"})
		if err != nil || len(p) > 0 {
			t.Fatal(p, err)
		}
		return c.ID
	}
	one, other, stranger := m.conn, add("Other", "t"), add("Stranger", "another")
	for _, c := range []ConnectionID{one, other, stranger} {
		if p, err := m.Connections.SetSpending(t.Context(), m.actor, c, SpendingForm{Allowance: 12, Reserve: 4, RetentionDays: 1}); err != nil || len(p) > 0 {
			t.Fatal(p, err)
		}
	}
	ask := func(c ConnectionID, n int, background bool) Ask {
		q := dayQuery(c)
		q.Identifier = fmt.Sprint(n)
		ask, err := m.Asks.Put(t.Context(), m.actor, AskSpec{Connection: c, Kind: askSessions, Subject: q.params().String(), Background: background})
		if err == nil {
			err = m.Asks.run(t.Context(), 1, ask.ID)
		}
		if err == nil {
			ask, err = m.Asks.Get(t.Context(), 1, ask.ID)
		}
		if err != nil {
			t.Error(err)
		}
		return ask
	}
	for n := range 8 {
		ask(one, n, true)
	}
	if a := ask(other, 0, true); u.called() != 8 || a.State != AskFailed || !strings.Contains(a.Message, "4 are left, and they are kept for people") {
		t.Errorf("background work took of what is kept for people: %d calls, %q", u.called(), a.Message)
	}
	var wg sync.WaitGroup
	for n := range 12 {
		wg.Go(func() { ask([]ConnectionID{one, other}[n%2], 100+n, false) })
	}
	wg.Wait()
	if n := u.called(); n != 12 {
		t.Errorf("%d calls of one token's 12", n)
	}
	var left []int
	budgets, err := m.Connections.Budgets(t.Context(), 1) // Other, Stranger, Web
	for _, b := range budgets {
		left = append(left, b.Left)
	}
	if b, err := m.Connections.Budget(t.Context(), 1, other); err != nil || b.Left != 0 || b.Spent+b.Others != 12 {
		t.Errorf("budget = %+v, %v", b, err)
	}
	if err != nil || fmt.Sprint(left) != "[0 12 0]" {
		t.Errorf("left = %v, %v", left, err)
	}
	// A token of its own has an allowance of its own.
	if p, err := m.Connections.Rotate(t.Context(), m.actor, other, ConnectionForm{Token: NewSecret("third")}); err != nil || len(p) > 0 {
		t.Fatal(p, err)
	}
	if a := ask(other, 200, false); a.State != AskDone {
		t.Errorf("ask = %+v", a)
	}
	m.ledgerOf(t, one, other)
}

// ledgerOf fails unless the ledger of some connections has counted what the
// vendor was asked.
func (m *syncSite) ledgerOf(t *testing.T, conns ...ConnectionID) {
	t.Helper()
	n, err := m.db().SpentBy(t.Context(), conns, m.now())
	if err != nil || n != m.raygun.called() {
		t.Errorf("the ledger counted %d calls, the vendor was asked %d times (%v)", n, m.raygun.called(), err)
	}
}
