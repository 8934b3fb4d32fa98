package sandbox

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// raygun answers Real User Monitoring v1, under /api/v1/pulse, and passes the
// successor's paths, under /v3, on.
type raygun struct {
	s *Sandbox

	mu   sync.Mutex
	keys map[string]time.Time // session keys and when they end
	made uint64
	day  int64 // UTC day that used counts
	used int
}

func newRaygun(s *Sandbox) *raygun { return &raygun{s: s, keys: map[string]time.Time{}} }

const pulse = "/api/v1/pulse"

func (g *raygun) route(r *http.Request) (string, http.HandlerFunc) {
	switch p := r.URL.EscapedPath(); {
	case p == pulse+"/authenticate":
		return OpAuthenticate, g.authenticate
	case p == pulse+"/sessions":
		return OpSessions, onlyMethods(g.keyed(g.sessions), http.MethodGet)
	case p == pulse+"/session":
		return OpSession, onlyMethods(g.keyed(g.session), http.MethodGet)
	case p == "/v3" || strings.HasPrefix(p, "/v3/"):
		return g.s.v3.route(r)
	case strings.HasPrefix(p, "/app/"):
		return opPage, g.s.raygunPage
	}
	return "", notFound
}

func (g *raygun) authenticate(w http.ResponseWriter, r *http.Request) {
	methods := []string{http.MethodGet, http.MethodPost}
	if _, only := g.s.limit(); only != "" {
		methods = []string{only}
	}
	onlyMethods(func(w http.ResponseWriter, r *http.Request) {
		id, secret, ok := r.BasicAuth()
		c := g.s.creds
		if !ok || !same(r.Header.Get("X-ApiKey"), c.RaygunAPIKey) || !same(id, c.RaygunClientID) || !same(secret, c.RaygunClientSecret) {
			writeJSON(w, http.StatusUnauthorized, map[string]string{"message": "API key or Authorization headers not supplied, or invalid."})
			return
		}
		writeJSON(w, http.StatusAccepted, map[string]string{"sessionKey": g.newKey()})
	}, methods...)(w, r)
}

func (g *raygun) newKey() string {
	now := g.s.opts.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	for k, end := range g.keys {
		if now.After(end) {
			delete(g.keys, k)
		}
	}
	g.made++
	key := g.s.secret(fmt.Sprintf("session key %d %d", now.UnixNano(), g.made), 48)
	g.keys[key] = now.Add(g.s.opts.KeyLifetime)
	return key
}

// ExpireRaygunKeys makes every session key given out so far invalid.
func (s *Sandbox) ExpireRaygunKeys() {
	s.raygun.mu.Lock()
	defer s.raygun.mu.Unlock()
	clear(s.raygun.keys)
}

// RaygunCallsToday is how much of the day's allowance is used.
func (s *Sandbox) RaygunCallsToday() int {
	s.raygun.mu.Lock()
	defer s.raygun.mu.Unlock()
	if s.raygun.day != s.opts.Now().UnixMilli()/dayMS {
		return 0
	}
	return s.raygun.used
}

// keyed lets a request in that has a valid session key while the day's
// allowance lasts. A refused key costs nothing, a bad request does.
func (g *raygun) keyed(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		now := g.s.opts.Now().UTC()
		limit, _ := g.s.limit()
		g.mu.Lock()
		end, known := g.keys[r.Header.Get("X-SessionKey")]
		valid := known && !now.After(end)
		if day := now.UnixMilli() / dayMS; g.day != day {
			g.day, g.used = day, 0
		}
		over := limit >= 0 && g.used >= limit
		if valid && !over {
			g.used++
		}
		g.mu.Unlock()
		switch {
		case !valid:
			writeJSON(w, http.StatusUnauthorized, map[string]string{"message": "API key or Authorization headers not supplied, or invalid."})
		case over:
			// No page says whether Raygun sends Retry-After: one dialect does.
			if !g.s.live() {
				left := now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
				w.Header().Set("Retry-After", strconv.Itoa(int(left/time.Second)+1))
			}
			writeJSON(w, http.StatusTooManyRequests, map[string]string{"message": "Too many requests within the specified period of time."})
		default:
			next(w, r)
		}
	}
}

// sessionQuery is the parameters of the sessions operation.
type sessionQuery struct {
	from, to   time.Time
	identifier string
	countries  map[string]bool // nil is all
	userType   string
	skip       int
	limit      int
}

