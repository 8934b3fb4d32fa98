package upstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxErrorBody is how much of an error's body is read.
	maxErrorBody = 64 << 10
	// ledgerTime is how long closing a row may take once the caller is gone.
	ledgerTime = 5 * time.Second
)

// follow makes one attempt and goes after redirects, each hop with a ledger row
// of its own. Only a GET that stays on its server is followed, so credentials
// never leave and nothing is changed twice.
func (c *Client) follow(ctx context.Context, r Request, attempts *int) (*Response, *Error) {
	target := c.target(r)
	for hop := 0; ; hop++ {
		*attempts++
		answer, failed := c.send(ctx, r, target, *attempts)
		if failed != nil && hop > 0 {
			failed.Sent, failed.early = true, false
		}
		if failed == nil || failed.next == nil || r.Method != http.MethodGet || hop == maxHops {
			return answer, failed
		}
		target = failed.next
	}
}

// target puts together the address of a request.
func (c *Client) target(r Request) *url.URL {
	// Parsed from its escaped form, so that "a%2Fb" stays one part of the path.
	target, err := url.Parse(c.base.String() + r.Path)
	if err != nil { // a path that is not escaped: a bug of the caller
		target = c.base.JoinPath(r.Path)
	}
	target.RawQuery = r.Query.Encode()
	return target
}

// send makes one request, with a ledger row around it.
func (c *Client) send(ctx context.Context, r Request, target *url.URL, attempt int) (*Response, *Error) {
	id, failed := c.begin(ctx, Call{Vendor: c.vendor, Operation: r.Operation, Method: r.Method, Attempt: attempt, Counts: r.Counts})
	if failed != nil {
		return nil, failed
	}
	started := c.now()
	answer, wire, failed := c.exchange(ctx, r, target)
	outcome := Outcome{Duration: c.now().Sub(started), Bytes: wire, Sent: true}
	if failed != nil {
		outcome.fill(failed)
		c.end(ctx, id, outcome)
		return nil, failed
	}
	answer.Duration, answer.ReceivedAt = outcome.Duration, c.now()
	outcome.Status = answer.Status
	c.end(ctx, id, outcome)
	return answer, nil
}

func (o *Outcome) fill(failed *Error) {
	o.Status, o.Kind, o.Says, o.Until, o.Sent = failed.Status, failed.Kind, failed.Says, failed.Until, failed.Sent
}

func (c *Client) begin(ctx context.Context, call Call) (int64, *Error) {
	if err := ctx.Err(); err != nil {
		failed := c.failure(call.Operation, err)
		failed.early = true
		return 0, failed
	}
	id, err := c.ledger.Begin(ctx, call)
	if err != nil {
		return 0, &Error{Kind: Refused, Vendor: c.vendor, Operation: call.Operation, Err: err, early: true}
	}
	return id, nil
}

func (c *Client) end(ctx context.Context, id int64, outcome Outcome) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ledgerTime)
	defer cancel()
	if err := c.ledger.End(ctx, id, outcome); err != nil {
		c.log.WarnContext(ctx, "call ledger row left open", "vendor", c.vendor, "call", id, "status", outcome.Status, "kind", outcome.Kind, "error", err)
	}
}

// exchange sends the request and reads the whole answer. wire is how many bytes
// of body came.
func (c *Client) exchange(ctx context.Context, r Request, target *url.URL) (answer *Response, wire int64, failed *Error) {
	var sent atomic.Bool
	req, err := c.request(ctx, r, target, &sent)
	if err != nil {
		return nil, 0, &Error{Kind: Invalid, Vendor: c.vendor, Operation: r.Operation, Err: &cause{"the request cannot be written", err}}
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		failed = c.failure(r.Operation, ended(ctx, err))
		failed.Sent = sent.Load()
		return nil, 0, failed
	}
	defer resp.Body.Close()
	body, wire, readErr := c.readBody(resp)
	readErr = ended(ctx, readErr)
	read := func() {
		if readErr == nil && isGzip(body) {
			body, readErr = c.unpack(resp, body)
		}
		failed = c.judge(r, target, resp, body, readErr)
	}
	if wire >= longAnswer || isGzip(body) && wire >= longAnswer/packedBy {
		c.inTurn(read)
	} else {
		read()
	}
	if failed != nil {
		failed.Sent = true
		return nil, wire, failed
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, wire, nil
}

func (c *Client) request(ctx context.Context, r Request, target *url.URL, sent *atomic.Bool) (*http.Request, error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// Nothing is written before there is a connection.
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("User-Agent", "Sightline")
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	return req, nil
}

// errTooBig is the cause of an answer beyond the limit.
var errTooBig = errors.New("the answer is larger than Sightline accepts")

// limit is how much of an answer is read, packed and unpacked.
func (c *Client) limit(resp *http.Response) int64 {
	if resp.StatusCode >= 300 {
		return min(c.maxBody, maxErrorBody)
	}
	return c.maxBody
}

// readBody reads a body within the limits, as it comes. Of an error's body it
// reads the beginning and does not mind how it ends.
func (c *Client) readBody(resp *http.Response) (body []byte, wire int64, err error) {
	limit := c.limit(resp)
	body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	wire = int64(len(body))
	if resp.StatusCode >= 300 {
		err = nil
	} else if err == nil && wire > limit {
		return nil, wire, errTooBig
	}
	return body, wire, err
}

// unpack unpacks a body within the same limits.
func (c *Client) unpack(resp *http.Response, packed []byte) ([]byte, error) {
	body, err := gunzip(packed, c.limit(resp))
	if resp.StatusCode >= 300 {
		err = nil
	}
	return body, err
}

func isGzip(body []byte) bool { return bytes.HasPrefix(body, []byte{0x1f, 0x8b}) }

// errGzip is the cause of a body that begins as gzip and does not go on so.
var errGzip = errors.New("the answer is damaged gzip")

func gunzip(packed []byte, limit int64) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, errGzip
	}
	unpacked, err := io.ReadAll(io.LimitReader(reader, limit+1))
	if err != nil {
		return unpacked, errGzip
	}
	if int64(len(unpacked)) > limit {
		return nil, errTooBig
	}
	return unpacked, nil
}

