package services

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/logrocket"
	"sightline/internal/services/upstream"
)

// jobHighlight is the queue's kind for highlights.
const jobHighlight = "highlight"

// pollLease is how long a job keeps its turn to ask for a result: longer than
// any call takes, so that no second job asks meanwhile.
const pollLease = jobTimeout

// busyRows are the rows that a job of this process is sending. A row that
// stands in "sending" but is not among them was left there by a crash or a
// failed write.
type busyRows struct {
	mu   sync.Mutex
	rows map[int64]bool
}

// enter marks a row; false if it is marked already.
func (b *busyRows) enter(id int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rows[id] {
		return false
	}
	if b.rows == nil {
		b.rows = map[int64]bool{}
	}
	b.rows[id] = true
	return true
}

func (b *busyRows) leave(id int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.rows, id)
}

// mayHaveArrived reports whether a vendor may have done what a failed call
// asked for. An answer of the 400s says that it has not.
func mayHaveArrived(err error) bool {
	var e *upstream.Error
	if !errors.As(err, &e) {
		return true
	}
	return e.Sent && (e.Status < 400 || e.Status >= 500)
}

// neverLeft reports whether a failed call certainly did not leave this machine.
func neverLeft(err error) bool {
	var e *upstream.Error
	return errors.As(err, &e) && !e.Sent
}

// said is the sentence about a failed call, without what only fits pages that
// show the mirror.
func said(c Connection, err error, now time.Time) (msg, kind string) {
	e := vendorError(c, err, now)
	kind = string(upstream.KindOf(err))
	if kind == "" {
		kind = string(e.Kind)
	}
	return strings.TrimSuffix(e.Msg, fromMirror), kind
}

// persist stores an outcome even while Sightline stops, and tries more than
// once: what a vendor has done must not be forgotten over a busy disk.
func persist(ctx context.Context, store func(context.Context) error) error {
	ctx = context.WithoutCancel(ctx)
	pause := 50 * time.Millisecond
	for {
		err := store(ctx)
		if err == nil || errors.Is(err, db.ErrNotFound) || pause > time.Second {
			return err
		}
		time.Sleep(pause)
		pause *= 2
	}
}

// settle ends what a crash left in "sending", and gives every other open row a
// fresh job: the one it had may have been cut off. Where it was not, the second
// finds that it is not its turn.
func (h *Highlights) settle(ctx context.Context) error {
	if err := h.db.DuePollsUnscoped(ctx, h.now()); err != nil {
		return err
	}
	rows, err := h.db.OpenHighlightsUnscoped(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if HighlightState(r.State) == HighlightSending {
			row, err := h.db.Org(r.Org).Highlight(ctx, HighlightID(r.ID))
			if err != nil {
				return err
			}
			if _, err := h.endLost(ctx, r.Org, row, h.lost(row)); err != nil {
				return err
			}
		}
		if err := h.queue.again(ctx, jobHighlight, r.Org, r.ID, 0); err != nil {
			return err
		}
	}
	return nil
}

// lost is the outcome of a request that was cut off while it was being sent.
func (h *Highlights) lost(row db.Highlight) db.HighlightOutcome {
	return db.HighlightOutcome{
		State: string(HighlightUnknown),
		Message: "Sightline was cut off while it sent this request. We do not know whether LogRocket got it. If it did, it works on a job whose " +
			"number is lost, and asking again starts, and may bill, a second one.",
		History: db.HistoryEntry{Action: "highlight.unknown", Summary: fmt.Sprintf("Nobody knows whether the request for highlights of %s arrived.", row.Subject)},
	}
}

// run moves one highlight on by a step.
func (h *Highlights) run(ctx context.Context, org OrgID, id int64) (time.Duration, error) {
	row, err := h.db.Org(org).Highlight(ctx, HighlightID(id))
	if err != nil {
		return 0, err
	}
	switch HighlightState(row.State) {
	case HighlightQueued:
		return h.send(ctx, org, row)
	case HighlightSending:
		if !h.busy.enter(id) {
			return 0, nil
		}
		defer h.busy.leave(id)
		return h.endLost(ctx, org, row, h.lost(row))
	case HighlightPending:
		return h.poll(ctx, org, row)
	}
	return 0, nil
}

