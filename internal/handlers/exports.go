package handlers

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// exportUploadLasts is how long the sender of an export file may take for it.
const exportUploadLasts = 3 * time.Hour

// recordingTabs are the parts of Recordings.
func recordingTabs(r *http.Request, active string) []templates.TabView {
	tab := func(label, path string) templates.TabView {
		return templates.TabView{Label: label, Href: orgPath(r, "%s", path), Active: path == active, Count: -1}
	}
	return []templates.TabView{tab("Recordings", "exports"), tab("Patterns", "exports/patterns"), tab("Files", "exports/files")}
}

func exportFilePath(r *http.Request, id services.ExportFileID) string {
	return orgPath(r, "exports/files/%d", id)
}

func followPath(r *http.Request, id services.ConnectionID) string {
	return orgPath(r, "exports/follow/%d", id)
}

// exportFiles handles GET /exports/files: how exports are followed, and the
// files that came.
func (a *app) exportFiles(w http.ResponseWriter, r *http.Request) error {
	return a.exportsPage(w, r, http.StatusOK, "", "")
}

func (a *app) exportsPage(w http.ResponseWriter, r *http.Request, status int, conn, problem string) error {
	here := orgPath(r, "exports/files")
	v := templates.ExportsView{Tabs: recordingTabs(r, "exports/files"), Now: a.now()}
	if may(r, services.Admin) {
		v.NewURL = orgPath(r, "settings/connections/new?vendor=logrocket")
	}
	list, err := a.Exports.Statuses(r.Context(), orgOf(r))
	if err != nil {
		return err
	}
	names := map[services.ConnectionID]string{}
	for _, st := range list {
		v.Follows = append(v.Follows, a.exportFollow(r, st))
		names[st.Connection.ID] = st.Connection.Name
	}
	v.Connections = len(names) > 1
	if v.Upload, err = a.exportUpload(r, conn, problem); err != nil {
		return err
	}
	trouble := r.URL.Query().Get("show") == "trouble"
	if err := a.exportRows(r, &v, names, trouble); err != nil {
		return err
	}
	if trouble || len(v.Files) > 0 {
		v.Filters = []templates.TabView{
			{Label: "All", Href: here, Active: !trouble, Count: -1},
			{Label: "Failed or skipped", Href: here + "?show=trouble", Active: trouble, Count: -1},
		}
	}
	return a.page(w, r, status, "Export files", "exports", templates.ExportsPage(v))
}

// exportRows fills in a page of files.
func (a *app) exportRows(r *http.Request, v *templates.ExportsView, names map[services.ConnectionID]string, trouble bool) error {
	before := services.ExportFileID(idOf(r.URL.Query().Get("before")))
	rows, err := a.Exports.Files(r.Context(), orgOf(r), services.ExportFilter{Trouble: trouble, Before: before, Limit: pageRows + 1})
	if err != nil {
		return err
	}
	show := ""
	if trouble {
		show = "trouble"
	}
	here := orgPath(r, "exports/files")
	v.Pager.Shown = templates.Plural(min(len(rows), pageRows), "file", "files")
	if before != 0 {
		v.Pager.Newer = here + query(valuesOf("show", show))
	}
	if len(rows) > pageRows {
		rows = rows[:pageRows]
		v.Pager.Older = here + query(valuesOf("show", show, "before", fmt.Sprint(rows[pageRows-1].ID)))
	}
	for _, f := range rows {
		row := templates.ExportFileRow{Href: exportFilePath(r, f.ID), Name: orText(f.Name, "a file without a name"), Connection: names[f.Connection], Origin: exportOrigin(f), Size: exportSize(f), At: f.CreatedAt}
		row.Label, row.Tone, row.Icon = exportBadge(f.State)
		if f.State == services.ExportFileRead {
			row.Events = templates.FormatCount(f.Events)
		}
		v.Files = append(v.Files, row)
	}
	return nil
}

func exportOrigin(f services.ExportFile) string {
	if f.Origin == services.ExportOfUpload {
		return "Uploaded by " + orText(f.AuthorName, "somebody who left")
	}
	return "Followed"
}

// exportSize is how large a file is, or how much of it is here.
func exportSize(f services.ExportFile) string {
	switch {
	case f.State == services.ExportFileFetching && f.Size > 0:
		return fmt.Sprintf("%s of %s", templates.FormatBytes(f.Received), templates.FormatBytes(f.Size))
	case f.Size > 0:
		return templates.FormatBytes(f.Size)
	case f.Received > 0:
		return templates.FormatBytes(f.Received)
	}
	return ""
}

