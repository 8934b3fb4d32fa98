-- +goose Up

-- LogRocket reports a finished highlight to an address that nobody can guess:
-- the hash is of the address's secret part, which leaves with the request and
-- is kept nowhere.
ALTER TABLE highlights ADD COLUMN hook_hash BLOB;
-- When LogRocket first called there, and the request id that it named.
ALTER TABLE highlights ADD COLUMN hooked_at INTEGER;
ALTER TABLE highlights ADD COLUMN hook_request_id TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX highlights_hook ON highlights (hook_hash) WHERE hook_hash IS NOT NULL;
