package services

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
)

func TestFilesAreKeptAsLongAsTheRuleSays(t *testing.T) {
	r := newExportSite(t, &exportVendor{files: 4})
	form := r.form()
	form.KeepDays = 3
	r.follow(form)
	r.until("all", func(st ExportStatus) bool { return st.Totals.Done == 4 && st.State == ExportsFollowing })
	if err := r.s.Exports.Pause(t.Context(), r.actor, r.conn); err != nil {
		t.Fatal(err)
	}
	day := int64(24 * time.Hour / time.Millisecond)
	r.force(fmt.Sprintf(`UPDATE export_files SET read_at = read_at - %d * CASE id WHEN 1 THEN 4 WHEN 2 THEN 3 ELSE 2 END`, day))
	for range 2 { // a second look finds nothing more
		if err := r.s.retire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st := r.settled(); st.State != ExportsPaused || len(r.onDisk()) != 2 || st.Totals.Done != 4 {
			t.Errorf("%+v, %v on disk", st, r.onDisk())
		}
	}
	f, err := r.s.Exports.File(t.Context(), 1, 1)
	if err != nil || f.DroppedAt.IsZero() || f.State != db.ExportRead {
		t.Errorf("%+v, %v", f, err)
	}
	if file, _, err := r.s.Exports.Open(t.Context(), 1, 1); err == nil {
		file.Close()
		t.Error("it can still be downloaded")
	}
	// 0 is for ever.
	form.KeepDays = 0
	r.follow(form)
	r.force(`UPDATE export_files SET read_at = 1`)
	if err := r.s.retire(t.Context()); err != nil || len(r.onDisk()) != 2 {
		t.Errorf("%v, %v on disk", err, r.onDisk())
	}
}

// A file that is read once more has a turn of its own: a look that finds it ends.
func TestAFileThatIsReadAgainHoldsNoRuleUp(t *testing.T) {
	r := newExportSite(t, &exportVendor{files: 2})
	form := r.form()
	form.KeepDays = 1
	r.follow(form)
	r.until("all", func(st ExportStatus) bool { return st.Totals.Done == 2 && st.State == ExportsFollowing })
	r.force(`UPDATE export_files SET read_at = 1, state = CASE id WHEN 1 THEN 'fetched' ELSE state END`)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := r.s.retire(ctx); err != nil {
		t.Fatal(err)
	}
	if disk := r.onDisk(); len(disk) != 1 || filepath.Base(disk[0]) != "1.gz" {
		t.Errorf("%v on disk", disk)
	}
}

func TestRecordingsAreKeptAsLongAsTheRuleSays(t *testing.T) {
	t.Parallel()
	s := newRecordingSite(t)
	_, list := s.ingest("a.jsonl", busyFile(20))
	if len(list) != 2 {
		t.Fatalf("%d recordings", len(list))
	}
	s.r.now = func() time.Time { return startOf(secondPair).AddDate(0, 0, 30) }
	for _, tt := range []struct{ days, shown int }{{0, 2}, {31, 2}, {30, 1}, {30, 1}, {29, 0}} {
		if err := s.r.retire(t.Context(), db.Keeping{Org: 1, Connection: 1, KeepRecordings: tt.days}); err != nil {
			t.Fatal(err)
		}
		if list, err := s.r.OfFile(t.Context(), 1, 1); err != nil || len(list) != tt.shown {
			t.Errorf("%d days: %d are left (%v)", tt.days, len(list), err)
		}
	}
	s.open() // killed before it went on: the next start does
	s.settled()
	left := slices.DeleteFunc(s.dump(), func(l string) bool { return strings.HasPrefix(l, "customer") || strings.HasPrefix(l, "bad") })
	if len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// A connection whose file cannot be removed keeps no other from its rule.
func TestTroubleAtOneConnectionKeepsNoOtherFromItsRule(t *testing.T) {
	r := newExportSite(t, &exportVendor{files: 1})
	form := r.form()
	form.KeepDays = 1
	all := func(st ExportStatus) bool { return st.Totals.Done == 1 && st.State == ExportsFollowing }
	r.follow(form)
	r.until("the first's", all)
	second, problems, err := r.s.Connections.Add(t.Context(), r.actor, ConnectionForm{Vendor: LogRocket, Name: "Shop", Key: NewSecret("acme:web:planted-key")})
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	r.conn = second.ID
	r.follow(form)
	r.until("the second's", all)
	r.force(`UPDATE export_files SET read_at = 1`)
	// What lies where the first's file should be cannot be removed as a file is.
	first := filepath.Join(r.dir, "1", "1.gz")
	if err := errors.Join(os.Remove(first), os.MkdirAll(filepath.Join(first, "full"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := r.s.retire(t.Context()); err == nil {
		t.Error("nobody hears of the trouble")
	}
	for id := range ExportFileID(2) {
		if f, err := r.s.Exports.File(t.Context(), 1, id+1); err != nil || f.DroppedAt.IsZero() {
			t.Errorf("%+v, %v", f, err)
		}
	}
	if _, err := os.Stat(filepath.Join(r.dir, "1", "2.gz")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the second's file: %v", err)
	}
}
