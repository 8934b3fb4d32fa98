package templates

import (
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"
)

// ChartView is a bar chart over time: one bar a day or a week, each made of
// the same parts, and a table of the same numbers under it.
type ChartView struct {
	// Caption says what is shown: "Sessions a day by rating".
	Caption string
	// Unit is what is counted, in the plural; Step is what a bar is: "Day".
	Unit, Step string
	// Parts are a bar's parts from the bottom up.
	Parts []ChartPart
	// Compare names the mark across a bar, such as "30 days before"; empty
	// shows no marks.
	Compare string
	Bars    []ChartBar
	// Banded says that each bar has one part only, which its label names: the
	// numbers are not told part by part.
	Banded bool
	// Scale divides the values when they are told, 0 for 1: bars are whole numbers.
	Scale int64
	// FirstFirst lists the numbers in the order of the bars; else the last is first.
	FirstFirst bool
}

// ChartPart is one part of every bar. Tone is good, okay, warn, bad or neutral.
type ChartPart struct{ Label, Tone string }

// ChartBar is one bar. Values are as many as the chart has parts.
type ChartBar struct {
	// Label is the day or week, Short what stands under the axis.
	Label, Short string
	// Href leads to what is counted; it may be empty.
	Href   string
	Values []int64
	// Before is what it is compared with.
	Before int64
}

// Total is the sum of a bar's parts.
func (b ChartBar) Total() int64 {
	var sum int64
	for _, v := range b.Values {
		sum += v
	}
	return sum
}

// The drawing's size in units of its own: it is stretched to the room there is.
const (
	chartBarRoom = 10
	chartHeight  = 100
)

// top is the value at the chart's upper edge: the largest there is,
// rounded up to 1, 2 or 5 times a power of ten.
func (c ChartView) top() int64 {
	largest := int64(1)
	for _, b := range c.Bars {
		largest = max(largest, b.Total())
		if c.Compare != "" {
			largest = max(largest, b.Before)
		}
	}
	for step := int64(1); ; step *= 10 {
		for _, n := range []int64{1, 2, 5} {
			if n*step >= largest || n*step > 1<<60 {
				return n * step
			}
		}
	}
}

func (c ChartView) width() string { return strconv.Itoa(max(len(c.Bars), 1) * chartBarRoom) }

func (c ChartView) viewBox() string { return "0 0 " + c.width() + " " + strconv.Itoa(chartHeight) }

// partPath draws one part of all bars, as lines that the style sheet makes wide.
func (c ChartView) partPath(part int) string {
	top := float64(c.top())
	var d strings.Builder
	for i, b := range c.Bars {
		if b.Values[part] <= 0 {
			continue
		}
		below := 0.0
		for _, v := range b.Values[:part] {
			below += float64(v)
		}
		height := float64(b.Values[part]) / top * chartHeight
		y := chartHeight - below/top*chartHeight
		d.WriteString("M" + strconv.Itoa(i*chartBarRoom+chartBarRoom/2) + " " + short(y) + "v" + short(-height))
	}
	return d.String()
}

// comparePath draws the marks of what bars are compared with.
func (c ChartView) comparePath() string {
	top := float64(c.top())
	var d strings.Builder
	for i, b := range c.Bars {
		d.WriteString("M" + strconv.Itoa(i*chartBarRoom) + " " + short(chartHeight-float64(b.Before)/top*chartHeight) + "h" + strconv.Itoa(chartBarRoom))
	}
	return d.String()
}

func short(f float64) string {
	s := strconv.FormatFloat(f, 'f', 1, 64)
	return strings.TrimSuffix(s, ".0")
}

// chartTick is a label under the axis. X is where, in percent of the width, and
// Anchor which part of the text stands there.
type chartTick struct{ Label, X, Anchor string }

// ticks are the labels under the axis, each below its bar: at most five, evenly
// apart. Those at the edges keep within the chart.
func (c ChartView) ticks() []chartTick {
	n := len(c.Bars)
	var out []chartTick
	for i := 0; i < n; i += max(1, (n+2)/4) { // a quarter of the n-1 steps, rounded up
		at, anchor := float64(i)+0.5, "middle"
		switch room := float64(n) * 0.07; { // half a label
		case at < room:
			at, anchor = float64(i), "start"
		case float64(n)-at < room:
			at, anchor = float64(i)+1, "end"
		}
		out = append(out, chartTick{Label: c.Bars[i].Short, X: short(at/float64(n)*100) + "%", Anchor: anchor})
	}
	return out
}

// byPart says whether the numbers of each part are told.
func (c ChartView) byPart() bool { return len(c.Parts) > 1 && !c.Banded }

// told writes a value.
func (c ChartView) told(n int64) string {
	if c.Scale > 1 {
		return strconv.FormatFloat(float64(n)/float64(c.Scale), 'f', -1, 64)
	}
	return FormatCount(n)
}

// numbers are the cells of a bar in the chart's table. They are made by hand,
// and without end tags, which HTML lets one leave out: a chart of 90 days has
// several hundred.
func (c ChartView) numbers(b ChartBar) templ.Component {
	cells := "<td>" + markup(c.told(b.Total()))
	if c.byPart() {
		cells += numberCells(b.Values...)
	}
	if c.Compare != "" {
		cells += numberCells(b.Before)
	}
	return cells
}

// edge labels the chart's upper edge. What is measured has its unit there: of
// what is counted, the caption names it.
func (c ChartView) edge() string {
	if c.Banded {
		return c.told(c.top()) + " " + c.Unit
	}
	return c.told(c.top())
}

// columns are the headings of the chart's table.
func (c ChartView) columns() []ColumnView {
	out := []ColumnView{{Label: c.Step}, {Label: "All", Num: true}}
	if c.Banded {
		out[1].Label = c.Unit
	}
	for _, p := range c.Parts {
		if c.byPart() {
			out = append(out, ColumnView{Label: p.Label, Num: true})
		}
	}
	if c.Compare != "" {
		out = append(out, ColumnView{Label: c.Compare, Num: true})
	}
	return out
}

// FormatTrend writes how a number changed: "+12 %", "−40 %", "±0 %", "new" from
// nothing. It is "" where both are nothing.
func FormatTrend(now, before int64) string {
	switch {
	case now <= 0 && before <= 0:
		return ""
	case before <= 0:
		return "new"
	}
	p := int64(float64(now-before)/float64(before)*100 + 0.5)
	if now < before {
		p = -int64(float64(before-now)/float64(before)*100 + 0.5)
	}
	switch {
	case p > 999:
		return "×" + FormatCount((now+before/2)/before)
	case p > 0:
		return "+" + FormatCount(p) + " %"
	case p < 0:
		return FormatCount(p) + " %"
	}
	return "±0 %"
}

// share is part of whole, 0 if there is no whole.
func share(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// order is the class of the table, by which the script knows where its rows begin.
func (c ChartView) order() string {
	if c.FirstFirst {
		return "nums first-first"
	}
	return "nums"
}

// rows are the places of the bars in the order of the table.
func (c ChartView) rows() []int {
	out := make([]int, len(c.Bars))
	for i := range out {
		out[i] = i
	}
	if !c.FirstFirst {
		slices.Reverse(out)
	}
	return out
}
