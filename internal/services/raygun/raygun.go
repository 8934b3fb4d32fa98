// Package raygun reads Raygun Real User Monitoring. API is what Sightline asks
// of it; V1 answers with the "pulse" API, in the documented form and in the one
// live servers are known to use.
package raygun

import (
	"context"
	"encoding/json"
	"time"
)

// API is what Sightline asks of Raygun, whichever version answers. Errors are
// *upstream.Error.
type API interface {
	// Check makes the cheapest real call and says in words what worked. With v1
	// it takes none of the day's calls.
	Check(ctx context.Context) (CheckResult, error)
	// Sessions reads one page of sessions. With v1 it takes one of the day's
	// calls, or two if the session key had to be renewed on the way.
	Sessions(ctx context.Context, q SessionQuery) (SessionPage, error)
	// Session reads one session with its page views, errors and rating. It costs
	// what Sessions costs. An unknown id is an error of kind NotFound.
	Session(ctx context.Context, id string) (Session, error)
}

// MaxLimit is the most sessions one page may hold.
const MaxLimit = 500

// Dialect is what was found out about a server, to be stored with the
// connection. The zero value knows nothing and is always good to start with.
type Dialect struct {
	// Authenticate is the method that last worked for authenticate, "POST" or
	// "GET"; empty means not known yet. The documentation says both.
	Authenticate string `json:"authenticate,omitempty"`
}

// CheckResult is what a successful Check found.
type CheckResult struct {
	// Sentence says in words what the vendor answered.
	Sentence string
	// Took is how long the answer took.
	Took time.Duration
}

// SessionQuery selects sessions.
type SessionQuery struct {
	// From and To bound the time, both required. Whether To is included is not
	// documented: ask overlapping ranges and drop doubles by id.
	From, To time.Time
	// UserIdentifier is what the site gave its SDK, often but not always the
	// email. Empty means everybody.
	UserIdentifier string
	// Countries are two-letter codes. Empty means all.
	Countries []string
	// UserType is free text: Raygun does not document its values.
	UserType string
	// Skip leaves out that many sessions from the start.
	Skip int
	// Limit is how many to return, at most MaxLimit; 0 means MaxLimit, because a
	// small page costs as much as a large one.
	Limit int
}

// SessionPage is one page of sessions, in the vendor's (undocumented) order.
type SessionPage struct {
	// Total is how many sessions match in all, or -1 if the answer did not say.
	Total int
	// Sessions are those of this page that could be read.
	Sessions []Session
	// Unreadable counts the rows left out because they had no id.
	Unreadable int
	// More says whether there seems to be another page, at NextSkip.
	More bool
	// NextSkip is the Skip of the next page.
	NextSkip int
	// ReceivedAt is when the answer was complete.
	ReceivedAt time.Time
}

// Session is one visit. Absent texts are empty, absent times zero.
type Session struct {
	// ID is the vendor's 64-bit number as text: it does not fit JavaScript's numbers.
	ID                  string
	Start, Updated, End time.Time
	User                User
	Browser             Software
	// Platform has no version.
	Platform Software
	OS       Software
	// Country is the two-letter code; CountryName, State and City come with the
	// detail only.
	Country, CountryName, State, City string
	IP                                string
	// LengthMS is the length in milliseconds, nil if unknown.
	LengthMS *int64
	// Status is the vendor's word, "active" or "ended".
	Status string
	// PageViewCount comes with the list only; -1 if unknown.
	PageViewCount int
	// Rating is the satisfaction rating in the vendor's word, with the detail
	// only. Its formula is not known.
	Rating string
	// Errors and PageViews come with the detail only.
	Errors    []SessionError
	PageViews []PageView
	// WebLink is the session's page in Raygun's app, empty if the answer held
	// none that may be shown.
	WebLink string
	// Detailed says that this came from Session: an empty PageViews then means none.
	Detailed bool
	// Raw is the vendor's object, unchanged.
	Raw json.RawMessage
}

// User is the person as Raygun knows them.
type User struct {
	ID string
	// Anonymous is Raygun's flag; false if it did not say.
	Anonymous bool
	// Identifier is what the site gave its SDK. It is not Raygun's user id.
	Identifier          string
	FirstName, FullName string
	Email               string
	FirstSeen, LastSeen time.Time
	// WebLink is the user's page in Raygun's app, empty as in Session.
	WebLink string
}

// Software is a browser, platform or operating system.
type Software struct {
	Name, Version string
}

// SessionError is an error that occurred in a session.
type SessionError struct {
	GroupID, InstanceID string
	Title               string
	// WebLink is the error's page in Raygun's app, empty as in Session.
	WebLink string
}

// PageView is one page seen in a session.
type PageView struct {
	// Page is the URL or path as the site reported it. Hostile text.
	Page string
	// LoadingMS and ViewingMS are milliseconds, nil if unknown. ViewingMS is
	// negative in some old data.
	LoadingMS, ViewingMS *int64
	ViewedOn             time.Time
}
