package services

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/sandbox"
)

func (v *vendorSite) v3Form(name, application string) ConnectionForm {
	return ConnectionForm{Vendor: RaygunV3, Name: name, Token: NewSecret(v.box.Credentials().RaygunToken), Application: application}
}

func isConflict(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == Conflict
}

func (v *vendorSite) asked(ask Ask, err error) Ask {
	v.t.Helper()
	if err == nil {
		ask, err = v.s.Asks.Wait(v.t.Context(), 1, ask.ID, patience)
	}
	if err != nil || ask.State.Open() {
		v.t.Fatalf("ask = %+v, %v", ask, err)
	}
	return ask
}

// week searches the last days on a connection and waits for the answer.
func (v *vendorSite) week(conn ConnectionID) SessionQuery {
	v.t.Helper()
	to := nextDay(time.Now())
	q, problems := SessionQuery{Connection: conn, From: to.AddDate(0, 0, -7), To: to}.Check()
	if len(problems) > 0 {
		v.t.Fatal(problems)
	}
	if ask := v.asked(v.s.Sessions.Ask(v.t.Context(), v.actor, q, 0, false)); ask.State != AskDone {
		v.t.Fatalf("ask = %+v", ask)
	}
	return q
}

func (v *vendorSite) list(q SessionQuery) []Session {
	v.t.Helper()
	var out []Session
	if err := v.s.Sessions.Each(v.t.Context(), 1, q, func(s Session) error { out = append(out, s); return nil }); err != nil {
		v.t.Fatal(err)
	}
	return out
}

func TestApplicationIsChosenFromThoseTheTokenSees(t *testing.T) {
	t.Parallel()
	for _, dialect := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			v := newVendorSite(t, sandbox.Options{Dialect: dialect})
			start(t, v.s)
			v.add(v.raygunForm("Shop"))
			c := v.add(v.v3Form("Shop v3", ""))
			if _, _, err := v.s.Connections.raygun(t.Context(), 1, c.ID); !isConflict(err) {
				t.Errorf("a connection without an application is asked: %v", err)
			}
			if p, err := v.s.Connections.ChooseApplication(t.Context(), v.actor, c.ID, v.box.Credentials().RaygunApplication); err != nil || p[FieldApplication] == "" {
				t.Errorf("chosen before anybody asked: %v, %v", p, err)
			}
			ask := v.asked(v.s.Connections.AskApplications(t.Context(), v.actor, c.ID))
			list, _, ok, err := v.s.Connections.Applications(t.Context(), c)
			if err != nil || !ok || len(list) != 3 {
				t.Fatalf("applications = %+v, %t, %v; %+v", list, ok, err, ask)
			}
			i := slices.IndexFunc(list, func(a Application) bool { return a.ID == v.box.Credentials().RaygunApplication })
			if i < 0 || list[i].Same != "Shop" || list[2].Sessions || strings.Contains(string(ask.Result), v.box.Credentials().RaygunAPIKey) {
				t.Errorf("applications = %+v, stored as %s", list, ask.Result)
			}
			if p, err := v.s.Connections.ChooseApplication(t.Context(), v.actor, c.ID, "elsewhere"); err != nil || p[FieldApplication] == "" {
				t.Errorf("another application was taken: %v, %v", p, err)
			}
			if p, err := v.s.Connections.ChooseApplication(t.Context(), v.actor, c.ID, list[i].ID); err != nil || len(p) > 0 {
				t.Fatalf("choose: %v, %v", p, err)
			}
			if _, err := v.s.Connections.ChooseApplication(t.Context(), v.actor, c.ID, list[i].ID); !isConflict(err) {
				t.Errorf("chosen twice: %v", err)
			}
			c, err = v.s.Connections.Check(t.Context(), v.actor, c.ID)
			if err != nil || !c.CheckOK || !strings.Contains(c.CheckMessage, "every permission") || c.Allowance != 10_000 {
				t.Errorf("after the test: %+v, %v", c, err)
			}
			b, err := v.s.Connections.Budget(t.Context(), 1, c.ID)
			if err != nil || b.Spent != 7 { // the list, and one call for each permission
				t.Errorf("budget = %+v, %v", b, err)
			}
		})
	}
}

