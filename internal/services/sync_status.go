package services

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sightline/internal/db"
)

// SyncState is what a sync does, in a word.
type SyncState string

// The states of a sync.
const (
	SyncOff         SyncState = "off"
	SyncFollowing   SyncState = "following"   // nothing to do until the next look
	SyncReading     SyncState = "reading"     // a walk is under way
	SyncWaiting     SyncState = "waiting"     // for the budget or the vendor's own time
	SyncFailing     SyncState = "failing"     // the vendor does not answer; tried again and again
	SyncCredentials SyncState = "credentials" // needs somebody with the admin role
)

// SyncStatus is how a connection's mirror is kept, for people.
type SyncStatus struct {
	Connection Connection
	Budget     Budget
	State      SyncState
	// Sentence says what it does, and why it waits. It may quote the vendor.
	Sentence string
	// Newest is up to when new sessions are here without a gap, zero for never.
	Newest time.Time
	// NextAt is when it asks next, zero if it is off.
	NextAt time.Time
	// RetentionDays is how many days back the mirror is filled.
	RetentionDays int
	// Details says whether it fetches details, on at most DetailCalls calls a day.
	Details     bool
	DetailCalls int
	// PerDay estimates the sessions a day, negative if unknown.
	PerDay float64
	Plan   SyncPlan
}

// On says whether it works by itself.
func (s SyncStatus) On() bool { return s.State != SyncOff }

// Status says how a Raygun connection's mirror is kept.
func (s *Syncs) Status(ctx context.Context, org OrgID, conn ConnectionID) (SyncStatus, error) {
	v, err := s.look(ctx, org, conn)
	if err != nil {
		return SyncStatus{}, err
	}
	return v.status(), nil
}

