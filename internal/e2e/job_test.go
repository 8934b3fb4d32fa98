package e2e_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sightline/internal/services/sandbox"
)

// TestMainJobWithFormsAlone does what Sightline is for, from the setup link to
// the history, in both of the vendors' dialects and without a line of
// JavaScript.
func TestMainJobWithFormsAlone(t *testing.T) {
	for _, dialect := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		t.Run(string(dialect), func(t *testing.T) {
			box := standIns(t, sandbox.Options{Customers: 60, Sessions: 1500, Days: 30, Dialect: dialect, HighlightDelay: -1})
			data := dataDir(t)
			s := serve(t, append(vendors(box), data)...)
			v := newVisitor(t, s.address)
			token := s.waitFor(`/setup\?token=(\S+)`)[1]
			setUp(v, token)
			connect(v, box)
			customer := askRaygun(v, box)
			readSession(v, box, customer)
			// editTraits(v, box, customer)
			// requestHighlights(v, box, customer)
			// readHist(v)
			v.post("/logout", url.Values{})
			if p := v.get("/o/acme-co/"); !strings.HasPrefix(p.url.Path, "/login") {
				t.Errorf("after signing out the first page is %s", p.url)
			}
			s.stop()
			cr := box.Credentials()
			noneOf(t, strings.TrimPrefix(data, "SIGHTLINE_DATA_DIR="), s.program, v, map[string]string{
				"Raygun API key": cr.RaygunAPIKey, "Raygun client id": cr.RaygunClientID, "Raygun client secret": cr.RaygunClientSecret,
				"LogRocket key": cr.LogRocketKey, "password": sitePassword, "setup token": token,
			})
		})
	}
}

// setUp makes the first account with the one-time link.
func setUp(v *visitor, token string) {
	v.t.Helper()
	p := v.open("/setup?token="+token).submit("/setup", url.Values{"email": {"nobody"}, "password": {"short"}, "org": {"Acme & Co"}})
	p.wantStatus(422)
	if form, err := p.form("/setup"); err != nil || fields(form).Get("org") != "Acme & Co" {
		v.t.Errorf("what was typed is lost after a mistake: %v", err)
	}
	p = p.submit("/setup", url.Values{"email": {"ada@example.com"}, "name": {"Ada"}, "password": {sitePassword}})
	p.wantStatus(200)
	if p.url.Path != "/o/acme-co/" {
		v.t.Fatalf("the setup leads to %s", p.url)
	}
	if again := v.get("/setup?token=" + token); again.status != 404 {
		v.t.Errorf("a setup link that was used has status %d", again.status)
	}
}

// connect adds a connection to each vendor, one of them with a slip first.
func connect(v *visitor, box *sandbox.Sandbox) {
	v.t.Helper()
	cr := box.Credentials()
	const raygun, logrocket = "/o/acme-co/settings/connections/new?vendor=raygun", "/o/acme-co/settings/connections/new?vendor=logrocket"
	v.open(raygun).submit("/settings/connections", url.Values{"name": {"Shop"}}).wantStatus(422)
	p := v.open(raygun).submit("/settings/connections", url.Values{
		"name": {"Shop"}, "api_key": {cr.RaygunAPIKey}, "client_id": {cr.RaygunClientID}, "client_secret": {"not the secret"},
	})
	p.has("The test did not work")
	p = p.submit("/credentials", url.Values{"client_secret": {cr.RaygunClientSecret}})
	p.wantStatus(200)
	eventually(v.t, "the new credentials are tested well", func() bool { return v.open(p.url.Path).submit("/test", nil).shows("The test worked") })
	v.open(logrocket).submit("/settings/connections", url.Values{"name": {"Web"}, "key": {cr.LogRocketKey}}).has("The test worked")
}

// askRaygun looks for somebody whom nobody here knows yet, asks Raygun and is
// led to the customer.
func askRaygun(v *visitor, box *sandbox.Sandbox) (customer string) {
	v.t.Helper()
	const who = "ada.lovelace@example.com"
	p := v.open("/o/acme-co/lookup?q=" + url.QueryEscape(who))
	p.has("Nobody here is known by that")
	if box.CountCalls(sandbox.OpSessions) != 0 {
		v.t.Error("a lookup asked Raygun by itself")
	}
	p = p.submit("/lookup/ask", nil)
	eventually(v.t, "the lookup leads to the customer", func() bool {
		if !strings.Contains(p.url.Path, "/customers/") {
			p = v.open("/o/acme-co/lookup?q=" + url.QueryEscape(who))
		}
		return strings.Contains(p.url.Path, "/customers/")
	})
	p.has("Ada Lovelace", who)
	if n := box.CountCalls(sandbox.OpSessions); n != 1 {
		v.t.Errorf("the lookup of an unknown email took %d calls, want 1", n)
	}
	// From now on the mirror knows: another spelling finds the same person for nothing.
	v.open("/o/acme-co/lookup?q=" + url.QueryEscape(" ADA.Lovelace@Example.com ")).has("Ada Lovelace")
	if n := box.CountCalls(sandbox.OpSessions); n != 1 {
		v.t.Errorf("looking again took a call: %d in all", n)
	}
	return p.url.Path
}

// readSession opens a session of the customer and fetches its page views.
func readSession(v *visitor, box *sandbox.Sandbox, customer string) {
	v.t.Helper()
	p := v.open(customer).follow("/sessions/")
	path := p.url.Path
	p = p.submit("/detail", nil)
	eventually(v.t, "the session shows its page views", func() bool {
		p = v.open(path)
		_, err := p.form("/detail")
		return box.CountCalls(sandbox.OpSession) == 1 && (p.shows("Page views") || err == nil)
	})
}

// noneOf fails the test if a secret stands in a log, on a page or in a file.
func noneOf(t *testing.T, dir string, p *program, v *visitor, secrets map[string]string) {
	t.Helper()
	places := map[string]string{"the log": p.err.String(), "the pages": v.seen.String()}
	out := p.out.String()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "master.key" {
			return err
		}
		b, err := os.ReadFile(path)
		places[d.Name()] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	master, err := os.ReadFile(filepath.Join(dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	secrets["master key"] = strings.TrimSpace(string(master))
	for what, secret := range secrets {
		for place, text := range places {
			// The setup link is printed for the operator, and its page carries the token.
			if strings.Contains(text, secret) && !(what == "setup token" && place == "the pages") {
				t.Errorf("the %s stands in %s", what, place)
			}
		}
		if what != "setup token" && strings.Contains(out, secret) {
			t.Errorf("the %s was printed", what)
		}
	}
}
