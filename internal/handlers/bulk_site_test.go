package handlers_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/services"
)

// userKeeper is a LogRocket that keeps users as its documents say, counts the
// PUTs for each, and fails as a test says.
type userKeeper struct {
	*httptest.Server
	mu    sync.Mutex
	puts  map[string]int
	users map[string]map[string]any // traits, with name and email as "$name", "$email"
	fail  func(user string, nth int) (status int, retryAfter string)
}

func (v *userKeeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, escaped, ok := strings.Cut(r.URL.EscapedPath(), "/users/")
	if r.Method != http.MethodPut || !ok {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{}`))
		return
	}
	id, _ := url.PathUnescape(escaped)
	v.puts[id]++
	if v.fail != nil {
		if status, after := v.fail(id, v.all()); status != 0 {
			if after != "" {
				w.Header().Set("Retry-After", after)
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"error":"as the test says"}`))
			return
		}
	}
	var body struct {
		Name, Email *string
		Traits      map[string]any
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	u := v.users[id]
	if u == nil {
		u = map[string]any{}
		v.users[id] = u
	}
	for key, value := range body.Traits {
		if u[key] = value; value == "" {
			delete(u, key)
		}
	}
	for key, value := range map[string]*string{"$name": body.Name, "$email": body.Email} {
		if value != nil {
			u[key] = *value
		}
	}
	traits := map[string]any{}
	for key, value := range u {
		if key[0] != '$' {
			traits[key] = value
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"userID": id, "name": u["$name"], "email": u["$email"], "traits": traits})
}

func (v *userKeeper) all() int {
	n := 0
	for _, p := range v.puts {
		n += p
	}
	return n
}

func (v *userKeeper) sum() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all()
}

// trait reads what a user has.
func (v *userKeeper) trait(user, key string) any {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.users[user][key]
}

// traits reads all that a user has.
func (v *userKeeper) traits(user string) map[string]any {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.users[user])
}

// once fails the test if a user was put more than once.
func (v *userKeeper) once(t *testing.T) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for user, n := range v.puts {
		if n > 1 {
			t.Errorf("%s was put %d times", user, n)
		}
	}
}

func newUserKeeper(t *testing.T) (*userKeeper, *site) {
	t.Helper()
	t.Parallel()
	v := &userKeeper{puts: map[string]int{}, users: map[string]map[string]any{}}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	s := newSiteWith(t, siteOptions{
		vendors: services.Vendors{LogRocketURL: v.URL, LogRocketAppURL: v.URL, Timeout: 5 * time.Second}, now: time.Now, bulk: services.BulkOptions{Pause: time.Microsecond},
	})
	if _, problems, err := s.services.Connections.Add(t.Context(), services.CommandLine(s.org.ID), services.ConnectionForm{
		Vendor: services.LogRocket, Name: "Web app", Key: services.NewSecret("acme:web:key"),
	}); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	return v, s
}

// upload sends a file as a browser does.
func (b *browser) upload(path, token, name string, file []byte) answer {
	b.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for field, value := range map[string]string{"token": token, "connection": "1"} {
		if err := w.WriteField(field, value); err != nil {
			b.t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", name)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := part.Write(file); err != nil {
		b.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.t.Fatal(err)
	}
	return b.do(http.MethodPost, path, body.String(), "Content-Type", w.FormDataContentType())
}

const bulkAt = "/o/acme/traits/bulk"

// uploaded uploads a file and returns the bulk edit's page.
func (b *browser) uploaded(file []byte) string {
	b.t.Helper()
	a := b.upload(bulkAt, services.NewFormToken(), "plans.csv", file)
	a.wants(b.t, http.StatusSeeOther)
	return a.location
}

// planned sends the form of the columns, prefilled but for the pairs, and waits
// for the dry run.
func (b *browser) planned(page string, pairs ...string) answer {
	b.t.Helper()
	form := b.get(page+"/columns").fields(b.t, page+"/columns")
	form.Set("step", "plan")
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	b.send(page+"/columns", form).wants(b.t, http.StatusSeeOther)
	return b.until(page, "Nothing has been sent yet.")
}
