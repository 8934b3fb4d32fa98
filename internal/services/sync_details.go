package services

import (
	"context"
	"maps"
	"slices"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/upstream"
)

// besideDetails is what sync asks for beside sessions, as besideVitals is.
const besideDetails = "session details"

// viewedFor is how long somebody's look at a customer brings their sessions'
// details forward.
const viewedFor = 7 * 24 * time.Hour

// DefaultDetailCalls is how many calls a day sync makes for details unless
// somebody says otherwise: a fifth of what Raygun allows by default. Following
// keeps half of the background's part and the reserve is people's, so that this
// is what a mirror which is filled has left in any case.
func DefaultDetailCalls(v Vendor) int {
	if v == RaygunV3 {
		return 2_000
	}
	return 10
}

// bareDays finds the days of sessions without details that the connection can
// tell of. What v1 told of first, v3 fetches too where it knows of it: it has
// the more calls.
func (s *Syncs) bareDays(ctx context.Context, v syncView, first, last db.Day) ([]db.BareDay, error) {
	o := s.db.Org(v.org)
	conns := []ConnectionID{v.conn.ID}
	if v.conn.Vendor == RaygunV3 {
		twins, err := o.ConnectionTwins(ctx, conns)
		if err != nil {
			return nil, err
		}
		conns = append(conns, twins...)
	}
	bare := map[db.Day]int64{}
	for _, c := range conns {
		days, err := o.BareDays(ctx, c, first, last)
		if err != nil {
			return nil, err
		}
		for _, d := range days {
			bare[d.Day] += d.Sessions
		}
	}
	out := make([]db.BareDay, 0, len(bare))
	for _, day := range slices.Backward(slices.Sorted(maps.Keys(bare))) {
		out = append(out, db.BareDay{Day: day, Sessions: bare[day]})
	}
	return out, nil
}

// bareSessions is how many sessions of the time that is mirrored lack their
// detail.
func (v syncView) bareSessions() int {
	n := 0
	for _, d := range v.bare {
		n += int(d.Sessions)
	}
	return n
}

// detailsLeft is how many calls sync may make for details today still, and
// detailsNow how many of them are free now: following comes first, and then
// older days.
func (v syncView) detailsLeft() int {
	if !v.sync.Enabled || !v.sync.Details || len(v.bare) == 0 {
		return 0
	}
	n := v.sync.DetailCalls
	if v.sync.DetailDay == db.DayOf(v.now) {
		n -= v.sync.DetailSpent
	}
	return max(0, min(n, v.bareSessions()*PriceOfDetails(v.conn, v.budget).Each))
}

func (v syncView) detailsNow() int {
	if len(v.batches) > 0 {
		return 0
	}
	n := v.detailsLeft()
	if free := forOlderDays(v.budget, v.now); free >= 0 {
		n = min(n, free)
	}
	return n
}

// details fetches the details of one session that lacks them, as background
// work, and says whether it asked for one. A failure is no failure of the sync:
// what is about one session is remembered with the question, what is about all
// of them leaves details alone for a while.
func (s *Syncs) details(ctx context.Context, v syncView) (asked bool, err error) {
	each := PriceOfDetails(v.conn, v.budget).Each
	if v.detailsNow() < each || s.paused(v, besideDetails) {
		return false, nil
	}
	next, ok, err := s.nextBare(ctx, v)
	if err != nil || !ok {
		return false, err
	}
	// Noted before it is spent: cut off in between, it is not spent twice.
	o, today := s.db.Org(v.org), db.DayOf(v.now)
	if err := o.SpendDetails(ctx, v.conn.ID, today, each); err != nil {
		return false, err
	}
	ask, err := s.asks.Do(ctx, System(v.org), AskSpec{
		Connection: v.conn.ID, Kind: askSession, Subject: next.VendorID, Customer: next.Customer, Background: true,
	})
	if err != nil {
		return false, err
	}
	after, err := s.connections.Budget(ctx, v.org, v.conn.ID)
	if err != nil {
		return false, err
	}
	if spent := after.ByBackground - v.budget.ByBackground; spent >= 0 && spent < each {
		if err := o.SpendDetails(ctx, v.conn.ID, today, spent-each); err != nil {
			return false, err
		}
	}
	if kind := upstream.Kind(ask.ErrorKind); ask.State == AskFailed && kind != upstream.Refused && (kind.EndsAll() || kind == upstream.Forbidden) {
		s.pause(ctx, v, besideDetails, &Error{Kind: Unavailable, Msg: ask.Message})
		return false, nil
	}
	return ask.ErrorKind != string(upstream.Refused), nil
}

