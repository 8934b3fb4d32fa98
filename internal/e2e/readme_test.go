package e2e_test

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPictureOfTheReadme makes docs/screenshot.png anew where
// SIGHTLINE_PICTURE names a file: the page of a customer in the demo.
func TestPictureOfTheReadme(t *testing.T) {
	t.Parallel()
	file := os.Getenv("SIGHTLINE_PICTURE")
	if file == "" {
		t.Skip("SIGHTLINE_PICTURE names no file, so no picture is made.")
	}
	p := start(t, []string{"SIGHTLINE_LISTEN=127.0.0.1:0", "SIGHTLINE_HIGHLIGHTS_DELAY=0s"}, "demo")
	address := p.waitFor(`(?m)^  (http://\S+)$`)[1]
	v := newVisitor(t, address)
	v.signIn("support@example.com", "see-what-happened")
	ada := lookUp(v, "ada.lovelace@example.com")
	fetchSession(v, ada)
	openTraitForm(v, ada, "usr_ada").submit("/traits", url.Values{"new-key": {"plan", "seats"}, "new-value": {"Team", "12"}}).submit("/traits", url.Values{"reason": {"Ticket 4711"}})
	highlight(v, "ada.lovelace@example.com", "Why did the payment fail?")
	lookUp(v, "grace.hopper@example.com")
	eventually(t, "the recordings are there", func() bool { return v.open("/o/acme/exports/files").shows("All files are here") })
	b := newTab(t, newBrowser(t), address, look{width: 1280, height: 860})
	b.signIn("support@example.com", "see-what-happened")
	b.open(strings.TrimPrefix(ada, address))
	b.loaded()
	png := value(b, "take a picture", chromedp.CaptureScreenshot())
	if err := os.WriteFile(file, png, 0o644); err != nil {
		t.Fatal(err)
	}
}
