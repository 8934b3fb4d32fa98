package handlers_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// strictVendor is one server for both vendors, written by hand from their
// documents and from nothing of ours: the sandbox has the same authors as the
// clients and would share their mistakes.
type strictVendor struct {
	*httptest.Server
	form  vendorForm
	start time.Time // when the one session began

	mu    sync.Mutex
	wrong []string
	calls map[string]int
	polls int
}

// vendorForm is how a server writes what the documents leave open.
type vendorForm struct {
	name string
	// prefix stands before every path; slash ends the base URL in a slash.
	prefix string
	slash  bool
	// signIn is the method that authenticate takes, refusal how it answers another.
	signIn  string
	refusal int
	// signedIn is the status of authenticate.
	signedIn int
	// created is the status of PUT and POST at LogRocket; 204 has no body.
	created int
	// kind is the content type; pack sends gzip, mark a byte order mark, chunked no length.
	kind                string
	pack, mark, chunked bool
	// moments writes a time.
	moments func(time.Time) any
	// loose writes numbers as strings, words in capitals and adds unknown fields.
	loose bool
	// sparse leaves out or nulls all that may be absent.
	sparse bool
	// live speaks LogRocket's live dialect.
	live bool
	// atOnce has the result in the answer to the POST.
	atOnce bool
	// noSlash answers 404 to paths that end in a slash, where the live API has none.
	noSlash bool
}

const (
	strictKey    = "planted-api-key"
	strictClient = "planted-client"
	strictSecret = "planted-client-secret"
	strictRocket = "acme-org:shop:planted-rocket-key"
	strictToken  = "planted-session-key"
	strictEmail  = "ada@strict.example"
)

func iso(layout string) func(time.Time) any {
	return func(t time.Time) any { return t.UTC().Format(layout) }
}

func newStrictVendor(t *testing.T, f vendorForm) *strictVendor {
	t.Helper()
	v := &strictVendor{form: f, calls: map[string]int{}, start: time.Now().UTC().Truncate(time.Second).Add(-90 * time.Minute)}
	v.Server = httptest.NewServer(http.HandlerFunc(v.serve))
	t.Cleanup(v.Close)
	t.Cleanup(func() {
		for _, w := range v.wrong {
			t.Error("against the documents: " + w)
		}
	})
	return v
}

func (v *strictVendor) base() string {
	b := v.URL + v.form.prefix
	if v.form.slash {
		b += "/"
	}
	return b
}

func (v *strictVendor) objectf(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

func (v *strictVendor) count(op string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls[op]
}

func (v *strictVendor) serve(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		v.objectf("%s %s: %v", r.Method, r.URL, err)
	}
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), v.form.prefix)
	if !ok {
		v.objectf("%s is not below the base URL", r.URL)
	}
	switch {
	case path == "/api/v1/pulse/authenticate":
		v.authenticate(w, r)
	case strings.HasPrefix(path, "/api/v1/pulse/"):
		v.pulse(w, r, strings.TrimPrefix(path, "/api/v1/pulse/"))
	case strings.HasPrefix(path, "/v1/orgs/acme-org/apps/shop/"):
		if r.Header.Get("Authorization") != "token "+strictRocket {
			v.answer(w, 401, map[string]any{"error": "bad token"})
			return
		}
		v.rocket(w, r, strings.TrimPrefix(path, "/v1/orgs/acme-org/apps/shop/"), body)
	default:
		v.objectf("%s %s is no address of the documents", r.Method, r.URL)
		http.NotFound(w, r)
	}
}

func (v *strictVendor) authenticate(w http.ResponseWriter, r *http.Request) {
	if r.Method != v.form.signIn {
		http.Error(w, "no", v.form.refusal)
		return
	}
	v.calls["authenticate"]++
	user, password, _ := r.BasicAuth()
	if r.Header.Get("X-ApiKey") != strictKey || user != strictClient || password != strictSecret {
		v.answer(w, 401, map[string]any{"message": "no"})
		return
	}
	v.answer(w, v.form.signedIn, map[string]any{"sessionKey": strictToken})
}

