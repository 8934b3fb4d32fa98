package handlers

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// addTree shows an answer's JSON to unfold: ?find= what has a text, ?at= a part
// of it, ?from= from one of its entries on, ?open=all with everything unfolded.
func addTree(v *templates.GraphQLRunView, answer services.RunAnswer, q url.Values, here answerPlace) error {
	from, _ := strconv.Atoi(q.Get("from"))
	find, at := q.Get("find"), q.Get("at")
	t, err := answer.Tree(services.GraphQLTreeQuery{At: at, From: from, Find: find, All: q.Get("open") == "all"})
	if err != nil {
		return err
	}
	if !t.Found {
		return &services.Error{Kind: services.NotFound, Msg: "There is nothing at this place of the answer."}
	}
	keep := append(here.keep[:len(here.keep):len(here.keep)], templates.HiddenView{Name: "show", Value: "json"})
	v.Tree = &templates.TreeView{
		Filter: templates.FilterView{Action: here.path, Submit: "Search"}, Hidden: keep, Root: twigView(t.Root, here), Cut: t.Cut, Found: find != "", Hits: t.Hits,
		Search: templates.FieldView{ID: "find", Name: "find", Label: "Search", Type: "search", Value: find}, AllURL: here.href("show", "json", "open", "all", "find", find, "at", at),
	}
	if at != "" {
		v.Tree.Hidden = append(v.Tree.Hidden, templates.HiddenView{Name: "at", Value: at})
		v.Tree.Root.Key, v.Tree.WholeURL = at, here.href("show", "json")
	}
	if find != "" {
		v.Tree.Filter.ResetHref = here.href("show", "json", "at", at)
	}
	return nil
}

func twigView(t services.GraphQLTwig, here answerPlace) templates.TwigView {
	v := templates.TwigView{Key: t.Key, Text: t.Text, Open: t.Open, Hit: t.Hit, Count: t.Count, More: t.More}
	switch t.Kind {
	case services.CellList:
		v.Holds = "list"
	case services.CellObject:
		v.Holds = "object"
	case services.CellText:
		v.Text = strconv.Quote(shortened(t.Text, shownCell))
	case services.CellNull:
		v.Text = "null"
	}
	for _, kid := range t.Kids {
		v.Kids = append(v.Kids, twigView(kid, here))
	}
	if t.More > 0 {
		v.MoreURL = here.href("show", "json", "at", t.Path, "from", fmt.Sprint(t.From+len(t.Kids)))
	}
	return v
}

// answerChart is the chart of a table with the choice of its columns.
func answerChart(c services.GraphQLChart, here answerPlace, list string) *templates.AnswerChartView {
	v := &templates.AnswerChartView{
		Title: c.Y + " by " + c.X, Filter: templates.FilterView{Action: here.path, Submit: "Draw", Name: "Chart"},
		Hidden: append(here.keep[:len(here.keep):len(here.keep)], templates.HiddenView{Name: "show", Value: "table"}, templates.HiddenView{Name: "list", Value: list}),
		X:      templates.FieldView{ID: "x", Name: "x", Label: "Across", Value: c.X}, Y: templates.FieldView{ID: "y", Name: "y", Label: "Upwards", Value: c.Y},
		Chart: graphQLChart(c),
	}
	for _, label := range c.Xs {
		v.Xs = append(v.Xs, templates.OptionView{Value: label, Label: label})
	}
	for _, label := range c.Ys {
		v.Ys = append(v.Ys, templates.OptionView{Value: label, Label: label})
	}
	return v
}

// maxCharted is the largest number that a bar shows, and maxGraphQLBars how many
// bars there are at most.
const (
	maxCharted     = 1e15
	maxGraphQLBars = 62
)

// graphQLChart draws points as bars, the last ones if there are too many; nil if
// there is a number that no bar can show.
func graphQLChart(c services.GraphQLChart) *templates.ChartView {
	v := &templates.ChartView{Caption: c.Y + " by " + c.X, Unit: c.Y, Step: c.X, Parts: []templates.ChartPart{{Label: c.Y, Tone: "accent"}}, Scale: 1}
	first := max(0, len(c.Values)-maxGraphQLBars)
	if first > 0 {
		v.Caption += fmt.Sprintf(", the last %d of %d", maxGraphQLBars, len(c.Values))
	}
	for _, n := range c.Values[first:] {
		if n < 0 || n > maxCharted {
			return nil
		}
		if n != math.Trunc(n) {
			v.Scale = 100
		}
	}
	layout := "2 Jan"
	if n := len(c.Times); n > 0 && c.Times[n-1].Sub(c.Times[first]) < 36*time.Hour {
		layout = "15:04"
	}
	for i := first; i < len(c.Values); i++ {
		bar := templates.ChartBar{Values: []int64{int64(math.Round(c.Values[i] * float64(v.Scale)))}}
		if len(c.Times) > 0 {
			bar.Label, bar.Short = c.Times[i].Format("2 Jan 2006, 15:04"), c.Times[i].Format(layout)
		} else {
			bar.Label, bar.Short = c.Labels[i], ""
		}
		v.Bars = append(v.Bars, bar)
	}
	return v
}
