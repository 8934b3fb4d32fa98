package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// running is a server under measurement.
type running struct {
	cmd    *exec.Cmd
	url    string
	start  time.Duration // from the start of the process to its first answer
	client *http.Client
}

// startServer starts a server on a free port and waits for its first answer.
func startServer(ctx context.Context, binary string, args []string, settings ...string) (*running, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := ln.Addr().String()
	if err := ln.Close(); err != nil {
		return nil, err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	r := &running{url: "http://" + address, client: &http.Client{
		Jar: jar, Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	r.cmd = exec.CommandContext(ctx, binary, args...)
	r.cmd.Env = append(os.Environ(), append(settings, "SIGHTLINE_LISTEN="+address, "SIGHTLINE_LOG_LEVEL=error")...)
	r.cmd.Stderr = os.Stderr
	began := time.Now()
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	for time.Since(began) < 30*time.Second {
		if res, err := r.client.Get(r.url + "/readyz"); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			r.start = time.Since(began)
			return r, nil
		}
		time.Sleep(time.Millisecond)
	}
	r.stop()
	return nil, errors.New("the server does not answer")
}

func (r *running) stop() {
	_ = r.cmd.Process.Signal(os.Interrupt)
	_ = r.cmd.Wait()
}

// memory is the resident memory in MB.
func (r *running) memory() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		return 0, errors.New("no VmRSS")
	}
	kb, err := strconv.ParseFloat(string(m[1]), 64)
	return kb / 1024, err
}

// get fetches a page and returns its size, status and Location.
func (r *running) get(path string) (status int, location string, body []byte, err error) {
	res, err := r.client.Get(r.url + path)
	if err != nil {
		return 0, "", nil, err
	}
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, res.Header.Get("Location"), body, errors.Join(err, res.Body.Close())
}

// speed is how fast a page comes.
type speed struct {
	p50  time.Duration // with one client
	rate float64       // pages a second with 16 clients
}

func (r *running) speed(path string, want, n int) (speed, error) {
	if err := r.fetch(path, want, n/5, nil); err != nil { // warm up
		return speed{}, err
	}
	times := make([]time.Duration, 0, n)
	if err := r.fetch(path, want, n, &times); err != nil {
		return speed{}, err
	}
	slices.Sort(times)
	var wg sync.WaitGroup
	errs := make([]error, 16)
	began := time.Now()
	for i := range errs {
		wg.Go(func() { errs[i] = r.fetch(path, want, n/8, nil) })
	}
	wg.Wait()
	return speed{p50: times[len(times)/2], rate: float64(16*(n/8)) / time.Since(began).Seconds()}, errors.Join(errs...)
}

func (r *running) fetch(path string, want, n int, times *[]time.Duration) error {
	for range n {
		began := time.Now()
		status, _, _, err := r.get(path)
		if err != nil {
			return err
		}
		if status != want {
			return fmt.Errorf("%s: status %d, want %d", path, status, want)
		}
		if times != nil {
			*times = append(*times, time.Since(began))
		}
	}
	return nil
}

// report measures and prints each figure beside its target.
func report(ctx context.Context, binary string, ours, plain *running, n int) error {
	idle, err := ours.memory()
	if err != nil {
		return err
	}
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	line := func(what, got, target string) { fmt.Printf("%-44s %-34s target %s\n", what, got, target) }
	line("binary, stripped", fmt.Sprintf("%.1f MB", float64(info.Size())/1e6), "≤ 30 MB")
	line("idle memory", fmt.Sprintf("%.0f MB", idle), "≤ 60 MB")
	line("start to first answer, against bare", fmt.Sprintf("%.1f× (%s, %s)", ratio(ours.start, plain.start), round(ours.start), round(plain.start)), "≤ 3×")

	status, _, _, err := ours.post(ctx, "/login", url.Values{"email": {benchEmail}, "password": {benchPassword}})
	if err != nil || status != http.StatusSeeOther {
		return fmt.Errorf("sign in: status %d, %w", status, err)
	}
	_, customer, _, err := ours.get("/o/" + benchOrg + "/lookup?q=mel.many@example.com")
	if err != nil || customer == "" {
		return fmt.Errorf("look a customer up: location %q, %w", customer, err)
	}
	base, err := plain.speed("/", http.StatusOK, n)
	if err != nil {
		return err
	}
	for _, page := range []struct {
		name, path, target string
		want               int
	}{
		{"lookup by email", "/o/" + benchOrg + "/lookup?q=mel.many@example.com", "p50 ≤ 4×, rate ≥ 0.10", http.StatusSeeOther},
		{"customer page", customer, "p50 ≤ 4×, rate ≥ 0.10", http.StatusOK},
		{"sessions page", "/o/" + benchOrg + "/sessions", "p50 ≤ 4×, rate ≥ 0.10", http.StatusOK},
	} {
		s, err := ours.speed(page.path, page.want, n)
		if err != nil {
			return fmt.Errorf("%s: %w", page.name, err)
		}
		line(page.name+", against a bare answer", fmt.Sprintf("p50 %.1f× (%s), rate %.3f", ratio(s.p50, base.p50), round(s.p50), s.rate/base.rate), page.target)
	}
	return weigh(ours, customer, line)
}

// weigh measures what a browser must fetch for a customer's page.
func weigh(ours *running, customer string, line func(what, got, target string)) error {
	_, _, html, err := ours.get(customer)
	if err != nil {
		return err
	}
	total, files := 0, 0
	for _, m := range regexp.MustCompile(`(?:href|src)="(/static/[^"]+\.(?:css|js))"`).FindAllSubmatch(html, -1) {
		_, _, body, err := ours.get(string(m[1]))
		if err != nil {
			return err
		}
		n, err := gzipped(body)
		if err != nil {
			return err
		}
		total, files = total+n, files+1
	}
	n, err := gzipped(html)
	if err != nil {
		return err
	}
	line("customer page, HTML", fmt.Sprintf("%.1f KB, %.1f KB gzipped", float64(len(html))/1024, float64(n)/1024), "≤ 15 KB")
	line("CSS and scripts of a page, gzipped", fmt.Sprintf("%.1f KB in %d files", float64(total)/1024, files), "≤ 60 KB")
	return nil
}

func (r *running) post(ctx context.Context, path string, form url.Values) (status int, location string, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := r.client.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, res.Header.Get("Location"), body, errors.Join(err, res.Body.Close())
}

func gzipped(b []byte) (int, error) {
	var n counter
	w, err := gzip.NewWriterLevel(&n, gzip.BestCompression)
	if err != nil {
		return 0, err
	}
	_, err = w.Write(b)
	return int(n), errors.Join(err, w.Close())
}

type counter int

// Write counts.
func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func round(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }
