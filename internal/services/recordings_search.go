package services

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"sightline/internal/db"
)

// TextKind says what a text that recordings are searched by is of.
type TextKind = db.TextKind

// The kinds of texts.
const (
	TextPage         = db.TextPage
	TextInput        = db.TextInput
	TextEndpoint     = db.TextEndpoint
	TextConsole      = db.TextConsole
	TextConsoleError = db.TextConsoleError
	TextError        = db.TextError
	TextCustom       = db.TextCustom
	TextOther        = db.TextOther
)

// PlaceOfHit is a place in a list of hits; the zero value is its beginning.
type PlaceOfHit = db.PlaceOfHit

// RecordingQuery selects moments across recordings.
type RecordingQuery struct {
	// Text is searched for inside of texts, in capitals or not; one of less than
	// three characters at their beginning. Addresses are compared without query
	// and ids, messages without long numbers and ids, also those in this one. Empty
	// means any.
	Text string
	// Exactly, if not 0, is the one text to look for, as patterns name it.
	Exactly EventTextID
	// Kinds are those to look in; none means all.
	Kinds []TextKind
	// Failed selects failures: answers of 400 and above, and errors.
	Failed   bool
	Customer CustomerID // 0 for all
	// From and To bound when recordings began: [From, To), open where zero.
	From, To time.Time
	After    PlaceOfHit
}

// RecordingHit is a text in a recording: a moment to open it at.
type RecordingHit struct {
	Recording Recording
	TextID    EventTextID
	Text      string
	Kind      TextKind
	// Times is how often it came in the recording, Bad how often as a failure.
	Times, Bad int64
	// At and Place are the first moment, of a failure if failures were asked for.
	At    time.Time
	Place int64
}

// RecordingHits is a page of hits, the newest recordings first.
type RecordingHits struct {
	Hits []RecordingHit
	Next PlaceOfHit
	More bool
	// Narrowed says that more texts match than are looked at: the newest are.
	Narrowed bool
}

// Text returns a text that recordings are searched by.
func (r *Recordings) Text(ctx context.Context, org OrgID, id EventTextID) (string, error) {
	texts, err := r.db.Org(org).EventTexts(ctx, []EventTextID{id})
	if err != nil {
		return "", err
	}
	if len(texts) == 0 {
		return "", &Error{Kind: NotFound, Msg: "Nothing in this organization's recordings has that text any more."}
	}
	return texts[0].Text, nil
}

// maxMatches is how many texts one search looks at.
const maxMatches = 200

// Search finds texts in recordings.
func (r *Recordings) Search(ctx context.Context, org OrgID, q RecordingQuery) (RecordingHits, error) {
	var out RecordingHits
	kinds := q.Kinds
	if len(kinds) == 0 {
		kinds = []TextKind{TextPage, TextInput, TextEndpoint, TextConsole, TextConsoleError, TextError, TextCustom, TextOther}
	}
	var texts []EventTextID
	searching := q.Exactly != 0 || strings.TrimSpace(q.Text) != ""
	if q.Exactly != 0 {
		texts = []EventTextID{q.Exactly}
	} else if searching {
		var err error
		if texts, out.Narrowed, err = r.match(ctx, org, kinds, q.Text); err != nil {
			return out, err
		}
		if len(texts) == 0 {
			return out, nil
		}
	}
	f := db.HitFilter{From: q.From, To: q.To, Bad: q.Failed, After: q.After, Limit: ShortPage + 1}
	o := r.db.Org(org)
	var hits []db.TextHit
	var err error
	switch {
	case q.Customer != 0:
		hits, err = r.customerHits(ctx, o, q, texts, kinds)
	case searching:
		hits, err = o.TextHits(ctx, texts, f)
	default:
		for _, kind := range kinds {
			some, kerr := o.KindHits(ctx, kind, f)
			if kerr != nil {
				return out, kerr
			}
			hits = append(hits, some...)
		}
		sortBy(hits, func(a, b db.TextHit) int {
			return cmp.Or(b.StartedAt.Compare(a.StartedAt), cmp.Compare(b.Recording, a.Recording), cmp.Compare(b.Text, a.Text))
		})
	}
	if err != nil {
		return out, err
	}
	if out.More = len(hits) > ShortPage; out.More {
		hits = hits[:ShortPage]
		out.Next = hits[ShortPage-1].Place()
	}
	out.Hits, err = r.hits(ctx, org, hits, q.Failed)
	return out, err
}

