package sandbox

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// listExports gives addresses of recordings, oldest first. The cursor is the
// time (ms) at which the last recording on the page was complete; a page without
// recordings repeats the cursor it was asked with.
func (k *rocket) listExports(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, after := 10, int64(0)
	var err error
	if v := q.Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > 100 {
			badRequest(w, "limit must be an integer between 1 and 100")
			return
		}
	}
	if v := q.Get("date"); v != "" {
		if after, err = strconv.ParseInt(v, 10, 64); err != nil {
			badRequest(w, "date must be a unix timestamp in milliseconds")
			return
		}
		after-- // a date lets its own millisecond in, a cursor does not
	}
	if v := q.Get("cursor"); v != "" {
		if after, err = strconv.ParseInt(v, 10, 64); err != nil {
			badRequest(w, "Invalid cursor")
			return
		}
	}
	page := k.s.company.exportsAfter(after, limit)
	sessions := make([]map[string]string, 0, len(page))
	for _, e := range page {
		after = e.done
		sessions = append(sessions, map[string]string{"url": k.exportURL(e)})
	}
	if k.s.live() {
		writeJSON(w, http.StatusOK, map[string]any{"cursor": after, "sessions": sessions})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"cursor": strconv.FormatInt(after, 10), "sessions": sessions})
}

func (k *rocket) exportURL(e export) string {
	name := k.s.company.recording(int(e.row)).String() + ".jsonl"
	expires := strconv.FormatInt(k.s.opts.Now().Add(k.s.opts.ExportURLLifetime).Unix(), 10)
	return k.s.logrocketURL + "/_export/" + name + "?" + url.Values{"expires": {expires}, "sig": {k.sign(name, expires)}}.Encode()
}

func (k *rocket) sign(name, expires string) string {
	m := hmac.New(sha256.New, k.s.signKey)
	m.Write([]byte(name + "\n" + expires))
	return hex.EncodeToString(m.Sum(nil))
}

// exportFile serves one recording to whoever holds its address, as a storage
// bucket does: our key is not wanted there, and errors are XML.
func (k *rocket) exportFile(w http.ResponseWriter, r *http.Request) {
	refuse := func(code int, what, msg string) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>", what, msg)
	}
	name, q := strings.TrimPrefix(r.URL.Path, "/_export/"), r.URL.Query()
	expires, _ := strconv.ParseInt(q.Get("expires"), 10, 64)
	if r.Header.Get("Authorization") != "" {
		refuse(http.StatusBadRequest, "InvalidArgument", "Only one auth mechanism allowed")
		return
	}
	if !same(q.Get("sig"), k.sign(name, q.Get("expires"))) {
		refuse(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
		return
	}
	if k.s.opts.Now().Unix() > expires {
		refuse(http.StatusForbidden, "AccessDenied", "Request has expired")
		return
	}
	rec, number, _ := strings.Cut(strings.TrimSuffix(name, ".jsonl"), "/")
	n, _ := strconv.Atoi(number)
	row, ok := k.s.company.rowByRecording(Recording{rec, n})
	if !ok {
		refuse(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
		return
	}
	k.writeExport(w, r, row)
}

// writeExport serves one file in three plain, one gzipped without saying so,
// one gzipped and saying so; whole, or the part that is asked for.
func (k *rocket) writeExport(w http.ResponseWriter, r *http.Request, row int) {
	file := k.s.company.exportLines(row)
	w.Header().Set("Content-Type", "application/octet-stream")
	if row%3 != 0 {
		var buf bytes.Buffer
		z := gzip.NewWriter(&buf)
		_, _ = z.Write(file) // to memory
		_ = z.Close()
		file = buf.Bytes()
		if row%3 == 2 {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Length", strconv.Itoa(len(file)))
		}
	}
	sum := sha256.Sum256(file)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
}
