package raygun_test

import (
	"context"
	"net/http"
	"strings"
	"time"

	"sightline/internal/services/raygun"
)

// useV3 asks everything that the client can and returns the errors by operation.
func useV3(ctx context.Context, v *raygun.V3, q raygun.SessionQuery) map[string]error {
	errs := map[string]error{}
	_, errs["list-applications"] = v.Applications(ctx)
	_, errs["get-application-by-identifier"] = v.Application(ctx)
	_, errs["list-sessions"] = v.Sessions(ctx, q)
	_, errs["get-session-by-identifier"] = v.Session(ctx, " s1 ")
	_, errs["list-customers"] = v.Customers(ctx, raygun.ListQuery{Limit: 3, Skip: 4})
	_, errs["get-customer-by-identifier"] = v.Customer(ctx, "c1")
	_, errs["list-pages"] = v.Pages(ctx, raygun.ListQuery{Recent: true})
	_, errs["get-page"] = v.Page(ctx, "p1")
	_, errs["list-error-groups"] = v.ErrorGroups(ctx, raygun.ListQuery{})
	_, errs["get-error-group"] = v.ErrorGroup(ctx, "e1")
	m := raygun.MetricsQuery{
		From: q.From, To: q.To, Granularity: 90 * time.Minute, Aggregation: raygun.AggregateP95,
		Metrics: []raygun.Metric{raygun.MetricLoadTime, raygun.MetricCumulativeLayoutShift}, Pages: []string{"p1", "p2"},
	}
	_, errs["metrics-pages-time-series"] = v.PageMetrics(ctx, m)
	m.Pages = m.Pages[:1]
	_, errs["metrics-pages-histogram"] = v.PageHistogram(ctx, m)
	return errs
}

// operationOf tells the operation of a request apart by its path.
func operationOf(r *http.Request) string {
	switch path := strings.TrimPrefix(r.URL.Path, "/v3"); {
	case path == "/applications":
		return "list-applications"
	case strings.HasSuffix(path, "/time-series"):
		return "metrics-pages-time-series"
	case strings.HasSuffix(path, "/histogram"):
		return "metrics-pages-histogram"
	default:
		parts := strings.Split(path, "/")
		if len(parts) == 3 {
			return "get-application-by-identifier"
		}
		single := map[string]string{"sessions": "get-session-by-identifier", "customers": "get-customer-by-identifier", "pages": "get-page", "error-groups": "get-error-group"}
		if len(parts) == 5 {
			return single[parts[3]]
		}
		return "list-" + parts[3]
	}
}

// v3Answers are answers in the form of the document.
var v3Answers = map[string]string{
	"list-applications":             `[{"identifier":"abc1","planIdentifier":"pl","name":"Shop","apiKey":"planted-app-key","hasSentCrashData":true,"hasSentApmData":false,"hasSentRumData":true,"rumDataType":"web"}]`,
	"get-application-by-identifier": `{"identifier":"abc1","planIdentifier":"pl","name":"Shop","apiKey":"planted-app-key","hasSentCrashData":true,"hasSentApmData":false,"hasSentRumData":true,"rumDataType":"web"}`,
	"list-sessions":                 `[` + v3Session + `}]`,
	"get-session-by-identifier": v3Session + `,"pageViews":[{"pageIdentifier":"p1","viewedAt":"2026-03-01T10:00:01Z","applicationUrl":"https://app.raygun.com/p"}],
		"errors":[{"errorGroupIdentifier":"e1","occurredAt":"2026-03-01T10:00:02.5Z","applicationUrl":"https://app.raygun.com/e"}]}`,
	"list-customers":             `[` + v3Customer + `]`,
	"get-customer-by-identifier": v3Customer,
	"list-pages":                 `[{"identifier":"p1","applicationIdentifier":"abc1","uri":"https://shop.example/a","type":"web","lastSeenAt":"2026-03-01T10:00:00Z"},{"identifier":"p2","applicationIdentifier":"abc1","name":"MainActivity","type":"mobile","lastSeenAt":"2026-03-01T10:00:00Z"}]`,
	"get-page":                   `{"identifier":"p1","applicationIdentifier":"abc1","uri":"https://shop.example/a","type":"web","lastSeenAt":"2026-03-01T10:00:00Z"}`,
	"list-error-groups":          `[` + v3Group + `]`,
	"get-error-group":            v3Group,
	"metrics-pages-time-series":  `[{"aggregation":"p95","metric":"loadTime","series":[{"time":"2026-03-01T00:00:00Z","value":1234.5},{"time":"2026-03-01T01:30:00Z","value":0}]}]`,
	"metrics-pages-histogram":    `[{"metric":"loadTime","buckets":[{"key":80.5,"range":"80.5 - 120.5","count":300}]}]`,
}

const (
	v3Session = `{"identifier":"s1","applicationIdentifier":"abc1","customerIdentifier":"c1","isActive":false,
		"startedAt":"2026-03-01T10:00:00Z","updatedAt":"2026-03-01T10:05:00Z","endedAt":"2026-03-01T10:06:00.5Z","ipAddress":"192.0.2.1","countryCode":"NZ",
		"platformName":"Desktop","operatingSystemName":"Windows","operatingSystemVersion":"11","browserName":"Firefox","browserVersion":"140.0",
		"viewportWidth":1280,"viewportHeight":720,"deploymentVersion":"1.2.3","applicationUrl":"https://app.raygun.com/s"`
	v3Customer = `{"identifier":"c1","applicationIdentifier":"abc1","externalIdentifier":"u-1","emailAddress":"ann@example.com","firstName":"Ann","fullName":"Ann Example",
		"isAnonymous":false,"firstSeenAt":"2026-01-01T00:00:00Z","lastSeenAt":"2026-03-01T10:06:00Z"}`
	v3Group = `{"identifier":"e1","applicationIdentifier":"abc1","message":"<b>boom</b>","status":"active","lastOccurredAt":"2026-03-01T10:00:02Z","createdAt":"2026-02-01T00:00:00Z",
		"resolvedIn":{"version":"1.2","discardFromPreviousVersions":true},"discardNewOccurrences":false,"applicationUrl":"https://app.raygun.com/e"}`
)
