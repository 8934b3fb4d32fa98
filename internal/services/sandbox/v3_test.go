package sandbox_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
	"sightline/internal/services/sandbox/contracttest"
)

func bearer(s *sandbox.Sandbox) map[string]string {
	return map[string]string{"Authorization": "Bearer " + s.Credentials().RaygunToken}
}

// v3 asks Raygun API v3 and checks requests and answers against its document.
type v3 struct {
	t    *testing.T
	s    *sandbox.Sandbox
	spec *contracttest.Validator
	app  string // path of the application
}

func newV3(t *testing.T, s *sandbox.Sandbox) *v3 {
	t.Helper()
	return &v3{t, s, contracttest.OptionalV3(t), "/v3/applications/" + s.Credentials().RaygunApplication}
}

func (v *v3) ask(method, path string, body any) answer {
	v.t.Helper()
	a := mustSend(v.t, method, v.s.RaygunURL()+path, bearer(v.s), body)
	r := httptest.NewRequest(method, v.s.RaygunURL()+path, nil)
	r.Header.Set("Authorization", bearer(v.s)["Authorization"])
	r.Header.Set("Content-Type", "application/json")
	raw, _ := body.(string)
	if a.code == 200 {
		if err := v.spec.CheckRequest(r, []byte(raw)); err != nil {
			v.t.Errorf("%s %s: %v", method, path, err)
		}
	}
	if a.code != 400 && v.s.Dialect() == sandbox.DialectContract { // lists have no answer for bad parameters
		if err := v.spec.CheckResponse(r, a.code, a.header, a.body); err != nil {
			v.t.Errorf("%s %s answered %d %.300s: %v", method, path, a.code, a.body, err)
		}
	}
	return a
}

// get reads a 200 into out.
func (v *v3) get(path string, out any) answer {
	v.t.Helper()
	a := v.ask("GET", path, nil)
	if a.code != 200 {
		v.t.Fatalf("GET %s answered %d %s", path, a.code, a.body)
	}
	a.json(v.t, out)
	return a
}

type v3Session struct {
	Identifier, CustomerIdentifier, IPAddress, PlatformName, OperatingSystemName, BrowserName, ApplicationURL string
	IsActive                                                                                                  bool
	StartedAt, UpdatedAt                                                                                      time.Time
	EndedAt                                                                                                   *time.Time
	CountryCode, OperatingSystemVersion, BrowserVersion, DeploymentVersion                                    *string
	ViewportWidth, ViewportHeight                                                                             int
	PageViews                                                                                                 *[]struct {
		PageIdentifier, ApplicationURL string
		ViewedAt                       time.Time
	}
	Errors *[]struct {
		ErrorGroupIdentifier, ApplicationURL string
		OccurredAt                           time.Time
	}
}

func (v *v3) sessions(more string) []v3Session {
	v.t.Helper()
	var out []v3Session
	v.get(v.app+"/sessions?"+more, &out)
	return out
}

type v3Request struct {
	method, path string
	body         any
}

// v3Requests has one good request for each operation of v3.
func v3Requests(t *testing.T, s *sandbox.Sandbox) map[string]v3Request {
	t.Helper()
	v := newV3(t, s)
	first := func(list string) string {
		var out []struct{ Identifier string }
		v.get(v.app+"/"+list, &out)
		if len(out) == 0 {
			t.Fatalf("no %s", list)
		}
		return v.app + "/" + list + "/" + out[0].Identifier
	}
	body := `{"start":"2026-11-10T00:00:00Z","end":"2026-11-12T00:00:00Z","metrics":["loadTime"],"granularity":"1d","aggregation":"median"}`
	return map[string]v3Request{
		sandbox.OpV3ListApplications:      {"GET", "/v3/applications", nil},
		sandbox.OpV3Application:           {"GET", v.app, nil},
		sandbox.OpV3ApplicationByKey:      {"GET", "/v3/applications/api-key/" + s.Credentials().RaygunAPIKey, nil},
		sandbox.OpV3ListSessions:          {"GET", v.app + "/sessions", nil},
		sandbox.OpV3Session:               {"GET", first("sessions"), nil},
		sandbox.OpV3ListCustomers:         {"GET", v.app + "/customers", nil},
		sandbox.OpV3Customer:              {"GET", first("customers"), nil},
		sandbox.OpV3ListPages:             {"GET", v.app + "/pages", nil},
		sandbox.OpV3Page:                  {"GET", first("pages"), nil},
		sandbox.OpV3ListErrorGroups:       {"GET", v.app + "/error-groups", nil},
		sandbox.OpV3ErrorGroup:            {"GET", first("error-groups"), nil},
		sandbox.OpV3MetricsPagesSeries:    {"POST", "/v3/metrics/" + s.Credentials().RaygunApplication + "/pages/time-series", body},
		sandbox.OpV3MetricsPagesHistogram: {"POST", "/v3/metrics/" + s.Credentials().RaygunApplication + "/pages/histogram", body},
		sandbox.OpV3MetricsErrorsSeries:   {"POST", "/v3/metrics/" + s.Credentials().RaygunApplication + "/errors/time-series", strings.NewReplacer("loadTime", "errorInstances", "median", "count").Replace(body)},
	}
}

