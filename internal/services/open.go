package services

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/logrocket"
	"sightline/internal/services/markdown"
	"sightline/internal/services/metrics"
	"sightline/internal/services/secrets"
)

// Options are what the services need.
type Options struct {
	// DB is the open store. It stays the caller's to close, after Stop.
	DB *db.DB
	// Box seals and opens credentials.
	Box *secrets.Box
	// Vendors says where the vendors answer.
	Vendors Vendors
	// Highlights sets the pace of asking for results; zero means the defaults.
	Highlights HighlightOptions
	// Bulk sets the pace of bulk edits; zero means the defaults.
	Bulk BulkOptions
	// Batches sets the pace of batches; zero means the defaults.
	Batches BatchOptions
	// FilesDir is where export files are kept. It is made when the first comes.
	FilesDir string
	// PasswordMemory is what NewPeople takes; zero means the default.
	PasswordMemory uint32
	Log            *slog.Logger
	// Now is the clock; nil means the machine's.
	Now func() time.Time
}

// Services are all that Sightline does. Between Start and Stop the jobs run;
// without Start everything else still works, as the command line needs it.
type Services struct {
	People      *People
	Connections *Connections
	Asks        *Asks
	History     *History
	Sessions    *Sessions
	Insight     *Insight
	Views       *Views
	Customers   *Customers
	Syncs       *Syncs
	Details     *Details
	Traits      *Traits
	Bulks       *Bulks
	Highlights  *Highlights
	Batches     *Batches
	Alerts      *Alerts
	Audits      *Audits
	Recordings  *Recordings
	GraphQL     *GraphQL
	Exports     *Exports
	// Markdown renders what a model wrote, with links into LogRocket's app only.
	Markdown *Markdown
	// Metrics counts what is done, see WriteMetrics.
	Metrics *metrics.Metrics
	// CookieKeys sign and encrypt browsers' cookies. They are the
	// installation's own and stay the same over restarts.
	CookieKeys [2][]byte

	db      *db.DB
	queue   *Queue
	log     *slog.Logger
	started bool
	began   time.Time
	// endCare ends what is done beside the jobs, and waits for it.
	endCare func()
}

// Open builds the services over an open store.
func Open(ctx context.Context, o Options) (*Services, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Services{db: o.DB, queue: newQueue(o.DB, o.Log), log: o.Log, Metrics: metrics.New(), began: time.Now()}
	s.queue.metrics = s.Metrics
	var err error
	s.People = NewPeople(o.DB, o.Now, o.PasswordMemory)
	if s.CookieKeys, err = cookieKeys(ctx, o.DB, o.Box, o.Now()); err != nil {
		return nil, err
	}
	s.Connections = NewConnections(o.DB, o.Box, o.Vendors, o.Log, o.Now)
	s.Connections.metrics = s.Metrics
	s.queue.onStart(s.Connections.settleCalls)
	s.Asks = newAsks(o.DB, s.queue, o.Log, o.Now)
	s.Connections.useAsks(s.Asks)
	s.History = NewHistory(o.DB, o.Now)
	s.Sessions = newSessions(o.DB, s.Connections, s.Asks, o.Now)
	s.Insight = newInsight(o.DB, s.Connections)
	s.Insight.useAsks(s.Asks)
	s.Syncs = newSyncs(o.DB, s.queue, s.Connections, o.Log, o.Now)
	s.Syncs.asks = s.Asks
	s.Details = newDetails(o.DB, s.queue, s.Asks, s.Connections, o.Log, o.Now)
	s.Sessions.syncs = s.Syncs
	s.Views = newViews(o.DB, o.Now)
	s.Customers = newCustomers(o.DB, s.Connections, s.Sessions, o.Now)
	if s.Markdown, err = markdown.New(cmp.Or(o.Vendors.LogRocketAppURL, logrocket.DefaultAppURL)); err != nil {
		return nil, err
	}
	s.Traits = newTraits(o.DB, s.queue, s.Connections, o.Log, o.Now)
	s.Bulks = newBulks(o.DB, s.queue, s.Traits, s.Connections, o.Bulk, o.Log, o.Now)
	s.Highlights = newHighlights(o.DB, s.queue, s.Connections, o.Highlights, o.Log, o.Now)
	s.Batches = newBatches(o.DB, s.queue, s.Highlights, s.Sessions, s.Connections, s.Markdown, o.Batches, o.Log, o.Now)
	s.Alerts = newAlerts(o.DB, s.Connections, s.Markdown, o.Now)
	s.Audits = newAudits(o.DB, s.queue, s.Connections, o.Log, o.Now)
	s.Recordings = newRecordings(o.DB, s.queue, s.Connections, o.Log, o.Now)
	s.GraphQL = newGraphQL(o.DB, s.queue, s.Asks, s.Connections, o.Log, o.Now)
	s.Exports = newExports(o.DB, s.queue, s.Connections, o.FilesDir, s.Recordings.Read, o.Log, o.Now)
	if err := s.queue.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// Settle settles what the last run left behind, which comes before anybody asks
// for something new. Only one process may do so on one database.
func (s *Services) Settle(ctx context.Context) error { return s.queue.settleOnce(ctx) }

// Start starts the jobs, after Settle if that was not called. Only one process
// may do so on one database.
func (s *Services) Start(ctx context.Context) error {
	if err := s.queue.start(ctx); err != nil {
		return err
	}
	s.started = true
	caring, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() { s.mergeSearch(caring) })
	done.Go(func() { s.GraphQL.keepTime(caring) })
	done.Go(func() { s.keepDays(caring) })
	done.Go(func() { s.Syncs.watch(caring) })
	s.endCare = func() { cancel(); done.Wait() }
	return nil
}

