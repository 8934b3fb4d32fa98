package services

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/eventlog"
)

const (
	// EventsPage is how many events of a recording are on a page.
	EventsPage = 100
	// searchedBlocks is how many blocks of a recording are searched for a text
	// before a page is shown with what was found: a tenth of a second's work.
	searchedBlocks = 300
)

// EventLane is what kind of thing an event is: see [eventlog.Lane].
type EventLane = eventlog.Lane

// The lanes.
const (
	LaneOther      = eventlog.Other
	LaneNavigation = eventlog.Navigation
	LaneInput      = eventlog.Input
	LaneNetwork    = eventlog.Network
	LaneConsole    = eventlog.Console
	LaneError      = eventlog.Error
	LaneCustom     = eventlog.Custom
)

// CallAsked is the part of a network call that asks.
const CallAsked = eventlog.Request

// ParseEventLane finds a lane by its name.
func ParseEventLane(name string) (EventLane, bool) { return eventlog.ParseLane(name) }

// EventFilter selects events of a recording.
type EventFilter struct {
	Lanes  []eventlog.Lane // none means all
	Failed bool            // errors, errors on the console, answers of 400 and above
	// Text is searched for in the lines as they are written, in capitals or not.
	Text string
}

// RecordedEvent is an event of a recording. Its At is its time in the recording,
// also where the line tells none.
type RecordedEvent struct {
	// Place is its number in the recording, by which it is found: 0 is the first.
	Place int64
	// Line is the number of its line in the file.
	Line int64
	eventlog.Event
	Raw []byte
}

// EventPage is a page of events in the order of time.
type EventPage struct {
	Events []RecordedEvent
	// Next is the place at which the next page begins, Before that before which the
	// page before ends; -1 if there is none.
	Next, Before int64
	// Unfinished says that the page is not full because the search has stopped
	// here, and goes on with Next or Before.
	Unfinished bool
}

// recordingMap is where things are in a recording.
type recordingMap struct {
	spans  []eventlog.Span
	starts []int64 // the place of each block's first event
	events int64
}

func (r *Recordings) mapOf(ctx context.Context, org OrgID, id RecordingID) (recordingMap, error) {
	var m recordingMap
	packed, err := r.db.Org(org).RecordingMap(ctx, id)
	if err != nil {
		return m, notFound(err, noRecording)
	}
	if m.spans, err = eventlog.UnpackMap(packed); err != nil {
		return m, fmt.Errorf("map of recording %d: %w", id, err)
	}
	m.starts = make([]int64, len(m.spans))
	for i, s := range m.spans {
		m.starts[i] = m.events
		m.events += int64(s.Events())
	}
	return m, nil
}

// block is the number of the block that holds a place.
func (m recordingMap) block(place int64) int {
	return sort.Search(len(m.starts), func(i int) bool { return m.starts[i] > place }) - 1
}

// may says whether a block can hold something that a filter selects.
func (f EventFilter) may(s eventlog.Span) bool {
	if f.Failed && s.Failed == 0 {
		return false
	}
	if len(f.Lanes) == 0 {
		return true
	}
	return slices.ContainsFunc(f.Lanes, func(l eventlog.Lane) bool { return l < eventlog.Lanes && s.Lanes[l] > 0 })
}

// selects says whether a line is what a filter selects; text is in lower case.
func (f EventFilter) selects(e eventlog.Entry, text []byte) bool {
	if f.Failed && !e.Failed || len(f.Lanes) > 0 && !slices.Contains(f.Lanes, e.Lane) {
		return false
	}
	if len(text) == 0 || bytes.Contains(bytes.ToLower(e.Raw), text) {
		return true
	}
	if bytes.IndexByte(e.Raw, '\\') < 0 {
		return false
	}
	v := e.Event() // what is escaped in the line
	for _, s := range []string{v.Text, v.URL, v.Message, v.Stack, v.Selector} {
		if strings.Contains(strings.ToLower(s), string(text)) {
			return true
		}
	}
	return false
}

func (r *Recordings) blockOf(ctx context.Context, org OrgID, id RecordingID, n int) ([]eventlog.Entry, error) {
	packed, err := r.db.Org(org).RecordingBlock(ctx, id, n)
	if err != nil {
		return nil, notFound(err, noRecording)
	}
	entries, err := r.unpack(packed)
	if err != nil {
		return nil, fmt.Errorf("block %d of recording %d: %w", n, id, err)
	}
	return entries, nil
}