func TestApplicationIsNotChosenFromAListThatDidNotCome(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	c := v.add(v.v3Form("Shop v3", ""))
	choose := func(want string) {
		t.Helper()
		p, err := v.s.Connections.ChooseApplication(t.Context(), v.actor, c.ID, v.box.Credentials().RaygunApplication)
		if err != nil || !strings.Contains(p[FieldApplication], want) {
			t.Errorf("%v, %v; want %q", p, err, want)
		}
	}
	choose("not asked yet")
	ask, err := v.s.Connections.AskApplications(t.Context(), v.actor, c.ID) // nobody carries it out yet
	if err != nil {
		t.Fatal(err)
	}
	choose("has not come yet")
	remove := v.box.Fault(sandbox.Fault{Vendor: sandbox.Raygun, Operation: sandbox.OpV3ListApplications, Kind: sandbox.FaultServerError})
	if err := v.s.Asks.run(t.Context(), 1, ask.ID); err != nil {
		t.Fatal(err)
	}
	choose("did not come. Raygun v3 (connection “Shop v3”) cannot be reached or fails")
	remove()
	if _, err := v.s.Connections.ListApplications(t.Context(), v.actor, c.ID); err != nil {
		t.Fatal(err)
	}
	if p, err := v.s.Connections.ChooseApplication(t.Context(), v.actor, c.ID, "elsewhere"); err != nil || !strings.Contains(p[FieldApplication], "does not see") {
		t.Errorf("%v, %v", p, err)
	}
	if p, err := v.s.Connections.ChooseApplication(t.Context(), v.actor, c.ID, v.box.Credentials().RaygunApplication); err != nil || len(p) > 0 {
		t.Errorf("%v, %v", p, err)
	}
}

func TestApplicationsAreListedAlthoughAnotherConnectionCannotBeRead(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	start(t, v.s)
	v.add(v.raygunForm("Shop"))
	if _, err := v.store.Queue().Exec(`UPDATE connection_secrets SET sealed = x'00'`); err != nil {
		t.Fatal(err)
	}
	c := v.add(v.v3Form("Shop v3", ""))
	ask := v.asked(v.s.Connections.AskApplications(t.Context(), v.actor, c.ID))
	list, _, _, err := v.s.Connections.Applications(t.Context(), c)
	if err != nil || len(list) != 3 || slices.ContainsFunc(list, func(a Application) bool { return a.Same != "" }) {
		t.Errorf("applications = %+v, %v; %+v", list, err, ask)
	}
}

func TestApplicationChosenWhileTheTokenIsRotatedStays(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	start(t, v.s)
	c := v.add(v.v3Form("Three", ""))
	v.asked(v.s.Connections.AskApplications(t.Context(), v.actor, c.ID))
	chosen := v.box.Credentials().RaygunApplication
	after := func(rotate func() error) {
		t.Helper()
		if err := rotate(); err != nil {
			t.Fatal(err)
		}
		if got, err := v.s.Connections.Get(t.Context(), 1, c.ID); err != nil || got.Application != chosen || got.ApplicationName == "" || got.RotatedAt.IsZero() {
			t.Errorf("after the rotation: %+v, %v", got, err)
		}
	}
	if p, err := v.s.Connections.ChooseApplication(t.Context(), v.actor, c.ID, chosen); err != nil || len(p) > 0 {
		t.Fatal(p, err)
	}
	after(func() error { // by somebody who saw no application yet
		return v.store.Org(1).RotateConnection(t.Context(), c.ID, "", "", func(ConnectionID) (map[string][]byte, error) { return nil, nil },
			v.s.Connections.entry(v.actor, "connection.rotate", c.Name, "Rotated"))
	})
	after(func() error {
		_, err := v.s.Connections.Rotate(t.Context(), v.actor, c.ID, v.v3Form("", ""))
		return err
	})
	after(func() error { // removed, and connected again by a form that names another one
		if err := v.s.Connections.Remove(t.Context(), v.actor, c.ID); err != nil {
			return err
		}
		p, err := v.s.Connections.Reconnect(t.Context(), v.actor, c.ID, v.v3Form("Three", "another"))
		if len(p) > 0 {
			t.Error(p)
		}
		return err
	})
	if _, err := v.s.Connections.Reconnect(t.Context(), v.actor, c.ID, v.v3Form("Three", "")); !isConflict(err) {
		t.Errorf("connected again while in use: %v", err)
	}
}

