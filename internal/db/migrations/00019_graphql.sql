-- +goose Up

-- What a connection's GraphQL server says that it can be asked: the answer to
-- the last introspection that had one, packed, and what is different in it from
-- the one before. problem says why the last introspection had no answer.
CREATE TABLE graphql_schemas (
    connection_id INTEGER PRIMARY KEY REFERENCES connections (id),
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    hash          TEXT NOT NULL,
    body          BLOB NOT NULL,
    types         INTEGER NOT NULL,
    fetched_at    INTEGER,
    asked_at      INTEGER NOT NULL,
    why           TEXT NOT NULL,
    problem       TEXT NOT NULL,
    changes       TEXT NOT NULL,
    change_count  INTEGER NOT NULL,
    changed_at    INTEGER
) STRICT;

-- From which role on a connection takes mutations; no row means from none.
CREATE TABLE graphql_locks (
    connection_id INTEGER PRIMARY KEY REFERENCES connections (id),
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    role          TEXT NOT NULL CHECK (role IN ('support', 'admin', 'owner'))
) STRICT;

-- A question that a member keeps for the organization.
CREATE TABLE saved_queries (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    owner_id      INTEGER NOT NULL REFERENCES users (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    name          TEXT NOT NULL,
    name_norm     TEXT NOT NULL,
    description   TEXT NOT NULL,
    query         TEXT NOT NULL,
    operation     TEXT NOT NULL,
    variables     TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX saved_queries_name ON saved_queries (org_id, name_norm);

-- One question to a connection's GraphQL server, asked at most once, and its
-- answer, packed.
CREATE TABLE graphql_runs (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    author_id     INTEGER NOT NULL REFERENCES users (id),
    saved_id      INTEGER REFERENCES saved_queries (id) ON DELETE SET NULL,
    form_token    TEXT NOT NULL,
    query         TEXT NOT NULL,
    operation     TEXT NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('query', 'mutation')),
    variables     TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'done', 'failed', 'stopped', 'interrupted')),
    message       TEXT NOT NULL DEFAULT '',
    error_kind    TEXT NOT NULL DEFAULT '',
    status        INTEGER NOT NULL DEFAULT 0,
    errors        INTEGER NOT NULL DEFAULT 0,
    size          INTEGER NOT NULL DEFAULT 0,
    body          BLOB,
    created_at    INTEGER NOT NULL,
    started_at    INTEGER,
    finished_at   INTEGER
) STRICT;
CREATE INDEX graphql_runs_author ON graphql_runs (org_id, author_id, id);
CREATE UNIQUE INDEX graphql_runs_form ON graphql_runs (org_id, form_token);
CREATE INDEX graphql_runs_open ON graphql_runs (state, id) WHERE state IN ('queued', 'sending');
CREATE INDEX graphql_runs_saved ON graphql_runs (saved_id) WHERE saved_id IS NOT NULL;