// end stores how a highlight ended, from the state it was read in.
func (h *Highlights) end(ctx context.Context, org OrgID, row db.Highlight, out db.HighlightOutcome) error {
	out.At = h.now()
	out.History.At, out.History.ActorName, out.History.Connection, out.History.Subject = out.At, "Sightline", row.Connection, row.Subject
	err := persist(ctx, func(ctx context.Context) error {
		return h.db.Org(org).EndHighlight(ctx, row.ID, []string{row.State}, out)
	})
	// Not found: it has moved on by another job, or somebody stopped waiting.
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return fmt.Errorf("end highlight %d as %s: %w", row.ID, out.State, err)
	}
	return nil
}

func (h *Highlights) failed(row db.Highlight, msg, kind string) db.HighlightOutcome {
	return db.HighlightOutcome{
		State: string(HighlightFailed), Message: msg, ErrorKind: kind,
		History: db.HistoryEntry{Action: "highlight.failed", Summary: fmt.Sprintf("No highlights of %s: %s", row.Subject, msg)},
	}
}

// send posts the request, once. "Sending" is committed before anything leaves,
// so that whoever finds it there later knows that it may have arrived.
func (h *Highlights) send(ctx context.Context, org OrgID, row db.Highlight) (time.Duration, error) {
	if !h.busy.enter(int64(row.ID)) {
		return 0, nil
	}
	defer h.busy.leave(int64(row.ID))
	id := row.ID
	back := func(ctx context.Context) error { return h.db.Org(org).PutBackHighlight(ctx, id) }
	client, conn, err := h.conns.logrocket(ctx, org, row.Connection)
	if stopped(ctx) {
		return 0, nil
	}
	if err != nil {
		msg, kind := said(conn, err, h.now())
		return 0, h.end(ctx, org, row, h.failed(row, msg, kind))
	}
	hook, hash := h.newHook()
	if row, err = h.db.Org(org).StartHighlight(ctx, id, h.now(), hash); err != nil {
		if stopped(ctx) {
			return 0, putBack(ctx, back)
		}
		return 0, err
	}
	request := logrocket.HighlightsRequest{Question: row.Question, Start: row.Start, End: row.End, WebhookURL: hook}
	if row.SubjectKind == "email" {
		request.UserEmail = row.Subject
	} else {
		request.UserID = row.Subject
	}
	answer, err := client.CreateHighlights(h.spending(ctx, org, row, false), request)
	if stopped(ctx) && neverLeft(err) {
		return 0, putBack(ctx, back)
	}
	if err != nil {
		msg, kind := said(conn, err, h.now())
		out := h.failed(row, msg, kind)
		if mayHaveArrived(err) {
			out = h.lost(row)
			out.ErrorKind = kind
			out.Message = msg + " We do not know whether LogRocket got the request. If it did, asking again starts, and may bill, a second job."
		}
		if out.State == string(HighlightUnknown) {
			return h.endLost(context.WithoutCancel(ctx), org, row, out) // also while Sightline stops
		}
		return 0, h.end(ctx, org, row, out)
	}
	now := h.now()
	next := now.Add(h.opt.FirstPoll)
	if answer.Status == logrocket.Done || answer.Status == logrocket.Failed {
		next = now
	}
	if row, err = h.await(ctx, org, row, answer.RequestID, answer.VendorStatus, next); err != nil {
		return 0, err
	}
	if end, ok := h.outcome(row, conn, answer); ok {
		return 0, h.end(ctx, org, row, end)
	}
	return max(row.NextPollAt.Sub(now), time.Millisecond), nil
}

// await stores that LogRocket has a request, under the id it gave.
func (h *Highlights) await(ctx context.Context, org OrgID, row db.Highlight, requestID, status string, next time.Time) (out db.Highlight, err error) {
	err = persist(ctx, func(ctx context.Context) (err error) {
		out, err = h.db.Org(org).AwaitHighlight(ctx, row.ID, requestID, status, next, row.SentAt.Add(h.opt.Deadline))
		return err
	})
	if err != nil {
		return out, fmt.Errorf("store request id of highlight %d: %w", row.ID, err)
	}
	return out, nil
}

