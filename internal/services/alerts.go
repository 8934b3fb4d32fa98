package services

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/upstream"
)

// Limits of what is kept of an alert.
const (
	maxAlertBody = 16 << 10 // bytes of the body
	maxAlertText = 2000     // characters of each text read out of it
	// keptAlerts is how many alerts of a connection stay, the newest: whoever has
	// the address can send any number.
	keptAlerts = 5000
)

// Alert is an issue alert that LogRocket sent. Its texts are as they came and
// may be anything.
type Alert struct {
	db.Alert
	// IssueURL and ScreenshotURL lead into the LogRocket app; empty where the
	// alert names no address there.
	IssueURL, ScreenshotURL string
}

// Alerts takes in LogRocket's issue alerts and lists them.
type Alerts struct {
	db          *db.DB
	connections *Connections
	links       *Markdown
	now         func() time.Time
}

func newAlerts(d *db.DB, c *Connections, links *Markdown, now func() time.Time) *Alerts {
	return &Alerts{db: d, connections: c, links: links, now: now}
}

// AlertHook is the connection that an address for alerts belongs to.
type AlertHook struct{ row db.AlertHook }

// Hook finds whose address ends with token. An unknown one, one that was
// renewed and one of a removed connection are NotFound.
func (a *Alerts) Hook(ctx context.Context, token string) (AlertHook, error) {
	row, err := a.db.AlertHookUnscoped(ctx, hookHash(token))
	if err != nil {
		return AlertHook{}, notFound(err, "There is no such address.")
	}
	return AlertHook{row}, nil
}

// Receive keeps what was sent to an address: the same body once, however often
// it comes. What is no alert is kept too, as the text it is.
func (a *Alerts) Receive(ctx context.Context, hook AlertHook, body []byte) error {
	row := readAlert(body)
	row.Connection, row.ReceivedAt = hook.row.Connection, a.now()
	sum := sha256.Sum256(body)
	err := a.db.Org(hook.row.Org).PutAlert(ctx, row, sum[:], keptAlerts)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return fmt.Errorf("store an alert of connection %d: %w", row.Connection, err)
	}
	return nil
}

// readAlert reads what it can out of a body: its form is documented by one
// example alone.
func readAlert(body []byte) db.Alert {
	row := db.Alert{Body: alertText(string(body[:min(len(body), maxAlertBody)]), maxAlertBody)}
	answer, ok := upstream.ParseObject(body)
	if !ok {
		return row
	}
	issue := answer.Object("issue")
	text := func(o upstream.Object, keys ...string) string { return alertText(o.Text(keys...), maxAlertText) }
	row.Title, row.IssueType = text(answer, "title"), text(issue, "issuetype")
	row.Label, row.Description = text(issue, "label"), text(issue, "issuedescription", "description")
	row.URL, row.Screenshot = text(issue, "url"), text(issue, "screenshoturl")
	row.Sessions, row.Rate = text(issue, "sessioncount"), text(issue, "sessionrate")
	row.FirstSeen = secondsOrTime(issue, "firstseen")
	return row
}

// secondsOrTime reads a moment that is in seconds since 1970 in LogRocket's
// example and might be in milliseconds or a text.
func secondsOrTime(o upstream.Object, key string) time.Time {
	if n, ok := o.Int(key); ok {
		switch {
		case n > 0 && n < 1<<33:
			return time.Unix(n, 0).UTC()
		case n >= 1<<33 && n < 1<<47:
			return time.UnixMilli(n).UTC()
		}
		return time.Time{}
	}
	return o.Time(key)
}

// alertText is at most n characters of a text, without what a page or the
// database cannot hold.
func alertText(s string, n int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	count := 0
	for i := range s {
		if count++; count > n {
			return s[:i]
		}
	}
	return s
}

// List lists alerts newest first, of one connection unless that is 0.
func (a *Alerts) List(ctx context.Context, org OrgID, conn ConnectionID, after Moment, limit int) ([]Alert, error) {
	rows, err := a.db.Org(org).Alerts(ctx, conn, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	out := make([]Alert, len(rows))
	for i, r := range rows {
		out[i] = Alert{Alert: r, IssueURL: a.link(r.URL), ScreenshotURL: a.link(r.Screenshot)}
	}
	return out, nil
}

// link is an address if it leads into the LogRocket app, else empty.
func (a *Alerts) link(address string) string {
	if u, ok := a.links.Link(strings.TrimSpace(address)); ok {
		return u.String()
	}
	return ""
}

// Address says since when a connection has an address for alerts; ok is false
// if it has none.
func (a *Alerts) Address(ctx context.Context, org OrgID, conn ConnectionID) (since time.Time, ok bool, err error) {
	row, err := a.db.Org(org).AlertHook(ctx, conn)
	if errors.Is(err, db.ErrNotFound) {
		return time.Time{}, false, nil
	}
	return row.CreatedAt, err == nil, err
}

// SetAddress gives a connection a new address for alerts and returns its secret
// part, which is kept nowhere; the one before stops working.
func (a *Alerts) SetAddress(ctx context.Context, actor Actor, id ConnectionID) (token string, err error) {
	conn, err := a.rocket(ctx, actor, id)
	if err != nil {
		return "", err
	}
	token = randomToken()
	e := a.connections.entry(actor, "connection.alerts", conn.Name, fmt.Sprintf("Made a new address for issue alerts of “%s”", conn.Name))
	if err := a.db.Org(actor.Org).SetAlertHook(ctx, id, hookHash(token), e); err != nil {
		return "", notFound(err, noConnection)
	}
	return token, nil
}

// CloseAddress takes a connection's address for alerts away. One that is gone
// already is no error.
func (a *Alerts) CloseAddress(ctx context.Context, actor Actor, id ConnectionID) error {
	conn, err := a.rocket(ctx, actor, id)
	if err != nil {
		return err
	}
	e := a.connections.entry(actor, "connection.alerts", conn.Name, fmt.Sprintf("Closed the address for issue alerts of “%s”", conn.Name))
	if err := a.db.Org(actor.Org).SetAlertHook(ctx, id, nil, e); err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	return nil
}

// rocket finds a LogRocket connection in use that the actor may change.
func (a *Alerts) rocket(ctx context.Context, actor Actor, id ConnectionID) (Connection, error) {
	conn, err := a.connections.inUse(ctx, actor, id)
	if err == nil && conn.Vendor != LogRocket {
		err = invalid("“%s” is a connection to %s. Only LogRocket has that.", conn.Name, conn.Vendor)
	}
	return conn, err
}
