package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sightline/internal/db"
	"sightline/internal/services/raygun"
)

const nameTaken = "Another connection has this name already."

// mayConnect says whether the actor may change connections.
func mayConnect(a Actor) error {
	if a.Role < Admin {
		return &Error{Kind: Denied, Msg: "Connections are changed by members with the role admin or owner. Ask one of them."}
	}
	return nil
}

// mayAsk says whether the actor may spend a Raygun connection's calls.
func mayAsk(a Actor) error {
	if a.Role < Support {
		return &Error{Kind: Denied, Msg: "Members with the role support, admin or owner may ask Raygun."}
	}
	return nil
}

// wake makes the keeper of mirrors look at a connection that changed, and what
// waits for highlights, reads the audit log or follows exports.
func (c *Connections) wake(ctx context.Context, org OrgID, id ConnectionID) error {
	for _, wake := range []func(context.Context, OrgID, ConnectionID) error{c.wakeSync, c.wakeHighlights, c.wakeAudit, c.wakeExports} {
		if wake == nil {
			continue
		}
		if err := wake(ctx, org, id); err != nil {
			return err
		}
	}
	return nil
}

// Add stores a new connection. Faults that the person can correct come back as
// problems. Nothing is asked of the vendor: Test does that.
func (c *Connections) Add(ctx context.Context, actor Actor, f ConnectionForm) (Connection, Problems, error) {
	if err := mayConnect(actor); err != nil {
		return Connection{}, nil, err
	}
	if !f.Vendor.IsRaygun() && f.Vendor != LogRocket {
		return Connection{}, Problems{FieldVendor: "Choose Raygun or LogRocket."}, nil
	}
	f.Name = strings.TrimSpace(f.Name)
	f, problems := f.check(true)
	if msg := checkName(f.Name); msg != "" {
		problems[FieldName] = msg
	}
	if len(problems) > 0 {
		return Connection{}, problems, nil
	}
	row := db.Connection{
		Vendor: string(f.Vendor), Name: f.Name, OrgSlug: f.OrgSlug, AppSlug: f.AppSlug, CreatedBy: actor.User, CreatedAt: c.now(),
	}
	order, given := f.secretsOf()
	after := map[string]string{"Vendor": f.Vendor.String(), "Name": f.Name}
	switch f.Vendor {
	case Raygun:
		row.Allowance, row.Reserve, row.Share = raygun.CapabilitiesV1().DailyCalls, raygunReserve, max(0, f.Share)
	case RaygunV3:
		row.Allowance, row.Reserve, row.Share = raygun.CapabilitiesV3().DailyCalls, raygunV3Reserve, max(0, f.Share)
		if row.AppSlug = f.Application; row.AppSlug != "" {
			after["Application"] = f.Application
		}
	case LogRocket:
		after["App"] = f.OrgSlug + "/" + f.AppSlug
	}
	for _, field := range order {
		after[secretLabels[field]] = "set"
	}
	if f.Sync && f.Vendor.IsRaygun() {
		after["Sync"] = "on"
	}
	e := c.entry(actor, "connection.add", f.Name, fmt.Sprintf("Added the %s connection “%s”", f.Vendor, f.Name))
	e.After = historyFields(after)
	out, err := c.db.Org(actor.Org).AddConnection(ctx, row, c.seal(actor.Org, given), e)
	if errors.Is(err, db.ErrExists) {
		return Connection{}, Problems{FieldName: nameTaken}, nil
	}
	if err != nil {
		return Connection{}, nil, fmt.Errorf("add a connection to organization %d: %w", actor.Org, err)
	}
	if f.Sync && f.Vendor.IsRaygun() && c.wakeSync != nil {
		// After the connection, not with it: cut off in between, it is there with its
		// sync off, which its page shows.
		if err := c.db.Org(actor.Org).SetSync(ctx, out.ID, db.SyncSettings{
			Enabled: true, RetentionDays: DefaultRetentionDays, Details: f.Details, DetailCalls: DefaultDetailCalls(f.Vendor),
		}, nil); err != nil {
			return Connection{}, nil, err
		}
		if err := c.wake(ctx, actor.Org, out.ID); err != nil {
			return Connection{}, nil, err
		}
	}
	if f.Audit && f.Vendor == LogRocket && c.wakeAudit != nil {
		if err := c.db.Org(actor.Org).SetAuditFollow(ctx, out.ID, true, nil, c.auditEntry(actor, f.Name, true)); err != nil {
			return Connection{}, nil, err
		}
		if err := c.wake(ctx, actor.Org, out.ID); err != nil {
			return Connection{}, nil, err
		}
	}
	return connectionOf(actor.Org, out), nil, nil
}

