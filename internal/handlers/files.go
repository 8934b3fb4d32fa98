package handlers

import (
	"io"
	"net/http"
	"time"
)

// filePatience is how long a reader of a file may take for each part of it. The
// server's own limit is for a whole answer, and a file may be of any size.
const filePatience = time.Minute

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
