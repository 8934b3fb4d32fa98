package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

func (a *app) batchOf(r *http.Request) (services.Batch, error) {
	return a.Batches.Get(r.Context(), orgOf(r), services.BatchID(idParam(r, "id")))
}

// batch handles GET /highlights/batches/{id}. A page that waits asks for the
// status alone; when nothing moves any more the page loads itself anew.
func (a *app) batch(w http.ResponseWriter, r *http.Request) error {
	b, err := a.batchOf(r)
	if err != nil {
		return err
	}
	return a.batchPage(w, r, http.StatusOK, b, nil, url.Values{})
}

// batchEvents handles GET /highlights/batches/{id}/events.
func (a *app) batchEvents(w http.ResponseWriter, r *http.Request) error {
	return a.stream(w, r, func() (string, bool, error) {
		b, err := a.batchOf(r)
		return fmt.Sprint(b.State, b.Message, b.Counts), !b.Moving(), err
	})
}

func (a *app) batchPage(w http.ResponseWriter, r *http.Request, status int, b services.Batch, problems services.Problems, form url.Values) error {
	v, err := a.batchView(r, b, problems, form)
	if err != nil {
		return err
	}
	if wantsPart(r) {
		if !v.Moving {
			w.Header().Set("HX-Refresh", "true")
		}
		return a.render(w, r, status, templates.BatchStatus(v))
	}
	return a.page(w, r, status, "Batch of highlights", "highlights", templates.BatchPage(v))
}

func (a *app) batchView(r *http.Request, b services.Batch, problems services.Problems, form url.Values) (templates.BatchView, error) {
	names, err := a.connectionNames(r)
	if err != nil {
		return templates.BatchView{}, err
	}
	took, measured, err := a.Batches.Took(r.Context(), orgOf(r), b.Connection)
	if err != nil {
		return templates.BatchView{}, err
	}
	here := batchPath(r, b.ID)
	v := templates.BatchView{
		Now: a.now(), ID: fmt.Sprint(b.ID), URL: here, BackURL: orgPath(r, "highlights/batches"), Question: b.Question, Source: b.Source,
		Range: batchRange(b), Connection: names[b.Connection], Author: orText(b.AuthorName, "somebody who left"), State: string(b.State), Message: b.Message,
		Moving: b.State != services.BatchDraft && b.Moving(), Counts: batchCounts(b), CreatedAt: b.CreatedAt, StartedAt: b.StartedAt, FinishedAt: b.FinishedAt,
		Lined: b.Lined(), Ask: b.Counts.Waiting, Problem: orText(problems["form"], problems["column"]), Disabled: whyNotSupport(r),
		Progress: templates.ProgressView{Label: "Asking LogRocket", Done: int64(b.Done()), Total: int64(b.Total()), Unit: "customers"},
	}
	if left := b.Counts.Waiting + b.Counts.Open; left > 0 {
		v.Progress.Left = "about " + roughly(b.Pace.For(left, took)) + " left"
	}
	if b.State != services.BatchDraft {
		v.DigestURL = here + "/digest"
	} else if v.Disabled == "" {
		v.ChangeURL, v.ChangeLabel = orgPath(r, "highlights/batches/new?again=%d", b.ID), "Change list, question or range"
		if !b.Pasted() {
			v.ChangeLabel = "Change question or range, and choose the list again"
		}
	}
	batchButtons(b, &v)
	a.batchChoices(b, &v, problems, form, took, measured)
	if b.Format != nil && b.State == services.BatchDraft {
		v.File = batchFile(*b.Format, problems)
	}
	return v, a.batchItems(r, b, &v)
}

// batchButtons offers what can be done with a batch.
func batchButtons(b services.Batch, v *templates.BatchView) {
	if v.Disabled != "" {
		return
	}
	switch b.State {
	case services.BatchDraft:
		v.StartAction, v.DropAction, v.ReadAction = v.URL+"/start", v.URL+"/drop", v.URL+"/file"
		return
	case services.BatchRunning:
		v.PauseAction, v.CancelAction = v.URL+"/pause", v.URL+"/cancel"
		return
	case services.BatchPaused:
		v.CancelAction = v.URL + "/cancel"
		v.ResumeAction = v.URL + "/resume"
	}
	if v.Again = b.WithoutResult(); v.Again > 0 {
		v.AgainAction = v.URL + "/again"
	}
}

