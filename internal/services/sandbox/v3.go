package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Operations of Raygun API v3, named as its specification does.
const (
	OpV3ListApplications      = "list-applications"
	OpV3Application           = "get-application-by-identifier"
	OpV3ApplicationByKey      = "get-application-by-apikey"
	OpV3ListSessions          = "list-sessions"
	OpV3Session               = "get-session-by-identifier"
	OpV3ListCustomers         = "list-customers"
	OpV3Customer              = "get-customer-by-identifier"
	OpV3ListPages             = "list-pages"
	OpV3Page                  = "get-page"
	OpV3ListErrorGroups       = "list-error-groups"
	OpV3ErrorGroup            = "get-error-group"
	OpV3MetricsPagesSeries    = "metrics-pages-time-series"
	OpV3MetricsPagesHistogram = "metrics-pages-histogram"
	OpV3MetricsErrorsSeries   = "metrics-errors-time-series"
)

// v3 answers Raygun API v3, under /v3: the same company and sessions as v1, in
// the successor's words. Identifiers are v1's numbers in base 36.
type v3 struct {
	s        *Sandbox
	apps     []*v3App
	requests atomic.Uint64
	calls    v3Calls

	mu     sync.Mutex
	scopes map[string]bool
}

// v3Route is one operation: a path with {} where a value stands, and the scope
// that it takes.
type v3Route struct {
	operation, method, path, scope string
	handle                         func(v *v3, w http.ResponseWriter, r *http.Request, args []string)
}

func v3Routes() []v3Route {
	const app = "applications/{}/"
	return []v3Route{
		{OpV3ListApplications, http.MethodGet, "applications", "applications:read", (*v3).listApplications},
		{OpV3ApplicationByKey, http.MethodGet, "applications/api-key/{}", "applications:read", (*v3).applicationByKey},
		{OpV3Application, http.MethodGet, "applications/{}", "applications:read", inApp((*v3).application)},
		{OpV3ListSessions, http.MethodGet, app + "sessions", "rum.sessions:read", inApp((*v3).listSessions)},
		{OpV3Session, http.MethodGet, app + "sessions/{}", "rum.sessions:read", inApp((*v3).session)},
		{OpV3ListCustomers, http.MethodGet, app + "customers", "customers:read", inApp((*v3).listCustomers)},
		{OpV3Customer, http.MethodGet, app + "customers/{}", "customers:read", inApp((*v3).customer)},
		{OpV3ListPages, http.MethodGet, app + "pages", "rum.pages:read", inApp((*v3).listPages)},
		{OpV3Page, http.MethodGet, app + "pages/{}", "rum.pages:read", inApp((*v3).page)},
		{OpV3ListErrorGroups, http.MethodGet, app + "error-groups", "cr.errors:read", inApp((*v3).listErrorGroups)},
		{OpV3ErrorGroup, http.MethodGet, app + "error-groups/{}", "cr.errors:read", inApp((*v3).errorGroup)},
		{OpV3MetricsPagesSeries, http.MethodPost, "metrics/{}/pages/time-series", "metrics:pages", inApp((*v3).pageSeries)},
		{OpV3MetricsPagesHistogram, http.MethodPost, "metrics/{}/pages/histogram", "metrics:pages", inApp((*v3).pageHistogram)},
		{OpV3MetricsErrorsSeries, http.MethodPost, "metrics/{}/errors/time-series", "metrics:errors", inApp((*v3).errorSeries)},
	}
}

// RaygunScopes are the scopes that the operations of v3 take, all of which are
// granted at first.
func RaygunScopes() []string {
	var out []string
	for _, r := range v3Routes() {
		if !slices.Contains(out, r.scope) {
			out = append(out, r.scope)
		}
	}
	return out
}

// SetRaygunScopes grants the token of v3 these scopes and no others; an
// operation whose scope is missing answers 403.
func (s *Sandbox) SetRaygunScopes(scopes ...string) {
	s.v3.mu.Lock()
	defer s.v3.mu.Unlock()
	s.v3.scopes = map[string]bool{}
	for _, name := range scopes {
		s.v3.scopes[name] = true
	}
}

