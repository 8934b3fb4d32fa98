-- +goose Up

-- What a customer's page shows of a session stands in the index itself, so that
-- fifty sessions are a few neighbouring pages of the file instead of fifty of
-- them all over it. Times after the start are told from it: they are shorter.
-- When a list last held a session is not in it: that changes with every list.
-- The text is not NULL and the concatenation makes it plain, as SQLite takes no
-- JSON value out of an index.
DROP INDEX sessions_customer;
CREATE INDEX sessions_customer ON sessions (customer_id, started_at, id, org_id, json_array(id, connection_id, started_at,
	updated_at - started_at, ended_at - started_at, detailed_at - started_at, detail_from, status, length_ms, page_view_count,
	browser, os, CASE WHEN browser = '' AND os = '' THEN platform ELSE '' END, country, rating, error_count) || '')
	WHERE customer_id IS NOT NULL;
