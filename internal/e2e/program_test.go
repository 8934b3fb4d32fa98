package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what should take moments: no test
// passes or fails by how fast the machine is.
const patience = 3 * time.Minute

// binary is the program under test; TestMain builds it.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sightline-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "sightline")
	args := []string{"build", "-o", binary}
	if raceFlags != "" {
		args = append(args, raceFlags)
	}
	build := exec.Command("go", append(args, "sightline/cmd/web")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// output gathers what a program prints while others wait for it.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{} // closed and replaced at every write
}

func newOutput() *output { return &output{more: make(chan struct{})} }

// Write keeps what was printed and wakes who waits.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.buf.Write(b)
}

// String is all that was printed until now.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) next() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String(), o.more
}

// program is a running sightline.
type program struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err *output
	done     chan struct{}
	status   error // of cmd.Wait, once done is closed
}

// environment is ours without settings of Sightline, and with those given.
func environment(settings ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "SIGHTLINE_") })
	return append(env, settings...)
}

// start starts the program and makes sure that it is gone when the test ends.
func start(t *testing.T, settings []string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(binary, args...), out: newOutput(), err: newOutput(), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir = environment(settings...), t.TempDir()
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start the program: %v", err)
	}
	go func() {
		p.status = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended already
		<-p.done
		p.checkLog()
		if t.Failed() {
			t.Logf("%s printed:\n%s\nand logged:\n%s", strings.Join(args, " "), p.out, tail(p.err.String(), 6000))
		}
	})
	return p
}

// checkLog fails the test for what must never happen, whatever it tests.
func (p *program) checkLog() {
	p.t.Helper()
	for _, never := range []string{"DATA RACE", "panic:", "database is locked", "SQLITE_BUSY"} {
		if log := p.err.String(); strings.Contains(log, never) {
			p.t.Errorf("the program logged %q:\n%s", never, tail(log, 6000))
		}
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// waitFor waits until the program has printed or logged what the pattern
// matches, and returns its groups.
func (p *program) waitFor(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		out, moreOut := p.out.next()
		log, moreLog := p.err.next()
		if m := re.FindStringSubmatch(out + "\n" + log); m != nil {
			return m
		}
		select {
		case <-moreOut:
		case <-moreLog:
		case <-p.done:
			if m := re.FindStringSubmatch(p.out.String() + "\n" + p.err.String()); m != nil {
				return m
			}
			p.t.Fatalf("the program ended (%v) before it said %q:\n%s\n%s", p.status, pattern, p.out, tail(p.err.String(), 6000))
		case <-deadline.C:
			p.t.Fatalf("the program never said %q:\n%s\n%s", pattern, p.out, tail(p.err.String(), 6000))
		}
	}
}

// wait waits for the program's end and returns its exit status.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("the program does not end:\n%s", tail(p.err.String(), 6000))
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop asks the program to end and expects it to end well.
func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("signal the program: %v", err)
	}
	if status := p.wait(); status != 0 {
		p.t.Errorf("the program ended with status %d after SIGTERM:\n%s", status, tail(p.err.String(), 6000))
	}
}

// kill ends the program as a power cut would.
func (p *program) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatalf("kill the program: %v", err)
	}
	<-p.done
}

// result is how a command of the command line ended.
type result struct {
	status   int
	out, err string
}

// run runs a command to its end with the given standard input.
func run(t *testing.T, settings []string, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	// The race detector lets every program live a second longer, in case another
	// goroutine is in the middle of something; most of a site's making was that.
	cmd.Env, cmd.Dir = append(environment(settings...), "GORACE=atexit_sleep_ms=50"), t.TempDir()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var ee *exec.ExitError
	if err != nil && !errors.As(err, &ee) {
		t.Fatalf("run %v: %v", args, err)
	}
	return result{status: cmd.ProcessState.ExitCode(), out: out.String(), err: errs.String()}
}

// must runs a command that is expected to succeed and returns what it printed.
func must(t *testing.T, settings []string, stdin string, args ...string) string {
	t.Helper()
	r := run(t, settings, stdin, args...)
	if r.status != 0 {
		t.Fatalf("sightline %s: status %d\n%s%s", strings.Join(args, " "), r.status, r.out, r.err)
	}
	return r.out
}

// readAll reads a body to its end and closes it.
func readAll(t *testing.T, body io.ReadCloser) string {
	t.Helper()
	b, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil {
		t.Fatalf("read an answer: %v", err)
	}
	return string(b)
}
