package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"sightline/internal/db"
)

// madeVersion names what the generator makes. Change it with the generator:
// databases that were made before are then made anew.
const madeVersion = 1

// What the generator makes: blocks of blockSize sessions over blockDays days,
// a fifth of them in the first organization. A database of n blocks has every
// session of the block n times, at the same times but for some milliseconds
// and by other people. The people of the first block, and their sessions, are
// in databases of every size: what is asked of them must cost the same in all.
const (
	blockSize = 20_000
	blockDays = 90
	orgCount  = 9
	// wanderMS is how far apart the copies of a session begin.
	wanderMS = 131
)

// lastDay is the day after the newest session. It does not move, so that the
// same bytes come out at any time.
func lastDay() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

// The people of the first organization whom the benchmark asks about.
const (
	heavyEmail = "mel.many@example.com"  // 1 % of the organization's sessions, in every block the same person
	fiftyEmail = "pat.fifty@example.com" // some 60 sessions
)

// madeOrg is an organization and its people.
type madeOrg struct {
	slug, site string
	first      int // the number of its first person
	people     int
}

// madeOrgs are the organizations of a block with so many sessions.
func madeOrgs(size int) []madeOrg {
	orgs := []madeOrg{{slug: benchOrg, site: "shop.example.com", people: size / 40}}
	for i := 1; i < orgCount; i++ {
		orgs = append(orgs, madeOrg{slug: fmt.Sprintf("other-%d", i), site: fmt.Sprintf("app%d.example.net", i), first: i * 100_000, people: size / 80})
	}
	return orgs
}

// person is who a number stands for: an email, which is also the identifier
// that the site gave, and a name.
func (o madeOrg) person(n int) (email, name string) {
	first := [...]string{"ada", "bo", "cleo", "dana", "emre", "fay", "gus", "hana", "ivo", "june", "kofi", "lena", "marc", "nora", "omar", "pia", "quin", "rosa", "sven", "tara"}
	last := [...]string{"abbott", "barnes", "castillo", "drummond", "eriksson", "fontaine", "grant", "hughes", "ivanov", "jensen", "kowalski", "lindgren", "moreau", "nakamura", "okafor", "petrov", "quigley", "romano", "schmidt", "tanaka", "ueda", "vargas", "wilson", "yilmaz", "zhou"}
	f, l := first[n%len(first)], last[n/len(first)%len(last)]
	return fmt.Sprintf("%s.%s%d@mail.%s", f, l, n, o.site), fmt.Sprintf("%c%s %c%s %d", f[0]-32, f[1:], l[0]-32, l[1:], n)
}

// madeSession is one session of the block. Every second one comes with its
// detail: one to nine page views, and errors in one of six.
type madeSession struct {
	org  int
	full bool
	db.FullSession
}

// makeDay makes the block's sessions of one day in the order in which they
// began, organization by organization. It always makes the same.
func makeDay(size, day int) []madeSession {
	r := rand.New(rand.NewPCG(madeVersion, uint64(day)))
	begin := lastDay().AddDate(0, 0, day-blockDays)
	n := size / blockDays
	if day < size%blockDays {
		n++
	}
	var out []madeSession
	for o, org := range madeOrgs(size) {
		from, to := shareOf(n, day, o), shareOf(n, day, o+1)
		for i := range to - from {
			// The copies of the last one still begin on the same day.
			at := begin.Add(time.Duration(i)*23*time.Hour/time.Duration(to-from) + time.Duration(r.IntN(60))*time.Second)
			out = append(out, org.session(r, o, int64(day)*1000+int64(from+i), at))
		}
	}
	return out
}

// shareOf is where an organization's part of n sessions begins. What does not
// divide goes to each in turn.
func shareOf(n, day, org int) int {
	if org == 0 {
		return 0
	}
	first := (n*2 + day%5) / 10
	return first + (n-first)*(org-1)/(orgCount-1)
}

func (o madeOrg) session(r *rand.Rand, org int, number int64, at time.Time) madeSession {
	s := madeSession{org: org, full: r.IntN(2) == 0}
	who := o.first + r.IntN(o.people)
	email, name := o.person(who)
	if org == 0 {
		switch n := r.IntN(200); {
		case n < 2:
			email, name, who = heavyEmail, "Mel Many", 9_000_001
		case n < 5:
			email, name, who = fiftyEmail, "Pat Fifty", 9_000_002
		}
	}
	length := int64(20_000 + r.IntN(1_200_000))
	s.VendorID = fmt.Sprint(100_000_000 + number)
	s.StartedAt, s.UpdatedAt, s.EndedAt = at, at.Add(time.Duration(length)*time.Millisecond), at.Add(time.Duration(length)*time.Millisecond)
	s.Status, s.LengthMS, s.Platform = "ended", &length, pick(r, "Desktop", "Desktop", "Mobile")
	s.Browser, s.BrowserVersion = pick(r, "Chrome", "Chrome", "Chrome", "Safari", "Firefox", "Edge"), fmt.Sprintf("%d.0", 110+r.IntN(30))
	s.OS, s.OSVersion = pick(r, "Windows", "Windows", "macOS", "iOS", "Android", "Linux"), fmt.Sprint(10+r.IntN(8))
	s.Country = pick(r, "US", "US", "US", "GB", "DE", "FR", "NZ", "AU", "JP", "BR", "IN", "CA", "SE", "NL", "CL")
	s.IPAddress = fmt.Sprintf("203.0.113.%d", r.IntN(256))
	s.UserID = fmt.Sprint(10_000_000 + who)
	s.WebURL = "https://app.raygun.com/rum/" + s.VendorID
	views := int64(1 + r.IntN(9))
	s.PageViewCount = &views
	if s.UserAnonymous = r.IntN(10) < 4 && email != heavyEmail && email != fiftyEmail; !s.UserAnonymous {
		s.UserEmail, s.UserIdentifier, s.UserName = email, email, name
	} else {
		s.UserID = fmt.Sprint(500_000_000 + number)
	}
	if s.full {
		o.detail(r, &s, views, length)
	}
	return s
}

func (o madeOrg) detail(r *rand.Rand, s *madeSession, views, length int64) {
	s.Rating = pick(r, "Excellent", "Excellent", "Good", "Average", "Poor")
	s.CountryName, s.City = s.Country, "Springfield"
	for v := range views {
		load, view := 150+int64(r.ExpFloat64()*900), length/views
		page := int(min(r.ExpFloat64()*9, 39))
		s.Views = append(s.Views, db.PageView{
			URL: fmt.Sprintf("https://%s/area-%c/page-%d?visit=%d", o.site, 'a'+page%5, page, r.IntN(1_000_000)), LoadMS: &load, ViewMS: &view,
			ViewedAt: s.StartedAt.Add(time.Duration(v*view) * time.Millisecond),
		})
	}
	if r.IntN(6) > 0 {
		return
	}
	for range 1 + r.IntN(3) {
		group := int(min(r.ExpFloat64()*6, 29))
		s.Errors = append(s.Errors, db.SessionError{
			GroupID: fmt.Sprint(700_000 + o.first + group), InstanceID: fmt.Sprint(r.Uint32()), Title: fmt.Sprintf("TypeError: cannot read property %c of undefined", 'a'+group%26),
			WebURL: "https://app.raygun.com/crashreporting/errors/" + fmt.Sprint(700_000+o.first+group),
		})
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }
