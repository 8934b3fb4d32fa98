package templates

import (
	"bytes"
	"strconv"
	"time"
)

// unknown stands for a value that is not known. It is read out as "unknown" by
// the components that show it.
const unknown = "–"

// FormatCount writes n with its thousands apart: 1234567 is "1,234,567".
func FormatCount[N int | int32 | int64](n N) string {
	if 0 <= n && n < 1000 {
		return strconv.Itoa(int(n)) // nearly all are, and small ones are there already
	}
	return string(appendCount(nil, int64(n)))
}

func appendCount(b []byte, n int64) []byte {
	if 0 <= n && n < 1000 {
		return strconv.AppendInt(b, n, 10)
	}
	s := strconv.FormatInt(n, 10)
	if s[0] == '-' {
		b, s = append(b, "−"...), s[1:]
	}
	for i := range len(s) {
		if i > 0 && (len(s)-i)%3 == 0 {
			b = append(b, ',')
		}
		b = append(b, s[i])
	}
	return b
}

// Plural writes a count with its noun: Plural(1, "call", "calls") is "1 call",
// Plural(2000, "call", "calls") is "2,000 calls".
func Plural[N int | int32 | int64](n N, one, many string) string {
	return string(appendPlural(make([]byte, 0, 24), int64(n), one, many))
}

func appendPlural(b []byte, n int64, one, many string) []byte {
	b = append(appendCount(b, n), ' ')
	if n == 1 {
		return append(b, one...)
	}
	return append(b, many...)
}

// FormatBytes writes a size in powers of 1024: "0 B", "840 B", "1.5 KB",
// "12 MB". A negative size is unknown.
func FormatBytes(n int64) string {
	if n < 0 {
		return unknown
	}
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f := float64(n)
	for _, unit := range []string{"KB", "MB", "GB", "TB"} {
		f /= 1024
		if f < 9.95 {
			return strconv.FormatFloat(f, 'f', 1, 64) + " " + unit
		}
		if f < 1023.5 || unit == "TB" {
			return strconv.FormatFloat(f, 'f', 0, 64) + " " + unit
		}
	}
	return unknown
}

// FormatDuration writes a duration with at most two units: "0 ms", "840 ms",
// "2.4 s", "38 s", "2 m 14 s", "3 h 5 m", "4 d 2 h". A negative one is unknown.
func FormatDuration(d time.Duration) string {
	return string(appendDuration(make([]byte, 0, 24), d))
}

func appendDuration(b []byte, d time.Duration) []byte {
	switch {
	case d < 0:
		return append(b, unknown...)
	case d < 999500*time.Microsecond:
		return append(strconv.AppendInt(b, d.Round(time.Millisecond).Milliseconds(), 10), " ms"...)
	case d < 9950*time.Millisecond:
		return append(bytes.TrimSuffix(strconv.AppendFloat(b, d.Seconds(), 'f', 1, 64), []byte(".0")), " s"...)
	case d < 59500*time.Millisecond:
		return append(strconv.AppendInt(b, int64(d.Round(time.Second).Seconds()), 10), " s"...)
	case d < time.Hour-500*time.Millisecond:
		return appendUnits(b, d, time.Minute, " m", time.Second, " s")
	case d < 24*time.Hour-30*time.Second:
		return appendUnits(b, d, time.Hour, " h", time.Minute, " m")
	default:
		return appendUnits(b, d, 24*time.Hour, " d", time.Hour, " h")
	}
}

// FormatMillis is FormatDuration for a number of milliseconds.
func FormatMillis(ms int64) string { return FormatDuration(time.Duration(ms) * time.Millisecond) }

// appendUnits writes d in a large and a small unit, without the small one at zero.
func appendUnits(b []byte, d, large time.Duration, largeName string, small time.Duration, smallName string) []byte {
	d = d.Round(small)
	b = append(strconv.AppendInt(b, int64(d/large), 10), largeName...)
	if rest := d % large / small; rest > 0 {
		b = append(strconv.AppendInt(append(b, ' '), int64(rest), 10), smallName...)
	}
	return b
}

