-- +goose Up

-- How the exports of a LogRocket connection are followed. cursor asks for what
-- is new in the list of app, from_at on; pages is how many pages were stored with
-- it. waiting says in a word why nothing is asked until next_at, message the same
-- to a person. The rest are the limits that members set.
CREATE TABLE export_follows (
    connection_id INTEGER PRIMARY KEY REFERENCES connections (id),
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    enabled       INTEGER NOT NULL DEFAULT 0,
    from_at       INTEGER NOT NULL,
    app           TEXT NOT NULL DEFAULT '',
    cursor        TEXT NOT NULL DEFAULT '',
    pages         INTEGER NOT NULL DEFAULT 0,
    next_at       INTEGER NOT NULL DEFAULT 0,
    claimed_until INTEGER,
    failures      INTEGER NOT NULL DEFAULT 0,
    waiting       TEXT NOT NULL DEFAULT '',
    message       TEXT NOT NULL DEFAULT '',
    since         INTEGER,
    listed_at     INTEGER, -- when a page last came
    ended_at      INTEGER, -- when the end of the list was last reached
    failed_at     INTEGER,
    max_file      INTEGER NOT NULL, -- bytes of one file
    quota         INTEGER NOT NULL, -- bytes of all files kept
    keep_days     INTEGER NOT NULL, -- how long files are kept after they were read; 0 is for ever
    rate          INTEGER NOT NULL  -- bytes a second, 0 is as they come
) STRICT;
CREATE INDEX export_follows_org ON export_follows (org_id, connection_id);

-- One file of events: followed (named by an export list) or uploaded by a
-- member. key tells it from the others of its connection: the address without
-- what expires in it, or the hash of what was uploaded. The address itself is as
-- good as a password and is not stored: page_cursor, or on the first page
-- page_date, asks for the page that names it again. listed → fetching → fetched → reading → read; failed, skipped and
-- canceled are ends, too. stored is how many bytes lie on disk, 0 for none.
CREATE TABLE export_files (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    origin        TEXT NOT NULL CHECK (origin IN ('followed', 'uploaded')),
    key           TEXT NOT NULL,
    name          TEXT NOT NULL,
    page_cursor   TEXT NOT NULL DEFAULT '',
    page_date     INTEGER,
    author_id     INTEGER REFERENCES users (id), -- who uploaded it
    state         TEXT NOT NULL CHECK (state IN ('listed', 'fetching', 'fetched', 'reading', 'read', 'failed', 'skipped', 'canceled')),
    message       TEXT NOT NULL DEFAULT '',      -- why, for a person
    error_kind    TEXT NOT NULL DEFAULT '',
    attempts      INTEGER NOT NULL DEFAULT 0,
    next_at       INTEGER NOT NULL DEFAULT 0,
    size          INTEGER NOT NULL DEFAULT -1,   -- of the whole file on the wire, -1 if not known
    received      INTEGER NOT NULL DEFAULT 0,    -- of it, at the last look
    validator     TEXT NOT NULL DEFAULT '',      -- of the version of which the part on disk is
    stored        INTEGER NOT NULL DEFAULT 0,
    lines         INTEGER NOT NULL DEFAULT 0,
    bad_lines     INTEGER NOT NULL DEFAULT 0,
    events        INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    fetched_at    INTEGER,
    read_at       INTEGER,
    dropped_at    INTEGER                        -- when the file itself was let go of
) STRICT;
CREATE UNIQUE INDEX export_files_once ON export_files (connection_id, key);
CREATE INDEX export_files_connection ON export_files (connection_id, id);
CREATE INDEX export_files_org ON export_files (org_id, id);
CREATE INDEX export_files_due ON export_files (connection_id, next_at, id) WHERE state = 'listed';
CREATE INDEX export_files_open ON export_files (id) WHERE state IN ('fetching', 'fetched', 'reading');
CREATE INDEX export_files_trouble ON export_files (org_id, id) WHERE state IN ('failed', 'skipped');
CREATE INDEX export_files_stored ON export_files (connection_id, read_at, id) WHERE stored > 0;

-- What there is of a connection's files, kept with the rows above.
CREATE TABLE export_totals (
    connection_id INTEGER PRIMARY KEY REFERENCES connections (id),
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    files         INTEGER NOT NULL DEFAULT 0,
    waiting       INTEGER NOT NULL DEFAULT 0, -- listed or fetching
    unread        INTEGER NOT NULL DEFAULT 0, -- fetched or reading
    done          INTEGER NOT NULL DEFAULT 0, -- read
    failed        INTEGER NOT NULL DEFAULT 0, -- failed, skipped or canceled
    received      INTEGER NOT NULL DEFAULT 0, -- bytes that came over the wire
    stored        INTEGER NOT NULL DEFAULT 0, -- bytes on disk
    lines         INTEGER NOT NULL DEFAULT 0,
    bad_lines     INTEGER NOT NULL DEFAULT 0,
    events        INTEGER NOT NULL DEFAULT 0
) STRICT;
