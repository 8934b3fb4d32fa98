package db

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// known is a session with all that a filter may ask of it, read without any of
// the code under test.
type known struct {
	FullSession
	org     OrgID
	slowest int64
	emails  []string // of its customer
	errors  []string // the names of its groups
}

// everySession reads the whole mirror.
func everySession(t *testing.T, d *DB) []known {
	t.Helper()
	rows, err := list(t.Context(), d.w, "sessions", scanSession, `SELECT `+sessionColumns+` FROM sessions s`)
	if err != nil {
		t.Fatal(err)
	}
	var out []known
	for _, s := range rows {
		k := known{FullSession: FullSession{Session: s}, slowest: -1}
		n, err := one(t.Context(), d.w, "org", scanInt, `SELECT org_id FROM sessions WHERE id = ?`, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		k.org = OrgID(n)
		if k.Views, err = d.Org(k.org).PageViews(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
		for _, v := range k.Views {
			if v.LoadMS != nil {
				k.slowest = max(k.slowest, *v.LoadMS)
			}
		}
		k.emails = texts(t, d.w, fmt.Sprint(`SELECT value_norm FROM identities WHERE kind = 'email' AND customer_id = `, int64(s.Customer)))
		k.errors = texts(t, d.w, fmt.Sprint(`SELECT g.name FROM session_errors e JOIN error_groups g ON g.id = e.error_group_id WHERE e.session_id = `, int64(s.ID)))
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b known) int {
		if c := b.StartedAt.Compare(a.StartedAt); c != 0 {
			return c
		}
		return int(b.ID - a.ID)
	})
	return out
}

// names says whether a text is one of some names, if it is one of all, or else
// a part of one.
func names(text string, some, all []string) bool {
	if slices.Contains(all, text) {
		return slices.Contains(some, text)
	}
	return slices.ContainsFunc(some, func(s string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(text)) })
}

// matches is what a filter promises, session by session.
func (f SessionFilter) matches(k known, allPages, allErrors []string) bool {
	among := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	var pages []string
	for _, v := range k.Views {
		pages = append(pages, NormalizePage(v.URL))
	}
	errs := k.ErrorCount != nil && *k.ErrorCount > 0
	return (len(f.Connections) == 0 || slices.Contains(f.Connections, k.Connection)) &&
		!k.StartedAt.Before(f.From) && k.StartedAt.Before(f.To) &&
		(f.Identifier == "" || f.Identifier == k.UserIdentifier) &&
		(f.Email == "" || slices.Contains(k.emails, strings.ToLower(f.Email))) &&
		(f.People == "" || k.UserAnonymous == (f.People == PeopleAnonymous)) &&
		among(f.Countries, k.Country) && among(f.Browsers, k.Browser) && among(f.Systems, k.OS) && among(f.Ratings, strings.ToLower(k.Rating)) &&
		(f.State == "" || strings.EqualFold(f.State, k.Status)) &&
		(f.Errors != ErrorsWith || errs) && (f.Errors != ErrorsWithout || !errs && !k.DetailedAt.IsZero()) &&
		(f.SlowMS == 0 || k.slowest >= f.SlowMS) &&
		(f.Page == "" || names(f.Page, pages, allPages)) && (f.ErrorText == "" || names(f.ErrorText, k.errors, allErrors))
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 4)) }

// sometimes is one of some values, and more often none.
func sometimes[T any](r *rand.Rand, of ...T) T {
	var none T
	if r.IntN(5) > 0 {
		return none
	}
	return pick(r, of...)
}

