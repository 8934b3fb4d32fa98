package upstream

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Kind tells failures apart by what a person can do about them.
type Kind string

const (
	// WrongKey: the vendor does not accept the credentials (401, and 403 that says so).
	WrongKey Kind = "wrong_key"
	// Forbidden: the credentials are good but lack a permission (403).
	Forbidden Kind = "forbidden"
	// NotFound: there is no such thing (404, 410).
	NotFound Kind = "not_found"
	// Invalid: the request is wrong: the vendor said so (400, 422 and other
	// 4xx), or we saw it before sending (then Sent is false).
	Invalid Kind = "invalid"
	// RateLimited: too many calls (429). Until says when to come back, if known.
	RateLimited Kind = "rate_limited"
	// Down: the vendor cannot be reached or fails (5xx, refused, reset, cut off, DNS).
	Down Kind = "down"
	// TimedOut: no whole answer within the time limit.
	TimedOut Kind = "timed_out"
	// Unexpected: an answer, but not what the contract or the live API sends: not
	// JSON, another shape, too big, a redirect elsewhere, an address we do not fetch.
	Unexpected Kind = "unexpected"
	// Refused: our own ledger said no; nothing was sent.
	Refused Kind = "refused"
	// Canceled: the caller gave up.
	Canceled Kind = "canceled"
)

// EndsAll says that the next call would end in the same way, whatever it asks:
// the vendor is not there, says to wait or does not know the credentials, our
// own ledger said no, or the caller gave up. The empty kind does not.
func (k Kind) EndsAll() bool {
	switch k {
	case RateLimited, Refused, Down, TimedOut, Canceled, WrongKey:
		return true
	}
	return false
}

// Error is a failed vendor call. Its text is safe to log: no secrets, bodies,
// queries or addresses with queries.
type Error struct {
	Kind      Kind
	Vendor    string
	Operation string
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Says is what the vendor wrote, as plain text of at most 500 characters,
	// with our secrets taken out. Hostile text: show it as text.
	Says string
	// Coded says that Says was read from a JSON error body: the vendor's
	// application answered, not just some server on the way.
	Coded bool
	// Scope is the permission a Forbidden answer named, such as
	// "rum.sessions:read"; empty if it named none.
	Scope string
	// Until is when the vendor will answer again; zero if it did not say.
	Until time.Time
	// First is the beginning of an Unexpected body, printable and without our secrets.
	First string
	// Sent is false only if the request certainly never left this machine.
	Sent bool
	// Err is the cause, if there is one. Its text has our secrets taken out.
	Err error
	// cutOff says that the connection broke within the body of an answer.
	cutOff bool
	// next is where a redirect on the same server leads.
	next *url.URL
	// early says that the attempt ended before anything was tried.
	early bool
}

// Redirect is the cause of an Unexpected answer that leads elsewhere.
type Redirect struct {
	// Host is where to.
	Host string
	// Path is the path there, escaped; empty unless it is on the same server.
	Path string
}

// Error names the host, never the rest of the address.
func (r *Redirect) Error() string { return "the answer leads to another address, on " + r.Host }

// cause keeps an error for errors.Is and errors.As, under a text with the
// secrets taken out.
type cause struct {
	text string
	err  error
}

func (c *cause) Error() string { return c.text }
func (c *cause) Unwrap() error { return c.err }

// Error describes the failure in one line, without what the vendor wrote: that
// is in Says and First, for the page and not for the log.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s", e.Vendor, e.Operation, e.Kind)
	if e.Status != 0 {
		fmt.Fprintf(&b, " (status %d)", e.Status)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the vendor failure in err, or "" if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}