// exportBadge is how the state of a file is shown.
func exportBadge(state string) (label, tone, icon string) {
	switch state {
	case services.ExportFileListed:
		return "Waiting", "neutral", "clock"
	case services.ExportFileFetching:
		return "Coming", "accent", "loader"
	case services.ExportFileFetched:
		return "To be read", "neutral", "clock"
	case services.ExportFileReading:
		return "Being read", "accent", "loader"
	case services.ExportFileRead:
		return "Read", "good", "circle-check"
	case services.ExportFileSkipped:
		return "Skipped", "warn", "triangle-alert"
	case services.ExportFileCanceled:
		return "Canceled", "neutral", "ban"
	}
	return "Failed", "bad", "circle-x"
}

func (a *app) exportUpload(r *http.Request, conn, problem string) (templates.ExportUploadView, error) {
	conns, err := a.rocketConnections(r)
	v := templates.ExportUploadView{
		Action: orgPath(r, "exports/files"), Disabled: whyNotSupport(r),
		Connection: templates.FieldView{ID: "export-connection", Name: "connection", Label: "Connection", Value: conn, Required: true},
		File: templates.FieldView{ID: "export-file", Name: "file", Label: "Export file", Type: "file", Required: true, Error: problem,
			Hint: "JSON Lines as LogRocket exports them, plain or gzip. A file that is here already is not read twice."},
	}
	for _, c := range conns {
		v.Connections = append(v.Connections, templates.OptionView{Value: fmt.Sprint(c.ID), Label: c.Name})
	}
	if len(conns) == 1 {
		v.Connection.Value = fmt.Sprint(conns[0].ID)
	}
	if len(conns) == 0 && v.Disabled == "" {
		v.Disabled = "There is no LogRocket connection in use that a file could be of."
	}
	return v, err
}

// exportFollow shows how a connection's exports are followed.
func (a *app) exportFollow(r *http.Request, st services.ExportStatus) templates.ExportFollowView {
	path, t := followPath(r, st.Connection.ID), st.Totals
	v := templates.ExportFollowView{
		ID: fmt.Sprintf("follow-%d", st.Connection.ID), PartURL: path + "/state", Name: st.Connection.Name, Now: a.now(),
		Sentence: st.Sentence, Working: st.State == services.ExportsWorking, ListedAt: st.ListedAt,
		Never: st.Form.From.IsZero(), Used: t.Stored, Quota: st.Form.Quota, Keep: "Files are kept for ever.",
	}
	v.Label, v.Tone, v.Icon = exportStateBadge(st.State)
	if n := st.Form.KeepDays; n > 0 {
		v.Keep = fmt.Sprintf("A file is let go of %s after it was read. What was read out of it stays.", templates.Plural(n, "day", "days"))
	}
	if t.Files > 0 {
		v.Stats = []templates.StatView{
			{Label: "Files read", Value: templates.FormatCount(t.Done), Hint: "of " + templates.FormatCount(t.Files)},
			{Label: "Events", Value: templates.FormatCount(t.Events)},
			{Label: "Lines that could not be read", Value: templates.FormatCount(t.BadLines), Hint: "of " + templates.FormatCount(t.Lines)},
			{Label: "Failed or skipped", Value: templates.FormatCount(t.Failed)},
		}
	}
	if open := t.Waiting + t.Unread; open > 0 {
		p := templates.ProgressView{Label: "Files", Done: t.Files - open, Total: t.Files, Unit: "files"}
		if st.Speed > 0 {
			p.Rate = templates.FormatBytes(int64(st.Speed)) + " a second"
		}
		if st.Left > 0 {
			p.Left = templates.FormatDuration(st.Left.Round(time.Second)) + " left"
		}
		v.Progress = &p
	}
	removed := st.Connection.Removed()
	if may(r, services.Admin) && !removed {
		v.SettingsURL = path
		switch {
		case v.Never:
		case st.State == services.ExportsPaused:
			v.ResumeURL = path + "/resume"
		default:
			v.PauseURL = path + "/pause"
		}
	}
	if may(r, services.Support) && !removed {
		if st.On() && st.State != services.ExportsWorking {
			v.LookURL = path + "/look"
		}
		if t.Waiting > 0 {
			v.CancelURL = path + "/cancel"
		}
	}
	return v
}

// exportStateBadge is how the state of following is shown.
func exportStateBadge(s services.ExportState) (label, tone, icon string) {
	switch s {
	case services.ExportsWorking:
		return "Working", "accent", "refresh-cw"
	case services.ExportsPaused:
		return "Paused", "warn", "clock"
	case services.ExportsFull:
		return "Stopped: full", "bad", "circle-x"
	}
	return followBadge(string(s))
}

