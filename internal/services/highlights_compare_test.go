package services

import (
	"testing"
	"time"

	"sightline/internal/db/dbtest"
	"sightline/internal/services/markdown"
)

// TestCompareLosesNoPart compares results of which one tells of a recording
// session twice.
func TestCompareLosesNoPart(t *testing.T) {
	store := dbtest.New(t)
	if _, err := store.Queue().Exec(`
		INSERT INTO organizations (id, slug, name, created_at) VALUES (1, 'a', 'A', 1);
		INSERT INTO connections (id, org_id, vendor, name, created_at) VALUES (1, 1, 'logrocket', 'App', 1);
		INSERT INTO customers (id, org_id, name, created_at) VALUES (1, 1, 'Ada', 1);
		INSERT INTO highlights (id, org_id, connection_id, customer_id, subject_kind, subject, subject_norm, form_token, state, created_at) VALUES
			(1, 1, 1, 1, 'email', 'a@example.com', 'a@example.com', 'one', 'ready', 1),
			(2, 1, 1, 1, 'email', 'a@example.com', 'a@example.com', 'two', 'ready', 2);
		INSERT INTO highlight_sessions (highlight_id, position, org_id, recording_id, session_id, markdown) VALUES
			(1, 0, 1, 'r', '1', 'first'), (1, 1, 1, 'r', '1', 'second'), (1, 2, 1, '', '', 'nameless'),
			(2, 0, 1, 'r', '1', 'first again')`); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.UnixMilli(9) }
	h := &Highlights{db: store, conns: NewConnections(store, nil, Vendors{}, nil, now), now: now}
	md, err := markdown.New("https://app.logrocket.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, ids := range [][2]HighlightID{{1, 2}, {2, 1}} {
		c, err := h.Compare(t.Context(), 1, md, ids[0], ids[1])
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, p := range c.Parts {
			text := ""
			if p.Before != nil {
				text = p.Before.Markdown
			}
			if p.After != nil {
				text += " > " + p.After.Markdown
			}
			texts = append(texts, text)
		}
		if len(texts) != 3 || texts[0] != "first > first again" || texts[1] != "second" || texts[2] != "nameless" {
			t.Errorf("parts: %q", texts)
		}
	}
}
