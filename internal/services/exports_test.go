package services

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
)

func TestExportsAreFollowedToTheirEndAndOn(t *testing.T) {
	r := newExportSite(t, &exportVendor{files: 10})
	r.follow(r.form())
	st := r.settled()
	r.has(10)
	if st.State != ExportsFollowing || !st.Complete {
		t.Errorf("%+v", st)
	}
	// The same again, and two more.
	r.v.set(func() { r.v.files = 12 })
	if err := r.s.Exports.LookNow(t.Context(), r.actor, r.conn); err != nil {
		t.Fatal(err)
	}
	r.until("twelve", func(st ExportStatus) bool { return st.Totals.Done == 12 })
	r.has(12)
	for n, times := range r.v.gets {
		if times != 1 {
			t.Errorf("file %d was fetched %d times", n, times)
		}
	}
	// From earlier on: the list is walked again, and nothing fetched again.
	asked := len(r.v.lists)
	form := r.form()
	form.From = form.From.AddDate(0, 0, -20)
	r.follow(form)
	r.until("walked again", func(st ExportStatus) bool { return st.State == ExportsFollowing && st.Complete })
	r.has(12)
	if r.v.lists[asked] != "" || len(r.v.gets) != 12 {
		t.Errorf("asked with %q after the date was changed", r.v.lists[asked:])
	}
}

// The ends of lists that are not an empty page with the cursor repeated.
func TestExportListsThatEndOtherwise(t *testing.T) {
	for name, tt := range map[string]struct {
		bend  func(asked string, answer map[string]any)
		state ExportState
	}{
		"no cursor at the end": {func(_ string, a map[string]any) {
			if len(a["sessions"].([]any)) < 3 {
				delete(a, "cursor")
			}
		}, ExportsFollowing},
		"the cursor turns back": {func(asked string, a map[string]any) {
			if len(a["sessions"].([]any)) == 0 {
				a["cursor"], a["sessions"] = "9007199254740996", []any{map[string]any{"nothing": 1}}
			}
		}, ExportsFailing},
	} {
		t.Run(name, func(t *testing.T) {
			r := newExportSite(t, &exportVendor{files: 7, bend: tt.bend})
			r.follow(r.form())
			if st := r.settled(); st.State != tt.state {
				t.Errorf("%+v", st)
			}
			r.has(7)
		})
	}
}

func bigBody(n int) []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for b.Len() < 300<<10 {
		fmt.Fprintf(&b, `{"type":"lr.core.LogEvent","time":%d,"args":["%x"]}`+"\n", 1_790_000_000_000+b.Len(), r.Uint64())
	}
	return b.Bytes()
}

