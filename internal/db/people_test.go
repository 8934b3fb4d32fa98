package db

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestAPageIsStoredAsItsSessionsOneByOne stores lists of sessions of a few
// people who share ids, change their names' and emails' spelling and come in no
// order, and the same sessions one at a time: the customers, what they were seen
// with and the sessions must be the same.
func TestAPageIsStoredAsItsSessionsOneByOne(t *testing.T) {
	pick := func(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		atOnce, oneByOne := peopleDB(t), peopleDB(t)
		for page := range 3 {
			rows := make([]Session, 40)
			for i := range rows {
				s := &rows[i]
				s.VendorID = fmt.Sprint(r.IntN(60)) // some come again
				s.StartedAt = time.UnixMilli(int64(page*1000+r.IntN(3000))*1000 + int64(i))
				s.UserAnonymous, s.UserPartial = r.IntN(6) == 0, r.IntN(8) == 0
				s.UserEmail = pick(r, "", "", "ada@example.com", "Ada@Example.com", "bob@example.com", "cy@example.com", `odd"<\é@example.com`)
				s.UserName = pick(r, "", "Ada", "ADA", "Bob", `"Cy" <\>`)
				s.UserIdentifier = pick(r, "", "u1", "U1", "u2", "bob@example.com")
				s.UserID = pick(r, "", "0", "7", "8", "9")
				s.Country = pick(r, "NZ", "US")
			}
			if _, err := atOnce.Org(1).PutSessions(t.Context(), 1, rows, time.UnixMilli(9e9), nil); err != nil {
				t.Fatal(err)
			}
			for _, s := range rows {
				if _, err := oneByOne.Org(1).PutSessions(t.Context(), 1, []Session{s}, time.UnixMilli(9e9), nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, query := range []string{
			`SELECT id, name, email, first_seen, last_seen FROM customers ORDER BY id`,
			`SELECT id, customer_id, kind, connection_id, value, value_norm, first_seen, last_seen FROM identities ORDER BY id`,
			`SELECT id, vendor_id, customer_id, started_at, country FROM sessions ORDER BY id`,
		} {
			got, want := texts(t, atOnce.w, query), texts(t, oneByOne.w, query)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d: %s\nat once:    %v\none by one: %v", seed, query, got, want)
			}
		}
		if got, want := rollups(t, atOnce), rollups(t, oneByOne); !slices.Equal(got, want) {
			t.Fatalf("seed %d: rollups at once %v\none by one %v", seed, got, want)
		}
	}
}

func peopleDB(t *testing.T) *DB {
	t.Helper()
	d, err := Open(t.Context(), filepath.Join(t.TempDir(), "sightline.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if _, err := d.w.Exec(`
		INSERT INTO organizations (id, slug, name, created_at) VALUES (1, 'a', 'A', 1);
		INSERT INTO connections (id, org_id, vendor, name, created_at) VALUES (1, 1, 'raygun', 'Web', 1)`); err != nil {
		t.Fatal(err)
	}
	return d
}
