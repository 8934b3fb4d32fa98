package templates

import (
	"net/url"
	"strings"
)

// docsPart is where the panel's part about a type comes from.
func docsPart(base, name string) string { return Path(base) + "&type=" + url.QueryEscape(name) }

// typeOf is the type of a use such as "Query.people(first)".
func typeOf(use string) string {
	name, _, _ := strings.Cut(use, ".")
	return name
}
