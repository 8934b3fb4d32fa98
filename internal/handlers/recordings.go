package handlers

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

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
	if may(r, services.Admin) {
		v.RemoveURL = recordingPath(r, rec.ID) + "/remove"
	}
	v.Tabs = recordingParts(r, rec)
	var err error
	if v.Strip, v.Lanes, err = a.recordingStrip(r, rec); err != nil {
		return v, err
	}
	v.Sessions, err = a.recordingSessions(r, rec)
	return v, err
}

// removeRecording handles POST /exports/{id}/remove.
func (a *app) removeRecording(w http.ResponseWriter, r *http.Request) error {
	if err := a.Recordings.Remove(r.Context(), actorOf(r), services.RecordingID(idParam(r, "id"))); err != nil {
		return err
	}
	return a.redirect(w, r, orgPath(r, "exports"), "success", "The recording is removed.")
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
		v.Bars = append(v.Bars, templates.ChartBar{Label: offset, Short: offset, Values: []int64{int64(s.Failed), int64(all - s.Failed)}, Href: query(valuesOf("at", strconv.FormatInt(s.From.UnixMilli(), 10)))})
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
				Href: query(valuesOf("at", strconv.FormatInt(at.UnixMilli(), 10)))})
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
