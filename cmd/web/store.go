package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"sightline/internal/db"
	"sightline/internal/services"
	"sightline/internal/services/secrets"
)

// metaDemo marks a database whose data is made up and whose passwords are in
// the documentation.
const metaDemo = "demo"

// store is the opened data and what works on it.
type store struct {
	db       *db.DB
	services *services.Services
}

// openStore opens the data directory, making it on the first start. Several
// processes may have it open; only one may start the jobs (see lockData).
func openStore(ctx context.Context, c storeConfig, v services.Vendors, log *slog.Logger) (*store, error) {
	began := time.Time{}
	d, err := db.OpenTelling(ctx, c.database(), func(from, to int64) {
		began = time.Now()
		log.Warn("the database is brought to this version's schema; with much data this takes minutes, and no page is served until then", "from", from, "to", to)
	})
	if err == nil && !began.IsZero() {
		log.Info("the database has this version's schema", "took", time.Since(began).Round(time.Millisecond))
	}
	if err != nil {
		return nil, fmt.Errorf("open the data in %s: %w", c.dir, err)
	}
	s := &store{db: d}
	if err := s.build(ctx, c, v, log); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return s, nil
}

func (s *store) build(ctx context.Context, c storeConfig, v services.Vendors, log *slog.Logger) error {
	master, err := masterKey(ctx, c, s.db, log)
	if err != nil {
		return err
	}
	box, err := services.OpenBox(ctx, s.db, master, time.Now())
	if errors.Is(err, secrets.ErrWrongMasterKey) {
		return fmt.Errorf("%s does not open the secrets stored in %s; give the master key that they were sealed with", keyOrigin(c), c.dir)
	}
	if err != nil {
		return fmt.Errorf("open the sealed keys: %w", err)
	}
	s.services, err = services.Open(ctx, services.Options{DB: s.db, Box: box, Vendors: v, FilesDir: c.filesDir(), Log: log, Now: time.Now})
	return err
}

// close closes the data; the jobs must have stopped before.
func (s *store) close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close the database: %w", err)
	}
	return nil
}

// keyOrigin says in a sentence where the master key came from.
func keyOrigin(c storeConfig) string {
	if !c.masterKey.IsZero() {
		return "the master key given in " + envName("master-key")
	}
	return "the master key in " + c.masterKeyFile()
}

// masterKey is the one that was given, else the one kept beside the database,
// which is made on the first start.
func masterKey(ctx context.Context, c storeConfig, d *db.DB, log *slog.Logger) (secrets.Secret, error) {
	if !c.masterKey.IsZero() {
		return c.masterKey, nil
	}
	file := c.masterKeyFile()
	b, err := os.ReadFile(file)
	if err == nil {
		if info, serr := os.Stat(file); serr == nil && info.Mode().Perm()&0o077 != 0 {
			log.Warn("others on this machine can read the master key; run chmod 600 on it", "file", file)
		}
		return secrets.New(strings.TrimSpace(string(b))), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return secrets.Secret{}, fmt.Errorf("read the master key: %w", err)
	}
	sealed, err := services.HasSealedKeys(ctx, d)
	if err != nil {
		return secrets.Secret{}, err
	}
	if sealed {
		return secrets.Secret{}, fmt.Errorf("the secrets in %s are sealed with a master key that is not here: put it back into %s or give it in %s", c.database(), file, envName("master-key"))
	}
	return makeMasterKey(file, log)
}

// makeMasterKey writes a fresh key so that no half-written one can ever be
// read, and never over another.
func makeMasterKey(file string, log *slog.Logger) (secrets.Secret, error) {
	key := secrets.NewMasterKey()
	f, err := os.CreateTemp(strings.TrimSuffix(file, "/master.key"), ".master-key-*") // made with mode 0600
	if err != nil {
		return key, fmt.Errorf("make the master key: %w", err)
	}
	_, werr := f.WriteString(key.Reveal() + "\n")
	if err := errors.Join(werr, f.Sync(), f.Close()); err != nil {
		return key, errors.Join(fmt.Errorf("make the master key: %w", err), os.Remove(f.Name()))
	}
	// A link fails if the name is taken, where a rename would replace it.
	lerr := os.Link(f.Name(), file)
	if err := os.Remove(f.Name()); err != nil {
		return key, fmt.Errorf("make the master key: %w", err)
	}
	if errors.Is(lerr, fs.ErrExist) {
		b, err := os.ReadFile(file)
		return secrets.New(strings.TrimSpace(string(b))), err
	}
	if lerr != nil {
		return key, fmt.Errorf("make the master key: %w", lerr)
	}
	log.Warn("A MASTER KEY WAS MADE. Without it the vendor credentials in the database cannot be read: keep a copy of the file in a safe place, apart from the backups of the database",
		"file", file)
	return key, nil
}

// lockData makes sure that one process alone runs the jobs on the data.
func lockData(c storeConfig) (unlock func() error, err error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	l := flock.New(c.lockFile(), flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("another Sightline is running on the data in %s; stop it first, or give this one a directory of its own in %s", c.dir, envName("data-dir"))
	}
	return l.Unlock, nil
}

// alone runs a command while no server is on the data, and none can start.
func alone(c storeConfig, fn func() error) (err error) {
	unlock, err := lockData(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return fn()
}

// withStore runs a command of the command line on the data, beside a server
// that may be running on it.
func withStore(ctx context.Context, c storeConfig, v services.Vendors, log *slog.Logger, fn func(*store) error) (err error) {
	s, err := openStore(ctx, c, v, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return fn(s)
}