// A line that breaks again and again brings every byte once.
func TestAnExportFileGoesOnWhereItBroke(t *testing.T) {
	v := &exportVendor{files: 1, body: bigBody}
	breaks := 0
	v.get = func(n int, w http.ResponseWriter, r *http.Request) bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		breaks++
		if breaks > 3 {
			return false
		}
		body, from := v.content(n), 0
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(body)-1, len(body)))
		}
		w.Header().Set("ETag", `"0"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(body)-from))
		if from > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		part := body[from : from+70<<10]
		v.sent[n] += int64(len(part))
		_, _ = w.Write(part)
		return true // shorter than it said: the server cuts the line
	}
	r := newExportSite(t, v)
	r.follow(r.form())
	for broken := 1; broken <= 3; broken++ {
		r.until("broken off", func(st ExportStatus) bool {
			v.mu.Lock()
			defer v.mu.Unlock()
			return breaks >= broken && st.State != ExportsWorking
		})
		r.force(`UPDATE export_files SET next_at = 0`)
		if err := r.s.Exports.LookNow(t.Context(), r.actor, r.conn); err != nil {
			t.Fatal(err)
		}
	}
	r.until("read", func(st ExportStatus) bool { return st.Totals.Done == 1 })
	r.has(1)
	if sent := v.sent[0]; sent != int64(len(bigBody(0))) {
		t.Errorf("%d bytes were sent for %d", sent, len(bigBody(0)))
	}
}

func TestAddressesThatHaveExpiredAreListedAgain(t *testing.T) {
	v := &exportVendor{files: 5}
	once := true
	v.get = func(n int, w http.ResponseWriter, r *http.Request) bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		if once { // all addresses grow old while the first is looked at
			once = false
			v.generation++
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	}
	r := newExportSite(t, v)
	r.follow(r.form())
	r.settled()
	r.has(5)
	all := 0
	for _, times := range v.gets {
		all += times
	}
	if all != 6 { // the one that was looked at comes twice
		t.Errorf("files were let in %d times: %v", all, v.gets)
	}
}

// The rest of a file that is another one by now, or of a server that knows no
// rests, is not put behind what is here.
func TestAnExportFileThatChangedBeginsAnew(t *testing.T) {
	for name, second := range map[string]func(w http.ResponseWriter, r *http.Request){
		"another version": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"b"`)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(bigBody(0)))
		},
		"no parts": func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(bigBody(0)) },
	} {
		t.Run(name, func(t *testing.T) {
			v := &exportVendor{files: 1, body: bigBody}
			v.get = func(n int, w http.ResponseWriter, r *http.Request) bool {
				v.mu.Lock()
				first := v.gets[n] == 1
				v.mu.Unlock()
				if !first {
					second(w, r)
					return true
				}
				w.Header().Set("ETag", `"a"`)
				w.Header().Set("Content-Length", "100000")
				_, _ = w.Write(bigBody(1)[:70_000])
				return true
			}
			r := newExportSite(t, v)
			r.follow(r.form())
			r.until("broken off", func(st ExportStatus) bool { return st.State == ExportsFollowing && st.Totals.Received == 70_000 })
			r.force(`UPDATE export_files SET next_at = 0`)
			if err := r.s.Exports.LookNow(t.Context(), r.actor, r.conn); err != nil {
				t.Fatal(err)
			}
			r.until("read", func(st ExportStatus) bool { return st.Totals.Done == 1 })
			r.has(1)
		})
	}
}

// What is about one file leaves the others alone.
func TestFilesThatCannotBeHadAreSaidSo(t *testing.T) {
	v := &exportVendor{files: 6}
	v.get = func(n int, w http.ResponseWriter, r *http.Request) bool {
		switch n {
		case 1:
			w.WriteHeader(http.StatusNotFound)
		case 3:
			w.Header().Set("Content-Length", "999999999999")
			_, _ = io.WriteString(w, "x")
		default:
			return false
		}
		return true
	}
	r := newExportSite(t, v)
	form := r.form()
	form.MaxFile = MinExportFile
	r.follow(form)
	st := r.until("all but one", func(st ExportStatus) bool { return st.Totals.Done == 4 && st.State == ExportsFollowing })
	if !strings.Contains(st.Sentence, "1 file could not be had") {
		t.Errorf("while a file is to be tried again: %s", st.Sentence)
	}
	r.force(`UPDATE export_files SET next_at = 0`)
	if err := r.s.Exports.LookNow(t.Context(), r.actor, r.conn); err != nil {
		t.Fatal(err)
	}
	r.until("given up", func(st ExportStatus) bool { return st.Totals.Failed == 2 })
	trouble, err := r.s.Exports.Files(t.Context(), 1, ExportFilter{Trouble: true, Limit: 10})
	if err != nil || len(trouble) != 2 {
		t.Fatal(trouble, err)
	}
	if f := trouble[1]; f.State != db.ExportFailed || f.ErrorKind != "not_found" || !strings.Contains(f.Message, "Web app") {
		t.Errorf("%+v", f)
	}
	if f := trouble[0]; f.State != db.ExportSkipped || !strings.Contains(f.Message, "larger than 1 MB") {
		t.Errorf("%+v", f)
	}
	// What had come of a file goes once it is written down that it failed.
	for end := time.Now().Add(patience); len(r.onDisk()) != 4 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if n := len(r.onDisk()); n != 4 {
		t.Errorf("%d files lie on disk", n)
	}
	// The vendor has it after all.
	v.set(func() { v.get = nil })
	if err := r.s.Exports.Again(t.Context(), r.actor, trouble[1].ID); err != nil {
		t.Fatal(err)
	}
	r.until("five", func(st ExportStatus) bool { return st.Totals.Done == 5 && st.Totals.Failed == 1 })
}

