package e2e_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"sightline/internal/services/sandbox"
)

const (
	recordingsAt = "/o/acme/exports"
	filesAt      = recordingsAt + "/files"
	// alwaysRecorded is somebody with recordings of every day.
	alwaysRecorded = "ada.lovelace@example.com"
)

// recordingScreens are those of exports and of the recordings read out of them.
func recordingScreens() []screen {
	within := func(part, query string) func(t *testing.T, v *visitor) string {
		return func(_ *testing.T, v *visitor) string { return recordingOf(v, alwaysRecorded) + part + query }
	}
	var hostile string // the file that has it
	return []screen{
		{name: "exports-not-followed", path: recordingsAt + "/follow/2", twice: true},
		{name: "recordings", find: func(_ *testing.T, v *visitor) string {
			lookUp(v, alwaysRecorded) // while Raygun alone knows them
			followExports(v)
			return recordingsAt
		}},
		{name: "recordings-none", path: recordingsAt + "?from=2020-01-01&until=2020-01-02", twice: true},
		{name: "recordings-wrong", path: recordingsAt + "?about=nobody&from=yesterday", twice: true},
		{name: "recordings-search", path: recordingsAt + "?q=api&what=request", twice: true},
		{name: "patterns", path: recordingsAt + "/patterns"},
		{name: "patterns-wrong", path: recordingsAt + "/patterns?from=2026-01-02&until=2026-01-01", twice: true},
		{name: "export-files", path: filesAt},
		{name: "export-files-trouble", path: filesAt + "?show=trouble", twice: true},
		{name: "export-file", twice: true, find: func(_ *testing.T, v *visitor) string { return v.open(filesAt).follow("/files/").url.Path }},
		{name: "export-file-hostile", twice: true, find: func(_ *testing.T, v *visitor) string {
			hostile = uploadExport(v, "all of <b>it</b> "+strings.Repeat("a_long_name_", 8)+".jsonl", hostileExport())
			return hostile
		}},
		{name: "recording", find: within("", "")},
		{name: "recording-requests", find: within("", "?view=requests")},
		{name: "recording-errors", find: within("", "?view=errors"), twice: true},
		{name: "recording-moment", find: within("", "?event=8&lane=network&q=api"), twice: true},
		{name: "recording-jump-wrong", find: within("", "?jump=soon"), twice: true},
		{name: "recording-event", find: within("/events/4", ""), twice: true},
		{name: "recording-hostile", twice: true, find: func(_ *testing.T, v *visitor) string { return recordingIn(v, hostile) }},
		{name: "recording-hostile-requests", twice: true, find: func(_ *testing.T, v *visitor) string { return recordingIn(v, hostile) + "?view=requests" }},
		{name: "recording-hostile-event", twice: true, find: func(_ *testing.T, v *visitor) string { return recordingIn(v, hostile) + "/events/3" }},
		{name: "customer-with-recordings", twice: true, find: func(_ *testing.T, v *visitor) string { return lookUp(v, alwaysRecorded) }},
		{name: "session-with-recording", twice: true, find: func(t *testing.T, v *visitor) string {
			p := v.open(recordingOf(v, alwaysRecorded)).has("The same visit at Raygun").follow("/sessions/")
			p.submit("/detail", nil)
			eventually(t, "the session is fetched", func() bool { return !v.open(p.url.Path).shows("Asking Raygun") })
			v.open(p.url.Path).has("The same visit as a recording")
			return p.url.Path
		}},
	}
}

// followExports has the exports of the site's LogRocket followed from yesterday
// on and waits until they are read.
func followExports(v *visitor) {
	v.t.Helper()
	from := time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
	v.open(recordingsAt+"/follow/2").submit("/follow/2", url.Values{"from": {from}})
	eventually(v.t, "the exports are read", func() bool { return v.open(filesAt).shows("All files are here") })
}

