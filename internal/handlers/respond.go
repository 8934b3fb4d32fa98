package handlers

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/a-h/templ"

	"sightline/internal/services"
	"sightline/web/templates"
)

// handlerFunc is a handler that returns its error instead of writing it.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

// public wraps a handler that needs no one to be signed in.
func (a *app) public(h handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = formBody{ReadCloser: http.MaxBytesReader(w, r.Body, maxForm), whole: r.Body}
		if err := h(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

// formBody is a request's body, of which a form may read so much. whole is for
// the one that takes a file.
type formBody struct {
	io.ReadCloser
	whole io.ReadCloser
}

type contextKey int

const (
	keyNonce contextKey = iota
	keyMember
	keyConn
)

// secure gives every answer its policy, with a nonce of its own, and keeps
// what is personal out of caches.
func (a *app) secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 16)
		rand.Read(b)
		nonce := base64.RawURLEncoding.EncodeToString(b)
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self' 'nonce-"+nonce+"'; style-src 'self'; "+
			"img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "+
			"require-trusted-types-for 'script'; trusted-types htmx")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Robots-Tag", "noindex")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if a.opt.BaseURL != nil && a.opt.BaseURL.Scheme == "https" {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		ctx := templ.WithNonce(r.Context(), nonce)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// allowStyles lets the page's own scripts add style sheets, as the editor does,
// with the nonce of the page.
func allowStyles(w http.ResponseWriter, r *http.Request) {
	const name = "Content-Security-Policy"
	policy := strings.Replace(w.Header().Get(name), "style-src 'self'", "style-src 'self' 'nonce-"+templ.GetNonce(r.Context())+"'", 1)
	w.Header().Set(name, policy)
}

// render writes a component to memory first: half a page under status 200 is
// worse than an error.
func (a *app) render(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	buf := a.buffers.Get().(*bytes.Buffer)
	defer a.buffers.Put(buf)
	buf.Reset()
	if err := c.Render(r.Context(), buf); err != nil {
		return fmt.Errorf("render %s: %w", r.URL.Path, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Add("Vary", "HX-Request, HX-Request-Type")
	w.WriteHeader(status)
	// The reader may be gone; there is nobody left to tell.
	_, _ = buf.WriteTo(w)
	return nil
}

// bare renders a page without navigation.
func (a *app) bare(w http.ResponseWriter, r *http.Request, status int, title string, c templ.Component) error {
	return a.render(w, r, status, within(templates.Bare(title), c))
}

// page renders a component in the organization's shell.
func (a *app) page(w http.ResponseWriter, r *http.Request, status int, title, active string, c templ.Component) error {
	s, err := a.shell(w, r, title, active)
	if err != nil {
		return err
	}
	return a.render(w, r, status, within(templates.Layout(s), c))
}

// within makes c the children of a layout.
func within(layout, c templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return layout.Render(templ.WithChildren(ctx, c), w)
	})
}

// shell gathers what stands around a page.
func (a *app) shell(w http.ResponseWriter, r *http.Request, title, active string) (templates.Shell, error) {
	m := memberOf(r)
	s := templates.Shell{
		Title: title, Active: active, Now: a.now(), Demo: a.opt.Demo != nil,
		Org:      templates.OrgView{Slug: m.at.OrgSlug, Name: m.at.OrgName},
		User:     templates.UserView{Name: m.user.Name, Email: m.user.Email, RoleLabel: roleLabel(m.at.Role)},
		CanAdmin: m.at.Role >= services.Admin,
		Flash:    a.cookies.takeFlash(w, r),
	}
	if active == "lookup" {
		s.Query = r.URL.Query().Get("q")
	}
	for _, o := range m.all {
		s.Orgs = append(s.Orgs, templates.OrgView{Slug: o.OrgSlug, Name: o.OrgName})
	}
	budgets, err := a.budgetViews(r)
	if err != nil {
		return s, err
	}
	s.Budgets = budgets
	return s, nil
}

