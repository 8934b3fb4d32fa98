package sandbox_test

import (
	"strconv"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

func TestV3ErrorGroupsTellWhenTheyWereMet(t *testing.T) {
	s, _ := start(t, sandbox.Options{Sessions: 20_000, Customers: 500})
	v := newV3(t, s)
	var groups []struct {
		Identifier, Message, Status string
		LastOccurredAt, CreatedAt   time.Time
		ResolvedIn                  *struct{ Version string }
		ApplicationURL              string
	}
	v.get(v.app+"/error-groups", &groups)
	states := map[string]int{}
	for _, g := range groups {
		states[g.Status]++
		if g.LastOccurredAt.After(noon()) || g.CreatedAt.After(g.LastOccurredAt) || (g.Status == "resolved") != (g.ResolvedIn != nil) {
			t.Errorf("group %+v", g)
		}
		if a := mustSend(t, "GET", g.ApplicationURL, nil, nil); a.code != 200 {
			t.Errorf("%s leads to %d", g.ApplicationURL, a.code)
		}
	}
	if len(groups) != 11 || states["active"] == 0 || states["resolved"] == 0 || states["ignored"] != 1 || states["permanentlyIgnored"] != 1 {
		t.Errorf("%d groups: %v", len(groups), states)
	}
	// When a group was met last is when the newest session met it.
	newest := map[string]time.Time{}
	for _, p := range s.Company().Customers() {
		for _, x := range s.Company().SessionsOf(p) {
			for _, e := range x.Errors {
				if id := strconv.FormatInt(e.GroupID, 36); e.At.After(newest[id]) {
					newest[id] = e.At
				}
			}
		}
	}
	for _, g := range groups {
		if g.LastOccurredAt.Before(newest[g.Identifier]) { // visitors met some later
			t.Errorf("%s was met at %v, it says %v", g.Message, newest[g.Identifier], g.LastOccurredAt)
		}
	}
}
