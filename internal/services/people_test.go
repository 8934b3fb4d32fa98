package services_test

import (
	"errors"
	"testing"
	"time"

	"sightline/internal/db/dbtest"
	"sightline/internal/services"
)

func newPeople(t *testing.T, now *time.Time) *services.People {
	t.Helper()
	return services.NewPeople(dbtest.New(t), func() time.Time { return *now }, 64)
}

func TestSetupLinkCountsOnce(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	p := newPeople(t, &now)
	ctx := t.Context()
	old, _, err := p.SetupLink(ctx)
	if err != nil {
		t.Fatal(err)
	}
	token, ok, err := p.SetupLink(ctx)
	if err != nil || !ok {
		t.Fatalf("setup link: %v, %v", ok, err)
	}
	if open, _ := p.SetupOpen(ctx, old); open {
		t.Error("an older link still opens the setup")
	}
	if _, problems, err := p.Setup(ctx, token, services.NewOwner{Email: "nobody", Password: "short"}); err != nil || len(problems) != 3 {
		t.Fatalf("problems = %v, %v; want three", problems, err)
	}
	u, problems, err := p.Setup(ctx, token, services.NewOwner{Email: "Ada@Example.com", Password: "correct horse", OrgName: "Ångström & Co"})
	if err != nil || len(problems) != 0 {
		t.Fatalf("setup: %v, %v", problems, err)
	}
	if open, _ := p.SetupOpen(ctx, token); open {
		t.Error("the link opens the setup a second time")
	}
	ms, err := p.Memberships(ctx, u.ID)
	if err != nil || len(ms) != 1 || ms[0].OrgSlug != "angstrom-co" || ms[0].Role != services.Owner {
		t.Errorf("memberships = %+v, %v", ms, err)
	}
	if _, ok, _ := p.SetupLink(ctx); ok {
		t.Error("a new setup link was given although somebody can sign in")
	}
	if _, err := p.SignIn(ctx, " ada@example.COM ", "correct horse"); err != nil {
		t.Errorf("sign in: %v", err)
	}
	var e *services.Error
	for _, try := range [][2]string{{"ada@example.com", "wrong horse"}, {"eve@example.com", "correct horse"}} {
		if _, err := p.SignIn(ctx, try[0], try[1]); !errors.As(err, &e) || e.Kind != services.Denied {
			t.Errorf("sign in as %v: %v, want denied", try, err)
		}
	}
}

func TestBrowserSessionEnds(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	p := newPeople(t, &now)
	ctx := t.Context()
	u, err := p.FirstOwner(ctx, services.NewOwner{Email: "a@example.com", Password: "correct horse", OrgName: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	signIn := func() string {
		token, err := p.SaveBrowserSession(ctx, "", services.BrowserSession{User: u.ID, Data: "{}"})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	signedOut := func(token, when string) {
		t.Helper()
		if _, err := p.BrowserSession(ctx, token); !errors.Is(err, services.ErrSignedOut) {
			t.Errorf("%s: %v, want signed out", when, err)
		}
	}
	signedOut("made up", "an unknown token")

	token := signIn()
	for range 40 { // seen every 11 hours, it lasts until the absolute limit
		now = now.Add(11 * time.Hour)
		if _, err := p.BrowserSession(ctx, token); err != nil {
			break
		}
	}
	signedOut(token, "after the absolute limit")

	token = signIn()
	now = now.Add(services.SessionIdle + time.Minute)
	signedOut(token, "after idling")

	token = signIn()
	if err := p.EndBrowserSession(ctx, token); err != nil {
		t.Fatal(err)
	}
	signedOut(token, "after signing out")

	token = signIn()
	if err := p.ResetPassword(ctx, "A@example.com", "another horse"); err != nil {
		t.Fatal(err)
	}
	signedOut(token, "after a password reset")
	// A request that was under way meanwhile.
	if _, err := p.SaveBrowserSession(ctx, token, services.BrowserSession{User: u.ID, Data: "{}"}); !errors.Is(err, services.ErrSignedOut) {
		t.Errorf("saving a session that was ended: %v, want signed out", err)
	}
	signedOut(token, "after a request that was under way")
}

func TestTheFirstOfSeveralProblemsIsAlwaysTheSame(t *testing.T) {
	for range 20 {
		if got := (services.Problems{"to": "Too late.", "from": "Too early.", "slow_ms": "Too slow."}).First(); got != "Too early." {
			t.Fatal(got)
		}
	}
	if got := (services.Problems{}).First(); got != "" {
		t.Error(got)
	}
}