func roleLabel(r services.Role) string {
	name := r.String()
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// redirect sends the browser on after a POST, with a message about the outcome
// if text is not empty. Kind is info, success, warning or error.
func (a *app) redirect(w http.ResponseWriter, r *http.Request, to, kind, text string) error {
	if text != "" {
		if err := a.cookies.setFlash(w, r, templates.FlashView{Kind: kind, Text: text}); err != nil {
			return err
		}
	}
	if wantsPart(r) {
		// htmx would follow a 303 itself and swap a whole page into the part.
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusOK)
		return nil
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// wantsPart reports whether htmx asked for a fragment: not for boosted
// navigation and not to restore history, which both need the whole page.
func wantsPart(r *http.Request) bool {
	return r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-Boosted") == "" &&
		r.Header.Get("HX-History-Restore-Request") != "true" && r.Header.Get("HX-Request-Type") != "full"
}

// statusOf is the HTTP status of an error, with the sentence to show.
func statusOf(err error) (int, string) {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return http.StatusRequestEntityTooLarge, "That is more than this form takes (1 MB)."
	}
	var e *services.Error
	if !errors.As(err, &e) {
		return http.StatusInternalServerError, "Something went wrong on our side. Nothing you typed was sent to a vendor unless it is in the history. Try again; if it stays, give the reference below to whoever runs Sightline."
	}
	switch e.Kind {
	case services.Invalid:
		return http.StatusUnprocessableEntity, e.Msg
	case services.Denied:
		return http.StatusForbidden, e.Msg
	case services.NotFound:
		return http.StatusNotFound, e.Msg
	case services.Conflict:
		return http.StatusConflict, e.Msg
	case services.Limited:
		return http.StatusTooManyRequests, e.Msg
	case services.Unavailable:
		return http.StatusServiceUnavailable, e.Msg
	}
	return http.StatusInternalServerError, e.Msg
}

// titles of the error pages by status.
func errorTitle(status int) string {
	switch status {
	case http.StatusNotFound:
		return "Not found"
	case http.StatusForbidden:
		return "Not allowed"
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		return "That does not work"
	case http.StatusConflict:
		return "Someone was first"
	case http.StatusTooManyRequests:
		return "Not now"
	case http.StatusMethodNotAllowed:
		return "That is not how this page works"
	case http.StatusRequestEntityTooLarge:
		return "Too much"
	}
	return "Something went wrong"
}

// fail turns an error into a page or a fragment. Faults of ours are logged with
// a reference that the reader sees too.
func (a *app) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is there to read it
	}
	status, msg := statusOf(err)
	ref := ""
	if status >= 500 {
		b := make([]byte, 4)
		rand.Read(b)
		ref = hex.EncodeToString(b)
		a.log.ErrorContext(r.Context(), "request failed", "ref", ref, "method", r.Method, "path", r.URL.Path, "err", err)
	}
	alert := templates.AlertView{Kind: "error", Title: errorTitle(status), Text: msg, Ref: ref}
	var rerr error
	switch {
	case wantsPart(r):
		rerr = a.render(w, r, status, templates.Alert(alert))
	case memberOf(r) != nil:
		rerr = a.page(w, r, status, alert.Title, "", templates.ErrorPage(alert))
	default:
		rerr = a.bare(w, r, status, alert.Title, templates.ErrorPage(alert))
	}
	if rerr != nil {
		a.log.ErrorContext(r.Context(), "the error page failed as well", "ref", ref, "err", rerr)
		http.Error(w, http.StatusText(status), status)
	}
}

func (a *app) noSuchPage(http.ResponseWriter, *http.Request) error {
	return &services.Error{Kind: services.NotFound, Msg: "There is no such page. It may have moved, or the address has a slip in it."}
}

func (a *app) wrongMethod(w http.ResponseWriter, r *http.Request) error {
	alert := templates.AlertView{Kind: "error", Title: errorTitle(http.StatusMethodNotAllowed), Text: "This address answers another kind of request. Go back and use the page's own buttons."}
	return a.bare(w, r, http.StatusMethodNotAllowed, alert.Title, templates.ErrorPage(alert))
}

func (a *app) crossOrigin(http.ResponseWriter, *http.Request) error {
	return &services.Error{Kind: services.Denied, Msg: "That form came from another site, so nothing was done. If you use Sightline through a proxy, its operator must set SIGHTLINE_BASE_URL to the address you see."}
}

// addSlash makes /o/acme the same as /o/acme/.
func (a *app) addSlash(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, (&url.URL{Path: r.URL.Path + "/"}).EscapedPath(), http.StatusMovedPermanently)
	return nil
}

func (a *app) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "ok %s\n", a.opt.Version)
}

// readyz says whether pages can be served: the database answers.
func (a *app) readyz(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := a.Ready(r.Context()); err != nil {
		a.log.ErrorContext(r.Context(), "not ready", "err", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "not ready: the log says why")
		return
	}
	fmt.Fprintln(w, "ready")
}
