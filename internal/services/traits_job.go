package services

import (
	"context"
	"fmt"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/logrocket"
)

// jobTraitEdit is the queue's kind for trait edits.
const jobTraitEdit = "trait_edit"

// settle ends what a crash left in "sending" and queues again what was queued.
func (t *Traits) settle(ctx context.Context) error {
	rows, err := t.db.OpenTraitEditsUnscoped(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if TraitEditState(r.State) == TraitsSending {
			if err := t.settleSending(ctx, r.Org, TraitEditID(r.ID)); err != nil {
				return err
			}
			continue
		}
		// A second job for the same edit finds it started and does nothing.
		if err := t.queue.again(ctx, jobTraitEdit, r.Org, r.ID, 0); err != nil {
			return err
		}
	}
	return nil
}

// settleSending ends an edit that was cut off while it was being sent.
func (t *Traits) settleSending(ctx context.Context, org OrgID, id TraitEditID) error {
	e, err := t.Get(ctx, org, id)
	if err != nil {
		return err
	}
	return t.end(ctx, org, e, db.TraitOutcome{
		State:   string(TraitsUnknown),
		Message: "Sightline was cut off while it sent this edit. We do not know whether LogRocket got it. Sending it again does no harm: it sets the same values.",
	})
}

// run sends one queued edit.
func (t *Traits) run(ctx context.Context, org OrgID, id int64) (time.Duration, error) {
	if !t.busy.enter(id) {
		return 0, nil
	}
	defer t.busy.leave(id)
	e, err := t.Get(ctx, org, TraitEditID(id))
	if err != nil {
		return 0, err
	}
	switch e.State {
	case TraitsQueued:
		return 0, t.send(ctx, org, e)
	case TraitsSending:
		return 0, t.settleSending(ctx, org, e.ID)
	}
	return 0, nil
}

// send puts the change, once. "Sending" is committed before anything leaves, so
// that whoever finds it there later knows that it may have arrived.
func (t *Traits) send(ctx context.Context, org OrgID, e TraitEdit) error {
	back := func(ctx context.Context) error { return t.db.Org(org).PutBackTraitEdit(ctx, e.ID) }
	client, conn, err := t.conns.logrocket(ctx, org, e.Connection)
	if stopped(ctx) {
		return nil
	}
	if err != nil {
		out := db.TraitOutcome{State: string(TraitsFailed)}
		out.Message, out.ErrorKind = said(conn, err, t.now())
		return t.end(ctx, org, e, out)
	}
	started, err := t.db.Org(org).StartTraitEdit(ctx, e.ID, t.now())
	if err != nil {
		if stopped(ctx) {
			return putBack(ctx, back)
		}
		return err
	}
	update := logrocket.UserUpdate{Name: e.Request.Name, Email: e.Request.Email, Timestamp: started.SentAt}
	if len(e.Request.Traits) > 0 {
		update.Traits = make(map[string]any, len(e.Request.Traits))
		for k, v := range e.Request.Traits {
			update.Traits[k] = v
		}
	}
	spend := withSpender(ctx, spender{Org: org, Connection: e.Connection, Actor: e.Author, Customer: e.Customer})
	answer, err := client.UpdateUser(spend, e.UserID, update)
	if stopped(ctx) && neverLeft(err) {
		return putBack(ctx, back)
	}
	if err != nil {
		out := db.TraitOutcome{State: string(TraitsFailed)}
		out.Message, out.ErrorKind = said(conn, err, t.now())
		if mayHaveArrived(err) {
			out.State = string(TraitsUnknown)
			out.Message += " We do not know whether LogRocket got the edit. Sending it again does no harm: it sets the same values."
		}
		return t.end(ctx, org, e, out)
	}
	before, err := t.User(ctx, org, e.Customer, e.Connection, e.UserID)
	if err != nil {
		// LogRocket has it; what was known before only fills gaps of its answer.
		t.log.ErrorContext(ctx, "what was known before an edit cannot be read", "edit", int64(e.ID), "err", err)
	}
	known := after(before, e.Request)
	msg := "LogRocket has accepted the edit."
	if answer.Name != nil {
		known.Name = *answer.Name
	}
	if answer.Email != nil {
		known.Email = *answer.Email
	}
	if answer.Traits != nil {
		known.Traits = map[string]string{}
		for k, v := range answer.Traits {
			if v != "" {
				known.Traits[k] = v
			}
		}
	}
	if other := differing(e.Request, known); len(other) > 0 {
		msg = fmt.Sprintf("LogRocket has accepted the edit, but answered with other values than those sent for %s. What it answered is kept.", joinSome(other, 5))
	}
	return t.end(ctx, org, e, db.TraitOutcome{State: string(TraitsSent), Message: msg, Known: &known})
}

// differing names what LogRocket answered otherwise than it was asked for.
func differing(r TraitRequest, k db.KnownUser) []string {
	var out []string
	if r.Name != nil && *r.Name != k.Name {
		out = append(out, "name")
	}
	if r.Email != nil && *r.Email != k.Email {
		out = append(out, "email")
	}
	for _, key := range sortedKeys(r.Traits) {
		if r.Traits[key] != k.Traits[key] {
			out = append(out, "“"+key+"”")
		}
	}
	return out
}

// end stores how an edit ended with its history entry, which names the author:
// it was theirs, whoever carried it out.
func (t *Traits) end(ctx context.Context, org OrgID, e TraitEdit, out db.TraitOutcome) error {
	conn, err := t.conns.Get(ctx, org, e.Connection)
	if err != nil {
		conn = Connection{Name: "a removed connection"}
	}
	out.At = t.now()
	action, summary := "trait.edit", traitSummary(e, conn.Name)
	switch TraitEditState(out.State) {
	case TraitsFailed:
		action, summary = "trait.failed", "Not done: "+summary+" "+out.Message
	case TraitsUnknown:
		action, summary = "trait.unknown", "Perhaps done: "+summary+" "+out.Message
	}
	name := e.AuthorName
	if name == "" {
		name = "Sightline"
	}
	out.History = db.HistoryEntry{
		At: out.At, Actor: e.Author, ActorName: name, Action: action, Subject: e.UserID, Customer: e.Customer, Connection: e.Connection,
		Summary: summary, Reason: e.Reason,
		Before: historyFields(changedFields(e.Changes, func(c TraitChange) *string { return c.Before })),
		After:  historyFields(changedFields(e.Changes, func(c TraitChange) *string { return c.After })),
	}
	if err := persist(ctx, func(ctx context.Context) error { return t.db.Org(org).EndTraitEdit(ctx, e.ID, out) }); err != nil {
		return fmt.Errorf("end trait edit %d as %s: %w", e.ID, out.State, err)
	}
	return nil
}
