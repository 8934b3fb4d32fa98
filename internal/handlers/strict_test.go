package handlers_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sightline/internal/services"
)

// TestMainJobAgainstServersWrittenFromTheDocuments does the main job over forms
// against servers that differ in all that the documents leave open.
func TestMainJobAgainstServersWrittenFromTheDocuments(t *testing.T) {
	plain := vendorForm{signIn: "GET", refusal: 405, signedIn: 202, created: 200, kind: "application/json; charset=utf-8", moments: iso("2006-01-02T15:04:05.000Z")}
	forms := []vendorForm{}
	add := func(name string, change func(*vendorForm)) {
		f := plain
		change(&f)
		f.name = name
		forms = append(forms, f)
	}
	add("to the letter", func(*vendorForm) {})
	add("below a path", func(f *vendorForm) { f.prefix, f.slash, f.refusal = "/vendors/both", true, 404 })
	add("POST to sign in, 200, 201", func(f *vendorForm) { f.signIn, f.signedIn, f.created = "POST", 200, 201 })
	add("a server that knows no POST", func(f *vendorForm) { f.refusal, f.signedIn = 501, 201 })
	add("text/plain, BOM, chunked, 202", func(f *vendorForm) {
		f.kind, f.mark, f.chunked, f.created, f.moments = "text/plain", true, true, 202, iso("2006-01-02T15:04:05")
	})
	add("packed, seven digits", func(f *vendorForm) {
		f.pack, f.chunked, f.moments = true, true, iso("2006-01-02T15:04:05.0000000Z07:00")
	})
	add("texts for numbers, other capitals", func(f *vendorForm) { f.loose, f.moments = true, iso("2006-01-02T15:04:05.000-0700") })
	add("next to nothing", func(f *vendorForm) { f.sparse, f.created = true, 204 })
	add("live", func(f *vendorForm) { f.live, f.signIn = true, "POST" })
	add("live without the slash", func(f *vendorForm) { f.live, f.noSlash, f.slash = true, true, true })
	add("highlights at once", func(f *vendorForm) { f.atOnce = true })
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			mainJobAgainst(t, newStrictVendor(t, f))
		})
	}
}

func mainJobAgainst(t *testing.T, v *strictVendor) {
	s := newSite(t, services.Vendors{RaygunURL: v.base(), LogRocketURL: v.base(), Timeout: 10 * time.Second})
	b := s.as(t, "owner@example.com")
	const connections = "/o/acme/settings/connections"
	a := b.post(connections, "vendor", "raygun", "name", "Shop", "api_key", strictKey, "client_id", strictClient, "client_secret", strictSecret)
	b.until(a.location, "gave out a session key")
	a = b.post(connections, "vendor", "logrocket", "name", "Web", "key", strictRocket)
	b.until(a.location, "accepted the key")

	lookup := "/o/acme/lookup?q=" + url.QueryEscape(strictEmail)
	b.get(lookup).wants(t, http.StatusOK, "Nobody here")
	b.post("/o/acme/lookup/ask", "q", strictEmail, "connection", "1")
	customer := b.led(lookup, "/customers/")
	page := b.get(customer)
	page.wants(t, http.StatusOK, "Ada Strict", strictEmail)
	if n := v.count("sessions"); n != 1 {
		t.Errorf("the lookup took %d calls", n)
	}
	b.post("/o/acme/sessions/1/detail", "again", "1")
	b.until("/o/acme/sessions/1", "https://shop.example/strict", "TypeError: strict", "1.2 s", "9007199254740993", v.start.Format("2 Jan 2006, 15:04:05 UTC"))
	if !v.form.sparse {
		b.get("/o/acme/sessions?span=7d&countries=nz&ratings=poor&connection=1").wants(t, http.StatusOK, `href="sessions/1"`)
		b.get("/o/acme/sessions/1").wants(t, http.StatusOK, "Wellington", "Windows", "oor")
	}

	traits := customer + "/traits"
	form := b.get(traits+"/edit?connection=2&user="+url.QueryEscape("a/b|ü@x")).fields(t, traits)
	form.Set("new-key", "plan")
	form.Set("new-value", "gold")
	preview := b.send(traits, form)
	preview.wants(t, http.StatusOK, "gold")
	sent := preview.fields(t, traits)
	sent.Set("step", "send")
	a = b.send(traits, sent)
	b.until(a.location, "has accepted the edit")
	if v.form.sparse {
		b.get(traits).wants(t, http.StatusOK, "gold")
	} else {
		b.get(traits).wants(t, http.StatusOK, "gold", "seats")
	}

	// What LogRocket accepted, it knows.
	if page := b.get(customer); !strings.Contains(page.body, "a/b|ü@x") || strings.Contains(page.body, "never seen by a vendor") {
		t.Errorf("the user id that LogRocket accepted is not among those that are known\n%s", page.body)
	}
	a = b.post("/o/acme/highlights", "connection", "2", "by", "email", "subject", strictEmail, "question", "Why?", "range", "7d", "token", "t")
	b.until(a.location, "Strictly spoken", "<strong>left</strong>")
	a = b.post("/o/acme/highlights", "connection", "2", "by", "user_id", "subject", "u-2", "range", "7d", "token", "t2")
	b.until(a.location, "Strictly spoken", "/o/acme/customers/2")
	b.get("/o/acme/customers/2").wants(t, http.StatusOK, "u-2")
	if page := b.get("/o/acme/customers/2"); strings.Contains(page.body, "never seen by a vendor") {
		t.Error("LogRocket has told what a user did whom it is said never to have seen")
	}
	if n := v.count("create"); n != 2 {
		t.Errorf("highlights were asked for %d times", n)
	}
	b.get("/o/acme/history").wants(t, http.StatusOK, "Shop", "plan", "updateUser", "createHighlights")
	if !v.form.atOnce {
		b.get("/o/acme/calls").wants(t, http.StatusOK, "in the background, for what they asked")
	}
	for _, secret := range []string{strictKey, strictClient, strictSecret, strictRocket, strictToken} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

// led loads a page until it leads elsewhere, and returns where to.
func (b *browser) led(path, to string) string {
	b.t.Helper()
	var a answer
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if a = b.get(path); strings.Contains(a.location, to) {
			return a.location
		}
	}
	b.t.Fatalf("%s never led to %s: %d\n%s", path, to, a.status, a.body)
	return ""
}
