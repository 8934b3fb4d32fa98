package db

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// A recording comes in many small transactions: it is added in the state
// "coming", its blocks and texts follow, and one last step shows it, in place of
// what was shown of the same one before. Then its texts are counted, a part at a
// time. Whatever a stop leaves is either whole or "coming", and that goes.

// BeginReading prepares for a file to be read, from its start: the bad lines of
// an earlier reading go, and what that did not show is to be removed.
func (o Org) BeginReading(ctx context.Context, file ExportFileID) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if _, err := exec(ctx, tx, "bad lines", `DELETE FROM export_bad_lines WHERE file_id = ? AND org_id = ?`, file, o.id); err != nil {
			return err
		}
		_, err := exec(ctx, tx, "recordings", `UPDATE recordings SET state = 'going' WHERE file_id = ? AND org_id = ? AND state = 'coming'`, file, o.id)
		return err
	})
}

// BadLine is a line of a file that holds no event.
type BadLine struct {
	Line int64
	Why  string
	Text string // its beginning
}

// AddBadLines keeps bad lines of a file; those that are there already stay.
func (o Org) AddBadLines(ctx context.Context, file ExportFileID, lines []BadLine) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		for _, l := range lines {
			if _, err := exec(ctx, tx, "bad line", `
				INSERT INTO export_bad_lines (file_id, line, org_id, why, text)
				SELECT f.id, ?, f.org_id, ?, ? FROM export_files f WHERE f.id = ? AND f.org_id = ?
				ON CONFLICT (file_id, line) DO NOTHING`, l.Line, l.Why, l.Text, file, o.id); err != nil {
				return err
			}
		}
		return nil
	})
}

// BadLines lists what is kept of a file's bad lines, at most 1000.
func (o Org) BadLines(ctx context.Context, file ExportFileID) ([]BadLine, error) {
	return list(ctx, o.db.r, "bad lines", func(s scanner) (l BadLine, err error) {
		return l, s.Scan(&l.Line, &l.Why, &l.Text)
	}, `SELECT line, why, text FROM export_bad_lines WHERE file_id = ? AND org_id = ? ORDER BY line LIMIT 1000`, file, o.id)
}

// AddRecording begins to store a recording out of a file.
func (o Org) AddRecording(ctx context.Context, file ExportFileID, recording, session string) (RecordingID, error) {
	id, err := one(ctx, o.db.w, "recording", scanInt, `
		INSERT INTO recordings (org_id, connection_id, file_id, recording_id, session_id, state)
		SELECT f.org_id, f.connection_id, f.id, ?, ?, 'coming' FROM export_files f WHERE f.id = ? AND f.org_id = ? RETURNING id`, recording, session, file, o.id)
	return RecordingID(id), err
}

// RecordingPart are packed blocks of lines and rows of calls, and the numbers of
// the first of each.
type RecordingPart struct {
	Recording RecordingID
	Block     int
	Blocks    [][]byte
	Call      int
	Calls     [][]byte
}

