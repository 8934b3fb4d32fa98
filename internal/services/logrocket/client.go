package logrocket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
)

const (
	// DefaultBaseURL is LogRocket's public API.
	DefaultBaseURL = "https://api.logrocket.com"
	// DefaultAppURL is LogRocket's public web app.
	DefaultAppURL = "https://app.logrocket.com"
)

// Options configure a Client.
type Options struct {
	// BaseURL is the API server, by default DefaultBaseURL; /v1 and /graphql are
	// added. A trailing slash or a /v1 already there does no harm.
	BaseURL string
	// AppURL is the web app for links, by default DefaultAppURL.
	AppURL string
	// OrgSlug and AppSlug are the two parts of the app's id.
	OrgSlug, AppSlug string
	// Key is the API key, sent whole.
	Key secrets.Secret
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

// Client speaks to one LogRocket app. It is safe for concurrent use. The errors
// of its methods are *upstream.Error.
type Client struct {
	up     *upstream.Client
	appURL string
	org    string
	app    string
	key    secrets.Secret

	mu        sync.Mutex
	dialect   Dialect
	onDialect func(Dialect)
}

// New checks the options and returns a client. It does not call LogRocket.
func New(o Options) (*Client, error) {
	if o.Key.IsZero() {
		return nil, errors.New("logrocket client: the API key is missing")
	}
	if !addressable(o.OrgSlug) || !addressable(o.AppSlug) {
		return nil, errors.New("logrocket client: the organization and the app, as in the address of LogRocket's dashboard, are both needed")
	}
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	if o.AppURL == "" {
		o.AppURL = DefaultAppURL
	}
	up, err := upstream.New(upstream.Options{
		Vendor:  "logrocket",
		BaseURL: withoutV1(o.BaseURL),
		Ledger:  o.Ledger,
		Secrets: append(keyParts(o.Key), o.Key),
		Timeout: o.Timeout, Now: o.Now, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	return &Client{
		up: up, appURL: strings.TrimRight(strings.TrimSpace(o.AppURL), "/"), org: o.OrgSlug, app: o.AppSlug,
		key:     secrets.New(strings.TrimSpace(o.Key.Reveal())), // as pasted, with a line end
		dialect: o.Dialect, onDialect: o.OnDialect,
	}, nil
}

// withoutV1 accepts a base URL that names the version already: /graphql stands
// beside it, not below.
func withoutV1(base string) string {
	return strings.TrimSuffix(strings.TrimRight(strings.TrimSpace(base), "/"), "/v1")
}

// path returns the escaped path of something in the app, each part escaped.
func (c *Client) path(parts ...string) string {
	path := "/v1/orgs/" + url.PathEscape(c.org) + "/apps/" + url.PathEscape(c.app)
	for _, part := range parts {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// auth returns the header that carries the key. Bearer has been seen refused.
func (c *Client) auth() http.Header {
	return http.Header{"Authorization": {"token " + c.key.Reveal()}}
}

// addressable says whether text can be one part of a path. Servers and proxies
// read "." and ".." as directions, however they are escaped.
func addressable(text string) bool { return text != "" && text != "." && text != ".." }

// Check lists one exported session and says in words what the vendor answered.
func (c *Client) Check(ctx context.Context) (CheckResult, error) {
	page, answer, err := c.listExports(ctx, ExportQuery{Limit: 1})
	if err != nil {
		return CheckResult{}, err
	}
	found := "no exported sessions yet"
	if len(page.Sessions) > 0 {
		found = "exported sessions"
	}
	return CheckResult{
		Sentence: fmt.Sprintf("LogRocket accepted the key for %s/%s and lists %s (it answered %d).", c.org, c.app, found, answer.Status),
		Took:     answer.Duration,
	}, nil
}
