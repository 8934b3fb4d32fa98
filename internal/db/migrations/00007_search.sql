-- +goose Up

-- The search inside of emails, names and ids by organization: its row ids
-- begin with the organization's, so that a search walks its own organization's
-- part of the index alone, however much the others have of the same letters.
DROP TRIGGER identities_fts_insert;
DROP TRIGGER identities_fts_delete;
DROP TRIGGER identities_fts_update;
DROP TABLE identities_fts;

-- identities_search is the text that the search index is made of; id is
-- organization * 2^40 + identity.
CREATE VIEW identities_search AS SELECT (org_id << 40) | id AS id, value_norm FROM identities;
CREATE VIRTUAL TABLE identities_fts USING fts5 (
    value_norm, content = 'identities_search', content_rowid = 'id', tokenize = 'trigram'
);
INSERT INTO identities_fts (identities_fts) VALUES ('rebuild');
-- +goose StatementBegin
CREATE TRIGGER identities_fts_insert AFTER INSERT ON identities BEGIN
    INSERT INTO identities_fts (rowid, value_norm) VALUES ((new.org_id << 40) | new.id, new.value_norm);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER identities_fts_delete AFTER DELETE ON identities BEGIN
    INSERT INTO identities_fts (identities_fts, rowid, value_norm) VALUES ('delete', (old.org_id << 40) | old.id, old.value_norm);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER identities_fts_update AFTER UPDATE OF value_norm ON identities BEGIN
    INSERT INTO identities_fts (identities_fts, rowid, value_norm) VALUES ('delete', (old.org_id << 40) | old.id, old.value_norm);
    INSERT INTO identities_fts (rowid, value_norm) VALUES ((new.org_id << 40) | new.id, new.value_norm);
END;
-- +goose StatementEnd
