package db

import (
	"context"
	"database/sql"
	"errors"
)

const (
	// textStep is how many texts of a recording are counted or removed in one
	// transaction, and blockStep how many blocks are removed.
	textStep, blockStep = 100, 50
	// allCounted is the counted_to of a recording whose texts are all counted.
	allCounted = 1<<63 - 1
)

// SettleRecording does the next step of what is left to do with a recording:
// counting the texts of one that is shown, removing one that is going. done says
// that nothing is left. Of one that is still coming nothing is done.
func (o Org) SettleRecording(ctx context.Context, id RecordingID) (done bool, err error) {
	err = o.inTurnWrite(ctx, func(tx *sql.Tx) error {
		var state string
		var counted int64
		r, err := one(ctx, tx, "recording", func(s scanner) (r Recording, err error) {
			return r, s.Scan(&r.Connection, &state, &counted)
		}, `SELECT connection_id, state, counted_to FROM recordings WHERE id = ? AND org_id = ?`, id, o.id)
		if errors.Is(err, ErrNotFound) {
			done = true
			return nil
		}
		if r.ID = id; err != nil {
			return err
		}
		switch {
		case state == "going":
			done, err = o.removeStep(ctx, tx, r, counted)
		case state == "shown" && counted < allCounted:
			done, err = o.countStep(ctx, tx, r, counted)
		default:
			done = true
		}
		return err
	})
	return done, err
}

// textRow is a row of recording_texts.
type textRow struct {
	position, text, started int64
	kind                    TextKind
	times, bad, timed       int64
	loads                   Loads
}

func (o Org) textRows(ctx context.Context, q querier, id RecordingID, after int64) ([]textRow, error) {
	return list(ctx, q, "recording's texts", func(s scanner) (t textRow, err error) {
		var packed []byte
		err = s.Scan(&t.position, &t.text, &t.kind, &t.started, &t.times, &t.bad, &t.timed, &packed)
		t.loads.addPacked(packed)
		return t, err
	}, `
		SELECT position, text_id, kind, started_at, times, bad, timed, loads FROM recording_texts
		WHERE recording_id = ? AND position > ? AND org_id = ? ORDER BY position LIMIT ?`, id, after, o.id, textStep)
}

func (o Org) countStep(ctx context.Context, tx *sql.Tx, r Recording, counted int64) (done bool, err error) {
	rows, err := o.textRows(ctx, tx, r.ID, counted)
	if err != nil {
		return false, err
	}
	for _, t := range rows {
		if err := o.countText(ctx, tx, r, t, 1); err != nil {
			return false, err
		}
		counted = t.position
	}
	if done = len(rows) < textStep; done {
		counted = allCounted
	}
	_, err = exec(ctx, tx, "recording", `UPDATE recordings SET counted_to = ? WHERE id = ? AND org_id = ?`, counted, r.ID, o.id)
	return done, err
}

// countText adds a text's row to its day, or with sign -1 takes it away again.
func (o Org) countText(ctx context.Context, tx *sql.Tx, r Recording, t textRow, sign int64) error {
	if !t.kind.counted() {
		return nil
	}
	day := dayOfMS(t.started)
	loads, err := one(ctx, tx, "text's day", func(s scanner) (l Loads, err error) {
		var packed []byte
		err = s.Scan(&packed)
		l.addPacked(packed)
		return l, err
	}, `SELECT loads FROM text_days WHERE connection_id = ? AND kind = ? AND day = ? AND text_id = ?`, r.Connection, t.kind, day, t.text)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	for bucket, n := range t.loads.counts {
		if n != 0 {
			loads.add(bucket, sign*n)
		}
	}
	bad := int64(0)
	if t.bad > 0 {
		bad = 1
	}
	if _, err = exec(ctx, tx, "text's day", `
		INSERT INTO text_days AS d (connection_id, kind, day, text_id, org_id, recordings, bad_recordings, times, bad, timed, loads)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (connection_id, kind, day, text_id) DO UPDATE SET
			recordings = d.recordings + excluded.recordings, bad_recordings = d.bad_recordings + excluded.bad_recordings,
			times = d.times + excluded.times, bad = d.bad + excluded.bad, timed = d.timed + excluded.timed, loads = excluded.loads`,
		r.Connection, t.kind, day, t.text, o.id, sign, sign*bad, sign*t.times, sign*t.bad, sign*t.timed, loads.pack()); err != nil || sign > 0 {
		return err
	}
	_, err = exec(ctx, tx, "text's day", `
		DELETE FROM text_days WHERE connection_id = ? AND kind = ? AND day = ? AND text_id = ? AND recordings <= 0`, r.Connection, t.kind, day, t.text)
	return err
}

