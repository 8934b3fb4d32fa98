package db

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkIngest measures storing pages of 500 new sessions, with all that is
// kept in step with them, against bare inserts of the same sessions, page
// views, errors, customers and identities into the same tables with the same
// indexes: one transaction, prepared statements. "ratio" is the first by the
// second.
//
//	go test ./internal/db -run '^$' -bench Ingest -benchtime 20x
func BenchmarkIngest(b *testing.B) {
	for _, kind := range []string{"list", "full"} {
		b.Run(kind, func(b *testing.B) {
			ours, bare := benchDB(b), benchDB(b)
			r := rand.New(rand.NewPCG(5, 5))
			var mine, theirs time.Duration
			n := 0
			for b.Loop() {
				page := benchPage(r, n, kind == "full")
				n++
				began := time.Now()
				bareInserts(b, bare, page)
				theirs += time.Since(began)
				began = time.Now()
				var err error
				if kind == "full" {
					_, err = ours.Org(1).PutFullSessions(b.Context(), 1, page, benchNow())
				} else {
					rows := make([]Session, len(page))
					for i, s := range page {
						rows[i] = s.Session
					}
					_, err = ours.Org(1).PutSessions(b.Context(), 1, rows, benchNow(), nil)
				}
				if err != nil {
					b.Fatal(err)
				}
				mine += time.Since(began)
			}
			b.ReportMetric(float64(mine)/float64(theirs), "ratio")
			b.ReportMetric(float64(n*500)/mine.Seconds(), "sessions/s")
		})
	}
}

func benchNow() time.Time { return time.UnixMilli(1_800_000_000_000) }

