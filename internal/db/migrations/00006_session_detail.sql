-- +goose Up

-- When an error occurred, where the vendor says so.
ALTER TABLE session_errors ADD COLUMN occurred_at INTEGER;

-- What the vendor last answered about one session in full, word for word:
-- JSON, packed with gzip.
CREATE TABLE session_answers (
    session_id  INTEGER PRIMARY KEY REFERENCES sessions (id),
    org_id      INTEGER NOT NULL REFERENCES organizations (id),
    received_at INTEGER NOT NULL,
    body        BLOB NOT NULL
) STRICT;
