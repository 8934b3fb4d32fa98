package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"
)

func templWith(ctx context.Context, c templ.Component) context.Context {
	return templ.WithChildren(ctx, c)
}

// fiftyRows is the page that the first target is about.
const fiftyRows = "customer page, 50 rows"

// page is one kind of page: path names the nth of them. No answer is the one
// before, but what was read for it may be in memory still, see forgotten. p50 is
// the most it may cost in bare answers, 0 without a target; grows says that it must
// cost the same at every size.
type page struct {
	name  string
	path  func(n int) string
	want  int
	p50   float64
	rate  float64
	grows bool
}

// Ranges of days in addresses: the made sessions end on 31 October 2026.
const (
	week    = "from=2026-10-25&to=2026-10-31"
	quarter = "from=2026-08-03&to=2026-10-31"
)

// pagesOf are the pages that are measured. ids are those of the customers with
// about 60 sessions and with 1 % of all.
func pagesOf(fifty, heavy string, emails, people []string, deep string) []page {
	org := "/o/" + benchOrg
	same := func(path string) func(int) string { return func(int) string { return path } }
	who := func(n int) string { return emails[n%len(emails)] }
	sessions := func(filter string) func(int) string {
		return same(org + "/sessions?" + quarter + "&" + filter)
	}
	return []page{
		{name: "lookup by exact email", path: func(n int) string { return org + "/lookup?q=" + url.QueryEscape(who(n)) }, want: 303, p50: 4, rate: 0.1, grows: true},
		// A first name and the dot: as many people as fit on the page at every size.
		{name: "lookup by prefix of an email", path: func(n int) string {
			first, _, _ := strings.Cut(who(n), ".")
			return org + "/lookup?q=" + url.QueryEscape(first+".")
		}, want: 200, grows: true},
		{name: "lookup by part of an email", path: func(n int) string {
			_, rest, _ := strings.Cut(who(n), ".")
			return org + "/lookup?q=" + url.QueryEscape(rest[:9])
		}, want: 200, grows: true},
		{name: "lookup by what only others have", path: func(n int) string { return org + "/lookup?q=" + fmt.Sprintf("app%d.example.net", 1+n%8) }, want: 200, grows: true},
		{name: "customer page", path: func(n int) string { return people[n%len(people)] }, want: 200, grows: true},
		{name: fiftyRows, path: same(fifty), want: 200, p50: 4, rate: 0.1, grows: true},
		{name: "customer page, heaviest", path: same(heavy), want: 200, grows: true},
		{name: "customers", path: same(org + "/customers"), want: 200, grows: true},
		{name: "first sessions page", path: sessions(""), want: 200, grows: true},
		{name: "deep sessions page", path: same(deep), want: 200, grows: true},
		{name: "explorer: email", path: func(n int) string { return org + "/sessions?" + quarter + "&email=" + url.QueryEscape(who(n)) }, want: 200},
		{name: "explorer: identifier", path: func(n int) string { return org + "/sessions?" + quarter + "&identifier=" + url.QueryEscape(who(n)) }, want: 200},
		{name: "explorer: two countries", path: sessions("countries=NZ&countries=CL"), want: 200},
		{name: "explorer: known people", path: sessions("people=known"), want: 200},
		{name: "explorer: browser", path: sessions("browsers=Firefox"), want: 200},
		{name: "explorer: system", path: sessions("systems=Linux"), want: 200},
		{name: "explorer: page", path: sessions("page=page-7"), want: 200},
		{name: "explorer: rating", path: sessions("ratings=poor"), want: 200},
		{name: "explorer: with errors", path: sessions("errors=with"), want: 200},
		{name: "explorer: without errors", path: sessions("errors=without"), want: 200},
		{name: "explorer: error text", path: sessions("error_text=property+c"), want: 200},
		{name: "explorer: slow pages", path: sessions("slow_ms=4000"), want: 200},
		{name: "explorer: all of slow pages", path: sessions("slow_ms=4000&show=figures"), want: 200},
		{name: "explorer: active", path: sessions("state=active"), want: 200},
		{name: "explorer: five at once", path: sessions("countries=DE&browsers=Chrome&people=known&errors=with&ratings=poor"), want: 200},
		{name: "insight, 7 days", path: same(org + "/insight?" + week), want: 200},
		{name: "insight, 90 days", path: same(org + "/insight?" + quarter), want: 200},
		{name: "home", path: same(org + "/"), want: 200},
	}
}

