package graphql

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// The answer to an introspection as an editor's library takes it: complete, and
// without anything that it would stumble over.
type (
	outSchema struct {
		QueryType        outName        `json:"queryType"`
		MutationType     *outName       `json:"mutationType,omitempty"`
		SubscriptionType *outName       `json:"subscriptionType,omitempty"`
		Types            []outType      `json:"types"`
		Directives       []outDirective `json:"directives"`
	}
	outName struct {
		Name string `json:"name"`
	}
	outType struct {
		Kind          ast.DefinitionKind `json:"kind"`
		Name          string             `json:"name"`
		Description   string             `json:"description,omitempty"`
		IsOneOf       bool               `json:"isOneOf,omitempty"`
		Fields        *[]outField        `json:"fields,omitempty"`
		InputFields   *[]outInput        `json:"inputFields,omitempty"`
		Interfaces    *[]outRef          `json:"interfaces,omitempty"`
		EnumValues    *[]outValue        `json:"enumValues,omitempty"`
		PossibleTypes *[]outRef          `json:"possibleTypes,omitempty"`
	}
	outField struct {
		Name              string     `json:"name"`
		Description       string     `json:"description,omitempty"`
		Args              []outInput `json:"args"`
		Type              *outRef    `json:"type"`
		IsDeprecated      bool       `json:"isDeprecated,omitempty"`
		DeprecationReason *string    `json:"deprecationReason,omitempty"`
	}
	outInput struct {
		Name              string  `json:"name"`
		Description       string  `json:"description,omitempty"`
		Type              *outRef `json:"type"`
		DefaultValue      *string `json:"defaultValue,omitempty"`
		IsDeprecated      bool    `json:"isDeprecated,omitempty"`
		DeprecationReason *string `json:"deprecationReason,omitempty"`
	}
	outValue struct {
		Name              string  `json:"name"`
		Description       string  `json:"description,omitempty"`
		IsDeprecated      bool    `json:"isDeprecated,omitempty"`
		DeprecationReason *string `json:"deprecationReason,omitempty"`
	}
	outRef struct {
		Kind   string  `json:"kind"`
		Name   string  `json:"name,omitempty"`
		OfType *outRef `json:"ofType,omitempty"`
	}
	outDirective struct {
		Name         string                  `json:"name"`
		Description  string                  `json:"description,omitempty"`
		IsRepeatable bool                    `json:"isRepeatable,omitempty"`
		Locations    []ast.DirectiveLocation `json:"locations"`
		Args         []outInput              `json:"args"`
	}
)

// validName is what GraphQL allows as a name. Anything else cannot be asked for,
// and one such name makes an editor's library refuse the whole schema.
var validName = regexp.MustCompile(`^[_A-Za-z][_0-9A-Za-z]*$`)

// named says whether a name is one, and none of GraphQL's own.
func named(s string) bool { return validName.MatchString(s) && !strings.HasPrefix(s, "__") }

// Introspection returns the schema as the answer to an introspection, in JSON,
// without "data" around it: repaired, in the same order each time, and without
// what GraphQL itself defines or no query could name.
func (s *Schema) Introspection() ([]byte, error) {
	c := clientSchema{s.ast}
	out := outSchema{QueryType: outName{s.ast.Query.Name}, MutationType: c.root(s.ast.Mutation), SubscriptionType: c.root(s.ast.Subscription), Directives: []outDirective{}}
	if !named(s.ast.Query.Name) {
		return nil, noSchema(Broken, "The schema's queries begin at a type that has no name.")
	}
	for _, name := range slices.Sorted(maps.Keys(s.ast.Types)) {
		if named(name) && name != unknownType {
			out.Types = append(out.Types, c.definition(s.ast.Types[name]))
		}
	}
	out.Types = append(out.Types, outType{Kind: ast.Scalar, Name: unknownType})
	for _, name := range slices.Sorted(maps.Keys(s.ast.Directives)) {
		if d := s.ast.Directives[name]; named(name) {
			out.Directives = append(out.Directives, outDirective{name, d.Description, d.IsRepeatable, append([]ast.DirectiveLocation{}, d.Locations...), c.arguments(d.Arguments)})
		}
	}
	return json.Marshal(struct {
		Schema outSchema `json:"__schema"`
	}{out})
}

// clientSchema takes a schema apart again.
type clientSchema struct{ from *ast.Schema }

