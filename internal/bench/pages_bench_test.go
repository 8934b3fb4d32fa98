package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/db"
	"sightline/internal/handlers"
	"sightline/internal/services"
	"sightline/internal/services/secrets"
)

// BenchmarkPage serves pages inside of this process, for a profile of what
// they cost:
//
//	go test ./internal/bench -run '^$' -bench Page/customer -cpuprofile cpu.out
func BenchmarkPage(b *testing.B) {
	b.Chdir("../..") // where the made databases are
	dir, _, err := made(b.Context(), madeRoot, 100_000)
	if err != nil {
		b.Fatal(err)
	}
	d, err := db.Open(b.Context(), filepath.Join(dir, "sightline.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	master, err := os.ReadFile(filepath.Join(dir, "master.key"))
	if err != nil {
		b.Fatal(err)
	}
	box, err := services.OpenBox(b.Context(), d, secrets.New(string(master)), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	svc, err := services.Open(b.Context(), services.Options{DB: d, Box: box, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	h, err := handlers.New(handlers.Options{Services: svc, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	signIn := httptest.NewRequest("POST", "/login", strings.NewReader(url.Values{"email": {benchEmail}, "password": {benchPassword}}.Encode()))
	signIn.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	signed := httptest.NewRecorder()
	h.ServeHTTP(signed, signIn)
	get := func(path string, tag ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.Header["If-None-Match"] = tag
		for _, c := range signed.Result().Cookies() {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	to := func(q string) string {
		return get("/o/" + benchOrg + "/lookup?q=" + url.QueryEscape(q)).Header().Get("Location")
	}
	email := ""
	for n := 0; to(email) == ""; n++ {
		email, _ = madeOrgs(blockSize)[0].person(n)
	}
	b.Run("unchanged", func(b *testing.B) {
		path, tag := to(fiftyEmail), ""
		for b.Loop() {
			w := get(path, tag)
			if tag = w.Header().Get("ETag"); w.Code != http.StatusOK && w.Code != http.StatusNotModified {
				b.Fatalf("status %d", w.Code)
			}
		}
	})
	for _, p := range pagesOf(to(fiftyEmail), to(heavyEmail), []string{email}, []string{to(email)}, "/o/"+benchOrg+"/sessions?"+quarter) {
		b.Run(p.name, func(b *testing.B) {
			n := 0
			var all []time.Duration
			for b.Loop() {
				n++
				began := time.Now()
				if w := get(anew(p.path(0), n)); w.Code != p.want && p.want != http.StatusSeeOther {
					b.Fatalf("status %d", w.Code)
				}
				all = append(all, time.Since(began))
			}
			// The quickest is what the page costs where nothing else runs.
			slices.Sort(all)
			b.ReportMetric(float64(all[0].Microseconds()), "best-µs")
			b.ReportMetric(float64(all[len(all)/10].Microseconds()), "p10-µs")
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
		})
	}
}

// BenchmarkIngest stores page after page of 500 sessions, ours and bare by
// turns, for a profile of what that costs:
//
//	go test ./internal/bench -run '^$' -bench Ingest -benchtime 40x -cpuprofile cpu.out
func BenchmarkIngest(b *testing.B) {
	ctx := context.Background() // as in the program, where a page is stored to its end
	s, err := newIngest(ctx, b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer s.close()
	for b.Loop() {
		if err := s.page(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(middle(s.mine)/middle(s.theirs), "ratio")
	b.ReportMetric(500/middle(s.mine), "sessions/s")
}
