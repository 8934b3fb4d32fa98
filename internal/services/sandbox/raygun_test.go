package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
	"sightline/internal/services/sandbox/contracttest"
)

// list is what the tests read of a sessions answer.
type list struct {
	TotalSessions int
	Sessions      []struct {
		ID           int64
		SessionStart time.Time
		SessionEnd   *time.Time
		Status       string
		User         struct {
			Identifier, EmailAddress, FirstName string
			IsAnonymous                         bool
			FirstSeen                           *string
			Links                               struct{ Web string }
		}
		Location      struct{ Country string }
		PageViewCount int
		Links         struct{ Self, Web string }
	}
	Links struct {
		Self           string
		Next, Previous *string
	}
}

func sessions(t *testing.T, s *sandbox.Sandbox, key map[string]string, more ...string) list {
	t.Helper()
	a := mustSend(t, "GET", sessionsURL(s, more...), key, nil)
	if a.code != 200 {
		t.Fatalf("sessions answered %d %s", a.code, a.body)
	}
	if err := contracttest.CheckRaygun("sessions", a.body); err != nil {
		t.Fatal(err)
	}
	var out list
	a.json(t, &out)
	return out
}

func TestAuthenticate(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	addr, good := s.RaygunURL()+"/api/v1/pulse/authenticate", raygunLogin(s)
	for _, c := range []struct {
		name, only, method string
		header             map[string]string
		want               int
	}{
		{"GET", "", "GET", good, 202},
		{"POST", "", "POST", good, 202},
		{"GET where only POST is", "POST", "GET", good, 405},
		{"POST where only POST is", "POST", "POST", good, 202},
		{"POST where only GET is", "GET", "POST", good, 405},
		{"PUT", "", "PUT", good, 405},
		{"no API key", "", "POST", map[string]string{"Authorization": good["Authorization"]}, 401},
		{"wrong API key", "", "POST", map[string]string{"Authorization": good["Authorization"], "X-ApiKey": "no"}, 401},
		{"no Basic", "", "POST", map[string]string{"X-ApiKey": good["X-ApiKey"]}, 401},
		{"wrong Basic", "", "POST", map[string]string{"X-ApiKey": good["X-ApiKey"], "Authorization": "Basic YTpi"}, 401},
	} {
		s.SetRaygunAuthMethod(c.only)
		a := mustSend(t, c.method, addr, c.header, nil)
		if a.code != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, a.code, a.body, c.want)
		}
		if a.code == 202 {
			if err := contracttest.CheckRaygun("authenticate", a.body); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

func TestSessionKeysEnd(t *testing.T) {
	s, c := start(t, sandbox.Options{RaygunDailyLimit: -1})
	key := sessionKey(t, s)
	code := func(key map[string]string) int { return mustSend(t, "GET", sessionsURL(s), key, nil).code }
	if got := code(nil); got != 401 {
		t.Errorf("without key: %d", got)
	}
	c.add(15 * time.Minute)
	if got := code(key); got != 200 {
		t.Errorf("after 15 minutes: %d", got)
	}
	c.add(time.Second)
	if got := code(key); got != 401 {
		t.Errorf("a second later: %d", got)
	}
	key = sessionKey(t, s)
	s.ExpireRaygunKeys()
	if got := code(key); got != 401 {
		t.Errorf("after ending all keys: %d", got)
	}
}

func TestSessionsParameters(t *testing.T) {
	s, _ := start(t, sandbox.Options{RaygunDailyLimit: -1})
	key := sessionKey(t, s)
	for _, c := range []struct {
		query string
		want  int
	}{
		{"", 400},
		{"dateFrom=2026-11-01", 400},
		{"dateTo=2026-11-01", 400},
		{"dateFrom=yesterday&dateTo=2026-11-01", 400},
		{"dateFrom=2026-11-02&dateTo=2026-11-01", 400},
		{"dateFrom=2026-11-01&dateTo=2026-11-02", 200},
		{"dateFrom=2026-11-01T00:00:00Z&dateTo=2026-11-02T10:00:00.5%2B02:00", 200},
		{"dateFrom=2026-11-01&dateTo=2026-11-02&limit=501", 400},
		{"dateFrom=2026-11-01&dateTo=2026-11-02&limit=500", 200},
		{"dateFrom=2026-11-01&dateTo=2026-11-02&limit=0", 400},
		{"dateFrom=2026-11-01&dateTo=2026-11-02&limit=x", 400},
		{"dateFrom=2026-11-01&dateTo=2026-11-02&skip=-1", 400},
		{"dateFrom=2026-11-01&dateTo=2026-11-02&country=US,NZ", 200},
		{"dateFrom=2026-11-01&dateTo=2026-11-02&country=US&country=NZ", 400},
		{"dateFrom=2026-11-01&dateTo=2026-11-02&country=USA", 400},
		{"dateFrom=2026-11-01&dateTo=2026-11-02&userType=whatever", 200},
	} {
		if a := mustSend(t, "GET", s.RaygunURL()+"/api/v1/pulse/sessions?"+c.query, key, nil); a.code != c.want {
			t.Errorf("%q: %d %s, want %d", c.query, a.code, a.body, c.want)
		}
	}
}

func TestSessionsPageThroughAll(t *testing.T) {
	for _, d := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		t.Run(string(d), func(t *testing.T) {
			s, _ := start(t, sandbox.Options{RaygunDailyLimit: -1, Dialect: d})
			key := sessionKey(t, s)
			if got := sessions(t, s, key); len(got.Sessions) != 50 || got.Links.Previous != nil {
				t.Errorf("by default %d sessions, previous %v", len(got.Sessions), got.Links.Previous)
			}
			seen, next, pages := map[int64]bool{}, sessionsURL(s, "limit", "500"), 0
			total, anonymous, active := 0, 0, 0
			for next != "" {
				a := mustSend(t, "GET", next, key, nil)
				var got list
				a.json(t, &got)
				for _, v := range got.Sessions {
					seen[v.ID] = true
					if v.User.IsAnonymous {
						anonymous++
						if v.User.EmailAddress != "" || v.User.FirstName != "" {
							t.Errorf("anonymous with a name: %+v", v.User)
						}
					}
					if v.Status == "active" {
						active++
						if v.SessionEnd != nil {
							t.Errorf("active with an end: %+v", v)
						}
					}
				}
				total, pages, next = got.TotalSessions, pages+1, ""
				if got.Links.Next != nil {
					if relative := strings.HasPrefix(*got.Links.Next, "/"); relative != (d == sandbox.DialectLive) {
						t.Fatalf("next is %q", *got.Links.Next)
					}
					next = s.RaygunURL() + strings.TrimPrefix(*got.Links.Next, s.RaygunURL())
				}
			}
			if len(seen) != total || total != s.Company().SessionCount() || pages != (total+499)/500 {
				t.Errorf("saw %d of %d on %d pages; the company has %d", len(seen), total, pages, s.Company().SessionCount())
			}
			if share := float64(anonymous) / float64(total); share < 0.12 || share > 0.28 {
				t.Errorf("%.0f %% anonymous", share*100)
			}
			if active == 0 {
				t.Error("no session is active")
			}
		})
	}
}

