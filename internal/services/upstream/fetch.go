package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Resume says which part of a file is here already. The zero value is none of it.
type Resume struct {
	// Offset is how many bytes of the file's beginning are here.
	Offset int64
	// Validator is Download.Validator of the fetch that brought them. Without
	// one the file is fetched from its beginning.
	Validator string
}

// Download is a file being fetched, byte for byte as it is stored: packed, if it
// is stored so. Close it.
type Download struct {
	io.Reader
	// Offset is where in the file the reading begins: Resume.Offset if the server
	// went on there, 0 if it began anew.
	Offset int64
	// Size is the length of the whole file, -1 if it was not announced.
	Size int64
	// Validator tells this version of the file from another, in Resume; empty if
	// the server names none.
	Validator string
	wire      *wireBody
}

// Received returns how many bytes have come over the wire so far.
func (d *Download) Received() int64 { return d.wire.count.Load() }

// Close ends the fetch and its ledger row.
func (d *Download) Close() error { return d.wire.Close() }

// Fetch opens a file whose address came in an answer. It sends no credentials,
// and goes to public https addresses only (and inside if the base URL is inside).
// With the beginning of the file at hand it asks for the rest; a server that
// cannot do that, or has another file by now, sends the whole. The time limit
// holds for the start and for each pause between bytes, not for the whole. Read
// errors are *Error.
func (c *Client) Fetch(ctx context.Context, operation, address string, from Resume) (*Download, error) {
	target, err := url.Parse(address)
	if err != nil {
		err = &blockedAddress{"the answer holds an address that cannot be read"}
	}
	inside := c.insideBase(ctx)
	if err == nil {
		err = checkTarget(target, inside)
	}
	if err != nil {
		return nil, c.failure(operation, err)
	}
	var download *Download
	attempts := 0
	failed := c.retry(ctx, IfSafe, func() *Error {
		attempts++
		var failed *Error
		download, failed = c.fetchOnce(ctx, operation, target, inside, attempts, from)
		var other *otherPart
		if from.Offset > 0 && failed != nil && (failed.Status == http.StatusRequestedRangeNotSatisfiable || errors.As(failed.Err, &other)) {
			from = Resume{} // the file is another one, or the server cannot tell its parts
			attempts++
			download, failed = c.fetchOnce(ctx, operation, target, inside, attempts, from)
		}
		return failed
	})
	if failed != nil {
		return nil, failed
	}
	return download, nil
}

// fetchOnce makes one attempt, with one ledger row that stays open until the
// file is closed.
func (c *Client) fetchOnce(ctx context.Context, operation string, target *url.URL, inside bool, attempt int, from Resume) (*Download, *Error) {
	id, failed := c.begin(ctx, Call{Vendor: c.vendor, Operation: operation, Method: http.MethodGet, Attempt: attempt})
	if failed != nil {
		return nil, failed
	}
	w := &wireBody{client: c, operation: operation, row: id, ctx: ctx, started: c.now(), outcome: Outcome{Sent: true}}
	watched, cancel := context.WithCancelCause(ctx)
	w.cancel = cancel
	w.watch = time.AfterFunc(c.timeout, func() { cancel(context.DeadlineExceeded) })
	resp, failed := c.fetchHops(watched, w, target, inside, from)
	if failed == nil {
		w.body, w.outcome.Status = resp.Body, resp.StatusCode
		d := &Download{Reader: &wireReader{w}, Size: resp.ContentLength, Validator: validator(resp.Header), wire: w}
		if resp.StatusCode != http.StatusPartialContent {
			return d, nil
		}
		err := d.resumed(resp.Header.Get("Content-Range"), from)
		if err == nil {
			return d, nil
		}
		failed = c.failure(operation, err)
		failed.Sent = true
	}
	w.fail(failed)
	_ = w.Close()
	return nil, failed
}

// validator is what an If-Range header may hold: a strong entity tag, else the
// time of the last change (RFC 9110, 13.1.5).
func validator(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return h.Get("Last-Modified")
}

// otherPart is the cause of an answer that is not the part asked for.
type otherPart struct{ got string }

func (e *otherPart) Error() string {
	return fmt.Sprintf("the answer is not the part of the file that was asked for, but %q", e.got)
}

// resumed reads which part of the file an answer holds. It must be the rest.
func (d *Download) resumed(contentRange string, from Resume) error {
	var first, last int64
	size := int64(-1) // stays so for "*"
	n, _ := fmt.Sscanf(contentRange, "bytes %d-%d/%d", &first, &last, &size)
	if n < 2 || first != from.Offset || n == 3 && last+1 != size {
		return &otherPart{contentRange}
	}
	d.Offset, d.Size = first, size
	return nil
}

