package services

import (
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
)

// TestBesideSaysWhatTheMirrorHoldsOfAMinute knows a session with pages by time,
// one whose pages have none and one without its detail, on two days that the
// mirror holds.
func TestBesideSaysWhatTheMirrorHoldsOfAMinute(t *testing.T) {
	store := dbtest.New(t)
	day := time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC)
	now := day.AddDate(0, 0, 5).Add(12 * time.Hour)
	if _, err := store.Queue().Exec(`
		INSERT INTO organizations (id, slug, name, created_at) VALUES (1, 'a', 'A', 1);
		INSERT INTO connections (id, org_id, vendor, name, created_at) VALUES (1, 1, 'raygun', 'Web', 1)`); err != nil {
		t.Fatal(err)
	}
	for d := range 3 {
		if _, err := store.Queue().Exec(`INSERT INTO sync_days (connection_id, day, org_id, from_at, to_at, walked_at) VALUES (1, ?1, 1, ?1 * 86400000, (?1 + 1) * 86400000, 1)`, db.DayOf(day)+db.Day(d)); err != nil {
			t.Fatal(err)
		}
	}
	load := int64(900)
	session := func(id string, at time.Time, length time.Duration) Session {
		ms := length.Milliseconds()
		return Session{VendorID: id, StartedAt: at, EndedAt: at.Add(length), LengthMS: &ms, UserEmail: "ada@example.com", UserIdentifier: "ada@example.com", Status: "ended"}
	}
	timed, untimed, bare := day.Add(9*time.Hour), day.Add(11*time.Hour), day.Add(13*time.Hour)
	o := store.Org(1)
	_, err := o.PutFullSessions(t.Context(), 1, []db.FullSession{
		{Session: session("timed", timed, time.Hour), Views: []PageView{
			{URL: "/a", ViewedAt: timed}, {URL: "/b", ViewedAt: timed.Add(10 * time.Minute), LoadMS: &load}, {URL: "/c", ViewedAt: timed.Add(30 * time.Minute)},
		}, Errors: []SessionError{{Title: "Boom", OccurredAt: timed.Add(11 * time.Minute)}}},
		{Session: session("untimed", untimed, time.Hour), Views: []PageView{{URL: "/d"}}, Errors: []SessionError{{Title: "Bang"}}},
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.PutSessions(t.Context(), 1, []Session{session("bare", bare, time.Minute)}, now, nil); err != nil {
		t.Fatal(err)
	}
	rows, err := o.SessionsByVendorID(t.Context(), "timed")
	if err != nil || len(rows) != 1 || rows[0].Customer == 0 {
		t.Fatal(rows, err)
	}
	c := NewConnections(store, nil, Vendors{}, nil, func() time.Time { return now })
	s := &Sessions{db: store, connections: c, now: func() time.Time { return now }, syncs: &Syncs{db: store, connections: c, now: func() time.Time { return now }}}
	look := func(customer CustomerID, at time.Time) BesideMinute {
		t.Helper()
		b, err := s.Beside(t.Context(), 1, customer, []RecordingLink{{At: at, Text: "x"}, {Text: "without a moment"}})
		if err != nil || len(b.Minutes) != 1 || !b.Connected {
			t.Fatalf("%+v, %v", b, err)
		}
		return b.Minutes[0]
	}
	ada := rows[0].Customer
	m := look(ada, timed.Add(11*time.Minute+20*time.Second))
	if len(m.Sessions) != 1 || len(m.Sessions[0].Pages) != 2 || m.Sessions[0].Pages[0].URL != "/a" || *m.Sessions[0].Pages[1].LoadMS != 900 || len(m.Sessions[0].Errors) != 1 {
		t.Errorf("a minute with a page and an error: %+v", m)
	}
	if m := look(ada, timed.Add(20*time.Minute)); len(m.Sessions) != 1 || len(m.Sessions[0].Pages) != 1 || m.Sessions[0].Pages[0].URL != "/b" || len(m.Sessions[0].Errors) != 0 {
		t.Errorf("a minute within a page: %+v", m)
	}
	if m := look(ada, untimed.Add(time.Minute)); len(m.Sessions) != 1 || m.Sessions[0].Timed || m.Sessions[0].Untimed != 1 {
		t.Errorf("pages without times: %+v", m)
	}
	if m := look(ada, bare.Add(2*time.Minute)); len(m.Sessions) != 1 || !m.Sessions[0].Session.DetailedAt.IsZero() {
		t.Errorf("a session without its detail, a minute after its end: %+v", m)
	}
	if m := look(ada, bare.Add(5*time.Minute)); len(m.Sessions) != 0 || len(m.Gaps) != 0 {
		t.Errorf("a minute without a session: %+v", m)
	}
	if m := look(ada+1, timed.Add(time.Minute)); len(m.Sessions) != 0 {
		t.Errorf("somebody else's session: %+v", m)
	}
	for name, tt := range map[string]struct {
		at    time.Time
		state DayState
	}{"a day that is missing": {day.AddDate(0, 0, -1), DayMissing}, "a day long ago": {day.AddDate(-5, 0, 0), DayGone}, "beyond retention": {day.AddDate(0, 0, -90), DayGone}} {
		if m := look(ada, tt.at.Add(time.Hour)); len(m.Gaps) != 1 || m.Gaps[0].State != tt.state || m.Gaps[0].Connection.Name != "Web" {
			t.Errorf("%s: %+v", name, m.Gaps)
		}
	}
	if m := look(ada, now.AddDate(1, 0, 0)); len(m.Gaps) != 0 {
		t.Errorf("a day to come: %+v", m.Gaps)
	}
}

// TestBesideTellsHowLongASessionWentOnFromItsEnd knows a session of which the
// vendor told the end and no length.
func TestBesideTellsHowLongASessionWentOnFromItsEnd(t *testing.T) {
	store := dbtest.New(t)
	began := time.Date(2026, 11, 10, 9, 0, 0, 0, time.UTC)
	now := func() time.Time { return began.AddDate(0, 0, 1) }
	if _, err := store.Queue().Exec(`
		INSERT INTO organizations (id, slug, name, created_at) VALUES (1, 'a', 'A', 1);
		INSERT INTO connections (id, org_id, vendor, name, created_at) VALUES (1, 1, 'raygun', 'Web', 1)`); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Org(1).PutSessions(t.Context(), 1, []Session{
		{VendorID: "one", StartedAt: began, EndedAt: began.Add(time.Hour), UserEmail: "ada@example.com", Status: "ended"},
	}, now(), nil); err != nil {
		t.Fatal(err)
	}
	rows, err := store.Org(1).SessionsByVendorID(t.Context(), "one")
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	c := NewConnections(store, nil, Vendors{}, nil, now)
	s := &Sessions{db: store, connections: c, now: now, syncs: &Syncs{db: store, connections: c, now: now}}
	b, err := s.Beside(t.Context(), 1, rows[0].Customer, []RecordingLink{{At: began.Add(30 * time.Minute)}})
	if err != nil || len(b.Minutes) != 1 || len(b.Minutes[0].Sessions) != 1 {
		t.Errorf("in the middle of a session: %+v, %v", b, err)
	}
}
