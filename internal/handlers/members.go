package handlers

import (
	"fmt"
	"net/http"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

// settingsTabs lead between the pages of the settings.
func settingsTabs(r *http.Request, active string) []templates.TabView {
	tab := func(label, path string) templates.TabView {
		return templates.TabView{Label: label, Href: orgPath(r, "settings/%s", path), Active: path == active, Count: -1}
	}
	tabs := []templates.TabView{tab("Connections", "connections"), tab("Members", "members")}
	if may(r, services.Admin) {
		tabs = append(tabs, tab("Audit log", "audit"))
	}
	return tabs
}

func memberPath(r *http.Request, id services.UserID) string {
	return orgPath(r, "settings/members/%d", id)
}

// members handles GET /settings/members.
func (a *app) members(w http.ResponseWriter, r *http.Request) error {
	all, err := a.People.Members(r.Context(), orgOf(r))
	if err != nil {
		return err
	}
	v := templates.MembersView{Tabs: settingsTabs(r, "members"), Now: a.now()}
	for _, m := range all {
		row := templates.MemberRow{
			Name: m.User.Name, Email: m.User.Email, Role: m.Role.String(), JoinedAt: m.JoinedAt, You: m.User.ID == memberOf(r).user.ID,
		}
		if may(r, services.Admin) {
			row.URL = memberPath(r, m.User.ID)
		}
		v.Members = append(v.Members, row)
	}
	if may(r, services.Admin) {
		v.InviteURL = orgPath(r, "settings/members/invite")
		open, err := a.People.OpenInvitations(r.Context(), orgOf(r))
		if err != nil {
			return err
		}
		for _, i := range open {
			v.Invitations = append(v.Invitations, invitationRow(r, i))
		}
	}
	return a.page(w, r, http.StatusOK, "Members", "settings", templates.MembersPage(v))
}

func invitationRow(r *http.Request, i services.Invitation) templates.InvitationRow {
	row := templates.InvitationRow{Email: i.Email, Role: i.Role.String(), By: i.By, CreatedAt: i.CreatedAt, ExpiresAt: i.ExpiresAt, Expired: i.Expired}
	if services.MayManage(memberOf(r).at.Role, i.Role) == "" {
		here := orgPath(r, "settings/members/invitations/%d", i.ID)
		row.RenewURL, row.RevokeURL = here+"/link", here+"/revoke"
	}
	return row
}

// mayDo says what a role may do that the one before it may not.
func mayDo(role services.Role) string {
	switch role {
	case services.Viewer:
		return "read everything"
	case services.Support:
		return "ask vendors, request highlights and edit traits"
	case services.Admin:
		return "manage connections, members and the budget"
	case services.Owner:
		return "make, change and remove owners"
	}
	return ""
}

// roleOptions are the roles that the request's member may give.
func roleOptions(r *http.Request) []templates.OptionView {
	var out []templates.OptionView
	for _, role := range services.Manageable(memberOf(r).at.Role) {
		hint := "Also " + mayDo(role) + "."
		if role == services.Viewer {
			hint = "Read everything."
		}
		out = append(out, templates.OptionView{Value: role.String(), Label: roleLabel(role), Hint: hint})
	}
	return out
}

// showMember handles GET /settings/members/{id}.
func (a *app) showMember(w http.ResponseWriter, r *http.Request) error {
	m, err := a.People.Member(r.Context(), orgOf(r), services.UserID(idParam(r, "id")))
	if err != nil {
		return err
	}
	return a.memberPage(w, r, http.StatusOK, m, "")
}

func (a *app) memberPage(w http.ResponseWriter, r *http.Request, status int, m services.Member, problem string) error {
	here := memberPath(r, m.User.ID)
	v := templates.MemberView{
		Name: m.User.Name, Email: m.User.Email, Role: m.Role.String(), JoinedAt: m.JoinedAt, Now: a.now(), Org: memberOf(r).at.OrgName,
		You: m.User.ID == memberOf(r).user.ID, BackURL: orgPath(r, "settings/members"), HistoryURL: orgPath(r, "history?person=%d", m.User.ID),
		AccountURL: orgPath(r, "account"), RoleURL: here + "/role", Was: m.Role.String(), RemoveURL: here + "/remove",
		RoleField: templates.FieldView{ID: "role", Name: "role", Label: "What they may do", Value: m.Role.String(), Required: true, Error: problem},
		Roles:     roleOptions(r),
	}
	if v.You {
		v.Fixed = "Nobody changes their own role. Another admin or owner can."
	} else if v.Fixed = services.MayManage(memberOf(r).at.Role, m.Role); v.Fixed != "" {
		v.RemoveURL = ""
	}
	return a.page(w, r, status, nameOf(m.User), "settings", templates.MemberPage(v))
}

// nameOf is what people call a user: by email if they gave no name.
func nameOf(u services.User) string {
	return orText(u.Name, u.Email)
}

// changeRole handles POST /settings/members/{id}/role.
func (a *app) changeRole(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	m, err := a.People.Member(r.Context(), orgOf(r), services.UserID(idParam(r, "id")))
	if err != nil {
		return err
	}
	to := services.ParseRole(r.PostForm.Get("role"))
	if to == services.NoRole {
		return a.memberPage(w, r, http.StatusUnprocessableEntity, m, "Choose what they may do.")
	}
	if err := a.People.ChangeRole(r.Context(), actorOf(r), m.User.ID, services.ParseRole(r.PostForm.Get("was")), to); err != nil {
		return err
	}
	return a.redirect(w, r, memberPath(r, m.User.ID), "success", fmt.Sprintf("The role of %s is now %s.", nameOf(m.User), to))
}

// removable finds the member whom a request wants to remove, and says whether
// they are who asks.
func (a *app) removable(r *http.Request) (m services.Member, self bool, err error) {
	m, err = a.People.Member(r.Context(), orgOf(r), services.UserID(idParam(r, "id")))
	return m, m.User.ID == memberOf(r).user.ID, err
}

// askRemoveMember handles GET /settings/members/{id}/remove.
func (a *app) askRemoveMember(w http.ResponseWriter, r *http.Request) error {
	m, self, err := a.removable(r)
	if err != nil {
		return err
	}
	// Everybody may leave.
	if msg := services.MayManage(memberOf(r).at.Role, m.Role); msg != "" && !self {
		return &services.Error{Kind: services.Denied, Msg: msg}
	}
	v := templates.MemberRemoveView{
		Name: nameOf(m.User), Role: m.Role.String(), Org: memberOf(r).at.OrgName, You: self,
		Action: memberPath(r, m.User.ID) + "/remove", BackURL: memberPath(r, m.User.ID),
	}
	title := "Remove " + v.Name
	if self {
		title, v.BackURL = "Leave "+v.Org, orgPath(r, "account")
	}
	return a.page(w, r, http.StatusOK, title, "settings", templates.MemberRemovePage(v))
}

// removeMember handles POST /settings/members/{id}/remove.
func (a *app) removeMember(w http.ResponseWriter, r *http.Request) error {
	m, self, err := a.removable(r)
	if err != nil {
		return err
	}
	if err := a.People.RemoveMember(r.Context(), actorOf(r), m.User.ID); err != nil {
		return err
	}
	if !self {
		return a.redirect(w, r, orgPath(r, "settings/members"), "success", nameOf(m.User)+" was removed.")
	}
	if len(memberOf(r).all) > 1 {
		return a.redirect(w, r, "/", "success", "You left "+memberOf(r).at.OrgName+".")
	}
	// Nothing is left that they could see.
	if err := a.cookies.signOut(w, r); err != nil {
		return err
	}
	return a.redirect(w, r, "/login", "", "")
}

// newInvitation handles GET /settings/members/invite.
func (a *app) newInvitation(w http.ResponseWriter, r *http.Request) error {
	return a.inviteForm(w, r, http.StatusOK, services.NewInvitation{FormToken: services.NewFormToken(), Role: services.Support}, nil)
}

func (a *app) inviteForm(w http.ResponseWriter, r *http.Request, status int, in services.NewInvitation, problems services.Problems) error {
	return a.page(w, r, status, "Invite somebody", "settings", templates.InvitePage(templates.InviteView{
		Action: orgPath(r, "settings/members/invite"), BackURL: orgPath(r, "settings/members"), FormToken: in.FormToken,
		Email: templates.FieldView{ID: "email", Name: "email", Label: "Email", Type: "email", Value: in.Email, Required: true,
			MaxLength: 254, Autocomplete: "off", Autofocus: len(problems) == 0, Error: problems["email"], Hint: "They sign in with it."},
		Role:  templates.FieldView{ID: "role", Name: "role", Label: "What they may do", Value: in.Role.String(), Required: true, Error: problems["role"]},
		Roles: roleOptions(r),
	}))
}

// invite handles POST /settings/members/invite. It answers with the link and
// not with a redirect: the link is kept nowhere that another page could show
// it from. Sent again, as by reloading, the form gives a new link.
func (a *app) invite(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	in := services.NewInvitation{
		Email: strings.TrimSpace(r.PostForm.Get("email")), Role: services.ParseRole(r.PostForm.Get("role")), FormToken: r.PostForm.Get("form_token"),
	}
	made, token, problems, err := a.People.Invite(r.Context(), actorOf(r), in)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.inviteForm(w, r, http.StatusUnprocessableEntity, in, problems)
	}
	return a.linkPage(w, r, made, token)
}

