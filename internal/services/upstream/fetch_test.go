package upstream_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/services/upstream"
)

func TestAddressesInAnswersStayOutOfThePrivateNetwork(t *testing.T) {
	var reached atomic.Bool
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { reached.Store(true) })
	tls := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reached.Store(true) }))
	t.Cleanup(tls.Close)
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	secure := tls.URL[strings.LastIndex(tls.URL, ":"):]
	// The base is an address for documentation; nothing is ever sent there.
	public, _ := newClient(t, "https://198.51.100.1")
	inside, ledger := newClient(t, "http://127.0.0.1:1")
	for _, address := range []string{
		"http://127.0.0.1" + port, "https://127.0.0.1" + secure, "https://localhost" + secure, "https://[::1]" + secure, "https://[::ffff:127.0.0.1]" + secure,
		"https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.0.1/", "https://169.254.169.254/", "https://100.64.0.1/", "https://0.0.0.0" + secure,
		"https://[fd00::1]/", "https://[fe80::1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[::127.0.0.1]/", "https://224.0.0.1/", "https://255.255.255.255/",
		"https://2130706433" + secure, "https://0x7f.1" + secure,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := public.Fetch(ctx, "fetch", address)
		cancel()
		// The last two are names to some resolvers, which may take their time.
		if k := upstream.KindOf(err); k != upstream.Unexpected && k != upstream.Down && k != upstream.TimedOut {
			t.Errorf("%s: got %v", address, err)
		}
	}
	for _, address := range []string{
		"http://169.254.169.254/latest/meta-data", "http://0.0.0.0" + port, "http://[fe80::1]/", "http://8.8.8.8/",
		"file:///etc/passwd", "ftp://127.0.0.1/", "//127.0.0.1" + port, "/x", "", "http://", "http://user:pw@127.0.0.1" + port, "gopher://127.0.0.1", "http:127.0.0.1", "\x00",
	} {
		_, err := inside.Fetch(t.Context(), "fetch", address)
		e := wantError(t, err, upstream.Unexpected)
		if e.Sent || strings.Contains(e.Error(), "pw") {
			t.Errorf("%q: %+v", address, e)
		}
	}
	if reached.Load() {
		t.Error("a private address was reached")
	}
	for _, row := range ledger.Rows() {
		if row.Open || row.Sent {
			t.Errorf("ledger %+v", row)
		}
	}
	if d, err := inside.Fetch(t.Context(), "fetch", s.URL); err != nil || !reached.Load() {
		t.Errorf("an inside base does not reach inside: %v", err)
	} else {
		d.Close()
	}
}

func TestARedirectIsCheckedLikeAnAddress(t *testing.T) {
	var referer atomic.Value
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/inside":
			http.Redirect(w, r, "/file", http.StatusFound)
		case "/metadata":
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		case "/password":
			http.Redirect(w, r, "http://user:pw@"+r.Host+"/file", http.StatusFound)
		case "/scheme":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/file":
			referer.Store(r.Header.Get("Referer"))
			io.WriteString(w, "lines")
		}
	})
	c, ledger := newClient(t, s.URL)
	d, err := c.Fetch(t.Context(), "fetch", s.URL+"/inside?sig=1")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(d)
	d.Close()
	if string(body) != "lines" || referer.Load() != "" {
		t.Errorf("body %q, referer %q", body, referer.Load())
	}
	for _, path := range []string{"/metadata", "/password", "/scheme", "/loop"} {
		_, err := c.Fetch(t.Context(), "fetch", s.URL+path)
		wantError(t, err, upstream.Unexpected)
	}
	if n := len(ledger.Rows()); n != 5 {
		t.Errorf("%d rows", n)
	}
}

func TestAFetchThatBreaksOffSaysSo(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "first line\n")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/slow" {
			<-release
		}
	})
	defer close(release)
	c, ledger := newClient(t, s.URL, func(o *upstream.Options) { o.Timeout = 100 * time.Millisecond })
	for path, kind := range map[string]upstream.Kind{"/cut": upstream.Down, "/slow": upstream.TimedOut} {
		d, err := c.Fetch(t.Context(), "fetch", s.URL+path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(d)
		wantError(t, err, kind)
		if string(body) != "first line\n" || d.Size != 100 || d.Received() != 11 {
			t.Errorf("%s: body %q, size %d, received %d", path, body, d.Size, d.Received())
		}
		d.Close()
		rows := ledger.Rows()
		if row := rows[len(rows)-1]; row.Kind != kind || row.Bytes != 11 || row.Outcome.Status != 200 || row.Ends != 1 {
			t.Errorf("%s: %+v", path, row)
		}
	}
}

func TestASlowReaderIsNotTheVendorsFault(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("x", 1<<20)) })
	c, _ := newClient(t, s.URL, func(o *upstream.Options) { o.Timeout = 50 * time.Millisecond })
	d, err := c.Fetch(t.Context(), "fetch", s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := io.ReadFull(d, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	<-time.After(150 * time.Millisecond) // longer than the limit
	if rest, err := io.ReadAll(d); err != nil || len(rest) != 1<<20-1000 {
		t.Errorf("read %d, %v", len(rest), err)
	}
}

func TestACanceledFetchClosesItsRow(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { <-release })
	defer close(release)
	c, ledger := newClient(t, s.URL)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := c.Fetch(ctx, "fetch", s.URL)
	wantError(t, err, upstream.Canceled)
	if rows := ledger.Rows(); len(rows) != 1 || rows[0].Open || rows[0].Kind != upstream.Canceled {
		t.Errorf("ledger %+v", rows)
	}
}

func TestAnExpiredAddressIsForbidden(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(403)
		io.WriteString(w, `<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>`)
	})
	c, ledger := newClient(t, s.URL)
	_, err := c.Fetch(t.Context(), "fetch", s.URL+"/?sig=1")
	if e := wantError(t, err, upstream.Forbidden); e.Says != "AccessDenied Request has expired" {
		t.Errorf("says %q", e.Says)
	}
	if rows := ledger.Rows(); len(rows) != 1 || rows[0].Kind != upstream.Forbidden {
		t.Errorf("ledger %+v", rows)
	}
}
