package services

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sightline/internal/db"
)

// Rename changes a user's own name. An empty one lets the email stand in for
// it. Faults come back as problems by the field name.
func (p *People) Rename(ctx context.Context, u User, name string) (Problems, error) {
	name = strings.TrimSpace(name)
	if msg := checkPersonName(name); msg != "" {
		return Problems{"name": msg}, nil
	}
	e := p.ownEntry(u, "rename", "Changed their own name")
	e.Before, e.After = fields{"name": u.Name}.json(), fields{"name": name}.json()
	if err := p.db.RenameUserUnscoped(ctx, u.ID, name, e); err != nil {
		return nil, fmt.Errorf("rename user %d: %w", u.ID, err)
	}
	return nil, nil
}

// ChangePassword replaces a user's password and signs them out in every
// browser, the present one included. Faults come back as problems by the fields
// current and password.
func (p *People) ChangePassword(ctx context.Context, user UserID, current, password string) (Problems, error) {
	u, err := p.db.UserUnscoped(ctx, user)
	if err != nil {
		return nil, notFound(err, "There is no such user.")
	}
	const wrong = "That is not your password. Type the one you signed in with."
	if len(current) > maxPassword {
		return Problems{"current": wrong}, nil
	}
	ok, err := p.matches(ctx, current, u.PasswordHash)
	if err != nil {
		return nil, fmt.Errorf("compare a password of user %d: %w", u.ID, err)
	}
	problems := Problems{}
	if !ok {
		problems["current"] = wrong
	}
	if msg := checkPassword(password); msg != "" {
		problems["password"] = msg
	} else if ok && current == password {
		problems["password"] = "That is the password you have. Choose another."
	}
	if len(problems) > 0 {
		return problems, nil
	}
	hash, err := p.hash(ctx, password)
	if err != nil {
		return nil, fmt.Errorf("hash a password: %w", err)
	}
	e := p.ownEntry(User{ID: u.ID, Email: u.Email, Name: u.Name}, "password", "Changed their own password")
	err = p.db.ChangePasswordUnscoped(ctx, u.ID, u.PasswordHash, hash, e)
	if errors.Is(err, db.ErrNotFound) { // another browser was first
		return Problems{"current": wrong}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("change the password of user %d: %w", u.ID, err)
	}
	return nil, nil
}

// Browsers counts where a user is signed in.
func (p *People) Browsers(ctx context.Context, user UserID) (int, error) {
	now := p.now()
	return p.db.CountWebSessionsUnscoped(ctx, user, now, now.Add(-SessionIdle))
}

// SignOutElsewhere signs a user out of every browser but the one with this
// token, and says how many those were.
func (p *People) SignOutElsewhere(ctx context.Context, u User, token string) (int, error) {
	now := p.now()
	return p.db.DeleteOtherWebSessionsUnscoped(ctx, u.ID, tokenHash(token), now, now.Add(-SessionIdle),
		p.ownEntry(u, "sign_out", "Signed out of their other browsers"))
}

// ownEntry is the history entry of what a user did to their own account.
func (p *People) ownEntry(u User, verb, summary string) db.HistoryEntry {
	return p.memberEntry(Actor{User: u.ID, Name: u.label()}, verb, u.Email, summary, nil, nil)
}
