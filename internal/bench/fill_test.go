package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"sightline/internal/db"
)

// TestMultipliedDatabaseIsAsIfIngested makes a small block, multiplies it, and
// has the store count everything anew, as it does for sessions from before
// there were rollups: nothing may differ.
func TestMultipliedDatabaseIsAsIfIngested(t *testing.T) {
	ctx := t.Context()
	block, dir := t.TempDir(), t.TempDir()
	if err := makeBlock(ctx, block, 900); err != nil {
		t.Fatal(err)
	}
	if err := multiply(ctx, block, dir, 3); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "sightline.db")
	before := dump(t, path, "session_days", "session_day_blocks", "page_days", "error_days", "session_pages", "session_error_groups")
	change(t, path, `UPDATE sessions SET counted = 0`, `DELETE FROM session_days`, `DELETE FROM session_day_blocks`, `DELETE FROM page_days`, `DELETE FROM error_days`,
		`DELETE FROM session_pages`, `DELETE FROM session_error_groups`)
	d, err := db.Open(ctx, path) // counts
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	after := dump(t, path, "session_days", "session_day_blocks", "page_days", "error_days", "session_pages", "session_error_groups")
	for table, rows := range before {
		if len(rows) == 0 || !slices.Equal(rows, after[table]) {
			t.Errorf("%s: %d rows, counted anew %d, and they differ", table, len(rows), len(after[table]))
		}
	}
	for query, want := range map[string]int{
		`SELECT count(*) FROM sessions`:                                             2700,
		`SELECT count(*) FROM pragma_foreign_key_check`:                             0,
		`SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'`: 0,
		// Everyone but the heavy one is another person in every block.
		`SELECT count(*) - 3 * (SELECT count(*) FROM identities WHERE kind = 'email' AND value NOT LIKE 'mel.many%' AND value NOT LIKE '%.k_@%') FROM identities
			WHERE kind = 'email' AND value NOT LIKE 'mel.many%'`: 0,
		`SELECT count(*) FROM identities WHERE value_norm = 'mel.many@example.com' AND kind = 'email'`: 1,
		// Every session is its customer's, by the email that both bear.
		`SELECT count(*) FROM sessions s JOIN customers c ON c.id = s.customer_id WHERE s.user_email <> c.email OR s.org_id <> c.org_id`: 0,
		// A fifth is the first organization's.
		`SELECT abs(count(*) * 5 - 2700) > 200 FROM sessions WHERE org_id = 1`: 0,
	} {
		if got := number(t, path, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	for _, q := range []string{"abb", ".k2@"} {
		found, err := d.Org(1).MatchText(ctx, q, 200)
		if err != nil || len(found) == 0 {
			t.Errorf("nobody found by %q: %v", q, err)
		}
	}
}

func TestSameBlockEveryTime(t *testing.T) {
	a, b := makeDay(blockSize, 7), makeDay(blockSize, 7)
	if len(a) < 200 {
		t.Errorf("%d sessions", len(a))
	}
	for i := range a {
		if a[i].VendorID != b[i].VendorID || a[i].UserEmail != b[i].UserEmail || !a[i].StartedAt.Equal(b[i].StartedAt) || len(a[i].Views) != len(b[i].Views) {
			t.Errorf("session %d differs", i)
		}
	}
}

func open(t *testing.T, path string) *sql.DB {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func change(t *testing.T, path string, queries ...string) {
	t.Helper()
	d := open(t, path)
	for _, q := range queries {
		if _, err := d.ExecContext(context.Background(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func number(t *testing.T, path, query string) (n int) {
	t.Helper()
	if err := open(t, path).QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// dump reads tables whole, each row as text.
func dump(t *testing.T, path string, tables ...string) map[string][]string {
	t.Helper()
	d := open(t, path)
	out := map[string][]string{}
	for _, table := range tables {
		rows, err := d.Query("SELECT * FROM " + table)
		if err != nil {
			t.Fatal(err)
		}
		cols, _ := rows.Columns()
		for rows.Next() {
			values := make([]any, len(cols))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, v := range values {
				text += fmt.Sprintf("%v|", *v.(*any))
			}
			out[table] = append(out[table], text)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		rows.Close()
		slices.Sort(out[table])
	}
	return out
}
