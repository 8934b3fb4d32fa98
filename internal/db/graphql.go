package db

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// GraphQLSchema is what is known of a connection's GraphQL schema.
type GraphQLSchema struct {
	Connection ConnectionID
	// Hash tells one schema from another; empty if there was none yet.
	Hash string
	// Types is how many types it has.
	Types int
	// FetchedAt is when it last was as it is, zero if there was none yet.
	FetchedAt time.Time
	// AskedAt is when it was last asked for, Why and Problem why that brought none;
	// both are empty if it brought one.
	AskedAt      time.Time
	Why, Problem string
	// Changes is a JSON list of what was different at ChangedAt, and ChangeCount
	// how many differences there were.
	Changes     string
	ChangeCount int
	ChangedAt   time.Time
}

func scanGraphQLSchema(s scanner) (GraphQLSchema, error) {
	var g GraphQLSchema
	var fetched, asked, changed sql.NullInt64
	err := s.Scan(&g.Connection, &g.Hash, &g.Types, &fetched, &asked, &g.Why, &g.Problem, &g.Changes, &g.ChangeCount, &changed)
	g.FetchedAt, g.AskedAt, g.ChangedAt = timeOf(fetched), timeOf(asked), timeOf(changed)
	return g, err
}

// GraphQLSchema reads what is known of a connection's schema, without the schema
// itself; ErrNotFound if it was never asked for.
func (o Org) GraphQLSchema(ctx context.Context, conn ConnectionID) (GraphQLSchema, error) {
	return one(ctx, o.db.r, "GraphQL schema", scanGraphQLSchema, `
		SELECT connection_id, hash, types, fetched_at, asked_at, why, problem, changes, change_count, changed_at
		FROM graphql_schemas WHERE connection_id = ? AND org_id = ?`, conn, o.id)
}

func scanBytes(s scanner) ([]byte, error) {
	var b []byte
	err := s.Scan(&b)
	return b, err
}

// GraphQLSchemaBody reads the packed schema of a connection.
func (o Org) GraphQLSchemaBody(ctx context.Context, conn ConnectionID) ([]byte, error) {
	return one(ctx, o.db.r, "GraphQL schema", scanBytes, `
		SELECT body FROM graphql_schemas WHERE connection_id = ? AND org_id = ?`, conn, o.id)
}

// PutGraphQLSchema stores how asking for a schema went. A nil body keeps the
// schema that is there, with its age and changes.
func (o Org) PutGraphQLSchema(ctx context.Context, g GraphQLSchema, body []byte) error {
	if body == nil {
		return must(exec(ctx, o.db.w, "GraphQL schema", `
			INSERT INTO graphql_schemas (connection_id, org_id, hash, body, types, asked_at, why, problem, changes, change_count)
			SELECT id, org_id, '', x'', 0, ?, ?, ?, '[]', 0 FROM connections WHERE id = ? AND org_id = ?
			ON CONFLICT (connection_id) DO UPDATE SET asked_at = excluded.asked_at, why = excluded.why, problem = excluded.problem`,
			ms(g.AskedAt), g.Why, g.Problem, g.Connection, o.id))
	}
	return must(exec(ctx, o.db.w, "GraphQL schema", `
		INSERT INTO graphql_schemas (connection_id, org_id, hash, body, types, fetched_at, asked_at, why, problem, changes, change_count, changed_at)
		SELECT id, org_id, ?, ?, ?, ?, ?, '', '', ?, ?, ? FROM connections WHERE id = ? AND org_id = ?
		ON CONFLICT (connection_id) DO UPDATE SET hash = excluded.hash, body = excluded.body, types = excluded.types, fetched_at = excluded.fetched_at,
			asked_at = excluded.asked_at, why = '', problem = '', changes = excluded.changes, change_count = excluded.change_count, changed_at = excluded.changed_at`,
		g.Hash, body, g.Types, ms(g.FetchedAt), ms(g.AskedAt), g.Changes, g.ChangeCount, ms(g.ChangedAt), g.Connection, o.id))
}

// GraphQLLock reads from which role on a connection takes mutations; empty
// means from none.
func (o Org) GraphQLLock(ctx context.Context, conn ConnectionID) (string, error) {
	role, err := one(ctx, o.db.r, "GraphQL lock", scanText, `
		SELECT role FROM graphql_locks WHERE connection_id = ? AND org_id = ?`, conn, o.id)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return role, err
}

