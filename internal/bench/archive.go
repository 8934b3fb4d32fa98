package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sightline/internal/db"
	"sightline/internal/services"
)

// kept is how much of LogRocket an organization has kept. A hundred highlights
// and one in a hundred changes are about the customer with some 60 sessions.
type kept struct {
	highlights, changes int
}

// archiveUsers is how many customers LogRocket knows.
const archiveUsers = 400

// archive measures the pages about highlights and traits with much kept against
// the same pages with a tenth of it, by turns.
func (b *bench) archive(ctx context.Context, made string) error {
	sizes := []kept{{1000, 100_000}, {10_000, 1_000_000}}
	heading("Growth of p50 from %d highlights and %d trait changes to %d and %d, asked by turns, each time after a write", sizes[0].highlights, sizes[0].changes, sizes[1].highlights, sizes[1].changes)
	var servers [2]*running
	var pages [2][]page
	for i, k := range sizes {
		dir := filepath.Join(b.tmp, fmt.Sprintf("archive-%d", k.highlights))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		for _, name := range []string{"sightline.db", "master.key"} {
			if err := copyFile(filepath.Join(made, name), filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		of, err := k.fill(ctx, dir)
		if err != nil {
			return fmt.Errorf("keep %d highlights: %w", k.highlights, err)
		}
		if servers[i], err = startServer(ctx, b.binary, []string{"serve"}, "SIGHTLINE_DATA_DIR="+dir); err != nil {
			return err
		}
		defer servers[i].stop()
		if err := servers[i].signIn(); err != nil {
			return err
		}
		pages[i] = of
	}
	return b.grown(servers, pages, func(page) bool { return true })
}

// fill adds a LogRocket connection and what came of it to a made database, and
// returns the pages about it.
func (k kept) fill(ctx context.Context, dir string) (_ []page, err error) {
	key, err := os.ReadFile(filepath.Join(dir, "master.key"))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "sightline.db")
	org, conn, err := addRocket(ctx, path, services.NewSecret(string(key)))
	if err != nil {
		return nil, err
	}
	raw, err := sql.Open("sqlite", "file:"+path+"?_pragma=cache_size(-65536)&_pragma=synchronous(OFF)")
	if err != nil {
		return nil, err
	}
	defer closing(raw, &err)
	raw.SetMaxOpenConns(1)
	tx, err := raw.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	f := &filling{ctx: ctx, tx: tx, org: int64(org), conn: int64(conn), r: rand.New(rand.NewPCG(1, 1)), at: lastDay().UnixMilli()}
	f.users()
	f.highlights(k.highlights)
	f.edits(k.changes)
	if f.err != nil {
		return nil, errors.Join(f.err, tx.Rollback())
	}
	return f.pages(), tx.Commit()
}

func addRocket(ctx context.Context, path string, master services.Secret) (_ services.OrgID, _ services.ConnectionID, err error) {
	d, err := db.Open(ctx, path)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	box, err := services.OpenBox(ctx, d, master, time.Now())
	if err != nil {
		return 0, 0, err
	}
	svc, err := services.Open(ctx, services.Options{DB: d, Box: box, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, 0, err
	}
	org, err := d.OrgBySlugUnscoped(ctx, benchOrg)
	if err != nil {
		return 0, 0, err
	}
	c, faults, err := svc.Connections.Add(ctx, services.CommandLine(org.ID), services.ConnectionForm{
		Vendor: services.LogRocket, Name: "Web app", Key: services.NewSecret("acme:web:bench-key"),
	})
	if err != nil || len(faults) > 0 {
		return 0, 0, fmt.Errorf("add a LogRocket connection: %v, %w", faults, err)
	}
	return org.ID, c.ID, nil
}

// filling writes rows and keeps the first error.
type filling struct {
	ctx       context.Context
	tx        *sql.Tx
	org, conn int64
	r         *rand.Rand
	at        int64 // when the newest happened
	err       error

	customers, emails []string // of the users, the one with 60 sessions first
	ready             int64    // a highlight of the first
}

func (f *filling) exec(query string, args ...any) (id int64) {
	if f.err != nil {
		return 0
	}
	res, err := f.tx.ExecContext(f.ctx, query, args...)
	if err == nil {
		id, err = res.LastInsertId()
	}
	if err != nil {
		f.err = fmt.Errorf("%.40s…: %w", strings.TrimSpace(query), err)
	}
	return id
}

// users makes LogRocket users of the organization's first customers.
func (f *filling) users() {
	rows, err := f.tx.QueryContext(f.ctx, `SELECT id, email FROM customers WHERE org_id = ? AND email <> '' ORDER BY email = ? DESC, id LIMIT ?`, f.org, fiftyEmail, archiveUsers)
	if err != nil {
		f.err = err
		return
	}
	defer func() { f.err = errors.Join(f.err, rows.Close()) }()
	for rows.Next() {
		var id, email string
		if f.err = rows.Scan(&id, &email); f.err != nil {
			return
		}
		f.customers, f.emails = append(f.customers, id), append(f.emails, email)
	}
	if f.err = rows.Err(); f.err == nil && len(f.customers) < archiveUsers {
		f.err = fmt.Errorf("only %d customers", len(f.customers))
	}
	for i, c := range f.customers {
		f.exec(`INSERT INTO logrocket_users (id, org_id, connection_id, customer_id, user_id, email, answered_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			i+1, f.org, f.conn, c, fmt.Sprintf("user-%d", i), f.emails[i], f.at)
		for _, key := range traitKeys() {
			f.exec(`INSERT INTO traits (logrocket_user_id, key, org_id, value, answered_at) VALUES (?, ?, ?, 'gold', ?)`, i+1, key, f.org, f.at)
		}
	}
	for _, key := range traitKeys() {
		f.exec(`INSERT INTO trait_keys (connection_id, key, org_id, seen_at) VALUES (?, ?, ?, ?)`, f.conn, key, f.org, f.at)
	}
}

func traitKeys() []string { return []string{"plan", "seats", "region", "owner"} }

// whose is the customer of a thing: every so many are of the first.
func (f *filling) whose(n, every int) int {
	if n%every == 0 {
		return 0
	}
	return 1 + f.r.IntN(archiveUsers-1)
}

// highlights keeps n highlights, each of ten sessions. A hundred failed. One
// word is in all of the others, one in ten of them.
func (f *filling) highlights(n int) {
	for i := range n {
		u, at := f.whose(i, n/100), f.at-int64(n-i)*60_000
		words := f.text(60) + " checkout"
		if i%(n/10) == 0 {
			words += " chargeback"
		}
		state := "ready"
		if i%(n/100) == 1 {
			state = "failed"
		}
		token := fmt.Sprintf("highlight-%d", i)
		id := f.exec(`INSERT INTO highlights (org_id, connection_id, customer_id, subject_kind, subject, subject_norm, question, form_token, state, vendor_status, request_id,
			created_at, sent_at, finished_at) VALUES (?, ?, ?, 'email', ?, ?, 'What went wrong?', ?, ?, ?, ?, ?, ?, ?)`,
			f.org, f.conn, f.customers[u], f.emails[u], f.emails[u], token, state, strings.ToUpper(state), token, at, at+1000, at+30_000)
		if state != "ready" {
			continue
		}
		if u == 0 {
			f.ready = id
		}
		for s := range 10 {
			f.exec(`INSERT INTO highlight_sessions (highlight_id, position, org_id, recording_id, session_id, markdown) VALUES (?, ?, ?, ?, ?, ?)`,
				id, s, f.org, fmt.Sprintf("5-%08x-%04x", id, s), "0", f.text(40))
		}
		f.exec(`UPDATE highlights SET result_markdown = ? WHERE id = ?`, words, id)
		f.history(u, at, "highlight.request", "Asked LogRocket (“Web app”) for highlights of "+f.emails[u]+".")
	}
}

// edits keeps n changes in edits of four fields each.
func (f *filling) edits(n int) {
	n /= len(traitKeys())
	for i := range n {
		u, at := f.whose(i, 100), f.at-int64(n-i)*1000
		traits := map[string]string{}
		for _, key := range traitKeys() {
			traits[key] = f.word()
		}
		request, err := json.Marshal(map[string]any{"traits": traits})
		if err != nil {
			f.err = err
			return
		}
		id := f.exec(`INSERT INTO trait_edits (org_id, connection_id, logrocket_user_id, customer_id, reason, form_token, state, request, created_at, sent_at, finished_at)
			VALUES (?, ?, ?, ?, 'as the contract says', ?, 'sent', ?, ?, ?, ?)`, f.org, f.conn, u+1, f.customers[u], fmt.Sprintf("edit-%d", i), string(request), at, at, at+200)
		for _, key := range traitKeys() {
			f.exec(`INSERT INTO trait_changes (edit_id, field, key, org_id, before, after, logrocket_user_id) VALUES (?, 'trait', ?, ?, ?, ?, ?)`,
				id, key, f.org, f.word(), traits[key], u+1)
		}
		f.history(u, at, "traits.edit", "Edited the traits of "+f.emails[u]+".")
	}
}

func (f *filling) history(u int, at int64, action, summary string) {
	kind, _, _ := strings.Cut(action, ".")
	f.exec(`INSERT INTO history (org_id, at, actor, kind, action, subject, customer_id, connection_id, summary) VALUES (?, ?, 'Bench', ?, ?, ?, ?, ?, ?)`,
		f.org, at, kind, action, f.emails[u], f.customers[u], f.conn, summary)
}

func (f *filling) word() string { return fmt.Sprintf("word%04d", f.r.IntN(3000)) }

func (f *filling) text(words int) string {
	out := make([]string, words)
	for i := range out {
		out[i] = f.word()
	}
	return strings.Join(out, " ")
}

// pages are the pages that show what was kept.
func (f *filling) pages() []page {
	org, first := "/o/"+benchOrg, "/o/"+benchOrg+"/customers/"+f.customers[0]
	same := func(name, path string) page {
		return page{name: name, path: func(int) string { return path }, want: http.StatusOK}
	}
	middle := fmt.Sprintf("%d.%d", f.at-50*60_000, 1<<39)
	return []page{
		same("highlights", org+"/highlights"),
		same("highlights, older", org+"/highlights?before="+middle),
		same("highlights that failed", org+"/highlights?state=failed"),
		same("highlights with a word that all have", org+"/highlights?q=checkout"),
		same("highlights with a word that ten have", org+"/highlights?q=chargeback"),
		same("highlights with two words", org+"/highlights?q="+url.QueryEscape("checkout word0017")),
		same("highlights with no such word", org+"/highlights?q=nowhere"),
		same("one highlight of ten sessions", fmt.Sprintf("%s/highlights/%d", org, f.ready)),
		same("customer page", first),
		same("traits of one in a hundred", first+"/traits"),
		same("history of one trait", first+"/traits/history?"+url.Values{"connection": {fmt.Sprint(f.conn)}, "user": {"user-0"}, "field": {"trait"}, "key": {"plan"}}.Encode()),
		same("history of the organization", org+"/history"),
		same("lookup by prefix", org+"/lookup?q="+f.emails[1][:5]),
	}
}