func (a *app) linkPage(w http.ResponseWriter, r *http.Request, i services.Invitation, token string) error {
	return a.page(w, r, http.StatusOK, "The link is ready", "settings", templates.InvitationLinkPage(templates.InvitationLinkView{
		Email: i.Email, Role: i.Role.String(), Link: a.absolute(r, invitePath(token)), ExpiresAt: i.ExpiresAt,
		BackURL: orgPath(r, "settings/members"), MoreURL: orgPath(r, "settings/members/invite"),
	}))
}

// renewInvitation handles POST /settings/members/invitations/{id}/link.
func (a *app) renewInvitation(w http.ResponseWriter, r *http.Request) error {
	i, token, err := a.People.RenewInvitation(r.Context(), actorOf(r), services.InvitationID(idParam(r, "id")))
	if err != nil {
		return err
	}
	return a.linkPage(w, r, i, token)
}

// toMembers handles GET on the address of a link that was shown once.
func (a *app) toMembers(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, orgPath(r, "settings/members"), http.StatusSeeOther)
	return nil
}

// revokeInvitation handles POST /settings/members/invitations/{id}/revoke.
func (a *app) revokeInvitation(w http.ResponseWriter, r *http.Request) error {
	if err := a.People.RevokeInvitation(r.Context(), actorOf(r), services.InvitationID(idParam(r, "id"))); err != nil {
		return err
	}
	return a.redirect(w, r, orgPath(r, "settings/members"), "success", "The invitation was revoked; its link does not work any more.")
}