// endLost ends a request of which nobody knows whether it arrived, unless
// LogRocket has meanwhile reported on it and said under which id: then it has
// arrived, and is waited for like any other.
func (h *Highlights) endLost(ctx context.Context, org OrgID, row db.Highlight, out db.HighlightOutcome) (time.Duration, error) {
	now, err := h.db.Org(org).Highlight(ctx, row.ID)
	if err != nil {
		return 0, err
	}
	if now.HookRequestID == "" {
		return 0, h.end(ctx, org, row, out)
	}
	if _, err := h.await(ctx, org, now, now.HookRequestID, "", h.now()); err != nil {
		return 0, err
	}
	return time.Millisecond, nil
}

func (h *Highlights) spending(ctx context.Context, org OrgID, row db.Highlight, background bool) context.Context {
	return withSpender(ctx, spender{Org: org, Connection: row.Connection, Actor: row.Author, Customer: row.Customer, Background: background})
}

// outcome is how an answer ends a highlight; false if it does not.
func (h *Highlights) outcome(row db.Highlight, conn Connection, a logrocket.HighlightsAnswer) (db.HighlightOutcome, bool) {
	switch {
	case a.Status == logrocket.Failed:
		out := h.failed(row, fmt.Sprintf("LogRocket (connection “%s”) could not make these highlights: it says “%s” and nothing more. Often that is because it holds no sessions of this user in the range. Ask again with another range or another id.", conn.Name, oneLine(a.VendorStatus)), "")
		out.VendorStatus = a.VendorStatus
		return out, true
	case a.Status != logrocket.Done || a.Result == nil:
		return db.HighlightOutcome{}, false
	}
	out := db.HighlightOutcome{State: string(HighlightReady), VendorStatus: a.VendorStatus, Markdown: a.Result.Highlights}
	for _, s := range a.Result.Sessions {
		out.Sessions = append(out.Sessions, db.HighlightSession{RecordingID: s.RecordingID, SessionID: s.SessionID, Markdown: s.Highlights})
		if at, ok := logrocket.RecordingStart(s.RecordingID); ok && at.After(out.SeenAt) && !at.After(h.now()) {
			out.SeenAt = at
		}
	}
	count := fmt.Sprintf("%d recording sessions", len(out.Sessions))
	if len(out.Sessions) == 1 {
		count = "1 recording session"
	}
	out.History = db.HistoryEntry{Action: "highlight.ready", Summary: fmt.Sprintf("Highlights of %s are ready: %s.", row.Subject, count)}
	return out, true
}

// pause is how long to wait after so many polls.
func (h *Highlights) pause(polls int) time.Duration {
	p := float64(h.opt.FirstPoll) * math.Pow(h.opt.Growth, float64(min(polls, 100)))
	return time.Duration(min(p, float64(h.opt.MaxPoll)))
}

// poll asks for the result if it is time to, and says when to ask again.
func (h *Highlights) poll(ctx context.Context, org OrgID, row db.Highlight) (time.Duration, error) {
	now := h.now()
	if wait := row.NextPollAt.Sub(now); wait > 0 {
		return max(wait, time.Millisecond), nil // not its turn
	}
	row, err := h.db.Org(org).ClaimPoll(ctx, row.ID, now, now.Add(pollLease))
	if errors.Is(err, db.ErrNotFound) {
		return h.opt.MaxPoll, nil // another job asks; look later whether it still does
	}
	if err != nil {
		return 0, err
	}
	client, conn, err := h.conns.logrocket(ctx, org, row.Connection)
	if conn.Removed() {
		return 0, h.end(ctx, org, row, h.failed(row, fmt.Sprintf("The connection “%s” was removed while LogRocket worked, so its result cannot be fetched.", conn.Name), ""))
	}
	var answer logrocket.HighlightsAnswer
	if err == nil {
		// Nobody waits for this one: the member may have left long ago.
		answer, err = client.GetHighlights(h.spending(ctx, org, row, true), row.RequestID)
	}
	if err != nil && stopped(ctx) { // the next start asks
		return 0, nil
	}
	if err == nil && !strings.EqualFold(answer.RequestID, row.RequestID) {
		answer, err = logrocket.HighlightsAnswer{}, &Error{Kind: Unavailable, Msg: fmt.Sprintf("LogRocket (connection “%s”) answered about another request than the one asked for, so its answer was thrown away.", conn.Name)}
	}
	if err == nil {
		if end, ok := h.outcome(row, conn, answer); ok {
			return 0, h.end(ctx, org, row, end)
		}
	}
	return h.waitOn(ctx, org, row, conn, answer, err)
}

