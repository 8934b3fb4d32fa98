package templates

import (
	"io"
	"strings"

	"github.com/a-h/templ"
)

// piece is HTML that is being put together in one piece of memory. For the fifty
// rows of a list that is twice as quick as strings that are joined and then written.
type piece []byte

// html adds HTML as it stands.
func (b *piece) html(parts ...string) {
	for _, s := range parts {
		*b = append(*b, s...)
	}
}

// text adds text from outside, escaped. Nearly all has nothing to escape.
func (b *piece) text(s string) {
	if strings.ContainsAny(s, escaped) {
		s = templ.EscapeString(s)
	}
	*b = append(*b, s...)
}

// escaped are the characters that templ.EscapeString writes in another way.
const escaped = "&<>\"'"

// Write adds what a component writes.
func (b *piece) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

func write(w io.Writer, html string) error {
	_, err := io.WriteString(w, html)
	return err
}