// batchChoices are the pace and how old an answer may be.
func (a *app) batchChoices(b services.Batch, v *templates.BatchView, problems services.Problems, form url.Values, took time.Duration, measured bool) {
	chosen := b.Pace
	if b.State == services.BatchDraft {
		chosen = services.NormalPace()
	}
	hint := "At most so many requests. LogRocket takes 1 to 3 minutes for each; 2 are reckoned with."
	if measured {
		hint = fmt.Sprintf("At most so many requests. Reckoned with %s for each, as LogRocket took lately.", templates.FormatDuration(took))
	}
	if b.State != services.BatchDraft {
		hint = ""
	}
	v.Pace = templates.FieldView{ID: "batch-pace", Name: "pace", Label: "Pace", Value: orText(form.Get("pace"), paceValue(chosen)), Required: true, Error: problems["pace"], Hint: hint,
		HideLabel: b.State != services.BatchDraft}
	for _, p := range services.BatchPaces() {
		label := fmt.Sprintf("Every %s, %d at a time", templates.FormatDuration(p.Every), p.InFlight)
		if b.Counts.Waiting > 0 {
			label += ": about " + roughly(p.For(b.Counts.Waiting, took))
		}
		v.Paces = append(v.Paces, templates.OptionView{Value: paceValue(p), Label: label})
	}
	v.Reuse = templates.FieldView{ID: "batch-reuse", Name: "reuse", Label: "Answers that are here already", Value: orText(form.Get("reuse"), fmt.Sprint(int64(services.BatchReuse.Seconds()))),
		Required: true, Error: problems["reuse"], Hint: "To the same question, about the same customer and range. Whoever has one is not asked about again."}
	for _, d := range services.BatchReuses() {
		label := "take those younger than " + templates.FormatDuration(d)
		if d == 0 {
			label = "ask about everybody anew"
		}
		v.Reuses = append(v.Reuses, templates.OptionView{Value: fmt.Sprint(int64(d.Seconds())), Label: upperFirst(label)})
	}
}

// roughly is a time to wait, without precision that nobody has.
func roughly(d time.Duration) string {
	if d >= 10*time.Minute {
		d = d.Round(time.Minute)
	} else if d >= time.Minute {
		d = d.Round(10 * time.Second)
	}
	return templates.FormatDuration(d.Round(time.Second))
}

func paceValue(p services.BatchPace) string {
	return fmt.Sprintf("%d/%d", int64(p.Every.Seconds()), p.InFlight)
}

// readPace is the reverse of paceValue; what is none is no pace that may be
// chosen.
func readPace(s string) services.BatchPace {
	every, most, _ := strings.Cut(s, "/")
	n, err1 := strconv.ParseUint(every, 10, 16)
	m, err2 := strconv.ParseUint(most, 10, 16)
	if err1 != nil || err2 != nil {
		return services.BatchPace{}
	}
	return services.BatchPace{Every: time.Duration(n) * time.Second, InFlight: int(m)}
}

func batchRange(b services.Batch) string {
	if b.Last > 0 && b.Start.IsZero() {
		return "the last " + templates.FormatDuration(b.Last) + " when asking begins"
	}
	return rangeText(b.Start, b.End)
}

func batchCounts(b services.Batch) []templates.DefView {
	var defs []templates.DefView
	n := b.Counts
	add := func(term string, n int, always bool) {
		if n > 0 || always {
			defs = append(defs, templates.DefView{Term: term, Text: templates.FormatCount(n)})
		}
	}
	draft := b.State == services.BatchDraft
	if !draft {
		add("With a result", n.Ready, true)
		add("Of these here already", n.Reused, false)
		add("On their way", n.Open, false)
	}
	add("To be asked about", n.Waiting, draft || b.State == services.BatchRunning || b.State == services.BatchPaused)
	if draft {
		add("Of these not known here", n.Strangers, true)
	}
	add("Failed", n.Failed, false)
	add("Took too long", n.Expired, false)
	add("Perhaps asked", n.Unknown, false)
	add("Stopped by somebody", n.Cancelled, false)
	add("Not asked: cancelled before", n.Dropped, false)
	add("In the list twice", n.Doubles, draft)
	add("Left out", n.Faults, draft)
	return defs
}

