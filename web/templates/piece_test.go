package templates

import (
	"testing"

	"github.com/a-h/templ"
)

// A piece escapes what templ escapes, and quotes what would not stand alone.
func TestAPieceEscapesAsTemplDoes(t *testing.T) {
	for c := range 256 {
		text := "a" + string([]byte{byte(c)}) + "b"
		var b piece
		if b.text(text); string(b) != templ.EscapeString(text) {
			t.Errorf("%q is %q, want %q", text, b, templ.EscapeString(text))
		}
		b = nil
		b.value(text)
		if plain := string(b) == text; plain == has(text, &quoted) || !plain && string(b) != `"`+templ.EscapeString(text)+`"` {
			t.Errorf("%q as a value is %q", text, b)
		}
	}
	var b piece
	b.value("")
	b.address("javascript:alert(1)")
	if want := `""` + string(templ.FailedSanitizationURL); string(b) != want {
		t.Errorf("got %q, want %q", b, want)
	}
}
