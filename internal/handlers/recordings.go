package handlers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"sightline/internal/services"
	"sightline/web/templates"
)

const (
	// stripBars is how many bars the strip over a recording's time has.
	stripBars = 60
	// beforeHere is how many events are shown before the one that an address names.
	beforeHere = 5
	// maxRawShown is how much of a line is shown, in bytes.
	maxRawShown = 200 << 10
	// maxTextShown is how much of an event's text is in a list, in characters.
	maxTextShown = 300
)

// recordingLane is how a lane is shown.
type recordingLane struct {
	lane              services.EventLane
	label, tone, icon string
}

func recordingLanes() []recordingLane {
	return []recordingLane{
		{services.LaneNavigation, "Page", "accent", "globe"},
		{services.LaneInput, "Click or typing", "neutral", "mouse-pointer-click"},
		{services.LaneNetwork, "Network", "neutral", "activity"},
		{services.LaneConsole, "Console", "neutral", "monitor"},
		{services.LaneError, "Error", "bad", "bug"},
		{services.LaneCustom, "Custom", "okay", "tag"},
		{services.LaneOther, "Other", "neutral", "info"},
	}
}

func laneOf(l services.EventLane) recordingLane {
	all := recordingLanes()
	if i := slices.IndexFunc(all, func(r recordingLane) bool { return r.lane == l }); i >= 0 {
		return all[i]
	}
	return all[len(all)-1]
}

// laneCount is how many events a recording has in a lane.
func laneCount(rec services.Recording, l services.EventLane) int64 {
	switch l {
	case services.LaneNavigation:
		return rec.Navigations
	case services.LaneInput:
		return rec.Inputs
	case services.LaneNetwork:
		return rec.Network
	case services.LaneConsole:
		return rec.Console
	case services.LaneError:
		return rec.Errors
	case services.LaneCustom:
		return rec.Customs
	}
	return rec.Others
}

// recordingOf reads the recording that the request is about.
func (a *app) recordingOf(r *http.Request) (services.Recording, error) {
	return a.Recordings.Get(r.Context(), orgOf(r), services.RecordingID(idParam(r, "id")))
}

// recording handles GET /exports/{id}: what happened inside a session.
func (a *app) recording(w http.ResponseWriter, r *http.Request) error {
	rec, err := a.recordingOf(r)
	if err != nil {
		return err
	}
	v, err := a.recordingView(r, rec)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if r.URL.Query().Get("view") == "requests" {
		v.Calls, err = a.recordingCalls(r, rec)
	} else {
		v.Events, status, err = a.recordingEvents(r, rec)
	}
	if err != nil {
		return err
	}
	return a.page(w, r, status, orText(v.Who, "Recording"), "exports", templates.RecordingPage(v))
}

// recordingView is the page without what its tab shows.
func (a *app) recordingView(r *http.Request, rec services.Recording) (templates.RecordingView, error) {
	v := templates.RecordingView{BackURL: orgPath(r, "exports"), Now: a.now(), StartedAt: rec.StartedAt, Length: templates.FormatDuration(rec.Length()), AppURL: rec.URL}
	v.Who, v.WhoURL = recordingWho(r, rec)
	fact := func(term, text string) {
		if text != "" {
			v.Facts = append(v.Facts, templates.DefView{Term: term, Text: text})
		}
	}
	fact("Began", templates.FormatTime(rec.StartedAt))
	fact("User id", rec.UserID)
	fact("Email", rec.UserEmail)
	fact("Browser", rec.Browser)
	fact("System", rec.OS)
	fact("Device", rec.Device)
	fact("Release", rec.Release)
	fact("Place", joined(", ", rec.City, rec.Country))
	fact("First page", rec.FirstURL)
	fact("Events", templates.FormatCount(rec.Events()))
	fact("Requests", templates.FormatCount(rec.Calls))
	fact("Failed requests", templates.FormatCount(rec.FailedCalls))
	fact("Recording", rec.VendorRecording+tail("/", rec.VendorSession))
	if rec.File != 0 {
		v.Facts = append(v.Facts, templates.DefView{Term: "File", Content: templates.TextLink(exportFilePath(r, rec.File), "Open")})
	}
	v.Tabs = recordingParts(r, rec)
	var err error
	if v.Strip, v.Lanes, err = a.recordingStrip(r, rec); err != nil {
		return v, err
	}
	v.Sessions, err = a.recordingSessions(r, rec)
	return v, err
}

