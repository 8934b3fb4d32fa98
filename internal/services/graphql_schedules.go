package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sightline/internal/db"
	"sightline/internal/services/graphql"
)

// Limits of schedules.
const (
	// MaxSchedules is how many an organization has.
	MaxSchedules = 50
	// MaxScheduledAnswer is how much of a scheduled run's answer is kept, in bytes.
	MaxScheduledAnswer = 1 << 20
	// badRunsPause is how many bad runs in a row pause a schedule.
	badRunsPause = 3
)

// Every is how often a schedule asks.
type Every string

// How often a schedule asks.
const (
	EveryHour Every = "hour"
	EveryDay  Every = "day"
	EveryWeek Every = "week"
)

// KeptResults are the numbers of results that a schedule may keep with their
// answers; of 1000 the numbers are kept.
func KeptResults() []int { return []int{30, 100, 400} }

// length is how long it is from one time to the next.
func (e Every) length() time.Duration {
	switch e {
	case EveryHour:
		return time.Hour
	case EveryDay:
		return 24 * time.Hour
	case EveryWeek:
		return 7 * 24 * time.Hour
	}
	return 0
}

// PerMonth is how many calls it makes in 30 days.
func (e Every) PerMonth() int { return int(30 * 24 * time.Hour / e.length()) }

// slot is the last time of a schedule that is not after t: minute minutes after
// the hour, the day or the week began in UTC. A week begins on Monday.
func (e Every) slot(minute int, t time.Time) time.Time {
	// Go counts from the Monday that the year 1 began with.
	at := t.UTC().Truncate(e.length()).Add(time.Duration(minute) * time.Minute)
	if at.After(t) {
		at = at.Add(-e.length())
	}
	return at
}

// QuerySchedule is a saved query that is asked again and again.
type QuerySchedule struct {
	ID         ScheduleID
	Saved      SavedQueryID
	Name       string // of the saved query
	Member     UserID
	MemberName string // for whom it is asked
	Every      Every
	// Minute is how many minutes after the hour, day or week begins in UTC.
	Minute int
	// Variables is a JSON object; texts in it may be times: see fillTimes.
	Variables string
	Keep      int
	// Trend names the number that is watched; empty is the first.
	Trend  string
	Paused bool
	// Message says why it is paused; empty if somebody did that.
	Message   string
	NextAt    time.Time
	CreatedAt time.Time

	row db.QuerySchedule
}

func scheduleOf(r db.QuerySchedule) QuerySchedule {
	return QuerySchedule{
		ID: r.ID, Saved: r.Saved, Name: r.SavedName, Member: r.Member, MemberName: r.MemberName, Every: Every(r.Every), Minute: r.Minute, Variables: r.Variables,
		Keep: r.Keep, Trend: r.Trend, Paused: r.State == "paused", Message: r.Message, NextAt: r.NextAt, CreatedAt: r.CreatedAt, row: r,
	}
}

const noSchedule = "There is no such schedule any more. Somebody deleted it, or its query."

// Schedules lists the organization's schedules, newest first.
func (g *GraphQL) Schedules(ctx context.Context, org OrgID) ([]QuerySchedule, error) {
	rows, err := g.db.Org(org).QuerySchedules(ctx)
	out := make([]QuerySchedule, len(rows))
	for i, r := range rows {
		out[i] = scheduleOf(r)
	}
	return out, err
}

// Schedule finds a schedule.
func (g *GraphQL) Schedule(ctx context.Context, org OrgID, id ScheduleID) (QuerySchedule, error) {
	row, err := g.db.Org(org).QuerySchedule(ctx, id)
	return scheduleOf(row), notFound(err, noSchedule)
}

