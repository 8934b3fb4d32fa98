package handlers

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// patternRows is how many patterns a card lists.
const patternRows = 10

// patternCard is what one card asks for.
type patternCard struct {
	title, hint, empty string
	kind               services.TextKind
	order              services.PatternOrder
	what               string // of the search that a row leads to
	failed             bool
}

func patternCards() []patternCard {
	return []patternCard{
		{"Failing endpoints", "Requests that were answered with 400 or above, most failures first.", "No request failed.", services.TextEndpoint, services.ByFailures, "request", true},
		{"Slowest endpoints", "By the 95th percentile of how long they took, of those timed at least five times.", "No request was timed five times.", services.TextEndpoint, services.BySlowest, "request", false},
		{"Errors", "By how often they came.", "No errors came.", services.TextError, services.ByTimes, "error", false},
		{"Console errors", "By how often they came.", "Nothing was written to the console as an error.", services.TextConsoleError, services.ByTimes, "console-error", false},
		{"Custom events", "By how often they came; the chart has the first of them by day.", "No custom events came.", services.TextCustom, services.ByTimes, "custom", false},
	}
}

// patterns handles GET /exports/patterns: what comes again and again.
func (a *app) patterns(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	here := orgPath(r, "exports/patterns")
	v := templates.PatternsView{Tabs: recordingTabs(r, "exports/patterns"), Filter: templates.FilterView{Action: here}, FilesURL: orgPath(r, "exports/files")}
	conn := services.ConnectionID(idOf(q.Get("connection")))
	if err := a.chooseRocket(r, conn, &v.Connection, &v.Connections); err != nil {
		return err
	}
	problems := services.Problems{}
	from, until := strings.TrimSpace(q.Get("from")), strings.TrimSpace(q.Get("until"))
	if from == "" && until == "" {
		until = a.now().UTC().Format(time.DateOnly)
		from = a.now().UTC().AddDate(0, 0, -6).Format(time.DateOnly)
	} else if until == "" {
		until = a.now().UTC().Format(time.DateOnly)
	}
	first, end := readDays(problems, from, until)
	if len(problems) == 0 && (first.IsZero() || end.Sub(first) > 366*24*time.Hour) {
		problems["from"] = "Choose a day at most a year before the last."
	}
	v.From = templates.FieldView{ID: "from", Name: "from", Label: "From (UTC)", Value: from, Error: problems["from"]}
	v.Until = templates.FieldView{ID: "until", Name: "until", Label: "To (UTC), included", Value: until, Error: problems["until"]}
	v.Spans = a.patternSpans(here, conn, from, until)
	if len(problems) > 0 {
		return a.page(w, r, http.StatusUnprocessableEntity, "Patterns", "exports", templates.PatternsPage(v))
	}
	last := end.AddDate(0, 0, -1)
	v.Basis = fmt.Sprintf("Of the recordings that were read and began from %s to %s, UTC. Addresses are counted without their query and ids.", templates.FormatDate(first), templates.FormatDate(last))
	var conns []services.ConnectionID
	if conn != 0 {
		conns = append(conns, conn)
	}
	for _, card := range patternCards() {
		c, err := a.patternCard(r, card, conns, first, last)
		if err != nil {
			return err
		}
		v.Cards = append(v.Cards, c)
	}
	any, _, err := a.Recordings.List(r.Context(), orgOf(r), time.Time{}, time.Time{}, services.Moment{})
	if err != nil {
		return err
	}
	v.None = len(any) == 0
	return a.page(w, r, http.StatusOK, "Patterns", "exports", templates.PatternsPage(v))
}

// patternSpans are the ranges that one click chooses.
func (a *app) patternSpans(here string, conn services.ConnectionID, from, until string) []templates.TabView {
	today := a.now().UTC()
	var out []templates.TabView
	for _, days := range []int{1, 7, 30, 90} {
		f, u := today.AddDate(0, 0, 1-days).Format(time.DateOnly), today.Format(time.DateOnly)
		label := "Today"
		if days > 1 {
			label = fmt.Sprintf("%d days", days)
		}
		out = append(out, templates.TabView{Label: label, Count: -1, Active: f == from && u == until, Href: here + query(valuesOf("connection", idText(int64(conn)), "from", f, "until", u))})
	}
	return out
}

func (a *app) patternCard(r *http.Request, card patternCard, conns []services.ConnectionID, first, last time.Time) (templates.PatternCard, error) {
	c := templates.PatternCard{Title: card.title, Hint: card.hint, Empty: card.empty, Timed: card.order == services.BySlowest, Failing: card.order == services.ByFailures}
	list, err := a.Recordings.Patterns(r.Context(), orgOf(r), conns, card.kind, card.order, first, last, patternRows)
	if err != nil {
		return c, err
	}
	failed := ""
	if card.failed {
		failed = "1"
	}
	for _, p := range list {
		row := templates.PatternRow{
			Href: orgPath(r, "exports") + query(valuesOf("text", idText(int64(p.TextID)), "failed", failed, "from", first.Format(time.DateOnly), "until", last.Format(time.DateOnly))),
			Text: orText(p.Text, "(no text)"), Times: templates.FormatCount(p.Times), Bad: templates.FormatCount(p.Bad), Recordings: templates.FormatCount(p.Recordings),
		}
		if card.failed {
			row.Recordings = templates.FormatCount(p.BadRecordings)
			row.Share = templates.FormatPercent(float64(p.Bad) / float64(max(p.Times, 1)))
		}
		if p.P50 >= 0 {
			row.P50, row.P95 = templates.FormatMillis(p.P50), templates.FormatMillis(p.P95)
		}
		c.Rows = append(c.Rows, row)
	}
	if card.kind == services.TextCustom && len(list) > 0 {
		c.Chart, err = a.patternChart(r, conns, list[0], first, last)
	}
	return c, err
}

// patternChart shows a pattern by the day.
func (a *app) patternChart(r *http.Request, conns []services.ConnectionID, p services.Pattern, first, last time.Time) (*templates.ChartView, error) {
	days, err := a.Recordings.PatternDays(r.Context(), orgOf(r), conns, services.TextCustom, []services.EventTextID{p.TextID}, first, last)
	if err != nil {
		return nil, err
	}
	times := map[services.Day]int64{}
	for _, d := range days {
		times[d.Day] += d.Times
	}
	v := &templates.ChartView{Caption: "“" + p.Text + "” a day", Unit: "times", Step: "Day", Parts: []templates.ChartPart{{Label: "Times", Tone: "neutral"}}}
	for d := services.DayOf(first); d <= services.DayOf(last); d++ {
		v.Bars = append(v.Bars, templates.ChartBar{Label: d.Time().Format("Mon 2 Jan 2006"), Short: d.Time().Format("2 Jan"), Values: []int64{times[d]}})
	}
	return v, nil
}
