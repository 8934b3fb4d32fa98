package db_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sightline/internal/db"
)

// What a customer's page reads out of an index is what the sessions say, however
// odd, and goes on being so when they change.
func TestCustomersSessionsAreThoseOfTheirRows(t *testing.T) {
	s := newBudgetSite(t, 50, 0)
	at := func(minutes int) time.Time { return noon().Add(time.Duration(minutes) * time.Minute) }
	n := func(n int64) *int64 { return &n }
	ada := db.Session{UserIdentifier: "ada", UserEmail: "ada@example.com"}
	with := func(id string, change func(*db.Session)) db.Session {
		row := ada
		row.VendorID = id
		change(&row)
		return row
	}
	rows := []db.Session{
		with("whole", func(s *db.Session) {
			s.StartedAt, s.UpdatedAt, s.EndedAt, s.Status = at(0), at(7), at(9), "ended"
			s.LengthMS, s.PageViewCount, s.Browser, s.OS, s.Country = n(540_000), n(0), "Chrome", "macOS", "NZ"
		}),
		with("bare", func(s *db.Session) { s.StartedAt = at(20) }),
		with("odd", func(s *db.Session) {
			s.StartedAt, s.UpdatedAt, s.EndedAt, s.Status = at(30), at(-10), at(10), "ACTIVE"
			s.LengthMS, s.PageViewCount, s.Browser, s.Country = n(-5), n(1<<40), "Bröw\"ser\\\n🦊\x01", "']\""
		}),
		with("centuries", func(s *db.Session) { s.StartedAt, s.EndedAt = at(35), at(35).AddDate(7_000, 0, 0) }),
		with("elsewhere", func(s *db.Session) { s.StartedAt, s.Platform = at(40), "Smart TV" }),
	}
	put := func(rows []db.Session) []db.SessionID {
		t.Helper()
		ids, err := s.org.PutSessions(t.Context(), s.conn, rows, at(60), nil)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	ids := put(rows)
	check := func() {
		t.Helper()
		var want []db.Session
		for i := len(ids) - 1; i >= 0; i-- { // the newest first
			row, err := s.org.Session(t.Context(), ids[i])
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, row)
		}
		got, err := s.org.CustomerSessions(t.Context(), want[0].Customer, db.Moment{}, 50)
		if err != nil {
			t.Fatal(err)
		}
		left := cmpopts.IgnoreFields(db.Session{}, "VendorID", "UserIdentifier", "UserEmail", "WebURL", "ListedAt")
		if d := cmp.Diff(want, got, left, cmpopts.IgnoreUnexported(db.Session{})); d != "" {
			t.Errorf("the rows (-) and the customer's sessions (+):\n%s", d)
		}
	}
	check()

	rows[1].EndedAt, rows[1].OS, rows[1].Country, rows[1].LengthMS = at(26), "Linux", "CL", n(360_000)
	put(rows[1:2])
	check()
	detailed := rows[0]
	detailed.Rating, detailed.ErrorCount, detailed.PageViewCount, detailed.DetailedAt = "poor", n(2), n(3), at(61)
	if _, err := s.org.PutFullSessions(t.Context(), s.conn, []db.FullSession{{Session: detailed}}, at(61)); err != nil {
		t.Fatal(err)
	}
	check()
}
