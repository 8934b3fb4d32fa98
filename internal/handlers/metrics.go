package handlers

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

// measured counts requests by the pattern of their route: an address may hold
// what is nobody's business, and there is no end of addresses.
func (a *app) measured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, began := knownMethod(r.Method), time.Now()
		seen := &seenWriter{ResponseWriter: w, status: http.StatusInternalServerError} // of a panic
		defer func() {
			route := chi.RouteContext(r.Context()).RoutePattern()
			if route == "" {
				route = "none"
			}
			a.Metrics.Request(method, route, seen.status, time.Since(began))
		}()
		next.ServeHTTP(seen, r)
		if !seen.wrote {
			seen.status = http.StatusOK
		}
	})
}

// knownMethod is a method as it is counted: anybody may make up others.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost:
		return m
	}
	return "other"
}

// seenWriter notes the status of an answer.
type seenWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

// WriteHeader notes the first status that ends a request.
func (s *seenWriter) WriteHeader(status int) {
	if !s.wrote && status >= 200 {
		s.status, s.wrote = status, true
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the body.
func (s *seenWriter) Write(b []byte) (int, error) {
	s.begin()
	return s.ResponseWriter.Write(b)
}

// ReadFrom lets the system send a file by itself.
func (s *seenWriter) ReadFrom(r io.Reader) (int64, error) {
	s.begin()
	return io.Copy(s.ResponseWriter, r)
}

// Flush sends what was written.
func (s *seenWriter) Flush() {
	s.begin()
	_ = http.NewResponseController(s.ResponseWriter).Flush() // the reader may be gone
}

// Unwrap is for http.ResponseController.
func (s *seenWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *seenWriter) begin() {
	if !s.wrote {
		s.status, s.wrote = http.StatusOK, true
	}
}

// metrics answers what an operator watches, to whom it concerns.
func (a *app) metrics(w http.ResponseWriter, r *http.Request) {
	if status := a.seesMetrics(r); status != http.StatusOK {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="metrics"`)
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	var out bytes.Buffer
	if err := a.WriteMetrics(r.Context(), &out, a.opt.Version); err != nil {
		a.log.ErrorContext(r.Context(), "metrics could not be read", "err", err)
		http.Error(w, "the log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Content-Length", fmt.Sprint(out.Len()))
	_, _ = out.WriteTo(w) // the reader may be gone
}

// seesMetrics is the status for who asks for the figures. With a token it opens
// them to whoever has it. Without one they are for programs on this machine,
// and there is no such page for anybody else: behind a proxy everybody comes
// from this machine, so a proxy that is known of, or that gives itself away,
// closes them.
func (a *app) seesMetrics(r *http.Request) int {
	if a.opt.MetricsKey != [sha256.Size]byte{} {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		given := sha256.Sum256([]byte(strings.TrimSpace(token)))
		if !ok || subtle.ConstantTimeCompare(given[:], a.opt.MetricsKey[:]) != 1 {
			return http.StatusUnauthorized
		}
		return http.StatusOK
	}
	if a.opt.TrustProxy || a.opt.BaseURL != nil && !loopback(a.opt.BaseURL.Host) || !loopback(r.RemoteAddr) || !loopback(r.Host) {
		return http.StatusNotFound
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return http.StatusNotFound
		}
	}
	return http.StatusOK
}

// loopback says whether an address, with or without a port, is this machine's
// own. A name other than localhost is not: it may lead here today and a page of
// its owner may ask for it.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}
