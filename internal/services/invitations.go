package services

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"sightline/internal/db"
)

// InvitationLife is how long a link lets somebody in.
const InvitationLife = 7 * 24 * time.Hour

// maxPersonName is in characters.
const maxPersonName = 80

// Invitation lets one person into an organization, by a link that counts once.
type Invitation struct {
	ID      InvitationID
	OrgName string
	OrgSlug string
	Email   string
	Role    Role
	// By is what the member who made it is called today; empty for the command line.
	By        string
	CreatedAt time.Time
	ExpiresAt time.Time
	// Expired says that its link does not work any more; a new one can be made.
	Expired bool

	org OrgID
}

func (p *People) invitation(i db.Invitation) Invitation {
	return Invitation{
		ID: i.ID, OrgName: i.Org.Name, OrgSlug: i.Org.Slug, Email: i.Email, Role: ParseRole(i.Role), By: i.CreatedByName,
		CreatedAt: i.CreatedAt, ExpiresAt: i.ExpiresAt, Expired: !i.ExpiresAt.After(p.now()), org: i.Org.ID,
	}
}

// OpenInvitations lists those that are neither accepted nor revoked, by email.
func (p *People) OpenInvitations(ctx context.Context, org OrgID) ([]Invitation, error) {
	rows, err := p.db.Org(org).OpenInvitations(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Invitation, len(rows))
	for i, row := range rows {
		out[i] = p.invitation(row)
	}
	return out, nil
}

// NewInvitation is what the form asks for. FormToken makes it count once.
type NewInvitation struct {
	Email     string
	Role      Role
	FormToken string
}

// Invite makes an invitation and the token of its link, which is stored
// nowhere: only its hash is. The same form sent again gives the same
// invitation another token. Faults that the member can correct come back as
// problems by the fields email and role; a role that they may not give is Denied.
func (p *People) Invite(ctx context.Context, actor Actor, in NewInvitation) (Invitation, string, Problems, error) {
	in.Email = strings.TrimSpace(in.Email)
	problems := Problems{}
	if !checkEmail(in.Email) {
		problems["email"] = "Give an email address such as ada@example.com."
	}
	if in.Role == NoRole {
		problems["role"] = "Choose what they may do."
	}
	if len(problems) > 0 {
		return Invitation{}, "", problems, nil
	}
	if len(in.FormToken) > 100 {
		return Invitation{}, "", nil, invalid("That form is not one of ours. Open it again.")
	}
	token, now := randomToken(), p.now()
	var member Role
	row, err := p.db.Org(actor.Org).AddInvitation(ctx, db.Invitation{
		Email: in.Email, Role: in.Role.String(), FormToken: orElse(in.FormToken, randomToken()), CreatedBy: actor.User,
		CreatedAt: now, ExpiresAt: now.Add(InvitationLife),
	}, NormalizeEmail(in.Email), tokenHash(token), func(s db.Standing) (db.HistoryEntry, error) {
		if msg := MayManage(nowOf(actor, s), in.Role); msg != "" {
			return db.HistoryEntry{}, denied(msg)
		}
		if member = ParseRole(s.Member); member != NoRole {
			return db.HistoryEntry{}, errNoChange
		}
		return p.memberEntry(actor, "invite", in.Email, fmt.Sprintf("Invited %s as %s", in.Email, in.Role), nil, fields{"role": in.Role.String()}), nil
	})
	switch {
	case errors.Is(err, errNoChange):
		return Invitation{}, "", Problems{"email": fmt.Sprintf("This person is a member already, with the role %s. Change it on their page.", member)}, nil
	case errors.Is(err, db.ErrExists):
		return Invitation{}, "", Problems{"email": "This person is invited already. Make a new link for that invitation, or revoke it first."}, nil
	case err != nil:
		return Invitation{}, "", nil, fmt.Errorf("invite somebody to organization %d: %w", actor.Org, err)
	}
	return p.invitation(row), token, nil, nil
}

const noSuchInvitation = "There is no such invitation here."

// RenewInvitation gives an open invitation a new link, good for another
// InvitationLife; the link before it stops working.
func (p *People) RenewInvitation(ctx context.Context, actor Actor, id InvitationID) (Invitation, string, error) {
	token, expires := randomToken(), p.now().Add(InvitationLife)
	err := p.db.Org(actor.Org).RenewInvitation(ctx, db.InvitationChange{
		ID: id, Actor: actor.User, At: p.now(),
		Decide: p.decideInvitation(actor, "renew", "Made a new link for the invitation of %s", true),
	}, tokenHash(token), expires)
	if errors.Is(err, errNoChange) {
		return Invitation{}, "", &Error{Kind: Conflict, Msg: "This invitation was revoked already. Invite the person again."}
	}
	if err != nil {
		return Invitation{}, "", notFound(err, noSuchInvitation)
	}
	row, err := p.db.Org(actor.Org).Invitation(ctx, id)
	if err != nil {
		return Invitation{}, "", notFound(err, noSuchInvitation)
	}
	return p.invitation(row), token, nil
}

// RevokeInvitation ends an invitation, so that its link stops working. One that
// was revoked before stays so; one that was accepted is a Conflict.
func (p *People) RevokeInvitation(ctx context.Context, actor Actor, id InvitationID) error {
	err := p.db.Org(actor.Org).RevokeInvitation(ctx, db.InvitationChange{
		ID: id, Actor: actor.User, At: p.now(),
		Decide: p.decideInvitation(actor, "revoke", "Revoked the invitation of %s", false),
	})
	if errors.Is(err, errNoChange) {
		return nil
	}
	return notFound(err, noSuchInvitation)
}