// Events returns the page of selected events that begins at a place.
func (r *Recordings) Events(ctx context.Context, org OrgID, id RecordingID, f EventFilter, from int64) (EventPage, error) {
	return r.events(ctx, org, id, f, max(from, 0), 1)
}

// EventsBefore returns the page of selected events that ends before a place.
func (r *Recordings) EventsBefore(ctx context.Context, org OrgID, id RecordingID, f EventFilter, before int64) (EventPage, error) {
	return r.events(ctx, org, id, f, before-1, -1)
}

// events walks from a place on, in one direction, until a page is full.
func (r *Recordings) events(ctx context.Context, org OrgID, id RecordingID, f EventFilter, from int64, step int) (EventPage, error) {
	page := EventPage{Next: -1, Before: -1}
	m, err := r.mapOf(ctx, org, id)
	if err != nil {
		return page, err
	}
	from = min(from, m.events-1+int64(max(step, 0)))
	end, text := int64(-1), bytes.ToLower([]byte(strings.TrimSpace(f.Text))) // end is the place that is looked at next
	if step > 0 {
		end = m.events
	}
	searched := 0
	for n := m.block(from); n >= 0 && n < len(m.spans) && (step > 0 || from >= 0); n += step {
		if !f.may(m.spans[n]) {
			continue
		}
		if searched++; searched > searchedBlocks {
			page.Unfinished = true
			if end = m.starts[n]; step < 0 {
				end += int64(m.spans[n].Events()) - 1
			}
			break
		}
		entries, err := r.blockOf(ctx, org, id, n)
		if err != nil {
			return page, err
		}
		if full := r.pick(&page, f, text, entries, m.starts[n], from, step); full >= 0 {
			end = full
			break
		}
	}
	if step < 0 {
		slices.Reverse(page.Events)
		page.Next, page.Before = from+1, end+1
	} else {
		page.Next, page.Before = end, from
	}
	if page.Next >= m.events {
		page.Next = -1
	}
	if page.Before <= 0 {
		page.Before = -1
	}
	return page, nil
}

// pick puts a block's selected events on a page. Once the page is full, it
// returns the place of the next one, otherwise -1.
func (r *Recordings) pick(page *EventPage, f EventFilter, text []byte, entries []eventlog.Entry, start, from int64, step int) int64 {
	i := 0
	if step < 0 {
		i = len(entries) - 1
	}
	for ; i >= 0 && i < len(entries); i += step {
		place := start + int64(i)
		if step > 0 && place < from || step < 0 && place > from || !f.selects(entries[i], text) {
			continue
		}
		if len(page.Events) == EventsPage {
			return place
		}
		page.Events = append(page.Events, recorded(place, entries[i]))
	}
	return -1
}

func recorded(place int64, e eventlog.Entry) RecordedEvent {
	v := e.Event()
	v.At = time.UnixMilli(e.At).UTC()
	return RecordedEvent{Place: place, Line: e.Number, Event: v, Raw: e.Raw}
}

// Event returns one event, with its raw line.
func (r *Recordings) Event(ctx context.Context, org OrgID, id RecordingID, place int64) (RecordedEvent, error) {
	m, err := r.mapOf(ctx, org, id)
	if err != nil {
		return RecordedEvent{}, err
	}
	n := m.block(place)
	if place < 0 || place >= m.events || n < 0 {
		return RecordedEvent{}, &Error{Kind: NotFound, Msg: "The recording has no such event."}
	}
	entries, err := r.blockOf(ctx, org, id, n)
	if err != nil {
		return RecordedEvent{}, err
	}
	return recorded(place, entries[place-m.starts[n]]), nil
}

// PlaceAt is the place of the first event at a time or after it; that of the last
// event where the recording is over by then.
func (r *Recordings) PlaceAt(ctx context.Context, org OrgID, id RecordingID, at time.Time) (int64, error) {
	m, err := r.mapOf(ctx, org, id)
	if err != nil {
		return 0, err
	}
	ms := at.UnixMilli()
	for n, s := range m.spans {
		if s.Last < ms {
			continue
		}
		entries, err := r.blockOf(ctx, org, id, n)
		if err != nil {
			return 0, err
		}
		i := sort.Search(len(entries), func(i int) bool { return entries[i].At >= ms })
		return m.starts[n] + int64(min(i, len(entries)-1)), nil
	}
	return max(m.events-1, 0), nil
}

