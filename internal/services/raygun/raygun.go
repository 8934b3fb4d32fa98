// Package raygun reads Raygun Real User Monitoring. API is what Sightline asks
// of it; V1 answers with the "pulse" API, in the documented form and in the one
// live servers are known to use, and V3 with its successor, which filters less,
// knows less of a session and names users, pages and errors by identifier.
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
	// it takes none of the day's calls, with v3 one for each permission it tries.
	Check(ctx context.Context) (CheckResult, error)
	// Sessions reads one page of sessions. With v1 it takes one of the day's
	// calls, or two if the session key had to be renewed on the way.
	Sessions(ctx context.Context, q SessionQuery) (SessionPage, error)
	// Session reads one session with its page views, errors and rating. It costs
	// what Sessions costs. An unknown id is an error of kind NotFound.
	Session(ctx context.Context, id string) (Session, error)
	// Capabilities says what this version of the API can filter by and what it
	// tells, so that a page can say "not in v3" instead of showing nothing or
	// zero. It calls nobody.
	Capabilities() Capabilities
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
	// Scopes are the permissions that were tried, with v3 only.
	Scopes []ScopeCheck
}

// ScopeCheck is what Check found out about one permission of a token.
type ScopeCheck struct {
	// Scope is the vendor's name, such as "rum.sessions:read".
	Scope string
	// For is what Sightline needs it for, in words.
	For string
	// Tried is false if the vendor gave no answer that decides it.
	Tried bool
	// Works says that the token has it.
	Works bool
}

// SessionQuery selects sessions.
type SessionQuery struct {
	// From and To bound the time, both required. Whether To is included is not
	// documented: ask overlapping ranges and drop doubles by id. With v3 they
	// bound the start, both included.
	From, To time.Time
	// UserIdentifier is what the site gave its SDK, often but not always the
	// email. Empty means everybody.
	UserIdentifier string
	// Countries are two-letter codes. Empty means all.
	Countries []string
	// UserType is free text: Raygun does not document its values. v3 has no such
	// filter, and nobody applies it: see SessionPage.NotFiltered.
	UserType string
	// RequestURI asks for sessions with a request to this address (XHR), in an
	// order that is not documented. v1 cannot and refuses it.
	RequestURI string
	// Skip leaves out that many sessions from the start.
	Skip int
	// Limit is how many to return, at most MaxLimit; 0 means MaxLimit, because a
	// small page costs as much as a large one.
	Limit int
}

// SessionPage is one page of sessions: with v1 in the vendor's undocumented
// order, with v3 by start, newest first.
type SessionPage struct {
	// Total is how many sessions match in all, or -1 if the answer did not say.
	Total int
	// Sessions are those of this page that could be read and match the query, or
	// may match it.
	Sessions []Session
	// Received is how many rows the vendor sent: Sessions, Others and Unreadable.
	// A page without Sessions is the end only if this is 0.
	Received int
	// Listed is how many rows the vendor's list holds with the vendor's filters
	// alone, or -1 if the answer did not say.
	Listed int
	// Others are the readable rows that FilteredHere keeps out of Sessions. They
	// came with the same call, so a mirror may well keep them.
	Others []Session
	// FilteredHere names the parts of the query that the vendor cannot filter by
	// and Sightline applied to what came. It is empty with v1.
	FilteredHere []Filter
	// NotFiltered names the parts of the query that nobody could apply.
	NotFiltered []Filter
	// Undecided counts the rows of Sessions that are there because nothing tells
	// whether they match, such as those of a user who is not known yet.
	Undecided int
	// NewestFirst says that this page's rows came in order of their start, newest
	// first; those without one say nothing. If all pages of a walk do, it has by
	// now seen every session that started after Oldest. Always false with v1.
	NewestFirst bool
	// Newest and Oldest are the latest and the earliest start among the rows, with
	// v3 only; zero if there is none.
	Newest, Oldest time.Time
	// Rate is what the answer said of the vendor's rate limit; its zero value
	// means nothing.
	Rate RateLimit
	// Unreadable counts the rows left out because they had no id.
	Unreadable int
	// More says whether there seems to be another page, at NextSkip.
	More bool
	// NextSkip is the Skip of the next page.
	NextSkip int
	// ReceivedAt is when the answer was complete.
	ReceivedAt time.Time
}

// Session is one visit. Absent texts are empty, absent times zero. What is
// absent because this version of the API does not tell it is in Capabilities.
type Session struct {
	// ID is the vendor's 64-bit number as text, because it does not fit
	// JavaScript's numbers; with v3 it is in base 36, see BaseTen.
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
	// LengthMS is the length in milliseconds, nil if unknown. v3 does not send it:
	// there it is End less Start.
	LengthMS *int64
	// Status is the vendor's word, "active" or "ended".
	Status string
	// PageViewCount comes with v1's list and v3's detail only; -1 if unknown.
	PageViewCount int
	// Rating is the satisfaction rating in the vendor's word, with the detail
	// only. Its formula is not known.
	Rating string
	// Viewport is the size of the window's content in pixels, with v3 only; zero
	// if unknown.
	Viewport Viewport
	// Deployment is the version of the site's code, with v3 only.
	Deployment string
	// Errors and PageViews come with the detail only.
	Errors    []SessionError
	PageViews []PageView
	// Truncated says that Errors or PageViews hold as many as v3 ever sends, so
	// there may have been more.
	Truncated bool
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
	// ID is Raygun's own: a number with v1, in base 36 with v3.
	ID string
	// Partial says that only ID is known: v3 names a session's user by it and
	// nothing else. V3.Customer has the rest.
	Partial bool
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

// Label is the name to show for the user, empty if none is known.
func (u User) Label() string {
	if u.FullName != "" {
		return u.FullName
	}
	return u.FirstName
}

// Viewport is the size of a browser window's content in pixels.
type Viewport struct {
	Width, Height int
}

// Software is a browser, platform or operating system.
type Software struct {
	Name, Version string
}

// SessionError is an error that occurred in a session.
type SessionError struct {
	// GroupID is the error group, for V3.ErrorGroup. InstanceID is not in v3.
	GroupID, InstanceID string
	// Title is the error's message. v3 leaves it to the error group: it is empty
	// unless OptionsV3.Known had it.
	Title string
	// At is when it occurred, with v3 only.
	At time.Time
	// WebLink is the error's page in Raygun's app, empty as in Session.
	WebLink string
}

// PageView is one page seen in a session.
type PageView struct {
	// Page is the URL or path as the site reported it. Hostile text. v3 sends a
	// PageID instead: Page is empty unless OptionsV3.Known had it.
	Page string
	// PageID is v3's identifier of the page, for V3.Page; empty with v1.
	PageID string
	// LoadingMS and ViewingMS are milliseconds, nil if unknown. ViewingMS is
	// negative in some old data.
	LoadingMS, ViewingMS *int64
	ViewedOn             time.Time
}
