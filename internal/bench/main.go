// Command bench measures Sightline against a bare net/http server on the same
// machine in the same run and prints the ratios: absolute figures are the
// machine's, ratios are ours. Run it with make bench.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"sightline/internal/db"
	"sightline/internal/services"
	"sightline/internal/services/sandbox"
	"sightline/internal/services/secrets"
)

const (
	benchEmail    = "bench@example.com"
	benchPassword = "measured and not guessed"
	benchOrg      = "acme"
)

func main() {
	sessions := flag.Int("sessions", 50_000, "Raygun sessions in the mirror, at most 500000")
	requests := flag.Int("requests", 1000, "requests of each measurement")
	bare := flag.Bool("bare", false, "be the bare server that is measured against")
	flag.Parse()
	if *bare {
		serveBare()
		return
	}
	if err := measure(context.Background(), *sessions, *requests); err != nil {
		log.Fatalf("bench: %v", err)
	}
}

// serveBare answers everything with a small text, as cheaply as net/http can.
func serveBare() {
	srv := &http.Server{Addr: os.Getenv("SIGHTLINE_LISTEN"), ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ready\n")
	})}
	log.Fatal(srv.ListenAndServe())
}

func measure(ctx context.Context, sessions, requests int) (err error) {
	dir, err := os.MkdirTemp("", "sightline-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary, self := filepath.Join(dir, "sightline"), filepath.Join(dir, "bench")
	for out, pkg := range map[string]string{binary: "sightline/cmd/web", self: "sightline/internal/bench"} {
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", pkg, err, text)
		}
	}
	box, err := sandbox.Start(ctx, sandbox.Options{Sessions: sessions, RaygunDailyLimit: -1})
	if err != nil {
		return err
	}
	defer func() { _ = box.Close() }()
	fmt.Printf("Filling a mirror with %d sessions through the Raygun client…\n", sessions)
	data := filepath.Join(dir, "data")
	began := time.Now()
	if err := fill(ctx, data, box); err != nil {
		return fmt.Errorf("fill the mirror: %w", err)
	}
	info, err := os.Stat(filepath.Join(data, "sightline.db"))
	if err != nil {
		return err
	}
	fmt.Printf("%-44s %8.1f s, %d bytes a session\n\n", "filled in", time.Since(began).Seconds(), info.Size()/int64(sessions))

	ours, err := startServer(ctx, binary, []string{"serve"}, "SIGHTLINE_DATA_DIR="+data)
	if err != nil {
		return err
	}
	defer ours.stop()
	plain, err := startServer(ctx, self, []string{"-bare"})
	if err != nil {
		return err
	}
	defer plain.stop()
	return report(ctx, binary, ours, plain, requests)
}

// fill makes the organization, a member and a Raygun connection, and reads all
// that the stand-in has into the mirror.
func fill(ctx context.Context, dir string, box *sandbox.Sandbox) error {
	d, err := db.Open(ctx, filepath.Join(dir, "sightline.db"))
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	master := secrets.NewMasterKey()
	if err := os.WriteFile(filepath.Join(dir, "master.key"), []byte(master.Reveal()), 0o600); err != nil {
		return err
	}
	keys, err := services.OpenBox(ctx, d, master, time.Now())
	if err != nil {
		return err
	}
	svc, err := services.Open(ctx, services.Options{
		DB: d, Box: keys, Vendors: services.Vendors{RaygunURL: box.RaygunURL()}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	org, err := svc.People.AddOrganization(ctx, benchOrg, "Acme")
	if err != nil {
		return err
	}
	if _, err := svc.People.AddMember(ctx, org.ID, services.NewOwner{Email: benchEmail, Password: benchPassword}, services.Owner); err != nil {
		return err
	}
	actor, cr := services.CommandLine(org.ID), box.Credentials()
	conn, faults, err := svc.Connections.Add(ctx, actor, services.ConnectionForm{
		Vendor: services.Raygun, Name: "Shop", APIKey: services.NewSecret(cr.RaygunAPIKey),
		ClientID: services.NewSecret(cr.RaygunClientID), ClientSecret: services.NewSecret(cr.RaygunClientSecret),
	})
	if err != nil || len(faults) > 0 {
		return fmt.Errorf("add a connection: %v, %w", faults, err)
	}
	if _, err := svc.Connections.SetBudget(ctx, actor, conn.ID, 0, 0); err != nil {
		return err
	}
	if err := svc.Start(ctx); err != nil {
		return err
	}
	defer func() { _ = svc.Stop(ctx) }()
	to := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	q, faults := services.SessionQuery{Connection: conn.ID, From: to.AddDate(0, 0, -90), To: to}.Check()
	if len(faults) > 0 {
		return fmt.Errorf("search: %v", faults)
	}
	for {
		state, err := svc.Sessions.State(ctx, org.ID, q)
		if err != nil || state.Complete {
			return err
		}
		ask, err := svc.Sessions.Ask(ctx, actor, q, 0, state.Asked)
		for err == nil && ask.State.Open() {
			ask, err = svc.Asks.Wait(ctx, org.ID, ask.ID, 10*time.Second)
		}
		if err != nil || ask.State != services.AskDone {
			return fmt.Errorf("read the stand-in: %s %w", ask.Message, err)
		}
	}
}
