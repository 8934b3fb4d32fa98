package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

const (
	// demoCalls is how many of the day's calls the demo spends on the days before
	// today, and demoShare what sync may spend on today: together the last week,
	// with most of the allowance left for trying out.
	demoCalls, demoShare = 12, 6
	// demoDetails is how many of v1's calls go into details: with them come
	// ratings and load times, which v3 does not tell.
	demoDetails = 12
	// demoV3Days is how far back v3's sync goes, and demoV3Details how many calls
	// it makes for page views and errors: a minute's work.
	demoV3Days, demoV3Details = 14, 500
	// demoFillTime bounds the wait before the address is printed.
	demoFillTime = 20 * time.Second
)

// fillMirror does what a team would have done before: it fetches the last
// week's sessions, pins a few people for everybody, asks for one set of
// highlights and follows exports, so that the first page has something to show. A kept demo is
// filled once a day: what was asked before is not asked again.
func fillMirror(ctx context.Context, svc *services.Services, actors []services.Actor, people []sandbox.Customer) error {
	ctx, cancel := context.WithTimeout(ctx, demoFillTime)
	defer cancel()
	owner := actors[len(actors)-1]
	list, err := svc.Connections.List(ctx, owner.Org)
	if err != nil {
		return err
	}
	tomorrow := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	for _, c := range list {
		// What a person would do first after adding a connection; it is free.
		if _, err := svc.Connections.Test(ctx, owner, c.ID); err != nil {
			return err
		}
		if c.Vendor != services.Raygun {
			continue
		}
		if err := fillWeek(ctx, svc, owner, c.ID, tomorrow); err != nil {
			return err
		}
		if err := fetchDetails(ctx, svc, owner, c.ID, tomorrow); err != nil {
			return err
		}
	}
	if err := followV3(ctx, svc, owner, list); err != nil {
		return err
	}
	if err := pinAndAsk(ctx, svc, actors, list, people[:min(demoPins, len(people))]); err != nil {
		return err
	}
	return followExports(ctx, svc, owner, list)
}

// demoExportDays is from how many days ago on the demo follows exports: some
// hundred files, read in the background within a minute.
const demoExportDays = 1

// followExports has LogRocket's exports followed, unless they are already.
func followExports(ctx context.Context, svc *services.Services, actor services.Actor, list []services.Connection) error {
	for _, c := range list {
		if c.Vendor != services.LogRocket {
			continue
		}
		st, err := svc.Exports.Status(ctx, actor.Org, c.ID)
		if err != nil {
			return err
		}
		if !st.Form.From.IsZero() {
			continue
		}
		from := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -demoExportDays)
		faults, err := svc.Exports.Follow(ctx, actor, c.ID, services.ExportForm{From: from, ExportLimits: services.DefaultExportLimits()})
		if err != nil || len(faults) > 0 {
			return fmt.Errorf("follow exports: %v %w", faults, err)
		}
	}
	return nil
}

// fetchDetails has the details of the newest sessions fetched, as a member
// would, once a day. It does not wait for them.
func fetchDetails(ctx context.Context, svc *services.Services, actor services.Actor, conn services.ConnectionID, tomorrow time.Time) error {
	run, ok, err := svc.Details.Latest(ctx, actor.Org, conn)
	if err != nil || ok && run.StartedAt.After(tomorrow.AddDate(0, 0, -1)) {
		return err
	}
	c, err := svc.Connections.Get(ctx, actor.Org, conn)
	if err != nil {
		return err
	}
	list, err := svc.Sessions.List(ctx, actor.Org, services.SessionQuery{From: tomorrow.AddDate(0, 0, -7), To: tomorrow, Connection: conn}, services.Moment{})
	if err != nil {
		return err
	}
	var lacking []services.SessionID
	for _, s := range list.Sessions {
		if services.LacksDetail(c, s, time.Now()) {
			lacking = append(lacking, s.ID)
		}
	}
	_, _, err = svc.Details.Start(ctx, actor, conn, lacking, demoDetails)
	var e *services.Error
	if errors.As(err, &e) && e.Kind == services.Limited { // spent in an earlier run
		return nil
	}
	return err
}

// followV3 switches v3's sync on, unless an earlier run has. It goes on in the
// background.
func followV3(ctx context.Context, svc *services.Services, actor services.Actor, list []services.Connection) error {
	for _, c := range list {
		if c.Vendor != services.RaygunV3 {
			continue
		}
		st, err := svc.Syncs.Status(ctx, actor.Org, c.ID)
		if err != nil || st.On() {
			return err
		}
		faults, err := svc.Connections.SetSpending(ctx, actor, c.ID, services.SpendingForm{
			Allowance: c.Allowance, Reserve: c.Reserve, Share: c.Share,
			Sync: true, RetentionDays: demoV3Days, Details: true, DetailCalls: demoV3Details,
		})
		if err != nil || len(faults) > 0 {
			return fmt.Errorf("follow Raygun v3: %v %w", faults, err)
		}
	}
	return nil
}

// demoPins is how many people everybody finds pinned.
const demoPins = 3

// pinAndAsk pins people, and asks for highlights of the first one unless they
// were asked for in an earlier run.
func pinAndAsk(ctx context.Context, svc *services.Services, actors []services.Actor, list []services.Connection, people []sandbox.Customer) error {
	owner := actors[len(actors)-1]
	for i, person := range people {
		found, err := svc.Customers.Lookup(ctx, owner.Org, person.Email)
		if err != nil {
			return err
		}
		if found.Only == 0 {
			continue // not seen in the last week
		}
		for _, a := range actors {
			if err := svc.Customers.SetPin(ctx, a, found.Only, true); err != nil {
				return err
			}
		}
		for _, c := range list {
			if i > 0 || c.Vendor != services.LogRocket {
				continue
			}
			_, _, faults, err := svc.Highlights.Request(ctx, owner, services.HighlightRequest{
				Connection: c.ID, Customer: found.Only, Email: person.Email, Question: "What went wrong in the checkout?", FormToken: "demo",
			})
			if err != nil || len(faults) > 0 {
				return fmt.Errorf("ask for highlights: %v %w", faults, err)
			}
		}
	}
	return nil
}

// fillWeek waits until sync has read today, and has the six days before it
// filled as a member would.
func fillWeek(ctx context.Context, svc *services.Services, actor services.Actor, conn services.ConnectionID, tomorrow time.Time) error {
	ready := func(from, until time.Time, done func(services.Coverage) bool) error {
		for {
			c, err := svc.Syncs.Coverage(ctx, actor.Org, conn, from, until)
			if err != nil || done(c) {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	st, err := svc.Syncs.Status(ctx, actor.Org, conn)
	if err != nil {
		return err
	}
	if st.On() && st.Budget.Background() != 0 {
		if err := ready(tomorrow.AddDate(0, 0, -1), tomorrow, func(c services.Coverage) bool { return c.Missing == 0 }); err != nil {
			return err
		}
	}
	from, until := tomorrow.AddDate(0, 0, -7), tomorrow.AddDate(0, 0, -1)
	if _, err := svc.Syncs.Fill(ctx, actor, conn, from, until, demoCalls); err != nil {
		return err
	}
	return ready(from, until, func(c services.Coverage) bool { return c.Filling == 0 })
}
