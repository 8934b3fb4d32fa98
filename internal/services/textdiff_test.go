package services

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// bigText is the most bytes of a text that is rendered.
const bigText = 1 << 20

func sides(parts []TextPart) (before, after string) {
	for _, p := range parts {
		if p.Change != TextAdded {
			before += p.Text
		}
		if p.Change != TextGone {
			after += p.Text
		}
	}
	return before, after
}

func TestTextsAreComparedInWords(t *testing.T) {
	parts, cut := CompareTexts("Ada paid twice.\n\nThe cart was empty.", "Ada paid three times.\n\nThe cart was empty.")
	var said strings.Builder
	for _, p := range parts {
		said.WriteString([]string{"", "+", "-"}[p.Change] + "[" + p.Text + "]")
	}
	if cut || said.String() != "[Ada paid ]-[twice.]+[three times.][\n\nThe cart was empty.]" {
		t.Errorf("%t %s", cut, said.String())
	}
	if parts, _ := CompareTexts("the same ü", "the same ü"); len(parts) != 1 || parts[0].Change != TextSame {
		t.Errorf("the same: %+v", parts)
	}
	if parts, _ := CompareTexts("", ""); len(parts) != 0 {
		t.Errorf("nothing: %+v", parts)
	}
}

// TestComparedTextsAreBothThere has random texts: what stayed with what went is
// the old one, what stayed with what came the new one.
func TestComparedTextsAreBothThere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range r.IntN(60) {
			b.WriteString([]string{"a", "b", "ü", "cart", "\U0001F600", ".", "paid"}[r.IntN(7)] + []string{" ", "\n\n", "\n"}[r.IntN(3)])
		}
		return b.String()
	}
	for range 2000 {
		a, b := text(), text()
		parts, _ := CompareTexts(a, b)
		if before, after := sides(parts); before != a || after != b {
			t.Fatalf("%q and %q became %+v", a, b, parts)
		}
	}
}

func TestLongTextsAreComparedInBoundedTime(t *testing.T) {
	long := func(word string) string {
		var b strings.Builder
		for i := 0; b.Len() < bigText; i++ {
			fmt.Fprintf(&b, "%s%d%s", word, i, []string{" ", ". ", "\n"}[i%3])
		}
		return b.String()
	}
	for name, texts := range map[string][2]string{
		"different words": {long("a"), long("b")}, "the same words": {long("a"), long("a")},
		"one letter": {strings.Repeat("a ", bigText/2), strings.Repeat("b a ", bigText/4)}, "no sentences": {strings.Repeat("a", bigText), strings.Repeat("b", bigText)},
		"dots": {strings.Repeat(".", bigText), strings.Repeat(".\n", bigText/2)}, "just short enough": {strings.Repeat("a b c ", 1000), strings.Repeat("d a e ", 1000)},
	} {
		t.Run(name, func(t *testing.T) {
			// Without a bound these would not end within the time that a test has.
			if parts, _ := CompareTexts(texts[0], texts[1]); len(parts) == 0 {
				t.Error("nothing came back")
			}
		})
	}
}
