package services

import (
	"encoding/csv"
	"fmt"
	"io"
)

// byteOrderMark tells a spreadsheet that a file is UTF-8.
const byteOrderMark = "\ufeff"

// csvPage is how many rows are read at a time, so that no reader of the
// database is held while a slow client takes them.
const csvPage = 500

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
