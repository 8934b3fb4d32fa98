package markdown

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

const testApp = "https://app.logrocket.com"

func newMarkdown(t testing.TB, app string) *Renderer {
	t.Helper()
	m, err := New(app)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// safeElements are the only ones a highlight may bring into a page, with the
// only attributes they may carry.
var safeElements = map[string][]string{
	"p": nil, "br": nil, "hr": nil, "h1": nil, "h2": nil, "h3": nil, "h4": nil, "h5": nil, "h6": nil, "strong": nil, "em": nil,
	"del": nil, "code": nil, "pre": nil, "blockquote": nil, "ul": nil, "ol": {"start"}, "li": nil,
	"table": nil, "thead": nil, "tbody": nil, "tr": nil, "th": nil, "td": nil,
	"a": {"class", "href", "rel", "target"}, "time": {"datetime", "data-local"}, "span": {"class"},
}

// checkSafe reads rendered HTML as a browser would and fails on whatever could
// do something.
func checkSafe(t *testing.T, app, src, out string) {
	t.Helper()
	want, err := url.Parse(app)
	if err != nil {
		t.Fatal(err)
	}
	z := html.NewTokenizer(strings.NewReader(out))
	for {
		tt := z.Next()
		if tt == html.ErrorToken {
			return
		}
		tok := z.Token()
		switch tt {
		case html.CommentToken, html.DoctypeToken:
			t.Fatalf("%q became %q, which holds a comment or doctype", src, out)
		case html.StartTagToken, html.SelfClosingTagToken:
			attrs, ok := safeElements[tok.Data]
			if !ok {
				t.Fatalf("%q became %q, which holds <%s>", src, out, tok.Data)
			}
			for _, a := range tok.Attr {
				if !slices.Contains(attrs, a.Key) {
					t.Fatalf("%q became %q, whose <%s> has %s", src, out, tok.Data, a.Key)
				}
				if a.Key == "href" {
					u, err := url.Parse(a.Val)
					if err != nil || u.Scheme != want.Scheme || !strings.EqualFold(u.Host, want.Host) || u.User != nil {
						t.Fatalf("%q became %q, which links to %q", src, out, a.Val)
					}
				}
			}
		}
	}
}

var hostile = []string{
	`<script>alert(1)</script>`,
	`hi <img src=x onerror=alert(1)> there`,
	`<a href="javascript:alert(1)">x</a>`,
	`[x](javascript:alert(1))`,
	`[x](JaVaScRiPt:alert(1))`,
	"[x](java\tscript:alert(1))",
	`[x](&#106;avascript:alert(1))`,
	`[x](data:text/html,<script>alert(1)</script>)`,
	`[x](vbscript:x)`,
	`[x](//evil.example/a)`,
	`[x](/o/acme/settings)`,
	`[x](?delete=1)`,
	`[x](#top)`,
	`[x](https://evil.example/)`,
	`[x](https://app.logrocket.com.evil.example/)`,
	`[x](https://app.logrocket.com@evil.example/)`,
	`[x](https://evil.example\@app.logrocket.com/)`,
	`[x](https:\\app.logrocket.com\..\evil)`,
	`[x](http://app.logrocket.com/)`,
	`[x](https://app.logrocket.com:8443/)`,
	`[x](https://user:pw@app.logrocket.com/)`,
	`[x](https://app.logrocket.com/" onmouseover="alert(1))`,
	`[x](<https://app.logrocket.com/" onmouseover="alert(1)>)`,
	`[x](https://app.logrocket.com/ "title\" onclick=alert(1)")`,
	`![x](https://evil.example/pixel.gif)`,
	`![x](https://app.logrocket.com/pixel.gif)`,
	`[![x](https://evil.example/p.gif)](https://evil.example)`,
	`<https://evil.example/>`,
	`<javascript:alert(1)>`,
	`<mail@evil.example>`,
	`https://evil.example/ www.evil.example`,
	"[x]: https://evil.example\n\n[x]",
	"```html\n<script>alert(1)</script>\n```",
	"<div\nonclick=alert(1)>\n\nx</div>",
	`<svg><style><img src=x onerror=alert(1)></style></svg>`,
	`<!-- x --><!DOCTYPE html><?php x ?><![CDATA[<b>]]>`,
	`<form action=/logout method=post><button>x</button></form>`,
	`<style>body{display:none}</style>`,
	"| a | b |\n|:-:|--:|\n| <b onclick=x>1</b> | [x](javascript:1) |",
	`[a [b](https://evil.example) c](https://app.logrocket.com/x)`,
	"# <script>\n> - 1. <iframe src=//evil.example>",
	"\x00<scr\x00ipt>alert(1)</script>",
	"\xff\xfe<b>",
	`<time datetime="x" data-local onclick=x>`,
	`&lt;script&gt;alert(1)&lt;/script&gt;`,
}

func TestHostileMarkdownShowsAsText(t *testing.T) {
	m := newMarkdown(t, testApp)
	for _, src := range hostile {
		checkSafe(t, testApp, src, m.HTML(src))
	}
	if out := m.HTML(`a <b onclick="x">word</b>`); !strings.Contains(out, "&lt;b onclick=") {
		t.Errorf("raw HTML should stand there as text, got %q", out)
	}
	if out := m.HTML(`see [the cart](https://evil.example/)`); strings.TrimSpace(out) != "<p>see the cart</p>" {
		t.Errorf("a link elsewhere should be its text, got %q", out)
	}
}

func TestMarkdownLinksIntoTheApp(t *testing.T) {
	m := newMarkdown(t, testApp)
	out := m.HTML("The user [checks out](https://app.logrocket.com/foo/bar/s/5-14de95d6-d5b8-1a62-0a3a-4858caf874b0/0?t=1715564734801&x=1).\n\n* **one**\n* two")
	for _, want := range []string{
		`href="https://app.logrocket.com/foo/bar/s/5-14de95d6-d5b8-1a62-0a3a-4858caf874b0/0?t=1715564734801&amp;x=1"`,
		`class="link"`, `rel="noreferrer noopener"`, `target="_blank"`, "checks out", "<strong>one</strong>", "<li>two</li>",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("missing %s in %s", want, out)
		}
	}
	checkSafe(t, testApp, "", out)
}

