package db_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
)

func TestOnlyOneFirstOwner(t *testing.T) {
	d := dbtest.New(t)
	u := db.User{Email: "A@example.com", Name: "A", PasswordHash: "x", CreatedAt: time.UnixMilli(1000)}
	if _, err := d.AddFirstOwnerUnscoped(t.Context(), u, "a@example.com", "acme", "Acme"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.AddFirstOwnerUnscoped(t.Context(), u, "b@example.com", "other", "Other"); !errors.Is(err, db.ErrExists) {
		t.Fatalf("a second first owner: %v, want ErrExists", err)
	}
	m, err := d.MembershipsUnscoped(t.Context(), 1)
	if err != nil || len(m) != 1 || m[0].Role != "owner" || m[0].Org.Slug != "acme" {
		t.Fatalf("memberships = %+v, %v", m, err)
	}
}

// Memberships are kept between two writes; who loses a role or leaves has lost
// it by the time the change is confirmed.
func TestAMembershipIsWhatTheLastChangeMadeIt(t *testing.T) {
	d := dbtest.New(t)
	u, err := d.AddFirstOwnerUnscoped(t.Context(), db.User{Email: "a@example.com", Name: "A", CreatedAt: time.UnixMilli(1000)}, "a@example.com", "acme", "Acme")
	if err != nil {
		t.Fatal(err)
	}
	roles := func() (out []string) {
		t.Helper()
		m, err := d.MembershipsUnscoped(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		for i := range m {
			out = append(out, m[i].Role)
			m[i].Role = "scribbled over" // by whoever asked
		}
		return out
	}
	change := db.MemberChange{User: u.ID, Role: "viewer", Actor: u.ID, At: time.UnixMilli(2000), Decide: func(db.Standing) (db.HistoryEntry, error) {
		return db.HistoryEntry{At: time.UnixMilli(2000), Action: "member.role", Subject: "A"}, nil
	}}
	org := d.Org(1)
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return nil }, "owner"},
		{func() error { return org.ChangeMember(t.Context(), change) }, "viewer"},
		{func() error { return org.RemoveMember(t.Context(), change) }, ""},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		for range 2 { // from the file, then from memory
			if got := strings.Join(roles(), " "); got != step.want {
				t.Fatalf("roles %q, want %q", got, step.want)
			}
		}
	}
}
