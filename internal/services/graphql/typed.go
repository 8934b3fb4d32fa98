package graphql

import (
	"encoding/json"
	"strings"
)

// Typed is a variable's value as a person types it into a form: what Coerce
// makes the value of again. No value is an empty text.
func (f Field) Typed(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		if f.typ.Elem == nil && f.Input != InputJSON && !looksLikeJSON(f, v) {
			return v
		}
	case []any:
		if lines, ok := typedLines(v); ok && f.Input == InputLines {
			return lines
		}
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(value) != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}

// looksLikeJSON says of a text for a type that only the server knows that it
// would be read as something else if it were typed without quotes.
func looksLikeJSON(f Field, text string) bool {
	switch f.typ.NamedType {
	case "String", "ID":
		return false
	}
	if f.Input == InputChoice {
		return false
	}
	_, err := readJSON([]byte(strings.TrimSpace(text)))
	return err == nil
}

// typedLines are plain values one on each line; ok is false where a line would
// be read as something else.
func typedLines(list []any) (string, bool) {
	var lines []string
	for _, v := range list {
		text, isText := v.(string)
		if n, isNumber := v.(json.Number); isNumber {
			text, isText = string(n), true
		}
		if !isText || text == "" || text != strings.TrimSpace(text) || strings.ContainsAny(text, "\r\n") || text[0] == '[' || text[0] == '{' {
			return "", false
		}
		lines = append(lines, text)
	}
	return strings.Join(lines, "\n"), len(lines) > 0
}
