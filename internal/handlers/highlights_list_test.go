package handlers_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestHighlightsAreFilteredAndSearched(t *testing.T) {
	v := &reporter{}
	s := newReporter(t, v)
	b := s.as(t, "support@example.com")
	ada := askAbout(t, b, "ada@example.com")
	report(t, v.address(t), reported)
	v.finish("She opened the *checkout* and left.")
	report(t, v.address(t), reported)
	b.until(ada, "checkout")
	v.mu.Lock()
	v.text = ""
	v.mu.Unlock()
	bob := askAbout(t, b, "bob@example.com")
	list := "/o/acme/highlights"
	page := b.get(list)
	author := regexp.MustCompile(`<option value="([0-9]+)"[^>]*>[^<]*[Ss]upport`).FindStringSubmatch(page.body)[1]
	for _, tt := range []struct {
		query string
		want  []string
	}{
		{"", []string{ada, bob}},
		{"?q=check", []string{ada}},
		{"?q=BOB", []string{bob}},
		{"?q=example.com", []string{ada, bob}},
		{"?q=example.com&state=ready", []string{ada}},
		{"?q=nothing+OR+checkout", nil},
		{"?author=99", nil},
		{"?author=" + author, []string{ada, bob}},
		{"?connection=1", []string{ada, bob}},
		{"?state=pending", []string{bob}},
	} {
		a := b.get(list + tt.query)
		a.wants(t, http.StatusOK, `name="q"`)
		for _, page := range []string{ada, bob} {
			shown := strings.Contains(a.body, `href="`+page+`"`)
			want := false
			for _, w := range tt.want {
				want = want || w == page
			}
			if shown != want {
				t.Errorf("%q shows %s: %t", tt.query, page, shown)
			}
		}
		if len(tt.want) == 0 {
			a.wants(t, http.StatusOK, "Nothing matches these filters")
		}
	}
	b.get(list+"?q=%22%3Cb%3E").wants(t, http.StatusOK, `value="&#34;&lt;b&gt;"`)
	b.get(list+"?connection=99").wants(t, http.StatusNotFound)
}
