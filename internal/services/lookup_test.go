package services

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
)

func (a *askSite) saw(t *testing.T, s db.Sighting) CustomerID {
	t.Helper()
	s.SeenAt = time.UnixMilli(1000)
	id, err := a.store.Org(1).Resolve(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestLookupGoesStraightToAnExactEmailOrID(t *testing.T) {
	t.Parallel()
	site := newAskSite(t)
	ada := site.saw(t, db.Sighting{Connection: site.conn, Email: "Ada.Lovelace@example.com", Name: "Ada Lovelace", RaygunUser: "4711", RaygunIdentifier: "u-7"})
	bob := site.saw(t, db.Sighting{Connection: site.conn, Email: "bob@example.com", Name: "Bob", RaygunIdentifier: "shared"})
	site.saw(t, db.Sighting{Connection: site.conn, Email: "carol@example.com", Name: "Ada", RaygunIdentifier: "shared"})
	upper := site.saw(t, db.Sighting{Connection: site.conn, Email: "eve@example.com", Name: `Eve "the Rock" E.`, LogRocketUser: "U-7"})
	ids, err := site.store.Org(1).PutSessions(t.Context(), site.conn, []db.Session{
		{VendorID: "9007199254740993", UserEmail: "bob@example.com", StartedAt: time.UnixMilli(5)},
		{VendorID: "12", UserAnonymous: true, StartedAt: time.UnixMilli(5)},
	}, time.UnixMilli(9), nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		q       string
		only    CustomerID
		reasons string
	}{
		{" ADA.lovelace@EXAMPLE.com\t", ada, ""},
		{"4711", ada, ""},
		{"u-7", ada, ""},
		{"U-7", upper, ""},
		{"9007199254740993", bob, ""},
		{"https://app.logrocket.com/acme/web/sessions?u=U-7", upper, ""},
		{"https://app.logrocket.com/acme/web/sessions?e=bob%40example.com", bob, ""},
		{"shared", 0, "Raygun identifier is exactly “shared” · Raygun identifier is exactly “shared”"},
		{"ada", 0, "Name is exactly “Ada” · Name begins with “ada”"},
		{"lovelace@", 0, "Email contains “lovelace@”"},
		{"LoveLace", 0, "Name contains “LoveLace”"},
		{"bo", 0, "Name begins with “bo”"},
		{`"THE rock"`, 0, `Name contains “"THE rock"”`},
		{`the"rock`, 0, ""},
		{"12", 0, ""},
		{"", 0, ""},
		{"nobody@example.com", 0, ""},
		{"https://app.logrocket.com/acme/web/s/6-01890a5d-ac96-774b-bcce-b302099a8057/0", 0, ""},
		// None of these is an operator anywhere.
		{"%", 0, ""}, {"_____", 0, ""}, {`"`, 0, ""}, {`ada" OR "bob`, 0, ""}, {"ada*", 0, ""}, {"NEAR(ada bob)", 0, ""},
		{"value_norm:ada", 0, ""}, {"'; DROP TABLE customers; --", 0, ""}, {"\x00\x00\x00", 0, ""}, {"\u202eada\u202c", 0, ""},
		{"ÄÖÜ", 0, ""}, {"日本", 0, ""}, {"\xff\xfe\xfd", 0, ""}, {"🦊🦊🦊", 0, ""},
		{strings.Repeat("a", 10_000), 0, ""}, {strings.Repeat("ü", 1024), 0, ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%.40q", tt.q), func(t *testing.T) {
			f, err := site.s.Customers.Lookup(t.Context(), 1, tt.q)
			if err != nil {
				t.Fatal(err)
			}
			var reasons []string
			for _, h := range f.Hits {
				reasons = append(reasons, h.Reason)
			}
			if f.Only != tt.only || (tt.only == 0 && strings.Join(reasons, " · ") != tt.reasons) {
				t.Errorf("only %d, want %d; hits %q, want %q", f.Only, tt.only, strings.Join(reasons, " · "), tt.reasons)
			}
		})
	}
	f, err := site.s.Customers.Lookup(t.Context(), 1, "12")
	if err != nil || len(f.Sessions) != 1 || f.Sessions[0].ID != ids[1] {
		t.Errorf("an anonymous session is not found by its id: %+v, %v", f, err)
	}
	if f, err = site.s.Customers.Lookup(t.Context(), 1, strings.Repeat("x", 10_000)); err != nil || f.Problem == "" || len(f.Query) > 100 {
		t.Errorf("10 KB: %+v, %v", f, err)
	}
	if f, err = site.s.Customers.Lookup(t.Context(), 2, "bob@example.com"); err != nil || len(f.Hits) != 0 || f.Only != 0 {
		t.Errorf("a stranger found %+v, %v", f, err)
	}
}

func TestLookupNamesSoManyAndSaysThatThereAreMore(t *testing.T) {
	t.Parallel()
	site := newAskSite(t)
	for i := range 60 {
		site.saw(t, db.Sighting{Connection: site.conn, Email: fmt.Sprintf("user%02d@example.com", i)})
	}
	f, err := site.s.Customers.Lookup(t.Context(), 1, "user")
	if err != nil || len(f.Hits) != MaxHits || !f.More {
		t.Errorf("%d hits, more %v, %v", len(f.Hits), f.More, err)
	}
	if f, err = site.s.Customers.LookupUpTo(t.Context(), 1, "user", MoreHits); err != nil || len(f.Hits) != 60 || f.More {
		t.Errorf("%d of 60 hits where all are wanted, more %v, %v", len(f.Hits), f.More, err)
	}
}

func TestCustomersAreListedByWhenTheyWereSeen(t *testing.T) {
	t.Parallel()
	site := newAskSite(t)
	o := site.store.Org(1)
	want := map[CustomerID]bool{}
	for i := range 120 {
		s := db.Sighting{Connection: site.conn, Email: fmt.Sprintf("user%d@example.com", i), SeenAt: time.UnixMilli(int64(1000 + i/9))}
		if i%3 == 0 {
			s.SeenAt = time.Time{} // never seen by a vendor
		}
		id, err := o.Resolve(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		want[id] = true
	}
	var got []Customer
	var after Moment
	for {
		l, err := site.s.Customers.List(t.Context(), 1, after)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, l.Customers...)
		if !l.More {
			break
		}
		after = l.Next
	}
	for i, c := range got {
		if !want[c.ID] {
			t.Errorf("customer %d twice", c.ID)
		}
		delete(want, c.ID)
		if i > 0 && (got[i-1].LastSeen.Before(c.LastSeen) || got[i-1].LastSeen.Equal(c.LastSeen) && got[i-1].ID < c.ID) {
			t.Errorf("customer %d is out of order", c.ID)
		}
	}
	if len(want) > 0 {
		t.Errorf("%d customers were not listed", len(want))
	}
}

func TestPinsAndRecentCustomersAreTheMembersOwn(t *testing.T) {
	t.Parallel()
	site := newAskSite(t)
	ada := site.saw(t, db.Sighting{Connection: site.conn, Email: "ada@example.com"})
	bob := site.saw(t, db.Sighting{Connection: site.conn, Email: "bob@example.com"})
	cs := site.s.Customers
	for _, id := range []CustomerID{ada, bob, ada} {
		if _, err := cs.View(t.Context(), site.actor, id); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := cs.SetPin(t.Context(), site.actor, bob, true); err != nil {
			t.Fatal(err)
		}
	}
	recent, err := cs.Recent(t.Context(), site.actor)
	if err != nil || len(recent) != 2 {
		t.Errorf("recent = %+v, %v", recent, err)
	}
	pinned, err := cs.Pinned(t.Context(), site.actor)
	if err != nil || len(pinned) != 1 || pinned[0].ID != bob {
		t.Errorf("pinned = %+v, %v", pinned, err)
	}
	stranger := Actor{Org: 2, User: 1}
	if err := cs.SetPin(t.Context(), stranger, bob, true); err == nil {
		t.Error("a customer of another organization was pinned")
	}
	if err := cs.SetPin(t.Context(), site.actor, bob, false); err != nil {
		t.Fatal(err)
	}
	if pinned, err = cs.Pinned(t.Context(), site.actor); err != nil || len(pinned) != 0 {
		t.Errorf("pinned = %+v, %v", pinned, err)
	}
}

// A customer's page knows from it whether there are older sessions.
func TestALookHoldsOneSessionMoreThanAPage(t *testing.T) {
	if db.GlanceSessions != PageSize+1 {
		t.Errorf("a look holds %d sessions, a page shows %d", db.GlanceSessions, PageSize)
	}
}

func TestTimelineMergesKindsAndLosesNothingBetweenPages(t *testing.T) {
	// At one moment there are 43 sessions and 10 highlights. With 130 sessions
	// the first page ends among the highlights, with 100 among the sessions.
	for _, n := range []int{100, 130} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { testTimeline(t, n) })
	}
}

