package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/a-h/templ"

	"sightline/internal/services"
	"sightline/web/templates"
)

// pageRows is how many rows a page of a list has.
const pageRows = 50

// needsSupport is why a viewer cannot do what costs or changes something.
const needsSupport = "This takes the support role. An admin can give it to you."

// whyNotSupport is the reason for a disabled button, "" if the member may.
func whyNotSupport(r *http.Request) string {
	if may(r, services.Support) {
		return ""
	}
	return needsSupport
}

// highlightMoment is the place of the last of some highlights.
func highlightMoment(rows []services.Highlight) services.Moment {
	if len(rows) == 0 {
		return services.Moment{}
	}
	last := rows[len(rows)-1]
	return services.Moment{At: last.CreatedAt, ID: int64(last.ID)}
}

func stateLabel(s services.HighlightState) string {
	if s == services.HighlightExpired {
		return "Took too long"
	}
	return strings.ToUpper(string(s[:1])) + string(s[1:])
}

func highlightItems(r *http.Request, rows []services.Highlight, names map[services.ConnectionID]string) []templates.HighlightItem {
	out := make([]templates.HighlightItem, len(rows))
	for i, h := range rows {
		out[i] = templates.HighlightItem{
			Href: highlightPath(r, h.ID), Subject: h.Subject(), Question: h.Question, Author: h.AuthorName, Connection: names[h.Connection],
			State: string(h.State), Range: rangeText(h.Start, h.End), CreatedAt: h.CreatedAt, Took: tookFor(h),
		}
	}
	return out
}

// tookFor is how long LogRocket took, negative if that is not known: it ended
// unsent, or has not ended.
func tookFor(h services.Highlight) time.Duration {
	if h.SentAt.IsZero() || h.FinishedAt.IsZero() {
		return -1
	}
	return h.FinishedAt.Sub(h.SentAt)
}

func highlightPath(r *http.Request, id services.HighlightID) string {
	return orgPath(r, "highlights/%d", id)
}

// rangeText says what was looked at.
func rangeText(start, end time.Time) string {
	if start.IsZero() {
		return "Last 30 days"
	}
	const layout = "2 Jan 2006, 15:04"
	return start.UTC().Format(layout) + " – " + end.UTC().Format(layout) + " UTC"
}

// highlightsCard is a customer's highlights for their page.
func (a *app) highlightsCard(r *http.Request, p services.CustomerPage) (templ.Component, error) {
	const most = 5
	c := p.Customer
	var rows []services.Highlight
	if p.Glance.Highlights {
		var err error
		if rows, err = a.Highlights.ForCustomer(r.Context(), orgOf(r), c.ID, most+1); err != nil {
			return nil, err
		}
	}
	q := url.Values{"customer": {fmt.Sprint(c.ID)}}
	v := templates.HighlightsCardView{Now: a.now()}
	if len(rows) > most {
		rows, v.More = rows[:most], orgPath(r, "highlights?%s", q.Encode())
	}
	if c.Email != "" {
		q.Set("email", c.Email)
	}
	if may(r, services.Support) { // why a viewer may not, the page of highlights says
		v.NewURL = orgPath(r, "highlights/new?%s", q.Encode())
	}
	v.Items = highlightItems(r, rows, nil)
	return templates.HighlightsCard(v), nil
}

// latestHighlights are the organization's newest highlights for its home page.
func (a *app) latestHighlights(r *http.Request) (templ.Component, error) {
	rows, err := a.Highlights.Recent(r.Context(), orgOf(r), 5)
	if err != nil {
		return nil, err
	}
	v := templates.HighlightsCardView{Now: a.now(), More: orgPath(r, "highlights"), Items: highlightItems(r, rows, nil)}
	if may(r, services.Support) {
		v.NewURL = orgPath(r, "highlights/new")
	}
	return templates.LatestHighlights(v), nil
}

