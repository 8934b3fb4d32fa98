// Package logrocket speaks LogRocket's REST and GraphQL APIs, in the documented
// form and in the one live servers are known to use: user traits, session
// exports, highlights and queries.
package logrocket

import (
	"encoding/json"
	"time"
)

// MaxText is the most characters LogRocket takes in an id, name, email, trait
// name or trait value.
const MaxText = 1024

// MaxExportLimit is the most sessions one page of exports may hold.
const MaxExportLimit = 100

// Dialect is what was found out about a server, to be stored with the
// connection. The zero value knows nothing and is always good to start with.
type Dialect struct {
	// HighlightsGet and HighlightsPost are "slash" or "bare": how the path of the
	// highlights ended when it last worked. Empty means not known yet.
	HighlightsGet  string `json:"highlights_get,omitempty"`
	HighlightsPost string `json:"highlights_post,omitempty"`
}

// CheckResult is what a successful Check found.
type CheckResult struct {
	// Sentence says in words what the vendor answered.
	Sentence string
	// Took is how long the answer took.
	Took time.Duration
}

// UserUpdate is a change to a user. What is nil or absent stays as it is; a
// blank value removes.
type UserUpdate struct {
	Name, Email *string
	// Traits holds strings, integers and booleans. Other numbers are sent as
	// text and nil as a blank, because the contract knows nothing else.
	Traits map[string]any
	// Timestamp is when the change happened; zero leaves that to LogRocket.
	Timestamp time.Time
}

// User is a user as LogRocket answered: the whole of it, not just what was sent.
type User struct {
	// UserID is never empty: an answer that does not name it is about the user asked for.
	UserID string
	// Name and Email are nil if the answer did not mention them.
	Name, Email *string
	// Traits holds all traits as text, and nil if the answer did not mention traits.
	Traits map[string]string
	// Raw is the vendor's object, unchanged; nil if the body was empty.
	Raw json.RawMessage
}

// ExportQuery selects exported sessions, oldest first.
type ExportQuery struct {
	// Cursor is the Cursor of the page before, empty to start.
	Cursor string
	// Limit is at most MaxExportLimit; 0 means MaxExportLimit.
	Limit int
	// Date starts the list there; zero starts at the beginning.
	Date time.Time
}

// ExportPage is one page of exported sessions.
type ExportPage struct {
	// Cursor asks for the next page. It is the vendor's text to the letter, even
	// where it was a JSON number; empty if the answer held none.
	Cursor   string
	Sessions []ExportedSession
	// Unreadable counts entries without a URL.
	Unreadable int
	// Last says that the list ends here for now: an empty page, no cursor or the
	// cursor that was asked with.
	Last bool
	// ReceivedAt is when the answer was complete.
	ReceivedAt time.Time
}

// ExportedSession is one finished session's file.
type ExportedSession struct {
	// URL is signed and expires within hours. It is as good as a password to the
	// file: do not log it.
	URL string
}

// MaxAuditLimit is the most entries that one page of the audit log is asked
// for. LogRocket documents no bound, and shows 10.
const MaxAuditLimit = 100

// AuditQuery selects entries of the audit log, oldest first.
type AuditQuery struct {
	// Cursor is the Cursor of the page before. Empty starts at the beginning; a
	// time in milliseconds starts there, that millisecond included.
	Cursor string
	// Limit is at most MaxAuditLimit; 0 means MaxAuditLimit.
	Limit int
}

// AuditPage is one page of the audit log.
type AuditPage struct {
	// Cursor asks for the next page, and once there is none for what is new since.
	// It is the vendor's text to the letter, even where it was a JSON number, and
	// opaque; empty if the answer held none.
	Cursor string
	// More says that the vendor has further entries now.
	More    bool
	Entries []AuditEntry
	// Unreadable counts entries that say nothing.
	Unreadable int
}

// AuditEntry is one thing that a user of the LogRocket app did. All texts are
// the vendor's, and any may be empty.
type AuditEntry struct {
	// At is zero if the entry tells no time that can be read; TimeText is what
	// stood there.
	At       time.Time
	TimeText string
	// User is an email or an id of LogRocket's own.
	User, Action, Description string
	// RecordingID and SessionID are the recording session that the entry is about,
	// empty if it names none; SessionID alone is empty if only the recording is
	// named.
	RecordingID, SessionID string
}

// HighlightsRequest asks for highlights of one user.
type HighlightsRequest struct {
	// UserEmail or UserID names the user: one of them.
	UserEmail, UserID string
	// Question is optional.
	Question string
	// Start and End bound the sessions looked at: both, or neither for the
	// vendor's last 30 days.
	Start, End time.Time
	// WebhookURL is optional.
	WebhookURL string
}

// HighlightsStatus is how far a request is.
type HighlightsStatus string

const (
	// Pending: not finished.
	Pending HighlightsStatus = "pending"
	// Done: the result is there (the vendor says READY or COMPLETE).
	Done HighlightsStatus = "done"
	// Failed: there will be no result.
	Failed HighlightsStatus = "failed"
	// Unknown: a word we do not know; ask again.
	Unknown HighlightsStatus = "unknown"
)

// HighlightsAnswer is the state of a highlights request. A webhook carries the same.
type HighlightsAnswer struct {
	// RequestID is never empty.
	RequestID string
	AppID     string
	Status    HighlightsStatus
	// VendorStatus is the vendor's own word, empty if it gave none.
	VendorStatus string
	// Result is nil until Done.
	Result *HighlightsResult
	// Raw is the vendor's object, unchanged.
	Raw json.RawMessage
}

// HighlightsResult is what the model wrote. All Markdown in it is hostile text.
type HighlightsResult struct {
	// Highlights is Markdown over all sessions.
	Highlights string
	Sessions   []SessionHighlights
}

// SessionHighlights is what the model wrote about one recording session.
type SessionHighlights struct {
	// RecordingID and SessionID together name the session; either is empty if
	// the answer did not hold it.
	RecordingID, SessionID string
	// Highlights is Markdown.
	Highlights string
}

// GraphQLRequest is a query to run.
type GraphQLRequest struct {
	Query string
	// Variables is a JSON object, or empty for none.
	Variables json.RawMessage
	// OperationName chooses among several operations; empty for none.
	OperationName string
}

// GraphQLResponse is an answer: data, errors, or both.
type GraphQLResponse struct {
	// Data is nil if the answer held none; it may be the JSON null.
	Data   json.RawMessage
	Errors []GraphQLError
	// Status is the HTTP status: 200, or 4xx with errors that explain it.
	Status int
	// Raw is the whole answer, unchanged.
	Raw json.RawMessage
}

// GraphQLError is one error of a query.
type GraphQLError struct {
	Message   string
	Locations []Location
	// Path leads to the field; list positions are written as numbers.
	Path []string
	// Raw is the vendor's object, with its extensions.
	Raw json.RawMessage
}

// Location is a place in a query, counted from 1.
type Location struct {
	Line, Column int
}
