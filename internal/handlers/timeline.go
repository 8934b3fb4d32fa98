package handlers

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

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
	var days []templates.DayView
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
	for _, item := range items {
		day := item.At.UTC().Truncate(24 * time.Hour)
		if len(days) == 0 || !days[len(days)-1].Date.Equal(day) {
			note()
			days = append(days, templates.DayView{Date: day})
		}
		if item.Session != nil {
			sessions++
			errs += max(0, orUnknown(item.Session.ErrorCount))
		}
		last := &days[len(days)-1]
		entry := timelineEntry(r, item)
		if item.Recording != nil {
			entry.Meta = plainText(recordingMeta(*item.Recording, items))
		}
		last.Entries = append(last.Entries, entry)
	}
	note()
	return days
}

func timelineEntry(r *http.Request, item services.TimelineItem) templates.EntryView {
	e := templates.EntryView{ID: item.Kind + "-" + strconv.FormatInt(item.ID, 10), At: item.At}
	switch {
	case item.Session != nil:
		s := item.Session
		e.Icon, e.Tone, e.Title = "activity", "raygun", "Session"
		var facts []string
		if n := orUnknown(s.PageViewCount); n >= 0 {
			facts = append(facts, templates.Plural(n, "page", "pages"))
		}
		if n := orUnknown(s.LengthMS); n >= 0 {
			facts = append(facts, templates.FormatMillis(n))
		}
		if len(facts) > 0 {
			e.Title += ": " + strings.Join(facts, ", ")
		}
		e.Href = templates.OrgPath(slugOf(r), "sessions/"+strconv.FormatInt(int64(s.ID), 10))
		e.DetailURL = e.Href
		e.Badges = templates.SessionBadges(templates.SessionRowView{
			Rating: s.Rating, Errors: orUnknown(s.ErrorCount), Active: strings.EqualFold(s.Status, "active"),
		})
		var meta []string
		for _, m := range []string{s.Country, deviceOf(*s)} {
			if m != "" {
				meta = append(meta, m)
			}
		}
		e.Meta = plainText(strings.Join(meta, " · "))
	case item.Highlight != nil:
		h := item.Highlight
		e.Icon, e.Tone, e.Title = "sparkles", "logrocket", "Highlights"
		e.Href = orgPath(r, "highlights/%d", h.ID)
		e.Badges = templates.StateBadge(h.State)
		e.Meta = plainText(byWhom("requested", h.Author) + tail(" · ", h.Question))
	case item.Edit != nil:
		t := item.Edit
		e.Icon, e.Tone, e.Title = "pencil", "logrocket", "Traits"+tail(": ", t.Keys)
		e.Href = orgPath(r, "customers/%d/traits/%d", idParam(r, "id"), t.ID)
		e.Badges = templates.StateBadge(t.State)
		e.Meta = plainText(byWhom("edited", t.Author) + tail(" · ", t.Reason))
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
	meta := []string{}
	for _, m := range []string{rec.Country, recordingDevice(services.Recording{Recording: rec})} {
		if m != "" {
			meta = append(meta, m)
		}
	}
	for _, item := range items {
		if item.Session != nil && services.SameVisit(rec, *item.Session) {
			meta = append(meta, "the same visit as the session of "+templates.FormatClock(item.Session.StartedAt))
			break
		}
	}
	return strings.Join(meta, " · ")
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

// plainText is a line of text as a part of a page; nil if it is empty.
func plainText(s string) templ.Component {
	if s == "" {
		return nil
	}
	return templates.Text(s)
}
