package sandbox

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// RaygunLimits are how many calls of Raygun API v3 are answered in each second,
// minute and day of UTC. Negative is without limit.
type RaygunLimits struct {
	PerSecond, PerMinute, PerDay int
}

// v3Calls counts the calls of the second, minute and day that are under way.
type v3Calls struct {
	mu      sync.Mutex
	limits  RaygunLimits
	started [3]int64 // the window's number since 1970
	used    [3]int
}

// v3Windows are the windows, and their names in Raygun's header.
func v3Windows() [3]struct {
	name string
	span time.Duration
} {
	return [3]struct {
		name string
		span time.Duration
	}{{"1s", time.Second}, {"1m", time.Minute}, {"1d", 24 * time.Hour}}
}

// SetRaygunV3Limits changes the limits of v3; what was used stays used.
// Negative is without limit, 0 refuses every call.
func (s *Sandbox) SetRaygunV3Limits(l RaygunLimits) {
	s.v3.calls.mu.Lock()
	defer s.v3.calls.mu.Unlock()
	s.v3.calls.limits = l
}

// RaygunV3Limits are those in force.
func (s *Sandbox) RaygunV3Limits() RaygunLimits {
	s.v3.calls.mu.Lock()
	defer s.v3.calls.mu.Unlock()
	return s.v3.calls.limits
}

// RaygunV3CallsToday is how many calls of v3 were let in this UTC day: those
// with a valid token and within the limits, whatever their answer was.
func (s *Sandbox) RaygunV3CallsToday() int {
	c := &s.v3.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started[2] != s.opts.Now().UnixMilli()/dayMS {
		return 0
	}
	return c.used[2]
}

// take counts a call and sets the headers that tell of it, or answers that there
// were too many. A refused call is not counted.
func (c *v3Calls) take(w http.ResponseWriter, now time.Time, live bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := [3]int{c.limits.PerSecond, c.limits.PerMinute, c.limits.PerDay}
	for k, win := range v3Windows() {
		if n := now.UnixMilli() / win.span.Milliseconds(); c.started[k] != n {
			c.started[k], c.used[k] = n, 0
		}
	}
	for k := 2; k >= 0; k-- { // the longest wait counts
		if win := v3Windows()[k]; limit[k] >= 0 && c.used[k] >= limit[k] {
			end := time.UnixMilli((c.started[k] + 1) * win.span.Milliseconds())
			writeTooMany(w, limit[k], win.name, end.Sub(now))
			return false
		}
	}
	for k := range c.used {
		c.used[k]++
	}
	// Raygun names one period of the two in each answer, and does not say which.
	shown := 2
	if limit[2] < 0 || live && limit[1] >= 0 {
		shown = 1
	}
	if limit[shown] >= 0 {
		win := v3Windows()[shown]
		h := w.Header()
		h.Set("X-Rate-Limit-Limit", win.name)
		h.Set("X-Rate-Limit-Remaining", strconv.Itoa(limit[shown]-c.used[shown]))
		h.Set("X-Rate-Limit-Reset", time.UnixMilli((c.started[shown]+1)*win.span.Milliseconds()).UTC().Format("2006-01-02T15:04:05.0000000Z"))
	}
	return true
}

// writeTooMany answers 429 as the library does that Raygun seems to use.
func writeTooMany(w http.ResponseWriter, limit int, period string, wait time.Duration) {
	w.Header().Set("Content-Type", "text/plain")
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = w.Write([]byte("API calls quota exceeded! maximum admitted " + strconv.Itoa(limit) + " per " + period + "."))
}
