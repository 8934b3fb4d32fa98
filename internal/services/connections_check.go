package services

import (
	"context"
	"errors"
)

// askCheck is the kind of ask that tests a connection.
const askCheck = "check"

// Check asks the vendor the cheapest question there is, stores in words what
// it answered and returns the connection with that. It waits for the vendor,
// as the command line may: pages use Test. A vendor that says no is an *Error.
func (c *Connections) Check(ctx context.Context, actor Actor, id ConnectionID) (Connection, error) {
	if _, err := c.inUse(ctx, actor, id); err != nil {
		return Connection{}, err
	}
	ctx = withSpender(ctx, spender{Org: actor.Org, Connection: id, Actor: actor.User})
	_, checkErr := c.check(ctx, actor.Org, id)
	conn, err := c.Get(ctx, actor.Org, id)
	return conn, errors.Join(checkErr, err)
}

// check calls the vendor with a context that carries the spender, and stores
// how it went unless the caller gave up. The sentence is for a person.
func (c *Connections) check(ctx context.Context, org OrgID, id ConnectionID) (sentence string, err error) {
	conn, err := c.Get(ctx, org, id)
	if err != nil {
		return "", err
	}
	sentence, err = c.putCheck(ctx, conn)
	if err == nil {
		return sentence, c.db.Org(org).SetConnectionCheck(ctx, id, c.now(), true, sentence)
	}
	e := vendorError(conn, err)
	var own *Error
	if ctx.Err() != nil || errors.As(err, &own) {
		return "", e // the vendor has not answered: nothing was found out
	}
	if err := c.db.Org(org).SetConnectionCheck(ctx, id, c.now(), false, e.Msg); err != nil {
		return "", err
	}
	return "", e
}

func (c *Connections) putCheck(ctx context.Context, conn Connection) (string, error) {
	if conn.Vendor == Raygun {
		api, _, err := c.raygun(ctx, conn.Org, conn.ID)
		if err != nil {
			return "", err
		}
		r, err := api.Check(ctx)
		return r.Sentence, err
	}
	api, _, err := c.logrocket(ctx, conn.Org, conn.ID)
	if err != nil {
		return "", err
	}
	r, err := api.Check(ctx)
	return r.Sentence, err
}
