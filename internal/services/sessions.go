package services

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

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

// PageSize is how many rows a page of a list has, ShortPage where each row says
// much.
const (
	PageSize  = 50
	ShortPage = 20
)

// SessionsPerCall is how many sessions one call can bring.
const SessionsPerCall = raygun.MaxLimit

// RecentDays is how far back a person's sessions are asked for: Raygun keeps
// 60 days by default.
const RecentDays = 60

// Sessions searches Raygun's sessions and shows them from the mirror.
type Sessions struct {
	db          *db.DB
	connections *Connections
	asks        *Asks
	syncs       *Syncs
	now         func() time.Time
	// chartBudget is how many sessions a chart looks at.
	chartBudget int
}

// newSessions returns the service and declares its asks.
func newSessions(d *db.DB, c *Connections, a *Asks, now func() time.Time) *Sessions {
	m := &mirror{db: d, connections: c, now: now}
	a.handle(askSessions, m.sessionsPage)
	a.handle(askSession, m.sessionDetail)
	return &Sessions{chartBudget: chartBudget, db: d, connections: c, asks: a, now: now}
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
	// Cannot says in a sentence why this cannot be asked through the connection;
	// empty if it can.
	Cannot string
	// skip is where the next page begins.
	skip int
}

// asksForOne says whether a connection can be asked for one person's sessions.
func (c Connection) asksForOne() bool {
	return c.Vendor.IsRaygun() && c.ready() && c.capabilities().CanFilter(raygun.FilterUserIdentifier)
}

// cannotAsk says why a search cannot be put through a connection. v3 lists all
// sessions, newest first: a range of dates or a country is a part of that, a
// person may be anywhere in it.
func cannotAsk(c Connection, q SessionQuery) string {
	caps := c.capabilities()
	switch {
	case !c.ready():
		return "Its application is not chosen yet."
	case q.Identifier != "" && !caps.CanFilter(raygun.FilterUserIdentifier):
		return "Raygun's API " + caps.Version + " cannot search by identifier: with sync on, the person's sessions come with all the others."
	case q.UserType != "" && !caps.CanFilter(raygun.FilterUserType):
		return "User type is not in " + caps.Version + "."
	}
	return ""
}

