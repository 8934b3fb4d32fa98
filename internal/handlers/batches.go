package handlers

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// batchRows is how many batches a page of their list has: each is counted.
const batchRows = 20

func batchPath(r *http.Request, id services.BatchID) string {
	return orgPath(r, "highlights/batches/%d", id)
}

// batches handles GET /highlights/batches.
func (a *app) batches(w http.ResponseWriter, r *http.Request) error {
	before := services.BatchID(idOf(r.URL.Query().Get("before")))
	rows, err := a.Batches.List(r.Context(), orgOf(r), before, batchRows+1)
	if err != nil {
		return err
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	here := orgPath(r, "highlights/batches")
	v := templates.BatchesView{
		Now: a.now(), BackURL: orgPath(r, "highlights"), NewURL: here + "/new", Disabled: whyNotSupport(r),
		Pager: templates.PagerView{Shown: templates.Plural(min(len(rows), batchRows), "batch", "batches")},
	}
	if before != 0 {
		v.Pager.Newer = here
	}
	if len(rows) > batchRows {
		rows = rows[:batchRows]
		v.Pager.Older = here + query(valuesOf("before", fmt.Sprint(rows[batchRows-1].ID)))
	}
	for _, b := range rows {
		v.Items = append(v.Items, templates.BatchLineView{
			Href: batchPath(r, b.ID), Question: b.Question, Source: upperFirst(b.Source), Connection: names[b.Connection], Author: b.AuthorName, State: string(b.State),
			Sum: batchSum(b), CreatedAt: b.CreatedAt,
		})
	}
	return a.page(w, r, http.StatusOK, "Batches of highlights", "highlights", templates.Batches(v))
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// batchSum is what came of a batch, in a few words.
func batchSum(b services.Batch) string {
	if b.State == services.BatchDraft {
		return templates.Plural(b.Counts.Waiting, "customer", "customers")
	}
	return fmt.Sprintf("%s of %s", templates.FormatCount(b.Counts.Ready), templates.FormatCount(b.Total()))
}

// batchForm is the form of a new batch as it was filled in.
type batchForm struct {
	highlightForm // question, range, connection and token
	text          string
	view          services.ViewID
	replaces      services.BatchID
}

// newBatch handles GET /highlights/batches/new: empty, with a saved view by
// ?view=, or with an older batch by ?again=.
func (a *app) newBatch(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f := batchForm{highlightForm: highlightForm{connection: idOf(q.Get("connection")), token: services.NewFormToken()}, view: services.ViewID(idOf(q.Get("view")))}
	if err := a.ourConnection(r, services.ConnectionID(f.connection), nil); err != nil {
		return err
	}
	if f.view != 0 {
		if _, err := a.Views.Get(r.Context(), actorOf(r), f.view); err != nil {
			return err
		}
	}
	if id := idOf(q.Get("again")); id != 0 {
		if err := a.againBatch(r, services.BatchID(id), &f); err != nil {
			return err
		}
	}
	return a.batchForm(w, r, http.StatusOK, f)
}

// againBatch fills the form in as it was for another batch, with the list if it
// was pasted.
func (a *app) againBatch(r *http.Request, id services.BatchID, f *batchForm) error {
	b, err := a.Batches.Get(r.Context(), orgOf(r), id)
	if err != nil {
		return err
	}
	f.question, f.connection = b.Question, int64(b.Connection)
	if b.State == services.BatchDraft {
		f.replaces = b.ID
	}
	for key, d := range presets() {
		if d == b.Last {
			f.within = key
		}
	}
	if b.Last == 0 && !b.Start.IsZero() {
		f.within, f.from, f.to = rangeCustom, b.Start.UTC().Format(dateTimeField), b.End.UTC().Format(dateTimeField)
	}
	if !b.Pasted() {
		return nil
	}
	var list strings.Builder
	for after := 0; ; {
		items, err := a.Batches.Items(r.Context(), orgOf(r), id, nil, after, 500)
		if err != nil {
			return err
		}
		for _, it := range items {
			if after = it.Position; it.Line > 0 {
				fmt.Fprintln(&list, it.Typed)
			}
		}
		if len(items) < 500 {
			f.text = list.String()
			return nil
		}
	}
}

func (a *app) batchForm(w http.ResponseWriter, r *http.Request, status int, f batchForm) error {
	conns, err := a.rocketConnections(r)
	if err != nil {
		return err
	}
	views, err := a.Views.List(r.Context(), actorOf(r))
	if err != nil {
		return err
	}
	form := f.fieldsAsForOne(r, conns)
	form.Text = templates.FieldView{
		ID: "text", Name: "text", Label: "Emails", Value: f.text, Error: f.problems["text"], Autofocus: f.text == "" && f.view == 0,
		Hint: fmt.Sprintf("Paste them as they come: one a line, with commas, or with names and angle brackets. At most %s customers.", templates.FormatCount(services.MaxBatch)),
	}
	form.View = templates.FieldView{ID: "view", Name: "view", Label: "Or those behind a saved view", Error: f.problems["view"], Required: true,
		Hint: "The customers of the sessions that it shows now."}
	if f.view != 0 {
		form.View.Value = fmt.Sprint(f.view)
	}
	form.Views = []templates.OptionView{{Label: "No view"}}
	for _, view := range views {
		form.Views = append(form.Views, templates.OptionView{Value: fmt.Sprint(view.ID), Label: view.Name})
	}
	form.File = templates.FieldView{ID: "file", Name: "file", Label: "Or a CSV file", Type: "file", Error: f.problems["file"],
		Hint: fmt.Sprintf("At most %d MB, with a column of emails.", services.MaxBatchFile>>20)}
	return a.page(w, r, status, "Ask about many customers", "highlights", templates.BatchForm(form))
}

// fieldsAsForOne is the part of the form that is as for one customer.
func (f batchForm) fieldsAsForOne(r *http.Request, conns []services.Connection) templates.BatchFormView {
	v := templates.BatchFormView{
		Action: orgPath(r, "highlights/batches"), BackURL: orgPath(r, "highlights/batches"),
		NoConnection: len(conns) == 0, SettingsURL: orgPath(r, "settings/connections"),
		Hidden:   []templates.HiddenView{{Name: "token", Value: f.token}, {Name: "replaces", Value: fmt.Sprint(f.replaces)}},
		Question: questionField(f.question, f.problems),
		Range:    templates.FieldView{ID: "range", Name: "range", Label: "Range", Value: f.within, Required: true, Error: f.problems["range"]},
		Ranges:   rangeOptions(),
		From:     rangeField("from", "From", f.from, f.problems), To: rangeField("to", "To", f.to, f.problems),
	}
	switch {
	case len(conns) == 1:
		v.Hidden = append(v.Hidden, templates.HiddenView{Name: "connection", Value: fmt.Sprint(conns[0].ID)})
	case len(conns) > 1:
		v.Connection, v.Connections = connectionChoice(conns, f.connection)
	}
	return v
}

// draftBatch handles POST /highlights/batches: the list is read and kept, and
// nothing is asked.
func (a *app) draftBatch(w http.ResponseWriter, r *http.Request) error {
	p, name, file, err := readUpload(w, r, services.MaxBatchText, services.MaxBatchFile)
	if err != nil {
		return err
	}
	f := batchForm{
		highlightForm: highlightForm{
			connection: idOf(p.Get("connection")), question: p.Get("question"), within: p.Get("range"),
			from: strings.TrimSpace(p.Get("from")), to: strings.TrimSpace(p.Get("to")), token: orText(p.Get("token"), services.NewFormToken()), problems: services.Problems{},
		},
		text: p.Get("text"), view: services.ViewID(idOf(p.Get("view"))), replaces: services.BatchID(idOf(p.Get("replaces"))),
	}
	req, _ := f.request()
	form := services.BatchForm{
		Connection: req.Connection, Question: req.Question, Start: req.Start, End: req.End, Last: req.Last, Text: f.text, FileName: name, File: file,
		Replaces: f.replaces, FormToken: f.token,
	}
	if len(file) > services.MaxBatchFile {
		f.problems["file"] = fmt.Sprintf("The file has more than %d MB. Cut it into several, or take columns out.", services.MaxBatchFile>>20)
	}
	if f.view != 0 {
		if form.View, err = a.batchOfView(r, &f); err != nil {
			return err
		}
	}
	if len(f.problems) > 0 {
		return a.batchForm(w, r, http.StatusUnprocessableEntity, f)
	}
	b, problems, err := a.Batches.Draft(r.Context(), actorOf(r), form)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		f.problems = problems
		if file != nil { // a browser does not give it again
			f.problems["file"] = orText(f.problems["file"], "Choose the file again.")
		}
		return a.batchForm(w, r, http.StatusUnprocessableEntity, f)
	}
	return a.redirect(w, r, batchPath(r, b.ID), "", "")
}

// batchOfView reads the filter of a saved view.
func (a *app) batchOfView(r *http.Request, f *batchForm) (*services.BatchOfView, error) {
	view, err := a.Views.Get(r.Context(), actorOf(r), f.view)
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(view.Query)
	if err != nil {
		values = url.Values{}
	}
	filter, _, err := a.sessionForm(r, values)
	if err != nil {
		return nil, err
	}
	if msg := filter.problems.First(); msg != "" {
		f.problems["view"] = "The filter of this view does not hold any more: " + msg
	}
	return &services.BatchOfView{Name: view.Name, Query: filter.query}, nil
}

// readUpload reads a form of fields and one file, all in memory: of each field
// at most maxField bytes, of the file at most maxFile, and of either one more,
// so that too much can be told. Without a file it is nil.
func readUpload(w http.ResponseWriter, r *http.Request, maxField, maxFile int64) (fields url.Values, name string, file []byte, err error) {
	body, whole := r.Body.(formBody)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "multipart/form-data" || !whole {
		err := r.ParseForm()
		if err != nil {
			err = badForm(err)
		}
		return r.PostForm, "", nil, err
	}
	r.Body = http.MaxBytesReader(w, &patientBody{ReadCloser: body.whole, rc: http.NewResponseController(w), until: time.Now().Add(uploadLasts)}, maxFile+maxForm)
	form, err := r.MultipartReader()
	if err != nil {
		return nil, "", nil, badForm(err)
	}
	fields = url.Values{}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			if len(fields) == 0 {
				return nil, "", nil, badForm(errors.New("a form without fields"))
			}
			return fields, name, file, nil
		}
		if err != nil {
			return nil, "", nil, badPart(err)
		}
		most := maxField
		if part.FormName() == "file" {
			most = maxFile
		}
		data, err := io.ReadAll(io.LimitReader(part, most+1))
		switch {
		case err != nil:
			return nil, "", nil, badUpload(err)
		case part.FormName() != "file":
			fields.Add(part.FormName(), string(data))
		case part.FileName() != "":
			name, file = part.FileName(), append([]byte{}, data...)
		}
	}
}
