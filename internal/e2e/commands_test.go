package e2e_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

func TestVersionIsPrinted(t *testing.T) {
	t.Parallel()
	if out := must(t, nil, "", "version"); !strings.HasPrefix(out, "sightline ") {
		t.Errorf("version printed %q", out)
	}
}

func TestEveryFaultOfTheConfigurationIsToldAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	settings := []string{
		"SIGHTLINE_LISTEN=nonsense", "SIGHTLINE_DATA_DIR=" + file, "SIGHTLINE_MASTER_KEY=tooshort-s3cret",
		"SIGHTLINE_RAYGUN_URL=ftp://x", "SIGHTLINE_LOGROCKET_URL=https://user:planted-pw@logrocket.example", "SIGHTLINE_BASE_URL=https://x.example/path",
		"SIGHTLINE_LOG_FORMAT=xml", "SIGHTLINE_LOG_LEVEL=loud", "SIGHTLINE_ADMIN_EMAIL=nobody", "SIGHTLINE_ADMIN_PASSWORD=short", "SIGHTLINE_TRUST_PROXY=perhaps",
	}
	r := run(t, settings, "", "serve")
	if r.status != 2 {
		t.Errorf("status %d, want 2", r.status)
	}
	for _, name := range []string{
		"LISTEN", "DATA_DIR", "MASTER_KEY", "RAYGUN_URL", "LOGROCKET_URL", "BASE_URL", "LOG_FORMAT", "LOG_LEVEL", "ADMIN_EMAIL", "TRUST_PROXY",
	} {
		if !strings.Contains(r.err, "SIGHTLINE_"+name) {
			t.Errorf("the fault of SIGHTLINE_%s was not told", name)
		}
	}
	if !strings.Contains(r.err, "at least 10 characters") {
		t.Error("the short password was not told")
	}
	for _, secret := range []string{"tooshort-s3cret", "planted-pw"} {
		if strings.Contains(r.err+r.out, secret) {
			t.Errorf("the secret %q was repeated", secret)
		}
	}
	if t.Failed() {
		t.Log(r.err)
	}
}

func TestCommandLineFaultsAreToldInASentence(t *testing.T) {
	t.Parallel()
	data := "--data-dir=" + t.TempDir()
	tests := []struct {
		name, want string
		args       []string
	}{
		{"unknown command", `no command "srve"`, []string{"srve"}},
		{"unknown flag", "-nope", []string{"serve", "--nope"}},
		{"stray argument", "takes flags only", []string{"admin", "create", data, "a@example.com", "planted-password"}},
		{"no role", "SIGHTLINE_ROLE must be viewer", []string{"admin", "create", data, "--email=a@example.com", "--org=acme", "--role=king"}},
		{"no organization", "SIGHTLINE_ORG is missing", []string{"connection", "list", data}},
		{"no vendor", "SIGHTLINE_VENDOR must be raygun, raygun-v3 or logrocket", []string{"connection", "add", data, "--org=acme", "--name=x", "--vendor=sentry"}},
		{"unknown organization", `no organization "acme"`, []string{"connection", "list", data, "--org=acme"}},
		{"nobody to reset", "Nobody signs in", []string{"admin", "reset-password", data, "--email=a@example.com"}},
		{"odd dialect", "SIGHTLINE_DIALECT must be contract or live", []string{"demo", "--dialect=french"}},
		{"odd seed", "SIGHTLINE_SEED must be a whole number", []string{"demo", "--seed=x"}},
		{"no data", "no data directory", []string{"doctor", "--data-dir=" + filepath.Join(t.TempDir(), "none")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := run(t, nil, "a long password\n", test.args...)
			if all := r.out + r.err; r.status == 0 || !strings.Contains(all, test.want) || strings.Contains(all, "planted-password") {
				t.Errorf("status %d, said %q; want %q", r.status, all, test.want)
			}
		})
	}
}

