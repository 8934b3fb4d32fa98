package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"sightline/internal/db"
)

// jobDetails is the queue's kind for runs that fetch details.
const jobDetails = "details"

const (
	// detailTurn is how long a run's job goes on before it lets others have the
	// worker.
	detailTurn = 30 * time.Second
	// detailStreak is after how many failures in a row a run pauses: what fails
	// again and again is not worth the calls.
	detailStreak = 3
	// MaxDetails is how many sessions one run fetches at most: a page of them.
	MaxDetails = PageSize
)

// DetailRunState is how far a run is.
type DetailRunState string

// The states of a run. A paused one goes on only when a member says so.
const (
	RunOpen    DetailRunState = db.RunOpen
	RunPaused  DetailRunState = db.RunPaused
	RunDone    DetailRunState = db.RunDone
	RunStopped DetailRunState = db.RunStopped
)

// DetailRun fetches the details of sessions that a member chose, one after the
// other.
type DetailRun struct {
	ID         DetailRunID
	Connection ConnectionID
	State      DetailRunState
	// Of Total sessions, Done are here in full, of Failed no detail came, and Left
	// are still to be asked for.
	Total, Done, Failed, Left int
	// Message says why it paused, or what went wrong last. It may quote the vendor.
	Message string
	// StartedAt is when it was asked for, UpdatedAt when it last came further.
	StartedAt, UpdatedAt time.Time
}

// Details fetches the page views, errors and ratings of many sessions at once,
// with a call for each.
type Details struct {
	db          *db.DB
	queue       *Queue
	asks        *Asks
	connections *Connections
	log         *slog.Logger
	now         func() time.Time
	busy        busyRows
}

func newDetails(d *db.DB, q *Queue, a *Asks, c *Connections, log *slog.Logger, now func() time.Time) *Details {
	s := &Details{db: d, queue: q, asks: a, connections: c, log: log, now: now}
	q.handle(jobDetails, func(ctx context.Context, org OrgID, id int64) (time.Duration, error) {
		return s.run(ctx, org, DetailRunID(id))
	})
	q.onStart(s.settle)
	return s
}

// DetailPrice is what fetching sessions in full costs through a connection.
type DetailPrice struct {
	// Each is how many calls one session costs at most; Exactly says that it is
	// never less.
	Each    int
	Exactly bool
	// Sessions is how many the calls that are left today pay for without touching
	// those that are kept for people; negative is without limit.
	Sessions int
}

// PriceOfDetails says what fetching sessions in full costs.
func PriceOfDetails(c Connection, b Budget) DetailPrice {
	p := DetailPrice{Each: 1, Exactly: true, Sessions: -1}
	if c.Vendor == RaygunV3 {
		p.Each, p.Exactly = DetailCalls, false
	}
	if b.Allowance > 0 {
		p.Sessions = max(0, b.Left-b.Reserve) / p.Each
	}
	if !b.BlockedUntil.IsZero() {
		p.Sessions = 0
	}
	return p
}

// affordable returns the price, and an error if the calls left today pay for no
// session.
func (d *Details) affordable(ctx context.Context, org OrgID, conn ConnectionID) (DetailPrice, error) {
	c, err := d.connections.Get(ctx, org, conn)
	if err != nil {
		return DetailPrice{}, err
	}
	b, err := d.connections.Budget(ctx, org, conn)
	if err != nil {
		return DetailPrice{}, err
	}
	p := PriceOfDetails(c, b)
	if p.Sessions == 0 {
		return p, &Error{Kind: Limited, Msg: "No calls are left today but those kept for questions that people ask one by one. Nothing was asked."}
	}
	return p, nil
}

// activeFor is how long after its last event a session is taken to be active if
// Raygun called it so: a list that is not read again goes on saying so for ever.
const activeFor = time.Hour

// detailHere says that there is nothing to be fetched through a connection of a
// session of its own. What v3 told of it has no ratings and load times: v1 tells
// more.
func detailHere(c Connection, s Session) bool {
	return !s.DetailedAt.IsZero() && (s.DetailFrom == 0 || !c.Tells(FieldRating))
}

// LacksDetail says that the detail of a connection's own session is not here and
// worth fetching by now: it has ended, and does not change any more.
func LacksDetail(c Connection, s Session, now time.Time) bool {
	last := later(s.StartedAt, s.UpdatedAt)
	return s.Connection == c.ID && !detailHere(c, s) && (!strings.EqualFold(s.Status, "active") || now.Sub(last) > activeFor)
}

const noRun = "There is no such run in this organization."

