package sandbox

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

const (
	dayMS = int64(24 * time.Hour / time.Millisecond)
	// aheadDays is how many days after today are made too, so that a stand-in
	// that runs on for days does not fall silent at midnight.
	aheadDays = 7
	// maxSessions is what the low bits of a session's id can number.
	maxSessions = 1_000_000
	// idleMS is how long after its last event a session still counts as active.
	idleMS = int64(30 * time.Minute / time.Millisecond)
	// doneMS is how long after its end a recording is complete and exported.
	doneMS = int64(time.Hour / time.Millisecond)
)

// Company is the made-up company: its customers and what they did. The same
// seed, sizes and UTC day give the same company. What lies after the present
// moment exists but is not shown by any method until its time comes.
//
// What a Company tells never changes after it is made, and it may be used by many
// goroutines.
type Company struct {
	seed      uint64
	now       func() time.Time
	today     int64 // midnight UTC, ms
	cat       *catalog
	customers []Customer
	visitors  int // anonymous people, numbered after the customers

	byUserID     map[string]int32
	byIdentifier map[string][]int32
	byEmail      map[string][]int32 // lower case

	rows     []row     // by start, hence by id
	byPerson [][]int32 // rows of each person, oldest first
	exports  []export  // by done

	auditOnce sync.Once
	audit     []auditEntry // by at; see auditLog
}

// row is what is kept of each session; everything else is made from it anew
// whenever somebody asks.
type row struct {
	start   int64 // ms
	person  int32 // index into customers, or beyond them for a visitor
	prev    int32 // the person's session before this one, or -1
	length  int32 // ms
	views   uint8
	device  uint8
	place   uint8
	journey uint8
	// recorded says that LogRocket recorded it too.
	recorded bool
}

// export says when the recording of a row is complete. No two are complete in
// the same millisecond, so that the time can serve as cursor.
type export struct {
	done int64
	row  int32
}

func newCompany(o Options) *Company {
	now := o.Now().UTC()
	c := &Company{seed: o.Seed, now: o.Now, today: now.Truncate(24 * time.Hour).UnixMilli(), cat: newCatalog()}
	r := rand.New(rand.NewPCG(o.Seed, uint64(c.today)))
	c.makeCustomers(o.Customers, r)
	c.visitors = max(1, o.Sessions/8)
	c.makeRows(o, r)
	c.linkRows()
	return c
}

// makeRows makes at least o.Sessions sessions in the o.Days whole days before
// today, and as many a day for today and aheadDays more.
func (c *Company) makeRows(o Options, r *rand.Rand) {
	perDay := float64(o.Sessions) / float64(o.Days)
	c.rows = make([]row, 0, o.Sessions+int(perDay*float64(aheadDays+2))+400)
	first := c.today - int64(o.Days)*dayMS
	c.storyRows(o)
	heavy := min(340, o.Sessions/100)
	for p := heavyFrom; p < heavyFrom+3; p++ {
		for range heavy {
			c.addRow(r, first, o.Days, p)
		}
	}
	for p := len(demoPeople()); p < len(c.customers) && len(c.rows) < o.Sessions; p++ {
		c.addRow(r, first, o.Days, p)
	}
	pick := c.picker(r)
	for len(c.rows) < o.Sessions {
		c.addRow(r, first, o.Days, pick())
	}
	for range int(perDay * (aheadDays + 1)) {
		c.addRow(r, c.today, aheadDays+1, pick())
	}
}

// picker draws people: one session in five is a visitor's, customers come back
// unevenly, as they do.
func (c *Company) picker(r *rand.Rand) func() int {
	from := len(demoPeople())
	sums, sum := make([]float64, len(c.customers)-from), 0.0
	for i := range sums {
		sum += math.Exp(r.NormFloat64())
		sums[i] = sum
	}
	return func() int {
		if r.Float64() < 0.2 {
			return len(c.customers) + r.IntN(c.visitors)
		}
		return from + sort.SearchFloat64s(sums, r.Float64()*sum)
	}
}

