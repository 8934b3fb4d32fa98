package db

import (
	"context"
	"database/sql"
)

// The statements that begin to merge the segments of a search index, and that go
// on, each by so many pages.
const (
	beginIdentitiesMerge = `INSERT INTO identities_fts (identities_fts, rank) VALUES ('merge', -?)`
	mergeIdentities      = `INSERT INTO identities_fts (identities_fts, rank) VALUES ('merge', ?)`
	beginHighlightsMerge = `INSERT INTO highlights_fts (highlights_fts, rank) VALUES ('merge', -?)`
	mergeHighlights      = `INSERT INTO highlights_fts (highlights_fts, rank) VALUES ('merge', ?)`
	beginTextsMerge      = `INSERT INTO event_texts_fts (event_texts_fts, rank) VALUES ('merge', -?)`
	mergeTexts           = `INSERT INTO event_texts_fts (event_texts_fts, rank) VALUES ('merge', ?)`
)

// MergeSearch makes one segment of the search indexes' many, which every search
// opens each: half the time at millions of customers. It works in steps of so
// many index pages, each a transaction of its own, and calls pause between
// them, whose error ends it: what was merged by then stays merged.
func (d *DB) MergeSearch(ctx context.Context, pages int, pause func() error) error {
	for _, index := range [][2]string{{beginIdentitiesMerge, mergeIdentities}, {beginHighlightsMerge, mergeHighlights}, {beginTextsMerge, mergeTexts}} {
		statement := index[0]
		for {
			var did int64
			err := d.write(ctx, func(tx *sql.Tx) error {
				before, err := one(ctx, tx, "changes", scanInt, `SELECT total_changes()`)
				if err != nil {
					return err
				}
				if _, err := exec(ctx, tx, "search index", statement, pages); err != nil {
					return err
				}
				after, err := one(ctx, tx, "changes", scanInt, `SELECT total_changes()`)
				did = after - before
				return err
			})
			if err != nil {
				return err
			}
			// The statement itself is one change.
			if did < 2 {
				break
			}
			if err := pause(); err != nil {
				return err
			}
			statement = index[1]
		}
	}
	return nil
}