// waitOn stores what a question brought that did not end the highlight, and
// decides when to ask again or that it has been long enough.
func (h *Highlights) waitOn(ctx context.Context, org OrgID, row db.Highlight, conn Connection, answer logrocket.HighlightsAnswer, failure error) (time.Duration, error) {
	now := h.now()
	p := db.Poll{At: now, Answered: true, VendorStatus: answer.VendorStatus, Next: now.Add(h.pause(row.Polls + 1))}
	if failure != nil {
		p.Message, p.ErrorKind = said(conn, failure, h.now())
		if upstream.KindOf(failure) == upstream.NotFound {
			p.Misses = row.Misses + 1
			if p.Misses >= h.opt.MaxMisses {
				return 0, h.end(ctx, org, row, h.failed(row, fmt.Sprintf("LogRocket (connection “%s”) does not know this request any more: it said so %d times in a row. Ask again.", conn.Name, p.Misses), p.ErrorKind))
			}
		}
		if until := retryAt(failure); until.After(p.Next) && !h.rotatedSince(ctx, conn) {
			p.Next = until
		}
	}
	if !now.Before(row.DeadlineAt) {
		if failure == nil && answer.Status == logrocket.Unknown {
			answer.Status = logrocket.Done // another word for it, if it came with a result
		}
		if end, ok := h.outcome(row, conn, answer); ok && failure == nil {
			return 0, h.end(ctx, org, row, end)
		}
		return 0, h.end(ctx, org, row, h.expired(row, p.Message))
	}
	if p.Next.After(row.DeadlineAt) {
		p.Next = row.DeadlineAt // a last look, then it has been long enough
	}
	err := persist(ctx, func(ctx context.Context) error { return h.db.Org(org).PolledHighlight(ctx, row.ID, p) })
	if errors.Is(err, db.ErrNotFound) {
		return 0, nil // somebody stopped waiting meanwhile
	}
	if err != nil {
		// The job is what keeps the row moving: it must come back.
		h.log.ErrorContext(ctx, "a poll of highlights was not stored", "highlight", int64(row.ID), "err", err)
	}
	return max(p.Next.Sub(now), time.Millisecond), nil
}

// rotatedSince says whether a connection has other credentials by now: then how
// long the vendor holds back the old ones is no matter.
func (h *Highlights) rotatedSince(ctx context.Context, c Connection) bool {
	now, err := h.conns.Get(ctx, c.Org, c.ID)
	return err == nil && !now.RotatedAt.Equal(c.RotatedAt)
}

// wake asks at once about what waits for a connection because of an answer to
// its old credentials.
func (h *Highlights) wake(ctx context.Context, org OrgID, conn ConnectionID) error {
	now := h.now()
	// What is asked about soon anyway, or just now, is left as it is.
	return h.db.Org(org).WakeHighlights(ctx, conn, now, now.Add(max(h.opt.MaxPoll, pollLease)), h.queue.put(jobHighlight, org, 0))
}

func (h *Highlights) expired(row db.Highlight, problem string) db.HighlightOutcome {
	msg := "LogRocket has not finished in time. It may still: its result can be fetched for a while without a new job."
	if problem != "" {
		msg = "LogRocket's result could not be fetched in time. The last answer: " + problem + " It may be there by now: fetching it starts no new job."
	}
	return db.HighlightOutcome{
		State: string(HighlightExpired), Message: msg,
		History: db.HistoryEntry{Action: "highlight.expired", Summary: fmt.Sprintf("Stopped waiting for highlights of %s: it took too long.", row.Subject)},
	}
}

// retryAt is when a vendor, or our own ledger, lets the next call through.
func retryAt(err error) time.Time {
	if r, ok := db.IsRefused(err); ok {
		return r.Until
	}
	var e *upstream.Error
	if errors.As(err, &e) {
		return e.Until
	}
	return time.Time{}
}
