package handlers_test

import (
	"regexp"
	"strings"
	"testing"
)

func TestTheEditorIsToldTheSchemaOnce(t *testing.T) {
	_, s := newWorkbench(t)
	b := s.as(t, "support@example.com")
	const file, page = graphQLAt + "/schema.json?connection=1", graphQLAt + "/schema"
	if a := b.get(file); a.status != 204 || a.body != "" {
		t.Errorf("without a schema: %d %q", a.status, a.body)
	}
	b.send(page, b.get(page).fields(t, page))
	b.until(page, "About this schema", "Person")
	a := b.get(file)
	if a.status != 200 || !strings.HasPrefix(a.body, `{"__schema":{"queryType":{"name":"Query"}`) || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %q %.200s", a.status, a.header.Get("Content-Type"), a.body)
	}
	tag := a.header.Get("ETag")
	if again := b.get(file, "If-None-Match", tag); again.status != 304 || again.body != "" {
		t.Errorf("the same again: %d %q", again.status, again.body)
	}
	s.as(t, "viewer@example.com").get(file).wants(t, 200, "Person")
}

// The editor brings its styles with the page's nonce; no other page takes any.
func TestOnlyTheEditorsPageTakesItsStyles(t *testing.T) {
	_, s := newWorkbench(t)
	b := s.as(t, "support@example.com")
	policy := regexp.MustCompile(`style-src 'self' 'nonce-([\w-]+)';`)
	a := b.get(graphQLAt)
	m := policy.FindStringSubmatch(a.header.Get("Content-Security-Policy"))
	if m == nil || !regexp.MustCompile(`<script src="/static/graphql\.\w+\.js" defer nonce="`+m[1]+`"`).MatchString(a.body) {
		t.Errorf("the editor is not allowed its styles: %q", a.header.Get("Content-Security-Policy"))
	}
	if other := b.get(graphQLAt + "/saved"); policy.MatchString(other.header.Get("Content-Security-Policy")) || strings.Contains(other.body, "/static/graphql.") {
		t.Error("a page without the editor takes its styles or its script")
	}
}
