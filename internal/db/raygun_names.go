package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"
)

// RaygunUser is what Raygun v3 said of a user whom its sessions name by id.
type RaygunUser struct {
	ID                      string
	Identifier, Email, Name string
	Anonymous               bool
}

func scanRaygunUser(s scanner) (u RaygunUser, err error) {
	return u, s.Scan(&u.ID, &u.Identifier, &u.Email, &u.Name, &u.Anonymous)
}

// The kinds of things that Raygun v3 names by id.
const (
	NamePage  = "page"
	NameError = "error"
)

// maxLearned bounds how many ids one question may be about.
const maxLearned = 2000

// RaygunUsers returns those of a connection's users that are known, by id; of
// more than 2000 ids the first are looked at.
func (o Org) RaygunUsers(ctx context.Context, conn ConnectionID, ids []string) (map[string]RaygunUser, error) {
	rows, err := list(ctx, o.db.r, "raygun users", scanRaygunUser, `
		SELECT u.user_id, u.identifier, u.email, u.name, u.anonymous FROM json_each(?) j
		CROSS JOIN raygun_users u ON u.connection_id = ? AND u.user_id = j.value
		WHERE u.org_id = ? LIMIT 2000`, jsonList(ids), conn, o.id)
	out := make(map[string]RaygunUser, len(rows))
	for _, u := range rows {
		out[u.ID] = u
	}
	return out, err
}

// CountRaygunUsers is how many of a connection's users are known.
func (o Org) CountRaygunUsers(ctx context.Context, conn ConnectionID) (int, error) {
	n, err := one(ctx, o.db.r, "raygun users", scanInt, `
		SELECT count(*) FROM raygun_users WHERE connection_id = ? AND org_id = ?`, conn, o.id)
	return int(n), err
}

// RaygunNames returns those names of a connection's pages or error groups that
// are known, by id; of more than 2000 ids the first are looked at.
func (o Org) RaygunNames(ctx context.Context, conn ConnectionID, kind string, ids []string) (map[string]string, error) {
	rows, err := list(ctx, o.db.r, "raygun names", func(s scanner) (v [2]string, err error) {
		return v, s.Scan(&v[0], &v[1])
	}, `
		SELECT n.vendor_id, n.name FROM json_each(?) j
		CROSS JOIN raygun_names n ON n.connection_id = ? AND n.kind = ? AND n.vendor_id = j.value
		WHERE n.org_id = ? LIMIT 2000`, jsonList(ids), conn, kind, o.id)
	out := make(map[string]string, len(rows))
	for _, v := range rows {
		out[v[0]] = v[1]
	}
	return out, err
}

// jsonList writes ids as JSON, for json_each.
func jsonList[T ~string | ~int64](ids []T) string {
	b, err := json.Marshal(ids[:min(len(ids), maxLearned)])
	if err != nil { // texts and numbers always marshal
		return "[]"
	}
	return string(b)
}

// PutRaygunNames remembers names of a connection's pages or error groups, the
// newest word winning.
func (o Org) PutRaygunNames(ctx context.Context, conn ConnectionID, kind string, names map[string]string, now time.Time) error {
	return o.write(ctx, func(tx *sql.Tx) error {
		if err := o.own(ctx, tx, conn); err != nil {
			return err
		}
		for id, name := range names {
			if _, err := exec(ctx, tx, "raygun name", `
				INSERT INTO raygun_names AS n (connection_id, kind, vendor_id, org_id, name, learned_at) VALUES (?, ?, ?, ?, ?, ?)
				ON CONFLICT (connection_id, kind, vendor_id) DO UPDATE SET name = excluded.name, learned_at = excluded.learned_at
				WHERE n.org_id = excluded.org_id AND excluded.name <> ''`,
				conn, kind, CutIdentity(CleanText(id)), o.id, clip(name), ms(now)); err != nil {
				return err
			}
		}
		return nil
	})
}

// What one transaction of a join may take, so that nobody waits long for their
// turn to write.
const (
	joinSessions = 40
	joinUsers    = 500
)

