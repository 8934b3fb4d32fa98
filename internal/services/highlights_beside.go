package services

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// maxBeside is how many linked minutes are looked up for one result.
const maxBeside = 60

// Beside is what Raygun recorded of a customer at the minutes that a result
// links to.
type Beside struct {
	Minutes []BesideMinute // oldest first
	// Left is how many further minutes were not looked up.
	Left int
	// Connected says whether there is a Raygun connection at all.
	Connected bool
}

// BesideMinute is what Raygun recorded from a minute before a linked minute to
// a minute after it.
type BesideMinute struct {
	At    time.Time // the beginning of the minute
	Links []RecordingLink
	// Sessions are the customer's that cover it, newest first. Without any, Gaps
	// are the mirrors that do not hold the day: what they lack may still be at
	// Raygun.
	Sessions []BesideSession
	Gaps     []BesideGap
}

// BesideSession is a session that covers a linked minute.
type BesideSession struct {
	Session Session
	// Pages are the page views of that time, and the one before them if it was
	// still open then. Timed says whether Raygun told when pages were seen: if
	// not, there are none here.
	Pages []PageView
	Timed bool
	// Errors are those of that time; Untimed counts the errors of the session of
	// which Raygun did not tell when they occurred.
	Errors  []SessionError
	Untimed int
}

// BesideGap is a day that a mirror does not hold, or not in full.
type BesideGap struct {
	Connection Connection
	Day        time.Time
	State      DayState
}

// Beside looks up what Raygun recorded of a customer at the moments of links,
// from the mirror alone.
func (s *Sessions) Beside(ctx context.Context, org OrgID, customer CustomerID, links []RecordingLink) (Beside, error) {
	var out Beside
	out.Minutes, out.Left = minutesOf(links)
	if len(out.Minutes) == 0 {
		return out, nil
	}
	look := besideLook{s: s, org: org, customer: customer, parts: map[SessionID]SessionDetail{}}
	if err := look.mirrors(ctx, out.Minutes[0].At, out.Minutes[len(out.Minutes)-1].At); err != nil {
		return Beside{}, err
	}
	out.Connected = len(look.cover) > 0
	for i := range out.Minutes {
		if err := look.minute(ctx, &out.Minutes[i]); err != nil {
			return Beside{}, err
		}
	}
	return out, nil
}

// minutesOf groups links by the minute that they lead to, oldest first.
func minutesOf(links []RecordingLink) (list []BesideMinute, left int) {
	at := map[time.Time]int{}
	for _, l := range links {
		if l.At.IsZero() {
			continue
		}
		minute := l.At.UTC().Truncate(time.Minute)
		i, ok := at[minute]
		if !ok {
			i = len(list)
			at[minute] = i
			list = append(list, BesideMinute{At: minute})
		}
		list[i].Links = append(list[i].Links, l)
	}
	left = max(0, len(list)-maxBeside)
	list = list[:len(list)-left]
	sortBy(list, func(a, b BesideMinute) int { return a.At.Compare(b.At) })
	return list, left
}

// besideLook is one look beside a result.
type besideLook struct {
	s        *Sessions
	org      OrgID
	customer CustomerID
	cover    []mirrorCover
	parts    map[SessionID]SessionDetail
}

// mirrorCover is which days one connection's mirror holds.
type mirrorCover struct {
	conn  Connection
	twins []ConnectionID
	days  map[time.Time]DayState
}

func (l *besideLook) mirrors(ctx context.Context, first, last time.Time) error {
	conns, err := l.s.connections.List(ctx, l.org)
	if err != nil {
		return err
	}
	for _, c := range conns {
		if !c.Vendor.IsRaygun() {
			continue
		}
		cover, err := l.s.syncs.Coverage(ctx, l.org, c.ID, first.Truncate(24*time.Hour), last.Truncate(24*time.Hour).AddDate(0, 0, 1))
		if err != nil {
			return err
		}
		m := mirrorCover{conn: c, days: map[time.Time]DayState{}}
		if m.twins, err = l.s.db.Org(l.org).ConnectionTwins(ctx, []ConnectionID{c.ID}); err != nil {
			return err
		}
		for _, d := range cover.Days {
			m.days[d.Day] = d.State
		}
		l.cover = append(l.cover, m)
	}
	return nil
}