// RaygunGrantedScopes are those that the token of v3 has, in order.
func (s *Sandbox) RaygunGrantedScopes() []string {
	s.v3.mu.Lock()
	defer s.v3.mu.Unlock()
	out := []string{}
	for name := range s.v3.scopes {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func newV3(s *Sandbox) *v3 {
	v := &v3{s: s, apps: newV3Apps(s)}
	v.calls.limits = s.opts.RaygunV3Limits
	v.scopes = map[string]bool{}
	for _, name := range RaygunScopes() {
		v.scopes[name] = true
	}
	return v
}

func (v *v3) route(r *http.Request) (string, http.HandlerFunc) {
	parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/v3/"), "/")
	for _, route := range v3Routes() {
		if args, ok := matchV3(route.path, parts); ok {
			return route.operation, v.guarded(route, args)
		}
	}
	return "", func(w http.ResponseWriter, _ *http.Request) {
		v.problem(w, http.StatusNotFound, "The sandbox has no such operation.")
	}
}

func matchV3(pattern string, parts []string) (args []string, ok bool) {
	want := strings.Split(pattern, "/")
	if len(want) != len(parts) {
		return nil, false
	}
	for i, p := range parts {
		if want[i] != "{}" {
			if want[i] != p {
				return nil, false
			}
			continue
		}
		arg, err := url.PathUnescape(p)
		if err != nil || arg == "" {
			return nil, false
		}
		args = append(args, arg)
	}
	return args, true
}

// guarded lets a request in that has the token, is within the limits, and whose
// scope is granted, in this order.
func (v *v3) guarded(route v3Route, args []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || !same(token, v.s.creds.RaygunToken) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			v.problem(w, http.StatusUnauthorized, "The personal access token is missing, invalid or expired.")
			return
		}
		if !v.calls.take(w, v.s.opts.Now().UTC(), v.s.live()) {
			return
		}
		if r.Method != route.method {
			w.Header().Set("Allow", route.method)
			v.problem(w, http.StatusMethodNotAllowed, "The resource does not support "+r.Method+".")
			return
		}
		v.mu.Lock()
		granted := v.scopes[route.scope]
		v.mu.Unlock()
		if !granted {
			detail := "The personal access token does not have the required scope " + route.scope + "."
			if v.s.live() { // no page promises that it says which
				detail = ""
			}
			v.problem(w, http.StatusForbidden, detail)
			return
		}
		route.handle(v, w, r, args)
	}
}

// inApp finds the application that the first value of the path names.
func inApp(h func(v *v3, w http.ResponseWriter, r *http.Request, a *v3App, args []string)) func(*v3, http.ResponseWriter, *http.Request, []string) {
	return func(v *v3, w http.ResponseWriter, r *http.Request, args []string) {
		for _, a := range v.apps {
			if a.id == args[0] {
				h(v, w, r, a, args[1:])
				return
			}
		}
		v.missing(w, "application")
	}
}

// v3Problem is RFC 9457's problem details as the specification has them.
type v3Problem struct {
	Type    string              `json:"type"`
	Title   string              `json:"title"`
	Status  int                 `json:"status"`
	Detail  string              `json:"detail,omitempty"`
	TraceID string              `json:"traceId"`
	Errors  map[string][]string `json:"errors,omitempty"`
}

func (v *v3) problem(w http.ResponseWriter, code int, detail string) {
	v.writeProblem(w, v3Problem{Title: http.StatusText(code), Status: code, Detail: detail})
}

func (v *v3) missing(w http.ResponseWriter, what string) {
	v.problem(w, http.StatusNotFound, "No "+what+" with this identifier was found.")
}

// invalid answers 422, which the metrics give for what they cannot carry out.
func (v *v3) invalid(w http.ResponseWriter, errs map[string][]string) {
	v.writeProblem(w, v3Problem{Title: "One or more validation errors occurred.", Status: http.StatusUnprocessableEntity, Errors: errs})
}

func (v *v3) writeProblem(w http.ResponseWriter, p v3Problem) {
	n := v.requests.Add(1)
	id := fmt.Sprintf("%016x%016x", mix(v.s.opts.Seed, n), mix(v.s.opts.Seed+1, n))
	w.Header().Set("X-Raygun-RequestId", id)
	p.TraceID = "00-" + id + "-" + id[:16] + "-00"
	kind := "application/json"
	if v.s.live() {
		kind = "application/problem+json"
	}
	sendProblem(w, p, kind)
}

func sendProblem(w http.ResponseWriter, p v3Problem, contentType string) {
	p.Type = "https://httpstatuses.io/" + strconv.Itoa(p.Status)
	writeJSONAs(w, p.Status, contentType, p)
}

// v3Fault answers for a fault that is a status.
func v3Fault(w http.ResponseWriter, code int, wait time.Duration) {
	if code == http.StatusTooManyRequests {
		writeTooMany(w, 600, "1m", wait)
		return
	}
	sendProblem(w, v3Problem{Title: http.StatusText(code), Status: code, Detail: "A fault switched on in the sandbox.", TraceID: "00-0-0-00"}, "application/json")
}

func base36(n int64) string { return strconv.FormatInt(n, 36) }

// fromBase36 reads what base36 writes, and nothing else.
func fromBase36(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 36, 64)
	return n, err == nil && n >= 0 && base36(n) == s
}
