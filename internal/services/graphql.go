package services

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/graphql"
	"sightline/internal/services/logrocket"
	"sightline/internal/services/upstream"
)

// The queue's kind for runs, and the kind of ask for schemas.
const (
	jobGraphQLRun    = "graphql_run"
	askGraphQLSchema = "graphql_schema"
)

// Limits of the workbench.
const (
	// MaxGraphQLAnswer is how much of an answer is kept, in bytes.
	MaxGraphQLAnswer = 4 << 20
	// keptRuns is how many runs of a member stay, keptAnswers how many of them with
	// their answers.
	keptRuns, keptAnswers = 500, 50
	// MaxSavedQueries is how many queries an organization keeps.
	MaxSavedQueries = 300
	// maxSchemaChanges is how many differences of a schema are kept.
	maxSchemaChanges = 300
	// keptSchemas is how many schemas are held in memory.
	keptSchemas = 4
)

// What a query and its answer are read as.
type (
	// GraphQLProblem is what is wrong with a query, with its place.
	GraphQLProblem = graphql.Problem
	// GraphQLOperation is one of a document's operations.
	GraphQLOperation = graphql.Operation
	// GraphQLTable is an answer as rows.
	GraphQLTable = graphql.Table
	// GraphQLChart is a table as points.
	GraphQLChart = graphql.Chart
	// GraphQLAnswer is what a server sent back.
	GraphQLAnswer = graphql.Answer
	// GraphQLDocs is a schema to read in.
	GraphQLDocs = graphql.Schema
	// GraphQLType is what a schema says of a type.
	GraphQLType = graphql.TypeDoc
	// GraphQLChange is a difference between two schemas.
	GraphQLChange = graphql.Change
	// GraphQLCell is a cell of a table.
	GraphQLCell = graphql.Cell
	// GraphQLTree is an answer to unfold, GraphQLTreeQuery what is shown of it.
	GraphQLTree      = graphql.Tree
	GraphQLTreeQuery = graphql.TreeQuery
	// GraphQLTwig is a node of it.
	GraphQLTwig = graphql.Twig
)

// The kinds of what stands in a cell.
const (
	CellAbsent = graphql.Absent
	CellNull   = graphql.Null
	CellNumber = graphql.Number
	CellText   = graphql.Text
	CellList   = graphql.List
	CellObject = graphql.Object
)

// How a form asks for a variable.
const (
	InputNumber  = graphql.InputNumber
	InputDecimal = graphql.InputDecimal
	InputSwitch  = graphql.InputSwitch
	InputChoice  = graphql.InputChoice
	InputLines   = graphql.InputLines
	InputJSON    = graphql.InputJSON
)

// The kinds of operations.
const (
	GraphQLQueries   = graphql.Query
	GraphQLMutations = graphql.Mutation
)

// GraphQL asks the GraphQL servers of connections what members write. Nothing
// leaves that was not read, judged and written down before.
type GraphQL struct {
	db    *db.DB
	queue *Queue
	asks  *Asks
	conns *Connections
	log   *slog.Logger
	now   func() time.Time
	busy  busyRows

	mu      sync.Mutex
	schemas map[ConnectionID]readSchema
	stops   map[GraphQLRunID]context.CancelFunc
}

// readSchema is a schema in memory, and which one it is.
type readSchema struct {
	org    OrgID
	hash   string
	schema *graphql.Schema
	used   time.Time
}

func newGraphQL(d *db.DB, q *Queue, a *Asks, c *Connections, log *slog.Logger, now func() time.Time) *GraphQL {
	g := &GraphQL{db: d, queue: q, asks: a, conns: c, log: log, now: now, schemas: map[ConnectionID]readSchema{}, stops: map[GraphQLRunID]context.CancelFunc{}}
	a.handle(askGraphQLSchema, g.fetch)
	q.handle(jobGraphQLRun, func(ctx context.Context, org OrgID, id int64) (time.Duration, error) {
		return 0, g.run(ctx, org, GraphQLRunID(id))
	})
	q.onStart(g.settle)
	return g
}

// GraphQLSchema is what is known of a connection's schema.
type GraphQLSchema struct {
	Connection ConnectionID
	// Known says that there is a schema, of FetchedAt and with so many Types.
	Known     bool
	FetchedAt time.Time
	Types     int
	// AskedAt is when it was last asked for, zero for never, and Problem why that
	// brought none: empty if it did. Why says the same in one word.
	AskedAt      time.Time
	Why, Problem string
	// Changes are the differences that were found at ChangedAt, the first of
	// ChangeCount.
	Changes     []GraphQLChange
	ChangeCount int
	ChangedAt   time.Time
	// Asking is the ask that is under way, 0 for none.
	Asking AskID

	hash string
}

