package templates

import (
	"strings"
	"testing"
)

// What is wrong with a choice of several is said where the choice is: it is
// open, tied to its error, and the list of errors leads to something that is
// there.
func TestAWrongPickIsOpenAndFound(t *testing.T) {
	for name, other := range map[string]string{"boxes alone": "", "with a text field": "Others, by code"} {
		p := PickView{None: "Any", OtherLabel: other, Field: FieldView{ID: "ratings", Name: "ratings", Label: "Rating", Error: "There is no such rating."}}
		p.Add("good", "Good", false)
		html := render(t, all(ErrorSummary([]FieldView{p.Field}), Pick(p)))
		for _, want := range []string{`href="#ratings"`, `id="ratings"`, `aria-describedby="ratings-error"`, `id="ratings-error"`, `<details class="pop pick" open>`} {
			if !strings.Contains(html, want) {
				t.Errorf("%s: no %s in\n%s", name, want, html)
			}
		}
		if n := strings.Count(html, `id="ratings"`); n != 1 {
			t.Errorf("%s: %d elements have the field's id", name, n)
		}
		p.Field.Error = ""
		if html := render(t, Pick(p)); strings.Contains(html, " open") || strings.Contains(html, "aria-describedby") {
			t.Errorf("%s, nothing wrong: %s", name, html)
		}
	}
}