// exportState handles GET /exports/follow/{id}/state: how far following is, for
// the page that waits.
func (a *app) exportState(w http.ResponseWriter, r *http.Request) error {
	st, err := a.Exports.Status(r.Context(), orgOf(r), services.ConnectionID(idParam(r, "id")))
	if err != nil {
		return err
	}
	if !wantsPart(r) {
		http.Redirect(w, r, orgPath(r, "exports/files"), http.StatusSeeOther)
		return nil
	}
	v := a.exportFollow(r, st)
	if !v.Working { // the list of files below has changed, too
		w.Header().Set("HX-Refresh", "true")
	}
	return a.render(w, r, http.StatusOK, templates.ExportFollow(v))
}

// exportForm handles GET /exports/follow/{id}: how a connection's exports are
// to be followed.
func (a *app) exportForm(w http.ResponseWriter, r *http.Request) error {
	st, err := a.Exports.Status(r.Context(), orgOf(r), services.ConnectionID(idParam(r, "id")))
	if err != nil {
		return err
	}
	if st.Connection.Vendor != services.LogRocket || st.Connection.Removed() {
		return &services.Error{Kind: services.Conflict, Msg: fmt.Sprintf("“%s” is not a LogRocket connection in use.", st.Connection.Name)}
	}
	from := st.Form.From
	if from.IsZero() {
		from = a.now().AddDate(0, 0, -7)
	}
	typed := exportTyped{from: from.UTC().Format(time.DateOnly), maxFile: megabytes(st.Form.MaxFile), quota: megabytes(st.Form.Quota), keep: strconv.Itoa(st.Form.KeepDays), rate: strconv.FormatInt(st.Form.Rate>>10, 10)}
	return a.exportFormPage(w, r, http.StatusOK, st, typed, nil)
}

// exportTyped is the form as it was typed.
type exportTyped struct{ from, maxFile, quota, keep, rate string }

func megabytes(n int64) string { return strconv.FormatInt(n>>20, 10) }

func (a *app) exportFormPage(w http.ResponseWriter, r *http.Request, status int, st services.ExportStatus, t exportTyped, p services.Problems) error {
	submit := "Save"
	if st.Form.From.IsZero() {
		submit = "Follow exports"
	} else if st.State == services.ExportsPaused {
		submit = "Save and go on"
	}
	v := templates.ExportFormView{
		BackURL: orgPath(r, "exports/files"), Action: followPath(r, st.Connection.ID), Name: st.Connection.Name, Submit: submit,
		From:     templates.FieldView{ID: "from", Name: "from", Label: "From (UTC)", Value: t.from, Error: p["from"], Required: true, Hint: "The first day wanted. An earlier day walks the list again; nothing is fetched twice."},
		MaxFile:  numberField(p, "max_file", "Largest file, in MB", t.maxFile, "A larger one is skipped, and said so."),
		Quota:    numberField(p, "quota", "Room for files, in MB", t.quota, "When files fill it, following stops until there is room. Events that were read are not counted."),
		KeepDays: numberField(p, "keep_days", "Keep files for, in days", t.keep, "After that a file that was read is let go of; its events stay. 0 keeps files for ever."),
		Rate:     numberField(p, "rate", "Pace, in KB a second", t.rate, "0 is as quickly as they come."),
	}
	return a.page(w, r, status, "Follow exports", "exports", templates.ExportForm(v))
}

// followExports handles POST /exports/follow/{id}.
func (a *app) followExports(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	id := services.ConnectionID(idParam(r, "id"))
	st, err := a.Exports.Status(r.Context(), orgOf(r), id)
	if err != nil {
		return err
	}
	p := r.PostForm
	t := exportTyped{from: p.Get("from"), maxFile: p.Get("max_file"), quota: p.Get("quota"), keep: p.Get("keep_days"), rate: p.Get("rate")}
	problems := services.Problems{}
	form := services.ExportForm{}
	if form.From, err = time.Parse(time.DateOnly, strings.TrimSpace(t.from)); err != nil {
		problems["from"] = "Write the day as 2026-11-30."
	}
	number := func(field, text string, unit int64) int64 {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil || n < 0 || n > 1<<40/unit {
			problems[field] = "Write a whole number that is not too large."
		}
		return n * unit
	}
	form.MaxFile, form.Quota, form.Rate = number("max_file", t.maxFile, 1<<20), number("quota", t.quota, 1<<20), number("rate", t.rate, 1<<10)
	form.KeepDays = int(number("keep_days", t.keep, 1))
	if len(problems) == 0 {
		if problems, err = a.Exports.Follow(r.Context(), actorOf(r), id, form); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return a.exportFormPage(w, r, http.StatusUnprocessableEntity, st, t, problems)
	}
	return a.redirect(w, r, orgPath(r, "exports/files"), "success", fmt.Sprintf("The exports of “%s” are followed.", st.Connection.Name))
}

