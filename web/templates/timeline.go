package templates

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/a-h/templ"
)

// DayView is one day of a timeline.
type DayView struct {
	// Date is any moment of the day, in UTC.
	Date time.Time
	// Note says what the day comes to: "3 sessions, 2 errors". May be empty.
	Note    string
	Entries []EntryView
}

// EntryView is one thing that happened.
type EntryView struct {
	At time.Time
	// Href is the entry's own page and may be empty.
	Href string
	// Session is set for a session, as most are, of which nothing below is.
	Session *SessionEntry
	// Icon and Tone (as for Badge) say what kind of thing it is, Title what happened.
	Icon, Tone, Title string
	// Badges follow the title, nil if there are none; Meta is the line under it.
	Badges templ.Component
	Meta   string
}

// SessionEntry is what a timeline says of a session. Its numbers are negative, its
// texts empty if nothing is known. It opens here: web/assets/timeline.js fetches
// the session as a part of the page. Without JavaScript it leads there.
type SessionEntry struct {
	Pages, LengthMS, Errors      int64
	Rating                       string
	Active                       bool
	Country, Browser, OS, Device string // as for Device
}

// Device is what somebody used: their browser and system, as far as they are
// known, else the kind of device.
func Device(browser, system, device string) string {
	first, between, second := deviceParts(browser, system, device)
	return first + between + second
}

func deviceParts(browser, system, device string) (first, between, second string) {
	switch {
	case browser != "" && system != "":
		return browser, " on ", system
	case browser == "" && system == "":
		return device, "", ""
	}
	return browser, "", system
}

// Timeline shows what happened day by day, in the order given. An entry says
// little more than its values, as a page has fifty; the style sheet knows the
// rest by its place. Like the smallest components it is made by hand.
func Timeline(days []DayView, now time.Time) templ.Component { return timeline{days, now} }

type timeline struct {
	days []DayView
	now  time.Time
}

// Render writes the days, each in one piece.
func (t timeline) Render(ctx context.Context, w io.Writer) error {
	b := append(make(piece, 0, 1<<10), `<div class=tl>`...)
	for i := range t.days {
		if err := b.day(ctx, &t.days[i], t.now); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	b.html(`</div>`)
	_, err := w.Write(b)
	return err
}

func (b *piece) day(ctx context.Context, d *DayView, now time.Time) error {
	b.html(`<h3>`)
	if day := FormatDay(d.Date, now); strings.Contains(day, " ") {
		b.html(day)
	} else {
		// The script reads here on which day an entry was, which "Today" does not tell.
		b.html(`<time datetime="`, d.Date.UTC().Format(time.DateOnly), `">`, day, `</time>`)
	}
	// What a day with one entry comes to, the entry says.
	if d.Note != "" && len(d.Entries) > 1 {
		b.html(` <i>`)
		b.text(d.Note)
		b.html(`</i>`)
	}
	b.html(`</h3><ol>`)
	for i := range d.Entries {
		if e := &d.Entries[i]; e.Session != nil {
			b.session(e)
		} else if err := b.entry(ctx, e); err != nil {
			return err
		}
	}
	b.html(`</ol>`)
	return nil
}

// session writes an entry that opens. HTML lets one leave its end tag out.
func (b *piece) session(e *EntryView) {
	s := e.Session
	b.html(`<li>`)
	*b = appendClock(*b, e.At)
	b.html(`<a href=`)
	b.address(e.Href)
	b.html(`>Session`)
	lead := ": "
	if s.Pages >= 0 {
		b.html(lead)
		*b = appendPlural(*b, s.Pages, "page", "pages")
		lead = ", "
	}
	if s.LengthMS >= 0 {
		b.html(lead)
		*b = appendDuration(*b, time.Duration(s.LengthMS)*time.Millisecond)
	}
	if s.Active {
		b.html(string(activeChip))
	}
	if s.Rating != "" {
		b.html(string(ratingText(s.Rating)))
	}
	if s.Errors > 0 {
		b.html(`<span class="chip tone-bad icon-bug">`)
		*b = appendPlural(*b, s.Errors, "error", "errors")
		b.html(`</span>`)
	}
	browser, on, system := deviceParts(s.Browser, s.OS, s.Device)
	if s.Country != "" || browser != "" || system != "" {
		b.html(`<i>`)
		b.text(s.Country)
		if s.Country != "" && (browser != "" || system != "") {
			b.html(` · `)
		}
		b.text(browser)
		b.html(on)
		b.text(system)
		b.html(`</i>`)
	}
	b.html(`</a>`)
}

// entry writes any other entry, with a link to its page.
func (b *piece) entry(ctx context.Context, e *EntryView) error {
	b.html(`<li class="tone-`, toneOr(e.Tone), ` icon-`)
	b.text(e.Icon)
	b.html(`">`)
	*b = appendClock(*b, e.At)
	if e.Href != "" {
		b.html(`<div><a href=`)
		b.address(e.Href)
		b.html(` data-item>`)
		b.text(e.Title)
		b.html(`</a>`)
	} else {
		b.html(`<div><span>`)
		b.text(e.Title)
		b.html(`</span>`)
	}
	if e.Badges != nil {
		if err := e.Badges.Render(ctx, b); err != nil {
			return err
		}
	}
	if e.Meta != "" {
		b.html(`<i>`)
		b.text(e.Meta)
		b.html(`</i>`)
	}
	b.html(`</div>`)
	return nil
}
