package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

func openTest(t *testing.T) *DB {
	t.Helper()
	d, err := Open(t.Context(), filepath.Join(t.TempDir(), "sightline.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestKeptStatementsAnswerLikeFreshOnes reads one query inside of itself, with
// other arguments, after a change of the schema, and more queries than are kept.
func TestKeptStatementsAnswerLikeFreshOnes(t *testing.T) {
	d := openTest(t)
	ctx := t.Context()
	err := d.write(ctx, func(tx *sql.Tx) error {
		const pair = `SELECT column1 FROM (VALUES (1), (2), (3)) WHERE column1 >= ?`
		outer, err := tx.QueryContext(ctx, pair, 1)
		if err != nil {
			return err
		}
		defer outer.Close()
		seen := ""
		for outer.Next() {
			var a int64
			if err := outer.Scan(&a); err != nil {
				return err
			}
			inner, err := list(ctx, tx, "", scanInt, pair, a)
			if err != nil {
				return err
			}
			seen += fmt.Sprint(a, inner)
		}
		if seen != "1 [1 2 3]2 [2 3]3 [3]" {
			t.Errorf("the query inside of itself read %s", seen)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	const meta = `SELECT count(*) FROM meta WHERE key LIKE ?`
	for i := range 2 {
		if n, err := one(ctx, d.r, "", scanInt, meta, "x%"); err != nil || n != int64(i) {
			t.Errorf("%d rows, %v, want %d", n, err, i)
		}
		if err := d.SetMetaUnscoped(ctx, "x1", nil, time.UnixMilli(1)); err == nil {
			t.Error("a blob may not be NULL")
		}
		if err := d.SetMetaUnscoped(ctx, "x1", []byte("1"), time.UnixMilli(1)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.w.ExecContext(ctx, fmt.Sprintf(`CREATE TABLE later%d (a); ALTER TABLE meta ADD COLUMN later%d INTEGER`, i, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range keptStatements + 50 {
		if n, err := one(ctx, d.r, "", scanInt, fmt.Sprintf(`SELECT %d + ?`, i), 1); err != nil || n != int64(i+1) {
			t.Fatalf("query %d: %d, %v", i, n, err)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := one(cancelled, d.r, "", scanInt, meta, "x%"); !errors.Is(err, context.Canceled) {
		t.Errorf("a query of someone who is gone: %v", err)
	}
}

// TestGenerationChangesWithWhatPagesShow checks that whoever was told of a
// change, or reads after another process changed something, sees a new number,
// and that the queue and visits change nothing.
func TestGenerationChangesWithWhatPagesShow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sightline.db")
	d, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, now := t.Context(), time.UnixMilli(1_000_000)
	org, err := d.AddOrgUnscoped(ctx, "acme", "Acme", now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.AddUserUnscoped(ctx, User{Email: "a", CreatedAt: now}, "a"); err != nil {
		t.Fatal(err)
	}
	o := d.Org(org.ID)
	var customer CustomerID
	abroad, err := Open(ctx, path) // another process
	if err != nil {
		t.Fatal(err)
	}
	defer abroad.Close()
	nothing := func() error { return d.write(ctx, func(*sql.Tx) error { return nil }) }
	if err := nothing(); err != nil { // what opening it twice wrote is noticed
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		do      func() error
		changes bool
	}{
		{"a write of its own", func() error { return o.SetMember(ctx, 1, "owner", now) }, true},
		{"a transaction", func() error {
			customer, err = o.Resolve(ctx, Sighting{Email: "ada@example.com", SeenAt: now})
			return err
		}, true},
		{"reading", func() error { _, err := o.Customer(ctx, customer); return err }, false},
		{"nothing", nothing, false},
		{"a transaction that fails", func() error {
			failed := errors.New("no")
			err := d.write(ctx, func(tx *sql.Tx) error {
				_, err := exec(ctx, tx, "", `UPDATE customers SET name = 'x'`)
				return errors.Join(err, failed)
			})
			if !errors.Is(err, failed) {
				return err
			}
			return nil
		}, false},
		{"the queue", func() error {
			_, err := d.w.ExecContext(ctx, `INSERT INTO river_queue (name, updated_at) VALUES ('a', CURRENT_TIMESTAMP)`)
			return err
		}, false},
		{"a visit", func() error { return o.View(ctx, 1, customer, now) }, false},
		{"a browser that is seen again", func() error { return d.TouchWebSessionUnscoped(ctx, []byte("x"), now) }, false},
		{"a message for the next page", func() error {
			return d.AddWebSessionUnscoped(ctx, []byte("x"), WebSession{User: 1, Data: "{}", CreatedAt: now, SeenAt: now, ExpiresAt: now})
		}, true},
		{"another process", func() error {
			return errors.Join(abroad.Org(org.ID).SetMember(ctx, 1, "viewer", now), nothing())
		}, true},
	} {
		before := d.Generation()
		if err := tt.do(); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if changed := d.Generation() != before; changed != tt.changes {
			t.Errorf("%s: changed is %v", tt.name, changed)
		}
	}
}

// What a statement prepared by hand wrote would not be counted.
func TestNobodyPreparesByHand(t *testing.T) {
	if stmt, err := openTest(t).Queue().PrepareContext(t.Context(), `UPDATE organizations SET name = name`); err == nil {
		t.Errorf("prepared %v", stmt)
	}
}