// Statuses says the same of every Raygun connection in use, by name.
func (s *Syncs) Statuses(ctx context.Context, org OrgID) ([]SyncStatus, error) {
	conns, err := s.connections.List(ctx, org)
	if err != nil {
		return nil, err
	}
	var out []SyncStatus
	for _, c := range conns {
		if !c.Vendor.IsRaygun() {
			continue
		}
		st, err := s.Status(ctx, org, c.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}

func (v syncView) status() SyncStatus {
	st := SyncStatus{
		Connection: v.conn, Budget: v.budget, Newest: v.sync.FollowedTo, RetentionDays: v.sync.RetentionDays, PerDay: v.perDay,
		Details: v.sync.Details, DetailCalls: v.sync.DetailCalls,
		Plan: planOf(v.batches, v.perDay >= 0, v.budget, v.now),
	}
	st.Plan.Details = v.planDetails(st.Plan)
	if !v.sync.Enabled || v.conn.Removed() {
		st.State, st.Sentence, st.Plan.Done = SyncOff, "Sync is off. The mirror grows only when somebody asks.", time.Time{}
		if w := v.reading(); w != nil && w.Purpose == db.WalkPerson {
			st.State, st.Sentence = SyncReading, walkSentence(*w)
		}
		return st
	}
	if !v.conn.ready() {
		st.State, st.Sentence, st.Plan.Done = SyncWaiting, "Waits until its application is chosen.", time.Time{}
		return st
	}
	st.NextAt = later(v.sync.NextAt, v.now)
	st.State, st.Sentence = SyncFollowing, fmt.Sprintf("Follows new sessions. It looks again at %s.", utc(st.NextAt, v.now))
	switch v.sync.Waiting {
	case waitBlocked, waitBudget:
		st.State, st.Sentence = SyncWaiting, v.sync.Message
	case waitCredentials:
		st.State = SyncCredentials
		st.Sentence = fmt.Sprintf("Stopped. %s It tries again at %s, and at once when the credentials are rotated.", v.sync.Message, utc(st.NextAt, v.now))
	case waitDown, waitInternal:
		st.State = SyncFailing
		st.Sentence = fmt.Sprintf("%s Tried %s without success; the next try is at %s.", v.sync.Message, times(v.sync.Failures), utc(st.NextAt, v.now))
	default:
		if w := v.reading(); w != nil && !v.sync.NextAt.After(v.now) {
			st.State, st.Sentence = SyncReading, walkSentence(*w)
		}
	}
	return st
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// reading is the walk that is worked on first, nil if none is open.
func (v syncView) reading() *db.SyncWalk {
	if len(v.walks) == 0 {
		return nil
	}
	return &v.walks[0]
}

func walkSentence(w db.SyncWalk) string {
	page := fmt.Sprintf("page %d", w.Pages+1)
	if w.Purpose == db.WalkFollow {
		return fmt.Sprintf("Reads new sessions, %s.", page)
	}
	span := DaySpan(w.From, w.To.Add(-time.Millisecond))
	if w.Purpose == db.WalkPerson {
		return fmt.Sprintf("Fills %s, as a member asked, %s.", span, page)
	}
	return fmt.Sprintf("Fills %s, %s.", span, page)
}

// DaySpan writes the UTC days from the first to the last: "21 Nov", "1–21 Nov",
// "28 Oct – 3 Nov".
func DaySpan(first, last time.Time) string {
	first, last = first.UTC(), last.UTC()
	switch {
	case first.Year() == last.Year() && first.YearDay() == last.YearDay():
		return last.Format("2 Jan")
	case first.Year() == last.Year() && first.Month() == last.Month():
		return first.Format("2") + "–" + last.Format("2 Jan")
	case first.Year() == last.Year():
		return first.Format("2 Jan") + " – " + last.Format("2 Jan")
	}
	return first.Format("2 Jan 2006") + " – " + last.Format("2 Jan 2006")
}

// Sentence says what filling the older days takes, and then the details:
// "Backfill of 9 days ≈ 31 calls, done Tuesday 24 Nov. Details of 412 sessions =
// 412 calls, at most 10 a day, done Sunday 3 Jan."
func (p SyncPlan) Sentence(now time.Time) string {
	return strings.TrimSpace(p.olderSentence(now) + " " + p.Details.Sentence(now))
}

func (p SyncPlan) olderSentence(now time.Time) string {
	if p.Days == 0 {
		return "Every day is filled."
	}
	price := fmt.Sprintf("≈ %s", plural(p.Calls, "call"))
	if !p.Known {
		price = fmt.Sprintf("at least %s; how many is known once a day was read", plural(p.Calls, "call"))
	}
	s := fmt.Sprintf("Backfill of %s %s", plural(p.Days, "day"), price)
	switch days := int(p.Done.Sub(db.DayOf(now).Time()).Hours() / 24); {
	case p.Done.IsZero() || !p.Known:
		return s + "."
	case days <= 0:
		return s + ", done today."
	default:
		return s + ", done " + p.Done.Format("Monday 2 Jan") + "."
	}
}

// DayState is how much of a day the mirror holds.
type DayState string

// The states of a day. Gone is one that is lacked and older than the mirror is
// filled.
const (
	DayHeld    DayState = "held"
	DayPartial DayState = "partial"
	DayMissing DayState = "missing"
	DayGone    DayState = "gone"
)

// CoverageDay is what the mirror holds of one UTC day.
type CoverageDay struct {
	Day   time.Time
	State DayState
	// Sessions of the day in the mirror, and how many more the vendor counted than
	// it sent.
	Sessions, Lacking int64
	// To is up to when the day was read, WalkedAt when; zero for never.
	To, WalkedAt time.Time
}

// Coverage is which days of a range a connection's mirror holds.
type Coverage struct {
	Connection Connection
	Budget     Budget
	// Days are those of the range up to today, newest first. Today counts as held
	// while it is followed.
	Days                         []CoverageDay
	Held, Partial, Missing, Gone int
	// Newest is up to when new sessions are here, zero for never.
	Newest time.Time
	// Calls is the estimated price of what can be filled; Known says whether it
	// rests on days that were read already.
	Calls int
	Known bool
	// Filling counts the days that a walk is open for.
	Filling int

	batches []batch
}

// maxCoverage is how many days of a range are looked at.
const maxCoverage = 400

// Coverage says which days from the first to before until the mirror holds, of
// at most the 400 newest.
func (s *Syncs) Coverage(ctx context.Context, org OrgID, conn ConnectionID, from, until time.Time) (Coverage, error) {
	v, err := s.look(ctx, org, conn)
	if err != nil {
		return Coverage{}, err
	}
	today := db.DayOf(v.now)
	last := min(today, db.DayOf(until.Add(-time.Millisecond)))
	first := max(db.DayOf(from), last-maxCoverage+1)
	days, err := s.db.Org(org).SyncDays(ctx, conn, first, last)
	if err != nil {
		return Coverage{}, err
	}
	return v.coverage(days, first, last), nil
}

func (v syncView) coverage(days []db.SyncDay, first, last db.Day) Coverage {
	c := Coverage{Connection: v.conn, Budget: v.budget, Newest: v.sync.FollowedTo, Known: v.perDay >= 0}
	known := map[db.Day]db.SyncDay{}
	for _, d := range days {
		known[d.Day] = d
	}
	lacks := map[db.Day]gap{}
	var fillable []gap
	for _, g := range gaps(days, first, last, v.now) {
		// What began since the last look is no gap while sync keeps up, nor is the
		// end of today soon after it was read.
		d, read := known[g.day]
		fresh := read && g.day == db.DayOf(v.now) && !d.From.After(g.day.Time()) && v.now.Sub(d.To) <= followFresh
		if fresh || v.followed(g, followFresh) {
			continue
		}
		lacks[g.day] = g
		if g.day >= v.oldest {
			fillable = append(fillable, g)
		}
	}
	c.batches = v.batchesOf(fillable)
	for _, b := range c.batches {
		c.Calls += b.calls
	}
	for day := last; day >= first; day-- {
		d, ok := known[day]
		out := CoverageDay{Day: day.Time(), State: DayHeld, Sessions: d.Sessions, Lacking: d.Lacking, To: d.To, WalkedAt: d.WalkedAt}
		if _, lacking := lacks[day]; lacking {
			switch {
			case day < v.oldest:
				out.State = DayGone
			case ok:
				out.State = DayPartial
			default:
				out.State = DayMissing
			}
		}
		switch out.State {
		case DayHeld:
			c.Held++
		case DayPartial:
			c.Partial++
		case DayMissing:
			c.Missing++
		case DayGone:
			c.Gone++
		}
		c.Days = append(c.Days, out)
	}
	for _, w := range v.walks {
		if w.Purpose == db.WalkPerson {
			c.Filling += int(db.DayOf(w.To.Add(-time.Millisecond))-db.DayOf(w.From)) + 1
		}
	}
	return c
}

// Sentence says what the mirror holds: "The mirror holds 1–21 Nov, 3 days
// missing".
func (c Coverage) Sentence() string {
	var first, last time.Time
	for _, d := range c.Days { // newest first
		if d.State == DayHeld || d.State == DayPartial {
			if last.IsZero() {
				last = d.Day
			}
			first = d.Day
		}
	}
	switch {
	case last.IsZero() && c.Gone > 0 && c.Gone == len(c.Days):
		return "The mirror holds none of these days, which are longer ago than it is set to hold"
	case last.IsZero():
		return "The mirror holds none of these days yet"
	}
	inside, partial := 0, 0
	for _, d := range c.Days {
		if d.Day.Before(first) || d.Day.After(last) {
			continue
		}
		switch d.State {
		case DayMissing:
			inside++
		case DayPartial:
			partial++
		}
	}
	s := "The mirror holds " + DaySpan(first, last)
	switch {
	case c.Missing > 0 && inside == c.Missing:
		s += ", " + plural(c.Missing, "day") + " of it missing"
	case c.Missing > 0:
		s += ", " + plural(c.Missing, "day") + " missing"
	}
	if partial > 0 {
		s += ", " + plural(partial, "day") + " in part"
	}
	if c.Gone > 0 {
		s += ", " + plural(c.Gone, "day") + " longer ago than it is set to hold"
	}
	return s
}
