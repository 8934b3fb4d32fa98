package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Bounds of what is kept of one session's detail, so that one broken site
// cannot fill the file.
const (
	maxViews = 5000
	// MaxText is how many characters of an address or a title are kept.
	MaxText = 4096
)

// partOf is how many sessions of a list are stored in one transaction: a
// millisecond's work or two, which is what a member's own write waits for at
// most. While nobody is there to wait, quietPart of them are looked up at once and
// one transaction stores up to quietMost: a page of the file that all of them
// change is then written once.
const (
	partOf    = 5
	quietPart = 20
	quietMost = 5 * quietPart
)

// PutSessions stores sessions that a list held and returns their ids in the same
// order. What an earlier detail told stays; of two answers about one session the
// one with the later update wins. A long list is stored part by part, so that
// others write in between. If it is cut off, the first parts stay, and the same
// list stored again adds nothing to them.
//
// If page is not nil, the sessions are a page of a search's answer: its results
// and its progress are stored with the last part, or after it.
func (o Org) PutSessions(ctx context.Context, conn ConnectionID, rows []Session, receivedAt time.Time, page *SearchPage) ([]SessionID, error) {
	return o.putSessions(ctx, conn, rows, receivedAt, func(q querier, ids []SessionID) error {
		if page == nil {
			return nil
		}
		return putSearchPage(ctx, q, o.id, conn, *page, ids[:len(ids)-min(page.Others, len(ids))], receivedAt)
	})
}