// judge turns an answer that is not a good one into an error.
func (c *Client) judge(r Request, target *url.URL, resp *http.Response, body []byte, readErr error) *Error {
	status := resp.StatusCode
	if readErr != nil {
		return c.broken(r.Operation, status, readErr)
	}
	if status >= 300 && status < 400 {
		return c.redirected(r.Operation, target, resp)
	}
	if (status < 200 || status >= 300) && (r.Answer == nil || !r.Answer(status, body)) {
		return c.statusError(r.Operation, resp, body)
	}
	if r.Read == nil {
		return nil
	}
	if err := r.Read(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))); err != nil {
		return &Error{
			Kind: Unexpected, Vendor: c.vendor, Operation: r.Operation, Status: status,
			First: c.redact.first(body), Err: c.cause(err),
		}
	}
	return nil
}

// broken is the error of a body that could not be read to its end.
func (c *Client) broken(operation string, status int, err error) *Error {
	failed := c.failure(operation, err)
	if errors.Is(err, errTooBig) || errors.Is(err, errGzip) {
		failed.Kind = Unexpected
	}
	failed.Status, failed.cutOff = status, failed.Kind == Down
	return failed
}

// redirected is the error of an answer that leads elsewhere. follow may go there.
func (c *Client) redirected(operation string, from *url.URL, resp *http.Response) *Error {
	failed := &Error{Kind: Unexpected, Vendor: c.vendor, Operation: operation, Status: resp.StatusCode}
	to, err := from.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" || to.Hostname() == "" {
		failed.Err = errors.New("the answer leads elsewhere without saying where")
		return failed
	}
	redirect := &Redirect{Host: to.Scheme + "://" + to.Host}
	if to.Scheme == from.Scheme && strings.EqualFold(to.Host, from.Host) && to.User == nil {
		redirect.Path = to.EscapedPath()
		failed.next = to
	}
	failed.Err = redirect
	return failed
}

// statusError is the error of an answer with a failing status.
func (c *Client) statusError(operation string, resp *http.Response, body []byte) *Error {
	words, coded := says(body)
	failed := &Error{
		Kind: kindOfStatus(resp.StatusCode), Vendor: c.vendor, Operation: operation, Status: resp.StatusCode,
		Says: c.redact.cut(words, maxSays), Coded: coded,
		Until: retryAfter(resp.Header, c.now()),
	}
	if failed.Kind == Forbidden {
		if aboutTheKey(words) {
			failed.Kind = WrongKey
		} else {
			failed.Scope = scope(c.redact.clean(resp.Header.Get("WWW-Authenticate")), failed.Says)
		}
	}
	return failed
}

// ended says of an error what ended the context, if that has ended: net/http
// gives the cause in its place, which only whoever set it knows.
func ended(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}

// failure classifies an error of the network or of the context. Sent is true:
// the caller sets it where it knows better.
func (c *Client) failure(operation string, err error) *Error {
	failed := &Error{Kind: Down, Vendor: c.vendor, Operation: operation, Err: c.cause(err)}
	var timeout net.Error
	var blocked *blockedAddress
	switch {
	case errors.Is(err, context.Canceled):
		failed.Kind = Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		failed.Kind = TimedOut
	case errors.As(err, &blocked), strings.Contains(err.Error(), "malformed HTTP"), errors.Is(err, http.ErrSchemeMismatch):
		failed.Kind = Unexpected
	}
	return failed
}

// cause hides our secrets in the text of err.
func (c *Client) cause(err error) error {
	return &cause{text: c.redact.cut(err.Error(), maxSays), err: err}
}

func kindOfStatus(status int) Kind {
	switch {
	case status == http.StatusUnauthorized:
		return WrongKey
	case status == http.StatusForbidden, status == http.StatusPaymentRequired:
		return Forbidden
	case status == http.StatusNotFound, status == http.StatusGone:
		return NotFound
	case status == http.StatusTooManyRequests:
		return RateLimited
	case status == http.StatusRequestTimeout:
		return TimedOut
	case status >= 400 && status < 500:
		return Invalid
	case status >= 500 && status < 600:
		return Down
	}
	return Unexpected
}
