package db

import (
	"context"
	"errors"
	"time"
)

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

// facts are what a new session adds to the rollups.
func (s Session) facts(id SessionID) facts {
	return facts{
		id: id, startedAt: s.StartedAt.UnixMilli(), country: clip(s.Country), browser: clip(s.Browser), os: clip(s.OS), rating: clip(s.Rating),
		anonymous: s.UserAnonymous, detailed: !s.DetailedAt.IsZero(), hasErrors: s.ErrorCount != nil && *s.ErrorCount > 0,
	}
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
