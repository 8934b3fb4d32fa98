package services

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sightline/internal/db"
	"sightline/internal/services/raygun"
)

// The mirror's rows, as the store keeps them.
type (
	Session      = db.Session
	PageView     = db.PageView
	SessionError = db.SessionError
	// Moment is a place in a list that is ordered newest first.
	Moment = db.Moment
)

// PageSize is how many rows a page of a list has.
const PageSize = 50

// SessionsPerCall is how many sessions one call can bring.
const SessionsPerCall = raygun.MaxLimit

// RecentDays is how far back a person's sessions are asked for: Raygun keeps
// 60 days by default.
const RecentDays = 60

// MaxCountries is how many countries one search may name.
const MaxCountries = 20

// SessionQuery is a session search by the parameters that Raygun knows.
type SessionQuery struct {
	// Connection is the Raygun connection to ask. 0 lists what the mirror holds
	// of all of them, and nothing can be asked.
	Connection ConnectionID
	// From and To bound the time: From ≤ start < To. Both are required.
	From, To time.Time
	// Identifier is what the site gave Raygun's SDK, often the email.
	Identifier string
	// Countries are two-letter codes in capitals.
	Countries []string
	// UserType is free text: Raygun does not document its values. The mirror
	// cannot tell it from a session, so a list with one shows only what Raygun
	// answered to this very search.
	UserType string
}

// Check brings a query into its canonical spelling and says what is wrong with
// it, by field: "from", "to", "identifier", "countries", "user_type".
func (q SessionQuery) Check() (SessionQuery, Problems) {
	problems := Problems{}
	q.From, q.To = q.From.UTC().Truncate(time.Second), q.To.UTC().Truncate(time.Second)
	if q.From.IsZero() {
		problems["from"] = "Give the day to begin with."
	}
	switch {
	case q.To.IsZero():
		problems["to"] = "Give the day to end with."
	case !q.From.Before(q.To):
		problems["to"] = "The range ends before it begins."
	}
	q.Identifier = db.CleanText(q.Identifier)
	if utf8.RuneCountInString(q.Identifier) > db.MaxIdentity {
		problems["identifier"] = "That is too long: an identifier has at most 1,024 characters."
	}
	q.UserType = db.CleanText(q.UserType)
	if utf8.RuneCountInString(q.UserType) > 200 {
		problems["user_type"] = "That is too long: at most 200 characters."
	}
	var codes, bad []string
	for _, c := range q.Countries {
		c = strings.ToUpper(strings.TrimSpace(c))
		if c == "" {
			continue
		}
		codes = append(codes, c)
		if len(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z' {
			bad = append(bad, "“"+clipText(c, 20)+"”")
		}
	}
	slices.Sort(codes)
	q.Countries = slices.Compact(codes)
	switch {
	case len(bad) > 5:
		problems["countries"] = fmt.Sprintf("%d of these are not country codes. Write two letters each, such as NZ, US.", len(bad))
	case len(bad) > 0:
		problems["countries"] = fmt.Sprintf("%s: not a country code. Write two letters each, such as NZ, US.", strings.Join(bad, ", "))
	case len(q.Countries) > MaxCountries:
		problems["countries"] = fmt.Sprintf("At most %d countries at once.", MaxCountries)
	}
	return q, problems
}

// clipText cuts text that is only quoted back.
func clipText(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n]) + "…"
}

func (q SessionQuery) params() searchParams {
	return searchParams{
		From: q.From.Format(time.RFC3339), To: q.To.Format(time.RFC3339),
		Identifier: q.Identifier, Countries: q.Countries, UserType: q.UserType,
	}
}

// RecentOf is the search for one identifier's sessions of the last 60 days. It
// stays the same during a UTC day, so that its answer is found again.
func RecentOf(c ConnectionID, identifier string, now time.Time) SessionQuery {
	to := nextDay(now)
	return SessionQuery{Connection: c, From: to.AddDate(0, 0, -RecentDays-1), To: to, Identifier: db.CleanText(identifier)}
}

