package services

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
)

// jsonFile writes a file of ours: one array of objects, one a line, each with
// the same keys in the same order.
type jsonFile struct {
	out  *bufio.Writer
	keys []string
	rows int
}

func newJSONFile(w io.Writer, keys []string) *jsonFile {
	return &jsonFile{out: bufio.NewWriter(w), keys: keys}
}

// row writes one object; an empty text is null, a time is RFC 3339 in UTC.
func (f *jsonFile) row(fields []any) error {
	line := []byte(",\n{")
	if f.rows == 0 {
		line = []byte("[\n{")
	}
	f.rows++
	for i, field := range fields {
		if field == "" {
			field = nil
		}
		if t, ok := field.(time.Time); ok {
			field = t.UTC().Format(time.RFC3339Nano)
		}
		text, err := json.Marshal(field)
		if err != nil {
			return fmt.Errorf("write %s as JSON: %w", f.keys[i], err)
		}
		if i > 0 {
			line = append(line, ',')
		}
		line = append(append(strconv.AppendQuote(line, f.keys[i]), ':'), text...)
	}
	if _, err := f.out.Write(append(line, '}')); err != nil {
		return fmt.Errorf("write a row: %w", err)
	}
	return nil
}

// end closes the array and hands all over.
func (f *jsonFile) end() error {
	last := "\n]\n"
	if f.rows == 0 {
		last = "[]\n"
	}
	if _, err := f.out.WriteString(last); err != nil {
		return fmt.Errorf("end the file: %w", err)
	}
	if err := f.out.Flush(); err != nil {
		return fmt.Errorf("write the rows: %w", err)
	}
	return nil
}
