package graphql

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"
)

// Insert adds the field of a type to a document, where fields of that type are
// asked for already or else along the shortest way from where its operation
// begins, and lays the document out. Arguments that must be given get an empty
// value of their type, and a field that is an object a few of its own. An empty
// document becomes a new one. operation is the one to add to, empty for the
// first. at is the byte offset of the new field in the text that is returned. On
// a problem the text is what was given.
func (s *Schema) Insert(text, operation, typeName, field string) (out string, at int, problem string) {
	def := s.ast.Types[typeName]
	if def == nil || def.Fields.ForName(field) == nil || def.Kind == ast.InputObject || strings.HasPrefix(field, "__") {
		return text, 0, fmt.Sprintf("The schema has no field %s.%s any more.", typeName, field)
	}
	kind, root := Query, s.ast.Query
	if s.ast.Mutation == def {
		kind, root = Mutation, def
	} else if s.ast.Subscription == def {
		kind, root = Subscription, def
	}
	step, ok := s.way(root.Name, typeName)
	if !ok {
		return text, 0, fmt.Sprintf("Nothing leads from %s to %s.", root.Name, typeName)
	}
	step = append(step, hop{of: typeName, field: field})
	if strings.TrimSpace(text) == "" {
		out = string(kind) + " " + operationName(step[0].field) + " {" + s.chain(step) + "}"
		return finish(out, len(out)-len(s.chain(step))-1+s.lead(step))
	}
	d, problems := Parse(text)
	if d == nil {
		return text, 0, "Nothing can be added while the query cannot be read: " + problems[0].Text
	}
	o, ok := d.operationFor(operation, kind)
	if !ok {
		return text, 0, fmt.Sprintf("%s.%s belongs to a %s, and there is none to add it to. Begin one with: %s %s { … }", typeName, field, kind, kind, operationName(field))
	}
	f := finder{d: d, s: s, wanted: typeName, field: field, seen: map[string]bool{}}
	f.walk(o.def.SelectionSet, root.Name)
	set, rest := f.found, step[len(step)-1:]
	if set == nil {
		if set = f.abstract; set == nil {
			set, rest = follow(o.def.SelectionSet, step)
		}
	}
	part := s.chain(rest)
	lead := s.lead(rest)
	if set != nil && f.found == nil && f.abstract != nil {
		part, lead = "\n... on "+typeName+" {"+part+"}\n", lead+len("\n... on "+typeName+" {")
	}
	end := endOf(text, set)
	if end < 0 {
		return text, 0, "The place to add it to was not found."
	}
	before := strings.TrimRight(text[:end], " \t\r\n,")
	return finish(before+part+text[end:], len(before)+lead)
}

// hop is one step on a way: a field of a type, or on one of the types that it
// stands for.
type hop struct{ of, field, on string }

// finish lays out a text and finds where what stood at a byte offset went.
func finish(text string, offset int) (string, int, string) {
	before, _ := scan(text[:offset])
	out, problems := Format(text)
	if len(problems) > 0 {
		return text, offset, ""
	}
	tokens, problem := scanBytes(out)
	if problem || len(before) >= len(tokens) {
		return out, len(out), ""
	}
	return out, tokens[len(before)], ""
}

// scanBytes are the byte offsets of a text's words and signs.
func scanBytes(text string) (starts []int, failed bool) {
	lex := lexer.New(&ast.Source{Input: text})
	rune, byteAt := 0, 0
	for {
		t, err := lex.ReadToken()
		if err != nil {
			return starts, true
		}
		if t.Kind == lexer.EOF {
			return starts, false
		}
		for rune < t.Pos.Start && byteAt < len(text) {
			_, n := utf8.DecodeRuneInString(text[byteAt:])
			byteAt += n
			rune++
		}
		if t.Kind != lexer.Comment {
			starts = append(starts, byteAt)
		}
	}
}

func operationName(field string) string {
	return strings.ToUpper(field[:1]) + field[1:]
}

