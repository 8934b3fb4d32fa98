package upstream_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/upstream"
)

// A long answer keeps a processor busy: it is unpacked and read in turn with other
// such work. A short one is read as it comes.
func TestLongAnswersAreReadInTurn(t *testing.T) {
	long := `{"a":"` + strings.Repeat("0123456789abcdef", 8<<10) + `"}`
	for _, tt := range []struct {
		name, body string
		packed     bool
		turns      int
	}{
		{"short", `{"a":1}`, false, 0},
		{"long", long, false, 1},
		{"long, in gzip", long[:20<<10] + `"}`, true, 1},
		{"as short as that", long[:20<<10] + `"}`, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if !tt.packed {
					_, _ = io.WriteString(w, tt.body)
					return
				}
				z, _ := gzip.NewWriterLevel(w, gzip.NoCompression)
				_, _ = io.WriteString(z, tt.body)
				_ = z.Close()
			})
			turns, inTurn, readInTurn := 0, false, false
			c, _ := newClient(t, s.URL, func(o *upstream.Options) {
				o.InTurn = func(read func()) {
					turns, inTurn = turns+1, true
					read()
					inTurn = false
				}
			})
			r := get(upstream.Never)
			r.Read = func(body []byte) error {
				readInTurn = inTurn
				return object(body)
			}
			answer, err := c.Do(t.Context(), r)
			if err != nil || string(answer.Body) != tt.body {
				t.Fatalf("%v", err)
			}
			if turns != tt.turns || readInTurn != (tt.turns > 0) {
				t.Errorf("took %d turns, want %d; read in turn: %v", turns, tt.turns, readInTurn)
			}
		})
	}
}

func TestRetryAfterIsReadInBothForms(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for value, want := range map[string]time.Time{
		"120":                           now.Add(2 * time.Minute),
		"Wed, 04 Mar 2026 06:00:00 GMT": time.Date(2026, 3, 4, 6, 0, 0, 0, time.UTC),
		"Wed, 04 Mar 2020 06:00:00 GMT": now,
		"soon":                          {},
		"-5":                            {},
		"1e300":                         {},
		"":                              {},
	} {
		// The vendor's clock may be right, an hour fast or slow, or not told.
		for _, off := range []time.Duration{0, time.Hour, -time.Hour, noClock} {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Date"] = nil
				said := value
				if off != noClock {
					w.Header().Set("Date", now.Add(off).Format(http.TimeFormat))
					if date, err := http.ParseTime(value); err == nil {
						said = date.Add(off).UTC().Format(http.TimeFormat)
					}
				}
				w.Header().Set("Retry-After", said)
				w.WriteHeader(429)
			})
			c, _ := newClient(t, s.URL, func(o *upstream.Options) { o.Now = func() time.Time { return now } })
			_, err := c.Do(t.Context(), get(upstream.Never))
			if e := wantError(t, err, upstream.RateLimited); !e.Until.Equal(want) {
				t.Errorf("Retry-After %q, with the vendor's clock off by %v: until %v, want %v", value, off, e.Until, want)
			}
		}
	}
}
