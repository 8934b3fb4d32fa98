package e2e_test

import (
	"encoding/csv"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sightline/internal/services/sandbox"
)

// TestMainJobWithFormsAlone does what Sightline is for, from the setup link to
// the history, in both of the vendors' dialects and without a line of
// JavaScript.
func TestMainJobWithFormsAlone(t *testing.T) {
	t.Parallel()
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
			editTraits(v, box, customer)
			requestHighlights(v, box, customer)
			readHistory(v)
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
		"sync": nil, // unticked: the job is about what people ask
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

// openTraitForm opens the form that edits a customer's traits, saying who they
// are to LogRocket where Sightline does not know yet.
func openTraitForm(v *visitor, customer, userID string) page {
	v.t.Helper()
	p := v.open(customer + "/traits/edit")
	if _, err := p.form("/traits/edit"); err == nil {
		p = p.submit("/traits/edit", url.Values{"user": {userID}})
		p.wantStatus(200)
	}
	return p
}

// editTraits adds traits, changes one and removes one, each sent once.
func editTraits(v *visitor, box *sandbox.Sandbox, customer string) {
	v.t.Helper()
	p := openTraitForm(v, customer, "usr_ada")
	p.submit("/traits", url.Values{"new-key": {"plan"}, "new-value": {strings.Repeat("x", 1025)}}).wantStatus(422)
	preview := p.submit("/traits", url.Values{"new-key": {"plan", "tïer"}, "new-value": {"gold <b>", "7"}})
	preview.wantStatus(200)
	preview.has("Nothing has been sent yet", "gold <b>")
	if n := box.CountCalls(sandbox.OpUpdateUser); n != 0 {
		v.t.Errorf("a preview sent %d edits", n)
	}
	const reason = "asked in ticket 4711"
	for range 2 { // the second press of the button counts for nothing
		sent := preview.submit("/traits", url.Values{"reason": {reason}})
		sent.wantStatus(200)
		eventually(v.t, "the edit is sent", func() bool {
			return v.open(sent.url.Path).shows("gold <b>") && box.CountCalls(sandbox.OpUpdateUser) == 1
		})
	}
	eventually(v.t, "the new traits are known", func() bool { return v.open(customer + "/traits").shows("tïer") })
	p = openTraitForm(v, customer, "usr_ada")
	form, err := p.form("/traits")
	if err != nil {
		v.t.Fatal(err)
	}
	values := fields(form)["known-value"]
	for i, key := range fields(form)["known-key"] {
		switch key {
		case "plan":
			values[i] = ""
		case "tïer":
			values[i] = "8"
		}
	}
	p.submit("/traits", url.Values{"known-value": values}).has("removed", "changed").submit("/traits", nil).wantStatus(200)
	eventually(v.t, "the second edit is sent", func() bool { return box.CountCalls(sandbox.OpUpdateUser) == 2 })
	eventually(v.t, "the removed trait is gone", func() bool {
		form, err := openTraitForm(v, customer, "usr_ada").form("/traits")
		return err == nil && !slices.Contains(fields(form)["known-key"], "plan")
	})
}

// requestHighlights asks for highlights and reads them when they are there.
func requestHighlights(v *visitor, box *sandbox.Sandbox, customer string) {
	v.t.Helper()
	id := customer[strings.LastIndex(customer, "/")+1:]
	form := v.open("/o/acme-co/highlights/new?email=ada.lovelace%40example.com&customer=" + id)
	var p page
	for range 2 {
		p = form.submit("/highlights", url.Values{"question": {"Why did the payment fail?"}})
		p.wantStatus(200)
	}
	path := p.url.Path
	eventually(v.t, "the highlights are there", func() bool {
		p = v.open(path)
		return len(links(p, box.LogRocketAppURL())) > 0
	})
	p.has("Why did the payment fail?")
	if n := box.CountCalls(sandbox.OpCreateHighlights); n != 1 {
		v.t.Errorf("highlights were asked for %d times, want 1", n)
	}
	v.open(customer).has("Why did the payment fail?")
}

// links are the links on the page that lead to another site.
func links(p page, site string) []string {
	var out []string
	for _, a := range all(p.doc, "a") {
		if href := attr(a, "href"); strings.HasPrefix(href, site) {
			out = append(out, href)
		}
	}
	return out
}

// readHistory finds all of it in the history, on the page and as CSV.
func readHistory(v *visitor) {
	v.t.Helper()
	want := []string{"Shop", "Web", "ticket 4711"}
	v.open("/o/acme-co/history").has(want...)
	csv := v.open("/o/acme-co/history.csv")
	if kind := csv.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/csv") {
		v.t.Errorf("the CSV's type is %q", kind)
	}
	rows, err := readCSV(csv.body)
	if err != nil || len(rows) < 8 {
		v.t.Errorf("the CSV has %d rows, %v", len(rows), err)
	}
	for _, text := range append(want, "LogRocket", "Raygun", "Ada") {
		if !strings.Contains(csv.body, text) {
			v.t.Errorf("the CSV does not tell %q", text)
		}
	}
	if t := v.t; t.Failed() {
		t.Log(tail(csv.body, 3000))
	}
}

func readCSV(text string) ([][]string, error) {
	return csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff"))).ReadAll()
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
