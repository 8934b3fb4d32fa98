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
	ada := db.Session{UserIdentifier: "ada\"\\", UserEmail: "ada@example.com", UserName: "Ada\u2028 [\"", UserURL: "https://raygun.example/ada"}
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
		with("elsewhere", func(s *db.Session) {
			s.StartedAt, s.Platform, s.WebURL = at(40), "Smart TV", "https://raygun.example/1"
		}),
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
		left := cmpopts.IgnoreFields(db.Session{}, "VendorID", "UserIdentifier", "UserEmail", "UserName", "UserURL", "WebURL", "ListedAt")
		if d := cmp.Diff(want, got, left, cmpopts.IgnoreUnexported(db.Session{})); d != "" {
			t.Errorf("the rows (-) and the customer's sessions (+):\n%s", d)
		}
		// A look at the customer has them too, with more of the first.
		g, err := s.org.Glance(t.Context(), 0, want[0].Customer)
		if err != nil {
			t.Fatal(err)
		}
		got[0].UserURL, got[0].WebURL, got[0].ListedAt = want[0].UserURL, want[0].WebURL, want[0].ListedAt
		if d := cmp.Diff(got, g.Newest, cmpopts.IgnoreUnexported(db.Session{})); d != "" {
			t.Errorf("the customer's sessions (-) and their newest (+):\n%s", d)
		}
		ids, err := s.org.Identities(t.Context(), want[0].Customer)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(ids, g.Identities); d != "" || len(ids) != 3 || g.Customer.Email != "ada@example.com" {
			t.Errorf("%+v, with identities as listed (-) and as seen (+):\n%s", g.Customer, d)
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