func someOf(r *rand.Rand, of ...string) []string {
	if r.IntN(5) > 0 {
		return nil
	}
	var out []string
	for range 1 + r.IntN(3) {
		if v := pick(r, of...); !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func randomFilter(r *rand.Rand, conns []ConnectionID) SessionFilter {
	base := time.UnixMilli(1_700_000_000_000)
	f := SessionFilter{
		From:       base.Add(time.Duration(r.IntN(200)-60) * time.Hour),
		Identifier: sometimes(r, "u1", "u2", "nobody"), Email: sometimes(r, "P1@example.com", "p2@example.com", "nobody@example.com"),
		People: sometimes(r, PeopleKnown, PeopleAnonymous), State: sometimes(r, StateActive, StateEnded),
		Countries: someOf(r, "NZ", "US", "XX"), Browsers: someOf(r, "Chrome", "Firefox", "Lynx"), Systems: someOf(r, "iOS", "Windows"),
		Ratings: someOf(r, "excellent", "good", "average", "poor"), Errors: sometimes(r, ErrorsWith, ErrorsWithout),
		Page:      sometimes(r, "https://x.example/a", "https://x.example/o/18", "X.EXAMPLE", "/b", "nowhere", "a"),
		ErrorText: sometimes(r, "boom", "Order 1 gone", "order", "nothing"), SlowMS: sometimes(r, int64(1), 50, 5000, 1<<20),
	}
	f.To = f.From.Add(time.Duration(1+r.IntN(400)) * time.Hour)
	if r.IntN(2) == 0 { // whole days, which rollups may tell
		f.From, f.To = DayOf(f.From).Time(), (DayOf(f.To) + 1).Time()
	}
	if r.IntN(3) == 0 {
		f.Connections = []ConnectionID{pick(r, conns...)}
	}
	return f
}

// fillExplorer puts sessions of all kinds into connections 1 and 2 of one
// organization and 3 of another.
func fillExplorer(t *testing.T, d *DB, r *rand.Rand) {
	t.Helper()
	now := time.UnixMilli(1_800_000_000_000)
	for range 25 {
		org, conn := OrgID(1), pick(r, ConnectionID(1), 2)
		if r.IntN(4) == 0 {
			org, conn = 2, 3
		}
		var full []FullSession
		var rows []Session
		for range 1 + r.IntN(12) {
			s := randomSession(r)
			s.VendorID = fmt.Sprint("s", r.IntN(90))
			s.StartedAt = s.StartedAt.Truncate(pick(r, time.Millisecond, time.Hour, 24*time.Hour))
			s.Status = pick(r, "", "active", "Ended", "ended")
			s.UserEmail = pick(r, "", "", "p1@example.com", "P2@example.com")
			s.Rating = strings.Replace(s.Rating, "Splendid", "poor", 1)
			full, rows = append(full, s), append(rows, s.Session)
		}
		var err error
		if r.IntN(3) > 0 {
			_, err = d.Org(org).PutFullSessions(t.Context(), conn, full, now)
		} else {
			_, err = d.Org(org).PutSessions(t.Context(), conn, rows, now, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever is asked, page by page, counted, charted or exported: it is what
// the filter promises of each single session, and no other organization's.
func TestTheExplorerFindsWhatMatches(t *testing.T) {
	found, told := 0, 0
	for seed := range uint64(3) {
		r := newRand(seed)
		d := twoOrgs(t)
		fillExplorer(t, d, r)
		all := everySession(t, d)
		for range 150 {
			org, conns := OrgID(1), []ConnectionID{1, 2}
			if r.IntN(4) == 0 {
				org, conns = 2, []ConnectionID{3, 3, 1}
			}
			f := randomFilter(r, conns)
			var allPages, allErrors []string
			var want []SessionID
			days := map[Day]Counts{}
			for _, k := range all {
				if k.org != org || len(f.Connections) > 0 && !slices.Contains(f.Connections, k.Connection) {
					continue
				}
				allErrors = append(allErrors, k.errors...)
				for _, v := range k.Views {
					allPages = append(allPages, NormalizePage(v.URL))
				}
			}
			allPages = append(allPages, texts(t, d.w, fmt.Sprintf(`SELECT path FROM pages WHERE org_id = %d AND connection_id IN (%s)`, org, connsOf(f, org)))...)
			allErrors = append(allErrors, texts(t, d.w, fmt.Sprintf(`SELECT name FROM error_groups WHERE org_id = %d AND connection_id IN (%s)`, org, connsOf(f, org)))...)
			page := f
			if n := NormalizePage(f.Page); slices.Contains(allPages, n) {
				page.Page = n
			}
			for _, k := range all {
				if k.org == org && page.matches(k, allPages, allErrors) {
					want = append(want, k.ID)
					n := days[DayOf(k.StartedAt)]
					n.Add(facts{rating: k.Rating, anonymous: k.UserAnonymous, detailed: !k.DetailedAt.IsZero(), hasErrors: k.ErrorCount != nil && *k.ErrorCount > 0}.counts())
					days[DayOf(k.StartedAt)] = n
				}
			}
			found += len(want)
			o := d.Org(org)
			if got := allPagesOf(t, o, f, 1+r.IntN(9)); !slices.Equal(got, want) {
				t.Fatalf("seed %d: %+v lists %v, want %v", seed, f, got, want)
			}
			if got := inSmallSteps(t, o, f, r); !slices.Equal(got, want) {
				t.Fatalf("seed %d: %+v lists %v in small steps, want %v", seed, f, got, want)
			}
			var each []SessionID
			if err := o.EachSession(t.Context(), f, func(s Session) error { each = append(each, s.ID); return nil }); err != nil || !slices.Equal(each, want) {
				t.Fatalf("seed %d: %+v exports %v (%v), want %v", seed, f, each, err, want)
			}
			n, more, err := o.CountSessions(t.Context(), f, len(want)+r.IntN(2))
			if err != nil || more || n != int64(len(want)) {
				t.Fatalf("seed %d: %+v counts %d (%t, %v), want %d", seed, f, n, more, err, len(want))
			}
			if len(want) > 1 {
				if n, more, err := o.CountSessions(t.Context(), f, len(want)-1); err != nil || !more || n != int64(len(want)-1) {
					t.Fatalf("seed %d: %+v counts %d (%t, %v) up to %d", seed, f, n, more, err, len(want)-1)
				}
			}
			chart, err := o.SessionDays(t.Context(), f, 1000)
			if err != nil {
				t.Fatal(err)
			}
			sameDays(t, fmt.Sprintf("seed %d: chart of %+v", seed, f), chart.Days, days, true)
			if DayOf(f.From).Time().Equal(f.From) && DayOf(f.To).Time().Equal(f.To) {
				rolled, ok, err := o.ToldDays(t.Context(), f, DayOf(f.From), DayOf(f.To)-1)
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					told++
					sameDays(t, fmt.Sprintf("seed %d: rollups of %+v", seed, f), rolled.Days, days, rolled.Rated)
				}
			}
			if t.Failed() {
				return
			}
		}
	}
	if found < 1500 || told < 30 {
		t.Errorf("only %d sessions were found and %d filters told by rollups", found, told)
	}
}

func connsOf(f SessionFilter, org OrgID) string {
	if len(f.Connections) > 0 {
		return fmt.Sprint(int64(f.Connections[0]))
	}
	if org == 1 {
		return "1, 2"
	}
	return "3"
}

func allPagesOf(t *testing.T, o Org, f SessionFilter, limit int) (ids []SessionID) {
	t.Helper()
	for after, more := (Moment{}), true; more; {
		p, err := o.Sessions(t.Context(), f, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Sessions {
			ids = append(ids, s.ID)
		}
		if len(p.Sessions) > limit || p.More && !p.Cut && len(p.Sessions) < limit {
			t.Fatalf("%+v has a page of %d of %d", f, len(p.Sessions), limit)
		}
		after, more = p.Next, p.More
	}
	return ids
}

// inSmallSteps lists what a filter selects with chunks and budgets of a few
// sessions, from page to page and within one.
func inSmallSteps(t *testing.T, o Org, f SessionFilter, r *rand.Rand) (ids []SessionID) {
	t.Helper()
	for after, more, steps := (Moment{}), true, 0; more; steps++ {
		x, err := o.explore(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if r.IntN(2) == 0 { // as if there were too many names
			x.pages.many, x.groups.many = x.pages.given && len(x.pages.ids) > 0, x.groups.given && len(x.groups.ids) > 0
		}
		w, err := exploreAlong(t.Context(), o.db.r, x, after, ", "+sessionColumns, scanSession)
		if err != nil {
			t.Fatal(err)
		}
		w.firstChunk, w.maxRows = 1+r.Int64N(3), 1+r.IntN(3)
		w.lastChunk = w.firstChunk + r.Int64N(5)
		for n := 1 + r.IntN(3); n > 0 && more; n-- {
			got, err := w.next(t.Context(), 1+r.IntN(4), r.IntN(6), func(e entry[Session]) { ids = append(ids, e.row.ID) })
			if err != nil {
				t.Fatal(err)
			}
			if more = got.more; more {
				after = momentOf(got.at, got.id)
			}
		}
		if steps > 1000 {
			t.Fatalf("%+v comes to no end", f)
		}
	}
	return ids
}

func sameDays(t *testing.T, what string, got []DayCounts, want map[Day]Counts, rated bool) {
	t.Helper()
	sum := map[Day]Counts{}
	for _, d := range got {
		n := sum[d.Day]
		n.Add(d.Counts)
		sum[d.Day] = n
	}
	for day := range want {
		if _, ok := sum[day]; !ok {
			sum[day] = Counts{}
		}
	}
	for day, n := range sum {
		w := want[day]
		same := n.Sessions == w.Sessions
		if rated {
			same = same && n.Excellent == w.Excellent && n.Good == w.Good && n.Average == w.Average && n.Poor == w.Poor
		}
		if !same {
			t.Errorf("%s: day %d has %+v, want %+v", what, day, n, w)
		}
	}
}