// size measures the pages and the store at one size.
func (b *bench) size(ctx context.Context, sessions int, dir string) error {
	switch {
	case b.part == "store":
		heading("%d sessions", sessions)
		return b.store(ctx, dir)
	case b.only == "" && !b.measures("pages"):
		return nil
	}
	info, err := os.Stat(filepath.Join(dir, "sightline.db"))
	if err != nil {
		return err
	}
	heading("%d sessions, a fifth of them in the organization that is asked; %d bytes a session", sessions, info.Size()/int64(sessions))
	ours, err := startServer(ctx, b.binary, []string{"serve"}, "SIGHTLINE_DATA_DIR="+dir)
	if err != nil {
		return err
	}
	defer ours.stop()
	idle, err := ours.memory()
	if err != nil {
		return err
	}
	if err := ours.signIn(); err != nil {
		return err
	}
	pages, err := b.find(ours)
	if err != nil {
		return err
	}
	for _, p := range pages {
		if !strings.Contains(p.name, b.only) {
			continue
		}
		if err := b.page(ours, p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if p.name == fiftyRows {
			if err := b.forgotten(ours, p); err != nil {
				return fmt.Errorf("%s after a write: %w", p.name, err)
			}
		}
	}
	if b.only != "" {
		return nil
	}
	if sessions == b.sizes[0] {
		floor, err := b.speed(b.plain, page{path: func(int) string { return "/page" }, want: 200})
		if err != nil {
			return err
		}
		b.line("a page of chi and templ, no database", floor.String(), "", true)
	}
	if err := b.unchanged(ours, pages); err != nil {
		return err
	}
	if err := b.export(ours); err != nil {
		return err
	}
	loaded, err := ours.memory()
	if err != nil {
		return err
	}
	b.line("memory, idle", fmt.Sprintf("%.0f MB", idle), "≤ 60 MB", idle <= 60)
	b.line("memory, after all these pages", fmt.Sprintf("%.0f MB", loaded), "", true)
	if sessions == b.sizes[len(b.sizes)-1] {
		if err := b.weigh(ours, pages); err != nil {
			return err
		}
	}
	return b.store(ctx, dir)
}

// find looks up the customers whom the pages are about, and a place deep in
// the list of sessions.
func (b *bench) find(ours *running) ([]page, error) {
	customer := func(email string) (string, error) {
		a, err := ours.get("/o/"+benchOrg+"/lookup?q="+url.QueryEscape(email), http.StatusSeeOther)
		return a.header.Get("Location"), err
	}
	fifty, err := customer(fiftyEmail)
	if err != nil {
		return nil, err
	}
	heavy, err := customer(heavyEmail)
	if err != nil {
		return nil, err
	}
	acme := madeOrgs(blockSize)[0]
	var emails, people []string
	for n := range 200 { // a few came in no session
		email, _ := acme.person(n)
		a, err := ours.send("GET", "/o/"+benchOrg+"/lookup?q="+url.QueryEscape(email), nil)
		if err != nil {
			return nil, err
		}
		if a.status == http.StatusSeeOther {
			emails, people = append(emails, email), append(people, a.header.Get("Location"))
		}
	}
	// A place in the middle of the range, as the link to older ones names it.
	at := lastDay().AddDate(0, 0, -45).UnixMilli()
	deep := fmt.Sprintf("/o/%s/sessions?%s&before=%d.1", benchOrg, quarter, at)
	return pagesOf(fifty, heavy, emails, people, deep), nil
}

// speed is what a page costs against the bare answer in the same moments.
type speed struct {
	p50, bare time.Duration // with one client
	rate      float64       // of the bare answer's, with 16 clients
}

func (s speed) ratio() float64 { return float64(s.p50) / float64(s.bare) }

func (s speed) String() string {
	return fmt.Sprintf("p50 %5.1f× (%s)  rate %.3f", s.ratio(), s.p50.Round(10*time.Microsecond), s.rate)
}

// anew is a path whose page nobody has asked for before, so that it must be
// made: the address says one thing more, which means nothing.
func anew(path string, n int) string {
	if strings.Contains(path, "?") {
		return fmt.Sprintf("%s&anew=%d", path, n)
	}
	return fmt.Sprintf("%s?anew=%d", path, n)
}

// times fetches a page n times and returns how long each took.
func times(r *running, p page, from, n int, headers ...string) ([]time.Duration, error) {
	out := make([]time.Duration, n)
	for i := range out {
		began := time.Now()
		if _, err := r.get(p.path(from+i), p.want, headers...); err != nil {
			return nil, err
		}
		out[i] = time.Since(began)
	}
	return out, nil
}

func quantile(d []time.Duration, q float64) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[min(int(float64(len(d))*q), len(d)-1)]
}

