-- +goose Up

-- The first bad lines of a file.
CREATE TABLE export_bad_lines (
    file_id INTEGER NOT NULL REFERENCES export_files (id),
    line    INTEGER NOT NULL,
    org_id  INTEGER NOT NULL REFERENCES organizations (id),
    why     TEXT NOT NULL,
    text    TEXT NOT NULL,
    PRIMARY KEY (file_id, line)
) STRICT, WITHOUT ROWID;

-- What happened inside one session of LogRocket. state: 'coming' while its file is
-- read, 'shown', 'going' while it is removed; only 'shown' is on pages. Of its
-- texts, those up to counted_to are in text_days; counted_to is 2^63-1 once all
-- are, and of one that is going the texts above it are gone.
CREATE TABLE recordings (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    file_id       INTEGER NOT NULL REFERENCES export_files (id),
    recording_id  TEXT NOT NULL,
    session_id    TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('coming', 'shown', 'going')),
    customer_id   INTEGER REFERENCES customers (id),
    user_id       TEXT NOT NULL DEFAULT '',
    user_email    TEXT NOT NULL DEFAULT '',
    user_name     TEXT NOT NULL DEFAULT '',
    started_at    INTEGER NOT NULL DEFAULT 0,
    ended_at      INTEGER NOT NULL DEFAULT 0,
    browser       TEXT NOT NULL DEFAULT '',
    os            TEXT NOT NULL DEFAULT '',
    device        TEXT NOT NULL DEFAULT '',
    release       TEXT NOT NULL DEFAULT '',
    country       TEXT NOT NULL DEFAULT '',
    city          TEXT NOT NULL DEFAULT '',
    first_url     TEXT NOT NULL DEFAULT '',
    navigations   INTEGER NOT NULL DEFAULT 0,
    inputs        INTEGER NOT NULL DEFAULT 0,
    network       INTEGER NOT NULL DEFAULT 0,
    console       INTEGER NOT NULL DEFAULT 0,
    errors        INTEGER NOT NULL DEFAULT 0,
    customs       INTEGER NOT NULL DEFAULT 0,
    others        INTEGER NOT NULL DEFAULT 0,
    calls         INTEGER NOT NULL DEFAULT 0,
    failed_calls  INTEGER NOT NULL DEFAULT 0,
    console_errors INTEGER NOT NULL DEFAULT 0,
    texts_left    INTEGER NOT NULL DEFAULT 0, -- how often texts came that the search does not know
    counted_to    INTEGER NOT NULL DEFAULT -1
) STRICT;
CREATE UNIQUE INDEX recordings_once ON recordings (connection_id, recording_id, session_id) WHERE state = 'shown';
CREATE INDEX recordings_org ON recordings (org_id, started_at, id) WHERE state = 'shown';
CREATE INDEX recordings_customer ON recordings (customer_id, started_at, id) WHERE state = 'shown';
CREATE INDEX recordings_vendor ON recordings (org_id, recording_id, session_id) WHERE state = 'shown';
CREATE INDEX recordings_file ON recordings (file_id, id);
CREATE INDEX recordings_unsettled ON recordings (id) WHERE state <> 'shown' OR counted_to < 9223372036854775807;

-- The lines of recordings, some hundred to a block, in order and compressed. id is
-- recording * 2^20 + block. No key leads to recordings: what deletes one finds its
-- rows by these ids.
CREATE TABLE recording_blocks (
    id     INTEGER PRIMARY KEY,
    org_id INTEGER NOT NULL REFERENCES organizations (id),
    data   BLOB NOT NULL
) STRICT;

-- The network calls of recordings in the order in which they were over, a
-- thousand to a row. id is as above.
CREATE TABLE recording_calls (
    id     INTEGER PRIMARY KEY,
    org_id INTEGER NOT NULL REFERENCES organizations (id),
    data   BLOB NOT NULL
) STRICT;

-- What each block of a recording holds: times, and how many of what.
CREATE TABLE recording_maps (
    recording_id INTEGER PRIMARY KEY REFERENCES recordings (id),
    org_id       INTEGER NOT NULL REFERENCES organizations (id),
    data         BLOB NOT NULL
) STRICT;

-- The texts that recordings are searched by, each once in an organization. kind:
-- 1 page, 2 input, 3 endpoint (method and address), 4 console, 5 error on the
-- console, 6 error, 7 custom event, 8 type of another event. Addresses are without
-- query and ids.
CREATE TABLE event_texts (
    id     INTEGER PRIMARY KEY,
    org_id INTEGER NOT NULL REFERENCES organizations (id),
    kind   INTEGER NOT NULL,
    text   TEXT NOT NULL,
    UNIQUE (org_id, kind, text)
) STRICT;

-- id is organization * 2^40 + text, so that a search walks its own part alone. Who
-- adds texts puts them into the index, many at once: a trigger would have it
-- written out after each one.
CREATE VIEW event_texts_search AS SELECT (org_id << 40) | id AS id, text FROM event_texts;
CREATE VIRTUAL TABLE event_texts_fts USING fts5 (
    text, content = 'event_texts_search', content_rowid = 'id', tokenize = 'trigram'
);
-- +goose StatementBegin
CREATE TRIGGER event_texts_fts_delete AFTER DELETE ON event_texts BEGIN
    INSERT INTO event_texts_fts (event_texts_fts, rowid, text) VALUES ('delete', (old.org_id << 40) | old.id, old.text);
END;
-- +goose StatementEnd

-- Which texts are in a recording: how often, how often as a failure (bad), and
-- where first. position is the text's own number in the recording, started_at the
-- recording's. loads is the histogram of the timed calls' durations.
CREATE TABLE recording_texts (
    recording_id INTEGER NOT NULL REFERENCES recordings (id),
    position     INTEGER NOT NULL,
    org_id       INTEGER NOT NULL REFERENCES organizations (id),
    text_id      INTEGER NOT NULL REFERENCES event_texts (id),
    kind         INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    times        INTEGER NOT NULL,
    bad          INTEGER NOT NULL,
    first_event  INTEGER NOT NULL, -- its place in the recording
    first_at     INTEGER NOT NULL,
    bad_event    INTEGER NOT NULL, -- of the first failure, -1 if there is none
    bad_at       INTEGER NOT NULL,
    timed        INTEGER NOT NULL,
    loads        BLOB NOT NULL,
    PRIMARY KEY (recording_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX recording_texts_text ON recording_texts (text_id, started_at, recording_id);
CREATE INDEX recording_texts_kind ON recording_texts (org_id, kind, started_at, recording_id, text_id);
CREATE INDEX recording_texts_bad ON recording_texts (org_id, kind, started_at, recording_id, text_id) WHERE bad > 0;

-- How often a text came in the recordings that began on a day, of the kinds
-- that patterns are made of.
CREATE TABLE text_days (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    kind          INTEGER NOT NULL,
    day           INTEGER NOT NULL,
    text_id       INTEGER NOT NULL REFERENCES event_texts (id),
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    recordings    INTEGER NOT NULL,
    bad_recordings INTEGER NOT NULL,
    times         INTEGER NOT NULL,
    bad           INTEGER NOT NULL,
    timed         INTEGER NOT NULL,
    loads         BLOB NOT NULL,
    PRIMARY KEY (connection_id, kind, day, text_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX text_days_text ON text_days (text_id);
