package graphql

import (
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"
)

// lineWidth is how long a line with arguments may become before each argument
// has a line of its own.
const lineWidth = 88

// Format lays a document out: a field a line, two spaces a level, at most one
// empty line between fields. Comments stay, and so do strings as they were
// written. A document that cannot be read is returned with what is wrong.
func Format(text string) (string, []Problem) {
	if _, problems := Parse(text); len(problems) > 0 {
		return text, problems
	}
	words := piecesOf(text)
	p := printer{pieces: words}
	out := p.print()
	if !sameWords(words, piecesOf(out)) { // nothing is changed rather than anything meant
		return text, nil
	}
	return out, nil
}

// piece is a token with what a layout needs to know of it.
type piece struct {
	kind      lexer.Type
	raw       string // as it was written
	value     string
	line, end int // the lines of its first and last character, from 1
}

// piecesOf reads a text that was read before, comments included.
func piecesOf(text string) []piece {
	text = strings.TrimPrefix(text, "\ufeff")
	lines, runes := lineStartsOf(text), []rune(text)
	lex := lexer.New(&ast.Source{Input: text})
	var out []piece
	for {
		t, err := lex.ReadToken()
		if err != nil || t.Kind == lexer.EOF {
			return out
		}
		end := min(max(t.Pos.End, t.Pos.Start), len(runes))
		p := piece{kind: t.Kind, value: t.Value, raw: strings.TrimRight(string(runes[t.Pos.Start:end]), " \t\r\n"), line: lines.place(t.Pos.Start).Line}
		p.end = p.line + strings.Count(p.raw, "\n")
		switch t.Kind {
		case lexer.Comment:
		case lexer.String, lexer.BlockString:
			// Where the reader and its own places disagree, the value counts.
			lex := lexer.New(&ast.Source{Input: p.raw})
			if again, err := lex.ReadToken(); err != nil || again.Value != t.Value {
				p.raw = quoted(t.Value)
			}
		default:
			p.raw = written(t)
		}
		out = append(out, p)
	}
}

// sameWords reports whether two texts say the same, comments aside.
func sameWords(a, b []piece) bool {
	next := func(list *[]piece) (piece, bool) {
		for len(*list) > 0 {
			p := (*list)[0]
			*list = (*list)[1:]
			if p.kind != lexer.Comment {
				return p, true
			}
		}
		return piece{}, false
	}
	for {
		x, more := next(&a)
		y, also := next(&b)
		if more != also || x.value != y.value || x.kind != y.kind && y.kind != lexer.String {
			return false
		}
		if !more {
			return true
		}
	}
}

// printer lays pieces out.
type printer struct {
	pieces []piece
	at     int
	depth  int
	b      strings.Builder
	column int
}

func (p *printer) write(s string) {
	p.b.WriteString(s)
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		p.column, s = 0, s[i+1:]
	}
	p.column += utf8.RuneCountInString(s)
}

func (p *printer) prev() piece {
	if p.at == 0 {
		return piece{}
	}
	return p.pieces[p.at-1]
}

// line begins a new line for a piece, with an empty one before it between
// definitions and where there was one.
func (p *printer) line(t piece) {
	before := p.prev()
	if p.at == 0 {
		return
	}
	gap := t.line-before.end > 1 && before.kind != lexer.BraceL && t.kind != lexer.BraceR
	if p.depth == 0 && before.kind == lexer.BraceR && t.kind != lexer.BraceR {
		gap = true
	}
	if gap {
		p.write("\n")
	}
	p.write("\n" + strings.Repeat("  ", p.depth))
}

func (p *printer) print() string {
	for p.at < len(p.pieces) {
		t, before := p.pieces[p.at], p.prev()
		switch t.kind {
		case lexer.Comment:
			if p.at > 0 && t.line == before.end {
				p.write(" " + t.raw)
			} else {
				p.line(t)
				p.write(t.raw)
			}
		case lexer.BraceL:
			if p.begins(t, before) {
				p.line(t)
			} else {
				p.write(" ")
			}
			p.write("{")
			p.depth++
		case lexer.BraceR:
			p.depth--
			p.line(t)
			p.write("}")
		case lexer.ParenL:
			p.group()
			continue
		default:
			if p.begins(t, before) {
				p.line(t)
			} else {
				p.write(space(before, t))
			}
			p.write(t.raw)
		}
		p.at++
	}
	return p.b.String() + "\n"
}

