package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"sightline/internal/db"
	"sightline/internal/services"
	"sightline/internal/services/secrets"
)

// madeDir is where databases of this generator and this schema are kept.
func madeDir(root string) (string, error) {
	sum := sha256.New()
	files, err := filepath.Glob("internal/db/migrations/*.sql")
	if err != nil || len(files) == 0 {
		return "", errors.Join(err, errors.New("no migrations here: run the benchmark in the repository's root"))
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, filepath.Base(f), len(b))
		sum.Write(b)
	}
	return filepath.Join(root, fmt.Sprintf("v%d-%s", madeVersion, hex.EncodeToString(sum.Sum(nil)[:4]))), nil
}

// made returns the data directory of a database with about so many sessions,
// which it makes unless it is there from before. took is 0 then.
func made(ctx context.Context, root string, sessions int) (dir string, took time.Duration, err error) {
	blocks := max(1, (sessions+blockSize/2)/blockSize)
	root, err = madeDir(root)
	if err != nil {
		return "", 0, err
	}
	block, err := finished(filepath.Join(root, "block"), func(dir string) error { return makeBlock(ctx, dir, blockSize) })
	if err != nil {
		return "", 0, fmt.Errorf("make a block of sessions: %w", err)
	}
	began := time.Now()
	fresh := false
	dir, err = finished(filepath.Join(root, fmt.Sprint(blocks*blockSize)), func(dir string) error {
		fresh = true
		return multiply(ctx, block, dir, blocks)
	})
	if err != nil {
		return "", 0, fmt.Errorf("make %d sessions: %w", blocks*blockSize, err)
	}
	if fresh {
		took = time.Since(began)
	}
	return dir, took, nil
}

// finished makes a directory unless it is there. What was interrupted begins
// anew.
func finished(dir string, fill func(dir string) error) (string, error) {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	half := dir + ".half"
	if err := os.RemoveAll(half); err != nil {
		return "", err
	}
	if err := os.MkdirAll(half, 0o700); err != nil {
		return "", err
	}
	if err := fill(half); err != nil {
		return "", err
	}
	return dir, os.Rename(half, dir)
}

// makeBlock stores the block through the same code that stores what Raygun
// sends: customers, identities, rollups and the search index are its work.
func makeBlock(ctx context.Context, dir string, size int) (err error) {
	d, err := db.Open(ctx, filepath.Join(dir, "sightline.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	conns, err := makeOrgs(ctx, d, dir, size)
	if err != nil {
		return err
	}
	for day := range blockDays {
		if err := storeDay(ctx, d, conns, makeDay(size, day), lastDay().Add(time.Hour)); err != nil {
			return err
		}
	}
	return nil
}

// connection is where an organization's sessions come from.
type connection struct {
	org services.OrgID
	id  services.ConnectionID
}

// makeOrgs makes the organizations, each with one Raygun connection, and a
// member of the first.
func makeOrgs(ctx context.Context, d *db.DB, dir string, size int) ([]connection, error) {
	master := secrets.NewMasterKey()
	if err := os.WriteFile(filepath.Join(dir, "master.key"), []byte(master.Reveal()), 0o600); err != nil {
		return nil, err
	}
	keys, err := services.OpenBox(ctx, d, master, time.Now())
	if err != nil {
		return nil, err
	}
	svc, err := services.Open(ctx, services.Options{DB: d, Box: keys, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	var out []connection
	for i, o := range madeOrgs(size) {
		org, err := svc.People.AddOrganization(ctx, o.slug, o.slug)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if _, err := svc.People.AddMember(ctx, org.ID, services.NewOwner{Email: benchEmail, Password: benchPassword}, services.Owner); err != nil {
				return nil, err
			}
		}
		c, faults, err := svc.Connections.Add(ctx, services.CommandLine(org.ID), services.ConnectionForm{
			Vendor: services.Raygun, Name: "Shop", APIKey: services.NewSecret("bench-api-key"),
			ClientID: services.NewSecret("bench-client"), ClientSecret: services.NewSecret("bench-secret"),
		})
		if err != nil || len(faults) > 0 {
			return nil, fmt.Errorf("add a connection: %v, %w", faults, err)
		}
		out = append(out, connection{org.ID, c.ID})
	}
	return out, nil
}

// storeDay stores sessions as the sync does: lists, and details.
func storeDay(ctx context.Context, d *db.DB, conns []connection, all []madeSession, received time.Time) error {
	for i, c := range conns {
		var listed []db.Session
		var full []db.FullSession
		for _, s := range all {
			switch {
			case s.org != i:
			case s.full:
				full = append(full, s.FullSession)
			default:
				listed = append(listed, s.Session)
			}
		}
		if _, err := d.Org(c.org).PutSessions(ctx, c.id, listed, received, nil); err != nil {
			return err
		}
		if _, err := d.Org(c.org).PutFullSessions(ctx, c.id, full, received); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a file.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// closing closes a database and keeps the first error.
func closing(d io.Closer, err *error) { *err = errors.Join(*err, d.Close()) }