// Schema says what is known of a connection's schema.
func (g *GraphQL) Schema(ctx context.Context, org OrgID, id ConnectionID) (GraphQLSchema, error) {
	out := GraphQLSchema{Connection: id}
	row, err := g.db.Org(org).GraphQLSchema(ctx, id)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return out, err
	}
	if err == nil {
		out.Known, out.hash, out.FetchedAt, out.Types = row.Hash != "", row.Hash, row.FetchedAt, row.Types
		out.AskedAt, out.Why, out.Problem = row.AskedAt, row.Why, row.Problem
		out.ChangeCount, out.ChangedAt = row.ChangeCount, row.ChangedAt
		if err := json.Unmarshal([]byte(row.Changes), &out.Changes); err != nil {
			return out, fmt.Errorf("read the changes of the schema of connection %d: %w", id, err)
		}
	}
	ask, ok, err := g.asks.Latest(ctx, org, id, askGraphQLSchema, "")
	if err == nil && ok {
		if ask.State.Open() {
			out.Asking = ask.ID
		} else if out.Problem == "" && ask.State != AskDone && ask.FinishedAt.After(out.AskedAt) {
			out.Problem, out.AskedAt = ask.Message, ask.FinishedAt
		}
	}
	return out, err
}

// SchemaTag tells the schema that is known of a connection from any other, and
// from the same as an other version of Sightline reads it; empty if there is none.
func (g *GraphQL) SchemaTag(ctx context.Context, org OrgID, id ConnectionID) (string, error) {
	row, err := g.db.Org(org).GraphQLSchema(ctx, id)
	if errors.Is(err, db.ErrNotFound) || err == nil && row.Hash == "" {
		return "", nil
	}
	const reader = "1" // changes with how a schema is read and told
	return reader + "-" + row.Hash[:min(len(row.Hash), 32)], err
}

// Docs returns the schema that is known of a connection; nil if there is none.
func (g *GraphQL) Docs(ctx context.Context, org OrgID, id ConnectionID) (*GraphQLDocs, error) {
	row, err := g.db.Org(org).GraphQLSchema(ctx, id)
	if errors.Is(err, db.ErrNotFound) || err == nil && row.Hash == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	kept, ok := g.schemas[id]
	g.mu.Unlock()
	if !ok || kept.hash != row.Hash || kept.org != org {
		packed, err := g.db.Org(org).GraphQLSchemaBody(ctx, id)
		if err != nil {
			return nil, err
		}
		body, err := unpack(packed)
		if err != nil {
			return nil, fmt.Errorf("unpack the schema of connection %d: %w", id, err)
		}
		s, err := graphql.ReadIntrospection(200, body)
		if err != nil {
			return nil, fmt.Errorf("read the stored schema of connection %d: %w", id, err)
		}
		kept = readSchema{org: org, hash: row.Hash, schema: s}
	}
	kept.used = g.now()
	g.keep(id, kept)
	return kept.schema, nil
}

// keep holds a schema in memory, in the place of the one that was not used for
// the longest time if there are too many.
func (g *GraphQL) keep(id ConnectionID, s readSchema) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.schemas[id] = s
	for len(g.schemas) > keptSchemas {
		oldest := id
		for other, s := range g.schemas {
			if s.used.Before(g.schemas[oldest].used) || oldest == id {
				oldest = other
			}
		}
		delete(g.schemas, oldest)
	}
}

// AskSchema has a connection's schema fetched anew. It takes the role support.
func (g *GraphQL) AskSchema(ctx context.Context, actor Actor, id ConnectionID) (Ask, error) {
	if err := mayGraphQL(actor); err != nil {
		return Ask{}, err
	}
	if _, err := g.rocket(ctx, actor.Org, id); err != nil {
		return Ask{}, err
	}
	return g.asks.Put(ctx, actor, AskSpec{Connection: id, Kind: askGraphQLSchema})
}

// rocket finds a LogRocket connection in use.
func (g *GraphQL) rocket(ctx context.Context, org OrgID, id ConnectionID) (Connection, error) {
	conn, err := g.conns.Get(ctx, org, id)
	switch {
	case err != nil:
	case conn.Removed():
		err = &Error{Kind: Conflict, Msg: fmt.Sprintf("The connection “%s” was removed. Nothing can be asked through it.", conn.Name)}
	case conn.Vendor != LogRocket:
		err = invalid("“%s” is a connection to %s. Only LogRocket has GraphQL.", conn.Name, conn.Vendor)
	}
	return conn, err
}

func mayGraphQL(a Actor) error {
	if a.Role < Support {
		return &Error{Kind: Denied, Msg: "Asking LogRocket takes the support role. An admin can give it to you."}
	}
	return nil
}

