package db

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// Customer is a person that the organization's sites saw.
type Customer struct {
	ID        CustomerID
	Name      string // as last seen, often empty
	Email     string // as last seen, often empty
	FirstSeen time.Time
	LastSeen  time.Time // zero if no vendor ever saw them
	CreatedAt time.Time
}

const customerColumns = "c.id, c.name, c.email, c.first_seen, c.last_seen, c.created_at"

func scanCustomer(s scanner) (Customer, error) {
	var c Customer
	var first, last, created sql.NullInt64
	err := s.Scan(&c.ID, &c.Name, &c.Email, &first, &last, &created)
	c.FirstSeen, c.LastSeen, c.CreatedAt = timeOf(first), timeOf(last), timeOf(created)
	return c, err
}

// Customer reads one customer.
func (o Org) Customer(ctx context.Context, id CustomerID) (Customer, error) {
	return one(ctx, o.db.r, "customer", scanCustomer, `
		SELECT `+customerColumns+` FROM customers c WHERE c.id = ? AND c.org_id = ?`, id, o.id)
}

// Glance is a customer with what there is of them, so that nothing else is asked
// for that is not there.
type Glance struct {
	Customer Customer
	Pinned   bool // by the member
	// ViewedAt is when the member looked at them last; zero means never.
	ViewedAt time.Time
	// SharesIDs says that somebody else holds one of their ids, see [Org.SharesWith].
	SharesIDs bool
	// Whether there are any users at LogRocket, trait edits, highlights, recordings
	// and history entries.
	Users, Edits, Highlights, Recordings, History bool
	// Identities are those of [Org.Identities].
	Identities []Identity
	// Newest are their newest sessions as [Org.CustomerSessions] has them, the first
	// with its links and with when a list last held it.
	Newest []Session
}

// rows is as how many rows it counts where it is kept.
func (g Glance) rows() int { return 1 + len(g.Identities) + len(g.Newest) }

// GlanceSessions is how many sessions a [Glance] has at most: one more than a page
// shows, so that the page knows whether there are older ones.
const GlanceSessions = 51

// glanceQuery is one text in four parts: the customer, their identities and their
// sessions, a line each, and more of the first session. Four questions would take
// SQLite's locks four times, which costs more than any of them.
const glanceQuery = `
	SELECT json_array(` + customerColumns + `,
			EXISTS (SELECT 1 FROM pins p WHERE p.org_id = c.org_id AND p.user_id = ?3 AND p.customer_id = c.id),
			(SELECT v.viewed_at FROM recent_customers v WHERE v.org_id = c.org_id AND v.user_id = ?3 AND v.customer_id = c.id),
			EXISTS (SELECT 1 FROM ` + sharedIdentities + ` WHERE m.customer_id = c.id AND m.org_id = c.org_id AND ` + sharedKinds + `),
			EXISTS (SELECT 1 FROM logrocket_users u WHERE u.customer_id = c.id AND u.org_id = c.org_id),
			EXISTS (SELECT 1 FROM trait_edits e WHERE e.customer_id = c.id),
			EXISTS (SELECT 1 FROM highlights h WHERE h.customer_id = c.id),
			EXISTS (SELECT 1 FROM recordings r WHERE r.customer_id = c.id AND r.state = 'shown'),
			EXISTS (SELECT 1 FROM history h WHERE h.org_id = c.org_id AND h.customer_id = c.id))
		|| char(12) || (` + inLines + `
			SELECT ` + identityColumns + ` AS line FROM identities
			WHERE customer_id = ?1 AND org_id = ?2
			` + identityOrder + `))
		|| char(12) || (` + inLines + `
			SELECT ` + timelineColumns + ` AS line FROM sessions
			WHERE customer_id = ?1 AND org_id = ?2
			ORDER BY started_at DESC, id DESC LIMIT ?4))
		|| char(12) || coalesce((
			SELECT json_array(id, user_url, web_url, listed_at) FROM sessions
			WHERE customer_id = ?1 AND org_id = ?2
			ORDER BY started_at DESC, id DESC LIMIT 1), '')
	FROM customers c WHERE c.id = ?1 AND c.org_id = ?2`

// Glance reads one customer as a member sees them. Others may hold the same lists:
// whoever changes one clones it first.
func (o Org) Glance(ctx context.Context, user UserID, id CustomerID) (Glance, error) {
	return one(ctx, o.kept(), "customer", scanGlance, glanceQuery, id, o.id, user, GlanceSessions)
}

func scanGlance(s scanner) (Glance, error) {
	var g Glance
	text, err := scanText(s)
	if err != nil {
		return g, err
	}
	// JSON has no form feed either.
	parts := strings.Split(text, "\f")
	if len(parts) != 4 {
		return g, fmt.Errorf("%d parts instead of 4", len(parts))
	}
	c := &g.Customer
	var p packedRow
	err = p.read(parts[0], []any{
		&c.ID, &c.Name, &c.Email, (*stamp)(&c.FirstSeen), (*stamp)(&c.LastSeen), (*stamp)(&c.CreatedAt),
		&g.Pinned, (*stamp)(&g.ViewedAt), &g.SharesIDs, &g.Users, &g.Edits, &g.Highlights, &g.Recordings, &g.History,
	})
	if err != nil {
		return g, err
	}
	if g.Identities, err = readIdentities(parts[1]); err != nil {
		return g, err
	}
	if g.Newest, err = readSessions(parts[2], c.ID); err != nil || len(g.Newest) == 0 {
		return g, err
	}
	first := &g.Newest[0]
	return g, p.read(parts[3], []any{&first.ID, &first.UserURL, &first.WebURL, (*stamp)(&first.ListedAt)})
}

