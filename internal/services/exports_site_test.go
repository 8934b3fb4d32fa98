package services

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
	"sightline/internal/services/secrets"
)

// exportVendor is a LogRocket that has exports alone, with the manners that a
// test gives it.
type exportVendor struct {
	*httptest.Server
	mu sync.Mutex
	// files is how many there are; body is what one holds, of text of its own if
	// nil.
	files int
	body  func(n int) []byte
	// size is how many a page holds; generation is part of every address and only
	// the latest one is let in.
	size, generation int
	// lists are the cursors asked with, gets how often each file's first byte was
	// asked for, sent the bytes of files that were sent.
	lists []string
	gets  map[int]int
	sent  map[int]int64
	// get answers for a file in the vendor's place, if it is not nil and says so.
	get func(n int, w http.ResponseWriter, r *http.Request) bool
	// bend changes a page.
	bend func(asked string, answer map[string]any)
	// refuse is a status to answer lists with.
	refuse int
}

func lineOf(n int) []byte {
	return fmt.Appendf(nil, `{"type":"lr.core.LogEvent","time":%d,"logLevel":"info","args":["file %d"]}`+"\n", 1_790_000_000_000+n, n)
}

func (v *exportVendor) content(n int) []byte {
	if v.body != nil {
		return v.body(n)
	}
	return lineOf(n)
}

func (v *exportVendor) set(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
}

