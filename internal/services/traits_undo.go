package services

import (
	"context"
	"fmt"

	"sightline/internal/db"
)

// maxSuggested is how many known keys are suggested for a new trait.
const maxSuggested = 200

// TraitUndo is the form that takes an edit back, not sent yet.
type TraitUndo struct {
	Of     TraitEdit
	Input  TraitInput
	Reason string // a proposal
	// Lost are the fields whose value before the edit is not known: they stay as
	// they are. Moved are those that were changed again since the edit: taking it
	// back takes that back as well. Both are in words for people.
	Lost, Moved []string
}

// Undo fills the form that takes back an edit, or with a field only that
// change of it: to the values from before, with a preview and a PUT of its own
// like every edit. An edit that LogRocket refused, or that is still on its way,
// is a Conflict, as is one of which nothing is left to take back.
func (t *Traits) Undo(ctx context.Context, org OrgID, id TraitEditID, field, key string) (TraitUndo, error) {
	e, err := t.Get(ctx, org, id)
	if err != nil {
		return TraitUndo{}, err
	}
	switch e.State {
	case TraitsSent, TraitsUnknown:
	case TraitsFailed:
		return TraitUndo{}, &Error{Kind: Conflict, Msg: "LogRocket did not take this edit, so there is nothing to take back."}
	default:
		return TraitUndo{}, &Error{Kind: Conflict, Msg: "This edit is still being sent. Take it back once it has ended."}
	}
	u, err := t.User(ctx, org, e.Customer, e.Connection, e.UserID)
	if err != nil {
		return TraitUndo{}, err
	}
	out := TraitUndo{Of: e, Input: t.InputFor(u, nil), Reason: undoReason(e)}
	out.Input.Undoes = e.ID
	now := known(u)
	found := false
	for _, c := range e.Changes {
		if field != "" && (c.Field != field || c.Key != key) {
			continue
		}
		found = true
		name := fieldName(c)
		if c.Before == nil {
			out.Lost = append(out.Lost, name)
			continue
		}
		if u.Known() && now(c) == *c.Before {
			continue // as it was
		}
		if u.Known() && now(c) != value(c.After) {
			out.Moved = append(out.Moved, name)
		}
		out.Input.set(c.Field, c.Key, *c.Before)
	}
	if !found {
		return TraitUndo{}, &Error{Kind: NotFound, Msg: "This edit did not change that field."}
	}
	return out, nil
}

// known reads the value of a field as it is known now, "" if there is none.
func known(u LogRocketUser) func(db.TraitChange) string {
	traits := map[string]string{}
	for _, tr := range u.Traits {
		traits[tr.Key] = tr.Value
	}
	return func(c db.TraitChange) string {
		switch c.Field {
		case "name":
			return u.Name
		case "email":
			return u.Email
		}
		return traits[c.Key]
	}
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// fieldName is a changed field in a sentence.
func fieldName(c db.TraitChange) string {
	if c.Field == "trait" {
		return "“" + short(c.Key) + "”"
	}
	return c.Field
}

func undoReason(e TraitEdit) string {
	reason := fmt.Sprintf("Takes back the edit of %s", e.CreatedAt.UTC().Format("2 Jan 2006, 15:04 UTC"))
	if e.AuthorName != "" {
		reason += " by " + short(e.AuthorName)
	}
	if e.Reason != "" {
		reason += " (" + short(e.Reason) + ")"
	}
	return reason
}

// PastTraitChange is a change to one field, with the edit that asked for it.
type PastTraitChange struct {
	Edit   TraitEdit // without its Changes
	Change TraitChange
}

// FieldHistory lists the changes of one field of a customer's LogRocket user
// that come after a moment (zero for the newest), newest first, at most limit. Field is
// name, email or trait; key is the trait's.
func (t *Traits) FieldHistory(ctx context.Context, org OrgID, customer CustomerID, c ConnectionID, userID, field, key string, after Moment, limit int) ([]PastTraitChange, error) {
	const none = "Sightline knows no such LogRocket user of this customer."
	u, err := t.db.Org(org).LogRocketUser(ctx, c, userID)
	if err != nil {
		return nil, notFound(err, none)
	}
	if u.Customer != customer {
		return nil, &Error{Kind: NotFound, Msg: none}
	}
	rows, err := t.db.Org(org).FieldHistory(ctx, u.ID, field, key, after, limit)
	out := make([]PastTraitChange, len(rows))
	for i, r := range rows {
		out[i] = PastTraitChange{Edit: traitEditOf(r.TraitEdit), Change: r.Change}
	}
	return out, err
}

// Keys are the traits that a connection's users have, those seen last first.
func (t *Traits) Keys(ctx context.Context, org OrgID, c ConnectionID) ([]string, error) {
	return t.db.Org(org).TraitKeys(ctx, c, maxSuggested)
}
