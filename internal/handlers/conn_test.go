package handlers

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
)

// Writes are how many bytes a server sent with each write.
type Writes struct {
	mu    sync.Mutex
	sizes []int
}

// Take returns the sizes since the last time.
func (w *Writes) Take() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	sizes := w.sizes
	w.sizes = nil
	return sizes
}

// CountedListener counts what is written to its connections.
type CountedListener struct {
	net.Listener
	To *Writes
}

// Accept waits for the next connection.
func (l CountedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countedConn{c.(*net.TCPConn), l.To}, nil
}

type countedConn struct {
	*net.TCPConn
	to *Writes
}

func (c countedConn) Write(b []byte) (int, error) {
	c.to.mu.Lock()
	c.to.sizes = append(c.to.sizes, len(b))
	c.to.mu.Unlock()
	return c.TCPConn.Write(b)
}

// A page of any size comes whole and in one write, whoever asks and however the
// request before was answered.
func TestAPageIsSentInOnePiece(t *testing.T) {
	var sent Writes
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("n"))
		if err != nil {
			t.Error(err)
		}
		if r.URL.Path == "/page" {
			w.Header().Set("Content-Length", strconv.Itoa(n))
			w.WriteHeader(http.StatusOK)
			inOnePiece(r.Context())
		}
		_, _ = w.Write(bytes.Repeat([]byte("x"), n))
	}))
	s.Listener = Listener(CountedListener{s.Listener, &sent})
	s.Config.ConnContext = ConnContext
	s.Start()
	defer s.Close()
	ask := func(method, path string, n int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path+"?n="+strconv.Itoa(n), nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatalf("%s %s of %d bytes: %v", method, path, n, err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.Body.Close() != nil {
			t.Fatalf("%s %s of %d bytes: %v", method, path, n, err)
		}
		if want := n; method == http.MethodGet && len(body) != want {
			t.Errorf("%s %s: %d bytes came instead of %d", method, path, len(body), want)
		}
	}
	sizes := []int{0, 1, 300, 15 << 10, 200 << 10}
	for n := 3800; n <= 4200; n++ { // around what net/http's buffer holds beside a head
		sizes = append(sizes, n, n+4096)
	}
	for _, n := range sizes {
		ask("HEAD", "/page", n)
		ask("GET", "/page", n)
	}
	if got, want := len(sent.Take()), 2*len(sizes); got != want {
		t.Errorf("%d answers took %d writes", want, got)
	}
	ask("GET", "/stream", 200<<10)
	ask("GET", "/page", 15<<10)
}

// What may be kept is nothing but the beginning of an answer whose rest must come.
func TestOnlyAPromiseIsHeldBack(t *testing.T) {
	for text, want := range map[string]bool{
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome":                 true,
		"HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 5\r\nY: 2\r\n\r\nsome": true,
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsome":                 false,
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n":                     false, // an answer to HEAD
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n":                         false,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome":   false,
		"HTTP/1.1 200 OK\r\n\r\nContent-Length: 99\r\n\r\nx":               false,
		"HTTP/1.1 200 OK\r\nContent-Length: 9x\r\n\r\nsome":                false,
		"": false,
	} {
		if got := promisesMore([]byte(text)); got != want {
			t.Errorf("%q promises more: %v", text, got)
		}
	}
	// And a connection of another kind is left alone.
	inOnePiece(context.Background())
	inOnePiece(context.WithValue(context.Background(), keyConn, net.Conn(nil)))
}
