package upstream_test

import (
	"context"
	"errors"
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
		_, err := public.Fetch(ctx, "fetch", address, upstream.Resume{})
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
		_, err := inside.Fetch(t.Context(), "fetch", address, upstream.Resume{})
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
	if d, err := inside.Fetch(t.Context(), "fetch", s.URL, upstream.Resume{}); err != nil || !reached.Load() {
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
	d, err := c.Fetch(t.Context(), "fetch", s.URL+"/inside?sig=1", upstream.Resume{})
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(d)
	d.Close()
	if string(body) != "lines" || referer.Load() != "" {
		t.Errorf("body %q, referer %q", body, referer.Load())
	}
	for _, path := range []string{"/metadata", "/password", "/scheme", "/loop"} {
		_, err := c.Fetch(t.Context(), "fetch", s.URL+path, upstream.Resume{})
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
		d, err := c.Fetch(t.Context(), "fetch", s.URL+path, upstream.Resume{})
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
	d, err := c.Fetch(t.Context(), "fetch", s.URL, upstream.Resume{})
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
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(errors.New("the queue stops")) })
	_, err := c.Fetch(ctx, "fetch", s.URL, upstream.Resume{})
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
	_, err := c.Fetch(t.Context(), "fetch", s.URL+"/?sig=1", upstream.Resume{})
	if e := wantError(t, err, upstream.Forbidden); e.Says != "AccessDenied Request has expired" {
		t.Errorf("says %q", e.Says)
	}
	if rows := ledger.Rows(); len(rows) != 1 || rows[0].Kind != upstream.Forbidden {
		t.Errorf("ledger %+v", rows)
	}
}

// TestAFetchGoesOnWhereItStopped breaks a file off and asks for the rest, of
// servers that can do that, that cannot, and that lie.
func TestAFetchGoesOnWhereItStopped(t *testing.T) {
	const file = "0123456789"
	for name, tt := range map[string]struct {
		tag     string // the file's by now
		offset  int64
		answer  func(w http.ResponseWriter, r *http.Request) bool // true if it answered
		from    int64
		asked   int
		unnamed bool // its end is not known
	}{
		"the rest":            {tag: `"a"`, offset: 4, from: 4, asked: 1},
		"all but nothing":     {tag: `"a"`, offset: 9, from: 9, asked: 1},
		"another file":        {tag: `"b"`, offset: 4, from: 0, asked: 1},
		"all of it":           {tag: `"a"`, offset: 10, from: 0, asked: 2},
		"more than it has":    {tag: `"a"`, offset: 11, from: 0, asked: 2},
		"nothing yet":         {tag: `"a"`, offset: 0, from: 0, asked: 1},
		"knows no parts":      {tag: `"a"`, offset: 4, from: 0, asked: 1, answer: func(w http.ResponseWriter, r *http.Request) bool { io.WriteString(w, file); return true }},
		"another part":        {tag: `"a"`, offset: 4, from: 0, asked: 2, answer: part("bytes 5-9/10", file[5:])},
		"a part in between":   {tag: `"a"`, offset: 4, from: 0, asked: 2, answer: part("bytes 4-7/10", file[4:8])},
		"a part without name": {tag: `"a"`, offset: 4, from: 0, asked: 2, answer: part("", file[4:])},
		"a part of unknown":   {tag: `"a"`, offset: 4, from: 4, asked: 1, unnamed: true, answer: part("bytes 4-9/*", file[4:])},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				w.Header().Set("ETag", tt.tag)
				if tt.answer == nil || !tt.answer(w, r) {
					http.ServeContent(w, r, "file", time.Time{}, strings.NewReader(file))
				}
			})
			c, ledger := newClient(t, s.URL)
			d, err := c.Fetch(t.Context(), "fetch", s.URL, upstream.Resume{Offset: tt.offset, Validator: `"a"`})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(d)
			d.Close()
			size := int64(len(file))
			if tt.unnamed {
				size = -1
			}
			if err != nil || d.Offset != tt.from || string(got) != file[tt.from:] || d.Size != size || d.Validator != tt.tag {
				t.Errorf("read %q from %d, size %d, %s, %v", got, d.Offset, d.Size, d.Validator, err)
			}
			if n := int(asked.Load()); n != tt.asked || len(ledger.Rows()) != n {
				t.Errorf("asked %d times, ledger %+v", n, ledger.Rows())
			}
		})
	}
}

// part answers a request for a part, and only that, with one of its own.
func part(contentRange, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") == "" {
			return false
		}
		w.Header().Set("Content-Range", contentRange)
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, body)
		return true
	}
}
