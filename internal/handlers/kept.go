package handlers

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

// keptFor is how far behind the ages on a kept page may be ("now", "40 seconds
// ago"): its tag holds the time in steps of this.
const keptFor = 10 * time.Second

// keptBytes bounds the memory of kept pages.
const keptBytes = 8 << 20

// kept keeps a page in memory as it was sent, so that stepping back to it costs
// next to nothing as long as nothing has changed: browsers must not keep what
// is personal (no-store), or the next person at the machine could step back
// into it, and so they ask again. A program that has the page and sends its tag
// is answered that it is still the same.
//
// It is for pages that are made of the database, the address, the member and
// the time alone: none with a token of a form, whose second showing must be
// another one. The tag names everything that goes into the page: this process,
// the member, the address, how it was asked for, the generation of the data,
// the time to ten seconds. A message for the next page is shown once, so that page is not
// kept. Whether somebody may see the page was checked before, as always.
func (a *app) kept(h handlerFunc) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		tag, ok, err := a.tagOf(r)
		if err != nil {
			return err
		}
		if !ok {
			return h(w, r)
		}
		if strings.Contains(r.Header.Get("If-None-Match"), tag) {
			a.Metrics.Kept("unchanged")
			w.Header().Set("ETag", "W/"+tag)
			// The policy of the page names the nonce that stands in that page.
			w.Header().Del("Content-Security-Policy")
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		page, ok := a.pages.get(tag)
		if ok {
			a.Metrics.Kept("hit")
		} else {
			a.Metrics.Kept("made")
			made := &pageMaker{header: w.Header(), body: make([]byte, 0, 16<<10)}
			if err := h(made, r); err != nil {
				return err
			}
			if page, err = a.keep(made, tag, r); err != nil {
				return err
			}
			if page.status != http.StatusOK || w.Header().Get("Set-Cookie") != "" {
				w.WriteHeader(page.status)
				_, _ = w.Write(page.body) // the reader may be gone
				return nil
			}
			a.pages.put(tag, page)
		}
		for name, values := range page.header {
			w.Header()[name] = values
		}
		// In one piece: without its length it would be sent in chunks.
		w.Header().Set("Content-Length", strconv.Itoa(len(page.body)))
		w.WriteHeader(http.StatusOK)
		inOnePiece(r.Context())
		_, _ = w.Write(page.body)
		return nil
	}
}

// keptPage is a page as it was sent. Its policy holds the nonce that stands in
// its body.
type keptPage struct {
	status int
	header http.Header
	body   []byte
}

// pageMaker takes what a handler writes.
type pageMaker struct {
	header http.Header
	status int
	body   []byte
}

// Header is that of the answer.
func (p *pageMaker) Header() http.Header { return p.header }

// WriteHeader notes the status.
func (p *pageMaker) WriteHeader(status int) { p.status = status }

// Write takes a part of the body.
func (p *pageMaker) Write(b []byte) (int, error) {
	p.body = append(p.body, b...)
	return len(b), nil
}

// keep is what was written, compressed for whoever takes it so.
func (a *app) keep(p *pageMaker, tag string, r *http.Request) (keptPage, error) {
	page := keptPage{status: p.status, body: p.body, header: http.Header{}}
	if page.status == 0 {
		page.status = http.StatusOK
	}
	if page.status != http.StatusOK {
		return page, nil
	}
	p.header.Set("ETag", "W/"+tag)
	if takesGzip(r) {
		small, err := a.compress(page.body)
		if err != nil {
			return page, fmt.Errorf("compress a page: %w", err)
		}
		page.body = small
		p.header.Set("Content-Encoding", "gzip")
		p.header.Add("Vary", "Accept-Encoding")
	}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Security-Policy", "Etag", "Vary"} {
		if v := p.header.Values(name); len(v) > 0 {
			page.header[name] = v
		}
	}
	return page, nil
}

// compress compresses a page as fast as can be. A compressor is as large as ten
// pages, so they are used again.
func (a *app) compress(b []byte) ([]byte, error) {
	small := a.buffers.Get().(*bytes.Buffer)
	defer a.buffers.Put(small)
	small.Reset()
	w, ok := a.gzips.Get().(*gzip.Writer)
	if !ok {
		var err error
		if w, err = gzip.NewWriterLevel(small, gzip.BestSpeed); err != nil {
			return nil, err
		}
	}
	defer a.gzips.Put(w)
	w.Reset(small)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return bytes.Clone(small.Bytes()), nil
}

// takesGzip says whether an answer may be compressed. Whoever weighs codings
// gets a plain page, which the layer above compresses if it should.
func takesGzip(r *http.Request) bool {
	codings := r.Header.Get("Accept-Encoding")
	return strings.Contains(codings, "gzip") && !strings.Contains(codings, "gzip;")
}

// keptPages are the pages in memory, by tag.
type keptPages struct {
	mu    sync.Mutex
	pages map[string]keptPage
	bytes int
}

func (k *keptPages) get(tag string) (keptPage, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.pages[tag]
	return p, ok
}

// put keeps a page. Tags live ten seconds at most, so when there is no room all
// pages go, of which most are out of date.
func (k *keptPages) put(tag string, p keptPage) {
	if len(p.body) > keptBytes/8 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pages == nil || k.bytes+len(p.body) > keptBytes {
		k.pages, k.bytes = map[string]keptPage{}, 0
	}
	k.pages[tag] = p
	k.bytes += len(p.body)
}

// tagOf is the tag of the page that a request asks for. Its generation is from
// before anything was read, the member's name and role included: what changes
// meanwhile makes another tag.
func (a *app) tagOf(r *http.Request) (tag string, ok bool, err error) {
	session, err := a.cookies.Get(r, a.cookies.name)
	if err != nil {
		return "", false, err
	}
	if _, flash := session.Values[valueFlash]; flash {
		return "", false, nil
	}
	m := memberOf(r)
	sum := sha256.New()
	var b [32]byte
	binary.LittleEndian.PutUint64(b[0:], m.generation)
	binary.LittleEndian.PutUint64(b[8:], uint64(a.now().UnixNano()/int64(keptFor)))
	binary.LittleEndian.PutUint64(b[16:], uint64(m.user.ID))
	binary.LittleEndian.PutUint64(b[24:], uint64(m.at.Org))
	sum.Write(a.process[:])
	sum.Write(b[:])
	fmt.Fprintf(sum, "%q %q %q %q %q %q %v", r.Host, r.URL.RequestURI(), r.Header.Get("HX-Request"), r.Header.Get("HX-Request-Type"),
		r.Header.Get("HX-Boosted"), r.Header.Get("HX-History-Restore-Request"), takesGzip(r))
	return `"` + base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:12]) + `"`, true, nil
}

// newProcess names this process: its generations mean nothing to the next one.
func newProcess() (id [16]byte) {
	rand.Read(id[:])
	return id
}