func batchFile(f services.BatchFormat, problems services.Problems) *templates.BatchFileView {
	v := &templates.BatchFileView{
		Facts: formatFacts(f.BulkFormat), Notice: formatNotice(f.BulkFormat),
		Column:    templates.FieldView{ID: "batch-column", Name: "column", Label: "Column with the emails", Value: fmt.Sprint(f.Column), Required: true, Error: problems["column"]},
		Encoding:  templates.FieldView{ID: "batch-encoding", Name: "encoding", Label: "Encoding", Value: f.Encoding, Required: true},
		Separator: templates.FieldView{ID: "batch-separator", Name: "separator", Label: "Separator", Value: separatorValue(f.Separator), Required: true},
		Encodings: encodingOptions(), Separators: separatorOptions(),
		Header: templates.FieldView{ID: "batch-header", Name: "header", Label: "The first line names the columns"}, HasHeader: f.Header,
	}
	if f.Unclear {
		v.Notice = strings.TrimSpace("No column looks like one of emails. Choose it below. " + v.Notice)
	}
	for i := range f.Columns {
		label := fmt.Sprintf("Column %d", i+1)
		if f.Header && i < len(f.Sample[0]) && strings.TrimSpace(f.Sample[0][i]) != "" {
			label = strings.TrimSpace(f.Sample[0][i])
		}
		if row := len(f.Sample) - 1; row > 0 && i < len(f.Sample[row]) && f.Sample[row][i] != "" {
			label += ", such as “" + f.Sample[row][i] + "”"
		}
		v.Columns = append(v.Columns, templates.OptionView{Value: fmt.Sprint(i), Label: label})
	}
	return v
}

// batchTab is a kind of entries that a page can be narrowed to.
type batchTab struct {
	key, label string
	states     []string
	n          int
}

func batchTabs(b services.Batch) []batchTab {
	n := b.Counts
	if b.State == services.BatchDraft {
		return []batchTab{
			{"", "All entries", nil, n.Waiting + n.Doubles + n.Faults},
			{"ask", "To be asked about", []string{"waiting", "stranger"}, n.Waiting},
			{"strangers", "Not known here", []string{"stranger"}, n.Strangers},
			{"twice", "Twice", []string{"double"}, n.Doubles},
			{"out", "Left out", []string{"fault"}, n.Faults},
		}
	}
	return []batchTab{
		{"", "All entries", nil, b.Total() + n.Doubles + n.Faults},
		{"ready", "With a result", []string{"ready"}, n.Ready},
		{"open", "On their way", []string{"queued", "sending", "pending"}, n.Open},
		{"ask", "To be asked about", []string{"waiting", "stranger"}, n.Waiting},
		{"without", "Without a result", []string{"failed", "unknown", "expired", "cancelled"}, b.WithoutResult()},
		{"out", "Not asked", []string{"fault", "double", "dropped"}, n.Faults + n.Doubles + n.Dropped},
	}
}

