package services

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/logrocket"
	"sightline/internal/services/upstream"
)

// run is one job.
func (e *Exports) run(ctx context.Context, org OrgID, conn ConnectionID) (time.Duration, error) {
	o := e.db.Org(org)
	return turns[db.ExportFollow]{
		claim: func(ctx context.Context, now time.Time) (db.ExportFollow, error) {
			return o.ClaimExports(ctx, conn, now, now.Add(exportsLimit+time.Minute))
		},
		row: func(ctx context.Context) (db.ExportFollow, error) { return o.ExportFollow(ctx, conn) },
		next: func(f db.ExportFollow) time.Time {
			if !f.Enabled {
				return time.Time{}
			}
			return f.NextAt
		},
		work: func(ctx context.Context, f db.ExportFollow) (db.SyncOutcome, bool) {
			ctx, stop := context.WithCancel(ctx)
			defer stop()
			e.stopWith(conn, stop)
			defer e.stopWith(conn, nil)
			return e.turn(ctx, org, f)
		},
		end: func(ctx context.Context, f db.ExportFollow, end db.SyncOutcome) (db.ExportFollow, error) {
			return o.EndExports(ctx, conn, f, end)
		},
	}.run(ctx, e.now)
}

// stopWith remembers what cuts off the turn of a connection; nil that it has none.
func (e *Exports) stopWith(conn ConnectionID, stop context.CancelFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if stop == nil {
		delete(e.stops, conn)
		return
	}
	e.stops[conn] = stop
}

// exportWalk is a turn.
type exportWalk struct {
	org    OrgID
	conn   Connection
	client *logrocket.Client
	follow db.ExportFollow
	app    string
	// asked are the cursors that the turn has asked with; ended says that the list
	// has no more for now, stuck that it leads to where the turn has been.
	asked        map[string]bool
	ended, stuck bool
	pace         *pace

	mu sync.Mutex
	// failed is the first error that is about more than one file; failures counts
	// the files in a row that could not be had.
	failed   error
	failures int
	// stored is how many bytes the files fill that are kept, coming how many those
	// will fill that are on their way.
	stored int64
	coming map[ExportFileID]int64
}

// errLater is the cause of a file for which there is room once another one that
// is on its way has come, and may have turned out smaller.
var errLater = errors.New("there is no room for the file beside those on their way")

// room keeps room for a file of so many bytes, in the place of what was kept for
// it before.
func (w *exportWalk) room(id ExportFileID, bytes int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	others := int64(0)
	for other, n := range w.coming {
		if other != id {
			others += n
		}
	}
	switch {
	case w.stored+bytes > w.follow.Quota:
		return quotaError(w.follow)
	case w.stored+others+bytes > w.follow.Quota:
		return errLater
	}
	w.coming[id] = bytes
	return nil
}

// came gives the room of a file back, but for what is kept of it.
func (w *exportWalk) came(id ExportFileID, stored int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.coming, id)
	w.stored += stored
}

// turn lists what is new and gets files until there is nothing to do, or its
// time is up. over says that there will be nothing to do until somebody wakes it.
func (e *Exports) turn(ctx context.Context, org OrgID, claimed db.ExportFollow) (end db.SyncOutcome, over bool) {
	client, conn, err := e.connections.logrocket(ctx, org, claimed.Connection)
	if err != nil {
		return e.afterError(ctx, conn, claimed, err)
	}
	ctx = withSpender(ctx, spender{Org: org, Connection: conn.ID, Background: true})
	w := &exportWalk{org: org, conn: conn, client: client, follow: claimed, app: conn.OrgSlug + "/" + conn.AppSlug, asked: map[string]bool{}, coming: map[ExportFileID]int64{}, pace: e.paceOf(conn.ID, claimed.Rate)}
	if claimed.App != w.app { // a cursor of another app's list means nothing in this one
		w.follow.Cursor = ""
	}
	if err := e.retire(ctx, db.Keeping{Org: org, Connection: conn.ID, KeepDays: w.follow.KeepDays}); err != nil {
		return e.afterError(ctx, conn, w.follow, err)
	}
	for began := time.Now(); time.Since(began) < exportsTurn; {
		if ctx.Err() != nil || e.queue.stopping() {
			return db.SyncOutcome{NextAt: e.now()}, false
		}
		more, err := e.step(ctx, w)
		if err != nil {
			return e.afterError(ctx, conn, w.follow, err)
		}
		if !more {
			return e.rest(ctx, w), false
		}
	}
	return db.SyncOutcome{NextAt: e.now()}, false
}

