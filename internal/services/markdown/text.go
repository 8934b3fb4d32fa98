package markdown

import (
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/net/html"
)

// The forms in which a text leaves Sightline.
type textForm int

const (
	asMarkdown  textForm = iota // for tools that format it
	asPlain                     // addresses in brackets behind what they are of
	asWordsOnly                 // without addresses
)

// Portable writes what HTML made as Markdown that is safe elsewhere too: it
// holds the links that the page has and no others, no raw HTML and no images.
// Times are in UTC.
func (m *Renderer) Portable(sanitised string) string { return rewrite(sanitised, asMarkdown) }

// Plain writes what HTML made as plain text, each link's address in brackets
// behind it.
func (m *Renderer) Plain(sanitised string) string { return rewrite(sanitised, asPlain) }

// Words writes what HTML made as plain text without the moments and addresses
// of its links: what two texts are compared by.
func (m *Renderer) Words(sanitised string) string { return rewrite(sanitised, asWordsOnly) }

// ownTag is a time as the renderer writes it: the sanitiser lets no ">" into
// an attribute.
var ownTag = regexp.MustCompile(`</?time[^>]*>| (?:class|rel|target)="[^"<>]*"`)

// Rich takes out of what HTML made what means something on our pages alone.
func (m *Renderer) Rich(sanitised string) string { return ownTag.ReplaceAllString(sanitised, "") }

func rewrite(sanitised string, form textForm) string {
	doc, err := html.Parse(strings.NewReader(sanitised))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(textWriter{form}.blocks(doc))
}

type textWriter struct{ form textForm }

// blocks writes what stands within an element, paragraphs apart from each
// other. Elements nest no deeper than HTML lets them, see maxNesting.
func (w textWriter) blocks(parent *html.Node) string {
	var out []string
	var line strings.Builder
	flush := func() {
		if s := strings.TrimSpace(line.String()); s != "" {
			out = append(out, s)
		}
		line.Reset()
	}
	n := 0
	for c := parent.FirstChild; c != nil; c = c.NextSibling {
		block, ok := w.block(c, &n)
		if !ok {
			line.WriteString(w.inline(c))
			continue
		}
		flush()
		if block != "" {
			out = append(out, block)
		}
	}
	flush()
	sep := "\n\n"
	if parent.Type == html.ElementNode && (parent.Data == "ul" || parent.Data == "ol" || parent.Data == "li") {
		sep = "\n"
	}
	return strings.Join(out, sep)
}

// block writes an element that stands on lines of its own; false if c is none.
// item counts the items of the list that it stands in.
func (w textWriter) block(c *html.Node, item *int) (string, bool) {
	if c.Type != html.ElementNode {
		return "", false
	}
	md := w.form == asMarkdown
	switch c.Data {
	case "html", "body", "p", "ul", "ol":
		return w.blocks(c), true
	case "head":
		return "", true
	case "h1", "h2", "h3", "h4", "h5", "h6":
		if md {
			return "#### " + oneLine(w.blocks(c)), true
		}
		return oneLine(w.blocks(c)), true
	case "li":
		*item++
		mark := "- "
		if c.Parent.Data == "ol" {
			mark = fmt.Sprintf("%d. ", *item)
		}
		return mark + indent(w.blocks(c), strings.Repeat(" ", len(mark))), true
	case "blockquote":
		if text := w.blocks(c); text != "" && w.form != asWordsOnly {
			return "> " + indent(text, "> "), true
		}
		return w.blocks(c), true
	case "pre":
		text := strings.Trim(textOf(c), "\n")
		if !md {
			return text, true
		}
		fence := "```"
		for strings.Contains(text, fence) {
			fence += "`"
		}
		return fence + "\n" + text + "\n" + fence, true
	case "hr":
		return map[bool]string{true: "---", false: ""}[w.form != asWordsOnly], true
	case "table":
		return w.table(c), true
	}
	return "", false
}

func indent(s, by string) string { return strings.ReplaceAll(s, "\n", "\n"+by) }

// table writes a table row by row.
func (w textWriter) table(table *html.Node) string {
	var rows []string
	for n := range table.Descendants() {
		if n.Type != html.ElementNode || n.Data != "tr" {
			continue
		}
		var cells []string
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			if c.Type == html.ElementNode {
				cells = append(cells, oneLine(w.blocks(c)))
			}
		}
		if w.form == asMarkdown {
			rows = append(rows, "| "+strings.Join(cells, " | ")+" |")
			if len(rows) == 1 {
				rows = append(rows, strings.Repeat("| --- ", len(cells))+"|")
			}
			continue
		}
		rows = append(rows, strings.Join(cells, " · "))
	}
	return strings.Join(rows, "\n")
}

// inline writes what stands within a line.
func (w textWriter) inline(n *html.Node) string {
	if n.Type == html.TextNode {
		text := strings.ReplaceAll(n.Data, "\n", " ")
		if w.form == asMarkdown {
			return escape(text)
		}
		return text
	}
	if n.Type != html.ElementNode {
		return ""
	}
	if w.form == asWordsOnly && n.Data == "span" {
		return ""
	}
	if n.Data == "br" {
		return "\n"
	}
	if n.Data == "code" && w.form == asMarkdown {
		text := textOf(n)
		mark := "`"
		for strings.Contains(text, mark) {
			mark += "`"
		}
		if len(mark) > 1 {
			return mark + " " + text + " " + mark
		}
		return mark + text + mark
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(w.inline(c))
	}
	text := b.String()
	if n.Data == "a" && w.form != asWordsOnly {
		href := attribute(n, "href")
		switch {
		case w.form == asMarkdown && href != "":
			return "[" + text + "](" + href + ")"
		case href != "" && href != text:
			return text + " [" + href + "]"
		}
		return text
	}
	if mark := map[string]string{"strong": "**", "em": "*", "del": "~~"}[n.Data]; mark != "" && w.form == asMarkdown && strings.TrimSpace(text) != "" {
		return mark + text + mark
	}
	return text
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// textOf is all text within an element as it stands there.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

var markdownMarks = strings.NewReplacer(`\`, `\\`, "`", "\\`", `*`, `\*`, `[`, `\[`, `]`, `\]`, `<`, `\<`, `~`, `\~`, `|`, `\|`, `_`, `\_`, `&`, `&amp;`, `://`, `:\//`, `www.`, `www\.`)

// lineMark is what begins a heading, a quote or a list at the beginning of a
// line.
var lineMark = regexp.MustCompile(`^(\s*)([#>+=-]|[0-9]+[.)])`)

// escape makes of a line of text Markdown that means it and nothing else, links
// that tools make of bare addresses included.
func escape(s string) string {
	return lineMark.ReplaceAllStringFunc(markdownMarks.Replace(s), func(m string) string {
		return m[:len(m)-1] + `\` + m[len(m)-1:]
	})
}

// Escape makes of a line of text Markdown that means it and nothing else.
func (*Renderer) Escape(s string) string { return escape(s) }

// oneLine joins lines and takes double blanks away.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