// match finds the texts that hold a text.
func (r *Recordings) match(ctx context.Context, org OrgID, kinds []TextKind, text string) (ids []EventTextID, narrowed bool, err error) {
	addresses := slices.DeleteFunc(slices.Clone(kinds), func(k TextKind) bool { return k != TextPage && k != TextEndpoint })
	messages := slices.DeleteFunc(slices.Clone(kinds), func(k TextKind) bool { return k != TextConsole && k != TextConsoleError && k != TextError })
	words := slices.DeleteFunc(slices.Clone(kinds), func(k TextKind) bool { return slices.Contains(addresses, k) || slices.Contains(messages, k) })
	address := strings.TrimSpace(text)
	if method, rest, ok := strings.Cut(address, " "); ok && method == strings.ToUpper(method) && strings.Contains(rest, "/") {
		address = strings.TrimSpace(rest)
	}
	if strings.ContainsAny(address, "/?") {
		address = db.NormalizePage(address)
	}
	for _, part := range []struct {
		kinds []TextKind
		text  string
	}{{addresses, address}, {messages, db.NormalizeMessage(text)}, {words, text}} {
		if len(part.kinds) == 0 {
			continue
		}
		rows, err := r.db.Org(org).MatchTexts(ctx, part.kinds, part.text, maxMatches+1)
		if err != nil {
			return nil, false, err
		}
		narrowed = narrowed || len(rows) > maxMatches
		for _, t := range rows[:min(len(rows), maxMatches)] {
			ids = append(ids, t.ID)
		}
	}
	return ids, narrowed, nil
}

// customerRecordings is how many of a customer's recordings are looked into at a
// time.
const customerRecordings = 500

// customerHits looks into a customer's recordings one after the other. A page ends
// with a hit, and goes on behind it.
func (r *Recordings) customerHits(ctx context.Context, o db.Org, q RecordingQuery, texts []EventTextID, kinds []TextKind) ([]db.TextHit, error) {
	after := Moment{}
	if !q.After.StartedAt.IsZero() {
		after = Moment{At: q.After.StartedAt, ID: int64(q.After.Recording) + 1} // the rest of that recording
	}
	var out []db.TextHit
	for {
		rows, err := o.CustomerRecordings(ctx, q.Customer, q.From, q.To, after, customerRecordings)
		if err != nil {
			return nil, err
		}
		for _, rec := range rows {
			hits, err := o.RecordingHits(ctx, rec.ID, texts, kinds, q.Failed, maxRecordingTexts)
			if err != nil {
				return nil, err
			}
			sortBy(hits, func(a, b db.TextHit) int { return cmp.Compare(b.Text, a.Text) })
			for _, h := range hits {
				if rec.ID == q.After.Recording && h.Text >= q.After.Text {
					continue
				}
				out = append(out, h)
			}
			if len(out) > ShortPage {
				return out[:ShortPage+1], nil
			}
			after = Moment{At: rec.StartedAt, ID: int64(rec.ID)}
		}
		if len(rows) < customerRecordings {
			return out, nil
		}
	}
}

