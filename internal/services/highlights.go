package services

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"sightline/internal/db"
	"sightline/internal/services/logrocket"
)

// MaxQuestion is the most characters of a question to LogRocket.
const MaxQuestion = 1000

// HighlightState is how far a request for highlights is.
type HighlightState string

// The states of a highlight. Unknown means that Sightline cannot tell whether
// LogRocket got the request: only a person asks again. Expired and cancelled
// ones may still become ready over there: see Recheck.
const (
	HighlightQueued    HighlightState = "queued"
	HighlightSending   HighlightState = "sending"
	HighlightPending   HighlightState = "pending"
	HighlightReady     HighlightState = "ready"
	HighlightFailed    HighlightState = "failed"
	HighlightUnknown   HighlightState = "unknown"
	HighlightExpired   HighlightState = "expired"
	HighlightCancelled HighlightState = "cancelled"
)

// HighlightStates are all states, in the order in which people filter by them.
func HighlightStates() []HighlightState {
	return []HighlightState{HighlightReady, HighlightPending, HighlightQueued, HighlightSending, HighlightFailed, HighlightUnknown, HighlightExpired, HighlightCancelled}
}

// Open reports whether the highlight will still change by itself.
func (s HighlightState) Open() bool {
	return s == HighlightQueued || s == HighlightSending || s == HighlightPending
}

// HighlightOptions set the pace. Zero fields mean the defaults.
type HighlightOptions struct {
	// FirstPoll is the pause before the first question for the result, 2 s. Each
	// further one is Growth times as long, 1.5, up to MaxPoll, 30 s.
	FirstPoll, MaxPoll time.Duration
	Growth             float64
	// Deadline is how long a result is waited for after sending, 15 minutes.
	Deadline time.Duration
	// MaxMisses is how often in a row LogRocket may answer that it does not know
	// the request before that is believed, 5.
	MaxMisses int
}

func (o *HighlightOptions) fill() {
	if o.FirstPoll <= 0 {
		o.FirstPoll = 2 * time.Second
	}
	if o.MaxPoll <= 0 {
		o.MaxPoll = 30 * time.Second
	}
	if o.Growth < 1 {
		o.Growth = 1.5
	}
	if o.Deadline <= 0 {
		o.Deadline = 15 * time.Minute
	}
	if o.MaxMisses <= 0 {
		o.MaxMisses = 5
	}
}

// Highlights asks LogRocket's Galileo what happened in a customer's sessions
// and keeps what it answers: LogRocket itself forgets it soon. A request is a
// row with a state; a job sends it, at most once because each costs, and asks
// for the result until it is there.
type Highlights struct {
	db    *db.DB
	queue *Queue
	conns *Connections
	log   *slog.Logger
	now   func() time.Time
	opt   HighlightOptions
	busy  busyRows
	// hooks is where LogRocket reports to; nil if it cannot reach us.
	hooks *url.URL
}

func newHighlights(d *db.DB, q *Queue, c *Connections, o HighlightOptions, log *slog.Logger, now func() time.Time) *Highlights {
	o.fill()
	h := &Highlights{db: d, queue: q, conns: c, log: log, now: now, opt: o}
	q.handle(jobHighlight, h.run)
	q.onStart(h.settle)
	c.wakeHighlights = h.wake
	return h
}

// Highlight is one request for highlights and what became of it. Everything
// that came from LogRocket in it is hostile text.
type Highlight struct {
	ID         HighlightID
	Connection ConnectionID
	Customer   CustomerID // 0 while nothing else names the person
	Author     UserID
	AuthorName string // empty if they are gone
	// Email or UserID says whose sessions are looked at: one of them.
	Email, UserID string
	Question      string
	Start, End    time.Time // both zero: LogRocket's own choice
	State         HighlightState
	VendorStatus  string // LogRocket's own word, empty before it said one
	RequestID     string // LogRocket's
	Message       string // a sentence for a person; may quote the vendor
	Markdown      string // over all sessions
	Polls         int
	CreatedAt     time.Time
	SentAt        time.Time // zero until it was sent
	PolledAt      time.Time // when LogRocket was last asked for the result
	NextPollAt    time.Time
	DeadlineAt    time.Time
	FinishedAt    time.Time // zero while open
	// ReportedAt is when LogRocket first called back about it, zero if it has not.
	ReportedAt time.Time
}

// Subject is the email or user id.
func (h Highlight) Subject() string { return h.Email + h.UserID }

