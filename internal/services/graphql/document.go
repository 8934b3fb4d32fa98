// Package graphql reads GraphQL on both sides of a server that nobody here has
// seen before: what a person wants to ask, before it leaves, and what came
// back. It knows no vendor, no database and no network.
package graphql

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
)

// Limits of a document.
const (
	// MaxDocument is the most bytes of one.
	MaxDocument = 64 << 10
	// MaxTokens is the most words and signs of one.
	MaxTokens = 8000
	// MaxDepth is how deep fields may stand in each other, fragments followed.
	MaxDepth = 25
	// MaxFields is how many fields an operation may ask for, fragments followed
	// each time they are named: a few lines can stand for billions. Comparing as
	// many of one name with each other takes half a second.
	MaxFields = 3000
	// maxProblems is how many problems are told at once.
	maxProblems = 20
)

// Place is where something stands in a document, counted from 1 in characters.
// The zero Place is nowhere.
type Place struct{ Line, Column int }

// Problem is what is wrong with a document, with the place if it has one. Text
// is a sentence for a person; it may quote the document and the schema.
type Problem struct {
	Place
	Text string
}

// Kind is what an operation does.
type Kind string

// The kinds of operations.
const (
	Query        Kind = "query"
	Mutation     Kind = "mutation"
	Subscription Kind = "subscription"
)

// Document is GraphQL that could be read.
type Document struct {
	doc *ast.QueryDocument
	// parts are the definitions in their order, operations and fragments mixed.
	parts []part
}

// Operation is one of a document's operations.
type Operation struct {
	// Name is empty if it has none.
	Name string
	Kind Kind
	Place
	Variables []Variable

	def  *ast.OperationDefinition
	part int
}

// Variable is a variable of an operation.
type Variable struct {
	Name string
	// Type is as the document writes it, such as [String!]!.
	Type string
	// Default is as the document writes it; HasDefault tells none from an empty one.
	Default    string
	HasDefault bool
	// Required says that a value must be given.
	Required bool
	Place

	typ *ast.Type
}

// Parse reads a document. If it cannot be read, or is larger than the limits,
// it returns what is wrong instead, at least one problem.
func Parse(text string) (*Document, []Problem) {
	text = strings.TrimPrefix(text, "\ufeff")
	switch {
	case strings.TrimSpace(text) == "":
		return nil, []Problem{{Text: "There is no query yet. Write one, such as { __typename }."}}
	case len(text) > MaxDocument:
		return nil, []Problem{{Text: fmt.Sprintf("The query is too long: %d bytes, and %d are the most.", len(text), MaxDocument)}}
	case !utf8.ValidString(text):
		return nil, []Problem{{Text: "The query is not text in UTF-8."}}
	}
	tokens, problem := scan(text) // first, because it says best what a character is wrong for
	if problem != nil {
		return nil, []Problem{*problem}
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, MaxTokens)
	if err != nil {
		return nil, problemsOf(err)
	}
	parts, problem := split(tokens)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	d := &Document{doc: doc, parts: parts}
	if problems := d.check(); len(problems) > 0 {
		return nil, problems
	}
	return d, nil
}

// problemsOf takes what the parser or the validator says apart.
func problemsOf(err error) []Problem {
	var all gqlerror.List
	var single *gqlerror.Error
	switch {
	case errors.As(err, &single):
		all = gqlerror.List{single}
	case errors.As(err, &all):
	default:
		return []Problem{{Text: "The query cannot be read."}}
	}
	var out []Problem
	for _, e := range all {
		p := Problem{Text: e.Message}
		if len(e.Locations) > 0 {
			p.Place = Place{e.Locations[0].Line, e.Locations[0].Column}
		}
		if out = append(out, p); len(out) == maxProblems {
			break
		}
	}
	return out
}