func benchDB(b *testing.B) *DB {
	d, err := Open(b.Context(), filepath.Join(b.TempDir(), "sightline.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	if _, err := d.w.Exec(`
		INSERT INTO organizations (id, slug, name, created_at) VALUES (1, 'a', 'A', 1);
		INSERT INTO connections (id, org_id, vendor, name, created_at) VALUES (1, 1, 'raygun', 'Web', 1);
		INSERT INTO pages (id, org_id, connection_id, path) VALUES (1, 1, 1, 'https://shop.example.com/');
		INSERT INTO error_groups (id, org_id, connection_id, key, name) VALUES (1, 1, 1, 'id:1', 'Boom')`); err != nil {
		b.Fatal(err)
	}
	return d
}

// benchPage is the nth page of sessions: a few hours of one day, 60 % of them
// by people of whom a few come twice, 5 page views each on 80 pages.
func benchPage(r *rand.Rand, n int, full bool) []FullSession {
	out := make([]FullSession, 500)
	for i := range out {
		s := &out[i]
		s.VendorID = fmt.Sprint(1_000_000_000 + n*500 + i)
		s.StartedAt = time.UnixMilli(1_700_000_000_000).Add(time.Duration(n*500+i) * 20 * time.Second)
		s.UpdatedAt, s.EndedAt = s.StartedAt.Add(5*time.Minute), s.StartedAt.Add(5*time.Minute)
		s.Status, s.IPAddress, s.Platform = "ended", "203.0.113.9", "Desktop"
		s.Browser, s.BrowserVersion = pick(r, "Chrome", "Chrome", "Safari", "Firefox", "Edge"), "120.0.1"
		s.OS, s.OSVersion = pick(r, "Windows", "macOS", "iOS", "Android"), "17"
		s.Country = pick(r, "NZ", "US", "GB", "DE", "FR", "JP", "AU", "BR", "IN", "CA", "SE", "NL")
		who := r.IntN(10_000)
		s.UserID = fmt.Sprint(77_000_000 + who)
		s.WebURL = "https://app.raygun.com/sessions/" + s.VendorID
		if s.UserAnonymous = r.IntN(10) < 4; !s.UserAnonymous {
			s.UserEmail = fmt.Sprintf("person%d@example.com", who)
			s.UserIdentifier, s.UserName = s.UserEmail, fmt.Sprint("Person ", who)
		}
		if !full {
			continue
		}
		s.Rating = pick(r, "Excellent", "Good", "Average", "Poor")
		for v := range 5 {
			ms, view := 200+r.Int64N(4000), r.Int64N(90_000)
			s.Views = append(s.Views, PageView{URL: fmt.Sprintf("https://shop.example.com/area/%c%c?visit=%d", 'a'+r.IntN(16), 'a'+r.IntN(5), i), LoadMS: &ms, ViewMS: &view, ViewedAt: s.StartedAt.Add(time.Duration(v) * time.Minute)})
		}
		if r.IntN(5) == 0 {
			s.Errors = append(s.Errors, SessionError{GroupID: fmt.Sprint(r.IntN(30)), InstanceID: fmt.Sprint(i), Title: "Cannot read properties of undefined"})
		}
	}
	return out
}

func bareInserts(b *testing.B, d *DB, page []FullSession) {
	err := d.write(b.Context(), func(tx *sql.Tx) error {
		q := tx
		for _, s := range page {
			customer := any(nil)
			if s.UserEmail != "" {
				n, err := one(b.Context(), q, "", scanInt, `SELECT customer_id FROM identities WHERE org_id = 1 AND value_norm = ? AND kind = 'email' AND connection_id = 0`, s.UserEmail)
				if err != nil {
					if n, err = one(b.Context(), q, "", scanInt, `INSERT INTO customers (org_id, name, email, first_seen, last_seen, created_at) VALUES (1, ?, ?, 1, 1, 1) RETURNING id`, s.UserName, s.UserEmail); err != nil {
						return err
					}
					for kind, v := range map[string]string{"email": s.UserEmail, "name": s.UserName, "raygun_identifier": s.UserIdentifier, "raygun_user": s.UserID} {
						conn := 1
						if kind == "email" || kind == "name" {
							conn = 0
						}
						if _, err := exec(b.Context(), q, "", `INSERT INTO identities (org_id, customer_id, kind, connection_id, value, value_norm, first_seen, last_seen) VALUES (1, ?, ?, ?, ?, lower(?), 1, 1)`, n, kind, conn, v, v); err != nil {
							return err
						}
					}
				}
				customer = n
			}
			var slowest *int64
			for _, v := range s.Views {
				slowest = slower(slowest, v.LoadMS)
			}
			detailed := any(nil)
			if len(s.Views) > 0 {
				detailed = ms(benchNow())
			}
			id, err := one(b.Context(), q, "", scanInt, `INSERT INTO sessions (org_id, connection_id, vendor_id, customer_id, started_at, updated_at, ended_at,
				status, user_id, user_identifier, user_anonymous, user_name, user_email, browser, browser_version, os, os_version, platform, country, ip_address,
				rating, error_count, web_url, listed_at, detailed_at, slowest_ms, slow_class, counted)
				VALUES (1, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1) RETURNING id`,
				s.VendorID, customer, ms(s.StartedAt), ms(s.UpdatedAt), ms(s.EndedAt), s.Status, s.UserID, s.UserIdentifier, s.UserAnonymous, s.UserName, s.UserEmail,
				s.Browser, s.BrowserVersion, s.OS, s.OSVersion, s.Platform, s.Country, s.IPAddress, s.Rating, len(s.Errors), s.WebURL, ms(benchNow()), detailed, slowest, slowClass(slowest))
			if err != nil {
				return err
			}
			for i, v := range s.Views {
				if _, err := exec(b.Context(), q, "", `INSERT INTO page_views (session_id, position, org_id, url, load_ms, view_ms, viewed_at, page_id) VALUES (?, ?, 1, ?, ?, ?, ?, 1)`,
					id, i, v.URL, v.LoadMS, v.ViewMS, ms(v.ViewedAt)); err != nil {
					return err
				}
			}
			for i, e := range s.Errors {
				if _, err := exec(b.Context(), q, "", `INSERT INTO session_errors (session_id, position, org_id, group_id, instance_id, title, error_group_id) VALUES (?, ?, 1, ?, ?, ?, 1)`,
					id, i, e.GroupID, e.InstanceID, e.Title); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
