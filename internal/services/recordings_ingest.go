package services

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/eventlog"
)

// Bounds of one file, so that a hostile one cannot fill memory.
const (
	maxFileRecordings = 100
	maxFileTexts      = 50_000
)

// recordingKey is the pair by which LogRocket knows a recording.
type recordingKey struct{ recording, session string }

// ingest sorts the events of a file into its recordings.
type ingest struct {
	org      db.Org
	file     db.ExportFile
	writer   *blockWriter
	scale    db.LoadScale
	made     map[recordingKey]*recorder
	order    []*recorder
	current  *recorder // whose the events are that name no recording
	texts    int
	seen     int   // texts that its recordings know as they are written
	chunk    int64 // of how many chunks the lines were taken
	bad      []db.BadLine
	report   IngestReport
	received time.Time // the time of events of which nobody knows it
}

// pairInPath finds LogRocket's pair in an address or the name of a file, as in
// ".../6-018f…/2.jsonl".
var pairInPath = regexp.MustCompile(`(\d-[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})[/_](\d{1,9})(?:\D|$)`)

func newIngest(o db.Org, f db.ExportFile, w *blockWriter, now time.Time) *ingest {
	i := &ingest{org: o, file: f, writer: w, scale: db.NewLoadScale(), made: map[recordingKey]*recorder{}, received: f.CreatedAt}
	if i.received.IsZero() {
		i.received = now
	}
	key, sure := recordingKey{}, false
	for _, s := range []string{f.Key, f.Name} {
		if m := pairInPath.FindStringSubmatch(s); m != nil && !sure {
			key, sure = recordingKey{m[1], m[2]}, true
		}
	}
	if !sure { // until an event tells better
		sum := sha256.Sum256([]byte(f.Key))
		key = recordingKey{"file-" + hex.EncodeToString(sum[:8]), "0"}
	}
	i.current = i.add(key, sure)
	return i
}

func (i *ingest) add(key recordingKey, sure bool) *recorder {
	r := newRecorder(i, key, sure)
	i.made[key] = r
	i.order = append(i.order, r)
	return r
}

// line takes one line of the file.
func (i *ingest) line(l rawLine) {
	i.report.Lines++
	if l.bad == "" {
		var e eventlog.Event
		if e, l.bad = eventlog.Parse(l.raw); l.bad == "" {
			if r := i.recorder(e); r != nil && r.blocks < db.MaxBlocks {
				i.report.Events++
				r.add(l, e)
				return
			}
			l.bad = "the file holds more than is read of one file"
		}
	}
	i.report.BadLines++
	if len(i.bad) < keptBadLines {
		i.bad = append(i.bad, db.BadLine{Line: l.number, Why: l.bad, Text: shortTo(db.CleanText(string(l.raw[:min(len(l.raw), 1<<10)])), 500)})
	}
}

// took ends a chunk.
func (i *ingest) took() {
	i.chunk++
	for _, r := range i.order {
		r.own()
	}
}

// recorder says to which recording an event belongs; nil if there are too many.
func (i *ingest) recorder(e eventlog.Event) *recorder {
	if e.Who == nil || e.Who.RecordingID == "" && e.Who.SessionID == "" {
		return i.current
	}
	now := i.current
	key := recordingKey{db.CutIdentity(db.CleanText(e.Who.RecordingID)), db.CutIdentity(db.CleanText(e.Who.SessionID))}
	if key.recording == "" {
		key.recording = now.key.recording
	}
	if key.session == "" {
		key.session = "0"
		if key.recording == now.key.recording {
			key.session = now.key.session
		}
	}
	if key == now.key {
		now.sure = true
		return now
	}
	if r := i.made[key]; r != nil {
		i.current = r
		return r
	}
	if !now.sure { // what came before the name belongs to it
		delete(i.made, now.key)
		now.name(key)
		i.made[key] = now
		return now
	}
	if len(i.order) >= maxFileRecordings {
		return nil
	}
	i.current = i.add(key, true)
	return i.current
}

// end closes what is open.
func (i *ingest) end() {
	for _, r := range i.order {
		r.end()
	}
}

// show stores the texts of the recordings and shows them, one after the other.
func (i *ingest) show(ctx context.Context) error {
	for _, r := range i.order {
		if r.id == 0 {
			continue // nothing in the file was of it
		}
		facts := r.facts()
		texts := r.rows()
		for len(texts) > 0 {
			n := min(len(texts), textsAtOnce)
			if err := i.org.PutRecordingTexts(ctx, r.id, facts.StartedAt, texts[:n]); err != nil {
				return err
			}
			texts = texts[n:]
		}
		row := db.Recording{ID: r.id, VendorRecording: r.key.recording, VendorSession: r.key.session, RecordingFacts: facts}
		shown, err := i.org.ShowRecording(ctx, row, eventlog.PackMap(r.spans))
		if err != nil {
			return err
		}
		if shown.Older {
			i.report.Older++
		} else {
			i.report.Recordings++
		}
		for _, id := range []RecordingID{shown.Replaced, r.id} {
			if id != 0 {
				if err := settleRecording(ctx, i.org, id); err != nil {
					return err
				}
			}
		}
	}
	if i.report.Older > 0 {
		i.report.Message = strings.TrimSpace(i.report.Message + " Of what it holds, more had come before: that stays.")
	}
	return nil
}

// textsAtOnce is how many texts of a recording one transaction stores.
const textsAtOnce = 200

// startOf is when a recording began, by its id: one that begins with "6-" is a
// UUID of version 7, whose first 48 bits are a time in milliseconds.
func startOf(recording string) time.Time {
	id, ok := strings.CutPrefix(recording, "6-")
	if hexes := strings.ReplaceAll(id, "-", ""); ok && len(hexes) == 32 && hexes[12] == '7' {
		if ms, err := strconv.ParseInt(hexes[:12], 16, 64); err == nil {
			return time.UnixMilli(ms).UTC()
		}
	}
	return time.Time{}
}