// check finds what no server accepts and what would make the rest here unsafe:
// names given twice, fragments that are missing or stand in themselves, and
// operations that are too large.
func (d *Document) check() []Problem {
	if len(d.doc.Operations) == 0 {
		return []Problem{{Text: "There are only fragments and no operation to run."}}
	}
	if len(d.doc.Operations)+len(d.doc.Fragments) != len(d.parts) {
		return []Problem{{Text: "The query cannot be taken apart into its operations and fragments."}}
	}
	seen := map[string]bool{}
	for _, o := range d.doc.Operations {
		if o.Name == "" && len(d.doc.Operations) > 1 {
			return []Problem{{placeOf(o.Position), "Give every operation a name, because there are several."}}
		}
		if seen[o.Name] {
			return []Problem{{placeOf(o.Position), fmt.Sprintf("There are two operations with the name “%s”.", o.Name)}}
		}
		seen[o.Name] = true
	}
	clear(seen)
	for _, f := range d.doc.Fragments {
		if seen[f.Name] {
			return []Problem{{placeOf(f.Position), fmt.Sprintf("There are two fragments with the name “%s”.", f.Name)}}
		}
		seen[f.Name] = true
	}
	m := measure{doc: d.doc, known: map[string]size{}, open: map[string]bool{}}
	for _, f := range d.doc.Fragments {
		m.fragment(f.Name, f.Position)
	}
	for _, o := range d.doc.Operations {
		s := m.selections(o.SelectionSet)
		switch {
		case m.problem != nil:
		case s.depth > MaxDepth:
			return []Problem{{placeOf(o.Position), fmt.Sprintf("Fields stand %d deep in each other here, and %d is the most.", s.depth, MaxDepth)}}
		case s.fields > MaxFields:
			return []Problem{{placeOf(o.Position), fmt.Sprintf("This asks for more than %d fields, counting those of a fragment each time it is named.", MaxFields)}}
		}
	}
	if m.problem != nil {
		return []Problem{*m.problem}
	}
	return nil
}

// size is how much a selection asks for.
type size struct{ depth, fields int }

// measure adds selections up, each fragment once.
type measure struct {
	doc     *ast.QueryDocument
	known   map[string]size
	open    map[string]bool
	problem *Problem
}

func (m *measure) fail(at *ast.Position, format string, args ...any) size {
	if m.problem == nil {
		m.problem = &Problem{placeOf(at), fmt.Sprintf(format, args...)}
	}
	return size{}
}

func (m *measure) fragment(name string, at *ast.Position) size {
	if s, ok := m.known[name]; ok {
		return s
	}
	f := m.doc.Fragments.ForName(name)
	if f == nil {
		return m.fail(at, "There is no fragment “%s”.", name)
	}
	if m.open[name] {
		return m.fail(at, "The fragment “%s” stands in itself, so it never ends.", name)
	}
	m.open[name] = true
	s := m.selections(f.SelectionSet)
	delete(m.open, name)
	m.known[name] = s
	return s
}

func (m *measure) selections(set ast.SelectionSet) size {
	var out size
	for _, sel := range set {
		if m.problem != nil {
			return out
		}
		var s size
		switch sel := sel.(type) {
		case *ast.Field:
			s = m.selections(sel.SelectionSet)
			s.depth++
			s.fields++
		case *ast.InlineFragment:
			s = m.selections(sel.SelectionSet)
		case *ast.FragmentSpread:
			s = m.fragment(sel.Name, sel.Position)
		}
		out.depth = max(out.depth, s.depth)
		out.fields = min(out.fields+s.fields, MaxFields+1) // never near an overflow
	}
	return out
}

func placeOf(p *ast.Position) Place {
	if p == nil {
		return Place{}
	}
	return Place{p.Line, p.Column}
}

// Operations returns the document's operations in their order.
func (d *Document) Operations() []Operation {
	out := make([]Operation, 0, len(d.doc.Operations))
	at := 0
	for i, p := range d.parts {
		if p.fragment {
			continue
		}
		out = append(out, operationOf(d.doc.Operations[at], i))
		at++
	}
	return out
}

func operationOf(def *ast.OperationDefinition, part int) Operation {
	o := Operation{Name: def.Name, Kind: Kind(def.Operation), Place: placeOf(def.Position), def: def, part: part}
	for _, v := range def.VariableDefinitions {
		one := Variable{Name: v.Variable, Type: v.Type.String(), Place: placeOf(v.Position), typ: v.Type}
		if v.DefaultValue != nil {
			one.Default, one.HasDefault = v.DefaultValue.String(), true
		}
		one.Required = v.Type.NonNull && !one.HasDefault
		o.Variables = append(o.Variables, one)
	}
	return o
}

// Choose returns the operation of a name. Without a name it is the only one
// there is; problems say what else is missing.
func (d *Document) Choose(name string) (Operation, []Problem) {
	all := d.Operations()
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	for _, o := range all {
		if o.Name == name && name != "" {
			return o, nil
		}
	}
	if name == "" {
		return Operation{}, []Problem{{Text: "There are several operations. Choose the one to run."}}
	}
	return Operation{}, []Problem{{Text: fmt.Sprintf("There is no operation “%s” any more. Choose another one.", name)}}
}
