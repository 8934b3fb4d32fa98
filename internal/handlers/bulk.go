package handlers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

const (
	// uploadPatience is how long the sender of a file may take for each part of it,
	// and uploadLasts for the whole.
	uploadPatience = time.Minute
	uploadLasts    = 20 * time.Minute
	// maxPartField bounds what stands before the file in an upload.
	maxPartField = 4096
)

func bulkPath(r *http.Request, id services.BulkID) string { return orgPath(r, "traits/bulk/%d", id) }

// bulks handles GET /traits/bulk: the bulk edits, and the form for a file.
func (a *app) bulks(w http.ResponseWriter, r *http.Request) error {
	return a.bulksPage(w, r, http.StatusOK, "", "")
}

func (a *app) bulksPage(w http.ResponseWriter, r *http.Request, status int, conn, problem string) error {
	before := services.BulkID(idOf(r.URL.Query().Get("before")))
	rows, err := a.Bulks.List(r.Context(), orgOf(r), before, pageRows+1)
	if err != nil {
		return err
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	conns, err := a.rocketConnections(r)
	if err != nil {
		return err
	}
	here := orgPath(r, "traits/bulk")
	v := templates.BulksView{
		Now: a.now(), BackURL: orgPath(r, "customers"), Action: here, Token: services.NewFormToken(), Disabled: whyNotSupport(r),
		Connection: templates.FieldView{ID: "bulk-connection", Name: "connection", Label: "Connection", Value: conn, Required: true},
		File: templates.FieldView{ID: "bulk-file", Name: "file", Label: "CSV file", Type: "file", Required: true, Error: problem,
			Hint: fmt.Sprintf("At most %d MB and %s lines. One line for each user, with a column for the user id or for an email that leads to one.", services.MaxBulkFile>>20, templates.FormatCount(services.MaxBulkLines))},
		Pager: templates.PagerView{Shown: templates.Plural(min(len(rows), pageRows), "bulk edit", "bulk edits")},
	}
	for _, c := range conns {
		v.Connections = append(v.Connections, templates.OptionView{Value: fmt.Sprint(c.ID), Label: c.Name})
	}
	if len(conns) == 1 {
		v.Connection.Value = fmt.Sprint(conns[0].ID)
	}
	if len(conns) == 0 && v.Disabled == "" {
		v.Disabled = "There is no LogRocket connection in use, so traits cannot be edited. Somebody with the admin role can add one under Settings."
	}
	if before != 0 {
		v.Pager.Newer = here
	}
	if len(rows) > pageRows {
		rows = rows[:pageRows]
		v.Pager.Older = here + query(valuesOf("before", fmt.Sprint(rows[pageRows-1].ID)))
	}
	for _, b := range rows {
		v.Bulks = append(v.Bulks, templates.BulkItem{
			Href: bulkPath(r, b.ID), Title: bulkTitle(b), Connection: names[b.Connection], Author: b.AuthorName, State: string(b.State),
			Sum: bulkSum(b), CreatedAt: b.CreatedAt,
		})
	}
	return a.page(w, r, status, "Bulk edit of traits", "customers", templates.BulksPage(v))
}

func bulkTitle(b services.Bulk) string {
	if b.UndoOf != 0 {
		return fmt.Sprintf("Undo of bulk edit %d", b.UndoOf)
	}
	return orText(b.FileName, "a file without a name")
}

// bulkSum is what came of a bulk edit, in a few words.
func bulkSum(b services.Bulk) string {
	switch {
	case b.State == services.BulkUploading || b.State == services.BulkUploaded:
		return templates.FormatBytes(b.Bytes)
	case b.StartedAt.IsZero():
		return templates.Plural(b.Lines(), "line", "lines")
	}
	s := fmt.Sprintf("%s of %s sent", templates.FormatCount(b.Sent), templates.FormatCount(b.ToSend()))
	if n := b.Failed + b.Unknown; n > 0 {
		s += fmt.Sprintf(", %s not", templates.FormatCount(n))
	}
	return s
}

// uploadBulk handles POST /traits/bulk: a form whose file is stored as it
// comes in.
func (a *app) uploadBulk(w http.ResponseWriter, r *http.Request) error {
	fields, part, err := uploadOf(w, r, services.MaxBulkFile, uploadLasts)
	if err != nil {
		return err
	}
	if part == nil {
		return a.bulksPage(w, r, http.StatusUnprocessableEntity, fields["connection"], "Choose a file.")
	}
	return a.storeBulk(w, r, fields, part)
}

// uploadOf reads a form up to its file, which is to be read next and has at
// most limit bytes. It is nil if the form has none. The sender may take lasts for
// all of it.
func uploadOf(w http.ResponseWriter, r *http.Request, limit int64, lasts time.Duration) (fields map[string]string, file *multipart.Part, err error) {
	body, ok := r.Body.(formBody)
	if !ok {
		return nil, nil, badForm(errors.New("the body is not as it came"))
	}
	r.Body = http.MaxBytesReader(w, &patientBody{ReadCloser: body.whole, rc: http.NewResponseController(w), until: time.Now().Add(lasts)}, limit+maxForm)
	form, err := r.MultipartReader()
	if err != nil {
		return nil, nil, badForm(err)
	}
	fields = map[string]string{}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return fields, nil, nil
		}
		if err != nil {
			return nil, nil, badPart(err)
		}
		if part.FormName() == "file" {
			if part.FileName() == "" {
				part = nil
			}
			return fields, part, nil
		}
		text, err := io.ReadAll(io.LimitReader(part, maxPartField))
		if err != nil {
			return nil, nil, badUpload(err)
		}
		fields[part.FormName()] = string(text)
	}
}

