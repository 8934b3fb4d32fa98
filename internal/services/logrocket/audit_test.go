package logrocket_test

import (
	"testing"
	"time"

	"sightline/internal/services/logrocket"
	"sightline/internal/services/upstream"
)

// TestAuditEntriesAreReadHoweverTheyAreWritten reads what a server might write
// where LogRocket's page about the audit log leaves it open.
func TestAuditEntriesAreReadHoweverTheyAreWritten(t *testing.T) {
	const rec = "6-019d1baa-df86-7ab5-bacd-8b117322b2d0"
	minute := time.Date(2024, 2, 2, 20, 48, 0, 0, time.UTC)
	tests := []struct {
		name, entry string
		want        logrocket.AuditEntry
	}{
		{"an address for the session", `{"time":1706906880000,"user":"a@x","action":"Viewed session","description":"https://app.logrocket.com/foo/bar/s/` + rec + `/12?t=1"}`,
			logrocket.AuditEntry{At: minute, User: "a@x", Action: "Viewed session", Description: "https://app.logrocket.com/foo/bar/s/" + rec + "/12?t=1", RecordingID: rec, SessionID: "12"}},
		{"no session", `{"created_date":"1706906880000","user":"a@x","action":"Viewed session","description":"` + rec + `"}`,
			logrocket.AuditEntry{At: minute, User: "a@x", Action: "Viewed session", Description: rec, RecordingID: rec}},
		{"the short time alone", `{"time":"02/02/24 08:48PM","user":"a@x","action":"Logged in"}`,
			logrocket.AuditEntry{At: minute, TimeText: "", User: "a@x", Action: "Logged in"}},
		{"a broken date beside it", `{"created_date":"yesterday","time":"02/02/24 08:48PM","user":"a@x","action":"Logged in","description":null}`,
			logrocket.AuditEntry{At: minute, TimeText: "yesterday", User: "a@x", Action: "Logged in"}},
		{"no time", `{"user":5,"action":"x","new":{"deep":[1]}}`, logrocket.AuditEntry{User: "5", Action: "x"}},
		{"objects for texts", `{"time":1706906880,"user":{"id":"u1","email":"a@x"},"action":"x","description":{"session":"` + rec + `/0"}}`,
			logrocket.AuditEntry{At: minute, User: "a@x", Action: "x", Description: `{"session":"` + rec + `/0"}`, RecordingID: rec, SessionID: "0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := fake(t, says(`{"logs":[`+tt.entry+`,{},7],"extra":1}`))
			c, _ := client(t, s.URL)
			page, err := c.ListAuditLogs(t.Context(), logrocket.AuditQuery{})
			if err != nil || page.More || page.Cursor != "" || page.Unreadable != 2 || len(page.Entries) != 1 {
				t.Fatalf("%+v, %v", page, err)
			}
			if page.Entries[0] != tt.want {
				t.Errorf("read as\n%+v, want\n%+v", page.Entries[0], tt.want)
			}
		})
	}
}

// A page that is something else must not pass for an empty log.
func TestWhatIsNoAuditLogIsNotAnEmptyOne(t *testing.T) {
	for _, body := range []string{`{}`, `[]`, `{"logs":null}`, `{"logs":{}}`, `{"cursor":"1","sessions":[]}`, `<html>`, ``} {
		s, _ := fake(t, says(body))
		c, _ := client(t, s.URL)
		_, err := c.ListAuditLogs(t.Context(), logrocket.AuditQuery{Cursor: "7"})
		wantKind(t, err, upstream.Unexpected)
	}
	s, _ := fake(t, says(`{"logs":[],"cursor":9007199254740993,"has_next":"false"}`))
	c, _ := client(t, s.URL)
	if page, err := c.ListAuditLogs(t.Context(), logrocket.AuditQuery{}); err != nil || page.More || page.Cursor != "9007199254740993" {
		t.Errorf("an empty log is read as %+v, %v", page, err)
	}
}
