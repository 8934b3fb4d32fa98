package handlers

import (
	"context"
	"net/http"

	"sightline/internal/services"
)

// Route is a line of the route table, for tests.
type Route struct {
	Method, Path string
	Role         services.Role
}

// Routes is the route table, for tests.
func Routes() []Route {
	var out []Route
	for _, t := range (&app{}).routes() {
		out = append(out, Route{t.method, t.path, t.role})
	}
	return out
}

// TagsAround reads who a user is, lets change happen and returns the tag of the
// page that the request asks for as it was and as it is then.
func TagsAround(o Options, r *http.Request, user services.UserID, org string, change func()) (before, after string, err error) {
	a := newApp(o)
	tag := func(between func()) (string, error) {
		m, err := a.findMember(r.Context(), user, org)
		if err != nil {
			return "", err
		}
		between()
		tag, _, err := a.tagOf(r.WithContext(context.WithValue(r.Context(), keyMember, m)))
		return tag, err
	}
	if before, err = tag(change); err == nil {
		after, err = tag(func() {})
	}
	return before, after, err
}
