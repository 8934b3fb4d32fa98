package db

import (
	"errors"
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

// Who asks is kept between two writes too; a browser that was seen again, was
// idle for too long, has expired or was signed out is what the file says.
func TestAKeptBrowserSessionIsWhatTheFileSays(t *testing.T) {
	d, _ := openTwoOrgs(t)
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Millisecond)
	user, err := d.AddUserUnscoped(ctx, User{Email: "ada@example.com", PasswordHash: "hash", CreatedAt: now}, "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	token := []byte{0, 0xff, '\'', 'x'}
	if err := d.AddWebSessionUnscoped(ctx, token, WebSession{User: user.ID, Data: "{}", CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	find := func(at time.Time) (WebSession, error) {
		t.Helper()
		return d.WebSessionUnscoped(ctx, token, at, at.Add(-30*time.Minute))
	}
	if s, err := find(now); err != nil || s.User != user.ID || !s.SeenAt.Equal(now) {
		t.Fatalf("session is %+v (%v)", s, err)
	}
	asked := d.r.asked.Load()
	if _, err := find(now); err != nil || d.r.asked.Load() != asked {
		t.Errorf("a session that is kept is read again (%v)", err)
	}
	if _, err := find(now.Add(30 * time.Minute)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session that was idle for too long is %v", err)
	}
	seen := now.Add(29 * time.Minute)
	if err := d.TouchWebSessionUnscoped(ctx, token, seen); err != nil {
		t.Fatal(err)
	}
	if s, err := find(now.Add(40 * time.Minute)); err != nil || !s.SeenAt.Equal(seen) {
		t.Errorf("after it was seen again the session is %+v (%v)", s, err)
	}
	if err := d.TouchWebSessionUnscoped(ctx, token, now.Add(59*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := find(now.Add(time.Hour)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session that has expired is %v", err)
	}
	if _, err := d.WebSessionUnscoped(ctx, []byte("another"), now, now.Add(-time.Hour)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session that never was is %v", err)
	}
	if err := d.DeleteWebSessionUnscoped(ctx, token); err != nil {
		t.Fatal(err)
	}
	if _, err := find(seen); !errors.Is(err, ErrNotFound) {
		t.Errorf("a browser that was signed out is %v", err)
	}
}

// A look at a customer is kept until anything about them changes, and a visit of
// one's own, which makes no new generation, is told as well.
func TestAKeptCustomerTellsOfTheVisit(t *testing.T) {
	d, orgs := openTwoOrgs(t)
	ctx, at := t.Context(), time.UnixMilli(1_790_000_000_000).UTC()
	ada, err := d.AddUserUnscoped(ctx, User{Email: "ada@example.com", CreatedAt: at}, "x")
	if err != nil {
		t.Fatal(err)
	}
	user := ada.ID
	id, err := orgs[0].Resolve(ctx, Sighting{Email: "bea@example.com", SeenAt: at})
	if err != nil {
		t.Fatal(err)
	}
	look := func() Glance {
		t.Helper()
		for range 2 { // from the file, then from memory
			if _, err := orgs[0].Glance(ctx, user, id); err != nil {
				t.Fatal(err)
			}
		}
		g, err := orgs[0].Glance(ctx, user, id)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := look()
	if !g.ViewedAt.IsZero() || g.Pinned || len(g.Identities) != 1 {
		t.Fatalf("at first: %+v", g)
	}
	generation := d.Generation()
	if err := orgs[0].View(ctx, user, id, at); err != nil {
		t.Fatal(err)
	}
	if got := look().ViewedAt; !got.Equal(at) || d.Generation() != generation {
		t.Errorf("looked at %v, want %v; generation %d after %d", got, at, d.Generation(), generation)
	}
	if err := orgs[0].Pin(ctx, user, id, at); err != nil {
		t.Fatal(err)
	}
	if !look().Pinned {
		t.Error("a pin is not told")
	}
	rows := d.answers.rows
	for range 10 {
		if err := orgs[0].View(ctx, user, id, at); err != nil {
			t.Fatal(err)
		}
		look()
	}
	if d.answers.rows != rows {
		t.Errorf("what is kept counts as %d rows after ten visits, %d before", d.answers.rows, rows)
	}
	if g, err := orgs[1].Glance(ctx, user, id); !errors.Is(err, ErrNotFound) {
		t.Errorf("another organization sees %+v, %v", g, err)
	}
}