func TestV3OperationsAreTheSpecifications(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	v := newV3(t, s)
	spec := contracttest.LoadV3(t)
	for operation, q := range v3Requests(t, s) {
		if got := spec.Operation(httptest.NewRequest(q.method, q.path, nil)); got != operation {
			t.Errorf("%s is %q in the document", operation, got)
		}
		before := s.CountCalls(operation)
		if a := v.ask(q.method, q.path, q.body); a.code != 200 || s.CountCalls(operation) != before+1 {
			t.Errorf("%s answered %d %s, counted %d", operation, a.code, a.body, s.CountCalls(operation)-before)
		}
		if a := mustSend(t, "DELETE", s.RaygunURL()+q.path, bearer(s), nil); a.code != 405 || a.header.Get("Allow") != q.method {
			t.Errorf("%s with DELETE answered %d", operation, a.code)
		}
	}
	for _, path := range []string{"/v3", "/v3/", "/v3/plans", "/v3/applications/", v.app + "/sessions/", v.app + "/sessions/a/b"} {
		if a := mustSend(t, "GET", s.RaygunURL()+path, bearer(s), nil); a.code != 404 {
			t.Errorf("%s answered %d", path, a.code)
		}
	}
	for _, path := range []string{"/v3/applications/nobody", "/v3/applications/nobody/sessions", v.app + "/sessions/zzz", v.app + "/sessions/ZZ!", v.app + "/customers/0", v.app + "/pages/zz", v.app + "/error-groups/zz", "/v3/applications/api-key/none"} {
		if a := v.ask("GET", path, nil); a.code != 404 {
			t.Errorf("%s answered %d", path, a.code)
		}
	}
}

// A session seen through both versions is provably one: the same number, once
// in base 10, once in base 36, and the same in all that both tell.
func TestV3TellsTheSessionsOfV1(t *testing.T) {
	s, _ := start(t, sandbox.Options{RaygunDailyLimit: -1})
	v := newV3(t, s)
	var all []v3Session
	for page := v.sessions("count=500"); len(page) > 0; page = v.sessions("count=500&offset=" + strconv.Itoa(len(all))) {
		all = append(all, page...)
	}
	key, old := sessionKey(t, s), map[string]int{}
	for skip := 0; ; skip += 500 {
		got := sessions(t, s, key, "limit", "500", "skip", strconv.Itoa(skip))
		for _, x := range got.Sessions {
			old[strconv.FormatInt(x.ID, 36)] = x.PageViewCount
		}
		if len(got.Sessions) < 500 {
			break
		}
	}
	if len(all) != len(old) || len(all) != s.Company().SessionCount() {
		t.Fatalf("%d sessions in v3, %d in v1, %d in the company", len(all), len(old), s.Company().SessionCount())
	}
	active, anonymous, unversioned, versions := 0, 0, 0, map[string]bool{}
	for i, x := range all {
		if _, ok := old[x.Identifier]; !ok {
			t.Fatalf("v1 has no %s", x.Identifier)
		}
		if i > 0 && x.StartedAt.After(all[i-1].StartedAt) {
			t.Fatalf("%s is newer than the one before", x.Identifier)
		}
		if x.IsActive != (x.EndedAt == nil) || x.ViewportWidth < 300 {
			t.Errorf("session %+v", x)
		}
		if x.IsActive {
			active++
		}
		if x.DeploymentVersion == nil {
			unversioned++
		} else {
			versions[*x.DeploymentVersion] = true
		}
		if i%60 == 0 {
			anonymous += v.compare(x, key)
		}
	}
	if active == 0 || anonymous == 0 || unversioned == 0 || len(versions) < 6 {
		t.Errorf("%d active, %d anonymous, %d without version, versions %v", active, anonymous, unversioned, versions)
	}
}

