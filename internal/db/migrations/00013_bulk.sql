-- +goose Up

-- A bulk edit changes the traits of many LogRocket users from a CSV file, or
-- takes back what another one did (undo_of). format is how the file is written,
-- mapping what its columns mean: JSON. line is how far the dry run has read.
-- The counts are of its lines by state; streak counts failures in a row.
-- stretch_at and stretch_done are when it last began to send and how many were
-- done by then: the rate is told from there.
CREATE TABLE bulk_edits (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    author_id     INTEGER REFERENCES users (id),
    undo_of       INTEGER REFERENCES bulk_edits (id),
    form_token    TEXT NOT NULL,
    file_name     TEXT NOT NULL DEFAULT '',
    bytes         INTEGER NOT NULL DEFAULT 0,
    format        TEXT NOT NULL DEFAULT '{}',
    mapping       TEXT NOT NULL DEFAULT '{}',
    reason        TEXT NOT NULL DEFAULT '',
    rate          INTEGER NOT NULL DEFAULT 0,
    state         TEXT NOT NULL CHECK (state IN ('uploading', 'uploaded', 'planning', 'planned', 'running', 'paused', 'done', 'cancelled')),
    message       TEXT NOT NULL DEFAULT '',
    line          INTEGER NOT NULL DEFAULT 0,
    ready         INTEGER NOT NULL DEFAULT 0,
    same          INTEGER NOT NULL DEFAULT 0,
    faults        INTEGER NOT NULL DEFAULT 0,
    sent          INTEGER NOT NULL DEFAULT 0,
    failed        INTEGER NOT NULL DEFAULT 0,
    unknown       INTEGER NOT NULL DEFAULT 0,
    streak        INTEGER NOT NULL DEFAULT 0,
    stretch_at    INTEGER,
    stretch_done  INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    started_at    INTEGER,
    finished_at   INTEGER
) STRICT;
-- A form is taken once, however often its button is pressed.
CREATE UNIQUE INDEX bulk_edits_form ON bulk_edits (org_id, form_token);
CREATE INDEX bulk_edits_org ON bulk_edits (org_id, id);
-- One at a time is sent through a connection.
CREATE UNIQUE INDEX bulk_edits_running ON bulk_edits (connection_id) WHERE state = 'running';
CREATE INDEX bulk_edits_undo ON bulk_edits (undo_of) WHERE undo_of IS NOT NULL;
CREATE INDEX bulk_edits_open ON bulk_edits (state, id) WHERE state IN ('uploading', 'planning', 'running');

-- The file of a bulk edit, in parts. It goes when the edit is sent or dropped.
CREATE TABLE bulk_parts (
    bulk_id INTEGER NOT NULL REFERENCES bulk_edits (id),
    part    INTEGER NOT NULL,
    org_id  INTEGER NOT NULL REFERENCES organizations (id),
    data    BLOB NOT NULL,
    PRIMARY KEY (bulk_id, part)
) STRICT;

-- What a line of the file does to one user. changes is a JSON array; seen is the
-- user's newest edit by the dry run: a newer one holds the line back. undoes_id
-- is the edit that the line takes back, edit_id what was made of it.
CREATE TABLE bulk_lines (
    bulk_id INTEGER NOT NULL REFERENCES bulk_edits (id),
    line    INTEGER NOT NULL,
    org_id  INTEGER NOT NULL REFERENCES organizations (id),
    user_id TEXT NOT NULL,
    state   TEXT NOT NULL CHECK (state IN ('fault', 'same', 'ready', 'sending', 'sent', 'failed', 'unknown')),
    message TEXT NOT NULL DEFAULT '',
    changes TEXT NOT NULL DEFAULT '[]',
    seen    INTEGER NOT NULL DEFAULT 0,
    undoes_id INTEGER REFERENCES trait_edits (id),
    edit_id INTEGER REFERENCES trait_edits (id),
    PRIMARY KEY (bulk_id, line)
) STRICT, WITHOUT ROWID;
CREATE INDEX bulk_lines_user ON bulk_lines (bulk_id, user_id);
CREATE INDEX bulk_lines_sending ON bulk_lines (state) WHERE state = 'sending';
CREATE INDEX bulk_lines_state ON bulk_lines (bulk_id, state, line);

-- The bulk edit that an edit is a line of. History tells of the whole alone.
ALTER TABLE trait_edits ADD COLUMN bulk_id INTEGER REFERENCES bulk_edits (id);
CREATE INDEX trait_edits_bulk ON trait_edits (bulk_id) WHERE bulk_id IS NOT NULL;
