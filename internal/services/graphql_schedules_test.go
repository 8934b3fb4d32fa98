package services

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

// scheduleSite is a site whose schedules go by a clock that a test sets.
type scheduleSite struct {
	*rocketSite
	at    atomic.Int64
	saved SavedQuery
}

func newScheduleSite(t *testing.T, query string) *scheduleSite {
	s := stoppedScheduleSite(t, query)
	s.start()
	return s
}

// stoppedScheduleSite is one where no job runs yet.
func stoppedScheduleSite(t *testing.T, query string) *scheduleSite {
	s := &scheduleSite{rocketSite: newRocketSite(t, sandbox.DialectContract)}
	s.s.GraphQL.now = func() time.Time { return time.UnixMilli(s.at.Load()).UTC() }
	s.set("2026-11-23T10:30:00Z") // a Monday
	s.save(SavedQuery{Name: "People", Query: query})
	return s
}

func (s *scheduleSite) set(text string) {
	s.t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		s.t.Fatal(err)
	}
	s.at.Store(at.UnixMilli())
}

func (s *scheduleSite) save(q SavedQuery) {
	s.t.Helper()
	q.ID, q.Connection = s.saved.ID, s.conn
	saved, problems, err := s.s.GraphQL.Save(s.t.Context(), s.actor, q)
	if err != nil || len(problems) > 0 {
		s.t.Fatal(problems, err)
	}
	s.saved = saved
}

func (s *scheduleSite) schedule(q QuerySchedule) QuerySchedule {
	s.t.Helper()
	q.Saved, q.Keep = s.saved.ID, 30
	out, problems, err := s.s.GraphQL.PutSchedule(s.t.Context(), s.actor, q)
	if err != nil || len(problems) > 0 {
		s.t.Fatal(problems, err)
	}
	return out
}

