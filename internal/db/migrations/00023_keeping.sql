-- +goose Up

-- For how many days after they began recordings are kept; 0 is for ever.
ALTER TABLE export_follows ADD COLUMN keep_recordings INTEGER NOT NULL DEFAULT 0;

CREATE INDEX recordings_connection ON recordings (connection_id, started_at, id) WHERE state = 'shown';