func TestSessionsFilters(t *testing.T) {
	s, _ := start(t, sandbox.Options{RaygunDailyLimit: -1})
	key := sessionKey(t, s)
	ada, _ := s.Company().Customer("ada.lovelace@example.com")
	got := sessions(t, s, key, "userIdentifier", ada.Identifier, "limit", "500")
	if want := len(s.Company().SessionsOf(ada)); got.TotalSessions != want || want == 0 {
		t.Errorf("%d sessions of Ada, want %d", got.TotalSessions, want)
	}
	if got := sessions(t, s, key, "userIdentifier", "nobody@example.com"); got.TotalSessions != 0 || got.Sessions == nil {
		t.Errorf("of nobody: %+v", got)
	}
	// The identifier is what the site gave, not the email.
	if got := sessions(t, s, key, "userIdentifier", "alan.turing@example.org"); got.TotalSessions != 0 {
		t.Errorf("found Alan by email: %d", got.TotalSessions)
	}
	for _, id := range []string{"usr_alan", "a/b", "ü@x"} {
		if got := sessions(t, s, key, "userIdentifier", id); got.TotalSessions == 0 {
			t.Errorf("nothing for %q", id)
		}
	}
	people := map[string]bool{}
	for _, v := range sessions(t, s, key, "userIdentifier", "frontdesk@example.org", "limit", "500").Sessions {
		people[v.User.EmailAddress] = true
	}
	if len(people) != 2 {
		t.Errorf("the shared identifier leads to %v", people)
	}
	all, us, both := sessions(t, s, key), sessions(t, s, key, "country", "US"), sessions(t, s, key, "country", "us,NZ", "limit", "500")
	for _, v := range both.Sessions {
		if c := v.Location.Country; c != "US" && c != "NZ" {
			t.Errorf("country %q", c)
		}
	}
	if us.TotalSessions == 0 || both.TotalSessions <= us.TotalSessions || both.TotalSessions >= all.TotalSessions {
		t.Errorf("US %d, US and NZ %d, all %d", us.TotalSessions, both.TotalSessions, all.TotalSessions)
	}
	a, r := sessions(t, s, key, "userType", "anonymous"), sessions(t, s, key, "userType", "registered")
	if a.TotalSessions == 0 || a.TotalSessions+r.TotalSessions != all.TotalSessions {
		t.Errorf("anonymous %d + registered %d of %d", a.TotalSessions, r.TotalSessions, all.TotalSessions)
	}
	for _, v := range a.Sessions {
		if v.User.Identifier != "" {
			if one := sessions(t, s, key, "userIdentifier", v.User.Identifier); one.TotalSessions == 0 {
				t.Errorf("a visitor's identifier %q finds nothing", v.User.Identifier)
			}
			break
		}
	}
}

