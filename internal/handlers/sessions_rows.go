package handlers

import (
	"net/http"
	"strconv"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

// sessionRows are sessions as lists show them. Their links count from the page of
// the list, such as /o/acme/sessions: fifty rows say each path twice.
func (a *app) sessionRows(r *http.Request, list []services.Session) ([]templates.SessionRowView, error) {
	if len(list) == 0 {
		return nil, nil
	}
	conns, err := a.Connections.All(r.Context(), orgOf(r))
	if err != nil {
		return nil, err
	}
	names, rates := namesOf(conns), map[services.ConnectionID]bool{}
	for _, c := range conns {
		rates[c.ID] = c.Tells(services.FieldRating)
	}
	others, err := a.Sessions.SeenBy(r.Context(), orgOf(r), list)
	if err != nil {
		return nil, err
	}
	out := make([]templates.SessionRowView, len(list))
	for i, s := range list {
		out[i] = templates.SessionRowView{
			Href: "sessions/" + strconv.FormatInt(int64(s.ID), 10), At: s.StartedAt, Person: services.SessionPerson(s), Email: s.UserEmail,
			Identifier: s.UserIdentifier, Country: s.Country, City: s.City, Browser: s.Browser, OS: s.OS, Platform: s.Platform, EndedAt: s.EndedAt,
			Pages: orUnknown(s.PageViewCount), LengthMS: orUnknown(s.LengthMS), Errors: orUnknown(s.ErrorCount),
			Rating: s.Rating, Active: strings.EqualFold(s.Status, "active"), Ended: strings.EqualFold(s.Status, "ended"), Connection: names[s.Connection],
		}
		told := rates[s.Connection]
		for _, id := range others[s.ID] {
			out[i].Connection += ", " + names[id]
			told = told || rates[id]
		}
		out[i].Unrated = !told
		if s.Customer != 0 {
			out[i].PersonHref = "customers/" + strconv.FormatInt(int64(s.Customer), 10)
		}
	}
	return out, nil
}

func deviceOf(s services.Session) string { return templates.Device(s.Browser, s.OS, s.Platform) }

// orUnknown is a number as the views have it: negative if unknown.
func orUnknown(n *int64) int64 {
	if n == nil || *n < 0 {
		return -1
	}
	return *n
}

// columnViews are columns as the list shows them.
func columnViews(list []services.SessionColumn) []templates.SessionColumnView {
	out := make([]templates.SessionColumnView, len(list))
	for i, c := range list {
		out[i] = templates.SessionColumnView{Key: c.Key, Label: c.Label, Num: c.Num}
	}
	return out
}
