package services

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/eventlog"
)

const (
	// blockEvents and blockBytes bound a block of lines: what is read to show one of
	// them.
	blockEvents, blockBytes = 256, 128 << 10
	// ahead is how many events are looked at beyond a block to bring them into the
	// order of time: files are nearly in it.
	ahead = 128
	// callsPerRow is how many network calls are packed into a row.
	callsPerRow = 1000
	// maxPending bounds the calls that wait for their answer. Of more, the oldest
	// count as never answered.
	maxPending = 20_000
	// maxRecordingTexts is how many different texts of a recording can be searched.
	maxRecordingTexts = 20_000
	// maxEventText is how many characters of a text can be searched.
	maxEventText = 300
	// maxSeen is how many texts of a file are known as they are written, and
	// maxSeenText how many bytes the longest of them has.
	maxSeen, maxSeenText = 5000, 1000
	// maxApart is how far from the beginning of a recording an event can be: clocks
	// are wrong at times, recordings last hours.
	maxApart = 7 * 24 * time.Hour
)

// recorder takes the events of one recording.
type recorder struct {
	i    *ingest
	id   RecordingID // 0 until a block is stored; the block writer's until it is closed
	key  recordingKey
	sure bool // the pair is LogRocket's

	begin  time.Time // when it began, as far as is known
	trust  bool      // begin is out of the id
	last   time.Time
	open   []*openEvent
	free   []*openEvent // to be used again
	bytes  int
	events int64 // in closed blocks
	blocks int
	spans  []eventlog.Span

	who     eventlog.Who
	first   string // the first address
	counts  db.RecordingCounts
	texts   map[textKey]*textStat
	seen    map[writtenText]*textStat // some of them
	list    []*textStat
	pending map[string]pendingCall
	waiting []string // the pending calls in the order in which they were asked
	calls   []eventlog.Call
	rowsOut int // rows of calls that were handed over
}

type openEvent struct {
	entry eventlog.Entry
	event eventlog.Event
	chunk int64 // of the file that its line is in; -1 once the line has room of its own
}

type textKey struct {
	kind db.TextKind
	text string
}

// writtenText is a text as it is written; method is of an endpoint.
type writtenText struct {
	kind         db.TextKind
	method, text string
}

// textStat counts one text.
type textStat struct{ db.RecordingText }

// pendingCall is a request that was not answered yet.
type pendingCall struct {
	at   int64 // its place
	ms   int64
	text *textStat
}

func newRecorder(i *ingest, key recordingKey, sure bool) *recorder {
	r := &recorder{i: i, sure: sure, texts: map[textKey]*textStat{}, seen: map[writtenText]*textStat{}, pending: map[string]pendingCall{}}
	r.name(key)
	r.sure = sure
	return r
}

// name gives the recording its pair.
func (r *recorder) name(key recordingKey) {
	r.key, r.sure = key, true
	if at := startOf(key.recording); !at.IsZero() {
		r.begin, r.trust = at, true
	}
}

// add takes an event.
func (r *recorder) add(l rawLine, e eventlog.Event) {
	at := r.when(e)
	e.At = at
	var o *openEvent
	if n := len(r.free); n > 0 {
		o, r.free = r.free[n-1], r.free[:n-1]
	} else {
		o = new(openEvent)
	}
	*o = openEvent{eventlog.Entry{Number: l.number, At: at.UnixMilli(), Lane: e.Lane, Failed: e.Failed(), Raw: l.raw}, e, r.i.chunk}
	r.open = append(r.open, o)
	if r.bytes += len(l.raw); len(r.open) >= blockEvents+ahead || r.bytes >= 2*blockBytes {
		r.closeBlock()
	}
}

// own gives lines of chunks that were read long ago room of their own: a short
// one of a recording that goes on slowly would keep its whole chunk.
func (r *recorder) own() {
	for _, o := range r.open {
		if o.chunk >= 0 && o.chunk <= r.i.chunk-chunksHeld {
			o.entry.Raw, o.chunk = bytes.Clone(o.entry.Raw), -1
		}
	}
}

// when is the time of an event. One that tells none, or one that cannot be, gets
// that of the event before.
func (r *recorder) when(e eventlog.Event) time.Time {
	at := e.At
	if at.IsZero() && e.Offset > 0 && !r.begin.IsZero() {
		at = r.begin.Add(e.Offset)
	}
	if r.trust && at.Sub(r.begin).Abs() > maxApart {
		at = time.Time{}
	}
	if at.IsZero() {
		for _, t := range []time.Time{r.last, r.begin, r.i.received} {
			if !t.IsZero() {
				return t
			}
		}
	}
	if r.begin.IsZero() {
		r.begin = at
	}
	r.last = at
	return at
}

// closeBlock hands the first of the open events over as a block, in the order of
// time.
func (r *recorder) closeBlock() {
	if len(r.open) == 0 {
		return
	}
	byTime := func(a, b *openEvent) int { return cmp.Compare(a.entry.At, b.entry.At) }
	if !slices.IsSortedFunc(r.open, byTime) {
		slices.SortStableFunc(r.open, byTime)
	}
	count, bytes := 0, 0
	for count < min(len(r.open), blockEvents) && (count == 0 || bytes+len(r.open[count].entry.Raw) <= blockBytes) {
		bytes += len(r.open[count].entry.Raw)
		count++
	}
	entries := make([]eventlog.Entry, count)
	var span eventlog.Span
	for n, o := range r.open[:count] {
		entries[n] = o.entry
		span.Add(o.entry)
		r.take(r.events+int64(n), o.event)
		*o = openEvent{} // the line's room is let go of
	}
	r.events += int64(count)
	r.bytes -= bytes
	r.spans = append(r.spans, span)
	r.i.writer.put(block{rec: r, number: r.blocks, entries: entries})
	r.blocks++
	r.free = append(r.free, r.open[:count]...)
	r.open = slices.Delete(r.open, 0, count)
}