func TestSessionsBoundsDifferByDialect(t *testing.T) {
	s, _ := start(t, sandbox.Options{RaygunDailyLimit: -1})
	key := sessionKey(t, s)
	ada, _ := s.Company().Customer("ada.lovelace@example.com")
	last := s.Company().SessionsOf(ada)[0].Start.Format(time.RFC3339Nano)
	ask := func() int {
		return sessions(t, s, key, "userIdentifier", ada.Identifier, "dateFrom", last, "dateTo", last).TotalSessions
	}
	if n := ask(); n != 0 {
		t.Errorf("contract: the upper bound let %d in", n)
	}
	s.SetDialect(sandbox.DialectLive)
	if n := ask(); n != 1 {
		t.Errorf("live: the upper bound let %d in", n)
	}
}

func TestSessionByID(t *testing.T) {
	s, _ := start(t, sandbox.Options{RaygunDailyLimit: -1})
	key := sessionKey(t, s)
	one := s.RaygunURL() + "/api/v1/pulse/session?id="
	for q, want := range map[string]int{"": 400, "x": 400, "99999999999999999999": 400, "12": 404, "-1": 404} {
		if a := mustSend(t, "GET", one+q, key, nil); a.code != want {
			t.Errorf("id %q: %d, want %d", q, a.code, want)
		}
	}
	errors, unrated := 0, 0
	for _, v := range sessions(t, s, key, "limit", "200").Sessions {
		if v.ID < 1<<53 {
			t.Fatalf("id %d fits JavaScript's numbers", v.ID)
		}
		a := mustSend(t, "GET", v.Links.Self, key, nil)
		if err := contracttest.CheckRaygun("session", a.body); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Session struct {
				ID        int64
				Rating    *string `json:"satisfactionRating"`
				PageViews []struct{ Page string }
				Errors    []struct{ Links struct{ Web string } }
				Links     struct{ Web string }
			}
		}
		a.json(t, &got)
		if got.Session.ID != v.ID || len(got.Session.PageViews) != v.PageViewCount {
			t.Fatalf("session %d with %d views in the list, %d with %d alone", v.ID, v.PageViewCount, got.Session.ID, len(got.Session.PageViews))
		}
		if got.Session.Rating == nil {
			unrated++
		}
		for _, e := range got.Session.Errors {
			if errors++; errors < 5 {
				if p := mustSend(t, "GET", e.Links.Web, nil, nil); p.code != 200 {
					t.Errorf("link %s leads to %d", e.Links.Web, p.code)
				}
			}
		}
	}
	if errors == 0 || unrated == 0 {
		t.Errorf("%d errors, %d without rating in 200 sessions", errors, unrated)
	}
}

