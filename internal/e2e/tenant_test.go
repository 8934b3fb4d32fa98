package e2e_test

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sightline/internal/services/sandbox"
)

// TestAnotherOrganizationsIdsAreNotFound walks through everything of one
// organization and tries each address and form with an id as the owner of
// another: in their own organization and in the first.
func TestAnotherOrganizationsIdsAreNotFound(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{})
	must(t, s.settings, "", "org", "create", "--name=Other", "--org=other")
	must(t, s.settings, sitePassword+"\n", "admin", "create", "--org=other", "--role=owner", "--email=stranger@example.com")
	owner := s.visitor(t, "owner")
	customer := lookUp(owner, "ada.lovelace@example.com")
	fetchSession(owner, customer)
	openTraitForm(owner, customer, "usr_ada").submit("/traits", url.Values{"new-key": {"plan"}, "new-value": {"gold"}}).submit("/traits", nil)
	owner.open("/o/acme/highlights/new?email=ada.lovelace%40example.com&customer="+customer[strings.LastIndex(customer, "/")+1:]).submit("/highlights", nil)

	pages, forms := crawl(owner, "/o/acme/", 150)
	withID := regexp.MustCompile(`/\d+(/|$)`)
	stranger := newVisitor(t, s.address)
	stranger.signIn("stranger@example.com", sitePassword)
	tried := 0
	try := func(method, path string) {
		t.Helper()
		for _, address := range []string{path, strings.Replace(path, "/o/acme/", "/o/other/", 1)} {
			if strings.HasPrefix(address, "/o/other/") && !withID.MatchString(address) {
				continue // their own page
			}
			var p page
			if method == http.MethodGet {
				p = stranger.get(address)
			} else {
				p = stranger.post(address, nil)
			}
			tried++
			if p.status != http.StatusNotFound {
				t.Errorf("a stranger's %s %s: status %d, want 404", method, address, p.status)
			}
			if strings.Contains(p.body, "Lovelace") || strings.Contains(p.body, "Shop") {
				t.Errorf("a stranger's %s %s shows what is not theirs", method, address)
			}
		}
	}
	for _, path := range pages {
		try(http.MethodGet, path)
	}
	for _, path := range forms {
		try(http.MethodPost, path)
	}
	if tried < 40 {
		t.Errorf("only %d addresses were tried: %q %q", tried, pages, forms)
	}
}

// TestForeignIdsInFormsAreNotFound names another organization's rows in the
// fields of forms, where a path cannot tell.
func TestForeignIdsInFormsAreNotFound(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{})
	must(t, s.settings, "", "org", "create", "--name=Other", "--org=other")
	must(t, s.settings, sitePassword+"\n", "admin", "create", "--org=other", "--role=owner", "--email=stranger@example.com")
	lookUp(s.visitor(t, "owner"), "ada.lovelace@example.com")
	calls := len(s.box.Calls())
	stranger := newVisitor(t, s.address)
	stranger.signIn("stranger@example.com", sitePassword)
	for _, test := range []struct {
		path string
		form url.Values
	}{
		{"lookup/ask", url.Values{"q": {"grace.hopper@example.com"}, "connection": {"1"}}},
		{"sessions/ask", url.Values{"connection": {"1"}, "from": {"2026-01-01"}, "to": {"2026-01-02"}}},
		{"highlights", url.Values{"connection": {"2"}, "by": {"email"}, "subject": {"ada.lovelace@example.com"}, "token": {"t"}, "range": {"7d"}}},
		{"highlights", url.Values{"customer": {"1"}, "by": {"email"}, "subject": {"ada.lovelace@example.com"}, "token": {"t"}, "range": {"7d"}}},
	} {
		p := stranger.post("/o/other/"+test.path, test.form)
		if p.status != http.StatusNotFound && p.status != http.StatusUnprocessableEntity {
			t.Errorf("POST %s with %v: status %d", test.path, test.form, p.status)
		}
		if strings.Contains(p.body, "Lovelace") || strings.Contains(p.body, "Shop") {
			t.Errorf("POST %s with %v shows what is not theirs", test.path, test.form)
		}
	}
	if n := len(s.box.Calls()); n != calls {
		t.Errorf("a stranger's forms made %d calls with credentials that are not theirs", n-calls)
	}
}

// crawl follows every link of an organization, up to a number of pages, and
// returns the paths of the pages and of the forms that post.
func crawl(v *visitor, from string, limit int) (pages, forms []string) {
	v.t.Helper()
	queue, seen := []string{from}, map[string]bool{from: true}
	shapes := map[string]int{}
	number := regexp.MustCompile(`\d+`)
	for len(queue) > 0 && len(pages) < limit {
		path := queue[0]
		queue = queue[1:]
		p := v.get(path)
		if p.status != http.StatusOK {
			v.t.Errorf("a link leads to %s: status %d", path, p.status)
			continue
		}
		if p.header.Get("Content-Security-Policy") == "" && strings.HasPrefix(p.header.Get("Content-Type"), "text/html") {
			v.t.Errorf("%s has no Content-Security-Policy", path)
		}
		pages = append(pages, path)
		for _, link := range p.links("/o/acme/") {
			u, err := url.Parse(link)
			if err != nil {
				v.t.Fatal(err)
			}
			// Of pages that differ only by a number, three tell enough.
			shape := number.ReplaceAllString(u.Path, "N") + "?" + strings.Join(slices.Sorted(maps.Keys(u.Query())), "&")
			if seen[u.RequestURI()] || shapes[shape] >= 3 {
				continue
			}
			seen[u.RequestURI()] = true
			shapes[shape]++
			queue = append(queue, u.RequestURI())
		}
		for _, f := range all(p.doc, "form") {
			u, err := p.url.Parse(attr(f, "action"))
			if err == nil && strings.EqualFold(attr(f, "method"), "post") && strings.HasPrefix(u.Path, "/o/") && !slices.Contains(forms, u.Path) {
				forms = append(forms, u.Path)
			}
		}
	}
	return pages, forms
}