// showHighlight handles GET /highlights/{id}. A page that waits asks for the
// status alone; when that is final the page loads itself anew.
func (a *app) showHighlight(w http.ResponseWriter, r *http.Request) error {
	h, err := a.Highlights.Get(r.Context(), orgOf(r), services.HighlightID(idParam(r, "id")))
	if err != nil {
		return err
	}
	if wantsPart(r) {
		if !h.State.Open() {
			w.Header().Set("HX-Refresh", "true")
		}
		return a.render(w, r, http.StatusOK, templates.HighlightStatus(a.highlightStatus(r, h)))
	}
	v := a.highlightStatus(r, h)
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	v.Facts = highlightFacts(h, names[h.Connection])
	if h.Customer != 0 {
		c, err := a.Customers.Get(r.Context(), orgOf(r), h.Customer)
		if err != nil {
			return err
		}
		v.CustomerURL, v.CustomerName = orgPath(r, "customers/%d", c.ID), customerName(c)
	}
	if h.State == services.HighlightReady {
		parts, err := a.Highlights.Sessions(r.Context(), orgOf(r), h)
		if err != nil {
			return err
		}
		if err := a.addResult(r, &v, h, parts); err != nil {
			return err
		}
		others, err := a.Highlights.Comparable(r.Context(), orgOf(r), h)
		if err != nil {
			return err
		}
		if len(others) > 0 {
			v.ChangesURL = v.URL + "/changes"
		}
	}
	return a.page(w, r, http.StatusOK, "Highlights of "+h.Subject(), "highlights", templates.Highlight(v))
}

func (a *app) highlightStatus(r *http.Request, h services.Highlight) templates.HighlightView {
	v := templates.HighlightView{
		Now: a.now(), ID: fmt.Sprint(h.ID), URL: highlightPath(r, h.ID), BackURL: orgPath(r, "highlights"), Subject: h.Subject(), Question: h.Question,
		State: string(h.State), Open: h.State.Open(), Message: h.Message, VendorStatus: h.VendorStatus, CreatedAt: h.CreatedAt, SentAt: h.SentAt,
		PolledAt: h.PolledAt, DeadlineAt: h.DeadlineAt, FinishedAt: h.FinishedAt,
		AgainURL: orgPath(r, "highlights/new?again=%d", h.ID), AgainDisabled: whyNotSupport(r),
	}
	if may(r, services.Support) {
		if h.State == services.HighlightQueued || h.State == services.HighlightPending {
			v.CancelURL = v.URL + "/cancel"
		}
		if h.RequestID != "" && (h.State == services.HighlightExpired || h.State == services.HighlightCancelled) {
			v.RecheckURL = v.URL + "/recheck"
		}
	}
	return v
}

func highlightFacts(h services.Highlight, connection string) []templates.DefView {
	defs := []templates.DefView{
		{Term: "State", Content: templates.StateBadge(string(h.State))},
		{Term: "Whose sessions", Text: h.Subject()},
		{Term: "Question", Text: orText(h.Question, "None: what happened in general")},
		{Term: "Range", Text: rangeText(h.Start, h.End)},
		{Term: "Connection", Text: connection},
		{Term: "Asked by", Text: orText(h.AuthorName, "Somebody who left")},
		{Term: "Asked", Content: templates.Time(h.CreatedAt)},
		{Term: "Sent", Content: templates.Time(h.SentAt)},
	}
	if h.State.Open() {
		defs = append(defs, templates.DefView{Term: "Waits until", Content: templates.Time(h.DeadlineAt)})
	} else {
		defs = append(defs, templates.DefView{Term: "Finished", Content: templates.Time(h.FinishedAt)})
		if took := tookFor(h); took >= 0 {
			defs = append(defs, templates.DefView{Term: "Took", Content: templates.Duration(took)})
		}
	}
	return append(defs, templates.DefView{Term: "LogRocket says", Text: h.VendorStatus}, templates.DefView{Term: "LogRocket's number", Text: h.RequestID, Mono: true})
}

// cancelHighlight handles POST /highlights/{id}/cancel.
func (a *app) cancelHighlight(w http.ResponseWriter, r *http.Request) error {
	id := services.HighlightID(idParam(r, "id"))
	if err := a.Highlights.Cancel(r.Context(), actorOf(r), id); err != nil {
		return err
	}
	return a.redirect(w, r, highlightPath(r, id), "info", "Sightline does not wait for these highlights any more.")
}

// recheckHighlight handles POST /highlights/{id}/recheck.
func (a *app) recheckHighlight(w http.ResponseWriter, r *http.Request) error {
	id := services.HighlightID(idParam(r, "id"))
	if err := a.Highlights.Recheck(r.Context(), actorOf(r), id); err != nil {
		return err
	}
	return a.redirect(w, r, highlightPath(r, id), "", "")
}