// Start has the details of at most count of the sessions fetched, the newest
// first, as the member's own spending. Those that are here, still active or not
// the connection's own are left out; if none is left, the run has the id 0. A
// run that the connection has open already is returned instead: joined says so.
func (d *Details) Start(ctx context.Context, actor Actor, conn ConnectionID, sessions []SessionID, count int) (run DetailRun, joined bool, err error) {
	if err := mayAsk(actor); err != nil {
		return DetailRun{}, false, err
	}
	c, err := d.connections.Get(ctx, actor.Org, conn)
	if err != nil {
		return DetailRun{}, false, err
	}
	if c.Removed() || !c.Vendor.IsRaygun() || !c.ready() {
		return DetailRun{}, false, &Error{Kind: Conflict, Msg: fmt.Sprintf("Nothing can be asked through “%s”.", c.Name)}
	}
	rows, err := d.db.Org(actor.Org).LackingDetail(ctx, conn, sessions[:min(len(sessions), MaxDetails)])
	if err != nil {
		return DetailRun{}, false, err
	}
	rows = slices.DeleteFunc(rows, func(s Session) bool { return !LacksDetail(c, s, d.now()) })
	rows = rows[:min(len(rows), max(0, count))]
	if len(rows) == 0 {
		return DetailRun{}, false, nil
	}
	price, err := d.affordable(ctx, actor.Org, conn)
	if err != nil {
		return DetailRun{}, false, err
	}
	todo := make([]SessionID, len(rows))
	for i, s := range rows {
		todo[i] = s.ID
	}
	e := d.connections.entry(actor, "connection.details", c.Name,
		fmt.Sprintf("Asked for the details of %s through “%s”, for up to %s", plural(len(todo), "session"), c.Name, plural(len(todo)*price.Each, "call")))
	row, added, err := d.db.Org(actor.Org).AddDetailRun(ctx, conn, actor.User, todo, e, d.queue.put(jobDetails, actor.Org, 0))
	if err != nil {
		return DetailRun{}, false, notFound(err, noConnection)
	}
	return runOf(row), !added, nil
}

// Get finds a run.
func (d *Details) Get(ctx context.Context, org OrgID, id DetailRunID) (DetailRun, error) {
	row, err := d.db.Org(org).DetailRun(ctx, id)
	return runOf(row), notFound(err, noRun)
}

// Latest finds the newest run of a connection; ok is false if it never had one.
func (d *Details) Latest(ctx context.Context, org OrgID, conn ConnectionID) (run DetailRun, ok bool, err error) {
	row, err := d.db.Org(org).LatestDetailRun(ctx, conn)
	if errors.Is(err, db.ErrNotFound) {
		return DetailRun{}, false, nil
	}
	return runOf(row), err == nil, err
}

// Wait returns the run once it is not open any more, or as it stands after upTo.
func (d *Details) Wait(ctx context.Context, org OrgID, id DetailRunID, upTo time.Duration) (DetailRun, error) {
	return waitFor(ctx, upTo, func() (DetailRun, bool, error) {
		run, err := d.Get(ctx, org, id)
		return run, run.State != RunOpen, err
	})
}

// Stop ends a run; what came is kept. One that has ended stays as it is.
func (d *Details) Stop(ctx context.Context, actor Actor, id DetailRunID) (DetailRun, error) {
	if err := mayAsk(actor); err != nil {
		return DetailRun{}, err
	}
	if err := d.db.Org(actor.Org).StopDetailRun(ctx, id, d.now()); err != nil && !errors.Is(err, db.ErrNotFound) {
		return DetailRun{}, err
	}
	return d.Get(ctx, actor.Org, id)
}

// Resume has a paused run go on, as the spending of the member who says so. One
// that is not paused stays as it is.
func (d *Details) Resume(ctx context.Context, actor Actor, id DetailRunID) (DetailRun, error) {
	if err := mayAsk(actor); err != nil {
		return DetailRun{}, err
	}
	run, err := d.Get(ctx, actor.Org, id)
	if err != nil {
		return run, err
	}
	if _, err := d.affordable(ctx, actor.Org, run.Connection); err != nil {
		return run, err
	}
	err = d.db.Org(actor.Org).ResumeDetailRun(ctx, id, actor.User, d.now(), d.queue.put(jobDetails, actor.Org, 0))
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return run, err
	}
	return d.Get(ctx, actor.Org, id)
}

func runOf(r db.DetailRun) DetailRun {
	return DetailRun{
		ID: r.ID, Connection: r.Connection, State: DetailRunState(r.State), Total: r.Total, Done: r.Done, Failed: r.Failed, Left: len(r.Todo),
		Message: r.Message, StartedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}
