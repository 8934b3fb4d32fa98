package graphql

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// TypeDoc is what a schema says of a type.
type TypeDoc struct {
	Name        string
	Kind        string // such as "OBJECT"
	Description string
	URL         string // where a custom scalar is specified; as the server wrote it
	BuiltIn     bool
	Fields      []FieldDoc // of objects, interfaces and inputs
	Interfaces  []string
	Possible    []string // the types that an interface or a union stands for
	Values      []ValueDoc
}

// FieldDoc is a field, or an argument, of a type.
type FieldDoc struct {
	Name        string
	Type        string // as GraphQL writes it
	TypeName    string // the type inside lists
	Description string
	Args        []FieldDoc
	Default     string // as GraphQL writes it; empty for none
	// Deprecated says that it should not be used any more; Reason may be empty.
	Deprecated bool
	Reason     string
}

// ValueDoc is a value of an enum.
type ValueDoc struct {
	Name, Description string
	Deprecated        bool
	Reason            string
}

// Roots are the names of the types that queries, mutations and subscriptions
// begin at; empty for what the server does not have.
func (s *Schema) Roots() (query, mutation, subscription string) {
	name := func(d *ast.Definition) string {
		if d == nil {
			return ""
		}
		return d.Name
	}
	return name(s.ast.Query), name(s.ast.Mutation), name(s.ast.Subscription)
}

// TypeNames are the schema's types by name, without those of GraphQL itself.
func (s *Schema) TypeNames() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.ast.Types)) {
		if !s.ast.Types[name].BuiltIn && name != unknownType {
			out = append(out, name)
		}
	}
	return out
}

// Type describes a type; ok is false if there is none of that name.
func (s *Schema) Type(name string) (doc TypeDoc, ok bool) {
	def := s.ast.Types[name]
	if def == nil || name == unknownType {
		return TypeDoc{}, false
	}
	doc = TypeDoc{Name: name, Kind: string(def.Kind), Description: def.Description, URL: s.urls[name], BuiltIn: def.BuiltIn, Interfaces: def.Interfaces}
	for _, f := range def.Fields {
		if !strings.HasPrefix(f.Name, "__") {
			doc.Fields = append(doc.Fields, fieldDoc(f))
		}
	}
	for _, e := range def.EnumValues {
		is, why := deprecation(e.Directives)
		doc.Values = append(doc.Values, ValueDoc{e.Name, e.Description, is, why})
	}
	if def.IsAbstractType() {
		for _, p := range s.ast.PossibleTypes[name] {
			doc.Possible = append(doc.Possible, p.Name)
		}
		slices.Sort(doc.Possible)
	}
	return doc, true
}

func fieldDoc(f *ast.FieldDefinition) FieldDoc {
	out := FieldDoc{Name: f.Name, Type: shown(f.Type), TypeName: f.Type.Name(), Description: f.Description}
	out.Deprecated, out.Reason = deprecation(f.Directives)
	if f.DefaultValue != nil {
		out.Default = f.DefaultValue.String()
	}
	for _, a := range f.Arguments {
		arg := FieldDoc{Name: a.Name, Type: shown(a.Type), TypeName: a.Type.Name(), Description: a.Description}
		arg.Deprecated, arg.Reason = deprecation(a.Directives)
		if a.DefaultValue != nil {
			arg.Default = a.DefaultValue.String()
		}
		out.Args = append(out.Args, arg)
	}
	return out
}

func shown(t *ast.Type) string { return strings.ReplaceAll(t.String(), unknownType, "?") }

func deprecation(list ast.DirectiveList) (is bool, reason string) {
	d := list.ForName("deprecated")
	if d == nil {
		return false, ""
	}
	if a := d.Arguments.ForName("reason"); a != nil && a.Value != nil {
		reason = a.Value.Raw
	}
	return true, reason
}

// Use is where a type is used.
type Use struct {
	// Type and Field have it as their type, or take it, if Arg is not empty.
	// Without a field the type implements it or stands for it.
	Type, Field, Arg string
}