// PutSchedule makes a schedule of a saved query, which asks for the actor, or
// changes one: when it asks, with what, and how much it keeps. It takes the role
// support. Problems are by field: query, every, variables, keep.
func (g *GraphQL) PutSchedule(ctx context.Context, actor Actor, s QuerySchedule) (QuerySchedule, Problems, error) {
	if err := mayGraphQL(actor); err != nil {
		return s, nil, err
	}
	now := g.now()
	action, verb := "graphql.schedule", "Scheduled"
	if s.ID != 0 {
		old, err := g.Schedule(ctx, actor.Org, s.ID)
		if err != nil {
			return s, nil, err
		}
		s.Saved, s.Member, action, verb = old.Saved, old.Member, "graphql.reschedule", "Changed the schedule of"
	} else {
		s.Member = actor.User
	}
	saved, err := g.SavedQuery(ctx, actor.Org, s.Saved)
	if err != nil {
		return s, nil, err
	}
	p := Problems{}
	if s.Every.length() == 0 || s.Minute < 0 || s.Minute >= int(s.Every.length()/time.Minute) {
		p["every"] = "Choose how often, and when."
	}
	if !slices.Contains(KeptResults(), s.Keep) {
		p["keep"] = "Choose how many results are kept."
	}
	field, problem, err := g.unfit(ctx, actor.Org, saved, s.Variables, now)
	if err != nil {
		return s, nil, err
	}
	if problem != "" {
		p[field] = problem
	}
	if len(p) > 0 {
		return s, p, nil
	}
	e := g.conns.entry(actor, action, saved.Name, fmt.Sprintf("%s the GraphQL query “%s”: %s", verb, saved.Name, s.When()))
	e.Connection = saved.Connection
	id, err := g.db.Org(actor.Org).PutQuerySchedule(ctx, db.QuerySchedule{
		ID: s.ID, Saved: s.Saved, Member: s.Member, Every: string(s.Every), Minute: s.Minute, Variables: s.Variables, Keep: s.Keep, Trend: s.Trend,
		NextAt: s.Every.slot(s.Minute, now).Add(s.Every.length()), CreatedAt: now,
	}, MaxSchedules, e)
	if errors.Is(err, db.ErrFull) {
		p["query"] = fmt.Sprintf("There are %d schedules already. Delete one that nobody needs.", MaxSchedules)
		return s, p, nil
	}
	if err != nil {
		return s, nil, notFound(err, noSchedule)
	}
	s, err = g.Schedule(ctx, actor.Org, id)
	return s, nil, err
}

// When says when a schedule asks.
func (s QuerySchedule) When() string {
	clock := fmt.Sprintf("%02d:%02d UTC", s.Minute/60%24, s.Minute%60)
	switch s.Every {
	case EveryHour:
		return fmt.Sprintf("every hour, %s past", plural(s.Minute, "minute"))
	case EveryDay:
		return "every day at " + clock
	}
	return fmt.Sprintf("every %s at %s", time.Weekday((s.Minute/(24*60)+1)%7), clock)
}

// unfit says why a saved query cannot be scheduled with variables, "" if it can,
// and which field of the form that is about.
func (g *GraphQL) unfit(ctx context.Context, org OrgID, q SavedQuery, variables string, at time.Time) (field, problem string, err error) {
	op, problem := scheduledOperation(q)
	if problem != "" {
		return "query", problem, nil
	}
	var gone *Error
	if _, err := g.rocket(ctx, org, q.Connection); errors.As(err, &gone) {
		return "query", gone.Msg, nil
	} else if err != nil {
		return "", "", err
	}
	values, wrong := filledVariables(variables, at)
	if wrong != nil {
		return "variables", wrong.Text, nil
	}
	schema, err := g.Docs(ctx, org, q.Connection)
	if err != nil {
		return "", "", err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.ContainsFunc(op.Variables, func(v graphql.Variable) bool { return v.Name == name }) {
			return "variables", fmt.Sprintf("The operation has no variable $%s. Take it out.", name), nil
		}
	}
	list := op.CheckVariables(schema, values)
	for _, name := range slices.Sorted(maps.Keys(list)) {
		return "variables", list[name], nil
	}
	return "", "", nil
}

// scheduledOperation reads the operation that is asked; only queries are.
func scheduledOperation(q SavedQuery) (graphql.Operation, string) {
	doc, problems := graphql.Parse(q.Query)
	var op graphql.Operation
	if doc != nil {
		op, problems = doc.Choose(q.Operation)
	}
	switch {
	case len(problems) > 0:
		return op, "The query cannot be run: " + problems[0].Text
	case op.Kind != graphql.Query:
		return op, fmt.Sprintf("This is a %s. Only queries are asked on a schedule.", op.Kind)
	}
	return op, ""
}

// WatchNumber has a number of a schedule's results shown before the others, by
// everybody. It takes the role support.
func (g *GraphQL) WatchNumber(ctx context.Context, actor Actor, id ScheduleID, name string) error {
	return g.turnSchedule(ctx, actor, id, func(QuerySchedule) error {
		if len(name) > 1000 || !utf8.ValidString(name) {
			return invalid("Choose one of the numbers.")
		}
		return g.db.Org(actor.Org).WatchNumber(ctx, id, name)
	})
}

