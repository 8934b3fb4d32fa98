package handlers

import (
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/a-h/templ"

	"sightline/internal/services"
	"sightline/web/templates"
)

// vitals is the page of Core Web Vitals.
func (p *insightPage) vitals() (templ.Component, error) {
	list, err := p.a.Insight.Vitals(p.r.Context(), orgOf(p.r), p.in.query)
	if err != nil {
		return nil, err
	}
	var views []templates.VitalsView
	for _, one := range list {
		views = append(views, p.a.vitalsView(p.r, &p.in, one, len(list) > 1))
	}
	return templates.Vitals(views, "Core Web Vitals are not in v1. A connection to Raygun v3 brings them."), nil
}

// vitalsTitle names a connection's web vitals.
func vitalsTitle(title string, one services.Vitals, several bool) string {
	if several {
		title += " of “" + one.Connection.Name + "”"
	}
	return title
}

// vitalsGlance is what the overview shows of a connection: the three that Google
// calls Core Web Vitals.
func vitalsGlance(one services.Vitals, several bool, href string) templates.VitalsGlance {
	v := templates.VitalsGlance{Title: vitalsTitle("Core Web Vitals", one, several), Href: href}
	for _, s := range one.Series[:3] {
		stat := templates.StatView{Label: s.Name, Value: "–", Hint: "nothing measured"}
		if s.P75 != nil {
			stat.Value, stat.Hint = vitalText(s.Vital, *s.P75), "p75 of "+templates.Plural(s.Measured, "page view", "page views")
			stat.Badge = templates.Badge(string(s.Band(s.P75)), bandTone(s.Band(s.P75)), "")
		}
		v.Stats = append(v.Stats, stat)
	}
	return v
}

// vitalsID is the id of a connection's card of web vitals.
func vitalsID(id services.ConnectionID) string { return fmt.Sprintf("vitals-%d", id) }

func (a *app) vitalsView(r *http.Request, in *insightInput, one services.Vitals, several bool) templates.VitalsView {
	v := templates.VitalsView{ID: vitalsID(one.Connection.ID), Title: vitalsTitle("Core Web Vitals over time", one, several), AskedAt: one.AskedAt, Now: a.now(), Action: orgPath(r, "insight/vitals")}
	v.Note = fmt.Sprintf("As Raygun v3 (“%s”) counts all page views, not only those in the mirror: the 75th percentile, which three of four page views were at least as good as. %s here.",
		one.Connection.Name, templates.Plural(one.Here, "day is", "days are"))
	if one.Missing > 0 {
		v.Note += fmt.Sprintf(" %s missing or not over yet.", templates.Plural(one.Missing, "day is", "days are"))
	}
	here := in.address(r, "vitals")
	v.Ask = a.askPart(r, one.Ask, "Asking Raygun (“"+one.Connection.Name+"”) for Core Web Vitals", here+"#"+v.ID)
	if one.Calls > 0 {
		f := a.spendView(r, "Fetch "+templates.Plural(one.Calls, "day", "days"), one.Budget)
		f.Calls, f.Kind, f.Icon = one.Calls, templates.Secondary, "download"
		if v.Ask != nil && v.Ask.Open {
			f.Disabled = "They are being asked for right now."
		}
		v.Fetch = &f
		v.Hidden = []templates.HiddenView{
			{Name: "through", Value: fmt.Sprint(one.Connection.ID)}, {Name: "conn", Value: in.conn},
			{Name: "from", Value: in.from}, {Name: "to", Value: in.to}, {Name: "span", Value: in.span},
		}
	}
	for _, s := range one.Series {
		vital := vitalView(s, one.Step)
		vital.ID = fmt.Sprintf("%s-%s", v.ID, s.Short)
		if len(vital.Chart.Bars) > 0 && r.URL.Query().Get("vital") != vital.ID {
			vital.Href = in.address(r, "vitals", "vital", vital.ID) + "#" + vital.ID
		}
		v.Vitals = append(v.Vitals, vital)
	}
	return v
}

// vitalScale is by how much a score is multiplied to be a whole number.
const vitalScale = 1000

func vitalView(s services.VitalSeries, step services.Day) templates.VitalView {
	v := templates.VitalView{
		Short: s.Short, Name: s.Name, Value: "–", Measured: "nothing measured",
		Limits: fmt.Sprintf("Good up to %s, poor above %s.", vitalText(s.Vital, s.Good), vitalText(s.Vital, s.Poor)),
	}
	if s.P75 != nil {
		v.Value, v.Measured = vitalText(s.Vital, *s.P75), "of "+templates.Plural(s.Measured, "page view", "page views")
		v.Band, v.Tone = string(s.Band(s.P75)), bandTone(s.Band(s.P75))
	}
	v.Chart = templates.ChartView{
		Caption: s.Short + " a day, 75th percentile", Unit: "ms", Step: "Day", Banded: true,
		Parts: []templates.ChartPart{
			{Label: string(services.BandGood), Tone: "good"}, {Label: string(services.BandMid), Tone: "warn"}, {Label: string(services.BandPoor), Tone: "bad"},
		},
	}
	if step > 1 {
		v.Chart.Caption, v.Chart.Step = s.Short+" a week, 75th percentile", "Week from"
	}
	scale := 1.0
	if s.Score {
		v.Chart.Unit, v.Chart.Scale, scale = "score", vitalScale, vitalScale
	}
	for _, d := range s.Points {
		if d.P75 == nil {
			continue // a bar at nothing would say that it was perfect
		}
		band := s.Band(d.P75)
		bar := templates.ChartBar{Label: d.Day.Time().Format("Mon 2 Jan 2006") + " (" + string(band) + ")", Short: d.Day.Time().Format("2 Jan"), Values: make([]int64, 3)}
		at := map[services.Band]int{services.BandGood: 0, services.BandMid: 1, services.BandPoor: 2}[band]
		bar.Values[at] = int64(math.Round(math.Min(*d.P75*scale, 1<<50)))
		v.Chart.Bars = append(v.Chart.Bars, bar)
	}
	return v
}

func vitalText(v services.Vital, value float64) string {
	if v.Score {
		return strconv.FormatFloat(math.Round(value*100)/100, 'f', -1, 64)
	}
	return templates.FormatMillis(int64(math.Round(math.Min(value, 1<<50))))
}

func bandTone(b services.Band) string {
	switch b {
	case services.BandGood:
		return "good"
	case services.BandMid:
		return "warn"
	case services.BandPoor:
		return "bad"
	}
	return "neutral"
}

// askVitals handles POST /insight/vitals: it asks for the days that are missing
// and leads back to the page.
func (a *app) askVitals(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	conns, err := a.Connections.All(r.Context(), orgOf(r))
	if err != nil {
		return err
	}
	in := readInsight(insightTopic{path: "vitals"}, r.PostForm, conns, a.now())
	to := in.address(r, "vitals")
	if len(in.problems) > 0 {
		return a.redirect(w, r, to, "", "") // the page says what is wrong
	}
	through := services.ConnectionID(idOf(r.PostForm.Get("through")))
	ask, err := a.Insight.AskVitals(r.Context(), actorOf(r), through, in.query)
	if err != nil {
		return err
	}
	return a.waitAndLead(w, r, ask, to+"#"+vitalsID(through))
}