// putSessions stores a list's sessions part by part, and at the end what
// they are a part of.
func (o Org) putSessions(ctx context.Context, conn ConnectionID, rows []Session, receivedAt time.Time, then func(q querier, ids []SessionID) error) ([]SessionID, error) {
	ids := make([]SessionID, 0, len(rows))
	for done := false; !done; {
		done = len(ids) == len(rows) || len(rows) <= partOf // what follows a long list is a part of its own
		err := o.putPart(ctx, conn, receivedAt, !done, func(p *putter, alone func() bool) error {
			most := len(ids) + quietMost
			for first := true; first || len(ids) < min(most, len(rows)) && alone(); first = false {
				size := partOf
				if alone() {
					size = quietPart
				}
				var err error
				if ids, err = p.part(ctx, rows, ids, size); err != nil {
					return err
				}
			}
			if !done {
				return nil
			}
			return then(p.q, ids)
		})
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// part stores the next sessions of a list of which those with ids are stored, and
// returns their ids and its own.
func (p *putter) part(ctx context.Context, rows []Session, ids []SessionID, size int) ([]SessionID, error) {
	rows = rows[len(ids):min(len(ids)+size, len(rows))]
	if err := p.read(ctx, rows); err != nil {
		return ids, err
	}
	for _, s := range rows {
		s.Connection, s.ListedAt, s.DetailedAt = p.conn, p.receivedAt, time.Time{}
		is, err := p.listed(ctx, s)
		if err != nil {
			return ids, err
		}
		ids = append(ids, is.id)
	}
	return ids, nil
}

// putPart stores one part of a list. Of all lists that are being stored, one
// part at a time asks to write: whoever else writes waits for one part and not
// for each list's. Where more parts follow and somebody has been reading
// meanwhile, it leaves the machine to them for as long as it took. See [turns].
func (o Org) putPart(ctx context.Context, conn ConnectionID, receivedAt time.Time, more bool, fn func(p *putter, alone func() bool) error) error {
	return o.db.inTurn(more, func(alone func() bool) error {
		return o.put(ctx, conn, receivedAt, func(p *putter) error { return fn(p, alone) })
	})
}

// putter stores sessions of one connection in one transaction.
type putter struct {
	q          querier
	org        OrgID
	receivedAt time.Time
	who        *people
	// rows are the sessions that were looked for; those with the id 0 are not
	// here yet.
	rows map[rowKey]facts
	// conn brings the sessions; a row may belong to a twin of it.
	conn    ConnectionID
	tallies map[ConnectionID]*tally
	// rivals are the connections through the other version of Raygun's API, by
	// whose rows a session may be known already.
	rivals []ConnectionID
	// twinned are those that were written down as twins.
	twinned map[ConnectionID]bool
}

// tally is that of the connection that a row belongs to.
func (p *putter) tally(conn ConnectionID) *tally {
	t := p.tallies[conn]
	if t == nil {
		t = newTally(p.org, conn)
		p.tallies[conn] = t
	}
	return t
}

// put runs fn in a transaction and brings the rollups in step at its end.
func (o Org) put(ctx context.Context, conn ConnectionID, receivedAt time.Time, fn func(*putter) error) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := o.own(ctx, tx, conn); err != nil {
			return err
		}
		p := &putter{
			q: tx, org: o.id, receivedAt: receivedAt, conn: conn,
			who: newPeople(o.id), rows: map[rowKey]facts{}, tallies: map[ConnectionID]*tally{}, twinned: map[ConnectionID]bool{},
		}
		var err error
		if p.rivals, err = o.rivals(ctx, tx, conn); err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
		if err := p.who.flush(ctx, tx); err != nil {
			return err
		}
		for _, id := range slices.Sorted(maps.Keys(p.tallies)) {
			if err := p.tallies[id].flush(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
}

// own makes sure that a connection is this organization's.
func (o Org) own(ctx context.Context, q querier, conn ConnectionID) error {
	_, err := one(ctx, q, "connection", scanInt, `SELECT id FROM connections WHERE id = ? AND org_id = ?`, conn, o.id)
	return err
}

// listed stores a session that a list held.
func (p *putter) listed(ctx context.Context, s Session) (facts, error) {
	s, home, err := p.home(ctx, s)
	if err != nil {
		return facts{}, err
	}
	was, is, err := p.session(ctx, s, nil)
	if err != nil {
		return is, err
	}
	if was.detailed && was.startedAt != is.startedAt {
		if err := p.moveDetail(ctx, s.Connection, was, is); err != nil {
			return is, err
		}
	}
	return is, p.sighted(ctx, home, is)
}

// rowKey is what a session is found by.
type rowKey struct {
	conn     ConnectionID
	vendorID string
}

// read reads at once what a list's sessions will be compared with.
func (p *putter) read(ctx context.Context, rows []Session) error {
	ids, who := make([]string, len(rows)), make([]Sighting, len(rows))
	for i, s := range rows {
		ids[i], who[i] = s.VendorID, s.sighting()
		who[i].Connection = p.conn
		if _, ok := p.rows[rowKey{p.conn, s.VendorID}]; !ok {
			p.rows[rowKey{p.conn, s.VendorID}] = facts{}
		}
	}
	b, err := json.Marshal(ids)
	if err != nil {
		return fmt.Errorf("write ids as JSON: %w", err)
	}
	_, err = list(ctx, p.q, "sessions", func(s scanner) (struct{}, error) {
		var id string
		f, err := scanFacts(led{s, []any{&id}})
		p.rows[rowKey{p.conn, id}] = f
		return struct{}{}, err
	}, `
		SELECT s.vendor_id, s.id, `+factValues+` FROM json_each(?) j
		CROSS JOIN sessions s ON s.connection_id = ? AND s.vendor_id = j.value
		WHERE s.org_id = ?`, string(b), p.conn, p.org)
	if err != nil {
		return err
	}
	return p.who.read(ctx, p.q, who)
}

// sighting is what a session tells of its person, without when.
func (s Session) sighting() Sighting {
	return Sighting{
		Connection: s.Connection, Email: s.UserEmail, Name: s.UserName,
		RaygunUser: s.UserID, RaygunIdentifier: s.UserIdentifier, Anonymous: s.UserAnonymous, Partial: s.UserPartial,
	}
}

// customer finds or makes the customer of a session that was seen then.
func (p *putter) customer(ctx context.Context, s Session, seen time.Time) (CustomerID, error) {
	who := s.sighting()
	if s.told != nil {
		who = *s.told
	}
	who.Since, who.SeenAt = s.StartedAt, seen
	if s.ownCustomer == 0 {
		return p.who.resolve(ctx, p.q, who)
	}
	// The row is somebody's already, and so is the id by which the twin names them.
	who, ids := who.clean()
	for _, v := range ids {
		if err := p.who.put(ctx, p.q, s.ownCustomer, who, v); err != nil {
			return 0, err
		}
	}
	return s.ownCustomer, nil
}

// clip bounds a vendor's text and takes out what SQLite's text functions trip over.
func clip(s string) string {
	s = CleanText(s)
	if len(s) <= MaxText {
		return s
	}
	r := []rune(s)
	return string(r[:min(len(r), MaxText)])
}
