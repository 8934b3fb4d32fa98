package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"sightline/internal/db"
	"sightline/internal/handlers"
	"sightline/internal/services"
	"sightline/internal/services/secrets"
)

// How long a stop waits for requests and for jobs before it cancels them. The
// sum stays below the 30 s after which systemd and Docker are often set to kill.
const (
	requestGrace = 10 * time.Second
	jobGrace     = 12 * time.Second
)

// minMetricsToken is how short the token of /metrics may be: it can be guessed at
// without end.
const minMetricsToken = 16

const defaultListen = "127.0.0.1:8420"

// garbageRoom is how many bytes of garbage may gather before it is collected,
// beyond as much as is alive.
const garbageRoom = 16 << 20

// serveSettings is everything that serve reads.
type serveSettings struct {
	storeSettings
	vendorSettings
	logSettings
	listen, baseURL, trustProxy string
	adminEmail, adminOrg        string
	adminPassword, metricsToken secretSetting
}

// serveConfig is what the settings mean.
type serveConfig struct {
	store      storeConfig
	vendors    services.Vendors
	log        *slog.Logger
	listen     string
	baseURL    *url.URL // nil: whatever the browser used
	trustProxy bool
	admin      services.NewOwner // empty Email: the setup page makes the first owner
	metricsKey [sha256.Size]byte // of the token; zero without one
}

func serveCommand(s stdio) *cli.Command {
	var set serveSettings
	set.adminPassword = secretSetting{name: "admin-password", what: "the first owner's password"}
	set.metricsToken = secretSetting{name: "metrics-token", what: "the token that opens /metrics"}
	flags := set.storeSettings.flags("./data", "directory of the database and, unless given, the master key")
	flags = append(flags,
		text("listen", "address and port to listen on", defaultListen, &set.listen),
		text("base-url", "address under which people reach Sightline, for links and secure cookies", "", &set.baseURL),
		text("trust-proxy", "yes if a proxy in front sets X-Forwarded-For", "no", &set.trustProxy),
		text("admin-email", "makes the first owner, without the setup page, when nobody can sign in yet", "", &set.adminEmail),
		set.adminPassword.flag(),
		set.metricsToken.flag(),
		text("admin-org", "name of the first owner's organization", "My organization", &set.adminOrg),
	)
	flags = append(flags, set.vendorSettings.flags()...)
	flags = append(flags, set.logSettings.flags("info")...)
	return &cli.Command{
		Name: "serve", Usage: "run Sightline", Flags: flags,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			return leaf(func(ctx context.Context) error {
				c, err := set.check(s)
				if err != nil {
					return err
				}
				for _, name := range unknownVariables(cmd.Root(), os.Environ()) {
					c.log.Warn("no setting has this name, so it has no effect", "variable", name)
				}
				return serve(ctx, c, s)
			})(ctx, cmd)
		},
	}
}

func (set *serveSettings) check(s stdio) (serveConfig, error) {
	var p problems
	c := serveConfig{
		store: set.storeSettings.check(&p, s.in), vendors: set.vendorSettings.check(&p), log: set.logSettings.check(&p, s.err),
		listen: checkListen(&p, set.listen), trustProxy: checkYes(&p, "trust-proxy", set.trustProxy),
	}
	if set.baseURL != "" {
		text, before := checkURL(&p, "base-url", set.baseURL), len(p)
		if u, err := url.Parse(text); err == nil && len(p) == before {
			if u.Path != "" {
				p.add("%s must be an address without a path: Sightline wants a host name of its own.", envName("base-url"))
			}
			c.baseURL = u
		}
	}
	password := set.adminPassword.read(&p, s.in)
	switch {
	case set.adminEmail != "" && password.IsZero():
		p.add("%s is given without %s.", envName("admin-email"), envName("admin-password"))
	case set.adminEmail == "" && !password.IsZero():
		p.add("%s is given without %s.", envName("admin-password"), envName("admin-email"))
	case set.adminEmail != "":
		checkEmail(&p, "admin-email", set.adminEmail)
		checkPassword(&p, set.adminPassword.what, password)
		c.admin = services.NewOwner{Email: set.adminEmail, Password: password.Reveal(), OrgName: set.adminOrg}
	}
	if token := set.metricsToken.read(&p, s.in); !token.IsZero() {
		if len(token.Reveal()) < minMetricsToken {
			p.add("%s must have at least %d characters; it has %d.", sentence(set.metricsToken.what), minMetricsToken, len(token.Reveal()))
		}
		c.metricsKey = sha256.Sum256([]byte(token.Reveal()))
	}
	return c, p.err()
}