// PauseSchedule pauses a schedule. It takes the role support.
func (g *GraphQL) PauseSchedule(ctx context.Context, actor Actor, id ScheduleID) error {
	return g.turnSchedule(ctx, actor, id, func(s QuerySchedule) error {
		if s.Paused {
			return nil
		}
		e := g.conns.entry(actor, "graphql.pause", s.Name, fmt.Sprintf("Paused the schedule of “%s”", s.Name))
		return g.db.Org(actor.Org).PauseQuerySchedule(ctx, id, "", e)
	})
}

// ResumeSchedule lets a schedule go on with its next time, for the actor from
// now on. It takes the role support.
func (g *GraphQL) ResumeSchedule(ctx context.Context, actor Actor, id ScheduleID) error {
	return g.turnSchedule(ctx, actor, id, func(s QuerySchedule) error {
		if !s.Paused {
			return nil
		}
		saved, err := g.SavedQuery(ctx, actor.Org, s.Saved)
		if err != nil {
			return err
		}
		now := g.now()
		if _, problem, err := g.unfit(ctx, actor.Org, saved, s.Variables, now); err != nil || problem != "" {
			return orError(err, &Error{Kind: Conflict, Msg: problem})
		}
		e := g.conns.entry(actor, "graphql.resume", s.Name, fmt.Sprintf("Resumed the schedule of “%s”", s.Name))
		return g.db.Org(actor.Org).ResumeQuerySchedule(ctx, id, actor.User, s.Every.slot(s.Minute, now).Add(s.Every.length()), e)
	})
}

func orError(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// DeleteSchedule deletes a schedule with its results: whoever it asks for may,
// and who has the role admin.
func (g *GraphQL) DeleteSchedule(ctx context.Context, actor Actor, id ScheduleID) error {
	return g.turnSchedule(ctx, actor, id, func(s QuerySchedule) error {
		if s.Member != actor.User && actor.Role < Admin {
			return &Error{Kind: Denied, Msg: fmt.Sprintf("This is asked for %s. They can delete it, and so can an admin.", orElse(s.MemberName, "somebody else"))}
		}
		e := g.conns.entry(actor, "graphql.unschedule", s.Name, fmt.Sprintf("Deleted the schedule of “%s” with its results", s.Name))
		return g.db.Org(actor.Org).DeleteQuerySchedule(ctx, id, e)
	})
}

func (g *GraphQL) turnSchedule(ctx context.Context, actor Actor, id ScheduleID, turn func(QuerySchedule) error) error {
	if err := mayGraphQL(actor); err != nil {
		return err
	}
	s, err := g.Schedule(ctx, actor.Org, id)
	if err != nil {
		return err
	}
	return notFound(turn(s), noSchedule)
}

// ScheduledResult is a run of a schedule.
type ScheduledResult struct {
	GraphQLRun
	Slot time.Time
	// Numbers are what was measured of its answer, in a fixed order.
	Numbers []graphql.Measure
}

// Number is the measure of a name; ok is false if the answer has none.
func (r ScheduledResult) Number(name string) (v float64, ok bool) {
	i := slices.IndexFunc(r.Numbers, func(m graphql.Measure) bool { return m.Name == name })
	if i < 0 {
		return 0, false
	}
	return r.Numbers[i].Value, true
}

// Results are a schedule's runs for moments before before (zero for all), newest
// first.
func (g *GraphQL) Results(ctx context.Context, org OrgID, id ScheduleID, before time.Time, limit int) ([]ScheduledResult, error) {
	rows, err := g.db.Org(org).ScheduledRuns(ctx, id, before, limit)
	out := make([]ScheduledResult, len(rows))
	for i, r := range rows {
		out[i] = ScheduledResult{GraphQLRun: graphQLRunOf(r), Slot: r.Slot}
		if r.Numbers != "" {
			if err := json.Unmarshal([]byte(r.Numbers), &out[i].Numbers); err != nil {
				return nil, fmt.Errorf("read the numbers of run %d: %w", r.ID, err)
			}
		}
	}
	return out, err
}

// NumberNames are the names of the numbers of results, in the order of the
// newest that has any, then those that only older ones have.
func NumberNames(results []ScheduledResult) []string {
	var out []string
	seen := map[string]bool{}
	for _, r := range results {
		for _, m := range r.Numbers {
			if !seen[m.Name] {
				seen[m.Name] = true
				out = append(out, m.Name)
			}
		}
	}
	return out
}

// WatchedNumber is the number of results that is shown: the asked one, else the
// schedule's, else the first.
func (s QuerySchedule) WatchedNumber(names []string, asked string) string {
	for _, name := range []string{asked, s.Trend} {
		if slices.Contains(names, name) {
			return name
		}
	}
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// NumberText writes a measured number without needless digits.
func NumberText(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 4, 64), "0"), ".")
}
