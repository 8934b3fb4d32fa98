package e2e_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

// TestKilledWhileExportsComeNothingIsLostOrDoubled ends the program without
// warning while files come and are read, several times, and compares what is
// there in the end with what a program that was left alone has.
func TestKilledWhileExportsComeNothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	recording := regexp.MustCompile(`^/o/acme/exports/\d+$`)
	read := regexp.MustCompile(`Files read\s*(\d+)`)
	ends := func(kills int) string {
		s := newSite(t, sandbox.Options{Seed: 7, Customers: 60, Sessions: 3000, Days: 20})
		v := s.visitor(t, "admin")
		from := time.Now().UTC().AddDate(0, 0, -3).Format(time.DateOnly)
		v.open("/o/acme/exports/follow/2").submit("/exports/follow/2", url.Values{"from": {from}}).wantStatus(200)
		before := "0"
		for range kills {
			eventually(t, "some more files are read", func() bool {
				m := read.FindStringSubmatch(v.open("/o/acme/exports/files").text())
				if m == nil || m[1] == before {
					return false
				}
				before = m[1]
				return true
			})
			s.restart(t, v)
		}
		eventually(t, "all files are read", func() bool { return v.open("/o/acme/exports/files").shows("All files are here") })
		// Until yesterday: of today there is more every minute.
		days := "from=" + from + "&until=" + time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
		recordings := map[string]bool{}
		for older := "/o/acme/exports?" + days; older != ""; {
			page := v.open(older)
			older = ""
			for _, a := range all(page.doc, "a") {
				if href := attr(a, "href"); recording.MatchString(href) {
					recordings[href] = true
				} else if attr(a, "rel") == "next" {
					older = href
				}
			}
		}
		// The lists behind these have ties, whose order is that of their coming, and
		// what stands before them says in how many minutes a budget is whole again.
		endpoints, _, _ := strings.Cut(v.open("/o/acme/exports/patterns?"+days).text(), " Errors By how often")
		_, endpoints, _ = strings.Cut(endpoints, "Failing endpoints")
		return fmt.Sprintf("%d recordings, %s", len(recordings), endpoints)
	}
	whole := ends(0)
	if cut := ends(4); cut != whole {
		t.Errorf("after four kills there are\n%s\nwithout one\n%s", cut, whole)
	}
}
