-- +goose Up

-- How the audit log of a LogRocket connection is followed. cursor asks for what
-- is new, and is of the log of app; pages is how many were stored with it, so
-- that a page that was asked for before another was stored does not move it.
-- waiting says in a word why nothing is asked until next_at (or, refused, at
-- all), message the same to a person.
CREATE TABLE audit_follows (
    connection_id INTEGER PRIMARY KEY REFERENCES connections (id),
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    enabled       INTEGER NOT NULL DEFAULT 0,
    app           TEXT NOT NULL DEFAULT '',
    cursor        TEXT NOT NULL DEFAULT '',
    pages         INTEGER NOT NULL DEFAULT 0,
    entries       INTEGER NOT NULL DEFAULT 0,
    next_at       INTEGER NOT NULL DEFAULT 0,
    claimed_until INTEGER,
    failures      INTEGER NOT NULL DEFAULT 0,
    waiting       TEXT NOT NULL DEFAULT '',
    message       TEXT NOT NULL DEFAULT '',
    since         INTEGER,
    read_at       INTEGER,
    ended_at      INTEGER, -- when its end was last reached
    failed_at     INTEGER
) STRICT;
CREATE INDEX audit_follows_org ON audit_follows (org_id, connection_id);

-- What LogRocket's audit log says, each entry once: hash is of what it says. at
-- is when it came here where it tells no time (timed 0). Whose recording it is
-- about is found out when it is read, as that may become known later.
CREATE TABLE audit_entries (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    hash          BLOB NOT NULL,
    at            INTEGER NOT NULL,
    timed         INTEGER NOT NULL,
    who           TEXT NOT NULL,
    who_norm      TEXT NOT NULL,
    action        TEXT NOT NULL,
    description   TEXT NOT NULL,
    recording_id  TEXT NOT NULL,
    session_id    TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX audit_entries_once ON audit_entries (connection_id, hash);
CREATE INDEX audit_entries_org ON audit_entries (org_id, at, id);
CREATE INDEX audit_entries_connection ON audit_entries (connection_id, at, id);
CREATE INDEX audit_entries_who ON audit_entries (org_id, who_norm, at, id);
CREATE INDEX audit_entries_action ON audit_entries (org_id, action, at, id);
CREATE INDEX audit_entries_deeds ON audit_entries (org_id, who_norm, action, at, id);
CREATE INDEX audit_entries_recording ON audit_entries (org_id, recording_id, at, id, session_id);