func (c clientSchema) root(d *ast.Definition) *outName {
	if d == nil || !named(d.Name) {
		return nil
	}
	return &outName{d.Name}
}

func (c clientSchema) definition(d *ast.Definition) outType {
	out := outType{Kind: d.Kind, Name: d.Name, Description: d.Description}
	switch d.Kind {
	case ast.Object, ast.Interface:
		fields, interfaces := []outField{}, []outRef{}
		for _, f := range d.Fields {
			if named(f.Name) {
				is, why := deprecation(f.Directives)
				fields = append(fields, outField{f.Name, f.Description, c.arguments(f.Arguments), c.ref(f.Type, false), is, reasonOf(is, why)})
			}
		}
		for _, name := range d.Interfaces {
			if named(name) {
				interfaces = append(interfaces, outRef{Kind: "INTERFACE", Name: name})
			}
		}
		out.Fields, out.Interfaces = &fields, &interfaces
	case ast.InputObject:
		fields := []outInput{}
		for _, f := range d.Fields {
			if named(f.Name) {
				fields = append(fields, c.input(f.Name, f.Description, f.Type, f.DefaultValue, f.Directives))
			}
		}
		out.InputFields, out.IsOneOf = &fields, d.Directives.ForName("oneOf") != nil
	case ast.Enum:
		values := []outValue{}
		for _, e := range d.EnumValues {
			if named(e.Name) && e.Name != "true" && e.Name != "false" && e.Name != "null" {
				is, why := deprecation(e.Directives)
				values = append(values, outValue{e.Name, e.Description, is, reasonOf(is, why)})
			}
		}
		out.EnumValues = &values
	}
	if d.IsAbstractType() {
		possible := []outRef{}
		for _, p := range c.from.PossibleTypes[d.Name] {
			if named(p.Name) && p.Kind == ast.Object {
				possible = append(possible, outRef{Kind: "OBJECT", Name: p.Name})
			}
		}
		sort.Slice(possible, func(i, j int) bool { return possible[i].Name < possible[j].Name })
		out.PossibleTypes = &possible
	}
	return out
}

func reasonOf(is bool, why string) *string {
	if !is {
		return nil
	}
	return &why
}

func (c clientSchema) arguments(list ast.ArgumentDefinitionList) []outInput {
	out := []outInput{}
	for _, a := range list {
		if named(a.Name) {
			out = append(out, c.input(a.Name, a.Description, a.Type, a.DefaultValue, a.Directives))
		}
	}
	return out
}

func (c clientSchema) input(name, description string, t *ast.Type, value *ast.Value, directives ast.DirectiveList) outInput {
	is, why := deprecation(directives)
	out := outInput{Name: name, Description: description, Type: c.ref(t, true), IsDeprecated: is, DeprecationReason: reasonOf(is, why)}
	if value != nil {
		text := literal(value)
		out.DefaultValue = &text
	}
	return out
}

// literal is a value as every reader of GraphQL takes it.
func literal(v *ast.Value) string {
	var kids []string
	switch v.Kind {
	case ast.StringValue, ast.BlockValue:
		return quoted(v.Raw)
	case ast.ListValue:
		for _, c := range v.Children {
			kids = append(kids, literal(c.Value))
		}
		return "[" + strings.Join(kids, ", ") + "]"
	case ast.ObjectValue:
		for _, c := range v.Children {
			kids = append(kids, c.Name+": "+literal(c.Value))
		}
		return "{" + strings.Join(kids, ", ") + "}"
	}
	return v.String()
}

// ref is a type as a field (or, with input, an argument) has it. What may not
// stand there is a type that nothing is known of.
func (c clientSchema) ref(t *ast.Type, input bool) *outRef {
	if t.NonNull {
		bare := *t
		bare.NonNull = false
		return &outRef{Kind: "NON_NULL", OfType: c.ref(&bare, input)}
	}
	if t.Elem != nil {
		return &outRef{Kind: "LIST", OfType: c.ref(t.Elem, input)}
	}
	def := c.from.Types[t.NamedType]
	if def == nil || !named(def.Name) || input && !def.IsInputType() || !input && def.Kind == ast.InputObject {
		return &outRef{Kind: "SCALAR", Name: unknownType}
	}
	return &outRef{Kind: string(def.Kind), Name: def.Name}
}
