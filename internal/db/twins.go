package db

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
)

// A session that Raygun v1 and v3 both told of is one row. Ids alone do not
// prove it, because nothing documents that they are the same number: both must
// say that it began in the same second, at the same address.

// rivals are the connections of this organization through the other version of
// Raygun's API than a connection's. Most organizations have none, and then
// storing sessions costs nothing more.
func (o Org) rivals(ctx context.Context, q querier, conn ConnectionID) ([]ConnectionID, error) {
	return list(ctx, q, "connections", func(s scanner) (id ConnectionID, err error) { return id, s.Scan(&id) }, `
		SELECT c.id FROM connections own CROSS JOIN connections c ON c.org_id = own.org_id
		WHERE own.id = ? AND own.org_id = ? AND c.id <> own.id
			AND c.vendor = CASE own.vendor WHEN 'raygun' THEN 'raygun_v3' WHEN 'raygun_v3' THEN 'raygun' ELSE '' END
		ORDER BY c.id LIMIT 100`, conn, o.id)
}

// home is the row of a twin that a session belongs to, and what its own
// connection told.
type home struct {
	row        Session
	vendorID   string // as the bringing connection writes it
	startedAt  time.Time
	webURL     string
	listedAt   time.Time
	detailedAt time.Time
}

// home finds out whether a session is a row of a twin's. Then the session comes
// back as what it adds to that row: the blanks it fills, and how it went on.
func (p *putter) home(ctx context.Context, s Session) (Session, *home, error) {
	if len(p.rivals) == 0 || s.VendorID == "" {
		return s, nil, nil
	}
	row, err := p.findHome(ctx, s)
	if err != nil || row == nil {
		return s, nil, err
	}
	h := &home{row: *row, vendorID: s.VendorID, startedAt: s.StartedAt, webURL: s.WebURL, listedAt: s.ListedAt}
	if h.startedAt.IsZero() {
		h.startedAt = row.StartedAt
	}
	told := s.sighting()
	told.Connection = p.conn
	s.told = &told
	s.Connection, s.VendorID, s.StartedAt, s.ownCustomer = row.Connection, row.VendorID, row.StartedAt, row.Customer
	fill := func(text *string, has string) {
		if has != "" {
			*text = ""
		}
	}
	// An id or a link of the twin's would not be one of this row's connection.
	s.UserID, s.UserURL, s.WebURL = "", "", ""
	for text, has := range map[*string]string{
		&s.UserIdentifier: row.UserIdentifier, &s.UserName: row.UserName, &s.UserEmail: row.UserEmail,
		&s.Browser: row.Browser, &s.BrowserVersion: row.BrowserVersion, &s.OS: row.OS, &s.OSVersion: row.OSVersion, &s.Platform: row.Platform,
		&s.Country: row.Country, &s.IPAddress: row.IPAddress, &s.CountryName: row.CountryName, &s.State: row.State, &s.City: row.City,
	} {
		fill(text, has)
	}
	return s, h, nil
}

func (p *putter) findHome(ctx context.Context, s Session) (*Session, error) {
	found := func(row Session, err error) (*Session, error) {
		if errors.Is(err, ErrNotFound) {
			return nil, nil
		}
		return &row, err
	}
	row, err := found(one(ctx, p.q, "session", scanSession, `
		SELECT `+sessionColumns+` FROM session_sightings g CROSS JOIN sessions s ON s.id = g.session_id
		WHERE g.connection_id = ? AND g.vendor_id = ? AND g.org_id = ? AND s.org_id = g.org_id`, p.conn, s.VendorID, p.org))
	if row != nil || err != nil {
		return row, err
	}
	if s.Alias == "" || s.StartedAt.IsZero() {
		return nil, nil
	}
	own, err := one(ctx, p.q, "session", scanInt, `
		SELECT EXISTS (SELECT 1 FROM sessions WHERE connection_id = ? AND vendor_id = ? AND org_id = ?)`, p.conn, s.VendorID, p.org)
	if own == 1 || err != nil {
		return nil, err // it was not the same one when it came first
	}
	for _, rival := range p.rivals {
		row, err := found(one(ctx, p.q, "session", scanSession, `
			SELECT `+sessionColumns+` FROM sessions s WHERE s.connection_id = ? AND s.vendor_id = ? AND s.org_id = ?`, rival, s.Alias, p.org))
		if err != nil {
			return nil, err
		}
		if row != nil && sameSession(s, *row) {
			return row, nil
		}
	}
	return nil, nil
}

