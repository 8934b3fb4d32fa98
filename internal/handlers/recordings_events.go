package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// recordingInput is what the address says about which events to show.
type recordingInput struct {
	filter services.EventFilter
	lanes  []string
	jump   string
	view   string
}

func readRecording(q url.Values) recordingInput {
	in := recordingInput{jump: strings.TrimSpace(q.Get("jump")), view: q.Get("view"), filter: services.EventFilter{Text: strings.TrimSpace(q.Get("q")), Failed: q.Get("failed") != ""}}
	switch in.view {
	case "console":
		in.filter.Lanes = []services.EventLane{services.LaneConsole}
	case "errors":
		in.filter.Lanes = []services.EventLane{services.LaneError}
	default:
		in.view = ""
		for _, name := range q["lane"] {
			if l, ok := services.ParseEventLane(name); ok {
				in.filter.Lanes, in.lanes = append(in.filter.Lanes, l), append(in.lanes, name)
			}
		}
	}
	return in
}

// values are the filters as an address holds them, without the place.
func (in recordingInput) values() url.Values {
	failed := ""
	if in.filter.Failed {
		failed = "1"
	}
	v := valuesOf("q", in.filter.Text, "failed", failed, "view", in.view)
	for _, l := range in.lanes {
		v.Add("lane", l)
	}
	return v
}

// recordingEvents is a page of events: from the place that the address names, or
// around the event or moment that it names.
func (a *app) recordingEvents(r *http.Request, rec services.Recording) (*templates.RecordingEventsView, int, error) {
	q := r.URL.Query()
	in := readRecording(q)
	v := a.recordingEventsView(r, rec, in)
	here, from, problem, err := a.recordingPlace(r, rec, in, q)
	if err != nil {
		return nil, 0, err
	}
	v.Jump.Error = problem
	var page services.EventPage
	if before, ok := placeOf(q, "before"); ok {
		page, err = a.Recordings.EventsBefore(r.Context(), orgOf(r), rec.ID, in.filter, before)
	} else {
		page, err = a.Recordings.Events(r.Context(), orgOf(r), rec.ID, in.filter, from)
	}
	if err != nil {
		return nil, 0, err
	}
	asked := map[string]services.RecordedEvent{} // an answer may say no address
	for _, e := range page.Events {
		if e.Part == services.CallAsked && e.ReqID != "" {
			asked[e.ReqID] = e
		}
		if q, ok := asked[e.ReqID]; ok && e.URL == "" && e.ReqID != "" {
			e.URL, e.Method = q.URL, orText(e.Method, q.Method)
		}
		v.Rows = append(v.Rows, recordingEventRow(r, rec, e, e.Place == here))
	}
	v.Unfinished = page.Unfinished
	v.Pager.Shown = templates.Plural(len(page.Events), "event", "events")
	path := recordingPath(r, rec.ID)
	if page.Before >= 0 {
		values := in.values()
		values.Set("before", strconv.FormatInt(page.Before, 10))
		v.Pager.Newer = path + query(values)
	}
	if page.Next >= 0 {
		values := in.values()
		values.Set("from", strconv.FormatInt(page.Next, 10))
		v.Pager.Older = path + query(values)
	}
	status := http.StatusOK
	if problem != "" {
		status = http.StatusUnprocessableEntity
	}
	return &v, status, nil
}

func placeOf(q url.Values, key string) (int64, bool) {
	n, err := strconv.ParseInt(q.Get(key), 10, 64)
	return n, err == nil && n >= 0
}

// recordingPlace says at which event the page begins, and which one the address
// means (-1 for none).
func (a *app) recordingPlace(r *http.Request, rec services.Recording, in recordingInput, q url.Values) (here, from int64, problem string, err error) {
	here = -1
	if n, ok := placeOf(q, "event"); ok {
		return n, max(n-beforeHere, 0), "", nil
	}
	at := time.Time{}
	if ms, ok := placeOf(q, "at"); ok {
		at = time.UnixMilli(ms)
	} else if in.jump != "" {
		d, ok := readOffset(in.jump)
		if !ok {
			return here, 0, "Write how long after the beginning: 75, 1:15 or 1:02:03.", nil
		}
		at = rec.StartedAt.Add(d)
	}
	if !at.IsZero() {
		here, err = a.Recordings.PlaceAt(r.Context(), orgOf(r), rec.ID, at)
		return here, max(here-beforeHere, 0), "", err
	}
	from, _ = placeOf(q, "from")
	return here, from, "", nil
}

