package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// longList is a list of sessions that takes several transactions even where
// nobody else reads or writes.
func longList() []Session {
	rows := make([]Session, 4*quietMost-1)
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
		mend := failAt(t, d, rows[n*quietMost+3].VendorID)
		if _, err := d.Org(1).PutSyncPage(t.Context(), walks[0], rows, nil, at, step); err == nil || fresh != -1 {
			t.Fatalf("a page that was cut off is stored: fresh %d", fresh)
		}
		if _, err := d.Org(1).PutSessions(t.Context(), 1, rows, at, &search); err == nil {
			t.Fatal("a search's page that was cut off is stored")
		}
		if got := len(texts(t, d.w, `SELECT id FROM sessions`)); got != n*quietMost {
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
	if err := countSessions(t.Context(), d.w.DB); err != nil {
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
	await(t, func() bool { return d.w.Stats().WaitCount == waiting+1 })
	go func() {
		errs <- d.write(context.WithoutCancel(t.Context()), func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT INTO order_of_writes VALUES ('member')`)
			return err
		})
	}()
	await(t, func() bool { return d.w.Stats().WaitCount == waiting+2 })
	if err := first.Rollback(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	order := texts(t, d.w, `SELECT what FROM order_of_writes`)
	if at := slices.Index(order, "member"); at < 0 || at > quietPart {
		t.Errorf("the member wrote after %d of %d sessions", at, len(order)-1)
	}
}

// count says how many wait.
func (c *crowd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.here
}

func await(t *testing.T, what func() bool) {
	t.Helper()
	for !what() {
		if t.Context().Err() != nil {
			t.Fatal("never came about")
		}
		time.Sleep(time.Millisecond)
	}
}

// Members who wait to write go before a list that comes after them, however the
// writer is handed on; what jobs write does not hold it up.
func TestPeopleWriteBeforeAListThatIsNext(t *testing.T) {
	d := peopleDB(t)
	mustExec(t, d.w, `CREATE TABLE order_of_writes (what TEXT); CREATE TRIGGER noted AFTER INSERT ON sessions BEGIN INSERT INTO order_of_writes VALUES ('list'); END`)
	first, err := d.w.BeginTx(t.Context(), nil) // holds the writer until all wait
	if err != nil {
		t.Fatal(err)
	}
	const members = 12
	var wg sync.WaitGroup
	for range members {
		wg.Go(func() {
			if _, err := exec(context.WithoutCancel(t.Context()), d.w, "", `INSERT INTO order_of_writes VALUES ('member')`); err != nil {
				t.Error(err)
			}
		})
	}
	await(t, func() bool { return d.turns.people.count() == members })
	wg.Go(func() {
		ctx := Background(context.WithoutCancel(t.Context()))
		if _, err := d.Org(1).PutSessions(ctx, 1, longList(), time.UnixMilli(9e9), nil); err != nil {
			t.Error(err)
		}
	})
	await(t, func() bool { // the list has its turn among lists, and asks for the writer or lets people go first
		free := d.turns.one.TryLock()
		if free {
			d.turns.one.Unlock()
		}
		return !free
	})
	if err := first.Rollback(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	order := texts(t, d.w, `SELECT what FROM order_of_writes`)
	if at := slices.Index(order, "list"); at != members {
		t.Errorf("the list began after %d of %d members: %v", at, members, order[:members])
	}
}

// People who never pause let a list go on all the same.
func TestAListIsNotHeldUpForEver(t *testing.T) {
	var c crowd
	done := c.wait(t.Context()) // somebody always waits
	defer done()
	began, ended := make(chan struct{}), make(chan struct{})
	go func() {
		close(began)
		c.goFirst(3)
		close(ended)
	}()
	<-began
	for n := 0; ; n++ {
		c.wait(t.Context())()
		select {
		case <-ended:
			if n < 2 {
				t.Errorf("went on after %d of 3", n+1)
			}
			return
		default:
		}
	}
}

// After somebody has read a page the writer is taken for a few sessions at a time; a
// job's own reading counts for nobody.
func TestPartsAreSmallAfterSomebodyRead(t *testing.T) {
	for _, tt := range []struct {
		name  string
		read  context.Context
		parts int
	}{
		{"nobody", nil, 4},
		{"a job", Background(t.Context()), 4},
		{"a member", t.Context(), (4*quietMost-1)/partOf + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, rows := peopleDB(t), longList()
			d.turns.see()
			d.turns.busy, d.turns.aloneAfter = time.Time{}, 24*time.Hour
			before := d.Generation()
			if tt.read != nil {
				if _, err := d.Org(1).Customers(tt.read, Moment{}, 1); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := d.Org(1).PutSessions(Background(t.Context()), 1, rows, time.UnixMilli(9e9), nil); err != nil {
				t.Fatal(err)
			}
			if n := int(d.Generation() - before); n != tt.parts {
				t.Errorf("stored in %d transactions, want %d", n, tt.parts)
			}
		})
	}
}
