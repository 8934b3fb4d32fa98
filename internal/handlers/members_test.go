package handlers_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"sightline/internal/services"
)

const (
	membersPath = "/o/acme/settings/members"
	invitePath  = membersPath + "/invite"
)

// memberPath is the page of the member with an email.
func (s *site) memberPath(t *testing.T, email string) string {
	t.Helper()
	members, err := s.services.People.Members(t.Context(), s.org.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if m.User.Email == email {
			return fmt.Sprintf("%s/%d", membersPath, m.User.ID)
		}
	}
	t.Fatalf("%s is no member", email)
	return ""
}

// link reads the link of an invitation off the page that shows it, without the host.
func (a answer) link(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`value="http://[^/"]+(/invite\?token=[^"]+)"`).FindStringSubmatch(a.body)
	if a.status != 200 || m == nil {
		t.Fatalf("no link on the page: %d\n%s", a.status, a.body)
	}
	return html.UnescapeString(m[1])
}

func tokenOf(t *testing.T, link string) string {
	t.Helper()
	return mustURL(t, link).Query().Get("token")
}

// history counts the entries about members that say something.
func (b *browser) history(text string) int {
	b.t.Helper()
	a := b.get("/o/acme/history?kind=member")
	a.wants(b.t, 200)
	return strings.Count(html.UnescapeString(a.body), text)
}

// TestRolesOfMembers tries every role against every member: who may not gets a
// sentence and nothing changes.
func TestRolesOfMembers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		as, whom, to string
		want         int
		says         string
	}{
		{"viewer", "support", "admin", 403, "Your role here is viewer"},
		{"support", "viewer", "owner", 403, "Your role here is support"},
		{"admin", "support", "viewer", 303, ""},
		{"admin", "viewer", "admin", 303, ""},
		{"admin", "viewer", "owner", 403, "Only owners make, change or remove owners."},
		{"admin", "owner", "viewer", 403, "Only owners make, change or remove owners."},
		{"admin", "admin", "owner", 403, "Nobody changes their own role."},
		{"owner", "owner", "viewer", 403, "Nobody changes their own role."},
		{"owner", "viewer", "owner", 303, ""},
		{"owner", "admin", "viewer", 303, ""},
		{"owner", "viewer", "king", 422, "Choose what they may do."},
	}
	for _, tt := range tests {
		t.Run(tt.as+" makes "+tt.whom+" "+tt.to, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, services.Vendors{})
			b := s.as(t, tt.as+"@example.com")
			here := s.memberPath(t, tt.whom+"@example.com")
			b.post(here+"/role", "was", tt.whom, "role", tt.to).wants(t, tt.want, tt.says)
			role := tt.whom
			if tt.want == 303 {
				role = tt.to
			}
			owner := s.as(t, "owner@example.com")
			if got := s.roleOf(t, tt.whom+"@example.com"); got != role {
				t.Errorf("the role is %s, want %s", got, role)
			}
			if n := owner.history("Made " + tt.whom + "@example.com"); (n > 0) != (tt.want == 303) {
				t.Errorf("the history tells %d times of it", n)
			}
		})
	}
}

func (s *site) roleOf(t *testing.T, email string) string {
	t.Helper()
	members, err := s.services.People.Members(t.Context(), s.org.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if m.User.Email == email {
			return m.Role.String()
		}
	}
	return ""
}

func TestRemovingMembers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		as, whom string
		want     int
		says     string
	}{
		{"viewer", "support", 403, "Members are invited, changed and removed by members with the role admin or owner."},
		{"support", "owner", 403, "Members are invited"},
		{"admin", "owner", 403, "Only owners make, change or remove owners."},
		{"admin", "viewer", 303, ""},
		{"owner", "admin", 303, ""},
		{"owner", "owner", 422, "is the last owner of this organization"},
		{"viewer", "viewer", 303, ""}, // everybody may leave
	}
	for _, tt := range tests {
		t.Run(tt.as+" removes "+tt.whom, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, services.Vendors{})
			b, them := s.as(t, tt.as+"@example.com"), s.as(t, tt.whom+"@example.com")
			here := s.memberPath(t, tt.whom+"@example.com")
			if tt.want != 422 { // who may not is not asked either
				b.get(here+"/remove").wants(t, map[int]int{303: 200, 403: 403}[tt.want], tt.says)
			}
			b.post(here+"/remove").wants(t, tt.want, tt.says)
			if tt.want != 303 {
				them.get("/o/acme/").wants(t, 200)
				return
			}
			// At once, in the browser that was signed in before.
			if tt.as != tt.whom {
				them.get("/o/acme/").wants(t, 404, "do not belong to it")
				them.get(membersPath).wants(t, 404)
				b.post(here+"/remove").wants(t, 404, "There is no such member here.")
				if n := b.history("Removed " + tt.whom + "@example.com"); n == 0 {
					t.Error("the history does not tell of it")
				}
			} else if a := b.get("/o/acme/"); a.status != 303 {
				t.Errorf("after leaving the only organization: %d, want to be signed out", a.status)
			}
		})
	}
}