// besideSessions is how many sessions that began before a minute are looked at:
// a person has few at once.
const besideSessions = 12

func (l *besideLook) minute(ctx context.Context, m *BesideMinute) error {
	from, to := m.At.Add(-time.Minute), m.At.Add(2*time.Minute)
	rows, err := l.s.db.Org(l.org).CustomerSessions(ctx, l.customer, Moment{At: to, ID: 0}, besideSessions)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if lastSign(row).Before(from) {
			continue
		}
		b, err := l.session(ctx, row, from, to)
		if err != nil {
			return err
		}
		m.Sessions = append(m.Sessions, b)
	}
	if len(m.Sessions) == 0 {
		m.Gaps = l.gaps(m.At)
	}
	return nil
}

// lastSign is the last moment of a session that is known.
func lastSign(s Session) time.Time {
	end := later(s.StartedAt, later(s.EndedAt, s.UpdatedAt))
	if s.LengthMS != nil && *s.LengthMS > 0 && *s.LengthMS < 7*24*time.Hour.Milliseconds() {
		end = later(end, s.StartedAt.Add(time.Duration(*s.LengthMS)*time.Millisecond))
	}
	return end
}

func (l *besideLook) session(ctx context.Context, row Session, from, to time.Time) (BesideSession, error) {
	d, ok := l.parts[row.ID]
	if !ok {
		var err error
		o := l.s.db.Org(l.org)
		if d.PageViews, err = o.PageViews(ctx, row.ID); err != nil {
			return BesideSession{}, err
		}
		if d.Errors, err = o.SessionErrors(ctx, row.ID); err != nil {
			return BesideSession{}, err
		}
		sortBy(d.PageViews, func(a, b PageView) int { return cmp.Compare(a.ViewedAt.UnixMilli(), b.ViewedAt.UnixMilli()) })
		l.parts[row.ID] = d
	}
	out := BesideSession{Session: row}
	before := -1
	for i, p := range d.PageViews {
		switch {
		case p.ViewedAt.IsZero():
			continue
		case p.ViewedAt.Before(from):
			before = i
		case p.ViewedAt.Before(to):
			out.Pages = append(out.Pages, p)
		}
		out.Timed = true
	}
	if before >= 0 {
		out.Pages = slices.Insert(out.Pages, 0, d.PageViews[before])
	}
	for _, e := range d.Errors {
		switch {
		case e.OccurredAt.IsZero():
			out.Untimed++
		case !e.OccurredAt.Before(from) && e.OccurredAt.Before(to):
			out.Errors = append(out.Errors, e)
		}
	}
	return out, nil
}

// gaps are the mirrors that do not hold a minute's day. A connection whose twin
// holds it lacks nothing.
func (l *besideLook) gaps(at time.Time) []BesideGap {
	day := at.Truncate(24 * time.Hour)
	held := map[ConnectionID]bool{}
	for _, c := range l.cover {
		held[c.conn.ID] = c.days[day] == DayHeld
	}
	var out []BesideGap
	for _, c := range l.cover {
		state, asked := c.days[day]
		if !asked {
			if day.After(l.s.now()) {
				continue // nobody has recorded anything there
			}
			state = DayGone // longer ago than mirrors reach
		}
		if held[c.conn.ID] || slices.ContainsFunc(c.twins, func(t ConnectionID) bool { return held[t] }) {
			continue
		}
		out = append(out, BesideGap{Connection: c.conn, Day: day, State: state})
	}
	return out
}