// step lists a page if few files wait, and gets some of those that do. It says
// whether there was anything to do.
func (e *Exports) step(ctx context.Context, w *exportWalk) (more bool, err error) {
	o := e.db.Org(w.org)
	totals, err := o.ExportTotals(ctx, w.conn.ID)
	if err != nil {
		return false, err
	}
	if totals.Stored >= w.follow.Quota {
		return false, quotaError(w.follow)
	}
	w.stored = totals.Stored // nothing is on its way now
	if !w.ended && totals.Waiting < exportsAhead {
		if err := e.list(ctx, w); err != nil {
			return false, err
		}
		more = true
	}
	due, err := o.DueExportFiles(ctx, w.conn.ID, e.now(), 4*exportsAtOnce)
	if err != nil || len(due) == 0 {
		return more, err
	}
	files := make(chan ExportFile, len(due))
	for _, f := range due {
		files <- f
	}
	close(files)
	var workers sync.WaitGroup
	for range exportsAtOnce {
		workers.Go(func() {
			for f := range files {
				if ctx.Err() != nil || e.queue.stopping() || w.broken() != nil {
					return
				}
				w.note(e.fetch(ctx, w, f))
			}
		})
	}
	workers.Wait()
	return true, w.broken()
}

func (w *exportWalk) broken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// note counts how getting a file went. An error is about one file alone, until
// several in a row have one.
func (w *exportWalk) note(err error, alone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.failures = 0
	case alone && w.failures < 2*exportsAtOnce:
		w.failures++
	case w.failed == nil:
		w.failed = err
	}
}

// list asks for the next page of the list and stores it.
func (e *Exports) list(ctx context.Context, w *exportWalk) error {
	asked := w.follow.Cursor
	page, err := w.client.ListDataExports(ctx, logrocket.ExportQuery{Cursor: asked, Date: w.follow.From})
	if err != nil {
		return err
	}
	w.asked[asked] = true
	files := make([]db.NewExportFile, len(page.Sessions))
	for i, s := range page.Sessions {
		key, name := exportKey(s.URL)
		files[i] = db.NewExportFile{Key: key, Name: name}
		e.remember(w.conn.ID, key, s.URL)
	}
	place := db.ExportPlace{App: w.app, Cursor: page.Cursor, Ended: page.Last}
	if page.Cursor == "" { // the list says not how it goes on: from here, then
		place.Cursor = asked
	}
	if w.asked[place.Cursor] && !page.Last {
		w.stuck, place.Ended = true, true
	}
	w.ended = place.Ended
	w.follow, _, err = e.db.Org(w.org).PutExportPage(ctx, w.follow, files, e.now(), place)
	return err
}

// expiring are the parts of an address that are about who may use it until
// when, in the signatures of the well-known stores.
var expiring = []string{"x-amz-", "x-goog-", "expires", "signature", "sig", "key-pair-id", "policy", "awsaccesskeyid", "googleaccessid", "se", "sp", "sv", "sr", "st", "ske", "skt", "sks", "skv", "skoid", "sktid", "token", "hdnts"}

// exportKey is what tells the file at an address from others, and its name for
// people. Both are without what expires in the address.
func exportKey(address string) (key, name string) {
	u, err := url.Parse(address)
	if err != nil { // fetching it says why; what may be signed is not kept
		key, _, _ = strings.Cut(address, "?")
		return key, "file"
	}
	q := u.Query()
	for k := range q {
		lower := strings.ToLower(k)
		for _, e := range expiring {
			if lower == e || strings.HasSuffix(e, "-") && strings.HasPrefix(lower, e) {
				q.Del(k)
			}
		}
	}
	key = u.Host + u.EscapedPath()
	if len(q) > 0 {
		key += "?" + q.Encode()
	}
	name = strings.Trim(u.Path, "/")
	if dir, base := path.Split(name); len(base) < 20 { // "0.jsonl" says less than "6-…/0.jsonl"
		name = path.Join(path.Base(dir), base)
	}
	return key, shortTo(db.CleanText(name), 200)
}

const (
	// addressAge is how long an address is tried before it is asked for again, and
	// maxAddresses how many are remembered of a connection.
	addressAge   = 10 * time.Minute
	maxAddresses = 4 * exportsAhead
)

func (e *Exports) remember(conn ConnectionID, key, address string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	of := e.addresses[conn]
	if of == nil || len(of) >= maxAddresses {
		of = map[string]exportAddress{}
		e.addresses[conn] = of
	}
	of[key] = exportAddress{address, e.now()}
}

