package sandbox

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// FaultKind says what goes wrong.
type FaultKind string

const (
	// FaultLatency answers as usual, Fault.Latency later.
	FaultLatency FaultKind = "latency"
	// FaultUnauthorized, FaultForbidden, FaultNotFound, FaultRateLimited and
	// those after it answer with the status of their name.
	FaultUnauthorized FaultKind = "401"
	FaultForbidden    FaultKind = "403"
	FaultNotFound     FaultKind = "404"
	FaultRateLimited  FaultKind = "429" // with Retry-After only if Fault.RetryAfter is set
	FaultServerError  FaultKind = "500"
	FaultBadGateway   FaultKind = "502"
	FaultUnavailable  FaultKind = "503" // with Retry-After only if Fault.RetryAfter is set
	FaultTimeout      FaultKind = "504"
	// FaultGarbage answers 200 with broken JSON.
	FaultGarbage FaultKind = "garbage"
	// FaultEmpty answers 200 with nothing.
	FaultEmpty FaultKind = "empty"
	// FaultWrongType answers 200 with a web page.
	FaultWrongType FaultKind = "wrongtype"
	// FaultCut breaks the connection halfway through the proper answer.
	FaultCut FaultKind = "cut"
	// FaultDrop breaks the connection before anything is done.
	FaultDrop FaultKind = "drop"
	// FaultLost does what was asked, then breaks the connection before answering:
	// the caller cannot know whether it was done.
	FaultLost FaultKind = "lost"
)

// FaultKinds are all kinds, in the order of the control page.
func FaultKinds() []FaultKind {
	return []FaultKind{FaultLatency, FaultUnauthorized, FaultForbidden, FaultNotFound, FaultRateLimited, FaultServerError, FaultBadGateway,
		FaultUnavailable, FaultTimeout, FaultGarbage, FaultEmpty, FaultWrongType, FaultCut, FaultDrop, FaultLost}
}

// Fault is something that goes wrong on demand.
type Fault struct {
	Vendor     Vendor        // empty is both
	Operation  string        // empty is all
	Kind       FaultKind     //
	Latency    time.Duration // waits this long first, with any Kind
	RetryAfter time.Duration // sent in whole seconds with 429 and 503; 0 sends none
	Times      int           // how many requests it strikes; 0 is until removed
}

type faults struct {
	mu   sync.Mutex
	next int
	on   map[int]*Fault
}

// Fault switches a fault on; several may be on, the oldest that fits strikes.
// An unknown Kind answers 500. The returned func removes it and may be called twice.
func (s *Sandbox) Fault(f Fault) (remove func()) {
	id := s.faults.add(f)
	return func() { s.faults.remove(id) }
}

// ClearFaults removes all faults.
func (s *Sandbox) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	clear(s.faults.on)
}

func (f *faults) add(x Fault) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.on == nil {
		f.on = map[int]*Fault{}
	}
	f.next++
	f.on[f.next] = &x
	return f.next
}

func (f *faults) remove(id int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.on[id]
	delete(f.on, id)
	return ok
}

// list gives the faults that are on with their numbers, oldest first.
func (f *faults) list() (ids []int, on []Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(f.on)) {
		ids, on = append(ids, id), append(on, *f.on[id])
	}
	return ids, on
}

// take finds the fault that strikes a request and counts it as struck.
func (f *faults) take(v Vendor, operation string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(f.on)) {
		x := f.on[id]
		if x.Vendor != "" && x.Vendor != v || x.Operation != "" && x.Operation != operation {
			continue
		}
		if x.Times > 0 {
			if x.Times--; x.Times == 0 {
				delete(f.on, id)
			}
		}
		return *x, true
	}
	return Fault{}, false
}

// strike answers the request as the fault has it. next gives the proper answer.
func (f Fault) strike(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	if f.Latency > 0 {
		// Waiting ends early when the caller goes away or the sandbox is closed.
		t := time.NewTimer(f.Latency)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	switch f.Kind {
	case FaultLatency:
		next(w, r)
	case FaultGarbage:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"sessions":[{"id":12,"sess`+"\x00\xff\x1b[31m")
	case FaultEmpty:
		w.WriteHeader(http.StatusOK)
	case FaultWrongType:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>Sign in to the guest network</title></head><body><h1>Welcome</h1></body></html>")
	case FaultDrop:
		panic(http.ErrAbortHandler)
	case FaultLost:
		next(&held{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	case FaultCut:
		cut(w, r, next)
	default:
		f.status(w, strings.HasPrefix(r.URL.Path, "/v3/"))
	}
}

// status answers with the kind's status, in the words of Raygun's v3 or the others'.
func (f Fault) status(w http.ResponseWriter, v3 bool) {
	code, err := strconv.Atoi(string(f.Kind))
	if err != nil || code < 400 || code > 599 {
		code = http.StatusInternalServerError
	}
	if f.RetryAfter > 0 && (code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable) {
		w.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
	}
	switch code {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout: // these come from a proxy
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, "<html><body><center><h1>%d %s</h1></center></body></html>", code, http.StatusText(code))
	default:
		if v3 {
			v3Fault(w, code, f.RetryAfter)
			return
		}
		writeJSON(w, code, map[string]string{"message": fmt.Sprintf("%s (a fault switched on in the sandbox)", http.StatusText(code))})
	}
}

// cut sends half of the proper answer under the length of the whole.
func cut(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	h := &held{header: http.Header{}}
	next(h, r)
	maps.Copy(w.Header(), h.header)
	w.Header().Set("Content-Length", strconv.Itoa(max(2, h.body.Len())))
	w.WriteHeader(max(h.code, http.StatusOK))
	_, _ = w.Write(h.body.Bytes()[:h.body.Len()/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// held is an answer that is not sent.
type held struct {
	header http.Header
	body   bytes.Buffer
	code   int
}

func (h *held) Header() http.Header         { return h.header }
func (h *held) WriteHeader(code int)        { h.code = code }
func (h *held) Write(b []byte) (int, error) { return h.body.Write(b) }