// turnExports handles the buttons of a connection's exports.
func (a *app) turnExports(do func(r *http.Request, id services.ConnectionID) (string, error)) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		text, err := do(r, services.ConnectionID(idParam(r, "id")))
		if err != nil {
			return err
		}
		return a.redirect(w, r, orgPath(r, "exports/files"), "success", text)
	}
}

func (a *app) pauseExports(r *http.Request, id services.ConnectionID) (string, error) {
	return "Paused. It goes on where it stopped.", a.Exports.Pause(r.Context(), actorOf(r), id)
}

func (a *app) resumeExports(r *http.Request, id services.ConnectionID) (string, error) {
	return "It goes on.", a.Exports.Resume(r.Context(), actorOf(r), id)
}

func (a *app) lookExports(r *http.Request, id services.ConnectionID) (string, error) {
	return "The list is being looked at.", a.Exports.LookNow(r.Context(), actorOf(r), id)
}

func (a *app) cancelExports(r *http.Request, id services.ConnectionID) (string, error) {
	if _, err := a.Connections.Get(r.Context(), orgOf(r), id); err != nil {
		return "", err
	}
	n, err := a.Exports.CancelWaiting(r.Context(), actorOf(r), id)
	return templates.Plural(n, "file was", "files were") + " canceled. Each can be tried again.", err
}

// uploadExport handles POST /exports/files: a file that a member has.
func (a *app) uploadExport(w http.ResponseWriter, r *http.Request) error {
	fields, part, err := uploadOf(w, r, services.MaxExportFile, exportUploadLasts)
	if err != nil {
		return err
	}
	if part == nil {
		return a.exportsPage(w, r, http.StatusUnprocessableEntity, fields["connection"], "Choose a file.")
	}
	return a.storeExport(w, r, fields["connection"], part)
}

func (a *app) storeExport(w http.ResponseWriter, r *http.Request, conn string, part *multipart.Part) error {
	f, fresh, err := a.Exports.Upload(r.Context(), actorOf(r), services.ConnectionID(idOf(conn)), part.FileName(), part)
	var own *services.Error
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return a.exportsPage(w, r, http.StatusRequestEntityTooLarge, conn, fmt.Sprintf("The file is larger than %s. Nothing was stored.", templates.FormatBytes(services.MaxExportFile)))
	case errors.As(err, &own) && own.Kind == services.Invalid:
		return a.exportsPage(w, r, http.StatusUnprocessableEntity, conn, own.Msg)
	case err != nil:
		return badUpload(err)
	case !fresh:
		return a.redirect(w, r, exportFilePath(r, f.ID), "info", "This very file is here already.")
	}
	return a.redirect(w, r, exportFilePath(r, f.ID), "success", "The file is here and will be read.")
}

// exportFile handles GET /exports/files/{id}: one file, or while it is on its way
// the part of the page that changes.
func (a *app) exportFile(w http.ResponseWriter, r *http.Request) error {
	f, err := a.Exports.File(r.Context(), orgOf(r), services.ExportFileID(idParam(r, "id")))
	if err != nil {
		return err
	}
	v, err := a.exportFileView(r, f)
	if err != nil {
		return err
	}
	if wantsPart(r) {
		return a.render(w, r, http.StatusOK, templates.ExportFileBody(v))
	}
	return a.page(w, r, http.StatusOK, v.Name, "exports", templates.ExportFilePage(v))
}

