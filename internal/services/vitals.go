package services

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/raygun"
	"sightline/internal/services/upstream"
)

// askVitals is the kind of ask that fetches Core Web Vitals; its subject is the
// first and the last day, "20400-20429".
const askVitals = "vitals"

const (
	// vitalDays is how many days one ask fetches at most: one call each.
	vitalDays = 31
	// vitalsStale is how old today's figures may be before they are asked for
	// again by sync, vitalsFresh before a person may.
	vitalsStale = 6 * time.Hour
	vitalsFresh = 10 * time.Minute
)

// Band is how good a web vital is, by the limits that Google publishes for the
// 75th percentile (web.dev/articles/vitals).
type Band string

// The bands; BandNone is that of no value.
const (
	BandNone Band = ""
	BandGood Band = "Good"
	BandMid  Band = "Needs improvement"
	BandPoor Band = "Poor"
)

// Vital is one web vital.
type Vital struct {
	// Short is its usual abbreviation, Name the words.
	Short, Name string
	// Good is up to where it is good, Poor from above which it is poor:
	// milliseconds, or without a unit for Score.
	Good, Poor float64
	Score      bool
	metric     raygun.Metric
}

// WebVitals are those that Raygun v3 measures, the three Core Web Vitals first.
// It does not give the time to first byte.
func WebVitals() []Vital {
	return []Vital{
		{Short: "LCP", Name: "Largest Contentful Paint", Good: 2500, Poor: 4000, metric: raygun.MetricLargestContentfulPaint},
		{Short: "INP", Name: "Interaction to Next Paint", Good: 200, Poor: 500, metric: raygun.MetricInteractionToNextPaint},
		{Short: "CLS", Name: "Cumulative Layout Shift", Good: 0.1, Poor: 0.25, Score: true, metric: raygun.MetricCumulativeLayoutShift},
		{Short: "FCP", Name: "First Contentful Paint", Good: 1800, Poor: 3000, metric: raygun.MetricFirstContentfulPaint},
		{Short: "FID", Name: "First Input Delay", Good: 100, Poor: 300, metric: raygun.MetricFirstInputDelay},
	}
}

// Band is how good a value is; nil has none.
func (v Vital) Band(value *float64) Band {
	switch {
	case value == nil:
		return BandNone
	case *value <= v.Good:
		return BandGood
	case *value <= v.Poor:
		return BandMid
	}
	return BandPoor
}

// VitalSeries is one web vital over the days of a range.
type VitalSeries struct {
	Vital
	// P75 is the 75th percentile over all days that are here, nil if nothing was
	// measured; Measured how many page views it is of.
	P75      *float64
	Measured int64
	// Points are those days that are here, oldest first; of more than 31 days
	// weeks, counted from the first.
	Points []VitalPoint
}

// VitalPoint is one day of a series, or a week.
type VitalPoint struct {
	Day      Day      // the first
	P75      *float64 // nil if nothing was measured
	Measured int64
}

// Vitals are a connection's web vitals of a range of days.
type Vitals struct {
	Connection Connection
	Budget     Budget
	Series     []VitalSeries
	// Step is how many days a point of the series is.
	Step Day
	// Here is how many days of the range are here, and AskedAt when the newest
	// of them was asked for.
	Here    int
	AskedAt time.Time
	// Missing is how many are not, or only in part: as many calls fetch them, but
	// at most 31 at once, Calls.
	Missing, Calls int
	// Ask is the last question about this range, nil if there was none.
	Ask *Ask
}

