package templates

import (
	"context"
	"io"
	"time"

	"github.com/a-h/templ"
)

// sessionRows are the rows of a SessionTable, made by hand with little around
// their values, as a page has fifty: the style sheet aligns what has a
// data-label, which phones show before it, and writes into empty cells that
// nothing is known. HTML lets one leave the end tags out.
type sessionRows struct {
	rows    []SessionRowView
	columns []SessionColumnView
	now     time.Time
}

// Render writes the rows.
func (t sessionRows) Render(_ context.Context, w io.Writer) error {
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
	return nil
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
		return numberCell("Pages", s.Pages)
	case "errors":
		if s.Errors > 0 {
			return `<td data-label=Errors>` + chip(FormatCount(s.Errors), "bad", "bug")
		}
		return numberCell("Errors", s.Errors)
	case "length":
		if s.LengthMS < 0 {
			return unknownNumber
		}
		return labelled("Length", FormatMillis(s.LengthMS))
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
			return `<td>` + activeChip
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
