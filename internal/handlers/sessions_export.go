package handlers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"sightline/internal/services"
)

// sessionsCSV handles GET /sessions.csv: all that the page shows, as a file for
// a spreadsheet.
func (a *app) sessionsCSV(w http.ResponseWriter, r *http.Request) error {
	return a.exportSessions(w, r, "csv", "text/csv; charset=utf-8", a.Sessions.CSV)
}

// sessionsJSON handles GET /sessions.json: the same as one array.
func (a *app) sessionsJSON(w http.ResponseWriter, r *http.Request) error {
	return a.exportSessions(w, r, "json", "application/json", a.Sessions.JSON)
}

// exportSessions writes a file as it is read. A failure on the way cuts the
// connection, so that nobody takes half a file for the whole.
func (a *app) exportSessions(w http.ResponseWriter, r *http.Request, ending, contentType string,
	write func(context.Context, services.OrgID, services.SessionExport, io.Writer) error,
) error {
	f, conns, err := a.sessionForm(r, r.URL.Query())
	if err != nil {
		return err
	}
	for _, msg := range f.problems {
		return &services.Error{Kind: services.Invalid, Msg: msg}
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="sessions-%s-%s-%s.%s"`, slugOf(r),
		f.query.From.Format(time.DateOnly), f.query.To.Add(-time.Second).Format(time.DateOnly), ending))
	e := services.SessionExport{Query: f.query, Columns: services.ChooseColumns(f.columns, f.many(conns))}
	if err := writeFile(w, func(w io.Writer) error { return write(r.Context(), orgOf(r), e, w) }); err != nil {
		if r.Context().Err() == nil {
			a.log.ErrorContext(r.Context(), "a file of sessions was cut off", "org", int64(orgOf(r)), "err", err)
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}
