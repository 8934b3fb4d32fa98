package main

import (
	"context"
	"fmt"
	"time"

	"sightline/internal/services"
)

const (
	// demoCalls is how many of the day's calls the demo spends by itself: enough
	// for the last week, with most of the allowance left for trying out.
	demoCalls = 12
	// demoFillTime bounds the wait before the address is printed.
	demoFillTime = 20 * time.Second
)

// fillMirror fetches the last week's sessions as a member would, so that the
// first page has something to show. A kept demo is filled once a day: a search
// that was answered before is not asked again.
func fillMirror(ctx context.Context, svc *services.Services, actor services.Actor) error {
	ctx, cancel := context.WithTimeout(ctx, demoFillTime)
	defer cancel()
	list, err := svc.Connections.List(ctx, actor.Org)
	if err != nil {
		return err
	}
	tomorrow := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	for _, c := range list {
		// What a person would do first after adding a connection; it is free.
		if _, err := svc.Connections.Test(ctx, actor, c.ID); err != nil {
			return err
		}
		if c.Vendor != services.Raygun {
			continue
		}
		q, faults := services.SessionQuery{Connection: c.ID, From: tomorrow.AddDate(0, 0, -7), To: tomorrow}.Check()
		if len(faults) > 0 {
			return fmt.Errorf("the demo's search is wrong: %v", faults)
		}
		if err := fillFrom(ctx, svc, actor, q); err != nil {
			return err
		}
	}
	return nil
}

// fillFrom asks page after page until the search is complete.
func fillFrom(ctx context.Context, svc *services.Services, actor services.Actor, q services.SessionQuery) error {
	for range demoCalls {
		state, err := svc.Sessions.State(ctx, actor.Org, q)
		if err != nil {
			return err
		}
		if state.Complete {
			return nil
		}
		ask, err := svc.Sessions.Ask(ctx, actor, q, 0, state.Asked)
		if err != nil {
			return err
		}
		for ask.State.Open() {
			if ask, err = svc.Asks.Wait(ctx, actor.Org, ask.ID, time.Second); err != nil {
				return err
			}
		}
		if ask.State != services.AskDone {
			return fmt.Errorf("the stand-in did not answer: %s", ask.Message)
		}
	}
	return nil
}