// dateAfter is the age from which a date says more than "4 weeks ago". The
// threshold attribute of Age says the same.
const dateAfter = 26 * 24 * time.Hour

// FormatAge says how long before or after now t is: "now" (under 10 seconds),
// "20 seconds ago", "3 minutes ago", "yesterday", "last week", "in 2 hours";
// from 26 days on it is a date ("3 Oct" in now's year, else "3 Oct 2025").
// Words and rounding are those of <relative-time>, so that nothing moves when
// that takes over in the browser. The zero time is "never".
func FormatAge(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	future := d < 0
	if future {
		d = -d
	}
	if d >= dateAfter {
		if t.UTC().Year() == now.UTC().Year() {
			return t.UTC().Format("2 Jan")
		}
		return t.UTC().Format("2 Jan 2006")
	}
	n, unit := roundAge(d)
	switch {
	case unit == "second" && n < 10:
		return "now"
	case unit == "day" && n == 1 && future:
		return "tomorrow"
	case unit == "day" && n == 1:
		return "yesterday"
	case unit == "week" && n == 1 && future:
		return "next week"
	case unit == "week" && n == 1:
		return "last week"
	}
	s := Plural(n, unit, unit+"s")
	if future {
		return "in " + s
	}
	return s + " ago"
}

// roundAge rounds to one unit the way <relative-time> does: up to the next
// larger unit from 55 seconds, 55 minutes, 21 hours and 6 days on.
func roundAge(d time.Duration) (n int64, unit string) {
	ms := d.Milliseconds()
	s := ms / 1000
	if ms%1000 >= 900 {
		s++
	}
	m, h, days := s/60%60, s/3600%24, s/86400
	if s%60 >= 55 {
		m++
	}
	if m >= 55 {
		h++
	}
	if days > 0 && h >= 12 || days == 0 && h >= 21 {
		days++
	}
	switch {
	case days >= 6:
		return (days*2 + 7) / 14, "week"
	case days > 0:
		return days, "day"
	case h > 0:
		return h, "hour"
	case m > 0:
		return m, "minute"
	}
	return s, "second"
}

// FormatTime writes a moment to the second: "21 Nov 2026, 14:03:22 UTC". The
// zero time is unknown.
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return unknown
	}
	return t.UTC().Format("2 Jan 2006, 15:04:05 UTC")
}

// FormatClock writes the time of day in UTC: "14:03".
func FormatClock(t time.Time) string { return string(appendClock(make([]byte, 0, 8), t)) }

func appendClock(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, unknown...)
	}
	h, m, _ := t.UTC().Clock()
	return append(b, byte('0'+h/10), byte('0'+h%10), ':', byte('0'+m/10), byte('0'+m%10))
}

// FormatDate writes a day: "21 Nov 2026".
func FormatDate(t time.Time) string {
	if t.IsZero() {
		return unknown
	}
	return t.UTC().Format("2 Jan 2006")
}

// FormatDay writes the heading of a day: "Today", "Yesterday", else
// "Sat 21 Nov 2026", all in UTC.
func FormatDay(t, now time.Time) string {
	if t.IsZero() {
		return "Day not known"
	}
	y, m, d := t.UTC().Date()
	ny, nm, nd := now.UTC().Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	today := time.Date(ny, nm, nd, 0, 0, 0, 0, time.UTC)
	switch today.Sub(day) {
	case 0:
		return "Today"
	case 24 * time.Hour:
		return "Yesterday"
	}
	return day.Format("Mon 2 Jan 2006")
}

// FormatPercent writes a share of 0 to 1 as "42 %"; what is above 0 but rounds
// to it is "<1 %".
func FormatPercent(share float64) string {
	p := int(share*100 + 0.5)
	if p == 0 && share > 0 {
		return "<1 %"
	}
	return strconv.Itoa(p) + " %"
}

// machineTime is t as the datetime attribute wants it.
func machineTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
