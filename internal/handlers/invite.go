package handlers

import (
	"net/http"
	"net/url"

	"sightline/internal/services"
	"sightline/web/templates"
)

// invitePath is the path of an invitation's link.
func invitePath(token string) string { return "/invite?" + url.Values{"token": {token}}.Encode() }

// tooManyLinks is the answer to who tries one link after another.
func tooManyLinks() error {
	return &services.Error{Kind: services.Limited, Msg: "Too many tries. Wait a minute, then open the link again."}
}

// showInvited handles GET /invite.
func (a *app) showInvited(w http.ResponseWriter, r *http.Request) error {
	if a.limits.refuseLink(w, r) {
		return tooManyLinks()
	}
	return a.invitedPage(w, r, http.StatusOK, r.URL.Query().Get("token"), "", nil)
}

func (a *app) invitedPage(w http.ResponseWriter, r *http.Request, status int, token, name string, problems services.Problems) error {
	in, err := a.People.Invited(r.Context(), token)
	if err != nil {
		return err
	}
	here := invitePath(token)
	v := templates.InvitedView{
		Org: in.OrgName, Role: in.Role.String(), Email: in.Email, By: in.By, Token: token, HasAccount: in.Account.ID != 0,
		May: mayDoAll(in.Role), Here: here, SignInURL: "/login?" + url.Values{"next": {here}}.Encode(),
		Name: templates.FieldView{ID: "name", Name: "name", Label: "Your name", Value: name, Error: problems["name"], MaxLength: 80,
			Autocomplete: "name", Hint: "Stands beside what you do in the history."},
		Password: templates.FieldView{ID: "password", Name: "password", Label: "Password", Type: "password", Error: problems["password"], Required: true,
			Autocomplete: "new-password", Hint: "At least 10 characters; a few words are fine."},
	}
	id, ok, err := a.cookies.user(r)
	if err != nil {
		return err
	}
	if ok {
		u, err := a.People.User(r.Context(), id)
		if err != nil {
			return err
		}
		v.SignedInAs, v.ItIsThem = u.Email, u.ID == in.Account.ID
	}
	return a.bare(w, r, status, "Join "+in.OrgName, templates.InvitedPage(v))
}

// mayDoAll says what a role may do, with what the weaker ones may.
func mayDoAll(role services.Role) string {
	text := "You may " + mayDo(services.Viewer)
	for r := services.Support; r <= role; r++ {
		text += "; " + mayDo(r)
	}
	return text + "."
}

// acceptInvitation handles POST /invite.
func (a *app) acceptInvitation(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	if a.limits.refuseLink(w, r) {
		return tooManyLinks()
	}
	f := r.PostForm
	token, name := f.Get("token"), f.Get("name")
	in, err := a.People.Invited(r.Context(), token)
	if err != nil {
		return err
	}
	id, signedIn, err := a.cookies.user(r)
	if err != nil {
		return err
	}
	if in.Account.ID != id {
		// The page says why, and what to do about it.
		return a.invitedPage(w, r, http.StatusForbidden, token, name, nil)
	}
	u, problems, err := a.People.Accept(r.Context(), token, id, name, f.Get("password"))
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.invitedPage(w, r, http.StatusUnprocessableEntity, token, name, problems)
	}
	if !signedIn {
		if err := a.History.SignedIn(r.Context(), u); err != nil {
			return err
		}
		if err := a.cookies.signIn(w, r, u.ID); err != nil {
			return err
		}
	}
	return a.redirect(w, r, templates.OrgPath(in.OrgSlug, ""), "success", "You belong to "+in.OrgName+" now. Type a customer's email to see what happened to them.")
}
