package handlers_test

import (
	"fmt"
	"strings"
	"testing"

	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

// vendors starts both stand-ins with a small company behind them.
func vendors(t *testing.T, o sandbox.Options) (*sandbox.Sandbox, services.Vendors) {
	t.Helper()
	o.Customers, o.Sessions, o.Days = 20, 100, 5
	box, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Close(); err != nil {
			t.Errorf("close the stand-ins: %v", err)
		}
	})
	return box, services.Vendors{RaygunURL: box.RaygunURL(), LogRocketURL: box.LogRocketURL(), LogRocketAppURL: box.LogRocketAppURL()}
}

const connectionsPath = "/o/acme/settings/connections"

func TestConnectionIsAddedTestedAndRemoved(t *testing.T) {
	t.Parallel()
	box, v := vendors(t, sandbox.Options{})
	s := newSite(t, v)
	b, keys := s.as(t, "admin@example.com"), box.Credentials()
	if a := b.get("/o/acme/settings"); a.status != 303 || a.location != connectionsPath {
		t.Errorf("settings: %d to %q", a.status, a.location)
	}
	b.get(connectionsPath).wants(t, 200, "No connections yet", "Add a connection")
	b.get(connectionsPath+"/new").wants(t, 200, "Connect Raygun", "Connect LogRocket")
	b.get(connectionsPath+"/new?vendor=raygun").wants(t, 200, `for="api_key"`, `for="client_id"`, `for="client_secret"`, `type="password"`, `autocomplete="off"`)

	a := b.post(connectionsPath, "vendor", "raygun", "name", "Acme <web>", "api_key", keys.RaygunAPIKey, "client_id", keys.RaygunClientID, "client_secret", " "+keys.RaygunClientSecret+"\n")
	if a.status != 303 {
		t.Fatalf("add: %d\n%s", a.status, a.body)
	}
	here := a.location
	page := b.until(here, "Acme &lt;web&gt;", "Raygun accepted the keys", "Works", "50 of 50")
	b.get(connectionsPath).wants(t, 200, "0 of 50 spent, 50 left", "Works")

	b.post(here+"/name", "name", " ").wants(t, 422, "Give the connection a name")
	if a := b.post(here+"/name", "name", "Shop"); a.status != 303 {
		t.Errorf("rename: %d", a.status)
	}
	b.post(here+"/budget", "allowance", "20", "reserve", "thirty").wants(t, 422, "from 0 up to the calls a day", `value="thirty"`)
	if a := b.post(here+"/budget", "allowance", "20", "reserve", "5"); a.status != 303 {
		t.Errorf("budget: %d", a.status)
	}
	b.post(here+"/credentials").wants(t, 422, "Nothing was typed, so nothing was replaced.")
	if a := b.post(here+"/credentials", "client_secret", "planted-wrong"); a.status != 303 {
		t.Errorf("rotate: %d", a.status)
	}
	page = b.until(here, "Shop", "20 of 20", "Does not work", "does not accept the credentials (status 401")
	b.get(here+"/remove").wants(t, 200, "Remove “Shop”?", "Keep it", `method="post"`)
	if a := b.post(here + "/remove"); a.status != 303 || a.location != connectionsPath {
		t.Errorf("remove: %d to %q", a.status, a.location)
	}
	b.get(connectionsPath).wants(t, 200, "Removed", "Shop")
	b.get(here).wants(t, 200, "This connection was removed", "Erased")
	b.post(here+"/test").wants(t, 409, "was removed already")

	all := page.body + s.log.String()
	for _, secret := range []string{keys.RaygunAPIKey, keys.RaygunClientID, keys.RaygunClientSecret, "planted-wrong"} {
		if strings.Contains(all, secret) {
			t.Errorf("the secret %q stands on the page or in the log", secret)
		}
	}
}

