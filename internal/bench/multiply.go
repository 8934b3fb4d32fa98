package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sightline/internal/db"

	_ "modernc.org/sqlite" // the driver, for pragmas that no server would use
)

// multiplier copies a block many times into an empty database, much faster
// than ingest could: rows in the order of their keys without any other index,
// then the indexes and the search. Its rollups are the block's times the number
// of copies; a test counts a multiplied database anew and compares.
type multiplier struct {
	q      *sql.Conn
	blocks int64
	// customers and identities are the highest ids in the block.
	customers, identities int64
	days                  []blockDay
	// heavy is the customer who is the same person in all blocks.
	heavy int64
}

// blockDay is a day's sessions in the block: their ids follow each other.
type blockDay struct{ first, n int64 }

// multiply makes a database with the block's sessions so many times.
func multiply(ctx context.Context, block, dir string, blocks int) (err error) {
	path := filepath.Join(dir, "sightline.db")
	d, err := db.Open(ctx, path) // which makes the schema
	if err != nil {
		return err
	}
	if err := d.Close(); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(block, "master.key"), filepath.Join(dir, "master.key")); err != nil {
		return err
	}
	raw, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)&_pragma=cache_size(-400000)&_pragma=temp_store(FILE)")
	if err != nil {
		return err
	}
	defer closing(raw, &err)
	q, err := raw.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	m := &multiplier{q: q, blocks: int64(blocks)}
	if err := m.exec(ctx, "ATTACH ? AS block", filepath.Join(block, "sightline.db")); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{m.measure, m.copy, m.people, m.sessions, m.lists, m.rollups} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m *multiplier) exec(ctx context.Context, query string, args ...any) error {
	if _, err := m.q.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

// measure reads what the copies' ids are computed from.
func (m *multiplier) measure(ctx context.Context) error {
	if err := m.q.QueryRowContext(ctx, `SELECT (SELECT max(id) FROM block.customers), (SELECT max(id) FROM block.identities)`).Scan(&m.customers, &m.identities); err != nil {
		return err
	}
	err := m.q.QueryRowContext(ctx, `SELECT customer_id FROM block.identities WHERE kind = 'email' AND value_norm = ?`, heavyEmail).Scan(&m.heavy)
	if err != nil {
		return fmt.Errorf("find who is the same person in all blocks: %w", err)
	}
	rows, err := m.q.QueryContext(ctx, `SELECT min(id), count(*), max(id) FROM block.sessions GROUP BY started_at / 86400000 ORDER BY 1`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var d blockDay
		var last int64
		if err := rows.Scan(&d.first, &d.n, &last); err != nil {
			return err
		}
		if last-d.first+1 != d.n {
			return fmt.Errorf("the ids of a day do not follow each other: %d to %d are %d", d.first, last, d.n)
		}
		m.days = append(m.days, d)
	}
	return rows.Err()
}

// multiplied are the tables whose rows are copied once for each block.
func multiplied() []string {
	return []string{"customers", "identities", "sessions", "page_views", "session_errors", "session_pages", "session_error_groups"}
}

// summed are the rollups.
func summed() []string { return []string{"session_days", "page_days", "error_days"} }

// copy takes over what there is once: organizations, people, connections,
// pages, groups of errors, and whatever else the block came to hold.
func (m *multiplier) copy(ctx context.Context) error {
	tables, err := m.texts(ctx, `SELECT name FROM block.sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'
		AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'river_%' AND name NOT LIKE '%fts%' AND name <> 'goose_db_version'`)
	if err != nil {
		return err
	}
	if err := m.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	for _, t := range tables {
		if slices.Contains(multiplied(), t) || slices.Contains(summed(), t) || t == "session_day_blocks" {
			continue
		}
		if err := m.exec(ctx, fmt.Sprintf("INSERT OR REPLACE INTO main.%s SELECT * FROM block.%s", t, t)); err != nil {
			return err
		}
	}
	return m.exec(ctx, "COMMIT")
}

func (m *multiplier) texts(ctx context.Context, query string, args ...any) (out []string, err error) {
	rows, err := m.q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// columns returns a table's columns and what they are copied from: themselves
// but for those in with.
func (m *multiplier) columns(ctx context.Context, table string, with map[string]string) (names, values string, err error) {
	cols, err := m.texts(ctx, "SELECT name FROM pragma_table_info(?)", table)
	if err != nil {
		return "", "", err
	}
	from := make([]string, len(cols))
	for i, c := range cols {
		if from[i] = c; with[c] != "" {
			from[i] = with[c]
		}
	}
	return strings.Join(cols, ", "), strings.Join(from, ", "), nil
}

// without runs fill with a table's indexes and triggers away.
func (m *multiplier) without(ctx context.Context, table string, fill func() error) error {
	made, err := m.texts(ctx, `SELECT sql FROM main.sqlite_schema WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY name`, table)
	if err != nil {
		return err
	}
	drops, err := m.texts(ctx, `SELECT 'DROP ' || type || ' ' || name FROM main.sqlite_schema WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL`, table)
	if err != nil {
		return err
	}
	for _, q := range drops {
		if err := m.exec(ctx, q); err != nil {
			return err
		}
	}
	if err := m.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if err := errors.Join(fill(), m.exec(ctx, "COMMIT")); err != nil {
		return err
	}
	for _, q := range made {
		if err := m.exec(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// Texts of copies: an email, and an id, of another person. ?1 is the copy's
// number; the block itself is copy 0.
const (
	otherEmail  = `replace(%s, '@', '.k' || ?1 || '@')`
	otherNumber = `CAST(CAST(%s AS INTEGER) + ?1 * 1000000000 AS TEXT)`
	otherName   = `%s || ' k' || ?1`
)

// people copies customers and identities. The heavy one is the same in all.
func (m *multiplier) people(ctx context.Context) error {
	email := fmt.Sprintf(otherEmail, "email")
	names, values, err := m.columns(ctx, "customers", map[string]string{
		"id": fmt.Sprintf("id + ?1 * %d", m.customers), "email": email, "name": fmt.Sprintf(otherName, "name"),
	})
	if err != nil {
		return err
	}
	fill := func(table, columns, values, who string) func() error {
		return func() error {
			for k := range m.blocks {
				from := values
				if k == 0 {
					from = columns
				}
				query := fmt.Sprintf("INSERT INTO main.%s (%s) SELECT %s FROM block.%s WHERE ?1 = 0 OR %s <> ?2 ORDER BY id", table, columns, from, table, who)
				if err := m.exec(ctx, query, k, m.heavy); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if err := m.without(ctx, "customers", fill("customers", names, values, "id")); err != nil {
		return err
	}
	other := map[string]string{"id": fmt.Sprintf("id + ?1 * %d", m.identities), "customer_id": fmt.Sprintf("customer_id + ?1 * %d", m.customers)}
	for _, c := range []string{"value", "value_norm"} {
		other[c] = "CASE kind WHEN 'raygun_user' THEN " + fmt.Sprintf(otherNumber, c) + " WHEN 'name' THEN " + fmt.Sprintf(otherName, c) + " ELSE " + fmt.Sprintf(otherEmail, c) + " END"
	}
	if names, values, err = m.columns(ctx, "identities", other); err != nil {
		return err
	}
	if err := m.without(ctx, "identities", fill("identities", names, values, "customer_id")); err != nil {
		return err
	}
	return m.search(ctx)
}

// search fills the search index in one go.
func (m *multiplier) search(ctx context.Context) error {
	if err := m.exec(ctx, `INSERT INTO identities_fts (identities_fts) VALUES ('rebuild')`); err != nil {
		return err
	}
	// As a server that has run for a while has left it (db.MergeSearch).
	return m.exec(ctx, `INSERT INTO identities_fts (identities_fts) VALUES ('optimize')`)
}

// sessions copies sessions with their page views and errors, day by day, so
// that sessions of the same time lie together as a sync leaves them.
func (m *multiplier) sessions(ctx context.Context) error {
	own := func(text, column string) string { // the heavy one keeps their name
		return fmt.Sprintf("iif(?1 = 0 OR customer_id IS ?5, %s, %s)", column, fmt.Sprintf(text, column))
	}
	later := func(column string) string { return fmt.Sprintf("%s + ?1 * %d", column, wanderMS) }
	id := fmt.Sprintf("(?2 - 1) * %d + ?1 * ?3 + (%%s - ?2) + 1", m.blocks)
	with := map[string]string{
		"id": fmt.Sprintf(id, "id"), "vendor_id": fmt.Sprintf(otherNumber, "vendor_id"),
		"customer_id": fmt.Sprintf("iif(customer_id IS ?5, ?5, customer_id + ?1 * %d)", m.customers),
		"user_email":  own(otherEmail, "user_email"), "user_identifier": own(otherEmail, "user_identifier"),
		"user_name": "iif(user_name = '', '', " + own(otherName, "user_name") + ")", "user_id": own(otherNumber, "user_id"),
	}
	for _, c := range []string{"started_at", "updated_at", "ended_at"} {
		with[c] = later(c)
	}
	if err := m.daily(ctx, "sessions", "id", with); err != nil {
		return err
	}
	if err := m.daily(ctx, "page_views", "session_id, position", map[string]string{"session_id": fmt.Sprintf(id, "session_id"), "viewed_at": later("viewed_at")}); err != nil {
		return err
	}
	return m.daily(ctx, "session_errors", "session_id, position", map[string]string{"session_id": fmt.Sprintf(id, "session_id")})
}

func (m *multiplier) daily(ctx context.Context, table, key string, with map[string]string) error {
	names, values, err := m.columns(ctx, table, with)
	if err != nil {
		return err
	}
	session, _, _ := strings.Cut(key, ",")
	// ?4 and ?5 are named so that every statement has as many parameters.
	query := fmt.Sprintf("INSERT INTO main.%s (%s) SELECT %s FROM block.%s WHERE %s BETWEEN ?2 AND ?4 AND ?5 = ?5 ORDER BY %s", table, names, values, table, session, key)
	return m.without(ctx, table, func() error {
		stmt, err := m.q.PrepareContext(ctx, query)
		if err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
		defer stmt.Close()
		for _, d := range m.days {
			for k := range m.blocks {
				if _, err := stmt.ExecContext(ctx, k, d.first, d.n, d.first+d.n-1, m.heavy); err != nil {
					return fmt.Errorf("copy %s: %w", table, err)
				}
			}
		}
		return nil
	})
}

// lists copies which sessions saw a page or had an error, each page's in the
// order of time.
func (m *multiplier) lists(ctx context.Context) error {
	for _, s := range []string{
		"CREATE TEMP TABLE copies (k INTEGER PRIMARY KEY)", "CREATE TEMP TABLE days (day INTEGER PRIMARY KEY, first INTEGER, n INTEGER)",
		fmt.Sprintf("WITH RECURSIVE c (k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM c WHERE k < %d) INSERT INTO copies SELECT k FROM c", m.blocks-1),
		"INSERT INTO days SELECT started_at / 86400000, min(id), count(*) FROM block.sessions GROUP BY 1",
	} {
		if err := m.exec(ctx, s); err != nil {
			return err
		}
	}
	for table, of := range map[string]string{"session_pages": "page_id", "session_error_groups": "group_id"} {
		names, values, err := m.columns(ctx, table, map[string]string{
			of: "t." + of, "started_at": fmt.Sprintf("t.started_at + c.k * %d", wanderMS),
			"session_id": fmt.Sprintf("(d.first - 1) * %d + c.k * d.n + (t.session_id - d.first) + 1", m.blocks),
		})
		if err != nil {
			return err
		}
		source := map[string]string{"session_pages": "pages", "session_error_groups": "error_groups"}[table]
		ids, err := m.texts(ctx, "SELECT id FROM block."+source+" ORDER BY id")
		if err != nil {
			return err
		}
		query := fmt.Sprintf(`INSERT INTO main.%s (%s) SELECT %s FROM block.%s t CROSS JOIN days d ON d.day = t.started_at / 86400000 CROSS JOIN copies c
			WHERE t.%s = ? ORDER BY 2, 3`, table, names, values, table, of)
		err = m.without(ctx, table, func() error {
			for _, id := range ids {
				if err := m.exec(ctx, query, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rollups multiplies the block's rollups.
func (m *multiplier) rollups(ctx context.Context) error {
	if err := m.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	for _, table := range summed() {
		with := map[string]string{}
		for _, c := range []string{"sessions", "detailed", "with_errors", "anonymous", "excellent", "good", "average", "poor", "views", "timed", "occurrences"} {
			with[c] = fmt.Sprintf("%s * %d", c, m.blocks)
		}
		names, values, err := m.columns(ctx, table, with)
		if err != nil {
			return err
		}
		if err := m.exec(ctx, fmt.Sprintf("INSERT INTO main.%s (%s) SELECT %s FROM block.%s", table, names, values, table)); err != nil {
			return err
		}
	}
	if err := m.loads(ctx); err != nil {
		return err
	}
	if err := m.exec(ctx, `INSERT INTO main.session_day_blocks SELECT connection_id, day >> 5, min(org_id),
		group_concat(concat_ws(' ', day, sessions, detailed, with_errors, anonymous, excellent, good, average, poor))
		FROM main.session_days WHERE facet = 'all' GROUP BY connection_id, day >> 5`); err != nil {
		return err
	}
	return m.exec(ctx, "COMMIT")
}

// loads multiplies the histograms of load times.
func (m *multiplier) loads(ctx context.Context) error {
	type row struct {
		conn, day, page int64
		loads           []byte
	}
	rows, err := m.q.QueryContext(ctx, `SELECT connection_id, day, page_id, loads FROM main.page_days`)
	if err != nil {
		return err
	}
	var all []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.conn, &r.day, &r.page, &r.loads); err != nil {
			return errors.Join(err, rows.Close())
		}
		all = append(all, r)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, r := range all {
		if err := m.exec(ctx, `UPDATE main.page_days SET loads = ? WHERE connection_id = ? AND day = ? AND page_id = ?`, db.ScaleLoads(r.loads, m.blocks), r.conn, r.day, r.page); err != nil {
			return err
		}
	}
	return nil
}
