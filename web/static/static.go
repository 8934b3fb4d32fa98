// Package static holds the built style sheet, scripts and images, and serves
// them under addresses that carry the hash of their content, so that browsers
// may keep them for ever.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed *.css *.js *.svg licenses.txt
var files embed.FS

// asset is one file, ready to be sent.
type asset struct {
	contentType, etag string
	plain             []byte
	// gzip compresses the file when it is first asked for, so that no start
	// waits for it; nil where compression does not make the file smaller.
	gzip func() []byte
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
		a := newAsset(e.Name(), b)
		s.assets[e.Name()] = a
		a.hashed = true
		s.assets[HashedName(e.Name(), b)] = a
	}
	return s, nil
}

// HashedName is name with the first 12 hexadecimal digits of the content's
// SHA-256 before its ending: "app.css" becomes "app.0123456789ab.css".
func HashedName(name string, content []byte) string {
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + "." + digest(content) + ext
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// newAsset knows the types itself: package mime would read this machine's list
// of them first, for which every start would wait.
func newAsset(name string, b []byte) asset {
	a := asset{etag: digest(b), plain: b, gzip: sync.OnceValue(func() []byte { return compressed(b) })}
	switch path.Ext(name) {
	case ".js":
		a.contentType = "text/javascript; charset=utf-8"
	case ".css":
		a.contentType = "text/css; charset=utf-8"
	case ".svg":
		a.contentType = "image/svg+xml"
	default:
		a.contentType = "text/plain; charset=utf-8"
	}
	return a
}

// compressed is a file compressed, nil if that does not make it smaller.
func compressed(b []byte) []byte {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil { // only for a level that does not exist
		return nil
	}
	if _, err := w.Write(b); err != nil || w.Close() != nil || buf.Len() >= len(b) {
		return nil // memory takes every write
	}
	return buf.Bytes()
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
	body, etag := a.plain, `"`+a.etag+`"`
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		if small := a.gzip(); small != nil {
			body, etag = small, `"`+a.etag+`-gzip"`
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", etag)
	if matches(r.Header.Get("If-None-Match"), a.etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
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
