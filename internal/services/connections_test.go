package services

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
	"sightline/internal/services/raygun"
	"sightline/internal/services/sandbox"
	"sightline/internal/services/secrets"
)

// vendorSite is Sightline without its web layer, beside both stand-ins.
type vendorSite struct {
	t     *testing.T
	dir   string
	store *db.DB
	s     *Services
	box   *sandbox.Sandbox
	actor Actor
	log   bytes.Buffer
}

func newVendorSite(t *testing.T, o sandbox.Options) *vendorSite {
	t.Helper()
	if o.Customers == 0 {
		o.Customers, o.Sessions, o.Days = 20, 100, 5
	}
	box, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	path := dbtest.File(t)
	v := &vendorSite{t: t, dir: filepath.Dir(path), box: box}
	if v.store, err = db.Open(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.store.Close() })
	keys, err := OpenBox(t.Context(), v.store, secrets.NewMasterKey(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	v.s, err = Open(t.Context(), Options{
		PasswordMemory: 64, DB: v.store, Box: keys, Log: slog.New(slog.NewTextHandler(&v.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Vendors: Vendors{RaygunURL: box.RaygunURL(), LogRocketURL: box.LogRocketURL(), LogRocketAppURL: box.LogRocketAppURL()},
	})
	if err != nil {
		t.Fatal(err)
	}
	u, err := v.s.People.FirstOwner(t.Context(), NewOwner{Email: "ada@example.com", Name: "Ada", Password: "correct horse", OrgName: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	v.actor = Actor{Org: 1, User: u.ID, Name: "Ada", Email: "ada@example.com", Role: Owner}
	return v
}

func (v *vendorSite) raygunForm(name string) ConnectionForm {
	c := v.box.Credentials()
	return ConnectionForm{
		Vendor: Raygun, Name: name,
		APIKey: NewSecret(c.RaygunAPIKey), ClientID: NewSecret(c.RaygunClientID), ClientSecret: NewSecret(c.RaygunClientSecret),
	}
}

func (v *vendorSite) logrocketForm(name string) ConnectionForm {
	return ConnectionForm{Vendor: LogRocket, Name: name, Key: NewSecret(v.box.Credentials().LogRocketKey)}
}

func (v *vendorSite) add(f ConnectionForm) Connection {
	v.t.Helper()
	c, problems, err := v.s.Connections.Add(v.t.Context(), v.actor, f)
	if err != nil || len(problems) > 0 {
		v.t.Fatalf("add %q: %v, %v", f.Name, problems, err)
	}
	return c
}

func (v *vendorSite) wantHistory(summary string) HistoryEvent {
	v.t.Helper()
	page, err := v.s.History.Page(v.t.Context(), v.actor.Org, HistoryQuery{})
	if err != nil {
		v.t.Fatal(err)
	}
	for _, e := range page.Events {
		if strings.Contains(e.Summary, summary) {
			return e
		}
	}
	v.t.Fatalf("no history entry says %q: %+v", summary, page.Events)
	return HistoryEvent{}
}

func TestConnectionIsTestedInWords(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{RaygunAuthMethod: "GET"})
	start(t, v.s)
	rg, lr := v.add(v.raygunForm(" Acme web ")), v.add(v.logrocketForm("Acme recordings"))
	if rg.Name != "Acme web" || rg.Allowance != 50 || rg.Reserve != 10 || lr.Allowance != 0 || lr.OrgSlug != v.box.Credentials().LogRocketOrg {
		t.Errorf("added %+v and %+v", rg, lr)
	}
	for id, want := range map[ConnectionID]string{rg.ID: "Raygun accepted the keys", lr.ID: "LogRocket accepted the key"} {
		ask, err := v.s.Connections.Test(t.Context(), v.actor, id)
		if err != nil {
			t.Fatal(err)
		}
		if ask, err = v.s.Asks.Wait(t.Context(), 1, ask.ID, patience); err != nil || ask.State != AskDone {
			t.Fatalf("ask = %+v, %v", ask, err)
		}
		c, err := v.s.Connections.Get(t.Context(), 1, id)
		if err != nil || !c.CheckOK || !strings.Contains(c.CheckMessage, want) || c.CheckedAt.IsZero() {
			t.Errorf("connection = %+v, %v; want %q", c, err, want)
		}
	}
	row, err := v.store.Org(1).Connection(t.Context(), rg.ID)
	if err != nil || row.Dialect != `{"authenticate":"GET"}` {
		t.Errorf("dialect = %s, %v; want GET remembered", row.Dialect, err)
	}
	b, err := v.s.Connections.Budget(t.Context(), 1, rg.ID)
	if err != nil || b.Spent != 0 || b.Left != 50 || b.Background() != 40 {
		t.Errorf("budget = %+v, %v; want testing to cost nothing", b, err)
	}
	e := v.wantHistory("Signed in to Raygun")
	if e.Actor != "Ada" || e.ConnectionName != "Acme web" || e.Call == nil || e.Call.State != "ok" || e.Call.Counts {
		t.Errorf("ledger row = %+v", e)
	}
}

func TestWrongKeyIsSaidAndRotatedAway(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	f := v.raygunForm("Web")
	f.ClientSecret = NewSecret("planted-wrong-secret")
	c := v.add(f)
	c, err := v.s.Connections.Check(t.Context(), v.actor, c.ID)
	if err != nil || c.CheckOK || !strings.Contains(c.CheckMessage, "does not accept the credentials (status 401") || !strings.Contains(c.CheckMessage, "“Web”") {
		t.Fatalf("connection = %+v, %v", c, err)
	}
	if p, err := v.s.Connections.Rotate(t.Context(), v.actor, c.ID, ConnectionForm{}); err != nil || p[FieldAPIKey] == "" {
		t.Errorf("rotated to nothing: %v, %v", p, err)
	}
	right := v.raygunForm("")
	p, err := v.s.Connections.Rotate(t.Context(), v.actor, c.ID, ConnectionForm{ClientSecret: right.ClientSecret})
	if err != nil || len(p) > 0 {
		t.Fatalf("rotate: %v, %v", p, err)
	}
	if c, err = v.s.Connections.Get(t.Context(), 1, c.ID); err != nil || c.CheckMessage != "" || c.RotatedAt.IsZero() {
		t.Errorf("after rotating = %+v, %v; want the old test forgotten", c, err)
	}
	if c, err = v.s.Connections.Check(t.Context(), v.actor, c.ID); err != nil || !c.CheckOK {
		t.Errorf("with the right secret = %+v, %v; the blank fields should have been kept", c, err)
	}
	e := v.wantHistory("Rotated the credentials")
	if len(e.Changes) != 1 || e.Changes[0].Field != "Client secret" || e.Changes[0].After != "replaced" {
		t.Errorf("history = %+v, want the field named and no value", e)
	}
}

func TestRemovedConnectionKeepsItsPastAndNoSecrets(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	c := v.add(v.raygunForm("Web"))
	api, _, err := v.s.Connections.raygun(t.Context(), 1, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.s.Connections.Remove(t.Context(), v.actor, c.ID); err != nil {
		t.Fatal(err)
	}
	_, err = api.Check(t.Context())
	if r, ok := db.IsRefused(err); !ok || r.Why != db.RefusedRemoved {
		t.Errorf("a client made before still calls: %v", err)
	}
	if _, err := v.store.Org(1).ConnectionSecrets(t.Context(), c.ID); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("secrets: %v, want not found", err)
	}
	var e *Error
	if _, _, err := v.s.Connections.raygun(t.Context(), 1, c.ID); !errors.As(err, &e) || e.Kind != Conflict {
		t.Errorf("client of a removed connection: %v", err)
	}
	list, err := v.s.Connections.List(t.Context(), 1)
	all, err2 := v.s.Connections.All(t.Context(), 1)
	if len(list) != 0 || len(all) != 1 || err != nil || err2 != nil {
		t.Errorf("in use %v, all %v", list, all)
	}
	v.add(v.raygunForm("Web")) // the name is free again
}

func TestConnectionFormSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	v.add(v.raygunForm("Taken"))
	long := strings.Repeat("é", 81)
	key := func(text string) ConnectionForm {
		return ConnectionForm{Vendor: LogRocket, Name: "L", Key: NewSecret(text)}
	}
	with := func(f ConnectionForm, org, app string) ConnectionForm { f.OrgSlug, f.AppSlug = org, app; return f }
	tests := []struct {
		name string
		form ConnectionForm
		want Problems // a part of each sentence
	}{
		{"nothing", ConnectionForm{Vendor: Raygun}, Problems{
			FieldName: "1 to 80", FieldAPIKey: "Paste the API key", FieldClientID: "Paste the client ID", FieldClientSecret: "Paste the client secret"}},
		{"no vendor", ConnectionForm{Name: "x"}, Problems{FieldVendor: "Choose"}},
		{"long name", v.raygunForm(long), Problems{FieldName: "1 to 80"}},
		{"taken name", v.raygunForm("Taken"), Problems{FieldName: "already"}},
		{"line break in a key", key("a:b\nc"), Problems{FieldKey: "line breaks", FieldOrgSlug: "does not tell", FieldAppSlug: "does not tell"}},
		{"key without slugs", key("just-a-key"), Problems{FieldOrgSlug: "organization", FieldAppSlug: "app"}},
		{"slug as address", with(key("just-a-key"), "https://app.logrocket.com/acme", "web"), Problems{FieldOrgSlug: "without slashes"}},
		{"key of another app", with(key("acme:web:s3cret"), "acme", "shop"), Problems{FieldOrgSlug: "The key is for the app acme/web, but acme/shop was typed."}},
		{"colon in a client id", ConnectionForm{Vendor: Raygun, Name: "x", APIKey: NewSecret("a"), ClientID: NewSecret("id:secret"), ClientSecret: NewSecret("s")}, Problems{FieldClientID: "colon"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, problems, err := v.s.Connections.Add(t.Context(), v.actor, test.form)
			if err != nil || len(problems) != len(test.want) {
				t.Fatalf("problems = %v, %v; want %v", problems, err, test.want)
			}
			for field, part := range test.want {
				if !strings.Contains(problems[field], part) {
					t.Errorf("%s: %q, want %q in it", field, problems[field], part)
				}
			}
		})
	}
	meant := with(key("acme:web:s3cret"), "acme", "shop")
	meant.SlugsMeant = true
	if c := v.add(meant); c.AppSlug != "shop" {
		t.Errorf("meant slugs were not kept: %+v", c)
	}
	viewer := v.actor
	viewer.Role = Support
	var e *Error
	if _, _, err := v.s.Connections.Add(t.Context(), viewer, v.raygunForm("y")); !errors.As(err, &e) || e.Kind != Denied {
		t.Errorf("a supporter adds a connection: %v", err)
	}
}

func TestDaysCallsAreRefusedInASentence(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	c := v.add(v.raygunForm("Acme web"))
	if p, err := v.s.Connections.SetBudget(t.Context(), v.actor, c.ID, 2, 1); err != nil || len(p) > 0 {
		t.Fatal(p, err)
	}
	ask := func(background bool) *Error {
		t.Helper()
		api, conn, err := v.s.Connections.raygun(t.Context(), 1, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		ctx := withSpender(t.Context(), spender{Org: 1, Connection: c.ID, Actor: v.actor.User, Background: background})
		_, err = api.Sessions(ctx, raygun.SessionQuery{From: time.Now().Add(-time.Hour), To: time.Now()})
		return vendorError(conn, err, time.Now())
	}
	wantSays := func(e *Error, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if e == nil || e.Kind != Limited || !strings.Contains(e.Msg, part) {
				t.Fatalf("error = %v, want limited with %q", e, part)
			}
		}
	}
	if e := ask(true); e != nil {
		t.Fatal(e)
	}
	wantSays(ask(true), "Of today's 2 Raygun calls of “Acme web”, 1 are left, and they are kept for people.")
	if e := ask(false); e != nil {
		t.Fatal(e)
	}
	wantSays(ask(false), "Today's 2 Raygun calls of “Acme web” are used up. The next are free at 00:00 UTC (in ", "What is shown is from the mirror.")
	if n := v.box.CountCalls(sandbox.OpSessions); n != 2 {
		t.Errorf("the vendor received %d calls, want 2", n)
	}

	if _, err := v.s.Connections.SetBudget(t.Context(), v.actor, c.ID, 50, 10); err != nil {
		t.Fatal(err)
	}
	v.box.Fault(sandbox.Fault{Vendor: sandbox.Raygun, Operation: sandbox.OpSessions, Kind: sandbox.FaultRateLimited, Times: 1})
	wantSays(ask(false), "called too often (status 429")
	wantSays(ask(false), "Sightline asks it nothing until 00:00 UTC (in ")
	b, err := v.s.Connections.Budgets(t.Context(), 1)
	if err != nil || len(b) != 1 || b[0].Left != 0 || !b[0].BlockedUntil.Equal(b[0].ResetsAt) {
		t.Errorf("budgets = %+v, %v; want blocked until midnight", b, err)
	}
}

func TestVendorFailuresAreSentences(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	c := v.add(v.logrocketForm("Recordings"))
	tests := map[sandbox.FaultKind]string{
		sandbox.FaultUnauthorized: "does not accept the credentials",
		sandbox.FaultForbidden:    "LogRocket (connection “Recordings”)",
		sandbox.FaultServerError:  "cannot be reached or fails (status 500",
		sandbox.FaultGarbage:      "answered with something else than expected",
		sandbox.FaultWrongType:    "answered with something else than expected",
		sandbox.FaultDrop:         "cannot be reached",
	}
	for kind, want := range tests {
		remove := v.box.Fault(sandbox.Fault{Vendor: sandbox.LogRocket, Kind: kind})
		got, err := v.s.Connections.Check(t.Context(), v.actor, c.ID)
		remove()
		if err != nil || got.CheckOK || !strings.Contains(got.CheckMessage, want) {
			t.Errorf("%s: %q, %v; want %q", kind, got.CheckMessage, err, want)
		}
	}
}

// TestPlantedSecretsStayHidden puts secrets through everything that a
// connection can do and looks for them in the file, its log and ours.
func TestPlantedSecretsStayHidden(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	planted := []string{"planted-api-key", "planted-client-id", "planted-client-secret", "planted-logrocket", "planted-rotated"}
	rg := v.add(ConnectionForm{Vendor: Raygun, Name: "R", APIKey: NewSecret(planted[0]), ClientID: NewSecret(planted[1]), ClientSecret: NewSecret(planted[2])})
	lr := v.add(ConnectionForm{Vendor: LogRocket, Name: "L", Key: NewSecret("acme:web:" + planted[3])})
	var said strings.Builder
	for _, id := range []ConnectionID{rg.ID, lr.ID} {
		c, err := v.s.Connections.Check(t.Context(), v.actor, id)
		fmt.Fprintf(&said, "%+v %v\n", c, err)
	}
	p, err := v.s.Connections.Rotate(t.Context(), v.actor, rg.ID, ConnectionForm{APIKey: NewSecret(planted[4])})
	fmt.Fprintf(&said, "%+v %v\n", p, err)
	_, p, err = v.s.Connections.Add(t.Context(), v.actor, ConnectionForm{Vendor: LogRocket, Name: "L", Key: NewSecret("acme:web:" + planted[3]), OrgSlug: "x"})
	fmt.Fprintf(&said, "%+v %v %+v\n", p, err, ConnectionForm{Key: NewSecret(planted[3])})
	if err := v.s.History.CSV(t.Context(), 1, HistoryQuery{}, &said); err != nil {
		t.Fatal(err)
	}
	if err := v.s.Connections.Remove(t.Context(), v.actor, lr.ID); err != nil {
		t.Fatal(err)
	}
	places := map[string]string{"errors, history or results": said.String(), "the log": v.log.String()}
	files, err := filepath.Glob(filepath.Join(v.dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("files = %v, %v; want the database and its log", files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		places[filepath.Base(f)] = string(b)
	}
	for where, text := range places {
		for _, secret := range planted {
			if strings.Contains(text, secret) {
				t.Errorf("%q stands in %s", secret, where)
			}
		}
	}
}

func TestClientIsSharedUntilAnotherProcessRotates(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	c := v.add(v.raygunForm("Web"))
	get := func() raygun.API {
		t.Helper()
		api, _, err := v.s.Connections.raygun(t.Context(), 1, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		return api
	}
	first := get()
	if get() != first {
		t.Error("a second client was made: it would ask for a session key of its own")
	}
	err := v.store.Org(1).RotateConnection(context.Background(), c.ID, "", "", func(ConnectionID) (map[string][]byte, error) { return nil, nil },
		db.HistoryEntry{At: time.Now(), Action: "connection.rotate", Summary: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if get() == first {
		t.Error("the client with the old credentials is still used")
	}
	if _, _, err := v.s.Connections.logrocket(t.Context(), 1, c.ID); err == nil {
		t.Error("a Raygun connection gave a LogRocket client")
	}
	if _, _, err := v.s.Connections.raygun(t.Context(), 2, c.ID); err == nil {
		t.Error("a stranger got a client")
	}
}

func TestShortWaitForLogRocketIsWaitedOut(t *testing.T) {
	t.Parallel()
	v := newVendorSite(t, sandbox.Options{})
	c := v.add(v.logrocketForm("Recordings"))
	v.box.Fault(sandbox.Fault{Vendor: sandbox.LogRocket, Kind: sandbox.FaultRateLimited, RetryAfter: time.Second, Times: 1})
	got, err := v.s.Connections.Check(t.Context(), v.actor, c.ID)
	if err != nil || !got.CheckOK {
		t.Errorf("check = %q, %v; want the second attempt to count", got.CheckMessage, err)
	}
	v.box.Fault(sandbox.Fault{Vendor: sandbox.LogRocket, Kind: sandbox.FaultRateLimited, RetryAfter: time.Hour, Times: 1})
	if got, err = v.s.Connections.Check(t.Context(), v.actor, c.ID); err != nil || !strings.Contains(got.CheckMessage, "It takes calls again from ") {
		t.Errorf("check = %q, %v", got.CheckMessage, err)
	}
	if got, err = v.s.Connections.Check(t.Context(), v.actor, c.ID); err != nil || !strings.Contains(got.CheckMessage, "asks it nothing until") {
		t.Errorf("check = %q, %v; want LogRocket's own time honoured", got.CheckMessage, err)
	}
	if n := v.box.CountCalls(sandbox.OpListDataExports); n != 3 {
		t.Errorf("LogRocket received %d calls, want 3", n)
	}
}
