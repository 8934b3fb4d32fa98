package services

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sightline/internal/db"
	"sightline/internal/services/raygun"
	"sightline/internal/services/secrets"
)

// askApplications is the kind of ask that lists what a token sees.
const askApplications = "applications"

// Application is one application that a Raygun v3 connection's token sees.
type Application struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Sessions says that it has sent Real User Monitoring data.
	Sessions bool `json:"sessions"`
	// Same is the name of the connection through API v1 to the same application,
	// empty if there is none.
	Same string `json:"same,omitempty"`
}

// AskApplications asks, behind the request, which applications the token of a
// Raygun v3 connection sees: one call for 500 of them.
func (c *Connections) AskApplications(ctx context.Context, actor Actor, id ConnectionID) (Ask, error) {
	if _, err := c.choosing(ctx, actor, id); err != nil {
		return Ask{}, err
	}
	return c.asks.Put(ctx, actor, AskSpec{Connection: id, Kind: askApplications})
}

// ListApplications is AskApplications for the command line: it waits for the
// vendor and needs no running queue.
func (c *Connections) ListApplications(ctx context.Context, actor Actor, id ConnectionID) ([]Application, error) {
	if _, err := c.choosing(ctx, actor, id); err != nil {
		return nil, err
	}
	ask, err := c.asks.Do(ctx, actor, AskSpec{Connection: id, Kind: askApplications})
	if err != nil {
		return nil, err
	}
	if ask.State != AskDone {
		return nil, &Error{Kind: Unavailable, Msg: ask.Message}
	}
	return applicationsOf(ask)
}

// Applications is the newest answer to AskApplications since the credentials
// were set; ok is false if nobody asked. The list is empty until the ask is done.
func (c *Connections) Applications(ctx context.Context, conn Connection) (list []Application, ask Ask, ok bool, err error) {
	ask, ok, err = c.asks.Latest(ctx, conn.Org, conn.ID, askApplications, "")
	if err != nil || !ok || ask.CreatedAt.Before(conn.RotatedAt) {
		return nil, Ask{}, false, err
	}
	if ask.State == AskDone {
		list, err = applicationsOf(ask)
	}
	return list, ask, true, err
}

func applicationsOf(ask Ask) (list []Application, err error) {
	if err := json.Unmarshal(ask.Result, &list); err != nil {
		return nil, fmt.Errorf("read the applications of ask %d: %w", ask.ID, err)
	}
	return list, nil
}

// choosing finds a connection in use that has no application yet.
func (c *Connections) choosing(ctx context.Context, actor Actor, id ConnectionID) (Connection, error) {
	conn, err := c.inUse(ctx, actor, id)
	switch {
	case err != nil:
		return conn, err
	case conn.Vendor != RaygunV3:
		return conn, invalid("“%s” is a connection to %s, which has no application to choose.", conn.Name, conn.Vendor)
	case conn.Application != "":
		return conn, &Error{Kind: Conflict, Msg: fmt.Sprintf("“%s” has its application already. What it brought is of that one: for another, add another connection.", conn.Name)}
	}
	return conn, nil
}

// applications carries out AskApplications.
func (c *Connections) applications(ctx context.Context, ask Ask) (any, string, error) {
	v3, conn, err := c.raygunV3(ctx, ask.Org, ask.Connection)
	if err != nil {
		return nil, "", err
	}
	all, err := v3.Applications(ctx)
	if err != nil {
		return nil, "", vendorError(conn, err, c.now())
	}
	same := c.apiKeys(ctx, ask.Org)
	list := make([]Application, len(all))
	for i, a := range all {
		// The API keys that came along stay here: they open v1.
		list[i] = Application{ID: a.ID, Name: db.CleanText(a.Name), Sessions: a.HasRUM, Same: sameKey(same, a)}
	}
	// Those with sessions first; the vendor's order otherwise.
	sortBy(list, func(a, b Application) int {
		switch {
		case a.Sessions == b.Sessions:
			return 0
		case a.Sessions:
			return -1
		}
		return 1
	})
	return list, fmt.Sprintf("Raygun v3 shows the token %s.", plural(len(list), "application")), nil
}

func sameKey(keys map[string]secrets.Secret, a raygun.Application) string {
	for name, key := range keys {
		if !key.IsZero() && key.Reveal() == a.APIKey.Reveal() {
			return name
		}
	}
	return ""
}

// apiKeys are the keys of the connections through v1, by the connections' names.
// They are for a hint: what cannot be read is logged and left out, and the list
// that was paid for is kept.
func (c *Connections) apiKeys(ctx context.Context, org OrgID) map[string]secrets.Secret {
	out := map[string]secrets.Secret{}
	conns, err := c.List(ctx, org)
	if err != nil {
		c.log.ErrorContext(ctx, "connections could not be compared with applications", "org", int64(org), "err", err)
	}
	for _, conn := range conns {
		if conn.Vendor != Raygun {
			continue
		}
		keys, err := c.open(ctx, conn)
		if err != nil {
			c.log.ErrorContext(ctx, "a connection could not be compared with applications", "connection", int64(conn.ID), "err", err)
			continue
		}
		out[conn.Name] = keys[fieldAPIKey]
	}
	return out
}

// ChooseApplication says which application a Raygun v3 connection is for: one
// that its token sees. It is chosen once.
func (c *Connections) ChooseApplication(ctx context.Context, actor Actor, id ConnectionID, application string) (Problems, error) {
	conn, err := c.choosing(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	list, ask, ok, err := c.Applications(ctx, conn)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(a Application) bool { return a.ID == application })
	switch {
	case application == "":
		return Problems{FieldApplication: "Choose one of the applications."}, nil
	case !ok:
		return Problems{FieldApplication: "Which applications the token sees was not asked yet. List them first."}, nil
	case ask.State.Open():
		return Problems{FieldApplication: "The list of applications has not come yet. Choose once it is here."}, nil
	case ask.State != AskDone:
		return Problems{FieldApplication: "The list of applications did not come. " + strings.TrimSuffix(ask.Message, fromMirror)}, nil
	case i < 0 || !raygun.IsID(application):
		return Problems{FieldApplication: "The token does not see this application. Choose one of those that it sees."}, nil
	}
	e := c.entry(actor, "connection.application", conn.Name, fmt.Sprintf("Chose the application “%s” for the Raygun v3 connection “%s”", list[i].Name, conn.Name))
	e.After = historyFields(map[string]string{"Application": list[i].ID})
	err = c.db.Org(actor.Org).SetApplication(ctx, id, list[i].Name, list[i].ID, e)
	c.drop(id)
	if err != nil {
		return nil, notFound(err, noConnection)
	}
	return nil, c.wake(ctx, actor.Org, id)
}
