package handlers_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
	"sightline/internal/handlers"
	"sightline/internal/services"
	"sightline/internal/services/secrets"
)

// site is the whole of Sightline over a real database, in a test.
type site struct {
	dir string // of its database
	*httptest.Server
	services *services.Services
	org      services.Organization
	log      *logBuffer
	sent     *handlers.Writes
}

// logBuffer keeps what was logged.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const password = "correct horse"

// newSite starts a site with the organization acme, an owner
// owner@example.com and one member a role, named like it. The vendors are
// where v says.
func newSite(t *testing.T, v services.Vendors) *site {
	t.Helper()
	return newSiteAt(t, v, time.Now)
}

// newSiteAt is newSite with a clock of its own.
func newSiteAt(t *testing.T, v services.Vendors, now func() time.Time) *site {
	t.Helper()
	return newSiteWith(t, siteOptions{vendors: v, now: now})
}

type siteOptions struct {
	vendors services.Vendors
	now     func() time.Time
	pace    services.HighlightOptions
	bulk    services.BulkOptions
	batch   services.BatchOptions
	// webhooks says that vendors are told where to report to.
	webhooks bool
}

func newSiteWith(t *testing.T, o siteOptions) *site {
	t.Helper()
	v, now := o.vendors, o.now
	ctx := context.Background()
	file := dbtest.File(t)
	store, err := db.Open(ctx, file)
	if err != nil {
		t.Fatal(err)
	}
	box, err := services.OpenBox(ctx, store, secrets.NewMasterKey(), now())
	if err != nil {
		t.Fatal(err)
	}
	logs := &logBuffer{}
	log := slog.New(slog.NewTextHandler(logs, nil))
	s, err := services.Open(ctx, services.Options{DB: store, Box: box, Vendors: v, Highlights: o.pace, Bulk: o.bulk, Batches: o.batch, FilesDir: filepath.Join(t.TempDir(), "exports"), PasswordMemory: 64, Log: log, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(nil)
	sent := &handlers.Writes{}
	srv.Listener = handlers.Listener(handlers.CountedListener{Listener: srv.Listener, To: sent})
	srv.Config.ConnContext = handlers.ConnContext
	if o.webhooks {
		s.ReceiveWebhooks(&url.URL{Scheme: "http", Host: srv.Listener.Addr().String()})
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	h, err := handlers.New(handlers.Options{Services: s, Log: log, Now: now, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler = h
	srv.Start()
	t.Cleanup(func() {
		srv.Close()
		stop, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := s.Stop(stop); err != nil {
			t.Errorf("stop: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if _, err := s.People.FirstOwner(ctx, services.NewOwner{Email: "owner@example.com", Password: password, OrgName: "Acme"}); err != nil {
		t.Fatal(err)
	}
	org, err := s.People.Organization(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	st := &site{Server: srv, services: s, org: org, log: logs, dir: filepath.Dir(file), sent: sent}
	for _, role := range []services.Role{services.Viewer, services.Support, services.Admin} {
		st.member(t, org, role.String()+"@example.com", role)
	}
	return st
}

// member adds someone to an organization.
func (s *site) member(t *testing.T, org services.Organization, email string, role services.Role) {
	t.Helper()
	if _, err := s.services.People.AddMember(t.Context(), org.ID, services.NewOwner{Email: email, Password: password}, role); err != nil {
		t.Fatal(err)
	}
}

// browser is a person with a cookie jar who does not follow redirects.
type browser struct {
	t    *testing.T
	site *site
	c    *http.Client
}

// browser opens a browser in which nobody is signed in.
func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, site: s, c: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// as opens a browser in which the email is signed in.
func (s *site) as(t *testing.T, email string) *browser {
	t.Helper()
	b := s.browser(t)
	if a := b.post("/login", "email", email, "password", password); a.status != http.StatusSeeOther {
		t.Fatalf("sign in as %s: %d\n%s", email, a.status, a.body)
	}
	return b
}

// answer is a response, read.
type answer struct {
	status   int
	location string
	header   http.Header
	body     string
}

// get fetches a path; header pairs are added to the request.
func (b *browser) get(path string, header ...string) answer {
	b.t.Helper()
	return b.do(http.MethodGet, path, "", header...)
}

// post sends a form of name, value pairs.
func (b *browser) post(path string, pairs ...string) answer {
	b.t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return b.do(http.MethodPost, path, v.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func (b *browser) do(method, path, body string, header ...string) answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.site.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := b.c.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		b.t.Fatal(err)
	}
	page := string(text)
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		page = quoted(page)
	}
	return answer{status: res.StatusCode, location: res.Header.Get("Location"), header: res.Header, body: page}
}

// quoted puts quotes around the values of attributes that a page has without
// them, so that a test need not know which have some. Tests ask for thousands of
// pages, and regular expressions took a tenth of the package's time for this.
func quoted(page string) string {
	var out strings.Builder
	for {
		text, rest, found := strings.Cut(page, "<")
		out.WriteString(text)
		if !found {
			return out.String()
		}
		out.WriteByte('<')
		end := strings.IndexAny(rest, "<>")
		if end < 0 || rest[end] == '<' || rest[0] < 'a' || rest[0] > 'z' {
			page = rest // no tag
			continue
		}
		quoteValues(&out, rest[:end])
		page = rest[end:]
	}
}

// quoteValues is quoted for the inside of one tag.
func quoteValues(out *strings.Builder, tag string) {
	for {
		name, value, found := strings.Cut(tag, "=")
		out.WriteString(name)
		if !found {
			return
		}
		out.WriteByte('=')
		end := strings.IndexAny(value, " \t\n\f\r\"'")
		if end < 0 {
			end = len(value)
		}
		if end > 0 {
			out.WriteString(`"` + value[:end] + `"`)
		} else if strings.HasPrefix(value, `"`) || strings.HasPrefix(value, "'") {
			end = 2 + strings.IndexByte(value[1:], value[0]) // 1 without a second one
			out.WriteString(value[:end])
		}
		tag = value[end:]
	}
}

// wants fails the test unless the answer has the status and holds the texts.
func (a answer) wants(t *testing.T, status int, texts ...string) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d\n%s", a.status, status, a.body)
	}
	for _, s := range texts {
		if !strings.Contains(a.body, s) {
			t.Errorf("the page does not hold %q\n%s", s, a.body)
		}
	}
}
