package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"sightline/internal/db"
)

// moved says that a bulk edit is not where somebody thought.
func (s *Bulks) moved(ctx context.Context, org OrgID, id BulkID, err error) error {
	switch {
	case errors.Is(err, db.ErrExists):
		return &Error{Kind: Conflict, Msg: "Another bulk edit is being sent through this connection. Wait until it has ended, or pause it, then send this one.", Err: err}
	case !errors.Is(err, db.ErrNotFound):
		return err
	}
	if _, gerr := s.Get(ctx, org, id); gerr != nil {
		return gerr
	}
	return &Error{Kind: Conflict, Msg: "This bulk edit has moved on meanwhile. Look at its page to see where it is.", Err: err}
}

// Plan has the dry run go through a file; nothing is sent. Faults of the
// mapping come back as problems.
func (s *Bulks) Plan(ctx context.Context, actor Actor, id BulkID, m BulkMapping) (Bulk, Problems, error) {
	if err := mayBulk(actor); err != nil {
		return Bulk{}, nil, err
	}
	b, err := s.Get(ctx, actor.Org, id)
	if err != nil {
		return b, nil, err
	}
	if b.UndoOf != 0 {
		return b, nil, s.moved(ctx, actor.Org, id, db.ErrNotFound)
	}
	for i := range m.Columns {
		m.Columns[i].Key = strings.TrimSpace(m.Columns[i].Key)
	}
	if p := m.check(b.Format.Columns); len(p) > 0 {
		return b, p, nil
	}
	text, err := json.Marshal(m)
	if err != nil {
		return b, nil, err
	}
	if err := s.db.Org(actor.Org).PlanBulk(ctx, id, string(text), s.now(), s.queue.put(jobBulk, actor.Org, 0)); err != nil {
		return b, nil, s.moved(ctx, actor.Org, id, err)
	}
	b, err = s.Get(ctx, actor.Org, id)
	return b, nil, err
}

// turn is what a member has a bulk edit do, with its history.
func (s *Bulks) turn(ctx context.Context, actor Actor, b Bulk, action, summary string) db.BulkTurn {
	conn, err := s.conns.Get(ctx, actor.Org, b.Connection)
	if err != nil {
		conn = Connection{Name: "a removed connection"}
	}
	return db.BulkTurn{Author: actor.User, At: s.now(), History: db.HistoryEntry{
		At: s.now(), Actor: actor.User, ActorName: actor.Name, Action: action, Subject: b.title(), Connection: b.Connection,
		Summary: fmt.Sprintf("%s of bulk edit %d (%s) through “%s”.", summary, b.ID, b.title(), conn.Name), Reason: b.Reason,
	}}
}

// title is a bulk edit in a few words.
func (b Bulk) title() string {
	if b.UndoOf != 0 {
		return fmt.Sprintf("undo of bulk edit %d", b.UndoOf)
	}
	return "file “" + short(b.FileName) + "”"
}

// Send has the lines of a dry run sent, at most rate a second. A second press
// of the button finds it started, which is no problem.
func (s *Bulks) Send(ctx context.Context, actor Actor, id BulkID, rate int, reason string) (Bulk, Problems, error) {
	if err := mayBulk(actor); err != nil {
		return Bulk{}, nil, err
	}
	b, err := s.Get(ctx, actor.Org, id)
	if err != nil {
		return b, nil, err
	}
	if !b.StartedAt.IsZero() {
		return b, nil, nil
	}
	p := Problems{}
	if n := utf8.RuneCountInString(reason); n > MaxReason {
		p["reason"] = fmt.Sprintf("The reason has %d characters; at most %d are kept. Shorten it by %d.", n, MaxReason, n-MaxReason)
	} else if !utf8.ValidString(reason) {
		p["reason"] = "The reason holds characters that cannot be kept."
	}
	if !slices.Contains(BulkRates(), rate) {
		p["rate"] = "Choose how many lines are sent a second."
	}
	if b.State == BulkPlanned && b.Ready == 0 {
		p["form"] = "No line changes anything, so there is nothing to send."
	}
	if len(p) > 0 {
		return b, p, nil
	}
	b.Reason = reason
	t := s.turn(ctx, actor, b, "trait.bulk", fmt.Sprintf("Began to send %s", plural(b.Ready, "line")))
	t.Reason, t.Rate = reason, rate
	if err := s.db.Org(actor.Org).StartBulk(ctx, id, t, s.queue.put(jobBulk, actor.Org, 0)); err != nil {
		return b, nil, s.moved(ctx, actor.Org, id, err)
	}
	b, err = s.Get(ctx, actor.Org, id)
	return b, nil, err
}