func TestSessionOfBothVersionsIsOneRow(t *testing.T) {
	t.Parallel()
	for _, first := range []Vendor{Raygun, RaygunV3} {
		t.Run(string(first)+" first", func(t *testing.T) {
			t.Parallel()
			v := newVendorSite(t, sandbox.Options{Customers: 20, Sessions: 60, Days: 5})
			start(t, v.s)
			v1, v3 := v.add(v.raygunForm("One")), v.add(v.v3Form("Three", v.box.Credentials().RaygunApplication))
			order := []ConnectionID{v1.ID, v3.ID}
			if first == RaygunV3 {
				slices.Reverse(order)
			}
			q := v.week(order[0])
			before := v.list(q)
			v.week(order[1])
			v.week(order[0]) // and once more, which changes nothing
			all := q
			all.Connection = 0
			rows := v.list(all)
			if len(before) < 40 || len(rows) != len(before) {
				t.Fatalf("%d sessions of one connection, %d of both", len(before), len(rows))
			}
			for _, conn := range order {
				q.Connection = conn
				if got := v.list(q); len(got) != len(rows) {
					t.Errorf("%d sessions of connection %d, want %d", len(got), conn, len(rows))
				}
			}
			days, err := v.s.Insight.SessionsByDay(t.Context(), 1, InsightQuery{From: DayOf(q.From), To: DayOf(q.To) - 1}, FacetAll, "")
			if err != nil || days.Now.Sessions != int64(len(rows)) {
				t.Errorf("the rollups count %d sessions, want %d (%v)", days.Now.Sessions, len(rows), err)
			}
			for _, s := range rows {
				if s.UserPartial {
					t.Errorf("nobody knows whose session it is, but v1 told: %+v", s)
				}
			}
			d, err := v.s.Sessions.Get(t.Context(), 1, rows[3].ID)
			if err != nil || len(d.Sources) != 2 || d.Sources[0].WebURL == "" || d.Sources[1].WebURL == "" || d.Sources[0].Connection.ID != order[0] {
				t.Fatalf("sources = %+v, %v", d.Sources, err)
			}
			if s := rows[3]; s.Deployment == "" && s.ViewportWidth == nil {
				t.Errorf("what v3 alone tells is not there: %+v", s)
			}
			people, err := v.s.Customers.List(t.Context(), 1, Moment{})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range people.Customers {
				if c.Email == "" && c.Name == "" {
					t.Errorf("an id of v3 became a customer of its own: %+v", c)
				}
			}
		})
	}
}

func TestDetailThroughV3NamesPagesErrorsAndThePerson(t *testing.T) {
	t.Parallel()
	for _, dialect := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			v := newVendorSite(t, sandbox.Options{Dialect: dialect, Customers: 20, Sessions: 60, Days: 5})
			start(t, v.s)
			c := v.add(v.v3Form("Three", v.box.Credentials().RaygunApplication))
			rows := v.list(v.week(c.ID))
			named := 0
			for _, s := range rows[:min(len(rows), 12)] {
				b, _ := v.s.Connections.Budget(t.Context(), 1, c.ID)
				ask, asked, err := v.s.Sessions.AskDetail(t.Context(), v.actor, s.ID, 0, false)
				if !asked {
					t.Fatal(asked, err)
				}
				if ask = v.asked(ask, err); ask.State != AskDone {
					t.Fatalf("ask = %+v", ask)
				}
				after, _ := v.s.Connections.Budget(t.Context(), 1, c.ID)
				if n := after.Spent - b.Spent; n < 1 || n > DetailCalls {
					t.Errorf("%d calls, named were %d", n, DetailCalls)
				}
				d, err := v.s.Sessions.Get(t.Context(), 1, s.ID)
				if err != nil || !d.Detailed || len(d.PageViews) == 0 || d.Session.UserPartial {
					t.Fatalf("detail = %+v, %v", d, err)
				}
				for _, p := range d.PageViews {
					if p.URL == "" || p.LoadMS != nil || p.ViewMS != nil {
						t.Errorf("page view = %+v", p)
					}
				}
				for _, e := range d.Errors {
					if e.Title == "" || e.OccurredAt.IsZero() {
						t.Errorf("error = %+v", e)
					}
				}
				if d.Session.Rating != "" || d.Tells(FieldRating) {
					t.Errorf("v3 rated: %+v", d.Session)
				}
				if d.Customer != nil && d.Customer.Email != "" {
					named++
				}
			}
			if named == 0 {
				t.Error("nobody was named")
			}
		})
	}
}

