package db

import (
	"database/sql"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

// schemaOf makes a database as the migrations up to a version leave it.
func schemaOf(t *testing.T, path string, version int64) *sql.DB {
	t.Helper()
	w, err := sql.Open("sqlite", dsn(path, false))
	if err != nil {
		t.Fatal(err)
	}
	w.SetMaxOpenConns(1)
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, w, dir, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestTraitsAndHighlightsFromBeforeAreFound fills a database of the first
// schema, and looks at it through today's.
func TestTraitsAndHighlightsFromBeforeAreFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sightline.db")
	w := schemaOf(t, path, 1)
	addTwoOrgs(t, w)
	for org := 1; org <= 2; org++ {
		conn := 10 + org
		mustExec(t, w, `INSERT INTO connections (id, org_id, vendor, name, created_at) VALUES (?, ?, 'logrocket', 'Recordings', 1)`, conn, org)
		mustExec(t, w, `INSERT INTO customers (id, org_id, email, created_at) VALUES (?, ?, 'ada@example.com', 1)`, org, org)
		mustExec(t, w, `INSERT INTO logrocket_users (id, org_id, connection_id, customer_id, user_id, answered_at) VALUES (?, ?, ?, ?, 'u1', 1)`, org, org, conn, org)
		mustExec(t, w, `INSERT INTO traits (logrocket_user_id, key, org_id, value, answered_at) VALUES (?, 'plan', ?, 'pro', 1), (?, 'vip', ?, 'yes', 2)`, org, org, org, org)
		for n := range 3 {
			edit := org*10 + n
			mustExec(t, w, `INSERT INTO trait_edits (id, org_id, connection_id, logrocket_user_id, customer_id, form_token, state, request, created_at)
				VALUES (?, ?, ?, ?, ?, ?, 'sent', '{}', ?)`, edit, org, conn, org, org, edit, edit)
			mustExec(t, w, `INSERT INTO trait_changes (edit_id, field, key, org_id, before, after) VALUES (?, 'trait', 'plan', ?, 'free', 'pro')`, edit, org)
		}
		mustExec(t, w, `INSERT INTO highlights (id, org_id, connection_id, customer_id, subject_kind, subject, subject_norm, form_token, state, result_markdown, created_at)
			VALUES (?, ?, ?, ?, 'email', 'ada@example.com', 'ada@example.com', ?, 'ready', 'The payment failed.', 1)`, org, org, conn, org, org)
		mustExec(t, w, `INSERT INTO highlight_sessions (highlight_id, position, org_id, recording_id, session_id, markdown) VALUES (?, 0, ?, 'r', 's', 'Then the basket was empty.')`, org, org)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	d, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, org := range []OrgID{1, 2} {
		o := d.Org(org)
		past, err := o.FieldHistory(t.Context(), LogRocketUserID(org), "trait", "plan", Moment{}, 2)
		if err != nil || len(past) != 2 || past[0].ID != TraitEditID(org*10+2) || *past[0].Change.Before != "free" {
			t.Errorf("the history of a trait is %+v, %v", past, err)
		}
		older, err := o.FieldHistory(t.Context(), LogRocketUserID(org), "trait", "plan", Moment{ID: int64(past[1].ID)}, 2)
		if err != nil || len(older) != 1 || older[0].ID != TraitEditID(org*10) {
			t.Errorf("its next page is %+v, %v", older, err)
		}
		keys, err := o.TraitKeys(t.Context(), ConnectionID(10+org), 10)
		if err != nil || len(keys) != 2 || keys[0] != "vip" {
			t.Errorf("the known keys are %v, %v", keys, err)
		}
		for _, words := range []string{"payment", "basket"} {
			found, _, err := o.SearchHighlights(t.Context(), HighlightFilter{Limit: 10}, words)
			if err != nil || len(found) != 1 || found[0].ID != HighlightID(org) {
				t.Errorf("%s is found in %+v, %v", words, found, err)
			}
		}
	}
}

// copyRows fills the tables of a database of an older schema from a newer one.
func copyRows(t *testing.T, old *sql.DB, newer string) {
	t.Helper()
	mustExec(t, old, `PRAGMA foreign_keys = OFF`)
	mustExec(t, old, `ATTACH ? AS newer`, newer)
	tables, err := list(t.Context(), old, "tables", scanText, `
		SELECT name FROM main.sqlite_schema
		WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '%\_fts%' ESCAPE '\'`)
	if err != nil || len(tables) < 10 {
		t.Fatalf("the older tables are %v, %v", tables, err)
	}
	for _, table := range tables {
		columns, err := list(t.Context(), old, "columns", scanText, `SELECT name FROM pragma_table_info(?, 'main')`, table)
		if err != nil {
			t.Fatal(err)
		}
		names := strings.Join(columns, ", ")
		mustExec(t, old, `INSERT OR REPLACE INTO main.`+table+` (`+names+`) SELECT `+names+` FROM newer.`+table)
	}
	mustExec(t, old, `DETACH newer`)
}

// TestDaysFromBeforeAreCountedByPeopleAndErrorsToo copies a filled database into
// the schema from before the migration, without what it adds, and opens that.
func TestDaysFromBeforeAreCountedByPeopleAndErrorsToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sightline.db")
	d, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	addTwoOrgs(t, d.w)
	r := newRand(18)
	for n := range 60 {
		s := randomSession(r)
		if n%20 == 0 {
			s.StartedAt = time.UnixMilli(-1 - int64(n)*9e7) // a clock that was wrong: before 1970
			s.VendorID += "-early"
		}
		org, conn := OrgID(1), ConnectionID(1+n%3)
		if conn == 3 {
			org = 2
		}
		if n%2 == 0 {
			_, err = d.Org(org).PutFullSessions(t.Context(), conn, []FullSession{s}, time.UnixMilli(1_800_000_000_000))
		} else {
			_, err = d.Org(org).PutSessions(t.Context(), conn, []Session{s.Session}, time.UnixMilli(1_800_000_000_000), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want := rollups(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	before := filepath.Join(t.TempDir(), "before.db")
	w := schemaOf(t, before, 17)
	copyRows(t, w, path)
	mustExec(t, w, `DELETE FROM session_days WHERE facet IN ('people', 'errors')`)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = Open(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	sameLines(t, "after the migration", rollups(t, d), want)
}

// The queue's library is not asked whether its tables are up to date if their
// version is the one written down here, which must therefore be its newest.
func TestTheQueuesTablesAreOfItsNewestVersion(t *testing.T) {
	d, err := Open(t.Context(), filepath.Join(t.TempDir(), "sightline.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m, err := rivermigrate.New(riversqlite.New(d.w.DB), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	versions := m.AllVersions()
	if newest := versions[len(versions)-1].Version; newest != queueSchema {
		t.Errorf("the queue's library knows version %d, and %d is written down", newest, queueSchema)
	}
	if v, err := m.Validate(t.Context()); err != nil || !v.OK {
		t.Errorf("its tables are not up to date: %v, %v", v, err)
	}
}
