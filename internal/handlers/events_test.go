package handlers_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

func TestNewsOfHighlightsIsStreamed(t *testing.T) {
	v := &reporter{}
	s := newReporter(t, v)
	b := s.as(t, "support@example.com")
	page := askAbout(t, b, "ada@example.com")
	b.until(page, "LogRocket is working on it", `hx-sse:connect="`+page+`/events"`)

	stranger := s.browser(t)
	if a := stranger.get(page + "/events"); a.status != http.StatusSeeOther {
		t.Errorf("a stranger's stream was answered with %d", a.status)
	}
	if a := b.get("/o/acme/highlights/999/events"); a.status != http.StatusNotFound {
		t.Errorf("a stream of no highlights was answered with %d", a.status)
	}

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+page+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip") // as browsers do
	res, err := b.c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if kind := res.Header.Get("Content-Type"); kind != "text/event-stream" || res.Header.Get("Content-Encoding") != "" {
		t.Fatalf("%s, %s", kind, res.Header)
	}
	lines := bufio.NewScanner(res.Body)
	news := func() bool {
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "event: ") {
				return lines.Text() == "event: news"
			}
		}
		return false
	}
	if !news() {
		t.Fatal("no news to begin with")
	}
	// The next question is an hour away: this news comes by the report.
	v.finish("Ada paid twice.")
	report(t, v.address(t), reported)
	if !news() {
		t.Fatal("no news of the result")
	}
	b.until(page, "Ada paid twice.")
	for lines.Scan() { // it ends by itself: nothing changes any more
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	if a := b.get(page); strings.Contains(a.body, "/events") {
		t.Error("a page of ended highlights listens")
	}
}
