package db

import (
	"context"
	"database/sql"
	"slices"
	"time"
)

// Search is one question put to Raygun's session search, and how far its
// answer was read.
type Search struct {
	ID         SearchID
	Connection ConnectionID
	Params     string // the question in one canonical spelling
	// Total is how many sessions match, as the vendor last said; nil if it
	// never did. It may change from page to page.
	Total *int64
	// Found is how many different sessions of the answer are in the mirror.
	Found    int64
	NextSkip int  // where the next page begins
	Complete bool // the answer was read to its end
	// CreatedAt and AskedAt are when it was asked first and last.
	CreatedAt, AskedAt time.Time
}

// SearchPage is one page of a search's answer, for [Org.PutSessions].
type SearchPage struct {
	Params   string
	Total    *int64 // nil if the answer did not say
	Skip     int    // what the page was asked with
	NextSkip int
	Last     bool // nothing follows the page
	// Others is how many rows at the end of the page do not match: they are kept,
	// but are no results.
	Others int
}

const searchColumns = "id, connection_id, params, total, found, next_skip, complete, created_at, asked_at"

func scanSearch(s scanner) (Search, error) {
	var v Search
	var created, asked sql.NullInt64
	err := s.Scan(&v.ID, &v.Connection, &v.Params, &v.Total, &v.Found, &v.NextSkip, &v.Complete, &created, &asked)
	v.CreatedAt, v.AskedAt = timeOf(created), timeOf(asked)
	return v, err
}

// putSearchPage stores a page's results and how far the search is now. Rows
// move between pages and may come again: a session counts once. The first page
// asked anew adds to what the pages after it told before.
func putSearchPage(ctx context.Context, q querier, org OrgID, conn ConnectionID, p SearchPage, ids []SessionID, at time.Time) error {
	s, err := one(ctx, q, "session search", scanSearch, `
		INSERT INTO session_searches (org_id, connection_id, params, created_at, asked_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (connection_id, params) DO UPDATE SET asked_at = excluded.asked_at
		RETURNING `+searchColumns, org, conn, p.Params, ms(at), ms(at))
	if err != nil {
		return err
	}
	for some := range slices.Chunk(ids, maxLearned) {
		n, err := exec(ctx, q, "search results", `
			INSERT INTO session_search_results (search_id, session_id, started_at, org_id)
			SELECT ?, s.id, s.started_at, s.org_id FROM json_each(?) j CROSS JOIN sessions s ON s.id = j.value
			WHERE s.org_id = ?
			ON CONFLICT (search_id, session_id) DO NOTHING`, s.ID, jsonList(some), org)
		if err != nil {
			return err
		}
		s.Found += n
	}
	if p.Total != nil {
		s.Total = p.Total
	}
	s.NextSkip = max(s.NextSkip, p.NextSkip)
	// A first page that is asked anew says little about the end: the search
	// stays complete only while everything that matches is here.
	all := s.Total != nil && s.Found >= *s.Total
	s.Complete = p.Last || (s.Complete && all)
	_, err = exec(ctx, q, "session search", `
		UPDATE session_searches SET total = ?, found = ?, next_skip = ?, complete = ? WHERE id = ?`,
		s.Total, s.Found, s.NextSkip, s.Complete, s.ID)
	return err
}

// Searched says whether a question was ever put, answered or not, through asks
// of a kind: most that pages could offer never were, and then neither
// [Org.Search] nor [Org.LatestAsk] has anything to find.
func (o Org) Searched(ctx context.Context, conn ConnectionID, kind, params string) (bool, error) {
	n, err := one(ctx, o.kept(), "session search", scanInt, `
		SELECT EXISTS (SELECT 1 FROM session_searches WHERE connection_id = ?1 AND params = ?3 AND org_id = ?4)
			OR EXISTS (SELECT 1 FROM asks WHERE connection_id = ?1 AND kind = ?2 AND subject = ?3 AND org_id = ?4)`, conn, kind, params, o.id)
	return n == 1, err
}

// Search finds a search by its question, ErrNotFound if it was never asked.
func (o Org) Search(ctx context.Context, conn ConnectionID, params string) (Search, error) {
	return one(ctx, o.db.r, "session search", scanSearch, `
		SELECT `+searchColumns+` FROM session_searches
		WHERE connection_id = ? AND params = ? AND org_id = ?`, conn, params, o.id)
}
