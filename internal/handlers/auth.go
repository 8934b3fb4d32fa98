package handlers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/httprate"

	"sightline/internal/services"
	"sightline/web/templates"
)

// member is who makes a request, in which organization.
type member struct {
	user services.User
	at   services.Membership
	all  []services.Membership
	// generation is that of the data before anything here was read.
	generation uint64
}

// memberOf returns who makes the request, nil outside of an organization.
func memberOf(r *http.Request) *member {
	m, _ := r.Context().Value(keyMember).(*member)
	return m
}

// orgOf is the organization of a request to a member's page.
func orgOf(r *http.Request) services.OrgID { return memberOf(r).at.Org }

// slugOf is the short name of that organization, for links.
func slugOf(r *http.Request) string { return memberOf(r).at.OrgSlug }

// actorOf is who does what the request asks for.
func actorOf(r *http.Request) services.Actor {
	m := memberOf(r)
	return services.Actor{Org: m.at.Org, User: m.user.ID, Name: nameOf(m.user), Email: m.user.Email, Role: m.at.Role}
}

// may reports whether the request's member has at least a role.
func may(r *http.Request, role services.Role) bool { return memberOf(r).at.Role >= role }

// orgPath is the address of a page of the request's organization.
func orgPath(r *http.Request, format string, args ...any) string {
	return templates.OrgPath(slugOf(r), fmt.Sprintf(format, args...))
}

// member wraps a handler of an organization's page: someone is signed in,
// belongs to the organization and has at least the role. To everyone else the
// organization does not exist.
func (a *app) member(role services.Role, h handlerFunc) http.Handler {
	return a.public(func(w http.ResponseWriter, r *http.Request) error {
		id, ok, err := a.cookies.user(r)
		if err != nil {
			return err
		}
		if !ok {
			return a.toLogin(w, r)
		}
		m, err := a.findMember(r.Context(), id, chi.URLParam(r, "org"))
		if err != nil {
			return err
		}
		r = r.WithContext(context.WithValue(r.Context(), keyMember, m))
		if err := a.asMember(w, r, role, h); err != nil {
			// Here, where the member is known, so that the error stands in the shell.
			a.fail(w, r, err)
		}
		return nil
	})
}

func (a *app) asMember(w http.ResponseWriter, r *http.Request, role services.Role, h handlerFunc) error {
	if !may(r, role) {
		return &services.Error{Kind: services.Denied, Msg: fmt.Sprintf(
			"Your role here is %s; this needs %s. An admin of %s can change it.", memberOf(r).at.Role, role, memberOf(r).at.OrgName)}
	}
	return h(w, r)
}

func (a *app) findMember(ctx context.Context, id services.UserID, slug string) (*member, error) {
	m := &member{generation: a.Generation()}
	var err error
	if m.user, m.all, err = a.People.Belongs(ctx, id); err != nil {
		return nil, err
	}
	for _, at := range m.all {
		if at.OrgSlug == slug {
			m.at = at
			return m, nil
		}
	}
	return nil, &services.Error{Kind: services.NotFound, Msg: "There is no such organization, or you do not belong to it."}
}

// toLogin asks for a sign-in and comes back afterwards.
func (a *app) toLogin(w http.ResponseWriter, r *http.Request) error {
	to := "/login"
	if r.Method == http.MethodGet && !wantsPart(r) {
		to += "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
	}
	return a.redirect(w, r, to, "", "")
}

// nextOr returns next if it leads to a page of ours, so that a link to the
// sign-in page cannot send people elsewhere.
func nextOr(next, otherwise string) string {
	if templates.Path(next) == "" || strings.ContainsAny(next, "\r\n\t\\") {
		return otherwise
	}
	return next
}

// root leads to the organization of whoever is signed in.
func (a *app) root(w http.ResponseWriter, r *http.Request) error {
	id, ok, err := a.cookies.user(r)
	if err != nil {
		return err
	}
	if !ok {
		return a.redirect(w, r, "/login", "", "")
	}
	to, err := a.homeOf(r.Context(), id)
	if err != nil {
		return err
	}
	return a.redirect(w, r, to, "", "")
}

// homeOf is the first page of a user: their first organization by name.
func (a *app) homeOf(ctx context.Context, id services.UserID) (string, error) {
	all, err := a.People.Memberships(ctx, id)
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", &services.Error{Kind: services.Denied, Msg: "You can sign in, but you belong to no organization. Ask an admin to add you."}
	}
	return templates.OrgPath(all[0].OrgSlug, ""), nil
}

// afterSignIn is the page that a sign-in leads to: next, if it is one of ours,
// else the user's first. Who belongs to no organization can do nothing but
// accept an invitation.
func (a *app) afterSignIn(ctx context.Context, id services.UserID, next string) (string, error) {
	next = nextOr(next, "")
	if strings.HasPrefix(next, "/invite?") {
		return next, nil
	}
	home, err := a.homeOf(ctx, id)
	if err != nil {
		return "", err
	}
	return nextOr(next, home), nil
}

func (a *app) showLogin(w http.ResponseWriter, r *http.Request) error {
	if id, ok, err := a.cookies.user(r); err == nil && ok {
		if to, err := a.afterSignIn(r.Context(), id, r.URL.Query().Get("next")); err == nil {
			return a.redirect(w, r, to, "", "")
		}
	}
	return a.loginPage(w, r, http.StatusOK, templates.LoginView{Next: r.URL.Query().Get("next")})
}

