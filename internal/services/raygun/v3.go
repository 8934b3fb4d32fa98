package raygun

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
)

// apiV3 is where the v3 API lives below the base URL.
const apiV3 = "/v3"

// The permissions a personal access token can have, of those that are needed
// here (securitySchemes of Raygun's v3 document).
const (
	scopeApplications = "applications:read"
	scopeSessions     = "rum.sessions:read"
	scopeCustomers    = "customers:read"
	scopePages        = "rum.pages:read"
	scopeErrors       = "cr.errors:read"
	scopeMetrics      = "metrics:pages"
)

// Known is what the caller knows already of the things that v3 names by
// identifier. The functions get each identifier once, in any order, and return
// what they know of them; they must not call the vendor. Nil knows nothing.
type Known struct {
	// Users returns users by their identifier.
	Users func(ctx context.Context, ids []string) map[string]User
	// Pages returns what to show for pages: PageView.Page.
	Pages func(ctx context.Context, ids []string) map[string]string
	// ErrorGroups returns the messages of error groups: SessionError.Title.
	ErrorGroups func(ctx context.Context, ids []string) map[string]string
}

// OptionsV3 configure a V3.
type OptionsV3 struct {
	// BaseURL is the server, by default DefaultBaseURL. It may carry a path
	// prefix and a trailing slash; /v3 is added, and may be there.
	BaseURL string
	// Token is a personal access token. It belongs to a person, has scopes and
	// expires.
	Token secrets.Secret
	// Application is the identifier of the application. Empty is enough for
	// Applications and Check.
	Application string
	// Known fills in what v3 leaves to identifiers.
	Known Known
	// Ledger is required. Every call counts.
	Ledger upstream.Ledger
	// Pace slows the calls down to what the vendor allows. Its limits hold for
	// the token's owner, so clients with the same token should share one. Nil
	// means a NewPace of its own.
	Pace *rate.Limiter
	// InTurn runs the reading of long answers, see upstream.Options.
	InTurn func(read func())
	// Now is the clock, time.Now if nil.
	Now func() time.Time
	// Log receives what goes wrong beside a call; nil means nowhere.
	Log *slog.Logger
	// Timeout bounds one operation from when its turn has come, 0 means
	// upstream.DefaultTimeout.
	Timeout time.Duration
}

// V3 speaks Raygun's API v3. It is safe for concurrent use.
type V3 struct {
	up          *upstream.Client
	token       secrets.Secret
	application string
	known       Known
	pace        *rate.Limiter
	now         func() time.Time
	log         *slog.Logger
}

var _ API = (*V3)(nil)

// NewV3 checks the options and returns a client. It does not call Raygun.
func NewV3(o OptionsV3) (*V3, error) {
	switch {
	case strings.TrimSpace(o.Token.Reveal()) == "":
		return nil, errors.New("raygun client: the personal access token is needed")
	case o.Application != "" && !IsID(o.Application):
		return nil, errors.New("raygun client: the application's identifier holds characters that none has")
	case o.Ledger == nil:
		return nil, errors.New("raygun client: no ledger given")
	}
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	if o.Pace == nil {
		o.Pace = NewPace()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	token := secrets.New(strings.TrimSpace(o.Token.Reveal()))
	up, err := upstream.New(upstream.Options{
		Vendor:  "raygun",
		BaseURL: serverOf(o.BaseURL),
		Ledger:  pacedLedger{Ledger: o.Ledger, pace: o.Pace},
		Secrets: []secrets.Secret{token},
		Timeout: o.Timeout, InTurn: o.InTurn, Now: o.Now, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	return &V3{up: up, token: token, application: o.Application, known: o.Known, pace: o.Pace, now: o.Now, log: o.Log}, nil
}

// IsID says whether text may be an identifier of v3, such as an application's:
// they are in base 36. Being strict keeps them out of the grammar of paths and
// filters.
func IsID(text string) bool {
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return text != "" && len(text) <= 64
}

// question is one operation of the document and the permission it needs.
type question struct {
	// operation is the document's operationId.
	operation, scope string
	method           string
	// path begins after /v3 and is escaped.
	path  string
	query url.Values
	body  []byte
}

// ask puts a question. All questions only read, so they are repeated as GETs
// are; each attempt counts.
func (v *V3) ask(ctx context.Context, q question, read func(body []byte) error) (*upstream.Response, error) {
	if err := v.wait(ctx, q.operation); err != nil {
		return nil, err
	}
	answer, err := v.up.Do(ctx, upstream.Request{
		Operation: q.operation, Method: q.method, Path: apiV3 + q.path, Query: q.query, Body: q.body,
		Header: http.Header{"Authorization": {"Bearer " + v.token.Reveal()}},
		Retry:  upstream.IfSafe, Counts: true, Read: read,
	})
	if err != nil {
		return nil, named(err, q.scope)
	}
	return answer, nil
}

// wait holds a call back until its turn, before its time limit begins to run.
func (v *V3) wait(ctx context.Context, operation string) error {
	err := v.pace.Wait(ctx)
	if err == nil {
		return nil
	}
	return v.gaveUp(ctx, operation, err)
}

// gaveUp is the error of a call that did not take place because its caller or
// its caller's time was gone, or would be before its turn.
func (v *V3) gaveUp(ctx context.Context, operation string, err error) error {
	kind := upstream.TimedOut
	if errors.Is(ctx.Err(), context.Canceled) {
		kind = upstream.Canceled
	}
	return &upstream.Error{Kind: kind, Vendor: v.up.Vendor(), Operation: operation, Err: err}
}

// named adds the permission that is missing. A 403 of v3 means that and nothing
// else: a bad or expired token is a 401, whatever the words of the 403 sound like.
func named(err error, scope string) error {
	var failed *upstream.Error
	if errors.As(err, &failed) && failed.Status == http.StatusForbidden {
		failed.Kind = upstream.Forbidden
		if failed.Scope == "" {
			failed.Scope = scope
		}
	}
	return err
}

// under returns the path of something of the application, or refuses.
func (v *V3) under(operation string, parts ...string) (string, error) {
	if v.application == "" {
		return "", v.up.Refuse(operation, "no Raygun application is chosen yet")
	}
	path := "/applications/" + v.application
	for _, part := range parts {
		if !IsID(part) {
			return "", v.up.Refuse(operation, "a Raygun identifier holds letters and digits only")
		}
		path += "/" + part
	}
	return path, nil
}
