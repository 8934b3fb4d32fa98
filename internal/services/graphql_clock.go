package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/graphql"
	"sightline/internal/services/upstream"
)

// clockRest is how often it is looked which schedules are due.
const clockRest = 15 * time.Second

// keepTime begins the runs of schedules when they are due, until ctx ends. What
// was missed while nothing ran is asked once.
func (g *GraphQL) keepTime(ctx context.Context) {
	for wait := time.Second; sleep(ctx, wait); wait = clockRest {
		if err := g.startDue(ctx); err != nil && ctx.Err() == nil {
			g.log.WarnContext(ctx, "schedules were not looked at; it is tried again", "err", err)
		}
	}
}

// startDue begins a run of every schedule that is due. Two that do so at once
// begin no more than one does: the first moves the schedule on.
func (g *GraphQL) startDue(ctx context.Context) error {
	const most = 200
	due, err := g.db.DueSchedulesUnscoped(ctx, g.now(), most)
	if err != nil {
		return err
	}
	for _, d := range due {
		if err := g.startScheduled(ctx, d); err != nil {
			g.log.WarnContext(ctx, "a schedule was not begun; it is tried again", "org", int64(d.Org), "schedule", int64(d.ID), "err", err)
		}
	}
	return nil
}

// startScheduled begins the run of a schedule for its last time that has come,
// or pauses one that cannot be asked any more.
func (g *GraphQL) startScheduled(ctx context.Context, d db.DueSchedule) error {
	s, err := g.Schedule(ctx, d.Org, d.ID)
	if err != nil || s.Paused || s.NextAt.After(g.now()) {
		return movedOn(err)
	}
	now := g.now()
	slot := s.Every.slot(s.Minute, now)
	_, err = g.begin(ctx, d.Org, s, slot, slot.Add(s.Every.length()), fmt.Sprintf("schedule %d at %d", s.ID, slot.UnixMilli()))
	var no *Error
	switch {
	case errors.As(err, &no) && no.Kind == Conflict:
		e := db.HistoryEntry{At: now, ActorName: System(d.Org).Name, Action: "graphql.pause", Subject: s.Name, Summary: fmt.Sprintf("Paused the schedule of “%s”: %s", s.Name, no.Msg)}
		return movedOn(g.db.Org(d.Org).PauseQuerySchedule(ctx, s.ID, no.Msg, e))
	case errors.Is(err, db.ErrExists): // the run before is still open: this one comes after it
		return nil
	}
	return movedOn(err)
}

// movedOn takes a row that somebody else moved on for what it is: no error.
func movedOn(err error) error {
	var e *Error
	if errors.Is(err, db.ErrNotFound) || errors.As(err, &e) && e.Kind == NotFound {
		return nil
	}
	return err
}

// RunSchedule asks a schedule's query now, out of its time, for the member that
// it asks for. It takes the role support.
func (g *GraphQL) RunSchedule(ctx context.Context, actor Actor, id ScheduleID, token string) (GraphQLRun, error) {
	var run GraphQLRun
	err := g.turnSchedule(ctx, actor, id, func(s QuerySchedule) error {
		var err error
		run, err = g.begin(ctx, actor.Org, s, g.now(), s.NextAt, formKey(token, id))
		if errors.Is(err, db.ErrExists) {
			return &Error{Kind: Conflict, Msg: "It is being asked already. Wait for the answer."}
		}
		return err
	})
	return run, err
}