// HighlightSession is the part of a result about one recording session.
type HighlightSession struct {
	RecordingID, SessionID string // either may be empty
	Markdown               string
	StartedAt              time.Time // zero if the id does not tell
	URL                    string    // its page in LogRocket's app; empty if it cannot be told
}

func highlightOf(r db.Highlight) Highlight {
	h := Highlight{
		ID: r.ID, Connection: r.Connection, Customer: r.Customer, Author: r.Author, AuthorName: r.AuthorName,
		Question: r.Question, Start: r.Start, End: r.End, State: HighlightState(r.State), VendorStatus: r.VendorStatus,
		RequestID: r.RequestID, Message: r.Message, Markdown: r.Markdown, Polls: r.Polls, CreatedAt: r.CreatedAt,
		SentAt: r.SentAt, PolledAt: r.PolledAt, NextPollAt: r.NextPollAt, DeadlineAt: r.DeadlineAt, FinishedAt: r.FinishedAt,
		ReportedAt: r.HookedAt,
	}
	if r.SubjectKind == "email" {
		h.Email = r.Subject
	} else {
		h.UserID = r.Subject
	}
	return h
}

func highlightsOf(rows []db.Highlight, err error) ([]Highlight, error) {
	out := make([]Highlight, len(rows))
	for i, r := range rows {
		out[i] = highlightOf(r)
	}
	return out, err
}

const noHighlight = "There are no such highlights in this organization."

// HighlightRequest is what a member asks for.
type HighlightRequest struct {
	Connection ConnectionID
	// Customer is who it is about, 0 if not known here.
	Customer CustomerID
	// Email or UserID: one of them.
	Email, UserID string
	Question      string
	// Start and End bound the sessions looked at: both, or neither.
	Start, End time.Time
	// Last, if not 0, is the range from so long ago until now, to the minute.
	Last time.Duration
	// FormToken makes one form count once, however often it is sent.
	FormToken string
}

// check says what is wrong with a request, by field: subject, question, from, to.
func (r HighlightRequest) check() Problems {
	p := Problems{}
	switch {
	case r.Email == "" && r.UserID == "":
		p["subject"] = "Say whose sessions to look at: an email address or a user id."
	case r.Email != "" && !checkEmail(r.Email):
		p["subject"] = "That is no email address such as ada@example.com. For another kind of id, choose “user id”."
	case utf8.RuneCountInString(r.UserID) > logrocket.MaxText:
		p["subject"] = tooLong("user id", r.UserID)
	case !plainText(r.UserID):
		p["subject"] = "The user id holds characters that cannot be sent."
	}
	if n := utf8.RuneCountInString(r.Question); n > MaxQuestion {
		p["question"] = fmt.Sprintf("The question has %d characters; at most %d are sent. Shorten it by %d.", n, MaxQuestion, n-MaxQuestion)
	} else if !utf8.ValidString(r.Question) {
		p["question"] = "The question holds characters that cannot be sent."
	}
	switch {
	case !r.Start.IsZero() && r.End.IsZero():
		p["to"] = "Give an end as well, or neither."
	case r.Start.IsZero() && !r.End.IsZero():
		p["from"] = "Give a start as well, or neither."
	case !r.Start.IsZero() && !r.Start.Before(r.End):
		p["to"] = "The end must come after the start."
	}
	return p
}

// tooLong is the sentence about a text over LogRocket's limit.
func tooLong(what, text string) string {
	n := utf8.RuneCountInString(text)
	return fmt.Sprintf("The %s has %d characters; LogRocket takes at most %d. Shorten it by %d.", what, n, logrocket.MaxText, n-logrocket.MaxText)
}

