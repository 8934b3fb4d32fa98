package handlers

import (
	"testing"
	"time"

	"sightline/internal/services"
)

func TestErrorsStandWhereTheyOccurred(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := services.SessionDetail{
		Session:   services.Session{StartedAt: began},
		PageViews: []services.PageView{{URL: "/b", ViewedAt: began.Add(time.Minute)}, {URL: "/a", ViewedAt: began}},
		Errors:    []services.SessionError{{Title: "Boom", WebURL: "https://app.raygun.com/e/1", OccurredAt: began.Add(30 * time.Second)}, {Title: "No time"}},
	}
	rows, _ := waterfall(d)
	if len(rows) != 3 || rows[0].Label != "/a" || rows[2].Label != "/b" {
		t.Fatalf("%+v", rows)
	}
	if e := rows[1]; !e.Error || e.Label != "Boom" || e.Href == "" || e.OffsetMS != 30_000 {
		t.Errorf("%+v", e)
	}
	// Where a page view's time is not known, the vendor's order stands.
	d.PageViews[1].ViewedAt = time.Time{}
	if rows, _ = waterfall(d); rows[0].Label != "/b" || rows[1].Label != "/a" || rows[1].OffsetMS != -1 || !rows[2].Error {
		t.Errorf("%+v", rows)
	}
}
