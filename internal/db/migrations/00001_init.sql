-- +goose Up

-- meta holds what belongs to the installation and to no organization: the
-- sealed keyset, the sealed cookie keys, the hash of the setup token.
CREATE TABLE meta (
    key        TEXT PRIMARY KEY,
    value      BLOB NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE organizations (
    id         INTEGER PRIMARY KEY,
    slug       TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    email         TEXT NOT NULL,
    email_norm    TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE memberships (
    org_id     INTEGER NOT NULL REFERENCES organizations (id),
    user_id    INTEGER NOT NULL REFERENCES users (id),
    role       TEXT NOT NULL CHECK (role IN ('viewer', 'support', 'admin', 'owner')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_user ON memberships (user_id, org_id);

-- An open invitation is neither accepted nor revoked; it may have expired. Its
-- link carries a random token, this table the token's hash.
CREATE TABLE invitations (
    id          INTEGER PRIMARY KEY,
    org_id      INTEGER NOT NULL REFERENCES organizations (id),
    token_hash  BLOB NOT NULL UNIQUE,
    email       TEXT NOT NULL,
    email_norm  TEXT NOT NULL,
    role        TEXT NOT NULL CHECK (role IN ('viewer', 'support', 'admin', 'owner')),
    form_token  TEXT NOT NULL,
    created_by  INTEGER REFERENCES users (id),
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    accepted_at INTEGER,
    accepted_by INTEGER REFERENCES users (id),
    revoked_at  INTEGER
) STRICT;
-- An email is invited once at a time.
CREATE UNIQUE INDEX invitations_open ON invitations (org_id, email_norm) WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE UNIQUE INDEX invitations_form ON invitations (org_id, form_token);

-- A browser's session. The cookie carries a random token, this table its hash,
-- so that a copy of the database signs nobody in.
CREATE TABLE web_sessions (
    token_hash BLOB PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id),
    data       TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX web_sessions_user ON web_sessions (user_id);
CREATE INDEX web_sessions_expiry ON web_sessions (expires_at);

-- A connection is never deleted: removing one erases its secrets and sets
-- removed_at, so that the mirror, the ledger and the history keep their source.
CREATE TABLE connections (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    vendor        TEXT NOT NULL CHECK (vendor IN ('raygun', 'raygun_v3', 'logrocket')),
    name          TEXT NOT NULL,
    org_slug      TEXT NOT NULL DEFAULT '',
    app_slug      TEXT NOT NULL DEFAULT '',
    dialect       TEXT NOT NULL DEFAULT '{}',
    allowance     INTEGER NOT NULL DEFAULT 0,
    reserve       INTEGER NOT NULL DEFAULT 0,
    blocked_until INTEGER,
    checked_at    INTEGER,
    check_ok      INTEGER NOT NULL DEFAULT 0,
    check_message TEXT NOT NULL DEFAULT '',
    created_by    INTEGER REFERENCES users (id),
    created_at    INTEGER NOT NULL,
    rotated_at    INTEGER,
    removed_at    INTEGER
) STRICT;
CREATE INDEX connections_org ON connections (org_id, id);
CREATE UNIQUE INDEX connections_name ON connections (org_id, name) WHERE removed_at IS NULL;

CREATE TABLE connection_secrets (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    field         TEXT NOT NULL,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    sealed        BLOB NOT NULL,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (connection_id, field)
) STRICT, WITHOUT ROWID;

-- What a connection has spent on one UTC day (days since 1970-01-01).
CREATE TABLE budget_days (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    day           INTEGER NOT NULL,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    spent         INTEGER NOT NULL,
    PRIMARY KEY (connection_id, day)
) STRICT, WITHOUT ROWID;

-- The call ledger: a row before a call is sent, its outcome afterwards.
CREATE TABLE calls (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    vendor        TEXT NOT NULL,
    operation     TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    counts        INTEGER NOT NULL,
    purpose       TEXT NOT NULL CHECK (purpose IN ('person', 'background')),
    actor_id      INTEGER REFERENCES users (id),
    customer_id   INTEGER,
    state         TEXT NOT NULL CHECK (state IN ('sending', 'ok', 'failed', 'unknown')),
    status        INTEGER NOT NULL DEFAULT 0,
    error_kind    TEXT NOT NULL DEFAULT '',
    says          TEXT NOT NULL DEFAULT '',
    started_at    INTEGER NOT NULL,
    duration_ms   INTEGER,
    bytes         INTEGER
) STRICT;
CREATE INDEX calls_org ON calls (org_id, started_at, id);
CREATE INDEX calls_customer ON calls (org_id, customer_id, started_at, id) WHERE customer_id IS NOT NULL;
CREATE INDEX calls_actor ON calls (org_id, actor_id, started_at, id) WHERE actor_id IS NOT NULL;
CREATE INDEX calls_connection ON calls (org_id, connection_id, started_at, id);
CREATE INDEX calls_sending ON calls (state) WHERE state = 'sending';

CREATE TABLE customers (
    id         INTEGER PRIMARY KEY,
    org_id     INTEGER NOT NULL REFERENCES organizations (id),
    name       TEXT NOT NULL DEFAULT '',
    email      TEXT NOT NULL DEFAULT '',
    first_seen INTEGER,
    last_seen  INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX customers_seen ON customers (org_id, last_seen, id);

-- Every email, name and vendor id that a customer was ever seen with. Kinds
-- 'email' and 'name' belong to no connection (connection_id 0); ids mean
-- something only on theirs. One value may belong to two customers: that is how
-- "shares an identifier with" is known.
CREATE TABLE identities (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    customer_id   INTEGER NOT NULL REFERENCES customers (id),
    kind          TEXT NOT NULL CHECK (kind IN ('email', 'name', 'raygun_identifier', 'raygun_user', 'logrocket_user')),
    connection_id INTEGER NOT NULL DEFAULT 0,
    value         TEXT NOT NULL,
    value_norm    TEXT NOT NULL,
    first_seen    INTEGER,
    last_seen     INTEGER
) STRICT;
CREATE UNIQUE INDEX identities_value ON identities (org_id, value_norm, kind, connection_id, customer_id, value);
CREATE INDEX identities_customer ON identities (customer_id, kind, id);

CREATE VIRTUAL TABLE identities_fts USING fts5 (
    value_norm, content = 'identities', content_rowid = 'id', tokenize = 'trigram'
);
-- +goose StatementBegin
CREATE TRIGGER identities_fts_insert AFTER INSERT ON identities BEGIN
    INSERT INTO identities_fts (rowid, value_norm) VALUES (new.id, new.value_norm);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER identities_fts_delete AFTER DELETE ON identities BEGIN
    INSERT INTO identities_fts (identities_fts, rowid, value_norm) VALUES ('delete', old.id, old.value_norm);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER identities_fts_update AFTER UPDATE OF value_norm ON identities BEGIN
    INSERT INTO identities_fts (identities_fts, rowid, value_norm) VALUES ('delete', old.id, old.value_norm);
    INSERT INTO identities_fts (rowid, value_norm) VALUES (new.id, new.value_norm);
END;
-- +goose StatementEnd

CREATE TABLE recent_customers (
    user_id     INTEGER NOT NULL REFERENCES users (id),
    org_id      INTEGER NOT NULL REFERENCES organizations (id),
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    viewed_at   INTEGER NOT NULL,
    PRIMARY KEY (org_id, user_id, customer_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX recent_customers_viewed ON recent_customers (org_id, user_id, viewed_at);

CREATE TABLE pins (
    user_id     INTEGER NOT NULL REFERENCES users (id),
    org_id      INTEGER NOT NULL REFERENCES organizations (id),
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (org_id, user_id, customer_id)
) STRICT, WITHOUT ROWID;

-- The mirror of Raygun's sessions. vendor_id is text: v1 counts in int64, v3
-- writes base36. customer_id is NULL for people whom nothing names.
CREATE TABLE sessions (
    id               INTEGER PRIMARY KEY,
    org_id           INTEGER NOT NULL REFERENCES organizations (id),
    connection_id    INTEGER NOT NULL REFERENCES connections (id),
    vendor_id        TEXT NOT NULL,
    customer_id      INTEGER REFERENCES customers (id),
    started_at       INTEGER NOT NULL,
    updated_at       INTEGER,
    ended_at         INTEGER,
    status           TEXT NOT NULL DEFAULT '',
    length_ms        INTEGER,
    page_view_count  INTEGER,
    user_id          TEXT NOT NULL DEFAULT '',
    user_identifier  TEXT NOT NULL DEFAULT '',
    user_anonymous   INTEGER NOT NULL DEFAULT 0,
    user_name        TEXT NOT NULL DEFAULT '',
    user_email       TEXT NOT NULL DEFAULT '',
    user_url         TEXT NOT NULL DEFAULT '',
    browser          TEXT NOT NULL DEFAULT '',
    browser_version  TEXT NOT NULL DEFAULT '',
    os               TEXT NOT NULL DEFAULT '',
    os_version       TEXT NOT NULL DEFAULT '',
    platform         TEXT NOT NULL DEFAULT '',
    country          TEXT NOT NULL DEFAULT '',
    ip_address       TEXT NOT NULL DEFAULT '',
    country_name     TEXT NOT NULL DEFAULT '',
    state            TEXT NOT NULL DEFAULT '',
    city             TEXT NOT NULL DEFAULT '',
    rating           TEXT NOT NULL DEFAULT '',
    error_count      INTEGER,
    web_url          TEXT NOT NULL DEFAULT '',
    listed_at        INTEGER,
    detailed_at      INTEGER,
    UNIQUE (connection_id, vendor_id)
) STRICT;
-- Lists are read connection by connection and merged: an organization has few,
-- and an index that began with the organization would make one connection's
-- filter walk through all the others' rows.
CREATE INDEX sessions_started ON sessions (connection_id, started_at, id);
CREATE INDEX sessions_customer ON sessions (customer_id, started_at, id) WHERE customer_id IS NOT NULL;
CREATE INDEX sessions_country ON sessions (connection_id, country, started_at, id);
CREATE INDEX sessions_identifier ON sessions (connection_id, user_identifier, started_at, id);

CREATE TABLE page_views (
    session_id INTEGER NOT NULL REFERENCES sessions (id),
    position   INTEGER NOT NULL,
    org_id     INTEGER NOT NULL REFERENCES organizations (id),
    url        TEXT NOT NULL,
    load_ms    INTEGER,
    view_ms    INTEGER,
    viewed_at  INTEGER,
    PRIMARY KEY (session_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE session_errors (
    session_id  INTEGER NOT NULL REFERENCES sessions (id),
    position    INTEGER NOT NULL,
    org_id      INTEGER NOT NULL REFERENCES organizations (id),
    group_id    TEXT NOT NULL DEFAULT '',
    instance_id TEXT NOT NULL DEFAULT '',
    title       TEXT NOT NULL,
    web_url     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (session_id, position)
) STRICT, WITHOUT ROWID;

-- One question put to Raygun's session search, and how far its answer was read.
CREATE TABLE session_searches (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    params        TEXT NOT NULL,
    total         INTEGER,
    found         INTEGER NOT NULL DEFAULT 0, -- rows in session_search_results
    next_skip     INTEGER NOT NULL DEFAULT 0,
    complete      INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    asked_at      INTEGER NOT NULL,
    UNIQUE (connection_id, params)
) STRICT;
CREATE INDEX session_searches_org ON session_searches (org_id, asked_at, id);

CREATE TABLE session_search_results (
    search_id  INTEGER NOT NULL REFERENCES session_searches (id),
    session_id INTEGER NOT NULL REFERENCES sessions (id),
    started_at INTEGER NOT NULL,
    org_id     INTEGER NOT NULL REFERENCES organizations (id),
    PRIMARY KEY (search_id, session_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_search_results_started ON session_search_results (search_id, started_at, session_id);
-- For the foreign key: without it, deleting a session would scan all results.
CREATE INDEX session_search_results_session ON session_search_results (session_id);

-- One question to a vendor that a person or a job put, which a job carries
-- out: queued, then sending (committed before the call leaves), then done,
-- failed, or interrupted when a crash left nobody knowing.
CREATE TABLE asks (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    kind          TEXT NOT NULL,
    subject       TEXT NOT NULL,
    purpose       TEXT NOT NULL CHECK (purpose IN ('person', 'background')),
    actor_id      INTEGER REFERENCES users (id),
    customer_id   INTEGER REFERENCES customers (id),
    state         TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'done', 'failed', 'interrupted')),
    message       TEXT NOT NULL DEFAULT '',
    error_kind    TEXT NOT NULL DEFAULT '',
    result        TEXT NOT NULL DEFAULT '{}',
    created_at    INTEGER NOT NULL,
    started_at    INTEGER,
    finished_at   INTEGER
) STRICT;
-- Two tabs that ask the same thing at once join one ask.
CREATE UNIQUE INDEX asks_open ON asks (connection_id, kind, subject) WHERE state IN ('queued', 'sending');
CREATE INDEX asks_by_state ON asks (org_id, id) WHERE state IN ('queued', 'sending');
CREATE INDEX asks_latest ON asks (connection_id, kind, subject, id);
CREATE INDEX asks_org ON asks (org_id, created_at, id);

-- What LogRocket last answered about a user: it offers no way to ask again.
CREATE TABLE logrocket_users (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    customer_id   INTEGER NOT NULL REFERENCES customers (id),
    user_id       TEXT NOT NULL,
    name          TEXT NOT NULL DEFAULT '',
    email         TEXT NOT NULL DEFAULT '',
    answered_at   INTEGER,
    UNIQUE (connection_id, user_id)
) STRICT;
CREATE INDEX logrocket_users_customer ON logrocket_users (customer_id, id);

CREATE TABLE traits (
    logrocket_user_id INTEGER NOT NULL REFERENCES logrocket_users (id),
    key               TEXT NOT NULL,
    org_id            INTEGER NOT NULL REFERENCES organizations (id),
    value             TEXT NOT NULL,
    answered_at       INTEGER NOT NULL,
    PRIMARY KEY (logrocket_user_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE trait_edits (
    id                INTEGER PRIMARY KEY,
    org_id            INTEGER NOT NULL REFERENCES organizations (id),
    connection_id     INTEGER NOT NULL REFERENCES connections (id),
    logrocket_user_id INTEGER NOT NULL REFERENCES logrocket_users (id),
    customer_id       INTEGER NOT NULL REFERENCES customers (id),
    author_id         INTEGER REFERENCES users (id),
    reason            TEXT NOT NULL DEFAULT '',
    form_token        TEXT NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'failed', 'unknown')),
    message           TEXT NOT NULL DEFAULT '',
    error_kind        TEXT NOT NULL DEFAULT '',
    request           TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    sent_at           INTEGER,
    finished_at       INTEGER
) STRICT;
-- A form is sent once, however often its button is pressed.
CREATE UNIQUE INDEX trait_edits_form ON trait_edits (org_id, form_token);
CREATE INDEX trait_edits_customer ON trait_edits (customer_id, created_at, id);
CREATE INDEX trait_edits_user ON trait_edits (logrocket_user_id, id);
CREATE INDEX trait_edits_open ON trait_edits (state) WHERE state IN ('queued', 'sending');

-- What one edit did, field by field. field is 'name', 'email' or 'trait'.
-- before is NULL where nothing was known, after is NULL where it was removed.
CREATE TABLE trait_changes (
    edit_id INTEGER NOT NULL REFERENCES trait_edits (id),
    field   TEXT NOT NULL CHECK (field IN ('name', 'email', 'trait')),
    key     TEXT NOT NULL,
    org_id  INTEGER NOT NULL REFERENCES organizations (id),
    before  TEXT,
    after   TEXT,
    PRIMARY KEY (edit_id, field, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE highlights (
    id              INTEGER PRIMARY KEY,
    org_id          INTEGER NOT NULL REFERENCES organizations (id),
    connection_id   INTEGER NOT NULL REFERENCES connections (id),
    customer_id     INTEGER REFERENCES customers (id),
    author_id       INTEGER REFERENCES users (id),
    subject_kind    TEXT NOT NULL CHECK (subject_kind IN ('email', 'user_id')),
    subject         TEXT NOT NULL,
    subject_norm    TEXT NOT NULL,
    question        TEXT NOT NULL DEFAULT '',
    range_start     INTEGER,
    range_end       INTEGER,
    form_token      TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'pending', 'ready', 'failed', 'unknown', 'expired', 'cancelled')),
    vendor_status   TEXT NOT NULL DEFAULT '',
    request_id      TEXT NOT NULL DEFAULT '',
    message         TEXT NOT NULL DEFAULT '',
    error_kind      TEXT NOT NULL DEFAULT '',
    result_markdown TEXT NOT NULL DEFAULT '',
    polls           INTEGER NOT NULL DEFAULT 0,
    misses          INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    sent_at         INTEGER,
    polled_at       INTEGER,
    next_poll_at    INTEGER,
    deadline_at     INTEGER,
    finished_at     INTEGER
) STRICT;
CREATE UNIQUE INDEX highlights_form ON highlights (org_id, form_token);
CREATE INDEX highlights_org ON highlights (org_id, created_at, id);
CREATE INDEX highlights_customer ON highlights (customer_id, created_at, id) WHERE customer_id IS NOT NULL;
CREATE INDEX highlights_state ON highlights (org_id, state, created_at, id);
-- Asked for somebody whom nothing else names yet: linked once something does.
CREATE INDEX highlights_unlinked ON highlights (org_id, subject_norm) WHERE customer_id IS NULL;
CREATE INDEX highlights_open ON highlights (state) WHERE state IN ('queued', 'sending', 'pending');

CREATE TABLE highlight_sessions (
    highlight_id INTEGER NOT NULL REFERENCES highlights (id),
    position     INTEGER NOT NULL,
    org_id       INTEGER NOT NULL REFERENCES organizations (id),
    recording_id TEXT NOT NULL,
    session_id   TEXT NOT NULL,
    markdown     TEXT NOT NULL,
    PRIMARY KEY (highlight_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX highlight_sessions_recording ON highlight_sessions (org_id, recording_id);

-- What members did. Append-only: nothing here is changed or deleted.
CREATE TABLE history (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    at            INTEGER NOT NULL,
    actor_id      INTEGER REFERENCES users (id),
    actor         TEXT NOT NULL,
    kind          TEXT NOT NULL,
    action        TEXT NOT NULL,
    subject       TEXT NOT NULL DEFAULT '',
    customer_id   INTEGER,
    connection_id INTEGER,
    summary       TEXT NOT NULL,
    before        TEXT NOT NULL DEFAULT '',
    after         TEXT NOT NULL DEFAULT '',
    reason        TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX history_org ON history (org_id, at, id);
CREATE INDEX history_customer ON history (org_id, customer_id, at, id) WHERE customer_id IS NOT NULL;
CREATE INDEX history_actor ON history (org_id, actor_id, at, id) WHERE actor_id IS NOT NULL;
CREATE INDEX history_kind ON history (org_id, kind, at, id);
CREATE INDEX history_connection ON history (org_id, connection_id, at, id) WHERE connection_id IS NOT NULL;
