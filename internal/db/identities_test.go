package db_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
)

func testOrg(t *testing.T, d *db.DB, slug string) db.Org {
	t.Helper()
	o, err := d.AddOrgUnscoped(t.Context(), slug, slug, time.UnixMilli(1))
	if err != nil {
		t.Fatal(err)
	}
	return d.Org(o.ID)
}

func resolve(t *testing.T, o db.Org, s db.Sighting) db.CustomerID {
	t.Helper()
	id, err := o.Resolve(t.Context(), s)
	if err != nil {
		t.Fatalf("resolve %+v: %v", s, err)
	}
	return id
}

func at(n int64) time.Time { return time.UnixMilli(n).UTC() }

func TestResolveJoinsByEmailFirstAndByIDElse(t *testing.T) {
	d := dbtest.New(t)
	o := testOrg(t, d, "acme")
	ada := resolve(t, o, db.Sighting{Connection: 1, Email: "Ada@Example.com", RaygunIdentifier: "u-1", SeenAt: at(10)})
	tests := []struct {
		name string
		s    db.Sighting
		same bool
	}{
		{"same email, other case and connection", db.Sighting{Connection: 2, Email: " ada@example.COM ", SeenAt: at(20)}, true},
		{"no email, same id, same connection", db.Sighting{Connection: 1, RaygunIdentifier: "u-1", SeenAt: at(20)}, true},
		{"no email, same id, other connection", db.Sighting{Connection: 2, RaygunIdentifier: "u-1", SeenAt: at(20)}, false},
		{"no email, id of other case", db.Sighting{Connection: 1, RaygunIdentifier: "U-1", SeenAt: at(20)}, false},
		{"identifier that is the email", db.Sighting{Connection: 3, RaygunIdentifier: "ADA@example.com", SeenAt: at(20)}, true},
		{"LogRocket id that is the email", db.Sighting{Connection: 4, LogRocketUser: "ada@example.com", SeenAt: at(20)}, true},
		{"id with another email", db.Sighting{Connection: 1, RaygunIdentifier: "u-1", Email: "bob@example.com", SeenAt: at(20)}, false},
		{"same id as another kind", db.Sighting{Connection: 1, LogRocketUser: "u-1", SeenAt: at(20)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := resolve(t, o, tt.s); (got == ada) != tt.same || got == 0 {
				t.Errorf("customer %d, Ada is %d, want same: %v", got, ada, tt.same)
			}
		})
	}
	if stranger := resolve(t, testOrg(t, d, "other"), db.Sighting{Connection: 1, Email: "ada@example.com", SeenAt: at(1)}); stranger == ada {
		t.Error("another organization got our customer")
	}
}

func TestResolveNamesNobodyForAnonymousVisits(t *testing.T) {
	o := testOrg(t, dbtest.New(t), "acme")
	for _, s := range []db.Sighting{
		{Connection: 1, Anonymous: true, RaygunUser: "7", RaygunIdentifier: "3f1c", SeenAt: at(1)},
		{Connection: 1, Name: "Somebody", SeenAt: at(1)},
		{Connection: 1, RaygunUser: "0", SeenAt: at(1)},
		{Connection: 1, Email: " \x00 ", SeenAt: at(1)},
	} {
		if got := resolve(t, o, s); got != 0 {
			t.Errorf("%+v became customer %d", s, got)
		}
	}
	if got := resolve(t, o, db.Sighting{Connection: 1, Anonymous: true, Email: "a@example.com", SeenAt: at(1)}); got == 0 {
		t.Error("an email makes a customer, whatever the flag says")
	}
}

func TestResolveGivesTheFirstEmailToTheCustomerWithoutOne(t *testing.T) {
	o := testOrg(t, dbtest.New(t), "acme")
	c := resolve(t, o, db.Sighting{Connection: 1, RaygunUser: "5", Name: "Old", SeenAt: at(10)})
	if got := resolve(t, o, db.Sighting{Connection: 1, RaygunUser: "5", Email: "ada@example.com", Name: "Ada", SeenAt: at(20)}); got != c {
		t.Fatalf("customer %d, want %d", got, c)
	}
	// Sessions arrive in any order: an older one does not rename anybody.
	resolve(t, o, db.Sighting{Connection: 1, RaygunUser: "5", Name: "Older", SeenAt: at(5)})
	// What a member writes makes nobody seen.
	resolve(t, o, db.Sighting{Email: "ada@example.com"})
	got, err := o.Customer(t.Context(), c)
	if err != nil || got.Email != "ada@example.com" || got.Name != "Ada" || got.FirstSeen != at(5) || got.LastSeen != at(20) {
		t.Errorf("customer = %+v, %v", got, err)
	}
	ids, err := o.Identities(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, v := range ids {
		said = append(said, fmt.Sprintf("%s %s %d-%d", v.Kind, v.Value, v.FirstSeen.UnixMilli(), v.LastSeen.UnixMilli()))
	}
	want := "email ada@example.com 20-20, name Ada 20-20, name Old 10-10, name Older 5-5, raygun_user 5 5-20"
	if strings.Join(said, ", ") != want {
		t.Errorf("identities = %s\nwant %s", strings.Join(said, ", "), want)
	}
}

func TestResolveTakesHostileText(t *testing.T) {
	o := testOrg(t, dbtest.New(t), "acme")
	long := strings.Repeat("ü", 5000)
	for _, id := range []string{"a\x00b", "'; DROP TABLE customers; --", "%_*\"", "\u202eabc", "\xff\xfe", long, long + "2", "日本語"} {
		if a, b := resolve(t, o, db.Sighting{Connection: 1, RaygunIdentifier: id, SeenAt: at(1)}), resolve(t, o, db.Sighting{Connection: 1, RaygunIdentifier: id, SeenAt: at(2)}); a != b {
			t.Errorf("%.20q became customers %d and %d", id, a, b)
		}
	}
	if resolve(t, o, db.Sighting{Connection: 1, RaygunIdentifier: long}) == resolve(t, o, db.Sighting{Connection: 1, RaygunIdentifier: long + "2"}) {
		t.Error("two long ids became one person")
	}
}
