package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

const (
	// runShownFor is how long pages say what came of a run that has ended.
	runShownFor = 10 * time.Minute
	// maxDetailParts is for how many connections a page offers details.
	maxDetailParts = 5
)

// bareWords say how the sessions were chosen whose details are offered, of one
// and of several.
type bareWords struct{ one, many string }

func shownBare() bareWords {
	return bareWords{"session shown lacks details", "sessions shown lack details"}
}

// mayMatch is about sessions that a filter cannot judge.
func mayMatch() bareWords {
	return bareWords{"session without details may match too", "sessions without details, the newest, may match too"}
}

// fewDetails are the numbers of sessions that are offered beside all of them.
func fewDetails() []int { return []int{5, 20} }

// detailParts offer, for each connection in use, to fetch the details of some
// sessions that lack them, and say how far a run is. back is the page that they
// stand on.
func (a *app) detailParts(r *http.Request, conns []services.Connection, some []*services.Session, how bareWords, back string) ([]templates.DetailsView, error) {
	var out []templates.DetailsView
	now := a.now()
	for _, c := range conns {
		if c.Removed() || !c.Vendor.IsRaygun() || len(out) == maxDetailParts {
			continue
		}
		var ids []string
		for _, s := range some {
			if services.LacksDetail(c, *s, now) && len(ids) < services.MaxDetails {
				ids = append(ids, strconv.FormatInt(int64(s.ID), 10))
			}
		}
		v := templates.DetailsView{Connection: c.Name, Action: orgPath(r, "sessions/details")}
		run, ok, err := a.Details.Latest(r.Context(), orgOf(r), c.ID)
		if err != nil {
			return nil, err
		}
		ended := run.State == services.RunDone || run.State == services.RunStopped
		ok = ok && (!ended || now.Sub(run.UpdatedAt) < runShownFor)
		if !ok && len(ids) == 0 {
			continue
		}
		budget, err := a.Connections.Budget(r.Context(), orgOf(r), c.ID)
		if err != nil {
			return nil, err
		}
		price := services.PriceOfDetails(c, budget)
		if ok {
			part := a.detailRun(r, c, run, price, budget, back)
			v.Run = &part
		}
		if len(ids) > 0 {
			v.Sentence, v.Offers = a.detailOffers(r, c, how, len(ids), price, budget)
			v.Hidden = []templates.HiddenView{{Name: "connection", Value: fmt.Sprint(c.ID)}, {Name: "sessions", Value: strings.Join(ids, ",")}, {Name: "back", Value: back}}
		}
		out = append(out, v)
	}
	return out, nil
}

func pointersTo(rows []services.Session) []*services.Session {
	out := make([]*services.Session, len(rows))
	for i := range rows {
		out[i] = &rows[i]
	}
	return out
}

// detailOffers are the buttons that fetch the details of lacking sessions, each
// with its price.
func (a *app) detailOffers(r *http.Request, c services.Connection, how bareWords, lacking int, p services.DetailPrice, b services.Budget) (string, []templates.SpendView) {
	what := "page views, load times, errors and rating"
	if c.Vendor == services.RaygunV3 {
		what = "page views and errors"
	}
	each := templates.Plural(p.Each, "call", "calls")
	if !p.Exactly {
		each = "up to " + each
	}
	sentence := fmt.Sprintf("%s: %s. The %s of each cost %s.", c.Name, templates.Plural(lacking, how.one, how.many), what, each)
	most := lacking
	if p.Sessions >= 0 {
		most = min(most, p.Sessions)
	}
	offer := func(n int, label string) templates.SpendView {
		v := a.spendView(r, label, b)
		v.Icon, v.Kind, v.Calls, v.AtMost = "download", templates.Secondary, n*p.Each, !p.Exactly
		v.Name, v.Value = "count", strconv.Itoa(n)
		return v
	}
	if most == 0 {
		v := offer(lacking, "Fetch all "+templates.FormatCount(lacking))
		if v.Disabled == "" {
			v.Disabled = spareSpent(b)
		}
		return sentence, []templates.SpendView{v}
	}
	label := "Fetch all " + templates.FormatCount(most)
	if most < lacking {
		label = "Fetch newest " + templates.FormatCount(most)
		sentence += " Today's calls left do not pay for all of them."
	}
	out := []templates.SpendView{offer(most, label)}
	if out[0].Disabled != "" { // for all of them alike
		return sentence, out
	}
	for _, n := range fewDetails() {
		if n < most {
			few := offer(n, "Newest "+strconv.Itoa(n))
			few.Left = -1 // the first button says what is left
			out = append(out, few)
		}
	}
	return sentence, out
}

// spareSpent says why nothing is fetched although calls are left.
func spareSpent(b services.Budget) string {
	return fmt.Sprintf("Today's %s left are kept for questions asked one by one. There are new ones at 00:00 UTC.", templates.Plural(b.Left, "call", "calls"))
}

