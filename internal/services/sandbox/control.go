package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The control of a running sandbox, for people: the same on both servers.
//
//	GET    /_sandbox/             page; JSON when asked for with Accept
//	POST   /_sandbox/faults       {"vendor","operation","kind","latencyMs","retryAfterSeconds","times"} → {"id"}
//	DELETE /_sandbox/faults       all of them
//	DELETE /_sandbox/faults/{id}  one
//	POST   /_sandbox/dialect      {"dialect":"contract"|"live"}
//	POST   /_sandbox/limit        {"limit":50}; negative is without
//	POST   /_sandbox/v3limits     {"perSecond":10,"perMinute":600,"perDay":10000}; absent stays as it is
//	POST   /_sandbox/scopes       {"scopes":"rum.sessions:read customers:read"}; what the token of Raygun v3 may do
//	POST   /_sandbox/disorder     {"disorder":"shuffle move"}; empty makes Raygun's lists tidy again
//
// Every POST takes a form as well and then leads back to the page.

type faultJSON struct {
	ID                int       `json:"id,omitempty"`
	Vendor            Vendor    `json:"vendor"`
	Operation         string    `json:"operation"`
	Kind              FaultKind `json:"kind"`
	LatencyMS         int64     `json:"latencyMs"`
	RetryAfterSeconds int64     `json:"retryAfterSeconds"`
	Times             int       `json:"times"`
}

type controlState struct {
	Dialect        Dialect     `json:"dialect"`
	RaygunURL      string      `json:"raygunURL"`
	LogRocketURL   string      `json:"logrocketURL"`
	RaygunLimit    int         `json:"raygunDailyLimit"`
	RaygunUsed     int         `json:"raygunCallsToday"`
	V3Used         int         `json:"raygunV3CallsToday"`
	V3PerSecond    int         `json:"raygunV3PerSecond"`
	V3PerMinute    int         `json:"raygunV3PerMinute"`
	V3PerDay       int         `json:"raygunV3PerDay"`
	Scopes         []string    `json:"raygunScopes"`
	Disorder       []Disorder  `json:"disorder"`
	HighlightJobs  int         `json:"highlightJobs"`
	Faults         []faultJSON `json:"faults"`
	RecentRequests []Call      `json:"recentRequests"`

	Kinds      []FaultKind `json:"-"`
	Operations []string    `json:"-"`
	AllScopes  []string    `json:"-"`
	Disorders  []Disorder  `json:"-"`
	Demo       []Customer  `json:"-"`
}

func (s *Sandbox) control(w http.ResponseWriter, r *http.Request) {
	// No page elsewhere may press these buttons.
	http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.controlled)).ServeHTTP(w, r)
}

func (s *Sandbox) controlled(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/_sandbox"), "/")
	switch {
	case path == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		s.controlPage(w, r)
	case path == "faults" && r.Method == http.MethodPost:
		s.postFault(w, r)
	case path == "faults" && r.Method == http.MethodDelete, path == "faults/clear" && r.Method == http.MethodPost:
		s.ClearFaults()
		s.controlDone(w, r, http.StatusNoContent, nil)
	case strings.HasPrefix(path, "faults/") && r.Method == http.MethodDelete:
		id, _ := strconv.Atoi(strings.TrimPrefix(path, "faults/"))
		if !s.faults.remove(id) {
			writeJSON(w, http.StatusNotFound, map[string]string{"error": "There is no such fault."})
			return
		}
		s.controlDone(w, r, http.StatusNoContent, nil)
	case path == "dialect" && r.Method == http.MethodPost:
		in, ok := readControl(w, r)
		d := Dialect(in["dialect"])
		if ok && !d.valid() {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": "dialect must be contract or live."})
		} else if ok {
			s.SetDialect(d)
			s.controlDone(w, r, http.StatusOK, map[string]Dialect{"dialect": d})
		}
	case path == "limit" && r.Method == http.MethodPost:
		in, ok := readControl(w, r)
		n, err := strconv.Atoi(in["limit"])
		if ok && err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": "limit must be a whole number."})
		} else if ok {
			s.SetRaygunDailyLimit(n)
			s.controlDone(w, r, http.StatusOK, map[string]int{"limit": n})
		}
	case r.Method == http.MethodPost && (path == "v3limits" || path == "scopes" || path == "disorder"):
		if in, ok := readControl(w, r); ok {
			s.controlRaygun(w, r, path, in)
		}
	default:
		writeJSON(w, http.StatusNotFound, map[string]string{"error": "The control has no such path or method."})
	}
}

