package markdown

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"

	"sightline/internal/services/logrocket"
)

// RecordingLink is a link in a text to a recording in LogRocket's app.
type RecordingLink struct {
	Text, URL              string
	RecordingID, SessionID string
	// At is the moment that it leads to, in UTC; zero if it names none.
	At time.Time
	// Began is when the recording began, zero if its id does not tell.
	Began time.Time
}

// maxLinks bounds how many links of one text are looked at.
const maxLinks = 500

func readLink(u *url.URL) RecordingLink {
	l := RecordingLink{URL: u.String()}
	var ok bool
	if l.RecordingID, l.SessionID, l.At, ok = logrocket.ParseSessionURL(l.URL); !ok {
		return RecordingLink{}
	}
	if began, ok := logrocket.RecordingStart(l.RecordingID); ok {
		l.Began = began
	}
	return l
}

// longestRecording is how far into a recording a moment may lie: what is
// beyond tells of a wrong address and not of an offset.
const longestRecording = 7 * 24 * time.Hour

// OffsetText writes how far into its recording a link leads, such as "+3:12" or
// "+1:03:12". It is empty where that is not known, or not between the
// recording's beginning and a week later.
func (l RecordingLink) OffsetText() string {
	if l.At.IsZero() || l.Began.IsZero() {
		return ""
	}
	d := l.At.Sub(l.Began)
	if d < 0 || d > longestRecording {
		return ""
	}
	s := int(d / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("+%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("+%d:%02d", s/60, s%60)
}

// Links returns the links of a text to recordings, in its order, at most 500.
// Of a text that HTML shows unformatted there are none.
func (m *Renderer) Links(src string) []RecordingLink {
	src = strings.ToValidUTF8(src[:min(len(src), maxMarkdown)], "\uFFFD")
	if tangled(src) {
		return nil
	}
	source := []byte(src)
	var out []RecordingLink
	add := func(address, label string) ast.WalkStatus {
		u, ok := m.Link(address)
		if !ok {
			return ast.WalkContinue
		}
		if l := readLink(u); l.RecordingID != "" {
			l.Text = strings.Join(strings.Fields(label), " ")
			out = append(out, l)
		}
		if len(out) == maxLinks {
			return ast.WalkStop
		}
		return ast.WalkContinue
	}
	_ = ast.Walk(m.md.Parser().Parse(text.NewReader(source)), func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := node.(type) {
		case *ast.Link:
			return add(escapedURL(n), linkText(n, source)), nil
		case *ast.AutoLink:
			if n.AutoLinkType == ast.AutoLinkURL {
				return add(string(n.URL(source)), ""), nil
			}
		case *ast.Image:
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
	return out
}

// linkText is what a link says, without its formatting.
func linkText(n *ast.Link, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := node.(*ast.Text); ok && entering {
			b.Write(t.Value(source))
			if t.SoftLineBreak() || t.HardLineBreak() {
				b.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}
