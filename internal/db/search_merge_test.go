package db

import (
	"fmt"
	"path/filepath"
	"testing"
)

func TestMergedSearchFindsTheSame(t *testing.T) {
	d, err := Open(t.Context(), filepath.Join(t.TempDir(), "sightline.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := d.w.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO organizations (id, slug, name, created_at) VALUES (1, 'acme', 'Acme', 1)`)
	// Each transaction leaves a segment of its own.
	for i := range 40 {
		exec(`INSERT INTO customers (id, org_id, email, created_at) VALUES (?, 1, ?, 1)`, i+1, fmt.Sprintf("ada%d@example.com", i))
		exec(`INSERT INTO identities (org_id, customer_id, kind, value, value_norm) VALUES (1, ?, 'email', ?, ?)`, i+1, fmt.Sprintf("ada%d@example.com", i), fmt.Sprintf("ada%d@example.com", i))
	}
	segments := func() (n int) {
		t.Helper()
		if err := d.r.QueryRowContext(t.Context(), `SELECT count(DISTINCT segid) FROM identities_fts_idx`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	find := func() (n int) {
		t.Helper()
		if err := d.r.QueryRowContext(t.Context(), `SELECT count(*) FROM identities_fts WHERE identities_fts MATCH '"da7@exa"'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before, found, generation := segments(), find(), d.Generation()
	if before < 2 || found == 0 {
		t.Fatalf("%d segments, %d hits: nothing to see", before, found)
	}
	steps := 0
	if err := d.MergeSearch(t.Context(), 1, func() error { steps++; return nil }); err != nil {
		t.Fatal(err)
	}
	if n := segments(); n != 1 || steps == 0 {
		t.Errorf("%d of %d segments are left after %d steps", n, before, steps)
	}
	if n := find(); n != found {
		t.Errorf("%d hits, %d before", n, found)
	}
	if d.Generation() != generation {
		t.Error("merging changed what pages show")
	}
	// There is an end to it.
	for range 3 {
		steps = 0
		if err := d.MergeSearch(t.Context(), 1, func() error { steps++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if steps > 2 {
		t.Errorf("%d steps although all is merged", steps)
	}
}
