-- +goose Up

-- A session that Raygun v1 and v3 both told of is one row, of the connection
-- that told of it first. This is the other connection's word for it: found when
-- that one sends the session (again), and the way to its page at the vendor.
CREATE TABLE session_sightings (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    vendor_id     TEXT NOT NULL,
    session_id    INTEGER NOT NULL REFERENCES sessions (id),
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    started_at    INTEGER NOT NULL, -- as this connection told it
    web_url       TEXT NOT NULL DEFAULT '',
    listed_at     INTEGER,
    detailed_at   INTEGER,
    PRIMARY KEY (connection_id, vendor_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_sightings_session ON session_sightings (session_id);
CREATE INDEX session_sightings_started ON session_sightings (connection_id, started_at);

-- Two connections that have told of the same session, and so of the same
-- application; one row each way.
CREATE TABLE connection_twins (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    twin_id       INTEGER NOT NULL REFERENCES connections (id),
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    PRIMARY KEY (connection_id, twin_id)
) STRICT, WITHOUT ROWID;

-- v3 names the user of a session by id alone. Until the rest is learned, the
-- session is nobody's: user_partial. viewport_* and deployment come with v3
-- only. detail_from is the connection whose detail is here, where that is not
-- the session's own.
ALTER TABLE sessions ADD COLUMN user_partial INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN viewport_width INTEGER;
ALTER TABLE sessions ADD COLUMN viewport_height INTEGER;
ALTER TABLE sessions ADD COLUMN deployment TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN detail_from INTEGER REFERENCES connections (id);
CREATE INDEX sessions_partial ON sessions (connection_id, user_id, id) WHERE user_partial = 1;

-- What v3 said of the users, pages and error groups that it names by id.
CREATE TABLE raygun_users (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    user_id       TEXT NOT NULL,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    identifier    TEXT NOT NULL DEFAULT '',
    email         TEXT NOT NULL DEFAULT '',
    name          TEXT NOT NULL DEFAULT '',
    anonymous     INTEGER NOT NULL DEFAULT 0,
    learned_at    INTEGER NOT NULL,
    joined        INTEGER NOT NULL DEFAULT 0, -- the sessions that named them by id alone have been given to them
    PRIMARY KEY (connection_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX raygun_users_unjoined ON raygun_users (connection_id, user_id) WHERE joined = 0;
CREATE TABLE raygun_names (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    kind          TEXT NOT NULL CHECK (kind IN ('page', 'error')),
    vendor_id     TEXT NOT NULL,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    name          TEXT NOT NULL,
    learned_at    INTEGER NOT NULL,
    PRIMARY KEY (connection_id, kind, vendor_id)
) STRICT, WITHOUT ROWID;
ALTER TABLE page_views ADD COLUMN vendor_page TEXT NOT NULL DEFAULT '';

-- Core Web Vitals of one UTC day, as v3's histogram: triples of a bucket's
-- bounds and how often its values occurred, JSON. A day that was over when it
-- was asked for is whole and not asked for again.
CREATE TABLE vital_days (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    day           INTEGER NOT NULL,
    metric        TEXT NOT NULL,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    buckets       TEXT NOT NULL,
    whole         INTEGER NOT NULL,
    asked_at      INTEGER NOT NULL,
    PRIMARY KEY (connection_id, day, metric)
) STRICT, WITHOUT ROWID;
