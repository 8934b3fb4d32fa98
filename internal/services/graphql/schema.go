package graphql

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

// MaxTypes is the most types that a schema may have here.
const MaxTypes = 20_000

// Schema is what a server can be asked. It is never changed once it is made, and
// safe for concurrent use.
type Schema struct {
	ast *ast.Schema
	// urls are where custom scalars are specified, by name.
	urls map[string]string
}

// unknownType stands for a type that an answer does not tell: it is too deep, or
// missing. Nothing is known of it, so nothing about it is wrong.
const unknownType = "_Unknown"

// build makes a schema of an introspection. Servers answer with all kinds of
// small faults; only one without a type to begin at is refused, because nothing
// can be asked of it.
func build(raw *rawSchema) (*Schema, error) {
	if len(raw.Types) > MaxTypes {
		return nil, noSchema(Broken, "The schema has %d types, and Sightline reads %d at most.", len(raw.Types), MaxTypes)
	}
	b := builder{
		out:  &ast.Schema{Types: map[string]*ast.Definition{}, Directives: map[string]*ast.DirectiveDefinition{}, PossibleTypes: map[string][]*ast.Definition{}, Implements: map[string][]*ast.Definition{}},
		urls: map[string]string{},
	}
	if raw.Description != nil {
		b.out.Description = *raw.Description
	}
	for _, t := range raw.Types {
		if t.Name != "" && b.out.Types[t.Name] == nil {
			b.out.Types[t.Name] = b.definition(t)
		}
	}
	for _, d := range raw.Directives {
		if d.Name != "" {
			b.out.Directives[d.Name] = b.directive(d)
		}
	}
	if err := b.prelude(); err != nil {
		return nil, noSchema(Broken, "The types that every server has could not be read.")
	}
	b.complete()
	b.relate(raw)
	b.out.Query, b.out.Mutation, b.out.Subscription = b.root(raw.QueryType), b.root(raw.MutationType), b.root(raw.SubscriptionType)
	if b.out.Query == nil {
		return nil, noSchema(Broken, "The schema does not say where a query begins.")
	}
	b.enter()
	return &Schema{ast: b.out, urls: b.urls}, nil
}

type builder struct {
	out  *ast.Schema
	urls map[string]string
}

func (b *builder) root(r *rawRef) *ast.Definition {
	if r == nil {
		return nil
	}
	if def := b.out.Types[r.Name]; def != nil && def.Kind == ast.Object {
		return def
	}
	return nil
}

func (b *builder) definition(t rawType) *ast.Definition {
	def := &ast.Definition{Name: t.Name, Description: t.Description, Kind: ast.Scalar, BuiltIn: strings.HasPrefix(t.Name, "__"), Position: &ast.Position{}}
	switch kind := ast.DefinitionKind(strings.ToUpper(t.Kind)); kind {
	case ast.Object, ast.Interface:
		def.Kind = kind
		for _, f := range t.Fields {
			def.Fields = append(def.Fields, b.field(f))
		}
		for _, i := range t.Interfaces {
			if i.Name != "" && i.Name != t.Name && !slices.Contains(def.Interfaces, i.Name) {
				def.Interfaces = append(def.Interfaces, i.Name)
			}
		}
	case ast.Union:
		def.Kind = kind
		for _, p := range t.PossibleTypes {
			if p.Name != "" {
				def.Types = append(def.Types, p.Name)
			}
		}
	case ast.Enum:
		def.Kind = kind
		for _, e := range t.EnumValues {
			def.EnumValues = append(def.EnumValues, &ast.EnumValueDefinition{
				Name: e.Name, Description: e.Description, Directives: deprecated(e.IsDeprecated, e.DeprecationReason), Position: &ast.Position{},
			})
		}
	case ast.InputObject:
		def.Kind = kind
		for _, f := range t.InputFields {
			a := b.argument(f)
			def.Fields = append(def.Fields, &ast.FieldDefinition{
				Name: a.Name, Description: a.Description, Type: a.Type, DefaultValue: a.DefaultValue, Directives: a.Directives, Position: a.Position,
			})
		}
		if t.IsOneOf {
			def.Directives = append(def.Directives, &ast.Directive{Name: "oneOf", Position: &ast.Position{}})
		}
	default:
		if t.SpecifiedByURL != "" {
			b.urls[t.Name] = t.SpecifiedByURL
		}
	}
	return def
}

func (b *builder) field(f rawField) *ast.FieldDefinition {
	out := &ast.FieldDefinition{Name: f.Name, Description: f.Description, Type: typeOf(f.Type, 0), Directives: deprecated(f.IsDeprecated, f.DeprecationReason), Position: &ast.Position{}}
	for _, a := range f.Args {
		out.Arguments = append(out.Arguments, b.argument(a))
	}
	return out
}

func (b *builder) argument(a rawInput) *ast.ArgumentDefinition {
	out := &ast.ArgumentDefinition{Name: a.Name, Description: a.Description, Type: typeOf(a.Type, 0), Directives: deprecated(a.IsDeprecated, a.DeprecationReason), Position: &ast.Position{}}
	if a.DefaultValue != nil {
		out.DefaultValue = parseDefault(*a.DefaultValue)
	}
	return out
}

