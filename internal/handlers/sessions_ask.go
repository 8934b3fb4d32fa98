package handlers

import (
	"fmt"
	"net/http"
	"slices"

	"sightline/internal/services"
	"sightline/web/templates"
)

// searchAsk says how far Raygun was asked about the filter, and offers to ask.
func (a *app) searchAsk(r *http.Request, f sessionForm, st services.SearchState, v *templates.SessionsView) {
	if st.Cannot != "" {
		v.AskNote = st.Cannot
		if f.query.UserType != "" && st.Connection.Vendor == services.RaygunV3 {
			notInV3(v, st.Cannot+" Take that filter away, or choose a connection through v1.")
		}
		return
	}
	s := templates.SearchAskView{
		Connection: "Raygun (“" + st.Connection.Name + "”)", Asked: st.Asked, AskedAt: st.AskedAt, Hidden: hiddenOf(f.asked()),
		Ask: a.askPart(r, st.Ask, "Asking Raygun (“"+st.Connection.Name+"”) for these sessions", orgPath(r, "sessions?%s", f.page().Encode())),
	}
	s.Held = f.query.UserType == "" && allHeld(v.Coverage) // who is of a type only an answer tells
	s.Again = a.spendView(r, "Ask Raygun", st.Budget)
	if len(v.Rows) > 0 || s.Held {
		s.Again.Kind = templates.Secondary // there is something to read
	}
	if st.Asked {
		s.Again.Label, s.Again.Kind = "Ask again", templates.Secondary
		s.Again.Name, s.Again.Value = "next", "0"
		s.Summary = searchSummary(st)
		if !st.Complete {
			next := a.spendView(r, fmt.Sprintf("Fetch the next %d", services.SessionsPerCall), st.Budget)
			next.Name, next.Value, next.Icon = "next", "1", "download"
			s.Next = &next
		}
	}
	if s.Ask != nil && s.Ask.Open {
		s.Again.Disabled = "It is being asked right now."
		if s.Next != nil {
			s.Next.Disabled = s.Again.Disabled
		}
	}
	v.Asking = &s
}

// allHeld says that the mirrors hold every day of a range.
func allHeld(coverage []templates.CoverageView) bool {
	for _, c := range coverage {
		if slices.ContainsFunc(c.Days, func(d templates.DayCell) bool { return d.State != string(services.DayHeld) }) {
			return false
		}
	}
	return len(coverage) > 0
}

func searchSummary(st services.SearchState) string {
	switch {
	case st.Total == nil && st.Complete:
		return templates.Plural(st.Found, "session matches, and it is here.", "sessions match, and all are here.")
	case st.Total == nil:
		return fmt.Sprintf("it did not say how many match; %s here.", templates.FormatCount(st.Found))
	case st.Complete && st.Found >= *st.Total:
		return fmt.Sprintf("%s match, all are here.", templates.FormatCount(*st.Total))
	case st.Complete:
		return fmt.Sprintf("%s match, but it sent only %s of them.", templates.FormatCount(*st.Total), templates.FormatCount(st.Found))
	}
	return fmt.Sprintf("%s match, %s are here.", templates.FormatCount(*st.Total), templates.FormatCount(st.Found))
}

// askSessions handles POST /sessions/ask: it puts the filter to Raygun and
// leads back to the list.
func (a *app) askSessions(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	f, _, err := a.sessionForm(r, r.PostForm)
	if err != nil {
		return err
	}
	to := orgPath(r, "sessions?%s", f.page().Encode())
	if len(f.problems) > 0 || f.query.Connection == 0 {
		return a.redirect(w, r, to, "", "") // the page says what is wrong
	}
	if f.query.Local() {
		return &services.Error{Kind: services.Invalid, Msg: f.localOnly() + ". Take that filter away first."}
	}
	ask, err := a.Sessions.Ask(r.Context(), actorOf(r), f.query, 0, r.PostForm.Get("next") == "1")
	if err != nil {
		return err
	}
	return a.waitAndLead(w, r, ask, to)
}