func TestMarkdownLinksOverHTTPOnlyNextDoor(t *testing.T) {
	m := newMarkdown(t, "http://127.0.0.1:9999")
	if out := m.HTML(`[x](http://127.0.0.1:9999/a/b)`); !strings.Contains(out, `href="http://127.0.0.1:9999/a/b"`) {
		t.Errorf("a link to the stand-in was lost: %s", out)
	}
	if out := m.HTML(`[x](https://127.0.0.1:9999/a/b) [y](http://127.0.0.1:1/)`); strings.Contains(out, "href") {
		t.Errorf("another origin was linked: %s", out)
	}
	for _, bad := range []string{"http://app.logrocket.com", "http://8.8.8.8", "ftp://127.0.0.1", "app.logrocket.com", ""} {
		if _, err := New(bad); err == nil {
			t.Errorf("New(%q) should fail", bad)
		}
	}
}

// bigText is as long as a text may be, in bytes.
const bigText = maxMarkdown

func TestMarkdownTakesBoundedTime(t *testing.T) {
	m := newMarkdown(t, testApp)
	fill := func(s string) string { return strings.Repeat(s, bigText/len(s)) }
	tests := map[string]string{
		"open brackets":    fill("["),
		"brackets":         fill("[]("),
		"nested links":     fill("[a](") + fill(")"),
		"images":           fill("![["),
		"quotes":           fill(">"),
		"spaced quotes":    fill("> "),
		"quote stairs":     strings.Repeat(strings.Repeat(">", 50)+"a\n", bigText/52),
		"list":             fill("- "),
		"list stairs":      stairs(1400),
		"numbered":         fill("1. "),
		"emphasis":         fill("*a **a "),
		"emphasis lines":   fill("*a **a \n"),
		"underscores":      fill("_a "),
		"backticks":        ticks(),
		"tildes":           fill("~~a"),
		"angles":           fill("<a "),
		"comments":         fill("<!--"),
		"entities":         fill("&amp"),
		"backslashes":      fill(`\`),
		"definitions":      fill("[a]: b\n"),
		"unique refs":      references(),
		"table":            "|a|b|\n|-|-|\n" + fill("|x|y|\n"),
		"wide table":       fill("|a") + "\n" + fill("|-") + "\n",
		"rules":            fill("---\n"),
		"setext":           fill("a\n=\n"),
		"fences":           fill("```\n"),
		"newlines":         fill("\n"),
		"plain":            fill("word "),
		"paragraph lines":  fill("word\n"),
		"too long":         fill("word ") + fill("word "),
		"brackets apart":   fill("[[[[[[[[[[\n\n"),
		"digits":           fill("1"),
		"html":             fill("<b>"),
		"cdata":            fill("<![CDATA["),
		"instructions":     fill("<?"),
		"parentheses":      "[a](" + fill("("),
		"tangled emphasis": knots("*a **a ", 3),
		"tangled brackets": knots("[", 1),
		"tangled links":    knots("[a](b", 2),
		"tangled images":   knots("![a", 2),
		"tangled stars":    knots("a*", 1),
		"tangled marks":    knots("*_", 2),
		"tangled angles":   knots("<a", 1),
		"tangled ticks":    knots("`a``", 3),
		"tangled tildes":   knots("~~a ~", 3),
		"tangled lines":    knots("[\n", 1),
		"tangled cells":    knots("|a", 1),
		"deep lists":       strings.Repeat(strings.Repeat("- ", 59)+"a\n", bigText/120),
		"deep quotes":      strings.Repeat(strings.Repeat(">", 60)+"a\n\n", bigText/63),
		"link title":       "[a](b \"" + fill("\\\""),
	}
	for name, src := range tests {
		t.Run(name, func(t *testing.T) {
			// A text that took the square of its length would not end within the
			// time that a test has.
			checkSafe(t, testApp, name, m.HTML(src))
		})
	}
}

// knots repeats a piece, which holds n openers, as often as one paragraph may,
// and such paragraphs as long as a text may be.
func knots(piece string, n int) string {
	p := strings.Repeat(piece, maxOpeners/n) + "\n\n"
	return strings.Repeat(p, max(1, bigText/len(p)))
}

func stairs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "- a\n")
	}
	return b.String()
}

