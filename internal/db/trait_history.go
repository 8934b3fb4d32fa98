package db

import "context"

// PastChange is a change to one field of a LogRocket user, with the edit that
// asked for it. The edit's Request is left out.
type PastChange struct {
	TraitEdit
	Change TraitChange
}

const fieldHistoryQuery = `SELECT c.field, c.key, c.before, c.after, ` + traitEditColumns + `
	FROM trait_changes c JOIN trait_edits e ON e.id = c.edit_id JOIN logrocket_users u ON u.id = e.logrocket_user_id
	WHERE c.logrocket_user_id = ? AND c.field = ? AND c.key = ? AND c.edit_id < ? AND c.org_id = ?
	ORDER BY c.edit_id DESC LIMIT ?`

// FieldHistory lists the edits of one field of a user after a moment, whose ID
// alone counts, newest first, at most limit. Field and key are as in
// TraitChange.
func (o Org) FieldHistory(ctx context.Context, user LogRocketUserID, field, key string, after Moment, limit int) ([]PastChange, error) {
	before := after.ID
	if before <= 0 {
		before = 1<<63 - 1
	}
	return list(ctx, o.db.r, "history of a trait", func(s scanner) (PastChange, error) {
		var p PastChange
		var err error
		p.TraitEdit, err = scanTraitEdit(led{s, []any{&p.Change.Field, &p.Change.Key, &p.Change.Before, &p.Change.After}})
		return p, err
	}, fieldHistoryQuery, user, field, key, before, o.id, min(max(limit, 1), 500))
}

const traitKeysQuery = `SELECT key FROM trait_keys WHERE connection_id = ? AND org_id = ? ORDER BY seen_at DESC, key DESC LIMIT ?`

// TraitKeys lists the keys that a connection's users have, those seen last
// first, at most limit.
func (o Org) TraitKeys(ctx context.Context, connection ConnectionID, limit int) ([]string, error) {
	return list(ctx, o.db.r, "trait keys", scanText, traitKeysQuery, connection, o.id, min(max(limit, 1), 500))
}
