package handlers

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// timelineCursorText writes a place in a timeline for an address.
func timelineCursorText(c services.TimelineCursor) string {
	return fmt.Sprintf("%d.%s.%d", c.At.UnixMilli(), c.Kind, c.ID)
}

// timelineCursorOf reads what timelineCursorText wrote; what cannot be read is
// the beginning.
func timelineCursorOf(s string) services.TimelineCursor {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return services.TimelineCursor{}
	}
	at, err1 := strconv.ParseInt(parts[0], 10, 64)
	id, err2 := strconv.ParseInt(parts[2], 10, 64)
	if err1 != nil || err2 != nil || id <= 0 || at <= 0 || at > 1<<52 {
		return services.TimelineCursor{}
	}
	return services.TimelineCursor{At: time.UnixMilli(at).UTC(), Kind: parts[1], ID: id}
}

// timelineDays groups a timeline's items by UTC day.
func (a *app) timelineDays(r *http.Request, items []services.TimelineItem) []templates.DayView {
	days := make([]templates.DayView, 0, len(items))
	entries := make([]templates.EntryView, 0, len(items)) // of all days
	about := make([]templates.SessionEntry, len(items))
	first := 0                        // of the last day's
	session := []byte("../sessions/") // from customers/1: a page has fifty of them
	var sessions, errs int64
	note := func() {
		if len(days) > 0 && sessions > 0 {
			text := templates.Plural(sessions, "session", "sessions")
			if errs > 0 {
				text += ", " + templates.Plural(errs, "error", "errors")
			}
			days[len(days)-1].Note = text
		}
		sessions, errs = 0, 0
	}
	for i, item := range items {
		day := item.At.UTC().Truncate(24 * time.Hour)
		if len(days) == 0 || !days[len(days)-1].Date.Equal(day) {
			note()
			days = append(days, templates.DayView{Date: day})
			first = len(entries)
		}
		var entry templates.EntryView
		if item.Session != nil {
			about[i] = sessionEntry(item.Session)
			entry = templates.EntryView{At: item.At, Href: string(strconv.AppendInt(session, item.ID, 10)), Session: &about[i]}
			sessions++
			errs += max(0, about[i].Errors)
		} else {
			entry = timelineEntry(r, item)
		}
		if item.Recording != nil {
			entry.Meta = recordingMeta(*item.Recording, items)
		}
		entries = append(entries, entry)
		days[len(days)-1].Entries = entries[first:]
	}
	note()
	return days
}

// timelineEntry is an item that is no session.
func timelineEntry(r *http.Request, item services.TimelineItem) templates.EntryView {
	e := templates.EntryView{At: item.At}
	switch {
	case item.Highlight != nil:
		h := item.Highlight
		e.Icon, e.Tone, e.Title = "sparkles", "logrocket", "Highlights"
		e.Href = orgPath(r, "highlights/%d", h.ID)
		e.Badges = templates.StateBadge(h.State)
		e.Meta = byWhom("requested", h.Author) + tail(" · ", h.Question)
	case item.Edit != nil:
		t := item.Edit
		e.Icon, e.Tone, e.Title = "pencil", "logrocket", "Traits"+tail(": ", t.Keys)
		e.Href = orgPath(r, "customers/%d/traits/%d", idParam(r, "id"), t.ID)
		e.Badges = templates.StateBadge(t.State)
		e.Meta = byWhom("edited", t.Author) + tail(" · ", t.Reason)
	case item.Recording != nil:
		rec := item.Recording
		e.Icon, e.Tone = "film", "logrocket"
		e.Title = "Recording: " + templates.Plural(rec.Events(), "event", "events") + ", " + templates.FormatDuration(rec.EndedAt.Sub(rec.StartedAt))
		e.Href = recordingPath(r, rec.ID)
		if rec.Errors > 0 {
			e.Badges = templates.Badge(templates.Plural(rec.Errors, "error", "errors"), "bad", "bug")
		} else if rec.FailedCalls > 0 {
			e.Badges = templates.Badge(templates.Plural(rec.FailedCalls, "failed call", "failed calls"), "warn", "triangle-alert")
		}
	}
	return e
}

// recordingMeta says with what a recording was made, and of which Raygun session
// on the same page it tells the same visit.
func recordingMeta(rec services.Recorded, items []services.TimelineItem) string {
	visit := ""
	for _, item := range items {
		if item.Session != nil && services.SameVisit(rec, *item.Session) {
			visit = "the same visit as the session of " + templates.FormatClock(item.Session.StartedAt)
			break
		}
	}
	return both(both(rec.Country, recordingDevice(services.Recording{Recording: rec})), visit)
}

func sessionEntry(s *services.Session) templates.SessionEntry {
	return templates.SessionEntry{
		Pages: orUnknown(s.PageViewCount), LengthMS: orUnknown(s.LengthMS), Errors: orUnknown(s.ErrorCount), Rating: s.Rating,
		Active: strings.EqualFold(s.Status, "active"), Country: s.Country, Browser: s.Browser, OS: s.OS, Device: s.Platform,
	}
}

// both are two facts in one line, of which either may be empty.
func both(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " · " + b
}

// byWhom says who did something, as far as that is known.
func byWhom(did, author string) string {
	if author == "" {
		author = "Sightline"
	}
	return did + " by " + author
}

// tail is text with what leads to it, or nothing.
func tail(lead, text string) string {
	if text == "" {
		return ""
	}
	if r := []rune(text); len(r) > 120 {
		text = string(r[:120]) + "…"
	}
	return lead + text
}
