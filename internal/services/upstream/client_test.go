package upstream_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sightline/internal/services/secrets"
	"sightline/internal/services/upstream"
	"sightline/internal/services/upstream/upstreamtest"
)

const planted = "planted-secret-42"

// newClient returns a client of a server, and its ledger.
func newClient(t *testing.T, base string, change ...func(*upstream.Options)) (*upstream.Client, *upstreamtest.Ledger) {
	t.Helper()
	ledger := &upstreamtest.Ledger{}
	o := upstream.Options{
		Vendor: "vendor", BaseURL: base, Ledger: ledger, Timeout: 5 * time.Second, RetryDelay: time.Millisecond,
		Secrets: []secrets.Secret{secrets.New(planted), secrets.New("id:" + planted)},
	}
	for _, f := range change {
		f(&o)
	}
	c, err := upstream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, ledger
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func wantError(t *testing.T, err error, kind upstream.Kind) *upstream.Error {
	t.Helper()
	var e *upstream.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want an *upstream.Error of kind %s", err, kind)
	}
	if e.Kind != kind {
		t.Fatalf("got kind %s (%v), want %s", e.Kind, e, kind)
	}
	return e
}

func object(body []byte) error {
	if _, ok := upstream.ParseObject(body); !ok {
		return errors.New("the answer is not an object")
	}
	return nil
}

func get(retry upstream.Retry) upstream.Request {
	return upstream.Request{Operation: "op", Method: http.MethodGet, Path: "/x", Retry: retry, Read: object}
}

func TestEachFailingAnswerHasItsKindAndTheVendorsWords(t *testing.T) {
	tests := []struct {
		name   string
		status int
		header http.Header
		body   string
		kind   upstream.Kind
		says   string
		scope  string
	}{
		{"401 error", 401, nil, `{"error":"no such key"}`, upstream.WrongKey, "no such key", ""},
		{"403 message", 403, nil, `{"message":"Ask an admin"}`, upstream.Forbidden, "Ask an admin", ""},
		{"403 about the token", 403, nil, `{"detail":"token signature is invalid"}`, upstream.WrongKey, "token signature is invalid", ""},
		{"403 names a scope", 403, nil, `{"title":"Forbidden","detail":"Missing scope rum.sessions:read"}`, upstream.Forbidden, "Forbidden. Missing scope rum.sessions:read", "rum.sessions:read"},
		{"403 names a scope in the header", 403, http.Header{"Www-Authenticate": {`Bearer error="insufficient_scope", scope="customers:read"`}}, ``, upstream.Forbidden, "", "customers:read"},
		{"404 list of errors", 404, nil, `{"errors":[{"message":"one"},{"message":"two"}]}`, upstream.NotFound, "one. two", ""},
		{"400 problem by field", 400, nil, `{"title":"Bad","errors":{"dateFrom":["is required"]}}`, upstream.Invalid, "Bad. dateFrom: is required", ""},
		{"400 error flag beside message", 400, nil, `{"error":true,"message":"no"}`, upstream.Invalid, "no", ""},
		{"422 nested", 422, nil, `{"error":{"code":7,"message":"nested"}}`, upstream.Invalid, "nested", ""},
		{"429", 429, nil, `slow down`, upstream.RateLimited, "slow down", ""},
		{"500 html", 500, nil, "<html><head><title>t</title><style>x{}</style></head><body><h1>Oops</h1><script>alert(1)</script> &amp; sorry</body></html>", upstream.Down, "Oops & sorry", ""},
		{"500 html, all in the head", 500, nil, "<html><head><title>Just this</title></head></html>", upstream.Down, "Just this", ""},
		{"500 control characters", 500, nil, "a\x00b\x1b[31mc\u202ed", upstream.Down, "a b [31mcd", ""},
		{"403 of a storage", 403, nil, `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>`, upstream.Forbidden, "AccessDenied Request has expired", ""},
		{"echoed secret", 400, nil, `{"error":"bad value ` + planted + `"}`, upstream.Invalid, "bad value [redacted]", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				for name, values := range tt.header {
					w.Header()[name] = values
				}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			c, ledger := newClient(t, s.URL)
			_, err := c.Do(t.Context(), get(upstream.Never))
			e := wantError(t, err, tt.kind)
			if e.Says != tt.says || e.Status != tt.status || e.Scope != tt.scope || !e.Sent {
				t.Errorf("got %+v", e)
			}
			if rows := ledger.Rows(); len(rows) != 1 || rows[0].Kind != tt.kind || rows[0].Says != tt.says || rows[0].Ends != 1 || !rows[0].Sent || rows[0].Outcome.Status != tt.status {
				t.Errorf("ledger: %+v", rows)
			}
		})
	}
}