// addRow adds one session of a person somewhere in days days from first (ms).
func (c *Company) addRow(r *rand.Rand, first int64, days, person int) {
	w := row{person: int32(person)}
	anon := person >= len(c.customers)
	if anon {
		h := rand.New(rand.NewPCG(c.seed, uint64(person)))
		w.place = uint8(weighted(h, len(c.cat.places), func(i int) float64 { return c.cat.places[i].odds }))
		w.device = uint8(weighted(h, len(c.cat.devices), func(i int) float64 { return c.cat.devices[i].odds }))
	} else {
		p := &c.customers[person]
		w.place, w.device = uint8(p.place), p.devices[min(1, r.IntN(4)/2)]
		if r.Float64() < 0.04 { // on a journey
			w.place = uint8(r.IntN(len(c.cat.places)))
		}
	}
	w.journey = uint8(weighted(r, len(c.cat.journeys), func(i int) float64 {
		if anon && !c.cat.journeys[i].anon {
			return 0
		}
		return c.cat.journeys[i].odds
	}))
	day := int64(r.IntN(days))
	if wd := time.UnixMilli(first + day*dayMS).UTC().Weekday(); (wd == time.Saturday || wd == time.Sunday) && r.Float64() < 0.55 {
		day = (day + 2) % int64(days)
	}
	hour := 13.5 + 4.2*r.NormFloat64() - float64(c.cat.places[w.place].utc) // early afternoon at home
	ms := int64(math.Mod(hour+72, 24) * 3600e3)
	w.start = first + day*dayMS + min(ms, dayMS-1)
	c.push(r, w)
}

// push fills in how much happened and whether it was recorded, and adds the row.
func (c *Company) push(r *rand.Rand, w row) {
	steps := len(c.cat.journeys[w.journey].steps)
	if c.cat.journeys[w.journey].fail >= 0 {
		w.views = uint8(steps + r.IntN(3))
	} else {
		w.views = uint8(max(1, min(60, int(float64(steps)*math.Exp(0.45*r.NormFloat64())+0.5))))
	}
	w.length = int32(min(3*3600e3, (3e3+float64(w.views)*34e3*math.Exp(0.6*r.NormFloat64()))*(0.5+r.Float64())))
	w.recorded = r.Float64() < 0.62 || int(w.person) < heavyFrom
	c.rows = append(c.rows, w)
}

// storyRows gives the customers that are easy to remember a rich last week.
func (c *Company) storyRows(o Options) {
	r := rand.New(rand.NewPCG(c.seed, 77))
	minute := int64(60e3)
	add := func(person, daysAgo int, atMinute int64, journey int) {
		if daysAgo >= o.Days {
			return
		}
		p := c.customers[person]
		c.push(r, row{person: int32(person), start: c.today - int64(daysAgo)*dayMS + atMinute*minute + int64(r.IntN(50_000)), place: uint8(p.place), device: p.devices[r.IntN(2)], journey: uint8(journey)})
	}
	for _, d := range []int{0, 1, 2, 4, 6, 9, 15, 22, 29, 36, 50} { // people who come regularly
		add(0, d, 8*60+20, jnWork)
		add(2, d, 9*60+5, jnReport)
		add(4, d, 6*60+45, jnBuy)
		add(5, d, 3*60+15, jnWork)
		add(7, d, 2*60+30, jnWork)
		add(8, d, 2*60+50, jnWork)
	}
	for d := range min(45, o.Days) {
		add(1, d, 7*60+int64(d*7%50), jnWork)
		if d%5 == 0 {
			add(1, d, 11*60+40, jnExportFail)
		}
		if d%3 == 0 {
			add(3, d, 10*60, jnBrowse)
		}
	}
	for _, at := range []int64{2, 31, 9*60 + 12, 13*60 + 7, 19*60 + 44} { // Ada today
		add(0, 0, at, jnPayFail)
	}
	for d := range 6 {
		add(0, d+1, 18*60+10+int64(d), []int{jnPayFail, jnCouponFail, jnPayFail, jnBuy, jnBrowse, jnPayFail}[d])
		add(6, d, 5+int64(d)*11, jnHostile)
	}
	add(1, 0, 5, jnExportFail)
	add(3, 0, 12, jnCouponFail)
	add(4, 0, 8, jnPayFail)
	add(5, 0, 14, jnExportFail)
	add(9, 0, 3, jnBuy)
}

