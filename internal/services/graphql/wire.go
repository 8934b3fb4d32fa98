package graphql

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"
)

// part is one definition of a document, as the words and signs it is made of.
type part struct {
	fragment bool
	name     string // of a fragment
	tokens   []token
}

// token is a word or sign and where it stands.
type token struct {
	kind  lexer.Type
	text  string // as it is sent
	value string
	Place
}

// word says that something must stand between the token and another word: two
// strings would be a block string, and two names one.
func (t token) word() bool {
	return t.kind == lexer.Name || t.kind == lexer.Int || t.kind == lexer.Float || t.kind == lexer.String
}

// split takes a document apart into its definitions.
func split(tokens []token) ([]part, *Problem) {
	var out []part
	var now part
	depth := 0
	for _, t := range tokens {
		now.tokens = append(now.tokens, t)
		switch t.kind {
		case lexer.BraceL, lexer.ParenL, lexer.BracketL:
			depth++
		case lexer.ParenR, lexer.BracketR:
			depth--
		case lexer.BraceR:
			if depth--; depth == 0 {
				now.head()
				out = append(out, now)
				now = part{}
			}
		}
		if depth < 0 {
			return nil, &Problem{t.Place, fmt.Sprintf("Unexpected %s: nothing is open here that it could close.", t.text)}
		}
	}
	if len(now.tokens) > 0 {
		last := now.tokens[len(now.tokens)-1]
		return nil, &Problem{last.Place, "The query ends before it is complete: a } is missing behind here."}
	}
	return out, nil
}

// head says what the part defines. A description may stand before it.
func (p *part) head() {
	for i, t := range p.tokens {
		if t.kind == lexer.String {
			continue
		}
		if p.fragment = t.kind == lexer.Name && t.value == "fragment"; p.fragment && i+1 < len(p.tokens) {
			p.name = p.tokens[i+1].value
		}
		return
	}
}

// scan reads the words and signs of a document.
func scan(text string) ([]token, *Problem) {
	lines := lineStartsOf(text)
	lex := lexer.New(&ast.Source{Input: text})
	var out []token
	for {
		t, err := lex.ReadToken()
		if err != nil {
			return nil, &problemsOf(err)[0]
		}
		if t.Kind == lexer.EOF {
			return out, nil
		}
		if t.Kind == lexer.Comment {
			continue
		}
		if len(out) == MaxTokens {
			return nil, &Problem{lines.place(t.Pos.Start), fmt.Sprintf("The query is too long: it has more than %d words and signs.", MaxTokens)}
		}
		one := token{kind: t.Kind, value: t.Value, text: written(t), Place: lines.place(t.Pos.Start)}
		if t.Kind == lexer.BlockString {
			one.kind = lexer.String
		}
		out = append(out, one)
	}
}

// written is a token as every server reads it, also those from before there
// were block strings, and escapes with braces.
func written(t lexer.Token) string {
	switch t.Kind {
	case lexer.Name, lexer.Int, lexer.Float:
		return t.Value
	case lexer.String, lexer.BlockString:
		return quoted(t.Value)
	}
	return t.Kind.String()
}

func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20, r >= 0x7f && r < 0xa0, r == 0x2028, r == 0x2029, r == 0xfeff: // the last three end lines, or vanish, for some
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// lineStarts are the places of the first characters of lines, in runes.
type lineStarts []int

func newLine(r, next rune) bool { return r == '\n' || r == '\r' && next != '\n' }

func lineStartsOf(text string) lineStarts {
	out := lineStarts{0}
	n := 0
	for i, r := range text {
		n++
		next, _ := utf8.DecodeRuneInString(text[i+utf8.RuneLen(r):])
		if newLine(r, next) {
			out = append(out, n)
		}
	}
	return out
}

func (l lineStarts) place(rune int) Place {
	lo, hi := 0, len(l)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; l[mid] <= rune {
			lo = mid
		} else {
			hi = mid
		}
	}
	return Place{lo + 1, rune - l[lo] + 1}
}

// Wire is the text to send for an operation: that operation and the fragments
// it names, and nothing else. It is put together again from what was read here,
// with plain strings and without comments, so that no server can read another
// operation in it than the one that was judged. Lines stay the same, and so do
// columns, except behind a string that had to be written otherwise: an error's
// place is the place in what the person wrote.
func (d *Document) Wire(o Operation) string {
	wanted := map[string]bool{}
	d.collect(o.def.SelectionSet, wanted)
	var b strings.Builder
	at := Place{1, 1}
	for i, p := range d.parts {
		if i != o.part && !(p.fragment && wanted[p.name]) {
			continue
		}
		tokens := p.tokens
		for len(tokens) > 0 && tokens[0].kind == lexer.String {
			tokens = tokens[1:] // a description, which is news to most servers
		}
		for k, t := range tokens {
			if k > 0 && at.Line == t.Line && (at.Column > t.Column || at.Column == t.Column && t.word() && tokens[k-1].word()) {
				b.WriteByte(' ')
				at.Column++
			}
			for ; at.Line < t.Line; at.Line++ {
				b.WriteByte('\n')
				at.Column = 1
			}
			for ; at.Column < t.Column; at.Column++ {
				b.WriteByte(' ')
			}
			b.WriteString(t.text)
			at.Column += utf8.RuneCountInString(t.text)
		}
	}
	return strings.TrimRight(b.String(), " \n")
}

// collect finds the fragments that a selection names, and those that they name.
func (d *Document) collect(set ast.SelectionSet, into map[string]bool) {
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			d.collect(sel.SelectionSet, into)
		case *ast.InlineFragment:
			d.collect(sel.SelectionSet, into)
		case *ast.FragmentSpread:
			if f := d.doc.Fragments.ForName(sel.Name); f != nil && !into[sel.Name] {
				into[sel.Name] = true
				d.collect(f.SelectionSet, into)
			}
		}
	}
}