// storeBulk takes the file in that the fields stand before.
func (a *app) storeBulk(w http.ResponseWriter, r *http.Request, fields map[string]string, part *multipart.Part) error {
	b, err := a.Bulks.Upload(r.Context(), actorOf(r), services.ConnectionID(idOf(fields["connection"])), orText(fields["token"], services.NewFormToken()), part.FileName(), part)
	var own *services.Error
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return a.bulksPage(w, r, http.StatusRequestEntityTooLarge, fields["connection"], fmt.Sprintf("The file has more than %d MB. Cut it into several. Nothing was stored.", services.MaxBulkFile>>20))
	case errors.As(err, &own) && own.Kind == services.Invalid:
		return a.bulksPage(w, r, http.StatusUnprocessableEntity, fields["connection"], own.Msg)
	case err != nil:
		return badUpload(err)
	}
	return a.redirect(w, r, bulkPath(r, b.ID), "", "")
}

// badUpload is the error of a file that did not come in whole, if that is what
// it is.
func badUpload(err error) error {
	var own *services.Error
	if errors.As(err, &own) || !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return &services.Error{Kind: services.Invalid, Msg: "The file did not come in whole, so nothing was stored. Upload it again.", Err: err}
}

// badPart is the error of a form whose next part cannot be read.
func badPart(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return badUpload(err)
	}
	return badForm(err)
}

// patientBody gives the sender of a file time for each part of it, as long as
// the whole ends in time.
type patientBody struct {
	io.ReadCloser
	rc    *http.ResponseController
	until time.Time
}

// Read reads the next bytes.
func (b *patientBody) Read(p []byte) (int, error) {
	limit := time.Now().Add(uploadPatience)
	if limit.After(b.until) {
		limit = b.until
	}
	// A server that knows no deadlines sets none that could be in the way. The
	// answer's own deadline counts from the beginning of the request.
	_ = b.rc.SetReadDeadline(limit)
	_ = b.rc.SetWriteDeadline(limit.Add(uploadPatience))
	return b.ReadCloser.Read(p)
}

// bulkOf reads the bulk edit that the request is about.
func (a *app) bulkOf(r *http.Request) (services.Bulk, error) {
	return a.Bulks.Get(r.Context(), orgOf(r), services.BulkID(idParam(r, "id")))
}

