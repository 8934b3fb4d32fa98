package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrStale means that somebody else was first: what the write was decided upon
// has changed since.
var ErrStale = errors.New("changed meanwhile")

// LogRocketUser is what LogRocket last answered about one of its users. It
// offers no way to ask again.
type LogRocketUser struct {
	ID         LogRocketUserID
	Connection ConnectionID
	Customer   CustomerID
	UserID     string // the vendor's
	Name       string
	Email      string
	AnsweredAt time.Time // zero if LogRocket never answered: then nothing is known
	// LastEdit is the newest edit, whatever became of it; 0 if there is none.
	LastEdit TraitEditID
}

// Trait is one trait of a LogRocket user as last answered.
type Trait struct {
	Key, Value string
	AnsweredAt time.Time
}

// TraitRequest is what an edit sends: nil and absent stay as they are, blank
// removes.
type TraitRequest struct {
	Name   *string           `json:"name,omitempty"`
	Email  *string           `json:"email,omitempty"`
	Traits map[string]string `json:"traits,omitempty"`
}

// TraitEdit is one change to a LogRocket user that a member asked for.
type TraitEdit struct {
	ID         TraitEditID
	Connection ConnectionID
	User       LogRocketUserID
	UserID     string // the vendor's
	Customer   CustomerID
	Author     UserID
	AuthorName string // as it is now; empty if unknown
	Reason     string
	State      string // queued, sending, sent, failed, unknown
	Message    string
	ErrorKind  string
	Request    TraitRequest
	CreatedAt  time.Time
	SentAt     time.Time
	FinishedAt time.Time
	// Undoes is the edit that this one takes back, whole or in part, and UndoneBy
	// the newest that takes back this one and was not refused; 0 for none.
	Undoes, UndoneBy TraitEditID
}

// TraitChange is what an edit does to one field. Before is nil where nothing
// was known, After where it is removed.
type TraitChange struct {
	Field  string // name, email, trait
	Key    string // of a trait
	Before *string
	After  *string
}

// NewTraitEdit is an edit to be stored.
type NewTraitEdit struct {
	Connection ConnectionID
	UserID     string
	Customer   CustomerID
	Author     UserID
	Reason     string
	FormToken  string
	// Seen is the user's LastEdit on which the edit was decided.
	Seen    TraitEditID
	Request TraitRequest
	Changes []TraitChange
	// Undoes is the edit of the same user that it takes back, 0 for none.
	Undoes TraitEditID
	At     time.Time
}

// TraitOutcome is how an edit ended.
type TraitOutcome struct {
	State     string
	Message   string
	ErrorKind string
	At        time.Time
	// Known is the user's state from now on; nil leaves it as it is.
	Known   *KnownUser
	History HistoryEntry
}

// KnownUser is the whole state of a LogRocket user.
type KnownUser struct {
	Name, Email string
	Traits      map[string]string
}

const logRocketUserColumns = `u.id, u.connection_id, u.customer_id, u.user_id, u.name, u.email, u.answered_at,
	coalesce((SELECT max(e.id) FROM trait_edits e WHERE e.logrocket_user_id = u.id), 0)`

func scanLogRocketUser(s scanner) (LogRocketUser, error) {
	var u LogRocketUser
	var at sql.NullInt64
	err := s.Scan(&u.ID, &u.Connection, &u.Customer, &u.UserID, &u.Name, &u.Email, &at, &u.LastEdit)
	u.AnsweredAt = timeOf(at)
	return u, err
}

const customerUsersQuery = `
	SELECT ` + logRocketUserColumns + ` FROM logrocket_users u
	WHERE u.customer_id = ? AND u.org_id = ?
	ORDER BY u.id LIMIT 50`

// LogRocketUsers lists the users of LogRocket that a customer is, the oldest
// first, at most 50.
func (o Org) LogRocketUsers(ctx context.Context, customer CustomerID) ([]LogRocketUser, error) {
	return list(ctx, o.db.r, "LogRocket users", scanLogRocketUser, customerUsersQuery, customer, o.id)
}

// LogRocketUser finds a user by the vendor's id.
func (o Org) LogRocketUser(ctx context.Context, connection ConnectionID, userID string) (LogRocketUser, error) {
	return one(ctx, o.db.r, "LogRocket user", scanLogRocketUser, `
		SELECT `+logRocketUserColumns+` FROM logrocket_users u
		WHERE u.connection_id = ? AND u.user_id = ? AND u.org_id = ?`, connection, userID, o.id)
}