const (
	// searchRest is how long the search is left alone between two merges.
	searchRest = 6 * time.Hour
	// searchStep is how many pages of the index are merged at a time, some
	// milliseconds' work, and searchPause how long others write and read then.
	searchStep  = 100
	searchPause = 20 * time.Millisecond
)

// mergeSearch keeps the search quick, whatever comes in, until ctx ends.
func (s *Services) mergeSearch(ctx context.Context) {
	pause := func() error {
		sleep(ctx, searchPause)
		return ctx.Err()
	}
	for wait := time.Minute; sleep(ctx, wait); wait = searchRest {
		if err := s.db.MergeSearch(ctx, searchStep, pause); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "the search index was not merged; searching takes longer", "err", err)
		}
	}
}

// Stop lets running jobs finish until ctx ends and cancels the rest.
func (s *Services) Stop(ctx context.Context) error {
	if !s.started {
		return nil
	}
	s.started = false
	s.endCare()
	return s.queue.stop(ctx)
}

// Generation numbers what pages show: see [db.DB.Generation].
func (s *Services) Generation() uint64 { return s.db.Generation() }

// Ready reports whether pages can be served.
func (s *Services) Ready(ctx context.Context) error {
	if err := s.db.Ping(ctx); err != nil {
		return fmt.Errorf("the database does not answer: %w", err)
	}
	return nil
}

const (
	metaKeyset     = "keyset"
	metaCookieKeys = "cookie_keys"
	// placeCookieKeys is where the cookie keys are sealed for.
	placeCookieKeys = "installation/cookies/keys"
)

// OpenBox opens the installation's keyset with the master key, and makes the
// keyset on the first start. Another master key than before is
// secrets.ErrWrongMasterKey.
func OpenBox(ctx context.Context, d *db.DB, master secrets.Secret, now time.Time) (*secrets.Box, error) {
	sealed, err := d.MetaUnscoped(ctx, metaKeyset)
	if errors.Is(err, db.ErrNotFound) {
		_, fresh, nerr := secrets.NewBox(master)
		if nerr != nil {
			return nil, nerr
		}
		// Two processes starting at once agree on the one that was stored.
		sealed, err = d.AddMetaUnscoped(ctx, metaKeyset, fresh, now)
	}
	if err != nil {
		return nil, fmt.Errorf("read the sealed keys: %w", err)
	}
	return secrets.OpenBox(master, sealed)
}

// cookieKeys reads the keys that sign (64 bytes) and encrypt (32) cookies, and
// makes them on the first start. They are stored sealed: with a copy of the
// database alone nobody can forge a cookie.
func cookieKeys(ctx context.Context, d *db.DB, box *secrets.Box, now time.Time) (keys [2][]byte, err error) {
	const sign, encrypt = 64, 32
	sealed, err := d.MetaUnscoped(ctx, metaCookieKeys)
	if errors.Is(err, db.ErrNotFound) {
		b := make([]byte, sign+encrypt)
		rand.Read(b)
		fresh, serr := box.Seal(placeCookieKeys, secrets.New(string(b)))
		if serr != nil {
			return keys, fmt.Errorf("seal the cookie keys: %w", serr)
		}
		sealed, err = d.AddMetaUnscoped(ctx, metaCookieKeys, fresh, now)
	}
	if err != nil {
		return keys, fmt.Errorf("read the cookie keys: %w", err)
	}
	opened, err := box.Open(placeCookieKeys, sealed)
	if err != nil {
		return keys, fmt.Errorf("open the cookie keys: %w", err)
	}
	b := []byte(opened.Reveal())
	if len(b) != sign+encrypt {
		return keys, fmt.Errorf("the cookie keys are %d bytes long, not %d", len(b), sign+encrypt)
	}
	return [2][]byte{b[:sign], b[sign:]}, nil
}