// turnBulk handles the buttons of a bulk edit.
func (a *app) turnBulk(turn func(*services.Bulks, context.Context, services.Actor, services.BulkID) (services.Bulk, error)) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		b, err := turn(a.Bulks, r.Context(), actorOf(r), services.BulkID(idParam(r, "id")))
		if err != nil {
			return err
		}
		if b.State == services.BulkCancelled && b.StartedAt.IsZero() {
			return a.redirect(w, r, orgPath(r, "traits/bulk"), "info", "Dropped. Nothing was sent.")
		}
		return a.redirect(w, r, bulkPath(r, b.ID), "", "")
	}
}

// undoBulk handles POST /traits/bulk/{id}/undo: a dry run of taking it back.
func (a *app) undoBulk(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	b, err := a.Bulks.Undo(r.Context(), actorOf(r), services.BulkID(idParam(r, "id")), orText(r.PostForm.Get("token"), services.NewFormToken()))
	if err != nil {
		return err
	}
	if _, err := a.Bulks.Wait(r.Context(), orgOf(r), b.ID, waitForVendor); err != nil {
		return err
	}
	return a.redirect(w, r, bulkPath(r, b.ID), "", "")
}

// sendBulk handles POST /traits/bulk/{id}/send.
func (a *app) sendBulk(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	rate, _ := strconv.Atoi(r.PostForm.Get("rate")) // 0 is no rate
	reason := strings.TrimSpace(r.PostForm.Get("reason"))
	b, problems, err := a.Bulks.Send(r.Context(), actorOf(r), services.BulkID(idParam(r, "id")), rate, reason)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.bulkPage(w, r, http.StatusUnprocessableEntity, b, problems, r.PostForm)
	}
	return a.redirect(w, r, bulkPath(r, b.ID), "", "")
}

// bulkFaults handles GET /traits/bulk/{id}/faults.csv.
func (a *app) bulkFaults(w http.ResponseWriter, r *http.Request) error {
	b, err := a.bulkOf(r)
	if err != nil {
		return err
	}
	a.sendFile(w, r, fmt.Sprintf("bulk-edit-%d-faults.csv", b.ID), csvType, func(w io.Writer) error { return a.Bulks.FaultsCSV(r.Context(), orgOf(r), b.ID, w) })
	return nil
}

// bulkResult handles GET /traits/bulk/{id}/result.csv.
func (a *app) bulkResult(w http.ResponseWriter, r *http.Request) error {
	b, err := a.bulkOf(r)
	if err != nil {
		return err
	}
	a.sendFile(w, r, fmt.Sprintf("bulk-edit-%d-result.csv", b.ID), csvType, func(w io.Writer) error { return a.Bulks.ResultCSV(r.Context(), orgOf(r), b.ID, w) })
	return nil
}

// bulk handles GET /traits/bulk/{id}. A page that waits asks for the status
// alone; when the work is over the page loads itself anew.
func (a *app) bulk(w http.ResponseWriter, r *http.Request) error {
	b, err := a.bulkOf(r)
	if err != nil {
		return err
	}
	if b.State == services.BulkUploaded && may(r, services.Support) {
		http.Redirect(w, r, bulkPath(r, b.ID)+"/columns", http.StatusSeeOther)
		return nil
	}
	return a.bulkPage(w, r, http.StatusOK, b, nil, url.Values{})
}

