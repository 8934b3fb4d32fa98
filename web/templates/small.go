package templates

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/a-h/templ"
	templruntime "github.com/a-h/templ/runtime"
)

// markup is finished HTML. The smallest components are made by hand, because
// every row of a list holds several of them: a component of templ costs some
// ten times as much as the few bytes that it writes. What comes from outside
// goes through templ.EscapeString.
type markup string

// Render writes the HTML.
func (m markup) Render(_ context.Context, w io.Writer) error {
	return write(w, string(m))
}

// generated is templ's GeneratedTemplate, compiled once (see once.go).
//
//go:noinline
func generated(render func(templruntime.GeneratedComponentInput) error) templ.Component {
	return templruntime.GeneratedTemplate(render)
}

// failed is what templ says of an expression that failed (see once.go).
//
//go:noinline
func failed(err error, file string, line, column int) error {
	return templ.Error{Err: err, FileName: file, Line: line, Col: column}
}

// Icon shows a lucide icon by its name, in the size and colour of the text
// around it; screen readers pass over it, as it has no text. The style sheet
// draws it, so that a list of many rows stays small. The icons there are stand
// in web/assets/icons.txt; any other name shows a plain circle.
func Icon(name string) templ.Component {
	return markup(`<i class="icon icon-` + templ.EscapeString(name) + `"></i>`)
}

// Badge shows a short fact. Tone is neutral, accent, good, okay, warn or bad;
// icon may be empty.
func Badge(label, tone, icon string) templ.Component { return chip(label, tone, icon) }

func chip(label, tone, icon string) markup {
	class := toneOr(tone)
	if icon != "" {
		class += " icon-" + templ.EscapeString(icon)
	}
	return markup(`<span class="chip tone-` + class + `">` + templ.EscapeString(label) + `</span>`)
}

// RatingBadge shows a Raygun rating: Excellent, Good, Average or Poor, in any
// case; all else is "Not rated". One to four bars say the same without colour.
func RatingBadge(rating string) templ.Component { return ratingChip(ratingBars(rating)) }

func ratingChip(bars int) markup {
	return [...]markup{
		`<span class="chip tone-neutral">Not rated</span>`,
		`<b class=bars-1>Poor</b>`,
		`<b class=bars-2>Average</b>`,
		`<b class=bars-3>Good</b>`,
		`<b class=bars-4>Excellent</b>`,
	}[bars]
}

func ratingText(rating string) markup {
	if bars := ratingBars(rating); bars > 0 {
		return ratingChip(bars)
	}
	return chip(rating, "neutral", "")
}

const activeChip markup = `<span class="chip tone-live">Active</span>`

// ActivityBadge says whether a session is still going on.
func ActivityBadge(active bool) templ.Component {
	if active {
		return activeChip
	}
	return markup(`<span class="chip tone-neutral">Ended</span>`)
}

// Unknown stands where a value is not known.
func Unknown() templ.Component { return unknownValue }

const unknownValue = markup(`<span class="unknown">unknown</span>`)

// Cell is one cell of a Table: label is its column's heading, which phones show
// before it, empty for the row's first cell and for what says by itself what it
// is; num sets it right. The children are its content. HTML lets a cell's end
// tag out.
func Cell(label string, num bool) templ.Component {
	open := "<td"
	if label != "" {
		open += ` data-label="` + templ.EscapeString(label) + `"`
	}
	if num {
		open += ` class="num"`
	}
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		if _, err := io.WriteString(w, open+">"); err != nil {
			return err
		}
		return templ.GetChildren(ctx).Render(templ.ClearChildren(ctx), w)
	})
}

// peopleRows are the rows of People; on a phone the style sheet says what the last
// cell is.
func peopleRows(people []PersonView, now time.Time) templ.Component {
	var html strings.Builder
	for i := range people {
		p := &people[i]
		html.WriteString(`<tr><td>` + link(p.Href, templ.EscapeString(p.Name)) + `<td>` + templ.EscapeString(p.Email) + `<td>` + string(age(p.LastSeen, now)))
	}
	return markup(html.String())
}

func link(href, html string) string {
	return `<a href=` + address(href) + `>` + html + `</a>`
}

// address is where a link leads, as the value of an attribute.
func address(href string) string {
	return attribute(string(templ.URL(href)))
}

// attribute is the value of an attribute: in quotes only if HTML needs them.
func attribute(value string) string {
	var b piece
	b.value(value)
	return string(b)
}

// Age shows how long ago t was, with the exact time in the tooltip (UTC, and
// the reader's own time once JavaScript runs). It keeps itself current. The
// zero time is "never".
func Age(t, now time.Time) templ.Component { return age(t, now) }

// labelled is a cell of plain text that needs its column's heading on a phone.
func labelled(label, text string) markup {
	return markup(`<td data-label=` + label + `>` + templ.EscapeString(text))
}

// numberCells are cells of one number each.
func numberCells(numbers ...int64) (cells markup) {
	for _, n := range numbers {
		cells += markup("<td>" + FormatCount(n))
	}
	return cells
}

// lastSeenCell is a cell that says when somebody was last seen.
func lastSeenCell(t, now time.Time) templ.Component {
	return `<td data-label="Last seen">` + age(t, now)
}