// take counts an event at its place.
func (r *recorder) take(at int64, e eventlog.Event) {
	c := &r.counts
	*[...]*int64{&c.Others, &c.Navigations, &c.Inputs, &c.Network, &c.Console, &c.Errors, &c.Customs}[e.Lane]++
	if e.Who != nil {
		r.told(*e.Who)
	}
	kind, text := db.TextOther, e.Type
	switch e.Lane {
	case eventlog.Network:
		if e.Part != eventlog.NoCall {
			r.call(at, e)
			return
		}
	case eventlog.Navigation:
		if kind, text = db.TextPage, e.URL; r.first == "" {
			r.first = e.URL
		}
	case eventlog.Input:
		kind, text = db.TextInput, e.Text
	case eventlog.Console:
		kind, text = db.TextConsole, e.Text
		if e.Level == "error" {
			kind = db.TextConsoleError
			c.ConsoleErrors++
		}
	case eventlog.Error:
		kind, text = db.TextError, e.Text
	case eventlog.Custom:
		kind, text = db.TextCustom, e.Text
	}
	r.mention(r.text(kind, "", text), at, e.At, e.Failed())
}

// told keeps what an event tells of the recording; later ones know better.
func (r *recorder) told(w eventlog.Who) {
	to, from := &r.who, &w
	for i, v := range []*string{&from.UserID, &from.Email, &from.Name, &from.Browser, &from.OS, &from.Device, &from.Release, &from.Country, &from.City} {
		if *v != "" {
			*[]*string{&to.UserID, &to.Email, &to.Name, &to.Browser, &to.OS, &to.Device, &to.Release, &to.Country, &to.City}[i] = *v
		}
	}
}

// mention counts a text at a place; nil is one that is not kept.
func (r *recorder) mention(t *textStat, at int64, when time.Time, bad bool) {
	if t == nil {
		return
	}
	if t.Times++; t.Times == 1 {
		t.First, t.FirstAt = at, when
	}
	if bad {
		t.fail(at, when)
	}
}

func (t *textStat) fail(at int64, when time.Time) {
	if t.Bad++; t.Bad == 1 {
		t.BadFirst, t.BadFirstAt = at, when
	}
}

// text is the row of a text, nil for an empty one and for those that are too
// many. Addresses lose their query and ids; method stands before an endpoint's.
func (r *recorder) text(kind db.TextKind, method, raw string) *textStat {
	if raw == "" {
		return nil
	}
	if kind == db.TextPage || kind == db.TextEndpoint {
		if i := strings.IndexAny(raw, "?#"); i >= 0 {
			raw = raw[:i]
		}
	}
	written := writtenText{kind, method, raw}
	if t, ok := r.seen[written]; ok {
		return t
	}
	text := raw
	switch kind {
	case db.TextPage:
		text = db.NormalizePage(raw)
	case db.TextEndpoint:
		if text = db.NormalizePage(raw); method != "" && text != "" {
			text = db.CleanText(method) + " " + text
		}
	case db.TextConsole, db.TextConsoleError, db.TextError:
		// What is logged beside the words is an object of its own each time.
		if i := strings.Index(raw, " {"); i > 0 && kind != db.TextError {
			raw = raw[:i] + " {…}"
		}
		text = db.NormalizeMessage(raw)
	}
	if kind != db.TextPage && kind != db.TextEndpoint { // they are clean
		text = db.CleanText(text)
	}
	text = shortTo(text, maxEventText)
	key := textKey{kind, text}
	t, ok := r.texts[key]
	switch {
	case text == "":
		return nil
	case !ok && (len(r.list) >= maxRecordingTexts || r.i.texts >= maxFileTexts):
		r.counts.TextsLeft++
		return nil
	case !ok:
		t = &textStat{db.RecordingText{Position: len(r.list), Kind: kind, Text: text, BadFirst: -1, BadFirstAt: time.UnixMilli(0)}}
		r.texts[key] = t
		r.list = append(r.list, t)
		r.i.texts++
	}
	if len(written.text) > maxSeenText {
		return t
	}
	if r.i.seen >= maxSeen {
		for _, other := range r.i.order {
			clear(other.seen)
		}
		r.i.seen = 0
	}
	r.seen[written] = t
	r.i.seen++
	return t
}

// facts are what the recording tells of itself.
func (r *recorder) facts() db.RecordingFacts {
	f := db.RecordingFacts{
		UserID: r.who.UserID, UserEmail: r.who.Email, UserName: r.who.Name, Browser: clean(r.who.Browser), OS: clean(r.who.OS), Device: clean(r.who.Device),
		Release: clean(r.who.Release), Country: clean(r.who.Country), City: clean(r.who.City), FirstURL: shortTo(db.CleanText(r.first), 1000), RecordingCounts: r.counts,
	}
	for n, s := range r.spans {
		first, last := time.UnixMilli(s.First).UTC(), time.UnixMilli(s.Last).UTC()
		if n == 0 || first.Before(f.StartedAt) {
			f.StartedAt = first
		}
		f.EndedAt = later(f.EndedAt, last)
	}
	return f
}

func clean(s string) string { return shortTo(db.CleanText(s), 200) }

// rows are the texts to be stored.
func (r *recorder) rows() []db.RecordingText {
	out := make([]db.RecordingText, len(r.list))
	for i, t := range r.list {
		out[i] = t.RecordingText
	}
	return out
}
