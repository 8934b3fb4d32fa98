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
