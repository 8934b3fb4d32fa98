package services

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A site that is used on weekdays has whole nights and days without a session.
// That the vendor tells of none then is believed: it costs no call more, and
// nobody is told that the sync fails. What is followed in the busy hours still
// comes on one page.
func TestAQuietWeekendIsNoFailure(t *testing.T) {
	for _, perHour := range []int{30, 90} {
		t.Run(fmt.Sprint(perHour), func(t *testing.T) {
			t.Parallel()
			u := &untidyRaygun{}
			for day := -5; day < 1; day++ { // testDay is a Friday
				at := testDay.AddDate(0, 0, day)
				if w := at.Weekday(); w != time.Saturday && w != time.Sunday {
					u.fill(at.Add(8*time.Hour), at.Add(18*time.Hour), perHour*24)
				}
			}
			m := newSyncSite(t, u, 4, ConnectionForm{})
			m.work(t, m.now().Add(time.Second))
			filled := u.called()
			for hour := 13; hour < 24+14; hour += 2 {
				m.work(t, testDay.Add(time.Duration(hour)*time.Hour))
				st := m.status(t)
				if age := m.now().Sub(st.Newest); st.State != SyncFollowing || age > followFresh {
					t.Fatalf("%s: %s, news are %s old, %q", m.now().Format("Mon 15:04"), st.State, age, st.Sentence)
				}
			}
			for _, c := range u.calls[filled:] {
				if !strings.HasSuffix(c, "skip=0") {
					t.Errorf("a second page was asked for: %s", c)
				}
			}
			m.holdsAll(t, testDay.AddDate(0, 0, -3), m.now().Add(-2*time.Hour))
			m.ledgerIsHonest(t)
		})
	}
}
