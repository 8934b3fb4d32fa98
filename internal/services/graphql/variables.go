package graphql

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// MaxVariables is the most bytes of an operation's variables.
const MaxVariables = 64 << 10

// ReadVariables reads variables as a person writes them: one JSON object, or
// nothing at all. Numbers keep the digits that they were written with.
func ReadVariables(text string) (map[string]any, *Problem) {
	if strings.TrimSpace(text) == "" {
		return map[string]any{}, nil
	}
	if len(text) > MaxVariables {
		return nil, &Problem{Text: fmt.Sprintf("The variables are too long: %d bytes, and %d are the most.", len(text), MaxVariables)}
	}
	v, err := readJSON([]byte(text))
	if err != nil {
		at := Place{}
		var syntax *json.SyntaxError
		switch {
		case errors.As(err, &syntax):
			at = placeIn(text, int(syntax.Offset))
		case errors.Is(err, io.ErrUnexpectedEOF):
			at = placeIn(text, len(text))
		}
		return nil, &Problem{at, "The variables are not JSON. Write an object such as {\"first\": 10}, with names in double quotes."}
	}
	switch v := v.(type) {
	case map[string]any:
		return v, nil
	case nil:
		return map[string]any{}, nil
	}
	return nil, &Problem{Place{1, 1}, "The variables are not one JSON object. Write {\"name\": value, …}."}
}

// placeIn is the place of a byte in a text.
func placeIn(text string, offset int) Place {
	before := text[:max(0, min(offset-1, len(text)))]
	return Place{strings.Count(before, "\n") + 1, len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1}
}

// readJSON reads one JSON value and nothing behind it, numbers as json.Number.
func readJSON(body []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is something behind the value")
	}
	return v, nil
}