// compare compares a session with what the company knows of it, and gives 1 if
// it is an anonymous visitor's.
func (v *v3) compare(x v3Session, key map[string]string) int {
	v.t.Helper()
	id, _ := strconv.ParseInt(x.Identifier, 36, 64)
	want, ok := v.s.Company().Session(id)
	if !ok || !want.Start.Equal(x.StartedAt) || want.IP != x.IPAddress || want.Browser != x.BrowserName {
		v.t.Fatalf("%+v\nis not %+v", x, want)
	}
	var one v3Session
	v.get(v.app+"/sessions/"+x.Identifier, &one)
	if one.PageViews != nil || one.Errors != nil {
		v.t.Fatal("page views or errors without asking")
	}
	v.get(v.app+"/sessions/"+x.Identifier+"?include=pageViews,errors", &one)
	if len(*one.PageViews) != len(want.PageViews) || len(*one.Errors) != len(want.Errors) {
		v.t.Fatalf("%d views and %d errors of %+v", len(*one.PageViews), len(*one.Errors), want)
	}
	for i, p := range *one.PageViews {
		var page struct{ URI string }
		if v.get(v.app+"/pages/"+p.PageIdentifier, &page); page.URI != want.PageViews[i].URL || !p.ViewedAt.Equal(want.PageViews[i].At) {
			v.t.Errorf("%s at %v is not %+v", page.URI, p.ViewedAt, want.PageViews[i])
		}
	}
	for i, e := range *one.Errors {
		var group struct{ Message string }
		if v.get(v.app+"/error-groups/"+e.ErrorGroupIdentifier, &group); group.Message != want.Errors[i].Title || !e.OccurredAt.Equal(want.Errors[i].At) {
			v.t.Errorf("%s at %v is not %+v", group.Message, e.OccurredAt, want.Errors[i])
		}
	}
	var person struct {
		Identifier, ExternalIdentifier, EmailAddress, FullName string
		IsAnonymous                                            bool
	}
	v.get(v.app+"/customers/"+x.CustomerIdentifier, &person)
	var old struct {
		Session struct {
			User struct {
				ID                                 int64
				Identifier, EmailAddress, FullName string
				IsAnonymous                        bool
			}
		}
	}
	mustSend(v.t, "GET", fmt.Sprintf("%s/api/v1/pulse/session?id=%d", v.s.RaygunURL(), id), key, nil).json(v.t, &old)
	u := old.Session.User
	if n, _ := strconv.ParseInt(person.Identifier, 36, 64); n != u.ID || person.ExternalIdentifier != u.Identifier || person.EmailAddress != u.EmailAddress || person.FullName != u.FullName || person.IsAnonymous != u.IsAnonymous {
		v.t.Errorf("customer %+v is not %+v", person, u)
	}
	if person.IsAnonymous {
		return 1
	}
	return 0
}

func TestV3ListParameters(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	v := newV3(t, s)
	for q, want := range map[string]int{
		"": 100, "count=1": 1, "count=500": 500, "count=0": -1, "count=501": -1, "count=x": -1, "offset=-1": -1, "offset=2147483648": -1, "offset=1000000": 0, "offset=5&count=7": 7,
		"orderby=startedAt": 100, "orderby=startedAt+desc&orderby=countryCode": 100, "orderby=startedAt+asc": -1, "orderby=rating": -1,
		"filter=xhr.uri+eq+https://api.example.com/api/search": 100, "filter=country+eq+NZ": -1, "filter=xhr.uri+eq+https://nowhere.example": 0,
		"filter=xhr.uri+eq+https://api.example.com/api/search&orderby=startedAt": -1,
	} {
		a := v.ask("GET", v.app+"/sessions?"+q, nil)
		if want < 0 {
			if a.code != 400 || !strings.Contains(string(a.body), "traceId") {
				t.Errorf("%q answered %d %s", q, a.code, a.body)
			}
			continue
		}
		var got []v3Session
		if a.json(t, &got); a.code != 200 || len(got) != want || got == nil {
			t.Errorf("%q answered %d with %d sessions, want %d", q, a.code, len(got), want)
		}
	}
	if a := v.ask("GET", v.app+"/sessions/x?include=user", nil); a.code != 400 {
		t.Errorf("including users answered %d", a.code)
	}
	// What the filter lets through has opened a page that makes the request.
	for _, x := range v.sessions("filter=" + url.QueryEscape("xhr.uri eq https://api.example.com/api/products/4711/reviews")) {
		id, _ := strconv.ParseInt(x.Identifier, 36, 64)
		one, _ := s.Company().Session(id)
		if !slices.ContainsFunc(one.PageViews, func(p sandbox.PageView) bool { return strings.Contains(p.URL, "/product/") }) {
			t.Errorf("%s opened %+v", x.Identifier, one.PageViews)
		}
	}
}

