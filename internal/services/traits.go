package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"sightline/internal/db"
)

// MaxReason is the most characters of a reason for an edit.
const MaxReason = 500

// TraitEditState is how far an edit is.
type TraitEditState string

// The states of a trait edit. Unknown means that Sightline cannot tell whether
// LogRocket got it: only a person sends it again.
const (
	TraitsQueued  TraitEditState = "queued"
	TraitsSending TraitEditState = "sending"
	TraitsSent    TraitEditState = "sent"
	TraitsFailed  TraitEditState = "failed"
	TraitsUnknown TraitEditState = "unknown"
)

// Open reports whether the edit will still change by itself.
func (s TraitEditState) Open() bool { return s == TraitsQueued || s == TraitsSending }

// Traits edits what LogRocket knows about its users, and keeps what it
// answered: LogRocket offers no way to ask. An edit is a row with a state; a
// job sends it with one PUT at most.
type Traits struct {
	db    *db.DB
	queue *Queue
	conns *Connections
	log   *slog.Logger
	now   func() time.Time
	busy  busyRows
}

func newTraits(d *db.DB, q *Queue, c *Connections, log *slog.Logger, now func() time.Time) *Traits {
	t := &Traits{db: d, queue: q, conns: c, log: log, now: now}
	q.handle(jobTraitEdit, t.run)
	q.onStart(t.settle)
	return t
}

// LogRocketUser is what LogRocket last answered about one of its users.
type LogRocketUser struct {
	Connection ConnectionID
	Customer   CustomerID
	UserID     string // LogRocket's
	Name       string
	Email      string
	Traits     []Trait // by key
	// AnsweredAt is how old this is. It is zero if LogRocket never answered:
	// then nothing is known, which does not mean that there is nothing.
	AnsweredAt time.Time
	// LastEdit is the newest edit, whatever became of it; 0 if there is none.
	LastEdit TraitEditID
}

// Known reports whether LogRocket ever answered.
func (u LogRocketUser) Known() bool { return !u.AnsweredAt.IsZero() }

// Trait is one trait of a LogRocket user.
type Trait struct{ Key, Value string }

// TraitEdit is one change to a LogRocket user that a member asked for.
type TraitEdit struct {
	ID         TraitEditID
	Connection ConnectionID
	UserID     string // LogRocket's
	Customer   CustomerID
	Author     UserID
	AuthorName string // empty if they are gone
	Reason     string
	State      TraitEditState
	Message    string // a sentence for a person; may quote the vendor
	Request    TraitRequest
	Changes    []TraitChange // only of a single edit, see Get
	CreatedAt  time.Time
	SentAt     time.Time // zero until it was sent
	FinishedAt time.Time // zero while open
	// Undoes is the edit that this one takes back, whole or in part, and UndoneBy
	// the newest that takes back this one and was not refused; 0 for none.
	Undoes, UndoneBy TraitEditID
}

// TraitRequest and TraitChange are the store's: what an edit sends, and what
// it does to one field.
type (
	TraitRequest = db.TraitRequest
	TraitChange  = db.TraitChange
)

func traitEditOf(r db.TraitEdit) TraitEdit {
	return TraitEdit{
		ID: r.ID, Connection: r.Connection, UserID: r.UserID, Customer: r.Customer, Author: r.Author, AuthorName: r.AuthorName,
		Reason: r.Reason, State: TraitEditState(r.State), Message: r.Message, Request: r.Request,
		CreatedAt: r.CreatedAt, SentAt: r.SentAt, FinishedAt: r.FinishedAt, Undoes: r.Undoes, UndoneBy: r.UndoneBy,
	}
}

const noTraitEdit = "There is no such edit in this organization."

