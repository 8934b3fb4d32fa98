package handlers

import (
	"bytes"
	"context"
	"io"
	"net"
	"strconv"
	"sync"
)

// Listener makes a server send a kept page in one piece. net/http fills its buffer
// of 4 KB with the head and the beginning of the page, sends that, and then the
// rest: whoever reads is woken twice, and a page takes a twentieth longer. A head
// of more than 2 KB, which none of ours is, makes it three writes, of which the
// first two become one. The server needs [ConnContext] as well. Connections other
// than TCP stay as they are.
func Listener(ln net.Listener) net.Listener { return pageListener{ln} }

// ConnContext is for [net/http.Server.ConnContext].
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, keyConn, c)
}

type pageListener struct{ net.Listener }

// Accept waits for the next connection.
func (l pageListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(tcpConn); ok && err == nil {
		return &pageConn{tcpConn: tcp}, nil
	}
	return c, err
}

// tcpConn is what net/http finds out about a connection and makes use of.
type tcpConn interface {
	net.Conn
	io.ReaderFrom
	CloseWrite() error
}

// pageConn holds the first part of a page back until more of it is written. Only
// what serves a request writes to it, one request after the other; what is sent
// without Write, as files are, is no page.
type pageConn struct {
	tcpConn
	begins bool    // the next write is the beginning of a page
	held   *[]byte // that beginning
}

// heldPages are pieces of memory for pages that are about to be sent.
var heldPages = sync.Pool{New: func() any { return new([]byte) }}

// inOnePiece says that what is written next to the request's connection is a whole
// page with its length.
func inOnePiece(ctx context.Context) {
	if c, ok := ctx.Value(keyConn).(*pageConn); ok {
		c.begins = true
	}
}

// Write sends b, or keeps it for the next time, which surely comes: it is kept
// only if it promises more.
func (c *pageConn) Write(b []byte) (int, error) {
	if c.held != nil {
		page := append(*c.held, b...)
		_, err := c.tcpConn.Write(page)
		*c.held = page[:0]
		heldPages.Put(c.held)
		if c.held = nil; err != nil {
			return 0, err
		}
		return len(b), nil
	}
	begins := c.begins
	if c.begins = false; begins && promisesMore(b) {
		c.held = heldPages.Get().(*[]byte)
		*c.held = append(*c.held, b...)
		return len(b), nil
	}
	return c.tcpConn.Write(b)
}

// promisesMore says whether b is the head of an answer with some of its body, but
// not all. An answer to HEAD has a length and no body.
func promisesMore(b []byte) bool {
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok || len(body) == 0 {
		return false
	}
	_, length, _ := bytes.Cut(head, []byte("\r\nContent-Length: "))
	length, _, _ = bytes.Cut(length, []byte("\r\n"))
	n, err := strconv.Atoi(string(length))
	return err == nil && n > len(body)
}
