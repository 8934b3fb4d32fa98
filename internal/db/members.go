package db

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Invitation lets one person into an organization, by a link.
type Invitation struct {
	ID    InvitationID
	Org   Organization // filled on reading
	Email string       // as typed
	Role  string
	// FormToken tells one sending of the form from another.
	FormToken string
	CreatedBy UserID // 0 is the command line
	// CreatedByName is what that user is called today, filled on reading.
	CreatedByName string
	CreatedAt     time.Time
	ExpiresAt     time.Time
	// AcceptedAt and RevokedAt are zero while the invitation is open.
	AcceptedAt, RevokedAt time.Time
}

const (
	invitationColumns = orgColumns + `, i.id, i.email, i.role, i.form_token, i.created_by,
		coalesce(nullif(u.name, ''), u.email, ''), i.created_at, i.expires_at, i.accepted_at, i.revoked_at`
	invitationFrom = `
		FROM invitations i
		JOIN organizations o ON o.id = i.org_id
		LEFT JOIN users u ON u.id = i.created_by`
)

func scanInvitation(s scanner) (Invitation, error) {
	var i Invitation
	var born, by, created, expires, accepted, revoked sql.NullInt64
	err := s.Scan(&i.Org.ID, &i.Org.Slug, &i.Org.Name, &born, &i.ID, &i.Email, &i.Role, &i.FormToken, &by,
		&i.CreatedByName, &created, &expires, &accepted, &revoked)
	i.Org.CreatedAt, i.CreatedBy = timeOf(born), UserID(by.Int64)
	i.CreatedAt, i.ExpiresAt, i.AcceptedAt, i.RevokedAt = timeOf(created), timeOf(expires), timeOf(accepted), timeOf(revoked)
	return i, err
}

// Member finds one member of the organization.
func (o Org) Member(ctx context.Context, user UserID) (Membership, error) {
	return one(ctx, o.db.r, "member", scanMembership, `
		SELECT `+membershipColumns+`
		FROM memberships m
		JOIN organizations o ON o.id = m.org_id
		JOIN users u ON u.id = m.user_id
		WHERE m.org_id = ? AND m.user_id = ?`, o.id, user)
}

// MemberByEmail finds a member by normalised email.
func (o Org) MemberByEmail(ctx context.Context, emailNorm string) (Membership, error) {
	return one(ctx, o.db.r, "member", scanMembership, `
		SELECT `+membershipColumns+`
		FROM users u
		JOIN memberships m ON m.org_id = ? AND m.user_id = u.id
		JOIN organizations o ON o.id = m.org_id
		WHERE u.email_norm = ?`, o.id, emailNorm)
}

// Standing is who is what at the moment of a change.
type Standing struct {
	Actor  string // role of who makes the change, "" if no member
	Member string // role of who is changed
	Owners int    // of the organization
}

// MemberChange changes a member's role or takes them out of the organization.
type MemberChange struct {
	User UserID
	// Role is the new one; RemoveMember ignores it.
	Role  string
	Actor UserID
	At    time.Time
	// Decide is asked inside the transaction: two changes at once cannot both
	// rest on what neither leaves behind. Its error undoes everything.
	Decide func(Standing) (HistoryEntry, error)
	// Void are the roles that the user can give no longer. Their open
	// invitations to these are revoked, each with the entry that Voided makes.
	Void   []string
	Voided func(Invitation) HistoryEntry
}

// ChangeMember gives a member another role. Who is no member is ErrNotFound.
func (o Org) ChangeMember(ctx context.Context, c MemberChange) error {
	return o.changeMember(ctx, c, func(tx *sql.Tx) (int64, error) {
		return exec(ctx, tx, "membership", `
			UPDATE memberships SET role = ? WHERE org_id = ? AND user_id = ?`, c.Role, o.id, c.User)
	})
}

// RemoveMember takes a member out of the organization. The user, and what they
// did, stays. Who is no member is ErrNotFound.
func (o Org) RemoveMember(ctx context.Context, c MemberChange) error {
	return o.changeMember(ctx, c, func(tx *sql.Tx) (int64, error) {
		return exec(ctx, tx, "membership", `
			DELETE FROM memberships WHERE org_id = ? AND user_id = ?`, o.id, c.User)
	})
}

func (o Org) changeMember(ctx context.Context, c MemberChange, change func(*sql.Tx) (int64, error)) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		s, err := o.standing(ctx, tx, c.Actor, c.User)
		if err != nil {
			return err
		}
		if s.Member == "" {
			return wrap("member", sql.ErrNoRows)
		}
		e, err := c.Decide(s)
		if err != nil {
			return err
		}
		if err := must(change(tx)); err != nil {
			return err
		}
		if err := addHistory(ctx, tx, o.id, e); err != nil {
			return err
		}
		for _, role := range c.Void {
			if err := o.voidInvitations(ctx, tx, c, role); err != nil {
				return err
			}
		}
		return nil
	})
}

