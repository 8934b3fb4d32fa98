package services

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
)

// recordingSite is an organization with a LogRocket connection whose export
// files are read.
type recordingSite struct {
	t     *testing.T
	store *db.DB
	r     *Recordings
	files int
}

func newRecordingSite(t *testing.T) *recordingSite {
	t.Helper()
	s := &recordingSite{t: t, store: dbtest.New(t)}
	at := time.UnixMilli(1_763_000_000_000)
	org, err := s.store.AddOrgUnscoped(t.Context(), "acme", "Acme", at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.Org(org.ID).AddConnection(t.Context(), db.Connection{Vendor: "logrocket", Name: "Shop", CreatedAt: at},
		func(db.ConnectionID) (map[string][]byte, error) { return nil, nil }, db.HistoryEntry{At: at}); err != nil {
		t.Fatal(err)
	}
	s.open()
	return s
}

// open starts anew, as after the end of the program.
func (s *recordingSite) open() {
	s.t.Helper()
	log := slog.New(slog.DiscardHandler)
	q := newQueue(s.store, log)
	s.r = newRecordings(s.store, q, NewConnections(s.store, nil, Vendors{}, log, time.Now), log, time.Now)
	if err := q.open(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.r.settle(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *recordingSite) org() db.Org { return s.store.Org(1) }

// add adds a file's row.
func (s *recordingSite) add(name string) db.ExportFile {
	s.t.Helper()
	s.files++
	f, added, err := s.org().AddExportFile(s.t.Context(), db.ExportFile{Connection: 1, Key: fmt.Sprint(s.files), Name: name, CreatedAt: time.UnixMilli(1_763_900_000_000)})
	if err != nil || !added {
		s.t.Fatal(added, err)
	}
	return f
}

func (s *recordingSite) read(f db.ExportFile, content []byte) (IngestReport, error) {
	return s.r.Read(s.t.Context(), f, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
}

// ingest adds a file, reads it and returns its recordings.
func (s *recordingSite) ingest(name string, content []byte) (IngestReport, []Recording) {
	s.t.Helper()
	f := s.add(name)
	report, err := s.read(f, content)
	if err != nil {
		s.t.Fatal(err)
	}
	list, err := s.r.OfFile(s.t.Context(), 1, f.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return report, list
}

// dump writes down all that is stored of recordings, without the ids that each
// reading gives anew.
func (s *recordingSite) dump() []string {
	s.t.Helper()
	var out []string
	for _, q := range []string{
		`SELECT 'recording', recording_id, session_id, state, coalesce(c.email, ''), user_id, r.started_at, ended_at, r.browser, first_url, network, console, errors, others, calls, failed_calls, console_errors, counted_to
			FROM recordings r LEFT JOIN customers c ON c.id = r.customer_id`,
		`SELECT 'blocks', r.recording_id, r.session_id, count(*), sum(length(b.data)) FROM recordings r JOIN recording_blocks b ON b.id >> 20 = r.id GROUP BY r.id`,
		`SELECT 'calls', r.recording_id, r.session_id, count(*), sum(length(b.data)) FROM recordings r JOIN recording_calls b ON b.id >> 20 = r.id GROUP BY r.id`,
		`SELECT 'map', r.recording_id, r.session_id, hex(m.data) FROM recordings r JOIN recording_maps m ON m.recording_id = r.id`,
		`SELECT 'text', r.recording_id, r.session_id, t.position, e.kind, e.text, t.started_at, t.times, t.bad, t.first_event, t.first_at, t.bad_event, t.timed, hex(t.loads)
			FROM recording_texts t JOIN recordings r ON r.id = t.recording_id JOIN event_texts e ON e.id = t.text_id`,
		`SELECT 'day', d.connection_id, d.day, d.kind, e.text, d.recordings, d.bad_recordings, d.times, d.bad, d.timed, hex(d.loads) FROM text_days d JOIN event_texts e ON e.id = d.text_id`,
		`SELECT 'texts', kind, text FROM event_texts`,
		`SELECT 'left', 'blocks', count(*) FROM recording_blocks WHERE id >> 20 NOT IN (SELECT id FROM recordings) HAVING count(*) > 0`,
		`SELECT 'left', 'calls', count(*) FROM recording_calls WHERE id >> 20 NOT IN (SELECT id FROM recordings) HAVING count(*) > 0`,
		`SELECT 'customer', email, name, first_seen, last_seen FROM customers`,
		`SELECT 'bad', line, why, text FROM export_bad_lines`,
	} {
		rows, err := s.store.Queue().Query(q)
		if err != nil {
			s.t.Fatalf("%s: %v", q, err)
		}
		columns, _ := rows.Columns()
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				s.t.Fatal(err)
			}
			var b strings.Builder
			for _, v := range values {
				fmt.Fprintf(&b, "%v ", *v.(*any))
			}
			out = append(out, b.String())
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			s.t.Fatal(err)
		}
	}
	slices.Sort(out)
	return out
}

const (
	firstPair  = "6-019aab12-3456-7abc-8def-0123456789ab" // began at 2025-11-22 06:39:34.230 UTC
	secondPair = "6-019aab22-3456-7abc-8def-0123456789ab"
)

// busyFile is a file of two recordings with some hundred events each, calls that
// are answered, fail and are never answered, and bad lines.
func busyFile(n int) []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	for r, pair := range []string{firstPair, secondPair} {
		begin := startOf(pair).UnixMilli()
		line(`{"type":"lr.Metadata","time":%d,"recordingID":%q,"sessionID":%d,"browser":"Chrome","browserVersion":"131","release":"4.1"}`, begin, pair, r)
		line(`{"type":"lr.Identify","time":%d,"userID":"u%d","userTraits":{"email":"ada%d@example.com","name":"Ada"}}`, begin+1, r, r)
		line(`{"type":"navigation","time":%d,"url":"https://shop.example.com/orders/17?x=1","title":"Order"}`, begin+2)
		line(`no event`)
		for i := range n {
			at := begin + 100 + int64(i)*1000
			line(`{"type":"lr.network.RequestEvent","time":%d,"reqId":"%d","url":"https://api.example.com/orders/%d?page=%d","method":"GET"}`, at, i, i, i)
			if status := 200 + i%3*150; i%7 != 6 {
				line(`{"type":"lr.network.ResponseEvent","time":%d,"reqId":"%d","status":%d}`, at+20+int64(i%5)*40, i, status)
			}
			line(`{"type":"lr.core.LogEvent","time":%d,"logLevel":"%s","args":["item %d"]}`, at+5, []string{"info", "error"}[i%2], i%30)
			line(`{"type":"lr.CustomEvent","time":%d,"name":"step %d"}`, at+6, i%4)
			if i%50 == 49 {
				line(`{"type":"lr.core.Exception","time":%d,"errorType":"TypeError","message":"x%d is null","stack":"at f (a.js:1:2)"}`, at+7, i)
			}
		}
	}
	return b.Bytes()
}

func zip(content []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(content) // to memory
	_ = z.Close()
	return b.Bytes()
}

func TestReadingAFileAgainLeavesTheSameRows(t *testing.T) {
	t.Parallel()
	s := newRecordingSite(t)
	content := busyFile(300)
	f := s.add("a.jsonl")
	var first []string
	for n, file := range [][]byte{content, zip(content), content} {
		report, err := s.read(f, file)
		if err != nil {
			t.Fatal(err)
		}
		if report.Recordings != 2 || report.BadLines != 2 || report.Events != report.Lines-2 || report.RawBytes != int64(len(content)) || report.Message != "" {
			t.Errorf("report %+v", report)
		}
		if got := s.dump(); n == 0 {
			first = got
		} else if !slices.Equal(first, got) {
			t.Fatalf("reading %d\n%s\nfirst\n%s", n, strings.Join(got, "\n"), strings.Join(first, "\n"))
		}
	}
	// The same content as another file takes the place of the first.
	if report, list := s.ingest("b.jsonl", content); report.Recordings != 2 || len(list) != 2 {
		t.Errorf("report %+v", report)
	}
	got := slices.DeleteFunc(s.dump(), func(l string) bool { return strings.HasPrefix(l, "bad") })
	if want := slices.DeleteFunc(slices.Clone(first), func(l string) bool { return strings.HasPrefix(l, "bad") }); !slices.Equal(got, want) {
		t.Errorf("another file\n%s\nfirst\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// What is less than what came before does not take its place.
	if report, list := s.ingest("c.jsonl", busyFile(20)); report.Older != 2 || len(list) != 0 || !strings.Contains(report.Message, "more had come before") {
		t.Errorf("report %+v, %d recordings", report, len(list))
	}
	if again := slices.DeleteFunc(s.dump(), func(l string) bool { return strings.HasPrefix(l, "bad") }); !slices.Equal(got, again) {
		t.Errorf("less content\n%s\nbefore\n%s", strings.Join(again, "\n"), strings.Join(got, "\n"))
	}
}

// TestACutAtEachStepLosesAndDoublesNothing makes the store fail at every kind of
// statement of reading, counting and removing, as a kill would cut it off.
func TestACutAtEachStepLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	content := busyFile(600)
	whole := newRecordingSite(t)
	whole.ingest("a.jsonl", content)
	want := whole.dump()
	cuts := map[string]string{
		"the row":             `BEFORE INSERT ON recordings`,
		"a later row":         `BEFORE INSERT ON recordings WHEN new.recording_id = '` + secondPair + `'`,
		"a block":             `BEFORE INSERT ON recording_blocks WHEN new.id & 0xfffff = 5`,
		"calls":               `BEFORE INSERT ON recording_calls`,
		"a text":              `BEFORE INSERT ON recording_texts WHEN new.position = 40`,
		"a new text":          `BEFORE INSERT ON event_texts WHEN new.text LIKE 'TypeError%'`,
		"the map":             `BEFORE INSERT ON recording_maps`,
		"the customer":        `BEFORE INSERT ON identities`,
		"the second's map":    `BEFORE INSERT ON recording_maps WHEN (SELECT count(*) FROM recording_maps) = 1`,
		"showing":             `BEFORE UPDATE OF state ON recordings WHEN new.state = 'shown'`,
		"counting":            `BEFORE INSERT ON text_days WHEN (SELECT count(*) FROM text_days) > 20`,
		"the end of counting": `BEFORE UPDATE OF counted_to ON recordings WHEN new.counted_to > 1000000`,
		"bad lines":           `BEFORE INSERT ON export_bad_lines`,
		// of what was there before
		"uncounting":         `BEFORE DELETE ON recording_texts WHEN old.position = 20`,
		"removing a block":   `BEFORE DELETE ON recording_blocks`,
		"removing calls":     `BEFORE DELETE ON recording_calls`,
		"removing the map":   `BEFORE DELETE ON recording_maps`,
		"removing the row":   `BEFORE DELETE ON recordings`,
		"removing its texts": `BEFORE DELETE ON event_texts`,
	}
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRecordingSite(t)
			f := s.add("a.jsonl")
			removing := strings.Contains(cut, "DELETE")
			if removing {
				if _, err := s.read(f, bytes.ReplaceAll(busyFile(150), []byte("item"), []byte("thing"))); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.store.Queue().Exec(`CREATE TRIGGER cut_off ` + cut + ` BEGIN SELECT RAISE(ABORT, 'cut off'); END`); err != nil {
				t.Fatal(err)
			}
			if _, err := s.read(f, content); err == nil {
				t.Fatal("it was not cut off")
			}
			if _, err := s.store.Queue().Exec(`DROP TRIGGER cut_off`); err != nil {
				t.Fatal(err)
			}
			s.open()
			if _, err := s.read(f, content); err != nil {
				t.Fatal(err)
			}
			s.settled()
			if got := s.dump(); !slices.Equal(got, want) {
				t.Errorf("cut off\n%s\nwhole\n%s", strings.Join(diffLines(got, want), "\n"), strings.Join(diffLines(want, got), "\n"))
			}
		})
	}
}

// diffLines are the lines of a that b lacks.
func diffLines(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(l string) bool { return slices.Contains(b, l) })
}

