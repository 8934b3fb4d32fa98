// Package markdown turns what a model wrote over hostile input into HTML, and
// texts for elsewhere, that are safe.
package markdown

import (
	"bytes"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"sightline/internal/services/logrocket"
	"sightline/internal/services/upstream"
)

// maxMarkdown bounds what is read of one text, in bytes. A highlight has a few
// thousand.
const maxMarkdown = 1 << 20

// Renderer turns what a model wrote over hostile input into HTML that is safe
// to put into a page: two walls that do not trust each other. The renderer
// writes no element of the author's and links only into LogRocket's app; the
// sanitiser then lets only that through. It is safe for concurrent use.
type Renderer struct {
	app    *url.URL
	md     goldmark.Markdown
	policy *bluemonday.Policy
}

// New returns a renderer that links to appURL's host alone: over https,
// or over http if appURL itself is http on a loopback or private address.
func New(appURL string) (*Renderer, error) {
	u, err := url.Parse(appURL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("LogRocket's app address %q is not an address such as %s", appURL, logrocket.DefaultAppURL)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !upstream.IsInside(u.Hostname())) {
		return nil, fmt.Errorf("LogRocket's app address %q must begin with https: plain http is for loopback and private addresses", appURL)
	}
	m := &Renderer{app: u}
	m.md = goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(linkRenderer{m}, 1))),
	)
	m.policy = m.sanitiser()
	return m, nil
}

// HTML renders a text. What is not Markdown, raw HTML above all, stands there
// as the text it is; images are left out; links elsewhere become their text.
// It takes a bounded time for any input: text that nests deeper than any
// person or model would is shown unformatted.
func (m *Renderer) HTML(src string) string {
	cut := len(src) > maxMarkdown
	if cut {
		src = src[:maxMarkdown]
	}
	src = strings.ToValidUTF8(src, "\uFFFD")
	var b bytes.Buffer
	if tangled(src) || m.md.Convert([]byte(src), &b) != nil {
		b.Reset()
		b.WriteString("<pre>" + html.EscapeString(src) + "</pre>")
	}
	if cut {
		b.WriteString("<p>The text goes on, but is too long to show.</p>")
	}
	return m.policy.Sanitize(b.String())
}

// Limits of what is given to the parser. Its time grows with the square of
// these for some inputs; real texts stay far below.
const (
	maxOpeners = 4_000 // brackets, stars and the like in one paragraph
	maxNesting = 60    // quotes and lists within each other
)

// tangled reports whether a text is made to keep the parser busy.
func tangled(src string) bool {
	openers := 0
	for line := range strings.Lines(src) {
		body := strings.TrimSpace(line)
		if body == "" {
			openers = 0
			continue
		}
		for i := range len(body) {
			switch body[i] {
			case '[', ']', '*', '_', '~', '`', '<', '!', '(', '&', '|', '\\':
				openers++
			}
		}
		if openers > maxOpeners || nesting(line) > maxNesting {
			return true
		}
	}
	return false
}

// nesting counts how deep a line may stand in quotes and lists: their marks at
// its beginning, or the indentation that keeps it within those above.
func nesting(line string) int {
	marks, blanks := 0, 0
	for i := range len(line) {
		switch c := line[i]; {
		case c == '>':
			marks++
		case c == '-' || c == '+' || c == '*' || c == '.' || c == ')':
			// A list's mark only before a blank: "-----" is a rule.
			if i+1 < len(line) && (line[i+1] == ' ' || line[i+1] == '\t') {
				marks++
			}
		case c == ' ':
			blanks++
		case c == '\t':
			blanks += 4
		case c < '0' || c > '9':
			return marks + blanks/4
		}
	}
	return marks + blanks/4
}

// escapedURL is where a link leads as an address is written.
func escapedURL(n *ast.Link) string { return string(util.URLEscape(n.Destination, true)) }

// Link returns an address as it may stand in a page, or false if it may not.
func (m *Renderer) Link(address string) (*url.URL, bool) {
	u, err := url.Parse(address)
	if err != nil || !m.allowed(u) {
		return nil, false
	}
	return u, true
}

func (m *Renderer) allowed(u *url.URL) bool {
	return u.Scheme == m.app.Scheme && strings.EqualFold(u.Host, m.app.Host) && u.User == nil && u.Opaque == ""
}