// standing reads who is what. It belongs inside the write that rests on it.
func (o Org) standing(ctx context.Context, q querier, actor, user UserID) (Standing, error) {
	return one(ctx, q, "roles", func(s scanner) (x Standing, err error) {
		return x, s.Scan(&x.Actor, &x.Member, &x.Owners)
	}, `
		SELECT
			coalesce((SELECT role FROM memberships WHERE org_id = ? AND user_id = ?), ''),
			coalesce((SELECT role FROM memberships WHERE org_id = ? AND user_id = ?), ''),
			(SELECT count(*) FROM memberships WHERE org_id = ? AND role = 'owner')`,
		o.id, actor, o.id, user, o.id)
}

// voidInvitations revokes the open invitations to a role that a member made,
// so that nobody comes in through a link of theirs which they could not make now.
func (o Org) voidInvitations(ctx context.Context, tx *sql.Tx, c MemberChange, role string) error {
	open, err := list(ctx, tx, "invitations", scanInvitation, `
		SELECT `+invitationColumns+invitationFrom+`
		WHERE i.org_id = ? AND i.created_by = ? AND i.role = ? AND i.accepted_at IS NULL AND i.revoked_at IS NULL
		ORDER BY i.email_norm, i.id LIMIT 1000`, o.id, c.User, role)
	if err != nil {
		return err
	}
	for _, i := range open {
		if _, err := exec(ctx, tx, "invitation", `
			UPDATE invitations SET revoked_at = ? WHERE id = ? AND org_id = ?`, ms(c.At), i.ID, o.id); err != nil {
			return err
		}
		if err := addHistory(ctx, tx, o.id, c.Voided(i)); err != nil {
			return err
		}
	}
	return nil
}

// OpenInvitations lists the invitations that are neither accepted nor revoked,
// expired ones included, by email, at most 500.
func (o Org) OpenInvitations(ctx context.Context) ([]Invitation, error) {
	return list(ctx, o.db.r, "invitations", scanInvitation, `
		SELECT `+invitationColumns+invitationFrom+`
		WHERE i.org_id = ? AND i.accepted_at IS NULL AND i.revoked_at IS NULL
		ORDER BY i.email_norm, i.id LIMIT 500`, o.id)
}

// Invitation finds an invitation, ended ones included.
func (o Org) Invitation(ctx context.Context, id InvitationID) (Invitation, error) {
	return o.invitation(ctx, o.db.r, id)
}

func (o Org) invitation(ctx context.Context, q querier, id InvitationID) (Invitation, error) {
	return one(ctx, q, "invitation", scanInvitation, `
		SELECT `+invitationColumns+invitationFrom+`
		WHERE i.id = ? AND i.org_id = ?`, id, o.id)
}

// InvitationByTokenUnscoped finds an invitation by its token's hash, ended ones
// included: who opens the link may read why it does not work.
func (d *DB) InvitationByTokenUnscoped(ctx context.Context, tokenHash []byte) (Invitation, error) {
	return one(ctx, d.r, "invitation", scanInvitation, `
		SELECT `+invitationColumns+invitationFrom+`
		WHERE i.token_hash = ?`, tokenHash)
}

// AddInvitation stores an open invitation with its history entry. decide is
// asked inside the transaction, with the roles of who invites and of whom the
// email belongs to. An expired invitation of the same email makes room; one
// that is still good is ErrExists. The same form sent again gives the
// invitation it made a new token, for the first answer may not have arrived;
// if that invitation has ended, or is not the same, it is ErrExists.
func (o Org) AddInvitation(ctx context.Context, i Invitation, emailNorm string, tokenHash []byte, decide func(Standing) (HistoryEntry, error)) (Invitation, error) {
	var out Invitation
	err := o.write(ctx, func(tx *sql.Tx) error {
		member, err := one(ctx, tx, "user", scanInt, `SELECT coalesce((SELECT id FROM users WHERE email_norm = ?), 0)`, emailNorm)
		if err != nil {
			return err
		}
		s, err := o.standing(ctx, tx, i.CreatedBy, UserID(member))
		if err != nil {
			return err
		}
		e, err := decide(s)
		if err != nil {
			return err
		}
		id, err := one(ctx, tx, "invitation", scanInt, `
			UPDATE invitations SET token_hash = ?, expires_at = ?
			WHERE org_id = ? AND form_token = ? AND email_norm = ? AND role = ? AND accepted_at IS NULL AND revoked_at IS NULL
			RETURNING id`, tokenHash, ms(i.ExpiresAt), o.id, i.FormToken, emailNorm, i.Role)
		if errors.Is(err, ErrNotFound) {
			id, err = o.insertInvitation(ctx, tx, i, emailNorm, tokenHash, e)
		}
		if err != nil {
			return err
		}
		out, err = o.invitation(ctx, tx, InvitationID(id))
		return err
	})
	return out, err
}

