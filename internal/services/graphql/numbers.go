package graphql

import (
	"math"
	"strconv"
	"strings"
)

// Limits of what is measured of an answer.
const (
	maxMeasures     = 60
	measuredLists   = 8
	measuredColumns = 12
)

// Measure is a number that an answer has, under a name that stays the same from
// one answer to the operation to the next.
type Measure struct {
	Name  string  `json:"n"`
	Value float64 `json:"v"`
}

// Measures are the numbers of an answer that are worth watching: those that
// stand alone in it, and of its first lists how long they are and the sum, the
// average, the smallest and the largest of their columns of numbers. Ids are
// none.
func (a Answer) Measures(d *Document, o Operation) []Measure {
	var out []Measure
	whole := a.Table(d, o, ".")
	if len(whole.Rows) == 1 {
		for i, c := range whole.Columns {
			if v, ok := numberIn(whole.Rows[0][i]); ok && c.List == "" && !idName.MatchString(c.Label) {
				out = append(out, Measure{c.Label, v})
			}
		}
	}
	for i, l := range whole.Lists {
		if i == 0 || l.Plain {
			continue // the answer itself
		}
		if i > measuredLists {
			break
		}
		t := a.Table(d, o, l.Path)
		name := strings.ReplaceAll(l.Path, "/", ".")
		out = append(out, Measure{name + ": rows", float64(t.Total)})
		out = append(out, t.measures(name)...)
	}
	return out[:min(len(out), maxMeasures)]
}

// measures are those of the table's columns.
func (t Table) measures(name string) []Measure {
	var out []Measure
	for i, c := range t.Columns {
		if c.Parent || c.List != "" || idName.MatchString(c.Label) {
			continue
		}
		n, sum, smallest, largest := 0, 0.0, math.Inf(1), math.Inf(-1)
		for _, row := range t.Rows {
			v, ok := numberIn(row[i])
			if !ok {
				if row[i].Kind > Null {
					n = -1 // no column of numbers
					break
				}
				continue
			}
			n, sum, smallest, largest = n+1, sum+v, min(smallest, v), max(largest, v)
		}
		if n <= 0 || math.IsInf(sum, 0) {
			continue
		}
		for _, m := range []Measure{{"sum of ", sum}, {"average of ", sum / float64(n)}, {"smallest ", smallest}, {"largest ", largest}} {
			out = append(out, Measure{name + ": " + m.Name + c.Label, m.Value})
		}
		if len(out) >= 4*measuredColumns {
			break
		}
	}
	return out
}

func numberIn(c Cell) (float64, bool) {
	if c.Kind != Number {
		return 0, false
	}
	v, err := strconv.ParseFloat(c.Text, 64)
	return v, err == nil && !math.IsInf(v, 0)
}
