package services

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sightline/internal/db"
)

func TestTheQuotaStopsAndIsRaised(t *testing.T) {
	r := newExportSite(t, &exportVendor{files: 8, body: bigBody})
	r.follow(r.form())
	r.settled()
	each := r.settled().Totals.Stored / 8
	if each < 30<<10 {
		t.Fatalf("files of %d bytes prove nothing", each)
	}
	// Below what members may set, so that small files will do.
	r.force(fmt.Sprintf(`UPDATE export_follows SET quota = %d`, 8*each+300<<10-1)) // a file comes unpacked
	r.v.set(func() { r.v.files = 12 })
	if err := r.s.Exports.LookNow(t.Context(), r.actor, r.conn); err != nil {
		t.Fatal(err)
	}
	st := r.until("full", func(st ExportStatus) bool { return st.State == ExportsFull })
	if !strings.Contains(st.Sentence, "quota") || st.Totals.Done != 8 || st.Totals.Failed != 0 {
		t.Errorf("%+v", st)
	}
	// Old files go by the rule, their rows stay.
	r.force(`UPDATE export_files SET read_at = 1 WHERE id <= 4`)
	if err := r.s.Exports.LookNow(t.Context(), r.actor, r.conn); err != nil {
		t.Fatal(err)
	}
	r.until("all", func(st ExportStatus) bool { return st.Totals.Done == 12 })
	if n := len(r.onDisk()); n != 8 {
		t.Errorf("%d files lie on disk", n)
	}
	if _, _, err := r.s.Exports.Open(t.Context(), 1, 1); err == nil || !strings.Contains(err.Error(), "not kept any more") {
		t.Errorf("opening a file that went: %v", err)
	}
}