func TestMissingPermissionIsNamedAndTheRestIsKept(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{Customers: 20, Sessions: 60, Days: 5})
	start(t, v.s)
	c := v.add(v.v3Form("Three", v.box.Credentials().RaygunApplication))
	v.box.SetRaygunScopes("rum.sessions:read")
	rows := v.list(v.week(c.ID))
	ask, _, err := v.s.Sessions.AskDetail(t.Context(), v.actor, rows[0].ID, 0, false)
	ask = v.asked(ask, err)
	if ask.State != AskDone || !strings.Contains(ask.Message, "It needs the permission “") {
		t.Errorf("ask = %+v", ask)
	}
	d, err := v.s.Sessions.Get(t.Context(), 1, rows[0].ID)
	if err != nil || !d.Detailed || len(d.PageViews) == 0 || d.PageViews[0].PageID == "" {
		t.Errorf("detail = %+v, %v", d, err)
	}
	v.box.SetRaygunScopes()
	q := SessionQuery{Connection: c.ID, From: time.Now().Add(-time.Hour).UTC().Truncate(time.Second), To: nextDay(time.Now())}
	ask = v.asked(v.s.Sessions.Ask(t.Context(), v.actor, q, 0, false))
	if ask.State != AskFailed || !strings.Contains(ask.Message, "It needs the permission “rum.sessions:read”") {
		t.Errorf("ask = %+v", ask)
	}
}

func TestShortPauseOfV3DoesNotEndTheDay(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{"seconds": "40", "none": "", "nonsense": "soon"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				if header != "" {
					w.Header().Set("Retry-After", header)
				}
				http.Error(w, "API calls quota exceeded! maximum admitted 600 per 1m.", http.StatusTooManyRequests)
			}))
			t.Cleanup(srv.Close)
			m := newMirrorSite(t, Vendors{RaygunURL: srv.URL}, ConnectionForm{APIKey: NewSecret("k"), ClientID: NewSecret("i"), ClientSecret: NewSecret("s")})
			c, p, err := m.Connections.Add(t.Context(), m.actor, ConnectionForm{Vendor: RaygunV3, Name: "Three", Token: NewSecret("t"), Application: "a1"})
			if err != nil || len(p) > 0 {
				t.Fatal(p, err)
			}
			ask := m.ask(t, dayQuery(c.ID), false)
			b, err := m.Connections.Budget(t.Context(), 1, c.ID)
			if err != nil || b.BlockedUntil.IsZero() || time.Until(b.BlockedUntil) > 2*time.Minute || b.Spent == 0 || b.Spent > 5 {
				t.Errorf("budget = %+v, %v", b, err)
			}
			if ask.State != AskFailed || !strings.Contains(ask.Message, "It takes calls again in ") {
				t.Errorf("ask = %+v", ask)
			}
			before := calls.Load()
			if ask = m.ask(t, dayQuery(c.ID), false); calls.Load() != before || !strings.Contains(ask.Message, "called too often") {
				t.Errorf("asked within the pause: %+v", ask)
			}
		})
	}
}

