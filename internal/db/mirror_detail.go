package db

import (
	"context"
	"time"
)

// FullSession is a session with its detail.
type FullSession struct {
	Session
	Views  []PageView
	Errors []SessionError
	// Answer is what the vendor sent about it, kept as it is; empty keeps none.
	Answer []byte
}

// PutFullSessions stores sessions in full, all of them or none, and replaces
// their page views and errors, of which at most 5000 each are kept. It returns
// their ids in the same order.
func (o Org) PutFullSessions(ctx context.Context, conn ConnectionID, rows []FullSession, receivedAt time.Time) ([]SessionID, error) {
	ids := make([]SessionID, 0, len(rows))
	err := o.put(ctx, conn, receivedAt, func(p *putter) error {
		sessions := make([]Session, len(rows))
		for i, s := range rows {
			sessions[i] = s.Session
		}
		if err := p.read(ctx, sessions); err != nil {
			return err
		}
		for _, s := range rows {
			id, err := p.full(ctx, s, receivedAt)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	return ids, err
}

// full stores a session with its page views and errors. The detail of a twin,
// which tells other things, does not replace a detail of the row's own.
func (p *putter) full(ctx context.Context, s FullSession, receivedAt time.Time) (SessionID, error) {
	s.Connection, s.ListedAt, s.DetailedAt = p.conn, time.Time{}, receivedAt
	n := int64(len(s.Errors))
	s.ErrorCount = &n
	var home *home
	var err error
	if s.Session, home, err = p.home(ctx, s.Session); err != nil {
		return 0, err
	}
	if home != nil {
		s.DetailFrom = p.conn
		if home.row.DetailFrom == 0 && !home.row.DetailedAt.IsZero() {
			s.DetailedAt, s.ErrorCount = time.Time{}, nil
			_, is, err := p.session(ctx, s.Session, nil)
			if err != nil {
				return 0, err
			}
			home.detailedAt = receivedAt
			return is.id, p.sighted(ctx, home, is)
		}
		for i := range s.Errors { // so that it is the same error as in the row's own details
			if s.Errors[i].Alias != "" {
				s.Errors[i].GroupID = s.Errors[i].Alias
			}
		}
		home.detailedAt = receivedAt
	}
	s.Views, s.Errors = s.Views[:min(len(s.Views), maxViews)], s.Errors[:min(len(s.Errors), maxViews)]
	t, d := p.tally(s.Connection), newDetail()
	pages, groups := make([]PageID, len(s.Views)), make([]ErrorGroupID, len(s.Errors))
	for i, v := range s.Views {
		if pages[i], err = t.page(ctx, p.q, v.URL); err != nil {
			return 0, err
		}
		t.view(&d, pages[i], v.LoadMS)
	}
	for i, e := range s.Errors {
		if groups[i], err = t.group(ctx, p.q, e); err != nil {
			return 0, err
		}
		d.errs[groups[i]]++
	}
	was, is, err := p.session(ctx, s.Session, d.slowest)
	if err != nil {
		return 0, err
	}
	if was.detailed {
		if err := p.dropDetail(ctx, s.Connection, was); err != nil {
			return 0, err
		}
	}
	t.detail(is.startedAt, d, 1)
	if err := t.putIndex(ctx, p.q, is.id, is.startedAt, d); err != nil {
		return 0, err
	}
	if err := p.putDetail(ctx, is.id, s, pages, groups); err != nil {
		return 0, err
	}
	if err := p.sighted(ctx, home, is); err != nil {
		return 0, err
	}
	if len(s.Answer) == 0 && !was.detailed {
		return is.id, nil // there is none to replace
	}
	return is.id, p.putAnswer(ctx, is.id, s.Answer)
}

// moveDetail counts a session's detail at another time: a list said that it
// began earlier than was known.
func (p *putter) moveDetail(ctx context.Context, conn ConnectionID, was, is facts) error {
	t := p.tally(conn)
	d, err := t.readDetail(ctx, p.q, is.id)
	if err != nil {
		return err
	}
	t.detail(was.startedAt, d, -1)
	t.detail(is.startedAt, d, 1)
	if err := t.dropIndex(ctx, p.q, is.id, was.startedAt, d); err != nil {
		return err
	}
	return t.putIndex(ctx, p.q, is.id, is.startedAt, d)
}

// dropDetail takes away a session's page views and errors.
func (p *putter) dropDetail(ctx context.Context, conn ConnectionID, was facts) error {
	t := p.tally(conn)
	d, err := t.readDetail(ctx, p.q, was.id)
	if err != nil {
		return err
	}
	t.detail(was.startedAt, d, -1)
	if err := t.dropIndex(ctx, p.q, was.id, was.startedAt, d); err != nil {
		return err
	}
	for _, table := range []string{"page_views", "session_errors"} {
		if _, err := exec(ctx, p.q, table, `DELETE FROM `+table+` WHERE session_id = ? AND org_id = ?`, was.id, p.org); err != nil {
			return err
		}
	}
	return nil
}

func (p *putter) putDetail(ctx context.Context, id SessionID, s FullSession, pages []PageID, groups []ErrorGroupID) error {
	for i, v := range s.Views {
		_, err := exec(ctx, p.q, "page view", `
			INSERT INTO page_views (session_id, position, org_id, url, load_ms, view_ms, viewed_at, page_id, vendor_page) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			id, i, p.org, clip(v.URL), v.LoadMS, v.ViewMS, ms(v.ViewedAt), nullID(pages[i]), clip(v.PageID))
		if err != nil {
			return err
		}
	}
	for i, e := range s.Errors {
		_, err := exec(ctx, p.q, "session error", `
			INSERT INTO session_errors (session_id, position, org_id, group_id, instance_id, title, web_url, occurred_at, error_group_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			id, i, p.org, clip(e.GroupID), clip(e.InstanceID), clip(e.Title), clip(e.WebURL), ms(e.OccurredAt), groups[i])
		if err != nil {
			return err
		}
	}
	return nil
}
