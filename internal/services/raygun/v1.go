package raygun

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
)

// DefaultBaseURL is Raygun's public API.
const DefaultBaseURL = "https://api.raygun.com"

// Credentials open one Raygun application.
type Credentials struct {
	// APIKey is the application's key.
	APIKey secrets.Secret
	// ClientID and ClientSecret belong to a consumer application of the plan.
	ClientID, ClientSecret secrets.Secret
}

// Options configure a V1.
type Options struct {
	// BaseURL is the server, by default DefaultBaseURL. It may carry a path
	// prefix and a trailing slash; /api/v1/pulse is added.
	BaseURL     string
	Credentials Credentials
	// Ledger is required.
	Ledger upstream.Ledger
	// Dialect is what OnDialect last reported, or its zero value.
	Dialect Dialect
	// OnDialect is called when something new was found out; nil means nobody listens.
	OnDialect func(Dialect)
	// Now is the clock, time.Now if nil.
	Now func() time.Time
	// Log receives what goes wrong beside a call; nil means nowhere.
	Log *slog.Logger
	// Timeout bounds one operation, 0 means upstream.DefaultTimeout.
	Timeout time.Duration
}

// V1 speaks the "pulse" API. It keeps the 15-minute session key, so make one per
// connection and share it. It is safe for concurrent use.
type V1 struct{}

// NewV1 checks the options and returns a client. It does not call Raygun.
func NewV1(o Options) (*V1, error) { return nil, errors.New("not built") }

// Check asks for a session key, which Raygun does not count.
func (v *V1) Check(ctx context.Context) (CheckResult, error) { return CheckResult{}, nil }

// Sessions reads one page of sessions.
func (v *V1) Sessions(ctx context.Context, q SessionQuery) (SessionPage, error) {
	return SessionPage{}, nil
}

// Session reads one session in full.
func (v *V1) Session(ctx context.Context, id string) (Session, error) { return Session{}, nil }

// AppLink returns link if it is safe to show as a link into Raygun's app for a
// server at base, and "" otherwise.
func AppLink(base, link string) string { return "" }

var _ API = (*V1)(nil)
