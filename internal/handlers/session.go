package handlers

import (
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// session handles GET /sessions/{id}: the page of one session, and for htmx
// its part in a timeline.
func (a *app) session(w http.ResponseWriter, r *http.Request) error {
	d, err := a.Sessions.Get(r.Context(), orgOf(r), services.SessionID(idParam(r, "id")))
	if err != nil {
		return err
	}
	v := a.sessionView(r, d)
	visit, err := a.Recordings.OfSession(r.Context(), orgOf(r), d.Session)
	if err != nil {
		return err
	}
	for _, rec := range visit {
		v.Recordings = append(v.Recordings, templates.LinkView{
			Label: fmt.Sprintf("%s, %s", templates.Plural(rec.Events(), "event", "events"), templates.FormatDuration(rec.Length())), Href: recordingPath(r, rec.ID),
		})
	}
	if v.Inline {
		return a.render(w, r, http.StatusOK, templates.SessionDetail(v))
	}
	return a.page(w, r, http.StatusOK, v.Title, "sessions", templates.Session(v))
}

// askSession handles POST /sessions/{id}/detail: it fetches page views and
// errors, anew if the form says so.
func (a *app) askSession(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	id := services.SessionID(idParam(r, "id"))
	through := idOf(r.PostForm.Get("through")) // 0 is the session's own
	ask, asked, err := a.Sessions.AskDetail(r.Context(), actorOf(r), id, services.ConnectionID(through), r.PostForm.Get("again") == "1")
	if err != nil {
		return err
	}
	if asked {
		if _, err := a.Asks.Wait(r.Context(), orgOf(r), ask.ID, waitForVendor); err != nil {
			return err
		}
	}
	if wantsPart(r) { // an entry of a timeline, which stays where it is
		return a.session(w, r)
	}
	to := orgPath(r, "sessions/%d", id)
	if !asked {
		return a.redirect(w, r, to, "info", "This session has ended and its page views are here already. No call was spent.")
	}
	return a.redirect(w, r, to, "", "")
}

func (a *app) sessionView(r *http.Request, d services.SessionDetail) templates.SessionView {
	s := d.Session
	v := templates.SessionView{
		Now: a.now(), ID: int64(s.ID), Href: orgPath(r, "sessions/%d", s.ID), AskAction: orgPath(r, "sessions/%d/detail", s.ID),
		Title: services.SessionPerson(s), Connection: d.Connection.Name, At: s.StartedAt, Active: d.Active(), Rating: s.Rating,
		VendorHref: s.WebURL, ListedAt: s.ListedAt, DetailedAt: s.DetailedAt, Detailed: d.Detailed,
		Stats: sessionStats(d), Facts: sessionFacts(d), Inline: wantsPart(r),
		Ask: a.askPart(r, d.Ask, "Asking Raygun for this session", orgPath(r, "sessions/%d", s.ID)),
	}
	if v.Title == "" {
		v.Title = "Anonymous session"
	}
	if d.Customer != nil {
		v.PersonHref = orgPath(r, "customers/%d", d.Customer.ID)
	}
	if d.Earlier != 0 {
		v.EarlierHref = orgPath(r, "sessions/%d", d.Earlier)
	}
	if d.Later != 0 {
		v.LaterHref = orgPath(r, "sessions/%d", d.Later)
	}
	v.Fetch = a.spendView(r, "Fetch details", d.Budget)
	if d.Detailed {
		v.Fetch.Label, v.Fetch.Kind = "Refresh", templates.Secondary
	}
	if d.Connection.Removed() {
		v.Fetch.Disabled = "The connection was removed."
	}
	a.sourceViews(r, d, &v)
	switch {
	case d.Active():
		v.Stale = "Raygun calls this session active, so it may still change. It does so for half an hour and more after the last event."
	case d.Stale():
		v.Stale = "The session went on after this was fetched. Refresh to see the rest."
	}
	v.Views, v.ViewNote = waterfall(d)
	for _, e := range d.Errors {
		if e.OccurredAt.IsZero() { // the others are in the waterfall
			v.Errors = append(v.Errors, templates.SessionErrorView{Title: sessionErrorTitle(e), Href: e.WebURL})
		}
	}
	v.ErrorCount = len(d.Errors)
	if d.Detailed {
		v.AnswerHref = orgPath(r, "sessions/%d/answer", s.ID)
	}
	v.Copy = a.sessionTicket(r, d)
	return v
}

// maxShownAnswer is how much of an answer a page shows, in bytes.
const maxShownAnswer = 200_000

// sessionAnswer handles GET /sessions/{id}/answer: what Raygun sent about a
// session, word for word.
func (a *app) sessionAnswer(w http.ResponseWriter, r *http.Request) error {
	answer, err := a.Sessions.Answer(r.Context(), orgOf(r), services.SessionID(idParam(r, "id")))
	if err != nil {
		return err
	}
	v := templates.SessionAnswerView{
		Now: a.now(), Title: orText(services.SessionPerson(answer.Session), "Anonymous session"), Connection: answer.Connection.Name, At: answer.Session.StartedAt,
		Href: orgPath(r, "sessions/%d", answer.Session.ID), FileHref: orgPath(r, "sessions/%d/answer.json", answer.Session.ID),
		ReceivedAt: answer.ReceivedAt, Text: answer.Indented(),
	}
	if len(v.Text) > maxShownAnswer {
		v.Text, v.Cut = strings.ToValidUTF8(v.Text[:maxShownAnswer], ""), true
	}
	return a.page(w, r, http.StatusOK, "What Raygun sent", "sessions", templates.SessionAnswer(v))
}

// sessionAnswerFile handles GET /sessions/{id}/answer.json: the same as a file.
func (a *app) sessionAnswerFile(w http.ResponseWriter, r *http.Request) error {
	answer, err := a.Sessions.Answer(r.Context(), orgOf(r), services.SessionID(idParam(r, "id")))
	if err != nil {
		return err
	}
	nameFile(w, fmt.Sprintf("session-%s-%d.json", slugOf(r), answer.Session.ID), jsonType)
	_, err = w.Write(answer.Body)
	return err
}

func sessionErrorTitle(e services.SessionError) string {
	return orText(e.Title, errorWithout(e))
}

func orText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// waterfall lays the page views, and the errors whose time is known, out on the
// session's time, with a note on what of it cannot be true.
func waterfall(d services.SessionDetail) ([]templates.WaterfallRow, string) {
	type moment struct {
		at  time.Time
		row templates.WaterfallRow
	}
	var all []moment
	timed, negative := true, 0
	for _, p := range d.PageViews {
		timed = timed && !p.ViewedAt.IsZero()
		if (p.LoadMS != nil && *p.LoadMS < 0) || (p.ViewMS != nil && *p.ViewMS < 0) {
			negative++
		}
		all = append(all, moment{p.ViewedAt, templates.WaterfallRow{Label: orText(p.URL, pageWithout(p)), LoadMS: orUnknown(p.LoadMS), ViewMS: orUnknown(p.ViewMS)}})
	}
	for _, e := range d.Errors {
		if !e.OccurredAt.IsZero() {
			all = append(all, moment{e.OccurredAt, templates.WaterfallRow{Label: sessionErrorTitle(e), Href: e.WebURL, Error: true, LoadMS: -1, ViewMS: -1}})
		}
	}
	if timed { // else the vendor's order is the better guess
		sort.SliceStable(all, func(i, j int) bool { return all[i].at.Before(all[j].at) })
	}
	start := d.Session.StartedAt
	for _, m := range all {
		if !m.at.IsZero() && m.at.Before(start) {
			start = m.at
		}
	}
	out := make([]templates.WaterfallRow, len(all))
	for i, m := range all {
		out[i] = m.row
		out[i].OffsetMS = -1
		if !m.at.IsZero() {
			out[i].OffsetMS = min(m.at.Sub(start), 30*24*time.Hour).Milliseconds()
		}
	}
	if negative > 0 {
		return out, fmt.Sprintf("Raygun gave a time below zero for %s; it is shown as unknown.", templates.Plural(negative, "page view", "page views"))
	}
	if !shownTells(d, services.FieldLoadTime) && len(d.PageViews) > 0 {
		return out, "Load time and time on the page are not in v3."
	}
	return out, ""
}

func sessionStats(d services.SessionDetail) []templates.StatView {
	s := d.Session
	count := func(n int64) string {
		if n < 0 {
			return "unknown"
		}
		return templates.FormatCount(n)
	}
	length := "unknown"
	if n := orUnknown(s.LengthMS); n >= 0 {
		length = templates.FormatMillis(n)
	}
	pages := orUnknown(s.PageViewCount)
	if pages < 0 && d.Detailed {
		pages = int64(len(d.PageViews))
	}
	rating := templates.StatView{Label: "Satisfaction", Value: orText(s.Rating, "unknown"), Hint: "as Raygun rates it"}
	if s.Rating == "" && !d.Tells(services.FieldRating) {
		rating.Value, rating.Hint = "not in v3", "Raygun's API v3 gives no ratings"
	}
	return []templates.StatView{
		{Label: "Length", Value: length},
		{Label: "Page views", Value: count(pages)},
		{Label: "Errors", Value: count(orUnknown(s.ErrorCount))},
		rating,
	}
}

func sessionFacts(d services.SessionDetail) []templates.DefView {
	s := d.Session
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return templates.FormatTime(t)
	}
	place := strings.Join(slices.DeleteFunc([]string{s.City, s.State, orText(s.CountryName, templates.CountryName(s.Country))}, func(p string) bool { return p == "" }), ", ")
	anonymous := "no"
	switch {
	case s.UserPartial:
		anonymous = "not known yet: v3 names the user by an id"
	case s.UserAnonymous:
		anonymous = "yes, as Raygun says"
	}
	return append([]templates.DefView{
		{Term: "Name", Text: s.UserName}, {Term: "Email", Text: s.UserEmail},
		{Term: "Raygun identifier", Text: s.UserIdentifier, Mono: true}, {Term: "Raygun user id", Text: s.UserID, Mono: true},
		{Term: "Anonymous", Text: anonymous},
		{Term: "Browser", Text: strings.TrimSpace(s.Browser + " " + s.BrowserVersion)},
		{Term: "Operating system", Text: strings.TrimSpace(s.OS + " " + s.OSVersion)},
		{Term: "Platform", Text: s.Platform}, {Term: "Place", Text: place}, {Term: "IP address", Text: s.IPAddress, Mono: true},
		{Term: "Status", Text: s.Status}, {Term: "Began", Text: moment(s.StartedAt)}, {Term: "Last update", Text: moment(s.UpdatedAt)},
		{Term: "Ended", Text: moment(s.EndedAt)}, {Term: "Raygun session id", Text: s.VendorID, Mono: true},
	}, sourceFacts(d)...)
}

