package templates

import (
	"testing"
	"time"
)

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "–", 0: "0 ms", 400 * time.Microsecond: "0 ms", 840 * time.Millisecond: "840 ms", 999400 * time.Microsecond: "999 ms",
		999600 * time.Microsecond: "1 s", 2400 * time.Millisecond: "2.4 s", 9949 * time.Millisecond: "9.9 s", 9951 * time.Millisecond: "10 s",
		38 * time.Second: "38 s", 59499 * time.Millisecond: "59 s", 59500 * time.Millisecond: "1 m", time.Minute: "1 m", 134 * time.Second: "2 m 14 s",
		time.Hour - 501*time.Millisecond: "59 m 59 s", time.Hour - time.Millisecond: "1 h", 185 * time.Minute: "3 h 5 m", 24*time.Hour - time.Second: "1 d", 98 * time.Hour: "4 d 2 h",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[int64]string{-1: "–", 0: "0 B", 1023: "1023 B", 1024: "1.0 KB", 1536: "1.5 KB", 10 << 10: "10 KB", 1<<20 - 1: "1.0 MB", 12 << 20: "12 MB", 5 << 30: "5.0 GB", 3 << 50: "3072 TB"} {
		if got := FormatBytes(n); got != want {
			t.Errorf("FormatBytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestFormatCountAndPlural(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "−1,234"} {
		if got := FormatCount(n); got != want {
			t.Errorf("FormatCount(%d) = %q, want %q", n, got, want)
		}
	}
	if got := Plural(1, "call", "calls") + ", " + Plural(0, "call", "calls") + ", " + Plural(2000, "call", "calls"); got != "1 call, 0 calls, 2,000 calls" {
		t.Errorf("Plural: %q", got)
	}
}

func TestFormatAgeSpeaksLikeTheBrowser(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0: "now", 9 * time.Second: "now", 20 * time.Second: "20 seconds ago", 54 * time.Second: "54 seconds ago", 55 * time.Second: "1 minute ago",
		90 * time.Second: "1 minute ago", 54 * time.Minute: "54 minutes ago", 55 * time.Minute: "1 hour ago", 20 * time.Hour: "20 hours ago", 21 * time.Hour: "yesterday",
		35 * time.Hour: "yesterday", 36 * time.Hour: "2 days ago", 5 * day: "5 days ago", 6 * day: "last week", 10 * day: "last week", 11 * day: "2 weeks ago", 25 * day: "4 weeks ago",
		27 * day: "25 Oct", 400 * day: "17 Oct 2025", -2 * time.Hour: "in 2 hours", -day: "tomorrow", -7 * day: "next week",
	} {
		if got := FormatAge(now().Add(-d), now()); got != want {
			t.Errorf("FormatAge(%v ago) = %q, want %q", d, got, want)
		}
	}
	if got := FormatAge(time.Time{}, now()); got != "never" {
		t.Errorf("FormatAge(zero) = %q, want never", got)
	}
}

func TestDatesAreInUTC(t *testing.T) {
	east := now().In(time.FixedZone("east", 12*3600))
	for got, want := range map[string]string{
		FormatTime(east): "21 Nov 2026, 14:03:22 UTC", FormatClock(east): "14:03", FormatDate(east): "21 Nov 2026",
		FormatDay(east, now()): "Today", FormatDay(east.AddDate(0, 0, -1), now()): "Yesterday", FormatDay(east.AddDate(0, 0, -8), now()): "Fri 13 Nov 2026",
		FormatDay(time.Time{}, now()): "Day not known",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestFormatPercent(t *testing.T) {
	for share, want := range map[float64]string{0: "0 %", 0.001: "<1 %", 0.424: "42 %", 1: "100 %"} {
		if got := FormatPercent(share); got != want {
			t.Errorf("FormatPercent(%v) = %q, want %q", share, got, want)
		}
	}
}

func TestCountries(t *testing.T) {
	for code, want := range map[string]string{"de": "Germany (DE)", " GB ": "United Kingdom (GB)", "": "unknown", "xx": "XX", "A\n": "A", "Germany": "GERMANY"} {
		if got := CountryLabel(code); got != want {
			t.Errorf("CountryLabel(%q) = %q, want %q", code, got, want)
		}
	}
}

func TestWaterfallStaysOnItsAxis(t *testing.T) {
	for _, c := range []struct {
		part, whole int64
		want        string
	}{{-5, 100, "0.00%"}, {50, 100, "50.00%"}, {500, 100, "100.00%"}, {1, 0, "0%"}} {
		if got := percent(c.part, c.whole); got != c.want {
			t.Errorf("percent(%d, %d) = %q, want %q", c.part, c.whole, got, c.want)
		}
	}
	if got := percentMin(1, 1_000_000); got != "0.40%" {
		t.Errorf("percentMin = %q: too short to be seen", got)
	}
}
