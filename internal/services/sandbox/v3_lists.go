package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// v3List is the parameters that all lists have.
type v3List struct {
	count, offset int
	order         []v3Order
}

// readList reads them, or answers 400. The specification has no answer for a
// bad parameter; problem details are what everything else is answered with.
func (v *v3) readList(w http.ResponseWriter, r *http.Request, fields ...string) (v3List, bool) {
	q := r.URL.Query()
	out := v3List{count: 100}
	bad := func(detail string) (v3List, bool) {
		v.problem(w, http.StatusBadRequest, detail)
		return out, false
	}
	number := func(name string, to *int, least, most int) bool {
		if !q.Has(name) {
			return true
		}
		n, err := strconv.Atoi(q.Get(name))
		*to = n
		return err == nil && n >= least && n <= most
	}
	if !number("count", &out.count, 1, 500) {
		return bad("count must be an integer from 1 to 500.")
	}
	if !number("offset", &out.offset, 0, 1<<31-1) {
		return bad("offset must be an integer from 0 to 2147483647.")
	}
	var ok bool
	if out.order, ok = readOrder(q["orderby"], fields); !ok {
		return bad("orderby must be made of " + strings.Join(fields, ", ") + ", each alone or with desc.")
	}
	return out, true
}

// writeList answers a bare array. The live dialect tells how many there are in
// all in a header that the specification does not have.
func writeList[T, V any](v *v3, w http.ResponseWriter, q v3List, list []T, view func(T) V) {
	if v.s.live() {
		w.Header().Set("X-Raygun-Total-Count", strconv.Itoa(len(list)))
	}
	page, _ := arrange(&v.s.disorder, v.s.opts.Seed, list, q.offset, q.count)
	out := make([]V, 0, len(page))
	for _, x := range page {
		out = append(out, view(x))
	}
	writeJSON(w, http.StatusOK, out)
}

// v3Page is one page of an application.
type v3Page struct {
	id   string
	url  string
	page int // index into catalog.pages
}

func (a *v3App) makePages() {
	a.pageOf = map[string]int{}
	for i, p := range a.company.cat.pages {
		urls := []string{p.url}
		if len(p.fills) > 0 {
			urls = nil
			for _, fill := range p.fills {
				urls = append(urls, strings.Replace(p.url, "%s", fill, 1))
			}
		}
		for _, u := range urls {
			a.pageOf[u] = len(a.pages)
			a.pages = append(a.pages, v3Page{base36(int64(61_000_000 + mix(a.company.seed, uint64(len(a.pages)))%900_000*100 + uint64(len(a.pages)))), u, i})
		}
	}
}

// includes says whether a row's session opens one of the pages at all. Its views
// are its journey's steps, and more of the same.
func (c *Company) includes(w *row, page func(int) bool) bool {
	steps := c.cat.journeys[w.journey].steps
	for _, p := range steps[:min(int(w.views), len(steps))] {
		if page(p) {
			return true
		}
	}
	return false
}

// newest finds the latest time of something that may happen in some sessions,
// going back from the time given; 0 is never. It looks into at most 5000 sessions.
func (c *Company) newest(before int64, may func(*row) bool, at func(*Session) (int64, bool)) int64 {
	looked, found := 0, int64(0)
	for i := c.rowsBefore(before) - 1; i >= 0 && looked < 5000; i-- {
		w := &c.rows[i]
		if found > 0 && w.start < found-4*3600e3 {
			break // no session is that long
		}
		if !may(w) {
			continue
		}
		looked++
		s := c.detail(i)
		if ms, ok := at(&s); ok {
			found = max(found, ms)
		}
	}
	return found
}

// look brings the times at which pages and error groups were last met up to the
// whole minute.
func (a *v3App) look() (pages, errs []int64) {
	c := a.company
	minute := c.nowMS() / 60_000 * 60_000
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asOf == minute {
		return a.page, a.errs
	}
	a.asOf, a.page, a.errs = minute, make([]int64, len(a.pages)), make([]int64, len(c.cat.errors))
	for i, p := range a.pages {
		a.page[i] = c.newest(minute, func(w *row) bool { return c.includes(w, func(n int) bool { return n == p.page }) }, func(s *Session) (int64, bool) {
			for k := len(s.PageViews) - 1; k >= 0; k-- {
				if s.PageViews[k].URL == p.url {
					return s.PageViews[k].At.UnixMilli(), true
				}
			}
			return 0, false
		})
	}
	for g := range c.cat.errors {
		a.errs[g] = c.newestError(g, minute)
	}
	return a.page, a.errs
}

func (c *Company) newestError(g int, before int64) int64 {
	e := &c.cat.errors[g]
	may := func(w *row) bool {
		return (c.cat.journeys[w.journey].fail == g || e.alive(c.daysAgo(w.start))) &&
			c.includes(w, func(p int) bool { return slices.Contains(e.pages, p) })
	}
	return c.newest(before, may, func(s *Session) (int64, bool) {
		for k := len(s.Errors) - 1; k >= 0; k-- {
			if s.Errors[k].group == g {
				return s.Errors[k].At.UnixMilli(), true
			}
		}
		return 0, false
	})
}

// readXHRFilter reads the one filter that sessions have.
func readXHRFilter(q url.Values) (uri string, ok bool) {
	if !q.Has("filter") {
		return "", true
	}
	uri, ok = strings.CutPrefix(q.Get("filter"), "xhr.uri eq ")
	return uri, ok && uri != ""
}
