package templates

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
)

// SessionTable lists sessions in the columns that were chosen; the first one
// is the time that opens the session. It is made by hand with little around the
// values, as a page has fifty rows: the table's class says which columns hold
// numbers, which the style sheet aligns and names on a phone, and it writes into
// empty cells that nothing is known. HTML lets one leave the end tags out.
func SessionTable(rows []SessionRowView, columns []SessionColumnView, now time.Time) templ.Component {
	return sessionTable{rows, columns, now}
}

type sessionTable struct {
	rows    []SessionRowView
	columns []SessionColumnView
	now     time.Time
}

// Render writes the table.
func (t sessionTable) Render(_ context.Context, w io.Writer) error {
	if err := write(w, t.head()); err != nil {
		return err
	}
	var row []byte
	for i := range t.rows {
		row = append(row[:0], `<tr>`...)
		for j := range t.columns {
			row = append(row, t.rows[i].cell(t.columns[j].Key, t.now)...)
		}
		if _, err := w.Write(row); err != nil {
			return err
		}
	}
	return write(w, `</table></div>`)
}

// head is what stands before the rows. What holds numbers is named by a class such
// as pages-6, the sixth column.
func (t sessionTable) head() string {
	var class, heads strings.Builder
	for i, c := range t.columns {
		if c.Num {
			class.WriteString(c.Key + "-" + strconv.Itoa(i+1) + " ")
		}
		heads.WriteString("<th>" + c.Label)
		if c.Key == "started" || c.Key == "ended" {
			heads.WriteString(" (UTC)")
		}
	}
	return `<div class=table-wrap role=region aria-label="Sessions, newest first" tabindex=0><table class="grid-table as-cards ` + class.String() +
		`sessions opens"><thead><tr>` + heads.String() + `<tbody>`
}

// cell is what a row has in a column.
func (s *SessionRowView) cell(key string, now time.Time) markup {
	switch key {
	case "started":
		return markup(`<td>` + link(s.Href, minuteText(s.At, now)))
	case "person":
		switch {
		case s.PersonHref != "":
			return markup(`<td>` + link(s.PersonHref, templ.EscapeString(s.Person)))
		case s.Person == "":
			return `<td class=muted>Anonymous`
		}
		return textCell(s.Person)
	case "country":
		return textCell(CountryName(s.Country))
	case "pages":
		return numberCell(s.Pages)
	case "errors":
		if s.Errors > 0 {
			return markup(`<td><b class=bug>` + FormatCount(s.Errors) + `</b>`)
		}
		return numberCell(s.Errors)
	case "length":
		if s.LengthMS < 0 {
			return `<td>`
		}
		return markup(`<td>` + FormatMillis(s.LengthMS))
	case "rating":
		switch {
		case s.Rating != "":
			return `<td>` + ratingText(s.Rating)
		case s.Unrated:
			return `<td class=muted>not in v3`
		}
	case "state":
		switch {
		case s.Active:
			return `<td><b class=live>Active</b>`
		case s.Ended:
			return `<td>Ended`
		}
	case "ended":
		if !s.EndedAt.IsZero() {
			return `<td class=ended>` + minute(s.EndedAt, now)
		}
	default:
		return textCell(s.text(key))
	}
	return textCell("")
}
