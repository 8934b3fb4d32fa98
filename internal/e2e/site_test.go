package e2e_test

import (
	"testing"

	"sightline/internal/services/sandbox"
)

// site is Sightline over stand-ins, with an organization, an account for each
// role and both connections, as a script would set it up. Sync is off: what is
// counted is what people ask.
type site struct {
	*server
	box      *sandbox.Sandbox
	settings []string
}

// sitePassword opens every account of a site.
const sitePassword = "planted-password-7731"

// newSite sets a site up from the command line and starts it.
func newSite(t *testing.T, o sandbox.Options) *site {
	t.Helper()
	if o.Customers == 0 {
		o.Customers, o.Sessions, o.Days = 200, 4000, 60
	}
	if o.HighlightDelay == 0 {
		o.HighlightDelay = -1
	}
	s := &site{box: standIns(t, o)}
	s.settings = append(vendors(s.box), dataDir(t), "SIGHTLINE_ORG=acme")
	must(t, s.settings, "", "org", "create", "--name=Acme")
	for _, role := range []string{"viewer", "support", "admin", "owner"} {
		must(t, s.settings, sitePassword+"\n", "admin", "create", "--role="+role, "--email="+role+"@example.com", "--name=The "+role)
	}
	cr := s.box.Credentials()
	must(t, s.settings, cr.RaygunAPIKey+"\n"+cr.RaygunClientID+"\n"+cr.RaygunClientSecret+"\n", "connection", "add", "--vendor=raygun", "--name=Shop", "--sync=no")
	must(t, s.settings, cr.LogRocketKey+"\n", "connection", "add", "--vendor=logrocket", "--name=Web")
	s.server = serve(t, s.settings...)
	return s
}

// visitor is somebody of the site who has signed in.
func (s *site) visitor(t *testing.T, role string) *visitor {
	t.Helper()
	v := newVisitor(t, s.address)
	v.signIn(role+"@example.com", sitePassword)
	return v
}