func TestFilesAreUploadedOnce(t *testing.T) {
	r := newExportSite(t, &exportVendor{})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(lineOf(0))
	_ = z.Close()
	for i, content := range [][]byte{packed.Bytes(), lineOf(1)} {
		f, fresh, err := r.s.Exports.Upload(t.Context(), r.actor, r.conn, fmt.Sprintf("../../%d.jsonl", i), bytes.NewReader(content))
		if err != nil || !fresh || f.Name != fmt.Sprintf("%d.jsonl", i) || f.AuthorName != "Ada" {
			t.Fatal(f, fresh, err)
		}
	}
	r.settled()
	r.has(2)
	if f, fresh, err := r.s.Exports.Upload(t.Context(), r.actor, r.conn, "again", bytes.NewReader(lineOf(1))); err != nil || fresh || f.Name != "1.jsonl" {
		t.Errorf("the same once more: %+v, %v, %v", f, fresh, err)
	}
	r.force(`INSERT INTO export_follows (connection_id, org_id, from_at, max_file, quota, keep_days, rate) VALUES (1, 1, 1, 100, 1000, 0, 0)`)
	for name, tt := range map[string]struct {
		content io.Reader
		says    string
	}{
		"empty":     {strings.NewReader(""), "empty"},
		"too large": {strings.NewReader(strings.Repeat("x", 101)), "larger than 100 bytes"},
		"cut off":   {io.MultiReader(strings.NewReader("x"), brokenReader{}), "broken"},
	} {
		if _, _, err := r.s.Exports.Upload(t.Context(), r.actor, r.conn, name, tt.content); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	viewer := r.actor
	viewer.Role = Viewer
	if _, _, err := r.s.Exports.Upload(t.Context(), viewer, r.conn, "x", strings.NewReader("x")); err == nil {
		t.Error("a viewer uploaded a file")
	}
	if n := len(r.onDisk()); n != 2 {
		t.Errorf("%v lie on disk", r.onDisk())
	}
	// A kill between a rule's two steps: the row lets go of a file that still lies
	// there.
	r.force(`UPDATE export_files SET stored = 0, dropped_at = 1 WHERE id = 1`)
	r.force(`UPDATE export_totals SET stored = (SELECT sum(stored) FROM export_files)`)
	// What a killed process left, and what belongs to nobody, is swept away.
	for _, name := range []string{"upload-123", "99.gz", "98.part"} {
		if err := os.WriteFile(filepath.Join(r.dir, "1", name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.kill()
	r.open()
	r.has(2)
	if left := r.onDisk(); len(left) != 1 || filepath.Base(left[0]) != "2.gz" {
		t.Errorf("%v lie on disk", left)
	}
}

type brokenReader struct{}

// A file that a rule let go of is not here any more: the same upload is a new one.
func TestAnUploadThatWasLetGoOfIsTakenAgain(t *testing.T) {
	r := newExportSite(t, &exportVendor{})
	upload := func() (ExportFile, bool) {
		t.Helper()
		f, fresh, err := r.s.Exports.Upload(t.Context(), r.actor, r.conn, "mine", bytes.NewReader(lineOf(0)))
		if err != nil {
			t.Fatal(err)
		}
		r.settled()
		return f, fresh
	}
	f, _ := upload()
	r.force(`UPDATE export_files SET read_at = 1`)
	if err := r.s.Exports.retire(t.Context(), db.Keeping{Org: 1, Connection: r.conn, KeepDays: 1}); err != nil || len(r.onDisk()) != 0 {
		t.Fatal(err, r.onDisk())
	}
	r.mu.Lock()
	r.read = map[ExportFileID]string{}
	r.mu.Unlock()
	if again, fresh := upload(); !fresh || again.ID != f.ID {
		t.Errorf("file %d, fresh %t; it was file %d", again.ID, fresh, f.ID)
	}
	r.has(1)
	// Read again while the rule goes round: it has nothing to do with a file that
	// is to be read.
	r.s.Exports.reading <- struct{}{}
	r.force(`UPDATE export_files SET read_at = 1`)
	if err := r.s.Exports.Again(t.Context(), r.actor, f.ID); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		ended <- r.s.Exports.retire(t.Context(), db.Keeping{Org: 1, Connection: r.conn, KeepDays: 1})
	}()
	if err := <-ended; err != nil || len(r.onDisk()) != 1 {
		t.Error(err, r.onDisk())
	}
	<-r.s.Exports.reading
	r.until("read", func(st ExportStatus) bool { return st.Totals.Done == 1 })
}

// Two files that come at the same time do not both take the room of one.
func TestFilesThatComeTogetherKeepToTheQuota(t *testing.T) {
	const size, quota = 300 << 10, 400 << 10
	v := &exportVendor{files: 2, body: func(n int) []byte {
		b := make([]byte, size) // which nothing packs
		rand.NewChaCha8([32]byte{byte(n)}).Read(b)
		return b
	}}
	both, asked := make(chan struct{}), 0
	v.get = func(int, http.ResponseWriter, *http.Request) bool {
		v.mu.Lock()
		if asked++; asked == 2 {
			close(both)
		}
		v.mu.Unlock()
		<-both
		return false
	}
	r := newExportSite(t, v)
	r.reader = func(context.Context, ExportFile, func() (io.ReadCloser, error)) (IngestReport, error) {
		return IngestReport{}, nil
	}
	r.force(fmt.Sprintf(`INSERT INTO export_follows (connection_id, org_id, enabled, from_at, max_file, quota, keep_days, rate) VALUES (1, 1, 1, 1, %d, %d, 0, 0)`, size, quota))
	if err := r.s.Exports.LookNow(t.Context(), r.actor, r.conn); err != nil {
		t.Fatal(err)
	}
	st := r.until("full, or both here", func(st ExportStatus) bool { return st.State == ExportsFull || st.Totals.Done == 2 })
	if st.Totals.Stored > quota || st.State != ExportsFull || st.Totals.Waiting != 1 {
		t.Errorf("%d bytes are stored, and %d are allowed: %+v", st.Totals.Stored, quota, st)
	}
	// With room for it the other comes, too.
	r.force(`UPDATE export_follows SET quota = 2 * quota`)
	if err := r.s.Exports.LookNow(t.Context(), r.actor, r.conn); err != nil {
		t.Fatal(err)
	}
	r.until("both", func(st ExportStatus) bool { return st.Totals.Done == 2 })
}
