package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"

	"sightline/web/templates"
)

// serveBare answers / with a small text, as cheaply as net/http can, and /page
// with a lookup of 50 hits in the shell, by chi and templ, without a database.
func serveBare() {
	hits := make([]templates.HitView, 50)
	for i := range hits {
		hits[i] = templates.HitView{Name: fmt.Sprint("Ada Wilson ", i), Email: "ada@example.com", Href: "/o/acme/customers/1", Reason: "Email begins with “ada”", LastSeen: lastDay()}
	}
	r := chi.NewRouter()
	r.Get("/page", func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		s := templates.Shell{Title: "Lookup", Active: "lookup", Now: now, Org: templates.OrgView{Slug: "acme", Name: "Acme"}, Query: "ada"}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		page := templates.Lookup(templates.LookupView{Now: now, Query: "ada", Hits: hits})
		_ = templates.Layout(s).Render(templWith(r.Context(), page), w)
	})
	r.Get("/*", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ready\n") })
	srv := &http.Server{Addr: os.Getenv("SIGHTLINE_LISTEN"), ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/page" {
			r.ServeHTTP(w, req)
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})}
	log.Fatal(srv.ListenAndServe())
}

// running is a server under measurement.
type running struct {
	cmd    *exec.Cmd
	url    string
	start  time.Duration // from the start of the process to its first answer
	client *http.Client
	// pinned is where the member pins a customer, and pins how often they did.
	pinned string
	pins   int
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
		Jar: jar, Timeout: 60 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	r.cmd = exec.CommandContext(ctx, binary, args...)
	r.cmd.Env = append(os.Environ(), append(settings, "SIGHTLINE_LISTEN="+address, "SIGHTLINE_LOG_LEVEL=error")...)
	r.cmd.Stderr = os.Stderr
	began := time.Now()
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	for time.Since(began) < 60*time.Second {
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
	_ = r.cmd.Process.Signal(syscall.SIGTERM) // an interrupt may be ignored, in a background job
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

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request of the signed-in member; headers are name, value, ….
func (r *running) send(method, path string, form url.Values, headers ...string) (answer, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, r.url+path, body)
	if err != nil {
		return answer{}, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: res.StatusCode, header: res.Header}
	if n := res.ContentLength; n >= 0 {
		// In one piece: what this side does is measured as well, and is not ours.
		a.body = make([]byte, n)
		_, err = io.ReadFull(res.Body, a.body)
	} else {
		a.body, err = io.ReadAll(res.Body)
	}
	return a, errors.Join(err, res.Body.Close())
}

// get fetches a page that must have a status.
func (r *running) get(path string, want int, headers ...string) (answer, error) {
	a, err := r.send("GET", path, nil, headers...)
	if err == nil && a.status != want {
		err = fmt.Errorf("%s: status %d, want %d", path, a.status, want)
	}
	return a, err
}

// signIn signs the member in.
func (r *running) signIn() error {
	a, err := r.send("POST", "/login", url.Values{"email": {benchEmail}, "password": {benchPassword}})
	if err == nil && a.status != http.StatusSeeOther {
		err = fmt.Errorf("sign in: status %d", a.status)
	}
	return err
}

// forget has the server forget what it keeps in memory of the store: any write
// does, here that of a pin.
func (r *running) forget() error {
	if r.pinned == "" {
		a, err := r.get("/o/"+benchOrg+"/lookup?q="+url.QueryEscape(fiftyEmail), http.StatusSeeOther)
		if err != nil {
			return err
		}
		r.pinned = a.header.Get("Location") + "/pin"
	}
	r.pins++
	a, err := r.send("POST", r.pinned, url.Values{"pinned": {strconv.Itoa(r.pins % 2)}})
	if err == nil && a.status != http.StatusSeeOther {
		err = fmt.Errorf("pin a customer: status %d", a.status)
	}
	return err
}