// SetGraphQLLock says from which role on a LogRocket connection in use takes
// mutations; empty locks them. A connection that is locked already is
// ErrNotFound then.
func (o Org) SetGraphQLLock(ctx context.Context, conn ConnectionID, role string, e HistoryEntry) error {
	return o.changeConnection(ctx, e, conn, func(tx *sql.Tx) (int64, error) {
		if role == "" {
			return exec(ctx, tx, "GraphQL lock", `DELETE FROM graphql_locks WHERE connection_id = ? AND org_id = ?`, conn, o.id)
		}
		return exec(ctx, tx, "GraphQL lock", `
			INSERT INTO graphql_locks (connection_id, org_id, role)
			SELECT id, org_id, ?1 FROM connections WHERE id = ?2 AND org_id = ?3 AND vendor = 'logrocket' AND removed_at IS NULL
			ON CONFLICT (connection_id) DO UPDATE SET role = excluded.role`, role, conn, o.id)
	})
}

// SavedQuery is a GraphQL query that a member keeps for the organization.
type SavedQuery struct {
	ID         SavedQueryID
	Owner      UserID
	OwnerName  string // what the owner is called today, filled on reading
	Connection ConnectionID
	// Name is one of a kind in the organization, by its normalised form.
	Name, Description           string
	Query, Operation, Variables string
	UpdatedAt                   time.Time
}

const savedQueryColumns = `q.id, q.owner_id, coalesce((SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = q.owner_id), ''),
	q.connection_id, q.name, q.description, q.query, q.operation, q.variables, q.updated_at`

func scanSavedQuery(s scanner) (SavedQuery, error) {
	var q SavedQuery
	var updated sql.NullInt64
	err := s.Scan(&q.ID, &q.Owner, &q.OwnerName, &q.Connection, &q.Name, &q.Description, &q.Query, &q.Operation, &q.Variables, &updated)
	q.UpdatedAt = timeOf(updated)
	return q, err
}

// SavedQueries lists the organization's queries by name, at most 500.
func (o Org) SavedQueries(ctx context.Context) ([]SavedQuery, error) {
	return list(ctx, o.db.r, "saved queries", scanSavedQuery, `
		SELECT `+savedQueryColumns+` FROM saved_queries q WHERE q.org_id = ? ORDER BY q.name_norm LIMIT 500`, o.id)
}

// SavedQuery finds a query.
func (o Org) SavedQuery(ctx context.Context, id SavedQueryID) (SavedQuery, error) {
	return one(ctx, o.db.r, "saved query", scanSavedQuery, `
		SELECT `+savedQueryColumns+` FROM saved_queries q WHERE q.id = ? AND q.org_id = ?`, id, o.id)
}

// SaveQuery keeps a query, a new one if its id is 0. If the name is taken it is
// ErrExists, if there are most already ErrFull, and if it or its connection is
// not the organization's ErrNotFound. A changed query keeps its owner.
func (o Org) SaveQuery(ctx context.Context, q SavedQuery, most int, e HistoryEntry) (SavedQueryID, error) {
	id := int64(q.ID)
	err := o.write(ctx, func(tx *sql.Tx) error {
		_, err := one(ctx, tx, "connection", scanInt, `SELECT id FROM connections WHERE id = ? AND org_id = ?`, q.Connection, o.id)
		if err != nil {
			return err
		}
		if q.ID != 0 {
			err = must(exec(ctx, tx, "saved query", `
				UPDATE saved_queries SET connection_id = ?, name = ?, name_norm = ?, description = ?, query = ?, operation = ?, variables = ?, updated_at = ?
				WHERE id = ? AND org_id = ?`,
				q.Connection, q.Name, Normalize(q.Name), q.Description, q.Query, q.Operation, q.Variables, ms(q.UpdatedAt), q.ID, o.id))
		} else {
			n, cerr := one(ctx, tx, "saved queries", scanInt, `SELECT count(*) FROM saved_queries WHERE org_id = ?`, o.id)
			switch {
			case cerr != nil:
				return cerr
			case n >= int64(most):
				return ErrFull
			}
			id, err = one(ctx, tx, "saved query", scanInt, `
				INSERT INTO saved_queries (org_id, owner_id, connection_id, name, name_norm, description, query, operation, variables, created_at, updated_at)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
				o.id, q.Owner, q.Connection, q.Name, Normalize(q.Name), q.Description, q.Query, q.Operation, q.Variables, ms(q.UpdatedAt), ms(q.UpdatedAt))
		}
		if err != nil {
			return err
		}
		e.Connection = q.Connection
		return addHistory(ctx, tx, o.id, e)
	})
	if err != nil {
		return 0, err
	}
	return SavedQueryID(id), nil
}

// DeleteSavedQuery deletes a query; its runs stay.
func (o Org) DeleteSavedQuery(ctx context.Context, id SavedQueryID, e HistoryEntry) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "saved query", `DELETE FROM saved_queries WHERE id = ? AND org_id = ?`, id, o.id)); err != nil {
			return err
		}
		return addHistory(ctx, tx, o.id, e)
	})
}
