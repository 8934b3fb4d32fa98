package db

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
)

// Session is a Raygun session in the mirror. Absent texts are empty, absent
// times zero and absent numbers nil: the mirror never turns "unknown" into 0.
type Session struct {
	ID         SessionID
	Connection ConnectionID
	VendorID   string
	Customer   CustomerID // 0 if nothing names the person
	// StartedAt is never zero: where the vendor did not say, it is the earliest
	// time that the row knows of.
	StartedAt, UpdatedAt, EndedAt time.Time
	Status                        string // the vendor's word, "active" or "ended"
	LengthMS                      *int64
	PageViewCount                 *int64
	UserID                        string // Raygun's number
	UserIdentifier                string // what the site gave its SDK
	UserAnonymous                 bool
	UserName, UserEmail, UserURL  string
	Browser, BrowserVersion       string
	OS, OSVersion, Platform       string
	Country                       string // two letters, as the vendor wrote them
	IPAddress                     string
	CountryName, State, City      string // with the detail only
	Rating                        string // with the detail only
	ErrorCount                    *int64 // with the detail only
	WebURL                        string
	ListedAt                      time.Time // when a list last held the session
	DetailedAt                    time.Time // when its detail was fetched, zero if never

	// UserPartial says that UserID is all that is known of the person, and that
	// they may or may not have a name: v3 tells it apart.
	UserPartial bool
	// Alias is the session's id as the other version of Raygun's API writes it, by
	// which both are known to tell of the same one. It is not stored.
	Alias string
	// ViewportWidth and ViewportHeight are pixels, and Deployment the version of
	// the site's code; v3 alone tells them.
	ViewportWidth, ViewportHeight *int64
	Deployment                    string
	// DetailFrom is the connection whose detail is here, 0 for the session's own.
	DetailFrom ConnectionID

	// told is whom a twin of the row's connection names, nil if its own connection
	// told of the session; ownCustomer is whose the row is already.
	told        *Sighting
	ownCustomer CustomerID
}

// PageView is one page seen in a session, in the vendor's order.
type PageView struct {
	URL      string
	LoadMS   *int64
	ViewMS   *int64 // negative in some old data
	ViewedAt time.Time
	// PageID is v3's identifier of the page, by which it is named where URL is not
	// known yet.
	PageID string
}

// SessionError is an error that occurred in a session.
type SessionError struct {
	GroupID, InstanceID string
	Title               string
	WebURL              string
	OccurredAt          time.Time // with v3 only
	// Alias is GroupID as the other version of Raygun's API writes it. It is not
	// stored.
	Alias string
}

// Moment is a place in a list that is ordered newest first: what comes after
// it is older, or as old with a lower id. The zero Moment is the beginning.
type Moment struct {
	At time.Time
	ID int64
}

// args are the two values to compare a row's (time, id) with.
func (m Moment) args() (at, id int64) {
	if m.At.IsZero() {
		return 1<<63 - 1, 1<<63 - 1
	}
	return m.At.UnixMilli(), m.ID
}

// sessionColumns is one column, which scanSession reads.
const sessionColumns = `json_array(s.id, s.connection_id, s.vendor_id, coalesce(s.customer_id, 0), s.started_at, s.updated_at, s.ended_at,
	s.status, s.length_ms, s.page_view_count, s.user_id, s.user_identifier, s.user_anonymous, s.user_name, s.user_email,
	s.user_url, s.browser, s.browser_version, s.os, s.os_version, s.platform, s.country, s.ip_address, s.country_name,
	s.state, s.city, s.rating, s.error_count, s.web_url, s.listed_at, s.detailed_at,
	s.user_partial, s.viewport_width, s.viewport_height, s.deployment, coalesce(s.detail_from, 0))`

func scanSession(r scanner) (Session, error) { return scanPacked(r, scanSessionColumns) }

// scanSessions is scanSession for one list after the other: what is scanned into
// is allocated, and a session is large, so that all rows share one.
func scanSessions() func(scanner) (Session, error) {
	var s Session
	scan := func(r scanner) (Session, error) {
		s = Session{}
		err := s.scan(r)
		return s, err
	}
	return func(r scanner) (Session, error) { return scanPacked(r, scan) }
}

func scanSessionColumns(r scanner) (Session, error) {
	var s Session
	err := s.scan(r)
	return s, err
}

func (s *Session) scan(r scanner) error {
	return r.Scan(&s.ID, &s.Connection, &s.VendorID, &s.Customer, (*stamp)(&s.StartedAt), (*stamp)(&s.UpdatedAt), (*stamp)(&s.EndedAt),
		&s.Status, &s.LengthMS, &s.PageViewCount, &s.UserID, &s.UserIdentifier, &s.UserAnonymous, &s.UserName, &s.UserEmail,
		&s.UserURL, &s.Browser, &s.BrowserVersion, &s.OS, &s.OSVersion, &s.Platform, &s.Country, &s.IPAddress, &s.CountryName,
		&s.State, &s.City, &s.Rating, &s.ErrorCount, &s.WebURL, (*stamp)(&s.ListedAt), (*stamp)(&s.DetailedAt),
		&s.UserPartial, &s.ViewportWidth, &s.ViewportHeight, &s.Deployment, &s.DetailFrom)
}

// Session reads one session.
func (o Org) Session(ctx context.Context, id SessionID) (Session, error) {
	return one(ctx, o.db.r, "session", scanSession, `
		SELECT `+sessionColumns+` FROM sessions s WHERE s.id = ? AND s.org_id = ?`, id, o.id)
}