// ForCustomer returns the LogRocket users that a customer is known to be, with
// their traits.
func (t *Traits) ForCustomer(ctx context.Context, org OrgID, customer CustomerID) ([]LogRocketUser, error) {
	rows, err := t.db.Org(org).LogRocketUsers(ctx, customer)
	if err != nil {
		return nil, err
	}
	out := make([]LogRocketUser, len(rows))
	for i, r := range rows {
		if out[i], err = t.withTraits(ctx, org, r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t *Traits) withTraits(ctx context.Context, org OrgID, r db.LogRocketUser) (LogRocketUser, error) {
	rows, err := t.db.Org(org).Traits(ctx, r.ID)
	if err != nil {
		return LogRocketUser{}, err
	}
	u := LogRocketUser{
		Connection: r.Connection, Customer: r.Customer, UserID: r.UserID, Name: r.Name, Email: r.Email,
		AnsweredAt: r.AnsweredAt, LastEdit: r.LastEdit, Traits: make([]Trait, len(rows)),
	}
	for i, row := range rows {
		u.Traits[i] = Trait{Key: row.Key, Value: row.Value}
	}
	return u, nil
}

// User returns what is known of a LogRocket user. One whom nobody has edited
// yet is not an error: nothing is known of them.
func (t *Traits) User(ctx context.Context, org OrgID, customer CustomerID, c ConnectionID, userID string) (LogRocketUser, error) {
	row, err := t.db.Org(org).LogRocketUser(ctx, c, userID)
	if errors.Is(err, db.ErrNotFound) {
		return LogRocketUser{Connection: c, Customer: customer, UserID: userID}, nil
	}
	if err != nil {
		return LogRocketUser{}, err
	}
	return t.withTraits(ctx, org, row)
}

// UserIDs are the ids under which a connection may know a customer, the
// likeliest first: LogRocket's own, then what the site told Raygun, then the
// emails.
func (t *Traits) UserIDs(ctx context.Context, org OrgID, customer CustomerID, c ConnectionID) ([]string, error) {
	rows, err := t.db.Org(org).Identities(ctx, customer)
	if err != nil {
		return nil, err
	}
	var out []string
	add := func(kind db.IdentityKind, conn ConnectionID) {
		for _, r := range rows {
			if r.Kind == kind && (conn == 0 || r.Connection == conn) && !slices.Contains(out, r.Value) {
				out = append(out, r.Value)
			}
		}
	}
	add(db.IdentityLogRocketUser, c)
	add(db.IdentityRaygunIdentifier, 0)
	add(db.IdentityEmail, 0)
	return out, nil
}

// Get finds an edit with its changes.
func (t *Traits) Get(ctx context.Context, org OrgID, id TraitEditID) (TraitEdit, error) {
	row, err := t.db.Org(org).TraitEdit(ctx, id)
	if err != nil {
		return TraitEdit{}, notFound(err, noTraitEdit)
	}
	e := traitEditOf(row)
	e.Changes, err = t.db.Org(org).TraitChanges(ctx, id)
	return e, err
}

// Edits returns a customer's edits, newest first, at most limit: those older
// than before, and at the same millisecond those with a smaller id than
// beforeID; the zero time begins with the newest.
func (t *Traits) Edits(ctx context.Context, org OrgID, customer CustomerID, before time.Time, beforeID TraitEditID, limit int) ([]TraitEdit, error) {
	rows, err := t.db.Org(org).TraitEdits(ctx, customer, db.Moment{At: before, ID: int64(beforeID)}, time.Time{}, limit)
	out := make([]TraitEdit, len(rows))
	for i, r := range rows {
		out[i] = traitEditOf(r)
	}
	return out, err
}

// Wait returns the edit once it has ended, or as it stands after upTo.
func (t *Traits) Wait(ctx context.Context, org OrgID, id TraitEditID, upTo time.Duration) (TraitEdit, error) {
	return waitFor(ctx, upTo, func() (TraitEdit, bool, error) {
		e, err := t.Get(ctx, org, id)
		return e, !e.State.Open(), err
	})
}

// StalePlan is the error of Send when the user has changed since the form was
// opened: nothing was sent. Plan is what the form would do now.
type StalePlan struct{ Plan TraitPlan }

// Error says so.
func (e *StalePlan) Error() string { return "the user was changed meanwhile" }

// Send queues an edit. It sends only what differs from what is known. A form
// that was sent already returns the edit it made. *StalePlan if somebody else
// was first. Faults that the person can correct come back as problems.
func (t *Traits) Send(ctx context.Context, actor Actor, in TraitInput, reason, formToken string) (TraitEdit, Problems, error) {
	if actor.Role < Support {
		return TraitEdit{}, nil, &Error{Kind: Denied, Msg: "Editing traits changes what LogRocket shows to everybody, so it takes the support role."}
	}
	// A second press of the button comes when the first may have been carried
	// out already: then nothing differs any more, and that is no problem.
	key := formKey(formToken, in)
	if row, err := t.db.Org(actor.Org).TraitEditOfForm(ctx, key); !errors.Is(err, db.ErrNotFound) {
		return traitEditOf(row), nil, err
	}
	plan, problems, err := t.Plan(ctx, actor.Org, in)
	if err != nil {
		return TraitEdit{}, nil, err
	}
	if plan.Stale || plan.InFlight {
		delete(problems, "form") // why nothing differs is what must be said
	}
	if n := utf8.RuneCountInString(reason); n > MaxReason {
		problems["reason"] = fmt.Sprintf("The reason has %d characters; at most %d are kept. Shorten it by %d.", n, MaxReason, n-MaxReason)
	} else if !utf8.ValidString(reason) {
		problems["reason"] = "The reason holds characters that cannot be kept."
	}
	if len(problems) > 0 {
		return TraitEdit{}, problems, nil
	}
	if plan.Stale || plan.InFlight {
		return TraitEdit{}, nil, &StalePlan{Plan: plan}
	}
	row, err := t.db.Org(actor.Org).AddTraitEdit(ctx, db.NewTraitEdit{
		Connection: in.Connection, UserID: in.UserID, Customer: in.Customer, Author: actor.User, Reason: reason,
		FormToken: key, Seen: in.Seen, Request: plan.Request, Changes: plan.changes(), Undoes: in.Undoes, At: t.now(),
	}, t.queue.put(jobTraitEdit, actor.Org, 0))
	switch {
	case errors.Is(err, db.ErrStale): // since the plan was made
		if plan, _, err = t.Plan(ctx, actor.Org, in); err != nil {
			return TraitEdit{}, nil, err
		}
		return TraitEdit{}, nil, &StalePlan{Plan: plan}
	case errors.Is(err, db.ErrExists):
		return TraitEdit{}, Problems{"user": t.takenSentence(ctx, actor.Org, in)}, nil
	case err != nil:
		return TraitEdit{}, nil, notFound(fmt.Errorf("add a trait edit of customer %d: %w", in.Customer, err), "That connection or customer is not in this organization any more.")
	}
	return traitEditOf(row), nil, nil
}

const nothingToSend = "Nothing differs from what we last knew of this user, so there is nothing to send."

// traitSummary is an edit in one sentence for the history.
func traitSummary(e TraitEdit, conn string) string {
	names := make([]string, len(e.Changes))
	for i, c := range e.Changes {
		names[i] = fieldName(c)
	}
	return fmt.Sprintf("Edited %s of LogRocket user “%s” (“%s”).", joinSome(names, 5), short(e.UserID), conn)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// joinSome lists at most n of the words and counts the rest.
func joinSome(words []string, n int) string {
	out := ""
	for i, w := range words {
		if i == n {
			return fmt.Sprintf("%s and %d more", out, len(words)-n)
		}
		if i > 0 {
			out += ", "
		}
		out += w
	}
	return out
}

// changedFields are the before or after of an edit by field.
func changedFields(changes []TraitChange, pick func(TraitChange) *string) map[string]string {
	fields := map[string]string{}
	for _, c := range changes {
		if v := pick(c); v != nil {
			name := c.Field
			if c.Field == "trait" {
				name = "trait " + c.Key
			}
			fields[name] = *v
		}
	}
	return fields
}

// after is what is known of a user once an edit was accepted by an answer that
// did not tell.
func after(u LogRocketUser, r TraitRequest) db.KnownUser {
	k := db.KnownUser{Name: u.Name, Email: u.Email, Traits: map[string]string{}}
	for _, tr := range u.Traits {
		k.Traits[tr.Key] = tr.Value
	}
	if r.Name != nil {
		k.Name = *r.Name
	}
	if r.Email != nil {
		k.Email = *r.Email
	}
	maps.Copy(k.Traits, r.Traits)
	maps.DeleteFunc(k.Traits, func(_, v string) bool { return v == "" })
	return k
}
