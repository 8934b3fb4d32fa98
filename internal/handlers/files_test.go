package handlers

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/klauspost/compress/gzhttp"
)

// TestAFileTakesLongerThanTheServersLimit sends a file bit by bit, packed as
// all answers are, for longer than the server allows for an answer.
func TestAFileTakesLongerThanTheServersLimit(t *testing.T) {
	t.Parallel()
	gz, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(1), gzhttp.MinSize(1024))
	if err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 64<<10) // nothing that could be packed into a few bytes
	rand.Read(part)
	const parts = 20
	s := httptest.NewUnstartedServer(gz(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/csv")
		if err := writeFile(w, func(file io.Writer) error {
			for i := range parts {
				if i == parts/2 {
					<-time.After(400 * time.Millisecond) // past the limit
				}
				if _, err := file.Write(part); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})))
	s.Config.WriteTimeout = 200 * time.Millisecond
	s.Start()
	defer s.Close()
	res, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Equal(got, bytes.Repeat(part, parts)) {
		t.Errorf("%d of %d bytes came, %v", len(got), parts*len(part), err)
	}
}
