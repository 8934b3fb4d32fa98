package services

import (
	"context"
	"errors"
)

// askCheck is the kind of ask that tests a connection.
const askCheck = "check"

// useAsks lets connections be tested through asks.
func (c *Connections) useAsks(a *Asks) {
	c.asks = a
	a.handle(askApplications, c.applications)
	a.handle(askCheck, func(ctx context.Context, ask Ask) (any, string, error) {
		sentence, err := c.check(ctx, ask.Org, ask.Connection)
		return nil, sentence, err
	})
}

// Test puts the cheapest question there is to the vendor, behind the request.
// What it answered stands in the ask and then, in words, on the connection.
func (c *Connections) Test(ctx context.Context, actor Actor, id ConnectionID) (Ask, error) {
	if _, err := c.inUse(ctx, actor, id); err != nil {
		return Ask{}, err
	}
	return c.asks.Put(ctx, actor, AskSpec{Connection: id, Kind: askCheck})
}

// V3TestCalls is what a test of a Raygun v3 connection takes once its
// application is chosen: one call for each permission that Sightline uses.
const V3TestCalls = 6

// TestCalls is how many of the day's calls a test takes at most: Raygun v3 is
// asked for more once its application is chosen, v1 is only signed
// in to, and LogRocket's calls are not counted.
func (c Connection) TestCalls() int {
	switch {
	case c.Vendor != RaygunV3:
		return 0
	case c.Application == "":
		return 1
	}
	return V3TestCalls
}

// LastTest is the newest test of a connection, which may still be under way;
// ok is false if there never was one.
func (c *Connections) LastTest(ctx context.Context, org OrgID, id ConnectionID) (ask Ask, ok bool, err error) {
	return c.asks.Latest(ctx, org, id, askCheck, "")
}

// Check is Test for the command line: it waits for the vendor and needs no
// running queue. The connection is returned as the test left it; CheckOK says
// whether the vendor was content and CheckMessage what it answered.
func (c *Connections) Check(ctx context.Context, actor Actor, id ConnectionID) (Connection, error) {
	if _, err := c.inUse(ctx, actor, id); err != nil {
		return Connection{}, err
	}
	ask, err := c.asks.Do(ctx, actor, AskSpec{Connection: id, Kind: askCheck})
	if err != nil {
		return Connection{}, err
	}
	conn, err := c.Get(ctx, actor.Org, id)
	if err == nil && ask.State != AskDone && (conn.CheckOK || conn.CheckMessage == "") {
		// The question did not reach the vendor: the connection tells of an older test, if any.
		conn.CheckOK, conn.CheckMessage = false, ask.Message
	}
	return conn, err
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
	e := vendorError(conn, err, c.now())
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
	if conn.Vendor.IsRaygun() {
		// Not through raygun: a token can be tested before an application is chosen.
		cl, _, err := c.client(ctx, conn.Org, conn.ID, Raygun)
		if err != nil {
			return "", err
		}
		r, err := cl.raygun.Check(ctx)
		return r.Sentence, err
	}
	api, _, err := c.logrocket(ctx, conn.Org, conn.ID)
	if err != nil {
		return "", err
	}
	r, err := api.Check(ctx)
	return r.Sentence, err
}
