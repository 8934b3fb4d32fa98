package services

import (
	"context"
	"crypto/sha256"
	"slices"
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
	// Others is what connections with the same credentials have spent: the vendor
	// counts it together with Spent.
	Others int
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
		Others: b.Others, Left: max(0, b.Allowance-b.Spent-b.Others), ResetsAt: nextDay(now),
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
	others, err := c.sharing(ctx, org, id)
	if err == nil {
		b.Others, err = c.db.Org(org).SpentBy(ctx, others, now)
	}
	return budgetOf(b, now), err
}

// Budgets returns the budgets of the connections in use that have an
// allowance, by name.
func (c *Connections) Budgets(ctx context.Context, org OrgID) ([]Budget, error) {
	now := c.now()
	rows, err := c.db.Org(org).Budgets(ctx, now)
	if err != nil {
		return nil, err
	}
	conns, err := c.List(ctx, org)
	if err != nil {
		return nil, err
	}
	out := make([]Budget, len(rows))
	for i, b := range rows {
		if b.Others, err = c.db.Org(org).SpentBy(ctx, c.sharingOf(ctx, conns, b.Connection), now); err != nil {
			return nil, err
		}
		out[i] = budgetOf(b, now)
	}
	return out, nil
}

// sharing returns the other connections of the organization whose calls Raygun
// counts together with a connection's.
func (c *Connections) sharing(ctx context.Context, org OrgID, id ConnectionID) ([]ConnectionID, error) {
	conns, err := c.List(ctx, org)
	return c.sharingOf(ctx, conns, id), err
}

// sharingOf are those of the connections. v1 allows so many calls an
// application, which is what the API key names, and v3 so many a person, which
// is what the token names, however many applications are connected with it.
func (c *Connections) sharingOf(ctx context.Context, conns []Connection, id ConnectionID) []ConnectionID {
	i := slices.IndexFunc(conns, func(other Connection) bool { return other.ID == id })
	if i < 0 || !conns[i].Vendor.IsRaygun() {
		return nil
	}
	var out []ConnectionID
	for _, other := range conns {
		if other.ID == id || other.Vendor != conns[i].Vendor {
			continue
		}
		// Whose credentials cannot be read calls nobody.
		own, err := c.countedBy(ctx, conns[i])
		if err != nil {
			return nil
		}
		if by, err := c.countedBy(ctx, other); err == nil && by == own {
			out = append(out, other.ID)
		}
	}
	return out
}

// countedAs is the credentials by which a vendor counts a connection's calls,
// as a hash, and when they were set.
type countedAs struct {
	rotatedAt time.Time
	by        [sha256.Size]byte
}

func (c *Connections) countedBy(ctx context.Context, conn Connection) ([sha256.Size]byte, error) {
	c.mu.Lock()
	known, ok := c.counted[conn.ID]
	c.mu.Unlock()
	if ok && known.rotatedAt.Equal(conn.RotatedAt) {
		return known.by, nil
	}
	keys, err := c.open(ctx, conn)
	if err != nil {
		return known.by, err
	}
	field := fieldAPIKey
	if conn.Vendor == RaygunV3 {
		field = fieldToken
	}
	known = countedAs{conn.RotatedAt, sha256.Sum256([]byte(keys[field].Reveal()))}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted[conn.ID] = known
	return known.by, nil
}
