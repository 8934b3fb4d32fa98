package services

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"sightline/internal/services/sandbox"
)

// deaf is the address of a server that takes connections and never says a word,
// so that no request gets as far as leaving; taken counts the connections.
func deaf(t *testing.T) (url string, taken *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken = new(atomic.Int32)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var held []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			held = append(held, c)
			taken.Add(1)
		}
		for _, c := range held {
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "https://" + l.Addr().String(), taken
}

// What had not left when Sightline stopped is no failure: the next start sends
// it, once.
func TestWhatHasNotLeftIsSentByTheNextStart(t *testing.T) {
	// site is one that looks for LogRocket where nobody answers.
	site := func(t *testing.T) (r *rocketSite, stop func(atOnce int32)) {
		r = newRocketSite(t, sandbox.DialectContract)
		url, taken := deaf(t)
		r.elsewhere = url
		r.restart()
		return r, func(atOnce int32) {
			t.Helper()
			if _, err := waitFor(t.Context(), patience, func() (int, bool, error) { return 0, taken.Load() >= atOnce, nil }); err != nil || taken.Load() < atOnce {
				t.Fatal(taken.Load(), err)
			}
			r.elsewhere = ""
			r.restart()
		}
	}
	t.Run("highlights", func(t *testing.T) {
		r, stop := site(t)
		h := r.ask(HighlightRequest{Customer: r.customer(r.box.Company().Customers()[0]), Email: r.box.Company().Customers()[0].Email})
		stop(1)
		if h = r.settled(h.ID); h.State != HighlightReady || r.posts() != 1 || len(r.history("highlight.failed")) != 0 {
			t.Errorf("%+v after %d posts", h, r.posts())
		}
	})
	t.Run("edit of traits", func(t *testing.T) {
		r, stop := site(t)
		in := r.form(r.customer(r.box.Company().Demo()[0]), "u1")
		in.New = []TraitField{newTrait("plan", "pro")}
		e := r.send(in, NewFormToken())
		stop(1)
		if e = r.ended(e.ID); e.State != TraitsSent || r.box.CountCalls(sandbox.OpUpdateUser) != 1 {
			t.Errorf("%+v after %d puts", e, r.box.CountCalls(sandbox.OpUpdateUser))
		}
	})
	t.Run("GraphQL", func(t *testing.T) {
		r, stop := site(t)
		run, check, err := r.s.GraphQL.Run(t.Context(), r.actor, GraphQLForm{Connection: r.conn, Query: "{ __typename }", FormToken: NewFormToken(), Anyway: true})
		if err != nil {
			t.Fatal(check, err)
		}
		stop(1)
		if run, err = r.s.GraphQL.Wait(t.Context(), 1, run.ID, patience); err != nil || run.State != GraphQLDone {
			t.Errorf("%+v, %v", run, err)
		}
	})
	t.Run("question about many", func(t *testing.T) {
		r, stop := site(t)
		b := r.draft(BatchForm{Text: r.people(4)})
		r.begin(b)
		stop(3)
		if b = r.batchIs(b.ID, BatchDone); b.Counts.Ready != 4 || r.posts() != 4 {
			t.Errorf("%+v after %d posts", b.Counts, r.posts())
		}
	})
	t.Run("bulk edit", func(t *testing.T) {
		r, stop := site(t)
		b := r.plannedBulk(4)
		r.sendBulk(b)
		stop(1)
		if b = r.bulkIs(b.ID, BulkDone); b.Sent != 4 || r.box.CountCalls(sandbox.OpUpdateUser) != 4 {
			t.Errorf("%+v after %d puts", b, r.box.CountCalls(sandbox.OpUpdateUser))
		}
	})
}

// fuse is a context that is canceled when it has been looked at so many times.
type fuse struct {
	context.Context
	left   atomic.Int32
	cancel context.CancelFunc
}

func (f *fuse) Done() <-chan struct{} {
	if f.left.Add(-1) == 0 {
		f.cancel()
	}
	return f.Context.Done()
}

// eachStop runs a job that is told to stop at each point where it looks, until
// it gets through without.
func eachStop(t *testing.T, job func(ctx context.Context, point int)) {
	t.Helper()
	for point := 1; ; point++ {
		ctx, cancel := context.WithCancel(t.Context())
		f := &fuse{Context: ctx, cancel: cancel}
		f.left.Store(int32(point))
		job(f, point)
		through := ctx.Err() == nil
		cancel()
		if through {
			if point < 5 {
				t.Errorf("it looked %d times", point)
			}
			return
		}
	}
}

func TestStoppedAnywhereNothingFailsAndNothingIsSentTwice(t *testing.T) {
	t.Run("highlights", func(t *testing.T) {
		r := newRocketSite(t, sandbox.DialectContract)
		who := r.box.Company().Customers()[0]
		id := r.customer(who)
		eachStop(t, func(ctx context.Context, point int) {
			sent := r.posts()
			h := r.ask(HighlightRequest{Customer: id, Email: who.Email})
			_, _ = r.s.Highlights.run(ctx, 1, int64(h.ID))
			h, err := r.s.Highlights.Get(t.Context(), 1, h.ID)
			sent = r.posts() - sent
			if err != nil || sent > 1 || h.State == HighlightFailed || h.State == HighlightSending || (h.State == HighlightQueued) != h.SentAt.IsZero() || h.State == HighlightQueued && sent != 0 {
				t.Errorf("stopped at %d: %+v after %d posts, %v", point, h, sent, err)
			}
		})
	})
	t.Run("edits of traits", func(t *testing.T) {
		r := newRocketSite(t, sandbox.DialectContract)
		id := r.customer(r.box.Company().Demo()[0])
		eachStop(t, func(ctx context.Context, point int) {
			sent := r.box.CountCalls(sandbox.OpUpdateUser)
			in := r.form(id, "u"+strconv.Itoa(point)) // an edit that is open holds up the next one of its user
			in.New = []TraitField{newTrait("plan", "pro")}
			e := r.send(in, NewFormToken())
			_, _ = r.s.Traits.run(ctx, 1, int64(e.ID))
			e, err := r.s.Traits.Get(t.Context(), 1, e.ID)
			sent = r.box.CountCalls(sandbox.OpUpdateUser) - sent
			if err != nil || sent > 1 || e.State == TraitsFailed || e.State == TraitsSending || e.State == TraitsQueued && sent != 0 {
				t.Errorf("stopped at %d: %+v after %d puts, %v", point, e, sent, err)
			}
		})
	})
	t.Run("GraphQL", func(t *testing.T) {
		r := newRocketSite(t, sandbox.DialectContract)
		eachStop(t, func(ctx context.Context, point int) {
			run, check, err := r.s.GraphQL.Run(t.Context(), r.actor, GraphQLForm{Connection: r.conn, Query: "{ __typename }", FormToken: NewFormToken(), Anyway: true})
			if err != nil {
				t.Fatal(check, err)
			}
			_ = r.s.GraphQL.run(ctx, 1, run.ID)
			run, err = r.s.GraphQL.Get(t.Context(), 1, run.ID)
			if err != nil || run.State == GraphQLFailed || run.State == GraphQLSending {
				t.Errorf("stopped at %d: %+v, %v", point, run, err)
			}
		})
	})
}
