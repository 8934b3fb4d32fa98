package graphql

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Introspections are the questions for a server's schema, newest first. Each
// asks for less than the one before, so that a server which does not know a
// field of the newest still answers an older one: October 2021 and later, June
// 2018, and October 2015.
func Introspections() []string {
	return []string{
		introspection("description ", "specifiedByURL isOneOf ", "(includeDeprecated: true)", "isDeprecated deprecationReason ", "isRepeatable "),
		introspection("description ", "specifiedByURL ", "(includeDeprecated: true)", "isDeprecated deprecationReason ", "isRepeatable "),
		introspection("", "", "", "", ""),
		strings.NewReplacer(" subscriptionType { name }", "", " locations", " onOperation onFragment onField").Replace(introspection("", "", "", "", "")),
	}
}

func introspection(schema, types, args, value, directive string) string {
	q := `query IntrospectionQuery {
  __schema { ` + schema + `queryType { name } mutationType { name } subscriptionType { name }
    types { ...FullType }
    directives { name description ` + directive + `args` + args + ` { ...InputValue } locations }
  }
}
fragment FullType on __Type { kind name description ` + types + `
  fields(includeDeprecated: true) { name description args` + args + ` { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
  inputFields` + args + ` { ...InputValue }
  interfaces { ...TypeRef }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
  possibleTypes { ...TypeRef }
}
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue ` + value + `}
fragment TypeRef on __Type { kind name `
	const deep = 9 // a list of lists of lists of things that are never null, and a bit
	return q + strings.Repeat("ofType { kind name ", deep) + strings.Repeat("} ", deep) + "}"
}

// Why says why there is no schema.
type Why string

// The reasons why there is no schema.
const (
	// NoEndpoint: there is something else, or nothing, at the address.
	NoEndpoint Why = "no_endpoint"
	// Off: the server keeps its schema to itself.
	Off Why = "off"
	// NotJSON: the answer is no JSON, such as an error page.
	NotJSON Why = "not_json"
	// TooOld: the server does not know what was asked for. An older question may
	// help.
	TooOld Why = "too_old"
	// Broken: the answer is JSON, but no schema can be read from it.
	Broken Why = "broken"
)

// SchemaError says why there is no schema, in a sentence for a person. It may
// quote the server: hostile text.
type SchemaError struct {
	Why Why
	Msg string
}

// Error is the sentence.
func (e *SchemaError) Error() string { return e.Msg }

func noSchema(why Why, format string, args ...any) *SchemaError {
	return &SchemaError{why, fmt.Sprintf(format, args...)}
}

// The answer to an introspection, as every version of the specification has it.
type (
	rawSchema struct {
		Description      *string        `json:"description"`
		QueryType        *rawRef        `json:"queryType"`
		MutationType     *rawRef        `json:"mutationType"`
		SubscriptionType *rawRef        `json:"subscriptionType"`
		Types            []rawType      `json:"types"`
		Directives       []rawDirective `json:"directives"`
	}
	rawType struct {
		Kind           string     `json:"kind"`
		Name           string     `json:"name"`
		Description    string     `json:"description"`
		SpecifiedByURL string     `json:"specifiedByURL"`
		IsOneOf        bool       `json:"isOneOf"`
		Fields         []rawField `json:"fields"`
		InputFields    []rawInput `json:"inputFields"`
		Interfaces     []rawRef   `json:"interfaces"`
		EnumValues     []rawField `json:"enumValues"`
		PossibleTypes  []rawRef   `json:"possibleTypes"`
	}
	rawField struct {
		Name              string     `json:"name"`
		Description       string     `json:"description"`
		Args              []rawInput `json:"args"`
		Type              *rawRef    `json:"type"`
		IsDeprecated      bool       `json:"isDeprecated"`
		DeprecationReason string     `json:"deprecationReason"`
	}
	rawInput struct {
		Name              string  `json:"name"`
		Description       string  `json:"description"`
		Type              *rawRef `json:"type"`
		DefaultValue      *string `json:"defaultValue"`
		IsDeprecated      bool    `json:"isDeprecated"`
		DeprecationReason string  `json:"deprecationReason"`
	}
	rawRef struct {
		Kind   string  `json:"kind"`
		Name   string  `json:"name"`
		OfType *rawRef `json:"ofType"`
	}
	rawDirective struct {
		Name         string     `json:"name"`
		Description  string     `json:"description"`
		Args         []rawInput `json:"args"`
		Locations    []string   `json:"locations"`
		IsRepeatable bool       `json:"isRepeatable"`
		OnOperation  bool       `json:"onOperation"`
		OnFragment   bool       `json:"onFragment"`
		OnField      bool       `json:"onField"`
	}
)