func (a *app) bulkPage(w http.ResponseWriter, r *http.Request, status int, b services.Bulk, problems services.Problems, form url.Values) error {
	v, err := a.bulkView(r, b)
	if err != nil {
		return err
	}
	if wantsPart(r) {
		if !v.Moving {
			w.Header().Set("HX-Refresh", "true")
		}
		return a.render(w, r, status, templates.BulkStatus(v))
	}
	v.Rate = templates.FieldView{ID: "bulk-rate", Name: "rate", Label: "Pace", Value: orText(form.Get("rate"), fmt.Sprint(services.BulkRate)), Required: true, Error: problems["rate"],
		Hint: "LogRocket publishes no limit. When it says that it is called too often, Sightline waits as long as it asks for."}
	for _, n := range services.BulkRates() {
		took := time.Duration(b.Ready/n+1) * time.Second
		v.Rates = append(v.Rates, templates.OptionView{Value: fmt.Sprint(n), Label: fmt.Sprintf("at most %s a second, about %s", templates.Plural(n, "line", "lines"), templates.FormatDuration(took))})
	}
	v.ReasonField = templates.FieldView{ID: "bulk-reason", Name: "reason", Label: "Reason", Value: form.Get("reason"), Error: problems["reason"], Hint: "A ticket, or what for. It stands in the history and at every edit."}
	v.Problem = problems["form"]
	if err := a.bulkLineViews(r, b, &v); err != nil {
		return err
	}
	return a.page(w, r, status, "Bulk edit of traits", "customers", templates.BulkPage(v))
}

// bulkView is a bulk edit without its lines.
func (a *app) bulkView(r *http.Request, b services.Bulk) (templates.BulkView, error) {
	names, err := a.connectionNames(r)
	if err != nil {
		return templates.BulkView{}, err
	}
	here := bulkPath(r, b.ID)
	v := templates.BulkView{
		Now: a.now(), ID: int64(b.ID), URL: here, BackURL: orgPath(r, "traits/bulk"), Title: bulkTitle(b), Connection: names[b.Connection],
		Author: orText(b.AuthorName, "somebody who left"), Reason: b.Reason, State: string(b.State), Message: b.Message, Moving: b.State.Moving(),
		CreatedAt: b.CreatedAt, StartedAt: b.StartedAt, FinishedAt: b.FinishedAt, ToSend: b.Ready, Disabled: whyNotSupport(r),
		Counts: bulkCounts(b), Progress: bulkProgress(b),
	}
	if b.UndoOf != 0 {
		v.UndoOf, v.UndoOfURL = fmt.Sprintf("Takes back bulk edit %d", b.UndoOf), bulkPath(r, b.UndoOf)
	}
	if b.Faults > 0 {
		v.FaultsURL = here + "/faults.csv"
	}
	if !b.StartedAt.IsZero() {
		v.ResultURL = here + "/result.csv"
	}
	if v.Disabled != "" {
		return v, nil
	}
	still := b.State == services.BulkPaused || b.State == services.BulkDone || b.State == services.BulkCancelled && !b.StartedAt.IsZero()
	switch b.State {
	case services.BulkPlanning, services.BulkUploaded:
		v.CancelAction = here + "/cancel"
	case services.BulkPlanned:
		v.SendAction, v.CancelAction = here+"/send", here+"/cancel"
		if b.UndoOf == 0 {
			v.ColumnsURL = here + "/columns"
		}
	case services.BulkRunning:
		v.PauseAction, v.CancelAction = here+"/pause", here+"/cancel"
	case services.BulkPaused:
		v.ResumeAction, v.CancelAction = here+"/resume", here+"/cancel"
	}
	if still && b.Failed+b.Unknown > 0 {
		v.AgainAction, v.Again = here+"/again", b.Failed+b.Unknown
	}
	if still && b.Sent+b.Unknown > 0 {
		v.UndoAction, v.UndoToken = here+"/undo", services.NewFormToken()
	}
	return v, nil
}

func bulkCounts(b services.Bulk) []templates.DefView {
	defs := []templates.DefView{}
	add := func(term string, n int, always bool) {
		if n > 0 || always {
			defs = append(defs, templates.DefView{Term: term, Text: templates.FormatCount(n)})
		}
	}
	began := !b.StartedAt.IsZero()
	add("Lines read", b.Lines(), !began)
	add("Sent", b.Sent, began)
	add("Failed", b.Failed, began)
	add("Perhaps sent", b.Unknown, false)
	add(bulkReady(b), b.Ready, !began)
	add("Unchanged, not sent", b.Same, !began)
	if b.UndoOf != 0 {
		add("Left as they are", b.Faults, !began)
	} else {
		add("Faults, not sent", b.Faults, !began)
	}
	return defs
}

