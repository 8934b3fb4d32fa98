package db

import (
	"database/sql"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"modernc.org/sqlite"
)

// mayScan are parts of statements that may walk a whole table, and why.
func mayScan() map[string]string {
	return map[string]string{
		"FROM organizations o ORDER BY o.slug":                                        "for the command line alone",
		"SELECT org_id, connection_id, field, sealed":                                 "every credential, for the command line alone",
		"UPDATE bulk_edits SET state = 'paused', message = ? WHERE state = 'running'": "the index holds only what is running",
		"EXISTS (SELECT 1 FROM users)":                                                "the first row is the answer",
		"DELETE FROM web_sessions WHERE seen_at <= ?":                                 "which is what keeps it small",
		"waiting (id) AS (":                                                           "it holds 2001 rows at most, each found by index",
		"names (v) AS (":                                                              "it holds a few hundred names, each found by index",
		") own CROSS JOIN audit_entries e":                                            "the recordings of 200 highlights at most, the entries of each found by index, and a page",
	}
}

// maySort are parts of statements that may sort what they found, and why.
func maySort() map[string]string {
	return map[string]string{
		") AS h":                        "a bounded subquery",
		"FROM trait_changes":            "an edit has few",
		"FROM pins":                     "a member has few",
		"FROM highlight_sessions":       "a recording has few",
		"FROM memberships m":            "a person belongs to few organizations, one has few members",
		"state IN ('queued', 'sending'": "few are open at once",
		"FROM json_each(?) j":           "a page of a list",
		"FROM waiting w":                "2001 at most",

		") own CROSS JOIN audit_entries e": "what one customer's recordings have",
	}
}

// begins tells a text that is a statement, or the beginning of one.
var begins = regexp.MustCompile(`^(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH) \S`)

// writtenQueries are the statements in this package's code by their place: the
// longest constants that begin like one. Imports are left out, and so is
// whatever cannot be checked without them: constants can.
func writtenQueries(t *testing.T) map[string]string {
	t.Helper()
	files := token.NewFileSet()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*ast.File
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			f, err := parser.ParseFile(files, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, f)
		}
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{Importer: noImports{}, Error: func(error) {}}
	_, _ = config.Check("db", files, parsed, info) // what lacks its imports fails
	out := map[string]string{}
	for _, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			v := info.Types[e].Value
			if v == nil || v.Kind() != constant.String {
				return true
			}
			text := strings.TrimSpace(constant.StringVal(v))
			if begins.MatchString(strings.Join(strings.Fields(text), " ")) {
				out[files.Position(e.Pos()).String()] = text
				return false // its parts are no statements of their own
			}
			return true
		})
	}
	return out
}

// noImports imports nothing.
type noImports struct{}

// Import fails.
func (noImports) Import(path string) (*types.Package, error) { return nil, errors.New("left out") }

// askElsewhere asks what tests of their own look at, each filter by itself:
// history, ledger and explorer; and what is put together from parts that were
// looked at.
func askElsewhere(t *testing.T, d *DB, path string, looked map[string][]any) {
	t.Helper()
	ctx := t.Context()
	rec := &recorder{inner: &sqlite.Driver{}, statements: looked}
	r := sql.OpenDB(testConnector{dsn(path, true), rec})
	defer r.Close()
	o := (&DB{r: &readers{DB: r}, w: d.w}).Org(1)
	// Parts of these are chosen by the id, the customer or the form; the plans
	// of all are by the key that they end in.
	for _, where := range []string{"h.id = ?", "h.form_token = ?"} {
		if _, err := highlight(ctx, r, 1, where, 1); err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	for _, where := range []string{"r.id = ?", "r.form_token = ?"} {
		if _, err := graphQLRun(ctx, r, 1, where, 1); err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	for _, where := range []string{"e.id = ?", "e.form_token = ?"} {
		if _, err := traitEdit(ctx, r, 1, where, 1); err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	for _, errs := range []bool{false, true} { // sessions a day of one page, and of one error
		x := exploration{conns: []ConnectionID{1}}
		x.groups.given = errs
		if _, err := o.namedDays(ctx, x, 1, 1, 9); err != nil {
			t.Fatal(err)
		}
	}
	for q, args := range looked {
		checkPlan(t, d, q, args...)
	}
	_, err1 := o.History(ctx, HistoryFilter{Limit: 5})
	_, err2 := o.Calls(ctx, HistoryFilter{Limit: 5})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "explorer.db")
	full, err := Open(ctx, file)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	addTwoOrgs(t, full.w)
	fillExplorer(t, full, newRand(7))
	explorer := sql.OpenDB(testConnector{dsn(file, true), rec})
	defer explorer.Close()
	for _, part := range filterParts() {
		var f SessionFilter
		part(&f)
		askExplorer(t, ctx, (&DB{r: &readers{DB: explorer}, w: full.w}).Org(1), f)
	}
}

// checkWritten looks at the plan of every statement in the code. What is no
// whole statement must be a part of one that was looked at.
func checkWritten(t *testing.T, d *DB, looked map[string][]any) {
	t.Helper()
	var all strings.Builder
	for q := range looked {
		fmt.Fprintln(&all, strings.Join(strings.Fields(q), " "))
	}
	written := writtenQueries(t)
	if len(written) < 150 {
		t.Errorf("only %d statements were found in the code", len(written))
	}
	for place, q := range written {
		_, err := list(t.Context(), d.r, "plan", func(s scanner) (string, error) { return "", nil }, "EXPLAIN QUERY PLAN "+q, make([]any, 60)...)
		switch {
		case err == nil:
			checkPlan(t, d, q, make([]any, 60)...)
		case !strings.Contains(all.String(), strings.Join(strings.Fields(q), " ")):
			t.Errorf("%s: nothing ran this statement, so nobody looked at its plan (%v):\n%s", place, err, q)
		}
	}
}