func TestMembersPageOffersWhatEachRoleMayDo(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	for _, role := range []string{"viewer", "support"} {
		b := s.as(t, role+"@example.com")
		a := b.get(membersPath)
		a.wants(t, 200, "owner@example.com", "members with the role admin or owner", "You", `aria-current="page"`)
		if strings.Contains(a.body, invitePath) || strings.Contains(a.body, s.memberPath(t, "owner@example.com")) {
			t.Errorf("a %s is offered what would refuse them", role)
		}
		b.get(invitePath).wants(t, 403)
		b.post(invitePath, "email", "eve@example.com", "role", "viewer").wants(t, 403)
		b.get(s.memberPath(t, "viewer@example.com")).wants(t, 403)
	}
	admin := s.as(t, "admin@example.com")
	admin.get(membersPath).wants(t, 200, invitePath, "/o/acme/settings/connections")
	admin.get("/o/acme/settings/connections").wants(t, 200, membersPath)
	a := admin.get(s.memberPath(t, "viewer@example.com"))
	a.wants(t, 200, `value="admin"`, "Remove…")
	if strings.Contains(a.body, `value="owner"`) {
		t.Error("an admin is offered to make owners")
	}
	admin.get(s.memberPath(t, "owner@example.com")).wants(t, 200, "Only owners make, change or remove owners.")
	admin.get(s.memberPath(t, "admin@example.com")).wants(t, 200, "Nobody changes their own role.", "Leave…")
}

func TestTwoTabsDoNotOverwriteARole(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	owner, admin := s.as(t, "owner@example.com"), s.as(t, "admin@example.com")
	here := s.memberPath(t, "viewer@example.com") + "/role"
	owner.post(here, "was", "viewer", "role", "support").wants(t, 303)
	owner.post(here, "was", "viewer", "role", "support").wants(t, 303) // the button pressed twice
	if n := owner.history("Made viewer@example.com support, from viewer"); n != 1 {
		t.Errorf("the history tells %d times of one change", n)
	}
	admin.post(here, "was", "viewer", "role", "admin").wants(t, 409, "has just made viewer@example.com support")
	if got := s.roleOf(t, "viewer@example.com"); got != "support" {
		t.Errorf("the role is %s", got)
	}
}

func TestInvitationLetsANewPersonInOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	admin := s.as(t, "admin@example.com")
	admin.get(invitePath).wants(t, 200, `name="form_token"`, "Sightline sends no email", `value="support" checked`)
	admin.post(invitePath, "email", "grace", "role", "").wants(t, 422, "Give an email address", "Choose what they may do.", `value="grace"`, "2 fields need")
	admin.post(invitePath, "email", "grace@example.com", "role", "owner").wants(t, 403, "Only owners make")
	admin.post(invitePath, "email", "Viewer@Example.com", "role", "viewer").wants(t, 422, "is a member already, with the role viewer")
	made := admin.post(invitePath, "email", " Grace@example.com ", "role", "support", "form_token", "f1")
	made.wants(t, 200, "shown only now", "Copy the link</summary>", "Works until")
	link := made.link(t)
	list := admin.get(membersPath)
	list.wants(t, 200, "Grace@example.com", "Until ", "Revoke", "by admin@example.com")
	if strings.Contains(list.body, tokenOf(t, link)) {
		t.Error("the link is shown again")
	}
	admin.post(invitePath, "email", "grace@example.com", "role", "viewer", "form_token", "f2").wants(t, 422, "is invited already")

	b := s.browser(t)
	b.get(link).wants(t, 200, "Join Acme", "Grace@example.com", "ask vendors", `name="password"`)
	a := b.post("/invite", "token", tokenOf(t, link), "name", strings.Repeat("x", 81), "password", "short")
	a.wants(t, 422, "at least 10 characters", "at most 80 characters", "2 fields need")
	if strings.Contains(a.body, `value="short"`) {
		t.Error("the password came back in the page")
	}
	a = b.post("/invite", "token", tokenOf(t, link), "name", "Grace <b>", "password", "admiral of the fleet")
	if a.status != 303 || a.location != "/o/acme/" {
		t.Fatalf("join: %d to %q\n%s", a.status, a.location, a.body)
	}
	b.get("/o/acme/").wants(t, 200, "You belong to Acme now", "Grace &lt;b&gt;")
	b.get(invitePath).wants(t, 403, "Your role here is support")
	s.browser(t).get(link).wants(t, 404, "used up")
	s.browser(t).post("/invite", "token", tokenOf(t, link), "password", "somebody else's").wants(t, 404, "used up")
	if a := s.browser(t).post("/login", "email", "grace@example.com", "password", "admiral of the fleet"); a.status != 303 {
		t.Errorf("sign in afterwards: %d", a.status)
	}
	for _, text := range []string{"Invited Grace@example.com as support", "Joined as support by invitation"} {
		if n := admin.history(text); n != 1 {
			t.Errorf("the history tells %d times %q", n, text)
		}
	}
	if strings.Contains(s.log.String(), tokenOf(t, link)) {
		t.Error("the token stands in the log")
	}
}

func TestFormSentTwiceInvitesOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	admin := s.as(t, "admin@example.com")
	form := []string{"email", "grace@example.com", "role", "support", "form_token", "f1"}
	first, second := admin.post(invitePath, form...).link(t), admin.post(invitePath, form...).link(t)
	// The browser shows the second answer, so its link is the one that works.
	s.browser(t).get(first).wants(t, 404, "newer link")
	s.browser(t).get(second).wants(t, 200, "Join Acme")
	if n := strings.Count(admin.get(membersPath).body, "Revoke the invitation of grace@example.com"); n != 1 {
		t.Errorf("%d invitations are open", n)
	}
	if n := admin.history("Invited grace@example.com as support"); n != 1 {
		t.Errorf("the history tells %d times of it", n)
	}
	admin.post(invitePath, "email", "other@example.com", "role", "support", "form_token", "f1").wants(t, 422, "is invited already")
}

// invitation finds the address of an open invitation's buttons.
func (b *browser) invitation() string {
	b.t.Helper()
	m := regexp.MustCompile(`action="([^"]+/invitations/\d+)/revoke"`).FindStringSubmatch(b.get(membersPath).body)
	if m == nil {
		b.t.Fatal("no invitation to revoke")
	}
	return m[1]
}

func TestInvitationIsRenewedAndRevoked(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	admin, owner := s.as(t, "admin@example.com"), s.as(t, "owner@example.com")
	old := admin.post(invitePath, "email", "grace@example.com", "role", "admin").link(t)
	here := admin.invitation()
	renewed := admin.post(here + "/link").link(t)
	s.browser(t).get(old).wants(t, 404, "newer link has replaced it")
	s.browser(t).get(renewed).wants(t, 200)
	if a := admin.get(here + "/link"); a.status != 303 || a.location != membersPath {
		t.Errorf("the address of the link, opened: %d to %q", a.status, a.location)
	}
	for range 2 { // the button pressed twice
		if a := admin.post(here + "/revoke"); a.status != 303 {
			t.Errorf("revoke: %d", a.status)
		}
	}
	if n := admin.history("Revoked the invitation of grace@example.com"); n != 1 {
		t.Errorf("the history tells %d times of it", n)
	}
	s.browser(t).get(renewed).wants(t, 404, "was revoked")
	s.browser(t).post("/invite", "token", tokenOf(t, renewed), "password", "admiral of the fleet").wants(t, 404, "was revoked")
	admin.post(here+"/link").wants(t, 409, "was revoked already")
	s.browser(t).get("/invite").wants(t, 404, "not one of ours")
	s.browser(t).get("/invite?token=guess").wants(t, 404, "not one of ours")

	// An invitation to be an owner is an owner's alone.
	toOwner := owner.post(invitePath, "email", "ada@example.com", "role", "owner").link(t)
	here = owner.invitation()
	admin.get(membersPath).wants(t, 200, "ada@example.com", "Only owners")
	admin.post(here+"/link").wants(t, 403, "Only owners")
	admin.post(here+"/revoke").wants(t, 403, "Only owners")
	s.browser(t).post("/invite", "token", tokenOf(t, toOwner), "password", "countess of code").wants(t, 303)
	owner.post(here+"/revoke").wants(t, 409, "has accepted this invitation already")
	if got := s.roleOf(t, "ada@example.com"); got != "owner" {
		t.Errorf("the role is %q", got)
	}
}

func TestInvitationOfSomebodyWithAnAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	other, err := s.services.People.AddOrganization(t.Context(), "", "Other")
	if err != nil {
		t.Fatal(err)
	}
	s.member(t, other, "stranger@example.com", services.Owner)
	admin := s.as(t, "admin@example.com")
	link := admin.post(invitePath, "email", "Stranger@example.com", "role", "viewer").link(t)

	b := s.browser(t)
	next := "/login?" + url.Values{"next": {link}}.Encode()
	b.get(link).wants(t, 200, "You have an account already", html.EscapeString(next))
	// Nobody gets in without their password.
	b.post("/invite", "token", tokenOf(t, link), "password", "planted by somebody").wants(t, 403, "You have an account already")
	a := b.post("/login", "email", "stranger@example.com", "password", password, "next", link)
	if a.status != 303 || a.location != link {
		t.Fatalf("sign in on the way: %d to %q", a.status, a.location)
	}
	// Somebody else's browser is told so.
	page := admin.get(link)
	page.wants(t, 200, "You are signed in as admin@example.com", "This invitation is for Stranger@example.com", `action="/logout"`)
	admin.post("/invite", "token", tokenOf(t, link)).wants(t, 403, "You are signed in as admin@example.com")
	out := s.as(t, "viewer@example.com")
	if a := out.post("/logout", "next", link); a.location != link {
		t.Errorf("sign out on the way leads to %q", a.location)
	}
	if a := out.post("/logout", "next", "https://evil.example/"); a.location != "/login" {
		t.Errorf("sign out leads to %q", a.location)
	}

	b.get(link).wants(t, 200, "Join Acme")
	if a := b.post("/invite", "token", tokenOf(t, link)); a.status != 303 || a.location != "/o/acme/" {
		t.Fatalf("join: %d to %q", a.status, a.location)
	}
	b.get("/o/acme/").wants(t, 200, "You belong to Acme now")
	b.get("/o/other/").wants(t, 200)
	b.get(link).wants(t, 404, "used up")

	// Who belongs nowhere can still come back by an invitation.
	admin = s.as(t, "admin@example.com")
	admin.post(s.memberPath(t, "support@example.com")+"/remove").wants(t, 303)
	link = admin.post(invitePath, "email", "support@example.com", "role", "viewer").link(t)
	back := s.browser(t)
	back.post("/login", "email", "support@example.com", "password", password).wants(t, 403, "you belong to no organization")
	back.post("/login", "email", "support@example.com", "password", password, "next", link).wants(t, 303)
	back.post("/invite", "token", tokenOf(t, link)).wants(t, 303)
	back.get("/o/acme/").wants(t, 200)
}

func TestWhoLosesPowerLosesTheirInvitations(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	owner := s.as(t, "owner@example.com")
	s.member(t, s.org, "second@example.com", services.Owner)
	second := s.as(t, "second@example.com")
	toOwner := second.post(invitePath, "email", "a@example.com", "role", "owner").link(t)
	toAdmin := second.post(invitePath, "email", "b@example.com", "role", "admin").link(t)
	here := s.memberPath(t, "second@example.com")
	owner.post(here+"/role", "was", "owner", "role", "admin").wants(t, 303)
	s.browser(t).get(toOwner).wants(t, 404, "was revoked")
	s.browser(t).get(toAdmin).wants(t, 200)
	owner.post(here+"/remove").wants(t, 303)
	s.browser(t).get(toAdmin).wants(t, 404, "was revoked")
	if n := owner.history("may not make it any more"); n != 2 {
		t.Errorf("the history tells of %d, want 2", n)
	}
}

func TestMembersOfOrganizationsDoNotMeet(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	other, err := s.services.People.AddOrganization(t.Context(), "other", "Other")
	if err != nil {
		t.Fatal(err)
	}
	s.member(t, other, "eve@example.com", services.Owner)
	eve, admin := s.as(t, "eve@example.com"), s.as(t, "admin@example.com")
	link := admin.post(invitePath, "email", "grace@example.com", "role", "viewer").link(t)
	invitation := admin.invitation()
	member := s.memberPath(t, "viewer@example.com")
	for _, path := range []string{member, member + "/remove", membersPath, invitePath} {
		eve.get(path).wants(t, 404)
		theirs := strings.Replace(path, "/o/acme/", "/o/other/", 1)
		if path == member || path == member+"/remove" {
			eve.get(theirs).wants(t, 404, "no such member")
		}
	}
	for _, path := range []string{member + "/role", member + "/remove", invitation + "/link", invitation + "/revoke"} {
		eve.post(path, "was", "viewer", "role", "admin").wants(t, 404)
		eve.post(strings.Replace(path, "/o/acme/", "/o/other/", 1), "was", "viewer", "role", "admin").wants(t, 404)
	}
	a := eve.get("/o/other/settings/members")
	a.wants(t, 200, "eve@example.com")
	if strings.Contains(a.body, "grace@") || strings.Contains(a.body, "viewer@") {
		t.Error("another organization's people are shown")
	}
	// The same email can be invited to both; each link leads into its own.
	eve.post("/o/other/settings/members/invite", "email", "grace@example.com", "role", "admin").wants(t, 200)
	s.browser(t).get(link).wants(t, 200, "Join Acme")
	if got := s.roleOf(t, "viewer@example.com"); got != "viewer" {
		t.Errorf("the role became %q", got)
	}
}

func TestInvitationLinksAreLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t, services.Vendors{})
	b := s.browser(t)
	var last answer
	for range 62 {
		last = b.get("/invite?token=guess")
	}
	last.wants(t, http.StatusTooManyRequests, "Too many tries")
	b.get("/login").wants(t, 200)
}