func (a *app) detailRun(r *http.Request, c services.Connection, run services.DetailRun, p services.DetailPrice, b services.Budget, back string) templates.DetailRunView {
	here := orgPath(r, "details/%d", run.ID)
	v := templates.DetailRunView{
		ID: int64(run.ID), State: string(run.State), Connection: c.Name, Done: run.Done, Total: run.Total, Failed: run.Failed, Left: run.Left,
		Message: run.Message, At: run.UpdatedAt, Now: a.now(), URL: here + "?" + url.Values{"back": {back}}.Encode(), Back: back,
		Hidden: []templates.HiddenView{{Name: "back", Value: back}},
	}
	if !may(r, services.Support) {
		return v
	}
	v.StopAction, v.ResumeAction = here+"/stop", here+"/resume"
	v.Resume = a.spendView(r, "Go on", b)
	v.Resume.Icon, v.Resume.Calls, v.Resume.AtMost, v.Resume.Small = "download", run.Left*p.Each, !p.Exactly, true
	switch {
	case c.Removed():
		v.Resume.Disabled = "The connection was removed."
	case v.Resume.Disabled == "" && p.Sessions == 0:
		v.Resume.Disabled = spareSpent(b)
	}
	return v
}

// backTo is a page of this organization that a form names, else another one: no
// form is to lead elsewhere.
func backTo(r *http.Request, named, otherwise string) string {
	if u, err := url.Parse(named); err == nil && u.Host == "" && u.Scheme == "" && strings.HasPrefix(u.Path, orgPath(r, "")) {
		return u.RequestURI()
	}
	return otherwise
}

// fetchDetails handles POST /sessions/details: it has the details of the
// sessions that the form names fetched.
func (a *app) fetchDetails(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	var ids []services.SessionID
	for _, id := range strings.Split(r.PostForm.Get("sessions"), ",") {
		if n := idOf(id); n > 0 && len(ids) < services.MaxDetails {
			ids = append(ids, services.SessionID(n))
		}
	}
	conn := services.ConnectionID(idOf(r.PostForm.Get("connection")))
	run, joined, err := a.Details.Start(r.Context(), actorOf(r), conn, ids, int(min(idOf(r.PostForm.Get("count")), services.MaxDetails)))
	if err != nil {
		return err
	}
	to := backTo(r, r.PostForm.Get("back"), orgPath(r, "sessions"))
	switch {
	case joined:
		return a.redirect(w, r, to, "info", "Details are being fetched through this connection already. Once that has ended, more can be asked for.")
	case run.ID == 0:
		return a.redirect(w, r, to, "info", "Their details are here already. No call was spent.")
	}
	return a.waitForRun(w, r, run, to)
}

// waitForRun waits a moment for a run and shows the page that it stands on.
func (a *app) waitForRun(w http.ResponseWriter, r *http.Request, run services.DetailRun, to string) error {
	run, err := a.Details.Wait(r.Context(), orgOf(r), run.ID, waitForVendor)
	if err != nil {
		return err
	}
	if run.State == services.RunDone && run.Failed == 0 {
		return a.redirect(w, r, to, "success", "The details of "+templates.Plural(run.Done, "session is", "sessions are")+" here.")
	}
	return a.redirect(w, r, to, "", "")
}

// showDetails handles GET /details/{id}: the fragment that a waiting page polls.
func (a *app) showDetails(w http.ResponseWriter, r *http.Request) error {
	run, err := a.Details.Get(r.Context(), orgOf(r), services.DetailRunID(idParam(r, "id")))
	if err != nil {
		return err
	}
	c, err := a.Connections.Get(r.Context(), orgOf(r), run.Connection)
	if err != nil {
		return err
	}
	budget, err := a.Connections.Budget(r.Context(), orgOf(r), run.Connection)
	if err != nil {
		return err
	}
	v := a.detailRun(r, c, run, services.PriceOfDetails(c, budget), budget, backTo(r, r.URL.Query().Get("back"), orgPath(r, "sessions")))
	if wantsPart(r) {
		if run.State != services.RunOpen {
			w.Header().Set("HX-Refresh", "true")
		}
		return a.render(w, r, http.StatusOK, templates.DetailRun(v))
	}
	return a.page(w, r, http.StatusOK, "Session details", "sessions", templates.DetailRunPage(v))
}

// stopDetails handles POST /details/{id}/stop.
func (a *app) stopDetails(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	if _, err := a.Details.Stop(r.Context(), actorOf(r), services.DetailRunID(idParam(r, "id"))); err != nil {
		return err
	}
	return a.redirect(w, r, backTo(r, r.PostForm.Get("back"), orgPath(r, "sessions")), "", "")
}

// resumeDetails handles POST /details/{id}/resume.
func (a *app) resumeDetails(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	run, err := a.Details.Resume(r.Context(), actorOf(r), services.DetailRunID(idParam(r, "id")))
	if err != nil {
		return err
	}
	return a.waitForRun(w, r, run, backTo(r, r.PostForm.Get("back"), orgPath(r, "sessions")))
}
