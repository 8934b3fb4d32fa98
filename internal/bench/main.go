// Command bench measures Sightline against a bare net/http server on the same
// machine in the same run and prints the ratios: absolute figures are the
// machine's, ratios are ours. Run it with make bench.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// The member of the first organization who asks for the pages.
const (
	benchEmail    = "bench@example.com"
	benchPassword = "measured and not guessed"
	benchOrg      = "acme"
)

// madeRoot is where made databases are kept.
const madeRoot = "build/bench"

func main() {
	sizes := flag.String("sizes", "100000,1000000", "how many Raygun sessions the databases hold, the first a small one")
	requests := flag.Int("requests", 300, "requests of each measurement of one page")
	only := flag.Bool("make", false, "make the databases and measure nothing")
	pages := flag.String("pages", "", "measure only the pages whose name holds this, and nothing else")
	part := flag.String("part", "", "measure only the program, pages, growth, archive, store, ingest, busy or export")
	exports := flag.String("exports", "10,1000", "the sizes of the export files, in MB unpacked, whose reading's memory is measured")
	bare := flag.Bool("bare", false, "be the bare server that is measured against")
	flag.Parse()
	if *bare {
		serveBare()
		return
	}
	var counts []int
	for s := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < blockSize {
			log.Fatalf("bench: %q is no number of sessions from %d on", s, blockSize)
		}
		counts = append(counts, n)
	}
	slices.Sort(counts)
	b := &bench{sizes: counts, requests: *requests, only: *pages, part: *part}
	for s := range strings.SplitSeq(*exports, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			log.Fatalf("bench: %q is no number of megabytes", s)
		}
		b.exportSizes = append(b.exportSizes, n)
	}
	if err := b.run(context.Background(), *only); err != nil {
		log.Fatalf("bench: %v", err)
	}
}

// bench is one run.
type bench struct {
	sizes    []int
	requests int
	only     string // pages whose name holds it
	part     string
	// exportSizes are in MB, the first the one that the others are compared with.
	exportSizes []int

	tmp          string
	binary, self string // what is measured, and this program
	plain        *running
	misses       int
	asked        atomic.Int64 // numbers pages that are asked for anew
}

func (b *bench) run(ctx context.Context, makeOnly bool) (err error) {
	if b.part == "export" && !makeOnly { // which needs no made database
		if b.tmp, err = os.MkdirTemp("", "sightline-bench-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(b.tmp)) }()
		return b.exports(ctx)
	}
	dirs := make([]string, len(b.sizes))
	for i, n := range b.sizes {
		dir, took, err := made(ctx, madeRoot, n)
		if err != nil {
			return err
		}
		if dirs[i] = dir; took > 0 {
			fmt.Printf("made %d sessions in %.0f s\n", n, took.Seconds())
		}
	}
	if makeOnly {
		return nil
	}
	if b.tmp, err = os.MkdirTemp("", "sightline-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.tmp)) }()
	if err := b.build(ctx); err != nil {
		return err
	}
	if b.plain, err = startServer(ctx, b.self, []string{"-bare"}); err != nil {
		return err
	}
	defer b.plain.stop()
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("Everything is measured against a bare net/http answer of the same minute. Load of the machine at the start: %s", load)
	if b.measures("program") {
		if err := b.program(ctx, dirs[0]); err != nil {
			return err
		}
	}
	for i, dir := range dirs {
		if err := b.size(ctx, b.sizes[i], dir); err != nil {
			return fmt.Errorf("%d sessions: %w", b.sizes[i], err)
		}
	}
	if err := b.growth(ctx, dirs); err != nil {
		return fmt.Errorf("growth: %w", err)
	}
	if b.measures("archive") {
		if err := b.archive(ctx, dirs[0]); err != nil {
			return fmt.Errorf("archive: %w", err)
		}
	}
	if b.measures("ingest") {
		if err := b.ingest(ctx); err != nil {
			return fmt.Errorf("ingest: %w", err)
		}
	}
	if b.measures("export") {
		if err := b.exports(ctx); err != nil {
			return fmt.Errorf("export files: %w", err)
		}
	}
	if b.measures("busy") {
		if err := b.busy(ctx, dirs[0]); err != nil {
			return fmt.Errorf("pages during a sync: %w", err)
		}
	}
	fmt.Printf("\n%d of the targets missed\n", b.misses)
	return nil
}

// measures says whether a part of the report is wanted.
func (b *bench) measures(part string) bool { return b.only == "" && (b.part == "" || b.part == part) }

// build builds the program as it is released, and this one.
func (b *bench) build(ctx context.Context) error {
	b.binary, b.self = filepath.Join(b.tmp, "sightline"), filepath.Join(b.tmp, "bench")
	for out, pkg := range map[string]string{b.binary: "sightline/cmd/web", b.self: "sightline/internal/bench"} {
		build := exec.CommandContext(ctx, "go", "build", "-tags=testify_yaml_fail,urfave_cli_no_template", "-trimpath", "-ldflags=-s -w",
			"-gcflags=sightline/internal/services/sandbox=-l", "-o", out, pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", pkg, err, text)
		}
	}
	return nil
}

// heading begins a part of the report.
func heading(format string, args ...any) { fmt.Printf("\n"+format+"\n", args...) }

// line prints one figure; target is empty where there is none.
func (b *bench) line(what, got, target string, ok bool) {
	verdict := ""
	if target != "" {
		verdict = "ok"
		if !ok {
			verdict = "MISS"
			b.misses++
		}
	}
	fmt.Printf("  %-46s %-40s %-28s %s\n", what, got, target, verdict)
}

// program measures the program itself: its size, its start and its memory.
func (b *bench) program(ctx context.Context, dir string) error {
	heading("The program")
	info, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	mb := float64(info.Size()) / 1e6
	b.line("binary, stripped", fmt.Sprintf("%.1f MB", mb), "≤ 30 MB", mb <= 30)
	var ours, plain []float64
	for range 5 { // by turns, and the middle one counts
		o, err := startServer(ctx, b.binary, []string{"serve"}, "SIGHTLINE_DATA_DIR="+dir)
		if err != nil {
			return err
		}
		o.stop()
		p, err := startServer(ctx, b.self, []string{"-bare"})
		if err != nil {
			return err
		}
		p.stop()
		ours, plain = append(ours, o.start.Seconds()*1000), append(plain, p.start.Seconds()*1000)
	}
	start := middle(ours) / middle(plain)
	b.line("start to first answer", fmt.Sprintf("%.1f× (%.0f ms, %.0f ms)", start, middle(ours), middle(plain)), "≤ 3× a bare server's", start <= 3)
	return nil
}

func middle(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
