package db

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"
)

// What is written lands in the file although no commit of the writer's folds
// the log, and nothing of it is lost or counted as a change of what pages show.
func TestTheLogIsFoldedBesideTheWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sightline.db")
	d, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for range 3 { // 2000 pages, of which the writer would fold none
		mustExec(t, d.w, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80)
			INSERT INTO meta (key, value, updated_at) SELECT 'blob ' || (SELECT count(*) FROM meta) || ' ' || i, randomblob(30000), 1 FROM n`)
	}
	seen := d.Generation()
	watch, err := sql.Open("sqlite", dsn(path, true))
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	for folded := 0; folded < foldPages; time.Sleep(time.Millisecond) {
		var busy, pages int
		if err := watch.QueryRow(`PRAGMA wal_checkpoint(NOOP)`).Scan(&busy, &pages, &folded); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.write(t.Context(), func(*sql.Tx) error { return nil }); err != nil { // which notices others' writes
		t.Fatal(err)
	}
	if now := d.Generation(); now != seen {
		t.Errorf("folding the log changed the generation from %d to %d", seen, now)
	}
	if n, err := one(t.Context(), d.r, "blobs", scanInt, `SELECT count(*) FROM meta WHERE key LIKE 'blob%' AND length(value) = 30000`); err != nil || n != 240 {
		t.Errorf("%d blobs are here, %v", n, err)
	}
}