// plainText reports whether text is valid and holds no control characters.
func plainText(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, isControl) }

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// Request queues a request for highlights. One that asks the same and has not
// ended is joined instead: joined says so. Faults that the person can correct
// come back as problems.
func (h *Highlights) Request(ctx context.Context, actor Actor, r HighlightRequest) (_ Highlight, joined bool, _ Problems, _ error) {
	if actor.Role < Support {
		return Highlight{}, false, nil, &Error{Kind: Denied, Msg: "Requesting highlights costs at LogRocket, so it takes the support role."}
	}
	r.Email, r.UserID, r.Question = strings.TrimSpace(r.Email), strings.TrimSpace(r.UserID), strings.TrimSpace(r.Question)
	if p := r.check(); len(p) > 0 {
		return Highlight{}, false, p, nil
	}
	conn, err := h.conns.Get(ctx, actor.Org, r.Connection)
	if err != nil {
		return Highlight{}, false, nil, err
	}
	// Before the range is worked out: a second press of the button comes later.
	key := formKey(r.FormToken, r)
	if r.Last > 0 {
		r.End = h.now().Truncate(time.Minute)
		r.Start = r.End.Add(-r.Last)
	}
	row := db.Highlight{
		Connection: r.Connection, Customer: r.Customer, Author: actor.User, SubjectKind: "email", Subject: r.Email,
		Question: r.Question, Start: r.Start, End: r.End, CreatedAt: h.now(),
	}
	if r.Email == "" {
		row.SubjectKind, row.Subject = "user_id", r.UserID
	}
	entry := db.HistoryEntry{
		At: h.now(), Actor: actor.User, ActorName: actor.Name, Action: "highlight.request", Subject: row.Subject, Connection: conn.ID,
		Summary: fmt.Sprintf("Asked LogRocket (“%s”) for highlights of %s.", conn.Name, row.Subject), After: askedFor(row),
	}
	out, joined, err := h.db.Org(actor.Org).AddHighlight(ctx, row, key, entry, h.queue.put(jobHighlight, actor.Org, 0))
	if err != nil {
		return Highlight{}, false, nil, notFound(fmt.Errorf("add a highlight on connection %d: %w", r.Connection, err), "That connection or customer is not in this organization any more.")
	}
	return highlightOf(out), joined, nil, nil
}

// askedFor writes question and range for the history.
func askedFor(h db.Highlight) string {
	fields := map[string]string{}
	if h.Question != "" {
		fields["question"] = h.Question
	}
	if !h.Start.IsZero() {
		fields["from"], fields["to"] = h.Start.UTC().Format(time.RFC3339), h.End.UTC().Format(time.RFC3339)
	}
	return historyFields(fields)
}

// formKey makes a form count once for what it says: the same form sent with
// other contents, as after the browser's back button, is another request.
func formKey(token string, contents any) string {
	b, err := json.Marshal(contents)
	if err != nil {
		b = nil // only plain values come here; the token alone still counts
	}
	sum := sha256.Sum256(append([]byte(token+"\n"), b...))
	return hex.EncodeToString(sum[:])
}

// Get finds a highlight.
func (h *Highlights) Get(ctx context.Context, org OrgID, id HighlightID) (Highlight, error) {
	row, err := h.db.Org(org).Highlight(ctx, id)
	if err != nil {
		return Highlight{}, notFound(err, noHighlight)
	}
	return highlightOf(row), nil
}

// Wait returns the highlight once LogRocket has it or it has ended, or as it
// stands after upTo.
func (h *Highlights) Wait(ctx context.Context, org OrgID, id HighlightID, upTo time.Duration) (Highlight, error) {
	return waitFor(ctx, upTo, func() (Highlight, bool, error) {
		row, err := h.Get(ctx, org, id)
		return row, row.State != HighlightQueued && row.State != HighlightSending, err
	})
}

// Sessions lists the parts of a result in LogRocket's order.
func (h *Highlights) Sessions(ctx context.Context, org OrgID, row Highlight) ([]HighlightSession, error) {
	parts, err := h.db.Org(org).HighlightSessions(ctx, row.ID)
	if err != nil || len(parts) == 0 {
		return nil, err
	}
	// Without a client (the connection was removed) the parts are still read,
	// only their links are gone.
	client, _, clientErr := h.conns.logrocket(ctx, org, row.Connection)
	out := make([]HighlightSession, len(parts))
	for i, p := range parts {
		out[i] = HighlightSession{RecordingID: p.RecordingID, SessionID: p.SessionID, Markdown: p.Markdown}
		out[i].StartedAt, _ = logrocket.RecordingStart(p.RecordingID)
		if clientErr == nil {
			out[i].URL = client.SessionURL(p.RecordingID, p.SessionID, time.Time{})
		}
	}
	return out, nil
}

// HighlightFilter selects highlights, newest first. Zero fields select
// everything.
type HighlightFilter struct {
	Customer   CustomerID
	Author     UserID
	Connection ConnectionID
	State      HighlightState
	// Words must all occur in subject, question or result; the last letters of
	// each may be left off. At most MaxHighlightWords characters count.
	Words string
	// Before, if not zero, is where the page before ended: older ones, and at
	// the same millisecond those with a smaller id than BeforeID.
	Before   time.Time
	BeforeID HighlightID
	Since    time.Time // the oldest included
	Limit    int       // at most 500
}