func TestWebVitalsAreFetchedOncePerDayAndGoOnAfterAStop(t *testing.T) {
	t.Parallel()
	for _, dialect := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			v := newVendorSite(t, sandbox.Options{Dialect: dialect, Customers: 50, Sessions: 900, Days: 9})
			start(t, v.s)
			v1, c := v.add(v.raygunForm("One")), v.add(v.v3Form("Three", v.box.Credentials().RaygunApplication))
			today := DayOf(time.Now())
			q := InsightQuery{From: today - 6, To: today}
			if _, err := v.s.Insight.AskVitals(t.Context(), v.actor, v1.ID, q); err == nil || !strings.Contains(err.Error(), "not in v1") {
				t.Errorf("v1 was asked for web vitals: %v", err)
			}
			// The third call is one too many: what came before it stays.
			v.box.SetRaygunV3Limits(sandbox.RaygunLimits{PerSecond: -1, PerMinute: -1, PerDay: 2})
			ask := v.asked(v.s.Insight.AskVitals(t.Context(), v.actor, c.ID, q))
			if ask.State != AskFailed {
				t.Fatalf("ask = %+v", ask)
			}
			list, err := v.s.Insight.Vitals(t.Context(), 1, q)
			if err != nil || len(list) != 1 || list[0].Here != 2 || list[0].Calls != 5 {
				t.Fatalf("vitals = %+v, %v", list, err)
			}
			v.box.SetRaygunV3Limits(sandbox.RaygunLimits{PerSecond: -1, PerMinute: -1, PerDay: -1})
			if p, err := v.s.Connections.SetBudget(t.Context(), v.actor, c.ID, 10_000, 0); err != nil || len(p) > 0 { // lifts the block
				t.Fatal(p, err)
			}
			before, _ := v.s.Connections.Budget(t.Context(), 1, c.ID)
			if ask = v.asked(v.s.Insight.AskVitals(t.Context(), v.actor, c.ID, q)); ask.State != AskDone {
				t.Fatalf("ask = %+v", ask)
			}
			again := v.asked(v.s.Insight.AskVitals(t.Context(), v.actor, c.ID, q))
			after, _ := v.s.Connections.Budget(t.Context(), 1, c.ID)
			if n := after.Spent - before.Spent; n != 5 || again.State != AskDone {
				t.Errorf("%d calls for the 5 days that were missing", n)
			}
			if list, err = v.s.Insight.Vitals(t.Context(), 1, q); err != nil || list[0].Here != 7 || list[0].Missing != 0 {
				t.Fatalf("vitals = %+v, %v", list, err)
			}
			for _, s := range list[0].Series {
				if s.P75 == nil || *s.P75 < 0 || s.Measured == 0 || len(s.Points) != 7 || s.Band(s.P75) == BandNone {
					t.Errorf("%s = %+v", s.Short, s)
				}
				if s.Score != (s.Short == "CLS") || s.Score && *s.P75 > 5 || s.Short == "LCP" && *s.P75 < 100 {
					t.Errorf("%s = %v", s.Short, *s.P75)
				}
			}
		})
	}
}

