package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"
)

// Backup writes a copy of the whole database in a file, as of one moment, into a
// new file, readable by this user alone, and checks it. The database may be in
// use meanwhile, and its schema stays as it is. A new file that is there already
// is an error and stays as it is; one that could not be written whole is removed.
func Backup(ctx context.Context, file, to string) (err error) {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make the copy: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(to))
		}
	}()
	if err := vacuumInto(ctx, file, to); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write the copy to disk: %w", err)
	}
	in, err := Inspect(ctx, to)
	if err != nil {
		return fmt.Errorf("check the copy: %w", err)
	}
	if len(in.Faults) > 0 {
		return fmt.Errorf("the copy is not sound: %s", in.Faults[0])
	}
	return nil
}

// vacuumInto fills an empty file. It takes a connection that may write, though
// it writes nothing to the database that it copies.
func vacuumInto(ctx context.Context, file, to string) (err error) {
	if _, err := os.Stat(file); err != nil {
		return err
	}
	d, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: "_pragma=busy_timeout(5000)"}).String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	_, err = d.ExecContext(ctx, "VACUUM INTO ?", to)
	return err
}

// What a backup has under way may have been finished since: it counts as cut
// off while it was sent, and runs wait for a person. Where a condition is
// written twice, the first names the index.
const (
	doubtAsks       = `UPDATE asks SET state = 'sending' WHERE state IN ('queued', 'sending') AND state = 'queued'`
	doubtEdits      = `UPDATE trait_edits SET state = 'sending', sent_at = coalesce(sent_at, created_at) WHERE state IN ('queued', 'sending') AND state = 'queued'`
	doubtQueries    = `UPDATE graphql_runs SET state = 'sending', started_at = coalesce(started_at, created_at) WHERE state IN ('queued', 'sending') AND state = 'queued'`
	doubtHighlights = `UPDATE highlights SET state = 'sending', sent_at = coalesce(sent_at, created_at) WHERE state = 'queued'`
	doubtBulks      = `UPDATE bulk_edits SET state = 'paused', message = ? WHERE state = 'running'`
	doubtBatches    = `UPDATE batches SET state = 'paused', message = ? WHERE state = 'running'`
	doubtSchedules  = `UPDATE query_schedules SET state = 'paused', message = ? WHERE state = 'active' AND next_at >= 0`
)

// DoubtUnscoped makes sure that nothing of a backup is sent by itself once more:
// what waited to be sent when it was made counts as cut off while it was sent,
// and runs are paused, with message. It is called once, on the restored
// database, before jobs run.
func (d *DB) DoubtUnscoped(ctx context.Context, message string) error {
	return d.write(ctx, func(tx *sql.Tx) error {
		for _, q := range []string{doubtAsks, doubtEdits, doubtQueries, doubtHighlights} {
			if _, err := exec(ctx, tx, "open work of a backup", q); err != nil {
				return err
			}
		}
		for _, q := range []string{doubtBulks, doubtBatches, doubtSchedules} {
			if _, err := exec(ctx, tx, "runs of a backup", q, message); err != nil {
				return err
			}
		}
		return nil
	})
}

// SealedSecret is a connection's credential as it is stored.
type SealedSecret struct {
	Org        OrgID
	Connection ConnectionID
	Field      string
	Sealed     []byte
}

// ResealUnscoped replaces every sealed credential and the values of the
// installation that meta names, in one transaction: seal is given each
// credential and returns it sealed anew, sealMeta does the same by key.
func (d *DB) ResealUnscoped(ctx context.Context, now time.Time, meta []string, seal func(SealedSecret) ([]byte, error), sealMeta func(key string, value []byte) ([]byte, error)) (credentials int, err error) {
	err = d.write(ctx, func(tx *sql.Tx) error {
		rows, err := list(ctx, tx, "sealed credentials", func(s scanner) (SealedSecret, error) {
			var v SealedSecret
			return v, s.Scan(&v.Org, &v.Connection, &v.Field, &v.Sealed)
		}, `SELECT org_id, connection_id, field, sealed FROM connection_secrets`)
		if err != nil {
			return err
		}
		for _, r := range rows {
			sealed, err := seal(r)
			if err != nil {
				return err
			}
			if _, err := exec(ctx, tx, "sealed credential", `
				UPDATE connection_secrets SET sealed = ?, updated_at = ? WHERE connection_id = ? AND field = ? AND org_id = ?`,
				sealed, ms(now), r.Connection, r.Field, r.Org); err != nil {
				return err
			}
		}
		for _, key := range meta {
			old, err := one(ctx, tx, "meta", func(s scanner) (v []byte, err error) { return v, s.Scan(&v) }, `SELECT value FROM meta WHERE key = ?`, key)
			if err != nil {
				return err
			}
			fresh, err := sealMeta(key, old)
			if err != nil {
				return err
			}
			if _, err := exec(ctx, tx, "meta", `UPDATE meta SET value = ?, updated_at = ? WHERE key = ?`, fresh, ms(now), key); err != nil {
				return err
			}
		}
		credentials = len(rows)
		return nil
	})
	return credentials, err
}
