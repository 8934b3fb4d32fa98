-- +goose Up

-- Where LogRocket sends a connection's issue alerts to: the hash is of the
-- address's secret part, which was shown once and is kept nowhere.
CREATE TABLE alert_hooks (
    connection_id INTEGER PRIMARY KEY REFERENCES connections (id),
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    token_hash    BLOB NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX alert_hooks_token ON alert_hooks (token_hash);

-- What was sent there: the beginning of the body as it came, and what was read
-- out of the whole. Each body is kept once.
CREATE TABLE alerts (
    id            INTEGER PRIMARY KEY,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    received_at   INTEGER NOT NULL,
    body_hash     BLOB NOT NULL,
    body          TEXT NOT NULL,
    deliveries    INTEGER NOT NULL DEFAULT 1,
    title         TEXT NOT NULL,
    issue_type    TEXT NOT NULL,
    label         TEXT NOT NULL,
    description   TEXT NOT NULL,
    url           TEXT NOT NULL,
    screenshot    TEXT NOT NULL,
    sessions      TEXT NOT NULL,
    rate          TEXT NOT NULL,
    first_seen_at INTEGER
) STRICT;
CREATE INDEX alerts_org ON alerts (org_id, received_at, id);
CREATE INDEX alerts_connection ON alerts (connection_id, received_at, id);
CREATE UNIQUE INDEX alerts_once ON alerts (connection_id, body_hash);
