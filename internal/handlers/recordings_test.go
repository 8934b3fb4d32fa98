package handlers_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

const recordingsAt = "/o/acme/exports"

// events is a file of one session that went wrong.
func recordedFile(start time.Time, email string) []byte {
	var b strings.Builder
	line := func(after int, rest string) {
		fmt.Fprintf(&b, `{"time":%d,%s}`+"\n", start.UnixMilli()+int64(after), rest)
	}
	line(0, `"type":"lr.Metadata","recordingID":"6-01a1f8ed-ce92-7be1-ac74-cb368594fabc","sessionID":4,"browser":"Firefox","os":"Linux","release":"4.2"`)
	line(10, fmt.Sprintf(`"type":"lr.Identify","userID":"u-77","userTraits":{"email":%q,"name":"Grace <b>Hopper"}`, email))
	line(20, `"type":"navigation","url":"https://shop.example.com/checkout?coupon=1","title":"Checkout"`)
	line(1000, `"type":"lr.network.RequestEvent","reqId":"r1","url":"https://api.example.com/pay/77","method":"POST"`)
	line(3500, `"type":"lr.network.ResponseEvent","reqId":"r1","status":502,"headers":{"content-length":"99"}`)
	line(3600, `"type":"lr.core.Exception","errorType":"TypeError","message":"<script>alert(1)</script> is no function","stackTrace":[{"functionName":"pay","url":"https://shop.example.com/app.js","lineNumber":3,"columnNumber":9}]`)
	line(3700, `"type":"lr.core.LogEvent","logLevel":"error","args":["payment failed", 502]`)
	line(65000, `"type":"lr.CustomEvent","name":"gave up"`)
	for n := range 400 {
		line(66000+n*10, fmt.Sprintf(`"type":"click","text":"again %d","selector":"main button"`, n))
	}
	b.WriteString("not json\n")
	return []byte(b.String())
}

// recorded uploads a file and returns the page of the recording in it.
func (b *browser) recorded(file []byte) string {
	b.t.Helper()
	a := b.upload(filesAt, "", "one.jsonl", file)
	a.wants(b.t, http.StatusSeeOther)
	page := b.until(a.location, ">Read<")
	at := regexp.MustCompile(recordingsAt + `/\d+`).FindString(page.body)
	if at == "" {
		b.t.Fatal("the file's page leads to no recording")
	}
	return at
}

func TestARecordingIsReadThroughThePages(t *testing.T) {
	r := newRocket(t, sandbox.Options{})
	b := r.as(t, "owner@example.com")
	email := r.box.Company().Demo()[0].Email
	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	at := b.recorded(recordedFile(start, email))

	page := b.get(at)
	page.wants(t, 200, "Firefox", "u-77", email, "/s/6-01a1f8ed-ce92-7be1-ac74-cb368594fabc/4", "POST https://api.example.com/pay/77", ">502<", "gave up", "0:03", "100 events")
	if strings.Contains(page.body, "<script>alert(1)") || strings.Contains(page.body, "Grace <b>") {
		t.Error("what was recorded stands in the page as markup")
	}
	if n := strings.Count(page.body, `class="lane-bar"`); n != 7 {
		t.Errorf("%d lanes are drawn", n)
	}
	next := regexp.MustCompile(`href="([^"]*from=\d+[^"]*)"`).FindStringSubmatch(page.body)
	if next == nil {
		t.Fatal("no next page of events")
	}
	b.get(strings.ReplaceAll(next[1], "&amp;", "&")).wants(t, 200, "again 191", "before=")

	for address, tt := range map[string]struct{ has, lacks string }{
		at + "?failed=1":                      {"payment failed", "gave up"},
		at + "?lane=custom":                   {"gave up", "again 1<"},
		at + "?lane=custom&lane=navigation":   {"Checkout", "payment failed"},
		at + "?q=AGAIN+399":                   {"again 399", "again 398"},
		at + "?view=console":                  {"payment failed", "gave up"},
		at + "?view=errors":                   {"at pay (https://shop.example.com/app.js:3:9)", "gave up"},
		at + "?view=requests":                 {"2.5 s", "gave up"},
		at + "?view=requests&q=nothing":       {"No requests", "2.5 s"},
		at + "?view=requests&order=slowest":   {"99 B", "gave up"},
		at + "?jump=1:05":                     {`id="e7" class="is-here"`, `id="e1"`},
		at + "?event=7":                       {`id="e7" class="is-here"`, `id="e1"`},
		at + "?q=zebra":                       {"Nothing here", "gave up"},
		recordingsAt:                          {at, "Nothing found"},
		recordingsAt + "?q=payment":           {at + "?event=6#e6", "gave up"},
		recordingsAt + "?failed=1":            {at + "?event=4#e4", "gave up"},
		recordingsAt + "?what=custom":         {"gave up", "payment failed"},
		recordingsAt + "?q=pay/77":            {"POST https://api.example.com/pay/", "Nothing found"},
		recordingsAt + "?q=zebra":             {"Nothing found", at},
		recordingsAt + "?until=2020-01-01":    {"None began in these days", at},
		recordingsAt + "/patterns":            {"gave up", "No custom events"},
		at + "/events/5":                      {"is no function", "gave up"},
		recordingsAt + "?what=error&q=functi": {"is no function", "gave up"},
	} {
		a := b.get(address)
		if a.status != 200 || !strings.Contains(a.body, tt.has) || strings.Contains(a.body, tt.lacks) {
			t.Errorf("%s: status %d, has %q: %t, has %q: %t", address, a.status, tt.has, strings.Contains(a.body, tt.has), tt.lacks, strings.Contains(a.body, tt.lacks))
		}
	}
	for address, status := range map[string]int{
		at + "?jump=soon": 422, at + "/events/9999": 404, at + "/events/x": 404, recordingsAt + "/99": 404, recordingsAt + "?from=x": 422,
		recordingsAt + "?about=nobody@example.com": 422, recordingsAt + "?text=9999": 404, recordingsAt + "?customer=9999": 404,
		recordingsAt + "/patterns?from=2020-01-01": 422, at + "?event=99999999999": 200, at + "?at=-5": 200, recordingsAt + "?before=x.y.z&q=a": 200,
	} {
		if a := b.get(address); a.status != status {
			t.Errorf("%s: %d, want %d", address, a.status, status)
		}
	}
	// By the customer, whom the file names.
	found := b.get(recordingsAt + "?about=" + url.QueryEscape(email))
	found.wants(t, http.StatusSeeOther)
	b.get(found.location).wants(t, 200, at, "Customer")
	customer := regexp.MustCompile(`/o/acme/customers/\d+`).FindString(page.body)
	b.get(customer).wants(t, 200, "Recording: 408 events", at)

	// Taken away for good, by who may.
	remove := at + "/remove"
	if a := r.as(t, "support@example.com").get(at); a.status != 200 || strings.Contains(a.body, remove) {
		t.Errorf("support is offered to remove it (%d)", a.status)
	}
	b.get(at).wants(t, 200, remove)
	b.post(remove).wants(t, http.StatusSeeOther)
	for address, status := range map[string]int{at: 404, at + "/events/5": 404, recordingsAt: 200, recordingsAt + "?q=payment": 200, customer: 200} {
		if a := b.get(address); a.status != status || strings.Contains(a.body, at+`"`) || strings.Contains(a.body, at+"?") {
			t.Errorf("%s still leads to what was removed (%d)", address, a.status)
		}
	}
	b.post(remove).wants(t, 404)
	b.get("/o/acme/history?kind=export").wants(t, 200, "Removed a recording of")
}

