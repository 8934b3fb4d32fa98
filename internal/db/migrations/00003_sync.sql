-- +goose Up

-- How many counted calls a day background work may make at most. 0 is all that
-- the reserve for people leaves.
ALTER TABLE connections ADD COLUMN share INTEGER NOT NULL DEFAULT 0;
-- How many of a day's calls were background work's.
ALTER TABLE budget_days ADD COLUMN background INTEGER NOT NULL DEFAULT 0;

-- The call ledger by hour (hours since 1970-01-01 00:00 UTC), kept in the
-- transaction that writes the call: charts read this and never the ledger.
-- uncounted are calls that take none of the day's allowance.
CREATE TABLE call_hours (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    hour          INTEGER NOT NULL,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    people        INTEGER NOT NULL DEFAULT 0,
    background    INTEGER NOT NULL DEFAULT 0,
    uncounted     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (connection_id, hour)
) STRICT, WITHOUT ROWID;
INSERT INTO call_hours (connection_id, hour, org_id, people, background, uncounted)
SELECT connection_id, started_at / 3600000, org_id,
    sum(counts = 1 AND purpose = 'person'), sum(counts = 1 AND purpose = 'background'), sum(counts = 0)
FROM calls GROUP BY connection_id, started_at / 3600000, org_id;
UPDATE budget_days SET background = (
    SELECT count(*) FROM calls c
    WHERE c.org_id = budget_days.org_id AND c.connection_id = budget_days.connection_id
        AND c.counts = 1 AND c.purpose = 'background' AND c.started_at / 86400000 = budget_days.day);

-- How a connection keeps its mirror fresh. followed_to is up to when new
-- sessions were read without a gap; waiting says in a word why nothing is asked
-- until next_at, message the same to a person.
CREATE TABLE syncs (
    connection_id  INTEGER PRIMARY KEY REFERENCES connections (id),
    org_id         INTEGER NOT NULL REFERENCES organizations (id),
    enabled        INTEGER NOT NULL DEFAULT 0,
    retention_days INTEGER NOT NULL DEFAULT 60,
    followed_to    INTEGER,
    next_at        INTEGER NOT NULL DEFAULT 0,
    claimed_until  INTEGER,
    failures       INTEGER NOT NULL DEFAULT 0,
    waiting        TEXT NOT NULL DEFAULT '',
    message        TEXT NOT NULL DEFAULT '',
    worked_at      INTEGER,
    failed_at      INTEGER
) STRICT;
CREATE INDEX syncs_claimed ON syncs (claimed_until) WHERE claimed_until IS NOT NULL;

-- A stretch of time that is being read page by page, until every session in it
-- is here; then the row goes and sync_days has the outcome. todo is the ranges
-- still to be read, of which the first is under way; the columns behind it tell
-- of that one.
CREATE TABLE sync_walks (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    purpose       TEXT NOT NULL CHECK (purpose IN ('follow', 'backfill', 'person')),
    day           INTEGER, -- the newest UTC day in it; NULL for follow
    actor_id      INTEGER REFERENCES users (id),
    calls_left    INTEGER, -- what a person agreed to spend; NULL for background
    from_at       INTEGER NOT NULL,
    to_at         INTEGER NOT NULL,
    todo          TEXT NOT NULL,
    skip          INTEGER NOT NULL DEFAULT 0,
    reached_at    INTEGER, -- from when on all is here already; NULL where the order does not tell
    pass          INTEGER NOT NULL DEFAULT 0,
    pass_pages    INTEGER NOT NULL DEFAULT 0,
    pass_fresh    INTEGER NOT NULL DEFAULT 0,
    pass_repeats  INTEGER NOT NULL DEFAULT 0,
    unreadable    INTEGER NOT NULL DEFAULT 0,
    total         INTEGER, -- the largest that the vendor named in this pass
    seen          INTEGER NOT NULL DEFAULT 0,
    found         INTEGER NOT NULL DEFAULT 0,
    lacking       INTEGER NOT NULL DEFAULT 0,
    pages         INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX sync_walks_follow ON sync_walks (connection_id) WHERE purpose = 'follow';
CREATE UNIQUE INDEX sync_walks_day ON sync_walks (connection_id, day);

-- The different sessions that a walk has met in the range under way.
CREATE TABLE sync_seen (
    walk_id    INTEGER NOT NULL REFERENCES sync_walks (id),
    session_id INTEGER NOT NULL,
    org_id     INTEGER NOT NULL REFERENCES organizations (id),
    PRIMARY KEY (walk_id, session_id)
) STRICT, WITHOUT ROWID;

-- Which part of a UTC day (days since 1970-01-01) was read to its end, and
-- when. lacking is how many sessions the vendor counted beyond those it sent.
CREATE TABLE sync_days (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    day           INTEGER NOT NULL,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    from_at       INTEGER NOT NULL,
    to_at         INTEGER NOT NULL,
    sessions      INTEGER NOT NULL DEFAULT 0,
    lacking       INTEGER NOT NULL DEFAULT 0,
    walks         INTEGER NOT NULL DEFAULT 0,
    walked_at     INTEGER NOT NULL,
    PRIMARY KEY (connection_id, day)
) STRICT, WITHOUT ROWID;
