package templates

import (
	"context"
	"io"
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
	// as a part of the page. Without JavaScript a link leads there.
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
	if err := write(w, `<div class="tl tone-raygun icon-activity">`); err != nil {
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
	note := ""
	if d.Note != "" {
		note = `<small>` + templ.EscapeString(d.Note) + `</small>`
	}
	if err := write(w, `<section><h3>`+FormatDay(d.Date, now)+` `+note+`</h3><ol>`); err != nil {
		return err
	}
	for i := range d.Entries {
		if err := d.Entries[i].render(ctx, w); err != nil {
			return err
		}
	}
	return write(w, `</ol></section>`)
}

func (e *EntryView) render(ctx context.Context, w io.Writer) error {
	href := templ.EscapeString(string(templ.URL(e.Href)))
	title := templ.EscapeString(e.Title)
	begin, end := `<div class="tl-line"><span>`+title+`</span>`, `</div>`
	switch {
	case e.Opens:
		begin, end = `<details><summary>`+title, `</summary><a href="`+href+`">Open on a page of its own</a></details>`
	case e.Href != "":
		begin = `<div class="tl-line"><a href="` + href + `" data-item>` + title + `</a>`
	}
	class := ""
	if e.Icon != "" || e.Tone != "" {
		class = ` class="tone-` + toneOr(e.Tone) + ` icon-` + templ.EscapeString(e.Icon) + `"`
	}
	// HTML lets one leave the end tag of an entry out.
	err := write(w, `<li`+class+`><time datetime="`+machineTime(e.At)+`">`+FormatClock(e.At)+`</time>`+begin)
	if err == nil && e.Badges != nil {
		err = e.Badges.Render(ctx, w)
	}
	if err == nil && e.Meta != "" {
		err = write(w, `<small>`+templ.EscapeString(e.Meta)+`</small>`)
	}
	if err != nil {
		return err
	}
	return write(w, end)
}

func write(w io.Writer, html string) error {
	_, err := io.WriteString(w, html)
	return err
}