func (b *builder) directive(d rawDirective) *ast.DirectiveDefinition {
	out := &ast.DirectiveDefinition{Name: d.Name, Description: d.Description, IsRepeatable: d.IsRepeatable, Position: &ast.Position{Src: &ast.Source{}}}
	for _, a := range d.Args {
		out.Arguments = append(out.Arguments, b.argument(a))
	}
	for _, l := range d.Locations {
		out.Locations = append(out.Locations, ast.DirectiveLocation(l))
	}
	// Before there were locations, there were three kinds of them.
	if d.OnOperation {
		out.Locations = append(out.Locations, ast.LocationQuery, ast.LocationMutation, ast.LocationSubscription)
	}
	if d.OnFragment {
		out.Locations = append(out.Locations, ast.LocationFragmentDefinition, ast.LocationFragmentSpread, ast.LocationInlineFragment)
	}
	if d.OnField {
		out.Locations = append(out.Locations, ast.LocationField)
	}
	return out
}

func deprecated(is bool, reason string) ast.DirectiveList {
	if !is {
		return nil
	}
	return ast.DirectiveList{{Name: "deprecated", Position: &ast.Position{}, Arguments: ast.ArgumentList{{
		Name: "reason", Value: &ast.Value{Kind: ast.StringValue, Raw: reason}, Position: &ast.Position{},
	}}}}
}

// typeOf reads a type that may be wrapped. What is cut off, or wrapped without
// an end, is a type that nothing is known of.
func typeOf(r *rawRef, depth int) *ast.Type {
	if r == nil || depth > 30 {
		return ast.NamedType(unknownType, nil)
	}
	switch strings.ToUpper(r.Kind) {
	case "NON_NULL":
		t := *typeOf(r.OfType, depth+1)
		t.NonNull = true
		return &t
	case "LIST":
		return ast.ListType(typeOf(r.OfType, depth+1), nil)
	}
	if r.Name == "" {
		return ast.NamedType(unknownType, nil)
	}
	return ast.NamedType(r.Name, nil)
}

// prelude adds what every server has and some do not tell.
func (b *builder) prelude() error {
	doc, err := parser.ParseSchema(validator.Prelude)
	if err != nil {
		return err
	}
	for _, def := range doc.Definitions {
		if b.out.Types[def.Name] == nil || strings.HasPrefix(def.Name, "__") {
			b.out.Types[def.Name] = def
		}
		b.out.Types[def.Name].BuiltIn = true
	}
	for _, d := range doc.Directives {
		if b.out.Directives[d.Name] == nil && (d.Name == "skip" || d.Name == "include") {
			b.out.Directives[d.Name] = d
		}
	}
	return nil
}

// complete gives each type that is named and not described a description that
// is never wrong.
func (b *builder) complete() {
	need := map[string]bool{}
	note := func(t *ast.Type) { need[t.Name()] = true }
	notes := func(args ast.ArgumentDefinitionList) {
		for _, a := range args {
			note(a.Type)
		}
	}
	for _, def := range b.out.Types {
		for _, f := range def.Fields {
			note(f.Type)
			notes(f.Arguments)
		}
	}
	for _, d := range b.out.Directives {
		notes(d.Arguments)
	}
	for name := range need {
		if b.out.Types[name] == nil {
			b.out.Types[name] = &ast.Definition{Name: name, Kind: ast.Scalar, Position: &ast.Position{}, Description: "The server names this type, but does not describe it."}
		}
	}
}

// relate says which types stand for which: what implements an interface, and
// what is in a union.
func (b *builder) relate(raw *rawSchema) {
	add := func(abstract string, def *ast.Definition) {
		if !slices.Contains(b.out.PossibleTypes[abstract], def) {
			b.out.AddPossibleType(abstract, def)
			if of := b.out.Types[abstract]; of != def {
				b.out.AddImplements(def.Name, of)
			}
		}
	}
	for _, t := range raw.Types {
		def := b.out.Types[t.Name]
		if def == nil {
			continue
		}
		def.Interfaces = slices.DeleteFunc(def.Interfaces, func(n string) bool { return b.kind(n) != ast.Interface })
		def.Types = slices.DeleteFunc(def.Types, func(n string) bool { return b.kind(n) != ast.Object })
		switch def.Kind {
		case ast.Object:
			b.out.AddPossibleType(def.Name, def)
			for _, i := range def.Interfaces {
				add(i, def)
			}
		case ast.Interface:
			for _, i := range def.Interfaces {
				add(i, def)
			}
			// A server from before interfaces could implement others tells it here alone.
			for _, p := range t.PossibleTypes {
				if b.kind(p.Name) == ast.Object {
					add(def.Name, b.out.Types[p.Name])
				}
			}
		case ast.Union:
			for _, name := range def.Types {
				add(def.Name, b.out.Types[name])
			}
		}
	}
}

func (b *builder) kind(name string) ast.DefinitionKind {
	if def := b.out.Types[name]; def != nil {
		return def.Kind
	}
	return ""
}

// enter makes the schema itself something that can be asked for, as it can
// anywhere.
func (b *builder) enter() {
	q := *b.out.Query
	q.Fields = append(slices.Clone(q.Fields),
		&ast.FieldDefinition{Name: "__schema", Type: ast.NonNullNamedType("__Schema", nil), Position: &ast.Position{}},
		&ast.FieldDefinition{Name: "__type", Type: ast.NamedType("__Type", nil), Position: &ast.Position{}, Arguments: ast.ArgumentDefinitionList{
			{Name: "name", Type: ast.NonNullNamedType("String", nil), Position: &ast.Position{}},
		}})
	b.out.Types[q.Name] = &q
	for name, list := range b.out.PossibleTypes {
		for i, def := range list {
			if def == b.out.Query {
				b.out.PossibleTypes[name][i] = &q
			}
		}
	}
	b.out.Query = &q
}