// readControl reads a JSON object or a form into strings. It goes by the body,
// because curl calls everything a form.
func readControl(w http.ResponseWriter, r *http.Request) (map[string]string, bool) {
	body, ok := readBody(w, r)
	if !ok {
		return nil, false
	}
	out := map[string]string{}
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": "The form cannot be read."})
			return nil, false
		}
		for k, list := range form {
			out[k] = strings.Join(list, " ") // of several boxes ticked
		}
		return out, true
	}
	var in map[string]any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if dec.Decode(&in) != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "The body is not a JSON object."})
		return nil, false
	}
	for k, v := range in {
		switch v := v.(type) {
		case string:
			out[k] = v
		case json.Number:
			out[k] = v.String()
		case []any:
			out[k] = strings.Trim(fmt.Sprint(v), "[]")
		}
	}
	return out, true
}

func (s *Sandbox) postFault(w http.ResponseWriter, r *http.Request) {
	in, ok := readControl(w, r)
	if !ok {
		return
	}
	f := Fault{Vendor: Vendor(in["vendor"]), Operation: in["operation"], Kind: FaultKind(in["kind"])}
	known := false
	for _, k := range FaultKinds() {
		known = known || k == f.Kind
	}
	var bad string
	number := func(name string) time.Duration {
		n, err := strconv.Atoi(first(in[name], "0"))
		if err != nil || n < 0 {
			bad = name + " must be a whole number of at least 0."
		}
		return time.Duration(n)
	}
	f.Latency, f.RetryAfter, f.Times = number("latencyMs")*time.Millisecond, number("retryAfterSeconds")*time.Second, int(number("times"))
	switch {
	case !known:
		bad = "kind must be one of those on the page."
	case f.Vendor != "" && f.Vendor != Raygun && f.Vendor != LogRocket:
		bad = "vendor must be raygun, logrocket or empty for both."
	case f.Kind == FaultLatency && f.Latency == 0:
		f.Latency = 3 * time.Second
	}
	if bad != "" {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": bad})
		return
	}
	s.controlDone(w, r, http.StatusCreated, map[string]int{"id": s.faults.add(f)})
}

// controlDone leads a browser back to the page and gives all others the result.
func (s *Sandbox) controlDone(w http.ResponseWriter, r *http.Request, code int, v any) {
	switch {
	case strings.Contains(r.Header.Get("Accept"), "text/html"):
		http.Redirect(w, r, "/_sandbox/", http.StatusSeeOther)
	case v == nil:
		w.WriteHeader(code)
	default:
		writeJSON(w, code, v)
	}
}

func (s *Sandbox) controlPage(w http.ResponseWriter, r *http.Request) {
	daily, _ := s.limit()
	st := controlState{Dialect: s.Dialect(), RaygunURL: s.raygunURL, LogRocketURL: s.logrocketURL, RaygunLimit: daily, RaygunUsed: s.RaygunCallsToday(), HighlightJobs: s.HighlightJobs(), Faults: []faultJSON{}, Kinds: FaultKinds(), Demo: s.company.Demo(),
		V3Used: s.RaygunV3CallsToday(), Scopes: s.RaygunGrantedScopes(), AllScopes: RaygunScopes(), Disorder: s.Disorder(), Disorders: Disorders(), Operations: Operations()}
	v3 := s.RaygunV3Limits()
	st.V3PerSecond, st.V3PerMinute, st.V3PerDay = v3.PerSecond, v3.PerMinute, v3.PerDay
	ids, on := s.faults.list()
	for i, f := range on {
		st.Faults = append(st.Faults, faultJSON{ids[i], f.Vendor, f.Operation, f.Kind, f.Latency.Milliseconds(), int64(f.RetryAfter / time.Second), f.Times})
	}
	calls := s.Calls()
	for i := len(calls) - 1; i >= max(0, len(calls)-25); i-- {
		st.RecentRequests = append(st.RecentRequests, calls[i])
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		writeJSON(w, http.StatusOK, st)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	_ = controlSheet(st).Render(r.Context(), w) // a reader who has gone away
}
