package services

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"sightline/internal/db"
	"sightline/internal/services/logrocket"
)

// MaxHits is how many customers a lookup names: what one looks over before one
// types more. MoreHits is how many it names if it is asked for all.
const (
	MaxHits  = 25
	MoreHits = 100
)

// Hit is a customer that a lookup found, with the reason.
type Hit struct {
	Customer Customer
	Reason   string // such as: Email contains “ada”
}

// AskOption is a Raygun connection that could be asked about an unknown person.
type AskOption struct {
	Connection Connection
	Budget     Budget
	// State says how far that was asked today.
	State SearchState
}

// Found is what a lookup found.
type Found struct {
	// Query is what was looked for, cleaned.
	Query string
	// Problem says what is wrong with the query, empty if nothing is.
	Problem string
	// Only is the customer whom an exact email or id names, if it names exactly
	// one; 0 otherwise.
	Only CustomerID
	Hits []Hit
	// More says that there are more hits than these.
	More bool
	// Sessions are those with this id whose person nothing names.
	Sessions []Session
	// Recording says that the query is the address of a LogRocket recording.
	Recording bool
	// Email says that the query looks like an email.
	Email bool
	// Ask are the Raygun connections that could be asked.
	Ask []AskOption
}

// Lookup finds customers by an email, a name or an id: exactly, else by how
// they begin, else by what they contain. It names at most MaxHits of them, and
// asks no vendor.
func (c *Customers) Lookup(ctx context.Context, org OrgID, query string) (Found, error) {
	return c.LookupUpTo(ctx, org, query, MaxHits)
}

// LookupUpTo is Lookup with at most so many hits.
func (c *Customers) LookupUpTo(ctx context.Context, org OrgID, query string, most int) (Found, error) {
	f := Found{Query: db.CleanText(query)}
	if f.Query == "" {
		return f, nil
	}
	if utf8.RuneCountInString(f.Query) > db.MaxIdentity {
		f.Query = clipText(f.Query, 80)
		f.Problem = "That is too long to be an email, a name or an id: they have at most 1,024 characters."
		return f, nil
	}
	if named, ok := userOfAddress(f.Query); ok {
		f.Query = named
	}
	f.Email = db.LooksLikeEmail(f.Query)
	l := lookup{o: c.db.Org(org), f: &f, most: most, seen: map[CustomerID]bool{}}
	if err := l.exact(ctx); err != nil || f.Only != 0 {
		return f, err
	}
	if !f.Recording {
		if err := l.like(ctx); err != nil {
			return f, err
		}
	}
	var err error
	f.Ask, err = c.askOptions(ctx, org, f)
	return f, err
}

// lookup gathers the hits of one query.
type lookup struct {
	o    db.Org
	f    *Found
	most int
	seen map[CustomerID]bool
}

func (l *lookup) add(c Customer, reason string) {
	if l.seen[c.ID] {
		return
	}
	if len(l.f.Hits) == l.most {
		l.f.More = true
		return
	}
	l.seen[c.ID] = true
	l.f.Hits = append(l.f.Hits, Hit{Customer: c, Reason: reason})
}

// exact looks for what the query is, to the letter.
func (l *lookup) exact(ctx context.Context) error {
	matches, err := l.o.MatchExact(ctx, db.Normalize(l.f.Query))
	if err != nil {
		return err
	}
	isID := func(m db.Match) bool { return m.Kind != IdentityName && m.Kind != IdentityEmail }
	// Ids differ by every letter. Where one is written just so, those that are
	// written otherwise are not meant.
	if slices.ContainsFunc(matches, func(m db.Match) bool { return isID(m) && m.Value == l.f.Query }) {
		matches = slices.DeleteFunc(matches, func(m db.Match) bool { return isID(m) && m.Value != l.f.Query })
	}
	who := map[CustomerID]bool{}
	for _, m := range matches {
		if m.Kind != IdentityName {
			who[m.Customer.ID] = true
			l.add(m.Customer, IdentityLabel(m.Kind)+" is exactly "+quoted(m.Value))
		}
	}
	sessions, err := l.o.SessionsByVendorID(ctx, l.f.Query)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if s.Customer == 0 {
			l.f.Sessions = append(l.f.Sessions, s)
			continue
		}
		customer, err := l.o.Customer(ctx, s.Customer)
		if err != nil {
			return err
		}
		who[customer.ID] = true
		l.add(customer, "Had the Raygun session "+quoted(s.VendorID))
	}
	if recording, session, _, ok := logrocket.ParseSessionURL(l.f.Query); ok {
		l.f.Recording = true
		customers, err := l.o.RecordingCustomers(ctx, recording, session)
		if err != nil {
			return err
		}
		for _, customer := range customers {
			who[customer.ID] = true
			l.add(customer, "Highlights tell of this LogRocket recording")
		}
	}
	if len(who) == 1 && len(l.f.Sessions) == 0 {
		for id := range who {
			l.f.Only = id
		}
		return nil
	}
	for _, m := range matches {
		l.add(m.Customer, IdentityLabel(m.Kind)+" is exactly "+quoted(m.Value))
	}
	return nil
}