func age(t, now time.Time) markup {
	if t.IsZero() {
		return `<span class="muted">never</span>`
	}
	return markup(`<relative-time datetime=` + machineTime(t) + ` title="` + FormatTime(t) + `">` + FormatAge(t, now) + `</relative-time>`)
}

// Time shows a moment in UTC; the tooltip adds the reader's own time.
func Time(t time.Time) templ.Component { return moment(t, machineTime, FormatTime(t)) }

// Clock shows the time of day in UTC, for lists under a day heading; the
// tooltip adds the seconds and the reader's own time.
func Clock(t time.Time) templ.Component { return moment(t, machineTime, FormatClock(t)) }

// LocalTime shows a moment to the second in the reader's own time once
// JavaScript runs, else in UTC.
func LocalTime(t time.Time) templ.Component {
	if t.IsZero() {
		return Unknown()
	}
	return markup(`<time datetime="` + machineTime(t) + `" data-local="">` + t.UTC().Format("2 Jan, 15:04:05") + ` UTC</time>`)
}

// localMinute is LocalTime to the minute.
func localMinute(t time.Time) templ.Component {
	return markup(`<time datetime="` + machineTime(t) + `" data-local="minute">` + t.UTC().Format("2 Jan, 15:04") + ` UTC</time>`)
}

// minute shows a moment in UTC to the minute, with the year if it is not the
// present one; the tooltip adds the reader's own time.
func minute(t, now time.Time) markup { return moment(t, machineTime, minuteText(t, now)) }

// Date shows a day.
func Date(t time.Time) templ.Component {
	return moment(t, func(t time.Time) string { return t.UTC().Format(time.DateOnly) + `" title="` + FormatTime(t) }, FormatDate(t))
}

// day shows the day of a moment; the tooltip, which the script writes, the moment.
func day(t time.Time) markup { return moment(t, machineTime, FormatDate(t)) }

func moment(t time.Time, datetime func(time.Time) string, text string) markup {
	if t.IsZero() {
		return unknownValue
	}
	return markup(`<time datetime="` + datetime(t) + `">` + text + `</time>`)
}

// Duration shows a duration as FormatDuration writes it; a negative one is
// unknown.
func Duration(d time.Duration) templ.Component {
	if d < 0 {
		return Unknown()
	}
	return markup(`<span class="num">` + FormatDuration(d) + `</span>`)
}

// Millis is Duration for a number of milliseconds.
func Millis(ms int64) templ.Component { return Duration(time.Duration(ms) * time.Millisecond) }

// Bytes shows a size; a negative one is unknown.
func Bytes(n int64) templ.Component {
	if n < 0 {
		return Unknown()
	}
	return markup(`<span class="num">` + FormatBytes(n) + `</span>`)
}

// Count shows a number with its noun: Count(1, "call", "calls"). With empty
// nouns it shows the number alone, for columns whose heading names the unit.
func Count(n int, one, many string) templ.Component {
	text := FormatCount(n)
	if one != "" {
		text = templ.EscapeString(Plural(n, one, many))
	}
	return markup(`<span class="num">` + text + `</span>`)
}

// Text is a line of plain text where a component is wanted.
func Text(s string) templ.Component { return markup(templ.EscapeString(s)) }

func minuteText(t, now time.Time) string {
	if t.UTC().Year() == now.UTC().Year() {
		return t.UTC().Format("2 Jan, 15:04")
	}
	return t.UTC().Format("2 Jan 2006, 15:04")
}

// Tabs shows links between the parts of one subject; label names the group.
func Tabs(label string, tabs []TabView) templ.Component {
	b := make(piece, 0, 512)
	b.html(`<nav class="tabbar" aria-label="`)
	b.text(label)
	b.html(`">`)
	for _, t := range tabs {
		b.html(`<a href=`)
		b.address(t.Href)
		if t.Active {
			b.html(` aria-current=page`)
		}
		b.html(`>`)
		b.text(t.Label)
		if t.Count >= 0 {
			b.html(` <small>`, FormatCount(t.Count), `</small>`)
		}
		b.html(`</a>`)
	}
	b.html(`</nav>`)
	return b
}

// Chips shows small facts or filters in a row that wraps.
func Chips(chips []ChipView) templ.Component {
	if len(chips) == 0 {
		return templ.NopComponent
	}
	b := make(piece, 0, 512)
	b.html(`<ul class=chips>`)
	for _, c := range chips {
		b.html(`<li`)
		if c.Icon != "" {
			b.html(` class=icon-`, c.Icon)
		}
		b.html(`>`)
		if c.Label != "" {
			b.html(`<i>`)
			b.text(c.Label)
			b.html(`</i> `)
		}
		if c.Href != "" {
			b.html(`<a class=link href=`)
			b.address(c.Href)
			b.html(`>`)
			b.text(c.Value)
			b.html(`</a>`)
		} else {
			b.html(`<span>`)
			b.text(c.Value)
			b.html(`</span>`)
		}
		if c.RemoveHref != "" {
			b.html(`<a class="chip-x icon-x" href=`)
			b.address(c.RemoveHref)
			b.html(`><span class=sr-only>Remove `)
			b.text(c.Label)
			b.html(` `)
			b.text(c.Value)
			b.html(`</span></a>`)
		}
	}
	b.html(`</ul>`)
	return b
}