// operationFor is the operation of a name if it is of the kind, or else the
// first that is.
func (d *Document) operationFor(name string, kind Kind) (Operation, bool) {
	all := d.Operations()
	if i := slices.IndexFunc(all, func(o Operation) bool { return o.Name == name && name != "" && o.Kind == kind }); i >= 0 {
		return all[i], true
	}
	if i := slices.IndexFunc(all, func(o Operation) bool { return o.Kind == kind }); i >= 0 {
		return all[i], true
	}
	return Operation{}, false
}

// way is the shortest way between two types, without arguments that must be
// given and without what is deprecated if there is such a way.
func (s *Schema) way(from, to string) ([]hop, bool) {
	for _, strict := range []bool{true, false} {
		known := map[string][]hop{from: {}}
		for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
			at := queue[0]
			if at == to {
				return slices.Clone(known[at]), true
			}
			reach := func(next string, h hop) {
				if def := s.ast.Types[next]; known[next] == nil && def != nil && def.IsCompositeType() {
					known[next] = append(slices.Clone(known[at]), h)
					queue = append(queue, next)
				}
			}
			for _, f := range s.ast.Types[at].Fields {
				gone, _ := deprecation(f.Directives)
				if strings.HasPrefix(f.Name, "__") || strict && (gone || len(needed(f)) > 0) {
					continue
				}
				reach(f.Type.Name(), hop{of: at, field: f.Name})
			}
			if s.ast.Types[at].IsAbstractType() {
				for _, def := range s.ast.PossibleTypes[at] {
					reach(def.Name, hop{of: at, on: def.Name})
				}
			}
		}
	}
	return nil, false
}

// needed are the arguments that must be given.
func needed(f *ast.FieldDefinition) (out ast.ArgumentDefinitionList) {
	for _, a := range f.Arguments {
		if a.Type.NonNull && a.DefaultValue == nil {
			out = append(out, a)
		}
	}
	return out
}

// lead is how far into a chain its last field begins.
func (s *Schema) lead(steps []hop) (n int) {
	for _, h := range steps[:len(steps)-1] {
		n += len("\n"+s.call(h)) + len(" {")
	}
	return n + 1
}

// chain is the text of fields within each other, the last with a few of its own.
func (s *Schema) chain(steps []hop) string {
	var b strings.Builder
	for _, h := range steps[:len(steps)-1] {
		b.WriteString("\n" + s.call(h) + " {")
	}
	last := steps[len(steps)-1]
	b.WriteString("\n" + s.call(last) + s.some(s.ast.Types[last.of].Fields.ForName(last.field).Type.Name()) + "\n")
	b.WriteString(strings.Repeat("}\n", len(steps)-1))
	return b.String()
}

// call is a field with the arguments that it must have.
func (s *Schema) call(h hop) string {
	if h.on != "" {
		return "... on " + h.on
	}
	f := s.ast.Types[h.of].Fields.ForName(h.field)
	var args []string
	for _, a := range needed(f) {
		args = append(args, a.Name+": "+s.blank(a.Type, 0))
	}
	if len(args) == 0 {
		return f.Name
	}
	return f.Name + "(" + strings.Join(args, ", ") + ")"
}

// blank is an empty value of a type.
func (s *Schema) blank(t *ast.Type, depth int) string {
	def := s.ast.Types[t.Name()]
	switch {
	case t.Elem != nil:
		return "[]"
	case def == nil:
	case def.Kind == ast.Enum && len(def.EnumValues) > 0:
		return def.EnumValues[0].Name
	case def.Kind == ast.InputObject && depth < 4:
		var fields []string
		for _, f := range def.Fields {
			if f.Type.NonNull && f.DefaultValue == nil {
				fields = append(fields, f.Name+": "+s.blank(f.Type, depth+1))
			}
		}
		return "{" + strings.Join(fields, ", ") + "}"
	case def.Name == "Int" || def.Name == "Float":
		return "0"
	case def.Name == "Boolean":
		return "false"
	}
	return `""`
}

