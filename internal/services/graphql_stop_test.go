package services

import (
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

// A run that goes out while somebody stops it is not said to have stayed here.
func TestARunThatIsSentWhileItIsStoppedSaysSo(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract) // its queue is not started
	owner := r.actor
	owner.Role = Owner
	if err := r.s.GraphQL.SetLock(t.Context(), owner, r.conn, Support); err != nil {
		t.Fatal(err)
	}
	run, check, err := r.s.GraphQL.Run(t.Context(), r.actor, GraphQLForm{Connection: r.conn, FormToken: "t", Query: `mutation { setSessionNote(recordingID: "x", sessionID: 1, note: "y") { note } }`})
	if err != nil || !check.OK(false) {
		t.Fatal(check, err)
	}
	clock, sent := r.s.GraphQL.now, false
	r.s.GraphQL.now = func() time.Time { // between Stop's look at the run and its end
		if !sent {
			sent = true
			if err := r.store.Org(1).StartGraphQLRun(t.Context(), run.ID, clock()); err != nil {
				t.Error(err)
			}
		}
		return clock()
	}
	if err := r.s.GraphQL.Stop(t.Context(), r.actor, run.ID); err != nil {
		t.Fatal(err)
	}
	if run, err = r.s.GraphQL.Get(t.Context(), 1, run.ID); err != nil || run.State != GraphQLStopped || !strings.Contains(run.Message, "may have been carried out") {
		t.Errorf("%+v, %v", run, err)
	}
}
