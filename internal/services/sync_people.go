package services

import (
	"context"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/raygun"
	"sightline/internal/services/upstream"
)

const (
	// peopleCalls is how many calls a turn of sync makes at most for people whom
	// sessions name by id alone, peopleSingly up to how many of them are asked for
	// one by one.
	peopleCalls  = 5
	peopleSingly = 10
	// besideGone is how long a person is not asked for again whom the vendor does
	// not know.
	besideGone = 24 * time.Hour
)

// people learns who the people are whom a v3 connection's sessions name by id
// alone, as background work: those of days that a member had filled, those whom
// a page's own questions did not find, and what a kill cut off.
func (s *Syncs) people(ctx context.Context, v syncView) {
	if v.conn.Vendor != RaygunV3 {
		return
	}
	n := peopleCalls
	if left := v.budget.Background(); left >= 0 {
		n = min(n, left)
	}
	s.catchUp(withSpender(ctx, spender{Org: v.org, Connection: v.conn.ID, Background: true}), v, n)
}

// catchUp is people with the spender of the context and at most so many calls. A
// failure is no failure of the sync.
func (s *Syncs) catchUp(ctx context.Context, v syncView, calls int) {
	o := s.db.Org(v.org)
	lost := func(what string, err error) {
		if ctx.Err() == nil {
			s.log.ErrorContext(ctx, "people were not caught up with", "what", what, "connection", int64(v.conn.ID), "err", err)
		}
	}
	known, unknown, err := o.WaitingUsers(ctx, v.conn.ID, "")
	if err != nil {
		lost("those who are waited for", err)
		return
	}
	if len(known) > 0 { // learned while a page of theirs was on its way, or cut off
		err := o.RejoinRaygunUsers(ctx, v.conn.ID, known)
		if err == nil {
			_, err = o.JoinRaygunUsers(ctx, v.conn.ID, s.now())
		}
		if err != nil {
			lost("those who are known", err)
			return
		}
	}
	wanted := map[string]bool{}
	for _, id := range unknown {
		if raygun.IsID(id) && !s.paused(v, besideUser+id) {
			wanted[id] = true
		}
	}
	if len(wanted) == 0 || calls <= 0 || s.paused(v, besideUsers) {
		return
	}
	v3, _, err := s.connections.raygunV3(ctx, v.org, v.conn.ID)
	if err == nil && len(wanted) <= peopleSingly {
		err = s.askSingly(ctx, v, v3, wanted, calls)
	} else if err == nil {
		err = s.askListed(ctx, v, v3, wanted, calls)
	}
	if err != nil {
		s.pause(ctx, v, besideUsers, err)
	}
}

// askSingly asks for users one by one.
func (s *Syncs) askSingly(ctx context.Context, v syncView, v3 *raygun.V3, wanted map[string]bool, calls int) error {
	for id := range wanted {
		if calls--; calls < 0 {
			return nil
		}
		u, err := v3.Customer(ctx, id)
		if upstream.KindOf(err) == upstream.NotFound {
			s.leave(v, besideUser+id, besideGone)
			continue
		}
		if err != nil {
			return err
		}
		u.ID = id
		if _, err := s.db.Org(v.org).PutRaygunUsers(context.WithoutCancel(ctx), v.conn.ID, []db.RaygunUser{userRow(u)}, s.now()); err != nil {
			return err
		}
	}
	return nil
}

// askListed reads on in the list of users, which costs less for many. Who is not
// in it is not asked for again for a day.
func (s *Syncs) askListed(ctx context.Context, v syncView, v3 *raygun.V3, wanted map[string]bool, calls int) error {
	s.mu.Lock()
	at := s.peopleAt[v.conn.ID]
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.peopleAt[v.conn.ID] = at
	}()
	for ; calls > 0 && len(wanted) > 0; calls-- {
		list, err := v3.Customers(ctx, raygun.ListQuery{Skip: at})
		if err != nil {
			return err
		}
		rows := make([]db.RaygunUser, len(list.Items))
		for i, u := range list.Items {
			rows[i] = userRow(u)
			delete(wanted, u.ID)
		}
		if _, err := s.db.Org(v.org).PutRaygunUsers(context.WithoutCancel(ctx), v.conn.ID, rows, s.now()); err != nil {
			return err
		}
		if at = list.NextSkip; list.More {
			continue
		}
		at = 0
		for id := range wanted {
			s.leave(v, besideUser+id, besideGone)
		}
		return nil
	}
	return nil
}
