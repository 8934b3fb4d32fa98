package db

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHistoryNeverScans looks at the plan of every query that history and
// ledger ask: no filter may walk a whole table or sort one.
func TestHistoryNeverScans(t *testing.T) {
	d, err := Open(t.Context(), filepath.Join(t.TempDir(), "sightline.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	now := time.Now()
	filters := map[string]HistoryFilter{
		"newest":     {},
		"kind":       {Kind: "trait"},
		"person":     {Actor: 1},
		"customer":   {Customer: 1},
		"connection": {Connection: 1},
		"dates":      {From: now, Until: now},
		"next page":  {Before: now, BeforeID: 3},
		"everything": {Kind: "trait", Actor: 1, Customer: 1, Connection: 1, From: now, Until: now, Before: now, BeforeID: 3},
	}
	for name, f := range filters {
		for table, query := range map[string]func(OrgID, HistoryFilter) (string, []any){"history": historyQuery, "calls": callsQuery} {
			q, args := query(1, f)
			plan := planOf(t, d, q, args...)
			if !strings.Contains(plan, "SEARCH "+table+" USING INDEX") {
				t.Errorf("%s of %s is not by an index:\n%s", name, table, plan)
			}
			index := map[string]string{"kind": "_kind", "person": "_actor", "customer": "_customer", "connection": "_connection"}[name]
			if name == "kind" && table == "calls" {
				index = "_org" // calls are all of one kind
			}
			if !strings.Contains(plan, table+index) {
				t.Errorf("%s of %s does not use %s:\n%s", name, table, table+index, plan)
			}
			// The page itself is put in order again once names are joined; the
			// rows it is cut from never are.
			if inner, _, _ := strings.Cut(plan, "SCAN h"); strings.Contains(inner, "TEMP B-TREE") || strings.Contains(plan, "SCAN "+table) {
				t.Errorf("%s of %s sorts or scans:\n%s", name, table, plan)
			}
		}
	}
	plan := planOf(t, d, `UPDATE calls SET state = 'unknown' WHERE state = 'sending'`)
	if !strings.Contains(plan, "calls_sending") {
		t.Errorf("settling calls scans:\n%s", plan)
	}
	for _, q := range []string{allConnectionsQuery} {
		if plan := planOf(t, d, q, 1); strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("listing connections scans or sorts:\n%s", plan)
		}
	}
	// Fifty rows all over the file would be fifty reads of a disk.
	for plan, want := range map[string]string{
		planOf(t, d, customerSessionsQuery, 1, 1, 1, 1, 51): "COVERING INDEX sessions_customer (customer_id=? AND started_at<?)",
		planOf(t, d, glanceQuery, 1, 1, 1, 51):              "COVERING INDEX sessions_customer (customer_id=?)",
	} {
		if !strings.Contains(plan, want) {
			t.Errorf("a customer's sessions are not read out of their index alone:\n%s", plan)
		}
	}
	plan = planOf(t, d, budgetSelect+` AND c.removed_at IS NULL AND c.allowance > 0 ORDER BY c.name, c.id LIMIT 200`, 1, 1)
	if strings.Contains(plan, "SCAN") {
		t.Errorf("budgets scan:\n%s", plan)
	}
}

// planOf is what SQLite means to do for a query, a step a line.
func planOf(t *testing.T, d *DB, query string, args ...any) string {
	t.Helper()
	steps, err := list(t.Context(), d.w, "plan", func(s scanner) (step string, err error) {
		var id, parent, unused int64
		return step, s.Scan(&id, &parent, &unused, &step)
	}, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "\n")
}
