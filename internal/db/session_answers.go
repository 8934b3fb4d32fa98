package db

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"fmt"
	"io"
	"time"
)

// maxAnswer is how large a packed answer may be to be kept, in bytes.
const maxAnswer = 1 << 20

// SessionAnswer is what the vendor last answered about a session in full.
type SessionAnswer struct {
	Body       []byte // as it came
	ReceivedAt time.Time
}

// SessionAnswer reads it. ErrNotFound means that none is kept: the session was
// never fetched in full, or the answer was too large.
func (o Org) SessionAnswer(ctx context.Context, id SessionID) (SessionAnswer, error) {
	return one(ctx, o.db.r, "session answer", func(s scanner) (SessionAnswer, error) {
		var a SessionAnswer
		var packed []byte
		var at sql.NullInt64
		if err := s.Scan(&packed, &at); err != nil {
			return a, err
		}
		a.ReceivedAt = timeOf(at)
		var err error
		a.Body, err = unpack(packed)
		return a, err
	}, `SELECT body, received_at FROM session_answers WHERE session_id = ? AND org_id = ?`, id, o.id)
}

// putAnswer replaces what is kept of the vendor's words about a session.
func (p *putter) putAnswer(ctx context.Context, id SessionID, body []byte) error {
	var packed []byte
	if len(body) > 0 {
		var err error
		if packed, err = pack(body); err != nil {
			return err
		}
	}
	if len(packed) == 0 || len(packed) > maxAnswer {
		_, err := exec(ctx, p.q, "session answer", `DELETE FROM session_answers WHERE session_id = ? AND org_id = ?`, id, p.org)
		return err
	}
	_, err := exec(ctx, p.q, "session answer", `
		INSERT INTO session_answers (session_id, org_id, received_at, body) VALUES (?, ?, ?, ?)
		ON CONFLICT (session_id) DO UPDATE SET received_at = excluded.received_at, body = excluded.body
		WHERE org_id = excluded.org_id`, id, p.org, ms(p.receivedAt), packed)
	return err
}

func pack(b []byte) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return out.Bytes(), nil
}

// unpack undoes pack; what is not packed it returns as it is.
func unpack(b []byte) ([]byte, error) {
	if !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		return b, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	return out, nil
}
