-- +goose Up

-- An edit that takes back another one, whole or in part.
ALTER TABLE trait_edits ADD COLUMN undoes_id INTEGER REFERENCES trait_edits (id);
CREATE INDEX trait_edits_undoes ON trait_edits (undoes_id) WHERE undoes_id IS NOT NULL;

-- The history of one field of one user is read newest first, however many
-- edits of other fields lie between.
ALTER TABLE trait_changes ADD COLUMN logrocket_user_id INTEGER REFERENCES logrocket_users (id);
UPDATE trait_changes SET logrocket_user_id = (SELECT e.logrocket_user_id FROM trait_edits e WHERE e.id = trait_changes.edit_id);
CREATE INDEX trait_changes_field ON trait_changes (logrocket_user_id, field, key, edit_id);

-- The keys that a LogRocket app's users have, to suggest when one is typed.
CREATE TABLE trait_keys (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    key           TEXT NOT NULL,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    seen_at       INTEGER NOT NULL,
    PRIMARY KEY (connection_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX trait_keys_recent ON trait_keys (connection_id, seen_at);
INSERT INTO trait_keys (connection_id, key, org_id, seen_at)
SELECT u.connection_id, t.key, u.org_id, max(t.answered_at) FROM traits t JOIN logrocket_users u ON u.id = t.logrocket_user_id
GROUP BY u.connection_id, t.key;
