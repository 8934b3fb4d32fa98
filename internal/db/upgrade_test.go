package db

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
)

func TestAnUpgradeIsToldBeforeItBegins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sightline.db")
	var told [][2]int64
	open := func() error {
		d, err := OpenTelling(t.Context(), path, func(from, to int64) { told = append(told, [2]int64{from, to}) })
		if err != nil {
			return err
		}
		return d.Close()
	}
	if err := schemaOf(t, path, 3).Close(); err != nil {
		t.Fatal(err)
	}
	newest, err := newestMigration()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(open(), open()); err != nil { // the second has nothing to tell
		t.Fatal(err)
	}
	if !slices.Equal(told, [][2]int64{{3, newest}}) {
		t.Errorf("told %v", told)
	}
	path = filepath.Join(t.TempDir(), "new.db")
	if err := open(); err != nil || len(told) != 1 {
		t.Errorf("a new database: %v, told %v", err, told)
	}
}

func TestADatabaseOfANewerVersionIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sightline.db")
	newest, err := newestMigration()
	if err != nil {
		t.Fatal(err)
	}
	w := schemaOf(t, path, newest)
	mustExec(t, w, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, 1)`, newest+1)
	before := texts(t, w, `SELECT type, name FROM sqlite_schema ORDER BY 1, 2`)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var newer *NewerError
	if d, err := Open(t.Context(), path); !errors.As(err, &newer) || newer.Schema != newest+1 || newer.Known != newest {
		t.Errorf("opened %v with %v", d, err)
	}
	if after := texts(t, schemaOf(t, path, 1), `SELECT type, name FROM sqlite_schema ORDER BY 1, 2`); !slices.Equal(before, after) {
		t.Error("its schema has changed")
	}
}