// batchItems adds a page of entries.
func (a *app) batchItems(r *http.Request, b services.Batch, v *templates.BatchView) error {
	chosen, after := batchTab{}, int(idOf(r.URL.Query().Get("after")))
	tabs := batchTabs(b)
	for _, t := range tabs {
		if t.key == r.URL.Query().Get("entries") {
			chosen = t
		}
	}
	for _, t := range tabs {
		if t.n > 0 || t.key == chosen.key {
			v.Tabs = append(v.Tabs, templates.TabView{Label: t.label, Href: v.URL + query(valuesOf("entries", t.key)), Count: t.n, Active: t.key == chosen.key})
		}
	}
	here := valuesOf("entries", chosen.key)
	if after > 0 {
		v.FirstURL = v.URL + query(here)
		here.Set("after", fmt.Sprint(after))
	}
	v.SelfURL = v.URL + query(here)
	items, err := a.Batches.Items(r.Context(), orgOf(r), b.ID, chosen.states, after, pageRows+1)
	if err != nil {
		return err
	}
	if len(items) > pageRows {
		items = items[:pageRows]
		here.Set("after", fmt.Sprint(items[pageRows-1].Position))
		v.NextURL = v.URL + query(here)
	}
	for _, it := range items {
		v.Items = append(v.Items, batchItemView(r, it))
	}
	return nil
}

func batchItemView(r *http.Request, it services.BatchItem) templates.BatchItemView {
	v := templates.BatchItemView{Who: orText(it.Name, orText(it.Subject, orText(it.Typed, "(blank)"))), State: it.State, Message: it.Message, Reused: it.Reused}
	if it.Line > 0 {
		v.Line = fmt.Sprint(it.Line)
	}
	if given := orText(it.Subject, it.Typed); given != v.Who {
		v.Given = given
	}
	if it.Customer != 0 {
		v.CustomerURL = orgPath(r, "customers/%d", it.Customer)
	}
	if it.Highlight != 0 {
		v.HighlightURL = highlightPath(r, it.Highlight)
	}
	return v
}

// rereadBatch handles POST /highlights/batches/{id}/file: the file of a draft
// read another way.
func (a *app) rereadBatch(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	f := r.PostForm
	column, err := strconv.Atoi(f.Get("column"))
	if err != nil {
		column = -1 // then it is guessed
	}
	b, problems, err := a.Batches.Reread(r.Context(), actorOf(r), services.BatchID(idParam(r, "id")), f.Get("encoding"), separatorOf(f.Get("separator")), f.Get("header") != "", column)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.batchPage(w, r, http.StatusUnprocessableEntity, b, problems, url.Values{})
	}
	return a.redirect(w, r, batchPath(r, b.ID), "", "")
}

// startBatch handles POST /highlights/batches/{id}/start.
func (a *app) startBatch(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	f := r.PostForm
	count, _ := strconv.Atoi(f.Get("count")) // 0 is shown to nobody who may begin
	reuse, err := strconv.ParseUint(f.Get("reuse"), 10, 32)
	if err != nil {
		reuse = 1 // none that may be chosen
	}
	b, problems, err := a.Batches.Start(r.Context(), actorOf(r), services.BatchID(idParam(r, "id")), readPace(f.Get("pace")), time.Duration(reuse)*time.Second, count)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.batchPage(w, r, http.StatusUnprocessableEntity, b, problems, f)
	}
	return a.redirect(w, r, batchPath(r, b.ID), "", "")
}

// dropBatch handles POST /highlights/batches/{id}/drop.
func (a *app) dropBatch(w http.ResponseWriter, r *http.Request) error {
	if err := a.Batches.Drop(r.Context(), actorOf(r), services.BatchID(idParam(r, "id"))); err != nil {
		return err
	}
	return a.redirect(w, r, orgPath(r, "highlights/batches"), "info", "Dropped. Nothing was sent.")
}

// resumeBatch handles POST /highlights/batches/{id}/resume.
func (a *app) resumeBatch(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	pace := readPace(r.PostForm.Get("pace"))
	return a.turnBatch(func(s *services.Batches, ctx context.Context, actor services.Actor, id services.BatchID) (services.Batch, error) {
		return s.Resume(ctx, actor, id, pace)
	})(w, r)
}

// turnBatch handles the other buttons of a batch.
func (a *app) turnBatch(turn func(*services.Batches, context.Context, services.Actor, services.BatchID) (services.Batch, error)) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		b, err := turn(a.Batches, r.Context(), actorOf(r), services.BatchID(idParam(r, "id")))
		if err != nil {
			return err
		}
		return a.redirect(w, r, batchPath(r, b.ID), "", "")
	}
}
