package handlers

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// beside shows what Raygun recorded at the moments that a result links to; nil
// if it links to none.
func (a *app) beside(r *http.Request, h services.Highlight, links []services.RecordingLink) (*templates.BesideView, error) {
	b, err := a.Sessions.Beside(r.Context(), orgOf(r), h.Customer, links)
	if err != nil || len(b.Minutes) == 0 {
		return nil, err
	}
	v := &templates.BesideView{Now: a.now()}
	switch {
	case !b.Connected:
		v.Empty, v.SettingsURL = "No Raygun connection is there to look at.", orgPath(r, "settings/connections")
		return v, nil
	case h.Customer == 0:
		v.Empty = "Nothing names this person at Raygun yet, so there is nothing to look at."
		return v, nil
	}
	if b.Left > 0 {
		v.Left = fmt.Sprintf("%s more were not looked up.", templates.Plural(b.Left, "linked minute", "linked minutes"))
	}
	var gaps []services.BesideGap
	for _, m := range b.Minutes {
		row := templates.BesideRow{At: m.At, Nothing: nothingBeside(m)}
		for _, l := range m.Links {
			row.Links = append(row.Links, templates.BesideLink{Text: orText(l.Text, "The recording"), URL: l.URL, At: l.At, Offset: l.OffsetText()})
		}
		for _, s := range m.Sessions {
			row.Sessions = append(row.Sessions, besideSession(r, s))
		}
		gaps = append(gaps, m.Gaps...)
		if last := len(v.Rows) - 1; last >= 0 && sameBeside(v.Rows[last], row) {
			v.Rows[last].Until, v.Rows[last].Links = row.At, append(v.Rows[last].Links, row.Links...)
			continue
		}
		v.Rows = append(v.Rows, row)
	}
	v.Coverage, err = a.besideCoverage(r, gaps, highlightPath(r, h.ID))
	return v, err
}

// sameBeside says whether two minutes have the same session beside them, with
// nothing of their own in it.
func sameBeside(a, b templates.BesideRow) bool {
	return len(a.Sessions) == 1 && len(b.Sessions) == 1 && a.Sessions[0].Href == b.Sessions[0].Href &&
		len(a.Sessions[0].Lines) == 0 && len(b.Sessions[0].Lines) == 0
}

// nothingBeside says why there is no session of a minute, "" if there is one.
func nothingBeside(m services.BesideMinute) string {
	switch {
	case len(m.Sessions) > 0:
		return ""
	case len(m.Gaps) == 0:
		return "Nothing recorded."
	}
	g := m.Gaps[0]
	day := templates.FormatDate(g.Day)
	switch g.State {
	case services.DayGone:
		return fmt.Sprintf("Nothing here, and the mirror of “%s” does not reach back to %s: Raygun no longer has it.", g.Connection.Name, day)
	case services.DayPartial:
		return fmt.Sprintf("Nothing here, but the mirror of “%s” holds %s only in part.", g.Connection.Name, day)
	}
	return fmt.Sprintf("Not known: the mirror of “%s” does not hold %s.", g.Connection.Name, day)
}

// besideCoverage offers to fill the days that are missing, a stretch of days
// each, at most three.
func (a *app) besideCoverage(r *http.Request, gaps []services.BesideGap, back string) ([]templates.CoverageView, error) {
	const day = 24 * time.Hour
	type stretch struct {
		conn     services.ConnectionID
		from, to time.Time
	}
	var list []stretch
	for _, g := range gaps { // by day, and by connection within one
		if g.State == services.DayGone {
			continue
		}
		i := slices.IndexFunc(list, func(s stretch) bool {
			return s.conn == g.Connection.ID && !g.Day.After(s.to) && !g.Day.Before(s.from)
		})
		if i < 0 {
			list = append(list, stretch{g.Connection.ID, g.Day, g.Day.Add(day)})
		} else if g.Day.Equal(list[i].to) {
			list[i].to = g.Day.Add(day)
		}
	}
	var out []templates.CoverageView
	for i, s := range list[:min(len(list), 3)] {
		v, err := a.coverage(r, s.conn, s.from, s.to, back)
		if err != nil {
			return nil, err
		}
		v.ID, v.DaysURL = fmt.Sprintf("beside-%d", i), connectionPath(r, s.conn)
		if s.to.Sub(s.from) == day {
			v.Days = nil // the sentence says it all
			v.Sentence = fmt.Sprintf("%s: %s", v.Connection, templates.FormatDate(s.from))
		}
		out = append(out, v)
	}
	return out, nil
}

// besideLines is how many pages, and how many errors, one minute shows.
const besideLines = 5

func besideSession(r *http.Request, b services.BesideSession) templates.BesideSessionView {
	s := b.Session
	v := templates.BesideSessionView{Href: orgPath(r, "sessions/%d", s.ID), StartedAt: s.StartedAt, LengthMS: orUnknown(s.LengthMS)}
	for i, p := range b.Pages {
		if i == besideLines {
			v.Notes = append(v.Notes, fmt.Sprintf("… and %s.", templates.Plural(len(b.Pages)-i, "more page", "more pages")))
			break
		}
		v.Lines = append(v.Lines, templates.BesideLine{At: p.ViewedAt, Text: orText(p.URL, pageWithout(p)), LoadMS: orUnknown(p.LoadMS)})
	}
	for i, e := range b.Errors {
		if i == besideLines {
			v.Notes = append(v.Notes, fmt.Sprintf("… and %s.", templates.Plural(len(b.Errors)-i, "more error", "more errors")))
			break
		}
		v.Lines = append(v.Lines, templates.BesideLine{At: e.OccurredAt, Text: sessionErrorTitle(e), Error: true, LoadMS: -1})
	}
	switch {
	case s.DetailedAt.IsZero():
		v.Notes = append(v.Notes, "A session goes on here. Its pages and errors are not in the mirror: its own page can fetch them.")
	case !b.Timed && len(b.Errors) == 0:
		v.Notes = append(v.Notes, "A session goes on here. Raygun does not say when in it a page was seen.")
	case len(v.Lines) == 0:
		v.Notes = append(v.Notes, "A session goes on here, without a page view or error in it.")
	}
	if b.Untimed > 0 {
		v.Notes = append(v.Notes, fmt.Sprintf("The session had %s; Raygun does not say when.", templates.Plural(b.Untimed, "error", "errors")))
	}
	return v
}
