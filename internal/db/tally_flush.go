package db

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
)

// flush writes what was gathered, each row once and in the order of its key. A
// row that nothing is left of goes.
func (t *tally) flush(ctx context.Context, q querier) error {
	for _, write := range []func(context.Context, querier) error{t.flushDays, t.flushPages, t.flushErrors} {
		if err := write(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

func (t *tally) flushDays(ctx context.Context, q querier) error {
	keys := slices.SortedFunc(maps.Keys(t.days), func(a, b dayKey) int {
		return cmp.Or(cmp.Compare(a.facet, b.facet), cmp.Compare(a.day, b.day), cmp.Compare(a.value, b.value))
	})
	blocks := map[int64]bool{}
	for _, k := range keys {
		n := *t.days[k]
		if n == (Counts{}) {
			continue
		}
		if k.facet == FacetAll {
			blocks[blockOf(k.day)] = true
		}
		_, err := exec(ctx, q, "sessions a day", `
			INSERT INTO session_days AS d (connection_id, facet, day, value, org_id, sessions, detailed, with_errors, anonymous, excellent, good, average, poor)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (connection_id, facet, day, value) DO UPDATE SET
				sessions = d.sessions + excluded.sessions, detailed = d.detailed + excluded.detailed,
				with_errors = d.with_errors + excluded.with_errors, anonymous = d.anonymous + excluded.anonymous,
				excellent = d.excellent + excluded.excellent, good = d.good + excluded.good,
				average = d.average + excluded.average, poor = d.poor + excluded.poor`,
			t.conn, k.facet, k.day, k.value, t.org, n.Sessions, n.Detailed, n.WithErrors, n.Anonymous, n.Excellent, n.Good, n.Average, n.Poor)
		if err != nil {
			return err
		}
		if n.Sessions >= 0 {
			continue
		}
		_, err = exec(ctx, q, "sessions a day", `
			DELETE FROM session_days WHERE connection_id = ? AND facet = ? AND day = ? AND value = ? AND sessions <= 0`, t.conn, k.facet, k.day, k.value)
		if err != nil {
			return err
		}
	}
	return t.packBlocks(ctx, q, slices.Sorted(maps.Keys(blocks)))
}

// blockOf is the block of session_day_blocks that a day is in.
func blockOf(d Day) int64 { return int64(d) >> 5 }

// packBlocks writes down anew what session_days has of some blocks, which are
// read by charts.
func (t *tally) packBlocks(ctx context.Context, q querier, blocks []int64) error {
	for _, b := range blocks {
		first, last := Day(b<<5), Day(b<<5+31)
		n, err := exec(ctx, q, "sessions a day", `
			INSERT INTO session_day_blocks (connection_id, block, org_id, days)
			SELECT d.connection_id, ?, d.org_id, `+packedDays+` FROM session_days d
			WHERE d.connection_id = ? AND d.facet = 'all' AND d.day BETWEEN ? AND ? AND d.value = '' AND d.org_id = ?
			GROUP BY d.connection_id
			ON CONFLICT (connection_id, block) DO UPDATE SET days = excluded.days`, b, t.conn, first, last, t.org)
		if err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if _, err := exec(ctx, q, "sessions a day", `
			DELETE FROM session_day_blocks WHERE connection_id = ? AND block = ? AND org_id = ?`, t.conn, b, t.org); err != nil {
			return err
		}
	}
	return nil
}

// nothing says that what was added was taken away again.
func (d *pageDelta) nothing() bool {
	for _, n := range d.loads {
		if n != 0 {
			return false
		}
	}
	return d.sessions == 0 && d.views == 0 && d.timed == 0
}

func (t *tally) flushPages(ctx context.Context, q querier) error {
	keys := slices.SortedFunc(maps.Keys(t.pages), func(a, b pageDay) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.page, b.page))
	})
	for _, k := range keys {
		n := t.pages[k]
		if n.nothing() {
			continue
		}
		loads, err := one(ctx, q, "page's day", func(s scanner) (l Loads, err error) {
			var packed []byte
			err = s.Scan(&packed)
			l.addPacked(packed)
			return l, err
		}, `SELECT loads FROM page_days WHERE connection_id = ? AND day = ? AND page_id = ?`, t.conn, k.day, k.page)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		for bucket, count := range n.loads {
			loads.add(bucket, count)
		}
		_, err = exec(ctx, q, "page's day", `
			INSERT INTO page_days AS d (connection_id, day, page_id, org_id, sessions, views, timed, loads) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (connection_id, day, page_id) DO UPDATE SET sessions = d.sessions + excluded.sessions,
				views = d.views + excluded.views, timed = d.timed + excluded.timed, loads = excluded.loads`,
			t.conn, k.day, k.page, t.org, n.sessions, n.views, n.timed, loads.pack())
		if err != nil {
			return err
		}
		if n.sessions >= 0 {
			continue
		}
		if _, err := exec(ctx, q, "page's day", `
			DELETE FROM page_days WHERE connection_id = ? AND day = ? AND page_id = ? AND sessions <= 0`, t.conn, k.day, k.page); err != nil {
			return err
		}
	}
	return nil
}

func (t *tally) flushErrors(ctx context.Context, q querier) error {
	keys := slices.SortedFunc(maps.Keys(t.errs), func(a, b errorDay) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.group, b.group))
	})
	for _, k := range keys {
		n := *t.errs[k]
		if n == (errorDelta{}) {
			continue
		}
		_, err := exec(ctx, q, "error's day", `
			INSERT INTO error_days AS d (connection_id, day, group_id, org_id, sessions, occurrences) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (connection_id, day, group_id) DO UPDATE SET sessions = d.sessions + excluded.sessions, occurrences = d.occurrences + excluded.occurrences`,
			t.conn, k.day, k.group, t.org, n.sessions, n.occurrences)
		if err != nil {
			return err
		}
		if n.sessions >= 0 {
			continue
		}
		if _, err := exec(ctx, q, "error's day", `
			DELETE FROM error_days WHERE connection_id = ? AND day = ? AND group_id = ? AND sessions <= 0`, t.conn, k.day, k.group); err != nil {
			return err
		}
	}
	return nil
}
