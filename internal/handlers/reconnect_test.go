package handlers_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

// within asks until ok, or fails.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// TestRemovedConnectionIsConnectedAgain: the sessions of an application that is
// connected again are the rows that were here, and those that come are of the
// same connection.
func TestRemovedConnectionIsConnectedAgain(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	start := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	now := func() time.Time { return start.Add(time.Duration(ahead.Load())) }
	s, sb := newSandboxSite(t, sandbox.Options{Customers: 60, Sessions: 1200, Days: 6, RaygunDailyLimit: 50, Now: now})
	b, k := s.as(t, "admin@example.com"), sb.Credentials()
	count := func(from, to time.Time) int64 {
		t.Helper()
		n, err := s.services.Sessions.Count(t.Context(), s.org.ID, services.SessionQuery{From: from, To: to})
		if err != nil {
			t.Fatal(err)
		}
		return n.Sessions
	}
	today := start.Truncate(24 * time.Hour)
	before := func() int64 { return count(today.AddDate(0, 0, -6), today) }

	const here = connectionsPath + "/1"
	filled := b.post("/o/acme/sessions/fill", hidden(t, b.get("/o/acme/sessions").body)...)
	filled.wants(t, http.StatusSeeOther)
	within(t, "the days are filled", func() bool {
		page := b.get(filled.location).body
		return !strings.Contains(page, "Fill now") && !strings.Contains(page, "being filled now")
	})
	had := before()
	if had < 1000 {
		t.Fatalf("%d sessions were filled", had)
	}
	b.post(here+"/budget", "allowance", "50", "reserve", "10", "share", "40", "sync", "1", "retention", "7", "detail_calls", "1").wants(t, http.StatusSeeOther)
	b.post(here+"/reconnect", "name", "Shop", "api_key", k.RaygunAPIKey, "client_id", k.RaygunClientID, "client_secret", k.RaygunClientSecret).wants(t, http.StatusConflict, "“Shop” is in use")
	b.post(here+"/remove").wants(t, http.StatusSeeOther)
	ahead.Add(int64(3 * time.Hour))

	page := b.get(here)
	page.wants(t, 200, "This connection was removed", "sessions are kept", `action="`+here+`/reconnect"`, `for="client_secret"`, "Another application needs a connection of its own.")
	if viewer := s.as(t, "viewer@example.com").get(here).body; strings.Contains(viewer, "/reconnect") || strings.Contains(viewer, "Connect again") {
		t.Error("a viewer is offered what they may not")
	}
	b.get(connectionsPath+"/new?vendor=raygun").wants(t, 200, `href="`+here+`"`, "was removed on 4 Mar 2026.", "so that its sessions are not here twice")
	for _, other := range []string{"raygun_v3", "logrocket"} {
		if strings.Contains(b.get(connectionsPath+"/new?vendor="+other).body, "was removed on") {
			t.Errorf("the form of %s names connections of another vendor", other)
		}
	}

	// What has to be corrected comes back, without secrets.
	wrong := b.post(here+"/reconnect", "name", "Shop <2>", "api_key", "planted-key")
	wrong.wants(t, 422, "Paste the client ID here.", "2 fields need your attention", `value="Shop &lt;2&gt;"`)
	if strings.Contains(wrong.body, "planted") {
		t.Error("a secret came back with the form")
	}
	keys := []string{"api_key", k.RaygunAPIKey, "client_id", k.RaygunClientID, "client_secret", k.RaygunClientSecret}
	b.post(here+"/reconnect", append(keys, "name", " ")...).wants(t, 422, "Give the connection a name")
	b.post(connectionsPath+"/2/name", "name", "Shop").wants(t, http.StatusSeeOther)
	b.post(here+"/reconnect", append(keys, "name", "Shop")...).wants(t, 422, "Another connection has this name already. Choose another one.")

	other, err := s.services.People.AddOrganization(t.Context(), "other", "Other")
	if err != nil {
		t.Fatal(err)
	}
	s.member(t, other, "eve@example.com", services.Owner)
	s.as(t, "eve@example.com").post("/o/other/settings/connections/1/reconnect", append(keys, "name", "Mine")...).wants(t, 404)
	for _, role := range []string{"viewer", "support"} {
		s.as(t, role+"@example.com").post(here+"/reconnect", append(keys, "name", "Store")...).wants(t, 403)
	}

	if a := b.post(here+"/reconnect", append(keys, "name", "Store")...); a.status != http.StatusSeeOther || a.location != here {
		t.Fatalf("connect again: %d to %q\n%s", a.status, a.location, a.body)
	}
	b.post(here+"/reconnect", append(keys, "name", "Store")...).wants(t, http.StatusConflict, "“Store” is in use")
	within(t, "sync goes on", func() bool { return count(start, start.Add(3*time.Hour)) > 0 })
	b.until(here, "Store", "Raygun accepted the keys", "Rotate credentials")
	within(t, "it rests", func() bool {
		st, err := s.services.Syncs.Status(t.Context(), s.org.ID, 1)
		return err == nil && st.State == services.SyncFollowing
	})
	if n := before(); n != had {
		t.Errorf("%d sessions before today, and %d were here before", n, had)
	}
	b.get(connectionsPath).wants(t, 200, "Store", "Works")
	b.get("/o/acme/history").wants(t, 200, "Connected the Raygun connection “Store” again")
	if strings.Contains(s.log.String(), "planted") || strings.Contains(s.log.String(), k.RaygunClientSecret) {
		t.Error("a secret is in the log")
	}
}

// TestWhatWasFollowedGoesOnAfterConnectingAgain: removal switches nothing off.
func TestWhatWasFollowedGoesOnAfterConnectingAgain(t *testing.T) {
	r := newRocket(t, sandbox.Options{})
	b := r.as(t, "owner@example.com")
	const here, follow = connectionsPath + "/1", "/o/acme/exports/follow/1"
	form := b.get(follow).fields(t, follow)
	form.Set("from", time.Now().UTC().AddDate(0, 0, -2).Format(time.DateOnly))
	b.send(follow, form).wants(t, http.StatusSeeOther)
	b.post(here+"/audit", "do", "on").wants(t, http.StatusSeeOther)
	b.until(filesAt, "All files are here")
	b.until("/o/acme/settings/audit", "Read to its end")
	b.post(here+"/remove").wants(t, http.StatusSeeOther)
	b.get(here).wants(t, 200, "Connect again", "What it brought is kept and goes on", `value="acme"`, "has to be made anew")
	audits, lists := r.box.CountCalls(sandbox.OpListAuditLogs), r.box.CountCalls(sandbox.OpListDataExports)
	b.post(here+"/reconnect", "name", "Web app", "key", "other:app:planted", "org_slug", "acme", "app_slug", "web").wants(t, 422, "The key is for the app other/app, but acme/web was typed.", "although the key names another app")
	b.post(here+"/reconnect", "name", "Web app", "key", r.box.Credentials().LogRocketKey).wants(t, http.StatusSeeOther)
	within(t, "the audit log is read on", func() bool { return r.box.CountCalls(sandbox.OpListAuditLogs) > audits })
	within(t, "the list of exports is looked at", func() bool { return r.box.CountCalls(sandbox.OpListDataExports) > lists })
	b.until("/o/acme/settings/audit", "Read to its end")
	b.until(filesAt, "All files are here")
}