// begins reports whether a piece begins a definition or a selection.
func (p *printer) begins(t, before piece) bool {
	if p.at == 0 || before.kind == lexer.BraceR || before.kind == lexer.BraceL || before.kind == lexer.Comment {
		return true
	}
	if p.depth == 0 {
		return before.kind == lexer.String || before.kind == lexer.BlockString
	}
	switch t.kind {
	case lexer.Spread:
		return true
	case lexer.Name:
		ofSpread := before.raw == "on" && p.at > 1 && p.pieces[p.at-2].kind == lexer.Spread
		return before.kind != lexer.Colon && before.kind != lexer.At && before.kind != lexer.Spread && !ofSpread
	}
	return false
}

// space is what stands between two pieces of a line.
func space(before, t piece) string {
	switch {
	case t.kind == lexer.Colon, t.kind == lexer.Bang, before.kind == lexer.At, before.kind == lexer.Dollar:
		return ""
	case before.kind == lexer.Spread && t.kind == lexer.Name && t.raw != "on":
		return ""
	}
	return " "
}

// group writes what stands between a ( and its ), on one line if it fits and
// has no comment in it.
func (p *printer) group() {
	items, single := p.items()
	whole := "(" + strings.Join(items, ", ") + ")"
	if single && (p.column+utf8.RuneCountInString(whole) <= lineWidth || len(items) == 1) {
		p.write(whole)
		return
	}
	p.write("(")
	for _, item := range items {
		p.write("\n" + strings.Repeat("  ", p.depth+1) + item)
	}
	p.write("\n" + strings.Repeat("  ", p.depth) + ")")
}

// items reads the arguments or variables of a group, up to and with its ).
// single says that no comment stands among them; one that does comes before
// what it stood in.
func (p *printer) items() (items []string, single bool) {
	var open []lexer.Type
	var now strings.Builder
	var notes []string
	single = true
	flush := func() {
		items = append(items, notes...)
		if now.Len() > 0 {
			items = append(items, now.String())
		}
		notes = nil
		now.Reset()
	}
	before := p.pieces[p.at]
	open = append(open, before.kind)
	for p.at++; p.at < len(p.pieces); p.at++ {
		t := p.pieces[p.at]
		if t.kind == lexer.Comment {
			notes, single = append(notes, t.raw), false
			continue
		}
		switch t.kind {
		case lexer.ParenR, lexer.BracketR, lexer.BraceR:
			open = open[:len(open)-1]
			if len(open) == 0 {
				p.at++
				flush()
				return items, single
			}
			now.WriteString(t.raw)
			before = t
			continue
		}
		switch gap := p.between(open[len(open)-1], before, t); {
		case gap == ", " && len(open) == 1:
			held := notes
			notes = nil
			flush()
			notes = held
		default:
			now.WriteString(gap)
		}
		now.WriteString(t.raw)
		if t.kind == lexer.ParenL || t.kind == lexer.BracketL || t.kind == lexer.BraceL {
			open = append(open, t.kind)
		}
		before = t
	}
	flush()
	return items, single
}

// between is what stands between two pieces of a value, of arguments or of
// variables.
func (p *printer) between(in lexer.Type, before, t piece) string {
	opened := before.kind == lexer.ParenL || before.kind == lexer.BracketL || before.kind == lexer.BraceL
	next := piece{}
	for i := p.at + 1; i < len(p.pieces) && next.raw == ""; i++ {
		if p.pieces[i].kind != lexer.Comment {
			next = p.pieces[i]
		}
	}
	begins := t.kind == lexer.Name && next.kind == lexer.Colon && before.kind != lexer.Dollar
	switch {
	case opened, t.kind == lexer.Colon, t.kind == lexer.Bang, t.kind == lexer.ParenL, before.kind == lexer.Dollar, before.kind == lexer.At:
		return ""
	case in == lexer.BracketL, begins:
		return ", "
	case in == lexer.ParenL && t.kind == lexer.Dollar && before.kind != lexer.Colon && before.kind != lexer.String && before.kind != lexer.BlockString:
		return ", "
	}
	return " "
}