// removeStep removes texts, then blocks, then the recording itself.
func (o Org) removeStep(ctx context.Context, tx *sql.Tx, r Recording, counted int64) (done bool, err error) {
	rows, err := o.textRows(ctx, tx, r.ID, -1)
	if err != nil {
		return false, err
	}
	for _, t := range rows {
		if t.position <= counted {
			if err := o.countText(ctx, tx, r, t, -1); err != nil {
				return false, err
			}
		}
		if _, err := exec(ctx, tx, "recording's text", `DELETE FROM recording_texts WHERE recording_id = ? AND position = ? AND org_id = ?`, r.ID, t.position, o.id); err != nil {
			return false, err
		}
		if _, err := exec(ctx, tx, "event text", `
			DELETE FROM event_texts WHERE id = ? AND org_id = ?
				AND NOT EXISTS (SELECT 1 FROM recording_texts t WHERE t.text_id = event_texts.id)
				AND NOT EXISTS (SELECT 1 FROM text_days d WHERE d.text_id = event_texts.id)`, t.text, o.id); err != nil {
			return false, err
		}
	}
	if len(rows) == textStep {
		return false, nil
	}
	from, to := blockID(r.ID, 0), blockID(r.ID+1, 0)
	blocks, err := exec(ctx, tx, "recording's blocks", `
		DELETE FROM recording_blocks WHERE id IN (SELECT b.id FROM recording_blocks b WHERE b.id >= ? AND b.id < ? AND b.org_id = ? ORDER BY b.id LIMIT ?)`, from, to, o.id, blockStep)
	if err != nil || blocks == blockStep {
		return false, err
	}
	calls, err := exec(ctx, tx, "recording's calls", `
		DELETE FROM recording_calls WHERE id IN (SELECT b.id FROM recording_calls b WHERE b.id >= ? AND b.id < ? AND b.org_id = ? ORDER BY b.id LIMIT ?)`, from, to, o.id, blockStep)
	if err != nil || calls == blockStep {
		return false, err
	}
	if _, err := exec(ctx, tx, "recording's map", `DELETE FROM recording_maps WHERE recording_id = ? AND org_id = ?`, r.ID, o.id); err != nil {
		return false, err
	}
	_, err = exec(ctx, tx, "recording", `DELETE FROM recordings WHERE id = ? AND org_id = ?`, r.ID, o.id)
	return true, err
}

// UnsettledRecordings lists the recordings of a file that are to be counted or
// removed, at most 1000.
func (o Org) UnsettledRecordings(ctx context.Context, file ExportFileID) ([]RecordingID, error) {
	return list(ctx, o.db.w, "recordings", func(s scanner) (id RecordingID, err error) { return id, s.Scan(&id) }, `
		SELECT id FROM recordings WHERE file_id = ? AND org_id = ? AND (state = 'going' OR state = 'shown' AND counted_to < 9223372036854775807)
		ORDER BY id LIMIT 1000`, file, o.id)
}

// OrgRecording is a recording and whose it is.
type OrgRecording struct {
	Org OrgID
	ID  RecordingID
}

// SettleRecordingsUnscoped has what was coming when the program ended go, and
// lists the recordings that are to be counted or removed, by id, after the given
// one, at most limit. Call it only while nothing works.
func (d *DB) SettleRecordingsUnscoped(ctx context.Context, after RecordingID, limit int) ([]OrgRecording, error) {
	if _, err := exec(ctx, d.w, "recordings", `
		UPDATE recordings SET state = 'going'
		WHERE state = 'coming' AND (state <> 'shown' OR counted_to < 9223372036854775807) AND id > ?`, after); err != nil {
		return nil, err
	}
	return list(ctx, d.w, "recordings", func(s scanner) (r OrgRecording, err error) { return r, s.Scan(&r.Org, &r.ID) }, `
		SELECT org_id, id FROM recordings WHERE (state <> 'shown' OR counted_to < 9223372036854775807) AND id > ? ORDER BY id LIMIT ?`, after, limit)
}
