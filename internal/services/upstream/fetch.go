package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
)

// maxUnpacked bounds a fetched file once unpacked.
const maxUnpacked = 16 << 30

// Download is a file being fetched, already unpacked. Close it.
type Download struct {
	io.Reader
	// Size is its length on the wire, -1 if not announced.
	Size int64
	wire *wireBody
}

// Received returns how many bytes have come over the wire so far.
func (d *Download) Received() int64 { return d.wire.count.Load() }

// Close ends the fetch and its ledger row.
func (d *Download) Close() error { return d.wire.Close() }

// Fetch opens a file whose address came in an answer. It sends no credentials,
// goes to public https addresses only (and inside if the base URL is inside),
// and unpacks gzip whatever the headers say. The time limit holds for the start
// and for each pause between bytes, not for the whole. Read errors are *Error.
func (c *Client) Fetch(ctx context.Context, operation, address string) (*Download, error) {
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
		download, failed = c.fetchOnce(ctx, operation, target, inside, attempts)
		return failed
	})
	if failed != nil {
		return nil, failed
	}
	return download, nil
}

// fetchOnce makes one attempt, with one ledger row that stays open until the
// file is closed.
func (c *Client) fetchOnce(ctx context.Context, operation string, target *url.URL, inside bool, attempt int) (*Download, *Error) {
	id, failed := c.begin(ctx, Call{Vendor: c.vendor, Operation: operation, Method: http.MethodGet, Attempt: attempt})
	if failed != nil {
		return nil, failed
	}
	w := &wireBody{client: c, operation: operation, row: id, ctx: ctx, started: c.now(), outcome: Outcome{Sent: true}}
	watched, cancel := context.WithCancelCause(ctx)
	w.cancel = cancel
	w.watch = time.AfterFunc(c.timeout, func() { cancel(context.DeadlineExceeded) })
	resp, failed := c.fetchHops(watched, w, target, inside)
	if failed == nil {
		w.body, w.outcome.Status = resp.Body, resp.StatusCode
		var reader io.Reader
		reader, failed = w.unpacked()
		if failed == nil {
			return &Download{Reader: reader, Size: resp.ContentLength, wire: w}, nil
		}
	}
	w.fail(failed)
	_ = w.Close()
	return nil, failed
}

// fetchHops follows redirects, checking each address as if it came first.
func (c *Client) fetchHops(ctx context.Context, w *wireBody, target *url.URL, inside bool) (*http.Response, *Error) {
	for hop := 0; ; hop++ {
		var sent atomic.Bool
		traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
		req, err := http.NewRequestWithContext(traced, http.MethodGet, target.String(), nil)
		if err != nil {
			return nil, c.failure(w.operation, &blockedAddress{"the answer holds an address that cannot be asked"})
		}
		req.Header.Set("User-Agent", "Sightline")
		req.Header.Set("Accept-Encoding", "gzip")
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
	return err
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

// unpacked returns the content, of gzip or of a gzip packed once more on the way.
func (w *wireBody) unpacked() (io.Reader, *Error) {
	var content io.Reader = w
	for range 2 {
		buffered := bufio.NewReaderSize(content, 64<<10)
		start, err := buffered.Peek(2)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, w.broken(err)
		}
		content = buffered
		if !isGzip(start) {
			break
		}
		if content, err = gzip.NewReader(buffered); err != nil {
			return nil, w.broken(err)
		}
	}
	return &contentReader{wire: w, content: content, left: maxUnpacked}, nil
}

// broken is the error of a file that stopped within.
func (w *wireBody) broken(err error) *Error {
	switch {
	case w.ctx.Err() != nil:
		err = w.ctx.Err()
	case errors.Is(err, context.Canceled): // by the watch: the caller's context is well
		err = context.DeadlineExceeded
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		err = errGzip
	}
	failed := w.client.broken(w.operation, w.outcome.Status, err)
	failed.Sent = true
	return failed
}

// contentReader turns read errors into *Error and bounds what gzip may unfold to.
type contentReader struct {
	wire    *wireBody
	content io.Reader
	left    int64
}

func (r *contentReader) Read(p []byte) (int, error) {
	n, err := r.content.Read(p)
	r.left -= int64(n)
	if r.left < 0 {
		err = errTooBig
	}
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	failed := r.wire.broken(err)
	r.wire.fail(failed)
	return n, failed
}