// Vitals returns the web vitals of each v3 connection in use that a checked
// query is about. They are Raygun's own figures, of all page views, and not
// computed from the mirror.
func (s *Insight) Vitals(ctx context.Context, org OrgID, q InsightQuery) ([]Vitals, error) {
	conns, err := s.connections.List(ctx, org)
	if err != nil {
		return nil, err
	}
	of, err := s.connections.application(ctx, org, q.Connection)
	if err != nil {
		return nil, err
	}
	var out []Vitals
	for _, c := range conns {
		if c.Vendor != RaygunV3 || !c.ready() || q.Connection != 0 && !slices.Contains(of, c.ID) {
			continue
		}
		v, err := s.vitals(ctx, c, q)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// VitalsStep is how many days of a query one point of its web vitals stands for.
func (q InsightQuery) VitalsStep() Day {
	if q.days() > vitalDays {
		return 7
	}
	return 1
}

func (s *Insight) vitals(ctx context.Context, c Connection, q InsightQuery) (Vitals, error) {
	v := Vitals{Connection: c, Step: q.VitalsStep()}
	now := s.connections.now()
	last := min(q.To, DayOf(now))
	rows, err := s.db.Org(c.Org).Vitals(ctx, c.ID, q.From, last)
	if err != nil {
		return v, err
	}
	if v.Budget, err = s.connections.Budget(ctx, c.Org, c.ID); err != nil {
		return v, err
	}
	days := map[Day]bool{}
	for _, r := range rows {
		days[r.Day] = true
		if r.AskedAt.After(v.AskedAt) {
			v.AskedAt = r.AskedAt
		}
	}
	v.Here = len(days)
	v.Missing = len(lacking(rows, q.From, last, now, vitalsFresh))
	v.Calls = min(v.Missing, vitalDays)
	for _, vital := range WebVitals() {
		v.Series = append(v.Series, seriesOf(vital, rows, q.From, v.Step))
	}
	ask, ok, err := s.connections.asks.Latest(ctx, c.Org, c.ID, askVitals, vitalsSubject(q.From, q.To))
	if ok {
		v.Ask = &ask
	}
	return v, err
}

func seriesOf(vital Vital, rows []db.VitalDay, first, step Day) VitalSeries {
	s := VitalSeries{Vital: vital}
	var all []db.VitalBucket
	var parts [][]db.VitalBucket
	for _, r := range rows { // oldest first
		if r.Metric != string(vital.metric) {
			continue
		}
		day := r.Day - (r.Day-first)%step
		if n := len(s.Points); n == 0 || s.Points[n-1].Day != day {
			s.Points, parts = append(s.Points, VitalPoint{Day: day}), append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], r.Buckets...)
		all = append(all, r.Buckets...)
	}
	for i := range s.Points {
		s.Points[i].P75, s.Points[i].Measured = quantile(parts[i], 0.75)
	}
	s.P75, s.Measured = quantile(all, 0.75)
	return s
}

// quantile finds the value below which a share of a histogram's values is, as
// if they were spread evenly within each bucket. Buckets of several days may
// stand side by side.
func quantile(buckets []db.VitalBucket, share float64) (*float64, int64) {
	buckets = slices.Clone(buckets)
	sortBy(buckets, func(a, b db.VitalBucket) int { return cmp.Compare(a.From, b.From) })
	merged := buckets[:0]
	var total int64
	for _, b := range buckets {
		if b.Count <= 0 {
			continue
		}
		total += b.Count
		if n := len(merged); n > 0 && merged[n-1].From == b.From {
			merged[n-1].Count += b.Count
			merged[n-1].To = math.Max(merged[n-1].To, b.To)
			continue
		}
		merged = append(merged, b)
	}
	if total <= 0 {
		return nil, 0
	}
	rank, before := share*float64(total), int64(0)
	for _, b := range merged {
		if float64(before+b.Count) >= rank {
			value := b.From + (math.Max(b.To, b.From)-b.From)*(rank-float64(before))/float64(b.Count)
			return &value, total
		}
		before += b.Count
	}
	value := merged[len(merged)-1].To
	return &value, total
}

// lacking are the days of a range that are not here whole, newest first. Today
// is lacking once it is older than that.
func lacking(rows []db.VitalDay, first, last Day, now time.Time, old time.Duration) []Day {
	whole := map[Day]bool{}
	for _, r := range rows {
		if r.Whole || r.Day == DayOf(now) && now.Sub(r.AskedAt) < old {
			whole[r.Day] = true
		}
	}
	var out []Day
	for day := last; day >= first; day-- {
		if !whole[day] {
			out = append(out, day)
		}
	}
	return out
}

func vitalsSubject(first, last Day) string { return fmt.Sprintf("%d-%d", first, last) }

// AskVitals asks, behind the request, for the days of a checked query that are
// not here: the newest 31 at most, one call each.
func (s *Insight) AskVitals(ctx context.Context, actor Actor, conn ConnectionID, q InsightQuery) (Ask, error) {
	if err := mayAsk(actor); err != nil {
		return Ask{}, err
	}
	c, err := s.connections.Get(ctx, actor.Org, conn)
	if err != nil {
		return Ask{}, err
	}
	if c.Vendor != RaygunV3 {
		return Ask{}, invalid("Core Web Vitals are not in v1: “%s” cannot be asked for them.", c.Name)
	}
	return s.connections.asks.Put(ctx, actor, AskSpec{Connection: conn, Kind: askVitals, Subject: vitalsSubject(q.From, q.To)})
}

// useAsks lets web vitals be asked for.
func (s *Insight) useAsks(a *Asks) {
	a.handle(askVitals, func(ctx context.Context, ask Ask) (any, string, error) {
		from, to, _ := strings.Cut(ask.Subject, "-")
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err := errors.Join(err1, err2); err != nil {
			return nil, "", fmt.Errorf("read the days of ask %d: %w", ask.ID, err)
		}
		n, err := s.connections.fetchVitals(ctx, ask.Org, ask.Connection, Day(first), Day(last), vitalsFresh)
		if err != nil {
			return nil, "", err
		}
		return nil, fmt.Sprintf("Raygun v3 sent the Core Web Vitals of %s.", plural(n, "day")), nil
	})
}

// fetchVitals asks for the days that are not here, the newest first, and stores
// each as it comes: what a crash cuts off goes on where it was. No whole day is
// asked for twice, also when a person asks while sync does: they take turns, and
// each looks again first. It returns how many days came.
func (c *Connections) fetchVitals(ctx context.Context, org OrgID, id ConnectionID, first, last Day, old time.Duration) (int, error) {
	v3, conn, err := c.raygunV3(ctx, org, id)
	if err != nil {
		return 0, err
	}
	o, now := c.db.Org(org), c.now()
	last = min(last, DayOf(now))
	rows, err := o.Vitals(ctx, id, first, last)
	if err != nil {
		return 0, err
	}
	days, n := lacking(rows, first, last, now, old), 0
	for i, day := range days[:min(len(days), vitalDays)] {
		came, err := c.fetchVitalDay(ctx, v3, conn, day, old)
		if upstream.KindOf(err) == upstream.Invalid && i > 0 {
			return n, nil // further back than Raygun keeps them
		}
		if err != nil {
			return n, vendorError(conn, err, c.now())
		}
		if came {
			n++
		}
	}
	return n, nil
}

// fetchVitalDay asks for a day, unless it has come meanwhile.
func (c *Connections) fetchVitalDay(ctx context.Context, v3 *raygun.V3, conn Connection, day Day, old time.Duration) (came bool, err error) {
	turn := c.vitalsTurn(conn.ID)
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return false, fmt.Errorf("wait to ask for web vitals of connection %d: %w", conn.ID, ctx.Err())
	}
	o := c.db.Org(conn.Org)
	rows, err := o.Vitals(ctx, conn.ID, day, day)
	if err != nil || len(lacking(rows, day, day, c.now(), old)) == 0 {
		return false, err
	}
	list, err := c.vitalsOf(ctx, v3, conn.ID, day)
	if err != nil {
		return false, err
	}
	return true, o.PutVitals(context.WithoutCancel(ctx), conn.ID, list)
}

