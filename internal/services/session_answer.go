package services

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"sightline/internal/db"
)

// SessionAnswer is what Raygun last sent about a session in full.
type SessionAnswer struct {
	Session    Session
	Connection Connection
	Body       []byte // as it came, JSON in all likelihood
	ReceivedAt time.Time
}

// Indented is the answer laid out to be read, or as it came where it is no JSON.
func (a SessionAnswer) Indented() string {
	var out bytes.Buffer
	if json.Indent(&out, a.Body, "", "  ") != nil {
		return db.CleanText(string(a.Body))
	}
	return out.String()
}

// Answer returns it, or NotFound where none is kept: the session was not
// fetched in full yet.
func (s *Sessions) Answer(ctx context.Context, org OrgID, id SessionID) (SessionAnswer, error) {
	o := s.db.Org(org)
	row, err := o.Session(ctx, id)
	if err != nil {
		return SessionAnswer{}, notFound(err, noSession)
	}
	conn, err := s.connections.Get(ctx, org, row.Connection)
	if err != nil {
		return SessionAnswer{}, err
	}
	a, err := o.SessionAnswer(ctx, id)
	if errors.Is(err, db.ErrNotFound) {
		return SessionAnswer{}, notFound(err, "What Raygun sent about this session is not kept here. Fetch its details, and it will be.")
	}
	return SessionAnswer{Session: row, Connection: conn, Body: a.Body, ReceivedAt: a.ReceivedAt}, err
}
