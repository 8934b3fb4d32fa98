package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
)

// maxBody bounds every request body.
const maxBody = 4 << 20

// front is what both servers have before their operations: only loopback gets
// in, requests are noted, faults strike.
type front struct {
	s      *Sandbox
	vendor Vendor
	// route finds the operation and its handler; an operation without a name is
	// not noted as one and is spared by faults that name one.
	route func(r *http.Request) (operation string, h http.HandlerFunc)
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !fromLoopback(r) {
		http.Error(w, "The sandbox answers on this machine only.", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if r.URL.Path == "/_sandbox" || strings.HasPrefix(r.URL.Path, "/_sandbox/") {
		f.s.control(w, r)
		return
	}
	operation, h := f.route(r)
	if operation == opPage {
		h(w, r)
		return
	}
	answered := f.s.calls.add(Call{Vendor: f.vendor, Operation: operation, Method: r.Method, Path: r.URL.EscapedPath(), Time: f.s.opts.Now()})
	sw := &statusWriter{ResponseWriter: w}
	defer func() { answered(sw.code) }()
	if fault, ok := f.s.faults.take(f.vendor, operation); ok {
		fault.strike(sw, r, h)
		return
	}
	h(sw, r)
}

// opPage marks the made-up web pages, which are no calls.
const opPage = "page"

// fromLoopback also looks at the name that was asked for: a web page elsewhere
// could give its own name this machine's address.
func fromLoopback(r *http.Request) bool {
	local := func(hostport string) bool {
		host, _, err := net.SplitHostPort(hostport)
		if err != nil {
			host = hostport
		}
		ip := net.ParseIP(strings.Trim(host, "[]"))
		return host == "localhost" || ip != nil && ip.IsLoopback()
	}
	return local(r.RemoteAddr) && local(r.Host)
}

// statusWriter remembers the status that was sent; 0 is none.
type statusWriter struct {
	http.ResponseWriter
	code int
}

func (w *statusWriter) WriteHeader(code int) {
	if w.code == 0 {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the real one.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// writeJSON sends v. Nothing the sandbox sends fails to marshal.
func writeJSON(w http.ResponseWriter, code int, v any) {
	writeJSONAs(w, code, "application/json", v)
}

func writeJSONAs(w http.ResponseWriter, code int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // as the vendors send it: hostile text arrives as it is
	_ = enc.Encode(v)
}

// readBody reads a whole request body, or tells that it is too large.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	b, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		writeJSON(w, http.StatusRequestEntityTooLarge, map[string]string{"error": "Request body too large"})
		return nil, false
	}
	return b, err == nil
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusNotFound, map[string]string{"message": "No HTTP resource was found that matches the request."})
}

func onlyMethods(h http.HandlerFunc, methods ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, m := range methods {
			if r.Method == m {
				h(w, r)
				return
			}
		}
		w.Header().Set("Allow", strings.Join(methods, ", "))
		writeJSON(w, http.StatusMethodNotAllowed, map[string]string{"message": "The requested resource does not support http method '" + r.Method + "'."})
	}
}
