-- +goose Up

-- A run fetches the details of the sessions that a member chose, one call after
-- the other. todo holds the ids of those that are left, the next one first: a
-- JSON array. ask_id is the question about the next one once it was put, so
-- that a run that was cut off does not put it twice (no foreign key leads to
-- asks). streak counts the failures in a row.
CREATE TABLE detail_runs (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    actor_id      INTEGER REFERENCES users (id),
    state         TEXT NOT NULL CHECK (state IN ('open', 'paused', 'done', 'stopped')),
    todo          TEXT NOT NULL,
    total         INTEGER NOT NULL,
    done          INTEGER NOT NULL DEFAULT 0,
    failed        INTEGER NOT NULL DEFAULT 0,
    streak        INTEGER NOT NULL DEFAULT 0,
    ask_id        INTEGER,
    message       TEXT NOT NULL DEFAULT '',
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;
-- A connection has one open run: two tabs join it.
CREATE UNIQUE INDEX detail_runs_open ON detail_runs (connection_id) WHERE state = 'open';
CREATE INDEX detail_runs_latest ON detail_runs (connection_id, id);

-- A person's question that spends only what the reserve leaves, because it is
-- one of many.
ALTER TABLE asks ADD COLUMN spare INTEGER NOT NULL DEFAULT 0;

-- Whether sync fetches details of sessions, on how many calls a day at most,
-- and how many it has made on a day (days since 1970-01-01).
ALTER TABLE syncs ADD COLUMN details INTEGER NOT NULL DEFAULT 0;
ALTER TABLE syncs ADD COLUMN detail_calls INTEGER NOT NULL DEFAULT 10;
ALTER TABLE syncs ADD COLUMN detail_day INTEGER NOT NULL DEFAULT 0;
ALTER TABLE syncs ADD COLUMN detail_spent INTEGER NOT NULL DEFAULT 0;
UPDATE syncs SET detail_calls = 2000 WHERE connection_id IN (SELECT id FROM connections WHERE vendor = 'raygun_v3');
