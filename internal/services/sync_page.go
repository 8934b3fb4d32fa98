package services

import (
	"context"
	"errors"
	"slices"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/raygun"
	"sightline/internal/services/upstream"
)

// page asks for a walk's next page and stores it with how far the walk is then.
func (s *Syncs) page(ctx context.Context, v syncView, w db.SyncWalk) error {
	org := v.org
	api, _, err := s.connections.raygun(ctx, org, w.Connection)
	if err != nil {
		return err
	}
	r := w.Todo[0]
	spending := withSpender(ctx, spender{Org: org, Connection: w.Connection, Actor: w.Actor, Background: w.Purpose != db.WalkPerson})
	page, err := api.Sessions(spending, raygun.SessionQuery{From: r.From.Add(-rangeOverlap), To: r.To.Add(rangeOverlap), Skip: w.Skip})
	if kind := upstream.KindOf(err); w.Skip > 0 && v.byTime && (kind == upstream.NotFound || kind == upstream.Invalid) {
		// What it took for the first page it refuses behind the last one.
		page, err = raygun.SessionPage{Total: -1, Listed: -1, NextSkip: w.Skip}, nil
	}
	if err != nil {
		return err
	}
	got := max(page.Received, len(page.Sessions)+page.Unreadable, page.NextSkip-w.Skip)
	if err := s.believe(ctx, v, w, got); err != nil {
		return err
	}
	rows := sessionRows(page, v.conn.Vendor)
	taken := takenFrom(page, got, v.byTime)
	received := page.ReceivedAt
	if received.IsZero() {
		received = s.now()
	}
	// What was paid for is kept even while Sightline is being stopped.
	after, err := s.db.Org(org).PutSyncPage(context.WithoutCancel(ctx), w, rows[:len(page.Sessions)], rows[len(page.Sessions):], received, func(now db.SyncWalk, fresh int64) db.SyncWalk {
		taken.fresh = fresh
		if now.CallsLeft != nil {
			left := *now.CallsLeft - 1
			now.CallsLeft = &left
		}
		return advance(now, taken)
	})
	if err != nil {
		return err
	}
	s.learnUsers(ctx, v, w, api, page)
	if w.Purpose == db.WalkPerson && !v.sync.Enabled && len(after.Todo) == 0 && len(v.walks) == 1 && after.CallsLeft != nil {
		s.catchUp(spending, v, int(*after.CallsLeft)) // nobody else would
	}
	return nil
}

// manySessions is of how many a day's usual number must be for a time, so that
// none at all is not believed.
const manySessions = 20

// believe refuses an empty answer about a time of which the vendor has told
// sessions before, or in which there are many on other days: taken for true, it
// would make a gap look filled.
func (s *Syncs) believe(ctx context.Context, v syncView, w db.SyncWalk, got int) error {
	if got > 0 || w.Purpose != db.WalkFollow || w.Seen > 0 || w.Found > 0 {
		return nil
	}
	expected := v.perDay * w.To.Sub(w.From).Hours() / 24
	if v.sync.Failures > 0 { // just now it did not answer well: a short time is no excuse
		expected = v.perDay
	}
	if expected < manySessions {
		conns, err := s.connections.application(ctx, v.org, v.conn.ID)
		if err != nil {
			return err
		}
		f := db.SessionFilter{From: w.From.Add(time.Minute), To: w.To.Add(-time.Minute), Connections: conns}
		known, err := s.db.Org(v.org).Sessions(ctx, f, Moment{}, 1)
		if err != nil || len(known.Sessions) == 0 {
			return err
		}
	}
	return &upstream.Error{Kind: upstream.Unexpected, Vendor: string(v.conn.Vendor), Operation: "sessions", Status: 200, Sent: true,
		Err: errors.New("the list is empty, but there must be sessions of that time")}
}

// userPages is how many calls a page of sessions is worth for learning who they
// are of, 500 users each.
const userPages = 3

// learnUsers asks Raygun v3 who the users of a page's sessions are, as
// background work: those seen last come first, which are those of new sessions.
// Where older days are read, it goes on behind those that are known. A failure
// is no failure of the sync: the sessions are here, and nobody's for now. What a
// member asked to have filled costs them no more than was named: with sync on,
// its people are learned later, see people, else with what is left of that.
func (s *Syncs) learnUsers(ctx context.Context, v syncView, w db.SyncWalk, api raygun.API, page raygun.SessionPage) {
	v3, ok := api.(*raygun.V3)
	if !ok || ctx.Err() != nil || !v.sync.Enabled || w.Purpose == db.WalkPerson || s.paused(v, besideUsers) {
		return
	}
	unknown := map[string]bool{}
	for _, one := range slices.Concat(page.Sessions, page.Others) {
		if one.User.Partial && one.User.ID != "" {
			unknown[one.User.ID] = true
		}
	}
	if len(unknown) == 0 {
		return
	}
	o := s.db.Org(v.org)
	skip := 0
	if !page.Newest.After(v.now.Add(-followBack)) {
		known, err := o.CountRaygunUsers(ctx, v.conn.ID)
		if err != nil {
			s.log.ErrorContext(ctx, "known users were not counted", "connection", int64(v.conn.ID), "err", err)
			return
		}
		// Users come and go since they were counted: a page's overlap costs nothing.
		skip = max(0, known-raygun.MaxLimit/2)
	}
	spending := withSpender(ctx, spender{Org: v.org, Connection: v.conn.ID, Background: true})
	for range userPages {
		list, err := v3.Customers(spending, raygun.ListQuery{Recent: true, Skip: skip})
		if err != nil {
			s.pause(ctx, v, besideUsers, err)
			return
		}
		rows := make([]db.RaygunUser, len(list.Items))
		for i, u := range list.Items {
			rows[i] = userRow(u)
			delete(unknown, u.ID)
		}
		if _, err := o.PutRaygunUsers(context.WithoutCancel(ctx), v.conn.ID, rows, s.now()); err != nil {
			s.log.ErrorContext(ctx, "users were not stored", "connection", int64(v.conn.ID), "err", err)
			return
		}
		if len(unknown) == 0 || !list.More {
			return
		}
		skip = list.NextSkip
	}
}

// What sync asks for beside sessions.
const (
	besideVitals = "web vitals"
	besideUsers  = "users"
	besideUser   = "user " // and the id
)

// besidePause is how long sync leaves that alone after a failure: a permission
// that the token lacks costs one call an hour, not one for each page.
const besidePause = time.Hour

// beside is something that sync asks a connection for beside sessions, with
// the credentials of a time: others are not left alone for what those met.
type beside struct {
	connection ConnectionID
	rotatedAt  int64
	what       string
}

func (v syncView) beside(what string) beside {
	return beside{v.conn.ID, v.conn.RotatedAt.UnixMilli(), what}
}

// paused says whether something is left alone for now.
func (s *Syncs) paused(v syncView, what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.now.Before(s.pausedUntil[v.beside(what)])
}

// pause leaves something alone after a failure, unless Sightline stops. What our
// own ledger did not let out has cost nothing and waits for the budget alone.
func (s *Syncs) pause(ctx context.Context, v syncView, what string, err error) {
	if _, refused := db.IsRefused(err); refused || ctx.Err() != nil {
		return
	}
	s.log.WarnContext(ctx, "sync leaves something alone for an hour", "what", what, "connection", int64(v.conn.ID), "err", err)
	s.leave(v, what, besidePause)
}

func (s *Syncs) leave(v syncView, what string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pausedUntil[v.beside(what)] = v.now.Add(d)
}