// fetchHops follows redirects, checking each address as if it came first.
func (c *Client) fetchHops(ctx context.Context, w *wireBody, target *url.URL, inside bool, from Resume) (*http.Response, *Error) {
	for hop := 0; ; hop++ {
		var sent atomic.Bool
		traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
		req, err := http.NewRequestWithContext(traced, http.MethodGet, target.String(), nil)
		if err != nil {
			return nil, c.failure(w.operation, &blockedAddress{"the answer holds an address that cannot be asked"})
		}
		req.Header.Set("User-Agent", "Sightline")
		req.Header.Set("Accept-Encoding", "identity") // what is packed on the way has no stable offsets
		if from.Offset > 0 && from.Validator != "" {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from.Offset))
			req.Header.Set("If-Range", from.Validator)
		}
		resp, err := guardedTransport(target.Scheme, inside).RoundTrip(req)
		if err != nil {
			failed := c.failure(w.operation, w.reason(ctx, err))
			failed.Sent = sent.Load() || hop > 0
			return nil, failed
		}
		if resp.StatusCode >= 200 && resp.StatusCode < 300 {
			return resp, nil
		}
		next, failed := c.fetchNext(w.operation, target, resp, inside)
		if failed == nil && hop == maxHops {
			failed = c.failure(w.operation, &blockedAddress{"the address leads on and on"})
		}
		if failed != nil {
			failed.Sent = true
			return nil, failed
		}
		target = next
	}
}

// fetchNext returns where a redirect leads, or the error that the answer is.
func (c *Client) fetchNext(operation string, from *url.URL, resp *http.Response, inside bool) (*url.URL, *Error) {
	defer resp.Body.Close()
	if resp.StatusCode < 300 || resp.StatusCode >= 400 {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		failed := c.statusError(operation, resp, body)
		failed.Scope = ""
		return nil, failed
	}
	failed := c.redirected(operation, from, resp)
	var redirect *Redirect
	if !errors.As(failed.Err, &redirect) {
		return nil, failed
	}
	next, err := from.Parse(resp.Header.Get("Location"))
	if err == nil {
		err = checkTarget(next, inside)
	}
	if err == nil && from.Scheme == "https" && next.Scheme != "https" {
		err = &blockedAddress{"the address leads from https to http"}
	}
	if err != nil {
		return nil, c.failure(operation, err)
	}
	return next, nil
}

// wireBody reads a body, counts it, gives up when nothing comes, and closes the
// ledger row once.
type wireBody struct {
	client    *Client
	operation string
	row       int64
	ctx       context.Context // the caller's, for the ledger row
	started   time.Time
	body      io.ReadCloser
	cancel    context.CancelCauseFunc
	watch     *time.Timer
	count     atomic.Int64
	once      sync.Once
	outcome   Outcome
}

// Read reads from the wire. The watch runs only while it waits for the vendor:
// a slow reader on our side is not the vendor's fault.
func (w *wireBody) Read(p []byte) (int, error) {
	w.watch.Reset(w.client.timeout)
	n, err := w.body.Read(p)
	w.watch.Stop()
	w.count.Add(int64(n))
	return n, err
}

// reason puts our own time-out in the place of the cancellation it causes.
func (w *wireBody) reason(ctx context.Context, err error) error {
	if w.ctx.Err() == nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return ended(w.ctx, err)
}

func (w *wireBody) fail(failed *Error) {
	if failed != nil && w.outcome.Kind == "" {
		status := w.outcome.Status
		w.outcome.fill(failed)
		if w.outcome.Status == 0 {
			w.outcome.Status = status
		}
	}
}

// Close ends the connection and writes the ledger row's end, once.
func (w *wireBody) Close() error {
	var err error
	w.once.Do(func() {
		w.watch.Stop()
		if w.body != nil {
			err = w.body.Close()
		}
		w.cancel(nil)
		w.outcome.Bytes = w.count.Load()
		w.outcome.Duration = w.client.now().Sub(w.started)
		w.client.end(w.ctx, w.row, w.outcome)
	})
	return err
}

// broken is the error of a file that stopped within.
func (w *wireBody) broken(err error) *Error {
	if w.ctx.Err() == nil && errors.Is(err, context.Canceled) { // by the watch: the caller's context is well
		err = context.DeadlineExceeded
	}
	failed := w.client.broken(w.operation, w.outcome.Status, ended(w.ctx, err))
	failed.Sent = true
	return failed
}

// wireReader turns read errors into *Error and keeps the first for the ledger.
type wireReader struct{ wire *wireBody }

func (r *wireReader) Read(p []byte) (int, error) {
	n, err := r.wire.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	failed := r.wire.broken(err)
	r.wire.fail(failed)
	return n, failed
}