func TestVendorWordsAreCutAt500CharactersAfterRedaction(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		io.WriteString(w, strings.Repeat("é", 495)+planted+strings.Repeat("x", 200_000))
	})
	c, _ := newClient(t, s.URL)
	_, err := c.Do(t.Context(), get(upstream.Never))
	e := wantError(t, err, upstream.Down)
	if n := len([]rune(e.Says)); n != 500 || strings.Contains(e.Says, "plan") {
		t.Errorf("%d characters, ending %q", n, e.Says[len(e.Says)-20:])
	}
}

func TestUnexpectedAnswersShowTheirBeginningWithoutSecrets(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("id:" + planted))
	bodies := map[string]string{
		"html":      "<html>welcome " + planted,
		"base64":    "you sent Basic " + basic,
		"empty":     "",
		"null":      "null",
		"list":      "[]",
		"truncated": `{"a":`,
		"binary":    "\x00\x01\xff\xfe" + planted,
		"bad gzip":  "\x1f\x8b nonsense",
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
			c, ledger := newClient(t, s.URL)
			_, err := c.Do(t.Context(), get(upstream.IfSafe))
			e := wantError(t, err, upstream.Unexpected)
			if shown := fmt.Sprintf("%+v %v %s", e, e, e.First); strings.Contains(shown, planted) || strings.Contains(shown, basic) {
				t.Errorf("shows a secret: %s", shown)
			}
			if rows := ledger.Rows(); len(rows) != 1 || rows[0].Kind != upstream.Unexpected {
				t.Errorf("ledger: %+v", rows)
			}
		})
	}
}

func TestGoodJSONIsReadWhateverTheHeadersSay(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, `{"a":1}`)
	z.Close()
	tests := map[string]http.HandlerFunc{
		"wrong type": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, `{"a":1}`)
		},
		"byte order mark": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "\xef\xbb\xbf{\"a\":1}") },
		"gzip": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(packed.Bytes())
		},
		"gzip, undeclared": func(w http.ResponseWriter, r *http.Request) { w.Write(packed.Bytes()) },
		"declared, not gzip": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, `{"a":1}`)
		},
		"202": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(202); io.WriteString(w, `{"a":1}`) },
		"redirect on the way": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/x" {
				http.Redirect(w, r, "/y?moved", http.StatusFound)
				return
			}
			io.WriteString(w, `{"a":1}`)
		},
	}
	for name, h := range tests {
		t.Run(name, func(t *testing.T) {
			c, _ := newClient(t, serve(t, h).URL)
			answer, err := c.Do(t.Context(), get(upstream.Never))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(answer.Body), `{"a":1}`) {
				t.Errorf("body %q", answer.Body)
			}
		})
	}
}

func TestOversizedAnswersAreRefused(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write(bytes.Repeat([]byte(" "), 1<<20))
	z.Close()
	for name, body := range map[string][]byte{"plain": bytes.Repeat([]byte(" "), 4096), "packed": bomb.Bytes()} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Write(body) })
			c, _ := newClient(t, s.URL, func(o *upstream.Options) { o.MaxBody = 2048 })
			_, err := c.Do(t.Context(), get(upstream.IfSafe))
			wantError(t, err, upstream.Unexpected)
		})
	}
}

