package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/graphql"
)

// GraphQLRunState is how far a run is.
type GraphQLRunState string

// The states of a run. Interrupted means that nobody knows whether it arrived.
const (
	GraphQLQueued      GraphQLRunState = "queued"
	GraphQLSending     GraphQLRunState = "sending"
	GraphQLDone        GraphQLRunState = "done"
	GraphQLFailed      GraphQLRunState = "failed"
	GraphQLStopped     GraphQLRunState = "stopped"
	GraphQLInterrupted GraphQLRunState = "interrupted"
)

// Open reports whether the run will still change by itself.
func (s GraphQLRunState) Open() bool { return s == GraphQLQueued || s == GraphQLSending }

// GraphQLRun is one question to a GraphQL server and its answer.
type GraphQLRun struct {
	ID         GraphQLRunID
	Connection ConnectionID
	Author     UserID
	AuthorName string
	Saved      SavedQueryID // the saved query that it is of; 0 for none
	SavedName  string
	// Query is what the member wrote, Operation the one of it that ran, Variables
	// the JSON object that went with it.
	Query, Operation, Variables string
	Kind                        graphql.Kind
	State                       GraphQLRunState
	Message                     string // a sentence once it ended; may quote the server
	ErrorKind                   string
	Status, Errors, Size        int
	Kept                        bool // its answer is here
	// Schedule is the schedule that asked it; 0 for none.
	Schedule              ScheduleID
	CreatedAt             time.Time
	StartedAt, FinishedAt time.Time
}

func graphQLRunOf(r db.GraphQLRun) GraphQLRun {
	return GraphQLRun{
		ID: r.ID, Connection: r.Connection, Author: r.Author, AuthorName: r.AuthorName, Saved: r.Saved, SavedName: r.SavedName,
		Query: r.Query, Operation: r.Operation, Variables: r.Variables, Kind: graphql.Kind(r.Kind), State: GraphQLRunState(r.State), Message: r.Message,
		ErrorKind: r.ErrorKind, Status: r.Status, Errors: r.Errors, Size: r.Size, Kept: r.Kept, Schedule: r.Schedule,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
	}
}

// GraphQLForm is what a member wants to ask.
type GraphQLForm struct {
	Connection ConnectionID
	Query      string
	// Operation is the one to run, empty if there is one alone.
	Operation string
	// Variables is a JSON object, or nothing.
	Variables string
	// Saved is the saved query that it is of, 0 for none.
	Saved SavedQueryID
	// Anyway runs what the schema does not allow: it may be out of date.
	Anyway    bool
	FormToken string
}

// GraphQLCheck is what was found in a form before anything is sent.
type GraphQLCheck struct {
	// Operations are those of the query, none if it cannot be read.
	Operations []GraphQLOperation
	// Query is what is wrong with the query, Variables with its variables.
	Query, Variables []GraphQLProblem
	// Operation says what is wrong with the choice of the operation.
	Operation string
	// Schema is what the schema does not allow. It may be out of date, so that it
	// can be run anyway.
	Schema []GraphQLProblem
	// Locked says why the operation may not run; empty if it may.
	Locked string

	doc    *graphql.Document
	chosen graphql.Operation
	values map[string]any
}

// OK reports whether the form can be sent.
func (c GraphQLCheck) OK(anyway bool) bool {
	return len(c.Query)+len(c.Variables) == 0 && c.Operation == "" && c.Locked == "" && (anyway || len(c.Schema) == 0)
}