// recordingParts are the tabs.
func recordingParts(r *http.Request, rec services.Recording) []templates.TabView {
	path, q := recordingPath(r, rec.ID), r.URL.Query()
	view := q.Get("view")
	tab := func(label, key string, n int64) templates.TabView {
		return templates.TabView{Label: label, Href: path + query(valuesOf("view", key)), Active: view == key, Count: int(n)}
	}
	return []templates.TabView{tab("Events", "", rec.Events()), tab("Requests", "requests", rec.Calls), tab("Console", "console", rec.Console), tab("Errors", "errors", rec.Errors)}
}

// recordingStrip shows how much happened over a recording's time, with links to
// its moments, and the same for each lane.
func (a *app) recordingStrip(r *http.Request, rec services.Recording) (*templates.ChartView, []templates.RecordingLaneView, error) {
	if rec.Length() < 2*time.Second || rec.Events() < 10 {
		return nil, nil, nil
	}
	slices, err := a.Recordings.Overview(r.Context(), orgOf(r), rec, stripBars)
	if err != nil || len(slices) == 0 {
		return nil, nil, err
	}
	v := &templates.ChartView{FirstFirst: true, Caption: "Events over time", Unit: "events", Step: "From", Parts: []templates.ChartPart{{Label: "Failures", Tone: "bad"}, {Label: "Other events", Tone: "neutral"}}}
	for _, s := range slices {
		all := 0
		for _, n := range s.Lanes {
			all += n
		}
		offset := offsetText(s.From.Sub(rec.StartedAt))
		v.Bars = append(v.Bars, templates.ChartBar{Label: offset, Short: offset, Values: []int64{int64(s.Failed), int64(all - s.Failed)}, Href: recordingPath(r, rec.ID) + query(valuesOf("at", strconv.FormatInt(s.From.UnixMilli(), 10)))})
	}
	return v, recordingLaneViews(r, rec, slices), nil
}

// recordingLaneViews are the lanes that a recording has, each with where in its
// time they are.
func recordingLaneViews(r *http.Request, rec services.Recording, slices []services.OverviewSlice) []templates.RecordingLaneView {
	var out []templates.RecordingLaneView
	for _, l := range recordingLanes() {
		n := laneCount(rec, l.lane)
		if n == 0 {
			continue
		}
		v := templates.RecordingLaneView{
			Href: recordingPath(r, rec.ID) + query(valuesOf("lane", l.lane.String())), Label: l.label, Count: templates.FormatCount(n),
			Bad: l.lane == services.LaneError, Box: fmt.Sprintf("0 0 %d 1", len(slices)),
		}
		most := 0
		for _, s := range slices {
			most = max(most, s.Lanes[l.lane])
		}
		for i, s := range slices {
			if k := s.Lanes[l.lane]; k > 0 {
				v.Paths[min(2, 3*k/(most+1))] += fmt.Sprintf("M%d 0h1v1h-1z", i)
			}
		}
		out = append(out, v)
	}
	return out
}

// offsetText writes how long after its beginning a moment of a recording is:
// "1:05", "1:02:03".
func offsetText(d time.Duration) string {
	d = max(d, 0)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	if h > 0 {
		return fmt.Sprintf("%d:%02d:%02d", h, m, s)
	}
	return fmt.Sprintf("%d:%02d", m, s)
}

// readOffset reads what offsetText writes, or seconds alone.
func readOffset(s string) (time.Duration, bool) {
	parts := strings.Split(strings.TrimSpace(s), ":")
	if len(parts) > 3 {
		return 0, false
	}
	var total int64
	for _, p := range parts {
		n, err := strconv.ParseInt(p, 10, 32)
		if err != nil || n < 0 {
			return 0, false
		}
		total = total*60 + n
	}
	return time.Duration(min(total, 1<<31)) * time.Second, true
}

