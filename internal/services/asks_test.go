package services

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
)

// askSite is Sightline without its web layer, with one Raygun connection.
type askSite struct {
	store *db.DB
	s     *Services
	actor Actor
	conn  ConnectionID
	box   *secrets.Box
}

func newAskSite(t *testing.T) *askSite {
	t.Helper()
	a := &askSite{store: dbtest.New(t)}
	box, err := OpenBox(t.Context(), a.store, secrets.NewMasterKey(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a.box = box
	a.s = a.open(t)
	if _, err := a.s.People.FirstOwner(t.Context(), NewOwner{Email: "a@example.com", Password: "correct horse", OrgName: "Acme"}); err != nil {
		t.Fatal(err)
	}
	a.actor = Actor{Org: 1, User: 1, Name: "a", Role: Owner}
	c, err := a.store.Org(1).AddConnection(t.Context(), db.Connection{Vendor: "raygun", Name: "Web", Allowance: 50, CreatedAt: time.Now()},
		func(ConnectionID) (map[string][]byte, error) { return nil, nil }, db.HistoryEntry{ActorName: "a", Action: "connection.add", Summary: "x", At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	a.conn = c.ID
	return a
}

// open makes the services over the same store, as a restarted process would.
func (a *askSite) open(t *testing.T) *Services {
	t.Helper()
	s, err := Open(t.Context(), Options{PasswordMemory: 64, DB: a.store, Box: a.box, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func start(t *testing.T, s *Services) {
	t.Helper()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
}

func TestAskIsJoinedAndSentOnce(t *testing.T) {
	t.Parallel()
	site := newAskSite(t)
	release := make(chan struct{})
	var sent atomic.Int32
	site.s.Asks.handle("test", func(ctx context.Context, ask Ask) (any, string, error) {
		if got := spenderOf(ctx); got.Connection != site.conn || got.Actor != 1 {
			t.Errorf("spender = %+v", got)
		}
		sent.Add(1)
		<-release
		return map[string]int{"n": 7}, "Answered.", nil
	})
	start(t, site.s)
	spec := AskSpec{Connection: site.conn, Kind: "test", Subject: "x"}
	var first AskID
	for i := range 5 {
		ask, err := site.s.Asks.Put(t.Context(), site.actor, spec)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = ask.ID
		}
		if ask.ID != first {
			t.Errorf("ask %d while %d is open", ask.ID, first)
		}
	}
	if open, err := site.s.Asks.Open(t.Context(), 1); err != nil || len(open) != 1 {
		t.Errorf("open asks = %v, %v", open, err)
	}
	close(release)
	ask, err := site.s.Asks.Wait(t.Context(), 1, first, patience)
	if err != nil || ask.State != AskDone || ask.Message != "Answered." || string(ask.Result) != `{"n":7}` {
		t.Fatalf("ask = %+v, %v", ask, err)
	}
	if n := sent.Load(); n != 1 {
		t.Errorf("sent %d times", n)
	}
	again, err := site.s.Asks.Put(t.Context(), site.actor, spec)
	if err != nil || again.ID == first {
		t.Errorf("asking anew: %v, %v", again.ID, err)
	}
	if _, err := site.s.Asks.Wait(t.Context(), 1, again.ID, patience); err != nil {
		t.Fatal(err)
	}
}

func TestAskSaysWhatTheVendorAnswered(t *testing.T) {
	t.Parallel()
	site := newAskSite(t)
	site.s.Asks.handle("vendor", func(context.Context, Ask) (any, string, error) {
		return nil, "", vendorError(Connection{Name: "Web", Vendor: "raygun"}, &upstream.Error{Kind: upstream.Down, Vendor: "raygun", Operation: "sessions", Status: 500, Sent: true}, time.Now())
	})
	site.s.Asks.handle("ours", func(context.Context, Ask) (any, string, error) { return nil, "", errors.New("secret detail") })
	start(t, site.s)
	for kind, want := range map[string]string{"vendor": "down", "ours": "internal", "unheard of": "internal"} {
		ask, err := site.s.Asks.Put(t.Context(), site.actor, AskSpec{Connection: site.conn, Kind: kind, Subject: "x"})
		if err != nil {
			t.Fatal(err)
		}
		ask, err = site.s.Asks.Wait(t.Context(), 1, ask.ID, patience)
		if err != nil || ask.State != AskFailed || ask.ErrorKind != want || ask.Message == "" || ask.Message == "secret detail" {
			t.Errorf("%s: %+v, %v", kind, ask, err)
		}
	}
}

// A crash is a second set of services over the same file: nothing of the
// first one's memory is left.
func TestAskAfterACrash(t *testing.T) {
	t.Parallel()
	site := newAskSite(t)
	put := func(subject string) Ask {
		ask, err := site.s.Asks.Put(t.Context(), site.actor, AskSpec{Connection: site.conn, Kind: "test", Subject: subject})
		if err != nil {
			t.Fatal(err)
		}
		return ask
	}
	queued, sending := put("queued"), put("sending")
	if _, err := site.store.Org(1).StartAsk(t.Context(), sending.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int32
	s := site.open(t)
	s.Asks.handle("test", func(_ context.Context, ask Ask) (any, string, error) {
		if ask.ID != queued.ID {
			t.Errorf("ask %d (%s) was sent", ask.ID, ask.Subject)
		}
		sent.Add(1)
		return nil, "Answered.", nil
	})
	start(t, s)
	got, err := s.Asks.Get(t.Context(), 1, sending.ID)
	if err != nil || got.State != AskInterrupted || got.Message == "" {
		t.Errorf("the ask under way: %+v, %v", got, err)
	}
	got, err = s.Asks.Wait(t.Context(), 1, queued.ID, patience)
	if err != nil || got.State != AskDone {
		t.Errorf("the ask in the queue: %+v, %v", got, err)
	}
	// Its first job is still there beside the one that the start made.
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := sent.Load(); n != 1 {
		t.Errorf("sent %d times", n)
	}
}
