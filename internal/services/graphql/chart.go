package graphql

import (
	"math"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Limits of a chart.
const (
	maxTimePoints  = 5000
	maxLabelPoints = 40
)

// Chart is a table's rows as points: a number against a time, or against a
// label that no two rows share.
type Chart struct {
	// X and Y are the columns' labels.
	X, Y string
	// Times is set for a chart against time, Labels for one against labels; each
	// has as many entries as Values.
	Times  []time.Time
	Labels []string
	Values []float64
	// Xs and Ys are the columns that could be X and Y, with these, in their order.
	Xs, Ys []string
}

var (
	timeName = regexp.MustCompile(`(?i)(time|date|day|hour|week|month|stamp|_at|At|ts)$`)
	idName   = regexp.MustCompile(`(^|[._a-z])(id|ID|Id)$`)
)

// Chart finds a chart in the table; ok is false if its shape is none: fewer than
// two rows, no number, or nothing to set it against. x and y name the columns;
// empty, or one that does not fit, is the first time, else label, and the first
// number.
func (t Table) Chart(x, y string) (Chart, bool) {
	if len(t.Rows) < 2 || len(t.Rows) > maxTimePoints {
		return Chart{}, false
	}
	var numbers, times, labels []int
	for i, c := range t.Columns {
		switch {
		case c.List != "" || c.Parent:
		case t.isTime(i):
			times = append(times, i)
		case t.isNumber(i) && !idName.MatchString(c.Label):
			numbers = append(numbers, i)
		case t.isLabel(i):
			labels = append(labels, i)
		}
	}
	against := append(slices.Clone(times), labels...)
	if len(numbers) == 0 || len(against) == 0 {
		return Chart{}, false
	}
	var out Chart
	across, up := t.named(against, x, &out.Xs), t.named(numbers, y, &out.Ys)
	out.X, out.Y = t.Columns[across].Label, t.Columns[up].Label
	t.points(&out, across, up, slices.Contains(times, across))
	return out, len(out.Values) >= 2
}

// named is the column of a label, or the first; labels are those of all.
func (t Table) named(columns []int, label string, labels *[]string) int {
	at := columns[0]
	for _, i := range slices.Backward(columns) {
		if t.Columns[i].Label == label {
			at = i
		}
	}
	for _, i := range columns {
		*labels = append(*labels, t.Columns[i].Label)
	}
	return at
}

func (t Table) points(c *Chart, x, y int, timed bool) {
	rows := t.Rows
	if timed {
		rows = slices.Clone(rows)
		sort.SliceStable(rows, func(i, j int) bool {
			s, _ := timeIn(rows[i][x].Text)
			u, _ := timeIn(rows[j][x].Text)
			return s.Before(u)
		})
	}
	for _, r := range rows {
		v, err := strconv.ParseFloat(r[y].Text, 64)
		if r[y].Kind != Number || err != nil || math.IsInf(v, 0) {
			continue
		}
		at, ok := timeIn(r[x].Text)
		switch {
		case timed && ok:
			c.Times = append(c.Times, at)
		case !timed:
			c.Labels = append(c.Labels, r[x].Text)
		default:
			continue
		}
		c.Values = append(c.Values, v)
	}
}

// most says that a column has such cells, and no others but empty ones.
func (t Table) most(column int, is func(Cell) bool) bool {
	found := 0
	for _, r := range t.Rows {
		switch {
		case r[column].Kind <= Null:
		case is(r[column]):
			found++
		default:
			return false
		}
	}
	return found >= 2
}

func (t Table) isTime(i int) bool {
	named := timeName.MatchString(t.Columns[i].Label)
	return t.most(i, func(c Cell) bool {
		_, ok := timeIn(c.Text)
		return ok && (c.Kind == Text || c.Kind == Number && named && len(c.Text) >= 10)
	})
}

func (t Table) isNumber(i int) bool {
	return t.most(i, func(c Cell) bool { return c.Kind == Number })
}

func (t Table) isLabel(i int) bool {
	if len(t.Rows) > maxLabelPoints {
		return false
	}
	seen := map[string]bool{}
	return t.most(i, func(c Cell) bool {
		if c.Kind != Text && c.Kind != Bool || seen[c.Text] {
			return false
		}
		seen[c.Text] = true
		return true
	})
}

// timeIn reads a time as servers write it: RFC 3339, a day, or milliseconds or
// seconds since 1970.
func timeIn(s string) (time.Time, bool) {
	if len(s) < 7 || len(s) > 40 || s[0] < '0' || s[0] > '9' {
		return time.Time{}, false
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly, "2006-01-02T15:04:05", time.DateTime, "2006-01"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	if strings.ContainsAny(s, ".eE") {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
	case n >= 1e9 && n < 1e10:
		return time.Unix(n, 0).UTC(), true
	case n >= 1e12 && n < 1e13:
		return time.UnixMilli(n).UTC(), true
	}
	return time.Time{}, false
}
