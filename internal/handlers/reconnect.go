package handlers

import (
	"net/http"
	"slices"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// reconnectConnection handles POST /settings/connections/{id}/reconnect: a
// connection that was removed is used again, and tested.
func (a *app) reconnectConnection(w http.ResponseWriter, r *http.Request) error {
	f, err := readConnectionForm(r)
	if err != nil {
		return err
	}
	id := services.ConnectionID(idParam(r, "id"))
	problems, err := a.Connections.Reconnect(r.Context(), actorOf(r), id, f)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.connectionAgain(w, r, id, connectionInput{problems: problems, name: &f.Name, rotate: &f})
	}
	return a.testSecrets(w, r, id, "“"+f.Name+"” is connected again, and what was switched on goes on now.")
}

// connectionAgainForm fills a removed connection's page with the form that
// connects it again, for members who may.
func (a *app) connectionAgainForm(r *http.Request, c services.Connection, v *templates.ConnectionView) error {
	if !c.Removed() || !may(r, services.Admin) {
		return nil
	}
	v.Rotate.Label, v.Rotate.Icon, v.Rotate.Kind = "Connect again and test", "plug", templates.Primary
	v.Again = &templates.ReconnectView{Action: connectionPath(r, c.ID) + "/reconnect", AddURL: newConnectionPath(r, c.Vendor)}
	if !c.Vendor.IsRaygun() {
		return nil
	}
	// All there are, by days that are told whole.
	n, err := a.Sessions.Count(r.Context(), orgOf(r), services.SessionQuery{
		Connection: c.ID, From: time.Unix(0, 0).UTC(), To: a.now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1),
	})
	v.Again.Sessions, v.Again.More = n.Sessions, n.More
	return err
}

func newConnectionPath(r *http.Request, vendor services.Vendor) string {
	return orgPath(r, "settings/connections/new?vendor=%s", vendor)
}

// removedBefore are the connections to a vendor that were removed, the last one
// first: what is added may be one of them.
func (a *app) removedBefore(r *http.Request, vendor services.Vendor) ([]templates.RemovedView, error) {
	const most = 5
	all, err := a.Connections.All(r.Context(), orgOf(r))
	if err != nil {
		return nil, err
	}
	gone := slices.DeleteFunc(all, func(c services.Connection) bool { return !c.Removed() || c.Vendor != vendor })
	slices.SortStableFunc(gone, func(x, y services.Connection) int { return y.RemovedAt.Compare(x.RemovedAt) })
	var out []templates.RemovedView
	for _, c := range gone[:min(len(gone), most)] {
		out = append(out, templates.RemovedView{Name: c.Name, URL: connectionPath(r, c.ID), RemovedAt: c.RemovedAt, Raygun: c.Vendor.IsRaygun()})
	}
	return out, nil
}
