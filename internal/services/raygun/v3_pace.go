package raygun

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"sightline/internal/services/upstream"
)

// NewPace returns a limiter that keeps within Raygun's 10 calls a second and 600
// a minute wherever the vendor begins to count. It gives out no bursts: a burst
// of 10 and then 10 a second would be 20 within one second. The 10,000 a day are
// the ledger's business.
func NewPace() *rate.Limiter { return rate.NewLimiter(9, 1) }

// pacedLedger holds back repeats and redirects, which upstream sends on its own.
// The first attempt has waited already, before its time limit began to run.
type pacedLedger struct {
	upstream.Ledger
	pace *rate.Limiter
}

// Begin waits for the turn of a further attempt. If there is none in time, the
// attempt does not take place and what failed before it stands.
func (l pacedLedger) Begin(ctx context.Context, call upstream.Call) (int64, error) {
	if call.Attempt > 1 {
		if err := l.pace.Wait(ctx); err != nil {
			return 0, err
		}
	}
	return l.Ledger.Begin(ctx, call)
}

// RateLimit is what an answer said of the vendor's limits, which is not always
// anything.
type RateLimit struct {
	// Said is false if the answer said nothing.
	Said bool
	// Period is the time the limit is for, a minute or a day; zero if it was not
	// written as one.
	Period time.Duration
	// Remaining is how many calls are left in it.
	Remaining int
	// ResetsAt is when it begins anew, zero if unknown.
	ResetsAt time.Time
}

// rateLimit reads the X-Rate-Limit headers. -Limit is a period such as "1m" or
// "1d" and no number.
func rateLimit(header http.Header) RateLimit {
	remaining, err := strconv.Atoi(strings.TrimSpace(header.Get("X-Rate-Limit-Remaining")))
	if err != nil || remaining < 0 {
		return RateLimit{}
	}
	quoted, _ := json.Marshal(header.Get("X-Rate-Limit-Reset"))
	return RateLimit{Said: true, Period: period(header.Get("X-Rate-Limit-Limit")), Remaining: remaining, ResetsAt: upstream.Time(quoted)}
}

// period reads a number with one of the units s, m, h and d.
func period(text string) time.Duration {
	text = strings.TrimSpace(text)
	for unit, length := range map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour} {
		if digits, found := strings.CutSuffix(text, unit); found {
			if n, err := strconv.Atoi(digits); err == nil && n > 0 && n <= 366*24*3600 && time.Duration(n) <= 366*24*time.Hour/length {
				return time.Duration(n) * length
			}
		}
	}
	return 0
}

// listed reads the length of the whole list, -1 if the answer does not say.
func listed(header http.Header) int {
	if n, err := strconv.Atoi(strings.TrimSpace(header.Get("X-Raygun-Total-Count"))); err == nil && n >= 0 {
		return n
	}
	return -1
}
