package handlers

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

func exportFilePath(r *http.Request, id services.ExportFileID) string {
	return orgPath(r, "exports/files/%d", id)
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
		Message: f.Message, Kind: "info", BadLines: f.BadLines, AgainLabel: "Try again",
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
		ended, v.AgainLabel = f.Stored > 0, "Read again"
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
