package db_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
)

// addHighlight stores a highlight with a result and gives its id.
func addHighlight(t *testing.T, o db.Org, subject, question, result string, parts ...string) db.HighlightID {
	t.Helper()
	at := time.Now()
	h, _, err := o.AddHighlight(t.Context(), db.Highlight{Connection: 1, Author: 1, SubjectKind: "email", Subject: subject, Question: question, CreatedAt: at},
		fmt.Sprint(subject, question, result), db.HistoryEntry{Action: "highlight.request", ActorName: "Ada", At: at}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var sessions []db.HighlightSession
	for i, p := range parts {
		sessions = append(sessions, db.HighlightSession{RecordingID: fmt.Sprint("r", i), SessionID: "1", Markdown: p})
	}
	if result != "" || len(parts) > 0 {
		err := o.EndHighlight(t.Context(), h.ID, []string{"queued"}, db.HighlightOutcome{State: "ready", Markdown: result, Sessions: sessions, At: at,
			History: db.HistoryEntry{Action: "highlight.ready", ActorName: "Sightline", At: at}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return h.ID
}

func TestHighlightsAreFoundByTheirWords(t *testing.T) {
	d := dbtest.New(t)
	raw := d.Queue()
	for _, q := range []string{
		`INSERT INTO organizations (id, slug, name, created_at) VALUES (1, 'a', 'a', 1), (2, 'b', 'b', 1)`,
		`INSERT INTO users (id, email, email_norm, name, password_hash, created_at) VALUES (1, 'a@x', 'a@x', 'Ada', '', 1)`,
		`INSERT INTO connections (id, org_id, vendor, name, created_at) VALUES (1, 1, 'logrocket', 'web', 1)`,
	} {
		if _, err := raw.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	o := d.Org(1)
	asked := addHighlight(t, o, "ada.lovelace@example.com", "Why did the Zahlung fail?", "")
	told := addHighlight(t, o, "bob@example.com", "", "He opened the *checkout*.", "Then Straße 5 was refused.")
	tests := map[string]struct {
		text string
		want []db.HighlightID
	}{
		"the subject":              {"lovelace", []db.HighlightID{asked}},
		"an email":                 {"ada.lovelace@example.com", []db.HighlightID{asked}},
		"the beginning of a word":  {"check", []db.HighlightID{told}},
		"every word":               {"checkout refused", []db.HighlightID{told}},
		"words of two":             {"checkout zahlung", nil},
		"newest first":             {"example.com", []db.HighlightID{told, asked}},
		"other letters":            {"ZAHLUNG", []db.HighlightID{asked}},
		"a part of the result":     {"straße", []db.HighlightID{told}},
		"operators are words":      {`checkout OR "nothing`, nil},
		"no words":                 {`"* ( -`, nil},
		"nul and no text":          {"\x00\xff", nil},
		"a word that nobody wrote": {"xyzzy", nil},
	}
	for name, tt := range tests {
		rows, further, err := o.SearchHighlights(t.Context(), db.HighlightFilter{Limit: 50}, tt.text)
		var got []db.HighlightID
		for _, h := range rows {
			got = append(got, h.ID)
			if h.Markdown != "" {
				t.Errorf("%s: a list carries results", name)
			}
		}
		if err != nil || further != 0 || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %d, %v; want %v", name, got, further, err, tt.want)
		}
	}
	for name, f := range map[string]db.HighlightFilter{"another state": {State: "failed"}, "another author": {Author: 9}, "another connection": {Connection: 9}, "before the first": {After: db.Moment{At: time.Now(), ID: int64(asked)}}} {
		f.Limit = 50
		if rows, _, err := o.SearchHighlights(t.Context(), f, "example"); err != nil || len(rows) != 0 {
			t.Errorf("%s: %d, %v", name, len(rows), err)
		}
	}
	if rows, _, err := d.Org(2).SearchHighlights(t.Context(), db.HighlightFilter{Limit: 50}, "example"); err != nil || len(rows) != 0 {
		t.Errorf("another organization finds %d, %v", len(rows), err)
	}
}

func TestHighlightSearchStopsAndGoesOn(t *testing.T) {
	d := dbtest.New(t)
	raw := d.Queue()
	for _, q := range []string{
		`INSERT INTO organizations (id, slug, name, created_at) VALUES (1, 'a', 'a', 1)`,
		`INSERT INTO connections (id, org_id, vendor, name, created_at) VALUES (1, 1, 'logrocket', 'web', 1)`,
		`INSERT INTO highlights (id, org_id, connection_id, subject_kind, subject, subject_norm, question, form_token, state, result_markdown, created_at)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
		SELECT i, 1, 1, 'email', 'a' || i || '@example.com', '', 'why', i, CASE i WHEN 1 THEN 'failed' ELSE 'ready' END, 'He paid.', i FROM n`,
	} {
		if _, err := raw.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	o := d.Org(1)
	f := db.HighlightFilter{State: "failed", Limit: 51}
	var looks []db.HighlightID
	for {
		rows, further, err := o.SearchHighlights(t.Context(), f, "paid")
		if err != nil || len(looks) > 9 {
			t.Fatal(looks, err)
		}
		if len(rows) > 0 {
			if rows[0].ID != 1 {
				t.Errorf("found %d", rows[0].ID)
			}
			break
		}
		looks = append(looks, further)
		f.After = db.Moment{At: time.UnixMilli(1), ID: int64(further)}
	}
	if !slices.Equal(looks, []db.HighlightID{3001, 1001}) {
		t.Errorf("it stopped at %v", looks)
	}
	rows, further, err := o.SearchHighlights(t.Context(), db.HighlightFilter{Limit: 51}, strings.Repeat("paid ", 3))
	if err != nil || len(rows) != 51 || further != 0 || rows[0].ID != 5000 {
		t.Errorf("a page of all: %d rows, further %d, %v", len(rows), further, err)
	}
}
