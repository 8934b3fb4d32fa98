package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"sightline/internal/db"
	"sightline/internal/services"
	"sightline/internal/services/eventlog"
	"sightline/internal/services/secrets"
)

const (
	// exportRounds is how often a file is read each way; the middle one counts.
	exportRounds = 3
	// exportMB is the size of the file that the rate is measured with, unpacked.
	exportMB = 100
	// openedEvents is how many events the recording has that is opened.
	openedEvents = 200_000
)

// exports measures reading LogRocket's export files: against "gunzip | wc -l" and
// bare inserts of the very rows that it stores; what memory it takes for files of
// several sizes; and opening a long recording against a short one.
func (b *bench) exports(ctx context.Context) error {
	heading("Reading an export file of %d MB", exportMB)
	x := &exportBench{tmp: b.tmp}
	file := filepath.Join(b.tmp, "export.gz")
	lines, err := makeExport(file, 0, exportMB<<20)
	if err != nil {
		return err
	}
	var ours, unpack, rows, single []float64
	for range exportRounds {
		if err := x.fresh(ctx); err != nil {
			return err
		}
		t, err := seconds(func() error { _, err := x.read(ctx, file); return err })
		if err != nil {
			return err
		}
		ours = append(ours, t)
		t, err = seconds(func() error { return gunzipLines(ctx, file, lines) })
		if err != nil {
			return err
		}
		unpack = append(unpack, t)
		t, err = x.bareRows(ctx)
		if err != nil {
			return err
		}
		rows = append(rows, t)
		if t, err = x.rowEach(ctx, file); err != nil {
			return err
		}
		single = append(single, t)
	}
	mine, theirs, each := middle(ours), middle(unpack)+middle(rows), middle(unpack)+middle(single)
	b.line("speed against gunzip | wc -l and bare inserts of the same rows",
		fmt.Sprintf("%.2f (%.0f MB/s and %.0f MB/s, %.0f events/s)", theirs/mine, exportMB/mine, exportMB/theirs, float64(lines)/mine), "≥ 0.33", theirs/mine >= 1./3)
	b.line("the same, had each event a row of its own", fmt.Sprintf("%.2f (%.0f MB/s)", each/mine, exportMB/each), "", true)
	if err := x.close(); err != nil {
		return err
	}
	if err := b.exportMemory(ctx, x); err != nil {
		return err
	}
	return b.exportOpened(ctx, x)
}

// exportMemory measures the memory that reading takes by the file's size.
func (b *bench) exportMemory(ctx context.Context, x *exportBench) error {
	heading("Memory of reading an export file")
	var first uint64
	for _, mb := range b.exportSizes {
		file := filepath.Join(b.tmp, "memory.gz")
		if _, err := makeExport(file, 0, int64(mb)<<20); err != nil {
			return err
		}
		if err := x.fresh(ctx); err != nil {
			return err
		}
		var peak uint64
		took, err := seconds(func() (err error) { peak, err = x.peak(ctx, file); return err })
		if err := errors.Join(err, x.close(), os.Remove(file)); err != nil {
			return err
		}
		if first == 0 {
			first = peak
		}
		b.line(fmt.Sprintf("%d MB", mb), fmt.Sprintf("%.0f MB of heap at the most (%.0f MB/s)", float64(peak)/1e6, float64(mb)/took), "≤ 2× the first, or 64 MB", peak <= max(2*first, 64e6))
	}
	return nil
}