// vitalsTurn is what whoever asks for a connection's web vitals holds.
func (c *Connections) vitalsTurn(id ConnectionID) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.vitalsTurns[id] == nil {
		c.vitalsTurns[id] = make(chan struct{}, 1)
	}
	return c.vitalsTurns[id]
}

// vitalsOf asks for one day.
func (c *Connections) vitalsOf(ctx context.Context, v3 *raygun.V3, id ConnectionID, day Day) ([]db.VitalDay, error) {
	now := c.now()
	from, to := day.Time(), (day + 1).Time()
	whole := !to.After(now)
	if !whole {
		if to = now.UTC().Truncate(time.Minute); !to.After(from) {
			to = from.Add(time.Minute)
		}
	}
	q := raygun.MetricsQuery{From: from, To: to}
	for _, v := range WebVitals() {
		q.Metrics = append(q.Metrics, v.metric)
	}
	answer, err := v3.PageHistogram(ctx, q)
	if err != nil {
		return nil, err
	}
	out := make([]db.VitalDay, 0, len(q.Metrics))
	for _, m := range q.Metrics {
		// A metric that the answer leaves out was measured nowhere that day.
		row := db.VitalDay{Connection: id, Day: day, Metric: string(m), Whole: whole, AskedAt: now}
		for _, h := range answer {
			if h.Metric == m {
				row.Buckets = vitalBuckets(h.Buckets)
			}
		}
		out = append(out, row)
	}
	return out, nil
}

// vitalBuckets puts buckets in order, and ends those that do not say where they
// end at the next one.
func vitalBuckets(in []raygun.Bucket) []db.VitalBucket {
	in = slices.Clone(in)
	sortBy(in, func(a, b raygun.Bucket) int { return cmp.Compare(a.From, b.From) })
	out := make([]db.VitalBucket, 0, len(in))
	for i, b := range in {
		if b.Count <= 0 || b.From < 0 || b.Count > 1<<50 {
			continue
		}
		one := db.VitalBucket{From: b.From, To: b.From, Count: b.Count}
		switch {
		case b.To != nil && *b.To > b.From:
			one.To = *b.To
		case i+1 < len(in):
			one.To = in[i+1].From
		}
		out = append(out, one)
	}
	return out
}

// vitals keeps the web vitals of a v3 connection in step, as background work:
// the last 30 days once, and then each day. A failure is no failure of the sync.
func (s *Syncs) vitals(ctx context.Context, v syncView) {
	if v.conn.Vendor != RaygunV3 || v.budget.Background() == 0 || s.paused(v, besideVitals) {
		return
	}
	today := DayOf(v.now)
	spending := withSpender(ctx, spender{Org: v.org, Connection: v.conn.ID, Background: true})
	_, err := s.connections.fetchVitals(spending, v.org, v.conn.ID, max(v.oldest, today-29), today, vitalsStale)
	if err != nil {
		s.pause(ctx, v, besideVitals, err)
	}
}