func (a *app) loginPage(w http.ResponseWriter, r *http.Request, status int, v templates.LoginView) error {
	v.Next = nextOr(v.Next, "")
	if a.opt.Demo != nil {
		for _, d := range a.opt.Demo.Accounts {
			v.Demo = append(v.Demo, templates.DemoAccountView{Role: d.Role, Email: d.Email, Password: d.Password})
		}
	}
	return a.bare(w, r, status, "Sign in", templates.Login(v))
}

// signInLimits bound how often a password, or the link of an invitation, can be
// tried.
type signInLimits struct {
	byAddress, byAccount, links *httprate.RateLimiter
	trustProxy                  bool
}

// Tries at the sign-in form a minute. An office shares an address, an account
// has one owner.
const (
	triesByAddress = 60
	triesByAccount = 10
)

func newSignInLimits(trustProxy bool) signInLimits {
	return signInLimits{
		byAddress:  httprate.NewRateLimiter(triesByAddress, time.Minute),
		byAccount:  httprate.NewRateLimiter(triesByAccount, time.Minute),
		links:      httprate.NewRateLimiter(triesByAddress, time.Minute),
		trustProxy: trustProxy,
	}
}

// refuse reports whether a try is one too many, and sets the headers that say
// when to come back.
func (l signInLimits) refuse(w http.ResponseWriter, r *http.Request, email string) bool {
	return l.byAddress.OnLimit(w, r, l.address(r)) || l.byAccount.OnLimit(w, r, services.NormalizeEmail(email))
}

// address is who calls, as the limit counts them. Behind a trusted proxy it is
// the last entry of X-Forwarded-For, which the proxy itself has added: whatever
// stands before it the caller may have made up to escape the limit.
func (l signInLimits) address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if l.trustProxy {
		entries := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if last := strings.TrimSpace(entries[len(entries)-1]); net.ParseIP(last) != nil {
			host = last
		}
	}
	return httprate.CanonicalizeIP(host)
}

// refuseLink is refuse for the links of invitations.
func (l signInLimits) refuseLink(w http.ResponseWriter, r *http.Request) bool {
	return l.links.OnLimit(w, r, l.address(r))
}

func (a *app) login(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	v := templates.LoginView{Email: strings.TrimSpace(r.PostForm.Get("email")), Next: r.PostForm.Get("next")}
	if a.limits.refuse(w, r, v.Email) {
		v.Problem = "Too many tries. Wait a minute, then try again."
		return a.loginPage(w, r, http.StatusTooManyRequests, v)
	}
	u, err := a.People.SignIn(r.Context(), v.Email, r.PostForm.Get("password"))
	var said *services.Error
	if errors.As(err, &said) && said.Kind == services.Denied {
		v.Problem = said.Msg
		return a.loginPage(w, r, http.StatusUnprocessableEntity, v)
	}
	if err != nil {
		return err
	}
	to, err := a.afterSignIn(r.Context(), u.ID, v.Next)
	if err != nil {
		return err
	}
	// Noted before it counts: there is no sign-in that history does not know.
	if err := a.History.SignedIn(r.Context(), u); err != nil {
		return err
	}
	if err := a.cookies.signIn(w, r, u.ID); err != nil {
		return err
	}
	return a.redirect(w, r, to, "", "")
}

// logout handles POST /logout. A form may name the page to go to afterwards.
func (a *app) logout(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	if err := a.cookies.signOut(w, r); err != nil {
		return err
	}
	return a.redirect(w, r, nextOr(r.PostForm.Get("next"), "/login"), "", "")
}

func (a *app) showSetup(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	open, err := a.People.SetupOpen(r.Context(), token)
	if err != nil {
		return err
	}
	if !open {
		return &services.Error{Kind: services.NotFound, Msg: "This setup link is used up or was replaced by a newer one. Restart Sightline to print a new one, or sign in."}
	}
	return a.bare(w, r, http.StatusOK, "Set up", templates.Setup(templates.SetupView{Token: token}))
}

func (a *app) setup(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	f := r.PostForm
	o := services.NewOwner{Email: f.Get("email"), Name: f.Get("name"), Password: f.Get("password"), OrgName: f.Get("org")}
	u, problems, err := a.People.Setup(r.Context(), f.Get("token"), o)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.bare(w, r, http.StatusUnprocessableEntity, "Set up", templates.Setup(templates.SetupView{
			Token: f.Get("token"), Email: o.Email, Name: o.Name, OrgName: o.OrgName, Problems: problems,
		}))
	}
	if err := a.cookies.signIn(w, r, u.ID); err != nil {
		return err
	}
	to, err := a.homeOf(r.Context(), u.ID)
	if err != nil {
		return err
	}
	return a.redirect(w, r, to, "success", "Sightline is set up. Add a connection to Raygun or LogRocket next.")
}

// badForm is the error for a body that is no form.
func badForm(err error) error {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return err
	}
	return &services.Error{Kind: services.Invalid, Msg: "The browser sent something that is not a form. Go back and try again.", Err: err}
}
