package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// Inspection is what a look at a database file found. It changes nothing.
type Inspection struct {
	// Faults are what SQLite's own checks found, at most 20 lines, empty if sound.
	Faults []string
	// Version is the schema's, Newest the one that this program brings.
	Version, Newest int64
	// Bytes is the size of the file with its log.
	Bytes int64
}

// Inspect checks a database file without migrating it. A file that is not
// there is fs.ErrNotExist.
func Inspect(ctx context.Context, file string) (in Inspection, err error) {
	for _, name := range []string{file, file + "-wal"} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) && name != file {
			continue
		}
		if err != nil {
			return in, fmt.Errorf("find the database file: %w", err)
		}
		in.Bytes += info.Size()
	}
	if in.Newest, err = newestMigration(); err != nil {
		return in, err
	}
	r, err := sql.Open("sqlite", dsn(file, true))
	if err != nil {
		return in, fmt.Errorf("open the database: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if in.Faults, err = list(ctx, r, "quick check", scanText, "PRAGMA quick_check(20)"); err != nil {
		return in, err
	}
	if len(in.Faults) == 1 && in.Faults[0] == "ok" {
		in.Faults = nil
	}
	orphans, err := list(ctx, r, "foreign key check", scanText, `SELECT DISTINCT "table" FROM pragma_foreign_key_check LIMIT 20`)
	if err != nil {
		return in, err
	}
	for _, table := range orphans {
		in.Faults = append(in.Faults, "rows of "+table+" refer to rows that are gone")
	}
	in.Version, err = one(ctx, r, "schema version", scanInt, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied = 1")
	return in, err
}

func scanText(s scanner) (string, error) {
	var text string
	err := s.Scan(&text)
	return text, err
}

// newestMigration is the highest number among the embedded migrations.
func newestMigration() (int64, error) {
	entries, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return 0, fmt.Errorf("list the migrations: %w", err)
	}
	var newest int64
	for _, e := range entries {
		number, _, _ := strings.Cut(path.Base(e.Name()), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("migration %q has no number: %w", e.Name(), err)
		}
		newest = max(newest, n)
	}
	return newest, nil
}
