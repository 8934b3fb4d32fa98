package services

import (
	"path/filepath"
	"strings"
	"testing"

	"sightline/internal/db"
	"sightline/internal/services/sandbox"
)

func TestNothingOfABackupIsSentByItself(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	r.start()
	bulk := r.plannedBulk(3)
	r.halt()
	// All of this waits when the backup is made, and is sent after it.
	in := r.form(r.customer(r.box.Company().Demo()[0]), "u1")
	in.New = []TraitField{newTrait("plan", "pro")}
	edit := r.send(in, NewFormToken())
	highlight := r.ask(HighlightRequest{Email: r.box.Company().Demo()[0].Email})
	r.sendBulk(bulk)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := db.Backup(t.Context(), r.path, backup); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.bulkIs(bulk.ID, BulkDone)
	if e := r.ended(edit.ID); e.State != TraitsSent {
		t.Fatalf("%+v", e)
	}
	r.settled(highlight.ID)
	puts, posts := r.box.CountCalls(sandbox.OpUpdateUser), r.box.CountCalls(sandbox.OpCreateHighlights)
	if puts != 4 || posts != 1 {
		t.Fatalf("%d puts, %d posts", puts, posts)
	}

	r.kill()
	r.path = backup
	r.open()
	if err := DoubtBackup(t.Context(), r.store); err != nil {
		t.Fatal(err)
	}
	r.start()
	if e := r.ended(edit.ID); e.State != TraitsUnknown {
		t.Errorf("the edit is %s", e.State)
	}
	if h := r.settled(highlight.ID); h.State != HighlightUnknown {
		t.Errorf("the request is %s", h.State)
	}
	if b := r.bulkIs(bulk.ID, BulkPaused); !strings.Contains(b.Message, "Restored from a backup") {
		t.Errorf("the bulk edit says %q", b.Message)
	}
	if n, m := r.box.CountCalls(sandbox.OpUpdateUser), r.box.CountCalls(sandbox.OpCreateHighlights); n != puts || m != posts {
		t.Errorf("%d puts and %d posts after the backup was restored, %d and %d before", n, m, puts, posts)
	}
}
