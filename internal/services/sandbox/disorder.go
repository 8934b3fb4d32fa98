package sandbox

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
)

// Disorder is a way in which Raygun's lists, v1's and v3's, may be less tidy
// than a reader would like. Neither version's documents promise more.
type Disorder string

const (
	// DisorderShuffle gives each page's rows in another order every time. No row
	// leaves its page.
	DisorderShuffle Disorder = "shuffle"
	// DisorderMove lets rows change places with others up to a page away, anew
	// for each request: a walk through the pages gets some twice and misses
	// others, which a later walk gets. Totals are right.
	DisorderMove Disorder = "move"
	// DisorderRepeat gives about one row in twenty again, up to a page later. One
	// walk to the last page gets all rows; totals count each row once.
	DisorderRepeat Disorder = "repeat"
	// DisorderArrive withholds about a quarter of the newest sessions and lets a
	// few of them appear, not in the order of their start, with each request for
	// a list of sessions, until all are there. Asked for alone, a withheld
	// session is found.
	DisorderArrive Disorder = "arrive"
)

// Disorders are all of them, in the order of the control page.
func Disorders() []Disorder {
	return []Disorder{DisorderShuffle, DisorderMove, DisorderRepeat, DisorderArrive}
}

const (
	newestRows     = 400 // of which DisorderArrive withholds some
	arrivalsByList = 4   // withheld sessions that appear with each list
)

type disorder struct {
	mu       sync.Mutex
	on       map[Disorder]bool
	lists    uint64         // lists given since it was switched on
	withheld map[int32]bool // rows of the company that have not arrived
	coming   []int32        // the same rows in the order in which they arrive
}

// SetDisorder makes Raygun's lists untidy in the ways given, together; without
// any it makes them tidy again. What happens depends on the seed and on how many
// lists were asked for since, so that the same requests one after the other get
// the same answers. It does nothing for an unknown way.
func (s *Sandbox) SetDisorder(ways ...Disorder) {
	d := &s.disorder
	d.mu.Lock()
	defer d.mu.Unlock()
	d.on, d.lists, d.withheld, d.coming = map[Disorder]bool{}, 0, nil, nil
	for _, w := range ways {
		if slices.Contains(Disorders(), w) {
			d.on[w] = true
		}
	}
	if !d.on[DisorderArrive] {
		return
	}
	c := s.company
	d.withheld = map[int32]bool{}
	n := c.rowsBefore(c.nowMS() + 1)
	for i := max(0, n-newestRows); i < n; i++ {
		if mix(c.seed+5, uint64(i))%4 == 0 {
			d.withheld[int32(i)] = true
			d.coming = append(d.coming, int32(i))
		}
	}
	slices.SortFunc(d.coming, func(a, b int32) int { return cmp.Compare(mix(c.seed+6, uint64(a)), mix(c.seed+6, uint64(b))) })
}

// Disorder is the ways that are on.
func (s *Sandbox) Disorder() []Disorder {
	s.disorder.mu.Lock()
	defer s.disorder.mu.Unlock()
	out := []Disorder{}
	for _, w := range Disorders() {
		if s.disorder.on[w] {
			out = append(out, w)
		}
	}
	return out
}

// arrived removes the sessions of the main company that have not arrived, and
// lets the next few arrive.
func (d *disorder) arrived(rows []int32) []int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.withheld) == 0 {
		return rows
	}
	out := slices.DeleteFunc(slices.Clone(rows), func(i int32) bool { return d.withheld[i] })
	n := min(arrivalsByList, len(d.coming))
	for _, i := range d.coming[:n] {
		delete(d.withheld, i)
	}
	d.coming = d.coming[n:]
	return out
}

// arrange gives the page of count rows from offset on, as untidy as switched
// on, and says whether rows follow it.
func arrange[T any](d *disorder, seed uint64, rows []T, offset, count int) (page []T, more bool) {
	d.mu.Lock()
	d.lists++
	move, repeat, shuffle := d.on[DisorderMove], d.on[DisorderRepeat], d.on[DisorderShuffle]
	r := rand.New(rand.NewPCG(seed, d.lists))
	d.mu.Unlock()
	if move {
		rows = slices.Clone(rows)
		for range len(rows)/25 + 1 {
			i, j := r.IntN(max(1, len(rows))), r.IntN(2*count+1)-count
			if j += i; i < len(rows) && j >= 0 && j < len(rows) {
				rows[i], rows[j] = rows[j], rows[i]
			}
		}
	}
	if repeat {
		twice := make([]T, 0, len(rows)+len(rows)/15)
		for i, x := range rows {
			twice = append(twice, x)
			if h := mix(seed+7, uint64(i)); h%20 == 0 {
				twice = append(twice, rows[max(0, i-int(h>>8%uint64(count)))])
			}
		}
		rows = twice
	}
	page = rows[min(offset, len(rows)):min(offset+count, len(rows))]
	if shuffle {
		page = slices.Clone(page)
		r.Shuffle(len(page), func(i, j int) { page[i], page[j] = page[j], page[i] })
	}
	return page, offset+count < len(rows)
}
