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
	rows, err := list(ctx, o.db.r, "raygun users", func(s scanner) (u RaygunUser, err error) {
		return u, s.Scan(&u.ID, &u.Identifier, &u.Email, &u.Name, &u.Anonymous)
	}, `
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

// sessionsOfUser is how many of a user's sessions are read at a time.
const sessionsOfUser = 5000

// PutRaygunUsers remembers users of a connection and gives the sessions that
// named them by id alone to their customers, part by part as PutSessions does.
// It returns how many sessions found their customer.
func (o Org) PutRaygunUsers(ctx context.Context, conn ConnectionID, users []RaygunUser, now time.Time) (int, error) {
	found := 0
	for len(users) > 0 {
		part := users[:min(partOf, len(users))]
		users = users[len(part):]
		err := o.putPart(ctx, conn, now, len(users) > 0, func(p *putter) error {
			for _, u := range part {
				n, err := p.user(ctx, conn, u)
				if err != nil {
					return err
				}
				found += n
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return found, nil
}

func (p *putter) user(ctx context.Context, conn ConnectionID, u RaygunUser) (int, error) {
	u.ID = CutIdentity(CleanText(u.ID))
	if u.ID == "" {
		return 0, nil
	}
	if _, err := exec(ctx, p.q, "raygun user", `
		INSERT INTO raygun_users AS u (connection_id, user_id, org_id, identifier, email, name, anonymous, learned_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (connection_id, user_id) DO UPDATE SET identifier = excluded.identifier, email = excluded.email, name = excluded.name,
			anonymous = excluded.anonymous, learned_at = excluded.learned_at
		WHERE u.org_id = excluded.org_id`,
		conn, u.ID, p.org, clip(u.Identifier), clip(u.Email), clip(u.Name), u.Anonymous, ms(p.receivedAt)); err != nil {
		return 0, err
	}
	found, last := 0, SessionID(0)
	for {
		waiting, err := list(ctx, p.q, "sessions", scanSession, `
			SELECT `+sessionColumns+` FROM sessions s INDEXED BY sessions_partial
			WHERE s.connection_id = ? AND s.user_id = ? AND s.user_partial = 1 AND s.org_id = ? AND s.id > ?
			ORDER BY s.id LIMIT ?`, conn, u.ID, p.org, last, sessionsOfUser)
		if err != nil {
			return 0, err
		}
		for _, s := range waiting {
			last = s.ID
			s.UserPartial, s.UserIdentifier, s.UserEmail, s.UserName, s.UserAnonymous = false, u.Identifier, u.Email, u.Name, u.Anonymous
			s.ListedAt, s.DetailedAt = time.Time{}, time.Time{} // nothing new is known of the session itself
			if _, _, err := p.session(ctx, s, nil); err != nil {
				return 0, err
			}
		}
		if found += len(waiting); len(waiting) < sessionsOfUser {
			return found, nil
		}
	}
}