func (o Org) insertInvitation(ctx context.Context, tx *sql.Tx, i Invitation, emailNorm string, tokenHash []byte, e HistoryEntry) (int64, error) {
	if _, err := exec(ctx, tx, "invitation", `
		UPDATE invitations SET revoked_at = ?
		WHERE org_id = ? AND email_norm = ? AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at <= ?`,
		ms(i.CreatedAt), o.id, emailNorm, ms(i.CreatedAt)); err != nil {
		return 0, err
	}
	id, err := one(ctx, tx, "invitation", scanInt, `
		INSERT INTO invitations (org_id, token_hash, email, email_norm, role, form_token, created_by, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		RETURNING id`, o.id, tokenHash, i.Email, emailNorm, i.Role, i.FormToken, nullID(i.CreatedBy), ms(i.CreatedAt), ms(i.ExpiresAt))
	if err != nil {
		return 0, err
	}
	return id, addHistory(ctx, tx, o.id, e)
}

// InvitationChange acts on an open invitation.
type InvitationChange struct {
	ID    InvitationID
	Actor UserID
	At    time.Time
	// Decide is asked inside the transaction. Its error undoes everything.
	Decide func(Standing, Invitation) (HistoryEntry, error)
}

// RenewInvitation gives an open invitation another token, so that the link
// before it is worth nothing, and another end.
func (o Org) RenewInvitation(ctx context.Context, c InvitationChange, tokenHash []byte, expires time.Time) error {
	return o.changeInvitation(ctx, c, func(tx *sql.Tx) (int64, error) {
		return exec(ctx, tx, "invitation", `
			UPDATE invitations SET token_hash = ?, expires_at = ?
			WHERE id = ? AND org_id = ? AND accepted_at IS NULL AND revoked_at IS NULL`, tokenHash, ms(expires), c.ID, o.id)
	})
}

// RevokeInvitation ends an open invitation.
func (o Org) RevokeInvitation(ctx context.Context, c InvitationChange) error {
	return o.changeInvitation(ctx, c, func(tx *sql.Tx) (int64, error) {
		return exec(ctx, tx, "invitation", `
			UPDATE invitations SET revoked_at = ?
			WHERE id = ? AND org_id = ? AND accepted_at IS NULL AND revoked_at IS NULL`, ms(c.At), c.ID, o.id)
	})
}

func (o Org) changeInvitation(ctx context.Context, c InvitationChange, change func(*sql.Tx) (int64, error)) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		i, err := o.invitation(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		s, err := o.standing(ctx, tx, c.Actor, 0)
		if err != nil {
			return err
		}
		e, err := c.Decide(s, i)
		if err != nil {
			return err
		}
		if err := must(change(tx)); err != nil {
			return err
		}
		return addHistory(ctx, tx, o.id, e)
	})
}

// AcceptInvitation makes a user a member, once: of an invitation that is
// accepted, revoked or expired at now it is ErrNotFound. A zero u.ID makes the
// user too, and is ErrExists if the email is taken. Who is a member already
// keeps their role. The entry is the user's own.
func (o Org) AcceptInvitation(ctx context.Context, id InvitationID, u User, emailNorm string, now time.Time, e HistoryEntry) (User, error) {
	err := o.write(ctx, func(tx *sql.Tx) error {
		if u.ID == 0 {
			var err error
			if u, err = addUser(ctx, tx, u, emailNorm); err != nil {
				return err
			}
		}
		role, err := one(ctx, tx, "invitation", func(s scanner) (role string, err error) { return role, s.Scan(&role) }, `
			UPDATE invitations SET accepted_at = ?, accepted_by = ?
			WHERE id = ? AND org_id = ? AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > ?
			RETURNING role`, ms(now), u.ID, id, o.id, ms(now))
		if err != nil {
			return err
		}
		n, err := exec(ctx, tx, "membership", `
			INSERT INTO memberships (org_id, user_id, role, created_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (org_id, user_id) DO NOTHING`, o.id, u.ID, role, ms(now))
		if err != nil || n == 0 {
			return err
		}
		e.Actor = u.ID
		return addHistory(ctx, tx, o.id, e)
	})
	if err != nil {
		return User{}, err
	}
	return u, nil
}
