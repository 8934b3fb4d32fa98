// Package upstream is the one way out: every request to a vendor goes through a
// Client. It bounds time and size, writes a ledger row before each attempt and
// its outcome after, repeats only what is safe to repeat, refuses to be led to
// other hosts or into the private network, and turns every failure into an
// *Error that says what happened without showing a secret.
package upstream

import (
	"context"
	"time"
)

// Call is one attempt to reach a vendor, as the ledger sees it.
type Call struct {
	// Vendor is "raygun" or "logrocket".
	Vendor string
	// Operation is the contract's name for what is asked, "sessions" or "updateUser".
	Operation string
	// Method is the HTTP method of this attempt.
	Method string
	// Attempt counts from 1 within one operation; a repeat is a row of its own.
	Attempt int
	// Counts says whether the attempt takes one of Raygun's calls a day.
	Counts bool
}

// Outcome is how an attempt ended.
type Outcome struct {
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Kind is empty for an answer below 400 and says what went wrong otherwise.
	Kind Kind
	// Says is the vendor's own words, see Error.
	Says string
	// Duration is the time from sending to the end of the body.
	Duration time.Duration
	// Bytes is the size of the body as it came over the wire.
	Bytes int64
	// Until is when the vendor will answer again, zero if it did not say.
	Until time.Time
	// Sent is false only if the request certainly never left this machine. Such
	// an attempt has cost nothing.
	Sent bool
}

// Ledger keeps one row for each attempt. Who is spending travels in ctx and is
// the implementation's business. Implementations are safe for concurrent use.
type Ledger interface {
	// Begin writes the row, before anything is sent, and returns its id. An
	// error stops the call: the caller gets an *Error of kind Refused that wraps
	// it, so errors.As finds it.
	Begin(ctx context.Context, call Call) (id int64, err error)
	// End writes how it ended. Its context outlives the caller's cancellation. An
	// error is logged and does not lose the vendor's answer.
	End(ctx context.Context, id int64, outcome Outcome) error
}
