// Package metrics counts what an operator watches and writes it in Prometheus'
// text format (version 0.0.4).
//
// Nothing in it is about a customer or a member: its labels are names out of our
// own code, statuses, and numbers of connections.
package metrics

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Metrics are the figures of one process. A nil one counts nothing. It may be
// used by many goroutines.
type Metrics struct {
	requests, requestTimes *family
	kept                   *family
	calls, callTimes       *family
	jobs, jobTimes         *family
}

// New returns figures that are all 0.
func New() *Metrics {
	return &Metrics{
		requests:     counter("sightline_http_requests_total", "Requests answered, by route and class of status.", "method", "route", "status"),
		requestTimes: histogram("sightline_http_request_duration_seconds", "Time from a request's header to the end of its answer; of streams, as long as they lasted.", requestBounds(), "method", "route"),
		kept:         counter("sightline_http_kept_pages_total", "Pages that may be kept in memory: hit was there, made was not, unchanged was not even sent.", "result"),
		calls:        counter("sightline_vendor_calls_total", "Attempts at calls to vendors by outcome: ok, the kind of failure, or refused by the budget before anything was sent.", "vendor", "operation", "outcome"),
		callTimes:    histogram("sightline_vendor_call_duration_seconds", "Time from sending a call to the end of its answer.", callBounds(), "vendor", "operation"),
		jobs:         counter("sightline_jobs_total", "Runs of jobs by outcome: done, again (it goes on later), gone (nothing left to do) or failed.", "kind", "outcome"),
		jobTimes:     histogram("sightline_job_duration_seconds", "Time that a run of a job took.", callBounds(), "kind"),
	}
}

// Upper bounds of durations, in seconds. Pages take milliseconds, vendors
// answer within 30 seconds or not at all, and some jobs take minutes.
func requestBounds() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1, 2.5, 10}
}
func callBounds() []float64 { return []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 120} }

// Request counts a request. Route is the pattern in the route table, never an
// address.
func (m *Metrics) Request(method, route string, status int, took time.Duration) {
	if m == nil {
		return
	}
	m.requests.add(key{method, route, strconv.Itoa(status/100) + "xx"}, 0)
	m.requestTimes.add(key{method, route}, took)
}

// Kept counts a page that may be kept: hit, made or unchanged.
func (m *Metrics) Kept(result string) {
	if m != nil {
		m.kept.add(key{result}, 0)
	}
}

// Call counts an attempt at a call to a vendor, and how long it took unless
// nothing was sent.
func (m *Metrics) Call(vendor, operation, outcome string, took time.Duration, sent bool) {
	if m == nil {
		return
	}
	m.calls.add(key{vendor, operation, outcome}, 0)
	if sent {
		m.callTimes.add(key{vendor, operation}, took)
	}
}

// Job counts a run of a job.
func (m *Metrics) Job(kind, outcome string, took time.Duration) {
	if m == nil {
		return
	}
	m.jobs.add(key{kind, outcome}, 0)
	m.jobTimes.add(key{kind}, took)
}

// Figure is something that is looked up when somebody asks.
type Figure struct {
	Name, Help string
	// Grows says that it only ever does until the process ends.
	Grows  bool
	Labels []string
	Values []Value
}

// Value is one value of a figure, with a text for each of its labels, at most
// three.
type Value struct {
	Of    []string
	Value float64
}

// Write writes what was counted and the figures.
func (m *Metrics) Write(w io.Writer, figures []Figure) error {
	out := &text{bufio.NewWriter(w)}
	if m != nil {
		for _, f := range []*family{m.requests, m.requestTimes, m.kept, m.calls, m.callTimes, m.jobs, m.jobTimes} {
			f.write(out)
		}
	}
	for _, f := range figures {
		if len(f.Values) == 0 {
			continue
		}
		kind := "gauge"
		if f.Grows {
			kind = "counter"
		}
		out.head(f.Name, f.Help, kind)
		for _, v := range f.Values {
			out.line(f.Name, f.Labels, v.Of, "", v.Value)
		}
	}
	return out.Flush()
}

// most is how many series a family may have. Labels come out of our own code, so
// it is never met; should it be, the others are counted as one.
const most = 5_000

// key is the values of up to three labels.
type key [3]string

// series is what was counted under one key.
type series struct {
	count   uint64
	seconds float64
	buckets []uint64 // not yet summed up
}

// family is all that was counted under one name.
type family struct {
	name, help string
	labels     []string
	bounds     []float64 // nil for a counter

	mu     sync.Mutex
	series map[key]*series
}

func counter(name, help string, labels ...string) *family {
	return &family{name: name, help: help, labels: labels, series: map[key]*series{}}
}

func histogram(name, help string, bounds []float64, labels ...string) *family {
	f := counter(name, help, labels...)
	f.bounds = bounds
	return f
}

func (f *family) add(k key, took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.series[k]
	if !ok {
		if len(f.series) >= most {
			k = key{}
			for i := range f.labels {
				k[i] = "other"
			}
		}
		if s, ok = f.series[k]; !ok {
			s = &series{buckets: make([]uint64, len(f.bounds))}
			f.series[k] = s
		}
	}
	s.count++
	s.seconds += took.Seconds()
	if i, _ := slices.BinarySearch(f.bounds, took.Seconds()); i < len(f.bounds) {
		s.buckets[i]++
	}
}

func (f *family) write(out *text) {
	f.mu.Lock()
	defer f.mu.Unlock()
	keys := make([]string, 0, len(f.series))
	byName := make(map[string]key, len(f.series))
	for k := range f.series {
		name := strings.Join(k[:], "\x00")
		keys, byName[name] = append(keys, name), k
	}
	slices.Sort(keys)
	kind := "counter"
	if f.bounds != nil {
		kind = "histogram"
	}
	if len(keys) > 0 {
		out.head(f.name, f.help, kind)
	}
	for _, name := range keys {
		k := byName[name]
		s := f.series[k]
		if f.bounds == nil {
			out.line(f.name, f.labels, k[:], "", float64(s.count))
			continue
		}
		sum := uint64(0)
		for i, bound := range f.bounds {
			sum += s.buckets[i]
			out.line(f.name+"_bucket", f.labels, k[:], number(bound), float64(sum))
		}
		out.line(f.name+"_bucket", f.labels, k[:], "+Inf", float64(s.count))
		out.line(f.name+"_sum", f.labels, k[:], "", s.seconds)
		out.line(f.name+"_count", f.labels, k[:], "", float64(s.count))
	}
}

// text writes the format. A reader who has gone away is told of at the end.
type text struct{ *bufio.Writer }

func (t *text) put(parts ...string) {
	for _, p := range parts {
		_, _ = t.WriteString(p) // Flush says it
	}
}

func (t *text) head(name, help, kind string) {
	t.put("# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n")
}

// line writes a value; le is the bound of a bucket, empty for anything else.
func (t *text) line(name string, labels, values []string, le string, v float64) {
	t.put(name)
	sep := "{"
	for i, l := range labels {
		t.put(sep, l, `="`, escape(values[i]), `"`)
		sep = ","
	}
	if le != "" {
		t.put(sep, `le="`, le, `"`)
		sep = ","
	}
	if sep == "," {
		t.put("}")
	}
	t.put(" ", number(v), "\n")
}

// escape is a label's value as it may stand between quotes.
func escape(s string) string {
	if !strings.ContainsAny(s, "\\\"\n") {
		return s
	}
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s)
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