// PutRecordingParts stores parts of recordings that are coming.
func (o Org) PutRecordingParts(ctx context.Context, parts []RecordingPart) error {
	return o.inTurnWrite(ctx, func(tx *sql.Tx) error {
		for _, p := range parts {
			if err := o.coming(ctx, tx, p.Recording); err != nil {
				return err
			}
			for i, b := range p.Blocks {
				if _, err := exec(ctx, tx, "recording's block", `INSERT INTO recording_blocks (id, org_id, data) VALUES (?, ?, ?)`, blockID(p.Recording, p.Block+i), o.id, b); err != nil {
					return err
				}
			}
			for i, b := range p.Calls {
				if _, err := exec(ctx, tx, "recording's calls", `INSERT INTO recording_calls (id, org_id, data) VALUES (?, ?, ?)`, blockID(p.Recording, p.Call+i), o.id, b); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// inTurnWrite writes one part of something long: see [Org.putPart].
func (o Org) inTurnWrite(ctx context.Context, fn func(tx *sql.Tx) error) error {
	return o.db.inTurn(true, func(func() bool) error { return o.write(ctx, fn) })
}

func (o Org) coming(ctx context.Context, q querier, id RecordingID) error {
	_, err := one(ctx, q, "recording", scanInt, `SELECT id FROM recordings WHERE id = ? AND org_id = ? AND state = 'coming'`, id, o.id)
	return err
}

// TextKind says what a text is of.
type TextKind int

// The kinds of texts.
const (
	TextPage         TextKind = 1 // an address, see [NormalizePage]
	TextInput        TextKind = 2 // what was clicked on
	TextEndpoint     TextKind = 3 // method and address
	TextConsole      TextKind = 4
	TextConsoleError TextKind = 5
	TextError        TextKind = 6
	TextCustom       TextKind = 7 // the name of a custom event
	TextOther        TextKind = 8 // the type of another event
)

// counted says whether texts of a kind are counted by the day.
func (k TextKind) counted() bool {
	return k == TextEndpoint || k == TextConsoleError || k == TextError || k == TextCustom
}

// RecordingText is a text in one recording.
type RecordingText struct {
	Position int // its own number in the recording
	Kind     TextKind
	Text     string
	// Times counts it, Bad those that are failures. First and BadFirst are the
	// places in the recording of the first of each (-1 if there is none), with
	// their times.
	Times, Bad          int64
	First, BadFirst     int64
	FirstAt, BadFirstAt time.Time
	// Timed counts the calls whose duration is known, in Loads.
	Timed int64
	Loads Loads
}

// PutRecordingTexts stores texts of a recording that is coming and began then. A
// few hundred take some milliseconds.
func (o Org) PutRecordingTexts(ctx context.Context, id RecordingID, startedAt time.Time, texts []RecordingText) error {
	return o.inTurnWrite(ctx, func(tx *sql.Tx) error {
		if err := o.coming(ctx, tx, id); err != nil {
			return err
		}
		fresh := int64(-1) // the first text that is new: those behind it are, too
		for _, t := range texts {
			text, err := one(ctx, tx, "event text", scanInt, `SELECT id FROM event_texts WHERE org_id = ? AND kind = ? AND text = ?`, o.id, t.Kind, t.Text)
			if errors.Is(err, ErrNotFound) {
				text, err = insert(ctx, tx, "event text", `INSERT INTO event_texts (org_id, kind, text) VALUES (?, ?, ?)`, o.id, t.Kind, t.Text)
				if fresh < 0 {
					fresh = text
				}
			}
			if err != nil {
				return err
			}
			if _, err := exec(ctx, tx, "recording's text", `
				INSERT INTO recording_texts (recording_id, position, org_id, text_id, kind, started_at, times, bad, first_event, first_at, bad_event, bad_at, timed, loads)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				id, t.Position, o.id, text, t.Kind, startedAt.UnixMilli(), t.Times, t.Bad, t.First, t.FirstAt.UnixMilli(), t.BadFirst, t.BadFirstAt.UnixMilli(), t.Timed, t.Loads.pack()); err != nil {
				return err
			}
		}
		if fresh < 0 {
			return nil
		}
		_, err := exec(ctx, tx, "search index", `
			INSERT INTO event_texts_fts (rowid, text) SELECT (t.org_id << 40) | t.id, t.text FROM event_texts t WHERE t.id >= ? AND t.org_id = ?`, fresh, o.id)
		return err
	})
}

// Shown is what became of a recording that was to be shown.
type Shown struct {
	Customer CustomerID
	// Replaced is the recording that was shown of the same one before and goes now,
	// 0 if there was none. Older says that it is this one that goes: the one before
	// has more in it.
	Replaced RecordingID
	Older    bool
}

// ShowRecording shows a recording that is coming, as r tells of it (all but its
// connection, file and customer), with the packed map of its blocks, and finds or
// makes its customer. The same recording of the same
// connection is shown once: the one with more events stays, of two equal ones the
// later.
func (o Org) ShowRecording(ctx context.Context, r Recording, blocks []byte) (Shown, error) {
	var out Shown
	id, f := r.ID, r.RecordingFacts
	err := o.write(ctx, func(tx *sql.Tx) error {
		conn, err := one(ctx, tx, "recording", scanInt, `SELECT connection_id FROM recordings WHERE id = ? AND org_id = ? AND state = 'coming'`, id, o.id)
		if err != nil {
			return err
		}
		r.Connection = ConnectionID(conn)
		before, err := one(ctx, tx, "recording", scanRecording, `
			SELECT `+recordingColumns+` FROM recordings r
			WHERE r.connection_id = ? AND r.recording_id = ? AND r.session_id = ? AND r.state = 'shown' AND r.org_id = ?`, r.Connection, r.VendorRecording, r.VendorSession, o.id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if out.Replaced = before.ID; before.Events() > f.Events() {
			out.Older, out.Customer = true, before.Customer
			return o.letGo(ctx, tx, id)
		}
		if before.ID != 0 {
			if err := o.letGo(ctx, tx, before.ID); err != nil {
				return err
			}
		}
		out.Customer, err = resolveCustomer(ctx, tx, o.id, Sighting{
			Connection: r.Connection, Email: f.UserEmail, Name: f.UserName, LogRocketUser: f.UserID, Since: f.StartedAt, SeenAt: f.EndedAt,
		})
		if err != nil {
			return err
		}
		if _, err := exec(ctx, tx, "recording's map", `
			INSERT INTO recording_maps (recording_id, org_id, data) VALUES (?, ?, ?) ON CONFLICT (recording_id) DO UPDATE SET data = excluded.data`, id, o.id, blocks); err != nil {
			return err
		}
		c := f.RecordingCounts
		return must(exec(ctx, tx, "recording", `
			UPDATE recordings SET state = 'shown', recording_id = ?, session_id = ?, customer_id = ?, user_id = ?, user_email = ?, user_name = ?, started_at = ?, ended_at = ?,
				browser = ?, os = ?, device = ?, release = ?, country = ?, city = ?, first_url = ?, navigations = ?, inputs = ?, network = ?, console = ?,
				errors = ?, customs = ?, others = ?, calls = ?, failed_calls = ?, console_errors = ?, texts_left = ?
			WHERE id = ? AND org_id = ?`, r.VendorRecording, r.VendorSession, nullID(out.Customer), CutIdentity(CleanText(f.UserID)), CutIdentity(CleanText(f.UserEmail)), CutIdentity(CleanText(f.UserName)),
			f.StartedAt.UnixMilli(), f.EndedAt.UnixMilli(),
			f.Browser, f.OS, f.Device, f.Release, f.Country, f.City, f.FirstURL, c.Navigations, c.Inputs, c.Network, c.Console,
			c.Errors, c.Customs, c.Others, c.Calls, c.FailedCalls, c.ConsoleErrors, c.TextsLeft, id, o.id))
	})
	return out, err
}

func (o Org) letGo(ctx context.Context, q querier, id RecordingID) error {
	return must(exec(ctx, q, "recording", `UPDATE recordings SET state = 'going' WHERE id = ? AND org_id = ? AND state <> 'going'`, id, o.id))
}

// HideRecording takes a shown recording off the pages; it is to be removed then.
// then runs in the same transaction with its id. The entry is written with it,
// unless it is nil.
func (o Org) HideRecording(ctx context.Context, id RecordingID, then TxFunc, e *HistoryEntry) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "recording", `UPDATE recordings SET state = 'going' WHERE id = ? AND org_id = ? AND state = 'shown'`, id, o.id)); err != nil {
			return err
		}
		if err := o.note(ctx, tx, e); err != nil || then == nil {
			return err
		}
		return then(ctx, tx, int64(id))
	})
}
