package handlers

import (
	"fmt"
	"net/http"

	"sightline/internal/services"
	"sightline/web/templates"
)

// sourceViews adds what other connections than a session's own know of it: its
// page there, and the way to fetch its detail through them.
func (a *app) sourceViews(r *http.Request, d services.SessionDetail, v *templates.SessionView) {
	for i, src := range d.Sources {
		if i == 0 {
			v.Fetch.Calls, v.Fetch.AtMost = src.Calls, src.Calls > 1
			continue
		}
		v.Connection += " and " + src.Connection.Name
		if src.WebURL != "" {
			v.Links = append(v.Links, templates.LinkView{Label: "Open in Raygun (" + src.Connection.Name + ")", Href: src.WebURL})
		}
		if src.Connection.Removed() || d.Detailed && !src.Detail {
			continue // the detail of its own connection tells more
		}
		f := a.spendView(r, "Fetch through “"+src.Connection.Name+"”", src.Budget)
		if d.Detailed {
			f.Label = "Refresh through “" + src.Connection.Name + "”"
		}
		f.Kind, f.Name, f.Value, f.Calls, f.AtMost = templates.Secondary, "through", fmt.Sprint(src.Connection.ID), src.Calls, src.Calls > 1
		v.OtherFetches = append(v.OtherFetches, f)
	}
	if len(d.Sources) > 1 && d.Session.WebURL != "" {
		v.VendorLabel = "Open in Raygun (" + d.Connection.Name + ")"
	}
}

// sourceFacts are what v3 alone tells of a session, and its ids elsewhere.
func sourceFacts(d services.SessionDetail) []templates.DefView {
	var out []templates.DefView
	s := d.Session
	if s.ViewportWidth != nil && s.ViewportHeight != nil {
		out = append(out, templates.DefView{Term: "Viewport", Text: fmt.Sprintf("%d × %d px", *s.ViewportWidth, *s.ViewportHeight)})
	}
	if s.Deployment != "" {
		out = append(out, templates.DefView{Term: "Deployment", Text: s.Deployment, Mono: true})
	}
	for i, src := range d.Sources {
		if i > 0 {
			out = append(out, templates.DefView{Term: "Session id on “" + src.Connection.Name + "”", Text: src.VendorID, Mono: true})
		}
	}
	return out
}

// shownTells says whether the connection whose detail is shown tells a field.
func shownTells(d services.SessionDetail, f services.Field) bool {
	for _, src := range d.Sources {
		if src.Detail {
			return src.Tells(f)
		}
	}
	return true
}

func pageWithout(p services.PageView) string {
	if p.PageID != "" {
		return "A page whose name is not known yet (" + p.PageID + ")"
	}
	return "Page without an address"
}

func errorWithout(e services.SessionError) string {
	if e.GroupID != "" && !e.OccurredAt.IsZero() {
		return "An error whose name is not known yet (" + e.GroupID + ")"
	}
	return "Error without a title"
}