// Sessions searches Raygun's sessions and shows them from the mirror.
type Sessions struct {
	db          *db.DB
	connections *Connections
	asks        *Asks
	now         func() time.Time
}

// newSessions returns the service and declares its asks.
func newSessions(d *db.DB, c *Connections, a *Asks, now func() time.Time) *Sessions {
	m := &mirror{db: d, connections: c, now: now}
	a.handle(askSessions, m.sessionsPage)
	a.handle(askSession, m.sessionDetail)
	return &Sessions{db: d, connections: c, asks: a, now: now}
}

// SessionList is one page of sessions, newest first.
type SessionList struct {
	Sessions []Session
	// Next is where the next page begins; More says whether there is one.
	Next Moment
	More bool
}

func sessionList(rows []Session, limit int) SessionList {
	l := SessionList{Sessions: rows}
	if len(rows) > limit {
		l.Sessions, l.More = rows[:limit], true
		last := l.Sessions[limit-1]
		l.Next = Moment{At: last.StartedAt, ID: int64(last.ID)}
	}
	return l
}

// List returns the mirror's sessions that a checked query selects, newest first.
func (s *Sessions) List(ctx context.Context, org OrgID, q SessionQuery, after Moment) (SessionList, error) {
	o := s.db.Org(org)
	if q.UserType != "" {
		search, err := o.Search(ctx, q.Connection, q.params().String())
		if errors.Is(err, db.ErrNotFound) {
			return SessionList{}, nil
		}
		if err != nil {
			return SessionList{}, err
		}
		rows, err := o.SearchResults(ctx, search.ID, after, PageSize+1)
		return sessionList(rows, PageSize), err
	}
	f := db.SessionFilter{From: q.From, To: q.To, Identifier: q.Identifier, Countries: q.Countries}
	if q.Connection != 0 {
		f.Connections = []ConnectionID{q.Connection}
	}
	rows, err := o.Sessions(ctx, f, after, PageSize+1)
	return sessionList(rows, PageSize), err
}

// SearchState is what Raygun has been asked about a query, and what may still
// be asked.
type SearchState struct {
	Connection Connection
	Budget     Budget
	// Asked says whether an answer is in the mirror; the next four are its.
	Asked bool
	// Total is how many sessions matched, nil if Raygun did not say.
	Total *int64
	// Found is how many different ones of them are here.
	Found   int64
	AskedAt time.Time
	// Complete says that the answer was read to its end: there is no next page.
	Complete bool
	// Ask is the last question about it, open or ended; nil if there was none.
	Ask *Ask
	// skip is where the next page begins.
	skip int
}

// State says how far a checked query with a connection was asked.
func (s *Sessions) State(ctx context.Context, org OrgID, q SessionQuery) (SearchState, error) {
	var st SearchState
	var err error
	if st.Connection, err = s.connections.Get(ctx, org, q.Connection); err != nil {
		return st, err
	}
	if st.Connection.Vendor != Raygun {
		return st, invalid("“%s” is a connection to %s. Sessions are searched through a Raygun connection.", st.Connection.Name, st.Connection.Vendor)
	}
	if st.Budget, err = s.connections.Budget(ctx, org, q.Connection); err != nil {
		return st, err
	}
	p := q.params()
	search, err := s.db.Org(org).Search(ctx, q.Connection, p.String())
	switch {
	case err == nil:
		st.Asked, st.Total, st.Found, st.AskedAt, st.Complete, st.skip = true, search.Total, search.Found, search.AskedAt, search.Complete, search.NextSkip
	case !errors.Is(err, db.ErrNotFound):
		return st, err
	}
	// The last question was for the first page or for the next one.
	for _, skip := range []int{0, st.skip} {
		p.Skip = skip
		ask, ok, err := s.asks.Latest(ctx, org, q.Connection, askSessions, p.String())
		if err != nil {
			return st, err
		}
		if ok && (st.Ask == nil || ask.ID > st.Ask.ID) {
			st.Ask = &ask
		}
	}
	// A failure that a later success of another page has overtaken is no news.
	if st.Ask != nil && !st.Ask.State.Open() && st.Ask.FinishedAt.Before(st.AskedAt) && st.Ask.State != AskDone {
		st.Ask = nil
	}
	return st, nil
}

