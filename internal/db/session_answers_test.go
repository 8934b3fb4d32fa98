package db_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
)

func TestAnswersAreKeptWordForWord(t *testing.T) {
	s := newBudgetSite(t, 50, 0)
	o, conn, at := s.org, s.conn, noon()
	put := func(answer []byte) db.SessionID {
		t.Helper()
		ids, err := o.PutFullSessions(t.Context(), conn, []db.FullSession{{
			Session: db.Session{VendorID: "1", StartedAt: at}, Answer: answer,
			Errors: []db.SessionError{{Title: "Boom", OccurredAt: at.Add(time.Second)}, {Title: "No time"}},
		}}, at)
		if err != nil {
			t.Fatal(err)
		}
		return ids[0]
	}
	for _, body := range []string{`{"a": 1}`, strings.Repeat(`{"ü":"\u0000"}`, 5000), "\x00\xff no JSON"} {
		id := put([]byte(body))
		if a, err := o.SessionAnswer(t.Context(), id); err != nil || string(a.Body) != body || !a.ReceivedAt.Equal(at) {
			t.Errorf("%.20q came back as %.20q, %v", body, a.Body, err)
		}
		errs, err := o.SessionErrors(t.Context(), id)
		if err != nil || len(errs) != 2 || !errs[0].OccurredAt.Equal(at.Add(time.Second)) || !errs[1].OccurredAt.IsZero() {
			t.Errorf("%+v, %v", errs, err)
		}
	}
	// None, or one too large to keep, leaves none behind: the old one would lie.
	huge := make([]byte, 2<<20)
	_, _ = rand.Read(huge)
	for _, body := range [][]byte{nil, bytes.Clone(huge)} {
		put([]byte("{}"))
		if _, err := o.SessionAnswer(t.Context(), put(body)); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("after an answer of %d bytes: %v", len(body), err)
		}
	}
}
