package sandbox

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Session is what one person did in one sitting, as Raygun tells it.
type Session struct {
	ID        int64
	Customer  *Customer // nil for an anonymous visitor
	Start     time.Time
	Updated   time.Time
	End       time.Time // zero while the session is active
	Length    time.Duration
	Active    bool
	Rating    string // may be empty or a word the documentation does not have
	PageViews []PageView
	Errors    []PageError

	Browser, BrowserVersion, Platform, OS, OSVersion string
	Country, CountryName, State, City, IP            string
	// Recording is LogRocket's recording of the same sitting, or zero.
	Recording Recording

	row  int
	seed uint64
}

// PageView is one page opened in a session.
type PageView struct {
	URL     string
	Name    string // a short name of the page
	At      time.Time
	Loading time.Duration
	Viewing time.Duration // negative now and then, as in Raygun's old data

	page int
}

// PageError is one error that happened in a session.
type PageError struct {
	GroupID    int64
	InstanceID int64
	Title      string
	At         time.Time
	View       int // index into PageViews

	group int
}

// detail makes a row's session: the same one each time, but for what lies after
// the present moment.
func (c *Company) detail(i int) Session {
	w := &c.rows[i]
	s := Session{ID: c.id(i), Customer: c.customerOf(w), Start: msTime(w.start), row: i, seed: mix(c.seed, uint64(w.start)^uint64(i)<<44)}
	d, pl := c.cat.devices[w.device], c.cat.places[w.place]
	s.Browser, s.BrowserVersion, s.Platform, s.OS, s.OSVersion = d.browser, d.browserVersion, d.platform, d.os, d.osVersion
	s.Country, s.CountryName, s.State, s.City, s.IP = pl.code, pl.country, pl.state, pl.city, c.ip(w)
	r := rand.New(rand.NewPCG(s.seed, 1))
	c.fillViews(&s, w, r, d.slow*pl.far)
	c.fillErrors(&s, w, r)
	s.Rating = rate(&s, r)

	now, end := c.nowMS(), w.start+int64(w.length)
	s.Active = end+idleMS > now
	last := min(end, now)
	s.Length, s.Updated = time.Duration(last-w.start)*time.Millisecond, msTime(last)
	if s.Active {
		cut := msTime(now)
		for len(s.PageViews) > 1 && s.PageViews[len(s.PageViews)-1].At.After(cut) {
			s.PageViews = s.PageViews[:len(s.PageViews)-1]
		}
		for len(s.Errors) > 0 && s.Errors[len(s.Errors)-1].At.After(cut) {
			s.Errors = s.Errors[:len(s.Errors)-1]
		}
	} else {
		s.End = s.Updated
	}
	if w.recorded {
		s.Recording = c.recording(i)
	}
	return s
}

// fillViews lays the journey's pages out over the session's length.
func (c *Company) fillViews(s *Session, w *row, r *rand.Rand, slow float64) {
	steps := c.cat.journeys[w.journey].steps
	n := int(w.views)
	pages, share, sum := make([]int, n), make([]float64, n), 0.0
	for k := range n {
		if k < len(steps) {
			pages[k] = steps[k]
		} else {
			pages[k] = steps[r.IntN(len(steps))]
		}
		share[k] = c.cat.pages[pages[k]].stay * math.Exp(0.7*r.NormFloat64())
		sum += share[k]
	}
	s.PageViews = make([]PageView, n)
	at, daysAgo := float64(w.start), c.daysAgo(w.start)
	for k := range n {
		p, stay := &c.cat.pages[pages[k]], share[k]/sum*float64(w.length)
		load := p.median * slow * loadFactor(pages[k], daysAgo) * math.Exp(p.spread*r.NormFloat64())
		if r.Float64() < p.coldOdd {
			load *= 3 + 3*r.Float64()
		}
		url := p.url
		if len(p.fills) > 0 {
			url = fmt.Sprintf(p.url, p.fills[r.IntN(len(p.fills))])
		}
		view := stay - load
		if view < 0 {
			view = stay / 2
		}
		if c.today-w.start > 45*dayMS && r.Float64() < 0.02 {
			view = -view
		}
		s.PageViews[k] = PageView{URL: url, Name: p.name, At: msTime(int64(at)), Loading: ms(int64(load)), Viewing: ms(int64(view)), page: pages[k]}
		at += stay
	}
}

// fillErrors lets the errors happen that live on the session's pages, and the
// one that the journey ends with.
func (c *Company) fillErrors(s *Session, w *row, r *rand.Rand) {
	j := c.cat.journeys[w.journey]
	daysAgo := c.daysAgo(w.start)
	for k := range s.PageViews {
		v := &s.PageViews[k]
		for g := range c.cat.errors {
			e := &c.cat.errors[g]
			for _, pg := range e.pages {
				x := r.Float64()
				alive := e.alive(daysAgo) && (e.onlyIf == "" || e.onlyIf == s.Browser)
				forced := j.fail == g && k == len(j.steps)-1
				if pg != v.page || !(forced || alive && x < e.odds) {
					continue
				}
				stay := time.Duration(w.length)*time.Millisecond - v.At.Sub(s.Start)
				if k+1 < len(s.PageViews) {
					stay = s.PageViews[k+1].At.Sub(v.At)
				}
				at := v.At.Add(time.Duration(r.Float64() * 0.9 * float64(stay))).Truncate(time.Millisecond)
				s.Errors = append(s.Errors, PageError{GroupID: e.id, InstanceID: int64(mix(s.seed, uint64(k*32+g)) >> 8), Title: e.title, At: at, View: k, group: g})
			}
		}
	}
	// Two errors of one view may have come in any order.
	for a := 1; a < len(s.Errors); a++ {
		for b := a; b > 0 && s.Errors[b].At.Before(s.Errors[b-1].At); b-- {
			s.Errors[b], s.Errors[b-1] = s.Errors[b-1], s.Errors[b]
		}
	}
}

// alive says whether the error was there that many days ago.
func (e *errorGroup) alive(daysAgo int) bool {
	return daysAgo <= e.firstDay && (e.fixedDay == 0 || daysAgo >= e.fixedDay)
}

// rate rates a session by load times and errors. Raygun's formula is unknown;
// this one is the sandbox's own, and sometimes gives nothing or an unheard-of word.
func rate(s *Session, r *rand.Rand) string {
	var sum time.Duration
	for _, v := range s.PageViews {
		sum += v.Loading
	}
	avg := sum / time.Duration(max(1, len(s.PageViews)))
	switch x := r.Float64(); {
	case x < 0.02:
		return ""
	case x < 0.025:
		return "Frustrating"
	case len(s.Errors) > 1 || avg > 5*time.Second:
		return "Poor"
	case len(s.Errors) == 1 || avg > 2500*time.Millisecond:
		return "Average"
	case avg > 1200*time.Millisecond:
		return "Good"
	}
	return "Excellent"
}

// ip is an address from the ranges reserved for documentation. People of one
// office share theirs.
func (c *Company) ip(w *row) string {
	h := mix(c.seed, uint64(w.person)*31+uint64(w.place))
	if h%9 == 0 {
		return fmt.Sprintf("2001:db8:%x:%x::%x", h>>16&0xffff, h>>32&0xffff, h>>48)
	}
	return fmt.Sprintf("%s%d", []string{"203.0.113.", "198.51.100.", "192.0.2."}[h%3], 1+h>>20%250)
}

func msTime(v int64) time.Time { return time.UnixMilli(v).UTC() }
func ms(v int64) time.Duration { return time.Duration(v) * time.Millisecond }
