package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"sightline/internal/db"
	"sightline/internal/handlers"
	"sightline/internal/services"
	"sightline/internal/services/sandbox"
)

const (
	demoOrg = "acme"
	// demoPassword opens every account of the demo. It guards nothing: the data
	// is made up, and the demo listens on this machine alone.
	demoPassword = "see-what-happened"
)

// demoAccounts is one account for each role.
func demoAccounts() []handlers.DemoAccount {
	var out []handlers.DemoAccount
	for _, role := range []services.Role{services.Viewer, services.Support, services.Admin, services.Owner} {
		out = append(out, handlers.DemoAccount{Role: role.String(), Email: role.String() + "@example.com", Password: demoPassword})
	}
	return out
}

// demoPeople are the made-up customers whom the first page offers to look up.
func demoPeople(c *sandbox.Company) []handlers.DemoPerson {
	const few = 4 // those whose stories show most
	var out []handlers.DemoPerson
	for _, p := range c.Demo()[:few] {
		out = append(out, handlers.DemoPerson{Query: p.Email, Story: p.Note})
	}
	return out
}

// demoSettings is everything that demo reads.
type demoSettings struct {
	storeSettings
	logSettings
	listen, dialect, seed, limit, highlights string
}

// demoConfig is what the settings mean.
type demoConfig struct {
	store   storeConfig
	log     *slog.Logger
	listen  string
	sandbox sandbox.Options
	keep    bool // the data directory was given
}

func demoCommand(s stdio) *cli.Command {
	var set demoSettings
	flags := set.storeSettings.flags("", "directory to keep the data in; without one nothing is kept")
	flags = append(flags,
		text("listen", "address and port to listen on; a free port is taken if this one is not", defaultListen, &set.listen),
		text("dialect", "how the stand-ins answer: contract, as the vendors' documents say, or live, as their servers have been seen to", "contract", &set.dialect),
		text("seed", "the same number gives the same made-up data", "1", &set.seed),
		text("raygun-limit", "calls a day that the stand-in for Raygun answers, -1 for no limit", "50", &set.limit),
		text("highlights-delay", "how long highlights take", "8s", &set.highlights),
	)
	return &cli.Command{
		Name: "demo", Usage: "try Sightline out with made-up data and stand-ins for both vendors",
		Flags: append(flags, set.logSettings.flags("warn")...),
		Action: leaf(func(ctx context.Context) error {
			c, err := set.check(s)
			if err != nil {
				return err
			}
			return demo(ctx, c, s)
		}),
	}
}

func (set *demoSettings) check(s stdio) (demoConfig, error) {
	var p problems
	c := demoConfig{log: set.logSettings.check(&p, s.err), listen: checkListen(&p, set.listen), keep: set.dataDir != ""}
	if !c.keep {
		set.dataDir = os.TempDir() // replaced by a directory of our own in it
	}
	c.store = set.storeSettings.check(&p, s.in)
	c.sandbox.Dialect = sandbox.Dialect(set.dialect)
	if d := c.sandbox.Dialect; d != sandbox.DialectContract && d != sandbox.DialectLive {
		p.add("%s must be contract or live, but is %q.", envName("dialect"), shown(set.dialect))
	}
	c.sandbox.Seed = uint64(checkNumber(&p, "seed", set.seed, 1, math.MaxInt64))
	c.sandbox.RaygunDailyLimit = int(checkNumber(&p, "raygun-limit", set.limit, -1, 1_000_000))
	delay, err := time.ParseDuration(set.highlights)
	if err != nil || delay < 0 || delay > time.Hour {
		p.add("%s must be a time such as 8s or 2m, at most 1h, but is %q.", envName("highlights-delay"), shown(set.highlights))
	}
	c.sandbox.HighlightDelay = delay
	if delay == 0 {
		c.sandbox.HighlightDelay = -1 // at once; 0 is the stand-in's default
	}
	return c, p.err()
}

// demo runs Sightline over the stand-ins until a signal stops it.
func demo(ctx context.Context, c demoConfig, s stdio) (err error) {
	if !c.keep {
		if c.store.dir, err = os.MkdirTemp(c.store.dir, "sightline-demo-"); err != nil {
			return fmt.Errorf("make a directory for the demo: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.store.dir)) }()
	}
	unlock, err := lockData(c.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	box, err := sandbox.Start(ctx, c.sandbox)
	if err != nil {
		return fmt.Errorf("start the stand-ins: %w", err)
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	vendors := services.Vendors{RaygunURL: box.RaygunURL(), LogRocketURL: box.LogRocketURL(), LogRocketAppURL: box.LogRocketAppURL()}
	if err := demoKey(&c.store); err != nil {
		return err
	}
	st, err := openStore(ctx, c.store, vendors, c.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	actors, err := furnish(ctx, st, box, c)
	if err != nil {
		return fmt.Errorf("prepare the demo: %w", err)
	}
	ln, moved, err := listenOrMove(ctx, c.listen)
	if err != nil {
		return err
	}
	if moved {
		s.say("%s is taken by another program, so a free port is used.", c.listen)
	}
	st.services.ReceiveWebhooks(&url.URL{Scheme: "http", Host: browsable(ln.Addr())})
	stopping := make(chan struct{})
	h, err := handlers.New(handlers.Options{
		Services: st.services, Stopping: stopping, Version: version(), Log: c.log, Now: time.Now, Demo: &handlers.Demo{Accounts: demoAccounts(), People: demoPeople(box.Company())},
	})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	greet := func(ctx context.Context) {
		if err := fillMirror(ctx, st.services, actors, box.Company().Demo()); err != nil {
			c.log.Warn("the demo's first sessions were not fetched", "error", err)
		}
		printDemo(s.out, "http://"+browsable(ln.Addr()), box, c)
	}
	return runServer(ctx, st.services, ln, h, stopping, c.log, greet)
}

// demoKey makes the master key without the loud note of a real installation:
// what it seals is made up.
func demoKey(c *storeConfig) error {
	if !c.masterKey.IsZero() {
		return nil
	}
	if _, err := os.Stat(c.masterKeyFile()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(c.database()); err == nil {
		return nil // a database without its key: opening it says so
	}
	_, err := makeMasterKey(c.masterKeyFile(), slog.New(slog.DiscardHandler))
	return err
}

// listenOrMove listens, on a free port of the same host if the port is taken.
func listenOrMove(ctx context.Context, address string) (ln net.Listener, moved bool, err error) {
	var lc net.ListenConfig
	ln, err = lc.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		host, _, serr := net.SplitHostPort(address)
		if serr != nil {
			return nil, false, fmt.Errorf("listen on %s: %w", address, serr)
		}
		ln, err = lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
		moved = true
	}
	if err != nil {
		return nil, false, fmt.Errorf("listen on %s: %w", address, err)
	}
	return ln, moved, nil
}

// furnish makes the organization, an account for each role and a connection to
// each stand-in, as far as they are not there from an earlier run. It returns
// the people, the strongest role last.
func furnish(ctx context.Context, st *store, box *sandbox.Sandbox, c demoConfig) ([]services.Actor, error) {
	if err := claim(ctx, st, c); err != nil {
		return nil, err
	}
	org, err := st.services.People.Organization(ctx, demoOrg)
	var e *services.Error
	if errors.As(err, &e) && e.Kind == services.NotFound {
		org, err = st.services.People.AddOrganization(ctx, demoOrg, "Acme")
	}
	if err != nil {
		return nil, err
	}
	var actors []services.Actor
	for _, a := range demoAccounts() {
		who := services.NewOwner{Email: a.Email, Name: strings.ToUpper(a.Role[:1]) + a.Role[1:], Password: a.Password}
		role := services.ParseRole(a.Role)
		u, err := st.services.People.AddMember(ctx, org.ID, who, role)
		if err != nil {
			return nil, err
		}
		actors = append(actors, services.Actor{Org: org.ID, User: u.ID, Name: u.Name, Email: u.Email, Role: role})
	}
	return actors, connectStandIns(ctx, st.services.Connections, services.System(org.ID), box.Credentials())
}

// claim marks the data directory as a demo's, and refuses one that is not.
func claim(ctx context.Context, st *store, c demoConfig) error {
	seed := strconv.FormatUint(c.sandbox.Seed, 10)
	before, err := st.db.MetaUnscoped(ctx, metaDemo)
	switch {
	case errors.Is(err, db.ErrNotFound):
		orgs, oerr := st.services.People.Organizations(ctx)
		if oerr != nil {
			return oerr
		}
		if len(orgs) > 0 {
			return fmt.Errorf("%s holds data that no demo made; give the demo a directory of its own", c.store.dir)
		}
		if err := st.db.SetMetaUnscoped(ctx, metaDemo, []byte(seed), time.Now()); err != nil {
			return err
		}
	case err != nil:
		return err
	case string(before) != seed:
		return fmt.Errorf("the data in %s was made with the seed %s; give that one, or another directory", c.store.dir, before)
	}
	return nil
}

func connectStandIns(ctx context.Context, conns *services.Connections, actor services.Actor, cr sandbox.Credentials) error {
	list, err := conns.List(ctx, actor.Org)
	if err != nil || len(list) > 0 {
		return err
	}
	for _, f := range []services.ConnectionForm{
		{
			Vendor: services.Raygun, Name: "Acme shop", APIKey: services.NewSecret(cr.RaygunAPIKey),
			ClientID: services.NewSecret(cr.RaygunClientID), ClientSecret: services.NewSecret(cr.RaygunClientSecret),
			Sync: true, Share: demoShare,
		},
		// Its sync is switched on once v1 has told of the last week.
		{Vendor: services.RaygunV3, Name: "Acme shop v3", Token: services.NewSecret(cr.RaygunToken), Application: cr.RaygunApplication},
		{Vendor: services.LogRocket, Name: "Acme web", Key: services.NewSecret(cr.LogRocketKey), Audit: true},
	} {
		_, faults, err := conns.Add(ctx, actor, f)
		if err != nil {
			return err
		}
		if len(faults) > 0 {
			return fmt.Errorf("connection %q: %v", f.Name, faults)
		}
	}
	return nil
}

func printDemo(w io.Writer, address string, box *sandbox.Sandbox, c demoConfig) {
	kept := "Nothing is kept: all of it is gone when you stop it with Ctrl-C."
	if c.keep {
		kept = "The data is kept in " + c.store.dir + "."
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nSightline is running with made-up data.\n\n  %s\n\nSign in with one of these:\n\n", address)
	does := map[string]string{
		"viewer": "reads", "support": "also edits traits and asks for highlights", "admin": "also connections and members", "owner": "also the organization",
	}
	fmt.Fprintf(&b, "  %-8s %-20s %-20s\n", "ROLE", "EMAIL", "PASSWORD")
	for _, a := range demoAccounts() {
		fmt.Fprintf(&b, "  %-8s %-20s %-20s %s\n", a.Role, a.Email, a.Password, does[a.Role])
	}
	fmt.Fprintf(&b, "\nLook up one of these people:\n\n")
	for _, p := range box.Company().Demo() {
		if strings.ContainsAny(p.Email, "<>") {
			continue
		}
		fmt.Fprintf(&b, "  %-32s %s\n", p.Email, p.Note)
	}
	fmt.Fprintf(&b, "\nRaygun is connected through its APIs v1 and v3. Page views, errors and Core Web Vitals come in the background for a minute or two.\n")
	fmt.Fprintf(&b, "\nThe stand-ins' switches, for faults and limits: %s\n%s\n\n", box.ControlURL(), kept)
	_, _ = io.WriteString(w, b.String())
}
