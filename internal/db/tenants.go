package db

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Organization is a tenant.
type Organization struct {
	ID        OrgID
	Slug      string // stands in every address of the organization
	Name      string
	CreatedAt time.Time
}

// User is a person who can sign in. What they may do is in their memberships.
type User struct {
	ID           UserID
	Email        string // as typed
	Name         string
	PasswordHash string // argon2id
	CreatedAt    time.Time
}

// Membership is a user's role in an organization.
type Membership struct {
	Org  Organization
	User User // without its password hash
	Role string
	// JoinedAt is when the user became a member.
	JoinedAt time.Time
}

const (
	orgColumns        = "o.id, o.slug, o.name, o.created_at"
	membershipColumns = orgColumns + ", u.id, u.email, u.name, u.created_at, m.role, m.created_at"
)

func scanOrg(s scanner) (Organization, error) {
	var o Organization
	var at sql.NullInt64
	err := s.Scan(&o.ID, &o.Slug, &o.Name, &at)
	o.CreatedAt = timeOf(at)
	return o, err
}

func scanUser(s scanner) (User, error) {
	var u User
	var at sql.NullInt64
	err := s.Scan(&u.ID, &u.Email, &u.Name, &u.PasswordHash, &at)
	u.CreatedAt = timeOf(at)
	return u, err
}

func scanMembership(s scanner) (Membership, error) {
	var m Membership
	var at, born, joined sql.NullInt64
	err := s.Scan(&m.Org.ID, &m.Org.Slug, &m.Org.Name, &at, &m.User.ID, &m.User.Email, &m.User.Name, &born, &m.Role, &joined)
	m.Org.CreatedAt, m.User.CreatedAt, m.JoinedAt = timeOf(at), timeOf(born), timeOf(joined)
	return m, err
}

// AddOrgUnscoped makes an organization. A slug that is taken is ErrExists.
func (d *DB) AddOrgUnscoped(ctx context.Context, slug, name string, now time.Time) (Organization, error) {
	return one(ctx, d.w, "organization", scanOrg, `
		INSERT INTO organizations (slug, name, created_at) VALUES (?, ?, ?)
		RETURNING id, slug, name, created_at`, slug, name, ms(now))
}

// OrgBySlugUnscoped finds an organization by the name in its address.
func (d *DB) OrgBySlugUnscoped(ctx context.Context, slug string) (Organization, error) {
	return one(ctx, d.r, "organization", scanOrg, `
		SELECT `+orgColumns+` FROM organizations o WHERE o.slug = ?`, slug)
}

// OrgsUnscoped lists at most 1000 organizations by slug.
func (d *DB) OrgsUnscoped(ctx context.Context) ([]Organization, error) {
	return list(ctx, d.r, "organizations", scanOrg, `
		SELECT `+orgColumns+` FROM organizations o ORDER BY o.slug LIMIT 1000`)
}

// AddUserUnscoped makes a user. emailNorm is the normalised email, unique.
func (d *DB) AddUserUnscoped(ctx context.Context, u User, emailNorm string) (User, error) {
	return addUser(ctx, d.w, u, emailNorm)
}

// AddFirstOwnerUnscoped makes the first user with the first organization, and
// is ErrExists once there is any user at all: two people at the setup page
// cannot both become the owner.
func (d *DB) AddFirstOwnerUnscoped(ctx context.Context, u User, emailNorm, slug, orgName string) (User, error) {
	var out User
	err := d.write(ctx, func(tx *sql.Tx) error {
		n, err := one(ctx, tx, "users", scanInt, `SELECT EXISTS (SELECT 1 FROM users)`)
		if err != nil {
			return err
		}
		if n != 0 {
			return ErrExists
		}
		if out, err = addUser(ctx, tx, u, emailNorm); err != nil {
			return err
		}
		org, err := one(ctx, tx, "organization", scanInt, `
			INSERT INTO organizations (slug, name, created_at) VALUES (?, ?, ?)
			ON CONFLICT (slug) DO UPDATE SET slug = excluded.slug
			RETURNING id`, slug, orgName, ms(u.CreatedAt))
		if err != nil {
			return err
		}
		_, err = exec(ctx, tx, "membership", `
			INSERT INTO memberships (org_id, user_id, role, created_at) VALUES (?, ?, 'owner', ?)`,
			org, out.ID, ms(u.CreatedAt))
		return err
	})
	return out, err
}