// sameSession says whether two sessions whose ids are the same number are one.
func sameSession(a, b Session) bool {
	apart := a.StartedAt.Sub(b.StartedAt).Abs()
	if apart >= time.Second {
		return false
	}
	if a.IPAddress != "" && b.IPAddress != "" {
		return strings.EqualFold(a.IPAddress, b.IPAddress)
	}
	// Without an address, what else both tell must agree, and something must.
	agree := 0
	for _, v := range [][2]string{{a.Country, b.Country}, {a.Browser, b.Browser}, {a.OS, b.OS}} {
		switch {
		case v[0] == "" || v[1] == "":
		case !strings.EqualFold(v[0], v[1]):
			return false
		default:
			agree++
		}
	}
	return agree >= 2
}

// sighted writes down that the bringing connection told of a twin's row.
func (p *putter) sighted(ctx context.Context, h *home, is facts) error {
	if h == nil {
		return nil
	}
	if twin := h.row.Connection; !p.twinned[twin] {
		p.twinned[twin] = true
		for _, pair := range [][2]ConnectionID{{p.conn, twin}, {twin, p.conn}} {
			if _, err := exec(ctx, p.q, "connection twin", `
				INSERT INTO connection_twins (connection_id, twin_id, org_id) VALUES (?, ?, ?) ON CONFLICT (connection_id, twin_id) DO NOTHING`,
				pair[0], pair[1], p.org); err != nil {
				return err
			}
		}
	}
	_, err := exec(ctx, p.q, "session sighting", `
		INSERT INTO session_sightings AS g (connection_id, vendor_id, session_id, org_id, started_at, web_url, listed_at, detailed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (connection_id, vendor_id) DO UPDATE SET
			web_url = CASE WHEN excluded.web_url = '' THEN g.web_url ELSE excluded.web_url END,
			listed_at = coalesce(excluded.listed_at, g.listed_at), detailed_at = coalesce(excluded.detailed_at, g.detailed_at)
		WHERE g.org_id = excluded.org_id`,
		p.conn, h.vendorID, is.id, p.org, ms(h.startedAt), clip(h.webURL), ms(h.listedAt), ms(h.detailedAt))
	return err
}

// SessionSighting is another connection's word for a session.
type SessionSighting struct {
	Session              SessionID
	Connection           ConnectionID
	VendorID             string
	WebURL               string
	ListedAt, DetailedAt time.Time
}

// SessionSightings lists which other connections told of sessions, by session
// and connection; of more than 2000 sessions the first are looked at.
func (o Org) SessionSightings(ctx context.Context, ids []SessionID) ([]SessionSighting, error) {
	return list(ctx, o.db.r, "session sightings", func(s scanner) (SessionSighting, error) {
		var g SessionSighting
		var listed, detailed sql.NullInt64
		err := s.Scan(&g.Session, &g.Connection, &g.VendorID, &g.WebURL, &listed, &detailed)
		g.ListedAt, g.DetailedAt = timeOf(listed), timeOf(detailed)
		return g, err
	}, `
		SELECT g.session_id, g.connection_id, g.vendor_id, g.web_url, g.listed_at, g.detailed_at FROM json_each(?) j
		CROSS JOIN session_sightings g ON g.session_id = j.value
		WHERE g.org_id = ? ORDER BY g.session_id, g.connection_id LIMIT 2000`, jsonList(ids), o.id)
}

// ConnectionTwins returns the connections that told of the same sessions as the
// given ones, without those: together they are the same applications.
func (o Org) ConnectionTwins(ctx context.Context, conns []ConnectionID) ([]ConnectionID, error) {
	return list(ctx, o.kept(), "connection twins", func(s scanner) (id ConnectionID, err error) { return id, s.Scan(&id) }, `
		SELECT DISTINCT t.twin_id FROM json_each(?1) j
		CROSS JOIN connection_twins t ON t.connection_id = j.value
		WHERE t.org_id = ?2 AND t.twin_id NOT IN (SELECT value FROM json_each(?1))
		ORDER BY t.twin_id LIMIT 100`, jsonList(conns), o.id)
}