// bulkReady says of the lines that were not sent whether they will be.
func bulkReady(b services.Bulk) string {
	if b.State == services.BulkCancelled {
		return "Not sent"
	}
	return "To be sent"
}

func bulkProgress(b services.Bulk) templates.ProgressView {
	if b.State == services.BulkPlanning {
		return templates.ProgressView{Label: "Dry run: nothing is sent", Done: int64(b.Lines()), Unit: "lines read"}
	}
	p := templates.ProgressView{Label: "Sending to LogRocket", Done: int64(b.Done()), Total: int64(b.ToSend()), Unit: "lines"}
	if b.PerSecond > 0 {
		p.Rate = fmt.Sprintf("%.1f a second", b.PerSecond)
		p.Left = templates.FormatDuration(b.Left.Round(time.Second)) + " left"
	}
	return p
}

// bulkTabs are the kinds of lines that a page can be narrowed to.
func bulkTabs(b services.Bulk) []templates.TabView {
	all := []templates.TabView{{Label: "All lines", Count: b.Lines()}}
	faults := "Faults"
	if b.UndoOf != 0 {
		faults = "Left as they are"
	}
	for _, t := range []struct {
		label, state string
		n            int
	}{
		{bulkReady(b), "ready", b.Ready}, {faults, "fault", b.Faults}, {"Unchanged", "same", b.Same},
		{"Sent", "sent", b.Sent}, {"Failed", "failed", b.Failed}, {"Perhaps sent", "unknown", b.Unknown},
	} {
		if t.n > 0 {
			all = append(all, templates.TabView{Label: t.label, Href: t.state, Count: t.n})
		}
	}
	return all
}

// bulkLineViews adds a page of lines.
func (a *app) bulkLineViews(r *http.Request, b services.Bulk, v *templates.BulkView) error {
	if b.State == services.BulkPlanning || b.State == services.BulkUploaded || b.State == services.BulkCancelled && b.StartedAt.IsZero() {
		return nil
	}
	state, after := "", int(idOf(r.URL.Query().Get("after")))
	for _, t := range bulkTabs(b) {
		if t.Href != "" && t.Href == r.URL.Query().Get("lines") {
			state = t.Href
		}
	}
	for _, t := range bulkTabs(b) {
		t.Active = t.Href == state
		t.Href = v.URL + query(valuesOf("lines", t.Href))
		v.Tabs = append(v.Tabs, t)
	}
	lines, err := a.Bulks.Lines(r.Context(), orgOf(r), b.ID, state, after, pageRows+1)
	if err != nil {
		return err
	}
	if after > 0 {
		v.FirstURL = v.URL + query(valuesOf("lines", state))
	}
	if len(lines) > pageRows {
		lines = lines[:pageRows]
		v.NextURL = v.URL + query(valuesOf("lines", state, "after", fmt.Sprint(lines[pageRows-1].Line)))
	}
	for _, l := range lines {
		row := templates.BulkLineView{Line: l.Line, UserID: l.UserID, State: l.State, Message: l.Message}
		switch {
		case l.State == "fault" && b.UndoOf != 0:
			row.State = "left"
		case l.State == "ready" && b.State == services.BulkCancelled:
			row.State = "dropped"
		}
		if l.Edit != 0 && l.Customer != 0 {
			row.Href = fmt.Sprintf("%s/%d", traitsPath(r, l.Customer), l.Edit)
		}
		for _, c := range l.Changes {
			row.Changes = append(row.Changes, templates.BulkChangeView{Field: fieldLabel(c.Field, c.Key), Before: c.Before, After: c.After})
		}
		v.Lines = append(v.Lines, row)
	}
	return nil
}