// TestExportsSurviveKills cuts the process off at every step again and again.
func TestExportsSurviveKills(t *testing.T) {
	v := &exportVendor{files: 9, body: bigBody}
	hold := make(chan struct{})
	v.get = func(n int, w http.ResponseWriter, r *http.Request) bool {
		v.mu.Lock()
		first := v.gets[n] == 1 && n%2 == 0
		body := v.content(n)
		v.mu.Unlock()
		if !first {
			return false
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:150<<10]) // half of it, and then nothing
		v.set(func() { v.sent[n] += 150 << 10 })
		w.(http.Flusher).Flush()
		select {
		case <-hold:
		case <-r.Context().Done():
		}
		return true
	}
	r := newExportSite(t, v)
	defer close(hold)
	reads, cutting := 0, true
	r.reader = func(ctx context.Context, f ExportFile, open func() (io.ReadCloser, error)) (IngestReport, error) {
		r.mu.Lock()
		reads++
		cut := cutting && reads%3 == 1
		r.mu.Unlock()
		if cut { // within
			<-ctx.Done()
			return IngestReport{}, ctx.Err()
		}
		return r.readWhole(open, f)
	}
	r.follow(r.form())
	const kills = 12
	for kill := range kills {
		time.Sleep(150 * time.Millisecond) // anywhere
		r.kill()
		if kill == kills-1 {
			cutting = false
			v.set(func() { v.get = nil })
		}
		r.open()
		r.force(`UPDATE export_follows SET next_at = 0`)
		if err := r.s.Exports.LookNow(t.Context(), r.actor, r.conn); err != nil {
			t.Fatal(err)
		}
	}
	r.until("all", func(st ExportStatus) bool { return st.Totals.Done == 9 })
	r.has(9)
}

