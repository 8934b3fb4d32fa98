package services

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"sightline/internal/db"
)

// The store's rows about people.
type (
	// Customer is a person that the organization's sites saw.
	Customer = db.Customer
	// Identity is one email, name or id that a customer was seen with.
	Identity = db.Identity
	// IdentityKind says what an identity's value is.
	IdentityKind = db.IdentityKind
	// Shared is another customer who holds one of a customer's ids.
	Shared = db.Shared
	// TimelineHighlight is a highlight as a timeline shows it.
	TimelineHighlight = db.TimelineHighlight
	// TimelineEdit is a trait edit as a timeline shows it.
	TimelineEdit = db.TimelineEdit
)

// The kinds of identities.
const (
	IdentityEmail            = db.IdentityEmail
	IdentityName             = db.IdentityName
	IdentityRaygunIdentifier = db.IdentityRaygunIdentifier
	IdentityRaygunUser       = db.IdentityRaygunUser
	IdentityLogRocketUser    = db.IdentityLogRocketUser
)

// IdentityLabel is an identity's kind in words.
func IdentityLabel(k IdentityKind) string {
	switch k {
	case IdentityEmail:
		return "Email"
	case IdentityName:
		return "Name"
	case IdentityRaygunIdentifier:
		return "Raygun identifier"
	case IdentityRaygunUser:
		return "Raygun user id"
	case IdentityLogRocketUser:
		return "LogRocket user id"
	}
	return string(k)
}

// Customers finds people and shows what is known of them.
type Customers struct {
	db          *db.DB
	connections *Connections
	sessions    *Sessions
	now         func() time.Time
	// timeline are the kinds of things that a customer's timeline holds.
	timeline []timelineKind
}

func newCustomers(d *db.DB, c *Connections, s *Sessions, now func() time.Time) *Customers {
	cs := &Customers{db: d, connections: c, sessions: s, now: now}
	cs.timeline = cs.timelineKinds()
	return cs
}

// CustomerList is one page of customers.
type CustomerList struct {
	Customers []Customer
	Next      Moment // where the next page begins
	More      bool
}

// List returns customers, the last seen first; at the end those whom no vendor
// ever saw.
func (c *Customers) List(ctx context.Context, org OrgID, after Moment) (CustomerList, error) {
	rows, err := c.db.Org(org).Customers(ctx, after, PageSize+1)
	l := CustomerList{Customers: rows}
	if len(rows) > PageSize {
		l.Customers, l.More = rows[:PageSize], true
		last := l.Customers[PageSize-1]
		l.Next = Moment{At: last.LastSeen, ID: int64(last.ID)}
	}
	return l, err
}

// Recent returns the customers that a member looked at last, at most 10.
func (c *Customers) Recent(ctx context.Context, actor Actor) ([]Customer, error) {
	return c.db.Org(actor.Org).Recent(ctx, actor.User, 10)
}

// Pinned returns a member's pinned customers, at most 50.
func (c *Customers) Pinned(ctx context.Context, actor Actor) ([]Customer, error) {
	return c.db.Org(actor.Org).Pinned(ctx, actor.User)
}

// SetPin pins or unpins a customer for a member.
func (c *Customers) SetPin(ctx context.Context, actor Actor, id CustomerID, pinned bool) error {
	o := c.db.Org(actor.Org)
	if !pinned {
		return o.Unpin(ctx, actor.User, id)
	}
	return notFound(o.Pin(ctx, actor.User, id, c.now()), noCustomer)
}

const noCustomer = "There is no such customer in this organization."

// VendorLink is a page about a customer in a vendor's own app.
type VendorLink struct {
	Vendor     Vendor
	Connection string // its name
	URL        string
}

// RefreshOption is one way to ask Raygun for a customer's sessions.
type RefreshOption struct {
	Connection ConnectionID
	Name       string // the connection's
	Identifier string
	Budget     Budget
	// State says how far that was asked today.
	State SearchState
}

