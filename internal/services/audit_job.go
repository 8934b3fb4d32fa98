package services

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/logrocket"
	"sightline/internal/services/upstream"
)

// Limits of what is kept of an entry, in characters.
const (
	maxAuditName = 1024 // of who and of the action
	maxAuditText = 4000 // of the description
)

// run is one job.
func (a *Audits) run(ctx context.Context, org OrgID, conn ConnectionID) (time.Duration, error) {
	o := a.db.Org(org)
	return turns[db.AuditFollow]{
		claim: func(ctx context.Context, now time.Time) (db.AuditFollow, error) {
			return o.ClaimAudit(ctx, conn, now, now.Add(syncLease))
		},
		row: func(ctx context.Context) (db.AuditFollow, error) { return o.AuditFollow(ctx, conn) },
		next: func(f db.AuditFollow) time.Time {
			if !f.Enabled {
				return time.Time{}
			}
			return f.NextAt
		},
		work: func(ctx context.Context, f db.AuditFollow) (db.SyncOutcome, bool) { return a.turn(ctx, org, f) },
		end: func(ctx context.Context, f db.AuditFollow, end db.SyncOutcome) (db.AuditFollow, error) {
			return o.EndAudit(ctx, conn, f, end)
		},
	}.run(ctx, a.now)
}

// auditWalk is a turn through a log.
type auditWalk struct {
	follow db.AuditFollow
	app    string // whose log it is
	cursor string // with which the next page is asked for
	limit  int
	byTime bool // the cursor was not accepted, and is a time now
	// asked are the cursors that the turn has asked with.
	asked map[string]bool
	// fresh counts new entries, empty pages in a row without any.
	fresh int64
	empty int
	// stuck says that the vendor has more but leads to where the turn has been.
	stuck bool
}

// turn reads what is new, at most a.pages pages. stop says that there will be
// nothing to do until somebody wakes it.
func (a *Audits) turn(ctx context.Context, org OrgID, claimed db.AuditFollow) (end db.SyncOutcome, stop bool) {
	client, conn, err := a.connections.logrocket(ctx, org, claimed.Connection)
	if err != nil {
		return a.afterError(ctx, conn, claimed, err)
	}
	ctx = withSpender(ctx, spender{Org: org, Connection: conn.ID, Background: true})
	w := &auditWalk{follow: claimed, app: conn.OrgSlug + "/" + conn.AppSlug, limit: logrocket.MaxAuditLimit, asked: map[string]bool{}}
	if claimed.App == w.app { // a cursor of another app's log means nothing in this one
		w.cursor = claimed.Cursor
	}
	began := time.Now()
	for range a.pages {
		if ctx.Err() != nil || a.queue.stopping() || time.Since(began) > syncTurn {
			return db.SyncOutcome{NextAt: a.now()}, false
		}
		page, err := a.ask(ctx, org, client, w)
		if err != nil {
			return a.afterError(ctx, conn, w.follow, err)
		}
		further, err := a.store(ctx, org, w, page)
		if err != nil {
			return a.afterError(ctx, conn, w.follow, err)
		}
		if !further {
			return a.rest(w, conn), false
		}
	}
	if w.fresh > 0 {
		return db.SyncOutcome{NextAt: a.now().Add(a.soon)}, false
	}
	return a.rest(w, conn), false
}

// rest is a turn's end until the next look.
func (a *Audits) rest(w *auditWalk, conn Connection) db.SyncOutcome {
	end := db.SyncOutcome{NextAt: a.now().Add(a.every - a.every/20 + a.jitter(a.every/10))}
	if w.stuck {
		end.Waiting = waitStuck
		end.Message = fmt.Sprintf("LogRocket (connection “%s”) says that its audit log goes on, but leads to where it was.", conn.Name)
	}
	return end
}

// ask asks for the next page. Where the vendor takes the question for wrong, it
// may mean the size of the page or a cursor that it does not know any more: it
// is asked for a small one, then from the time of the newest entry on.
func (a *Audits) ask(ctx context.Context, org OrgID, client *logrocket.Client, w *auditWalk) (logrocket.AuditPage, error) {
	for {
		page, err := client.ListAuditLogs(ctx, logrocket.AuditQuery{Cursor: w.cursor, Limit: w.limit})
		if upstream.KindOf(err) != upstream.Invalid || auditRefusal(err) {
			return page, err
		}
		switch {
		case w.limit > auditFew:
			w.limit = auditFew
		case w.cursor != "" && !w.byTime:
			newest, lerr := a.db.Org(org).AuditEntries(ctx, db.AuditFilter{Connection: w.follow.Connection, Limit: 1})
			if lerr != nil {
				return page, lerr
			}
			w.byTime, w.cursor = true, ""
			if len(newest) > 0 {
				w.cursor = strconv.FormatInt(newest[0].At.UnixMilli(), 10)
			}
		default:
			return page, err
		}
	}
}

