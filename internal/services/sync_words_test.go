package services

import (
	"testing"
	"time"
)

func TestPlanIsToldInWords(t *testing.T) {
	now := testDay.Add(12 * time.Hour) // a Friday
	tests := []struct {
		p    SyncPlan
		want string
	}{
		{SyncPlan{}, "Every day is filled."},
		{SyncPlan{Days: 9, Calls: 31, Known: true, Done: testDay.AddDate(0, 0, 4)}, "Backfill of 9 days ≈ 31 calls, done Tuesday 24 Nov."},
		{SyncPlan{Days: 1, Calls: 1, Known: true, Done: testDay}, "Backfill of 1 day ≈ 1 call, done today."},
		{SyncPlan{Days: 60, Calls: 60}, "Backfill of 60 days at least 60 calls; how many is known once a day was read."},
	}
	for _, tt := range tests {
		if got := tt.p.Sentence(now); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.p, got, tt.want)
		}
	}
}

// TestDaysThatAreNeverFilledAreNotCalledMissing: what is missing can be filled
// for a price, what is older than the mirror is set to hold cannot.
func TestDaysThatAreNeverFilledAreNotCalledMissing(t *testing.T) {
	for want, states := range map[string][]DayState{
		"The mirror holds 19–20 Nov, 2 days longer ago than it is set to hold":                     {DayHeld, DayHeld, DayGone, DayGone},
		"The mirror holds 20 Nov, 1 day missing, 2 days longer ago than it is set to hold":         {DayHeld, DayMissing, DayGone, DayGone},
		"The mirror holds none of these days, which are longer ago than it is set to hold":         {DayGone, DayGone},
		"The mirror holds none of these days yet":                                                  {DayMissing, DayGone},
		"The mirror holds 18–20 Nov, 1 day of it missing, 1 day longer ago than it is set to hold": {DayHeld, DayMissing, DayHeld, DayGone},
	} {
		var c Coverage
		for i, s := range states { // newest first
			c.Days = append(c.Days, CoverageDay{Day: testDay.AddDate(0, 0, -i), State: s})
			switch s {
			case DayMissing:
				c.Missing++
			case DayGone:
				c.Gone++
			case DayHeld:
				c.Held++
			}
		}
		if got := c.Sentence(); got != want {
			t.Errorf("%v: %q, want %q", states, got, want)
		}
	}
}
