package raygun

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sightline/internal/services/upstream"
)

// Check tries the token. Without an application it lists one of those there
// are: one call. With one it reads the application and then the least of
// everything Sightline asks for, so that it can say which permissions are
// missing: six calls of the 10,000 a day. It fails if sessions cannot be read;
// what else is missing is in the sentence and in Scopes.
func (v *V3) Check(ctx context.Context) (CheckResult, error) {
	started := v.now()
	if v.application == "" {
		list, err := v.applications(ctx, ListQuery{Limit: 1})
		if err != nil {
			return CheckResult{}, err
		}
		result := CheckResult{Sentence: applicationsSentence(list), Took: v.now().Sub(started)}
		result.Scopes = []ScopeCheck{{Scope: scopeApplications, For: "the list of applications", Tried: true, Works: true}}
		return result, nil
	}
	app, err := v.Application(ctx)
	appScope, failed := tried(scopeApplications, "the application's name", err)
	if failed && upstream.KindOf(err) != upstream.Forbidden {
		return CheckResult{}, err // a bad token, an unknown application, nobody there
	}
	now := v.now()
	_, err = v.Sessions(ctx, SessionQuery{From: now.Add(-time.Hour), To: now, Limit: 1})
	if err != nil {
		return CheckResult{}, err
	}
	scopes := append([]ScopeCheck{appScope, {Scope: scopeSessions, For: "sessions", Tried: true, Works: true}}, v.tryRest(ctx, now)...)
	if err := ctx.Err(); err != nil {
		return CheckResult{}, v.gaveUp(ctx, "list-sessions", err)
	}
	return CheckResult{Sentence: checkSentence(app, scopes), Took: v.now().Sub(started), Scopes: scopes}, nil
}

// tryRest tries what sessions can do without.
func (v *V3) tryRest(ctx context.Context, now time.Time) []ScopeCheck {
	one := ListQuery{Limit: 1}
	rest := []struct {
		scope, purpose string
		try            func() error
	}{
		{scopeCustomers, "who a session is of", func() error { _, err := v.Customers(ctx, one); return err }},
		{scopePages, "which pages were seen", func() error { _, err := v.Pages(ctx, one); return err }},
		{scopeErrors, "what an error says", func() error { _, err := v.ErrorGroups(ctx, one); return err }},
		{scopeMetrics, "page metrics", func() error {
			_, err := v.PageMetrics(ctx, MetricsQuery{
				From: now.Add(-time.Hour), To: now, Granularity: time.Hour, Aggregation: AggregateCount, Metrics: []Metric{MetricPageViews},
			})
			return err
		}},
	}
	var scopes []ScopeCheck
	stopped := false
	for _, one := range rest {
		if stopped {
			scopes = append(scopes, ScopeCheck{Scope: one.scope, For: one.purpose})
			continue
		}
		err := one.try()
		check, _ := tried(one.scope, one.purpose, err)
		scopes = append(scopes, check)
		stopped = upstream.KindOf(err).EndsAll()
	}
	return scopes
}

// tried says what an error tells about a permission: success and a refusal
// decide, and a fault of any other kind leaves it open.
func tried(scope, purpose string, err error) (check ScopeCheck, failed bool) {
	check = ScopeCheck{Scope: scope, For: purpose, Works: err == nil}
	var e *upstream.Error
	check.Tried = err == nil || errors.As(err, &e) && e.Kind == upstream.Forbidden
	return check, err != nil
}

func applicationsSentence(list List[Application]) string {
	const accepted = "Raygun accepted the token"
	switch {
	case list.Received == 0:
		return accepted + ", but shows it no applications: its owner may see none, or its plan is another one."
	case list.Listed > 1:
		return fmt.Sprintf("%s, which sees %d applications. One has to be chosen.", accepted, list.Listed)
	}
	return accepted + ". An application has to be chosen."
}

func checkSentence(app Application, scopes []ScopeCheck) string {
	var b strings.Builder
	b.WriteString("Raygun accepted the token")
	if app.Name != "" {
		fmt.Fprintf(&b, " for the application “%s”", app.Name)
	}
	b.WriteString(", and sessions can be read.")
	if app.ID != "" && !app.HasRUM {
		b.WriteString(" The application has not sent any Real User Monitoring data yet.")
	}
	var lacking, open []string
	for _, s := range scopes {
		text := fmt.Sprintf("%s (for %s)", s.Scope, s.For)
		switch {
		case !s.Tried:
			open = append(open, text)
		case !s.Works:
			lacking = append(lacking, text)
		}
	}
	if len(lacking) > 0 {
		fmt.Fprintf(&b, " The token lacks %s.", strings.Join(lacking, ", "))
	}
	if len(open) > 0 {
		fmt.Fprintf(&b, " Whether it has %s could not be found out this time.", strings.Join(open, ", "))
	}
	if len(lacking)+len(open) == 0 {
		b.WriteString(" It has every permission that Sightline can use.")
	}
	return b.String()
}
