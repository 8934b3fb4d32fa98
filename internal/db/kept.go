package db

import (
	"errors"
	"sync"
)

// keptReads is a pool of readers whose answers are kept as long as
// [DB.Generation] stays the same, so that what stands on every page of an
// organization (its connections, budgets, views, what there is to filter by) is
// read once between two writes. It is for small answers that many pages need, and
// for what one customer's pages have in common: whoever looks at somebody goes
// through the kinds of their timeline, its older part, their traits and back.
// Answers are kept by organization, statement and arguments, and every caller
// gets a copy, which shares what a row of it points to.
type keptReads struct {
	*readers
	d   *DB
	org OrgID
}

// kept reads like the readers' pool, and keeps the answers.
func (o Org) kept() keptReads { return keptReads{readers: o.db.r, d: o.db, org: o.id} }

// maxKept bounds the rows that are kept; beyond it all are forgotten.
const maxKept = 20_000

// rowBytes is how many bytes of a row that is one text count as a row.
const rowBytes = 500

// rowsOf is how many rows an answer counts as that is one row.
func rowsOf(row any) int {
	switch v := row.(type) {
	case string:
		return 1 + len(v)/rowBytes
	case interface{ rows() int }:
		return v.rows()
	}
	return 1
}

// keptAnswers are the answers of one generation.
type keptAnswers struct {
	mu         sync.Mutex
	generation uint64
	answers    map[keptQuestion]keptAnswer
	rows       int
}

// keptQuestion is what an answer is kept under.
type keptQuestion struct {
	org   OrgID
	query string
	args  [8]any
	one   bool
}

// question is what an answer may be kept under; ok is false for arguments that
// cannot be compared.
func (k keptReads) question(query string, args []any, one bool) (q keptQuestion, ok bool) {
	q = keptQuestion{org: k.org, query: query, one: one}
	if k.d.generation == nil || len(args) > len(q.args) {
		return q, false
	}
	for _, a := range args {
		if _, bytes := a.([]byte); bytes {
			return q, false
		}
	}
	copy(q.args[:], args)
	return q, true
}

func (k *keptAnswers) get(generation uint64, q keptQuestion) (keptAnswer, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.generation != generation {
		return keptAnswer{}, false
	}
	v, ok := k.answers[q]
	return v, ok
}

func (k *keptAnswers) put(generation uint64, q keptQuestion, answer keptAnswer, rows int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if generation < k.generation {
		return // somebody has written meanwhile
	}
	k.drop(q) // two may have asked at once
	answer.rows = rows + 1
	if k.answers == nil || generation > k.generation || k.rows+answer.rows > maxKept {
		k.generation, k.answers, k.rows = generation, map[keptQuestion]keptAnswer{}, 0
	}
	if answer.rows <= maxKept {
		k.answers[q] = answer
		k.rows += answer.rows
	}
}

// drop forgets one answer. The lock is held.
func (k *keptAnswers) drop(q keptQuestion) {
	k.rows -= k.answers[q].rows
	delete(k.answers, q)
}

// forget drops what is kept of one row's question, for what is written without
// another generation.
func (k keptReads) forget(query string, args ...any) {
	q, ok := k.question(query, args, true)
	if !ok {
		return
	}
	k.d.answers.mu.Lock()
	defer k.d.answers.mu.Unlock()
	k.d.answers.drop(q)
}

// keptAnswer is what a question was answered: rows, a row, or that there is none.
type keptAnswer struct {
	answer any
	err    error
	rows   int // as which it counts
}

// answer is what read returns, or what it returned before, with how many rows
// that is. The generation is from before the reading: what is written meanwhile
// makes another one.
func (k keptReads) answer(query string, args []any, one bool, read func() (answer any, rows int, err error)) (any, error) {
	q, ok := k.question(query, args, one)
	if !ok {
		v, _, err := read()
		return v, err
	}
	generation := k.d.Generation()
	if kept, ok := k.d.answers.get(generation, q); ok {
		return kept.answer, kept.err
	}
	v, rows, err := read()
	if err == nil || one && errors.Is(err, ErrNotFound) {
		k.d.answers.put(generation, q, keptAnswer{answer: v, err: err}, rows)
	}
	return v, err
}