// nextBare finds the next session to be fetched in full: the newest of the
// customers whom members looked at lately, else the newest of all.
func (s *Syncs) nextBare(ctx context.Context, v syncView) (next Session, ok bool, err error) {
	o, active := s.db.Org(v.org), v.now.Add(-activeFor)
	r := db.SyncRange{From: v.oldest.Time(), To: v.now}
	found, err := o.BareSessionsOfViewed(ctx, v.conn.ID, r, active, v.now.Add(-viewedFor), 1)
	if err != nil || len(found) > 0 {
		return first(found), len(found) > 0, err
	}
	for _, d := range v.bare {
		r := db.SyncRange{From: d.Day.Time(), To: (d.Day + 1).Time()}
		if found, err = o.BareSessions(ctx, v.conn.ID, r, active, 1); err != nil || len(found) > 0 {
			return first(found), len(found) > 0, err
		}
		if v.conn.Vendor != RaygunV3 {
			continue
		}
		if found, err = o.BareSighted(ctx, v.conn.ID, r, active, 1); err != nil || len(found) > 0 {
			return first(found), len(found) > 0, err
		}
	}
	return Session{}, false, nil
}

func first(list []Session) Session {
	if len(list) == 0 {
		return Session{}
	}
	return list[0]
}

// DetailPlan is what fetching the details takes that sessions lack.
type DetailPlan struct {
	// Sessions is how many lack them, Calls what they cost at most; both are 0 if
	// sync does not fetch details.
	Sessions, Calls int
	// Exactly says that they never cost less.
	Exactly bool
	// Daily is how many calls a day go into them at most.
	Daily int
	// Done is the UTC day on which all have theirs; zero if that is not known, or
	// never, as more sessions come than there are calls for.
	Done time.Time
}

// planDetails says when every session will have its details: behind older days
// and with what following leaves.
func (v syncView) planDetails(older SyncPlan) DetailPlan {
	n := v.bareSessions()
	if !v.sync.Enabled || !v.sync.Details || n == 0 {
		return DetailPlan{}
	}
	price := PriceOfDetails(v.conn, v.budget)
	p := DetailPlan{Sessions: n, Calls: n * price.Each, Exactly: price.Exactly, Daily: v.sync.DetailCalls}
	if share := v.budget.dayShare(); share >= 0 {
		p.Daily = min(p.Daily, max(0, share-(share+1)/2))
	}
	more := p.Daily - int(max(0, v.perDay))*price.Each // a day, against those that are new
	if older.Days > 0 && older.Done.IsZero() || v.perDay < 0 {
		return p
	}
	today := db.DayOf(v.now).Time()
	rest := p.Calls
	if older.Days == 0 {
		rest = max(0, rest-v.detailsNow())
	}
	switch {
	case rest == 0:
		p.Done = today
	case more > 0:
		p.Done = later(older.Done, today).AddDate(0, 0, (rest+more-1)/more)
	}
	return p
}

// Sentence says it: "Details of 412 sessions = 412 calls, at most 10 a day, done
// Sunday 3 Jan."
func (p DetailPlan) Sentence(now time.Time) string {
	if p.Sessions == 0 {
		return ""
	}
	cost := " = "
	if !p.Exactly {
		cost = " ≤ "
	}
	s := "Details of " + plural(p.Sessions, "session") + cost + plural(p.Calls, "call") + ", at most " + thousands(p.Daily) + " a day"
	switch days := int(p.Done.Sub(db.DayOf(now).Time()).Hours() / 24); {
	case p.Done.IsZero():
		return s + ", the newest first."
	case days <= 0:
		return s + ", done today."
	case days > 300:
		return s + ", done " + p.Done.Format("2 Jan 2006") + "."
	default:
		return s + ", done " + p.Done.Format("Monday 2 Jan") + "."
	}
}