// recordingOf leads to the newest recording of a customer.
func recordingOf(v *visitor, who string) (path string) {
	v.t.Helper()
	return firstRecording(v.open(recordingsAt + "?about=" + url.QueryEscape(who)))
}

// recordingIn leads to the first recording in a file.
func recordingIn(v *visitor, file string) (path string) {
	v.t.Helper()
	return firstRecording(v.open(file))
}

// firstRecording is the first link on a page that leads to a recording.
func firstRecording(p page) (path string) {
	p.v.t.Helper()
	for _, link := range p.links(recordingsAt + "/") {
		u, err := url.Parse(link)
		if err != nil {
			p.v.t.Fatal(err)
		}
		if rest := strings.TrimPrefix(u.Path, recordingsAt+"/"); strings.Trim(rest, "0123456789") == "" {
			return u.Path
		}
	}
	p.v.t.Fatalf("%s leads to no recording\n%s", p.url, tail(p.text(), 3000))
	return ""
}

// hostileExport is a file of events that nobody should have to read, with lines
// that are none.
func hostileExport() []byte {
	now := time.Now().UnixMilli() - 60_000
	long := strings.Repeat("thatislongerthananyphoneiswide_", 12)
	address := "https://shop.example.com/" + long + "?q=<script>alert(1)</script>"
	var b bytes.Buffer
	for n, line := range []string{
		`"type":"lr.Metadata","recordingID":"6-<b>bold</b>","sessionID":0,"browser":"<i>","os":"` + long + `","country":"` + long + `","release":"` + long + `"`,
		`"type":"lr.Identify","userID":"usr_\"><img src=x onerror=alert(1)>","userTraits":{"name":"<script>alert(1)</script>","email":"` + long[:40] + `@example.com"}`,
		`"type":"lr.browser.NavigationEvent","url":"` + address + `"`,
		`"type":"lr.network.RequestEvent","reqId":"1","method":"POST","url":"` + address + `"`,
		`"type":"lr.network.ResponseEvent","reqId":"1","status":599`,
		`"type":"lr.core.LogEvent","level":"ERROR","args":["<b>` + long + `</b>"]`,
		`"type":"lr.core.Exception","message":"` + long + `","errorType":"<u>"`,
		`"type":"lr.CustomEvent","name":"javascript:alert(1) ` + long + `"`,
		`"type":"` + long + `"`,
		`"type":"lr.network.RequestEvent","reqId":"2","method":"` + long[:60] + `","url":"javascript:alert(1)"`,
	} {
		fmt.Fprintf(&b, `{"time":%d,%s}`+"\n", now+int64(n)*2500, line)
	}
	b.WriteString("<b>no event</b> " + long + "\n[1,2]\n")
	return b.Bytes()
}

// uploadExport uploads a file of events and waits until it is read.
func uploadExport(v *visitor, name string, text []byte) (path string) {
	v.t.Helper()
	form, err := v.open(filesAt).form("/exports/files")
	if err != nil {
		v.t.Fatal(err)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for field, values := range fields(form) {
		if field != "file" {
			if err := w.WriteField(field, values[0]); err != nil {
				v.t.Fatal(err)
			}
		}
	}
	part, err := w.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		v.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.base+filesAt, &body)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	p := v.do(req)
	p.wantStatus(http.StatusOK)
	eventually(v.t, "the file is read", func() bool { return v.open(p.url.Path).shows("Recordings in it") })
	return p.url.Path
}