// Customers lists customers, the last seen first and those whom no vendor ever
// saw at the end, newest first.
func (o Org) Customers(ctx context.Context, after Moment, limit int) ([]Customer, error) {
	var out []Customer
	// A zero time with an id is a place among the never seen.
	if !after.At.IsZero() || after.ID == 0 {
		at, id := after.args()
		seen, err := list(ctx, o.db.r, "customers", scanCustomer, `
			SELECT `+customerColumns+` FROM customers c
			WHERE c.org_id = ? AND (c.last_seen, c.id) < (?, ?)
			ORDER BY c.last_seen DESC, c.id DESC LIMIT ?`, o.id, at, id, limit)
		if err != nil || len(seen) == limit {
			return seen, err
		}
		out, after = seen, Moment{ID: 1<<63 - 1}
	}
	never, err := list(ctx, o.db.r, "customers", scanCustomer, `
		SELECT `+customerColumns+` FROM customers c
		WHERE c.org_id = ? AND c.last_seen IS NULL AND c.id < ?
		ORDER BY c.id DESC LIMIT ?`, o.id, after.ID, limit-len(out))
	return append(out, never...), err
}

// Shared is another customer who holds one of a customer's ids.
type Shared struct {
	Customer Customer
	Kind     IdentityKind
	Value    string
}

// What a customer holds is m, what others hold of it is i.
const (
	sharedIdentities = `identities m INDEXED BY identities_customer
		CROSS JOIN identities i ON i.org_id = m.org_id AND i.value_norm = m.value_norm AND i.kind = m.kind
			AND i.connection_id = m.connection_id AND i.customer_id <> m.customer_id AND i.value = m.value`
	sharedKinds = `m.kind IN ('raygun_identifier', 'raygun_user', 'logrocket_user')`
)

// SharesWith lists other customers with the same vendor id on the same
// connection, at most 20, in the index's order: sorting them would read every
// holder of a "guest".
func (o Org) SharesWith(ctx context.Context, id CustomerID) ([]Shared, error) {
	return list(ctx, o.db.r, "shared identifiers", func(s scanner) (Shared, error) {
		var v Shared
		var first, last, created sql.NullInt64
		err := s.Scan(&v.Kind, &v.Value, &v.Customer.ID, &v.Customer.Name, &v.Customer.Email, &first, &last, &created)
		v.Customer.FirstSeen, v.Customer.LastSeen, v.Customer.CreatedAt = timeOf(first), timeOf(last), timeOf(created)
		return v, err
	}, `
		SELECT i.kind, i.value, `+customerColumns+`
		FROM `+sharedIdentities+`
		JOIN customers c ON c.id = i.customer_id
		WHERE m.customer_id = ? AND m.org_id = ? AND `+sharedKinds+`
		LIMIT 20`, id, o.id)
}

// View notes that a member looked at a customer.
func (o Org) View(ctx context.Context, user UserID, customer CustomerID, now time.Time) error {
	// It makes no new generation.
	defer o.kept().forget(glanceQuery, customer, o.id, user, GlanceSessions)
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "recent customer", `
			INSERT INTO recent_customers (org_id, user_id, customer_id, viewed_at)
			SELECT c.org_id, ?, c.id, ? FROM customers c WHERE c.id = ? AND c.org_id = ?
			ON CONFLICT (org_id, user_id, customer_id) DO UPDATE SET viewed_at = excluded.viewed_at`,
			user, ms(now), customer, o.id)); err != nil {
			return err
		}
		_, err := exec(ctx, tx, "recent customers", `
			DELETE FROM recent_customers WHERE org_id = ?1 AND user_id = ?2 AND viewed_at < (
				SELECT min(viewed_at) FROM (
					SELECT viewed_at FROM recent_customers WHERE org_id = ?1 AND user_id = ?2
					ORDER BY viewed_at DESC LIMIT 50))`, o.id, user)
		return err
	})
}

// Recent lists the customers that a member looked at last, at most limit.
func (o Org) Recent(ctx context.Context, user UserID, limit int) ([]Customer, error) {
	return list(ctx, o.db.r, "recent customers", scanCustomer, `
		SELECT `+customerColumns+` FROM recent_customers r
		CROSS JOIN customers c ON c.id = r.customer_id
		WHERE r.org_id = ? AND r.user_id = ?
		ORDER BY r.viewed_at DESC, r.customer_id LIMIT ?`, o.id, user, limit)
}

// Pin puts a customer among a member's pinned ones; it may be there already.
func (o Org) Pin(ctx context.Context, user UserID, customer CustomerID, now time.Time) error {
	return must(exec(ctx, o.db.w, "pin", `
		INSERT INTO pins (user_id, org_id, customer_id, created_at)
		SELECT ?, c.org_id, c.id, ? FROM customers c WHERE c.id = ? AND c.org_id = ?
		ON CONFLICT (org_id, user_id, customer_id) DO UPDATE SET created_at = pins.created_at`,
		user, ms(now), customer, o.id))
}

// Unpin is the reverse of Pin; it does no harm where there is no pin.
func (o Org) Unpin(ctx context.Context, user UserID, customer CustomerID) error {
	_, err := exec(ctx, o.db.w, "pin", `
		DELETE FROM pins WHERE org_id = ? AND user_id = ? AND customer_id = ?`, o.id, user, customer)
	return err
}

// Pinned lists a member's pinned customers, the last pinned first, at most 50.
func (o Org) Pinned(ctx context.Context, user UserID) ([]Customer, error) {
	return list(ctx, o.db.r, "pinned customers", scanCustomer, `
		SELECT `+customerColumns+` FROM pins p
		CROSS JOIN customers c ON c.id = p.customer_id
		WHERE p.org_id = ? AND p.user_id = ?
		ORDER BY p.created_at DESC, p.customer_id LIMIT 50`, o.id, user)
}
