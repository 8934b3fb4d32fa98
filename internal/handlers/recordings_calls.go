package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

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
			Href: recordingMoment(r, rec.ID, max(place, 0)), Method: c.Method, Offset: offsetText(c.At.Sub(rec.StartedAt)),
			Status: "no answer", StatusTone: "warn", TookMS: c.Took,
		}
		row.Place, row.Host = addressParts(orText(c.URL, c.Endpoint))
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

// addressParts splits an address where its host ends, so that a column can begin
// with what tells it from others. One without a host is all place.
func addressParts(address string) (place, host string) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address, ""
	}
	_, place, _ = strings.Cut(address, u.Host)
	return orText(place, "/"), u.Host
}
