package db

import (
	"context"
	"math"
	"time"
)

// Bounds of one question, in sessions that are looked at: what has no index of
// its own is found among others.
const (
	pageBudget  = 20_000
	countBudget = 50_000
	eachRows    = 1_000 // at a time
)

// SessionPage is a part of the sessions that a filter selects, newest first.
type SessionPage struct {
	Sessions []Session
	// Next is where the rest begins; More says that there is or may be one.
	Next Moment
	More bool
	// Cut says that the page ends early, because more sessions were looked at
	// than one question may. The rest begins as far back as was looked.
	Cut bool
	// Examined is how many sessions were looked at.
	Examined int
}

// Sessions lists the mirror's sessions that a filter selects, newest first, at
// most limit of them, and looks at hardly more than 20,000.
func (o Org) Sessions(ctx context.Context, f SessionFilter, after Moment, limit int) (SessionPage, error) {
	w, err := explore(ctx, o, f, after, ", "+sessionColumns, scanSessions())
	if err != nil {
		return SessionPage{}, err
	}
	var p SessionPage
	r, err := w.next(ctx, limit, pageBudget, func(e entry[Session]) { p.Sessions = append(p.Sessions, e.row) })
	p.More, p.Cut, p.Examined = r.more, r.cut, w.examined
	if r.more {
		p.Next = momentOf(r.at, r.id)
	}
	return p, err
}

// EachSession gives fn every session that a filter selects, newest first, until
// fn fails or ctx ends. It reads some at a time and holds nothing open in
// between: however long fn takes, nobody waits for it.
func (o Org) EachSession(ctx context.Context, f SessionFilter, fn func(Session) error) error {
	w, err := explore(ctx, o, f, Moment{}, ", "+sessionColumns, scanSessions())
	if err != nil {
		return err
	}
	for more := true; more; {
		var rows []Session
		r, err := w.next(ctx, eachRows, countBudget, func(e entry[Session]) { rows = append(rows, e.row) })
		if err != nil {
			return err
		}
		for _, s := range rows {
			if err := fn(s); err != nil {
				return err
			}
		}
		more = r.more
	}
	return ctx.Err()
}

// explore begins a walk over what a filter selects after a place.
func explore[T any](ctx context.Context, o Org, f SessionFilter, after Moment, columns string, scan func(scanner) (T, error)) (*walk[T], error) {
	x, err := o.explore(ctx, f)
	if err != nil {
		return nil, err
	}
	return exploreAlong(ctx, o.db.r, x, after, columns, scan)
}

func exploreAlong[T any](ctx context.Context, q querier, x exploration, after Moment, columns string, scan func(scanner) (T, error)) (*walk[T], error) {
	at, id := after.args()
	floor := int64(math.MinInt64)
	if x.Search == 0 {
		if to := x.To; !to.IsZero() && to.UnixMilli() <= at {
			at, id = to.UnixMilli(), 0 // no row has the id
		}
		if !x.From.IsZero() {
			floor = x.From.UnixMilli()
		}
	}
	branches, err := x.branches(ctx, q, at, id, floor)
	if err != nil {
		return nil, err
	}
	return newWalk(q, branches, at, id, floor, columns, scan), nil
}

// momentOf is a place as lists hand it on: with the id of a row, or one that
// could be.
func momentOf(at, id int64) Moment {
	if id <= 0 {
		at, id = at-1, math.MaxInt64
	}
	return Moment{At: time.UnixMilli(at).UTC(), ID: id}
}

// CountSessions counts the sessions that a filter selects, up to most. more
// says that there are or may be others, beyond those that were looked at.
func (o Org) CountSessions(ctx context.Context, f SessionFilter, most int) (n int64, more bool, err error) {
	w, err := explore(ctx, o, f, Moment{}, "", func(s scanner) (struct{}, error) { return struct{}{}, s.Scan() })
	if err != nil {
		return 0, false, err
	}
	r, err := w.next(ctx, most, countBudget, func(entry[struct{}]) { n++ })
	return n, r.more, err
}
