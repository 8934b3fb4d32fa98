package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// VitalDay is how often each range of one page metric's values occurred on one
// UTC day, as the vendor counted.
type VitalDay struct {
	Connection ConnectionID
	Day        Day
	Metric     string // the vendor's name, such as "largestContentfulPaint"
	// Buckets are in order of their lower bound; none says that the vendor
	// measured nothing.
	Buckets []VitalBucket
	// Whole says that the day was over when it was asked for.
	Whole   bool
	AskedAt time.Time
}

// VitalBucket is a range of values: from From up to To, of which To may be
// equal to From where the vendor did not say.
type VitalBucket struct {
	From, To float64
	Count    int64
}

// maxBuckets bounds what is kept of one histogram.
const maxBuckets = 1000

// PutVitals stores what the vendor said of one or more days, the newest word
// winning, all or nothing.
func (o Org) PutVitals(ctx context.Context, conn ConnectionID, days []VitalDay) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := o.own(ctx, tx, conn); err != nil {
			return err
		}
		for _, d := range days {
			triples := make([][3]float64, 0, len(d.Buckets))
			for _, b := range d.Buckets[:min(len(d.Buckets), maxBuckets)] {
				triples = append(triples, [3]float64{b.From, b.To, float64(b.Count)})
			}
			text, err := json.Marshal(triples)
			if err != nil {
				return fmt.Errorf("write a histogram: %w", err)
			}
			if _, err := exec(ctx, tx, "vital day", `
				INSERT INTO vital_days AS v (connection_id, day, metric, org_id, buckets, whole, asked_at) VALUES (?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT (connection_id, day, metric) DO UPDATE SET buckets = excluded.buckets, whole = excluded.whole, asked_at = excluded.asked_at
				WHERE v.org_id = excluded.org_id AND excluded.whole >= v.whole`,
				conn, d.Day, clip(d.Metric), o.id, string(text), d.Whole, ms(d.AskedAt)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Vitals returns what is known of a connection's days from the first to the
// last, oldest first; at most 5000 rows.
func (o Org) Vitals(ctx context.Context, conn ConnectionID, first, last Day) ([]VitalDay, error) {
	return list(ctx, o.db.r, "vital days", func(s scanner) (VitalDay, error) {
		v := VitalDay{Connection: conn}
		var text string
		var asked sql.NullInt64
		if err := s.Scan(&v.Day, &v.Metric, &text, &v.Whole, &asked); err != nil {
			return v, err
		}
		v.AskedAt = timeOf(asked)
		var triples [][3]float64
		if err := json.Unmarshal([]byte(text), &triples); err != nil {
			return v, fmt.Errorf("read a histogram: %w", err)
		}
		for _, t := range triples {
			v.Buckets = append(v.Buckets, VitalBucket{From: t[0], To: t[1], Count: int64(t[2])})
		}
		return v, nil
	}, `
		SELECT day, metric, buckets, whole, asked_at FROM vital_days
		WHERE connection_id = ? AND org_id = ? AND day BETWEEN ? AND ?
		ORDER BY day, metric LIMIT 5000`, conn, o.id, first, last)
}