// Ask puts a checked query to Raygun: its first page, or the next one. It
// costs one call.
func (s *Sessions) Ask(ctx context.Context, actor Actor, q SessionQuery, customer CustomerID, next bool) (Ask, error) {
	st, err := s.State(ctx, actor.Org, q)
	if err != nil {
		return Ask{}, err
	}
	if st.Ask != nil && st.Ask.State.Open() {
		return *st.Ask, nil
	}
	p := q.params()
	if next && st.Asked {
		p.Skip = st.skip
	}
	return s.asks.Put(ctx, actor, AskSpec{Connection: q.Connection, Kind: askSessions, Subject: p.String(), Customer: customer})
}

// SessionDetail is one session with all that the mirror knows of it.
type SessionDetail struct {
	Session    Session
	Connection Connection
	// Customer is nil where nothing names the person.
	Customer *Customer
	// Detailed says whether the page views and errors were ever fetched: without
	// that, none means unknown.
	Detailed  bool
	PageViews []PageView
	Errors    []SessionError
	// Earlier and Later are the person's sessions beside this one, 0 for none.
	Earlier, Later SessionID
	Budget         Budget
	// Ask is the last question about the session, nil if there was none.
	Ask *Ask
}

// Stale says that the session went on after its detail was fetched, or may
// still go on.
func (d SessionDetail) Stale() bool {
	return d.Detailed && (d.Active() || d.Session.UpdatedAt.After(d.Session.DetailedAt))
}

// Active says that Raygun calls the session active, which it does for half an
// hour and more after the last event.
func (d SessionDetail) Active() bool { return strings.EqualFold(d.Session.Status, "active") }

const noSession = "There is no such session in this organization."

// Get returns a session from the mirror.
func (s *Sessions) Get(ctx context.Context, org OrgID, id SessionID) (SessionDetail, error) {
	o := s.db.Org(org)
	row, err := o.Session(ctx, id)
	if err != nil {
		return SessionDetail{}, notFound(err, noSession)
	}
	d := SessionDetail{Session: row, Detailed: !row.DetailedAt.IsZero()}
	if d.Connection, err = s.connections.Get(ctx, org, row.Connection); err != nil {
		return d, err
	}
	if d.Budget, err = s.connections.Budget(ctx, org, row.Connection); err != nil {
		return d, err
	}
	if row.Customer != 0 {
		c, err := o.Customer(ctx, row.Customer)
		if err != nil {
			return d, err
		}
		d.Customer = &c
	}
	if d.Detailed {
		if d.PageViews, err = o.PageViews(ctx, id); err != nil {
			return d, err
		}
		if d.Errors, err = o.SessionErrors(ctx, id); err != nil {
			return d, err
		}
	}
	if d.Earlier, d.Later, err = o.SessionNeighbours(ctx, row); err != nil {
		return d, err
	}
	ask, ok, err := s.asks.Latest(ctx, org, row.Connection, askSession, row.VendorID)
	if ok {
		d.Ask = &ask
	}
	return d, err
}

// AskDetail asks Raygun for a session's page views and errors, which costs one
// call. A session that has ended and whose detail is here is not asked for
// again unless again is true: it does not change any more. asked is false then.
func (s *Sessions) AskDetail(ctx context.Context, actor Actor, id SessionID, again bool) (ask Ask, asked bool, err error) {
	row, err := s.db.Org(actor.Org).Session(ctx, id)
	if err != nil {
		return Ask{}, false, notFound(err, noSession)
	}
	d := SessionDetail{Session: row, Detailed: !row.DetailedAt.IsZero()}
	if d.Detailed && !d.Stale() && !again {
		return Ask{}, false, nil
	}
	ask, err = s.asks.Put(ctx, actor, AskSpec{Connection: row.Connection, Kind: askSession, Subject: row.VendorID, Customer: row.Customer})
	return ask, err == nil, err
}
