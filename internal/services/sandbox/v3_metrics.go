package sandbox

import (
	"encoding/json"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The metrics: computed from the page views and errors of the very sessions that
// the lists give, on demand.

const (
	// mostMetricDays is the longest time that one question may be about.
	mostMetricDays = 30
	// mostSampled is how many sessions one answer is computed from; of more it
	// takes every second, third … and multiplies the counts.
	mostSampled = 60_000
)

type v3Question struct {
	Start       *time.Time `json:"start"`
	End         *time.Time `json:"end"`
	Granularity string     `json:"granularity"`
	Aggregation string     `json:"aggregation"`
	Metrics     []string   `json:"metrics"`
	Filter      *string    `json:"filter"`

	from, to, step int64 // ms
	only           map[string]bool
}

// readQuestion reads and checks a metrics request, or answers 400 or 422.
func (v *v3) readQuestion(w http.ResponseWriter, r *http.Request, aggregations, metrics []string, property string) (*v3Question, bool) {
	body, ok := readBody(w, r)
	if !ok {
		return nil, false
	}
	q := &v3Question{}
	if err := json.Unmarshal(body, q); err != nil {
		v.problem(w, http.StatusBadRequest, "The body is not JSON of the expected form.")
		return nil, false
	}
	errs := map[string][]string{}
	wrong := func(field, what string) { errs[field] = append(errs[field], what) }
	if q.Start == nil {
		wrong("start", "start is required.")
	}
	if q.End == nil {
		wrong("end", "end is required.")
	}
	if q.Start != nil && q.End != nil {
		q.from, q.to = q.Start.UnixMilli(), q.End.UnixMilli()
		if q.to <= q.from {
			wrong("end", "end must be after start.")
		} else if q.to-q.from > mostMetricDays*dayMS {
			wrong("end", "The time range must not be longer than 30 days.")
		}
	}
	if aggregations != nil {
		if q.step, ok = readGranularity(q.Granularity); !ok {
			wrong("granularity", "granularity must be a number of m, h or d, such as 1h.")
		}
		if !slices.Contains(aggregations, q.Aggregation) {
			wrong("aggregation", "aggregation must be one of "+strings.Join(aggregations, ", ")+".")
		}
	}
	if len(q.Metrics) == 0 {
		wrong("metrics", "metrics is required.")
	}
	for _, m := range q.Metrics {
		if !slices.Contains(metrics, m) {
			wrong("metrics", "There is no metric "+strconv.Quote(m)+" here.")
		} else if m == "pageViews" && q.Aggregation != "count" && q.Aggregation != "sum" {
			wrong("aggregation", "pageViews can only be counted.")
		}
	}
	if q.Filter != nil && *q.Filter != "" {
		if q.only, ok = readIdentifierFilter(*q.Filter, property); !ok {
			wrong("filter", "filter must be of the form: "+property+" = abc123, or: "+property+" IN (abc123, def456)")
		}
	}
	if len(errs) > 0 {
		v.invalid(w, errs)
		return nil, false
	}
	return q, true
}

func readGranularity(s string) (int64, bool) {
	m := regexp.MustCompile(`^([0-9]{1,5})([mhd])$`).FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	return n * map[string]int64{"m": 60_000, "h": 3_600_000, "d": dayMS}[m[2]], n > 0
}

// readIdentifierFilter reads the identifiers that a filter lets through.
func readIdentifierFilter(s, property string) (map[string]bool, bool) {
	m := regexp.MustCompile(`^\s*` + property + `\s*(?:=\s*(\w+)|(?i:IN)\s*\(([\w\s,]+)\))\s*$`).FindStringSubmatch(s)
	if m == nil {
		return nil, false
	}
	out := map[string]bool{}
	for id := range strings.SplitSeq(m[1]+m[2], ",") {
		if id = strings.TrimSpace(id); id == "" {
			return nil, false
		}
		out[id] = true
	}
	return out, true
}

func pageMetrics() []string {
	return []string{"loadTime", "firstPaint", "firstContentfulPaint", "firstInputDelay", "largestContentfulPaint", "cumulativeLayoutShift", "interactionToNextPaint"}
}

// samples calls each with the sessions that may have something between the
// times, and gives how many real ones each of them stands for.
func (c *Company) samples(from, to int64, each func(*Session)) float64 {
	if c == nil {
		return 1
	}
	a, b := c.rowsBefore(from-4*3600e3), c.rowsBefore(min(to, c.nowMS()+1))
	every := max(1, (b-a+mostSampled-1)/mostSampled)
	for i := a; i < b; i += every {
		s := c.detail(i)
		each(&s)
	}
	return float64(every)
}

// pageValues calls each with every value of a question's metrics.
func (a *v3App) pageValues(q *v3Question, each func(metric int, at int64, value float64)) float64 {
	now := int64(0)
	if a.company != nil {
		now = a.company.nowMS()
	}
	return a.company.samples(q.from, q.to, func(s *Session) {
		for n, p := range s.PageViews {
			at := p.At.UnixMilli()
			if at < q.from || at >= q.to || at > now || q.only != nil && !q.only[a.pages[a.pageOf[p.URL]].id] {
				continue
			}
			for k, m := range q.Metrics {
				if x, ok := a.company.vital(m, s, n); ok {
					each(k, at, x)
				}
			}
		}
	})
}

// vital is what a browser measured of a page view: milliseconds, but for the
// layout shift, which has no unit. All follow from the load time. Safari and
// unknown browsers do not measure the newer ones, and who does nothing on a page
// has no delay of input.
func (c *Company) vital(metric string, s *Session, n int) (float64, bool) {
	p := &s.PageViews[n]
	h := mix(s.seed+11, uint64(n))
	chance := func(salt uint64) float64 { return float64(mix(h, salt)>>11) / (1 << 53) }
	load := float64(p.Loading.Milliseconds())
	device := c.cat.devices[c.rows[s.row].device]
	paint := load * (0.25 + 0.2*chance(1))
	contentful := paint * (1 + 0.15*chance(2))
	modern := device.browser != "" && device.browser != "Safari"
	acted := chance(3) < 0.8
	switch metric {
	case "pageViews":
		return 1, true
	case "loadTime":
		return load, true
	case "firstPaint":
		return math.Round(paint), true
	case "firstContentfulPaint":
		return math.Round(contentful), true
	case "largestContentfulPaint":
		return math.Round(max(contentful, load*(0.65+0.45*chance(4)))), modern
	case "firstInputDelay":
		return math.Round(device.slow * (2 + 30*chance(5)*chance(6))), acted
	case "interactionToNextPaint":
		return math.Round(device.slow * (35 + load*0.06*(0.5+chance(7)))), modern && acted
	}
	shift := 0.16 * chance(8) * chance(9)
	if days := c.daysAgo(p.At.UnixMilli()); p.page == pgDashboard && days <= jumpyBoardDay && days > badReleaseDay {
		shift += 0.22
	}
	return math.Round(shift*1000) / 1000, modern
}

type v3Series struct {
	Aggregation string    `json:"aggregation"`
	Metric      string    `json:"metric"`
	Series      []v3Point `json:"series"`
}

type v3Point struct {
	Time  string   `json:"time"`
	Value *float64 `json:"value"`
}

func (v *v3) pageSeries(w http.ResponseWriter, r *http.Request, a *v3App, _ []string) {
	q, ok := v.readQuestion(w, r, []string{"count", "average", "median", "sum", "min", "max", "p95", "p99"}, append([]string{"pageViews"}, pageMetrics()...), "pageIdentifier")
	if !ok {
		return
	}
	values := q.buckets()
	weight := a.pageValues(q, func(m int, at int64, x float64) { values[m][at/q.step] = append(values[m][at/q.step], x) })
	v.writeSeries(w, q, values, weight)
}

func (v *v3) errorSeries(w http.ResponseWriter, r *http.Request, a *v3App, _ []string) {
	q, ok := v.readQuestion(w, r, []string{"count"}, []string{"errorInstances"}, "errorGroupIdentifier")
	if !ok {
		return
	}
	values := q.buckets()
	weight := a.company.samples(q.from, q.to, func(s *Session) {
		for _, e := range s.Errors {
			at := e.At.UnixMilli()
			if at < q.from || at >= q.to || at > a.company.nowMS() || q.only != nil && !q.only[base36(e.GroupID)] {
				continue
			}
			for m := range q.Metrics {
				values[m][at/q.step] = append(values[m][at/q.step], 1)
			}
		}
	})
	v.writeSeries(w, q, values, weight)
}

// buckets holds the values of each metric by the number of their time step
// since 1970.
func (q *v3Question) buckets() []map[int64][]float64 {
	out := make([]map[int64][]float64, len(q.Metrics))
	for i := range out {
		out[i] = map[int64][]float64{}
	}
	return out
}

// writeSeries gives each step from start on. Of a step without values there is a
// count of 0; another value there is none of: the step is left out, or null in
// the live dialect. Nobody says which it is.
func (v *v3) writeSeries(w http.ResponseWriter, q *v3Question, values []map[int64][]float64, weight float64) {
	out := make([]v3Series, 0, len(q.Metrics))
	for m, name := range q.Metrics {
		s := v3Series{q.Aggregation, name, []v3Point{}}
		for n := q.from / q.step; n*q.step < q.to; n++ {
			x, ok := aggregate(q.Aggregation, values[m][n], weight)
			switch {
			case ok:
				s.Series = append(s.Series, v3Point{stamp(msTime(n * q.step)), &x})
			case v.s.live():
				s.Series = append(s.Series, v3Point{stamp(msTime(n * q.step)), nil})
			}
		}
		out = append(out, s)
	}
	writeJSON(w, http.StatusOK, out)
}

// aggregate makes one value of many; ok is false if there is none. Percentiles
// are by nearest rank.
func aggregate(how string, x []float64, weight float64) (value float64, ok bool) {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	switch {
	case how == "count":
		return float64(len(x)) * weight, true
	case len(x) == 0:
		return 0, how == "sum"
	}
	slices.Sort(x)
	rank := func(p float64) float64 { return x[max(0, int(math.Ceil(p*float64(len(x))))-1)] }
	switch how {
	case "sum":
		value = sum * weight
	case "average":
		value = sum / float64(len(x))
	case "median":
		value = rank(0.5)
	case "min":
		value = x[0]
	case "max":
		value = x[len(x)-1]
	case "p95":
		value = rank(0.95)
	default:
		value = rank(0.99)
	}
	return math.Round(value*1e4) / 1e4, true
}

type v3Histogram struct {
	Metric  string     `json:"metric"`
	Buckets []v3Bucket `json:"buckets"`
}

type v3Bucket struct {
	Key   float64 `json:"key"`
	Range string  `json:"range"`
	Count int     `json:"count"`
}

// pageHistogram counts values in buckets of one width a metric, those without
// values left out.
func (v *v3) pageHistogram(w http.ResponseWriter, r *http.Request, a *v3App, _ []string) {
	q, ok := v.readQuestion(w, r, nil, pageMetrics(), "pageIdentifier")
	if !ok {
		return
	}
	// Widths are in thousandths, to keep the layout shift's bounds whole.
	width := func(metric string) int64 {
		switch metric {
		case "cumulativeLayoutShift":
			return 50
		case "firstInputDelay":
			return 5_000
		case "interactionToNextPaint":
			return 25_000
		}
		return 100_000
	}
	counts := make([]map[int64]int, len(q.Metrics))
	for i := range counts {
		counts[i] = map[int64]int{}
	}
	weight := a.pageValues(q, func(m int, _ int64, x float64) { counts[m][int64(math.Round(x*1000))/width(q.Metrics[m])]++ })
	out := make([]v3Histogram, 0, len(q.Metrics))
	for m, name := range q.Metrics {
		h := v3Histogram{name, []v3Bucket{}}
		for n, count := range counts[m] {
			low, high := float64(n*width(name))/1000, float64((n+1)*width(name))/1000
			h.Buckets = append(h.Buckets, v3Bucket{low, number(low) + " - " + number(high), count * int(weight)})
		}
		slices.SortFunc(h.Buckets, func(a, b v3Bucket) int { return int(max(-1, min(1, math.Round((a.Key-b.Key)*1000)))) })
		out = append(out, h)
	}
	writeJSON(w, http.StatusOK, out)
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
