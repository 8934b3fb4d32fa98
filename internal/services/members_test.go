package services_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"sightline/internal/services"
)

// newOrg makes an organization with an owner and returns both.
func newOrg(t *testing.T, p *services.People) (services.Organization, services.Actor) {
	t.Helper()
	ctx := t.Context()
	u, err := p.FirstOwner(ctx, services.NewOwner{Email: "ada@example.com", Name: "Ada", Password: "correct horse", OrgName: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	org, err := p.Organization(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	return org, services.Actor{Org: org.ID, User: u.ID, Name: "Ada", Email: u.Email, Role: services.Owner}
}

func isKind(err error, k services.Kind) bool {
	var e *services.Error
	return errors.As(err, &e) && e.Kind == k
}

// Both were owners when they pressed the button; one of them has to stay.
func TestOrganizationIsNeverWithoutAnOwner(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	for _, how := range []string{"demote each other", "remove each other", "leave"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			p := newPeople(t, &now)
			ctx := t.Context()
			org, ada := newOrg(t, p)
			u, err := p.AddMember(ctx, org.ID, services.NewOwner{Email: "bob@example.com", Password: "correct horse"}, services.Owner)
			if err != nil {
				t.Fatal(err)
			}
			bob := services.Actor{Org: org.ID, User: u.ID, Name: "Bob", Role: services.Owner}
			act := func(a services.Actor, on services.UserID) error {
				switch how {
				case "demote each other":
					return p.ChangeRole(ctx, a, on, services.Owner, services.Viewer)
				case "remove each other":
					return p.RemoveMember(ctx, a, on)
				}
				return p.RemoveMember(ctx, a, a.User)
			}
			var wg sync.WaitGroup
			errs := make([]error, 2)
			wg.Go(func() { errs[0] = act(ada, bob.User) })
			wg.Go(func() { errs[1] = act(bob, ada.User) })
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Errorf("errors %v and %v, want one", errs[0], errs[1])
			}
			members, err := p.Members(ctx, org.ID)
			if err != nil {
				t.Fatal(err)
			}
			owners := 0
			for _, m := range members {
				if m.Role == services.Owner {
					owners++
				}
			}
			if owners != 1 {
				t.Errorf("%d owners are left", owners)
			}
		})
	}
}

func TestCommandLineKeepsTheLastOwnerToo(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	p := newPeople(t, &now)
	org, ada := newOrg(t, p)
	cli := services.CommandLine(org.ID)
	if err := p.ChangeRole(t.Context(), cli, ada.User, services.Owner, services.Admin); !isKind(err, services.Invalid) {
		t.Errorf("demote: %v, want invalid", err)
	}
	if err := p.RemoveMember(t.Context(), cli, ada.User); !isKind(err, services.Invalid) {
		t.Errorf("remove: %v, want invalid", err)
	}
}

// Roles count as they are when something is done, not as they were when the
// page was opened.
func TestWhoWasRemovedMeanwhileDoesNothing(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	p := newPeople(t, &now)
	ctx := t.Context()
	org, ada := newOrg(t, p)
	u, err := p.AddMember(ctx, org.ID, services.NewOwner{Email: "bob@example.com", Password: "correct horse"}, services.Admin)
	if err != nil {
		t.Fatal(err)
	}
	bob := services.Actor{Org: org.ID, User: u.ID, Name: "Bob", Role: services.Admin}
	in, _, _, err := p.Invite(ctx, ada, services.NewInvitation{Email: "eve@example.com", Role: services.Viewer})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.RemoveMember(ctx, ada, bob.User); err != nil {
		t.Fatal(err)
	}
	_, _, _, err = p.Invite(ctx, bob, services.NewInvitation{Email: "mallory@example.com", Role: services.Viewer})
	if !isKind(err, services.Denied) {
		t.Errorf("invite: %v, want denied", err)
	}
	if _, _, err := p.RenewInvitation(ctx, bob, in.ID); !isKind(err, services.Denied) {
		t.Errorf("renew: %v, want denied", err)
	}
	if err := p.RevokeInvitation(ctx, bob, in.ID); !isKind(err, services.Denied) {
		t.Errorf("revoke: %v, want denied", err)
	}
	if err := p.RemoveMember(ctx, bob, ada.User); !isKind(err, services.Denied) {
		t.Errorf("remove: %v, want denied", err)
	}
}

