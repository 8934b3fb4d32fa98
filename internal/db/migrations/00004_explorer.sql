-- +goose Up

-- Active sessions are few: without this, finding them walks all others.
CREATE INDEX sessions_active ON sessions (connection_id, started_at, id) WHERE lower(status) = 'active';

-- An error group by its whole name, and all names of a connection without the
-- rows.
CREATE INDEX error_groups_name ON error_groups (connection_id, name);

-- Filters of the session explorer that people keep. A shared one is the
-- organization's, any other is its owner's alone. Names are compared by
-- name_norm.
CREATE TABLE saved_views (
    id         INTEGER PRIMARY KEY,
    org_id     INTEGER NOT NULL REFERENCES organizations (id),
    owner_id   INTEGER NOT NULL REFERENCES users (id),
    shared     INTEGER NOT NULL,
    name       TEXT NOT NULL,
    name_norm  TEXT NOT NULL,
    query      TEXT NOT NULL,
    columns    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX saved_views_shared ON saved_views (org_id, name_norm) WHERE shared = 1;
CREATE UNIQUE INDEX saved_views_own ON saved_views (org_id, owner_id, name_norm) WHERE shared = 0;

-- The view that a member begins with.
CREATE TABLE default_views (
    org_id  INTEGER NOT NULL REFERENCES organizations (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    view_id INTEGER NOT NULL REFERENCES saved_views (id) ON DELETE CASCADE,
    PRIMARY KEY (org_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX default_views_view ON default_views (view_id);
