-- +goose Up

-- A page of a site: the addresses of page views without what differs from
-- visit to visit (see NormalizePage).
CREATE TABLE pages (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    path          TEXT NOT NULL,
    UNIQUE (connection_id, path)
) STRICT;

-- Errors that are the same one to the vendor, or have the same title but for
-- numbers and ids (see errorKey).
CREATE TABLE error_groups (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    key           TEXT NOT NULL,
    vendor_id     TEXT NOT NULL DEFAULT '',
    name          TEXT NOT NULL,
    UNIQUE (connection_id, key)
) STRICT;

ALTER TABLE page_views ADD COLUMN page_id INTEGER REFERENCES pages (id);
ALTER TABLE session_errors ADD COLUMN error_group_id INTEGER REFERENCES error_groups (id);

-- The slowest load of a session's page views, and its class, the number of
-- bits of it: a question for loads over some limit walks the index below once
-- for each of the few classes from the limit's up. NULL where no load is known.
ALTER TABLE sessions ADD COLUMN slowest_ms INTEGER;
ALTER TABLE sessions ADD COLUMN slow_class INTEGER;
-- Whether the session is in the rollups. Those from before there were any are
-- not: opening the database counts them, some at a time.
ALTER TABLE sessions ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sessions_uncounted ON sessions (id) WHERE counted = 0;

CREATE INDEX sessions_browser ON sessions (connection_id, browser, started_at, id);
CREATE INDEX sessions_os ON sessions (connection_id, os, started_at, id);
CREATE INDEX sessions_rating ON sessions (connection_id, rating, started_at, id) WHERE rating <> '';
CREATE INDEX sessions_slow ON sessions (connection_id, slow_class, started_at, id) WHERE slow_class IS NOT NULL;
CREATE INDEX sessions_errors ON sessions (connection_id, started_at, id) WHERE error_count > 0;

-- Which sessions saw a page, and which had an error, in the order in which
-- lists show sessions. No foreign key leads to sessions: deleting one would
-- scan here. What deletes a session finds its rows by its page views.
CREATE TABLE session_pages (
    page_id    INTEGER NOT NULL REFERENCES pages (id),
    started_at INTEGER NOT NULL, -- the session's
    session_id INTEGER NOT NULL,
    org_id     INTEGER NOT NULL REFERENCES organizations (id),
    views      INTEGER NOT NULL,
    slowest_ms INTEGER,
    PRIMARY KEY (page_id, started_at, session_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE session_error_groups (
    group_id    INTEGER NOT NULL REFERENCES error_groups (id),
    started_at  INTEGER NOT NULL, -- the session's
    session_id  INTEGER NOT NULL,
    org_id      INTEGER NOT NULL REFERENCES organizations (id),
    occurrences INTEGER NOT NULL,
    PRIMARY KEY (group_id, started_at, session_id)
) STRICT, WITHOUT ROWID;

-- Rollups. A day is the UTC day (days since 1970-01-01) on which a session
-- began; all that happened in the session counts there. They change in the
-- transaction that changes the session.

-- Sessions a day: all of them (facet 'all', value ''), and by the value of one
-- facet ('country', 'browser', 'os'; value '' where it is not known).
CREATE TABLE session_days (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    facet         TEXT NOT NULL,
    day           INTEGER NOT NULL,
    value         TEXT NOT NULL,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    sessions      INTEGER NOT NULL,
    detailed      INTEGER NOT NULL, -- of which page views and errors are here
    with_errors   INTEGER NOT NULL,
    anonymous     INTEGER NOT NULL,
    excellent     INTEGER NOT NULL,
    good          INTEGER NOT NULL,
    average       INTEGER NOT NULL,
    poor          INTEGER NOT NULL,
    PRIMARY KEY (connection_id, facet, day, value)
) STRICT, WITHOUT ROWID;

-- Page views a day. loads is a histogram of load times in steps of 10 %,
-- packed (see Loads).
CREATE TABLE page_days (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    day           INTEGER NOT NULL,
    page_id       INTEGER NOT NULL REFERENCES pages (id),
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    sessions      INTEGER NOT NULL,
    views         INTEGER NOT NULL,
    timed         INTEGER NOT NULL, -- views whose load time is known
    loads         BLOB NOT NULL,
    PRIMARY KEY (connection_id, day, page_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE error_days (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    day           INTEGER NOT NULL,
    group_id      INTEGER NOT NULL REFERENCES error_groups (id),
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    sessions      INTEGER NOT NULL,
    occurrences   INTEGER NOT NULL,
    PRIMARY KEY (connection_id, day, group_id)
) STRICT, WITHOUT ROWID;
