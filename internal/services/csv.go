package services

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"
)

// byteOrderMark tells a spreadsheet that a file is UTF-8.
const byteOrderMark = "\ufeff"

// csvPage is how many rows are read at a time, so that no reader of the
// database is held while a slow client takes them.
const csvPage = 500

// csvUTC ends the heading of a column of moments: see csvTime.
const csvUTC = " (UTC)"

// csvTime is a moment as files of ours have it, in UTC, with milliseconds if it
// has any; empty for none. Spreadsheets take this for a date and a time; RFC
// 3339, which is what our JSON has, is text to them.
func csvTime(t time.Time) string {
	layout := time.DateTime
	switch t = t.UTC(); {
	case t.IsZero():
		return ""
	case t.Nanosecond() >= int(time.Millisecond):
		layout += ".000"
	}
	return t.Format(layout)
}

// csvCell is a field as a cell, empty if it is nil.
func csvCell(field any) string {
	switch v := field.(type) {
	case string:
		return EscapeCell(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case time.Time:
		return csvTime(v)
	}
	return ""
}

// csvFile writes a file of ours: RFC 4180 behind a byte order mark, with a line
// of headings.
type csvFile struct{ out *csv.Writer }

// newCSVFile begins a file.
func newCSVFile(w io.Writer, headings []string) (csvFile, error) {
	if _, err := io.WriteString(w, byteOrderMark); err != nil {
		return csvFile{}, fmt.Errorf("write the byte order mark: %w", err)
	}
	f := csvFile{csv.NewWriter(w)}
	f.out.UseCRLF = true
	if err := f.out.Write(headings); err != nil {
		return f, fmt.Errorf("write the headings: %w", err)
	}
	return f, nil
}

// row writes cells as they are: see EscapeCell.
func (f csvFile) row(cells []string) error {
	if err := f.out.Write(cells); err != nil {
		return fmt.Errorf("write a row: %w", err)
	}
	return nil
}

// flush hands over the rows that are written.
func (f csvFile) flush() error {
	f.out.Flush()
	if err := f.out.Error(); err != nil {
		return fmt.Errorf("write the rows: %w", err)
	}
	return nil
}
