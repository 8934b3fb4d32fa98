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
	return a.exportSessions(w, r, "csv", csvType, a.Sessions.CSV)
}

// sessionsJSON handles GET /sessions.json: the same as one array.
func (a *app) sessionsJSON(w http.ResponseWriter, r *http.Request) error {
	return a.exportSessions(w, r, "json", jsonType, a.Sessions.JSON)
}

// exportSessions sends the sessions of the address's filter as a file.
func (a *app) exportSessions(w http.ResponseWriter, r *http.Request, ending, contentType string,
	write func(context.Context, services.OrgID, services.SessionExport, io.Writer) error,
) error {
	f, _, err := a.sessionForm(r, r.URL.Query())
	if err != nil {
		return err
	}
	if msg := f.problems.First(); msg != "" {
		return &services.Error{Kind: services.Invalid, Msg: msg}
	}
	name := fmt.Sprintf("sessions-%s-%s-%s.%s", slugOf(r), f.query.From.Format(time.DateOnly), f.query.To.Add(-time.Second).Format(time.DateOnly), ending)
	e := services.SessionExport{Query: f.query, Columns: services.ChooseColumns(f.columns, f.many)}
	a.sendFile(w, r, name, contentType, func(w io.Writer) error { return write(r.Context(), orgOf(r), e, w) })
	return nil
}