// State says how far a checked query with a connection was asked.
func (s *Sessions) State(ctx context.Context, org OrgID, q SessionQuery) (SearchState, error) {
	var st SearchState
	var err error
	if st.Connection, err = s.connections.Get(ctx, org, q.Connection); err != nil {
		return st, err
	}
	if !st.Connection.Vendor.IsRaygun() {
		return st, invalid("“%s” is a connection to %s. Sessions are searched through a Raygun connection.", st.Connection.Name, st.Connection.Vendor)
	}
	if st.Budget, err = s.connections.Budget(ctx, org, q.Connection); err != nil {
		return st, err
	}
	st.Cannot = cannotAsk(st.Connection, q)
	p := q.params()
	if searched, err := s.db.Org(org).Searched(ctx, q.Connection, askSessions, p.String()); err != nil || !searched {
		return st, err
	}
	search, err := s.db.Org(org).Search(ctx, q.Connection, p.String())
	switch {
	case err == nil:
		st.Asked, st.Total, st.Found, st.AskedAt, st.Complete, st.skip = true, search.Total, search.Found, search.AskedAt, search.Complete, search.NextSkip
	case !errors.Is(err, db.ErrNotFound):
		return st, err
	}
	// The last question was for the first page or for the next one.
	skips := []int{0}
	if st.skip != 0 {
		skips = append(skips, st.skip)
	}
	for _, skip := range skips {
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
	if st.Cannot != "" {
		return Ask{}, invalid("“%s” was not asked. %s", st.Connection.Name, st.Cannot)
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
	// Sources are the connections that told of the session, its own first.
	Sources []SessionSource
	// Earlier and Later are the person's sessions beside this one, 0 for none.
	Earlier, Later SessionID
	Budget         Budget
	// Ask is the last question about the session, nil if there was none.
	Ask *Ask
}

// SessionSource is a connection that told of a session.
type SessionSource struct {
	Connection Connection
	Budget     Budget
	VendorID   string // the session's id there
	WebURL     string // its page at the vendor, empty if unknown
	// Calls is what its detail costs at most through this connection.
	Calls int
	// Detail says that the page views and errors shown came through it.
	Detail bool
}

// sources finds them, and the last question about the session through any.
func (s *Sessions) sources(ctx context.Context, org OrgID, d *SessionDetail) error {
	seen, err := s.db.Org(org).SessionSightings(ctx, []SessionID{d.Session.ID})
	if err != nil {
		return err
	}
	own := db.SessionSighting{Connection: d.Session.Connection, VendorID: d.Session.VendorID, WebURL: d.Session.WebURL}
	for i, g := range append([]db.SessionSighting{own}, seen...) {
		src := SessionSource{VendorID: g.VendorID, WebURL: g.WebURL, Calls: 1}
		if src.Connection, err = s.connections.Get(ctx, org, g.Connection); err != nil {
			return err
		}
		if src.Budget, err = s.connections.Budget(ctx, org, g.Connection); err != nil {
			return err
		}
		if src.Connection.Vendor == RaygunV3 {
			src.Calls = DetailCalls
		}
		src.Detail = d.Detailed && (d.Session.DetailFrom == g.Connection || i == 0 && d.Session.DetailFrom == 0)
		d.Sources = append(d.Sources, src)
		ask, ok, err := s.asks.Latest(ctx, org, g.Connection, askSession, g.VendorID)
		if err != nil {
			return err
		}
		if ok && (d.Ask == nil || ask.ID > d.Ask.ID) {
			d.Ask = &ask
		}
	}
	return nil
}

// Field is something about a session that one version of Raygun's API tells and
// another does not.
type Field = raygun.Field

// The fields that pages say are "not in v3".
const (
	FieldRating   = raygun.FieldRating
	FieldLoadTime = raygun.FieldLoadTime
)

// Tells says whether the connection's version of the API tells a field.
func (s SessionSource) Tells(f Field) bool { return s.Connection.Tells(f) }

// Tells says whether a Raygun connection's version of the API tells a field.
func (c Connection) Tells(f Field) bool { return c.capabilities().Tells(f) }

// SeenBy is which other connections than a session's own told of each of some
// sessions; those that none told of are left out.
func (s *Sessions) SeenBy(ctx context.Context, org OrgID, list []Session) (map[SessionID][]ConnectionID, error) {
	ids := make([]SessionID, len(list))
	for i, row := range list {
		ids[i] = row.ID
	}
	rows, err := s.db.Org(org).SessionSightings(ctx, ids)
	out := map[SessionID][]ConnectionID{}
	for _, g := range rows {
		out[g.Session] = append(out[g.Session], g.Connection)
	}
	return out, err
}

// Tells says whether any connection that told of the session could have told
// the field: where none could, its absence says nothing about the session.
func (d SessionDetail) Tells(f Field) bool {
	for _, src := range d.Sources {
		if src.Tells(f) {
			return true
		}
	}
	return false
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
	if err := s.sources(ctx, org, &d); err != nil {
		return d, err
	}
	d.Connection, d.Budget = d.Sources[0].Connection, d.Sources[0].Budget
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
		if err := nameLate(ctx, o, &d); err != nil {
			return d, err
		}
	}
	d.Earlier, d.Later, err = o.SessionNeighbours(ctx, row)
	return d, err
}

// AskDetail asks Raygun for a session's page views and errors through one of
// its sources, 0 for its own connection, which costs one call, or up to
// DetailCalls through v3. A session that has ended and whose detail is here is not asked for again unless again is
// true: it does not change any more. asked is false then.
func (s *Sessions) AskDetail(ctx context.Context, actor Actor, id SessionID, through ConnectionID, again bool) (ask Ask, asked bool, err error) {
	row, err := s.db.Org(actor.Org).Session(ctx, id)
	if err != nil {
		return Ask{}, false, notFound(err, noSession)
	}
	d := SessionDetail{Session: row, Detailed: !row.DetailedAt.IsZero()}
	spec := AskSpec{Connection: row.Connection, Kind: askSession, Subject: row.VendorID, Customer: row.Customer}
	if through != 0 && through != row.Connection {
		if err := s.sources(ctx, actor.Org, &d); err != nil {
			return Ask{}, false, err
		}
		i := slices.IndexFunc(d.Sources, func(src SessionSource) bool { return src.Connection.ID == through })
		if i < 0 {
			return Ask{}, false, invalid("That connection does not know this session.")
		}
		spec.Connection, spec.Subject = through, d.Sources[i].VendorID
	}
	if d.Detailed && !d.Stale() && !again {
		return Ask{}, false, nil
	}
	ask, err = s.asks.Put(ctx, actor, spec)
	return ask, err == nil, err
}