// like looks for what begins with the query, then for what contains it.
func (l *lookup) like(ctx context.Context) error {
	norm := db.Normalize(l.f.Query)
	for _, way := range []struct {
		verb string
		find func(context.Context, string, int) ([]db.Match, error)
	}{{"begins with", l.o.MatchPrefix}, {"contains", l.o.MatchText}} {
		if l.f.More {
			return nil
		}
		// A customer often matches with several identities.
		limit := 4 * l.most
		matches, err := way.find(ctx, norm, limit)
		if err != nil {
			return err
		}
		best := map[CustomerID]IdentityKind{}
		for _, m := range matches {
			if was, ok := best[m.Customer.ID]; !ok || reasonRank(m.Kind) < reasonRank(was) {
				best[m.Customer.ID] = m.Kind
			}
		}
		for _, m := range matches {
			l.add(m.Customer, fmt.Sprintf("%s %s %s", IdentityLabel(best[m.Customer.ID]), way.verb, quoted(l.f.Query)))
		}
		l.f.More = l.f.More || len(matches) == limit
	}
	return nil
}

// reasonRank orders the kinds by how much they tell a person: of several
// reasons for one hit, the first is given.
func reasonRank(kind IdentityKind) int {
	switch kind {
	case IdentityName:
		return 0
	case IdentityEmail:
		return 1
	}
	return 2
}

// quoted puts a value in quotation marks, cut for the page.
func quoted(s string) string { return "“" + clipText(s, 80) + "”" }

// askOptions are the connections that could be asked about the query as an
// identifier.
func (c *Customers) askOptions(ctx context.Context, org OrgID, f Found) ([]AskOption, error) {
	if f.Recording {
		return nil, nil
	}
	conns, err := c.connections.List(ctx, org)
	if err != nil {
		return nil, err
	}
	var out []AskOption
	for _, conn := range conns {
		if !conn.asksForOne() || len(out) == maxRefresh {
			continue
		}
		st, err := c.sessions.State(ctx, org, RecentOf(conn.ID, f.Query, c.now()))
		if err != nil {
			return nil, err
		}
		out = append(out, AskOption{Connection: conn, Budget: st.Budget, State: st})
	}
	return out, nil
}

// AskUnknown asks Raygun for the sessions of the last 60 days of someone whom
// the mirror does not know, which costs one call.
func (c *Customers) AskUnknown(ctx context.Context, actor Actor, conn ConnectionID, identifier string) (Ask, error) {
	q, problems := RecentOf(conn, identifier, c.now()).Check()
	if p := problems["identifier"]; p != "" {
		return Ask{}, invalid("%s", p)
	}
	if q.Identifier == "" {
		return Ask{}, invalid("Type an email or an id to ask Raygun for.")
	}
	return c.sessions.Ask(ctx, actor, q, 0, false)
}

// userOfAddress reads the person off an address of LogRocket's list of a
// user's sessions.
func userOfAddress(s string) (string, bool) {
	if !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") {
		return "", false
	}
	u, err := url.Parse(s)
	if err != nil || !strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/sessions") {
		return "", false
	}
	for _, key := range []string{"e", "u"} {
		if v := db.CleanText(u.Query().Get(key)); v != "" {
			return v, true
		}
	}
	return "", false
}
