-- +goose Up

-- A saved query that is asked through a form, by people who need not read it.
-- role is the least that may. fields says of each variable how it is asked for:
-- a JSON list. What is asked is the saved query as it is then.
CREATE TABLE query_forms (
    id           INTEGER PRIMARY KEY,
    org_id       INTEGER NOT NULL REFERENCES organizations (id),
    saved_id     INTEGER NOT NULL REFERENCES saved_queries (id) ON DELETE CASCADE,
    publisher_id INTEGER NOT NULL REFERENCES users (id),
    role         TEXT NOT NULL CHECK (role IN ('viewer', 'support', 'admin', 'owner')),
    title        TEXT NOT NULL,
    title_norm   TEXT NOT NULL,
    help         TEXT NOT NULL,
    fields       TEXT NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX query_forms_saved ON query_forms (saved_id);
CREATE INDEX query_forms_org ON query_forms (org_id, title_norm, id);

-- A saved query that is asked again and again, for a member: each hour, day or
-- week, minute minutes after its beginning in UTC (a week begins on Monday).
-- keep is how many results stay with their answers; trend names the number of
-- them that is watched.
CREATE TABLE query_schedules (
    id         INTEGER PRIMARY KEY,
    org_id     INTEGER NOT NULL REFERENCES organizations (id),
    saved_id   INTEGER NOT NULL REFERENCES saved_queries (id) ON DELETE CASCADE,
    member_id  INTEGER NOT NULL REFERENCES users (id),
    every      TEXT NOT NULL CHECK (every IN ('hour', 'day', 'week')),
    minute     INTEGER NOT NULL,
    variables  TEXT NOT NULL,
    keep       INTEGER NOT NULL,
    trend      TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('active', 'paused')),
    message    TEXT NOT NULL,
    failures   INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX query_schedules_org ON query_schedules (org_id, id);
CREATE INDEX query_schedules_saved ON query_schedules (saved_id);
CREATE INDEX query_schedules_due ON query_schedules (next_at, id) WHERE state = 'active';

-- A run of a schedule has the moment that it was for, which no other run of it
-- has, and the numbers of its answer: a JSON list.
ALTER TABLE graphql_runs ADD COLUMN schedule_id INTEGER REFERENCES query_schedules (id) ON DELETE CASCADE;
ALTER TABLE graphql_runs ADD COLUMN slot_at INTEGER;
ALTER TABLE graphql_runs ADD COLUMN numbers TEXT;
CREATE UNIQUE INDEX graphql_runs_slot ON graphql_runs (schedule_id, slot_at) WHERE schedule_id IS NOT NULL;

-- A member's own runs are those of no schedule.
DROP INDEX graphql_runs_author;
CREATE INDEX graphql_runs_author ON graphql_runs (org_id, author_id, schedule_id, id);
-- What somebody asked through a form is looked for by its query.
DROP INDEX graphql_runs_saved;
CREATE INDEX graphql_runs_saved ON graphql_runs (saved_id, author_id, id) WHERE saved_id IS NOT NULL;
