package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func get(t *testing.T, method, path string, header ...string) *http.Response {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func hashed(t *testing.T, name string) string {
	t.Helper()
	ext, sum := filepath.Ext(name), sha256.Sum256(built(t, name))
	return fmt.Sprintf("/static/%s.%x%s", strings.TrimSuffix(name, ext), sum[:hashDigits/2], ext)
}

// built is a file as it stands beside what is embedded.
func built(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEmbeddedFilesAreTheBuiltOnes(t *testing.T) {
	entries, err := files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".gz")
		body, err := io.ReadAll(get(t, "GET", hashed(t, name)).Body)
		if err != nil || !bytes.Equal(body, built(t, name)) {
			t.Errorf("%s differs from the file beside it: run make generate (%v)", e.Name(), err)
		}
	}
	others, err := filepath.Glob("*.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range others {
		if ext := filepath.Ext(name); ext == ".go" || ext == ".gz" {
			continue
		}
		if _, err := files.ReadFile(name + ".gz"); err != nil {
			t.Errorf("%s is not embedded: name it in pack.go", name)
		}
	}
}

func TestHashedFilesMayBeKeptForEver(t *testing.T) {
	for name, contentType := range map[string]string{"app.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "favicon.svg": "image/svg+xml", "licenses.txt": "text/plain; charset=utf-8"} {
		res := get(t, "GET", hashed(t, name))
		if res.StatusCode != 200 || res.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || res.Header.Get("Content-Type") != contentType {
			t.Errorf("%s: %d %v", name, res.StatusCode, res.Header)
		}
		if res := get(t, "GET", "/static/"+name); res.StatusCode != 200 || res.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s without hash: %d %v", name, res.StatusCode, res.Header)
		}
	}
}

func TestUnknownNamesAndOldHashesAreNotFound(t *testing.T) {
	for _, path := range []string{"/static/", "/static/nope.css", "/static/app.000000000000.css", "/static/static.go", "/static/../static.go", "/app.css", "app.css"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		s, err := New()
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 404 {
			t.Errorf("%s: %d, want 404", path, w.Code)
		}
	}
	if res := get(t, "POST", hashed(t, "app.css")); res.StatusCode != 405 {
		t.Errorf("POST: %d, want 405", res.StatusCode)
	}
}

func TestGzipIsSentOnlyWhereItIsAccepted(t *testing.T) {
	want := built(t, "app.css")
	for accept, zipped := range map[string]bool{"": false, "gzip": true, "br, GZIP;q=0.5": true, "gzip;q=0": false, "gzip; q=0.0, br": false, "*": true, "identity": false, "gzip;q=x": false} {
		res := get(t, "GET", hashed(t, "app.css"), "Accept-Encoding", accept)
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != zipped || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: gzip %v, want %v (%v)", accept, got, zipped, res.Header)
		}
		if res.Header.Get("Content-Length") != strconv.Itoa(len(body)) {
			t.Errorf("Accept-Encoding %q: Content-Length %s, body %d", accept, res.Header.Get("Content-Length"), len(body))
		}
		if zipped {
			r, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(body, want) {
			t.Errorf("Accept-Encoding %q: the body is not the file", accept)
		}
	}
}

func TestAnUnchangedFileIsNotSentAgain(t *testing.T) {
	url := hashed(t, "app.js")
	res := get(t, "GET", url, "Accept-Encoding", "gzip")
	again := get(t, "GET", url, "Accept-Encoding", "gzip", "If-None-Match", res.Header.Get("ETag"))
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("status %d, want 304", again.StatusCode)
	}
	if res := get(t, "GET", url, "If-None-Match", `"other"`); res.StatusCode != 200 {
		t.Errorf("other tag: %d, want 200", res.StatusCode)
	}
}

// A page of Sightline must not cost more than this, compressed; those with the
// GraphQL editor may cost more.
func TestStyleSheetAndScriptsStayUnderTheirLimits(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, name := range []string{"app.css", "app.js", "theme.js"} {
		total += len(s.assets[name].packed)
	}
	if total == 0 || total > 60*1024 {
		t.Errorf("%d bytes compressed, at most %d", total, 60*1024)
	}
	editor := len(s.assets["graphql.js"].packed)
	if total += editor; editor == 0 || total > 280*1024 {
		t.Errorf("%d bytes compressed with the editor, at most %d", total, 280*1024)
	}
}
