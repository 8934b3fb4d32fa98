package raygun

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services/upstream"
)

// Metric is something Raygun measures of pages.
type Metric string

// The metrics of v3. All but the first and the last are times. Their units are
// not in the document; elsewhere Raygun shows times in milliseconds, and layout
// shift is a score without one.
const (
	MetricPageViews              Metric = "pageViews"
	MetricLoadTime               Metric = "loadTime"
	MetricFirstPaint             Metric = "firstPaint"
	MetricFirstContentfulPaint   Metric = "firstContentfulPaint"
	MetricFirstInputDelay        Metric = "firstInputDelay"
	MetricLargestContentfulPaint Metric = "largestContentfulPaint"
	MetricInteractionToNextPaint Metric = "interactionToNextPaint"
	MetricCumulativeLayoutShift  Metric = "cumulativeLayoutShift"
)

// Aggregation makes one value of many.
type Aggregation string

// The aggregations of v3.
const (
	AggregateCount   Aggregation = "count"
	AggregateAverage Aggregation = "average"
	AggregateMedian  Aggregation = "median"
	AggregateSum     Aggregation = "sum"
	AggregateMin     Aggregation = "min"
	AggregateMax     Aggregation = "max"
	AggregateP95     Aggregation = "p95"
	AggregateP99     Aggregation = "p99"
)

// MetricsQuery selects metrics of pages.
type MetricsQuery struct {
	// From and To bound the time. Raygun gives 30 days at most and says so itself
	// if it is more.
	From, To time.Time
	Metrics  []Metric
	// Pages are the identifiers of pages; empty means all pages together.
	Pages []string
	// Granularity is the length of one step, in whole minutes. For PageMetrics only.
	Granularity time.Duration
	// Aggregation is for PageMetrics only.
	Aggregation Aggregation
}

// Series is one metric over time.
type Series struct {
	Metric      Metric
	Aggregation Aggregation
	// Points are in the vendor's order.
	Points []Point
	// Unreadable counts the points without a time.
	Unreadable int
}

// Point is one step of a Series.
type Point struct {
	At time.Time
	// Value is nil if there is none, which is not zero.
	Value *float64
}

// Histogram is how often each range of values of one metric occurred.
type Histogram struct {
	Metric  Metric
	Buckets []Bucket
	// Unreadable counts the buckets without a lower bound.
	Unreadable int
}

// Bucket is one range of values.
type Bucket struct {
	// From is included, To is not; To is nil if the answer did not say.
	From  float64
	To    *float64
	Count int64
}

