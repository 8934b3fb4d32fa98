package db

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// GraphQLRun is one question to a connection's GraphQL server.
type GraphQLRun struct {
	ID         GraphQLRunID
	Org        OrgID
	Connection ConnectionID
	Author     UserID
	AuthorName string       // what the author is called today, filled on reading
	Saved      SavedQueryID // the saved query that it is of, 0 for none
	SavedName  string       // what that is called today, filled on reading
	// FormToken makes one form count once, however often it is sent.
	FormToken                   string
	Query, Operation, Variables string
	Kind                        string // query, mutation
	State                       string // queued, sending, done, failed, stopped, interrupted
	Message                     string // a sentence for a person once it ended
	ErrorKind                   string
	Status                      int  // HTTP status, 0 without an answer
	Errors                      int  // in the answer
	Size                        int  // bytes of the whole answer
	Kept                        bool // its answer is here, filled on reading
	// Schedule is the schedule whose run it is for the moment Slot; 0 for none.
	Schedule ScheduleID
	Slot     time.Time
	// Numbers is a JSON list of what was measured of its answer; empty for none.
	Numbers    string
	CreatedAt  time.Time
	StartedAt  time.Time
	FinishedAt time.Time
}

// GraphQLOutcome is how a run ended.
type GraphQLOutcome struct {
	// Of is the open state in which the run must be; empty is any.
	Of                        string
	State, Message, ErrorKind string
	Status, Errors, Size      int
	Body                      []byte // packed; nil for none
	// Numbers is as in GraphQLRun.
	Numbers string
	At      time.Time
	// Verdict says of a schedule's run whether it went good or bad; empty says
	// neither. PauseAfter bad ones in a row pause the schedule with PauseMessage.
	Verdict      string
	PauseAfter   int
	PauseMessage string
	History      HistoryEntry
}

const graphQLRunColumns = `r.id, r.org_id, r.connection_id, r.author_id,
	coalesce((SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = r.author_id), ''),
	coalesce(r.saved_id, 0), coalesce((SELECT q.name FROM saved_queries q WHERE q.id = r.saved_id AND q.org_id = r.org_id), ''),
	r.form_token, r.query, r.operation, r.variables, r.kind, r.state, r.message, r.error_kind, r.status, r.errors, r.size, r.body IS NOT NULL,
	r.created_at, r.started_at, r.finished_at, coalesce(r.schedule_id, 0), r.slot_at, coalesce(r.numbers, '')`

func scanGraphQLRun(s scanner) (GraphQLRun, error) {
	var r GraphQLRun
	var created, started, finished, slot sql.NullInt64
	err := s.Scan(&r.ID, &r.Org, &r.Connection, &r.Author, &r.AuthorName, &r.Saved, &r.SavedName, &r.FormToken, &r.Query, &r.Operation, &r.Variables,
		&r.Kind, &r.State, &r.Message, &r.ErrorKind, &r.Status, &r.Errors, &r.Size, &r.Kept, &created, &started, &finished, &r.Schedule, &slot, &r.Numbers)
	r.CreatedAt, r.StartedAt, r.FinishedAt, r.Slot = timeOf(created), timeOf(started), timeOf(finished), timeOf(slot)
	return r, err
}

func graphQLRun(ctx context.Context, q querier, org OrgID, where string, arg any) (GraphQLRun, error) {
	return one(ctx, q, "GraphQL run", scanGraphQLRun, `SELECT `+graphQLRunColumns+` FROM graphql_runs r WHERE `+where+` AND r.org_id = ?`, arg, org)
}