func TestRetriesFollowTheMode(t *testing.T) {
	hijack := func(w http.ResponseWriter) {
		conn, _, _ := w.(http.Hijacker).Hijack()
		conn.Close()
	}
	tests := []struct {
		name  string
		retry upstream.Retry
		fail  func(w http.ResponseWriter) // how the first two attempts end
		want  int32
	}{
		{"cut, safe", upstream.IfSafe, hijack, 3},
		{"cut, if unsent", upstream.IfUnsent, hijack, 1},
		{"cut, never", upstream.Never, hijack, 1},
		{"503, safe", upstream.IfSafe, func(w http.ResponseWriter) { w.WriteHeader(503) }, 3},
		{"503, if unsent", upstream.IfUnsent, func(w http.ResponseWriter) { w.WriteHeader(503) }, 1},
		{"503 with a long pause", upstream.IfSafe, func(w http.ResponseWriter) { w.Header().Set("Retry-After", "60"); w.WriteHeader(503) }, 1},
		{"500", upstream.IfSafe, func(w http.ResponseWriter) { w.WriteHeader(500) }, 1},
		{"429 without a pause", upstream.IfSafe, func(w http.ResponseWriter) { w.WriteHeader(429) }, 1},
		{"429 with a short pause", upstream.IfSafe, func(w http.ResponseWriter) { w.Header().Set("Retry-After", "0"); w.WriteHeader(429) }, 3},
		{"429 with a short pause, if unsent", upstream.IfUnsent, func(w http.ResponseWriter) { w.Header().Set("Retry-After", "0"); w.WriteHeader(429) }, 1},
		{"cut within the body", upstream.IfSafe, func(w http.ResponseWriter) { w.Header().Set("Content-Length", "99"); io.WriteString(w, "{") }, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen atomic.Int32
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if seen.Add(1) < 3 {
					tt.fail(w)
					return
				}
				io.WriteString(w, `{}`)
			})
			c, ledger := newClient(t, s.URL)
			_, err := c.Do(t.Context(), get(tt.retry))
			if seen.Load() != tt.want {
				t.Errorf("the server saw %d requests, want %d", seen.Load(), tt.want)
			}
			if (err == nil) != (tt.want == 3) {
				t.Errorf("error %v", err)
			}
			rows := ledger.Rows()
			if len(rows) != int(tt.want) {
				t.Fatalf("%d ledger rows for %d requests", len(rows), tt.want)
			}
			for i, row := range rows {
				if row.Attempt != i+1 || row.Ends != 1 || !row.Sent {
					t.Errorf("row %d: %+v", i, row)
				}
			}
		})
	}
}

func TestOneAttemptIsOneRequestAlsoWhenTheServerHangsUpBetween(t *testing.T) {
	// On a kept-alive connection net/http would repeat the second GET by itself.
	var seen atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if seen.Add(1) == 1 {
			io.WriteString(w, `{}`)
			return
		}
		conn, _, _ := w.(http.Hijacker).Hijack()
		conn.Close()
	})
	c, _ := newClient(t, s.URL)
	if _, err := c.Do(t.Context(), get(upstream.Never)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Do(t.Context(), get(upstream.Never))
	if e := wantError(t, err, upstream.Down); !e.Sent {
		t.Error("a request that was cut off counts as not sent")
	}
	if seen.Load() != 2 {
		t.Errorf("the server saw %d requests, want 2", seen.Load())
	}
}

func TestARefusedConnectionWasNotSentAndIsRepeated(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	base := s.URL
	s.Close()
	c, ledger := newClient(t, base)
	_, err := c.Do(t.Context(), get(upstream.IfUnsent))
	if e := wantError(t, err, upstream.Down); e.Sent {
		t.Error("counts as sent")
	}
	if rows := ledger.Rows(); len(rows) != 3 || rows[2].Sent || rows[2].Kind != upstream.Down {
		t.Errorf("ledger: %+v", rows)
	}
}

func TestWhatWasSentOnceStaysSent(t *testing.T) {
	var s *httptest.Server
	s = serve(t, func(w http.ResponseWriter, r *http.Request) {
		s.Listener.Close() // the next attempt is refused
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	c, ledger := newClient(t, s.URL)
	_, err := c.Do(t.Context(), get(upstream.IfSafe))
	if e := wantError(t, err, upstream.Down); !e.Sent || e.Status != 0 {
		t.Errorf("got %+v", e)
	}
	if rows := ledger.Rows(); len(rows) != 3 || !rows[0].Sent || rows[1].Sent || rows[2].Sent {
		t.Errorf("ledger %+v", rows)
	}
}

func TestSlowAnswersTimeOutAndCancellationIsToldApart(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("body") {
			io.WriteString(w, `{"a":`)
			w.(http.Flusher).Flush()
		}
		<-release
	})
	defer close(release)
	for _, query := range []string{"", "body"} {
		c, ledger := newClient(t, s.URL, func(o *upstream.Options) { o.Timeout = 100 * time.Millisecond })
		r := get(upstream.IfSafe)
		r.Query = map[string][]string{query: {""}}
		_, err := c.Do(t.Context(), r)
		if e := wantError(t, err, upstream.TimedOut); !e.Sent {
			t.Error("counts as not sent")
		}
		if rows := ledger.Rows(); len(rows) != 1 || rows[0].Kind != upstream.TimedOut {
			t.Errorf("ledger: %+v", rows)
		}
		for _, cause := range []error{nil, errors.New("the queue stops")} { // net/http gives the cause for the error
			ctx, cancel := context.WithCancelCause(t.Context())
			c, ledger = newClient(t, s.URL)
			time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
			_, err = c.Do(ctx, r)
			wantError(t, err, upstream.Canceled)
			if rows := ledger.Rows(); len(rows) != 1 || rows[0].Open || rows[0].Kind != upstream.Canceled {
				t.Errorf("ledger after cancellation: %+v", rows)
			}
		}
	}
}