// begin queues a run of a schedule for a moment and sets its next time. A
// Conflict says why it cannot be asked any more.
func (g *GraphQL) begin(ctx context.Context, org OrgID, s QuerySchedule, slot, next time.Time, token string) (GraphQLRun, error) {
	member, err := g.db.Org(org).Member(ctx, s.Member)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return GraphQLRun{}, err
	}
	if why := notAskedFor(s.MemberName, ParseRole(member.Role)); why != "" {
		return GraphQLRun{}, &Error{Kind: Conflict, Msg: why}
	}
	saved, err := g.SavedQuery(ctx, org, s.Saved)
	if err != nil {
		return GraphQLRun{}, err
	}
	if _, problem, err := g.unfit(ctx, org, saved, s.Variables, slot); err != nil || problem != "" {
		return GraphQLRun{}, orError(err, &Error{Kind: Conflict, Msg: problem})
	}
	op, _ := scheduledOperation(saved)
	values, _ := filledVariables(s.Variables, slot)
	text, err := json.Marshal(values)
	if err != nil {
		return GraphQLRun{}, err
	}
	row, err := g.db.Org(org).StartScheduled(ctx, s.row, next, db.GraphQLRun{
		FormToken: token, Query: saved.Query, Operation: op.Name, Kind: string(op.Kind), Variables: string(text), Slot: slot, CreatedAt: g.now(),
	}, g.queue.put(jobGraphQLRun, org, 0))
	return graphQLRunOf(row), err
}

// notAskedFor says why nothing is asked for a member on a schedule, "" if it is.
func notAskedFor(name string, role Role) string {
	switch {
	case role == NoRole:
		return fmt.Sprintf("It was asked for %s, who is not a member any more. Resume it to have it asked for you.", orElse(name, "somebody"))
	case role < Support:
		return fmt.Sprintf("It was asked for %s, whose role does not allow that any more. Resume it to have it asked for you.", orElse(name, "somebody"))
	}
	return ""
}

// judge says in the outcome of a scheduled run whether it went well, and what
// its schedule says if it went badly too often.
func (g *GraphQL) judge(run GraphQLRun, out *db.GraphQLOutcome) {
	switch state := GraphQLRunState(out.State); {
	case state == GraphQLDone && out.Body != nil && out.Numbers == "" && out.Errors > 0, state == GraphQLInterrupted:
		out.Verdict = "bad"
	case state == GraphQLDone:
		out.Verdict = "good"
	case state == GraphQLFailed && out.ErrorKind != string(Limited) && out.ErrorKind != string(upstream.RateLimited): // that passes
		out.Verdict = "bad"
	}
	out.PauseAfter = badRunsPause
	out.PauseMessage = fmt.Sprintf("Paused because %d runs in a row went wrong. The last one: %s", badRunsPause, out.Message)
}

// measured is what is measured of a run's answer, as it is stored; empty if the
// answer has no data.
func measured(run GraphQLRun, body []byte) string {
	doc, _ := graphql.Parse(run.Query)
	if doc == nil {
		return ""
	}
	op, problems := doc.Choose(run.Operation)
	a, err := graphql.ReadAnswer(doc, op, body)
	if err != nil || len(problems) > 0 || a.Cut || a.Data == nil || a.Data.Kind != graphql.Object {
		return ""
	}
	list := a.Measures(doc, op)
	if list == nil {
		list = []graphql.Measure{}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return ""
	}
	return string(text)
}

// trendKeys are the columns of a trend's files.
func trendKeys() []string { return []string{"asked_for", "state", "number", "value", "errors"} }

func trendFields(r ScheduledResult, name string) []any {
	var value any
	if v, ok := r.Number(name); ok {
		value = json.Number(NumberText(v))
	}
	return []any{r.Slot.Truncate(time.Second), string(r.State), name, value, int64(r.Errors)}
}

// WriteTrendCSV writes how a number of results changed as a file of ours, oldest
// last.
func WriteTrendCSV(w io.Writer, results []ScheduledResult, name string) error {
	headings := trendKeys()
	headings[0] += csvUTC
	f, err := newCSVFile(w, headings)
	if err != nil {
		return err
	}
	for _, r := range results {
		var cells []string
		for _, field := range trendFields(r, name) {
			cell := csvCell(field)
			if number, ok := field.(json.Number); ok { // -5 is no formula
				cell = string(number)
			}
			cells = append(cells, cell)
		}
		if err := f.row(cells); err != nil {
			return err
		}
	}
	return f.flush()
}

// WriteTrendJSON is WriteTrendCSV as JSON.
func WriteTrendJSON(w io.Writer, results []ScheduledResult, name string) error {
	f := newJSONFile(w, trendKeys())
	for _, r := range results {
		if err := f.row(trendFields(r, name)); err != nil {
			return err
		}
	}
	return f.end()
}
