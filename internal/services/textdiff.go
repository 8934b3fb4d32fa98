package services

import (
	"regexp"
	"strings"

	"github.com/sergi/go-diff/diffmatchpatch"
)

// TextPart is a stretch of a text that was compared with an older one.
type TextPart struct {
	// Change is TextSame, TextAdded or TextGone.
	Change TextChange
	Text   string
}

// TextChange says what became of a stretch of text.
type TextChange int

// What became of a stretch.
const (
	TextSame TextChange = iota
	TextAdded
	TextGone
)

// maxPieces is how many words, or sentences, of each text are compared. The
// time grows with its square.
const maxPieces = 6000

var (
	words     = regexp.MustCompile(`\s+|\S+`)
	sentences = regexp.MustCompile(`\n+|[^\n.!?]*(?:[.!?]+[ \t]*|\n|$)`)
)

// CompareTexts says what of one text became what of another, word by word, or
// for long texts sentence by sentence. cut says that the texts were too long
// for that too, and only their beginnings were compared. It takes a bounded
// time for any input.
func CompareTexts(before, after string) (parts []TextPart, cut bool) {
	a, b := pieces(before, words), pieces(after, words) // of longer texts one piece too many
	if max(len(a), len(b)) > maxPieces {
		a, b = pieces(before, sentences), pieces(after, sentences)
	}
	cut = max(len(a), len(b)) > maxPieces
	a, b = a[:min(len(a), maxPieces)], b[:min(len(b), maxPieces)]

	// Every different piece is a character to the library, which compares those.
	runes := map[string]rune{}
	texts := map[rune]string{}
	written := func(list []string) []rune {
		out := make([]rune, len(list))
		for i, s := range list {
			r, ok := runes[s]
			if !ok {
				r = rune(len(runes) + 1) // at most 12,000, below what is no character
				runes[s], texts[r] = r, s
			}
			out[i] = r
		}
		return out
	}
	d := diffmatchpatch.New()
	d.DiffTimeout = 0 // the bound is the length: the same texts always compare the same
	diffs := d.DiffCleanupSemantic(d.DiffMainRunes(written(a), written(b), false))
	for _, f := range diffs {
		var text strings.Builder
		for _, r := range f.Text {
			text.WriteString(texts[r])
		}
		if text.Len() == 0 {
			continue
		}
		change := TextSame
		switch f.Type {
		case diffmatchpatch.DiffInsert:
			change = TextAdded
		case diffmatchpatch.DiffDelete:
			change = TextGone
		}
		parts = append(parts, TextPart{change, text.String()})
	}
	return parts, cut
}

// pieces cuts a text up, until there is one more than are compared; put together
// they are the text again, with blanks between words as one.
func pieces(text string, by *regexp.Regexp) []string {
	out := by.FindAllString(text, maxPieces+1)
	for i, s := range out {
		if strings.TrimSpace(s) == "" && !strings.Contains(s, "\n") {
			out[i] = " "
		}
	}
	return out
}
