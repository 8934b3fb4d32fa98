package services

import (
	"sightline/internal/db"
	"sightline/internal/services/eventlog"
)

// call takes an event of a network call: a request waits for its answer, an
// answer looks for its request.
func (r *recorder) call(at int64, e eventlog.Event) {
	ms := e.At.UnixMilli()
	if e.Part == eventlog.Request {
		p := pendingCall{at, ms, r.text(db.TextEndpoint, e.Method, e.URL)}
		r.mention(p.text, at, e.At, false)
		if e.ReqID == "" {
			r.over(p.call())
			return
		}
		if before, ok := r.pending[e.ReqID]; ok { // the id is used again
			r.over(before.call())
		} else {
			r.waiting = append(r.waiting, e.ReqID)
		}
		r.pending[e.ReqID] = p
		r.forget()
		return
	}
	c := eventlog.Call{Asked: -1, Answered: at, At: ms, Took: -1, Size: e.Size, Status: e.Status, Text: -1}
	var text *textStat
	if p, ok := r.pending[e.ReqID]; ok && e.ReqID != "" {
		delete(r.pending, e.ReqID)
		c.Asked, c.At, c.Took, text = p.at, p.ms, max(0, ms-p.ms), p.text
	} else {
		if e.Part == eventlog.Whole {
			c.Asked = at
		}
		text = r.text(db.TextEndpoint, e.Method, e.URL)
		r.mention(text, at, e.At, false)
	}
	if e.Took >= 0 {
		c.Took = e.Took.Milliseconds()
	}
	if text != nil {
		c.Text = text.Position
		if c.Took >= 0 {
			text.Timed++
			r.i.scale.Add(&text.Loads, c.Took)
		}
		if e.Failed() {
			text.fail(at, e.At)
		}
	}
	if e.Failed() {
		r.counts.FailedCalls++
	}
	r.over(c)
}

// call is a request that nobody answered.
func (p pendingCall) call() eventlog.Call {
	c := eventlog.Call{Asked: p.at, Answered: -1, At: p.ms, Took: -1, Size: -1, Text: -1}
	if p.text != nil {
		c.Text = p.text.Position
	}
	return c
}

// forget takes the oldest requests for never answered where too many wait, and
// the answered ones out of the order.
func (r *recorder) forget() {
	for len(r.pending) > maxPending && len(r.waiting) > 0 {
		if p, ok := r.pending[r.waiting[0]]; ok {
			delete(r.pending, r.waiting[0])
			r.over(p.call())
		}
		r.waiting = r.waiting[1:]
	}
	if len(r.waiting) <= 2*len(r.pending)+1000 {
		return
	}
	kept := make([]string, 0, len(r.pending))
	for _, id := range r.waiting {
		if _, ok := r.pending[id]; ok {
			kept = append(kept, id)
		}
	}
	r.waiting = kept
}

// over takes a call that nothing more will be told of.
func (r *recorder) over(c eventlog.Call) {
	r.counts.Calls++
	if r.calls = append(r.calls, c); len(r.calls) == callsPerRow {
		r.closeCalls()
	}
}

func (r *recorder) closeCalls() {
	if len(r.calls) == 0 {
		return
	}
	r.i.writer.put(block{rec: r, number: r.rowsOut, calls: eventlog.PackCalls(r.calls)})
	r.rowsOut++
	r.calls = r.calls[:0]
}

// end hands over what is open.
func (r *recorder) end() {
	for len(r.open) > 0 {
		r.closeBlock()
	}
	for _, id := range r.waiting {
		if p, ok := r.pending[id]; ok {
			delete(r.pending, id)
			r.over(p.call())
		}
	}
	r.closeCalls()
}