func TestV3ListsAreInTheOrderAskedFor(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	v := newV3(t, s)
	for list, fields := range map[string][]string{
		v.app + "/sessions": {"customerIdentifier", "startedAt", "updatedAt", "endedAt", "countryCode", "platformName", "operatingSystemName", "operatingSystemVersion",
			"browserName", "browserVersion", "viewportWidth", "viewportHeight", "deploymentVersion"},
		v.app + "/customers":    {"isAnonymous", "firstSeenAt", "lastSeenAt"},
		v.app + "/pages":        {"lastSeenAt", "uri"},
		v.app + "/error-groups": {"message", "status", "lastOccurredAt", "createdAt"},
		"/v3/applications":      {"name", "apikey"},
	} {
		for _, f := range fields {
			for _, dir := range []string{"", " desc"} {
				var got []map[string]any
				v.get(list+"?orderby="+url.QueryEscape(f+dir), &got)
				name := strings.Replace(f, "apikey", "apiKey", 1)
				values := make([]string, len(got))
				for i, x := range got {
					if values[i] = fmt.Sprint(x[name]); x[name] == nil {
						values[i] = ""
					}
					if n, ok := x[name].(float64); ok {
						values[i] = fmt.Sprintf("%09.0f", n)
					}
				}
				if dir != "" {
					slices.Reverse(values)
				}
				if len(values) < 2 || !slices.IsSorted(values) {
					t.Errorf("%s by %s%s: %v", list, f, dir, values)
				}
			}
		}
	}
}

func TestV3Applications(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	v := newV3(t, s)
	var apps []struct {
		Identifier, Name, APIKey, RUMDataType string
		HasSentRUMData                        bool
	}
	v.get("/v3/applications", &apps)
	if len(apps) != 3 || apps[0].Identifier != s.Credentials().RaygunApplication || apps[0].APIKey != s.Credentials().RaygunAPIKey {
		t.Fatalf("applications %+v", apps)
	}
	for i, want := range []int{500, 4, 0} {
		var same struct{ Identifier string }
		v.get("/v3/applications/api-key/"+apps[i].APIKey, &same)
		if same.Identifier != apps[i].Identifier {
			t.Errorf("the key of %s leads to %s", apps[i].Identifier, same.Identifier)
		}
		var got []v3Session
		path := "/v3/applications/" + apps[i].Identifier
		v.get(path+"/sessions?count=500", &got)
		if len(got) != want {
			t.Errorf("%s has %d sessions", apps[i].Name, len(got))
		}
		for _, list := range []string{"customers", "pages", "error-groups"} {
			var any []map[string]any
			if v.get(path+"/"+list, &any); any == nil || i == 2 && len(any) > 0 {
				t.Errorf("%s of %s: %v", list, apps[i].Name, any)
			}
		}
		if i == 1 {
			if a := mustSend(t, "GET", got[0].ApplicationURL, nil, nil); a.code != 200 {
				t.Errorf("%s leads to %d", got[0].ApplicationURL, a.code)
			}
		}
		if a := v.ask("GET", path+"/sessions/"+v.sessions("count=1")[0].Identifier, nil); (a.code == 200) != (i == 0) {
			t.Errorf("another application's session answered %d in %s", a.code, apps[i].Name)
		}
	}
}

func TestV3LiveDialect(t *testing.T) {
	s, _ := start(t, sandbox.Options{Dialect: sandbox.DialectLive})
	v := newV3(t, s)
	var got []v3Session
	a := v.get(v.app+"/sessions?count=5", &got)
	if n, _ := strconv.Atoi(a.header.Get("X-Raygun-Total-Count")); n != s.Company().SessionCount() || got[0].StartedAt.After(got[4].StartedAt) {
		t.Errorf("total %d, from %v to %v", n, got[0].StartedAt, got[4].StartedAt)
	}
	var people []map[string]any
	v.get(v.app+"/customers?orderby=isAnonymous+desc&count=1", &people)
	if email, ok := people[0]["emailAddress"]; !ok || email != "" {
		t.Errorf("a visitor has the email %v", email)
	}
	s.SetDialect(sandbox.DialectContract)
	people = nil
	if a := v.get(v.app+"/customers?orderby=isAnonymous+desc&count=1", &people); people[0]["emailAddress"] != nil || a.header.Get("X-Raygun-Total-Count") != "" {
		t.Errorf("contract: %v %v", people, a.header)
	}
}
