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
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	benchEmail    = "bench@example.com"
	benchPassword = "measured and not guessed"
	benchOrg      = "acme"
)

func main() {
	sessions := flag.Int("sessions", 50_000, "Raygun sessions in the mirror, at most 500000")
	requests := flag.Int("requests", 1000, "requests of each measurement")
	only := flag.Bool("make", false, "make the database and measure nothing")
	bare := flag.Bool("bare", false, "be the bare server that is measured against")
	flag.Parse()
	if *bare {
		serveBare()
		return
	}
	if *only {
		dir, took, err := made(context.Background(), "build/bench", *sessions)
		fmt.Println(dir, took, err)
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
	data, took, err := made(ctx, "build/bench", sessions)
	if err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(data, "sightline.db"))
	if err != nil {
		return err
	}
	fmt.Printf("%-44s %8.1f s, %d bytes a session\n\n", "filled in", took.Seconds(), info.Size()/int64(sessions))

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
