-- +goose Up

-- The rows of session_days of facet 'all' once more, 32 days to a row (block n
-- begins with day 32 n) as one text: "day sessions detailed with_errors anonymous
-- excellent good average poor", the days joined by commas in any order. A chart
-- reads four rows instead of ninety.
CREATE TABLE session_day_blocks (
    connection_id INTEGER NOT NULL REFERENCES connections (id),
    block         INTEGER NOT NULL,
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    days          TEXT NOT NULL,
    PRIMARY KEY (connection_id, block)
) STRICT, WITHOUT ROWID;

-- Two more facets of session_days: 'people' ('known', 'anonymous') and 'errors'
-- ('with'; 'without' of sessions with their detail).
INSERT INTO session_days (connection_id, facet, day, value, org_id, sessions, detailed, with_errors, anonymous, excellent, good, average, poor)
SELECT connection_id, 'people', day, iif(anonymous, 'anonymous', 'known'), min(org_id), count(*), sum(detailed), sum(with_errors), sum(anonymous),
    sum(rating = 'excellent'), sum(rating = 'good'), sum(rating = 'average'), sum(rating = 'poor')
FROM (
    SELECT connection_id, org_id, (started_at - (started_at % 86400000 + 86400000) % 86400000) / 86400000 AS day, lower(rating) AS rating,
        user_anonymous AS anonymous, detailed_at IS NOT NULL AS detailed, coalesce(error_count, 0) > 0 AS with_errors
    FROM sessions WHERE counted = 1)
GROUP BY connection_id, day, anonymous;

INSERT INTO session_days (connection_id, facet, day, value, org_id, sessions, detailed, with_errors, anonymous, excellent, good, average, poor)
SELECT connection_id, 'errors', day, iif(with_errors, 'with', 'without'), min(org_id), count(*), sum(detailed), sum(with_errors), sum(anonymous),
    sum(rating = 'excellent'), sum(rating = 'good'), sum(rating = 'average'), sum(rating = 'poor')
FROM (
    SELECT connection_id, org_id, (started_at - (started_at % 86400000 + 86400000) % 86400000) / 86400000 AS day, lower(rating) AS rating,
        user_anonymous AS anonymous, detailed_at IS NOT NULL AS detailed, coalesce(error_count, 0) > 0 AS with_errors
    FROM sessions WHERE counted = 1 AND (error_count > 0 OR detailed_at IS NOT NULL))
GROUP BY connection_id, day, with_errors;

INSERT INTO session_day_blocks (connection_id, block, org_id, days)
SELECT connection_id, day >> 5, min(org_id), group_concat(concat_ws(' ', day, sessions, detailed, with_errors, anonymous, excellent, good, average, poor))
FROM session_days WHERE facet = 'all' AND value = '' GROUP BY connection_id, day >> 5;