// CheckVariables returns what is wrong with the values for an operation, by the
// variable's name, and each sentence names it. Without a schema only the types
// that every server has are checked.
func (o Operation) CheckVariables(s *Schema, values map[string]any) map[string]string {
	out := map[string]string{}
	for _, v := range o.Variables {
		value, given := values[v.Name]
		if !given {
			if v.Required {
				out[v.Name] = fmt.Sprintf("$%s needs a value of the type %s.", v.Name, v.Type)
			}
			continue
		}
		if msg := s.checkValue(v.typ, value, "$"+v.Name); msg != "" {
			out[v.Name] = msg
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !o.Takes(name) {
			out[name] = fmt.Sprintf("The operation has no variable $%s. Take it out.", name)
		}
	}
	return out
}

// Takes reports whether the operation has a variable of a name.
func (o Operation) Takes(name string) bool {
	return slices.ContainsFunc(o.Variables, func(v Variable) bool { return v.Name == name })
}

// Own are the values of the operation's own variables, of those that stand for
// all operations of a document.
func (o Operation) Own(values map[string]any) map[string]any {
	out := map[string]any{}
	for _, v := range o.Variables {
		if value, given := values[v.Name]; given {
			out[v.Name] = value
		}
	}
	return out
}

// checkValue says what is wrong with a JSON value for a type, "" for nothing.
func (s *Schema) checkValue(t *ast.Type, v any, path string) string {
	if v == nil {
		if t.NonNull {
			return fmt.Sprintf("%s may not be null: its type is %s.", path, t)
		}
		return ""
	}
	if t.Elem != nil {
		list, ok := v.([]any)
		if !ok {
			return s.checkValue(t.Elem, v, path) // GraphQL takes a value for a list of one
		}
		for i, one := range list {
			if msg := s.checkValue(t.Elem, one, fmt.Sprintf("%s[%d]", path, i)); msg != "" {
				return msg
			}
		}
		return ""
	}
	wrong := func(want string) string { return fmt.Sprintf("%s must be %s: its type is %s.", path, want, t) }
	_, isText := v.(string)
	number, isNumber := v.(json.Number)
	switch t.NamedType {
	case "Int":
		n, ok := wholeNumber(number)
		if !isNumber || !ok || n < math.MinInt32 || n > math.MaxInt32 {
			return wrong("a whole number of at most 2147483647")
		}
	case "Float":
		if !isNumber {
			return wrong("a number")
		}
	case "Boolean":
		if _, ok := v.(bool); !ok {
			return wrong("true or false")
		}
	case "String":
		if !isText {
			return wrong("a text in double quotes")
		}
	case "ID":
		if _, ok := wholeNumber(number); !isText && !(isNumber && ok) {
			return wrong("a text in double quotes, or a whole number")
		}
	default:
		return s.checkNamed(t, v, path)
	}
	return ""
}

// wholeNumber reads a number that is whole whatever it looks like, as 1e3 is.
func wholeNumber(n json.Number) (int64, bool) {
	if len(n) > 40 {
		return 0, false
	}
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return i, true
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || math.Abs(f) > 1<<53 {
		return 0, false
	}
	i, accuracy := big.NewFloat(f).Int64()
	return i, accuracy == big.Exact
}

func (s *Schema) checkNamed(t *ast.Type, v any, path string) string {
	if s == nil {
		return ""
	}
	def := s.ast.Types[t.NamedType]
	if def == nil {
		return fmt.Sprintf("%s has the type %s, which the schema does not know.", path, t)
	}
	switch def.Kind {
	case ast.Enum:
		text, ok := v.(string)
		if !ok || def.EnumValues.ForName(text) == nil {
			return fmt.Sprintf("%s must be one of %s.", path, enumWords(def))
		}
	case ast.InputObject:
		return s.checkInput(def, v, path)
	case ast.Scalar:
	default:
		return fmt.Sprintf("%s cannot be given: %s is no type for variables.", path, t)
	}
	return ""
}

func enumWords(def *ast.Definition) string {
	const most = 30
	var names []string
	for _, e := range def.EnumValues[:min(len(def.EnumValues), most)] {
		names = append(names, e.Name)
	}
	if more := len(def.EnumValues) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

func (s *Schema) checkInput(def *ast.Definition, v any, path string) string {
	object, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("%s must be an object of the type %s.", path, def.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if def.Fields.ForName(name) == nil {
			return fmt.Sprintf("%s has a field “%s” that %s does not know.", path, name, def.Name)
		}
	}
	if def.Directives.ForName("oneOf") != nil && len(object) != 1 {
		return fmt.Sprintf("%s must have one field and no other: %s takes one of several.", path, def.Name)
	}
	for _, f := range def.Fields {
		value, given := object[f.Name]
		if !given {
			if f.Type.NonNull && f.DefaultValue == nil {
				return fmt.Sprintf("%s.%s is missing: its type is %s.", path, f.Name, f.Type)
			}
			continue
		}
		if msg := s.checkValue(f.Type, value, path+"."+f.Name); msg != "" {
			return msg
		}
	}
	return ""
}

// Field is what a form needs to know of a variable.
type Field struct {
	Variable
	// Input is how it is best asked for.
	Input FieldInput
	// Choices are an enum's values.
	Choices []string
	// Help is what the schema says of its type; may be empty.
	Help string
}

// FieldInput is how a form asks for a variable.
type FieldInput string

// The inputs of a form.
const (
	InputText    FieldInput = "text"
	InputNumber  FieldInput = "number"  // whole
	InputDecimal FieldInput = "decimal" // any number
	InputSwitch  FieldInput = "switch"  // yes, no, or nothing
	InputChoice  FieldInput = "choice"
	InputLines   FieldInput = "lines" // a list, one on each line, or JSON
	InputJSON    FieldInput = "json"
)

// Fields are the variables of an operation as a form asks for them.
func (o Operation) Fields(s *Schema) []Field {
	var out []Field
	for _, v := range o.Variables {
		f := Field{Variable: v, Input: InputText}
		var def *ast.Definition
		if s != nil {
			def = s.ast.Types[v.typ.Name()]
		}
		if def != nil && !def.BuiltIn {
			f.Help = def.Description
		}
		switch {
		case v.typ.Elem != nil && (v.typ.Elem.Elem != nil || def != nil && def.Kind == ast.InputObject):
			f.Input = InputJSON
		case v.typ.Elem != nil:
			f.Input = InputLines
		case def != nil && def.Kind == ast.InputObject:
			f.Input = InputJSON
		case def != nil && def.Kind == ast.Enum:
			f.Input = InputChoice
			for _, e := range def.EnumValues {
				f.Choices = append(f.Choices, e.Name)
			}
		case v.typ.NamedType == "Int":
			f.Input = InputNumber
		case v.typ.NamedType == "Float":
			f.Input = InputDecimal
		case v.typ.NamedType == "Boolean":
			f.Input = InputSwitch
		}
		out = append(out, f)
	}
	return out
}

// Coerce makes JSON of what a person typed into a form, by the variable's type.
// Nothing typed is no value, so that a default holds; given is false then.
// Text of a type that only the server knows is JSON if it can be nothing else:
// a number, true, false, null, an object, a list or a text in quotes.
func (s *Schema) Coerce(v Variable, typed string) (value any, given bool, problem string) {
	text := strings.TrimSpace(typed)
	if text == "" {
		if v.Required {
			return nil, false, "This needs a value."
		}
		return nil, false, ""
	}
	value, problem = s.coerce(v.typ, text, typed)
	if problem == "" {
		problem = s.checkValue(v.typ, value, "$"+v.Name)
	}
	return value, problem == "", problem
}

func (s *Schema) coerce(t *ast.Type, text, typed string) (any, string) {
	if t.Elem != nil {
		return s.coerceList(t, text)
	}
	switch t.NamedType {
	case "String", "ID":
		return typed, ""
	case "Int", "Float":
		if v, err := readJSON([]byte(strings.TrimPrefix(text, "+"))); err == nil {
			if _, ok := v.(json.Number); ok {
				return v, ""
			}
		}
		return nil, fmt.Sprintf("“%s” is not a number. Write it with digits, such as 12%s.", text, map[bool]string{true: " or 1.5"}[t.NamedType == "Float"])
	case "Boolean":
		switch strings.ToLower(text) {
		case "true", "yes", "on", "1":
			return true, ""
		case "false", "no", "off", "0":
			return false, ""
		}
		return nil, "Write true or false."
	}
	var def *ast.Definition
	if s != nil {
		def = s.ast.Types[t.NamedType]
	}
	if def != nil && def.Kind == ast.Enum {
		return text, ""
	}
	v, err := readJSON([]byte(text))
	switch {
	case err == nil:
		return v, ""
	case def != nil && def.Kind == ast.InputObject, text[0] == '{', text[0] == '[':
		return nil, "This is not JSON. Write an object such as {\"name\": value}."
	}
	return typed, ""
}

func (s *Schema) coerceList(t *ast.Type, text string) (any, string) {
	if text[0] == '[' {
		v, err := readJSON([]byte(text))
		if err != nil {
			return nil, "This is not a JSON list. Write one value on each line, or a list such as [\"a\", \"b\"]."
		}
		return v, ""
	}
	var out []any
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		v, problem := s.coerce(t.Elem, line, line)
		if problem != "" {
			return nil, problem
		}
		out = append(out, v)
	}
	return out, ""
}

// parseDefault reads a default as a schema tells it; one that cannot be read is
// a text, so that it still counts as a default.
func parseDefault(text string) *ast.Value {
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: "query($v:X=" + text + "){a}"}, MaxTokens)
	if err == nil && len(doc.Operations) == 1 && len(doc.Fragments) == 0 {
		o := doc.Operations[0]
		if len(o.VariableDefinitions) == 1 && len(o.SelectionSet) == 1 && len(o.Directives) == 0 && o.VariableDefinitions[0].DefaultValue != nil {
			return o.VariableDefinitions[0].DefaultValue
		}
	}
	return &ast.Value{Kind: ast.StringValue, Raw: text}
}
