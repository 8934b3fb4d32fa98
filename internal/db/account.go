package db

import (
	"context"
	"database/sql"
	"time"
)

// addUser makes a user inside another write. ErrExists if the email is taken.
func addUser(ctx context.Context, q querier, u User, emailNorm string) (User, error) {
	return one(ctx, q, "user", scanUser, `
		INSERT INTO users (email, email_norm, name, password_hash, created_at) VALUES (?, ?, ?, ?, ?)
		RETURNING id, email, name, password_hash, created_at`,
		u.Email, emailNorm, u.Name, u.PasswordHash, ms(u.CreatedAt))
}

// noteEverywhere writes an entry about a user into the history of every
// organization that they belong to.
func noteEverywhere(ctx context.Context, tx *sql.Tx, user UserID, e HistoryEntry) error {
	orgs, err := list(ctx, tx, "memberships", scanInt, `
		SELECT org_id FROM memberships WHERE user_id = ? ORDER BY org_id LIMIT 1000`, user)
	if err != nil {
		return err
	}
	for _, org := range orgs {
		if err := addHistory(ctx, tx, OrgID(org), e); err != nil {
			return err
		}
	}
	return nil
}

// RenameUserUnscoped changes a user's name, and notes it in the history of
// every organization of theirs. Without a change it does nothing.
func (d *DB) RenameUserUnscoped(ctx context.Context, id UserID, name string, e HistoryEntry) error {
	return d.write(ctx, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, "user", `UPDATE users SET name = ? WHERE id = ? AND name <> ?`, name, id, name)
		if err != nil || n == 0 {
			return err
		}
		return noteEverywhere(ctx, tx, id, e)
	})
}

// ChangePasswordUnscoped replaces a user's password hash, was, by another,
// signs them out everywhere and notes it. If the hash is another than was by
// now, it is ErrNotFound and nothing happens.
func (d *DB) ChangePasswordUnscoped(ctx context.Context, id UserID, was, hash string, e HistoryEntry) error {
	return d.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "user", `
			UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?`, hash, id, was)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, "web sessions", `DELETE FROM web_sessions WHERE user_id = ?`, id); err != nil {
			return err
		}
		return noteEverywhere(ctx, tx, id, e)
	})
}

// CountWebSessionsUnscoped counts the browsers in which a user is signed in.
func (d *DB) CountWebSessionsUnscoped(ctx context.Context, id UserID, now, idleSince time.Time) (int, error) {
	n, err := one(ctx, d.r, "web sessions", scanInt, `
		SELECT count(*) FROM web_sessions WHERE user_id = ? AND expires_at > ? AND seen_at > ?`, id, ms(now), ms(idleSince))
	return int(n), err
}

// DeleteOtherWebSessionsUnscoped signs a user out of every browser but the one
// with this token's hash, notes it unless there was none, and says how many
// browsers those were. What had expired or idled goes too, uncounted.
func (d *DB) DeleteOtherWebSessionsUnscoped(ctx context.Context, id UserID, keep []byte, now, idleSince time.Time, e HistoryEntry) (int, error) {
	var n int64
	err := d.write(ctx, func(tx *sql.Tx) error {
		var err error
		if n, err = exec(ctx, tx, "web sessions", `
			DELETE FROM web_sessions WHERE user_id = ? AND token_hash <> ? AND expires_at > ? AND seen_at > ?`,
			id, keep, ms(now), ms(idleSince)); err != nil {
			return err
		}
		if _, err = exec(ctx, tx, "web sessions", `DELETE FROM web_sessions WHERE user_id = ? AND token_hash <> ?`, id, keep); err != nil || n == 0 {
			return err
		}
		return noteEverywhere(ctx, tx, id, e)
	})
	return int(n), err
}
