package services

import (
	"context"
	"io"
	"strconv"
	"strings"
)

// CSV writes all that the query selects, newest first, as RFC 4180 behind a byte
// order mark, with a line of headings; Cursor and Limit play no part. Times are
// in UTC, as csvTime has them. Cells that a spreadsheet would take for a formula
// begin with an apostrophe.
func (h *History) CSV(ctx context.Context, org OrgID, q HistoryQuery, w io.Writer) error {
	out, err := newCSVFile(w, []string{
		"time" + csvUTC, "kind", "person", "action", "summary", "subject", "customer_id", "customer", "connection",
		"before", "after", "reason", "outcome", "status", "vendor_says", "counted_calls", "duration_ms",
	})
	if err != nil {
		return err
	}
	q.Cursor = ""
	for {
		page, err := h.page(ctx, org, q, csvPage)
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			if err := out.row(csvRow(e)); err != nil {
				return err
			}
		}
		if err := out.flush(); err != nil {
			return err
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
}

func csvRow(e HistoryEvent) []string {
	var before, after []string
	for _, c := range e.Changes {
		before = appendField(before, c.Field, c.Before, c.BeforeAbsent)
		after = appendField(after, c.Field, c.After, c.AfterAbsent)
	}
	row := []string{
		csvTime(e.At), string(e.Kind), e.Actor, e.Action, e.Summary, e.Subject, idText(int64(e.Customer)), e.CustomerName,
		e.ConnectionName, strings.Join(before, "; "), strings.Join(after, "; "), e.Reason, "", "", "", "", "",
	}
	if c := e.Call; c != nil {
		counted := "0"
		if c.Counts {
			counted = "1"
		}
		outcome := c.State
		if c.ErrorKind != "" {
			outcome += ": " + c.ErrorKind
		}
		copy(row[12:], []string{outcome, idText(int64(c.Status)), c.Says, counted, strconv.FormatInt(c.Duration.Milliseconds(), 10)})
	}
	for i, cell := range row {
		row[i] = EscapeCell(cell)
	}
	return row
}

func appendField(to []string, field, value string, absent bool) []string {
	switch {
	case absent:
		return to
	case field == "":
		return append(to, value)
	}
	return append(to, field+": "+value)
}

func idText(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// EscapeCell keeps a spreadsheet from taking a cell for a formula.
func EscapeCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
