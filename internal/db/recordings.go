package db

import (
	"context"
	"time"
)

// Recording is what happened inside one session of LogRocket.
type Recording struct {
	ID         RecordingID
	Connection ConnectionID
	File       ExportFileID
	// VendorRecording and VendorSession are the pair by which LogRocket knows it.
	VendorRecording, VendorSession string
	Customer                       CustomerID // 0 if nobody is named
	RecordingFacts
}

// RecordingFacts are what a recording tells of itself.
type RecordingFacts struct {
	UserID, UserEmail, UserName string
	StartedAt, EndedAt          time.Time
	Browser, OS, Device         string
	Release, Country, City      string
	FirstURL                    string
	RecordingCounts
}

// RecordingCounts are how many of what a recording has.
type RecordingCounts struct {
	Navigations, Inputs, Network, Console, Errors, Customs, Others int64
	Calls, FailedCalls, ConsoleErrors                              int64
	// TextsLeft is how often texts came that the search does not know, because
	// the recording has too many different ones.
	TextsLeft int64
}

func (c *RecordingCounts) all() []any {
	return []any{&c.Navigations, &c.Inputs, &c.Network, &c.Console, &c.Errors, &c.Customs, &c.Others, &c.Calls, &c.FailedCalls, &c.ConsoleErrors, &c.TextsLeft}
}

// Events is how many there are.
func (c RecordingCounts) Events() int64 {
	return c.Navigations + c.Inputs + c.Network + c.Console + c.Errors + c.Customs + c.Others
}

const recordingColumns = `r.id, r.connection_id, r.file_id, r.recording_id, r.session_id, coalesce(r.customer_id, 0), r.user_id, r.user_email, r.user_name,
	r.started_at, r.ended_at, r.browser, r.os, r.device, r.release, r.country, r.city, r.first_url,
	r.navigations, r.inputs, r.network, r.console, r.errors, r.customs, r.others, r.calls, r.failed_calls, r.console_errors, r.texts_left`

func scanRecording(s scanner) (Recording, error) {
	var r Recording
	var started, ended int64
	err := s.Scan(append([]any{&r.ID, &r.Connection, &r.File, &r.VendorRecording, &r.VendorSession, &r.Customer, &r.UserID, &r.UserEmail, &r.UserName,
		&started, &ended, &r.Browser, &r.OS, &r.Device, &r.Release, &r.Country, &r.City, &r.FirstURL}, r.all()...)...)
	r.StartedAt, r.EndedAt = time.UnixMilli(started).UTC(), time.UnixMilli(ended).UTC()
	return r, err
}

// Recording reads one recording that is shown.
func (o Org) Recording(ctx context.Context, id RecordingID) (Recording, error) {
	return one(ctx, o.db.r, "recording", scanRecording, `
		SELECT `+recordingColumns+` FROM recordings r WHERE r.id = ? AND r.org_id = ? AND r.state = 'shown'`, id, o.id)
}

// RecordingsByVendor finds recordings by LogRocket's pair, at most 20, as each
// connection may have it; with an empty session all sessions of the recording.
func (o Org) RecordingsByVendor(ctx context.Context, recording, session string) ([]Recording, error) {
	return list(ctx, o.db.r, "recordings", scanRecording, `
		SELECT `+recordingColumns+` FROM recordings r
		WHERE r.org_id = ? AND r.recording_id = ? AND r.session_id BETWEEN ? AND ? AND r.state = 'shown'
		ORDER BY r.session_id, r.id LIMIT 20`, o.id, recording, session, lastOf(session))
}

// lastOf is the upper bound of texts that equal s, and of all where it is empty.
func lastOf(s string) string {
	if s == "" {
		return "\U0010FFFF"
	}
	return s
}