// UserByEmailUnscoped finds a user by normalised email.
func (d *DB) UserByEmailUnscoped(ctx context.Context, emailNorm string) (User, error) {
	return one(ctx, d.r, "user", scanUser, `
		SELECT id, email, name, password_hash, created_at FROM users WHERE email_norm = ?`, emailNorm)
}

// UserUnscoped finds a user by id.
func (d *DB) UserUnscoped(ctx context.Context, id UserID) (User, error) {
	return one(ctx, d.r, "user", scanUser, `
		SELECT id, email, name, password_hash, created_at FROM users WHERE id = ?`, id)
}

// AnyUserUnscoped reports whether anybody can sign in yet.
func (d *DB) AnyUserUnscoped(ctx context.Context) (bool, error) {
	n, err := one(ctx, d.r, "users", scanInt, `SELECT EXISTS (SELECT 1 FROM users)`)
	return n == 1, err
}

// SetPasswordUnscoped replaces a user's password hash and signs them out
// everywhere.
func (d *DB) SetPasswordUnscoped(ctx context.Context, id UserID, hash string) error {
	return d.write(ctx, func(tx *sql.Tx) error {
		if err := must(exec(ctx, tx, "user", `UPDATE users SET password_hash = ? WHERE id = ?`, hash, id)); err != nil {
			return err
		}
		_, err := exec(ctx, tx, "web sessions", `DELETE FROM web_sessions WHERE user_id = ?`, id)
		return err
	})
}

// UpgradePasswordHashUnscoped replaces the hash of an unchanged password, as
// when its cost was raised; nobody is signed out.
func (d *DB) UpgradePasswordHashUnscoped(ctx context.Context, id UserID, hash string) error {
	return must(exec(ctx, d.w, "user", `UPDATE users SET password_hash = ? WHERE id = ?`, hash, id))
}

// MembershipsUnscoped lists the organizations that a user belongs to, by name,
// at most 200. Every page asks for it, so that it is read once between two
// writes: who was given another role here has it with the next request.
func (d *DB) MembershipsUnscoped(ctx context.Context, user UserID) ([]Membership, error) {
	return list(ctx, keptReads{readers: d.r, d: d}, "memberships", scanMembership, `
		SELECT `+membershipColumns+`
		FROM memberships m
		JOIN organizations o ON o.id = m.org_id
		JOIN users u ON u.id = m.user_id
		WHERE m.user_id = ?
		ORDER BY o.name, o.id
		LIMIT 200`, user)
}

// MembershipUnscoped finds a user's membership by the organization's slug. An
// organization that the user does not belong to is ErrNotFound, as one that
// does not exist.
func (d *DB) MembershipUnscoped(ctx context.Context, user UserID, slug string) (Membership, error) {
	return one(ctx, d.r, "membership", scanMembership, `
		SELECT `+membershipColumns+`
		FROM organizations o
		JOIN memberships m ON m.org_id = o.id AND m.user_id = ?
		JOIN users u ON u.id = m.user_id
		WHERE o.slug = ?`, user, slug)
}

// Members lists the organization's members by name, at most 1000.
func (o Org) Members(ctx context.Context) ([]Membership, error) {
	return list(ctx, o.db.r, "members", scanMembership, `
		SELECT `+membershipColumns+`
		FROM memberships m
		JOIN organizations o ON o.id = m.org_id
		JOIN users u ON u.id = m.user_id
		WHERE m.org_id = ?
		ORDER BY u.name, u.id
		LIMIT 1000`, o.id)
}

// SetMember gives a user a role in the organization, adding them if need be.
func (o Org) SetMember(ctx context.Context, user UserID, role string, now time.Time) error {
	_, err := exec(ctx, o.db.w, "membership", `
		INSERT INTO memberships (org_id, user_id, role, created_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (org_id, user_id) DO UPDATE SET role = excluded.role`, o.id, user, role, ms(now))
	return err
}

// MetaUnscoped reads a value of the installation, ErrNotFound if unset.
func (d *DB) MetaUnscoped(ctx context.Context, key string) ([]byte, error) {
	return one(ctx, d.r, "meta", func(s scanner) (v []byte, err error) { return v, s.Scan(&v) }, `
		SELECT value FROM meta WHERE key = ?`, key)
}

// SetMetaUnscoped writes a value of the installation.
func (d *DB) SetMetaUnscoped(ctx context.Context, key string, value []byte, now time.Time) error {
	_, err := exec(ctx, d.w, "meta", `
		INSERT INTO meta (key, value, updated_at) VALUES (?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`, key, value, ms(now))
	return err
}