func (a *app) exportFileView(r *http.Request, f services.ExportFile) (templates.ExportFileView, error) {
	path := exportFilePath(r, f.ID)
	v := templates.ExportFileView{
		ID: "export-file", PartURL: path, BackURL: orgPath(r, "exports/files"), Name: orText(f.Name, "A file without a name"), Now: a.now(),
		Message: f.Message, Kind: "info", BadLines: f.BadLines,
	}
	v.Label, v.Tone, v.Icon = exportBadge(f.State)
	ended := false
	switch f.State {
	case services.ExportFileFailed:
		v.Kind, ended = "error", true
	case services.ExportFileSkipped:
		v.Kind, ended = "warning", true
	case services.ExportFileCanceled:
		ended = true
	case services.ExportFileRead:
	default:
		v.Working = true
		if f.Message != "" {
			v.Kind = "warning"
		}
	}
	if v.Working && f.State == services.ExportFileFetching {
		v.Progress = &templates.ProgressView{Label: "Coming", Done: f.Received, Total: max(f.Size, 0), Unit: "bytes"}
	}
	if may(r, services.Support) {
		if v.Working {
			v.CancelURL = path + "/cancel"
		}
		if ended && (f.Stored > 0 || f.Origin != services.ExportOfUpload) {
			v.AgainURL = path + "/again"
		}
	}
	if f.Stored > 0 {
		v.DownloadURL = path + "/download"
	}
	conn, err := a.Connections.Get(r.Context(), orgOf(r), f.Connection)
	if err != nil {
		return v, err
	}
	fact := func(term, text string) {
		if text != "" {
			v.Facts = append(v.Facts, templates.DefView{Term: term, Text: text})
		}
	}
	when := func(term string, at time.Time) {
		if !at.IsZero() {
			v.Facts = append(v.Facts, templates.DefView{Term: term, Content: templates.Age(at, a.now())})
		}
	}
	fact("Connection", conn.Name)
	fact("Origin", exportOrigin(f))
	fact("Size", exportSize(f))
	if f.Stored > 0 {
		fact("On disk", templates.FormatBytes(f.Stored))
	}
	if f.State == services.ExportFileRead {
		fact("Lines", templates.FormatCount(f.Lines))
		fact("Events", templates.FormatCount(f.Events))
		fact("Lines that could not be read", templates.FormatCount(f.BadLines))
	}
	if p, ok := a.Recordings.Progress(f.ID); ok {
		v.Progress = &templates.ProgressView{Label: "Being read", Done: p.Bytes, Total: f.Stored, Unit: "bytes", Rate: templates.Plural(p.Events, "event", "events")}
	}
	recordings, err := a.Recordings.OfFile(r.Context(), orgOf(r), f.ID)
	if err != nil {
		return v, err
	}
	for _, rec := range recordings {
		v.Recordings = append(v.Recordings, templates.LinkView{Label: recordingName(rec), Href: recordingPath(r, rec.ID)})
	}
	faults, err := a.Recordings.BadLines(r.Context(), orgOf(r), f.ID)
	if err != nil {
		return v, err
	}
	for _, l := range faults {
		v.Faults = append(v.Faults, templates.ExportFault{Line: l.Line, Why: l.Why, Text: l.Text})
	}
	when("Listed", f.CreatedAt)
	when("Came", f.FetchedAt)
	when("Read", f.ReadAt)
	when("Let go of", f.DroppedAt)
	return v, nil
}

// turnExport handles the buttons of a file.
func (a *app) turnExport(do func(r *http.Request, id services.ExportFileID) error) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		id := services.ExportFileID(idParam(r, "id"))
		if err := do(r, id); err != nil {
			return err
		}
		return a.redirect(w, r, exportFilePath(r, id), "", "")
	}
}

func (a *app) cancelExport(r *http.Request, id services.ExportFileID) error {
	return a.Exports.Cancel(r.Context(), actorOf(r), id)
}

func (a *app) againExport(r *http.Request, id services.ExportFileID) error {
	return a.Exports.Again(r.Context(), actorOf(r), id)
}

// downloadExport handles GET /exports/files/{id}/download: the file as it is
// kept.
func (a *app) downloadExport(w http.ResponseWriter, r *http.Request) error {
	file, f, err := a.Exports.Open(r.Context(), orgOf(r), services.ExportFileID(idParam(r, "id")))
	if err != nil {
		return err
	}
	defer file.Close()
	name := strings.TrimSuffix(strings.ReplaceAll(orText(f.Name, "export"), "/", "-"), ".gz") + ".gz"
	w.Header().Set("Content-Length", strconv.FormatInt(f.Stored, 10))
	a.sendFile(w, r, plainName(name), "application/gzip", func(w io.Writer) error { _, err := io.Copy(w, file); return err })
	return nil
}

// plainName is a file's name in letters that every header and disk takes.
func plainName(name string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || strings.ContainsRune(`"\/:*?<>|`, c) {
			return '_'
		}
		return c
	}, name)
}

// recordingName names a recording by whose it is and when it began.
func recordingName(rec services.Recording) string {
	who := orText(orText(rec.CustomerName, rec.CustomerEmail), orText(orText(rec.UserName, rec.UserEmail), rec.UserID))
	return orText(who, "Somebody") + ", " + templates.FormatTime(rec.StartedAt)
}