// some is a selection of a few fields that can be asked for at once, empty for
// a type that has no fields.
func (s *Schema) some(name string) string {
	def := s.ast.Types[name]
	if def == nil || !def.IsCompositeType() {
		return ""
	}
	if list := s.leaves(def, 4); len(list) > 0 {
		return " {\n" + strings.Join(list, "\n") + "\n}"
	}
	return " {\n__typename\n}"
}

// leaves are the names of the first fields of a type that are no objects and
// take nothing.
func (s *Schema) leaves(def *ast.Definition, most int) (out []string) {
	for _, f := range def.Fields {
		is, _ := deprecation(f.Directives)
		of := s.ast.Types[f.Type.Name()]
		if is || len(f.Arguments) > 0 || of == nil || !of.IsLeafType() || strings.HasPrefix(f.Name, "__") {
			continue
		}
		if out = append(out, f.Name); len(out) == most {
			break
		}
	}
	return out
}

// finder finds the selection of a type that lacks a field.
type finder struct {
	d             *Document
	s             *Schema
	wanted, field string
	seen          map[string]bool // the fragments that were looked into
	found         ast.SelectionSet
	abstract      ast.SelectionSet // of a type that the wanted one is one of
}

func (f *finder) walk(set ast.SelectionSet, of string) {
	if f.found != nil || len(set) == 0 {
		return
	}
	has := slices.ContainsFunc(set, func(sel ast.Selection) bool {
		field, ok := sel.(*ast.Field)
		return ok && field.Name == f.field
	})
	if of == f.wanted && !has {
		f.found = set
		return
	}
	if f.abstract == nil && of != f.wanted && slices.ContainsFunc(f.s.ast.PossibleTypes[of], func(d *ast.Definition) bool { return d.Name == f.wanted }) {
		f.abstract = set
	}
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			if def := f.s.ast.Types[of]; def != nil {
				if field := def.Fields.ForName(sel.Name); field != nil {
					f.walk(sel.SelectionSet, field.Type.Name())
				}
			}
		case *ast.InlineFragment:
			on := sel.TypeCondition
			if on == "" {
				on = of
			}
			f.walk(sel.SelectionSet, on)
		case *ast.FragmentSpread:
			if frag := f.d.doc.Fragments.ForName(sel.Name); frag != nil && !f.seen[sel.Name] {
				f.seen[sel.Name] = true
				f.walk(frag.SelectionSet, frag.TypeCondition)
			}
		}
	}
}

// follow goes a way as far as a selection goes it already.
func follow(set ast.SelectionSet, steps []hop) (ast.SelectionSet, []hop) {
	for _, sel := range set {
		if len(steps) == 1 {
			break
		}
		switch sel := sel.(type) {
		case *ast.Field:
			if sel.Name == steps[0].field && len(sel.SelectionSet) > 0 {
				return follow(sel.SelectionSet, steps[1:])
			}
		case *ast.InlineFragment:
			if sel.TypeCondition == steps[0].on && sel.TypeCondition != "" {
				return follow(sel.SelectionSet, steps[1:])
			}
		}
	}
	return set, steps
}

// endOf is the byte offset of the } that ends a selection, -1 if it is not
// found.
func endOf(text string, set ast.SelectionSet) int {
	if len(set) == 0 {
		return -1
	}
	from := set[len(set)-1].GetPosition()
	if from == nil {
		return -1
	}
	lex := lexer.New(&ast.Source{Input: text})
	for depth, runes := 0, []rune(text); ; {
		t, err := lex.ReadToken()
		if err != nil || t.Kind == lexer.EOF {
			return -1
		}
		if t.Pos.Start < from.Start {
			continue
		}
		switch t.Kind {
		case lexer.BraceL, lexer.BracketL, lexer.ParenL:
			depth++
		case lexer.BraceR, lexer.BracketR, lexer.ParenR:
			if depth--; depth < 0 {
				return len(string(runes[:t.Pos.Start]))
			}
		}
	}
}
