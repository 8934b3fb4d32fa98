// Package sandbox stands in for both vendors: two real HTTP servers on loopback
// that answer as Raygun's and LogRocket's documentation says, over the data of a
// made-up company. Tests and the try-out use it in place of the vendors; nothing
// in production does.
//
// Everything it serves is invented. Addresses, domains and names come from the
// ranges reserved for documentation. It refuses every peer but loopback.
package sandbox

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Dialect says in which of two forms the servers answer.
type Dialect string

const (
	// DialectContract answers as the published documents say.
	DialectContract Dialect = "contract"
	// DialectLive answers as live servers have been seen to: other field names
	// (userID, id, recordingID with sessionID), READY for COMPLETE, cursors as
	// numbers, highlights fetched without the slash, relative page links. Where
	// Raygun documents nothing, it does the other of two things: sessions oldest
	// first, the upper bound let in, no Retry-After.
	DialectLive Dialect = "live"
)

// Options adjusts a Sandbox. The zero value of each field means its default.
type Options struct {
	Seed      uint64 // default 1
	Customers int    // default 2000; the ones that are easy to remember come first
	Sessions  int    // default 50000, at most a million with today and the week after: Raygun sessions before today
	Days      int    // default 60: whole days before today that they lie in

	// Now is the clock of the data and of all lifetimes; default time.Now.
	// Timers (latency, webhooks) run in real time.
	Now     func() time.Time
	Dialect Dialect // default DialectContract

	// RaygunDailyLimit is how many calls of sessions and session together are
	// answered each UTC day; default 50, negative is without limit.
	RaygunDailyLimit int
	// RaygunAuthMethod limits authenticate to "GET" or "POST", the other getting
	// 405; empty accepts both. Raygun's page names both in different places.
	RaygunAuthMethod string
	KeyLifetime      time.Duration // of Raygun session keys; default 15 minutes
	// RaygunV3Limits are how many calls of Raygun API v3 are answered; the zero
	// value of each field is Raygun's own limit, negative is without.
	RaygunV3Limits RaygunLimits

	ExportURLLifetime time.Duration // default 15 minutes
	HighlightDelay    time.Duration // from request to result; default 8 seconds, negative is at once
}

func (o *Options) fill() error {
	setInt := func(p *int, d int) {
		if *p == 0 {
			*p = d
		}
	}
	setTime := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	setInt(&o.Customers, 2000)
	setInt(&o.Sessions, 50_000)
	setInt(&o.Days, 60)
	setInt(&o.RaygunDailyLimit, 50)
	setTime(&o.KeyLifetime, 15*time.Minute)
	setTime(&o.ExportURLLifetime, 15*time.Minute)
	setTime(&o.HighlightDelay, 8*time.Second)
	setInt(&o.RaygunV3Limits.PerSecond, 10)
	setInt(&o.RaygunV3Limits.PerMinute, 600)
	setInt(&o.RaygunV3Limits.PerDay, 10_000)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dialect == "" {
		o.Dialect = DialectContract
	}
	switch {
	case o.Customers < 0 || o.Customers > 200_000:
		return fmt.Errorf("sandbox: %d customers; give 1 to 200000", o.Customers)
	case o.Days < 0 || o.Days > 3650:
		return fmt.Errorf("sandbox: %d days; give 1 to 3650", o.Days)
	case o.Sessions < 0 || o.Sessions > maxSessions || o.Sessions/o.Days*(o.Days+aheadDays+1) > maxSessions:
		return fmt.Errorf("sandbox: %d sessions in %d days; give 1 to %d over all days, among them today and the %d after it", o.Sessions, o.Days, maxSessions, aheadDays)
	case !o.Dialect.valid():
		return fmt.Errorf("sandbox: no dialect %q; there are %q and %q", o.Dialect, DialectContract, DialectLive)
	case o.RaygunAuthMethod != "" && o.RaygunAuthMethod != http.MethodGet && o.RaygunAuthMethod != http.MethodPost:
		return fmt.Errorf("sandbox: authenticate by %q; give GET, POST or nothing for both", o.RaygunAuthMethod)
	}
	return nil
}

func (d Dialect) valid() bool { return d == DialectContract || d == DialectLive }

// Credentials are what the stand-ins accept. They open nothing else.
type Credentials struct {
	RaygunAPIKey       string
	RaygunClientID     string
	RaygunClientSecret string
	RaygunToken        string // personal access token of v3, sent as "Authorization: Bearer <token>"
	RaygunApplication  string // identifier in v3 of the application that RaygunAPIKey belongs to
	LogRocketKey       string // "acme:web:<secret>", sent as "Authorization: token <key>"
	LogRocketOrg       string
	LogRocketApp       string
}

