package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/gofrs/flock"
	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"

	"sightline/internal/db"
	"sightline/internal/services"
)

const (
	// lowDisk is the free room below which the doctor objects: a day of mirror
	// and log of a busy site fits into it.
	lowDisk = 512 << 20
	// clockSlack is how far our clock may be from a vendor's before the days of
	// the budget no longer agree.
	clockSlack = 2 * time.Minute
)

// doctor examines an installation and says each finding in a line.
type doctor struct {
	s      stdio
	faults int
}

func (d *doctor) ok(format string, args ...any) { d.s.say("ok     "+format, args...) }

func (d *doctor) fault(format string, args ...any) {
	d.faults++
	d.s.say("FAULT  "+format, args...)
}

func doctorCommand(s stdio) *cli.Command {
	var set struct {
		storeSettings
		vendorSettings
		reach bool
	}
	flags := append(set.storeSettings.flags("./data", "directory of the database"), set.vendorSettings.flags()...)
	flags = append(flags, &cli.BoolFlag{
		Name: "reach", Usage: "also see whether the vendors' servers answer (uses no key and no call of the budget)",
		Destination: &set.reach, Sources: cli.EnvVars(envName("reach")),
	})
	return &cli.Command{
		Name: "doctor", Usage: "examine the installation and say what is wrong with it; changes nothing", Flags: flags,
		Action: leaf(func(ctx context.Context) error {
			var p problems
			data, vendors := set.storeSettings.check(&p, s.in), set.vendorSettings.check(&p)
			if err := p.err(); err != nil {
				return err
			}
			d := &doctor{s: s}
			d.examine(ctx, data, vendors)
			if set.reach {
				for name, url := range map[string]string{"raygun-url": vendors.RaygunURL, "logrocket-url": vendors.LogRocketURL} {
					d.reach(ctx, name, url)
				}
			}
			if d.faults > 0 {
				return fmt.Errorf("faults found: %d", d.faults)
			}
			s.say("No faults found.")
			return nil
		}),
	}
}

func (d *doctor) examine(ctx context.Context, c storeConfig, v services.Vendors) {
	if !d.directory(c) {
		return
	}
	d.disk(c)
	if d.database(ctx, c) {
		d.secrets(ctx, c, v)
	}
}

// directory checks who can read what, and whether a server is running.
func (d *doctor) directory(c storeConfig) bool {
	info, err := os.Stat(c.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.fault("there is no data directory %s; the first start of sightline serve makes it", c.dir)
		return false
	case err != nil:
		d.fault("the data directory cannot be examined: %v", err)
		return false
	case info.Mode().Perm()&0o077 != 0:
		d.fault("others on this machine can look into %s (mode %#o); run chmod 700 on it", c.dir, info.Mode().Perm())
	default:
		d.ok("the data directory is %s and nobody else's", c.dir)
	}
	for _, file := range []string{c.database(), c.masterKeyFile()} {
		if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 {
			d.fault("others on this machine can read %s (mode %#o); run chmod 600 on it", file, info.Mode().Perm())
		}
	}
	if unix.Access(c.dir, unix.W_OK) != nil {
		d.fault("this user may not write to %s", c.dir)
	}
	l := flock.New(c.lockFile(), flock.SetFlag(os.O_RDONLY))
	free, err := l.TryLock()
	switch {
	case errors.Is(err, fs.ErrNotExist), free:
		d.ok("no server is running on this data")
	case err != nil:
		d.fault("whether a server is running cannot be told: %v", err)
	default:
		d.ok("a server is running on this data")
	}
	_ = l.Unlock() // only ours, if we had it
	return true
}

func (d *doctor) disk(c storeConfig) {
	var st unix.Statfs_t
	if err := unix.Statfs(c.dir, &st); err != nil {
		d.fault("the free room on the disk cannot be told: %v", err)
		return
	}
	free := st.Bavail * uint64(st.Bsize)
	if free < lowDisk {
		d.fault("only %d MB are free on the disk of %s; Sightline wants at least %d MB", free>>20, c.dir, lowDisk>>20)
		return
	}
	d.ok("%d MB are free on the disk", free>>20)
}

// database checks the file without changing it. It reports whether the file is
// fit for being opened without a migration.
func (d *doctor) database(ctx context.Context, c storeConfig) bool {
	in, err := db.Inspect(ctx, c.database())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.fault("there is no database %s; the first start of sightline serve makes it", c.database())
		return false
	case err != nil:
		d.fault("the database cannot be read: %v", err)
		return false
	}
	for _, line := range in.Faults {
		d.fault("the database is damaged: %s", line)
	}
	if info, err := os.Stat(c.database()); err == nil && time.Until(info.ModTime()) > clockSlack {
		d.fault("the clock of this machine is behind: the database was written %s in the future", time.Until(info.ModTime()).Round(time.Second))
	} else {
		d.ok("the clock says %s UTC", time.Now().UTC().Format(time.DateTime))
	}
	switch {
	case len(in.Faults) > 0:
		return false
	case in.Version > in.Newest:
		d.fault("the database was written by a newer Sightline (schema %d, this one knows %d); install that one again", in.Version, in.Newest)
		return false
	case in.Version < in.Newest:
		d.ok("the database is sound (%d KB); the next start brings its schema from %d to %d", in.Bytes>>10, in.Version, in.Newest)
		return false
	}
	d.ok("the database is sound and up to date (%d KB, schema %d)", in.Bytes>>10, in.Version)
	return true
}

// secrets checks that the master key opens the keys, and they every secret.
func (d *doctor) secrets(ctx context.Context, c storeConfig, v services.Vendors) {
	if _, err := os.Stat(c.masterKeyFile()); c.masterKey.IsZero() && errors.Is(err, fs.ErrNotExist) {
		d.fault("there is no master key: neither in %s nor in %s", c.masterKeyFile(), envName("master-key"))
		return
	}
	err := withStore(ctx, c, v, slog.New(slog.DiscardHandler), func(st *store) error {
		d.ok("%s opens the stored keys", keyOrigin(c))
		orgs, err := st.services.People.Organizations(ctx)
		if err != nil {
			return err
		}
		sealed := 0
		for _, o := range orgs {
			list, err := st.services.Connections.List(ctx, o.ID)
			if err != nil {
				return err
			}
			for _, conn := range list {
				if err := st.services.Connections.SecretsOpen(ctx, o.ID, conn.ID); err != nil {
					d.fault("the secrets of the connection %q of %s cannot be opened (%v); enter them again", conn.Name, o.Slug, err)
					continue
				}
				sealed++
			}
		}
		d.ok("the secrets of %d connections of %d organizations open", sealed, len(orgs))
		return nil
	})
	if err != nil {
		d.fault("%s", explain(err))
	}
}

// reach asks a vendor's server for anything at all and compares the clocks.
func (d *doctor) reach(ctx context.Context, name, address string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, http.NoBody)
	if err != nil {
		d.fault("%s: %v", envName(name), err)
		return
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		d.fault("%s does not answer: %v", address, err)
		return
	}
	_ = res.Body.Close()
	d.ok("%s answers", address)
	if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		if off := time.Since(at).Abs(); off > clockSlack {
			d.fault("the clock of this machine and that of %s are %s apart", address, off.Round(time.Second))
		}
	}
}
