package db

import (
	"context"
	"database/sql"
	"strings"
	"unicode/utf8"
)

// Match is an identity that matches a search, with its customer.
type Match struct {
	Customer   Customer
	Kind       IdentityKind
	Connection ConnectionID
	Value      string
}

func scanMatch(s scanner) (Match, error) {
	var m Match
	var first, last, created sql.NullInt64
	err := s.Scan((*string)(&m.Kind), &m.Connection, &m.Value, &m.Customer.ID, &m.Customer.Name, &m.Customer.Email, &first, &last, &created)
	m.Customer.FirstSeen, m.Customer.LastSeen, m.Customer.CreatedAt = timeOf(first), timeOf(last), timeOf(created)
	return m, err
}

// scanPackedMatch is scanMatch of columns that are one text.
func scanPackedMatch(s scanner) (Match, error) { return scanPacked(s, scanMatch) }

const matchColumns = "i.kind, i.connection_id, i.value, " + customerColumns

// lookupRows bounds how many identities are read that are just so.
const lookupRows = 200

// MatchExact lists the identities whose normalised value is norm, at most 200.
func (o Org) MatchExact(ctx context.Context, norm string) ([]Match, error) {
	return list(ctx, o.db.r, "exact matches", scanMatch, `
		SELECT `+matchColumns+` FROM identities i
		CROSS JOIN customers c ON c.id = i.customer_id
		WHERE i.org_id = ? AND i.value_norm = ?
		ORDER BY i.value_norm, i.kind, i.connection_id, i.customer_id, i.value LIMIT ?`, o.id, norm, lookupRows)
}

// MatchPrefix lists identities whose normalised value begins with norm, in
// their order, at most limit.
func (o Org) MatchPrefix(ctx context.Context, norm string, limit int) ([]Match, error) {
	return list(ctx, o.db.r, "prefix matches", scanPackedMatch, `
		SELECT json_array(`+matchColumns+`) FROM identities i
		CROSS JOIN customers c ON c.id = i.customer_id
		WHERE i.org_id = ? AND i.value_norm >= ? AND i.value_norm < ?
		ORDER BY i.value_norm, i.kind, i.connection_id, i.customer_id, i.value LIMIT ?`,
		o.id, norm, norm+string(utf8.MaxRune), limit)
}

// MatchText lists identities whose normalised value contains norm, at most
// limit. The index knows only pieces of three characters: what is shorter finds
// nothing.
func (o Org) MatchText(ctx context.Context, norm string, limit int) ([]Match, error) {
	if utf8.RuneCountInString(norm) < 3 {
		return nil, nil
	}
	// One quoted phrase: nothing in it is an operator to FTS5.
	phrase := `"` + strings.ReplaceAll(norm, `"`, `""`) + `"`
	return list(ctx, o.db.r, "text matches", scanPackedMatch, `
		SELECT json_array(`+matchColumns+`) FROM identities_fts f
		CROSS JOIN identities i ON i.id = f.rowid & ((1 << 40) - 1)
		CROSS JOIN customers c ON c.id = i.customer_id
		WHERE f.value_norm MATCH ?1 AND f.rowid >= ?2 << 40 AND f.rowid < (?2 + 1) << 40 AND i.org_id = ?2
		ORDER BY f.rowid LIMIT ?3`, phrase, o.id, limit)
}

// RecordingCustomers lists the customers whose highlights tell of a LogRocket
// recording session, at most 20. An empty session means any of the recording.
func (o Org) RecordingCustomers(ctx context.Context, recording, session string) ([]Customer, error) {
	return list(ctx, o.db.r, "recording's customers", scanCustomer, `
		SELECT DISTINCT `+customerColumns+` FROM highlight_sessions r
		CROSS JOIN highlights h ON h.id = r.highlight_id
		CROSS JOIN customers c ON c.id = h.customer_id
		WHERE r.org_id = ?1 AND r.recording_id = ?2 AND (?3 = '' OR r.session_id = ?3) AND c.org_id = ?1
		ORDER BY c.id LIMIT 20`, o.id, recording, session)
}
