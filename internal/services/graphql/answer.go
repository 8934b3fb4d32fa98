package graphql

import (
	"errors"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
)

// Answer is what a server sent back.
type Answer struct {
	// Data may be nil, or null, or partial.
	Data   *Node
	Errors []AnswerError
	// More is how many errors there are beyond those.
	More int
	// Extensions may be nil.
	Extensions *Node
	// Cut says that only the beginning of the answer is there.
	Cut bool
}

// AnswerError is one error of an answer. Its texts are the server's: hostile.
type AnswerError struct {
	Message string
	// Path leads to the field, places in lists as numbers from 0.
	Path []string
	// Places are where in the query it happened: as the server says, or else where
	// the field of the path stands.
	Places []Place
	// Code is what the server calls it; may be empty.
	Code string
	// Extensions is the rest of what the server tells, as JSON; may be empty.
	Extensions string
}

// maxErrors is how many errors of an answer are read.
const maxErrors = 200

// ReadAnswer reads an answer to the operation of the document.
func ReadAnswer(d *Document, o Operation, body []byte) (Answer, error) {
	root, err := ReadNode(body)
	if err != nil {
		return Answer{}, err
	}
	if root.Kind != Object {
		return Answer{}, errors.New("the answer is no JSON object")
	}
	a := Answer{Data: root.Get("data"), Extensions: root.Get("extensions"), Cut: root.Cut}
	for i, n := range errorNodes(root.Get("errors")) {
		if i == maxErrors {
			a.More = len(root.Get("errors").Nodes) - maxErrors
			break
		}
		a.Errors = append(a.Errors, errorOf(d, o, n))
	}
	return a, nil
}

// errorNodes are the errors of an answer. Some servers send one alone, or a
// text, where the specification has a list.
func errorNodes(n *Node) []*Node {
	switch {
	case n == nil || n.Kind == Null || n.Kind == Text && n.Text == "" || n.Kind == Bool && n.Text == "false" || n.Kind == Object && len(n.Nodes) == 0:
		return nil
	case n.Kind == List:
		return n.Nodes
	}
	return []*Node{n}
}

func errorOf(d *Document, o Operation, n *Node) AnswerError {
	e := AnswerError{Message: scalarText(n.Get("message"))}
	if n.Kind == Text {
		e.Message = n.Text
	} else if e.Message == "" { // at least what there is
		e.Message = n.String()
	}
	if p := n.Get("path"); p != nil && p.Kind == List {
		for _, step := range p.Nodes {
			e.Path = append(e.Path, step.Text)
		}
	}
	if l := n.Get("locations"); l != nil && l.Kind == List {
		for _, at := range l.Nodes {
			line, lerr := strconv.Atoi(scalarText(at.Get("line")))
			column, cerr := strconv.Atoi(scalarText(at.Get("column")))
			if lerr == nil && cerr == nil && line > 0 && column > 0 {
				e.Places = append(e.Places, Place{line, column})
			}
		}
	}
	if at, ok := d.PlaceOf(o, e.Path); ok && len(e.Places) == 0 {
		e.Places = []Place{at}
	}
	if x := n.Get("extensions"); x != nil && x.Kind == Object && len(x.Nodes) > 0 {
		e.Code = scalarText(x.Get("code"))
		if text := x.String(); len(text) <= 2000 {
			e.Extensions = text
		}
	}
	return e
}

func scalarText(n *Node) string {
	if n == nil {
		return ""
	}
	return n.Text
}

// shape is what an operation asks for: the keys of its answer in their order.
type shape struct {
	keys []string
	kids map[string]*shape
	at   Place
}

// leaf says that nothing is asked for inside.
func (s *shape) leaf() bool { return s == nil || len(s.keys) == 0 }

func (s *shape) kid(key string) *shape {
	if s == nil {
		return nil
	}
	return s.kids[key]
}

func (d *Document) shapeOf(o Operation) *shape {
	s := &shape{kids: map[string]*shape{}}
	if d != nil && o.def != nil {
		d.grow(s, o.def.SelectionSet)
	}
	return s
}

// grow adds a selection. That it ends, and soon, was checked on reading.
func (d *Document) grow(s *shape, set ast.SelectionSet) {
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			kid := s.kids[sel.Alias]
			if kid == nil {
				kid = &shape{kids: map[string]*shape{}, at: placeOf(sel.Position)}
				s.kids[sel.Alias] = kid
				s.keys = append(s.keys, sel.Alias)
			}
			d.grow(kid, sel.SelectionSet)
		case *ast.InlineFragment:
			d.grow(s, sel.SelectionSet)
		case *ast.FragmentSpread:
			if f := d.doc.Fragments.ForName(sel.Name); f != nil {
				d.grow(s, f.SelectionSet)
			}
		}
	}
}

// PlaceOf finds the field that a path of an answer leads to. A path that leads
// on from there, into a value that only the server knows, ends at the field.
func (d *Document) PlaceOf(o Operation, path []string) (Place, bool) {
	s := d.shapeOf(o)
	found := false
	for _, step := range path {
		kid := s.kid(step)
		if kid == nil {
			if _, err := strconv.Atoi(step); err == nil {
				continue
			}
			break
		}
		s, found = kid, true
	}
	return s.at, found
}
