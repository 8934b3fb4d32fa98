package logrocket

import (
	"encoding/hex"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services/secrets"
)

// recordingForm is what recording ids look like: a digit and a UUID.
var recordingForm = regexp.MustCompile(`^[0-9]+-[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// SessionURL returns the page of a recording session in LogRocket's app, at a
// moment if at is not zero. Without both ids there is no page: "".
func (c *Client) SessionURL(recordingID, sessionID string, at time.Time) string {
	if !addressable(recordingID) || !addressable(sessionID) {
		return ""
	}
	address := c.appPath() + "/s/" + url.PathEscape(recordingID) + "/" + url.PathEscape(sessionID)
	if !at.IsZero() {
		address += "?t=" + strconv.FormatInt(at.UnixMilli(), 10)
	}
	return address
}

// UserSessionsURL returns the page in LogRocket's app with the sessions of a
// user: by email if given, else by user id, else "".
func (c *Client) UserSessionsURL(email, userID string) string {
	switch {
	case email != "":
		return c.appPath() + "/sessions?e=" + url.QueryEscape(email)
	case userID != "":
		return c.appPath() + "/sessions?u=" + url.QueryEscape(userID)
	}
	return ""
}

func (c *Client) appPath() string {
	return c.appURL + "/" + url.PathEscape(c.org) + "/" + url.PathEscape(c.app)
}

// ParseKey reads the slugs off an API key ("org:app:secret" or
// "pat:org:app:secret"). ok is false for other forms.
func ParseKey(key secrets.Secret) (org, app string, ok bool) {
	parts := strings.Split(strings.TrimSpace(key.Reveal()), ":")
	if len(parts) == 4 && parts[0] == "pat" {
		parts = parts[1:]
	}
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return "", "", false
	}
	return parts[0], parts[1], true
}

// keyParts returns the part of a key that is secret, without the slugs.
func keyParts(key secrets.Secret) []secrets.Secret {
	text := key.Reveal()
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		return []secrets.Secret{secrets.New(text[i+1:])}
	}
	return nil
}

// ParseSessionURL reads an address of LogRocket's app that leads to a recording
// session, .../{org}/{app}/s/{recordingID}/{sessionID}[/{tab}]. at is the moment
// it points to, zero if none. The host is not looked at.
func ParseSessionURL(address string) (recordingID, sessionID string, at time.Time, ok bool) {
	parsed, err := url.Parse(strings.TrimSpace(address))
	if err != nil || parsed.Host == "" || (parsed.Scheme != "https" && parsed.Scheme != "http") {
		return "", "", time.Time{}, false
	}
	parts := strings.Split(strings.Trim(parsed.EscapedPath(), "/"), "/")
	for i := 2; i+2 < len(parts); i++ {
		if parts[i] != "s" {
			continue
		}
		recordingID, err1 := url.PathUnescape(parts[i+1])
		sessionID, err2 := url.PathUnescape(parts[i+2])
		if err1 != nil || err2 != nil || !recordingForm.MatchString(recordingID) || sessionID == "" {
			continue
		}
		// t is absolute, in milliseconds since 1970, not an offset.
		if ms, err := strconv.ParseInt(parsed.Query().Get("t"), 10, 64); err == nil && ms > 0 && ms < 1<<47 {
			at = time.UnixMilli(ms).UTC()
		}
		return recordingID, sessionID, at, true
	}
	return "", "", time.Time{}, false
}

// RecordingStart returns when a recording began. Only ids with the prefix "6-"
// tell: theirs is a UUID of version 7, which begins with the milliseconds.
func RecordingStart(recordingID string) (time.Time, bool) {
	id, ok := strings.CutPrefix(recordingID, "6-")
	if !ok || !recordingForm.MatchString(recordingID) || id[14] != '7' {
		return time.Time{}, false
	}
	bytes, err := hex.DecodeString(id[:8] + id[9:13])
	if err != nil {
		return time.Time{}, false
	}
	var ms int64
	for _, b := range bytes {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC(), true
}
