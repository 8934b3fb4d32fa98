package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/graphql-go/graphql"
)

// rocket answers as LogRocket: REST under /v1, GraphQL under /graphql, export
// files under /_export, and the made-up pages of its app beside them.
type rocket struct {
	s      *Sandbox
	schema graphql.Schema

	mu      sync.Mutex
	users   map[string]rocketUser // edited or made by PUT
	jobs    map[string]*job
	order   []string // job ids, oldest first
	made    int      // jobs ever started
	refused int      // picks the shape of the next refusal
	notes   map[string]string
}

func newRocket(s *Sandbox) (*rocket, error) {
	k := &rocket{s: s, users: map[string]rocketUser{}, jobs: map[string]*job{}, notes: map[string]string{}}
	schema, err := k.newSchema()
	k.schema = schema
	return k, err
}

// route goes by the escaped path, so that an id with an escaped slash stays one
// part of it.
func (k *rocket) route(r *http.Request) (string, http.HandlerFunc) {
	p := r.URL.EscapedPath()
	switch {
	case p == "/graphql":
		return OpExecuteGraphQLQuery, onlyMethods(k.keyed(k.graphql), http.MethodPost)
	case strings.HasPrefix(p, "/_export/"):
		return OpExportFile, onlyMethods(k.exportFile, http.MethodGet)
	case !strings.HasPrefix(p, "/v1/"):
		return opPage, k.appPage
	}
	part := strings.Split(strings.TrimPrefix(p, "/v1/"), "/")
	if len(part) < 5 || part[0] != "orgs" || part[2] != "apps" {
		return "", notFound
	}
	tail, trailing := part[4:], false
	if n := len(tail); n > 1 && tail[n-1] == "" {
		tail, trailing = tail[:n-1], true
	}
	in := func(h http.HandlerFunc) http.HandlerFunc { return k.keyed(k.inApp(part[1], part[3], h)) }
	switch {
	case tail[0] == "users" && len(tail) == 2 && !trailing:
		return OpUpdateUser, onlyMethods(in(func(w http.ResponseWriter, r *http.Request) { k.updateUser(w, r, tail[1]) }), http.MethodPut)
	case tail[0] == "data-export" && len(tail) == 1 && trailing:
		return OpListDataExports, onlyMethods(in(k.listExports), http.MethodGet)
	case tail[0] == "audit" && len(tail) == 2 && tail[1] == "logs" && trailing:
		return OpListAuditLogs, onlyMethods(in(k.listAuditLogs), http.MethodGet)
	case tail[0] == "highlights" && len(tail) == 1 && r.Method == http.MethodGet:
		if trailing == k.s.live() { // the contract has the slash, live servers do not
			return OpGetHighlights, k.keyed(notFound)
		}
		return OpGetHighlights, in(k.getHighlights)
	case tail[0] == "highlights" && len(tail) == 1 && trailing:
		return OpCreateHighlights, onlyMethods(in(k.createHighlights), http.MethodPost)
	}
	return "", notFound
}

// keyed lets requests with the key in. LogRocket words its refusals in several
// shapes; they come in turn.
func (k *rocket) keyed(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		switch {
		case scheme == "token" && same(key, k.s.creds.LogRocketKey):
			next(w, r)
		case scheme == "Bearer" && k.s.live():
			writeJSON(w, http.StatusForbidden, map[string]string{"detail": "token signature is invalid"})
		case key == "":
			k.refuse(w, http.StatusUnauthorized, "Authentication credentials were not provided.")
		default:
			k.refuse(w, http.StatusUnauthorized, "Invalid API key.")
		}
	}
}

// refuse answers in the next of the shapes in which LogRocket's errors come.
func (k *rocket) refuse(w http.ResponseWriter, code int, msg string) {
	k.mu.Lock()
	n := k.refused
	k.refused++
	k.mu.Unlock()
	switch n % 5 {
	case 0:
		writeJSON(w, code, map[string]string{"error": msg})
	case 1:
		writeJSON(w, code, map[string]string{"message": msg})
	case 2:
		writeJSON(w, code, map[string]string{"detail": msg})
	case 3:
		writeJSON(w, code, map[string]any{"errors": []map[string]string{{"message": msg}}})
	default:
		http.Error(w, msg, code)
	}
}

func (k *rocket) inApp(org, app string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if org != k.s.creds.LogRocketOrg || app != k.s.creds.LogRocketApp {
			writeJSON(w, http.StatusNotFound, map[string]string{"error": "Organization or application not found."})
			return
		}
		next(w, r)
	}
}