func readSessionQuery(q url.Values) (sessionQuery, string) {
	out := sessionQuery{identifier: q.Get("userIdentifier"), userType: strings.ToLower(q.Get("userType")), limit: 50}
	var ok bool
	if out.from, ok = readDate(q.Get("dateFrom")); !ok {
		return out, "dateFrom is required and must be a date-time."
	}
	if out.to, ok = readDate(q.Get("dateTo")); !ok {
		return out, "dateTo is required and must be a date-time."
	}
	if out.to.Before(out.from) {
		return out, "dateTo must not be before dateFrom."
	}
	if len(q["country"]) > 1 {
		return out, "country must be given once, with codes separated by commas."
	}
	for code := range strings.SplitSeq(q.Get("country"), ",") {
		if code = strings.TrimSpace(code); code == "" {
			continue
		}
		if len(code) != 2 {
			return out, "country must be a list of 2 digit country codes."
		}
		if out.countries == nil {
			out.countries = map[string]bool{}
		}
		out.countries[strings.ToUpper(code)] = true
	}
	var err error
	if v := q.Get("skip"); v != "" {
		if out.skip, err = strconv.Atoi(v); err != nil || out.skip < 0 {
			return out, "skip must be an integer of at least 0."
		}
	}
	if v := q.Get("limit"); v != "" {
		if out.limit, err = strconv.Atoi(v); err != nil || out.limit < 1 || out.limit > 500 {
			return out, "limit must be an integer from 1 to 500."
		}
	}
	return out, ""
}

// readDate reads ISO 8601 as far as Raygun's own examples go: a date, or a date
// and time with or without fraction and zone; none is UTC.
func readDate(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func (g *raygun) sessions(w http.ResponseWriter, r *http.Request) {
	q, problem := readSessionQuery(r.URL.Query())
	if problem != "" {
		writeJSON(w, http.StatusBadRequest, map[string]string{"message": problem})
		return
	}
	rows := g.s.disorder.arrived(g.s.company.search(q, g.s.live()))
	page, more := arrange(&g.s.disorder, g.s.company.seed, rows, q.skip, q.limit)
	out := raygunSessions{TotalSessions: len(rows), Sessions: make([]raygunSession, 0, len(page))}
	for _, i := range page {
		out.Sessions = append(out.Sessions, g.view(g.s.company.detail(int(i)), false))
	}
	out.Links.Self = g.pageLink(r, q.skip)
	if more {
		out.Links.Next = new(g.pageLink(r, q.skip+q.limit))
	}
	if q.skip > 0 {
		out.Links.Previous = new(g.pageLink(r, max(0, q.skip-q.limit)))
	}
	writeJSON(w, http.StatusOK, out)
}

// pageLink is whole in the contract's dialect and relative in the live one.
func (g *raygun) pageLink(r *http.Request, skip int) string {
	q := r.URL.Query()
	q.Set("skip", strconv.Itoa(skip))
	base := g.s.raygunURL
	if g.s.live() {
		base = ""
	}
	return base + pulse + "/sessions?" + q.Encode()
}

// search finds rows: newest first, the upper bound left out; in the live
// dialect oldest first, the upper bound let in. Raygun documents neither.
func (c *Company) search(q sessionQuery, live bool) []int32 {
	from, to := q.from.UnixMilli(), q.to.UnixMilli()
	if live {
		to++
	}
	to = min(to, c.nowMS()+1)
	var out []int32
	take := func(i int32) {
		w := &c.rows[i]
		anon := int(w.person) >= len(c.customers)
		switch {
		case w.start < from || w.start >= to,
			q.countries != nil && !q.countries[c.cat.places[w.place].code],
			q.userType == "anonymous" && !anon,
			(q.userType == "registered" || q.userType == "known" || q.userType == "identified") && anon:
			return
		}
		out = append(out, i)
	}
	if q.identifier != "" {
		for _, p := range c.identified(q.identifier) {
			for _, i := range c.byPerson[p] {
				take(i)
			}
		}
		sortRows(out)
	} else {
		for i := c.rowsBefore(from); i < len(c.rows) && c.rows[i].start < to; i++ {
			take(int32(i))
		}
	}
	if !live {
		for a, b := 0, len(out)-1; a < b; a, b = a+1, b-1 {
			out[a], out[b] = out[b], out[a]
		}
	}
	return out
}

func (g *raygun) session(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.URL.Query().Get("id"), 10, 64)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"message": "id is required and must be an int64."})
		return
	}
	s, ok := g.s.company.Session(id)
	if !ok {
		writeJSON(w, http.StatusNotFound, map[string]string{"message": "The specified resource was not found."})
		return
	}
	writeJSON(w, http.StatusOK, map[string]raygunSession{"session": g.view(s, true)})
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