// hits adds what people want to know of hits.
func (r *Recordings) hits(ctx context.Context, org OrgID, rows []db.TextHit, failed bool) ([]RecordingHit, error) {
	o := r.db.Org(org)
	ids := make([]EventTextID, len(rows))
	for i, h := range rows {
		ids[i] = h.Text
	}
	slices.Sort(ids)
	texts, err := o.EventTexts(ctx, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	known := map[EventTextID]string{}
	for _, t := range texts {
		known[t.ID] = t.Text
	}
	recs := map[RecordingID]Recording{}
	out := make([]RecordingHit, 0, len(rows))
	for _, h := range rows {
		rec, ok := recs[h.Recording]
		if !ok {
			row, err := o.Recording(ctx, h.Recording)
			if err != nil {
				if errors.Is(err, db.ErrNotFound) {
					continue // removed meanwhile
				}
				return nil, err
			}
			list, err := r.dress(ctx, org, []db.Recording{row})
			if err != nil {
				return nil, err
			}
			rec, recs[h.Recording] = list[0], list[0]
		}
		hit := RecordingHit{Recording: rec, TextID: h.Text, Text: known[h.Text], Kind: h.Kind, Times: h.Times, Bad: h.Bad, At: h.FirstAt, Place: h.First}
		if failed && h.BadFirst >= 0 {
			hit.At, hit.Place = h.BadFirstAt, h.BadFirst
		}
		out = append(out, hit)
	}
	return out, nil
}

// PatternOrder says which patterns come first.
type PatternOrder string

// The orders of patterns.
const (
	ByFailures PatternOrder = "failures" // only those with any
	BySlowest  PatternOrder = "slowest"  // by the 95th percentile, of those timed at least five times
	ByTimes    PatternOrder = "times"
)

// Pattern is a text that comes again and again.
type Pattern struct {
	Text string
	db.TextCounts
	// P50 and P95 are in milliseconds, -1 if nothing was timed.
	P50, P95 int64
}

// Patterns counts the texts of a kind (endpoints, errors, errors on the console,
// custom events) in the recordings that began on the UTC days of [from, to], at
// most limit of them. Without connections all LogRocket ones are meant.
func (r *Recordings) Patterns(ctx context.Context, org OrgID, conns []ConnectionID, kind TextKind, order PatternOrder, from, to time.Time, limit int) ([]Pattern, error) {
	conns, err := r.rockets(ctx, org, conns)
	if err != nil {
		return nil, err
	}
	rows, err := r.db.Org(org).TextPatterns(ctx, conns, kind, db.DayOf(from), db.DayOf(to))
	if err != nil {
		return nil, err
	}
	list := make([]Pattern, 0, len(rows))
	for _, c := range rows {
		if order == ByFailures && c.Bad == 0 || order == BySlowest && c.Timed < 5 {
			continue
		}
		list = append(list, Pattern{TextCounts: c, P50: c.Loads.Quantile(0.5), P95: c.Loads.Quantile(0.95)})
	}
	sortBy(list, func(a, b Pattern) int {
		switch order {
		case ByFailures:
			return cmp.Or(cmp.Compare(b.Bad, a.Bad), cmp.Compare(b.Times, a.Times), cmp.Compare(a.TextID, b.TextID))
		case BySlowest:
			return cmp.Or(cmp.Compare(b.P95, a.P95), cmp.Compare(b.P50, a.P50), cmp.Compare(a.TextID, b.TextID))
		}
		return cmp.Or(cmp.Compare(b.Times, a.Times), cmp.Compare(a.TextID, b.TextID))
	})
	list = list[:min(len(list), limit, 500)]
	ids := make([]EventTextID, len(list))
	for i, p := range list {
		ids[i] = p.TextID
	}
	texts, err := r.db.Org(org).EventTexts(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, t := range texts {
		if i := slices.Index(ids, t.ID); i >= 0 {
			list[i].Text = t.Text
		}
	}
	return list, nil
}

// TextDay is how often a text came in the recordings that began on a day.
type TextDay = db.TextDay

// PatternDays counts some texts of a kind by the UTC day, oldest first.
func (r *Recordings) PatternDays(ctx context.Context, org OrgID, conns []ConnectionID, kind TextKind, texts []EventTextID, from, to time.Time) ([]TextDay, error) {
	conns, err := r.rockets(ctx, org, conns)
	if err != nil {
		return nil, err
	}
	return r.db.Org(org).TextDays(ctx, conns, kind, texts, db.DayOf(from), db.DayOf(to))
}

// rockets are the given connections, or all LogRocket ones, those out of use, too.
func (r *Recordings) rockets(ctx context.Context, org OrgID, conns []ConnectionID) ([]ConnectionID, error) {
	if len(conns) > 0 {
		return conns, nil
	}
	all, err := r.connections.All(ctx, org)
	for _, c := range all {
		if c.Vendor == LogRocket {
			conns = append(conns, c.ID)
		}
	}
	return conns, err
}
