package handlers

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sightline/internal/services"
	"sightline/web/templates"
)

// syncViews say how fresh the mirrors of the connections in use are.
func (a *app) syncViews(r *http.Request) ([]templates.SyncView, error) {
	list, err := a.Syncs.Statuses(r.Context(), orgOf(r))
	if err != nil {
		return nil, err
	}
	out := make([]templates.SyncView, len(list))
	for i, st := range list {
		out[i] = a.syncView(r, st)
	}
	return out, nil
}

func (a *app) syncView(r *http.Request, st services.SyncStatus) templates.SyncView {
	v := templates.SyncView{
		Connection: st.Connection.Name, Href: connectionPath(r, st.Connection.ID), Sentence: st.Sentence, Newest: st.Newest,
	}
	if st.On() {
		v.Plan = st.Plan.Sentence(a.now())
	}
	v.Label, v.Tone, v.Icon = followBadge(string(st.State))
	return v
}

// followBadge shows how something of a vendor's is followed: the state of a sync
// or of an audit log.
func followBadge(state string) (label, tone, icon string) {
	switch state {
	case string(services.SyncFollowing):
		return "Following", "good", "circle-check"
	case string(services.SyncReading):
		return "Reading", "accent", "refresh-cw"
	case string(services.SyncWaiting):
		return "Waiting", "neutral", "clock"
	case string(services.SyncFailing):
		return "Trying again", "warn", "triangle-alert"
	case string(services.SyncCredentials):
		return "Stopped", "bad", "circle-x"
	case string(services.AuditRefused):
		return "Refused", "bad", "circle-x"
	}
	return "Off", "neutral", "ban"
}

func numberField(p services.Problems, field, label, value, hint string) templates.FieldView {
	return templates.FieldView{ID: field, Name: field, Label: label, Value: value, Hint: hint, Error: p[field], Type: "number",
		InputMode: "numeric", Min: "0", Step: "1", Required: true, Autocomplete: "off"}
}

func syncField(hint string) templates.FieldView {
	return templates.FieldView{ID: "sync", Name: "sync", Label: "Keep the mirror fresh", Value: "1", Hint: hint}
}

func detailsField(hint string) templates.FieldView {
	return templates.FieldView{ID: services.FieldDetails, Name: services.FieldDetails, Label: "Fetch details in the background", Value: "1", Hint: hint}
}

// connectionSync fills a connection's page with how its mirror is kept and the
// fields that change that.
func (a *app) connectionSync(r *http.Request, c services.Connection, in connectionInput, v *templates.ConnectionView) error {
	if c.Vendor == services.LogRocket || c.Removed() {
		return nil
	}
	st, err := a.Syncs.Status(r.Context(), orgOf(r), c.ID)
	if err != nil {
		return err
	}
	sync := a.syncView(r, st)
	v.Sync = &sync
	to := a.now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	from := to.AddDate(0, 0, -st.RetentionDays)
	cover, err := a.coverage(r, c.ID, from, to, connectionPath(r, c.ID))
	if err != nil {
		return err
	}
	v.Coverage = &cover
	or := func(typed *string, stored int) string {
		if typed != nil {
			return *typed
		}
		return strconv.Itoa(stored)
	}
	v.ShareField = numberField(in.problems, services.FieldShare, "Background work at most", or(in.share, c.Share), "Calls a day. 0 is all that is not kept for people.")
	v.RetentionField = numberField(in.problems, services.FieldRetention, "Days to hold", or(in.retention, st.RetentionDays), "How many days back the mirror is filled. Raygun keeps 60 by default.")
	v.SyncField = syncField("Follows new sessions and fills older days by itself, spread over the day.")
	v.DetailsField = detailsField("With what following and filling leave. Each session costs a call of its own: those of customers whom members looked at this week come first, then the newest.")
	v.DetailCallsField = numberField(in.problems, services.FieldDetailCalls, "Details at most", or(in.detailCalls, st.DetailCalls), "Calls a day.")
	if c.Vendor == services.RaygunV3 {
		v.DetailsField.Hint = strings.Replace(v.DetailsField.Hint, "a call of its own", fmt.Sprintf("up to %d calls", services.DetailCalls), 1)
	}
	v.SyncOn, v.DetailsOn = st.On(), st.Details
	if in.share != nil {
		v.SyncOn, v.DetailsOn = in.sync, in.details
	}
	return nil
}

