package db

import (
	"context"
	"database/sql"
	"time"
)

// Budget is what a connection in use may spend on one UTC day and has spent.
type Budget struct {
	Connection ConnectionID
	Vendor     string
	Name       string
	// Allowance and Reserve are as in Connection.
	Allowance, Reserve int
	Spent              int
	BlockedUntil       time.Time
}

// dayOf numbers UTC days from 1970-01-01.
func dayOf(t time.Time) int64 { return t.UTC().Unix() / (24 * 60 * 60) }

const budgetSelect = `
	SELECT c.id, c.vendor, c.name, c.allowance, c.reserve, coalesce(b.spent, 0), c.blocked_until
	FROM connections c
	LEFT JOIN budget_days b ON b.connection_id = c.id AND b.day = ?
	WHERE c.org_id = ?`

func scanBudget(s scanner) (Budget, error) {
	var b Budget
	var blocked sql.NullInt64
	err := s.Scan(&b.Connection, &b.Vendor, &b.Name, &b.Allowance, &b.Reserve, &b.Spent, &blocked)
	b.BlockedUntil = timeOf(blocked)
	return b, err
}

// Budget returns the budget of a connection on the UTC day of now.
func (o Org) Budget(ctx context.Context, id ConnectionID, now time.Time) (Budget, error) {
	return one(ctx, o.db.r, "budget", scanBudget, budgetSelect+` AND c.id = ?`, dayOf(now), o.id, id)
}

// Budgets returns the budgets of the connections in use that have an
// allowance, by name, at most 200.
func (o Org) Budgets(ctx context.Context, now time.Time) ([]Budget, error) {
	return list(ctx, o.db.r, "budgets", scanBudget, budgetSelect+`
		AND c.removed_at IS NULL AND c.allowance > 0
		ORDER BY c.name, c.id LIMIT 200`, dayOf(now), o.id)
}
