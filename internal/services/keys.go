package services

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/secrets"
)

// HasSealedKeys reports whether the installation has a keyset already, so that
// only the master key which sealed it will do.
func HasSealedKeys(ctx context.Context, d *db.DB) (bool, error) {
	_, err := d.MetaUnscoped(ctx, metaKeyset)
	if errors.Is(err, db.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the sealed keys: %w", err)
	}
	return true, nil
}

// SecretsOpen says whether the stored secrets of a connection can be read with
// the keys at hand; nil if so. Nothing is sent.
func (c *Connections) SecretsOpen(ctx context.Context, org OrgID, id ConnectionID) error {
	conn, err := c.Get(ctx, org, id)
	if err != nil {
		return err
	}
	_, err = c.open(ctx, conn)
	return err
}

// RotateKeys seals everything that is sealed with fresh keys, in one
// transaction: every connection's credentials, the keys of cookies, and the
// keyset itself, which the master key given opens from then on. What the old
// keys sealed, older copies of the database apart, is gone. No server may run
// on the data: it would go on sealing with the keys that it has read. It returns
// how many credentials there are.
func RotateKeys(ctx context.Context, d *db.DB, old *secrets.Box, master secrets.Secret, now time.Time) (credentials int, err error) {
	fresh, keyset, err := secrets.NewBox(master)
	if err != nil {
		return 0, err
	}
	reseal := func(place string, sealed []byte) ([]byte, error) {
		s, err := old.Open(place, sealed)
		if err != nil {
			return nil, err
		}
		return fresh.Seal(place, s)
	}
	return d.ResealUnscoped(ctx, now, []string{metaKeyset, metaCookieKeys},
		func(s db.SealedSecret) ([]byte, error) {
			sealed, err := reseal(place(s.Org, s.Connection, s.Field), s.Sealed)
			if err != nil {
				return nil, fmt.Errorf("connection %d: %w", s.Connection, err)
			}
			return sealed, nil
		},
		func(key string, sealed []byte) ([]byte, error) {
			if key == metaKeyset {
				return keyset, nil
			}
			return reseal(placeCookieKeys, sealed)
		})
}