func (v *strictVendor) pulse(w http.ResponseWriter, r *http.Request, op string) {
	if r.Method != http.MethodGet {
		v.objectf("%s %s", r.Method, op)
	}
	if r.Header.Get("X-SessionKey") != strictToken {
		v.answer(w, 401, nil)
		return
	}
	v.calls[op]++
	q := r.URL.Query()
	known := map[string][]string{"sessions": {"dateFrom", "dateTo", "userIdentifier", "country", "userType", "skip", "limit"}, "session": {"id"}}[op]
	for name, values := range q {
		if !strings.Contains(","+strings.Join(known, ",")+",", ","+name+",") || len(values) != 1 {
			v.objectf("%s has the parameter %s %d times", op, name, len(values))
		}
	}
	switch op {
	case "sessions":
		for _, name := range []string{"dateFrom", "dateTo"} {
			if _, err := time.Parse(time.RFC3339, q.Get(name)); err != nil {
				v.objectf("%s: %v", name, err)
			}
		}
		rows := []any{}
		if who := q.Get("userIdentifier"); who == "" || who == strictEmail {
			rows = append(rows, v.session(false))
		}
		answer := map[string]any{"totalSessions": v.number(int64(len(rows))), "sessions": rows, "links": map[string]any{
			"self": v.URL + r.URL.RequestURI(), "next": nil, "previous": nil,
		}}
		if v.form.sparse {
			answer = map[string]any{"sessions": rows}
		}
		v.answer(w, 200, answer)
	case "session":
		if q.Get("id") != "9007199254740993" {
			v.answer(w, 404, nil)
			return
		}
		v.answer(w, 200, map[string]any{"session": v.session(true)})
	default:
		v.objectf("no operation %q", op)
		http.NotFound(w, r)
	}
}

// number is a number, or a text of it.
func (v *strictVendor) number(n int64) any {
	if v.form.loose {
		return fmt.Sprint(n)
	}
	return n
}

func (v *strictVendor) word(s string) string {
	if v.form.loose {
		return strings.ToUpper(s)
	}
	return s
}

func (v *strictVendor) session(detail bool) map[string]any {
	at := func(minutes int) any { return v.form.moments(v.start.Add(time.Duration(minutes) * time.Minute)) }
	user := map[string]any{
		"id": v.number(71), "isAnonymous": false, "identifier": strictEmail, "firstName": "Ada", "fullName": "Ada Strict", "emailAddress": strictEmail,
		"firstSeen": at(-600), "lastSeen": at(20), "links": map[string]any{"web": v.URL + "/user/71"},
	}
	s := map[string]any{
		"id": v.number(9007199254740993), "sessionStart": at(0), "sessionUpdated": at(20), "sessionEnd": at(20), "user": user,
		"browser": map[string]any{"name": "Chrome", "version": "140.0"}, "platform": map[string]any{"name": "Desktop"},
		"os": map[string]any{"name": "Windows", "version": "11"}, "location": map[string]any{"country": "NZ", "ipAddress": "198.51.100.7"},
		"sessionLength": v.number(1200000), "status": v.word("ended"),
		"links": map[string]any{"self": v.URL + "/session?id=1", "web": v.URL + "/sessions/1"},
	}
	if detail {
		s["satisfactionRating"] = v.word("Poor")
		s["location"] = map[string]any{"country": "NZ", "ipAddress": "198.51.100.7", "ipLookup": map[string]any{"country": "New Zealand", "state": "Wellington", "city": "Wellington"}}
		s["errors"] = []any{map[string]any{"groupId": v.number(5), "instanceId": v.number(6), "title": "TypeError: strict", "links": map[string]any{"web": v.URL + "/e"}}}
		s["pageViews"] = []any{map[string]any{"page": "https://shop.example/strict", "loadingTime": v.number(1234), "viewingTime": v.number(4000), "viewedOn": at(1)}}
	} else {
		s["pageViewCount"] = v.number(1)
	}
	if v.form.loose {
		s["location"].(map[string]any)["country"] = "nz"
	}
	if v.form.sparse {
		s["sessionEnd"], s["browser"], s["os"], s["location"], s["links"] = nil, nil, map[string]any{}, nil, nil
		delete(s, "platform")
		delete(s, "sessionUpdated")
		delete(s, "sessionLength")
		delete(s, "pageViewCount")
		user["firstSeen"], user["lastSeen"], user["links"] = nil, nil, nil
		if detail {
			s["satisfactionRating"] = nil
		}
	}
	return s
}