// Sandbox is the two running servers. It is safe for use by many goroutines.
type Sandbox struct {
	opts    Options
	company *Company
	creds   Credentials
	signKey []byte

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // servers and webhook deliveries
	hook   *http.Client

	raygunURL, logrocketURL string
	servers                 []*http.Server

	mu         sync.Mutex
	dialect    Dialect
	dailyLimit int
	authMethod string

	disorder disorder
	faults   faults
	calls    calls
	raygun   *raygun
	v3       *v3
	rocket   *rocket
}

// Start makes the company and starts both servers on free ports of 127.0.0.1.
// They run until Close is called or ctx ends.
func Start(ctx context.Context, o Options) (*Sandbox, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	s := &Sandbox{opts: o, company: newCompany(o), dialect: o.Dialect, dailyLimit: o.RaygunDailyLimit, authMethod: o.RaygunAuthMethod}
	s.creds = Credentials{
		RaygunAPIKey: s.secret("raygun api key", 22), RaygunClientID: s.secret("raygun client id", 20), RaygunClientSecret: s.secret("raygun client secret", 40),
		RaygunToken: s.secret("raygun token", 40), RaygunApplication: base36(int64(mix(o.Seed, 36)%(1<<35) + 1<<35)),
		LogRocketKey: "acme:web:" + s.secret("logrocket key", 20), LogRocketOrg: "acme", LogRocketApp: "web",
	}
	s.signKey = []byte(s.secret("export urls", 32))
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.hook = webhookClient()
	s.raygun, s.v3 = newRaygun(s), newV3(s)
	rocket, err := newRocket(s)
	if err != nil {
		s.cancel()
		return nil, fmt.Errorf("sandbox: build GraphQL schema: %w", err)
	}
	s.rocket = rocket
	if s.raygunURL, err = s.serve(&front{s: s, vendor: Raygun, route: s.raygun.route}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.logrocketURL, err = s.serve(&front{s: s, vendor: LogRocket, route: s.rocket.route}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.wg.Go(func() {
		<-s.ctx.Done()
		for _, srv := range s.servers {
			_ = srv.Close() // requests of a stand-in need no grace
		}
	})
	return s, nil
}

func (s *Sandbox) serve(h http.Handler) (string, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(s.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("sandbox: listen on loopback: %w", err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return s.ctx }}
	s.servers = append(s.servers, srv)
	s.wg.Go(func() { _ = srv.Serve(ln) }) // returns when closed
	return "http://" + ln.Addr().String(), nil
}

// secret derives a made-up secret from the seed.
func (s *Sandbox) secret(what string, n int) string {
	m := hmac.New(sha256.New, fmt.Appendf(nil, "sandbox %d", s.opts.Seed))
	m.Write([]byte(what))
	return hex.EncodeToString(m.Sum(nil))[:n]
}

// Close stops both servers and waits for all that runs. It may be called twice.
func (s *Sandbox) Close() error {
	s.cancel()
	s.wg.Wait()
	s.hook.CloseIdleConnections()
	return nil
}

// RaygunURL is the base URL that stands for https://api.raygun.com.
func (s *Sandbox) RaygunURL() string { return s.raygunURL }

// LogRocketURL is the base URL that stands for https://api.logrocket.com.
func (s *Sandbox) LogRocketURL() string { return s.logrocketURL }

// LogRocketAppURL is the base URL that stands for https://app.logrocket.com:
// links in highlights begin with it and open a plain page.
func (s *Sandbox) LogRocketAppURL() string { return s.logrocketURL }

// ControlURL is the page for people who switch faults on and off by hand.
func (s *Sandbox) ControlURL() string { return s.raygunURL + "/_sandbox/" }

// Credentials are the keys that the stand-ins accept.
func (s *Sandbox) Credentials() Credentials { return s.creds }

// Company is what the stand-ins tell about.
func (s *Sandbox) Company() *Company { return s.company }

// SetDialect switches both servers; it does nothing for an unknown dialect.
func (s *Sandbox) SetDialect(d Dialect) {
	if !d.valid() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialect = d
}

// Dialect is the one spoken now.
func (s *Sandbox) Dialect() Dialect {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialect
}

func (s *Sandbox) live() bool { return s.Dialect() == DialectLive }

// SetRaygunDailyLimit changes the day's allowance; what was used today stays
// used. Negative is without limit, 0 refuses every call.
func (s *Sandbox) SetRaygunDailyLimit(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dailyLimit = n
}

// SetRaygunAuthMethod is Options.RaygunAuthMethod for a running Sandbox.
func (s *Sandbox) SetRaygunAuthMethod(method string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.authMethod = method
}

func (s *Sandbox) limit() (daily int, authMethod string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dailyLimit, s.authMethod
}
