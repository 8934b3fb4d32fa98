package services

import (
	"math"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/raygun"
)

const (
	// followOverlap is how far a walk for new sessions reaches back behind the one
	// before: a session goes on changing for half an hour after its last event.
	followOverlap = 45 * time.Minute
	// followGap is the longest time without news that following itself makes
	// good. After a longer one it goes on with today, and the days between are
	// filled like others.
	followGap = 6 * time.Hour
	// followBack bounds how far following reaches back where that costs no
	// further page.
	followBack = 12 * time.Hour
	// followRows is how many sessions that the mirror has may come again with the
	// new ones: so few that all come on one page.
	followRows = raygun.MaxLimit * 3 / 5
	// knownBack is how far back, at most, following goes for sessions that the
	// mirror has, and knownRows how many of them it wants to come again: the vendor
	// may have removed one. knownMargin is by how much it begins before them.
	knownBack   = 8 * 24 * time.Hour
	knownRows   = 5
	knownMargin = 2 * time.Minute
	// followFresh is how old the newest sessions may be while following still
	// counts as keeping up.
	followFresh = 3 * time.Hour
	// minFollowPause is how often new sessions are asked for at most.
	minFollowPause = 5 * time.Minute
	// batchTo is how many sessions the days of one walk should have together:
	// quiet days are read several at once, because a small page costs as much as
	// a full one.
	batchTo = raygun.MaxLimit * 4 / 5
	// lackingTries is how often a day is read of which the vendor counts more
	// sessions than it sends.
	lackingTries = 2
)

// dayShare is how many calls a whole day has for background work; negative is
// without limit.
func (b Budget) dayShare() int {
	n := -1
	if b.Allowance > 0 {
		n = max(0, b.Allowance-b.Reserve)
	}
	if b.Share > 0 && (n < 0 || b.Share < n) {
		n = b.Share
	}
	return n
}

// keptForFollowing is how many of the background calls left are not for older
// days: half of the day's share for a whole day, less as it goes by.
func keptForFollowing(b Budget, now time.Time) int {
	share := b.dayShare()
	if share < 0 {
		return 0
	}
	left := b.ResetsAt.Sub(now).Hours() / 24
	return int(math.Ceil(float64(share) / 2 * min(1, max(0, left))))
}

// forOlderDays is how many background calls are free for older days now;
// negative is without limit.
func forOlderDays(b Budget, now time.Time) int {
	n := b.Background()
	if n < 0 {
		return n
	}
	return max(0, n-keptForFollowing(b, now))
}

// followPause is how long to wait between two walks for new sessions, so that
// the calls left last to the end of the day. details is how many of them go
// into details.
func followPause(b Budget, now time.Time, perDay float64, backfilling bool, details int) time.Duration {
	n := b.Background()
	if n < 0 {
		return minFollowPause
	}
	if kept := max(1, keptForFollowing(b, now)); backfilling {
		n = min(n, kept)
	} else {
		n = min(n, max(kept, n-details))
	}
	left := b.ResetsAt.Sub(now)
	// One more than there are calls: the last look comes before the day ends.
	pause := left / time.Duration(max(1, n)+1)
	if perDay > 0 {
		// A busy site's walk takes more than one page.
		each := callsFor(perDay / 24 * (pause + followOverlap).Hours())
		pause = left / time.Duration(max(1, n/each)+1)
	}
	return max(pause, minFollowPause)
}

// callsFor is how many calls that many sessions cost.
func callsFor(sessions float64) int {
	return max(1, int(math.Ceil(sessions/raygun.MaxLimit)))
}

// perDay estimates how many sessions a day brings, from up to seven of the
// newest days that are held, else from what is held of the newest; negative is
// unknown. The days are newest first.
func perDay(days []db.SyncDay) float64 {
	var sum, n float64
	for _, d := range days {
		if d.To.Sub(d.From) >= 24*time.Hour && n < 7 {
			sum, n = sum+float64(d.Sessions), n+1
		}
	}
	if n > 0 {
		return sum / n
	}
	for _, d := range days {
		if held := d.To.Sub(d.From); held >= time.Hour {
			return float64(d.Sessions) / held.Hours() * 24
		}
	}
	return -1
}

// followRange is what to read for new sessions now. known is when the last
// sessions began that the mirror has, newest first.
func followRange(s db.Sync, now time.Time, sessionsPerDay float64, known []time.Time) db.SyncRange {
	today := db.DayOf(now).Time()
	if s.FollowedTo.IsZero() {
		return db.SyncRange{From: today, To: now}
	}
	unread := 0.0 // sessions of the time between
	from := s.FollowedTo.Add(-followOverlap)
	if now.Sub(s.FollowedTo) > followGap && s.FollowedTo.Before(today) {
		from, unread = today, max(0, sessionsPerDay)*today.Sub(s.FollowedTo).Hours()/24
	} else if sessionsPerDay > 0 {
		// As far back as still comes on the same page, which costs the same: what
		// arrived late and how longer sessions went on.
		back := now.Add(-followBack)
		if len(known) == followRows {
			back = later(back, known[len(known)-1])
		}
		from = earlier(from, back)
	}
	// So far back that sessions come which the mirror has. An answer without any
	// is then never true, however quiet nights and weekends are, and every other
	// is to be believed. It costs nothing: there is hardly anything in between.
	if n := min(len(known), knownRows); n > 0 && callsFor(unread) == 1 {
		from = earlier(from, known[n-1].Add(-knownMargin))
	}
	return db.SyncRange{From: from, To: now}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// gap is a part of one UTC day that the mirror lacks.
type gap struct {
	day db.Day
	db.SyncRange
}

// gaps finds what the mirror lacks of the days from first to last, newest
// first. Of today it is what was not read up to now.
func gaps(days []db.SyncDay, first, last db.Day, now time.Time) []gap {
	held := map[db.Day]db.SyncDay{}
	for _, d := range days {
		held[d.Day] = d
	}
	var out []gap
	for day := min(last, db.DayOf(now)); day >= first; day-- {
		g := gap{day: day, SyncRange: db.SyncRange{From: day.Time(), To: earlier((day + 1).Time(), now)}}
		d, ok := held[day]
		switch {
		case !ok, d.From.After(g.From), d.Lacking > 0 && d.Walks < lackingTries:
		case !d.To.Before(g.To):
			continue
		default:
			g.From = d.To.Add(-followOverlap)
			g.From = later(g.From, day.Time())
		}
		out = append(out, g)
	}
	return out
}

// batch is gaps that one walk reads: neighbouring days, newest first.
type batch struct {
	gaps  []gap
	calls int // estimated
}

func (b batch) day() db.Day { return b.gaps[0].day }

func (b batch) span() db.SyncRange {
	return db.SyncRange{From: b.gaps[len(b.gaps)-1].From, To: b.gaps[0].To}
}

// batches puts gaps together into walks. An unknown number of sessions a day
// (negative) puts each day by itself. Without a filter by time (v3), reading an
// old day means reading all that came after it: one walk reads them all, and
// read rows of the list are behind it already.
func batches(gaps []gap, sessionsPerDay float64, byTime bool, read int, now time.Time) []batch {
	var out []batch
	sum := 0.0
	if !byTime {
		if len(gaps) == 0 {
			return nil
		}
		back := now.Sub(gaps[len(gaps)-1].From).Hours() / 24
		return []batch{{gaps: gaps, calls: callsFor(max(0, sessionsPerDay)*back - float64(read))}}
	}
	for _, g := range gaps {
		n := max(0, sessionsPerDay) * g.To.Sub(g.From).Hours() / 24
		joins := false
		if len(out) > 0 {
			last := out[len(out)-1].gaps
			before := last[len(last)-1]
			joins = before.day == g.day+1 && before.From.Equal(before.day.Time()) && g.To.Equal(before.day.Time()) &&
				sessionsPerDay >= 0 && sum+n <= batchTo
		}
		if joins {
			sum += n
			b := &out[len(out)-1]
			b.gaps, b.calls = append(b.gaps, g), callsFor(sum)
			continue
		}
		sum = n
		out = append(out, batch{gaps: []gap{g}, calls: callsFor(n)})
	}
	return out
}

// SyncPlan is what filling the older days takes.
type SyncPlan struct {
	// Days is how many are not whole in the mirror, Calls what they cost.
	Days, Calls int
	// Known says whether Calls rests on days that were read already.
	Known bool
	// Done is the UTC day on which it will be done, zero if that is not known or
	// never.
	Done time.Time
	// Details is what comes after that.
	Details DetailPlan
}

// planOf says when the days will be filled with what the budget leaves.
func planOf(batches []batch, known bool, b Budget, now time.Time) SyncPlan {
	p := SyncPlan{Known: known}
	for _, x := range batches {
		p.Days += len(x.gaps)
		p.Calls += x.calls
	}
	share := b.dayShare()
	today := db.DayOf(now).Time()
	switch {
	case p.Days == 0:
	case share < 0:
		p.Done = today
	case share > 0:
		rest := max(0, p.Calls-forOlderDays(b, now))
		each := max(1, share-(share+1)/2)
		p.Done = today.AddDate(0, 0, (rest+each-1)/each)
	}
	return p
}
