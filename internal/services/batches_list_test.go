package services

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/sandbox"
)

func TestListsOfCustomersAreRead(t *testing.T) {
	tests := []struct{ text, emails, faults string }{
		{"ada@example.com", "ada@example.com", ""},
		{"ada@example.com, grace@example.com;linus@example.com\tx@y.test | z@y.test", "ada@example.com grace@example.com linus@example.com x@y.test z@y.test", ""},
		{"\"Lovelace, Ada\" <ada@example.com>, Grace <mailto:grace@example.com>", "ada@example.com grace@example.com", ""},
		{"Ada\tLovelace\tada@example.com\tLondon", "ada@example.com", ""},
		{"\ufeff\u200bada@example.com\u00a0\r\n\r\n'grace@example.com'.", "ada@example.com grace@example.com", ""},
		{"ADA@Example.com\nada@example.COM", "ADA@Example.com", ""},
		{"Email\nada@example.com\nada\nada@@x\n@", "ada@example.com", "1: There is no|3: There is no|4: “ada@@x” is|5: “@” is"},
		{"<<<<ada@example.com", "ada@example.com", ""},
		{"ada@example.com\xff", "", "1: This holds bytes"},
		{"=cmd|x@y.test", "x@y.test", ""},
	}
	for _, tt := range tests {
		var emails, faults []string
		for _, it := range itemsOf(readPasted(tt.text), nil) {
			switch it.State {
			case entryWaiting:
				emails = append(emails, it.Subject)
			case entryFault:
				faults = append(faults, fmt.Sprintf("%d: %s", it.Line, it.Message))
			}
		}
		if got := strings.Join(emails, " "); got != tt.emails {
			t.Errorf("%q gives %q", tt.text, got)
		}
		for i, want := range strings.Split(tt.faults, "|") {
			if want != "" && (i >= len(faults) || !strings.HasPrefix(faults[i], want)) {
				t.Errorf("%q lacks the fault %q: %q", tt.text, want, faults)
			}
		}
		if tt.faults == "" && len(faults) > 0 {
			t.Errorf("%q has faults %q", tt.text, faults)
		}
	}
	// Nonsense takes no time to speak of.
	began := time.Now()
	for _, piece := range []string{"<", "<>", "@", "a@", "<a@b>", "\"", ",", "\n"} {
		readPasted(strings.Repeat(piece, MaxBatchText/len(piece)))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("nonsense took %v", took)
	}
}

func TestDraftsNameWhatIsWrong(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	var many strings.Builder
	for i := range MaxBatch + 1 {
		fmt.Fprintf(&many, "u%d@example.com\n", i)
	}
	tests := map[string]struct {
		f           BatchForm
		field, says string
	}{
		"nobody":        {BatchForm{}, "text", "Say who"},
		"two lists":     {BatchForm{Text: "a@b.test", File: []byte("x")}, "text", "one list alone"},
		"too many":      {BatchForm{Text: many.String()}, "text", "more than 1,000 customers"},
		"too long":      {BatchForm{Text: strings.Repeat("a", MaxBatchText+1)}, "text", "256 KB"},
		"noise":         {BatchForm{Text: strings.Repeat("x\n", MaxBatchLeftOut+1)}, "text", "Tidy it up"},
		"workbook":      {BatchForm{File: []byte("PK\x03\x04")}, "file", "workbook"},
		"empty file":    {BatchForm{File: []byte{}}, "file", "empty"},
		"question":      {BatchForm{Text: "a@b.test", Question: strings.Repeat("ü", MaxQuestion+1)}, "question", "1001 characters"},
		"without end":   {BatchForm{Text: "a@b.test", Start: time.Now()}, "to", "end as well"},
		"only nonsense": {BatchForm{Text: " \n \n"}, "text", "Say who"},
	}
	for name, tt := range tests {
		tt.f.Connection, tt.f.FormToken = r.conn, NewFormToken()
		_, p, err := r.s.Batches.Draft(t.Context(), r.actor, tt.f)
		if err != nil || !strings.Contains(p[tt.field], tt.says) || strings.Contains(p[tt.field], "stored") {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	// A limit is one: what is just below it goes.
	b := r.draft(BatchForm{Text: strings.SplitN(many.String(), "\n", 2)[1]})
	if b.Counts.Waiting != MaxBatch {
		t.Errorf("%+v", b.Counts)
	}
	// A form that is sent twice makes one; another list of the same form makes another.
	f := BatchForm{Connection: r.conn, Text: "a@b.test", FormToken: "t"}
	one, _, err1 := r.s.Batches.Draft(t.Context(), r.actor, f)
	two, _, err2 := r.s.Batches.Draft(t.Context(), r.actor, f)
	f.Text, f.Replaces = "c@d.test", one.ID
	three, _, err3 := r.s.Batches.Draft(t.Context(), r.actor, f)
	if err := errors.Join(err1, err2, err3); err != nil || one.ID != two.ID || three.ID == one.ID {
		t.Errorf("%d, %d and %d, %v", one.ID, two.ID, three.ID, err)
	}
	if _, err := r.s.Batches.Get(t.Context(), 1, one.ID); err == nil {
		t.Error("the draft that was replaced is there")
	}
	if _, p, err := r.s.Batches.Start(t.Context(), r.actor, three.ID, NormalPace(), 0, 7); err != nil || !strings.Contains(p["form"], "changed meanwhile") {
		t.Errorf("begun with another number than shown: %v, %v", p, err)
	}
	if _, p, err := r.s.Batches.Start(t.Context(), r.actor, three.ID, BatchPace{1, 1000}, 7, 1); err != nil || p["pace"] == "" || p["reuse"] == "" {
		t.Errorf("a pace of one's own: %v, %v", p, err)
	}
}

// A draft that nobody began does not stay for good; what was begun does.
func TestForgottenDraftsGo(t *testing.T) {
	r := newRocketSite(t, sandbox.DialectContract)
	old, begun := r.draft(BatchForm{File: []byte("email\na@b.test\n")}), r.draft(BatchForm{Text: "c@d.test"})
	r.begin(begun)
	r.force(`UPDATE batches SET created_at = created_at - ?, updated_at = updated_at - ?`, (keepDraft + time.Hour).Milliseconds(), (keepDraft + time.Hour).Milliseconds())
	young := r.draft(BatchForm{Text: "e@f.test"})
	for id, there := range map[BatchID]bool{old.ID: false, begun.ID: true, young.ID: true} {
		if _, err := r.s.Batches.Get(t.Context(), 1, id); (err == nil) != there {
			t.Errorf("batch %d: %v", id, err)
		}
	}
	if _, err := r.store.Org(1).BatchFile(t.Context(), old.ID); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("its file: %v", err)
	}
}
