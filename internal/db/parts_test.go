package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"
)

// longList is a list of sessions that takes several transactions even where
// nobody else reads or writes.
func longList() []Session {
	rows := make([]Session, 4*quietParts*partOf-1)
	for i := range rows {
		rows[i] = Session{VendorID: fmt.Sprint(1000 + i), StartedAt: time.UnixMilli(int64(i) * 60_000), UserEmail: fmt.Sprintf("p%d@example.com", i%9), Country: "NZ"}
	}
	return rows
}

// failAt makes the store fail, as a kill would cut it off, when a session comes
// whose part is not the first.
func failAt(t *testing.T, d *DB, vendorID string) (mend func()) {
	t.Helper()
	if _, err := d.w.Exec(`CREATE TRIGGER cut_off BEFORE INSERT ON sessions WHEN new.vendor_id = '` + vendorID + `' BEGIN SELECT RAISE(ABORT, 'cut off'); END`); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := d.w.Exec(`DROP TRIGGER cut_off`); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPageCutOffBetweenPartsLosesAndDoublesNothing(t *testing.T) {
	d, whole := peopleDB(t), peopleDB(t)
	rows, at := longList(), time.UnixMilli(9e9)
	var walks [2]SyncWalk
	for i, d := range []*DB{d, whole} {
		r := SyncRange{From: time.UnixMilli(0), To: at}
		plan := func([]SyncWalk) []SyncWalk {
			return []SyncWalk{{Purpose: WalkFollow, SyncRange: r, Todo: []SyncRange{r}}}
		}
		if err := d.Org(1).PlanWalks(t.Context(), 1, plan, at, nil, nil); err != nil {
			t.Fatal(err)
		}
		open, err := d.Org(1).SyncWalks(t.Context(), 1)
		if err != nil || len(open) != 1 {
			t.Fatalf("walks %v, %v", open, err)
		}
		walks[i] = open[0]
	}
	fresh := int64(-1)
	step := func(w SyncWalk, n int64) SyncWalk {
		fresh = n
		w.Skip, w.Pages, w.Seen = w.Skip+len(rows), w.Pages+1, w.Seen+n
		return w
	}
	search := SearchPage{Params: "{}", NextSkip: len(rows), Last: true}
	for n := 1; n < 4; n++ { // cut off in the second, third and last part
		mend := failAt(t, d, rows[n*quietParts*partOf+3].VendorID)
		if _, err := d.Org(1).PutSyncPage(t.Context(), walks[0], rows, nil, at, step); err == nil || fresh != -1 {
			t.Fatalf("a page that was cut off is stored: fresh %d", fresh)
		}
		if _, err := d.Org(1).PutSessions(t.Context(), 1, rows, at, &search); err == nil {
			t.Fatal("a search's page that was cut off is stored")
		}
		if got := len(texts(t, d.w, `SELECT id FROM sessions`)); got != n*quietParts*partOf {
			t.Errorf("%d sessions of %d parts are here", got, n)
		}
		open, err := d.Org(1).SyncWalks(t.Context(), 1)
		if err != nil || len(open) != 1 || open[0].Pages != 0 || open[0].Skip != 0 || open[0].Seen != 0 {
			t.Errorf("the walk moved without its page: %+v, %v", open, err)
		}
		if n := len(texts(t, d.w, `SELECT id FROM session_searches`)); n != 0 {
			t.Error("the search has an answer without its page")
		}
		recounted(t, d)
		mend()
	}
	for i, d := range []*DB{d, whole} {
		w, err := d.Org(1).PutSyncPage(t.Context(), walks[i], rows, nil, at, step)
		if err != nil || fresh != int64(len(rows)) || w.Pages != 1 {
			t.Fatalf("fresh %d, walk %+v, %v", fresh, w, err)
		}
		if _, err := d.Org(1).PutSessions(t.Context(), 1, rows, at, &search); err != nil {
			t.Fatal(err)
		}
		if s, err := d.Org(1).Search(t.Context(), 1, "{}"); err != nil || s.Found != int64(len(rows)) || !s.Complete {
			t.Errorf("search %+v, %v", s, err)
		}
		recounted(t, d)
	}
	for _, query := range []string{`SELECT id, vendor_id, customer_id FROM sessions`, `SELECT id, email, first_seen, last_seen FROM customers`, `SELECT id, customer_id, value, first_seen, last_seen FROM identities`} {
		if got, want := texts(t, d.w, query), texts(t, whole.w, query); !slices.Equal(got, want) {
			t.Errorf("%s\ncut off %v\nwhole   %v", query, got, want)
		}
	}
}

// recounted fails the test if the rollups are not what a new count makes.
func recounted(t *testing.T, d *DB) {
	t.Helper()
	kept := rollups(t, d)
	if _, err := d.w.Exec(`UPDATE sessions SET counted = 0; DELETE FROM session_days; DELETE FROM session_day_blocks; DELETE FROM page_days; DELETE FROM error_days; DELETE FROM session_pages; DELETE FROM session_error_groups`); err != nil {
		t.Fatal(err)
	}
	if err := countSessions(t.Context(), d.w); err != nil {
		t.Fatal(err)
	}
	if again := rollups(t, d); !slices.Equal(kept, again) {
		t.Errorf("rollups kept %v\ncounted %v", kept, again)
	}
}

// Whoever waits to write while a long list is stored writes before the list is
// stored to its end.
func TestOthersWriteBetweenTheParts(t *testing.T) {
	d := peopleDB(t)
	if _, err := d.w.Exec(`CREATE TABLE order_of_writes (what TEXT); CREATE TRIGGER noted AFTER INSERT ON sessions BEGIN INSERT INTO order_of_writes VALUES ('list'); END`); err != nil {
		t.Fatal(err)
	}
	// Holds the writer until both wait for it.
	first, err := d.w.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	waiting := d.w.Stats().WaitCount
	errs := make(chan error, 2)
	go func() {
		_, err := d.Org(1).PutSessions(context.WithoutCancel(t.Context()), 1, longList(), time.UnixMilli(9e9), nil)
		errs <- err
	}()
	go func() {
		errs <- d.write(context.WithoutCancel(t.Context()), func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT INTO order_of_writes VALUES ('member')`)
			return err
		})
	}()
	for d.w.Stats().WaitCount < waiting+2 {
		time.Sleep(time.Millisecond)
	}
	if err := first.Rollback(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	order := texts(t, d.w, `SELECT what FROM order_of_writes`)
	if at := slices.Index(order, "member"); at < 0 || at > partOf {
		t.Errorf("the member wrote after %d of %d sessions", at, len(order)-1)
	}
}
