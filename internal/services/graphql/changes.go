package graphql

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// Change is one difference between two schemas.
type Change struct {
	// Kind is "added", "removed" or "changed".
	Kind string `json:"kind"`
	// Where is the type, or the type and the field: "User.email".
	Where string `json:"where"`
	// What says the rest in words.
	What string `json:"what"`
	// Breaks says that a query which ran before may not run any more.
	Breaks bool `json:"breaks,omitempty"`
}

// Changes lists what is different in now, by where, at most limit, and says how
// many there are in all.
func Changes(before, now *Schema, limit int) (out []Change, total int) {
	c := &changes{}
	a, b := before.ast.Types, now.ast.Types
	names := map[string]bool{}
	for _, n := range append(before.TypeNames(), now.TypeNames()...) {
		names[n] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		switch x, y := a[name], b[name]; {
		case x == nil:
			c.add("added", name, "New type ("+kindWord(y)+").", false)
		case y == nil:
			c.add("removed", name, "The type is gone.", true)
		case x.Kind != y.Kind:
			c.add("changed", name, fmt.Sprintf("Was %s, is %s.", kindWord(x), kindWord(y)), true)
		default:
			c.types(x, y)
		}
	}
	return c.list[:min(len(c.list), limit)], len(c.list)
}

func kindWord(d *ast.Definition) string {
	return strings.ToLower(strings.ReplaceAll(string(d.Kind), "_", " "))
}

type changes struct{ list []Change }

func (c *changes) add(kind, where, what string, breaks bool) {
	c.list = append(c.list, Change{kind, where, what, breaks})
}

func (c *changes) types(x, y *ast.Definition) {
	input := y.Kind == ast.InputObject
	for _, f := range x.Fields {
		if y.Fields.ForName(f.Name) == nil {
			c.add("removed", x.Name+"."+f.Name, "The field is gone.", true)
		}
	}
	for _, f := range y.Fields {
		where := y.Name + "." + f.Name
		was := x.Fields.ForName(f.Name)
		if was == nil {
			must := input && f.Type.NonNull && f.DefaultValue == nil
			c.add("added", where, "New field of the type "+shown(f.Type)+".", must)
			continue
		}
		if was.Type.String() != f.Type.String() {
			c.add("changed", where, fmt.Sprintf("Its type was %s, is %s.", shown(was.Type), shown(f.Type)), true)
		}
		c.deprecation(where, was.Directives, f.Directives)
		c.arguments(where, was.Arguments, f.Arguments)
	}
	c.words(y.Name, "value", x.EnumValues, y.EnumValues)
	c.names(y.Name, "It implements %s now.", "It does not implement %s any more.", x.Interfaces, y.Interfaces)
	c.names(y.Name, "It may be %s now.", "It cannot be %s any more.", x.Types, y.Types)
}

func (c *changes) arguments(where string, x, y ast.ArgumentDefinitionList) {
	for _, a := range x {
		if y.ForName(a.Name) == nil {
			c.add("removed", where, fmt.Sprintf("The argument %s is gone.", a.Name), true)
		}
	}
	for _, a := range y {
		was := x.ForName(a.Name)
		switch must := a.Type.NonNull && a.DefaultValue == nil; {
		case was == nil:
			c.add("added", where, fmt.Sprintf("New argument %s of the type %s.", a.Name, shown(a.Type)), must)
		case was.Type.String() != a.Type.String():
			c.add("changed", where, fmt.Sprintf("The argument %s was of the type %s, is %s.", a.Name, shown(was.Type), shown(a.Type)), true)
		case was.DefaultValue.String() != a.DefaultValue.String():
			c.add("changed", where, fmt.Sprintf("The argument %s has another default.", a.Name), must)
		}
	}
}

func (c *changes) words(name, what string, x, y ast.EnumValueList) {
	for _, e := range x {
		if y.ForName(e.Name) == nil {
			c.add("removed", name+"."+e.Name, "The "+what+" is gone.", true)
		}
	}
	for _, e := range y {
		was := x.ForName(e.Name)
		if was == nil {
			c.add("added", name+"."+e.Name, "New "+what+".", false)
			continue
		}
		c.deprecation(name+"."+e.Name, was.Directives, e.Directives)
	}
}

func (c *changes) deprecation(where string, x, y ast.DirectiveList) {
	was, _ := deprecation(x)
	is, reason := deprecation(y)
	switch {
	case is && !was:
		c.add("changed", where, strings.TrimSpace("Deprecated now. "+reason), false)
	case was && !is:
		c.add("changed", where, "Not deprecated any more.", false)
	}
}

func (c *changes) names(where, added, removed string, x, y []string) {
	for _, n := range x {
		if !slices.Contains(y, n) {
			c.add("changed", where, fmt.Sprintf(removed, n), true)
		}
	}
	for _, n := range y {
		if !slices.Contains(x, n) {
			c.add("changed", where, fmt.Sprintf(added, n), false)
		}
	}
}
