package handlers_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"sightline/internal/services"
)

// recordingID is a recording that began at a moment, as LogRocket writes it.
func recordingID(began time.Time) string {
	hex := fmt.Sprintf("%012x", began.UnixMilli())
	return "6-" + hex[:8] + "-" + hex[8:] + "-7e2f-8a3b-4c5d6e7f8091"
}

func part(began time.Time, session int, text string) map[string]any {
	return map[string]any{"recordingID": recordingID(began), "sessionID": session, "highlights": text}
}

// result has a reporter answer a request about email with a result, and returns
// the page that shows it.
func (v *reporter) result(t *testing.T, b *browser, email, text, shown string, parts ...any) string {
	t.Helper()
	v.mu.Lock()
	v.hook, v.text, v.parts, v.id = "", "", nil, ""
	v.mu.Unlock()
	a := b.post("/o/acme/highlights", "connection", "1", "by", "email", "subject", email, "question", text, "token", email+text)
	if a.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", a.status, a.body)
	}
	hook := v.address(t)
	b.until(a.location, "LogRocket is working on it")
	v.mu.Lock()
	v.text, v.parts = text, parts
	v.mu.Unlock()
	report(t, hook, reported)
	b.until(a.location, shown)
	return a.location
}

func TestResultsSayWhatSpeaksAgainstThem(t *testing.T) {
	v := &reporter{}
	s := newReporter(t, v)
	b := s.as(t, "support@example.com")
	now := time.Now()
	fine := part(now.Add(-time.Hour), 1, "She paid.")
	link := fmt.Sprintf("[clicks](%s/acme/web/s/%s/1?t=%d)", v.URL, recordingID(now.Add(-time.Hour)), now.Add(-time.Hour+192*time.Second).UnixMilli())
	page := b.get(v.result(t, b, "ada@example.com", "Ada "+link, "Recording session 1 of 1", fine))
	page.wants(t, http.StatusOK, "clicks</a>", ", +3:12)", "Beside Raygun", "No Raygun connection", "ticket-markdown")
	for _, not := range []string{"range that was asked for", "named no recording", "another customer", "Its links lead"} {
		if strings.Contains(page.body, not) {
			t.Errorf("a result as expected is doubted: %q", not)
		}
	}
	b.get(v.result(t, b, "bob@example.com", "Bob "+link, "Recording session 2 of 2", fine, part(now.AddDate(0, 0, -2), 1, "x"))).wants(t, http.StatusOK,
		"LogRocket told of this recording for another customer too: ada@example.com")
	b.get(v.result(t, b, "cy@example.com", "old", "Recording session 1 of 1", part(now.AddDate(0, 0, -90), 1, "x"))).wants(t, http.StatusOK,
		"None of the recordings", "more than a day before the range")
	b.get(v.result(t, b, "di@example.com", "new", "Recording session 1 of 1", part(now.AddDate(0, 0, 9), 1, "x"))).wants(t, http.StatusOK, "began after the range")
	b.get(v.result(t, b, "ed@example.com", "no parts", "ticket-markdown")).wants(t, http.StatusOK, "LogRocket named no recording session with this text")
	b.get(v.result(t, b, "flo@example.com", "elsewhere "+link, "Recording session 1 of 1", part(now.AddDate(0, 0, -3), 1, "x"))).wants(t, http.StatusOK,
		"Its links lead to a recording that is not among the sessions")
}

func TestTwoResultsOfACustomerAreCompared(t *testing.T) {
	v := &reporter{}
	s := newReporter(t, v)
	b := s.as(t, "support@example.com")
	now := time.Now()
	kept, gone, came := now.Add(-3*time.Hour), now.Add(-2*time.Hour), now.Add(-time.Hour)
	first := v.result(t, b, "ada@example.com", "Ada paid twice.", "Recording session 2 of 2", part(kept, 1, "She opened the cart."), part(gone, 1, "She was bored."))
	if strings.Contains(b.get(first).body, "What changed") {
		t.Error("the only result is offered to be compared")
	}
	b.get(first+"/changes").wants(t, http.StatusOK, "Nothing to compare with")
	second := v.result(t, b, "ada@example.com", "Ada paid three times.", "Recording session 2 of 2", part(came, 1, "She came <b>back</b>."), part(kept, 1, "She opened the cart."))
	b.get(second).wants(t, http.StatusOK, second+"/changes")
	// By itself the one before; the same from the other side.
	for _, path := range []string{second + "/changes", first + "/changes", first + "/changes?with=" + second[strings.LastIndex(second, "/")+1:]} {
		b.get(path).wants(t, http.StatusOK, `<ins class="diff"><span class="sr-only">[new: </span>three times.`, `<del class="diff"><span class="sr-only">[gone: </span>twice.`,
			"New recording sessions: 1", "She came &lt;b&gt;back&lt;/b&gt;.", "Gone recording sessions: 1", "She was bored.", "Recording sessions in both: 1", "1 recording session with the same words in both")
	}
	other := v.result(t, b, "bob@example.com", "Bob left.", "Recording session 1 of 1", part(came, 2, "x"))
	b.get(first+"/changes?with="+other[strings.LastIndex(other, "/")+1:]).wants(t, http.StatusUnprocessableEntity, "Two results of the same customer")
	b.get(first+"/changes?with=999").wants(t, http.StatusNotFound)
}

func TestEachEndOfARequestHasItsSentence(t *testing.T) {
	v := &reporter{pace: services.HighlightOptions{FirstPoll: 20 * time.Millisecond, MaxPoll: 50 * time.Millisecond, Deadline: 4 * time.Second}}
	s := newReporter(t, v)
	b := s.as(t, "support@example.com")
	answer := func(status string, parts []any) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.status, v.parts = status, parts
	}
	answer("COMPLETE", []any{})
	b.until(askAbout(t, b, "ada@example.com"), "LogRocket found nothing to tell", "Ask again")

	answer("FAILED", nil)
	failed := askAbout(t, b, "bob@example.com")
	page := b.until(failed, "could not make these highlights", "Ask again · a new paid job")
	again := regexp.MustCompile(`/o/acme/highlights/new\?again=[0-9]+`).FindString(page.body)
	if form := b.get(again).fields(t, "/o/acme/highlights"); form.Get("subject") != "bob@example.com" {
		t.Errorf("asking again opens %v", form)
	}

	answer("MUSING", nil)
	slow := askAbout(t, b, "cy@example.com")
	b.until(slow, "It says “MUSING”")
	b.until(slow, "It took too long", "LogRocket has not finished in time", "Look again · no new job")
}