// sanitiser is the second wall: it knows nothing of the first.
func (m *Renderer) sanitiser() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li",
		"table", "thead", "tbody", "tr", "th", "td")
	p.AllowAttrs("start").Matching(regexp.MustCompile(`^[0-9]{1,9}$`)).OnElements("ol")
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^link$`)).OnElements("a")
	p.AllowAttrs("datetime").Matching(regexp.MustCompile(`^[0-9TZ:.-]{1,40}$`)).OnElements("time")
	p.AllowAttrs("data-local").Matching(regexp.MustCompile(`^$`)).OnElements("time")
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^moment$`)).OnElements("span")
	p.RequireParseableURLs(true)
	p.AllowURLSchemeWithCustomPolicy(m.app.Scheme, m.allowed)
	p.RequireNoFollowOnLinks(false)
	p.RequireNoReferrerOnLinks(true)
	p.AddTargetBlankToFullyQualifiedLinks(true)
	return p
}

// linkRenderer writes the nodes through which an author could reach out of the
// text: links, addresses, images and HTML.
type linkRenderer struct{ m *Renderer }

// RegisterFuncs takes those nodes over from goldmark's own renderer.
func (r linkRenderer) RegisterFuncs(reg renderer.NodeRendererFuncRegisterer) {
	reg.Register(ast.KindLink, r.link)
	reg.Register(ast.KindAutoLink, r.autoLink)
	reg.Register(ast.KindImage, r.image)
	reg.Register(ast.KindRawHTML, r.rawHTML)
	reg.Register(ast.KindHTMLBlock, r.htmlBlock)
}

func (r linkRenderer) link(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*ast.Link)
	u, ok := r.m.Link(escapedURL(n))
	if !ok {
		return ast.WalkContinue, nil // the children are its text
	}
	if !entering {
		_, _ = w.WriteString("</a>")
		writeMoment(w, u)
		return ast.WalkContinue, nil
	}
	_, _ = fmt.Fprintf(w, `<a class="link" href="%s">`, html.EscapeString(u.String()))
	return ast.WalkContinue, nil
}

// writeMoment writes behind a link which moment of a recording it leads to: in
// UTC here, in the reader's own time once JavaScript runs, and how far into the
// recording that is, where its id tells when it began.
func writeMoment(w util.BufWriter, u *url.URL) {
	l := readLink(u)
	if l.At.IsZero() {
		return
	}
	_, _ = fmt.Fprintf(w, `<span class="moment"> (<time datetime="%s" data-local="">%s</time>`, l.At.Format(time.RFC3339), l.At.Format("2 Jan, 15:04:05 UTC"))
	if o := l.OffsetText(); o != "" {
		_, _ = w.WriteString(", " + o)
	}
	_, _ = w.WriteString(")</span>")
}

func (r linkRenderer) autoLink(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	n := node.(*ast.AutoLink)
	label := html.EscapeString(string(n.Label(source)))
	u, ok := r.m.Link(string(n.URL(source)))
	if !ok || n.AutoLinkType != ast.AutoLinkURL {
		_, _ = w.WriteString(label)
		return ast.WalkContinue, nil
	}
	_, _ = fmt.Fprintf(w, `<a class="link" href="%s">%s</a>`, html.EscapeString(u.String()), label)
	writeMoment(w, u)
	return ast.WalkContinue, nil
}

func (r linkRenderer) image(_ util.BufWriter, _ []byte, _ ast.Node, _ bool) (ast.WalkStatus, error) {
	return ast.WalkSkipChildren, nil
}

func (r linkRenderer) rawHTML(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		writeText(w, source, node.(*ast.RawHTML).Segments)
	}
	return ast.WalkSkipChildren, nil
}

func (r linkRenderer) htmlBlock(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		_, _ = w.WriteString("</p>\n")
		return ast.WalkContinue, nil
	}
	n := node.(*ast.HTMLBlock)
	_, _ = w.WriteString("<p>")
	writeText(w, source, n.Lines())
	if n.HasClosure() {
		_, _ = w.WriteString(html.EscapeString(string(n.ClosureLine.Value(source))))
	}
	return ast.WalkContinue, nil
}

// writeText writes HTML as the text it is.
func writeText(w util.BufWriter, source []byte, segments *text.Segments) {
	for i := range segments.Len() {
		s := segments.At(i)
		_, _ = w.WriteString(html.EscapeString(string(s.Value(source))))
	}
}
