package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Bounds of what is kept of one session's detail, so that one broken site
// cannot fill the file.
const (
	maxViews = 5000
	maxText  = 4096 // characters of an address or a title
)

// FullSession is a session with its detail.
type FullSession struct {
	Session
	Views  []PageView
	Errors []SessionError
	// Answer is what the vendor sent about it, kept as it is; empty keeps none.
	Answer []byte
}

// partOf is how many sessions of a list are stored in one transaction: some
// milliseconds' work, which is what a member's own write waits for at most.
const partOf = 25

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
		part := rows[len(ids):min(len(ids)+partOf, len(rows))]
		done = len(ids) == len(rows) || len(rows) <= partOf // what follows a long list is a part of its own
		err := o.putPart(ctx, conn, receivedAt, !done, func(p *putter) error {
			if err := p.read(ctx, part); err != nil {
				return err
			}
			for _, s := range part {
				s.Connection, s.ListedAt, s.DetailedAt = conn, receivedAt, time.Time{}
				is, err := p.listed(ctx, s)
				if err != nil {
					return err
				}
				ids = append(ids, is.id)
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

// putPart stores one part of a list. Of all lists that are being stored, one
// part at a time asks to write: whoever else writes waits for one part and not
// for each list's. Where more parts follow and somebody has been reading
// meanwhile, it leaves the machine to them for as long as it took.
func (o Org) putPart(ctx context.Context, conn ConnectionID, receivedAt time.Time, more bool, fn func(*putter) error) error {
	d := o.db
	d.parts.Lock()
	defer d.parts.Unlock()
	began := time.Now()
	if err := o.put(ctx, conn, receivedAt, fn); err != nil || d.asked == nil {
		return err
	}
	if more && d.asked.Load() != d.unasked {
		time.Sleep(time.Since(began))
	}
	d.unasked = d.asked.Load()
	return nil
}

// PutFullSessions stores sessions in full, all of them or none, and replaces
// their page views and errors, of which at most 5000 each are kept. It returns
// their ids in the same order.
func (o Org) PutFullSessions(ctx context.Context, conn ConnectionID, rows []FullSession, receivedAt time.Time) ([]SessionID, error) {
	ids := make([]SessionID, 0, len(rows))
	err := o.put(ctx, conn, receivedAt, func(p *putter) error {
		sessions := make([]Session, len(rows))
		for i, s := range rows {
			sessions[i] = s.Session
		}
		if err := p.read(ctx, sessions); err != nil {
			return err
		}
		for _, s := range rows {
			id, err := p.full(ctx, s, receivedAt)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	return ids, err
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

// session stores a session's own row and returns what it added to the rollups
// before, with id 0 if it was not here, and what it adds now. slowest is used
// if the row comes with its detail.
func (p *putter) session(ctx context.Context, s Session, slowest *int64) (was, is facts, err error) {
	if s.VendorID == "" {
		return was, is, errors.New("a session without an id cannot be kept")
	}
	for _, t := range []time.Time{s.UpdatedAt, s.EndedAt, p.receivedAt} {
		if s.StartedAt.IsZero() {
			s.StartedAt = t
		}
	}
	seen := s.StartedAt
	for _, t := range []time.Time{s.UpdatedAt, s.EndedAt} {
		if t.After(seen) {
			seen = t
		}
	}
	if seen.After(p.receivedAt) { // a clock that is wrong makes nobody seen tomorrow
		seen = p.receivedAt
	}
	customer, err := p.customer(ctx, s, seen)
	if err != nil {
		return was, is, err
	}
	key := rowKey{s.Connection, s.VendorID}
	was, ok := p.rows[key]
	if !ok {
		was, err = one(ctx, p.q, "session "+s.VendorID, scanFacts, `
			SELECT `+factColumns+` FROM sessions WHERE connection_id = ? AND vendor_id = ? AND org_id = ?`, s.Connection, s.VendorID, p.org)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return was, is, err
		}
	}
	row := []any{
		p.org, s.Connection, s.VendorID, nullID(customer), ms(s.StartedAt), ms(s.UpdatedAt), ms(s.EndedAt),
		s.Status, s.LengthMS, s.PageViewCount, s.UserID, clip(s.UserIdentifier), s.UserAnonymous, clip(s.UserName), clip(s.UserEmail),
		clip(s.UserURL), clip(s.Browser), clip(s.BrowserVersion), clip(s.OS), clip(s.OSVersion), clip(s.Platform), clip(s.Country), clip(s.IPAddress), clip(s.CountryName),
		clip(s.State), clip(s.City), clip(s.Rating), s.ErrorCount, clip(s.WebURL), ms(s.ListedAt), ms(s.DetailedAt),
		slowest, slowClass(slowest), s.UserPartial, s.ViewportWidth, s.ViewportHeight, clip(s.Deployment), nullID(s.DetailFrom),
	}
	if was.id == 0 { // most are new, and a plain insert costs half
		var n int64
		n, err = insert(ctx, p.q, "session "+s.VendorID, insertSession, row...)
		is = s.facts(SessionID(n))
	} else {
		is, err = one(ctx, p.q, "session "+s.VendorID, scanFacts, upsertSession, row...)
	}
	if err != nil {
		return was, is, err
	}
	p.rows[key] = is
	if was != is { // most of what a list repeats changes nothing here
		if was.id != 0 {
			p.tally(s.Connection).session(was, -1)
		}
		p.tally(s.Connection).session(is, 1)
	}
	return was, is, nil
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
		f, err := scanFacts(scanAfter{s, &id})
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

// scanAfter scans a row whose first column is taken.
type scanAfter struct {
	scanner
	first any
}

// Scan reads the other columns.
func (s scanAfter) Scan(dest ...any) error { return s.scanner.Scan(append([]any{s.first}, dest...)...) }

// facts are what a new session adds to the rollups.
func (s Session) facts(id SessionID) facts {
	return facts{
		id: id, startedAt: s.StartedAt.UnixMilli(), country: clip(s.Country), browser: clip(s.Browser), os: clip(s.OS), rating: clip(s.Rating),
		anonymous: s.UserAnonymous, detailed: !s.DetailedAt.IsZero(), hasErrors: s.ErrorCount != nil && *s.ErrorCount > 0,
	}
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

// full stores a session with its page views and errors. The detail of a twin,
// which tells other things, does not replace a detail of the row's own.
func (p *putter) full(ctx context.Context, s FullSession, receivedAt time.Time) (SessionID, error) {
	s.Connection, s.ListedAt, s.DetailedAt = p.conn, time.Time{}, receivedAt
	n := int64(len(s.Errors))
	s.ErrorCount = &n
	var home *home
	var err error
	if s.Session, home, err = p.home(ctx, s.Session); err != nil {
		return 0, err
	}
	if home != nil {
		s.DetailFrom = p.conn
		if home.row.DetailFrom == 0 && !home.row.DetailedAt.IsZero() {
			s.DetailedAt, s.ErrorCount = time.Time{}, nil
			_, is, err := p.session(ctx, s.Session, nil)
			if err != nil {
				return 0, err
			}
			home.detailedAt = receivedAt
			return is.id, p.sighted(ctx, home, is)
		}
		for i := range s.Errors { // so that it is the same error as in the row's own details
			if s.Errors[i].Alias != "" {
				s.Errors[i].GroupID = s.Errors[i].Alias
			}
		}
		home.detailedAt = receivedAt
	}
	s.Views, s.Errors = s.Views[:min(len(s.Views), maxViews)], s.Errors[:min(len(s.Errors), maxViews)]
	t, d := p.tally(s.Connection), newDetail()
	pages, groups := make([]PageID, len(s.Views)), make([]ErrorGroupID, len(s.Errors))
	for i, v := range s.Views {
		if pages[i], err = t.page(ctx, p.q, v.URL); err != nil {
			return 0, err
		}
		t.view(&d, pages[i], v.LoadMS)
	}
	for i, e := range s.Errors {
		if groups[i], err = t.group(ctx, p.q, e); err != nil {
			return 0, err
		}
		d.errs[groups[i]]++
	}
	was, is, err := p.session(ctx, s.Session, d.slowest)
	if err != nil {
		return 0, err
	}
	if was.detailed {
		if err := p.dropDetail(ctx, s.Connection, was); err != nil {
			return 0, err
		}
	}
	t.detail(is.startedAt, d, 1)
	if err := t.putIndex(ctx, p.q, is.id, is.startedAt, d); err != nil {
		return 0, err
	}
	if err := p.putDetail(ctx, is.id, s, pages, groups); err != nil {
		return 0, err
	}
	if err := p.sighted(ctx, home, is); err != nil {
		return 0, err
	}
	if len(s.Answer) == 0 && !was.detailed {
		return is.id, nil // there is none to replace
	}
	return is.id, p.putAnswer(ctx, is.id, s.Answer)
}

// moveDetail counts a session's detail at another time: a list said that it
// began earlier than was known.
func (p *putter) moveDetail(ctx context.Context, conn ConnectionID, was, is facts) error {
	t := p.tally(conn)
	d, err := t.readDetail(ctx, p.q, is.id)
	if err != nil {
		return err
	}
	t.detail(was.startedAt, d, -1)
	t.detail(is.startedAt, d, 1)
	if err := t.dropIndex(ctx, p.q, is.id, was.startedAt, d); err != nil {
		return err
	}
	return t.putIndex(ctx, p.q, is.id, is.startedAt, d)
}

// dropDetail takes away a session's page views and errors.
func (p *putter) dropDetail(ctx context.Context, conn ConnectionID, was facts) error {
	t := p.tally(conn)
	d, err := t.readDetail(ctx, p.q, was.id)
	if err != nil {
		return err
	}
	t.detail(was.startedAt, d, -1)
	if err := t.dropIndex(ctx, p.q, was.id, was.startedAt, d); err != nil {
		return err
	}
	for _, table := range []string{"page_views", "session_errors"} {
		if _, err := exec(ctx, p.q, table, `DELETE FROM `+table+` WHERE session_id = ? AND org_id = ?`, was.id, p.org); err != nil {
			return err
		}
	}
	return nil
}

const insertSession = `
	INSERT INTO sessions AS s (org_id, connection_id, vendor_id, customer_id, started_at, updated_at, ended_at,
		status, length_ms, page_view_count, user_id, user_identifier, user_anonymous, user_name, user_email,
		user_url, browser, browser_version, os, os_version, platform, country, ip_address, country_name,
		state, city, rating, error_count, web_url, listed_at, detailed_at, slowest_ms, slow_class,
		user_partial, viewport_width, viewport_height, deployment, detail_from, counted)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`

// upsertSession keeps the newer of two answers, and of the older what the
// newer does not tell. What a detail tells of its errors is always taken: they
// replace those that were here. An answer without an update time is taken as newer: it
// has just come.
const upsertSession = insertSession + `
	ON CONFLICT (connection_id, vendor_id) DO UPDATE SET
		customer_id     = coalesce(excluded.customer_id, s.customer_id),
		started_at      = min(excluded.started_at, s.started_at),
		ended_at        = CASE WHEN ` + newer + ` THEN CASE WHEN lower(excluded.status) = 'active' THEN excluded.ended_at ELSE coalesce(excluded.ended_at, s.ended_at) END
		                       ELSE coalesce(s.ended_at, excluded.ended_at) END,
		length_ms       = CASE WHEN ` + newer + ` THEN coalesce(excluded.length_ms, s.length_ms) ELSE coalesce(s.length_ms, excluded.length_ms) END,
		page_view_count = CASE WHEN ` + newer + ` THEN coalesce(excluded.page_view_count, s.page_view_count) ELSE coalesce(s.page_view_count, excluded.page_view_count) END,
		error_count     = CASE WHEN excluded.detailed_at IS NOT NULL THEN excluded.error_count WHEN ` + newer + ` THEN coalesce(excluded.error_count, s.error_count) ELSE coalesce(s.error_count, excluded.error_count) END,
		user_anonymous  = CASE WHEN excluded.user_partial = 0 AND (s.user_partial = 1 OR ` + newer + `) THEN excluded.user_anonymous ELSE s.user_anonymous END,
		status          = CASE WHEN excluded.status = '' OR (s.status <> '' AND NOT ` + newer + `) THEN s.status ELSE excluded.status END,
		user_id         = CASE WHEN excluded.user_id = '' OR (s.user_id <> '' AND NOT ` + newer + `) THEN s.user_id ELSE excluded.user_id END,
		user_identifier = CASE WHEN excluded.user_identifier = '' OR (s.user_identifier <> '' AND NOT ` + newer + `) THEN s.user_identifier ELSE excluded.user_identifier END,
		user_name       = CASE WHEN excluded.user_name = '' OR (s.user_name <> '' AND NOT ` + newer + `) THEN s.user_name ELSE excluded.user_name END,
		user_email      = CASE WHEN excluded.user_email = '' OR (s.user_email <> '' AND NOT ` + newer + `) THEN s.user_email ELSE excluded.user_email END,
		user_url        = CASE WHEN excluded.user_url = '' OR (s.user_url <> '' AND NOT ` + newer + `) THEN s.user_url ELSE excluded.user_url END,
		browser         = CASE WHEN excluded.browser = '' OR (s.browser <> '' AND NOT ` + newer + `) THEN s.browser ELSE excluded.browser END,
		browser_version = CASE WHEN excluded.browser_version = '' OR (s.browser_version <> '' AND NOT ` + newer + `) THEN s.browser_version ELSE excluded.browser_version END,
		os              = CASE WHEN excluded.os = '' OR (s.os <> '' AND NOT ` + newer + `) THEN s.os ELSE excluded.os END,
		os_version      = CASE WHEN excluded.os_version = '' OR (s.os_version <> '' AND NOT ` + newer + `) THEN s.os_version ELSE excluded.os_version END,
		platform        = CASE WHEN excluded.platform = '' OR (s.platform <> '' AND NOT ` + newer + `) THEN s.platform ELSE excluded.platform END,
		country         = CASE WHEN excluded.country = '' OR (s.country <> '' AND NOT ` + newer + `) THEN s.country ELSE excluded.country END,
		ip_address      = CASE WHEN excluded.ip_address = '' OR (s.ip_address <> '' AND NOT ` + newer + `) THEN s.ip_address ELSE excluded.ip_address END,
		country_name    = CASE WHEN excluded.country_name = '' OR (s.country_name <> '' AND NOT ` + newer + `) THEN s.country_name ELSE excluded.country_name END,
		state           = CASE WHEN excluded.state = '' OR (s.state <> '' AND NOT ` + newer + `) THEN s.state ELSE excluded.state END,
		city            = CASE WHEN excluded.city = '' OR (s.city <> '' AND NOT ` + newer + `) THEN s.city ELSE excluded.city END,
		rating          = CASE WHEN excluded.rating = '' OR (s.rating <> '' AND NOT ` + newer + `) THEN s.rating ELSE excluded.rating END,
		web_url         = CASE WHEN excluded.web_url = '' OR (s.web_url <> '' AND NOT ` + newer + `) THEN s.web_url ELSE excluded.web_url END,
		updated_at      = max(coalesce(excluded.updated_at, s.updated_at), coalesce(s.updated_at, excluded.updated_at)),
		listed_at       = coalesce(excluded.listed_at, s.listed_at),
		slowest_ms      = CASE WHEN excluded.detailed_at IS NULL THEN s.slowest_ms ELSE excluded.slowest_ms END,
		slow_class      = CASE WHEN excluded.detailed_at IS NULL THEN s.slow_class ELSE excluded.slow_class END,
		detail_from     = CASE WHEN excluded.detailed_at IS NULL THEN s.detail_from ELSE excluded.detail_from END,
		user_partial    = min(excluded.user_partial, s.user_partial),
		viewport_width  = coalesce(excluded.viewport_width, s.viewport_width),
		viewport_height = coalesce(excluded.viewport_height, s.viewport_height),
		deployment      = CASE WHEN excluded.deployment = '' THEN s.deployment ELSE excluded.deployment END,
		detailed_at     = coalesce(excluded.detailed_at, s.detailed_at)
	WHERE s.org_id = excluded.org_id
	RETURNING ` + factColumns

const newer = `coalesce(excluded.updated_at >= s.updated_at, 1)`

func (p *putter) putDetail(ctx context.Context, id SessionID, s FullSession, pages []PageID, groups []ErrorGroupID) error {
	for i, v := range s.Views {
		_, err := exec(ctx, p.q, "page view", `
			INSERT INTO page_views (session_id, position, org_id, url, load_ms, view_ms, viewed_at, page_id, vendor_page) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			id, i, p.org, clip(v.URL), v.LoadMS, v.ViewMS, ms(v.ViewedAt), nullID(pages[i]), clip(v.PageID))
		if err != nil {
			return err
		}
	}
	for i, e := range s.Errors {
		_, err := exec(ctx, p.q, "session error", `
			INSERT INTO session_errors (session_id, position, org_id, group_id, instance_id, title, web_url, occurred_at, error_group_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			id, i, p.org, clip(e.GroupID), clip(e.InstanceID), clip(e.Title), clip(e.WebURL), ms(e.OccurredAt), groups[i])
		if err != nil {
			return err
		}
	}
	return nil
}

// clip bounds a vendor's text and takes out what SQLite's text functions trip over.
func clip(s string) string {
	s = CleanText(s)
	if len(s) <= maxText {
		return s
	}
	r := []rune(s)
	return string(r[:min(len(r), maxText)])
}