var (
	saysOff  = regexp.MustCompile(`(?i)introspection|cannot query field ["'` + "`" + `]?__schema|__schema`)
	saysType = regexp.MustCompile(`(?i)__(type|inputvalue|field|directive|enumvalue|schema)\b|includedeprecated|specifiedbyurl|isoneof|isrepeatable|subscriptiontype|\blocations\b|isdeprecated`)
	// saysKeep are the words of a server that does not want to tell.
	saysKeep = regexp.MustCompile(`(?i)introspection.{0,80}(disabled|not allowed|forbidden|denied|off|not enabled|not supported|not permitted|blocked|prohibited)|(disabled?|disallow\w*|forbid\w*|denied|not allowed|block\w*).{0,80}introspection|field .{0,2}__schema|INTROSPECTION_DISABLED`)
)

// ReadIntrospection reads a schema from the answer to one of Introspections, or
// from a file that holds one, with or without "data" around it. status is the
// answer's HTTP status, 0 if unknown. The error is a *SchemaError.
func ReadIntrospection(status int, body []byte) (*Schema, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	switch status {
	case 404, 405, 410, 501:
		if len(body) == 0 || body[0] != '{' || !bytes.Contains(body, []byte(`"errors"`)) {
			return nil, noSchema(NoEndpoint, "There is no GraphQL at this address: the server answered %d.", status)
		}
	}
	if len(body) == 0 {
		return nil, noSchema(NotJSON, "The server answered with nothing at all, where a GraphQL server answers JSON.")
	}
	if body[0] == '<' {
		return nil, noSchema(NotJSON, "The server answered with a web page, where a GraphQL server answers JSON. It may be a proxy or a sign-in page.")
	}
	var answer struct {
		Data *struct {
			Schema *rawSchema `json:"__schema"`
		} `json:"data"`
		Schema *rawSchema        `json:"__schema"`
		Errors []json.RawMessage `json:"errors"`
	}
	// What has another type than the specification says is left out, and the rest
	// read: only what is no JSON at all ends here.
	var typed *json.UnmarshalTypeError
	if err := json.Unmarshal(body, &answer); err != nil && !errors.As(err, &typed) {
		return nil, noSchema(NotJSON, "The server's answer is not JSON: it begins with “%s”.", beginning(body))
	}
	raw := answer.Schema
	if answer.Data != nil && answer.Data.Schema != nil {
		raw = answer.Data.Schema
	}
	if raw != nil && len(raw.Types) > 0 {
		return build(raw)
	}
	if err := refusal(answer.Errors); err != nil {
		return nil, err
	}
	if raw != nil {
		return nil, noSchema(Broken, "The server names no types in its schema.")
	}
	return nil, noSchema(Broken, "The server answered, but not with a schema.")
}

// refusal reads why a server did not answer with a schema; nil if it does not
// say.
func refusal(errs []json.RawMessage) error {
	if len(errs) == 0 {
		return nil
	}
	all := string(bytes.Join(rawBytes(errs), []byte("\n")))
	text := plain(all) // the quotes in a message are escaped in JSON
	says := firstMessage(errs)
	switch {
	case saysKeep.MatchString(text):
		return noSchema(Off, "The server does not tell its schema: introspection is switched off. It says “%s”.", says)
	case saysType.MatchString(text):
		return noSchema(TooOld, "The server does not know what it was asked about its schema: it speaks an older GraphQL. It says “%s”.", says)
	case saysOff.MatchString(text):
		return noSchema(Off, "The server does not tell its schema. It says “%s”.", says)
	}
	return noSchema(Broken, "The server did not answer the question for its schema. It says “%s”.", says)
}

func plain(s string) string { return strings.ReplaceAll(s, `\"`, `"`) }

func rawBytes(in []json.RawMessage) [][]byte {
	var out [][]byte
	for _, r := range in[:min(len(in), maxProblems)] {
		out = append(out, r[:min(len(r), 4000)])
	}
	return out
}

// firstMessage is what the first error says, cut short.
func firstMessage(errs []json.RawMessage) string {
	var e struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(errs[0], &e) != nil || e.Message == "" {
		return beginning(errs[0])
	}
	return beginning([]byte(e.Message))
}

// beginning is the first characters of a text, on one line.
func beginning(b []byte) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(b[:min(len(b), 1200)]), "\uFFFD")), " ")
	const most = 200
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