func (v *exportVendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/bucket/") {
		v.serveFile(w, r)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	q := r.URL.Query()
	asked := q.Get("cursor")
	w.Header().Set("Content-Type", "application/json")
	switch {
	case !strings.HasSuffix(r.URL.Path, "/data-export/"):
		w.WriteHeader(http.StatusNotFound)
		return
	case v.refuse != 0:
		w.WriteHeader(v.refuse)
		fmt.Fprint(w, `{"error":"vendor's words"}`)
		return
	}
	v.lists = append(v.lists, asked)
	// A cursor that no float could hold.
	const base = 9_007_199_254_740_993
	from := 0
	if asked != "" {
		n, err := strconv.Atoi(asked)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		from = n - base
	}
	to := min(v.files, from+v.size)
	sessions := []any{}
	for n := from; n < to; n++ {
		sessions = append(sessions, map[string]any{"url": fmt.Sprintf("%s/bucket/6-0000/%d.jsonl?X-Amz-Signature=%d&X-Amz-Date=%d&part=%d", v.URL, n, v.generation, v.generation, n)})
	}
	answer := map[string]any{"cursor": json.Number(strconv.Itoa(base + to)), "sessions": sessions}
	if v.bend != nil {
		v.bend(asked, answer)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (v *exportVendor) serveFile(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Query().Get("part"))
	v.mu.Lock()
	body, get, old := v.content(n), v.get, r.URL.Query().Get("X-Amz-Signature") != strconv.Itoa(v.generation)
	if !old {
		v.gets[n]++
	}
	v.mu.Unlock()
	switch {
	case r.Header.Get("Authorization") != "":
		w.WriteHeader(http.StatusBadRequest)
	case old:
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>`)
	case get != nil && get(n, w, r):
	default:
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
		http.ServeContent(&counted{w, v, n}, r, "", time.Time{}, bytes.NewReader(body))
	}
}

// counted counts what is sent of a file.
type counted struct {
	http.ResponseWriter
	v *exportVendor
	n int
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.v.set(func() { c.v.sent[c.n] += int64(n) })
	return n, err
}

// exportSite is Sightline with one connection to an exportVendor. What it reads
// of files it writes down.
type exportSite struct {
	t      *testing.T
	v      *exportVendor
	path   string
	dir    string
	master secrets.Secret
	store  *db.DB
	s      *Services
	actor  Actor
	conn   ConnectionID
	logs   bytes.Buffer // to be read when nothing works any more

	mu   sync.Mutex
	read map[ExportFileID]string
	// reader is what reads in the place of that, if it is not nil.
	reader readExport
}

func newExportSite(t *testing.T, v *exportVendor) *exportSite {
	t.Helper()
	t.Parallel()
	if v.size == 0 {
		v.size = 3
	}
	v.gets, v.sent = map[int]int{}, map[int]int64{}
	v.Server = httptest.NewServer(v)
	r := &exportSite{
		t: t, v: v, path: dbtest.File(t), dir: filepath.Join(t.TempDir(), "exports"), master: secrets.NewMasterKey(),
		actor: Actor{Org: 1, User: 1, Name: "Ada", Role: Owner}, read: map[ExportFileID]string{},
	}
	t.Cleanup(func() {
		r.keepsSecrets()
		r.kill()
		v.Close()
		for _, secret := range exportSecrets {
			if strings.Contains(r.logs.String(), secret) {
				t.Errorf("the log has %s", secret)
			}
		}
	})
	r.open()
	if _, err := r.s.People.FirstOwner(t.Context(), NewOwner{Email: "ada@example.com", Name: "Ada", Password: "correct horse", OrgName: "Acme"}); err != nil {
		t.Fatal(err)
	}
	c, problems, err := r.s.Connections.Add(t.Context(), r.actor, ConnectionForm{Vendor: LogRocket, Name: "Web app", Key: NewSecret("acme:web:planted-key")})
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	r.conn = c.ID
	return r
}

// open opens the services over the files and begins the jobs.
func (r *exportSite) open() {
	r.t.Helper()
	var err error
	if r.store, err = db.Open(r.t.Context(), r.path); err != nil {
		r.t.Fatal(err)
	}
	box, err := OpenBox(r.t.Context(), r.store, r.master, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	r.s, err = Open(r.t.Context(), Options{
		PasswordMemory: 64, DB: r.store, Box: box, FilesDir: r.dir, Log: slog.New(slog.NewTextHandler(&r.logs, nil)),
		Vendors: Vendors{LogRocketURL: r.v.URL, LogRocketAppURL: r.v.URL, Timeout: 5 * time.Second},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.s.Exports.read = r.readOne
	if err := r.s.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// exportSecrets are the key, and what makes an address as good as one.
var exportSecrets = []string{"planted-key", "X-Amz-Signature"}

// keepsSecrets fails the test if a row tells what nobody should read there.
func (r *exportSite) keepsSecrets() {
	r.t.Helper()
	if r.store == nil {
		return
	}
	for _, secret := range exportSecrets {
		var n int
		err := r.store.Queue().QueryRowContext(context.Background(), `
			SELECT (SELECT count(*) FROM export_files WHERE instr(key || name || message, ?1)) + (SELECT count(*) FROM export_follows WHERE instr(message, ?1))
				+ (SELECT count(*) FROM calls WHERE instr(says, ?1)) + (SELECT count(*) FROM history WHERE instr(summary || before || after, ?1))`, secret).Scan(&n)
		if err != nil || n > 0 {
			r.t.Errorf("%d rows tell %s (%v)", n, secret, err)
		}
	}
}

func (r *exportSite) readOne(ctx context.Context, f ExportFile, open func() (io.ReadCloser, error)) (IngestReport, error) {
	r.mu.Lock()
	other := r.reader
	r.mu.Unlock()
	if other != nil {
		return other(ctx, f, open)
	}
	return r.readWhole(open, f)
}

// readWhole writes down what a file holds.
func (r *exportSite) readWhole(open func() (io.ReadCloser, error), f ExportFile) (IngestReport, error) {
	file, err := open()
	if err != nil {
		return IngestReport{}, err
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		return IngestReport{}, err
	}
	text, err := io.ReadAll(z)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read[f.ID] += string(text)
	lines := int64(bytes.Count(text, []byte("\n")))
	return IngestReport{Lines: lines, Events: lines}, err
}

func (r *exportSite) kill() {
	r.t.Helper()
	if r.store != nil {
		killed(r.t, r.s, r.store)
		r.store = nil
	}
}

func (r *exportSite) form() ExportForm {
	return ExportForm{From: time.Now().AddDate(0, 0, -7), ExportLimits: DefaultExportLimits()}
}

func (r *exportSite) follow(f ExportForm) {
	r.t.Helper()
	if problems, err := r.s.Exports.Follow(r.t.Context(), r.actor, r.conn, f); err != nil || len(problems) > 0 {
		r.t.Fatal(problems, err)
	}
}

// until waits for a state of things, and returns it.
func (r *exportSite) until(what string, done func(st ExportStatus) bool) ExportStatus {
	r.t.Helper()
	var st ExportStatus
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var err error
		if st, err = r.s.Exports.Status(r.t.Context(), 1, r.conn); err != nil {
			r.t.Fatal(err)
		}
		if done(st) {
			return st
		}
	}
	r.t.Fatalf("never %s: %+v", what, st)
	return st
}

// settled waits until nothing is to be done for now.
func (r *exportSite) settled() ExportStatus {
	r.t.Helper()
	return r.until("settled", func(st ExportStatus) bool {
		return st.State != ExportsWorking && (st.State != ExportsFollowing || st.Totals.Waiting == 0) && st.Totals.Unread == 0
	})
}

// has fails the test unless the first n files were read, each once and whole,
// and what is on disk is theirs.
func (r *exportSite) has(n int) {
	r.t.Helper()
	files, err := r.s.Exports.Files(r.t.Context(), 1, ExportFilter{Connection: r.conn, Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	var got []string
	r.mu.Lock()
	for _, f := range files {
		got = append(got, r.read[f.ID])
	}
	r.mu.Unlock()
	slices.Reverse(got)
	for i := range max(n, len(got)) {
		if i >= n || i >= len(got) || got[i] != string(r.v.content(i)) {
			r.t.Fatalf("%d files were read, want %d, each once and whole; file %d is another one", len(got), n, i)
		}
	}
	var stored int64
	for _, path := range r.onDisk() {
		info, err := os.Stat(path)
		if err != nil {
			r.t.Fatal(err)
		}
		stored += info.Size()
	}
	st := r.settled()
	if st.Totals.Stored != stored || st.Totals.Done != int64(n) || st.Totals.Files != int64(n) {
		r.t.Errorf("the totals are %+v, and %d bytes lie on disk", st.Totals, stored)
	}
}

func (r *exportSite) onDisk() []string {
	r.t.Helper()
	paths, err := filepath.Glob(filepath.Join(r.dir, "*", "*"))
	if err != nil {
		r.t.Fatal(err)
	}
	return paths
}

func (r *exportSite) force(query string) {
	r.t.Helper()
	if _, err := r.store.Queue().ExecContext(r.t.Context(), query); err != nil {
		r.t.Fatal(err)
	}
}