// Uses lists who uses a type, in the order of names, at most limit, and says
// whether there are more.
func (s *Schema) Uses(name string, limit int) (out []Use, more bool) {
	for _, of := range s.TypeNames() {
		def := s.ast.Types[of]
		if slices.Contains(def.Interfaces, name) || slices.Contains(def.Types, name) {
			out = append(out, Use{Type: of})
		}
		for _, f := range def.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			if f.Type.Name() == name {
				out = append(out, Use{Type: of, Field: f.Name})
			}
			for _, a := range f.Arguments {
				if a.Type.Name() == name {
					out = append(out, Use{of, f.Name, a.Name})
				}
			}
		}
		if len(out) > limit {
			return out[:limit], true
		}
	}
	return out, false
}

// Hit is what a search in a schema found: a type, or a field or value of one.
type Hit struct {
	Type, Field string
	// Shape is the field's type, or the kind of the type.
	Shape       string
	Description string
	Deprecated  bool

	rank int
}

// Search finds types, fields and enum values by a part of their name, or of
// their description, best first, at most limit: the whole name, then its
// beginning, then a part, then the description.
func (s *Schema) Search(text string, limit int) []Hit {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" {
		return nil
	}
	of, name, dotted := strings.Cut(text, ".")
	var out []Hit
	for _, t := range s.TypeNames() {
		def := s.ast.Types[t]
		if dotted && strings.ToLower(t) != of {
			continue
		}
		if !dotted {
			name = text
			if r := rank(t, def.Description, name); r > 0 {
				out = append(out, Hit{t, "", strings.ToLower(string(def.Kind)), def.Description, false, r})
			}
		}
		for _, f := range def.Fields {
			if r := rank(f.Name, f.Description, name); r > 0 && !(dotted && r == inDescription) && !strings.HasPrefix(f.Name, "__") {
				is, _ := deprecation(f.Directives)
				out = append(out, Hit{t, f.Name, shown(f.Type), f.Description, is, r})
			}
		}
		for _, e := range def.EnumValues {
			if r := rank(e.Name, e.Description, name); r > 0 && !(dotted && r == inDescription) {
				is, _ := deprecation(e.Directives)
				out = append(out, Hit{t, e.Name, t, e.Description, is, r})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(min(len(a.Field), 1), min(len(b.Field), 1)))
	})
	return out[:min(len(out), limit)]
}

// inDescription is the rank of what only the description has.
const inDescription = 4

func rank(name, description, text string) int {
	name = strings.ToLower(name)
	switch {
	case name == text:
		return 1
	case strings.HasPrefix(name, text):
		return 2
	case strings.Contains(name, text):
		return 3
	case text != "" && strings.Contains(strings.ToLower(description), text):
		return inDescription
	}
	return 0
}

// Starter is a query that can be run at once, to begin with: the first field
// that needs no argument, and a few of its fields that are no objects.
func (s *Schema) Starter() string {
	for _, f := range s.ast.Query.Fields {
		if strings.HasPrefix(f.Name, "__") || slices.ContainsFunc(f.Arguments, func(a *ast.ArgumentDefinition) bool { return a.Type.NonNull && a.DefaultValue == nil }) {
			continue
		}
		def := s.ast.Types[f.Type.Name()]
		if def.IsLeafType() {
			return "query First {\n  " + f.Name + "\n}\n"
		}
		var inner []string
		for _, g := range def.Fields {
			if is, _ := deprecation(g.Directives); is || len(g.Arguments) > 0 || !s.ast.Types[g.Type.Name()].IsLeafType() {
				continue
			}
			if inner = append(inner, "    "+g.Name); len(inner) == 6 {
				break
			}
		}
		if len(inner) == 0 {
			inner = []string{"    __typename"}
		}
		return "query First {\n  " + f.Name + " {\n" + strings.Join(inner, "\n") + "\n  }\n}\n"
	}
	return "query First {\n  __typename\n}\n"
}