func (e *Exports) forget(conn ConnectionID, key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.addresses[conn], key)
}

// errUnlisted is the cause of a file whose address the list does not give again.
var errUnlisted = errors.New("the export list does not name the file any more")

// address returns the address of a file, from the list if it is not remembered.
func (e *Exports) address(ctx context.Context, w *exportWalk, f ExportFile) (string, error) {
	known := func() (string, bool) {
		e.mu.Lock()
		defer e.mu.Unlock()
		a, ok := e.addresses[f.Connection][f.Key]
		return a.url, ok && e.now().Sub(a.at) < addressAge
	}
	if address, ok := known(); ok {
		return address, nil
	}
	page, err := w.client.ListDataExports(ctx, logrocket.ExportQuery{Cursor: f.PageCursor, Date: f.PageDate})
	if err != nil {
		return "", err
	}
	for _, s := range page.Sessions {
		key, _ := exportKey(s.URL)
		e.remember(f.Connection, key, s.URL)
	}
	if address, ok := known(); ok {
		return address, nil
	}
	return "", errUnlisted
}

// rest is a turn's end until the next look at the list, or the next file that
// is to be tried again.
func (e *Exports) rest(ctx context.Context, w *exportWalk) db.SyncOutcome {
	now := e.now()
	end := db.SyncOutcome{NextAt: now.Add(e.every - e.every/20 + e.jitter(e.every/10))}
	next, err := e.db.Org(w.org).NextExportFileAt(ctx, w.conn.ID)
	if err == nil && !next.IsZero() && next.Before(end.NextAt) {
		end.NextAt = later(next, now.Add(time.Second))
	}
	if w.stuck {
		end.Waiting = waitStuck
		end.Message = fmt.Sprintf("LogRocket (connection “%s”) says that its export list goes on, but leads to where it was.", w.conn.Name)
	}
	return end
}

// full is the cause of files that may not be kept.
type full struct{ why, msg string }

func (f *full) Error() string { return f.msg }

func quotaError(f db.ExportFollow) error {
	return &full{waitQuota, fmt.Sprintf("The files that are kept fill the quota of %s. Raise it, or let older files go sooner. Nothing is lost: it goes on from here.", byteSize(f.Quota))}
}

// byteSize writes bytes as people read them: "1.5 GB".
func byteSize(n int64) string {
	const unit = 1 << 10
	if n < unit {
		return fmt.Sprintf("%d bytes", n)
	}
	value, name := float64(n)/unit, "KB"
	for _, next := range []string{"MB", "GB", "TB"} {
		if value < unit {
			break
		}
		value, name = value/unit, next
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") + " " + name
}

// afterError says when to try again. Nothing is lost meanwhile: the cursor
// stands where the last page was stored, and each file where it stopped.
func (e *Exports) afterError(ctx context.Context, conn Connection, row db.ExportFollow, err error) (end db.SyncOutcome, over bool) {
	now := e.now()
	var full *full
	if errors.As(err, &full) && ctx.Err() == nil {
		return db.SyncOutcome{NextAt: now.Add(e.every), Waiting: full.why, FailedAt: now, Message: full.msg}, false
	}
	if end, over, ok := cutShort(ctx, conn, db.SyncOutcome{Failures: row.Failures, Waiting: row.Waiting, Message: row.Message}, err, now); ok {
		return end, over
	}
	e.log.WarnContext(ctx, "exports could not be followed", "org", int64(conn.Org), "connection", int64(row.Connection), "failures", row.Failures+1, "err", err)
	msg, _ := said(conn, err, now)
	end = db.SyncOutcome{Failures: row.Failures + 1, Waiting: waitDown, FailedAt: now, Message: msg}
	pause := pauseAfter(row.Failures)
	switch {
	case errors.Is(err, syscall.ENOSPC):
		end.Waiting, end.Message = waitDisk, "The disk is full, so no file can be kept. Make room; it goes on by itself."
	case upstream.KindOf(err) == upstream.RateLimited:
		end.Waiting = waitBlocked
		if until := retryAt(err); until.After(now) {
			end.NextAt = until
			return end, false
		}
	case upstream.KindOf(err) == "":
		end.Waiting, end.Message = waitInternal, "Something in Sightline itself failed; the log has the cause."
	}
	end.NextAt = now.Add(pause - e.jitter(pause/5))
	return end, false
}
