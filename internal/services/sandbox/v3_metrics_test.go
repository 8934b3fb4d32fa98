package sandbox_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

type series []struct {
	Aggregation, Metric string
	Series              []struct {
		Time  time.Time
		Value *float64
	}
}

// metrics asks one of the metrics of v3; body is JSON with ' for ".
func (v *v3) metrics(what, body string, out any) answer {
	v.t.Helper()
	a := v.ask("POST", "/v3/metrics/"+v.s.Credentials().RaygunApplication+"/"+what, strings.ReplaceAll(body, "'", `"`))
	if out != nil {
		if a.code != 200 {
			v.t.Fatalf("%s %s answered %d %s", what, body, a.code, a.body)
		}
		a.json(v.t, out)
	}
	return a
}

// page is the identifier of a page.
func (v *v3) page(uri string) string {
	v.t.Helper()
	var pages []struct{ Identifier, URI string }
	v.get(v.app+"/pages?count=500", &pages)
	for _, p := range pages {
		if p.URI == uri {
			return p.Identifier
		}
	}
	v.t.Fatalf("no page %s", uri)
	return ""
}

const payment = "https://shop.example.com/checkout/payment"

// What the metrics say is what the sessions say.
func TestV3MetricsCountTheSessionsPageViews(t *testing.T) {
	s, _ := start(t, sandbox.Options{RaygunDailyLimit: -1})
	v := newV3(t, s)
	from, to := noon().Add(-36*time.Hour), noon().Add(-12*time.Hour)
	var loads, paid []float64
	hours, failed := map[time.Time]int{}, map[string]int{}
	for _, x := range v.sessions("count=500") {
		one := v.company(x.Identifier)
		for _, p := range one.PageViews {
			if p.At.Before(from) || !p.At.Before(to) {
				continue
			}
			loads = append(loads, float64(p.Loading.Milliseconds()))
			hours[p.At.Truncate(time.Hour)]++
			if p.URL == payment {
				paid = append(paid, float64(p.Loading.Milliseconds()))
			}
		}
		for _, e := range one.Errors {
			if !e.At.Before(from) && e.At.Before(to) {
				failed[fmt.Sprint(e.GroupID)]++
			}
		}
	}
	slices.Sort(loads)
	slices.Sort(paid)
	if len(paid) < 2 || len(failed) == 0 {
		t.Fatalf("%d payments and %d failures in a day", len(paid), len(failed))
	}
	ask := func(granularity, aggregation, metric, filter string) series {
		t.Helper()
		var got series
		v.metrics("pages/time-series", fmt.Sprintf(`{'start':'%s','end':'%s','granularity':'%s','aggregation':'%s','metrics':['%s']%s}`, from.Format(time.RFC3339), to.Format(time.RFC3339), granularity, aggregation, metric, filter), &got)
		return got
	}
	for _, c := range []struct {
		aggregation, metric, filter string
		want                        float64
	}{
		{"count", "pageViews", "", float64(len(loads))},
		{"count", "loadTime", "", float64(len(loads))},
		{"min", "loadTime", "", loads[0]},
		{"max", "loadTime", "", loads[len(loads)-1]},
		{"median", "loadTime", "", loads[(len(loads)+1)/2-1]},
		{"p95", "loadTime", "", loads[(len(loads)*95+99)/100-1]},
		{"p99", "loadTime", "", loads[(len(loads)*99+99)/100-1]},
		{"max", "loadTime", ",'filter':'pageIdentifier = " + v.page(payment) + "'", paid[len(paid)-1]},
		{"count", "pageViews", ",'filter':'pageIdentifier IN (" + v.page(payment) + ", nothing)'", float64(len(paid))},
	} {
		got := ask("1d", c.aggregation, c.metric, c.filter)
		if len(got) != 1 || len(got[0].Series) != 1 || *got[0].Series[0].Value != c.want || got[0].Metric != c.metric || got[0].Aggregation != c.aggregation {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	points := ask("1h", "count", "pageViews", "")[0].Series
	for _, p := range points {
		if int(*p.Value) != hours[p.Time] {
			t.Errorf("%v page views at %v, want %d", *p.Value, p.Time, hours[p.Time])
		}
	}
	if len(points) != 24 {
		t.Errorf("%d hours in a day", len(points))
	}
	var got series
	v.metrics("errors/time-series", fmt.Sprintf(`{'start':'%s','end':'%s','granularity':'1d','aggregation':'count','metrics':['errorInstances']}`, from.Format(time.RFC3339), to.Format(time.RFC3339)), &got)
	want := 0
	for _, n := range failed {
		want += n
	}
	if int(*got[0].Series[0].Value) != want {
		t.Errorf("%v errors, want %d", *got[0].Series[0].Value, want)
	}
	var h []struct {
		Buckets []struct {
			Key   float64
			Range string
			Count int
		}
	}
	v.metrics("pages/histogram", fmt.Sprintf(`{'start':'%s','end':'%s','metrics':['loadTime','cumulativeLayoutShift']}`, from.Format(time.RFC3339), to.Format(time.RFC3339)), &h)
	counted := 0
	for i, b := range h[0].Buckets {
		counted += b.Count
		if b.Range != fmt.Sprintf("%v - %v", b.Key, b.Key+100) || i > 0 && b.Key <= h[0].Buckets[i-1].Key {
			t.Errorf("bucket %+v", b)
		}
	}
	if counted != len(loads) || len(h[1].Buckets) == 0 || h[1].Buckets[0].Range != "0 - 0.05" {
		t.Errorf("%d counted of %d; layout shift %+v", counted, len(loads), h[1].Buckets)
	}
}

// company finds what the company knows of a session of v3.
func (v *v3) company(identifier string) sandbox.Session {
	v.t.Helper()
	n, _ := strconv.ParseInt(identifier, 36, 64)
	if one, ok := v.s.Company().Session(n); ok {
		return one
	}
	v.t.Fatalf("the company has no session %s", identifier)
	return sandbox.Session{}
}

// The release of 12 November made paying slow, and that of the 15th mended it;
// reports get slower all the time.
func TestV3MetricsShowTheBadRelease(t *testing.T) {
	s, _ := start(t, sandbox.Options{Customers: 1000, Sessions: 40_000})
	v := newV3(t, s)
	daily := func(metric, uri string) map[string]float64 {
		var got series
		v.metrics("pages/time-series", `{'start':'2026-10-20T00:00:00Z','end':'2026-11-18T00:00:00Z','granularity':'1d','aggregation':'median','metrics':['`+metric+`'],'filter':'pageIdentifier = `+v.page(uri)+`'}`, &got)
		out := map[string]float64{}
		for _, p := range got[0].Series {
			out[p.Time.Format("01-02")] = *p.Value
		}
		return out
	}
	pay, lcp := daily("loadTime", payment), daily("largestContentfulPaint", payment)
	for _, m := range []map[string]float64{pay, lcp} {
		before, during, after := m["11-10"], m["11-13"], m["11-16"]
		if during < 1.5*before || during < 1.5*after || before == 0 || after == 0 {
			t.Errorf("before %v, during %v, after %v", before, during, after)
		}
	}
	if shift := daily("cumulativeLayoutShift", "https://app.example.com/dashboard"); shift["11-07"] < shift["11-02"]+0.15 || shift["11-07"] < shift["11-15"]+0.15 {
		t.Errorf("layout shift %v", shift)
	}
	began := time.Now()
	var got series
	v.metrics("pages/time-series", `{'start':'2026-10-20T00:00:00Z','end':'2026-11-18T00:00:00Z','granularity':'1d','aggregation':'average','metrics':['loadTime','firstPaint','firstContentfulPaint','firstInputDelay','largestContentfulPaint','cumulativeLayoutShift','interactionToNextPaint']}`, &got)
	t.Logf("seven metrics over 29 days took %v", time.Since(began))
	mean := map[string]float64{}
	for _, m := range got {
		for _, p := range m.Series {
			mean[m.Metric] += *p.Value / float64(len(m.Series))
		}
	}
	if len(got) != 7 || mean["firstPaint"] >= mean["firstContentfulPaint"] || mean["firstContentfulPaint"] >= mean["largestContentfulPaint"] || mean["firstInputDelay"] > 100 || mean["cumulativeLayoutShift"] > 0.3 || mean["interactionToNextPaint"] > 500 {
		t.Errorf("means %v", mean)
	}
}

func TestV3MetricsRefuse(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	v := newV3(t, s)
	good := `{'start':'2026-11-01T00:00:00Z','end':'2026-11-18T00:00:00Z','granularity':'1d','aggregation':'average','metrics':['loadTime']}`
	for _, c := range []struct {
		old, new, field string
		code            int
	}{
		{"", "", "", 200},
		{"2026-11-01T", "2026-10-19T", "", 200},
		{"2026-11-01T", "2026-10-18T", "end", 422},
		{"2026-11-01T", "2026-11-18T", "end", 422},
		{"'start':'2026-11-01T00:00:00Z',", "", "start", 422},
		{"'1d'", "'1w'", "granularity", 422},
		{"'1d'", "'0h'", "granularity", 422},
		{"average", "mode", "aggregation", 422},
		{"loadTime", "timeToFirstByte", "metrics", 422},
		{"['loadTime']", "[]", "metrics", 422},
		{"loadTime", "pageViews", "aggregation", 422},
		{"'granularity'", "'filter':'page = x','granularity'", "filter", 422},
		{"'granularity'", "'filter':'pageIdentifier IN ()','granularity'", "filter", 422},
		{"'granularity'", "'filter':'pageIdentifier = none','granularity'", "", 200},
		{"2026-11-01T", "yesterday", "", 400},
		{"{", "", "", 400},
	} {
		a := v.metrics("pages/time-series", strings.Replace(good, c.old, c.new, 1), nil)
		var p struct{ Errors map[string][]string }
		_ = json.Unmarshal(a.body, &p)
		if a.code != c.code || c.field != "" && len(p.Errors[c.field]) == 0 {
			t.Errorf("%s for %s: %d %s", c.new, c.old, a.code, a.body)
		}
	}
	if a := v.metrics("pages/histogram", strings.Replace(good, "loadTime", "pageViews", 1), nil); a.code != 422 {
		t.Errorf("a histogram of page views: %d", a.code)
	}
	if a := v.metrics("errors/time-series", good, nil); a.code != 422 {
		t.Errorf("load times of errors: %d", a.code)
	}
}

// Hours in which nothing was measured have no value, and never 0.
func TestV3MetricsWithoutValues(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	v := newV3(t, s)
	ahead := `{'start':'2026-11-20T00:00:00Z','end':'2026-11-20T05:00:00Z','granularity':'1h','aggregation':'%s','metrics':['loadTime']}`
	var got series
	if v.metrics("pages/time-series", fmt.Sprintf(ahead, "median"), &got); len(got[0].Series) != 0 {
		t.Errorf("medians of tomorrow: %+v", got)
	}
	if v.metrics("pages/time-series", fmt.Sprintf(ahead, "count"), &got); len(got[0].Series) != 5 || *got[0].Series[0].Value != 0 {
		t.Errorf("counts of tomorrow: %+v", got)
	}
	s.SetDialect(sandbox.DialectLive)
	if v.metrics("pages/time-series", fmt.Sprintf(ahead, "median"), &got); len(got[0].Series) != 5 || got[0].Series[0].Value != nil {
		t.Errorf("live: %+v", got)
	}
}