// recordingSessions are the Raygun sessions of the same visit.
func (a *app) recordingSessions(r *http.Request, rec services.Recording) ([]templates.RecordingSession, error) {
	beside, err := a.Recordings.VisitOf(r.Context(), orgOf(r), rec.Recording)
	if err != nil {
		return nil, err
	}
	var out []templates.RecordingSession
	for _, b := range beside {
		s := templates.RecordingSession{Href: orgPath(r, "sessions/%d", b.Session.ID), Label: templates.FormatTime(b.Session.StartedAt), Note: besideNote(b)}
		line := func(at time.Time, text string, bad bool) {
			if at.IsZero() || len(s.Lines) >= 40 {
				return
			}
			s.Lines = append(s.Lines, templates.RecordingBesideLine{Offset: offsetText(at.Sub(rec.StartedAt)), Text: text, Bad: bad,
				Href: recordingPath(r, rec.ID) + query(valuesOf("at", strconv.FormatInt(at.UnixMilli(), 10)))})
		}
		for _, p := range b.Pages {
			line(p.ViewedAt, p.URL, false)
		}
		for _, e := range b.Errors {
			line(e.OccurredAt, e.Title, true)
		}
		out = append(out, s)
	}
	return out, nil
}

// besideNote says what Raygun has of a session, and what it was not asked for.
func besideNote(b services.BesideSession) string {
	var parts []string
	if n := b.Session.PageViewCount; n != nil {
		parts = append(parts, templates.Plural(*n, "page view", "page views"))
	} else if len(b.Pages) > 0 {
		parts = append(parts, templates.Plural(len(b.Pages), "page view", "page views"))
	}
	if n := b.Session.ErrorCount; n != nil {
		parts = append(parts, templates.Plural(*n, "error", "errors"))
	}
	if b.Session.DetailedAt.IsZero() {
		parts = append(parts, "its pages and errors are not here yet")
	}
	return strings.Join(parts, ", ")
}

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

// recordingCalls is a page of requests.
func (a *app) recordingCalls(r *http.Request, rec services.Recording) (*templates.RecordingCallsView, error) {
	q := r.URL.Query()
	f := services.CallFilter{Text: strings.TrimSpace(q.Get("q")), Failed: q.Get("failed") != "", Slowest: q.Get("order") == "slowest"}
	n, _ := placeOf(q, "from")
	page, err := a.Recordings.Calls(r.Context(), orgOf(r), rec.ID, f, int(min(n, 1<<30)))
	if err != nil {
		return nil, err
	}
	failed, order := "", ""
	if f.Failed {
		failed = "1"
	}
	if f.Slowest {
		order = "slowest"
	}
	path, values := recordingPath(r, rec.ID), valuesOf("view", "requests", "q", f.Text, "failed", failed, "order", order)
	v := &templates.RecordingCallsView{
		Filter: templates.FilterView{Action: path}, OnlyFailed: f.Failed, Hidden: []templates.HiddenView{{Name: "view", Value: "requests"}}, Left: page.Left,
		Text:   templates.FieldView{ID: "q", Name: "q", Label: "Address", Value: f.Text, MaxLength: 500, Autocomplete: "off"},
		Order:  templates.FieldView{ID: "order", Name: "order", Label: "Order", Value: order},
		Orders: []templates.OptionView{{Label: "As they were asked"}, {Value: "slowest", Label: "Slowest first"}},
		Failed: templates.FieldView{ID: "failed", Name: "failed", Label: "Failures only", Value: "1"},
	}
	if len(values) > 1 {
		v.Filter.ResetHref = path + "?view=requests"
	}
	v.Rows, v.Span = callRows(r, rec, page, f.Slowest)
	v.Pager.Shown = fmt.Sprintf("%s of %s", templates.FormatCount(len(page.Calls)), templates.Plural(page.Selected, "request", "requests"))
	if page.From > 0 {
		values.Set("from", strconv.Itoa(max(page.From-services.CallsPage, 0)))
		v.Pager.Newer = path + query(values)
	}
	if page.More {
		values.Set("from", strconv.Itoa(page.From+len(page.Calls)))
		v.Pager.Older = path + query(values)
	}
	return v, nil
}