// MaxHighlightWords is how many characters of a search count.
const MaxHighlightWords = 200

func (f HighlightFilter) rows() db.HighlightFilter {
	return db.HighlightFilter{
		Customer: f.Customer, Author: f.Author, Connection: f.Connection, State: string(f.State),
		After: db.Moment{At: f.Before, ID: int64(f.BeforeID)}, Since: f.Since, Limit: f.Limit,
	}
}

// List returns the highlights that a filter selects, without their results.
func (h *Highlights) List(ctx context.Context, org OrgID, f HighlightFilter) ([]Highlight, error) {
	list, _, err := h.Search(ctx, org, f)
	return list, err
}

// Search is List, and where the words are so common and the rest of the filter
// so rare that not all was looked at, the highlight before which to go on; else
// that is 0.
func (h *Highlights) Search(ctx context.Context, org OrgID, f HighlightFilter) (list []Highlight, further HighlightID, err error) {
	o := h.db.Org(org)
	if strings.TrimSpace(f.Words) == "" {
		list, err = highlightsOf(o.Highlights(ctx, f.rows()))
		return list, 0, err
	}
	words := []rune(f.Words)
	rows, further, err := o.SearchHighlights(ctx, f.rows(), string(words[:min(len(words), MaxHighlightWords)]))
	list, err = highlightsOf(rows, err)
	return list, further, err
}

// Recent returns the organization's newest n highlights.
func (h *Highlights) Recent(ctx context.Context, org OrgID, n int) ([]Highlight, error) {
	return h.List(ctx, org, HighlightFilter{Limit: n})
}

// ForCustomer returns a customer's newest highlights, at most limit.
func (h *Highlights) ForCustomer(ctx context.Context, org OrgID, customer CustomerID, limit int) ([]Highlight, error) {
	return h.List(ctx, org, HighlightFilter{Customer: customer, Limit: limit})
}

// Cancel stops waiting for a highlight. LogRocket goes on with what it was
// sent; one that was not sent yet is not. One that is not waiting is a Conflict.
func (h *Highlights) Cancel(ctx context.Context, actor Actor, id HighlightID) error {
	row, err := h.Get(ctx, actor.Org, id)
	if err != nil {
		return err
	}
	out := db.HighlightOutcome{
		State: string(HighlightCancelled), At: h.now(),
		Message: fmt.Sprintf("%s stopped waiting. LogRocket may have gone on: its result can still be fetched for a while.", actor.Name),
		History: db.HistoryEntry{
			At: h.now(), Actor: actor.User, ActorName: actor.Name, Action: "highlight.cancel", Subject: row.Subject(), Connection: row.Connection,
			Summary: fmt.Sprintf("Stopped waiting for highlights of %s.", row.Subject()),
		},
	}
	if row.State == HighlightQueued {
		out.Message = fmt.Sprintf("%s stopped it before it was sent. Nothing was asked.", actor.Name)
	}
	// Decided on the state that was read: one that is being sent in this moment
	// is not told "nothing was asked".
	if row.State != HighlightQueued && row.State != HighlightPending {
		return errNotWaiting(nil)
	}
	return notWaiting(h.db.Org(actor.Org).EndHighlight(ctx, id, []string{string(row.State)}, out))
}

// errNotWaiting is for what only a waiting highlight can do.
func errNotWaiting(err error) error {
	return &Error{Kind: Conflict, Msg: "These highlights have moved on meanwhile. Look at how they stand and try again.", Err: err}
}

// notWaiting makes "no such row in that state" a Conflict.
func notWaiting(err error) error {
	if errors.Is(err, db.ErrNotFound) {
		return errNotWaiting(err)
	}
	return err
}

// Recheck waits again for a highlight that was given up on after LogRocket had
// it. It starts no new job there.
func (h *Highlights) Recheck(ctx context.Context, actor Actor, id HighlightID) error {
	row, err := h.Get(ctx, actor.Org, id)
	if err != nil {
		return err
	}
	now := h.now()
	entry := db.HistoryEntry{
		At: now, Actor: actor.User, ActorName: actor.Name, Action: "highlight.recheck", Subject: row.Subject(), Customer: row.Customer,
		Connection: row.Connection, Summary: fmt.Sprintf("Waits again for highlights of %s.", row.Subject()),
	}
	return notWaiting(h.db.Org(actor.Org).ReopenHighlight(ctx, id, now, now.Add(h.opt.Deadline), entry, h.queue.put(jobHighlight, actor.Org, 0)))
}