// AddGraphQLRun stores a queued run and runs after in the same transaction. If
// its form was stored before, that run is returned and after is not run. Of the
// author's runs the newest keep stay, and the answers of the newest keepBodies.
// A connection that is not in use here, or another one's saved query, is
// ErrNotFound.
func (o Org) AddGraphQLRun(ctx context.Context, r GraphQLRun, keep, keepBodies int, after TxFunc) (GraphQLRun, error) {
	var out GraphQLRun
	err := o.write(ctx, func(tx *sql.Tx) error {
		var err error
		if out, err = graphQLRun(ctx, tx, o.id, "r.form_token = ?", r.FormToken); !errors.Is(err, ErrNotFound) {
			return err
		}
		if r.Saved != 0 {
			if _, err := one(ctx, tx, "saved query", scanInt, `SELECT id FROM saved_queries WHERE id = ? AND org_id = ?`, r.Saved, o.id); err != nil {
				return err
			}
		}
		id, err := one(ctx, tx, "connection", scanInt, `
			INSERT INTO graphql_runs (org_id, connection_id, author_id, saved_id, form_token, query, operation, kind, variables, state, created_at)
			SELECT org_id, id, ?, ?, ?, ?, ?, ?, ?, 'queued', ? FROM connections WHERE id = ? AND org_id = ? AND vendor = 'logrocket' AND removed_at IS NULL
			RETURNING id`,
			r.Author, nullID(r.Saved), r.FormToken, r.Query, r.Operation, r.Kind, r.Variables, ms(r.CreatedAt), r.Connection, o.id)
		if err != nil {
			return err
		}
		if err := o.trimGraphQLRuns(ctx, tx, r.Author, keep, keepBodies); err != nil {
			return err
		}
		if out, err = graphQLRun(ctx, tx, o.id, "r.id = ?", id); err != nil || after == nil {
			return err
		}
		return after(ctx, tx, id)
	})
	return out, err
}

// trimGraphQLRuns lets go of what is too old to keep; what is still open stays.
func (o Org) trimGraphQLRuns(ctx context.Context, tx *sql.Tx, author UserID, keep, keepBodies int) error {
	const nth = `SELECT id FROM graphql_runs WHERE org_id = ? AND author_id = ? AND schedule_id IS NULL ORDER BY id DESC LIMIT 1 OFFSET ?`
	for _, t := range []struct {
		offset int
		query  string
	}{
		{keep, `DELETE FROM graphql_runs WHERE org_id = ? AND author_id = ? AND schedule_id IS NULL AND id <= ? AND finished_at IS NOT NULL`},
		{keepBodies, `UPDATE graphql_runs SET body = NULL WHERE org_id = ? AND author_id = ? AND schedule_id IS NULL AND id <= ? AND body IS NOT NULL`},
	} {
		last, err := one(ctx, tx, "oldest run", scanInt, nth, o.id, author, t.offset)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err == nil {
			_, err = exec(ctx, tx, "oldest run", t.query, o.id, author, last)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// GraphQLRun finds a run, of any member.
func (o Org) GraphQLRun(ctx context.Context, id GraphQLRunID) (GraphQLRun, error) {
	return graphQLRun(ctx, o.db.r, o.id, "r.id = ?", id)
}

// GraphQLRunBody reads a run's packed answer; ErrNotFound if there is none, or
// none any more.
func (o Org) GraphQLRunBody(ctx context.Context, id GraphQLRunID) ([]byte, error) {
	return one(ctx, o.db.r, "answer", scanBytes, `
		SELECT body FROM graphql_runs WHERE id = ? AND org_id = ? AND body IS NOT NULL`, id, o.id)
}

// GraphQLRuns lists a member's runs older than before (0 for all), newest first,
// at most limit; those of schedules are not theirs.
func (o Org) GraphQLRuns(ctx context.Context, author UserID, before GraphQLRunID, limit int) ([]GraphQLRun, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	return list(ctx, o.db.r, "GraphQL runs", scanGraphQLRun, `
		SELECT `+graphQLRunColumns+` FROM graphql_runs r
		WHERE r.org_id = ? AND r.author_id = ? AND r.schedule_id IS NULL AND r.id < ? ORDER BY r.id DESC LIMIT ?`, o.id, author, before, min(max(limit, 1), 200))
}

// RunsOfSaved lists a member's own runs of a saved query, newest first, at most
// limit.
func (o Org) RunsOfSaved(ctx context.Context, saved SavedQueryID, author UserID, limit int) ([]GraphQLRun, error) {
	return list(ctx, o.db.r, "GraphQL runs", scanGraphQLRun, `
		SELECT `+graphQLRunColumns+` FROM graphql_runs r
		WHERE r.saved_id = ? AND r.author_id = ? AND r.org_id = ? AND r.schedule_id IS NULL ORDER BY r.id DESC LIMIT ?`, saved, author, o.id, min(max(limit, 1), 200))
}

// StartGraphQLRun moves a queued run to sending, which must be stored before the
// question leaves. One that is not queued any more is ErrNotFound.
func (o Org) StartGraphQLRun(ctx context.Context, id GraphQLRunID, now time.Time) error {
	return must(exec(ctx, o.db.w, "GraphQL run", `
		UPDATE graphql_runs SET state = 'sending', started_at = ? WHERE id = ? AND org_id = ? AND state = 'queued'`, ms(now), id, o.id))
}

// PutBackGraphQLRun moves a run whose question certainly did not leave from
// sending back to queued. One that is not being sent is ErrNotFound.
func (o Org) PutBackGraphQLRun(ctx context.Context, id GraphQLRunID) error {
	return must(exec(ctx, o.db.w, "GraphQL run", `
		UPDATE graphql_runs SET state = 'queued', started_at = NULL WHERE id = ? AND org_id = ? AND state = 'sending'`, id, o.id))
}

// EndGraphQLRun stores how an open run ended, with its history; one that has
// ended already, or is not in the state out.Of, is ErrNotFound.
func (o Org) EndGraphQLRun(ctx context.Context, id GraphQLRunID, out GraphQLOutcome) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		var body any
		if out.Body != nil {
			body = out.Body
		}
		schedule, err := one(ctx, tx, "GraphQL run", scanInt, `
			UPDATE graphql_runs SET state = ?, message = ?, error_kind = ?, status = ?, errors = ?, size = ?, body = ?, numbers = nullif(?, ''), finished_at = ?
			WHERE id = ? AND org_id = ? AND state IN ('queued', 'sending') AND state = coalesce(nullif(?, ''), state) RETURNING coalesce(schedule_id, 0)`,
			out.State, out.Message, out.ErrorKind, out.Status, out.Errors, out.Size, body, out.Numbers, ms(out.At), id, o.id, out.Of)
		if err != nil {
			return err
		}
		if schedule != 0 {
			if err := o.endScheduled(ctx, tx, ScheduleID(schedule), out); err != nil {
				return err
			}
		}
		return addHistory(ctx, tx, o.id, out.History)
	})
}