func TestWebVitalsOfADayAreAskedOnceByAPersonAndSyncTogether(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	c := v.add(v.v3Form("Three", v.box.Credentials().RaygunApplication))
	today := DayOf(time.Now())
	var wg sync.WaitGroup
	for _, background := range []bool{false, true, true} {
		wg.Go(func() {
			ctx := withSpender(t.Context(), spender{Org: 1, Connection: c.ID, Actor: v.actor.User, Background: background})
			if _, err := v.s.Connections.fetchVitals(ctx, 1, c.ID, today-6, today, vitalsFresh); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := v.box.CountCalls(sandbox.OpV3MetricsPagesHistogram); n != 7 {
		t.Errorf("%d calls for 7 days", n)
	}
}

func TestQuantileOfBuckets(t *testing.T) {
	b := func(from, to float64, n int64) db.VitalBucket { return db.VitalBucket{From: from, To: to, Count: n} }
	tests := []struct {
		name string
		in   []db.VitalBucket
		want float64 // negative for none
		n    int64
	}{
		{"nothing", nil, -1, 0},
		{"no counts", []db.VitalBucket{b(0, 10, 0)}, -1, 0},
		{"one", []db.VitalBucket{b(100, 200, 4)}, 175, 4},
		{"two days side by side, out of order", []db.VitalBucket{b(100, 200, 1), b(0, 100, 1), b(100, 200, 1), b(0, 100, 1)}, 150, 4},
		{"an end that is not told", []db.VitalBucket{b(0, 0, 3), b(500, 500, 1)}, 0, 4},
		{"a negative count", []db.VitalBucket{b(0, 10, -5), b(10, 20, 2)}, 17.5, 2},
	}
	for _, tt := range tests {
		got, n := quantile(tt.in, 0.75)
		if n != tt.n || (got == nil) != (tt.want < 0) || got != nil && *got != tt.want {
			t.Errorf("%s: %v of %d, want %v of %d", tt.name, got, n, tt.want, tt.n)
		}
	}
}

// TestVitalsOfManyDaysAreWeeks: a week's percentile is of all its page views, and
// days that are not here make no point.
func TestVitalsOfManyDaysAreWeeks(t *testing.T) {
	vital := WebVitals()[0]
	day := func(day Day, from float64, n int64) db.VitalDay {
		return db.VitalDay{Day: day, Metric: string(vital.metric), Buckets: []db.VitalBucket{{From: from, To: from + 100, Count: n}}}
	}
	rows := []db.VitalDay{day(100, 0, 4), day(106, 100, 8), day(114, 200, 4), {Day: 115, Metric: "other"}}
	weeks, days := seriesOf(vital, rows, 100, 7), seriesOf(vital, rows, 100, 1)
	if p := weeks.Points; len(p) != 2 || p[0].Day != 100 || p[0].Measured != 12 || *p[0].P75 != 162.5 || p[1].Day != 114 || *p[1].P75 != 275 {
		t.Errorf("weeks = %+v", p)
	}
	if p := days.Points; len(p) != 3 || p[1].Day != 106 || p[1].Measured != 8 || *p[1].P75 != 175 || *days.P75 != *weeks.P75 {
		t.Errorf("days = %+v", p)
	}
}

func TestSyncFollowsAndBackfillsThroughV3(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{Customers: 60, Sessions: 1500, Days: 9})
	v1 := v.add(v.raygunForm("One"))
	start(t, v.s)
	form := v.v3Form("Three", v.box.Credentials().RaygunApplication)
	form.Sync = true
	c := v.add(form)
	if p, err := v.s.Connections.SetSpending(t.Context(), v.actor, c.ID, SpendingForm{Allowance: 10_000, Reserve: 100, Sync: true, RetentionDays: 9}); err != nil || len(p) > 0 {
		t.Fatal(p, err)
	}
	today := DayOf(time.Now())
	st, err := waitFor(t.Context(), patience, func() (SyncStatus, bool, error) {
		st, err := v.s.Syncs.Status(t.Context(), 1, c.ID)
		if err != nil || st.Plan.Days > 0 || st.Newest.IsZero() {
			return st, false, err
		}
		list, err := v.s.Insight.Vitals(t.Context(), 1, InsightQuery{From: today - 6, To: today})
		return st, err == nil && len(list) == 1 && list[0].Missing == 0, err
	})
	if err != nil || st.Plan.Days > 0 || st.Newest.IsZero() {
		t.Fatalf("status = %+v, %v", st, err)
	}
	from := (today - 8).Time()
	cover, err := v.s.Syncs.Coverage(t.Context(), 1, c.ID, from, nextDay(time.Now()))
	if err != nil || cover.Missing+cover.Partial > 0 || cover.Held != 9 {
		t.Errorf("coverage = %q, %+v, %v", cover.Sentence(), cover.Days, err)
	}
	q, _ := SessionQuery{Connection: c.ID, From: from, To: nextDay(time.Now())}.Check()
	rows, named := v.list(q), 0
	for _, s := range rows {
		if s.Customer != 0 {
			named++
		}
		if s.Rating != "" || s.Connection != c.ID {
			t.Fatalf("session = %+v", s)
		}
	}
	if len(rows) < 1200 || named < len(rows)/3 {
		t.Errorf("%d sessions, %d of a customer", len(rows), named)
	}
	if n := v.box.RaygunV3CallsToday(); n > 60 {
		t.Errorf("%d calls for %d sessions and 9 days of web vitals", n, len(rows))
	}
	// The same days through v1 are the same sessions.
	one := v.week(v1.ID)
	one.Connection = 0
	one.From = from
	if n := len(v.list(one)); n != len(rows) {
		t.Errorf("%d sessions once v1 told of them too, %d before", n, len(rows))
	}
	b, err := v.s.Connections.Budget(t.Context(), 1, c.ID)
	if err != nil || b.ByBackground != b.Spent || b.Spent != v.box.RaygunV3CallsToday() {
		t.Errorf("budget = %+v, the stand-in counted %d (%v)", b, v.box.RaygunV3CallsToday(), err)
	}
}
