// Package dbtest opens throw-away databases for tests.
package dbtest

import (
	"path/filepath"
	"testing"

	"sightline/internal/db"
)

// New opens an empty, migrated database in a file of its own (an in-memory one
// would hide what the pools do) and closes it when the test ends.
func New(t testing.TB) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "sightline.db"))
	if err != nil {
		t.Fatalf("open the database: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return d
}