func TestSecretsComeFromFilesVariablesAndStandardInput(t *testing.T) {
	t.Parallel()
	data := dataDir(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from a file it is\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	create := func(email string, more ...string) []string {
		return append([]string{"admin", "create", "--org=acme", "--role=viewer", "--email=" + email}, more...)
	}
	must(t, []string{data}, "from a line it is\n", create("stdin@example.com")...)
	must(t, []string{data}, "", create("file@example.com", "--password-file="+secret)...)
	must(t, []string{data, "SIGHTLINE_PASSWORD_FILE=" + secret}, "", create("filevar@example.com")...)
	must(t, []string{data, "SIGHTLINE_PASSWORD=from a variable it is"}, "", create("var@example.com")...)
	if r := run(t, []string{data, "SIGHTLINE_PASSWORD=from a variable it is", "SIGHTLINE_PASSWORD_FILE=" + secret}, "", create("both@example.com")...); !strings.Contains(r.err, "given twice") {
		t.Errorf("a password given twice: %q", r.err)
	}
	p := serve(t, data)
	for email, password := range map[string]string{
		"stdin@example.com": "from a line it is", "file@example.com": "from a file it is", "filevar@example.com": "from a file it is", "var@example.com": "from a variable it is",
	} {
		newVisitor(t, p.address).signIn(email, password)
	}
}

func TestSecondServerIsRefusedAndTheFirstSurvivesKillAndRestart(t *testing.T) {
	t.Parallel()
	data := dataDir(t)
	first := serve(t, data)
	r := run(t, []string{data, "SIGHTLINE_LISTEN=127.0.0.1:0"}, "", "serve")
	if r.status != 1 || !strings.Contains(r.err, "another Sightline is running") {
		t.Errorf("a second server: status %d, %q", r.status, r.err)
	}
	must(t, []string{data}, "a long password\n", "admin", "create", "--org=acme", "--email=beside@example.com")
	if out := must(t, []string{data}, "", "doctor"); !strings.Contains(out, "a server is running") || !strings.Contains(out, "No faults found") {
		t.Errorf("the doctor beside a server said:\n%s", out)
	}
	first.kill()
	second := serve(t, data)
	newVisitor(t, second.address).signIn("beside@example.com", "a long password")
	second.stop()
	for _, line := range []string{"waiting for running jobs", "closing the database"} {
		if !strings.Contains(second.err.String(), line) {
			t.Errorf("a stop does not say %q", line)
		}
	}
}

func TestStopFinishesTheRunningRequest(t *testing.T) {
	t.Parallel()
	p := serve(t, dataDir(t))
	// A request whose body is still coming is running.
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	body := "email=nobody%40example.com&password=wrong+but+long"
	send := func(s string) {
		t.Helper()
		if _, err := conn.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	send("POST /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\n")
	b := make([]byte, 4096)
	if n, err := conn.Read(b); err != nil || !strings.Contains(string(b[:n]), "100 Continue") {
		t.Fatalf("the body was not asked for: %q, %v", b[:n], err)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.waitFor(`"waiting_for_requests":1`)
	send(body)
	n, err := conn.Read(b)
	if err != nil || !strings.HasPrefix(string(b[:n]), "HTTP/1.1 422") {
		t.Errorf("the running request got %q, %v; want its answer", b[:n], err)
	}
	if status := p.wait(); status != 0 {
		t.Errorf("status %d after the stop, want 0", status)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	p := serve(t, dataDir(t))
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("POST /login HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	// Not os.Interrupt: a shell starts what it leaves to the background with that
	// ignored, and so it is again from the second one on.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.waitFor("a second signal ends it at once")
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if status := p.wait(); status == 0 {
		t.Error("a second signal was waited out")
	}
}

func TestWrongMasterKeyIsToldAndChangesNothing(t *testing.T) {
	t.Parallel()
	data := dataDir(t)
	dir := strings.TrimPrefix(data, "SIGHTLINE_DATA_DIR=")
	serve(t, data).stop()
	file := filepath.Join(dir, "master.key")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the master key: %v, %v; want mode 0600", info, err)
	}
	other := "SIGHTLINE_MASTER_KEY=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for _, command := range []string{"serve", "doctor"} {
		if r := run(t, []string{data, other, "SIGHTLINE_LISTEN=127.0.0.1:0"}, "", command); command == "serve" && (r.status != 1 || !strings.Contains(r.err, "does not open the secrets")) || r.status == 0 {
			t.Errorf("%s with another key: status %d, %q", command, r.status, r.out+r.err)
		}
	}
	if err := os.Rename(file, file+".kept"); err != nil {
		t.Fatal(err)
	}
	if r := run(t, []string{data, "SIGHTLINE_LISTEN=127.0.0.1:0"}, "", "serve"); r.status != 1 || !strings.Contains(r.err, "put it back") {
		t.Errorf("without its key: status %d, %q", r.status, r.err)
	}
	if err := os.Rename(file+".kept", file); err != nil {
		t.Fatal(err)
	}
	serve(t, data).stop()
}

func TestFirstOwnerIsMadeFromTheEnvironmentOnce(t *testing.T) {
	t.Parallel()
	settings := []string{
		dataDir(t), "SIGHTLINE_ADMIN_EMAIL=op@example.com", "SIGHTLINE_ADMIN_PASSWORD=operators do it", "SIGHTLINE_ADMIN_ORG=Acme",
	}
	p := serve(t, settings...)
	if strings.Contains(p.out.String(), "/setup") {
		t.Error("a setup link was printed although an owner was given")
	}
	v := newVisitor(t, p.address)
	v.signIn("op@example.com", "operators do it")
	if got := v.get("/o/acme/"); got.status != http.StatusOK {
		t.Errorf("the owner's first page: status %d", got.status)
	}
	p.stop()
	serve(t, settings...).stop() // the second time it is there already
}

func TestApplicationIsChosenByScriptAfterAListThatFailed(t *testing.T) {
	t.Parallel()
	box := standIns(t, sandbox.Options{Customers: 10, Sessions: 20, Days: 2})
	settings := append(vendors(box), dataDir(t), "SIGHTLINE_ORG=acme")
	must(t, settings, "", "org", "create", "--name=Acme")
	cr := box.Credentials()
	remove := box.Fault(sandbox.Fault{Vendor: sandbox.Raygun, Operation: sandbox.OpV3ListApplications, Kind: sandbox.FaultServerError})
	if r := run(t, settings, cr.RaygunToken+"\n", "connection", "add", "--vendor=raygun-v3", "--name=Shop"); r.status != 1 || !strings.Contains(r.err, "cannot be reached or fails") {
		t.Errorf("with a list that fails: status %d, %q", r.status, r.err)
	}
	remove()
	must(t, settings, "", "connection", "application", "--name=Shop", "--application="+cr.RaygunApplication)
}

func TestConnectionsAreSetUpByScript(t *testing.T) {
	t.Parallel()
	box := standIns(t, sandbox.Options{Customers: 30, Sessions: 200, Days: 3})
	settings := append(vendors(box), dataDir(t), "SIGHTLINE_ORG=acme")
	must(t, settings, "", "org", "create", "--name=Acme & Sons")
	cr := box.Credentials()
	must(t, settings, cr.RaygunAPIKey+"\n"+cr.RaygunClientID+"\n"+cr.RaygunClientSecret+"\n", "connection", "add", "--vendor=raygun", "--name=Shop")
	must(t, append(settings, "SIGHTLINE_LOGROCKET_KEY="+cr.LogRocketKey), "", "connection", "add", "--vendor=logrocket", "--name=Web")
	if out := must(t, settings, "", "connection", "list"); !strings.Contains(out, "acme/web") || !strings.Contains(out, "never") || strings.Contains(out, cr.LogRocketKey) {
		t.Errorf("connection list printed:\n%s", out)
	}
	for _, name := range []string{"Shop", "Web"} {
		must(t, settings, "", "connection", "test", "--name="+name)
	}
	if out := must(t, settings, "", "connection", "list"); strings.Count(out, "ok, ") != 2 {
		t.Errorf("after two good tests the list is:\n%s", out)
	}
	remove := box.Fault(sandbox.Fault{Vendor: sandbox.LogRocket, Kind: sandbox.FaultUnauthorized})
	if r := run(t, settings, "", "connection", "test", "--name=Web"); r.status != 1 || !strings.Contains(r.err, "LogRocket") {
		t.Errorf("a test with a wrong key: status %d, %q", r.status, r.err)
	}
	remove()
	must(t, settings, "", "connection", "remove", "--name=Web")
	if r := run(t, settings, "", "connection", "test", "--name=Web"); r.status != 1 || !strings.Contains(r.err, `no connection "Web"`) {
		t.Errorf("a test of a removed connection: status %d, %q", r.status, r.err)
	}
	if out := must(t, settings, "", "doctor", "--reach"); strings.Count(out, " answers") != 2 {
		t.Errorf("the doctor said:\n%s", out)
	}
	// As with the form on the page, the mirror is kept fresh unless told otherwise.
	must(t, settings, cr.RaygunAPIKey+"\n"+cr.RaygunClientID+"\n"+cr.RaygunClientSecret+"\n", "connection", "add", "--vendor=raygun", "--name=Quiet", "--sync=no")
	must(t, settings, sitePassword+"\n", "admin", "create", "--email=owner@example.com")
	v := newVisitor(t, serve(t, settings...).address)
	v.signIn("owner@example.com", sitePassword)
	eventually(t, "the mirror follows the sessions", func() bool { return v.open("/o/acme/settings/connections/1").shows("Following") })
	v.open("/o/acme/settings/connections/3").has("Sync is off")
	if n := box.CountCalls(sandbox.OpSessions); n == 0 {
		t.Error("the connection that was added with sync on asked for no sessions")
	}
}

func TestDemoMovesFromATakenPortAndKeepsNothing(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	tmp := t.TempDir()
	p := start(t, []string{"SIGHTLINE_LISTEN=" + ln.Addr().String(), "TMPDIR=" + tmp}, "demo")
	address := p.waitFor(`(?m)^  (http://\S+)$`)[1]
	p.waitFor("is taken by another program")
	for _, role := range []string{"viewer", "support", "admin", "owner"} {
		login := p.waitFor(`(?m)^  ` + role + ` +(\S+@\S+) +(\S+)`)
		v := newVisitor(t, address)
		v.signIn(login[1], login[2])
		if v.at.Path != "/o/acme/" {
			t.Errorf("%s lands on %s, want /o/acme/", role, v.at)
		}
	}
	p.stop()
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) > 0 {
		t.Errorf("the demo left %v, %v", left, err)
	}
}

func TestKeptDemoStartsAgainAndServeRefusesIt(t *testing.T) {
	t.Parallel()
	settings := []string{"SIGHTLINE_LISTEN=127.0.0.1:0", dataDir(t)}
	for range 2 {
		p := start(t, settings, "demo")
		address := p.waitFor(`(?m)^  (http://\S+)$`)[1]
		newVisitor(t, address).signIn("owner@example.com", "see-what-happened")
		p.stop()
	}
	if r := run(t, settings, "", "serve"); r.status != 1 || !strings.Contains(r.err, "made up by sightline demo") {
		t.Errorf("serve on the demo's data: status %d, %q", r.status, r.err)
	}
	if r := run(t, append(settings, "SIGHTLINE_SEED=2"), "", "demo"); r.status != 1 || !strings.Contains(r.err, "made with the seed 1") {
		t.Errorf("demo with another seed: status %d, %q", r.status, r.err)
	}
	other := dataDir(t)
	must(t, []string{other}, "", "org", "create", "--name=Real")
	if r := run(t, []string{other, "SIGHTLINE_LISTEN=127.0.0.1:0"}, "", "demo"); r.status != 1 || !strings.Contains(r.err, "no demo made") {
		t.Errorf("demo on real data: status %d, %q", r.status, r.err)
	}
}

// dataDir is the setting of a data directory that the program has yet to make.
func dataDir(t *testing.T) string {
	t.Helper()
	return "SIGHTLINE_DATA_DIR=" + filepath.Join(t.TempDir(), "data")
}

// server is a running sightline serve.
type server struct {
	*program
	address string
}

// serve starts a server on a free port and waits until it is ready.
func serve(t *testing.T, settings ...string) *server {
	t.Helper()
	all := append([]string{"SIGHTLINE_LISTEN=127.0.0.1:0", "SIGHTLINE_LOG_FORMAT=json"}, settings...)
	p := start(t, all, "serve")
	return &server{program: p, address: p.waitFor(`"msg":"Sightline is ready".*"address":"([^"]+)"`)[1]}
}

// standIns starts stand-ins for both vendors that end with the test.
func standIns(t *testing.T, o sandbox.Options) *sandbox.Sandbox {
	t.Helper()
	box, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("start the stand-ins: %v", err)
	}
	t.Cleanup(func() { _ = box.Close() })
	return box
}

// vendors are the settings that lead a program to the stand-ins.
func vendors(box *sandbox.Sandbox) []string {
	return []string{
		"SIGHTLINE_RAYGUN_URL=" + box.RaygunURL(), "SIGHTLINE_LOGROCKET_URL=" + box.LogRocketURL(), "SIGHTLINE_LOGROCKET_APP_URL=" + box.LogRocketAppURL(),
	}
}

// eventually waits until something holds, asking again and again.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
