package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/graphql"
	"sightline/internal/services/logrocket"
	"sightline/internal/services/upstream"
)

// run sends one queued run, once. "Sending" is committed before anything leaves.
func (g *GraphQL) run(ctx context.Context, org OrgID, id GraphQLRunID) error {
	if !g.busy.enter(int64(id)) {
		return nil
	}
	defer g.busy.leave(int64(id))
	run, err := g.Get(ctx, org, id)
	if err != nil {
		return err
	}
	switch run.State {
	case GraphQLQueued:
		return g.send(ctx, org, run)
	case GraphQLSending:
		return g.endLost(ctx, org, id)
	}
	return nil
}

func (g *GraphQL) send(ctx context.Context, org OrgID, run GraphQLRun) error {
	failed := func(msg, kind string) error {
		return g.end(ctx, org, run, db.GraphQLOutcome{State: string(GraphQLFailed), Message: msg, ErrorKind: kind})
	}
	client, conn, err := g.conns.logrocket(ctx, org, run.Connection)
	if stopped(ctx) {
		return nil
	}
	if err != nil {
		msg, kind := said(conn, err, g.now())
		return failed(msg, kind)
	}
	doc, _ := graphql.Parse(run.Query)
	if doc == nil {
		return failed("This version of Sightline cannot read the query.", "internal")
	}
	op, problems := doc.Choose(run.Operation)
	if len(problems) > 0 || op.Kind != run.Kind {
		return failed("This version of Sightline reads another operation in the query.", "internal")
	}
	// The lock may have been turned, or the author's role, since it was queued.
	member, err := g.db.Org(org).Member(ctx, run.Author)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	if why, err := g.locked(ctx, org, ParseRole(member.Role), run.Connection, op.Kind); err != nil || why != "" {
		if err != nil {
			return err
		}
		return failed(why, string(Denied))
	}
	if why := notAskedFor(run.AuthorName, ParseRole(member.Role)); run.Schedule != 0 && why != "" {
		return failed(why, string(Denied))
	}
	values, problem := graphql.ReadVariables(run.Variables)
	if problem != nil {
		return failed("This version of Sightline cannot read the variables.", "internal")
	}
	variables, err := json.Marshal(op.Own(values))
	if err != nil {
		return err
	}
	// Nobody waits for what a schedule asks.
	calling, stop := context.WithCancel(withSpender(ctx, spender{Org: org, Connection: run.Connection, Actor: run.Author, Background: run.Schedule != 0}))
	defer stop()
	g.mu.Lock()
	g.stops[run.ID] = stop
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.stops, run.ID)
		g.mu.Unlock()
	}()
	// Whoever stops it from here on cuts it off.
	back := func(ctx context.Context) error { return g.db.Org(org).PutBackGraphQLRun(ctx, run.ID) }
	if err := g.db.Org(org).StartGraphQLRun(ctx, run.ID, g.now()); err != nil {
		if stopped(ctx) {
			return putBack(ctx, back)
		}
		return err
	}
	answer, err := client.ExecuteGraphQL(calling, logrocket.GraphQLRequest{Query: doc.Wire(op), OperationName: op.Name, Variables: variables})
	if err != nil {
		if stopped(ctx) && neverLeft(err) {
			return putBack(ctx, back)
		}
		if ctx.Err() != nil {
			return g.endLost(context.WithoutCancel(ctx), org, run.ID)
		}
		msg, kind := saidOfRun(conn, run, err, g.now())
		return failed(msg, kind)
	}
	return g.answered(ctx, org, run, answer)
}

// saidOfRun is what went wrong with a run, as a sentence and a kind.
func saidOfRun(conn Connection, run GraphQLRun, err error, now time.Time) (msg, kind string) {
	msg, kind = said(conn, err, now)
	if e := new(upstream.Error); errors.As(err, &e) && e.Kind == upstream.NotFound {
		msg = fmt.Sprintf("There is no GraphQL at the address of %s (connection “%s”)%s. The operator can check the address that is set for it.", conn.Vendor, conn.Name, answered(e))
	}
	if run.Kind == graphql.Mutation && mayHaveArrived(err) {
		msg += " We do not know whether the mutation was carried out."
	}
	return msg, kind
}

// answered stores an answer, or the beginning of one that is too long to keep.
func (g *GraphQL) answered(ctx context.Context, org OrgID, run GraphQLRun, answer logrocket.GraphQLResponse) error {
	out := db.GraphQLOutcome{State: string(GraphQLDone), Status: answer.Status, Errors: len(answer.Errors), Size: len(answer.Raw)}
	body := answer.Raw
	switch {
	case out.Errors > 0 && !hasData(answer.Data):
		out.Message = fmt.Sprintf("The server answered with %s and no data.", plural(out.Errors, "error"))
	case out.Errors > 0:
		out.Message = fmt.Sprintf("The server answered with data and %s.", plural(out.Errors, "error"))
	default:
		out.Message = "The server answered."
	}
	most := MaxGraphQLAnswer
	if run.Schedule != 0 {
		most = MaxScheduledAnswer
		out.Numbers = measured(run, body)
	}
	if len(body) > most {
		body = body[:most]
		out.Message += fmt.Sprintf(" The answer is %.1f MB long; the first %d MB are kept. Ask for less to see all.", float64(out.Size)/(1<<20), most>>20)
	}
	var err error
	if out.Body, err = pack(body); err != nil {
		return err
	}
	return g.end(ctx, org, run, out)
}

func hasData(data json.RawMessage) bool {
	text := strings.TrimSpace(string(data))
	return text != "" && text != "null"
}