// Check reads a form and says what is wrong with it. Nothing is sent.
func (g *GraphQL) Check(ctx context.Context, actor Actor, f GraphQLForm) (GraphQLCheck, error) {
	var c GraphQLCheck
	if c.doc, c.Query = graphql.Parse(f.Query); c.doc == nil {
		return c, nil
	}
	c.Operations = c.doc.Operations()
	var problems []graphql.Problem
	if c.chosen, problems = c.doc.Choose(f.Operation); len(problems) > 0 {
		c.Operation = problems[0].Text
		return c, nil
	}
	var err error
	if c.Locked, err = g.locked(ctx, actor.Org, actor.Role, f.Connection, c.chosen.Kind); err != nil {
		return c, err
	}
	schema, err := g.Docs(ctx, actor.Org, f.Connection)
	if err != nil {
		return c, err
	}
	c.Schema = c.doc.Validate(schema, c.chosen)
	values, problem := graphql.ReadVariables(f.Variables)
	if problem != nil {
		c.Variables = []GraphQLProblem{*problem}
		return c, nil
	}
	c.values = values
	if f.Anyway {
		schema = nil
	}
	wrong := c.chosen.CheckVariables(schema, values)
	for _, other := range c.Operations { // what only another one takes is not sent, and stays for that
		for _, v := range other.Variables {
			if !c.chosen.Takes(v.Name) {
				delete(wrong, v.Name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		c.Variables = append(c.Variables, GraphQLProblem{Text: wrong[name]})
	}
	return c, nil
}

// locked says why an operation may not run, "" if it may.
func (g *GraphQL) locked(ctx context.Context, org OrgID, role Role, conn ConnectionID, kind graphql.Kind) (string, error) {
	switch kind {
	case graphql.Query:
		return "", nil
	case graphql.Subscription:
		return "This is a subscription, which goes on answering. Sightline asks once and takes one answer, so it does not run subscriptions.", nil
	}
	from, err := g.Lock(ctx, org, conn)
	switch {
	case err != nil:
		return "", err
	case from == NoRole:
		return "This is a mutation: it changes data. Mutations are locked for this connection. An admin can unlock them on the page of its schema.", nil
	case role < from:
		return fmt.Sprintf("This is a mutation: it changes data. For this connection that takes the role %s.", from), nil
	}
	return "", nil
}

// Run asks what a form says, once however often the form is sent. If the check
// finds something, nothing is asked.
func (g *GraphQL) Run(ctx context.Context, actor Actor, f GraphQLForm) (GraphQLRun, GraphQLCheck, error) {
	if err := mayGraphQL(actor); err != nil {
		return GraphQLRun{}, GraphQLCheck{}, err
	}
	return g.ask(ctx, actor, f)
}

// ask is Run for whoever may.
func (g *GraphQL) ask(ctx context.Context, actor Actor, f GraphQLForm) (GraphQLRun, GraphQLCheck, error) {
	if _, err := g.rocket(ctx, actor.Org, f.Connection); err != nil {
		return GraphQLRun{}, GraphQLCheck{}, err
	}
	c, err := g.Check(ctx, actor, f)
	if err != nil || !c.OK(f.Anyway) {
		return GraphQLRun{}, c, err
	}
	variables := "{}"
	if len(c.values) > 0 {
		text, err := json.Marshal(c.values)
		if err != nil {
			return GraphQLRun{}, c, err
		}
		variables = string(text)
	}
	row, err := g.db.Org(actor.Org).AddGraphQLRun(ctx, db.GraphQLRun{
		Connection: f.Connection, Author: actor.User, Saved: f.Saved, FormToken: formKey(f.FormToken, f), Query: f.Query, Operation: c.chosen.Name,
		Variables: variables, Kind: string(c.chosen.Kind), CreatedAt: g.now(),
	}, keptRuns, keptAnswers, g.queue.put(jobGraphQLRun, actor.Org, 0))
	if err != nil {
		return GraphQLRun{}, c, notFound(err, "The connection or the saved query is not there any more.")
	}
	return graphQLRunOf(row), c, nil
}

const noGraphQLRun = "There is no such run in this organization. Old runs are let go of."

// Get finds a run, of any member: a link to it can be passed on.
func (g *GraphQL) Get(ctx context.Context, org OrgID, id GraphQLRunID) (GraphQLRun, error) {
	row, err := g.db.Org(org).GraphQLRun(ctx, id)
	return graphQLRunOf(row), notFound(err, noGraphQLRun)
}

// Mine lists the member's runs older than before (0 for all), newest first.
func (g *GraphQL) Mine(ctx context.Context, actor Actor, before GraphQLRunID, limit int) ([]GraphQLRun, error) {
	rows, err := g.db.Org(actor.Org).GraphQLRuns(ctx, actor.User, before, limit)
	out := make([]GraphQLRun, len(rows))
	for i, r := range rows {
		out[i] = graphQLRunOf(r)
	}
	return out, err
}

// Wait returns the run once it has ended, or as it stands after upTo.
func (g *GraphQL) Wait(ctx context.Context, org OrgID, id GraphQLRunID, upTo time.Duration) (GraphQLRun, error) {
	return waitFor(ctx, upTo, func() (GraphQLRun, bool, error) {
		run, err := g.Get(ctx, org, id)
		return run, !run.State.Open(), err
	})
}

// Answer reads what the server answered to a run: the answer, and its JSON, of
// which only the beginning is kept if it is long. ok is false if there is none,
// or none any more.
func (g *GraphQL) Answer(ctx context.Context, org OrgID, run GraphQLRun) (a RunAnswer, ok bool, err error) {
	packed, err := g.db.Org(org).GraphQLRunBody(ctx, run.ID)
	if errors.Is(err, db.ErrNotFound) {
		return a, false, nil
	}
	if err != nil {
		return a, false, err
	}
	if a.Raw, err = unpack(packed); err != nil {
		return a, false, fmt.Errorf("unpack the answer of run %d: %w", run.ID, err)
	}
	if a.doc, _ = graphql.Parse(run.Query); a.doc == nil {
		return a, true, nil
	}
	var problems []graphql.Problem
	if a.op, problems = a.doc.Choose(run.Operation); len(problems) > 0 {
		return a, true, nil
	}
	// What cannot be read is shown as it came.
	a.GraphQLAnswer, err = graphql.ReadAnswer(a.doc, a.op, a.Raw)
	a.Readable = err == nil
	return a, true, nil
}

// RunAnswer is the answer to a run.
type RunAnswer struct {
	GraphQLAnswer
	// Raw is the answer as it came, or its beginning.
	Raw []byte
	// Readable says that the rest was read out of it.
	Readable bool

	doc *graphql.Document
	op  graphql.Operation
}

// Rows makes a table of the answer, of the list at a path: see
// [graphql.Answer.Table].
func (a RunAnswer) Rows(path string) GraphQLTable { return a.Table(a.doc, a.op, path) }

// Tree makes a tree of the whole answer, with its errors and extensions.
func (a RunAnswer) Tree(q GraphQLTreeQuery) (GraphQLTree, error) {
	root, err := graphql.ReadNode(a.Raw)
	if err != nil {
		return GraphQLTree{}, fmt.Errorf("read an answer: %w", err)
	}
	return root.Tree(q), nil
}

// MayStop reports whether the actor may stop a run: their own, or any with the
// role support.
func (r GraphQLRun) MayStop(actor Actor) bool {
	return actor.Role >= Support || actor.Role >= Viewer && actor.User != 0 && actor.User == r.Author
}

// Stop ends a run that is open. What was sent may have had its effect. Denied
// without MayStop.
func (g *GraphQL) Stop(ctx context.Context, actor Actor, id GraphQLRunID) error {
	run, err := g.Get(ctx, actor.Org, id)
	if err != nil {
		return err
	}
	if !run.MayStop(actor) {
		return &Error{Kind: Denied, Msg: "Stopping what somebody else asked takes the role support. An admin can give it to you."}
	}
	if !run.State.Open() {
		return nil
	}
	for run.State.Open() && err == nil { // again if it is sent meanwhile
		msg := "Stopped before it was sent."
		if run.State == GraphQLSending {
			msg = "Stopped while the server was answering. The call may have counted."
			if run.Kind == graphql.Mutation {
				msg = "Stopped while the server was answering. The mutation may have been carried out."
			}
		}
		if err = g.end(ctx, actor.Org, run, db.GraphQLOutcome{Of: string(run.State), State: string(GraphQLStopped), Message: msg}); err == nil {
			run, err = g.Get(ctx, actor.Org, id)
		}
	}
	g.mu.Lock()
	stop := g.stops[id]
	g.mu.Unlock()
	if stop != nil {
		stop()
	}
	return err
}

// settle ends what a crash left in sending and queues again what was queued.
func (g *GraphQL) settle(ctx context.Context) error {
	const batch = 500
	var after GraphQLRunID
	for {
		rows, err := g.db.OpenGraphQLRunsUnscoped(ctx, after, batch)
		if err != nil {
			return err
		}
		for _, r := range rows {
			after = r.ID
			if GraphQLRunState(r.State) == GraphQLSending {
				if err := g.endLost(ctx, r.Org, r.ID); err != nil {
					return err
				}
				continue
			}
			// A second job for the same run finds it started and does nothing.
			if err := g.queue.again(ctx, jobGraphQLRun, r.Org, int64(r.ID), 0); err != nil {
				return err
			}
		}
		if len(rows) < batch {
			return nil
		}
	}
}

func (g *GraphQL) endLost(ctx context.Context, org OrgID, id GraphQLRunID) error {
	run, err := g.Get(ctx, org, id)
	if err != nil {
		return err
	}
	msg := interrupted
	if run.Kind == graphql.Mutation {
		msg = "Sightline was stopped while the server was answering. Nobody knows whether the mutation was carried out. Look before you run it again."
	}
	return g.end(ctx, org, run, db.GraphQLOutcome{State: string(GraphQLInterrupted), Message: msg})
}

// end stores how a run ended, with its history.
func (g *GraphQL) end(ctx context.Context, org OrgID, run GraphQLRun, out db.GraphQLOutcome) error {
	out.At = g.now()
	name := orElse(run.Operation, "without a name")
	out.History = db.HistoryEntry{
		At: out.At, Actor: run.Author, ActorName: run.AuthorName, Action: "graphql." + string(run.Kind), Subject: fmt.Sprintf("run %d", run.ID), Connection: run.Connection,
		Summary: fmt.Sprintf("Ran the GraphQL %s %s: %s", run.Kind, name, orElse(out.Message, out.State)),
	}
	if run.Schedule != 0 {
		out.History.Summary = fmt.Sprintf("Ran the GraphQL query %s on its schedule: %s", name, orElse(out.Message, out.State))
		g.judge(run, &out)
	}
	if run.Kind == graphql.Mutation {
		text := strings.TrimSpace(run.Query)
		out.History.After = strings.ToValidUTF8(text[:min(len(text), 4000)], "")
	}
	err := persist(ctx, func(ctx context.Context) error { return g.db.Org(org).EndGraphQLRun(ctx, run.ID, out) })
	if err != nil && !errors.Is(err, db.ErrNotFound) { // not found: it was stopped meanwhile
		return fmt.Errorf("end run %d as %s: %w", run.ID, out.State, err)
	}
	return nil
}