// callRows are the rows of a page of requests, and over how many milliseconds
// their bars are drawn: the time of the page, or where the slowest stand first
// the longest of them.
func callRows(r *http.Request, rec services.Recording, page services.CallPage, slowest bool) ([]templates.RecordingCallRow, int64) {
	var first, last int64
	for i, c := range page.Calls {
		at, end := c.At.UnixMilli(), c.At.UnixMilli()+max(c.Took, 0)
		if i == 0 || at < first {
			first = at
		}
		last = max(last, end)
	}
	span := last - first
	if slowest {
		span = page.Longest
	}
	var rows []templates.RecordingCallRow
	for _, c := range page.Calls {
		place := c.Answered
		if place < 0 {
			place = c.Asked
		}
		row := templates.RecordingCallRow{
			Href: recordingMoment(r, rec.ID, max(place, 0)), Method: c.Method, URL: orText(c.URL, c.Endpoint), Offset: offsetText(c.At.Sub(rec.StartedAt)),
			Status: "no answer", StatusTone: "warn", TookMS: c.Took,
		}
		if c.Status > 0 {
			row.Status, row.StatusTone = strconv.Itoa(c.Status), "good"
		}
		if c.Failed() {
			row.StatusTone = "bad"
		}
		if c.Took >= 0 {
			row.Took = templates.FormatMillis(c.Took)
		}
		if c.Size >= 0 {
			row.Size = templates.FormatBytes(c.Size)
		}
		if !slowest {
			row.FromMS = c.At.UnixMilli() - first
		}
		rows = append(rows, row)
	}
	return rows, max(span, 1)
}

// recordingLine handles GET /exports/{id}/events/{place}: one event with its line
// as it was written.
func (a *app) recordingLine(w http.ResponseWriter, r *http.Request) error {
	rec, err := a.recordingOf(r)
	if err != nil {
		return err
	}
	place, err := strconv.ParseInt(chi.URLParam(r, "place"), 10, 64)
	if err != nil {
		place = -1 // which no event has
	}
	e, err := a.Recordings.Event(r.Context(), orgOf(r), rec.ID, place)
	if err != nil {
		return err
	}
	path := recordingPath(r, rec.ID)
	v := templates.RecordingLineView{
		BackURL: recordingMoment(r, rec.ID, e.Place), Name: recordingName(rec), Place: e.Place, Stack: e.Stack,
		AppURL: a.Recordings.URLAt(r.Context(), orgOf(r), rec.Recording, e.At),
	}
	fact := func(term, text string) {
		if text != "" {
			v.Facts = append(v.Facts, templates.DefView{Term: term, Text: text})
		}
	}
	fact("Kind", laneOf(e.Lane).label)
	fact("Type", e.Type)
	fact("When", templates.FormatTime(e.At)+", "+offsetText(e.At.Sub(rec.StartedAt))+" after the beginning")
	fact("Text", shortText(e.Text))
	fact("Request", joined(" ", e.Method, e.URL))
	if e.Status > 0 {
		fact("Status", strconv.Itoa(e.Status))
	}
	if e.Took >= 0 && e.Lane == services.LaneNetwork {
		fact("Took", templates.FormatDuration(e.Took))
	}
	fact("Level", e.Level)
	fact("Selector", e.Selector)
	fact("Line in the file", templates.FormatCount(e.Line))
	v.Raw, v.Cut = rawText(e.Raw)
	if e.Place > 0 {
		v.PrevURL = path + fmt.Sprintf("/events/%d", e.Place-1)
	}
	if e.Place+1 < rec.Events() {
		v.NextURL = path + fmt.Sprintf("/events/%d", e.Place+1)
	}
	return a.page(w, r, http.StatusOK, "Event of a recording", "exports", templates.RecordingLine(v))
}

// rawText is a line to read: indented if it is JSON, and its beginning if it is
// long.
func rawText(raw []byte) (string, bool) {
	cut := len(raw) > maxRawShown
	if cut {
		return strings.ToValidUTF8(string(raw[:maxRawShown]), "\uFFFD"), true
	}
	var out bytes.Buffer
	if json.Indent(&out, raw, "", "  ") == nil {
		raw = out.Bytes()
	}
	return strings.ToValidUTF8(string(raw), "\uFFFD"), false
}