func scanTrait(s scanner) (Trait, error) {
	var t Trait
	var at sql.NullInt64
	err := s.Scan(&t.Key, &t.Value, &at)
	t.AnsweredAt = timeOf(at)
	return t, err
}

const traitsQuery = `
	SELECT key, value, answered_at FROM traits
	WHERE logrocket_user_id = ? AND org_id = ?
	ORDER BY key LIMIT 2000`

// Traits lists the known traits of a user by key, at most 2000.
func (o Org) Traits(ctx context.Context, user LogRocketUserID) ([]Trait, error) {
	return list(ctx, o.db.r, "traits", scanTrait, traitsQuery, user, o.id)
}

const traitEditColumns = `e.id, e.connection_id, e.logrocket_user_id, u.user_id, e.customer_id, coalesce(e.author_id, 0),
	coalesce((SELECT coalesce(nullif(p.name, ''), p.email) FROM users p WHERE p.id = e.author_id), ''),
	e.reason, e.state, e.message, e.error_kind, e.request, e.created_at, e.sent_at, e.finished_at, coalesce(e.undoes_id, 0),
	coalesce((SELECT max(x.id) FROM trait_edits x WHERE x.undoes_id = e.id AND x.state <> 'failed'), 0)`

const traitEditsFrom = ` FROM trait_edits e JOIN logrocket_users u ON u.id = e.logrocket_user_id `

func scanTraitEdit(s scanner) (TraitEdit, error) {
	var e TraitEdit
	var request string
	var created, sent, finished sql.NullInt64
	err := s.Scan(&e.ID, &e.Connection, &e.User, &e.UserID, &e.Customer, &e.Author, &e.AuthorName,
		&e.Reason, &e.State, &e.Message, &e.ErrorKind, &request, &created, &sent, &finished, &e.Undoes, &e.UndoneBy)
	if err != nil {
		return e, err
	}
	e.CreatedAt, e.SentAt, e.FinishedAt = timeOf(created), timeOf(sent), timeOf(finished)
	if err := json.Unmarshal([]byte(request), &e.Request); err != nil {
		return e, fmt.Errorf("read the request of trait edit %d: %w", e.ID, err)
	}
	return e, nil
}

func traitEdit(ctx context.Context, q querier, org OrgID, where string, args ...any) (TraitEdit, error) {
	return one(ctx, q, "trait edit", scanTraitEdit,
		`SELECT `+traitEditColumns+traitEditsFrom+`WHERE e.org_id = ? AND `+where, append([]any{org}, args...)...)
}

// TraitEdit reads one edit.
func (o Org) TraitEdit(ctx context.Context, id TraitEditID) (TraitEdit, error) {
	return traitEdit(ctx, o.db.r, o.id, "e.id = ?", id)
}

// TraitEditOfForm finds the edit that a form token made.
func (o Org) TraitEditOfForm(ctx context.Context, formToken string) (TraitEdit, error) {
	return traitEdit(ctx, o.db.w, o.id, "e.form_token = ?", formToken)
}

const customerEditsQuery = `SELECT ` + traitEditColumns + traitEditsFrom + `
	WHERE e.customer_id = ? AND e.org_id = ? AND (e.created_at, e.id) < (?, ?) AND e.created_at >= ?
	ORDER BY e.created_at DESC, e.id DESC LIMIT ?`

// TraitEdits lists a customer's edits after a moment, back to since (zero for
// all), newest first, at most limit.
func (o Org) TraitEdits(ctx context.Context, customer CustomerID, after Moment, since time.Time, limit int) ([]TraitEdit, error) {
	at, id := after.args()
	return list(ctx, o.db.r, "trait edits", scanTraitEdit, customerEditsQuery, customer, o.id, at, id, sinceMS(since), min(max(limit, 1), 500))
}

// sinceMS is a lower bound of a time column; the zero time bounds nothing.
func sinceMS(t time.Time) int64 {
	if t.IsZero() {
		return -1 << 63
	}
	return t.UnixMilli()
}

// TraitChanges lists what an edit does, by field and key.
func (o Org) TraitChanges(ctx context.Context, edit TraitEditID) ([]TraitChange, error) {
	return list(ctx, o.db.r, "trait changes", func(s scanner) (TraitChange, error) {
		var c TraitChange
		return c, s.Scan(&c.Field, &c.Key, &c.Before, &c.After)
	}, `
		SELECT field, key, before, after FROM trait_changes
		WHERE edit_id = ? AND org_id = ?
		ORDER BY CASE field WHEN 'name' THEN 0 WHEN 'email' THEN 1 ELSE 2 END, key LIMIT 3000`, edit, o.id)
}

