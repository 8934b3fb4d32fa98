package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sightline/internal/db"
	"sightline/internal/services/upstream"
)

// jobAsk is the queue's kind for asks.
const jobAsk = "ask"

// AskState is how far an ask is.
type AskState string

// The states of an ask. Interrupted means that Sightline ended while the call
// was under way: it may have cost, and only a person asks again.
const (
	AskQueued      AskState = "queued"
	AskSending     AskState = "sending"
	AskDone        AskState = "done"
	AskFailed      AskState = "failed"
	AskInterrupted AskState = "interrupted"
)

// Open reports whether the ask will still change by itself.
func (s AskState) Open() bool { return s == AskQueued || s == AskSending }

// Ask is one question to a vendor, which a job carries out at most once.
type Ask struct {
	ID         AskID
	Org        OrgID
	Connection ConnectionID
	Kind       string
	Subject    string // about what, in one canonical spelling
	Customer   CustomerID
	Actor      UserID
	Background bool
	Spare      bool // a person's that leaves the reserve alone
	State      AskState
	Message    string          // a sentence for a person once it ended; may quote the vendor: hostile text
	ErrorKind  string          // an upstream.Kind, or "internal"; empty unless failed
	Result     json.RawMessage // what the kind's handler returned
	CreatedAt  time.Time
	StartedAt  time.Time // zero until it was sent
	FinishedAt time.Time // zero while open
}

// AskSpec is what to ask.
type AskSpec struct {
	Connection ConnectionID
	Kind       string
	Subject    string
	Customer   CustomerID // whom the ledger names; 0 for nobody in particular
	Background bool       // spends only what the reserve for people leaves
	// Spare is a person's question that leaves the reserve alone too, because it
	// is one of many.
	Spare bool
	// Run is the run that asks it, 0 for none. It notes the ask, and is NotFound if
	// it is not open any more.
	Run DetailRunID
}

// askFunc carries one ask out, in state sending and with the spender in ctx. A
// nil error is done; message is then the sentence that people read.
type askFunc func(ctx context.Context, ask Ask) (result any, message string, err error)

// Asks puts questions to vendors without keeping a page waiting.
type Asks struct {
	db       *db.DB
	queue    *Queue
	log      *slog.Logger
	now      func() time.Time
	handlers map[string]askFunc
}

func newAsks(d *db.DB, q *Queue, log *slog.Logger, now func() time.Time) *Asks {
	a := &Asks{db: d, queue: q, log: log, now: now, handlers: map[string]askFunc{}}
	q.handle(jobAsk, func(ctx context.Context, org OrgID, id int64) (time.Duration, error) {
		return 0, a.run(ctx, org, AskID(id))
	})
	q.onStart(a.settle)
	return a
}

// handle says who carries out asks of a kind.
func (a *Asks) handle(kind string, fn askFunc) { a.handlers[kind] = fn }

// Put queues a question. If the same is being asked on the connection already,
// that ask is returned: two tabs cost one call.
func (a *Asks) Put(ctx context.Context, actor Actor, s AskSpec) (Ask, error) {
	return a.add(ctx, actor, s, a.queue.put(jobAsk, actor.Org, 0))
}

func (a *Asks) add(ctx context.Context, actor Actor, s AskSpec, after db.TxFunc) (Ask, error) {
	row, err := a.db.Org(actor.Org).AddAsk(ctx, db.Ask{
		Connection: s.Connection, Kind: s.Kind, Subject: s.Subject, Background: s.Background, Spare: s.Spare, Run: s.Run,
		Actor: actor.User, Customer: s.Customer, CreatedAt: a.now(),
	}, after)
	if err != nil {
		return Ask{}, notFound(fmt.Errorf("add ask %q: %w", s.Kind, err), "There is no such connection any more.")
	}
	return askOf(row), nil
}

// Do asks without the queue and waits for the answer, for the command line. If
// a running server is asking the same, it waits for that.
func (a *Asks) Do(ctx context.Context, actor Actor, s AskSpec) (Ask, error) {
	ask, err := a.add(ctx, actor, s, nil)
	if err != nil {
		return Ask{}, err
	}
	return a.finish(ctx, actor.Org, ask.ID)
}

// finish carries an ask out if nobody else does, and waits for its end.
func (a *Asks) finish(ctx context.Context, org OrgID, id AskID) (Ask, error) {
	if err := a.run(ctx, org, id); err != nil && !errors.Is(err, db.ErrNotFound) {
		return Ask{}, err
	}
	return a.Wait(ctx, org, id, jobTimeout)
}

// Get finds an ask.
func (a *Asks) Get(ctx context.Context, org OrgID, id AskID) (Ask, error) {
	row, err := a.db.Org(org).Ask(ctx, id)
	if err != nil {
		return Ask{}, notFound(err, "There is no such request here.")
	}
	return askOf(row), nil
}