// store keeps a page, and with it where to go on, and says whether to do so now.
func (a *Audits) store(ctx context.Context, org OrgID, w *auditWalk, page logrocket.AuditPage) (further bool, err error) {
	now := a.now()
	rows := make([]db.NewAuditEntry, len(page.Entries))
	for i, e := range page.Entries {
		rows[i] = newAuditEntry(e, now)
	}
	asked := w.cursor
	w.asked[asked] = true
	before := w.follow.Pages
	w.follow, err = a.db.Org(org).PutAuditPage(ctx, w.follow, rows, now, func(fresh int64) db.AuditPlace {
		p := db.AuditPlace{App: w.app, Cursor: page.Cursor, Ended: !page.More}
		further, w.stuck = page.More, false
		switch {
		case page.Cursor == "" || fresh == 0 && isBefore(page.Cursor, asked):
			// No way on, or back to what is known: the place that was asked for stays.
			p.Cursor, further, w.stuck = asked, false, page.More
		case w.asked[page.Cursor]:
			further, w.stuck = false, page.More
		}
		if w.empty++; len(rows) > 0 {
			w.empty = 0
		}
		w.fresh += fresh
		w.cursor = p.Cursor
		return p
	})
	if err != nil {
		return false, err
	}
	// Somebody else read on, or it is switched off by now.
	if w.follow.Pages != before+1 || !w.follow.Enabled || w.empty >= auditEmpty {
		further = false
	}
	return further, nil
}

// isBefore says of two cursors that are numbers whether the first is the
// smaller one. They are said to be opaque, so it counts only where nothing new
// came with it.
func isBefore(cursor, than string) bool {
	a, err1 := strconv.ParseInt(cursor, 10, 64)
	b, err2 := strconv.ParseInt(than, 10, 64)
	return err1 == nil && err2 == nil && a < b
}

// newAuditEntry is an entry as it is stored. What tells it from others is what
// it says: the vendor gives entries no id, and repeats some at a page's end.
func newAuditEntry(e logrocket.AuditEntry, now time.Time) db.NewAuditEntry {
	row := db.NewAuditEntry{AuditEntry: db.AuditEntry{
		At: e.At, Timed: !e.At.IsZero(), Who: alertText(e.User, maxAuditName), Action: alertText(e.Action, maxAuditName),
		Description: alertText(e.Description, maxAuditText), RecordingID: e.RecordingID, SessionID: e.SessionID,
	}}
	row.WhoNorm = db.Normalize(row.Who)
	moment := e.TimeText
	if row.Timed {
		moment = strconv.FormatInt(e.At.UnixMilli(), 10)
	} else {
		row.At = now
	}
	sum := sha256.New()
	for _, part := range []string{moment, row.WhoNorm, e.Action, e.Description} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	row.Hash = sum.Sum(nil)
	return row
}

// auditRefusal says that the vendor does not let us read the log: no permission,
// no such thing in the plan.
func auditRefusal(err error) bool {
	var e *upstream.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Kind {
	case upstream.WrongKey, upstream.Forbidden, upstream.NotFound:
		return true
	}
	return e.Status == http.StatusMethodNotAllowed
}

// auditSentence says why a log cannot be read.
func auditSentence(conn Connection, err error, now time.Time) string {
	var e *upstream.Error
	if !auditRefusal(err) || !errors.As(err, &e) || e.Kind == upstream.WrongKey {
		msg, _ := said(conn, err, now)
		return msg
	}
	if e.Kind == upstream.Forbidden {
		return strings.TrimSuffix(vendorError(conn, err, now).Msg, fromMirror) + " Not every LogRocket plan has an audit log."
	}
	return fmt.Sprintf("LogRocket (connection “%s”) has no audit log for this key%s. Its plan may not have one, or the key may not read it.", conn.Name, answered(e))
}

// afterError says when to try again, or that it is not to be. Nothing is lost
// meanwhile: the cursor stands where the last page was stored.
func (a *Audits) afterError(ctx context.Context, conn Connection, row db.AuditFollow, err error) (end db.SyncOutcome, stop bool) {
	now := a.now()
	if end, stop, ok := cutShort(ctx, conn, db.SyncOutcome{Failures: row.Failures, Waiting: row.Waiting, Message: row.Message}, err, now); ok {
		return end, stop
	}
	a.log.WarnContext(ctx, "audit log was not read", "org", int64(conn.Org), "connection", int64(row.Connection), "failures", row.Failures+1, "err", err)
	end = db.SyncOutcome{Failures: row.Failures + 1, Waiting: waitDown, FailedAt: now, Message: auditSentence(conn, err, now)}
	pause := pauseAfter(row.Failures)
	switch {
	case auditRefusal(err) && (row.ReadAt.IsZero() || row.Waiting == waitDoubt):
		end.Waiting, end.NextAt = db.AuditRefused, now
		return end, true
	case auditRefusal(err): // it has worked: perhaps the vendor has a bad day
		end.Waiting, pause = waitDoubt, maxSyncPause
	case upstream.KindOf(err) == upstream.RateLimited:
		end.Waiting = waitBlocked
		if until := retryAt(err); until.After(now) {
			end.NextAt = until
			return end, false
		}
	case upstream.KindOf(err) == "":
		end.Waiting, end.Message = waitInternal, "Something in Sightline itself failed; the log has the cause."
	}
	end.NextAt = now.Add(pause - pause/5 + a.jitter(pause/5))
	return end, false
}