// speed measures a page and the bare answer by turns, so that what else the
// machine does meets both.
func (b *bench) speed(r *running, p page, headers ...string) (speed, error) {
	bare := page{path: func(int) string { return "/" }, want: http.StatusOK}
	if _, err := times(r, p, 0, 20, headers...); err != nil {
		return speed{}, err
	}
	var ours, theirs []time.Duration
	turns := 10
	for turn := range turns {
		n := max(b.requests/turns, 5)
		o, err := times(r, p, 1000+turn*n, n, headers...)
		if err != nil {
			return speed{}, err
		}
		t, err := times(b.plain, bare, 0, n)
		if err != nil {
			return speed{}, err
		}
		ours, theirs = append(ours, o...), append(theirs, t...)
	}
	s := speed{p50: quantile(ours, 0.5), bare: quantile(theirs, 0.5)}
	n := max(10, min(b.requests, int(300*time.Millisecond/max(s.p50, time.Microsecond))))
	mine, err := rate(r, p, n, headers...)
	if err != nil {
		return speed{}, err
	}
	of, err := rate(b.plain, bare, b.requests)
	s.rate = mine / of
	return s, err
}

// rate is how many pages a second 16 clients get, of n each.
func rate(r *running, p page, n int, headers ...string) (float64, error) {
	var wg sync.WaitGroup
	errs := make([]error, 16)
	began := time.Now()
	for i := range errs {
		wg.Go(func() { _, errs[i] = times(r, p, i*7, n, headers...) })
	}
	wg.Wait()
	return float64(len(errs)*n) / time.Since(began).Seconds(), errors.Join(errs...)
}

func (b *bench) page(r *running, p page) error {
	asked := p
	asked.path = func(n int) string { return anew(p.path(n), int(b.asked.Add(1))) }
	s, err := b.speed(r, asked)
	if err != nil {
		return err
	}
	target := ""
	if p.p50 > 0 {
		target = fmt.Sprintf("p50 ≤ %g×, rate ≥ %.2f", p.p50, p.rate)
	}
	b.line(p.name, s.String(), target, s.ratio() <= p.p50 && s.rate >= p.rate)
	return nil
}

// forgotten measures a customer's page when a write has just had everything
// forgotten that is kept of the store in memory.
func (b *bench) forgotten(r *running, p page) error {
	var ours, theirs []time.Duration
	for range max(b.requests, 20) {
		if err := r.forget(); err != nil {
			return err
		}
		o, err := times(r, page{path: func(int) string { return anew(p.path(0), int(b.asked.Add(1))) }, want: p.want}, 0, 1)
		if err != nil {
			return err
		}
		t, err := times(b.plain, page{path: func(int) string { return "/" }, want: http.StatusOK}, 0, 1)
		if err != nil {
			return err
		}
		ours, theirs = append(ours, o...), append(theirs, t...)
	}
	s := speed{p50: quantile(ours, 0.5), bare: quantile(theirs, 0.5)}
	b.line(p.name+", after a write", fmt.Sprintf("p50 %5.1f× (%s)", s.ratio(), s.p50.Round(10*time.Microsecond)), "", true)
	return nil
}

// growth asks for the same pages in the smallest and the largest database by
// turns, so that both meet the same moments.
func (b *bench) growth(ctx context.Context, dirs []string) error {
	if len(dirs) < 2 || b.only == "" && !b.measures("pages") && !b.measures("growth") {
		return nil
	}
	first, last := b.sizes[0], b.sizes[len(b.sizes)-1]
	heading("Growth of p50 from %d to %d sessions, asked by turns, each time after a write", first, last)
	var servers [2]*running
	var pages [2][]page
	for i, dir := range []string{dirs[0], dirs[len(dirs)-1]} {
		var err error
		if servers[i], err = startServer(ctx, b.binary, []string{"serve"}, "SIGHTLINE_DATA_DIR="+dir); err != nil {
			return err
		}
		defer servers[i].stop()
		if err := servers[i].signIn(); err != nil {
			return err
		}
		if pages[i], err = b.find(servers[i]); err != nil {
			return err
		}
	}
	return b.grown(servers, pages, func(p page) bool { return p.grows && strings.Contains(p.name, b.only) })
}

