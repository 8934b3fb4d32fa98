package db

import (
	"context"
	"strings"
	"unicode"
)

// searchedHighlights is how many highlights that hold the words are looked at
// for the rest of a filter at once.
const searchedHighlights = 2000

// SearchHighlights lists the highlights that hold every word of a text in
// subject, question or result, newest first, without their results; of f.After
// only the id counts. Words may be cut off behind: "pay" finds "payment". It
// looks at 2,000 that hold the words at most: where more may follow that it has
// not looked at, further is the id to go on after, else 0.
func (o Org) SearchHighlights(ctx context.Context, f HighlightFilter, text string) (found []Highlight, further HighlightID, err error) {
	match := wordsQuery(text)
	if match == "" {
		return nil, 0, nil
	}
	_, before := f.After.args()
	if before >= 1<<40 {
		before = 1<<40 - 1
	}
	q, args := searchHighlightsQuery(o.id, f, match, before)
	found, err = list(ctx, o.db.r, "highlights", scanHighlight, q, args...)
	if err != nil || len(found) == highlightLimit(f) {
		return found, 0, err
	}
	last, err := list(ctx, o.db.r, "highlights", scanInt, lastSearchedQuery, match, o.id, before, searchedHighlights-1)
	if err != nil || len(last) == 0 {
		return found, 0, err
	}
	return found, HighlightID(last[0]), nil
}

// searchedIn are the highlights of one organization that hold the words, ?1,
// from before an id, ?3, on.
const searchedIn = `FROM highlights_fts f WHERE f.words MATCH ?1 AND f.rowid >= ?2 << 40 AND f.rowid < (?2 << 40) + ?3 ORDER BY f.rowid DESC`

const lastSearchedQuery = `SELECT f.rowid & ((1 << 40) - 1) ` + searchedIn + ` LIMIT 1 OFFSET ?4`

func searchHighlightsQuery(org OrgID, f HighlightFilter, match string, before int64) (string, []any) {
	var b strings.Builder
	b.WriteString(`
		SELECT ` + highlightListColumns + ` FROM (SELECT f.rowid AS at ` + searchedIn + ` LIMIT ?4) AS hits
		CROSS JOIN highlights h ON h.id = hits.at & ((1 << 40) - 1)
		WHERE h.org_id = ?2`)
	args := f.conditions(&b, []any{match, org, before, searchedHighlights})
	b.WriteString(` ORDER BY hits.at DESC LIMIT ?`)
	return b.String(), append(args, highlightLimit(f))
}

func highlightLimit(f HighlightFilter) int { return min(max(f.Limit, 1), 500) }

// wordsQuery makes of what a person typed a query for all of its words, ""
// where it has none. Each is quoted: nothing in it is an operator to FTS5.
func wordsQuery(text string) string {
	var out []string
	for _, w := range strings.Fields(strings.ToValidUTF8(text, " ")) {
		w = strings.ReplaceAll(w, "\x00", "")
		if !strings.ContainsFunc(w, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			continue
		}
		w = `"` + strings.ReplaceAll(w, `"`, `""`) + `"`
		if len([]rune(w)) > 3 { // one letter is a word of its own, not the beginning of half of all
			w += "*"
		}
		if out = append(out, w); len(out) == 10 {
			break
		}
	}
	return strings.Join(out, " ")
}
