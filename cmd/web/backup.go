package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"sightline/internal/db"
	"sightline/internal/services"
)

// Backups are named by when they were made, so that they sort by it.
const (
	backupPrefix = "sightline-"
	backupSuffix = ".db"
	backupLayout = "20060102-150405"
)

func backupCommand(s stdio) *cli.Command {
	return &cli.Command{
		Name: "backup", Usage: "copy the database, and put a copy back", Action: needsCommand,
		Commands: []*cli.Command{backupNowCommand(s), backupRestoreCommand(s)},
	}
}

func backupNowCommand(s stdio) *cli.Command {
	var set struct {
		storeSettings
		to, keep string
	}
	flags := append(set.storeSettings.flags("./data", "directory of the database"),
		text("to", "directory of the backups; empty is backups in the data directory", "", &set.to),
		text("keep", "how many backups stay in the directory, the newest; 0 keeps all", "0", &set.keep),
	)
	return &cli.Command{
		Name: "now", Usage: "copy the database into a new file, also while the server runs", Flags: flags,
		Description: "The copy is of one moment and is checked. The master key is not in it: keep that apart.",
		Action: leaf(func(ctx context.Context) error {
			var p problems
			c := set.storeSettings.check(&p, s.in)
			keep, err := strconv.Atoi(set.keep)
			if err != nil || keep < 0 {
				p.add("%s must be a number from 0 on, but is %q.", envName("keep"), shown(set.keep))
			}
			if err := p.err(); err != nil {
				return err
			}
			dir := set.to
			if dir == "" {
				dir = filepath.Join(c.dir, "backups")
			}
			return backupNow(ctx, c, dir, keep, s)
		}),
	}
}

func backupNow(ctx context.Context, c storeConfig, dir string, keep int, s stdio) error {
	if _, err := os.Stat(c.database()); err != nil {
		return fmt.Errorf("there is no database to copy in %s: %w", c.dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of the backups: %w", err)
	}
	file := filepath.Join(dir, backupPrefix+time.Now().UTC().Format(backupLayout)+backupSuffix)
	// Under another name until it is whole, so that a backup is never half a one.
	partial := file + ".partial"
	if err := db.Backup(ctx, c.database(), partial); err != nil {
		return err
	}
	if err := os.Rename(partial, file); err != nil {
		return errors.Join(fmt.Errorf("name the backup: %w", err), os.Remove(partial))
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	s.say("%s holds everything as of now (%d KB) and was checked. It opens with the same master key, which is not in it.", file, info.Size()>>10)
	return dropBackups(dir, keep, s)
}

// dropBackups removes all but the newest backups of a directory; 0 keeps all.
func dropBackups(dir string, keep int, s stdio) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list the backups: %w", err)
	}
	var ours []string
	for _, e := range entries {
		at, ok := strings.CutPrefix(e.Name(), backupPrefix)
		at, found := strings.CutSuffix(at, backupSuffix)
		if _, err := time.Parse(backupLayout, at); ok && found && err == nil && e.Type().IsRegular() {
			ours = append(ours, e.Name())
		}
	}
	slices.Sort(ours)
	if keep == 0 || len(ours) <= keep {
		return nil
	}
	for _, name := range ours[:len(ours)-keep] {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("remove an old backup: %w", err)
		}
		s.say("The old backup %s was removed.", name)
	}
	return nil
}

func backupRestoreCommand(s stdio) *cli.Command {
	var set struct {
		storeSettings
		logSettings
		from string
	}
	flags := append(set.storeSettings.flags("./data", "directory of the database"), text("from", "file of the backup", "", &set.from))
	return &cli.Command{
		Name: "restore", Usage: "put a backup in the place of the database; the server must be stopped",
		Description: "The database that is there is kept beside it under another name. What waited to be sent to a vendor when the backup was\n" +
			"made is not sent by itself: it may have been sent since.",
		Flags: append(flags, set.logSettings.flags("warn")...),
		Action: leaf(func(ctx context.Context) error {
			var p problems
			c, log := set.storeSettings.check(&p, s.in), set.logSettings.check(&p, s.err)
			if set.from == "" {
				p.add("%s is missing: the file of the backup.", envName("from"))
			}
			if err := p.err(); err != nil {
				return err
			}
			return alone(c, func() error { return restore(ctx, c, set.from, log, s) })
		}),
	}
}

// restore puts a backup in the place of the database. What is wrong with it is
// found out on a copy beside the database, which is not touched before.
func restore(ctx context.Context, c storeConfig, from string, log *slog.Logger, s stdio) error {
	copied := c.database() + ".restoring"
	err := copyBackup(ctx, from, copied)
	if err == nil {
		err = openBackup(ctx, c, copied, log)
	}
	var aside string
	if err == nil {
		aside, err = putAside(ctx, c)
	}
	if err != nil {
		return errors.Join(err, removeDatabase(copied))
	}
	if err := os.Rename(copied, c.database()); err != nil {
		return fmt.Errorf("put the backup into place: %w", err)
	}
	s.say("%s is the database now. What waited to be sent when it was made was not sent: look at it before you go on.", from)
	if aside != "" {
		s.say("The database of before is %s.", aside)
	}
	return nil
}

// copyBackup copies a backup, which stays as it is, and checks the copy.
func copyBackup(ctx context.Context, from, to string) error {
	if err := removeDatabase(to); err != nil { // of a restore that was cut off
		return err
	}
	if info, err := os.Stat(from); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file", from)
	}
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("copy the backup: %w", err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("copy the backup: %w", err)
	}
	found, err := db.Inspect(ctx, to)
	switch {
	case err != nil:
		return fmt.Errorf("%s is no database of Sightline, or it is damaged: %w", from, err)
	case len(found.Faults) > 0:
		return fmt.Errorf("%s is damaged: %s", from, found.Faults[0])
	case found.Version > found.Newest:
		return fmt.Errorf("%s was written by a newer Sightline (schema %d, this one knows %d); restore it with that one", from, found.Version, found.Newest)
	}
	return nil
}

// openBackup makes sure that the master key opens a copy, brings it to this
// version's schema and takes care of what waited in it.
func openBackup(ctx context.Context, c storeConfig, copied string, log *slog.Logger) (err error) {
	d, err := db.Open(ctx, copied)
	if err != nil {
		return fmt.Errorf("open the backup: %w", err)
	}
	st := &store{db: d}
	defer func() { err = errors.Join(err, st.close()) }()
	if err := st.build(ctx, c, services.Vendors{}, log); err != nil {
		return err
	}
	return services.DoubtBackup(ctx, d)
}

// putAside keeps the present database under another name, "" if there is none.
func putAside(ctx context.Context, c storeConfig) (string, error) {
	if _, err := os.Stat(c.database()); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	// Closing it folds its log into the file, so that the file is all of it. One
	// that does not open is put aside with its log.
	if d, err := db.Open(ctx, c.database()); err == nil {
		if err := d.Close(); err != nil {
			return "", fmt.Errorf("close the database of before: %w", err)
		}
	}
	aside := c.database() + ".before-" + time.Now().UTC().Format(backupLayout)
	for _, end := range []string{"-wal", "-shm"} {
		if err := os.Rename(c.database()+end, aside+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("keep the log of the database of before: %w", err)
		}
	}
	// A second name: the first goes on being a whole database until the backup
	// takes its place, in one step.
	if err := os.Link(c.database(), aside); err != nil {
		return "", fmt.Errorf("keep the database of before: %w", err)
	}
	return aside, nil
}

func removeDatabase(file string) error {
	var all error
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(file + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			all = errors.Join(all, err)
		}
	}
	return all
}
