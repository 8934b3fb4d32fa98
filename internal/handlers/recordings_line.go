package handlers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"sightline/internal/services"
	"sightline/web/templates"
)

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
