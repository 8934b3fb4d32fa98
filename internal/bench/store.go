package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"sightline/internal/db"
)

// store measures what the rollups save, without HTTP.
func (b *bench) store(ctx context.Context, dir string) (err error) {
	path := filepath.Join(dir, "sightline.db")
	d, err := db.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	raw, err := sql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)&_pragma=cache_size(-16000)")
	if err != nil {
		return err
	}
	defer closing(raw, &err)
	org, err := d.OrgBySlugUnscoped(ctx, benchOrg)
	if err != nil {
		return err
	}
	o := d.Org(org.ID)
	conns, err := o.AllConnections(ctx)
	if err != nil {
		return err
	}
	ids := []db.ConnectionID{conns[0].ID}
	to := db.DayOf(lastDay()) - 1
	p := db.Period{Before: to - 89, From: to - 89, To: to}
	row, chart, err := turns(100,
		func() error { _, err := o.Customer(ctx, 1); return err },
		func() error { _, err := o.DayCounts(ctx, ids, db.FacetAll, "", p); return err })
	if err != nil {
		return err
	}
	by := float64(chart) / float64(row)
	b.line("90-day chart against a row by its id", fmt.Sprintf("%.1f× (%s)", by, chart.Round(time.Microsecond)), "≤ 6×", by <= 6)

	began := time.Now()
	var pages int
	if err := raw.QueryRowContext(ctx, windowQuery, org.ID, p.From.Time().UnixMilli(), (p.To + 1).Time().UnixMilli()).Scan(&pages); err != nil {
		return err
	}
	window := time.Since(began)
	_, loads, err := turns(5, func() error { return nil }, func() error {
		rows, _, err := o.PageLoads(ctx, ids, p, nil)
		for _, l := range rows {
			l.Now.Quantile(0.75)
		}
		return err
	})
	if err != nil {
		return err
	}
	by = float64(loads) / float64(window)
	b.line("p75 of all pages against a window query", fmt.Sprintf("1/%.0f (%s, %s)", 1/by, loads.Round(10*time.Microsecond), window.Round(time.Millisecond)), "≤ 1/100 from 5 M page views on", by <= 0.01 || pages < 100)
	return nil
}

// windowQuery computes the 75th percentile of every page from the rows.
const windowQuery = `
	SELECT count(*) FROM (
		SELECT page_id, min(load_ms) FROM (
			SELECT v.page_id, v.load_ms, percent_rank() OVER (PARTITION BY v.page_id ORDER BY v.load_ms) AS r
			FROM page_views v
			WHERE v.org_id = ? AND v.viewed_at >= ? AND v.viewed_at < ? AND v.load_ms IS NOT NULL AND v.page_id IS NOT NULL)
		WHERE r >= 0.75 GROUP BY page_id)`

// turns runs two things by turns and returns the middle time of each.
func turns(n int, a, b func() error) (ofA, ofB time.Duration, err error) {
	var as, bs []time.Duration
	for range n {
		for _, x := range []struct {
			fn   func() error
			into *[]time.Duration
		}{{a, &as}, {b, &bs}} {
			began := time.Now()
			if err := x.fn(); err != nil {
				return 0, 0, err
			}
			*x.into = append(*x.into, time.Since(began))
		}
	}
	slices.Sort(as)
	slices.Sort(bs)
	return as[n/2], bs[n/2], nil
}
