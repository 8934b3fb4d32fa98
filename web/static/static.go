// Package static holds the built style sheet, scripts and images, and serves
// them under addresses that carry the hash of their content, so that browsers
// may keep them for ever.
package static

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// What is served is embedded as pack.go made it: compressed.
//
//go:embed *.gz
var files embed.FS

// asset is one file, ready to be sent.
type asset struct {
	contentType string
	// etag is the hash in its hashed name.
	etag   string
	packed []byte // by gzip
	// hashed says that the address names this very content.
	hashed bool
}

// Server serves the built files.
type Server struct {
	// assets are all files by name, both plain ("licenses.txt") and hashed
	// ("app.0123456789ab.css").
	assets map[string]asset
}

// New reads the embedded files. An error means that the program was built
// wrongly.
func New() (*Server, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("list static files: %w", err)
	}
	s := &Server{assets: make(map[string]asset, 2*len(entries))}
	for _, e := range entries {
		b, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, fmt.Errorf("read static file %q: %w", e.Name(), err)
		}
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("read the head of static file %q: %w", e.Name(), err)
		}
		name := strings.TrimSuffix(e.Name(), ".gz")
		base, ext := strings.TrimSuffix(name, path.Ext(name)), path.Ext(name)
		hash := strings.TrimSuffix(strings.TrimPrefix(r.Name, base+"."), ext)
		if r.Name != base+"."+hash+ext || len(hash) != hashDigits {
			return nil, fmt.Errorf("static file %q calls itself %q", e.Name(), r.Name)
		}
		a := asset{contentType: contentType(ext), etag: hash, packed: b}
		s.assets[name] = a
		a.hashed = true
		s.assets[r.Name] = a
	}
	return s, nil
}

// hashDigits is how many hexadecimal digits of a content's SHA-256 stand in a
// name.
const hashDigits = 12

// contentType is the type of a file. Package mime would read this machine's
// list of them first, for which every start would wait.
func contentType(ext string) string {
	switch ext {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "text/plain; charset=utf-8"
}

// plain is the file itself. Hardly anybody asks for it: whatever is a browser
// takes gzip.
func (a asset) plain() ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(a.packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// ServeHTTP serves /static/<name>. An address with the content's hash may be
// kept for ever, one without is asked for again; an unknown one, an old hash
// included, is 404.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
		return
	}
	name, below := strings.CutPrefix(r.URL.Path, "/static/")
	a, found := s.assets[name]
	if !below || !found {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	if a.hashed {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	zipped := acceptsGzip(r.Header.Get("Accept-Encoding"))
	if zipped {
		h.Set("ETag", `"`+a.etag+`-gzip"`)
	} else {
		h.Set("ETag", `"`+a.etag+`"`)
	}
	if matches(r.Header.Get("If-None-Match"), a.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.packed
	if zipped {
		h.Set("Content-Encoding", "gzip")
	} else {
		var err error
		if body, err = a.plain(); err != nil {
			http.Error(w, "Internal Server Error", http.StatusInternalServerError)
			return
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	// The reader may be gone; there is nobody left to tell.
	_, _ = w.Write(body)
}

// matches says whether an If-None-Match header names the content, in either
// encoding.
func matches(header, etag string) bool {
	return header == "*" || etag != "" && (strings.Contains(header, `"`+etag+`"`) || strings.Contains(header, `"`+etag+`-gzip"`))
}

// acceptsGzip says whether an Accept-Encoding header allows gzip.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(part, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding != "gzip" && coding != "*" {
			continue
		}
		q, found := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		if !found {
			return true
		}
		weight, err := strconv.ParseFloat(q, 64)
		return err == nil && weight > 0
	}
	return false
}