func TestDailyLimit(t *testing.T) {
	for _, d := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		t.Run(string(d), func(t *testing.T) {
			s, c := start(t, sandbox.Options{Dialect: d})
			for range 60 { // counts apart
				sessionKey(t, s)
			}
			key := sessionKey(t, s)
			for i := range 50 {
				addr := sessionsURL(s, "limit", "1")
				if i%2 == 1 {
					addr = s.RaygunURL() + "/api/v1/pulse/session?id=5"
				}
				if a := mustSend(t, "GET", addr, key, nil); a.code == 429 {
					t.Fatalf("call %d is refused", i+1)
				}
			}
			a := mustSend(t, "GET", sessionsURL(s), key, nil)
			if a.code != 429 || s.RaygunCallsToday() != 50 {
				t.Fatalf("call 51 answered %d; %d counted", a.code, s.RaygunCallsToday())
			}
			wait, _ := strconv.Atoi(a.header.Get("Retry-After"))
			if d == sandbox.DialectContract && (wait < 12*3600 || wait > 12*3600+1) || d == sandbox.DialectLive && wait != 0 {
				t.Errorf("Retry-After is %q at noon", a.header.Get("Retry-After"))
			}
			s.SetRaygunDailyLimit(51)
			if a := mustSend(t, "GET", sessionsURL(s), key, nil); a.code != 200 {
				t.Errorf("with a raised limit: %d", a.code)
			}
			c.add(12 * time.Hour)
			if a := mustSend(t, "GET", sessionsURL(s), sessionKey(t, s), nil); a.code != 200 || s.RaygunCallsToday() != 1 {
				t.Errorf("the next day: %d, %d counted", a.code, s.RaygunCallsToday())
			}
		})
	}
}

func TestHostileTextArrivesAsItIs(t *testing.T) {
	s, _ := start(t, sandbox.Options{RaygunDailyLimit: -1})
	key := sessionKey(t, s)
	var all strings.Builder
	for _, v := range sessions(t, s, key, "userIdentifier", "mallory@example.com", "limit", "500").Sessions {
		all.Write(mustSend(t, "GET", fmt.Sprintf("%s/api/v1/pulse/session?id=%d", s.RaygunURL(), v.ID), key, nil).body)
	}
	for _, want := range []string{"<script>alert('name')</script>", "<script>alert('error title')</script>", "javascript:alert(document.domain)", "=HYPERLINK(", "<img src=x onerror=alert(1)>"} {
		quoted, _ := json.Marshal(want)
		if got := all.String(); !strings.Contains(got, want) && !strings.Contains(got, strings.Trim(string(quoted), `"`)) {
			t.Errorf("no %q", want)
		}
	}
}

func TestRaygunPagesOpen(t *testing.T) {
	s, _ := start(t, sandbox.Options{RaygunDailyLimit: -1})
	for _, v := range sessions(t, s, sessionKey(t, s), "limit", "20").Sessions {
		for _, link := range []string{v.Links.Web, v.User.Links.Web} {
			if _, err := url.Parse(link); err != nil {
				t.Fatal(err)
			}
			if a := mustSend(t, "GET", link, nil, nil); a.code != 200 || !strings.Contains(string(a.body), "Made-up") {
				t.Errorf("%s leads to %d", link, a.code)
			}
		}
	}
	if s.CountCalls("page") != 0 {
		t.Error("pages were counted as calls")
	}
}