// CustomerPage is what stands at the head of a customer's page.
type CustomerPage struct {
	// Glance says who they are and what there is of them. Their timeline begins with
	// its Newest sessions.
	db.Glance
	// Shares are other customers with one of this one's ids.
	Shares []Shared
	// Countries are those of their newest PageSize sessions, as the vendor wrote them.
	Countries []string
	// Connections are the names of the connections that know them.
	Connections []string
	// MirroredAt is when a list last held their newest session on a connection, or
	// a detail of one of the newest came, whichever is later; zero if the mirror
	// holds none.
	MirroredAt time.Time
	Links      []VendorLink
	Refresh    []RefreshOption
}

// Last is the customer's newest session; ok is false if the mirror holds none.
func (p CustomerPage) Last() (s Session, ok bool) {
	if len(p.Newest) == 0 {
		return s, false
	}
	return p.Newest[0], true
}

// Get returns one customer.
func (c *Customers) Get(ctx context.Context, org OrgID, id CustomerID) (Customer, error) {
	row, err := c.db.Org(org).Customer(ctx, id)
	return row, notFound(err, noCustomer)
}

// View returns what stands at the head of a customer's page and notes that the
// member looked at it.
func (c *Customers) View(ctx context.Context, actor Actor, id CustomerID) (CustomerPage, error) {
	o := c.db.Org(actor.Org)
	var p CustomerPage
	var err error
	if p.Glance, err = o.Glance(ctx, actor.User, id); err != nil {
		return p, notFound(err, noCustomer)
	}
	if p.SharesIDs {
		if p.Shares, err = o.SharesWith(ctx, id); err != nil {
			return p, err
		}
	}
	if p.Newest, err = c.newestWhole(ctx, o, p.Newest); err != nil {
		return p, err
	}
	conns, err := c.connections.All(ctx, actor.Org)
	if err != nil {
		return p, err
	}
	p.sum(conns)
	p.Links = c.links(ctx, p, conns)
	if p.Refresh, err = c.refreshOptions(ctx, actor.Org, p, conns); err != nil {
		return p, err
	}
	// A look within a minute of the one before is not written: reading must stay cheap.
	if now := c.now(); actor.User != 0 && now.Sub(p.ViewedAt) >= time.Minute {
		err = o.View(ctx, actor.User, id, now)
	}
	return p, err
}

// newestWhole returns sessions of which the newest of each further connection is
// read in full: its links, and when a list last held it. The first has them.
func (c *Customers) newestWhole(ctx context.Context, o db.Org, rows []Session) ([]Session, error) {
	var seen []ConnectionID
	for i := range rows {
		if slices.Contains(seen, rows[i].Connection) {
			continue
		}
		if seen = append(seen, rows[i].Connection); len(seen) == 1 {
			continue
		}
		if len(seen) == 2 {
			rows = slices.Clone(rows)
		}
		row, err := o.Session(ctx, rows[i].ID)
		if errors.Is(err, db.ErrNotFound) {
			continue // gone since
		}
		if err != nil {
			return nil, err
		}
		rows[i] = row
	}
	return rows, nil
}

// sum tells in short what the newest sessions and the identities say.
func (p *CustomerPage) sum(conns []Connection) {
	known := map[ConnectionID]bool{}
	for i := range p.Newest[:min(len(p.Newest), PageSize)] {
		s := &p.Newest[i]
		if s.Country != "" && !slices.Contains(p.Countries, s.Country) && len(p.Countries) < 10 {
			p.Countries = append(p.Countries, s.Country)
		}
		known[s.Connection] = true
		for _, heard := range []time.Time{s.ListedAt, s.DetailedAt} {
			if heard.After(p.MirroredAt) {
				p.MirroredAt = heard
			}
		}
	}
	for _, v := range p.Identities {
		known[v.Connection] = true
	}
	for _, conn := range conns {
		if known[conn.ID] {
			p.Connections = append(p.Connections, conn.Name)
		}
	}
}

