package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sightline/internal/db"
)

// ingestPages is how many pages of 500 sessions are stored each way. The first
// fifth of them meets a store that is hardly filled, where bare inserts are
// cheapest.
const ingestPages = 100

// ingest measures storing pages of 500 new sessions, half of them with their
// detail, with customers, rollups and the search index, against bare inserts
// of the same sessions, page views, errors, pages, customers and identities into
// the same tables with the same indexes, in one transaction. What it keeps
// beside those counts as its own cost: the rollups, the search index, the lists
// of sessions by page and by error, and when known people were seen again.
func (b *bench) ingest(ctx context.Context) (err error) {
	heading("Storing pages of 500 new sessions")
	s, err := newIngest(ctx, b.tmp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for range ingestPages {
		if err := s.page(ctx); err != nil {
			return err
		}
	}
	line := func(what string, from, to int) {
		mine, theirs := middle(s.mine[from:to]), middle(s.theirs[from:to])
		b.line(what, fmt.Sprintf("%.2f× (%.0f and %.0f sessions/s)", mine/theirs, 500/mine, 500/theirs), "≤ 3×", mine/theirs <= 3)
	}
	line("ingest against bare inserts", ingestPages/5, ingestPages)
	line("the same, into an empty store", 0, ingestPages/5)
	return nil
}

// ingest is two stores that get the same pages.
type ingest struct {
	ours         *db.DB
	bare         *bareStore
	pages        int
	mine, theirs []float64 // seconds of each page
}

func newIngest(ctx context.Context, tmp string) (*ingest, error) {
	var paths [2]string
	for i := range paths {
		dir := filepath.Join(tmp, fmt.Sprint("ingest", i))
		d, err := db.Open(ctx, filepath.Join(dir, "sightline.db"))
		if err != nil {
			return nil, err
		}
		org, err := d.AddOrgUnscoped(ctx, benchOrg, benchOrg, lastDay())
		if err == nil {
			_, err = d.Org(org.ID).AddConnection(ctx, db.Connection{Vendor: "raygun", Name: "Shop", CreatedAt: lastDay()},
				func(db.ConnectionID) (map[string][]byte, error) { return nil, nil }, db.HistoryEntry{At: lastDay()})
		}
		if err := errors.Join(err, d.Close()); err != nil {
			return nil, err
		}
		paths[i] = filepath.Join(dir, "sightline.db")
	}
	ours, err := db.Open(ctx, paths[0])
	if err != nil {
		return nil, err
	}
	bare, err := newBareStore(ctx, paths[1])
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	return &ingest{ours: ours, bare: bare}, nil
}

func (s *ingest) close() error { return errors.Join(s.ours.Close(), s.bare.db.Close()) }

// page stores the next page both ways.
func (s *ingest) page(ctx context.Context) error {
	org, n := madeOrgs(blockSize)[0], s.pages
	s.pages++
	r := rand.New(rand.NewPCG(madeVersion, uint64(1000+n)))
	page := make([]madeSession, 500)
	for i := range page {
		page[i] = org.session(r, 0, int64(n*500+i), lastDay().Add(time.Duration(n*500+i)*10*time.Second))
	}
	began := time.Now()
	if err := s.bare.put(ctx, page); err != nil {
		return err
	}
	s.theirs = append(s.theirs, time.Since(began).Seconds())
	began = time.Now()
	if err := storeDay(ctx, s.ours, []connection{{1, 1}}, page, page[len(page)-1].EndedAt.Add(time.Hour)); err != nil {
		return err
	}
	s.mine = append(s.mine, time.Since(began).Seconds())
	return nil
}

// bareStore inserts rows and does nothing else.
type bareStore struct {
	db   *sql.DB
	made map[string]int64 // ids by email, address and error
}

// once makes what a name stands for, unless it was made before.
func (s *bareStore) once(name string, add func() (int64, error)) (int64, error) {
	if id, ok := s.made[name]; ok {
		return id, nil
	}
	id, err := add()
	if err == nil {
		s.made[name] = id
	}
	return id, err
}

func newBareStore(ctx context.Context, path string) (*bareStore, error) {
	d, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(NORMAL)&_pragma=cache_size(-65536)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	d.SetMaxOpenConns(1)
	_, err = d.ExecContext(ctx, `DROP TRIGGER identities_fts_insert`)
	return &bareStore{db: d, made: map[string]int64{}}, err
}

func (s *bareStore) put(ctx context.Context, page []madeSession) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := s.insert(ctx, tx, page); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (s *bareStore) insert(ctx context.Context, tx *sql.Tx, page []madeSession) error {
	stmts := map[string]*sql.Stmt{}
	add := func(query string, args ...any) (int64, error) {
		st := stmts[query]
		if st == nil {
			var err error
			if st, err = tx.PrepareContext(ctx, query); err != nil {
				return 0, err
			}
			stmts[query] = st
		}
		res, err := st.ExecContext(ctx, args...)
		if err != nil {
			return 0, err
		}
		return res.LastInsertId()
	}
	slices.SortStableFunc(page, func(a, b madeSession) int { return a.StartedAt.Compare(b.StartedAt) })
	for _, v := range page {
		customer, err := s.customer(v, add)
		if err != nil {
			return err
		}
		detailed, slow := any(nil), int64(0)
		if v.full {
			detailed = v.EndedAt.UnixMilli()
		}
		for _, p := range v.Views {
			slow = max(slow, *p.LoadMS)
		}
		id, err := add(`INSERT INTO sessions (org_id, connection_id, vendor_id, customer_id, started_at, updated_at, ended_at, status, length_ms, page_view_count,
			user_id, user_identifier, user_anonymous, user_name, user_email, browser, browser_version, os, os_version, platform, country, ip_address,
			rating, error_count, web_url, listed_at, detailed_at, slowest_ms, slow_class, counted)
			VALUES (1, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, 1)`,
			v.VendorID, customer, v.StartedAt.UnixMilli(), v.UpdatedAt.UnixMilli(), v.EndedAt.UnixMilli(), v.Status, v.LengthMS, v.PageViewCount,
			v.UserID, v.UserIdentifier, v.UserAnonymous, v.UserName, v.UserEmail, v.Browser, v.BrowserVersion, v.OS, v.OSVersion, v.Platform, v.Country, v.IPAddress,
			v.Rating, len(v.Errors), v.WebURL, detailed, slow, db.SlowClass(slow))
		if err != nil {
			return err
		}
		for i, p := range v.Views {
			path, _, _ := strings.Cut(p.URL, "?")
			page, err := s.once(path, func() (int64, error) {
				return add(`INSERT INTO pages (org_id, connection_id, path) VALUES (1, 1, ?)`, path)
			})
			if err != nil {
				return err
			}
			if _, err := add(`INSERT INTO page_views (session_id, position, org_id, url, load_ms, view_ms, viewed_at, page_id) VALUES (?, ?, 1, ?, ?, ?, ?, ?)`,
				id, i, p.URL, p.LoadMS, p.ViewMS, p.ViewedAt.UnixMilli(), page); err != nil {
				return err
			}
		}
		for i, e := range v.Errors {
			group, err := s.once(e.GroupID, func() (int64, error) {
				return add(`INSERT INTO error_groups (org_id, connection_id, key, vendor_id, name) VALUES (1, 1, ?, ?, ?)`, e.GroupID, e.GroupID, e.Title)
			})
			if err != nil {
				return err
			}
			if _, err := add(`INSERT INTO session_errors (session_id, position, org_id, group_id, instance_id, title, web_url, error_group_id) VALUES (?, ?, 1, ?, ?, ?, ?, ?)`,
				id, i, e.GroupID, e.InstanceID, e.Title, e.WebURL, group); err != nil {
				return err
			}
		}
	}
	return nil
}

// customer inserts a session's customer with their identities, once.
func (s *bareStore) customer(v madeSession, add func(string, ...any) (int64, error)) (any, error) {
	if v.UserEmail == "" {
		return nil, nil
	}
	if id, ok := s.made[v.UserEmail]; ok {
		return id, nil
	}
	at := v.StartedAt.UnixMilli()
	id, err := add(`INSERT INTO customers (org_id, name, email, first_seen, last_seen, created_at) VALUES (1, ?, ?, ?, ?, ?)`, v.UserName, v.UserEmail, at, at, at)
	if err != nil {
		return nil, err
	}
	for kind, value := range map[string]string{"email": v.UserEmail, "name": v.UserName, "raygun_identifier": v.UserIdentifier, "raygun_user": v.UserID} {
		conn := 1
		if kind == "email" || kind == "name" {
			conn = 0
		}
		if _, err := add(`INSERT INTO identities (org_id, customer_id, kind, connection_id, value, value_norm, first_seen, last_seen) VALUES (1, ?, ?, ?, ?, ?, ?, ?)`,
			id, kind, conn, value, db.Normalize(value), at, at); err != nil {
			return nil, err
		}
	}
	s.made[v.UserEmail] = id
	return id, nil
}