// decideInvitation lets those act on an invitation who could make it. One that
// was revoked is errNoChange. kept says whether it stays open.
func (p *People) decideInvitation(actor Actor, verb, summary string, kept bool) func(db.Standing, db.Invitation) (db.HistoryEntry, error) {
	return func(s db.Standing, i db.Invitation) (db.HistoryEntry, error) {
		if msg := MayManage(nowOf(actor, s), ParseRole(i.Role)); msg != "" {
			return db.HistoryEntry{}, denied(msg)
		}
		if !i.RevokedAt.IsZero() {
			return db.HistoryEntry{}, errNoChange
		}
		if !i.AcceptedAt.IsZero() {
			return db.HistoryEntry{}, &Error{Kind: Conflict, Msg: i.Email + " has accepted this invitation already. Change or remove them as a member."}
		}
		before := fields{"role": i.Role}
		var after fields
		if kept {
			after = before
		}
		return p.memberEntry(actor, verb, i.Email, fmt.Sprintf(summary, i.Email), before, after), nil
	}
}

// Invited is what the link of an invitation opens.
type Invited struct {
	Invitation
	// Account is who signs in with the invitation's email; a zero ID means that
	// nobody does yet.
	Account User
}

// Invited finds the invitation of a link. NotFound says in words whether the
// link was used, revoked, has expired or never was.
func (p *People) Invited(ctx context.Context, token string) (Invited, error) {
	row, err := p.openInvitation(ctx, token)
	if err != nil {
		return Invited{}, err
	}
	in := Invited{Invitation: p.invitation(row)}
	u, err := p.db.UserByEmailUnscoped(ctx, NormalizeEmail(row.Email))
	if errors.Is(err, db.ErrNotFound) {
		return in, nil
	}
	in.Account = User{ID: u.ID, Email: u.Email, Name: u.Name}
	return in, err
}

func (p *People) openInvitation(ctx context.Context, token string) (db.Invitation, error) {
	row, err := p.db.InvitationByTokenUnscoped(ctx, tokenHash(token))
	if err != nil {
		return row, notFound(err, "This invitation link is not one of ours, or a newer link has replaced it. Ask whoever invited you for a new one.")
	}
	gone := func(why string) error { return &Error{Kind: NotFound, Msg: why} }
	switch {
	case !row.AcceptedAt.IsZero():
		return row, gone("This invitation is used up: somebody has joined with it. If that was you, sign in.")
	case !row.RevokedAt.IsZero():
		return row, gone("This invitation was revoked. Ask whoever invited you for a new one.")
	case !row.ExpiresAt.After(p.now()):
		return row, gone("This invitation has expired: links are good for 7 days. Ask whoever invited you for a new one.")
	}
	return row, nil
}

// Accept makes somebody a member by the link of an invitation, once. signedIn
// is who is signed in, or 0: then it makes a user with the invitation's email,
// and faults that they can correct come back as problems by the fields name
// and password. If the email has an account that is not signed in, or somebody
// else is, it is Denied. Who is a member already keeps their role.
func (p *People) Accept(ctx context.Context, token string, signedIn UserID, name, password string) (User, Problems, error) {
	in, err := p.Invited(ctx, token)
	if err != nil {
		return User{}, nil, err
	}
	if in.Account.ID != signedIn {
		return User{}, nil, denied(fmt.Sprintf("This invitation is for %s. Sign in as them to accept it.", in.Email))
	}
	u := db.User{ID: in.Account.ID, Email: in.Account.Email, Name: in.Account.Name}
	if signedIn == 0 {
		var problems Problems
		if u, problems, err = p.newUser(ctx, in.Email, name, password); err != nil || len(problems) > 0 {
			return User{}, problems, err
		}
	}
	joined := p.memberEntry(Actor{User: u.ID, Name: orElse(u.Name, u.Email)}, "join", in.Email,
		fmt.Sprintf("Joined as %s by invitation", in.Role), nil, fields{"role": in.Role.String()})
	out, err := p.db.Org(in.org).AcceptInvitation(ctx, in.ID, u, NormalizeEmail(in.Email), p.now(), joined)
	switch {
	case errors.Is(err, db.ErrNotFound): // it ended while this was under way
		if _, err := p.openInvitation(ctx, token); err != nil {
			return User{}, nil, err
		}
		return User{}, nil, fmt.Errorf("accept invitation %d, which is open: %w", in.ID, err)
	case errors.Is(err, db.ErrExists):
		return User{}, nil, &Error{Kind: Conflict, Msg: "Somebody has just made an account with this email. Open the link again to sign in with it.", Err: err}
	case err != nil:
		return User{}, nil, fmt.Errorf("accept invitation %d: %w", in.ID, err)
	}
	return User{ID: out.ID, Email: out.Email, Name: out.Name}, nil, nil
}

// newUser checks what somebody gave for an account and hashes the password.
func (p *People) newUser(ctx context.Context, email, name, password string) (db.User, Problems, error) {
	problems := Problems{}
	name = strings.TrimSpace(name)
	if msg := checkPersonName(name); msg != "" {
		problems["name"] = msg
	}
	if msg := checkPassword(password); msg != "" {
		problems["password"] = msg
	}
	if len(problems) > 0 {
		return db.User{}, problems, nil
	}
	hash, err := p.hash(ctx, password)
	if err != nil {
		return db.User{}, nil, fmt.Errorf("hash a password: %w", err)
	}
	return db.User{Email: email, Name: name, PasswordHash: hash, CreatedAt: p.now()}, nil, nil
}

// checkPersonName says what is wrong with a person's name, "" if nothing is. No name
// is fine: the email stands in for it.
func checkPersonName(name string) string {
	if utf8.RuneCountInString(name) > maxPersonName {
		return fmt.Sprintf("Use at most %d characters.", maxPersonName)
	}
	return ""
}
