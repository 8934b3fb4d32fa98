package services

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"sightline/internal/db"
)

// BrowserSession is a signed-in browser.
type BrowserSession struct {
	User UserID
	Data string // small JSON that the web layer keeps, "{}" when new
}

// BrowserSession finds a session by its token and notes that it was seen.
// ErrSignedOut if it is unknown, revoked, idle or too old.
func (p *People) BrowserSession(ctx context.Context, token string) (BrowserSession, error) {
	now := p.now()
	h := tokenHash(token)
	s, err := p.db.WebSessionUnscoped(ctx, h, now, now.Add(-SessionIdle))
	if errors.Is(err, db.ErrNotFound) {
		return BrowserSession{}, ErrSignedOut
	}
	if err != nil {
		return BrowserSession{}, err
	}
	// A write a minute is enough to know that a browser is not idle.
	if now.Sub(s.SeenAt) > time.Minute {
		if err := p.db.TouchWebSessionUnscoped(ctx, h, now); err != nil {
			return BrowserSession{}, err
		}
	}
	return BrowserSession{User: s.User, Data: s.Data}, nil
}

// ErrSignedOut means that a browser's session is over.
var ErrSignedOut = errors.New("signed out")

func tokenHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// SaveBrowserSession stores what a browser's session holds. An empty token
// makes a new session; the token to put into the cookie is returned. A session
// that has been ended stays so: ErrSignedOut.
func (p *People) SaveBrowserSession(ctx context.Context, token string, s BrowserSession) (string, error) {
	now := p.now()
	if token != "" {
		err := p.db.SetWebSessionDataUnscoped(ctx, tokenHash(token), s.Data, now)
		if errors.Is(err, db.ErrNotFound) {
			err = ErrSignedOut
		}
		return token, err
	}
	token = randomToken()
	if err := p.db.DeleteStaleWebSessionsUnscoped(ctx, now, now.Add(-SessionIdle)); err != nil {
		return "", err
	}
	err := p.db.AddWebSessionUnscoped(ctx, tokenHash(token), db.WebSession{
		User: s.User, Data: s.Data, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(SessionAbsolute),
	})
	return token, err
}

// EndBrowserSession signs a browser out.
func (p *People) EndBrowserSession(ctx context.Context, token string) error {
	return p.db.DeleteWebSessionUnscoped(ctx, tokenHash(token))
}
