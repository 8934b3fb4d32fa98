package services

import (
	"strings"
	"testing"
	"time"

	"sightline/internal/services/upstream"
)

func TestPauseIsToldByTheSameClockAsEverythingElse(t *testing.T) {
	conn := Connection{Name: "Three", Vendor: RaygunV3}
	for wait, want := range map[time.Duration]string{
		40 * time.Second: "It takes calls again in 40 s.",
		2 * time.Hour:    "It takes calls again from 20 November 2026, 02:00 UTC.",
	} {
		e := &upstream.Error{Kind: upstream.RateLimited, Vendor: "raygun", Operation: "sessions", Status: 429, Sent: true, Until: testDay.Add(wait)}
		if got := vendorError(conn, e, testDay); !strings.Contains(got.Msg, want) {
			t.Errorf("in %s: %q, want %q", wait, got.Msg, want)
		}
	}
}