// Rename gives a connection another name.
func (c *Connections) Rename(ctx context.Context, actor Actor, id ConnectionID, name string) (Problems, error) {
	conn, err := c.inUse(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	name = strings.TrimSpace(name)
	if msg := checkName(name); msg != "" {
		return Problems{FieldName: msg}, nil
	}
	if name == conn.Name {
		return nil, nil
	}
	e := c.entry(actor, "connection.rename", name, fmt.Sprintf("Renamed the %s connection “%s” to “%s”", conn.Vendor, conn.Name, name))
	e.Before, e.After = historyFields(map[string]string{"Name": conn.Name}), historyFields(map[string]string{"Name": name})
	err = c.db.Org(actor.Org).RenameConnection(ctx, id, name, e)
	if errors.Is(err, db.ErrExists) {
		return Problems{FieldName: nameTaken}, nil
	}
	return nil, notFound(err, noConnection)
}

// Rotate replaces the secrets that are given and keeps the others. For
// LogRocket blank slugs are read off a new key, else kept. Whatever waits
// because of how the old ones fared is tried at once.
func (c *Connections) Rotate(ctx context.Context, actor Actor, id ConnectionID, f ConnectionForm) (Problems, error) {
	conn, err := c.inUse(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	f.Vendor = conn.Vendor
	if f.Key.IsZero() {
		f.OrgSlug, f.AppSlug = orElse(strings.TrimSpace(f.OrgSlug), conn.OrgSlug), orElse(strings.TrimSpace(f.AppSlug), conn.AppSlug)
	}
	f, problems := f.check(false)
	order, given := f.secretsOf()
	before, after := map[string]string{}, map[string]string{}
	for _, field := range order {
		if !given[field].IsZero() {
			before[secretLabels[field]], after[secretLabels[field]] = "set", "replaced"
		}
	}
	if f.OrgSlug != conn.OrgSlug || f.AppSlug != conn.AppSlug {
		before["App"], after["App"] = conn.OrgSlug+"/"+conn.AppSlug, f.OrgSlug+"/"+f.AppSlug
	}
	if len(problems) == 0 && len(after) == 0 {
		problems[order[0]] = "Nothing was typed, so nothing was replaced. Paste what has changed; what stays empty is kept."
	}
	if len(problems) > 0 {
		return problems, nil
	}
	e := c.entry(actor, "connection.rotate", conn.Name, fmt.Sprintf("Rotated the credentials of the %s connection “%s”", conn.Vendor, conn.Name))
	e.Before, e.After = historyFields(before), historyFields(after)
	err = c.db.Org(actor.Org).RotateConnection(ctx, id, f.OrgSlug, f.AppSlug, c.seal(actor.Org, given), e)
	c.drop(id)
	if err != nil {
		return nil, notFound(err, noConnection)
	}
	return nil, c.wake(ctx, actor.Org, id)
}

// Reconnect puts a connection that was removed to use again: what it brought
// and what comes are of one connection then. Every secret is needed, for those
// it had are erased. What was switched on goes on, a Raygun v3 connection with
// the application it had.
func (c *Connections) Reconnect(ctx context.Context, actor Actor, id ConnectionID, f ConnectionForm) (Problems, error) {
	if err := mayConnect(actor); err != nil {
		return nil, err
	}
	conn, err := c.Get(ctx, actor.Org, id)
	if err != nil {
		return nil, err
	}
	inUse := &Error{Kind: Conflict, Msg: fmt.Sprintf("The connection “%s” is in use. To replace its credentials, rotate them on its page.", conn.Name)}
	if !conn.Removed() {
		return nil, inUse
	}
	f.Vendor, f.Name, f.Application = conn.Vendor, strings.TrimSpace(f.Name), ""
	f, problems := f.check(true)
	if msg := checkName(f.Name); msg != "" {
		problems[FieldName] = msg
	}
	if len(problems) > 0 {
		return problems, nil
	}
	before, after := map[string]string{}, map[string]string{}
	order, given := f.secretsOf()
	for _, field := range order {
		before[secretLabels[field]], after[secretLabels[field]] = "erased", "set"
	}
	if f.Name != conn.Name {
		before["Name"], after["Name"] = conn.Name, f.Name
	}
	if f.OrgSlug != conn.OrgSlug || f.AppSlug != conn.AppSlug {
		before["App"], after["App"] = conn.OrgSlug+"/"+conn.AppSlug, f.OrgSlug+"/"+f.AppSlug
	}
	e := c.entry(actor, "connection.reconnect", f.Name, fmt.Sprintf("Connected the %s connection “%s” again", conn.Vendor, f.Name))
	e.Before, e.After = historyFields(before), historyFields(after)
	err = c.db.Org(actor.Org).ReconnectConnection(ctx, id, f.Name, f.OrgSlug, f.AppSlug, c.seal(actor.Org, given), e)
	c.drop(id)
	switch {
	case errors.Is(err, db.ErrExists):
		return Problems{FieldName: nameTaken + " Choose another one."}, nil
	case errors.Is(err, db.ErrNotFound): // somebody connected it just now
		return nil, inUse
	case err != nil:
		return nil, fmt.Errorf("connect connection %d again: %w", id, err)
	}
	return nil, c.wake(ctx, actor.Org, id)
}

// Remove takes a connection out of use and erases its secrets. What it
// brought, the ledger and the history stay.
func (c *Connections) Remove(ctx context.Context, actor Actor, id ConnectionID) error {
	conn, err := c.inUse(ctx, actor, id)
	if err != nil {
		return err
	}
	e := c.entry(actor, "connection.remove", conn.Name, fmt.Sprintf("Removed the %s connection “%s”", conn.Vendor, conn.Name))
	before, after := map[string]string{}, map[string]string{}
	order, _ := ConnectionForm{Vendor: conn.Vendor}.secretsOf()
	for _, field := range order {
		before[secretLabels[field]], after[secretLabels[field]] = "set", "erased"
	}
	e.Before, e.After = historyFields(before), historyFields(after)
	err = c.db.Org(actor.Org).RemoveConnection(ctx, id, e)
	c.drop(id)
	return notFound(err, noConnection)
}

// inUse finds a connection that the actor may change.
func (c *Connections) inUse(ctx context.Context, actor Actor, id ConnectionID) (Connection, error) {
	if err := mayConnect(actor); err != nil {
		return Connection{}, err
	}
	conn, err := c.Get(ctx, actor.Org, id)
	if err == nil && conn.Removed() {
		err = &Error{Kind: Conflict, Msg: fmt.Sprintf("The connection “%s” was removed already.", conn.Name)}
	}
	return conn, err
}

func (c *Connections) entry(actor Actor, action, subject, summary string) db.HistoryEntry {
	return db.HistoryEntry{
		At: c.now(), Actor: actor.User, ActorName: actor.Name, Action: action, Subject: subject, Summary: summary,
	}
}

// historyFields writes fields for the history, where a page shows them one by
// one. No fields give "".
func historyFields(fields map[string]string) string {
	if len(fields) == 0 {
		return ""
	}
	b, err := json.Marshal(fields) // keys come sorted
	if err != nil {
		return "" // cannot be: texts always marshal
	}
	return string(b)
}
