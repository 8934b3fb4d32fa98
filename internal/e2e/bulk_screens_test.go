package e2e_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// keptRocketScreens are those of what is kept of LogRocket: what changed
// between two results, the history of a trait and taking an edit back, bulk
// edits in every state that stays, and issue alerts.
func keptRocketScreens() []screen {
	const ada = "ada.lovelace@example.com"
	const file = "id,plan,note\nusr_ada,silver,\"" + `<b>bold</b> and a word thatislongerthananyphoneiswide_thatislongerthananyphoneiswide` + "\"\n" +
		"usr_grace,gold,fine\nusr_grace,gold,twice\n,none,nobody\n"
	return []screen{
		{name: "highlight-changes", find: func(t *testing.T, v *visitor) string {
			highlight(v, ada, "What went well?")
			return highlight(v, ada, "And what changed?") + "/changes"
		}},
		{name: "trait-history", find: func(t *testing.T, v *visitor) string {
			return lookUp(v, ada) + "/traits/history?" + url.Values{"connection": {"2"}, "user": {"usr_ada"}, "field": {"trait"}, "key": {"plan"}}.Encode()
		}},
		{name: "trait-undo", find: func(t *testing.T, v *visitor) string {
			edit := editTraitsOf(t, v, lookUp(v, ada), "ada-undone")
			return edit[:strings.LastIndex(edit, "/")] + "/edit?undo=" + edit[strings.LastIndex(edit, "/")+1:]
		}},
		{name: "bulk-columns", find: func(t *testing.T, v *visitor) string { return uploadBulk(v, file) + "/columns" }},
		{name: "bulk-planned", find: func(t *testing.T, v *visitor) string { return planBulk(v, file) }},
		{name: "bulk-done", find: func(t *testing.T, v *visitor) string { return sendBulk(v, file) }},
		{name: "bulk-undo", find: func(t *testing.T, v *visitor) string {
			page := v.open(sendBulk(v, strings.ReplaceAll(file, "silver", "bronze"))).submit("/undo", nil).url.Path
			eventually(t, "the undo is looked at", func() bool { return v.open(page).shows("Nothing has been sent yet") })
			return page
		}},
		{name: "bulks", path: "/o/acme/traits/bulk"},
		{name: "alerts-none", path: "/o/acme/alerts"},
		{name: "alerts", find: func(t *testing.T, v *visitor) string {
			alert(v)
			return "/o/acme/alerts"
		}},
	}
}

// uploadBulk uploads a file and returns where its bulk edit is.
func uploadBulk(v *visitor, file string) (path string) {
	v.t.Helper()
	p := v.open("/o/acme/traits/bulk")
	form, err := p.form("/traits/bulk")
	if err != nil {
		v.t.Fatal(err)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, values := range fields(form) {
		if name != "file" {
			err = w.WriteField(name, values[0])
		}
		if err != nil {
			v.t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "plans of <b>everybody</b>.csv")
	if err != nil {
		v.t.Fatal(err)
	}
	if _, err := part.Write([]byte(file)); err != nil {
		v.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		v.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.base+"/o/acme/traits/bulk", &body)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	p = v.do(req)
	p.wantStatus(http.StatusOK)
	return strings.TrimSuffix(p.url.Path, "/columns")
}

// planBulk makes a dry run of a file.
func planBulk(v *visitor, file string) (path string) {
	v.t.Helper()
	path = uploadBulk(v, file)
	v.open(path+"/columns").submit("/columns", url.Values{"step": {"plan"}})
	eventually(v.t, "the dry run is made", func() bool { return v.open(path).shows("Nothing has been sent yet") })
	return path
}

// sendBulk sends a file to its end.
func sendBulk(v *visitor, file string) (path string) {
	v.t.Helper()
	path = planBulk(v, file)
	v.open(path).submit("/send", url.Values{"rate": {"20"}})
	eventually(v.t, "the file is sent", func() bool { return v.open(path).shows("Undo: see what it would change") })
	return path
}

// alert has LogRocket send an alert with texts that nobody should have to read,
// and one that is none.
func alert(v *visitor) {
	v.t.Helper()
	p := v.post("/o/acme/settings/connections/2/alerts", url.Values{"do": {"new"}})
	for _, in := range all(p.doc, "input") {
		_, path, ok := strings.Cut(attr(in, "value"), "/webhooks/logrocket/")
		if !ok {
			continue
		}
		for _, body := range []string{
			`{"type":"IssuesAlert","title":"New","issue":{"issueType":"EXCEPTION","url":"javascript:alert(1)","firstSeen":1746809383,"sessionCount":10,"sessionRate":"1.2","label":"<img src=x> ` + strings.Repeat("long", 60) + `","issueDescription":"Somebody is logged out"}}`,
			"no alert",
		} {
			res, err := http.Post(v.base+"/webhooks/logrocket/"+path, "application/json", strings.NewReader(body))
			if err != nil {
				v.t.Fatal(err)
			}
			if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusNoContent {
				v.t.Fatalf("an alert was answered with %d, %v", res.StatusCode, err)
			}
		}
		return
	}
	v.t.Fatalf("no address for alerts:\n%s", p.text())
}
