package services

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/logrocket"
	"sightline/internal/services/upstream"
)

// WebhookPath is where vendors report to; the secret part of the address follows.
const WebhookPath = "/webhooks/logrocket/"

// pollGap is the least time between two questions about one highlight, however
// often LogRocket reports on it.
const pollGap = time.Second

// ReceiveWebhooks says under which address vendors reach Sightline. Without it,
// or with one that LogRocket cannot reach, results are only asked for. Call it
// before Start.
func (s *Services) ReceiveWebhooks(base *url.URL) {
	if base != nil && !reachable(base, s.Connections.vendors.LogRocketURL) {
		base = nil
	}
	s.Highlights.hooks = base
}

// reachable reports whether a vendor can post to base: over https from
// anywhere, or because both are inside the same network. Names are taken for
// public ones, but for localhost.
func reachable(base *url.URL, vendor string) bool {
	v, err := url.Parse(vendor)
	if err == nil && upstream.IsInside(v.Hostname()) {
		return true
	}
	return base.Scheme == "https" && !upstream.IsInside(base.Hostname())
}

// HasReports says whether LogRocket is told where to report that highlights are
// ready.
func (h *Highlights) HasReports() bool { return h.hooks != nil }

// newHook makes the address that LogRocket may report to, with the hash by
// which it is found again. Both are empty if LogRocket cannot reach us.
func (h *Highlights) newHook() (address string, hash []byte) {
	if h.hooks == nil {
		return "", nil
	}
	token := randomToken()
	return h.hooks.JoinPath(WebhookPath, token).String(), hookHash(token)
}

func hookHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// Hook is the highlight that a webhook's address belongs to.
type Hook struct {
	org OrgID
	id  HighlightID
}

// Hook finds whose address ends with token. An unknown one is NotFound, the
// same as one that never was.
func (h *Highlights) Hook(ctx context.Context, token string) (Hook, error) {
	row, err := h.db.HookedHighlightUnscoped(ctx, hookHash(token))
	if err != nil {
		return Hook{}, notFound(err, "There is no such address.")
	}
	return Hook{org: row.Org, id: HighlightID(row.ID)}, nil
}

// requestForm is what a request id may look like: LogRocket's are 64
// hexadecimal digits, the contract says only that they are texts.
var requestForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// Report takes a webhook for a hint that LogRocket has a result, and has it
// fetched: what it carries is never taken for the result. The body may be cut
// off or anything else; from it only the request id is read, which is needed
// where LogRocket's answer to the request was lost.
func (h *Highlights) Report(ctx context.Context, hook Hook, body []byte) error {
	row, err := h.db.Org(hook.org).Highlight(ctx, hook.id)
	if err != nil {
		return fmt.Errorf("read highlight %d: %w", hook.id, err)
	}
	now := h.now()
	r := db.HookReport{At: now, PollAt: now, Deadline: now.Add(h.opt.Deadline), Revived: db.HistoryEntry{
		At: now, ActorName: "LogRocket", Action: "highlight.report", Subject: row.Subject, Connection: row.Connection,
		Summary: fmt.Sprintf("Reported on the highlights of %s after all, so Sightline fetches them.", row.Subject),
	}}
	if next := row.PolledAt.Add(pollGap); next.After(now) {
		r.PollAt = next
	}
	if answer, err := logrocket.ParseHighlights(body); err == nil && requestForm.MatchString(answer.RequestID) {
		r.RequestID = answer.RequestID
	}
	err = h.db.Org(hook.org).ReportHighlight(ctx, hook.id, r, h.queue.put(jobHighlight, hook.org, r.PollAt.Sub(now)))
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return fmt.Errorf("store a report on highlight %d: %w", hook.id, err)
	}
	return nil
}
