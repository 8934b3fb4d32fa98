package services

import (
	"context"
	"time"

	"sightline/internal/db"
)

// spendingDays is how many days a chart of spending has.
const spendingDays = 30

// SpendingSlot is how many calls were made in an hour or on a day.
type SpendingSlot struct {
	At time.Time // its beginning, UTC
	// People and Background took one of the day's allowance, Uncounted did not.
	People, Background, Uncounted int64
}

// Spending is how the calls of one connection, or of all, spread.
type Spending struct {
	// Days are the last 30 UTC days with today, oldest first, Today its 24 hours.
	Days, Today []SpendingSlot
	// Allowance is what a day has, 0 if not one connection alone or without limit.
	Allowance int
}

// Spending returns the calls by day and by hour of a connection, or of all
// with 0, from counters that the ledger keeps.
func (c *Connections) Spending(ctx context.Context, org OrgID, conn ConnectionID) (Spending, error) {
	now := c.now().UTC()
	today := db.DayOf(now).Time()
	first := today.AddDate(0, 0, 1-spendingDays)
	var out Spending
	if conn != 0 {
		one, err := c.Get(ctx, org, conn)
		if err != nil {
			return out, err
		}
		out.Allowance = one.Allowance
	}
	hours, err := c.db.Org(org).CallHours(ctx, conn, first, today.AddDate(0, 0, 1))
	if err != nil {
		return out, err
	}
	for i := range spendingDays {
		out.Days = append(out.Days, SpendingSlot{At: first.AddDate(0, 0, i)})
	}
	for i := range 24 {
		out.Today = append(out.Today, SpendingSlot{At: today.Add(time.Duration(i) * time.Hour)})
	}
	add := func(to []SpendingSlot, i int, h db.CallHour) {
		if i >= 0 && i < len(to) {
			to[i].People += h.People
			to[i].Background += h.Background
			to[i].Uncounted += h.Uncounted
		}
	}
	for _, h := range hours {
		add(out.Days, int(h.Hour.Sub(first).Hours()/24), h)
		if !h.Hour.Before(today) {
			add(out.Today, int(h.Hour.Sub(today).Hours()), h)
		}
	}
	return out, nil
}
