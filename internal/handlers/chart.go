package handlers

import (
	"fmt"
	"net/url"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// maxDayBars is how many days are drawn one by one; more are drawn as weeks, as
// each bar's links weigh.
const maxDayBars = 31

// chartStep is how many days a bar stands for in a chart of so many.
func chartStep(days int) int {
	if days > maxDayBars {
		return 7
	}
	return 1
}

// ratingChart draws sessions a day by rating, against the days before. link
// makes the address of the sessions from one day to another, both included; nil
// makes no links.
func ratingChart(s services.DaySeries, link func(from, to services.Day) string) templates.ChartView {
	step := chartStep(len(s.Days))
	v := templates.ChartView{
		Caption: "Sessions a day by rating", Unit: "sessions", Step: "Day",
		Parts: []templates.ChartPart{
			{Label: "Poor", Tone: "bad"}, {Label: "Average", Tone: "warn"}, {Label: "Good", Tone: "okay"},
			{Label: "Excellent", Tone: "good"}, {Label: "Not rated", Tone: "neutral"},
		},
		Compare: templates.Plural(len(s.Days), "day", "days") + " before",
	}
	if step > 1 {
		v.Caption, v.Step = "Sessions a week by rating", "Week from"
	}
	if s.Now.Rated() == 0 {
		v.Caption = map[int]string{1: "Sessions a day", 7: "Sessions a week"}[step]
		v.Parts = []templates.ChartPart{{Label: "Sessions, none of them rated", Tone: "neutral"}}
	}
	for i := 0; i < len(s.Days); i += step {
		days := s.Days[i:min(i+step, len(s.Days))]
		first, last := days[0].Day, days[len(days)-1].Day
		var n services.Counts
		bar := templates.ChartBar{Label: first.Time().Format("Mon 2 Jan 2006"), Short: first.Time().Format("2 Jan")}
		for _, d := range days {
			n.Add(d.Counts)
			bar.Before += d.Before
		}
		bar.Values = []int64{n.Poor, n.Average, n.Good, n.Excellent, n.Sessions - n.Rated()}
		if len(v.Parts) == 1 {
			bar.Values = []int64{n.Sessions}
		}
		if link != nil {
			bar.Href = link(first, last)
		}
		v.Bars = append(v.Bars, bar)
	}
	if s.Before.Sessions == 0 {
		v.Compare = "" // a line at nothing says nothing
	}
	return v
}

// behind makes addresses of the sessions behind a figure of a query.
type behind struct {
	path string
	q    services.InsightQuery
	// all says that a query of every connection counts removed ones too.
	all bool
}

// sessions is the list of the query's sessions, narrowed by pairs of a filter's
// name, as the explorer's addresses have it, and its value.
func (b behind) sessions(filter ...string) string {
	return b.between(b.q.From, b.q.To, filter...)
}

func (b behind) between(from, to services.Day, filter ...string) string {
	v := url.Values{"from": {dayText(from)}, "to": {dayText(to)}}
	switch {
	case b.q.Connection != 0:
		v.Set("connection", fmt.Sprint(b.q.Connection))
	case b.all:
		v.Set("connection", allConnections)
	}
	for i := 0; i+1 < len(filter); i += 2 {
		v.Add(filter[i], filter[i+1])
	}
	return b.path + "?" + v.Encode()
}

// dayText is a day as addresses and date fields have it, empty for none.
func dayText(d services.Day) string {
	if d == 0 {
		return ""
	}
	return d.Time().Format(time.DateOnly)
}
