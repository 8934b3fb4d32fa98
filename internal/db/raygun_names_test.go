package db_test

import (
	"fmt"
	"testing"

	"sightline/internal/db"
)

// A user who is named late has more sessions than are read at a time.
func TestAllSessionsOfAUserFindTheirCustomer(t *testing.T) {
	s := newBudgetSite(t, 50, 0)
	const many = 5_100
	rows := make([]db.Session, many)
	for i := range rows {
		rows[i] = db.Session{VendorID: fmt.Sprint(i), StartedAt: noon(), UserID: "u1", UserPartial: true}
	}
	if _, err := s.org.PutSessions(t.Context(), s.conn, rows, noon(), nil); err != nil {
		t.Fatal(err)
	}
	n, err := s.org.PutRaygunUsers(t.Context(), s.conn, []db.RaygunUser{{ID: "u1", Identifier: "ada", Email: "ada@example.com"}}, noon())
	if err != nil || n != many {
		t.Errorf("%d of %d sessions found their customer, %v", n, many, err)
	}
	if n, err = s.org.PutRaygunUsers(t.Context(), s.conn, []db.RaygunUser{{ID: "u1", Identifier: "ada", Email: "ada@example.com"}}, noon()); err != nil || n != 0 {
		t.Errorf("then %d once more, %v", n, err)
	}
}

func TestJoinThatWasCutOffGoesOn(t *testing.T) {
	s := newBudgetSite(t, 50, 0)
	var rows []db.Session
	for i := range 2_600 {
		rows = append(rows, db.Session{VendorID: fmt.Sprint(i), StartedAt: noon(), UserID: fmt.Sprint("u", i%3), UserPartial: true})
	}
	if _, err := s.org.PutSessions(t.Context(), s.conn, rows, noon(), nil); err != nil {
		t.Fatal(err)
	}
	waiting := func(known, unknown int) {
		t.Helper()
		k, u, err := s.org.WaitingUsers(t.Context(), s.conn, "")
		if err != nil || len(k) != known || len(u) != unknown {
			t.Fatalf("known %v, unknown %v, %v", k, u, err)
		}
	}
	waiting(0, 3)
	users := []db.RaygunUser{{ID: "u0", Email: "u0@example.com"}, {ID: "u1", Email: "u1@example.com"}}
	// As a kill would, after the first transaction.
	must(t, s.d, `CREATE TRIGGER cut BEFORE UPDATE OF joined ON raygun_users WHEN NEW.user_id = 'u1' BEGIN SELECT RAISE (ABORT, 'cut off'); END`)
	if _, err := s.org.PutRaygunUsers(t.Context(), s.conn, users, noon()); err == nil {
		t.Fatal("it was not cut off")
	}
	waiting(1, 1)
	must(t, s.d, `DROP TRIGGER cut`)
	n, err := s.org.JoinRaygunUsers(t.Context(), s.conn, noon())
	if err != nil || n == 0 {
		t.Errorf("%d, %v", n, err)
	}
	waiting(0, 1)
	// One that was stored after its user had become known.
	if _, err := s.org.PutSessions(t.Context(), s.conn, []db.Session{{VendorID: "late", StartedAt: noon(), UserID: "u1", UserPartial: true}}, noon(), nil); err != nil {
		t.Fatal(err)
	}
	waiting(1, 1)
	if err := s.org.RejoinRaygunUsers(t.Context(), s.conn, []string{"u1"}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.org.JoinRaygunUsers(t.Context(), s.conn, noon()); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	waiting(0, 1)
}

func must(t *testing.T, d *db.DB, query string) {
	t.Helper()
	if _, err := d.Queue().Exec(query); err != nil {
		t.Fatal(err)
	}
}