// sessionTicket is the session in a few lines for a support ticket.
func (a *app) sessionTicket(r *http.Request, d services.SessionDetail) string {
	s := d.Session
	var b strings.Builder
	fmt.Fprintf(&b, "Session of %s", orText(services.SessionPerson(s), "an anonymous visitor"))
	if s.UserEmail != "" && s.UserEmail != services.SessionPerson(s) {
		fmt.Fprintf(&b, " <%s>", s.UserEmail)
	}
	fmt.Fprintf(&b, "\nBegan %s", templates.FormatTime(s.StartedAt))
	if n := orUnknown(s.LengthMS); n >= 0 {
		fmt.Fprintf(&b, ", lasted %s", templates.FormatMillis(n))
	}
	if dev := deviceOf(s); dev != "" {
		fmt.Fprintf(&b, "\nDevice: %s", dev)
	}
	for i, e := range d.Errors {
		if i == 5 {
			fmt.Fprintf(&b, "\n… and %d more errors", len(d.Errors)-i)
			break
		}
		fmt.Fprintf(&b, "\nError: %s %s", sessionErrorTitle(e), e.WebURL)
	}
	if s.WebURL != "" {
		fmt.Fprintf(&b, "\nRaygun: %s", s.WebURL)
	}
	fmt.Fprintf(&b, "\nSightline: %s", a.absolute(r, orgPath(r, "sessions/%d", s.ID)))
	return b.String()
}

// absolute is a path of ours as it can be pasted elsewhere.
func (a *app) absolute(r *http.Request, path string) string {
	if a.opt.BaseURL != nil {
		return a.opt.BaseURL.Scheme + "://" + a.opt.BaseURL.Host + path
	}
	return "http://" + r.Host + path
}