// linkRows sorts the rows and makes the indexes over them.
func (c *Company) linkRows() {
	slices.SortStableFunc(c.rows, func(a, b row) int {
		if a.start != b.start {
			return int(max(-1, min(1, a.start-b.start)))
		}
		return int(a.person - b.person)
	})
	c.byPerson = make([][]int32, len(c.customers)+c.visitors)
	for i := range c.rows {
		w := &c.rows[i]
		w.prev = -1
		if l := c.byPerson[w.person]; len(l) > 0 {
			w.prev = l[len(l)-1]
			// One person, one thing at a time: keep sessions from overlapping.
			if p := &c.rows[w.prev]; p.start+int64(p.length) > w.start-1000 {
				p.length = int32(max(500, w.start-1000-p.start))
			}
		}
		c.byPerson[w.person] = append(c.byPerson[w.person], int32(i))
	}
	for i := range c.rows {
		if w := &c.rows[i]; w.recorded {
			c.exports = append(c.exports, export{w.start + int64(w.length) + doneMS, int32(i)})
		}
	}
	slices.SortStableFunc(c.exports, func(a, b export) int { return int(max(-1, min(1, a.done-b.done))) })
	for i := 1; i < len(c.exports); i++ {
		c.exports[i].done = max(c.exports[i].done, c.exports[i-1].done+1)
	}
}

// Customers are all customers, the few that are easy to remember first.
func (c *Company) Customers() []Customer { return slices.Clone(c.customers) }

// Demo are the customers that are easy to remember, each with a Note.
func (c *Company) Demo() []Customer { return slices.Clone(c.customers[:len(demoPeople())]) }

// Customer finds the first customer with the email (in any case), LogRocket
// user id or Raygun identifier.
func (c *Company) Customer(emailOrID string) (Customer, bool) {
	if l := c.byEmail[strings.ToLower(emailOrID)]; len(l) > 0 {
		return c.customers[l[0]], true
	}
	if i, ok := c.byUserID[emailOrID]; ok {
		return c.customers[i], true
	}
	if l := c.byIdentifier[emailOrID]; len(l) > 0 {
		return c.customers[l[0]], true
	}
	return Customer{}, false
}

// Session is one Raygun session with everything in it, as of the present moment.
func (c *Company) Session(id int64) (Session, bool) {
	i, ok := c.rowByID(id)
	if !ok {
		return Session{}, false
	}
	return c.detail(i), true
}

// SessionsOf are the customer's sessions so far, newest first.
func (c *Company) SessionsOf(p Customer) []Session {
	rows := c.visible(c.byPerson[p.index])
	out := make([]Session, 0, len(rows))
	for i := len(rows) - 1; i >= 0; i-- {
		out = append(out, c.detail(int(rows[i])))
	}
	return out
}

// SessionCount is how many sessions have started by now.
func (c *Company) SessionCount() int {
	return c.rowsBefore(c.nowMS() + 1)
}

func (c *Company) nowMS() int64 { return c.now().UnixMilli() }

// rowsBefore counts the rows that start before the time (ms).
func (c *Company) rowsBefore(ms int64) int {
	return sort.Search(len(c.rows), func(i int) bool { return c.rows[i].start >= ms })
}

// visible cuts a list of rows, oldest first, at the present moment.
func (c *Company) visible(rows []int32) []int32 {
	now := c.nowMS()
	return rows[:sort.Search(len(rows), func(i int) bool { return c.rows[rows[i]].start > now })]
}

// id is a row's Raygun session id: above 2^53, where JavaScript's numbers lose
// the last digits, and rising with time.
func (c *Company) id(i int) int64 { return c.rows[i].start<<20 | int64(i) }

func (c *Company) rowByID(id int64) (int, bool) {
	i := int(id & (1<<20 - 1))
	if id <= 0 || i >= len(c.rows) || c.id(i) != id || c.rows[i].start > c.nowMS() {
		return 0, false
	}
	return i, true
}

// customerOf is the row's customer, or nil for an anonymous visitor.
func (c *Company) customerOf(w *row) *Customer {
	if int(w.person) < len(c.customers) {
		return &c.customers[w.person]
	}
	return nil
}