// exportOpened measures the pages of a recording of 200,000 events against one of
// 2,000.
func (b *bench) exportOpened(ctx context.Context, x *exportBench) (err error) {
	heading("A recording of %d events against one of %d", openedEvents, openedEvents/100)
	if err := x.fresh(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.close()) }()
	var recs [2]services.Recording
	for i, events := range []int{openedEvents / 100, openedEvents} {
		file := filepath.Join(b.tmp, "opened.gz")
		if _, err := makeExport(file, events, 0); err != nil {
			return err
		}
		id, err := x.read(ctx, file)
		if err != nil {
			return err
		}
		list, err := x.svc.Recordings.OfFile(ctx, x.org, id)
		if err != nil || len(list) != 1 {
			return fmt.Errorf("%d recordings: %w", len(list), err)
		}
		recs[i] = list[0]
	}
	r := x.svc.Recordings
	for _, page := range []struct {
		name string
		open func(rec services.Recording) error
	}{
		{"header, strip and first page", func(rec services.Recording) error {
			_, err1 := r.Get(ctx, x.org, rec.ID)
			_, err2 := r.Overview(ctx, x.org, rec, 120)
			_, err3 := r.Events(ctx, x.org, rec.ID, services.EventFilter{}, 0)
			return errors.Join(err1, err2, err3)
		}},
		{"jump to the middle", func(rec services.Recording) error {
			place, err := r.PlaceAt(ctx, x.org, rec.ID, rec.StartedAt.Add(rec.Length()/2))
			if err == nil {
				_, err = r.Events(ctx, x.org, rec.ID, services.EventFilter{}, place)
			}
			return err
		}},
		{"errors", func(rec services.Recording) error {
			_, err := r.Events(ctx, x.org, rec.ID, services.EventFilter{Lanes: []eventlog.Lane{eventlog.Error}}, 0)
			return err
		}},
		{"network table", func(rec services.Recording) error {
			_, err := r.Calls(ctx, x.org, rec.ID, services.CallFilter{}, 0)
			return err
		}},
		{"slowest calls", func(rec services.Recording) error {
			_, err := r.Calls(ctx, x.org, rec.ID, services.CallFilter{Slowest: true}, 0)
			return err
		}},
		{"a text that is nowhere", func(rec services.Recording) error {
			_, err := r.Events(ctx, x.org, rec.ID, services.EventFilter{Text: "nowhere to be found"}, 0)
			return err
		}},
	} {
		var took [2][]float64
		for n := range 2 * 25 {
			t, err := seconds(func() error { return page.open(recs[n%2]) })
			if err != nil {
				return err
			}
			took[n%2] = append(took[n%2], t*1000)
		}
		short, long := middle(took[0]), middle(took[1])
		b.line(page.name, fmt.Sprintf("%.1f× (%.1f ms, %.1f ms)", long/short, long, short), "", true)
	}
	return nil
}

func seconds(fn func() error) (float64, error) {
	began := time.Now()
	err := fn()
	return time.Since(began).Seconds(), err
}

// exportBench is a store with a LogRocket connection.
type exportBench struct {
	tmp  string
	n    int
	path string
	d    *db.DB
	svc  *services.Services
	org  services.OrgID
	conn services.ConnectionID
}

func (x *exportBench) close() error {
	if x.d == nil {
		return nil
	}
	err := errors.Join(x.d.Close(), os.RemoveAll(filepath.Dir(x.path)))
	x.d = nil
	return err
}

// fresh begins with an empty store.
func (x *exportBench) fresh(ctx context.Context) error {
	if err := x.close(); err != nil {
		return err
	}
	x.n++
	x.path = filepath.Join(x.tmp, fmt.Sprint("export", x.n), "sightline.db")
	var err error
	if x.d, err = db.Open(ctx, x.path); err != nil {
		return err
	}
	box, err := services.OpenBox(ctx, x.d, secrets.New(strings.Repeat("5", 64)), time.Now())
	if err != nil {
		return err
	}
	if x.svc, err = services.Open(ctx, services.Options{DB: x.d, Box: box, Log: slog.New(slog.DiscardHandler)}); err != nil {
		return err
	}
	org, err := x.d.AddOrgUnscoped(ctx, benchOrg, benchOrg, lastDay())
	if err != nil {
		return err
	}
	x.org = org.ID
	c, err := x.d.Org(org.ID).AddConnection(ctx, db.Connection{Vendor: "logrocket", Name: "Shop", CreatedAt: lastDay()},
		func(db.ConnectionID) (map[string][]byte, error) { return nil, nil }, db.HistoryEntry{At: lastDay()})
	x.conn = c.ID
	return err
}

// read stores a file's recordings.
func (x *exportBench) read(ctx context.Context, file string) (services.ExportFileID, error) {
	f, _, err := x.d.Org(x.org).AddExportFile(ctx, db.ExportFile{Connection: x.conn, Key: fmt.Sprint(time.Now().UnixNano()), Name: "bench", CreatedAt: lastDay()})
	if err != nil {
		return 0, err
	}
	report, err := x.svc.Recordings.Read(ctx, f, func() (io.ReadCloser, error) { return os.Open(file) })
	if err == nil && (report.BadLines > 0 || report.Recordings != 1 || report.Message != "") {
		err = fmt.Errorf("it was read otherwise than made: %+v", report)
	}
	return f.ID, err
}

// peak reads a file and returns the most heap that was in use meanwhile.
func (x *exportBench) peak(ctx context.Context, file string) (uint64, error) {
	debug.FreeOSMemory()
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	_, err := x.read(ctx, file)
	close(stop)
	return <-peak, err
}

// gunzipLines unpacks a file and counts its lines, with the programs that do
// nothing else.
func gunzipLines(ctx context.Context, file string, want int) error {
	out, err := exec.CommandContext(ctx, "sh", "-c", `gunzip -c < "$1" | wc -l`, "sh", file).Output()
	if err != nil {
		return fmt.Errorf("gunzip | wc -l: %w", err)
	}
	if n := strings.TrimSpace(string(out)); n != fmt.Sprint(want) {
		return fmt.Errorf("gunzip | wc -l counts %s lines of %d", n, want)
	}
	return nil
}

// bareRows inserts what the store holds of recordings into another one, with the
// same indexes and without the search index, in one transaction of prepared
// statements.
func (x *exportBench) bareRows(ctx context.Context) (took float64, err error) {
	type rows struct {
		insert string
		values [][]any
	}
	var all []rows
	src, err := sql.Open("sqlite", "file:"+x.path)
	if err != nil {
		return 0, err
	}
	defer closing(src, &err)
	for _, table := range []string{"organizations", "connections", "export_files", "recordings", "recording_blocks", "recording_calls", "recording_maps", "event_texts", "recording_texts", "text_days"} {
		r := rows{}
		found, err := src.QueryContext(ctx, "SELECT * FROM "+table)
		if err != nil {
			return 0, err
		}
		columns, err := found.Columns()
		for err == nil && found.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			err = found.Scan(into...)
			for i, c := range columns {
				if blob, ok := values[i].([]byte); c == "loads" && (values[i] == nil || ok && len(blob) == 0) {
					values[i] = []byte{} // the driver reads an empty one so
				}
			}
			r.values = append(r.values, values)
		}
		if err := errors.Join(err, found.Err(), found.Close()); err != nil {
			return 0, err
		}
		r.insert = "INSERT INTO " + table + " VALUES (" + strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ") + ")"
		all = append(all, r)
	}
	bare, err := x.bareStore(ctx)
	if err != nil {
		return 0, err
	}
	defer closing(bare, &err)
	return seconds(func() error {
		return inOne(ctx, bare, func(tx *sql.Tx) error {
			for _, r := range all {
				st, err := tx.PrepareContext(ctx, r.insert)
				if err != nil {
					return err
				}
				for _, v := range r.values {
					if _, err := st.ExecContext(ctx, v...); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

// bareStore is an empty store without what keeps the search index.
func (x *exportBench) bareStore(ctx context.Context) (*sql.DB, error) {
	x.n++
	path := filepath.Join(filepath.Dir(x.path), fmt.Sprint("bare", x.n), "sightline.db")
	d, err := db.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := d.Close(); err != nil {
		return nil, err
	}
	s, err := newBareStore(ctx, path)
	if err != nil {
		return nil, err
	}
	return s.db, nil
}

func inOne(ctx context.Context, d *sql.DB, fn func(tx *sql.Tx) error) error {
	tx, err := d.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// rowEach inserts a bare row for each event: its place, time, lane and line.
func (x *exportBench) rowEach(ctx context.Context, file string) (took float64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer closing(f, &err)
	z, err := gzip.NewReader(f)
	if err != nil {
		return 0, err
	}
	var lines [][]byte
	for s := bufio.NewScanner(z); s.Scan(); {
		lines = append(lines, []byte(s.Text()))
	}
	bare, err := x.bareStore(ctx)
	if err != nil {
		return 0, err
	}
	defer closing(bare, &err)
	if _, err := bare.ExecContext(ctx, `CREATE TABLE each (recording INTEGER, place INTEGER, at INTEGER, lane INTEGER, text INTEGER, line BLOB, PRIMARY KEY (recording, place)) STRICT`); err != nil {
		return 0, err
	}
	return seconds(func() error {
		return inOne(ctx, bare, func(tx *sql.Tx) error {
			st, err := tx.PrepareContext(ctx, `INSERT INTO each VALUES (1, ?, ?, ?, ?, ?)`)
			if err != nil {
				return err
			}
			for i, l := range lines {
				if _, err := st.ExecContext(ctx, i, 1763812800000+i, i%7, i%900, l); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// makeExport writes a gzipped recording of so many events, or of so many bytes
// unpacked, and returns its lines.
func makeExport(path string, events int, size int64) (lines int, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer closing(f, &err)
	z, err := gzip.NewWriterLevel(f, gzip.DefaultCompression)
	if err != nil {
		return 0, err
	}
	defer closing(z, &err)
	w := &madeExport{w: bufio.NewWriterSize(z, 1<<20), r: rand.New(rand.NewPCG(madeVersion, 20)), at: 1763812800000}
	w.line(`{"type":"lr.Metadata","time":%d,"recordingID":"5-bench-%d","sessionID":1,"browser":"Chrome","os":"macOS"}`, w.at, events)
	w.line(`{"type":"lr.Identify","time":%d,"userID":"u1","userTraits":{"email":"bench@shop.example.com","name":"Bench"}}`, w.at+1)
	for (events == 0 || w.lines < events) && (size == 0 || w.bytes < size) && w.err == nil {
		w.event()
	}
	return w.lines, errors.Join(w.err, w.w.Flush())
}

// madeExport makes the lines of a recording, some 560 bytes each.
type madeExport struct {
	w     *bufio.Writer
	r     *rand.Rand
	at    int64
	lines int
	bytes int64
	err   error
}

func (m *madeExport) line(format string, args ...any) {
	n, err := fmt.Fprintf(m.w, format+"\n", args...)
	m.lines, m.bytes, m.err = m.lines+1, m.bytes+int64(n), errors.Join(m.err, err)
}

func (m *madeExport) words(n int) string {
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "%s%d ", pick(m.r, "order", "basket", "customer", "invoice", "address", "voucher", "delivery", "payment"), m.r.IntN(5000))
	}
	return b.String()
}

func (m *madeExport) event() {
	m.at += int64(m.r.IntN(40))
	switch n := m.r.IntN(100); {
	case n < 25: // and its answer
		id, status := m.lines, 200
		if m.r.IntN(20) == 0 {
			status = pick(m.r, 404, 500, 503)
		}
		m.line(`{"type":"lr.network.RequestEvent","time":%d,"reqId":"%d","url":"https://api.example.com/v1/%s/%d?page=%d&q=%d","method":"%s","headers":{"accept":"application/json","x-request-id":"%x","authorization":"*****"},"body":"%s"}`,
			m.at, id, pick(m.r, "orders", "baskets", "customers", "invoices", "vouchers"), m.r.IntN(100000), m.r.IntN(9), m.r.IntN(1000), pick(m.r, "GET", "GET", "POST", "PUT"), m.r.Uint64(), m.words(20))
		m.line(`{"type":"lr.network.ResponseEvent","time":%d,"reqId":"%d","status":%d,"method":"GET","headers":{"content-type":"application/json","x-request-id":"%x","cache-control":"no-store"},"body":"%s"}`,
			m.at+int64(20+m.r.ExpFloat64()*200), id, status, m.r.Uint64(), m.words(30))
	case n < 55:
		m.line(`{"type":"lr.core.LogEvent","time":%d,"logLevel":"%s","args":["%s %d",{"state":"%s","n":%d}]}`, m.at, pick(m.r, "log", "info", "info", "warn", "error"),
			pick(m.r, "render", "effect", "fetch", "cache", "route"), m.r.IntN(300), m.words(3), m.r.IntN(9))
	case n < 70:
		m.line(`{"type":"lr.redux.ReduxAction","time":%d,"action":{"type":"%s/%d","payload":"%s"},"duration":%d}`, m.at, pick(m.r, "cart", "user", "list"), m.r.IntN(40), m.words(35), m.r.IntN(20))
	case n < 85:
		m.line(`{"type":"click","time":%d,"text":"%s","selector":"main > div:nth-of-type(%d) button","x":%d,"y":%d,"path":"%s"}`, m.at, pick(m.r, "Pay", "Add", "Next", "Back", "Search", "Open"), m.r.IntN(9), m.r.IntN(1200), m.r.IntN(900), m.words(22))
	case n < 93:
		m.line(`{"type":"lr.CustomEvent","time":%d,"name":"%s","properties":{"position":%d,"text":"%s"}}`, m.at, pick(m.r, "viewed product", "added to basket", "began checkout", "paid"), m.r.IntN(99), m.words(25))
	case n < 98:
		m.line(`{"type":"navigation","time":%d,"url":"https://shop.example.com/%s/%d?ref=%d","title":"%s"}`, m.at, pick(m.r, "orders", "basket", "account", "search"), m.r.IntN(9999), m.r.IntN(9999), m.words(2))
	default:
		m.line(`{"type":"lr.core.Exception","time":%d,"exceptionType":"UNHANDLED_EXCEPTION","errorType":"TypeError","message":"Cannot read properties of undefined (reading 'f%d')","stack":"%s"}`, m.at, m.r.IntN(60), strings.Repeat(`at f (https://shop.example.com/app.js:1:234)\n`, 12))
	}
}
