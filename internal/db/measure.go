package db

import (
	"context"
	"os"
)

// QueueDepth is how many jobs of a kind are in a state: available, running,
// scheduled or retryable.
type QueueDepth struct {
	Kind, State string
	Jobs        int64
}

// QueueDepthsUnscoped counts the jobs that are not done.
func (d *DB) QueueDepthsUnscoped(ctx context.Context) ([]QueueDepth, error) {
	return list(ctx, d.r, "the queue's depth", func(s scanner) (q QueueDepth, err error) {
		return q, s.Scan(&q.Kind, &q.State, &q.Jobs)
	}, `
		SELECT queue, state, count(*) FROM river_job
		WHERE state IN ('available', 'retryable', 'running', 'scheduled')
		GROUP BY state, queue ORDER BY state, queue LIMIT 1000`)
}

// FileSizes are the sizes of the database and of its write-ahead log, in bytes.
// What cannot be looked at counts as 0.
func (d *DB) FileSizes() (database, log int64) {
	size := func(name string) int64 {
		info, err := os.Stat(name)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	return size(d.path), size(d.path + "-wal")
}
