package handlers_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/services"
)

// traitKeeper is a LogRocket that keeps its users' traits, merges what is put
// and answers with the whole user.
type traitKeeper struct {
	*httptest.Server
	mu     sync.Mutex
	traits map[string]string
	puts   []map[string]string
	fail   bool
}

func (v *traitKeeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if strings.Contains(r.URL.Path, "/highlights") { // whose sessions make the customer known
		_, _ = io.WriteString(w, `{"requestID":"1","status":"COMPLETE","result":{"highlights":"x","sessions":[{"sessionId":"1","highlights":"y"}]}}`)
		return
	}
	var body struct {
		Traits map[string]string `json:"traits"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.fail {
		http.Error(w, `{"error":"Malformed request"}`, http.StatusBadRequest)
		return
	}
	v.puts = append(v.puts, body.Traits)
	for key, value := range body.Traits {
		if v.traits[key] = value; value == "" {
			delete(v.traits, key)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"userID": "u1", "name": "", "email": "ada@example.com", "traits": v.traits})
}

func (v *traitKeeper) last() map[string]string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.puts[len(v.puts)-1]
}

// undoing is a site over a traitKeeper, with a customer and a member at work.
type undoing struct {
	*browser
	v *traitKeeper
	// path is the customer's traits, edit the form of the LogRocket user u1.
	path, edit string
}

func newUndoing(t *testing.T, has map[string]string) *undoing {
	t.Helper()
	t.Parallel()
	v := &traitKeeper{traits: has}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	s := newSite(t, services.Vendors{LogRocketURL: v.URL, LogRocketAppURL: v.URL, Timeout: 5 * time.Second})
	if _, problems, err := s.services.Connections.Add(t.Context(), services.CommandLine(s.org.ID), services.ConnectionForm{
		Vendor: services.LogRocket, Name: "Web app", Key: services.NewSecret("acme:web:key"),
	}); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	b := s.as(t, "support@example.com")
	page := b.until(askAbout(t, b, "ada@example.com"), "/o/acme/customers/")
	path := regexp.MustCompile(`/o/acme/customers/[0-9]+`).FindString(page.body) + "/traits"
	return &undoing{browser: b, v: v, path: path, edit: path + "/edit?connection=1&user=u1"}
}

// change sends an edit through the form and returns the page of the edit.
func (u *undoing) change(t *testing.T, traits ...string) string {
	t.Helper()
	f := u.get(u.edit).fields(t, u.path)
	f.Del("new-key")
	f.Del("new-value")
	for i := 0; i < len(traits); i += 2 {
		keys := f["known-key"]
		shown := false
		for n, key := range keys {
			if key == traits[i] {
				f["known-value"][n], shown = traits[i+1], true
			}
		}
		if !shown {
			f.Add("new-key", traits[i])
			f.Add("new-value", traits[i+1])
		}
	}
	f.Set("step", "preview")
	return u.confirm(t, u.send(u.path, f))
}

// confirm sends what a preview shows.
func (u *undoing) confirm(t *testing.T, preview answer) string {
	t.Helper()
	preview.wants(t, http.StatusOK, "What will change")
	f := preview.fields(t, u.path)
	f.Set("step", "send")
	a := u.send(u.path, f)
	if a.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", a.status, a.body)
	}
	u.until(a.location, "LogRocket has accepted the edit")
	return a.location
}

func TestAnEditIsTakenBack(t *testing.T) {
	u := newUndoing(t, map[string]string{"plan": "free", "seats": "3"})
	u.change(t, "vip", "no") // LogRocket's answer tells the rest
	edit := u.change(t, "plan", "pro", "vip", "yes", "beta", "on", "seats", "")
	u.get(edit).wants(t, http.StatusOK, "Take back…")
	id := edit[strings.LastIndex(edit, "/")+1:]

	preview := u.get(u.path + "/edit?undo=" + id)
	preview.wants(t, http.StatusOK, "Nothing has been sent yet.", "Takes back the edit of", "by support@example.com")
	undone := u.confirm(t, preview)
	if got, want := u.v.last(), (map[string]string{"plan": "free", "vip": "no", "beta": "", "seats": "3"}); !maps.Equal(got, want) {
		t.Errorf("put %v, want %v", got, want)
	}
	u.get(undone).wants(t, http.StatusOK, "Takes back an earlier edit", `href="`+edit+`"`)
	u.get(edit).wants(t, http.StatusOK, "A later edit takes this one back", `href="`+undone+`"`)
	// A second time there is nothing left, and nothing to press.
	if again := u.get(u.path + "/edit?undo=" + id); !strings.Contains(again.body, "Nothing is left to take back") || strings.Contains(again.body, "Send to LogRocket") {
		t.Error("it is offered a second time")
	}
	// Taking back can be taken back.
	u.confirm(t, u.get(u.path+"/edit?undo="+undone[strings.LastIndex(undone, "/")+1:]))
	if got := u.v.last(); got["plan"] != "pro" || got["seats"] != "" {
		t.Errorf("put %v", got)
	}
}

func TestOneChangeOfAnEditIsTakenBack(t *testing.T) {
	u := newUndoing(t, map[string]string{"plan": "free"})
	u.change(t, "vip", "no")
	edit := u.change(t, "plan", "pro", "vip", "yes")
	id := edit[strings.LastIndex(edit, "/")+1:]
	u.change(t, "plan", "enterprise") // somebody goes on from there

	one := u.path + "/edit?undo=" + id + "&field=trait&key="
	u.get(edit).wants(t, http.StatusOK, "field=trait&amp;key=vip")
	moved := u.get(one + "plan")
	moved.wants(t, http.StatusOK, "“plan” changed again after the edit")
	u.confirm(t, u.get(one+"vip"))
	if got := u.v.last(); !maps.Equal(got, map[string]string{"vip": "no"}) {
		t.Errorf("put %v", got)
	}
	u.get(one+"other").wants(t, http.StatusNotFound, "did not change that field")

	history := u.get(u.path + "/history?" + url.Values{"connection": {"1"}, "user": {"u1"}, "field": {"trait"}, "key": {"plan"}}.Encode())
	history.wants(t, http.StatusOK, "History of “plan”", "enterprise", "pro", "free", "support@example.com")
	if n := strings.Count(history.body, "<tr"); n != 3 { // with the head
		t.Errorf("%d rows in the history of a trait that was changed twice", n)
	}
	u.get(u.path+"/history?connection=1&user=somebody&field=trait&key=plan").wants(t, http.StatusNotFound)
}

func TestWhatIsNotKnownIsNotTakenBack(t *testing.T) {
	u := newUndoing(t, map[string]string{"plan": "free", "hidden": "x"})
	edit := u.change(t, "plan", "pro") // nothing was known before it
	id := edit[strings.LastIndex(edit, "/")+1:]
	a := u.get(u.path + "/edit?undo=" + id)
	a.wants(t, http.StatusOK, "is not known for “plan”", "Nothing of this can be taken back without a guess")
	if strings.Contains(a.body, "Send to LogRocket") {
		t.Error("a guess can be sent")
	}
}

func TestOnlyWhatWasDoneIsTakenBack(t *testing.T) {
	u := newUndoing(t, map[string]string{})
	u.change(t, "vip", "no")
	u.v.mu.Lock()
	u.v.fail = true
	u.v.mu.Unlock()
	f := u.get(u.edit).fields(t, u.path)
	f.Add("new-key", "plan")
	f.Add("new-value", "pro")
	f.Set("step", "send")
	f.Set("token", "one")
	a := u.send(u.path, f)
	u.until(a.location, "Not sent")
	if strings.Contains(u.get(a.location).body, "Take back…") {
		t.Error("an edit that was refused can be taken back")
	}
	id := a.location[strings.LastIndex(a.location, "/")+1:]
	u.get(u.path+"/edit?undo="+id).wants(t, http.StatusConflict, "nothing to take back")
	u.get(u.path+"/edit?undo=999").wants(t, http.StatusNotFound)
	viewer := u.site.as(t, "viewer@example.com")
	viewer.get(u.path+"/edit?undo=1").wants(t, http.StatusForbidden)
	if a := u.get(u.edit); !strings.Contains(a.body, `<option value="vip">`) {
		t.Error("a known trait is not suggested")
	}
}
