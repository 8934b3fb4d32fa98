package handlers

import (
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
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
	rows, err := a.Exports.Files(r.Context(), orgOf(r), services.ExportFilter{Trouble: trouble, Before: before, Limit: services.ShortPage + 1})
	if err != nil {
		return err
	}
	show := ""
	if trouble {
		show = "trouble"
	}
	here := orgPath(r, "exports/files")
	v.Pager.Shown = templates.Plural(min(len(rows), services.ShortPage), "file", "files")
	if before != 0 {
		v.Pager.Newer = here + query(valuesOf("show", show))
	}
	if len(rows) > services.ShortPage {
		rows = rows[:services.ShortPage]
		v.Pager.Older = here + query(valuesOf("show", show, "before", fmt.Sprint(rows[services.ShortPage-1].ID)))
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