func (v *strictVendor) rocket(w http.ResponseWriter, r *http.Request, op string, body []byte) {
	if v.form.noSlash && strings.HasSuffix(op, "highlights/") {
		http.NotFound(w, r)
		return
	}
	switch {
	case r.Method == http.MethodGet && op == "data-export/":
		v.calls["exports"]++
		answer := map[string]any{"cursor": "17", "sessions": []any{map[string]any{"url": "https://files.example/1"}}}
		if v.form.sparse {
			answer = map[string]any{}
		}
		v.answer(w, 200, answer)
	case r.Method == http.MethodPut && strings.HasPrefix(op, "users/"):
		v.calls["users"]++
		v.putUser(w, r, strings.TrimPrefix(op, "users/"), body)
	case strings.TrimSuffix(op, "/") == "highlights" && r.Method == http.MethodPost:
		v.calls["create"]++
		v.createHighlights(w, body)
	case strings.TrimSuffix(op, "/") == "highlights" && r.Method == http.MethodGet:
		v.calls["get"]++
		if r.URL.Query().Get("id") != "job-1" {
			v.answer(w, 404, map[string]any{"error": "unknown request"})
			return
		}
		v.polls++
		v.answer(w, 200, v.highlights(v.polls > 1))
	default:
		v.objectf("%s %s is no operation of the documents", r.Method, op)
		http.NotFound(w, r)
	}
}

func (v *strictVendor) putUser(w http.ResponseWriter, r *http.Request, escaped string, body []byte) {
	id, err := url.PathUnescape(escaped)
	if err != nil || strings.Contains(escaped, "/") {
		v.objectf("the user id %q is not one part of the path", escaped)
	}
	var in struct {
		Name, Email *string
		Traits      map[string]any
		Timestamp   *int64
	}
	if err := json.Unmarshal(body, &in); err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		v.objectf("PUT users: %v, %s", err, r.Header.Get("Content-Type"))
	}
	key := "userId"
	if v.form.live {
		key = "userID"
	}
	traits := map[string]any{"seats": "3"}
	for k, x := range in.Traits {
		if text := fmt.Sprint(x); text != "" {
			traits[k] = text
		}
	}
	answer := map[string]any{key: id, "name": "Ada Strict", "email": strictEmail, "traits": traits}
	if v.form.sparse {
		answer = map[string]any{}
	}
	v.answer(w, v.form.created, answer)
}

func (v *strictVendor) createHighlights(w http.ResponseWriter, body []byte) {
	var in map[string]any
	if err := json.Unmarshal(body, &in); err != nil || (in["userEmail"] == nil) == (in["userID"] == nil) {
		v.objectf("POST highlights: %v %s", err, body)
	}
	status := v.form.created
	if status == http.StatusNoContent {
		status = 200 // there would be no number to ask with
	}
	switch {
	case v.form.atOnce:
		v.answer(w, status, v.highlights(true))
	case v.form.live:
		v.answer(w, status, map[string]any{"id": "job-1"})
	default:
		v.answer(w, status, v.highlights(false))
	}
}

func (v *strictVendor) highlights(done bool) map[string]any {
	a := map[string]any{"requestID": "job-1", "appID": "acme-org/shop", "status": "PENDING", "result": nil}
	if v.form.loose {
		a["status"] = "pending"
	}
	if !done {
		return a
	}
	session := map[string]any{"sessionId": "5-14de95d6-d5b8-1a62-0a3a-4858caf874b0", "highlights": "She **left**."}
	a["status"] = "COMPLETE"
	if v.form.live {
		a["status"] = "READY"
		session = map[string]any{"recordingID": "5-14de95d6-d5b8-1a62-0a3a-4858caf874b0", "sessionID": 0, "highlights": "She **left**."}
	}
	if v.form.loose {
		a["status"] = "complete"
	}
	if v.form.sparse {
		delete(a, "status")
		delete(a, "appID")
	}
	a["result"] = map[string]any{"highlights": "Strictly spoken, she *gave up*.", "sessions": []any{session}}
	return a
}

func (v *strictVendor) answer(w http.ResponseWriter, status int, body any) {
	if o, ok := body.(map[string]any); ok && v.form.loose {
		o["somethingNew"] = map[string]any{"deep": []any{1, nil, "x"}}
	}
	text, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		panic(err)
	}
	if body == nil {
		text = nil
	}
	if v.form.mark {
		text = append([]byte("\xef\xbb\xbf"), text...)
	}
	if v.form.pack {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(text)
		_ = z.Close()
		text = b.Bytes()
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Type", v.form.kind)
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	if !v.form.chunked {
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		w.WriteHeader(status)
		_, _ = w.Write(text)
		return
	}
	w.WriteHeader(status)
	for len(text) > 0 {
		n := min(len(text), 100)
		_, _ = w.Write(text[:n])
		w.(http.Flusher).Flush()
		text = text[n:]
	}
}
