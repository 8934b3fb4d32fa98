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
	// Icon and Tone (as for Badge) say what kind of thing it is; without them it is
	// a session, as most are.
	Icon, Tone string
	At         time.Time
	// Title says what happened; Href is its own page and may be empty.
	Title, Href string
	// Opens says that the entry opens here: web/assets/timeline.js fetches Href
	// as a part of the page. Without JavaScript the entry leads there.
	Opens bool
	// Badges follow the title, nil if there are none; Meta is the line under it.
	Badges templ.Component
	Meta   string
}

// Timeline shows what happened day by day, in the order given. An entry says
// little more than its values, as a page has fifty; the style sheet knows the
// rest by its place. Like the smallest components it is made by hand.
func Timeline(days []DayView, now time.Time) templ.Component { return timeline{days, now} }

type timeline struct {
	days []DayView
	now  time.Time
}

// Render writes the days.
func (t timeline) Render(ctx context.Context, w io.Writer) error {
	if err := write(w, `<div class=tl>`); err != nil {
		return err
	}
	for i := range t.days {
		if err := t.days[i].render(ctx, w, t.now); err != nil {
			return err
		}
	}
	return write(w, `</div>`)
}

func (d *DayView) render(ctx context.Context, w io.Writer, now time.Time) error {
	day := FormatDay(d.Date, now)
	if !strings.Contains(day, " ") {
		// The script reads here on which day an entry was, which "Today" does not tell.
		day = `<time datetime="` + d.Date.UTC().Format(time.DateOnly) + `">` + day + `</time>`
	}
	// What a day with one entry comes to, the entry says.
	if d.Note != "" && len(d.Entries) > 1 {
		day += ` <i>` + templ.EscapeString(d.Note) + `</i>`
	}
	if err := write(w, `<h3>`+day+`</h3><ol>`); err != nil {
		return err
	}
	for i := range d.Entries {
		if err := d.Entries[i].render(ctx, w); err != nil {
			return err
		}
	}
	return write(w, `</ol>`)
}

func (e *EntryView) render(ctx context.Context, w io.Writer) error {
	class := ""
	if e.Icon != "" || e.Tone != "" {
		class = ` class="tone-` + toneOr(e.Tone) + ` icon-` + templ.EscapeString(e.Icon) + `"`
	}
	title, end := templ.EscapeString(e.Title), `</div>`
	switch {
	case e.Opens:
		title, end = `<a href=`+address(e.Href)+`>`+title, `</a>`
	case e.Href != "":
		title = `<div><a href=` + address(e.Href) + ` data-item>` + title + `</a>`
	default:
		title = `<div><span>` + title + `</span>`
	}
	facts, simple := e.Badges.(markup)
	if err := write(w, `<li`+class+`>`+FormatClock(e.At)+title+string(facts)); err != nil {
		return err
	}
	if e.Badges != nil && !simple {
		if err := e.Badges.Render(ctx, w); err != nil {
			return err
		}
	}
	if e.Meta != "" {
		end = `<i>` + templ.EscapeString(e.Meta) + `</i>` + end
	}
	// HTML lets one leave the end tag of an entry out.
	return write(w, end)
}

func write(w io.Writer, html string) error {
	_, err := io.WriteString(w, html)
	return err
}