func TestInvitationExpires(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	p := newPeople(t, &now)
	ctx := t.Context()
	org, ada := newOrg(t, p)
	in, token, _, err := p.Invite(ctx, ada, services.NewInvitation{Email: "bob@example.com", Role: services.Viewer})
	if err != nil || in.ExpiresAt.Sub(now) != 7*24*time.Hour {
		t.Fatalf("invite: %v, until %v", err, in.ExpiresAt)
	}
	now = now.Add(services.InvitationLife - time.Second)
	if _, err := p.Invited(ctx, token); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	now = now.Add(time.Second)
	if _, err := p.Invited(ctx, token); !isKind(err, services.NotFound) {
		t.Errorf("at its end: %v, want not found", err)
	}
	if _, _, err := p.Accept(ctx, token, 0, "Bob", "correct horse"); !isKind(err, services.NotFound) {
		t.Errorf("accept at its end: %v, want not found", err)
	}
	open, err := p.OpenInvitations(ctx, org.ID)
	if err != nil || len(open) != 1 || !open[0].Expired {
		t.Fatalf("open = %+v, %v; want it there, expired", open, err)
	}
	// A new link wakes it up again, and a new invitation takes its place.
	if _, token, err = p.RenewInvitation(ctx, ada, in.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Invited(ctx, token); err != nil {
		t.Errorf("renewed: %v", err)
	}
	now = now.Add(services.InvitationLife)
	_, fresh, problems, err := p.Invite(ctx, ada, services.NewInvitation{Email: "BOB@example.com", Role: services.Admin})
	if err != nil || len(problems) != 0 {
		t.Fatalf("invite again: %v, %v", problems, err)
	}
	if _, err := p.Invited(ctx, fresh); err != nil {
		t.Errorf("the new one: %v", err)
	}
	if open, err := p.OpenInvitations(ctx, org.ID); err != nil || len(open) != 1 || open[0].Role != services.Admin {
		t.Errorf("open = %+v, %v; want the new one alone", open, err)
	}
}

func TestInvitationIsAcceptedOnceByManyAtOnce(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	p := newPeople(t, &now)
	ctx := t.Context()
	org, ada := newOrg(t, p)
	_, token, _, err := p.Invite(ctx, ada, services.NewInvitation{Email: "bob@example.com", Role: services.Viewer})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			_, _, errs[i] = p.Accept(ctx, token, 0, fmt.Sprint("Bob ", i), "correct horse")
		})
	}
	wg.Wait()
	good := 0
	for _, err := range errs {
		switch {
		case err == nil:
			good++
		case !isKind(err, services.NotFound) && !isKind(err, services.Conflict) && !isKind(err, services.Denied):
			t.Errorf("lost the race with %v", err)
		}
	}
	members, err := p.Members(ctx, org.ID)
	if err != nil || good != 1 || len(members) != 2 {
		t.Errorf("%d joined, %d members, %v; want one more", good, len(members), err)
	}
}

// The command line may have made them a member meanwhile.
func TestInvitationOfAMemberKeepsTheirRole(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	p := newPeople(t, &now)
	ctx := t.Context()
	org, ada := newOrg(t, p)
	_, token, _, err := p.Invite(ctx, ada, services.NewInvitation{Email: "bob@example.com", Role: services.Viewer})
	if err != nil {
		t.Fatal(err)
	}
	u, err := p.AddMember(ctx, org.ID, services.NewOwner{Email: "bob@example.com", Password: "correct horse"}, services.Admin)
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []services.UserID{0, ada.User} { // not signed in, and somebody else
		if _, _, err := p.Accept(ctx, token, who, "Eve", "planted horse"); !isKind(err, services.Denied) {
			t.Errorf("accepted by user %d: %v, want denied", who, err)
		}
	}
	if _, _, err := p.Accept(ctx, token, u.ID, "", ""); err != nil {
		t.Fatal(err)
	}
	if m, err := p.Member(ctx, org.ID, u.ID); err != nil || m.Role != services.Admin {
		t.Errorf("member = %+v, %v; want still an admin", m, err)
	}
	if _, err := p.Invited(ctx, token); !isKind(err, services.NotFound) {
		t.Errorf("the link afterwards: %v, want not found", err)
	}
}
