package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"sightline/internal/db"
	"sightline/internal/services"
	"sightline/internal/services/sandbox"
	"sightline/internal/services/secrets"
)

// busyFor is how long pages and writes are measured, each alone and while jobs
// fetch and store sessions.
const busyFor = 6 * time.Second

// busy measures pages and writes of members while the queue is hot: members
// ask the stand-in for Raygun for page after page of 500 sessions, each a job
// that calls it and stores what it sends. It works on a copy.
func (b *bench) busy(ctx context.Context, made string) (err error) {
	heading("While jobs fetch and store pages of 500 sessions")
	dir := filepath.Join(b.tmp, "busy")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, f := range []string{"sightline.db", "master.key"} {
		if err := copyFile(filepath.Join(made, f), filepath.Join(dir, f)); err != nil {
			return err
		}
	}
	box, err := sandbox.Start(ctx, sandbox.Options{Customers: 2000, Sessions: 60_000, RaygunDailyLimit: -1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	conn, err := connect(ctx, dir, box)
	if err != nil {
		return err
	}
	ours, err := startServer(ctx, b.binary, []string{"serve"}, "SIGHTLINE_DATA_DIR="+dir, "SIGHTLINE_RAYGUN_URL="+box.RaygunURL())
	if err != nil {
		return err
	}
	defer ours.stop()
	if err := ours.signIn(); err != nil {
		return err
	}
	pages, err := b.find(ours)
	if err != nil {
		return err
	}
	alone, err := b.visit(ours, pages)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() { errs[i] = askOn(ours, conn, i, stop) })
	}
	began := time.Now()
	hot, err := b.visit(ours, pages)
	took := time.Since(began)
	close(stop)
	wg.Wait()
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	calls := box.CountCalls(sandbox.OpSessions)
	b.line("sessions stored meanwhile", fmt.Sprintf("%d calls answered, %.0f sessions/s", calls, float64(calls*500)/took.Seconds()), "", true)
	by := float64(hot.page99) / float64(alone.page99)
	b.line("pages, p99 against without", fmt.Sprintf("%.1f× (%s, %s)", by, hot.page99.Round(100*time.Microsecond), alone.page99.Round(100*time.Microsecond)), "≤ 2×, no error", by <= 2)
	by = float64(hot.write99) / float64(alone.write99)
	b.line("writes of members, p99 against without", fmt.Sprintf("%.1f× (%s, %s)", by, hot.write99.Round(100*time.Microsecond), alone.write99.Round(100*time.Microsecond)), "≤ 5×, no error", by <= 5)
	return nil
}

// connect adds a connection to the stand-in, whose calls nobody counts.
func connect(ctx context.Context, dir string, box *sandbox.Sandbox) (id services.ConnectionID, err error) {
	d, err := db.Open(ctx, filepath.Join(dir, "sightline.db"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	master, err := os.ReadFile(filepath.Join(dir, "master.key"))
	if err != nil {
		return 0, err
	}
	keys, err := services.OpenBox(ctx, d, secrets.New(strings.TrimSpace(string(master))), time.Now())
	if err != nil {
		return 0, err
	}
	svc, err := services.Open(ctx, services.Options{DB: d, Box: keys, Vendors: services.Vendors{RaygunURL: box.RaygunURL()}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	org, err := svc.People.Organization(ctx, benchOrg)
	if err != nil {
		return 0, err
	}
	actor, cr := services.CommandLine(org.ID), box.Credentials()
	c, faults, err := svc.Connections.Add(ctx, actor, services.ConnectionForm{
		Vendor: services.Raygun, Name: "Stand-in", APIKey: services.NewSecret(cr.RaygunAPIKey),
		ClientID: services.NewSecret(cr.RaygunClientID), ClientSecret: services.NewSecret(cr.RaygunClientSecret),
	})
	if err != nil || len(faults) > 0 {
		return 0, fmt.Errorf("add a connection: %v, %w", faults, err)
	}
	_, err = svc.Connections.SetBudget(ctx, actor, c.ID, 0, 0)
	return c.ID, err
}

// askOn asks Raygun for the next page of one search after the other, until stop.
func askOn(r *running, conn services.ConnectionID, worker int, stop <-chan struct{}) error {
	to := time.Now().UTC()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		days := 5 + 10*worker + n/20 // a search ends; then comes another one
		form := url.Values{
			"connection": {fmt.Sprint(conn)}, "from": {to.AddDate(0, 0, -days).Format(time.DateOnly)}, "to": {to.Format(time.DateOnly)},
			"next": {strconv.Itoa(min(n%20, 1))},
		}
		a, err := r.send("POST", "/o/"+benchOrg+"/sessions/ask", form)
		if err != nil {
			return err
		}
		if a.status != http.StatusSeeOther {
			return fmt.Errorf("ask for sessions: status %d", a.status)
		}
	}
}

// visits are how long pages and writes took.
type visits struct{ page99, write99 time.Duration }

// visit asks for pages and pins customers for a while.
func (b *bench) visit(r *running, pages []page) (visits, error) {
	var read, written []time.Duration
	var person string
	for _, p := range pages {
		if p.name == "customer page" {
			person = p.path(0)
		}
	}
	for began, n := time.Now(), 0; time.Since(began) < busyFor; n++ {
		p := pages[n%len(pages)]
		if strings.HasPrefix(p.name, "explorer") || strings.HasPrefix(p.name, "insight, 90") {
			continue
		}
		at := time.Now()
		if _, err := r.get(anew(p.path(n), int(b.asked.Add(1))), p.want); err != nil {
			return visits{}, err
		}
		read = append(read, time.Since(at))
		at = time.Now()
		a, err := r.send("POST", person+"/pin", url.Values{"pinned": {fmt.Sprint(n % 2)}})
		if err != nil || a.status != http.StatusSeeOther {
			return visits{}, fmt.Errorf("pin a customer: status %d, %w", a.status, err)
		}
		written = append(written, time.Since(at))
	}
	return visits{page99: quantile(read, 0.99), write99: quantile(written, 0.99)}, nil
}
