-- +goose Up

-- A batch asks LogRocket the same about many customers. A draft can be looked
-- at; asking begins only when somebody says so. source is where its customers
-- come from, in words; format is how an uploaded file is written: JSON. range_ms
-- is the length of a range that ends when asking begins. One request is handed
-- out every pace_ms at most, and in_flight of them are open at once. An answer
-- to the same that is younger than reuse_ms is taken instead. streak counts
-- failures in a row; asked_at is when the last request was handed out.
CREATE TABLE batches (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    author_id     INTEGER REFERENCES users (id),
    form_token    TEXT NOT NULL,
    source        TEXT NOT NULL,
    question      TEXT NOT NULL,
    range_start   INTEGER,
    range_end     INTEGER,
    range_ms      INTEGER NOT NULL DEFAULT 0,
    pace_ms       INTEGER NOT NULL DEFAULT 0,
    in_flight     INTEGER NOT NULL DEFAULT 1,
    reuse_ms      INTEGER NOT NULL DEFAULT 0,
    format        TEXT NOT NULL DEFAULT '{}',
    state         TEXT NOT NULL CHECK (state IN ('draft', 'running', 'paused', 'done', 'cancelled')),
    message       TEXT NOT NULL DEFAULT '',
    streak        INTEGER NOT NULL DEFAULT 0,
    asked_at      INTEGER,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    started_at    INTEGER,
    finished_at   INTEGER
) STRICT;
-- A form is taken once, however often its button is pressed.
CREATE UNIQUE INDEX batches_form ON batches (org_id, form_token);
CREATE INDEX batches_org ON batches (org_id, id);
-- One at a time is asked through a connection.
CREATE UNIQUE INDEX batches_running ON batches (connection_id) WHERE state = 'running';
CREATE INDEX batches_open ON batches (state, id) WHERE state = 'running';

-- The file that a draft's customers come from. It goes when asking begins.
CREATE TABLE batch_files (
    batch_id INTEGER PRIMARY KEY REFERENCES batches (id),
    org_id   INTEGER NOT NULL REFERENCES organizations (id),
    data     BLOB NOT NULL
) STRICT;

-- One customer of a batch: where it stands in what was given (line), what was
-- typed, and whom that means. A fault or a double is not asked about; dropped is
-- what was not asked when the batch was cancelled. How one that was asked about
-- stands, its highlight knows; ended means that the batch has seen its end.
CREATE TABLE batch_items (
    batch_id     INTEGER NOT NULL REFERENCES batches (id),
    position     INTEGER NOT NULL,
    org_id       INTEGER NOT NULL REFERENCES organizations (id),
    line         INTEGER NOT NULL,
    typed        TEXT NOT NULL,
    subject_kind TEXT NOT NULL CHECK (subject_kind IN ('email', 'user_id')),
    subject      TEXT NOT NULL,
    customer_id  INTEGER REFERENCES customers (id),
    state        TEXT NOT NULL CHECK (state IN ('fault', 'double', 'waiting', 'asked', 'ended', 'dropped')),
    message      TEXT NOT NULL DEFAULT '',
    tries        INTEGER NOT NULL DEFAULT 0,
    reused       INTEGER NOT NULL DEFAULT 0,
    highlight_id INTEGER REFERENCES highlights (id),
    PRIMARY KEY (batch_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX batch_items_state ON batch_items (batch_id, state, position);

-- An answer to the same is looked for by whom it is about.
CREATE INDEX highlights_subject ON highlights (org_id, subject_norm, created_at, id) WHERE state = 'ready';
