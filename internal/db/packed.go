package db

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// inLines begins a query that makes the column called line of the one in its
// brackets one text, a line for each row. JSON has no line feed.
const inLines = "SELECT coalesce(group_concat(line, char(10)), '') FROM ("

// scanPacked reads with scan what SQLite's json_array has made one column. Rows
// of many columns are read so: the driver crosses into translated C several
// times for each value, and names and types every column of every question. One
// text costs it a third of 17 values. The columns are integers and texts.
func scanPacked[T any](s scanner, scan func(scanner) (T, error)) (T, error) {
	var p packedRow
	if err := s.Scan(&p.rest); err != nil {
		var zero T
		return zero, err
	}
	v, err := scan(&p)
	if err == nil {
		err = p.end()
	}
	return v, err
}

// packedRow is a row that SQLite wrote as a JSON array of integers, texts and
// nulls, without spaces. The texts that are read from it are parts of it.
type packedRow struct {
	rest  string // begins with the bracket, or the comma before the next value
	begun bool
}

// read reads all columns of a row that is there already, for lists whose rows
// share what they are read with.
func (p *packedRow) read(row string, dest []any) error {
	*p = packedRow{rest: row}
	if err := p.Scan(dest...); err != nil {
		return err
	}
	return p.end()
}

// end says that more columns are there than were read.
func (p *packedRow) end() error {
	if !p.begun || p.rest != "]" {
		return fmt.Errorf("more columns than are scanned: %d bytes are left", len(p.rest))
	}
	return nil
}

// Scan reads the next columns. Like [sql.Rows.Scan] it refuses what does not
// fit, and NULL where there is no room for it.
func (p *packedRow) Scan(dest ...any) error {
	for i, d := range dest {
		if err := p.scan(d); err != nil {
			return fmt.Errorf("read packed column %d into %T: %w", i, d, err)
		}
	}
	return nil
}

var errPacked = errors.New("it is no list of integers, texts and nulls")

func (p *packedRow) scan(dest any) error {
	lead := byte(',')
	if !p.begun {
		lead, p.begun = '[', true
	}
	if len(p.rest) < 2 || p.rest[0] != lead {
		return errPacked
	}
	p.rest = p.rest[1:]
	if p.rest[0] == '"' {
		text, err := p.text()
		if err != nil {
			return err
		}
		d, ok := dest.(*string)
		if !ok {
			return fmt.Errorf("%d bytes of text are no number", len(text))
		}
		*d = text
		return nil
	}
	if word, ok := strings.CutPrefix(p.rest, "null"); ok {
		p.rest = word
		return setNull(dest)
	}
	end := 0
	for end < len(p.rest) && p.rest[end] != ',' && p.rest[end] != ']' {
		end++
	}
	n, err := strconv.ParseInt(p.rest[:end], 10, 64)
	if err != nil {
		return err
	}
	p.rest = p.rest[end:]
	return setInt(dest, n)
}

// text reads a quoted text.
func (p *packedRow) text() (string, error) {
	escaped := false
	for i := 1; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			if !escaped {
				text := p.rest[1:i]
				p.rest = p.rest[i+1:]
				return text, nil
			}
			var text string
			err := json.Unmarshal([]byte(p.rest[:i+1]), &text)
			p.rest = p.rest[i+1:]
			return text, err
		}
	}
	return "", errPacked
}

func setNull(dest any) error {
	switch d := dest.(type) {
	case *stamp:
		*d = stamp{}
	case *sql.NullInt64:
		*d = sql.NullInt64{}
	case **int64:
		*d = nil
	default:
		return errors.New("it is NULL")
	}
	return nil
}

func setInt(dest any, n int64) error {
	switch d := dest.(type) {
	case *stamp:
		*d = stamp(time.UnixMilli(n).UTC())
	case *sql.NullInt64:
		*d = sql.NullInt64{Int64: n, Valid: true}
	case **int64:
		own := n // n itself would be allocated for every column
		*d = &own
	case *int64:
		*d = n
	case *SessionID:
		*d = SessionID(n)
	case *ConnectionID:
		*d = ConnectionID(n)
	case *CustomerID:
		*d = CustomerID(n)
	case *bool:
		if n != 0 && n != 1 {
			return fmt.Errorf("%d is neither true nor false", n)
		}
		*d = n == 1
	default:
		v := reflect.ValueOf(dest)
		if v.Kind() != reflect.Pointer || !v.Elem().CanInt() || v.Elem().OverflowInt(n) {
			return fmt.Errorf("there is no room for %d", n)
		}
		v.Elem().SetInt(n)
	}
	return nil
}