type noBudget struct{ left int }

func (noBudget) Error() string { return "no calls left" }

func TestTheLedgerHasTheLastWord(t *testing.T) {
	var seen atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { seen.Add(1); w.WriteHeader(503) })
	c, ledger := newClient(t, s.URL)
	ledger.Refuse = func(rows int) error { return fmt.Errorf("spend: %w", noBudget{left: rows}) }
	_, err := c.Do(t.Context(), get(upstream.IfSafe))
	e := wantError(t, err, upstream.Refused)
	var no noBudget
	if !errors.As(err, &no) || e.Sent || seen.Load() != 0 {
		t.Errorf("got %+v, %d requests seen", e, seen.Load())
	}
	// Refused on the way: the vendor's failure is what the caller hears.
	ledger.Refuse = func(rows int) error {
		if rows > 0 {
			return noBudget{}
		}
		return nil
	}
	_, err = c.Do(t.Context(), get(upstream.IfSafe))
	if e := wantError(t, err, upstream.Down); !e.Sent || seen.Load() != 1 {
		t.Errorf("got %+v, %d requests seen", e, seen.Load())
	}
}

func TestCredentialsNeverFollowARedirect(t *testing.T) {
	var leaked atomic.Bool
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { leaked.Store(true) })
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+"/x?token=1", http.StatusTemporaryRedirect)
	})
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		c, _ := newClient(t, s.URL)
		r := get(upstream.IfSafe)
		r.Method, r.Header = method, http.Header{"X-Sessionkey": {planted}}
		_, err := c.Do(t.Context(), r)
		e := wantError(t, err, upstream.Unexpected)
		if !strings.Contains(e.Error(), "localhost") || strings.Contains(e.Error(), "token") {
			t.Errorf("error %q", e)
		}
	}
	// The same host, but nothing to be sent twice.
	here := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/y" {
			leaked.Store(true)
		}
		http.Redirect(w, r, "/y", http.StatusTemporaryRedirect)
	})
	c, _ := newClient(t, here.URL)
	r := get(upstream.IfSafe)
	r.Method = http.MethodPut
	_, err := c.Do(t.Context(), r)
	wantError(t, err, upstream.Unexpected)
	if leaked.Load() {
		t.Error("a redirect was followed")
	}
}

func TestEndlessRedirectsEnd(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) })
	c, ledger := newClient(t, s.URL)
	_, err := c.Do(t.Context(), get(upstream.IfSafe))
	wantError(t, err, upstream.Unexpected)
	if n := len(ledger.Rows()); n != 6 {
		t.Errorf("%d ledger rows, want one for each of 6 hops", n)
	}
}

// noClock is the offset of a vendor that does not tell its time.
const noClock = time.Duration(1)

func TestAServerThatDoesNotSpeakHTTPIsUnexpected(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "SSH-2.0-"+planted+"\r\n\r\n")
			conn.Close()
		}
	}()
	c, _ := newClient(t, "http://"+l.Addr().String())
	_, err = c.Do(t.Context(), get(upstream.Never))
	var e *upstream.Error
	if !errors.As(err, &e) || e.Kind != upstream.Unexpected && e.Kind != upstream.Down {
		t.Errorf("got %v", err)
	}
	if strings.Contains(err.Error(), planted) {
		t.Errorf("shows a secret: %v", err)
	}
}

func TestBadBaseURLsAreRefusedInWords(t *testing.T) {
	for _, base := range []string{"", "api.raygun.com", "ftp://x", "https://", "https://a:b@x", "https://x/?q=1", "https://x/#f", "ht tp://x"} {
		if _, err := upstream.New(upstream.Options{Vendor: "v", BaseURL: base, Ledger: &upstreamtest.Ledger{}}); err == nil {
			t.Errorf("%q was accepted", base)
		} else if strings.Contains(err.Error(), "a:b") {
			t.Errorf("shows the password: %v", err)
		}
	}
}
