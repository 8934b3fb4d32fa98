package db

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestPackedColumnsReadAsTheyAreStored stores what JSON escapes, bounds and
// nulls, and reads it packed.
func TestPackedColumnsReadAsTheyAreStored(t *testing.T) {
	d := openTest(t)
	type row struct {
		id   SessionID
		n    int64
		none *int64
		some *int64
		at   time.Time
		no   time.Time
		yes  bool
		text string
		last string
	}
	read := func(query string, args ...any) (row, error) {
		return one(context.Background(), d.r, "row", func(s scanner) (row, error) {
			return scanPacked(s, func(s scanner) (r row, err error) {
				err = s.Scan(&r.id, &r.n, &r.none, &r.some, (*stamp)(&r.at), (*stamp)(&r.no), &r.yes, &r.text, &r.last)
				return r, err
			})
		}, query, args...)
	}
	all := make([]byte, 0, 300)
	for b := range 128 {
		all = append(all, byte(b))
	}
	texts := []string{
		"", "plain", `"`, `\`, `\"`, `"]`, `",1,"`, "null", "a,b]", "ünïcödé 日本 👩‍👩‍👧", "\x00", "\x00x\x1f\x7f", "\u2028</script>", string(all), strings.Repeat(`\"`, 500),
	}
	for _, text := range texts {
		got, err := read(`SELECT json_array(?1, -9223372036854775807 - 1, NULL, 9223372036854775807, 1762000000123, NULL, 1, ?2, ?2)`, 7, text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got.id != 7 || got.n != -1<<63 || got.none != nil || got.some == nil || *got.some != 1<<63-1 || !got.at.Equal(time.UnixMilli(1762000000123)) || !got.no.IsZero() || !got.yes || got.text != text || got.last != text {
			t.Errorf("%q: read %+v", text, got)
		}
	}
	for _, columns := range []string{
		"1, 2, NULL, NULL, 0, 0, 0, 'x'",           // too few
		"1, 2, NULL, NULL, 0, 0, 0, 'x', 'y', 'z'", // too many
		"NULL, 2, NULL, NULL, 0, 0, 0, 'x', 'y'",   // no room for NULL
		"1, 'a', NULL, NULL, 0, 0, 0, 'x', 'y'",    // a text is no number
		"1, 2, NULL, NULL, 0, 0, 2, 'x', 'y'",      // two is neither
		"1, 2, NULL, NULL, 0, 0, 0, 5, 'y'",        // a number is no text
		"1, 2.5, NULL, NULL, 0, 0, 0, 'x', 'y'",
		"1, 2, NULL, NULL, 0, 0, 0, 'x', NULL",
		"1, 2, NULL, NULL, 0, 0, 0, 'x', json('[1]')",
	} {
		if got, err := read(`SELECT json_array(` + columns + `)`); err == nil {
			t.Errorf("%s: read as %+v", columns, got)
		}
	}
}

// FuzzPackedRow reads texts that SQLite would never write.
func FuzzPackedRow(f *testing.F) {
	for _, s := range []string{"", "[", "]", "[]", "[1]", `["a`, `["a\`, `["\u12"]`, "[null,1]", `[1,"x"]`, "[--1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := packedRow{rest: s}
		var n *int64
		var text string
		_ = p.Scan(&n, &text)
	})
}
