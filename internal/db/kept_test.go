package db

import (
	"path/filepath"
	"testing"
	"time"
)

func openTwoOrgs(t *testing.T) (*DB, [2]Org) {
	t.Helper()
	d, err := Open(t.Context(), filepath.Join(t.TempDir(), "sightline.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	var orgs [2]Org
	for i, slug := range []string{"acme", "beta"} {
		o, err := d.AddOrgUnscoped(t.Context(), slug, slug, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		orgs[i] = d.Org(o.ID)
	}
	return d, orgs
}

func addConnection(t *testing.T, o Org, name string) Connection {
	t.Helper()
	c, err := o.AddConnection(t.Context(), Connection{Vendor: "raygun", Name: name, CreatedAt: time.Now()},
		func(ConnectionID) (map[string][]byte, error) { return nil, nil }, HistoryEntry{At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What is kept in memory is what the file says: after every write, for each
// organization its own, and whatever a caller does to its copy.
func TestKeptReadsTellWhatTheFileSays(t *testing.T) {
	d, orgs := openTwoOrgs(t)
	ctx := t.Context()
	names := func(o Org) (out []string) {
		t.Helper()
		conns, err := o.Connections(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range conns {
			out = append(out, c.Name)
			conns[i].Name = "scribbled over" // by whoever asked
		}
		return out
	}
	is := func(o Org, want ...string) {
		t.Helper()
		for range 2 { // from the file, then from memory
			got := names(o)
			if len(got) != len(want) {
				t.Fatalf("connections of organization %d are %q, want %q", o.ID(), got, want)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("connections of organization %d are %q, want %q", o.ID(), got, want)
				}
			}
		}
	}
	is(orgs[0])
	shop := addConnection(t, orgs[0], "Shop")
	is(orgs[0], "Shop")
	is(orgs[1])
	addConnection(t, orgs[1], "Blog")
	is(orgs[0], "Shop")
	is(orgs[1], "Blog")
	if err := orgs[0].RenameConnection(ctx, shop.ID, "Store", HistoryEntry{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	is(orgs[0], "Store")
	if c, err := orgs[0].Connection(ctx, shop.ID); err != nil || c.Name != "Store" {
		t.Errorf("connection is %q (%v), want Store", c.Name, err)
	}
	if c, err := orgs[1].Connection(ctx, shop.ID); err == nil {
		t.Errorf("another organization reads connection %q", c.Name)
	}
	if d.answers.rows == 0 {
		t.Error("nothing was kept")
	}
}

// However much is asked between two writes, the memory for it is bounded.
func TestKeptReadsAreBounded(t *testing.T) {
	d, orgs := openTwoOrgs(t)
	generation := d.Generation()
	for i := range 3 * maxKept {
		d.answers.put(generation, keptQuestion{org: orgs[0].ID(), query: "q", args: [8]any{i}}, keptAnswer{answer: i}, 1)
		if n := len(d.answers.answers); n > maxKept || d.answers.rows > maxKept {
			t.Fatalf("%d answers of %d rows are kept", n, d.answers.rows)
		}
	}
	d.answers.put(generation, keptQuestion{query: "large"}, keptAnswer{}, maxKept+1)
	if _, ok := d.answers.get(generation, keptQuestion{query: "large"}); ok {
		t.Error("an answer larger than all room is kept")
	}
}

// An answer that was read while somebody wrote is not kept beyond the write.
func TestKeptReadsForgetWhatAWriteOvertook(t *testing.T) {
	d, orgs := openTwoOrgs(t)
	k := orgs[0].kept()
	read := func(then func()) []string {
		out, err := k.answer("q", nil, false, func() (any, int, error) {
			then()
			return []string{"old"}, 1, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out.([]string)
	}
	read(func() { addConnection(t, orgs[0], "Shop") })
	asked := false
	read(func() { asked = true })
	if !asked {
		t.Errorf("generation %d answers what was read before its write", d.Generation())
	}
	asked = false
	if read(func() { asked = true }); asked {
		t.Error("what was read since is not kept")
	}
}