func TestExportsArePausedResumedAndCanceled(t *testing.T) {
	v := &exportVendor{files: 6, size: 10, body: bigBody}
	v.get = func(n int, w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("ETag", `"x"`)
		_, _ = w.Write(v.content(n)[:100<<10])
		w.(http.Flusher).Flush()
		<-r.Context().Done() // the rest never comes
		return true
	}
	r := newExportSite(t, v)
	r.follow(r.form())
	r.until("coming", func(st ExportStatus) bool { return len(r.onDisk()) == 2 })
	if err := r.s.Exports.Pause(t.Context(), r.actor, r.conn); err != nil {
		t.Fatal(err)
	}
	st := r.until("paused", func(st ExportStatus) bool { return st.State == ExportsPaused })
	v.set(func() { v.get = nil })
	if st.Totals.Waiting != 6 {
		t.Errorf("%+v", st)
	}
	if err := r.s.Exports.Cancel(t.Context(), r.actor, 1); err != nil {
		t.Fatal(err)
	}
	if err := r.s.Exports.Resume(t.Context(), r.actor, r.conn); err != nil {
		t.Fatal(err)
	}
	r.until("the others", func(st ExportStatus) bool { return st.Totals.Done == 5 && st.Totals.Failed == 1 })
	if f, err := r.s.Exports.File(t.Context(), 1, 1); err != nil || f.State != db.ExportCanceled || len(r.onDisk()) != 5 {
		t.Errorf("%+v, %v, %v on disk", f, err, r.onDisk())
	}
	// Canceled while it comes.
	v.set(func() {
		v.files = 7
		v.get = func(n int, w http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	})
	if err := r.s.Exports.LookNow(t.Context(), r.actor, r.conn); err != nil {
		t.Fatal(err)
	}
	r.until("asked for", func(ExportStatus) bool { v.mu.Lock(); defer v.mu.Unlock(); return v.gets[6] > 0 })
	if err := r.s.Exports.Cancel(t.Context(), r.actor, 7); err != nil {
		t.Fatal(err)
	}
	if st := r.settled(); st.State != ExportsFollowing || st.Totals.Failed != 2 || len(r.onDisk()) != 5 {
		t.Errorf("%+v, %v on disk", st, r.onDisk())
	}
}

func (brokenReader) Read([]byte) (int, error) { return 0, fmt.Errorf("broken line") }

func TestExportsWaitForAVendorThatRefuses(t *testing.T) {
	r := newExportSite(t, &exportVendor{files: 2, refuse: 401})
	r.follow(r.form())
	st := r.until("failing", func(st ExportStatus) bool { return st.State == ExportsFailing })
	if !strings.Contains(st.Sentence, "Web app") || !strings.Contains(st.Sentence, "next try") {
		t.Errorf("%+v", st)
	}
	r.v.set(func() { r.v.refuse = 0 })
	if err := r.s.Exports.LookNow(t.Context(), r.actor, r.conn); err != nil {
		t.Fatal(err)
	}
	r.until("read", func(st ExportStatus) bool { return st.Totals.Done == 2 })
	r.has(2)
}

func TestAnExportsKeyIsWithoutWhatExpires(t *testing.T) {
	for address, want := range map[string]string{
		"https://b.s3.amazonaws.com/o/a/6-1/0.jsonl.gz?X-Amz-Signature=1&X-Amz-Date=2&X-Amz-Security-Token=3":      "b.s3.amazonaws.com/o/a/6-1/0.jsonl.gz",
		"https://storage.googleapis.com/b/x%2Fy?GoogleAccessId=1&Expires=2&Signature=3&response-content-type=gzip": "storage.googleapis.com/b/x%2Fy?response-content-type=gzip",
		"https://a.blob.core.windows.net/c/x?sv=1&se=2&sr=b&sp=r&sig=3":                                            "a.blob.core.windows.net/c/x",
		"https://d.cloudfront.net/x?id=7&Policy=1&Signature=2&Key-Pair-Id=3":                                       "d.cloudfront.net/x?id=7",
		"https://files.example/get?session=9&token=1":                                                              "files.example/get?session=9",
		"https://files.example/100%?X-Amz-Signature=1":                                                             "https://files.example/100%",
	} {
		if key, _ := exportKey(address); key != want {
			t.Errorf("%s: %s, want %s", address, key, want)
		}
	}
}

// A file that came whole before the process was killed is not fetched again.
func TestAnExportFileThatIsWholeIsNotFetchedAgain(t *testing.T) {
	v := &exportVendor{files: 1, body: bigBody}
	r := newExportSite(t, v)
	r.follow(r.form())
	r.settled()
	r.kill()
	name := filepath.Join(r.dir, "1", "1")
	if err := os.Remove(name + ".gz"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".part", bigBody(0), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(t.Context(), r.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Queue().ExecContext(t.Context(), `UPDATE export_files SET state = 'fetching', stored = 0, read_at = NULL`); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Queue().ExecContext(t.Context(), `UPDATE export_totals SET waiting = 1, done = 0, stored = 0`); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	r.read = map[ExportFileID]string{}
	r.open()
	if err := r.s.Exports.LookNow(t.Context(), r.actor, r.conn); err != nil {
		t.Fatal(err)
	}
	r.until("read", func(st ExportStatus) bool { return st.Totals.Done == 1 })
	r.has(1)
	if v.gets[0] != 1 {
		t.Errorf("the file was fetched %d times", v.gets[0])
	}
}

// A database that was put back without its files gets them again where it can.
func TestExportFilesThatAreMissingAreFetchedAgain(t *testing.T) {
	r := newExportSite(t, &exportVendor{files: 1})
	r.follow(r.form())
	r.settled()
	if _, _, err := r.s.Exports.Upload(t.Context(), r.actor, r.conn, "mine", bytes.NewReader(lineOf(7))); err != nil {
		t.Fatal(err)
	}
	r.until("both", func(st ExportStatus) bool { return st.Totals.Done == 2 })
	r.force(`UPDATE export_files SET state = 'fetched', read_at = NULL`)
	r.force(`UPDATE export_totals SET done = 0, unread = 2`)
	r.kill()
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	r.read = map[ExportFileID]string{}
	r.open()
	r.until("missed", func(st ExportStatus) bool { return st.Totals.Unread == 0 })
	if err := r.s.Exports.LookNow(t.Context(), r.actor, r.conn); err != nil {
		t.Fatal(err)
	}
	r.until("fetched again", func(st ExportStatus) bool { return st.Totals.Done == 1 && st.Totals.Failed == 1 })
	if f, err := r.s.Exports.File(t.Context(), 1, 2); err != nil || f.State != db.ExportFailed || f.Message != missingExport || f.Stored != 0 {
		t.Errorf("%+v, %v", f, err)
	}
}
