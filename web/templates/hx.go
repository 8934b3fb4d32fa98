package templates

import (
	"context"
	"strings"

	"github.com/a-h/templ"
)

// HX returns the attribute that every element with an htmx attribute must
// carry: hx-nonce with the response's nonce. Without a nonce in ctx it is
// empty, and the browser then ignores the element's htmx attributes and uses
// its href or action.
func HX(ctx context.Context) templ.Attributes {
	nonce := templ.GetNonce(ctx)
	if nonce == "" {
		return templ.Attributes{}
	}
	return templ.Attributes{"hx-nonce": nonce}
}

// Path returns u if it is a path on this site ("/o/acme/?q=1"), and "" if it is
// anything else: another host, another scheme, a relative path. Attributes
// that make htmx fetch something take their URL from it.
func Path(u string) string {
	if !strings.HasPrefix(u, "/") || strings.HasPrefix(u, "//") || strings.HasPrefix(u, `/\`) {
		return ""
	}
	return u
}
