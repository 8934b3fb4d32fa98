package handlers

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// filePatience is how long a reader of a file may take for each part of it. The
// server's own limit is for a whole answer, and a file may be of any size.
const filePatience = time.Minute

// sendFile answers with a file that is written as it is read. A failure on the
// way cuts the connection, so that nobody takes half a file for the whole: what
// can be refused has to be refused before.
func (a *app) sendFile(w http.ResponseWriter, r *http.Request, name, contentType string, write func(io.Writer) error) {
	nameFile(w, name, contentType)
	if err := writeFile(w, write); err != nil {
		if r.Context().Err() == nil {
			a.log.ErrorContext(r.Context(), "a file was cut off", "file", name, "org", int64(orgOf(r)), "err", err)
		}
		panic(http.ErrAbortHandler)
	}
}

// nameFile says that the answer is a file to keep, of a name and a type.
func nameFile(w http.ResponseWriter, name, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
}

// The types of our files.
const (
	csvType  = "text/csv; charset=utf-8"
	jsonType = "application/json"
)

// writeFile runs write over an answer of any size.
func writeFile(w http.ResponseWriter, write func(io.Writer) error) error {
	f := fileWriter{w: w, rc: http.NewResponseController(w)}
	err := write(f)
	f.extend() // what is still held back goes out after the handler
	return err
}

type fileWriter struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// extend gives the reader time for one more part. A server that knows no
// deadlines sets none that could be in the way.
func (f fileWriter) extend() { _ = f.rc.SetWriteDeadline(time.Now().Add(filePatience)) }

// Write writes one part.
func (f fileWriter) Write(p []byte) (int, error) {
	f.extend()
	return f.w.Write(p)
}