func TestConnectionFormKeepsWhatWasTypedButNoSecret(t *testing.T) {
	t.Parallel()
	box, v := vendors(t, sandbox.Options{})
	s := newSite(t, v)
	b := s.as(t, "admin@example.com")
	a := b.post(connectionsPath, "vendor", "logrocket", "name", "Recordings", "key", "acme:web:planted-s3cret", "org_slug", "acme", "app_slug", "shop")
	a.wants(t, 422, "The key is for the app acme/web, but acme/shop was typed.", `value="Recordings"`, `value="shop"`, "although the key names another app", `aria-invalid="true"`)
	if strings.Contains(a.body, "planted") {
		t.Error("the key came back with the form")
	}
	a = b.post(connectionsPath, "vendor", "logrocket", "name", "Recordings", "key", box.Credentials().LogRocketKey)
	if a.status != 303 {
		t.Fatalf("add: %d\n%s", a.status, a.body)
	}
	b.get(a.location).wants(t, 200, "LogRocket accepted the key for acme/web", "not counted")
	b.post(connectionsPath, "vendor", "elsewhere", "name", "x").wants(t, 422, "Choose Raygun or LogRocket.")
	b.post(connectionsPath, "vendor", "raygun", "name", "Recordings").wants(t, 422, "Paste the API key here.", "3 fields need your attention")
}

func TestOnlyAdminsChangeConnections(t *testing.T) {
	t.Parallel()
	box, v := vendors(t, sandbox.Options{})
	s := newSite(t, v)
	admin, viewer := s.as(t, "admin@example.com"), s.as(t, "viewer@example.com")
	a := admin.post(connectionsPath, "vendor", "logrocket", "name", "Recordings", "key", box.Credentials().LogRocketKey)
	viewer.get(connectionsPath).wants(t, 200, "Recordings", "members with the role admin or owner")
	page := viewer.get(a.location)
	page.wants(t, 200, "Works", "members with the role admin or owner")
	if strings.Contains(page.body, a.location+"/") {
		t.Error("a viewer is offered a form that would refuse them")
	}
	viewer.get(connectionsPath+"/new").wants(t, 403)
	viewer.get(a.location+"/remove").wants(t, 403)
	viewer.post(connectionsPath, "vendor", "raygun", "name", "x").wants(t, 403)
	for _, form := range []string{"test", "name", "credentials", "budget", "remove"} {
		viewer.post(a.location+"/"+form, "name", "x").wants(t, 403)
	}

	other, err := s.services.People.AddOrganization(t.Context(), "other", "Other")
	if err != nil {
		t.Fatal(err)
	}
	s.member(t, other, "eve@example.com", services.Owner)
	eve := s.as(t, "eve@example.com")
	eve.get(a.location).wants(t, 404)
	theirs := strings.Replace(a.location, "/o/acme/", "/o/other/", 1)
	for _, path := range []string{theirs, theirs + "/remove", "/o/other/settings/connections/0", "/o/other/settings/connections/x"} {
		eve.get(path).wants(t, 404)
	}
	for _, form := range []string{"test", "name", "credentials", "budget", "remove"} {
		eve.post(theirs+"/"+form, "name", "x", "key", "a:b:c", "allowance", "1", "reserve", "1").wants(t, 404)
	}
	admin.get(a.location).wants(t, 200, "Recordings", "Works")
}

func TestDeadVendorDoesNotHoldThePageUp(t *testing.T) {
	t.Parallel()
	box, v := vendors(t, sandbox.Options{})
	s := newSite(t, v)
	b, keys := s.as(t, "admin@example.com"), box.Credentials()
	remove := box.Fault(sandbox.Fault{Vendor: sandbox.Raygun, Kind: sandbox.FaultLatency, Latency: 6e9})
	defer remove()
	a := b.post(connectionsPath, "vendor", "raygun", "name", "Slow", "api_key", keys.RaygunAPIKey, "client_id", keys.RaygunClientID, "client_secret", keys.RaygunClientSecret)
	if a.status != 303 {
		t.Fatal(a.status)
	}
	b.get(a.location).wants(t, 200, "The test is under way.", "Testing “Slow”…", fmt.Sprintf("hx-get=%q", "/o/acme/asks/1?about=Testing+%E2%80%9CSlow%E2%80%9D"))
}