// SessionsByVendorID finds sessions by the vendor's id on any connection, at
// most 20.
func (o Org) SessionsByVendorID(ctx context.Context, vendorID string) ([]Session, error) {
	return list(ctx, o.db.r, "sessions", scanSession, `
		SELECT `+sessionColumns+` FROM connections c
		CROSS JOIN sessions s ON s.connection_id = c.id AND s.vendor_id = ?
		WHERE c.org_id = ? AND s.org_id = c.org_id
		ORDER BY c.id LIMIT 20`, vendorID, o.id)
}

// PageViews lists a session's page views in the vendor's order, at most 5000.
func (o Org) PageViews(ctx context.Context, id SessionID) ([]PageView, error) {
	return list(ctx, o.db.r, "page views", func(s scanner) (PageView, error) {
		var v PageView
		var at sql.NullInt64
		err := s.Scan(&v.URL, &v.LoadMS, &v.ViewMS, &at, &v.PageID)
		v.ViewedAt = timeOf(at)
		return v, err
	}, `
		SELECT url, load_ms, view_ms, viewed_at, vendor_page FROM page_views
		WHERE session_id = ? AND org_id = ? ORDER BY position LIMIT 5000`, id, o.id)
}

// SessionErrors lists a session's errors in the vendor's order, at most 5000.
func (o Org) SessionErrors(ctx context.Context, id SessionID) ([]SessionError, error) {
	return list(ctx, o.db.r, "session errors", func(s scanner) (SessionError, error) {
		var e SessionError
		var at sql.NullInt64
		err := s.Scan(&e.GroupID, &e.InstanceID, &e.Title, &e.WebURL, &at)
		e.OccurredAt = timeOf(at)
		return e, err
	}, `
		SELECT group_id, instance_id, title, web_url, occurred_at FROM session_errors
		WHERE session_id = ? AND org_id = ? ORDER BY position LIMIT 5000`, id, o.id)
}

// timelineColumns is what the index sessions_customer holds of a session, word
// by word: migration 00024 says why.
const timelineColumns = `json_array(id, connection_id, started_at,
	updated_at - started_at, ended_at - started_at, detailed_at - started_at, detail_from, status, length_ms, page_view_count,
	browser, os, CASE WHEN browser = '' AND os = '' THEN platform ELSE '' END, country, rating, error_count) || ''`

// All of them come as one text, a line each: a row costs the driver as much as
// SQLite's own reading of it.
const customerSessionsQuery = `
	` + inLines + `
		SELECT ` + timelineColumns + ` AS line FROM sessions
		WHERE customer_id = ? AND org_id = ? AND (started_at, id) < (?, ?)
		ORDER BY started_at DESC, id DESC LIMIT ?)`

// CustomerSessions lists a customer's sessions, newest first, with what their
// page shows of them, needs to offer their details, and tells how long they
// went on: the other fields are empty, and Platform is known only of those
// without browser and system.
func (o Org) CustomerSessions(ctx context.Context, customer CustomerID, after Moment, limit int) ([]Session, error) {
	at, id := after.args()
	text, err := one(ctx, o.db.r, "customer's sessions", scanText, customerSessionsQuery, customer, o.id, at, id, limit)
	if err != nil {
		return nil, err
	}
	return readSessions(text, customer)
}

// readSessions reads a line for each session of a customer.
func readSessions(text string, customer CustomerID) ([]Session, error) {
	if text == "" {
		return nil, nil
	}
	// Rows are large: they are read where they stay, in one piece of memory.
	out := make([]Session, 0, 1+strings.Count(text, "\n"))
	var p packedRow
	var columns []any
	var updated, ended, detailed, from sql.NullInt64
	for line := range strings.SplitSeq(text, "\n") {
		out = append(out, Session{Customer: customer})
		s := &out[len(out)-1]
		columns = append(columns[:0], &s.ID, &s.Connection, (*stamp)(&s.StartedAt), &updated, &ended, &detailed, &from, &s.Status,
			&s.LengthMS, &s.PageViewCount, &s.Browser, &s.OS, &s.Platform, &s.Country, &s.Rating, &s.ErrorCount)
		if err := p.read(line, columns); err != nil {
			return nil, wrap("customer's sessions", err)
		}
		s.UpdatedAt, s.EndedAt, s.DetailedAt = sinceThen(s.StartedAt, updated), sinceThen(s.StartedAt, ended), sinceThen(s.StartedAt, detailed)
		s.DetailFrom = ConnectionID(from.Int64)
	}
	return out, nil
}

// sinceThen is the time that many milliseconds after another one, zero if that
// is not known.
func sinceThen(start time.Time, ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(start.UnixMilli() + ms.Int64).UTC() // a Duration has no room for what a lying clock says
}

// SessionNeighbours finds the session of the same customer that began before a
// session and the one that began after it; 0 is none.
func (o Org) SessionNeighbours(ctx context.Context, s Session) (earlier, later SessionID, err error) {
	if s.Customer == 0 {
		return 0, 0, nil
	}
	find := func(query string) (SessionID, error) {
		n, err := one(ctx, o.db.r, "session", scanInt, query, s.Customer, o.id, ms(s.StartedAt), s.ID)
		if errors.Is(err, ErrNotFound) {
			return 0, nil
		}
		return SessionID(n), err
	}
	earlier, err = find(`SELECT id FROM sessions WHERE customer_id = ? AND org_id = ? AND (started_at, id) < (?, ?) ORDER BY started_at DESC, id DESC LIMIT 1`)
	if err != nil {
		return 0, 0, err
	}
	later, err = find(`SELECT id FROM sessions WHERE customer_id = ? AND org_id = ? AND (started_at, id) > (?, ?) ORDER BY started_at, id LIMIT 1`)
	return earlier, later, err
}
