package services

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
	"sightline/internal/services/sandbox"
	"sightline/internal/services/secrets"
)

// mirrorSite is Sightline without its web layer, with a Raygun connection to
// a server that a test chose.
type mirrorSite struct {
	*Services
	store *db.DB
	actor Actor
	conn  ConnectionID
}

func newMirrorSite(t *testing.T, v Vendors, form ConnectionForm) *mirrorSite {
	t.Helper()
	store := dbtest.New(t)
	box, err := OpenBox(t.Context(), store, secrets.NewMasterKey(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{PasswordMemory: 64, DB: store, Box: box, Vendors: v, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.People.FirstOwner(t.Context(), NewOwner{Email: "a@example.com", Password: "correct horse", OrgName: "Acme"}); err != nil {
		t.Fatal(err)
	}
	m := &mirrorSite{Services: s, store: store, actor: Actor{Org: 1, User: 1, Name: "a", Role: Owner}}
	start(t, s)
	form.Vendor, form.Name = Raygun, "Web"
	c, problems, err := s.Connections.Add(t.Context(), m.actor, form)
	if err != nil || len(problems) > 0 {
		t.Fatalf("add the connection: %v, %v", problems, err)
	}
	m.conn = c.ID
	return m
}

func (m *mirrorSite) wait(t *testing.T, ask Ask, err error) Ask {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	ask, err = m.Asks.Wait(t.Context(), 1, ask.ID, patience)
	if err != nil || ask.State.Open() {
		t.Fatalf("ask = %+v, %v", ask, err)
	}
	return ask
}

// fakeRaygun serves pages of sessions as a test tells it to.
type fakeRaygun struct {
	pages atomic.Pointer[func(skip int) string]
	one   atomic.Pointer[string]
	calls atomic.Int32
}

func (f *fakeRaygun) answer(fn func(skip int) string) { f.pages.Store(&fn) }

func (f *fakeRaygun) start(t *testing.T) *mirrorSite {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/authenticate"):
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"sessionKey":"k"}`)
		case strings.HasSuffix(r.URL.Path, "/sessions"):
			f.calls.Add(1)
			skip, _ := strconv.Atoi(r.URL.Query().Get("skip"))
			fmt.Fprint(w, (*f.pages.Load())(skip))
		default:
			f.calls.Add(1)
			fmt.Fprint(w, *f.one.Load())
		}
	}))
	t.Cleanup(srv.Close)
	return newMirrorSite(t, Vendors{RaygunURL: srv.URL}, ConnectionForm{
		APIKey: NewSecret("a-key"), ClientID: NewSecret("an-id"), ClientSecret: NewSecret("a-secret")})
}

// sessionJSON is a session of the list, begun that many minutes into 2026-11-20.
func sessionJSON(id, minute int, email, more string) string {
	at := time.Date(2026, 11, 20, 0, minute, 0, 0, time.UTC)
	return fmt.Sprintf(`{"id":%d,"sessionStart":%q,"sessionUpdated":%q,"user":{"id":%d,"isAnonymous":%t,"identifier":%q,"emailAddress":%q},
		"location":{"country":"NZ"},"status":"ended","pageViewCount":3%s}`,
		id, at.Format(time.RFC3339), at.Add(time.Minute).Format(time.RFC3339), 1000+id, email == "", email, email, more)
}

func pageJSON(total string, sessions ...string) string {
	return `{"totalSessions":` + total + `,"sessions":[` + strings.Join(sessions, ",") + `]}`
}

func dayQuery(c ConnectionID) SessionQuery {
	return SessionQuery{Connection: c, From: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
}

// ask puts a search and waits for its answer.
func (m *mirrorSite) ask(t *testing.T, q SessionQuery, next bool) Ask {
	t.Helper()
	ask, err := m.Sessions.Ask(t.Context(), m.actor, q, 0, next)
	return m.wait(t, ask, err)
}

func (m *mirrorSite) state(t *testing.T, q SessionQuery) SearchState {
	t.Helper()
	st, err := m.Sessions.State(t.Context(), 1, q)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// all reads a query's list page by page.
func (m *mirrorSite) all(t *testing.T, q SessionQuery) []Session {
	t.Helper()
	var out []Session
	var after Moment
	for {
		l, err := m.Sessions.List(t.Context(), 1, q, after)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l.Sessions...)
		if !l.More {
			return out
		}
		after = l.Next
	}
}

func TestSearchReadsPageAfterPageAndCountsEachSessionOnce(t *testing.T) {
	var f fakeRaygun
	row := func(from, to int) []string {
		var out []string
		for i := from; i < to; i++ {
			// Many begin in the same minute: the order needs its unique tail.
			out = append(out, sessionJSON(i+1, i/10, fmt.Sprintf("u%d@example.com", i%7), ""))
		}
		return out
	}
	// Rows move between pages, come again, and the total changes on the way.
	f.answer(func(skip int) string {
		switch skip {
		case 0:
			return pageJSON("900", row(0, 500)...)
		case 500:
			return pageJSON("904", append(row(490, 900), row(3, 4)...)...)
		}
		return pageJSON("904")
	})
	m := f.start(t)
	q := dayQuery(m.conn)
	if st := m.state(t, q); st.Asked || st.Ask != nil || st.Budget.Left != 50 {
		t.Fatalf("before: %+v", st)
	}
	ask := m.ask(t, q, false)
	if ask.State != AskDone || ask.Message != "Raygun sent 500 sessions of 900 that match." {
		t.Fatalf("ask = %+v", ask)
	}
	st := m.state(t, q)
	if !st.Asked || st.Complete || *st.Total != 900 || st.Found != 500 || st.Budget.Left != 49 || st.AskedAt.IsZero() {
		t.Fatalf("after one page: %+v", st)
	}
	m.ask(t, q, true)
	if st = m.state(t, q); *st.Total != 904 || st.Found != 900 {
		t.Fatalf("after two pages: %+v", st)
	}
	// The total says that four are missing, the empty page says that it ends.
	if m.ask(t, q, true); !m.state(t, q).Complete {
		t.Fatalf("after the empty page: %+v", m.state(t, q))
	}
	got := m.all(t, q)
	seen := map[string]bool{}
	for i, s := range got {
		if seen[s.VendorID] {
			t.Errorf("session %s twice", s.VendorID)
		}
		seen[s.VendorID] = true
		if i > 0 && got[i-1].StartedAt.Before(s.StartedAt) {
			t.Errorf("session %s is newer than the one before", s.VendorID)
		}
	}
	if len(got) != 900 || f.calls.Load() != 3 {
		t.Errorf("%d sessions listed with %d calls", len(got), f.calls.Load())
	}
	customers, err := m.Customers.List(t.Context(), 1, Moment{})
	if err != nil || len(customers.Customers) != 7 {
		t.Errorf("%d customers, %v", len(customers.Customers), err)
	}
}

func TestMirrorKeepsWhatADetailToldAndTheNewerOfTwoAnswers(t *testing.T) {
	var f fakeRaygun
	m := f.start(t)
	q := dayQuery(m.conn)
	f.answer(func(int) string {
		return pageJSON("1", sessionJSON(1, 10, "ada@example.com", `,"sessionLength":60000`))
	})
	m.ask(t, q, false)
	id := m.all(t, q)[0].ID
	one := `{"session":{"id":1,"sessionStart":"2026-11-20T00:10:00Z","sessionUpdated":"2026-11-20T00:30:00Z","sessionEnd":"2026-11-20T00:30:00Z",
		"user":{"id":1001,"identifier":"ada@example.com","emailAddress":"ada@example.com","fullName":"Ada"},"satisfactionRating":"Poor","status":"ended",
		"location":{"country":"NZ","ipAddress":"192.0.2.1","ipLookup":{"country":"New Zealand","state":"","city":"Wellington"}},"sessionLength":1200000,
		"errors":[{"groupId":9223372036854775807,"instanceId":2,"title":"<b>Boom</b>"}],
		"pageViews":[{"page":"/a","loadingTime":120,"viewingTime":-5,"viewedOn":"2026-11-20T00:10:00Z"},{"page":"/b"}]}}`
	f.one.Store(&one)
	ask, asked, err := m.Sessions.AskDetail(t.Context(), m.actor, id, 0, false)
	if got := m.wait(t, ask, err); !asked || got.State != AskDone || got.Message != "Raygun sent the session with 2 page views and 1 error." {
		t.Fatalf("ask = %+v", got)
	}
	// The same row of the list again, as it was before: older than the detail.
	m.ask(t, q, false)
	d, err := m.Sessions.Get(t.Context(), 1, id)
	if err != nil {
		t.Fatal(err)
	}
	s := d.Session
	if s.Rating != "Poor" || s.City != "Wellington" || *s.LengthMS != 1200000 || *s.ErrorCount != 1 || *s.PageViewCount != 3 || s.EndedAt.IsZero() || s.UserName != "Ada" {
		t.Errorf("session = %+v", s)
	}
	if len(d.PageViews) != 2 || *d.PageViews[0].ViewMS != -5 || d.PageViews[1].LoadMS != nil || len(d.Errors) != 1 || d.Errors[0].GroupID != "9223372036854775807" || d.Errors[0].Title != "<b>Boom</b>" {
		t.Errorf("detail = %+v, %+v", d.PageViews, d.Errors)
	}
	// An ended session does not change: its detail costs nothing a second time,
	// unless a person wants it.
	before := f.calls.Load()
	if _, asked, err := m.Sessions.AskDetail(t.Context(), m.actor, id, 0, false); asked || err != nil {
		t.Errorf("asked again by itself: %v, %v", asked, err)
	}
	ask, asked, err = m.Sessions.AskDetail(t.Context(), m.actor, id, 0, true)
	if m.wait(t, ask, err); !asked || f.calls.Load() != before+1 {
		t.Errorf("%d calls for asking again", f.calls.Load()-before)
	}
	c, err := m.Customers.View(t.Context(), m.actor, d.Session.Customer)
	if err != nil || c.Customer.Name != "Ada" || len(c.Newest) != 1 || c.MirroredAt.IsZero() || len(c.Refresh) != 1 || c.Refresh[0].Identifier != "ada@example.com" {
		t.Errorf("customer = %+v, %v", c, err)
	}
}

func TestMirrorTakesWhatIsMissingOrHostile(t *testing.T) {
	var f fakeRaygun
	m := f.start(t)
	f.answer(func(int) string {
		return `{"sessions":[
			{"id":7,"sessionStart":"2026-11-20T01:00:00Z","user":{"isAnonymous":true,"identifier":"3f1c"}},
			{"id":8,"sessionStart":"2026-11-20T02:00:00Z","user":{"identifier":"'; DROP TABLE sessions; --\u0000\u202e","fullName":"<script>"},"pageViewCount":-4},
			{"sessionStart":"2026-11-20T03:00:00Z"}]}`
	})
	ask := m.ask(t, dayQuery(m.conn), false)
	if ask.State != AskDone || ask.Message != "Raygun sent 2 sessions. 1 more row had no id and could not be kept." {
		t.Fatalf("ask = %+v", ask)
	}
	got := m.all(t, dayQuery(m.conn))
	if len(got) != 2 || got[0].VendorID != "8" || got[0].Customer == 0 || got[1].Customer != 0 || got[1].PageViewCount != nil || got[1].LengthMS != nil {
		t.Errorf("sessions = %+v", got)
	}
	if st := m.state(t, dayQuery(m.conn)); st.Total != nil || st.Found != 2 || !st.Complete {
		t.Errorf("state = %+v", st)
	}
}

func TestFailedSearchSaysWhyAndLosesNothing(t *testing.T) {
	var f fakeRaygun
	m := f.start(t)
	q := dayQuery(m.conn)
	f.answer(func(int) string { return pageJSON("1", sessionJSON(1, 10, "ada@example.com", "")) })
	m.ask(t, q, false)
	f.answer(func(int) string { return "<html>proxy</html>" })
	if ask := m.ask(t, q, false); ask.State != AskFailed || ask.ErrorKind != "unexpected" {
		t.Fatalf("ask = %+v", ask)
	}
	st := m.state(t, q)
	if st.Ask == nil || st.Ask.State != AskFailed || !st.Asked || st.Found != 1 || len(m.all(t, q)) != 1 {
		t.Errorf("state = %+v", st)
	}
}

func TestQueryIsCheckedByField(t *testing.T) {
	good := dayQuery(1)
	tests := []struct {
		name   string
		change func(*SessionQuery)
		want   string // the field with the problem
	}{
		{"good", func(q *SessionQuery) { q.Countries = []string{"us", " NZ ", "", "us"} }, ""},
		{"no dates", func(q *SessionQuery) { q.From = time.Time{} }, "from"},
		{"backwards", func(q *SessionQuery) { q.To = q.From }, "to"},
		{"three letters", func(q *SessionQuery) { q.Countries = []string{"NZL"} }, "countries"},
		{"not letters", func(q *SessionQuery) { q.Countries = []string{"ß", "<b"} }, "countries"},
		{"too many", func(q *SessionQuery) {
			for c := 'A'; c <= 'Z'; c++ {
				q.Countries = append(q.Countries, "A"+string(c))
			}
		}, "countries"},
		{"long identifier", func(q *SessionQuery) { q.Identifier = strings.Repeat("x", 1025) }, "identifier"},
		{"long type", func(q *SessionQuery) { q.UserType = strings.Repeat("x", 201) }, "user_type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := good
			tt.change(&q)
			q, problems := q.Check()
			if tt.want == "" && (len(problems) > 0 || fmt.Sprint(q.Countries) != "[NZ US]") {
				t.Errorf("problems = %v, countries %v", problems, q.Countries)
			}
			if tt.want != "" && (problems[tt.want] == "" || len(problems) != 1) {
				t.Errorf("problems = %v", problems)
			}
		})
	}
}

func TestUserTypeListsOnlyWhatRaygunAnsweredToIt(t *testing.T) {
	var f fakeRaygun
	m := f.start(t)
	q := dayQuery(m.conn)
	f.answer(func(int) string {
		return pageJSON("2", sessionJSON(1, 1, "a@example.com", ""), sessionJSON(2, 2, "b@example.com", ""))
	})
	m.ask(t, q, false)
	q.UserType = "registered"
	if got := m.all(t, q); len(got) != 0 {
		t.Errorf("%d sessions before Raygun was asked", len(got))
	}
	f.answer(func(int) string { return pageJSON("1", sessionJSON(2, 2, "b@example.com", "")) })
	m.ask(t, q, false)
	if got := m.all(t, q); len(got) != 1 || got[0].VendorID != "2" {
		t.Errorf("sessions = %+v", got)
	}
}

func TestAgainstTheSandbox(t *testing.T) {
	t.Parallel()
	sb, err := sandbox.Start(t.Context(), sandbox.Options{Customers: 50, Sessions: 1500, RaygunDailyLimit: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sb.Close(); err != nil {
			t.Error(err)
		}
	})
	k := sb.Credentials()
	m := newMirrorSite(t, Vendors{RaygunURL: sb.RaygunURL(), LogRocketURL: sb.LogRocketURL(), LogRocketAppURL: sb.LogRocketAppURL()}, ConnectionForm{
		APIKey: NewSecret(k.RaygunAPIKey), ClientID: NewSecret(k.RaygunClientID), ClientSecret: NewSecret(k.RaygunClientSecret)})
	demo := sb.Company().Demo()[0]
	found, err := m.Customers.Lookup(t.Context(), 1, demo.Identifier)
	if err != nil || found.Only != 0 || len(found.Ask) != 1 {
		t.Fatalf("found = %+v, %v", found, err)
	}
	ask, err := m.Customers.AskUnknown(t.Context(), m.actor, m.conn, demo.Identifier)
	if got := m.wait(t, ask, err); got.State != AskDone {
		t.Fatalf("ask = %+v", got)
	}
	if found, err = m.Customers.Lookup(t.Context(), 1, demo.Identifier); err != nil || found.Only == 0 {
		t.Fatalf("found = %+v, %v", found, err)
	}
	tl, err := timelineOf(t, m.Customers, found.Only, "", TimelineCursor{})
	if err != nil || len(tl.Items) == 0 {
		t.Fatalf("timeline = %+v, %v", tl, err)
	}
	detail, _, err := m.Sessions.AskDetail(t.Context(), m.actor, tl.Items[0].Session.ID, 0, false)
	m.wait(t, detail, err)
	d, err := m.Sessions.Get(t.Context(), 1, tl.Items[0].Session.ID)
	if err != nil || !d.Detailed || len(d.PageViews) == 0 {
		t.Errorf("detail = %+v, %v", d, err)
	}
}