// grown asks two servers for the same pages by turns, each time after a write, so
// that nothing of them comes out of memory.
func (b *bench) grown(servers [2]*running, pages [2][]page, wanted func(page) bool) error {
	for n, p := range pages[0] {
		if !wanted(p) {
			continue
		}
		var took [2][]time.Duration
		for nth := range b.requests {
			for i, s := range servers {
				if err := s.forget(); err != nil {
					return err
				}
				began := time.Now()
				if _, err := s.get(anew(pages[i][n].path(nth+1), int(b.asked.Add(1))), p.want); err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
				took[i] = append(took[i], time.Since(began))
			}
		}
		small, large := quantile(took[0], 0.5), quantile(took[1], 0.5)
		by := float64(large) / float64(small)
		b.line(p.name, fmt.Sprintf("%.2f× (%s to %s)", by, small.Round(10*time.Microsecond), large.Round(10*time.Microsecond)), "≤ 1.3×", by <= 1.3)
	}
	return nil
}

// unchanged measures pages that a browser has already.
func (b *bench) unchanged(ours *running, pages []page) error {
	for _, p := range pages {
		if p.name != fiftyRows && p.name != "first sessions page" {
			continue
		}
		// A page is kept, and a tag lives, until the next ten seconds begin.
		time.Sleep(time.Until(time.Now().Truncate(10 * time.Second).Add(10 * time.Second)))
		again, err := b.speed(ours, p)
		if err != nil {
			return err
		}
		b.line(p.name+", again within 10 s", again.String(), "", true)
		a, err := ours.get(p.path(0), http.StatusOK)
		if err != nil {
			return err
		}
		q := p
		q.want = http.StatusNotModified
		s, err := b.speed(ours, q, "If-None-Match", a.header.Get("ETag"))
		if err != nil {
			b.line(p.name+", unchanged", err.Error(), "rate ≥ 0.40", false)
			continue
		}
		b.line(p.name+", unchanged (304)", s.String(), "rate ≥ 0.40", s.rate >= 0.4)
	}
	return nil
}

// export measures how fast a file of all sessions of the range comes.
func (b *bench) export(ours *running) error {
	began := time.Now()
	a, err := ours.get("/o/"+benchOrg+"/sessions.csv?"+quarter, http.StatusOK)
	if err != nil {
		return err
	}
	took := time.Since(began)
	rows := strings.Count(string(a.body), "\n") - 1
	b.line("CSV of all sessions of 90 days", fmt.Sprintf("%d rows in %s, %.0f rows/s", rows, took.Round(time.Millisecond), float64(rows)/took.Seconds()), "", true)
	return nil
}

// weigh measures what a browser must fetch for pages.
func (b *bench) weigh(ours *running, pages []page) error {
	for _, p := range pages {
		if !slices.Contains([]string{fiftyRows, "first sessions page", "lookup by prefix of an email", "insight, 90 days"}, p.name) {
			continue
		}
		a, err := ours.get(p.path(0), http.StatusOK)
		if err != nil {
			return err
		}
		n, err := gzipped(a.body)
		if err != nil {
			return err
		}
		kb := float64(len(a.body)) / 1024
		b.line("HTML of "+p.name, fmt.Sprintf("%.1f KB, %.1f KB gzipped", kb, float64(n)/1024), "≤ 15 KB", kb <= 15)
		if p.name != fiftyRows {
			continue
		}
		total, files := n, 0
		for _, m := range regexp.MustCompile(`(?:href|src)="(/static/[^"]+\.(?:css|js))"`).FindAllSubmatch(a.body, -1) {
			f, err := ours.get(string(m[1]), http.StatusOK, "Accept-Encoding", "gzip") // as it is sent
			if err != nil {
				return err
			}
			if f.header.Get("Content-Encoding") != "gzip" {
				return fmt.Errorf("%s is not sent compressed", m[1])
			}
			total, files = total+len(f.body), files+1
		}
		b.line("CSS, scripts and that page, gzipped", fmt.Sprintf("%.1f KB in %d requests", float64(total)/1024, files+1), "≤ 60 KB in ≤ 6", total <= 60*1024 && files < 6)
	}
	return nil
}

func gzipped(b []byte) (int, error) {
	var n counter
	w, err := gzip.NewWriterLevel(&n, 1)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(w, strings.NewReader(string(b)))
	return int(n), errors.Join(err, w.Close())
}

type counter int

// Write counts.
func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
