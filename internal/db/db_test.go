package db_test

import (
	"errors"
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