func ticks() string {
	var b strings.Builder
	for i := 1; b.Len() < bigText; i++ {
		b.WriteString("e" + strings.Repeat("`", i))
	}
	return b.String()
}

func references() string {
	var b strings.Builder
	for b.Len() < bigText {
		b.WriteString("[" + strings.Repeat("x", b.Len()%997) + "]: /b\n\n")
	}
	return b.String()
}

func TestMarkdownKeepsWhatPeopleWrite(t *testing.T) {
	m := newMarkdown(t, testApp)
	src := "## What happened\n\n> - a\n>   - b\n>     - c\n\n----------------------------------------------------------------------------------\n\n" +
		"1. one\n2. two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n`code` and ~~gone~~\n\n```\nfenced\n```\n"
	out := m.HTML(src)
	for _, want := range []string{"<h2>", "<blockquote>", "<hr", "<ol>", "<td>1</td>", "<code>code</code>", "<del>gone</del>", "<pre><code>fenced"} {
		if !strings.Contains(out, want) {
			t.Errorf("missing %s in %s", want, out)
		}
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, src := range hostile {
		f.Add(src)
	}
	m := newMarkdown(f, testApp)
	f.Fuzz(func(t *testing.T, src string) {
		out := m.HTML(src)
		checkSafe(t, testApp, src, out)
		checkSafe(t, testApp, src, m.Rich(out))
		// What leaves for a ticket is as safe where it is formatted again: every
		// Link that it makes there is one that the page has.
		ticket := m.Portable(out)
		again := m.HTML(ticket)
		checkSafe(t, testApp, ticket, again)
		for _, l := range append(m.Links(src), m.Links(ticket)...) {
			if u, err := url.Parse(l.URL); err != nil || !m.allowed(u) {
				t.Fatalf("%q links to %q", src, l.URL)
			}
		}
	})
}