// links are the customer's pages at the vendors: Raygun's as it gave them,
// LogRocket's as its client builds them.
func (c *Customers) links(ctx context.Context, p CustomerPage, conns []Connection) []VendorLink {
	var out []VendorLink
	for _, conn := range conns {
		if conn.Removed() {
			continue
		}
		if conn.Vendor.IsRaygun() {
			for i := range p.Newest {
				if s := &p.Newest[i]; s.Connection == conn.ID && s.UserURL != "" {
					out = append(out, VendorLink{Vendor: Raygun, Connection: conn.Name, URL: s.UserURL})
					break
				}
			}
			continue
		}
		userID := ""
		for _, v := range p.Identities {
			if v.Kind == IdentityLogRocketUser && v.Connection == conn.ID {
				userID = v.Value
				break
			}
		}
		lr, _, err := c.connections.logrocket(ctx, conn.Org, conn.ID)
		if err != nil {
			continue // a link less; the settings page says what is wrong
		}
		if u := lr.UserSessionsURL(p.Customer.Email, userID); u != "" {
			out = append(out, VendorLink{Vendor: LogRocket, Connection: conn.Name, URL: u})
		}
	}
	return out
}

// maxRefresh bounds how many ways to ask are offered.
const maxRefresh = 12

// refreshOptions are the identifiers to ask Raygun for, the last seen first.
// On a connection that has not named one, the email is the best guess.
func (c *Customers) refreshOptions(ctx context.Context, org OrgID, p CustomerPage, conns []Connection) ([]RefreshOption, error) {
	var out []RefreshOption
	for _, conn := range conns {
		if conn.Removed() || !conn.asksForOne() {
			continue
		}
		var ids []string
		for _, v := range p.Identities { // in order of last seen
			if v.Kind == IdentityRaygunIdentifier && v.Connection == conn.ID {
				ids = append(ids, v.Value)
			}
		}
		if len(ids) == 0 && p.Customer.Email != "" {
			ids = []string{p.Customer.Email}
		}
		for _, id := range ids {
			if len(out) == maxRefresh {
				return out, nil
			}
			st, err := c.sessions.State(ctx, org, RecentOf(conn.ID, id, c.now()))
			if err != nil {
				return nil, err
			}
			out = append(out, RefreshOption{Connection: conn.ID, Name: conn.Name, Identifier: id, Budget: st.Budget, State: st})
		}
	}
	// What was asked last stands first, so that the page opens on its state.
	sortBy(out, func(a, b RefreshOption) int { return cmp.Compare(lastAsk(b), lastAsk(a)) })
	return out, nil
}

func lastAsk(o RefreshOption) AskID {
	if o.State.Ask == nil {
		return 0
	}
	return o.State.Ask.ID
}

// Refresh asks Raygun for a customer's sessions of the last 60 days, which
// costs one call. The connection and the identifier are among those that View
// offers.
func (c *Customers) Refresh(ctx context.Context, actor Actor, id CustomerID, conn ConnectionID, identifier string) (Ask, error) {
	o := c.db.Org(actor.Org)
	customer, err := o.Customer(ctx, id)
	if err != nil {
		return Ask{}, notFound(err, noCustomer)
	}
	ids, err := o.Identities(ctx, id)
	if err != nil {
		return Ask{}, err
	}
	ok := db.Normalize(identifier) == db.Normalize(customer.Email) && customer.Email != ""
	for _, v := range ids {
		ok = ok || v.Kind == IdentityRaygunIdentifier && v.Value == identifier
	}
	if !ok {
		return Ask{}, invalid("This customer was never seen as “%s”. Choose one of their identifiers.", clipText(identifier, 80))
	}
	return c.sessions.Ask(ctx, actor, RecentOf(conn, identifier, c.now()), id, false)
}