// fetch asks for a schema, with older questions if the newest is not understood.
func (g *GraphQL) fetch(ctx context.Context, ask Ask) (any, string, error) {
	client, conn, err := g.conns.logrocket(ctx, ask.Org, ask.Connection)
	if err != nil {
		return nil, "", vendorError(conn, err, g.now())
	}
	var schema *graphql.Schema
	var body []byte
	for _, q := range graphql.Introspections() {
		schema, body, err = g.introspect(ctx, client, q)
		var no *graphql.SchemaError
		if !errors.As(err, &no) || no.Why != graphql.TooOld {
			break
		}
	}
	row := db.GraphQLSchema{Connection: ask.Connection, AskedAt: g.now()}
	var no *graphql.SchemaError
	switch {
	case err == nil:
	case errors.As(err, &no):
		row.Why, row.Problem = string(no.Why), no.Msg+" Queries still run; they are checked by the server alone."
		if err := g.db.Org(ask.Org).PutGraphQLSchema(ctx, row, nil); err != nil {
			return nil, "", err
		}
		return nil, row.Problem, nil
	default:
		return nil, "", vendorError(conn, err, g.now())
	}
	if err := g.store(ctx, ask.Org, row, schema, body); err != nil {
		return nil, "", err
	}
	return nil, fmt.Sprintf("The schema is here: %s.", plural(len(schema.TypeNames()), "type")), nil
}

// introspect asks one question for a schema. An error that is about the answer
// is a *graphql.SchemaError, any other the vendor's.
func (g *GraphQL) introspect(ctx context.Context, client *logrocket.Client, query string) (*graphql.Schema, []byte, error) {
	answer, err := client.ExecuteGraphQL(ctx, logrocket.GraphQLRequest{Query: query, OperationName: "IntrospectionQuery"})
	var e *upstream.Error
	switch {
	case err == nil:
		s, err := graphql.ReadIntrospection(answer.Status, answer.Raw)
		return s, answer.Raw, err
	case errors.As(err, &e) && (e.Kind == upstream.NotFound || e.Kind == upstream.Unexpected && e.Status > 0 || e.Status == 405 || e.Status == 501):
		status := e.Status
		if e.Kind == upstream.NotFound {
			status = 404
		}
		if _, no := graphql.ReadIntrospection(status, []byte(e.First)); no != nil {
			return nil, nil, no
		}
	}
	return nil, nil, err
}

// store keeps a schema, and what is different from the one before.
func (g *GraphQL) store(ctx context.Context, org OrgID, row db.GraphQLSchema, s *graphql.Schema, body []byte) error {
	before, err := g.Docs(ctx, org, row.Connection)
	if err != nil {
		g.log.WarnContext(ctx, "the schema of before cannot be compared", "connection", int64(row.Connection), "err", err)
	}
	was, err := g.db.Org(org).GraphQLSchema(ctx, row.Connection)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	sum := sha256.Sum256(body)
	row.Hash, row.Types, row.FetchedAt = hex.EncodeToString(sum[:]), len(s.TypeNames()), row.AskedAt
	row.Changes, row.ChangeCount, row.ChangedAt = orElse(was.Changes, "[]"), was.ChangeCount, was.ChangedAt
	if before != nil {
		if list, total := graphql.Changes(before, s, maxSchemaChanges); total > 0 {
			text, err := json.Marshal(list)
			if err != nil {
				return err
			}
			row.Changes, row.ChangeCount, row.ChangedAt = string(text), total, row.AskedAt
		}
	}
	packed, err := pack(body)
	if err != nil {
		return err
	}
	return g.db.Org(org).PutGraphQLSchema(ctx, row, packed)
}

func pack(body []byte) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// unpack is the reverse of pack. What it reads was written here, and bounded
// then.
func unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// Lock says from which role on a connection takes mutations; NoRole means from
// none.
func (g *GraphQL) Lock(ctx context.Context, org OrgID, id ConnectionID) (Role, error) {
	role, err := g.db.Org(org).GraphQLLock(ctx, id)
	return ParseRole(role), err
}

// SetLock says from which role on a connection takes mutations: support, admin,
// owner, or NoRole for none. It takes the role admin.
func (g *GraphQL) SetLock(ctx context.Context, actor Actor, id ConnectionID, from Role) error {
	conn, err := g.conns.inUse(ctx, actor, id)
	if err != nil {
		return err
	}
	if conn.Vendor != LogRocket {
		return invalid("“%s” is a connection to %s. Only LogRocket has GraphQL.", conn.Name, conn.Vendor)
	}
	if from == Viewer {
		return invalid("Choose a role that may ask LogRocket.")
	}
	was, err := g.Lock(ctx, actor.Org, id)
	if err != nil || was == from {
		return err
	}
	summary := fmt.Sprintf("Locked GraphQL mutations through “%s”", conn.Name)
	if from != NoRole {
		summary = fmt.Sprintf("Allowed GraphQL mutations through “%s” from the role %s on", conn.Name, from)
	}
	e := g.conns.entry(actor, "connection.mutations", conn.Name, summary)
	e.Before, e.After = orElse(was.String(), "locked"), orElse(from.String(), "locked")
	return notFound(g.db.Org(actor.Org).SetGraphQLLock(ctx, id, from.String(), e), noConnection)
}
