package services

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/eventlog"
)

const (
	// CallsPage is how many calls are on a page.
	CallsPage = 100
	// maxCallRows is how many rows of a thousand calls are looked at.
	maxCallRows = 300
)

// CallFilter selects network calls of a recording.
type CallFilter struct {
	Failed bool   // answered with 400 or above
	Text   string // in the method and the address without its ids, in capitals or not
	// Slowest puts those that took longest first; else they are in the order in
	// which they were asked.
	Slowest bool
}

// RecordedCall is a request and its answer.
type RecordedCall struct {
	eventlog.Call
	At       time.Time
	Method   string
	URL      string // as it was asked
	Endpoint string // method and address without query and ids
}

// Failed says whether it was answered with 400 or above.
func (c RecordedCall) Failed() bool { return c.Status >= 400 }

// CallPage is a page of calls.
type CallPage struct {
	Calls []RecordedCall
	// Selected is how many there are on all pages, From the number of the first of
	// this one; More says that there are further ones.
	Selected, From int
	More           bool
	// Left says that a recording has more calls than are looked at.
	Left bool
	// Longest is the longest duration on the page, in milliseconds.
	Longest int64
}

// Calls returns a page of a recording's network calls, from the nth selected on.
func (r *Recordings) Calls(ctx context.Context, org OrgID, id RecordingID, f CallFilter, from int) (CallPage, error) {
	o := r.db.Org(org)
	page := CallPage{From: max(from, 0)}
	m, err := r.mapOf(ctx, org, id)
	if err != nil {
		return page, err
	}
	rows, err := o.RecordingCalls(ctx, id, 0, maxCallRows+1)
	if err != nil {
		return page, err
	}
	page.Left = len(rows) > maxCallRows
	var wanted map[int]string // endpoints by position, if a text is asked for
	if text := strings.ToLower(strings.TrimSpace(f.Text)); text != "" {
		if wanted, err = o.RecordingTextsOf(ctx, id, db.TextEndpoint, maxRecordingTexts); err != nil {
			return page, err
		}
		for n, s := range wanted {
			if !strings.Contains(strings.ToLower(s), text) {
				delete(wanted, n)
			}
		}
	}
	var all []eventlog.Call
	for _, row := range rows[:min(len(rows), maxCallRows)] {
		calls, err := eventlog.UnpackCalls(row)
		if err != nil {
			return page, fmt.Errorf("calls of recording %d: %w", id, err)
		}
		for _, c := range calls {
			_, named := wanted[c.Text]
			if (wanted == nil || named) && (!f.Failed || c.Status >= 400) {
				all = append(all, c)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b eventlog.Call) int {
		if f.Slowest {
			return cmp.Or(cmp.Compare(b.Took, a.Took), cmp.Compare(a.At, b.At))
		}
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Asked, b.Asked))
	})
	page.Selected = len(all)
	all = all[min(page.From, len(all)):]
	page.More = len(all) > CallsPage
	all = all[:min(len(all), CallsPage)]
	page.Calls, err = r.named(ctx, org, id, m, all)
	for _, c := range page.Calls {
		page.Longest = max(page.Longest, c.Took)
	}
	return page, err
}

// named reads what was asked out of the calls' events.
func (r *Recordings) named(ctx context.Context, org OrgID, id RecordingID, m recordingMap, calls []eventlog.Call) ([]RecordedCall, error) {
	out := make([]RecordedCall, len(calls))
	blocks := map[int][]int{} // calls by the block that is to be read for them
	for i, c := range calls {
		out[i] = RecordedCall{Call: c, At: time.UnixMilli(c.At).UTC()}
		place := c.Asked
		if place < 0 {
			place = c.Answered
		}
		if n := m.block(place); place >= 0 && place < m.events {
			blocks[n] = append(blocks[n], i)
		}
	}
	for n, list := range blocks {
		entries, err := r.blockOf(ctx, org, id, n)
		if err != nil {
			return nil, err
		}
		for _, i := range list {
			place := out[i].Asked
			if place < 0 {
				place = out[i].Answered
			}
			e := entries[place-m.starts[n]].Event()
			out[i].Method, out[i].URL = e.Method, e.URL
			if out[i].Endpoint = db.NormalizePage(e.URL); e.Method != "" {
				out[i].Endpoint = e.Method + " " + out[i].Endpoint
			}
		}
	}
	return out, nil
}
