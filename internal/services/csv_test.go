package services

import (
	"testing"
	"time"
)

func TestTimesInFilesAreDatesToASpreadsheet(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	for want, at := range map[string]time.Time{
		"":                        {},
		"2026-11-22 19:16:34":     time.Date(2026, 11, 22, 20, 16, 34, 0, berlin),
		"2026-11-22 19:16:34.120": time.Date(2026, 11, 22, 19, 16, 34, 120_000_000, time.UTC),
		"2026-11-22 19:16:35":     time.Date(2026, 11, 22, 19, 16, 35, 999_999, time.UTC),
	} {
		if got := csvCell(at); got != want {
			t.Errorf("%v is %q, want %q", at, got, want)
		}
	}
}