// AddMetaUnscoped writes a value only where there is none and returns the one
// that is there now, so that two processes starting at once agree.
func (d *DB) AddMetaUnscoped(ctx context.Context, key string, value []byte, now time.Time) ([]byte, error) {
	var out []byte
	err := d.write(ctx, func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, "meta", `
			INSERT INTO meta (key, value, updated_at) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING`, key, value, ms(now))
		if err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = ?`, key).Scan(&out)
	})
	return out, err
}

// DeleteMetaUnscoped removes a value of the installation, if it is there.
func (d *DB) DeleteMetaUnscoped(ctx context.Context, key string) error {
	_, err := exec(ctx, d.w, "meta", `DELETE FROM meta WHERE key = ?`, key)
	return err
}

// WebSession is a signed-in browser.
type WebSession struct {
	User      UserID
	Data      string // small JSON that the web layer keeps
	CreatedAt time.Time
	SeenAt    time.Time
	ExpiresAt time.Time
}

// AddWebSessionUnscoped stores a new browser's session under its token's hash.
func (d *DB) AddWebSessionUnscoped(ctx context.Context, tokenHash []byte, s WebSession) error {
	_, err := exec(ctx, d.w, "web session", `
		INSERT INTO web_sessions (token_hash, user_id, data, created_at, seen_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)`,
		tokenHash, s.User, s.Data, ms(s.CreatedAt), ms(s.SeenAt), ms(s.ExpiresAt))
	return err
}

// SetWebSessionDataUnscoped stores what a browser's session holds. One that was
// ended is ErrNotFound: a request that was under way must not bring it back.
func (d *DB) SetWebSessionDataUnscoped(ctx context.Context, tokenHash []byte, data string, now time.Time) error {
	return must(exec(ctx, d.w, "web session", `
		UPDATE web_sessions SET data = ?, seen_at = ? WHERE token_hash = ?`, data, ms(now), tokenHash))
}

// WebSessionUnscoped finds a browser's session that was seen since idleSince
// and has not expired at now. Every page asks who looks at it, so the answer is
// kept between two writes: one that was ended is gone with the write that ended
// it.
func (d *DB) WebSessionUnscoped(ctx context.Context, tokenHash []byte, now, idleSince time.Time) (WebSession, error) {
	w, err := one(ctx, keptReads{readers: d.r, d: d}, "web session", func(s scanner) (WebSession, error) {
		var w WebSession
		var created, seen, expires sql.NullInt64
		err := s.Scan(&w.User, &w.Data, &created, &seen, &expires)
		w.CreatedAt, w.SeenAt, w.ExpiresAt = timeOf(created), timeOf(seen), timeOf(expires)
		return w, err
	}, webSessionQuery, string(tokenHash))
	if err == nil && (!w.ExpiresAt.After(now) || !w.SeenAt.After(idleSince)) {
		return WebSession{}, wrap("web session", sql.ErrNoRows)
	}
	return w, err
}

// The hash is text here, because what is kept is found by its arguments.
const webSessionQuery = `
	SELECT user_id, data, created_at, seen_at, expires_at FROM web_sessions
	WHERE token_hash = CAST(? AS BLOB)`

// TouchWebSessionUnscoped notes that a browser was seen. That is no change of
// what pages show, so what is kept of the session has to be forgotten.
func (d *DB) TouchWebSessionUnscoped(ctx context.Context, tokenHash []byte, now time.Time) error {
	_, err := exec(ctx, d.w, "web session", touchWebSession, ms(now), tokenHash)
	keptReads{readers: d.r, d: d}.forget(webSessionQuery, string(tokenHash))
	return err
}

const touchWebSession = `UPDATE web_sessions SET seen_at = ? WHERE token_hash = ?`

// DeleteWebSessionUnscoped signs a browser out.
func (d *DB) DeleteWebSessionUnscoped(ctx context.Context, tokenHash []byte) error {
	_, err := exec(ctx, d.w, "web session", `DELETE FROM web_sessions WHERE token_hash = ?`, tokenHash)
	return err
}

// DeleteStaleWebSessionsUnscoped removes sessions that have expired or idled.
func (d *DB) DeleteStaleWebSessionsUnscoped(ctx context.Context, now, idleSince time.Time) error {
	_, err := exec(ctx, d.w, "web sessions", `DELETE FROM web_sessions WHERE expires_at <= ?`, ms(now))
	_, err2 := exec(ctx, d.w, "web sessions", `DELETE FROM web_sessions WHERE seen_at <= ?`, ms(idleSince))
	return errors.Join(err, err2)
}
