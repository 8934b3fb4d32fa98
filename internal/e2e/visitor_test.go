package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// visitor is a browser without JavaScript and styles: it follows links, fills
// in the forms that are on the page and nothing else.
type visitor struct {
	t      *testing.T
	client *http.Client
	base   string
	at     *url.URL
	seen   *strings.Builder // every page, for the search for secrets
}

// page is what a visitor sees.
type page struct {
	v      *visitor
	status int
	url    *url.URL
	header http.Header
	body   string
	doc    *html.Node
}

func newVisitor(t *testing.T, base string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, base: base, client: &http.Client{Jar: jar, Timeout: patience}, seen: &strings.Builder{}}
}

func (v *visitor) do(req *http.Request) page {
	v.t.Helper()
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := v.client.Do(req)
	if err != nil {
		v.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	p := page{v: v, status: res.StatusCode, url: res.Request.URL, header: res.Header, body: readAll(v.t, res.Body)}
	v.at = p.url
	_, _ = fmt.Fprintln(v.seen, res.Header, p.body)
	if p.doc, err = html.ParseWithOptions(strings.NewReader(p.body), html.ParseOptionEnableScripting(false)); err != nil {
		v.t.Fatalf("%s: %v", p.url, err)
	}
	return p
}

// get opens an address of the site.
func (v *visitor) get(path string) page {
	v.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = v.base + path
	}
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, path, http.NoBody)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.do(req)
}

// open opens an address and expects it to be there.
func (v *visitor) open(path string) page {
	v.t.Helper()
	p := v.get(path)
	p.wantStatus(http.StatusOK)
	return p
}

// signIn fills in the sign-in form.
func (v *visitor) signIn(email, password string) page {
	v.t.Helper()
	p := v.open("/login").submit("/login", url.Values{"email": {email}, "password": {password}})
	if !strings.HasPrefix(p.url.Path, "/o/") && p.url.Path != "/" {
		v.t.Fatalf("after signing in as %s: %s\n%s", email, p.url, p.text())
	}
	return p
}

func (p page) wantStatus(want int) {
	p.v.t.Helper()
	if p.status != want {
		p.v.t.Fatalf("%s: status %d, want %d\n%s", p.url, p.status, want, tail(p.text(), 3000))
	}
}

// has fails the test unless the page shows all the texts.
func (p page) has(texts ...string) page {
	p.v.t.Helper()
	shown := p.text()
	for _, want := range texts {
		if !strings.Contains(shown, want) {
			p.v.t.Fatalf("%s does not show %q:\n%s", p.url, want, tail(shown, 4000))
		}
	}
	return p
}

// shows reports whether the page shows a text.
func (p page) shows(text string) bool { return strings.Contains(p.text(), text) }

// text is what the page shows, with single spaces.
func (p page) text() string {
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		switch {
		case n.Type == html.TextNode:
			b.WriteString(n.Data)
			b.WriteByte(' ')
		case n.Type == html.ElementNode && slices.Contains([]string{"script", "style", "template", "head"}, n.Data):
			return
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(p.doc)
	return strings.Join(strings.Fields(b.String()), " ")
}

// all finds the elements with a tag.
func all(n *html.Node, tag string) []*html.Node {
	var out []*html.Node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == tag {
			out = append(out, d)
		}
	}
	return out
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// links are the addresses on the page whose path contains a part.
func (p page) links(part string) []string {
	var out []string
	for _, a := range all(p.doc, "a") {
		if u, err := p.url.Parse(attr(a, "href")); err == nil && strings.Contains(u.Path, part) && u.Host == p.url.Host {
			out = append(out, u.String())
		}
	}
	return out
}

// follow opens the first link whose path contains a part.
func (p page) follow(part string) page {
	p.v.t.Helper()
	links := p.links(part)
	if len(links) == 0 {
		p.v.t.Fatalf("%s has no link to %q\n%s", p.url, part, tail(p.text(), 3000))
	}
	return p.v.open(links[0])
}

// form finds the form whose action ends so.
func (p page) form(action string) (*html.Node, error) {
	var have []string
	for _, f := range all(p.doc, "form") {
		u, err := p.url.Parse(attr(f, "action"))
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(u.Path, action) {
			return f, nil
		}
		have = append(have, attr(f, "method")+" "+u.Path)
	}
	return nil, fmt.Errorf("%s has no form to %q, only %q", p.url, action, have)
}

// fields are a form's values as a browser would send them untouched.
func fields(form *html.Node) url.Values {
	v := url.Values{}
	for d := range form.Descendants() {
		name := attr(d, "name")
		if d.Type != html.ElementNode || name == "" || hasAttr(d, "disabled") {
			continue
		}
		switch d.Data {
		case "input":
			switch attr(d, "type") {
			case "submit", "button", "image", "file":
			case "checkbox", "radio":
				if hasAttr(d, "checked") {
					v.Add(name, orOn(d))
				}
			default:
				v.Add(name, attr(d, "value"))
			}
		case "textarea":
			v.Add(name, textRaw(d))
		case "select":
			addSelected(v, name, d)
		}
	}
	return v
}

func orOn(n *html.Node) string {
	if hasAttr(n, "value") {
		return attr(n, "value")
	}
	return "on"
}

func textRaw(n *html.Node) string {
	if n.FirstChild == nil {
		return ""
	}
	return n.FirstChild.Data
}

func addSelected(v url.Values, name string, sel *html.Node) {
	options := all(sel, "option")
	for _, o := range options {
		if hasAttr(o, "selected") {
			v.Add(name, optionValue(o))
			return
		}
	}
	if len(options) > 0 && !hasAttr(sel, "multiple") {
		v.Add(name, optionValue(options[0]))
	}
}

func optionValue(o *html.Node) string {
	if hasAttr(o, "value") {
		return attr(o, "value")
	}
	return strings.TrimSpace(textRaw(o))
}

// has reports whether a form has a control of a name.
func has(form *html.Node, name string) bool {
	for d := range form.Descendants() {
		if d.Type == html.ElementNode && attr(d, "name") == name {
			return true
		}
	}
	return false
}

// submit sends the form whose action ends so, with some values changed. A
// value whose field is not on the form fails the test: a person could not
// type it. The form's first button with a name is the one pressed, unless
// values name another.
func (p page) submit(action string, values url.Values) page {
	p.v.t.Helper()
	form, err := p.form(action)
	if err != nil {
		p.v.t.Fatalf("%v\n%s", err, tail(p.text(), 3000))
	}
	data := fields(form)
	for name, v := range values {
		if !has(form, name) {
			p.v.t.Fatalf("the form %q on %s has no field %q", action, p.url, name)
		}
		data[name] = v
	}
	for _, b := range all(form, "button") {
		if name := attr(b, "name"); name != "" && attr(b, "type") != "button" {
			if data.Get(name) == "" {
				data.Set(name, attr(b, "value"))
			}
			break
		}
	}
	target, err := p.url.Parse(attr(form, "action"))
	if err != nil {
		p.v.t.Fatalf("the action of %q: %v", action, err)
	}
	if !strings.EqualFold(attr(form, "method"), "post") {
		target.RawQuery = data.Encode()
		return p.v.get(target.String())
	}
	return p.v.post(target.String(), data)
}

// post sends a form.
func (v *visitor) post(address string, data url.Values) page {
	v.t.Helper()
	if !strings.HasPrefix(address, "http") {
		address = v.base + address
	}
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, address, strings.NewReader(data.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(req)
}
