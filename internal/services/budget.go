package services

import (
	"context"
	"time"

	"sightline/internal/db"
)

// How many of the calls that Raygun allows by default background work leaves to
// people. v3's 10 a second and 600 a minute are kept by the client's pace.
const (
	raygunReserve   = 10
	raygunV3Reserve = 1_000
)

// Budget is what a connection may spend on the current UTC day.
type Budget struct {
	Connection ConnectionID
	Vendor     Vendor
	Name       string
	// Allowance is how many calls the day has; 0 means that nobody counts, and
	// then Left and the rest mean nothing.
	Allowance int
	// Reserve is how many of them background work leaves to people.
	Reserve int
	// Share is how many background work may make at most, 0 for all that the
	// reserve leaves.
	Share int
	// Spent is what was spent, ByBackground the part that nobody waited for.
	Spent, ByBackground int
	// Left is what people may still spend, never below zero. It is 0 while the
	// connection is blocked.
	Left int
	// ResetsAt is the next 00:00 UTC.
	ResetsAt time.Time
	// BlockedUntil is when the vendor takes calls again, zero if it takes them.
	BlockedUntil time.Time
}

// Background is what background work may still spend; negative is without
// limit.
func (b Budget) Background() int {
	n := -1
	if b.Allowance > 0 {
		n = max(0, b.Left-b.Reserve)
	}
	if b.Share > 0 {
		if rest := max(0, b.Share-b.ByBackground); n < 0 || rest < n {
			n = rest
		}
	}
	if !b.BlockedUntil.IsZero() {
		return 0
	}
	return n
}

func budgetOf(b db.Budget, now time.Time) Budget {
	out := Budget{
		Connection: b.Connection, Vendor: Vendor(b.Vendor), Name: b.Name,
		Allowance: b.Allowance, Reserve: b.Reserve, Share: b.Share, Spent: b.Spent, ByBackground: b.Background,
		Left: max(0, b.Allowance-b.Spent), ResetsAt: nextDay(now),
	}
	if b.BlockedUntil.After(now) {
		out.BlockedUntil, out.Left = b.BlockedUntil, 0
	}
	return out
}

// Budget returns what a connection may spend today.
func (c *Connections) Budget(ctx context.Context, org OrgID, id ConnectionID) (Budget, error) {
	now := c.now()
	b, err := c.db.Org(org).Budget(ctx, id, now)
	if err != nil {
		return Budget{}, notFound(err, noConnection)
	}
	return budgetOf(b, now), nil
}

// Budgets returns the budgets of the connections in use that have an
// allowance, by name.
func (c *Connections) Budgets(ctx context.Context, org OrgID) ([]Budget, error) {
	now := c.now()
	rows, err := c.db.Org(org).Budgets(ctx, now)
	if err != nil {
		return nil, err
	}
	out := make([]Budget, len(rows))
	for i, b := range rows {
		out[i] = budgetOf(b, now)
	}
	return out, nil
}