// Latest finds the newest ask of a kind about a subject; ok is false if there
// never was one.
func (a *Asks) Latest(ctx context.Context, org OrgID, c ConnectionID, kind, subject string) (ask Ask, ok bool, err error) {
	row, err := a.db.Org(org).LatestAsk(ctx, c, kind, subject)
	if errors.Is(err, db.ErrNotFound) {
		return Ask{}, false, nil
	}
	return askOf(row), err == nil, err
}

// Open lists what is being asked now, newest first, at most 20.
func (a *Asks) Open(ctx context.Context, org OrgID) ([]Ask, error) {
	rows, err := a.db.Org(org).OpenAsks(ctx, 20)
	out := make([]Ask, len(rows))
	for i, r := range rows {
		out[i] = askOf(r)
	}
	return out, err
}

// Wait returns the ask once it has ended, or as it stands after upTo.
func (a *Asks) Wait(ctx context.Context, org OrgID, id AskID, upTo time.Duration) (Ask, error) {
	return waitFor(ctx, upTo, func() (Ask, bool, error) {
		ask, err := a.Get(ctx, org, id)
		return ask, !ask.State.Open(), err
	})
}

// waitFor looks at a row until it is settled or the time is up. Looking is a
// read by key, cheaper and simpler than a notice that may get lost.
func waitFor[T any](ctx context.Context, upTo time.Duration, look func() (row T, settled bool, err error)) (T, error) {
	deadline := time.NewTimer(upTo)
	defer deadline.Stop()
	pause := 10 * time.Millisecond
	for {
		row, settled, err := look()
		if err != nil || settled {
			return row, err
		}
		select {
		case <-ctx.Done():
			return row, ctx.Err()
		case <-deadline.C:
			return row, nil
		case <-time.After(pause):
			pause = min(2*pause, 150*time.Millisecond)
		}
	}
}

// run carries one queued ask out.
func (a *Asks) run(ctx context.Context, org OrgID, id AskID) error {
	row, err := a.db.Org(org).StartAsk(ctx, id, a.now())
	if err != nil {
		return err
	}
	ask := askOf(row)
	end := a.carryOut(ctx, ask)
	end.At = a.now()
	// The outcome is stored even when the queue is being stopped.
	if err := a.db.Org(org).EndAsk(context.WithoutCancel(ctx), id, end); err != nil {
		return fmt.Errorf("end ask %d: %w", id, err)
	}
	return nil
}

func (a *Asks) carryOut(ctx context.Context, ask Ask) db.AskOutcome {
	fn, ok := a.handlers[ask.Kind]
	if !ok {
		a.log.ErrorContext(ctx, "nobody carries out this kind of ask", "kind", ask.Kind, "ask", ask.ID)
		return db.AskOutcome{State: string(AskFailed), Message: "This version of Sightline does not know how to ask that.", ErrorKind: "internal"}
	}
	ctx = withSpender(ctx, spender{
		Org: ask.Org, Connection: ask.Connection, Actor: ask.Actor, Customer: ask.Customer, Background: ask.Background, Spare: ask.Spare,
	})
	result, message, err := fn(ctx, ask)
	if err == nil {
		body, jerr := json.Marshal(result)
		if jerr != nil || result == nil {
			body = nil
		}
		return db.AskOutcome{State: string(AskDone), Message: message, Result: body}
	}
	a.log.WarnContext(ctx, "ask failed", "ask", ask.ID, "kind", ask.Kind, "connection", ask.Connection, "err", err)
	if ctx.Err() != nil {
		return db.AskOutcome{State: string(AskInterrupted), Message: interrupted}
	}
	end := db.AskOutcome{State: string(AskFailed), Message: "Sightline could not finish this. The log says why.", ErrorKind: "internal"}
	if kind := upstream.KindOf(err); kind != "" {
		end.ErrorKind = string(kind)
	}
	var said *Error
	if errors.As(err, &said) {
		end.Message = said.Msg
	}
	return end
}

// interrupted is what people read about an ask that a stop or a crash cut off.
const interrupted = "Sightline was stopped while the vendor was answering, so the answer is lost. The call may have counted. Ask again if you need it."

// settle ends what a crash left in sending and queues again what was queued.
func (a *Asks) settle(ctx context.Context) error {
	if _, err := a.db.InterruptAsksUnscoped(ctx, interrupted, a.now()); err != nil {
		return err
	}
	const batch = 500
	var after AskID
	for {
		rows, err := a.db.QueuedAsksUnscoped(ctx, after, batch)
		if err != nil {
			return err
		}
		for _, r := range rows {
			// A second job for the same ask finds it started and does nothing.
			if err := a.queue.again(ctx, jobAsk, r.Org, int64(r.ID), 0); err != nil {
				return err
			}
			after = r.ID
		}
		if len(rows) < batch {
			return nil
		}
	}
}

func askOf(r db.Ask) Ask {
	return Ask{
		ID: r.ID, Org: r.Org, Connection: r.Connection, Kind: r.Kind, Subject: r.Subject, Customer: r.Customer,
		Actor: r.Actor, Background: r.Background, Spare: r.Spare, State: AskState(r.State), Message: r.Message, ErrorKind: r.ErrorKind,
		Result: r.Result, CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
	}
}

// sleep waits; false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