// serve runs Sightline until a signal stops it.
func serve(ctx context.Context, c serveConfig, s stdio) (err error) {
	unlock, err := lockData(c.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	st, err := openStore(ctx, c.store, c.vendors, c.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	if _, err := st.db.MetaUnscoped(ctx, metaDemo); err == nil {
		return fmt.Errorf("the data in %s was made up by sightline demo, with passwords that everybody knows; serve wants a directory of its own", c.store.dir)
	} else if !errors.Is(err, db.ErrNotFound) {
		return err
	}
	// Listening comes before anything is written or promised: a port that is
	// taken is the likeliest fault of all.
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", c.listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.listen, err)
	}
	address := "http://" + browsable(ln.Addr())
	if c.baseURL != nil {
		address = c.baseURL.String()
	}
	if err := firstOwner(ctx, c, st.services.People, address, s); err != nil {
		return errors.Join(err, ln.Close())
	}
	st.services.ReceiveWebhooks(c.baseURL)
	stopping := make(chan struct{})
	h, err := handlers.New(handlers.Options{
		Services: st.services, Stopping: stopping, BaseURL: c.baseURL, TrustProxy: c.trustProxy, MetricsKey: c.metricsKey, Version: version(), Log: c.log, Now: time.Now,
	})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	return runServer(ctx, st.services, ln, h, stopping, c.log, func(context.Context) {
		c.log.Info("Sightline is ready", "version", version(), "address", address, "listen", ln.Addr().String(), "data", c.store.dir)
	})
}

// browsable is a listening address as a browser on this machine would write it.
func browsable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// firstOwner makes the first owner, or prints the link with which somebody may
// become it. It does nothing once anybody can sign in.
func firstOwner(ctx context.Context, c serveConfig, people *services.People, address string, s stdio) error {
	token, open, err := people.SetupLink(ctx)
	if err != nil || !open {
		return err
	}
	if c.admin.Email == "" {
		s.say("\nNobody can sign in yet. Open this link to make the first account; it works once:\n\n  %s/setup?token=%s\n", address, token)
		return nil
	}
	if _, err := people.FirstOwner(ctx, c.admin); err != nil {
		return fmt.Errorf("make the first owner: %w", err)
	}
	c.log.Info("the first owner was made", "email", c.admin.Email, "organization", services.Slug(c.admin.OrgName))
	return nil
}

// runServer serves pages and runs jobs until a signal or ctx ends them, then
// stops in order: no new requests, the running ones, the jobs. A second signal
// ends the process at once. stopping is closed when it begins to. started is called once jobs run and pages are served.
func runServer(ctx context.Context, svc *services.Services, ln net.Listener, h http.Handler, stopping chan<- struct{}, log *slog.Logger, started func(context.Context)) error {
	ctx, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer release()
	// So little is alive that the collector would run every twenty pages and take
	// a fifth of the time. What is counted as alive and never touched makes it run
	// seldom, and is no memory.
	room := make([]byte, garbageRoom)
	defer runtime.KeepAlive(room)
	if err := svc.Settle(ctx); err != nil {
		return errors.Join(err, ln.Close())
	}
	var running atomic.Int64
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Add(-1)
			h.ServeHTTP(w, r)
		}),
		ConnContext:       handlers.ConnContext,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(handlers.Listener(ln)) }()
	// Pages need no jobs, which take some milliseconds to start.
	if err := svc.Start(ctx); err != nil {
		return errors.Join(err, srv.Close()) // and the listener with it
	}
	started(ctx)
	var failed error
	select {
	case err := <-served:
		failed = fmt.Errorf("serve pages: %w", err)
	case <-ctx.Done():
	}
	release() // from here on a signal does what it does by itself: it ends the process
	close(stopping)
	log.Info("stopping; a second signal ends it at once", "waiting_for_requests", running.Load(), "at_most", requestGrace.String())
	stopped, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestGrace)
	defer cancel()
	if err := srv.Shutdown(stopped); err != nil {
		log.Warn("requests were cut off", "requests", running.Load())
		_ = srv.Close()
	}
	log.Info("waiting for running jobs", "at_most", jobGrace.String())
	stopped, cancel = context.WithTimeout(context.WithoutCancel(ctx), jobGrace)
	defer cancel()
	if err := svc.Stop(stopped); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		failed = errors.Join(failed, fmt.Errorf("stop the jobs: %w", err))
	}
	log.Info("closing the database")
	return failed
}

// readPassword reads a new password from where the setting says, else from the
// terminal, without showing it, or from the first line of standard input.
func readPassword(p *problems, set *secretSetting, s stdio) secrets.Secret {
	v := set.read(p, s.in)
	if v.IsZero() && len(*p) == 0 {
		v = prompt(p, s, strings.TrimPrefix(set.what, "the "))
	}
	if len(*p) == 0 {
		checkPassword(p, set.what, v)
	}
	return v
}