// maxCovered is of how many connections a page says which days are held.
const maxCovered = 5

// sessionCoverage is which days of the filter's range the mirrors hold.
func (a *app) sessionCoverage(r *http.Request, conns []services.Connection, f sessionForm) ([]templates.CoverageView, error) {
	var out []templates.CoverageView
	for _, c := range conns {
		if c.Removed() || f.query.Connection != 0 && c.ID != f.query.Connection || len(out) == maxCovered {
			continue
		}
		v, err := a.coverage(r, c.ID, f.query.From, f.query.To, orgPath(r, "sessions?%s", f.page().Encode()))
		if err != nil {
			return nil, err
		}
		v.DaysURL = fmt.Sprintf("settings/connections/%d", c.ID) // from the explorer
		out = append(out, v)
	}
	return out, nil
}

// coverage shows which days of a range a mirror holds and offers to fill the
// others. back is the page that it stands on.
func (a *app) coverage(r *http.Request, conn services.ConnectionID, from, to time.Time, back string) (templates.CoverageView, error) {
	c, err := a.Syncs.Coverage(r.Context(), orgOf(r), conn, from, to)
	if err != nil {
		return templates.CoverageView{}, err
	}
	v := templates.CoverageView{
		ID: fmt.Sprintf("coverage-%d", conn), Connection: c.Connection.Name, Sentence: c.Connection.Name + ": " + lowerFirst(c.Sentence()),
		Action: orgPath(r, "sessions/fill"),
	}
	for _, d := range slices.Backward(c.Days) {
		v.Days = append(v.Days, templates.DayCell{Day: d.Day, State: string(d.State), Sessions: d.Sessions, Lacking: d.Lacking, WalkedAt: d.WalkedAt})
	}
	if c.Filling > 0 {
		v.Filling = templates.Plural(c.Filling, "day is", "days are") + " being filled now, as a member asked. Load the page again to see how far it is."
	}
	if c.Calls == 0 {
		return v, nil
	}
	v.Price = "filling ≈ " + templates.Plural(c.Calls, "call", "calls")
	if !c.Known {
		v.Price = "filling costs at least " + templates.Plural(c.Calls, "call", "calls")
	}
	o := c.Offer()
	fill := a.spendView(r, "Fill now", c.Budget)
	fill.Icon, fill.Kind, fill.Calls = "download", templates.Secondary, o.Calls
	if !o.All && o.Days > 0 {
		fill.Label = "Fill " + templates.Plural(o.Days, "day", "days")
	}
	if o.Days == 0 && fill.Disabled == "" {
		fill.Calls, fill.Disabled = c.Calls, "Today's calls left do not pay for a day of it."
	}
	v.Fill = &fill
	v.Hidden = []templates.HiddenView{
		{Name: "connection", Value: fmt.Sprint(conn)}, {Name: "from", Value: strconv.FormatInt(from.Unix(), 10)}, {Name: "to", Value: strconv.FormatInt(to.Unix(), 10)},
		{Name: "calls", Value: strconv.Itoa(o.Calls)}, {Name: "back", Value: back},
	}
	return v, nil
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// fillDays handles POST /sessions/fill: it has missing days read, for at most
// the calls that the button named.
func (a *app) fillDays(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	number := func(name string) int64 { return idOf(r.PostForm.Get(name)) }
	from, to := time.Unix(number("from"), 0), time.Unix(number("to"), 0)
	calls := int(min(number("calls"), 1_000_000))
	days, err := a.Syncs.Fill(r.Context(), actorOf(r), services.ConnectionID(number("connection")), from, to, calls)
	if err != nil {
		return err
	}
	kind, said := "success", templates.Plural(days, "day is", "days are")+" being filled. What has come is shown at once."
	if days == 0 {
		kind, said = "info", "Nothing of it is missing any more, or it costs more now than the button named. Nothing was asked."
	}
	return a.redirect(w, r, backTo(r, r.PostForm.Get("back"), orgPath(r, "sessions")), kind, said)
}
