package handlers

import (
	"net/http"
	"slices"

	"sightline/internal/services"
)

// ourConnection fails unless the connection that an address or a form names is
// the organization's; 0 names none. It asks only if the connection is not among
// those that are at hand.
func (a *app) ourConnection(r *http.Request, id services.ConnectionID, atHand []services.Connection) error {
	if id == 0 || slices.ContainsFunc(atHand, func(c services.Connection) bool { return c.ID == id }) {
		return nil
	}
	_, err := a.Connections.Get(r.Context(), orgOf(r), id)
	return err
}

// ourCustomer is ourConnection for a customer.
func (a *app) ourCustomer(r *http.Request, id services.CustomerID) error {
	if id == 0 {
		return nil
	}
	_, err := a.Customers.Get(r.Context(), orgOf(r), id)
	return err
}

// namesOf are the names of connections, by id.
func namesOf(conns []services.Connection) map[services.ConnectionID]string {
	names := make(map[services.ConnectionID]string, len(conns))
	for _, c := range conns {
		names[c.ID] = c.Name
	}
	return names
}

// connectionNames names all connections there ever were, by id.
func (a *app) connectionNames(r *http.Request) (map[services.ConnectionID]string, error) {
	all, err := a.Connections.All(r.Context(), orgOf(r))
	return namesOf(all), err
}

// ofRaygun are those of the connections that bring sessions.
func ofRaygun(conns []services.Connection) []services.Connection {
	return slices.DeleteFunc(slices.Clone(conns), func(c services.Connection) bool { return !c.Vendor.IsRaygun() })
}

// raygunConnections are the Raygun connections in use.
func (a *app) raygunConnections(r *http.Request) ([]services.Connection, error) {
	conns, err := a.Connections.List(r.Context(), orgOf(r))
	return ofRaygun(conns), err
}

// rocketConnections are the LogRocket connections in use.
func (a *app) rocketConnections(r *http.Request) ([]services.Connection, error) {
	conns, err := a.Connections.List(r.Context(), orgOf(r))
	return slices.DeleteFunc(conns, func(c services.Connection) bool { return c.Vendor != services.LogRocket }), err
}
