package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"sightline/internal/services"
	"sightline/web/templates"
)

// cookieStore keeps browsers' sessions in our own database behind
// gorilla/sessions: the cookie carries a random token, signed and encrypted,
// and nothing else.
type cookieStore struct {
	people  *services.People
	codecs  []securecookie.Codec
	options sessions.Options
	name    string
	opened  openedCookies
}

// openedCookies are the tokens of cookies that were opened lately: a browser sends
// the same one with each request, and to check its signature, decrypt and decode
// it again costs as much as a small page. Whether the token still means anybody is
// asked every time, so that a kept one is worth no more than the cookie.
type openedCookies struct {
	mu     sync.Mutex
	tokens map[string]string // by the cookie's value
}

// maxOpened bounds the cookies that are kept opened; beyond it all are forgotten.
const maxOpened = 1000

func (o *openedCookies) get(cookie string) (token string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	token, ok = o.tokens[cookie]
	return token, ok
}

func (o *openedCookies) put(cookie, token string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tokens == nil || len(o.tokens) == maxOpened {
		o.tokens = map[string]string{}
	}
	o.tokens[cookie] = token
}

// Keys of a session's values.
const (
	valueUser  = "user"  // int64
	valueFlash = "flash" // templates.FlashView as JSON text
)

// noData is what the session of a browser holds that has no message waiting.
const noData = "{}"

func newCookieStore(people *services.People, keys [2][]byte, base *url.URL) *cookieStore {
	s := &cookieStore{
		people: people,
		name:   "sightline",
		codecs: securecookie.CodecsFromPairs(keys[0], keys[1]),
		// Every option is set: the library's defaults leave HttpOnly off.
		options: sessions.Options{
			Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
			MaxAge: int(services.SessionAbsolute.Seconds()),
		},
	}
	for _, c := range s.codecs {
		if sc, ok := c.(*securecookie.SecureCookie); ok {
			sc.MaxAge(s.options.MaxAge)
		}
	}
	if base != nil && base.Scheme == "https" {
		s.options.Secure = true
		s.name = "__Host-sightline"
	}
	return s
}

// Get returns the request's session, one per request.
func (s *cookieStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New reads the session that the request's cookie names. A cookie that is
// missing, forged or out of date gives a new, empty session and no error.
func (s *cookieStore) New(r *http.Request, name string) (*sessions.Session, error) {
	session := sessions.NewSession(s, name)
	opts := s.options
	session.Options = &opts
	session.IsNew = true
	c, err := r.Cookie(name)
	if err != nil {
		return session, nil
	}
	token, ok := s.opened.get(c.Value)
	if !ok {
		if err := securecookie.DecodeMulti(name, c.Value, &token, s.codecs...); err != nil {
			return session, nil
		}
		s.opened.put(c.Value, token)
	}
	stored, err := s.people.BrowserSession(r.Context(), token)
	if errors.Is(err, services.ErrSignedOut) {
		return session, nil
	}
	if err != nil {
		return session, fmt.Errorf("read a browser's session: %w", err)
	}
	var data map[string]string
	if stored.Data != noData {
		if err := json.Unmarshal([]byte(stored.Data), &data); err != nil {
			return session, fmt.Errorf("read what a browser's session holds: %w", err)
		}
	}
	session.ID, session.IsNew = token, false
	session.Values[valueUser] = stored.User
	if f, ok := data[valueFlash]; ok {
		session.Values[valueFlash] = f
	}
	return session, nil
}

// Save stores the session and sends its cookie. A negative MaxAge ends it.
func (s *cookieStore) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	ctx := context.WithoutCancel(r.Context())
	if session.Options.MaxAge < 0 {
		if session.ID != "" {
			if err := s.people.EndBrowserSession(ctx, session.ID); err != nil {
				return fmt.Errorf("end a browser's session: %w", err)
			}
		}
		http.SetCookie(w, sessions.NewCookie(session.Name(), "", session.Options))
		return nil
	}
	data := map[string]string{}
	if f, ok := session.Values[valueFlash].(string); ok {
		data[valueFlash] = f
	}
	body, err := json.Marshal(data)
	if err != nil {
		return err
	}
	user, _ := session.Values[valueUser].(services.UserID)
	fresh := session.ID == ""
	token, err := s.people.SaveBrowserSession(ctx, session.ID, services.BrowserSession{User: user, Data: string(body)})
	if !fresh && errors.Is(err, services.ErrSignedOut) {
		return nil // ended while this request was under way: the next one is told
	}
	if err != nil {
		return fmt.Errorf("store a browser's session: %w", err)
	}
	session.ID = token
	if !fresh {
		return nil // the browser has the cookie already
	}
	value, err := securecookie.EncodeMulti(session.Name(), token, s.codecs...)
	if err != nil {
		return fmt.Errorf("seal a cookie: %w", err)
	}
	http.SetCookie(w, sessions.NewCookie(session.Name(), value, session.Options))
	return nil
}

// user returns who is signed in; ok is false if nobody is.
func (s *cookieStore) user(r *http.Request) (id services.UserID, ok bool, err error) {
	session, err := s.Get(r, s.name)
	if err != nil {
		return 0, false, err
	}
	id, ok = session.Values[valueUser].(services.UserID)
	return id, ok, nil
}

// token is the token of the request's session, empty if it has none.
func (s *cookieStore) token(r *http.Request) (string, error) {
	session, err := s.Get(r, s.name)
	if err != nil {
		return "", err
	}
	return session.ID, nil
}

// signIn gives the browser a new session, whatever it had before: a token that
// somebody planted is worth nothing afterwards.
func (s *cookieStore) signIn(w http.ResponseWriter, r *http.Request, user services.UserID) error {
	old, err := s.Get(r, s.name)
	if err != nil {
		return err
	}
	if old.ID != "" {
		if err := s.people.EndBrowserSession(r.Context(), old.ID); err != nil {
			return err
		}
	}
	old.ID = ""
	old.Values = map[any]any{valueUser: user}
	return s.Save(r, w, old)
}

// signOut ends the browser's session.
func (s *cookieStore) signOut(w http.ResponseWriter, r *http.Request) error {
	session, err := s.Get(r, s.name)
	if err != nil {
		return err
	}
	session.Options.MaxAge = -1
	return s.Save(r, w, session)
}

// setFlash keeps a message for the next page.
func (s *cookieStore) setFlash(w http.ResponseWriter, r *http.Request, f templates.FlashView) error {
	session, err := s.Get(r, s.name)
	if err != nil || session.ID == "" {
		return err // nobody is signed in: there is no next page of theirs
	}
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	session.Values[valueFlash] = string(body)
	return s.Save(r, w, session)
}

// takeFlash returns the message that was kept, once. A message that cannot be
// read is no reason to fail a page.
func (s *cookieStore) takeFlash(w http.ResponseWriter, r *http.Request) *templates.FlashView {
	session, err := s.Get(r, s.name)
	if err != nil {
		return nil
	}
	text, ok := session.Values[valueFlash].(string)
	if !ok {
		return nil
	}
	delete(session.Values, valueFlash)
	if err := s.Save(r, w, session); err != nil {
		return nil
	}
	var f templates.FlashView
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return nil
	}
	return &f
}