// due begins what is due, four times at once, and waits until it has ended.
func (s *scheduleSite) due(id ScheduleID) []ScheduledResult {
	s.t.Helper()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := s.s.GraphQL.startDue(s.t.Context()); err != nil {
				s.t.Error(err)
			}
		})
	}
	all.Wait()
	results, err := waitFor(s.t.Context(), patience, func() ([]ScheduledResult, bool, error) {
		list, err := s.s.GraphQL.Results(s.t.Context(), 1, id, time.Time{}, 100)
		return list, len(list) == 0 || !list[0].State.Open(), err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return results
}

func (s *scheduleSite) now(id ScheduleID) QuerySchedule {
	s.t.Helper()
	q, err := s.s.GraphQL.Schedule(s.t.Context(), 1, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return q
}

func TestAScheduleAsksOnceForEachTime(t *testing.T) {
	s := newScheduleSite(t, "query P($n: Int) { users(first: $n) { email } }")
	q := s.schedule(QuerySchedule{Every: EveryHour, Minute: 15, Variables: `{"n": 3}`})
	if q.When() != "every hour, 15 minutes past" || q.NextAt.Format(time.RFC3339) != "2026-11-23T11:15:00Z" || q.MemberName != "Ada" {
		t.Errorf("%s, first at %s for %s", q.When(), q.NextAt, q.MemberName)
	}
	if got := s.due(q.ID); len(got) != 0 {
		t.Fatalf("asked before its time: %+v", got)
	}
	s.set("2026-11-23T11:15:07Z")
	got := s.due(q.ID)
	if len(got) != 1 || got[0].State != GraphQLDone || !got[0].Kept || got[0].Slot.Format(time.RFC3339) != "2026-11-23T11:15:00Z" {
		t.Fatalf("got %+v", got)
	}
	if n, ok := got[0].Number("users: rows"); !ok || n != 3 {
		t.Errorf("numbers %v", got[0].Numbers)
	}
	s.set("2026-11-23T16:20:00Z") // four times were missed, and this one
	if got = s.due(q.ID); len(got) != 2 || got[0].Slot.Format(time.RFC3339) != "2026-11-23T16:15:00Z" {
		t.Fatalf("after hours without asking: %d results, %+v", len(got), got[0].Slot)
	}
	if next := s.now(q.ID).NextAt.Format(time.RFC3339); next != "2026-11-23T17:15:00Z" {
		t.Errorf("next at %s", next)
	}
	// It is nobody's own run, and stands in the history and the ledger.
	if mine, err := s.s.GraphQL.Mine(t.Context(), s.actor, 0, 10); err != nil || len(mine) != 0 {
		t.Errorf("own runs: %+v, %v", mine, err)
	}
	page, err := s.s.History.Page(t.Context(), 1, HistoryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	ran, spent := 0, 0
	for _, e := range page.Events {
		if strings.Contains(e.Summary, "Ran the GraphQL query P on its schedule") && e.Actor == "Ada" {
			ran++
		}
		if e.Action == "call.executeGraphQLQuery" && e.Call.Background {
			spent++
		}
	}
	if ran != 2 || spent != 2 {
		t.Errorf("%d runs and %d calls in the background are told of", ran, spent)
	}

	// Out of its time, once for each press.
	run, err := s.s.GraphQL.RunSchedule(t.Context(), s.actor, q.ID, "t")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.s.GraphQL.RunSchedule(t.Context(), s.actor, q.ID, "t"); err != nil || again.ID != run.ID {
		t.Errorf("pressed twice: %+v, %v", again, err)
	}
	if got = s.due(q.ID); len(got) != 3 || s.now(q.ID).NextAt.Format(time.RFC3339) != "2026-11-23T17:15:00Z" {
		t.Errorf("%d results", len(got))
	}
	// Of older results the numbers stay.
	if _, err := s.store.Queue().Exec(`UPDATE query_schedules SET keep = 1`); err != nil {
		t.Fatal(err)
	}
	s.set("2026-11-23T17:15:00Z")
	got = s.due(q.ID)
	for i, r := range got {
		if len(got) != 4 || r.Kept != (i == 0) || len(r.Numbers) == 0 {
			t.Errorf("result %d of %d: kept %t, %d numbers", i, len(got), r.Kept, len(r.Numbers))
		}
	}
	var file bytes.Buffer
	if err := WriteTrendCSV(&file, got, "users: rows"); err != nil || !strings.HasSuffix(file.String(), "2026-11-23 11:15:00,done,users: rows,3,0\r\n") {
		t.Errorf("file %q, %v", file.String(), err)
	}
	// What a backup has scheduled waits for a person.
	if err := s.store.DoubtUnscoped(t.Context(), "Restored."); err != nil {
		t.Fatal(err)
	}
	if now := s.now(q.ID); !now.Paused || now.Message != "Restored." {
		t.Errorf("restored: %+v", now)
	}
	if err := s.s.GraphQL.DeleteSchedule(t.Context(), s.actor, q.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.s.GraphQL.Get(t.Context(), 1, got[0].ID); err == nil {
		t.Error("its results are still there")
	}
}

func TestAScheduleNeverAsksTwiceAtOnce(t *testing.T) {
	s := stoppedScheduleSite(t, "{ users(first: 1) { email } }")
	q := s.schedule(QuerySchedule{Every: EveryHour})
	if _, err := s.s.GraphQL.RunSchedule(t.Context(), s.actor, q.ID, "a"); err != nil {
		t.Fatal(err)
	}
	var no *Error
	if _, err := s.s.GraphQL.RunSchedule(t.Context(), s.actor, q.ID, "b"); !errors.As(err, &no) || no.Kind != Conflict {
		t.Errorf("asked beside the one that is open: %v", err)
	}
	s.set("2026-11-23T11:00:00Z")
	if err := s.s.GraphQL.startDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list, err := s.s.GraphQL.Results(t.Context(), 1, q.ID, time.Time{}, 10); err != nil || len(list) != 1 {
		t.Fatalf("%d are open, %v", len(list), err)
	}
	s.start() // the time that has come is asked once the other has ended
	_, err := waitFor(t.Context(), patience, func() (int, bool, error) {
		if err := s.s.GraphQL.startDue(t.Context()); err != nil {
			return 0, false, err
		}
		list, err := s.s.GraphQL.Results(t.Context(), 1, q.ID, time.Time{}, 10)
		return len(list), len(list) == 2 && !list[0].State.Open(), err
	})
	if err != nil || s.now(q.ID).NextAt.Format(time.RFC3339) != "2026-11-23T12:00:00Z" {
		t.Errorf("next at %s, %v", s.now(q.ID).NextAt, err)
	}
}

func TestAScheduleThatGoesWrongPausesAndSaysWhy(t *testing.T) {
	s := newScheduleSite(t, "{ users(first: 1) { email } }")
	q := s.schedule(QuerySchedule{Every: EveryDay, Minute: 9 * 60})
	paused := func(want string) {
		t.Helper()
		now := s.now(q.ID)
		if !now.Paused || !strings.Contains(now.Message, want) {
			t.Fatalf("paused %t: %q, want %q", now.Paused, now.Message, want)
		}
	}
	day := 1
	next := func() []ScheduledResult {
		t.Helper()
		s.set(fmt.Sprintf("2026-12-%02dT09:00:01Z", day))
		day++
		return s.due(q.ID)
	}
	resume := func() {
		t.Helper()
		if err := s.s.GraphQL.ResumeSchedule(t.Context(), s.actor, q.ID); err != nil {
			t.Fatal(err)
		}
	}
	s.save(SavedQuery{Name: "People", Query: "{ nobodyKnowsThis }"})
	for i := range badRunsPause {
		if got := next(); len(got) != i+1 || got[0].State != GraphQLDone || got[0].Errors == 0 {
			t.Fatalf("day %d: %+v", i, got)
		}
		if i < badRunsPause-1 && s.now(q.ID).Paused {
			t.Fatalf("paused after %d", i+1)
		}
	}
	paused("3 runs in a row went wrong. The last one: The server answered with")
	if got := next(); len(got) != badRunsPause {
		t.Fatal("asked while it was paused")
	}
	// One that goes well begins the count anew.
	resume()
	next()
	s.save(SavedQuery{Name: "People", Query: "{ users(first: 1) { email } }"})
	if got := next(); got[0].Errors != 0 || s.now(q.ID).row.Failures != 0 {
		t.Errorf("after one that went well: %+v", s.now(q.ID).row)
	}
	// A mutation is never asked.
	owner := s.actor
	owner.Role = Owner
	if err := s.s.GraphQL.SetLock(t.Context(), owner, s.conn, Support); err != nil {
		t.Fatal(err)
	}
	calls := len(next())
	s.save(SavedQuery{Name: "People", Query: `mutation { setSessionNote(recordingID: "x", sessionID: 1, note: "y") { note } }`})
	if got := next(); len(got) != calls {
		t.Fatal("a mutation was asked on a schedule")
	}
	paused("Only queries")
	var no *Error
	if err := s.s.GraphQL.ResumeSchedule(t.Context(), s.actor, q.ID); !errors.As(err, &no) || no.Kind != Conflict {
		t.Errorf("resumed: %v", err)
	}
	if _, problems, err := s.s.GraphQL.PutSchedule(t.Context(), s.actor, QuerySchedule{Saved: s.saved.ID, Every: EveryDay, Keep: 30}); err != nil || !strings.Contains(problems["query"], "Only queries") {
		t.Errorf("scheduled a mutation: %v, %v", problems, err)
	}
	s.save(SavedQuery{Name: "People", Query: "{ users(first: 1) { email } }"})
	resume()
	// The member leaves: nothing is asked for them any more.
	if _, err := s.store.Queue().Exec(`UPDATE memberships SET role = 'viewer' WHERE user_id = 1`); err != nil {
		t.Fatal(err)
	}
	if got := next(); len(got) != calls {
		t.Fatal("asked for a viewer")
	}
	paused("Ada, whose role does not allow that")
	if _, err := s.store.Queue().Exec(`DELETE FROM memberships WHERE user_id = 1`); err != nil {
		t.Fatal(err)
	}
	resume()
	if got := next(); len(got) != calls {
		t.Fatal("asked for somebody who left")
	}
	paused("Ada, who is not a member any more")
}

func TestTimesOfSchedules(t *testing.T) {
	at := func(text string) time.Time {
		out, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, tt := range []struct {
		every     Every
		minute    int
		now, want string
		when      string
	}{
		{EveryHour, 0, "2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z", "every hour, 0 minutes past"},
		{EveryHour, 59, "2026-11-23T10:58:59Z", "2026-11-23T09:59:00Z", "every hour, 59 minutes past"},
		{EveryDay, 61, "2026-03-01T00:30:00Z", "2026-02-28T01:01:00Z", "every day at 01:01 UTC"},
		{EveryWeek, 0, "2026-11-22T23:59:00Z", "2026-11-16T00:00:00Z", "every Monday at 00:00 UTC"}, // a Sunday
		{EveryWeek, 6*24*60 + 90, "2026-11-22T01:30:00Z", "2026-11-22T01:30:00Z", "every Sunday at 01:30 UTC"},
	} {
		s := QuerySchedule{Every: tt.every, Minute: tt.minute}
		if got := tt.every.slot(tt.minute, at(tt.now)); !got.Equal(at(tt.want)) || s.When() != tt.when {
			t.Errorf("%s %d at %s: %s, %s", tt.every, tt.minute, tt.now, got, s.When())
		}
	}
	values, problem := filledVariables(`{"a": "{{now}}", "b": ["{{date-1d}}", "{{ now - 2w }}"], "c": {"d": "{{ms-1h}}"}, "e": "{{now}} or so", "f": "{{later}}", "g": 1.50}`, at("2026-11-23T10:00:00Z"))
	if got := fmt.Sprint(values); problem != nil || got != "map[a:2026-11-23T10:00:00Z b:[2026-11-22 2026-11-09T10:00:00Z] c:map[d:1795424400000] e:{{now}} or so f:{{later}} g:1.50]" {
		t.Errorf("filled %s", got)
	}
}
