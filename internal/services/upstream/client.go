package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"sightline/internal/services/secrets"
)

const (
	// DefaultTimeout bounds one operation with all its attempts.
	DefaultTimeout = 30 * time.Second
	// DefaultMaxBody bounds an answer, packed and unpacked: a page of 500
	// sessions is around 1 MB.
	DefaultMaxBody = 32 << 20
	// defaultRetryDelay is the pause before the first repeat; it doubles.
	defaultRetryDelay = 250 * time.Millisecond
	// maxAttempts is how often an operation is tried in all.
	maxAttempts = 3
	// shortWait is the longest Retry-After that is worth holding a caller for.
	shortWait = 5 * time.Second
	// longAnswer is the size in bytes, as it came, from which reading an answer
	// keeps a processor busy for longer than a page takes.
	longAnswer = 64 << 10
	// packedBy is by how much gzip makes JSON smaller, about.
	packedBy = 8
	// maxHops bounds redirects.
	maxHops = 5
	// jitter spreads pauses by a quarter either way, so that many callers do not
	// come back in step.
	jitter = 0.25
)

// Retry says when an operation may be tried again.
type Retry int

const (
	// Never sends at most once, whatever happens.
	Never Retry = iota
	// IfUnsent repeats only what certainly never left this machine.
	IfUnsent
	// IfSafe repeats on network failures, 502, 503, 504 and a 429 with a short
	// Retry-After. For calls that may be made twice without harm or cost.
	IfSafe
)

// Options configure a Client.
type Options struct {
	// Vendor names the vendor in errors and in the ledger.
	Vendor string
	// BaseURL is the operator's: http or https, with or without a path.
	BaseURL string
	// Ledger is required.
	Ledger Ledger
	// Secrets are taken out of everything that is shown.
	Secrets []secrets.Secret
	// Timeout bounds one operation, 0 means DefaultTimeout.
	Timeout time.Duration
	// MaxBody bounds an answer in bytes, 0 means DefaultMaxBody.
	MaxBody int64
	// RetryDelay is the pause before the first repeat, 0 means a quarter of a second.
	RetryDelay time.Duration
	// InTurn runs the reading of a long answer, so that few are read at once; nil
	// reads them as they come. Request.Read must not wait for it.
	InTurn func(read func())
	// Now is the clock, time.Now if nil.
	Now func() time.Time
	// Log receives ledger rows that could not be closed; nil means nowhere.
	Log *slog.Logger
}

// Client sends requests to one server. It is safe for concurrent use.
type Client struct {
	vendor     string
	base       *url.URL
	ledger     Ledger
	redact     *redactor
	timeout    time.Duration
	maxBody    int64
	retryDelay time.Duration
	inTurn     func(read func())
	now        func() time.Time
	log        *slog.Logger
	transport  *http.Transport
}

// New checks the options and returns a client. It connects to nothing.
func New(o Options) (*Client, error) {
	base, err := parseBase(o.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("%s base URL: %w", o.Vendor, err)
	}
	if o.Ledger == nil {
		return nil, fmt.Errorf("%s client: no ledger given", o.Vendor)
	}
	c := &Client{
		vendor:     o.Vendor,
		base:       base,
		ledger:     o.Ledger,
		redact:     newRedactor(o.Secrets),
		timeout:    orDefault(o.Timeout, DefaultTimeout),
		maxBody:    orDefault(o.MaxBody, DefaultMaxBody),
		retryDelay: orDefault(o.RetryDelay, defaultRetryDelay),
		inTurn:     o.InTurn,
		now:        o.Now,
		log:        o.Log,
		transport:  newTransport(),
	}
	if c.inTurn == nil {
		c.inTurn = func(read func()) { read() }
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func orDefault[T ~int64](value, fallback T) T {
	if value <= 0 {
		return fallback
	}
	return value
}

// parseBase accepts an http or https address without query, fragment or
// credentials, and takes the trailing slash off.
func parseBase(text string) (*url.URL, error) {
	base, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("it cannot be read as an address")
	}
	if (base.Scheme != "https" && base.Scheme != "http") || base.Hostname() == "" {
		return nil, errors.New("it must begin with https:// (or http://) and a host")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("it must not hold a user name, a query or a fragment")
	}
	return url.Parse(base.Scheme + "://" + base.Host + strings.TrimRight(base.EscapedPath(), "/"))
}

// newTransport returns a transport on which one attempt is one request. With
// kept-alive connections net/http repeats a GET by itself when the server has
// hung up in the meantime, and HTTP/2 has repeats of its own: either would be a
// call without a ledger row.
func newTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DisableKeepAlives:   true,
		DisableCompression:  true, // unpacked here, by looking at the body and not at its headers
		TLSHandshakeTimeout: 10 * time.Second,
		Protocols:           protocols,
	}
}

