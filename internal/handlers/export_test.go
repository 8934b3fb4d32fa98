package handlers

import "sightline/internal/services"

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
