package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sightline/internal/db"
)

// Member is a person in an organization.
type Member struct {
	User     User
	Role     Role
	JoinedAt time.Time
}

// label is the member's name, or their email if they gave none.
func (u User) label() string { return orElse(u.Name, u.Email) }

func member(m db.Membership) Member {
	return Member{
		User: User{ID: m.User.ID, Email: m.User.Email, Name: m.User.Name}, Role: ParseRole(m.Role), JoinedAt: m.JoinedAt,
	}
}

// Members lists an organization's members by name.
func (p *People) Members(ctx context.Context, org OrgID) ([]Member, error) {
	rows, err := p.db.Org(org).Members(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Member, len(rows))
	for i, m := range rows {
		out[i] = member(m)
	}
	return out, nil
}

const noSuchMember = "There is no such member here. They may have left or been removed already."

// Member finds one member of an organization.
func (p *People) Member(ctx context.Context, org OrgID, user UserID) (Member, error) {
	m, err := p.db.Org(org).Member(ctx, user)
	if err != nil {
		return Member{}, notFound(err, noSuchMember)
	}
	return member(m), nil
}

// MayManage says in a sentence why somebody with the role actor may not give or
// take the role other; it is "" if they may.
func MayManage(actor, other Role) string {
	switch {
	case actor < Admin:
		return "Members are invited, changed and removed by members with the role admin or owner."
	case other == Owner && actor < Owner:
		return "Only owners make, change or remove owners."
	}
	return ""
}

// Manageable are the roles that somebody with the role actor may give,
// weakest first.
func Manageable(actor Role) []Role {
	var out []Role
	for r := Viewer; r <= Owner; r++ {
		if MayManage(actor, r) == "" {
			out = append(out, r)
		}
	}
	return out
}

// unmanageable are the names of the roles that the role may not give.
func unmanageable(actor Role) []string {
	var out []string
	for r := Viewer; r <= Owner; r++ {
		if MayManage(actor, r) != "" {
			out = append(out, r.String())
		}
	}
	return out
}

// nowOf is the role that the actor has at the moment of a change; who is no
// user, such as the command line, has what it says.
func nowOf(actor Actor, s db.Standing) Role {
	if actor.User == 0 {
		return actor.Role
	}
	return ParseRole(s.Actor)
}

func denied(msg string) error { return &Error{Kind: Denied, Msg: msg} }

const lastOwner = "%s is the last owner of this organization. Make somebody else an owner first."

// errNoChange undoes a change that would change nothing.
var errNoChange = errors.New("nothing to change")

// ChangeRole gives a member another role; was is the role that whoever decided
// saw. If it is another by now it is a Conflict, unless it is the wanted one
// already. Nobody changes their own role, only owners make and change owners,
// and the last owner stays one: these are Denied, the last one Invalid.
func (p *People) ChangeRole(ctx context.Context, actor Actor, user UserID, was, to Role) error {
	m, err := p.Member(ctx, actor.Org, user)
	if err != nil {
		return err
	}
	if to == NoRole {
		return invalid("The role is one of viewer, support, admin, owner.")
	}
	decide := func(s db.Standing) (db.HistoryEntry, error) {
		role, by := ParseRole(s.Member), nowOf(actor, s)
		if user == actor.User {
			return db.HistoryEntry{}, denied("Nobody changes their own role. Ask another admin or owner.")
		}
		for _, r := range []Role{role, to} {
			if msg := MayManage(by, r); msg != "" {
				return db.HistoryEntry{}, denied(msg)
			}
		}
		switch {
		case role == to:
			return db.HistoryEntry{}, errNoChange
		case role != was:
			return db.HistoryEntry{}, &Error{Kind: Conflict, Msg: fmt.Sprintf("Somebody else has just made %s %s. Look again before you change it.", m.User.label(), role.article())}
		case role == Owner && s.Owners < 2:
			return db.HistoryEntry{}, invalid(lastOwner, m.User.label())
		}
		return p.memberEntry(actor, "role", m.User.Email, fmt.Sprintf("Made %s %s, from %s", m.User.Email, to.article(), role),
			fields{"role": role.String()}, fields{"role": to.String()}), nil
	}
	err = p.db.Org(actor.Org).ChangeMember(ctx, db.MemberChange{
		User: user, Role: to.String(), Actor: actor.User, At: p.now(), Decide: decide, Void: unmanageable(to), Voided: p.voided(actor),
	})
	if errors.Is(err, errNoChange) {
		return nil
	}
	return notFound(err, noSuchMember)
}

// RemoveMember takes a member out of the organization, from their next request
// on; members may take themselves out. Only owners remove owners (Denied), and
// the last owner stays (Invalid).
func (p *People) RemoveMember(ctx context.Context, actor Actor, user UserID) error {
	m, err := p.Member(ctx, actor.Org, user)
	if err != nil {
		return err
	}
	decide := func(s db.Standing) (db.HistoryEntry, error) {
		role, by := ParseRole(s.Member), nowOf(actor, s)
		action, summary := "remove", "Removed "+m.User.Email
		if user == actor.User {
			action, summary = "leave", "Left the organization"
		} else if msg := MayManage(by, role); msg != "" {
			return db.HistoryEntry{}, denied(msg)
		}
		if role == Owner && s.Owners < 2 {
			return db.HistoryEntry{}, invalid(lastOwner, m.User.label())
		}
		return p.memberEntry(actor, action, m.User.Email, summary, fields{"role": role.String()}, nil), nil
	}
	err = p.db.Org(actor.Org).RemoveMember(ctx, db.MemberChange{
		User: user, Actor: actor.User, At: p.now(), Decide: decide, Void: unmanageable(NoRole), Voided: p.voided(actor),
	})
	return notFound(err, noSuchMember)
}

// voided makes the entry of an invitation that lost its force because the
// member who made it could not make it any more.
func (p *People) voided(actor Actor) func(db.Invitation) db.HistoryEntry {
	return func(i db.Invitation) db.HistoryEntry {
		e := p.memberEntry(actor, "revoke", i.Email, "Revoked the invitation of "+i.Email, fields{"role": i.Role}, nil)
		e.Reason = i.CreatedByName + ", who made it, may not make it any more"
		return e
	}
}

// fields are an entry's values before or after; nil is none.
type fields map[string]string

// memberEntry is the history entry of something done to members.
func (p *People) memberEntry(actor Actor, verb, subject, summary string, before, after fields) db.HistoryEntry {
	return db.HistoryEntry{
		At: p.now(), Actor: actor.User, ActorName: actor.Name, Action: string(HistoryMembers) + "." + verb,
		Subject: subject, Summary: summary, Before: before.json(), After: after.json(),
	}
}

func (f fields) json() string {
	if len(f) == 0 {
		return ""
	}
	b, err := json.Marshal(f)
	if err != nil {
		panic(err) // a map of texts always marshals
	}
	return string(b)
}

// article is the role with its article: "an admin". Support is a kind of work,
// not a person.
func (r Role) article() string {
	switch r {
	case Admin, Owner:
		return "an " + r.String()
	case Viewer:
		return "a " + r.String()
	}
	return r.String()
}
