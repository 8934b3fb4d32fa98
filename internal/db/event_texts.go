package db

import (
	"cmp"
	"context"
	"strings"
	"time"
	"unicode/utf8"
)

// EventText is a text that recordings are searched by.
type EventText struct {
	ID   EventTextID
	Kind TextKind
	Text string
}

func scanEventText(s scanner) (t EventText, err error) { return t, s.Scan(&t.ID, &t.Kind, &t.Text) }

// MatchTexts finds the newest texts of some kinds that hold a text, in capitals
// or not, at most limit; one of less than three characters finds what begins with
// it, as it is written.
func (o Org) MatchTexts(ctx context.Context, kinds []TextKind, query string, limit int) ([]EventText, error) {
	query = CleanText(query)
	if utf8.RuneCountInString(query) >= 3 {
		return list(ctx, o.db.r, "event texts", scanEventText, `
			SELECT t.id, t.kind, t.text FROM event_texts_fts f CROSS JOIN event_texts t ON t.id = f.rowid & 0xffffffffff
			WHERE f.text MATCH ? AND f.rowid >= ? AND f.rowid < ? AND t.org_id = ? AND t.kind IN (SELECT value FROM json_each(?))
			ORDER BY f.rowid DESC LIMIT ?`,
			`"`+strings.ReplaceAll(query, `"`, `""`)+`"`, int64(o.id)<<40, int64(o.id+1)<<40, o.id, jsonKinds(kinds), limit)
	}
	var out []EventText
	for _, kind := range kinds {
		rows, err := list(ctx, o.db.r, "event texts", scanEventText, `
			SELECT t.id, t.kind, t.text FROM event_texts t
			WHERE t.org_id = ? AND t.kind = ? AND t.text >= ? AND t.text < ? ORDER BY t.text LIMIT ?`, o.id, kind, query, query+"\U0010FFFF", limit)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out[:min(len(out), limit)], nil
}

func jsonKinds(kinds []TextKind) string {
	ids := make([]EventTextID, len(kinds)) // any number will do
	for i, k := range kinds {
		ids[i] = EventTextID(k)
	}
	return jsonList(ids)
}

// EventTexts reads texts by their ids, in no order; at most 500 are looked at, and
// those that are not there are left out.
func (o Org) EventTexts(ctx context.Context, ids []EventTextID) ([]EventText, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return list(ctx, o.db.r, "event texts", scanEventText, `
		SELECT t.id, t.kind, t.text FROM json_each(?) j CROSS JOIN event_texts t ON t.id = j.value WHERE t.org_id = ?`, jsonList(ids[:min(len(ids), 500)]), o.id)
}

// TextHit is a text in a recording.
type TextHit struct {
	Recording RecordingID
	Text      EventTextID
	Position  int // of the text among the recording's
	Kind      TextKind
	StartedAt time.Time // the recording's
	// Times counts it, Bad its failures; First and BadFirst are the places in the
	// recording of the first of each (-1 if there is none).
	Times, Bad          int64
	First, BadFirst     int64
	FirstAt, BadFirstAt time.Time
}

// Place is where the list goes on behind a hit.
func (h TextHit) Place() PlaceOfHit { return PlaceOfHit{h.StartedAt, h.Recording, h.Text} }

// PlaceOfHit is a place in a list of hits; the zero value is its beginning.
type PlaceOfHit struct {
	StartedAt time.Time
	Recording RecordingID
	Text      EventTextID
}

func (p PlaceOfHit) args() (at, recording, text int64) {
	if p.StartedAt.IsZero() {
		return 1<<63 - 1, 1<<63 - 1, 1<<63 - 1
	}
	return p.StartedAt.UnixMilli(), int64(p.Recording), int64(p.Text)
}

// HitFilter selects hits: in recordings that began in [From, To), each open if it
// is zero. Bad selects failures.
type HitFilter struct {
	From, To time.Time
	Bad      bool
	After    PlaceOfHit
	Limit    int
}

const hitColumns = `t.recording_id, t.text_id, t.position, t.kind, t.started_at, t.times, t.bad, t.first_event, t.first_at, t.bad_event, t.bad_at`

func scanHit(s scanner) (TextHit, error) {
	var h TextHit
	var started, first, bad int64
	err := s.Scan(&h.Recording, &h.Text, &h.Position, &h.Kind, &started, &h.Times, &h.Bad, &h.First, &first, &h.BadFirst, &bad)
	h.StartedAt, h.FirstAt, h.BadFirstAt = time.UnixMilli(started).UTC(), time.UnixMilli(first).UTC(), time.UnixMilli(bad).UTC()
	return h, err
}

// TextHits lists where texts are, the newest recordings first. At most 500 texts
// are looked at, each by itself: a page of each, and of these the newest.
func (o Org) TextHits(ctx context.Context, texts []EventTextID, f HitFilter) ([]TextHit, error) {
	at, recording, text := f.After.args()
	var out []TextHit
	for _, id := range texts[:min(len(texts), 500)] {
		rows, err := list(ctx, o.db.r, "hits", scanHit, `
			SELECT `+hitColumns+` FROM recording_texts t INDEXED BY recording_texts_text CROSS JOIN recordings r ON r.id = t.recording_id
			WHERE t.text_id = ? AND (t.started_at, t.recording_id, t.text_id) < (?, ?, ?) AND t.started_at >= ? AND t.started_at < ?
				AND t.bad >= ? AND t.org_id = ? AND r.state = 'shown'
			ORDER BY t.started_at DESC, t.recording_id DESC LIMIT ?`, id, at, recording, text, lowerMS(f.From), upperMS(f.To), f.least(), o.id, f.Limit)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	sortBy(out, func(a, b TextHit) int {
		return cmp.Or(b.StartedAt.Compare(a.StartedAt), cmp.Compare(b.Recording, a.Recording), cmp.Compare(b.Text, a.Text))
	})
	return out[:min(len(out), f.Limit)], nil
}

// least is how many failures a hit has at the least.
func (f HitFilter) least() int {
	if f.Bad {
		return 1
	}
	return 0
}

// KindHits lists all hits of a kind, the newest recordings first.
func (o Org) KindHits(ctx context.Context, kind TextKind, f HitFilter) ([]TextHit, error) {
	at, recording, text := f.After.args()
	query := kindHits
	if f.Bad {
		query = badKindHits
	}
	return list(ctx, o.db.r, "hits", scanHit, query, o.id, kind, at, recording, text, lowerMS(f.From), upperMS(f.To), f.Limit)
}

const (
	kindHits = `
		SELECT ` + hitColumns + ` FROM recording_texts t INDEXED BY recording_texts_kind CROSS JOIN recordings r ON r.id = t.recording_id
		WHERE t.org_id = ? AND t.kind = ? AND (t.started_at, t.recording_id, t.text_id) < (?, ?, ?) AND t.started_at >= ? AND t.started_at < ? AND r.state = 'shown'
		ORDER BY t.started_at DESC, t.recording_id DESC, t.text_id DESC LIMIT ?`
	badKindHits = `
		SELECT ` + hitColumns + ` FROM recording_texts t INDEXED BY recording_texts_bad CROSS JOIN recordings r ON r.id = t.recording_id
		WHERE t.org_id = ? AND t.kind = ? AND t.bad > 0 AND (t.started_at, t.recording_id, t.text_id) < (?, ?, ?) AND t.started_at >= ? AND t.started_at < ? AND r.state = 'shown'
		ORDER BY t.started_at DESC, t.recording_id DESC, t.text_id DESC LIMIT ?`
)

// RecordingHits lists the hits of some texts, or with none of some kinds, in one
// recording, by their place in it, at most limit.
func (o Org) RecordingHits(ctx context.Context, id RecordingID, texts []EventTextID, kinds []TextKind, bad bool, limit int) ([]TextHit, error) {
	f := HitFilter{Bad: bad}
	return list(ctx, o.db.r, "hits", scanHit, `
		SELECT `+hitColumns+` FROM recording_texts t CROSS JOIN recordings r ON r.id = t.recording_id
		WHERE t.recording_id = ?1 AND t.org_id = ?2 AND r.state = 'shown' AND t.bad >= ?3
			AND (t.text_id IN (SELECT value FROM json_each(?4)) OR json_array_length(?4) = 0 AND t.kind IN (SELECT value FROM json_each(?5)))
		ORDER BY t.position LIMIT ?6`, id, o.id, f.least(), jsonList(texts), jsonKinds(kinds), limit)
}

// RecordingTextsOf reads the texts of one kind in a recording by their positions in
// it, at most limit.
func (o Org) RecordingTextsOf(ctx context.Context, id RecordingID, kind TextKind, limit int) (map[int]string, error) {
	out := map[int]string{}
	_, err := list(ctx, o.db.r, "recording's texts", func(s scanner) (struct{}, error) {
		var n int
		var text string
		err := s.Scan(&n, &text)
		out[n] = text
		return struct{}{}, err
	}, `
		SELECT t.position, e.text FROM recording_texts t CROSS JOIN event_texts e ON e.id = t.text_id
		WHERE t.recording_id = ? AND t.org_id = ? AND t.kind = ? ORDER BY t.position LIMIT ?`, id, o.id, kind, limit)
	return out, err
}

// TextCounts are how often a text came.
type TextCounts struct {
	TextID EventTextID
	// Recordings are those that have it, BadRecordings those in which it failed.
	Recordings, BadRecordings int64
	Times, Bad, Timed         int64
	Loads                     Loads
}

// TextPatterns counts the texts of a kind in the recordings of some connections
// that began on days from..to, in no order.
func (o Org) TextPatterns(ctx context.Context, conns []ConnectionID, kind TextKind, from, to Day) ([]TextCounts, error) {
	at := map[EventTextID]int{}
	var out []TextCounts
	_, err := list(ctx, o.db.r, "patterns", func(s scanner) (struct{}, error) {
		var c TextCounts
		var packed []byte
		if err := s.Scan(&c.TextID, &c.Recordings, &c.BadRecordings, &c.Times, &c.Bad, &c.Timed, &packed); err != nil {
			return struct{}{}, err
		}
		i, ok := at[c.TextID]
		if !ok {
			i = len(out)
			at[c.TextID] = i
			out = append(out, TextCounts{TextID: c.TextID})
		}
		t := &out[i]
		t.Recordings, t.BadRecordings, t.Times, t.Bad, t.Timed = t.Recordings+c.Recordings, t.BadRecordings+c.BadRecordings, t.Times+c.Times, t.Bad+c.Bad, t.Timed+c.Timed
		t.Loads.addPacked(packed)
		return struct{}{}, nil
	}, `
		SELECT d.text_id, d.recordings, d.bad_recordings, d.times, d.bad, d.timed, d.loads FROM json_each(?) j
		CROSS JOIN text_days d ON d.connection_id = j.value AND d.kind = ? AND d.day BETWEEN ? AND ?
		WHERE d.org_id = ?`, jsonList(conns), kind, from, to, o.id)
	return out, err
}

// TextDay is how often a text came in the recordings that began on a day.
type TextDay struct {
	Day                                   Day
	Text                                  EventTextID
	Recordings, BadRecordings, Times, Bad int64
}

// TextDays counts some texts of a kind by the day, oldest first; at most 500
// texts are looked at.
func (o Org) TextDays(ctx context.Context, conns []ConnectionID, kind TextKind, texts []EventTextID, from, to Day) ([]TextDay, error) {
	return list(ctx, o.db.r, "patterns", func(s scanner) (d TextDay, err error) {
		return d, s.Scan(&d.Day, &d.Text, &d.Recordings, &d.BadRecordings, &d.Times, &d.Bad)
	}, `
		SELECT d.day, d.text_id, sum(d.recordings), sum(d.bad_recordings), sum(d.times), sum(d.bad) FROM json_each(?) j
		CROSS JOIN text_days d ON d.connection_id = j.value AND d.kind = ? AND d.day BETWEEN ? AND ?
		WHERE d.org_id = ? AND d.text_id IN (SELECT value FROM json_each(?))
		GROUP BY d.day, d.text_id ORDER BY d.day, d.text_id`, jsonList(conns), kind, from, to, o.id, jsonList(texts[:min(len(texts), 500)]))
}