func (a *app) recordingEventsView(r *http.Request, rec services.Recording, in recordingInput) templates.RecordingEventsView {
	path := recordingPath(r, rec.ID)
	v := templates.RecordingEventsView{
		Filter: templates.FilterView{Action: path}, Chosen: in.lanes, OnlyFailed: in.filter.Failed, Hidden: []templates.HiddenView{},
		Text:   templates.FieldView{ID: "q", Name: "q", Label: "Text", Value: in.filter.Text, Placeholder: "in the line", MaxLength: 500, Autocomplete: "off"},
		Jump:   templates.FieldView{ID: "jump", Name: "jump", Label: "Jump to", Value: in.jump, Placeholder: "1:15", MaxLength: 12, Autocomplete: "off"},
		Lanes:  templates.FieldView{ID: "lane", Name: "lane", Label: "Show"},
		Failed: templates.FieldView{ID: "failed", Name: "failed", Label: "Failures only", Value: "1"},
		Empty:  "No event of the recording is what the filter selects.",
	}
	if rec.Events() == 0 {
		v.Empty = "The file held no events of this session."
	}
	if in.view != "" {
		v.Hidden = append(v.Hidden, templates.HiddenView{Name: "view", Value: in.view})
	} else {
		for _, l := range recordingLanes() {
			if n := laneCount(rec, l.lane); n > 0 {
				v.LaneNames = append(v.LaneNames, templates.OptionView{Value: l.lane.String(), Label: fmt.Sprintf("%s (%s)", l.label, templates.FormatCount(n))})
			}
		}
	}
	if in.filter.Text != "" || in.filter.Failed || len(in.lanes) > 0 || in.jump != "" {
		v.Filter.ResetHref = path + query(valuesOf("view", in.view))
	}
	return v
}

func recordingEventRow(r *http.Request, rec services.Recording, e services.RecordedEvent, here bool) templates.RecordingEventRow {
	lane := laneOf(e.Lane)
	row := templates.RecordingEventRow{
		ID: fmt.Sprintf("e%d", e.Place), Href: recordingPath(r, rec.ID) + fmt.Sprintf("/events/%d", e.Place), At: e.At, Offset: offsetText(e.At.Sub(rec.StartedAt)),
		Label: lane.label, Tone: lane.tone, Icon: lane.icon, Here: here, Stack: e.Stack,
	}
	switch e.Lane {
	case services.LaneNavigation:
		row.Title, row.Text = orText(e.Text, e.URL), e.URL
		if row.Title == e.URL {
			row.Text = ""
		}
	case services.LaneInput:
		row.Title, row.Text = orText(e.Text, e.Type), joined(" · ", e.Type, e.Selector)
	case services.LaneNetwork:
		row.Title = joined(" ", e.Method, e.URL)
		row.Note, row.NoteTone = callNote(e)
		switch {
		case row.Title == "" && strings.HasSuffix(e.Type, "NetworkStatusEvent"):
			row.Title = map[string]string{"true": "The browser was online again", "false": "The browser was offline"}[e.Text]
		case e.URL == "" && e.ReqID != "":
			row.Text = "the answer to request " + e.ReqID
		}
		row.Title = orText(row.Title, orText(e.Text, e.Type))
	case services.LaneConsole:
		row.Title, row.Note = orText(e.Text, "(nothing)"), e.Level
		row.NoteTone = map[string]string{"error": "bad", "warn": "warn"}[e.Level]
	case services.LaneError:
		row.Title, row.Text = orText(e.Text, orText(e.Message, e.Type)), ""
	default:
		row.Title, row.Text = orText(e.Text, e.Type), ""
		if e.Text != "" && e.Text != e.Type {
			row.Text = e.Type
		}
	}
	row.Title, row.Text = shortText(row.Title), shortText(row.Text)
	return row
}

func shortText(s string) string {
	if len(s) <= maxTextShown {
		return s
	}
	for i := range s {
		if i >= maxTextShown {
			return s[:i] + "…"
		}
	}
	return s
}

// callNote says which part of a call an event is, and how it went.
func callNote(e services.RecordedEvent) (note, tone string) {
	switch {
	case e.Part == services.CallAsked:
		return "asked", "neutral"
	case e.Status >= 400:
		return strconv.Itoa(e.Status), "bad"
	case e.Status > 0:
		return strconv.Itoa(e.Status), "good"
	}
	return "", ""
}