// OverviewSlice is a stretch of a recording's time and how many of what it has.
type OverviewSlice struct {
	From, To time.Time
	Lanes    [eventlog.Lanes]int
	Failed   int
}

// Overview cuts a recording into so many equal stretches of time, for a strip
// above its events. It is as exact as the recording's blocks: the events of a
// block are spread evenly over its time.
func (r *Recordings) Overview(ctx context.Context, org OrgID, rec Recording, slices int) ([]OverviewSlice, error) {
	m, err := r.mapOf(ctx, org, rec.ID)
	if err != nil {
		return nil, err
	}
	start, length := rec.StartedAt.UnixMilli(), max(rec.EndedAt.UnixMilli()-rec.StartedAt.UnixMilli(), 1)
	out := make([]OverviewSlice, slices)
	at := func(i int) int64 { return start + length*int64(i)/int64(slices) }
	for i := range out {
		out[i].From, out[i].To = time.UnixMilli(at(i)).UTC(), time.UnixMilli(at(i+1)).UTC()
	}
	slice := func(ms int64) int { return int(min(max((ms-start)*int64(slices)/length, 0), int64(slices-1))) }
	for n, s := range m.spans {
		first, last := slice(s.First), slice(s.Last)
		if first == last {
			for l, count := range s.Lanes {
				out[first].Lanes[l] += count
			}
			out[first].Failed += s.Failed
			continue
		}
		if len(m.spans) > 4*slices { // long: its blocks are short beside a slice
			spread(out[first:last+1], s)
			continue
		}
		entries, err := r.blockOf(ctx, org, rec.ID, n)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			o := &out[slice(e.At)]
			o.Lanes[e.Lane%eventlog.Lanes]++
			if e.Failed {
				o.Failed++
			}
		}
	}
	return out, nil
}

// spread shares a block's events out over slices.
func spread(out []OverviewSlice, s eventlog.Span) {
	share := func(n, i int) int { return n*(i+1)/len(out) - n*i/len(out) }
	for i := range out {
		for l, n := range s.Lanes {
			out[i].Lanes[l] += share(n, i)
		}
		out[i].Failed += share(s.Failed, i)
	}
}

// VisitOf returns what Raygun recorded of the same person while a recording ran:
// the sessions that overlap it, newest first, with their pages and errors. It is
// empty if nobody is named.
func (r *Recordings) VisitOf(ctx context.Context, org OrgID, rec db.Recording) ([]BesideSession, error) {
	if rec.Customer == 0 {
		return nil, nil
	}
	o := r.db.Org(org)
	rows, err := o.CustomerSessions(ctx, rec.Customer, Moment{At: rec.EndedAt.Add(visitSlack), ID: 0}, besideSessions)
	if err != nil {
		return nil, err
	}
	var out []BesideSession
	for _, row := range rows {
		if lastSign(row).Before(rec.StartedAt.Add(-visitSlack)) {
			continue
		}
		b := BesideSession{Session: row}
		if b.Pages, err = o.PageViews(ctx, row.ID); err != nil {
			return nil, err
		}
		if b.Errors, err = o.SessionErrors(ctx, row.ID); err != nil {
			return nil, err
		}
		b.Timed = slices.ContainsFunc(b.Pages, func(p PageView) bool { return !p.ViewedAt.IsZero() })
		out = append(out, b)
	}
	return out, nil
}

// visitSlack is how far apart a session and a recording of one visit may be: the
// two scripts do not start in the same instant.
const visitSlack = 30 * time.Second

// OfSession returns the recordings of a Raygun session's customer that overlap
// it, newest first.
func (r *Recordings) OfSession(ctx context.Context, org OrgID, s Session) ([]Recording, error) {
	if s.Customer == 0 {
		return nil, nil
	}
	rows, err := r.db.Org(org).CustomerRecordings(ctx, s.Customer, time.Time{}, lastSign(s).Add(visitSlack), Moment{}, besideSessions)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(rec db.Recording) bool { return rec.EndedAt.Before(s.StartedAt.Add(-visitSlack)) })
	return r.dress(ctx, org, rows)
}