// settled does what the jobs of recordings are there for.
func (s *recordingSite) settled() {
	s.t.Helper()
	rows, err := s.store.SettleRecordingsUnscoped(s.t.Context(), 0, 100)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, row := range rows {
		if _, err := s.r.run(s.t.Context(), row.Org, row.ID); err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestAReadingThatIsStoppedShowsNothing(t *testing.T) {
	t.Parallel()
	s := newRecordingSite(t)
	f, content := s.add("a.jsonl"), busyFile(8000)
	coming := func() (n int) {
		t.Helper()
		if err := s.store.Queue().QueryRow(`SELECT count(*) FROM recordings WHERE state = 'coming'`).Scan(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	ctx, cancel := context.WithCancel(t.Context())
	in := io.MultiReader(bytes.NewReader(content[:len(content)/2]), readerFunc(func([]byte) (int, error) {
		if p, ok := s.r.Progress(f.ID); !ok || p.Bytes == 0 {
			t.Errorf("progress %+v, %t", p, ok)
		}
		if _, err := s.read(f, content); kindOf(err) != Conflict {
			t.Errorf("a second reading at the same time: %v", err)
		}
		for end := time.Now().Add(patience); coming() == 0 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		cancel()
		return 0, ctx.Err()
	}))
	if _, err := s.r.Read(ctx, f, func() (io.ReadCloser, error) { return io.NopCloser(in), nil }); !errors.Is(err, context.Canceled) {
		t.Fatalf("ended with %v", err)
	}
	if list, err := s.r.OfFile(t.Context(), 1, f.ID); err != nil || len(list) > 0 {
		t.Errorf("%d recordings are shown (%v)", len(list), err)
	}
	var jobs int
	err := s.store.Queue().QueryRow(`SELECT count(*) FROM river_job WHERE queue = 'recordings'`).Scan(&jobs)
	if err != nil || coming() > 0 || jobs == 0 {
		t.Errorf("%d recordings stay as they are until the next start, and %d jobs remove (%v)", coming(), jobs, err)
	}
	s.settled()
	if left := s.dump(); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestRemovingARecordingTakesEverything(t *testing.T) {
	t.Parallel()
	s := newRecordingSite(t)
	_, list := s.ingest("a.jsonl", busyFile(200))
	for _, rec := range list {
		support := Actor{Org: 1, User: 1, Role: Support}
		if err := s.r.Remove(t.Context(), support, rec.ID); kindOf(err) != Denied {
			t.Errorf("support removed it: %v", err)
		}
		if err := s.r.Remove(t.Context(), Actor{Org: 2, User: 1, Role: Owner}, rec.ID); kindOf(err) != NotFound {
			t.Errorf("another organization removed it: %v", err)
		}
		if err := s.r.Remove(t.Context(), Actor{Org: 1, Name: "Ada", Role: Admin}, rec.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.r.Get(t.Context(), 1, rec.ID); kindOf(err) != NotFound {
			t.Errorf("it is still there: %v", err)
		}
	}
	s.settled()
	left := slices.DeleteFunc(s.dump(), func(l string) bool { return strings.HasPrefix(l, "customer") || strings.HasPrefix(l, "bad") })
	if len(left) > 0 {
		t.Errorf("left %v", left)
	}
}
