package handlers

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"sightline/internal/services"
	"sightline/web/templates"
)

const (
	// shownRows is how many rows of an answer a page shows; the file has more.
	shownRows = 200
	// shownText is how much of an answer's text a page shows, in bytes.
	shownText = 200 << 10
	// shownCell is how much of a cell a page shows, in characters.
	shownCell = 200
)

// graphQLRun handles GET /graphql/runs/{id}. ?show= is table, json or raw, ?list=
// the list that is the table, ?y= the column that is charted.
func (a *app) graphQLRun(w http.ResponseWriter, r *http.Request) error {
	run, err := a.GraphQL.Get(r.Context(), orgOf(r), services.GraphQLRunID(idParam(r, "id")))
	if err != nil {
		return err
	}
	v := a.runView(r, run)
	if wantsPart(r) {
		return a.runStatus(w, r, v)
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	v.Facts = runFacts(run, names[run.Connection])
	if !v.Open {
		if err := a.addAnswer(r, &v, run, answerPlace{path: v.URL}); err != nil {
			return err
		}
	}
	return a.page(w, r, http.StatusOK, v.Name, "graphql", templates.GraphQLRun(v))
}

// runStatus answers whoever waits for a run on a page.
func (a *app) runStatus(w http.ResponseWriter, r *http.Request, v templates.GraphQLRunView) error {
	if !v.Open {
		w.Header().Set("HX-Refresh", "true")
	}
	return a.render(w, r, http.StatusOK, templates.GraphQLStatus(v))
}

// runView is a run without its answer.
func (a *app) runView(r *http.Request, run services.GraphQLRun) templates.GraphQLRunView {
	v := templates.GraphQLRunView{
		Now: a.now(), ID: fmt.Sprint(run.ID), Name: runName(run), URL: runPath(r, run.ID), BackURL: orgPath(r, "graphql"), EditURL: orgPath(r, "graphql?run=%d", run.ID),
		State: string(run.State), Message: run.Message, Open: run.State.Open(), Query: run.Query, Variables: emptyObject(run.Variables),
	}
	if run.Schedule != 0 {
		v.BackURL = schedulePath(r, run.Schedule)
	}
	v.HereURL = v.URL
	if v.Open && run.MayStop(actorOf(r)) {
		v.StopURL = v.URL + "/stop"
	}
	return v
}

// answerPlace is the page that shows an answer: its path, and what stands behind
// the question mark whichever way the answer is shown.
type answerPlace struct {
	path string
	keep []templates.HiddenView
}

// href is its address with further pairs of names and values.
func (p answerPlace) href(pairs ...string) string {
	q := url.Values{}
	for _, k := range p.keep {
		q.Set(k.Name, k.Value)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return p.path + "?" + q.Encode()
}

func runFacts(run services.GraphQLRun, connection string) []templates.DefView {
	defs := []templates.DefView{
		{Term: "Operation", Text: orText(run.Operation, "without a name") + " (" + string(run.Kind) + ")"}, {Term: "Connection", Text: connection},
		{Term: "Asked by", Text: orText(run.AuthorName, "somebody who left")}, {Term: "Asked", Content: templates.Time(run.CreatedAt)},
	}
	if took := runTook(run); took >= 0 {
		defs = append(defs, templates.DefView{Term: "Took", Content: templates.Duration(took)})
	}
	if run.Status != 0 {
		defs = append(defs, templates.DefView{Term: "Server's status", Text: fmt.Sprint(run.Status)}, templates.DefView{Term: "Size of the answer", Text: bytesText(run.Size)})
	}
	return defs
}

func bytesText(n int) string {
	switch {
	case n < 1000:
		return templates.Plural(n, "byte", "bytes")
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// addAnswer shows the answer in the way that the address asks for.
func (a *app) addAnswer(r *http.Request, v *templates.GraphQLRunView, run services.GraphQLRun, here answerPlace) error {
	answer, ok, err := a.GraphQL.Answer(r.Context(), orgOf(r), run)
	if err != nil {
		return err
	}
	if !ok {
		v.NoAnswer = "The server's answer is not here. It may never have come, or the run is so old that only its query is kept."
		return nil
	}
	v.Cut, v.JSONURL = answer.Cut, v.URL+"/answer.json"
	q := r.URL.Query()
	v.Show = q.Get("show")
	if !answer.Readable {
		v.Show = "raw"
	}
	for i, e := range answer.Errors {
		v.Errors = append(v.Errors, answerError(i+1, e.Message, e.Code, e.Extensions, e.Path, func() (places []string) {
			for _, p := range e.Places {
				places = append(places, fmt.Sprintf("line %d, column %d", p.Line, p.Column))
			}
			return places
		}()))
	}
	v.MoreErrors = answer.More
	for _, tab := range []struct{ show, label string }{{"table", "Table"}, {"json", "JSON"}, {"raw", "As it came"}} {
		active := v.Show == tab.show || v.Show == "" && tab.show == "table"
		v.Tabs = append(v.Tabs, templates.TabView{Label: tab.label, Href: here.href("show", tab.show), Active: active, Count: -1})
	}
	switch v.Show {
	case "json":
		return addTree(v, answer, q, here)
	case "raw":
		v.Text, v.TextCut = beginningOf(string(answer.Raw))
	default:
		path := q.Get("list")
		t := answer.Rows(path)
		list := "?list=" + url.QueryEscape(pathOrDot(t.List.Path))
		v.CSVURL, v.RowsURL = v.URL+"/table.csv"+list, v.URL+"/table.json"+list
		people, err := a.GraphQL.People(r.Context(), orgOf(r), t, shownRows)
		if err != nil {
			return err
		}
		v.Table = tableView(here, t)
		for y, row := range v.Table.Rows {
			for x := range row {
				if id := people[t.Rows[y][x].Text]; id != 0 && row[x].Href == "" {
					row[x].Href = orgPath(r, "customers/%d", id)
				}
			}
		}
		if c, ok := t.Chart(q.Get("x"), q.Get("y")); ok {
			v.Chart = answerChart(c, here, pathOrDot(t.List.Path))
		}
	}
	return nil
}

func answerError(n int, message, code, extensions string, path, places []string) templates.AnswerErrorView {
	return templates.AnswerErrorView{Number: n, Message: message, Code: code, Extensions: extensions, Path: strings.Join(path, " › "), Places: strings.Join(places, "; ")}
}

// beginningOf is as much of a text as a page shows.
func beginningOf(s string) (text string, cut bool) {
	if len(s) <= shownText {
		return strings.ToValidUTF8(s, "\uFFFD"), false
	}
	return strings.ToValidUTF8(s[:shownText], ""), true
}

// pathOrDot names a list in an address; the whole answer is a dot.
func pathOrDot(path string) string {
	if path == "" {
		return "."
	}
	return path
}

func tableView(here answerPlace, t services.GraphQLTable) *templates.AnswerTableView {
	v := &templates.AnswerTableView{
		List:   templates.FieldView{ID: "list", Name: "list", Label: "Rows are", Value: pathOrDot(t.List.Path)},
		Filter: templates.FilterView{Action: here.path, Submit: "Show", Name: "Rows"}, Hidden: append(slices.Clone(here.keep), templates.HiddenView{Name: "show", Value: "table"}),
	}
	for _, l := range t.Lists {
		label := l.Label
		if l.Path != "" {
			label += " (" + templates.Plural(l.Rows, "row", "rows") + ")"
		}
		v.Lists = append(v.Lists, templates.OptionView{Value: pathOrDot(l.Path), Label: label})
	}
	numbers := make([]bool, len(t.Columns))
	for i := range t.Columns {
		for _, row := range t.Rows[:min(len(t.Rows), shownRows)] {
			if row[i].Kind == services.CellNumber {
				numbers[i] = true
			}
		}
		v.Columns = append(v.Columns, templates.ColumnView{Label: t.Columns[i].Label, Num: numbers[i]})
	}
	for _, row := range t.Rows[:min(len(t.Rows), shownRows)] {
		cells := make([]templates.AnswerCellView, len(row))
		for i, c := range row {
			cells[i] = cellView(here, c, t.Columns[i].List)
			cells[i].Num = numbers[i]
		}
		v.Rows = append(v.Rows, cells)
	}
	v.Note = tableNote(t, len(v.Rows))
	return v
}

func tableNote(t services.GraphQLTable, shown int) string {
	var notes []string
	if t.Total > shown {
		note := fmt.Sprintf("The first %d of %d rows are shown.", shown, t.Total)
		if len(t.Rows) > shown {
			note += fmt.Sprintf(" The CSV has the first %d.", len(t.Rows))
		}
		notes = append(notes, note)
	}
	if t.Dropped > 0 {
		notes = append(notes, fmt.Sprintf("%s left out; the JSON has them.", templates.Plural(t.Dropped, "column is", "columns are")))
	}
	return strings.Join(notes, " ")
}

func cellView(here answerPlace, c services.GraphQLCell, list string) templates.AnswerCellView {
	v := templates.AnswerCellView{Text: c.Text, Error: c.Error}
	switch {
	case c.Kind == services.CellAbsent:
		v.Text, v.Tone = "–", "absent"
	case c.Kind == services.CellNull:
		v.Text, v.Tone = "null", "null"
	case c.Kind == services.CellList && list != "":
		v.Text = templates.Plural(c.Count, "entry", "entries")
		if c.Count > 0 {
			v.Href = here.href("show", "table", "list", list)
		}
	}
	if utf8.RuneCountInString(v.Text) > shownCell {
		v.Text = string([]rune(v.Text)[:shownCell]) + "…"
	}
	return v
}

// stopGraphQL handles POST /graphql/runs/{id}/stop; back names the page to come
// back to.
func (a *app) stopGraphQL(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	id := services.GraphQLRunID(idParam(r, "id"))
	if err := a.GraphQL.Stop(r.Context(), actorOf(r), id); err != nil {
		return err
	}
	return a.redirect(w, r, backTo(r, r.PostForm.Get("back"), runPath(r, id)), "", "")
}

// runAnswer finds the answer of the run that the path names.
func (a *app) runAnswer(r *http.Request) (services.GraphQLRun, services.RunAnswer, error) {
	run, err := a.GraphQL.Get(r.Context(), orgOf(r), services.GraphQLRunID(idParam(r, "id")))
	if err != nil {
		return run, services.RunAnswer{}, err
	}
	answer, ok, err := a.GraphQL.Answer(r.Context(), orgOf(r), run)
	if err == nil && !ok {
		err = &services.Error{Kind: services.NotFound, Msg: "The answer of this run is not here."}
	}
	return run, answer, err
}

// graphQLCSV handles GET /graphql/runs/{id}/table.csv.
func (a *app) graphQLCSV(w http.ResponseWriter, r *http.Request) error {
	run, answer, err := a.runAnswer(r)
	if err != nil {
		return err
	}
	a.sendFile(w, r, fmt.Sprintf("graphql-%d.csv", run.ID), csvType, func(to io.Writer) error {
		return services.WriteGraphQLCSV(to, answer.Rows(r.URL.Query().Get("list")))
	})
	return nil
}

// graphQLRows handles GET /graphql/runs/{id}/table.json.
func (a *app) graphQLRows(w http.ResponseWriter, r *http.Request) error {
	run, answer, err := a.runAnswer(r)
	if err != nil {
		return err
	}
	a.sendFile(w, r, fmt.Sprintf("graphql-%d-rows.json", run.ID), jsonType, func(to io.Writer) error {
		return services.WriteGraphQLRows(to, answer.Rows(r.URL.Query().Get("list")))
	})
	return nil
}

// graphQLJSON handles GET /graphql/runs/{id}/answer.json: the answer as it came.
// What is no JSON, or the beginning of some, is a text.
func (a *app) graphQLJSON(w http.ResponseWriter, r *http.Request) error {
	run, answer, err := a.runAnswer(r)
	if err != nil {
		return err
	}
	name, kind := fmt.Sprintf("graphql-%d.json", run.ID), jsonType
	if !answer.Readable || answer.Cut {
		name, kind = fmt.Sprintf("graphql-%d.txt", run.ID), "text/plain; charset=utf-8"
	}
	a.sendFile(w, r, name, kind, func(to io.Writer) error {
		_, err := to.Write(answer.Raw)
		return err
	})
	return nil
}