func badRequest(w http.ResponseWriter, msg string) {
	writeJSON(w, http.StatusBadRequest, map[string]string{"error": msg})
}

// maxText is how many characters LogRocket takes in an id, name, email, trait
// name or trait value.
const maxText = 1024

type rocketUser struct {
	Name   string
	Email  string
	Traits map[string]string
}

// user is what LogRocket knows of a user id; the zero user if nothing.
func (k *rocket) user(id string) (rocketUser, bool) {
	k.mu.Lock()
	u, ok := k.users[id]
	k.mu.Unlock()
	if ok {
		return u, true
	}
	if i, ok := k.s.company.byUserID[id]; ok {
		p := k.s.company.customers[i]
		return rocketUser{p.FullName, p.Email, k.s.company.traits(p)}, true
	}
	return rocketUser{Traits: map[string]string{}}, false
}

// LogRocketUser is what the stand-in knows of a user id after all edits.
func (s *Sandbox) LogRocketUser(userID string) (name, email string, traits map[string]string, ok bool) {
	u, ok := s.rocket.user(userID)
	return u.Name, u.Email, maps.Clone(u.Traits), ok
}

func (k *rocket) updateUser(w http.ResponseWriter, r *http.Request, escaped string) {
	id, err := url.PathUnescape(escaped)
	if err != nil || id == "" {
		badRequest(w, "Malformed request")
		return
	}
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	change, problem := readUserChange(id, body)
	if problem != "" {
		badRequest(w, problem)
		return
	}
	// Reading, merging and storing are one step for other requests.
	before, _ := k.user(id)
	k.mu.Lock()
	if u, ok := k.users[id]; ok {
		before = u
	}
	after := change.onto(before)
	k.users[id] = after
	k.mu.Unlock()

	out := map[string]any{"name": after.Name, "traits": after.Traits}
	if after.Email != "" { // a blank one would not be an email
		out["email"] = after.Email
	}
	if k.s.live() {
		out["userID"] = id
	} else {
		out["userId"] = id
	}
	writeJSON(w, http.StatusOK, out)
}

// userChange is a PUT's body: what is nil stays as it is.
type userChange struct {
	name, email *string
	traits      map[string]string
}

func (c userChange) onto(u rocketUser) rocketUser {
	u.Traits = maps.Clone(u.Traits)
	if c.name != nil {
		u.Name = *c.name
	}
	if c.email != nil {
		u.Email = *c.email
	}
	for name, v := range c.traits {
		if v == "" {
			delete(u.Traits, name)
			continue
		}
		u.Traits[name] = v
	}
	return u
}

func readUserChange(id string, body []byte) (userChange, string) {
	var out userChange
	if len(strings.TrimSpace(string(body))) == 0 {
		return out, "Missing request body"
	}
	var in struct {
		Name      *string                    `json:"name"`
		Email     *string                    `json:"email"`
		Traits    map[string]json.RawMessage `json:"traits"`
		Timestamp *float64                   `json:"timestamp"`
	}
	if body[0] != '{' && !strings.HasPrefix(strings.TrimSpace(string(body)), "{") || json.Unmarshal(body, &in) != nil {
		return out, "Malformed request"
	}
	tooLarge := func(what, v string) string {
		if utf8.RuneCountInString(v) > maxText {
			return fmt.Sprintf("%s too large (max %d characters)", what, maxText)
		}
		return ""
	}
	out.name, out.email, out.traits = in.Name, in.Email, map[string]string{}
	problem := tooLarge("userID", id)
	if in.Name != nil {
		problem = first(problem, tooLarge("name", *in.Name))
	}
	if in.Email != nil {
		problem = first(problem, tooLarge("email", *in.Email))
	}
	for name, raw := range in.Traits {
		v, ok := traitText(raw)
		if !ok {
			return out, "Malformed request"
		}
		problem = first(problem, first(tooLarge("trait key", name), tooLarge("trait value", v)))
		out.traits[name] = v
	}
	return out, problem
}

// traitText turns a trait's value into the string LogRocket keeps: numbers and
// booleans as they are written, null as blank.
func traitText(raw json.RawMessage) (string, bool) {
	switch raw[0] {
	case '"':
		var s string
		return s, json.Unmarshal(raw, &s) == nil
	case '{', '[':
		return "", false
	case 'n':
		return "", true
	}
	return string(raw), true
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