// AddTraitEdit stores a queued edit and runs after in the same transaction. A
// form token that was used already returns the edit it made, and after is not
// run. ErrStale: the user has a newer edit than e.Seen, or one that has not
// ended. ErrExists: the user id belongs to another customer. A connection or
// customer that is not here is ErrNotFound.
func (o Org) AddTraitEdit(ctx context.Context, e NewTraitEdit, after TxFunc) (TraitEdit, error) {
	var out TraitEdit
	err := o.write(ctx, func(tx *sql.Tx) error {
		var err error
		if out, err = traitEdit(ctx, tx, o.id, "e.form_token = ?", e.FormToken); !errors.Is(err, ErrNotFound) {
			return err
		}
		id, err := o.insertTraitEdit(ctx, tx, e)
		if err != nil {
			return err
		}
		if out, err = traitEdit(ctx, tx, o.id, "e.id = ?", id); err != nil || after == nil {
			return err
		}
		return after(ctx, tx, id)
	})
	return out, err
}

// insertTraitEdit stores a queued edit with its changes.
func (o Org) insertTraitEdit(ctx context.Context, tx *sql.Tx, e NewTraitEdit) (int64, error) {
	request, err := json.Marshal(e.Request)
	if err != nil {
		return 0, fmt.Errorf("write a trait edit's request: %w", err)
	}
	user, err := o.editedUser(ctx, tx, e)
	if err != nil {
		return 0, err
	}
	id, err := one(ctx, tx, "trait edit", scanInt, `
		INSERT INTO trait_edits (org_id, connection_id, logrocket_user_id, customer_id, author_id, reason, form_token, state, request, created_at, undoes_id)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'queued', ?8, ?9,
			(SELECT id FROM trait_edits WHERE id = ?10 AND org_id = ?1 AND logrocket_user_id = ?3))
		RETURNING id`,
		o.id, e.Connection, user, e.Customer, nullID(e.Author), e.Reason, e.FormToken, string(request), ms(e.At), e.Undoes)
	if err != nil {
		return 0, err
	}
	for _, c := range e.Changes {
		if _, err := exec(ctx, tx, "trait change", `
			INSERT INTO trait_changes (edit_id, field, key, org_id, before, after, logrocket_user_id) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			id, c.Field, c.Key, o.id, c.Before, c.After, user); err != nil {
			return 0, err
		}
	}
	return id, nil
}

// editedUser finds or makes the row of the user whom an edit is about, and
// checks that the edit still knows what it changes.
func (o Org) editedUser(ctx context.Context, tx *sql.Tx, e NewTraitEdit) (LogRocketUserID, error) {
	if _, err := one(ctx, tx, "connection", scanInt, `
		SELECT id FROM connections WHERE id = ? AND org_id = ? AND vendor = 'logrocket' AND removed_at IS NULL`, e.Connection, o.id); err != nil {
		return 0, err
	}
	if _, err := one(ctx, tx, "customer", scanInt, `
		SELECT id FROM customers WHERE id = ? AND org_id = ?`, e.Customer, o.id); err != nil {
		return 0, err
	}
	if _, err := exec(ctx, tx, "LogRocket user", `
		INSERT INTO logrocket_users (org_id, connection_id, customer_id, user_id) VALUES (?, ?, ?, ?)
		ON CONFLICT (connection_id, user_id) DO NOTHING`, o.id, e.Connection, e.Customer, e.UserID); err != nil {
		return 0, err
	}
	u, err := one(ctx, tx, "LogRocket user", scanLogRocketUser, `
		SELECT `+logRocketUserColumns+` FROM logrocket_users u
		WHERE u.connection_id = ? AND u.user_id = ? AND u.org_id = ?`, e.Connection, e.UserID, o.id)
	if err != nil {
		return 0, err
	}
	if u.Customer != e.Customer {
		return 0, fmt.Errorf("LogRocket user %d: %w", u.ID, ErrExists)
	}
	open, err := one(ctx, tx, "open trait edits", scanInt, `
		SELECT count(*) FROM trait_edits WHERE id = ? AND state IN ('queued', 'sending')`, u.LastEdit)
	if err != nil {
		return 0, err
	}
	if u.LastEdit != e.Seen || open > 0 {
		return 0, fmt.Errorf("LogRocket user %d: %w", u.ID, ErrStale)
	}
	return u.ID, nil
}

// StartTraitEdit moves a queued edit to sending, which is stored before
// anything leaves. An edit that is not queued any more is ErrNotFound.
func (o Org) StartTraitEdit(ctx context.Context, id TraitEditID, now time.Time) (TraitEdit, error) {
	err := must(exec(ctx, o.db.w, "trait edit", `
		UPDATE trait_edits SET state = 'sending', sent_at = ? WHERE id = ? AND org_id = ? AND state = 'queued'`, ms(now), id, o.id))
	if err != nil {
		return TraitEdit{}, err
	}
	return traitEdit(ctx, o.db.w, o.id, "e.id = ?", id)
}

// PutBackTraitEdit moves an edit that certainly was not sent from sending back to
// queued. One that is not being sent is ErrNotFound.
func (o Org) PutBackTraitEdit(ctx context.Context, id TraitEditID) error {
	return must(exec(ctx, o.db.w, "trait edit", `
		UPDATE trait_edits SET state = 'queued', sent_at = NULL WHERE id = ? AND org_id = ? AND state = 'sending'`, id, o.id))
}

// EndTraitEdit stores how an edit ended, with what is known of the user from
// now on, their identities and the history, in one transaction. An edit that
// has ended already is ErrNotFound.
func (o Org) EndTraitEdit(ctx context.Context, id TraitEditID, out TraitOutcome) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		err := must(exec(ctx, tx, "trait edit", `
			UPDATE trait_edits SET state = ?, message = ?, error_kind = ?, finished_at = ?
			WHERE id = ? AND org_id = ? AND state IN ('queued', 'sending')`,
			out.State, out.Message, out.ErrorKind, ms(out.At), id, o.id))
		if err != nil {
			return err
		}
		e, err := traitEdit(ctx, tx, o.id, "e.id = ?", id)
		if err != nil {
			return err
		}
		if out.Known != nil {
			if err := o.knowUser(ctx, tx, e, *out.Known, out.At); err != nil {
				return err
			}
		}
		bulk, err := one(ctx, tx, "trait edit", scanInt, `SELECT coalesce(bulk_id, 0) FROM trait_edits WHERE id = ? AND org_id = ?`, id, o.id)
		if err != nil || bulk != 0 { // a bulk edit tells of itself as a whole
			return err
		}
		return addHistory(ctx, tx, o.id, out.History)
	})
}

// knowUser replaces what is known of a user, and remembers what it says about
// who the customer is.
func (o Org) knowUser(ctx context.Context, tx *sql.Tx, e TraitEdit, k KnownUser, at time.Time) error {
	if _, err := exec(ctx, tx, "LogRocket user", `
		UPDATE logrocket_users SET name = ?, email = ?, answered_at = ? WHERE id = ? AND org_id = ?`,
		k.Name, k.Email, ms(at), e.User, o.id); err != nil {
		return err
	}
	if _, err := exec(ctx, tx, "traits", `
		DELETE FROM traits WHERE logrocket_user_id = ? AND org_id = ?`, e.User, o.id); err != nil {
		return err
	}
	for key, value := range k.Traits {
		if _, err := exec(ctx, tx, "trait", `
			INSERT INTO traits (logrocket_user_id, key, org_id, value, answered_at) VALUES (?, ?, ?, ?, ?)`,
			e.User, key, o.id, value, ms(at)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, "trait key", `
			INSERT INTO trait_keys (connection_id, key, org_id, seen_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (connection_id, key) DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)`,
			e.Connection, key, o.id, ms(at)); err != nil {
			return err
		}
	}
	// The customer is given: the edit was made on their page. Nobody was on the
	// site for it, so the sighting has no time.
	s, ids := Sighting{Connection: e.Connection, Email: k.Email, Name: k.Name, LogRocketUser: e.UserID}.clean()
	p := newPeople(o.id)
	if err := p.touch(ctx, tx, e.Customer, s); err != nil {
		return err
	}
	if err := p.putAll(ctx, tx, e.Customer, s, ids); err != nil {
		return err
	}
	if err := p.flush(ctx, tx); err != nil {
		return err
	}
	return markAnswered(ctx, tx, o.id, e.Customer, s, at)
}

// OpenRow is a row that has not ended, in whichever organization.
type OpenRow struct {
	Org   OrgID
	ID    int64
	State string
}

func scanOpenRow(s scanner) (OpenRow, error) {
	var r OpenRow
	return r, s.Scan(&r.Org, &r.ID, &r.State)
}

const openTraitEditsQuery = `
	SELECT org_id, id, state FROM trait_edits WHERE state IN ('queued', 'sending') ORDER BY id LIMIT 10000`

// OpenTraitEditsUnscoped lists the edits that have not ended, oldest first.
func (d *DB) OpenTraitEditsUnscoped(ctx context.Context) ([]OpenRow, error) {
	return list(ctx, d.r, "open trait edits", scanOpenRow, openTraitEditsQuery)
}
