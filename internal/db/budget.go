package db

import (
	"context"
	"database/sql"
	"slices"
	"time"
)

// Budget is what a connection in use may spend on one UTC day and has spent.
type Budget struct {
	Connection ConnectionID
	Vendor     string
	Name       string
	// Allowance and Reserve are as in Connection.
	Allowance, Reserve int
	// Share is how many of them background work may make at most, 0 for all
	// that the reserve leaves.
	Share int
	// Spent is what was spent, Background the part of it nobody waited for.
	Spent, Background int
	// Others is what other connections have spent that the vendor counts together
	// with this one; a refusal tells it, and SpentBy.
	Others       int
	BlockedUntil time.Time
}

// dayOf numbers UTC days from 1970-01-01.
func dayOf(t time.Time) int64 { return t.UTC().Unix() / (24 * 60 * 60) }

// hourOf numbers UTC hours from 1970-01-01 00:00.
func hourOf(t time.Time) int64 { return t.UTC().Unix() / (60 * 60) }

const budgetSelect = `
	SELECT c.id, c.vendor, c.name, c.allowance, c.reserve, c.share,
		coalesce(b.spent, 0), coalesce(b.background, 0), c.blocked_until
	FROM connections c
	LEFT JOIN budget_days b ON b.connection_id = c.id AND b.day = ?
	WHERE c.org_id = ?`

func scanBudget(s scanner) (Budget, error) {
	var b Budget
	var blocked sql.NullInt64
	err := s.Scan(&b.Connection, &b.Vendor, &b.Name, &b.Allowance, &b.Reserve, &b.Share, &b.Spent, &b.Background, &blocked)
	b.BlockedUntil = timeOf(blocked)
	return b, err
}

// Budget returns the budget of a connection on the UTC day of now, out of
// [Org.Budgets], which stand on every page, if it is there.
func (o Org) Budget(ctx context.Context, id ConnectionID, now time.Time) (Budget, error) {
	all, err := o.Budgets(ctx, now)
	if err != nil {
		return Budget{}, err
	}
	if i := slices.IndexFunc(all, func(b Budget) bool { return b.Connection == id }); i >= 0 {
		return all[i], nil
	}
	return one(ctx, o.kept(), "budget", scanBudget, budgetSelect+` AND c.id = ?`, dayOf(now), o.id, id)
}

// SpentBy is what some connections have spent together on the UTC day of now.
func (o Org) SpentBy(ctx context.Context, ids []ConnectionID, now time.Time) (int, error) {
	return o.spentBy(ctx, o.kept(), ids, now)
}

func (o Org) spentBy(ctx context.Context, q querier, ids []ConnectionID, now time.Time) (int, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	n, err := one(ctx, q, "budget", scanInt, `
		SELECT coalesce(sum(b.spent), 0) FROM json_each(?) j
		CROSS JOIN budget_days b ON b.connection_id = j.value AND b.day = ?
		WHERE b.org_id = ?`, jsonList(ids), dayOf(now), o.id)
	return int(n), err
}

// Budgets returns the budgets of the connections in use that have an
// allowance, by name, at most 200.
func (o Org) Budgets(ctx context.Context, now time.Time) ([]Budget, error) {
	return list(ctx, o.kept(), "budgets", scanBudget, budgetSelect+`
		AND c.removed_at IS NULL AND c.allowance > 0
		ORDER BY c.name, c.id LIMIT 200`, dayOf(now), o.id)
}

// CallHour is how many calls a connection made in one UTC hour.
type CallHour struct {
	Connection ConnectionID
	Hour       time.Time // its beginning
	// People and Background took one of the day's allowance, Uncounted did not.
	People, Background, Uncounted int64
}

// CallHours returns the hours with calls from the one that from is in, before
// until, oldest first, of one connection, or of all with 0; at most 20,000.
func (o Org) CallHours(ctx context.Context, conn ConnectionID, from, until time.Time) ([]CallHour, error) {
	scan := func(s scanner) (h CallHour, err error) {
		var hour int64
		err = s.Scan(&h.Connection, &hour, &h.People, &h.Background, &h.Uncounted)
		h.Hour = time.Unix(hour*60*60, 0).UTC()
		return h, err
	}
	return list(ctx, o.db.r, "call hours", scan, `
		SELECT h.connection_id, h.hour, h.people, h.background, h.uncounted
		FROM connections c CROSS JOIN call_hours h ON h.connection_id = c.id AND h.org_id = c.org_id
		WHERE c.org_id = ? AND (? = 0 OR c.id = ?) AND h.hour >= ? AND h.hour < ?
		ORDER BY c.id, h.hour LIMIT 20000`, o.id, conn, conn, hourOf(from), hourOf(until.Add(time.Hour-1)))
}