// TestARecordingAndASessionAreOneVisit has Raygun and LogRocket see the same
// person at the same time.
func TestARecordingAndASessionAreOneVisit(t *testing.T) {
	r := newRocket(t, sandbox.Options{})
	b := r.as(t, "owner@example.com")
	cr := r.box.Credentials()
	if _, problems, err := r.services.Connections.Add(t.Context(), services.CommandLine(r.org.ID), services.ConnectionForm{
		Vendor: services.Raygun, Name: "Shop", APIKey: services.NewSecret(cr.RaygunAPIKey), ClientID: services.NewSecret(cr.RaygunClientID), ClientSecret: services.NewSecret(cr.RaygunClientSecret),
	}); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	email := r.box.Company().Demo()[0].Email
	b.post("/o/acme/lookup/ask", "q", email, "connection", "2")
	customer := b.led("/o/acme/lookup?q="+url.QueryEscape(email), "/customers/")
	session := sessionOf(b.get(customer).body)
	began := regexp.MustCompile(`Began (\d+ \w+ \d+, [0-9:]+) UTC`).FindStringSubmatch(b.get(session).body)
	start, err := time.Parse("2 Jan 2006, 15:04:05", began[1])
	if err != nil {
		t.Fatal(err)
	}
	at := b.recorded(recordedFile(start.Add(5*time.Second), email))
	b.get(at).wants(t, 200, "The same visit at Raygun", session)
	b.get(session).wants(t, 200, "The same visit as a recording", at)
	b.get(customer).wants(t, 200, "the same visit as the session of")
}

// A request whose answer is not in the file is none that failed, and the page
// that counts failures does not promise it.
func TestARequestWithoutAnAnswerIsNoFailure(t *testing.T) {
	r := newRocket(t, sandbox.Options{})
	b := r.as(t, "owner@example.com")
	b.recorded([]byte(`{"time":` + fmt.Sprint(time.Now().UnixMilli()) + `,"type":"lr.network.RequestEvent","reqId":"r1","url":"https://api.example.com/pay/77","method":"POST"}` + "\n"))
	page := b.get(recordingsAt + "/patterns")
	page.wants(t, 200, "No request failed.")
	if strings.Contains(page.body, "not at all") {
		t.Error("failing endpoints are said to have the requests that were not answered at all")
	}
}

// A recording that was removed comes back out of its file.
func TestAFileThatWasReadIsReadAgain(t *testing.T) {
	r := newRocket(t, sandbox.Options{})
	b := r.as(t, "owner@example.com")
	at := b.recorded(recordedFile(time.Now().Add(-time.Hour), "grace@example.com"))
	file := regexp.MustCompile(recordingsAt + `/files/\d+`).FindString(b.get(at).body)
	b.post(at+"/remove").wants(t, http.StatusSeeOther)
	b.get(at).wants(t, http.StatusNotFound)
	b.get(file).wants(t, 200, "Read again")
	if viewer := r.as(t, "viewer@example.com").get(file); strings.Contains(viewer.body, "Read again") {
		t.Error("a viewer is offered to read it again")
	}
	b.post(file+"/again").wants(t, http.StatusSeeOther)
	page := b.until(file, ">Read<", "408", "Uploaded by owner@example.com")
	if again := regexp.MustCompile(recordingsAt + `/\d+`).FindString(page.body); again == "" {
		t.Error("the recording did not come back")
	}
}