// Pause leaves a bulk edit until somebody has it go on. One that is not being
// sent stays as it is.
func (s *Bulks) Pause(ctx context.Context, actor Actor, id BulkID) (Bulk, error) {
	return s.turnTo(ctx, actor, id, func(b Bulk) error {
		return s.db.Org(actor.Org).PauseBulk(ctx, id, fmt.Sprintf("Paused by %s.", actor.Name), s.now())
	})
}

// Resume has a paused bulk edit go on. One that is not paused stays as it is.
func (s *Bulks) Resume(ctx context.Context, actor Actor, id BulkID) (Bulk, error) {
	return s.turnTo(ctx, actor, id, func(b Bulk) error {
		if b.State != BulkPaused {
			return nil
		}
		return s.db.Org(actor.Org).ResumeBulk(ctx, id, db.BulkTurn{At: s.now()}, s.queue.put(jobBulk, actor.Org, 0))
	})
}

// Cancel ends a bulk edit; what was sent stays sent. The lines of one of which
// nothing was sent are dropped.
func (s *Bulks) Cancel(ctx context.Context, actor Actor, id BulkID) (Bulk, error) {
	return s.turnTo(ctx, actor, id, func(b Bulk) error {
		if b.State == BulkDone || b.State == BulkCancelled {
			return nil
		}
		var h db.HistoryEntry
		if !b.StartedAt.IsZero() {
			h = s.turn(ctx, actor, b, "trait.bulk_cancel", fmt.Sprintf("Cancelled the rest, %s,", plural(b.Ready, "line"))).History
		}
		org := s.db.Org(actor.Org)
		if err := org.EndBulk(ctx, id, db.BulkCancelled, s.now(), h); err != nil || !b.StartedAt.IsZero() {
			return err
		}
		return s.dropLines(ctx, org, id)
	})
}

// dropLines takes the lines off a bulk edit, some at a time: others write too.
func (s *Bulks) dropLines(ctx context.Context, org db.Org, id BulkID) error {
	const batch = 2000
	for {
		n, err := org.DropBulkLines(ctx, id, batch)
		if err != nil || n < batch {
			return err
		}
	}
}

// Again sends the lines anew that failed or of which nobody knows whether they
// arrived: only a member says so.
func (s *Bulks) Again(ctx context.Context, actor Actor, id BulkID) (Bulk, error) {
	return s.turnTo(ctx, actor, id, func(b Bulk) error {
		if b.State == BulkRunning || b.Failed+b.Unknown == 0 {
			return nil
		}
		t := s.turn(ctx, actor, b, "trait.bulk", fmt.Sprintf("Sent %s again that failed or perhaps did not arrive,", plural(b.Failed+b.Unknown, "line")))
		return s.db.Org(actor.Org).AgainBulk(ctx, id, t, s.queue.put(jobBulk, actor.Org, 0))
	})
}

func (s *Bulks) turnTo(ctx context.Context, actor Actor, id BulkID, do func(Bulk) error) (Bulk, error) {
	if err := mayBulk(actor); err != nil {
		return Bulk{}, err
	}
	b, err := s.Get(ctx, actor.Org, id)
	if err != nil {
		return b, err
	}
	if err := do(b); err != nil && !errors.Is(err, db.ErrNotFound) {
		return b, s.moved(ctx, actor.Org, id, err)
	}
	return s.Get(ctx, actor.Org, id)
}

// Undo makes a bulk edit that takes back what another one did, as far as what
// was there before is known. It begins with a dry run of its own.
func (s *Bulks) Undo(ctx context.Context, actor Actor, id BulkID, formToken string) (Bulk, error) {
	if err := mayBulk(actor); err != nil {
		return Bulk{}, err
	}
	of, err := s.Get(ctx, actor.Org, id)
	if err != nil {
		return of, err
	}
	if of.State != BulkDone && of.State != BulkCancelled && of.State != BulkPaused || of.Sent+of.Unknown == 0 {
		return of, &Error{Kind: Conflict, Msg: "There is nothing to take back: either nothing was sent, or it is still being sent. Pause or cancel it first."}
	}
	row, _, err := s.db.Org(actor.Org).AddBulk(ctx, db.NewBulk{
		Connection: of.Connection, Author: actor.User, UndoOf: id, FormToken: formKey(formToken, "bulk undo"), At: s.now(),
	}, s.queue.put(jobBulk, actor.Org, 0))
	if err != nil {
		return of, notFound(err, "The connection was removed, so nothing can be taken back through it.")
	}
	return s.bulkOf(row)
}
