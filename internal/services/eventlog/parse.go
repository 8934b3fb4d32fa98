package eventlog

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what is taken out of a line, in characters.
const (
	maxText  = 1000
	maxStack = 20_000
	maxURL   = 4096
)

// fields are what is looked for in a line: values as they are written there,
// empty where there is none. Names are matched without regard to case, and the
// last of a name that comes twice counts.
type fields struct {
	Type, EventType, EventType2, Time, Timestamp, SessionTime string

	RecordingID, RecordingID2, SessionID, SessionID2 string
	ID, UserID, UserID2                              string
	Email, Name, UserTraits, Traits                  string
	Browser, OS, Device, BrowserVersion, OSVersion   string
	Release, Country, City                           string

	URL, Href, Title, Text, Selector          string
	Method, ReqID, RequestID, RequestID2      string
	Status, StatusCode, StatusCode2           string
	Duration, Size, ResponseSize, Headers     string
	LogLevel, Level, Args, Message            string
	ErrorType, ExceptionType                  string
	Stack, StackTrace, StackTrace2, EventName string
	Action, Online, Data, Payload             string
}

// Parse reads one line. bad says in some words why there is no event in it.
func Parse(raw []byte) (e Event, bad string) {
	// The library is not ours, and the lines are anybody's.
	defer func() {
		if recover() != nil {
			e, bad = Event{}, "it cannot be read"
		}
	}()
	if len(raw) == 0 || raw[0] != '{' {
		return Event{}, "it is no JSON object"
	}
	line := string(raw)
	if !valid(line) {
		return Event{}, "it is no whole JSON object"
	}
	var f fields
	f.read(line)
	e.Type = cut(first(f.Type, f.EventType, f.EventType2), 200)
	if inner := first2(f.Data, f.Payload); len(inner) > 0 && inner[0] == '{' {
		// Some exports put what belongs to the type into an object of its own. What
		// stands outside counts first.
		outer := f
		f = fields{}
		f.read(inner)
		f = outer.over(f)
		if e.Type == "" {
			e.Type = cut(first(f.Type, f.EventType, f.EventType2), 200)
		}
	}
	if e.Type == "" {
		return Event{}, "it names no type of event"
	}
	e.At, e.Offset = f.when()
	e.Took, e.Size = -1, -1
	f.fill(&e)
	return e, ""
}

// first is the first of some values that is not empty.
func first(values ...string) string {
	for _, v := range values {
		if s := text(v); s != "" {
			return s
		}
	}
	return ""
}

func first2(a, b string) string {
	if len(a) > 0 {
		return a
	}
	return b
}

// text is a value as people read it: a text without its quotes, nothing for
// null, anything else as it is written.
func text(v string) string {
	if v == "" || v == "null" {
		return ""
	}
	if v[0] != '"' {
		return v
	}
	if len(v) < 2 || v[len(v)-1] != '"' {
		return ""
	}
	if inner := v[1 : len(v)-1]; strings.IndexByte(inner, '\\') < 0 {
		return inner
	}
	return unquote(v)
}

// cut bounds a text in characters. It is a copy, so that an event does not keep
// its whole line in memory.
func cut(s string, most int) string {
	if len(s) <= most {
		return strings.Clone(s)
	}
	n := 0
	for i := range s {
		if n == most {
			return strings.Clone(s[:i]) + "…"
		}
		n++
	}
	return strings.Clone(s)
}

// number reads a number that may be written as a text; ok is false for what is
// none.
func number(v string) (n float64, ok bool) {
	s := text(v)
	if s == "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// when is the time of an event, in any of the spellings.
func (f *fields) when() (at time.Time, offset time.Duration) {
	for _, v := range []string{f.Time, f.Timestamp, f.SessionTime} {
		if len(v) == 0 {
			continue
		}
		at, since, ok := moment(text(v))
		if !ok {
			continue
		}
		if !at.IsZero() {
			return at, 0
		}
		if offset == 0 {
			offset = since
		}
	}
	return time.Time{}, offset
}

// moment reads a time: RFC 3339, or a number that by its size is seconds,
// milliseconds, microseconds or nanoseconds since 1970, or, below 10^9, the
// milliseconds since the session began.
func moment(s string) (at time.Time, since time.Duration, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return at, 0, false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return momentOf(float64(n), n)
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		if math.IsNaN(n) || math.IsInf(n, 0) || n > math.MaxInt64 {
			return at, 0, false
		}
		return momentOf(n, int64(n))
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil && plausible(t) {
			return t.UTC().Truncate(time.Millisecond), 0, true
		}
	}
	return at, 0, false
}

func momentOf(n float64, whole int64) (at time.Time, since time.Duration, ok bool) {
	switch {
	case n < 0:
		return at, 0, false
	case n < 1e9:
		return at, time.Duration(n * float64(time.Millisecond)), true
	case n < 1e11:
		at = time.UnixMilli(int64(n * 1000))
	case n < 1e14:
		at = time.UnixMilli(whole)
	case n < 1e17:
		at = time.UnixMilli(whole / 1e3)
	default:
		at = time.UnixMilli(whole / 1e6)
	}
	return at.UTC(), 0, plausible(at)
}

// plausible says whether a time can be one of a recording: browsers' clocks may
// be wrong, but not by decades.
func plausible(t time.Time) bool { return t.Year() >= 2000 && t.Year() < 2200 }

// over is what f tells, and where it is silent, what inner does.
func (f fields) over(inner fields) fields {
	have, want := f.told(), inner.told()
	for i, v := range have {
		if len(*v) > 0 {
			*want[i] = *v
		}
	}
	return inner
}

// validCut cleans a text that may hold halves of characters.
func validCut(s string, most int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return cut(s, most)
}
