package services

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/db/dbtest"
	"sightline/internal/services/sandbox"
	"sightline/internal/services/secrets"
)

// patience is how long tests wait for what must come. It only ends those that
// have failed, on the slowest machine.
const patience = 3 * time.Minute

// rocketSite is Sightline without its web layer, with one LogRocket connection
// to a stand-in. It can be killed and opened again over the same file.
type rocketSite struct {
	t      *testing.T
	path   string
	master secrets.Secret
	box    *sandbox.Sandbox
	store  *db.DB
	s      *Services
	actor  Actor
	conn   ConnectionID
	pace   HighlightOptions
	batch  BatchOptions
	// elsewhere is where LogRocket is looked for instead of at the stand-in, from
	// the next open on.
	elsewhere string
}

func eachDialect(t *testing.T, f func(t *testing.T, d sandbox.Dialect)) {
	t.Helper()
	for _, d := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		t.Run(string(d), func(t *testing.T) { f(t, d) })
	}
}

func newRocketSite(t *testing.T, d sandbox.Dialect) *rocketSite {
	t.Helper()
	t.Parallel() // most of the time goes by waiting
	box, err := sandbox.Start(t.Context(), sandbox.Options{Customers: 30, Sessions: 600, Days: 10, Dialect: d, HighlightDelay: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r := &rocketSite{
		t: t, path: dbtest.File(t), master: secrets.NewMasterKey(), box: box,
		pace:  HighlightOptions{FirstPoll: 20 * time.Millisecond, MaxPoll: 50 * time.Millisecond, Deadline: 20 * time.Second},
		batch: BatchOptions{Pause: time.Millisecond, Look: 20 * time.Millisecond},
	}
	t.Cleanup(func() {
		r.kill()
		if err := box.Close(); err != nil {
			t.Errorf("close the stand-in: %v", err)
		}
	})
	r.open()
	if _, err := r.s.People.FirstOwner(t.Context(), NewOwner{Email: "ada@example.com", Name: "Ada", Password: "correct horse", OrgName: "Acme"}); err != nil {
		t.Fatal(err)
	}
	r.actor = Actor{Org: 1, User: 1, Name: "Ada", Role: Support}
	owner := r.actor
	owner.Role = Owner
	c, problems, err := r.s.Connections.Add(t.Context(), owner, ConnectionForm{Vendor: LogRocket, Name: "Web app", Key: NewSecret(box.Credentials().LogRocketKey)})
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	r.conn = c.ID
	return r
}

// open opens the services over the file; start begins the jobs.
func (r *rocketSite) open() {
	r.t.Helper()
	var err error
	if r.store, err = db.Open(r.t.Context(), r.path); err != nil {
		r.t.Fatal(err)
	}
	seal, err := OpenBox(r.t.Context(), r.store, r.master, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	r.s, err = Open(r.t.Context(), Options{
		PasswordMemory: 64, DB: r.store, Box: seal, Log: slog.New(slog.DiscardHandler), Highlights: r.pace, Batches: r.batch,
		Vendors: Vendors{RaygunURL: r.box.RaygunURL(), LogRocketURL: orElse(r.elsewhere, r.box.LogRocketURL()), LogRocketAppURL: r.box.LogRocketAppURL(), Timeout: 5 * time.Second},
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rocketSite) start() {
	r.t.Helper()
	if err := r.s.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// killed ends services as abruptly as one process can: jobs are cut off.
func killed(t *testing.T, s *Services, store *db.DB) {
	t.Helper()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	err := s.Stop(now)
	if errors.Is(err, context.DeadlineExceeded) { // a slow machine: the jobs were told, but are not done
		later, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = s.queue.stop(later)
	}
	if err := errors.Join(err, store.Close()); err != nil {
		t.Errorf("kill: %v", err)
	}
}

func (r *rocketSite) kill() {
	r.t.Helper()
	if r.store != nil {
		killed(r.t, r.s, r.store)
		r.store = nil
	}
}

func (r *rocketSite) restart() {
	r.t.Helper()
	r.kill()
	r.open()
	r.start()
}

// customer makes a customer of the made-up company known to Sightline.
func (r *rocketSite) customer(who sandbox.Customer) CustomerID {
	r.t.Helper()
	id, err := r.store.Org(1).Resolve(r.t.Context(), db.Sighting{Connection: r.conn, Email: who.Email, Name: who.FullName, SeenAt: time.Now()})
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rocketSite) history(action string) []db.HistoryEntry {
	r.t.Helper()
	all, err := r.store.Org(1).History(r.t.Context(), db.HistoryFilter{Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	var out []db.HistoryEntry
	for _, e := range all {
		if e.Action == action {
			out = append(out, e)
		}
	}
	return out
}

// force writes a state into the file, as a crash at that moment would leave it.
func (r *rocketSite) force(query string, args ...any) {
	r.t.Helper()
	if _, err := r.store.Queue().ExecContext(r.t.Context(), query, args...); err != nil {
		r.t.Fatal(err)
	}
}
