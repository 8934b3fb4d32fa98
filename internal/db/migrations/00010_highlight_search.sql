-- +goose Up

-- Lists by who asked and through which connection.
CREATE INDEX highlights_author ON highlights (org_id, author_id, created_at, id) WHERE author_id IS NOT NULL;
CREATE INDEX highlights_connection ON highlights (org_id, connection_id, created_at, id);

-- The words of highlights, by organization: a row's id is
-- organization * 2^40 + highlight. Only the words are kept here, not the text.
CREATE VIRTUAL TABLE highlights_fts USING fts5 (
    words, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
CREATE VIEW highlights_search AS
SELECT h.id, (h.org_id << 40) | h.id AS search_id, h.subject || ' ' || h.question || ' ' || h.result_markdown || ' ' || coalesce((
        SELECT group_concat(s.markdown, ' ') FROM highlight_sessions s WHERE s.highlight_id = h.id), '') AS words
FROM highlights h;
INSERT INTO highlights_fts (rowid, words) SELECT search_id, words FROM highlights_search;
-- +goose StatementBegin
CREATE TRIGGER highlights_fts_insert AFTER INSERT ON highlights BEGIN
    INSERT INTO highlights_fts (rowid, words) SELECT search_id, words FROM highlights_search WHERE id = new.id;
END;
-- +goose StatementEnd
-- The parts of a result are stored before this.
-- +goose StatementBegin
CREATE TRIGGER highlights_fts_update AFTER UPDATE OF result_markdown ON highlights BEGIN
    INSERT OR REPLACE INTO highlights_fts (rowid, words) SELECT search_id, words FROM highlights_search WHERE id = new.id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER highlights_fts_delete AFTER DELETE ON highlights BEGIN
    DELETE FROM highlights_fts WHERE rowid = (old.org_id << 40) | old.id;
END;
-- +goose StatementEnd