// PageMetrics returns metrics over time, one Series for each.
func (v *V3) PageMetrics(ctx context.Context, q MetricsQuery) ([]Series, error) {
	const operation = "metrics-pages-time-series"
	step, ok := granularity(q.Granularity)
	switch {
	case !ok:
		return nil, v.up.Refuse(operation, "a step is one or more whole minutes")
	case !slices.Contains([]Aggregation{
		AggregateCount, AggregateAverage, AggregateMedian, AggregateSum, AggregateMin, AggregateMax, AggregateP95, AggregateP99,
	}, q.Aggregation):
		return nil, v.up.Refuse(operation, "Raygun does not know this way to aggregate")
	}
	body, err := v.metricsBody(operation, q, map[string]any{"granularity": step, "aggregation": q.Aggregation})
	if err != nil {
		return nil, err
	}
	var all []Series
	err = v.metrics(ctx, operation, "time-series", body, func(o upstream.Object) bool {
		s := Series{Metric: Metric(o.Text("metric")), Aggregation: Aggregation(o.Text("aggregation"))}
		for _, raw := range o.List("series") {
			one, _ := upstream.ParseObject(raw)
			if at := one.Time("time"); !at.IsZero() {
				s.Points = append(s.Points, Point{At: at, Value: decimal(one["value"])})
			} else {
				s.Unreadable++
			}
		}
		all = append(all, s)
		return s.Metric != ""
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// PageHistogram returns the distribution of metrics, one Histogram for each.
// MetricPageViews has none.
func (v *V3) PageHistogram(ctx context.Context, q MetricsQuery) ([]Histogram, error) {
	const operation = "metrics-pages-histogram"
	if slices.Contains(q.Metrics, MetricPageViews) {
		return nil, v.up.Refuse(operation, "the number of page views has no distribution")
	}
	body, err := v.metricsBody(operation, q, map[string]any{})
	if err != nil {
		return nil, err
	}
	var all []Histogram
	err = v.metrics(ctx, operation, "histogram", body, func(o upstream.Object) bool {
		h := Histogram{Metric: Metric(o.Text("metric"))}
		for _, raw := range o.List("buckets") {
			one, _ := upstream.ParseObject(raw)
			from := decimal(one["key"])
			if from == nil {
				h.Unreadable++
				continue
			}
			count, _ := one.Int("count")
			h.Buckets = append(h.Buckets, Bucket{From: *from, To: upperBound(one.Text("range")), Count: count})
		}
		all = append(all, h)
		return h.Metric != ""
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// metricsBody checks what both questions share and writes it into more.
func (v *V3) metricsBody(operation string, q MetricsQuery, more map[string]any) ([]byte, error) {
	known := []Metric{
		MetricPageViews, MetricLoadTime, MetricFirstPaint, MetricFirstContentfulPaint, MetricFirstInputDelay,
		MetricLargestContentfulPaint, MetricInteractionToNextPaint, MetricCumulativeLayoutShift,
	}
	switch {
	case q.From.IsZero() || !q.From.Before(q.To):
		return nil, v.up.Refuse(operation, "the range has no length")
	case len(q.Metrics) == 0:
		return nil, v.up.Refuse(operation, "no metric is asked for")
	}
	for _, m := range q.Metrics {
		if !slices.Contains(known, m) {
			return nil, v.up.Refuse(operation, "Raygun does not know this metric")
		}
	}
	for _, id := range q.Pages {
		if !IsID(id) {
			return nil, v.up.Refuse(operation, "a Raygun identifier holds letters and digits only")
		}
	}
	more["start"], more["end"], more["metrics"] = q.From.UTC().Format(time.RFC3339), q.To.UTC().Format(time.RFC3339), q.Metrics
	switch len(q.Pages) {
	case 0:
	case 1:
		more["filter"] = "pageIdentifier = " + q.Pages[0]
	default:
		more["filter"] = "pageIdentifier IN (" + strings.Join(q.Pages, ", ") + ")"
	}
	return json.Marshal(more)
}

// metrics posts a question and hands each part of the answer to read, which
// says whether it is one.
func (v *V3) metrics(ctx context.Context, operation, kind string, body []byte, read func(upstream.Object) bool) error {
	if _, err := v.under(operation); err != nil {
		return err
	}
	_, err := v.ask(ctx, question{
		operation: operation, scope: scopeMetrics, method: http.MethodPost,
		path: "/metrics/" + v.application + "/pages/" + kind, body: body,
	}, func(answer []byte) error {
		rows, err := rowsOf(answer, "metrics")
		if err != nil {
			return err
		}
		for _, row := range rows {
			object, _ := upstream.ParseObject(row)
			if !read(object) {
				return errors.New("a part of the answer names no metric")
			}
		}
		return nil
	})
	return err
}

// granularity writes a step as the document has it, in its greatest unit.
func granularity(step time.Duration) (text string, ok bool) {
	const day = 24 * time.Hour
	switch {
	case step < time.Minute || step%time.Minute != 0:
		return "", false
	case step%day == 0:
		return strconv.Itoa(int(step/day)) + "d", true
	case step%time.Hour == 0:
		return strconv.Itoa(int(step/time.Hour)) + "h", true
	}
	return strconv.Itoa(int(step/time.Minute)) + "m", true
}

// decimal reads a number, also from a string; nil if there is none.
func decimal(raw json.RawMessage) *float64 {
	value, err := strconv.ParseFloat(strings.TrimSpace(upstream.Text(raw)), 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return nil
	}
	return &value
}

// upperBound reads the end of "100 - 200"; nil if there is none.
func upperBound(text string) *float64 {
	_, end, found := strings.Cut(text, " - ")
	if !found {
		return nil
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(end), 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return nil
	}
	return &value
}
