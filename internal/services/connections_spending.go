package services

import (
	"context"
	"errors"
	"fmt"

	"sightline/internal/db"
)

// SpendingForm is what a member decides about a connection's calls and mirror.
type SpendingForm struct {
	// Allowance is how many counted calls a UTC day has, 0 for no limit; Reserve
	// how many of them are kept for people; Share how many background work may
	// make at most, 0 for all that the reserve leaves.
	Allowance, Reserve, Share int
	// Sync keeps the mirror fresh, RetentionDays is how many days back it is filled.
	Sync          bool
	RetentionDays int
	// Details has sync fetch the details of sessions, on at most DetailCalls calls a
	// day.
	Details     bool
	DetailCalls int
}

// maxRetention is how many days back a mirror may be filled at most.
const maxRetention = 365

// SetBudget changes how many counted calls a connection may make on a UTC day
// (0 is no limit) and how many of them are kept for people. A block that the
// vendor's last refusal left is lifted.
func (c *Connections) SetBudget(ctx context.Context, actor Actor, id ConnectionID, allowance, reserve int) (Problems, error) {
	conn, err := c.inUse(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	return c.spend(ctx, actor, conn, db.Spending{Allowance: allowance, Reserve: reserve, Share: conn.Share})
}

// SetSpending changes a connection's budget and how its mirror is kept.
func (c *Connections) SetSpending(ctx context.Context, actor Actor, id ConnectionID, f SpendingForm) (Problems, error) {
	conn, err := c.inUse(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	if !f.Details && f.DetailCalls < 1 {
		f.DetailCalls = DefaultDetailCalls(conn.Vendor) // it means nothing until that is switched on
	}
	return c.spend(ctx, actor, conn, db.Spending{
		Allowance: f.Allowance, Reserve: f.Reserve, Share: f.Share,
		Sync: &db.SyncSettings{Enabled: f.Sync, RetentionDays: f.RetentionDays, Details: f.Details, DetailCalls: f.DetailCalls},
	})
}

func (c *Connections) spend(ctx context.Context, actor Actor, conn Connection, b db.Spending) (Problems, error) {
	if problems := checkSpending(b); len(problems) > 0 {
		return problems, nil
	}
	before, err := c.spendingOf(ctx, conn)
	if err != nil {
		return nil, err
	}
	e := c.entry(actor, "connection.budget", conn.Name, fmt.Sprintf("Changed the budget of the %s connection “%s”", conn.Vendor, conn.Name))
	e.Before, e.After = spendingFields(before, b.Sync != nil), spendingFields(b, b.Sync != nil)
	if err := c.db.Org(actor.Org).SetSpending(ctx, conn.ID, b, nil, e); err != nil {
		return nil, notFound(err, noConnection)
	}
	// What it waited for may be there now.
	return nil, c.wake(ctx, actor.Org, conn.ID)
}

// spendingOf is what is stored.
func (c *Connections) spendingOf(ctx context.Context, conn Connection) (db.Spending, error) {
	b := db.Spending{Allowance: conn.Allowance, Reserve: conn.Reserve, Share: conn.Share, Sync: &db.SyncSettings{RetentionDays: DefaultRetentionDays}}
	row, err := c.db.Org(conn.Org).Sync(ctx, conn.ID)
	if errors.Is(err, db.ErrNotFound) {
		return b, nil
	}
	b.Sync = &row.SyncSettings
	return b, err
}

func checkSpending(b db.Spending) Problems {
	problems := Problems{}
	if b.Allowance < 0 || b.Allowance > maxAllowance {
		problems[FieldAllowance] = fmt.Sprintf("Give a whole number from 0 (no limit) to %d.", maxAllowance)
	}
	if b.Reserve < 0 || b.Reserve > b.Allowance {
		problems[FieldReserve] = "Give a whole number from 0 up to the calls a day."
	}
	if b.Share < 0 || b.Share > maxAllowance {
		problems[FieldShare] = fmt.Sprintf("Give a whole number from 0 (all that is not kept for people) to %d.", maxAllowance)
	}
	if b.Sync != nil && (b.Sync.RetentionDays < 1 || b.Sync.RetentionDays > maxRetention) {
		problems[FieldRetention] = fmt.Sprintf("Give a whole number of days from 1 to %d.", maxRetention)
	}
	if b.Sync != nil && (b.Sync.DetailCalls < 1 || b.Sync.DetailCalls > maxAllowance) {
		problems[FieldDetailCalls] = fmt.Sprintf("Give a whole number of calls from 1 to %d.", maxAllowance)
	}
	return problems
}

// spendingFields writes a budget for the history.
func spendingFields(b db.Spending, sync bool) string {
	fields := map[string]string{"Calls a day": fmt.Sprint(b.Allowance), "Kept for people": fmt.Sprint(b.Reserve)}
	if sync && b.Sync != nil {
		fields["Background share"], fields["Days back"], fields["Sync"] = fmt.Sprint(b.Share), fmt.Sprint(b.Sync.RetentionDays), "off"
		if b.Share == 0 {
			fields["Background share"] = "all that is left"
		}
		if b.Sync.Enabled {
			fields["Sync"] = "on"
		}
		fields["Details in the background"] = "off"
		if b.Sync.Details {
			fields["Details in the background"] = fmt.Sprintf("%d calls a day", b.Sync.DetailCalls)
		}
	}
	return historyFields(fields)
}
