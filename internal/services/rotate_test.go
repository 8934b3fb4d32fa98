package services

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

func TestRotatedTokenEndsWhatTheOldOneWasLeftAloneFor(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{Customers: 60, Sessions: 900, Days: 4})
	c := v.add(v.v3Form("Three", v.box.Credentials().RaygunApplication))
	v.box.SetRaygunScopes("rum.sessions:read")
	v.spending(c.ID, true)
	v.turns(c.ID)
	vitals := v.box.CountCalls(sandbox.OpV3MetricsPagesHistogram)
	v.turns(c.ID)
	if n := v.box.CountCalls(sandbox.OpV3MetricsPagesHistogram); vitals != 1 || n != 1 {
		t.Fatalf("%d calls for web vitals that the token may not see, then %d", vitals, n)
	}
	v.box.SetRaygunScopes("rum.sessions:read", "customers:read", "metrics:pages")
	if p, err := v.s.Connections.Rotate(t.Context(), v.actor, c.ID, v.v3Form("", "")); err != nil || len(p) > 0 {
		t.Fatal(p, err)
	}
	v.turns(c.ID)
	if n := v.box.CountCalls(sandbox.OpV3MetricsPagesHistogram); n < 5 {
		t.Errorf("%d calls for web vitals once there was another token", n)
	}
}

func TestCredentialsRotatedDuringACallAreNotHeldBackByItsAnswer(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"refused": http.StatusUnauthorized, "too many": http.StatusTooManyRequests} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := &untidyRaygun{}
			u.fill(testDay, testDay.AddDate(0, 0, 1), 100)
			m := newSyncSite(t, u, 1, ConnectionForm{})
			rotated := false
			u.set(func(u *untidyRaygun) {
				u.fault = func(w http.ResponseWriter, r *http.Request) {
					if !rotated {
						rotated = true
						m.at(m.now().Add(time.Second))
						if p, err := m.Connections.Rotate(t.Context(), m.actor, m.conn, ConnectionForm{ClientSecret: NewSecret("new")}); err != nil || len(p) > 0 {
							t.Error(p, err)
						}
					}
					http.Error(w, "no", status)
				}
			})
			again, err := m.Syncs.run(t.Context(), 1, m.conn)
			if err != nil || again > time.Second {
				t.Errorf("the next turn is in %s, %v", again, err)
			}
			if st := m.status(t); st.State != SyncFollowing && st.State != SyncReading || !st.Budget.BlockedUntil.IsZero() {
				t.Errorf("%s, %q, blocked until %s", st.State, st.Sentence, st.Budget.BlockedUntil)
			}
			u.set(func(u *untidyRaygun) { u.fault = nil })
			m.work(t, m.now().Add(time.Second))
			m.holdsAll(t, testDay, m.now().Add(-2*time.Second))
		})
	}
}

func TestStoppedSyncSaysWhatHappensNextAndGoesOnAfterRotation(t *testing.T) {
	t.Parallel()
	u := &untidyRaygun{}
	u.fill(testDay, testDay.AddDate(0, 0, 1), 100)
	m := newSyncSite(t, u, 1, ConnectionForm{})
	u.set(func(u *untidyRaygun) {
		u.fault = func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusUnauthorized) }
	})
	m.work(t, m.now().Add(time.Second))
	st := m.status(t)
	if st.State != SyncCredentials || !strings.Contains(st.Sentence, "It tries again at ") || !strings.Contains(st.Sentence, "at once when the credentials are rotated") {
		t.Errorf("%s, %q", st.State, st.Sentence)
	}
	u.set(func(u *untidyRaygun) { u.fault = nil })
	if p, err := m.Connections.Rotate(t.Context(), m.actor, m.conn, ConnectionForm{ClientSecret: NewSecret("new")}); err != nil || len(p) > 0 {
		t.Fatal(p, err)
	}
	m.work(t, m.now().Add(time.Second))
	if st := m.status(t); st.State != SyncFollowing {
		t.Errorf("%s, %q", st.State, st.Sentence)
	}
	m.holdsAll(t, testDay, m.now().Add(-2*time.Second))
}

func TestRotatedKeyEndsTheWaitForHighlights(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.pace.Deadline = 2 * time.Hour
	r.restart()
	remove := r.box.Fault(sandbox.Fault{Operation: sandbox.OpGetHighlights, Kind: sandbox.FaultRateLimited, RetryAfter: time.Hour})
	id := r.ask(HighlightRequest{Email: r.box.Company().Demo()[0].Email}).ID
	r.until(id, func(h Highlight) bool { return h.Message != "" })
	remove()
	h, err := r.s.Highlights.Get(t.Context(), r.actor.Org, id)
	if err != nil || h.State != HighlightPending {
		t.Fatalf("%+v, %v", h, err)
	}
	admin := r.actor
	admin.Role = Admin
	key := ConnectionForm{Key: NewSecret(r.box.Credentials().LogRocketKey)}
	if p, err := r.s.Connections.Rotate(t.Context(), admin, h.Connection, key); err != nil || len(p) > 0 {
		t.Fatal(p, err)
	}
	if h = r.settled(id); h.State != HighlightReady {
		t.Errorf("%+v", h)
	}
}
