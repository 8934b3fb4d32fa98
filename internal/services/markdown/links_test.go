package markdown

import (
	"strings"
	"testing"
	"time"
)

// began is when the recording of these tests began, as its id says.
var began = time.UnixMilli(0x0199a3b4c5d6).UTC()

const recording = "6-0199a3b4-c5d6-7e2f-8a3b-4c5d6e7f8091"

func linkAt(at time.Time) string {
	return testApp + "/acme/web/s/" + recording + "/2?t=" + itoa(at.UnixMilli())
}

func itoa(n int64) string {
	var b []byte
	for ; n > 0; n /= 10 {
		b = append([]byte{byte('0' + n%10)}, b...)
	}
	return string(b)
}

func TestLinksTellTheirMomentAndOffset(t *testing.T) {
	m := newMarkdown(t, testApp)
	at := began.Add(3*time.Minute + 12*time.Second)
	out := m.HTML("She [clicks **Pay**](" + linkAt(at) + ") twice.")
	want := `<time datetime="` + at.Format(time.RFC3339) + `" data-local="">` + at.Format("2 Jan, 15:04:05 UTC") + `</time>, +3:12)</span> twice.`
	if !strings.Contains(out, want) {
		t.Errorf("want %s in\n%s", want, out)
	}
	checkSafe(t, testApp, "", out)
	links := m.Links("She [clicks **Pay**](" + linkAt(at) + ") and [x](https://evil.example/s/" + recording + "/2?t=1) <" + linkAt(at.Add(time.Hour)) + ">")
	if len(links) != 2 || links[0].Text != "clicks Pay" || !links[0].At.Equal(at.Truncate(time.Millisecond)) || links[0].RecordingID != recording || links[0].SessionID != "2" || links[1].OffsetText() != "+1:03:12" {
		t.Errorf("the links are %+v", links)
	}
}

func TestOffsetIsLeftOutWhereItCannotBe(t *testing.T) {
	l := RecordingLink{At: began, Began: began}
	tests := map[string]struct {
		at   time.Duration
		want string
	}{
		"at the beginning":       {0, "+0:00"},
		"before the recording":   {-time.Second, ""},
		"an hour in":             {time.Hour + 2*time.Second, "+1:00:02"},
		"more than a week later": {8 * 24 * time.Hour, ""},
	}
	for name, tt := range tests {
		l.At = began.Add(tt.at)
		if got := l.OffsetText(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	if got := (RecordingLink{At: began}).OffsetText(); got != "" {
		t.Errorf("without the recording's start: %q", got)
	}
}

func TestTextForTickets(t *testing.T) {
	m := newMarkdown(t, testApp)
	at := began.Add(72 * time.Second)
	link := linkAt(at)
	src := "## Why\n\nShe *paid* [**twice**](" + link + "), see [here](https://evil.example/).\n\n* a\n  1. b\n\n> q\n\n`x_y` <b>1 | 2</b> www.evil.example\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode <b>\n```\n"
	page := m.HTML(src)
	moment := "(" + at.Format("2 Jan, 15:04:05 UTC") + ", +1:12)"
	md := m.Portable(page)
	wantMD := "#### Why\n\nShe *paid* [**twice**](" + link + ") " + moment + ", see here.\n\n- a\n  1. b\n\n> q\n\n`x_y` \\<b>1 \\| 2\\</b> www\\.evil.example\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n```\ncode <b>\n```"
	if md != wantMD {
		t.Errorf("Markdown:\n%s\nwant\n%s", md, wantMD)
	}
	plain := m.Plain(page)
	wantPlain := "Why\n\nShe paid twice [" + link + "] " + moment + ", see here.\n\n- a\n  1. b\n\n> q\n\nx_y <b>1 | 2</b> www.evil.example\n\na · b\n1 · 2\n\ncode <b>"
	if plain != wantPlain {
		t.Errorf("plain:\n%s\nwant\n%s", plain, wantPlain)
	}
	if rich := m.Rich(page); strings.Contains(rich, "<time") || strings.Contains(rich, "class=") || !strings.Contains(rich, `href="`+link+`"`) {
		t.Errorf("rich: %s", rich)
	}
	if words := m.Words(page); strings.Contains(words, "http") || strings.Contains(words, "UTC") || !strings.Contains(words, "She paid twice, see here.") {
		t.Errorf("words: %s", words)
	}
	for _, src := range hostile {
		checkSafe(t, testApp, src, m.HTML(m.Portable(m.HTML(src))))
	}
}

func TestTextForTicketsTakesBoundedTime(t *testing.T) {
	m := newMarkdown(t, testApp)
	for _, src := range []string{strings.Repeat("> ", 60) + "a\n\n", strings.Repeat("- ", 59) + "a\n", "[a](" + linkAt(began) + ") ", "|a|b|\n|-|-|\n", "**a** *b* `c` "} {
		page := m.HTML(strings.Repeat(src, bigText/len(src)))
		_, _ = m.Portable(page), m.Plain(page)
	}
}