// OpenRun names an open run.
type OpenRun struct {
	Org   OrgID
	ID    GraphQLRunID
	State string
}

func scanOpenRun(s scanner) (OpenRun, error) {
	var r OpenRun
	return r, s.Scan(&r.Org, &r.ID, &r.State)
}

// OpenGraphQLRunsUnscoped lists the open runs after an id, oldest first, at most
// limit.
func (d *DB) OpenGraphQLRunsUnscoped(ctx context.Context, after GraphQLRunID, limit int) ([]OpenRun, error) {
	return list(ctx, d.r, "open runs", scanOpenRun, `
		SELECT org_id, id, state FROM graphql_runs WHERE state IN ('queued', 'sending') AND id > ? ORDER BY id LIMIT ?`, after, limit)
}

// KnownPerson is a customer to whom an identity leads.
type KnownPerson struct {
	Value    string // as Normalize makes it
	Kind     string // email, logrocket_user
	Customer CustomerID
}

func scanKnownPerson(s scanner) (KnownPerson, error) {
	var p KnownPerson
	return p, s.Scan(&p.Value, &p.Kind, &p.Customer)
}

// KnownPeople finds the customers to whom emails and LogRocket user ids, as
// Normalize makes them, lead; at most 5000.
func (o Org) KnownPeople(ctx context.Context, values []string) ([]KnownPerson, error) {
	return list(ctx, o.db.r, "identities", scanKnownPerson, `
		SELECT i.value_norm, i.kind, i.customer_id FROM json_each(?) j
		CROSS JOIN identities i ON i.org_id = ? AND i.value_norm = j.value AND i.kind IN ('email', 'logrocket_user')
		LIMIT 5000`, jsonList(values), o.id)
}
