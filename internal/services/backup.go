package services

import (
	"context"

	"sightline/internal/db"
)

// fromBackup is what people read about runs that a backup had under way.
const fromBackup = "Restored from a backup: some of what waits here may have been sent since the backup was made. Look before you go on."

// DoubtBackup makes sure that nothing which waited to be sent when a backup was
// made is sent by itself once more. It is called on the restored database
// before it is served.
func DoubtBackup(ctx context.Context, d *db.DB) error { return d.DoubtUnscoped(ctx, fromBackup) }
