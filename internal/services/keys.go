package services

import (
	"context"
	"errors"
	"fmt"

	"sightline/internal/db"
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
