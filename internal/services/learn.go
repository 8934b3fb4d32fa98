package services

import (
	"context"
	"errors"
	"slices"

	"sightline/internal/db"
	"sightline/internal/services/raygun"
	"sightline/internal/services/upstream"
)

// known is what the mirror knows of the users, pages and errors that Raygun v3
// names by id.
func (c *Connections) known(conn Connection) raygun.Known {
	o := c.db.Org(conn.Org)
	failed := func(ctx context.Context, what string, err error) {
		if err != nil { // as good as not known
			c.log.WarnContext(ctx, "what is known already could not be read", "what", what, "connection", int64(conn.ID), "err", err)
		}
	}
	names := func(kind string) func(ctx context.Context, ids []string) map[string]string {
		return func(ctx context.Context, ids []string) map[string]string {
			out, err := o.RaygunNames(ctx, conn.ID, kind, ids)
			failed(ctx, kind, err)
			return out
		}
	}
	return raygun.Known{
		Users: func(ctx context.Context, ids []string) map[string]raygun.User {
			rows, err := o.RaygunUsers(ctx, conn.ID, ids)
			failed(ctx, "users", err)
			out := make(map[string]raygun.User, len(rows))
			for id, u := range rows {
				out[id] = raygun.User{ID: id, Identifier: u.Identifier, Email: u.Email, FullName: u.Name, Anonymous: u.Anonymous}
			}
			return out
		},
		Pages: names(db.NamePage), ErrorGroups: names(db.NameError),
	}
}

// learner asks Raygun v3 for what its answers leave to identifiers, and keeps
// it, so that what has a name is not asked for again.
type learner struct {
	api  *raygun.V3
	org  db.Org
	conn ConnectionID
	m    *mirror
}

func userRow(u raygun.User) db.RaygunUser {
	return db.RaygunUser{ID: u.ID, Identifier: u.Identifier, Email: u.Email, Name: u.Label(), Anonymous: u.Anonymous}
}

// singly is up to how many things are asked for one by one; a list, which has
// 500 for the price of one, is the way to learn more.
const singly = 2

// DetailCalls is what a session's detail costs through v3 at most: the session,
// its user, and the names of its pages and errors. A call that the client
// repeats because the vendor failed counts on top of that.
const DetailCalls = 2 + 2*singly

// detail names what a session's detail leaves to identifiers, and says whether
// it learnt anything. What cannot be learned, for lack of a permission or because
// the vendor fails, stays unnamed: the detail is worth keeping without it. The
// error is the first that came.
func (l learner) detail(ctx context.Context, s *raygun.Session) (learnt bool, err error) {
	for _, learn := range []func(context.Context, *raygun.Session) (bool, error){l.user, l.pages, l.errors} {
		some, trouble := learn(ctx, s)
		learnt = learnt || some
		if err == nil {
			err = trouble
		}
		if ctx.Err() != nil || upstream.KindOf(trouble).EndsAll() {
			break
		}
	}
	return learnt, err
}

func (l learner) user(ctx context.Context, s *raygun.Session) (learnt bool, err error) {
	if !s.User.Partial || s.User.ID == "" {
		return false, nil
	}
	u, err := l.api.Customer(ctx, s.User.ID)
	if err != nil {
		return false, err
	}
	u.ID = s.User.ID
	s.User = u
	_, err = l.org.PutRaygunUsers(context.WithoutCancel(ctx), l.conn, []db.RaygunUser{userRow(u)}, l.m.now())
	return true, err
}

func (l learner) pages(ctx context.Context, s *raygun.Session) (learnt bool, err error) {
	ids := unnamed(len(s.PageViews), func(i int) (string, string) { return s.PageViews[i].PageID, s.PageViews[i].Page })
	names, err := learnNames(ctx, ids, func(id string) (string, error) {
		p, err := l.api.Page(ctx, id)
		return p.Label(), err
	}, func() (map[string]string, error) {
		all, err := l.api.Pages(ctx, raygun.ListQuery{Recent: true})
		out := map[string]string{}
		for _, p := range all.Items {
			out[p.ID] = p.Label()
		}
		return out, err
	})
	for i, v := range s.PageViews {
		if v.Page == "" && names[v.PageID] != "" {
			s.PageViews[i].Page, learnt = names[v.PageID], true
		}
	}
	return learnt, l.keep(ctx, db.NamePage, names, err)
}

func (l learner) errors(ctx context.Context, s *raygun.Session) (learnt bool, err error) {
	ids := unnamed(len(s.Errors), func(i int) (string, string) { return s.Errors[i].GroupID, s.Errors[i].Title })
	names, err := learnNames(ctx, ids, func(id string) (string, error) {
		g, err := l.api.ErrorGroup(ctx, id)
		return g.Message, err
	}, func() (map[string]string, error) {
		all, err := l.api.ErrorGroups(ctx, raygun.ListQuery{Recent: true})
		out := map[string]string{}
		for _, g := range all.Items {
			out[g.ID] = g.Message
		}
		return out, err
	})
	for i, e := range s.Errors {
		if e.Title == "" && names[e.GroupID] != "" {
			s.Errors[i].Title, learnt = names[e.GroupID], true
		}
	}
	return learnt, l.keep(ctx, db.NameError, names, err)
}

// nameLate puts in the names of pages and errors that were learned after the
// detail had come.
func nameLate(ctx context.Context, o db.Org, d *SessionDetail) error {
	from := d.Session.Connection
	if d.Session.DetailFrom != 0 {
		from = d.Session.DetailFrom
	}
	fill := func(kind string, ids []string, put func(names map[string]string)) error {
		if len(ids) == 0 {
			return nil
		}
		names, err := o.RaygunNames(ctx, from, kind, ids)
		if err == nil {
			put(names)
		}
		return err
	}
	pages := unnamed(len(d.PageViews), func(i int) (string, string) { return d.PageViews[i].PageID, d.PageViews[i].URL })
	groups := unnamed(len(d.Errors), func(i int) (string, string) { return d.Errors[i].GroupID, d.Errors[i].Title })
	return errors.Join(
		fill(db.NamePage, pages, func(names map[string]string) {
			for i, v := range d.PageViews {
				if v.URL == "" {
					d.PageViews[i].URL = names[v.PageID]
				}
			}
		}),
		fill(db.NameError, groups, func(names map[string]string) {
			for i, e := range d.Errors {
				if e.Title == "" {
					d.Errors[i].Title = names[e.GroupID]
				}
			}
		}))
}

// keep stores names, those that came before a call failed too. It returns that
// failure and its own.
func (l learner) keep(ctx context.Context, kind string, names map[string]string, failed error) error {
	if len(names) == 0 {
		return failed
	}
	err := l.org.PutRaygunNames(context.WithoutCancel(ctx), l.conn, kind, names, l.m.now())
	return errors.Join(failed, err)
}

// unnamed are the different ids without a name.
func unnamed(n int, at func(i int) (id, name string)) []string {
	var out []string
	for i := range n {
		if id, name := at(i); id != "" && name == "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// learnNames asks for a few ids one by one, and for the newest 500 if there are
// more. It returns what was learned before a call failed.
func learnNames(ctx context.Context, ids []string, one func(id string) (string, error), newest func() (map[string]string, error)) (map[string]string, error) {
	if len(ids) > singly {
		return newest()
	}
	out := map[string]string{}
	for _, id := range ids {
		name, err := one(id)
		if err != nil {
			return out, err
		}
		out[id] = name
	}
	return out, nil
}
