package services

import (
	"context"
	"time"

	"sightline/internal/db"
)

// spendingDays is how many days of spending are told if nobody says which, and
// MaxSpendingDays how many at most.
const (
	spendingDays    = 30
	MaxSpendingDays = 92
)

// SpendingSlot is how many calls were made in an hour, on a day or in a week.
type SpendingSlot struct {
	At time.Time // its beginning, UTC
	// People and Background took one of the day's allowance, Uncounted did not.
	People, Background, Uncounted int64
}

// Spending is how the calls of one connection, or of all, spread.
type Spending struct {
	// Days are the UTC days of a range, oldest first; of more than 31 days they are
	// weeks. Hours are those of its last day. Both are empty of days to come.
	Days, Hours []SpendingSlot
	Weeks       bool
	// Cut says that the range is longer than what is told, its last 92 days.
	Cut bool
	// Allowance is what a day has, 0 if not one connection alone or without limit.
	Allowance int
}

// Spending returns the calls by day and by hour of a connection, or of all
// with 0, from counters that the ledger keeps. From from, and before until; a
// zero time is 30 days before the end, or today's end.
func (c *Connections) Spending(ctx context.Context, org OrgID, conn ConnectionID, from, until time.Time) (Spending, error) {
	last := db.DayOf(c.now())
	if !until.IsZero() {
		last = min(last, db.DayOf(until)-1)
	}
	first := last - spendingDays + 1
	if !from.IsZero() {
		first = db.DayOf(from)
	}
	var out Spending
	if last-first >= MaxSpendingDays {
		first, out.Cut = last-MaxSpendingDays+1, true
	}
	if conn != 0 {
		one, err := c.Get(ctx, org, conn)
		if err != nil {
			return out, err
		}
		out.Allowance = one.Allowance
	}
	if first > last {
		return out, nil
	}
	hours, err := c.db.Org(org).CallHours(ctx, conn, first.Time(), (last + 1).Time())
	if err != nil {
		return out, err
	}
	step := Day(1)
	if out.Weeks = last-first >= vitalDays; out.Weeks {
		step = 7
	}
	for day := first; day <= last; day += step {
		out.Days = append(out.Days, SpendingSlot{At: day.Time()})
	}
	for i := range 24 {
		out.Hours = append(out.Hours, SpendingSlot{At: last.Time().Add(time.Duration(i) * time.Hour)})
	}
	for _, h := range hours {
		out.Days[(db.DayOf(h.Hour)-first)/step].add(h)
		if db.DayOf(h.Hour) == last {
			out.Hours[h.Hour.Hour()].add(h)
		}
	}
	return out, nil
}

func (s *SpendingSlot) add(h db.CallHour) {
	s.People += h.People
	s.Background += h.Background
	s.Uncounted += h.Uncounted
}