// Recordings lists the newest recordings that began in [from, to), after a
// place; a zero bound is open.
func (o Org) Recordings(ctx context.Context, from, to time.Time, after Moment, limit int) ([]Recording, error) {
	at, id := after.args()
	return list(ctx, o.db.r, "recordings", scanRecording, `
		SELECT `+recordingColumns+` FROM recordings r
		WHERE r.org_id = ? AND r.state = 'shown' AND (r.started_at, r.id) < (?, ?) AND r.started_at >= ? AND r.started_at < ?
		ORDER BY r.started_at DESC, r.id DESC LIMIT ?`, o.id, at, id, lowerMS(from), upperMS(to), limit)
}

// CustomerRecordings lists a customer's recordings that began in [from, to),
// newest first, after a place; a zero bound is open.
func (o Org) CustomerRecordings(ctx context.Context, customer CustomerID, from, to time.Time, after Moment, limit int) ([]Recording, error) {
	at, id := after.args()
	return list(ctx, o.db.r, "customer's recordings", scanRecording, `
		SELECT `+recordingColumns+` FROM recordings r
		WHERE r.customer_id = ? AND r.org_id = ? AND r.state = 'shown' AND (r.started_at, r.id) < (?, ?) AND r.started_at >= ? AND r.started_at < ?
		ORDER BY r.started_at DESC, r.id DESC LIMIT ?`, customer, o.id, at, id, lowerMS(from), upperMS(to), limit)
}

// RecordingsBefore lists the recordings of a connection that began before a
// time, the oldest first.
func (o Org) RecordingsBefore(ctx context.Context, conn ConnectionID, before time.Time, limit int) ([]RecordingID, error) {
	ids, err := list(ctx, o.db.r, "recordings", scanInt, `
		SELECT r.id FROM recordings r WHERE r.connection_id = ? AND r.org_id = ? AND r.state = 'shown' AND r.started_at < ?
		ORDER BY r.started_at, r.id LIMIT ?`, conn, o.id, ms(before), limit)
	out := make([]RecordingID, len(ids))
	for i, id := range ids {
		out[i] = RecordingID(id)
	}
	return out, err
}

// FileRecordings lists the recordings that a file brought, at most 1000.
func (o Org) FileRecordings(ctx context.Context, file ExportFileID) ([]Recording, error) {
	return list(ctx, o.db.r, "file's recordings", scanRecording, `
		SELECT `+recordingColumns+` FROM recordings r WHERE r.file_id = ? AND r.org_id = ? AND r.state = 'shown' ORDER BY r.id LIMIT 1000`, file, o.id)
}

// lowerMS and upperMS are the bounds of a range, open where they are zero.
func lowerMS(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func upperMS(t time.Time) int64 {
	if t.IsZero() {
		return 1<<63 - 1
	}
	return t.UnixMilli()
}

// blockBits is how many bits of a block's id are its number in the recording.
const blockBits = 20

// MaxBlocks is how many blocks, of lines and of calls, a recording can have.
const MaxBlocks = 1 << blockBits

func blockID(id RecordingID, n int) int64 { return int64(id)<<blockBits | int64(n) }

func scanBlob(s scanner) (b []byte, err error) { return b, s.Scan(&b) }

// RecordingMap reads the packed map of a recording's blocks.
func (o Org) RecordingMap(ctx context.Context, id RecordingID) ([]byte, error) {
	return one(ctx, o.db.r, "recording's map", scanBlob, `SELECT data FROM recording_maps WHERE recording_id = ? AND org_id = ?`, id, o.id)
}

// RecordingBlock reads one packed block of lines; the first is 0.
func (o Org) RecordingBlock(ctx context.Context, id RecordingID, n int) ([]byte, error) {
	return one(ctx, o.db.r, "recording's block", scanBlob, `SELECT data FROM recording_blocks WHERE id = ? AND org_id = ?`, blockID(id, n), o.id)
}

// RecordingCalls reads packed rows of calls from the nth on, at most limit.
func (o Org) RecordingCalls(ctx context.Context, id RecordingID, n, limit int) ([][]byte, error) {
	return list(ctx, o.db.r, "recording's calls", scanBlob, `
		SELECT data FROM recording_calls WHERE id >= ? AND id < ? AND org_id = ? ORDER BY id LIMIT ?`, blockID(id, n), blockID(id+1, 0), o.id, limit)
}
