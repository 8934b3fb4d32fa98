package logrocket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services/upstream"
)

// ListAuditLogs reads one page of the app's audit log, as it stands under
// Settings in LogRocket. Whether a plan has one and a key may read it, only the
// answer tells: then it is an error of kind Forbidden, NotFound or WrongKey.
// Source: docs.logrocket.com, "Audit Log API"; the contract does not have it.
func (c *Client) ListAuditLogs(ctx context.Context, q AuditQuery) (AuditPage, error) {
	if q.Limit <= 0 || q.Limit > MaxAuditLimit {
		q.Limit = MaxAuditLimit
	}
	query := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	if q.Cursor != "" {
		query.Set("cursor", q.Cursor)
	}
	var page AuditPage
	_, err := c.up.Do(ctx, upstream.Request{
		Operation: "listAuditLogs", Method: http.MethodGet, Path: c.path("audit", "logs") + "/", Query: query, Header: c.auth(),
		Retry: upstream.IfSafe,
		Read: func(body []byte) (err error) {
			page, err = readAudit(body)
			return err
		},
	})
	if err != nil {
		return AuditPage{}, err
	}
	return page, nil
}

// readAudit reads a page. Only a list under "logs" makes it one: without that it
// is the answer of something else.
func readAudit(body []byte) (AuditPage, error) {
	answer, ok := upstream.ParseObject(body)
	if raw := bytes.TrimSpace(answer["logs"]); !ok || len(raw) == 0 || raw[0] != '[' {
		return AuditPage{}, errors.New("the answer is not a page of the audit log")
	}
	page := AuditPage{Cursor: strings.TrimSpace(answer.Text("cursor")), More: answer.Bool("has_next")}
	for _, raw := range answer.List("logs") {
		if e, ok := readAuditEntry(raw); ok {
			page.Entries = append(page.Entries, e)
		} else {
			page.Unreadable++
		}
	}
	return page, nil
}

func readAuditEntry(raw json.RawMessage) (AuditEntry, bool) {
	o, ok := upstream.ParseObject(raw)
	if !ok {
		return AuditEntry{}, false
	}
	e := AuditEntry{User: strings.TrimSpace(o.Text("user")), Action: strings.TrimSpace(o.Text("action")), Description: strings.TrimSpace(o.Text("description"))}
	if who := o.Object("user"); e.User == "" && who != nil {
		e.User = strings.TrimSpace(who.Text("email", "name", "id"))
	}
	if text := bytes.TrimSpace(o["description"]); e.Description == "" && len(text) > 0 && (text[0] == '{' || text[0] == '[') {
		e.Description = string(text)
	}
	for _, key := range []string{"created_date", "time", "timestamp"} {
		if e.At = auditTime(o[key]); !e.At.IsZero() {
			break
		}
		if text := strings.TrimSpace(o.Text(key)); e.TimeText == "" {
			e.TimeText = text
		}
	}
	e.RecordingID, e.SessionID = NamedRecording(e.Description)
	return e, e.User != "" || e.Action != "" || e.Description != ""
}

// auditTime reads a time; the form of "time" is that of LogRocket's example,
// which has the same moment in UTC beside it.
func auditTime(raw json.RawMessage) time.Time {
	if at := upstream.Time(raw); !at.IsZero() {
		return at
	}
	at, err := time.Parse("01/02/06 03:04PM", strings.TrimSpace(upstream.Text(raw)))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// namedRecording finds a recording, and its session, within a text.
var namedRecording = regexp.MustCompile(`\b([0-9]+-[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})(?:/([0-9]+)\b)?`)

// NamedRecording returns the first recording session that a text names, as
// "recordingID/sessionID" or within an address. Both are empty if it names none,
// sessionID alone if it names the recording only.
func NamedRecording(text string) (recordingID, sessionID string) {
	m := namedRecording.FindStringSubmatch(text)
	if m == nil {
		return "", ""
	}
	return m[1], m[2]
}