// Base returns the server's address, without a trailing slash.
func (c *Client) Base() string { return c.base.String() }

// Vendor returns the vendor's name.
func (c *Client) Vendor() string { return c.vendor }

// Hide takes one more secret out of everything that is shown, such as a session
// key the vendor gave out.
func (c *Client) Hide(s secrets.Secret) { c.redact.add(s) }

// Request is one operation.
type Request struct {
	// Operation is the contract's name for it.
	Operation string
	Method    string
	// Path is added to the base URL. It begins with a slash and is escaped already.
	Path   string
	Query  url.Values
	Header http.Header
	// Body is JSON, nil for none.
	Body  []byte
	Retry Retry
	// Counts says whether each attempt takes one of Raygun's calls a day.
	Counts bool
	// Before is how many attempts this operation has already made.
	Before int
	// Answer says whether a status outside 2xx is an answer all the same. Nil: none is.
	Answer func(status int, body []byte) bool
	// Read reads the body of an answer. Its error makes the call Unexpected. Nil
	// reads nothing.
	Read func(body []byte) error
}

// Response is an answer that Read has accepted.
type Response struct {
	Status     int
	Header     http.Header
	Body       []byte
	Duration   time.Duration
	ReceivedAt time.Time
	// Attempts is how many attempts it took, those before included.
	Attempts int
}

// Do makes one operation and returns its answer. Errors are *Error.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var answer *Response
	attempts := r.Before
	failure := c.retry(ctx, r.Retry, func() *Error {
		var failed *Error
		answer, failed = c.follow(ctx, r, &attempts)
		return failed
	})
	if failure != nil {
		return nil, failure
	}
	answer.Attempts = attempts
	return answer, nil
}

// Refuse returns the error for a request that is wrong before it is sent.
func (c *Client) Refuse(operation, why string) error {
	return &Error{Kind: Invalid, Vendor: c.vendor, Operation: operation, Err: errors.New(why)}
}

// retry runs try until it succeeds or may not be repeated, and returns its last
// failure: not the one that a refusal by our own ledger would put over it.
func (c *Client) retry(ctx context.Context, mode Retry, try func() *Error) *Error {
	var last *Error
	sent, stopped := false, false
	policy := retrypolicy.NewBuilder[any]().
		HandleIf(func(any, error) bool { return last != nil && !stopped && c.repeatable(ctx, mode, last) }).
		WithMaxAttempts(maxAttempts).
		WithBackoff(c.retryDelay, shortWait).
		WithJitterFactor(jitter).
		WithDelayFunc(func(failsafe.ExecutionAttempt[any]) time.Duration { return c.wait(last) }).
		Build()
	// What the executor returns is left aside: once ctx is done it would put
	// that over an answer which has arrived and been paid for.
	_ = failsafe.With[any](policy).WithContext(ctx).Run(func() error {
		failed := try()
		if failed != nil && failed.early && last != nil {
			stopped = true
			return nil
		}
		last = failed
		sent = sent || failed != nil && failed.Sent
		return nil
	})
	if last != nil {
		last.Sent = sent
	}
	return last
}

// repeatable says whether a failure may be followed by another attempt.
func (c *Client) repeatable(ctx context.Context, mode Retry, failed *Error) bool {
	if ctx.Err() != nil || mode == Never {
		return false
	}
	network := failed.Status == 0 && (failed.Kind == Down || failed.Kind == TimedOut)
	if mode == IfUnsent {
		return network && !failed.Sent
	}
	switch failed.Status {
	case http.StatusTooManyRequests:
		return !failed.Until.IsZero() && c.waitFits(ctx, failed)
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return c.waitFits(ctx, failed)
	}
	return network || failed.cutOff
}

// waitFits says whether the pause the vendor asked for is short and ends within
// the time limit.
func (c *Client) waitFits(ctx context.Context, failed *Error) bool {
	if failed.Until.IsZero() {
		return true
	}
	wait := failed.Until.Sub(c.now())
	deadline, ok := ctx.Deadline()
	return wait <= shortWait && (!ok || time.Until(deadline) > 2*wait)
}

// wait returns the pause the vendor asked for, or -1 for our own.
func (c *Client) wait(failed *Error) time.Duration {
	if failed == nil || failed.Until.IsZero() {
		return -1
	}
	// Longer by as much as jitter may take off again.
	asked := max(failed.Until.Sub(c.now()), c.retryDelay)
	return time.Duration(float64(asked) / (1 - jitter))
}