// PutRaygunUsers remembers users of a connection, all or nothing, and then gives
// the sessions that named them by id alone to their customers: see
// JoinRaygunUsers. It returns how many sessions found their customer.
func (o Org) PutRaygunUsers(ctx context.Context, conn ConnectionID, users []RaygunUser, now time.Time) (int, error) {
	err := o.write(ctx, func(tx *sql.Tx) error {
		if err := o.own(ctx, tx, conn); err != nil {
			return err
		}
		for _, u := range users {
			if u.ID = CutIdentity(CleanText(u.ID)); u.ID == "" {
				continue
			}
			if _, err := exec(ctx, tx, "raygun user", `
				INSERT INTO raygun_users AS u (connection_id, user_id, org_id, identifier, email, name, anonymous, learned_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT (connection_id, user_id) DO UPDATE SET identifier = excluded.identifier, email = excluded.email, name = excluded.name,
					anonymous = excluded.anonymous, learned_at = excluded.learned_at, joined = 0
				WHERE u.org_id = excluded.org_id`,
				conn, u.ID, o.id, clip(u.Identifier), clip(u.Email), clip(u.Name), u.Anonymous, ms(now)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return o.JoinRaygunUsers(ctx, conn, now)
}

// JoinRaygunUsers gives the sessions of a connection that name a known user by
// id alone to their customers, however many there are, some at a time:
// what is cut off goes on with the next call. It returns how many it gave.
func (o Org) JoinRaygunUsers(ctx context.Context, conn ConnectionID, now time.Time) (int, error) {
	found := 0
	for {
		n, more := 0, false
		err := o.putPart(ctx, conn, now, true, func(p *putter, _ func() bool) (err error) {
			n, more, err = p.joinUsers(ctx)
			return err
		})
		if found += n; err != nil || !more {
			return found, err
		}
	}
}

// joinUsers gives at most joinSessions sessions to their customers and says
// whether there may be more.
func (p *putter) joinUsers(ctx context.Context) (n int, more bool, err error) {
	users, err := list(ctx, p.q, "raygun users", scanRaygunUser, `
		SELECT user_id, identifier, email, name, anonymous FROM raygun_users INDEXED BY raygun_users_unjoined
		WHERE connection_id = ? AND joined = 0 AND org_id = ? ORDER BY user_id LIMIT ?`, p.conn, p.org, joinUsers)
	if err != nil {
		return 0, false, err
	}
	for _, u := range users {
		waiting, err := list(ctx, p.q, "sessions", scanSession, `
			SELECT `+sessionColumns+` FROM sessions s INDEXED BY sessions_partial
			WHERE s.connection_id = ? AND s.user_id = ? AND s.user_partial = 1 AND s.org_id = ?
			ORDER BY s.id LIMIT ?`, p.conn, u.ID, p.org, joinSessions-n)
		if err != nil {
			return n, false, err
		}
		for _, s := range waiting {
			s.UserPartial, s.UserIdentifier, s.UserEmail, s.UserName, s.UserAnonymous = false, u.Identifier, u.Email, u.Name, u.Anonymous
			s.ListedAt, s.DetailedAt = time.Time{}, time.Time{} // nothing new is known of the session itself
			if _, _, err := p.session(ctx, s, nil); err != nil {
				return n, false, err
			}
		}
		if n += len(waiting); n >= joinSessions {
			return n, true, nil
		}
		if _, err := exec(ctx, p.q, "raygun user", `
			UPDATE raygun_users SET joined = 1 WHERE connection_id = ? AND user_id = ? AND org_id = ?`, p.conn, u.ID, p.org); err != nil {
			return n, false, err
		}
	}
	return n, len(users) == joinUsers, nil
}

// WaitingUsers returns the users of a connection whom sessions name by id alone,
// in order of their id: known says whether they are known by now, which is when
// they were learned while the session was on its way. At most 2000, after the
// given id.
func (o Org) WaitingUsers(ctx context.Context, conn ConnectionID, after string) (known, unknown []string, err error) {
	// The index has all sessions of a user in a row: the next user is one step.
	const next = `(SELECT min(s.user_id) FROM sessions s INDEXED BY sessions_partial
			WHERE s.connection_id = c.id AND s.user_partial = 1 AND s.user_id > `
	_, err = list(ctx, o.db.r, "waiting users", func(s scanner) (struct{}, error) {
		var id string
		var is bool
		err := s.Scan(&id, &is)
		if is {
			known = append(known, id)
		} else {
			unknown = append(unknown, id)
		}
		return struct{}{}, err
	}, `
		WITH RECURSIVE c AS (SELECT id, org_id FROM connections WHERE id = ?1 AND org_id = ?2),
		waiting (id) AS (
			SELECT `+next+`?3) FROM c
			UNION ALL
			SELECT `+next+`waiting.id) FROM waiting CROSS JOIN c WHERE waiting.id IS NOT NULL
			LIMIT 2001)
		SELECT w.id, EXISTS (SELECT 1 FROM raygun_users u WHERE u.connection_id = ?1 AND u.user_id = w.id AND u.org_id = ?2)
		FROM waiting w WHERE w.id IS NOT NULL ORDER BY w.id LIMIT 2000`, conn, o.id, after)
	return known, unknown, err
}

// RejoinRaygunUsers has JoinRaygunUsers look at users again who were joined
// already; of more than 2000 ids the first.
func (o Org) RejoinRaygunUsers(ctx context.Context, conn ConnectionID, ids []string) error {
	_, err := exec(ctx, o.db.w, "raygun users", `
		UPDATE raygun_users SET joined = 0 WHERE connection_id = ?1 AND org_id = ?2 AND user_id IN (SELECT value FROM json_each(?3))`,
		conn, o.id, jsonList(ids))
	return err
}