func testTimeline(t *testing.T, sessions int) {
	site := newAskSite(t)
	o := site.store.Org(1)
	var rows []db.Session
	for i := range sessions {
		rows = append(rows, db.Session{VendorID: fmt.Sprint(i), UserEmail: "ada@example.com", StartedAt: time.UnixMilli(int64(1000 + i/43))})
	}
	if _, err := o.PutSessions(t.Context(), site.conn, rows, time.UnixMilli(5000), nil); err != nil {
		t.Fatal(err)
	}
	ada := site.saw(t, db.Sighting{Connection: site.conn, Email: "ada@example.com"})
	for i := range 20 {
		// Written by hand: what a highlight is made of is no concern of a timeline.
		_, err := site.store.Queue().ExecContext(t.Context(), `
			INSERT INTO highlights (org_id, connection_id, customer_id, subject_kind, subject, subject_norm, form_token, state, created_at)
			VALUES (1, ?, ?, 'email', 'ada@example.com', 'ada@example.com', ?, 'ready', ?)`, site.conn, ada, fmt.Sprint(i), 1000+i/10)
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	var last TimelineItem
	var after TimelineCursor
	pages := 0
	for {
		tl, err := timelineOf(t, site.s.Customers, ada, "", after)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, item := range tl.Items {
			key := fmt.Sprint(item.Kind, item.ID)
			if seen[key] || (!last.At.IsZero() && item.At.After(last.At)) {
				t.Errorf("%s twice or out of order", key)
			}
			seen[key], last = true, item
		}
		if !tl.More {
			break
		}
		after = tl.Next
	}
	only, err := timelineOf(t, site.s.Customers, ada, TimelineOfHighlight, TimelineCursor{})
	if err != nil || len(only.Items) != 20 || only.More {
		t.Errorf("%d highlights alone, %v", len(only.Items), err)
	}
	if len(seen) != sessions+20 || pages != 3 {
		t.Errorf("%d items on %d pages, want %d on 3", len(seen), pages, sessions+20)
	}
}

// A customer of two connections has the links of both, and what is kept of them in
// memory for others stays as it was read.
func TestACustomerHasTheLinksOfEachConnection(t *testing.T) {
	site := newAskSite(t)
	o := site.store.Org(1)
	blog, err := o.AddConnection(t.Context(), db.Connection{Vendor: "raygun", Name: "Blog", CreatedAt: time.UnixMilli(1)},
		func(ConnectionID) (map[string][]byte, error) { return nil, nil }, db.HistoryEntry{At: time.UnixMilli(1)})
	if err != nil {
		t.Fatal(err)
	}
	for conn, row := range map[ConnectionID]db.Session{
		site.conn: {VendorID: "1", UserEmail: "ada@example.com", UserURL: "https://raygun.example/shop/ada", StartedAt: time.UnixMilli(3000)},
		blog.ID:   {VendorID: "2", UserEmail: "ada@example.com", UserURL: "https://raygun.example/blog/ada", StartedAt: time.UnixMilli(2000)},
	} {
		if _, err := o.PutSessions(t.Context(), conn, []db.Session{row}, time.UnixMilli(5000), nil); err != nil {
			t.Fatal(err)
		}
	}
	ada := site.saw(t, db.Sighting{Connection: site.conn, Email: "ada@example.com"})
	for range 2 {
		p, err := site.s.Customers.View(t.Context(), Actor{Org: 1}, ada)
		if err != nil {
			t.Fatal(err)
		}
		var urls []string
		for _, l := range p.Links {
			urls = append(urls, l.URL)
		}
		if len(urls) != 2 || !slices.Contains(urls, "https://raygun.example/shop/ada") || !slices.Contains(urls, "https://raygun.example/blog/ada") {
			t.Errorf("links are %q", urls)
		}
		kept, err := o.Glance(t.Context(), 0, ada)
		if err != nil {
			t.Fatal(err)
		}
		if len(kept.Newest) != 2 || kept.Newest[1].UserURL != "" {
			t.Errorf("what is kept was written into: %+v", kept.Newest)
		}
	}
}

// timelineOf is the timeline of a customer of the first organization, as their
// page shows it.
func timelineOf(t *testing.T, c *Customers, id CustomerID, kind string, after TimelineCursor) (Timeline, error) {
	p, err := c.View(t.Context(), Actor{Org: 1}, id)
	if err != nil {
		return Timeline{}, err
	}
	return c.Timeline(t.Context(), 1, p, kind, after)
}