// TestARecordingIsReadByKeyboard follows exports, finds somebody's recording and
// reads its events without a mouse, once as browsers are and once with
// JavaScript off.
func TestARecordingIsReadByKeyboard(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
	for name, l := range map[string]look{"with JavaScript": {width: 1280}, "without JavaScript": {width: 1280, noScript: true}} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, sandbox.Options{Customers: 20, Sessions: 100, Days: 5})
			b := newTab(t, browser, s.address, l)
			b.signIn("owner@example.com", sitePassword)
			b.open(filesAt)
			b.loaded()
			b.press("the link to the form", `/\/exports\/follow\/\d+$/.test(e.getAttribute("href") ?? "")`)
			b.waitPath(`/exports/follow/\d+$`)
			b.loaded()
			b.press("the button that follows", `e.tagName == "BUTTON" && /\/exports\/follow\/\d+$/.test(e.form?.getAttribute("action") ?? "")`)
			b.waitPath(`/exports/files$`)
			s.showsAllFiles(b, l)
			b.press("the recordings", `/Recordings/.test(e.innerText) && e.closest("main") && /\/exports$/.test(e.getAttribute("href") ?? "")`)
			b.waitPath(`/exports$`)
			b.loaded()
			b.reach("the filter by customer", `e.name == "about"`)
			b.keys(alwaysRecorded + kb.Enter)
			b.waitPath(`/exports\?customer=\d+$`)
			b.loaded()
			isRow := func(to string) string {
				return `e.matches("[data-item], .opens td:first-child > a") && ` + to + `.test(e.getAttribute("href") ?? "")`
			}
			item, line := `/\/exports\/\d+$/`, `/\/events\/\d+$/`
			if l.noScript {
				b.press("the newest recording", isRow(item))
			} else {
				b.keys("j")
				b.focused(isRow(item))
				b.keys("j")
				b.keys("k")
				b.focused(isRow(item))
				b.keys(kb.Enter)
			}
			b.waitPath(`/exports/\d+$`)
			b.waitText("Events in the order of time|The same visit|About it")
			b.loaded()
			if l.noScript {
				b.press("the first event", isRow(line))
			} else {
				b.keys("jjk")
				b.focused(isRow(`/\/events\/0$/`))
				b.keys("jj")
				b.focused(isRow(`/\/events\/2$/`))
				b.keys(kb.Enter)
			}
			b.waitPath(`/events/\d+$`)
			b.waitText("The line as it was written")
			b.loaded()
			b.press("the next event", `e.closest("main") && /Next event/.test(e.innerText)`)
			b.waitPath(map[bool]string{true: `/events/1$`, false: `/events/3$`}[l.noScript])
			for _, c := range b.complaints() {
				t.Error(c)
			}
		})
	}
}

// showsAllFiles waits until the page of files says that all are here: with
// JavaScript it does so by itself, without it is asked for again.
func (s *site) showsAllFiles(b *tab, l look) {
	b.t.Helper()
	eventually(b.t, "all files are here", func() bool {
		if l.noScript {
			b.do("load the page again", chromedp.Reload())
		}
		return strings.Contains(b.text("body"), "All files are here")
	})
	b.loaded()
}

// A recording of somebody whose browser says pages about itself leaves the
// names of others their room.
func TestLongTextsLeaveNamesTheirRoom(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{Customers: 20, Sessions: 100, Days: 5})
	v := s.visitor(t, "owner")
	followExports(v)
	uploadExport(v, "odd.jsonl", hostileExport())
	b := newTab(t, newBrowser(t), s.address, look{width: 1280})
	b.signIn("owner@example.com", sitePassword)
	for _, path := range []string{recordingsAt, recordingsAt + "?q=thatislonger"} {
		b.open(path)
		b.loaded()
		got := value(b, "measure the table", chromedp.Evaluate[string](`(() => {
			const cells = [...document.querySelectorAll("td.who")], wrap = document.querySelector(".table-wrap") ?? document.querySelector("main table").parentElement
			if (!cells.length) return "nobody is named"
			if (wrap.scrollWidth > wrap.clientWidth) return "the table is " + wrap.scrollWidth + " px wide in " + wrap.clientWidth + " px"
			const least = Math.min(...cells.map(c => c.getBoundingClientRect().width))
			return least < 100 ? "names have " + least + " px" : ""
		})()`))
		if got != "" {
			t.Errorf("%s: %s", path, got)
		}
	}
}
