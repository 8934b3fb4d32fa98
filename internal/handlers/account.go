package handlers

import (
	"net/http"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

// account handles GET /account: the reader's own, which is the same in every
// organization.
func (a *app) account(w http.ResponseWriter, r *http.Request) error {
	return a.accountPage(w, r, http.StatusOK, memberOf(r).user.Name, nil)
}

func (a *app) accountPage(w http.ResponseWriter, r *http.Request, status int, name string, problems services.Problems) error {
	m, here := memberOf(r), orgPath(r, "account")
	browsers, err := a.People.Browsers(r.Context(), m.user.ID)
	if err != nil {
		return err
	}
	v := templates.AccountView{
		Email: m.user.Email, Browsers: browsers, NameURL: here + "/name", PasswordURL: here + "/password", ElsewhereURL: here + "/sign-out-elsewhere",
		Name: templates.FieldView{ID: "name", Name: "name", Label: "Name", Value: name, MaxLength: 80, Autocomplete: "name", Error: problems["name"],
			Hint: "Stands beside what you do in the history. Without one your email does."},
		Current: templates.FieldView{ID: "current", Name: "current", Label: "Present password", Type: "password", Required: true,
			Autocomplete: "current-password", Error: problems["current"]},
		Password: templates.FieldView{ID: "password", Name: "password", Label: "New password", Type: "password", Required: true,
			Autocomplete: "new-password", Error: problems["password"], Hint: "At least 10 characters; a few words are fine."},
	}
	for _, o := range m.all {
		row := templates.AccountOrgView{Name: o.OrgName, URL: templates.OrgPath(o.OrgSlug, ""), Role: o.Role.String()}
		if o.Org == m.at.Org {
			row.LeaveURL = memberPath(r, m.user.ID) + "/remove"
		}
		v.Orgs = append(v.Orgs, row)
	}
	return a.page(w, r, status, "Your account", "account", templates.AccountPage(v))
}

// renameSelf handles POST /account/name.
func (a *app) renameSelf(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	name := strings.TrimSpace(r.PostForm.Get("name"))
	problems, err := a.People.Rename(r.Context(), memberOf(r).user, name)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.accountPage(w, r, http.StatusUnprocessableEntity, name, problems)
	}
	return a.redirect(w, r, orgPath(r, "account"), "success", "Your name was changed.")
}

// changePassword handles POST /account/password. The tries count like those at
// the sign-in page: a browser that was left open is no way to guess.
func (a *app) changePassword(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	user := memberOf(r).user
	if a.limits.refuse(w, r, user.Email) {
		return &services.Error{Kind: services.Limited, Msg: "Too many tries. Wait a minute, then try again."}
	}
	problems, err := a.People.ChangePassword(r.Context(), user.ID, r.PostForm.Get("current"), r.PostForm.Get("password"))
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.accountPage(w, r, http.StatusUnprocessableEntity, user.Name, problems)
	}
	// The change ended this browser's session with all others.
	if err := a.cookies.signIn(w, r, user.ID); err != nil {
		return err
	}
	return a.redirect(w, r, orgPath(r, "account"), "success", "Your password was changed. Every other browser was signed out.")
}

// signOutElsewhere handles POST /account/sign-out-elsewhere.
func (a *app) signOutElsewhere(w http.ResponseWriter, r *http.Request) error {
	token, err := a.cookies.token(r)
	if err != nil {
		return err
	}
	n, err := a.People.SignOutElsewhere(r.Context(), memberOf(r).user, token)
	if err != nil {
		return err
	}
	if n == 0 {
		return a.redirect(w, r, orgPath(r, "account"), "info", "You were signed in nowhere else.")
	}
	return a.redirect(w, r, orgPath(r, "account"), "success", "Signed out of "+templates.Plural(n, "other browser", "other browsers")+".")
}
