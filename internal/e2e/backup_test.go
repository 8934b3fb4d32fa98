package e2e_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sightline/internal/services/sandbox"
	"sightline/internal/services/secrets"
)

func TestBackupsAreMadeWhileServingAndPutBack(t *testing.T) {
	t.Parallel()
	box := standIns(t, sandbox.Options{Customers: 10, Sessions: 20, Days: 2})
	data := dataDir(t)
	dir := strings.TrimPrefix(data, "SIGHTLINE_DATA_DIR=")
	settings := append(vendors(box), data, "SIGHTLINE_ORG=acme")
	must(t, settings, "", "org", "create", "--name=Acme")
	must(t, append(settings, "SIGHTLINE_LOGROCKET_KEY="+box.Credentials().LogRocketKey), "", "connection", "add", "--vendor=logrocket", "--name=Web")
	must(t, settings, sitePassword+"\n", "admin", "create", "--email=owner@example.com")
	p := serve(t, settings...)
	must(t, settings, "", "backup", "now")
	files, err := filepath.Glob(filepath.Join(dir, "backups", "sightline-*.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the backups are %v, %v", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v, %v; want mode 0600", info, err)
	}
	must(t, settings, sitePassword+"\n", "admin", "create", "--email=later@example.com")
	if r := run(t, settings, "", "backup", "restore", "--from="+files[0]); r.status != 1 || !strings.Contains(r.err, "stop it first") {
		t.Errorf("restoring while serving: status %d, %q", r.status, r.err)
	}
	p.stop()

	// What cannot be restored leaves everything as it was.
	broken := filepath.Join(t.TempDir(), "broken.db")
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]string{"LogRocket's key": box.Credentials().LogRocketKey, "a password": sitePassword} {
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("the backup holds %s", what)
		}
	}
	if err := os.WriteFile(broken, b[:len(b)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	for name, add := range map[string]string{"half a backup": "", "another master key": "SIGHTLINE_MASTER_KEY=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="} {
		from := broken
		if add != "" {
			from = files[0]
		}
		if r := run(t, append(settings, add), "", "backup", "restore", "--from="+from); r.status != 1 {
			t.Errorf("%s was restored: %q", name, r.out)
		}
	}
	p = serve(t, settings...)
	newVisitor(t, p.address).signIn("later@example.com", sitePassword)
	p.stop()

	out := must(t, settings, "", "backup", "restore", "--from="+files[0])
	_, aside, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(out), "."), "before is ")
	if _, err := os.Stat(aside); err != nil {
		t.Errorf("the database of before is not there: %v\n%s", err, out)
	}
	p = serve(t, settings...)
	newVisitor(t, p.address).signIn("owner@example.com", sitePassword)
	v := newVisitor(t, p.address)
	if a := v.open("/login").submit("/login", map[string][]string{"email": {"later@example.com"}, "password": {sitePassword}}); a.status != http.StatusUnprocessableEntity {
		t.Errorf("an account made after the backup signs in: %d", a.status)
	}
	must(t, settings, "", "connection", "test", "--name=Web")
	for range 2 {
		must(t, settings, "", "backup", "now", "--keep=1", "--to="+filepath.Join(dir, "kept"))
	}
	if files, err := os.ReadDir(filepath.Join(dir, "kept")); err != nil || len(files) != 1 {
		t.Errorf("of two backups %v stayed, %v", files, err)
	}
}

func TestKeysAreRotated(t *testing.T) {
	t.Parallel()
	box := standIns(t, sandbox.Options{Customers: 10, Sessions: 20, Days: 2})
	data := dataDir(t)
	settings := append(vendors(box), data, "SIGHTLINE_ORG=acme")
	must(t, settings, "", "org", "create", "--name=Acme")
	must(t, append(settings, "SIGHTLINE_LOGROCKET_KEY="+box.Credentials().LogRocketKey), "", "connection", "add", "--vendor=logrocket", "--name=Web")
	p := serve(t, settings...)
	if r := run(t, settings, "", "keys", "rotate"); r.status != 1 || !strings.Contains(r.err, "stop it first") {
		t.Errorf("rotating while serving: status %d, %q", r.status, r.err)
	}
	p.stop()
	must(t, settings, "", "keys", "rotate")
	must(t, settings, "", "connection", "test", "--name=Web")

	fresh := secrets.NewMasterKey().Reveal()
	if out := must(t, append(settings, "SIGHTLINE_NEW_MASTER_KEY="+fresh), "", "keys", "rotate"); strings.Contains(out, fresh) || !strings.Contains(out, "master.key before the next start") {
		t.Errorf("rotating said %q", out)
	}
	if r := run(t, settings, "", "connection", "test", "--name=Web"); r.status != 1 || !strings.Contains(r.err, "does not open the secrets") {
		t.Errorf("the old master key: status %d, %q", r.status, r.err)
	}
	settings = append(settings, "SIGHTLINE_MASTER_KEY="+fresh)
	must(t, settings, "", "connection", "test", "--name=Web")
	must(t, settings, "", "doctor")
	serve(t, settings...)
}
